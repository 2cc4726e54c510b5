//! Voting: several output neurons for each class.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::InvalidConfig;

/// Means over groups of neighbouring neurons: each class has several, and they vote. SpikingJelly's `VotingLayer`; Fang et
/// al. (2021), *Incorporating Learnable Membrane Time Constant to Enhance Learning of Spiking Neural Networks*.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::layer::Voting;
///
/// let voting = Voting::new(10)?;
/// let votes = voting.forward(Tensor::<3>::ones([4, 2, 100], &Device::default()));
/// assert_eq!(votes.dims(), [4, 2, 10]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct Voting {
    voters: usize,
}

impl Voting {
    /// Creates a layer with this many voters for each class.
    ///
    /// # Errors
    ///
    /// If `voters` is 0.
    pub fn new(voters: usize) -> Result<Self, InvalidConfig> {
        InvalidConfig::require_size("Voting", "voters", voters)?;
        Ok(Self { voters })
    }

    /// Number of neurons of a class.
    pub fn voters(&self) -> usize {
        self.voters
    }

    /// The mean of each group.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, classes * voters]`
    /// - output: `[T, B, classes]`
    ///
    /// # Panics
    ///
    /// If the number of neurons is not a multiple of the voters.
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let [steps, batch, neurons] = input.dims();
        assert!(
            neurons.is_multiple_of(self.voters),
            "Voting: {neurons} neurons in groups of {}",
            self.voters
        );
        let classes = neurons / self.voters;
        let groups = input.reshape([steps, batch, classes, self.voters]);
        groups.mean_dim(3).reshape([steps, batch, classes])
    }
}
