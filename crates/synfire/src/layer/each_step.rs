//! An ordinary Burn layer at every time step.

use burn::tensor::Tensor;

use crate::ops::serves;

/// A tensor with other axes in place of its first ones: `[T, B, ...]` as `[T * B, ...]`, or back.
pub(super) fn with_leading<const FROM: usize, const TO: usize>(
    x: Tensor<FROM>,
    leading: &[usize],
) -> Tensor<TO> {
    let kept = TO - leading.len();
    let reshaped = |sizes: [usize; FROM]| {
        let mut reshaped = [0; TO];
        reshaped[..leading.len()].copy_from_slice(leading);
        reshaped[leading.len()..].copy_from_slice(&sizes[FROM - kept..]);
        reshaped
    };
    // CubeCL's image layers store channels last, but joining axes (also the gradient of dividing them) copies tensors that are
    // not contiguous. So the axes are permuted to the storage order first. A tensor stored in another order is copied here
    // instead of there.
    if kept == 3 && serves::cubecl(&x) {
        let inside = x.permute(channels_last_axes::<FROM>(FROM - kept));
        let sizes = inside.dims();
        let outside = channels_first_axes::<TO>(leading.len());
        return inside.reshape(reshaped(sizes)).permute(outside);
    }
    let sizes = x.dims();
    x.reshape(reshaped(sizes))
}

/// The permutation that moves the channel axis to the end.
pub(super) fn channels_last_axes<const D: usize>(channels: usize) -> [isize; D] {
    let mut axes = std::array::from_fn(|axis| axis as isize);
    axes[channels..].rotate_left(1);
    axes
}

/// Inverse of [`channels_last_axes`].
pub(super) fn channels_first_axes<const D: usize>(channels: usize) -> [isize; D] {
    let mut axes = std::array::from_fn(|axis| axis as isize);
    axes[channels..].rotate_right(1);
    axes
}

/// Applies a layer without memory to every time step at once, by folding time into the batch.
///
/// `layer` sees `[T * B, ...]`, so any Burn module does: a convolution, a normalisation, a block of them. (A layer
/// that accepts any rank, such as `Linear`, can be called on the sequence itself.)
///
/// `SEQUENCE` and `OUTPUT` are one higher than `BATCH` and `RESULT`.
///
/// # Shapes
///
/// - input: `[T, B, ...]`
/// - layer: `[T * B, ...]` to `[T * B, ...]`
/// - output: `[T, B, ...]`
///
/// # Panics
///
/// If the ranks do not fit each other, or the layer changes the size of the first axis.
///
/// ```
/// use burn::nn::conv::Conv2dConfig;
/// use burn::tensor::{Device, Tensor};
/// use synfire::layer::each_step;
///
/// let device = Device::default();
/// let conv = Conv2dConfig::new([1, 4], [3, 3]).init(&device);
/// let input = Tensor::<5>::ones([6, 2, 1, 8, 8], &device);
/// let output: Tensor<5> = each_step(input, |x| conv.forward(x));
/// assert_eq!(output.dims(), [6, 2, 4, 6, 6]);
/// ```
pub fn each_step<
    const SEQUENCE: usize,
    const BATCH: usize,
    const RESULT: usize,
    const OUTPUT: usize,
>(
    input: Tensor<SEQUENCE>,
    layer: impl FnOnce(Tensor<BATCH>) -> Tensor<RESULT>,
) -> Tensor<OUTPUT> {
    assert!(
        SEQUENCE == BATCH + 1 && OUTPUT == RESULT + 1,
        "each_step: a sequence of rank {SEQUENCE} for a layer from rank {BATCH} to rank {RESULT}, \
         back to rank {OUTPUT}; expected {} and {}",
        BATCH + 1,
        RESULT + 1,
    );
    let shape = input.dims();
    let (time_steps, batch) = (shape[0], shape[1]);
    let folded = with_leading::<SEQUENCE, BATCH>(input, &[time_steps * batch]);
    let before = folded.dims();
    let result = layer(folded);

    let result_shape = result.dims();
    assert!(
        result_shape[0] == time_steps * batch,
        "each_step: the layer turned {before:?} into {result_shape:?}, which is no longer {time_steps} time \
         steps of {batch} samples",
    );
    with_leading(result, &[time_steps, batch])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::conv::Conv2dConfig;
    use burn::tensor::{Device, Distribution, Tolerance};

    #[test]
    fn equals_the_layer_called_step_by_step() {
        let device = Device::default();
        let conv = Conv2dConfig::new([2, 3], [3, 3]).init(&device);
        let input = Tensor::<5>::random([4, 2, 2, 6, 5], Distribution::Default, &device);
        let together: Tensor<5> = each_step(input.clone(), |x| conv.forward(x));
        for (t, step) in input.split(1, 0).into_iter().enumerate() {
            let alone = conv.forward(step.squeeze_dim::<4>(0));
            let of_all = together.clone().slice(t..t + 1).squeeze_dim::<4>(0);
            of_all
                .into_data()
                .assert_approx_eq::<f32>(&alone.into_data(), Tolerance::default());
        }
    }

    #[test]
    #[should_panic(expected = "a sequence of rank 3 for a layer from rank 3")]
    fn wrong_ranks_are_named() {
        let input = Tensor::<3>::ones([2, 2, 2], &Device::default());
        let _: Tensor<3> = each_step::<3, 3, 2, 3>(input, |x| x.squeeze_dim(0));
    }

    #[test]
    #[should_panic(expected = "no longer 2 time steps of 3 samples")]
    fn a_layer_must_keep_the_batch() {
        let input = Tensor::<3>::ones([2, 3, 4], &Device::default());
        let _: Tensor<3> = each_step(input, |x: Tensor<2>| x.slice(0..4));
    }
}
