//! Arrays of numbers.

/// The numbers of an [`Array`], in the precision of the file.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// Single precision.
    F32(Vec<f32>),
    /// Double precision.
    F64(Vec<f64>),
    /// Whole numbers.
    I64(Vec<i64>),
}

impl Numbers {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::I64(values) => values.len(),
        }
    }
}

impl From<Vec<f32>> for Numbers {
    fn from(values: Vec<f32>) -> Self {
        Self::F32(values)
    }
}

impl From<Vec<f64>> for Numbers {
    fn from(values: Vec<f64>) -> Self {
        Self::F64(values)
    }
}

impl From<Vec<i64>> for Numbers {
    fn from(values: Vec<i64>) -> Self {
        Self::I64(values)
    }
}

/// Numbers of any shape, the last axis fastest. A shape without axes is a single number.
///
/// ```
/// use synfire_nir::Array;
///
/// let weight = Array::new([2, 3], vec![0.5f32; 6]);
/// assert_eq!(weight.shape(), [2, 3]);
/// assert_eq!(Array::from(0.1).to_f64(), [0.1]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    shape: Vec<usize>,
    numbers: Numbers,
}

impl Array {
    /// Numbers of a shape.
    ///
    /// # Panics
    ///
    /// If there are not as many numbers as the shape has.
    pub fn new(shape: impl Into<Vec<usize>>, numbers: impl Into<Numbers>) -> Self {
        let (shape, numbers) = (shape.into(), numbers.into());
        let (found, expected) = (numbers.len(), elements(&shape));
        assert!(
            Some(found) == expected,
            "Array: {found} numbers of shape {shape:?}"
        );
        Self { shape, numbers }
    }

    /// The same number everywhere.
    pub fn full(shape: impl Into<Vec<usize>>, value: f64) -> Self {
        let shape = shape.into();
        let count = elements(&shape).expect("a shape that fits in memory");
        Self::new(shape, vec![value; count])
    }

    /// The same numbers in another shape.
    pub(crate) fn shaped(self, shape: &[usize]) -> Self {
        Self::new(shape, self.numbers)
    }

    /// The shape.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The numbers.
    pub fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// The numbers in single precision.
    pub fn to_f32(&self) -> Vec<f32> {
        match &self.numbers {
            Numbers::F32(values) => values.clone(),
            Numbers::F64(values) => values.iter().map(|value| *value as f32).collect(),
            Numbers::I64(values) => values.iter().map(|value| *value as f32).collect(),
        }
    }

    /// The numbers in double precision.
    pub fn to_f64(&self) -> Vec<f64> {
        match &self.numbers {
            Numbers::F32(values) => values.iter().map(|value| f64::from(*value)).collect(),
            Numbers::F64(values) => values.clone(),
            Numbers::I64(values) => values.iter().map(|value| *value as f64).collect(),
        }
    }

    /// Whole numbers, if all are.
    pub fn to_i64(&self) -> Option<Vec<i64>> {
        // Larger ones are not exact as floating-point numbers.
        let whole = |value: f64| {
            let exact = value.fract() == 0.0 && value.abs() <= (1u64 << 53) as f64;
            exact.then_some(value as i64)
        };
        match &self.numbers {
            Numbers::I64(values) => Some(values.clone()),
            _ => self.to_f64().into_iter().map(whole).collect(),
        }
    }

    /// True if no number is NaN or infinite, in single precision.
    pub(crate) fn is_finite(&self) -> bool {
        match &self.numbers {
            Numbers::I64(_) => true,
            _ => self.to_f32().iter().all(|value| value.is_finite()),
        }
    }

    /// The numbers in double precision, repeated to a shape as NumPy broadcasts them; none if they do not broadcast.
    pub(crate) fn broadcast(&self, shape: &[usize]) -> Option<Vec<f64>> {
        let missing = shape.len().checked_sub(self.shape.len())?;
        let fits = |(own, size): (&usize, &usize)| *own == 1 || own == size;
        if !self.shape.iter().zip(&shape[missing..]).all(fits) {
            return None;
        }
        let values = self.to_f64();
        // From the last axis on: the distance of neighbours, 0 along axes that are repeated.
        let mut strides = vec![0; shape.len()];
        let mut stride = 1;
        for (axis, size) in self.shape.iter().enumerate().rev() {
            strides[missing + axis] = if *size == 1 { 0 } else { stride };
            stride *= size;
        }
        let count = elements(shape)?;
        let at = |index: usize| {
            let mut rest = index;
            let mut offset = 0;
            for (size, stride) in shape.iter().zip(&strides).rev() {
                offset += rest % size * stride;
                rest /= size;
            }
            values[offset]
        };
        Some((0..count).map(at).collect())
    }
}

impl From<f64> for Array {
    fn from(value: f64) -> Self {
        Self::new([], vec![value])
    }
}

/// The number of elements of a shape, if it is a number.
pub(crate) fn elements(shape: &[usize]) -> Option<usize> {
    let mut sizes = shape.iter();
    sizes.try_fold(1usize, |count, size| count.checked_mul(*size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_broadcast_as_in_numpy() {
        let row = Array::new([3], vec![1.0, 2.0, 3.0]);
        assert_eq!(
            row.broadcast(&[2, 3]).unwrap(),
            [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]
        );
        let column = Array::new([2, 1], vec![1.0f32, 2.0]);
        let repeated = [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0];
        assert_eq!(column.broadcast(&[2, 2, 2]).unwrap(), repeated);
        assert_eq!(Array::from(4.0).broadcast(&[2]).unwrap(), [4.0, 4.0]);
        assert_eq!(row.broadcast(&[3, 2]), None);
        assert_eq!(row.broadcast(&[]), None);
    }

    #[test]
    fn whole_numbers_may_be_floats() {
        assert_eq!(Array::from(-1.0).to_i64(), Some(vec![-1]));
        assert_eq!(Array::from(0.5).to_i64(), None);
        assert_eq!(Array::from(f64::NAN).to_i64(), None);
    }
}
