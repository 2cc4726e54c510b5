//! The fields of nodes.

use crate::array::elements;
use crate::error::Problem;
use crate::{Array, Entry};

/// A type of a field.
pub(crate) trait Field: Sized {
    /// Reads it from what the file has under its name.
    fn read(name: &'static str, found: Option<Entry>) -> Result<Self, Problem>;

    /// The entry for a file, if there is one.
    fn write(&self) -> Option<Entry>;
}

fn expected(name: &'static str, found: &Entry, expected: &str) -> Problem {
    Problem::new(name, format!("is {}, expected {expected}", found.kind()))
}

fn required(name: &'static str, found: Option<Entry>) -> Result<Entry, Problem> {
    found.ok_or_else(|| Problem::new(name, "is missing"))
}

impl Field for Array {
    fn read(name: &'static str, found: Option<Entry>) -> Result<Self, Problem> {
        match required(name, found)? {
            Entry::Array(array) if array.is_finite() => Ok(array),
            Entry::Array(_) => Err(Problem::new(
                name,
                "has numbers that are not finite in single precision",
            )),
            other => Err(expected(name, &other, "numbers")),
        }
    }

    fn write(&self) -> Option<Entry> {
        Some(Entry::Array(self.clone()))
    }
}

impl<F: Field> Field for Option<F> {
    fn read(name: &'static str, found: Option<Entry>) -> Result<Self, Problem> {
        found.map(|found| F::read(name, Some(found))).transpose()
    }

    fn write(&self) -> Option<Entry> {
        self.as_ref().and_then(Field::write)
    }
}

/// Sizes along the axes of an image or a line: strides, dilations, shapes. One number stands for all axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes(pub Vec<usize>);

/// The largest size that is accepted, and the most elements of a sample.
const LARGEST: i64 = 1 << 23;

/// Whole numbers of an array of at most one axis.
fn whole(name: &'static str, found: Option<Entry>) -> Result<Array, Problem> {
    match required(name, found)? {
        Entry::Array(array) if array.shape().len() < 2 => Ok(array),
        other => Err(expected(name, &other, "whole numbers")),
    }
}

impl Field for Sizes {
    fn read(name: &'static str, found: Option<Entry>) -> Result<Self, Problem> {
        let array = whole(name, found)?;
        let size = |size: i64| {
            let size = (0..=LARGEST).contains(&size).then_some(size as usize);
            size.ok_or_else(|| {
                let found = array.to_f64();
                let problem = format!("is {found:?}, expected whole numbers from 0 to {LARGEST}");
                Problem::new(name, problem)
            })
        };
        let numbers = array.to_i64().unwrap_or_else(|| vec![-1]);
        numbers
            .into_iter()
            .map(size)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    fn write(&self) -> Option<Entry> {
        let sizes: Vec<i64> = self.0.iter().map(|size| *size as i64).collect();
        Some(Entry::Array(Array::new([sizes.len()], sizes)))
    }
}

impl Sizes {
    /// The sizes of so many axes.
    pub(crate) fn of<const N: usize>(&self, name: &'static str) -> Result<[usize; N], Problem> {
        let found = self.0.as_slice();
        match found {
            [size] => Ok([*size; N]),
            _ => found.try_into().map_err(|_| {
                let problem = format!("is {found:?}, expected one number, or {N} of them");
                Problem::new(name, problem)
            }),
        }
    }
}

impl From<Vec<usize>> for Sizes {
    fn from(sizes: Vec<usize>) -> Self {
        Self(sizes)
    }
}

/// The shape of what a node takes.
pub(crate) fn checked_shape(name: &'static str, shape: &[usize]) -> Result<(), Problem> {
    match elements(shape) {
        Some(count) if count > 0 && count <= LARGEST as usize => Ok(()),
        _ => {
            let problem = format!("is {shape:?}, expected from 1 to {LARGEST} elements");
            Err(Problem::new(name, problem))
        }
    }
}

/// Zeros around an image or a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Padding {
    /// `same`: as many as keep the size, one more at the end if they are odd. Only with a stride of 1.
    Same,
    /// `valid`: none.
    Valid,
    /// So many at either side of each axis.
    Sizes(Sizes),
}

impl Field for Padding {
    fn read(name: &'static str, found: Option<Entry>) -> Result<Self, Problem> {
        match required(name, found)? {
            Entry::Text(text) => match text.as_str() {
                "same" => Ok(Self::Same),
                "valid" => Ok(Self::Valid),
                _ => {
                    let problem = format!("is `{text}`, expected `same`, `valid` or numbers");
                    Err(Problem::new(name, problem))
                }
            },
            found => Sizes::read(name, Some(found)).map(Self::Sizes),
        }
    }

    fn write(&self) -> Option<Entry> {
        match self {
            Self::Same => Some(Entry::Text("same".to_owned())),
            Self::Valid => Some(Entry::Text("valid".to_owned())),
            Self::Sizes(sizes) => sizes.write(),
        }
    }
}

/// Number of groups of channels, or an axis, counted from the end if it is negative.
impl Field for i64 {
    fn read(name: &'static str, found: Option<Entry>) -> Result<Self, Problem> {
        let array = whole(name, found)?;
        match array.to_i64().as_deref() {
            Some([number]) => Ok(*number),
            _ => {
                let problem = format!("is {:?}, expected a whole number", array.to_f64());
                Err(Problem::new(name, problem))
            }
        }
    }

    fn write(&self) -> Option<Entry> {
        Some(Entry::Array(Array::new([], vec![*self])))
    }
}
