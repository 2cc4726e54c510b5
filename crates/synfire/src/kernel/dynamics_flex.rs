//! Neurons with equations of their own, fused, on flex: all cores, blocks of neurons that stay in the cache.
//!
//! Of a sequence only the input is kept. The backward pass runs a block of neurons forward once more, and takes it back
//! step by step with numbers that carry their derivatives along.

use std::mem::MaybeUninit;
use std::ops::Range;

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::derivative::AnyDerivative;
use super::dynamics_ops::{
    DynamicsAdjoint, DynamicsBackwardOps, DynamicsGiven, DynamicsGradients, DynamicsKernel,
    DynamicsOps,
};
use super::lif_flex::PerNeuron;
use super::memory::{
    Shared, inner, ordered, shown, slice, storage_order, tensor, with_scratch, written,
};
use crate::neuron::dynamics::Dynamics;
use crate::neuron::real::{Dual, FireDual, FireStep, Wide};
use crate::neuron::with_equations;

/// The largest number of neurons in a block.
const BLOCK: usize = 1024;
/// Numbers that a block may keep for all of its time steps, so that they stay in a core's own cache.
const BLOCK_NUMBERS: usize = 128 * 1024;

/// Writes as many numbers as there is room for from `at` on.
#[inline(always)]
fn store<S: Simd>(wide: Wide<S>, to: &mut [f32], at: usize) {
    let end = to.len().min(at + Wide::<S>::WIDTH);
    to[at..end].copy_from_slice(&wide.as_slice()[..end - at]);
}

/// [`store`] where there were no numbers before.
#[inline(always)]
fn write<S: Simd>(wide: Wide<S>, to: &mut [MaybeUninit<f32>], at: usize) {
    let end = to.len().min(at + Wide::<S>::WIDTH);
    to[at..end].write_copy_of_slice(&wide.as_slice()[..end - at]);
}

/// A sequence, and what goes with it, as it lies in memory.
struct Sequence {
    shape: Shape,
    /// The axes in the order of the memory.
    order: Vec<usize>,
    x: FlexTensor,
    carried: Option<FlexTensor>,
    numbers: FlexTensor,
    /// Neighbouring neurons of one channel.
    inner: usize,
}

impl Sequence {
    fn new(x: &FlexTensor, carried: Option<&FlexTensor>, numbers: &FlexTensor) -> Self {
        let order = storage_order(x);
        let shape = x.shape();
        Self {
            x: ordered(x, &order),
            carried: carried.map(|carried| ordered(carried, &order)),
            numbers: numbers.to_contiguous(),
            inner: inner(&shape, &order),
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

    /// Number `p` for each neuron.
    fn number(&self, p: usize) -> PerNeuron<'_> {
        let channels = self.numbers.shape()[1];
        PerNeuron::new(
            &slice(&self.numbers)[p * channels..][..channels],
            self.inner,
        )
    }

    /// Runs `body` for each block of neurons, of which it keeps so many numbers.
    fn blocks(&self, kept: usize, body: impl Fn(Range<usize>) + Sync) {
        let neurons = self.neurons();
        let tasks = 4 * rayon::current_num_threads();
        let fit = BLOCK_NUMBERS / kept.max(1);
        let block = (neurons.div_ceil(tasks).min(fit) / 64 * 64).clamp(64, BLOCK);
        let run = |i: usize| body(i * block..neurons.min((i + 1) * block));
        let count = neurons.div_ceil(block);
        match self.steps() * neurons {
            // Too little to wake the other cores for.
            0..8192 => (0..count).for_each(run),
            _ => (0..count).into_par_iter().for_each(run),
        }
    }

    /// What the neurons of a block carry before the first step, one after the other.
    fn start<const N: usize>(&self, rest: [f64; N], block: &Range<usize>, carried: &mut [f32]) {
        let neurons = self.neurons();
        for (n, to) in carried.chunks_exact_mut(block.len()).enumerate() {
            match &self.carried {
                Some(from) => to.copy_from_slice(&slice(from)[n * neurons..][block.clone()]),
                None => to.fill(rest[n] as f32),
            }
        }
    }

    /// The numbers of a block, one after the other.
    fn fill_numbers(&self, block: &Range<usize>, numbers: &mut [f32]) {
        for (p, to) in numbers.chunks_exact_mut(block.len()).enumerate() {
            self.number(p).fill(block.start, to);
        }
    }

    /// A tensor of what lies in memory in this order, with the axes in their own.
    fn shown(&self, values: Vec<f32>, rows: usize) -> FlexTensor {
        let mut shape = self.shape.clone();
        shape[0] = rows;
        shown(values, &shape, &self.order)
    }
}

/// A step of a block forward.
struct Forward<'a, E> {
    equations: E,
    fire: FireStep,
    /// One after the other.
    numbers: &'a [f32],
    x: &'a [f32],
    carried: &'a mut [f32],
    spikes: Option<&'a mut [MaybeUninit<f32>]>,
}

impl<E> Forward<'_, E> {
    #[inline(always)]
    fn run<S: Simd, const N: usize, const P: usize>(self, simd: S)
    where
        E: Dynamics<N, P>,
    {
        let Self {
            equations,
            fire,
            numbers,
            x,
            carried,
            mut spikes,
        } = self;
        let len = x.len();
        let zero = Wide::splat(simd, 0.0);
        for at in (0..len).step_by(Wide::<S>::WIDTH) {
            let mut given = [zero; P];
            for (p, given) in given.iter_mut().enumerate() {
                *given = Wide::load(simd, &numbers[p * len..][..len], at);
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

/// [`Forward`] or [`Backward`] with the sizes of its equations, for pulp.
struct Sized<T, const N: usize, const P: usize, const K: usize>(T);

impl<E: Dynamics<N, P>, const N: usize, const P: usize> WithSimd
    for Sized<Forward<'_, E>, N, P, 0>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.0.run::<S, N, P>(simd);
    }
}

/// A step of a block backward.
struct Backward<'a, E> {
    equations: E,
    fire: FireDual,
    /// What is carried is a constant.
    off: bool,
    numbers: &'a [f32],
    x: &'a [f32],
    /// What was carried before the step.
    carried: &'a [f32],
    /// By the spikes, if anything is.
    by_spikes: Option<&'a [f32]>,
    /// By what the step left; becomes that by what it found.
    by_carried: &'a mut [f32],
    by_x: &'a mut [MaybeUninit<f32>],
    /// By the numbers, summed up, if they are learned.
    by_numbers: &'a mut [f32],
}

impl<E> Backward<'_, E> {
    #[inline(always)]
    fn run<S: Simd, const N: usize, const P: usize, const K: usize>(self, simd: S)
    where
        E: Dynamics<N, P>,
    {
        let Self {
            equations,
            fire,
            off,
            numbers,
            x,
            carried,
            by_spikes,
            by_carried,
            by_x,
            by_numbers,
        } = self;
        let len = x.len();
        // Derivatives are by what is carried, by the input and, if there are more, by the numbers.
        let learned = K > N + 1;
        let zero = Wide::splat(simd, 0.0);
        for at in (0..len).step_by(Wide::<S>::WIDTH) {
            let mut given = [Dual::<S, K>::of(zero); P];
            for (p, given) in given.iter_mut().enumerate() {
                let number = Wide::load(simd, &numbers[p * len..][..len], at);
                *given = match learned {
                    true => Dual::variable(number, N + 1 + p),
                    false => Dual::of(number),
                };
            }
            let mut before = [Dual::<S, K>::of(zero); N];
            for (n, before) in before.iter_mut().enumerate() {
                let number = Wide::load(simd, &carried[n * len..][..len], at);
                *before = match off {
                    true => Dual::of(number),
                    false => Dual::variable(number, n),
                };
            }
            let x = Dual::variable(Wide::load(simd, x, at), N);
            let step = equations.step(&given, before, x, &fire);
            let mut found = [zero; K];
            if let Some(by_spikes) = by_spikes {
                let by = Wide::load(simd, by_spikes, at);
                for (found, of_spike) in found.iter_mut().zip(&step.spike.by) {
                    *found = *found + by * *of_spike;
                }
            }
            if !off {
                for (n, after) in step.carried.iter().enumerate() {
                    let by = Wide::load(simd, &by_carried[n * len..][..len], at);
                    for (found, of_carried) in found.iter_mut().zip(&after.by) {
                        *found = *found + by * *of_carried;
                    }
                }
            }
            for n in 0..N {
                store(found[n], &mut by_carried[n * len..][..len], at);
            }
            write(found[N], by_x, at);
            if learned {
                for p in 0..P {
                    let sums = &mut by_numbers[p * len..][..len];
                    store(Wide::load(simd, sums, at) + found[N + 1 + p], sums, at);
                }
            }
        }
    }
}

impl<E: Dynamics<N, P>, const N: usize, const P: usize, const K: usize> WithSimd
    for Sized<Backward<'_, E>, N, P, K>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.0.run::<S, N, P, K>(simd);
    }
}

fn forward<E: Dynamics<N, P> + Sync, const N: usize, const P: usize>(
    equations: E,
    kernel: &DynamicsKernel,
    sequence: &Sequence,
) -> (FlexTensor, FlexTensor) {
    let (steps, neurons) = (sequence.steps(), sequence.neurons());
    let x = slice(&sequence.x);
    let fire = FireStep {
        strict: kernel.strict,
    };
    let arch = Arch::new();
    let mut left = vec![0.0; N * neurons];
    let left_at = Shared::new(&mut left);
    let run = |spikes: Shared<MaybeUninit<f32>>| {
        sequence.blocks(N + P, |block| {
            let len = block.len();
            with_scratch([P * len, N * len], |[numbers, carried]| {
                sequence.fill_numbers(&block, numbers);
                sequence.start(equations.rest(), &block, carried);
                for t in 0..steps {
                    let at = t * neurons + block.start;
                    let step = Forward {
                        equations,
                        fire,
                        numbers,
                        x: &x[at..][..len],
                        carried,
                        // SAFETY: the rows of a block do not overlap those of another, and what they are of lives until
                        // all are done.
                        spikes: Some(unsafe { spikes.part(at, len) }),
                    };
                    arch.dispatch(Sized::<_, N, P, 0>(step));
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
    (sequence.shown(spikes, steps), sequence.shown(left, N))
}

fn backward<E: Dynamics<N, P> + Sync, const N: usize, const P: usize, const K: usize>(
    equations: E,
    given: &DynamicsGiven<Flex>,
    outputs: &DynamicsAdjoint<Flex>,
) -> DynamicsGradients<Flex> {
    let kernel = &given.kernel;
    let sequence = Sequence::new(&given.x, given.carried.as_ref(), &given.numbers);
    let (steps, neurons) = (sequence.steps(), sequence.neurons());
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
        derivative: AnyDerivative::new(kernel.surrogate),
    };
    let arch = Arch::new();
    let mut by_carried = vec![0.0; N * neurons];
    let carried_at = Shared::new(&mut by_carried);
    let learned = K > N + 1;
    let mut by_numbers = vec![0.0; if learned { P * neurons } else { 0 }];
    let numbers_at = Shared::new(&mut by_numbers);
    let run = |by_x: Shared<MaybeUninit<f32>>| {
        sequence.blocks((steps + 1) * N + 2 * P, |block| {
            let len = block.len();
            let lengths = [P * len, (steps + 1) * N * len, N * len, P * len];
            with_scratch(lengths, |[numbers, all, by_carried, by_numbers]| {
                sequence.fill_numbers(&block, numbers);
                sequence.start(equations.rest(), &block, &mut all[..N * len]);
                // Once more forward; of the spikes nothing is needed.
                for t in 0..steps {
                    let (before, after) = all[t * N * len..].split_at_mut(N * len);
                    let after = &mut after[..N * len];
                    after.copy_from_slice(before);
                    let step = Forward {
                        equations,
                        fire,
                        numbers,
                        x: &x[t * neurons + block.start..][..len],
                        carried: after,
                        spikes: None,
                    };
                    arch.dispatch(Sized::<_, N, P, 0>(step));
                }
                for (n, to) in by_carried.chunks_exact_mut(len).enumerate() {
                    match of_carried {
                        Some(from) => to.copy_from_slice(&from[n * neurons..][block.clone()]),
                        None => to.fill(0.0),
                    }
                }
                by_numbers.fill(0.0);
                for t in (0..steps).rev() {
                    let at = t * neurons + block.start;
                    let step = Backward {
                        equations,
                        fire: fire_back,
                        off: kernel.off,
                        numbers,
                        x: &x[at..][..len],
                        carried: &all[t * N * len..][..N * len],
                        by_spikes: of_spikes.map(|by| &by[at..][..len]),
                        by_carried,
                        // SAFETY: the rows of a block do not overlap those of another, and what they are of lives until
                        // all are done.
                        by_x: unsafe { by_x.part(at, len) },
                        by_numbers,
                    };
                    arch.dispatch(Sized::<_, N, P, K>(step));
                }
                for (n, from) in by_carried.chunks_exact(len).enumerate() {
                    // SAFETY: as above.
                    let to = unsafe { carried_at.part(n * neurons + block.start, len) };
                    to.copy_from_slice(from);
                }
                if learned {
                    for (p, from) in by_numbers.chunks_exact(len).enumerate() {
                        // SAFETY: as above.
                        let to = unsafe { numbers_at.part(p * neurons + block.start, len) };
                        to.copy_from_slice(from);
                    }
                }
            });
        });
    };
    // SAFETY: the blocks are all neurons, and each writes every step.
    let by_x = unsafe { written(steps * neurons, run) };
    let numbers = learned.then(|| {
        let sums = (0..P).flat_map(|p| {
            let of_neurons = &by_numbers[p * neurons..][..neurons];
            sequence.number(p).collect(of_neurons)
        });
        tensor(sums.collect(), given.numbers.shape())
    });
    DynamicsGradients {
        x: sequence.shown(by_x, steps),
        carried: sequence.shown(by_carried, N),
        numbers,
    }
}

impl DynamicsOps for Flex {
    fn dynamics(
        x: FlexTensor,
        carried: FlexTensor,
        numbers: FlexTensor,
        has_carried: bool,
        kernel: DynamicsKernel,
    ) -> (FlexTensor, FlexTensor) {
        let sequence = Sequence::new(&x, has_carried.then_some(&carried), &numbers);
        with_equations!(kernel.equations, (equations, N, P, PLAIN, LEARNED) => {
            forward::<_, N, P>(equations, &kernel, &sequence)
        })
    }
}

impl DynamicsBackwardOps for Flex {
    fn dynamics_backward(
        given: DynamicsGiven<Self>,
        outputs: DynamicsAdjoint<Self>,
    ) -> DynamicsGradients<Self> {
        with_equations!(given.kernel.equations, (equations, N, P, PLAIN, LEARNED) => {
            match given.learned {
                true => backward::<_, N, P, LEARNED>(equations, &given, &outputs),
                false => backward::<_, N, P, PLAIN>(equations, &given, &outputs),
            }
        })
    }
}
