//! The zoo against the networks of SpikingJelly, loaded through the importer: parameter counts, outputs, spikes, gradients.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Gradients, Tensor};
use safetensors::SafeTensors;
use serde::Deserialize;
use synfire::layer::{NormConfig, SewJoin};
use synfire::neuron::{LifConfig, ResetGradient, TemporalGradient};
use synfire::record::Recorder;
use synfire::surrogate::Surrogate;
use synfire_models::block::QkKind;
use synfire_models::{
    Architecture, Context, ESpikeFormerConfig, MaSnnConfig, MaxFormerConfig, MaxFormerImages,
    MetaSpikeFormerConfig, MsResNetConfig, OtttVggConfig, PlifNetConfig, QkFormerConfig,
    ResformerStem, SewResNetConfig, SnasConnection, SnasNetConfig, SpikeDhsConfig,
    SpikeDrivenTransformerConfig, SpikformerConfig, SpikingJelly, SpikingNetwork,
    SpikingResNetConfig, SpikingResformerConfig, SpikingVggConfig, learned_parameters,
};
use synfire_tests::{assert_close, tensor, values, write_tensors};

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    kind: String,
    parameters: usize,
    state: BTreeMap<String, Vec<usize>>,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    training: bool,
    shape: [usize; 5],
    seed: u64,
    scales: Scales,
    outputs: Vec<f64>,
    output_shape: Vec<usize>,
    spikes: Vec<[i64; 2]>,
    gradients: BTreeMap<String, Summary>,
}

#[derive(Deserialize)]
struct Scales {
    conv: f64,
    linear: f64,
    gamma: f64,
    bias: f64,
}

#[derive(Deserialize)]
struct Summary {
    largest: f64,
    sum: f64,
    values: Vec<f64>,
}

fn fixture() -> Fixture {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/networks.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// `units` of networks.py.
fn units(seed: u64, name: &str, count: usize) -> Vec<f64> {
    let mut state = 0xCBF2_9CE4_8422_2325_u64;
    for byte in name.bytes() {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    }
    let state = state.wrapping_add(seed);
    (1..=count as u64)
        .map(|i| {
            let mut z = state.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            (z >> 40) as f64 / f64::from(1 << 23) - 1.0
        })
        .collect()
}

/// `numbers` of networks.py.
fn numbers(seed: u64, name: &str, count: usize, [middle, width]: [f64; 2]) -> Vec<f64> {
    let step = f64::from(1 << 20);
    let units = units(seed, name, count).into_iter();
    units
        .map(|unit| ((middle + width * unit) * step).round_ties_even() / step)
        .collect()
}

/// `spread` of networks.py.
fn spread(name: &str, shape: &[usize], scales: &Scales) -> [f64; 2] {
    match name.rsplit('.').next().unwrap() {
        "w" => [0.0, 0.5],
        "firing_rate_x" | "firing_rate_attn" => [0.25, 0.125],
        "running_mean" => [0.0, 0.125],
        "running_var" => [1.0, 0.25],
        _ if shape.len() > 1 => {
            let fan_in = shape[1..].iter().product::<usize>() as f64;
            let gain = match shape.len() {
                4 => scales.conv,
                _ => scales.linear,
            };
            [0.0, gain * (3.0 / fan_in).sqrt()]
        }
        "weight" => [scales.gamma, 0.25 * scales.gamma],
        _ => [scales.bias, 0.125],
    }
}

/// Writes what SpikingJelly would have saved.
fn save_state(case: &Case, run: &Run, path: &Path) {
    let saved = case.state.iter();
    let saved = saved.filter(|(name, _)| !name.ends_with("num_batches_tracked"));
    let tensors = saved.map(|(name, shape)| {
        let count = shape.iter().product();
        let numbers = numbers(run.seed, name, count, spread(name, shape, &run.scales));
        (name.as_str(), shape.clone(), numbers)
    });
    write_tensors(path, tensors);
}

/// Puts gradients in the places of parameters; zeros where there is none.
struct InPlace<'a>(&'a Gradients);

impl ModuleMapper for InPlace<'_> {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let value = parameter.val();
        let gradient = match value.grad(self.0) {
            Some(gradient) => gradient,
            None => value.clone().inner().zeros_like(),
        };
        Param::from_tensor(Tensor::from_data(gradient.to_data(), &value.device()))
    }
}

/// Compares everything about a network with a case.
fn compare<A: Architecture<Network: SpikingJelly>>(case: &Case, config: &A) {
    let folder = tempfile::tempdir().unwrap();
    for run in &case.runs {
        let title = format!("{} {:?}", case.kind, run.shape);
        let path = folder.path().join("state.safetensors");
        save_state(case, run, &path);
        let device = match run.training {
            true => Device::default().autodiff(),
            false => Device::default(),
        };
        let mut config = config.clone();
        let [_, _, image @ ..] = run.shape;
        config.fit(image, config.classes());
        let network = A::Network::from_spikingjelly(&config, &path, &device).unwrap();
        // The way back: the same names, shapes and numbers.
        let back = folder.path().join("back.safetensors");
        network.save_spikingjelly(&back).unwrap();
        let [one, other] = [&path, &back].map(|path| std::fs::read(path).unwrap());
        let [one, other] = [&one, &other].map(|bytes| SafeTensors::deserialize(bytes).unwrap());
        assert_eq!(one.len(), other.len(), "{title}");
        for (name, view) in one.tensors() {
            assert_eq!(view, other.tensor(&name).unwrap(), "{title}: {name}");
        }
        assert_eq!(learned_parameters(&network), case.parameters, "{title}");

        let count = run.shape.iter().product();
        let x = numbers(run.seed, "input", count, [0.5, 0.5]);
        let mut x = tensor::<5>(&x, run.shape, &device);
        if run.training {
            x = x.require_grad();
        }
        let mut context = Context::new().with_recorder(Recorder::spikes());
        if let Some(kind) = case.kind.strip_prefix("snas-") {
            // An image, which the network repeats.
            let steps = kind.rsplit('-').next().unwrap().parse().unwrap();
            context = context.with_repeats(steps);
        }
        let mut outputs = network.forward(x.clone().flatten(2, 4), &mut context);
        if run.output_shape.len() == 2 {
            outputs = outputs.mean_dim(0);
        }
        let (layers, _) = context.into_parts().0.into_parts();
        let names: Vec<_> = layers.iter().map(|layer| layer.name.clone()).collect();
        assert_eq!(names, network.layer_names(), "{title}");
        assert_eq!(layers.len(), run.spikes.len(), "{title}");
        for (layer, expected) in layers.iter().zip(&run.spikes) {
            let mut spikes = values(layer.spikes.as_ref().unwrap());
            let neuron = config.neuron_of(&layer.name);
            if neuron.get("normalized") == Some(true) {
                let levels: f64 = neuron.get("levels").unwrap();
                spikes.iter_mut().for_each(|spike| *spike *= levels);
            }
            let places = units(0, "place", spikes.len());
            let places = places
                .iter()
                .map(|unit| ((unit + 1.0) * 32768.0).round_ties_even());
            let sum = spikes.iter().zip(places).map(|(o, place)| o * place);
            let got = [spikes.iter().sum::<f64>() as i64, sum.sum::<f64>() as i64];
            assert_eq!(got, *expected, "{title}: spikes of {}", layer.name);
            let fired = spikes.iter().filter(|spike| **spike != 0.0).count();
            let rate = fired as f64 / spikes.len() as f64;
            // Only where all tokens are summed up, or spikes have levels, may neurons always fire.
            let most = match case.kind.as_str() {
                "qkformer-channel" | "e-spikeformer" => 1.0,
                _ => 0.95,
            };
            assert!(
                (0.02..=most).contains(&rate),
                "{title}: {} fires at {rate}",
                layer.name
            );
        }
        assert_close(
            &values(&outputs),
            &run.outputs,
            &format!("{title}: outputs"),
        );
        if !run.training {
            continue;
        }
        let count = run.outputs.len();
        let weight = numbers(run.seed, "loss", count, [0.0, 1.0]);
        let weight = tensor::<3>(&weight, outputs.dims(), &device);
        let gradients = (outputs * weight).sum().backward();
        check(
            &title,
            "input",
            &values(&x.grad(&gradients).unwrap()),
            &run.gradients["input"],
            1.0,
        );
        // Gradients under SpikingJelly's names are a file that is written like one of parameters.
        let path = folder.path().join("gradients.safetensors");
        let gradients = network.map(&mut InPlace(&gradients));
        gradients.save_spikingjelly(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let found = SafeTensors::deserialize(&bytes).unwrap();
        for (name, expected) in run.gradients.iter().filter(|(name, _)| *name != "input") {
            let view = found
                .tensor(name)
                .unwrap_or_else(|_| panic!("{title}: no {name}"));
            assert_eq!(view.shape(), case.state[name], "{title}: {name}");
            let bytes = view.data().chunks_exact(4);
            let values: Vec<_> = bytes
                .map(|four| f64::from(f32::from_le_bytes(four.try_into().unwrap())))
                .collect();
            assert!(
                values.iter().any(|g| *g != 0.0),
                "{title}: {name} has no gradient"
            );
            // In a bias before a batch normalisation nothing but the rounding of a sum is left, as large as the terms of its weights.
            let weights = run.gradients.get(&name.replace(".bias", ".weight"));
            let scale = weights.map_or(1.0, |weights| weights.largest.max(1.0));
            check(&title, name, &values, expected, scale);
        }
    }
}

/// `summary` of networks.py. A gradient of 0 may be off by the rounding of terms of this scale.
fn check(title: &str, name: &str, gradient: &[f64], expected: &Summary, scale: f64) {
    let rounding = if expected.largest < 1e-9 {
        1e-5 * scale
    } else {
        3e-6
    };
    let tolerance = (tolerance(title, name) * expected.largest).max(rounding);
    let last = gradient.len() - 1;
    let mut places: Vec<_> = (0..4).map(|i| i * last / 3).collect();
    places.dedup();
    let mut got: Vec<_> = places.iter().map(|place| gradient[*place]).collect();
    got.push(gradient.iter().fold(0.0, |max: f64, g| max.max(g.abs())));
    let mut values = expected.values.clone();
    values.push(expected.largest);
    assert_eq!(got.len(), values.len(), "{title}: {name}");
    for (got, expected) in got.iter().zip(&values) {
        let error = (got - expected).abs();
        assert!(
            error <= tolerance,
            "{title}: gradient of {name}: {got}, expected {expected}, {error:.1e} for {tolerance:.1e}"
        );
    }
    let error = (gradient.iter().sum::<f64>() - expected.sum).abs();
    assert!(
        error <= tolerance * gradient.len() as f64,
        "{title}: sum of the gradient of {name}: {error:.1e} of {}",
        expected.sum
    );
}

/// What gradients may differ by, as a part of the largest.
fn tolerance(title: &str, name: &str) -> f64 {
    match name.rsplit('.').next() {
        // One number, a sum over all neurons and steps whose terms cancel.
        Some("w") => 1e-4,
        // Products of spikes in all blocks: few paths are left, and what is behind them is large.
        _ if title.starts_with("sew50-AND") => 1e-4,
        // In so many layers roundings add up.
        _ if title.contains("152") || title.starts_with("sew50-IAND") => 2e-5,
        _ => 1e-5,
    }
}

fn plif(case: &Case) {
    let config = match case.kind.as_str() {
        "plif-mnist" => PlifNetConfig::mnist(),
        "plif-fashion-mnist" => PlifNetConfig::fashion_mnist(),
        "plif-nmnist" => PlifNetConfig::nmnist(),
        "plif-cifar10" => PlifNetConfig::cifar10(),
        "plif-cifar10-dvs" => PlifNetConfig::cifar10_dvs(),
        "plif-dvs-gesture" => PlifNetConfig::dvs_gesture(),
        kind => panic!("{kind}"),
    };
    let channels = case.state["conv_fc.0.weight"][0];
    compare(case, &config.with_channels(channels));
}

fn vgg(case: &Case) {
    let batch = Some(NormConfig::batch());
    // An eighth of the channels.
    let narrow = |mut config: SpikingVggConfig| {
        for channels in config.stages.iter_mut().flatten() {
            *channels /= 8;
        }
        (config.stages, batch)
    };
    let (stages, norm) = match case.kind.as_str() {
        "vgg-4-M-8-8-M" => (vec![vec![4], vec![8, 8]], batch),
        "vgg-4-M-8-M-plain" => (vec![vec![4], vec![8]], None),
        "vgg5" => narrow(SpikingVggConfig::vgg5()),
        "vgg9" => narrow(SpikingVggConfig::vgg9()),
        "vgg11" => narrow(SpikingVggConfig::vgg11()),
        "vgg13" => narrow(SpikingVggConfig::vgg13()),
        "vgg16" => narrow(SpikingVggConfig::vgg16()),
        "vgg19" => narrow(SpikingVggConfig::vgg19()),
        kind => panic!("{kind}"),
    };
    let config = SpikingVggConfig::new()
        .with_stages(stages)
        .with_image([3, 32, 32])
        .with_average_to(Some(7))
        .with_hidden(vec![24, 16])
        .with_classes(5)
        .with_norm(norm);
    compare(case, &config);
}

fn sew(case: &Case) {
    let (depth, join) = case.kind["sew".len()..].split_once('-').unwrap();
    let config = match depth {
        "18" => SewResNetConfig::resnet18(),
        "34" => SewResNetConfig::resnet34(),
        "50" => SewResNetConfig::resnet50(),
        "50x4" => SewResNetConfig::resnet50().with_groups(4).with_widening(2),
        "101" => SewResNetConfig::resnet101(),
        "152" => SewResNetConfig::resnet152(),
        depth => panic!("{depth}"),
    };
    let config = config
        .with_width(case.state["conv1.weight"][0])
        .with_classes(5)
        .with_join(match join {
            "ADD" => SewJoin::Add,
            "AND" => SewJoin::And,
            _ => SewJoin::Iand,
        });
    compare(case, &config);
}

fn ms(case: &Case) {
    let mut config = match case.kind.as_str() {
        "ms18" => MsResNetConfig::resnet18(),
        "ms34" => MsResNetConfig::resnet34(),
        kind => panic!("{kind}"),
    };
    config = config.with_width(4).with_classes(5);
    // The neuron of SpikingJelly's own network; its rectangle is half as wide as the paper's.
    let neuron = LifConfig::new()
        .with_threshold(0.5)
        .with_decay(0.25)
        .with_surrogate(Surrogate::rectangular(0.5).unwrap())
        .with_temporal_gradient(TemporalGradient::Full(ResetGradient::Detached));
    config = config.with_neuron(neuron);
    compare(case, &config);
}

fn max(case: &Case) {
    let config = MsResNetConfig::max_resnet18();
    compare(case, &config.with_width(8).with_classes(5));
}

fn att(case: &Case) {
    let config = MsResNetConfig::att_resnet18().with_attention(Some(2));
    compare(case, &config.with_width(8).with_classes(5));
}

fn ma(case: &Case) {
    // With its own narrow rectangle a network of so few channels has no gradients.
    let neuron = LifConfig::new()
        .with_threshold(0.3)
        .with_decay(0.3)
        .with_surrogate(Surrogate::atan(2.0).unwrap())
        .with_temporal_gradient(TemporalGradient::Full(ResetGradient::Detached));
    let config = MaSnnConfig::new()
        .with_neuron(neuron)
        .with_channels(vec![8; 3])
        .with_hidden(vec![16])
        .with_time_steps(case.runs[0].shape[0])
        .with_time_reduction(1)
        .with_channel_reduction(2)
        .with_classes(5);
    compare(case, &config);
}

fn ottt(case: &Case) {
    let stages = vec![vec![4, 8], vec![8, 8], vec![16, 16]];
    let config = match case.kind.strip_prefix("ottt-heavy-") {
        None => OtttVggConfig::vggws().with_stages(stages),
        Some(kind) => OtttVggConfig::vgg11()
            .with_stages(vec![vec![4], vec![8, 8]])
            .with_hidden(vec![24, 16])
            .with_standardized(kind == "ws"),
    };
    compare(case, &config.with_classes(5));
}

fn snas(case: &Case) {
    use SnasConnection::{Average, Conv1, Conv3, None, Skip};
    let config = SnasNetConfig::cifar100()
        .with_width(8)
        .with_hidden(64)
        .with_feedback(case.kind.contains("backward"))
        .with_cell([
            [None, Conv3, Conv1, Skip],
            [Conv1, None, Average, Conv3],
            [Conv3, Skip, None, Conv1],
            [Average, None, Conv3, None],
        ]);
    compare(case, &config);
}

fn spike_dhs(case: &Case) {
    let config = SpikeDhsConfig::cifar100().with_width(4);
    compare(case, &config.with_classes(5));
}

fn spiking(case: &Case) {
    let config = match case.kind.as_str() {
        "spiking18" => SpikingResNetConfig::resnet18(),
        "spiking34" => SpikingResNetConfig::resnet34(),
        "spiking50" => SpikingResNetConfig::resnet50(),
        "spiking50x4" => SpikingResNetConfig::resnet50()
            .with_groups(4)
            .with_widening(2),
        "spiking101" => SpikingResNetConfig::resnet101(),
        "spiking152" => SpikingResNetConfig::resnet152(),
        kind => panic!("{kind}"),
    };
    let width = case.state["conv1.weight"][0];
    compare(case, &config.with_width(width).with_classes(5));
}

fn spikformer(case: &Case) {
    let patch = case.kind["spikformer-".len()..].parse().unwrap();
    let config = SpikformerConfig::new()
        .with_width(32)
        .with_depth(2)
        .with_heads(2)
        .with_mlp_ratio(2)
        .with_patch_size(patch)
        .with_bias(false)
        .with_classes(5);
    compare(case, &config);
}

fn qkformer(case: &Case) {
    let kind = match case.kind.as_str() {
        "qkformer-token" => QkKind::Token,
        "qkformer-channel" => QkKind::Channel,
        kind => panic!("{kind}"),
    };
    let config = QkFormerConfig::new()
        .with_width(32)
        .with_blocks([1, 2, 1])
        .with_heads([2, 2, 2])
        .with_mlp_ratio(2)
        .with_attention(kind)
        .with_classes(5);
    compare(case, &config);
}

fn spike_driven(case: &Case) {
    let pooled: Vec<_> = case.kind["sdt-".len()..]
        .chars()
        .map(|c| c == '1')
        .collect();
    let config = SpikeDrivenTransformerConfig::new()
        .with_width(16)
        .with_depth(2)
        .with_mlp_ratio(2)
        .with_pooled(pooled.try_into().unwrap())
        .with_classes(5);
    compare(case, &config);
}

fn maxformer(case: &Case) {
    let (images, heads) = match case.kind.as_str() {
        "maxformer-large" => (MaxFormerImages::Large, 1),
        "maxformer-small" => (MaxFormerImages::Small, 8),
        kind => panic!("{kind}"),
    };
    let config = MaxFormerConfig::new()
        .with_images(images)
        .with_width(32)
        .with_blocks([1, 2, 1])
        .with_heads(heads)
        .with_mlp_ratio(2)
        .with_classes(5);
    compare(case, &config);
}

fn meta_spikeformer(case: &Case) {
    let config = MetaSpikeFormerConfig::new()
        .with_widths([16, 16, 32, 32])
        .with_blocks([2, 1])
        .with_heads(2)
        // Borders are of the running statistics, which are not the same in PyTorch.
        .with_norm(Some(NormConfig::Batch {
            epsilon: 1e-5,
            momentum: 0.0,
        }))
        .with_classes(5);
    compare(case, &config);
}

fn e_spikeformer(case: &Case) {
    let config = ESpikeFormerConfig::new()
        .with_widths([16, 16, 32, 32])
        .with_blocks([2, 1])
        .with_heads(2)
        .with_classes(5);
    compare(case, &config);
}

fn spikingresformer(case: &Case) {
    let stem = match case.kind.as_str() {
        "resformer-large" => ResformerStem::Large,
        "resformer-small" => ResformerStem::Small,
        kind => panic!("{kind}"),
    };
    let config = SpikingResformerConfig::new()
        .with_stem(stem)
        .with_widths([8, 16, 32])
        .with_heads([1, 2, 4])
        .with_blocks([1, 2, 1])
        .with_group(8)
        .with_classes(5);
    compare(case, &config);
}

/// Compares the cases whose kind begins so, at least one.
fn all(prefix: &str, compare: impl Fn(&Case)) {
    let fixture = fixture();
    let cases = fixture
        .cases
        .iter()
        .filter(|case| case.kind.starts_with(prefix));
    let cases: Vec<_> = cases.collect();
    assert!(!cases.is_empty(), "no case of {prefix}");
    cases.into_iter().for_each(compare);
}

#[test]
fn plif_net_is_that_of_spikingjelly() {
    all("plif", plif);
}

#[test]
fn spiking_vgg_is_that_of_spikingjelly() {
    all("vgg", vgg);
}

#[test]
fn sew_resnet_of_basic_blocks_is_that_of_spikingjelly() {
    all("sew18", sew);
    all("sew34", sew);
}

#[test]
fn sew_resnet_of_bottlenecks_is_that_of_spikingjelly() {
    all("sew50", sew);
}

#[test]
fn deep_sew_resnets_are_those_of_spikingjelly() {
    all("sew101", sew);
    all("sew152", sew);
}

#[test]
fn ms_resnet_is_that_of_spikingjelly() {
    all("ms", ms);
}

#[test]
fn max_resnet_is_that_of_spikingjelly() {
    all("max18", max);
}

#[test]
fn networks_with_attention_are_those_of_spikingjelly() {
    all("att18", att);
    all("ma-", ma);
}

#[test]
fn vgg_of_standardised_weights_is_that_of_spikingjelly() {
    all("ottt", ottt);
}

#[test]
fn spike_dhs_is_that_of_spikingjelly() {
    all("spike-dhs", spike_dhs);
}

#[test]
fn snas_net_is_that_of_spikingjelly() {
    all("snas", snas);
}

#[test]
fn spiking_resnet_is_that_of_spikingjelly() {
    all("spiking", spiking);
}

#[test]
fn spikformer_is_that_of_spikingjelly() {
    all("spikformer", spikformer);
}

#[test]
fn qkformer_is_that_of_spikingjelly() {
    all("qkformer", qkformer);
}

#[test]
fn spike_driven_transformer_is_that_of_spikingjelly() {
    all("sdt", spike_driven);
}

#[test]
fn maxformer_is_that_of_spikingjelly() {
    all("maxformer", maxformer);
}

#[test]
fn meta_spikeformer_is_that_of_its_authors() {
    all("meta-spikeformer", meta_spikeformer);
}

#[test]
fn e_spikeformer_is_that_of_its_authors() {
    all("e-spikeformer", e_spikeformer);
}

#[test]
fn spikingresformer_is_that_of_its_authors() {
    all("resformer", spikingresformer);
}
