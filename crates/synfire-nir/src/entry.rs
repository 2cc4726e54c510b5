//! The contents of a file, before their meaning.

use std::collections::BTreeMap;

use crate::Array;

/// Entries by name.
pub type Entries = BTreeMap<String, Entry>;

/// An entry of a file: numbers, text, or a group of more entries.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// Numbers.
    Array(Array),
    /// Text.
    Text(String),
    /// Texts of a shape.
    Texts {
        /// The shape.
        shape: Vec<usize>,
        /// The texts, the last axis fastest.
        texts: Vec<String>,
    },
    /// A group.
    Group(Entries),
}

impl Entry {
    /// The kind of an entry, for messages.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Array(array) => format!("an array of shape {:?}", array.shape()),
            Self::Text(text) => format!("the text `{text}`"),
            Self::Texts { shape, .. } => format!("texts of shape {shape:?}"),
            Self::Group(_) => "a group".to_owned(),
        }
    }
}
