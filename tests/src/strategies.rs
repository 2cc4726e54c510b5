//! Neurons of any configuration, for property tests.

use proptest::prelude::*;
use synfire::neuron::{
    Decay, LifConfig, Reset, ResetGradient, TemporalGradient, Threshold, Values,
};
use synfire::random::Philox;
use synfire::spike::Forward;
use synfire::surrogate::Surrogate;

/// The channels of what has numbers for each.
pub const CHANNELS: usize = 3;

/// Numbers between -0.6 and 1.4, as parts of 1024: sums of some are exact, and ties occur.
pub fn numbers(sequence: u64, len: usize) -> Vec<f64> {
    let numbers = Philox::new(3).uniform(sequence, len, -0.6, 1.4);
    numbers
        .into_iter()
        .map(|x| f64::from((x * 1024.0).round()) / 1024.0)
        .collect()
}

/// Every reset.
pub fn resets() -> impl Strategy<Value = Reset> {
    prop_oneof![
        Just(Reset::HARD),
        Just(Reset::Hard { to: -0.25 }),
        Just(Reset::Exponential),
        Just(Reset::Soft),
        Just(Reset::DelayedHard { to: 0.0 }),
        Just(Reset::DelayedHard { to: 0.125 }),
        Just(Reset::DelayedSoft),
    ]
}

/// Every way through time.
pub fn gradients() -> impl Strategy<Value = TemporalGradient> {
    prop_oneof![
        Just(TemporalGradient::Full(ResetGradient::Exact)),
        Just(TemporalGradient::Full(ResetGradient::Linear)),
        Just(TemporalGradient::Full(ResetGradient::Exponential)),
        Just(TemporalGradient::Full(ResetGradient::Detached)),
        Just(TemporalGradient::Off),
    ]
}

/// One for all or, with `channels`, one for each.
pub fn decays(channels: bool) -> impl Strategy<Value = Decay> {
    let start = prop_oneof![Just(0.25), Just(0.5), 0.1..0.9];
    (start, 0..3).prop_map(move |(start, kind)| {
        let values = match channels {
            true => Values::PerChannel(vec![start, 0.5, 0.75]),
            false => Values::One(start),
        };
        match kind {
            0 => Decay::Fixed(values),
            1 => Decay::learned(values),
            _ => Decay::sigmoid(values),
        }
    })
}

/// One for all or, with `channels`, one for each.
pub fn thresholds(channels: bool) -> impl Strategy<Value = Threshold> {
    let start = prop_oneof![Just(0.5), 0.2..0.9];
    (start, any::<bool>()).prop_map(move |(start, learned)| match (learned, channels) {
        (false, false) => Threshold::from(start),
        (false, true) => Threshold::from(vec![start, 0.5, 0.625]),
        (true, false) => Threshold::learned(start),
        (true, true) => Threshold::learned(vec![start, 0.5, 0.625]),
    })
}

/// Any valid neuron.
pub fn configs(channels: bool) -> impl Strategy<Value = LifConfig> {
    let surrogate = prop_oneof![
        Just(Surrogate::rectangular(1.0)),
        Just(Surrogate::atan(2.0)),
        Just(Surrogate::gaussian(0.4)),
    ];
    let forward = prop_oneof![
        Just(Forward::Step),
        Just(Forward::StrictStep),
        Just(Forward::Smooth)
    ];
    (
        thresholds(channels),
        decays(channels),
        prop_oneof![Just(0.0), Just(-0.125)],
        any::<bool>(),
        resets(),
        gradients(),
        surrogate,
        forward,
    )
        .prop_map(
            |(threshold, decay, rest, decay_input, reset, gradient, surrogate, forward)| {
                LifConfig::new()
                    .with_threshold(threshold)
                    .with_decay(decay)
                    .with_rest(rest)
                    .with_decay_input(decay_input)
                    .with_reset(reset)
                    .with_temporal_gradient(gradient)
                    .with_surrogate(surrogate.unwrap())
                    .with_forward(forward)
            },
        )
        .prop_filter("combinations that mean nothing", |config| {
            config.validate().is_ok()
        })
}
