//! Parallel spiking neurons: without a reset, all time steps are computed at once.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::{InNetwork, Neuron, NeuronState, Recording, check_sequence};
use crate::random::{Philox, Purpose};
use crate::spike::{Forward, spike_with};
use crate::surrogate::Surrogate;
use crate::{InvalidConfig, config};

/// Weights `[T, T]` uniform in `±1/sqrt(T)`.
pub(super) fn weights(time_steps: usize, seed: u64, device: &Device) -> Param<Tensor<2>> {
    let bound = 1.0 / (time_steps as f32).sqrt();
    let philox = Philox::new(seed).for_purpose(Purpose::Initialize);
    let values = philox.uniform(0, time_steps * time_steps, -bound, bound);
    let data = TensorData::new(values, [time_steps, time_steps]);
    Param::from_tensor(Tensor::from_data(data, device))
}

/// The spikes of `weight x + bias` over time: `[rows, columns]` times `[columns, B, ...]`, biases `[rows]` or `[1]`. The
/// threshold is part of the bias.
pub(super) fn parallel<const D: usize>(
    weight: Tensor<2>,
    bias: Tensor<1>,
    x: Tensor<D>,
    surrogate: Surrogate,
    forward: Forward,
) -> Recording<D> {
    let mut shape = x.dims();
    let [rows, columns] = weight.dims();
    let neurons: usize = shape[1..].iter().product();
    let [biases] = bias.dims();
    let mixed = weight.matmul(x.reshape([columns, neurons])) + bias.reshape([biases, 1]);
    shape[0] = rows;
    let u = mixed.reshape(shape);
    Recording {
        spikes: spike_with(u.clone(), surrogate, forward),
        v: u.clone(),
        u,
    }
}

/// Initial bias: the negative threshold.
pub(super) const BIAS: f64 = -1.0;

/// The name of the inputs that later steps see, in a [`NeuronState`].
const INPUTS: &str = "inputs";

/// The inputs of a state followed by the new ones, and the number of those of the state.
pub(super) fn with_inputs<const D: usize>(
    owner: &str,
    state: Option<&NeuronState>,
    input: Tensor<D>,
) -> (Tensor<D>, usize) {
    let Some(before) = state.and_then(|state| state.get::<D>(INPUTS)) else {
        return (input, 0);
    };
    let (old, mut new) = (before.dims(), input.dims());
    new[0] = old[0];
    assert!(
        old == new,
        "{owner}: the state {old:?} does not belong to the input {:?}, expected {new:?}",
        input.dims()
    );
    (Tensor::cat(vec![before, input], 0), old[0])
}

/// The state after `steps` steps: the last `back` inputs, which later steps see.
pub(super) fn state_after<const D: usize>(
    all: &Tensor<D>,
    back: usize,
    steps: usize,
) -> NeuronState {
    let count = all.dims()[0];
    let inputs = (back > 0).then(|| all.clone().slice(count.saturating_sub(back)..count));
    NeuronState::new(inputs.map(|inputs| (INPUTS, inputs)), steps)
}

config! {
    /// Configuration of a [`Psn`].
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::neuron::{Neuron, PsnConfig};
    ///
    /// let device = Device::default();
    /// let neuron = PsnConfig::new().with_time_steps(8).init(&device)?;
    /// let (spikes, _) = neuron.forward(Tensor::<3>::ones([8, 2, 5], &device), None);
    /// assert_eq!(spikes.dims(), [8, 2, 5]);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub struct PsnConfig {
        /// The number of time steps.
        with_time_steps -> time_steps: usize = 4,
        /// Decides the initial weights.
        with_seed -> seed: u64 = 0,
        /// The surrogate derivative of the spike.
        with_surrogate => surrogate: Surrogate = Surrogate::default(),
        /// The spike function, or a smooth one for gradient checks.
        with_forward => forward: Forward = Forward::Step,
    }
}

impl PsnConfig {
    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// If the number of time steps is not from 1 to 65,536.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::require_steps("Psn", "time_steps", self.time_steps).map(drop)
    }

    /// Creates the neuron.
    ///
    /// # Errors
    ///
    /// If the configuration is not [valid](Self::validate).
    pub fn init(&self, device: &Device) -> Result<Psn, InvalidConfig> {
        self.validate()?;
        Ok(Psn {
            weight: weights(self.time_steps, self.seed, device),
            bias: Param::from_tensor(Tensor::full([self.time_steps], BIAS, device)),
            config: self.clone(),
        })
    }
}

/// Parallel spiking neurons, of any shape: the membrane is a learned linear combination of the inputs of all time steps.
///
/// ```text
/// u = W x + b          W: [T, T], b: [T]
/// o[t] = 1 if u[t] >= 0 else 0
/// ```
///
/// Fang et al. (2023), *Parallel Spiking Neurons with High Efficiency and Ability to Learn Long-term Dependencies*, where the
/// threshold is `-b`. It is SpikingJelly's `PSN`. A step also sees later ones, so a sequence must be whole; a state with
/// previous steps panics.
///
/// Created by [`PsnConfig`].
#[derive(Module, Debug)]
pub struct Psn {
    /// `[T, T]`, from columns to rows.
    pub weight: Param<Tensor<2>>,
    /// `[T]`.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    config: PsnConfig,
}

impl Psn {
    /// The configuration the neuron was made from.
    pub fn config(&self) -> &PsnConfig {
        &self.config
    }
}

/// Panics unless the sequence is whole.
pub(super) fn whole<const D: usize>(
    owner: &str,
    input: [usize; D],
    state: Option<&NeuronState>,
    time_steps: usize,
) {
    check_sequence(owner, input, None);
    let before = state.map_or(0, NeuronState::steps);
    assert!(
        before == 0 && input[0] == time_steps,
        "{owner}: the input {input:?} after {before} steps, expected all {time_steps} at once"
    );
}

impl InNetwork for PsnConfig {
    fn streams(&self) -> bool {
        false
    }
}

impl Neuron for Psn {
    fn streams(&self) -> bool {
        InNetwork::streams(&self.config)
    }

    fn forward_recorded<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<NeuronState>,
    ) -> (Recording<D>, NeuronState) {
        let steps = self.config.time_steps;
        whole("Psn", input.dims(), state.as_ref(), steps);
        let config = &self.config;
        let (weight, bias) = (self.weight.val(), self.bias.val());
        let recording = parallel(weight, bias, input, config.surrogate, config.forward);
        (recording, NeuronState::new::<&str, D>([], steps))
    }
}
