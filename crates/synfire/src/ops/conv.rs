//! Convolutions of spikes: each output is the sum of the rows of weights that the spikes in its window select.
//!
//! Internally, channels come last: an image is `[height, width, channels]`, so that a row of a window is one run of bits and
//! the outputs of a pixel are neighbours. Tensors present it as `[channels, height, width]` by strides.

use std::mem::MaybeUninit;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::bits::{BitMatrix, BitPlanes, BitWriter, copy_bits};
use super::block::LANES;
use super::dense::{Axis, Columns, Correlation, DenseProduct, Gather, Weights};
use super::memory::{Shared, product, with_scratch, written};
use super::product::{DenseColumns, Place, product_at, product_in_tasks};

/// Pixels whose windows are processed together.
const PIXELS: usize = 1024;
/// The same for the gradient of the weights, with a partial sum per such part.
pub const PIXELS_OF_SUM: usize = 4096;
/// The maximum number of weights in all partial sums together, unless a minimum number of sums needs more.
pub const WEIGHTS_OF_SUMS: usize = 1 << 24;
const LEAST_SUMS: usize = 16;
/// Weights of an output that are re-ordered at once.
const RUN: usize = 128;

/// The options of a convolution, as in Burn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub stride: [usize; 2],
    /// At the start and at the end of an axis.
    pub padding: [(usize, usize); 2],
    pub dilation: [usize; 2],
    pub groups: usize,
}

impl Window {
    /// Height and width of the outputs for images and a kernel of these sizes, 0 where the kernel does not fit. None if a
    /// stride, a dilation or a size of the kernel is 0, or padding or dilation overflow.
    pub fn out(&self, size: [usize; 2], kernel: [usize; 2]) -> Option<[usize; 2]> {
        let axis = |axis: usize| {
            let (begin, end) = self.padding[axis];
            let dilation = self.dilation[axis];
            let gaps = kernel[axis].checked_sub(1)?.checked_mul(dilation)?;
            let reach = gaps.checked_add(1).filter(|_| dilation > 0)?;
            let padded = size[axis].checked_add(begin)?.checked_add(end)?;
            let steps = padded
                .checked_sub(reach)
                .map(|room| room.checked_div(self.stride[axis]));
            match steps {
                Some(steps) => steps?.checked_add(1),
                None => Some(0),
            }
        };
        Some([axis(0)?, axis(1)?])
    }
}

/// All sizes of a convolution, checked: no product of them exceeds what memory can hold.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    pub images: usize,
    pub channels: usize,
    /// Height and width of an image.
    pub size: [usize; 2],
    pub outputs: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    pub window: Window,
    /// Height and width of an output.
    out: [usize; 2],
}

/// The order in which the weights of a convolution are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightOrder {
    /// `[outputs, channels of a group, height, width]`.
    Tensor,
    /// [Inside](Geometry::weights_inside), of a single group.
    Inside,
}

/// The cores that share one product. None of its sums depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cores {
    /// This one; the others have products of their own.
    This,
    All,
}

impl Cores {
    /// For each of so many parts: with few of them some cores would have nothing to do.
    fn of_parts(parts: usize) -> Self {
        match parts < 4 * rayon::current_num_threads() {
            true => Self::All,
            false => Self::This,
        }
    }

    /// The product of all rows.
    ///
    /// # Safety
    ///
    /// As for [`product_at`].
    unsafe fn product(
        self,
        arch: Arch,
        bits: &BitPlanes,
        dense: DenseColumns,
        bias: Option<&[f32]>,
        place: Place,
    ) {
        // SAFETY: the caller's.
        unsafe {
            match self {
                Self::This => product_at(arch, bits, 0..bits.rows(), dense, bias, place),
                Self::All => {
                    // A guess: an eighth of the inputs fire.
                    let ones = bits.rows() * bits.columns() / 8;
                    product_in_tasks(arch, bits, dense, bias, place, ones);
                }
            }
        }
    }
}

/// A selection of the images.
pub type Images = std::iter::StepBy<Range<usize>>;

impl Geometry {
    /// The sizes for a number of images, `[channels, height, width]` each, and weights `[outputs, channels of a group, height,
    /// width]`.
    ///
    /// # Panics
    ///
    /// If the groups do not divide the outputs, the channels do not match, a stride, a dilation or a size of the kernel is 0,
    /// or outputs or windows are more than memory can hold.
    pub fn new(
        images: usize,
        [channels, height, width]: [usize; 3],
        weights: [usize; 4],
        window: Window,
    ) -> Self {
        let [outputs, of_group, rows, columns] = weights;
        let groups = window.groups;
        // Kernels write outputs group by group, so the groups must divide them.
        assert!(
            groups > 0
                && outputs.is_multiple_of(groups)
                && of_group.checked_mul(groups) == Some(channels),
            "kernel: {channels} channels and weights {weights:?} do not divide into {groups} groups"
        );
        let (size, kernel) = ([height, width], [rows, columns]);
        let fan_in = [of_group, rows, columns];
        let out = window.out(size, kernel).filter(|[out_height, out_width]| {
            // With a margin: windows are padded to whole words, and lookups include the image's padding.
            let fits = |sizes: &[usize]| product(&[sizes, &[128]].concat()).is_some();
            let [a, b, c] = fan_in;
            fits(&[images, *out_height, *out_width, outputs])
                && fits(&[images, *out_height, *out_width, a, b, c])
                && fits(&[images, channels, height, width])
        });
        let Some(out) = out else {
            panic!(
                "kernel: a convolution of {images} images of {channels}x{height}x{width} with weights {weights:?} and \
                 {window:?} has no window, or more of them than memory can hold"
            )
        };
        Self {
            images,
            channels,
            size,
            outputs,
            kernel,
            window,
            out,
        }
    }

    /// Height and width of an output.
    pub fn out(&self) -> [usize; 2] {
        self.out
    }

    /// Pixels of an output.
    fn pixels(&self) -> usize {
        self.out().iter().product()
    }

    fn group_channels(&self) -> usize {
        self.channels / self.window.groups
    }

    fn group_outputs(&self) -> usize {
        self.outputs / self.window.groups
    }

    /// Weights of an output.
    pub fn fan_in(&self) -> usize {
        self.kernel.iter().product::<usize>() * self.group_channels()
    }

    /// Weights `[outputs, channels of a group, height, width]` as `[groups, height, width, channels of a group, outputs of a
    /// group]`.
    pub fn weights_inside(&self, weights: &[f32]) -> Vec<f32> {
        assert_eq!(weights.len(), self.fan_in() * self.outputs, "all weights");
        let write = |inside: Shared<MaybeUninit<f32>>| {
            self.each_run(|run, runs, lines| {
                for (output, to) in runs.chunks_exact_mut(RUN).enumerate() {
                    to[..run.len].copy_from_slice(&weights[run.outside(output)..][..run.len]);
                }
                let stride = lines.len() / LANES;
                for first in (0..run.len).step_by(LANES) {
                    for (output, from) in runs.chunks_exact(RUN).enumerate() {
                        let from = from[first..].first_chunk::<LANES>().expect("a run");
                        for (i, x) in from.iter().enumerate() {
                            lines[i * stride + output] = *x;
                        }
                    }
                    let last = run.len.min(first + LANES);
                    for (row, line) in (first..last).zip(lines.chunks_exact(stride)) {
                        // SAFETY: no two runs have a row in common.
                        let place = unsafe { inside.part(run.inside(row), run.outputs) };
                        place.write_copy_of_slice(&line[..run.outputs]);
                    }
                }
            });
        };
        // SAFETY: every weight is in a run.
        unsafe { written(weights.len(), write) }
    }

    /// Inverse of [`weights_inside`](Self::weights_inside).
    pub fn weights_outside(&self, inside: &[f32]) -> Vec<f32> {
        assert_eq!(inside.len(), self.fan_in() * self.outputs, "all weights");
        let write = |weights: Shared<MaybeUninit<f32>>| {
            self.each_run(|run, runs, lines| {
                let stride = lines.len() / LANES;
                for first in (0..run.len).step_by(LANES) {
                    let last = run.len.min(first + LANES);
                    for (row, line) in (first..last).zip(lines.chunks_exact_mut(stride)) {
                        line[..run.outputs]
                            .copy_from_slice(&inside[run.inside(row)..][..run.outputs]);
                    }
                    for (output, to) in runs.chunks_exact_mut(RUN).enumerate() {
                        let to = to[first..].first_chunk_mut::<LANES>().expect("a run");
                        for (i, x) in to.iter_mut().enumerate() {
                            *x = lines[i * stride + output];
                        }
                    }
                }
                for (output, from) in runs.chunks_exact(RUN).enumerate() {
                    // SAFETY: no two runs have a weight in common.
                    let place = unsafe { weights.part(run.outside(output), run.len) };
                    place.write_copy_of_slice(&from[..run.len]);
                }
            });
        };
        // SAFETY: every weight is in a run.
        unsafe { written(inside.len(), write) }
    }

    /// Runs `body` for runs of weights, on all cores, with buffers: one for a run of each output, and one for [`LANES`] rows of
    /// outputs, whose stride is no power of two.
    ///
    /// Memory is slow where few elements are read or written at each of many places. So both sides are gone through in long
    /// runs, and re-ordered in the cache between them.
    fn each_run(&self, body: impl Fn(WeightRun, &mut [f32], &mut [f32]) + Sync) {
        let (fan_in, outputs) = (self.fan_in(), self.group_outputs());
        let of_group = fan_in.div_ceil(RUN);
        let run = |i: usize| {
            let first = i % of_group * RUN;
            let run = WeightRun {
                geometry: self,
                group: i / of_group,
                first,
                len: RUN.min(fan_in - first),
                outputs,
            };
            let stride = outputs.next_multiple_of(LANES) + LANES;
            with_scratch([outputs * RUN, LANES * stride], |[runs, lines]| {
                body(run, runs, lines);
            });
        };
        let all = 0..self.window.groups * of_group;
        match fan_in * self.outputs < 1 << 15 {
            true => all.for_each(run),
            false => all.into_par_iter().for_each(run),
        }
    }

    /// The image row or column of a window's `tap`, if inside the image.
    #[inline(always)]
    fn source(&self, axis: usize, out: usize, tap: usize) -> Option<usize> {
        let at = out * self.window.stride[axis] + tap * self.window.dilation[axis];
        at.checked_sub(self.window.padding[axis].0)
            .filter(|at| *at < self.size[axis])
    }

    /// The windows of some images in one group, a row for each output pixel. `spikes` has a row for each image.
    fn windows(
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
            match cores {
                Cores::This => all.for_each(image),
                Cores::All => all.par_bridge().for_each(image),
            }
            windows
        })
    }

    /// Whether a window fits in one word and a padded row of the image in two.
    fn fits_a_word(&self) -> bool {
        let (begin, end) = self.window.padding[1];
        self.fan_in() <= 64
            && self.window.groups == 1
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
        let one_run = self.window.groups == 1 && self.window.dilation[1] == 1;
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

    /// Splits the images into parts of about this number of output pixels.
    fn parts(&self, pixels: usize) -> impl IndexedParallelIterator<Item = Range<usize>> {
        let (images, count) = (self.images, (pixels / self.pixels().max(1)).max(1));
        let part = move |part| part * count..images.min((part + 1) * count);
        (0..images.div_ceil(count)).into_par_iter().map(part)
    }

    /// The convolution, `[images, height, width, outputs]`. `weights` are as [inside](Self::weights_inside).
    pub fn forward(&self, spikes: &BitPlanes, weights: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let of_image = self.pixels() * self.outputs;
        let parts = self.parts(PIXELS);
        let cores = Cores::of_parts(parts.len());
        let write = |out: Shared<MaybeUninit<f32>>| {
            let part = |images: Range<usize>| {
                let out = out.after(images.start * of_image);
                // SAFETY: images belong to one part.
                unsafe { self.forward_at(spikes, images, weights, bias, out, cores) };
            };
            match cores {
                Cores::This => parts.for_each(part),
                Cores::All => parts.collect::<Vec<_>>().into_iter().for_each(part),
            }
        };
        // SAFETY: the parts are all images, and `forward_at` writes all of them.
        unsafe { written(self.images * of_image, write) }
    }

    /// [`forward`](Self::forward) for some images; the first goes to the start of `out`.
    ///
    /// # Safety
    ///
    /// `out` has room for all of them, and nothing else accesses it.
    pub unsafe fn forward_at(
        &self,
        spikes: &BitPlanes,
        images: Range<usize>,
        weights: &[f32],
        bias: Option<&[f32]>,
        out: Shared<MaybeUninit<f32>>,
        cores: Cores,
    ) {
        let (arch, fan_in, outputs) = (Arch::new(), self.fan_in(), self.group_outputs());
        for group in 0..self.window.groups {
            let windows = self.windows(spikes, images.clone(), group, cores);
            let weights = &weights[group * fan_in * outputs..][..fan_in * outputs];
            let bias = bias.map(|bias| &bias[group * outputs..][..outputs]);
            let place = Place {
                out,
                stride: self.outputs,
                row: 0,
                column: group * outputs,
            };
            let weights = DenseColumns::all(weights, outputs);
            // SAFETY: the caller's, and groups have columns of their own.
            unsafe { cores.product(arch, &windows, weights, bias, place) };
        }
    }

    /// The gradient of the weights, as [inside](Self::weights_inside), from that of the output, `[images, height, width,
    /// outputs]`.
    pub fn weights_backward(&self, spikes: &BitPlanes, gradient: &[f32]) -> Vec<f32> {
        let (pixels, size) = (self.pixels(), self.fan_in() * self.outputs);
        if size == 0 || self.images * pixels == 0 {
            return vec![0.0; size];
        }
        let most = (WEIGHTS_OF_SUMS / size).max(LEAST_SUMS);
        let count = PIXELS_OF_SUM.max((self.images * pixels).div_ceil(most));
        let arch = Arch::new();
        // Parts do not depend on who computes them: the sum is the same in every run.
        let sum = |images: Range<usize>, cores| {
            let of_image = pixels * self.outputs;
            let gradient = &gradient[images.start * of_image..][..images.len() * of_image];
            self.weights_of_images(arch, spikes, images.step_by(1), gradient, cores)
        };
        let parts = self.parts(count);
        let cores = Cores::of_parts(parts.len());
        let sums: Vec<Vec<f32>> = match cores {
            Cores::This => parts.map(|images| sum(images, cores)).collect(),
            Cores::All => {
                let parts: Vec<_> = parts.collect();
                parts.into_iter().map(|images| sum(images, cores)).collect()
            }
        };
        let mut sums = sums.into_iter();
        let mut total = sums.next().expect("there is an image");
        sums.for_each(|sum| add_on_all_cores(&mut total, &sum));
        total
    }

    /// The contribution of some images to the gradient of the weights, their output gradients being consecutive in `gradient`.
    pub fn weights_of_images(
        &self,
        arch: Arch,
        spikes: &BitPlanes,
        images: Images,
        gradient: &[f32],
        cores: Cores,
    ) -> Vec<f32> {
        let (fan_in, outputs) = (self.fan_in(), self.group_outputs());
        let write = |out| {
            for group in 0..self.window.groups {
                let windows = self
                    .windows(spikes, images.clone(), group, cores)
                    .transposed();
                let place = Place {
                    out,
                    stride: outputs,
                    row: group * fan_in,
                    column: 0,
                };
                let numbers = DenseColumns {
                    values: gradient,
                    stride: self.outputs,
                    first: group * outputs,
                    columns: outputs,
                };
                // SAFETY: groups have rows of their own, and nothing else has `out`.
                unsafe { cores.product(arch, &windows, numbers, None, place) };
            }
        };
        // SAFETY: the groups are all rows.
        unsafe { written(fan_in * self.outputs, write) }
    }

    /// One axis after the other, for dense products.
    fn axes(&self) -> [Axis; 2] {
        [0, 1].map(|axis| Axis {
            size: self.size[axis],
            out: self.out[axis],
            kernel: self.kernel[axis],
            stride: self.window.stride[axis],
            dilation: self.window.dilation[axis],
            padding: self.window.padding[axis].0,
        })
    }

    /// The channels of the image that belong to a group.
    fn channels_of(&self, group: usize) -> Columns {
        Columns {
            stride: self.channels,
            first: group * self.group_channels(),
        }
    }

    /// The outputs that belong to a group.
    fn outputs_of(&self, group: usize) -> Columns {
        Columns {
            stride: self.outputs,
            first: group * self.group_outputs(),
        }
    }

    /// The convolution of real numbers, `[images, height, width, outputs]`. `x` has the channels last.
    pub fn dense_forward(
        &self,
        x: &[f32],
        (weights, order): (&[f32], WeightOrder),
        bias: Option<&[f32]>,
    ) -> Vec<f32> {
        let (arch, gather) = (Arch::new(), Gather::forward(self.axes()));
        let (taps, channels) = (self.taps(), self.group_channels());
        let outputs = self.group_outputs();
        let strides = match order {
            WeightOrder::Tensor => [1, taps, channels * taps],
            WeightOrder::Inside => [channels * outputs, outputs, 1],
        };
        let write = |out: Shared<MaybeUninit<f32>>| {
            for group in 0..self.window.groups {
                let sizes = [taps, channels, outputs];
                let weights = Weights::pack(
                    arch,
                    &weights[group * outputs * channels * taps..],
                    sizes,
                    strides,
                );
                let product = DenseProduct {
                    arch,
                    gather: &gather,
                    weights: &weights,
                    source: x,
                    source_columns: self.channels_of(group),
                    result_columns: self.outputs_of(group),
                    bias: bias.map(|bias| &bias[group * outputs..][..outputs]),
                };
                // SAFETY: `out` has room for all outputs, and groups have columns of their own.
                unsafe { product.run(self.images, out) };
            }
        };
        // SAFETY: the groups write all outputs of all images.
        unsafe { written(self.images * self.pixels() * self.outputs, write) }
    }

    /// The gradient of the weights, `[outputs, channels of a group, height, width]`, for an input of real numbers with the
    /// channels last, from that of the output, `[images, height, width, outputs]`.
    pub fn dense_weights_backward(&self, x: &[f32], gradient: &[f32]) -> Vec<f32> {
        let gather = Gather::forward(self.axes());
        let mut inside = Vec::with_capacity(self.fan_in() * self.outputs);
        for group in 0..self.window.groups {
            let correlation = Correlation {
                arch: Arch::new(),
                gather: &gather,
                image: x,
                image_columns: self.channels_of(group),
                gradient,
                gradient_columns: self.outputs_of(group),
                channels: self.group_channels(),
                outputs: self.group_outputs(),
            };
            inside.extend(correlation.run(self.images));
        }
        self.weights_outside(&inside)
    }

    /// The gradient of the input, `[images, height, width, channels]`, from that of the output, `[images, height, width,
    /// outputs]`. `weights` are `[outputs, channels of a group, height, width]`.
    pub fn input_backward(&self, weights: &[f32], gradient: &[f32]) -> Vec<f32> {
        let back = InputBackward::new(self, weights);
        let write = |out: Shared<MaybeUninit<f32>>| {
            for group in 0..self.window.groups {
                // SAFETY: `out` has room for all images, and groups have columns of their own.
                unsafe { back.product(group, gradient).run(self.images, out) };
            }
        };
        // SAFETY: the groups write all channels of all images.
        unsafe { written(self.images * self.of_image(), write) }
    }

    /// Elements of an image.
    pub fn of_image(&self) -> usize {
        self.size.iter().product::<usize>() * self.channels
    }

    /// Pixels of the kernel.
    fn taps(&self) -> usize {
        self.kernel.iter().product()
    }
}

/// For all outputs of a group, weights that are neighbours in the tensor: rows, in the order of channels, then taps.
struct WeightRun<'a> {
    geometry: &'a Geometry,
    group: usize,
    /// The first row, and their number.
    first: usize,
    len: usize,
    outputs: usize,
}

impl WeightRun<'_> {
    /// Where the run of an output starts in the tensor.
    fn outside(&self, output: usize) -> usize {
        (self.group * self.outputs + output) * self.geometry.fan_in() + self.first
    }

    /// Where the outputs of a row start inside.
    fn inside(&self, row: usize) -> usize {
        let (taps, channels) = (self.geometry.taps(), self.geometry.group_channels());
        let (channel, tap) = ((self.first + row) / taps, (self.first + row) % taps);
        ((self.group * taps + tap) * channels + channel) * self.outputs
    }
}

/// The gradient of the input of a convolution, as a dense product with packed weights.
pub struct InputBackward<'a> {
    geometry: &'a Geometry,
    gather: Gather,
    /// Of each group.
    weights: Vec<Weights>,
}

impl<'a> InputBackward<'a> {
    /// Packs weights, `[outputs, channels of a group, height, width]`.
    pub fn new(geometry: &'a Geometry, weights: &[f32]) -> Self {
        let (taps, channels) = (geometry.taps(), geometry.group_channels());
        let outputs = geometry.group_outputs();
        assert_eq!(
            weights.len(),
            taps * channels * geometry.outputs,
            "all weights"
        );
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
            weights: (0..geometry.window.groups).map(pack).collect(),
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
        for group in 0..self.geometry.window.groups {
            // SAFETY: the caller's; groups have columns of their own.
            unsafe { self.product(group, gradient).run_here(images, out, place) };
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

/// Adds element-wise.
#[inline(always)]
pub fn add(to: &mut [f32], from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}

/// [`add`] on all cores.
fn add_on_all_cores(to: &mut [f32], from: &[f32]) {
    const PART: usize = 1 << 15;
    let parts = to.par_chunks_mut(PART).zip(from.par_chunks(PART));
    parts.for_each(|(to, from)| add(to, from));
}

/// The sums of the columns of a matrix, in parts that do not depend on the number of threads.
pub fn column_sums(values: &[f32], columns: usize) -> Vec<f32> {
    let parts: Vec<Vec<f32>> = values
        .par_chunks((1 << 14) * columns.max(1))
        .map(|part| {
            let mut sums = vec![0.0f32; columns];
            // Sums of a few rows first: fewer numbers meet one that is much larger.
            for rows in part.chunks(256 * columns) {
                let mut few = vec![0.0f32; columns];
                for row in rows.chunks_exact(columns) {
                    add(&mut few, row);
                }
                add(&mut sums, &few);
            }
            sums
        })
        .collect();
    let mut total = vec![0.0f64; columns];
    for part in parts {
        for (total, x) in total.iter_mut().zip(part) {
            *total += f64::from(x);
        }
    }
    total.into_iter().map(|x| x as f32).collect()
}
