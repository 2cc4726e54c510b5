//! Normalisations that become part of the weights before them.

use burn::module::Param;
use burn::nn::BatchNorm;
use burn::tensor::Tensor;

use super::{SpikeConv2d, SpikeLinear};

/// What a normalisation does to a channel at inference: `y = factor x + offset`, `[C]` each.
fn parts(norm: &BatchNorm) -> (Tensor<1>, Tensor<1>) {
    let variance = norm.running_var.value_sync();
    let factor = norm.gamma.val() / (variance + norm.epsilon).sqrt();
    let offset = norm.beta.val() - norm.running_mean.value_sync() * factor.clone();
    (factor, offset)
}

/// Panics unless a normalisation is of what a layer puts out.
fn check(norm: &BatchNorm, outputs: usize, owner: &str) {
    let [channels] = norm.gamma.dims();
    assert!(
        channels == outputs,
        "{owner}: {outputs} outputs before a normalisation of {channels} channels"
    );
}

/// The bias of a layer after the normalisation.
fn bias(old: Option<&Param<Tensor<1>>>, factor: Tensor<1>, offset: Tensor<1>) -> Param<Tensor<1>> {
    Param::from_tensor(match old {
        Some(bias) => bias.val() * factor + offset,
        None => offset,
    })
}

impl SpikeConv2d {
    /// The convolution that does what this one and a batch normalisation after it do at inference, from the statistics that
    /// the normalisation remembers: `w gamma / sqrt(variance + epsilon)`, and a bias.
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
        let [outputs, ..] = self.weight.dims();
        check(norm, outputs, "SpikeConv2d");
        let (factor, offset) = parts(norm);
        let weight = self.weight.val() * factor.clone().reshape([outputs, 1, 1, 1]);
        let mut folded = self.clone();
        folded.weight = Param::from_tensor(weight);
        folded.bias = Some(bias(self.bias.as_ref(), factor, offset));
        folded
    }
}

impl SpikeLinear {
    /// The layer that does what this one and a batch normalisation after it do at inference, see [`SpikeConv2d::folded`].
    ///
    /// # Panics
    ///
    /// If the normalisation is of another number of channels.
    pub fn folded(&self, norm: &BatchNorm) -> Self {
        let [_, outputs] = self.weight.dims();
        check(norm, outputs, "SpikeLinear");
        let (factor, offset) = parts(norm);
        let weight = self.weight.val() * factor.clone().reshape([1, outputs]);
        let mut folded = self.clone();
        folded.weight = Param::from_tensor(weight);
        folded.bias = Some(bias(self.bias.as_ref(), factor, offset));
        folded
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
