//! Macros that define configurations of neurons.

/// Defines a configuration as Burn's `Config` derive does, with a default for every field. Setters with `=>` accept
/// everything that converts into the type of the field, such as `with_decay(0.5)` for a
/// [`Decay`](crate::neuron::Decay). Setters with `->` accept the type itself.
///
/// Your crate needs `burn` and `serde` (with `derive`) as dependencies.
///
/// ```
/// use synfire::config;
/// use synfire::neuron::Threshold;
///
/// config! {
///     /// Options of a layer.
///     pub struct LayerConfig {
///         /// The threshold.
///         with_threshold => threshold: Threshold = Threshold::from(1.0),
///         /// The number of neurons.
///         with_neurons -> neurons: usize = 10,
///     }
/// }
///
/// let config = LayerConfig::new().with_threshold(vec![0.5, 1.0]).with_neurons(2);
/// assert_eq!(config.threshold, Threshold::from(vec![0.5, 1.0]));
/// ```
#[macro_export]
macro_rules! config {
    (@setter => $setter:ident $field:ident $type:ty, $(#[$doc:meta])*) => {
        $(#[$doc])*
        pub fn $setter(mut self, $field: impl Into<$type>) -> Self {
            self.$field = $field.into();
            self
        }
    };
    (@setter -> $setter:ident $field:ident $type:ty, $(#[$doc:meta])*) => {
        $(#[$doc])*
        pub fn $setter(mut self, $field: $type) -> Self {
            self.$field = $field;
            self
        }
    };
    (
        $(#[$attribute:meta])*
        pub struct $name:ident {
            $(
                $(#[doc = $doc:literal])*
                $(#[serde($($serde:tt)*)])?
                $setter:ident $arrow:tt $field:ident: $type:ty = $default:expr,
            )*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[doc = $doc])* $(#[serde($($serde)*)])? pub $field: $type,)*
        }

        impl ::burn::config::Config for $name {}

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(&::burn::config::config_to_json(self))
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl $name {
            #[doc = "Creates the configuration with these defaults:"]
            $(#[doc = concat!("- `", stringify!($field), "`: `", stringify!($default), "`")])*
            pub fn new() -> Self {
                Self { $($field: $default,)* }
            }

            $($crate::config!(@setter $arrow $setter $field $type, $(#[doc = $doc])*);)*
        }
    };
}

/// [`config!`](crate::config) of neurons, with the fields of their [`Settings`](crate::neuron::Settings).
#[doc(hidden)]
#[macro_export]
macro_rules! neuron_config {
    (
        $(#[$attribute:meta])*
        pub struct $name:ident { $($fields:tt)* }
    ) => {
        $crate::config! {
            $(#[$attribute])*
            pub struct $name {
                $($fields)*
                /// Gradients through time and reset.
                with_temporal_gradient => temporal_gradient: $crate::neuron::TemporalGradient =
                    $crate::neuron::TemporalGradient::default(),
                /// The surrogate derivative of the spike.
                with_surrogate => surrogate: $crate::surrogate::Surrogate =
                    $crate::surrogate::Surrogate::default(),
                /// The spike function, or a smooth one for gradient checks.
                with_forward => forward: $crate::spike::Forward = $crate::spike::Forward::Step,
                /// Execution of a sequence: by a fused kernel where there is one, or unrolled.
                with_execution => execution: $crate::ops::Execution = $crate::ops::Execution::Auto,
            }
        }

        impl $crate::neuron::NeuronSettings for $name {
            fn settings(&self) -> $crate::neuron::Settings {
                $crate::neuron::Settings {
                    temporal_gradient: self.temporal_gradient,
                    surrogate: self.surrogate,
                    forward: self.forward,
                    execution: self.execution,
                }
            }
        }
    };
}

/// [`config!`](crate::config) for neurons defined by equations: adds the fields of [`Settings`](crate::neuron::Settings),
/// `validate` and `init`. See [`EquationConfig`](crate::neuron::EquationConfig) for a complete neuron.
#[macro_export]
macro_rules! equation_config {
    (
        $(#[$attribute:meta])*
        pub struct $name:ident { $($fields:tt)* }
    ) => {
        $crate::neuron_config! {
            $(#[$attribute])*
            pub struct $name { $($fields)* }
        }

        impl $name {
            /// Checks everything that [`init`](Self::init) does.
            ///
            /// # Errors
            ///
            /// If a field is out of the range in its documentation.
            pub fn validate(&self) -> Result<(), $crate::InvalidConfig> {
                $crate::neuron::EquationConfig::validate(self)
            }

            /// Creates the neuron.
            ///
            /// # Errors
            ///
            /// If the configuration is not [valid](Self::validate).
            pub fn init(
                &self,
                device: &::burn::tensor::Device,
            ) -> Result<$crate::neuron::EquationNeuron<Self>, $crate::InvalidConfig> {
                $crate::neuron::EquationNeuron::new(self.clone(), device)
            }
        }
    };
}
