//! The fused LIF neuron on all GPU backends: prepares and launches the kernels of `shader.rs`.
//!
//! Only the input of a sequence is saved for backward. Sequences are processed in storage order.

use std::f64::consts::{FRAC_PI_2, PI};

use burn::backend::cubecl::dtype_to_storage_type;
use burn::backend::ops::FloatTensorOps;
use burn::backend::{FloatDType, TensorMetadata};
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::ops::{permute, reshape};
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, CubeDevice};
use cubecl::calculate_cube_count_elemwise;
use cubecl::client::Client;
use cubecl::prelude::CubeDim;

use super::shader::{
    Blocks, CurveForm, ResetForm, ScalarsLaunch, SequenceLayoutLaunch, ShaderForm, SlopeForm,
    lif_backward, lif_forward,
};
use super::{LifBackwardOps, LifKept, LifKernel, LifOps, LifStart};
use crate::neuron::{Reset, ResetGradient, TemporalGradient};
use crate::ops::backward::{Adjoint, InputGradients};
use crate::ops::memory::{by_stride, inner, inverse};
use crate::ops::optional::OptionalTensor;
use crate::surrogate::{
    AnyCurve, Atan, FastSigmoid, Gaussian, PiecewiseLeakyRelu, Polynomial, Rectangular, Sigmoid,
    Surrogate,
};

/// The maximum number of neurons per unit: shaders have no larger vectors.
const VECTOR: usize = 4;
/// Elements that a unit keeps in registers over time. Of the 255 that an NVIDIA GPU of compute capability 9.0 has for
/// a unit, a backward pass takes up to 128 with 16 steps of two neurons, 96 with 32 of one, and 254 with 32 of two.
const REGISTERS: usize = 32;
/// Steps of a block, if a sequence exceeds the registers.
const BLOCK: usize = 16;
/// Units per cube of the backward pass: with so many registers per unit, few larger cubes would fit a processor.
const CUBE: usize = 128;

/// The form and the parameters of a surrogate's derivative, if the shader has it.
pub(super) fn curve(surrogate: Surrogate) -> Option<(CurveForm, [f32; 3])> {
    let scale = surrogate.scale() as f32;
    let (form, numbers) = match surrogate.curve() {
        AnyCurve::Rectangular(Rectangular { a }) => {
            let height = scale * (1.0 / a) as f32;
            (CurveForm::Inside, [(a / 2.0) as f32, height, 0.0])
        }
        AnyCurve::PiecewiseLeakyRelu(PiecewiseLeakyRelu { w, c }) => {
            let height = scale * (1.0 / (2.0 * w)) as f32;
            (CurveForm::Inside, [w as f32, height, scale * c as f32])
        }
        AnyCurve::Polynomial(Polynomial { a }) => {
            let (slope, peak) = (-a / 4.0, a.sqrt() / 2.0);
            (CurveForm::Polynomial, [slope as f32, peak as f32, scale])
        }
        AnyCurve::Sigmoid(Sigmoid { a }) => (CurveForm::Sigmoid, [(1.0 / a) as f32, scale, 0.0]),
        AnyCurve::Gaussian(Gaussian { a }) => {
            let (k, peak) = (-1.0 / (2.0 * a), 1.0 / (2.0 * PI * a).sqrt());
            (CurveForm::Gaussian, [k as f32, peak as f32, scale])
        }
        AnyCurve::Atan(Atan { alpha }) => {
            let (k, peak) = (FRAC_PI_2 * alpha, alpha / 2.0);
            (CurveForm::Atan, [k as f32, peak as f32, scale])
        }
        AnyCurve::FastSigmoid(FastSigmoid { k }) => {
            (CurveForm::FastSigmoid, [k as f32, (k / 2.0) as f32, scale])
        }
        _ => return None,
    };
    Some((form, numbers))
}

fn form(kernel: &LifKernel, shared: bool) -> (ShaderForm, f32, [f32; 3]) {
    let gradient = match kernel.equations.gradient {
        TemporalGradient::Full(gradient) => Some(gradient),
        TemporalGradient::Off => None,
    };
    let (reset, to) = match kernel.equations.reset {
        Reset::Hard { to } => (ResetForm::Hard, to),
        Reset::Exponential => (ResetForm::Exponential, 0.0),
        Reset::Soft => (ResetForm::Soft, 0.0),
        Reset::DelayedHard { to } => (ResetForm::DelayedHard, to),
        Reset::DelayedSoft => (ResetForm::DelayedSoft, 0.0),
    };
    use ResetGradient as By;
    let slope = match (reset, gradient) {
        (_, None | Some(By::Detached)) => SlopeForm::None,
        (ResetForm::Soft | ResetForm::DelayedSoft, _) => SlopeForm::Threshold,
        (_, Some(By::Exponential)) | (ResetForm::Exponential, Some(By::Exact)) => SlopeForm::Gate,
        (_, Some(By::Exact | By::Linear)) => SlopeForm::To,
    };
    let (curve, numbers) =
        curve(kernel.surrogate).expect("a kernel is taken for surrogates that it knows");
    let form = ShaderForm {
        reset,
        slope,
        curve,
        strict: kernel.strict,
        decay_input: kernel.equations.decay_input,
        at_zero: kernel.equations.rest == 0.0,
        full: gradient.is_some(),
        shared,
    };
    (form, to as f32, numbers)
}

fn blocks(steps: usize) -> Blocks {
    match steps {
        0..=REGISTERS => Blocks {
            steps,
            several: false,
            rest: 0,
        },
        _ => Blocks {
            steps: BLOCK,
            several: true,
            rest: steps % BLOCK,
        },
    }
}

/// The layout of a sequence, axes in storage order, in elements.
#[derive(Clone, Copy)]
struct StridedRows {
    row: usize,
    pitch: usize,
    step: usize,
}

impl StridedRows {
    /// The layout of a sequence whose steps are contiguous rows at equal distances; else `None`.
    fn of(shape: &[usize], strides: &[usize]) -> Option<Self> {
        let axes = shape.iter().zip(strides).skip(1);
        let mut axes = axes.rev().filter(|(size, _)| **size != 1).peekable();
        let mut row = 1;
        while let Some((size, _)) = axes.next_if(|(_, stride)| **stride == row) {
            row *= size;
        }
        let pitch = axes.peek().map_or(row, |(_, stride)| **stride);
        let mut expected = pitch;
        for (size, stride) in axes {
            if *stride != expected {
                return None;
            }
            expected *= size;
        }
        // A smaller pitch repeats elements; with a larger one, a copy without the gaps is read faster.
        (row..=2 * row).contains(&pitch).then_some(Self {
            row,
            pitch,
            step: strides[0],
        })
    }

    /// The tensor with its layout, copied if it has none.
    fn lay(x: CubeTensor) -> (CubeTensor, Self) {
        if let Some(rows) = Self::of(x.meta.shape(), x.meta.strides()) {
            return (x, rows);
        }
        let neurons = x.meta.shape()[1..].iter().product();
        let rows = Self {
            row: neurons,
            pitch: neurons,
            step: neurons,
        };
        (into_contiguous(x), rows)
    }

    /// Whether vectors of this width divide it.
    fn divides(&self, width: usize) -> bool {
        [self.row, self.pitch, self.step]
            .iter()
            .all(|numbers| numbers.is_multiple_of(width))
    }

    fn place(&self, width: usize) -> SequenceLayoutLaunch {
        SequenceLayoutLaunch::new(self.row / width, self.pitch / width, self.step / width)
    }
}

/// A sequence in storage order.
struct CubeSequence {
    client: Client,
    device: CubeDevice,
    dtype: DType,
    shape: Shape,
    /// The axes in storage order, time first.
    order: Vec<usize>,
    x: CubeTensor,
    rows: StridedRows,
    state: Option<CubeTensor>,
    decay: CubeTensor,
    threshold: CubeTensor,
    kernel: LifKernel,
}

/// The axes in storage order, time first; the usual order if the layout is not strided rows.
fn storage_order(x: &CubeTensor) -> Vec<usize> {
    let (shape, strides) = (x.meta.shape(), x.meta.strides());
    let order = by_stride(strides);
    let [shape, strides] = [&shape[..], &strides[..]]
        .map(|numbers| order.iter().map(|axis| numbers[*axis]).collect::<Vec<_>>());
    match StridedRows::of(&shape, &strides) {
        Some(_) => order,
        None => (0..order.len()).collect(),
    }
}

impl CubeSequence {
    fn new(x: CubeTensor, start: LifStart<CubeBackend>) -> Self {
        let order = storage_order(&x);
        let (device, dtype, shape) = (x.device.clone(), x.dtype, x.shape());
        let (x, rows) = StridedRows::lay(permute(x, &order));
        Self {
            client: x.client.clone(),
            device,
            dtype,
            shape,
            state: start.v.map(|v| into_contiguous(permute(v, &order))),
            x,
            rows,
            decay: into_contiguous(start.decay),
            threshold: into_contiguous(start.threshold),
            kernel: start.kernel,
            order,
        }
    }

    fn steps(&self) -> usize {
        self.shape[0]
    }

    fn neurons(&self) -> usize {
        let shape: &[usize] = &self.shape;
        shape[1..].iter().product()
    }

    /// The number of neighbouring neurons per channel.
    fn inner(&self) -> usize {
        inner(&self.shape, &self.order)
    }

    fn channels(&self) -> usize {
        let count = |numbers: &CubeTensor| numbers.meta.num_elements();
        count(&self.decay).max(count(&self.threshold))
    }

    /// A new tensor with this number of steps, in storage order.
    fn empty(&self, steps: usize, dtype: DType) -> CubeTensor {
        let axes = self.order.iter().map(|axis| self.shape[*axis]);
        let mut shape: Vec<usize> = axes.collect();
        shape[0] = steps;
        self.new_tensor(shape, dtype)
    }

    fn new_tensor(&self, shape: Vec<usize>, dtype: DType) -> CubeTensor {
        let (client, device) = (self.client.clone(), self.device.clone());
        empty_device_contiguous_dtype(client, device, Shape::from(shape), dtype)
    }

    /// The axes back in their usual order.
    fn shown(&self, ordered: CubeTensor) -> CubeTensor {
        permute(ordered, &inverse(&self.order))
    }

    /// The number of neurons per unit: the widest vector, at most `most`, that divides all layouts.
    fn width(&self, most: usize, gradient: StridedRows) -> usize {
        let sizes = self.client.io_optimized_vector_sizes(self.dtype.size());
        let fits = |width| {
            let rows = self.rows.divides(width) && gradient.divides(width);
            width <= most && self.neurons().is_multiple_of(width) && rows
        };
        let fit = sizes.filter(|width| fits(*width));
        fit.max().unwrap_or(1)
    }

    fn scalars(
        &self,
        width: usize,
        to: f32,
        curve: [f32; 3],
        gradient: StridedRows,
        blocks: usize,
    ) -> ScalarsLaunch {
        let [curve0, curve1, curve2] = curve;
        ScalarsLaunch::new(
            self.kernel.equations.rest as f32,
            to,
            curve0,
            curve1,
            curve2,
            self.neurons() / width,
            self.inner(),
            self.channels(),
            self.rows.place(width),
            gradient.place(width),
            blocks,
        )
    }

    fn form(&self) -> (ShaderForm, f32, [f32; 3]) {
        form(&self.kernel, self.channels() == 1)
    }

    fn forward(&self) -> (CubeTensor, CubeTensor) {
        let spikes = self.empty(self.steps(), self.dtype);
        let left = self.empty(1, self.dtype);
        if self.neurons() > 0 {
            let width = self.width(VECTOR, self.rows);
            let units = self.neurons() / width;
            let dim = CubeDim::new(&self.client, units);
            let (form, to, curve) = self.form();
            lif_forward::launch(
                &self.client,
                calculate_cube_count_elemwise(&self.client, units, dim),
                dim,
                // An input broadcast over time is smaller than its spikes.
                self.x
                    .required_address_type()
                    .max(spikes.required_address_type()),
                width,
                self.x.clone().into_tensor_arg(),
                self.state.clone().map(CubeTensor::into_tensor_arg).into(),
                self.decay.clone().into_tensor_arg(),
                self.threshold.clone().into_tensor_arg(),
                spikes.clone().into_tensor_arg(),
                left.clone().into_tensor_arg(),
                self.scalars(width, to, curve, self.rows, 0),
                self.steps(),
                form.forward(),
                dtype_to_storage_type(self.dtype),
            );
        }
        (self.shown(spikes), self.shown(left))
    }

    fn backward(
        &self,
        outputs: Adjoint<CubeBackend>,
        learned: bool,
    ) -> InputGradients<CubeBackend, 4> {
        let (steps, neurons) = (self.steps(), self.neurons());
        let (by_spikes, gradient) = match outputs {
            Adjoint::Spikes(gradient) => (true, permute(gradient, &self.order)),
            Adjoint::State(gradient) => (false, permute(gradient, &self.order)),
        };
        let every_step = by_spikes && steps > 1 && gradient.meta.strides()[0] == 0;
        let (gradient, mut rows) = StridedRows::lay(match every_step {
            true => first_step(gradient),
            false => gradient,
        });
        if every_step {
            rows.step = 0;
        }
        let by_x = self.empty(steps, self.dtype);
        let by_state = self.empty(1, self.dtype);
        let blocks = blocks(steps);
        let kept = if learned { 2 } else { 0 } + (steps.div_ceil(blocks.steps) - 1);
        // An unused argument must still hold a vector.
        let work = match kept {
            0 => self.new_tensor(vec![VECTOR], DType::F32),
            kept => self.new_tensor(vec![kept, neurons], DType::F32),
        };
        if neurons > 0 {
            // Neighbouring units together read at least one memory transaction.
            let least = 4 / self.dtype.size();
            let width = self.width((REGISTERS / blocks.steps).clamp(least, VECTOR), rows);
            let units = neurons / width;
            let dim = match CubeDim::new(&self.client, units) {
                dim if dim.num_elems() > CUBE as u32 => CubeDim::new_1d(CUBE as u32),
                dim => dim,
            };
            let (form, to, curve) = self.form();
            let address = [&self.x, &gradient, &by_x, &work].map(CubeTensor::required_address_type);
            lif_backward::launch(
                &self.client,
                calculate_cube_count_elemwise(&self.client, units, dim),
                dim,
                address.into_iter().max().unwrap_or_default(),
                width,
                self.x.clone().into_tensor_arg(),
                self.state.clone().map(CubeTensor::into_tensor_arg).into(),
                self.decay.clone().into_tensor_arg(),
                self.threshold.clone().into_tensor_arg(),
                gradient.into_tensor_arg(),
                by_x.clone().into_tensor_arg(),
                by_state.clone().into_tensor_arg(),
                work.clone().into_tensor_arg(),
                self.scalars(width, to, curve, rows, steps / blocks.steps),
                form,
                by_spikes,
                learned,
                blocks,
                dtype_to_storage_type(self.dtype),
            );
        }
        let [decay, threshold] = match learned {
            true => self.collect(work).map(Some),
            false => [None, None],
        };
        [
            Some(self.shown(by_x)),
            Some(self.shown(by_state)),
            decay,
            threshold,
        ]
    }

    /// The gradients of decay and threshold, from the per-neuron ones in the first two rows.
    fn collect(&self, rows: CubeTensor) -> [CubeTensor; 2] {
        let (neurons, channels) = (self.neurons(), self.channels());
        let inner = if channels == 1 { neurons } else { self.inner() };
        let outer = neurons.checked_div(channels * inner).unwrap_or(0);
        [(0, &self.decay), (1, &self.threshold)].map(|(row, number)| {
            let dtype: FloatDType = number.dtype.into();
            if neurons == 0 {
                return CubeBackend::float_zeros(number.shape(), &self.device, dtype);
            }
            let row = CubeBackend::float_slice(rows.clone(), &[(row..row + 1).into()]);
            let row = reshape(row, Shape::from(vec![outer, channels, inner]));
            let sums = CubeBackend::float_sum_dim(CubeBackend::float_sum_dim(row, 2), 0);
            // Shared, or per channel.
            let sums = match number.meta.num_elements() {
                1 => CubeBackend::float_sum(sums),
                _ => sums,
            };
            reshape(CubeBackend::float_cast(sums, dtype), number.shape())
        })
    }
}

/// The first step of a sequence.
fn first_step(x: CubeTensor) -> CubeTensor {
    CubeBackend::float_slice(x, &[(0..1).into()])
}

impl LifOps for CubeBackend {
    fn lif(
        x: CubeTensor,
        v: OptionalTensor<Self>,
        decay: CubeTensor,
        threshold: CubeTensor,
        kernel: LifKernel,
    ) -> (CubeTensor, CubeTensor) {
        let start = LifStart::new(v, decay, threshold, kernel);
        CubeSequence::new(x, start).forward()
    }
}

impl LifBackwardOps for CubeBackend {
    fn lif_backward(kept: LifKept<Self>, outputs: Adjoint<Self>) -> InputGradients<Self, 4> {
        CubeSequence::new(kept.sequence, kept.start).backward(outputs, kept.learned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neuron::{EquationConfig, LifConfig};

    #[test]
    fn the_curves_are_those_that_a_kernel_is_taken_for() {
        for all in AnyCurve::all() {
            let surrogate = Surrogate::new(all).unwrap();
            let kernel = LifConfig::new().with_surrogate(surrogate).kernel();
            let taken = kernel.is_some_and(|kernel| kernel.in_cubecl());
            assert_eq!(taken, curve(surrogate).is_some(), "{}", all.id());
        }
    }
}
