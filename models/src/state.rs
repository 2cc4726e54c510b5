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
pub(crate) struct States {
    before: Option<NetworkState>,
    next: NetworkState,
}

impl States {
    /// From a state, or from rest.
    pub fn new(before: Option<NetworkState>) -> Self {
        Self {
            before,
            next: NetworkState::default(),
        }
    }

    /// Runs a layer.
    pub fn run<R>(
        &mut self,
        name: &str,
        run: impl FnOnce(Option<NeuronState>) -> (R, NeuronState),
    ) -> R {
        let (key, state) = match &mut self.before {
            None => (name.to_owned(), None),
            Some(before) => match before.layers.remove_entry(name) {
                Some((key, state)) => (key, Some(state)),
                None => {
                    panic!("NetworkState: it has no state of the layer `{name}` of this network")
                }
            },
        };
        let (result, next) = run(state);
        let twice = self.next.layers.insert(key, next);
        assert!(twice.is_none(), "Context: two layers are called `{name}`");
        result
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
