//! Convolutions.

use burn::nn::PaddingConfig2d;

use crate::Array;
use crate::error::Problem;
use crate::field::{Padding, checked_shape};
use crate::layer::{Build, Layer, Weights};
use crate::node::{Shapes, primitive};

/// Defines a convolution over so many axes.
macro_rules! convolution {
    ($(#[$doc:meta])* $name:ident: $axes:literal) => {
        primitive! {
            $(#[$doc])*
            pub struct $name {
                /// The sizes of the input along the axes of a window.
                pub input_shape: Option<[usize; $axes]>,
                /// The weights, `[outputs, inputs / groups, ...]`.
                pub weight: Array,
                /// The distance of windows.
                pub stride: [usize; $axes],
                /// The zeros at all sides.
                pub padding: Padding<$axes>,
                /// The distance of elements of a window.
                pub dilation: [usize; $axes],
                /// The number of groups of channels.
                pub groups: i64,
                /// The biases, `[outputs]`.
                pub bias: Array,
            }

            fn shapes(&self, input: Option<&[usize]>) -> Result<Option<Shapes>, Problem> {
                self.window()?.shapes(input)
            }

            fn layer(&self, build: &Build) -> Result<Layer, Problem> {
                self.window()?.layer(build)
            }

            fn set_weights(&mut self, weights: Weights) {
                self.weight = weights.weight.shaped(self.weight.shape());
                self.bias = weights.bias.unwrap_or_else(|| self.bias.clone());
            }
        }

        impl $name {
            fn window(&self) -> Result<Window<'_, $axes>, Problem> {
                let Self {
                    input_shape,
                    weight,
                    stride,
                    padding,
                    dilation,
                    groups,
                    bias,
                } = self;
                Window::new(*input_shape, weight, *stride, *padding, *dilation, *groups, bias)
            }
        }
    };
}

convolution! {
    /// A convolution of lines, `[channels, length]`, as PyTorch counts.
    Conv1d: 1
}

convolution! {
    /// A convolution of images, `[channels, height, width]`, as PyTorch counts.
    Conv2d: 2
}

/// The options of a convolution over `N` axes.
struct Window<'a, const N: usize> {
    input_shape: Option<[usize; N]>,
    weight: &'a Array,
    bias: &'a Array,
    size: [usize; N],
    stride: [usize; N],
    padding: [(usize, usize); N],
    dilation: [usize; N],
    channels: [usize; 2],
    groups: usize,
}

impl<'a, const N: usize> Window<'a, N> {
    fn new(
        input_shape: Option<[usize; N]>,
        weight: &'a Array,
        stride: [usize; N],
        padding: Padding<N>,
        dilation: [usize; N],
        groups: i64,
        bias: &'a Array,
    ) -> Result<Self, Problem> {
        let shape = weight.shape();
        let wrong = || {
            let axes = if N == 1 { "size" } else { "height, width" };
            let expected = format!("[outputs, inputs / groups, {axes}]");
            Problem::new(
                "weight",
                format!("is of shape {shape:?}, expected {expected}"),
            )
        };
        if shape.contains(&0) {
            return Err(wrong());
        }
        let [outputs, inputs, ref size @ ..] = *shape else {
            return Err(wrong());
        };
        let size: [usize; N] = size.try_into().map_err(|_| wrong())?;
        for (name, sizes) in [("stride", stride), ("dilation", dilation)] {
            if sizes.contains(&0) {
                return Err(Problem::new(name, "is 0, expected at least 1"));
            }
        }
        let padding = match padding {
            Padding::Valid => [(0, 0); N],
            Padding::Same if stride == [1; N] => std::array::from_fn(|axis| {
                let total = dilation[axis].saturating_mul(size[axis] - 1);
                (total / 2, total - total / 2)
            }),
            Padding::Same => {
                let problem = format!("is `same` with a stride of {stride:?}, expected 1");
                return Err(Problem::new("padding", problem));
            }
            Padding::Zeros(sizes) => sizes.map(|size| (size, size)),
        };
        let divides = |groups: &usize| *groups > 0 && outputs % groups == 0;
        let found = groups;
        let groups = usize::try_from(groups).ok().filter(divides);
        let groups = groups.ok_or_else(|| {
            let problem = format!("is {found}, which does not divide the {outputs} outputs");
            Problem::new("groups", problem)
        })?;
        if bias.broadcast(&[outputs]).is_none() {
            let problem = format!("is of shape {:?}, expected [{outputs}]", bias.shape());
            return Err(Problem::new("bias", problem));
        }
        Ok(Self {
            input_shape,
            weight,
            bias,
            size,
            stride,
            padding,
            dilation,
            channels: [inputs.checked_mul(groups).ok_or_else(wrong)?, outputs],
            groups,
        })
    }

    fn shapes(&self, input: Option<&[usize]>) -> Result<Option<Shapes>, Problem> {
        let [inputs, outputs] = self.channels;
        let own = self
            .input_shape
            .map(|sizes| [&[inputs], sizes.as_slice()].concat());
        let Some(input) = input.map(<[usize]>::to_vec).or(own) else {
            return Ok(None);
        };
        let sizes: Option<[usize; N]> = input.get(1..).and_then(|sizes| sizes.try_into().ok());
        let sizes = sizes.filter(|_| input[0] == inputs).ok_or_else(|| {
            let problem =
                format!("takes {inputs} channels and {N} more axes, but {input:?} comes in");
            Problem::new("weight", problem)
        })?;
        if let Some(own) = self.input_shape
            && own != sizes
        {
            let problem = format!("is {own:?}, but {input:?} comes in");
            return Err(Problem::new("input_shape", problem));
        }
        checked_shape("input_shape", &input)?;
        let padded = self.padding.iter().zip(&sizes);
        let padded: Vec<usize> = padded
            .map(|((start, end), size)| size + start + end)
            .collect();
        checked_shape("padding", &[&[inputs], padded.as_slice()].concat())?;
        let output = windows(
            "weight",
            sizes,
            self.size,
            self.stride,
            self.padding,
            self.dilation,
        )?;
        let output = [&[outputs], output.as_slice()].concat();
        checked_shape("input_shape", &output)?;
        Ok(Some(Shapes { input, output }))
    }

    fn layer(&self, build: &Build) -> Result<Layer, Problem> {
        // Lines are images of height 1.
        let image = |one: usize, sizes: [usize; N]| -> [usize; 2] {
            match *sizes.as_slice() {
                [width] => [one, width],
                [height, width] => [height, width],
                _ => unreachable!("windows have one or two axes"),
            }
        };
        let [top, left] = image(0, self.padding.map(|(start, _)| start));
        let [bottom, right] = image(0, self.padding.map(|(_, end)| end));
        Ok(Layer::conv(
            self.weight,
            self.bias,
            image(1, self.size),
            image(1, self.stride),
            image(1, self.dilation),
            PaddingConfig2d::Explicit(top, left, bottom, right),
            self.groups,
            build,
        ))
    }
}

/// The number of windows along each axis.
pub(super) fn windows<const N: usize>(
    name: &'static str,
    input: [usize; N],
    size: [usize; N],
    stride: [usize; N],
    padding: [(usize, usize); N],
    dilation: [usize; N],
) -> Result<[usize; N], Problem> {
    let along = |axis: usize| {
        let (start, end) = padding[axis];
        let padded = input[axis].checked_add(start)?.checked_add(end)?;
        let reach = dilation[axis]
            .checked_mul(size[axis].checked_sub(1)?)?
            .checked_add(1)?;
        Some(padded.checked_sub(reach)? / stride[axis] + 1)
    };
    let mut counts = [0; N];
    for (axis, count) in counts.iter_mut().enumerate() {
        *count = along(axis).ok_or_else(|| {
            let problem = format!("has windows {size:?}, which do not fit into {input:?}");
            Problem::new(name, problem)
        })?;
    }
    Ok(counts)
}
