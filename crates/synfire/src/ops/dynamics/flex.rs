//! Neurons fused from their equations on flex: on all cores, in blocks of neurons that stay in the cache.
//!
//! Only the input of a sequence is saved for backward. The backward pass recomputes a block of neurons forward, then walks
//! back step by step with dual numbers, which carry derivatives.

use std::mem::MaybeUninit;
use std::ops::Range;

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    DynamicsAdjoint, DynamicsBackwardOps, DynamicsGiven, DynamicsGradients, DynamicsKernel,
    DynamicsOps,
};
use crate::dynamics::{AnyDynamics, Dual, Dynamics, FireDual, FireStep, Wide};
use crate::ops::lif::PerNeuron;
use crate::ops::memory::{
    Shared, inner, ordered, shown, slice, storage_order, tensor, with_scratch, written,
};
use crate::ops::optional::OptionalTensor;

/// The largest number of neurons in a block.
const BLOCK: usize = 1024;
/// Elements that a block may keep for all of its time steps, so that they stay in a core's own cache.
const BLOCK_NUMBERS: usize = 128 * 1024;

/// Writes the elements that fit from `at` on.
#[inline(always)]
fn store<S: Simd>(wide: Wide<S>, to: &mut [f32], at: usize) {
    let end = to.len().min(at + Wide::<S>::WIDTH);
    to[at..end].copy_from_slice(&wide.as_slice()[..end - at]);
}

/// [`store`] to uninitialised memory.
#[inline(always)]
fn write<S: Simd>(wide: Wide<S>, to: &mut [MaybeUninit<f32>], at: usize) {
    let end = to.len().min(at + Wide::<S>::WIDTH);
    to[at..end].write_copy_of_slice(&wide.as_slice()[..end - at]);
}

/// A sequence, its state and parameters, in storage order.
struct DynamicsSequence {
    shape: Shape,
    /// The axes in storage order.
    order: Vec<usize>,
    x: FlexTensor,
    carried: Option<FlexTensor>,
    parameters: FlexTensor,
    /// The number of neighbouring neurons per channel.
    inner: usize,
}

impl DynamicsSequence {
    fn new(
        x: &FlexTensor,
        carried: Option<&FlexTensor>,
        parameters: &FlexTensor,
        kernel: &DynamicsKernel,
    ) -> Self {
        let mut order = storage_order(x);
        if kernel.per_neuron {
            // The order of the parameters.
            order.sort_unstable();
        }
        let shape = x.shape();
        Self {
            x: ordered(x, &order),
            carried: carried.map(|carried| ordered(carried, &order)),
            parameters: parameters.to_contiguous(),
            inner: match kernel.per_neuron {
                true => 1,
                false => inner(&shape, &order),
            },
            shape,
            order,
        }
    }

    fn steps(&self) -> usize {
        self.shape[0]
    }

    fn neurons(&self) -> usize {
        let shape: &[usize] = &self.shape;
        shape[1..].iter().product()
    }

    /// Parameter `p` of each neuron.
    fn parameter(&self, p: usize) -> PerNeuron<'_> {
        let channels = self.parameters.shape()[1];
        PerNeuron::new(
            &slice(&self.parameters)[p * channels..][..channels],
            self.inner,
        )
    }

    /// Runs `body` for each block of neurons. `kept` is the number of elements that `body` keeps per neuron.
    fn blocks(&self, kept: usize, body: impl Fn(Range<usize>) + Sync) {
        let neurons = self.neurons();
        let tasks = 4 * rayon::current_num_threads();
        let fit = BLOCK_NUMBERS / kept.max(1);
        let block = (neurons.div_ceil(tasks).min(fit) / 64 * 64).clamp(64, BLOCK);
        let run = |i: usize| body(i * block..neurons.min((i + 1) * block));
        let count = neurons.div_ceil(block);
        match self.steps() * neurons {
            // Too small to be worth other cores.
            0..8192 => (0..count).for_each(run),
            _ => (0..count).into_par_iter().for_each(run),
        }
    }

    /// Writes the initial state of a block, one variable after the other.
    fn start(&self, rest: &[f64], block: &Range<usize>, carried: &mut [f32]) {
        let neurons = self.neurons();
        for (n, to) in carried.chunks_exact_mut(block.len()).enumerate() {
            match &self.carried {
                Some(from) => to.copy_from_slice(&slice(from)[n * neurons..][block.clone()]),
                None => to.fill(rest[n] as f32),
            }
        }
    }

    /// Writes the parameters of a block, one after the other.
    fn fill_parameters(&self, block: &Range<usize>, parameters: &mut [f32]) {
        for (p, to) in parameters.chunks_exact_mut(block.len()).enumerate() {
            self.parameter(p).fill(block.start, to);
        }
    }

    /// A tensor from elements in storage order, with its axes in their usual order.
    fn shown(&self, values: Vec<f32>, rows: usize) -> FlexTensor {
        let mut shape = self.shape.clone();
        shape[0] = rows;
        shown(values, &shape, &self.order)
    }
}

/// A step of a block of neurons.
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
                store(*after, &mut carried[n * len..][..len], at);
            }
            if let Some(spikes) = &mut spikes {
                write(step.spike, spikes, at);
            }
        }
    }
}

/// The backward pass of a step of a block.
pub(crate) struct BlockBackward<'a> {
    fire: FireDual,
    /// Whether the carried state is a constant.
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
                store(found.by_carried[n], &mut by_carried[n * len..][..len], at);
            }
            write(found.by_x, by_x, at);
            for q in 0..Q {
                let sums = &mut by_parameters[q * len..][..len];
                store(
                    Wide::load(simd, sums, at) + found.by_parameters[q],
                    sums,
                    at,
                );
            }
        }
    }
}

fn forward(
    equations: &dyn AnyDynamics,
    kernel: &DynamicsKernel,
    sequence: &DynamicsSequence,
) -> (FlexTensor, FlexTensor) {
    let (steps, neurons) = (sequence.steps(), sequence.neurons());
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
        sequence.blocks(n + p, |block| {
            let len = block.len();
            with_scratch([p * len, n * len], |[parameters, carried]| {
                sequence.fill_parameters(&block, parameters);
                sequence.start(&rest, &block, carried);
                for t in 0..steps {
                    let at = t * neurons + block.start;
                    let step = BlockForward {
                        fire,
                        parameters,
                        x: &x[at..][..len],
                        carried,
                        // SAFETY: the rows of a block do not overlap those of another, and what they are of lives until
                        // all are done.
                        spikes: Some(unsafe { spikes.part(at, len) }),
                    };
                    equations.step_forward(arch, step);
                }
                for (n, from) in carried.chunks_exact(len).enumerate() {
                    // SAFETY: as above.
                    let to = unsafe { left_at.part(n * neurons + block.start, len) };
                    to.copy_from_slice(from);
                }
            });
        });
    };
    // SAFETY: the blocks are all neurons, and each writes every step.
    let spikes = unsafe { written(steps * neurons, run) };
    (sequence.shown(spikes, steps), sequence.shown(left, n))
}

fn backward(
    given: &DynamicsGiven<Flex>,
    outputs: &DynamicsAdjoint<Flex>,
) -> DynamicsGradients<Flex> {
    let kernel = &given.kernel;
    let equations = kernel.equations.any();
    let sequence =
        DynamicsSequence::new(&given.x, given.carried.as_ref(), &given.parameters, kernel);
    let (steps, neurons) = (sequence.steps(), sequence.neurons());
    let (n, p) = (equations.carried().len(), equations.parameters());
    let rest = equations.rest();
    let x = slice(&sequence.x);
    let (of_spikes, of_carried) = match outputs {
        DynamicsAdjoint::Spikes(gradient) => (Some(ordered(gradient, &sequence.order)), None),
        DynamicsAdjoint::Carried(gradient) => (None, Some(ordered(gradient, &sequence.order))),
    };
    let of_spikes = of_spikes.as_ref().map(slice);
    let of_carried = of_carried.as_ref().map(slice);
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
    let learned = given.learned;
    let q = if learned { p } else { 0 };
    let mut by_parameters = vec![0.0; q * neurons];
    let parameters_at = Shared::new(&mut by_parameters);
    let run = |by_x: Shared<MaybeUninit<f32>>| {
        sequence.blocks((steps + 1) * n + 2 * p, |block| {
            let len = block.len();
            let lengths = [p * len, (steps + 1) * n * len, n * len, q * len];
            with_scratch(lengths, |[parameters, all, by_carried, by_parameters]| {
                sequence.fill_parameters(&block, parameters);
                sequence.start(&rest, &block, &mut all[..n * len]);
                // Recomputes the states; the spikes are discarded.
                for t in 0..steps {
                    let (before, after) = all[t * n * len..].split_at_mut(n * len);
                    let after = &mut after[..n * len];
                    after.copy_from_slice(before);
                    let step = BlockForward {
                        fire,
                        parameters,
                        x: &x[t * neurons + block.start..][..len],
                        carried: after,
                        spikes: None,
                    };
                    equations.step_forward(arch, step);
                }
                for (n, to) in by_carried.chunks_exact_mut(len).enumerate() {
                    match of_carried {
                        Some(from) => to.copy_from_slice(&from[n * neurons..][block.clone()]),
                        None => to.fill(0.0),
                    }
                }
                by_parameters.fill(0.0);
                for t in (0..steps).rev() {
                    let at = t * neurons + block.start;
                    let step = BlockBackward {
                        fire: fire_back,
                        off: kernel.off,
                        parameters,
                        x: &x[at..][..len],
                        carried: &all[t * n * len..][..n * len],
                        by_spikes: of_spikes.map(|by| &by[at..][..len]),
                        by_carried,
                        // SAFETY: the rows of a block do not overlap those of another, and what they are of lives until
                        // all are done.
                        by_x: unsafe { by_x.part(at, len) },
                        by_parameters,
                    };
                    equations.step_backward(arch, step, learned);
                }
                for (n, from) in by_carried.chunks_exact(len).enumerate() {
                    // SAFETY: as above.
                    let to = unsafe { carried_at.part(n * neurons + block.start, len) };
                    to.copy_from_slice(from);
                }
                for (q, from) in by_parameters.chunks_exact(len).enumerate() {
                    // SAFETY: as above.
                    let to = unsafe { parameters_at.part(q * neurons + block.start, len) };
                    to.copy_from_slice(from);
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
        tensor(sums.collect(), given.parameters.shape())
    });
    DynamicsGradients {
        x: sequence.shown(by_x, steps),
        carried: sequence.shown(by_carried, n),
        parameters,
    }
}

impl DynamicsOps for Flex {
    fn dynamics(
        x: FlexTensor,
        carried: OptionalTensor<Self>,
        parameters: FlexTensor,
        kernel: DynamicsKernel,
    ) -> (FlexTensor, FlexTensor) {
        let carried = carried.into_option();
        let sequence = DynamicsSequence::new(&x, carried.as_ref(), &parameters, &kernel);
        forward(kernel.equations.any(), &kernel, &sequence)
    }
}

impl DynamicsBackwardOps for Flex {
    fn dynamics_backward(
        given: DynamicsGiven<Self>,
        outputs: DynamicsAdjoint<Self>,
    ) -> DynamicsGradients<Self> {
        backward(&given, &outputs)
    }
}
