//! Damaged files of every kind that is read: datasets, pictures, weights, and the files of a run.

use std::fs;
use std::io::Write;
use std::path::Path;

use burn::data::dataset::Dataset;
use burn::optim::{AdamConfig, OptimizerRecord};
use burn::store::{ModuleSnapshot, SafetensorsStore};
use burn::tensor::{Bytes, Device, Tensor};
use flate2::{Compression, GzBuilder};
use synfire_data::encode_idx as idx;
use synfire_data::sha256;
use synfire_data::{DataError, FrameBy, Frames, ImageDataset, Loaded, NMnist, Source, read_events};
use synfire_data::{Ground, read_image};
use synfire_models::{
    Library, Names, NetworkConfig, SpikingNetwork, StbpMlpConfig, import, load_network,
};
use synfire_nir::{Graph, Limits, NirNetwork, NirOptions};
use synfire_tests::mutations::run;
use synfire_tests::{nir, runs};
use synfire_train::checkpoint::Checkpoints;
use synfire_train::classifier::Classifier;
use synfire_train::saved::{Saved, read_run};
use synfire_train::{BestBy, Output};
use tempfile::TempDir;

const PARTS: [&str; 2] = ["train", "t10k"];

fn assert_names(error: &DataError, path: &Path) {
    // Windows has two separators.
    let text = error.to_string().replace('\\', "/");
    let path = path.display().to_string().replace('\\', "/");
    assert!(text.contains(&path), "`{path}` is not in: {text}");
}

/// A part of a dataset: 24 images of 2x3 pixels.
fn images() -> Vec<u8> {
    let pixels: Vec<u8> = (0..144).map(|i: u8| i.wrapping_mul(37)).collect();
    idx(&[24, 2, 3], &pixels)
}

fn labels() -> Vec<u8> {
    let labels: Vec<u8> = (0..24).map(|i| i % 3).collect();
    idx(&[24], &labels)
}

/// With the name of a file in its header, as the program `gzip` writes it.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let builder = GzBuilder::new().filename("images-idx3-ubyte");
    let mut encoder = builder.write(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Mutations of the file `{part}-{file}`, of each part in turn, the other three files being valid.
fn run_images(kind: &str, file: &str, valid: &[u8]) {
    let folders = PARTS.map(|part| {
        let folder = TempDir::new().unwrap();
        let write = |name: String, bytes: Vec<u8>| {
            fs::write(folder.path().join(name), bytes).unwrap();
        };
        for part in PARTS {
            write(format!("{part}-images-idx3-ubyte"), images());
            write(format!("{part}-labels-idx1-ubyte"), labels());
        }
        // A file without compression would be taken first.
        if let Some(plain) = file.strip_suffix(".gz") {
            fs::remove_file(folder.path().join(format!("{part}-{plain}"))).unwrap();
        }
        folder
    });
    run(kind, valid, |bytes, number| {
        let i = (number % 2) as usize;
        let (part, folder) = (PARTS[i], folders[i].path());
        fs::write(folder.join(format!("{part}-{file}")), bytes).unwrap();
        let alone = ImageDataset::from_idx_folder(folder, part);
        let both = Loaded::from_idx_folder(folder);
        match &alone {
            Ok(data) => read_all(data),
            Err(error) => {
                assert_names(error, &folder.join(format!("{part}-")));
                assert!(both.is_err());
            }
        }
        match both {
            Ok(loaded) => {
                assert_eq!(loaded.source, Source::Folder(folder.into()));
                assert!(loaded.classes() >= 2);
                read_all(&loaded.train);
                read_all(&loaded.test);
                true
            }
            Err(error) => {
                // If each part is right alone, they do not belong together: then the part to test on is named.
                let part = if alone.is_ok() { PARTS[1] } else { part };
                assert_names(&error, &folder.join(format!("{part}-")));
                false
            }
        }
    });
}

fn read_all(data: &ImageDataset) {
    let (intensities, labels) = data.batch(0..data.len()).unwrap();
    let [height, width] = data.image_size();
    assert!(!intensities.is_empty());
    assert_eq!(intensities.len(), labels.len() * height * width);
    assert_eq!(
        data.get(data.len() - 1).unwrap().pixels.len(),
        height * width
    );
    assert_eq!(data.fingerprint().len(), 64);
}

#[test]
fn images_in_plain_files() {
    run_images("idx images", "images-idx3-ubyte", &images());
}

#[test]
fn labels_in_plain_files() {
    run_images("idx labels", "labels-idx1-ubyte", &labels());
}

#[test]
fn images_in_compressed_files() {
    run_images("idx gzip", "images-idx3-ubyte.gz", &gzip(&images()));
}

#[test]
fn images_in_compressed_files_of_two_members() {
    let images = images();
    let (first, second) = images.split_at(50);
    let members = [gzip(first), gzip(second)].concat();
    run_images("idx gzip of two members", "images-idx3-ubyte.gz", &members);
}

/// 39 events, and the mark of a clock that began anew among them.
fn recording() -> Vec<u8> {
    let event = |i: u8| {
        if i == 20 {
            return [0, 240, 0, 0, 0];
        }
        [i % 34, (i * 5) % 34, (i % 2) << 7, i % 20, 100]
    };
    (0..40).flat_map(event).collect()
}

#[test]
fn recordings() {
    let folder = TempDir::new().unwrap();
    for digit in 0..10 {
        let class = folder.path().join(format!("Train/{digit}"));
        fs::create_dir_all(&class).unwrap();
        fs::write(class.join("00001.bin"), recording()).unwrap();
    }
    let path = folder.path().join("Train/4/00001.bin");
    let frames = [
        Frames::new(FrameBy::Bins(4)),
        Frames::new(FrameBy::Window(1000)).with_time_steps(3),
        Frames::new(FrameBy::Count(7)).with_time_steps(3),
    ];
    run("N-MNIST recording", &recording(), |bytes, _| {
        fs::write(&path, bytes).unwrap();
        let alone = read_events(&path, NMnist::SENSOR);
        if let Err(error) = &alone {
            assert_names(error, &path);
        }
        let good = alone.is_ok_and(|events| !events.is_empty());
        let data = match NMnist::from_folder(folder.path(), "Train") {
            Ok(data) => data,
            Err(error) => {
                assert_names(&error, &path);
                assert!(!good && bytes.is_empty(), "{error}");
                return false;
            }
        };
        assert_eq!(data.len(), 10);
        let print = data.fingerprint().map(drop);
        let batches = frames.map(|frames| data.batch(0..data.len(), &frames).map(drop));
        for result in batches.into_iter().chain([print]) {
            assert_eq!(result.is_ok(), good, "{result:?}");
            if let Err(error) = result {
                assert_names(&error, &path);
            }
        }
        good
    });
}

fn network() -> NetworkConfig {
    NetworkConfig::StbpMlp(StbpMlpConfig::new().with_sizes(vec![3, 2]))
}

#[test]
fn weights_in_safetensors() {
    let device = Device::flex();
    let mut store = SafetensorsStore::from_bytes(None);
    let network_of = network().init(&device).unwrap();
    network_of.save_into(&mut store).unwrap();
    run("safetensors", &store.get_bytes().unwrap(), |bytes, _| {
        load_network(&network(), bytes.to_vec(), &device).is_ok()
    });
}

#[test]
fn weights_of_pytorch() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/imports");
    let folder = TempDir::new().unwrap();
    for name in ["snntorch.pt", "jelly-legacy.pth"] {
        let path = folder.path().join(name);
        let valid = fs::read(fixtures.join(name)).unwrap();
        // What is in it does not fit this network: the file is read all the same, and the names that are missing are told.
        run(name, &valid, |bytes, _| {
            fs::write(&path, bytes).unwrap();
            let mut network = network().init(&Device::flex()).unwrap();
            let error = import(&mut network, &Names::new(), Library::SnnTorch, &path);
            let error = error.unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
            error.contains("layers.0.weight")
        });
    }
}

#[test]
fn pictures() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("picture.png");
    let pixels: Vec<u8> = (0..=255).collect();
    image::GrayImage::from_raw(16, 16, pixels)
        .unwrap()
        .save(&path)
        .unwrap();
    let valid = fs::read(&path).unwrap();
    run("PNG", &valid, |bytes, _| {
        fs::write(&path, bytes).unwrap();
        match read_image(&path, [1, 28, 28], Ground::Dark) {
            Ok(pixels) => {
                assert!(pixels.iter().all(|pixel| (0.0..=1.0).contains(pixel)));
                true
            }
            Err(error) => {
                assert!(error.to_string().contains("picture.png"), "{error}");
                false
            }
        }
    });
}

/// A finished run of a small network.
fn finished() -> TempDir {
    let folder = TempDir::new().unwrap();
    let options = runs::on_digits(folder.path())
        .hidden(&[2])
        .set("time_steps", 2)
        .set("epochs", 1)
        .set("samples", 40)
        .with_output(Output::Nothing);
    options.run().unwrap();
    folder
}

#[test]
fn the_files_of_a_run() {
    let folder = finished();
    let device = Device::flex();
    for name in ["run.json", "report.json", "model.safetensors"] {
        let path = folder.path().join(name);
        let valid = fs::read(&path).unwrap();
        // Weights have a hash: all but the file itself is refused.
        let header = (name == "model.safetensors").then(|| folder.path().join("report.json"));
        let report = header
            .as_ref()
            .map(|path| fs::read_to_string(path).unwrap());
        run(name, &valid, |bytes, _| {
            fs::write(&path, bytes).unwrap();
            if let (Some(path), Some(report)) = (&header, &report) {
                let hash = sha256(&valid);
                fs::write(path, report.replace(&hash, &sha256(bytes))).unwrap();
            }
            match Saved::load(folder.path(), &device) {
                Ok(_) => true,
                Err(error) => {
                    let text = error.to_string();
                    let known = ["run.json", "report.json", "model.safetensors"];
                    assert!(known.iter().any(|name| text.contains(name)), "{text}");
                    false
                }
            }
        });
        fs::write(&path, &valid).unwrap();
        if let (Some(path), Some(report)) = (header, report) {
            fs::write(path, report).unwrap();
        }
    }
}

#[test]
fn the_checkpoints_of_a_run() {
    let folder = finished();
    let device = Device::flex();
    let run_file = read_run(folder.path()).unwrap().unwrap();
    let config = run_file.config.clone();
    let classifier = || {
        let network = config.network.init(&device).unwrap();
        Classifier::new(network, config.loss, &device)
    };
    let state_path = folder.path().join("checkpoint/state.json");
    let state = fs::read_to_string(&state_path).unwrap();
    let open = |optimizer: Option<&[u8]>| {
        let folder = folder.path().join("checkpoint");
        let checkpoints = Checkpoints::new(folder, BestBy::Accuracy, &run_file.id());
        let Some(state) = checkpoints.open()? else {
            return Ok(false);
        };
        let model = checkpoints.load(classifier(), state.epoch)?;
        checkpoints.probe(&model, state.epoch)?;
        // What has passed is taken without a panic.
        if let Some(bytes) = optimizer {
            let record = OptimizerRecord::from_bytes(Bytes::from_bytes_vec(bytes.to_vec()));
            drop(AdamConfig::new().init().load_record(record.unwrap()));
        }
        Ok(true)
    };
    for name in ["model-1.bpk", "optimizer-1.bpk", "scheduler-1.bpk"] {
        let path = folder.path().join("checkpoint").join(name);
        let valid = fs::read(&path).unwrap();
        let hash = sha256(&valid);
        run(name, &valid, |bytes, _| {
            fs::write(&path, bytes).unwrap();
            // As if it had been written like that.
            fs::write(&state_path, state.replace(&hash, &sha256(bytes))).unwrap();
            let optimizer = name.starts_with("optimizer").then_some(bytes);
            open(optimizer).unwrap_or_else(|error: synfire_train::RunError| {
                // Of weights with other ids what the optimizer remembers is none.
                assert!(error.to_string().contains("checkpoint"), "{error}");
                false
            })
        });
        fs::write(&path, valid).unwrap();
        fs::write(&state_path, &state).unwrap();
    }
    run("state.json", state.as_bytes(), |bytes, _| {
        fs::write(&state_path, bytes).unwrap();
        open(None).unwrap_or_else(|error: synfire_train::RunError| {
            assert!(error.to_string().contains("checkpoint"), "{error}");
            false
        })
    });
}

#[test]
fn graphs_of_nir() {
    let graph = nir::every_primitive();
    let device = Device::default();
    run("nir", &graph.to_bytes().unwrap(), |bytes, _| {
        let Ok(graph) = Graph::from_bytes(bytes.to_vec(), Limits::default()) else {
            return false;
        };
        // It may be refused as a network, or want more than a test should have.
        if let Ok(network) = NirNetwork::new(&graph, &NirOptions::new(), &device)
            && network.elements() < 1000
        {
            network.run(Tensor::<3>::zeros([1, 1, network.elements()], &device));
        }
        true
    });
}
