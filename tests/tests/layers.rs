//! The layers against those of SpikingJelly, loaded through the importer.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::Deserialize;
use synfire::layer::{
    BatchNormThroughTime, BatchNormThroughTimeConfig, Normalization, SeqBatchNorm,
    SeqBatchNormConfig, SewJoin, TdBatchNorm, TdBatchNormConfig, TeBatchNorm, TeBatchNormConfig,
    Voting,
};
use synfire_models::{Library, Names, import};
use synfire_tests::{assert_close, assert_within, tensor, values, write_tensors};

#[derive(Deserialize)]
struct Fixture {
    norms: Vec<Norm>,
    joins: BTreeMap<String, Vec<f64>>,
    voting: VotingCase,
}

#[derive(Deserialize)]
struct Norm {
    kind: String,
    shape: [usize; 5],
    state: BTreeMap<String, Entry>,
    x: Vec<f64>,
    loss_weight: Vec<f64>,
    training: Vec<f64>,
    gradients: BTreeMap<String, Vec<f64>>,
    running_means: BTreeMap<String, Vec<f64>>,
    inference: Vec<f64>,
}

#[derive(Deserialize)]
struct Entry {
    shape: Vec<usize>,
    values: Vec<f64>,
}

#[derive(Deserialize)]
struct VotingCase {
    shape: [usize; 3],
    voters: usize,
    x: Vec<f64>,
    votes: Vec<f64>,
}

fn fixture() -> Fixture {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/layers.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A layer with the parameters of a case, read from a file.
fn loaded<N: Module>(case: &Norm, mut norm: N) -> N {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layer.safetensors");
    let state = case.state.iter();
    let tensors =
        state.map(|(name, entry)| (name.as_str(), entry.shape.clone(), entry.values.clone()));
    write_tensors(&path, tensors);
    let mut names = Names::new();
    // A layer for each step, in one of them.
    if case.state.keys().any(|key| key.starts_with("bn_list")) {
        for step in 0..case.shape[0] {
            names.module(&format!("steps.{step}"), &format!("bn_list.{step}"));
        }
    }
    import(&mut norm, &names, Library::SpikingJelly, &path).unwrap();
    norm
}

/// What is compared beyond outputs: gradients of parameters and means that are remembered, by SpikingJelly's names.
type Parts = BTreeMap<String, Vec<f64>>;

fn compare<N: Normalization>(
    case: &Norm,
    make: impl Fn(&Device) -> N,
    parts: impl Fn(&N, &burn::tensor::Gradients) -> (Parts, Parts),
) {
    let title = format!("{} {:?}", case.kind, case.shape);
    let device = Device::default().autodiff();
    let norm = loaded(case, make(&device));
    let x = tensor::<5>(&case.x, case.shape, &device).require_grad();
    let output = norm.normalize(x.clone());
    // Normalised numbers are differences of others, of which a few bits are lost.
    assert_close(&values(&output), &case.training, &title);
    let weight = tensor::<5>(&case.loss_weight, case.shape, &device);
    let gradients = (output * weight).sum().backward();
    let got = values(&x.grad(&gradients).unwrap());
    assert_close(&got, &case.gradients["input"], &format!("{title}: input"));
    let (parameters, means) = parts(&norm, &gradients);
    assert_eq!(parameters.len() + 1, case.gradients.len(), "{title}");
    for (name, got) in parameters {
        assert_close(&got, &case.gradients[&name], &format!("{title}: {name}"));
    }
    for (name, got) in means {
        assert_close(
            &got,
            &case.running_means[&name],
            &format!("{title}: {name}"),
        );
    }

    let device = Device::default();
    let norm = loaded(case, make(&device));
    let output = norm.normalize(tensor::<5>(&case.x, case.shape, &device));
    assert_within(&values(&output), &case.inference, 1e-5, &title);
}

fn parts_of(norm: &burn::nn::BatchNorm, gradients: &burn::tensor::Gradients) -> (Parts, Parts) {
    let gradient = |tensor: Tensor<1>| values(&tensor.grad(gradients).unwrap());
    let parameters = [
        ("weight".to_owned(), gradient(norm.gamma.val())),
        ("bias".to_owned(), gradient(norm.beta.val())),
    ];
    let mean = values(&norm.running_mean.value_sync());
    (
        parameters.into(),
        [("running_mean".to_owned(), mean)].into(),
    )
}

#[test]
fn normalisations_are_those_of_spikingjelly() {
    let fixture = fixture();
    assert_eq!(fixture.norms.len(), 8);
    for case in &fixture.norms {
        let [steps, _, channels, ..] = case.shape;
        match case.kind.as_str() {
            "batch" => compare(
                case,
                |device| SeqBatchNormConfig::new(channels).init(device).unwrap(),
                |norm: &SeqBatchNorm, gradients| parts_of(&norm.norm, gradients),
            ),
            "td-batch" => compare(
                case,
                |device| TdBatchNormConfig::new(channels, 0.5).init(device).unwrap(),
                |norm: &TdBatchNorm, gradients| parts_of(&norm.norm, gradients),
            ),
            "te-batch" => compare(
                case,
                |device| {
                    TeBatchNormConfig::new(steps, channels)
                        .init(device)
                        .unwrap()
                },
                |norm: &TeBatchNorm, gradients| {
                    let (mut parameters, means) = parts_of(&norm.norm, gradients);
                    let scale = values(&norm.scale.val().grad(gradients).unwrap());
                    parameters.insert("scale".to_owned(), scale);
                    (parameters, means)
                },
            ),
            "bntt" => compare(
                case,
                |device| {
                    let config = BatchNormThroughTimeConfig::new(steps, channels);
                    config.init(device).unwrap()
                },
                |norm: &BatchNormThroughTime, gradients| {
                    let steps = norm.steps.iter().enumerate();
                    let parts = steps.map(|(t, step)| {
                        let gamma = values(&step.gamma.val().grad(gradients).unwrap());
                        let mean = values(&step.running_mean.value_sync());
                        let [weight, running] = ["weight", "running_mean"];
                        (
                            (format!("bn_list.{t}.{weight}"), gamma),
                            (format!("bn_list.{t}.{running}"), mean),
                        )
                    });
                    parts.unzip()
                },
            ),
            kind => panic!("{kind}"),
        }
    }
}

#[test]
fn joins_are_those_of_spikingjelly() {
    let joins = fixture().joins;
    let device = Device::default();
    let [branch, shortcut] =
        ["branch", "shortcut"].map(|name| tensor::<2>(&joins[name], [4, 3], &device));
    for (join, name) in [
        (SewJoin::Add, "ADD"),
        (SewJoin::And, "AND"),
        (SewJoin::Iand, "IAND"),
    ] {
        let joined = join.join(branch.clone(), shortcut.clone());
        assert_eq!(values(&joined), joins[name], "{name}");
    }
}

#[test]
fn voting_is_that_of_spikingjelly() {
    let case = fixture().voting;
    let voting = Voting::new(case.voters).unwrap();
    let votes = voting.forward(tensor::<3>(&case.x, case.shape, &Device::default()));
    assert_close(&values(&votes), &case.votes, "votes");
}
