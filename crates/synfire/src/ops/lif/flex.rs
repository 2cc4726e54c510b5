//! The fused LIF neuron on flex: on all cores, in blocks of neurons that stay in the cache, with one pass through memory
//! forward and one backward.

use std::mem::MaybeUninit;
use std::ops::Range;

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::loops::{Before, Found, LifKernel, LifParameters, StepAdjoint};
use super::{LifAdjoint, LifBackwardOps, LifGradients, LifKept, LifOps, LifStart};
use crate::neuron::TemporalGradient;
use crate::ops::Keep;
use crate::ops::memory::{
    Shared, every_step, inner, inverse, ordered, shown, slice, slice_mut, storage_order, tensor,
    with_scratch, written,
};
use crate::ops::optional::OptionalTensor;

/// The largest number of neurons in a block: a page of memory for each step.
const BLOCK: usize = 1024;
/// Elements that a block may keep for all of its time steps, so that they stay in a core's own cache.
const BLOCK_NUMBERS: usize = 128 * 1024;

/// Decay or threshold for each neuron of a block.
pub struct PerNeuron<'a> {
    values: &'a [f32],
    /// The number of neighbouring neurons per channel.
    inner: usize,
}

impl<'a> PerNeuron<'a> {
    pub fn new(values: &'a [f32], inner: usize) -> Self {
        Self { values, inner }
    }

    pub fn fill(&self, start: usize, out: &mut [f32]) {
        match self.values {
            [value] => out.fill(*value),
            values => {
                for (i, out) in out.iter_mut().enumerate() {
                    *out = values[(start + i) / self.inner % values.len()];
                }
            }
        }
    }

    /// Sums the neurons that share each value.
    pub fn collect(&self, of_neurons: &[f32]) -> Vec<f32> {
        let mut sums = vec![0.0f64; self.values.len()];
        for (run, part) in of_neurons.chunks(self.inner.max(1)).enumerate() {
            let sum: f64 = part.iter().map(|x| f64::from(*x)).sum();
            sums[run % self.values.len()] += sum;
        }
        sums.into_iter().map(|sum| sum as f32).collect()
    }
}

/// A sequence in storage order.
struct LifSequence<'a> {
    steps: usize,
    neurons: usize,
    decay: PerNeuron<'a>,
    threshold: PerNeuron<'a>,
    state: Option<&'a [f32]>,
    kernel: LifKernel,
}

impl LifSequence<'_> {
    /// Runs `body` for each block of neurons, with their parameters. `kept` is the number of elements that `body` keeps per
    /// neuron and step.
    fn blocks(&self, kept: usize, body: impl Fn(Range<usize>, LifParameters) + Sync) {
        let tasks = 4 * rayon::current_num_threads();
        let fit = BLOCK_NUMBERS / (kept * self.steps).max(1);
        // A multiple of the widest vectors.
        let block = (self.neurons.div_ceil(tasks).min(fit) / 64 * 64).clamp(64, BLOCK);
        let run = |i: usize| {
            let range = i * block..self.neurons.min((i + 1) * block);
            with_scratch([range.len(); 4], |[decay, threshold, k, gate]| {
                self.decay.fill(range.start, decay);
                self.threshold.fill(range.start, threshold);
                body(range, self.kernel.parameters(decay, threshold, k, gate));
            });
        };
        let count = self.neurons.div_ceil(block);
        match self.steps * self.neurons {
            // Too small to be worth other cores.
            0..16_384 => (0..count).for_each(run),
            _ => (0..count).into_par_iter().for_each(run),
        }
    }

    /// The offset of a block in step `t`.
    fn at(&self, block: &Range<usize>, t: usize) -> usize {
        t * self.neurons + block.start
    }

    /// Writes the initial state.
    fn start(&self, block: &Range<usize>, v: &mut [f32]) {
        match self.state {
            Some(state) => v.copy_from_slice(&state[block.clone()]),
            None => v.fill(self.kernel.rest),
        }
    }
}

/// The forward step of a block, for pulp.
pub struct LifForwardStep<'a, 'n> {
    pub kernel: &'a LifKernel,
    pub parameters: LifParameters<'n>,
    pub xu: &'a mut [f32],
    pub v: &'a mut [f32],
    pub spikes: &'a mut [MaybeUninit<f32>],
}

impl WithSimd for LifForwardStep<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.kernel
            .step(self.parameters, self.xu, self.v, self.spikes);
    }
}

/// The backward step of a block, for pulp.
pub struct LifBackwardStep<'a, 'b, 'n> {
    pub kernel: &'a LifKernel,
    pub parameters: LifParameters<'n>,
    pub found: Found<'a>,
    pub adjoint: &'a mut StepAdjoint<'b>,
}

impl WithSimd for LifBackwardStep<'_, '_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.kernel
            .step_backward(self.parameters, self.found, self.adjoint);
    }
}

/// The inputs of a sequence in storage order, without the sequence itself.
struct LifInputs {
    shape: Shape,
    /// The axes in storage order.
    order: Vec<usize>,
    v: Option<FlexTensor>,
    decay: FlexTensor,
    threshold: FlexTensor,
    kernel: LifKernel,
}

impl LifInputs {
    fn new(x: &FlexTensor, start: &LifStart<Flex>) -> Self {
        let order = storage_order(x);
        Self {
            shape: x.shape(),
            v: start.v.as_ref().map(|v| ordered(v, &order)),
            order,
            decay: start.decay.to_contiguous(),
            threshold: start.threshold.to_contiguous(),
            kernel: start.kernel,
        }
    }

    fn sequence(&self) -> LifSequence<'_> {
        let shape: &[usize] = &self.shape;
        let inner = inner(&self.shape, &self.order);
        let [decay, threshold] =
            [&self.decay, &self.threshold].map(|values| PerNeuron::new(slice(values), inner));
        LifSequence {
            steps: shape[0],
            neurons: shape[1..].iter().product(),
            decay,
            threshold,
            state: self.v.as_ref().map(slice),
            kernel: self.kernel,
        }
    }

    /// A tensor from elements in storage order, with its axes in their usual order.
    fn shown(&self, values: Vec<f32>, steps: usize) -> FlexTensor {
        let mut shape = self.shape.clone();
        shape[0] = steps;
        shown(values, &shape, &self.order)
    }
}

/// The spikes, the final state and, if `membranes`, the potentials before reset.
fn forward(
    x: FlexTensor,
    start: &LifStart<Flex>,
    membranes: bool,
) -> (FlexTensor, FlexTensor, Option<FlexTensor>) {
    let given = LifInputs::new(&x, start);
    let sequence = given.sequence();
    let (steps, neurons, kernel) = (sequence.steps, sequence.neurons, sequence.kernel);
    // The only handle from here on, so that an unshared input can be overwritten.
    let mut x = {
        let shared = x;
        ordered(&shared, &given.order)
    };
    // In place of the input (or, if it is shared, of a copy); else one step at a time.
    let kept = membranes.then(|| Shared::new(slice_mut(&mut x)));
    let input = if membranes { &[][..] } else { slice(&x) };
    let mut last = vec![0.0f32; neurons];
    let last_at = Shared::new(&mut last);
    let arch = Arch::new();
    let write = |spikes: Shared<MaybeUninit<f32>>| {
        sequence.blocks(0, |block, parameters| {
            let len = block.len();
            // SAFETY: blocks do not overlap, and `last` lives until all are done.
            let v = unsafe { last_at.part(block.start, len) };
            sequence.start(&block, v);
            with_scratch([len], |[scratch]| {
                for t in 0..steps {
                    let at = sequence.at(&block, t);
                    let xu = match kept {
                        // SAFETY: as for `last`; the rows of a block do not overlap those of another.
                        Some(kept) => unsafe { kept.part(at, len) },
                        None => {
                            scratch.copy_from_slice(&input[at..at + len]);
                            &mut *scratch
                        }
                    };
                    // SAFETY: as above.
                    let spikes = unsafe { spikes.part(at, len) };
                    arch.dispatch(LifForwardStep {
                        kernel: &kernel,
                        parameters,
                        xu,
                        v,
                        spikes,
                    });
                }
            });
        });
    };
    // SAFETY: the blocks are all neurons, and each writes every step.
    let spikes = unsafe { written(steps * neurons, write) };
    let spikes = given.shown(spikes, steps);
    let last = given.shown(last, 1);
    let kept = membranes.then(|| x.permute(&inverse(&given.order)));
    (spikes, last, kept)
}

impl LifOps for Flex {
    fn lif(
        x: FlexTensor,
        v: OptionalTensor<Self>,
        decay: FlexTensor,
        threshold: FlexTensor,
        kernel: LifKernel,
    ) -> (FlexTensor, FlexTensor) {
        let start = LifStart {
            v: v.into_option(),
            decay,
            threshold,
            kernel,
        };
        let (spikes, state, _) = forward(x, &start, false);
        (spikes, state)
    }
}

impl LifBackwardOps for Flex {
    fn lif_kept(
        x: FlexTensor,
        start: LifStart<Self>,
        learned: bool,
    ) -> (FlexTensor, FlexTensor, LifKept<Self>) {
        // The gradient of a decay that scales the input needs the input.
        let keep = match (start.kernel.keep, learned && start.kernel.decay_input) {
            (_, true) | (Keep::Input, _) => Keep::Input,
            (Keep::Least | Keep::Membranes, false) => Keep::Membranes,
        };
        let sequence = match keep {
            Keep::Input => Some(x.clone()),
            _ => None,
        };
        let (spikes, state, membranes) = forward(x, &start, keep != Keep::Input);
        let kept = LifKept {
            sequence: sequence.or(membranes).expect("one of them is there"),
            keep,
            start,
            learned,
        };
        (spikes, state, kept)
    }

    fn lif_backward(kept: LifKept<Self>, outputs: LifAdjoint<Self>) -> LifGradients<Self> {
        let given = LifInputs::new(&kept.sequence, &kept.start);
        let known = ordered(&kept.sequence, &given.order);
        let back = LifBackwardPass {
            sequence: given.sequence(),
            known: slice(&known),
            keep: kept.keep,
            learned: kept.learned,
        };
        let (by_x, found) = match outputs {
            LifAdjoint::State(gradient) => {
                let gradient = ordered(&gradient, &given.order);
                back.to_new_tensor(None, Some(slice(&gradient)))
            }
            LifAdjoint::Spikes(gradient) => {
                let mut inside = gradient.permute(&given.order);
                drop(gradient);
                if let Some(step) = every_step(&inside) {
                    back.to_new_tensor(Some(step), None)
                } else {
                    if !inside.is_contiguous() {
                        inside = inside.to_contiguous();
                    }
                    // In place if it is not shared.
                    let at = Shared::new(slice_mut(&mut inside)).maybe_unwritten();
                    let found = back.run(at, LifIncoming::InPlace, None);
                    let by_x = inside.permute(&inverse(&given.order));
                    return found.gradients(by_x, &given);
                }
            }
        };
        let by_x = given.shown(by_x, given.shape[0]);
        found.gradients(by_x, &given)
    }
}

/// The source of the spikes' gradients.
#[derive(Clone, Copy)]
enum LifIncoming<'a> {
    /// In place, where the input's gradients will be written.
    InPlace,
    /// The same in every step.
    EveryStep(&'a [f32]),
    /// No gradients.
    Zero,
}

struct LifBackwardPass<'a> {
    sequence: LifSequence<'a>,
    /// The saved sequence.
    known: &'a [f32],
    keep: Keep,
    learned: bool,
}

/// All gradients but the input's, per neuron.
struct OfNeurons {
    v: Vec<f32>,
    /// Of decay and threshold.
    learned: Option<[Vec<f32>; 2]>,
}

impl OfNeurons {
    fn gradients(self, x: FlexTensor, given: &LifInputs) -> LifGradients<Flex> {
        let sequence = given.sequence();
        let learned = self.learned.map(|[decay, threshold]| {
            [
                tensor(sequence.decay.collect(&decay), given.decay.shape()),
                tensor(
                    sequence.threshold.collect(&threshold),
                    given.threshold.shape(),
                ),
            ]
        });
        LifGradients {
            x,
            v: given.shown(self.v, 1),
            learned,
        }
    }
}

impl LifBackwardPass<'_> {
    /// The gradient of the input in a new vector.
    fn to_new_tensor(
        &self,
        spikes: Option<&[f32]>,
        state: Option<&[f32]>,
    ) -> (Vec<f32>, OfNeurons) {
        let incoming = spikes.map_or(LifIncoming::Zero, LifIncoming::EveryStep);
        let mut found = None;
        // SAFETY: `run` writes every step of every neuron.
        let by_x = unsafe {
            written(self.sequence.steps * self.sequence.neurons, |at| {
                found = Some(self.run(at, incoming, state));
            })
        };
        (by_x, found.expect("it ran"))
    }

    /// Writes the gradient of the input.
    fn run(
        &self,
        by_x: Shared<MaybeUninit<f32>>,
        incoming: LifIncoming,
        state: Option<&[f32]>,
    ) -> OfNeurons {
        let Self {
            sequence,
            known,
            keep,
            learned,
        } = self;
        let (steps, neurons, kernel) = (sequence.steps, sequence.neurons, sequence.kernel);
        let mut by_v = vec![0.0f32; neurons];
        let mut by_learned = learned.then(|| [0; 2].map(|_| vec![0.0f32; neurons]));
        let v_at = Shared::new(&mut by_v);
        let learned_at = by_learned
            .as_mut()
            .map(|values| values.each_mut().map(|values| Shared::new(values)));
        let arch = Arch::new();
        let again = usize::from(*keep == Keep::Input);
        sequence.blocks(again, |block, parameters| {
            let len = block.len();
            // SAFETY: blocks do not overlap, and what they write to lives until all are done.
            let v = unsafe { v_at.part(block.start, len) };
            // SAFETY: as above.
            let learned =
                learned_at.map(|learned| learned.map(|at| unsafe { at.part(block.start, len) }));
            let input = |t: usize| &known[sequence.at(&block, t)..][..len];
            let lengths = [again * steps * len, len, len, len];
            with_scratch(lengths, |[us, room0, room1, room2]| {
                if *keep == Keep::Input {
                    // Recomputes the potentials; the spikes are discarded.
                    let mut spikes = [MaybeUninit::uninit(); BLOCK];
                    sequence.start(&block, room0);
                    for (t, xu) in us.chunks_exact_mut(len).enumerate() {
                        xu.copy_from_slice(input(t));
                        arch.dispatch(LifForwardStep {
                            kernel: &kernel,
                            parameters,
                            xu,
                            v: room0,
                            spikes: &mut spikes[..len],
                        });
                    }
                }
                let u = |t: usize| match keep {
                    Keep::Least | Keep::Membranes => input(t),
                    Keep::Input => &us[t * len..][..len],
                };
                match state {
                    Some(state) => v.copy_from_slice(&state[block.clone()]),
                    None => v.fill(0.0),
                }
                let mut adjoint = StepAdjoint {
                    v,
                    x: &mut [],
                    learned,
                    room: [room0, room1, room2],
                };
                for t in (0..steps).rev() {
                    let at = sequence.at(&block, t);
                    // SAFETY: as above; the rows of a block do not overlap those of another.
                    let row = unsafe { by_x.part(at, len) };
                    adjoint.x = match incoming {
                        // SAFETY: with `InPlace` they were all there before.
                        LifIncoming::InPlace => unsafe { row.assume_init_mut() },
                        LifIncoming::EveryStep(gradient) => {
                            row.write_copy_of_slice(&gradient[block.clone()])
                        }
                        LifIncoming::Zero => row.write_copy_of_slice(&ZEROS[..len]),
                    };
                    let found = Found {
                        u: u(t),
                        before: match (t, sequence.state) {
                            (0, Some(state)) => Before::State(&state[block.clone()]),
                            (0, None) => Before::Rest,
                            _ => Before::Step(u(t - 1)),
                        },
                        x: (self.learned && kernel.decay_input).then(|| input(t)),
                    };
                    arch.dispatch(LifBackwardStep {
                        kernel: &kernel,
                        parameters,
                        found,
                        adjoint: &mut adjoint,
                    });
                }
                if kernel.gradient == TemporalGradient::Off {
                    adjoint.v.fill(0.0);
                }
            });
        });
        OfNeurons {
            v: by_v,
            learned: by_learned,
        }
    }
}

/// Zeros for a block.
static ZEROS: [f32; BLOCK] = [0.0; BLOCK];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neuron::LifConfig;
    use crate::ops::architectures;
    use crate::surrogate::Surrogate;

    #[test]
    fn all_kinds_of_vectors_compute_the_same() {
        // No multiple of any vector.
        const LEN: usize = 77;
        let number = |i: usize| (i * 37 % 101) as f32 / 64.0 - 0.5;
        let config = LifConfig::new().with_surrogate(Surrogate::sigmoid(0.3).unwrap());
        let kernel = LifKernel::new(&config).unwrap();
        let run = |arch: Arch| {
            let (decay, threshold) = ([0.3; LEN], [0.5; LEN]);
            let (mut k, mut gate) = ([0.0; LEN], [0.0; LEN]);
            let parameters = kernel.parameters(&decay, &threshold, &mut k, &mut gate);
            let mut u: [f32; LEN] = std::array::from_fn(number);
            let mut v: [f32; LEN] = std::array::from_fn(|i| number(i + 5));
            let mut spikes = [MaybeUninit::new(f32::NAN); LEN];
            arch.dispatch(LifForwardStep {
                kernel: &kernel,
                parameters,
                xu: &mut u,
                v: &mut v,
                spikes: &mut spikes,
            });
            // SAFETY: they were numbers before.
            let spikes = spikes.map(|spike| unsafe { spike.assume_init() });
            let mut x: [f32; LEN] = std::array::from_fn(|i| number(i + 9));
            let mut by_v: [f32; LEN] = std::array::from_fn(|i| number(i + 13));
            let mut learned = [[0.0; LEN]; 2];
            let [of_decay, of_threshold] = &mut learned;
            let mut room = [[0.0; LEN]; 3];
            let mut adjoint = StepAdjoint {
                v: &mut by_v,
                x: &mut x,
                learned: Some([&mut of_decay[..], &mut of_threshold[..]]),
                room: room.each_mut().map(|room| &mut room[..]),
            };
            arch.dispatch(LifBackwardStep {
                kernel: &kernel,
                parameters,
                found: Found {
                    u: &u,
                    before: Before::Rest,
                    x: None,
                },
                adjoint: &mut adjoint,
            });
            let [of_decay, of_threshold] = learned;
            [u, v, spikes, x, by_v, of_decay, of_threshold]
        };
        let mut all = architectures().into_iter().map(run);
        let first = all.next().unwrap();
        assert!(first[2].contains(&1.0) && first[2].contains(&0.0));
        for other in all {
            assert_eq!(first, other);
        }
    }
}
