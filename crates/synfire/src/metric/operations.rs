//! The operations that the synapses of a network perform.

use std::ops::AddAssign;

use burn::tensor::{Tensor, TensorReadError};
use serde::{Deserialize, Serialize};

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
    /// What a machine that skips nothing would do (NeuroBench: `Dense`).
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
    /// For each input the number of its non-zero values, `[d_input]`.
    active: Tensor<1>,
    /// For each input the number of its non-zero weights, `[d_input]`.
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
    /// - input: `[T, B, d_input]`, what the layer was fed
    /// - weight: `[d_input, d_output]`
    pub fn linear(input: Tensor<3>, weight: Tensor<2>) -> Self {
        let [time_steps, batch, d_input] = input.dims();
        let [_, d_output] = weight.dims();
        let input = input.detach().reshape([time_steps * batch, d_input]);
        let weight = weight.detach();
        Self {
            active: nonzero(input.clone()).sum_dim(0).reshape([d_input]),
            fan_out: nonzero(weight).sum_dim(1).reshape([d_input]),
            graded: (nonzero(input.clone()) * nonzero(input.abs().sub_scalar(1.0))).sum(),
            dense: (time_steps * batch * d_input) as f64 * d_output as f64,
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

fn nonzero<const D: usize>(values: Tensor<D>) -> Tensor<D> {
    values.not_equal_scalar(0.0).float()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

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
    fn graded_input_multiplies() {
        let input = [[[1.0, 0.0, 0.5], [0.0; 3]], [[0.0; 3], [0.0; 3]]];
        let counted = count(input, [[1.0; 2]; 3]);
        assert_eq!(counted.accumulates, 0.0);
        assert_eq!(counted.multiply_accumulates, 4.0);
    }
}
