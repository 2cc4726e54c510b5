//! Masked parallel spiking neurons: each step sees the last steps.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::psn::{BIAS, parallel, state_after, weights, whole, with_inputs};
use super::{InNetwork, Neuron, NeuronState, Recording, check_sequence};
use crate::spike::Forward;
use crate::surrogate::Surrogate;
use crate::{InvalidConfig, config};

config! {
    /// Configuration of a [`MaskedPsn`].
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::neuron::{MaskedPsnConfig, Neuron};
    ///
    /// let device = Device::default();
    /// let neuron = MaskedPsnConfig::new().with_time_steps(8).with_order(3).init(&device)?;
    /// let neuron = neuron.with_mask(1.0)?;
    /// let (first, state) = neuron.forward(Tensor::<3>::ones([5, 2, 4], &device), None);
    /// let (rest, _) = neuron.forward(Tensor::<3>::ones([3, 2, 4], &device), Some(state));
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub struct MaskedPsnConfig {
        /// The number of time steps.
        with_time_steps -> time_steps: usize = 4,
        /// Number of steps that a step sees, including itself (`k`).
        with_order -> order: usize = 2,
        /// Strength of the mask on other steps, from 0 (no mask) to 1 (`lambda`): 0 when training starts, 1 when it
        /// ends.
        with_mask => mask: f64 = 0.0,
        /// Decides the initial weights.
        with_seed -> seed: u64 = 0,
        /// The surrogate derivative of the spike.
        with_surrogate => surrogate: Surrogate = Surrogate::default(),
        /// The spike function, or a smooth one for gradient checks.
        with_forward => forward: Forward = Forward::Step,
    }
}

impl MaskedPsnConfig {
    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// If the number of time steps or the order is not from 1 to 65,536, or the mask not from 0 to 1.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        const OWNER: &str = "MaskedPsn";
        InvalidConfig::require_steps(OWNER, "time_steps", self.time_steps)?;
        InvalidConfig::require_steps(OWNER, "order", self.order)?;
        InvalidConfig::require_part(OWNER, "mask", self.mask)?;
        Ok(())
    }

    /// Creates the neuron.
    ///
    /// # Errors
    ///
    /// If the configuration is not [valid](Self::validate).
    pub fn init(&self, device: &Device) -> Result<MaskedPsn, InvalidConfig> {
        self.validate()?;
        Ok(MaskedPsn {
            weight: weights(self.time_steps, self.seed, device),
            bias: Param::from_tensor(Tensor::full([self.time_steps], BIAS, device)),
            config: self.clone(),
        })
    }
}

/// Parallel spiking neurons, of any shape, whose steps see themselves and some previous ones.
///
/// ```text
/// u = (W (mask M + (1 - mask))) x + b          W: [T, T], b: [T]; M is 1 for the last `order` steps, 0 elsewhere
/// o[t] = 1 if u[t] >= 0 else 0
/// ```
///
/// Fang et al. (2023), as for [`Psn`](super::Psn). It is SpikingJelly's `MaskedPSN`, whose `k` is `order` and whose `lambda_` is
/// `mask`. Training raises the mask from 0 to 1 ([`with_mask`](Self::with_mask)); only with 1 can a sequence be split.
///
/// Created by [`MaskedPsnConfig`]. State: `inputs`, the inputs that later steps see.
#[derive(Module, Debug)]
pub struct MaskedPsn {
    /// `[T, T]`, from columns to rows.
    pub weight: Param<Tensor<2>>,
    /// `[T]`.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    config: MaskedPsnConfig,
}

impl MaskedPsn {
    /// The configuration of the neuron, with the current mask.
    pub fn config(&self) -> &MaskedPsnConfig {
        &self.config
    }

    /// The same neuron with another mask.
    ///
    /// # Errors
    ///
    /// If it is not a number from 0 to 1.
    pub fn with_mask(mut self, mask: f64) -> Result<Self, InvalidConfig> {
        self.config.mask = mask;
        self.config.validate()?;
        Ok(self)
    }

    /// The weights in use, `[T, T]`.
    fn masked(&self) -> Tensor<2> {
        let (steps, order) = (self.config.time_steps, self.config.order);
        let far = (1.0 - self.config.mask) as f32;
        let factor = |at: usize| {
            let (row, column) = (at / steps, at % steps);
            let near = column <= row && row < column + order;
            if near { 1.0 } else { far }
        };
        let factors: Vec<f32> = (0..steps * steps).map(factor).collect();
        let data = TensorData::new(factors, [steps, steps]);
        self.weight.val() * Tensor::from_data(data, &self.weight.device())
    }
}

impl InNetwork for MaskedPsnConfig {
    fn streams(&self) -> bool {
        self.mask == 1.0
    }
}

impl Neuron for MaskedPsn {
    fn streams(&self) -> bool {
        InNetwork::streams(&self.config)
    }

    fn forward_recorded<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<NeuronState>,
    ) -> (Recording<D>, NeuronState) {
        const OWNER: &str = "MaskedPsn";
        let config = &self.config;
        let time_steps = config.time_steps;
        let shape = input.dims();
        check_sequence(OWNER, shape, None);
        if config.mask < 1.0 {
            whole(OWNER, shape, state.as_ref(), time_steps);
        }
        let before = state.as_ref().map_or(0, NeuronState::steps);
        let end = before + shape[0];
        assert!(
            end <= time_steps,
            "{OWNER}: the input {shape:?} after {before} steps, expected at most {time_steps} in all"
        );
        let (all, old) = with_inputs(OWNER, state.as_ref(), input);
        assert!(
            old <= before,
            "{OWNER}: a state of {old} inputs after {before} steps"
        );
        let (rows, columns) = (before..end, before - old..end);
        let weight = self.masked().slice([rows.clone(), columns]);
        let bias = self.bias.val().slice(rows);
        let recording = parallel(weight, bias, all.clone(), config.surrogate, config.forward);
        (recording, state_after(&all, config.order - 1, end))
    }
}
