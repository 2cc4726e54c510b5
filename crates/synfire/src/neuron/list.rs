//! The list of neurons: one configuration and one module for any of them.

use std::any::Any;
use std::borrow::Cow;
use std::fmt::{self, Debug, Display};

use burn::tensor::{Device, Tensor};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::custom::{self, CustomConfig};
use super::psn::BIAS;
use super::*;
use crate::dynamics::Equations;
use crate::ops::serves;

/// Properties of a neuron's configuration that networks need.
pub(super) trait InNetwork {
    /// The parameters that may have values for channels or neurons.
    fn parameters(&self) -> Vec<Parameter> {
        Vec::new()
    }

    /// The equations, if the neurons are defined by them.
    fn equations(&self) -> Option<Equations> {
        None
    }

    /// True if the neurons run step by step.
    fn streams(&self) -> bool {
        true
    }

    /// The initial threshold; the mean, if there are several.
    fn threshold(&self) -> f64 {
        let mut parameters = self.parameters().into_iter();
        let threshold = parameters.find(|parameter| parameter.name == "threshold");
        // Parallel neurons have a bias in its place.
        threshold.map_or(-BIAS, |threshold| threshold.values().mean())
    }
}

impl<C: EquationConfig> InNetwork for C {
    fn parameters(&self) -> Vec<Parameter> {
        EquationConfig::parameters(self)
    }

    fn equations(&self) -> Option<Equations> {
        Some(EquationConfig::equations(self))
    }
}

/// Options that [`NeuronConfig::with_options_of`] takes over.
const SHARED: [&str; 7] = [
    "threshold",
    "decay_input",
    "reset",
    "temporal_gradient",
    "surrogate",
    "forward",
    "execution",
];

/// The key of the kind in files.
const KIND: &str = "kind";

/// The kind of a custom neuron: its name `AdaptiveLif` as `adaptive-lif`.
fn kebab_case(name: &str) -> String {
    let mut kebab = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.extend(letter.to_lowercase());
    }
    kebab
}

/// Defines [`NeuronConfig`] and [`AnyNeuron`], each with a variant for every neuron.
macro_rules! define {
    ($($kind:literal => $file:ident::$name:ident($config:ident),)+) => {
        /// The configuration of any neuron of this crate, or of another.
        ///
        /// In files it is the configuration of the neuron with its `kind`, by default `lif`:
        ///
        /// ```
        /// use burn::tensor::{Device, Tensor};
        /// use synfire::neuron::{KlifConfig, Neuron, NeuronConfig};
        ///
        /// let config = NeuronConfig::from(KlifConfig::new().with_decay(0.9));
        /// let json = serde_json::to_value(&config).unwrap();
        /// assert_eq!(json["kind"], "klif");
        /// assert_eq!(serde_json::from_value::<NeuronConfig>(json).unwrap(), config);
        ///
        /// let device = Device::default();
        /// let (spikes, _state) = config.init(&device)?.forward(Tensor::<3>::ones([4, 2, 5], &device), None);
        /// # Ok::<(), synfire::InvalidConfig>(())
        /// ```
        // A network has only one or a few.
        #[allow(clippy::large_enum_variant)]
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum NeuronConfig {
            $(
                #[doc = concat!("Of a [`", stringify!($name), "`].")]
                $name($config),
            )+
            /// The configuration of a neuron of another crate, see [`custom`](Self::custom).
            Custom(CustomConfig),
        }

        $(
            impl From<$config> for NeuronConfig {
                fn from(config: $config) -> Self {
                    Self::$name(config)
                }
            }
        )+

        /// Any neuron of this crate, or of another. Parameters have the same paths as in the wrapped neuron.
        // A layer has only one.
        #[allow(clippy::large_enum_variant)]
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub enum AnyNeuron {
            $(
                #[doc = concat!("A [`", stringify!($name), "`].")]
                $name($name),
            )+
            /// A neuron of another crate.
            Custom(EquationNeuron<CustomConfig>),
        }

        $crate::transparent_module!(AnyNeuron: $($name,)+ Custom);

        impl AnyNeuron {
            /// The configuration that the neuron was made from.
            pub fn config(&self) -> NeuronConfig {
                match self {
                    $(Self::$name(neuron) => NeuronConfig::$name(neuron.config().clone()),)+
                    Self::Custom(neuron) => NeuronConfig::Custom(neuron.config().clone()),
                }
            }
        }

        /// Calls the same expression for the configuration or the neuron of each variant.
        macro_rules! each {
            ($self:expr, $inside:ident => $call:expr) => {
                match $self {
                    $(Self::$name($inside) => $call,)+
                    Self::Custom($inside) => $call,
                }
            };
        }

        impl NeuronConfig {
            /// Every neuron of this crate with its default options.
            pub fn all() -> Vec<Self> {
                vec![$(Self::$name($config::new()),)+]
            }

            /// The name of its kind in files and on the command line, such as `klif`.
            pub fn kind(&self) -> Cow<'static, str> {
                match self {
                    $(Self::$name(_) => Cow::Borrowed($kind),)+
                    Self::Custom(config) => Cow::Owned(kebab_case(config.name())),
                }
            }

            /// The name of the neuron in messages.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => stringify!($name),)+
                    Self::Custom(config) => config.name(),
                }
            }

            /// Creates the neuron.
            ///
            /// # Errors
            ///
            /// If the configuration is not [valid](Self::validate), or this build has no operations for the device.
            pub fn init(&self, device: &Device) -> Result<AnyNeuron, InvalidConfig> {
                serves::require_registered(self.name(), device)?;
                Ok(match self {
                    $(Self::$name(config) => AnyNeuron::$name(config.init(device)?),)+
                    Self::Custom(config) => AnyNeuron::Custom(EquationNeuron::new(config.clone(), device)?),
                })
            }

            /// The configuration of a neuron of this crate, from one of its type.
            pub(super) fn of_any(config: &dyn Any) -> Option<Self> {
                $(if let Some(config) = config.downcast_ref::<$config>() {
                    return Some(Self::$name(config.clone()));
                })+
                None
            }

            fn to_value(&self) -> serde_json::Result<Value> {
                match self {
                    $(Self::$name(config) => serde_json::to_value(config),)+
                    Self::Custom(config) => Ok(config.value.clone()),
                }
            }

            fn from_value(kind: &str, value: Value) -> serde_json::Result<Self> {
                match kind {
                    $($kind => return serde_json::from_value(value).map(Self::$name),)+
                    _ => {}
                }
                custom::read(kind, value)
                    .unwrap_or_else(|| {
                        let known = Self::kinds();
                        Err(serde_json::Error::custom(format!(
                            "a neuron of kind `{kind}`, expected {known}, or one that is registered"
                        )))
                    })
            }
        }
    };
}

super::neurons!(define);

impl NeuronConfig {
    /// The configuration of a neuron of another crate, which is [registered](Self::register) as well.
    ///
    /// # Errors
    ///
    /// As for `register`.
    pub fn custom<C>(config: C) -> Result<Self, InvalidConfig>
    where
        C: EquationConfig + Serialize + DeserializeOwned,
    {
        Self::register::<C>()?;
        let config = CustomConfig::new(config).map_err(|error| {
            InvalidConfig::new(C::NAME, "configuration", error, "one for files")
        })?;
        Ok(Self::Custom(config))
    }

    /// Registers a neuron of another crate, so that files with it can be read.
    ///
    /// # Errors
    ///
    /// If its name is that of another neuron.
    pub fn register<C>() -> Result<(), InvalidConfig>
    where
        C: EquationConfig + Serialize + DeserializeOwned,
    {
        let kind = kebab_case(C::NAME);
        match Self::all().iter().any(|config| config.kind() == kind) {
            true => Err(custom::taken(&kind)),
            false => custom::register::<C>(kind),
        }
    }

    /// The configuration of this kind with its default options.
    ///
    /// # Errors
    ///
    /// If there is no neuron of this kind.
    pub fn of_kind(kind: &str) -> Result<Self, InvalidConfig> {
        let mut all = Self::all().into_iter();
        all.find(|config| config.kind() == kind)
            .ok_or_else(|| InvalidConfig::new("neuron", KIND, kind, Self::kinds()))
    }

    /// All kinds of this crate, for messages.
    fn kinds() -> String {
        let all = Self::all();
        let kinds: Vec<_> = all.iter().map(Self::kind).collect();
        kinds.join(", ")
    }

    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// If the configuration is invalid.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        each!(self, config => config.validate())
    }

    /// The parameters that may have values for channels or neurons.
    pub fn parameters(&self) -> Vec<Parameter> {
        each!(self, config => InNetwork::parameters(config))
    }

    /// The equations, if the neurons are defined by them.
    #[cfg_attr(not(feature = "fusion"), allow(dead_code))]
    pub(crate) fn equations(&self) -> Option<Equations> {
        each!(self, config => InNetwork::equations(config))
    }

    /// Warnings about valid values that are probably a mistake: a threshold at or below the resting potential makes neurons
    /// fire in every step without any input.
    ///
    /// ```
    /// use synfire::neuron::{LifConfig, NeuronConfig};
    ///
    /// let config = NeuronConfig::from(LifConfig::new().with_threshold(0.0));
    /// assert!(config.validate().is_ok());
    /// assert_eq!(
    ///     config.warnings(),
    ///     ["`threshold` of Lif is 0, at or below the resting potential 0: the neurons fire without input"]
    /// );
    /// ```
    pub fn warnings(&self) -> Vec<String> {
        let rest = self.get::<f64>("rest").unwrap_or(0.0);
        let parameters = self.parameters().into_iter();
        let thresholds = parameters.filter(|parameter| parameter.name == "threshold");
        let warning = |parameter: Parameter| {
            let values = parameter.values().as_slice().iter().copied();
            let lowest = values.fold(f64::INFINITY, f64::min);
            (lowest <= rest).then(|| {
                format!(
                    "`threshold` of {} is {lowest}, at or below the resting potential {rest}: the neurons fire without \
                     input",
                    self.name()
                )
            })
        };
        thresholds.filter_map(warning).collect()
    }

    /// Checks that these neurons fit layers with these numbers of channels.
    ///
    /// # Errors
    ///
    /// If they have values for another number of channels.
    pub fn validate_channels(
        &self,
        owner: &'static str,
        channels: &[usize],
    ) -> Result<(), InvalidConfig> {
        self.parameters()
            .iter()
            .try_for_each(|parameter| parameter.validate_channels(owner, channels))
    }

    /// For each learned parameter, in the order of the module, whether the neurons of a network have one number for each channel,
    /// see [`Values::EachChannel`].
    pub fn each_channel(&self) -> Vec<bool> {
        let parameters = self.parameters().into_iter();
        let learned = parameters.filter(Parameter::is_learned);
        let is_each =
            |parameter: Parameter| matches!(parameter.values(), Values::EachChannel { .. });
        learned.map(is_each).collect()
    }

    /// True if a sequence can be split, down to single steps, as [`Neuron::streams`] says of the neurons.
    pub fn streams(&self) -> bool {
        each!(self, config => InNetwork::streams(config))
    }

    /// The initial threshold; the mean, if there are several.
    pub fn threshold(&self) -> f64 {
        each!(self, config => InNetwork::threshold(config))
    }

    /// The same neuron with the options of another where both have them: threshold, scaling of the input, reset, gradient
    /// through time, surrogate, forward pass and execution. An option that this neuron cannot have, such as the paper's exponential gate outside of
    /// [`Lif`], stays as it is.
    ///
    /// ```
    /// use synfire::neuron::{KlifConfig, LifConfig, NeuronConfig};
    ///
    /// let preset = NeuronConfig::from(LifConfig::new().with_threshold(0.3).with_decay(0.9));
    /// let klif = NeuronConfig::from(KlifConfig::new()).with_options_of(&preset);
    /// // The decay is part of the neuron's own dynamics.
    /// assert_eq!(klif, KlifConfig::new().with_threshold(0.3).with_decay_input(false).into());
    /// ```
    pub fn with_options_of(mut self, other: &Self) -> Self {
        for option in SHARED {
            let Some(value) = other.get::<Value>(option) else {
                continue;
            };
            let mut with = self.clone();
            if with.set(option, value).is_ok() && with.validate().is_ok() {
                self = with;
            }
        }
        self
    }

    /// An option by its name, if this neuron has it: `config.get::<Surrogate>("surrogate")`.
    pub fn get<T: DeserializeOwned>(&self, option: &str) -> Option<T> {
        let mut value = self.to_value().ok()?;
        serde_json::from_value(value.get_mut(option)?.take()).ok()
    }

    /// Sets an option of any neuron by its name: `config.set("threshold", 0.5)`.
    ///
    /// # Errors
    ///
    /// If this neuron has no such option, or the value has the wrong type. [`validate`](Self::validate) checks its range.
    pub fn set(
        &mut self,
        option: &'static str,
        value: impl Serialize,
    ) -> Result<(), InvalidConfig> {
        let name = self.name();
        let invalid = |value: &Value, expected: String| match value {
            // JSON has no infinities and no NaN.
            Value::Null => InvalidConfig::new(name, option, "not a finite number", expected),
            value => InvalidConfig::new(name, option, value, expected),
        };
        let value = serde_json::to_value(value)
            .map_err(|error| invalid(&Value::Null, error.to_string()))?;
        let mut options = match self.to_value() {
            Ok(Value::Object(options)) => options,
            _ => Map::new(),
        };
        let Some(old) = options.get_mut(option) else {
            let names: Vec<_> = options.keys().map(String::as_str).collect();
            let expected = format!("an option of {}: {}", self.kind(), names.join(", "));
            return Err(invalid(&value, expected));
        };
        *old = value.clone();
        *self = Self::from_value(&self.kind(), Value::Object(options))
            .map_err(|error| invalid(&value, error.to_string()))?;
        Ok(())
    }
}

impl burn::config::Config for NeuronConfig {}

impl Default for NeuronConfig {
    fn default() -> Self {
        LifConfig::new().into()
    }
}

impl Display for NeuronConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&burn::config::config_to_json(self))
    }
}

impl Serialize for NeuronConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error;
        let mut options = self.to_value().map_err(S::Error::custom)?;
        options[KIND] = self.kind().into_owned().into();
        options.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NeuronConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut map = Map::deserialize(deserializer)?;
        let kind = match map.remove(KIND) {
            // Older files, with only one neuron, have no kind.
            None => "lif".to_owned(),
            Some(Value::String(kind)) => kind,
            Some(other) => {
                let reason = format!("`{KIND}` of a neuron: {other}, expected its name");
                return Err(D::Error::custom(reason));
            }
        };
        Self::from_value(&kind, Value::Object(map)).map_err(D::Error::custom)
    }
}

impl Neuron for AnyNeuron {
    fn temporal_gradient(&self) -> TemporalGradient {
        each!(self, neuron => neuron.temporal_gradient())
    }

    fn streams(&self) -> bool {
        each!(self, neuron => neuron.streams())
    }

    fn is_alike_in_all_steps(&self) -> bool {
        each!(self, neuron => neuron.is_alike_in_all_steps())
    }

    fn initial<const D: usize>(&self, sequence: [usize; D], device: &Device) -> NeuronState {
        each!(self, neuron => neuron.initial(sequence, device))
    }

    fn forward_recorded<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<NeuronState>,
    ) -> (Recording<D>, NeuronState) {
        each!(self, neuron => neuron.forward_recorded(input, state))
    }

    fn forward<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<NeuronState>,
    ) -> (Tensor<D>, NeuronState) {
        each!(self, neuron => neuron.forward(input, state))
    }

    fn described(&self) -> Option<NeuronConfig> {
        each!(self, neuron => neuron.described())
    }

    fn by_hand<const D: usize>(&self, input: &Tensor<D>) -> Option<ByHand<'_>> {
        each!(self, neuron => neuron.by_hand(input))
    }

    fn by_equations<const D: usize>(&self, input: &Tensor<D>) -> Option<ByEquations<'_>> {
        each!(self, neuron => neuron.by_equations(input))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_have_no_warnings_and_low_thresholds_do() {
        for config in NeuronConfig::all() {
            assert_eq!(config.warnings(), [""; 0], "{}", config.kind());
        }
        let warnings = |config: LifConfig| NeuronConfig::from(config).warnings();
        let lif = LifConfig::new();
        assert!(warnings(lif.clone().with_threshold(vec![0.5, -0.1]))[0].contains("Lif is -0.1"));
        let learned = Threshold::learned(0.2);
        assert!(warnings(lif.with_rest(0.2).with_threshold(learned))[0].contains("potential 0.2"));
    }
}
