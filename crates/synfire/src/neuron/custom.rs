//! Neurons of other crates in networks that know only [`NeuronConfig`].

use std::any::TypeId;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{PoisonError, RwLock};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{EquationConfig, NeuronConfig, Parameter, Settings};
use crate::InvalidConfig;
use crate::dynamics::{Equations, Term};
use crate::ops::LifKernel;

/// The configuration of a neuron of another crate, see [`NeuronConfig::custom`].
#[derive(Debug)]
pub struct CustomConfig(Box<dyn AnyConfig>);

impl CustomConfig {
    pub(super) fn new<C: EquationConfig + Serialize>(config: C) -> Self {
        Self(Box::new(config))
    }

    pub(super) fn to_value(&self) -> serde_json::Result<Value> {
        self.0.to_value()
    }
}

impl Clone for CustomConfig {
    fn clone(&self) -> Self {
        self.0.boxed()
    }
}

impl PartialEq for CustomConfig {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name() && self.to_value().ok() == other.to_value().ok()
    }
}

/// [`EquationConfig`] as an object.
trait AnyConfig: Debug + Send + Sync {
    fn boxed(&self) -> CustomConfig;
    fn to_value(&self) -> serde_json::Result<Value>;
    fn name(&self) -> &'static str;
    fn settings(&self) -> Settings;
    fn parameters(&self) -> Vec<Parameter>;
    fn equations(&self) -> Equations;
    fn prepare(&self, parameters: Vec<Term>) -> Vec<Term>;
    fn check(&self) -> Result<(), InvalidConfig>;
    fn kernel(&self) -> Option<LifKernel>;
}

impl<C: EquationConfig + Serialize> AnyConfig for C {
    fn boxed(&self) -> CustomConfig {
        CustomConfig::new(self.clone())
    }

    fn to_value(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }

    fn name(&self) -> &'static str {
        EquationConfig::name(self)
    }

    fn settings(&self) -> Settings {
        EquationConfig::settings(self)
    }

    fn parameters(&self) -> Vec<Parameter> {
        EquationConfig::parameters(self)
    }

    fn equations(&self) -> Equations {
        EquationConfig::equations(self)
    }

    fn prepare(&self, parameters: Vec<Term>) -> Vec<Term> {
        EquationConfig::prepare(self, parameters)
    }

    fn check(&self) -> Result<(), InvalidConfig> {
        EquationConfig::check(self)
    }

    fn kernel(&self) -> Option<LifKernel> {
        EquationConfig::kernel(self)
    }
}

impl EquationConfig for CustomConfig {
    const NAME: &'static str = "Custom";

    fn settings(&self) -> Settings {
        self.0.settings()
    }

    fn parameters(&self) -> Vec<Parameter> {
        self.0.parameters()
    }

    fn equations(&self) -> Equations {
        self.0.equations()
    }

    fn prepare(&self, parameters: Vec<Term>) -> Vec<Term> {
        self.0.prepare(parameters)
    }

    fn check(&self) -> Result<(), InvalidConfig> {
        self.0.check()
    }

    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn kernel(&self) -> Option<LifKernel> {
        self.0.kernel()
    }
}

/// The type that a kind belongs to, and how it is read.
type Entry = (TypeId, fn(Value) -> serde_json::Result<CustomConfig>);

static REGISTRY: RwLock<BTreeMap<String, Entry>> = RwLock::new(BTreeMap::new());

/// Makes a kind known.
pub(super) fn register<C>(kind: String) -> Result<(), InvalidConfig>
where
    C: EquationConfig + Serialize + DeserializeOwned,
{
    let mut registry = REGISTRY.write().unwrap_or_else(PoisonError::into_inner);
    let entry: Entry = (TypeId::of::<C>(), |value| {
        serde_json::from_value::<C>(value).map(CustomConfig::new)
    });
    let known = registry.entry(kind.clone()).or_insert(entry);
    match known.0 == entry.0 {
        true => Ok(()),
        false => Err(taken(&kind)),
    }
}

/// The error where a kind is that of another neuron.
pub(super) fn taken(kind: &str) -> InvalidConfig {
    InvalidConfig::new("neuron", "NAME", kind, "a name that no other neuron has")
}

/// A configuration of a kind that is registered.
pub(super) fn read(kind: &str, value: Value) -> Option<serde_json::Result<NeuronConfig>> {
    let registry = REGISTRY.read().unwrap_or_else(PoisonError::into_inner);
    let (_, read) = registry.get(kind)?;
    Some(read(value).map(NeuronConfig::Custom))
}
