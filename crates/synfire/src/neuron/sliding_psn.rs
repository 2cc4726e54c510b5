//! Sliding parallel spiking neurons: the same weights for all steps.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::psn::{BIAS, parallel, state_after, with_inputs};
use super::{InNetwork, Neuron, NeuronState, Recording, check_sequence};
use crate::spike::Forward;
use crate::surrogate::Surrogate;
use crate::{InvalidConfig, config};

config! {
    /// Configuration of a [`SlidingPsn`].
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::neuron::{Neuron, SlidingPsnConfig};
    ///
    /// let device = Device::default();
    /// let neuron = SlidingPsnConfig::new().with_order(2).init(&device)?;
    /// // x[t] + x[t-1] / 2 - 1
    /// let input = Tensor::<2>::from_floats([[0.0], [1.0], [0.5], [0.5]], &device);
    /// let (spikes, _state) = neuron.forward(input, None);
    /// assert_eq!(spikes.to_data().try_to_vec::<f32>().unwrap(), [0.0, 1.0, 1.0, 0.0]);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub struct SlidingPsnConfig {
        /// Number of steps that a step sees, including itself (`k`).
        with_order -> order: usize = 2,
        /// The surrogate derivative of the spike.
        with_surrogate => surrogate: Surrogate = Surrogate::default(),
        /// The spike function, or a smooth one for gradient checks.
        with_forward => forward: Forward = Forward::Step,
    }
}

impl SlidingPsnConfig {
    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// If the order is not from 1 to 65,536.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::require_steps("SlidingPsn", "order", self.order).map(drop)
    }

    /// Creates the neuron. The initial weight is 1 for the step itself, and halves with each previous step.
    ///
    /// # Errors
    ///
    /// If the configuration is not [valid](Self::validate).
    pub fn init(&self, device: &Device) -> Result<SlidingPsn, InvalidConfig> {
        self.validate()?;
        let weights = (0..self.order).rev().map(|back| 0.5f32.powi(back as i32));
        let data = TensorData::new(weights.collect::<Vec<_>>(), [self.order]);
        Ok(SlidingPsn {
            weight: Param::from_tensor(Tensor::from_data(data, device)),
            bias: Param::from_tensor(Tensor::full([1], BIAS, device)),
            config: self.clone(),
        })
    }
}

/// Parallel spiking neurons with the same weights for all steps, of any shape and any number of time steps.
///
/// ```text
/// u[t] = sum_i W[i] x[t - order + 1 + i] + b          W: [order]; inputs before the first step are 0
/// o[t] = 1 if u[t] >= 0 else 0
/// ```
///
/// Fang et al. (2023), as for [`Psn`](super::Psn). It is SpikingJelly's `SlidingPSN`, whose `k` is `order`.
///
/// Created by [`SlidingPsnConfig`]. State: `inputs`, the inputs that later steps see.
#[derive(Module, Debug)]
pub struct SlidingPsn {
    /// `[order]`, the step itself last.
    pub weight: Param<Tensor<1>>,
    /// `[1]`.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    config: SlidingPsnConfig,
}

impl SlidingPsn {
    /// The configuration the neuron was made from.
    pub fn config(&self) -> &SlidingPsnConfig {
        &self.config
    }
}

impl InNetwork for SlidingPsnConfig {}

impl Neuron for SlidingPsn {
    fn forward_recorded<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<NeuronState>,
    ) -> (Recording<D>, NeuronState) {
        const OWNER: &str = "SlidingPsn";
        let config = &self.config;
        let order = config.order;
        let steps = input.dims()[0];
        check_sequence(OWNER, input.dims(), None);
        let before = state.as_ref().map_or(0, NeuronState::steps);
        let (all, old) = with_inputs(OWNER, state.as_ref(), input);
        let columns = old + steps;
        // Each row has the weights of the steps up to its own, else zeros: gathered by index; the last entry is 0.
        let device = self.weight.device();
        let index = |at: usize| {
            let (row, column) = (at / columns + old, at % columns);
            match row.checked_sub(column) {
                Some(back) if back < order => (order - 1 - back) as i64,
                _ => order as i64,
            }
        };
        let indices: Vec<i64> = (0..steps * columns).map(index).collect();
        let indices = Tensor::from_data(TensorData::new(indices, [steps * columns]), &device);
        let zero = Tensor::zeros([1], &device);
        let weights = Tensor::cat(vec![self.weight.val(), zero], 0).select(0, indices);
        let weights = weights.reshape([steps, columns]);
        let bias = self.bias.val();
        let recording = parallel(weights, bias, all.clone(), config.surrogate, config.forward);
        (recording, state_after(&all, order - 1, before + steps))
    }
}
