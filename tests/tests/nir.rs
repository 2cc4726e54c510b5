//! NIR: graphs, their files, and what other simulators compute with them.

use burn::data::dataset::Dataset;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use synfire::record::Recorder;
use synfire::surrogate::Surrogate;
use synfire_data::{FrameBy, Frames, NMnist};
use synfire_models::{Context, SpikingNetwork};
use synfire_nir::{
    Affine, Array, CubaLI, CubaLIF, Current, Delay, Difference, Entry, Graph, Input, Integration,
    LI, LIF, Layer, Limits, Linear, NirNetwork, NirOptions, Node, OnSpike, Output, Scale, diff,
};
use synfire_tests::{data_folder, nir};

/// Traces of one neuron, see `tests/fixtures/nir_graphs.py`.
#[derive(Deserialize)]
struct Traces {
    steps: usize,
    /// The steps with an input of 1.
    inputs: Vec<usize>,
    simulators: BTreeMap<String, Trace>,
}

#[derive(Deserialize)]
struct Trace {
    /// The steps with a spike.
    spikes: Vec<usize>,
    #[serde(default)]
    potentials: Vec<f32>,
}

fn traces() -> Traces {
    serde_json::from_str(include_str!("../fixtures/nir/traces.json")).unwrap()
}

/// The graph of the paper's LIF neuron, `lif_norse.nir`.
fn lif() -> Graph {
    let one = |value: f32| Array::new([1], vec![value]);
    let lif = LIF {
        tau: one(0.0025),
        r: one(1.0),
        v_leak: one(0.0),
        v_threshold: one(0.1),
        v_reset: None,
    };
    let affine = Affine {
        weight: Array::new([1, 1], vec![1.0f32]),
        bias: one(0.0),
    };
    Graph::chain([
        ("input", Input::new([1]).into()),
        ("0", affine.into()),
        ("1", lif.into()),
        ("output", Output::new([1]).into()),
    ])
}

/// The potentials after each step, and the steps with a spike.
fn run_lif(options: &NirOptions, traces: &Traces) -> (Vec<f32>, Vec<usize>) {
    let device = Device::default();
    let network = NirNetwork::new(&lif(), options, &device).unwrap();
    let mut input = vec![0.0f32; traces.steps];
    traces.inputs.iter().for_each(|step| input[*step] = 1.0);
    let input = Tensor::<1>::from_floats(input.as_slice(), &device).reshape([-1, 1, 1]);
    let mut context = Context::new().with_recorder(Recorder::membranes());
    let spikes = network.forward(input, &mut context);
    let spikes = spikes.into_data().try_to_vec::<f32>().unwrap();
    let steps = spikes.iter().enumerate().filter(|(_, spike)| **spike > 0.0);
    let steps = steps.map(|(step, _)| step).collect();
    let v = context.recorder().layer("1").unwrap().v.clone().unwrap();
    (v.into_data().try_to_vec().unwrap(), steps)
}

fn assert_near(got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len());
    let largest = expected.iter().fold(0.0f32, |max, x| max.max(x.abs()));
    for (step, (got, expected)) in got.iter().zip(expected).enumerate() {
        let apart = (got - expected).abs();
        assert!(apart <= 1e-5 * largest, "{step}: {got} {expected}");
    }
}

#[test]
fn norse_is_forward_euler_with_a_reset_to_zero() {
    let traces = traces();
    let (potentials, spikes) = run_lif(&NirOptions::new(), &traces);
    let norse = &traces.simulators["norse"];
    assert_eq!(spikes, norse.spikes);
    assert_near(&potentials, &norse.potentials);
}

#[test]
fn rockpool_is_an_exact_leak_with_a_reset_by_subtraction() {
    let traces = traces();
    let options = NirOptions::new()
        .with_integration(Integration::ExponentialLeak)
        .with_reset(OnSpike::Subtract);
    let (potentials, spikes) = run_lif(&options, &traces);
    let rockpool = &traces.simulators["rockpool"];
    assert_eq!(spikes, rockpool.spikes);
    assert_near(&potentials, &rockpool.potentials);
}

#[test]
fn all_simulators_and_all_options_agree_on_when_the_neuron_spikes() {
    let traces = traces();
    let windows = [450..=461, 500..=520, 710..=711, 760..=761];
    let check = |name: &str, spikes: &[usize]| {
        assert_eq!(spikes.len(), windows.len(), "{name}: {spikes:?}");
        let mut pairs = windows.iter().zip(spikes);
        assert!(
            pairs.all(|(window, step)| window.contains(step)),
            "{name}: {spikes:?}"
        );
    };
    for (name, trace) in &traces.simulators {
        check(name, &trace.spikes);
    }
    for integration in [
        Integration::Euler,
        Integration::Exponential,
        Integration::ExponentialLeak,
    ] {
        for reset in [OnSpike::Zero, OnSpike::Subtract] {
            let options = NirOptions::new()
                .with_integration(integration)
                .with_reset(reset);
            let (_, spikes) = run_lif(&options, &traces);
            check(&format!("{integration:?}, {reset:?}"), &spikes);
        }
    }
}

/// Recurrent networks of the paper in Norse, see `tests/fixtures/nir_graphs.py`.
#[derive(Deserialize)]
struct Braille {
    cases: Vec<BrailleCase>,
}

#[derive(Deserialize)]
struct BrailleCase {
    file: String,
    reset: OnSpike,
    channels: usize,
    runs: Vec<BTreeMap<String, serde_json::Value>>,
}

/// The same inputs as in the fixtures.
fn seeded(length: usize, count: usize) -> Vec<f32> {
    let mut state: u32 = 1;
    let mut spike = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        8.0 * f32::from(state >> 28 == 0)
    };
    (0..length * count).map(|_| spike()).collect()
}

/// The spikes of a sequence `[T, 1, neurons]`, a row of digits a step.
fn rows(spikes: Tensor<3>) -> Vec<String> {
    let [_, _, neurons] = spikes.dims();
    let spikes = spikes.into_data().try_to_vec::<f32>().unwrap();
    let steps = spikes.chunks(neurons);
    let digit = |spike: &f32| if *spike > 0.0 { '1' } else { '0' };
    steps.map(|step| step.iter().map(digit).collect()).collect()
}

#[test]
fn recurrent_networks_spike_as_in_norse_and_snntorch() {
    let Some(folder) = data_folder("nir") else {
        return;
    };
    let text = include_str!("../fixtures/nir/braille.json");
    let device = Device::default();
    for case in serde_json::from_str::<Braille>(text).unwrap().cases {
        let graph = Graph::open(folder.join(&case.file)).unwrap();
        let options = NirOptions::new().with_reset(case.reset);
        let network = NirNetwork::new(&graph, &options, &device).unwrap();
        for run in case.runs {
            let length = run["length"].as_u64().unwrap() as usize;
            let input = seeded(length, case.channels);
            let input = Tensor::<1>::from_floats(input.as_slice(), &device);
            let input: Tensor<3> = input.reshape([length, 1, case.channels]);
            let recorder = Recorder::spikes();
            let mut context = Context::new().with_recorder(recorder);
            network.forward(input, &mut context);
            for layer in ["lif1.lif", "lif2"] {
                let expected: Vec<String> = serde_json::from_value(run[layer].clone()).unwrap();
                let spikes = context.recorder().layer(layer).unwrap().spikes.clone();
                let got = rows(spikes.unwrap());
                let first = got
                    .iter()
                    .zip(&expected)
                    .position(|(got, expected)| got != expected);
                assert_eq!(
                    first, None,
                    "{} {layer}: the first step that differs",
                    case.file
                );
            }
        }
    }
}

#[test]
fn the_convolution_of_the_paper_knows_the_digits_of_real_recordings() {
    let (Some(graphs), Some(recordings)) = (data_folder("nir"), data_folder("nmnist")) else {
        return;
    };
    let device = Device::default();
    let graph = Graph::open(graphs.join("cnn_sinabs.nir")).unwrap();
    let data = NMnist::from_folder(&recordings, "Test").unwrap();
    let frames = Frames::new(FrameBy::Window(1000));
    // Published for all 10,000 recordings, each in another simulator: 97.85 to 98.47 %.
    for (reset, at_least) in [(OnSpike::Zero, 98), (OnSpike::Subtract, 96)] {
        let options = NirOptions::new().with_reset(reset);
        let network = NirNetwork::new(&graph, &options, &device).unwrap();
        let (config, _) = network.to_zoo().expect("it is the network `nir-cnn`");
        assert_eq!(config.name(), "nir-cnn");
        let mut correct = 0;
        for item in data.iter() {
            let item = item.unwrap();
            let frames = frames.of(&item.events, NMnist::SENSOR);
            let frames = Tensor::<1>::from_floats(frames.as_slice(), &device);
            let spikes = network.run(frames.reshape([-1, 1, 2 * 34 * 34]));
            let counts = spikes.sum_dim(0).flatten::<1>(0, 2);
            let digit: i64 = counts.argmax(0).into_scalar::<i64>();
            correct += usize::from(digit == i64::from(item.label));
        }
        let percent = 100 * correct / data.len();
        assert!(
            percent >= at_least,
            "{reset:?}: {correct} of {}",
            data.len()
        );
    }
}

#[test]
fn files_keep_everything() {
    let graph = nir::every_primitive();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graph.nir");
    graph.save(&path).unwrap();
    assert_eq!(Graph::open(&path).unwrap(), graph);

    // Metadata of a graph belongs to its node where it is a subgraph.
    let mut outer = Graph::chain([("inner", Node::from(graph.clone()))]);
    let read = Graph::from_bytes(outer.to_bytes().unwrap(), Limits::default()).unwrap();
    assert_eq!(read.nodes[0].metadata["note"], graph.metadata["note"]);
    outer.nodes[0].metadata.clear();
    assert_ne!(read, outer);

    // Other readers need the size of images.
    let mut without = graph.clone();
    for node in &mut without.nodes {
        if let Node::Conv2d(conv) = &mut node.node {
            conv.input_shape = None;
        }
    }
    let bytes = without.to_bytes().unwrap();
    assert_eq!(Graph::from_bytes(bytes, Limits::default()).unwrap(), graph);
}

/// Written by the reference implementation, see `tests/fixtures/nir_graphs.py`, which writes what is left out here with its
/// default.
#[test]
fn files_of_the_reference_implementation_are_read() {
    let bytes = include_bytes!("../fixtures/nir/primitives.nir").to_vec();
    let read = Graph::from_bytes(bytes, Limits::default()).unwrap();
    let text = |differences: Vec<Difference>| -> Vec<String> {
        differences.iter().map(Difference::to_string).collect()
    };
    assert_eq!(
        text(diff(&nir::every_primitive(), &read)),
        [
            "node `c_if`: `v_reset` is in the second alone",
            "node `k_loop.lif`: `v_reset` is in the second alone",
            "node `u_cuba`: `w_in` is in the second alone",
        ]
    );
    let mean = &read.nodes[3].metadata["mean"];
    assert_eq!(*mean, Entry::Array(Array::from(0.25)));
    assert_eq!(
        read.metadata["note"],
        Entry::Text("every primitive".to_owned())
    );
}

/// For `tests/fixtures/nir_graphs.py`: `SYNFIRE_NIR=DIR cargo test --workspace --test nir -- --ignored`.
#[test]
#[ignore = "writes files for another program"]
fn files_for_other_libraries() {
    let folder =
        PathBuf::from(std::env::var_os("SYNFIRE_NIR").expect("SYNFIRE_NIR names a folder"));
    nir::every_primitive()
        .save(folder.join("primitives.nir"))
        .unwrap();
    for (name, graph) in nir::for_other_libraries() {
        graph.save(folder.join(format!("{name}.nir"))).unwrap();
    }
}

/// What other libraries compute with the files that Synfire writes, see `tests/fixtures/nir_graphs.py`.
#[derive(Deserialize)]
struct Elsewhere {
    runs: Vec<ElsewhereRun>,
}

#[derive(Deserialize)]
struct ElsewhereRun {
    graph: String,
    library: String,
    reset: OnSpike,
    /// A row of digits for each step, the number of spikes of each output.
    spikes: Vec<String>,
}

#[test]
fn other_libraries_compute_the_same_with_files_of_synfire() {
    let text = include_str!("../fixtures/nir/libraries.json");
    let device = Device::default();
    let graphs: BTreeMap<_, _> = nir::for_other_libraries().into_iter().collect();
    let mut libraries = BTreeSet::new();
    for run in serde_json::from_str::<Elsewhere>(text).unwrap().runs {
        let options = NirOptions::new().with_reset(run.reset);
        let network = NirNetwork::new(&graphs[run.graph.as_str()], &options, &device).unwrap();
        let length = run.spikes.len();
        let input = seeded(length, 12);
        let input = Tensor::<1>::from_floats(input.as_slice(), &device) / 8.0;
        let spikes = network.run(input.reshape([length, 1, 12]));
        let (got, expected) = (rows(spikes), &run.spikes);
        let first = got
            .iter()
            .zip(expected)
            .position(|(got, expected)| got != expected);
        assert_eq!(
            first, None,
            "{} in {}: the first step that differs",
            run.graph, run.library
        );
        assert!(
            expected.iter().any(|row| row.contains('1')),
            "a silent network proves nothing"
        );
        libraries.insert(run.library);
    }
    assert_eq!(libraries.len(), 4, "{libraries:?}");
}

#[test]
fn parts_of_a_sequence_are_as_the_whole() {
    let device = Device::default();
    let graph = nir::every_primitive();
    let network = NirNetwork::new(&graph, &NirOptions::new(), &device).unwrap();
    assert_eq!(network.sample_shape(), [2 * 36 + 18]);
    assert_eq!(network.output_shapes(), [&[6][..], &[1, 12, 1]]);
    assert_eq!(network.late_edges(), [("k_loop.w_rec", "k_loop.lif")]);
    let input = seeded(12, 2 * 90);
    let input = Tensor::<1>::from_floats(input.as_slice(), &device).reshape([12, 2, 90]);
    let whole = network.forward(input.clone(), &mut Context::new());
    let mut context = Context::new();
    let mut parts = Vec::new();
    for part in input.split_with_sizes(vec![1, 4, 7], 0) {
        parts.push(network.forward(part, &mut context));
        context = Context::new().with_state(context.finish());
    }
    let whole = whole.into_data().try_to_vec::<f32>().unwrap();
    let parts = Tensor::cat(parts, 0)
        .into_data()
        .try_to_vec::<f32>()
        .unwrap();
    assert!(whole.iter().any(|output| *output != 0.0));
    assert_near(&parts, &whole);
}

#[test]
fn graphs_train() {
    let device = Device::default().autodiff();
    // Wide, so that every neuron has a gradient.
    let options = NirOptions::new().with_surrogate(Surrogate::atan(0.5).unwrap());
    let graph = nir::every_primitive();
    let network = NirNetwork::new(&graph, &options, &device).unwrap();
    let input = seeded(8, 90);
    let input = Tensor::<1>::from_floats(input.as_slice(), &device).reshape([8, 1, 90]);
    let outputs = network.forward(input, &mut Context::new());
    let gradients = (outputs.clone() * outputs).sum().backward();
    for node in ["b_conv", "h_linear", "k_loop.w_rec", "l_affine", "p_conv"] {
        let gradient = match network.layer(node).unwrap() {
            Layer::Linear(linear) => linear
                .weight
                .val()
                .grad(&gradients)
                .map(|grad| grad.abs().max()),
            Layer::Conv(conv) => conv
                .conv
                .weight
                .val()
                .grad(&gradients)
                .map(|grad| grad.abs().max()),
            other => panic!("{node}: {other}"),
        };
        let largest: f32 = gradient
            .unwrap_or_else(|| panic!("{node} has no gradient"))
            .into_scalar();
        assert!(largest > 0.0, "{node}: {largest}");
    }
}

#[test]
fn trained_weights_are_written() {
    let device = Device::default();
    let graph = nir::every_primitive();
    let network = NirNetwork::new(&graph, &NirOptions::new(), &device).unwrap();
    assert_eq!(network.to_graph(), graph);

    struct Double;
    impl ModuleMapper for Double {
        fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
            parameter.map(|tensor| tensor * 2.0)
        }
    }
    let doubled = network.map(&mut Double).to_graph();
    let changed: BTreeSet<String> = diff(&graph, &doubled)
        .iter()
        .map(|difference| match difference {
            Difference::Field { name, field, .. } => format!("{name} {field}"),
            other => panic!("{other}"),
        })
        .collect();
    let expected = [
        "b_conv bias",
        "b_conv weight",
        "e_conv bias",
        "e_conv weight",
        "h_linear weight",
        "k_loop.w_rec bias",
        "k_loop.w_rec weight",
        "l_affine bias",
        "l_affine weight",
        "p_conv bias",
        "p_conv weight",
        "r_scale scale",
    ];
    assert_eq!(changed.into_iter().collect::<Vec<_>>(), expected);
}

/// The error of a graph that is no network.
fn refused(graph: &Graph) -> String {
    let device = Device::default();
    let network = NirNetwork::new(graph, &NirOptions::new(), &device);
    network.map(drop).unwrap_err().to_string()
}

#[test]
fn what_does_not_fit_is_named() {
    let chain = |node: Node, output: usize| {
        Graph::chain([
            ("input", Input::new([3]).into()),
            ("node", node),
            ("output", Output::new([output]).into()),
        ])
    };
    let linear = |shape: [usize; 2]| Linear {
        weight: Array::full(shape, 0.1),
    };
    let text = refused(&chain(linear([2, 4]).into(), 2));
    assert_eq!(
        text,
        "node `node`: `weight` is of shape [2, 4], which takes [4], but [3] comes in"
    );
    let text = refused(&chain(linear([2, 3]).into(), 5));
    assert_eq!(text, "node `output`: `shape` is [5], but [2] comes in");
    let text = refused(&chain(LIF::new([4], 1e-3).into(), 4));
    assert_eq!(
        text,
        "node `node`: `tau` is of shape [4], which does not broadcast over [3]"
    );
    let text = refused(&chain(LIF::new([3], 0.0).into(), 3));
    assert_eq!(text, "node `node`: `tau` has 0, expected numbers above 0");
    let text = refused(&chain(LIF::new([3], 1e-5).into(), 3));
    assert_eq!(
        text,
        "node `node`: `tau` has 0.00001, where steps of 0.0001 by forward Euler diverge"
    );
    let text = refused(&chain(
        Delay {
            delay: Array::full([3], 1e9),
        }
        .into(),
        3,
    ));
    assert!(
        text.starts_with("node `node`: `delay` has 1000000000, expected from 0 to 1000000 steps"),
        "{text}"
    );
    let text = refused(&Graph::chain([(
        "input",
        Node::from(Input::new([1 << 40])),
    )]));
    assert!(text.contains("no Output"), "{text}");
    let huge = [
        ("input", Node::from(Input::new([1 << 40]))),
        ("output", Output::new([1 << 40]).into()),
    ];
    let text = refused(&Graph::chain(huge));
    assert!(
        text.starts_with("node `input`: `shape` is [1099511627776], expected from 1"),
        "{text}"
    );

    let mut cycle = chain(linear([3, 3]).into(), 3);
    cycle.add("back", linear([3, 3]));
    let edge = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    cycle
        .edges
        .extend([edge("node", "back"), edge("back", "node")]);
    assert_eq!(
        refused(&cycle),
        "nodes back, node form a cycle without a neuron or a delay"
    );
    // With a delay there is a step between them.
    cycle.add(
        "late",
        Delay {
            delay: Array::full([3], 1e-4),
        },
    );
    cycle.edges.pop();
    cycle
        .edges
        .extend([edge("back", "late"), edge("late", "node")]);
    let network = NirNetwork::new(&cycle, &NirOptions::new(), &Device::default()).unwrap();
    // It is the delay that makes the step.
    assert_eq!(network.late_edges(), []);

    let mut twice = cycle.clone();
    twice.edges.push(edge("node", "back"));
    assert_eq!(refused(&twice), "edge `node` -> `back`: is there twice");
    let mut to_input = cycle.clone();
    to_input.edges.push(edge("back", "input"));
    assert_eq!(
        refused(&to_input),
        "edge `back` -> `input`: ends at an input of the graph"
    );
    let mut open = cycle.clone();
    open.add("nothing", Output::new([3]));
    assert_eq!(
        refused(&open),
        "node `nothing`: `edges` has no edge to this output"
    );
    cycle.edges.push(edge("node", "nowhere"));
    assert_eq!(
        refused(&cycle),
        "edge `node` -> `nowhere`: there is no node `nowhere`"
    );
}

#[test]
fn a_delay_in_a_cycle_counts_once() {
    // y[t] = x[t] + y[t - 2]
    let mut graph = Graph::chain([
        ("input", Node::from(Input::new([1]))),
        (
            "sum",
            Scale {
                scale: Array::from(1.0),
            }
            .into(),
        ),
        ("output", Output::new([1]).into()),
    ]);
    graph.add(
        "delay",
        Delay {
            delay: Array::from(2e-4),
        },
    );
    let edge = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    graph
        .edges
        .extend([edge("sum", "delay"), edge("delay", "sum")]);
    let device = Device::default();
    let network = NirNetwork::new(&graph, &NirOptions::new(), &device).unwrap();
    let input = Tensor::<3>::from_floats([[[1.0]], [[0.5]], [[0.0]], [[0.0]], [[2.0]]], &device);
    let outputs = network.forward(input, &mut Context::new());
    assert_eq!(
        outputs.into_data().try_to_vec::<f32>().unwrap(),
        [1.0, 0.5, 1.0, 0.5, 3.0]
    );
}

#[test]
fn a_delay_in_a_cycle_delays_what_comes_from_outside() {
    // input -> delay -> halve -> output, halve -> delay
    let mut graph = Graph::chain([
        ("input", Node::from(Input::new([2]))),
        (
            "delay",
            Delay {
                delay: Array::new([2], vec![2e-4, 1e-4]),
            }
            .into(),
        ),
        (
            "halve",
            Affine {
                weight: Array::new([2, 2], vec![0.5, 0.0, 0.0, 0.5]),
                bias: Array::new([2], vec![0.0, 1.0]),
            }
            .into(),
        ),
        ("output", Output::new([2]).into()),
    ]);
    graph.edges.push(("halve".to_owned(), "delay".to_owned()));
    let device = Device::default();
    let network = NirNetwork::new(&graph, &NirOptions::new(), &device).unwrap();
    let mut input = vec![0.0f32; 12];
    input[..2].copy_from_slice(&[1.0, 1.0]);
    let input = Tensor::<1>::from_floats(input.as_slice(), &device).reshape([6, 1, 2]);
    // Two steps later, and again; one step later, with a bias from the first step on.
    let expected = [0.0, 1.0, 0.0, 2.0, 0.5, 2.0, 0.0, 2.0, 0.25, 2.0, 0.0, 2.0];
    let whole = network.forward(input.clone(), &mut Context::new());
    assert_eq!(whole.into_data().try_to_vec::<f32>().unwrap(), expected);
    let mut context = Context::new();
    let mut parts = Vec::new();
    for part in input.split_with_sizes(vec![1, 2, 3], 0) {
        parts.push(network.forward(part, &mut context));
        context = Context::new().with_state(context.finish());
    }
    let parts = Tensor::cat(parts, 0).into_data();
    assert_eq!(parts.try_to_vec::<f32>().unwrap(), expected);
}

/// The layers of PyTorch, see `tests/fixtures/nir_graphs.py`.
#[derive(Deserialize)]
struct Layers {
    input: Vec<f32>,
    outputs: Vec<f32>,
}

#[test]
fn layers_compute_what_pytorchs_do() {
    let device = Device::default();
    let bytes = include_bytes!("../fixtures/nir/layers.nir").to_vec();
    let graph = Graph::from_bytes(bytes, Limits::default()).unwrap();
    let network = NirNetwork::new(&graph, &NirOptions::new(), &device).unwrap();
    let text = include_str!("../fixtures/nir/layers.json");
    let expected: Layers = serde_json::from_str(text).unwrap();
    let elements = network.elements();
    let input = Tensor::<1>::from_floats(expected.input.as_slice(), &device);
    let outputs = network.run(input.reshape([1, 2, elements]));
    let outputs = outputs.into_data().try_to_vec::<f32>().unwrap();
    assert_near(&outputs, &expected.outputs);
}

/// One neuron with every parameter, by a plain loop: the outputs of each step.
fn by_loop(options: &NirOptions, input: &[f64], spikes: bool, synapse: bool) -> Vec<f64> {
    let (tau, tau_syn, r, w_in) = (2e-3, 7e-4, 3.0, 1.5);
    let (leak, threshold, to) = (0.1, 0.4, 0.05);
    let factors = |tau: f64| {
        let part = options.dt / tau;
        match options.integration {
            Integration::Euler => (1.0 - part, part),
            Integration::Exponential => ((-part).exp(), 1.0 - (-part).exp()),
            Integration::ExponentialLeak => ((-part).exp(), part),
        }
    };
    let ((a, b), (a_syn, b_syn)) = (factors(tau), factors(tau_syn));
    let (mut v, mut current, mut outputs) = (0.0, 0.0, Vec::new());
    for x in input {
        let old = current;
        current = a_syn * current + b_syn * w_in * x;
        let entering = match (synapse, options.current) {
            (false, _) => *x,
            (true, Current::New) => current,
            (true, Current::Old) => old,
        };
        let u = leak + a * (v - leak) + b * r * entering;
        let spike = u > threshold;
        v = match (spikes && spike, options.reset) {
            (false, _) => u,
            (true, OnSpike::Zero) => to,
            (true, OnSpike::Subtract) => u - (threshold - to),
        };
        outputs.push(if spikes { f64::from(spike) } else { u });
    }
    outputs
}

#[test]
fn steps_of_neurons_are_those_of_plain_loops() {
    let device = Device::default();
    let (tau, tau_syn, r, w_in) = (2e-3, 7e-4, 3.0, 1.5);
    let (leak, threshold, to) = (0.1, 0.4, 0.05);
    // Of three neurons one has another parameter, so that all have their own.
    let of = |value: f64| Array::new([3], vec![value, value, value * 1.001]);
    let nodes: [(Node, bool, bool); 4] = [
        (
            LI {
                tau: of(tau),
                r: of(r),
                v_leak: of(leak),
            }
            .into(),
            false,
            false,
        ),
        (
            LIF {
                tau: of(tau),
                r: of(r),
                v_leak: of(leak),
                v_threshold: of(threshold),
                v_reset: Some(of(to)),
            }
            .into(),
            true,
            false,
        ),
        (
            CubaLI {
                tau_syn: of(tau_syn),
                tau_mem: of(tau),
                r: of(r),
                v_leak: of(leak),
                w_in: Some(of(w_in)),
            }
            .into(),
            false,
            true,
        ),
        (
            CubaLIF {
                tau_syn: of(tau_syn),
                tau_mem: of(tau),
                r: of(r),
                v_leak: of(leak),
                v_threshold: of(threshold),
                v_reset: Some(of(to)),
                w_in: Some(of(w_in)),
            }
            .into(),
            true,
            true,
        ),
    ];
    let input: Vec<f32> = seeded(300, 1);
    let numbers: Vec<f64> = input.iter().map(|x| f64::from(*x)).collect();
    let input = Tensor::<1>::from_floats(input.as_slice(), &device).reshape([300, 1, 1]);
    let mut fired = 0.0;
    for integration in [
        Integration::Euler,
        Integration::Exponential,
        Integration::ExponentialLeak,
    ] {
        for (reset, current) in [
            (OnSpike::Zero, Current::New),
            (OnSpike::Subtract, Current::Old),
        ] {
            let options = NirOptions::new()
                .with_integration(integration)
                .with_reset(reset)
                .with_current(current);
            for (node, spikes, synapse) in &nodes {
                let graph = Graph::chain([
                    ("input", Input::new([3]).into()),
                    ("neurons", node.clone()),
                    ("output", Output::new([3]).into()),
                ]);
                let network = NirNetwork::new(&graph, &options, &device).unwrap();
                assert_eq!(network.layer_names().is_empty(), !spikes, "{}", node.kind());
                let outputs = network.run(input.clone().repeat_dim(2, 3));
                let outputs = outputs.slice([0..300, 0..1, 0..1]).into_data();
                let outputs = outputs.try_to_vec::<f32>().unwrap();
                let expected = by_loop(&options, &numbers, *spikes, *synapse);
                let expected: Vec<f32> = expected.into_iter().map(|x| x as f32).collect();
                fired += if *spikes { expected.iter().sum() } else { 0.0 };
                assert_near(&outputs, &expected);
            }
        }
    }
    assert!(fired > 100.0, "{fired}");
}

#[test]
fn parameters_broadcast() {
    let device = Device::default();
    let graph = |lif: LIF, scale: Array| {
        Graph::chain([
            ("input", Input::new([2, 2, 3]).into()),
            ("scale", Scale { scale }.into()),
            ("lif", lif.into()),
            ("output", Output::new([2, 2, 3]).into()),
        ])
    };
    let lif = |shape: &[usize], thresholds: Vec<f64>| LIF {
        tau: Array::from(1e-3),
        r: Array::full([1], 10.0),
        v_leak: Array::full([2, 2, 3], 0.0),
        v_threshold: Array::new(shape, thresholds),
        v_reset: None,
    };
    let each =
        |values: &[f64]| -> Vec<f64> { values.iter().flat_map(|value| [*value; 6]).collect() };
    let short = graph(
        lif(&[2, 1, 1], vec![0.5, 1.5]),
        Array::new([2, 1, 1], vec![0.1, 0.2]),
    );
    let written_out = graph(
        lif(&[2, 2, 3], each(&[0.5, 1.5])),
        Array::new([2, 2, 3], each(&[0.1, 0.2])),
    );
    let spikes = |graph: &Graph| {
        let network = NirNetwork::new(graph, &NirOptions::new(), &device).unwrap();
        let input = Tensor::<1>::from_floats(seeded(40, 12).as_slice(), &device);
        let spikes = network.run(input.reshape([40, 1, 12]));
        (
            spikes.into_data().try_to_vec::<f32>().unwrap(),
            network.num_params(),
        )
    };
    let ((short, few), (long, many)) = (spikes(&short), spikes(&written_out));
    assert_eq!(short, long);
    assert!(short.contains(&1.0));
    assert_eq!((few, many), (2, 12));
}

#[test]
fn the_kernels_of_lif_compute_the_same() {
    let device = Device::default();
    let spikes = |leak: f64| {
        let mut lif = LIF::new([4], 1e-3);
        lif.r = Array::full([4], 10.0);
        lif.v_leak = Array::full([4], leak);
        let graph = Graph::chain([
            ("input", Input::new([4]).into()),
            ("lif", lif.into()),
            ("output", Output::new([4]).into()),
        ]);
        let network = NirNetwork::new(&graph, &NirOptions::new(), &device).unwrap();
        let by_lif = matches!(network.layer("lif"), Some(Layer::Lif(_)));
        let input = Tensor::<1>::from_floats(seeded(50, 4).as_slice(), &device);
        let spikes = network.run(input.reshape([50, 1, 4])).into_data();
        (by_lif, spikes.try_to_vec::<f32>().unwrap())
    };
    let ((by_lif, fast), (by_membrane, general)) = (spikes(0.0), spikes(1e-30));
    assert!(by_lif && !by_membrane);
    assert_eq!(fast, general);
    assert!(fast.contains(&1.0));
}

#[test]
fn damaged_files_are_refused() {
    let graph = nir::every_primitive();
    let error = |graph: &Graph| {
        let bytes = graph.to_bytes().unwrap();
        Graph::from_bytes(bytes, Limits::default())
            .unwrap_err()
            .to_string()
    };
    let mut not_finite = graph.clone();
    not_finite.add(
        "w_nan",
        Scale {
            scale: Array::from(f64::NAN),
        },
    );
    let text = error(&not_finite);
    assert_eq!(
        text,
        "node `w_nan`: `scale` has numbers that are not finite in single precision"
    );
    let bytes = graph.to_bytes().unwrap();
    let read = |limits| {
        Graph::from_bytes(bytes.clone(), limits)
            .unwrap_err()
            .to_string()
    };
    let few = Limits {
        entries: 10,
        ..Limits::default()
    };
    assert_eq!(read(few), "entries of the file: 11, expected at most 10");
    let flat = Limits {
        depth: 3,
        ..Limits::default()
    };
    assert!(read(flat).starts_with("groups inside of each other"));
    let small = Limits {
        bytes: 1000,
        ..Limits::default()
    };
    assert!(read(small).contains("expected at most 1000"));
    let text = Graph::from_bytes(vec![0; 100], Limits::default())
        .unwrap_err()
        .to_string();
    assert!(text.starts_with("not a readable HDF5 file"), "{text}");
}

/// A chain of so many nodes.
fn long_chain(count: usize) -> Graph {
    let scale = Scale {
        scale: Array::from(1.0),
    };
    let nodes = (0..count).map(|i| (format!("n{i:07}"), scale.clone().into()));
    let input = ("input".to_owned(), Input::new([1]).into());
    let output = ("output".to_owned(), Output::new([1]).into());
    Graph::chain([input].into_iter().chain(nodes).chain([output]))
}

#[test]
#[ignore = "takes a minute, see CONTRIBUTING"]
fn a_million_nodes_are_refused_and_many_are_run() {
    let started = std::time::Instant::now();
    let bytes = long_chain(1_000_000).to_bytes().unwrap();
    println!("{} MB written, {:?}", bytes.len() >> 20, started.elapsed());
    let started = std::time::Instant::now();
    let error = Graph::from_bytes(bytes, Limits::default()).unwrap_err();
    println!("{error}: {:?}", started.elapsed());
    let started = std::time::Instant::now();
    let bytes = long_chain(100_000).to_bytes().unwrap();
    let graph = Graph::from_bytes(bytes, Limits::default()).unwrap();
    println!("100,000 nodes read, {:?}", started.elapsed());
    let started = std::time::Instant::now();
    let network = NirNetwork::new(&graph, &NirOptions::new(), &Device::flex()).unwrap();
    println!("100,000 nodes built, {:?}", started.elapsed());
    let started = std::time::Instant::now();
    let output = network.run(Tensor::<3>::ones([2, 1, 1], &Device::flex()));
    println!("100,000 nodes run, {:?}", started.elapsed());
    assert_eq!(output.into_data().try_to_vec::<f32>().unwrap(), [1.0, 1.0]);
}
