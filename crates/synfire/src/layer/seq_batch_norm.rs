//! Batch normalisation of sequences.

use burn::backend::Dispatch;
use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::tensor::{Device, Tensor};

use crate::InvalidConfig;
use crate::layer::each_step::{channels_first_axes, channels_last_axes};
use crate::ops::{NormOps, serves};

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
    by_channels(owner, channels, input, norm)
}

/// Normalisation of channels, `[n, channels, ...]`.
pub(super) trait ByChannels {
    fn apply<const D: usize>(&self, x: Tensor<D>) -> Tensor<D>;
}

impl ByChannels for BatchNorm {
    fn apply<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let training = x.device().is_autodiff() && self.training.is_enabled();
        // An operation where it serves: as Burn's layer, in fewer passes.
        if D != 2 || !training || !serves::flex(&x) || !serves::flex(&self.gamma.val()) {
            return self.forward(x);
        }
        let (gamma, beta) = (self.gamma.val(), self.beta.val());
        let (output, statistics) = <Dispatch as NormOps>::normalize(
            x.into_dispatch(),
            gamma.into_dispatch(),
            beta.into_dispatch(),
            self.epsilon,
        );
        let statistics = Tensor::<2>::from_dispatch(statistics);
        for (row, running) in [&self.running_mean, &self.running_var]
            .into_iter()
            .enumerate()
        {
            let before = running.value_sync().to_device(&statistics.device());
            let of_batch = statistics.clone().narrow(0, row, 1).squeeze_dim::<1>(0);
            let next = before * (1.0 - self.momentum) + of_batch * self.momentum;
            running.update(next.detach());
        }
        Tensor::from_dispatch(output)
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
    assert!(
        D > 2 && shape[2] == channels,
        "{owner}: input {shape:?}, expected [T, B, {channels}, ...]"
    );
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
