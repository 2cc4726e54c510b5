//! Uses Synfire as an ordinary Burn program does, with a custom neuron and a custom surrogate in a network of the zoo.

#[allow(dead_code)]
#[path = "../../../examples/custom_neuron.rs"]
mod neuron;
#[allow(dead_code)]
#[path = "../../../examples/custom_surrogate.rs"]
mod surrogate;

use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::Int;
use synfire::loss::{Evidence, StbpLoss, TemporalCrossEntropyLossConfig, one_hot};
use synfire::neuron::{LifConfig, Neuron, NeuronConfig};
use synfire::ops::Execution;
use synfire::surrogate::Surrogate;
use synfire_models::{SewResNetConfig, SpikingNetwork, StbpMlpConfig};

use neuron::{Saturating, SaturatingConfig};
use surrogate::Laplace;

/// Losses of some training steps on 8 samples, and the outputs afterwards.
fn train<N: SpikingNetwork>(
    mut model: N,
    time_steps: usize,
    training_steps: usize,
    loss: impl Fn(Tensor<3>, Tensor<1, Int>) -> Tensor<1>,
    device: &Device,
) -> (Vec<f32>, Vec<f32>) {
    let mut optimizer = AdamConfig::new().init();
    let pixels: Vec<f32> = (0..8 * 64).map(|i| (i * 37 % 101) as f32 / 50.0).collect();
    let images = Tensor::<1>::from_floats(pixels.as_slice(), device).reshape([1, 8, 64]);
    let input: Tensor<3> = images.expand([time_steps, 8, 64]);
    let labels = Tensor::<1, Int>::from_ints([0, 1, 2, 3, 0, 1, 2, 3], device);
    let mut losses = Vec::new();
    for _step in 0..training_steps {
        let loss = loss(model.run(input.clone()), labels.clone());
        losses.push(loss.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-2, model, gradients);
    }
    let outputs = model.run(input).into_data().try_to_vec::<f32>();
    (losses, outputs.expect("single precision"))
}

/// Trains a fully connected network.
fn train_mlp(
    device: &Device,
    execution: Execution,
) -> Result<(Vec<f32>, Vec<f32>), synfire::InvalidConfig> {
    let surrogate = Surrogate::custom("laplace", Laplace { k: 3.0 })?;
    let neuron = SaturatingConfig::new()
        .with_surrogate(surrogate)
        .with_execution(execution);
    let config = StbpMlpConfig::new()
        .with_sizes(vec![64, 30, 4])
        .with_neuron(NeuronConfig::custom(neuron)?);
    // Round trip through JSON, as in a file.
    let text = serde_json::to_string(&config).expect("a configuration is JSON");
    let config: StbpMlpConfig =
        serde_json::from_str(&text).expect("neuron and curve are registered");
    let loss = |spikes, labels| StbpLoss::new().forward(spikes, one_hot(labels, 4));
    Ok(train(config.init(device)?, 6, 5, loss, device))
}

/// Trains a SEW-ResNet, and returns its losses.
fn train_resnet(device: &Device) -> Result<Vec<f32>, synfire::InvalidConfig> {
    let neuron = SaturatingConfig::new().with_surrogate(Surrogate::atan(2.0)?);
    let config = SewResNetConfig::new()
        .with_blocks(vec![1, 1])
        .with_width(4)
        .with_image([1, 8, 8])
        .with_classes(4)
        .with_neuron(NeuronConfig::custom(neuron)?);
    let loss = TemporalCrossEntropyLossConfig::new(Evidence::Sum).init(device)?;
    let loss = |outputs, labels| loss.forward(outputs, labels);
    Ok(train(config.init(device)?, 4, 10, loss, device).0)
}

fn main() -> Result<(), synfire::InvalidConfig> {
    let (losses, spikes) = train_mlp(&Device::flex().autodiff(), Execution::Auto)?;
    println!("losses on flex, fused: {losses:?}");
    assert!(losses[4] < losses[0], "it learns");
    assert!(spikes.contains(&1.0) && spikes.contains(&0.0));
    #[allow(deprecated)]
    let ndarray = Device::ndarray().autodiff();
    let (unrolled, unrolled_spikes) = train_mlp(&ndarray, Execution::Unrolled)?;
    println!("losses on ndarray, unrolled: {unrolled:?}");
    for (fused, unrolled) in losses.iter().zip(&unrolled) {
        assert!((fused - unrolled).abs() < 1e-5, "{losses:?} {unrolled}");
    }
    assert_eq!(spikes, unrolled_spikes);

    // The same neuron in a deep network of the zoo.
    let losses = train_resnet(&Device::flex().autodiff())?;
    println!("losses of the residual network: {losses:?}");
    assert!(losses[9] < losses[0], "it learns");

    // The neuron alone, on the default device.
    let device = Device::default().autodiff();
    let saturating: Saturating = SaturatingConfig::new().init(&device)?;
    let lif = LifConfig::new().init(&device)?;
    let (spikes, _state) = lif.forward(Tensor::<3>::ones([4, 2, 784], &device), None);
    let (spikes, _state) = saturating.forward(spikes, None);
    let model = StbpMlpConfig::new().init(&device)?;
    println!("{}", model.run(spikes));
    Ok(())
}
