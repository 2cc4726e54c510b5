//! Lower bound of the memory of a run: rejects valid sizes whose product does not fit into memory.

use std::fs;

use burn::tensor::Device;
use synfire::ops::is_cubecl;

use crate::RunError;
use crate::config::RunConfig;
use crate::data::AHEAD;
use crate::device::is_remote;

/// Assumed memory where the system does not report it.
const USUAL: u128 = 16 << 30;

/// Checks that a batch of at most `samples` samples may fit into memory: sequences on the host, including those encoded
/// ahead, and, on devices that share its memory, one value per neuron and step.
///
/// # Errors
///
/// If it does not; the error names the sizes and the bytes.
pub fn check(
    config: &RunConfig,
    batch_size: usize,
    samples: usize,
    device: &Device,
) -> Result<(), RunError> {
    let batch = batch_size.min(samples);
    let elsewhere = is_cubecl(device) || is_remote(device);
    check_against(config, batch, elsewhere, available())
}

fn check_against(
    config: &RunConfig,
    batch: usize,
    elsewhere: bool,
    available: u128,
) -> Result<(), RunError> {
    let [channels, height, width] = config.sample;
    let elements = channels as u128 * height as u128 * width as u128;
    // A channel has at least one neuron: nothing that fits is refused.
    let neurons = config.network.channels()?;
    let neurons = neurons.into_iter().map(|count| count as u128).sum();
    let of_host = (AHEAD as u128 + 2) * elements;
    let of_layers = if elsewhere { 0 } else { neurons };
    let steps = config.time_steps as u128 * batch as u128;
    let bytes = steps.saturating_mul(4 * (of_host + of_layers));
    match bytes <= available {
        true => Ok(()),
        false => Err(RunError::Memory {
            time_steps: config.time_steps,
            batch_size: batch,
            elements,
            neurons,
            bytes,
            available,
        }),
    }
}

/// Bytes of free memory, where the system reports them.
fn available() -> u128 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u128>().ok());
    let machine = kib.map_or(USUAL, |kib| kib << 10);
    // A container may have less.
    let number = |name: &str| {
        let text = fs::read_to_string(format!("/sys/fs/cgroup/memory.{name}")).ok()?;
        text.trim().parse::<u128>().ok()
    };
    match (number("max"), number("current")) {
        (Some(max), Some(current)) => machine.min(max.saturating_sub(current)),
        _ => machine,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_bounded_and_named() {
        let config = |steps: usize, batch: usize| RunConfig {
            time_steps: steps,
            batch_size: batch,
            ..RunConfig::default()
        };
        let gibibyte = 1 << 30;
        let check = |config: &RunConfig, samples: usize| {
            check_against(config, config.batch_size.min(samples), false, gibibyte)
        };
        check(&config(10, 100), 4000).unwrap();
        let error = check(&config(1 << 24, 100), 4000).unwrap_err().to_string();
        for part in [
            "`time_steps` 16777216",
            "`batch_size` 100",
            "784 input elements and 810 neurons",
            "bytes",
        ] {
            assert!(error.contains(part), "{error}");
        }
        // No batch is larger than the data.
        let large = config(100, 1 << 20);
        check(&large, 50).unwrap();
        assert!(check(&large, 1 << 20).is_err());
        assert!(available() > 1 << 20);
    }
}
