//! Processes a stream step by step: the state of the network is explicit, and can be saved to disk.
//! `cargo run --release --example stream`

use std::fs;

use burn::tensor::{Device, Tensor};
use synfire::encode::{Encoder, SampleKeys};
use synfire_data::{DataSource, ImageSet, Loader};
use synfire_models::{Context, NetworkState, SpikingNetwork, StbpMlp, StbpMlpWeights};

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default();
    let trained = StbpMlp::pretrained(StbpMlpWeights::Mnist, &device)?;
    let digits = Loader::new().load(ImageSet::Mnist, &DataSource::Embedded)?;
    let (image, label) = digits.test.tensors([7], &device)?;
    let image: Tensor<2> = image.flatten(1, 3);
    let sequence: Tensor<3> = trained.encoder()?.encode(image, &SampleKeys::fixed(1));
    let spikes = sequence.clone().sum().into_scalar::<f32>();
    let digit = label.into_scalar::<i64>();
    println!("a {digit} arrives, {spikes} spikes");

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("state.json");
    let mut state: Option<NetworkState> = None;
    let mut counts = Tensor::<2>::zeros([1, 10], &device);
    for (step, input) in sequence.split(1, 0).into_iter().enumerate() {
        // One step, [1, 1, 784].
        let mut context = Context::new().with_state(state);
        let spikes = trained.network.forward(input, &mut context);
        counts = counts + spikes.squeeze_dim::<2>(0);
        let next = context.finish();
        state = if step == 4 {
            // Another process could resume from the file.
            fs::write(&file, serde_json::to_string(&next)?)?;
            let bytes = fs::metadata(&file)?.len();
            println!("step {step}: {bytes} bytes of state on disk");
            Some(serde_json::from_str(&fs::read_to_string(&file)?)?)
        } else {
            Some(next)
        };
    }
    println!("output spikes: {}", counts.clone().into_data());
    println!("answer: {}", counts.argmax(1).into_scalar::<i64>());
    Ok(())
}

fn main() {
    if let Err(error) = run() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}
