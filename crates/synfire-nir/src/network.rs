//! A graph as a network.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use synfire_models::{Context, SpikingNetwork};

use crate::flat::Flat;
use crate::layer::{Build, Layer};
use crate::node::Shapes;
use crate::plan::{Loop, Stage, order, shapes};
use crate::signal::Signal;
use crate::{Graph, NirError, NirOptions};

/// A graph of NIR as a Burn module: it trains, streams with its state, is recorded, and runs on every backend.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{Context, SpikingNetwork};
/// use synfire_nir::{Array, Graph, Input, LIF, Linear, NirNetwork, NirOptions, Output};
///
/// let graph = Graph::chain([
///     ("input", Input::new([2]).into()),
///     ("fc", Linear { weight: Array::full([3, 2], 20.0) }.into()),
///     ("lif", LIF::new([3], 2e-3).into()),
///     ("output", Output::new([3]).into()),
/// ]);
/// let device = Device::default();
/// let network = NirNetwork::new(&graph, &NirOptions::new(), &device)?;
/// let spikes = network.forward(Tensor::ones([5, 1, 2], &device), &mut Context::new());
/// assert_eq!(spikes.into_data().try_to_vec::<f32>().unwrap()[..3], [1.0; 3]);
/// # Ok::<(), synfire_nir::NirError>(())
/// ```
///
/// A sample is the elements of all inputs in the order of their names, and so are the outputs.
///
/// # Recurrent edges
///
/// Recurrent signals arrive in the next step. Nodes that form a cycle run step by step. A depth-first search from the nodes with
/// input from outside the cycle, in the order of names, finds the late edges: those that close a cycle. Before the first step
/// they carry the output of their node for silent neurons. A cycle with a [`Delay`](crate::Delay) of at least one step needs no
/// late edge.
#[derive(Module, Debug)]
pub struct NirNetwork {
    /// The layers, in the order of their nodes.
    layers: Vec<Layer>,
    #[module(skip)]
    plan: Arc<Plan>,
}

/// Everything but the parameters.
#[derive(Clone, Debug)]
struct Plan {
    graph: Graph,
    options: NirOptions,
    names: Vec<String>,
    kinds: Vec<&'static str>,
    shapes: Vec<Shapes>,
    before: Vec<Vec<usize>>,
    stages: Vec<Stage>,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
}

/// The outputs of nodes.
type Signals = HashMap<usize, Signal>;

impl NirNetwork {
    /// Creates the network.
    ///
    /// # Errors
    ///
    /// If the options are [invalid](NirOptions::validate), a field of a node is, shapes do not fit, or nodes wait for each
    /// other.
    pub fn new(graph: &Graph, options: &NirOptions, device: &Device) -> Result<Self, NirError> {
        options.validate()?;
        let flat = Flat::new(graph)?;
        let ports = [("Input", &flat.inputs), ("Output", &flat.outputs)];
        if let Some((kind, _)) = ports.into_iter().find(|(_, ports)| ports.is_empty()) {
            return Err(NirError::Field {
                node: String::new(),
                field: "nodes".to_owned(),
                problem: format!("has no {kind}"),
            });
        }
        let mut outputs = flat.outputs.iter();
        if let Some(output) = outputs.find(|number| flat.before[**number].is_empty()) {
            return Err(NirError::Field {
                node: flat.nodes[*output].0.clone(),
                field: "edges".to_owned(),
                problem: "has no edge to this output".to_owned(),
            });
        }
        let shapes = shapes(&flat)?;
        let stages = order(&flat, options)?;
        let mut layers = Vec::with_capacity(flat.nodes.len());
        for ((name, node), shapes) in flat.nodes.iter().zip(&shapes) {
            let build = Build {
                options,
                device,
                shapes,
            };
            layers.push(node.layer(&build).map_err(|problem| problem.of(name))?);
        }
        for stage in &stages {
            if let Stage::Loop(cycle) = stage {
                cycle
                    .delays
                    .iter()
                    .for_each(|number| layers[*number].shorten());
            }
        }
        let plan = Arc::new(Plan {
            graph: graph.clone(),
            options: options.clone(),
            before: flat.before,
            kinds: flat.nodes.iter().map(|(_, node)| node.kind()).collect(),
            names: flat.nodes.into_iter().map(|(name, _)| name).collect(),
            shapes,
            stages,
            inputs: flat.inputs,
            outputs: flat.outputs,
        });
        Ok(Self { layers, plan })
    }

    /// The graph that it was made of, with the weights that it had then.
    pub fn graph(&self) -> &Graph {
        &self.plan.graph
    }

    /// The graph with the weights that the network has now.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use synfire_nir::{Array, Graph, Input, Linear, NirNetwork, NirOptions, Output};
    ///
    /// let graph = Graph::chain([
    ///     ("input", Input::new([2]).into()),
    ///     ("fc", Linear { weight: Array::new([1, 2], vec![0.5f32, 0.25]) }.into()),
    ///     ("output", Output::new([1]).into()),
    /// ]);
    /// let network = NirNetwork::new(&graph, &NirOptions::new(), &Device::default())?;
    /// // ... training ...
    /// assert_eq!(network.to_graph(), graph);
    /// # Ok::<(), synfire_nir::NirError>(())
    /// ```
    pub fn to_graph(&self) -> Graph {
        let names = self.plan.names.iter().map(String::as_str);
        let layers: HashMap<&str, &Layer> = names.zip(&self.layers).collect();
        let mut graph = self.plan.graph.clone();
        graph.for_each_node(&mut |path, node| {
            let weights = layers.get(path).and_then(|layer| layer.weights());
            if let Some(weights) = weights {
                node.set_weights(weights);
            }
        });
        graph
    }

    /// The options that it was made with.
    pub fn options(&self) -> &NirOptions {
        &self.plan.options
    }

    /// The layer of a node; those of subgraphs are `subgraph.node`.
    pub fn layer(&self, node: &str) -> Option<&Layer> {
        let at = self.plan.names.iter().position(|name| name == node)?;
        Some(&self.layers[at])
    }

    /// The late edges: their signals arrive in the next step.
    pub fn late_edges(&self) -> Vec<(&str, &str)> {
        let name = |number: &usize| self.plan.names[*number].as_str();
        let loops = self.plan.stages.iter().filter_map(|stage| match stage {
            Stage::Loop(cycle) => Some(&cycle.late),
            Stage::Node(_) => None,
        });
        let mut edges: Vec<_> = loops
            .flatten()
            .map(|(from, to)| (name(from), name(to)))
            .collect();
        edges.sort_unstable();
        edges
    }

    /// The nodes in the order of the file, those of subgraphs as `subgraph.node`, with their types and their shapes for one
    /// sample and one step.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &'static str, &Shapes)> {
        let plan = &self.plan;
        let names = plan
            .names
            .iter()
            .map(String::as_str)
            .zip(plan.kinds.iter().copied());
        names
            .zip(&plan.shapes)
            .map(|((name, kind), shapes)| (name, kind, shapes))
    }

    /// The edges between these nodes.
    pub fn edges(&self) -> impl Iterator<Item = (&str, &str)> {
        let plan = &self.plan;
        let pairs = plan.before.iter().enumerate();
        let pairs = pairs.flat_map(|(to, before)| before.iter().map(move |from| (*from, to)));
        pairs.map(|(from, to)| (plan.names[from].as_str(), plan.names[to].as_str()))
    }

    /// The shape of each output, in the order of their names.
    pub fn output_shapes(&self) -> Vec<&[usize]> {
        let outputs = self.plan.outputs.iter();
        outputs
            .map(|number| self.plan.shapes[*number].output.as_slice())
            .collect()
    }

    /// Runs a node on what comes in.
    fn run_node(&self, number: usize, input: Signal, context: &mut Context) -> Signal {
        let plan = &self.plan;
        self.layers[number].forward(
            &plan.names[number],
            input,
            &plan.shapes[number].output,
            context,
        )
    }

    /// The input of a node without an edge to it: zeros.
    fn silence(&self, number: usize, [steps, batch]: [usize; 2], device: &Device) -> Signal {
        let count = elements(&self.plan.shapes[number].input);
        Signal::Rows(Tensor::zeros([steps, batch, count], device))
    }

    /// Runs the nodes of a cycle step by step.
    fn run_loop(
        &self,
        cycle: &Loop,
        signals: &mut Signals,
        [steps, batch]: [usize; 2],
        device: &Device,
        context: &mut Context,
    ) {
        let plan = &self.plan;
        let inside: HashSet<usize> = cycle.nodes.iter().copied().collect();
        // Signals from outside, step by step.
        let mut outside: HashMap<usize, Vec<Tensor<3>>> = HashMap::new();
        for number in &cycle.nodes {
            let from = plan.before[*number].iter();
            let from = from.filter(|from| !inside.contains(from));
            if let Some(input) = incoming(from.map(|from| &signals[from])) {
                outside.insert(*number, input.rows().split(1, 0));
            }
        }
        // Late signals are one row in the state: outputs of nodes, then inputs of delays.
        let late: BTreeSet<usize> = cycle.late.iter().map(|(from, _)| *from).collect();
        let late: Vec<usize> = late.into_iter().collect();
        let counts = late.iter().map(|number| &plan.shapes[*number].output);
        let delayed = cycle
            .delays
            .iter()
            .map(|number| &plan.shapes[*number].input);
        let counts: Vec<usize> = counts.chain(delayed).map(|shape| elements(shape)).collect();
        // No name in a file has a slash.
        let name = format!("{}/next step", plan.names[cycle.nodes[0]]);
        let mut returned: HashMap<usize, Vec<Tensor<3>>> = HashMap::new();
        let mut step = 0;
        let clock = Tensor::<2>::zeros([steps, 1], device);
        context.each_step(clock, |tick, context| {
            let rest = || {
                let last = self.at_rest(cycle, &late, batch, device);
                let last = late.iter().map(|number| last[number].clone());
                let delayed = cycle.delays.iter();
                let delayed = delayed.map(|number| self.silence(*number, [1, batch], device));
                Tensor::cat(last.chain(delayed).map(Signal::rows).collect(), 2)
            };
            let mut made = context.feedback(&name, rest, |before, context| {
                let mut rows = before.split_with_sizes(counts.clone(), 2).into_iter();
                let last = late.iter().copied();
                let last: Signals = last.zip(rows.by_ref().map(Signal::Rows)).collect();
                let delayed = rows.map(Signal::Rows);
                let mut delayed: Signals = cycle.delays.iter().copied().zip(delayed).collect();
                let mut made = Signals::new();
                // The sum of the edges to a node, in this step.
                let input = |number: usize, made: &Signals| {
                    let external = outside.get(&number);
                    let external = external.map(|steps| Signal::Rows(steps[step].clone()));
                    let internal = plan.before[number].iter();
                    let internal = internal.filter(|from| inside.contains(from));
                    let internal =
                        internal.map(|from| match cycle.late.contains(&(*from, number)) {
                            true => &last[from],
                            false => &made[from],
                        });
                    let input = incoming(external.iter().chain(internal));
                    input.expect("a node of a cycle has an edge to it")
                };
                for number in &cycle.nodes {
                    let input = match delayed.remove(number) {
                        Some(input) => input,
                        None => input(*number, &made),
                    };
                    let signal = self.run_node(*number, input, context);
                    made.insert(*number, signal);
                }
                let delayed = cycle.delays.iter();
                let delayed: Vec<_> = delayed.map(|number| input(*number, &made).rows()).collect();
                let next = late.iter().map(|number| made[number].clone().rows());
                let next = Tensor::cat(next.chain(delayed).collect(), 2);
                (made, next)
            });
            for number in &cycle.leaving {
                let signal = made.remove(number).expect("all nodes of the cycle ran");
                returned.entry(*number).or_default().push(signal.rows());
            }
            step += 1;
            tick
        });
        for (number, steps) in returned {
            signals.insert(number, Signal::Rows(Tensor::cat(steps, 0)));
        }
    }

    /// The outputs of these nodes of a cycle for silent neurons and no input from elsewhere.
    fn at_rest(&self, cycle: &Loop, nodes: &[usize], batch: usize, device: &Device) -> Signals {
        let plan = &self.plan;
        let zeros = |number: usize| {
            let count = elements(&plan.shapes[number].output);
            Signal::Rows(Tensor::zeros([1, batch, count], device))
        };
        let mut rest = Signals::new();
        for number in &cycle.stateless {
            let silent: Vec<Signal> = plan.before[*number]
                .iter()
                .map(|from| rest.get(from).cloned().unwrap_or_else(|| zeros(*from)))
                .collect();
            let input = incoming(silent.iter()).expect("a node of a cycle has an edge to it");
            let signal = self.run_node(*number, input, &mut Context::new());
            rest.insert(*number, signal);
        }
        let of = |number: &usize| rest.get(number).cloned().unwrap_or_else(|| zeros(*number));
        nodes.iter().map(|number| (*number, of(number))).collect()
    }
}

/// The sum of signals.
fn incoming<'a>(signals: impl Iterator<Item = &'a Signal>) -> Option<Signal> {
    signals.cloned().reduce(Signal::add)
}

fn elements(shape: &[usize]) -> usize {
    shape.iter().product()
}

impl SpikingNetwork for NirNetwork {
    fn sample_shape(&self) -> Vec<usize> {
        let plan = &self.plan;
        match plan.inputs.as_slice() {
            [input] => plan.shapes[*input].output.clone(),
            inputs => {
                let counts = inputs
                    .iter()
                    .map(|input| elements(&plan.shapes[*input].output));
                vec![counts.sum()]
            }
        }
    }

    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let plan = &self.plan;
        let [_, batch, count] = input.dims();
        assert!(
            count == self.elements(),
            "NirNetwork: the input {:?} is not of {} elements",
            input.dims(),
            self.elements()
        );
        let input = context.sequence(input);
        let steps = input.dims()[0];
        let device = input.device();
        let mut signals = Signals::new();
        let mut start = 0;
        for number in &plan.inputs {
            let count = elements(&plan.shapes[*number].output);
            let part = input
                .clone()
                .slice([0..steps, 0..batch, start..start + count]);
            signals.insert(*number, Signal::Rows(part));
            start += count;
        }
        for stage in &plan.stages {
            match stage {
                Stage::Node(number) if signals.contains_key(number) => {}
                Stage::Node(number) => {
                    let before = plan.before[*number].iter();
                    let input = incoming(before.map(|from| &signals[from]));
                    let input =
                        input.unwrap_or_else(|| self.silence(*number, [steps, batch], &device));
                    let signal = self.run_node(*number, input, context);
                    signals.insert(*number, signal);
                }
                Stage::Loop(cycle) => {
                    self.run_loop(cycle, &mut signals, [steps, batch], &device, context)
                }
            }
        }
        let outputs = plan
            .outputs
            .iter()
            .map(|number| signals[number].clone().rows());
        let outputs: Vec<_> = outputs.collect();
        match outputs.len() {
            1 => outputs.into_iter().next().expect("there is one"),
            _ => Tensor::cat(outputs, 2),
        }
    }
}
