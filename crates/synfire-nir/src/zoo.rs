//! Graphs as chains, and as networks of the zoo.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use synfire::neuron::{Neuron, NeuronConfig};
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
        let nodes: Vec<_> = self.nodes().collect();
        let mut name = nodes.iter().find(|(_, kind, _)| *kind == "Input")?.0;
        let mut chain = Vec::new();
        loop {
            let mut after = self.edges().filter(|(from, _)| *from == name);
            let Some((_, next)) = after.next() else {
                break;
            };
            let alone = self.edges().filter(|(_, to)| *to == next).count() == 1;
            if after.next().is_some() || !alone || chain.len() == nodes.len() {
                return None;
            }
            chain.push((next, self.layer(next)?));
            name = next;
        }
        // The output is the last; the input is not there.
        chain.pop();
        (chain.len() + 2 == nodes.len()).then_some(chain)
    }

    /// The same network as one of the zoo, with its configuration, where it is one: a [perceptron](StbpMlpConfig) or the
    /// [convolutional network of NIR's paper](NirCnnConfig), with LIF or IF neurons that are alike in all layers.
    ///
    /// It is compared with the graph before it is returned: all spikes are the same for some input.
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
        // What factors are for is seen when both are compared.
        let learned = layers().filter(|layer| !matches!(layer, Layer::Scale(_)));
        let mut weights: Vec<_> = learned.filter_map(Layer::weights).collect();
        let convolutions = layers().any(|layer| matches!(layer, Layer::Conv(Conv { .. })));
        let config = self.candidate(convolutions, &weights, neuron)?;
        let device = self.devices().into_iter().next().unwrap_or_default();
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

    /// Whether a network fires as this one does, for an input that makes the last layer fire.
    fn is_like(&self, other: &AnyNetwork, device: &Device) -> bool {
        fn spikes(network: &impl SpikingNetwork, input: Tensor<3>) -> Vec<Vec<f32>> {
            let mut context = Context::new().with_recorder(Recorder::spikes());
            network.forward(input, &mut context);
            let layers = context.recorder().layers().iter();
            let spikes = layers.filter_map(|layer| layer.spikes.clone());
            spikes
                .map(|spikes| spikes.into_data().iter::<f32>().collect())
                .collect()
        }
        const SHAPE: [usize; 2] = [12, 4];
        let count = SHAPE[0] * SHAPE[1] * self.elements();
        // A sequence of bits that has nothing to do with the order of neurons.
        let bits = (0..count as u64).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 61) == 0);
        let bits: Vec<f32> = bits.map(|bit| f32::from(u8::from(bit))).collect();
        let shape = [SHAPE[0], SHAPE[1], self.elements()];
        let bits = Tensor::<1>::from_floats(bits.as_slice(), device).reshape(shape);
        for factor in [1.0, 4.0, 16.0, 64.0, 256.0] {
            let input = bits.clone() * factor;
            let here = spikes(self, input.clone());
            if here.last().is_some_and(|layer| layer.contains(&1.0)) {
                return here == spikes(other, input);
            }
        }
        false
    }
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
