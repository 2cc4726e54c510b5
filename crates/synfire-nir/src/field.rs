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

/// The largest size that is accepted, and the most elements of a sample.
const LARGEST: i64 = 1 << 23;

/// Whole numbers of an array of at most one axis.
fn whole(name: &'static str, found: Option<Entry>) -> Result<Array, Problem> {
    match required(name, found)? {
        Entry::Array(array) if array.shape().len() < 2 => Ok(array),
        other => Err(expected(name, &other, "whole numbers")),
    }
}

/// Sizes of an array of at most one axis.
fn read_sizes(name: &'static str, found: Option<Entry>) -> Result<Vec<usize>, Problem> {
    let array = whole(name, found)?;
    let sizes = array.to_i64().filter(|sizes| {
        let mut sizes = sizes.iter();
        sizes.all(|size| (0..=LARGEST).contains(size))
    });
    let sizes = sizes.ok_or_else(|| {
        let found = array.to_f64();
        let problem = format!("is {found:?}, expected whole numbers from 0 to {LARGEST}");
        Problem::new(name, problem)
    })?;
    Ok(sizes.into_iter().map(|size| size as usize).collect())
}

/// A shape, as a row of sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape(pub Vec<usize>);

impl Field for Shape {
    fn read(name: &'static str, found: Option<Entry>) -> Result<Self, Problem> {
        read_sizes(name, found).map(Self)
    }

    fn write(&self) -> Option<Entry> {
        let sizes: Vec<i64> = self.0.iter().map(|size| *size as i64).collect();
        Some(Entry::Array(Array::new([sizes.len()], sizes)))
    }
}

/// Sizes along the axes of a line or an image. In a file, one number stands for all axes.
impl<const N: usize> Field for [usize; N] {
    fn read(name: &'static str, found: Option<Entry>) -> Result<Self, Problem> {
        let sizes = read_sizes(name, found)?;
        match sizes.as_slice() {
            [size] => Ok([*size; N]),
            _ => sizes.as_slice().try_into().map_err(|_| {
                let problem = format!("is {sizes:?}, expected one number, or {N} of them");
                Problem::new(name, problem)
            }),
        }
    }

    fn write(&self) -> Option<Entry> {
        match self.as_slice() {
            // Other readers expect a number for the only axis.
            [size] => Some(Entry::Array(Array::new([], vec![*size as i64]))),
            sizes => Shape(sizes.to_vec()).write(),
        }
    }
}

/// Checks the shape of what a node takes.
pub(crate) fn checked_shape(name: &'static str, shape: &[usize]) -> Result<(), Problem> {
    match elements(shape) {
        Some(count) if count > 0 && count <= LARGEST as usize => Ok(()),
        _ => {
            let problem = format!("is {shape:?}, expected from 1 to {LARGEST} elements");
            Err(Problem::new(name, problem))
        }
    }
}

/// Zeros around a line or an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding<const N: usize> {
    /// `same`: as many as keep the size, one more at the end if they are odd. Only with a stride of 1.
    Same,
    /// `valid`: none.
    Valid,
    /// So many at either side of each axis.
    Zeros([usize; N]),
}

impl<const N: usize> Field for Padding<N> {
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
            found => Field::read(name, Some(found)).map(Self::Zeros),
        }
    }

    fn write(&self) -> Option<Entry> {
        match self {
            Self::Same => Some(Entry::Text("same".to_owned())),
            Self::Valid => Some(Entry::Text("valid".to_owned())),
            Self::Zeros(sizes) => sizes.write(),
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
