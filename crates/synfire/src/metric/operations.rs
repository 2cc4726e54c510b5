//! The operations that the synapses of a network perform.

use std::ops::AddAssign;

use burn::module::Param;
use burn::nn::conv::Conv2d;
use burn::tensor::{Tensor, TensorReadError};
use serde::{Deserialize, Serialize};

use crate::layer::{SpikeConv2d, in_memory_order};

/// Synaptic operations, counted as NeuroBench does (Yik et al. 2025, *The neurobench framework for benchmarking
/// neuromorphic computing algorithms and systems*).
///
/// An operation is a non-zero input meeting a non-zero weight; biases do not count. It is an accumulate where the
/// non-zero inputs of a layer are all 1 or -1, as spikes are, else a multiply-accumulate. Counts are sums over the
/// samples and over all time steps of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SynapticOperations {
    /// Effective accumulates (NeuroBench: `Effective_ACs`).
    pub accumulates: f64,
    /// Effective multiply-accumulates (NeuroBench: `Effective_MACs`).
    pub multiply_accumulates: f64,
    /// Operations without skipping zeros (NeuroBench: `Dense`).
    pub dense: f64,
}

impl AddAssign for SynapticOperations {
    fn add_assign(&mut self, other: Self) {
        self.accumulates += other.accumulates;
        self.multiply_accumulates += other.multiply_accumulates;
        self.dense += other.dense;
    }
}

impl SynapticOperations {
    /// Accumulates and multiply-accumulates together.
    pub fn effective(&self) -> f64 {
        self.accumulates + self.multiply_accumulates
    }

    /// The mean per sample.
    pub fn per_sample(self, samples: usize) -> Self {
        let samples = samples as f64;
        Self {
            accumulates: self.accumulates / samples,
            multiply_accumulates: self.multiply_accumulates / samples,
            dense: self.dense / samples,
        }
    }
}

/// The operations of one layer for one batch, still on the device.
#[derive(Clone, Debug)]
pub struct LayerOperations {
    /// For a linear layer the number of non-zero values of each input, `[d_input]`; for a convolution the operations of each
    /// sample and step, `[T * B]`. Its product with `fan_out` is summed.
    active: Tensor<1>,
    /// Factor of `active`: for a linear layer each input's number of non-zero weights; else 1.
    fan_out: Tensor<1>,
    /// The number of inputs other than 0, 1 and -1, `[1]`.
    graded: Tensor<1>,
    dense: f64,
}

impl LayerOperations {
    /// Counts for a linear layer. Nothing is read back until [`count`](Self::count).
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, d_input]`, the input of the layer
    /// - weight: `[d_input, d_output]`
    pub fn linear(input: Tensor<3>, weight: Tensor<2>) -> Self {
        let [time_steps, batch, d_input] = input.dims();
        let [_, d_output] = weight.dims();
        let input = input.detach().reshape([time_steps * batch, d_input]);
        let weight = weight.detach();
        Self {
            active: nonzero(input.clone()).sum_dim(0).reshape([d_input]),
            fan_out: nonzero(weight).sum_dim(1).reshape([d_input]),
            graded: graded(input).sum(),
            dense: (time_steps * batch * d_input) as f64 * d_output as f64,
        }
    }

    /// Counts for a convolution. Padding does not count, except in `dense`. A sample with more than 2^24 operations in
    /// a step is counted as precisely as `f32` can.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, channels, height, width]`, the input of the layer
    pub fn conv2d(input: Tensor<5>, conv: &Conv2d) -> Self {
        let [time_steps, batch, ..] = input.dims();
        let [outputs, of_group, kernel_height, kernel_width] = conv.weight.dims();
        // Burn compares elements out of the order of memory one by one.
        let [spikes, graded] =
            in_memory_order([input.detach()], |[x]| [nonzero(x.clone()), graded(x)]);
        // An input counts the non-zero weights that it meets: a convolution with their number, in one output for each group.
        let groups = conv.groups;
        let of_groups = [
            groups,
            outputs / groups,
            of_group,
            kernel_height,
            kernel_width,
        ];
        let met = nonzero(conv.weight.val().detach()).reshape(of_groups);
        let met = met
            .sum_dim(1)
            .reshape([groups, of_group, kernel_height, kernel_width]);
        let counter = Conv2d {
            weight: Param::from_tensor(met),
            bias: None,
            ..conv.clone()
        };
        let counts = SpikeConv2d::from(counter).forward(spikes);
        let [_, _, _, height, width] = counts.dims();
        let active = counts
            .detach()
            .reshape([(time_steps * batch) as i64, -1])
            .sum_dim(1)
            .reshape([time_steps * batch]);
        let dense = [
            time_steps * batch,
            outputs,
            height,
            width,
            of_group,
            kernel_height,
            kernel_width,
        ];
        Self {
            fan_out: active.ones_like(),
            active,
            graded: graded.sum(),
            dense: dense.iter().map(|size| *size as f64).product(),
        }
    }

    /// Reads the counts.
    ///
    /// # Errors
    ///
    /// If the device fails to deliver them.
    pub fn count(&self) -> Result<SynapticOperations, TensorReadError> {
        let active = self.active.try_to_data()?.convert::<f64>();
        let fan_out = self.fan_out.try_to_data()?.convert::<f64>();
        // Products and sums of whole numbers far below 2^53: exact.
        let effective = active
            .iter::<f64>()
            .zip(fan_out.iter::<f64>())
            .map(|(active, fan_out)| active * fan_out)
            .sum();
        let binary = self.graded.clone().try_into_scalar::<f64>()? == 0.0;
        Ok(SynapticOperations {
            accumulates: if binary { effective } else { 0.0 },
            multiply_accumulates: if binary { 0.0 } else { effective },
            dense: self.dense,
        })
    }

    /// The same counts without the autodiff graph.
    pub fn without_autodiff(self) -> Self {
        Self {
            active: self.active.without_autodiff(),
            fan_out: self.fan_out.without_autodiff(),
            graded: self.graded.without_autodiff(),
            dense: self.dense,
        }
    }
}

/// 1 where a value is other than 0, 1 and -1.
fn graded<const D: usize>(values: Tensor<D>) -> Tensor<D> {
    let squares = values.clone() * values.clone();
    squares.not_equal(values.abs()).float()
}

fn nonzero<const D: usize>(values: Tensor<D>) -> Tensor<D> {
    values.not_equal_scalar(0.0).float()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{is_cubecl, serves};
    use burn::nn::PaddingConfig2d;
    use burn::nn::conv::Conv2dConfig;
    use burn::tensor::{Device, Int};

    fn count(input: [[[f32; 3]; 2]; 2], weight: [[f32; 2]; 3]) -> SynapticOperations {
        let device = Device::default();
        LayerOperations::linear(
            Tensor::from_floats(input, &device),
            Tensor::from_floats(weight, &device),
        )
        .count()
        .unwrap()
    }

    #[test]
    fn spikes_accumulate_and_zero_weights_do_not_count() {
        // Counted by hand: active inputs 3, 1 and 2 times; fan-outs 2, 1 and 2.
        let input = [
            [[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]],
            [[-1.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        ];
        let weight = [[0.5, -0.5], [0.0, 1.0], [2.0, 3.0]];
        let counted = count(input, weight);
        assert_eq!(counted.accumulates, 3.0 * 2.0 + 1.0 + 2.0 * 2.0);
        assert_eq!(counted.multiply_accumulates, 0.0);
        assert_eq!(counted.dense, 24.0);
        assert_eq!(counted.per_sample(2).accumulates, 5.5);
    }

    #[test]
    fn convolutions_count_every_pair() {
        let device = Device::default();
        let mut conv = Conv2dConfig::new([2, 4], [2, 2])
            .with_groups(2)
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .init(&device);
        // Channel 0 of the first group lacks one weight.
        let weight = conv.weight.val();
        let zero = Tensor::zeros([1, 1, 1, 1], &device);
        conv.weight = Param::from_tensor(weight.slice_assign([0..1, 0..1, 0..1, 0..1], zero));
        let mut input = Tensor::<5>::zeros([1, 2, 2, 3, 3], &device);
        let spike = Tensor::ones([1, 1, 1, 1, 1], &device);
        // One in the first sample, in the first group; two in the second, in the second group.
        for at in [[0, 0, 1, 1], [1, 1, 0, 0], [1, 1, 2, 2]] {
            let [b, c, h, w] = at;
            let at = [0..1, b..b + 1, c..c + 1, h..h + 1, w..w + 1];
            input = input.slice_assign(at, spike.clone());
        }
        let counted = LayerOperations::conv2d(input, &conv).count().unwrap();
        // Every spike meets 4 positions of the kernel in each of 2 output channels.
        assert_eq!(counted.accumulates, 7.0 + 8.0 + 8.0);
        assert_eq!(counted.dense, 2.0 * 4.0 * 16.0 * 4.0);
    }

    #[test]
    fn counts_are_those_of_a_convolution_of_ones_in_any_order_of_memory() {
        let device = Device::default();
        let conv = Conv2dConfig::new([4, 6], [3, 2])
            .with_groups(2)
            .with_stride([2, 1])
            .with_padding(PaddingConfig2d::Explicit(1, 0, 1, 1))
            .with_bias(false)
            .init(&device);
        let numbers = Tensor::<1, Int>::arange(0..720, &device).float() * 12.9898;
        let spikes = numbers
            .sin()
            .clamp(0.0, 1.0)
            .ceil()
            .reshape([2, 3, 5, 6, 4]);
        for level in [1.0, 2.0] {
            let input = (spikes.clone() * level).permute([0, 1, 4, 2, 3]);
            assert!(serves::stored_channels_last(&input));
            let plain = Tensor::from_data(input.to_data(), &device);
            // On GPUs it is assumed of all images.
            assert_eq!(serves::stored_channels_last(&plain), is_cubecl(&device));
            let mut ones = conv.clone();
            ones.weight = Param::from_tensor(conv.weight.val().ones_like());
            let counted = ones.forward(nonzero(plain.clone()).reshape([6, 4, 5, 6]));
            let expected = f64::from(counted.sum().into_scalar::<f32>());
            for input in [input, plain] {
                let counted = LayerOperations::conv2d(input, &conv).count().unwrap();
                let (spikes, graded) = (counted.accumulates, counted.multiply_accumulates);
                let of_spikes = level == 1.0;
                assert_eq!(spikes, if of_spikes { expected } else { 0.0 });
                assert_eq!(graded, if of_spikes { 0.0 } else { expected });
            }
        }
    }

    #[test]
    fn convolutions_of_graded_input_multiply() {
        let device = Device::default();
        let conv = Conv2dConfig::new([1, 1], [2, 2]).init(&device);
        let input = Tensor::<5>::full([1, 1, 1, 2, 2], 0.5, &device);
        let counted = LayerOperations::conv2d(input, &conv).count().unwrap();
        assert_eq!(counted.multiply_accumulates, 4.0);
        assert_eq!(counted.accumulates, 0.0);
    }

    #[test]
    fn graded_input_multiplies() {
        let input = [[[1.0, 0.0, 0.5], [0.0; 3]], [[0.0; 3], [0.0; 3]]];
        let counted = count(input, [[1.0; 2]; 3]);
        assert_eq!(counted.accumulates, 0.0);
        assert_eq!(counted.multiply_accumulates, 4.0);
    }
}
