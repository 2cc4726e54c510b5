//! Networks for inference, with normalisations folded into weights.

use std::collections::HashMap;
use std::sync::Arc;

use burn::module::{Module, Param, ParamId};
use burn::nn::BatchNorm;
use burn::tensor::{Device, Tensor};
use synfire::layer::{Normalization, SpikeConv2d, SpikeLinear};
use synfire::neuron::{LeakyIntegratorConfig, NeuronConfig};

use crate::network::rows;
use crate::{Context, SpikingNetwork};

/// A network for inference, faster and with the same outputs to rounding: batch normalisations with running statistics are
/// folded into the weights before them, and convolutions run together with their neurons. The weights are stored in the order
/// in which the kernels read them.
///
/// Created by [`SpikingNetwork::fuse`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{NetworkConfig, SpikingNetwork};
///
/// let network = NetworkConfig::preset("vgg9")?.config.init(&Device::default())?;
/// let fused = network.fuse();
/// let images = Tensor::<5>::ones([2, 1, 3, 32, 32], &Device::default());
/// assert_eq!(fused.run(images).dims(), [2, 1, 10]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Clone, Debug)]
pub struct Fused<N> {
    network: N,
    layers: FoldedLayers,
}

impl<N: SpikingNetwork> Fused<N> {
    pub(crate) fn new(network: N) -> Self {
        let mut context = Context::folding();
        let input = Tensor::zeros([1, 1, network.elements()], &network.device());
        network.forward(input, &mut context);
        Self {
            layers: context.into_folded(),
            network,
        }
    }

    /// As [`SpikingNetwork::forward`].
    ///
    /// # Panics
    ///
    /// As the network does.
    pub fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        context.set_folded(self.layers.clone());
        self.network.forward(input, context)
    }

    /// As [`SpikingNetwork::run`].
    ///
    /// # Panics
    ///
    /// As the network does.
    pub fn run<const D: usize>(&self, input: Tensor<D>) -> Tensor<3> {
        let rows = rows(&self.network, input);
        self.forward(rows, &mut Context::new())
    }

    /// The neurons and readouts by the names of their layers, with the values that their parameters have now; none for neurons
    /// that are not of the list.
    #[doc(hidden)]
    pub fn neurons(&self) -> Vec<(String, Option<Described>)> {
        let mut context = Context::describing();
        let device = self.network.device();
        let input = Tensor::zeros([1, 1, self.network.elements()], &device);
        self.network.forward(input, &mut context);
        context.into_described()
    }

    /// The same on another device.
    #[doc(hidden)]
    pub fn to_device(self, device: &Device) -> Self {
        Self {
            network: self.network.to_device(device),
            layers: self.layers.to_device(device),
        }
    }

    /// The network itself.
    pub fn network(&self) -> &N {
        &self.network
    }
}

/// Neurons or a readout, with the values that parameters have now.
#[doc(hidden)]
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum Described {
    /// Neurons.
    Neuron(NeuronConfig),
    /// A readout that does not spike.
    Readout(LeakyIntegratorConfig),
}

/// Layers without the normalisations that follow them, by the parameters of both: the weights, and `gamma` if there is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct FoldedLayers {
    convs: Arc<HashMap<Key, SpikeConv2d>>,
    linears: Arc<HashMap<Key, SpikeLinear>>,
}

type Key = (ParamId, Option<ParamId>);

fn key<const D: usize>(weight: &Param<Tensor<D>>, norm: Option<&BatchNorm>) -> Key {
    (weight.id, norm.map(|norm| norm.gamma.id))
}

impl FoldedLayers {
    fn to_device(&self, device: &Device) -> Self {
        fn moved<M: Module>(layers: &HashMap<Key, M>, device: &Device) -> Arc<HashMap<Key, M>> {
            let layers = layers.iter();
            let layers = layers.map(|(key, layer)| (*key, layer.clone().to_device(device)));
            Arc::new(layers.collect())
        }
        Self {
            convs: moved(&self.convs, device),
            linears: moved(&self.linears, device),
        }
    }

    pub fn fold_conv(&mut self, conv: &SpikeConv2d, norm: Option<&BatchNorm>) {
        let folded = match norm {
            Some(norm) => conv.folded(norm),
            None => conv.clone().ordered(),
        };
        Arc::make_mut(&mut self.convs).insert(key(&conv.weight, norm), folded);
    }

    /// What to run in place of a convolution and its normalisation, if there is one: the folded layer, and what was not folded.
    pub fn conv<'a, N: Normalization>(
        &'a self,
        conv: &'a SpikeConv2d,
        norm: Option<&'a N>,
    ) -> (&'a SpikeConv2d, Option<&'a N>) {
        let foldable = norm.and_then(Normalization::batch_norm);
        match self.convs.get(&key(&conv.weight, foldable)) {
            Some(folded) => (folded, norm.filter(|_| foldable.is_none())),
            None => (conv, norm),
        }
    }

    /// True if this convolution, without a normalisation, is among them.
    pub fn has_conv(&self, conv: &SpikeConv2d) -> bool {
        self.convs.contains_key(&key(&conv.weight, None))
    }

    pub fn fold_linear(&mut self, linear: &SpikeLinear, norm: &BatchNorm) {
        let linears = Arc::make_mut(&mut self.linears);
        linears.insert(key(&linear.weight, Some(norm)), linear.folded(norm));
    }

    pub fn linear(&self, linear: &SpikeLinear, norm: &BatchNorm) -> Option<&SpikeLinear> {
        self.linears.get(&key(&linear.weight, Some(norm)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NetworkConfig;
    use crate::block::ALIVE;
    use burn::module::Module;
    use burn::tensor::{Device, TensorData};
    use synfire::layer::NormConfig;
    use synfire::random::Philox;
    use synfire::record::Recorder;

    const SAMPLES: usize = 8;

    /// Uniform numbers, `[T, B, elements]`.
    fn uniform(sequence: u64, shape: [usize; 3], device: &Device) -> Tensor<3> {
        let values = Philox::new(2).uniform(sequence, shape.iter().product(), 0.0, 1.0);
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    /// The outputs of some samples, and the firing rates of all neurons.
    fn outputs_and_rates(
        elements: usize,
        in_parts: bool,
        forward: impl Fn(Tensor<3>, &mut Context) -> Tensor<3>,
    ) -> (Tensor<3>, Vec<f32>) {
        let input = uniform(0, [3, SAMPLES, elements], &Device::default());
        let mut context = Context::new();
        let mut rest = input.clone();
        if in_parts {
            forward(input.slice(0..1), &mut context);
            context = Context::new().with_state(context.finish());
            rest = rest.slice(1..3);
        }
        let mut context = context.with_recorder(Recorder::rates());
        let outputs = forward(rest, &mut context);
        let rates = context.recorder().firing_rates().to_vec();
        let rates = rates.into_iter().map(|(_, rate)| rate.into_scalar::<f32>());
        (outputs, rates.collect())
    }

    #[test]
    fn all_networks_give_the_same_outputs_with_any_normalisation() {
        let device = Device::default().autodiff();
        // The first statistics, with which deep networks are silent, are soon forgotten.
        let norms = NormConfig::all(3).map(|norm| Some(norm.with_momentum(0.5)));
        for small in NetworkConfig::small() {
            for norm in norms.into_iter().chain([None]) {
                let norm = match (&small, norm) {
                    // Attention lowers the currents.
                    (
                        NetworkConfig::MaSnn(_),
                        Some(NormConfig::TdBatch {
                            epsilon, momentum, ..
                        }),
                    ) => {
                        let alpha = 8.0;
                        Some(NormConfig::TdBatch {
                            alpha,
                            epsilon,
                            momentum,
                        })
                    }
                    _ => norm,
                };
                let mut config = small.clone().with_layers(|layers| match norm {
                    Some(_) => layers.with_norm(norm),
                    // Deep networks are silent without.
                    None => layers.with_norm(None).with_initializer(ALIVE),
                });
                config.set_time_steps(3);
                if config.validate().is_err() {
                    // Its layers run step by step, and the normalisation is of whole sequences.
                    continue;
                }
                let network = config.init(&device).unwrap();
                let input = [3, 4, network.elements()];
                for i in 1..=10 {
                    network.forward(uniform(i, input, &device), &mut Context::new());
                }
                let name = format!("{} with {norm:?}", config.name());
                // With normalisations of their own for time steps, or attention among them, a sequence is whole.
                let in_parts = config.streams();
                let plain = network.valid();
                let fused = network.fuse();
                assert_eq!(fused.network().devices(), plain.devices());
                let elements = network.elements();
                let (expected, rates) =
                    outputs_and_rates(elements, in_parts, |x, context| plain.forward(x, context));
                let (got, fused_rates) =
                    outputs_and_rates(elements, in_parts, |x, context| fused.forward(x, context));
                assert!(rates.iter().any(|rate| *rate > 0.0), "{name}: {rates:?}");
                // A potential at the threshold may be rounded to either side, which the later layers of one sample see.
                for (rate, expected) in fused_rates.iter().zip(&rates) {
                    assert!(
                        (rate - expected).abs() < 5e-3,
                        "{name}: {fused_rates:?} {rates:?}"
                    );
                }
                let scale = expected.clone().abs().max().into_scalar::<f32>().max(1e-3);
                let differences = (got - expected).abs().max_dim(2).max_dim(0);
                let differences: Vec<f32> = differences.into_data().try_to_vec().unwrap();
                let close = differences.iter().filter(|x| **x <= 1e-4 * scale).count();
                let flipped = usize::from(fused_rates != rates);
                assert!(
                    close + flipped >= SAMPLES,
                    "{name}: {scale} {differences:?}"
                );
            }
        }
    }

    #[test]
    fn every_convolution_is_folded() {
        let config = NetworkConfig::preset("sew-resnet18").unwrap().config;
        let NetworkConfig::SewResNet(config) = config else {
            unreachable!("a preset of that network");
        };
        let config = config.with_width(4).with_image([3, 32, 32]);
        let network = config.init(&Device::default()).unwrap();
        // The stem, two in each of eight blocks, and three shortcuts.
        assert_eq!(network.fuse().layers.convs.len(), 1 + 16 + 3);
    }
}
