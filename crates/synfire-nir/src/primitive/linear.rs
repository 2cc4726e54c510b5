//! Weights without windows.

use crate::Array;
use crate::error::Problem;
use crate::field::checked_shape;
use crate::layer::{Build, Layer, Weights};
use crate::node::{Shapes, primitive};

/// The shapes of a matrix, or of a stack of them.
fn of_matrix(weight: &Array, input: Option<&[usize]>) -> Result<Option<Shapes>, Problem> {
    let shape = weight.shape();
    let [stack @ .., outputs, inputs] = shape else {
        let problem = format!("is of shape {shape:?}, expected [outputs, inputs]");
        return Err(Problem::new("weight", problem));
    };
    let own = [stack, &[*inputs]].concat();
    let output = [stack, &[*outputs]].concat();
    checked_shape("weight", &own)?;
    checked_shape("weight", &output)?;
    if let Some(input) = input {
        // A flat input may have other axes of size 1.
        let flat = stack.is_empty() && input.iter().product::<usize>() == *inputs;
        let flat = flat && input.iter().filter(|size| **size > 1).count() < 2;
        if input != own && !flat {
            let problem =
                format!("is of shape {shape:?}, which takes {own:?}, but {input:?} comes in");
            return Err(Problem::new("weight", problem));
        }
    }
    let input = input.map_or(own, <[usize]>::to_vec);
    Ok(Some(Shapes { input, output }))
}

primitive! {
    /// `y = W x + b`.
    pub struct Affine {
        /// The weights `W`, `[outputs, inputs]`; with more axes at the front, a matrix for each position along them.
        pub weight: Array,
        /// The biases `b`, `[outputs]`.
        pub bias: Array,
    }

    fn shapes(&self, input: Option<&[usize]>) -> Result<Option<Shapes>, Problem> {
        let shapes = of_matrix(&self.weight, input)?;
        if let Some(Shapes { output, .. }) = &shapes && self.bias.broadcast(output).is_none() {
            let problem = format!("is of shape {:?}, expected {output:?}", self.bias.shape());
            return Err(Problem::new("bias", problem));
        }
        Ok(shapes)
    }

    fn layer(&self, build: &Build) -> Result<Layer, Problem> {
        let bias = self.bias.broadcast(&build.shapes.output);
        Ok(Layer::matrix(&self.weight, bias, build))
    }

    fn set_weights(&mut self, weights: Weights) {
        self.weight = weights.weight.shaped(self.weight.shape());
        if let Some(bias) = weights.bias {
            let shape = self.weight.shape();
            self.bias = bias.shaped(&shape[..shape.len() - 1]);
        }
    }
}

primitive! {
    /// `y = W x`.
    pub struct Linear {
        /// The weights `W`, `[outputs, inputs]`; with more axes at the front, a matrix for each position along them.
        pub weight: Array,
    }

    fn shapes(&self, input: Option<&[usize]>) -> Result<Option<Shapes>, Problem> {
        of_matrix(&self.weight, input)
    }

    fn layer(&self, build: &Build) -> Result<Layer, Problem> {
        Ok(Layer::matrix(&self.weight, None, build))
    }

    fn set_weights(&mut self, weights: Weights) {
        self.weight = weights.weight.shaped(self.weight.shape());
    }
}

primitive! {
    /// `y = s x`, element by element.
    pub struct Scale {
        /// The factors `s`, of the shape of `x`, or one that broadcasts over it.
        pub scale: Array,
    }

    fn shapes(&self, input: Option<&[usize]>) -> Result<Option<Shapes>, Problem> {
        super::membrane::elementwise(&[("scale", &self.scale)], input)
    }

    fn layer(&self, build: &Build) -> Result<Layer, Problem> {
        Ok(Layer::scale(&self.scale, build))
    }

    fn set_weights(&mut self, weights: Weights) {
        // Where the numbers do not broadcast by their shape, there is one for each element.
        self.scale = weights.weight.shaped(self.scale.shape());
    }
}
