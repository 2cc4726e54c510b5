//! Firing rates, and the layers that have none.

use std::fmt::{self, Display};

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::ops::{Pool, PoolOps, serves};

/// The mean of all spikes of a layer: the part of its neurons that fires in a time step, from 0 to 1.
///
/// # Shapes
///
/// - spikes: `[T, B, ...]`
/// - rate: `[1]`
pub fn firing_rate<const D: usize>(spikes: Tensor<D>) -> Tensor<1> {
    if serves::flex(&spikes) {
        let mean = <Dispatch as PoolOps>::pool(spikes.into_dispatch(), Pool::All);
        return Tensor::<D>::from_dispatch(mean).reshape([1]);
    }
    spikes.mean()
}

/// Why a layer passes nothing on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerFault {
    /// No neuron of it fired at all.
    NeverFires,
    /// It fired in fewer than one of 2,000 neurons and time steps.
    HardlyFires,
    /// It fired in more than 98 of 100 neurons and time steps.
    NearlyAlwaysFires,
    /// Every neuron of it fired in every time step.
    AlwaysFires,
}

/// A layer below this rate is nearly dead.
const HARDLY: f64 = 1.0 / 2000.0;
/// A layer above it is nearly constant.
const NEARLY_ALWAYS: f64 = 0.98;

impl Display for LayerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NeverFires => "never fires",
            Self::HardlyFires => "hardly fires",
            Self::NearlyAlwaysFires => "fires in nearly every step",
            Self::AlwaysFires => "fires in every step",
        })
    }
}

/// A layer whose spikes carry no information, or hardly any. Its `Display` is a warning that names it and says what helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StuckLayer {
    /// The name of the layer.
    pub layer: String,
    /// What is wrong with it.
    pub fault: LayerFault,
}

impl Display for StuckLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let help = match self.fault {
            LayerFault::NeverFires | LayerFault::HardlyFires => {
                "lower the threshold, or raise the weights, the decay or the surrogate's width"
            }
            LayerFault::NearlyAlwaysFires | LayerFault::AlwaysFires => {
                "raise the threshold, or lower the weights or the decay"
            }
        };
        let much = match self.fault {
            LayerFault::NeverFires | LayerFault::AlwaysFires => "nothing",
            LayerFault::HardlyFires | LayerFault::NearlyAlwaysFires => "little",
        };
        write!(
            f,
            "layer `{}` {}: {much} can be learned through it; {help}",
            self.layer, self.fault
        )
    }
}

/// The layers among these that never fire or always fire, or nearly so, the commonest reason that a spiking network does
/// not learn.
///
/// `rates` are firing rates over many samples (an epoch, say): a single batch may well have none.
///
/// ```
/// use synfire::metric::stuck_layers;
///
/// let found = stuck_layers([("hidden", 0.0), ("output", 0.1)]);
/// assert!(found[0].to_string().starts_with("layer `hidden` never fires"));
/// assert_eq!(found.len(), 1);
/// ```
pub fn stuck_layers<'a>(rates: impl IntoIterator<Item = (&'a str, f64)>) -> Vec<StuckLayer> {
    rates
        .into_iter()
        .filter_map(|(layer, rate)| {
            let fault = match rate {
                ..=0.0 => LayerFault::NeverFires,
                ..HARDLY => LayerFault::HardlyFires,
                1.0.. => LayerFault::AlwaysFires,
                NEARLY_ALWAYS.. => LayerFault::NearlyAlwaysFires,
                _ => return None,
            };
            Some(StuckLayer {
                layer: layer.to_owned(),
                fault,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn the_rate_is_the_mean_over_everything() {
        let spikes = Tensor::<3>::from_floats([[[1.0, 0.0]], [[0.0, 0.0]]], &Device::default());
        assert_eq!(firing_rate(spikes).into_scalar::<f32>(), 0.25);
    }

    #[test]
    fn both_faults_are_found_and_named() {
        let found = stuck_layers([("a", 0.0), ("b", 0.5), ("c", 1.0)]);
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].layer.as_str(), found[0].fault),
            ("a", LayerFault::NeverFires)
        );
        assert_eq!(
            (found[1].layer.as_str(), found[1].fault),
            ("c", LayerFault::AlwaysFires)
        );
        assert!(found[1].to_string().contains("`c` fires in every step"));
    }

    #[test]
    fn layers_that_are_nearly_dead_are_found() {
        let found = stuck_layers([
            ("a", 4e-4),
            ("b", 6e-4),
            ("c", 0.97),
            ("d", 0.99),
            ("e", f64::NAN),
        ]);
        let found: Vec<_> = found
            .iter()
            .map(|layer| (layer.layer.as_str(), layer.fault))
            .collect();
        assert_eq!(
            found,
            [
                ("a", LayerFault::HardlyFires),
                ("d", LayerFault::NearlyAlwaysFires)
            ]
        );
    }
}
