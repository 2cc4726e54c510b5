//! Synfire's modules in an ordinary Burn program: `cargo run --release --example import_module`

use burn::module::Module;
use burn::nn::{Linear, LinearConfig, conv::Conv2d, conv::Conv2dConfig, loss::CrossEntropyLoss};
use burn::optim::{AdamConfig, GradientsParams};
use burn::store::{ModuleSnapshot, SafetensorsStore};
use burn::tensor::{Device, Int, Tensor, TensorData};
use synfire::neuron::{Lif, LifConfig, Neuron};
use synfire::{decode, layer::each_step};
use synfire_data::{DataSource, ImageSet, Loader};
use synfire_models::{StbpMlp, StbpMlpConfig};

#[derive(Module, Debug)]
struct Network {
    conv: Conv2d,
    lif: Lif,
    spiking: StbpMlp,
    linear: Linear,
}

impl Network {
    /// Images `[B, 1, 28, 28]`, each shown for 6 time steps, to logits `[B, 10]`.
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let sequence: Tensor<5> = images.unsqueeze_dim::<5>(0).repeat_dim(0, 6);
        let current: Tensor<5> = each_step(sequence, |x: Tensor<4>| self.conv.forward(x));
        let (spikes, _state) = self.lif.forward(current, None);
        let spikes = self.spiking.forward(spikes.flatten(2, 4));
        self.linear.forward(decode::rate(spikes))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    let conv = Conv2dConfig::new([1, 6], [5, 5]).with_stride([2, 2]);
    let spiking = StbpMlpConfig::new().with_sizes(vec![6 * 12 * 12, 100]);
    let mut network = Network {
        conv: conv.init(&device),
        lif: LifConfig::new().with_threshold(0.3).init(&device)?,
        spiking: spiking.init(&device)?,
        linear: LinearConfig::new(100, 10).init(&device),
    };
    let mut optimizer = AdamConfig::new().init();
    let data = Loader::new().load(ImageSet::Mnist, &DataSource::Embedded)?;
    for step in 0..80 {
        let (images, labels) = data.train.batch(50 * step..50 * (step + 1))?;
        let images = Tensor::from_data(TensorData::new(images, [50, 1, 28, 28]), &device);
        let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [50]), &device);
        let logits = network.forward(images);
        let loss = CrossEntropyLoss::new(None, &device).forward(logits, labels);
        let value = loss.clone().into_scalar::<f32>();
        println!("step {step:2}  loss {value:.3}");
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimizer.step(2e-3, network, gradients);
    }
    let store = SafetensorsStore::from_file("import_module.safetensors");
    network.save_into(&mut store.overwrite(true))?;
    Ok(())
}
