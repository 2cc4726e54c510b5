//! What stands between neurons.

mod each_step;

pub use each_step::each_step;
