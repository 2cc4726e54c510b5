//! A loss on first-spike times.

use burn::config::Config;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLoss;
use burn::tensor::{Device, Int, Tensor};

use super::cross_entropy;
use crate::InvalidConfig;
use crate::decode;

/// Configuration of a [`FirstSpikeLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct FirstSpikeLossConfig {
    /// The number of steps by which a class must be ahead of another to be `e` times as likely.
    #[config(default = 1.0)]
    pub temperature: f64,
    /// Label smoothing: the fraction of a label that is spread over all classes, 0 to 1.
    pub smoothing: Option<f64>,
}

impl FirstSpikeLossConfig {
    /// Creates the loss.
    ///
    /// # Errors
    ///
    /// If the temperature is not a number from 1e-37 to 1e37, or the smoothing is not in `[0, 1]`.
    pub fn init(&self, device: &Device) -> Result<FirstSpikeLoss, InvalidConfig> {
        InvalidConfig::require_positive("FirstSpikeLoss", "temperature", self.temperature)?;
        Ok(FirstSpikeLoss {
            cross_entropy: cross_entropy("FirstSpikeLoss", self.smoothing)?.init(device),
            temperature: self.temperature,
        })
    }
}

/// Cross-entropy of the times of the first spikes: the right class is to fire before the others.
///
/// ```text
/// L = mean_s -ln softmax(-t_s / temperature)[class of s]       t: the step of each output's first spike, T if none
/// ```
///
/// Gradients are those of [`decode::first_spike`] and also reach outputs that never fired. (snnTorch's `ce_temporal_loss`
/// counts T - 1 for those, and sends gradients to the step of the first spike alone.)
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use synfire::loss::FirstSpikeLossConfig;
///
/// let device = Device::default();
/// let loss = FirstSpikeLossConfig::new().init(&device)?;
/// let spikes = Tensor::<3>::from_floats([[[1.0, 0.0]], [[0.0, 0.0]]], &device);
/// let labels = Tensor::<1, Int>::from_ints([0], &device);
/// // ln(1 + e^(0 - 2))
/// assert!((loss.forward(spikes, labels).into_scalar::<f32>() - 0.126_928).abs() < 1e-5);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct FirstSpikeLoss {
    cross_entropy: CrossEntropyLoss,
    #[module(skip)]
    temperature: f64,
}

impl FirstSpikeLoss {
    /// The loss of a batch.
    ///
    /// # Shapes
    ///
    /// - spikes: `[T, S, C]`, 0 or 1
    /// - labels: `[S]`, from 0 to C - 1
    /// - loss: `[1]`
    pub fn forward(&self, spikes: Tensor<3>, labels: Tensor<1, Int>) -> Tensor<1> {
        let logits = decode::first_spike(spikes).mul_scalar(-1.0 / self.temperature);
        self.cross_entropy.forward(logits, labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_class_is_drawn_forward_and_the_others_back() {
        let device = Device::default().autodiff();
        let loss = FirstSpikeLossConfig::new().with_temperature(2.0);
        let loss = loss.init(&device).unwrap();
        // Class 1 fires at step 1, class 0 and 2 never.
        let spikes = [[[0.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]], [[0.0, 0.0, 0.0]]];
        let spikes = Tensor::<3>::from_floats(spikes, &device).require_grad();
        let value = loss.forward(spikes.clone(), Tensor::from_ints([0], &device));
        // Times 3, 1, 3.
        let expected = (2.0 + f64::exp(1.0)).ln();
        assert!((value.clone().into_scalar::<f64>() - expected).abs() < 1e-6);
        let gradients = value.backward();
        let gradient = spikes.grad(&gradients).unwrap().into_data();
        let gradient = gradient.try_to_vec::<f32>().unwrap();
        // An earlier spike of the right class lowers the loss; of the others it raises it.
        assert!(
            gradient[0] < gradient[3] && gradient[3] < 0.0,
            "{gradient:?}"
        );
        assert!(gradient[1] > 0.0 && gradient[4] > 0.0 && gradient[2] > 0.0);
    }

    #[test]
    fn bad_temperatures_are_named() {
        for temperature in [0.0, -1.0, f64::NAN] {
            let config = FirstSpikeLossConfig::new().with_temperature(temperature);
            let error = config.init(&Device::default()).unwrap_err().to_string();
            assert!(error.contains("`temperature` of FirstSpikeLoss"), "{error}");
        }
    }
}
