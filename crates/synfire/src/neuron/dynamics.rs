//! What neurons with equations of their own have in common: how a step becomes a sequence.

use burn::backend::Dispatch;
use burn::tensor::{Device, Tensor};

use super::real::{Fire, FireTensor, Real};
use super::{AnyEquations, Recording, Reset, ResetGradient, TemporalGradient, check_sequence};
use crate::InvalidConfig;
use crate::kernel::{self, DynamicsKernel, DynamicsOps, Path};
use crate::spike::Forward;
use crate::surrogate::Surrogate;

/// The equations of a neuron with `N` numbers that it carries from step to step, the membrane potential first, and `P`
/// numbers that it is given.
pub(crate) trait Dynamics<const N: usize, const P: usize>: Copy {
    /// What it carries before the first step.
    fn rest(&self) -> [f64; N];

    /// One step, from what was carried and the input.
    fn step<R: Real>(
        &self,
        numbers: &[R; P],
        carried: [R; N],
        x: R,
        fire: &impl Fire<R>,
    ) -> Step<R, N>;
}

/// What a step makes.
pub(crate) struct Step<R, const N: usize> {
    /// What it leaves for the next.
    pub carried: [R; N],
    /// The membrane potential before reset.
    pub u: R,
    /// The spike.
    pub spike: R,
}

/// A reset in the step itself, for the equations of a neuron.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ResetRule {
    pub reset: Reset,
    /// Whether the spike in it is a constant.
    pub detached: bool,
}

impl ResetRule {
    pub fn new(reset: Reset, gradient: TemporalGradient) -> Self {
        Self {
            reset,
            detached: gradient == TemporalGradient::Full(ResetGradient::Detached),
        }
    }

    /// Rejects what equations other than those of [`Lif`](super::Lif) do not have.
    pub fn validate(
        owner: &'static str,
        reset: Reset,
        gradient: TemporalGradient,
        delayed: bool,
    ) -> Result<(), InvalidConfig> {
        if let Reset::Hard { to } | Reset::DelayedHard { to } = reset {
            InvalidConfig::require_finite(owner, "reset.to", to)?;
        }
        let is_delayed = matches!(reset, Reset::DelayedHard { .. } | Reset::DelayedSoft);
        if reset == Reset::Exponential || (is_delayed && !delayed) {
            let expected = match delayed {
                true => "a hard, soft or delayed reset",
                false => "a hard or soft reset",
            };
            return Err(InvalidConfig::new(
                owner,
                "reset",
                format!("{reset:?}"),
                expected,
            ));
        }
        match gradient {
            TemporalGradient::Off
            | TemporalGradient::Full(ResetGradient::Exact | ResetGradient::Detached) => Ok(()),
            _ => Err(InvalidConfig::new(
                owner,
                "temporal_gradient",
                format!("{gradient:?}"),
                "exact, detached or off",
            )),
        }
    }

    /// Where a hard reset ends; else 0.
    #[inline(always)]
    pub fn target(self) -> f64 {
        match self.reset {
            Reset::Hard { to } | Reset::DelayedHard { to } => to,
            Reset::Exponential | Reset::Soft | Reset::DelayedSoft => 0.0,
        }
    }

    /// The spike as the reset has it.
    #[inline(always)]
    pub fn spike<R: Real>(self, spike: R) -> R {
        match self.detached {
            true => spike.constant(),
            false => spike,
        }
    }

    /// `u` after a delayed reset, which fires once more at the `v` that the last step left.
    #[inline(always)]
    pub fn delayed<R: Real>(self, u: R, v: R, threshold: &R, fire: &impl Fire<R>) -> R {
        match self.reset {
            Reset::DelayedHard { to } => {
                let r = self.spike(fire.fire(v - threshold.clone()));
                u * (-r.clone()).plus(1.0) + r.scale(to)
            }
            Reset::DelayedSoft => {
                u - threshold.clone() * self.spike(fire.fire(v - threshold.clone()))
            }
            Reset::Hard { .. } | Reset::Exponential | Reset::Soft => u,
        }
    }

    /// `v` from `u` and the spike.
    #[inline(always)]
    pub fn left<R: Real>(self, u: &R, spike: &R, threshold: &R) -> R {
        self.left_by(u, spike, spike, threshold)
    }

    /// [`left`](Self::left) where spikes are of more than one kind: `any` is 1 where there is one.
    #[inline(always)]
    pub fn left_by<R: Real>(self, u: &R, any: &R, spike: &R, threshold: &R) -> R {
        match self.reset {
            Reset::Hard { to } => {
                let any = self.spike(any.clone());
                let kept = u.clone() * (-any.clone()).plus(1.0);
                match to {
                    0.0 => kept,
                    to => kept + any.scale(to),
                }
            }
            Reset::Soft => u.clone() - threshold.clone() * self.spike(spike.clone()),
            // Configurations have no exponential ones.
            Reset::DelayedHard { .. } | Reset::DelayedSoft | Reset::Exponential => u.clone(),
        }
    }
}

/// What is carried before the first step.
pub(crate) fn initial<E: Dynamics<N, P>, const N: usize, const P: usize, const D: usize>(
    equations: &E,
    sequence: [usize; D],
    device: &Device,
) -> [Tensor<D>; N] {
    let mut shape = sequence;
    shape[0] = 1;
    equations
        .rest()
        .map(|rest| Tensor::full(shape, rest, device))
}

/// How a sequence is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub temporal_gradient: TemporalGradient,
    pub surrogate: Surrogate,
    pub forward: Forward,
    pub path: Path,
}

/// A neuron on its way through a sequence.
pub(crate) struct Run<E, const N: usize, const P: usize> {
    /// Its name, for messages.
    pub owner: &'static str,
    pub equations: E,
    /// The numbers that it is given, `[1]` or `[C]` each.
    pub numbers: [Tensor<1>; P],
    pub settings: Settings,
}

impl<E: Dynamics<N, P>, const N: usize, const P: usize> Run<E, N, P>
where
    AnyEquations: From<E>,
{
    /// Spikes, and what the last step leaves.
    pub fn forward<const D: usize>(
        &self,
        input: Tensor<D>,
        carried: Option<[Tensor<D>; N]>,
    ) -> (Tensor<D>, [Tensor<D>; N]) {
        let fused = self.settings.path == Path::Auto
            && self.settings.forward != Forward::Smooth
            && kernel::supports(&input);
        if fused {
            return self.fused(input, carried);
        }
        let mut spikes = Vec::new();
        let carried = self.unroll(input, carried, |step, _| spikes.push(step));
        (Tensor::cat(spikes, 0), carried)
    }

    /// What every step did, and what the last one leaves.
    pub fn recorded<const D: usize>(
        &self,
        input: Tensor<D>,
        carried: Option<[Tensor<D>; N]>,
    ) -> (Recording<D>, [Tensor<D>; N]) {
        let (mut us, mut spikes, mut vs) = (Vec::new(), Vec::new(), Vec::new());
        let carried = self.unroll(input, carried, |spike, [u, v]| {
            spikes.push(spike);
            us.push(u);
            vs.push(v);
        });
        let recording = Recording {
            spikes: Tensor::cat(spikes, 0),
            u: Tensor::cat(us, 0),
            v: Tensor::cat(vs, 0),
        };
        (recording, carried)
    }

    fn check<const D: usize>(&self, sequence: [usize; D], carried: Option<&[Tensor<D>; N]>) {
        check_sequence(self.owner, sequence, None);
        for tensor in carried.into_iter().flatten() {
            check_sequence(self.owner, sequence, Some(tensor.dims()));
        }
    }

    fn unroll<const D: usize>(
        &self,
        input: Tensor<D>,
        carried: Option<[Tensor<D>; N]>,
        mut each: impl FnMut(Tensor<D>, [Tensor<D>; 2]),
    ) -> [Tensor<D>; N] {
        let shape = input.dims();
        self.check(shape, carried.as_ref());
        let device = input.device();
        let numbers = self.numbers.each_ref().map(|values| {
            let mut broadcast = [1; D];
            let [count] = values.dims();
            if count > 1 {
                broadcast[2] = count;
            }
            values.clone().reshape(broadcast)
        });
        let off = self.settings.temporal_gradient == TemporalGradient::Off;
        let fire = FireTensor {
            surrogate: self.settings.surrogate,
            forward: self.settings.forward,
        };
        let mut carried = carried.unwrap_or_else(|| initial(&self.equations, shape, &device));
        for x in input.split(1, 0) {
            let before = match off {
                true => carried.map(Tensor::detach),
                false => carried,
            };
            let step = self.equations.step(&numbers, before, x, &fire);
            carried = match off {
                true => step.carried.map(Tensor::detach),
                false => step.carried,
            };
            each(step.spike, [step.u, carried[0].clone()]);
        }
        carried
    }

    fn fused<const D: usize>(
        &self,
        input: Tensor<D>,
        carried: Option<[Tensor<D>; N]>,
    ) -> (Tensor<D>, [Tensor<D>; N]) {
        let shape = input.dims();
        self.check(shape, carried.as_ref());
        let rows = &self.numbers;
        let count = rows.iter().map(|row| row.dims()[0]).max().unwrap_or(1);
        let rows = rows
            .each_ref()
            .map(|row| row.clone().expand([count]).reshape([1, count]));
        let numbers: Tensor<2> = Tensor::cat(rows.to_vec(), 0);
        let has_carried = carried.is_some();
        let carried = match carried {
            Some(carried) => Tensor::cat(carried.to_vec(), 0).into_dispatch(),
            // In place of what is not there stands something else.
            None => numbers.clone().into_dispatch(),
        };
        let Settings {
            temporal_gradient,
            surrogate,
            forward,
            ..
        } = self.settings;
        let kernel = DynamicsKernel {
            equations: self.equations.into(),
            surrogate,
            strict: forward == Forward::StrictStep,
            off: temporal_gradient == TemporalGradient::Off,
        };
        let (spikes, carried) = <Dispatch as DynamicsOps>::dynamics(
            input.into_dispatch(),
            carried,
            numbers.into_dispatch(),
            has_carried,
            kernel,
        );
        let carried: Tensor<D> = Tensor::from_dispatch(carried);
        let mut carried = carried.split(1, 0).into_iter();
        let carried = std::array::from_fn(|_| carried.next().expect("there are as many"));
        (Tensor::from_dispatch(spikes), carried)
    }
}

/// Defines a state of named tensors, the membrane potential first.
macro_rules! neuron_state {
    (
        $(#[$attribute:meta])*
        pub struct $name:ident {
            $($(#[doc = $doc:literal])* $field:ident,)+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
        pub struct $name<const D: usize> {
            $(
                $(#[doc = $doc])*
                #[serde(deserialize_with = "crate::neuron::state::tensor")]
                pub $field: burn::tensor::Tensor<D>,
            )+
        }

        impl<const D: usize> crate::neuron::NeuronState for $name<D> {
            fn detach(self) -> Self {
                Self { $($field: self.$field.detach(),)+ }
            }

            fn to_device(self, device: &burn::tensor::Device) -> Self {
                Self { $($field: self.$field.to_device(device),)+ }
            }
        }

        impl<const D: usize> $name<D> {
            /// The number of its tensors.
            const COUNT: usize = [$(stringify!($field)),+].len();

            fn into_array(self) -> [burn::tensor::Tensor<D>; $name::<1>::COUNT] {
                [$(self.$field),+]
            }

            fn from_array(array: [burn::tensor::Tensor<D>; $name::<1>::COUNT]) -> Self {
                let [$($field),+] = array;
                Self { $($field),+ }
            }
        }
    };
}

/// Makes a module with a configuration in `config`, with `equations()` and with numbers from `numbers(sequence, device)` a
/// neuron with this state.
macro_rules! neuron_by_equations {
    ($name:ident, $config:ident, $state:ident) => {
        impl $name {
            /// The configuration the neuron was made from.
            pub fn config(&self) -> &$config {
                &self.config
            }

            fn run<const N: usize, const P: usize, E>(
                &self,
                equations: E,
                numbers: [burn::tensor::Tensor<1>; P],
            ) -> crate::neuron::dynamics::Run<E, N, P> {
                crate::neuron::dynamics::Run {
                    owner: stringify!($name),
                    equations,
                    numbers,
                    settings: crate::neuron::dynamics::Settings {
                        temporal_gradient: self.config.temporal_gradient,
                        surrogate: self.config.surrogate,
                        forward: self.config.forward,
                        path: self.config.path,
                    },
                }
            }
        }

        impl crate::neuron::Neuron for $name {
            type State<const D: usize> = $state<D>;

            fn temporal_gradient(&self) -> crate::neuron::TemporalGradient {
                self.config.temporal_gradient
            }

            fn initial<const D: usize>(
                &self,
                sequence: [usize; D],
                device: &burn::tensor::Device,
            ) -> $state<D> {
                let equations = self.equations();
                $state::from_array(crate::neuron::dynamics::initial(
                    &equations, sequence, device,
                ))
            }

            fn forward_recorded<const D: usize>(
                &self,
                input: burn::tensor::Tensor<D>,
                state: Option<$state<D>>,
            ) -> (crate::neuron::Recording<D>, $state<D>) {
                let numbers = self.numbers(input.dims(), &input.device());
                let run = self.run(self.equations(), numbers);
                let (recording, left) = run.recorded(input, state.map($state::into_array));
                (recording, $state::from_array(left))
            }

            fn forward<const D: usize>(
                &self,
                input: burn::tensor::Tensor<D>,
                state: Option<$state<D>>,
            ) -> (burn::tensor::Tensor<D>, $state<D>) {
                let numbers = self.numbers(input.dims(), &input.device());
                let run = self.run(self.equations(), numbers);
                let (spikes, left) = run.forward(input, state.map($state::into_array));
                (spikes, $state::from_array(left))
            }
        }
    };
}

pub(super) use {neuron_by_equations, neuron_state};
