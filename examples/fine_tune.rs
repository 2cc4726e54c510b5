//! Fine-tunes trained weights in a plain loop: a network trained on Fashion-MNIST gets a new last layer and learns the embedded
//! digits. `cargo run --release --example fine_tune`; `synfire fine-tune` does it for any dataset.

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor};
use synfire::decode;
use synfire::encode::{Encoder, SampleKeys};
use synfire::init::Initializer;
use synfire::loss::{Evidence, TemporalCrossEntropyLossConfig};
use synfire_data::{DataSource, ImageSet, Loader};
use synfire_models::{SpikingNetwork, StbpCnn, StbpCnnWeights};

const BATCH: usize = 50;

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let plain = Device::default();
    let device = plain.clone().autodiff();
    let trained = StbpCnn::pretrained(StbpCnnWeights::FashionMnist, &device)?;
    let encoder = trained.encoder()?;
    let mut network = trained.network;
    // The same layers, and a last one for 10 other classes with initial weights of seed 0.
    let classifier = network.classifier.clone();
    network.classifier = classifier.with_classes(10, Initializer::default(), 0, &device)?;

    let data = Loader::new().load(ImageSet::Mnist, &DataSource::Embedded)?;
    let loss = TemporalCrossEntropyLossConfig::new(Evidence::Sum).init(&device)?;
    let mut optimizer = AdamConfig::new().init();
    for step in 0..40 {
        let samples = step * BATCH..(step + 1) * BATCH;
        let draw = SampleKeys::new(1, samples.clone().map(|sample| sample as u32).collect());
        let (images, labels) = data.train.tensors(samples, &device)?;
        let input: Tensor<5> = encoder.encode(images, &draw);
        let loss = loss.forward(network.run(input), labels);
        if step % 10 == 9 {
            let loss = loss.clone().into_scalar::<f32>();
            println!("step {:2}  loss {loss:.3}", step + 1);
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimizer.step(5e-4, network, gradients);
    }

    let network = network.valid();
    let (images, labels) = data.test.tensors(0..500, &plain)?;
    let input: Tensor<5> = encoder.encode(images, &SampleKeys::fixed(500));
    let accuracy = decode::accuracy(decode::rate(network.run(input)), labels);
    println!("accuracy on 500 test digits: {:.1} %", 100.0 * accuracy);
    Ok(())
}

fn main() {
    if let Err(error) = run() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}
