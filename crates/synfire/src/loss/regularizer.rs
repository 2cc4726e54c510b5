//! Regularisation of firing rates.

use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use serde::{Deserialize, Serialize};

use crate::InvalidConfig;

const OWNER: &str = "RateRegularizer";

/// A term to add to a loss so that a layer fires sparsely, or neither too little nor too much.
///
/// ```text
/// L1     strength mean_i r_i
/// band   strength mean_i ( max(0, low - r_i)^2 + max(0, r_i - high)^2 )
/// ```
///
/// over the neurons `i` of a layer, with `r_i` the mean of a neuron's spikes over time and batch. Means, not sums, so a
/// strength holds for layers of any size. (snnTorch's `l1_rate_sparsity` is the sum over all spikes.)
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::loss::RateRegularizer;
///
/// // Two steps of one sample; the neurons fire at rates 0, 0.5 and 1.
/// let spikes = [[[0.0, 1.0, 1.0]], [[0.0, 0.0, 1.0]]];
/// let spikes = Tensor::<3>::from_floats(spikes, &Device::default());
/// let band = RateRegularizer::band(0.25, 0.75, 3.0)?;
/// assert_eq!(band.forward(spikes.clone()).into_scalar::<f32>(), 2.0 * 0.25f32.powi(2));
/// let l1 = RateRegularizer::l1(2.0)?;
/// assert_eq!(l1.forward(spikes).into_scalar::<f32>(), 1.0);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Form")]
pub struct RateRegularizer(Form);

/// The unchecked values of a regulariser.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Form {
    L1 { strength: f64 },
    Band { low: f64, high: f64, strength: f64 },
}

impl TryFrom<Form> for RateRegularizer {
    type Error = InvalidConfig;

    fn try_from(form: Form) -> Result<Self, InvalidConfig> {
        match form {
            Form::L1 { strength } => Self::l1(strength),
            Form::Band {
                low,
                high,
                strength,
            } => Self::band(low, high, strength),
        }
    }
}

impl RateRegularizer {
    /// The mean firing rate.
    ///
    /// # Errors
    ///
    /// If the strength is not a number from 1e-37 to 1e37.
    pub fn l1(strength: f64) -> Result<Self, InvalidConfig> {
        InvalidConfig::require_positive(OWNER, "strength", strength)?;
        Ok(Self(Form::L1 { strength }))
    }

    /// The mean squared distance of each neuron's rate from the band `low` to `high`.
    ///
    /// # Errors
    ///
    /// If `0 <= low <= high <= 1` does not hold, or the strength is not a number from 1e-37 to 1e37.
    pub fn band(low: f64, high: f64, strength: f64) -> Result<Self, InvalidConfig> {
        let accepted = (0.0..=1.0).contains(&low);
        InvalidConfig::require(OWNER, "low", low, accepted, "a rate from 0 to 1")?;
        let accepted = (low..=1.0).contains(&high);
        InvalidConfig::require(OWNER, "high", high, accepted, "a rate from `low` to 1")?;
        InvalidConfig::require_positive(OWNER, "strength", strength)?;
        Ok(Self(Form::Band {
            low,
            high,
            strength,
        }))
    }

    /// The term of a layer's spikes.
    ///
    /// # Shapes
    ///
    /// - spikes: `[T, B, ...]`
    /// - term: `[1]`
    pub fn forward<const D: usize>(&self, spikes: Tensor<D>) -> Tensor<1> {
        match self.0 {
            Form::L1 { strength } => spikes.mean().mul_scalar(strength),
            Form::Band {
                low,
                high,
                strength,
            } => {
                let rates = spikes.mean_dim(0).mean_dim(1);
                let below = relu(rates.clone().neg().add_scalar(low));
                let above = relu(rates.sub_scalar(high));
                // Only one of them is not 0.
                let outside = below + above;
                (outside.clone() * outside).mean().mul_scalar(strength)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn gradients_point_into_the_band() {
        let device = Device::default().autodiff();
        let spikes = Tensor::<3>::from_floats([[[0.0, 1.0, 1.0]], [[0.0, 0.0, 1.0]]], &device);
        let spikes = spikes.require_grad();
        let band = RateRegularizer::band(0.1, 0.6, 1.0).unwrap();
        let gradients = band.forward(spikes.clone()).backward();
        let gradient = spikes.grad(&gradients).unwrap().into_data();
        let gradient = gradient.try_to_vec::<f32>().unwrap();
        // 1/3 2 (r - bound) 1/2 for each of the two steps
        for (got, expected) in gradient.iter().zip([-0.1, 0.0, 0.4].iter().cycle()) {
            assert!((got - expected / 3.0).abs() < 1e-6, "{gradient:?}");
        }
    }

    #[test]
    fn bad_bounds_are_named() {
        let error =
            |result: Result<RateRegularizer, InvalidConfig>| result.unwrap_err().to_string();
        assert!(error(RateRegularizer::l1(0.0)).contains("`strength`"));
        assert!(error(RateRegularizer::band(-0.1, 0.5, 1.0)).contains("`low`"));
        assert!(error(RateRegularizer::band(0.5, 0.4, 1.0)).contains("`high`"));
        assert!(error(RateRegularizer::band(0.1, f64::NAN, 1.0)).contains("`high`"));
        assert!(error(RateRegularizer::band(0.1, 0.2, f64::NAN)).contains("`strength`"));
        let text = serde_json::to_string(&RateRegularizer::l1(0.5).unwrap()).unwrap();
        assert_eq!(text, r#"{"l1":{"strength":0.5}}"#);
        assert!(serde_json::from_str::<RateRegularizer>(r#"{"l1":{"strength":-1.0}}"#).is_err());
    }
}
