//! Dense products of images with the weights of a convolution, without a column matrix.
//!
//! Each pixel of a result sums, over the taps of the kernel, a row of the source's channels times a matrix of weights. Pixels
//! whose taps lie at the same distances form a [`Class`]: those inside an image, along each edge, in each corner, and for a
//! stride each remainder. A class needs no padding, and its rows follow each other over all images, so that small images
//! fill tiles of registers, too. Sums are added in an order that depends on the sizes alone: not on threads.

use std::mem::MaybeUninit;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::memory::{Shared, with_scratch, written};

/// Rows of a tile: with 4 (or, where there are 16 registers, 2) vectors each they fill the registers.
const ROWS: usize = 6;
/// Elements of a row that are multiplied at once: their weights, for a tile, stay in the first-level cache.
const DEPTH: usize = 128;
/// Rows of a task.
const TASK_ROWS: usize = 192;
/// Multiplications that are worth a second core.
const TASK: usize = 1 << 18;

/// The part of a class that belongs to one axis: coordinates of the result whose taps lie at the same distances.
struct AxisClass {
    /// The taps inside the image, and their distance from the anchor.
    taps: Vec<(usize, isize)>,
    /// Coordinates, and their anchors in the source.
    places: Vec<(usize, usize)>,
}

/// Sorts coordinates into classes. `source` finds the coordinate that a tap reads, `anchor` the origin of distances.
fn axis_classes(
    result: usize,
    taps: usize,
    anchor: impl Fn(usize) -> usize,
    source: impl Fn(usize, usize) -> Option<usize>,
) -> Vec<AxisClass> {
    let mut classes: Vec<AxisClass> = Vec::new();
    for at in 0..result {
        let anchor = anchor(at);
        let distance = |tap| Some((tap, source(at, tap)? as isize - anchor as isize));
        let taps: Vec<_> = (0..taps).filter_map(distance).collect();
        match classes.iter_mut().find(|class| class.taps == taps) {
            Some(class) => class.places.push((at, anchor)),
            None => classes.push(AxisClass {
                taps,
                places: vec![(at, anchor)],
            }),
        }
    }
    classes
}

/// Pixels of a result whose taps lie at the same distances in the source.
struct Class {
    /// Taps, and the distance of their pixel from the anchor.
    taps: Vec<(usize, isize)>,
    /// Pixels of the result, and their anchors in the source.
    places: Vec<(usize, usize)>,
}

impl Class {
    /// The pixel that a tap reads for an anchor.
    #[inline(always)]
    fn source(anchor: usize, distance: isize) -> usize {
        anchor.wrapping_add_signed(distance)
    }
}

/// One axis of a convolution.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    /// Size of the image.
    pub size: usize,
    /// Size of the output.
    pub out: usize,
    /// Size of the kernel.
    pub kernel: usize,
    pub stride: usize,
    pub dilation: usize,
    /// At the start.
    pub padding: usize,
}

impl Axis {
    /// The coordinates of the output, which read the image.
    fn forward(&self) -> Vec<AxisClass> {
        let source = |out: usize, tap: usize| {
            (out * self.stride + tap * self.dilation)
                .checked_sub(self.padding)
                .filter(|at| *at < self.size)
        };
        axis_classes(self.out, self.kernel, |out| out * self.stride, source)
    }

    /// The coordinates of the image, which read the output: those that the forward pass has them contribute to.
    fn backward(&self) -> Vec<AxisClass> {
        let source = |at: usize, tap: usize| {
            let from = (at + self.padding).checked_sub(tap * self.dilation)?;
            let out = from / self.stride;
            (from.is_multiple_of(self.stride) && out < self.out).then_some(out)
        };
        let anchor = |at: usize| (at + self.padding) / self.stride;
        axis_classes(self.size, self.kernel, anchor, source)
    }
}

/// How the pixels of a result read those of a source.
pub struct Gather {
    classes: Vec<Class>,
    /// Pixels of an image of the source and of the result.
    source: usize,
    result: usize,
    /// Taps of the kernel.
    taps: usize,
}

impl Gather {
    /// Outputs read the image.
    pub fn forward(axes: [Axis; 2]) -> Self {
        let [rows, columns] = axes.map(|axis| axis.forward());
        let sizes = axes.map(|axis| [axis.size, axis.out, axis.kernel]);
        Self::new([rows, columns], sizes)
    }

    /// The image reads the gradients of outputs.
    pub fn backward(axes: [Axis; 2]) -> Self {
        let [rows, columns] = axes.map(|axis| axis.backward());
        let sizes = axes.map(|axis| [axis.out, axis.size, axis.kernel]);
        Self::new([rows, columns], sizes)
    }

    /// Sizes of source, result and kernel of each axis.
    fn new([rows, columns]: [Vec<AxisClass>; 2], [height, width]: [[usize; 3]; 2]) -> Self {
        let mut classes = Vec::new();
        for row in &rows {
            for column in &columns {
                let pairs = row.taps.iter().flat_map(|(y, from_y)| {
                    let across = column.taps.iter();
                    across.map(move |(x, from_x)| {
                        (y * width[2] + x, from_y * width[0] as isize + from_x)
                    })
                });
                let places = row.places.iter().flat_map(|(y, anchor_y)| {
                    let across = column.places.iter();
                    across.map(move |(x, anchor_x)| {
                        (y * width[1] + x, anchor_y * width[0] + anchor_x)
                    })
                });
                classes.push(Class {
                    taps: pairs.collect(),
                    places: places.collect(),
                });
            }
        }
        Self {
            classes,
            source: height[0] * width[0],
            result: height[1] * width[1],
            taps: height[2] * width[2],
        }
    }
}

/// The columns of a tile on this vector architecture: as many vectors as fill up best with so many columns.
fn tile_columns(arch: Arch, columns: usize) -> usize {
    struct Width(usize);
    impl WithSimd for Width {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            let needed = self.0.div_ceil(S::F32_LANES).max(1);
            let most = vectors::<S>();
            // A tile of single vectors waits for its own sums. Of those that cost the same the widest.
            let cost =
                |width: &usize| needed.next_multiple_of(*width) * if *width == 1 { 4 } else { 3 };
            let width = (1..=most).rev().min_by_key(cost);
            width.unwrap_or(most) * S::F32_LANES
        }
    }
    arch.dispatch(Width(columns))
}

/// The most vectors of a row of a tile.
#[inline(always)]
const fn vectors<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 4 } else { 2 }
}

/// Matrices of weights, one for each tap, packed into panels of as many columns as a tile has.
pub struct Weights {
    /// `[panels, taps, depth, width]`.
    values: Vec<f32>,
    taps: usize,
    depth: usize,
    columns: usize,
    /// Columns of a panel.
    width: usize,
}

impl Weights {
    /// Packs the weights of a group: `values` has these strides of a tap, a row and a column.
    pub fn pack(
        arch: Arch,
        values: &[f32],
        [taps, depth, columns]: [usize; 3],
        [tap_stride, row_stride, column_stride]: [usize; 3],
    ) -> Self {
        let width = tile_columns(arch, columns);
        let panels = columns.div_ceil(width);
        let of_panel = taps * depth * width;
        let write = |packed: Shared<MaybeUninit<f32>>| {
            let fill = |panel: usize| {
                // SAFETY: panels do not overlap.
                let packed = unsafe { packed.part(panel * of_panel, of_panel) };
                let count = width.min(columns - panel * width);
                // What is read is a run of the rows or of the columns: of few of the others at a time, both sides stay in the
                // cache.
                for first in (0..depth).step_by(16) {
                    for tap in 0..taps {
                        for row in first..depth.min(first + 16) {
                            let from = &values[tap * tap_stride + row * row_stride..];
                            let from = from[panel * width * column_stride..].iter();
                            let from = from.step_by(column_stride);
                            let to = &mut packed[(tap * depth + row) * width..][..width];
                            let (to, rest) = to.split_at_mut(count);
                            for (to, from) in to.iter_mut().zip(from) {
                                to.write(*from);
                            }
                            rest.fill(MaybeUninit::new(0.0));
                        }
                    }
                }
            };
            match taps * depth * columns < TASK {
                true => (0..panels).for_each(fill),
                false => (0..panels).into_par_iter().for_each(fill),
            }
        };
        let last = (depth * columns).checked_sub(1).map(|_| {
            let tap = taps.saturating_sub(1) * tap_stride;
            tap + (depth - 1) * row_stride + (columns - 1) * column_stride
        });
        assert!(last.is_none_or(|last| last < values.len()), "all weights");
        // SAFETY: the panels are all elements; `values` has one for each that is no padding.
        let packed = unsafe { written(panels * of_panel, write) };
        Self {
            values: packed,
            taps,
            depth,
            columns,
            width,
        }
    }

    fn panels(&self) -> usize {
        self.columns.div_ceil(self.width)
    }

    /// The matrix of a tap, in a panel.
    #[inline(always)]
    fn matrix(&self, panel: usize, tap: usize) -> &[f32] {
        let size = self.depth * self.width;
        &self.values[(panel * self.taps + tap) * size..][..size]
    }
}

/// Some columns of a matrix of pixels: those of a group of channels.
#[derive(Clone, Copy)]
pub struct Columns {
    /// Of the whole matrix.
    pub stride: usize,
    /// The first one.
    pub first: usize,
}

/// A product of images with weights.
pub struct DenseProduct<'a> {
    pub arch: Arch,
    pub gather: &'a Gather,
    pub weights: &'a Weights,
    pub source: &'a [f32],
    pub source_columns: Columns,
    pub result_columns: Columns,
    pub bias: Option<&'a [f32]>,
}

impl DenseProduct<'_> {
    /// Computes the results of as many images, on all cores. `out` is their place.
    ///
    /// # Safety
    ///
    /// `out` has room for the images, and nothing else accesses their columns of it.
    pub unsafe fn run(&self, images: usize, out: Shared<MaybeUninit<f32>>) {
        let mut tasks = Vec::new();
        for class in &self.gather.classes {
            let rows = images * class.places.len();
            let task = |start| (class, start..rows.min(start + TASK_ROWS));
            tasks.extend((0..rows).step_by(TASK_ROWS).map(task));
        }
        let work = images * self.gather.result * self.weights.depth * self.weights.columns;
        let panels = self.weights.panels();
        let place = |image: usize| image;
        if work * self.gather.taps < TASK {
            for (class, rows) in tasks {
                // SAFETY: the caller's.
                unsafe { self.rows(class, rows, 0..panels, out, place) };
            }
            return;
        }
        // Few rows: a task takes one panel of columns.
        let split = if tasks.len() < 16 { panels.max(1) } else { 1 };
        (0..tasks.len() * split).into_par_iter().for_each(|task| {
            let (class, rows) = &tasks[task / split];
            let panels = match split {
                1 => 0..panels,
                _ => task % split..task % split + 1,
            };
            // SAFETY: the caller's; tasks have rows or columns of their own.
            unsafe { self.rows(class, rows.clone(), panels, out, place) };
        });
    }

    /// Computes the results of some images on this thread. The `i`th image of the source makes the image `place(i)` of `out`.
    ///
    /// # Safety
    ///
    /// `out` has room for the images, and nothing else accesses their columns of it.
    pub unsafe fn run_here(
        &self,
        images: usize,
        out: Shared<MaybeUninit<f32>>,
        place: impl Fn(usize) -> usize + Copy,
    ) {
        for class in &self.gather.classes {
            let all = images * class.places.len();
            for start in (0..all).step_by(TASK_ROWS) {
                let rows = start..all.min(start + TASK_ROWS);
                // SAFETY: the caller's.
                unsafe { self.rows(class, rows, 0..self.weights.panels(), out, place) };
            }
        }
    }

    /// Some rows of a class: pixels of the first image, then of the next.
    unsafe fn rows(
        &self,
        class: &Class,
        rows: Range<usize>,
        panels: Range<usize>,
        out: Shared<MaybeUninit<f32>>,
        place: impl Fn(usize) -> usize,
    ) {
        let of_image = class.places.len();
        let (mut anchors, mut places) = ([0; TASK_ROWS], [0; TASK_ROWS]);
        let count = rows.len();
        for (i, row) in rows.enumerate() {
            let (image, pixel) = (row / of_image, class.places[row % of_image]);
            anchors[i] = image * self.gather.source + pixel.1;
            places[i] = place(image) * self.gather.result + pixel.0;
        }
        let size = count.div_ceil(ROWS) * ROWS * self.weights.width;
        with_scratch([size], |[sums]| {
            self.arch.dispatch(Rows {
                product: self,
                taps: &class.taps,
                anchors: &anchors[..count],
                places: &places[..count],
                panels,
                out,
                sums,
            });
        });
    }
}

/// Rows of a class, for the vectors of a processor.
struct Rows<'a> {
    product: &'a DenseProduct<'a>,
    taps: &'a [(usize, isize)],
    /// Pixels of the source, and of the result.
    anchors: &'a [usize],
    places: &'a [usize],
    panels: Range<usize>,
    /// Exclusive at the places, as [`DenseProduct::run`] demands.
    out: Shared<MaybeUninit<f32>>,
    sums: &'a mut [f32],
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.product.weights.width / S::F32_LANES {
            4 => self.panels::<S, 4>(simd),
            3 => self.panels::<S, 3>(simd),
            2 => self.panels::<S, 2>(simd),
            _ => self.panels::<S, 1>(simd),
        }
    }
}

impl Rows<'_> {
    #[inline(always)]
    fn panels<S: Simd, const V: usize>(self, simd: S) {
        let Self { product, .. } = self;
        let DenseProduct {
            weights,
            source,
            source_columns,
            result_columns,
            ..
        } = product;
        let (width, depth) = (V * S::F32_LANES, weights.depth);
        assert_eq!(width, weights.width, "weights packed for these vectors");
        for panel in self.panels {
            let columns = panel * width..weights.columns.min((panel + 1) * width);
            let mut start = [simd.splat_f32s(0.0); V];
            if let Some(bias) = product.bias {
                for (vector, bias) in start
                    .iter_mut()
                    .zip(bias[columns.clone()].chunks(S::F32_LANES))
                {
                    *vector = simd.partial_load_f32s(bias);
                }
            }
            S::as_mut_simd_f32s(self.sums)
                .0
                .as_chunks_mut::<V>()
                .0
                .fill(start);
            for (tap, distance) in self.taps {
                let matrix = weights.matrix(panel, *tap);
                for from in (0..depth).step_by(DEPTH) {
                    let len = DEPTH.min(depth - from);
                    let matrix = &matrix[from * width..][..len * width];
                    let tiles = self.sums.chunks_exact_mut(ROWS * width);
                    for (anchors, sums) in self.anchors.chunks(ROWS).zip(tiles) {
                        let row = |i: usize| {
                            let anchor = anchors[i.min(anchors.len() - 1)];
                            let pixel = Class::source(anchor, *distance);
                            let at = pixel * source_columns.stride + source_columns.first;
                            &source[at + from..][..len]
                        };
                        tile::<S, V>(simd, std::array::from_fn(row), matrix, sums);
                    }
                }
            }
            let rows = self.sums.chunks_exact(width).zip(self.places);
            for (sums, pixel) in rows {
                let at = pixel * result_columns.stride + result_columns.first + columns.start;
                // SAFETY: the pixel's columns are this thread's, as `run` demands.
                let out = unsafe { self.out.part(at, columns.len()) };
                out.write_copy_of_slice(&sums[..columns.len()]);
            }
        }
    }
}

/// Adds rows times a matrix to a tile of sums.
#[inline(always)]
fn tile<S: Simd, const V: usize>(simd: S, rows: [&[f32]; ROWS], matrix: &[f32], sums: &mut [f32]) {
    let matrix = S::as_simd_f32s(matrix).0.as_chunks::<V>().0;
    let rows = rows.map(|row| &row[..matrix.len()]);
    let sums = S::as_mut_simd_f32s(sums).0.as_chunks_mut::<V>().0;
    let sums: &mut [[S::f32s; V]; ROWS] = sums.try_into().expect("a tile");
    // Sums of a few products first: fewer numbers meet one that is much larger.
    let mut totals = [[simd.splat_f32s(0.0); V]; ROWS];
    for (i, weights) in matrix.iter().enumerate() {
        for (row, totals) in rows.iter().zip(&mut totals) {
            let x = simd.splat_f32s(row[i]);
            for (total, weight) in totals.iter_mut().zip(weights) {
                *total = simd.mul_add_e_f32s(x, *weight, *total);
            }
        }
    }
    add_tile(simd, sums, &totals);
}

/// Adds a tile to another.
#[inline(always)]
fn add_tile<S: Simd, const V: usize, const R: usize>(
    simd: S,
    sums: &mut [[S::f32s; V]; R],
    totals: &[[S::f32s; V]; R],
) {
    for (sums, totals) in sums.iter_mut().zip(totals) {
        for (sum, total) in sums.iter_mut().zip(totals) {
            *sum = simd.add_f32s(*sum, *total);
        }
    }
}

/// The gradient of weights: for each tap, the sum over pixels of the products of the image's channels with the gradients of the
/// outputs.
pub struct Correlation<'a> {
    pub arch: Arch,
    /// Of the forward pass.
    pub gather: &'a Gather,
    pub image: &'a [f32],
    pub image_columns: Columns,
    pub gradient: &'a [f32],
    pub gradient_columns: Columns,
    /// Channels of the image and of the outputs, in this group.
    pub channels: usize,
    pub outputs: usize,
}

/// Pixels whose gradients are packed together.
const PACKED: usize = 192;

impl Correlation<'_> {
    /// The gradient, `[taps, channels, outputs]`, over so many images.
    pub fn run(&self, images: usize) -> Vec<f32> {
        let width = tile_columns(self.arch, self.outputs);
        let rows = self.gather.taps * self.channels;
        let panels = self.outputs.div_ceil(width);
        // Every core has a panel, or its part of one.
        let parts = 8usize
            .div_ceil(panels.max(1))
            .min(rows.div_ceil(ROWS))
            .max(1);
        let of_part = rows.div_ceil(parts).next_multiple_of(ROWS).max(ROWS);
        let parts = rows.div_ceil(of_part);
        let write = |out: Shared<MaybeUninit<f32>>| {
            let task = |task: usize| {
                let (panel, part) = (task / parts, task % parts);
                let columns = panel * width..self.outputs.min((panel + 1) * width);
                let rows = part * of_part..rows.min((part + 1) * of_part);
                let lengths = [rows.len().next_multiple_of(ROWS) * width, PACKED * width];
                with_scratch(lengths, |[sums, packed]| {
                    self.arch.dispatch(PartOfWeights {
                        all: self,
                        images,
                        rows,
                        columns,
                        width,
                        out,
                        sums,
                        packed,
                    });
                });
            };
            (0..panels * parts).into_par_iter().for_each(task);
        };
        // SAFETY: the tasks are all rows and columns, and each writes its own.
        unsafe { written(rows * self.outputs, write) }
    }
}

/// Some rows (taps and channels) and columns (outputs) of the gradient of weights.
struct PartOfWeights<'a> {
    all: &'a Correlation<'a>,
    images: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    /// Columns of a tile.
    width: usize,
    /// Exclusive at rows and columns.
    out: Shared<MaybeUninit<f32>>,
    sums: &'a mut [f32],
    packed: &'a mut [f32],
}

impl WithSimd for PartOfWeights<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.width / S::F32_LANES {
            4 => self.sum::<S, 4>(simd),
            3 => self.sum::<S, 3>(simd),
            2 => self.sum::<S, 2>(simd),
            _ => self.sum::<S, 1>(simd),
        }
    }
}

impl PartOfWeights<'_> {
    #[inline(always)]
    fn sum<S: Simd, const V: usize>(self, simd: S) {
        let Self {
            all, rows, columns, ..
        } = self;
        let width = V * S::F32_LANES;
        let (image, gradient) = (all.image_columns, all.gradient_columns);
        self.sums.fill(0.0);
        for class in &all.gather.classes {
            let of_image = class.places.len();
            let pixels = self.images * of_image;
            for start in (0..pixels).step_by(PACKED) {
                let pixels = start..pixels.min(start + PACKED);
                let mut anchors = [0; PACKED];
                let anchors = &mut anchors[..pixels.len()];
                let packed = &mut self.packed[..pixels.len() * width];
                let places = pixels
                    .zip(anchors.iter_mut())
                    .zip(packed.chunks_exact_mut(width));
                for ((pixel, anchor), packed) in places {
                    let (i, place) = (pixel / of_image, class.places[pixel % of_image]);
                    *anchor = i * all.gather.source + place.1;
                    let at = (i * all.gather.result + place.0) * gradient.stride;
                    let at = at + gradient.first + columns.start;
                    let (numbers, rest) = packed.split_at_mut(columns.len());
                    numbers.copy_from_slice(&all.gradient[at..][..columns.len()]);
                    rest.fill(0.0);
                }
                let packed = S::as_simd_f32s(packed).0.as_chunks::<V>().0;
                for (tap, distance) in &class.taps {
                    // Those rows of the tap that are this part's.
                    let first = rows.start.max(tap * all.channels);
                    let end = rows.end.min((tap + 1) * all.channels);
                    for row in (first..end).step_by(ROWS) {
                        let count = ROWS.min(end - row);
                        let channel = image.first + row - tap * all.channels;
                        let sums = &mut self.sums[(row - rows.start) * width..][..count * width];
                        let source = |anchor: usize| {
                            let pixel = Class::source(anchor, *distance);
                            &all.image[pixel * image.stride + channel..]
                        };
                        match count {
                            ROWS => outer::<S, V, ROWS>(simd, source, anchors, packed, sums),
                            3.. => {
                                let (three, rest) = sums.split_at_mut(3 * width);
                                outer::<S, V, 3>(simd, source, anchors, packed, three);
                                for (i, sums) in rest.chunks_exact_mut(width).enumerate() {
                                    let source = |anchor: usize| &source(anchor)[3 + i..];
                                    outer::<S, V, 1>(simd, source, anchors, packed, sums);
                                }
                            }
                            _ => {
                                for (i, sums) in sums.chunks_exact_mut(width).enumerate() {
                                    let source = |anchor: usize| &source(anchor)[i..];
                                    outer::<S, V, 1>(simd, source, anchors, packed, sums);
                                }
                            }
                        }
                    }
                }
            }
        }
        for (row, sums) in rows.zip(self.sums.chunks_exact(width)) {
            // SAFETY: the rows' columns are this thread's.
            let out = unsafe {
                self.out
                    .part(row * all.outputs + columns.start, columns.len())
            };
            out.write_copy_of_slice(&sums[..columns.len()]);
        }
    }
}

/// Adds to the sums of `R` channels their products with the gradients of some pixels.
#[inline(always)]
fn outer<'a, S: Simd, const V: usize, const R: usize>(
    simd: S,
    source: impl Fn(usize) -> &'a [f32],
    anchors: &[usize],
    gradients: &[[S::f32s; V]],
    sums: &mut [f32],
) {
    let sums = S::as_mut_simd_f32s(sums).0.as_chunks_mut::<V>().0;
    let sums: &mut [[S::f32s; V]; R] = sums.try_into().expect("a row for each channel");
    // Sums of a few pixels first: fewer numbers meet one that is much larger.
    let mut totals = [[simd.splat_f32s(0.0); V]; R];
    for (anchor, gradients) in anchors.iter().zip(gradients) {
        let channels = source(*anchor)
            .first_chunk::<R>()
            .expect("as many channels");
        for (x, totals) in channels.iter().zip(&mut totals) {
            let x = simd.splat_f32s(*x);
            for (total, gradient) in totals.iter_mut().zip(gradients) {
                *total = simd.mul_add_e_f32s(x, *gradient, *total);
            }
        }
    }
    add_tile(simd, sums, &totals);
}
