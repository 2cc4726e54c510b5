//! Batch normalisation of sequences.

use burn::backend::{Dispatch, DispatchTensor};
use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::tensor::{Device, Tensor};

use crate::InvalidConfig;
use crate::layer::each_step::{channels_first_axes, channels_last_axes};
use crate::neuron::{ByEquations, ByHand, Neuron, NeuronState};
use crate::ops::{Keep, NormOps, NormalizedKernel, NormalizedOps, OptionalTensor, serves};

/// Defines the configuration of a normalisation: the fields of its own, each with its check, and those that all have.
macro_rules! norm_config {
    (
        $(#[$doc:meta])*
        pub struct $config:ident($owner:literal) {
            $($(#[$($attribute:tt)*])* $field:ident: $type:ty, $check:ident;)+
        }
    ) => {
        $(#[$doc])*
        #[derive(burn::config::Config, Debug, PartialEq)]
        pub struct $config {
            $($(#[$($attribute)*])* pub $field: $type,)+
            /// Added to the variance.
            #[config(default = 1e-5)]
            pub epsilon: f64,
            /// The weight of a batch in the running statistics, 0 to 1.
            #[config(default = 0.1)]
            pub momentum: f64,
        }

        impl $config {
            /// Checks the values.
            ///
            /// # Errors
            ///
            /// If there are no channels or time steps, the momentum is not in `[0, 1]`, or another value is not a number from
            /// 1e-37 to 1e37.
            pub fn validate(&self) -> Result<(), InvalidConfig> {
                $(InvalidConfig::$check($owner, stringify!($field), self.$field)?;)+
                InvalidConfig::require_positive($owner, "epsilon", self.epsilon)?;
                InvalidConfig::require_part($owner, "momentum", self.momentum).map(drop)
            }
        }
    };
}
pub(super) use norm_config;

norm_config! {
    /// Configuration of a [`SeqBatchNorm`].
    pub struct SeqBatchNormConfig("SeqBatchNorm") {
        /// The number of channels, at least 1.
        num_features: usize, require_nonzero;
    }
}

impl SeqBatchNormConfig {
    /// Creates the layer.
    ///
    /// # Errors
    ///
    /// If the configuration is not [valid](Self::validate).
    pub fn init(&self, device: &Device) -> Result<SeqBatchNorm, InvalidConfig> {
        self.validate()?;
        let norm = inside(self.num_features, self.epsilon, self.momentum, device);
        Ok(SeqBatchNorm { norm })
    }
}

/// The normalisation of all steps as one batch.
pub(super) fn inside(channels: usize, epsilon: f64, momentum: f64, device: &Device) -> BatchNorm {
    let config = BatchNormConfig::new(channels).with_epsilon(epsilon);
    config.with_momentum(momentum).init(device)
}

/// Batch normalisation of each channel over time, batch and space together, as SpikingJelly's `BatchNorm2d` does in the mode
/// `m`:
///
/// ```text
/// y = gamma (x - mean) / sqrt(variance + epsilon) + beta          gamma starts at 1, beta at 0
/// ```
///
/// Inside is Burn's `BatchNorm`, so training, validation and freezing are as there. The variance that it remembers for
/// inference is that of the batch; PyTorch's is larger by `n / (n - 1)` for `n` elements of a channel (unbiased estimate).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::layer::SeqBatchNormConfig;
///
/// let device = Device::default();
/// let norm = SeqBatchNormConfig::new(16).init(&device)?;
/// let output = norm.forward(Tensor::<5>::ones([4, 2, 16, 8, 8], &device));
/// assert_eq!(output.dims(), [4, 2, 16, 8, 8]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct SeqBatchNorm {
    /// The normalisation of all steps as one batch.
    pub norm: BatchNorm,
}

impl SeqBatchNorm {
    /// Normalises a sequence.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, C, ...]`
    /// - output: `[T, B, C, ...]`
    ///
    /// # Panics
    ///
    /// If the rank is below 3 or axis 2 is not the number of channels.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        normalize("SeqBatchNorm", &self.norm, input)
    }
}

/// Normalises all steps as one batch, in their memory order.
pub(super) fn normalize<const D: usize>(
    owner: &str,
    norm: &BatchNorm,
    input: Tensor<D>,
) -> Tensor<D> {
    let [channels] = norm.gamma.dims();
    if has_kernel(norm, &input) && !serves::flex(&input) {
        require_channels(owner, channels, &input.dims());
        return by_kernel(norm, input);
    }
    by_channels(owner, channels, input, norm)
}

fn require_channels(owner: &str, channels: usize, shape: &[usize]) {
    assert!(
        shape.len() > 2 && shape[2] == channels,
        "{owner}: input {shape:?}, expected [T, B, {channels}, ...]"
    );
}

/// Normalisation of channels, `[n, channels, ...]`.
pub(super) trait ByChannels {
    fn apply<const D: usize>(&self, x: Tensor<D>) -> Tensor<D>;
}

impl ByChannels for BatchNorm {
    fn apply<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        // An operation where it serves: as Burn's layer, in fewer passes.
        match D == 2 && has_kernel(self, &x) {
            true => by_kernel(self, x),
            false => self.forward(x),
        }
    }
}

/// Normalises `[rows, C]`; on servers `[T, B, C, ...]`, too, which they arrange themselves.
fn by_kernel<const D: usize>(norm: &BatchNorm, x: Tensor<D>) -> Tensor<D> {
    let (gamma, beta) = (norm.gamma.val(), norm.beta.val());
    let (output, statistics) = <Dispatch as NormOps>::normalize(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        norm.epsilon,
    );
    remember(norm, statistics);
    Tensor::from_dispatch(output)
}

/// True if there is a kernel for this input: it is normalised by its own statistics.
fn has_kernel<const D: usize>(norm: &BatchNorm, x: &Tensor<D>) -> bool {
    let training = x.device().is_autodiff() && norm.training.is_enabled();
    let gamma = norm.gamma.val();
    let together = x.device().inner() == gamma.device().inner();
    training && together && serves::flex_or_its_server(x) && serves::flex_or_its_server(&gamma)
}

/// Takes mean and variance of a batch, the first rows of `[3, C]`, into the running statistics.
fn remember(norm: &BatchNorm, statistics: DispatchTensor) {
    let statistics = Tensor::<2>::from_dispatch(statistics);
    let all = [&norm.running_mean, &norm.running_var];
    for (row, running) in all.into_iter().enumerate() {
        let before = running.value_sync().to_device(&statistics.device());
        let of_batch = statistics.clone().narrow(0, row, 1).squeeze_dim::<1>(0);
        let next = before * (1.0 - norm.momentum) + of_batch * norm.momentum;
        running.update(next.detach());
    }
}

/// Neurons that run together with a normalisation before them.
pub(super) enum Together<'a> {
    ByHand(ByHand<'a>),
    ByEquations(ByEquations<'a>),
}

impl<'a> Together<'a> {
    /// The neurons, if there is one operation for them and the normalisation of this input.
    pub fn new<N: Neuron, const D: usize>(
        norm: &BatchNorm,
        neuron: &'a N,
        input: &Tensor<D>,
    ) -> Option<Self> {
        let fits = D == 5 && norm.gamma.dims() == [input.dims()[2]];
        // A server arranges them itself.
        let last = serves::stored_channels_last(input) || !serves::flex(input);
        if !fits || !has_kernel(norm, input) || !last {
            return None;
        }
        match neuron.by_hand(input) {
            Some(by_hand) if by_hand.kernel.keep == Keep::Membranes => None,
            Some(by_hand) => Some(Self::ByHand(by_hand)),
            None => neuron.by_equations(input).map(Self::ByEquations),
        }
    }

    /// Normalises a sequence and runs the neurons.
    pub fn run<const D: usize>(
        &self,
        norm: &BatchNorm,
        input: Tensor<D>,
        state: Option<NeuronState>,
    ) -> (Tensor<D>, NeuronState) {
        let run = |x, state, parameters, threshold, kernel| {
            let (spikes, last, statistics) = <Dispatch as NormalizedOps>::normalized(
                x,
                norm.gamma.val().into_dispatch(),
                norm.beta.val().into_dispatch(),
                state,
                parameters,
                OptionalTensor::new(threshold),
                norm.epsilon,
                kernel,
            );
            remember(norm, statistics);
            (spikes, last)
        };
        match self {
            Self::ByHand(by_hand) => {
                let shape = input.dims();
                let kernel = NormalizedKernel::Lif(by_hand.kernel);
                by_hand.run(input, shape, state, |x, v, decay, threshold| {
                    run(x, v, decay, Some(threshold), kernel)
                })
            }
            Self::ByEquations(by_equations) => {
                let ByEquations {
                    run: of,
                    parameters,
                } = by_equations;
                of.fused(input, state, parameters, |x, state, parameters, kernel| {
                    let kernel = NormalizedKernel::Equations(kernel);
                    run(x, state, parameters, None, kernel)
                })
            }
        }
    }
}

/// Applies it to `[T, B, channels, ...]`.
pub(super) fn by_channels<const D: usize>(
    owner: &str,
    channels: usize,
    input: Tensor<D>,
    norm: &impl ByChannels,
) -> Tensor<D> {
    let shape = input.dims();
    require_channels(owner, channels, &shape);
    if serves::stored_channels_last(&input) {
        // In the memory order of the surrounding layers: no copy of input or output.
        let inside = input.permute(channels_last_axes::<D>(2));
        let sizes = inside.dims();
        let rows = inside.reshape([sizes.iter().product::<usize>() / channels, channels]);
        let outside = channels_first_axes::<D>(2);
        return norm.apply(rows).reshape(sizes).permute(outside);
    }
    let space = shape[3..].iter().product();
    let folded = input.reshape([shape[0] * shape[1], channels, space]);
    norm.apply(folded).reshape(shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neuron::{CubaLifConfig, Decay, LifConfig, NeuronConfig, PsnConfig, Values};
    use crate::ops::Execution;

    #[test]
    fn neurons_run_together_with_it_where_both_have_a_kernel() {
        let device = Device::flex().autodiff();
        let norm = SeqBatchNormConfig::new(3).init(&device).unwrap().norm;
        let together = |norm: &BatchNorm, config: NeuronConfig, device: &Device, last: bool| {
            let neuron = config.init(device).unwrap();
            let images = match last {
                true => Tensor::<5>::ones([4, 2, 5, 6, 3], device).permute([0, 1, 4, 2, 3]),
                false => Tensor::ones([4, 2, 3, 5, 6], device),
            };
            Together::new(norm, &neuron, &images).is_some()
        };
        let lif = LifConfig::new;
        let membranes = lif().with_keep(Keep::Membranes);
        let unrolled = lif().with_execution(Execution::Unrolled);
        let per_neuron = Values::PerNeuron {
            shape: vec![1, 5, 1],
            values: vec![0.5; 5],
        };
        let per_neuron = CubaLifConfig::new().with_decay(Decay::learned(per_neuron));
        for (config, expected) in [
            (NeuronConfig::from(lif()), true),
            (CubaLifConfig::new().into(), true),
            (membranes.into(), false),
            (unrolled.into(), false),
            (per_neuron.into(), false),
            (PsnConfig::new().into(), false),
        ] {
            let found = together(&norm, config.clone(), &device, true);
            assert_eq!(found, expected, "{config:?}");
            assert!(
                !together(&norm, config.clone(), &device, false),
                "channels first"
            );
            let plain = device.clone().inner();
            assert!(
                !together(&norm.valid(), config, &plain, true),
                "not in training"
            );
        }
    }
}
