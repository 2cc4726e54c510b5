//! The parameters of neurons: fixed or learned, one for all neurons, one for each channel, or one for each neuron.

use std::fmt::{self, Display};

use burn::module::{Module, Param};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, FloatDType, Tensor};
use serde::{Deserialize, Serialize};

use crate::InvalidConfig;
use crate::dynamics::Term;

/// One number for all neurons, one for each channel (axis 2 of `[T, B, C, ...]`), or one for each neuron of a sample.
///
/// ```
/// use synfire::neuron::Values;
///
/// assert_eq!(Values::from(0.5), Values::One(0.5));
/// assert_eq!(Values::from(vec![0.5, 0.9]), Values::PerChannel(vec![0.5, 0.9]));
/// // For 2 channels of 1x3 neurons.
/// let neurons = Values::PerNeuron { shape: vec![2, 1, 3], values: vec![0.5; 6] };
/// assert_eq!(neurons.as_slice().len(), 6);
/// // For the layers of a network, whatever their channels.
/// assert_eq!(Values::each_channel(0.5).as_slice(), [0.5]);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Values {
    /// The same for all neurons.
    One(f64),
    /// One for each channel.
    PerChannel(Vec<f64>),
    /// One for each neuron, of a shape that broadcasts over that of a sample, `[C, ...]`.
    PerNeuron {
        /// As many axes as a sample has, each of the same size or 1.
        shape: Vec<usize>,
        /// The numbers, the last axis fastest.
        values: Vec<f64>,
    },
    /// For learned parameters of the neurons of a network: one for each channel of their layer, all with this initial value.
    /// Neurons outside of a network have one for all.
    EachChannel {
        /// The initial value.
        each_channel: f64,
    },
}

impl Values {
    /// [`Values::EachChannel`].
    pub fn each_channel(each_channel: f64) -> Self {
        Self::EachChannel { each_channel }
    }

    /// The numbers, a single one for [`Values::One`] and [`Values::EachChannel`].
    pub fn as_slice(&self) -> &[f64] {
        match self {
            Self::One(value)
            | Self::EachChannel {
                each_channel: value,
            } => std::slice::from_ref(value),
            Self::PerChannel(values) | Self::PerNeuron { values, .. } => values,
        }
    }

    /// The same with other numbers.
    fn map(&self, change: impl Fn(f64) -> f64) -> Self {
        let all = |values: &[f64]| values.iter().map(|value| change(*value)).collect();
        match self {
            Self::One(value) => Self::One(change(*value)),
            Self::PerChannel(values) => Self::PerChannel(all(values)),
            Self::PerNeuron { shape, values } => Self::PerNeuron {
                shape: shape.clone(),
                values: all(values),
            },
            Self::EachChannel { each_channel } => Self::each_channel(change(*each_channel)),
        }
    }

    /// The mean of the numbers.
    pub fn mean(&self) -> f64 {
        let values = self.as_slice();
        values.iter().sum::<f64>() / values.len() as f64
    }

    /// Rejects an empty list, one that is not of its shape, and every number that `check` rejects.
    fn validate(
        &self,
        owner: &'static str,
        field: &'static str,
        check: impl Fn(f64) -> Result<f64, InvalidConfig>,
    ) -> Result<(), InvalidConfig> {
        let mut values = self.as_slice().iter();
        let expected = "a number, or one for each channel";
        InvalidConfig::require(owner, field, "[]", values.len() > 0, expected)?;
        if let Self::PerNeuron { shape, .. } = self {
            let mut sizes = shape.iter();
            let count = sizes.try_fold(1usize, |all, size| all.checked_mul(*size));
            let fits = count == Some(values.len());
            let found = format!("{} numbers of shape {shape:?}", values.len());
            let expected = "as many numbers as the shape has";
            InvalidConfig::require(owner, field, found, fits, expected)?;
        }
        values.try_for_each(|value| check(*value).map(drop))
    }
}

impl From<f64> for Values {
    fn from(value: f64) -> Self {
        Self::One(value)
    }
}

impl From<Vec<f64>> for Values {
    fn from(values: Vec<f64>) -> Self {
        Self::PerChannel(values)
    }
}

impl Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(value) => Display::fmt(value, f),
            Self::PerChannel(values) => fmt::Debug::fmt(values, f),
            Self::PerNeuron { shape, values } => write!(f, "{values:?} of shape {shape:?}"),
            Self::EachChannel { each_channel } => write!(f, "{each_channel} for each channel"),
        }
    }
}

/// The decay factor of the membrane potential per time step, 0 to 1 (paper: `tau`; snnTorch: `beta`; `1 - 1/tau` for a
/// time constant of `tau` steps, as in SpikingJelly).
///
/// ```
/// use synfire::neuron::{Decay, LifConfig};
///
/// // fixed
/// let lif = LifConfig::new().with_decay(0.5);
/// // one for each of three channels
/// let channels = LifConfig::new().with_decay(vec![0.2, 0.5, 0.9]);
/// // learned as it is, from 0.9 on
/// let learned = LifConfig::new().with_decay(Decay::learned(0.9));
/// // learned as a sigmoid
/// let plif = LifConfig::new().with_decay(Decay::sigmoid(0.5));
/// # let device = burn::tensor::Device::default();
/// # for config in [lif, channels, learned, plif] { config.init(&device)?; }
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Decay {
    /// Not learned.
    Fixed(Values),
    /// A parameter with these initial values, clamped to `[0, 1]` in use (snnTorch's `learn_beta`).
    Learned {
        /// Initial values.
        learned: Values,
    },
    /// `1 - sigmoid(w)` with a parameter `w` (Fang et al. 2021, *Incorporating Learnable Membrane Time Constant to
    /// Enhance Learning of Spiking Neural Networks*), where `1/tau = sigmoid(w)`: any `w` is a decay.
    Sigmoid {
        /// Initial decays, above 0 and below 1.
        sigmoid: Values,
    },
}

impl Decay {
    /// Learned directly, with the initial value `start`.
    pub fn learned(start: impl Into<Values>) -> Self {
        let learned = start.into();
        Self::Learned { learned }
    }

    /// Learned through a sigmoid, with the initial decay `start`.
    pub fn sigmoid(start: impl Into<Values>) -> Self {
        let sigmoid = start.into();
        Self::Sigmoid { sigmoid }
    }

    /// The fixed or initial values.
    pub fn values(&self) -> &Values {
        match self {
            Self::Fixed(values)
            | Self::Learned { learned: values }
            | Self::Sigmoid { sigmoid: values } => values,
        }
    }

    /// A parameter of a neuron, for [`EquationConfig::parameters`](super::EquationConfig::parameters).
    pub fn named(&self, name: &'static str) -> Parameter {
        Parameter {
            name,
            values: self.values().clone(),
            form: match self {
                Self::Fixed(_) | Self::Learned { .. } => Form::Clamped { lowest: 0.0 },
                Self::Sigmoid { .. } => Form::Sigmoid { lowest: 0.0 },
            },
            is_learned: !matches!(self, Self::Fixed(_)),
        }
    }
}

impl<V: Into<Values>> From<V> for Decay {
    fn from(values: V) -> Self {
        Self::Fixed(values.into())
    }
}

impl Display for Decay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(values) => Display::fmt(values, f),
            Self::Learned { learned } => write!(f, "learned from {learned}"),
            Self::Sigmoid { sigmoid } => write!(f, "learned as a sigmoid from {sigmoid}"),
        }
    }
}

/// The membrane potential at which a neuron fires (paper: `V_th`).
///
/// ```
/// use synfire::neuron::{LifConfig, Threshold};
///
/// let fixed = LifConfig::new().with_threshold(1.0);
/// let learned = LifConfig::new().with_threshold(Threshold::learned(vec![1.0; 64]));
/// ```
pub type Threshold = ParamInit;

/// Values of a parameter of a neuron: fixed, or learned directly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ParamInit {
    /// Not learned.
    Fixed(Values),
    /// A parameter with these initial values (snnTorch's `learn_threshold`).
    Learned {
        /// Initial values.
        learned: Values,
    },
}

impl ParamInit {
    /// Learned, with the initial value `start`.
    pub fn learned(start: impl Into<Values>) -> Self {
        let learned = start.into();
        Self::Learned { learned }
    }

    /// The fixed or initial values.
    pub fn values(&self) -> &Values {
        match self {
            Self::Fixed(values) | Self::Learned { learned: values } => values,
        }
    }

    /// A parameter of a neuron, for [`EquationConfig::parameters`](super::EquationConfig::parameters).
    pub fn named(&self, name: &'static str) -> Parameter {
        Parameter {
            name,
            values: self.values().clone(),
            form: Form::Plain,
            is_learned: matches!(self, Self::Learned { .. }),
        }
    }
}

impl<V: Into<Values>> From<V> for ParamInit {
    fn from(values: V) -> Self {
        Self::Fixed(values.into())
    }
}

impl Display for ParamInit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(values) => Display::fmt(values, f),
            Self::Learned { learned } => write!(f, "learned from {learned}"),
        }
    }
}

/// A parameter of a neuron's module: its name and initial values.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Name of the parameter in the module, and of the configuration field it comes from.
    pub name: &'static str,
    values: Values,
    form: Form,
    is_learned: bool,
}

impl Parameter {
    /// A learned decay never falls below this number.
    pub fn with_lowest(mut self, lowest: f64) -> Self {
        self.form = match self.form {
            Form::Plain => Form::Plain,
            Form::Clamped { .. } => Form::Clamped { lowest },
            Form::Sigmoid { .. } => Form::Sigmoid { lowest },
        };
        self
    }

    /// The fixed or initial values.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// True if it is learned.
    pub(crate) fn is_learned(&self) -> bool {
        self.is_learned
    }

    /// Checks it, in the name of its neuron.
    ///
    /// # Errors
    ///
    /// If a decay is not from 0 to 1 (for a sigmoid, in between), another number is not from -1e37 to 1e37, or there are not as
    /// many as the shape says.
    pub fn validate(&self, owner: &'static str) -> Result<(), InvalidConfig> {
        self.values
            .validate(owner, self.name, |value| match self.form {
                Form::Plain => InvalidConfig::require_finite(owner, self.name, value),
                Form::Clamped { .. } => InvalidConfig::require_part(owner, self.name, value),
                Form::Sigmoid { .. } => InvalidConfig::require_sigmoid(owner, self.name, value),
            })
    }

    /// Checks that it fits layers with these numbers of channels.
    ///
    /// # Errors
    ///
    /// If it has values for another number of channels.
    pub fn validate_channels(
        &self,
        owner: &'static str,
        channels: &[usize],
    ) -> Result<(), InvalidConfig> {
        let count = match self.values() {
            Values::One(_) | Values::EachChannel { .. } => return Ok(()),
            Values::PerChannel(values) => values.len(),
            Values::PerNeuron { shape, .. } => match shape.first() {
                None | Some(1) => return Ok(()),
                Some(count) => *count,
            },
        };
        match channels.iter().find(|channels| **channels != count) {
            None => Ok(()),
            Some(other) => {
                let found = format!("{count} numbers for a layer of {other} channels");
                let expected = "one for all, or one for each channel of every layer";
                Err(InvalidConfig::new(owner, self.name, found, expected))
            }
        }
    }

    /// The parameter of a module.
    pub fn init(&self, device: &Device) -> Coefficient {
        let row = |values: &Values| tensor(values.as_slice(), device);
        let start = match self.form {
            Form::Plain | Form::Clamped { .. } => self.values.clone(),
            // SpikingJelly: w = -ln(tau - 1).
            Form::Sigmoid { .. } => self.values.map(|decay| ((1.0 - decay) / decay).ln()),
        };
        let is_row = !self.is_learned && self.values.as_slice().len() > 1;
        Coefficient {
            parameter: self.is_learned.then(|| Param::from_tensor(row(&start))),
            channels: is_row.then(|| row(&self.values)),
            values: self.values.clone(),
            form: self.form,
        }
    }
}

/// Mapping from a parameter to the value in the equations.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Plain,
    Clamped { lowest: f64 },
    Sigmoid { lowest: f64 },
}

/// A parameter of a neuron in a module. Learned values are saved with the weights; fixed ones belong to the
/// configuration.
#[derive(Module, Debug)]
pub struct Coefficient {
    /// The learned parameter, in one row: the number itself, or the `w` of a sigmoid.
    parameter: Option<Param<Tensor<1>>>,
    /// Fixed numbers, where there is more than one, in one row.
    channels: Option<Tensor<1>>,
    /// The fixed or initial values.
    #[module(skip)]
    values: Values,
    /// The mapping of a learned parameter.
    #[module(skip)]
    form: Form,
}

impl Coefficient {
    /// The learned parameter, in one row, if it is learned.
    pub fn parameter(&self) -> Option<&Param<Tensor<1>>> {
        self.parameter.as_ref()
    }

    /// The values in the equations, in one row: for a sigmoid parameter, its sigmoid.
    pub fn in_use(&self, device: &Device) -> Tensor<1> {
        self.numbers()
            .unwrap_or_else(|| tensor(self.values.as_slice(), device))
    }

    /// The values in the equations now, if they are learned.
    pub(crate) fn learned(&self) -> Option<Values> {
        self.parameter.as_ref()?;
        let numbers = self.numbers()?.into_data();
        let values: Vec<f64> = numbers.iter::<f64>().collect();
        Some(match (values.as_slice(), &self.values) {
            ([value], _) => Values::One(*value),
            (_, Values::PerNeuron { shape, .. }) => Values::PerNeuron {
                shape: shape.clone(),
                values,
            },
            _ => Values::PerChannel(values),
        })
    }

    /// True if the neurons of a channel may have different numbers.
    pub(crate) fn is_per_neuron(&self) -> bool {
        matches!(self.values, Values::PerNeuron { .. })
    }

    /// The value as a term, in the shape and the type of a sequence `[T, B, C, ...]`.
    pub(crate) fn term<const D: usize>(&self, owner: &str, name: &str, input: &Tensor<D>) -> Term {
        let shape = self.broadcast(owner, name, input.dims());
        match self.numbers() {
            None => Term::Number(self.values.as_slice()[0] as f32),
            Some(values) => {
                let values = values.cast(FloatDType::from(input.dtype()));
                values.reshape(shape).into()
            }
        }
    }

    /// The value as a row, `[1]` or `[C]`, for a sequence `[T, B, C, ...]` of this shape.
    pub(crate) fn tensor<const D: usize>(
        &self,
        owner: &str,
        name: &str,
        sequence: [usize; D],
        device: &Device,
    ) -> Tensor<1> {
        self.broadcast(owner, name, sequence);
        self.in_use(device)
    }

    /// The shape that broadcasts over a sequence of this shape.
    fn broadcast<const D: usize>(
        &self,
        owner: &str,
        name: &str,
        sequence: [usize; D],
    ) -> [usize; D] {
        let mut shape = [1; D];
        match &self.values {
            Values::One(_) => {}
            Values::PerChannel(_) | Values::EachChannel { .. } => {
                let count = self.numbers().map_or(1, |values| values.dims()[0]);
                if count == 1 {
                    return shape;
                }
                assert!(
                    D > 2 && sequence[2] == count,
                    "{owner}: `{name}` has {count} channels, which do not belong to the input {sequence:?}, expected \
                     [T, B, {count}, ...]"
                );
                shape[2] = count;
            }
            Values::PerNeuron { shape: sizes, .. } => {
                let sample = &sequence[D.min(2)..];
                let fits = |(size, axis): (&usize, &usize)| *size == 1 || size == axis;
                assert!(
                    sizes.len() == sample.len() && sizes.iter().zip(sample).all(fits),
                    "{owner}: `{name}` is of shape {sizes:?}, which does not broadcast over the samples of the input \
                     {sequence:?}"
                );
                shape[2..].copy_from_slice(sizes);
            }
        }
        shape
    }

    /// The values in the equations, if there are several or they are learned.
    fn numbers(&self) -> Option<Tensor<1>> {
        let Some(parameter) = &self.parameter else {
            return self.channels.clone();
        };
        let values = parameter.val();
        Some(match self.form {
            Form::Plain => values,
            Form::Clamped { lowest } => values.clamp(lowest, 1.0),
            // 1 - sigmoid(w)
            Form::Sigmoid { lowest: 0.0 } => sigmoid(values.neg()),
            Form::Sigmoid { lowest } => sigmoid(values.neg()).clamp_min(lowest),
        })
    }
}

fn tensor(values: &[f64], device: &Device) -> Tensor<1> {
    let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
    Tensor::from_floats(values.as_slice(), device)
}
