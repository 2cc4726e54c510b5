//! The report of a benchmark.

use std::fmt::{self, Display};

use serde::Serialize;

use crate::Workload;

/// The report of a benchmark: times in milliseconds, memory in MiB.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The workload.
    pub workload: Workload,
    /// The network of `zoo`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// The number of its trained parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<usize>,
    /// T.
    pub time_steps: usize,
    /// B.
    pub batch_size: usize,
    /// Neurons; for `zoo` the width if it was given, else 1.
    pub size: usize,
    /// The forward pass of a training step, without training the whole step: minimum and median.
    pub fwd_ms: [f64; 2],
    /// A whole step: minimum and median.
    pub step_ms: [f64; 2],
    /// Samples in a second of median steps.
    pub samples_per_s: f64,
    /// The largest resident memory.
    pub peak_rss_mib: f64,
    /// Its growth after model and input were created.
    pub rss_growth_mib: f64,
    /// Memory that the device's allocator holds at the end, where it is known. The allocator does not return it automatically.
    pub device_mib: Option<f64>,
    /// For `lif`: the best memory bandwidth of its forward pass and of a copy of its input, in GB/s; see
    /// [`Bandwidth`].
    pub bandwidth: Option<Bandwidth>,
    /// Firing rate of each layer in the first forward pass.
    pub firing_rates: Vec<f64>,
    /// The device.
    pub device: String,
}

/// Memory bandwidth in GB/s (10^9 bytes per second).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Bandwidth {
    /// Bandwidth of neurons, which read their input once and write their spikes once.
    pub forward: f64,
    /// Bandwidth of a copy, which reads and writes the same.
    pub copy: f64,
}

impl Report {
    /// One line of JSON.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("a report is JSON")
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            workload,
            time_steps,
            batch_size,
            size,
            ..
        } = self;
        writeln!(
            f,
            "{workload}, T = {time_steps}, batch {batch_size}, size {size}, on {}",
            self.device
        )?;
        for (name, [least, median]) in [("forward", self.fwd_ms), ("step", self.step_ms)] {
            writeln!(f, "  {name:8} {median:9.3} ms (at least {least:.3})")?;
        }
        writeln!(f, "  samples  {:9.0} a second", self.samples_per_s)?;
        writeln!(
            f,
            "  memory   {:9.1} MiB, {:.1} of them for steps",
            self.peak_rss_mib, self.rss_growth_mib
        )?;
        if let Some(device) = self.device_mib {
            writeln!(f, "  device   {device:9.1} MiB held")?;
        }
        if let Some(Bandwidth { forward, copy }) = self.bandwidth {
            writeln!(f, "  moved    {forward:9.1} GB a second, a copy {copy:.1}")?;
        }
        let rates: Vec<_> = self
            .firing_rates
            .iter()
            .map(|r| format!("{r:.3}"))
            .collect();
        writeln!(f, "  rates    {}", rates.join(", "))
    }
}
