//! What the configurations of neurons have in common.

/// Defines a configuration as Burn's `Config` derive does, except that setters accept everything that converts into the
/// field's type: `with_decay(0.5)` for a `Decay`, which can be more than a number.
macro_rules! neuron_config {
    (
        $(#[$attribute:meta])*
        pub struct $name:ident {
            $($(#[doc = $doc:literal])* $(#[serde($serde:ident)])? $setter:ident => $field:ident: $type:ty = $default:expr,)*
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
                $(#[doc = $doc])*
                pub fn $setter(mut self, $field: impl Into<$type>) -> Self {
                    self.$field = $field.into();
                    self
                }
            )*
        }
    };
}

pub(crate) use neuron_config;
