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
    /// What a spike does to the membrane potential.
    #[config(default = "Reset::Hard")]
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
    /// If the threshold is not a number from -1e37 to 1e37, the decay is not in `[0, 1]`, or an exponential gate (in
    /// the forward pass or in the reset gradient) meets a decay below 1e-37, by which it divides.
    pub fn init(&self) -> Result<Lif, InvalidConfig> {
        InvalidConfig::require_finite("Lif", "threshold", self.threshold)?;
        if !(0.0..=1.0).contains(&self.decay) {
            return Err(InvalidConfig::new(
                "Lif",
                "decay",
                self.decay,
                "a number from 0 to 1",
            ));
        }
        let exponential = self.reset == Reset::Exponential
            || self.temporal_gradient == TemporalGradient::Full(ResetGradient::Exponential);
        // It divides by the decay, in single precision.
        if exponential && self.decay < 1e-37 {
            return Err(InvalidConfig::new(
                "Lif",
                "decay",
                self.decay,
                "at least 1e-37 for an exponential gate",
            ));
        }
        Ok(Lif {
            config: self.clone(),
        })
    }
}

/// Leaky integrate-and-fire neurons, of any shape, without parameters.
///
/// ```text
/// u[t] = decay v[t-1] + x[t]                 v before the first step is 0
/// o[t] = 1 if u[t] >= threshold else 0
/// v[t] = u[t] (1 - o[t])                     Reset::Hard
/// v[t] = u[t] e^(-o[t] / decay)              Reset::Exponential
/// ```
///
/// `x` is the synaptic input including bias. This is the iterative LIF model of Wu et al. (2018),
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

        let LifConfig {
            threshold,
            decay,
            reset: kind,
            temporal_gradient,
            surrogate,
            forward,
        } = self.config;
        for x in input.split(1, 0) {
            let u = match v {
                // Off: the carried state is a constant, also one that came from outside.
                Some(v) if temporal_gradient == TemporalGradient::Off => {
                    v.detach().mul_scalar(decay) + x
                }
                Some(v) => v.mul_scalar(decay) + x,
                None => x,
            };
            let spikes = spike_with(u.clone().sub_scalar(threshold), surrogate, forward);
            let left = reset(u.clone(), spikes.clone(), kind, temporal_gradient, decay);
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
