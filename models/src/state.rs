//! The state of a network between parts of a sequence.

use std::collections::BTreeMap;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use synfire::neuron::NeuronState;

/// The states of all neurons of a network, by the names of their layers, to run a sequence in parts, down to single
/// steps.
///
/// Serde saves and loads it. It belongs to the network and the batch that it came from. Another network of the same shape
/// accepts it, but the values are meaningless there.
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

    /// The states of all layers, in the order of their names.
    pub fn layers(&self) -> impl Iterator<Item = (&str, &NeuronState)> {
        self.layers
            .iter()
            .map(|(name, state)| (name.as_str(), state))
    }

    fn map(self, change: impl Fn(NeuronState) -> NeuronState) -> Self {
        let layers = self.layers.into_iter();
        Self {
            layers: layers.map(|(name, state)| (name, change(state))).collect(),
        }
    }

    /// The same values without their graph: truncates backpropagation through time.
    pub fn detach(self) -> Self {
        self.map(NeuronState::detach)
    }

    /// The state on another device.
    pub fn to_device(self, device: &Device) -> Self {
        self.map(|state| state.to_device(device))
    }
}

/// The states of a network while it runs: each layer takes its state, and stores the next one.
#[derive(Debug, Default)]
pub(crate) struct States {
    before: Option<NetworkState>,
    next: NetworkState,
    steps: Option<Steps>,
}

/// The states of the layers that run step by step.
#[derive(Debug, Default)]
struct Steps {
    /// States after the last step.
    last: BTreeMap<String, NeuronState>,
    /// States of this step so far.
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
        let (result, next) = run(self.take(name));
        self.put(name, next);
        result
    }

    /// The state of a layer before it runs.
    pub fn take(&mut self, name: &str) -> Option<NeuronState> {
        let steps = self.steps.as_mut();
        let mut state = steps.and_then(|steps| steps.last.remove(name));
        if let (None, Some(before)) = (&state, &mut self.before) {
            state = before.layers.remove(name);
            assert!(
                state.is_some(),
                "NetworkState: it has no state of the layer `{name}` of this network"
            );
        }
        state
    }

    /// Keeps the state of a layer after it ran.
    pub fn put(&mut self, name: &str, next: NeuronState) {
        let layers = match &mut self.steps {
            Some(steps) => &mut steps.next,
            None => &mut self.next.layers,
        };
        let twice = layers.insert(name.to_owned(), next);
        assert!(twice.is_none(), "Context: two layers are called `{name}`");
    }

    /// Starts running the same layers in every step.
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

    /// Ends running layers step by step.
    pub fn end_steps(&mut self) {
        for (name, state) in self.steps.take().unwrap_or_default().last {
            let twice = self.next.layers.insert(name.clone(), state);
            assert!(twice.is_none(), "Context: two layers are called `{name}`");
        }
    }

    /// The states after the last layer.
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
