//! Equations of neurons, written once: a graph on every backend, and a fused kernel on `flex`.
//!
//! A neuron consists of a [`Dynamics`], which defines its equations, and a configuration
//! ([`EquationConfig`](crate::neuron::EquationConfig)), which defines its parameters; see there for a complete neuron.
//!
//! ```
//! use synfire::dynamics::{Dynamics, Fire, Real, Step};
//!
//! /// u[t] = decay v[t-1] + x[t], reset to 0.
//! #[derive(Clone, Debug)]
//! struct Leaky;
//!
//! impl Dynamics<1, 2> for Leaky {
//!     const CARRIED: [&'static str; 1] = ["v"];
//!
//!     fn rest(&self) -> [f64; 1] {
//!         [0.0]
//!     }
//!
//!     fn step<R: Real>(&self, [decay, threshold]: &[R; 2], [v]: [R; 1], x: R, fire: &impl Fire<R>) -> Step<R, 1> {
//!         let u = decay.clone() * v + x;
//!         let spike = fire.fire(u.clone() - threshold.clone());
//!         let v = u.clone() * spike.clone().complement();
//!         Step { carried: [v], u, spike }
//!     }
//! }
//!
//! // One step of numbers.
//! struct Above;
//! impl Fire<f64> for Above {
//!     fn fire(&self, distance: f64) -> f64 {
//!         if distance >= 0.0 { 1.0 } else { 0.0 }
//!     }
//! }
//! let step = Leaky.step(&[0.5, 1.0], [0.8], 0.7, &Above);
//! assert_eq!((step.u, step.spike, step.carried), (1.1, 1.0, [0.0]));
//! ```

mod dual;
pub(crate) mod real;
mod term;
mod wide;

use std::fmt::Debug;
use std::sync::Arc;

use pulp::Arch;

pub use real::{Fire, Real};
pub use term::Term;

pub(crate) use dual::{Dual, FireDual, FireSlope};
pub(crate) use term::{FireTerm, common_shape, indicator};
pub(crate) use wide::{FireStep, Wide};

use crate::neuron::NeuronConfig;
use crate::ops::{BlockBackward, BlockForward};

/// The equations of a neuron that carries `N` numbers from step to step and has `P` parameters.
///
/// They may have constants as fields. The methods are called for vectors of neurons in an inner loop: mark them
/// `#[inline(always)]`, choose between forms of an equation by fields, and write no closures, which may not be inlined: a call
/// for each vector makes a kernel several times as slow.
pub trait Dynamics<const N: usize, const P: usize>: Clone + Debug + Send + Sync + 'static {
    /// The names of the carried values in a [state](crate::neuron::NeuronState), the membrane potential after reset first.
    const CARRIED: [&'static str; N];

    /// The state before the first step.
    fn rest(&self) -> [f64; N];

    /// One step, from the parameters, the carried values and the input `x`.
    fn step<R: Real>(
        &self,
        parameters: &[R; P],
        carried: [R; N],
        x: R,
        fire: &impl Fire<R>,
    ) -> Step<R, N>;
}

/// The result of a step.
#[derive(Clone, Debug)]
pub struct Step<R, const N: usize> {
    /// The numbers for the next step, the membrane potential `v` after reset first.
    pub carried: [R; N],
    /// The membrane potential before reset.
    pub u: R,
    /// The spike.
    pub spike: R,
}

/// Any [`Dynamics`].
#[derive(Clone, Debug)]
pub struct Equations {
    equations: Arc<dyn AnyDynamics>,
    /// The neuron of the list that they are of.
    neuron: Option<Arc<NeuronConfig>>,
}

impl Equations {
    /// Wraps equations.
    pub fn new<E: Dynamics<N, P>, const N: usize, const P: usize>(equations: E) -> Self {
        Self {
            equations: Arc::new(Erased::<E, N, P>(equations)),
            neuron: None,
        }
    }

    /// The same equations, as those of a neuron of the list.
    pub(crate) fn of(self, neuron: Option<NeuronConfig>) -> Self {
        Self {
            neuron: neuron.map(Arc::new),
            ..self
        }
    }

    /// The neuron of the list that they are of.
    pub(crate) fn neuron(&self) -> Option<&NeuronConfig> {
        self.neuron.as_deref()
    }

    pub(crate) fn any(&self) -> &dyn AnyDynamics {
        &*self.equations
    }
}

/// [`Dynamics`] of any sizes. Types are erased per graph step and per kernel block, not per value.
pub(crate) trait AnyDynamics: Debug + Send + Sync {
    /// The names of the carried values.
    fn carried(&self) -> &'static [&'static str];

    /// The number of its parameters.
    fn parameters(&self) -> usize;

    /// The state before the first step.
    fn rest(&self) -> Vec<f64>;

    /// A step of a graph.
    fn step_terms(
        &self,
        parameters: &[Term],
        carried: Vec<Term>,
        x: Term,
        fire: &FireTerm,
    ) -> TermStep;

    /// A step of a block of neurons.
    fn step_forward(&self, arch: Arch, block: BlockForward);

    /// The backward pass of a step, with gradients of the parameters if `learned`.
    fn step_backward(&self, arch: Arch, block: BlockBackward, learned: bool);
}

/// A [`Step`] of terms.
#[derive(Debug)]
pub(crate) struct TermStep {
    pub carried: Vec<Term>,
    pub u: Term,
    pub spike: Term,
}

/// [`Dynamics`] with erased sizes.
#[derive(Debug)]
struct Erased<E, const N: usize, const P: usize>(E);

/// The terms as an array.
fn sized<const N: usize>(terms: impl IntoIterator<Item = Term>) -> [Term; N] {
    let mut terms = terms.into_iter();
    std::array::from_fn(|_| terms.next().expect("as many as the equations have"))
}

impl<E: Dynamics<N, P>, const N: usize, const P: usize> AnyDynamics for Erased<E, N, P> {
    fn carried(&self) -> &'static [&'static str] {
        &E::CARRIED
    }

    fn parameters(&self) -> usize {
        P
    }

    fn rest(&self) -> Vec<f64> {
        self.0.rest().to_vec()
    }

    fn step_terms(
        &self,
        parameters: &[Term],
        carried: Vec<Term>,
        x: Term,
        fire: &FireTerm,
    ) -> TermStep {
        let parameters = sized::<P>(parameters.iter().cloned());
        let step = self.0.step(&parameters, sized::<N>(carried), x, fire);
        TermStep {
            carried: step.carried.to_vec(),
            u: step.u,
            spike: step.spike,
        }
    }

    fn step_forward(&self, arch: Arch, block: BlockForward) {
        block.run::<E, N, P>(&self.0, arch);
    }

    fn step_backward(&self, arch: Arch, block: BlockBackward, learned: bool) {
        match learned {
            true => block.run::<E, N, P, P>(&self.0, arch),
            false => block.run::<E, N, P, 0>(&self.0, arch),
        }
    }
}
