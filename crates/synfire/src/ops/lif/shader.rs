//! The fused LIF neuron in CubeCL: a unit of the device processes one neuron, or a vector of neighbouring ones, for all time
//! steps.
//!
//! Elements are stored in the type of the input and computed in single precision. The backward pass recomputes the forward
//! pass with the same operations and keeps the membrane potentials in registers. A long sequence is split into blocks: the
//! pass saves the state before each block, and processes the blocks from last to first, recomputing each.
//! The equations are those of `neuron/lif.rs`; their derivatives are written out here.

// The macros name the crate so.
use burn_cubecl::cubecl;
use cubecl::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResetForm {
    Hard,
    Exponential,
    Soft,
    DelayedHard,
    DelayedSoft,
}

/// The derivative of a reset by the spike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SlopeForm {
    None,
    To,
    Gate,
    Threshold,
}

/// The form of the surrogate's derivative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CurveForm {
    Inside,
    Polynomial,
    Sigmoid,
    Gaussian,
    Atan,
    FastSigmoid,
}

/// The variant of a kernel; each is compiled separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ShaderForm {
    pub reset: ResetForm,
    pub slope: SlopeForm,
    pub curve: CurveForm,
    pub strict: bool,
    pub decay_input: bool,
    /// Whether the resting potential is 0.
    pub at_zero: bool,
    /// Whether gradients come from the next step.
    pub full: bool,
    /// Whether there is one decay and one threshold for all.
    pub shared: bool,
}

impl ShaderForm {
    /// The variant without options of the backward pass, so that fewer kernels are compiled.
    pub fn forward(self) -> Self {
        Self {
            slope: SlopeForm::None,
            curve: CurveForm::Inside,
            full: true,
            ..self
        }
    }
}

/// The blocks of a backward pass. The code of a block is unrolled, so that its elements stay in registers; the states between
/// blocks are stored in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Blocks {
    /// The steps of a block.
    pub steps: usize,
    /// Whether there is more than one.
    pub several: bool,
    /// The steps of a shorter last block.
    pub rest: usize,
}

/// The layout of a sequence, in vectors. Devices may leave gaps between rows.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub struct SequenceLayout {
    /// The length of a row.
    row: usize,
    /// From a row to the next.
    pitch: usize,
    /// From a step to the next; 0 if all are the same one.
    step: usize,
}

/// The offset of a unit's first step.
#[cube]
fn first_step(place: &SequenceLayout, unit: usize) -> usize {
    (unit / place.row) * place.pitch + unit % place.row
}

/// The run-time arguments of a kernel.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub struct Scalars {
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
    /// Of the input.
    input: SequenceLayout,
    /// Of the gradients by the spikes.
    gradient: SequenceLayout,
    /// Whole blocks of steps, of a backward pass.
    blocks: usize,
}

/// Decay and threshold of a vector of neurons, and derived parameters.
#[derive(CubeType, Clone, Copy)]
struct VectorParameters<N: Size> {
    decay: Vector<f32, N>,
    threshold: Vector<f32, N>,
    /// The factor of the input.
    k: Vector<f32, N>,
    /// The exponential gate after a spike.
    gate: Vector<f32, N>,
}

#[cube]
fn parameters<N: Size>(
    decay: &Tensor<f32>,
    threshold: &Tensor<f32>,
    unit: usize,
    scalars: &Scalars,
    #[comptime] form: ShaderForm,
) -> VectorParameters<N> {
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
    VectorParameters::<N> {
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

/// `v` after a delayed hard reset by the spike `r`.
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
    parameters: &VectorParameters<N>,
    scalars: &Scalars,
    #[comptime] form: ShaderForm,
) -> Vector<f32, N> {
    let found = if comptime!(form.reset == ResetForm::DelayedHard) {
        reset_late::<N>(
            v,
            fire::<N>(v, parameters.threshold, form.strict),
            scalars.to,
        )
    } else {
        v
    };
    let decayed = if comptime!(form.at_zero) {
        found * parameters.decay
    } else {
        let rest = Vector::<f32, N>::new(scalars.rest);
        (found - rest) * parameters.decay + rest
    };
    let carried = if comptime!(form.reset == ResetForm::DelayedSoft) {
        decayed - fire::<N>(v, parameters.threshold, form.strict) * parameters.threshold
    } else {
        decayed
    };
    if comptime!(form.decay_input) {
        carried + x * parameters.k
    } else {
        carried + x
    }
}

/// The exponential gate: exactly 1 without a spike.
#[cube]
fn kept<N: Size>(o: Vector<f32, N>, gate: Vector<f32, N>) -> Vector<f32, N> {
    let zero = Vector::<f32, N>::new(0.0f32);
    select_many(o.equal(&zero), Vector::new(1.0f32), gate)
}

/// `v` after the step.
#[cube]
fn after<N: Size>(
    u: Vector<f32, N>,
    o: Vector<f32, N>,
    parameters: &VectorParameters<N>,
    scalars: &Scalars,
    #[comptime] form: ShaderForm,
) -> Vector<f32, N> {
    match comptime!(form.reset) {
        ResetForm::Hard => reset_late::<N>(u, o, scalars.to),
        ResetForm::Exponential => u * kept::<N>(o, parameters.gate),
        ResetForm::Soft => u - o * parameters.threshold,
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
pub fn lif_forward<F: Float, N: Size>(
    x: &Tensor<Vector<F, N>>,
    state: ComptimeOption<&Tensor<Vector<F, N>>>,
    decay: &Tensor<f32>,
    threshold: &Tensor<f32>,
    spikes: &mut Tensor<Vector<F, N>>,
    left: &mut Tensor<Vector<F, N>>,
    scalars: &Scalars,
    steps: usize,
    #[comptime] form: ShaderForm,
    #[define(F)] _dtype: ElemType,
) {
    let unit = ABSOLUTE_POS;
    if unit >= scalars.units {
        terminate!();
    }
    let parameters = parameters::<N>(decay, threshold, unit, scalars, form);
    #[comptime]
    let mut v = match state {
        ComptimeOption::Some(state) => Vector::<f32, N>::cast_from(state[unit]),
        ComptimeOption::None => Vector::<f32, N>::new(scalars.rest),
    };
    let first = first_step(&scalars.input, unit);
    for t in 0..steps {
        let at = t * scalars.units + unit;
        let input = Vector::cast_from(x[t * scalars.input.step + first]);
        let u = integrate::<N>(v, input, &parameters, scalars, form);
        let o = fire::<N>(u, parameters.threshold, form.strict);
        spikes[at] = Vector::cast_from(o);
        v = after::<N>(u, o, &parameters, scalars, form);
    }
    left[unit] = Vector::cast_from(v);
}

/// The gradients of a backward step.
#[derive(CubeType, Clone, Copy)]
struct VectorGradients<N: Size> {
    by_u: Vector<f32, N>,
    by_v: Vector<f32, N>,
    by_decay: Vector<f32, N>,
    by_threshold: Vector<f32, N>,
}

/// The backward step of a neuron whose reset acts in the same step. `by_v` is the gradient of `v` after the step, `by_o`
/// that of its spike; `before` is `v` before the step.
#[cube]
fn back_now<N: Size>(
    u: Vector<f32, N>,
    before: Vector<f32, N>,
    by_v: Vector<f32, N>,
    by_spike: Vector<f32, N>,
    parameters: &VectorParameters<N>,
    scalars: &Scalars,
    #[comptime] form: ShaderForm,
) -> VectorGradients<N> {
    let one = Vector::<f32, N>::new(1.0f32);
    let zero = Vector::<f32, N>::new(0.0f32);
    let rest = Vector::<f32, N>::new(scalars.rest);
    let o = fire::<N>(u, parameters.threshold, form.strict);
    let slope = derivative::<N>(u - parameters.threshold, scalars, form.curve);
    let by_o = match comptime!(form.slope) {
        SlopeForm::None => by_spike,
        SlopeForm::To => by_spike + by_v * (Vector::<f32, N>::new(scalars.to) - u),
        SlopeForm::Gate => {
            by_spike + by_v * (-u / parameters.decay * kept::<N>(o, parameters.gate))
        }
        SlopeForm::Threshold => by_spike - by_v * parameters.threshold,
    };
    let of_spike = by_o * slope;
    let left = match comptime!(form.reset) {
        ResetForm::Hard => by_v * (one - o),
        ResetForm::Exponential => by_v * kept::<N>(o, parameters.gate),
        ResetForm::Soft | ResetForm::DelayedHard | ResetForm::DelayedSoft => by_v,
    };
    let by_u = of_spike + left;
    let by_decay = by_u * (before - rest);
    let by_decay = if comptime!(form.reset == ResetForm::Exponential) {
        let of_gate = by_v * u * parameters.gate / (parameters.decay * parameters.decay);
        by_decay + select_many(o.equal(&zero), zero, of_gate)
    } else {
        by_decay
    };
    let by_threshold = if comptime!(form.reset == ResetForm::Soft) {
        -by_v * o - of_spike
    } else {
        -of_spike
    };
    VectorGradients::<N> {
        by_u,
        by_v: by_u * parameters.decay,
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
    parameters: &VectorParameters<N>,
    scalars: &Scalars,
    #[comptime] form: ShaderForm,
) -> VectorGradients<N> {
    let one = Vector::<f32, N>::new(1.0f32);
    let rest = Vector::<f32, N>::new(scalars.rest);
    let of_spike = by_spike * derivative::<N>(u - parameters.threshold, scalars, form.curve);
    let by_u = of_spike + by_v;
    let r = fire::<N>(before, parameters.threshold, form.strict);
    // Without it the spike is a constant.
    let slope = if comptime!(form.slope == SlopeForm::None) {
        Vector::<f32, N>::new(0.0f32)
    } else {
        derivative::<N>(before - parameters.threshold, scalars, form.curve)
    };
    if comptime!(form.reset == ResetForm::DelayedHard) {
        let by_r = (Vector::<f32, N>::new(scalars.to) - before) * slope;
        VectorGradients::<N> {
            by_u,
            by_v: by_u * parameters.decay * (one - r + by_r),
            by_decay: by_u * (reset_late::<N>(before, r, scalars.to) - rest),
            by_threshold: -of_spike - by_u * parameters.decay * by_r,
        }
    } else {
        let by_r = parameters.threshold * slope;
        VectorGradients::<N> {
            by_u,
            // The subtracted threshold does not decay.
            by_v: by_u * (parameters.decay - by_r),
            by_decay: by_u * (before - rest),
            by_threshold: by_u * (by_r - r) - of_spike,
        }
    }
}

/// The gradients carried from step to step.
#[derive(CubeType, Clone, Copy)]
struct VectorAdjoint<N: Size> {
    by_v: Vector<f32, N>,
    by_decay: Vector<f32, N>,
    by_threshold: Vector<f32, N>,
}

/// Runs a neuron forward through `steps` steps from `start` on, with the initial `v` in `found`, and back. The loops are
/// unrolled, so that membrane potentials stay in registers.
#[cube]
fn back_through<F: Float, N: Size>(
    x: &Tensor<Vector<F, N>>,
    gradient: &Tensor<Vector<F, N>>,
    by_x: &mut Tensor<Vector<F, N>>,
    unit: usize,
    start: usize,
    found: Vector<f32, N>,
    adjoint: &mut VectorAdjoint<N>,
    parameters: &VectorParameters<N>,
    scalars: &Scalars,
    #[comptime] steps: usize,
    #[comptime] form: ShaderForm,
    #[comptime] by_spikes: bool,
) {
    let zero = Vector::<f32, N>::new(0.0f32);
    let of_input = start * scalars.input.step + first_step(&scalars.input, unit);
    let of_gradient = start * scalars.gradient.step + first_step(&scalars.gradient, unit);
    let mut potentials = Array::<Vector<f32, N>>::new(steps);
    let mut v = found;
    #[unroll]
    for i in 0..steps {
        let x = Vector::cast_from(x[of_input + i * scalars.input.step]);
        let u = integrate::<N>(v, x, parameters, scalars, form);
        potentials[i] = u;
        let o = fire::<N>(u, parameters.threshold, form.strict);
        v = after::<N>(u, o, parameters, scalars, form);
    }

    #[unroll]
    for back in 0..steps {
        let i = steps - 1 - back;
        let at = (start + i) * scalars.units + unit;
        let u = potentials[i];
        let by_spike = if comptime!(by_spikes) {
            Vector::<f32, N>::cast_from(gradient[of_gradient + i * scalars.gradient.step])
        } else {
            zero
        };
        // The state before the step.
        let mut before = found;
        if i > 0 {
            let u = potentials[i - 1];
            let o = fire::<N>(u, parameters.threshold, form.strict);
            before = after::<N>(u, o, parameters, scalars, form);
        }
        let late = comptime!(matches!(
            form.reset,
            ResetForm::DelayedHard | ResetForm::DelayedSoft
        ));
        let back = if comptime!(late) {
            back_late::<N>(u, before, adjoint.by_v, by_spike, parameters, scalars, form)
        } else {
            back_now::<N>(u, before, adjoint.by_v, by_spike, parameters, scalars, form)
        };
        by_x[at] = Vector::cast_from(back.by_u * parameters.k);
        adjoint.by_v = if comptime!(form.full) {
            back.by_v
        } else {
            zero
        };
        adjoint.by_decay += back.by_decay;
        if comptime!(form.decay_input) {
            let x = Vector::cast_from(x[of_input + i * scalars.input.step]);
            adjoint.by_decay -= back.by_u * x;
        }
        adjoint.by_threshold += back.by_threshold;
    }
}

/// `gradient` is that of the spikes of each step, or of the final state. `work` holds the gradients of decay and threshold,
/// if learned, and then the state before each block of steps but the first.
#[cube(launch, address_type = "dynamic")]
pub fn lif_backward<F: Float, N: Size>(
    x: &Tensor<Vector<F, N>>,
    state: ComptimeOption<&Tensor<Vector<F, N>>>,
    decay: &Tensor<f32>,
    threshold: &Tensor<f32>,
    gradient: &Tensor<Vector<F, N>>,
    by_x: &mut Tensor<Vector<F, N>>,
    by_state: &mut Tensor<Vector<F, N>>,
    work: &mut Tensor<Vector<f32, N>>,
    scalars: &Scalars,
    #[comptime] form: ShaderForm,
    #[comptime] by_spikes: bool,
    #[comptime] learned: bool,
    #[comptime] blocks: Blocks,
    #[define(F)] _dtype: ElemType,
) {
    let unit = ABSOLUTE_POS;
    if unit >= scalars.units {
        terminate!();
    }
    let units = scalars.units;
    let parameters = parameters::<N>(decay, threshold, unit, scalars, form);
    let zero = Vector::<f32, N>::new(0.0f32);
    #[comptime]
    let first = match state {
        ComptimeOption::Some(state) => Vector::<f32, N>::cast_from(state[unit]),
        ComptimeOption::None => Vector::<f32, N>::new(scalars.rest),
    };
    let by_last = if comptime!(by_spikes || !form.full) {
        zero
    } else {
        Vector::<f32, N>::cast_from(gradient[first_step(&scalars.gradient, unit)])
    };
    let mut adjoint = VectorAdjoint::<N> {
        by_v: by_last,
        by_decay: zero,
        by_threshold: zero,
    };
    let steps = comptime!(blocks.steps);
    let rest = comptime!(blocks.rest);
    if comptime!(blocks.several) {
        let found = unit + units * comptime!(if learned { 2usize } else { 0usize });
        let of_input = first_step(&scalars.input, unit);
        let mut v = first;
        let whole = scalars.blocks;
        let before_last = if comptime!(rest > 0) {
            whole
        } else {
            whole - 1
        };
        for block in 0..before_last {
            for i in 0..steps {
                let at = (block * steps + i) * scalars.input.step + of_input;
                let x = Vector::cast_from(x[at]);
                let u = integrate::<N>(v, x, &parameters, scalars, form);
                let o = fire::<N>(u, parameters.threshold, form.strict);
                v = after::<N>(u, o, &parameters, scalars, form);
            }
            work[found + block * units] = v;
        }
        if comptime!(rest > 0) {
            let start = whole * steps;
            back_through::<F, N>(
                x,
                gradient,
                by_x,
                unit,
                start,
                v,
                &mut adjoint,
                &parameters,
                scalars,
                rest,
                form,
                by_spikes,
            );
        }
        for later in 0..whole {
            let block = whole - 1 - later;
            let start = block * steps;
            let mut v = first;
            if block > 0 {
                v = work[found + (block - 1) * units];
            }
            back_through::<F, N>(
                x,
                gradient,
                by_x,
                unit,
                start,
                v,
                &mut adjoint,
                &parameters,
                scalars,
                steps,
                form,
                by_spikes,
            );
        }
    } else {
        back_through::<F, N>(
            x,
            gradient,
            by_x,
            unit,
            0usize,
            first,
            &mut adjoint,
            &parameters,
            scalars,
            steps,
            form,
            by_spikes,
        );
    }
    by_state[unit] = Vector::cast_from(adjoint.by_v);
    if comptime!(learned) {
        work[unit] = adjoint.by_decay;
        work[units + unit] = adjoint.by_threshold;
    }
}
