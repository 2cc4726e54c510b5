//! Loads weights of another library into a network of one's own and tests it on MNIST:
//! `cargo run --release --example import_weights -- mnist_params.pt`.
//!
//! The file is that of Sinabs' example `mnist`: weights of a convolutional network of rectifiers, which Sinabs runs with
//! integrate-and-fire neurons in their place. Its neurons may fire several times in a step, and subtract the threshold each time.

use std::path::PathBuf;

use burn::data::dataset::Dataset;
use burn::module::Module;
use burn::nn::LinearConfig;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::{Device, Tensor};
use synfire::decode;
use synfire::encode::{BernoulliEncoderConfig, Encoder, SampleKeys};
use synfire::layer::{Pool2d, Pool2dConfig, SpikeConv2d, SpikeLinear};
use synfire::neuron::{If, IfConfig, Neuron, Reset, Spikes};
use synfire_data::{DataSource, ImageSet, Loader};
use synfire_models::{Library, Names, import};

const TIME_STEPS: usize = 100;
const BATCH: usize = 20;

#[derive(Module, Debug)]
struct Network {
    convs: Vec<SpikeConv2d>,
    pool: Pool2d,
    hidden: SpikeLinear,
    output: SpikeLinear,
    neuron: If,
}

impl Network {
    fn new(device: &Device) -> Result<Self, Box<dyn std::error::Error>> {
        let conv = |channels, size| {
            let config = Conv2dConfig::new(channels, [size, size]).with_bias(false);
            SpikeConv2d::from(config.init(device))
        };
        let linear = |inputs, outputs| {
            let config = LinearConfig::new(inputs, outputs).with_bias(false);
            SpikeLinear::from(config.init(device))
        };
        let neuron = IfConfig::new()
            .with_threshold(1.0)
            .with_reset(Reset::Soft)
            .with_spikes(Spikes::Levels(16));
        Ok(Self {
            convs: vec![conv([1, 20], 5), conv([20, 32], 5), conv([32, 128], 3)],
            pool: Pool2dConfig::new([2, 2]).init()?,
            hidden: linear(128, 500),
            output: linear(500, 10),
            neuron: neuron.init(device)?,
        })
    }

    /// Images of every step, `[T, B, 1, 28, 28]`, to spikes `[T, B, 10]`.
    fn forward(&self, mut spikes: Tensor<5>) -> Tensor<3> {
        for conv in &self.convs {
            let (fired, _) = self.neuron.forward(conv.forward(spikes), None);
            spikes = self.pool.forward(fired);
        }
        let current = self.hidden.forward(spikes.flatten(2, 4));
        let (hidden, _) = self.neuron.forward(current, None);
        self.neuron.forward(self.output.forward(hidden), None).0
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).map(PathBuf::from);
    let path = path.ok_or("name the file, such as mnist_params.pt")?;
    let device = Device::default();
    let mut network = Network::new(&device)?;
    // The numbers of the layers in PyTorch's `Sequential`.
    let mut names = Names::new();
    for (here, there) in [
        ("convs.0", "0"),
        ("convs.1", "3"),
        ("convs.2", "6"),
        ("hidden", "10"),
        ("output", "12"),
    ] {
        names.module(here, there);
    }
    import(&mut network, &names, Library::Sinabs, path)?;

    let data = Loader::new().load(ImageSet::Mnist, &DataSource::Auto)?;
    let encoder = BernoulliEncoderConfig::new(TIME_STEPS).init()?;
    let (count, mut correct) = (data.test.len(), 0.0);
    for start in (0..count).step_by(BATCH) {
        let samples = start..count.min(start + BATCH);
        let draw = SampleKeys::new(0, samples.clone().map(|sample| sample as u32).collect());
        let size = samples.len();
        let (images, labels) = data.test.tensors(samples, &device)?;
        let input: Tensor<5> = encoder.encode(images, &draw);
        let rates = decode::rate(network.forward(input));
        correct += size as f64 * decode::accuracy(rates, labels);
    }
    println!("{:.2} % of {count} digits", 100.0 * correct / count as f64);
    Ok(())
}

fn main() {
    if let Err(error) = run() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}
