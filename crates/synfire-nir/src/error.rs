//! Errors of files and graphs.

use std::path::PathBuf;

use synfire::InvalidConfig;

/// A NIR file cannot be read or written, or a graph cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NirError {
    /// The file cannot be opened, read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The contents of a file are invalid.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: Box<NirError>,
    },
    /// The file is no HDF5 file, or a damaged one.
    #[error("not a readable HDF5 file: {reason}")]
    Hdf5 {
        /// The reason.
        reason: String,
    },
    /// The file is of a version that is not known.
    #[error("NIR version `{version}`, expected 0.x or 1.x")]
    Version {
        /// The version in the file.
        version: String,
    },
    /// The graph is larger than the [limits](crate::Limits) allow.
    #[error("{what}: {found}, expected at most {limit}")]
    TooLarge {
        /// The thing that is too large.
        what: String,
        /// Its size.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// A node has an invalid field.
    #[error("node `{node}`: `{field}` {problem}")]
    Field {
        /// The node, with the subgraphs it is in, separated by dots.
        node: String,
        /// The field.
        field: String,
        /// The problem.
        problem: String,
    },
    /// A node is of a type that is not known.
    #[error("node `{node}`: type `{found}`, expected one of {}", crate::Node::TYPES.join(", "))]
    Type {
        /// The node.
        node: String,
        /// The type in the file.
        found: String,
    },
    /// An edge is invalid.
    #[error("edge `{from}` -> `{to}`: {problem}")]
    Edge {
        /// The node that it comes from.
        from: String,
        /// The node that it goes to.
        to: String,
        /// The problem.
        problem: String,
    },
    /// Nodes that wait for each other: no step of time is between them.
    #[error("nodes {} form a cycle without a neuron or a delay", nodes.join(", "))]
    Cycle {
        /// The nodes of the cycle.
        nodes: Vec<String>,
    },
    /// A network cannot be written as a graph.
    #[error("not a graph of NIR: {reason}")]
    Export {
        /// The reason.
        reason: String,
    },
    /// The options are invalid.
    #[error(transparent)]
    Options(#[from] InvalidConfig),
}

/// A problem of a field, before its node is known.
#[derive(Debug)]
pub(crate) struct Problem {
    pub field: &'static str,
    pub problem: String,
}

impl Problem {
    pub fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self {
            field,
            problem: problem.into(),
        }
    }

    /// The error for a node.
    pub fn of(self, node: &str) -> NirError {
        NirError::Field {
            node: node.to_owned(),
            field: self.field.to_owned(),
            problem: self.problem,
        }
    }
}
