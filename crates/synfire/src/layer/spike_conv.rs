//! Convolution of spikes.

use burn::backend::{Dispatch, DispatchTensor};
use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor};

use crate::layer::each_step::with_leading;
use crate::neuron::{Neuron, NeuronState};
use crate::ops::{
    Keep, Layer, LayerOps, OptionalTensor, Product, Synapse, SynapseKind, SynapseOps, Window,
    serves,
};

/// Configuration of a [`SpikeConv2d`].
#[derive(Config, Debug)]
pub struct SpikeConv2dConfig {
    /// Configuration of Burn's layer.
    pub conv: Conv2dConfig,
    /// Product of spikes and weights.
    #[config(default = "Product::Auto")]
    pub product: Product,
}

impl SpikeConv2dConfig {
    /// Creates the layer, with Burn's initialisation.
    ///
    /// # Panics
    ///
    /// If Burn rejects the configuration.
    pub fn init(&self, device: &Device) -> SpikeConv2d {
        SpikeConv2d::from(self.conv.init(device)).with_product(self.product)
    }
}

/// Burn's `Conv2d`, faster on spikes: only the weights of pixels that fire are added. It also takes whole sequences.
///
/// Its parameters are those of `Conv2d`, so each loads the other's records. [`SpikeLinear`](super::SpikeLinear) describes
/// when products are event-driven, and the effect of weights that are not finite. Event-driven products store their
/// outputs channels-last, whatever the order of the axes; neurons, pooling and normalisation keep this order.
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
    /// Stride of the windows.
    pub stride: [usize; 2],
    /// Height and width of the windows.
    pub kernel_size: [usize; 2],
    /// Dilation: distance between pixels of a window.
    pub dilation: [usize; 2],
    /// Number of channel groups.
    pub groups: usize,
    /// Zero padding of the input.
    #[module(skip)]
    pub padding: PaddingConfig2d,
    /// Product of spikes and weights.
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
    /// Sets the product of spikes and weights.
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

    /// The padding at start and end of height and width, as Burn counts it.
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

    /// Convolves a batch or a sequence of images.
    ///
    /// # Shapes
    ///
    /// - input: `[..., channels_in, height_in, width_in]`: a batch `[B, ...]` or a sequence `[T, B, ...]`
    /// - output: `[..., channels_out, height_out, width_out]`
    ///
    /// # Panics
    ///
    /// If the rank is below 4, the channels are others, the groups do not divide the outputs, a stride or dilation is 0, or
    /// an image is smaller than the window.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let Some((synapse, weight, bias)) = self.synapse(&input) else {
            let shape = input.dims();
            let leading = &shape[..D - 3];
            let images = with_leading::<D, 4>(input, &[leading.iter().product()]);
            return with_leading(self.to_conv2d().forward(images), leading);
        };
        Tensor::from_dispatch(<Dispatch as SynapseOps>::synapse(
            input.into_dispatch(),
            weight,
            bias,
            synapse,
        ))
    }

    /// Convolves a sequence and runs the neurons that it feeds: `neuron.forward(self.forward(input), state)`.
    ///
    /// Both run as one operation on supported devices, for spikes as input and neurons with
    /// [`Keep::Least`](crate::ops::Keep::Least): one sample per core at a time, without storing all currents. The backward
    /// pass recomputes them from the input spikes, saved as one bit each.
    ///
    /// ```
    /// use burn::nn::conv::Conv2dConfig;
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::layer::SpikeConv2d;
    /// use synfire::neuron::LifConfig;
    ///
    /// let device = Device::default();
    /// let conv = SpikeConv2d::from(Conv2dConfig::new([2, 6], [3, 3]).init(&device));
    /// let lif = LifConfig::new().init(&device)?;
    /// let input = Tensor::<5>::ones([10, 4, 2, 8, 8], &device);
    /// let (spikes, _state) = conv.forward_into(&lif, input, None);
    /// assert_eq!(spikes.dims(), [10, 4, 6, 6, 6]);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, channels_in, height_in, width_in]`
    /// - spikes: `[T, B, channels_out, height_out, width_out]`
    ///
    /// # Panics
    ///
    /// As for [`forward`](Self::forward), and as the neurons do.
    pub fn forward_into<N: Neuron>(
        &self,
        neuron: &N,
        input: Tensor<5>,
        state: Option<NeuronState>,
    ) -> (Tensor<5>, NeuronState) {
        let by_hand = neuron.by_hand(&input);
        let by_hand =
            by_hand.filter(|by_hand| by_hand.kernel.keep == Keep::Least && serves::flex(&input));
        let together = by_hand.and_then(|by_hand| Some((by_hand, self.synapse(&input)?)));
        let Some((by_hand, (synapse, weight, bias))) = together else {
            return neuron.forward(self.forward(input), state);
        };
        let out = self.output_dims(input.dims());
        let layer = Layer {
            synapse,
            kernel: by_hand.kernel,
        };
        by_hand.run(input, out, state, |x, v, decay, threshold| {
            <Dispatch as LayerOps>::layer(x, weight, bias, v, decay, threshold, layer)
        })
    }

    /// Stride, dilation, groups, and the padding for images of this height and width.
    fn window(&self, size: [usize; 2]) -> Window {
        Window {
            stride: self.stride,
            padding: self.pairs(size),
            dilation: self.dilation,
            groups: self.groups,
        }
    }

    /// The output shape for an input shape. Checks the input shape and the public fields it depends on.
    fn output_dims<const D: usize>(&self, shape: [usize; D]) -> [usize; D] {
        let weights = self.weight.dims();
        let [outputs, of_group, height, width] = weights;
        let groups = self.groups;
        assert!(
            groups > 0 && outputs.is_multiple_of(groups),
            "SpikeConv2d: weights {weights:?} of which {groups} groups have the same number of outputs each, expected \
             groups that divide the outputs"
        );
        let channels = of_group * groups;
        assert!(
            D >= 4 && shape[D - 3] == channels,
            "SpikeConv2d: the input {shape:?}, expected [..., {channels}, height, width] of rank 4 or more"
        );
        let size = [shape[D - 2], shape[D - 1]];
        assert!(
            !self.stride.contains(&0),
            "SpikeConv2d: `stride` is {:?}, expected steps of at least 1",
            self.stride
        );
        let window = self.window(size);
        let Some([out_height, out_width]) = window.out(size, [height, width]) else {
            panic!("SpikeConv2d: weights {weights:?} and {window:?}, expected sizes of at least 1")
        };
        assert!(
            out_height > 0 && out_width > 0,
            "SpikeConv2d: the input {shape:?} with padding {:?} is smaller than a window of weights {weights:?} with \
             dilation {:?}",
            window.padding,
            window.dilation
        );
        let mut out = shape;
        out[D - 3] = outputs;
        out[D - 2] = out_height;
        out[D - 1] = out_width;
        out
    }

    /// The fused operation with its parameters, if it supports this input. Checks the input.
    fn synapse<const D: usize>(
        &self,
        input: &Tensor<D>,
    ) -> Option<(Synapse, DispatchTensor, OptionalTensor<Dispatch>)> {
        let shape = input.dims();
        self.output_dims(shape);
        let weight = self.weight.val();
        let possible = serves::synapse(input, &weight);
        if self.product == Product::Dense || !possible {
            return None;
        }
        let bias = OptionalTensor::of(self.bias.as_ref().map(Param::val));
        let synapse = Synapse {
            kind: SynapseKind::Conv2d(self.window([shape[D - 2], shape[D - 1]])),
            product: self.product,
        };
        Some((synapse, weight.into_dispatch(), bias))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(
        expected = "SpikeConv2d: the input [2, 3, 8, 8], expected [..., 2, height, width]"
    )]
    fn other_channels_are_named() {
        let device = Device::default();
        let layer = SpikeConv2dConfig::new(Conv2dConfig::new([2, 4], [3, 3])).init(&device);
        layer.forward(Tensor::<4>::zeros([2, 3, 8, 8], &device));
    }

    #[test]
    #[should_panic(expected = "is smaller than a window of weights [4, 2, 5, 5]")]
    fn too_small_images_are_named() {
        let device = Device::default();
        let layer = SpikeConv2dConfig::new(Conv2dConfig::new([2, 4], [5, 5])).init(&device);
        layer.forward(Tensor::<4>::zeros([2, 2, 8, 4], &device));
    }
}
