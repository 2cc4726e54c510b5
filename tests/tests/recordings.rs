//! Real data that cannot be part of the project: recordings of N-MNIST in the folder `nmnist`, and patches in idx files in
//! the folder `pedestrian` of the folder that the variable `SYNFIRE_DATA` names. Where they are not, a test prints that it
//! skips.

use std::path::Path;

use burn::data::dataset::Dataset;
use synfire_data::DatasetName;
use synfire_data::{Event, FrameBy, FrameValue, Frames, Loaded, NMnist};
use synfire_tests::runs::on_digits;
use synfire_tests::{data_folder, say};
use synfire_train::Output;
use synfire_train::saved::Saved;

/// The numbers were counted by a few lines of Python that read the same bytes.
#[test]
fn recordings_have_the_events_that_they_have() {
    let Some(folder) = data_folder("nmnist") else {
        return;
    };
    let counts = |part: &str| {
        let data = NMnist::from_folder(&folder, part).unwrap();
        let (mut events, mut on) = (0, 0);
        for item in data.iter() {
            let item = item.unwrap();
            events += item.events.len();
            on += item.events.iter().filter(|event| event.on).count();
        }
        (data.len(), events, on)
    };
    // Of all 60,000 there are others.
    if NMnist::from_folder(&folder, "Train").unwrap().len() != 800 {
        say("skipped: these are not the 800 and 100 recordings whose events were counted");
        return;
    }
    assert_eq!(counts("Train"), (800, 3_281_009, 1_635_068));
    assert_eq!(counts("Test"), (100, 385_596, 190_652));
}

#[test]
fn a_recording_has_its_frames() {
    let Some(folder) = data_folder("nmnist") else {
        return;
    };
    let path = folder.join("Train/0/00002.bin");
    let events = synfire_data::read_events(path, NMnist::SENSOR).unwrap();
    assert_eq!(events.len(), 5028);
    let event = |x, y, on, time| Event { time, x, y, on };
    assert_eq!(events[0], event(10, 30, true, 937));
    assert_eq!(events[5027], event(11, 17, true, 305_341));
    let sum = |coordinate: fn(&Event) -> u8| -> u64 {
        events
            .iter()
            .map(|event| u64::from(coordinate(event)))
            .sum()
    };
    assert_eq!(
        (sum(|event| event.x), sum(|event| event.y)),
        (84_245, 86_564)
    );

    let pixels = 34 * 34;
    let channels = |frames: Frames| -> Vec<[f32; 2]> {
        let sequence = frames.of(&events, NMnist::SENSOR);
        let frames = sequence.chunks(2 * pixels);
        let sum = |part: &[f32]| part.iter().sum();
        frames
            .map(|frame| [sum(&frame[..pixels]), sum(&frame[pixels..])])
            .collect()
    };
    let bins = Frames::new(FrameBy::Bins(10));
    assert_eq!(
        channels(bins.with_value(FrameValue::Counts)),
        [
            [159.0, 150.0],
            [519.0, 516.0],
            [218.0, 232.0],
            [66.0, 75.0],
            [386.0, 344.0],
            [330.0, 340.0],
            [46.0, 68.0],
            [185.0, 185.0],
            [483.0, 456.0],
            [127.0, 143.0]
        ]
    );
    let total = |frames| -> Vec<f32> {
        let both = |[off, on]: [f32; 2]| off + on;
        channels(frames).into_iter().map(both).collect()
    };
    assert_eq!(
        total(bins),
        [
            165.0, 352.0, 236.0, 118.0, 291.0, 275.0, 104.0, 213.0, 359.0, 186.0
        ]
    );
    let windows = Frames::new(FrameBy::Window(25_000)).with_value(FrameValue::Counts);
    assert_eq!(
        total(windows),
        [
            186.0, 760.0, 776.0, 82.0, 179.0, 616.0, 655.0, 150.0, 69.0, 565.0, 744.0, 243.0, 3.0
        ]
    );
    let counts = Frames::new(FrameBy::Count(1000)).with_value(FrameValue::Counts);
    assert_eq!(
        total(counts),
        [1000.0, 1000.0, 1000.0, 1000.0, 1000.0, 28.0]
    );
}

/// Trains for a few epochs, and looks at what is left.
fn trains(dataset: DatasetName, settings: &[(&str, &str)], folder: &Path, floor: f64) {
    let out = tempfile::tempdir().unwrap();
    let mut run = on_digits(out.path())
        .set("dataset", dataset)
        .set("data", folder.display())
        .set("time_steps", 5)
        .set("batch_size", 20)
        .with_output(Output::Nothing);
    for (path, value) in settings {
        run = run.set(path, value);
    }
    let report = run.run().unwrap();
    assert!(report.test_accuracy > floor, "{}", report.test_accuracy);
    assert_eq!(report.dataset, dataset);
    // Where they lie on this machine is not told.
    let text = std::fs::read_to_string(out.path().join("report.json")).unwrap();
    assert!(!text.contains(&folder.display().to_string()));

    let device = synfire_train::device("flex").unwrap();
    let saved = Saved::load(out.path(), &device).unwrap();
    let data = saved.data(None).unwrap();
    let (input, labels) = saved.sequences(&data.test, vec![3, 5], &device).unwrap();
    let elements: usize = data.shape.iter().product();
    assert_eq!(input.dims(), [5, 2, elements]);
    assert_eq!(labels[1], i64::from(data.test.labels()[5]));
}

#[test]
fn recordings_are_learned() {
    let Some(folder) = data_folder("nmnist") else {
        return;
    };
    let settings = [("epochs", "3"), ("network.sizes", "[2312, 100, 10]")];
    trains(DatasetName::NMnist, &settings, &folder, 0.5);
}

#[test]
fn patches_are_learned() {
    let Some(folder) = data_folder("pedestrian") else {
        return;
    };
    let loaded = Loaded::from_idx_folder(&folder).unwrap();
    assert_eq!(loaded.classes(), 2);
    let settings = [
        ("preset", "stbp-cnn"),
        ("epochs", "2"),
        ("network.hidden", "[100]"),
        ("contrast", "stretch"),
    ];
    trains(DatasetName::Pedestrian, &settings, &folder, 0.6);
}
