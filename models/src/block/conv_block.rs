//! Convolutions with normalisation, neurons and pooling.

use burn::module::Module;
use burn::tensor::Tensor;
use synfire::InvalidConfig;
use synfire::layer::{AnyNorm, Pool2d, SpikeConv2d};
use synfire::neuron::AnyNeuron;

use crate::Context;
use crate::network::numbered;

/// A convolution with an optional normalisation: synaptic currents, before neurons or a sum.
///
/// Created by [`Layers::conv_norm`](super::Layers::conv_norm).
#[derive(Module, Debug)]
pub struct ConvNorm {
    /// The convolution.
    pub conv: SpikeConv2d,
    /// The normalisation, if there is one.
    pub norm: Option<AnyNorm>,
}

impl ConvNorm {
    /// Runs a sequence.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, channels_in, height_in, width_in]`
    /// - currents: `[T, B, channels_out, height_out, width_out]`
    pub fn forward(&self, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        context.currents(&self.conv, self.norm.as_ref(), input)
    }

    /// Runs a sequence and the neurons that it feeds, which are called `name`.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, channels_in, height_in, width_in]`
    /// - spikes: `[T, B, channels_out, height_out, width_out]`
    pub fn forward_into(
        &self,
        name: &str,
        neuron: &AnyNeuron,
        input: Tensor<5>,
        context: &mut Context,
    ) -> Tensor<5> {
        context.convolution(name, &self.conv, self.norm.as_ref(), neuron, input)
    }
}

/// A convolution, an optional normalisation, neurons, and optional pooling.
///
/// Created by [`Layers::conv_block`](super::Layers::conv_block).
#[derive(Module, Debug)]
pub struct ConvBlock {
    /// The convolution.
    pub conv: SpikeConv2d,
    /// The normalisation, if there is one.
    pub norm: Option<AnyNorm>,
    /// The neurons.
    pub neuron: AnyNeuron,
    /// Pooling of the spikes, if there is one.
    pub pool: Option<Pool2d>,
}

impl ConvBlock {
    /// Adds pooling of the spikes.
    pub fn with_pool(mut self, pool: Pool2d) -> Self {
        self.pool = Some(pool);
        self
    }

    /// Runs a sequence; the neurons are called `name`.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, channels_in, height_in, width_in]`
    /// - spikes: `[T, B, channels_out, height_out, width_out]`, smaller after pooling
    pub fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let norm = self.norm.as_ref();
        let spikes = context.convolution(name, &self.conv, norm, &self.neuron, input);
        match &self.pool {
            Some(pool) => pool.forward(spikes),
            None => spikes,
        }
    }
}

/// Neurons, a convolution and an optional normalisation: synaptic currents of the spikes, before a sum or other neurons.
///
/// Created by [`Layers::membrane_conv`](super::Layers::membrane_conv).
#[derive(Module, Debug)]
pub struct MembraneConv {
    /// The neurons.
    pub neuron: AnyNeuron,
    /// The convolution and the normalisation.
    pub currents: ConvNorm,
}

impl MembraneConv {
    /// Runs a sequence; the neurons are called `name`.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, channels_in, height_in, width_in]`
    /// - currents: `[T, B, channels_out, height_out, width_out]`
    pub fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        Self::chain([(name, self)], input, context)
    }

    /// Runs layers one after the other, each with the name of its neurons.
    pub(crate) fn chain<const N: usize>(
        layers: [(&str, &Self); N],
        input: Tensor<5>,
        context: &mut Context,
    ) -> Tensor<5> {
        let (first, others) = layers.split_first().expect("at least one layer");
        let (name, mut last) = *first;
        let mut spikes = context.neurons(name, &last.neuron, input);
        for (name, layer) in others {
            let currents = &last.currents;
            spikes = currents.forward_into(name, &layer.neuron, spikes, context);
            last = layer;
        }
        last.currents.forward(spikes, context)
    }
}

/// Runs blocks one after the other, with neurons called `conv1`, `conv2`, ...
pub(crate) fn run_blocks(
    blocks: &[ConvBlock],
    input: Tensor<5>,
    context: &mut Context,
) -> Tensor<5> {
    let names = numbered("conv", blocks.len());
    let blocks = blocks.iter().zip(&names);
    blocks.fold(input, |x, (block, name)| block.forward(name, x, context))
}

/// Reshapes flat samples to images: `[T, B, elements]` to `[T, B, channels, height, width]`.
///
/// # Panics
///
/// If they have another number of elements.
pub fn as_images(input: Tensor<3>, image: [usize; 3]) -> Tensor<5> {
    let [steps, batch, elements] = input.dims();
    assert!(
        elements == image.iter().product::<usize>(),
        "the input {:?} is not of images {image:?}",
        input.dims()
    );
    let [channels, height, width] = image;
    input.reshape([steps, batch, channels, height, width])
}

/// The mean of each channel: `[T, B, channels, height, width]` to `[T, B, channels]`.
pub(crate) fn global_average(input: Tensor<5>) -> Tensor<3> {
    let [steps, batch, channels, ..] = input.dims();
    let means = input.mean_dim(4).mean_dim(3);
    means.reshape([steps, batch, channels])
}

/// Height and width of an image after a number of 2x2 poolings.
///
/// # Errors
///
/// In the name of `owner`, if the result is empty or has more than 2^32 pixels.
pub(crate) fn pooled_size(
    owner: &'static str,
    image: [usize; 3],
    poolings: usize,
) -> Result<[usize; 2], InvalidConfig> {
    for size in image {
        InvalidConfig::require_size(owner, "image", size)?;
    }
    let [channels, height, width] = image;
    let pixels = (channels * height).checked_mul(width);
    let size = [height, width].map(|size| size.checked_shr(poolings as u32).unwrap_or(0));
    if size.contains(&0) || pixels.is_none_or(|pixels| pixels > 1 << 32) {
        let image = format!("{image:?}");
        let expected = "an image of a size that all poolings can take";
        return Err(InvalidConfig::new(owner, "image", image, expected));
    }
    Ok(size)
}
