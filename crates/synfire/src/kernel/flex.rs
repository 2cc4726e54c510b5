//! The fused neuron on flex: all cores, blocks of neurons that stay in the cache over all time steps.

use std::cell::RefCell;

use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{Bytes, DType, Shape};
use rayon::prelude::*;

use super::autodiff::{LifAdjoint, LifBackwardOps, LifGradients, LifInputs, LifOps};
use super::lif::{Adjoint, Found, LifKernel, Numbers, with_derivative};

/// Bytes that a block may keep for all of its time steps, so that they stay in a core's own cache.
const BLOCK_BYTES: usize = 128 * 1024;

/// The number of neurons in a block, a multiple of the widest vectors.
fn block(time_steps: usize) -> usize {
    let fit = BLOCK_BYTES / (4 * time_steps.max(1));
    (fit / 16 * 16).clamp(64, 4096)
}

/// A pointer that threads may share. Whoever uses it writes to places that nobody else does.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: it is only an address; who calls `part` sees to it that no two threads have the same place.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// `len` numbers from `at` on.
    ///
    /// # Safety
    ///
    /// They lie within the allocation, which lives for `'a`, and nobody else reads or writes them during `'a`.
    unsafe fn part<'a>(self, at: usize, len: usize) -> &'a mut [f32] {
        // SAFETY: the caller's.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(at), len) }
    }
}

/// Decay or threshold for each neuron of a sample-wise block.
struct PerNeuron<'a> {
    values: &'a [f32],
    /// Neighbouring neurons of one channel.
    inner: usize,
}

impl PerNeuron<'_> {
    fn fill(&self, start: usize, out: &mut [f32]) {
        match self.values {
            [value] => out.fill(*value),
            values => {
                for (i, out) in out.iter_mut().enumerate() {
                    *out = values[(start + i) / self.inner % values.len()];
                }
            }
        }
    }

    /// Sums of what belongs to each value.
    fn collect(&self, of_neurons: &[f32]) -> Vec<f32> {
        let mut sums = vec![0.0f64; self.values.len()];
        for (run, part) in of_neurons.chunks(self.inner.max(1)).enumerate() {
            let sum: f64 = part.iter().map(|x| f64::from(*x)).sum();
            sums[run % self.values.len()] += sum;
        }
        sums.into_iter().map(|sum| sum as f32).collect()
    }
}

/// Sizes of a sequence.
struct Sizes {
    time_steps: usize,
    neurons: usize,
    /// Neighbouring neurons of one channel.
    inner: usize,
}

impl Sizes {
    fn of(x: &FlexTensor) -> Self {
        let shape = x.shape();
        let dims: &[usize] = &shape;
        Self {
            time_steps: dims[0],
            neurons: dims[1..].iter().product(),
            inner: dims.get(3..).map_or(1, |rest| rest.iter().product()),
        }
    }

    /// The blocks, each by its first neuron and its length.
    fn blocks(&self) -> impl IndexedParallelIterator<Item = (usize, usize)> + '_ {
        let block = block(self.time_steps);
        (0..self.neurons.div_ceil(block))
            .into_par_iter()
            .map(move |i| {
                let start = i * block;
                (start, block.min(self.neurons - start))
            })
    }
}

fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(shape),
        DType::F32,
    )
}

fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor
        .as_slice::<f32>()
        .expect("the tensor was made contiguous")
}

thread_local! {
    /// What a block needs, kept for the next one.
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Runs `body` with `parts` slices of these lengths, whose content is anything.
fn with_scratch<const N: usize, R>(
    lengths: [usize; N],
    body: impl FnOnce([&mut [f32]; N]) -> R,
) -> R {
    SCRATCH.with_borrow_mut(|scratch| {
        let total = lengths.iter().sum();
        if scratch.len() < total {
            scratch.resize(total, 0.0);
        }
        let mut rest = scratch.as_mut_slice();
        let parts = lengths.map(|len| {
            let (part, after) = std::mem::take(&mut rest).split_at_mut(len);
            rest = after;
            part
        });
        body(parts)
    })
}

impl LifOps for Flex {
    fn lif(
        x: FlexTensor,
        v: FlexTensor,
        decay: FlexTensor,
        threshold: FlexTensor,
        has_state: bool,
        kernel: LifKernel,
    ) -> (FlexTensor, FlexTensor) {
        let x = x.to_contiguous();
        let v = has_state.then(|| v.to_contiguous());
        let (decay, threshold) = (decay.to_contiguous(), threshold.to_contiguous());
        let sizes = Sizes::of(&x);
        let (input, state) = (slice(&x), v.as_ref().map(slice));
        let [decay, threshold] = [&decay, &threshold].map(|values| PerNeuron {
            values: slice(values),
            inner: sizes.inner,
        });

        let mut spikes = vec![0.0f32; input.len()];
        let mut last = vec![0.0f32; sizes.neurons];
        let (spikes_at, last_at) = (Shared(spikes.as_mut_ptr()), Shared(last.as_mut_ptr()));
        sizes.blocks().for_each(|(start, len)| {
            // SAFETY: blocks do not overlap, and `last` lives until all are done.
            let v = unsafe { last_at.part(start, len) };
            if let Some(state) = state {
                v.copy_from_slice(&state[start..start + len]);
            }
            with_scratch([len; 3], |[u, decays, thresholds]| {
                decay.fill(start, decays);
                threshold.fill(start, thresholds);
                let numbers = Numbers {
                    decay: decays,
                    threshold: thresholds,
                };
                for t in 0..sizes.time_steps {
                    let at = t * sizes.neurons + start;
                    // SAFETY: the rows of a block do not overlap those of another, and `spikes` lives until all are done.
                    let o = unsafe { spikes_at.part(at, len) };
                    let first = t == 0 && state.is_none();
                    kernel.step(first, &numbers, &input[at..at + len], v, u, o);
                }
            });
        });
        let shape = x.shape();
        let mut one_step = shape.clone();
        one_step[0] = 1;
        (tensor(spikes, shape), tensor(last, one_step))
    }
}

impl LifBackwardOps for Flex {
    fn lif_backward(inputs: LifInputs<Self>, outputs: LifAdjoint<Self>) -> LifGradients<Self> {
        let LifInputs {
            x,
            v,
            decay,
            threshold,
            has_state,
            kernel,
        } = inputs;
        // The gradient by the spikes becomes that by the input, in place where nobody else has it.
        let (mut by_x, by_state) = match outputs {
            LifAdjoint::Spikes(gradient) => (gradient.to_contiguous(), None),
            LifAdjoint::State(gradient) => (
                FlexTensor::zeros(x.shape(), DType::F32),
                Some(gradient.to_contiguous()),
            ),
        };
        let x = x.to_contiguous();
        let sizes = Sizes::of(&x);
        let v = has_state.then(|| v.to_contiguous());
        let (decay, threshold) = (decay.to_contiguous(), threshold.to_contiguous());
        let (input, state) = (slice(&x), v.as_ref().map(slice));
        let [decays_of, thresholds_of] = [&decay, &threshold].map(|values| PerNeuron {
            values: slice(values),
            inner: sizes.inner,
        });

        let (begin, end) = by_x
            .layout()
            .contiguous_offsets()
            .expect("the tensor was made contiguous");
        let by_x_values = &mut by_x.storage_mut::<f32>()[begin..end];
        let mut by_v = vec![0.0f32; sizes.neurons];
        let mut by_decay = vec![0.0f32; sizes.neurons];
        let mut by_threshold = vec![0.0f32; sizes.neurons];
        let x_at = Shared(by_x_values.as_mut_ptr());
        let [v_at, decay_at, threshold_at] =
            [&mut by_v, &mut by_decay, &mut by_threshold].map(|values| Shared(values.as_mut_ptr()));
        let from_state = by_state.as_ref().map(slice);
        let steps = sizes.time_steps;

        with_derivative!(kernel.surrogate, derivative => sizes.blocks().for_each(|(start, len)| {
            // SAFETY: blocks do not overlap, and what they write to lives until all are done.
            let [v, by_decay, by_threshold] =
                unsafe { [v_at, decay_at, threshold_at].map(|at| at.part(start, len)) };
            let lengths = [steps * len, (steps + 1) * len, len, len, len];
            with_scratch(lengths, |[us, vs, decays, thresholds, spare]| {
                decays_of.fill(start, decays);
                thresholds_of.fill(start, thresholds);
                let numbers = Numbers { decay: decays, threshold: thresholds };

                // Once more forward: `vs` holds what each step found, and at the end what the last one left.
                match state {
                    Some(state) => vs[..len].copy_from_slice(&state[start..start + len]),
                    None => vs[..len].fill(kernel.rest),
                }
                for t in 0..steps {
                    let at = t * sizes.neurons + start;
                    let (before, after) = vs.split_at_mut((t + 1) * len);
                    let v = &mut after[..len];
                    v.copy_from_slice(&before[t * len..]);
                    let u = &mut us[t * len..][..len];
                    let first = t == 0 && state.is_none();
                    kernel.step(first, &numbers, &input[at..at + len], v, u, spare);
                }

                match from_state {
                    Some(from_state) => v.copy_from_slice(&from_state[start..start + len]),
                    None => v.fill(0.0),
                }
                for t in (0..steps).rev() {
                    let at = t * sizes.neurons + start;
                    // SAFETY: the rows of a block do not overlap those of another.
                    let by_x = unsafe { x_at.part(at, len) };
                    let mut adjoint = Adjoint {
                        v,
                        x: by_x,
                        decay: by_decay,
                        threshold: by_threshold,
                    };
                    let first = t == 0 && state.is_none();
                    kernel.step_backward(
                        first,
                        &numbers,
                        &Found {
                            x: &input[at..at + len],
                            before: &vs[t * len..][..len],
                            u: &us[t * len..][..len],
                        },
                        derivative,
                        &mut adjoint,
                    );
                }
            });
        }));
        let mut one_step = x.shape();
        one_step[0] = 1;
        LifGradients {
            x: by_x,
            v: tensor(by_v, one_step),
            decay: tensor(decays_of.collect(&by_decay), decay.shape()),
            threshold: tensor(thresholds_of.collect(&by_threshold), threshold.shape()),
        }
    }
}

/// Enough to take every way through the code that is `unsafe`, and quick enough for a sanitiser. What the kernels compute
/// is compared for all configurations elsewhere.
#[cfg(test)]
mod tests {
    use crate::kernel::Path;
    use crate::neuron::{Decay, LifConfig, LifState, Neuron, Reset, Threshold};
    use burn::tensor::{Device, Tensor};

    /// Spikes, state and the gradient of the input.
    fn outcome(config: &LifConfig, shape: [usize; 4], with_state: bool) -> [Vec<f32>; 3] {
        let device = Device::flex().autodiff();
        let lif = config.init(&device).unwrap();
        let len: usize = shape.iter().product();
        let numbers: Vec<f32> = (0..len)
            .map(|i| (i * 37 % 101) as f32 / 64.0 - 0.5)
            .collect();
        let x = Tensor::<1>::from_floats(numbers.as_slice(), &device);
        let x = x.reshape(shape).require_grad();
        let state = with_state.then(|| LifState {
            v: x.clone().slice(0..1).detach().mul_scalar(0.5),
        });
        let (spikes, state) = lif.forward(x.clone(), state);
        let loss = (spikes.clone() * x.clone().detach()).sum() + state.v.clone().sum();
        let gradients = loss.backward();
        let values = |tensor: Tensor<4>| tensor.into_data().try_to_vec::<f32>().unwrap();
        [
            values(spikes),
            values(state.v),
            values(x.grad(&gradients).unwrap()),
        ]
    }

    #[test]
    fn blocks_cover_every_neuron_once() {
        // One block, several with a rest, several because the sequence is long; neurons that are no multiple of a vector.
        for shape in [[1, 1, 3, 1], [2, 2, 3, 1367], [3, 1, 3, 5], [700, 2, 3, 31]] {
            for reset in [Reset::HARD, Reset::DelayedSoft] {
                for with_state in [false, true] {
                    let config = LifConfig::new()
                        .with_reset(reset)
                        .with_decay(Decay::learned(vec![0.25, 0.5, 0.75]))
                        .with_threshold(Threshold::learned(0.5));
                    let on = |path| outcome(&config.clone().with_path(path), shape, with_state);
                    // The unrolled graph of a long sequence takes long.
                    let fused = on(Path::Auto);
                    if shape[0] > 10 {
                        continue;
                    }
                    let unrolled = on(Path::Unrolled);
                    assert_eq!(fused[0], unrolled[0]);
                    for (fused, unrolled) in fused.iter().zip(&unrolled) {
                        for (a, b) in fused.iter().zip(unrolled) {
                            assert!((a - b).abs() < 1e-5, "{a} {b}");
                        }
                    }
                }
            }
        }
    }
}
