//! Files of weights as PyTorch writes them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::nn::LinearConfig;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::{Device, Tensor};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::Deserialize;
use synfire::layer::{SeqBatchNorm, SeqBatchNormConfig, SpikeConv2d, SpikeLinear};
use synfire::neuron::{Decay, Lif, LifConfig, Neuron, Reset, Threshold, Values};
use synfire_models::{ImportError, Library, Names, export, import};
use synfire_tests::{tensor, values};

#[derive(Deserialize)]
struct Expected {
    jelly: Network,
    snntorch: Network,
    sinabs: Network,
    norse: BTreeMap<String, Vec<f64>>,
}

#[derive(Deserialize)]
struct Network {
    x: Vec<f64>,
    spikes: Vec<f64>,
    keys: Vec<String>,
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/imports")
        .join(name)
}

fn expected() -> Expected {
    serde_json::from_str(&fs::read_to_string(file("expected.json")).unwrap()).unwrap()
}

/// The network of imports.py with modules of SpikingJelly.
#[derive(Module, Debug)]
struct Jelly {
    conv: SpikeConv2d,
    norm: SeqBatchNorm,
    first: Lif,
    linear: SpikeLinear,
    last: Lif,
}

impl Jelly {
    fn new() -> Self {
        let device = Device::default();
        let plif = LifConfig::plif(2.0).unwrap().with_threshold(1.0);
        let conv = Conv2dConfig::new([2, 3], [3, 3]).with_bias(false);
        Self {
            conv: conv.init(&device).into(),
            norm: SeqBatchNormConfig::new(3).init(&device).unwrap(),
            first: plif.init(&device).unwrap(),
            linear: LinearConfig::new(12, 2).init(&device).into(),
            last: plif.init(&device).unwrap(),
        }
    }

    fn names() -> Names {
        let mut names = Names::new();
        let modules = [
            ("conv", 0),
            ("norm", 1),
            ("first", 2),
            ("linear", 4),
            ("last", 5),
        ];
        for (here, there) in modules {
            names.module(here, &format!("net.{there}"));
        }
        names
    }

    fn forward(&self, x: Tensor<5>) -> Tensor<3> {
        let currents = self.norm.forward(self.conv.forward(x));
        let (spikes, _) = self.first.forward(currents, None);
        self.last
            .forward(self.linear.forward(spikes.flatten(2, 4)), None)
            .0
    }
}

#[test]
fn every_kind_of_file_loads() {
    let expected = expected().jelly;
    let x = tensor::<5>(&expected.x, [6, 2, 2, 4, 4], &Device::default());
    for name in [
        "jelly.pt",
        "jelly-legacy.pth",
        "jelly-checkpoint.pt",
        "jelly-parallel-half.pth",
        "jelly.safetensors",
    ] {
        let mut network = Jelly::new();
        import(
            &mut network,
            &Jelly::names(),
            Library::SpikingJelly,
            file(name),
        )
        .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            values(&network.forward(x.clone())),
            expected.spikes,
            "{name}"
        );
    }
}

/// The network of imports.py with modules of snnTorch.
#[derive(Module, Debug)]
struct SnnTorch {
    fc1: SpikeLinear,
    lif1: Lif,
    fc2: SpikeLinear,
    lif2: Lif,
}

impl SnnTorch {
    fn new() -> Self {
        let device = Device::default();
        let leaky = LifConfig::new().with_reset(Reset::DelayedSoft);
        let learned = leaky
            .clone()
            .with_decay(Decay::learned(0.5))
            .with_threshold(Threshold::learned(1.0));
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(&device).into();
        Self {
            fc1: linear(4, 5),
            lif1: learned.init(&device).unwrap(),
            fc2: linear(5, 3),
            lif2: leaky
                .with_threshold(1.0)
                .with_decay(0.5)
                .init(&device)
                .unwrap(),
        }
    }
}

#[test]
fn neurons_of_snntorch_load() {
    let expected = expected().snntorch;
    let mut network = SnnTorch::new();
    // Modules that have the same names need none.
    import(
        &mut network,
        &Names::new(),
        Library::SnnTorch,
        file("snntorch.pt"),
    )
    .unwrap();
    let device = Device::default();
    assert_eq!(
        network
            .lif1
            .parameter("decay")
            .unwrap()
            .in_use(&device)
            .into_scalar::<f32>(),
        0.75
    );
    assert_eq!(
        network
            .lif1
            .parameter("threshold")
            .unwrap()
            .in_use(&device)
            .into_scalar::<f32>(),
        0.75
    );
    let x = tensor::<3>(&expected.x, [8, 2, 4], &device);
    let (hidden, _) = network.lif1.forward(network.fc1.forward(x), None);
    let (spikes, _) = network.lif2.forward(network.fc2.forward(hidden), None);
    assert_eq!(values(&spikes), expected.spikes);
}

/// Leaky neurons of Sinabs with one spike a step: a soft reset, learned decays, an input that is not scaled.
#[derive(Module, Debug)]
struct Sinabs {
    fc1: SpikeLinear,
    lif1: Lif,
    fc2: SpikeLinear,
    lif2: Lif,
}

#[test]
fn neurons_of_sinabs_load() {
    let expected = expected().sinabs;
    let device = Device::default();
    let lif = LifConfig::new()
        .with_threshold(1.0)
        .with_decay(Decay::learned(vec![0.5; 3]))
        .with_reset(Reset::Soft);
    let linear = |inputs, bias| LinearConfig::new(inputs, 3).with_bias(bias).init(&device);
    let mut network = Sinabs {
        fc1: linear(4, true).into(),
        lif1: lif.init(&device).unwrap(),
        fc2: linear(3, false).into(),
        lif2: lif.init(&device).unwrap(),
    };
    let mut names = Names::new();
    for (there, here) in ["fc1", "lif1", "fc2", "lif2"].into_iter().enumerate() {
        names.module(here, &there.to_string());
    }
    import(&mut network, &names, Library::Sinabs, file("sinabs.pt")).unwrap();
    let x = tensor::<3>(&expected.x, [8, 2, 4], &device);
    let (hidden, _) = network.lif1.forward(network.fc1.forward(x), None);
    let (spikes, _) = network.lif2.forward(network.fc2.forward(hidden), None);
    assert_eq!(values(&spikes), expected.spikes);
    // Everything that was saved is known.
    assert_eq!(expected.keys.len(), 9);
}

/// A recurrent cell of Norse holds its weights itself.
#[derive(Module, Debug)]
struct Norse {
    input: SpikeLinear,
    recurrent: SpikeLinear,
    readout: SpikeLinear,
}

#[test]
fn weights_of_norses_cells_load() {
    let device = Device::default();
    let linear = |inputs, outputs, bias| -> SpikeLinear {
        let config = LinearConfig::new(inputs, outputs).with_bias(bias);
        config.init(&device).into()
    };
    let mut network = Norse {
        input: linear(4, 5, false),
        recurrent: linear(5, 5, false),
        readout: linear(5, 3, true),
    };
    let mut names = Names::new();
    names
        .tensor("input.weight", "0.input_weights")
        .tensor("recurrent.weight", "0.recurrent_weights")
        .module("readout", "1");
    import(&mut network, &names, Library::Norse, file("norse.pt")).unwrap();
    let expected = expected().norse;
    for (linear, key) in [
        (&network.input, "0.input_weights"),
        (&network.recurrent, "0.recurrent_weights"),
        (&network.readout, "1.weight"),
    ] {
        assert_eq!(
            values(&linear.weight.val().transpose()),
            expected[key],
            "{key}"
        );
    }
    assert_eq!(
        values(&network.readout.bias.unwrap().val()),
        expected["1.bias"]
    );

    let mut wrong = Names::new();
    wrong.tensor("inputs.weight", "0.input_weights");
    let mut readout = linear(5, 3, true);
    let error = import(&mut readout, &wrong, Library::Norse, file("norse.pt"));
    let text = error.unwrap_err().to_string();
    assert!(
        text.contains("`inputs.weight` is not a tensor or module of this network"),
        "{text}"
    );
}

#[test]
fn parameters_of_each_neuron_load_in_the_librarys_shape() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("neurons.safetensors");
    let shape = vec![2, 3, 4];
    let start = Values::PerNeuron {
        shape: shape.clone(),
        values: vec![0.5; 24],
    };
    let config = LifConfig::new().with_decay(Decay::learned(start));
    let mut lif = config.init(&Device::default()).unwrap();
    let decays: Vec<f32> = (0..24).map(|i| i as f32 / 32.0).collect();
    let bytes: Vec<u8> = decays.iter().flat_map(|x| x.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, shape, &bytes).unwrap();
    safetensors::serialize_to_file([("beta", view)], None, &path).unwrap();
    import(&mut lif, &Names::new(), Library::SnnTorch, &path).unwrap();
    let decay = lif.parameter("decay").unwrap();
    assert_eq!(
        decay
            .in_use(&Device::default())
            .to_data()
            .try_to_vec::<f32>()
            .unwrap(),
        decays
    );
}

#[test]
fn what_is_written_has_the_librarys_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.safetensors");
    let mut network = Jelly::new();
    let names = Jelly::names();
    import(
        &mut network,
        &names,
        Library::SpikingJelly,
        file("jelly.pt"),
    )
    .unwrap();
    export(&network, &names, Library::SpikingJelly, &path).unwrap();
    let [written, original] =
        [path.clone(), file("jelly.safetensors")].map(|path| fs::read(path).unwrap());
    let written = SafeTensors::deserialize(&written).unwrap();
    let original = SafeTensors::deserialize(&original).unwrap();
    let mut keys: Vec<_> = expected().jelly.keys;
    keys.retain(|key| !key.ends_with("num_batches_tracked"));
    let mut found: Vec<_> = written.names().iter().map(ToString::to_string).collect();
    found.sort();
    assert_eq!(found, keys);
    for key in &keys {
        let (written, original) = (written.tensor(key).unwrap(), original.tensor(key).unwrap());
        assert_eq!(written.shape(), original.shape(), "{key}");
        let singles = written.data().chunks_exact(4);
        let singles = singles.map(|bytes| f64::from(f32::from_le_bytes(bytes.try_into().unwrap())));
        let doubles = original.data().chunks_exact(8);
        let doubles = doubles.map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap()));
        assert!(singles.eq(doubles), "{key}");
    }
    // And is read again.
    import(&mut Jelly::new(), &names, Library::SpikingJelly, &path).unwrap();
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing else is left"
    );

    let mut names = names;
    names.module("last", "net.2");
    let errors = [
        export(&network, &names, Library::SpikingJelly, &path).unwrap_err(),
        import(&mut network, &names, Library::SpikingJelly, &path).unwrap_err(),
    ];
    for error in errors {
        let expected = "two tensors are called `net.2.w`";
        assert!(error.to_string().contains(expected), "{error}");
    }
    let mut names = Jelly::names();
    names.module("hidden", "net.9");
    let error = export(&network, &names, Library::SpikingJelly, &path).unwrap_err();
    let expected = "`hidden` is not a tensor or module of this network";
    assert!(error.to_string().ends_with(expected), "{error}");
    let other = folder.path().join("out.pt");
    let error = export(&network, &Jelly::names(), Library::SpikingJelly, &other).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("expected a file that ends in .safetensors"),
        "{error}"
    );
}

#[test]
fn all_that_is_wrong_is_listed_and_nothing_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.safetensors");
    let names = Jelly::names();
    let mut network = Jelly::new();
    import(
        &mut network,
        &names,
        Library::SpikingJelly,
        file("jelly.pt"),
    )
    .unwrap();
    export(&network, &names, Library::SpikingJelly, &path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: BTreeMap<_, _> = tensors
        .tensors()
        .into_iter()
        .map(|(name, view)| (name, (view.shape().to_vec(), view.data().to_vec())))
        .collect();
    let write = |tensors: &BTreeMap<String, (Vec<usize>, Vec<u8>)>| {
        let views = tensors.iter().map(|(name, (shape, bytes))| {
            (
                name,
                TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap(),
            )
        });
        fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    };
    let load = |network: &mut Jelly| {
        let error = import(network, &names, Library::SpikingJelly, &path).unwrap_err();
        assert!(matches!(error, ImportError::Mismatch { .. }), "{error}");
        error.to_string()
    };
    let bias = tensors.remove("net.4.bias").unwrap();
    tensors.insert("net.9.weight".to_owned(), bias.clone());
    tensors.get_mut("net.0.weight").unwrap().0 = vec![3, 2, 9];
    write(&tensors);
    let other = Jelly::new();
    let mut changed = other.clone();
    let text = load(&mut changed);
    for expected in [
        "wrong.safetensors: ",
        "`net.4.bias` is missing",
        "`net.9.weight` is not of this network",
        "`net.0.weight` is [3, 2, 9], expected [3, 2, 3, 3]",
    ] {
        assert!(text.contains(expected), "{text}");
    }
    let weights = |network: &Jelly| values(&network.linear.weight.val());
    assert_eq!(weights(&changed), weights(&other));

    let ignoring = |key: &str| {
        let mut names = names.clone();
        let names = names.ignore(key);
        let error = import(&mut other.clone(), names, Library::SpikingJelly, &path);
        error.unwrap_err().to_string()
    };
    for (key, ignored) in [("net.9", true), ("net.9.weight", true), ("net.9.w", false)] {
        assert_eq!(ignoring(key).contains("`net.9.weight`"), !ignored, "{key}");
    }

    tensors.remove("net.9.weight");
    tensors.get_mut("net.0.weight").unwrap().0 = vec![3, 2, 3, 3];
    let nan = f32::NAN.to_le_bytes().to_vec();
    tensors.insert(
        "net.4.bias".to_owned(),
        (vec![2], [nan.clone(), nan].concat()),
    );
    write(&tensors);
    let text = load(&mut changed);
    assert!(text.contains("`net.4.bias` is not finite"), "{text}");
    assert_eq!(weights(&changed), weights(&other));
}

#[test]
fn files_that_are_none_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let load = |path: &Path| {
        let error = import(
            &mut Jelly::new(),
            &Jelly::names(),
            Library::SpikingJelly,
            path,
        );
        error.unwrap_err().to_string()
    };
    let missing = load(&folder.path().join("missing.pt"));
    let not_found = io::Error::from_raw_os_error(2).to_string();
    assert!(
        missing.ends_with(&format!("missing.pt: {not_found}")),
        "{missing}"
    );
    let module = load(&file("whole-module.pt"));
    assert!(module.contains("save `model.state_dict()`"), "{module}");
    let other = folder.path().join("weights.onnx");
    fs::write(&other, "no weights").unwrap();
    assert!(load(&other).contains("expected a file that ends in .pt"));
    for name in ["broken.pt", "broken.pth", "broken.safetensors"] {
        let path = folder.path().join(name);
        fs::write(&path, "no weights").unwrap();
        assert!(load(&path).contains(name));
        let whole = match name {
            "broken.safetensors" => file("jelly.safetensors"),
            _ => file("jelly.pt"),
        };
        let whole = fs::read(whole).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(load(&path).contains(name));
    }
}
