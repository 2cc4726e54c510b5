//! The fused LIF neuron on flex: on all cores, in blocks of neurons that stay in the cache, with one pass through memory
//! forward and one backward.

use std::mem::MaybeUninit;
use std::ops::Range;

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use pulp::Arch;

use super::{
    Before, LifBackwardOps, LifBackwardStep, LifForwardStep, LifKept, LifKernel, LifOps,
    LifParameters, LifStart,
};
use crate::ops::Keep;
use crate::ops::backward::{Adjoint, InputGradients, NeuronGradients};
use crate::ops::block::{BLOCK, Neurons, change_whole, read_whole, whole, write_whole};
use crate::ops::memory::{
    Shared, every_step, inverse, slice, slice_mut, tensor, with_scratch, written,
};
use crate::ops::norm::{ChannelNorm, NormRows, of_norm};
use crate::ops::optional::OptionalTensor;

/// The inputs of a sequence in storage order, without the sequence itself.
struct LifInputs<'a> {
    neurons: Neurons,
    /// The normalisation of the sequence, if there is one.
    norm: Option<&'a ChannelNorm>,
    v: Option<FlexTensor>,
    decay: FlexTensor,
    threshold: FlexTensor,
    kernel: LifKernel,
}

impl<'a> LifInputs<'a> {
    fn new(x: &FlexTensor, start: &LifStart<Flex>, norm: Option<&'a ChannelNorm>) -> Self {
        let neurons = Neurons::new(x, false);
        Self {
            norm,
            v: start.v.as_ref().map(|v| neurons.ordered(v)),
            decay: start.decay.to_contiguous(),
            threshold: start.threshold.to_contiguous(),
            kernel: start.kernel,
            neurons,
        }
    }

    /// Runs `body` for each block, with the parameters of its neurons and of their normalisation. `kept` is the number of
    /// elements that `body` keeps per neuron and step.
    fn blocks(
        &self,
        kept: usize,
        body: impl Fn(Range<usize>, LifParameters, Option<NormRows>) + Sync,
    ) {
        let decays = self.neurons.parameter(slice(&self.decay));
        let thresholds = self.neurons.parameter(slice(&self.threshold));
        let run = |block: Range<usize>| {
            let row = whole(block.len());
            with_scratch(
                [row, row, row, of_norm(self.norm, 3 * row)],
                |[decay, threshold, gate, norm]| {
                    decays.fill(block.start, decay);
                    thresholds.fill(block.start, threshold);
                    let parameters = LifParameters::new(&self.kernel, decay, threshold, gate);
                    let norm = self.norm.map(|of| of.rows(&self.neurons, &block, norm));
                    body(block, parameters, norm);
                },
            );
        };
        self.neurons.blocks(kept * self.neurons.steps(), run);
    }

    /// Writes the initial state.
    fn start(&self, block: &Range<usize>, v: &mut [f32]) {
        match &self.v {
            Some(state) => self.neurons.read(slice(state), block, v),
            None => v.fill(self.kernel.equations.rest as f32),
        }
    }
}

/// Spikes and the final state of neurons behind a normalisation.
pub fn forward_normalized(
    x: FlexTensor,
    start: &LifStart<Flex>,
    norm: &ChannelNorm,
) -> (FlexTensor, FlexTensor) {
    let (spikes, state, _) = forward(x, start, Some(norm), false);
    (spikes, state)
}

/// The spikes, the final state and, if `membranes`, the potentials before reset.
fn forward(
    x: FlexTensor,
    start: &LifStart<Flex>,
    norm: Option<&ChannelNorm>,
    membranes: bool,
) -> (FlexTensor, FlexTensor, Option<FlexTensor>) {
    let given = LifInputs::new(&x, start, norm);
    let (steps, neurons) = (given.neurons.steps(), given.neurons.count());
    // The only handle from here on, so that an unshared input can be overwritten.
    let mut x = {
        let shared = x;
        given.neurons.ordered(&shared)
    };
    let mut last = vec![0.0f32; neurons];
    let last_at = Shared::new(&mut last);
    let arch = Arch::new();
    // Writes the spikes, and the potentials to `kept`, where they replace the input unless there is one beside them.
    let run = |input: Option<&[f32]>, kept: Option<Shared<MaybeUninit<f32>>>| {
        let write = |spikes: Shared<MaybeUninit<f32>>| {
            given.blocks(0, |block, parameters, norm| {
                let len = block.len();
                with_scratch([whole(len); 3], |[v, room, fired]| {
                    given.start(&block, v);
                    for t in 0..steps {
                        let at = given.neurons.at(&block, t);
                        // SAFETY: the rows of a block do not overlap those of another, and live until all are done.
                        let spikes = unsafe { spikes.part(at, len) };
                        let mut step = |xu: &mut [f32]| {
                            let step = |spikes: &mut [MaybeUninit<f32>]| {
                                arch.dispatch(LifForwardStep {
                                    kernel: &given.kernel,
                                    parameters,
                                    xu,
                                    v,
                                    spikes,
                                });
                            };
                            // SAFETY: a step writes all spikes.
                            unsafe { write_whole(spikes, fired, step) };
                        };
                        // SAFETY: as above.
                        let row = kept.map(|kept| unsafe { kept.part(at, len) });
                        match (input.map(|input| &input[at..][..len]), row) {
                            (Some(input), Some(row)) => {
                                change_whole(row.write_copy_of_slice(input), room, step);
                            }
                            (Some(input), None) => {
                                copy_row(input, norm, room);
                                step(room);
                            }
                            (None, row) => {
                                let row = row.expect("the input, or its place");
                                // SAFETY: these are the elements of the input.
                                change_whole(unsafe { row.assume_init_mut() }, room, step);
                            }
                        }
                    }
                    // SAFETY: as above.
                    unsafe { given.neurons.write(v, &block, last_at) };
                });
            });
        };
        // SAFETY: the blocks are all neurons, and each writes every step.
        unsafe { written(steps * neurons, write) }
    };
    let (spikes, kept) = match (membranes, x.is_unique()) {
        (false, _) => (run(Some(slice(&x)), None), None),
        (true, true) => {
            let spikes = run(None, Some(Shared::new(slice_mut(&mut x)).maybe_unwritten()));
            (spikes, Some(x.permute(&inverse(given.neurons.order()))))
        }
        (true, false) => {
            let mut spikes = Vec::new();
            // SAFETY: as of the spikes.
            let kept = unsafe {
                written(steps * neurons, |kept| {
                    spikes = run(Some(slice(&x)), Some(kept));
                })
            };
            (spikes, Some(given.neurons.shown(kept, steps)))
        }
    };
    let spikes = given.neurons.shown(spikes, steps);
    (spikes, given.neurons.shown(last, 1), kept)
}

impl LifOps for Flex {
    fn lif(
        x: FlexTensor,
        v: OptionalTensor<Self>,
        decay: FlexTensor,
        threshold: FlexTensor,
        kernel: LifKernel,
    ) -> (FlexTensor, FlexTensor) {
        let start = LifStart::new(v, decay, threshold, kernel);
        let (spikes, state, _) = forward(x, &start, None, false);
        (spikes, state)
    }
}

/// Copies an input, normalised where there is a normalisation.
fn copy_row(x: &[f32], norm: Option<NormRows>, to: &mut [f32]) {
    match norm {
        Some(norm) => norm.normalize(x, to),
        None => to[..x.len()].copy_from_slice(x),
    }
}

impl LifBackwardOps for Flex {
    fn lif_kept(
        x: FlexTensor,
        start: LifStart<Self>,
        learned: bool,
    ) -> (FlexTensor, FlexTensor, LifKept<Self>) {
        // The gradient of a decay that scales the input needs the input.
        let keep = match (
            start.kernel.keep,
            learned && start.kernel.equations.decay_input,
        ) {
            (_, true) | (Keep::Input, _) => Keep::Input,
            (Keep::Least | Keep::Membranes, false) => Keep::Membranes,
        };
        let sequence = match keep {
            Keep::Input => Some(x.clone()),
            _ => None,
        };
        let (spikes, state, membranes) = forward(x, &start, None, keep != Keep::Input);
        let kept = LifKept {
            sequence: sequence.or(membranes).expect("one of them is there"),
            keep,
            start,
            learned,
        };
        (spikes, state, kept)
    }

    fn lif_backward(kept: LifKept<Self>, outputs: Adjoint<Self>) -> InputGradients<Self, 4> {
        let found = backward(&kept, None, outputs);
        let [decay, threshold] = found.learned;
        [Some(found.x), Some(found.state), decay, threshold]
    }
}

/// The gradients, from that of one output.
pub fn backward(
    kept: &LifKept<Flex>,
    norm: Option<&ChannelNorm>,
    outputs: Adjoint<Flex>,
) -> NeuronGradients<Flex> {
    let given = LifInputs::new(&kept.sequence, &kept.start, norm);
    let neurons = &given.neurons;
    let known = neurons.ordered(&kept.sequence);
    let back = LifBackwardPass {
        given: &given,
        known: slice(&known),
        keep: kept.keep,
        learned: kept.learned,
    };
    match outputs {
        Adjoint::State(gradient) => {
            let gradient = neurons.ordered(&gradient);
            back.to_new_tensor(None, Some(slice(&gradient)))
        }
        Adjoint::Spikes(gradient) => {
            let mut inside = gradient.permute(neurons.order());
            drop(gradient);
            if let Some(step) = every_step(&inside) {
                return back.to_new_tensor(Some(step), None);
            }
            if !inside.is_contiguous() {
                inside = inside.to_contiguous();
            }
            // As many rows as those of the neurons.
            assert_eq!(
                inside.shape(),
                known.shape(),
                "kernel: a gradient of the spikes"
            );
            // In place if it is not shared.
            let at = Shared::new(slice_mut(&mut inside)).maybe_unwritten();
            let found = back.run(at, LifIncoming::InPlace, None);
            found.gradients(inside.permute(&inverse(neurons.order())), &given)
        }
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
    given: &'a LifInputs<'a>,
    /// The saved sequence.
    known: &'a [f32],
    keep: Keep,
    learned: bool,
}

/// All gradients but the input's, per neuron.
struct OfNeurons {
    v: Vec<f32>,
    /// Of decay and threshold, one after the other, if needed.
    learned: Option<Vec<f32>>,
    sums: Vec<f32>,
}

impl OfNeurons {
    fn gradients(self, x: FlexTensor, given: &LifInputs) -> NeuronGradients<Flex> {
        let neurons = &given.neurons;
        let sum = |row: usize, parameter: &FlexTensor| {
            let count = neurons.count();
            let of_neurons = &self.learned.as_ref()?[row * count..(row + 1) * count];
            let sums = neurons.parameter(slice(parameter)).collect(of_neurons);
            Some(tensor(sums, parameter.shape()))
        };
        NeuronGradients {
            x,
            learned: [sum(0, &given.decay), sum(1, &given.threshold)],
            state: neurons.shown(self.v, 1),
            sums: self.sums,
        }
    }
}

impl LifBackwardPass<'_> {
    /// The gradients, with that of the input in a new tensor.
    fn to_new_tensor(
        &self,
        spikes: Option<&[f32]>,
        state: Option<&[f32]>,
    ) -> NeuronGradients<Flex> {
        let neurons = &self.given.neurons;
        let incoming = spikes.map_or(LifIncoming::Zero, LifIncoming::EveryStep);
        let mut found = None;
        // SAFETY: `run` writes every step of every neuron.
        let by_x = unsafe {
            written(neurons.steps() * neurons.count(), |at| {
                found = Some(self.run(at, incoming, state));
            })
        };
        let found = found.expect("it ran");
        found.gradients(neurons.shown(by_x, neurons.steps()), self.given)
    }

    /// Writes the gradient of the input.
    fn run(
        &self,
        by_x: Shared<MaybeUninit<f32>>,
        incoming: LifIncoming,
        state: Option<&[f32]>,
    ) -> OfNeurons {
        let Self { given, known, .. } = self;
        let (steps, neurons) = (given.neurons.steps(), given.neurons.count());
        let kernel = &given.kernel;
        let mut by_v = vec![0.0f32; neurons];
        let learned = if self.learned { 2 } else { 0 };
        let mut by_learned = vec![0.0f32; learned * neurons];
        let mut of_norms = vec![0.0f32; of_norm(given.norm, 2 * neurons)];
        let (v_at, learned_at) = (Shared::new(&mut by_v), Shared::new(&mut by_learned));
        let of_norms_at = Shared::new(&mut of_norms);
        let arch = Arch::new();
        let again = usize::from(self.keep == Keep::Input);
        given.blocks(again, |block, parameters, norm| {
            let len = block.len();
            let row = whole(len);
            let saved = |t: usize| &known[given.neurons.at(&block, t)..][..len];
            let mut lengths = [row; 10];
            let own = [again * steps, learned, of_norm(given.norm, 2)];
            lengths[..3].copy_from_slice(&own.map(|rows| rows * row));
            with_scratch(lengths, |parts| {
                let [
                    us,
                    sums,
                    norm_sums,
                    v,
                    u_room,
                    before_room,
                    x_room,
                    by_x_room,
                    slope0,
                    slope1,
                ] = parts;
                if self.keep == Keep::Input {
                    // Recomputes the potentials; the spikes are discarded.
                    let mut spikes = [MaybeUninit::uninit(); BLOCK];
                    given.start(&block, v);
                    for (t, xu) in us.chunks_exact_mut(row).enumerate() {
                        copy_row(saved(t), norm, xu);
                        arch.dispatch(LifForwardStep {
                            kernel,
                            parameters,
                            xu,
                            v,
                            spikes: &mut spikes[..row],
                        });
                    }
                }
                v.fill(0.0);
                if let Some(state) = state {
                    given.neurons.read(state, &block, v);
                }
                sums.fill(0.0);
                norm_sums.fill(0.0);
                for t in (0..steps).rev() {
                    let at = given.neurons.at(&block, t);
                    // SAFETY: the rows of a block do not overlap those of another, and live until all are done; with
                    // `InPlace` they were all there before.
                    let by_x = unsafe {
                        match incoming {
                            LifIncoming::InPlace => by_x.part(at, len).assume_init_mut(),
                            LifIncoming::EveryStep(gradient) => by_x
                                .part(at, len)
                                .write_copy_of_slice(&gradient[block.clone()]),
                            LifIncoming::Zero => by_x.zeros(at, len),
                        }
                    };
                    let u = |t: usize| match self.keep {
                        Keep::Least | Keep::Membranes => saved(t),
                        Keep::Input => &us[t * row..][..row],
                    };
                    let before = match t {
                        0 => {
                            given.start(&block, before_room);
                            Before::State(before_room)
                        }
                        _ => Before::Step(read_whole(u(t - 1), before_room)),
                    };
                    let scaled = self.learned && kernel.equations.decay_input;
                    let x = scaled.then(|| NormRows::read(norm, saved(t), x_room));
                    change_whole(by_x, by_x_room, |by_x| {
                        arch.dispatch(LifBackwardStep {
                            kernel,
                            parameters,
                            u: read_whole(u(t), u_room),
                            before,
                            x,
                            by_v: v,
                            by_x,
                            learned: self.learned.then(|| sums.split_at_mut(row).into()),
                            slopes: [&mut *slope0, &mut *slope1],
                        });
                        if let Some(norm) = norm {
                            norm.add_sums(saved(t), by_x, norm_sums);
                        }
                    });
                }
                // SAFETY: as above.
                unsafe {
                    given.neurons.write(v, &block, v_at);
                    given.neurons.write(sums, &block, learned_at);
                    given.neurons.write(norm_sums, &block, of_norms_at);
                }
            });
        });
        OfNeurons {
            v: by_v,
            learned: self.learned.then_some(by_learned),
            sums: of_norms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neuron::{EquationConfig, LifConfig, Reset};
    use crate::ops::architectures;
    use crate::ops::block::LANES;
    use crate::surrogate::Surrogate;

    #[test]
    fn all_kinds_of_vectors_compute_the_same() {
        const LEN: usize = 5 * LANES;
        let number = |i: usize| (i * 37 % 101) as f32 / 64.0 - 0.5;
        let check = |reset: Reset, decay_input: bool, learn: bool| {
            let config = LifConfig::new()
                .with_surrogate(Surrogate::sigmoid(0.3).unwrap())
                .with_decay_input(decay_input)
                .with_reset(reset);
            let kernel = config.kernel().unwrap();
            let run = |arch: Arch| {
                let (decay, threshold, mut gate) = ([0.3; LEN], [0.5; LEN], [0.0; LEN]);
                let parameters = LifParameters::new(&kernel, &decay, &threshold, &mut gate);
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
                let x: [f32; LEN] = std::array::from_fn(|i| number(i + 3));
                let mut by_x: [f32; LEN] = std::array::from_fn(|i| number(i + 9));
                let mut by_v: [f32; LEN] = std::array::from_fn(|i| number(i + 13));
                let (mut learned, mut slopes) = ([[0.0; LEN]; 2], [[0.0; LEN]; 2]);
                arch.dispatch(LifBackwardStep {
                    kernel: &kernel,
                    parameters,
                    u: &u,
                    before: Before::Step(&x),
                    x: decay_input.then_some(&x[..]),
                    by_v: &mut by_v,
                    by_x: &mut by_x,
                    learned: learn.then(|| learned.each_mut().map(|sums| &mut sums[..])),
                    slopes: slopes.each_mut().map(|slopes| &mut slopes[..]),
                });
                let [of_decay, of_threshold] = learned;
                [u, v, spikes, by_x, by_v, of_decay, of_threshold]
            };
            let mut all = architectures().into_iter().map(run);
            let first = all.next().unwrap();
            assert!(first[2].contains(&1.0) && first[2].contains(&0.0));
            for other in all {
                assert_eq!(first, other, "{reset:?}");
            }
        };
        let (hard, late) = (Reset::Hard { to: 0.1 }, Reset::DelayedHard { to: 0.1 });
        for reset in [
            Reset::HARD,
            hard,
            Reset::Exponential,
            Reset::Soft,
            late,
            Reset::DelayedSoft,
        ] {
            for (decay_input, learn) in [(false, false), (false, true), (true, true)] {
                check(reset, decay_input, learn);
            }
        }
    }
}
