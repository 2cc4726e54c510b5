//! What the configurations of neurons have in common.

/// Defines a configuration as Burn's `Config` derive does, except that setters with `=>` accept everything that converts into
/// the field's type: `with_decay(0.5)` for a `Decay`, which can be more than a number. Those with `->` accept the type.
macro_rules! neuron_config {
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
            $($(#[doc = $doc:literal])* $(#[serde($serde:ident)])? $setter:ident $arrow:tt $field:ident: $type:ty = $default:expr,)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[doc = $doc])* $(#[serde($serde)])? pub $field: $type,)*
        }

        impl burn::config::Config for $name {}

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&burn::config::config_to_json(self))
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

            $(
                crate::neuron::config::neuron_config!(
                    @setter $arrow $setter $field $type, $(#[doc = $doc])*
                );
            )*
        }
    };
}

/// [`neuron_config`] with the fields that neurons with equations of their own have in common.
macro_rules! equations_config {
    (
        $(#[$attribute:meta])*
        pub struct $name:ident { $($fields:tt)* }
    ) => {
        crate::neuron::config::neuron_config! {
            $(#[$attribute])*
            pub struct $name {
                $($fields)*
                /// How gradients travel through time.
                with_temporal_gradient => temporal_gradient: crate::neuron::TemporalGradient =
                    crate::neuron::TemporalGradient::default(),
                /// What stands in for the derivative of the spike.
                with_surrogate => surrogate: crate::surrogate::Surrogate =
                    crate::surrogate::Surrogate::default(),
                /// The spike, or a smooth function to check gradients with.
                with_forward => forward: crate::spike::Forward = crate::spike::Forward::Step,
                /// How a sequence is computed: by a fused kernel where there is one, or unrolled.
                with_path => path: crate::kernel::Path = crate::kernel::Path::Auto,
            }
        }
    };
}

pub(crate) use {equations_config, neuron_config};
