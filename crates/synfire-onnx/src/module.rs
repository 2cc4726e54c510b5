//! Burn's operations of modules as nodes of ONNX.

use burn::backend::ir::{
    AdaptiveAvgPool2dOpIr, InterpolateModeIr, InterpolateOpIr, LinearOpIr, ModuleOperationIr,
    TensorIr,
};

use crate::OnnxError;
use crate::builder::Builder;
use crate::lower::{refused, unknown};
use crate::proto::Attribute;

type Lowered = Result<(), OnnxError>;

impl Builder {
    pub(crate) fn module(&mut self, operation: ModuleOperationIr) -> Lowered {
        use ModuleOperationIr as Module;
        match operation {
            Module::Linear(op) => self.linear(&op),
            Module::Conv1d(op) => {
                let inputs = [&op.x, &op.weight].into_iter().chain(&op.bias);
                let options = &op.options;
                let attributes = conv(
                    options.stride,
                    options.padding,
                    options.dilation,
                    options.groups,
                );
                self.apply("Conv", inputs, attributes, &op.out)
            }
            Module::Conv2d(op) => {
                let inputs = [&op.x, &op.weight].into_iter().chain(&op.bias);
                let options = &op.options;
                let attributes = conv(
                    options.stride,
                    options.padding,
                    options.dilation,
                    options.groups,
                );
                self.apply("Conv", inputs, attributes, &op.out)
            }
            Module::BatchNorm(op) => {
                let inputs = [&op.x, &op.gamma, &op.beta, &op.mean, &op.variance];
                let epsilon = vec![Attribute::float("epsilon", op.epsilon.elem())];
                self.apply("BatchNormalization", inputs, epsilon, &op.out)
            }
            Module::AvgPool2d(op) => {
                let window = [op.kernel_size, op.stride, op.padding, [1, 1]];
                let mut attributes = pool("AvgPool2d", &op.x, window, op.ceil_mode)?;
                let padding = usize::from(op.count_include_pad);
                attributes.push(Attribute::int("count_include_pad", padding));
                self.apply("AveragePool", [&op.x], attributes, &op.out)
            }
            Module::AdaptiveAvgPool2d(op) => self.adaptive_avg_pool(&op),
            Module::MaxPool2d(op) => {
                let window = [op.kernel_size, op.stride, op.padding, op.dilation];
                let mut attributes = pool("MaxPool2d", &op.x, window, op.ceil_mode)?;
                attributes.push(Attribute::ints("dilations", op.dilation));
                self.apply("MaxPool", [&op.x], attributes, &op.out)
            }
            // Without the positions, which only the backward pass reads.
            Module::MaxPool2dWithIndices(op) => {
                let window = [op.kernel_size, op.stride, op.padding, op.dilation];
                let mut attributes = pool("MaxPool2dWithIndices", &op.x, window, op.ceil_mode)?;
                attributes.push(Attribute::ints("dilations", op.dilation));
                self.apply("MaxPool", [&op.x], attributes, &op.out)
            }
            Module::Interpolate(op) => self.interpolate(&op),
            other => Err(unknown(&other)),
        }
    }

    fn linear(&mut self, op: &LinearOpIr) -> Lowered {
        let inputs = self.names([&op.x, &op.weight])?;
        let Some(bias) = &op.bias else {
            self.add_as("MatMul", inputs, vec![], &op.out);
            return Ok(());
        };
        let product = self.add("MatMul", inputs, vec![]);
        let bias = self.name(bias.id)?;
        self.add_as("Add", vec![product, bias], vec![], &op.out);
        Ok(())
    }

    /// Where all windows are of one size.
    fn adaptive_avg_pool(&mut self, op: &AdaptiveAvgPool2dOpIr) -> Lowered {
        let image = [op.x.shape[2], op.x.shape[3]];
        let [height, width] = op.output_size;
        if !image[0].is_multiple_of(height) || !image[1].is_multiple_of(width) {
            return Err(refused("AdaptiveAvgPool2d"));
        }
        let window = [image[0] / height, image[1] / width];
        let attributes = vec![
            Attribute::ints("kernel_shape", window),
            Attribute::ints("strides", window),
        ];
        self.apply("AveragePool", [&op.x], attributes, &op.out)
    }

    fn interpolate(&mut self, op: &InterpolateOpIr) -> Lowered {
        let (mode, coordinates) = match (&op.options.mode, op.options.align_corners) {
            (InterpolateModeIr::Nearest, _) => ("nearest", "asymmetric"),
            (InterpolateModeIr::Bilinear, true) => ("linear", "align_corners"),
            (InterpolateModeIr::Bilinear, false) => ("linear", "half_pixel"),
            _ => return Err(refused("Interpolate")),
        };
        let attributes = vec![
            Attribute::text("mode", mode),
            Attribute::text("coordinate_transformation_mode", coordinates),
            Attribute::text("nearest_mode", "floor"),
        ];
        let sizes = self.sizes(op.out.shape.to_vec());
        let input = self.name(op.x.id)?;
        // Neither a region nor scales.
        let inputs = vec![input, String::new(), String::new(), sizes];
        self.add_as("Resize", inputs, attributes, &op.out);
        Ok(())
    }
}

/// The attributes of convolutions of N axes.
fn conv<const N: usize>(
    stride: [usize; N],
    padding: [(usize, usize); N],
    dilation: [usize; N],
    groups: usize,
) -> Vec<Attribute> {
    let [starts, ends] = [padding.map(|(start, _)| start), padding.map(|(_, end)| end)];
    vec![
        Attribute::ints("strides", stride),
        Attribute::ints("pads", starts.into_iter().chain(ends)),
        Attribute::ints("dilations", dilation),
        Attribute::int("group", groups),
    ]
}

/// The attributes of windows of an image. Where their number is rounded up, they must cover it to its end: Burn and readers of
/// ONNX disagree on the others.
fn pool(
    operation: &str,
    input: &TensorIr,
    [kernel, stride, padding, dilation]: [[usize; 2]; 4],
    ceil_mode: bool,
) -> Result<Vec<Attribute>, OnnxError> {
    let is_whole = |axis: usize| {
        let window = dilation[axis] * (kernel[axis] - 1) + 1;
        let size = input.shape[2 + axis] + 2 * padding[axis];
        size.saturating_sub(window).is_multiple_of(stride[axis])
    };
    if ceil_mode && !(is_whole(0) && is_whole(1)) {
        return Err(refused(operation));
    }
    let [y, x] = padding;
    Ok(vec![
        Attribute::ints("kernel_shape", kernel),
        Attribute::ints("strides", stride),
        Attribute::ints("pads", [y, x, y, x]),
    ])
}
