//! Convolutions of spikes: each output is the sum of the rows of weights that the spikes in its window select.
//!
//! Internally, channels come last: an image is `[height, width, channels]`, so that a row of a window is one run of bits and
//! the outputs of a pixel are neighbours. Tensors present it as `[channels, height, width]` by strides.

mod depthwise;
mod input;
mod weights;
mod windows;

use std::mem::MaybeUninit;
use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::bits::BitPlanes;
use super::block::LANES;
use super::dense::{Axis, Columns, Correlation, DenseProduct, Gather, Weights};
use super::memory::{Shared, product, with_scratch, written};
use super::product::{DenseColumns, Place, product_at, product_in_tasks};
use depthwise::Depthwise;

pub use input::InputBackward;

/// Pixels whose windows are processed together.
const PIXELS: usize = 1024;
/// The same for the gradient of the weights, with a partial sum per such part.
pub const PIXELS_OF_SUM: usize = 4096;
/// The maximum number of weights in all partial sums together, unless a minimum number of sums needs more.
pub const WEIGHTS_OF_SUMS: usize = 1 << 24;
const LEAST_SUMS: usize = 16;

/// The options of a convolution, as in Burn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The groups of the products: narrow groups run together.
    groups: usize,
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

    /// Runs `body` for each item.
    fn each<T: Send>(self, items: impl Iterator<Item = T> + Send, body: impl Fn(T) + Sync + Send) {
        match self {
            Self::This => items.for_each(body),
            Self::All => items.par_bridge().for_each(body),
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
                    let additions = bits.rows() * bits.columns() / 8;
                    product_in_tasks(arch, bits, dense, bias, place, additions);
                }
            }
        }
    }
}

/// A selection of the images.
pub type Images = std::iter::StepBy<Range<usize>>;

/// How many groups of so many channels and outputs are computed together, with weights of 0 between them: as many as fill a
/// vector. A depthwise convolution has kernels of its own.
fn groups_together(groups: usize, sizes: [usize; 2]) -> usize {
    if sizes == [1; 2] {
        return 1;
    }
    let fits = |together: &usize| groups.is_multiple_of(*together) && together * sizes[1] <= LANES;
    (1..=groups.min(LANES)).rev().find(fits).unwrap_or(1)
}

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
        let together = groups_together(groups, [of_group, outputs / groups]);
        let fan_in = [of_group * together, rows, columns];
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
            groups: groups / together,
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
        self.channels / self.groups
    }

    fn group_outputs(&self) -> usize {
        self.outputs / self.groups
    }

    /// Weights of an output, with those that are 0 because groups run together.
    pub fn fan_in(&self) -> usize {
        self.kernel.iter().product::<usize>() * self.group_channels()
    }

    /// The kernels of a [depthwise](Self::is_depthwise) convolution.
    fn depthwise(&self) -> Option<Depthwise<'_>> {
        self.is_depthwise().then_some(Depthwise(self))
    }

    /// Whether groups are single channels with single outputs, where events save nothing.
    pub fn is_depthwise(&self) -> bool {
        let groups = self.window.groups;
        groups > 1 && [self.channels, self.outputs] == [groups; 2]
    }

    /// The image row or column of a window's `tap`, if inside the image.
    #[inline(always)]
    pub fn source(&self, axis: usize, out: usize, tap: usize) -> Option<usize> {
        let at = out * self.window.stride[axis] + tap * self.window.dilation[axis];
        at.checked_sub(self.window.padding[axis].0)
            .filter(|at| *at < self.size[axis])
    }

    /// Splits the images into parts of about this number of output pixels.
    fn parts(&self, pixels: usize) -> impl IndexedParallelIterator<Item = Range<usize>> {
        let (images, count) = (self.images, (pixels / self.pixels().max(1)).max(1));
        let part = move |part| part * count..images.min((part + 1) * count);
        (0..images.div_ceil(count)).into_par_iter().map(part)
    }

    /// The convolution, `[images, height, width, outputs]`. `weights` are as [inside](Self::weights_inside).
    pub fn forward(&self, spikes: &BitPlanes, weights: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let of_image = self.of_output();
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
        if let Some(depthwise) = self.depthwise() {
            let image = |(i, row)| {
                with_scratch([self.of_image()], |[image]| {
                    spikes.unpack(row, image);
                    // SAFETY: the caller's; images have places of their own.
                    let out = unsafe { out.zeros(i * self.of_output(), self.of_output()) };
                    depthwise.forward(image, weights, bias, out);
                });
            };
            return cores.each(images.enumerate(), image);
        }
        let (arch, fan_in, outputs) = (Arch::new(), self.fan_in(), self.group_outputs());
        for group in 0..self.groups {
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
        let arch = Arch::new();
        self.sum_of_parts(|images, cores| {
            let of_output = self.of_output();
            let gradient = &gradient[images.start * of_output..][..images.len() * of_output];
            self.weights_of_images(arch, spikes, images.step_by(1), gradient, cores)
        })
    }

    /// The sum of the contributions of parts of the images to the gradient of the weights.
    fn sum_of_parts(&self, sum: impl Fn(Range<usize>, Cores) -> Vec<f32> + Sync) -> Vec<f32> {
        let (pixels, size) = (self.pixels(), self.fan_in() * self.outputs);
        if size == 0 || self.images * pixels == 0 {
            return vec![0.0; size];
        }
        let most = (WEIGHTS_OF_SUMS / size).max(LEAST_SUMS);
        let count = PIXELS_OF_SUM.max((self.images * pixels).div_ceil(most));
        // Parts do not depend on who computes them: the sum is the same in every run.
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
        if let Some(depthwise) = self.depthwise() {
            let mut sums = vec![0.0; self.fan_in() * self.outputs];
            with_scratch([self.of_image()], |[image]| {
                for (i, row) in images.enumerate() {
                    let gradient = &gradient[i * self.of_output()..][..self.of_output()];
                    spikes.unpack(row, image);
                    depthwise.weights_backward(image, gradient, &mut sums);
                }
            });
            return sums;
        }
        let (fan_in, outputs) = (self.fan_in(), self.group_outputs());
        let write = |out| {
            for group in 0..self.groups {
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
        if let Some(depthwise) = self.depthwise() {
            let weights = self.weights_inside(weights);
            let of_image = self.of_image();
            return each_image(self.images, self.of_output(), |image, out| {
                let image = &x[image * of_image..][..of_image];
                depthwise.forward(image, &weights, bias, out);
            });
        }
        let (arch, gather) = (Arch::new(), Gather::forward(self.axes()));
        let (taps, channels) = (self.taps(), self.group_channels());
        let outputs = self.group_outputs();
        let weights = self.widened(weights);
        let strides = match order {
            WeightOrder::Tensor => [1, taps, channels * taps],
            WeightOrder::Inside => [channels * outputs, outputs, 1],
        };
        let write = |out: Shared<MaybeUninit<f32>>| {
            for group in 0..self.groups {
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
        if let Some(depthwise) = self.depthwise() {
            let (of_image, of_output) = (self.of_image(), self.of_output());
            let inside = self.sum_of_parts(|images, _| {
                let mut sums = vec![0.0; self.fan_in() * self.outputs];
                for i in images {
                    let image = &x[i * of_image..][..of_image];
                    let gradient = &gradient[i * of_output..][..of_output];
                    depthwise.weights_backward(image, gradient, &mut sums);
                }
                sums
            });
            return self.weights_outside(&inside);
        }
        let gather = Gather::forward(self.axes());
        let mut inside = Vec::with_capacity(self.fan_in() * self.outputs);
        for group in 0..self.groups {
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

    /// Elements of an output.
    pub fn of_output(&self) -> usize {
        self.pixels() * self.outputs
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

/// New images of this size. `fill` makes one of them from zeros, on a core of its own.
fn each_image(images: usize, size: usize, fill: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    let write = |all: Shared<MaybeUninit<f32>>| {
        (0..images).into_par_iter().for_each(|image| {
            // SAFETY: images do not overlap.
            fill(image, unsafe { all.zeros(image * size, size) });
        });
    };
    // SAFETY: they are all images.
    unsafe { written(images * size, write) }
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
