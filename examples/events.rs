//! Recordings of an event camera, as frames: a network tells in which of four directions a bar moved.
//! `cargo run --release --example events`. A folder of N-MNIST trains by `synfire train --dataset nmnist --data DIR`.

use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Int, Tensor, TensorData};
use synfire::decode;
use synfire::loss::{StbpLoss, one_hot};
use synfire::neuron::LifConfig;
use synfire::random::Philox;
use synfire_data::{Event, FrameBy, Frames};
use synfire_models::{SpikingNetwork, StbpMlpConfig};

const SIDE: u8 = 16;

/// A bar that moves by a pixel a millisecond: its front brightens pixels, its back darkens them. One in four events is missed.
fn recording(direction: usize, seed: u64) -> Vec<Event> {
    let missed = Philox::new(seed).uniform(0, 2 * usize::from(SIDE) * usize::from(SIDE), 0.0, 1.0);
    let mut missed = missed.into_iter().map(|draw| draw < 0.25);
    let mut events = Vec::new();
    for step in 0..SIDE {
        for along in 0..SIDE {
            for (across, on) in [(step, true), (step.wrapping_sub(3), false)] {
                if missed.next().unwrap_or(true) || across >= SIDE {
                    continue;
                }
                let (x, y) = match direction {
                    0 => (across, along),
                    1 => (SIDE - 1 - across, along),
                    2 => (along, across),
                    _ => (along, SIDE - 1 - across),
                };
                let time = 1000 * u32::from(step);
                events.push(Event { time, x, y, on });
            }
        }
    }
    events
}

/// Recordings as 8 frames each, `[8, B, 2 * 16 * 16]`: a 1 where there was any event of the polarity. And their directions.
fn batch(seeds: std::ops::Range<u64>, device: &Device) -> (Tensor<3>, Tensor<1, Int>) {
    let frames = Frames::new(FrameBy::Bins(8));
    let count = seeds.end - seeds.start;
    let directions: Vec<i64> = seeds.clone().map(|seed| (seed % 4) as i64).collect();
    let sequences = seeds.map(|seed| {
        let sequence = frames.of(&recording((seed % 4) as usize, seed), [SIDE, SIDE]);
        Tensor::<3>::from_data(TensorData::new(sequence, [8, 1, 512]), device)
    });
    let input = Tensor::cat(sequences.collect(), 1);
    let labels = TensorData::new(directions, [count as usize]);
    (input, Tensor::from_data(labels, device))
}

fn run() -> Result<(), synfire::InvalidConfig> {
    let device = Device::default().autodiff();
    // Slow membranes: only the order of the frames tells the direction.
    let config = StbpMlpConfig::new()
        .with_sizes(vec![512, 64, 4])
        .with_neuron(LifConfig::new().with_decay(0.8));
    let mut network = config.init(&device)?;
    let mut optimizer = AdamConfig::new().init();
    for step in 0..60 {
        let (input, labels) = batch(32 * step..32 * (step + 1), &device);
        let spikes = network.run(input);
        let loss = StbpLoss::new().forward(spikes, one_hot(labels, 4));
        if step % 10 == 9 {
            let loss = loss.clone().into_scalar::<f32>();
            println!("step {:2}  loss {loss:.3}", step + 1);
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimizer.step(3e-3, network, gradients);
    }
    let (input, labels) = batch(1_000_000..1_000_200, &device);
    let accuracy = decode::accuracy(decode::rate(network.run(input)), labels);
    let percent = 100.0 * accuracy;
    println!("accuracy on 200 other recordings: {percent:.1} %");
    Ok(())
}

fn main() {
    if let Err(error) = run() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}
