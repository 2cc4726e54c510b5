//! Products of spikes with weights on flex: event-driven for sparse spikes, else dense; by Burn for a linear layer.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::backend::ops::ModuleOps;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;

use super::{Synapse, SynapseBackwardOps, SynapseKept, SynapseKind, SynapseOps};
use crate::ops::Product;
use crate::ops::backward::InputGradients;
use crate::ops::bits::BitPlanes;
use crate::ops::conv::{Geometry, WeightOrder, Window, column_sums};
use crate::ops::memory::{elements, slice, tensor};
use crate::ops::optional::OptionalTensor;
use crate::ops::product::{DenseColumns, FEW_ROWS, product};

/// The additions, for each element of the input, up to which a linear layer is faster event-driven: with subtractions, any spikes
/// of a single plane. `docs/performance.md` has the measurements.
const LINEAR_ADDITIONS: f64 = 0.5;
/// The same for the gradient of a convolution's weights.
const CONV_ADDITIONS: f64 = 1.0;
/// And for its output.
const CONV_FORWARD_ADDITIONS: f64 = 0.75;

/// The input as saved for backward.
#[derive(Clone, Debug)]
pub enum SynapseInput {
    /// The spikes as bits, channels last for a convolution, and the shape of the input.
    Spikes(Arc<PackedSpikes>, Shape),
    /// The whole input.
    Dense(FlexTensor),
}

impl SynapseInput {
    /// An input of this shape from its spikes, if it is of spikes, and the input itself, channels last for a convolution.
    fn new(spikes: Option<PackedSpikes>, inside: FlexTensor, shape: Shape) -> Self {
        match spikes {
            Some(spikes) => Self::Spikes(Arc::new(spikes), shape),
            None => Self::Dense(inside),
        }
    }
}

/// Packs an input, and returns it in the order of its products, too: channels last for a convolution.
fn pack(
    x: FlexTensor,
    weight: &FlexTensor,
    synapse: Synapse,
) -> (Option<PackedSpikes>, FlexTensor) {
    let product = synapse.product;
    match synapse.kind {
        SynapseKind::Linear => {
            elements(&x.shape());
            let [inputs, _] = weight.shape().dims();
            let x = x.to_contiguous();
            let rows = slice(&x).len().checked_div(inputs).unwrap_or_default();
            (
                PackedSpikes::of(&x, inputs, rows, product, LINEAR_ADDITIONS),
                x,
            )
        }
        SynapseKind::Conv2d(window) => {
            let geometry = geometry(&x.shape(), weight, window);
            let inside = to_channels_last(&x);
            (
                PackedSpikes::of_images(&inside, &geometry, geometry.images, product),
                inside,
            )
        }
    }
}

/// The spikes of all samples and steps as bits.
#[derive(Debug)]
pub struct PackedSpikes {
    bits: BitPlanes,
}

impl PackedSpikes {
    /// Packs images, channels last, for products of so many of them.
    pub fn of_images(
        inside: &FlexTensor,
        geometry: &Geometry,
        images: usize,
        product: Product,
    ) -> Option<Self> {
        let columns = geometry.channels * geometry.size[0] * geometry.size[1];
        let windows = images * geometry.out().iter().product::<usize>();
        Self::of(inside, columns, windows, product, CONV_ADDITIONS)
    }

    /// The bits.
    pub fn bits(&self) -> &BitPlanes {
        &self.bits
    }

    /// Whether a product is to be event-driven, which is faster up to so many additions for each element.
    fn at_most(&self, product: Product, additions: f64) -> bool {
        let all = self.bits.rows() * self.bits.columns();
        product == Product::Events || self.bits.additions() as f64 <= additions * all as f64
    }

    /// Packs a contiguous input for products with so many rows, if it is of few planes and `product` is to be event-driven for its
    /// additions.
    fn of(
        x: &FlexTensor,
        columns: usize,
        rows_of_product: usize,
        product: Product,
        most: f64,
    ) -> Option<Self> {
        if product == Product::Dense {
            return None;
        }
        let values = slice(x);
        let rows = values.len().checked_div(columns)?;
        let subtract = product != Product::Events && rows_of_product >= FEW_ROWS;
        let bits = BitPlanes::pack(values, rows, columns, subtract)?;
        let spikes = Self { bits };
        spikes.at_most(product, most).then_some(spikes)
    }
}

/// `[..., channels, height, width]` as `[..., height, width, channels]`; no copy if it is already stored so.
pub fn to_channels_last(x: &FlexTensor) -> FlexTensor {
    elements(&x.shape());
    let rank = x.shape().num_dims();
    let mut order: Vec<usize> = (0..rank).collect();
    order[rank - 3..].rotate_left(1);
    x.permute(&order).to_contiguous()
}

/// Inverse of [`to_channels_last`], as a strided view.
pub fn from_channels_last(x: FlexTensor) -> FlexTensor {
    let rank = x.shape().num_dims();
    let mut order: Vec<usize> = (0..rank).collect();
    order[rank - 3..].rotate_right(1);
    x.permute(&order)
}

/// Weights `[outputs, channels, height, width]` as [inside](Geometry::weights_inside), if they are stored so.
fn stored_inside(weight: &FlexTensor, geometry: &Geometry) -> Option<FlexTensor> {
    let inside = weight.permute(&[2, 3, 1, 0]);
    (geometry.window.groups == 1 && inside.layout().is_contiguous()).then_some(inside)
}

/// Weights [inside](Geometry::weights_inside), re-ordered unless they are stored so.
pub fn weights_inside(weight: &FlexTensor, geometry: &Geometry) -> FlexTensor {
    stored_inside(weight, geometry).unwrap_or_else(|| {
        let inside = geometry.weights_inside(slice(&weight.to_contiguous()));
        let len = inside.len();
        tensor(inside, Shape::from(vec![len]))
    })
}

/// A shape with its last sizes replaced.
pub fn with_end<const N: usize>(shape: &Shape, end: [usize; N]) -> Shape {
    let sizes: &[usize] = shape;
    let mut sizes = sizes.to_vec();
    let rank = sizes.len();
    sizes[rank - N..].copy_from_slice(&end);
    Shape::from(sizes)
}

pub fn geometry(input: &Shape, weight: &FlexTensor, window: Window) -> Geometry {
    elements(input);
    let sizes: &[usize] = input;
    let (leading, image) = sizes.split_at(sizes.len() - 3);
    let image = [image[0], image[1], image[2]];
    Geometry::new(
        leading.iter().product(),
        image,
        weight.shape().dims(),
        window,
    )
}

impl SynapseOps for Flex {
    fn synapse(
        x: FlexTensor,
        weight: FlexTensor,
        bias: OptionalTensor<Self>,
        synapse: Synapse,
    ) -> FlexTensor {
        Self::synapse_kept(x, weight, bias, synapse).0
    }
}

impl SynapseBackwardOps for Flex {
    type Input = SynapseInput;

    fn synapse_input(x: FlexTensor, weight: &FlexTensor, synapse: Synapse) -> SynapseInput {
        let shape = x.shape();
        let (spikes, inside) = pack(x, weight, synapse);
        SynapseInput::new(spikes, inside, shape)
    }

    fn synapse_kept(
        x: FlexTensor,
        weight: FlexTensor,
        bias: OptionalTensor<Self>,
        synapse: Synapse,
    ) -> (FlexTensor, SynapseInput) {
        let shape = x.shape();
        let bias = bias.into_option().map(|bias| bias.to_contiguous());
        match synapse.kind {
            SynapseKind::Linear => {
                let [_, outputs] = weight.shape().dims();
                elements(&with_end(&shape, [outputs]));
                let (spikes, x) = pack(x, &weight, synapse);
                let Some(spikes) = spikes else {
                    let output = Flex::linear(x.clone(), weight, bias);
                    return (output, SynapseInput::Dense(x));
                };
                let weight = weight.to_contiguous();
                let weights = DenseColumns::all(slice(&weight), outputs);
                let values = product(&spikes.bits, weights, bias.as_ref().map(slice));
                let output = tensor(values, with_end(&shape, [outputs]));
                (output, SynapseInput::Spikes(Arc::new(spikes), shape))
            }
            SynapseKind::Conv2d(window) => {
                let geometry = geometry(&shape, &weight, window);
                let (spikes, inside) = pack(x, &weight, synapse);
                let [height, width] = geometry.out();
                let bias = bias.as_ref().map(slice);
                let by_events = |spikes: &&PackedSpikes| {
                    !geometry.is_depthwise()
                        && spikes.at_most(synapse.product, CONV_FORWARD_ADDITIONS)
                };
                let values = match spikes.as_ref().filter(by_events) {
                    Some(spikes) => {
                        let weights = weights_inside(&weight, &geometry);
                        geometry.forward(&spikes.bits, slice(&weights), bias)
                    }
                    None => {
                        let (weights, order) = match stored_inside(&weight, &geometry) {
                            Some(weights) => (weights, WeightOrder::Inside),
                            None => (weight.to_contiguous(), WeightOrder::Tensor),
                        };
                        geometry.dense_forward(slice(&inside), (slice(&weights), order), bias)
                    }
                };
                let input = SynapseInput::new(spikes, inside, shape.clone());
                let inside = with_end(&shape, [height, width, geometry.outputs]);
                (from_channels_last(tensor(values, inside)), input)
            }
        }
    }

    fn synapse_backward(
        kept: SynapseKept<Self>,
        gradient: FlexTensor,
        [by_x, by_weight, by_bias]: [bool; 3],
    ) -> InputGradients<Self, 3> {
        let weight = kept.weight;
        match (kept.synapse.kind, kept.input) {
            (SynapseKind::Linear, input) => {
                let gradient = match &input {
                    SynapseInput::Dense(_) => gradient,
                    SynapseInput::Spikes(..) => gradient.to_contiguous(),
                };
                let of_weight = by_weight.then(|| match input {
                    SynapseInput::Dense(x) => Flex::linear_weight_backward(x, gradient.clone()),
                    SynapseInput::Spikes(spikes, _) => {
                        let [inputs, outputs] = weight.shape().dims();
                        let numbers = DenseColumns::all(slice(&gradient), outputs);
                        let bits = spikes.bits.transposed();
                        let values = product(&bits, numbers, None);
                        tensor(values, Shape::from(vec![inputs, outputs]))
                    }
                });
                let of_bias = by_bias.then(|| bias_backward(&gradient.to_contiguous()));
                let of_x = by_x.then(|| Flex::linear_x_backward(weight, gradient));
                [of_x, of_weight, of_bias]
            }
            (SynapseKind::Conv2d(window), input) => {
                let shape = match &input {
                    SynapseInput::Dense(inside) => from_channels_last(inside.clone()).shape(),
                    SynapseInput::Spikes(_, shape) => shape.clone(),
                };
                let geometry = geometry(&shape, &weight, window);
                let inside = to_channels_last(&gradient);
                drop(gradient);
                let of_weight = by_weight.then(|| {
                    let values = match &input {
                        SynapseInput::Dense(x) => {
                            geometry.dense_weights_backward(slice(x), slice(&inside))
                        }
                        SynapseInput::Spikes(spikes, _) => geometry.weights_outside(
                            &geometry.weights_backward(&spikes.bits, slice(&inside)),
                        ),
                    };
                    tensor(values, weight.shape())
                });
                let of_x = by_x.then(|| {
                    let weight = weight.to_contiguous();
                    let values = geometry.input_backward(slice(&weight), slice(&inside));
                    let [height, width] = geometry.size;
                    let of_images = with_end(&shape, [height, width, geometry.channels]);
                    from_channels_last(tensor(values, of_images))
                });
                [of_x, of_weight, by_bias.then(|| bias_backward(&inside))]
            }
        }
    }
}

/// The gradient of the bias of the outputs, which are the last axis.
fn bias_backward(gradient: &FlexTensor) -> FlexTensor {
    let shape = gradient.shape();
    let outputs = shape[shape.num_dims() - 1];
    let sums = column_sums(slice(gradient), outputs);
    tensor(sums, Shape::from(vec![outputs]))
}
