//! The nodes of a graph, and the list of their types.

use crate::error::Problem;
use crate::layer::{Build, Layer, Weights};
use crate::primitive::*;
use crate::{Entries, Graph, NirError};

/// The key of the type of a node.
pub(crate) const TYPE: &str = "type";

/// The key of its metadata.
pub(crate) const METADATA: &str = "metadata";

/// A primitive of NIR: a file with its fields, shapes and layer.
pub(crate) trait Primitive: Clone + Sized {
    /// The type in files.
    const TYPE: &'static str;

    /// Takes its fields out of those of a node.
    fn read(fields: &mut Entries) -> Result<Self, Problem>;

    /// Its fields.
    fn write(&self) -> Entries;

    /// The shapes of what it takes and returns, from the shape of what comes in. Without it, from its fields alone, if they
    /// say so.
    fn shapes(&self, input: Option<&[usize]>) -> Result<Option<Shapes>, Problem>;

    /// The layer that computes it.
    fn layer(&self, build: &Build) -> Result<Layer, Problem>;

    /// Takes over the weights of its layer.
    fn set_weights(&mut self, weights: Weights) {
        let _ = weights;
    }
}

/// The shapes of what a node takes and returns, for one sample and one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shapes {
    /// The shape that it takes.
    pub input: Vec<usize>,
    /// The shape that it returns.
    pub output: Vec<usize>,
}

impl Shapes {
    /// The same shape in and out.
    pub(crate) fn same(shape: impl Into<Vec<usize>>) -> Self {
        let input = shape.into();
        Self {
            output: input.clone(),
            input,
        }
    }
}

/// Defines a primitive with its fields.
macro_rules! primitive {
    (
        $(#[$attribute:meta])*
        pub struct $name:ident {
            $($(#[$doc:meta])* pub $field:ident: $type:ty,)*
        }
        $($rest:item)*
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl $crate::node::Primitive for $name {
            const TYPE: &'static str = stringify!($name);

            fn read(fields: &mut $crate::Entries) -> Result<Self, $crate::error::Problem> {
                Ok(Self {
                    $($field: $crate::field::Field::read(
                        stringify!($field),
                        fields.remove(stringify!($field)),
                    )?,)*
                })
            }

            fn write(&self) -> $crate::Entries {
                let fields = [
                    $((stringify!($field), $crate::field::Field::write(&self.$field)),)*
                ];
                let fields = fields.into_iter();
                fields
                    .filter_map(|(name, entry)| Some((name.to_owned(), entry?)))
                    .collect()
            }

            $($rest)*
        }
    };
}
pub(crate) use primitive;

/// Defines [`Node`] from the list of primitives.
macro_rules! nodes {
    ($($name:ident,)+) => {
        /// A node of a graph.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Node {
            $(
                #[doc = concat!("See [`", stringify!($name), "`].")]
                $name($name),
            )+
            /// A graph inside of the graph.
            NIRGraph(Graph),
        }

        $(
            impl From<$name> for Node {
                fn from(node: $name) -> Self {
                    Self::$name(node)
                }
            }
        )+

        impl From<Graph> for Node {
            fn from(graph: Graph) -> Self {
                Self::NIRGraph(graph)
            }
        }

        impl Node {
            /// All types, by their names in files.
            pub const TYPES: &[&str] = &[$(<$name as Primitive>::TYPE,)+ Graph::TYPE];

            /// The type in files.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => <$name as Primitive>::TYPE,)+
                    Self::NIRGraph(_) => Graph::TYPE,
                }
            }

            /// Reads a node of this type, but for its metadata. What it does not know is left in `fields`.
            pub(crate) fn read(at: &str, kind: &str, fields: &mut Entries) -> Result<Self, NirError> {
                match kind {
                    $(<$name as Primitive>::TYPE => {
                        let node = <$name as Primitive>::read(fields);
                        Ok(Self::$name(node.map_err(|problem| problem.of(at))?))
                    })+
                    Graph::TYPE => Graph::read(at, fields).map(Self::NIRGraph),
                    _ => Err(NirError::Type {
                        node: at.to_owned(),
                        found: kind.to_owned(),
                    }),
                }
            }

            /// The fields of the node, without its type and its metadata.
            pub(crate) fn fields(&self) -> Entries {
                match self {
                    $(Self::$name(node) => Primitive::write(node),)+
                    Self::NIRGraph(graph) => graph.fields(),
                }
            }

            /// The shapes of a primitive.
            pub(crate) fn shapes(&self, input: Option<&[usize]>) -> Result<Option<Shapes>, Problem> {
                match self {
                    $(Self::$name(node) => node.shapes(input),)+
                    Self::NIRGraph(_) => unreachable!("subgraphs are replaced by their nodes"),
                }
            }

            /// Takes over the weights of its layer.
            pub(crate) fn set_weights(&mut self, weights: Weights) {
                match self {
                    $(Self::$name(node) => node.set_weights(weights),)+
                    Self::NIRGraph(_) => unreachable!("subgraphs are replaced by their nodes"),
                }
            }

            /// The layer of a primitive.
            pub(crate) fn layer(&self, build: &Build) -> Result<Layer, Problem> {
                match self {
                    $(Self::$name(node) => node.layer(build),)+
                    Self::NIRGraph(_) => unreachable!("subgraphs are replaced by their nodes"),
                }
            }
        }
    };
}

nodes! {
    Input,
    Output,
    Affine,
    Linear,
    Scale,
    Conv1d,
    Conv2d,
    AvgPool2d,
    SumPool2d,
    Flatten,
    Delay,
    Threshold,
    I,
    LI,
    IF,
    LIF,
    CubaLI,
    CubaLIF,
}
