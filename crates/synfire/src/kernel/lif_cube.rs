//! The fused neuron in CubeCL, for all GPU backends: a unit of the device takes a neuron, or a vector of neighbouring
//! ones, through all time steps.
//!
//! Numbers are stored in the type of the input and computed in single precision. Of a sequence only the input is kept. The
//! backward pass runs forward once more, with the same operations, and takes the neurons back; for few steps the membrane
//! potentials in between stay in registers.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::backend::ops::FloatTensorOps;
use burn::backend::{FloatDType, TensorMetadata};
use burn::tensor::{DType, Shape};
// The macros name the crate so.
use burn_cubecl::cubecl;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::ops::{permute, reshape};
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, CubeDevice};
use cubecl::calculate_cube_count_elemwise;
use cubecl::client::Client;
use cubecl::prelude::*;

use super::Keep;
use super::derivative::AnyDerivative;
use super::lif::LifKernel;
use super::lif_ops::{LifAdjoint, LifBackwardOps, LifGradients, LifKept, LifOps, LifStart};
use super::memory::{inner, inverse, order};
use crate::neuron::{Reset, ResetGradient, TemporalGradient};

/// Neurons that a unit takes at most: shaders know no larger vectors.
const VECTOR: usize = 4;
/// Numbers that a unit may keep of all its time steps in registers.
const REGISTERS: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum ResetForm {
    Hard,
    Exponential,
    Soft,
    DelayedHard,
    DelayedSoft,
}

/// The derivative of a reset by the spike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum SlopeForm {
    None,
    To,
    Gate,
    Threshold,
}

/// The form of the surrogate's derivative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum CurveForm {
    Inside,
    Polynomial,
    Sigmoid,
    Gaussian,
    Atan,
    FastSigmoid,
}

/// What decides the code of a kernel: each is compiled for its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Form {
    reset: ResetForm,
    slope: SlopeForm,
    curve: CurveForm,
    strict: bool,
    decay_input: bool,
    /// Whether the resting potential is 0.
    at_zero: bool,
    /// Whether gradients come from the next step.
    full: bool,
    /// Whether there is one decay and one threshold for all.
    shared: bool,
    /// The steps of a backward pass; of a forward pass, which is the same for any number, 0.
    steps: usize,
}

impl Form {
    /// Without what only the backward pass has: fewer kernels to compile.
    fn forward(self) -> Self {
        Self {
            slope: SlopeForm::None,
            curve: CurveForm::Inside,
            full: true,
            steps: 0,
            ..self
        }
    }
}

/// The numbers of a kernel that do not decide its code.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
struct Scalars {
    rest: f32,
    to: f32,
    /// Of the surrogate's derivative.
    curve0: f32,
    curve1: f32,
    curve2: f32,
    /// Vectors of neurons.
    units: usize,
    /// Neighbouring neurons of one channel.
    inner: usize,
    channels: usize,
    /// From the gradients of one step to those of the next; 0 if they are the same ones.
    gradient_step: usize,
}

/// Decay and threshold of a vector of neurons, and what follows from them.
#[derive(CubeType, Clone, Copy)]
struct Numbers<N: Size> {
    decay: Vector<f32, N>,
    threshold: Vector<f32, N>,
    /// What the input is multiplied by.
    k: Vector<f32, N>,
    /// What an exponential reset leaves of 1 after a spike.
    gate: Vector<f32, N>,
}

#[cube]
fn numbers<N: Size>(
    decay: &Tensor<f32>,
    threshold: &Tensor<f32>,
    unit: usize,
    scalars: &Scalars,
    #[comptime] form: Form,
) -> Numbers<N> {
    let one = Vector::<f32, N>::new(1.0f32);
    let mut d = Vector::<f32, N>::new(decay[0]);
    let mut th = Vector::<f32, N>::new(threshold[0]);
    if comptime!(!form.shared) {
        let width = N::value();
        #[unroll]
        for i in 0..width {
            let channel = ((unit * width + i) / scalars.inner) % scalars.channels;
            // Either may be one number for all.
            d.insert(i, decay[channel % decay.len()]);
            th.insert(i, threshold[channel % threshold.len()]);
        }
    }
    let k = if comptime!(form.decay_input) {
        one - d
    } else {
        one
    };
    let gate = if comptime!(form.reset == ResetForm::Exponential || form.slope == SlopeForm::Gate) {
        (-one / d).exp()
    } else {
        Vector::<f32, N>::new(0.0f32)
    };
    Numbers::<N> {
        decay: d,
        threshold: th,
        k,
        gate,
    }
}

/// 1 or 0.
#[cube]
fn fire<N: Size>(
    u: Vector<f32, N>,
    threshold: Vector<f32, N>,
    #[comptime] strict: bool,
) -> Vector<f32, N> {
    let x = u - threshold;
    let zero = Vector::<f32, N>::new(0.0f32);
    let one = Vector::<f32, N>::new(1.0f32);
    if comptime!(strict) {
        select_many(x.greater_than(&zero), one, zero)
    } else {
        select_many(x.greater_equal(&zero), one, zero)
    }
}

/// What a delayed hard reset leaves of `v` after the spike `r`.
#[cube]
fn reset_late<N: Size>(v: Vector<f32, N>, r: Vector<f32, N>, to: f32) -> Vector<f32, N> {
    let one = Vector::<f32, N>::new(1.0f32);
    v * (one - r) + r * Vector::new(to)
}

/// The membrane potential before reset.
#[cube]
fn integrate<N: Size>(
    v: Vector<f32, N>,
    x: Vector<f32, N>,
    numbers: &Numbers<N>,
    scalars: &Scalars,
    #[comptime] form: Form,
) -> Vector<f32, N> {
    let found = if comptime!(form.reset == ResetForm::DelayedHard) {
        reset_late::<N>(v, fire::<N>(v, numbers.threshold, form.strict), scalars.to)
    } else {
        v
    };
    let decayed = if comptime!(form.at_zero) {
        found * numbers.decay
    } else {
        let rest = Vector::<f32, N>::new(scalars.rest);
        (found - rest) * numbers.decay + rest
    };
    let carried = if comptime!(form.reset == ResetForm::DelayedSoft) {
        decayed - fire::<N>(v, numbers.threshold, form.strict) * numbers.threshold
    } else {
        decayed
    };
    if comptime!(form.decay_input) {
        carried + x * numbers.k
    } else {
        carried + x
    }
}

/// What an exponential reset leaves of 1: all, exactly, without a spike.
#[cube]
fn kept<N: Size>(o: Vector<f32, N>, gate: Vector<f32, N>) -> Vector<f32, N> {
    let zero = Vector::<f32, N>::new(0.0f32);
    select_many(o.equal(&zero), Vector::new(1.0f32), gate)
}

/// What the step leaves.
#[cube]
fn after<N: Size>(
    u: Vector<f32, N>,
    o: Vector<f32, N>,
    numbers: &Numbers<N>,
    scalars: &Scalars,
    #[comptime] form: Form,
) -> Vector<f32, N> {
    match comptime!(form.reset) {
        ResetForm::Hard => reset_late::<N>(u, o, scalars.to),
        ResetForm::Exponential => u * kept::<N>(o, numbers.gate),
        ResetForm::Soft => u - o * numbers.threshold,
        ResetForm::DelayedHard | ResetForm::DelayedSoft => u,
    }
}

/// The derivative of the spike by the distance from the threshold.
#[cube]
fn derivative<N: Size>(
    x: Vector<f32, N>,
    scalars: &Scalars,
    #[comptime] curve: CurveForm,
) -> Vector<f32, N> {
    let one = Vector::<f32, N>::new(1.0f32);
    let zero = Vector::<f32, N>::new(0.0f32);
    let a = Vector::<f32, N>::new(scalars.curve0);
    let b = Vector::<f32, N>::new(scalars.curve1);
    let c = Vector::<f32, N>::new(scalars.curve2);
    match comptime!(curve) {
        CurveForm::Inside => select_many(x.abs().less_than(&a), b, c),
        CurveForm::Polynomial => {
            let height = x.abs() * a + b;
            c * select_many(height.greater_than(&zero), height, zero)
        }
        CurveForm::Sigmoid => {
            let e = (-(x.abs() * a)).exp();
            let one_plus = e + one;
            b * (e / (one_plus * one_plus) * a)
        }
        CurveForm::Gaussian => c * ((x * x * a).exp() * b),
        CurveForm::Atan => {
            let y = x * a;
            c * (b / (y * y + one))
        }
        CurveForm::FastSigmoid => {
            let y = x.abs() * a + one;
            c * (b / (y * y))
        }
    }
}

#[cube(launch, address_type = "dynamic")]
fn lif_forward<F: Float, N: Size>(
    x: &Tensor<Vector<F, N>>,
    state: ComptimeOption<&Tensor<Vector<F, N>>>,
    decay: &Tensor<f32>,
    threshold: &Tensor<f32>,
    spikes: &mut Tensor<Vector<F, N>>,
    left: &mut Tensor<Vector<F, N>>,
    scalars: &Scalars,
    steps: usize,
    #[comptime] form: Form,
    #[define(F)] _dtype: ElemType,
) {
    let unit = ABSOLUTE_POS;
    if unit >= scalars.units {
        terminate!();
    }
    let numbers = numbers::<N>(decay, threshold, unit, scalars, form);
    #[comptime]
    let mut v = match state {
        ComptimeOption::Some(state) => Vector::<f32, N>::cast_from(state[unit]),
        ComptimeOption::None => Vector::<f32, N>::new(scalars.rest),
    };
    for t in 0..steps {
        let at = t * scalars.units + unit;
        let u = integrate::<N>(v, Vector::cast_from(x[at]), &numbers, scalars, form);
        let o = fire::<N>(u, numbers.threshold, form.strict);
        spikes[at] = Vector::cast_from(o);
        v = after::<N>(u, o, &numbers, scalars, form);
    }
    left[unit] = Vector::cast_from(v);
}

/// What a step back gives.
#[derive(CubeType, Clone, Copy)]
struct Back<N: Size> {
    by_u: Vector<f32, N>,
    by_v: Vector<f32, N>,
    by_decay: Vector<f32, N>,
    by_threshold: Vector<f32, N>,
}

/// A step back of a neuron whose reset is in the step itself: `by_v` is the gradient by what it left, `by_o` that by its
/// spike, `before` what it found.
#[cube]
fn back_now<N: Size>(
    u: Vector<f32, N>,
    before: Vector<f32, N>,
    by_v: Vector<f32, N>,
    by_spike: Vector<f32, N>,
    numbers: &Numbers<N>,
    scalars: &Scalars,
    #[comptime] form: Form,
) -> Back<N> {
    let one = Vector::<f32, N>::new(1.0f32);
    let zero = Vector::<f32, N>::new(0.0f32);
    let rest = Vector::<f32, N>::new(scalars.rest);
    let o = fire::<N>(u, numbers.threshold, form.strict);
    let slope = derivative::<N>(u - numbers.threshold, scalars, form.curve);
    let by_o = match comptime!(form.slope) {
        SlopeForm::None => by_spike,
        SlopeForm::To => by_spike + by_v * (Vector::<f32, N>::new(scalars.to) - u),
        SlopeForm::Gate => by_spike + by_v * (-u / numbers.decay * kept::<N>(o, numbers.gate)),
        SlopeForm::Threshold => by_spike - by_v * numbers.threshold,
    };
    let of_spike = by_o * slope;
    let left = match comptime!(form.reset) {
        ResetForm::Hard => by_v * (one - o),
        ResetForm::Exponential => by_v * kept::<N>(o, numbers.gate),
        ResetForm::Soft | ResetForm::DelayedHard | ResetForm::DelayedSoft => by_v,
    };
    let by_u = of_spike + left;
    let by_decay = by_u * (before - rest);
    let by_decay = if comptime!(form.reset == ResetForm::Exponential) {
        let of_gate = by_v * u * numbers.gate / (numbers.decay * numbers.decay);
        by_decay + select_many(o.equal(&zero), zero, of_gate)
    } else {
        by_decay
    };
    let by_threshold = if comptime!(form.reset == ResetForm::Soft) {
        -by_v * o - of_spike
    } else {
        -of_spike
    };
    Back::<N> {
        by_u,
        by_v: by_u * numbers.decay,
        by_decay,
        by_threshold,
    }
}

/// [`back_now`] where the reset of a step acts in the next.
#[cube]
fn back_late<N: Size>(
    u: Vector<f32, N>,
    before: Vector<f32, N>,
    by_v: Vector<f32, N>,
    by_spike: Vector<f32, N>,
    numbers: &Numbers<N>,
    scalars: &Scalars,
    #[comptime] form: Form,
) -> Back<N> {
    let one = Vector::<f32, N>::new(1.0f32);
    let rest = Vector::<f32, N>::new(scalars.rest);
    let of_spike = by_spike * derivative::<N>(u - numbers.threshold, scalars, form.curve);
    let by_u = of_spike + by_v;
    let r = fire::<N>(before, numbers.threshold, form.strict);
    // Without it the spike is a constant.
    let slope = if comptime!(form.slope == SlopeForm::None) {
        Vector::<f32, N>::new(0.0f32)
    } else {
        derivative::<N>(before - numbers.threshold, scalars, form.curve)
    };
    if comptime!(form.reset == ResetForm::DelayedHard) {
        let by_r = (Vector::<f32, N>::new(scalars.to) - before) * slope;
        Back::<N> {
            by_u,
            by_v: by_u * numbers.decay * (one - r + by_r),
            by_decay: by_u * (reset_late::<N>(before, r, scalars.to) - rest),
            by_threshold: -of_spike - by_u * numbers.decay * by_r,
        }
    } else {
        let by_r = numbers.threshold * slope;
        Back::<N> {
            by_u,
            // What is subtracted does not decay.
            by_v: by_u * (numbers.decay - by_r),
            by_decay: by_u * (before - rest),
            by_threshold: by_u * (by_r - r) - of_spike,
        }
    }
}

/// `gradient` is by the spikes of each step, or by what the last step left. `work` has, if they are learned, the gradients of
/// decay and threshold, and then, if they are not in registers, the potentials of all steps.
#[cube(launch, address_type = "dynamic")]
fn lif_backward<F: Float, N: Size>(
    x: &Tensor<Vector<F, N>>,
    state: ComptimeOption<&Tensor<Vector<F, N>>>,
    decay: &Tensor<f32>,
    threshold: &Tensor<f32>,
    gradient: &Tensor<Vector<F, N>>,
    by_x: &mut Tensor<Vector<F, N>>,
    by_state: &mut Tensor<Vector<F, N>>,
    work: &mut Tensor<Vector<f32, N>>,
    scalars: &Scalars,
    #[comptime] form: Form,
    #[comptime] by_spikes: bool,
    #[comptime] learned: bool,
    #[comptime] registers: bool,
    #[define(F)] _dtype: ElemType,
) {
    let unit = ABSOLUTE_POS;
    if unit >= scalars.units {
        terminate!();
    }
    let units = scalars.units;
    let steps = comptime!(form.steps);
    let numbers = numbers::<N>(decay, threshold, unit, scalars, form);
    let zero = Vector::<f32, N>::new(0.0f32);
    #[comptime]
    let found = match state {
        ComptimeOption::Some(state) => Vector::<f32, N>::cast_from(state[unit]),
        ComptimeOption::None => Vector::<f32, N>::new(scalars.rest),
    };
    let mut local = Array::<Vector<f32, N>>::new(comptime!(if registers { steps } else { 1 }));

    let potentials = unit + units * comptime!(if learned { 2usize } else { 0usize });

    let mut v = found;
    #[unroll(registers)]
    for t in 0..steps {
        let u = integrate::<N>(
            v,
            Vector::cast_from(x[t * units + unit]),
            &numbers,
            scalars,
            form,
        );
        if comptime!(registers) {
            local[t] = u;
        } else {
            work[potentials + t * units] = u;
        }
        let o = fire::<N>(u, numbers.threshold, form.strict);
        v = after::<N>(u, o, &numbers, scalars, form);
    }

    let mut by_v = if comptime!(by_spikes || !form.full) {
        zero
    } else {
        Vector::<f32, N>::cast_from(gradient[unit])
    };
    let mut by_decay = zero;
    let mut by_threshold = zero;
    #[unroll(registers)]
    for i in 0..steps {
        let t = steps - 1 - i;
        let at = t * units + unit;
        let u = if comptime!(registers) {
            local[t]
        } else {
            work[potentials + t * units]
        };
        let by_spike = if comptime!(by_spikes) {
            Vector::<f32, N>::cast_from(gradient[t * scalars.gradient_step + unit])
        } else {
            zero
        };
        // What the step found.
        let mut before = found;
        if t > 0 {
            let u = if comptime!(registers) {
                local[t - 1]
            } else {
                work[potentials + (t - 1) * units]
            };
            let o = fire::<N>(u, numbers.threshold, form.strict);
            before = after::<N>(u, o, &numbers, scalars, form);
        }
        let late = comptime!(matches!(
            form.reset,
            ResetForm::DelayedHard | ResetForm::DelayedSoft
        ));
        let back = if comptime!(late) {
            back_late::<N>(u, before, by_v, by_spike, &numbers, scalars, form)
        } else {
            back_now::<N>(u, before, by_v, by_spike, &numbers, scalars, form)
        };
        by_x[at] = Vector::cast_from(back.by_u * numbers.k);
        by_v = if comptime!(form.full) {
            back.by_v
        } else {
            zero
        };
        by_decay += back.by_decay;
        if comptime!(form.decay_input) {
            by_decay -= back.by_u * Vector::cast_from(x[at]);
        }
        by_threshold += back.by_threshold;
    }
    by_state[unit] = Vector::cast_from(by_v);
    if comptime!(learned) {
        work[unit] = by_decay;
        work[units + unit] = by_threshold;
    }
}

fn form(kernel: &LifKernel, shared: bool, steps: usize) -> (Form, f32, [f32; 3]) {
    let gradient = match kernel.gradient {
        TemporalGradient::Full(gradient) => Some(gradient),
        TemporalGradient::Off => None,
    };
    let (reset, to) = match kernel.reset {
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
    let (curve, numbers) = match AnyDerivative::new(kernel.surrogate) {
        AnyDerivative::Inside(d) => (CurveForm::Inside, [d.half, d.height, d.outside]),
        AnyDerivative::Polynomial(d) => (CurveForm::Polynomial, [d.slope, d.peak, d.scale]),
        AnyDerivative::Sigmoid(d) => (CurveForm::Sigmoid, [d.inverse, d.scale, 0.0]),
        AnyDerivative::Gaussian(d) => (CurveForm::Gaussian, [d.k, d.peak, d.scale]),
        AnyDerivative::Atan(d) => (CurveForm::Atan, [d.k, d.peak, d.scale]),
        AnyDerivative::FastSigmoid(d) => (CurveForm::FastSigmoid, [d.k, d.peak, d.scale]),
    };
    let form = Form {
        reset,
        slope,
        curve,
        strict: kernel.strict,
        decay_input: kernel.decay_input,
        at_zero: kernel.rest == 0.0,
        full: gradient.is_some(),
        shared,
        steps,
    };
    (form, to as f32, numbers)
}

/// A sequence as it lies in memory.
struct Sequence {
    client: Client,
    device: CubeDevice,
    dtype: DType,
    shape: Shape,
    /// The axes in the order of the memory, time first.
    order: Vec<usize>,
    x: CubeTensor,
    state: Option<CubeTensor>,
    decay: CubeTensor,
    threshold: CubeTensor,
    kernel: LifKernel,
}

fn storage_order(x: &CubeTensor) -> Vec<usize> {
    let strides: Vec<isize> = x
        .meta
        .strides()
        .iter()
        .map(|stride| *stride as isize)
        .collect();
    order(x.meta.shape(), &strides)
}

impl Sequence {
    fn new(x: CubeTensor, start: LifStart<CubeBackend>) -> Self {
        let order = storage_order(&x);
        let ordered = |x: CubeTensor| into_contiguous(permute(x, &order));
        Self {
            client: x.client.clone(),
            device: x.device.clone(),
            dtype: x.dtype,
            shape: x.shape(),
            state: start.v.map(ordered),
            x: ordered(x),
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

    /// Neighbouring neurons of one channel.
    fn inner(&self) -> usize {
        inner(&self.shape, &self.order)
    }

    fn channels(&self) -> usize {
        let count = |numbers: &CubeTensor| numbers.meta.num_elements();
        count(&self.decay).max(count(&self.threshold))
    }

    /// A new tensor of so many steps, in the order of the memory.
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

    /// With the axes in their own order.
    fn shown(&self, ordered: CubeTensor) -> CubeTensor {
        permute(ordered, &inverse(&self.order))
    }

    /// How many neurons a unit takes: as many as there are vectors for, `most` at the most.
    fn width(&self, most: usize) -> usize {
        let neurons = self.neurons();
        let sizes = self.client.io_optimized_vector_sizes(self.dtype.size());
        let fit = sizes.filter(|width| *width <= most && neurons.is_multiple_of(*width));
        fit.max().unwrap_or(1)
    }

    fn scalars(
        &self,
        width: usize,
        to: f32,
        curve: [f32; 3],
        gradient_step: usize,
    ) -> ScalarsLaunch {
        let [curve0, curve1, curve2] = curve;
        ScalarsLaunch::new(
            self.kernel.rest,
            to,
            curve0,
            curve1,
            curve2,
            self.neurons() / width,
            self.inner(),
            self.channels(),
            gradient_step,
        )
    }

    fn form(&self) -> (Form, f32, [f32; 3]) {
        form(&self.kernel, self.channels() == 1, self.steps())
    }

    fn forward(&self) -> (CubeTensor, CubeTensor) {
        let spikes = self.empty(self.steps(), self.dtype);
        let left = self.empty(1, self.dtype);
        if self.neurons() > 0 {
            let width = self.width(VECTOR);
            let units = self.neurons() / width;
            let dim = CubeDim::new(&self.client, units);
            let (form, to, curve) = self.form();
            lif_forward::launch(
                &self.client,
                calculate_cube_count_elemwise(&self.client, units, dim),
                dim,
                self.x.required_address_type(),
                width,
                self.x.clone().into_tensor_arg(),
                self.state.clone().map(CubeTensor::into_tensor_arg).into(),
                self.decay.clone().into_tensor_arg(),
                self.threshold.clone().into_tensor_arg(),
                spikes.clone().into_tensor_arg(),
                left.clone().into_tensor_arg(),
                self.scalars(width, to, curve, 0),
                self.steps(),
                form.forward(),
                dtype_to_storage_type(self.dtype),
            );
        }
        (self.shown(spikes), self.shown(left))
    }

    fn backward(
        &self,
        outputs: LifAdjoint<CubeBackend>,
        learned: bool,
    ) -> LifGradients<CubeBackend> {
        let (steps, neurons) = (self.steps(), self.neurons());
        let (by_spikes, gradient) = match outputs {
            LifAdjoint::Spikes(gradient) => (true, permute(gradient, &self.order)),
            LifAdjoint::State(gradient) => (false, permute(gradient, &self.order)),
        };
        let every_step = by_spikes && steps > 1 && gradient.meta.strides()[0] == 0;
        let gradient = match every_step {
            true => into_contiguous(first_step(gradient)),
            false => into_contiguous(gradient),
        };
        let by_x = self.empty(steps, self.dtype);
        let by_state = self.empty(1, self.dtype);
        let registers = steps <= REGISTERS / 2;
        let rows = if learned { 2 } else { 0 } + if registers { 0 } else { steps };
        // One that is not needed must still hold a vector.
        let work = match rows {
            0 => self.new_tensor(vec![VECTOR], DType::F32),
            rows => self.new_tensor(vec![rows, neurons], DType::F32),
        };
        if neurons > 0 {
            let width = self.width(match registers {
                true => (REGISTERS / steps).min(VECTOR),
                false => VECTOR,
            });
            let units = neurons / width;
            let dim = CubeDim::new(&self.client, units);
            let (form, to, curve) = self.form();
            let address = [&self.x, &work].map(CubeTensor::required_address_type);
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
                self.scalars(width, to, curve, if every_step { 0 } else { units }),
                form,
                by_spikes,
                learned,
                registers,
                dtype_to_storage_type(self.dtype),
            );
        }
        LifGradients {
            x: self.shown(by_x),
            v: self.shown(by_state),
            learned: learned.then(|| self.collect(work)),
        }
    }

    /// The gradients of decay and threshold, from those of each neuron, which are the first two rows.
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
            // One for all channels, or one for each.
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
        v: CubeTensor,
        decay: CubeTensor,
        threshold: CubeTensor,
        has_state: bool,
        kernel: LifKernel,
        keep: Keep,
    ) -> (CubeTensor, CubeTensor) {
        // The input is all that is ever kept.
        let _ = keep;
        let start = LifStart {
            v: has_state.then_some(v),
            decay,
            threshold,
            kernel,
        };
        Sequence::new(x, start).forward()
    }
}

impl LifBackwardOps for CubeBackend {
    fn lif_kept(
        x: CubeTensor,
        start: LifStart<Self>,
        _: Keep,
        learned: bool,
    ) -> (CubeTensor, CubeTensor, LifKept<Self>) {
        let (spikes, left) = Sequence::new(x.clone(), start.clone()).forward();
        let kept = LifKept {
            sequence: x,
            keep: Keep::Input,
            start,
            learned,
        };
        (spikes, left, kept)
    }

    fn lif_backward(kept: LifKept<Self>, outputs: LifAdjoint<Self>) -> LifGradients<Self> {
        Sequence::new(kept.sequence, kept.start).backward(outputs, kept.learned)
    }
}
