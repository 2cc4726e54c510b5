//! The numbers of a neuron model: fixed or learned, one for all neurons or one for each channel.

use std::fmt::{self, Display};

use burn::module::{Module, Param};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::InvalidConfig;

/// One number for all neurons, or one for each channel (axis 2 of `[T, B, C, ...]`).
///
/// ```
/// use synfire::neuron::Values;
///
/// assert_eq!(Values::from(0.5), Values::One(0.5));
/// assert_eq!(Values::from(vec![0.5, 0.9]), Values::PerChannel(vec![0.5, 0.9]));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Values {
    /// The same for all neurons.
    One(f64),
    /// For each channel its own.
    PerChannel(Vec<f64>),
}

impl Values {
    /// The numbers, a single one for [`Values::One`].
    pub fn as_slice(&self) -> &[f64] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::PerChannel(values) => values,
        }
    }

    /// Rejects an empty list, and every number that `check` rejects.
    fn validate(
        &self,
        owner: &'static str,
        field: &'static str,
        check: impl Fn(f64) -> Result<(), InvalidConfig>,
    ) -> Result<(), InvalidConfig> {
        if self.as_slice().is_empty() {
            let expected = "a number, or one for each channel";
            return Err(InvalidConfig::new(owner, field, "[]", expected));
        }
        self.as_slice().iter().try_for_each(|value| check(*value))
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
        }
    }
}

/// The part of the membrane potential that is left after one time step, 0 to 1 (paper: `tau`; snnTorch: `beta`;
/// `1 - 1/tau` where a time constant `tau` in steps is given, as in SpikingJelly).
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
    /// A parameter, from these values on; clamped to `[0, 1]` in use (snnTorch's `learn_beta`).
    Learned {
        /// Where learning starts.
        learned: Values,
    },
    /// `1 - sigmoid(w)` with a parameter `w` (Fang et al. 2021, *Incorporating Learnable Membrane Time Constant to
    /// Enhance Learning of Spiking Neural Networks*), where `1/tau = sigmoid(w)`: any `w` is a decay.
    Sigmoid {
        /// The decays where learning starts, above 0 and below 1.
        sigmoid: Values,
    },
}

impl Decay {
    /// Learned as it is, from `start` on.
    pub fn learned(start: impl Into<Values>) -> Self {
        Self::Learned {
            learned: start.into(),
        }
    }

    /// Learned through a sigmoid, from the decay `start` on.
    pub fn sigmoid(start: impl Into<Values>) -> Self {
        Self::Sigmoid {
            sigmoid: start.into(),
        }
    }

    /// Where it starts and, if it is fixed, stays.
    pub fn values(&self) -> &Values {
        match self {
            Self::Fixed(values) => values,
            Self::Learned { learned } => learned,
            Self::Sigmoid { sigmoid } => sigmoid,
        }
    }

    pub(super) fn validate(&self, owner: &'static str) -> Result<(), InvalidConfig> {
        self.validate_as(owner, "decay")
    }

    /// [`validate`](Self::validate) for a field of another name.
    pub(super) fn validate_as(
        &self,
        owner: &'static str,
        field: &'static str,
    ) -> Result<(), InvalidConfig> {
        self.values().validate(owner, field, |value| match self {
            Self::Sigmoid { .. } if !(value > 0.0 && value < 1.0) => Err(InvalidConfig::new(
                owner,
                field,
                value,
                "a number above 0 and below 1 for a sigmoid",
            )),
            _ if !(0.0..=1.0).contains(&value) => {
                let expected = "a number from 0 to 1";
                Err(InvalidConfig::new(owner, field, value, expected))
            }
            _ => Ok(()),
        })
    }

    /// The decay as part of a module; what is learned stays at least at `lowest`.
    pub(super) fn init(&self, lowest: f64, device: &Device) -> Coefficient {
        match self {
            Self::Fixed(values) => Coefficient::fixed(values, device),
            Self::Learned { learned } => {
                Coefficient::learned(learned, Form::Clamped { lowest }, device)
            }
            Self::Sigmoid { sigmoid } => {
                // SpikingJelly: w = -ln(tau - 1).
                let w = |decay: f64| ((1.0 - decay) / decay).ln();
                let start = match sigmoid {
                    Values::One(decay) => Values::One(w(*decay)),
                    Values::PerChannel(decays) => {
                        Values::PerChannel(decays.iter().map(|decay| w(*decay)).collect())
                    }
                };
                Coefficient::learned(&start, Form::Sigmoid { lowest }, device)
            }
        }
    }
}

impl From<f64> for Decay {
    fn from(value: f64) -> Self {
        Self::Fixed(value.into())
    }
}

impl From<Vec<f64>> for Decay {
    fn from(values: Vec<f64>) -> Self {
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
pub type Threshold = Number;

/// Any number of a neuron, fixed or learned as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Number {
    /// Not learned.
    Fixed(Values),
    /// A parameter, from these values on (snnTorch's `learn_threshold`).
    Learned {
        /// Where learning starts.
        learned: Values,
    },
}

impl Number {
    /// Learned, from `start` on.
    pub fn learned(start: impl Into<Values>) -> Self {
        Self::Learned {
            learned: start.into(),
        }
    }

    /// Where it starts and, if it is fixed, stays.
    pub fn values(&self) -> &Values {
        match self {
            Self::Fixed(values) | Self::Learned { learned: values } => values,
        }
    }

    /// Rejects what is not finite.
    pub(super) fn validate(
        &self,
        owner: &'static str,
        field: &'static str,
    ) -> Result<(), InvalidConfig> {
        self.values().validate(owner, field, |value| {
            InvalidConfig::require_finite(owner, field, value).map(|_| ())
        })
    }

    pub(super) fn init(&self, device: &Device) -> Coefficient {
        match self {
            Self::Fixed(values) => Coefficient::fixed(values, device),
            Self::Learned { learned } => Coefficient::learned(learned, Form::Plain, device),
        }
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Fixed(value.into())
    }
}

impl From<Vec<f64>> for Number {
    fn from(values: Vec<f64>) -> Self {
        Self::Fixed(values.into())
    }
}

impl Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(values) => Display::fmt(values, f),
            Self::Learned { learned } => write!(f, "learned from {learned}"),
        }
    }
}

/// How a parameter becomes the number that the equations use.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Plain,
    Clamped { lowest: f64 },
    Sigmoid { lowest: f64 },
}

/// A number of a neuron in a module. What is learned is a parameter of its own; what is fixed belongs to the
/// configuration and is not saved with the weights.
#[derive(Module, Debug)]
pub struct Coefficient {
    /// What is learned, `[1]` or `[C]`: the number itself, or the `w` of a sigmoid.
    parameter: Option<Param<Tensor<1>>>,
    /// Fixed numbers of the channels, `[C]`.
    channels: Option<Tensor<1>>,
    #[module(skip)]
    fixed: f64,
    /// Whether what is learned is for the channels.
    #[module(skip)]
    per_channel: bool,
    #[module(skip)]
    form: Form,
}

impl Coefficient {
    fn fixed(values: &Values, device: &Device) -> Self {
        let (fixed, channels) = match values {
            Values::One(value) => (*value, None),
            Values::PerChannel(values) => (f64::NAN, Some(tensor(values, device))),
        };
        Self {
            parameter: None,
            per_channel: channels.is_some(),
            channels,
            fixed,
            form: Form::Plain,
        }
    }

    fn learned(start: &Values, form: Form, device: &Device) -> Self {
        Self {
            parameter: Some(Param::from_tensor(tensor(start.as_slice(), device))),
            channels: None,
            fixed: f64::NAN,
            per_channel: matches!(start, Values::PerChannel(_)),
            form,
        }
    }

    /// What is learned, `[1]` or `[C]`, if anything is.
    pub fn parameter(&self) -> Option<&Param<Tensor<1>>> {
        self.parameter.as_ref()
    }

    /// The numbers that the equations use, `[1]` or `[C]`: of what is learned as a sigmoid, the sigmoid.
    pub fn in_use(&self, device: &Device) -> Tensor<1> {
        self.numbers()
            .unwrap_or_else(|| tensor(&[self.fixed], device))
    }

    /// The number in the form that goes with a sequence `[T, B, C, ...]` of this shape.
    pub(super) fn value<const D: usize>(&self, name: &str, sequence: [usize; D]) -> Value<D> {
        match self.checked(name, sequence) {
            None => Value::Number(self.fixed),
            Some(values) => {
                let mut shape = [1; D];
                if self.per_channel {
                    [shape[2]] = values.dims();
                }
                Value::Tensor(values.reshape(shape))
            }
        }
    }

    /// The number as a tensor, `[1]` or `[C]`, that goes with a sequence `[T, B, C, ...]` of this shape.
    pub(super) fn tensor<const D: usize>(
        &self,
        name: &str,
        sequence: [usize; D],
        device: &Device,
    ) -> Tensor<1> {
        self.checked(name, sequence);
        self.in_use(device)
    }

    /// [`numbers`](Self::numbers), if they go with a sequence of this shape.
    fn checked<const D: usize>(&self, name: &str, sequence: [usize; D]) -> Option<Tensor<1>> {
        let values = self.numbers()?;
        let [count] = values.dims();
        assert!(
            !self.per_channel || (D > 2 && sequence[2] == count),
            "{name} has {count} channels, which do not belong to the input {sequence:?}, expected [T, B, {count}, ...]"
        );
        Some(values)
    }

    /// The numbers of the channels, or the one that is learned, as the equations use it.
    fn numbers(&self) -> Option<Tensor<1>> {
        let values = match (&self.parameter, &self.channels) {
            (Some(parameter), _) => parameter.val(),
            (None, Some(channels)) => channels.clone(),
            (None, None) => return None,
        };
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
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

/// A number in an equation: known, or a tensor that broadcasts over time and batch.
#[derive(Clone, Debug)]
// One or two of them live for the length of a call.
#[allow(clippy::large_enum_variant)]
pub(super) enum Value<const D: usize> {
    Number(f64),
    Tensor(Tensor<D>),
}

impl<const D: usize> Value<D> {
    /// `x * self`
    pub fn times(&self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Number(value) => x.mul_scalar(*value),
            Self::Tensor(value) => x * value.clone(),
        }
    }

    /// `x - self`
    pub fn less(&self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Number(value) => x.sub_scalar(*value),
            Self::Tensor(value) => x - value.clone(),
        }
    }

    /// `x / self`
    pub fn divide(&self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Number(value) => x.mul_scalar(1.0 / value),
            Self::Tensor(value) => x / value.clone(),
        }
    }

    /// `1 - self`
    pub fn complement(&self) -> Self {
        match self {
            Self::Number(value) => Self::Number(1.0 - value),
            Self::Tensor(value) => Self::Tensor(value.clone().neg().add_scalar(1.0)),
        }
    }
}
