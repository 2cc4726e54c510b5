//! Threshold-dependent batch normalisation.

use burn::module::{Module, Param};
use burn::nn::BatchNorm;
use burn::tensor::{Device, Tensor};

use super::seq_batch_norm::{SeqBatchNorm, inside, norm_config, normalize};
use crate::InvalidConfig;

norm_config! {
    /// Configuration of a [`TdBatchNorm`].
    pub struct TdBatchNormConfig("TdBatchNorm") {
        /// The number of channels, at least 1.
        num_features: usize, require_nonzero;
        /// The threshold of the neurons that follow (paper: `V_th`).
        threshold: f64, require_positive;
        /// Scale for branches that are added up: 1 for a single one, `1/sqrt(2)` for two (paper: `alpha`).
        #[config(default = 1.0)]
        alpha: f64, require_positive;
    }
}

impl TdBatchNormConfig {
    /// Creates the layer.
    ///
    /// # Errors
    ///
    /// If the configuration is not [valid](Self::validate).
    pub fn init(&self, device: &Device) -> Result<TdBatchNorm, InvalidConfig> {
        self.validate()?;
        let mut norm = inside(self.num_features, self.epsilon, self.momentum, device);
        let start = self.alpha * self.threshold;
        norm.gamma = Param::from_tensor(Tensor::full([self.num_features], start, device));
        Ok(TdBatchNorm { norm })
    }
}

/// Batch normalisation of synaptic inputs over batch, time and space together, to the scale of the threshold (Zheng et
/// al. 2021, *Going Deeper With Directly-Trained Larger Spiking Neural Networks*):
///
/// ```text
/// y = gamma (x - mean) / sqrt(variance + epsilon) + beta          gamma starts at alpha V_th, beta at 0
/// ```
///
/// for each channel. The paper writes `lambda alpha V_th` for `gamma`, with `lambda` learned from 1 on; here, as in
/// SpikingJelly, `gamma` itself is learned. The function class is the same, but learning rates are not comparable.
/// It wraps Burn's `BatchNorm`, so training, validation and freezing are as there.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::layer::TdBatchNormConfig;
///
/// let device = Device::default();
/// let norm = TdBatchNormConfig::new(16, 0.5).init(&device)?;
/// let output = norm.forward(Tensor::<5>::ones([4, 2, 16, 8, 8], &device));
/// assert_eq!(output.dims(), [4, 2, 16, 8, 8]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct TdBatchNorm {
    /// The normalisation of all steps as one batch.
    pub norm: BatchNorm,
}

impl TdBatchNorm {
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
        normalize("TdBatchNorm", &self.norm, input)
    }
}

/// They differ in the initial `gamma`.
impl From<TdBatchNorm> for SeqBatchNorm {
    fn from(TdBatchNorm { norm }: TdBatchNorm) -> Self {
        Self { norm }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tolerance;

    #[test]
    fn statistics_are_over_time_batch_and_space() {
        let device = Device::default().autodiff();
        let norm = TdBatchNormConfig::new(2, 0.5)
            .with_alpha(3.0)
            .with_epsilon(1e-10)
            .init(&device)
            .unwrap();
        // Channel 0: 0, 1, 2, 3 over two steps of two samples; channel 1: ten times that.
        let input = [[[0.0, 0.0], [1.0, 10.0]], [[2.0, 20.0], [3.0, 30.0]]];
        let output = norm.forward(Tensor::<3>::from_floats(input, &device));
        // Mean 1.5, variance 1.25.
        let y = |x: f32| 1.5 * (x - 1.5) / 1.25f32.sqrt();
        let expected = [0.0, 1.0, 2.0, 3.0].map(|x| [y(x), y(x)]);
        let expected = Tensor::<2>::from_floats(expected, &device).reshape([2, 2, 2]);
        output
            .into_data()
            .assert_approx_eq::<f32>(&expected.into_data(), Tolerance::default());
    }

    #[test]
    fn inference_uses_the_running_statistics() {
        let config = TdBatchNormConfig::new(1, 0.5)
            .with_epsilon(1e-10)
            .with_momentum(1.0);
        let norm = config.init(&Device::default().autodiff()).unwrap();
        let x = |device: &Device| Tensor::<3>::from_floats([[[1.0], [3.0]]], device);
        norm.forward(x(&Device::default().autodiff()));
        // Mean 2, variance 1 (2 as an unbiased estimate): the statistics for inference from now on.
        let plain = norm.valid();
        let output = plain.forward(Tensor::<3>::from_floats(
            [[[2.0], [4.0]]],
            &Device::default(),
        ));
        let output = output.into_data().try_to_vec::<f32>().unwrap();
        assert!(output[0].abs() < 1e-6, "{output:?}");
        let deviation = 0.5 * 2.0 / output[1];
        assert!(
            (deviation - 1.0).abs() < 1e-5 || (deviation - 2f32.sqrt()).abs() < 1e-5,
            "{output:?}"
        );
    }

    #[test]
    #[should_panic(expected = "input [1, 2, 4], expected [T, B, 3, ...]")]
    fn channels_must_fit() {
        let device = Device::default();
        let norm = TdBatchNormConfig::new(3, 1.0).init(&device).unwrap();
        norm.forward(Tensor::<3>::zeros([1, 2, 4], &device));
    }

    #[test]
    fn bad_configurations_are_named() {
        let device = Device::default();
        let error = |config: TdBatchNormConfig| config.init(&device).unwrap_err().to_string();
        let config = || TdBatchNormConfig::new(3, 1.0);
        assert!(error(TdBatchNormConfig::new(0, 1.0)).contains("`num_features`"));
        assert!(error(TdBatchNormConfig::new(3, 0.0)).contains("`threshold`"));
        assert!(error(config().with_alpha(f64::NAN)).contains("`alpha`"));
        assert!(error(config().with_epsilon(0.0)).contains("`epsilon`"));
        assert!(error(config().with_momentum(2.0)).contains("`momentum`"));
    }
}
