//! Batch normalisation through time.

use burn::module::{Flag, Module, Param, RunningState};
use burn::tensor::module::{batch_norm, batch_norm_train};
use burn::tensor::{Device, Tensor};

use super::seq_batch_norm::{ByChannels, by_channels, norm_config};
use crate::InvalidConfig;

norm_config! {
    /// Configuration of a [`BatchNormThroughTime`].
    pub struct BatchNormThroughTimeConfig("BatchNormThroughTime") {
        /// The number of time steps, at least 1.
        time_steps: usize, require_size;
        /// The number of channels, at least 1.
        num_features: usize, require_nonzero;
    }
}

impl BatchNormThroughTimeConfig {
    /// Creates the layer.
    ///
    /// # Errors
    ///
    /// If the configuration is not [valid](Self::validate).
    pub fn init(&self, device: &Device) -> Result<BatchNormThroughTime, InvalidConfig> {
        self.validate()?;
        let features = [self.num_features];
        let step = |_| StepNorm {
            gamma: Param::from_tensor(Tensor::ones(features, device)),
            training: Param::from_bool(true),
            running_mean: RunningState::new(Tensor::zeros(features, device)),
            running_var: RunningState::new(Tensor::ones(features, device)),
        };
        Ok(BatchNormThroughTime {
            steps: (0..self.time_steps).map(step).collect(),
            epsilon: self.epsilon,
            momentum: self.momentum,
        })
    }
}

/// Batch normalisation of every time step separately, over batch and space (BNTT; Kim and Panda 2021, *Revisiting Batch
/// Normalization for Training Low-latency Deep Spiking Neural Networks from Scratch*):
///
/// ```text
/// y[t] = gamma[t] (x[t] - mean[t]) / sqrt(variance[t] + epsilon)          gamma starts at 1
/// ```
///
/// for each channel. It is SpikingJelly's `BatchNormThroughTime2d`. As each step has its own statistics, a sequence must be
/// whole.
///
/// ```
/// use burn::module::Module;
/// use burn::tensor::{Device, Tensor};
/// use synfire::layer::BatchNormThroughTimeConfig;
///
/// let device = Device::default();
/// let norm = BatchNormThroughTimeConfig::new(4, 16).init(&device)?;
/// // With the running statistics.
/// assert_eq!(norm.num_params(), 4 * 3 * 16);
/// let output = norm.forward(Tensor::<5>::ones([4, 2, 16, 8, 8], &device));
/// assert_eq!(output.dims(), [4, 2, 16, 8, 8]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct BatchNormThroughTime {
    /// One for each time step.
    pub steps: Vec<StepNorm>,
    epsilon: f64,
    momentum: f64,
}

/// The normalisation of a time step, without an offset.
#[derive(Module, Debug)]
pub struct StepNorm {
    /// `[C]`.
    pub gamma: Param<Tensor<1>>,
    /// True if training uses the statistics of batches; off if the module is frozen.
    pub training: Param<Flag>,
    /// The running mean, `[C]`.
    pub running_mean: RunningState<Tensor<1>>,
    /// The running variance, `[C]`.
    pub running_var: RunningState<Tensor<1>>,
}

/// A step, with the layer that has the options of all steps.
struct Step<'a>(&'a BatchNormThroughTime, &'a StepNorm);

impl ByChannels for Step<'_> {
    fn apply<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let Self(layer, norm) = self;
        let device = x.device();
        let gamma = norm.gamma.val();
        let beta = gamma.zeros_like().detach();
        if !(device.is_autodiff() && norm.training.is_enabled()) {
            let mean = norm.running_mean.value().to_device(&device);
            let variance = norm.running_var.value().to_device(&device);
            return batch_norm(x, gamma, beta, mean, variance, layer.epsilon);
        }
        let found = batch_norm_train(x, gamma, beta, layer.epsilon);
        for (running, new) in [
            (&norm.running_mean, found.mean),
            (&norm.running_var, found.variance),
        ] {
            let old = running.value_sync().to_device(&device);
            let kept = old.mul_scalar(1.0 - layer.momentum);
            let next = kept + new.detach().mul_scalar(layer.momentum);
            running.update(next.detach());
        }
        found.output
    }
}

impl BatchNormThroughTime {
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
        let steps = self.steps.len();
        assert!(
            input.dims()[0] == steps,
            "BatchNormThroughTime: input {:?}, expected {steps} time steps",
            input.dims()
        );
        let outputs = input.split(1, 0).into_iter().zip(&self.steps);
        let outputs = outputs.map(|(x, norm)| {
            let [channels] = norm.gamma.dims();
            by_channels("BatchNormThroughTime", channels, x, &Step(self, norm))
        });
        Tensor::cat(outputs.collect(), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tolerance;

    #[test]
    fn statistics_are_of_each_step() {
        let device = Device::default().autodiff();
        let norm = BatchNormThroughTimeConfig::new(2, 1)
            .with_epsilon(1e-10)
            .init(&device)
            .unwrap();
        let input = Tensor::<3>::from_floats([[[1.0], [3.0]], [[10.0], [50.0]]], &device);
        let output = norm.forward(input);
        let expected = Tensor::<3>::from_floats([[[-1.0], [1.0]], [[-1.0], [1.0]]], &device);
        output
            .into_data()
            .assert_approx_eq::<f32>(&expected.into_data(), Tolerance::default());
        // The running mean takes a tenth of the batch's mean.
        let mean = norm.steps[1].running_mean.value_sync();
        assert!((mean.into_scalar::<f32>() - 3.0).abs() < 1e-6);
    }

    #[test]
    #[should_panic(expected = "expected 2 time steps")]
    fn a_sequence_comes_whole() {
        let device = Device::default();
        let norm = BatchNormThroughTimeConfig::new(2, 1).init(&device).unwrap();
        norm.forward(Tensor::<3>::zeros([1, 1, 1], &device));
    }
}
