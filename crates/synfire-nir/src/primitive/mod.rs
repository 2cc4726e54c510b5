//! The primitives of NIR: for each its fields, its shapes and its layer.

mod conv;
mod cuba;
mod delay;
mod flatten;
mod integrate;
mod leaky;
mod linear;
mod membrane;
pub(crate) mod pool;
mod ports;
mod threshold;

pub use conv::{Conv1d, Conv2d};
pub use cuba::{CubaLI, CubaLIF};
pub use delay::Delay;
pub use flatten::Flatten;
pub use integrate::{I, IF};
pub use leaky::{LI, LIF};
pub use linear::{Affine, Linear, Scale};
pub(crate) use membrane::{axes, broadcast_shape};
pub use pool::{AvgPool2d, SumPool2d};
pub use ports::{Input, Output};
pub use threshold::Threshold;
