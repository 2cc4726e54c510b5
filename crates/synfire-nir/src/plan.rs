//! The shapes of all nodes, and the order in which they run.

use std::collections::{HashMap, HashSet, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::DiGraph;

use crate::array::elements;
use crate::flat::Flat;
use crate::node::Shapes;
use crate::primitive::axes;
use crate::{NirError, NirOptions, Node};

/// Nodes that run together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A node, over the whole sequence.
    Node(usize),
    /// Nodes of a cycle, step by step, in this order.
    Loop(Loop),
}

/// Nodes of a cycle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Loop {
    /// The nodes in the order in which they run in a step.
    pub nodes: Vec<usize>,
    /// The edges along which what was returned arrives in the next step.
    pub late: HashSet<(usize, usize)>,
    /// Delays of at least one step: what comes in arrives in the next step, where they delay by one step less.
    pub delays: Vec<usize>,
    /// Nodes with an edge to a node that is not of the cycle.
    pub leaving: Vec<usize>,
    /// Nodes without a state, each after those that it takes from.
    pub stateless: Vec<usize>,
}

/// The shapes of all nodes.
pub(crate) fn shapes(flat: &Flat) -> Result<Vec<Shapes>, NirError> {
    let mut shapes: Vec<Option<Shapes>> = vec![None; flat.nodes.len()];
    let of = |number: usize, input: Option<&[usize]>| {
        let (name, node) = &flat.nodes[number];
        node.shapes(input).map_err(|problem| problem.of(name))
    };
    // From the inputs on; then from nodes that say their shape themselves, as the first of a cycle may.
    let inputs = flat.nodes.iter().enumerate();
    let inputs = inputs.filter(|(_, (_, node))| matches!(node, Node::Input(_)));
    let mut waiting: VecDeque<usize> = VecDeque::new();
    let roots: Vec<usize> = inputs.map(|(number, _)| number).collect();
    for number in roots.into_iter().chain(0..flat.nodes.len()) {
        // An input of a subgraph is no root: something comes in.
        let is_root = flat.before[number].is_empty();
        if shapes[number].is_none() && (is_root || !matches!(flat.nodes[number].1, Node::Input(_)))
        {
            shapes[number] = of(number, None)?;
            waiting.extend(shapes[number].is_some().then_some(number));
        }
        while let Some(number) = waiting.pop_front() {
            let output = shapes[number].as_ref().map(|shapes| shapes.output.clone());
            for next in &flat.after[number] {
                if shapes[*next].is_none() {
                    shapes[*next] = of(*next, output.as_deref())?;
                    waiting.extend(shapes[*next].is_some().then_some(*next));
                }
            }
        }
    }
    let known = shapes.into_iter().enumerate().map(|(number, shapes)| {
        shapes.ok_or_else(|| NirError::Field {
            node: flat.nodes[number].0.clone(),
            field: "shape".to_owned(),
            problem: "does not follow from the inputs of the graph".to_owned(),
        })
    });
    let known: Vec<Shapes> = known.collect::<Result<_, _>>()?;
    for (from, to) in &flat.edges {
        let (output, input) = (&known[*from].output, &known[*to].input);
        // Only `Flatten` says itself how its elements are ordered.
        let fits = match flat.nodes[*to].1 {
            Node::Flatten(_) => elements(output) == elements(input),
            _ => axes(output) == axes(input),
        };
        if !fits {
            return Err(NirError::Edge {
                from: flat.nodes[*from].0.clone(),
                to: flat.nodes[*to].0.clone(),
                problem: format!("{output:?} does not fit {input:?}"),
            });
        }
    }
    Ok(known)
}

/// True if a node has a state that starts a new step of a cycle.
fn is_neuron(node: &Node) -> bool {
    matches!(
        node,
        Node::I(_) | Node::LI(_) | Node::IF(_) | Node::LIF(_) | Node::CubaLI(_) | Node::CubaLIF(_)
    )
}

/// The order in which nodes run.
pub(crate) fn order(flat: &Flat, options: &NirOptions) -> Result<Vec<Stage>, NirError> {
    let mut graph = DiGraph::<(), ()>::with_capacity(flat.nodes.len(), flat.edges.len());
    let indices: Vec<_> = flat.nodes.iter().map(|_| graph.add_node(())).collect();
    for (from, numbers) in flat.after.iter().enumerate() {
        for to in numbers {
            graph.add_edge(indices[from], indices[*to], ());
        }
    }
    let name = |number: &usize| flat.nodes[*number].0.as_str();
    // Components come in the opposite order.
    let mut components = kosaraju_scc(&graph);
    components.reverse();
    let mut stages = Vec::with_capacity(components.len());
    for component in components {
        let mut numbers: Vec<usize> = component.iter().map(|index| index.index()).collect();
        match numbers.as_slice() {
            [number] if !flat.after[*number].contains(number) => stages.push(Stage::Node(*number)),
            _ => {
                numbers.sort_by(|one, other| name(one).cmp(name(other)));
                let cycle = cycle(flat, &numbers, options)?;
                stages.push(Stage::Loop(cycle));
            }
        }
    }
    Ok(stages)
}

/// Nodes that reach one another.
fn cycle(flat: &Flat, numbers: &[usize], options: &NirOptions) -> Result<Loop, NirError> {
    let (before, after) = (&flat.before, &flat.after);
    let inside: HashSet<usize> = numbers.iter().copied().collect();
    // A delay of at least a step waits for nothing of this step.
    let mut delays = Vec::new();
    for number in numbers {
        let (name, node) = &flat.nodes[*number];
        if let Node::Delay(delay) = node {
            let steps = delay
                .steps(options.dt)
                .map_err(|problem| problem.of(name))?;
            delays.extend(steps.iter().all(|steps| *steps >= 1.0).then_some(*number));
        }
    }
    let is_delay: HashSet<usize> = delays.iter().copied().collect();
    let stateless: HashSet<usize> = inside
        .iter()
        .copied()
        .filter(|number| !is_delay.contains(number) && !is_neuron(flat.nodes[*number].1))
        .collect();
    let stateless = in_order(&stateless, after).map_err(|nodes| {
        let nodes = nodes.into_iter().map(|number| flat.nodes[number].0.clone());
        NirError::Cycle {
            nodes: nodes.collect(),
        }
    })?;
    let mut late = HashSet::new();
    // Depth first from where something comes in: an edge back to a node on the way closes a cycle, and what goes along it
    // arrives in the next step.
    let enters = |number: &usize| before[*number].iter().any(|from| !inside.contains(from));
    let entries = numbers.iter().copied().filter(enters);
    let roots: Vec<usize> = entries.chain(numbers.iter().copied()).collect();
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        OnTheWay,
        Done,
    }
    let mut marks: HashMap<usize, Mark> = HashMap::new();
    let mut finished = Vec::with_capacity(numbers.len());
    for root in roots {
        if marks.contains_key(&root) {
            continue;
        }
        marks.insert(root, Mark::OnTheWay);
        let mut way = vec![(root, 0)];
        while let Some((number, next)) = way.last_mut() {
            let number = *number;
            let Some(to) = after[number].get(*next).copied() else {
                marks.insert(number, Mark::Done);
                finished.push(number);
                way.pop();
                continue;
            };
            *next += 1;
            if !inside.contains(&to) || is_delay.contains(&to) {
                continue;
            }
            match marks.get(&to) {
                Some(Mark::OnTheWay) => {
                    late.insert((number, to));
                }
                Some(Mark::Done) => {}
                None => {
                    marks.insert(to, Mark::OnTheWay);
                    way.push((to, 0));
                }
            }
        }
    }
    finished.reverse();
    Ok(Loop {
        nodes: finished,
        late,
        delays,
        leaving: {
            let leaves = |number: &&usize| after[**number].iter().any(|to| !inside.contains(to));
            numbers.iter().filter(leaves).copied().collect()
        },
        stateless,
    })
}

/// These nodes, each after those that it takes from, or a cycle of them.
fn in_order(nodes: &HashSet<usize>, after: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut sorted: Vec<usize> = nodes.iter().copied().collect();
    sorted.sort_unstable();
    let mut graph = DiGraph::<usize, ()>::new();
    let indices: HashMap<usize, _> = sorted
        .iter()
        .map(|number| (*number, graph.add_node(*number)))
        .collect();
    for from in &sorted {
        for to in after[*from].iter().filter(|to| nodes.contains(to)) {
            graph.add_edge(indices[from], indices[to], ());
        }
    }
    let mut order = Vec::with_capacity(sorted.len());
    for component in kosaraju_scc(&graph).into_iter().rev() {
        let mut numbers: Vec<usize> = component.iter().map(|index| graph[*index]).collect();
        match component.as_slice() {
            [index] if !graph.contains_edge(*index, *index) => order.append(&mut numbers),
            _ => {
                numbers.sort_unstable();
                return Err(numbers);
            }
        }
    }
    Ok(order)
}
