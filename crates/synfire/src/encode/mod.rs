//! From numbers to spikes.

mod bernoulli;

pub use bernoulli::{BernoulliEncoder, BernoulliEncoderConfig, Draw};
