//! The loss of the STBP paper.

use burn::module::Module;
use burn::tensor::{Int, Tensor};

use crate::decode;

/// The squared distance of firing rates from their targets (Wu et al. 2018):
///
/// ```text
/// L = 1/(2S) sum_s || y_s - 1/T sum_t o_s[t] ||^2
/// ```
///
/// with S samples, T time steps, the spikes `o` of the output layer and the target rates `y`. It is the sum over the
/// classes, not their mean, so it is `classes / 2` times the mean squared error of PyTorch's `mse_loss`.
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use synfire::loss::{StbpLoss, one_hot};
///
/// let device = Device::default();
/// let spikes = Tensor::<3>::from_floats([[[1.0, 0.0]], [[0.0, 0.0]]], &device);
/// let labels = Tensor::<1, Int>::from_ints([0], &device);
/// let loss = StbpLoss::new().forward(spikes, one_hot(labels, 2));
/// assert_eq!(loss.into_scalar::<f32>(), 0.125);
/// ```
#[derive(Module, Debug, Default)]
pub struct StbpLoss {}

impl StbpLoss {
    /// Creates the loss.
    pub fn new() -> Self {
        Self {}
    }

    /// The loss of the output spikes of a batch.
    ///
    /// # Shapes
    ///
    /// - spikes: `[T, S, C]`
    /// - targets: `[S, C]`, rates
    /// - loss: `[1]`
    pub fn forward(&self, spikes: Tensor<3>, targets: Tensor<2>) -> Tensor<1> {
        self.forward_rates(decode::rate(spikes), targets)
    }

    /// The loss of firing rates, where these are at hand.
    ///
    /// # Shapes
    ///
    /// - rates: `[S, C]`
    /// - targets: `[S, C]`
    /// - loss: `[1]`
    ///
    /// # Panics
    ///
    /// If the shapes differ.
    pub fn forward_rates(&self, rates: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
        assert!(
            rates.dims() == targets.dims(),
            "StbpLoss: rates {:?} for targets {:?}",
            rates.dims(),
            targets.dims()
        );
        let samples = rates.dims()[0];
        let distance = targets - rates;
        (distance.clone() * distance)
            .sum()
            .div_scalar(2.0 * samples as f64)
    }
}

/// Target rates of class labels: 1 for the class, 0 elsewhere. A label that is not below `classes` panics or gives a row
/// of zeros, depending on the backend.
///
/// # Shapes
///
/// - labels: `[S]`, from 0 to `classes - 1`
/// - targets: `[S, classes]`
pub fn one_hot(labels: Tensor<1, Int>, classes: usize) -> Tensor<2> {
    labels.one_hot::<2>(classes).float()
}
