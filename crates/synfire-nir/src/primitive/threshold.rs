//! Spikes without a state.

use super::membrane::elementwise;
use crate::Array;
use crate::error::Problem;
use crate::layer::{Build, Layer};
use crate::node::{Shapes, primitive};

primitive! {
    /// A spike where `x > threshold`.
    pub struct Threshold {
        /// The threshold.
        pub threshold: Array,
    }

    fn shapes(&self, input: Option<&[usize]>) -> Result<Option<Shapes>, Problem> {
        elementwise(&[("threshold", &self.threshold)], input)
    }

    fn layer(&self, build: &Build) -> Result<Layer, Problem> {
        Ok(Layer::threshold(&self.threshold, build))
    }
}
