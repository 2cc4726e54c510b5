//! What a network carries from one part of a sequence to the next.

use std::collections::BTreeMap;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use synfire::neuron::NeuronState;

/// The states of all neurons of a network, by the names of their layers, for whoever feeds it part by part, down to single
/// steps.
///
/// Serde saves and loads it. It belongs to the network, and to the batch, that it came from: a network of the same shape
/// takes it as well, for which it means nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NetworkState {
    layers: BTreeMap<String, NeuronState>,
}

impl NetworkState {
    /// The state of a layer.
    pub fn layer(&self, name: &str) -> Option<&NeuronState> {
        self.layers.get(name)
    }

    fn map(self, change: impl Fn(NeuronState) -> NeuronState) -> Self {
        let layers = self.layers.into_iter();
        Self {
            layers: layers.map(|(name, state)| (name, change(state))).collect(),
        }
    }

    /// The same values without their history: where backpropagation through time stops.
    pub fn detach(self) -> Self {
        self.map(NeuronState::detach)
    }

    /// The state on another device.
    pub fn to_device(self, device: &Device) -> Self {
        self.map(|state| state.to_device(device))
    }
}

/// The states of a network while it runs: each layer takes its own, and leaves the next.
#[derive(Debug, Default)]
pub(crate) struct States {
    before: Option<NetworkState>,
    next: NetworkState,
    steps: Option<Steps>,
}

/// The states of the layers that run step by step.
#[derive(Debug, Default)]
struct Steps {
    /// After the last step.
    last: BTreeMap<String, NeuronState>,
    /// Of this step so far.
    next: BTreeMap<String, NeuronState>,
}

impl States {
    /// From a state, or from rest.
    pub fn new(before: Option<NetworkState>) -> Self {
        let state = Self::default();
        Self { before, ..state }
    }

    /// Runs a layer.
    pub fn run<R>(
        &mut self,
        name: &str,
        run: impl FnOnce(Option<NeuronState>) -> (R, NeuronState),
    ) -> R {
        let steps = self.steps.as_mut();
        let mut state = steps.and_then(|steps| steps.last.remove(name));
        if let (None, Some(before)) = (&state, &mut self.before) {
            state = before.layers.remove(name);
            assert!(
                state.is_some(),
                "NetworkState: it has no state of the layer `{name}` of this network"
            );
        }
        let (result, next) = run(state);
        let layers = match &mut self.steps {
            Some(steps) => &mut steps.next,
            None => &mut self.next.layers,
        };
        let twice = layers.insert(name.to_owned(), next);
        assert!(twice.is_none(), "Context: two layers are called `{name}`");
        result
    }

    /// From here on the same layers run again in every step.
    pub fn begin_steps(&mut self) {
        assert!(self.steps.is_none(), "Context: steps within a step");
        self.steps = Some(Steps::default());
    }

    /// Goes to the next step.
    pub fn next_step(&mut self) {
        if let Some(steps) = &mut self.steps {
            steps.last = std::mem::take(&mut steps.next);
        }
    }

    /// From here on every layer runs once.
    pub fn end_steps(&mut self) {
        for (name, state) in self.steps.take().unwrap_or_default().last {
            let twice = self.next.layers.insert(name.clone(), state);
            assert!(twice.is_none(), "Context: two layers are called `{name}`");
        }
    }

    /// What is left after the last layer.
    pub fn finish(self) -> NetworkState {
        if let Some(before) = self.before {
            let left: Vec<_> = before.layers.keys().collect();
            assert!(
                left.is_empty(),
                "NetworkState: it has states of {left:?}, layers that this network does not have"
            );
        }
        self.next
    }
}
