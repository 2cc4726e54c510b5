//! The windows of images of spikes, as bits.

use pulp::{Arch, Simd, WithSimd};

use super::{Cores, Geometry};
use crate::ops::bits::{BitMatrix, BitPlanes, BitWriter, copy_bits};

impl Geometry {
    /// The windows of some images in one group, a row for each output pixel. `spikes` has a row for each image.
    pub fn windows(
        &self,
        spikes: &BitPlanes,
        images: impl ExactSizeIterator<Item = usize> + Clone + Send,
        group: usize,
        cores: Cores,
    ) -> BitPlanes {
        let pixels = self.pixels();
        spikes.map(|spikes| {
            let mut windows = BitMatrix::zeros(images.len() * pixels, self.fan_in());
            let words = windows.stride() * pixels;
            let image = |(image, windows): (usize, &mut [u64])| {
                let image = spikes.words(image..image + 1);
                if self.fits_a_word() {
                    self.small_windows(image, windows);
                } else {
                    self.large_windows(image, group, windows);
                }
            };
            let all = images
                .clone()
                .zip(windows.words_mut().chunks_mut(words.max(1)));
            cores.each(all, image);
            windows
        })
    }

    /// Whether a window fits in one word and a padded row of the image in two.
    fn fits_a_word(&self) -> bool {
        let (begin, end) = self.window.padding[1];
        self.fan_in() <= 64
            && self.groups == 1
            && self.window.dilation[1] == 1
            && (self.size[1] + begin + end) * self.channels <= 128
    }

    fn small_windows(&self, image: &[u64], windows: &mut [u64]) {
        let [out_height, out_width] = self.out();
        let line_bits = self.size[1] * self.channels;
        let tap_bits = self.kernel[1] * self.channels;
        let mask = u64::MAX >> (64 - tap_bits);
        let step = (self.window.stride[1] * self.channels) as u32;
        // The last bit that a window looks at.
        let reach = (out_width - 1) * step as usize + tap_bits;
        let arch = Arch::new();
        for y in 0..out_height {
            let windows = &mut windows[y * out_width..][..out_width];
            for tap in 0..self.kernel[0] {
                let Some(from) = self.source(0, y, tap) else {
                    continue;
                };
                let mut line = [0u64; 2];
                copy_bits(image, from * line_bits, &mut line, 0, line_bits);
                let line = u128::from(line[0]) | u128::from(line[1]) << 64;
                let mut line = line << (self.window.padding[1].0 * self.channels);
                let at = tap * tap_bits;
                if reach <= 64 {
                    arch.dispatch(Shifts {
                        line: line as u64,
                        mask,
                        step: step as u64,
                        at: at as u64,
                        windows,
                    });
                    continue;
                }
                for window in windows.iter_mut() {
                    *window |= (line as u64 & mask) << at;
                    line = line.checked_shr(step).unwrap_or(0);
                }
            }
        }
    }

    fn large_windows(&self, image: &[u64], group: usize, windows: &mut [u64]) {
        let [out_height, out_width] = self.out();
        let [height, width] = self.kernel;
        let channels = self.group_channels();
        let stride = self.fan_in().div_ceil(64);
        let of_row = width * channels;
        // Neighbouring pixels are one run of bits.
        let one_run = self.groups == 1 && self.window.dilation[1] == 1;
        let mut windows = windows.chunks_exact_mut(stride);
        for y in 0..out_height {
            for x in 0..out_width {
                let mut writer = BitWriter::new(windows.next().expect("a window for each pixel"));
                // The first pixel of a row of the window, which may lie outside.
                let (start, padding) = (x * self.window.stride[1], self.window.padding[1].0);
                let first = padding.saturating_sub(start).min(width);
                let inside = (self.size[1] + padding).saturating_sub(start).min(width);
                for row in 0..height {
                    let Some(from_y) = self.source(0, y, row) else {
                        continue;
                    };
                    let line = from_y * self.size[1] * self.channels;
                    if one_run {
                        if first < inside {
                            let from = line + (start + first - padding) * channels;
                            writer.skip_to(row * of_row + first * channels);
                            writer.copy(image, from, (inside - first) * channels);
                        }
                        continue;
                    }
                    for tap in 0..width {
                        if let Some(from_x) = self.source(1, x, tap) {
                            let from = line + from_x * self.channels + group * channels;
                            writer.skip_to(row * of_row + tap * channels);
                            writer.copy(image, from, channels);
                        }
                    }
                }
                writer.finish();
            }
        }
    }
}

/// Extracts the windows of a line that fits in a word.
struct Shifts<'a> {
    line: u64,
    mask: u64,
    /// Bits from window to window.
    step: u64,
    /// The place of the masked bits in a window.
    at: u64,
    windows: &'a mut [u64],
}

impl WithSimd for Shifts<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (x, window) in (0..).zip(self.windows) {
            *window |= ((self.line >> (x * self.step)) & self.mask) << self.at;
        }
    }
}
