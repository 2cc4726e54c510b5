//! Convolutions.

use burn::nn::PaddingConfig2d;

use crate::Array;
use crate::error::Problem;
use crate::field::{Padding, checked_shape};
use crate::layer::{Build, Layer, Weights};
use crate::node::{Shapes, primitive};

primitive! {
    /// A convolution of lines, `[channels, length]`, as PyTorch counts.
    pub struct Conv1d {
        /// The length of what comes in.
        pub input_shape: Option<[usize; 1]>,
        /// The weights, `[outputs, inputs / groups, size]`.
        pub weight: Array,
        /// The distance of windows.
        pub stride: [usize; 1],
        /// The zeros at both ends.
        pub padding: Padding<1>,
        /// The distance of elements of a window.
        pub dilation: [usize; 1],
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

primitive! {
    /// A convolution of images, `[channels, height, width]`, as PyTorch counts.
    pub struct Conv2d {
        /// Height and width of what comes in.
        pub input_shape: Option<[usize; 2]>,
        /// The weights, `[outputs, inputs / groups, height, width]`.
        pub weight: Array,
        /// The distance of windows.
        pub stride: [usize; 2],
        /// The zeros at all sides.
        pub padding: Padding<2>,
        /// The distance of pixels of a window.
        pub dilation: [usize; 2],
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

impl Conv1d {
    fn window(&self) -> Result<Window<'_, 1>, Problem> {
        Window {
            input_shape: self.input_shape,
            size: [0],
            stride: self.stride,
            padding: [(0, 0)],
            dilation: self.dilation,
            channels: [0; 2],
            groups: 0,
            weight: &self.weight,
            bias: &self.bias,
        }
        .checked(self.padding, self.groups)
    }
}

impl Conv2d {
    fn window(&self) -> Result<Window<'_, 2>, Problem> {
        Window {
            input_shape: self.input_shape,
            size: [0; 2],
            stride: self.stride,
            padding: [(0, 0); 2],
            dilation: self.dilation,
            channels: [0; 2],
            groups: 0,
            weight: &self.weight,
            bias: &self.bias,
        }
        .checked(self.padding, self.groups)
    }
}

impl<const N: usize> Window<'_, N> {
    /// Fills in what follows from the weights.
    fn checked(mut self, padding: Padding<N>, groups: i64) -> Result<Self, Problem> {
        let shape = self.weight.shape();
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
        self.size = size.try_into().map_err(|_| wrong())?;
        for (name, sizes) in [("stride", self.stride), ("dilation", self.dilation)] {
            if sizes.contains(&0) {
                return Err(Problem::new(name, "is 0, expected at least 1"));
            }
        }
        self.padding = match padding {
            Padding::Valid => [(0, 0); N],
            Padding::Same if self.stride == [1; N] => std::array::from_fn(|axis| {
                let total = self.dilation[axis].saturating_mul(self.size[axis] - 1);
                (total / 2, total - total / 2)
            }),
            Padding::Same => {
                let problem = format!("is `same` with a stride of {:?}, expected 1", self.stride);
                return Err(Problem::new("padding", problem));
            }
            Padding::Zeros(sizes) => sizes.map(|size| (size, size)),
        };
        let divides = |groups: &usize| *groups > 0 && outputs % groups == 0;
        let found = groups;
        let groups = usize::try_from(groups).ok().filter(divides);
        self.groups = groups.ok_or_else(|| {
            let problem = format!("is {found}, which does not divide the {outputs} outputs");
            Problem::new("groups", problem)
        })?;
        if self.bias.broadcast(&[outputs]).is_none() {
            let problem = format!("is of shape {:?}, expected [{outputs}]", self.bias.shape());
            return Err(Problem::new("bias", problem));
        }
        self.channels = [inputs.checked_mul(self.groups).ok_or_else(wrong)?, outputs];
        Ok(self)
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
