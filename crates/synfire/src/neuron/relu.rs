//! Rectifiers: the activations of networks without spikes, in the place of neurons.

use super::{EquationConfig, EquationNeuron, ParamInit};
use crate::dynamics::Step;
use crate::equation_config;

equation_config! {
    /// Configuration of a [`Relu`].
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::neuron::{Neuron, ReluConfig};
    ///
    /// let device = Device::default();
    /// let neuron = ReluConfig::new().init(&device)?;
    /// let (outputs, _state) = neuron.forward(Tensor::<2>::from_floats([[-0.5, 0.2, 2.0]], &device), None);
    /// assert_eq!(outputs.into_data().try_to_vec::<f32>().unwrap(), [0.0, 0.2, 2.0]);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub struct ReluConfig {
        /// Factor of inputs below 0: a number, one for each channel, or learned (PReLU).
        with_slope => slope: ParamInit = ParamInit::from(0.0),
    }
}

/// Rectifiers, of any shape, without memory: each step is an image by itself, and a network of them is an ordinary one.
///
/// ```text
/// o[t] = max(x[t], 0) + slope min(x[t], 0)
/// ```
///
/// A network of rectifiers with a slope of 0 can be converted to [`ScaledIf`](super::ScaledIf) neurons.
///
/// Created by [`ReluConfig`]. State: `v`, the last input.
pub type Relu = EquationNeuron<ReluConfig>;

impl EquationConfig for ReluConfig {
    equations!(Relu: slope);
}

dynamics! {
    ReluConfig: [v = 0.0];
    fn step(&self, [slope], x, fire) {
        let negative = (-x.clone()).positive();
        let spike = x.clone().positive() - slope.clone() * negative;
        // Only for the state: there is no memory, and nothing fires.
        let (_, _, u) = (v, fire, x.clone());
        let carried = [x.constant()];
        Step { carried, u, spike }
    }
}
