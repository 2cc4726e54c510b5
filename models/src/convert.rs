//! Networks of rectifiers as networks of spikes.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::store::ModuleSnapshot;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use synfire::neuron::{NeuronConfig, ParamInit, ScaledIfConfig, Threshold};
use synfire::record::Recorder;
use synfire::{InvalidConfig, config};

use crate::block::ReadoutConfig;
use crate::load::LoadError;
use crate::{AnyNetwork, Context, NetworkConfig, SpikingNetwork};

/// How a layer's threshold follows from the outputs of its rectifiers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// Their maximum (Diehl et al. 2015, *Fast-Classifying, High-Accuracy Spiking Deep Networks Through Weight and Threshold
    /// Balancing*).
    Maximum,
    /// A percentile, above 0 and at most 100; the largest of all batches (Rueckauer et al. 2017, *Conversion of Continuous-Valued
    /// Deep Networks to Efficient Event-Driven Networks for Image Classification*).
    Percentile(f64),
    /// The one with which the outputs change least, by the mean square, where they are rounded to what so many steps can give
    /// (Li et al. 2021, *A Free Lunch From ANN: Towards Efficient, Accurate Spiking Neural Networks Calibration*).
    Steps(usize),
    /// The thresholds of [`QuantizedRelu`](synfire::neuron::QuantizedRelu)s, learned or not.
    Learned,
}

config! {
    /// Converts a network of [`Relu`](synfire::neuron::Relu)s or [`QuantizedRelu`](synfire::neuron::QuantizedRelu)s to one of [`ScaledIf`](synfire::neuron::ScaledIf) neurons, with the same
    /// weights and a threshold for each layer: over many time steps, the mean of its outputs is that of the network itself. Maximum
    /// pooling of spikes is an exception: the largest of several spikes is more than that of their means.
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
        /// The initial membrane potential, as a part of the threshold, from 0 to below 1.
        with_start -> start: f64 = 0.5,
        /// True if neurons take spikes back.
        with_signed -> signed: bool = false,
    }
}

/// Number of thresholds that [`Balance::Steps`] compares.
const CANDIDATES: usize = 64;
/// Outputs of a layer and batch that it compares them with.
const COMPARED: usize = 1 << 18;

impl ConversionConfig {
    /// Converts a network. The samples, batches `[1, B, elements]`, are those that it was trained with, or some of them.
    ///
    /// # Errors
    ///
    /// If the network has other neurons, also in a single layer, or another readout than currents; if `Relu`s have a slope, or
    /// [`Balance::Learned`] is to be used with them; if a value of this configuration is out of range; or if there are no samples where
    /// thresholds follow from them, or outputs for them are not finite.
    ///
    /// # Panics
    ///
    /// If samples have another number of elements than the network takes.
    pub fn convert(
        &self,
        config: &NetworkConfig,
        network: &AnyNetwork,
        samples: &[Tensor<3>],
    ) -> Result<(NetworkConfig, AnyNetwork), LoadError> {
        const OWNER: &str = "ConversionConfig";
        let layers = config.layers();
        let takes = self.balance == Balance::Learned;
        let threshold = match &layers.neuron {
            NeuronConfig::QuantizedRelu(relu) if takes => relu.threshold.clone(),
            // The initial one, on which normalisations may depend.
            NeuronConfig::QuantizedRelu(relu) => Threshold::Learned {
                learned: relu.threshold.values().clone(),
            },
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
                Threshold::learned(1.0)
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
        let expected = "at least one batch";
        let ok = takes || !samples.is_empty();
        InvalidConfig::require(OWNER, "samples", "none", ok, expected)?;

        let neuron = ScaledIfConfig::new()
            .with_threshold(threshold)
            .with_start(self.start)
            .with_signed(self.signed);
        let converted = config.clone().with_neuron(neuron);
        let common = converted.layers().neuron;
        for name in network.layer_names() {
            let ok = converted.neuron_of(&name) == common;
            let expected = "a network whose neurons have the same configuration";
            InvalidConfig::require(OWNER, "network", &name, ok, expected)?;
        }
        let device = network.devices().into_iter().next().unwrap_or_default();
        let mut spiking = converted.init(&device)?;
        let applied = spiking.apply(network.collect(None, None, false), None, None, false);
        let errors: Vec<String> = applied.errors.iter().map(ToString::to_string).collect();
        if !errors.is_empty() {
            return Err(LoadError::Weights(errors.join("; ")));
        }
        if !takes {
            let thresholds = self.thresholds(network, samples)?;
            let mut context = Context::dry();
            let input = Tensor::zeros([1, 1, spiking.elements()], &device);
            spiking.forward(input, &mut context);
            let neurons = context.into_neurons().into_iter();
            let by_parameter = neurons.flat_map(|(name, parameters)| {
                let threshold = thresholds.get(&name).copied().unwrap_or(1.0);
                parameters
                    .into_iter()
                    .map(move |parameter| (parameter, threshold))
            });
            spiking = spiking.map(&mut Thresholds(by_parameter.collect()));
        }
        Ok((converted, spiking))
    }

    /// The thresholds of layers by name.
    fn thresholds(
        &self,
        network: &AnyNetwork,
        samples: &[Tensor<3>],
    ) -> Result<HashMap<String, f32>, LoadError> {
        let network = network.valid();
        let outputs = |batch: &Tensor<3>| -> Result<Vec<(String, Vec<f32>)>, LoadError> {
            let mut context = Context::new().with_recorder(Recorder::spikes());
            network.forward(batch.clone().inner(), &mut context);
            let layers = context.recorder().layers().iter();
            let values =
                layers.filter_map(|layer| Some((layer.name.clone(), layer.spikes.clone()?)));
            values
                .map(|(name, values)| {
                    let values = values.into_data().try_to_vec::<f32>();
                    Ok((
                        name,
                        values.map_err(|error| LoadError::Weights(format!("{error:?}")))?,
                    ))
                })
                .collect()
        };
        let percent = match self.balance {
            Balance::Percentile(percent) => percent,
            _ => 100.0,
        };
        let mut most: HashMap<String, f32> = HashMap::new();
        for batch in samples {
            for (name, values) in outputs(batch)? {
                if values.iter().any(|value| !value.is_finite()) {
                    return Err(LoadError::Weights(format!(
                        "outputs of {name} are not finite"
                    )));
                }
                let value = percentile(values, percent);
                let most = most.entry(name).or_insert(0.0);
                *most = most.max(value);
            }
        }
        if let Balance::Steps(steps) = self.balance {
            let mut errors: HashMap<String, Vec<f64>> = HashMap::new();
            for batch in samples {
                for (name, values) in outputs(batch)? {
                    let sums = errors
                        .entry(name.clone())
                        .or_insert_with(|| vec![0.0; CANDIDATES]);
                    let step = values.len().div_ceil(COMPARED);
                    for (i, sum) in sums.iter_mut().enumerate() {
                        let threshold = candidate(most[&name], i);
                        let error = |x: &f32| {
                            f64::from(x - rounded(*x, threshold, steps, self.start)).powi(2)
                        };
                        *sum += values.iter().step_by(step).map(error).sum::<f64>();
                    }
                }
            }
            for (name, sums) in errors {
                let best = (0..CANDIDATES).min_by(|a, b| sums[*a].total_cmp(&sums[*b]));
                most.entry(name)
                    .and_modify(|most| *most = candidate(*most, best.unwrap_or(0)));
            }
        }
        // Layers that are always silent keep a threshold.
        most.values_mut()
            .filter(|most| **most <= 0.0)
            .for_each(|most| *most = 1.0);
        Ok(most)
    }
}

/// One of the thresholds to compare, up to the largest output.
fn candidate(most: f32, i: usize) -> f32 {
    most * (i + 1) as f32 / CANDIDATES as f32
}

/// The mean output of a neuron with this threshold and start in so many steps of the same input.
fn rounded(x: f32, threshold: f32, steps: usize, start: f64) -> f32 {
    let steps = steps as f32;
    (x / threshold * steps + start as f32)
        .floor()
        .clamp(0.0, steps)
        * threshold
        / steps
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
struct Thresholds(HashMap<ParamId, f32>);

impl ModuleMapper for Thresholds {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.0.get(&parameter.id) {
            Some(number) => parameter.map(|tensor| tensor.full_like(*number)),
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
    use crate::{Architecture, MsResNetConfig, SpikformerConfig, SpikingVggConfig, StbpMlpConfig};
    use burn::tensor::{Device, Distribution};
    use synfire::layer::Pooling;
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
    fn thresholds_follow_from_the_outputs() {
        let values = || (0..=1000).map(|i| i as f32 / 100.0).collect::<Vec<_>>();
        assert_eq!(percentile(values(), 100.0), 10.0);
        assert_eq!(percentile(values(), 99.9), 9.99);
        assert_eq!(percentile(vec![], 50.0), 0.0);
        assert_eq!(
            [0.6, 0.7, -1.0, 9.0].map(|x| rounded(x, 2.0, 3, 0.5)),
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
        let spikes = relu().with_layers(|layers| layers.with_readout(ReadoutConfig::Spikes));
        assert!(convert(spikes, Balance::Maximum, 1).contains("`readout`"));
    }
}
