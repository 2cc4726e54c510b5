//! Graphs without subgraphs.

use std::collections::{HashMap, HashSet};

use crate::graph::dotted;
use crate::primitive::{Input, Output};
use crate::{Graph, NirError, Node};

/// Nodes and edges by number, with the nodes of subgraphs in their place.
#[derive(Debug, Default)]
pub(crate) struct Flat<'a> {
    /// Names and nodes, in the order of the file.
    pub nodes: Vec<(String, &'a Node)>,
    pub edges: Vec<(usize, usize)>,
    /// The predecessors of every node, in the order of their numbers.
    pub before: Vec<Vec<usize>>,
    /// The successors of every node, in the order of their names: nothing depends on the order of edges in the file.
    pub after: Vec<Vec<usize>>,
    /// The inputs of the graph itself, in the order of their names.
    pub inputs: Vec<usize>,
    /// The outputs of the graph itself, in the order of their names.
    pub outputs: Vec<usize>,
}

impl<'a> Flat<'a> {
    pub fn new(graph: &'a Graph) -> Result<Self, NirError> {
        let mut flat = Self::default();
        flat.add(graph, "")?;
        let ports = graph
            .nodes
            .iter()
            .map(|node| (node.name.as_str(), &node.node));
        let numbers: HashMap<&str, usize> = flat
            .nodes
            .iter()
            .enumerate()
            .map(|(number, (name, _))| (name.as_str(), number))
            .collect();
        if numbers.len() < flat.nodes.len() {
            let mut names: Vec<_> = flat.nodes.iter().map(|(name, _)| name).collect();
            names.sort();
            let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
            return Err(NirError::Field {
                node: twice.map_or_else(String::new, |pair| pair[0].clone()),
                field: "nodes".to_owned(),
                problem: "has this name twice, of a node and of one in a subgraph".to_owned(),
            });
        }
        for (name, node) in ports {
            match node {
                Node::Input(_) => flat.inputs.push(numbers[name]),
                Node::Output(_) => flat.outputs.push(numbers[name]),
                _ => {}
            }
        }
        let inputs: HashSet<usize> = flat.inputs.iter().copied().collect();
        let edge = |from: usize, to: usize, problem: &str| NirError::Edge {
            from: flat.nodes[from].0.clone(),
            to: flat.nodes[to].0.clone(),
            problem: problem.to_owned(),
        };
        let mut known = HashSet::new();
        for (from, to) in &flat.edges {
            if inputs.contains(to) {
                return Err(edge(*from, *to, "ends at an input of the graph"));
            }
            if !known.insert((from, to)) {
                return Err(edge(*from, *to, "is there twice"));
            }
        }
        flat.before = vec![Vec::new(); flat.nodes.len()];
        flat.after = flat.before.clone();
        for (from, to) in &flat.edges {
            flat.before[*to].push(*from);
            flat.after[*from].push(*to);
        }
        let nodes = &flat.nodes;
        let name = |number: &usize| nodes[*number].0.as_str();
        for numbers in &mut flat.after {
            numbers.sort_by(|one, other| name(one).cmp(name(other)));
        }
        flat.before
            .iter_mut()
            .for_each(|numbers| numbers.sort_unstable());
        Ok(flat)
    }

    /// Adds the nodes of a graph and its edges.
    fn add(&mut self, graph: &'a Graph, at: &str) -> Result<(), NirError> {
        // For each name, where edges to it and from it end.
        let mut ends: HashMap<String, [Vec<usize>; 2]> = HashMap::new();
        for named in &graph.nodes {
            let path = dotted(at, &named.name);
            let Node::NIRGraph(inner) = &named.node else {
                let number = self.nodes.len();
                self.nodes.push((path, &named.node));
                ends.insert(named.name.clone(), [vec![number], vec![number]]);
                continue;
            };
            let first = self.nodes.len();
            self.add(inner, &path)?;
            let ports = |is: fn(&Node) -> bool| -> Vec<usize> {
                let own = inner.nodes.iter().filter(|named| is(&named.node));
                let names: HashSet<String> = own.map(|named| dotted(&path, &named.name)).collect();
                let numbers = first..self.nodes.len();
                numbers
                    .filter(|number| names.contains(&self.nodes[*number].0))
                    .collect()
            };
            let inputs = ports(|node| matches!(node, Node::Input(Input { .. })));
            let outputs = ports(|node| matches!(node, Node::Output(Output { .. })));
            // A port by its own name: `subgraph.port`.
            for number in inputs.iter().chain(&outputs) {
                let name = self.nodes[*number].0[dotted_prefix(at)..].to_owned();
                ends.insert(name, [vec![*number], vec![*number]]);
            }
            ends.insert(named.name.clone(), [inputs, outputs]);
        }
        for (from, to) in &graph.edges {
            let edge = |problem: String| NirError::Edge {
                from: dotted(at, from),
                to: dotted(at, to),
                problem,
            };
            let end = |name: &str, side: usize| -> Result<usize, NirError> {
                let found = ends.get(name).map(|ends| &ends[side]);
                match found.map(Vec::as_slice) {
                    Some([number]) => Ok(*number),
                    None => Err(edge(format!("there is no node `{}`", dotted(at, name)))),
                    Some(ports) => {
                        let port = ["input", "output"][side];
                        Err(edge(format!(
                            "`{}` has {} {port}s, expected one, or the name of one as `{name}.{port}`",
                            dotted(at, name),
                            ports.len()
                        )))
                    }
                }
            };
            let pair = (end(from, 1)?, end(to, 0)?);
            self.edges.push(pair);
        }
        Ok(())
    }
}

/// The length of what stands before the names of nodes of this graph.
fn dotted_prefix(at: &str) -> usize {
    match at {
        "" => 0,
        at => at.len() + 1,
    }
}
