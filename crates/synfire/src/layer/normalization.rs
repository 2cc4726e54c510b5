//! The trait of normalisations.

use burn::module::Module;
use burn::nn::BatchNorm;
use burn::tensor::Tensor;

use super::seq_batch_norm::Together;
use super::{BatchNormThroughTime, SeqBatchNorm, TdBatchNorm, TeBatchNorm};
use crate::neuron::{Neuron, NeuronState};

/// A normalisation of sequences, for code that takes any of them.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::layer::{Normalization, SeqBatchNormConfig, TeBatchNormConfig};
///
/// fn shape(norm: &impl Normalization) -> [usize; 5] {
///     norm.normalize(Tensor::<5>::ones([4, 1, 16, 8, 8], &Device::default())).dims()
/// }
///
/// let device = Device::default();
/// assert_eq!(shape(&SeqBatchNormConfig::new(16).init(&device)?), [4, 1, 16, 8, 8]);
/// assert_eq!(shape(&TeBatchNormConfig::new(4, 16).init(&device)?), [4, 1, 16, 8, 8]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
pub trait Normalization: Module {
    /// Normalises a sequence.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, C, ...]`
    /// - output: `[T, B, C, ...]`
    ///
    /// # Panics
    ///
    /// If the rank is below 3, or axis 2 is not the number of channels.
    fn normalize<const D: usize>(&self, input: Tensor<D>) -> Tensor<D>;

    /// Normalises a sequence and runs the neurons that it feeds: `neuron.forward(self.normalize(input), state)`.
    ///
    /// In training, a [`batch_norm`](Self::batch_norm) and neurons that run [fused](crate::ops) are one operation on supported
    /// devices, for images with their channels last, where neurons have no parameters of their own each and do not
    /// [keep their membranes](crate::ops::Keep::Membranes). Only the input of the normalisation is saved for backward.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::layer::{Normalization, TdBatchNormConfig};
    /// use synfire::neuron::LifConfig;
    ///
    /// let device = Device::default().autodiff();
    /// let norm = TdBatchNormConfig::new(16, 0.5).init(&device)?;
    /// let lif = LifConfig::new().init(&device)?;
    /// let currents = Tensor::<5>::ones([4, 2, 8, 8, 16], &device).permute([0, 1, 4, 2, 3]);
    /// let (spikes, _state) = norm.normalize_into(&lif, currents, None);
    /// assert_eq!(spikes.dims(), [4, 2, 16, 8, 8]);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, C, ...]`
    /// - spikes: `[T, B, C, ...]`
    ///
    /// # Panics
    ///
    /// As for [`normalize`](Self::normalize), and as the neurons do.
    fn normalize_into<N: Neuron, const D: usize>(
        &self,
        neuron: &N,
        input: Tensor<D>,
        state: Option<NeuronState>,
    ) -> (Tensor<D>, NeuronState) {
        if let Some(norm) = self.batch_norm()
            && let Some(together) = Together::new(norm, neuron, &input)
        {
            return together.run(norm, input, state);
        }
        neuron.forward(self.normalize(input), state)
    }

    /// True if it is the same function in all steps, so that a repeated input can be normalised once.
    fn is_alike_in_all_steps(&self) -> bool {
        true
    }

    /// Burn's normalisation, if it is the same function, in training as well: one that can be folded into weights and run
    /// together with neurons.
    fn batch_norm(&self) -> Option<&BatchNorm> {
        None
    }
}

/// Implements [`Normalization`] by `forward`. Those that are a batch normalisation of Burn's are alike in all steps.
macro_rules! normalizations {
    ($($norm:ident: |$self:ident| $batch_norm:expr,)+) => {
        $(
            impl Normalization for $norm {
                fn normalize<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
                    self.forward(input)
                }

                fn is_alike_in_all_steps(&self) -> bool {
                    self.batch_norm().is_some()
                }

                fn batch_norm(&self) -> Option<&BatchNorm> {
                    let $self = self;
                    $batch_norm
                }
            }
        )+
    };
}

normalizations! {
    SeqBatchNorm: |norm| Some(&norm.norm),
    TdBatchNorm: |norm| Some(&norm.norm),
    TeBatchNorm: |_norm| None,
    BatchNormThroughTime: |_norm| None,
}
