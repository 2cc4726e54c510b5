//! Pooling of spikes.

use burn::backend::Dispatch;
use burn::config::Config;
use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::pool::{AvgPool2d, AvgPool2dConfig, MaxPool2d, MaxPool2dConfig};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::each_step;
use crate::InvalidConfig;
use crate::ops::{Pool, PoolOps, Windows, serves};

/// Reduction of the values in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// Their mean. The mean of spikes is graded: spiking neurons after it make it binary again, as in the paper.
    #[default]
    Average,
    /// Their maximum: a spike if the window has any.
    Max,
}

/// Configuration of a [`Pool2d`].
#[derive(Config, Debug, PartialEq)]
pub struct Pool2dConfig {
    /// Height and width of the windows, which do not overlap.
    pub window: [usize; 2],
    /// Reduction of the values in a window.
    #[config(default = "Pooling::Average")]
    pub pooling: Pooling,
}

impl Pool2dConfig {
    /// Creates the layer.
    ///
    /// # Errors
    ///
    /// If the window is empty.
    pub fn init(&self) -> Result<Pool2d, InvalidConfig> {
        for size in self.window {
            InvalidConfig::require_nonzero("Pool2d", "window", size)?;
        }
        let window = self.window;
        Ok(match self.pooling {
            Pooling::Average => {
                let config = AvgPool2dConfig::new(window).with_strides(window);
                Pool2d::Average(config.init())
            }
            Pooling::Max => {
                let config = MaxPool2dConfig::new(window).with_strides(window);
                Pool2d::Max(config.init())
            }
        })
    }
}

/// Pools images at every time step, in windows side by side; rows and columns that do not fill a window are left out.
/// Burn's inner layers may have strides and padding, too.
///
/// Created by [`Pool2dConfig`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::layer::{Pool2dConfig, Pooling};
///
/// let device = Device::default();
/// let spikes = Tensor::<5>::from_floats([[[[[1.0, 0.0], [0.0, 0.0]]]]], &device);
/// let average = Pool2dConfig::new([2, 2]).init()?;
/// assert_eq!(average.forward(spikes.clone()).into_scalar::<f32>(), 0.25);
/// let max = Pool2dConfig::new([2, 2]).with_pooling(Pooling::Max).init()?;
/// assert_eq!(max.forward(spikes).into_scalar::<f32>(), 1.0);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub enum Pool2d {
    /// The mean of each window.
    Average(AvgPool2d),
    /// The maximum of each window.
    Max(MaxPool2d),
}

impl Pool2d {
    /// The windows, if the kernels serve them.
    fn windows(&self) -> Option<Windows> {
        let (size, stride, padding, served) = match self {
            Self::Average(pool) => {
                let padding = sides(&pool.padding)?;
                let counted = pool.count_include_pad || padding == [(0, 0); 2];
                let served = !pool.ceil_mode && counted;
                (pool.kernel_size, pool.stride, padding, served)
            }
            Self::Max(pool) => {
                let small = pool.kernel_size[0].saturating_mul(pool.kernel_size[1]) <= 256;
                let served = !pool.ceil_mode && pool.dilation == [1, 1] && small;
                let padding = sides(&pool.padding)?;
                (pool.kernel_size, pool.stride, padding, served)
            }
        };
        let fits = |axis: usize| {
            let (begin, end) = padding[axis];
            stride[axis] > 0 && size[axis] > begin.max(end)
        };
        (served && fits(0) && fits(1)).then_some(Windows {
            size,
            stride,
            padding,
        })
    }

    /// Pools every image of a sequence.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, C, H, W]`
    /// - output: `[T, B, C, H / window height, W / window width]`, unless Burn's inner layer has other strides or padding
    ///
    /// # Panics
    ///
    /// If the images are smaller than a window.
    pub fn forward(&self, input: Tensor<5>) -> Tensor<5> {
        let shape = input.dims();
        if let Some(windows) = self.windows() {
            assert!(
                windows.count(0, shape[3]) > 0 && windows.count(1, shape[4]) > 0,
                "Pool2d: images {shape:?} are smaller than a window {:?}",
                windows.size
            );
            if serves::flex_or_its_server(&input) {
                let pool = match self {
                    Self::Average(_) => Pool::Average(windows),
                    Self::Max(_) => Pool::Max(windows),
                };
                let pooled = <Dispatch as PoolOps>::pool(input.into_dispatch(), pool);
                return Tensor::from_dispatch(pooled);
            }
        }
        each_step(input, |x: Tensor<4>| match self {
            Self::Average(pool) => pool.forward(x),
            Self::Max(pool) => pool.forward(x),
        })
    }
}

/// The padding at the start and at the end of each axis, if it does not depend on the image.
fn sides(padding: &PaddingConfig2d) -> Option<[(usize, usize); 2]> {
    match *padding {
        PaddingConfig2d::Valid => Some([(0, 0); 2]),
        PaddingConfig2d::Explicit(top, left, bottom, right) => Some([(top, bottom), (left, right)]),
        PaddingConfig2d::Same => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn windows_lie_side_by_side() {
        let device = Device::default();
        let x: Vec<f32> = (0..30).map(|i| i as f32).collect();
        let x = Tensor::<1>::from_floats(x.as_slice(), &device).reshape([2, 1, 1, 3, 5]);
        let pool = |pooling| {
            let config = Pool2dConfig::new([2, 2]).with_pooling(pooling);
            let output = config.init().unwrap().forward(x.clone());
            assert_eq!(output.dims(), [2, 1, 1, 1, 2]);
            output.into_data().try_to_vec::<f32>().unwrap()
        };
        assert_eq!(pool(Pooling::Max), [6.0, 8.0, 21.0, 23.0]);
        assert_eq!(pool(Pooling::Average), [3.0, 5.0, 18.0, 20.0]);
    }

    #[test]
    #[should_panic(expected = "images [1, 1, 1, 2, 1] are smaller than a window [2, 2]")]
    fn images_must_fill_a_window() {
        let pool = Pool2dConfig::new([2, 2]).init().unwrap();
        pool.forward(Tensor::zeros([1, 1, 1, 2, 1], &Device::default()));
    }

    #[test]
    fn strides_and_padding_are_those_of_burns_layer() {
        let device = Device::flex();
        let x: Vec<f32> = (0..50).map(|i| (i * 7 % 11) as f32 - 4.0).collect();
        let x = Tensor::<1>::from_floats(x.as_slice(), &device).reshape([2, 1, 1, 5, 5]);
        let average = AvgPool2dConfig::new([3, 2])
            .with_strides([1, 2])
            .with_padding(PaddingConfig2d::Explicit(1, 0, 1, 0))
            .with_ceil_mode(true);
        let max = MaxPool2dConfig::new([2, 2])
            .with_strides([2, 2])
            .with_dilation([2, 2]);
        for pool in [Pool2d::Average(average.init()), Pool2d::Max(max.init())] {
            let got = pool.forward(x.clone());
            let images = x.clone().squeeze_dim::<4>(1);
            let expected = match &pool {
                Pool2d::Average(pool) => pool.forward(images),
                Pool2d::Max(pool) => pool.forward(images),
            };
            assert_eq!(got.squeeze_dim::<4>(1).into_data(), expected.into_data());
        }
    }

    #[test]
    fn images_without_channels_or_samples_stay_empty() {
        for shape in [[2, 1, 0, 4, 4], [2, 0, 3, 4, 4], [0, 1, 3, 4, 4]] {
            let x = Tensor::<5>::zeros(shape, &Device::flex());
            for pooling in [Pooling::Average, Pooling::Max] {
                let pool = Pool2dConfig::new([2, 2]).with_pooling(pooling);
                let out = pool.init().unwrap().forward(x.clone()).dims();
                assert_eq!(out, [shape[0], shape[1], shape[2], 2, 2]);
            }
        }
    }

    #[test]
    fn empty_windows_are_named() {
        let error = Pool2dConfig::new([2, 0]).init().unwrap_err().to_string();
        assert!(error.contains("`window` of Pool2d: 0"), "{error}");
    }
}
