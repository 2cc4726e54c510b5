//! Shortcuts of residual blocks: two uses of an input, and the join of two branches.

use burn::tensor::Tensor;

use super::each_step::{channels_first_axes, channels_last_axes};
use crate::ops::serves;

/// The input of a residual block, for its branch and for its shortcut.
///
/// The same as two clones. Where the layers keep the channels last in memory, so does the sum of their gradients.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::layer::{fork, join};
///
/// let device = Device::default();
/// let [branch, shortcut] = fork(Tensor::<5>::ones([2, 1, 3, 4, 4], &device));
/// let sum = join([branch.mul_scalar(2.0), shortcut], |a, b| a + b);
/// assert_eq!(sum.mean().into_scalar::<f32>(), 3.0);
/// ```
///
/// # Shapes
///
/// - input, both outputs: the same, `[T, B, C, ...]` or any other
pub fn fork<const D: usize>(input: Tensor<D>) -> [Tensor<D>; 2] {
    in_memory_order([input], |[x]| [x.clone(), x])
}

/// Joins two branches, element by element, in the order in which they are in memory: `+` of Burn would copy tensors that have
/// the channels last. `body` may see the axes in another order.
///
/// # Shapes
///
/// - branches, output: the same, `[T, B, C, ...]` or any other
pub fn join<const D: usize>(
    branches: [Tensor<D>; 2],
    body: impl FnOnce(Tensor<D>, Tensor<D>) -> Tensor<D>,
) -> Tensor<D> {
    let [joined] = in_memory_order(branches, |[a, b]| [body(a, b)]);
    joined
}

/// Element-wise operations on `[T, B, C, ...]`, with the channels as the last axis if the first input has them last in memory.
pub(crate) fn in_memory_order<const D: usize, const FROM: usize, const TO: usize>(
    inputs: [Tensor<D>; FROM],
    body: impl FnOnce([Tensor<D>; FROM]) -> [Tensor<D>; TO],
) -> [Tensor<D>; TO] {
    if !serves::stored_channels_last(&inputs[0]) {
        return body(inputs);
    }
    let outputs = body(inputs.map(|x| x.permute(channels_last_axes::<D>(2))));
    outputs.map(|x| x.permute(channels_first_axes::<D>(2)))
}
