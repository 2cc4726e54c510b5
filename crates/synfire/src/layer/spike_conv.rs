//! A convolution that is fed with spikes.

use burn::backend::Dispatch;
use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor};

use crate::kernel::{self, Product, Synapse, SynapseKind, SynapseOps, Window};

/// Configuration of a [`SpikeConv2d`].
#[derive(Config, Debug)]
pub struct SpikeConv2dConfig {
    /// What Burn's layer is made of.
    pub conv: Conv2dConfig,
    /// How spikes are multiplied with weights.
    #[config(default = "Product::Auto")]
    pub product: Product,
}

impl SpikeConv2dConfig {
    /// Creates the layer, with weights as Burn makes them.
    ///
    /// # Panics
    ///
    /// If Burn rejects the configuration.
    pub fn init(&self, device: &Device) -> SpikeConv2d {
        SpikeConv2d::from(self.conv.init(device)).with_product(self.product)
    }
}

/// Burn's `Conv2d`, faster where the input is spikes: only the weights are added that belong to a pixel that fires. Takes
/// whole sequences, too.
///
/// Its parameters are those of `Conv2d`, so each loads the other's records. When products are made by events, and what
/// becomes of weights that are not finite, is as in [`SpikeLinear`](super::SpikeLinear). The outputs of a product by events
/// lie in memory with the channels last, whatever the order of the axes, and the layers of this crate keep it so.
///
/// Created by [`SpikeConv2dConfig`], or [from](From) Burn's layer.
///
/// ```
/// use burn::nn::conv::Conv2dConfig;
/// use burn::tensor::{Device, Tensor};
/// use synfire::layer::SpikeConv2d;
///
/// let device = Device::default();
/// let layer = SpikeConv2d::from(Conv2dConfig::new([2, 6], [3, 3]).init(&device));
/// let spikes = Tensor::<5>::ones([10, 4, 2, 8, 8], &device); // [T, B, channels, height, width]
/// assert_eq!(layer.forward(spikes).dims(), [10, 4, 6, 6, 6]);
/// ```
#[derive(Module, Debug)]
pub struct SpikeConv2d {
    /// The weights, `[channels_out, channels_in / groups, height, width]`.
    pub weight: Param<Tensor<4>>,
    /// The biases, `[channels_out]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// The steps of the windows.
    pub stride: [usize; 2],
    /// Height and width of the windows.
    pub kernel_size: [usize; 2],
    /// The distance of a window's pixels.
    pub dilation: [usize; 2],
    /// Which channels meet.
    pub groups: usize,
    /// Zeros around the input.
    #[module(skip)]
    pub padding: PaddingConfig2d,
    /// How spikes are multiplied with weights.
    #[module(skip)]
    pub product: Product,
}

impl From<Conv2d> for SpikeConv2d {
    fn from(conv: Conv2d) -> Self {
        Self {
            weight: conv.weight,
            bias: conv.bias,
            stride: conv.stride,
            kernel_size: conv.kernel_size,
            dilation: conv.dilation,
            groups: conv.groups,
            padding: conv.padding,
            product: Product::Auto,
        }
    }
}

impl SpikeConv2d {
    /// The same layer with another way of multiplying.
    pub fn with_product(mut self, product: Product) -> Self {
        self.product = product;
        self
    }

    /// Burn's layer with the same parameters.
    pub fn to_conv2d(&self) -> Conv2d {
        Conv2d {
            weight: self.weight.clone(),
            bias: self.bias.clone(),
            stride: self.stride,
            kernel_size: self.kernel_size,
            dilation: self.dilation,
            groups: self.groups,
            padding: self.padding.clone(),
        }
    }

    /// The padding at begin and end of height and width, as Burn counts it.
    fn pairs(&self, size: [usize; 2]) -> [(usize, usize); 2] {
        match self.padding {
            PaddingConfig2d::Valid => [(0, 0); 2],
            PaddingConfig2d::Explicit(top, left, bottom, right) => [(top, bottom), (left, right)],
            PaddingConfig2d::Same => [0, 1].map(|axis| {
                let stride = self.stride[axis];
                let steps = size[axis].div_ceil(stride);
                let reach = steps.saturating_sub(1) * stride + self.kernel_size[axis];
                let total = reach.saturating_sub(size[axis]);
                (total / 2, total - total / 2)
            }),
        }
    }

    /// Convolves images, or those of all samples and steps.
    ///
    /// # Shapes
    ///
    /// - input: `[..., channels_in, height_in, width_in]`: a batch `[B, ...]` or a sequence `[T, B, ...]`
    /// - output: `[..., channels_out, height_out, width_out]`
    ///
    /// # Panics
    ///
    /// If the rank is below 4, the channels are others, or an image is smaller than the window.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let shape = input.dims();
        let [_, of_group, height, width] = self.weight.dims();
        let channels = of_group * self.groups;
        assert!(
            D >= 4 && shape[D - 3] == channels,
            "SpikeConv2d: the input {shape:?}, expected [..., {channels}, height, width] of rank 4 or more"
        );
        let size = [shape[D - 2], shape[D - 1]];
        let padding = self.pairs(size);
        for (axis, kernel) in [height, width].into_iter().enumerate() {
            let reach = self.dilation[axis] * (kernel - 1) + 1;
            let padded = size[axis] + padding[axis].0 + padding[axis].1;
            assert!(
                padded >= reach,
                "SpikeConv2d: the input {shape:?} with padding {padding:?} is smaller than a window that reaches over \
                 {reach}"
            );
        }
        let weight = self.weight.val();
        let possible = kernel::supports(&input) && kernel::supports(&weight);
        if self.product == Product::Dense || !possible {
            let count = shape[..D - 3].iter().product();
            let images = input.reshape([count, channels, size[0], size[1]]);
            let output = self.to_conv2d().forward(images);
            let mut all = shape;
            all[D - 3..].copy_from_slice(&output.dims()[1..]);
            return output.reshape(all);
        }
        let bias = self.bias.as_ref().map(Param::val);
        let synapse = Synapse {
            kind: SynapseKind::Conv2d(Window {
                stride: self.stride,
                padding,
                dilation: self.dilation,
                groups: self.groups,
            }),
            has_bias: bias.is_some(),
            product: self.product,
        };
        // In place of a bias that is not there stands something else.
        let bias = match bias {
            Some(bias) => bias.into_dispatch(),
            None => weight.clone().into_dispatch(),
        };
        Tensor::from_dispatch(<Dispatch as SynapseOps>::synapse(
            input.into_dispatch(),
            weight.into_dispatch(),
            bias,
            synapse,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "SpikeConv2d: the input [2, 3, 8, 8], expected [..., 2, height, width]")]
    fn other_channels_are_named() {
        let device = Device::default();
        let layer = SpikeConv2dConfig::new(Conv2dConfig::new([2, 4], [3, 3])).init(&device);
        layer.forward(Tensor::<4>::zeros([2, 3, 8, 8], &device));
    }

    #[test]
    #[should_panic(expected = "is smaller than a window that reaches over 5")]
    fn too_small_images_are_named() {
        let device = Device::default();
        let layer = SpikeConv2dConfig::new(Conv2dConfig::new([2, 4], [5, 5])).init(&device);
        layer.forward(Tensor::<4>::zeros([2, 2, 8, 4], &device));
    }
}
