//! Configurations of leaky and of plain integrate-and-fire neurons.

use std::fmt::Display;

use burn::tensor::Device;

use super::config::neuron_config;
use super::dynamics::ResetRule;
use super::{Decay, Lif, Reset, ResetGradient, Spikes, TemporalGradient, Threshold, Values};
use crate::InvalidConfig;
use crate::kernel::{Keep, Path};
use crate::spike::Forward;
use crate::surrogate::Surrogate;

/// Below it a learned decay does not fall where it is divided by.
pub(super) const LOWEST_LEARNED: f64 = 1e-3;

neuron_config! {
    /// Configuration of a [`Lif`] neuron.
    ///
    /// Threshold, decay, weights and surrogate width must fit each other: with PyTorch-like weights (uniform in
    /// `+-1/sqrt(fan-in)`) and these defaults a network is alive from the start; with the paper's literal threshold of
    /// 1.5 no neuron may ever fire.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use synfire::neuron::{LifConfig, Reset};
    ///
    /// let device = Device::default();
    /// let lif = LifConfig::new().with_reset(Reset::Exponential).with_decay(0.1).init(&device)?;
    /// let error = LifConfig::new().with_decay(1.5).init(&device).unwrap_err();
    /// assert_eq!(error.to_string(), "invalid `decay` of Lif: 1.5, expected a number from 0 to 1");
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub struct LifConfig {
        /// The membrane potential at which the neuron fires (paper: `V_th`): a number, one for each channel, or learned.
        with_threshold => threshold: Threshold = Threshold::from(0.5),
        /// The part of the membrane potential that is left after one time step, 0 to 1 (paper: `tau`): a number, one
        /// for each channel, or learned.
        with_decay => decay: Decay = Decay::from(0.2),
        /// The membrane potential without input, to which it decays and at which it starts.
        with_rest => rest: f64 = 0.0,
        /// Whether the input is multiplied by `1 - decay`, as in SpikingJelly by default.
        with_decay_input => decay_input: bool = false,
        /// What a spike does to the membrane potential.
        with_reset => reset: Reset = Reset::HARD,
        /// How gradients travel through time.
        with_temporal_gradient => temporal_gradient: TemporalGradient = TemporalGradient::default(),
        /// What stands in for the derivative of the spike.
        with_surrogate => surrogate: Surrogate = Surrogate::default(),
        /// The spike, or a smooth function to check gradients with.
        with_forward => forward: Forward = Forward::Step,
        /// How a sequence is computed: by a fused kernel where there is one, or unrolled.
        with_path => path: Path = Path::Auto,
        /// What a fused kernel keeps for the backward pass.
        #[serde(default)]
        with_keep => keep: Keep = Keep::Least,
        /// What it can fire: one kind of spikes, or more.
        #[serde(default)]
        with_spikes => spikes: Spikes = Spikes::Binary,
    }
}

impl LifConfig {
    /// The parametric leaky integrate-and-fire neuron (PLIF) of Fang et al. (2021): the membrane time constant, `tau`
    /// steps at the start, is learned as `1/tau = sigmoid(w)`, and the input is scaled by `1/tau`. (Their later code can
    /// leave the input as it is: `with_decay_input(false)`.) Everything else is as in [`new`](Self::new).
    ///
    /// # Errors
    ///
    /// If `tau` is not a number above 1, at most 1e6.
    ///
    /// ```
    /// use burn::module::Module;
    /// use burn::tensor::Device;
    /// use synfire::neuron::LifConfig;
    ///
    /// let plif = LifConfig::plif(2.0)?.with_threshold(1.0).init(&Device::default())?;
    /// assert_eq!(plif.num_params(), 1);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub fn plif(tau: f64) -> Result<Self, InvalidConfig> {
        if !(tau > 1.0 && tau <= 1e6) {
            let expected = "a number above 1, at most 1e6";
            return Err(InvalidConfig::new("Lif", "tau", tau, expected));
        }
        Ok(Self::new()
            .with_decay(Decay::sigmoid(1.0 - 1.0 / tau))
            .with_decay_input(true))
    }

    /// Checks that these neurons can stand in layers of these numbers of channels.
    ///
    /// # Errors
    ///
    /// If they have numbers for each of another number of channels.
    pub fn validate_channels(
        &self,
        owner: &'static str,
        channels: &[usize],
    ) -> Result<(), InvalidConfig> {
        for (field, values) in [
            ("neuron.decay", self.decay.values()),
            ("neuron.threshold", self.threshold.values()),
        ] {
            let Values::PerChannel(values) = values else {
                continue;
            };
            if let Some(other) = channels.iter().find(|channels| **channels != values.len()) {
                return Err(InvalidConfig::new(
                    owner,
                    field,
                    format!("{} numbers for a layer of {other} channels", values.len()),
                    "one for all, or one for each channel of every layer",
                ));
            }
        }
        Ok(())
    }

    /// Whether the decay is divided by.
    pub(super) fn has_exponential(&self) -> bool {
        self.reset == Reset::Exponential
            || self.temporal_gradient == TemporalGradient::Full(ResetGradient::Exponential)
    }

    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// As for `init`.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        self.threshold.validate("Lif", "threshold")?;
        self.decay.validate("Lif")?;
        InvalidConfig::require_finite("Lif", "rest", self.rest)?;
        if self.spikes != Spikes::Binary {
            self.spikes.validate("Lif")?;
            ResetRule::validate("Lif", self.reset, self.temporal_gradient, false)?;
        }
        if let Reset::Hard { to } | Reset::DelayedHard { to } = self.reset {
            InvalidConfig::require_finite("Lif", "reset.to", to)?;
        }
        let invalid = |field, value: &dyn Display, expected| {
            Err(InvalidConfig::new("Lif", field, value, expected))
        };

        let gate_gradient = matches!(
            self.temporal_gradient,
            TemporalGradient::Full(ResetGradient::Linear | ResetGradient::Exponential)
        );
        let gate = gate_gradient || self.reset == Reset::Exponential;
        if gate && self.rest != 0.0 {
            let expected = "0 for the paper's gates and their gradients";
            return invalid("rest", &self.rest, expected);
        }
        match self.reset {
            Reset::Hard { to } if gate && to != 0.0 => {
                return invalid("reset.to", &to, "0 for the gradients of the paper's gates");
            }
            Reset::Soft | Reset::DelayedHard { .. } | Reset::DelayedSoft if gate => {
                return invalid(
                    "temporal_gradient",
                    &format!("{:?}", self.temporal_gradient),
                    "exact, detached or off for a soft or delayed reset",
                );
            }
            _ => {}
        }
        let (lowest, expected) = match self.decay {
            Decay::Fixed(_) => (1e-37, "at least 1e-37 for an exponential gate"),
            _ => (
                LOWEST_LEARNED,
                "at least 0.001 for an exponential gate that is learned",
            ),
        };
        let decays = self.decay.values().as_slice();
        match decays.iter().find(|decay| **decay < lowest) {
            Some(decay) if self.has_exponential() => invalid("decay", decay, expected),
            _ => Ok(()),
        }
    }

    /// Creates the neuron.
    ///
    /// # Errors
    ///
    /// If a threshold, the resting potential or the one after a reset is not a number from -1e37 to 1e37, or a decay
    /// is not in `[0, 1]` (for a sigmoid, in between). The paper's gates know only 0 as the resting potential and the
    /// one after a reset; in the forward pass as in the reset gradient. The exponential one divides by the decay, which
    /// must be at least 1e-37, and where it is learned at least 1e-3, below which it is kept from falling.
    pub fn init(&self, device: &Device) -> Result<Lif, InvalidConfig> {
        self.validate()?;
        Ok(Lif::new(self.clone(), device))
    }
}

neuron_config! {
    /// Configuration of an integrate-and-fire neuron: a [`Lif`] that does not leak, `u[t] = v[t-1] + x[t]`.
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
        /// What a spike does to the membrane potential. Where a hard reset ends, there the neuron starts.
        with_reset => reset: Reset = Reset::HARD,
        /// How gradients travel through time.
        with_temporal_gradient => temporal_gradient: TemporalGradient = TemporalGradient::default(),
        /// What stands in for the derivative of the spike.
        with_surrogate => surrogate: Surrogate = Surrogate::default(),
        /// The spike, or a smooth function to check gradients with.
        with_forward => forward: Forward = Forward::Step,
        /// How a sequence is computed: by a fused kernel where there is one, or unrolled.
        with_path => path: Path = Path::Auto,
        /// What a fused kernel keeps for the backward pass.
        #[serde(default)]
        with_keep => keep: Keep = Keep::Least,
        /// What it can fire: one kind of spikes, or more.
        #[serde(default)]
        with_spikes => spikes: Spikes = Spikes::Binary,
    }
}

impl IfConfig {
    /// Creates the neuron.
    ///
    /// # Errors
    ///
    /// As for [`LifConfig::init`].
    pub fn init(&self, device: &Device) -> Result<Lif, InvalidConfig> {
        let lif = self.lif();
        // In the words of this configuration.
        lif.validate().map_err(|error| InvalidConfig {
            owner: "If",
            field: match error.field {
                "rest" => "reset.to",
                field => field,
            },
            ..error
        })?;
        lif.init(device)
    }

    /// The leaky neuron that it is.
    fn lif(&self) -> LifConfig {
        let rest = match self.reset {
            Reset::Hard { to } | Reset::DelayedHard { to } => to,
            Reset::Exponential | Reset::Soft | Reset::DelayedSoft => 0.0,
        };
        LifConfig {
            threshold: self.threshold.clone(),
            decay: Decay::Fixed(Values::One(1.0)),
            rest,
            decay_input: false,
            reset: self.reset,
            temporal_gradient: self.temporal_gradient,
            surrogate: self.surrogate,
            forward: self.forward,
            path: self.path,
            keep: self.keep,
            spikes: self.spikes,
        }
    }
}
