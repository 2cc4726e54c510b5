//! A network of your own, from modules of Burn and Synfire, and its training loop: 784-1000-10, trained with the cross-entropy of
//! the output membranes in every time step. `cargo run --release --example custom_network`

use burn::module::Module;
use burn::nn::LinearConfig;
use burn::optim::{AdamConfig, GradientsParams};
use burn::store::{ModuleSnapshot, SafetensorsStore};
use burn::tensor::{Device, Tensor};
use synfire::decode;
use synfire::encode::repeat;
use synfire::layer::SpikeLinear;
use synfire::loss::{Evidence, TemporalCrossEntropyLossConfig};
use synfire::neuron::{LeakyIntegrator, LeakyIntegratorConfig, Lif, LifConfig};
use synfire::record::Recorder;
use synfire_data::{DataSource, ImageSet, Loader};
use synfire_models::{Context, SpikingNetwork};

#[derive(Module, Debug)]
struct Network {
    fc1: SpikeLinear,
    hidden: Lif,
    fc2: SpikeLinear,
    /// Membranes that do not spike: their potentials are the logits of a step.
    output: LeakyIntegrator,
}

impl Network {
    fn new(device: &Device) -> Result<Self, synfire::InvalidConfig> {
        Ok(Self {
            fc1: LinearConfig::new(784, 1000).init(device).into(),
            hidden: LifConfig::snntorch_leaky(0.95).init(device)?,
            fc2: LinearConfig::new(1000, 10).init(device).into(),
            output: LeakyIntegratorConfig::new().with_decay(0.95).init(device)?,
        })
    }
}

impl SpikingNetwork for Network {
    fn sample_shape(&self) -> Vec<usize> {
        vec![1, 28, 28]
    }

    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let x = context.linear(&self.fc1, input);
        let x = context.neurons("hidden", &self.hidden, x);
        let x = context.linear(&self.fc2, x);
        context.membranes("output", &self.output, x)
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let plain = Device::default();
    let device = plain.clone().autodiff();
    let mut network = Network::new(&device)?;
    let mut optimizer = AdamConfig::new().init();
    let loss = TemporalCrossEntropyLossConfig::new(Evidence::EachStep).init(&device)?;
    let data = Loader::new().load(ImageSet::Mnist, &DataSource::Embedded)?;
    for step in 0..80 {
        let (images, labels) = data.train.tensors(50 * step..50 * (step + 1), &device)?;
        // Every image in each of 8 time steps: [8, 50, 1, 28, 28].
        let input: Tensor<5> = repeat(images, 8);
        let membranes = network.run(input);
        let loss = loss.forward(membranes, labels);
        if step % 10 == 9 {
            let loss = loss.clone().into_scalar::<f32>();
            println!("step {:2}  loss {loss:.3}", step + 1);
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimizer.step(1e-3, network, gradients);
    }

    // Without gradients, and with a recorder.
    let network = network.valid();
    let (images, labels) = data.test.tensors(0..500, &plain)?;
    let input: Tensor<5> = repeat(images, 8);
    let mut context = Context::new().with_recorder(Recorder::rates());
    let membranes = network.forward(input.flatten(2, 4), &mut context);
    let accuracy = decode::accuracy(decode::rate(membranes), labels);
    println!("accuracy on 500 test digits: {:.1} %", 100.0 * accuracy);
    for (layer, rate) in context.recorder().firing_rates() {
        let rate = rate.clone().into_scalar::<f32>();
        println!("firing rate of {layer}: {rate:.3}");
    }

    let file = || SafetensorsStore::from_file("custom_network.safetensors");
    network.save_into(&mut file().overwrite(true))?;
    let mut again = Network::new(&plain)?;
    again.load_from(&mut file())?;
    Ok(())
}

fn main() {
    // This thread takes part in the work of all cores.
    synfire::ops::join_pool();
    if let Err(error) = run() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}
