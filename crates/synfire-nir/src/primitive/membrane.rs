//! Parts that neurons have in common.

use synfire::neuron::{
    Decay, LifConfig, NeuronSettings, Reset, Settings, TemporalGradient, Values,
};
use synfire::ops::Execution;
use synfire::spike::Forward;

use crate::error::Problem;
use crate::layer::{Build, Layer};
use crate::neuron::{MembraneConfig, Returns};
use crate::node::Shapes;
use crate::{Array, OnSpike};

/// The shapes of nodes that work on each element, with parameters that broadcast over them.
pub(crate) fn elementwise(
    parameters: &[(&'static str, &Array)],
    input: Option<&[usize]>,
) -> Result<Option<Shapes>, Problem> {
    let longest = parameters.iter().map(|(_, array)| array.shape());
    let longest = longest.max_by_key(|shape| (shape.len(), shape.iter().product::<usize>()));
    let shape = input.or(longest).unwrap_or(&[]);
    crate::field::checked_shape(parameters[0].0, shape)?;
    for (name, array) in parameters {
        if !fits(array, shape) {
            let problem = format!(
                "is of shape {:?}, which does not broadcast over {shape:?}",
                array.shape()
            );
            return Err(Problem::new(name, problem));
        }
    }
    Ok(Some(Shapes::same(shape)))
}

/// The axes that are not of size 1.
pub(crate) fn axes(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|size| *size != 1).collect()
}

/// True if the numbers are as many as the elements, or broadcast over them.
fn fits(array: &Array, shape: &[usize]) -> bool {
    axes(array.shape()) == axes(shape) || broadcasts(array, shape)
}

fn broadcasts(array: &Array, shape: &[usize]) -> bool {
    let Some(missing) = shape.len().checked_sub(array.shape().len()) else {
        return array.shape().iter().all(|size| *size == 1);
    };
    let mut pairs = array.shape().iter().zip(&shape[missing..]);
    pairs.all(|(own, size)| *own == 1 || own == size)
}

/// Numbers that broadcast over the elements, in a shape of three axes, and that of the elements in as many.
pub(crate) fn broadcast_shape(
    array: &Array,
    shape: &[usize],
) -> (Vec<f64>, [usize; 3], [usize; 3]) {
    let (values, own) = (array.to_f64(), array.shape());
    let padded = |sizes: &[usize]| -> Option<[usize; 3]> {
        let missing = 3usize.checked_sub(sizes.len())?;
        Some(std::array::from_fn(|axis| {
            axis.checked_sub(missing).map_or(1, |axis| sizes[axis])
        }))
    };
    match (padded(own), padded(shape)) {
        _ if values.len() == 1 => (values, [1; 3], [1, 1, shape.iter().product()]),
        (Some(own), Some(sample)) if broadcasts(array, shape) => (values, own, sample),
        _ => {
            let values = each(array, shape);
            let row = [1, 1, values.len()];
            (values, row, row)
        }
    }
}

/// The numbers for each element.
pub(crate) fn each(array: &Array, shape: &[usize]) -> Vec<f64> {
    let values = array.to_f64();
    let count: usize = shape.iter().product();
    match values.as_slice() {
        [value] => vec![*value; count],
        all if all.len() == count => values,
        _ => array.broadcast(shape).expect("checked by `elementwise`"),
    }
}

/// The numbers of several parameters: one of each if all neurons are alike, else one for each neuron.
pub(crate) fn alike<const N: usize>(arrays: [&Array; N], shape: &[usize]) -> [Vec<f64>; N] {
    let same = |array: &Array| {
        let values = array.to_f64();
        values.iter().all(|value| *value == values[0])
    };
    match arrays.iter().all(|array| same(array)) {
        true => arrays.map(|array| vec![array.to_f64()[0]]),
        false => arrays.map(|array| each(array, shape)),
    }
}

/// Numbers for each neuron as a parameter: only as many as differ.
pub(crate) fn values(all: Vec<f64>, shape: &[usize]) -> Values {
    let same = |values: &[f64]| values.iter().all(|value| *value == values[0]);
    if same(&all) {
        return Values::One(all[0]);
    }
    match shape {
        [channels, _, _] => {
            let mut images = all.chunks(all.len() / channels);
            if images.clone().all(same) {
                return Values::PerChannel(images.by_ref().map(|image| image[0]).collect());
            }
            Values::PerNeuron {
                shape: shape.to_vec(),
                values: all,
            }
        }
        // Other shapes run in one row, where an element is a channel.
        _ => Values::PerChannel(all),
    }
}

/// Checks that time constants are above 0.
pub(crate) fn positive(name: &'static str, array: &Array) -> Result<(), Problem> {
    let wrong = array.to_f64().into_iter().find(|value| *value <= 0.0);
    match wrong {
        None => Ok(()),
        Some(value) => {
            let problem = format!("has {value}, expected numbers above 0");
            Err(Problem::new(name, problem))
        }
    }
}

/// A membrane with numbers for each neuron.
pub(crate) struct Parts {
    pub decay: Vec<f64>,
    pub gain: Vec<f64>,
    pub leak: Vec<f64>,
    /// Threshold and potential after a spike; none for membranes that do not spike.
    pub spikes: Option<[Vec<f64>; 2]>,
}

/// The options that all neurons have in common.
pub(crate) fn settings(build: &Build) -> Settings {
    Settings {
        temporal_gradient: TemporalGradient::default(),
        surrogate: build.options.surrogate,
        forward: Forward::StrictStep,
        execution: Execution::Auto,
    }
}

impl Parts {
    /// The layer: Synfire's `Lif`, which has kernels for more backends, where it computes the same.
    pub fn layer(self, build: &Build) -> Result<Layer, Problem> {
        let invalid = |error: synfire::InvalidConfig| {
            Problem::new("dt", format!("makes an invalid step: {error}"))
        };
        let all = settings(build);
        if let Some(config) = self.lif(build) {
            let lif = config
                .with_surrogate(all.surrogate)
                .with_forward(all.forward)
                .init(build.device);
            return lif.map(Layer::Lif).map_err(invalid);
        }
        let shape = &build.shapes.output;
        let values = |all: Vec<f64>| values(all, shape);
        let mut config = MembraneConfig::new()
            .with_decay(values(self.decay))
            .with_gain(values(self.gain))
            .with_leak(values(self.leak))
            .with_surrogate(all.surrogate)
            .with_forward(all.forward);
        debug_assert_eq!(config.settings(), all);
        if let Some([threshold, to]) = self.spikes {
            config = config
                .with_threshold(values(threshold))
                .with_to(values(to))
                .with_returns(Returns::Spikes(build.options.reset));
        }
        config
            .init(build.device)
            .map(Layer::Membrane)
            .map_err(invalid)
    }

    /// The same as a [`Lif`](synfire::neuron::Lif), if it is one.
    fn lif(&self, build: &Build) -> Option<LifConfig> {
        let [threshold, to] = self.spikes.as_ref()?;
        let one = |all: &[f64]| all.iter().all(|value| *value == all[0]).then_some(all[0]);
        let (rest, to) = (one(&self.leak)?, one(to)?);
        let reset = match build.options.reset {
            OnSpike::Zero => Reset::Hard { to },
            OnSpike::Subtract if to == 0.0 => Reset::Soft,
            OnSpike::Subtract => return None,
        };
        // `Lif` starts at rest.
        let decays = self.decay.iter().all(|decay| (0.0..=1.0).contains(decay));
        if rest != 0.0 || !decays {
            return None;
        }
        let near = |value: f64, other: f64| (value - other).abs() <= 1e-12 * other.abs();
        let mut pairs = self.decay.iter().zip(&self.gain);
        let plain = self.gain.iter().all(|gain| near(*gain, 1.0));
        let scaled = pairs.all(|(decay, gain)| near(*gain, 1.0 - decay));
        (plain || scaled).then(|| {
            let shape = &build.shapes.output;
            LifConfig::new()
                .with_decay(Decay::Fixed(values(self.decay.clone(), shape)))
                .with_decay_input(!plain)
                .with_threshold(values(threshold.clone(), shape))
                .with_reset(reset)
        })
    }
}
