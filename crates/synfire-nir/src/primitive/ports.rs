//! Where a graph begins and ends.

use super::membrane::axes;
use crate::error::Problem;
use crate::field::{Shape, checked_shape};
use crate::layer::{Build, Layer, Reshape};
use crate::node::{Shapes, primitive};

/// The shape of a port, which may have other axes of size 1 than what comes in.
fn port(shape: &Shape, input: Option<&[usize]>) -> Result<Option<Shapes>, Problem> {
    checked_shape("shape", &shape.0)?;
    let Some(input) = input else {
        return Ok(Some(Shapes::same(shape.0.as_slice())));
    };
    match axes(input) == axes(&shape.0) {
        true => Ok(Some(Shapes {
            input: input.to_vec(),
            output: shape.0.clone(),
        })),
        false => {
            let problem = format!("is {:?}, but {input:?} comes in", shape.0);
            Err(Problem::new("shape", problem))
        }
    }
}

primitive! {
    /// An input of a graph.
    pub struct Input {
        /// Its shape, for one sample and one step.
        pub shape: Shape,
    }

    fn shapes(&self, input: Option<&[usize]>) -> Result<Option<Shapes>, Problem> {
        port(&self.shape, input)
    }

    fn layer(&self, _build: &Build) -> Result<Layer, Problem> {
        Ok(Layer::Reshape(Reshape))
    }
}

primitive! {
    /// An output of a graph.
    pub struct Output {
        /// Its shape, for one sample and one step. It may have other axes of size 1 than what comes in.
        pub shape: Shape,
    }

    fn shapes(&self, input: Option<&[usize]>) -> Result<Option<Shapes>, Problem> {
        port(&self.shape, input)
    }

    fn layer(&self, _build: &Build) -> Result<Layer, Problem> {
        Ok(Layer::Reshape(Reshape))
    }
}

impl Input {
    /// An input of a shape.
    pub fn new(shape: impl Into<Vec<usize>>) -> Self {
        Self {
            shape: Shape(shape.into()),
        }
    }
}

impl Output {
    /// An output of a shape.
    pub fn new(shape: impl Into<Vec<usize>>) -> Self {
        Self {
            shape: Shape(shape.into()),
        }
    }
}
