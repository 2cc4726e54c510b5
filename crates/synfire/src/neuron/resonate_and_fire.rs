//! The resonate-and-fire neuron.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::coefficient::Coefficient;
use super::config::equations_config;
use super::dynamics::{Dynamics, ResetRule, Step, neuron_by_equations, neuron_state};
use super::real::{Fire, Real};
use super::{Number, Reset, Threshold};
use crate::InvalidConfig;

equations_config! {
    /// Configuration of a [`ResonateAndFire`] neuron. The defaults are those of SpikingJelly's `RAFNode`.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::neuron::{Neuron, ResonateAndFireConfig};
    ///
    /// let device = Device::default();
    /// let neuron = ResonateAndFireConfig::new().with_frequency(1.5).with_threshold(0.75).init(&device)?;
    /// // One input makes the membrane swing, up to a spike in the next step.
    /// let input = Tensor::<2>::from_floats([[1.0], [0.0], [0.0]], &device);
    /// let (spikes, _state) = neuron.forward(input, None);
    /// assert_eq!(spikes.to_data().try_to_vec::<f32>().unwrap(), [0.0, 1.0, 0.0]);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub struct ResonateAndFireConfig {
        /// The membrane potential at which the neuron fires: a number, one for each channel, or learned.
        with_threshold => threshold: Threshold = Threshold::from(1.0),
        /// By how much the swing grows in a unit of time, at most 0: a number, one for each channel, or learned (`b`).
        with_damping => damping: Number = Number::from(-0.2),
        /// The angle by which it turns in a unit of time, in radians: a number, one for each channel, or learned
        /// (`omega`).
        with_frequency => frequency: Number = Number::from(1.0),
        /// A time step in units of time, above 0.
        with_dt => dt: f64 = 1.0,
        /// What a spike does to the membrane potential; not to the current. Where a hard reset ends, there the membrane
        /// starts.
        with_reset => reset: Reset = Reset::HARD,
    }
}

impl ResonateAndFireConfig {
    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// As for `init`.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        const OWNER: &str = "ResonateAndFire";
        self.threshold.validate(OWNER, "threshold")?;
        self.damping.validate(OWNER, "damping")?;
        let damping = self.damping.values().as_slice();
        if let Some(damping) = damping.iter().find(|damping| **damping > 0.0) {
            let expected = "at most 0, so that the swing does not grow";
            return Err(InvalidConfig::new(OWNER, "damping", damping, expected));
        }
        self.frequency.validate(OWNER, "frequency")?;
        InvalidConfig::require_positive(OWNER, "dt", self.dt)?;
        ResetRule::validate(OWNER, self.reset, self.temporal_gradient, false)
    }

    /// Creates the neuron.
    ///
    /// # Errors
    ///
    /// If a number is not from -1e37 to 1e37, the damping above 0, `dt` not above 0, the reset not hard or soft, or its
    /// gradient that of one of the paper's gates.
    pub fn init(&self, device: &Device) -> Result<ResonateAndFire, InvalidConfig> {
        self.validate()?;
        Ok(ResonateAndFire {
            damping: self.damping.init(device),
            frequency: self.frequency.init(device),
            threshold: self.threshold.init(device),
            config: self.clone(),
        })
    }
}

/// Resonate-and-fire neurons, of any shape: membrane and current turn around each other, and answer best to an input of their
/// own frequency.
///
/// ```text
/// c[t] = e^(damping dt) (c[t-1] cos(frequency dt) - v[t-1] sin(frequency dt)) + x[t]
/// u[t] = e^(damping dt) (c[t-1] sin(frequency dt) + v[t-1] cos(frequency dt))
/// o[t] = 1 if u[t] >= threshold else 0
/// v[t] = u[t] (1 - o[t]) + to o[t]          Reset::Hard
/// v[t] = u[t] - threshold o[t]              Reset::Soft
/// ```
///
/// Izhikevich (2001), *Resonate-and-Fire Neurons*, turned exactly from step to step. It is SpikingJelly's `RAFNode`, whose `b` is
/// `damping`, whose `omega` is `frequency` and whose `u` is `c`.
///
/// Created by [`ResonateAndFireConfig`].
#[derive(Module, Debug)]
pub struct ResonateAndFire {
    damping: Coefficient,
    frequency: Coefficient,
    threshold: Coefficient,
    #[module(skip)]
    config: ResonateAndFireConfig,
}

neuron_state! {
    /// What a step of a [`ResonateAndFire`] neuron leaves, each `[1, B, ...]`. Saved and loaded by serde.
    pub struct ResonateAndFireState {
        /// The membrane potential `v`, the imaginary part.
        v,
        /// The current `c`, the real part.
        current,
    }
}

neuron_by_equations!(ResonateAndFire, ResonateAndFireConfig, ResonateAndFireState);

impl ResonateAndFire {
    fn equations(&self) -> ResonateAndFireEquations {
        ResonateAndFireEquations {
            rule: ResetRule::new(self.config.reset, self.config.temporal_gradient),
        }
    }

    fn numbers<const D: usize>(&self, sequence: [usize; D], device: &Device) -> [Tensor<1>; 3] {
        let [damping, frequency, threshold] = [
            ("ResonateAndFire: the damping", &self.damping),
            ("ResonateAndFire: the frequency", &self.frequency),
            ("ResonateAndFire: the threshold", &self.threshold),
        ]
        .map(|(name, number)| number.tensor(name, sequence, device));
        let left = (damping * self.config.dt).exp();
        let angle = frequency * self.config.dt;
        // One may be of channels where the other is not.
        let count = left.dims()[0].max(angle.dims()[0]);
        let (left, angle) = (left.expand([count]), angle.expand([count]));
        [
            left.clone() * angle.clone().cos(),
            left * angle.sin(),
            threshold,
        ]
    }
}

/// The equations of a [`ResonateAndFire`] neuron.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResonateAndFireEquations {
    rule: ResetRule,
}

impl Dynamics<2, 3> for ResonateAndFireEquations {
    fn rest(&self) -> [f64; 2] {
        [self.rule.target(), 0.0]
    }

    #[inline(always)]
    fn step<R: Real>(
        &self,
        [cos, sin, threshold]: &[R; 3],
        [v, c]: [R; 2],
        x: R,
        fire: &impl Fire<R>,
    ) -> Step<R, 2> {
        let u = sin.clone() * c.clone() + cos.clone() * v.clone();
        let c = cos.clone() * c - sin.clone() * v + x;
        let spike = fire.fire(u.clone() - threshold.clone());
        Step {
            carried: [self.rule.left(&u, &spike, threshold), c],
            u,
            spike,
        }
    }
}
