//! Firing rates, and the layers that have none.

use std::fmt::{self, Display};

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::kernel::{self, Pool, PoolOps};

/// The mean of all spikes of a layer: the part of its neurons that fires in a time step, from 0 to 1.
///
/// # Shapes
///
/// - spikes: `[T, B, ...]`
/// - rate: `[1]`
pub fn firing_rate<const D: usize>(spikes: Tensor<D>) -> Tensor<1> {
    if kernel::supports(&spikes) {
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
    /// Every neuron of it fired in every time step.
    AlwaysFires,
}

impl Display for LayerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NeverFires => "never fires",
            Self::AlwaysFires => "fires in every step",
        })
    }
}

/// A layer whose spikes carry no information. Its `Display` is a warning that names it and says what helps.
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
            LayerFault::NeverFires => {
                "lower the threshold, or raise the weights, the decay or the surrogate's width"
            }
            LayerFault::AlwaysFires => "raise the threshold, or lower the weights or the decay",
        };
        write!(
            f,
            "layer `{}` {}: nothing can be learned through it; {help}",
            self.layer, self.fault
        )
    }
}

/// The layers among these that never fire or always fire, the commonest reason that a spiking network does not
/// learn.
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
            let fault = if rate <= 0.0 {
                LayerFault::NeverFires
            } else if rate >= 1.0 {
                LayerFault::AlwaysFires
            } else {
                return None;
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
}
