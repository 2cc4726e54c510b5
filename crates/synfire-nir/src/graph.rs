//! Graphs: nodes, edges and metadata.

use std::collections::HashMap;
use std::path::Path;

use synfire_models::{regular, write_atomically};

use crate::flat::Flat;
use crate::node::{METADATA, TYPE};
use crate::{Entries, Entry, Limits, NirError, Node, Shape, hdf5, plan};

/// The version of NIR that files are written in: that of the reference implementation whose primitives are known here.
pub const VERSION: &str = "1.0.8";

/// A graph of NIR.
///
/// ```
/// use synfire_nir::{Affine, Array, Graph, Input, LIF, Limits, Output};
///
/// let graph = Graph::chain([
///     ("input", Input::new([2]).into()),
///     ("fc", Affine { weight: Array::full([3, 2], 0.5), bias: Array::full([3], 0.0) }.into()),
///     ("lif", LIF::new([3], 2e-3).into()),
///     ("output", Output::new([3]).into()),
/// ]);
/// let bytes = graph.to_bytes()?;
/// assert_eq!(Graph::from_bytes(bytes, Limits::default())?, graph);
/// # Ok::<(), synfire_nir::NirError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// The nodes, in the order of their names.
    pub nodes: Vec<NamedNode>,
    /// The edges, as pairs of names: from, to. What comes in by several edges is added.
    pub edges: Vec<(String, String)>,
    /// Whatever else belongs to the graph.
    pub metadata: Entries,
}

/// A node with its name and metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedNode {
    /// The name, unique in its graph.
    pub name: String,
    /// The node.
    pub node: Node,
    /// Whatever else belongs to it.
    pub metadata: Entries,
}

const NODE: &str = "node";
const NODES: &str = "nodes";
const EDGES: &str = "edges";
const VERSION_KEY: &str = "version";

impl Graph {
    /// The type in files.
    pub(crate) const TYPE: &str = "NIRGraph";

    /// A graph whose nodes follow one another.
    pub fn chain<N: Into<String>>(nodes: impl IntoIterator<Item = (N, Node)>) -> Self {
        let mut graph = Self::default();
        let mut last: Option<String> = None;
        for (name, node) in nodes {
            let name = name.into();
            if let Some(last) = last.replace(name.clone()) {
                graph.edges.push((last, name.clone()));
            }
            graph.add(name, node);
        }
        graph
    }

    /// Adds a node. Nodes are kept in the order of their names.
    ///
    /// # Panics
    ///
    /// If there is one of this name already.
    pub fn add(&mut self, name: impl Into<String>, node: impl Into<Node>) {
        let (name, mut node) = (name.into(), node.into());
        let at = self.nodes.binary_search_by(|other| other.name.cmp(&name));
        let Err(at) = at else {
            panic!("Graph: there are two nodes `{name}`");
        };
        // In a file, that of a subgraph belongs to its node.
        let metadata = match &mut node {
            Node::NIRGraph(graph) => std::mem::take(&mut graph.metadata),
            _ => Entries::new(),
        };
        self.nodes.insert(
            at,
            NamedNode {
                name,
                node,
                metadata,
            },
        );
    }

    /// The node of this name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        let at = self
            .nodes
            .binary_search_by(|other| other.name.as_str().cmp(name));
        at.ok().map(|at| &self.nodes[at].node)
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// If the file is no regular one or cannot be read, is larger than the default [`Limits`], or has something that is not known.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, NirError> {
        let path = path.as_ref();
        let io = |source| NirError::Io {
            path: path.to_owned(),
            source,
        };
        let limits = Limits::default();
        // Reading a pipe or a device may never end.
        let length = regular(path).map_err(io)?.len();
        if length > limits.bytes {
            return Err(NirError::TooLarge {
                what: format!("bytes of {}", path.display()),
                found: length,
                limit: limits.bytes,
            });
        }
        let bytes = std::fs::read(path).map_err(io)?;
        Self::from_bytes(bytes, limits).map_err(|source| NirError::File {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub fn from_bytes(bytes: Vec<u8>, limits: Limits) -> Result<Self, NirError> {
        let mut file = hdf5::read(bytes, limits)?;
        if let Some(version) = file.remove(VERSION_KEY) {
            let known = |text: &str| matches!(text.split('.').next(), Some("0" | "1"));
            match &version {
                Entry::Text(text) if known(text) => {}
                Entry::Text(text) => {
                    return Err(NirError::Version {
                        version: text.clone(),
                    });
                }
                other => {
                    return Err(NirError::Version {
                        version: other.kind(),
                    });
                }
            }
        }
        let missing = |problem: String| NirError::Field {
            node: String::new(),
            field: NODE.to_owned(),
            problem,
        };
        let graph = match file.remove(NODE) {
            Some(Entry::Group(graph)) => graph,
            Some(other) => return Err(missing(format!("is {}, expected a group", other.kind()))),
            None => return Err(missing("is missing".to_owned())),
        };
        let (node, metadata) = read_node("", graph)?;
        let mut graph = match node {
            Node::NIRGraph(graph) => graph,
            // The reference implementation writes single nodes, too.
            node => {
                let mut graph = Self::default();
                graph.add(node.kind().to_lowercase(), node);
                graph
            }
        };
        graph.metadata = metadata;
        Ok(graph)
    }

    /// Reads nodes and edges.
    pub(crate) fn read(at: &str, fields: &mut Entries) -> Result<Self, NirError> {
        let problem = |field: &str, problem: String| NirError::Field {
            node: at.to_owned(),
            field: field.to_owned(),
            problem,
        };
        let nodes = match fields.remove(NODES) {
            Some(Entry::Group(nodes)) => nodes,
            // Without nodes, some writers leave out the group.
            None => Entries::new(),
            Some(other) => {
                let found = format!("is {}, expected a group", other.kind());
                return Err(problem(NODES, found));
            }
        };
        let edges = match fields.remove(EDGES) {
            Some(Entry::Texts { shape, texts }) if matches!(shape[..], [_, 2]) => texts,
            Some(Entry::Array(none)) if none.shape().contains(&0) => Vec::new(),
            Some(Entry::Texts { texts, .. }) if texts.is_empty() => Vec::new(),
            None => return Err(problem(EDGES, "is missing".to_owned())),
            Some(other) => {
                let found = format!("is {}, expected texts of shape [n, 2]", other.kind());
                return Err(problem(EDGES, found));
            }
        };
        let mut edges = edges.into_iter();
        let mut graph = Self::default();
        while let (Some(from), Some(to)) = (edges.next(), edges.next()) {
            graph.edges.push((from, to));
        }
        for (name, entry) in nodes {
            let path = dotted(at, &name);
            let Entry::Group(fields) = entry else {
                let problem = format!("is {}, expected a group", entry.kind());
                return Err(NirError::Field {
                    node: path,
                    field: NODE.to_owned(),
                    problem,
                });
            };
            let (node, metadata) = read_node(&path, fields)?;
            graph.nodes.push(NamedNode {
                name,
                node,
                metadata,
            });
        }
        Ok(graph)
    }

    /// The fields of the graph as a node.
    pub(crate) fn fields(&self) -> Entries {
        let nodes = self.nodes.iter();
        let nodes = nodes.map(|node| (node.name.clone(), write_node(&node.node, &node.metadata)));
        let edges = self.edges.iter();
        let texts: Vec<String> = edges
            .flat_map(|(from, to)| [from.clone(), to.clone()])
            .collect();
        let edges = Entry::Texts {
            shape: vec![self.edges.len(), 2],
            texts,
        };
        Entries::from([
            (NODES.to_owned(), Entry::Group(nodes.collect())),
            (EDGES.to_owned(), edges),
        ])
    }

    /// The same with the shape of what comes in at every convolution and [`Flatten`](crate::Flatten), which other readers need.
    ///
    /// # Errors
    ///
    /// If shapes do not fit.
    pub fn with_shapes(&self) -> Result<Self, NirError> {
        let flat = Flat::new(self)?;
        let shapes = plan::shapes(&flat)?;
        let names = flat.nodes.into_iter().map(|(name, _)| name);
        let inputs = shapes.into_iter().map(|shapes| shapes.input);
        let inputs: HashMap<String, Vec<usize>> = names.zip(inputs).collect();
        let mut graph = self.clone();
        graph.for_each_node(&mut |path, node| {
            let input = inputs.get(path).map(Vec::as_slice).unwrap_or_default();
            match (node, input) {
                (Node::Conv1d(conv), [_, length]) => conv.input_shape = Some([*length]),
                (Node::Conv2d(conv), [_, height, width]) => {
                    conv.input_shape = Some([*height, *width]);
                }
                (Node::Flatten(flatten), _) => flatten.input_type = Some(Shape(input.to_vec())),
                _ => {}
            }
        });
        Ok(graph)
    }

    /// Calls a function for every primitive, with its name; those of subgraphs are `subgraph.node`.
    pub(crate) fn for_each_node(&mut self, change: &mut impl FnMut(&str, &mut Node)) {
        fn each(graph: &mut Graph, at: &str, change: &mut impl FnMut(&str, &mut Node)) {
            for NamedNode { name, node, .. } in &mut graph.nodes {
                let path = dotted(at, name);
                match node {
                    Node::NIRGraph(inner) => each(inner, &path, change),
                    node => change(&path, node),
                }
            }
        }
        each(self, "", change);
    }

    /// The bytes of a file, [with shapes](Self::with_shapes) if they follow from the graph.
    ///
    /// # Errors
    ///
    /// If a name is none of HDF5: empty, or with a slash.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NirError> {
        let complete = self.with_shapes();
        let mut root = complete.as_ref().unwrap_or(self).fields();
        root.insert(TYPE.to_owned(), Entry::Text(Self::TYPE.to_owned()));
        with_metadata(&mut root, &self.metadata);
        hdf5::write(&Entries::from([
            (VERSION_KEY.to_owned(), Entry::Text(VERSION.to_owned())),
            (NODE.to_owned(), Entry::Group(root)),
        ]))
    }

    /// Writes a file. It is there completely or not at all.
    ///
    /// # Errors
    ///
    /// As for [`to_bytes`](Self::to_bytes), or if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), NirError> {
        let path = path.as_ref();
        let bytes = self.to_bytes()?;
        write_atomically(path, &bytes).map_err(|source| NirError::Io {
            path: path.to_owned(),
            source,
        })
    }
}

/// The name of a node inside of a graph.
pub(crate) fn dotted(graph: &str, name: &str) -> String {
    match graph {
        "" => name.to_owned(),
        graph => format!("{graph}.{name}"),
    }
}

fn read_node(at: &str, mut fields: Entries) -> Result<(Node, Entries), NirError> {
    let problem = |field: &str, problem: String| NirError::Field {
        node: at.to_owned(),
        field: field.to_owned(),
        problem,
    };
    let kind = match fields.remove(TYPE) {
        Some(Entry::Text(kind)) => kind,
        Some(other) => {
            return Err(problem(
                TYPE,
                format!("is {}, expected a name", other.kind()),
            ));
        }
        None => return Err(problem(TYPE, "is missing".to_owned())),
    };
    let metadata = match fields.remove(METADATA) {
        None => Entries::new(),
        Some(Entry::Group(metadata)) => metadata,
        Some(other) => {
            let found = format!("is {}, expected a group", other.kind());
            return Err(problem(METADATA, found));
        }
    };
    let node = Node::read(at, &kind, &mut fields)?;
    match fields.keys().next() {
        None => Ok((node, metadata)),
        Some(unknown) => Err(problem(unknown, format!("is no field of {kind}"))),
    }
}

fn write_node(node: &Node, metadata: &Entries) -> Entry {
    let mut fields = node.fields();
    fields.insert(TYPE.to_owned(), Entry::Text(node.kind().to_owned()));
    with_metadata(&mut fields, metadata);
    Entry::Group(fields)
}

fn with_metadata(fields: &mut Entries, metadata: &Entries) {
    if !metadata.is_empty() {
        fields.insert(METADATA.to_owned(), Entry::Group(metadata.clone()));
    }
}
