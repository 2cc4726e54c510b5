//! Parallel spiking neurons, which have no reset, and so no need to go step by step.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Deserializer, Serialize};

use super::config::neuron_config;
use super::{Neuron, NeuronState, Recording, TemporalGradient, check_sequence};
use crate::InvalidConfig;
use crate::random::{Philox, Purpose};
use crate::spike::{Forward, spike_with};
use crate::surrogate::Surrogate;

/// Weights `[T, T]` uniform in `±1/sqrt(T)`.
fn weights(time_steps: usize, seed: u64, device: &Device) -> Param<Tensor<2>> {
    let bound = 1.0 / (time_steps as f32).sqrt();
    let philox = Philox::new(seed).for_purpose(Purpose::Initialize);
    let values = philox.uniform(0, time_steps * time_steps, -bound, bound);
    let data = TensorData::new(values, [time_steps, time_steps]);
    Param::from_tensor(Tensor::from_data(data, device))
}

/// `weight x + bias` over time: `[rows, columns]` times `[columns, B, ...]`, biases `[rows]` or `[1]`.
fn mix<const D: usize>(weight: Tensor<2>, bias: Tensor<1>, x: Tensor<D>) -> Tensor<D> {
    let mut shape = x.dims();
    let [rows, columns] = weight.dims();
    let neurons: usize = shape[1..].iter().product();
    let [biases] = bias.dims();
    let mixed = weight.matmul(x.reshape([columns, neurons])) + bias.reshape([biases, 1]);
    shape[0] = rows;
    mixed.reshape(shape)
}

/// What is fired at `u`, where the threshold is part of a bias.
fn fired<const D: usize>(u: Tensor<D>, surrogate: Surrogate, forward: Forward) -> Recording<D> {
    Recording {
        spikes: spike_with(u.clone(), surrogate, forward),
        v: u.clone(),
        u,
    }
}

/// The inputs that later steps look back to, the last of them last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PsnState<const D: usize> {
    /// `[K, B, ...]`, if there are any.
    #[serde(deserialize_with = "inputs")]
    pub inputs: Option<Tensor<D>>,
    /// How many steps there were.
    pub steps: usize,
}

/// Reads inputs of rank `D`; any other rank is an error where Burn's own reading would panic.
fn inputs<'de, S, const D: usize>(deserializer: S) -> Result<Option<Tensor<D>>, S::Error>
where
    S: Deserializer<'de>,
{
    use serde::de::Error;
    let Some(data) = Option::<TensorData>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let shape: &[usize] = data.shape();
    if shape.len() != D {
        let reason = format!("inputs of shape {shape:?}, expected [K, B, ...] of rank {D}");
        return Err(S::Error::custom(reason));
    }
    if !data.dtype().is_float() || data.iter::<f64>().any(|value| !value.is_finite()) {
        let reason = "inputs that are not all finite floating-point numbers";
        return Err(S::Error::custom(reason));
    }
    Ok(Some(Tensor::from_data(data, &Device::default())))
}

impl<const D: usize> PsnState<D> {
    const REST: Self = Self {
        inputs: None,
        steps: 0,
    };

    /// The inputs before and the new ones, and how many of them are from before.
    fn with(&self, owner: &str, input: Tensor<D>) -> (Tensor<D>, usize) {
        let Some(before) = &self.inputs else {
            return (input, 0);
        };
        let (old, mut new) = (before.dims(), input.dims());
        new[0] = old[0];
        assert!(
            old == new,
            "{owner}: the state {old:?} does not belong to the input {:?}, expected {new:?}",
            input.dims()
        );
        (Tensor::cat(vec![before.clone(), input], 0), old[0])
    }

    /// What is left of all inputs for steps that look back to so many.
    fn after(all: &Tensor<D>, back: usize, steps: usize) -> Self {
        let count = all.dims()[0];
        let inputs = (back > 0).then(|| all.clone().slice(count.saturating_sub(back)..count));
        Self { inputs, steps }
    }
}

impl<const D: usize> NeuronState for PsnState<D> {
    fn detach(self) -> Self {
        Self {
            inputs: self.inputs.map(Tensor::detach),
            steps: self.steps,
        }
    }

    fn to_device(self, device: &Device) -> Self {
        Self {
            inputs: self.inputs.map(|inputs| inputs.to_device(device)),
            steps: self.steps,
        }
    }
}

neuron_config! {
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
        /// What stands in for the derivative of the spike.
        with_surrogate => surrogate: Surrogate = Surrogate::default(),
        /// The spike, or a smooth function to check gradients with.
        with_forward => forward: Forward = Forward::Step,
    }
}

impl PsnConfig {
    /// Creates the neuron.
    ///
    /// # Errors
    ///
    /// If the number of time steps is not from 1 to 65,536.
    pub fn init(&self, device: &Device) -> Result<Psn, InvalidConfig> {
        require_steps("Psn", "time_steps", self.time_steps)?;
        Ok(Psn {
            weight: weights(self.time_steps, self.seed, device),
            bias: Param::from_tensor(Tensor::full([self.time_steps], -1.0, device)),
            config: self.clone(),
        })
    }
}

fn require_steps(
    owner: &'static str,
    field: &'static str,
    value: usize,
) -> Result<(), InvalidConfig> {
    match value {
        1..=65_536 => Ok(()),
        _ => Err(InvalidConfig::new(owner, field, value, "from 1 to 65536")),
    }
}

/// Parallel spiking neurons, of any shape: a membrane that is any learned mixture of the inputs of all time steps.
///
/// ```text
/// u = W x + b          W: [T, T], b: [T]
/// o[t] = 1 if u[t] >= 0 else 0
/// ```
///
/// Fang et al. (2023), *Parallel Spiking Neurons with High Efficiency and Ability to Learn Long-term Dependencies*, where the
/// threshold is `-b`. It is SpikingJelly's `PSN`. A step looks at later ones, too, so a sequence comes whole: there is
/// nothing to go on from, and a state that says otherwise panics.
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

/// Panics unless a sequence is all that there is.
fn whole<const D: usize>(
    owner: &str,
    input: [usize; D],
    state: Option<&PsnState<D>>,
    time_steps: usize,
) {
    check_sequence(owner, input, None);
    let before = state.map_or(0, |state| state.steps);
    assert!(
        before == 0 && input[0] == time_steps,
        "{owner}: the input {input:?} after {before} steps, expected all {time_steps} at once"
    );
}

impl Neuron for Psn {
    type State<const D: usize> = PsnState<D>;

    fn temporal_gradient(&self) -> TemporalGradient {
        TemporalGradient::default()
    }

    fn initial<const D: usize>(&self, _sequence: [usize; D], _device: &Device) -> PsnState<D> {
        PsnState::REST
    }

    fn forward_recorded<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<PsnState<D>>,
    ) -> (Recording<D>, PsnState<D>) {
        let steps = self.config.time_steps;
        whole("Psn", input.dims(), state.as_ref(), steps);
        let u = mix(self.weight.val(), self.bias.val(), input);
        let recording = fired(u, self.config.surrogate, self.config.forward);
        let state = PsnState {
            inputs: None,
            steps,
        };
        (recording, state)
    }

    fn forward<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<PsnState<D>>,
    ) -> (Tensor<D>, PsnState<D>) {
        let (recording, state) = self.forward_recorded(input, state);
        (recording.spikes, state)
    }
}

neuron_config! {
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
        /// How many steps a step looks at, itself among them (`k`).
        with_order -> order: usize = 2,
        /// How far other steps are masked, from 0, not at all, to 1, altogether (`lambda`): 0 when training starts, 1 when
        /// it ends.
        with_mask => mask: f64 = 0.0,
        /// Decides the initial weights.
        with_seed -> seed: u64 = 0,
        /// What stands in for the derivative of the spike.
        with_surrogate => surrogate: Surrogate = Surrogate::default(),
        /// The spike, or a smooth function to check gradients with.
        with_forward => forward: Forward = Forward::Step,
    }
}

impl MaskedPsnConfig {
    fn validate(&self) -> Result<(), InvalidConfig> {
        const OWNER: &str = "MaskedPsn";
        require_steps(OWNER, "time_steps", self.time_steps)?;
        require_steps(OWNER, "order", self.order)?;
        match self.mask {
            0.0..=1.0 => Ok(()),
            mask => {
                let expected = "a number from 0 to 1";
                Err(InvalidConfig::new(OWNER, "mask", mask, expected))
            }
        }
    }

    /// Creates the neuron.
    ///
    /// # Errors
    ///
    /// If the number of time steps or the order is not from 1 to 65,536, or the mask not from 0 to 1.
    pub fn init(&self, device: &Device) -> Result<MaskedPsn, InvalidConfig> {
        self.validate()?;
        Ok(MaskedPsn {
            weight: weights(self.time_steps, self.seed, device),
            bias: Param::from_tensor(Tensor::full([self.time_steps], -1.0, device)),
            config: self.clone(),
        })
    }
}

/// Parallel spiking neurons whose steps look at themselves and at some before, of any shape.
///
/// ```text
/// u = (W (mask M + (1 - mask))) x + b          W: [T, T], b: [T]; M is 1 for the last `order` steps, 0 elsewhere
/// o[t] = 1 if u[t] >= 0 else 0
/// ```
///
/// Fang et al. (2023), as for [`Psn`]. It is SpikingJelly's `MaskedPSN`, whose `k` is `order` and whose `lambda_` is `mask`.
/// Training goes from a mask of 0 to one of 1 ([`with_mask`](Self::with_mask)); only with 1 may a sequence come in parts.
///
/// Created by [`MaskedPsnConfig`].
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
    /// The configuration the neuron was made from, with the mask as it is now.
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
        let MaskedPsnConfig {
            time_steps,
            order,
            mask,
            ..
        } = self.config;
        let factor = |at: usize| {
            let (row, column) = (at / time_steps, at % time_steps);
            let near = column <= row && row < column + order;
            if near { 1.0 } else { (1.0 - mask) as f32 }
        };
        let factors: Vec<f32> = (0..time_steps * time_steps).map(factor).collect();
        let data = TensorData::new(factors, [time_steps, time_steps]);
        self.weight.val() * Tensor::from_data(data, &self.weight.device())
    }
}

impl Neuron for MaskedPsn {
    type State<const D: usize> = PsnState<D>;

    fn temporal_gradient(&self) -> TemporalGradient {
        TemporalGradient::default()
    }

    fn initial<const D: usize>(&self, _sequence: [usize; D], _device: &Device) -> PsnState<D> {
        PsnState::REST
    }

    fn forward_recorded<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<PsnState<D>>,
    ) -> (Recording<D>, PsnState<D>) {
        const OWNER: &str = "MaskedPsn";
        let MaskedPsnConfig {
            time_steps,
            order,
            mask,
            surrogate,
            forward,
            ..
        } = self.config;
        let shape = input.dims();
        check_sequence(OWNER, shape, None);
        if mask < 1.0 {
            whole(OWNER, shape, state.as_ref(), time_steps);
        }
        let state = state.unwrap_or(PsnState::REST);
        let end = state.steps + shape[0];
        assert!(
            end <= time_steps,
            "{OWNER}: the input {shape:?} after {} steps, expected at most {time_steps} in all",
            state.steps
        );
        let (all, old) = state.with(OWNER, input);
        let (rows, columns) = (state.steps..end, state.steps - old..end);
        let weight = self.masked().slice([rows.clone(), columns]);
        let u = mix(weight, self.bias.val().slice(rows), all.clone());
        let recording = fired(u, surrogate, forward);
        (recording, PsnState::after(&all, order - 1, end))
    }

    fn forward<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<PsnState<D>>,
    ) -> (Tensor<D>, PsnState<D>) {
        let (recording, state) = self.forward_recorded(input, state);
        (recording.spikes, state)
    }
}

neuron_config! {
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
        /// How many steps a step looks at, itself among them (`k`).
        with_order -> order: usize = 2,
        /// What stands in for the derivative of the spike.
        with_surrogate => surrogate: Surrogate = Surrogate::default(),
        /// The spike, or a smooth function to check gradients with.
        with_forward => forward: Forward = Forward::Step,
    }
}

impl SlidingPsnConfig {
    /// Creates the neuron. Its weights start at 1 for the step itself, and are halved for each before.
    ///
    /// # Errors
    ///
    /// If the order is not from 1 to 65,536.
    pub fn init(&self, device: &Device) -> Result<SlidingPsn, InvalidConfig> {
        require_steps("SlidingPsn", "order", self.order)?;
        let weights = (0..self.order).rev().map(|back| 0.5f32.powi(back as i32));
        let data = TensorData::new(weights.collect::<Vec<_>>(), [self.order]);
        Ok(SlidingPsn {
            weight: Param::from_tensor(Tensor::from_data(data, device)),
            bias: Param::from_tensor(Tensor::full([1], -1.0, device)),
            config: self.clone(),
        })
    }
}

/// Parallel spiking neurons whose steps all look back with the same weights, of any shape and any number of time steps.
///
/// ```text
/// u[t] = sum_i W[i] x[t - order + 1 + i] + b          W: [order]; inputs before the first step are 0
/// o[t] = 1 if u[t] >= 0 else 0
/// ```
///
/// Fang et al. (2023), as for [`Psn`]. It is SpikingJelly's `SlidingPSN`, whose `k` is `order`.
///
/// Created by [`SlidingPsnConfig`].
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

impl Neuron for SlidingPsn {
    type State<const D: usize> = PsnState<D>;

    fn temporal_gradient(&self) -> TemporalGradient {
        TemporalGradient::default()
    }

    fn initial<const D: usize>(&self, _sequence: [usize; D], _device: &Device) -> PsnState<D> {
        PsnState::REST
    }

    fn forward_recorded<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<PsnState<D>>,
    ) -> (Recording<D>, PsnState<D>) {
        const OWNER: &str = "SlidingPsn";
        let SlidingPsnConfig {
            order,
            surrogate,
            forward,
        } = self.config;
        let steps = input.dims()[0];
        check_sequence(OWNER, input.dims(), None);
        let state = state.unwrap_or(PsnState::REST);
        let (all, old) = state.with(OWNER, input);
        let columns = old + steps;
        // A row has the weights up to its own step, and zeros: picked out of them by their number, the last of which is 0.
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
        let u = mix(
            weights.reshape([steps, columns]),
            self.bias.val(),
            all.clone(),
        );
        let recording = fired(u, surrogate, forward);
        let state = PsnState::after(&all, order - 1, state.steps + steps);
        (recording, state)
    }

    fn forward<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<PsnState<D>>,
    ) -> (Tensor<D>, PsnState<D>) {
        let (recording, state) = self.forward_recorded(input, state);
        (recording.spikes, state)
    }
}
