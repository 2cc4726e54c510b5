//! The integrate-and-fire neuron.

use super::{
    Decay, EquationConfig, EquationNeuron, LifConfig, Parameter, Reset, Spikes, Threshold,
};
use crate::dynamics::Equations;
use crate::ops::{Keep, LifKernel};
use crate::{InvalidConfig, equation_config};

equation_config! {
    /// Configuration of an [`If`] neuron.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::neuron::{IfConfig, Neuron};
    ///
    /// let device = Device::default();
    /// let neuron = IfConfig::new().with_threshold(1.0).init(&device)?;
    /// let input = Tensor::<2>::full([5, 1], 0.4, &device);
    /// let (spikes, _state) = neuron.forward(input, None);
    /// assert_eq!(spikes.to_data().try_to_vec::<f32>().unwrap(), [0.0, 0.0, 1.0, 0.0, 0.0]);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub struct IfConfig {
        /// The membrane potential at which the neuron fires: a number, one for each channel, or learned.
        with_threshold => threshold: Threshold = Threshold::from(0.5),
        /// The reset of the membrane potential after a spike. The target of a hard reset is also the initial potential.
        with_reset => reset: Reset = Reset::HARD,
        /// The tensors that a fused kernel saves for backward.
        with_keep => keep: Keep = Keep::Least,
        /// The kinds of spikes.
        with_spikes => spikes: Spikes = Spikes::Binary,
    }
}

/// Integrate-and-fire neurons, of any shape: a [`Lif`](super::Lif) that does not leak, `u[t] = v[t-1] + x[t]`.
///
/// Created by [`IfConfig`]. State: `v`.
pub type If = EquationNeuron<IfConfig>;

impl IfConfig {
    /// The equivalent leaky neuron.
    fn lif(&self) -> LifConfig {
        LifConfig {
            threshold: self.threshold.clone(),
            decay: Decay::from(1.0),
            rest: self.rule().target(),
            decay_input: false,
            reset: self.reset,
            keep: self.keep,
            spikes: self.spikes,
            temporal_gradient: self.temporal_gradient,
            surrogate: self.surrogate,
            forward: self.forward,
            execution: self.execution,
        }
    }
}

reset_rule!(IfConfig);

impl EquationConfig for IfConfig {
    const NAME: &'static str = "If";

    fn parameters(&self) -> Vec<Parameter> {
        self.lif().parameters()
    }

    fn equations(&self) -> Equations {
        self.lif().equations()
    }

    fn kernel(&self) -> Option<LifKernel> {
        self.lif().kernel()
    }

    fn check(&self) -> Result<(), InvalidConfig> {
        // Errors in terms of this configuration.
        self.lif().check().map_err(|error| InvalidConfig {
            owner: Self::NAME,
            field: match error.field {
                "rest" => "reset.to",
                field => field,
            },
            ..error
        })
    }
}
