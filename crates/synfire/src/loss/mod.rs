//! Losses on spike trains.

mod stbp;

pub use stbp::{StbpLoss, one_hot};
