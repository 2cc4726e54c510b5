//! Networks as models.

use std::collections::{BTreeMap, HashMap};

use burn::backend::capture::{CapturedGraph, TensorId};
use burn::tensor::{Device, Tensor, TensorData};
use serde_json::{Value, json};
use synfire::ops::captured_id;
use synfire::random::Philox;
use synfire::record::Recorder;
use synfire_models::{Context, Fused, NetworkState, SpikingNetwork};

use crate::builder::{Builder, data_type};
use crate::lower::lower;
use crate::options::Kind;
use crate::proto::{Attribute, Entry, FLOAT, Graph, Model, OperatorSet, ValueInfo};
use crate::{OnnxError, OnnxModel, OnnxOptions};

/// The version of the operators.
const OPERATORS: i64 = 18;
/// The version of the format that came with them.
const FORMAT: i64 = 8;

/// Writes a network as a model: those of the zoo, and modules of your own that run their layers with the methods of a
/// [`Context`]. Batch normalisations are folded into weights. Neurons are comparisons and arithmetic, step by step.
///
/// # Errors
///
/// If an option is invalid, the network runs an operation that is not known here, its numbers are not in single precision, or
/// [one step](OnnxOptions::step) is asked for of a network that is not the same in every step. That is tried with a short sequence.
///
/// # Panics
///
/// If the network does not run sequences of that many steps, or reads a tensor while it runs.
///
/// ```
/// use burn::tensor::Device;
/// use synfire_models::StbpMlpConfig;
/// use synfire_onnx::{OnnxOptions, export};
///
/// let network = StbpMlpConfig::new().with_sizes(vec![16, 8, 4]).init(&Device::default())?;
/// let model = export(&network, &OnnxOptions::sequence(10))?;
/// assert_eq!(model.inputs(), [("input".to_owned(), vec![10, 1, 16])]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn export(
    network: &impl SpikingNetwork,
    options: &OnnxOptions,
) -> Result<OnnxModel, OnnxError> {
    options.validate(network.elements())?;
    let fused = network.fuse();
    if options.kind != Kind::Step {
        return record(&fused, options, None);
    }
    let rest = fused.network().initial_state(options.batch_size);
    let rest = rest.map_err(|error| OnnxError::Step {
        layers: error.value,
    })?;
    check_steps(&fused, options.batch_size, &rest)?;
    record(&fused, options, Some(rest))
}

/// Compares a short sequence with its steps.
fn check_steps<N: SpikingNetwork>(
    fused: &Fused<N>,
    batch_size: usize,
    rest: &NetworkState,
) -> Result<(), OnnxError> {
    const STEPS: usize = 3;
    let network = fused.network();
    let shape = [STEPS, batch_size, network.elements()];
    let numbers = Philox::new(0).uniform(0, shape.iter().product(), 0.0, 2.0);
    let input = Tensor::from_data(TensorData::new(numbers, shape), &network.device());

    let mut context = Context::new().with_state(rest.clone());
    let expected = fused.forward(input.clone(), &mut context);
    let end = context.finish();
    let (mut state, mut outputs) = (rest.clone(), Vec::new());
    for step in input.split(1, 0) {
        let mut context = Context::new().with_state(state);
        outputs.push(fused.forward(step, &mut context));
        state = context.finish();
        if let Some(layers) = reshaped(rest, &state) {
            return Err(OnnxError::Step { layers });
        }
    }
    let ends = tensors(&state).zip(tensors(&end));
    let mut pairs: Vec<_> = ends
        .map(|((name, one), (_, two))| (name, one, two))
        .collect();
    let outputs = Tensor::cat(outputs, 0).flatten(0, 2);
    pairs.push(("output".to_owned(), outputs, expected.flatten(0, 2)));
    match pairs.into_iter().find(|(_, one, two)| !close(one, two)) {
        Some((layers, ..)) => Err(OnnxError::Step { layers }),
        None => Ok(()),
    }
}

/// True if all but a few numbers are the same: a potential may be within rounding of its threshold.
fn close(one: &Tensor<1>, two: &Tensor<1>) -> bool {
    let numbers = |tensor: &Tensor<1>| tensor.to_data().iter::<f32>().collect::<Vec<_>>();
    let (one, two) = (numbers(one), numbers(two));
    let largest = two.iter().fold(0.0f32, |max, x| max.max(x.abs()));
    let apart = one.iter().zip(&two);
    let apart = apart.filter(|(x, y)| (*x - *y).abs() > 1e-4 * largest);
    one.len() == two.len() && apart.count() * 100 <= one.len()
}

/// The tensors of a state, by the names of their layers and their own.
fn tensors(state: &NetworkState) -> impl Iterator<Item = (String, Tensor<1>)> {
    state.layers().flat_map(|(layer, state)| {
        let tensors = state.tensors();
        // The static rank is ignored.
        tensors.map(move |(name, tensor)| {
            let tensor = Tensor::from_dispatch(tensor.clone());
            (format!("{layer}.{name}"), tensor)
        })
    })
}

/// The first tensor of a state that the other has not, or in another shape.
fn reshaped(before: &NetworkState, after: &NetworkState) -> Option<String> {
    let shapes = |state| {
        let shapes = tensors(state).map(|(name, tensor)| (name, tensor.shape().to_vec()));
        shapes.collect::<BTreeMap<_, _>>()
    };
    let (before, after) = (shapes(before), shapes(after));
    let mut names = before.keys().chain(after.keys());
    names
        .find(|name| before.get(*name) != after.get(*name))
        .cloned()
}

/// A tensor that enters or leaves the network.
struct Port {
    name: String,
    id: TensorId,
    shape: Vec<usize>,
    data_type: i32,
}

impl Port {
    fn new<const D: usize>(name: String, tensor: &Tensor<D>) -> Result<Self, OnnxError> {
        Ok(Self {
            name,
            id: captured_id(tensor),
            shape: tensor.shape().to_vec(),
            data_type: data_type(tensor.dtype())?,
        })
    }

    /// The tensors of a state.
    fn of_state(state: &NetworkState) -> Result<Vec<Self>, OnnxError> {
        let tensors = tensors(state);
        let ports = tensors.map(|(name, tensor)| Self::new(name, &tensor));
        ports.collect()
    }
}

/// The tensors that enter and leave a network.
struct Ports {
    input: Port,
    states: Vec<Port>,
    output: Port,
    next: Vec<Port>,
    /// The spikes of layers.
    layers: Vec<Port>,
}

impl Ports {
    fn new(
        input: &Tensor<3>,
        state: Option<&NetworkState>,
        output: &Tensor<3>,
        next: &NetworkState,
        recorder: &Recorder,
    ) -> Result<Self, OnnxError> {
        let states = state.map(Port::of_state).transpose()?;
        let layers = recorder.layers().iter();
        let layers = layers.filter_map(|layer| Some((layer.name.clone(), layer.spikes.as_ref()?)));
        let layers = layers.map(|(name, spikes)| Port::new(name, spikes));
        Ok(Self {
            input: Port::new("input".to_owned(), input)?,
            states: states.unwrap_or_default(),
            output: Port::new("output".to_owned(), output)?,
            next: Port::of_state(next)?,
            layers: layers.collect::<Result<_, _>>()?,
        })
    }
}

/// Records a network, from these states if it is one step.
fn record<N: SpikingNetwork>(
    fused: &Fused<N>,
    options: &OnnxOptions,
    rest: Option<NetworkState>,
) -> Result<OnnxModel, OnnxError> {
    let (sample, elements) = (fused.network().sample_shape(), fused.network().elements());
    let steps = match options.kind {
        Kind::Sequence { time_steps } => time_steps,
        Kind::Image { .. } | Kind::Step => 1,
    };
    // An input is a tensor from elsewhere.
    let shape = [steps, options.batch_size, elements];
    let input = Tensor::<3>::zeros(shape, &Device::flex());
    let device = Device::capture();
    let mut ports = None;
    let captured = device.capture_scope(|scope| {
        let network = fused.clone().to_device(&device);
        let input = input.to_device(&device);
        let state = rest.clone().map(|rest| rest.to_device(&device));
        // Errors name layers, whether or not their spikes are asked for.
        let mut context = Context::new().with_recorder(Recorder::spikes());
        context = context.with_state(state.clone());
        if let Kind::Image { time_steps } = options.kind {
            context = context.with_repeats(time_steps);
        }
        let output = network.forward(input.clone(), &mut context);
        let (recorder, next) = context.into_parts();
        ports = Some(Ports::new(
            &input,
            state.as_ref(),
            &output,
            &next,
            &recorder,
        ));
        let inputs = state
            .iter()
            .flat_map(tensors)
            .map(|(_, tensor)| captured_id(&tensor));
        let inputs: Vec<_> = [captured_id(&input)].into_iter().chain(inputs).collect();
        scope.complete(inputs, [captured_id(&output)])
    });
    let captured = captured.map_err(|error| OnnxError::Recording {
        reason: error.to_string(),
    })?;
    let ports = ports.expect("the scope has run")?;
    model(captured, ports, sample, options, rest)
}

/// The model of a recording.
fn model(
    captured: CapturedGraph,
    ports: Ports,
    sample: Vec<usize>,
    options: &OnnxOptions,
    rest: Option<NetworkState>,
) -> Result<OnnxModel, OnnxError> {
    let mut builder = Builder::new(captured.values);
    let is_sequence = matches!(options.kind, Kind::Sequence { .. });
    let is_step = options.kind == Kind::Step;
    // A sequence has time steps, an image and a step have none.
    let steps = is_sequence.then_some(options.kind.time_steps());
    let batch = [options.batch_size];
    let shape: Vec<usize> = steps.into_iter().chain(batch).chain(sample).collect();
    let mut inputs = vec![ValueInfo::new("input", FLOAT, &shape)];
    let rows = builder.sizes(ports.input.shape);
    let rows = builder.add("Reshape", vec!["input".to_owned(), rows], vec![]);
    builder.set_name(ports.input.id, rows);
    for state in ports.states {
        let name = format!("state.{}", state.name);
        inputs.push(ValueInfo::new(&name, state.data_type, &state.shape));
        builder.set_name(state.id, name);
    }
    let layers = ports.layers.iter();
    let layers: HashMap<_, _> = layers.map(|layer| (layer.id, &layer.name)).collect();
    let mut place = String::new();
    for operation in captured.graph.operations {
        let tensors = operation.nodes();
        let layer = tensors.iter().find_map(|tensor| layers.get(&tensor.id));
        if let Some(layer) = layer {
            place = format!(", after the layer `{layer}`,");
        }
        lower(&mut builder, operation).map_err(|error| match error {
            OnnxError::Operation { operation, .. } => OnnxError::Operation {
                operation,
                place: place.clone(),
            },
            other => other,
        })?;
    }

    let mut outputs = Vec::new();
    let mut leave = |builder: &mut Builder, port: &Port, name: &str, shape: &[usize]| {
        let sizes = builder.sizes(shape.iter().copied());
        let from = builder.name(port.id)?;
        builder.add_named("Reshape", vec![from, sizes], vec![], name);
        outputs.push(ValueInfo::new(name, port.data_type, shape));
        Ok::<_, OnnxError>(())
    };
    // One step has no axis of steps.
    let own = |port: &Port| port.shape[usize::from(is_step)..].to_vec();
    leave(&mut builder, &ports.output, "output", &own(&ports.output))?;
    if is_step {
        for next in &ports.next {
            let name = format!("next.{}", next.name);
            leave(&mut builder, next, &name, &next.shape)?;
        }
    }
    let shown = ports.layers.iter().filter(|_| options.layers);
    for layer in shown {
        let name = format!("spikes.{}", layer.name);
        leave(&mut builder, layer, &name, &own(layer))?;
    }
    if !is_step {
        let mean = vec!["output".to_owned(), builder.sizes([0])];
        let flat = vec![Attribute::int("keepdims", 0)];
        builder.add_named("ReduceMean", mean, flat, "mean");
        let shape = &ports.output.shape[1..];
        outputs.insert(1, ValueInfo::new("mean", ports.output.data_type, shape));
    }

    let names: Vec<_> = outputs.iter().map(|output| output.name.clone()).collect();
    let (node, initializer) = builder.finish(&names);
    let rest = rest.map(|rest| Entry {
        key: "rest".to_owned(),
        value: at_rest(&rest).to_string(),
    });
    Ok(OnnxModel::new(Model {
        ir_version: FORMAT,
        producer_name: "synfire".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(Graph {
            node,
            name: "network".to_owned(),
            initializer,
            input: inputs,
            output: outputs,
        }),
        opset_import: vec![OperatorSet {
            domain: String::new(),
            version: OPERATORS,
        }],
        metadata_props: rest.into_iter().collect(),
    }))
}

/// The states at rest, by the names of their inputs: one number where all are the same.
fn at_rest(rest: &NetworkState) -> Value {
    let states = tensors(rest).map(|(name, tensor)| {
        let numbers: Vec<f32> = tensor.into_data().iter::<f32>().collect();
        let value = match numbers.first() {
            Some(first) if numbers.iter().all(|number| number == first) => json!(first),
            _ => json!(numbers),
        };
        (format!("state.{name}"), value)
    });
    states.collect::<serde_json::Map<_, _>>().into()
}
