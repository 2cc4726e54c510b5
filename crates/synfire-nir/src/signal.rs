//! Signals between layers: rows, or images where layers take them.

use burn::tensor::Tensor;

/// A sequence of samples, `[T, B, elements]` or `[T, B, channels, height, width]`. Images are kept as they are as long as
/// possible: event-driven products store them channels-last, and rows of them would be a copy.
#[derive(Clone, Debug)]
pub(crate) enum Signal {
    Rows(Tensor<3>),
    Images(Tensor<5>),
}

impl Signal {
    /// One row a sample.
    pub fn rows(self) -> Tensor<3> {
        match self {
            Self::Rows(rows) => rows,
            Self::Images(images) => images.flatten(2, 4),
        }
    }

    /// Images of this shape.
    pub fn images(self, [channels, height, width]: [usize; 3]) -> Tensor<5> {
        match self {
            Self::Images(images) if images.dims()[2..] == [channels, height, width] => images,
            other => {
                let rows = other.rows();
                let [steps, batch, _] = rows.dims();
                rows.reshape([steps, batch, channels, height, width])
            }
        }
    }

    /// The sum of both.
    pub fn add(self, other: Self) -> Self {
        match (self, other) {
            (Self::Images(one), Self::Images(other)) if one.dims() == other.dims() => {
                Self::Images(one + other)
            }
            (one, other) => Self::Rows(one.rows() + other.rows()),
        }
    }
}
