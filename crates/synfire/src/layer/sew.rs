//! Joins of the spikes of two branches.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::join;

/// The join of spike-element-wise residual blocks (SEW; Fang et al. 2021, *Deep Residual Learning in Spiking Neural
/// Networks*): of the spikes `a` of the branch with weights and those, `s`, of the shortcut.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::layer::SewJoin;
///
/// let device = Device::default();
/// let branch = Tensor::<1>::from_floats([0.0, 0.0, 1.0, 1.0], &device);
/// let shortcut = Tensor::<1>::from_floats([0.0, 1.0, 0.0, 1.0], &device);
/// let joined = |join: SewJoin| {
///     let joined = join.join(branch.clone(), shortcut.clone());
///     joined.into_data().try_to_vec::<f32>().unwrap()
/// };
/// assert_eq!(joined(SewJoin::Add), [0.0, 1.0, 1.0, 2.0]);
/// assert_eq!(joined(SewJoin::And), [0.0, 0.0, 0.0, 1.0]);
/// assert_eq!(joined(SewJoin::Iand), [0.0, 1.0, 0.0, 0.0]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SewJoin {
    /// `a + s`: spike counts. A silent branch leaves the shortcut unchanged.
    #[default]
    Add,
    /// `a s`. A branch that always fires leaves the shortcut unchanged.
    And,
    /// `(1 - a) s`. A silent branch leaves the shortcut unchanged.
    Iand,
}

impl SewJoin {
    /// Joins two branches.
    ///
    /// # Shapes
    ///
    /// - branch, shortcut, output: the same, any
    pub fn join<const D: usize>(self, branch: Tensor<D>, shortcut: Tensor<D>) -> Tensor<D> {
        join([branch, shortcut], |branch, shortcut| match self {
            Self::Add => branch + shortcut,
            Self::And => branch * shortcut,
            Self::Iand => branch.neg().add_scalar(1.0) * shortcut,
        })
    }
}
