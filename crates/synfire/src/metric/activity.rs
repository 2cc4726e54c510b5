//! Firing rates, and detection of stuck layers.

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
    if serves::flex_or_its_server(&spikes) {
        let mean = <Dispatch as PoolOps>::pool(spikes.into_dispatch(), Pool::All);
        return Tensor::<D>::from_dispatch(mean).reshape([1]);
    }
    spikes.mean()
}

/// Fault of a layer that transmits no information.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerFault {
    /// No neuron fired.
    NeverFires,
    /// The firing rate is below 1/2000.
    HardlyFires,
    /// The firing rate is above 0.98.
    NearlyAlwaysFires,
    /// Every neuron fired in every time step.
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

/// A layer whose spikes carry little or no information. Its `Display` is a warning that names the layer and a remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StuckLayer {
    /// The name of the layer.
    pub layer: String,
    /// The fault.
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

/// The layers that never fire or always fire, or nearly so: the most common reason why a spiking network does not learn.
///
/// `rates` are firing rates over many samples (such as an epoch): a single batch may have no spikes.
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
