//! Differences between two graphs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::graph::dotted;
use crate::{Array, Entries, Entry, Graph, Node};

/// A difference between two graphs. Nodes are compared by their names; those of subgraphs are `subgraph.node`.
#[derive(Clone, Debug, PartialEq)]
pub enum Difference {
    /// A node is in one of them alone.
    Node {
        /// The name.
        name: String,
        /// Whether it is in the first.
        first: bool,
    },
    /// An edge is in one of them alone.
    Edge {
        /// The names of its ends.
        edge: (String, String),
        /// Whether it is in the first.
        first: bool,
    },
    /// A node is of another type.
    Type {
        /// The name.
        name: String,
        /// The types.
        types: [&'static str; 2],
    },
    /// A field has another value.
    Field {
        /// The name of the node.
        name: String,
        /// The field.
        field: String,
        /// How they differ.
        how: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let which = |first: &bool| if *first { "first" } else { "second" };
        match self {
            Self::Node { name, first } => write!(f, "node `{name}`: in the {} alone", which(first)),
            Self::Edge {
                edge: (from, to),
                first,
            } => {
                write!(f, "edge `{from}` -> `{to}`: in the {} alone", which(first))
            }
            Self::Type {
                name,
                types: [one, other],
            } => {
                write!(f, "node `{name}`: {one} and {other}")
            }
            Self::Field { name, field, how } => write!(f, "node `{name}`: `{field}` {how}"),
        }
    }
}

/// The differences between two graphs: nodes, edges, types and fields. Metadata is not compared, and the precision of numbers
/// only where it shows.
///
/// ```
/// use synfire_nir::{Graph, Input, LIF, Output, diff};
///
/// let graph = |tau| {
///     Graph::chain([
///         ("input", Input::new([3]).into()),
///         ("lif", LIF::new([3], tau).into()),
///         ("output", Output::new([3]).into()),
///     ])
/// };
/// assert!(diff(&graph(2e-3), &graph(2e-3)).is_empty());
/// let found = diff(&graph(2e-3), &graph(3e-3));
/// assert_eq!(found[0].to_string(), "node `lif`: `tau` differs by up to 1e-3");
/// ```
pub fn diff(first: &Graph, second: &Graph) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", first, second, &mut found);
    found
}

fn compare(at: &str, first: &Graph, second: &Graph, found: &mut Vec<Difference>) {
    fn nodes(graph: &Graph) -> BTreeMap<&str, &Node> {
        let nodes = graph.nodes.iter();
        nodes.map(|node| (node.name.as_str(), &node.node)).collect()
    }
    let (one, other) = (nodes(first), nodes(second));
    let names: BTreeSet<&str> = one.keys().chain(other.keys()).copied().collect();
    for name in names {
        let path = dotted(at, name);
        match (one.get(name), other.get(name)) {
            (Some(Node::NIRGraph(one)), Some(Node::NIRGraph(other))) => {
                compare(&path, one, other, found);
            }
            (Some(one), Some(other)) if one.kind() == other.kind() => {
                fields(&path, &one.fields(), &other.fields(), found);
            }
            (Some(one), Some(other)) => found.push(Difference::Type {
                name: path,
                types: [one.kind(), other.kind()],
            }),
            (one, _) => found.push(Difference::Node {
                name: path,
                first: one.is_some(),
            }),
        }
    }
    let edges = |graph: &Graph| -> BTreeSet<(String, String)> {
        let edges = graph.edges.iter();
        edges
            .map(|(from, to)| (dotted(at, from), dotted(at, to)))
            .collect()
    };
    let (one, other) = (edges(first), edges(second));
    let difference = |(edge, first): (&(String, String), bool)| Difference::Edge {
        edge: edge.clone(),
        first,
    };
    let only_first = one.difference(&other).map(|edge| (edge, true));
    let only_second = other.difference(&one).map(|edge| (edge, false));
    found.extend(only_first.chain(only_second).map(difference));
}

fn fields(name: &str, first: &Entries, second: &Entries, found: &mut Vec<Difference>) {
    let names: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    for field in names {
        let how = match (first.get(field), second.get(field)) {
            (Some(Entry::Array(one)), Some(Entry::Array(other))) => arrays(one, other),
            (Some(one), Some(other)) if one == other => None,
            (Some(one), Some(other)) => Some(format!("is {} and {}", one.kind(), other.kind())),
            (Some(_), None) => Some("is in the first alone".to_owned()),
            (None, _) => Some("is in the second alone".to_owned()),
        };
        found.extend(how.map(|how| Difference::Field {
            name: name.to_owned(),
            field: field.clone(),
            how,
        }));
    }
}

fn arrays(one: &Array, other: &Array) -> Option<String> {
    if one.shape() != other.shape() {
        return Some(format!(
            "is of shape {:?} and {:?}",
            one.shape(),
            other.shape()
        ));
    }
    let pairs = one.to_f64().into_iter().zip(other.to_f64());
    let largest = pairs
        .map(|(one, other)| (one - other).abs())
        .fold(0.0, f64::max);
    (largest > 0.0).then(|| {
        // Six digits say enough.
        let rounded: f64 = format!("{largest:.5e}").parse().unwrap_or(largest);
        format!("differs by up to {rounded:e}")
    })
}
