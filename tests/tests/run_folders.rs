//! Folders of runs that several processes want, that have been meddled with, or whose process was told to end.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use serde_json::Value;
use synfire_data::sha256;
use synfire_tests::runs::{TestRun, on_digits, resumed};
use synfire_train::report::Report;
use synfire_train::saved::Saved;
use synfire_train::{Output, RunError, exit_status};
use tempfile::{TempDir, tempdir};

fn options(out: &Path) -> TestRun {
    on_digits(out)
        .hidden(&[20])
        .set("time_steps", 3)
        .set("epochs", 2)
        .set("samples", 400)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn weights(out: &Path) -> Vec<u8> {
    fs::read(out.join("model.safetensors")).unwrap()
}

fn copy(from: &Path) -> TempDir {
    let to = tempdir().unwrap();
    fs::create_dir(to.path().join("checkpoint")).unwrap();
    for folder in [from.to_path_buf(), from.join("checkpoint")] {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, to.path().join(path.strip_prefix(from).unwrap())).unwrap();
            }
        }
    }
    to
}

/// A finished run of this seed, for tests that work on a copy.
fn finished(seed: u64) -> TempDir {
    static RUNS: [OnceLock<TempDir>; 2] = [const { OnceLock::new() }; 2];
    let run = RUNS[seed as usize].get_or_init(|| {
        let folder = tempdir().unwrap();
        let options = options(folder.path()).set("seed", seed);
        options.run().unwrap();
        folder
    });
    copy(run.path())
}

const OUT: &str = "SYNFIRE_TEST_FOLDER";
const SEED: &str = "SYNFIRE_TEST_FOLDER_SEED";
const DASHBOARD: &str = "SYNFIRE_TEST_FOLDER_DASHBOARD";

/// Not a test: a process that trains.
#[test]
fn child() {
    let Some(out) = env::var_os(OUT) else {
        return;
    };
    let output = match env::var_os(DASHBOARD) {
        Some(_) => Output::Dashboard,
        None => Output::Lines,
    };
    // Long enough to meet the others.
    let result = options(Path::new(&out))
        .set("time_steps", 12)
        .set("epochs", 8)
        .set("samples", "none")
        .set("seed", env::var(SEED).unwrap_or("0".to_owned()))
        .with_output(output)
        .run();
    let status = match &result {
        Ok(_) => 0,
        Err(error) => {
            eprintln!("error: {error}");
            exit_status(error)
        }
    };
    // What the test harness has to say goes to an output that may be closed.
    std::process::exit(status.into());
}

fn spawn(out: &Path, seed: u64) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(OUT, out)
        .env(SEED, seed.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for the end: the exit status, and what was said on standard error.
fn end(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), text)
}

#[test]
fn of_several_runs_at_once_one_has_the_folder() {
    let folder = tempdir().unwrap();
    let out = folder.path().join("run");
    let children: Vec<_> = (1..=4).map(|seed| spawn(&out, seed)).collect();
    let ends: Vec<_> = children.into_iter().map(end).collect();
    let refused: Vec<_> = ends.iter().filter(|(code, _)| *code == Some(1)).collect();
    assert_eq!(refused.len(), 3, "{ends:?}");
    for (_, text) in refused {
        // The latter if it came when the other had ended.
        let reasons = ["another process is at work", "already holds a run"];
        assert!(reasons.iter().any(|reason| text.contains(reason)), "{text}");
    }
    let seed = |file: &str| json(&out.join(file))["config"]["seed"].clone();
    assert_eq!(seed("run.json"), seed("report.json"));
    assert!(!out.join(".lock").exists());
    // What is there belongs together.
    Saved::load(&out, &Device::flex()).unwrap();
}

fn wait_for(path: &Path, child: &mut Child) {
    let started = Instant::now();
    while !path.exists() {
        assert!(
            started.elapsed() < Duration::from_secs(300),
            "it takes long"
        );
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_run_at_work_is_not_resumed_by_another_process() {
    let folder = tempdir().unwrap();
    let out = folder.path().join("run");
    let mut child = spawn(&out, 1);
    wait_for(&out.join("run.json"), &mut child);
    let error = resumed(&out).run().unwrap_err();
    assert!(matches!(error, RunError::InUse { .. }), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    // The lock has gone with the process.
    resumed(&out).run().unwrap();
}

#[test]
fn a_new_run_does_not_adopt_old_checkpoints() {
    let copy = finished(0);
    fs::remove_file(copy.path().join("run.json")).unwrap();
    for file in ["model.safetensors", "report.json"] {
        let error = options(copy.path()).run().unwrap_err().to_string();
        assert!(
            error.contains(file) && error.contains("no run.json"),
            "{error}"
        );
        fs::remove_file(copy.path().join(file)).unwrap();
    }
    let error = options(copy.path()).run().unwrap_err().to_string();
    assert!(error.contains("`checkpoint`"), "{error}");
    assert!(copy.path().join("checkpoint/state.json").exists());
}

#[test]
fn a_checkpoint_is_of_one_run_alone() {
    type Edit = fn(&mut Value);
    let edits: [Edit; 3] = [
        |run| {
            run["config"]["seed"] = 5.into();
            run["config"]["network"]["seed"] = 5.into();
        },
        |run| run["config"]["learning_rate"] = 0.5.into(),
        |run| run["config"]["network"]["sizes"][1] = 21.into(),
    ];
    for edit in edits {
        let copy = finished(0);
        let path = copy.path().join("run.json");
        let mut run_file = json(&path);
        edit(&mut run_file);
        fs::write(&path, run_file.to_string()).unwrap();
        let error = resumed(copy.path()).run().unwrap_err();
        assert!(matches!(error, RunError::OtherCheckpoint { .. }), "{error}");
        assert!(error.to_string().contains("state.json"), "{error}");
    }
    // The checkpoints of another run of the same network.
    let (copy, other) = (finished(0), finished(1));
    for entry in fs::read_dir(other.path().join("checkpoint")).unwrap() {
        let path = entry.unwrap().path();
        let to = copy
            .path()
            .join("checkpoint")
            .join(path.file_name().unwrap());
        fs::copy(&path, to).unwrap();
    }
    let error = resumed(copy.path()).run().unwrap_err();
    assert!(matches!(error, RunError::OtherCheckpoint { .. }), "{error}");
}

/// A run that was broken off after its first epoch, as if that had been trained on other devices.
fn begun_on(devices: &str) -> TempDir {
    let copy = finished(0);
    let folder = copy.path().join("checkpoint");
    let path = folder.join("state.json");
    let mut state = json(&path);
    assert_eq!(state["history"][0]["device"], "Flex(Cpu)");
    state["epoch"] = 1.into();
    state["history"].as_array_mut().unwrap().truncate(1);
    state["history"][0]["device"] = devices.into();
    for part in ["model", "optimizer", "scheduler"] {
        let file = format!("{part}-1.bpk");
        let hash = sha256(&fs::read(folder.join(&file)).unwrap());
        state["files"][file] = hash.into();
    }
    fs::write(&path, state.to_string()).unwrap();
    copy
}

#[test]
fn other_devices_are_taken_when_they_are_asked_for() {
    for devices in ["Cuda(0)", "2 x Flex(Cpu)"] {
        let copy = begun_on(devices);
        let error = resumed(copy.path()).run().unwrap_err().to_string();
        assert!(
            error.contains(&format!("on {devices}, not on Flex(Cpu)")),
            "{error}"
        );
        let report = resumed(copy.path()).on_other_devices().run().unwrap();
        assert_eq!(report.device, format!("{devices}, then Flex(Cpu)"));
        assert_eq!(report.test_device.as_deref(), Some("Flex(Cpu)"));
    }
    // As it went before.
    let copy = begun_on("Flex(Cpu)");
    resumed(copy.path()).run().unwrap();
    assert!(weights(copy.path()) == weights(finished(0).path()));
}

#[test]
fn the_schedule_ends_with_the_last_epoch_on_any_number_of_devices() {
    let copy = begun_on("Flex(Cpu)");
    let report = resumed(copy.path())
        .on_other_devices()
        .set("devices", 2)
        .run();
    let report = report.unwrap();
    assert_eq!(report.device, "Flex(Cpu), then 2 x Flex(Cpu)");
    assert_eq!(report.config.devices, 2);
    // 400 samples, 100 of them in a step on each device.
    let steps: Vec<_> = report.history.iter().map(|epoch| epoch.steps).collect();
    assert_eq!(steps, [4, 2]);
}

#[test]
fn weights_that_are_not_those_of_the_report_are_refused() {
    let device = Device::flex();
    let load = |folder: &Path| Saved::load(folder, &device).unwrap_err().to_string();
    let (copy, other) = (finished(0), finished(1));
    Saved::load(copy.path(), &device).unwrap();
    // Of a run that differs by the seed alone.
    fs::write(copy.path().join("model.safetensors"), weights(other.path())).unwrap();
    let error = load(copy.path());
    assert!(
        error.contains("of another network than run.json"),
        "{error}"
    );
    // A bit of a weight.
    let mut bytes = weights(other.path());
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    fs::write(other.path().join("model.safetensors"), bytes).unwrap();
    let error = load(other.path());
    assert!(error.contains("model.safetensors: SHA-256 is"), "{error}");

    let unfinished = finished(0);
    fs::remove_file(unfinished.path().join("report.json")).unwrap();
    let error = load(unfinished.path());
    assert!(error.contains("--resume"), "{error}");
}

#[test]
fn runs_of_other_versions_say_so() {
    for (format, said) in [(None, "0.1.0 before"), (Some(99), "a newer one")] {
        let copy = finished(0);
        let path = copy.path().join("run.json");
        let mut run = json(&path);
        match format {
            None => drop(run.as_object_mut().unwrap().remove("format")),
            Some(format) => run["format"] = format.into(),
        }
        fs::write(&path, run.to_string()).unwrap();
        let error = resumed(copy.path()).run().unwrap_err().to_string();
        assert!(
            error.contains("run.json") && error.contains(said),
            "{error}"
        );
    }
}

#[test]
fn the_dataset_of_a_report_is_one_that_there_is() {
    let copy = finished(0);
    let path = copy.path().join("report.json");
    let mut report = json(&path);
    // Weights are named by it: a path would lead out of their folder.
    report["dataset"] = "../../..".into();
    fs::write(&path, report.to_string()).unwrap();
    let error = Report::read(copy.path()).unwrap_err().to_string();
    assert!(
        error.contains("report.json: there is no dataset `../../..`"),
        "{error}"
    );
}

#[test]
fn damaged_recordings_of_the_test_part_are_found_before_training() {
    let folder = tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("run"));
    for part in ["Train", "Test"] {
        for class in 0..10 {
            let recordings = data.join(part).join(class.to_string());
            fs::create_dir_all(&recordings).unwrap();
            for number in 0..2 {
                let path = recordings.join(format!("{number}.bin"));
                fs::write(path, [class, number, 0x80, 0, 9]).unwrap();
            }
        }
    }
    let damaged = data.join("Test").join("7").join("1.bin");
    fs::write(&damaged, [7, 1, 0x80, 0]).unwrap();
    let error = options(&out)
        .set("dataset", "nmnist")
        .set("data", data.display())
        .set("samples", "none")
        .run();
    let error = error.unwrap_err().to_string();
    assert!(error.contains(&damaged.display().to_string()), "{error}");
    assert!(!out.exists());
}

#[test]
fn a_reader_who_goes_does_not_end_the_run() {
    let folder = tempdir().unwrap();
    let out = folder.path().join("run");
    let mut child = spawn(&out, 0);
    let reader = BufReader::new(child.stdout.take().unwrap());
    let begun = reader.lines().any(|line| line.unwrap().starts_with("Run "));
    // The reader is closed here.
    assert!(begun);
    let (code, text) = end(child);
    assert_eq!(code, Some(0), "{text}");
    assert!(out.join("report.json").exists());
}

/// Whether this process was started to ignore Ctrl-C, as a shell starts what runs in its background: so do its children.
#[cfg(unix)]
fn interrupts_are_ignored(test: &str) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let ignored = mask.unwrap_or(0) >> 1 & 1 == 1;
    if ignored {
        synfire_tests::say(&format!(
            "{test}: skipped for SIGINT, which this process ignores"
        ));
    }
    ignored
}

#[cfg(unix)]
#[test]
fn a_run_that_is_told_to_end_stops_and_goes_on_to_the_same_weights() {
    let folder = tempdir().unwrap();
    let [whole, stopped] = ["whole", "stopped"].map(|name| folder.path().join(name));
    assert_eq!(end(spawn(&whole, 0)).0, Some(0));
    for (signal, number) in [("TERM", 15), ("INT", 2)] {
        if signal == "INT" && interrupts_are_ignored("a_run_that_is_told_to_end") {
            continue;
        }
        let mut child = spawn(&stopped, 0);
        wait_for(&stopped.join("checkpoint/state.json"), &mut child);
        let kill = Command::new("kill")
            .args([format!("-{signal}"), child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        let (code, text) = end(child);
        assert_eq!(code, Some(128 + number), "{text}");
        assert!(
            text.contains(&format!("(SIG{signal}): --resume continues it")),
            "{text}"
        );
        resumed(&stopped).run().unwrap();
        assert!(weights(&stopped) == weights(&whole));
        fs::remove_dir_all(&stopped).unwrap();
    }
}

/// The dashboard in a terminal of its own, by the program `script`.
#[cfg(target_os = "linux")]
#[test]
fn ctrl_c_leaves_the_terminal_as_it_was() {
    use std::io::{Read, Write};

    if interrupts_are_ignored("ctrl_c_leaves_the_terminal_as_it_was") {
        return;
    }
    let folder = tempdir().unwrap();
    let out = folder.path().join("run");
    let own = env::current_exe().unwrap();
    let command = format!("'{}' --exact child --nocapture", own.display());
    let terminal = Command::new("script")
        .args(["-q", "-e", "-c", &command, "/dev/null"])
        .env(OUT, &out)
        .env(DASHBOARD, "1")
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut terminal) = terminal else {
        synfire_tests::say(
            "ctrl_c_leaves_the_terminal_as_it_was: skipped, there is no program `script`",
        );
        return;
    };
    let mut screen = terminal.stdout.take().unwrap();
    // What is drawn must be read, or the dashboard waits.
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        screen.read_to_end(&mut all).unwrap();
        String::from_utf8_lossy(&all).into_owned()
    });
    wait_for(&out.join("checkpoint/state.json"), &mut terminal);
    let mut keys = terminal.stdin.take().unwrap();
    keys.write_all(b"\x03").unwrap();
    keys.flush().unwrap();
    let status = terminal.wait().unwrap();
    let text = reader.join().unwrap();
    let (entered, left) = ("\x1b[?1049h", "\x1b[?1049l");
    let end = text.rfind(left).expect("the dashboard was left");
    assert!(text.find(entered).unwrap() < end);
    assert!(
        text[end..].contains("(SIGINT): --resume continues it"),
        "{}",
        &text[end..]
    );
    assert_eq!(status.code(), Some(130));
    drop(keys);
}
