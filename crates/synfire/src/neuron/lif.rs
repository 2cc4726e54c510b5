//! The leaky integrate-and-fire neuron.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;

use super::reset::reset;
use super::{Neuron, Recording, Reset, ResetGradient, TemporalGradient};
use crate::InvalidConfig;
use crate::spike::{Forward, spike_with};
use crate::surrogate::Surrogate;

/// Configuration of a [`Lif`] neuron.
///
/// Threshold, decay, weights and surrogate width must fit each other: with PyTorch-like weights (uniform in
/// `+-1/sqrt(fan-in)`) and these defaults a network is alive from the start; with the paper's literal threshold of
/// 1.5 no neuron may ever fire.
///
/// ```
/// use synfire::neuron::{LifConfig, Reset};
///
/// let lif = LifConfig::new().with_reset(Reset::Exponential).with_decay(0.1).init()?;
/// let error = LifConfig::new().with_decay(1.5).init().unwrap_err();
/// assert_eq!(error.to_string(), "invalid `decay` of Lif: 1.5, expected a number from 0 to 1");
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct LifConfig {
    /// The membrane potential at which the neuron fires (paper: `V_th`).
    #[config(default = 0.5)]
    pub threshold: f64,
    /// The part of the membrane potential that is left after one time step, 0 to 1 (paper: `tau`).
    #[config(default = 0.2)]
    pub decay: f64,
    /// The membrane potential without input, to which it decays and at which it starts.
    #[config(default = 0.0)]
    pub rest: f64,
    /// Whether the input is multiplied by `1 - decay`, as in SpikingJelly by default.
    #[config(default = false)]
    pub decay_input: bool,
    /// What a spike does to the membrane potential.
    #[config(default = "Reset::HARD")]
    pub reset: Reset,
    /// How gradients travel through time.
    #[config(default = "TemporalGradient::Full(ResetGradient::Exact)")]
    pub temporal_gradient: TemporalGradient,
    /// What stands in for the derivative of the spike.
    #[config(default = "Surrogate::default()")]
    pub surrogate: Surrogate,
    /// The spike, or a smooth function to check gradients with.
    #[config(default = "Forward::Step")]
    pub forward: Forward,
}

impl LifConfig {
    /// Creates the neuron.
    ///
    /// # Errors
    ///
    /// If the threshold, the resting potential or the one after a reset is not a number from -1e37 to 1e37, or the decay
    /// is not in `[0, 1]`. The paper's gates know only 0 as the resting potential and the one after a reset; in the
    /// forward pass as in the reset gradient. The exponential one divides by the decay, which must be at least 1e-37.
    pub fn init(&self) -> Result<Lif, InvalidConfig> {
        InvalidConfig::require_finite("Lif", "threshold", self.threshold)?;
        InvalidConfig::require_finite("Lif", "rest", self.rest)?;
        if let Reset::Hard { to } = self.reset {
            InvalidConfig::require_finite("Lif", "reset.to", to)?;
        }
        let invalid =
            |field, value: f64, expected| Err(InvalidConfig::new("Lif", field, value, expected));
        if !(0.0..=1.0).contains(&self.decay) {
            return invalid("decay", self.decay, "a number from 0 to 1");
        }

        let gate_gradient = matches!(
            self.temporal_gradient,
            TemporalGradient::Full(ResetGradient::Linear | ResetGradient::Exponential)
        );
        let gate = gate_gradient || self.reset == Reset::Exponential;
        if gate && self.rest != 0.0 {
            return invalid(
                "rest",
                self.rest,
                "0 for the paper's gates and their gradients",
            );
        }
        match self.reset {
            Reset::Hard { to } if gate && to != 0.0 => {
                return invalid("reset.to", to, "0 for the gradients of the paper's gates");
            }
            Reset::Soft if gate => {
                return Err(InvalidConfig::new(
                    "Lif",
                    "temporal_gradient",
                    format!("{:?}", self.temporal_gradient),
                    "exact, detached or off for a soft reset",
                ));
            }
            _ => {}
        }
        let exponential = self.reset == Reset::Exponential
            || self.temporal_gradient == TemporalGradient::Full(ResetGradient::Exponential);
        if exponential && self.decay < 1e-37 {
            return invalid(
                "decay",
                self.decay,
                "at least 1e-37 for an exponential gate",
            );
        }
        Ok(Lif {
            config: self.clone(),
        })
    }
}

/// Configuration of an integrate-and-fire neuron: a [`Lif`] that does not leak, `u[t] = v[t-1] + x[t]`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::neuron::{IfConfig, Neuron};
///
/// let neuron = IfConfig::new().with_threshold(1.0).init()?;
/// let input = Tensor::<2>::full([5, 1], 0.4, &Device::default());
/// let (spikes, _state) = neuron.forward(input, None);
/// assert_eq!(spikes.to_data().try_to_vec::<f32>().unwrap(), [0.0, 0.0, 1.0, 0.0, 0.0]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct IfConfig {
    /// The membrane potential at which the neuron fires.
    #[config(default = 0.5)]
    pub threshold: f64,
    /// What a spike does to the membrane potential. Where a hard reset ends, there the neuron starts.
    #[config(default = "Reset::HARD")]
    pub reset: Reset,
    /// How gradients travel through time.
    #[config(default = "TemporalGradient::Full(ResetGradient::Exact)")]
    pub temporal_gradient: TemporalGradient,
    /// What stands in for the derivative of the spike.
    #[config(default = "Surrogate::default()")]
    pub surrogate: Surrogate,
    /// The spike, or a smooth function to check gradients with.
    #[config(default = "Forward::Step")]
    pub forward: Forward,
}

impl IfConfig {
    /// Creates the neuron.
    ///
    /// # Errors
    ///
    /// As for [`LifConfig::init`].
    pub fn init(&self) -> Result<Lif, InvalidConfig> {
        let rest = match self.reset {
            Reset::Hard { to } => to,
            Reset::Exponential | Reset::Soft => 0.0,
        };
        LifConfig::new()
            .with_threshold(self.threshold)
            .with_decay(1.0)
            .with_rest(rest)
            .with_reset(self.reset)
            .with_temporal_gradient(self.temporal_gradient)
            .with_surrogate(self.surrogate)
            .with_forward(self.forward)
            .init()
    }
}

/// Leaky integrate-and-fire neurons, of any shape, without parameters.
///
/// ```text
/// u[t] = rest + decay (v[t-1] - rest) + k x[t]      v before the first step is `rest`
/// o[t] = 1 if u[t] >= threshold else 0
/// v[t] = u[t] (1 - o[t]) + to o[t]                  Reset::Hard
/// v[t] = u[t] e^(-o[t] / decay)                     Reset::Exponential
/// v[t] = u[t] - threshold o[t]                      Reset::Soft
/// ```
///
/// `x` is the synaptic input including bias; `k` is 1, or `1 - decay` with `decay_input`. This is the iterative LIF model of Wu et al. (2018),
/// with `decay = tau`; in the backward pass the spike's derivative is the surrogate's at `u - threshold`.
///
/// Created by [`LifConfig`].
#[derive(Module, Debug)]
pub struct Lif {
    #[module(skip)]
    config: LifConfig,
}

/// The membrane potential after the reset, `v`, of shape `[1, B, ...]`.
#[derive(Clone, Debug)]
pub struct LifState<const D: usize> {
    /// `v`, what the last step left.
    pub v: Tensor<D>,
}

impl<const D: usize> LifState<D> {
    /// The same values without their history: where backpropagation through time stops.
    pub fn detach(self) -> Self {
        Self { v: self.v.detach() }
    }
}

impl Lif {
    /// The configuration the neuron was made from.
    pub fn config(&self) -> &LifConfig {
        &self.config
    }

    /// What is left of `v` after one time step.
    fn decayed<const D: usize>(&self, v: Tensor<D>) -> Tensor<D> {
        let LifConfig { decay, rest, .. } = self.config;
        if rest == 0.0 {
            v.mul_scalar(decay)
        } else {
            v.sub_scalar(rest).mul_scalar(decay).add_scalar(rest)
        }
    }

    /// Unrolls the equation over the time steps and hands each `(u, o, v)` to `each`. Returns the state.
    fn unroll<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<LifState<D>>,
        mut each: impl FnMut(Tensor<D>, Tensor<D>, Tensor<D>),
    ) -> LifState<D> {
        let shape = input.dims();
        assert!(
            shape[0] > 0,
            "Lif: the input {shape:?} has no time steps, expected [T, B, ...] with T at least 1"
        );
        let mut v = state.map(|state| state.v);
        if let Some(v) = &v {
            let mut expected = shape;
            expected[0] = 1;
            assert!(
                v.dims() == expected,
                "Lif: the state {:?} does not belong to the input {shape:?}, expected {expected:?}",
                v.dims()
            );
        }

        let config = &self.config;
        let input = match config.decay_input {
            true => input.mul_scalar(1.0 - config.decay),
            false => input,
        };
        for x in input.split(1, 0) {
            let carried = v.map(|v| match config.temporal_gradient {
                // The carried state is a constant, also one that came from outside.
                TemporalGradient::Off => self.decayed(v.detach()),
                TemporalGradient::Full(_) => self.decayed(v),
            });
            let u = match carried {
                Some(carried) => carried + x,
                None if config.rest == 0.0 => x,
                None => x.add_scalar(config.rest),
            };
            let x = u.clone().sub_scalar(config.threshold);
            let spikes = spike_with(x, config.surrogate, config.forward);
            let left = reset(u.clone(), spikes.clone(), config);
            each(u, spikes, left.clone());
            v = Some(left);
        }
        LifState {
            v: v.expect("there is at least one time step"),
        }
    }
}

impl Neuron for Lif {
    type State<const D: usize> = LifState<D>;

    fn forward_recorded<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<LifState<D>>,
    ) -> (Recording<D>, LifState<D>) {
        let (mut us, mut spikes, mut vs) = (Vec::new(), Vec::new(), Vec::new());
        let state = self.unroll(input, state, |u, o, v| {
            us.push(u);
            spikes.push(o);
            vs.push(v);
        });
        let recording = Recording {
            spikes: Tensor::cat(spikes, 0),
            u: Tensor::cat(us, 0),
            v: Tensor::cat(vs, 0),
        };
        (recording, state)
    }

    fn forward<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<LifState<D>>,
    ) -> (Tensor<D>, LifState<D>) {
        let mut spikes = Vec::new();
        let state = self.unroll(input, state, |_, o, _| spikes.push(o));
        (Tensor::cat(spikes, 0), state)
    }
}
