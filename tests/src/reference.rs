//! Spatio-temporal backpropagation as plain loops in `f64`, written from the recursions alone:
//!
//! ```text
//! delta[t,n] = dL/do of the loss (last layer) or sum_j w_ji k eps_j[t,n+1]      + eps[t+1,n] df/do
//! eps[t,n]   = delta[t,n] g'(u[t,n]) + eps[t+1,n] df/du
//! dL/dw_ji   = sum_t k eps_j[t,n+1] o_i[t,n]      dL/db_i = sum_t k eps_i[t,n]
//! ```
//!
//! where `f(u, o)` is what one step hands to the next, `u[t+1] = f(u[t], o[t]) + k x[t+1]`. For the gates of the paper it
//! is `u f(o)`, which gives the terms `u f'(o)` and `f(o)` of its recursions.

use synfire::neuron::{LifConfig, Reset, ResetGradient, TemporalGradient};

/// A fully connected layer.
#[derive(Clone, Debug)]
pub struct Layer {
    /// `[input][output]`
    pub weights: Vec<Vec<f64>>,
    /// `[output]`
    pub biases: Vec<f64>,
}

/// Values of every step and sample of a layer, `[T][B][neuron]`.
pub type Sequence = Vec<Vec<Vec<f64>>>;

/// What the loops found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Spikes of each layer.
    pub spikes: Vec<Sequence>,
    /// Membrane potentials of each layer, before reset.
    pub u: Vec<Sequence>,
    /// The STBP loss.
    pub loss: f64,
    /// The gradient of each layer's parameters.
    pub gradients: Vec<Layer>,
    /// The gradient of the input.
    pub input_gradient: Sequence,
}

/// The decay, which must be a single number.
fn decay(config: &LifConfig) -> f64 {
    config.decay.values().as_slice()[0]
}

/// The threshold, which must be a single number.
fn threshold(config: &LifConfig) -> f64 {
    config.threshold.values().as_slice()[0]
}

/// `f`, what is left of `u` one step later.
fn carried(config: &LifConfig, u: f64, o: f64) -> f64 {
    let v = match config.reset {
        Reset::Hard { to } => u * (1.0 - o) + to * o,
        Reset::Exponential => u * (-o / decay(config)).exp(),
        Reset::Soft => u - threshold(config) * o,
        other => panic!("{other:?} has no loop here"),
    };
    config.rest + decay(config) * (v - config.rest)
}

/// `df/du`.
fn carried_by_u(config: &LifConfig, o: f64) -> f64 {
    match config.reset {
        Reset::Hard { .. } => decay(config) * (1.0 - o),
        Reset::Exponential => decay(config) * (-o / decay(config)).exp(),
        Reset::Soft => decay(config),
        other => panic!("{other:?} has no loop here"),
    }
}

/// `df/do`, as the configuration wants it.
fn carried_by_o(config: &LifConfig, u: f64, o: f64) -> f64 {
    let linear = || -decay(config) * u;
    let exponential = || -(-o / decay(config)).exp() * u;
    match (config.temporal_gradient, config.reset) {
        (TemporalGradient::Off | TemporalGradient::Full(ResetGradient::Detached), _) => 0.0,
        (TemporalGradient::Full(ResetGradient::Linear), _) => linear(),
        (TemporalGradient::Full(ResetGradient::Exponential), _)
        | (TemporalGradient::Full(ResetGradient::Exact), Reset::Exponential) => exponential(),
        (TemporalGradient::Full(ResetGradient::Exact), Reset::Hard { to }) => {
            decay(config) * (to - u)
        }
        (TemporalGradient::Full(ResetGradient::Exact), Reset::Soft) => {
            -decay(config) * threshold(config)
        }
        (_, other) => panic!("{other:?} has no loop here"),
    }
}

/// Runs a network and its backward pass. `input` is `[T][B][i]`, `targets` `[B][o]`.
pub fn run(
    config: &LifConfig,
    layers: &[Layer],
    input: &Sequence,
    targets: &[Vec<f64>],
) -> Outcome {
    let (steps, samples) = (input.len(), targets.len());
    let k = if config.decay_input {
        1.0 - decay(config)
    } else {
        1.0
    };
    let mut spikes: Vec<Sequence> = Vec::new();
    let mut potentials: Vec<Sequence> = Vec::new();
    for layer in layers {
        let x = spikes.last().unwrap_or(input);
        let size = layer.biases.len();
        let mut o = vec![vec![vec![0.0; size]; samples]; steps];
        let mut u = o.clone();
        for t in 0..steps {
            for s in 0..samples {
                for j in 0..size {
                    let synaptic: f64 = (0..layer.weights.len())
                        .map(|i| layer.weights[i][j] * x[t][s][i])
                        .sum();
                    let carried = match t {
                        0 => config.rest,
                        _ => carried(config, u[t - 1][s][j], o[t - 1][s][j]),
                    };
                    u[t][s][j] = carried + k * (synaptic + layer.biases[j]);
                    o[t][s][j] = f64::from(u[t][s][j] >= threshold(config));
                }
            }
        }
        spikes.push(o);
        potentials.push(u);
    }

    let output = spikes.last().expect("there is a layer");
    let rate = |s: usize, k: usize| (0..steps).map(|t| output[t][s][k]).sum::<f64>() / steps as f64;
    let mut loss = 0.0;
    // dL/do is the same in every step.
    let mut above = vec![vec![vec![0.0; targets[0].len()]; samples]; steps];
    for s in 0..samples {
        for k in 0..targets[s].len() {
            let distance = targets[s][k] - rate(s, k);
            loss += distance * distance / (2.0 * samples as f64);
            for step in &mut above {
                step[s][k] = -distance / (samples * steps) as f64;
            }
        }
    }

    let full = config.temporal_gradient != TemporalGradient::Off;
    let mut gradients = Vec::new();
    for n in (0..layers.len()).rev() {
        let (layer, u, o) = (&layers[n], &potentials[n], &spikes[n]);
        let x = if n == 0 { input } else { &spikes[n - 1] };
        let size = layer.biases.len();
        let mut gradient = Layer {
            weights: vec![vec![0.0; size]; layer.weights.len()],
            biases: vec![0.0; size],
        };
        let mut below = vec![vec![vec![0.0; layer.weights.len()]; samples]; steps];
        for s in 0..samples {
            let mut next = vec![0.0; size];
            for t in (0..steps).rev() {
                for j in 0..size {
                    let (u, o) = (u[t][s][j], o[t][s][j]);
                    let later = if full { next[j] } else { 0.0 };
                    let delta = above[t][s][j] + later * carried_by_o(config, u, o);
                    let slope = config.surrogate.derivative(u - threshold(config));
                    let eps = delta * slope + later * carried_by_u(config, o);
                    next[j] = eps;
                    // From here on by the synaptic input.
                    let eps = k * eps;
                    gradient.biases[j] += eps;
                    for i in 0..layer.weights.len() {
                        gradient.weights[i][j] += eps * x[t][s][i];
                        below[t][s][i] += eps * layer.weights[i][j];
                    }
                }
            }
        }
        gradients.push(gradient);
        above = below;
    }
    gradients.reverse();
    Outcome {
        spikes,
        u: potentials,
        loss,
        gradients,
        input_gradient: above,
    }
}

/// All values of a sequence, row by row.
pub fn flat(sequence: &Sequence) -> Vec<f64> {
    sequence.iter().flatten().flatten().copied().collect()
}
