//! Shared code of the experiments and analyses of the STBP paper.

pub mod analysis;
pub mod document;
pub mod small;
