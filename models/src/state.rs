//! What a network carries from one part of a sequence to the next.

use std::vec::IntoIter;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use synfire::neuron::{LeakyIntegratorState, LifState, NeuronState};

/// The states of all neurons of a network, for whoever feeds it part by part, down to single steps.
///
/// Serde saves and loads it. It belongs to the network, and to the batch, that it came from: a network of the same shape
/// takes it as well, for which it means nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkState {
    /// Of neurons that lie in images, layer by layer.
    images: Vec<LifState<5>>,
    /// Of neurons that lie in a row, layer by layer.
    rows: Vec<LifState<3>>,
    /// Of membranes without spikes.
    membranes: Vec<LeakyIntegratorState<3>>,
}

impl NetworkState {
    fn map(
        self,
        images: impl FnMut(LifState<5>) -> LifState<5>,
        rows: impl FnMut(LifState<3>) -> LifState<3>,
        membranes: impl FnMut(LeakyIntegratorState<3>) -> LeakyIntegratorState<3>,
    ) -> Self {
        Self {
            images: self.images.into_iter().map(images).collect(),
            rows: self.rows.into_iter().map(rows).collect(),
            membranes: self.membranes.into_iter().map(membranes).collect(),
        }
    }
}

impl NeuronState for NetworkState {
    fn detach(self) -> Self {
        self.map(
            NeuronState::detach,
            NeuronState::detach,
            NeuronState::detach,
        )
    }

    fn to_device(self, device: &Device) -> Self {
        self.map(
            |state| state.to_device(device),
            |state| state.to_device(device),
            |state| state.to_device(device),
        )
    }
}

/// The states of a network while it runs: each layer takes its own, and leaves the next.
pub(crate) struct States {
    images: Option<IntoIter<LifState<5>>>,
    rows: Option<IntoIter<LifState<3>>>,
    membranes: Option<IntoIter<LeakyIntegratorState<3>>>,
    next: NetworkState,
}

impl States {
    /// From a state, or from rest.
    pub fn new(state: Option<NetworkState>) -> Self {
        let (images, rows, membranes) = match state {
            Some(state) => (
                Some(state.images.into_iter()),
                Some(state.rows.into_iter()),
                Some(state.membranes.into_iter()),
            ),
            None => (None, None, None),
        };
        Self {
            images,
            rows,
            membranes,
            next: NetworkState {
                images: Vec::new(),
                rows: Vec::new(),
                membranes: Vec::new(),
            },
        }
    }

    /// Runs a layer of neurons that lie in images.
    pub fn images<R>(&mut self, run: impl FnOnce(Option<LifState<5>>) -> (R, LifState<5>)) -> R {
        let (result, next) = run(take(&mut self.images));
        self.next.images.push(next);
        result
    }

    /// Runs a layer of neurons that lie in a row.
    pub fn rows<R>(&mut self, run: impl FnOnce(Option<LifState<3>>) -> (R, LifState<3>)) -> R {
        let (result, next) = run(take(&mut self.rows));
        self.next.rows.push(next);
        result
    }

    /// Runs a layer of membranes without spikes.
    pub fn membranes<R>(
        &mut self,
        run: impl FnOnce(Option<LeakyIntegratorState<3>>) -> (R, LeakyIntegratorState<3>),
    ) -> R {
        let (result, next) = run(take(&mut self.membranes));
        self.next.membranes.push(next);
        result
    }

    /// What is left after the last layer.
    pub fn finish(self) -> NetworkState {
        let left = self.images.map_or(0, |states| states.len())
            + self.rows.map_or(0, |states| states.len())
            + self.membranes.map_or(0, |states| states.len());
        assert!(
            left == 0,
            "NetworkState: it has the states of {left} layers that this network does not have"
        );
        self.next
    }
}

/// The state of the next layer, if there are any.
fn take<S>(states: &mut Option<IntoIter<S>>) -> Option<S> {
    states.as_mut().map(|states| {
        states
            .next()
            .expect("NetworkState: this network has layers that it has no states of")
    })
}
