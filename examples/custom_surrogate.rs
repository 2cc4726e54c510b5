//! A surrogate of your own: the curve that replaces the derivative of a spike, written once.
//! `cargo run --release --example custom_surrogate`

use burn::tensor::{Device, Tensor};
use synfire::InvalidConfig;
use synfire::dynamics::Real;
use synfire::neuron::{LifConfig, Neuron};
use synfire::surrogate::{Curve, Surrogate};

/// `k/2 e^(-k |x|)`, the density of a Laplace distribution; x is the membrane potential above the threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Laplace {
    /// The inverse of the scale of the distribution.
    pub k: f64,
}

impl Curve for Laplace {
    const NAME: &'static str = "Laplace surrogate";

    fn validate(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::require_positive(Self::NAME, "k", self.k).map(drop)
    }

    #[inline(always)]
    fn derivative<R: Real>(&self, x: R) -> R {
        x.abs().scale(-self.k).exp().scale(self.k / 2.0)
    }

    /// Its integral, a smooth spike for gradient checks.
    #[inline(always)]
    fn primitive<R: Real>(&self, x: R) -> R {
        let tail = x.clone().abs().scale(-self.k).exp().scale(0.5);
        x.select(tail.clone().complement(), tail)
    }

    fn full_width_at_half_maximum(&self) -> f64 {
        2.0 * 2f64.ln() / self.k
    }

    fn with_full_width_at_half_maximum(&self, width: f64) -> Self {
        let k = 2.0 * 2f64.ln() / width;
        Self { k }
    }

    fn parameters(&self) -> Vec<(&'static str, f64)> {
        vec![("k", self.k)]
    }
}

fn run() -> Result<(), InvalidConfig> {
    let device = Device::default().autodiff();
    // Files store the name.
    let surrogate = Surrogate::custom("laplace", Laplace { k: 3.0 })?;
    let neuron = LifConfig::new()
        .with_threshold(0.5)
        .with_surrogate(surrogate)
        .init(&device)?;

    // The gradient of a spike by the input of a single step is the curve around the threshold.
    let input = Tensor::<1>::from_floats([-0.5, 0.0, 0.3, 0.5, 0.7, 1.0, 1.5], &device);
    let input = input.require_grad();
    let (spikes, _state) = neuron.forward(input.clone().reshape([1, 1, 7]), None);
    let gradients = spikes.clone().sum().backward();
    let slopes = input.grad(&gradients).expect("it was tracked").into_data();
    println!("input     {}", input.into_data());
    println!("spikes    {}", spikes.into_data());
    println!("gradients {slopes}");
    let peak = slopes.iter::<f32>().fold(0.0, f32::max);
    println!("the highest is that at the threshold, k/2 = {peak}");
    Ok(())
}

fn main() {
    if let Err(error) = run() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}
