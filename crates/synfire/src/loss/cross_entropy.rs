//! Cross-entropy of the outputs over time.

use burn::config::Config;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLoss;
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};

use super::{checked_weights, cross_entropy};
use crate::InvalidConfig;
use crate::decode;

/// Logits from the outputs over time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// Their mean times a factor. Rates from 0 to 1 are too close together for logits: with a factor of 1, the loss of ten
    /// classes cannot fall below 1.46.
    Rate {
        /// The factor, above 0.
        scale: f64,
    },
    /// Their sum: the number of spikes (snnTorch's `ce_count_loss`), or the sum of a readout's membrane potentials.
    Sum,
    /// Their maximum (of membrane potentials: snnTorch's `ce_max_membrane_loss`).
    Max,
    /// The outputs of each step: the loss is the mean of the cross-entropies of all steps (for spikes snnTorch's
    /// `ce_rate_loss`, for membranes the loss of its tutorials). [`TetLoss`](super::TetLoss) keeps the outputs near a target.
    EachStep,
}

/// Configuration of a [`TemporalCrossEntropyLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct TemporalCrossEntropyLossConfig {
    /// Logits from the outputs over time.
    pub evidence: Evidence,
    /// A weight for each class; the mean over the samples is then the weighted one, as in PyTorch.
    pub weights: Option<Vec<f64>>,
    /// Label smoothing: the fraction of a label that is spread over all classes, 0 to 1.
    pub smoothing: Option<f64>,
}

impl TemporalCrossEntropyLossConfig {
    /// Creates the loss.
    ///
    /// # Errors
    ///
    /// If the scale or a weight is not a number from 1e-37 to 1e37, or the smoothing is not in `[0, 1]`.
    pub fn init(&self, device: &Device) -> Result<TemporalCrossEntropyLoss, InvalidConfig> {
        const OWNER: &str = "TemporalCrossEntropyLoss";
        if let Evidence::Rate { scale } = self.evidence {
            InvalidConfig::require_positive(OWNER, "scale", scale)?;
        }
        let weights = checked_weights(OWNER, &self.weights)?;
        Ok(TemporalCrossEntropyLoss {
            cross_entropy: cross_entropy(OWNER, self.smoothing)?
                .with_weights(weights)
                .init(device),
            evidence: self.evidence,
        })
    }
}

/// Cross-entropy of logits that are computed from the outputs over time.
///
/// ```text
/// L = mean_s -ln softmax(e_s)[class of s]       e: see Evidence
/// ```
///
/// For output spikes with [`Evidence::Rate`] or [`Evidence::Sum`], for the membrane potentials of a
/// [`LeakyIntegrator`](crate::neuron::LeakyIntegrator) with [`Evidence::Sum`] or [`Evidence::EachStep`].
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use synfire::loss::{Evidence, TemporalCrossEntropyLossConfig};
///
/// let device = Device::default();
/// let loss = TemporalCrossEntropyLossConfig::new(Evidence::Sum).init(&device)?;
/// let membrane = Tensor::<3>::from_floats([[[2.0, 0.5]], [[1.0, 0.5]]], &device);
/// let labels = Tensor::<1, Int>::from_ints([0], &device);
/// // ln(1 + e^(1 - 3))
/// assert!((loss.forward(membrane, labels).into_scalar::<f32>() - 0.126_928).abs() < 1e-5);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct TemporalCrossEntropyLoss {
    cross_entropy: CrossEntropyLoss,
    #[module(skip)]
    evidence: Evidence,
}

impl TemporalCrossEntropyLoss {
    /// The logits of the classes; with [`Evidence::EachStep`] the sum of those of all steps.
    ///
    /// # Shapes
    ///
    /// - outputs: `[T, S, C]`, spikes or membrane potentials
    /// - logits: `[S, C]`
    pub fn logits(&self, outputs: Tensor<3>) -> Tensor<2> {
        match self.evidence {
            Evidence::Rate { scale } => decode::rate(outputs).mul_scalar(scale),
            Evidence::Sum | Evidence::EachStep => decode::membrane_sum(outputs),
            Evidence::Max => decode::max_membrane(outputs),
        }
    }

    /// The loss of a batch.
    ///
    /// # Shapes
    ///
    /// - outputs: `[T, S, C]`, spikes or membrane potentials
    /// - labels: `[S]`, from 0 to C - 1
    /// - loss: `[1]`
    ///
    /// # Panics
    ///
    /// If there are class weights and not as many as classes, or the numbers of samples differ. A label out of range
    /// panics or gives a wrong loss, depending on the backend.
    pub fn forward(&self, outputs: Tensor<3>, labels: Tensor<1, Int>) -> Tensor<1> {
        if let Some(weights) = &self.cross_entropy.weights {
            assert!(
                weights.dims() == [outputs.dims()[2]],
                "TemporalCrossEntropyLoss: {:?} class weights for outputs {:?}",
                weights.dims(),
                outputs.dims()
            );
        }
        let steps = outputs.dims()[0];
        match self.evidence {
            Evidence::EachStep => self
                .cross_entropy
                .forward(outputs.flatten(0, 1), labels.repeat_dim(0, steps)),
            _ => self.cross_entropy.forward(self.logits(outputs), labels),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(config: TemporalCrossEntropyLossConfig) -> f64 {
        let device = Device::default();
        let outputs = [[[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.5], [2.0, 0.0]]];
        let outputs = Tensor::<3>::from_floats(outputs, &device);
        let labels = Tensor::<1, Int>::from_ints([0, 1], &device);
        let loss = config.init(&device).unwrap().forward(outputs, labels);
        loss.into_scalar::<f64>()
    }

    #[test]
    fn each_evidence_is_its_formula() {
        // -ln softmax of the correct one of two classes, as a function of its lead.
        let one = |ahead: f64| (-ahead).exp().ln_1p();
        let config = TemporalCrossEntropyLossConfig::new;
        for (evidence, ahead) in [
            (Evidence::Sum, [0.5, -1.0]),
            (Evidence::Rate { scale: 3.0 }, [0.75, -1.5]),
            (Evidence::Max, [0.5, -1.0]),
        ] {
            let expected = ahead.map(one).iter().sum::<f64>() / 2.0;
            assert!(
                (loss(config(evidence)) - expected).abs() < 1e-6,
                "{evidence:?}"
            );
        }
        let of_steps = [1.0, 1.0, -0.5, -2.0].map(one);
        let expected = of_steps.iter().sum::<f64>() / 4.0;
        assert!((loss(config(Evidence::EachStep)) - expected).abs() < 1e-6);
        let weighted = config(Evidence::Sum).with_weights(Some(vec![3.0, 1.0]));
        let expected = (3.0 * one(0.5) + one(-1.0)) / 4.0;
        assert!((loss(weighted) - expected).abs() < 1e-6);
        // A tenth of each label goes to the other of the two classes, and a tenth to its own.
        let smooth = config(Evidence::Sum).with_smoothing(Some(0.2));
        let part = |ahead: f64| 0.9 * one(ahead) + 0.1 * one(-ahead);
        let expected = (part(0.5) + part(-1.0)) / 2.0;
        assert!((loss(smooth) - expected).abs() < 1e-6);
    }

    #[test]
    #[should_panic(expected = "[3] class weights for outputs [2, 2, 2]")]
    fn weights_must_fit_the_classes() {
        loss(TemporalCrossEntropyLossConfig::new(Evidence::Sum).with_weights(Some(vec![1.0; 3])));
    }

    #[test]
    fn bad_configurations_are_named() {
        let device = Device::default();
        let error =
            |config: TemporalCrossEntropyLossConfig| config.init(&device).unwrap_err().to_string();
        let config = TemporalCrossEntropyLossConfig::new;
        assert!(error(config(Evidence::Rate { scale: 0.0 })).contains("`scale`"));
        assert!(error(config(Evidence::Sum).with_weights(Some(vec![-1.0]))).contains("`weights`"));
        let smoothing = config(Evidence::Max).with_smoothing(Some(f64::NAN));
        assert!(error(smoothing).contains("`smoothing` of TemporalCrossEntropyLoss: NaN"));
    }
}
