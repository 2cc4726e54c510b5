//! Graphs of NIR.

use synfire_nir::{
    Affine, Array, AvgPool2d, Conv1d, Conv2d, CubaLI, CubaLIF, Delay, Entry, Flatten, Graph, I, IF,
    Input, LI, LIF, Linear, Node, Output, Padding, Scale, Shape, SumPool2d, Threshold,
};

/// Numbers that are not all alike.
fn numbers(shape: &[usize], scale: f32) -> Array {
    let count = shape.iter().product();
    let values = (0..count).map(|i: usize| scale * ((i * 37 % 19) as f32 / 19.0 - 0.3));
    Array::new(shape, values.collect::<Vec<f32>>())
}

/// Numbers above 0.
fn positive(shape: &[usize], scale: f64) -> Array {
    let count = shape.iter().product();
    let values = (0..count).map(|i: usize| scale * (1.0 + (i % 3) as f64 / 4.0));
    Array::new(shape, values.collect::<Vec<f64>>())
}

/// A graph with every primitive, a subgraph, a loop, two inputs and two outputs, and metadata.
pub fn every_primitive() -> Graph {
    let conv = |size: usize, weight: &[usize], padding, groups| Conv2d {
        input_shape: Some([size, size]),
        weight: numbers(weight, 1.0),
        stride: [1, 1],
        padding,
        dilation: [1, 1],
        groups,
        bias: numbers(&weight[..1], 0.1),
    };
    let image = [2, 6, 6];
    let mut graph = Graph::chain([
        ("a_image", Input::new(image).into()),
        ("b_conv", conv(6, &[4, 1, 3, 3], Padding::Same, 2).into()),
        (
            "c_if",
            Node::from(IF {
                r: positive(&[4, 6, 6], 1.0),
                v_threshold: positive(&[4, 6, 6], 0.5),
                v_reset: None,
            }),
        ),
        (
            "d_sum",
            SumPool2d {
                kernel_size: [2, 2],
                stride: [2, 2],
                padding: [0, 0],
            }
            .into(),
        ),
        ("e_conv", conv(3, &[4, 4, 3, 1], Padding::Valid, 1).into()),
        (
            "f_average",
            AvgPool2d {
                kernel_size: [1, 3],
                stride: [1, 1],
                padding: [0, 1],
            }
            .into(),
        ),
        ("g_flatten", Flatten::all([4, 1, 3]).into()),
        (
            "h_linear",
            Linear {
                weight: numbers(&[6, 12], 1.0),
            }
            .into(),
        ),
        (
            "i_lif",
            Node::from(LIF {
                tau: positive(&[6], 1e-3),
                r: positive(&[6], 10.0),
                v_leak: numbers(&[6], 0.1),
                v_threshold: positive(&[6], 0.5),
                v_reset: Some(numbers(&[6], 0.2)),
            }),
        ),
        (
            "j_delay",
            Delay {
                delay: Array::new([6], vec![0.0, 1e-4, 2e-4, 3e-4, 0.0, 1e-4]),
            }
            .into(),
        ),
        ("k_loop", recurrent().into()),
        (
            "l_affine",
            Affine {
                weight: numbers(&[6, 6], 1.0),
                bias: numbers(&[6], 0.1),
            }
            .into(),
        ),
        (
            "m_li",
            Node::from(LI {
                tau: positive(&[6], 2e-3),
                r: positive(&[6], 1.0),
                v_leak: Array::full([6], 0.0),
            }),
        ),
        ("n_output", Output::new([6]).into()),
    ]);
    let line = Graph::chain([
        ("o_line", Node::from(Input::new([2, 9]))),
        (
            "p_conv",
            Conv1d {
                input_shape: Some([9]),
                weight: numbers(&[3, 2, 3], 1.0),
                stride: [2],
                padding: Padding::Zeros([1]),
                dilation: [2],
                groups: 1,
                bias: numbers(&[3], 0.1),
            }
            .into(),
        ),
        (
            "q_threshold",
            Threshold {
                threshold: numbers(&[3, 4], 0.5),
            }
            .into(),
        ),
        (
            "r_scale",
            Scale {
                scale: numbers(&[3, 4], 2.0),
            }
            .into(),
        ),
        (
            "s_i",
            I {
                r: positive(&[3, 4], 0.1),
            }
            .into(),
        ),
        (
            "t_flatten",
            Flatten {
                start_dim: Some(0),
                end_dim: Some(1),
                input_type: Some(Shape(vec![3, 4])),
            }
            .into(),
        ),
        (
            "u_cuba",
            Node::from(CubaLI {
                tau_syn: positive(&[12], 1e-3),
                tau_mem: positive(&[12], 2e-3),
                r: positive(&[12], 1.0),
                v_leak: Array::full([12], 0.0),
                w_in: None,
            }),
        ),
        ("v_output", Output::new([1, 12, 1]).into()),
    ]);
    for node in line.nodes {
        graph.add(node.name, node.node);
    }
    graph.edges.extend(line.edges);
    let note = Entry::Text("every primitive".to_owned());
    graph.metadata.insert("note".to_owned(), note);
    graph.nodes[3]
        .metadata
        .insert("mean".to_owned(), Entry::Array(Array::from(0.25)));
    graph
}

/// Graphs that other libraries run, by the names of their files: with what each of them needs and none of them changes.
pub fn for_other_libraries() -> [(&'static str, Graph); 4] {
    let weights = |shape: [usize; 2], scale| Affine {
        weight: numbers(&shape, scale),
        bias: numbers(&shape[..1], scale / 10.0),
    };
    let lif = |neurons: usize, tau: f64| LIF {
        tau: Array::full([neurons], tau),
        r: Array::full([neurons], 1.0),
        v_leak: Array::full([neurons], 0.0),
        v_threshold: Array::full([neurons], 0.1),
        v_reset: Some(Array::full([neurons], 0.0)),
    };
    let leaky = Graph::chain([
        ("input", Node::from(Input::new([12]))),
        ("fc1", weights([20, 12], 3.0).into()),
        ("lif1", lif(20, 2e-3).into()),
        ("fc2", weights([5, 20], 3.0).into()),
        ("lif2", lif(5, 1e-3).into()),
        ("output", Output::new([5]).into()),
    ]);
    // Sinabs subtracts the threshold, fires several times in a step, and bounds potentials from below.
    let neurons = |neurons: usize| IF {
        r: Array::full([neurons], 1.0),
        v_threshold: Array::full([neurons], 1.0),
        v_reset: Some(Array::full([neurons], 0.0)),
    };
    let integrate = Graph::chain([
        ("input", Node::from(Input::new([12]))),
        ("fc1", weights([20, 12], 0.3).into()),
        ("if1", neurons(20).into()),
        ("fc2", weights([5, 20], 0.3).into()),
        ("if2", neurons(5).into()),
        ("output", Output::new([5]).into()),
    ]);
    // A recurrent layer; r and w_in make the factors of the input 1.
    let dt = 1e-4;
    let cuba = |neurons: usize, tau_syn: f64, tau_mem: f64| CubaLIF {
        tau_syn: Array::full([neurons], tau_syn),
        tau_mem: Array::full([neurons], tau_mem),
        r: Array::full([neurons], tau_mem / dt),
        v_leak: Array::full([neurons], 0.0),
        v_threshold: Array::full([neurons], 0.9),
        v_reset: Some(Array::full([neurons], 0.0)),
        w_in: Some(Array::full([neurons], tau_syn / dt)),
    };
    // Others leave out biases in the first step.
    let feedback = |neurons: usize| Linear {
        weight: numbers(&[neurons, neurons], 0.5),
    };
    let edge = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    let mut recurrent = Graph::chain([
        ("input", Node::from(Input::new([12]))),
        ("fc1", weights([20, 12], 0.6).into()),
        ("lif1.lif", cuba(20, 4e-4, 8e-4).into()),
        ("fc2", weights([5, 20], 0.6).into()),
        ("lif2", cuba(5, 3e-4, 5e-4).into()),
        ("output", Output::new([5]).into()),
    ]);
    recurrent.add("lif1.w_rec", feedback(20));
    let back = [
        edge("lif1.lif", "lif1.w_rec"),
        edge("lif1.w_rec", "lif1.lif"),
    ];
    // nirtorch returns what it comes to last, in the order of the edges.
    recurrent.edges.splice(0..0, back);
    let mut layer = Graph::chain([
        ("input", Node::from(Input::new([12]))),
        ("lif", cuba(12, 4e-4, 8e-4).into()),
        ("output", Output::new([12]).into()),
    ]);
    layer.add("w_rec", feedback(12));
    let back = [edge("lif", "w_rec"), edge("w_rec", "lif")];
    layer.edges.splice(0..0, back);
    [
        ("leaky", leaky),
        ("integrate", integrate),
        ("recurrent", recurrent),
        ("layer", layer),
    ]
}

/// Neurons that receive their own spikes one step later.
fn recurrent() -> Graph {
    let mut graph = Graph::chain([
        ("input", Node::from(Input::new([6]))),
        (
            "lif",
            Node::from(CubaLIF {
                tau_syn: positive(&[6], 4e-4),
                tau_mem: positive(&[6], 6e-4),
                r: positive(&[6], 5.0),
                v_leak: Array::full([6], 0.0),
                v_threshold: Array::full([6], 1.0),
                v_reset: None,
                w_in: Some(positive(&[6], 4.0)),
            }),
        ),
        ("output", Output::new([6]).into()),
    ]);
    graph.add(
        "w_rec",
        Affine {
            weight: numbers(&[6, 6], 1.0),
            bias: numbers(&[6], 0.2),
        },
    );
    let edge = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    graph
        .edges
        .extend([edge("lif", "w_rec"), edge("w_rec", "lif")]);
    graph
}
