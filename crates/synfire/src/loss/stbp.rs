//! The loss of the STBP paper.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Int, IntDType, Tensor};

use super::checked_weights;
use crate::InvalidConfig;
use crate::decode;

/// Configuration of a [`StbpLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct StbpLossConfig {
    /// A weight for each class, for unbalanced data. `None`: all classes count the same.
    pub weights: Option<Vec<f64>>,
}

impl StbpLossConfig {
    /// Creates the loss.
    ///
    /// # Errors
    ///
    /// If the list of weights is empty, or one of them is not a number from 1e-37 to 1e37.
    pub fn init(&self, device: &Device) -> Result<StbpLoss, InvalidConfig> {
        let weights = checked_weights("StbpLoss", &self.weights)?;
        Ok(StbpLoss {
            weights: weights.map(|weights| Tensor::from_floats(weights.as_slice(), device)),
        })
    }
}

/// The squared distance of firing rates from their targets (Wu et al. 2018):
///
/// ```text
/// L = 1/(2S) sum_s w_s || y_s - 1/T sum_t o_s[t] ||^2
/// ```
///
/// with S samples, T time steps, the spikes `o` of the output layer and the target rates `y`. It is the sum over the
/// classes, not their mean, so it is `classes / 2` times the mean squared error of PyTorch's `mse_loss`.
///
/// `w_s` is 1 as in the paper or, with class weights `w_c`, that of the sample's class: `sum_c w_c y_sc`, for targets of
/// the form of [`one_hot`].
///
/// ```
/// use burn::tensor::{Device, Int, IntDType, Tensor};
/// use synfire::loss::{StbpLoss, StbpLossConfig, one_hot};
///
/// let device = Device::default();
/// let spikes = Tensor::<3>::from_floats([[[1.0, 0.0]], [[0.0, 0.0]]], &device);
/// let labels = Tensor::<1, Int>::from_ints([0], &device);
/// let loss = StbpLoss::new().forward(spikes.clone(), one_hot(labels.clone(), 2));
/// assert_eq!(loss.into_scalar::<f32>(), 0.125);
///
/// let weighted = StbpLossConfig::new().with_weights(Some(vec![2.0, 1.0])).init(&device)?;
/// let loss = weighted.forward(spikes, one_hot(labels, 2));
/// assert_eq!(loss.into_scalar::<f32>(), 0.25);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug, Default)]
pub struct StbpLoss {
    /// `[C]`
    weights: Option<Tensor<1>>,
}

impl StbpLoss {
    /// Creates the loss of the paper, without class weights.
    pub fn new() -> Self {
        Self { weights: None }
    }

    /// The loss of the output spikes of a batch.
    ///
    /// # Shapes
    ///
    /// - spikes: `[T, S, C]`
    /// - targets: `[S, C]`, rates
    /// - loss: `[1]`
    ///
    /// # Panics
    ///
    /// If the shapes do not fit each other or the class weights.
    pub fn forward(&self, spikes: Tensor<3>, targets: Tensor<2>) -> Tensor<1> {
        self.forward_rates(decode::rate(spikes), targets)
    }

    /// The loss of given firing rates.
    ///
    /// # Shapes
    ///
    /// - rates: `[S, C]`
    /// - targets: `[S, C]`
    /// - loss: `[1]`
    ///
    /// # Panics
    ///
    /// If the shapes do not fit each other or the class weights.
    pub fn forward_rates(&self, rates: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
        assert!(
            rates.dims() == targets.dims(),
            "StbpLoss: rates {:?} for targets {:?}",
            rates.dims(),
            targets.dims()
        );
        let [samples, classes] = rates.dims();
        let distance = targets.clone() - rates;
        let squares = distance.clone() * distance;
        let squares = match &self.weights {
            None => squares,
            Some(weights) => {
                assert!(
                    weights.dims() == [classes],
                    "StbpLoss: {:?} class weights for targets {:?}",
                    weights.dims(),
                    targets.dims()
                );
                let weights = weights.clone().reshape([1, classes]);
                squares * (targets * weights).sum_dim(1)
            }
        };
        squares.sum().div_scalar(2.0 * samples as f64)
    }
}

/// Target rates of class labels: 1 for the class, 0 elsewhere. A label that is not below `classes` gives a row of zeros.
/// Nothing is read from the device.
///
/// # Shapes
///
/// - labels: `[S]`, from 0 to `classes - 1`
/// - targets: `[S, classes]`
pub fn one_hot(labels: Tensor<1, Int>, classes: usize) -> Tensor<2> {
    // Burn's `one_hot` reads the labels back, which waits for the device.
    let all = Tensor::<1, Int>::arange(0..classes as i64, &labels.device());
    let [samples] = labels.dims();
    let labels = labels
        .cast(IntDType::from(all.dtype()))
        .unsqueeze_dim::<2>(1)
        .expand([samples, classes]);
    labels
        .equal(all.unsqueeze::<2>().expand([samples, classes]))
        .float()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_one_for_the_class() {
        let labels = Tensor::<1, Int>::from_ints([2, 0, 3], &Device::default());
        let targets = one_hot(labels, 3).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(targets, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        // Labels of other types; WebGPU has none of 8 bits.
        for (device, dtype) in [
            (Device::default(), IntDType::U32),
            (Device::flex(), IntDType::U8),
        ] {
            let labels = Tensor::<1, Int>::from_ints([1, 0], &device).cast(dtype);
            let targets = one_hot(labels, 2).into_data().try_to_vec::<f32>().unwrap();
            assert_eq!(targets, [0.0, 1.0, 1.0, 0.0]);
        }
    }

    #[test]
    fn class_weights_weigh_the_samples_of_the_class() {
        let device = Device::default();
        let rates = Tensor::<2>::from_floats([[0.5, 0.0], [0.0, 0.5], [1.0, 1.0]], &device);
        let labels = Tensor::<1, Int>::from_ints([0, 1, 1], &device);
        let targets = one_hot(labels, 2);
        let config = StbpLossConfig::new().with_weights(Some(vec![4.0, 0.5]));
        let weighted = config.init(&device).unwrap();
        // Squared distances 0.25, 0.25 and 1.
        let loss = weighted.forward_rates(rates.clone(), targets.clone());
        let expected = (4.0 * 0.25 + 0.5 * 0.25 + 0.5) / 6.0;
        assert!((loss.into_scalar::<f32>() - expected).abs() < 1e-6);
        let ones = StbpLossConfig::new().with_weights(Some(vec![1.0, 1.0]));
        let ones = ones.init(&device).unwrap();
        assert_eq!(
            ones.forward_rates(rates.clone(), targets.clone())
                .into_scalar::<f32>(),
            StbpLoss::new()
                .forward_rates(rates, targets)
                .into_scalar::<f32>()
        );
    }

    #[test]
    fn bad_weights_are_named() {
        let error = |weights| {
            let config = StbpLossConfig::new().with_weights(Some(weights));
            config.init(&Device::default()).unwrap_err().to_string()
        };
        assert!(error(vec![]).contains("`weights` of StbpLoss: []"));
        assert!(error(vec![1.0, 0.0]).contains("`weights` of StbpLoss: 0"));
        assert!(error(vec![f64::NAN]).contains("`weights` of StbpLoss: NaN"));
    }

    #[test]
    #[should_panic(expected = "[3] class weights for targets [1, 2]")]
    fn weights_must_fit_the_classes() {
        let device = Device::default();
        let config = StbpLossConfig::new().with_weights(Some(vec![1.0; 3]));
        let zeros = Tensor::<2>::zeros([1, 2], &device);
        let loss = config.init(&device).unwrap();
        loss.forward_rates(zeros.clone(), zeros);
    }

    #[test]
    #[should_panic(expected = "rates [1, 2] for targets [1, 3]")]
    fn shapes_must_fit() {
        let device = Device::default();
        StbpLoss::new().forward_rates(
            Tensor::zeros([1, 2], &device),
            Tensor::zeros([1, 3], &device),
        );
    }
}
