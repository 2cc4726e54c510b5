//! Tensors that an operation may be called without.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, ExtensionType};
use burn::tensor::Tensor;

/// An optional argument of an operation: an `Option` that Burn's dispatch and fusion can look into.
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(feature = "fusion"))]
pub enum OptionalTensor<B: Backend> {
    /// No tensor.
    Absent,
    /// A tensor.
    Present(FloatTensor<B>),
}

impl<B: Backend> OptionalTensor<B> {
    /// Wraps an `Option`.
    pub fn new(tensor: Option<FloatTensor<B>>) -> Self {
        tensor.map_or(Self::Absent, Self::Present)
    }

    /// The tensor, if present.
    pub fn into_option(self) -> Option<FloatTensor<B>> {
        match self {
            Self::Absent => None,
            Self::Present(tensor) => Some(tensor),
        }
    }
}

impl OptionalTensor<Dispatch> {
    /// Wraps an optional tensor of the public API.
    pub(crate) fn of<const D: usize>(tensor: Option<Tensor<D>>) -> Self {
        Self::new(tensor.map(Tensor::into_dispatch))
    }
}

impl<B: Backend, C: CheckpointStrategy> OptionalTensor<Autodiff<B, C>> {
    /// Whether the tensor is present and part of a graph.
    pub fn is_tracked(&self) -> bool {
        matches!(self, Self::Present(tensor) if tensor.is_tracked())
    }

    /// The tensor or, if absent, `other` outside any graph. A node of a graph has a fixed number of parents; a parent
    /// outside the graph gets no gradient.
    pub fn or_constant(&self, other: &FloatTensor<Autodiff<B, C>>) -> FloatTensor<Autodiff<B, C>> {
        match self {
            Self::Absent => FloatTensor::<Autodiff<B, C>>::new(other.primitive().clone()),
            Self::Present(tensor) => tensor.clone(),
        }
    }

    /// The tensor of the inner backend.
    pub fn into_primitive(self) -> OptionalTensor<B> {
        match self {
            Self::Absent => OptionalTensor::Absent,
            Self::Present(tensor) => OptionalTensor::Present(tensor.into_primitive()),
        }
    }
}
