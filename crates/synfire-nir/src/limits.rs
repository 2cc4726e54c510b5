//! Limits of what is read.

/// Limits of a file that is read: sizes are checked before memory is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most entries of a file: nodes, their fields and metadata.
    pub entries: usize,
    /// The most bytes of all arrays and texts together.
    pub bytes: u64,
    /// The most groups inside of each other. A subgraph takes two.
    pub depth: usize,
}

impl Default for Limits {
    /// A million entries, 256 MiB, and 64 groups inside of each other.
    fn default() -> Self {
        Self {
            entries: 1_000_000,
            bytes: 256 << 20,
            depth: 64,
        }
    }
}
