//! What the experiments and analyses of the STBP paper share.

pub mod analysis;
pub mod document;
