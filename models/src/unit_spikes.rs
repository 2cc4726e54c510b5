//! Spikes of 1 in converted networks.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};
use synfire::neuron::ScaledIfConfig;
use synfire::random::Philox;
use synfire::record::Recorder;

use crate::load::{LoadError, copy_weights};
use crate::network::dry_neurons;
use crate::{AnyNetwork, Context, NetworkConfig, SpikingNetwork};

/// Time steps and samples of the comparison.
const STEPS: usize = 8;
const SAMPLES: usize = 4;

/// A network of [`ScaledIf`](synfire::neuron::ScaledIf) neurons with spikes of 1: weights are multiplied by the thresholds of the
/// neurons before them. `None` if it is not the same network, because the spikes of a layer go elsewhere, too, such as into a sum with
/// others; or if this cannot be told, because some layer is silent for the sample or for random ones.
pub(crate) fn with_unit_spikes(
    config: &NetworkConfig,
    neuron: ScaledIfConfig,
    network: &AnyNetwork,
    sample: Option<&Tensor<3>>,
) -> Result<Option<(NetworkConfig, AnyNetwork)>, LoadError> {
    let device = network.device();
    let mut values = Numbers::default();
    network.visit(&mut values);
    let mut factors = HashMap::new();
    for layer in dry_neurons(network, &device) {
        let threshold = layer.parameters.first().and_then(|id| values.0.get(id));
        let Some(threshold) = threshold else {
            return Ok(None);
        };
        factors.extend(layer.behind.into_iter().map(|id| (id, threshold.clone())));
    }
    let scaled = network.clone().map(&mut Scale(factors));

    let config = config.clone().with_neuron(neuron.with_unit(true));
    let mut unit = config.init(&device)?;
    copy_weights(&scaled, &mut unit)?;
    let sample = match sample {
        Some(sample) => sample.clone().narrow(1, 0, SAMPLES.min(sample.dims()[1])),
        None => {
            let shape = [1, SAMPLES, network.elements()];
            let values = Philox::new(0).uniform(0, SAMPLES * network.elements(), 0.0, 1.0);
            Tensor::from_data(TensorData::new(values, shape), &device)
        }
    };
    let (expected, fires) = run(network, &sample)?;
    let (found, _) = run(&unit, &sample)?;
    let largest = expected.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let pairs = expected.iter().zip(&found);
    // Sums are rounded otherwise: now and then a neuron fires a step earlier or later.
    let equal = pairs.filter(|(a, b)| (**a - **b).abs() <= 1e-3 * largest);
    let same = fires && 4 * equal.count() >= 3 * expected.len();
    Ok(same.then_some((config, unit)))
}

/// The sums of the outputs over time, and whether all layers fire.
fn run(network: &AnyNetwork, sample: &Tensor<3>) -> Result<(Vec<f32>, bool), LoadError> {
    let unread = |error| LoadError::Weights(format!("outputs: {error:?}"));
    let mut context = Context::new().with_recorder(Recorder::spikes());
    let input = sample.clone().repeat_dim(0, STEPS).inner();
    let outputs = network.valid().forward(input, &mut context).sum_dim(0);
    let outputs = outputs.into_data().try_to_vec::<f32>().map_err(unread)?;
    let mut fires = true;
    for layer in context.recorder().layers() {
        if let Some(spikes) = &layer.spikes {
            let spikes = spikes.clone().into_data().try_to_vec::<f32>();
            fires &= spikes.map_err(unread)?.iter().any(|spike| *spike != 0.0);
        }
    }
    Ok((outputs, fires))
}

/// Parameters with a single axis, by their ids.
#[derive(Default)]
struct Numbers(HashMap<ParamId, Vec<f32>>);

impl ModuleVisitor for Numbers {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if D == 1
            && let Ok(values) = parameter.val().into_data().try_to_vec::<f32>()
        {
            self.0.insert(parameter.id, values);
        }
    }
}

/// Multiplies the weights of each input, or of all pixels of each input channel, by a factor.
struct Scale(HashMap<ParamId, Vec<f32>>);

impl ModuleMapper for Scale {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(factors) = self.0.remove(&parameter.id) else {
            return parameter;
        };
        // Linear: `[inputs, outputs]`. Convolution: `[outputs, inputs, height, width]`.
        let axis = if D == 2 { 0 } else { 1 };
        let inputs = parameter.dims()[axis];
        if !inputs.is_multiple_of(factors.len()) {
            // The comparison finds it.
            return parameter;
        }
        parameter.map(|weights| {
            let pixels = inputs / factors.len();
            let factors = factors.into_iter();
            let factors = factors.flat_map(|factor| std::iter::repeat_n(factor, pixels));
            let mut shape = [1; D];
            shape[axis] = inputs;
            let factors = TensorData::new(factors.collect::<Vec<_>>(), shape);
            let tracked = weights.is_require_grad();
            let factors = Tensor::from_data(factors, &weights.device());
            (weights * factors).detach().set_require_grad(tracked)
        })
    }
}
