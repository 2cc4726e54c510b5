//! Decoders: class scores from output sequences.
//!
//! | decoder | of | the answer is the class with |
//! | --- | --- | --- |
//! | [`rate`] | spikes | the largest |
//! | [`first_spike`] | spikes | the smallest |
//! | [`max_membrane`] | membrane potentials | the largest |
//! | [`membrane_sum`] | membrane potentials | the largest |
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synfire::decode;
//!
//! // Class 0 fires more often, class 1 first.
//! let spikes = [[[0.0, 1.0]], [[1.0, 0.0]], [[1.0, 0.0]]];
//! let spikes = Tensor::<3>::from_floats(spikes, &Device::default());
//! assert_eq!(decode::rate(spikes.clone()).argmax(1).into_scalar::<i64>(), 0);
//! assert_eq!(decode::first_spike(spikes).argmin(1).into_scalar::<i64>(), 1);
//! ```

use burn::backend::Dispatch;
use burn::tensor::{Int, Tensor};

use crate::ops::{Pool, PoolOps, serves};

/// The mean over time: each neuron's firing rate, from 0 to 1. The class with the highest rate is the answer.
///
/// # Shapes
///
/// - spikes: `[T, B, C]`
/// - rates: `[B, C]`
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::decode::rate;
///
/// let spikes = Tensor::<3>::from_floats([[[1.0, 0.0]], [[1.0, 1.0]]], &Device::default());
/// let rates = rate(spikes);
/// assert_eq!(rates.to_data().try_to_vec::<f32>().unwrap(), [1.0, 0.5]);
/// ```
pub fn rate(spikes: Tensor<3>) -> Tensor<2> {
    if serves::flex_or_its_server(&spikes) && spikes.dims()[0] > 0 {
        let rates = <Dispatch as PoolOps>::pool(spikes.into_dispatch(), Pool::Time);
        return Tensor::<3>::from_dispatch(rates).squeeze_dim(0);
    }
    spikes.mean_dim(0).squeeze_dim(0)
}

/// The step of each neuron's first spike, from 0; T if it has none. The class that fires first is the answer.
///
/// It is the number of steps that pass without a spike, `sum_t prod_(s<=t) (1 - o[s])`, so gradients reach the spikes
/// (and through them, by the surrogate, the membrane): a spike any earlier brings the time forward, one at the first
/// spike's step would put it off until the second if it were gone.
///
/// # Shapes
///
/// - spikes: `[T, B, C]`, 0 or 1, T at least 1
/// - times: `[B, C]`
///
/// # Panics
///
/// If there are no time steps.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::decode::first_spike;
///
/// let spikes = Tensor::<3>::from_floats([[[0.0, 0.0]], [[1.0, 0.0]]], &Device::default());
/// let times = first_spike(spikes);
/// assert_eq!(times.to_data().try_to_vec::<f32>().unwrap(), [1.0, 2.0]);
/// ```
pub fn first_spike(spikes: Tensor<3>) -> Tensor<2> {
    assert!(
        spikes.dims()[0] > 0,
        "first_spike: the spikes {:?} have no time steps",
        spikes.dims()
    );
    let mut silent: Option<Tensor<3>> = None;
    let mut passed: Option<Tensor<3>> = None;
    for step in spikes.neg().add_scalar(1.0).split(1, 0) {
        let still = match silent {
            Some(silent) => silent * step,
            None => step,
        };
        passed = Some(match passed {
            Some(passed) => passed + still.clone(),
            None => still.clone(),
        });
        silent = Some(still);
    }
    passed
        .expect("there is at least one time step")
        .squeeze_dim(0)
}

/// The largest membrane potential over time.
///
/// # Shapes
///
/// - membrane: `[T, B, C]`, potentials
/// - result: `[B, C]`
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::decode::max_membrane;
///
/// let membrane = Tensor::<3>::from_floats([[[0.5, -1.0]], [[0.25, 2.0]]], &Device::default());
/// let largest = max_membrane(membrane);
/// assert_eq!(largest.to_data().try_to_vec::<f32>().unwrap(), [0.5, 2.0]);
/// ```
pub fn max_membrane(membrane: Tensor<3>) -> Tensor<2> {
    membrane.max_dim(0).squeeze_dim(0)
}

/// The sum of the membrane potentials over time, as of a readout that does not spike
/// ([`LeakyIntegrator`](crate::neuron::LeakyIntegrator)).
///
/// # Shapes
///
/// - membrane: `[T, B, C]`, potentials
/// - result: `[B, C]`
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::decode::membrane_sum;
///
/// let membrane = Tensor::<3>::from_floats([[[0.5, -1.0]], [[0.25, 2.0]]], &Device::default());
/// let sums = membrane_sum(membrane);
/// assert_eq!(sums.to_data().try_to_vec::<f32>().unwrap(), [0.75, 1.0]);
/// ```
pub fn membrane_sum(membrane: Tensor<3>) -> Tensor<2> {
    membrane.sum_dim(0).squeeze_dim(0)
}

/// The part of the samples whose largest score is that of their label, from 0 to 1. Of equal scores the first counts.
///
/// # Shapes
///
/// - scores: `[B, C]`, such as [rates](rate)
/// - labels: `[B]`
///
/// # Panics
///
/// If there is not a label for each sample.
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use synfire::decode::accuracy;
///
/// let device = Device::default();
/// let scores = Tensor::<2>::from_floats([[0.9, 0.1], [0.2, 0.3]], &device);
/// let labels = Tensor::<1, Int>::from_ints([0, 0], &device);
/// assert_eq!(accuracy(scores, labels), 0.5);
/// ```
pub fn accuracy(scores: Tensor<2>, labels: Tensor<1, Int>) -> f64 {
    let (samples, given) = (scores.dims(), labels.dims());
    assert!(
        samples[0] == given[0],
        "accuracy: the labels {given:?} do not belong to the scores {samples:?}"
    );
    let answers: Tensor<1, Int> = scores.argmax(1).squeeze_dim(1);
    let right = answers.equal(labels).int().sum().into_scalar::<i64>();
    right as f64 / samples[0] as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    #[should_panic(expected = "the spikes [0, 1, 2] have no time steps")]
    fn no_time_steps_are_named() {
        first_spike(Tensor::zeros([0, 1, 2], &Device::default()));
    }

    #[test]
    fn the_first_spike_counts_and_gradients_know_the_second() {
        let device = Device::default().autodiff();
        // Columns: never, at 0, at 2 and 3, at 1 and 4.
        let spikes = Tensor::<3>::from_floats(
            [
                [[0.0, 1.0, 0.0, 0.0]],
                [[0.0, 0.0, 0.0, 1.0]],
                [[0.0, 0.0, 1.0, 0.0]],
                [[0.0, 0.0, 1.0, 0.0]],
                [[0.0, 0.0, 0.0, 1.0]],
            ],
            &device,
        )
        .require_grad();
        let times = first_spike(spikes.clone());
        assert_eq!(
            times.to_data().try_to_vec::<f32>().unwrap(),
            [5.0, 0.0, 2.0, 1.0]
        );
        let gradients = times.sum().backward();
        let gradient = spikes.grad(&gradients).unwrap().into_data();
        let gradient = gradient.try_to_vec::<f32>().unwrap();
        let of = |column: usize| {
            gradient[column..]
                .iter()
                .step_by(4)
                .copied()
                .collect::<Vec<_>>()
        };
        // Shift of the first spike's time by a spike at this step.
        assert_eq!(of(0), [-5.0, -4.0, -3.0, -2.0, -1.0]);
        assert_eq!(of(1), [-5.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(of(2), [-2.0, -1.0, -1.0, 0.0, 0.0]);
        assert_eq!(of(3), [-1.0, -3.0, 0.0, 0.0, 0.0]);
    }
}
