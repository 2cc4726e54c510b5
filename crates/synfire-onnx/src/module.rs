//! Burn's operations of modules as nodes of ONNX.

use burn::backend::capture::TensorId;
use burn::backend::ir::{
    AdaptiveAvgPool2dOpIr, AvgPool2dOpIr, BatchNormOpIr, Conv1dOpIr, Conv2dOpIr, InterpolateModeIr,
    InterpolateOpIr, LinearOpIr, ModuleOperationIr, TensorIr,
};

use crate::OnnxError;
use crate::builder::Builder;
use crate::lower::unknown;
use crate::proto::Attribute;

type Lowered = Result<(), OnnxError>;

impl Builder {
    pub(crate) fn module(&mut self, operation: ModuleOperationIr) -> Lowered {
        use ModuleOperationIr as Module;
        match operation {
            Module::Linear(op) => self.linear(&op),
            Module::Conv1d(op) => self.conv1d(&op),
            Module::Conv2d(op) => self.conv2d(&op),
            Module::BatchNorm(op) => self.batch_norm(&op),
            Module::AvgPool2d(op) => self.avg_pool(&op),
            Module::AdaptiveAvgPool2d(op) => self.adaptive_avg_pool(&op),
            Module::MaxPool2d(op) => {
                let window = [op.kernel_size, op.stride, op.padding, op.dilation];
                if op.ceil_mode && !is_whole(&op.x, window) {
                    return Err(unknown(&Module::MaxPool2d(op)));
                }
                self.max_pool(&op.x, window, &op.out)
            }
            // Without the positions, which only the backward pass reads.
            Module::MaxPool2dWithIndices(op) => {
                let window = [op.kernel_size, op.stride, op.padding, op.dilation];
                if op.ceil_mode && !is_whole(&op.x, window) {
                    return Err(unknown(&Module::MaxPool2dWithIndices(op)));
                }
                self.max_pool(&op.x, window, &op.out)
            }
            Module::Interpolate(op) => self.interpolate(op),
            other => Err(unknown(&other)),
        }
    }

    fn linear(&mut self, op: &LinearOpIr) -> Lowered {
        let inputs = vec![self.name(op.x.id)?, self.name(op.weight.id)?];
        let Some(bias) = &op.bias else {
            self.add_as("MatMul", inputs, vec![], &op.out);
            return Ok(());
        };
        let product = self.add("MatMul", inputs, vec![]);
        let bias = self.name(bias.id)?;
        self.add_as("Add", vec![product, bias], vec![], &op.out);
        Ok(())
    }

    /// Input, weights, and biases if there are any.
    fn convolved(
        &mut self,
        x: TensorId,
        weight: TensorId,
        bias: Option<&TensorIr>,
    ) -> Result<Vec<String>, OnnxError> {
        let ids = [x, weight].into_iter().chain(bias.map(|bias| bias.id));
        ids.map(|id| self.name(id)).collect()
    }

    fn conv1d(&mut self, op: &Conv1dOpIr) -> Lowered {
        let inputs = self.convolved(op.x.id, op.weight.id, op.bias.as_ref())?;
        let options = &op.options;
        let [(start, end)] = options.padding;
        let attributes = vec![
            Attribute::ints("strides", options.stride),
            Attribute::ints("pads", [start, end]),
            Attribute::ints("dilations", options.dilation),
            Attribute::int("group", options.groups),
        ];
        self.add_as("Conv", inputs, attributes, &op.out);
        Ok(())
    }

    fn conv2d(&mut self, op: &Conv2dOpIr) -> Lowered {
        let inputs = self.convolved(op.x.id, op.weight.id, op.bias.as_ref())?;
        let options = &op.options;
        let [(top, bottom), (left, right)] = options.padding;
        let attributes = vec![
            Attribute::ints("strides", options.stride),
            Attribute::ints("pads", [top, left, bottom, right]),
            Attribute::ints("dilations", options.dilation),
            Attribute::int("group", options.groups),
        ];
        self.add_as("Conv", inputs, attributes, &op.out);
        Ok(())
    }

    fn batch_norm(&mut self, op: &BatchNormOpIr) -> Lowered {
        let inputs = [&op.x, &op.gamma, &op.beta, &op.mean, &op.variance];
        let inputs = inputs.map(|tensor| self.name(tensor.id));
        let inputs = inputs.into_iter().collect::<Result<_, _>>()?;
        let epsilon = vec![Attribute::float("epsilon", op.epsilon.elem())];
        self.add_as("BatchNormalization", inputs, epsilon, &op.out);
        Ok(())
    }

    fn avg_pool(&mut self, op: &AvgPool2dOpIr) -> Lowered {
        let window = [op.kernel_size, op.stride, op.padding, [1, 1]];
        if op.ceil_mode && !is_whole(&op.x, window) {
            return Err(unknown(&ModuleOperationIr::AvgPool2d(op.clone())));
        }
        let input = self.name(op.x.id)?;
        let [y, x] = op.padding;
        let attributes = vec![
            Attribute::ints("kernel_shape", op.kernel_size),
            Attribute::ints("strides", op.stride),
            Attribute::ints("pads", [y, x, y, x]),
            Attribute::int("count_include_pad", usize::from(op.count_include_pad)),
        ];
        self.add_as("AveragePool", vec![input], attributes, &op.out);
        Ok(())
    }

    /// Where all windows are of one size.
    fn adaptive_avg_pool(&mut self, op: &AdaptiveAvgPool2dOpIr) -> Lowered {
        let image = [op.x.shape[2], op.x.shape[3]];
        let [height, width] = op.output_size;
        if !image[0].is_multiple_of(height) || !image[1].is_multiple_of(width) {
            return Err(unknown(&ModuleOperationIr::AdaptiveAvgPool2d(op.clone())));
        }
        let window = [image[0] / height, image[1] / width];
        let input = self.name(op.x.id)?;
        let attributes = vec![
            Attribute::ints("kernel_shape", window),
            Attribute::ints("strides", window),
        ];
        self.add_as("AveragePool", vec![input], attributes, &op.out);
        Ok(())
    }

    fn interpolate(&mut self, op: InterpolateOpIr) -> Lowered {
        let (mode, coordinates) = match (&op.options.mode, op.options.align_corners) {
            (InterpolateModeIr::Nearest, _) => ("nearest", "asymmetric"),
            (InterpolateModeIr::Bilinear, true) => ("linear", "align_corners"),
            (InterpolateModeIr::Bilinear, false) => ("linear", "half_pixel"),
            _ => return Err(unknown(&ModuleOperationIr::Interpolate(op))),
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

    fn max_pool(
        &mut self,
        input: &TensorIr,
        [kernel, stride, padding, dilation]: [[usize; 2]; 4],
        out: &TensorIr,
    ) -> Lowered {
        let input = self.name(input.id)?;
        let [y, x] = padding;
        let attributes = vec![
            Attribute::ints("kernel_shape", kernel),
            Attribute::ints("strides", stride),
            Attribute::ints("pads", [y, x, y, x]),
            Attribute::ints("dilations", dilation),
        ];
        self.add_as("MaxPool", vec![input], attributes, out);
        Ok(())
    }
}

/// Whether windows cover an image to its end, so that rounding their number up is rounding it down. Where they do not, Burn and
/// readers of ONNX disagree.
fn is_whole(input: &TensorIr, [kernel, stride, padding, dilation]: [[usize; 2]; 4]) -> bool {
    (0..2).all(|axis| {
        let window = dilation[axis] * (kernel[axis] - 1) + 1;
        let size = input.shape[2 + axis] + 2 * padding[axis];
        size.saturating_sub(window).is_multiple_of(stride[axis])
    })
}
