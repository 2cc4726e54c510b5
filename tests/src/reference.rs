//! Spatio-temporal backpropagation as plain loops in `f64`, written from the recursions alone:
//!
//! ```text
//! delta[t,n] = dL/do of the loss (last layer) or sum_j w_ji eps_j[t,n+1]      + eps[t+1,n] u[t,n] f'(o[t,n])
//! eps[t,n]   = delta[t,n] g'(u[t,n]) + eps[t+1,n] f(o[t,n])
//! dL/dw_ji   = sum_t eps_j[t,n+1] o_i[t,n]      dL/db_i = sum_t eps_i[t,n]
//! ```

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

/// `f(o)`, what is left of `u` one step later.
fn gate(config: &LifConfig, o: f64) -> f64 {
    match config.reset {
        Reset::Hard => config.decay * (1.0 - o),
        Reset::Exponential => config.decay * (-o / config.decay).exp(),
    }
}

/// The derivative of `f` by `o`, as the configuration wants it.
fn gate_slope(config: &LifConfig, o: f64) -> f64 {
    let linear = || -config.decay;
    let exponential = || -(-o / config.decay).exp();
    match (config.temporal_gradient, config.reset) {
        (TemporalGradient::Off | TemporalGradient::Full(ResetGradient::Detached), _) => 0.0,
        (TemporalGradient::Full(ResetGradient::Linear), _)
        | (TemporalGradient::Full(ResetGradient::Exact), Reset::Hard) => linear(),
        (TemporalGradient::Full(ResetGradient::Exponential), _)
        | (TemporalGradient::Full(ResetGradient::Exact), Reset::Exponential) => exponential(),
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
                        0 => 0.0,
                        _ => u[t - 1][s][j] * gate(config, o[t - 1][s][j]),
                    };
                    u[t][s][j] = carried + synaptic + layer.biases[j];
                    o[t][s][j] = f64::from(u[t][s][j] >= config.threshold);
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
                    let delta = above[t][s][j] + later * u * gate_slope(config, o);
                    let slope = config.surrogate.derivative(u - config.threshold);
                    let eps = delta * slope + later * gate(config, o);
                    next[j] = eps;
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
