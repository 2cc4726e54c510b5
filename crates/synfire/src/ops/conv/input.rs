//! The gradient of the input of a convolution.

use std::mem::MaybeUninit;

use pulp::Arch;

use super::depthwise::Depthwise;
use super::{Geometry, each_image};
use crate::ops::dense::{DenseProduct, Gather, Weights};
use crate::ops::memory::{Shared, written};

impl Geometry {
    /// The gradient of the input, `[images, height, width, channels]`, from that of the output, `[images, height, width,
    /// outputs]`. `weights` are `[outputs, channels of a group, height, width]`.
    pub fn input_backward(&self, weights: &[f32], gradient: &[f32]) -> Vec<f32> {
        let back = match InputBackward::new(self, weights) {
            InputBackward::Dense(back) => back,
            InputBackward::Depthwise(depthwise, weights) => {
                let of_output = self.of_output();
                return each_image(self.images, self.of_image(), |image, out| {
                    let gradient = &gradient[image * of_output..][..of_output];
                    depthwise.input_backward(gradient, &weights, out);
                });
            }
        };
        let write = |out: Shared<MaybeUninit<f32>>| {
            for group in 0..self.groups {
                // SAFETY: `out` has room for all images, and groups have columns of their own.
                unsafe { back.product(group, gradient).run(self.images, out) };
            }
        };
        // SAFETY: the groups write all channels of all images.
        unsafe { written(self.images * self.of_image(), write) }
    }
}

/// The gradient of the input of a convolution, with its weights in the kernels' order.
pub enum InputBackward<'a> {
    Dense(DenseBackward<'a>),
    Depthwise(Depthwise<'a>, Vec<f32>),
}

impl<'a> InputBackward<'a> {
    /// Re-orders weights, `[outputs, channels of a group, height, width]`.
    pub fn new(geometry: &'a Geometry, weights: &[f32]) -> Self {
        match geometry.depthwise() {
            Some(depthwise) => Self::Depthwise(depthwise, geometry.weights_inside(weights)),
            None => Self::Dense(DenseBackward::new(geometry, weights)),
        }
    }

    /// Writes the gradients of as many images on this thread, from those of their outputs, one image after the other. That of the
    /// `i`th becomes the image `place(i)` of `out`.
    ///
    /// # Safety
    ///
    /// `out` has room for the images, and nothing else accesses them.
    pub unsafe fn images(
        &self,
        images: usize,
        gradient: &[f32],
        out: Shared<MaybeUninit<f32>>,
        place: impl Fn(usize) -> usize + Copy,
    ) {
        match self {
            Self::Dense(back) => {
                for group in 0..back.geometry.groups {
                    // SAFETY: the caller's; groups have columns of their own.
                    unsafe { back.product(group, gradient).run_here(images, out, place) };
                }
            }
            Self::Depthwise(depthwise, weights) => {
                let (of_image, of_output) = (depthwise.0.of_image(), depthwise.0.of_output());
                for image in 0..images {
                    let gradient = &gradient[image * of_output..][..of_output];
                    // SAFETY: the caller's.
                    let out = unsafe { out.zeros(place(image) * of_image, of_image) };
                    depthwise.input_backward(gradient, weights, out);
                }
            }
        }
    }
}

/// The gradient of the input as a dense product with packed weights.
pub struct DenseBackward<'a> {
    geometry: &'a Geometry,
    gather: Gather,
    /// Of each group.
    weights: Vec<Weights>,
}

impl<'a> DenseBackward<'a> {
    fn new(geometry: &'a Geometry, weights: &[f32]) -> Self {
        let (taps, channels) = (geometry.taps(), geometry.group_channels());
        let outputs = geometry.group_outputs();
        let weights = geometry.widened(weights);
        let pack = |group: usize| {
            let sizes = [taps, outputs, channels];
            Weights::pack(
                Arch::new(),
                &weights[group * outputs * channels * taps..],
                sizes,
                [1, channels * taps, taps],
            )
        };
        Self {
            geometry,
            gather: Gather::backward(geometry.axes()),
            weights: (0..geometry.groups).map(pack).collect(),
        }
    }

    fn product<'b>(&'b self, group: usize, gradient: &'b [f32]) -> DenseProduct<'b> {
        DenseProduct {
            arch: Arch::new(),
            gather: &self.gather,
            weights: &self.weights[group],
            source: gradient,
            source_columns: self.geometry.outputs_of(group),
            result_columns: self.geometry.channels_of(group),
            bias: None,
        }
    }
}
