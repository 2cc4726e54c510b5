//! A convolution of spikes and its neurons on flex: one sample at a time, whose currents stay in the cache.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;
use pulp::Arch;
use rayon::prelude::*;

use super::{Layer, LayerBackwardOps, LayerOps};
use crate::ops::backward::{Adjoint, InputGradients, NeuronKept};
use crate::ops::bits::BitPlanes;
use crate::ops::block::{LANES, PerNeuron, change_whole, whole, write_whole};
use crate::ops::conv::{
    Cores, Geometry, InputBackward, PIXELS_OF_SUM, WEIGHTS_OF_SUMS, add, column_sums,
};
use crate::ops::lif::{
    Before, LifBackwardStep, LifForwardStep, LifKernel, LifOps, LifParameters, LifStart,
};
use crate::ops::memory::{Shared, every_step, slice, tensor, with_scratch, written};
use crate::ops::optional::OptionalTensor;
use crate::ops::synapse::{
    PackedSpikes, Synapse, SynapseKind, SynapseOps, from_channels_last, geometry, to_channels_last,
    weights_inside, with_end,
};

/// Parts of a batch whose gradients are summed separately. Neither they nor the sum depend on the number of threads.
const PARTS: usize = 16;

/// Saved for backward: the spikes as bits, and the parameters. Currents and membranes are recomputed.
#[derive(Clone, Debug)]
pub struct LayerKept {
    spikes: Arc<PackedSpikes>,
    /// The shape of the input, `[T, B, channels, height, width]`.
    shape: Shape,
    weight: FlexTensor,
    bias: Option<FlexTensor>,
    start: LifStart<Flex>,
    synapse: Synapse,
}

/// Without gradients, fewer samples run apart from their neurons: all cores share each of them.
const FEW_SAMPLES: usize = 4;
/// The approximate number of neurons of a chunk, whose parameters stay in the first-level cache.
const CHUNK: usize = 1024;

/// A layer prepared for its samples.
struct LayerPass<'a> {
    arch: Arch,
    geometry: Geometry,
    /// A row for each image, step by step.
    spikes: &'a BitPlanes,
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
    kernel: LifKernel,
    /// The parameters of a chunk of neurons, and its size.
    parameters: LifParameters<'a>,
    chunk: usize,
    /// The initial states, channels last.
    state: Option<&'a [f32]>,
    steps: usize,
    batch: usize,
    /// The number of neurons of a sample.
    neurons: usize,
}

impl LayerPass<'_> {
    /// Writes the initial state of a sample.
    fn start(&self, sample: usize, v: &mut [f32]) {
        match self.state {
            Some(state) => {
                v[..self.neurons].copy_from_slice(&state[sample * self.neurons..][..self.neurons]);
            }
            None => v.fill(self.kernel.equations.rest as f32),
        }
    }

    /// Computes the currents of an image, the input of one step of a sample.
    fn currents(&self, image: usize, x: &mut [f32]) {
        let out = Shared::new(&mut x[..self.neurons]).maybe_unwritten();
        // SAFETY: `x` is an image of the output, and this thread's.
        unsafe {
            self.geometry.forward_at(
                self.spikes,
                image..image + 1,
                self.weights,
                self.bias,
                out,
                Cores::This,
            );
        }
    }

    /// A step of the neurons of a sample, in rows of whole vectors: currents become the potentials before reset.
    fn step(&self, xu: &mut [f32], v: &mut [f32], spikes: &mut [MaybeUninit<f32>]) {
        let chunks = xu
            .chunks_mut(self.chunk)
            .zip(v.chunks_mut(self.chunk))
            .zip(spikes.chunks_mut(self.chunk));
        for ((xu, v), spikes) in chunks {
            self.arch.dispatch(LifForwardStep {
                kernel: &self.kernel,
                parameters: self.parameters,
                xu,
                v,
                spikes,
            });
        }
    }

    /// The neurons in chunks.
    fn chunks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (neurons, chunk) = (self.neurons, self.chunk);
        (0..neurons)
            .step_by(chunk)
            .map(move |start| start..neurons.min(start + chunk))
    }

    /// The spikes `[T, B, neurons]` and the final state `[B, neurons]`.
    fn forward(&self) -> (Vec<f32>, Vec<f32>) {
        let (steps, batch, neurons) = (self.steps, self.batch, self.neurons);
        let mut last = vec![0.0f32; batch * neurons];
        let write = |out: Shared<MaybeUninit<f32>>| {
            let run = |(sample, v): (usize, &mut [f32])| {
                with_scratch([whole(neurons); 3], |[u, state, fired]| {
                    self.start(sample, state);
                    for t in 0..steps {
                        let image = t * batch + sample;
                        // SAFETY: each image is one sample's.
                        let spikes = unsafe { out.part(image * neurons, neurons) };
                        self.currents(image, u);
                        // SAFETY: `step` writes all spikes.
                        unsafe { write_whole(spikes, fired, |spikes| self.step(u, state, spikes)) };
                    }
                    v.copy_from_slice(&state[..neurons]);
                });
            };
            last.par_chunks_mut(neurons).enumerate().for_each(run);
        };
        // SAFETY: all steps of all samples are written.
        let spikes = unsafe { written(steps * batch * neurons, write) };
        (spikes, last)
    }
}

/// The gradient of an output, channels last.
struct LayerIncoming<'a> {
    /// Of the spikes, `[T, B, neurons]`, and the elements from step to step: 0 if all are the same.
    spikes: Option<(&'a [f32], usize)>,
    /// Of the final state, `[B, neurons]`.
    state: Option<&'a [f32]>,
}

/// The summed gradients of a part of a batch.
struct Sums {
    weight: Option<Vec<f32>>,
    bias: Option<Vec<f32>>,
    /// Of decay and threshold, for each neuron.
    learned: Option<[Vec<f32>; 2]>,
}

impl Sums {
    fn add(&mut self, other: Self) {
        let pairs = [
            (&mut self.weight, other.weight),
            (&mut self.bias, other.bias),
        ];
        for (to, from) in pairs {
            if let (Some(to), Some(from)) = (to, from) {
                add(to, &from);
            }
        }
        if let (Some(to), Some(from)) = (&mut self.learned, other.learned) {
            for (to, from) in to.iter_mut().zip(from) {
                add(to, &from);
            }
        }
    }
}

/// The gradients that are needed.
#[derive(Clone, Copy)]
struct LayerNeeds {
    weight: bool,
    bias: bool,
    /// True if the decay or the threshold needs a gradient.
    learned: bool,
}

/// The gradients that each sample writes.
struct Results<'a> {
    /// Of all images of the input, with their computation, if needed.
    x: Option<(Shared<MaybeUninit<f32>>, &'a InputBackward<'a>)>,
    /// Of all initial states.
    v: Shared<f32>,
}

impl LayerPass<'_> {
    fn backward(&self, incoming: &LayerIncoming, needs: LayerNeeds, results: &Results) -> Sums {
        let size = self.geometry.fan_in() * self.geometry.outputs;
        let parts = (WEIGHTS_OF_SUMS / size.max(1)).clamp(2, PARTS);
        let samples = self.batch.div_ceil(parts).max(1);
        let part = |part: usize| {
            let samples = part * samples..self.batch.min((part + 1) * samples);
            self.part_backward(samples, incoming, needs, results)
        };
        let count = self.batch.div_ceil(samples);
        let sums: Vec<Sums> = (0..count).into_par_iter().map(part).collect();
        let mut sums = sums.into_iter();
        let mut total = sums.next().unwrap_or_else(|| self.no_sums(needs));
        sums.for_each(|sum| total.add(sum));
        total
    }

    /// Sums of zero.
    fn no_sums(&self, needs: LayerNeeds) -> Sums {
        let (fan_in, outputs) = (self.geometry.fan_in(), self.geometry.outputs);
        Sums {
            weight: needs.weight.then(|| vec![0.0; fan_in * outputs]),
            bias: needs.bias.then(|| vec![0.0; outputs]),
            learned: needs
                .learned
                .then(|| [0; 2].map(|_| vec![0.0; whole(self.neurons)])),
        }
    }

    fn part_backward(
        &self,
        samples: Range<usize>,
        incoming: &LayerIncoming,
        needs: LayerNeeds,
        results: &Results,
    ) -> Sums {
        let (steps, neurons, row) = (self.steps, self.neurons, whole(self.neurons));
        let mut sums = self.no_sums(needs);
        let inputs = match needs.learned && self.kernel.equations.decay_input {
            true => steps * row,
            false => 0,
        };
        let mut lengths = [self.chunk; 8];
        lengths[..5].copy_from_slice(&[steps * row, steps * neurons, row, row, inputs]);
        with_scratch(lengths, |parts| {
            let [us, gradients, first, by_v, inputs, room, slope0, slope1] = parts;
            for sample in samples {
                // For now, `by_v` is the state.
                self.again(sample, us, by_v, inputs);
                self.start(sample, first);
                by_v.fill(0.0);
                if let Some(gradient) = incoming.state {
                    by_v[..neurons].copy_from_slice(&gradient[sample * neurons..][..neurons]);
                }
                for chunk in self.chunks() {
                    let len = chunk.len();
                    let padded = chunk.start..chunk.start + whole(len);
                    let of_sample = sample * neurons + chunk.start;
                    let at = |t: usize| t * row + chunk.start;
                    for t in (0..steps).rev() {
                        let gradient = &mut gradients[t * neurons + chunk.start..][..len];
                        match incoming.spikes {
                            Some((all, step)) => {
                                gradient.copy_from_slice(&all[t * step + of_sample..][..len]);
                            }
                            None => gradient.fill(0.0),
                        }
                        let u = |t: usize| &us[at(t)..][..padded.len()];
                        let before = match t {
                            0 => Before::State(&first[padded.clone()]),
                            _ => Before::Step(u(t - 1)),
                        };
                        let learned = sums.learned.as_mut();
                        change_whole(gradient, &mut room[..padded.len()], |by_x| {
                            self.arch.dispatch(LifBackwardStep {
                                kernel: &self.kernel,
                                parameters: self.parameters,
                                u: u(t),
                                before,
                                x: (!inputs.is_empty()).then(|| &inputs[at(t)..][..padded.len()]),
                                by_v: &mut by_v[padded.clone()],
                                by_x,
                                learned: learned.map(|learned| {
                                    learned.each_mut().map(|sums| &mut sums[padded.clone()])
                                }),
                                slopes: [&mut slope0[..padded.len()], &mut slope1[..padded.len()]],
                            });
                        });
                    }
                }
                // SAFETY: each sample is in one part.
                let v = unsafe { results.v.part(sample * neurons, neurons) };
                v.copy_from_slice(&by_v[..neurons]);
                self.synapse_backward(sample, gradients, &mut sums, results);
            }
        });
        sums
    }

    /// Recomputes the potentials before reset and, unless `inputs` is empty, the currents of all steps.
    fn again(&self, sample: usize, us: &mut [f32], v: &mut [f32], inputs: &mut [f32]) {
        let row = whole(self.neurons);
        self.start(sample, v);
        with_scratch([row], |[spikes]| {
            for (t, u) in us.chunks_exact_mut(row).enumerate() {
                self.currents(t * self.batch + sample, u);
                if !inputs.is_empty() {
                    inputs[t * row..][..row].copy_from_slice(u);
                }
                // SAFETY: it is this thread's alone, and `step` writes numbers to all of it.
                let spikes = unsafe { Shared::new(spikes).maybe_unwritten().part(0, row) };
                self.step(u, v, spikes);
            }
        });
    }

    /// The gradients of the convolution, from those of its output in all steps of a sample.
    fn synapse_backward(
        &self,
        sample: usize,
        gradients: &[f32],
        sums: &mut Sums,
        results: &Results,
    ) {
        let (geometry, neurons) = (&self.geometry, self.neurons);
        let images = |steps: Range<usize>| {
            let (first, end) = (steps.start * self.batch + sample, steps.end * self.batch);
            (first..end).step_by(self.batch)
        };
        if let Some(total) = &mut sums.weight {
            // Few pixels per partial sum: less rounding error.
            let steps = (PIXELS_OF_SUM * geometry.outputs / neurons.max(1)).max(1);
            for (part, gradients) in gradients.chunks(steps * neurons).enumerate() {
                let first = part * steps;
                let images = images(first..first + gradients.len() / neurons);
                let of_steps = geometry.weights_of_images(
                    self.arch,
                    self.spikes,
                    images,
                    gradients,
                    Cores::This,
                );
                add(total, &of_steps);
            }
        }
        if let Some(total) = &mut sums.bias {
            add(total, &column_sums(gradients, geometry.outputs));
        }
        if let Some((x, back)) = results.x {
            // SAFETY: each image is one sample's.
            unsafe { back.images(self.steps, gradients, x, |step| step * self.batch + sample) };
        }
    }
}

impl LayerKept {
    fn geometry(&self) -> Geometry {
        let SynapseKind::Conv2d(window) = self.synapse.kind else {
            unreachable!("a layer is a convolution")
        };
        geometry(&self.shape, &self.weight, window)
    }

    /// Runs `body` with the prepared layer.
    fn with_pass<R>(&self, body: impl FnOnce(&LayerPass) -> R) -> R {
        let geometry = self.geometry();
        let neurons = geometry.out().iter().product::<usize>() * geometry.outputs;
        let kernel = self.start.kernel;
        // The parameters of a chunk are those of every chunk: a multiple of the channels, which are fastest, and of whole
        // vectors.
        let channels = geometry.outputs.max(1);
        let period = (1..=LANES)
            .map(|i| i * channels)
            .find(|all| all % LANES == 0);
        let period = period.expect("LANES times any number");
        let chunk = (CHUNK / period * period).max(period);
        let fill = |values: &FlexTensor, all: &mut [f32]| {
            PerNeuron::new(slice(&values.to_contiguous()), 1).fill(0, all);
        };
        let state = self.start.v.as_ref().map(to_channels_last);
        let mut numbers = vec![0.0; 3 * chunk];
        let (decay, rest) = numbers.split_at_mut(chunk);
        let (threshold, gate) = rest.split_at_mut(chunk);
        fill(&self.start.decay, decay);
        fill(&self.start.threshold, threshold);
        body(&LayerPass {
            arch: Arch::new(),
            geometry,
            spikes: self.spikes.bits(),
            weights: slice(&weights_inside(&self.weight, &geometry)),
            bias: self.bias.as_ref().map(slice),
            kernel,
            parameters: LifParameters::new(&kernel, decay, threshold, gate),
            chunk,
            state: state.as_ref().map(slice),
            steps: self.shape[0],
            batch: self.shape[1],
            neurons,
        })
    }
}

impl LayerOps for Flex {
    fn layer(
        x: FlexTensor,
        weight: FlexTensor,
        bias: OptionalTensor<Self>,
        v: OptionalTensor<Self>,
        decay: FlexTensor,
        threshold: FlexTensor,
        layer: Layer,
    ) -> (FlexTensor, FlexTensor) {
        let mut synapse = layer.synapse;
        if x.shape()[1] >= FEW_SAMPLES {
            let given = (x.clone(), weight.clone(), bias.clone());
            let start = LifStart::new(v.clone(), decay.clone(), threshold.clone(), layer.kernel);
            if let Some((spikes, state, _)) =
                Self::layer_kept(given.0, given.1, given.2, start, synapse)
            {
                return (spikes, state);
            }
            synapse = synapse.dense();
        }
        let current = Self::synapse(x, weight, bias, synapse);
        Self::lif(current, v, decay, threshold, layer.kernel)
    }
}

impl LayerBackwardOps for Flex {
    type Kept = LayerKept;

    fn layer_kept(
        x: FlexTensor,
        weight: FlexTensor,
        bias: OptionalTensor<Self>,
        start: LifStart<Self>,
        synapse: Synapse,
    ) -> Option<(FlexTensor, FlexTensor, LayerKept)> {
        let shape = x.shape();
        let SynapseKind::Conv2d(window) = synapse.kind else {
            return None;
        };
        let geometry = geometry(&shape, &weight, window);
        // Each image has a product of its own.
        let inside = to_channels_last(&x);
        let spikes = PackedSpikes::of_images(&inside, &geometry, 1, synapse.product)?;
        let kept = LayerKept {
            spikes: Arc::new(spikes),
            shape,
            weight,
            bias: bias.into_option().map(|bias| bias.to_contiguous()),
            start,
            synapse,
        };
        let (spikes, last) = kept.with_pass(|pass| pass.forward());
        let [height, width] = geometry.out();
        let out = with_end(&kept.shape, [height, width, geometry.outputs]);
        let mut one = out.clone();
        one[0] = 1;
        let spikes = from_channels_last(tensor(spikes, out));
        Some((spikes, from_channels_last(tensor(last, one)), kept))
    }
}

impl NeuronKept<Flex, 6> for LayerKept {
    fn backward(self, outputs: Adjoint<Flex>, needs: [bool; 6]) -> InputGradients<Flex, 6> {
        let [x, weight, bias, _, decay, threshold] = needs;
        let needs = LayerNeeds {
            weight,
            bias,
            learned: decay || threshold,
        };
        let geometry = self.geometry();
        let [height, width] = geometry.out();
        let neurons = height * width * geometry.outputs;
        // Axes of `[T, B, channels, height, width]` with the channels last.
        let order = [0, 1, 3, 4, 2];
        let inside;
        let batch = self.shape[1];
        let incoming = match outputs {
            Adjoint::State(gradient) => {
                inside = to_channels_last(&gradient);
                drop(gradient);
                LayerIncoming {
                    spikes: None,
                    state: Some(slice(&inside)),
                }
            }
            Adjoint::Spikes(gradient) => {
                let ordered = gradient.permute(&order);
                drop(gradient);
                inside = match every_step(&ordered) {
                    Some(_) => ordered,
                    None => ordered.to_contiguous(),
                };
                let same = every_step(&inside).map(|step| (step, 0));
                LayerIncoming {
                    spikes: Some(same.unwrap_or_else(|| (slice(&inside), batch * neurons))),
                    state: None,
                }
            }
        };
        let mut by_v = vec![0.0f32; batch * neurons];
        let v = Shared::new(&mut by_v);
        let (x, sums) = self.with_pass(|pass| match x {
            false => (
                None,
                pass.backward(&incoming, needs, &Results { x: None, v }),
            ),
            true => {
                let mut sums = None;
                let weight = self.weight.to_contiguous();
                let back = InputBackward::new(&geometry, slice(&weight));
                let write = |x| {
                    let x = Some((x, &back));
                    sums = Some(pass.backward(&incoming, needs, &Results { x, v }));
                };
                // SAFETY: all steps of all samples are written.
                let x = unsafe { written(geometry.images * geometry.of_image(), write) };
                (Some(x), sums.expect("it ran"))
            }
        });
        let [in_height, in_width] = geometry.size;
        let outputs = geometry.outputs;
        let learned = sums.learned.map(|learned| {
            let [decay, threshold] = [&self.start.decay, &self.start.threshold];
            let [by_decay, by_threshold] = learned;
            [(decay, by_decay), (threshold, by_threshold)].map(|(values, of_neurons)| {
                let contiguous = values.to_contiguous();
                let per_neuron = PerNeuron::new(slice(&contiguous), 1);
                let sums = per_neuron.collect(&of_neurons[..neurons]);
                Some(tensor(sums, values.shape()))
            })
        });
        let [decay, threshold] = learned.unwrap_or_default();
        let v = tensor(by_v, Shape::from(vec![1, batch, height, width, outputs]));
        [
            x.map(|x| {
                let shape = with_end(&self.shape, [in_height, in_width, geometry.channels]);
                from_channels_last(tensor(x, shape))
            }),
            sums.weight
                .map(|weight| tensor(geometry.weights_outside(&weight), self.weight.shape())),
            sums.bias
                .map(|bias| tensor(bias, Shape::from(vec![outputs]))),
            Some(from_channels_last(v)),
            decay,
            threshold,
        ]
    }
}
