//! Folding of batch normalisation into the preceding weights.

use burn::module::Param;
use burn::nn::BatchNorm;
use burn::tensor::Tensor;

use super::{SpikeConv2d, SpikeLinear};
use crate::ops::serves;

/// Folds a normalisation, `y = factor x + offset` for each channel at inference, into weights and biases. `outputs` is the
/// output axis of the weights.
fn folded<const D: usize>(
    owner: &str,
    norm: &BatchNorm,
    weight: &Param<Tensor<D>>,
    outputs: usize,
    bias: Option<&Param<Tensor<1>>>,
) -> (Param<Tensor<D>>, Option<Param<Tensor<1>>>) {
    let ([channels], count) = (norm.gamma.dims(), weight.dims()[outputs]);
    assert!(
        channels == count,
        "{owner}: {count} outputs before a normalisation of {channels} channels"
    );
    let variance = norm.running_var.value_sync();
    let factor = norm.gamma.val() / (variance + norm.epsilon).sqrt();
    let offset = norm.beta.val() - norm.running_mean.value_sync() * factor.clone();
    let mut broadcast = [1; D];
    broadcast[outputs] = count;
    let weight = weight.val() * factor.clone().reshape(broadcast);
    let bias = match bias {
        Some(bias) => bias.val() * factor + offset,
        None => offset,
    };
    (
        Param::from_tensor(weight.detach()),
        Some(Param::from_tensor(bias.detach())),
    )
}

impl SpikeConv2d {
    /// Folds a batch normalisation that follows this convolution into its weights, for inference. It uses the running
    /// statistics: the weights become `w gamma / sqrt(variance + epsilon)`, and the offset a bias.
    ///
    /// ```
    /// use burn::nn::conv::Conv2dConfig;
    /// use burn::tensor::{Device, Tensor, Tolerance};
    /// use synfire::layer::{SpikeConv2d, TdBatchNormConfig};
    ///
    /// let device = Device::default();
    /// let conv = SpikeConv2d::from(Conv2dConfig::new([2, 4], [3, 3]).with_bias(false).init(&device));
    /// let norm = TdBatchNormConfig::new(4, 0.5).init(&device)?;
    /// let input = Tensor::<5>::ones([3, 1, 2, 6, 6], &device);
    /// let both = norm.forward(conv.forward(input.clone()));
    /// let folded = conv.folded(&norm.norm).forward(input);
    /// folded.into_data().assert_approx_eq::<f32>(&both.into_data(), Tolerance::default());
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If the normalisation is of another number of channels.
    pub fn folded(&self, norm: &BatchNorm) -> Self {
        let (weight, bias) = folded("SpikeConv2d", norm, &self.weight, 0, self.bias.as_ref());
        let folded = Self {
            weight,
            bias,
            ..self.clone()
        };
        folded.ordered()
    }

    /// The same layer, whose weights are stored in the order in which kernels read them, so that no pass has to re-order them.
    /// For inference: optimisers would copy them.
    pub fn ordered(mut self) -> Self {
        let weight = self.weight.val();
        if serves::flex(&weight) {
            let [outputs, channels, height, width] = weight.dims();
            let stored = weight.permute([2, 3, 1, 0]);
            // Of both passes the first copies.
            let stored = stored.reshape([outputs * channels * height * width]);
            let stored = stored.reshape([height, width, channels, outputs]);
            self.weight = Param::from_tensor(stored.permute([3, 2, 0, 1]).detach());
        }
        self
    }
}

impl SpikeLinear {
    /// Folds a batch normalisation that follows this layer into its weights, see [`SpikeConv2d::folded`].
    ///
    /// # Panics
    ///
    /// If the normalisation is of another number of channels.
    pub fn folded(&self, norm: &BatchNorm) -> Self {
        let (weight, bias) = folded("SpikeLinear", norm, &self.weight, 1, self.bias.as_ref());
        Self {
            weight,
            bias,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::SeqBatchNormConfig;
    use burn::module::RunningState;
    use burn::nn::LinearConfig;
    use burn::tensor::{Device, Distribution, Tolerance};

    #[test]
    fn a_folded_layer_does_what_both_did() {
        let device = Device::default();
        let floats = |values: [f32; 3]| Tensor::<1>::from_floats(values, &device);
        let mut norm = SeqBatchNormConfig::new(3).init(&device).unwrap();
        norm.norm.gamma = Param::from_tensor(floats([0.5, 2.0, -1.0]));
        norm.norm.beta = Param::from_tensor(floats([0.25, -1.0, 3.0]));
        norm.norm.running_mean = RunningState::new(floats([1.0, -0.5, 0.125]));
        norm.norm.running_var = RunningState::new(floats([0.5, 4.0, 1.5]));
        for bias in [true, false] {
            let linear = LinearConfig::new(5, 3).with_bias(bias).init(&device);
            let linear = SpikeLinear::from(linear);
            let input = Tensor::<3>::random([2, 4, 5], Distribution::Default, &device);
            let both = norm.forward(linear.forward(input.clone()));
            let folded = linear.folded(&norm.norm).forward(input);
            folded
                .into_data()
                .assert_approx_eq::<f32>(&both.into_data(), Tolerance::default());
        }
    }
}
