//! Classifies a PNG with trained weights and plots the spikes: `cargo run --release --example pretrained -- digit.png`.
//! Without a file it uses one of the embedded digits.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use synfire::decode;
use synfire::encode::{Encoder, SampleKeys};
use synfire::plot::{Picture, RasterPlot};
use synfire::record::Recorder;
use synfire_data::{DataSource, Ground, ImageSet, Loader, read_image};
use synfire_models::{Context, SpikingNetwork, StbpCnn, StbpCnnWeights};
use synfire_train::look::picture;

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default();
    let trained = StbpCnn::pretrained(StbpCnnWeights::NormMnist, &device)?;
    let (structure, accuracy) = (&trained.card.structure, trained.card.test_accuracy);
    println!("{structure}, {:.2} % on MNIST", 100.0 * accuracy);

    // 28x28 intensities from 0 to 1, a bright digit on dark ground.
    let pixels = match std::env::args_os().nth(1) {
        Some(path) => read_image(Path::new(&path), [1, 28, 28], Ground::Dark)?,
        None => {
            let digits = Loader::new().load(ImageSet::Mnist, &DataSource::Embedded)?;
            digits.test.batch([0])?.0
        }
    };
    print!("{}", picture(&pixels, 28));

    // Encoded as in training.
    let image = Tensor::<1>::from_floats(pixels.as_slice(), &device).reshape([1, 784]);
    let input: Tensor<3> = trained.encoder()?.encode(image, &SampleKeys::fixed(1));
    let mut context = Context::new().with_recorder(Recorder::spikes());
    let rates = decode::rate(trained.network.forward(input, &mut context));
    for (class, rate) in rates.clone().into_data().iter::<f32>().enumerate() {
        println!("{class}  {rate:.2}");
    }
    println!("answer: {}", rates.argmax(1).into_scalar::<i64>());

    let layers = context.recorder().layers().iter();
    let layers = layers.map(|layer| layer.sample(0));
    let layers = layers.collect::<Result<Vec<_>, _>>()?;
    RasterPlot::new(layers).save(Path::new("raster.png"))?;
    println!("raster.png: the spikes of all layers");
    Ok(())
}

fn main() {
    if let Err(error) = run() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}
