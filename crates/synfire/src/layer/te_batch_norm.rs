//! Temporal effective batch normalisation.

use burn::module::{Module, Param};
use burn::nn::BatchNorm;
use burn::tensor::{Device, Tensor};

use super::seq_batch_norm::{inside, norm_config, normalize};
use crate::InvalidConfig;

norm_config! {
    /// Configuration of a [`TeBatchNorm`].
    pub struct TeBatchNormConfig("TeBatchNorm") {
        /// The number of time steps, at least 1.
        time_steps: usize, require_size;
        /// The number of channels, at least 1.
        num_features: usize, require_nonzero;
    }
}

impl TeBatchNormConfig {
    /// Creates the layer.
    ///
    /// # Errors
    ///
    /// If the configuration is not [valid](Self::validate).
    pub fn init(&self, device: &Device) -> Result<TeBatchNorm, InvalidConfig> {
        self.validate()?;
        Ok(TeBatchNorm {
            norm: inside(self.num_features, self.epsilon, self.momentum, device),
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
