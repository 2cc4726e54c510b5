//! Temporal effective batch normalisation.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::BatchNorm;
use burn::tensor::{Device, Tensor};

use super::seq_batch_norm::{SeqBatchNorm, SeqBatchNormConfig, normalize};
use crate::InvalidConfig;

/// Configuration of a [`TeBatchNorm`].
#[derive(Config, Debug, PartialEq)]
pub struct TeBatchNormConfig {
    /// The number of time steps, at least 1.
    pub time_steps: usize,
    /// The number of channels, at least 1.
    pub num_features: usize,
    /// Added to the variance.
    #[config(default = 1e-5)]
    pub epsilon: f64,
    /// The weight of a batch in the running statistics, 0 to 1.
    #[config(default = 0.1)]
    pub momentum: f64,
}

impl TeBatchNormConfig {
    /// Creates the layer.
    ///
    /// # Errors
    ///
    /// If there are no channels or time steps, epsilon is not a number from 1e-37 to 1e37, or the momentum is not in
    /// `[0, 1]`.
    pub fn init(&self, device: &Device) -> Result<TeBatchNorm, InvalidConfig> {
        const OWNER: &str = "TeBatchNorm";
        InvalidConfig::require_size(OWNER, "time_steps", self.time_steps)?;
        let inside = SeqBatchNormConfig::new(self.num_features)
            .with_epsilon(self.epsilon)
            .with_momentum(self.momentum);
        inside.validate_as(OWNER)?;
        let SeqBatchNorm { norm } = inside.init(device)?;
        Ok(TeBatchNorm {
            norm,
            scale: Param::from_tensor(Tensor::ones([self.time_steps], device)),
        })
    }
}

/// Batch normalisation over time, batch and space together, with a scale per time step (TEBN; Duan et al. 2022, *Temporal
/// Effective Batch Normalization in Spiking Neural Networks*):
///
/// ```text
/// y[t] = scale[t] (gamma (x[t] - mean) / sqrt(variance + epsilon) + beta)          scale and gamma start at 1, beta at 0
/// ```
///
/// for each channel. It is SpikingJelly's `TemporalEffectiveBatchNorm2d`. As each step has its own scale, a sequence must be
/// whole.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::layer::TeBatchNormConfig;
///
/// let device = Device::default();
/// let norm = TeBatchNormConfig::new(4, 16).init(&device)?;
/// let output = norm.forward(Tensor::<5>::ones([4, 2, 16, 8, 8], &device));
/// assert_eq!(output.dims(), [4, 2, 16, 8, 8]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct TeBatchNorm {
    /// The normalisation of all steps as one batch.
    pub norm: BatchNorm,
    /// `[T]`.
    pub scale: Param<Tensor<1>>,
}

impl TeBatchNorm {
    /// Normalises a sequence.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, C, ...]`
    /// - output: `[T, B, C, ...]`
    ///
    /// # Panics
    ///
    /// If the rank is below 3, axis 0 is not the number of time steps or axis 2 not that of channels.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let [steps] = self.scale.dims();
        assert!(
            input.dims()[0] == steps,
            "TeBatchNorm: input {:?}, expected {steps} time steps",
            input.dims()
        );
        let mut broadcast = [1; D];
        broadcast[0] = steps;
        normalize("TeBatchNorm", &self.norm, input) * self.scale.val().reshape(broadcast)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_a_scale() {
        let device = Device::default();
        let mut norm = TeBatchNormConfig::new(2, 1)
            .with_epsilon(1e-10)
            .init(&device)
            .unwrap();
        norm.scale = Param::from_tensor(Tensor::from_floats([1.0, 3.0], &device));
        // Running statistics are 0 and 1 at first.
        let output = norm.forward(Tensor::<3>::full([2, 1, 1], 0.5, &device));
        assert_eq!(output.into_data().try_to_vec::<f32>().unwrap(), [0.5, 1.5]);
    }

    #[test]
    #[should_panic(expected = "expected 2 time steps")]
    fn a_sequence_comes_whole() {
        let device = Device::default();
        let norm = TeBatchNormConfig::new(2, 1).init(&device).unwrap();
        norm.forward(Tensor::<3>::zeros([1, 1, 1], &device));
    }
}
