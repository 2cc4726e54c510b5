//! Integrate-and-fire neurons that take the place of rectifiers.

use super::integer_lif::JUST_ABOVE;
use super::quantized_relu::require_thresholds;
use super::{EquationConfig, EquationNeuron, Threshold};
use crate::dynamics::Step;
use crate::{InvalidConfig, equation_config};

equation_config! {
    /// Configuration of a [`ScaledIf`].
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::neuron::{Neuron, ScaledIfConfig};
    ///
    /// let device = Device::default();
    /// let neuron = ScaledIfConfig::new().with_threshold(2.0).init(&device)?;
    /// let input = Tensor::<2>::full([4, 1], 0.5, &device);
    /// let (spikes, _state) = neuron.forward(input, None);
    /// // On average 0.5, as a rectifier returns.
    /// assert_eq!(spikes.to_data().try_to_vec::<f32>().unwrap(), [0.0, 2.0, 0.0, 0.0]);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub struct ScaledIfConfig {
        /// The membrane potential at which the neuron fires, and the height of a spike: a number, one for each channel, or learned.
        with_threshold => threshold: Threshold = Threshold::from(1.0),
        /// The initial potential, as a part of the threshold, from 0 to below 1. With a half, rates are rounded, not cut off.
        with_start => start: f64 = 0.5,
        /// True if neurons take spikes back: below 0 they fire a negative one, as long as more positive ones came before.
        with_signed => signed: bool = false,
        /// True if a spike is 1, and not as large as the threshold, which is then part of the weights behind.
        with_unit => unit: bool = false,
    }
}

/// Integrate-and-fire neurons whose spikes are as large as the threshold, with a soft reset, of any shape: over many steps their mean
/// output is that of a [`Relu`](super::Relu) of the mean input, up to the threshold.
///
/// ```text
/// u[t] = v[t-1] + x[t] / threshold          v[-1] = start
/// s[t] = [u[t] >= 1]
/// v[t] = u[t] - s[t]
/// o[t] = threshold s[t], or s[t] if `unit`
/// ```
///
/// Signed neurons also fire where they have fired too much (Li et al. 2022, *Quantization Framework for Fast Spiking Neural
/// Networks*; Wang et al. 2022, *Signed Neuron with Memory*):
///
/// ```text
/// s[t] = [u[t] >= 1] - [u[t] < 0 and s[0] + ... + s[t-1] > 0]
/// ```
///
/// SpikingJelly's converter makes the same of an `IFNode` between two `VoltageScaler`s, with `start` 0.
///
/// Created by [`ScaledIfConfig`]. State: `v`, the membrane potential as a part of the threshold, and `sent`, the sum of `s`.
pub type ScaledIf = EquationNeuron<ScaledIfConfig>;

impl EquationConfig for ScaledIfConfig {
    equations!(ScaledIf: threshold);

    fn check(&self) -> Result<(), InvalidConfig> {
        require_thresholds(Self::NAME, &self.threshold)?;
        let (start, ok) = (self.start, (0.0..1.0).contains(&self.start));
        InvalidConfig::require(Self::NAME, "start", start, ok, "a number from 0 to below 1")
            .map(drop)
    }
}

dynamics! {
    ScaledIfConfig: [v = self.start, sent = 0.0];
    fn step(&self, [threshold], x, fire) {
        let u = v + x / threshold.clone();
        let mut spike = fire.fire(u.clone().plus(-1.0));
        if self.signed {
            let back = fire.fire((-u.clone()).plus(-JUST_ABOVE));
            // A whole number.
            let any = sent.clone().plus(-0.5).constant();
            spike = spike - any.below(0.0).complement() * back;
        }
        let carried = [u.clone() - spike.clone(), sent + spike.clone()];
        let spike = match self.unit {
            true => spike,
            false => spike * threshold.clone(),
        };
        Step { carried, u, spike }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neuron::Neuron;
    use burn::tensor::{Device, Tensor};

    #[test]
    fn spikes_are_taken_back() {
        let device = Device::default();
        let input = [[0.8, -0.1], [0.8, -0.6], [-1.2, 0.3], [-1.2, 0.3]];
        let input = Tensor::<2>::from_floats(input, &device);
        let spikes = |signed| -> Vec<f32> {
            let neuron = ScaledIfConfig::new()
                .with_signed(signed)
                .init(&device)
                .unwrap();
            neuron
                .forward(input.clone(), None)
                .0
                .into_data()
                .try_to_vec()
                .unwrap()
        };
        assert_eq!(spikes(false), [1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        // Of the first neuron, two; the second has fired none.
        assert_eq!(spikes(true), [1.0, 0.0, 1.0, 0.0, -1.0, 0.0, -1.0, 0.0]);
    }
}
