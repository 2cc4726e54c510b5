//! Networks as graphs.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use burn::backend::capture::{CapturedGraph, TensorId};
use burn::backend::ir::{
    BaseOperationIr, FloatOperationIr, ModuleOperationIr, NumericOperationIr, OperationIr,
    ScalarIr, TensorIr,
};
use burn::tensor::{Device, Tensor, TensorData};
use synfire::neuron::{
    CubaLifConfig, LeakyIntegratorConfig, LifConfig, NeuronConfig, Reset, Spikes, Values,
};
use synfire::ops::captured_id;
use synfire::spike::Forward;
use synfire_models::{Context, Described, SpikingNetwork};

use crate::field::Padding;
use crate::primitive::axes;
use crate::{
    Affine, Array, AvgPool2d, Conv1d, Conv2d, CubaLIF, Flatten, Graph, I, IF, Input, LI, LIF,
    Linear, NirError, NirOptions, Node, OnSpike, Output, Scale, SumPool2d, Threshold,
};

/// A network as a graph, with the options that its equations need.
#[derive(Clone, Debug)]
pub struct Export {
    /// The graph.
    pub graph: Graph,
    /// The options with which [`NirNetwork`](crate::NirNetwork) computes the same.
    pub options: NirOptions,
}

/// Writes any network whose layers NIR knows as a graph: those of the zoo, and modules of their parts that run them with the
/// methods of a [`Context`]. Batch normalisations are folded into weights.
///
/// The graph computes the same with the options beside it. The time constants are those of forward Euler with steps of
/// [`NirOptions::dt`]. Neurons that fire at their threshold, not above it, get the next lower number as their threshold.
///
/// # Errors
///
/// If the network has a layer that NIR does not know, such as maximum pooling, attention, or neurons with other equations. The
/// error names it.
///
/// ```
/// use burn::tensor::Device;
/// use synfire_models::StbpMlpConfig;
/// use synfire_nir::{NirNetwork, export};
///
/// let device = Device::default();
/// let network = StbpMlpConfig::new().with_sizes(vec![16, 8, 4]).init(&device)?;
/// let exported = export(&network)?;
/// let same = NirNetwork::new(&exported.graph, &exported.options, &device)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn export(network: &impl SpikingNetwork) -> Result<Export, NirError> {
    let sample = network.sample_shape();
    let fused = network.fuse();
    let neurons = fused.neurons();
    let device = Device::capture();
    let mut ports = [TensorId::new(0); 2];
    let marks: Rc<RefCell<Vec<Mark>>> = Rc::default();
    // An input is a tensor from elsewhere.
    let input = Tensor::<3>::zeros([1, 1, sample.iter().product()], &Device::flex());
    let captured = device.capture_scope(|scope| {
        let network = fused.to_device(&device);
        let input = input.to_device(&device);
        let marked = marks.clone();
        let mut context = Context::new().with_neurons_replaced(move |name, current, spikes| {
            // The rank of the type is not looked at.
            let [current, spikes] = [current, spikes].map(Tensor::<1>::from_dispatch);
            marked.borrow_mut().push(Mark {
                name: name.to_owned(),
                shape: current.shape()[2..].to_vec(),
                current: captured_id(&current),
                spikes: captured_id(&spikes),
            });
        });
        let output = network.forward(input.clone(), &mut context);
        ports = [captured_id(&input), captured_id(&output)];
        scope.complete([ports[0]], [ports[1]])
    });
    let captured = captured.map_err(|error| NirError::Export {
        reason: error.to_string(),
    })?;
    let marks = marks.take();
    let tracer = Tracer::new(captured, marks, neurons.into_iter().collect());
    tracer.run(sample, ports)
}

/// Neurons that something else ran in place of.
struct Mark {
    name: String,
    /// The shape of the neurons.
    shape: Vec<usize>,
    current: TensorId,
    spikes: TensorId,
}

/// The value of a tensor.
#[derive(Clone, Debug)]
enum Value {
    /// The sum of the outputs of these nodes, of this shape for one sample and one step.
    Signal {
        from: Vec<String>,
        shape: Vec<usize>,
    },
    /// Numbers that do not depend on the input.
    Constant(TensorData),
}

struct Tracer {
    captured: CapturedGraph,
    /// By the tensor of their spikes.
    marks: HashMap<TensorId, Mark>,
    neurons: HashMap<String, Option<Described>>,
    values: HashMap<TensorId, Value>,
    graph: Graph,
    /// Nodes of neurons with the tensors of their currents, which may come from their own spikes.
    currents: Vec<(String, TensorId)>,
    reset: Option<OnSpike>,
    /// The last layer of neurons, for messages.
    last: String,
}

impl Tracer {
    fn new(
        captured: CapturedGraph,
        marks: Vec<Mark>,
        neurons: HashMap<String, Option<Described>>,
    ) -> Self {
        let values = captured.values.iter();
        Self {
            values: values
                .map(|(id, data)| (*id, Value::Constant(data.clone())))
                .collect(),
            marks: marks.into_iter().map(|mark| (mark.spikes, mark)).collect(),
            captured,
            neurons,
            graph: Graph::default(),
            currents: Vec::new(),
            reset: None,
            last: String::new(),
        }
    }

    fn refuse(&self, what: impl Into<String>) -> NirError {
        let place = match self.last.as_str() {
            "" => "before any neurons".to_owned(),
            last => format!("after the layer `{last}`"),
        };
        NirError::Export {
            reason: format!("{}, {place}, is not part of NIR", what.into()),
        }
    }

    fn run(
        mut self,
        sample: Vec<usize>,
        [input, output]: [TensorId; 2],
    ) -> Result<Export, NirError> {
        self.graph.add("input", Input::new(sample.clone()));
        let start = Value::Signal {
            from: vec!["input".to_owned()],
            shape: sample,
        };
        self.values.insert(input, start);
        for operation in std::mem::take(&mut self.captured.graph.operations) {
            self.operation(operation)?;
        }
        let (from, shape) = self.signal(output)?;
        while let Some((neurons, current)) = self.currents.pop() {
            let (from, _) = self.signal(current)?;
            let edges = from.into_iter().map(|from| (from, neurons.clone()));
            self.graph.edges.extend(edges);
        }
        self.add(
            "output".to_owned(),
            Output::new(shape.clone()).into(),
            from,
            shape,
        );
        self.prune();
        // What was recorded may be another reading of a signal than that of its node.
        self.graph = self.graph.with_shapes()?;
        let options = NirOptions::new().with_reset(self.reset.unwrap_or_default());
        Ok(Export {
            graph: self.graph,
            options,
        })
    }

    /// The value of a tensor. Neurons become a node when their spikes are used.
    fn value(&mut self, id: TensorId) -> Result<Value, NirError> {
        if let Some(mark) = self.marks.remove(&id) {
            let described = self.neurons.get(&mark.name).cloned().flatten();
            let described = described.ok_or_else(|| NirError::Export {
                reason: format!(
                    "the neurons of the layer `{}` are not of the list",
                    mark.name
                ),
            })?;
            let node = self.neuron(&mark.name, &described, &mark.shape)?;
            self.last = mark.name.clone();
            // Some readers expect ports of these names.
            let name = match mark.name.as_str() {
                port @ ("input" | "output") => format!("{port}_neurons"),
                name => name.to_owned(),
            };
            self.currents.push((name.clone(), mark.current));
            let value = self.add(name, node, vec![], mark.shape);
            self.values.insert(id, value);
        }
        let value = self.values.get(&id).cloned();
        value.ok_or_else(|| self.refuse("a tensor of unknown origin"))
    }

    fn signal(&mut self, id: TensorId) -> Result<(Vec<String>, Vec<usize>), NirError> {
        match self.value(id)? {
            Value::Signal { from, shape } => Ok((from, shape)),
            Value::Constant(_) => Err(self.refuse("an output that does not depend on the input")),
        }
    }

    /// Adds a node of this output shape.
    fn add(&mut self, name: String, node: Node, from: Vec<String>, shape: Vec<usize>) -> Value {
        self.graph.add(name.clone(), node);
        let edges = from.into_iter().map(|from| (from, name.clone()));
        self.graph.edges.extend(edges);
        Value::Signal {
            from: vec![name],
            shape,
        }
    }

    /// A name for a node of this kind.
    fn name(&self, kind: &str) -> String {
        let names = (0..).map(|number| format!("{kind}_{number}"));
        let mut free = names.filter(|name| self.graph.node(name).is_none());
        free.next().expect("numbers do not end")
    }

    fn operation(&mut self, operation: OperationIr) -> Result<(), NirError> {
        use BaseOperationIr as Base;
        use NumericOperationIr as Numeric;
        let (out, value) = match operation {
            OperationIr::Init(_) | OperationIr::Drop(_) => return Ok(()),
            OperationIr::BaseFloat(Base::Reshape(op)) => {
                let value = self.value(op.input.id)?;
                (op.out.clone(), self.reshaped(value, &op.out)?)
            }
            OperationIr::BaseFloat(Base::SwapDims(op)) => {
                let mut order: Vec<usize> = (0..op.input.shape.num_dims()).collect();
                order.swap(op.dim1, op.dim2);
                let value = self.value(op.input.id)?;
                (
                    op.out.clone(),
                    self.permuted(value, &op.input, &op.out, &order)?,
                )
            }
            OperationIr::BaseFloat(Base::Permute(op)) => {
                let value = self.value(op.input.id)?;
                (
                    op.out.clone(),
                    self.permuted(value, &op.input, &op.out, &op.axes)?,
                )
            }
            OperationIr::BaseFloat(Base::Cat(op)) if op.tensors.len() == 1 => {
                (op.out, self.value(op.tensors[0].id)?)
            }
            OperationIr::BaseFloat(Base::Slice(op)) if op.tensor.shape == op.out.shape => {
                (op.out, self.value(op.tensor.id)?)
            }
            OperationIr::BaseFloat(Base::Expand(op)) if op.input.shape == op.out.shape => {
                (op.out, self.value(op.input.id)?)
            }
            // Spikes of neurons that did not run, or numbers.
            OperationIr::BaseFloat(Base::Zeros(op)) => {
                let value = full(&op.out, 0.0);
                (op.out, value)
            }
            OperationIr::BaseFloat(Base::Ones(op)) => {
                let value = full(&op.out, 1.0);
                (op.out, value)
            }
            OperationIr::NumericFloat(_, Numeric::Full(op)) => {
                let value = full(&op.out, scalar(op.value));
                (op.out, value)
            }
            OperationIr::NumericFloat(_, Numeric::Add(op)) => {
                let values = (self.value(op.lhs.id)?, self.value(op.rhs.id)?);
                (op.out, self.sum(values)?)
            }
            OperationIr::NumericFloat(_, Numeric::Mul(op)) => {
                let values = (self.value(op.lhs.id)?, self.value(op.rhs.id)?);
                (op.out, self.multiplied(values)?)
            }
            OperationIr::NumericFloat(_, Numeric::MulScalar(op)) => {
                let value = self.value(op.lhs.id)?;
                (op.out, self.scaled(value, scalar(op.rhs))?)
            }
            OperationIr::NumericFloat(_, Numeric::DivScalar(op)) => {
                let value = self.value(op.lhs.id)?;
                (op.out, self.scaled(value, 1.0 / scalar(op.rhs))?)
            }
            OperationIr::NumericFloat(_, Numeric::MeanDim(op)) => {
                let axis = op.axis;
                let image = op.input.shape.to_vec();
                (op.out, self.mean(op.input.id, &image, axis)?)
            }
            OperationIr::Float(_, FloatOperationIr::Matmul(op)) => {
                let weight = self.value(op.rhs.id)?;
                (op.out, self.linear(op.lhs.id, weight, None)?)
            }
            OperationIr::Module(ModuleOperationIr::Linear(op)) => {
                let weight = self.value(op.weight.id)?;
                let bias = op.bias.map(|bias| self.value(bias.id)).transpose()?;
                (op.out, self.linear(op.x.id, weight, bias)?)
            }
            OperationIr::Module(ModuleOperationIr::Conv2d(op)) => {
                let padding = self.symmetric(op.options.padding)?;
                let (weight, bias) = self.weights(&op.weight, op.bias.as_ref())?;
                let (from, input) = self.signal(op.x.id)?;
                let node = Conv2d {
                    input_shape: Some([input[1], input[2]]),
                    weight,
                    stride: op.options.stride,
                    padding,
                    dilation: op.options.dilation,
                    groups: op.options.groups as i64,
                    bias,
                };
                let (name, shape) = (self.name("conv"), of_sample(&op.out));
                (op.out, self.add(name, node.into(), from, shape))
            }
            OperationIr::Module(ModuleOperationIr::Conv1d(op)) => {
                let padding = self.symmetric(op.options.padding)?;
                let (weight, bias) = self.weights(&op.weight, op.bias.as_ref())?;
                let (from, input) = self.signal(op.x.id)?;
                let node = Conv1d {
                    input_shape: Some([input[1]]),
                    weight,
                    stride: op.options.stride,
                    padding,
                    dilation: op.options.dilation,
                    groups: op.options.groups as i64,
                    bias,
                };
                let (name, shape) = (self.name("conv"), of_sample(&op.out));
                (op.out, self.add(name, node.into(), from, shape))
            }
            OperationIr::Module(ModuleOperationIr::AvgPool2d(op)) => {
                let counted = op.count_include_pad || op.padding == [0, 0];
                if op.ceil_mode || !counted {
                    return Err(self.refuse("a mean of windows that are not full"));
                }
                let (from, _) = self.signal(op.x.id)?;
                let node = AvgPool2d {
                    kernel_size: op.kernel_size,
                    stride: op.stride,
                    padding: op.padding,
                };
                let (name, shape) = (self.name("pool"), of_sample(&op.out));
                (op.out, self.add(name, node.into(), from, shape))
            }
            OperationIr::Module(ModuleOperationIr::MaxPool2d(op)) => {
                let (from, _) = self.signal(op.x.id)?;
                if op.ceil_mode || op.dilation != [1, 1] || !self.is_binary(&from) {
                    return Err(self.refuse("a maximum of other windows or values than spikes"));
                }
                // A spike if the window has any.
                let node = SumPool2d {
                    kernel_size: op.kernel_size,
                    stride: op.stride,
                    padding: op.padding,
                };
                let (name, shape) = (self.name("pool"), of_sample(&op.out));
                self.add(name.clone(), node.into(), from, shape.clone());
                let any = Threshold {
                    threshold: Array::full(shape.as_slice(), 0.5),
                };
                let any_name = self.name("any");
                (op.out, self.add(any_name, any.into(), vec![name], shape))
            }
            OperationIr::Module(ModuleOperationIr::AdaptiveAvgPool2d(op)) => {
                let (from, input) = self.signal(op.x.id)?;
                let shape = of_sample(&op.out);
                let size = [input[1] / shape[1], input[2] / shape[2]];
                if [size[0] * shape[1], size[1] * shape[2]] != [input[1], input[2]] {
                    return Err(self.refuse("a mean of windows of several sizes"));
                }
                (op.out, self.mean_of_windows(size, from, shape))
            }
            other => {
                let text = format!("{other:?}");
                let kind: String = text.split(['{', ' ']).next().unwrap_or("").to_owned();
                return Err(self.refuse(format!("the operation {kind}")));
            }
        };
        self.values.insert(out.id, value);
        Ok(())
    }

    /// True for the spikes of one layer.
    fn is_binary(&self, from: &[String]) -> bool {
        let [name] = from else {
            return false;
        };
        matches!(
            self.graph.node(name),
            Some(Node::LIF(_) | Node::IF(_) | Node::CubaLIF(_) | Node::Threshold(_))
        )
    }

    fn constant(&mut self, id: TensorId) -> Result<Array, NirError> {
        match self.value(id)? {
            Value::Constant(data) => Ok(array(&data)),
            Value::Signal { .. } => Err(self.refuse("weights that depend on the input")),
        }
    }

    /// Weights, and biases that are 0 if there are none.
    fn weights(
        &mut self,
        weight: &TensorIr,
        bias: Option<&TensorIr>,
    ) -> Result<(Array, Array), NirError> {
        let weight = self.constant(weight.id)?;
        let outputs = weight.shape()[0];
        let bias = match bias {
            Some(bias) => self.constant(bias.id)?,
            None => Array::new([outputs], vec![0.0f32; outputs]),
        };
        Ok((weight, bias))
    }

    fn symmetric<const N: usize>(
        &self,
        padding: [(usize, usize); N],
    ) -> Result<Padding<N>, NirError> {
        match padding.iter().all(|(start, end)| start == end) {
            true => Ok(Padding::Zeros(padding.map(|(start, _)| start))),
            false => Err(self.refuse("a convolution with other padding at both ends")),
        }
    }

    fn reshaped(&mut self, value: Value, out: &TensorIr) -> Result<Value, NirError> {
        let (from, shape) = match value {
            Value::Constant(data) => {
                let values: Vec<f32> = data.iter::<f32>().collect();
                return Ok(Value::Constant(TensorData::new(values, out.shape.to_vec())));
            }
            Value::Signal { from, shape } => (from, shape),
        };
        let new = of_sample(out);
        if axes(&new) == axes(&shape) {
            return Ok(Value::Signal { from, shape: new });
        }
        // Groups of neurons, whose mean is next.
        if axes(&shape).len() == 1 && axes(&new).len() == 2 {
            let shape = axes(&new);
            return Ok(Value::Signal { from, shape });
        }
        if axes(&new).len() > 1 {
            // The input of a network is one row, which is an image again.
            let is_input = from == ["input"]
                && new.iter().product::<usize>() == shape.iter().product::<usize>();
            return match is_input && self.graph.edges.is_empty() {
                true => {
                    self.graph = Graph::default();
                    self.graph.add("input", Input::new(new.clone()));
                    Ok(Value::Signal { from, shape: new })
                }
                false => Err(self.refuse("another shape of a signal")),
            };
        }
        // Nothing flattens the input of a network that takes rows.
        if from == ["input"] && self.graph.edges.is_empty() && axes(&shape).len() > 1 {
            return Ok(Value::Signal { from, shape });
        }
        let name = self.name("flatten");
        Ok(self.add(name, Flatten::all(shape).into(), from, new))
    }

    /// Axes of size 1 may change places; constants may have any order.
    fn permuted(
        &mut self,
        value: Value,
        input: &TensorIr,
        out: &TensorIr,
        order: &[usize],
    ) -> Result<Value, NirError> {
        match value {
            Value::Constant(data) => Ok(Value::Constant(transposed(&data, order))),
            Value::Signal { from, .. } => {
                let long = order.iter().filter(|axis| input.shape[**axis] > 1);
                match long.is_sorted() {
                    true => Ok(Value::Signal {
                        from,
                        shape: of_sample(out),
                    }),
                    false => Err(self.refuse("another order of axes")),
                }
            }
        }
    }

    fn sum(&mut self, values: (Value, Value)) -> Result<Value, NirError> {
        match values {
            (
                Value::Signal { mut from, shape },
                Value::Signal {
                    from: other,
                    shape: same,
                },
            ) => {
                if axes(&shape) != axes(&same) {
                    return Err(self.refuse("a sum of signals of several shapes"));
                }
                for name in other {
                    let name = match from.contains(&name) {
                        // There is one edge between two nodes.
                        true => {
                            let scale = Scale {
                                scale: Array::new(
                                    shape.as_slice(),
                                    vec![1.0f32; shape.iter().product()],
                                ),
                            };
                            let again = self.name("again");
                            self.add(again.clone(), scale.into(), vec![name], shape.clone());
                            again
                        }
                        false => name,
                    };
                    from.push(name);
                }
                Ok(Value::Signal { from, shape })
            }
            (Value::Signal { from, shape }, Value::Constant(zeros))
            | (Value::Constant(zeros), Value::Signal { from, shape })
                if zeros.iter::<f32>().all(|value| value == 0.0) =>
            {
                Ok(Value::Signal { from, shape })
            }
            (Value::Signal { from, shape }, Value::Constant(bias))
            | (Value::Constant(bias), Value::Signal { from, shape }) => {
                self.biased(from, shape, &bias)
            }
            _ => Err(self.refuse("a sum of constants")),
        }
    }

    /// A matrix with biases, from one without.
    fn biased(
        &mut self,
        from: Vec<String>,
        shape: Vec<usize>,
        bias: &TensorData,
    ) -> Result<Value, NirError> {
        let linear = match from.as_slice() {
            [name] => self
                .graph
                .node(name)
                .cloned()
                .map(|node| (name.clone(), node)),
            _ => None,
        };
        let row: usize = bias.shape().iter().product();
        match linear {
            Some((linear, Node::Linear(Linear { weight }))) if row == weight.shape()[0] => {
                let bias = Array::new([row], bias.iter::<f32>().collect::<Vec<f32>>());
                let edges = self.graph.edges.iter();
                let before = edges.filter(|(_, to)| *to == linear);
                let before = before.map(|(from, _)| from.clone()).collect();
                let name = self.name("affine");
                Ok(self.add(name, Affine { weight, bias }.into(), before, shape))
            }
            _ => Err(self.refuse("a sum with constants")),
        }
    }

    /// Removes nodes whose output nothing takes.
    fn prune(&mut self) {
        loop {
            let used: HashSet<String> = self
                .graph
                .edges
                .iter()
                .map(|(from, _)| from.clone())
                .collect();
            let is_used = |name: &str, node: &Node| {
                used.contains(name) || matches!(node, Node::Input(_) | Node::Output(_))
            };
            let count = self.graph.nodes.len();
            self.graph
                .nodes
                .retain(|named| is_used(&named.name, &named.node));
            if self.graph.nodes.len() == count {
                return;
            }
            let graph = &self.graph;
            let edges = graph
                .edges
                .iter()
                .filter(|(_, to)| graph.node(to).is_some());
            self.graph.edges = edges.cloned().collect();
        }
    }

    /// The product of a signal and numbers.
    fn multiplied(&mut self, values: (Value, Value)) -> Result<Value, NirError> {
        match values {
            (Value::Signal { from, shape }, Value::Constant(factors))
            | (Value::Constant(factors), Value::Signal { from, shape }) => {
                let factors = array(&factors);
                let axes = factors.shape();
                // One for steps and one for samples may be before those of a sample.
                let spare = axes.len().saturating_sub(shape.len());
                let own = Array::new(axes[spare..].to_vec(), factors.to_f64());
                let (true, Some(values)) = (
                    axes[..spare].iter().all(|size| *size == 1),
                    own.broadcast(&shape),
                ) else {
                    return Err(self.refuse("a product with other numbers for each step"));
                };
                let scale = Scale {
                    scale: Array::new(shape.as_slice(), values),
                };
                let name = self.name("scale");
                Ok(self.add(name, scale.into(), from, shape))
            }
            _ => Err(self.refuse("a product of signals")),
        }
    }

    fn scaled(&mut self, value: Value, factor: f64) -> Result<Value, NirError> {
        match value {
            Value::Constant(data) => {
                let values = data
                    .iter::<f32>()
                    .map(|value| (f64::from(value) * factor) as f32);
                let values: Vec<f32> = values.collect();
                Ok(Value::Constant(TensorData::new(
                    values,
                    data.shape().to_vec(),
                )))
            }
            Value::Signal { from, shape } => {
                let count = shape.iter().product();
                let scale = Scale {
                    scale: Array::new(shape.as_slice(), vec![factor as f32; count]),
                };
                let name = self.name("scale");
                Ok(self.add(name, scale.into(), from, shape))
            }
        }
    }

    /// The mean along an axis of images.
    fn mean(&mut self, id: TensorId, input: &[usize], axis: usize) -> Result<Value, NirError> {
        let (from, shape) = self.signal(id)?;
        if let ([groups, members], 1) = (shape.as_slice(), input.len() - axis) {
            // The mean of each group of neurons.
            let count = groups * members;
            let mut weight = vec![0.0f32; groups * count];
            for group in 0..*groups {
                let start = group * count + group * members;
                weight[start..start + members].fill(1.0 / *members as f32);
            }
            let weight = Array::new([*groups, count], weight);
            let name = self.name("vote");
            return Ok(self.add(name, Linear { weight }.into(), from, vec![*groups]));
        }
        let size = match input.len() - axis {
            1 => [1, input[axis]],
            2 => [input[axis], 1],
            _ => return Err(self.refuse("a mean that is not one of images")),
        };
        let [channels, height, width] = shape[..] else {
            return Err(self.refuse("a mean that is not one of images"));
        };
        let shape = vec![channels, height / size[0], width / size[1]];
        Ok(self.mean_of_windows(size, from, shape))
    }

    /// The mean of windows side by side.
    fn mean_of_windows(&mut self, size: [usize; 2], from: Vec<String>, shape: Vec<usize>) -> Value {
        let node = AvgPool2d {
            kernel_size: size,
            stride: size,
            padding: [0, 0],
        };
        let name = self.name("pool");
        self.add(name, node.into(), from, shape)
    }

    fn linear(
        &mut self,
        x: TensorId,
        weight: Value,
        bias: Option<Value>,
    ) -> Result<Value, NirError> {
        let Value::Constant(weight) = weight else {
            return Err(self.refuse("a product of signals"));
        };
        let [.., inputs, outputs] = weight.shape().to_vec()[..] else {
            return Err(self.refuse("a product with a row of weights"));
        };
        let (from, shape) = self.signal(x)?;
        if shape.iter().product::<usize>() != inputs
            || weight.shape().iter().product::<usize>() != inputs * outputs
        {
            return Err(self.refuse("a product along one of several axes"));
        }
        let weight = TensorData::new(
            weight.iter::<f32>().collect::<Vec<f32>>(),
            [inputs, outputs],
        );
        let weight = array(&transposed(&weight, &[1, 0]));
        let node = match bias {
            Some(Value::Constant(bias)) => Affine {
                weight,
                bias: array(&bias),
            }
            .into(),
            Some(Value::Signal { .. }) => {
                return Err(self.refuse("biases that depend on the input"));
            }
            None => Linear { weight }.into(),
        };
        let name = self.name("linear");
        Ok(self.add(name, node, from, vec![outputs]))
    }

    fn neuron(
        &mut self,
        name: &str,
        described: &Described,
        shape: &[usize],
    ) -> Result<Node, NirError> {
        let refuse = |reason: String| NirError::Export {
            reason: format!("the layer `{name}` has {reason}"),
        };
        let dt = NirOptions::new().dt;
        let node = match described {
            Described::Readout(config) => readout(config, shape, dt),
            Described::Neuron(NeuronConfig::Lif(config)) => lif(config, shape, dt),
            Described::Neuron(NeuronConfig::If(config)) => {
                let config = LifConfig::new()
                    .with_threshold(config.threshold.clone())
                    .with_decay(1.0)
                    .with_reset(config.reset)
                    .with_spikes(config.spikes)
                    .with_forward(config.forward);
                lif(&config, shape, dt)
            }
            Described::Neuron(NeuronConfig::CubaLif(config)) => cuba_lif(config, shape, dt),
            Described::Neuron(other) => {
                Err(format!("{} neurons, which NIR does not know", other.name()))
            }
        };
        let (node, reset) = node.map_err(refuse)?;
        if let (Some(old), Some(new)) = (self.reset, reset)
            && old != new
        {
            return Err(refuse("another reset than the layers before it".to_owned()));
        }
        self.reset = self.reset.or(reset);
        Ok(node)
    }
}

/// The shape for one sample and one step, of a tensor with one or two axes of size 1 before it.
fn of_sample(tensor: &TensorIr) -> Vec<usize> {
    let shape = tensor.shape.to_vec();
    let leading = shape.iter().take_while(|size| **size == 1).count().min(2);
    // Images of a batch have four axes, of a sequence five.
    let leading = match shape.len() {
        4 => leading.min(1),
        _ => leading,
    };
    let shape = &shape[leading..];
    if shape.is_empty() {
        vec![1]
    } else {
        shape.to_vec()
    }
}

/// The same number everywhere.
fn full(tensor: &TensorIr, value: f64) -> Value {
    let shape = tensor.shape.to_vec();
    let count = shape.iter().product();
    Value::Constant(TensorData::new(vec![value as f32; count], shape))
}

fn scalar(value: ScalarIr) -> f64 {
    value.elem()
}

fn array(data: &TensorData) -> Array {
    Array::new(
        data.shape().to_vec(),
        data.iter::<f32>().collect::<Vec<f32>>(),
    )
}

/// The numbers with their axes in another order.
fn transposed(data: &TensorData, order: &[usize]) -> TensorData {
    let (shape, values) = (
        data.shape().to_vec(),
        data.iter::<f32>().collect::<Vec<f32>>(),
    );
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    let new: Vec<usize> = order.iter().map(|axis| shape[*axis]).collect();
    let at = |index: usize| {
        let mut rest = index;
        let mut offset = 0;
        for axis in (0..new.len()).rev() {
            offset += rest % new[axis] * strides[order[axis]];
            rest /= new[axis];
        }
        values[offset]
    };
    let turned: Vec<f32> = (0..values.len()).map(at).collect();
    TensorData::new(turned, new)
}

/// A parameter for each neuron.
fn each(values: &Values, shape: &[usize], map: impl Fn(f64) -> f64) -> Result<Array, String> {
    let own = match values {
        Values::One(value)
        | Values::EachChannel {
            each_channel: value,
        } => Array::from(*value),
        Values::PerChannel(values) => {
            let mut own = vec![values.len()];
            own.resize(shape.len().max(1), 1);
            Array::new(own, values.clone())
        }
        Values::PerNeuron { shape, values } => Array::new(shape.as_slice(), values.clone()),
    };
    let all = own.broadcast(shape);
    let all =
        all.ok_or_else(|| format!("parameters that do not fit neurons of shape {shape:?}"))?;
    Ok(Array::new(
        shape,
        all.into_iter().map(map).collect::<Vec<f64>>(),
    ))
}

/// The threshold above which neurons fire that fire at this one.
fn threshold(forward: Forward) -> impl Fn(f64) -> f64 {
    move |threshold| match forward {
        Forward::StrictStep => threshold,
        _ => f64::from((threshold as f32).next_down()),
    }
}

type Exported = Result<(Node, Option<OnSpike>), String>;

fn reset_of(reset: Reset) -> Result<(OnSpike, f64), String> {
    match reset {
        Reset::Hard { to } => Ok((OnSpike::Zero, to)),
        Reset::Soft => Ok((OnSpike::Subtract, 0.0)),
        other => Err(format!("the reset {other:?}, which NIR does not know")),
    }
}

/// True if all membranes leak, false if none does.
fn leak(decays: &Values, decay_input: bool) -> Result<bool, String> {
    let decays = decays.as_slice();
    match decays.iter().filter(|decay| **decay == 1.0).count() {
        0 => Ok(true),
        all if all == decays.len() && !decay_input => Ok(false),
        _ => Err("membranes of which some do not leak".to_owned()),
    }
}

fn lif(config: &LifConfig, shape: &[usize], dt: f64) -> Exported {
    if config.spikes != Spikes::Binary {
        return Err("spikes of several kinds, which NIR does not know".to_owned());
    }
    if config.rest != 0.0 {
        return Err("a resting potential, at which graphs do not start".to_owned());
    }
    let (reset, to) = reset_of(config.reset)?;
    let decays = config.decay.values();
    let v_threshold = each(config.threshold.values(), shape, threshold(config.forward))?;
    let v_reset = Some(Array::full(shape, to));
    let node = match leak(decays, config.decay_input)? {
        true => {
            let r = match config.decay_input {
                true => Array::full(shape, 1.0),
                false => each(decays, shape, |decay| 1.0 / (1.0 - decay))?,
            };
            LIF {
                tau: each(decays, shape, |decay| dt / (1.0 - decay))?,
                r,
                v_leak: Array::full(shape, 0.0),
                v_threshold,
                v_reset,
            }
            .into()
        }
        false => IF {
            r: Array::full(shape, 1.0),
            v_threshold,
            v_reset,
        }
        .into(),
    };
    Ok((node, Some(reset)))
}

fn cuba_lif(config: &CubaLifConfig, shape: &[usize], dt: f64) -> Exported {
    let (reset, to) = reset_of(config.reset)?;
    let (synapse, decay) = (config.synapse_decay.values(), config.decay.values());
    let mut all = synapse.as_slice().iter().chain(decay.as_slice());
    if all.any(|decay| *decay == 1.0) {
        return Err("currents or membranes that do not leak".to_owned());
    }
    let node = CubaLIF {
        tau_syn: each(synapse, shape, |decay| dt / (1.0 - decay))?,
        tau_mem: each(decay, shape, |decay| dt / (1.0 - decay))?,
        r: each(decay, shape, |decay| 1.0 / (1.0 - decay))?,
        v_leak: Array::full(shape, 0.0),
        v_threshold: each(config.threshold.values(), shape, threshold(config.forward))?,
        v_reset: Some(Array::full(shape, to)),
        w_in: Some(each(synapse, shape, |decay| 1.0 / (1.0 - decay))?),
    };
    Ok((node.into(), Some(reset)))
}

fn readout(config: &LeakyIntegratorConfig, shape: &[usize], dt: f64) -> Exported {
    let decays = config.decay.values();
    let node = match leak(decays, config.decay_input)? {
        true => LI {
            tau: each(decays, shape, |decay| dt / (1.0 - decay))?,
            r: match config.decay_input {
                true => Array::full(shape, 1.0),
                false => each(decays, shape, |decay| 1.0 / (1.0 - decay))?,
            },
            v_leak: Array::full(shape, 0.0),
        }
        .into(),
        false => I {
            r: Array::full(shape, 1.0),
        }
        .into(),
    };
    Ok((node, None))
}
