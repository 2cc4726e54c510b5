//! Neurons fused from their equations as an operation of Burn's fusion and of servers. Equations travel as the configuration of
//! their neuron.

use burn::backend::Backend;
use burn::backend::fusion::custom::TensorSpec;
use burn::backend::fusion::{Fusion, FusionBackend};
use burn::backend::tensor::FloatTensor;
use serde::{Deserialize, Serialize};

use super::{DynamicsGiven, DynamicsKernel, DynamicsOps};
use crate::neuron::NeuronConfig;
use crate::ops::backward::{Adjoint, InputGradients, NeuronKept};
use crate::ops::operation::{
    Runs, TensorOperation, check_same, exactly, first_gradients, register, state_of, with_optional,
};
use crate::ops::optional::OptionalTensor;
use crate::surrogate::Surrogate;

/// A [`DynamicsKernel`] as plain data.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SentKernel {
    neuron: NeuronConfig,
    per_neuron: bool,
    surrogate: Surrogate,
    strict: bool,
    off: bool,
}

impl SentKernel {
    /// That of neurons of the list.
    pub fn new(kernel: DynamicsKernel) -> Self {
        let neuron = kernel.equations.neuron().cloned();
        Self {
            neuron: neuron.expect("equations of a neuron of the list, as was checked"),
            per_neuron: kernel.per_neuron,
            surrogate: kernel.surrogate,
            strict: kernel.strict,
            off: kernel.off,
        }
    }

    /// Inverse of [`new`](Self::new).
    pub fn kernel(self) -> Result<DynamicsKernel, String> {
        let none = || format!("{} has no equations", self.neuron.name());
        Ok(DynamicsKernel {
            equations: self.neuron.equations().ok_or_else(none)?,
            per_neuron: self.per_neuron,
            surrogate: self.surrogate,
            strict: self.strict,
            off: self.off,
        })
    }

    /// The state of these neurons, after a check of their input, parameters and state.
    pub fn check(
        &self,
        x: &TensorSpec,
        parameters: &TensorSpec,
        carried: Option<&TensorSpec>,
    ) -> Result<TensorSpec, String> {
        self.neuron.validate().map_err(|error| error.to_string())?;
        let kernel = self.clone().kernel()?;
        let equations = kernel.equations.any();
        let state = state_of(x, equations.carried().len(), carried)?;
        let sizes: &[usize] = &x.shape;
        let columns = match self.per_neuron {
            true => sizes[2..].iter().product(),
            false => sizes.get(2).copied().unwrap_or(1),
        };
        let rows = equations.parameters();
        let shape: &[usize] = &parameters.shape;
        match (shape == [rows, 1] || shape == [rows, columns]) && parameters.dtype == x.dtype {
            true => Ok(state),
            false => Err(format!(
                "parameters {shape:?}, expected [{rows}, {columns}]"
            )),
        }
    }
}

/// [`DynamicsOps::dynamics`] of `x, parameters` and, if there is one, the state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DynamicsForward(SentKernel);

impl DynamicsForward {
    /// The operation and its inputs.
    pub fn new<B: Backend>(given: DynamicsGiven<B>) -> (Self, Vec<FloatTensor<B>>) {
        let mut inputs = vec![given.x, given.parameters];
        inputs.extend(given.carried);
        (Self(SentKernel::new(given.kernel)), inputs)
    }
}

impl TensorOperation for DynamicsForward {
    const ID: &'static str = "synfire.dynamics";

    fn outputs(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>, String> {
        let [x, parameters, state @ ..] = inputs else {
            return Err("too few tensors".to_owned());
        };
        let state = self.0.check(x, parameters, state.first())?;
        Ok(vec![x.clone(), state])
    }
}

impl<B: DynamicsOps> Runs<B> for DynamicsForward {
    fn run(self, inputs: Vec<FloatTensor<B>>) -> Vec<FloatTensor<B>> {
        let kernel = self.0.kernel().expect("it was checked");
        let ([x, parameters], carried) = with_optional(inputs);
        let carried = OptionalTensor::new(carried);
        let (spikes, state) = B::dynamics(x, carried, parameters, kernel);
        vec![spikes, state]
    }
}

/// The backward pass from the gradient, then the inputs of [`DynamicsForward`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DynamicsBackward {
    kernel: SentKernel,
    /// True if the parameters need a gradient.
    learned: bool,
    /// True if the gradient is that of the spikes, not of the final state.
    of_spikes: bool,
}

impl DynamicsBackward {
    /// The operation and its inputs.
    pub fn new<B: Backend>(
        given: DynamicsGiven<B>,
        outputs: Adjoint<B>,
        learned: bool,
    ) -> (Self, Vec<FloatTensor<B>>) {
        let (of_spikes, gradient) = outputs.split();
        let (DynamicsForward(kernel), rest) = DynamicsForward::new(given);
        let mut inputs = vec![gradient];
        inputs.extend(rest);
        let operation = Self {
            kernel,
            learned,
            of_spikes,
        };
        (operation, inputs)
    }
}

impl TensorOperation for DynamicsBackward {
    const ID: &'static str = "synfire.dynamics_backward";

    fn outputs(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>, String> {
        let [gradient, x, parameters, carried @ ..] = inputs else {
            return Err("too few tensors".to_owned());
        };
        let state = self.kernel.check(x, parameters, carried.first())?;
        check_same(
            "gradient",
            gradient,
            if self.of_spikes { x } else { &state },
        )?;
        let mut outputs = vec![x.clone(), state];
        outputs.extend(self.learned.then(|| parameters.clone()));
        Ok(outputs)
    }
}

impl<B: DynamicsOps> Runs<B> for DynamicsBackward
where
    DynamicsGiven<B>: NeuronKept<B, 3>,
{
    fn run(self, inputs: Vec<FloatTensor<B>>) -> Vec<FloatTensor<B>> {
        let ([gradient, x, parameters], carried) = with_optional(inputs);
        let given = DynamicsGiven {
            x,
            carried,
            parameters,
            kernel: self.kernel.kernel().expect("it was checked"),
        };
        let outputs = Adjoint::new(self.of_spikes, gradient);
        let gradients = given.backward(outputs, [true, true, self.learned]);
        gradients.into_iter().flatten().collect()
    }
}

/// Implements the operations of a backend that submits them to another.
macro_rules! submitted {
    ([$($generics:tt)*] [$($kept:tt)*] $backend:ty, $submit:expr) => {
        impl<$($generics)*> DynamicsOps for $backend {
            fn dynamics(
                x: FloatTensor<Self>,
                carried: OptionalTensor<Self>,
                parameters: FloatTensor<Self>,
                kernel: DynamicsKernel,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                let (operation, inputs) = DynamicsForward::new(DynamicsGiven::<Self> {
                    x,
                    carried: carried.into_option(),
                    parameters,
                    kernel,
                });
                exactly::<_, 2>($submit(operation, inputs)).into()
            }
        }

        impl<$($generics)*> NeuronKept<$backend, 3> for DynamicsGiven<$backend> $($kept)* {
            fn backward(
                self,
                outputs: Adjoint<$backend>,
                [_, _, learned]: [bool; 3],
            ) -> InputGradients<$backend, 3> {
                let (operation, inputs) = DynamicsBackward::new(self, outputs, learned);
                first_gradients($submit(operation, inputs))
            }
        }
    };
}

submitted!(
    [B: FusionBackend + DynamicsOps] [where DynamicsGiven<B>: NeuronKept<B, 3>]
    Fusion<B>, register::<B, _>
);
#[cfg(feature = "remote")]
submitted!([] [] crate::ops::remote::Router, crate::ops::remote::send);
