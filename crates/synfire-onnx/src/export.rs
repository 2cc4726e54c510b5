//! Networks as models.

use std::collections::BTreeSet;

use burn::backend::Capture;
use burn::backend::capture::{CapturedGraph, TensorId};
use burn::tensor::{Device, Tensor};
use synfire::record::Recorder;
use synfire_models::{Context, Fused, NetworkState, SpikingNetwork};

use crate::builder::{Builder, of_data};
use crate::lower::lower;
use crate::proto::{Attribute, Constant, Entry, Graph, Model, OperatorSet, ValueInfo};
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
/// If an option is invalid, the network runs an operation that ONNX does not have, or [one step](OnnxOptions::step) is asked for
/// of a network that needs whole sequences.
///
/// # Panics
///
/// If the network does not run sequences of that many steps.
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
    options.validate()?;
    let fused = network.fuse();
    if options.time_steps.is_some() {
        return record(&fused, options, None);
    }
    let rest = fused.network().initial_state(options.batch_size)?;
    let later = after_a_step(&fused, options, rest.clone());
    if let Some(layer) = reshaped(&rest, &later) {
        return Err(OnnxError::Step { layer });
    }
    let model = record(&fused, options, Some(&rest))?;
    // What holds in the first step must hold in all.
    let next = record(&fused, options, Some(&later))?;
    match model.is_alike(&next) {
        true => Ok(model),
        false => Err(OnnxError::Step {
            layer: "the network".to_owned(),
        }),
    }
}

/// The states after a step of zeros.
fn after_a_step<N: SpikingNetwork>(
    fused: &Fused<N>,
    options: &OnnxOptions,
    state: NetworkState,
) -> NetworkState {
    let network = fused.network();
    let device = network.devices().into_iter().next().unwrap_or_default();
    let shape = [1, options.batch_size, network.elements()];
    let mut context = Context::new().with_state(state);
    fused.forward(Tensor::zeros(shape, &device), &mut context);
    context.finish()
}

/// The names of all tensors of a state, and the tensors.
fn tensors(state: &NetworkState) -> impl Iterator<Item = (String, Tensor<1>)> {
    state.layers().flat_map(|(layer, state)| {
        let tensors = state.tensors();
        tensors.map(move |(name, tensor)| {
            // The rank of the type is not looked at.
            let tensor = Tensor::from_dispatch(tensor.clone());
            (format!("{layer}.{name}"), tensor)
        })
    })
}

/// The first tensor of a state that is not in the other, or has another shape there.
fn reshaped(before: &NetworkState, after: &NetworkState) -> Option<String> {
    let shapes = |state| {
        let named = tensors(state).map(|(name, tensor)| (name, tensor.shape().to_vec()));
        named.collect::<BTreeSet<_>>()
    };
    let (before, after) = (shapes(before), shapes(after));
    let mut other = before.symmetric_difference(&after);
    other.next().map(|(name, _)| name.clone())
}

fn id<const D: usize>(tensor: &Tensor<D>) -> TensorId {
    let tensor = tensor.clone().try_into_primitive::<Capture>();
    tensor.expect("it is on the capture device").id()
}

/// A tensor that enters or leaves the network.
struct Port {
    name: String,
    id: TensorId,
    shape: Vec<usize>,
}

impl Port {
    fn new<const D: usize>(name: String, tensor: &Tensor<D>) -> Self {
        Self {
            name,
            id: id(tensor),
            shape: tensor.shape().to_vec(),
        }
    }
}

/// The tensors that enter and leave a network.
#[derive(Default)]
struct Ports {
    /// The input and the states.
    inputs: Vec<Port>,
    output: Option<Port>,
    states: Vec<Port>,
    layers: Vec<Port>,
}

fn record<N: SpikingNetwork>(
    fused: &Fused<N>,
    options: &OnnxOptions,
    state: Option<&NetworkState>,
) -> Result<OnnxModel, OnnxError> {
    let sample = fused.network().sample_shape();
    let steps = match options.repeats {
        true => 1,
        false => options.time_steps.unwrap_or(1),
    };
    let shape = [steps, options.batch_size, fused.network().elements()];
    // An input is a tensor from elsewhere.
    let input = Tensor::<3>::zeros(shape, &Device::flex());
    let device = Device::capture();
    let mut ports = Ports::default();
    let captured = device.capture_scope(|scope| {
        let network = fused.clone().to_device(&device);
        let input = input.to_device(&device);
        ports.inputs.push(Port::new("input".to_owned(), &input));
        let mut context = Context::new();
        if options.layers {
            context = context.with_recorder(Recorder::spikes());
        }
        if let Some(state) = state {
            let state = state.clone().to_device(&device);
            let named = tensors(&state);
            ports
                .inputs
                .extend(named.map(|(name, tensor)| Port::new(name, &tensor)));
            context = context.with_state(state);
        }
        if let (true, Some(time_steps)) = (options.repeats, options.time_steps) {
            context = context.with_repeats(time_steps);
        }
        let output = network.forward(input.clone(), &mut context);
        ports.output = Some(Port::new("output".to_owned(), &output));
        let (recorder, next) = context.into_parts();
        let named = tensors(&next);
        ports
            .states
            .extend(named.map(|(name, tensor)| Port::new(name, &tensor)));
        let spikes = recorder.layers().iter();
        let spikes = spikes.filter_map(|layer| Some((layer.name.clone(), layer.spikes.as_ref()?)));
        ports
            .layers
            .extend(spikes.map(|(name, spikes)| Port::new(name, spikes)));
        let outputs = ports
            .output
            .iter()
            .chain(&ports.states)
            .chain(&ports.layers);
        let outputs: BTreeSet<_> = outputs.map(|port| port.id).collect();
        scope.complete(ports.inputs.iter().map(|port| port.id), outputs)
    });
    let captured = captured.map_err(|error| OnnxError::Recording {
        reason: error.to_string(),
    })?;
    model(captured, ports, sample, options, state)
}

/// The model of a recording.
fn model(
    captured: CapturedGraph,
    ports: Ports,
    sample: Vec<usize>,
    options: &OnnxOptions,
    state: Option<&NetworkState>,
) -> Result<OnnxModel, OnnxError> {
    let mut builder = Builder::new(captured.values);
    let batch = options.batch_size;
    // The input of a sequence has time steps, that of one step and of a repeated step has none.
    let steps = options.time_steps.filter(|_| !options.repeats);
    let shape: Vec<usize> = steps.into_iter().chain([batch]).chain(sample).collect();
    let mut inputs = vec![ValueInfo::new("input", 1, &shape)];
    let [input, states @ ..] = ports.inputs.as_slice() else {
        unreachable!("there is an input");
    };
    let rows = builder.sizes(input.shape.clone());
    let rows = builder.add("Reshape", vec!["input".to_owned(), rows], vec![]);
    builder.call(input.id, rows);
    for state in states {
        let name = format!("state.{}", state.name);
        inputs.push(ValueInfo::new(&name, 1, &state.shape));
        builder.call(state.id, name);
    }
    for operation in captured.graph.operations {
        lower(&mut builder, operation)?;
    }

    let mut outputs = Vec::new();
    let output = ports.output.expect("the network has run");
    let name = builder.name(output.id)?;
    if options.time_steps.is_some() {
        let mean = vec![name.clone(), builder.sizes([0])];
        builder.add_named("Identity", vec![name], vec![], "output");
        outputs.push(ValueInfo::new("output", 1, &output.shape));
        let flat = vec![Attribute::int("keepdims", 0)];
        builder.add_named("ReduceMean", mean, flat, "scores");
        outputs.push(ValueInfo::new("scores", 1, &output.shape[1..]));
    } else {
        let shape = builder.sizes(output.shape[1..].to_vec());
        builder.add_named("Reshape", vec![name, shape], vec![], "output");
        outputs.push(ValueInfo::new("output", 1, &output.shape[1..]));
        for state in &ports.states {
            let (from, to) = (builder.name(state.id)?, format!("next.{}", state.name));
            builder.add_named("Identity", vec![from], vec![], &to);
            outputs.push(ValueInfo::new(&to, 1, &state.shape));
        }
    }
    for layer in &ports.layers {
        let (from, to) = (builder.name(layer.id)?, format!("spikes.{}", layer.name));
        builder.add_named("Identity", vec![from], vec![], &to);
        outputs.push(ValueInfo::new(&to, 1, &layer.shape));
    }

    let names: Vec<_> = outputs.iter().map(|output| output.name.clone()).collect();
    let (node, mut initializer) = builder.finish(&names);
    let weights = initializer.len();
    // An input with a constant of its name is that constant unless it is given: streams begin at rest.
    for (name, tensor) in state.into_iter().flat_map(tensors) {
        let data = tensor.into_data();
        initializer.push(Constant {
            name: format!("state.{name}"),
            ..of_data(&data)?
        });
    }
    let kind = match options.time_steps {
        Some(time_steps) => format!("a sequence of {time_steps} steps"),
        None => "one step".to_owned(),
    };
    let model = Model {
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
        metadata_props: vec![Entry {
            key: "time".to_owned(),
            value: kind,
        }],
    };
    Ok(OnnxModel::new(model, weights))
}
