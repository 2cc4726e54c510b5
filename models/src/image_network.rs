//! What networks that look at images have in common.

use burn::module::Module;
use burn::tensor::Tensor;
use synfire::record::Recorder;

use crate::context::Context;
use crate::network::SpikingNetwork;
use crate::parts::as_images;

/// A network that looks at sequences of images. It is a [`SpikingNetwork`] by that.
pub trait ImageNetwork: Module {
    /// Its name in errors.
    const NAME: &'static str;

    /// Channels, height and width of a sample.
    fn image(&self) -> [usize; 3];

    /// The names of the layers that spike, in the order in which they run.
    fn neuron_names(&self) -> Vec<String>;

    /// Runs a sequence, layer by layer, by the methods of the [`Context`].
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, channels, height, width]`
    /// - outputs: `[T, B, classes]`
    ///
    /// # Panics
    ///
    /// If the input is not of that shape, or the state of the pass is of a network or a batch of another shape.
    fn forward_images(&self, input: Tensor<5>, context: &mut Context) -> Tensor<3>;

    /// Runs a sequence from rest. Shapes and panics are those of [`forward_images`](Self::forward_images).
    fn forward(&self, input: Tensor<5>) -> Tensor<3> {
        self.forward_images(input, &mut Context::new(None, &mut Recorder::off()))
    }
}

impl<N: ImageNetwork> SpikingNetwork for N {
    fn inputs(&self) -> usize {
        self.image().iter().product()
    }

    fn layer_names(&self) -> Vec<String> {
        self.neuron_names()
    }

    fn forward_pass(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        self.forward_images(as_images(N::NAME, input, self.image()), context)
    }
}
