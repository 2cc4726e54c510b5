//! Graphs as chains, and as networks of the zoo.

use std::collections::{HashMap, HashSet};

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use synfire::neuron::{Neuron, NeuronConfig};
use synfire::random::Philox;
use synfire::record::Recorder;
use synfire_models::{
    AnyNetwork, Context, NetworkConfig, NirCnnConfig, SpikingNetwork, StbpMlpConfig,
};

use crate::layer::{Conv, Weights};
use crate::{Array, Layer, NirNetwork};

impl NirNetwork {
    /// The layers in the order in which they run, with the names of their nodes, if each follows the one before it: a graph of one
    /// input and one output without branches, sums and cycles.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use synfire_nir::{Array, Graph, Input, LIF, Layer, Linear, NirNetwork, NirOptions, Output};
    ///
    /// let graph = Graph::chain([
    ///     ("input", Input::new([2]).into()),
    ///     ("fc", Linear { weight: Array::full([3, 2], 20.0) }.into()),
    ///     ("lif", LIF::new([3], 2e-3).into()),
    ///     ("output", Output::new([3]).into()),
    /// ]);
    /// let network = NirNetwork::new(&graph, &NirOptions::new(), &Device::default())?;
    /// let chain = network.chain().unwrap();
    /// assert!(matches!(chain[..], [("fc", Layer::Linear(_)), ("lif", Layer::Lif(_))]));
    /// # Ok::<(), synfire_nir::NirError>(())
    /// ```
    pub fn chain(&self) -> Option<Vec<(&str, &Layer)>> {
        let (mut after, mut reached) = (HashMap::new(), HashSet::new());
        for (from, to) in self.edges() {
            if after.insert(from, to).is_some() || !reached.insert(to) {
                return None;
            }
        }
        let count = self.nodes().count();
        let mut name = self.nodes().find(|(_, kind, _)| *kind == "Input")?.0;
        let mut chain = Vec::new();
        while let Some(next) = after.remove(name) {
            chain.push((next, self.layer(next)?));
            name = next;
        }
        // All nodes but the input, of which the last is the output.
        chain.pop();
        (chain.len() + 2 == count).then_some(chain)
    }

    /// The network as one of the zoo, with its configuration, where it is one: a [perceptron](StbpMlpConfig) or the
    /// [convolutional network of NIR's paper](NirCnnConfig), with LIF or IF neurons that are alike in all layers.
    ///
    /// It is compared with the graph before it is returned: for pseudo-random input of several sizes, all spikes are the same, and all
    /// membrane potentials to rounding.
    pub fn to_zoo(&self) -> Option<(NetworkConfig, AnyNetwork)> {
        let chain = self.chain()?;
        let layers = || chain.iter().map(|(_, layer)| *layer);
        let mut neurons = layers().filter_map(|layer| match layer {
            Layer::Lif(neurons) => neurons.described(),
            _ => None,
        });
        let neuron = neurons.next()?;
        if neurons.any(|other| other != neuron) {
            return None;
        }
        // Factors are not assigned: the comparison sees them.
        let learned = layers().filter(|layer| !matches!(layer, Layer::Scale(_)));
        let mut weights: Vec<_> = learned.filter_map(Layer::weights).collect();
        let convolutions = layers().any(|layer| matches!(layer, Layer::Conv(Conv { .. })));
        let config = self.candidate(convolutions, &weights, neuron)?;
        let device = self.device();
        let network = config.init(&device).ok()?;
        weights.reverse();
        let mut assign = Assign {
            weights,
            bias: None,
            fits: true,
        };
        let network = network.map(&mut assign);
        let done = assign.fits && assign.weights.is_empty();
        (done && self.is_like(&network, &device)).then_some((config, network))
    }

    /// The network of the zoo that may be the same.
    fn candidate(
        &self,
        convolutions: bool,
        weights: &[Weights],
        neuron: NeuronConfig,
    ) -> Option<NetworkConfig> {
        let sample = self.sample_shape();
        let classes = self.output_shapes().first()?.iter().product();
        let config = match (convolutions, sample.as_slice()) {
            (true, &[channels, height, width]) => {
                let config = NirCnnConfig::new().with_image([channels, height, width]);
                NetworkConfig::from(config.with_classes(classes))
            }
            (true, _) => return None,
            (false, _) => {
                let outputs = weights.iter().map(|weights| weights.weight.shape()[0]);
                let sizes = std::iter::once(self.elements()).chain(outputs).collect();
                NetworkConfig::from(StbpMlpConfig::new().with_sizes(sizes))
            }
        };
        let config = config.with_neuron(neuron);
        config.validate().ok()?;
        Some(config)
    }

    /// True if a network does as this one does, for inputs of which one makes the last layer fire.
    fn is_like(&self, other: &AnyNetwork, device: &Device) -> bool {
        let shape = [12, 4, self.elements()];
        let numbers = Philox::new(0).uniform(0, shape.iter().product(), 0.0, 1.0);
        let numbers = Tensor::<3>::from_data(TensorData::new(numbers, shape), device);
        let mut fired = false;
        for factor in [0.5, 2.0, 8.0, 32.0, 128.0] {
            let input = numbers.clone() * factor;
            let (here, there) = (record(self, input.clone()), record(other, input));
            let same = here.iter().zip(&there).all(|(one, two)| close(one, two));
            if !same || here.len() != there.len() {
                return false;
            }
            fired |= here.last().is_some_and(|[spikes, _]| spikes.contains(&1.0));
        }
        fired
    }
}

/// Spikes and membrane potentials of each layer.
fn record(network: &impl SpikingNetwork, input: Tensor<3>) -> Vec<[Vec<f32>; 2]> {
    let mut context = Context::new().with_recorder(Recorder::membranes());
    network.forward(input, &mut context);
    let numbers = |tensor: &Option<Tensor<3>>| match tensor {
        Some(tensor) => tensor.to_data().iter::<f32>().collect(),
        None => Vec::new(),
    };
    let layers = context.recorder().layers().iter();
    layers
        .map(|layer| [numbers(&layer.spikes), numbers(&layer.u)])
        .collect()
}

fn close([spikes, u]: &[Vec<f32>; 2], [others, other]: &[Vec<f32>; 2]) -> bool {
    let largest = u.iter().fold(0.0f32, |max, u| max.max(u.abs()));
    let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-5 * largest;
    spikes == others && u.len() == other.len() && u.iter().zip(other).all(near)
}

/// Gives a network its weights, in the order of its layers.
struct Assign {
    /// The last layer first.
    weights: Vec<Weights>,
    /// The biases of the weights before.
    bias: Option<Array>,
    fits: bool,
}

impl ModuleMapper for Assign {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.val().dims();
        let values = match D {
            1 => match self.bias.take() {
                Some(bias) => bias,
                None => Array::full(shape, 0.0),
            },
            _ => {
                // Biases that have no place.
                self.fits &= self
                    .bias
                    .as_ref()
                    .is_none_or(|bias| bias.to_f64().iter().all(|value| *value == 0.0));
                let Some(Weights { weight, bias }) = self.weights.pop() else {
                    self.fits = false;
                    return param;
                };
                self.bias = bias;
                weight
            }
        };
        let found = values.shape().to_vec();
        let values: Vec<f32> = values
            .to_f64()
            .into_iter()
            .map(|value| value as f32)
            .collect();
        let device = param.val().device();
        let tensor = Tensor::<1>::from_floats(values.as_slice(), &device);
        let tensor = match (D, found.as_slice()) {
            // Linear layers have their inputs first.
            (2, &[outputs, inputs]) if shape[..] == [inputs, outputs] => {
                tensor.reshape([outputs, inputs]).transpose().reshape(shape)
            }
            (1 | 4, found) if found == shape => tensor.reshape(shape),
            _ => {
                self.fits = false;
                return param;
            }
        };
        Param::initialized(param.id, tensor)
    }
}
