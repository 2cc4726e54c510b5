//! Depthwise convolutions: each channel is a group, with one output.
//!
//! Channels are neighbours in memory, so each tap of a window is a product of two rows of channels. Events would save nothing: a
//! vector holds more channels than fire.

use pulp::{Arch, Simd, WithSimd};

use super::{Geometry, add};
use crate::ops::memory::with_scratch;

/// The kernels of a depthwise convolution, for one image on this thread. Images and outputs are `[height, width, channels]`, as
/// are weights.
#[derive(Clone, Copy)]
pub struct Depthwise<'a>(pub &'a Geometry);

impl Depthwise<'_> {
    /// The output, into `out`, which is 0.
    pub fn forward(self, image: &[f32], weights: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
        if let Some(bias) = bias {
            for out in out.chunks_exact_mut(bias.len()) {
                out.copy_from_slice(bias);
            }
        }
        self.run::<OUTPUT, IMAGE, TAP>(out, image, weights);
    }

    /// The gradient of the image from that of the output, into `out`, which is 0.
    pub fn input_backward(self, gradient: &[f32], weights: &[f32], out: &mut [f32]) {
        self.run::<IMAGE, OUTPUT, TAP>(out, gradient, weights);
    }

    /// Adds to the gradient of the weights.
    pub fn weights_backward(self, image: &[f32], gradient: &[f32], sums: &mut [f32]) {
        // Sums of an image first: fewer numbers meet one that is much larger.
        with_scratch([sums.len()], |[of_image]| {
            of_image.fill(0.0);
            self.run::<TAP, IMAGE, OUTPUT>(of_image, image, gradient);
            add(sums, of_image);
        });
    }

    fn run<const TO: usize, const A: usize, const B: usize>(
        self,
        to: &mut [f32],
        a: &[f32],
        b: &[f32],
    ) {
        let geometry = self.0;
        Arch::new().dispatch(Taps::<TO, A, B> { geometry, to, a, b });
    }
}

/// The rows that meet in a tap of a window: the pixel of the output, that of the image, and the tap's weights.
const OUTPUT: usize = 0;
const IMAGE: usize = 1;
const TAP: usize = 2;

/// Adds to row `TO` the product of rows `A` and `B`, in each tap of each window.
struct Taps<'a, const TO: usize, const A: usize, const B: usize> {
    geometry: &'a Geometry,
    to: &'a mut [f32],
    a: &'a [f32],
    b: &'a [f32],
}

impl<const TO: usize, const A: usize, const B: usize> WithSimd for Taps<'_, TO, A, B> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let geometry = self.geometry;
        let channels = geometry.channels;
        let [out_height, out_width] = geometry.out();
        let [height, width] = geometry.kernel;
        for y in 0..out_height {
            for row in 0..height {
                let Some(from_y) = geometry.source(0, y, row) else {
                    continue;
                };
                for x in 0..out_width {
                    for column in 0..width {
                        let Some(from_x) = geometry.source(1, x, column) else {
                            continue;
                        };
                        let rows = [
                            y * out_width + x,
                            from_y * geometry.size[1] + from_x,
                            row * width + column,
                        ];
                        let [to, a, b] = [TO, A, B].map(|which| rows[which] * channels);
                        let to = &mut self.to[to..][..channels];
                        let (a, b) = (&self.a[a..][..channels], &self.b[b..][..channels]);
                        for (to, (a, b)) in to.iter_mut().zip(a.iter().zip(b)) {
                            *to += a * b;
                        }
                    }
                }
            }
        }
    }
}
