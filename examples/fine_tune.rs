//! Goes on with a trained network of the zoo on images of one's own, in folders that are named by their classes:
//! `cargo run --release --example fine_tune -- --images my-images`.

use std::path::PathBuf;
use std::process::ExitCode;

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::store::SafetensorsStore;
use burn::tensor::{Device, Int, Tensor, TensorData};
use clap::Parser;
use synfire::InvalidConfig;
use synfire::init::Initializer;
use synfire::random::{Philox, Purpose};
use synfire::record::Recorder;
use synfire_data::write_atomically;
use synfire_examples::class_folders::ClassFolders;
use synfire_examples::loss::LossOption;
use synfire_examples::{RunError, device, exit_code, say};
use synfire_models::{Card, Context, Network, SpikingNetwork, not_finite};

/// Go on with a trained network of the zoo on images of your own.
#[derive(Parser)]
#[command(name = "fine_tune")]
struct Cli {
    /// Folder with a folder of PNG images for each class
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// The weights to begin with, see `evaluate --list`
    #[arg(long, default_value = "stbp-cnn-fashion-mnist")]
    weights: String,
    /// Epochs
    #[arg(long, default_value_t = 5)]
    epochs: usize,
    /// Samples per step
    #[arg(long, default_value_t = 20)]
    batch_size: usize,
    /// Learning rate
    #[arg(long, default_value_t = 5e-4)]
    learning_rate: f64,
    /// Decides the order of samples and the weights of the last layer
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// File for the weights
    #[arg(long, value_name = "FILE", default_value = "fine_tuned.safetensors")]
    out: PathBuf,
    /// Where to compute
    #[arg(long, default_value = "auto")]
    device: String,
}

/// Some of the images as a batch, `[1, B, pixels]`, and their classes.
fn batch(data: &ClassFolders, of: &[usize], device: &Device) -> (Tensor<3>, Tensor<1, Int>) {
    let pixels: Vec<f32> = of.iter().flat_map(|i| data.images[*i].clone()).collect();
    let labels: Vec<i32> = of.iter().map(|i| data.labels[*i] as i32).collect();
    let shape = [1, of.len(), pixels.len() / of.len()];
    (
        Tensor::from_data(TensorData::new(pixels, shape), device),
        Tensor::from_data(TensorData::new(labels, [of.len()]), device),
    )
}

/// The same image in each of so many steps, as the network was trained.
fn run(network: &Network, input: Tensor<3>, time_steps: usize) -> Tensor<3> {
    let mut recorder = Recorder::off();
    let mut context = Context::new(None, &mut recorder).with_repeats(time_steps);
    network.forward_pass(input, &mut context)
}

/// Checks what the network was trained with, and the options.
fn check(cli: &Cli, card: &Card) -> Result<(), InvalidConfig> {
    const OWNER: &str = "the run";
    let run = &card.config.run;
    let as_is = |name: &str, expected: &str| run.get(name).is_none_or(|value| value == expected);
    let stretched = run.get("stretch").is_some_and(|value| value == true);
    if !as_is("encoder", "direct") || !as_is("contrast", "as-is") || stretched {
        let expected = "weights that were trained on intensities as they are, in every step";
        return Err(InvalidConfig::new(OWNER, "--weights", &card.id, expected));
    }
    if !(cli.learning_rate > 0.0 && cli.learning_rate <= 1.0) {
        let expected = "a number above 0, at most 1";
        return Err(InvalidConfig::new(
            OWNER,
            "--learning-rate",
            cli.learning_rate,
            expected,
        ));
    }
    InvalidConfig::require_size(OWNER, "--epochs", cli.epochs)?;
    InvalidConfig::require_size(OWNER, "--batch-size", cli.batch_size).map(drop)
}

fn fine_tune(cli: &Cli) -> Result<(), RunError> {
    let plain = device(&cli.device)?;
    let device = plain.clone().autodiff();
    let card = Card::of(&cli.weights)?;
    check(cli, &card)?;
    let sample = card.config.run.get("sample").cloned();
    let sample: Option<[usize; 3]> = sample.and_then(|shape| serde_json::from_value(shape).ok());
    let image = match sample {
        Some([1, height, width]) => [height, width],
        _ => {
            let expected = "weights of a network that looks at grey images";
            return Err(InvalidConfig::new("the run", "--weights", &card.id, expected).into());
        }
    };
    let data = ClassFolders::read(&cli.images, image)?;
    let classes = data.classes.len();
    let initializer = Initializer::default();
    let mut network = card
        .load(&device)?
        .with_classes(classes, initializer, cli.seed, &device)?;
    let loss = LossOption::of(card.config.model.readout()).init(&device)?;

    // Every fifth is for validation.
    let order = Philox::new(cli.seed).for_purpose(Purpose::Split);
    let order = order.permutation(0, data.images.len());
    let (validation, train) = order.split_at(data.images.len().div_ceil(5));
    InvalidConfig::require_size("the run", "--images", train.len())?;
    say!(
        "{} images of {classes} classes ({}), {} of them for validation; {} weights",
        data.images.len(),
        data.classes.join(", "),
        validation.len(),
        card.id
    );
    let mut optimizer = AdamConfig::new().init();
    for epoch in 1..=cli.epochs {
        let shuffle = Philox::new(cli.seed).for_purpose(Purpose::Shuffle);
        let shuffle = shuffle.permutation(epoch as u64, train.len());
        let shuffled: Vec<_> = shuffle.into_iter().map(|i| train[i]).collect();
        let mut sum = 0.0;
        for of in shuffled.chunks(cli.batch_size) {
            let (input, labels) = batch(&data, of, &device);
            let loss = loss.forward(run(&network, input, card.time_steps), labels);
            sum += loss.clone().into_scalar::<f32>() * of.len() as f32;
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = optimizer.step(cli.learning_rate, network, gradients);
        }
        let tested = network.valid();
        let mut right = 0;
        for of in validation.chunks(100) {
            let (input, labels) = batch(&data, of, &plain);
            let scores = loss.scores(run(&tested, input, card.time_steps));
            let answers = scores.argmax(1).reshape([of.len()]);
            right += answers.equal(labels).int().sum().into_scalar::<i32>();
        }
        say!(
            "epoch {epoch}/{}  loss {:.4}  validation {:.2} %",
            cli.epochs,
            sum / train.len() as f32,
            100.0 * f64::from(right) / validation.len() as f64
        );
    }
    if let Some(name) = not_finite(&network) {
        let reason = format!("`{name}` is no longer finite: try a lower --learning-rate");
        return Err(RunError::damaged(&cli.out)(reason));
    }
    let mut store = SafetensorsStore::from_bytes(None);
    let bytes = network
        .save_into(&mut store)
        .and_then(|()| store.get_bytes())
        .map_err(RunError::damaged(&cli.out))?;
    write_atomically(&cli.out, |file| file.write_all(&bytes)).map_err(RunError::io(&cli.out))?;
    say!("{}", cli.out.display());
    Ok(())
}

fn main() -> ExitCode {
    exit_code(fine_tune(&Cli::parse()))
}
