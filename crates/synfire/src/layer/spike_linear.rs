//! Linear layer for spikes.

use burn::backend::Dispatch;
use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::ops::{OptionalTensor, Product, Synapse, SynapseKind, SynapseOps, serves};

/// Configuration of a [`SpikeLinear`].
#[derive(Config, Debug)]
pub struct SpikeLinearConfig {
    /// Configuration of Burn's layer.
    pub linear: LinearConfig,
    /// Product of spikes and weights.
    #[config(default = "Product::Auto")]
    pub product: Product,
}

impl SpikeLinearConfig {
    /// Creates the layer, with Burn's initialisation.
    pub fn init(&self, device: &Device) -> SpikeLinear {
        SpikeLinear::from(self.linear.init(device)).with_product(self.product)
    }
}

/// Burn's `Linear`, `y = x W + b`, faster on spikes: only the rows of `W` that belong to firing inputs are added.
///
/// Its parameters are those of `Linear`, so each loads the other's records. Products are event-driven if there is a kernel
/// (backend `flex`, single precision) and the input is binary and sparse; else Burn computes them. Both agree to rounding,
/// as they sum in a different order.
///
/// # Numbers that are not finite
///
/// In an event-driven product an input of 0 adds nothing, whatever its weight. In a dense product 0 times an infinite weight
/// is NaN. So non-finite weights only show in event-driven products when their input spikes.
///
/// Created by [`SpikeLinearConfig`], or [from](From) Burn's layer.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor, Tolerance};
/// use synfire::layer::SpikeLinear;
///
/// let device = Device::default();
/// let linear = LinearConfig::new(3, 8).init(&device);
/// let layer = SpikeLinear::from(linear.clone());
/// let spikes = Tensor::<3>::from_floats([[[0.0, 1.0, 1.0]], [[0.0, 0.0, 0.0]]], &device); // [T, B, inputs]
/// let expected = linear.forward(spikes.clone()).into_data();
/// layer.forward(spikes).into_data().assert_approx_eq::<f32>(&expected, Tolerance::default());
/// ```
#[derive(Module, Debug)]
pub struct SpikeLinear {
    /// The weights, `[d_input, d_output]`.
    pub weight: Param<Tensor<2>>,
    /// The biases, `[d_output]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// Product of spikes and weights.
    #[module(skip)]
    pub product: Product,
}

impl From<Linear> for SpikeLinear {
    fn from(linear: Linear) -> Self {
        Self {
            weight: linear.weight,
            bias: linear.bias,
            product: Product::Auto,
        }
    }
}

impl SpikeLinear {
    /// Sets the product of spikes and weights.
    pub fn with_product(mut self, product: Product) -> Self {
        self.product = product;
        self
    }

    /// Burn's layer with the same parameters.
    pub fn to_linear(&self) -> Linear {
        Linear {
            weight: self.weight.clone(),
            bias: self.bias.clone(),
        }
    }

    /// Multiplies with the weights and adds the biases.
    ///
    /// # Shapes
    ///
    /// - input: `[..., d_input]`, any rank
    /// - output: `[..., d_output]`
    ///
    /// # Panics
    ///
    /// If the last axis of the input is not `d_input`.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let weight = self.weight.val();
        let [d_input, _] = weight.dims();
        let shape = input.dims();
        assert!(
            shape[D - 1] == d_input,
            "SpikeLinear: the input {shape:?}, expected [..., {d_input}]"
        );
        if D == 1 {
            // As Burn does.
            let output = self.forward(input.reshape([1, d_input]));
            let [_, d_output] = output.dims();
            return output.reshape([d_output; D]);
        }
        let possible = serves::synapse(&input, &weight);
        if self.product == Product::Dense || !possible {
            return self.to_linear().forward(input);
        }
        let synapse = Synapse {
            kind: SynapseKind::Linear,
            product: self.product,
        };
        Tensor::from_dispatch(<Dispatch as SynapseOps>::synapse(
            input.into_dispatch(),
            weight.into_dispatch(),
            OptionalTensor::of(self.bias.as_ref().map(Param::val)),
            synapse,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "SpikeLinear: the input [2, 1, 5], expected [..., 4]")]
    fn other_inputs_are_named() {
        let device = Device::default();
        let layer = SpikeLinearConfig::new(LinearConfig::new(4, 3)).init(&device);
        layer.forward(Tensor::<3>::zeros([2, 1, 5], &device));
    }

    #[test]
    fn one_sample_needs_no_batch() {
        let device = Device::flex().autodiff();
        let layer = SpikeLinearConfig::new(LinearConfig::new(3, 2)).init(&device);
        for values in [[0.5, 0.2, 0.1], [1.0, 0.0, 1.0]] {
            let x = Tensor::<1>::from_floats(values, &device).require_grad();
            let output = layer.forward(x.clone());
            let expected = layer.to_linear().forward(x.clone());
            assert_eq!(output.dims(), [2]);
            let expected = expected.into_data();
            output
                .clone()
                .into_data()
                .assert_approx_eq::<f32>(&expected, burn::tensor::Tolerance::default());
            let gradients = output.sum().backward();
            assert_eq!(x.grad(&gradients).unwrap().dims(), [3]);
        }
    }

    #[test]
    fn weights_that_are_not_finite_show_where_a_spike_meets_them() {
        let device = Device::flex();
        let config = LinearConfig::new(2, 1).with_bias(false);
        let mut layer = SpikeLinearConfig::new(config).init(&device);
        layer.weight = Param::from_tensor(Tensor::from_floats([[f32::NAN], [2.0]], &device));
        let spikes = Tensor::<2>::from_floats([[0.0, 1.0], [1.0, 0.0]], &device);
        let output = layer.with_product(Product::Events).forward(spikes);
        let output = output.into_data().try_to_vec::<f32>().unwrap();
        assert!(output[0] == 2.0 && output[1].is_nan());
    }
}
