//! What the networks of the zoo are put together from, for networks of one's own as well.
//!
//! [`LayersConfig`] says what all layers of a network have in common, [`Layers`] makes them, one after the other, and each
//! runs by a [`Context`](crate::Context):
//!
//! ```
//! use burn::module::Module;
//! use burn::tensor::{Device, Tensor};
//! use synfire::neuron::LifConfig;
//! use synfire::record::Recorder;
//! use synfire_models::parts::{Classifier, ConvBlock, Layers, LayersConfig, conv3x3};
//! use synfire_models::{Norm, Context, SpikingNetwork};
//!
//! #[derive(Module, Debug)]
//! struct Mine {
//!     conv: ConvBlock,
//!     classifier: Classifier,
//! }
//!
//! impl SpikingNetwork for Mine {
//!     fn inputs(&self) -> usize {
//!         8 * 8
//!     }
//!
//!     fn layer_names(&self) -> Vec<String> {
//!         let mut names = vec!["conv".to_owned()];
//!         names.extend(self.classifier.layer_names());
//!         names
//!     }
//!
//!     fn forward_pass(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
//!         let [steps, batch, _] = input.dims();
//!         let spikes = self.conv.forward("conv", input.reshape([steps, batch, 1, 8, 8]), context);
//!         self.classifier.forward(spikes.flatten(2, 4), context)
//!     }
//! }
//!
//! let config = LayersConfig::new().with_norm(Some(Norm::Batch));
//! let device = Device::default();
//! let mut layers = Layers::new(&config, &device)?;
//! let network = Mine {
//!     conv: layers.conv_block(&conv3x3([1, 6], 1))?,
//!     classifier: layers.classifier(&[6 * 8 * 8, 20, 4])?,
//! };
//! let output = network.run(Tensor::ones([5, 2, 64], &device), &mut Recorder::off());
//! assert_eq!(output.dims(), [5, 2, 4]);
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```

mod classifier;
mod conv_block;
mod layers;

pub use classifier::Classifier;
pub use conv_block::{ConvBlock, ConvNorm};
pub use layers::{Layers, LayersConfig, conv1x1, conv3x3};

pub(crate) use classifier::renew;
pub(crate) use conv_block::{as_images, chain_names, global_average, pooled_size, run_blocks};
pub(crate) use layers::{ALIVE, layer_options};
