//! Attention among time steps, channels and pixels: factors for all of them, from means and maxima.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::Tensor;
use burn::tensor::activation::{relu, sigmoid};
use synfire::layer::{AnyNorm, SpikeConv2d, SpikeLinear};

use super::Layers;
use crate::Context;
use crate::interop::Names;

/// Attention along an axis: the factor of each entry is `sigmoid(f(mean) + f(maximum))` of its numbers, where `f` is of two linear
/// layers without biases and a rectifier between them.
///
/// Created by [`Layers::axis_attention`].
#[derive(Module, Debug)]
pub struct AxisAttention {
    reduce: SpikeLinear,
    expand: SpikeLinear,
}

impl AxisAttention {
    /// The factors of the entries of an axis.
    ///
    /// # Shapes
    ///
    /// - numbers: `[B, entries, numbers of each]`
    /// - factors: `[B, entries]`
    pub fn factors(&self, numbers: Tensor<3>, context: &mut Context) -> Tensor<2> {
        let [batch, entries, _] = numbers.dims();
        let both = vec![numbers.clone().mean_dim(2), numbers.max_dim(2)];
        let both = Tensor::cat(both, 0).reshape([1, 2 * batch, entries]);
        let hidden = relu(context.linear(&self.reduce, both));
        let both = context.linear(&self.expand, hidden);
        let sums: Tensor<3> = both.reshape([2, batch, entries]).sum_dim(0);
        sigmoid(sums.squeeze_dim(0))
    }

    /// Multiplies the steps of a sequence with their factors.
    ///
    /// # Shapes
    ///
    /// - input, output: `[T, B, numbers]`
    pub fn of_steps(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        if context.is_dry() {
            // It has one step, whatever the number that the layer is for.
            context.need_whole("attention among time steps");
            return input;
        }
        let factors = self.factors(input.clone().swap_dims(0, 1), context);
        input * factors.swap_dims(0, 1).unsqueeze_dim::<3>(2)
    }

    /// Maps its layers to a key there, whose weights have this rank.
    pub(crate) fn names(names: &mut Names, here: &str, there: &str, rank: usize) {
        for (layer, i) in [("reduce", 0), ("expand", 2)] {
            let layer = format!("{here}.{layer}");
            names.module(&layer, &format!("{there}.sharedMLP.{i}"));
            names.rank(&layer, rank);
        }
    }
}

/// Multi-dimensional attention (Yao et al. 2023, *Attention Spiking Neural Networks*): the factors of time steps, then of channels,
/// then of pixels, each of what the ones before it left, and a rectifier. All need the whole sequence.
///
/// Created by [`Layers::multi_attention`].
#[derive(Module, Debug)]
pub struct MultiAttention {
    temporal: Option<AxisAttention>,
    channels: AxisAttention,
    pixels: SpikeConv2d,
}

impl MultiAttention {
    /// Runs a sequence.
    ///
    /// # Shapes
    ///
    /// - input, output: `[T, B, C, H, W]`
    ///
    /// # Panics
    ///
    /// If the channels, or the time steps with attention among them, are not those that it is for.
    pub fn forward(&self, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let [steps, batch, channels, height, width] = input.dims();
        context.need_whole("multi-dimensional attention");
        let mut x = input;
        if let Some(temporal) = &self.temporal {
            x = temporal
                .of_steps(x.flatten(2, 4), context)
                .reshape([steps, batch, channels, height, width]);
        }
        let numbers = x.clone().permute([1, 2, 0, 3, 4]);
        let numbers = numbers.reshape([batch, channels, steps * height * width]);
        let factors = self.channels.factors(numbers, context);
        let x = x * factors.reshape([1, batch, channels, 1, 1]);
        let pixels = x.clone().permute([1, 0, 2, 3, 4]);
        let pixels = pixels.reshape([1, batch, steps * channels, height, width]);
        let both = Tensor::cat(vec![pixels.clone().mean_dim(2), pixels.max_dim(2)], 2);
        let factors = sigmoid(context.currents(&self.pixels, None::<&AnyNorm>, both));
        relu(x * factors)
    }

    /// Maps its layers to a key there.
    pub(crate) fn names(&self, names: &mut Names, here: &str, there: &str) {
        if self.temporal.is_some() {
            AxisAttention::names(
                names,
                &format!("{here}.temporal"),
                &format!("{there}.ta"),
                5,
            );
        }
        AxisAttention::names(
            names,
            &format!("{here}.channels"),
            &format!("{there}.ca"),
            5,
        );
        names.module(&format!("{here}.pixels"), &format!("{there}.sa.conv"));
    }
}

impl Layers<'_> {
    /// The next layers: attention among so many entries, with hidden layers of a fraction of them.
    ///
    /// # Panics
    ///
    /// If the reduction is not from 1 to the number of entries.
    pub fn axis_attention(&mut self, entries: usize, reduction: usize) -> AxisAttention {
        assert!(
            (1..=entries).contains(&reduction),
            "Layers: a reduction of {reduction} for attention among {entries}"
        );
        let hidden = entries / reduction;
        AxisAttention {
            reduce: self.linear([entries, hidden]),
            expand: self.linear([hidden, entries]),
        }
    }

    /// The next layers: attention among channels and pixels, and among time steps, if they are given; each of the first two with
    /// its reduction.
    ///
    /// # Panics
    ///
    /// If a reduction is not from 1 to the number of entries.
    pub fn multi_attention(
        &mut self,
        time_steps: Option<[usize; 2]>,
        [channels, reduction]: [usize; 2],
    ) -> MultiAttention {
        let pixels = Conv2dConfig::new([2, 1], [3, 3])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .with_bias(false);
        MultiAttention {
            temporal: time_steps.map(|[steps, reduction]| self.axis_attention(steps, reduction)),
            channels: self.axis_attention(channels, reduction),
            pixels: self.conv(&pixels),
        }
    }
}
