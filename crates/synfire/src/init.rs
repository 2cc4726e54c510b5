//! Reproducible weight initialisation from a seed.
//!
//! Burn's initialisers draw from the backend's process-wide generator; these draw from
//! [`random`](crate::random), so a model is the same on every backend and in every run with the same seed.
//!
//! ```
//! use burn::tensor::Device;
//! use synfire::init::{Initializer, LayerInit};
//!
//! let device = Device::default();
//! let weights = |seed| {
//!     let linear = LayerInit::new(Initializer::default(), seed, &device)?.linear(4, 3);
//!     Ok(linear.weight.to_data())
//! };
//! assert_eq!(weights(1)?, weights(1)?);
//! assert_ne!(weights(1)?, weights(2)?);
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```

use burn::module::{Param, ParamId};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Shape, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::InvalidConfig;
use crate::random::{Philox, Purpose};

/// Initialisation of weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Initializer {
    /// Weights and biases uniform in `+-gain / sqrt(fan-in)`. With `gain` 1 this is PyTorch's default for linear and
    /// convolution layers.
    Uniform {
        /// The factor.
        #[serde(default = "one")]
        gain: f64,
    },
    /// Weights uniform in `[-1, 1]`, those of each output divided by their Euclidean norm and multiplied by `gain`;
    /// biases 0. With `gain` 1 it is the initialisation of the STBP paper (Wu et al. 2018), under whose literal threshold
    /// of 1.5 no neuron may ever fire.
    Normalized {
        /// The norm of each output's weights.
        #[serde(default = "one")]
        gain: f64,
    },
    /// Weights normal with standard deviation `gain sqrt(2 / fan-out)`, biases 0 (He et al. 2015, *Delving Deep into
    /// Rectifiers*; PyTorch's `kaiming_normal_` by the fan-out), for convolutions; linear layers as
    /// [`Uniform`](Self::Uniform) with a gain of 1.
    Kaiming {
        /// The factor.
        #[serde(default = "one")]
        gain: f64,
    },
}

pub(crate) fn one() -> f64 {
    1.0
}

impl Default for Initializer {
    fn default() -> Self {
        Self::Uniform { gain: 1.0 }
    }
}

impl Initializer {
    /// The factor.
    pub fn gain(&self) -> f64 {
        match self {
            Self::Uniform { gain } | Self::Normalized { gain } | Self::Kaiming { gain } => *gain,
        }
    }

    /// Rejects a gain that is not a number from 1e-37 to 1e37, in the name of `owner`.
    ///
    /// # Errors
    ///
    /// If the gain is out of range.
    pub fn validate(&self, owner: &'static str) -> Result<(), InvalidConfig> {
        InvalidConfig::require_positive(owner, "gain", self.gain()).map(|_| ())
    }
}

/// Creates the layers of a model, one after the other, each with independent draws. As with Burn's initialisers, weights are
/// allocated lazily: a model into which weights are loaded never draws any.
///
/// ```
/// use burn::nn::conv::Conv2dConfig;
/// use burn::tensor::Device;
/// use synfire::init::{Initializer, LayerInit};
///
/// let device = Device::default();
/// let mut init = LayerInit::new(Initializer::Normalized { gain: 1.0 }, 42, &device)?;
/// let conv = init.conv2d(&Conv2dConfig::new([1, 15], [5, 5]));
/// let linear = init.linear(15 * 24 * 24, 10);
/// assert_eq!(conv.weight.dims(), [15, 1, 5, 5]);
/// assert_eq!(linear.weight.dims(), [8640, 10]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Clone, Debug)]
pub struct LayerInit {
    initializer: Initializer,
    philox: Philox,
    layer: u64,
    device: Device,
}

impl LayerInit {
    /// Creates an initialiser for a model with this seed.
    ///
    /// # Errors
    ///
    /// If the gain is not a number from 1e-37 to 1e37.
    pub fn new(
        initializer: Initializer,
        seed: u64,
        device: &Device,
    ) -> Result<Self, InvalidConfig> {
        initializer.validate("LayerInit")?;
        Ok(Self {
            initializer,
            philox: Philox::new(seed).for_purpose(Purpose::Initialize),
            layer: 0,
            device: device.clone(),
        })
    }

    /// Device of the layers.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The next layer, linear.
    ///
    /// # Shapes
    ///
    /// - weight: `[d_input, d_output]`
    /// - bias: `[d_output]`
    ///
    /// # Panics
    ///
    /// If a size is 0.
    pub fn linear(&mut self, d_input: usize, d_output: usize) -> Linear {
        assert!(
            d_input > 0 && d_output > 0,
            "LayerInit: {d_input} inputs and {d_output} outputs, expected at least 1 of each"
        );
        let initializer = match self.initializer {
            Initializer::Kaiming { .. } => Initializer::default(),
            initializer => initializer,
        };
        let draws = self.draws(initializer, [d_input, d_output], d_output, 1);
        // Burn's own initialisation is lazy and is replaced before it draws.
        let mut linear = LinearConfig::new(d_input, d_output).init(&self.device);
        linear.weight = self.parameter([d_input, d_output], move || draws.weights());
        linear.bias = Some(self.parameter([d_output], move || draws.biases()));
        linear
    }

    /// The next layer, a convolution. The configuration's own initializer is not used.
    ///
    /// # Shapes
    ///
    /// - weight: `[outputs, inputs / groups, kernel height, kernel width]`
    /// - bias: `[outputs]`
    ///
    /// # Panics
    ///
    /// If Burn rejects the configuration, or a size is 0.
    pub fn conv2d(&mut self, config: &Conv2dConfig) -> Conv2d {
        let mut conv = config.init(&self.device);
        // Reading the weights would make Burn draw them.
        let shape: [usize; 4] = conv.weight.lazy_shape().dims();
        let [outputs, inputs, height, width] = shape;
        let fan_in = inputs * height * width;
        assert!(
            fan_in > 0 && outputs > 0,
            "LayerInit: weights of shape {shape:?}, expected at least 1 of each"
        );
        let fan_out = outputs * height * width;
        let fans = [fan_in, fan_out];
        let draws = self.draws(self.initializer, fans, outputs, fan_in);
        conv.weight = self.parameter(shape, move || draws.weights());
        if conv.bias.is_some() {
            conv.bias = Some(self.parameter([outputs], move || draws.biases()));
        }
        conv
    }

    /// The draws of the next layer.
    fn draws(
        &mut self,
        initializer: Initializer,
        [fan_in, fan_out]: [usize; 2],
        outputs: usize,
        stride: usize,
    ) -> Draws {
        let layer = self.layer;
        self.layer += 1;
        Draws {
            initializer,
            philox: self.philox,
            layer,
            fan_in,
            fan_out,
            outputs,
            stride,
        }
    }

    /// A lazy parameter: it is drawn on first access, unless weights have been loaded into it.
    fn parameter<const D: usize>(
        &self,
        shape: [usize; D],
        values: impl FnOnce() -> Vec<f32> + Send + Sync + 'static,
    ) -> Param<Tensor<D>> {
        Param::uninitialized(
            ParamId::new(),
            move |device, require_grad| {
                let tensor = Tensor::from_data(TensorData::new(values(), shape), device);
                match require_grad {
                    true => tensor.require_grad(),
                    false => tensor,
                }
            },
            self.device.clone(),
            true,
            Shape::from(shape.to_vec()),
        )
    }
}

/// The draws of the weights and biases of a layer.
#[derive(Clone, Copy, Debug)]
struct Draws {
    initializer: Initializer,
    philox: Philox,
    layer: u64,
    fan_in: usize,
    fan_out: usize,
    outputs: usize,
    /// The distance between weights of one output and of the next.
    stride: usize,
}

impl Draws {
    /// Two sequences a layer: weights and biases.
    fn uniform(&self, biases: u64, len: usize, bound: f32) -> Vec<f32> {
        self.philox
            .uniform(2 * self.layer + biases, len, -bound, bound)
    }

    fn bound(&self, gain: f64) -> f32 {
        (gain / (self.fan_in as f64).sqrt()) as f32
    }

    fn weights(self) -> Vec<f32> {
        let len = self.fan_in * self.outputs;
        match self.initializer {
            Initializer::Uniform { gain } => self.uniform(0, len, self.bound(gain)),
            Initializer::Normalized { gain } => {
                let mut weights = self.uniform(0, len, 1.0);
                let output = |at: usize| at / self.stride % self.outputs;
                let mut squares = vec![0.0f64; self.outputs];
                for (at, weight) in weights.iter().enumerate() {
                    squares[output(at)] += f64::from(*weight) * f64::from(*weight);
                }
                for (at, weight) in weights.iter_mut().enumerate() {
                    // All weights of an output can be 0, and stay 0.
                    let norm = squares[output(at)].sqrt().max(f64::MIN_POSITIVE);
                    *weight = (gain * f64::from(*weight) / norm) as f32;
                }
                weights
            }
            Initializer::Kaiming { gain } => {
                let deviation = gain * (2.0 / self.fan_out.max(1) as f64).sqrt();
                self.philox.normal(2 * self.layer, len, deviation)
            }
        }
    }

    fn biases(self) -> Vec<f32> {
        match self.initializer {
            Initializer::Uniform { gain } => self.uniform(1, self.outputs, self.bound(gain)),
            Initializer::Normalized { .. } | Initializer::Kaiming { .. } => vec![0.0; self.outputs],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values<const D: usize>(parameter: &Param<Tensor<D>>) -> Vec<f32> {
        parameter.val().into_data().try_to_vec::<f32>().unwrap()
    }

    #[test]
    fn uniform_weights_stay_within_their_bound() {
        let mut init =
            LayerInit::new(Initializer::Uniform { gain: 2.0 }, 1, &Device::default()).unwrap();
        let conv = init.conv2d(&Conv2dConfig::new([4, 8], [5, 5]).with_groups(2));
        let weights = values(&conv.weight);
        let bound = 2.0 / 50f32.sqrt();
        assert!(weights.iter().all(|w| w.abs() <= bound));
        assert!(weights.iter().any(|w| w.abs() > 0.9 * bound));
        assert_ne!(
            values(&init.linear(4, 4).weight),
            values(&init.linear(4, 4).weight)
        );
    }

    #[test]
    fn normalized_weights_have_the_norm_of_the_gain() {
        let mut init =
            LayerInit::new(Initializer::Normalized { gain: 1.5 }, 1, &Device::default()).unwrap();
        let conv = init.conv2d(&Conv2dConfig::new([2, 3], [3, 3]));
        let norm =
            |weights: &mut dyn Iterator<Item = f32>| weights.map(|w| w * w).sum::<f32>().sqrt();
        for output in values(&conv.weight).chunks(18) {
            assert!((norm(&mut output.iter().copied()) - 1.5).abs() < 1e-5);
        }
        let linear = init.linear(7, 4);
        let weights = values(&linear.weight);
        for output in 0..4 {
            let mut column = weights[output..].iter().step_by(4).copied();
            assert!((norm(&mut column) - 1.5).abs() < 1e-5);
        }
        assert_eq!(values(linear.bias.as_ref().unwrap()), [0.0; 4]);
    }

    #[test]
    fn kaiming_weights_have_the_deviation_of_the_fan_out() {
        let kaiming = Initializer::Kaiming { gain: 3.0 };
        let mut init = LayerInit::new(kaiming, 1, &Device::default()).unwrap();
        let conv = init.conv2d(&Conv2dConfig::new([40, 20], [5, 5]).with_groups(2));
        let weights = values(&conv.weight);
        let variance = weights.iter().map(|w| w * w).sum::<f32>() / weights.len() as f32;
        // 2 / (20 * 25) times 9, known to 1.4 %.
        assert!((variance / 0.036 - 1.0).abs() < 0.07, "{variance}");
        assert_eq!(values(conv.bias.as_ref().unwrap()), [0.0; 20]);
    }

    #[test]
    fn weights_take_memory_when_they_are_looked_at() {
        let device = Device::default();
        let mut init = LayerInit::new(Initializer::default(), 1, &device).unwrap();
        // 4 TiB.
        let linear = init.linear(1 << 20, 1 << 20);
        assert_eq!(linear.weight.lazy_shape().dims(), [1 << 20, 1 << 20]);
        assert!(!linear.weight.is_initialized());
        assert!(!linear.clone().weight.is_initialized());
        let small = init.linear(2, 2);
        assert_eq!(values(&small.clone().weight), values(&small.weight));
        assert!(small.weight.val().is_require_grad() == small.weight.is_require_grad());
    }

    #[test]
    #[should_panic(expected = "0 inputs and 3 outputs")]
    fn empty_layers_are_named() {
        LayerInit::new(Initializer::default(), 0, &Device::default())
            .unwrap()
            .linear(0, 3);
    }

    #[test]
    fn bad_gains_are_named() {
        for initializer in [
            Initializer::Uniform { gain: 0.0 },
            Initializer::Normalized { gain: f64::NAN },
        ] {
            let error = LayerInit::new(initializer, 0, &Device::default()).unwrap_err();
            assert!(error.to_string().contains("`gain` of LayerInit"), "{error}");
        }
    }
}
