//! Convolutions of several linear layers. (They could be merged into one 3x3 convolution after training; nothing here does.)

use burn::module::Module;
use burn::tensor::Tensor;
use synfire::InvalidConfig;
use synfire::layer::{AnyNorm, Normalization, SpikeConv2d};

use super::{ConvNorm, Layers, conv1x1, depthwise};
use crate::Context;
use crate::interop::Names;

/// A re-parameterised convolution (Yao et al. 2024, *Spike-driven Transformer V2*): 1x1, normalisation, depthwise 3x3, 1x1,
/// normalisation, and the normalisation of the layer. No part has a bias.
///
/// The depthwise convolution sees a border of what the first normalisation makes of 0, by its running statistics and without a
/// gradient. (0 for normalisations other than those over all steps.)
///
/// Created by [`Layers::rep_conv`].
#[derive(Module, Debug)]
pub struct RepConv {
    /// The first 1x1 convolution.
    pub first: ConvNorm,
    /// The depthwise convolution.
    pub depthwise: SpikeConv2d,
    /// The second 1x1 convolution.
    pub second: ConvNorm,
    /// The normalisation of the layer.
    pub norm: Option<AnyNorm>,
}

impl RepConv {
    /// Runs a sequence.
    ///
    /// # Shapes
    ///
    /// - input, currents: `[T, B, C, H, W]`
    pub fn forward(&self, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let first = self.first.forward(input, context);
        let depthwise = match self.border() {
            Some(border) => {
                // Without the border it is 0, as the padding of the convolution; its part of each output is the same.
                let weights = self.depthwise.weight.val();
                let taps: Tensor<1> = weights.flatten::<2>(1, 3).sum_dim(1).squeeze_dim(1);
                let inside = shifted(first, -border.clone());
                let depthwise = context.currents(&self.depthwise, None::<&AnyNorm>, inside);
                shifted(depthwise, border * taps)
            }
            None => context.currents(&self.depthwise, None::<&AnyNorm>, first),
        };
        let second = self.second.forward(depthwise, context);
        match &self.norm {
            Some(norm) => context.normalize(norm, second),
            None => second,
        }
    }

    fn border(&self) -> Option<Tensor<1>> {
        let norm = self.first.norm.as_ref()?.batch_norm()?;
        let variance = norm.running_var.value_sync() + norm.epsilon;
        let scale = norm.gamma.val().detach() / variance.sqrt();
        Some(norm.beta.val().detach() - norm.running_mean.value_sync() * scale)
    }

    /// Maps its modules to the names of the authors' code, which begin with `there`.
    pub(crate) fn names(names: &mut Names, here: &str, there: &str) {
        let body = format!("{there}.0.body");
        let parts = ["0", "1.bn"].map(|part| format!("{body}.{part}"));
        names.conv_norm(&format!("{here}.first"), parts);
        names.module(&format!("{here}.depthwise"), &format!("{body}.2.0"));
        let parts = [1, 2].map(|part| format!("{body}.2.{part}"));
        names.conv_norm(&format!("{here}.second"), parts);
        names.module(&format!("{here}.norm"), &format!("{there}.1"));
    }
}

/// Adds a number to each channel, in the order of memory.
fn shifted(x: Tensor<5>, by: Tensor<1>) -> Tensor<5> {
    let [channels] = by.dims();
    let inside = x.permute([0, 1, 3, 4, 2]) + by.reshape([1, 1, 1, 1, channels]);
    inside.permute([0, 1, 4, 2, 3])
}

impl Layers<'_> {
    /// The next layers: a re-parameterised convolution that keeps the number of channels.
    ///
    /// # Errors
    ///
    /// If the threshold is not above 0 where the normalisation depends on it.
    pub fn rep_conv(&mut self, channels: usize) -> Result<RepConv, InvalidConfig> {
        let conv = conv1x1([channels; 2], 1);
        let first = self.conv_norm(&conv, 1)?;
        let depthwise = self.conv(&depthwise(channels, 3));
        let ConvNorm { conv, norm } = self.conv_norm(&conv, 1)?;
        Ok(RepConv {
            first,
            depthwise,
            second: ConvNorm { conv, norm },
            norm: self.norm(channels, 1)?,
        })
    }
}
