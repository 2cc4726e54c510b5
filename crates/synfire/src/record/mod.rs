//! Recording of the activity of layers.
//!
//! A network passes on a [`Recorder`], which [runs the neurons](Recorder::neurons) and keeps the requested data.
//!
//! ```
//! use burn::nn::{Linear, LinearConfig};
//! use burn::tensor::{Device, Tensor};
//! use synfire::neuron::{Lif, LifConfig};
//! use synfire::record::Recorder;
//!
//! struct Network {
//!     linear: Linear,
//!     lif: Lif,
//! }
//!
//! impl Network {
//!     fn forward(&self, input: Tensor<3>, recorder: &mut Recorder) -> Tensor<3> {
//!         let current = self.linear.forward(input);
//!         recorder.neurons("hidden", &self.lif, current, None).0
//!     }
//! }
//!
//! let device = Device::default();
//! let network = Network {
//!     linear: LinearConfig::new(4, 3).init(&device),
//!     lif: LifConfig::new().init(&device)?,
//! };
//! let mut recorder = Recorder::membranes();
//! network.forward(Tensor::ones([6, 2, 4], &device), &mut recorder);
//! let hidden = recorder.layer("hidden").unwrap();
//! assert_eq!(hidden.spikes.as_ref().unwrap().dims(), [6, 2, 3]);
//! assert_eq!(hidden.u.as_ref().unwrap().dims(), [6, 2, 3]);
//! // The first sample's spikes, in the terminal.
//! print!("{}", hidden.sample(0)?.raster(20));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod sample;

use std::collections::HashSet;

use burn::tensor::Tensor;

pub use sample::{RecordError, SampleParts, SampleRecord};

use crate::InvalidConfig;
use crate::layer::{Normalization, SpikeConv2d};
use crate::metric::{LayerOperations, firing_rate};
use crate::neuron::{Neuron, NeuronState, Recording};

/// Data kept for a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Keep {
    #[default]
    Nothing,
    Rates,
    Spikes,
    Membranes,
}

/// Records the activity of layers in one run. Tensors keep their graph, so losses on them have gradients.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    keep: Keep,
    /// The layers to record; `None`: all.
    chosen: Option<Vec<String>>,
    count_operations: bool,
    /// The names of all layers that ran.
    seen: Vec<String>,
    layers: Vec<LayerRecord>,
    rates: Vec<(String, Tensor<1>)>,
    operations: Vec<LayerOperations>,
}

/// Activity of a layer in every step of a sequence. Neurons of any shape are flattened to one axis.
#[derive(Clone, Debug)]
pub struct LayerRecord {
    /// The name of the layer.
    pub name: String,
    /// The shape of its neurons for one sample, `[...]`.
    pub shape: Vec<usize>,
    /// Its spikes, `[T, B, neurons]`. None for a readout that does not spike.
    pub spikes: Option<Tensor<3>>,
    /// Its membrane potentials before reset, `[T, B, neurons]`, if requested.
    pub u: Option<Tensor<3>>,
    /// Its membrane potentials after reset, `[T, B, neurons]`, if requested.
    pub v: Option<Tensor<3>>,
}

impl LayerRecord {
    /// Joins records of parts of a sequence.
    fn join(parts: Vec<Self>) -> Self {
        let cat = |of: fn(&Self) -> &Option<Tensor<3>>| {
            let tensors: Option<Vec<_>> = parts.iter().map(|part| of(part).clone()).collect();
            tensors.map(|tensors| Tensor::cat(tensors, 0))
        };
        Self {
            spikes: cat(|part| &part.spikes),
            u: cat(|part| &part.u),
            v: cat(|part| &part.v),
            name: parts[0].name.clone(),
            shape: parts[0].shape.clone(),
        }
    }
}

/// Position in a recording, see [`Recorder::mark`].
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    seen: usize,
    layers: usize,
    rates: usize,
}

/// Groups items by name, in the order of first appearance.
fn grouped<T>(items: Vec<T>, name: impl Fn(&T) -> &String) -> Vec<Vec<T>> {
    let mut groups: Vec<Vec<T>> = Vec::new();
    for item in items {
        let group = groups
            .iter_mut()
            .find(|group| name(&group[0]) == name(&item));
        match group {
            Some(group) => group.push(item),
            None => groups.push(vec![item]),
        }
    }
    groups
}

impl Recorder {
    fn new(keep: Keep) -> Self {
        let off = Self::default();
        Self { keep, ..off }
    }

    /// Keeps nothing: the network just runs.
    pub fn off() -> Self {
        Self::new(Keep::Nothing)
    }

    /// Keeps the firing rate of every layer, and no spikes: saves memory in training.
    pub fn rates() -> Self {
        Self::new(Keep::Rates)
    }

    /// Keeps the spikes of every layer.
    pub fn spikes() -> Self {
        Self::new(Keep::Spikes)
    }

    /// Keeps spikes and membrane potentials of every layer.
    pub fn membranes() -> Self {
        Self::new(Keep::Membranes)
    }

    /// Restricts recording to these layers.
    pub fn of<S: Into<String>>(mut self, layers: impl IntoIterator<Item = S>) -> Self {
        self.chosen = Some(layers.into_iter().map(Into::into).collect());
        self
    }

    /// Counts the synaptic operations of every layer as well.
    pub fn with_operations(mut self) -> Self {
        self.count_operations = true;
        self
    }

    /// Runs neurons, and keeps the requested data.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, ...]`
    /// - spikes: `[T, B, ...]`
    pub fn neurons<N: Neuron, const D: usize>(
        &mut self,
        name: &str,
        neuron: &N,
        input: Tensor<D>,
        state: Option<NeuronState>,
    ) -> (Tensor<D>, NeuronState) {
        if self.chosen(name) == Keep::Membranes {
            let (recording, state) = neuron.forward_recorded(input, state);
            self.recording(name, &recording);
            return (recording.spikes, state);
        }
        self.ran(name, neuron.forward(input, state))
    }

    /// Runs a normalisation [into](Normalization::normalize_into) its neurons, and keeps the requested data of the neurons.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, channels, ...]`
    /// - spikes: `[T, B, channels, ...]`
    pub fn normalize_into<N: Neuron, const D: usize>(
        &mut self,
        name: &str,
        norm: &impl Normalization,
        neuron: &N,
        input: Tensor<D>,
        state: Option<NeuronState>,
    ) -> (Tensor<D>, NeuronState) {
        if self.chosen(name) == Keep::Membranes {
            return self.neurons(name, neuron, norm.normalize(input), state);
        }
        self.ran(name, norm.normalize_into(neuron, input, state))
    }

    /// Runs a convolution [into](SpikeConv2d::forward_into) its neurons, and keeps the requested data of the neurons.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, channels_in, height_in, width_in]`
    /// - spikes: `[T, B, channels_out, height_out, width_out]`
    pub fn convolution<N: Neuron>(
        &mut self,
        name: &str,
        conv: &SpikeConv2d,
        neuron: &N,
        input: Tensor<5>,
        state: Option<NeuronState>,
    ) -> (Tensor<5>, NeuronState) {
        if self.chosen(name) == Keep::Membranes {
            // Running both together has no membranes to record.
            return self.neurons(name, neuron, conv.forward(input), state);
        }
        self.ran(name, conv.forward_into(neuron, input, state))
    }

    /// Keeps the spikes of neurons that ran, if requested.
    fn ran<const D: usize>(
        &mut self,
        name: &str,
        (spikes, state): (Tensor<D>, NeuronState),
    ) -> (Tensor<D>, NeuronState) {
        self.keep(name, Some(&spikes), None);
        (spikes, state)
    }

    /// Keeps the requested data of neurons that ran already.
    ///
    /// # Shapes
    ///
    /// - recording: `[T, B, ...]` each
    pub fn recording<const D: usize>(&mut self, name: &str, recording: &Recording<D>) {
        let Recording { spikes, u, v } = recording;
        self.keep(name, Some(spikes), Some([u, v]));
    }

    /// Keeps the membrane potentials of a readout that does not spike, if requested.
    ///
    /// # Shapes
    ///
    /// - potentials: `[T, B, ...]`
    pub fn readout<const D: usize>(&mut self, name: &str, potentials: &Tensor<D>) {
        self.keep(name, None, Some([potentials, potentials]));
    }

    /// Keeps the operations of a layer's synapses, if requested.
    pub fn synapses(&mut self, count: impl FnOnce() -> LayerOperations) {
        if self.count_operations {
            self.operations.push(count());
        }
    }

    /// Current position in the recording, for [`join_steps`](Self::join_steps).
    pub fn mark(&self) -> Mark {
        Mark {
            seen: self.seen.len(),
            layers: self.layers.len(),
            rates: self.rates.len(),
        }
    }

    /// Joins the records of each layer since the mark into one. They are records of consecutive parts of a sequence, of equal
    /// length.
    pub fn join_steps(&mut self, mark: Mark) {
        let mut seen = self.seen.split_off(mark.seen);
        let mut known = HashSet::new();
        seen.retain(|name| known.insert(name.clone()));
        self.seen.append(&mut seen);
        let layers = grouped(self.layers.split_off(mark.layers), |layer| &layer.name);
        self.layers
            .extend(layers.into_iter().map(LayerRecord::join));
        let rates = grouped(self.rates.split_off(mark.rates), |(name, _)| name);
        self.rates.extend(rates.into_iter().map(|parts| {
            let name = parts[0].0.clone();
            let parts = parts.into_iter().map(|(_, rate)| rate);
            (name, Tensor::cat(parts.collect(), 0).mean())
        }));
    }

    /// Data to keep for a layer.
    fn chosen(&self, name: &str) -> Keep {
        match &self.chosen {
            Some(chosen) if !chosen.iter().any(|chosen| chosen == name) => Keep::Nothing,
            _ => self.keep,
        }
    }

    /// Notes that a layer ran, and keeps of it what was requested: of its spikes, and its membrane potentials `[u, v]`.
    fn keep<const D: usize>(
        &mut self,
        name: &str,
        spikes: Option<&Tensor<D>>,
        potentials: Option<[&Tensor<D>; 2]>,
    ) {
        self.seen.push(name.to_owned());
        let keep = self.chosen(name);
        if let (Keep::Rates, Some(spikes)) = (keep, spikes) {
            let rate = firing_rate(spikes.clone().detach());
            self.rates.push((name.to_owned(), rate));
        }
        let spikes = spikes.filter(|_| matches!(keep, Keep::Spikes | Keep::Membranes));
        let [u, v] = match keep {
            Keep::Membranes => [0, 1].map(|i| potentials.map(|potentials| potentials[i])),
            Keep::Nothing | Keep::Rates | Keep::Spikes => [None; 2],
        };
        let Some(shape) = spikes.or(u).map(Tensor::dims) else {
            return;
        };
        assert!(
            D > 1,
            "Recorder: layer `{name}` has sequences {shape:?}, expected [T, B, ...]"
        );
        let neurons = shape[2..].iter().product();
        let row = |tensor: &Tensor<D>| tensor.clone().reshape([shape[0], shape[1], neurons]);
        self.layers.push(LayerRecord {
            name: name.to_owned(),
            shape: shape[2..].to_vec(),
            spikes: spikes.map(row),
            u: u.map(row),
            v: v.map(row),
        });
    }

    /// The records, in the order in which the layers ran.
    pub fn layers(&self) -> &[LayerRecord] {
        &self.layers
    }

    /// The record of a layer, the first of that name.
    pub fn layer(&self, name: &str) -> Option<&LayerRecord> {
        self.layers.iter().find(|layer| layer.name == name)
    }

    /// The firing rates `[1]` of the layers that spike, in the order in which they ran, if requested by
    /// [`rates`](Self::rates). They carry no gradients.
    pub fn firing_rates(&self) -> &[(String, Tensor<1>)] {
        &self.rates
    }

    /// The operations of the layers, in the order in which they ran.
    pub fn operations(&self) -> &[LayerOperations] {
        &self.operations
    }

    /// All recorded data except the [firing rates](Self::firing_rates).
    pub fn into_parts(self) -> (Vec<LayerRecord>, Vec<LayerOperations>) {
        (self.layers, self.operations)
    }

    /// Checks, after a run, that all requested layers exist.
    ///
    /// # Errors
    ///
    /// If no layer of a requested name ran.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        let chosen = self.chosen.iter().flatten();
        for name in chosen {
            let seen = self.seen.contains(name);
            let found = format!("{name} (there are: {})", self.seen.join(", "));
            let expected = "the name of a layer that ran";
            InvalidConfig::require("Recorder", "layers", found, seen, expected)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neuron::LifConfig;
    use burn::tensor::Device;

    fn run(recorder: &mut Recorder) -> Vec<f32> {
        let device = Device::default();
        let lif = LifConfig::new().init(&device).unwrap();
        let input = Tensor::<5>::full([3, 2, 1, 2, 2], 0.3, &device);
        let (hidden, _) = recorder.neurons("hidden", &lif, input, None);
        recorder.synapses(|| {
            LayerOperations::linear(
                Tensor::ones([1, 1, 2], &device),
                Tensor::ones([2, 3], &device),
            )
        });
        let (recording, _) = lif.forward_recorded(hidden, None);
        recorder.recording("output", &recording);
        let output = recording.spikes;
        recorder.readout("readout", &output);
        output.into_data().try_to_vec::<f32>().unwrap()
    }

    #[test]
    fn what_was_asked_for_is_kept_and_nothing_changes() {
        let spikes = run(&mut Recorder::off());
        let mut all = Recorder::membranes().with_operations();
        assert_eq!(run(&mut all), spikes);
        let names: Vec<_> = all
            .layers()
            .iter()
            .map(|layer| layer.name.as_str())
            .collect();
        assert_eq!(names, ["hidden", "output", "readout"]);
        let output = all.layer("output").unwrap();
        assert_eq!(output.shape, [1, 2, 2]);
        let kept = output.spikes.clone().unwrap();
        assert_eq!(kept.dims(), [3, 2, 4]);
        assert_eq!(kept.into_data().try_to_vec::<f32>().unwrap(), spikes);
        assert!(all.layer("readout").unwrap().spikes.is_none());
        assert_eq!(all.operations().len(), 1);

        let mut some = Recorder::spikes().of(["output"]);
        assert_eq!(run(&mut some), spikes);
        assert_eq!(some.layers().len(), 1);
        assert!(some.layers()[0].u.is_none() && some.operations().is_empty());
        assert!(some.check().is_ok());
    }

    #[test]
    fn rates_are_those_of_the_spikes() {
        let mut spikes = Recorder::spikes();
        run(&mut spikes);
        let mut rates = Recorder::rates();
        run(&mut rates);
        assert!(rates.layers().is_empty());
        let expected: Vec<_> = spikes
            .layers()
            .iter()
            .map(|layer| {
                let rate = layer.spikes.clone().unwrap().mean();
                (layer.name.clone(), rate.into_scalar::<f32>())
            })
            .collect();
        let got: Vec<_> = rates
            .firing_rates()
            .iter()
            .map(|(name, rate)| (name.clone(), rate.clone().into_scalar::<f32>()))
            .collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn unknown_layers_are_named() {
        let mut recorder = Recorder::spikes().of(["hidden", "hiden"]);
        run(&mut recorder);
        let error = recorder.check().unwrap_err().to_string();
        assert!(
            error.contains("hiden (there are: hidden, output, readout)"),
            "{error}"
        );
    }
}
