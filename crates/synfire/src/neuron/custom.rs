//! Neurons of other crates in [`NeuronConfig`].

use std::any::TypeId;
use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter};
use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{EquationConfig, NeuronConfig, NeuronSettings, Parameter, Settings};
use crate::InvalidConfig;
use crate::dynamics::{Equations, Term};

/// The configuration of a neuron of another crate, see [`NeuronConfig::custom`], with its type erased.
#[derive(Clone)]
pub struct CustomConfig {
    name: &'static str,
    settings: Settings,
    parameters: Vec<Parameter>,
    equations: Equations,
    check: Result<(), InvalidConfig>,
    prepare: Arc<dyn Fn(Vec<Term>) -> Vec<Term> + Send + Sync>,
    /// The configuration in files.
    pub(super) value: Value,
}

impl CustomConfig {
    /// Fails if the configuration cannot be serialised.
    pub(super) fn new<C: EquationConfig + Serialize>(config: C) -> serde_json::Result<Self> {
        Ok(Self {
            name: C::NAME,
            settings: config.settings(),
            parameters: config.parameters(),
            equations: config.equations(),
            check: config.check(),
            value: serde_json::to_value(&config)?,
            prepare: Arc::new(move |parameters| config.prepare(parameters)),
        })
    }
}

impl Debug for CustomConfig {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.value)
    }
}

impl PartialEq for CustomConfig {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.value == other.value
    }
}

impl NeuronSettings for CustomConfig {
    fn settings(&self) -> Settings {
        self.settings
    }
}

impl EquationConfig for CustomConfig {
    const NAME: &'static str = "Custom";

    fn parameters(&self) -> Vec<Parameter> {
        self.parameters.clone()
    }

    fn equations(&self) -> Equations {
        self.equations.clone()
    }

    fn prepare(&self, parameters: Vec<Term>) -> Vec<Term> {
        (self.prepare)(parameters)
    }

    fn check(&self) -> Result<(), InvalidConfig> {
        self.check.clone()
    }

    fn name(&self) -> &'static str {
        self.name
    }
}

/// The type of a kind, and its deserialiser.
type Entry = (TypeId, fn(Value) -> serde_json::Result<CustomConfig>);

static REGISTRY: RwLock<BTreeMap<String, Entry>> = RwLock::new(BTreeMap::new());

/// Registers a kind.
pub(super) fn register<C>(kind: String) -> Result<(), InvalidConfig>
where
    C: EquationConfig + Serialize + DeserializeOwned,
{
    let mut registry = REGISTRY.write().unwrap_or_else(PoisonError::into_inner);
    let entry: Entry = (TypeId::of::<C>(), |value| {
        serde_json::from_value::<C>(value).and_then(CustomConfig::new)
    });
    let known = registry.entry(kind.clone()).or_insert(entry);
    match known.0 == entry.0 {
        true => Ok(()),
        false => Err(taken(&kind)),
    }
}

/// The error of a kind that another neuron has.
pub(super) fn taken(kind: &str) -> InvalidConfig {
    InvalidConfig::new("neuron", "NAME", kind, "a name that no other neuron has")
}

/// A configuration of a kind that is registered.
pub(super) fn read(kind: &str, value: Value) -> Option<serde_json::Result<NeuronConfig>> {
    let registry = REGISTRY.read().unwrap_or_else(PoisonError::into_inner);
    let (_, read) = registry.get(kind)?;
    Some(read(value).map(NeuronConfig::Custom))
}
