//! Burn's operations as nodes of ONNX (operators of version 18).

use burn::backend::ir::{
    ActivationOperationIr, BaseOperationIr, BinaryOpIr, BoolOperationIr, CastOpIr,
    FloatOperationIr, IntOperationIr, MaskFillOpIr, NumericOperationIr, OperationIr, PadModeIr,
    PadOpIr, ReduceDimOpIr, ReduceOpIr, ScalarIr, ScalarOpIr, SliceOpIr, TensorIr, UnaryOpIr,
};
use burn::tensor::DType;

use crate::OnnxError;
use crate::builder::{Builder, data_type, filled};
use crate::proto::Attribute;

type Lowered = Result<(), OnnxError>;

/// Adds an operation to a graph.
pub(crate) fn lower(builder: &mut Builder, operation: OperationIr) -> Lowered {
    match operation {
        OperationIr::Init(_) | OperationIr::Drop(_) => Ok(()),
        OperationIr::BaseFloat(base) | OperationIr::BaseInt(base) | OperationIr::BaseBool(base) => {
            builder.base(base)
        }
        OperationIr::NumericFloat(_, numeric) | OperationIr::NumericInt(_, numeric) => {
            builder.numeric(numeric)
        }
        OperationIr::Float(_, float) => builder.float(float),
        OperationIr::Bool(bool) => builder.bool(bool),
        OperationIr::Int(IntOperationIr::IntoFloat(op)) => builder.cast(&op),
        OperationIr::Module(module) => builder.module(module),
        OperationIr::Activation(activation) => builder.activation(activation),
        other => Err(unknown(&other)),
    }
}

/// The error for an operation, by the names of its variants.
pub(crate) fn unknown(operation: &impl std::fmt::Debug) -> OnnxError {
    let text = format!("{operation:?}");
    let end = text.find(" {").unwrap_or(text.len());
    let path = text[..end].split('(');
    // The last one is the struct with the arguments.
    let mut path: Vec<_> = path.collect();
    if path.len() > 1 {
        path.pop();
    }
    refused(&path.join("::"))
}

/// The error for an operation of this name.
pub(crate) fn refused(operation: &str) -> OnnxError {
    OnnxError::Operation {
        operation: operation.to_owned(),
        place: String::new(),
    }
}

impl Builder {
    fn base(&mut self, operation: BaseOperationIr) -> Lowered {
        use BaseOperationIr as Base;
        match operation {
            Base::Reshape(op) => {
                let shape = self.sizes(op.out.shape.to_vec());
                let input = self.name(op.input.id)?;
                // A size of 0 is one, not a copy of that before.
                let zeros = vec![Attribute::int("allowzero", 1)];
                self.add_as("Reshape", vec![input, shape], zeros, &op.out);
                Ok(())
            }
            Base::SwapDims(op) => {
                let mut order: Vec<usize> = (0..op.input.shape.num_dims()).collect();
                order.swap(op.dim1, op.dim2);
                self.transpose(&op.input, order, &op.out)
            }
            Base::Permute(op) => self.transpose(&op.input, op.axes, &op.out),
            Base::Expand(op) => {
                let shape = self.sizes(op.out.shape.to_vec());
                self.apply_with("Expand", &op.input, [shape], &op.out)
            }
            Base::Slice(op) => self.slice(&op),
            Base::Select(op) => {
                let axis = vec![Attribute::int("axis", op.dim)];
                self.apply("Gather", [&op.tensor, &op.indices], axis, &op.out)
            }
            Base::Gather(op) => {
                let axis = vec![Attribute::int("axis", op.dim)];
                self.apply("GatherElements", [&op.tensor, &op.indices], axis, &op.out)
            }
            Base::MaskWhere(op) => {
                let inputs = [&op.mask, &op.value, &op.tensor];
                self.apply("Where", inputs, vec![], &op.out)
            }
            Base::MaskFill(op) => self.mask_fill(&op),
            Base::RepeatDim(op) => {
                let mut times = vec![1; op.tensor.shape.num_dims()];
                times[op.dim] = op.times;
                let times = self.sizes(times);
                self.apply_with("Tile", &op.tensor, [times], &op.out)
            }
            Base::Cat(op) => {
                let axis = vec![Attribute::int("axis", op.dim)];
                self.apply("Concat", &op.tensors, axis, &op.out)
            }
            Base::Cast(op) => self.cast(&op),
            Base::Empty(op) | Base::Zeros(op) => self.full(&op.out, ScalarIr::Int(0)),
            Base::Ones(op) => self.full(&op.out, ScalarIr::Int(1)),
            Base::Equal(op) => self.binary("Equal", &op),
            Base::EqualElem(op) => self.with_scalar("Equal", &op),
            Base::NotEqual(op) => {
                let inputs = self.names([&op.lhs, &op.rhs])?;
                let equal = self.add("Equal", inputs, vec![]);
                self.add_as("Not", vec![equal], vec![], &op.out);
                Ok(())
            }
            Base::NotEqualElem(op) => {
                let scalar = self.scalar(op.rhs, op.lhs.dtype)?;
                let inputs = vec![self.name(op.lhs.id)?, scalar];
                let equal = self.add("Equal", inputs, vec![]);
                self.add_as("Not", vec![equal], vec![], &op.out);
                Ok(())
            }
            other => Err(unknown(&other)),
        }
    }

    fn numeric(&mut self, operation: NumericOperationIr) -> Lowered {
        use NumericOperationIr as Numeric;
        match operation {
            Numeric::Add(op) => self.binary("Add", &op),
            Numeric::AddScalar(op) => self.with_scalar("Add", &op),
            Numeric::Sub(op) => self.binary("Sub", &op),
            Numeric::SubScalar(op) => self.with_scalar("Sub", &op),
            Numeric::Mul(op) => self.binary("Mul", &op),
            Numeric::MulScalar(op) => self.with_scalar("Mul", &op),
            Numeric::Div(op) => self.binary("Div", &op),
            Numeric::DivScalar(op) => self.with_scalar("Div", &op),
            Numeric::Powi(op) => self.binary("Pow", &op),
            Numeric::PowiScalar(op) => self.with_scalar("Pow", &op),
            Numeric::Greater(op) => self.binary("Greater", &op),
            Numeric::GreaterElem(op) => self.with_scalar("Greater", &op),
            Numeric::GreaterEqual(op) => self.binary("GreaterOrEqual", &op),
            Numeric::GreaterEqualElem(op) => self.with_scalar("GreaterOrEqual", &op),
            Numeric::Lower(op) => self.binary("Less", &op),
            Numeric::LowerElem(op) => self.with_scalar("Less", &op),
            Numeric::LowerEqual(op) => self.binary("LessOrEqual", &op),
            Numeric::LowerEqualElem(op) => self.with_scalar("LessOrEqual", &op),
            Numeric::Abs(op) => self.unary("Abs", &op),
            Numeric::Neg(op) => self.unary("Neg", &op),
            Numeric::Sign(op) => self.unary("Sign", &op),
            Numeric::Full(op) => self.full(&op.out, op.value),
            Numeric::Sum(op) => self.reduce_all("ReduceSum", &op),
            Numeric::Mean(op) => self.reduce_all("ReduceMean", &op),
            Numeric::Max(op) => self.reduce_all("ReduceMax", &op),
            Numeric::Min(op) => self.reduce_all("ReduceMin", &op),
            Numeric::SumDim(op) => self.reduce("ReduceSum", &op),
            Numeric::MeanDim(op) => self.reduce("ReduceMean", &op),
            Numeric::MaxDim(op) => self.reduce("ReduceMax", &op),
            Numeric::MinDim(op) => self.reduce("ReduceMin", &op),
            Numeric::ProdDim(op) => self.reduce("ReduceProd", &op),
            Numeric::SumDims(op) => {
                let axes = self.sizes(op.axes);
                self.apply_with("ReduceSum", &op.input, [axes], &op.out)
            }
            Numeric::CumSum(op) => {
                let axis = self.scalar(ScalarIr::Int(op.axis as i64), DType::I64)?;
                self.apply_with("CumSum", &op.input, [axis], &op.out)
            }
            Numeric::Clamp(op) => {
                let dtype = op.tensor.dtype;
                let limits = [self.scalar(op.min, dtype)?, self.scalar(op.max, dtype)?];
                self.apply_with("Clip", &op.tensor, limits, &op.out)
            }
            Numeric::ClampMin(op) => self.with_scalar("Max", &op),
            Numeric::ClampMax(op) => self.with_scalar("Min", &op),
            Numeric::Pad(op) => self.pad(&op),
            other => Err(unknown(&other)),
        }
    }

    fn float(&mut self, operation: FloatOperationIr) -> Lowered {
        use FloatOperationIr as Float;
        match operation {
            Float::Exp(op) => self.unary("Exp", &op),
            Float::Log(op) => self.unary("Log", &op),
            Float::Erf(op) => self.unary("Erf", &op),
            Float::Sqrt(op) => self.unary("Sqrt", &op),
            Float::Cos(op) => self.unary("Cos", &op),
            Float::Sin(op) => self.unary("Sin", &op),
            Float::Tan(op) => self.unary("Tan", &op),
            Float::Cosh(op) => self.unary("Cosh", &op),
            Float::Sinh(op) => self.unary("Sinh", &op),
            Float::Tanh(op) => self.unary("Tanh", &op),
            Float::ArcTan(op) => self.unary("Atan", &op),
            Float::Round(op) => self.unary("Round", &op),
            Float::Floor(op) => self.unary("Floor", &op),
            Float::Ceil(op) => self.unary("Ceil", &op),
            Float::Recip(op) => self.unary("Reciprocal", &op),
            Float::IsNan(op) => self.unary("IsNaN", &op),
            Float::IsInf(op) => self.unary("IsInf", &op),
            Float::PowfScalar(op) => self.with_scalar("Pow", &op),
            Float::Powf(op) => self.binary("Pow", &op),
            Float::IntoInt(op) => self.cast(&op),
            Float::Matmul(op) => self.apply("MatMul", [&op.lhs, &op.rhs], vec![], &op.out),
            other => Err(unknown(&other)),
        }
    }

    fn bool(&mut self, operation: BoolOperationIr) -> Lowered {
        match operation {
            BoolOperationIr::IntoFloat(op) | BoolOperationIr::IntoInt(op) => self.cast(&op),
            BoolOperationIr::Not(op) => self.unary("Not", &op),
            BoolOperationIr::And(op) => self.binary("And", &op),
            BoolOperationIr::Or(op) => self.binary("Or", &op),
            BoolOperationIr::Xor(op) => self.binary("Xor", &op),
        }
    }

    fn activation(&mut self, operation: ActivationOperationIr) -> Lowered {
        use ActivationOperationIr as Activation;
        match operation {
            Activation::Relu(op) => self.unary("Relu", &op),
            Activation::Sigmoid(op) => self.unary("Sigmoid", &op),
            Activation::Softmax(op) => {
                let axis = vec![Attribute::int("axis", op.axis)];
                self.apply("Softmax", [&op.input], axis, &op.out)
            }
            Activation::LeakyRelu(op) => {
                let slope = vec![Attribute::float("alpha", op.rhs.elem())];
                self.apply("LeakyRelu", [&op.lhs], slope, &op.out)
            }
            other => Err(unknown(&other)),
        }
    }

    fn unary(&mut self, operator: &str, op: &UnaryOpIr) -> Lowered {
        self.apply(operator, [&op.input], vec![], &op.out)
    }

    fn binary(&mut self, operator: &str, op: &BinaryOpIr) -> Lowered {
        self.apply(operator, [&op.lhs, &op.rhs], vec![], &op.out)
    }

    fn with_scalar(&mut self, operator: &str, op: &ScalarOpIr) -> Lowered {
        let scalar = self.scalar(op.rhs, op.lhs.dtype)?;
        self.apply_with(operator, &op.lhs, [scalar], &op.out)
    }

    fn reduce(&mut self, operator: &str, op: &ReduceDimOpIr) -> Lowered {
        let axes = self.sizes([op.axis]);
        self.apply_with(operator, &op.input, [axes], &op.out)
    }

    fn reduce_all(&mut self, operator: &str, op: &ReduceOpIr) -> Lowered {
        let input = self.name(op.input.id)?;
        let all = vec![Attribute::int("keepdims", 0)];
        let scalar = self.add(operator, vec![input], all);
        let shape = self.sizes(op.out.shape.to_vec());
        self.add_as("Reshape", vec![scalar, shape], vec![], &op.out);
        Ok(())
    }

    fn transpose(&mut self, input: &TensorIr, order: Vec<usize>, out: &TensorIr) -> Lowered {
        let order = vec![Attribute::ints("perm", order)];
        self.apply("Transpose", [input], order, out)
    }

    fn slice(&mut self, op: &SliceOpIr) -> Lowered {
        let ranges = op.ranges.iter();
        if ranges.clone().any(|range| range.step < 1) {
            return Err(refused("Slice"));
        }
        let end = |(axis, end): (usize, Option<isize>)| match end {
            Some(end) => end as i64,
            None => op.tensor.shape[axis] as i64,
        };
        let starts = self.ints(ranges.clone().map(|range| range.start as i64));
        let ends = self.ints(ranges.clone().map(|range| range.end).enumerate().map(end));
        let axes = self.sizes(0..op.ranges.len());
        let steps = self.ints(ranges.map(|range| range.step as i64));
        let ranges = [starts, ends, axes, steps];
        self.apply_with("Slice", &op.tensor, ranges, &op.out)
    }

    fn cast(&mut self, op: &CastOpIr) -> Lowered {
        let to = data_type(op.out.dtype)? as usize;
        let to = vec![Attribute::int("to", to)];
        self.apply("Cast", [&op.input], to, &op.out)
    }

    fn full(&mut self, out: &TensorIr, value: ScalarIr) -> Lowered {
        let shape = self.sizes(out.shape.to_vec());
        let value = vec![filled(value, out.dtype)?];
        self.add_as("ConstantOfShape", vec![shape], value, out);
        Ok(())
    }

    fn mask_fill(&mut self, op: &MaskFillOpIr) -> Lowered {
        let value = self.scalar(op.value, op.tensor.dtype)?;
        let inputs = vec![self.name(op.mask.id)?, value, self.name(op.tensor.id)?];
        self.add_as("Where", inputs, vec![], &op.out);
        Ok(())
    }

    fn pad(&mut self, op: &PadOpIr) -> Lowered {
        let (mode, value) = match &op.mode {
            PadModeIr::Constant(value) => ("constant", *value),
            PadModeIr::Reflect => ("reflect", ScalarIr::Int(0)),
            PadModeIr::Edge => ("edge", ScalarIr::Int(0)),
        };
        let (starts, ends): (Vec<usize>, Vec<usize>) = op.padding.iter().copied().unzip();
        let pads = self.sizes(starts.into_iter().chain(ends));
        let value = self.scalar(value, op.input.dtype)?;
        let input = self.name(op.input.id)?;
        let mode = vec![Attribute::text("mode", mode)];
        self.add_as("Pad", vec![input, pads, value], mode, &op.out);
        Ok(())
    }
}
