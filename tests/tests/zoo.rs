//! What holds for all networks of the zoo: parameter counts, gradients everywhere, training.

use std::collections::BTreeMap;
use std::path::Path;

use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use synfire::InvalidConfig;
use synfire::init::Initializer;
use synfire::layer::NormConfig;
use synfire::neuron::{LeakyIntegratorConfig, LifConfig, PsnConfig};
use synfire::record::Recorder;
use synfire_data::{DataSource, ImageSet, Loader};
use synfire_models::block::{QkKind, ReadoutConfig};
use synfire_models::{
    AnyNetwork, Architecture, CifarNetConfig, Context, ESpikeFormerConfig, MaSnnConfig,
    MaxFormerConfig, MetaSpikeFormerConfig, MsResNetConfig, MsStem, NetworkConfig, NirCnnConfig,
    OtttVggConfig, PlifNetConfig, QkFormerConfig, SewResNetConfig, SnasNetConfig, SpikeDhsConfig,
    SpikeDrivenTransformerConfig, SpikformerConfig, SpikingNetwork, SpikingResNetConfig,
    SpikingResformerConfig, SpikingVggConfig, TdResNetConfig, learned_parameters,
};
use synfire_tests::{assert_close, parameter_gradients, values};
use synfire_train::loss::LossKind;

/// All published presets, with fewer channels where there can be fewer, so that they are quick.
fn narrow_presets() -> Vec<(&'static str, NetworkConfig)> {
    use NetworkConfig as N;
    let plif = |config: PlifNetConfig| N::PlifNet(config.with_channels(4).with_hidden(64));
    let vgg = |mut config: SpikingVggConfig| {
        for channels in config.stages.iter_mut().flatten() {
            *channels /= 16;
        }
        for hidden in &mut config.hidden {
            *hidden = 64;
        }
        N::SpikingVgg(config.with_image([3, 32, 32]).with_classes(10))
    };
    let sew = |config: SewResNetConfig| {
        N::SewResNet(
            config
                .with_width(4)
                .with_image([3, 32, 32])
                .with_classes(10),
        )
    };
    let ms = |config: MsResNetConfig| {
        N::MsResNet(
            config
                .with_width(4)
                .with_image([3, 64, 64])
                .with_classes(10),
        )
    };
    let spiking = |config: SpikingResNetConfig| {
        N::SpikingResNet(
            config
                .with_width(4)
                .with_image([3, 32, 32])
                .with_classes(10),
        )
    };
    // Attention among few channels and tokens fires rarely.
    let loud = LifConfig::spikingjelly(2.0).unwrap().with_threshold(0.3);
    let spikformer = |config: SpikformerConfig| {
        let config = config.with_width(32).with_heads(2).with_depth(2);
        let config = config.with_neuron(loud.clone());
        let config = config.with_attention_threshold(0.1);
        N::Spikformer(config.with_image([3, 64, 64]).with_classes(10))
    };
    let qkformer = |config: QkFormerConfig| {
        let config = config.with_width(64).with_heads([2, 2, 2]);
        let config = config.with_neuron(loud.clone());
        let config = config.with_attention_threshold(0.1);
        N::QkFormer(config.with_image([3, 64, 64]).with_classes(10))
    };
    let spike_driven = |config: SpikeDrivenTransformerConfig| {
        let config = config.with_width(32).with_depth(2);
        let config = config.with_neuron(loud.clone());
        let config = config.with_attention_threshold(0.1);
        N::SpikeDrivenTransformer(config.with_image([3, 64, 64]).with_classes(10))
    };
    let maxformer = |config: MaxFormerConfig| {
        let config = config.with_width(64).with_heads(2);
        let config = config.with_neuron(loud.clone());
        let config = config.with_attention_threshold(0.1);
        N::MaxFormer(config.with_image([3, 64, 64]).with_classes(10))
    };
    let meta = MetaSpikeFormerConfig::new()
        .with_neuron(loud.clone())
        .with_attention_threshold(0.1)
        .with_widths([16, 16, 32, 32])
        .with_heads(2)
        .with_image([3, 64, 64]);
    let cifar = CifarNetConfig::new()
        .with_stages(vec![vec![8, 16], vec![32], vec![64, 32]])
        .with_hidden(vec![64, 32]);
    vec![
        ("plif mnist", plif(PlifNetConfig::mnist())),
        ("plif fashion-mnist", plif(PlifNetConfig::fashion_mnist())),
        ("plif nmnist", plif(PlifNetConfig::nmnist())),
        ("plif cifar10", plif(PlifNetConfig::cifar10())),
        ("plif cifar10-dvs", plif(PlifNetConfig::cifar10_dvs())),
        ("plif dvs-gesture", plif(PlifNetConfig::dvs_gesture())),
        ("cifar", N::CifarNet(cifar)),
        ("vgg5", vgg(SpikingVggConfig::vgg5())),
        ("vgg9", vgg(SpikingVggConfig::vgg9())),
        ("vgg11", vgg(SpikingVggConfig::vgg11())),
        ("vgg13", vgg(SpikingVggConfig::vgg13())),
        ("vgg16", vgg(SpikingVggConfig::vgg16())),
        ("vggsnn", vgg(SpikingVggConfig::vggsnn())),
        ("nir", N::NirCnn(NirCnnConfig::new())),
        (
            "resnet19",
            N::TdResNet(TdResNetConfig::resnet19().with_width(4)),
        ),
        ("sew18", sew(SewResNetConfig::resnet18())),
        ("sew34", sew(SewResNetConfig::resnet34())),
        ("sew50", sew(SewResNetConfig::resnet50())),
        ("sew101", sew(SewResNetConfig::resnet101())),
        ("sew152", sew(SewResNetConfig::resnet152())),
        ("ms18", ms(MsResNetConfig::resnet18())),
        ("ms34", ms(MsResNetConfig::resnet34())),
        ("ms104", ms(MsResNetConfig::resnet104())),
        ("spiking18", spiking(SpikingResNetConfig::resnet18())),
        ("spiking34", spiking(SpikingResNetConfig::resnet34())),
        ("spiking50", spiking(SpikingResNetConfig::resnet50())),
        ("spiking101", spiking(SpikingResNetConfig::resnet101())),
        ("spiking152", spiking(SpikingResNetConfig::resnet152())),
        (
            "spikformer cifar10",
            spikformer(SpikformerConfig::cifar10()),
        ),
        (
            "spikformer imagenet",
            spikformer(SpikformerConfig::imagenet_8_384()),
        ),
        ("qkformer", qkformer(QkFormerConfig::imagenet_10_384())),
        (
            "qkformer channel",
            qkformer(QkFormerConfig::imagenet_10_384().with_attention(QkKind::Channel)),
        ),
        (
            "maxformer imagenet",
            maxformer(MaxFormerConfig::imagenet_10_384()),
        ),
        ("maxformer cifar10", maxformer(MaxFormerConfig::cifar10())),
        ("meta", N::MetaSpikeFormer(meta)),
        (
            "resformer",
            N::SpikingResformer(SpikingResformerConfig::small().with_image([1, 32, 32])),
        ),
        (
            "sdt cifar10",
            spike_driven(SpikeDrivenTransformerConfig::cifar10()),
        ),
        (
            "sdt imagenet",
            spike_driven(SpikeDrivenTransformerConfig::imagenet_8_384()),
        ),
    ]
}

/// The parameters without a gradient, or with one of zeros alone. What is remembered is not learned.
fn without_gradients(network: &AnyNetwork, gradients: &Gradients) -> Vec<String> {
    let all = parameter_gradients(network, gradients).into_iter();
    all.filter(|(name, gradient)| !name.contains("running") && gradient.iter().all(|g| *g == 0.0))
        .map(|(name, _)| name)
        .collect()
}

/// Numbers in [0, 1) that look random.
fn batch(shape: [usize; 3], device: &Device) -> Tensor<3> {
    let count = shape.iter().product();
    let numbers = synfire::random::Philox::new(3).uniform(0, count, 0.0, 1.0);
    Tensor::from_data(TensorData::new(numbers, shape), device)
}

#[test]
fn every_parameter_of_every_network_has_a_gradient() {
    let device = Device::default().autodiff();
    let mut dead = Vec::new();
    for (name, config) in narrow_presets() {
        let network = config.init(&device).unwrap();
        let input = batch([1, 4, network.elements()], &device);
        let context = Context::new().with_recorder(Recorder::rates());
        let mut context = context.with_repeats(8);
        let outputs = network.forward(input, &mut context);
        let (recorder, _) = context.into_parts();
        let names: Vec<_> = recorder
            .firing_rates()
            .iter()
            .map(|(name, _)| name.clone())
            .collect();
        assert_eq!(names, network.layer_names(), "{name}");
        let weight = batch(outputs.dims(), &device);
        let gradients = (outputs * weight).sum().backward();
        let without = without_gradients(&network, &gradients);
        if !without.is_empty() {
            let rates: Vec<_> = recorder
                .firing_rates()
                .iter()
                .map(|(name, rate)| format!("{name} {:.3}", rate.clone().into_scalar::<f32>()))
                .collect();
            dead.push(format!("{name}: {without:?} ({})", rates.join(", ")));
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

/// The mean loss of the first and of the last two of so many steps, on embedded digits.
fn train(config: &NetworkConfig, steps: usize) -> [f32; 2] {
    let device = Device::default().autodiff();
    let loss = LossKind::of(&config.layers().readout);
    let mut network = config.init(&device).unwrap();
    let mut optimizer = AdamConfig::new().init();
    let data = Loader::new()
        .load(ImageSet::Mnist, &DataSource::Embedded)
        .unwrap();
    let size = 50;
    // The steps of neurons without a memory are alike.
    let time_steps = match config {
        NetworkConfig::ESpikeFormer(_) => 1,
        _ => 4,
    };
    let losses: Vec<f32> = (0..steps)
        .map(|step| {
            // A few batches, again and again.
            let first = step % 8 * size;
            let (pixels, labels) = data.train.batch(first..first + size).unwrap();
            let input = Tensor::from_data(TensorData::new(pixels, [1, size, 784]), &device);
            let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [size]), &device);
            let mut context = Context::new().with_repeats(time_steps);
            let outputs = network.forward(input, &mut context);
            let loss = loss.forward(outputs, labels, 0.0);
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = optimizer.step(2e-3, network.clone(), gradients);
            loss.into_scalar::<f32>()
        })
        .collect();
    let mean = |losses: &[f32]| losses.iter().sum::<f32>() / losses.len() as f32;
    [mean(&losses[..2]), mean(&losses[steps - 2..])]
}

#[test]
fn small_presets_train() {
    for config in NetworkConfig::small() {
        let start = std::time::Instant::now();
        // The residual ones are quick, and learn little in a step.
        let steps = match config {
            NetworkConfig::SewResNet(_)
            | NetworkConfig::MsResNet(_)
            | NetworkConfig::SpikingResNet(_)
            | NetworkConfig::MetaSpikeFormer(_)
            | NetworkConfig::ESpikeFormer(_)
            | NetworkConfig::OtttVgg(_)
            | NetworkConfig::SpikingResformer(_) => 96,
            NetworkConfig::StbpMlp(_) | NetworkConfig::StbpCnn(_) => 96,
            _ => 32,
        };
        let [first, last] = train(&config, steps);
        let seconds = start.elapsed().as_secs_f32();
        let name = config.name();
        println!("{name}: loss {first:.3} to {last:.3} in {seconds:.1} s");
        assert!(last < 0.7 * first, "{name}: loss {first} to {last}");
    }
}

#[test]
fn parameter_counts_are_those_of_spikingjelly() -> Result<(), InvalidConfig> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/networks.json");
    let fixture: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let expected: BTreeMap<String, usize> =
        serde_json::from_value(fixture["counts"].clone()).unwrap();
    use NetworkConfig as N;
    let presets = [
        ("MNISTNet", N::PlifNet(PlifNetConfig::mnist())),
        (
            "FashionMNISTNet",
            N::PlifNet(PlifNetConfig::fashion_mnist()),
        ),
        ("NMNISTNet", N::PlifNet(PlifNetConfig::nmnist())),
        ("CIFAR10Net", N::PlifNet(PlifNetConfig::cifar10())),
        ("CIFAR10DVSNet", N::PlifNet(PlifNetConfig::cifar10_dvs())),
        ("DVSGestureNet", N::PlifNet(PlifNetConfig::dvs_gesture())),
        ("spiking_vgg11_bn", N::SpikingVgg(SpikingVggConfig::vgg11())),
        ("spiking_vgg13_bn", N::SpikingVgg(SpikingVggConfig::vgg13())),
        ("spiking_vgg16_bn", N::SpikingVgg(SpikingVggConfig::vgg16())),
        (
            "spiking_vgg11",
            N::SpikingVgg(SpikingVggConfig::vgg11().with_norm(None)),
        ),
        (
            "spiking_vgg13",
            N::SpikingVgg(SpikingVggConfig::vgg13().with_norm(None)),
        ),
        (
            "spiking_vgg16",
            N::SpikingVgg(SpikingVggConfig::vgg16().with_norm(None)),
        ),
        ("spiking_vgg19_bn", N::SpikingVgg(SpikingVggConfig::vgg19())),
        (
            "spiking_vgg19",
            N::SpikingVgg(SpikingVggConfig::vgg19().with_norm(None)),
        ),
        (
            "sew_resnext50_32x4d",
            N::SewResNet(SewResNetConfig::resnext50_32x4d()),
        ),
        (
            "spiking_resnext50_32x4d",
            N::SpikingResNet(SpikingResNetConfig::resnext50_32x4d()),
        ),
        (
            "sew_resnext101_32x8d",
            N::SewResNet(SewResNetConfig::resnext101_32x8d()),
        ),
        (
            "spiking_resnext101_32x8d",
            N::SpikingResNet(SpikingResNetConfig::resnext101_32x8d()),
        ),
        (
            "sew_wide_resnet50_2",
            N::SewResNet(SewResNetConfig::wide_resnet50_2()),
        ),
        (
            "spiking_wide_resnet50_2",
            N::SpikingResNet(SpikingResNetConfig::wide_resnet50_2()),
        ),
        (
            "sew_wide_resnet101_2",
            N::SewResNet(SewResNetConfig::wide_resnet101_2()),
        ),
        (
            "spiking_wide_resnet101_2",
            N::SpikingResNet(SpikingResNetConfig::wide_resnet101_2()),
        ),
        ("ottt_spiking_vggws", N::OtttVgg(OtttVggConfig::vggws())),
        (
            "ottt_spiking_vgg11",
            N::OtttVgg(OtttVggConfig::vgg11().with_standardized(false)),
        ),
        ("ottt_spiking_vgg11_ws", N::OtttVgg(OtttVggConfig::vgg11())),
        (
            "ottt_spiking_vgg13",
            N::OtttVgg(OtttVggConfig::vgg13().with_standardized(false)),
        ),
        ("ottt_spiking_vgg13_ws", N::OtttVgg(OtttVggConfig::vgg13())),
        (
            "ottt_spiking_vgg16",
            N::OtttVgg(OtttVggConfig::vgg16().with_standardized(false)),
        ),
        ("ottt_spiking_vgg16_ws", N::OtttVgg(OtttVggConfig::vgg16())),
        (
            "ottt_spiking_vgg19",
            N::OtttVgg(OtttVggConfig::vgg19().with_standardized(false)),
        ),
        ("ottt_spiking_vgg19_ws", N::OtttVgg(OtttVggConfig::vgg19())),
        ("spike_dhs", N::SpikeDhs(SpikeDhsConfig::cifar100())),
        ("snas_cifar10", N::SnasNet(SnasNetConfig::cifar10())),
        ("snas_cifar100", N::SnasNet(SnasNetConfig::cifar100())),
        (
            "snas_tinyimagenet",
            N::SnasNet(SnasNetConfig::tiny_imagenet()),
        ),
        (
            "att_ms_resnet18",
            N::MsResNet(MsResNetConfig::att_resnet18()),
        ),
        ("masnn_dvs128_gesture", N::MaSnn(MaSnnConfig::dvs_gesture())),
        ("max_resnet18", N::MsResNet(MsResNetConfig::max_resnet18())),
        ("sew_resnet18", N::SewResNet(SewResNetConfig::resnet18())),
        ("sew_resnet34", N::SewResNet(SewResNetConfig::resnet34())),
        ("sew_resnet50", N::SewResNet(SewResNetConfig::resnet50())),
        ("sew_resnet101", N::SewResNet(SewResNetConfig::resnet101())),
        ("sew_resnet152", N::SewResNet(SewResNetConfig::resnet152())),
        ("ms_resnet18", N::MsResNet(MsResNetConfig::resnet18())),
        ("ms_resnet34", N::MsResNet(MsResNetConfig::resnet34())),
        (
            "spiking_resnet18",
            N::SpikingResNet(SpikingResNetConfig::resnet18()),
        ),
        (
            "spiking_resnet34",
            N::SpikingResNet(SpikingResNetConfig::resnet34()),
        ),
        (
            "spiking_resnet50",
            N::SpikingResNet(SpikingResNetConfig::resnet50()),
        ),
        (
            "spiking_resnet101",
            N::SpikingResNet(SpikingResNetConfig::resnet101()),
        ),
        (
            "spiking_resnet152",
            N::SpikingResNet(SpikingResNetConfig::resnet152()),
        ),
        (
            "spikformer_ti",
            N::Spikformer(
                SpikformerConfig::new()
                    .with_width(256)
                    .with_heads(8)
                    .with_depth(4)
                    .with_bias(false),
            ),
        ),
        (
            "spikformer_s",
            N::Spikformer(SpikformerConfig::new().with_depth(6).with_bias(false)),
        ),
        (
            "spikformer_cifar10",
            N::Spikformer(SpikformerConfig::cifar10().with_bias(false)),
        ),
        (
            "qkformer_10_384",
            N::QkFormer(QkFormerConfig::imagenet_10_384()),
        ),
        (
            "maxformer_10_384",
            N::MaxFormer(MaxFormerConfig::imagenet_10_384()),
        ),
        (
            "maxformer_cifar",
            N::MaxFormer(MaxFormerConfig::cifar10().with_classes(100)),
        ),
        (
            "sdt_8_384",
            N::SpikeDrivenTransformer(SpikeDrivenTransformerConfig::imagenet_8_384()),
        ),
    ];
    assert_eq!(presets.len(), expected.len());
    for (name, config) in presets {
        // What batch normalisations remember is counted by Burn, and not by PyTorch.
        let network = config.init(&Device::default())?;
        assert_eq!(learned_parameters(&network), expected[name], "{name}");
    }
    Ok(())
}

#[test]
fn parameter_counts_are_those_of_the_papers() {
    // In millions, of which some papers round the last digit and others cut it off. SpikingJelly's Spike-driven Transformer has
    // biases in its patch embedding, up to 0.002.
    for (id, published, digit) in [
        ("spikformer-4-384", 9.32, 0.01),
        ("spikformer-8-384", 16.81, 0.01),
        ("spikformer-8-512", 29.68, 0.01),
        ("spikformer-8-768", 66.34, 0.01),
        ("qkformer-10-384", 16.47, 0.01),
        ("qkformer-10-512", 29.08, 0.01),
        ("qkformer-10-768", 64.96, 0.01),
        ("spike-driven-transformer-8-384", 16.81, 0.012),
        ("spike-driven-transformer-8-512", 29.68, 0.012),
        ("spike-driven-transformer-8-768", 66.34, 0.012),
        ("maxformer-10-384", 16.23, 0.01),
        ("maxformer-cifar10", 6.57, 0.01),
        ("meta-spikeformer-8-256", 15.1, 0.1),
        ("meta-spikeformer-8-384", 31.3, 0.1),
        ("meta-spikeformer-8-512", 55.4, 0.1),
        ("e-spikeformer-s", 5.1, 0.01),
        ("e-spikeformer-m", 10.0, 0.03),
        ("e-spikeformer-l", 19.0, 0.02),
        // Without the parameters of normalisations, but for the last two.
        ("spikingresformer-ti", 11.14, 0.05),
        ("spikingresformer-s", 17.76, 0.06),
        ("spikingresformer-m", 35.52, 0.09),
        ("spikingresformer-l", 60.38, 0.01),
        ("spikingresformer-cifar10", 10.79, 0.01),
    ] {
        let config = NetworkConfig::preset(id).unwrap().config;
        let network = config.init(&Device::default()).unwrap();
        let millions = learned_parameters(&network) as f64 / 1e6;
        assert!((millions - published).abs() < digit, "{id}: {millions}");
    }
}

/// The numbers of the papers' definitions where SpikingJelly has no such network.
#[test]
fn parameter_counts_are_those_of_the_definitions() -> Result<(), InvalidConfig> {
    let device = Device::default();
    let count = |config: NetworkConfig| {
        config
            .init(&device)
            .map(|network| learned_parameters(&network))
    };
    // 3x3 convolutions with a normalisation, and linear layers with biases.
    let conv = |inputs: usize, outputs: usize| 9 * inputs * outputs + 2 * outputs;
    let linear = |inputs: usize, outputs: usize| inputs * outputs + outputs;

    let cifar = conv(3, 128) + conv(128, 256) + conv(256, 512) + conv(512, 1024) + conv(1024, 512);
    let cifar = cifar + linear(512 * 8 * 8, 1024) + linear(1024, 512) + linear(512, 100);
    assert_eq!(
        count(NetworkConfig::CifarNet(CifarNetConfig::new()))?,
        cifar
    );

    let first = |inputs: usize, outputs: usize| {
        let shortcut = if inputs == outputs {
            0
        } else {
            inputs * outputs + 2 * outputs
        };
        conv(inputs, outputs) + conv(outputs, outputs) + shortcut
    };
    let block = |channels| first(channels, channels);
    let resnet19 = conv(3, 128)
        + 3 * block(128)
        + first(128, 256)
        + 2 * block(256)
        + first(256, 512)
        + block(512)
        + linear(512, 256)
        + linear(256, 10);
    assert_eq!(
        count(NetworkConfig::TdResNet(TdResNetConfig::resnet19()))?,
        resnet19
    );
    assert_eq!(resnet19, 12_697_994);

    // The stem of three convolutions with biases; all stages begin with half the height and width.
    let deep = |inputs: usize| 9 * inputs * 64 + 64;
    let stage = |inputs: usize, outputs: usize, blocks: usize| {
        first(inputs, outputs) + (blocks - 1) * block(outputs)
    };
    let first_stage = conv(64, 64) * 2 + 64 * 64 + 2 * 64 + 2 * block(64);
    let ms104 = deep(3)
        + 2 * deep(64)
        + 2 * 64
        + first_stage
        + stage(64, 128, 8)
        + stage(128, 256, 32)
        + stage(256, 512, 8)
        + linear(512, 1000);
    let config = MsResNetConfig::resnet104();
    assert_eq!(config.stem, MsStem::Deep);
    assert_eq!(count(NetworkConfig::MsResNet(config))?, ms104);

    let nir = count(NetworkConfig::NirCnn(NirCnnConfig::new()))?;
    assert_eq!(
        nir,
        25 * 2 * 16 + 9 * 16 * 16 + 9 * 16 * 8 + 128 * 256 + 256 * 10
    );

    // With biases, in front of which a normalisation stands.
    let biased = |inputs: usize, outputs: usize| conv(inputs, outputs) + outputs;
    let vgg5 = biased(3, 64) + biased(64, 128) + biased(128, 128);
    let vgg5 = vgg5 + linear(128 * 8 * 8, 1024) + linear(1024, 10);
    assert_eq!(
        count(NetworkConfig::SpikingVgg(SpikingVggConfig::vgg5()))?,
        vgg5
    );
    Ok(())
}

#[test]
fn parts_of_a_sequence_are_the_whole() {
    let device = Device::default();
    for config in NetworkConfig::small() {
        if !config.streams() {
            continue;
        }
        let network = config.init(&device).unwrap();
        let input = batch([6, 2, network.elements()], &device);
        let whole = network.run(input.clone());
        let mut state = None;
        let mut parts = Vec::new();
        for (from, to) in [(0, 1), (1, 4), (4, 6)] {
            let part = input.clone().slice(from..to);
            let mut context = Context::new().with_state(state);
            parts.push(network.forward(part, &mut context));
            state = Some(context.finish());
        }
        let parts = Tensor::cat(parts, 0);
        let name = config.name();
        assert_close(&values(&parts), &values(&whole), name);
    }
}

#[test]
fn configurations_go_through_json() {
    for config in NetworkConfig::small() {
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(
            serde_json::from_str::<NetworkConfig>(&text).unwrap(),
            config
        );
    }
    let names: Vec<_> = NetworkConfig::presets()
        .iter()
        .map(|preset| preset.id)
        .collect();
    let mut unique = names.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), names.len());
}

#[test]
fn bad_configurations_are_named() {
    let device = Device::default();
    let expect = |config: NetworkConfig, text: &str| {
        let error = config.init(&device).unwrap_err().to_string();
        assert!(error.contains(text), "{error}, expected {text}");
    };
    use NetworkConfig as N;
    let plif = PlifNetConfig::small;
    expect(
        N::PlifNet(plif().with_channels(0)),
        "`channels` of PlifNet: 0",
    );
    expect(N::PlifNet(plif().with_hidden(0)), "`hidden` of PlifNet: 0");
    expect(
        N::PlifNet(plif().with_voters(usize::MAX)),
        "`voters` of PlifNet",
    );
    let image = |image| PlifNetConfig::new().with_image(image);
    expect(
        N::PlifNet(image([1, 3, 28])),
        "`image` of PlifNet: [1, 3, 28]",
    );
    expect(N::PlifNet(image([1, usize::MAX, 28])), "`image` of PlifNet");
    expect(
        N::PlifNet(image([1, 1 << 23, 1 << 23])),
        "`image` of PlifNet",
    );
    expect(N::PlifNet(plif().with_dropout(1.0)), "`prob` of Dropout: 1");
    let config = plif().with_neuron(LifConfig::new().with_threshold(f64::NAN));
    expect(N::PlifNet(config), "`threshold` of Lif: NaN");
    let cifar = CifarNetConfig::small;
    expect(
        N::CifarNet(cifar().with_stages(vec![])),
        "`stages` of CifarNet: []",
    );
    expect(
        N::CifarNet(cifar().with_hidden(vec![0])),
        "`hidden` of CifarNet: 0",
    );
    let vgg = SpikingVggConfig::small;
    expect(
        N::SpikingVgg(vgg().with_average_to(Some(0))),
        "`average_to` of SpikingVgg: 0",
    );
    expect(
        N::SpikingVgg(vgg().with_classes(0)),
        "`classes` of SpikingVgg: 0",
    );
    let nir = NirCnnConfig::new;
    expect(
        N::NirCnn(nir().with_image([2, 8, 34])),
        "`image` of NirCnn: [2, 8, 34]",
    );
    let td = TdResNetConfig::small;
    expect(
        N::TdResNet(td().with_blocks(vec![])),
        "`blocks` of TdResNet: []",
    );
    expect(N::TdResNet(td().with_width(1 << 23)), "`width` of TdResNet");
    expect(
        N::SewResNet(SewResNetConfig::new().with_blocks(vec![1, 0])),
        "`blocks` of SewResNet: 0",
    );
    let sew = SewResNetConfig::small().with_image([0, 28, 28]);
    expect(N::SewResNet(sew), "`image` of SewResNet: 0");
    expect(
        N::SpikingResNet(SpikingResNetConfig::new().with_blocks(vec![])),
        "`blocks` of SpikingResNet: []",
    );
    expect(
        N::MsResNet(MsResNetConfig::small().with_first_stride(0)),
        "`first_stride`",
    );
    let odd = MsResNetConfig::resnet104().with_image([3, 28, 28]);
    expect(N::MsResNet(odd), "`image` of MsResNet: [3, 28, 28]");
    let patches = SpikingResformerConfig::small().with_patches([1 << 20, 1, 1]);
    expect(
        N::SpikingResformer(patches),
        "`patches` of SpikingResformer: 1048576",
    );
    let spikformer = SpikformerConfig::small;
    expect(
        N::Spikformer(spikformer().with_depth(1 << 24)),
        "`depth` of Spikformer: 16777216",
    );
    expect(
        N::Spikformer(spikformer().with_patch_size(3)),
        "`patch_size` of Spikformer: 3",
    );
    expect(
        N::Spikformer(spikformer().with_image([1, 1 << 23, 1 << 23])),
        "`image` of Spikformer",
    );
    let heads = QkFormerConfig::small().with_heads([0, 1, 1]);
    expect(N::QkFormer(heads), "`heads` of QkFormer: 0");
    let ratio = SpikeDrivenTransformerConfig::small().with_mlp_ratio(usize::MAX);
    expect(
        N::SpikeDrivenTransformer(ratio),
        "`mlp_ratio` of SpikeDrivenTransformer",
    );
    let width = MaxFormerConfig::small().with_width(12);
    expect(N::MaxFormer(width), "`width` of MaxFormer: 12");
    let odd = MetaSpikeFormerConfig::small().with_widths([7, 8, 16, 16]);
    expect(
        N::MetaSpikeFormer(odd),
        "`widths` of MetaSpikeFormer: [7, 8",
    );
    let blocks = ESpikeFormerConfig::small().with_blocks([1, usize::MAX]);
    expect(N::ESpikeFormer(blocks), "`blocks` of ESpikeFormer");
    let threshold = MetaSpikeFormerConfig::small().with_attention_threshold(f64::NAN);
    expect(N::MetaSpikeFormer(threshold), "`attention_threshold`");
    let groups = SewResNetConfig::resnet50().with_groups(3);
    expect(N::SewResNet(groups), "`groups` of SewResNet: 3");
    let wide = SewResNetConfig::resnet18().with_widening(2);
    expect(N::SewResNet(wide), "`widening` of SewResNet: 2");
    let reduction = MsResNetConfig::small().with_attention(Some(9));
    expect(N::MsResNet(reduction), "`attention` of MsResNet: 9");
    let steps = MaSnnConfig::small().with_time_steps(0);
    expect(N::MaSnn(steps), "`time_steps` of MaSnn: 0");
    let max = MsResNetConfig::small().with_stem(MsStem::Max);
    let odd = max.with_attention(Some(2)).with_image([1, 15, 15]);
    expect(N::MsResNet(odd), "`image` of MsResNet: [1, 15, 15]");
    let norm = SnasNetConfig::small().with_norm(Some(NormConfig::te_batch(4)));
    expect(N::SnasNet(norm), "`norm` of SnasNet: TEBN");
    let whole = SnasNetConfig::small().with_neuron(PsnConfig::new());
    expect(N::SnasNet(whole), "`neuron` of SnasNet: psn");
    let pools = MaSnnConfig::small().with_pools(vec![2]);
    expect(N::MaSnn(pools), "`pools` of MaSnn: [2]");
    let pools = MaSnnConfig::small().with_pools(vec![3, 2]);
    expect(N::MaSnn(pools), "`image` of MaSnn: [1, 28, 28]");
    let cells = SpikeDhsConfig::small().with_cells(vec![]);
    expect(N::SpikeDhs(cells), "`cells` of SpikeDhs: []");
    let cells = SpikeDhsConfig::small().with_cells(vec![1; 100]);
    expect(N::SpikeDhs(cells), "`width` of SpikeDhs");
    let image = SpikeDhsConfig::small().with_image([1, 3, 3]);
    expect(N::SpikeDhs(image), "`image` of SpikeDhs: [1, 3, 3]");
    let average = OtttVggConfig::small().with_average_to(usize::MAX);
    expect(N::OtttVgg(average), "`average_to` of OtttVgg");
    // For the ten outputs there are as many numbers needed.
    let readout = ReadoutConfig::Membrane(LeakyIntegratorConfig::new().with_decay(vec![0.5; 3]));
    let config = plif().with_readout(readout.clone());
    expect(N::PlifNet(config), "3 numbers for a layer of 100 channels");
    let config = SewResNetConfig::small().with_readout(readout);
    expect(N::SewResNet(config), "3 numbers for a layer of 10 channels");
}

#[test]
fn a_network_goes_on_with_other_classes() {
    let device = Device::default();
    for mut config in NetworkConfig::small() {
        config.set_time_steps(2);
        let network = config.init(&device).unwrap();
        let other = network
            .with_classes(3, Initializer::default(), 1, &device)
            .unwrap();
        let input = batch([2, 1, other.elements()], &device);
        let outputs = other.run(input);
        assert_eq!(outputs.dims(), [2, 1, 3], "{}", config.name());
        let error = other
            .with_classes(0, Initializer::default(), 1, &device)
            .unwrap_err();
        assert!(
            error.to_string().contains("`classes` of Classifier: 0"),
            "{error}"
        );
    }
}
