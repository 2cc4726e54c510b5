//! Quantised rectifiers, with outputs that a neuron's spikes can give.

use super::{EquationConfig, EquationNeuron, Spikes, Threshold};
use crate::dynamics::Step;
use crate::{InvalidConfig, equation_config};

equation_config! {
    /// Configuration of a [`QuantizedRelu`].
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::neuron::{Neuron, QuantizedReluConfig};
    ///
    /// let device = Device::default();
    /// let neuron = QuantizedReluConfig::new().with_levels(4u32).init(&device)?;
    /// let input = Tensor::<2>::from_floats([[-0.5, 0.2, 0.6, 2.0]], &device);
    /// let (outputs, _state) = neuron.forward(input, None);
    /// assert_eq!(outputs.into_data().try_to_vec::<f32>().unwrap(), [0.0, 0.25, 0.5, 1.0]);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub struct QuantizedReluConfig {
        /// The largest output, above 0: a number, one for each channel, or learned.
        with_threshold => threshold: Threshold = Threshold::learned(1.0),
        /// The number of outputs above 0 (`L`), from 1 to 64.
        with_levels => levels: u32 = 8,
    }
}

/// Rectifiers whose outputs are rounded to levels up to a threshold, of any shape, without memory.
///
/// ```text
/// o[t] = threshold clip(floor(L x[t] / threshold + 1/2) / L, 0, 1)
/// ```
///
/// with the gradient of the same without `floor`: the quantised activations (QCFS) of Bu et al. (2022), *Optimal ANN-SNN Conversion
/// for High-accuracy and Ultra-low-latency Spiking Neural Networks*. [`ScaledIf`](super::ScaledIf) neurons with the same threshold
/// give such outputs by spikes.
///
/// Created by [`QuantizedReluConfig`]. State: `v`, the last input.
pub type QuantizedRelu = EquationNeuron<QuantizedReluConfig>;

impl EquationConfig for QuantizedReluConfig {
    equations!(QuantizedRelu: threshold);

    fn check(&self) -> Result<(), InvalidConfig> {
        require_thresholds(Self::NAME, &self.threshold)?;
        Spikes::validate_levels(Self::NAME, "levels", self.levels)
    }
}

/// Rejects thresholds that are not above 0.
pub(super) fn require_thresholds(
    owner: &'static str,
    threshold: &Threshold,
) -> Result<(), InvalidConfig> {
    let mut values = threshold.values().as_slice().iter();
    values
        .try_for_each(|value| InvalidConfig::require_positive(owner, "threshold", *value).map(drop))
}

dynamics! {
    QuantizedReluConfig: [v = 0.0];
    fn step(&self, [threshold], x, fire) {
        let most = f64::from(self.levels);
        let z = (x.clone() / threshold.clone()).scale(most);
        let mut level = fire.fire(z.clone().plus(-0.5));
        for below in 1..self.levels {
            level = level + fire.fire(z.clone().plus(-0.5 - f64::from(below)));
        }
        // From 0 to `most`: what is beyond has no gradient.
        let clipped = -(-z.positive()).plus(most).positive();
        let level = level.constant().with_gradient_of(clipped.plus(most));
        let spike = (level * threshold.clone()).scale(1.0 / most);
        // Only for the state: there is no memory.
        let (_, u) = (v, x.clone());
        let carried = [x.constant()];
        Step { carried, u, spike }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neuron::Neuron;
    use burn::tensor::{Device, Tensor};

    #[test]
    fn levels_have_the_gradient_of_what_they_round() {
        let device = Device::default().autodiff();
        let config = QuantizedReluConfig::new().with_threshold(Threshold::learned(2.0));
        let neuron = config.with_levels(4u32).init(&device).unwrap();
        let input = Tensor::<2>::from_floats([[-1.0, 0.2, 0.8, 1.9, 2.6]], &device).require_grad();
        let (outputs, _) = neuron.forward(input.clone(), None);
        let values: Vec<f32> = outputs.to_data().try_to_vec().unwrap();
        assert_eq!(values, [0.0, 0.0, 1.0, 2.0, 2.0]);
        let gradients = outputs.sum().backward();
        let of_input = input.grad(&gradients).unwrap().into_data();
        assert_eq!(
            of_input.try_to_vec::<f32>().unwrap(),
            [0.0, 1.0, 1.0, 1.0, 0.0]
        );
        // Inside, the rounding error in levels, here of 0.4, 1.6 and 3.8, by their number; at the upper end 1.
        let threshold = neuron.parameter("threshold").unwrap().parameter().unwrap();
        let of_threshold = threshold.grad(&gradients).unwrap().into_scalar::<f32>();
        assert!(
            (of_threshold - ((-0.4 + 0.4 + 0.2) / 4.0 + 1.0)).abs() < 1e-5,
            "{of_threshold}"
        );
    }
}
