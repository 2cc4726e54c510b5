//! Neurons fused from their equations on flex: on all cores, in blocks of neurons that stay in the cache.
//!
//! Only the input of a sequence is saved for backward. The backward pass recomputes a block of neurons forward, then walks
//! back step by step with dual numbers, which carry derivatives.

use std::mem::MaybeUninit;
use std::ops::Range;

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use pulp::{Arch, Simd, WithSimd};

use super::{DynamicsGiven, DynamicsKernel, DynamicsOps};
use crate::dynamics::{Dual, Dynamics, FireDual, FireStep, Wide};
use crate::ops::backward::{Adjoint, InputGradients, NeuronGradients, NeuronKept};
use crate::ops::block::{Neurons, PerNeuron, read_whole, whole, write_whole};
use crate::ops::memory::{Shared, slice, tensor, with_scratch, written};
use crate::ops::norm::{ChannelNorm, NormRows, of_norm};
use crate::ops::optional::OptionalTensor;

/// A sequence, its state and parameters, in storage order.
struct DynamicsSequence<'a> {
    neurons: Neurons,
    /// The normalisation of the sequence, if there is one.
    norm: Option<&'a ChannelNorm>,
    x: FlexTensor,
    carried: Option<FlexTensor>,
    parameters: FlexTensor,
}

impl<'a> DynamicsSequence<'a> {
    fn new(given: &DynamicsGiven<Flex>, norm: Option<&'a ChannelNorm>) -> Self {
        let neurons = Neurons::new(&given.x, given.kernel.per_neuron);
        let carried = given.carried.as_ref();
        Self {
            x: neurons.ordered(&given.x),
            norm,
            carried: carried.map(|carried| neurons.ordered(carried)),
            parameters: given.parameters.to_contiguous(),
            neurons,
        }
    }

    /// Parameter `p` of each neuron.
    fn parameter(&self, p: usize) -> PerNeuron<'_> {
        let channels = self.parameters.shape()[1];
        let row = &slice(&self.parameters)[p * channels..][..channels];
        self.neurons.parameter(row)
    }

    /// Writes the initial state of a block, one variable after the other.
    fn start(&self, rest: &[f64], block: &Range<usize>, carried: &mut [f32]) {
        if let Some(from) = &self.carried {
            return self.neurons.read(slice(from), block, carried);
        }
        for (to, rest) in carried.chunks_exact_mut(whole(block.len())).zip(rest) {
            to.fill(*rest as f32);
        }
    }

    /// The normalisation of a block, in `room`.
    fn norm_rows<'r>(&self, block: &Range<usize>, room: &'r mut [f32]) -> Option<NormRows<'r>> {
        self.norm.map(|norm| norm.rows(&self.neurons, block, room))
    }

    /// Writes the parameters of a block, one after the other.
    fn fill_parameters(&self, block: &Range<usize>, parameters: &mut [f32]) {
        for (p, to) in parameters.chunks_exact_mut(whole(block.len())).enumerate() {
            self.parameter(p).fill(block.start, to);
        }
    }
}

/// A step of a block of neurons, in rows of whole vectors.
pub(crate) struct BlockForward<'a> {
    fire: FireStep,
    /// One after the other.
    parameters: &'a [f32],
    x: &'a [f32],
    carried: &'a mut [f32],
    spikes: Option<&'a mut [MaybeUninit<f32>]>,
}

/// A block with its equations, for pulp.
struct WithEquations<'e, T, E, const N: usize, const P: usize, const Q: usize>(T, &'e E);

impl BlockForward<'_> {
    /// Runs the step.
    pub fn run<E: Dynamics<N, P>, const N: usize, const P: usize>(self, equations: &E, arch: Arch) {
        arch.dispatch(WithEquations::<_, E, N, P, 0>(self, equations));
    }
}

impl<E: Dynamics<N, P>, const N: usize, const P: usize> WithSimd
    for WithEquations<'_, BlockForward<'_>, E, N, P, 0>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self(block, equations) = self;
        let BlockForward {
            fire,
            parameters,
            x,
            carried,
            mut spikes,
        } = block;
        let len = x.len();
        let zero = Wide::splat(simd, 0.0);
        for at in (0..len).step_by(Wide::<S>::WIDTH) {
            let mut given = [zero; P];
            for (p, given) in given.iter_mut().enumerate() {
                *given = Wide::load(simd, &parameters[p * len..][..len], at);
            }
            let mut before = [zero; N];
            for (n, before) in before.iter_mut().enumerate() {
                *before = Wide::load(simd, &carried[n * len..][..len], at);
            }
            let step = equations.step(&given, before, Wide::load(simd, x, at), &fire);
            for (n, after) in step.carried.iter().enumerate() {
                after.store(&mut carried[n * len..][..len], at);
            }
            if let Some(spikes) = &mut spikes {
                step.spike.write(spikes, at);
            }
        }
    }
}

/// The backward pass of a step of a block.
pub(crate) struct BlockBackward<'a> {
    fire: FireDual,
    /// True if the carried state is a constant.
    off: bool,
    parameters: &'a [f32],
    x: &'a [f32],
    /// The state before the step.
    carried: &'a [f32],
    /// The gradient of the spikes, if there is one.
    by_spikes: Option<&'a [f32]>,
    /// The gradient of the state after the step; becomes that of the state before it.
    by_carried: &'a mut [f32],
    by_x: &'a mut [MaybeUninit<f32>],
    /// The gradients of the parameters, accumulated, if they are learned.
    by_parameters: &'a mut [f32],
}

impl BlockBackward<'_> {
    /// Runs the step, with gradients of `Q` parameters: all or none.
    pub fn run<E: Dynamics<N, P>, const N: usize, const P: usize, const Q: usize>(
        self,
        equations: &E,
        arch: Arch,
    ) {
        arch.dispatch(WithEquations::<_, E, N, P, Q>(self, equations));
    }
}

impl<E: Dynamics<N, P>, const N: usize, const P: usize, const Q: usize> WithSimd
    for WithEquations<'_, BlockBackward<'_>, E, N, P, Q>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self(block, equations) = self;
        let BlockBackward {
            fire,
            off,
            parameters,
            x,
            carried,
            by_spikes,
            by_carried,
            by_x,
            by_parameters,
        } = block;
        let len = x.len();
        let zero = Wide::splat(simd, 0.0);
        let one = Wide::splat(simd, 1.0);
        for at in (0..len).step_by(Wide::<S>::WIDTH) {
            let mut given = [Dual::<S, N, Q>::of(zero); P];
            for (p, given) in given.iter_mut().enumerate() {
                given.value = Wide::load(simd, &parameters[p * len..][..len], at);
                if let Some(by) = given.by_parameters.get_mut(p) {
                    *by = one;
                }
            }
            let mut before = [Dual::<S, N, Q>::of(zero); N];
            for (n, before) in before.iter_mut().enumerate() {
                before.value = Wide::load(simd, &carried[n * len..][..len], at);
                if !off {
                    before.by_carried[n] = one;
                }
            }
            let mut x = Dual::<S, N, Q>::of(Wide::load(simd, x, at));
            x.by_x = one;
            let step = equations.step(&given, before, x, &fire);
            let mut found = Dual::<S, N, Q>::of(zero);
            if let Some(by_spikes) = by_spikes {
                found.add_scaled(Wide::load(simd, by_spikes, at), &step.spike);
            }
            if !off {
                for (n, after) in step.carried.iter().enumerate() {
                    let by = Wide::load(simd, &by_carried[n * len..][..len], at);
                    found.add_scaled(by, after);
                }
            }
            for n in 0..N {
                found.by_carried[n].store(&mut by_carried[n * len..][..len], at);
            }
            found.by_x.write(by_x, at);
            for q in 0..Q {
                let sums = &mut by_parameters[q * len..][..len];
                (Wide::load(simd, sums, at) + found.by_parameters[q]).store(sums, at);
            }
        }
    }
}

impl DynamicsOps for Flex {
    fn dynamics(
        x: FlexTensor,
        carried: OptionalTensor<Self>,
        parameters: FlexTensor,
        kernel: DynamicsKernel,
    ) -> (FlexTensor, FlexTensor) {
        let given = DynamicsGiven {
            x,
            carried: carried.into_option(),
            parameters,
            kernel,
        };
        given.forward(None)
    }
}

impl DynamicsGiven<Flex> {
    /// The spikes and the final state.
    pub fn forward(&self, norm: Option<&ChannelNorm>) -> (FlexTensor, FlexTensor) {
        let kernel = &self.kernel;
        let sequence = DynamicsSequence::new(self, norm);
        let equations = kernel.equations.any();
        let (steps, neurons) = (sequence.neurons.steps(), sequence.neurons.count());
        let (n, p) = (equations.carried().len(), equations.parameters());
        let rest = equations.rest();
        let x = slice(&sequence.x);
        let fire = FireStep {
            strict: kernel.strict,
        };
        let arch = Arch::new();
        let mut left = vec![0.0; n * neurons];
        let left_at = Shared::new(&mut left);
        let run = |spikes: Shared<MaybeUninit<f32>>| {
            sequence.neurons.blocks(n + p, |block| {
                let (len, row) = (block.len(), whole(block.len()));
                let lengths = [p * row, n * row, row, row, of_norm(norm, 3 * row)];
                with_scratch(lengths, |[parameters, carried, room, fired, norm]| {
                    let norm = sequence.norm_rows(&block, norm);
                    sequence.fill_parameters(&block, parameters);
                    sequence.start(&rest, &block, carried);
                    for t in 0..steps {
                        let at = sequence.neurons.at(&block, t);
                        // SAFETY: the rows of a block do not overlap those of another, and live until all are done.
                        let spikes = unsafe { spikes.part(at, len) };
                        let body = |spikes: &mut [MaybeUninit<f32>]| {
                            let step = BlockForward {
                                fire,
                                parameters,
                                x: NormRows::read(norm, &x[at..][..len], room),
                                carried,
                                spikes: Some(spikes),
                            };
                            equations.step_forward(arch, step);
                        };
                        // SAFETY: a step writes all spikes.
                        unsafe { write_whole(spikes, fired, body) };
                    }
                    // SAFETY: as above.
                    unsafe { sequence.neurons.write(carried, &block, left_at) };
                });
            });
        };
        // SAFETY: the blocks are all neurons, and each writes every step.
        let spikes = unsafe { written(steps * neurons, run) };
        let shown = |values, rows| sequence.neurons.shown(values, rows);
        (shown(spikes, steps), shown(left, n))
    }

    /// The gradients, from that of one output.
    pub fn gradients(
        &self,
        norm: Option<&ChannelNorm>,
        outputs: &Adjoint<Flex>,
        learned: bool,
    ) -> NeuronGradients<Flex> {
        let kernel = &self.kernel;
        let equations = kernel.equations.any();
        let sequence = DynamicsSequence::new(self, norm);
        let (steps, neurons) = (sequence.neurons.steps(), sequence.neurons.count());
        let (n, p) = (equations.carried().len(), equations.parameters());
        let rest = equations.rest();
        let x = slice(&sequence.x);
        let (Adjoint::Spikes(gradient) | Adjoint::State(gradient)) = outputs;
        let gradient = sequence.neurons.ordered(gradient);
        let (of_spikes, of_carried) = match outputs {
            Adjoint::Spikes(_) => (Some(slice(&gradient)), None),
            Adjoint::State(_) => (None, Some(slice(&gradient))),
        };
        let fire = FireStep {
            strict: kernel.strict,
        };
        let fire_back = FireDual {
            step: fire,
            surrogate: kernel.surrogate,
        };
        let arch = Arch::new();
        let mut by_carried = vec![0.0; n * neurons];
        let carried_at = Shared::new(&mut by_carried);
        let q = if learned { p } else { 0 };
        let mut by_parameters = vec![0.0; q * neurons];
        let parameters_at = Shared::new(&mut by_parameters);
        let mut of_norms = vec![0.0; of_norm(norm, 2 * neurons)];
        let of_norms_at = Shared::new(&mut of_norms);
        let run = |by_x: Shared<MaybeUninit<f32>>| {
            let kept = (steps + 1) * n + 2 * p;
            sequence.neurons.blocks(kept, |block| {
                let (len, row) = (block.len(), whole(block.len()));
                let of_state = n * row;
                let mut lengths = [row; 9];
                let own = [p * row, (steps + 1) * of_state, of_state, q * row];
                lengths[..4].copy_from_slice(&own);
                lengths[4] = of_norm(norm, 3 * row);
                lengths[5] = of_norm(norm, 2 * row);
                with_scratch(lengths, |parts| {
                    let [
                        parameters,
                        all,
                        by_carried,
                        by_parameters,
                        norm,
                        sums,
                        room0,
                        room1,
                        room2,
                    ] = parts;
                    let norm = sequence.norm_rows(&block, norm);
                    sums.fill(0.0);
                    sequence.fill_parameters(&block, parameters);
                    sequence.start(&rest, &block, &mut all[..of_state]);
                    // Recomputes the states; the spikes are discarded.
                    for t in 0..steps {
                        let (before, after) = all[t * of_state..].split_at_mut(of_state);
                        let after = &mut after[..of_state];
                        after.copy_from_slice(before);
                        let step = BlockForward {
                            fire,
                            parameters,
                            x: NormRows::read(
                                norm,
                                &x[sequence.neurons.at(&block, t)..][..len],
                                room0,
                            ),
                            carried: after,
                            spikes: None,
                        };
                        equations.step_forward(arch, step);
                    }
                    by_carried.fill(0.0);
                    if let Some(from) = of_carried {
                        sequence.neurons.read(from, &block, by_carried);
                    }
                    by_parameters.fill(0.0);
                    for t in (0..steps).rev() {
                        let at = sequence.neurons.at(&block, t);
                        let by_spikes = of_spikes.map(|by| read_whole(&by[at..][..len], room1));
                        // SAFETY: the rows of a block do not overlap those of another, and live until all are done.
                        let by_x = unsafe { by_x.part(at, len) };
                        let body = |by_x: &mut [MaybeUninit<f32>]| {
                            let step = BlockBackward {
                                fire: fire_back,
                                off: kernel.off,
                                parameters,
                                x: NormRows::read(norm, &x[at..][..len], room0),
                                carried: &all[t * of_state..][..of_state],
                                by_spikes,
                                by_carried,
                                by_x,
                                by_parameters,
                            };
                            equations.step_backward(arch, step, learned);
                        };
                        // SAFETY: a step writes all gradients.
                        unsafe { write_whole(by_x, room2, body) };
                        if let Some(norm) = norm {
                            // SAFETY: it was just written.
                            let by_x = unsafe { by_x.assume_init_ref() };
                            norm.add_sums(&x[at..][..len], by_x, sums);
                        }
                    }
                    // SAFETY: as above.
                    unsafe {
                        sequence.neurons.write(sums, &block, of_norms_at);
                        sequence.neurons.write(by_carried, &block, carried_at);
                        sequence.neurons.write(by_parameters, &block, parameters_at);
                    }
                });
            });
        };
        // SAFETY: the blocks are all neurons, and each writes every step.
        let by_x = unsafe { written(steps * neurons, run) };
        let parameters = learned.then(|| {
            let sums = (0..p).flat_map(|p| {
                let of_neurons = &by_parameters[p * neurons..][..neurons];
                sequence.parameter(p).collect(of_neurons)
            });
            tensor(sums.collect(), self.parameters.shape())
        });
        NeuronGradients {
            x: sequence.neurons.shown(by_x, steps),
            state: sequence.neurons.shown(by_carried, n),
            learned: [parameters, None],
            sums: of_norms,
        }
    }
}

impl NeuronKept<Flex, 3> for DynamicsGiven<Flex> {
    fn backward(self, outputs: Adjoint<Flex>, needs: [bool; 3]) -> InputGradients<Flex, 3> {
        let [_, _, learned] = needs;
        let found = self.gradients(None, &outputs, learned);
        let [parameters, _] = found.learned;
        [Some(found.x), Some(found.state), parameters]
    }
}
