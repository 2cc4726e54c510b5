//! Axes that become one.

use crate::error::Problem;
use crate::field::{Shape, checked_shape};
use crate::layer::{Build, Layer, Reshape};
use crate::node::{Shapes, primitive};

primitive! {
    /// The axes from `start_dim` to `end_dim` as one, of a sample without its batch.
    pub struct Flatten {
        /// The first axis; without it, 1.
        pub start_dim: Option<i64>,
        /// The last axis, counted from the end if it is negative; without it, -1.
        pub end_dim: Option<i64>,
        /// The shape that comes in.
        pub input_type: Option<Shape>,
    }

    fn shapes(&self, input: Option<&[usize]>) -> Result<Option<Shapes>, Problem> {
        let own = self.input_type.as_ref().map(|sizes| sizes.0.as_slice());
        own.map_or(Ok(()), |own| checked_shape("input_type", own))?;
        let input = match (own, input) {
            (Some(own), Some(input)) if own.iter().product::<usize>() != input.iter().product::<usize>() => {
                let problem = format!("is {own:?}, but {input:?} comes in");
                return Err(Problem::new("input_type", problem));
            }
            // What the file says, where it says it: the axes are counted in it.
            (Some(own), _) => own,
            (None, Some(input)) => input,
            (None, None) => return Ok(None),
        };
        checked_shape("input_type", input)?;
        let axes = input.len() as i64;
        let axis = |name, axis: i64| {
            let from_start = if axis < 0 { axis + axes } else { axis };
            (0..axes).contains(&from_start).then_some(from_start as usize).ok_or_else(|| {
                Problem::new(name, format!("is {axis}, but {input:?} comes in"))
            })
        };
        let first = axis("start_dim", self.start_dim.unwrap_or(1))?;
        let last = axis("end_dim", self.end_dim.unwrap_or(-1))?;
        if first > last {
            let problem = format!("is {first}, after `end_dim`, which is {last}");
            return Err(Problem::new("start_dim", problem));
        }
        let joined: usize = input[first..=last].iter().product();
        let output = [&input[..first], &[joined], &input[last + 1..]].concat();
        Ok(Some(Shapes { input: input.to_vec(), output }))
    }

    fn layer(&self, _build: &Build) -> Result<Layer, Problem> {
        Ok(Layer::Reshape(Reshape))
    }
}

impl Flatten {
    /// All axes of this shape as one.
    pub fn all(shape: impl Into<Vec<usize>>) -> Self {
        Self {
            start_dim: Some(0),
            end_dim: Some(-1),
            input_type: Some(Shape(shape.into())),
        }
    }
}
