//! Attention among spikes.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::ops::{Attention, AttentionOps, serves};

/// Spiking self-attention (Zhou et al. 2023, *Spikformer: When Spiking Neural Network Meets Transformer*): `scale Q Kᵀ V` in each
/// head and time step, among the pixels of an image. Queries, keys and values are spikes, so that there is no softmax.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::layer::self_attention;
///
/// // Queries, keys and values of 4 channels in 2 heads, for 3 x 3 tokens.
/// let spikes = Tensor::<5>::ones([2, 1, 3 * 4, 3, 3], &Device::default());
/// let attended = self_attention(spikes, 2, 0.125);
/// assert_eq!(attended.dims(), [2, 1, 4, 3, 3]);
/// // 9 keys meet each query in both channels of a head.
/// assert_eq!(attended.mean().into_scalar::<f32>(), 18.0 * 0.125);
/// ```
///
/// # Shapes
///
/// - input: `[T, B, 3 * C, H, W]`, queries, keys and values one after the other, each with the channels of the first head first
/// - output: `[T, B, C, H, W]`
///
/// # Panics
///
/// If there are no heads, or the channels are not three times a multiple of them, above 0.
pub fn self_attention(qkv: Tensor<5>, heads: usize, scale: f64) -> Tensor<5> {
    let [steps, batch, channels, height, width] = qkv.dims();
    let attention = Attention {
        heads,
        scale: scale as f32,
    };
    assert!(
        attention.divides(channels),
        "self_attention: {channels} channels are not queries, keys and values of {heads} heads"
    );
    if serves::flex_or_its_server(&qkv) {
        let attended = <Dispatch as AttentionOps>::spike_attention(qkv.into_dispatch(), attention);
        return Tensor::from_dispatch(attended);
    }
    let of_head = channels / (3 * heads);
    let tokens = height * width;
    let parts = qkv.reshape([steps * batch, 3 * heads, of_head, tokens]);
    let [queries, keys, values] = [0, 1, 2].map(|part| {
        let heads = part * heads..(part + 1) * heads;
        parts.clone().slice_dim(1, heads)
    });
    // As the kernel: the number of tokens enters linearly.
    let attended = values.matmul(keys.transpose()).matmul(queries) * scale;
    attended.reshape([steps, batch, channels / 3, height, width])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, Distribution, Int, Tolerance};

    /// Compares outputs and gradients of the kernel with those of Burn's products, which serve double precision.
    fn compare(input: Tensor<5>, heads: usize) {
        let run = |input: Tensor<5>| {
            let input = input.require_grad();
            let output = self_attention(input.clone(), heads, 0.125);
            let count = output.shape().num_elements() as i64;
            let weight = Tensor::<1, Int>::arange(0..count, &output.device()).float() * 0.7;
            let weight = weight.sin().cast(output.dtype()).reshape(output.dims());
            let gradients = (output.clone() * weight).sum().backward();
            [output.inner(), input.grad(&gradients).unwrap()]
        };
        let plain = input.clone().cast(DType::F64);
        for (got, expected) in run(input).into_iter().zip(run(plain)) {
            let expected = expected.into_data().convert::<f32>();
            let tolerance = Tolerance::rel_abs(1e-5, 1e-5);
            got.into_data()
                .assert_approx_eq::<f32>(&expected, tolerance);
        }
    }

    #[test]
    fn kernels_equal_products_of_matrices() {
        // Only flex has a kernel, and double precision.
        let device = Device::flex().autodiff();
        for (shape, heads) in [
            ([2, 3, 3 * 8, 4, 5], 2),
            ([1, 1, 3 * 3, 2, 3], 1),
            ([2, 2, 3 * 48, 3, 3], 1),
            ([1, 2, 3 * 132, 2, 2], 2),
            ([1, 1, 3 * 4, 1, 1], 4),
        ] {
            let numbers = Tensor::<5>::random(shape, Distribution::Uniform(-0.5, 1.0), &device);
            for threshold in [-1.0, 0.0, 0.7, 1.0] {
                compare(numbers.clone().greater_scalar(threshold).float(), heads);
            }
            compare(numbers, heads);
        }
    }

    #[test]
    fn images_without_tokens_stay_empty() {
        let device = Device::flex().autodiff();
        for shape in [[2, 1, 12, 0, 3], [0, 1, 12, 2, 2], [2, 0, 12, 2, 2]] {
            let input = Tensor::<5>::zeros(shape, &device).require_grad();
            let output = self_attention(input.clone(), 2, 1.0);
            let gradients = output.sum().backward();
            assert_eq!(input.grad(&gradients).unwrap().dims(), shape);
        }
    }

    #[test]
    #[should_panic(expected = "queries, keys and values of 12297829382473034411 heads")]
    fn heads_whose_product_would_wrap_are_refused() {
        let input = Tensor::zeros([1, 1, 12, 2, 2], &Device::flex());
        self_attention(input, usize::MAX / 3 * 2 + 1, 1.0);
    }

    #[test]
    #[should_panic(expected = "12 channels are not queries, keys and values of 3 heads")]
    fn channels_are_heads() {
        self_attention(Tensor::zeros([1, 1, 12, 2, 2], &Device::default()), 3, 1.0);
    }
}
