//! Networks of rectifiers as networks of spikes.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};
use synfire::neuron::{NeuronConfig, ParamInit, ScaledIfConfig, Threshold, Values};
use synfire::record::Recorder;
use synfire::{InvalidConfig, config};

use crate::block::ReadoutConfig;
use crate::load::{LoadError, copy_weights};
use crate::network::dry_neurons;
use crate::unit_spikes::with_unit_spikes;
use crate::{AnyNetwork, Context, NetworkConfig, SpikingNetwork};

/// How a threshold follows from the outputs of the rectifiers of a layer or channel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// Their maximum (Diehl et al. 2015, *Fast-Classifying, High-Accuracy Spiking Deep Networks Through Weight and Threshold
    /// Balancing*).
    Maximum,
    /// A percentile, above 0 and at most 100; the largest of all batches (Rueckauer et al. 2017, *Conversion of Continuous-Valued
    /// Deep Networks to Efficient Event-Driven Networks for Image Classification*).
    Percentile(f64),
    /// The one with which the mean outputs of so many steps differ least from those of the rectifiers, by the mean square: one layer
    /// after the other, each with the spikes that it gets from those before (after Li et al. 2021, *A Free Lunch From ANN: Towards
    /// Efficient, Accurate Spiking Neural Networks Calibration*).
    Steps(usize),
    /// The thresholds of [`QuantizedRelu`](synfire::neuron::QuantizedRelu)s, learned or not.
    Learned,
}

config! {
    /// Converts a network of [`Relu`](synfire::neuron::Relu)s or [`QuantizedRelu`](synfire::neuron::QuantizedRelu)s to one of [`ScaledIf`](synfire::neuron::ScaledIf) neurons, with the same
    /// weights and a threshold for each channel or layer: over many time steps, the mean of its outputs is that of the network itself.
    /// Maximum pooling of spikes is an exception: the largest of several spikes is more than that of their means.
    ///
    /// Spikes are 1: the weights behind neurons are multiplied by their thresholds. Where the spikes of several layers are added, as in
    /// residual networks, they are as large as the threshold of their neuron.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::neuron::ReluConfig;
    /// use synfire_models::block::ReadoutConfig;
    /// use synfire_models::{ConversionConfig, NetworkConfig, SpikingNetwork, StbpMlpConfig};
    ///
    /// let device = Device::default();
    /// let mlp = StbpMlpConfig::new().with_sizes(vec![4, 8, 2]);
    /// let config: NetworkConfig = mlp.with_neuron(ReluConfig::new()).with_readout(ReadoutConfig::Currents).into();
    /// let network = config.init(&device)?;
    ///
    /// let samples = vec![Tensor::<3>::ones([1, 5, 4], &device)]; // batches [1, B, elements]
    /// let (_config, spiking) = ConversionConfig::new().convert(&config, &network, &samples)?;
    /// let outputs = spiking.run(Tensor::<3>::ones([32, 5, 4], &device)).mean_dim(0);
    /// let error = (outputs - network.run(samples[0].clone())).abs().max();
    /// assert!(error.into_scalar::<f32>() < 0.05);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub struct ConversionConfig {
        /// The thresholds.
        with_balance -> balance: Balance = Balance::Maximum,
        /// True if each channel has its own threshold; false if a layer has one. [`Balance::Learned`] keeps those that there are.
        with_per_channel -> per_channel: bool = true,
        /// The initial membrane potential, as a part of the threshold, from 0 to below 1.
        with_start -> start: f64 = 0.5,
        /// True if neurons take spikes back.
        with_signed -> signed: bool = false,
    }
}

/// Number of thresholds that [`Balance::Steps`] compares.
const CANDIDATES: usize = 48;
/// Samples that it compares them with, and how many of them run together.
const COMPARED: [usize; 2] = [256, 32];
/// Neurons of a layer in such a part, of which it takes some.
const NEURONS: usize = 1 << 17;

impl ConversionConfig {
    /// Converts a network. The samples, batches `[1, B, elements]`, are those that it was trained with, or some of them.
    ///
    /// # Errors
    ///
    /// If the network has other neurons, also in a single layer, or another readout than currents, or needs a known number of
    /// time steps; if `Relu`s have a slope, or [`Balance::Learned`] is to be used with them; if a value of this configuration is
    /// out of range; or if there are no samples where thresholds follow from them, or outputs for them are not finite.
    ///
    /// # Panics
    ///
    /// If samples have another number of elements than the network takes, or more than one step.
    pub fn convert(
        &self,
        config: &NetworkConfig,
        network: &AnyNetwork,
        samples: &[Tensor<3>],
    ) -> Result<(NetworkConfig, AnyNetwork), LoadError> {
        const OWNER: &str = "ConversionConfig";
        let layers = config.layers();
        let takes = self.balance == Balance::Learned;
        let threshold = |initial: f64| match self.per_channel {
            true => Threshold::learned(Values::each_channel(initial)),
            false => Threshold::learned(initial),
        };
        let threshold = match &layers.neuron {
            NeuronConfig::QuantizedRelu(relu) if takes => relu.threshold.clone(),
            // The initial one, on which normalisations may depend.
            NeuronConfig::QuantizedRelu(relu) => threshold(relu.threshold.values().mean()),
            NeuronConfig::Relu(relu) => {
                let flat = relu
                    .slope
                    .values()
                    .as_slice()
                    .iter()
                    .all(|slope| *slope == 0.0);
                let flat = flat && matches!(relu.slope, ParamInit::Fixed(_));
                InvalidConfig::require(OWNER, "slope", &relu.slope, flat, "0")?;
                let expected = "another, as rectifiers have no thresholds";
                InvalidConfig::require(OWNER, "balance", "learned", !takes, expected)?;
                threshold(1.0)
            }
            other => {
                let expected = "relu or quantized-relu";
                return Err(InvalidConfig::new(OWNER, "neuron", other.kind(), expected).into());
            }
        };
        let expected = "currents";
        let ok = layers.readout == ReadoutConfig::Currents;
        InvalidConfig::require(OWNER, "readout", "another", ok, expected)?;
        match self.balance {
            Balance::Percentile(percent) => {
                let ok = percent > 0.0 && percent <= 100.0;
                let expected = "a percentile above 0, at most 100";
                InvalidConfig::require(OWNER, "balance", percent, ok, expected)?;
            }
            Balance::Steps(steps) => {
                InvalidConfig::require_size(OWNER, "balance", steps)?;
            }
            Balance::Maximum | Balance::Learned => {}
        }
        for batch in samples {
            let steps = batch.dims()[0];
            assert_eq!(
                steps, 1,
                "ConversionConfig: samples of {steps} steps, expected 1"
            );
        }
        let expected = "at least one batch";
        let ok = takes || !samples.is_empty();
        InvalidConfig::require(OWNER, "samples", "none", ok, expected)?;

        let neuron = ScaledIfConfig::new()
            .with_threshold(threshold)
            .with_start(self.start)
            .with_signed(self.signed);
        let converted = config.clone().with_neuron(neuron.clone());
        let common = converted.layers().neuron;
        for name in network.layer_names() {
            let ok = converted.neuron_of(&name) == common;
            let expected = "a network whose neurons have the same configuration";
            InvalidConfig::require(OWNER, "network", &name, ok, expected)?;
        }
        let expected = "one that can run for any number of time steps";
        InvalidConfig::require(OWNER, "network", config.name(), config.streams(), expected)?;
        let device = network.device();
        let mut spiking = converted.init(&device)?;
        let layers = dry_neurons(&spiking, &device);
        let mut source = network.clone();
        if !takes {
            // Those of quantised rectifiers have another shape, and are not used.
            let dry = dry_neurons(network, &device);
            let parameters = dry.iter().flat_map(|layer| {
                let numbers = vec![1.0; if self.per_channel { layer.channels } else { 1 }];
                let parameters = layer.parameters.iter();
                parameters.map(move |parameter| (*parameter, numbers.clone()))
            });
            source = source.map(&mut Thresholds(parameters.collect()));
        }
        copy_weights(&source, &mut spiking)?;
        if !takes {
            let network = network.valid();
            let most = self.largest(&network, samples)?;
            let layers = layers.into_iter().filter_map(|layer| {
                let most = most.get(&layer.name)?;
                Some((*layer.parameters.first()?, layer.name, most))
            });
            let layers: Vec<_> = layers.collect();
            let initial = layers.iter();
            let initial = initial.map(|(parameter, _, most)| (*parameter, (*most).clone()));
            spiking = spiking.map(&mut Thresholds(initial.collect()));
            if let Balance::Steps(steps) = self.balance {
                for (parameter, name, most) in layers {
                    let best = self.best(&network, &spiking, samples, &name, most, steps)?;
                    spiking = spiking.map(&mut Thresholds(HashMap::from([(parameter, best)])));
                }
            }
        }
        let unit = with_unit_spikes(&converted, neuron, &spiking, samples.first())?;
        Ok(unit.unwrap_or((converted, spiking)))
    }

    /// The largest outputs or percentiles of layers by name: of each channel, or of all.
    fn largest(
        &self,
        network: &AnyNetwork,
        samples: &[Tensor<3>],
    ) -> Result<HashMap<String, Vec<f32>>, LoadError> {
        let percent = match self.balance {
            Balance::Percentile(percent) => percent,
            _ => 100.0,
        };
        // Percentiles and maxima.
        let mut most: HashMap<String, Vec<[f32; 2]>> = HashMap::new();
        for batch in samples {
            for layer in self.outputs(network, batch, Recorder::spikes())? {
                if layer.values.iter().any(|value| !value.is_finite()) {
                    let reason = format!("outputs of {} are not finite", layer.name);
                    return Err(LoadError::Weights(reason));
                }
                let of_channels = layer.of_channels();
                let none = || vec![[0.0; 2]; layer.channels];
                let most = most.entry(layer.name).or_insert_with(none);
                for ([some, all], values) in most.iter_mut().zip(of_channels) {
                    *all = values.iter().copied().fold(*all, f32::max);
                    *some = some.max(percentile(values, percent));
                }
            }
        }
        let thresholds = most.into_iter().map(|(name, most)| {
            let of_layer = most.iter().map(|[_, all]| *all).fold(0.0, f32::max);
            // A channel that is rarely more than 0 has a percentile of 0, one that is always silent a maximum of 0.
            let first = |[some, all]: [f32; 2]| {
                let mut choices = [some, all, of_layer].into_iter();
                choices.find(|most| *most > 0.0).unwrap_or(1.0)
            };
            (name, most.into_iter().map(first).collect())
        });
        Ok(thresholds.collect())
    }

    /// The best thresholds of a layer, up to the largest outputs, given those of the layers before.
    fn best(
        &self,
        network: &AnyNetwork,
        spiking: &AnyNetwork,
        samples: &[Tensor<3>],
        name: &str,
        most: &[f32],
        steps: usize,
    ) -> Result<Vec<f32>, LoadError> {
        let spiking = spiking.valid();
        let mut errors = vec![[0.0; CANDIDATES]; most.len()];
        let parts = samples.iter();
        let parts = parts.flat_map(|batch| batch.clone().split(COMPARED[1], 1));
        let parts: Vec<_> = parts.collect();
        // From all over the samples, which may be sorted by class.
        let count = COMPARED[0].div_ceil(COMPARED[1]).min(parts.len());
        for part in (0..count).map(|i| parts[i * parts.len() / count].clone()) {
            let of_layer = Recorder::spikes().of([name]);
            let expected = self.outputs(network, &part, of_layer)?;
            let of_layer = Recorder::membranes().of([name]);
            let input = part.repeat_dim(0, steps);
            let [expected, spikes] = [expected, self.outputs(&spiking, &input, of_layer)?];
            let (Some(expected), Some(spikes)) = (expected.first(), spikes.first()) else {
                continue;
            };
            let neurons = expected.values.len();
            let mut currents = vec![0.0; steps];
            // In no step with rows of pixels and channels.
            let mut stride = neurons.div_ceil(NEURONS).max(1);
            while common_divisor(stride, expected.size * expected.channels) > 1 {
                stride += 1;
            }
            for neuron in (0..neurons).step_by(stride) {
                let channel = neuron / expected.size % expected.channels;
                let mut before = self.start as f32;
                for (step, current) in currents.iter_mut().enumerate() {
                    let i = step * neurons + neuron;
                    *current = (spikes.u[i] - before) * most[channel];
                    before = spikes.v[i];
                }
                for (i, sum) in errors[channel].iter_mut().enumerate() {
                    let threshold = candidate(most[channel], i);
                    let mean = self.mean_output(&currents, threshold);
                    *sum += f64::from(mean - expected.values[neuron]).powi(2);
                }
            }
        }
        let best = most.iter().zip(errors).map(|(most, errors)| {
            // Of equal ones the largest, with the fewest spikes.
            let best = (0..CANDIDATES)
                .rev()
                .min_by(|a, b| errors[*a].total_cmp(&errors[*b]));
            candidate(*most, best.unwrap_or(CANDIDATES - 1))
        });
        Ok(best.collect())
    }

    /// The mean output of a neuron.
    fn mean_output(&self, currents: &[f32], threshold: f32) -> f32 {
        let (mut v, mut sent) = (self.start as f32 * threshold, 0.0f32);
        for current in currents {
            v += current;
            if v >= threshold {
                v -= threshold;
                sent += 1.0;
            } else if self.signed && v < 0.0 && sent > 0.0 {
                v += threshold;
                sent -= 1.0;
            }
        }
        sent * threshold / currents.len() as f32
    }

    /// What a recorder keeps of a batch.
    fn outputs(
        &self,
        network: &AnyNetwork,
        batch: &Tensor<3>,
        recorder: Recorder,
    ) -> Result<Vec<Outputs>, LoadError> {
        let mut context = Context::new().with_recorder(recorder);
        network.forward(batch.clone().inner(), &mut context);
        let layers = context.recorder().layers().iter();
        let mut all = Vec::new();
        for layer in layers {
            let numbers = |tensor: &Option<Tensor<3>>| match tensor {
                Some(tensor) => {
                    let data = tensor.clone().into_data().try_to_vec::<f32>();
                    data.map_err(|error| LoadError::Weights(format!("{}: {error:?}", layer.name)))
                }
                None => Ok(Vec::new()),
            };
            let channels = if self.per_channel { layer.shape[0] } else { 1 };
            all.push(Outputs {
                name: layer.name.clone(),
                size: layer.shape.iter().product::<usize>() / channels,
                channels,
                values: numbers(&layer.spikes)?,
                u: numbers(&layer.u)?,
                v: numbers(&layer.v)?,
            });
        }
        all.retain(|layer| !layer.values.is_empty());
        Ok(all)
    }
}

/// The record of a layer, `[T, samples, channels, size]`, where all channels may count as one.
struct Outputs {
    name: String,
    channels: usize,
    size: usize,
    /// Outputs.
    values: Vec<f32>,
    /// Potentials before the reset, where they are recorded.
    u: Vec<f32>,
    /// After it.
    v: Vec<f32>,
}

impl Outputs {
    fn of_channels(&self) -> Vec<Vec<f32>> {
        let mut channels = vec![Vec::new(); self.channels];
        for (i, values) in self.values.chunks(self.size.max(1)).enumerate() {
            channels[i % self.channels].extend_from_slice(values);
        }
        channels
    }
}

/// One of the thresholds to compare, up to the largest output.
fn candidate(most: f32, i: usize) -> f32 {
    most * (i + 1) as f32 / CANDIDATES as f32
}

fn common_divisor(a: usize, b: usize) -> usize {
    match b {
        0 => a,
        _ => common_divisor(b, a % b),
    }
}

/// A percentile, the nearest below; 0 of nothing.
fn percentile(mut values: Vec<f32>, percent: f64) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let at = ((values.len() - 1) as f64 * percent / 100.0) as usize;
    let (_, value, _) = values.select_nth_unstable_by(at, f32::total_cmp);
    *value
}

/// Sets parameters to numbers.
struct Thresholds(HashMap<ParamId, Vec<f32>>);

impl ModuleMapper for Thresholds {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.0.get(&parameter.id) {
            Some(numbers) => parameter.map(|tensor| {
                let numbers = TensorData::new(numbers.clone(), [numbers.len()]);
                let numbers = Tensor::from_data(numbers, &tensor.device());
                numbers.set_require_grad(tensor.is_require_grad())
            }),
            None => parameter,
        }
    }
}

/// The parameters of a module.
#[derive(Default)]
pub(crate) struct Parameters(pub Vec<ParamId>);

impl ModuleVisitor for Parameters {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.0.push(parameter.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learned_parameters;
    use crate::{
        Architecture, MsResNetConfig, SewResNetConfig, SpikformerConfig, SpikingVggConfig,
        StbpMlpConfig,
    };
    use burn::tensor::{Device, Distribution};
    use synfire::layer::{NormConfig, Pooling};
    use synfire::neuron::{LeakyIntegratorConfig, LifConfig, QuantizedReluConfig, ReluConfig};

    fn vgg() -> NetworkConfig {
        let config = SpikingVggConfig::vgg5()
            .with_stages(vec![vec![8], vec![16]])
            .with_pooling(Pooling::Average)
            .with_image([1, 12, 12])
            .with_hidden(vec![32]);
        config.into()
    }

    /// How far the mean outputs of so many steps are from those of the network, as a part of the largest.
    fn error(config: &NetworkConfig, conversion: &ConversionConfig, steps: usize) -> f32 {
        let device = Device::default();
        let network = config.init(&device).unwrap();
        device.seed(3);
        let samples = [1, 6, network.elements()];
        let samples = Tensor::<3>::random(samples, Distribution::Default, &device);
        let converted = conversion.convert(config, &network, std::slice::from_ref(&samples));
        let (_, spiking) = converted.unwrap();
        let expected = network.run(samples.clone());
        let got = spiking.run(samples.repeat_dim(0, steps)).mean_dim(0);
        let largest = expected.clone().abs().max().into_scalar::<f32>();
        (got - expected).abs().max().into_scalar::<f32>() / largest
    }

    #[test]
    fn the_mean_output_of_many_steps_is_that_of_the_network() {
        let relu = ReluConfig::new();
        let mlp = StbpMlpConfig::new().with_sizes(vec![20, 50, 30, 4]);
        let mlp = mlp
            .with_readout(ReadoutConfig::Currents)
            .with_neuron(relu.clone());
        let resnet = MsResNetConfig::resnet18()
            .with_blocks(vec![1, 1])
            .with_width(8);
        let resnet = resnet
            .with_first_stride(1)
            .with_image([1, 8, 8])
            .with_classes(4);
        let resnet = resnet.with_neuron(relu.clone());
        for config in [mlp.into(), vgg().with_neuron(relu), resnet.into()] {
            for signed in [false, true] {
                let conversion = ConversionConfig::new().with_signed(signed);
                let [some, many] = [8, 256].map(|steps| error(&config, &conversion, steps));
                assert!(many < 0.02 && many < some, "{some} {many}");
            }
        }
    }

    #[test]
    fn spikes_are_of_one_unless_they_are_added() {
        let device = Device::default();
        let relu = ReluConfig::new();
        let sew = SewResNetConfig::resnet18()
            .with_blocks(vec![1, 1])
            .with_width(8)
            .with_image([1, 12, 12]);
        let heights = |config: NetworkConfig, balance| {
            let network = config.init(&device).unwrap();
            let samples = [1, 6, network.elements()];
            let samples = Tensor::<3>::random(samples, Distribution::Default, &device);
            let conversion = ConversionConfig::new().with_balance(balance);
            let samples_of = std::slice::from_ref(&samples);
            let (converted, spiking) = conversion.convert(&config, &network, samples_of).unwrap();
            let NeuronConfig::ScaledIf(neuron) = converted.layers().neuron else {
                panic!("{converted:?}")
            };
            let mut context = Context::new().with_recorder(Recorder::spikes());
            spiking.forward(samples.repeat_dim(0, 8), &mut context);
            let layers = context.recorder().layers().iter();
            let spikes = layers.filter_map(|layer| layer.spikes.clone());
            let spikes = spikes.flat_map(|spikes| spikes.into_data().try_to_vec::<f32>().unwrap());
            let other = spikes.filter(|spike| ![0.0, 1.0].contains(spike)).count();
            (neuron.unit, other > 0)
        };
        let quantized = QuantizedReluConfig::new().with_threshold(Threshold::learned(1.5));
        let chain = vgg().with_neuron(relu.clone());
        assert_eq!(heights(chain, Balance::Maximum), (true, false));
        let chain = vgg().with_neuron(quantized);
        assert_eq!(heights(chain, Balance::Learned), (true, false));
        let sums = NetworkConfig::from(sew).with_neuron(relu);
        assert_eq!(heights(sums, Balance::Maximum), (false, true));
    }

    #[test]
    fn thresholds_follow_from_the_outputs() {
        let values = || (0..=1000).map(|i| i as f32 / 100.0).collect::<Vec<_>>();
        assert_eq!(percentile(values(), 100.0), 10.0);
        assert_eq!(percentile(values(), 99.9), 9.99);
        assert_eq!(percentile(vec![], 50.0), 0.0);
        let conversion = ConversionConfig::new();
        assert_eq!(
            [0.6, 0.7, -1.0, 9.0].map(|x| conversion.mean_output(&[x; 3], 2.0)),
            [2.0 / 3.0, 2.0 / 3.0, 0.0, 2.0]
        );
        // With few steps, fine levels are worth more than rare large outputs.
        let config = vgg().with_neuron(ReluConfig::new());
        let errors = [Balance::Maximum, Balance::Steps(4)]
            .map(|balance| error(&config, &ConversionConfig::new().with_balance(balance), 4));
        assert!(errors[1] < errors[0], "{errors:?}");
    }

    #[test]
    fn quantised_rectifiers_keep_their_thresholds() {
        let config =
            vgg().with_neuron(QuantizedReluConfig::new().with_threshold(Threshold::learned(1.5)));
        let conversion = ConversionConfig::new().with_balance(Balance::Learned);
        let network = config.init(&Device::default()).unwrap();
        let (converted, spiking) = conversion.convert(&config, &network, &[]).unwrap();
        let threshold = converted.layers().neuron.threshold();
        assert_eq!(threshold, 1.5);
        assert_eq!(spiking.layer_names(), network.layer_names());
        assert!(error(&config, &conversion, 256) < 0.1);
        // Others are those of the outputs: one for each of 3 layers, or of 8, 16 and 32 channels.
        let samples = [Tensor::ones([1, 2, network.elements()], &Device::default())];
        for (per_channel, more) in [(false, 0), (true, 8 + 16 + 32 - 3)] {
            let conversion = ConversionConfig::new().with_balance(Balance::Steps(4));
            let conversion = conversion.with_per_channel(per_channel);
            let (_, spiking) = conversion.convert(&config, &network, &samples).unwrap();
            let [before, after] = [&network, &spiking].map(learned_parameters);
            assert_eq!(after, before + more);
        }
    }

    #[test]
    fn what_cannot_be_converted_is_named() {
        let device = Device::default();
        let convert = |config: NetworkConfig, balance, samples: usize| {
            let network = config.init(&device).unwrap();
            let batch = Tensor::<3>::zeros([1, 1, network.elements()], &device);
            let conversion = ConversionConfig::new().with_balance(balance);
            let result = conversion.convert(&config, &network, &vec![batch; samples]);
            result.unwrap_err().to_string()
        };
        let relu = || vgg().with_neuron(ReluConfig::new());
        let text = convert(vgg().with_neuron(LifConfig::new()), Balance::Maximum, 1);
        assert!(text.contains("`neuron` of ConversionConfig: lif"), "{text}");
        let text = convert(relu(), Balance::Learned, 1);
        assert!(text.contains("`balance`"), "{text}");
        let text = convert(relu(), Balance::Percentile(0.0), 1);
        assert!(text.contains("`balance` of ConversionConfig: 0"), "{text}");
        assert!(convert(relu(), Balance::Steps(0), 1).contains("`balance`"));
        assert!(convert(relu(), Balance::Maximum, 0).contains("`samples`"));
        let attention = SpikformerConfig::small().with_neuron(ReluConfig::new());
        let text = convert(attention.into(), Balance::Maximum, 1);
        assert!(text.contains("attention"), "{text}");
        let membrane = ReadoutConfig::Membrane(LeakyIntegratorConfig::new());
        let membrane = relu().with_layers(|layers| layers.with_readout(membrane));
        assert!(convert(membrane, Balance::Maximum, 1).contains("`readout`"));
        let leaky = vgg().with_neuron(ReluConfig::new().with_slope(0.1));
        assert!(convert(leaky, Balance::Maximum, 1).contains("`slope`"));
        let steps = relu().with_layers(|layers| layers.with_norm(Some(NormConfig::te_batch(1))));
        assert!(convert(steps, Balance::Maximum, 1).contains("any number of time steps"));
        let spikes = relu().with_layers(|layers| layers.with_readout(ReadoutConfig::Spikes));
        assert!(convert(spikes, Balance::Maximum, 1).contains("`readout`"));
    }
}
