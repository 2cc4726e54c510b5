//! Training runs from end to end: what they leave behind, how they resume, and what stops them.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use burn::store::{ModuleSnapshot, SafetensorsStore};
use burn::tensor::Device;
use synfire::init::Initializer;
use synfire::neuron::ScaledIfConfig;
use synfire::random::Philox;
use synfire::record::Recorder;
use synfire_data::{DatasetName, encode_idx};
use synfire_models::{Balance, ConversionConfig, StbpMlpConfig};
use synfire_tests::runs::{TestRun, on_digits, resumed};
use synfire_train::classifier::Classifier;
use synfire_train::conversion::Conversion;
use synfire_train::folder::RunFolder;
use synfire_train::report::Report;
use synfire_train::saved::Saved;
use synfire_train::train::test_all;
use synfire_train::{RunConfig, RunError};
use tempfile::{TempDir, tempdir};

/// A small network on the embedded digits.
fn options(out: &Path) -> TestRun {
    on_digits(out)
        .hidden(&[40])
        .set("time_steps", 4)
        .set("epochs", 3)
}

fn resume(out: &Path) -> Result<Report, RunError> {
    resumed(out).run()
}

fn weights(out: &Path) -> Vec<u8> {
    fs::read(out.join("model.safetensors")).unwrap()
}

/// Like `assert_eq`, without printing all the weights.
#[track_caller]
fn assert_same_weights(a: &Path, b: &Path) {
    assert!(weights(a) == weights(b), "the weights differ");
}

/// All files below a folder, by name.
fn files(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                names.push(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    names.sort();
    names
}

/// A finished run, made once for all tests that only look at it or work on a copy.
fn finished() -> &'static (TempDir, Report) {
    static RUN: std::sync::OnceLock<(TempDir, Report)> = std::sync::OnceLock::new();
    RUN.get_or_init(|| {
        let folder = tempdir().unwrap();
        let report = options(folder.path()).run().unwrap();
        (folder, report)
    })
}

fn copy_of_finished() -> TempDir {
    let copy = tempdir().unwrap();
    fs::create_dir(copy.path().join("checkpoint")).unwrap();
    for file in files(finished().0.path()) {
        fs::copy(finished().0.path().join(&file), copy.path().join(&file)).unwrap();
    }
    copy
}

#[test]
fn a_run_leaves_weights_and_a_report() {
    let (folder, report) = finished();
    assert!(report.test_accuracy > 0.7, "{}", report.test_accuracy);
    assert_eq!(report.history.len(), 3);
    assert!(report.history[2].train.loss < report.history[0].train.loss);
    // At first a digit may have no answers yet.
    let later = report
        .warnings
        .iter()
        .filter(|w| !w.starts_with("epoch 1:"));
    assert_eq!(later.count(), 0, "{:?}", report.warnings);
    assert!(report.test_undecided < 0.3, "{}", report.test_undecided);

    let text = fs::read_to_string(folder.path().join("report.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    for key in [
        "dataset",
        "source",
        "samples_train",
        "test_accuracy",
        "validation_accuracy",
        "epochs",
        "time_steps",
        "seconds_training",
        "samples_per_second",
        "firing_rates",
        "synaptic_operations_per_sample",
        "seed",
        "device",
        "config",
    ] {
        assert!(json.get(key).is_some(), "{key}");
    }
    assert_eq!(json["samples_train"], 3667);
    assert_eq!(json["test_accuracy"], report.test_accuracy);
    let rate = json["firing_rates"]["hidden"].as_f64().unwrap();
    assert!((0.01..0.6).contains(&rate), "{rate}");
    let operations = &json["synaptic_operations"];
    assert_eq!(
        operations["accumulates"],
        json["synaptic_operations_per_sample"]
    );
    assert_eq!(operations["multiply_accumulates"], 0.0);
    assert_eq!(operations["dense"], 4.0 * (784.0 * 40.0 + 40.0 * 10.0));
    let names = files(folder.path());
    assert!(names.contains(&"model.safetensors".to_owned()));
    assert!(!names.contains(&"model.bpk".to_owned()));
    assert!(
        names
            .iter()
            .all(|name| !name.contains("part") && !name.contains("tmp")),
        "{names:?}"
    );
}

#[test]
fn the_same_seed_gives_the_same_weights_and_another_seed_does_not() {
    let (folder, report) = finished();
    let again = tempdir().unwrap();
    let second = options(again.path()).run().unwrap();
    assert_same_weights(again.path(), folder.path());
    assert_eq!(second.test_accuracy, report.test_accuracy);
    let other = tempdir().unwrap();
    options(other.path())
        .set("seed", 1)
        .set("epochs", 1)
        .run()
        .unwrap();
    assert!(weights(other.path()) != weights(folder.path()));
}

const CHILD: &str = "SYNFIRE_TEST_CHILD_OUT";

/// Not a test: the process that other tests start, kill or starve.
#[test]
fn child() {
    if let Some(out) = env::var_os(CHILD) {
        let options = options(Path::new(&out))
            // Long enough to be killed in the middle.
            .set("time_steps", 12)
            // What else is drawn anew in every epoch.
            .set("augmentation.shift", 1)
            .set("augmentation.policy", "random")
            .set("augmentation.mixup", 0.5)
            .set("augmentation.cutmix", 1.0)
            .set("least_time_steps", 6)
            .set("network.dropout", 0.2)
            .set("network.norm", "batch")
            // What else changes a step.
            .set("label_smoothing", 0.1)
            .set("accumulation", 2)
            .set("max_gradient_norm", 0.1)
            .set("average_decay", 0.99)
            .set("warmup", 2);
        if let Err(error) = options.run() {
            eprintln!("error: {error}");
            std::process::exit(1);
        }
    }
}

fn child_command() -> (PathBuf, [&'static str; 3]) {
    let own = env::current_exe().unwrap();
    (own, ["--exact", "child", "--nocapture"])
}

fn spawn_child(out: &Path) -> Child {
    let (own, arguments) = child_command();
    Command::new(own)
        .args(arguments)
        .env(CHILD, out)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_killed_run_resumes_to_the_weights_of_an_uninterrupted_one() {
    let whole = tempdir().unwrap();
    assert!(spawn_child(whole.path()).wait().unwrap().success());

    let killed = tempdir().unwrap();
    let mut child = spawn_child(killed.path());
    let state = killed.path().join("checkpoint/state.json");
    let started = Instant::now();
    while !state.exists() {
        assert!(
            started.elapsed() < Duration::from_secs(300),
            "no checkpoint"
        );
        assert!(
            child.try_wait().unwrap().is_none(),
            "the run ended by itself"
        );
        thread::sleep(Duration::from_millis(5));
    }
    // The first checkpoint is there, the second epoch has begun.
    thread::sleep(Duration::from_millis(100));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!killed.path().join("report.json").exists());
    let text = fs::read_to_string(&state).unwrap();
    let reached = serde_json::from_str::<serde_json::Value>(&text).unwrap()["epoch"].as_u64();
    assert!(
        reached.is_some_and(|epoch| epoch < 3),
        "killed too late to test anything"
    );

    let report = resume(killed.path()).unwrap();
    assert_eq!(report.history.len(), 3);
    assert_same_weights(killed.path(), whole.path());
    assert!(
        files(killed.path())
            .iter()
            .all(|name| !name.contains(".synfire-"))
    );
}

#[test]
fn a_run_that_never_finished_an_epoch_starts_over() {
    let folder = tempdir().unwrap();
    let run_file = finished().0.path().join("run.json");
    fs::copy(run_file, folder.path().join("run.json")).unwrap();
    resume(folder.path()).unwrap();
    assert_same_weights(folder.path(), finished().0.path());
}

#[test]
fn a_finished_run_predicts() {
    let device = Device::flex();
    let (folder, report) = finished();
    let saved = Saved::load(folder.path(), &device).unwrap();
    let test = saved.data(None).unwrap().test;
    let mut right = 0;
    for index in 0..100 {
        let (input, labels) = saved.sequences(&test, vec![index], &device).unwrap();
        let seen = saved.answer(input, Recorder::spikes()).unwrap();
        assert_eq!(seen.layers.len(), 2);
        right += usize::from(seen.class == labels[0] as usize);
    }
    assert!(
        right as f64 / 100.0 > report.test_accuracy - 0.15,
        "{right}"
    );

    let error = saved.predict(&[0.0; 5], 0, Recorder::off(), &device);
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("`number of pixels` of the image: 5"),
        "{error}"
    );
    let (input, _) = saved.sequences(&test, vec![0], &device).unwrap();
    let unknown = Recorder::spikes().of(["hiden"]);
    let error = saved.answer(input, unknown).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("hiden (there are: hidden, output)")
    );
}

#[test]
fn weights_that_are_not_those_of_the_run_are_named() {
    let device = Device::flex();
    let load = |copy: &TempDir| Saved::load(copy.path(), &device).unwrap_err().to_string();
    let empty = tempdir().unwrap();
    assert!(load(&empty).contains("holds no run"));

    let copy = copy_of_finished();
    let path = copy.path().join("model.safetensors");
    fs::write(&path, b"other").unwrap();
    assert!(load(&copy).contains("model.safetensors"));
    fs::remove_file(&path).unwrap();
    assert!(load(&copy).contains("model.safetensors"));

    // The weights of other networks: wider, deeper, shallower, and one that is no longer finite. A report without a hash, as
    // those of older runs, leaves it to names and shapes.
    let report = copy.path().join("report.json");
    let text = fs::read_to_string(&report).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json.as_object_mut()
        .unwrap()
        .remove("weights_sha256")
        .unwrap();
    fs::write(&report, json.to_string()).unwrap();
    let put = |sizes: Vec<usize>, gain: f64| {
        let initializer = Initializer::Uniform { gain };
        let config = StbpMlpConfig::new()
            .with_sizes(sizes)
            .with_initializer(initializer);
        let mut store = SafetensorsStore::from_file(&path).overwrite(true);
        let network = config.init(&device).unwrap();
        network.save_into(&mut store).unwrap();
        network
    };
    put(vec![784, 41, 10], 1.0);
    assert!(load(&copy).contains("41"), "{}", load(&copy));
    put(vec![784, 40, 10, 10], 1.0);
    assert!(
        load(&copy).contains("`classifier.layers.2.weight` is not of this network"),
        "{}",
        load(&copy)
    );
    put(vec![784, 10], 1.0);
    assert!(
        load(&copy).contains("`classifier.layers.1.weight` is missing"),
        "{}",
        load(&copy)
    );
    put(vec![784, 40, 10], 1.0);
    Saved::load(copy.path(), &device).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    assert!(load(&copy).contains("is not finite"), "{}", load(&copy));
}

#[test]
fn every_encoder_loss_and_network_trains() {
    let train = |path: &str, value: &str| {
        let folder = tempdir().unwrap();
        let run = options(folder.path()).hidden(&[60]);
        let run = run.set("time_steps", 3).set("epochs", 1).set(path, value);
        // Low enough for weights of norm 1.
        let run = match path {
            "network.initializer" => run.set("network.neuron.threshold", 0.3),
            _ => run,
        };
        let report = run.run().unwrap();
        let accuracy = report.test_accuracy;
        assert!(accuracy > 0.25, "{path}={value}: {accuracy}");
        report
    };
    for encoder in ["direct", "latency"] {
        let report = train("encoder", encoder);
        // Only spikes are accumulated alone.
        let graded = report.synaptic_operations.multiply_accumulates > 0.0;
        assert_eq!(graded, encoder == "direct");
    }
    for (loss, layers) in [
        ("cross-entropy", 2),
        ("first-spike", 2),
        ("membrane", 1),
        ("tet", 1),
    ] {
        let report = train("loss", loss);
        assert_eq!(report.firing_rates.len(), layers, "{loss}");
        assert!(report.test_loss > 0.0);
    }
    let report = train("network.initializer", "normalized");
    let initializer = report.config.network.layers().initializer;
    assert_eq!(initializer, Initializer::Normalized { gain: 1.0 });
}

/// The test accuracies of one epoch by kernels and by Burn's operations alone.
fn both_ways(change: impl Fn(TestRun) -> TestRun) -> [f64; 2] {
    [("auto", "auto"), ("unrolled", "dense")].map(|(execution, product)| {
        let folder = tempdir().unwrap();
        let run = options(folder.path())
            .set("epochs", 1)
            .set("network.neuron.execution", execution)
            .set("network.product", product);
        change(run).run().unwrap().test_accuracy
    })
}

#[test]
fn kernels_learn_what_the_graph_learns() {
    let [kernels, graph] = both_ways(|run| run.hidden(&[100]).set("epochs", 2));
    assert!(kernels > 0.5 && graph > 0.5, "{kernels} {graph}");
    // Rounding flips a spike now and then, which is seen on 1,000 images.
    assert!((kernels - graph).abs() <= 0.03, "{kernels} {graph}");
}

/// As long as it takes to train on all of MNIST twice, and only where it can be had.
#[test]
#[ignore = "trains on all of MNIST twice: cargo test --release --workspace --test runs full -- --ignored"]
fn kernels_learn_full_mnist_as_the_graph_does() {
    let [kernels, graph] = both_ways(|run| {
        let run = run.set("data", "auto").hidden(&[800]);
        run.set("time_steps", 10)
    });
    assert!(kernels > 0.96 && graph > 0.96, "{kernels} {graph}");
    assert!((kernels - graph).abs() <= 0.003, "{kernels} {graph}");
}

#[test]
fn two_devices_train_together() {
    let folder = tempdir().unwrap();
    let together = |name: &str, epochs| {
        options(&folder.path().join(name))
            .set("devices", 2)
            .set("batch_size", 25)
            .set("epochs", epochs)
    };
    let report = together("whole", 3).run().unwrap();
    assert_eq!(report.config.devices, 2);
    assert!(report.test_accuracy > 0.7, "{}", report.test_accuracy);
    assert_eq!(report.history.len(), 3);
    let losses: Vec<f64> = report.history.iter().map(|e| e.train.loss).collect();
    assert!(losses[2] < losses[0], "{losses:?}");
}

#[test]
fn a_step_of_two_devices_is_one_of_all_their_samples() {
    let folder = tempdir().unwrap();
    let weights = |devices: usize| {
        let out = folder.path().join(devices.to_string());
        // One step an epoch, in which every sample takes part.
        let options = options(&out)
            .set("devices", devices)
            .set("batch_size", 200 / devices)
            .set("samples", 200)
            .set("epochs", 2)
            .set("optimizer", "sgd")
            .set("learning_rate", 0.5);
        options.run().unwrap();
        let file = self::weights(&out);
        let header = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        let (numbers, _) = file[8 + header..].as_chunks::<4>();
        let numbers = numbers.iter().map(|x| f64::from(f32::from_le_bytes(*x)));
        numbers.collect::<Vec<_>>()
    };
    let (one, two) = (weights(1), weights(2));
    let largest = one.iter().fold(0.0f64, |max, x| max.max(x.abs()));
    for (one, two) in one.iter().zip(&two) {
        assert!((one - two).abs() < 1e-5 * largest, "{one} {two}");
    }
}

#[test]
fn weight_decay_holds_weights_back() {
    for optimizer in ["adam", "adamw", "sgd"] {
        let squares = |weight_decay: &str| {
            let folder = tempdir().unwrap();
            let run = options(folder.path())
                .set("optimizer", optimizer)
                .set("weight_decay", weight_decay)
                .set("epochs", 1)
                .set("schedule", "constant")
                .set("learning_rate", 0.01);
            run.run().unwrap();
            // After the length of the header, and the header.
            let file = weights(folder.path());
            let header = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
            let (numbers, _) = file[8 + header..].as_chunks::<4>();
            let squares = numbers.iter().map(|x| f32::from_le_bytes(*x).powi(2));
            squares.sum::<f32>()
        };
        let (without, with) = (squares("none"), squares("20.0"));
        assert!(with < 0.5 * without, "{optimizer}: {with} {without}");
    }
}

#[test]
fn a_finished_run_only_tests_again() {
    let copy = copy_of_finished();
    fs::remove_file(copy.path().join("report.json")).unwrap();
    let report = resume(copy.path()).unwrap();
    assert_eq!(report.test_accuracy, finished().1.test_accuracy);
}

/// The weights of the hidden layer, `[784, 40]`.
fn hidden_weights(out: &Path) -> Vec<f32> {
    let bytes = weights(out);
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (header, values) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: serde_json::Value = serde_json::from_slice(header).unwrap();
    let mut entries = header.as_object().unwrap().values();
    let shape = serde_json::json!([784, 40]);
    let entry = entries.find(|entry| entry["shape"] == shape).unwrap();
    let [begin, end] = [0, 1].map(|i| entry["data_offsets"][i].as_u64().unwrap() as usize);
    let numbers = values[begin..end].as_chunks::<4>().0;
    numbers.iter().map(|x| f32::from_le_bytes(*x)).collect()
}

#[test]
fn a_finished_run_is_trained_further() {
    let (first, _) = finished();
    let start = first.path().display().to_string();
    let further = |out: &Path| {
        let run = options(out).set("weights", &start);
        run.set("samples", 200).set("epochs", 1)
    };
    let out = tempdir().unwrap();
    let one = further(out.path()).run().unwrap();
    // Two steps of Adam from the weights of the first run, not from random ones.
    let start_weights = hidden_weights(first.path());
    let assert_near = |out: &Path| {
        let further_weights = hidden_weights(out);
        let changes = start_weights.iter().zip(&further_weights);
        let most = changes.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!((1e-6..0.01).contains(&most), "{most}");
    };
    assert_near(out.path());
    // Neurons that learn a factor, of which the first run knows nothing.
    let others = tempdir().unwrap();
    let run = further(others.path()).set("network.neuron", "klif");
    run.run().unwrap();
    assert_near(others.path());
    // It says where it began, and goes on from there.
    assert!(one.command.contains(&start), "{}", one.command);
    fs::remove_file(out.path().join("report.json")).unwrap();
    resume(out.path()).unwrap();

    let other = tempdir().unwrap();
    let error = further(other.path()).set("time_steps", 5).hidden(&[41]);
    let error = error.run().unwrap_err().to_string();
    assert!(error.contains("`weights`"), "{error}");
    let none = tempdir().unwrap();
    let nowhere = options(none.path()).set("weights", other.path().join("none").display());
    let error = nowhere.run().unwrap_err().to_string();
    assert!(error.contains("there are no weights"), "{error}");
}

#[test]
fn a_folder_with_a_run_is_not_overwritten() {
    let copy = copy_of_finished();
    let error = options(copy.path()).run().unwrap_err();
    assert!(matches!(error, RunError::Occupied { .. }), "{error}");
    assert!(error.to_string().contains("add --resume"));
    assert_eq!(files(copy.path()), files(finished().0.path()));
}

#[test]
fn resuming_as_another_run_is_refused() {
    let copy = copy_of_finished();
    for (path, value) in [
        ("network.sizes", "[784, 50, 10]"),
        ("time_steps", "5"),
        ("network.neuron.decay", "0.9"),
        ("epochs", "9"),
    ] {
        let error = resumed(copy.path()).set(path, value).run().unwrap_err();
        assert!(error.to_string().contains(&format!("`{path}`")), "{error}");
    }
    let nothing = tempdir().unwrap();
    let error = resume(nothing.path()).unwrap_err();
    assert!(matches!(error, RunError::NothingToResume { .. }), "{error}");
}

#[test]
fn missing_and_damaged_checkpoint_files_are_named() {
    for (file, damage) in [
        ("checkpoint/model-3.bpk", "remove"),
        ("checkpoint/optimizer-3.bpk", "remove"),
        ("checkpoint/scheduler-3.bpk", "cut"),
        ("checkpoint/optimizer-3.bpk", "cut"),
        ("checkpoint/state.json", "cut"),
        ("run.json", "cut"),
    ] {
        let copy = copy_of_finished();
        let path = copy.path().join(file);
        if damage == "remove" {
            fs::remove_file(&path).unwrap();
        } else {
            let bytes = fs::read(&path).unwrap();
            fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        }
        // Windows has two separators.
        let error = resume(copy.path()).unwrap_err().to_string();
        let error = error.replace('\\', "/");
        assert!(error.contains(file), "{file}, {damage}: {error}");
    }
}

#[test]
fn folders_that_cannot_be_written_are_named() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("a-file");
    fs::write(&file, b"x").unwrap();
    let error = options(&file.join("run")).run().unwrap_err().to_string();
    assert!(error.contains("a-file"), "{error}");
    assert_eq!(files(folder.path()), ["a-file"]);
}

#[test]
fn data_and_device_that_are_not_there_are_named() {
    let folder = tempdir().unwrap();
    let out = folder.path().join("run");
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let wrong = |run: TestRun| run.run().unwrap_err().to_string();
    let text = wrong(options(&out).set("data", data.display()));
    assert!(text.contains("neither `train-images-idx3-ubyte`"), "{text}");
    let text = wrong(options(&out).on("abacus"));
    assert!(text.contains("invalid `--device`: abacus"), "{text}");
    assert!(!out.exists());

    for part in ["train", "t10k"] {
        let images = encode_idx(&[1, 28, 28], &[9; 784]);
        fs::write(data.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
        fs::write(
            data.join(format!("{part}-labels-idx1-ubyte")),
            encode_idx(&[1], &[4]),
        )
        .unwrap();
    }
    let text = wrong(options(&out).set("data", data.display()));
    assert!(
        text.contains("`number of training samples` is 1, expected at least 2"),
        "{text}"
    );
    assert!(!out.exists());
}

#[test]
fn a_run_begun_with_the_embedded_digits_goes_on_with_them() {
    let copy = copy_of_finished();
    let path = copy.path().join("run.json");
    let mut json: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    // As if they had been all that `auto` could find.
    json["config"]["data"] = "auto".into();
    fs::write(&path, json.to_string()).unwrap();
    let report = resume(copy.path()).unwrap();
    assert_eq!(report.source, finished().1.source);

    json["data"][0] = "another".into();
    fs::write(&path, json.to_string()).unwrap();
    let error = resume(copy.path()).unwrap_err();
    assert!(matches!(error, RunError::OtherData { .. }), "{error}");
}

/// Images of 4 by 4 pixels in idx files, the same for training and test.
fn write_images(folder: &Path, images: &[[u8; 16]]) {
    fs::create_dir_all(folder).unwrap();
    let count = images.len() as u32;
    let labels: Vec<u8> = (0..images.len()).map(|i| (i % 2) as u8).collect();
    for part in ["train", "t10k"] {
        let write = |name: &str, bytes: Vec<u8>| {
            fs::write(folder.join(format!("{part}-{name}-ubyte")), bytes).unwrap();
        };
        write("images-idx3", encode_idx(&[count, 4, 4], &images.concat()));
        write("labels-idx1", encode_idx(&[count], &labels));
    }
}

/// Images that have nothing to do with each other.
fn noise(count: u32) -> Vec<[u8; 16]> {
    let philox = Philox::new(1);
    let pixel = |i, j| (philox.block([i, j, 0, 0])[0] >> 24) as u8;
    let image = |i| std::array::from_fn(|j| pixel(i, j as u32));
    (0..count).map(image).collect()
}

#[test]
fn a_run_goes_on_where_its_data_have_moved() {
    let folder = tempdir().unwrap();
    let (old, new, out) = (
        folder.path().join("old"),
        folder.path().join("new"),
        folder.path().join("run"),
    );
    write_images(&old, &noise(48));
    let begun = options(&out)
        .set("dataset", "pedestrian")
        .set("data", old.display())
        .run()
        .unwrap();
    fs::rename(&old, &new).unwrap();
    let moved = || resumed(&out).set("data", new.display()).run();
    let error = resume(&out).unwrap_err().to_string();
    assert!(error.contains(&old.display().to_string()), "{error}");
    assert_eq!(moved().unwrap().test_accuracy, begun.test_accuracy);

    write_images(&new, &noise(47));
    let error = moved().unwrap_err();
    assert!(matches!(error, RunError::OtherData { .. }), "{error}");
}

#[test]
fn recordings_are_trained_on() {
    let folder = tempdir().unwrap();
    let data = folder.path().join("data");
    for (part, count) in [("Train", 60), ("Test", 20)] {
        for class in 0..10 {
            fs::create_dir_all(data.join(part).join(class.to_string())).unwrap();
        }
        for number in 0..count {
            let class = number % 10;
            let folder = data.join(part).join(class.to_string());
            // Events in the columns of the class, one every 100 us.
            let event = |i: u8| {
                let time = 100 * u16::from(i);
                let [high, low] = time.to_be_bytes();
                [
                    3 * class + i % 3,
                    4 + (i / 8 + number) % 24,
                    (i % 2) << 7,
                    high,
                    low,
                ]
            };
            let bytes: Vec<u8> = (0..200).flat_map(event).collect();
            fs::write(folder.join(format!("{number:05}.bin")), bytes).unwrap();
        }
    }
    let out = folder.path().join("run");
    let report = options(&out)
        .set("dataset", "nmnist")
        .set("data", data.display())
        .set("epochs", 40)
        .set("batch_size", 7)
        // Few of many pixels are on.
        .set("network.initializer.gain", 5.0)
        .run()
        .unwrap();
    assert_eq!(
        (
            report.samples_train,
            report.samples_validation,
            report.samples_test
        ),
        (55, 5, 20)
    );
    assert!(report.test_accuracy > 0.9, "{}", report.test_accuracy);
}

#[test]
fn images_that_are_all_alike_cannot_be_divided() {
    let folder = tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("run"));
    let brighter = |by: u8| std::array::from_fn(|i| 10 * i as u8 + by);
    write_images(&data, &(0..30).map(brighter).collect::<Vec<_>>());
    let error = options(&out)
        .set("dataset", "pedestrian")
        .set("data", data.display())
        .run()
        .unwrap_err();
    assert!(
        matches!(error, RunError::Undivided { samples: 30, .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains(&data.display().to_string()),
        "{error}"
    );
    assert!(!out.exists());
}

/// A limit on the size of files does to a write what a full disk does.
#[cfg(unix)]
#[test]
fn a_full_disk_stops_the_run_and_leaves_nothing_half_written() {
    let folder = tempdir().unwrap();
    let (own, arguments) = child_command();
    // 100 blocks are enough for run.json and too few for the weights. Ignored, the signal becomes an error.
    let script = "trap '' XFSZ; ulimit -f 100; exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(own)
        .args(arguments)
        .env(CHILD, folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{text}");
    assert!(
        text.contains("error: ") && text.contains("-1.bpk: "),
        "{text}"
    );
    let left = files(folder.path());
    assert!(
        left.iter()
            .all(|name| ["run.json", "checkpoint/scheduler-1.bpk"].contains(&name.as_str())),
        "{left:?}"
    );
}

#[test]
fn dead_layers_are_reported_each_epoch() {
    let folder = tempdir().unwrap();
    // Far above what weights of this size can reach: nothing fires.
    let report = options(folder.path())
        .set("network.neuron.threshold", 5.0)
        .set("epochs", 2)
        .run()
        .unwrap();
    let expected: BTreeMap<_, _> = [("hidden".to_owned(), 0.0), ("output".to_owned(), 0.0)].into();
    assert_eq!(report.firing_rates, expected);
    // Silence is no answer.
    assert_eq!(report.test_undecided, 1.0);
    let begin = |of: &str| {
        [
            format!("{of}: layer `hidden` never fires"),
            format!("{of}: layer `output` never fires"),
            format!("{of}: 100 % of the answers are undecided"),
            format!("{of}: 9 classes are never the answer"),
        ]
    };
    let expected = ["epoch 1", "epoch 2", "test"].map(begin).concat();
    assert_eq!(report.warnings.len(), expected.len());
    for begin in &expected {
        let found = report.warnings.iter().any(|w| w.starts_with(begin));
        assert!(found, "{begin}: {:?}", report.warnings);
    }
}

#[test]
fn a_converted_network_is_a_finished_run() {
    let folder = tempdir().unwrap();
    let [relu, spikes] = ["relu", "spikes"].map(|name| folder.path().join(name));
    let report = options(&relu)
        .set("network.neuron", "relu")
        .set("network.readout", "currents")
        .set("loss", "cross-entropy")
        .set("encoder", "direct")
        .set("time_steps", 1)
        .run()
        .unwrap();
    let device = Device::flex();
    let saved = Saved::load(&relu, &device).unwrap();
    let data = saved.data(None).unwrap();
    let conversion = |time_steps| Conversion {
        config: ConversionConfig::new().with_balance(Balance::Steps(time_steps)),
        time_steps,
        samples: 200,
    };
    let accuracy = |time_steps: usize| {
        let converted = conversion(time_steps)
            .convert(&saved, &data, &device)
            .unwrap();
        converted.validate(&data, &device).unwrap().accuracy
    };
    let [few, many] = [1, 32].map(accuracy);
    assert!(
        many > report.validation_accuracy - 0.01 && many > few,
        "{few} {many}"
    );

    let converted = conversion(32).convert(&saved, &data, &device).unwrap();
    let of_spikes = |saved: &Saved| {
        let run = &saved.run.config;
        test_all(&saved.classifier, data.test.clone(), run, 100, &device).unwrap()
    };
    let tested = of_spikes(&converted);
    let run_folder = RunFolder::new(&spikes).unwrap();
    let saving = |run_folder| {
        converted.save_converted(
            run_folder,
            &report,
            [&tested, &tested],
            "synfire convert",
            &device,
        )
    };
    saving(run_folder).unwrap();
    let loaded = Saved::load(&spikes, &device).unwrap();
    assert_eq!(loaded.run.config.time_steps, 32);
    assert_eq!(of_spikes(&loaded).accuracy, tested.accuracy);
    assert_eq!(Report::read(&spikes).unwrap().command, "synfire convert");

    // The network that a run from its weights starts with, last layer and thresholds included; from those of the rectifiers, it is
    // converted.
    let mut next = loaded.run.config.clone();
    next.weights = Some(spikes.display().to_string());
    let at_start = |config: &mut RunConfig| {
        let network = config.start(&data, &device).unwrap().network;
        let classifier = Classifier::new(network, config.loss, &device);
        let tested = test_all(&classifier, data.test.clone(), config, 100, &device);
        tested.unwrap().accuracy
    };
    assert_eq!(at_start(&mut next), tested.accuracy);
    next.weights = Some(relu.display().to_string());
    next.network = next.network.with_neuron(ScaledIfConfig::new());
    let start = at_start(&mut next);
    assert!(start > report.test_accuracy - 0.01, "{start}");
    assert_eq!(next.network, loaded.run.config.network);
    assert_eq!(next.start(&data, &device).unwrap().seen, 0);
    next.seed = 1;
    assert!(next.start(&data, &device).unwrap().seen > 0);
    next.dataset = DatasetName::FashionMnist;
    assert!(at_start(&mut next) < tested.accuracy - 0.2);

    assert!(matches!(
        RunFolder::new(&spikes),
        Err(RunError::Occupied(_))
    ));
    let error = conversion(0)
        .convert(&saved, &data, &device)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`time_steps` of the conversion: 0"),
        "{error}"
    );
}
