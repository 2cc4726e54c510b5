//! The memory of this process, as Linux counts it. On other systems it is unknown and reported as 0.

use std::fs;

/// The resident memory, in MiB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resident {
    /// Now.
    pub now: f64,
    /// At most so far, or since the peak was reset.
    pub peak: f64,
}

impl Resident {
    /// Reads it.
    pub fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
            kib.map_or(0.0, |kib| kib / 1024.0)
        };
        Self {
            now: field("VmRSS:"),
            peak: field("VmHWM:"),
        }
    }

    /// Resets the peak, where the system supports it.
    pub fn reset_peak() {
        let _ = fs::write("/proc/self/clear_refs", "5");
    }
}
