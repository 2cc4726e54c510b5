//! A stream of steps needs memory for one of them. In a process of its own, so that nothing else counts.

use burn::tensor::{Device, Tensor, TensorData};
use synfire_models::{Context, SpikingNetwork, StbpMlpConfig};

/// The resident memory of this process in MiB, where Linux tells.
fn resident() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
}

#[test]
fn a_stream_needs_no_more_memory_the_longer_it_is() {
    let device = Device::flex();
    let network = StbpMlpConfig::new().init(&device).unwrap();
    let step: Vec<f32> = (0..784).map(|i| f32::from(u8::from(i % 7 == 0))).collect();
    let step = Tensor::<3>::from_data(TensorData::new(step, [1, 1, 784]), &device);
    let mut state = None;
    let mut run = |steps: usize| {
        for _ in 0..steps {
            let mut context = Context::new().with_state(state.take());
            network.forward(step.clone(), &mut context);
            state = Some(context.finish());
        }
    };
    run(200);
    let Some(before) = resident() else {
        synfire_tests::say("skipped: this system does not tell how much memory a process has");
        return;
    };
    run(10_000);
    let after = resident().unwrap();
    // The states of 10,000 steps would be 31 MiB, their spikes as much.
    assert!(after - before < 4.0, "{before} MiB, then {after}");
}
