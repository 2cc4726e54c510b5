//! The fused neuron in CubeCL: a unit of the device takes a neuron, or a vector of neighbouring ones, through all time
//! steps.
//!
//! Numbers are stored in the type of the input and computed in single precision. The backward pass runs forward once more,
//! with the same operations, and takes the neurons back; for few steps the membrane potentials in between stay in registers.
//! The equations, with their derivatives, are those of `lif.rs`.

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

/// What decides the code of a kernel: each is compiled for its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Form {
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
    /// The steps of a backward pass; of a forward pass, which is the same for any number, 0.
    pub steps: usize,
}

impl Form {
    /// Without what only the backward pass has: fewer kernels to compile.
    pub fn forward(self) -> Self {
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
pub fn lif_forward<F: Float, N: Size>(
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
