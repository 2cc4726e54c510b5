//! Temporal efficient training.

use burn::config::Config;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLoss;
use burn::tensor::{Device, Int, Tensor};

use super::cross_entropy;
use crate::InvalidConfig;

/// Configuration of a [`TetLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct TetLossConfig {
    /// The weight of the distance of all outputs from [`target`](Self::target), 0 to 1 (paper: `lambda`).
    #[config(default = 0.001)]
    pub lambda: f64,
    /// Target value of the outputs; in the paper the threshold (`phi`).
    #[config(default = 1.0)]
    pub target: f64,
    /// Label smoothing: the fraction of a label that is spread over all classes, 0 to 1.
    pub smoothing: Option<f64>,
}

impl TetLossConfig {
    /// Creates the loss.
    ///
    /// # Errors
    ///
    /// If lambda or the smoothing is not in `[0, 1]`, or the target is not finite.
    pub fn init(&self, device: &Device) -> Result<TetLoss, InvalidConfig> {
        InvalidConfig::require_part("TetLoss", "lambda", self.lambda)?;
        InvalidConfig::require_finite("TetLoss", "target", self.target)?;
        Ok(TetLoss {
            cross_entropy: cross_entropy("TetLoss", self.smoothing)?.init(device),
            lambda: self.lambda,
            target: self.target,
        })
    }
}

/// The loss of temporal efficient training (Deng et al. 2022, *Temporal Efficient Training of Spiking Neural Network via
/// Gradient Re-weighting*): every time step alone is trained to give the correct answer.
///
/// ```text
/// L = (1 - lambda) 1/T sum_t CE(O[t], y) + lambda 1/T sum_t MSE(O[t], phi)
/// ```
///
/// `O` are the outputs of a readout without spikes (Burn's `Linear`, or a
/// [`LeakyIntegrator`](crate::neuron::LeakyIntegrator)). `MSE` is the mean over samples and classes. With `lambda` 0 it
/// is SpikingJelly's `temporal_efficient_training_cross_entropy` and, of spikes, snnTorch's `ce_rate_loss`.
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use synfire::loss::TetLossConfig;
///
/// let device = Device::default();
/// let loss = TetLossConfig::new().with_lambda(0.05).init(&device)?;
/// let outputs = Tensor::<3>::zeros([4, 1, 2], &device);
/// let labels = Tensor::<1, Int>::from_ints([1], &device);
/// let expected = 0.95 * 2f32.ln() + 0.05;
/// assert!((loss.forward(outputs, labels).into_scalar::<f32>() - expected).abs() < 1e-6);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct TetLoss {
    cross_entropy: CrossEntropyLoss,
    #[module(skip)]
    lambda: f64,
    #[module(skip)]
    target: f64,
}

impl TetLoss {
    /// The loss of a batch.
    ///
    /// # Shapes
    ///
    /// - outputs: `[T, S, C]`
    /// - labels: `[S]`, from 0 to C - 1
    /// - loss: `[1]`
    pub fn forward(&self, outputs: Tensor<3>, labels: Tensor<1, Int>) -> Tensor<1> {
        let [time_steps, samples, classes] = outputs.dims();
        let steps = outputs.reshape([time_steps * samples, classes]);
        let labels = labels.repeat_dim(0, time_steps);
        let entropy = self.cross_entropy.forward(steps.clone(), labels);
        if self.lambda == 0.0 {
            return entropy;
        }
        let distance = steps.sub_scalar(self.target);
        let spread = (distance.clone() * distance).mean();
        entropy.mul_scalar(1.0 - self.lambda) + spread.mul_scalar(self.lambda)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_mean_over_steps_and_samples() {
        let device = Device::default();
        let outputs = [[[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.5], [2.0, 0.0]]];
        let outputs = Tensor::<3>::from_floats(outputs, &device);
        let labels = Tensor::<1, Int>::from_ints([0, 1], &device);
        let config = TetLossConfig::new().with_lambda(0.2).with_target(0.5);
        let loss = config.init(&device).unwrap().forward(outputs, labels);
        // -ln softmax of the correct one of two classes, as a function of its lead.
        let one = |ahead: f64| (-ahead).exp().ln_1p();
        let entropy = [1.0, 1.0, -0.5, -2.0].map(one).iter().sum::<f64>() / 4.0;
        let spread = (6.0 * 0.25 + 0.0 + 2.25) / 8.0;
        let expected = 0.8 * entropy + 0.2 * spread;
        assert!((loss.into_scalar::<f64>() - expected).abs() < 1e-6);
    }

    #[test]
    fn bad_configurations_are_named() {
        let error = |config: TetLossConfig| {
            let result = config.init(&Device::default());
            result.unwrap_err().to_string()
        };
        assert!(error(TetLossConfig::new().with_lambda(1.5)).contains("`lambda` of TetLoss: 1.5"));
        assert!(error(TetLossConfig::new().with_target(f64::NAN)).contains("`target`"));
    }
}
