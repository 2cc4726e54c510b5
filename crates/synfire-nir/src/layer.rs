//! The layers of a network, one for each node.

use burn::module::{Module, Param};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::nn::pool::AvgPool2dConfig;
use burn::tensor::{Device, Int, IntDType, Tensor};
use synfire::layer::{Pool2d, SpikeConv2d, SpikeLinear};
use synfire::neuron::{Lif, Neuron};
use synfire::ops::Product;
use synfire::spike::{Forward, spike_with};
use synfire::surrogate::Surrogate;
use synfire_models::Context;

use crate::neuron::{CurrentMembrane, Membrane};
use crate::node::Shapes;
use crate::primitive::broadcast_shape;
use crate::primitive::pool::Window;
use crate::signal::Signal;
use crate::{Array, NirOptions};

/// The surroundings of a layer that is made.
pub(crate) struct Build<'a> {
    pub options: &'a NirOptions,
    pub device: &'a Device,
    pub shapes: &'a Shapes,
}

/// The weights of a layer, as its node has them.
pub(crate) struct Weights {
    pub weight: Array,
    pub bias: Option<Array>,
}

/// The layer of a node.
// A node has only one.
#[allow(clippy::large_enum_variant)]
#[derive(Module, Debug)]
pub enum Layer {
    /// Another shape, the same elements.
    Reshape(Reshape),
    /// A matrix.
    Linear(SpikeLinear),
    /// Factors.
    Scale(Scale),
    /// A convolution of images, or of lines as images of height 1. A matrix for each position along the axes before the last is one
    /// of a pixel, in groups.
    Conv(Conv),
    /// Sums or means of windows.
    Pool(Pool),
    /// A delay.
    Delay(DelayLine),
    /// Spikes without a state.
    Threshold(Comparison),
    /// Leaky or other integrate-and-fire neurons.
    Lif(Lif),
    /// Membranes with numbers for each neuron.
    Membrane(Membrane),
    /// Membranes with a synaptic current.
    CurrentMembrane(CurrentMembrane),
}

/// Another shape, the same elements.
#[derive(Module, Debug)]
pub struct Reshape;

/// Factors.
#[derive(Module, Debug)]
pub struct Scale {
    /// The factors, of three axes that broadcast over those of a sample.
    pub scale: Param<Tensor<3>>,
    /// The shape of a sample, in three axes.
    pub sample: [usize; 3],
}

/// A convolution.
#[derive(Module, Debug)]
pub struct Conv {
    /// The layer.
    pub conv: SpikeConv2d,
    /// The shape of what comes in, as an image.
    pub image: [usize; 3],
}

/// Sums or means of windows.
#[derive(Module, Debug)]
pub struct Pool {
    /// The mean.
    pub pool: Pool2d,
    /// Its factor.
    pub factor: f64,
    /// The shape of what comes in.
    pub image: [usize; 3],
}

/// A delay.
#[derive(Module, Debug)]
pub struct DelayLine {
    /// The steps of each element; without it, all have `longest`.
    steps: Option<Tensor<1, Int>>,
    /// The most steps.
    longest: usize,
}

/// Spikes without a state.
#[derive(Module, Debug)]
pub struct Comparison {
    /// The thresholds, of three axes that broadcast over those of a sample.
    pub threshold: Tensor<3>,
    /// The shape of a sample, in three axes.
    pub sample: [usize; 3],
    #[module(skip)]
    surrogate: Surrogate,
}

fn tensor<const D: usize>(values: Vec<f64>, shape: [usize; D], device: &Device) -> Tensor<D> {
    let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
    Tensor::<1>::from_floats(values.as_slice(), device).reshape(shape)
}

impl Layer {
    /// A matrix, or a stack of them.
    pub(crate) fn matrix(weight: &Array, bias: Option<Vec<f64>>, build: &Build) -> Self {
        let Build { device, .. } = build;
        let [stack @ .., outputs, inputs] = weight.shape() else {
            unreachable!("checked by the shapes of the node");
        };
        let positions: usize = stack.iter().product();
        let (inputs, outputs) = (*inputs, *outputs);
        let all = positions * outputs;
        let bias = bias.map(|bias| Param::from_tensor(tensor(bias, [all], device)));
        let weights = weight.to_f64();
        match positions {
            1 => Self::Linear(SpikeLinear {
                weight: Param::from_tensor(tensor(weights, [outputs, inputs], device).transpose()),
                bias,
                product: Product::Auto,
            }),
            _ => {
                let conv = Conv2d {
                    weight: Param::from_tensor(tensor(weights, [all, inputs, 1, 1], device)),
                    bias,
                    stride: [1, 1],
                    kernel_size: [1, 1],
                    dilation: [1, 1],
                    groups: positions,
                    padding: PaddingConfig2d::Valid,
                };
                Self::Conv(Conv {
                    conv: conv.into(),
                    image: [positions * inputs, 1, 1],
                })
            }
        }
    }

    pub(crate) fn scale(scale: &Array, build: &Build) -> Self {
        let (values, shape, sample) = broadcast_shape(scale, &build.shapes.output);
        Self::Scale(Scale {
            scale: Param::from_tensor(tensor(values, shape, build.device)),
            sample,
        })
    }

    pub(crate) fn threshold(threshold: &Array, build: &Build) -> Self {
        let (values, shape, sample) = broadcast_shape(threshold, &build.shapes.output);
        Self::Threshold(Comparison {
            threshold: tensor(values, shape, build.device),
            sample,
            surrogate: build.options.surrogate,
        })
    }

    #[allow(clippy::too_many_arguments)]
    pub(crate) fn conv(
        weight: &Array,
        bias: &Array,
        kernel_size: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
        padding: PaddingConfig2d,
        groups: usize,
        build: &Build,
    ) -> Self {
        let shape = weight.shape();
        let weights = [shape[0], shape[1], kernel_size[0], kernel_size[1]];
        let biases = bias
            .broadcast(&[shape[0]])
            .expect("checked by the shapes of the node");
        let conv = Conv2d {
            weight: Param::from_tensor(tensor(weight.to_f64(), weights, build.device)),
            bias: Some(Param::from_tensor(tensor(biases, [shape[0]], build.device))),
            stride,
            kernel_size,
            dilation,
            groups,
            padding,
        };
        Self::Conv(Conv {
            conv: conv.into(),
            image: image(&build.shapes.input).expect("checked by the shapes of the node"),
        })
    }

    pub(crate) fn pool(window: Window, factor: f64, build: &Build) -> Self {
        let [above, beside] = window.padding;
        let config = AvgPool2dConfig::new(window.size)
            .with_strides(window.stride)
            .with_padding(PaddingConfig2d::Explicit(above, beside, above, beside))
            .with_count_include_pad(true);
        Self::Pool(Pool {
            pool: Pool2d::Average(config.init()),
            factor,
            image: image(&build.shapes.input).expect("checked by the shapes of the node"),
        })
    }

    pub(crate) fn delay(steps: Vec<usize>, build: &Build) -> Self {
        let longest = steps.iter().copied().max().unwrap_or(0);
        let alike = steps.iter().all(|each| *each == longest);
        let steps: Vec<i32> = steps.into_iter().map(|each| each as i32).collect();
        Self::Delay(DelayLine {
            steps: (!alike).then(|| Tensor::from_ints(steps.as_slice(), build.device)),
            longest,
        })
    }

    /// The weights, as a node has them.
    pub(crate) fn weights(&self) -> Option<Weights> {
        fn array<const D: usize>(tensor: Tensor<D>) -> Array {
            let shape = tensor.dims();
            let values: Vec<f32> = tensor.into_data().iter::<f32>().collect();
            Array::new(shape, values)
        }
        let weights = |weight, bias| Some(Weights { weight, bias });
        match self {
            Self::Linear(linear) => weights(
                array(linear.weight.val().transpose()),
                linear.bias.as_ref().map(|bias| array(bias.val())),
            ),
            Self::Conv(Conv { conv, .. }) => weights(
                array(conv.weight.val()),
                conv.bias.as_ref().map(|bias| array(bias.val())),
            ),
            Self::Scale(Scale { scale, .. }) => weights(array(scale.val()), None),
            _ => None,
        }
    }

    /// A delay that is one step shorter, if each is at least one.
    pub(crate) fn shorten(&mut self) {
        if let Self::Delay(delay) = self {
            delay.longest -= 1;
            delay.steps = delay.steps.take().map(|steps| steps - 1);
        }
    }

    /// Runs the layer under the name of its node.
    pub(crate) fn forward(
        &self,
        name: &str,
        input: Signal,
        shape: &[usize],
        context: &mut Context,
    ) -> Signal {
        match self {
            Self::Reshape(_) => input,
            Self::Linear(linear) => Signal::Rows(context.linear(linear, input.rows())),
            Self::Scale(Scale { scale, sample }) => {
                Signal::Images(input.images(*sample) * scale.val().unsqueeze())
            }
            Self::Conv(Conv { conv, image }) => {
                let none = None::<&synfire::layer::AnyNorm>;
                Signal::Images(context.currents(conv, none, input.images(*image)))
            }
            Self::Pool(Pool {
                pool,
                factor,
                image,
            }) => {
                let pooled = pool.forward(input.images(*image));
                Signal::Images(match factor {
                    1.0 => pooled,
                    factor => pooled * *factor,
                })
            }
            Self::Delay(delay) => Signal::Rows(delay.forward(name, input.rows(), context)),
            Self::Threshold(Comparison {
                threshold,
                sample,
                surrogate,
            }) => {
                let above = input.images(*sample) - threshold.clone().unsqueeze();
                Signal::Images(spike_with(above, *surrogate, Forward::StrictStep))
            }
            Self::Lif(neuron) => neurons(name, neuron, true, input, shape, context),
            Self::Membrane(neuron) => {
                let spikes = neuron.config().returns.is_spikes();
                neurons(name, neuron, spikes, input, shape, context)
            }
            Self::CurrentMembrane(neuron) => {
                let spikes = neuron.config().returns.is_spikes();
                neurons(name, neuron, spikes, input, shape, context)
            }
        }
    }
}

/// Images where the neurons are of images, so that parameters of channels and neurons broadcast; else rows.
fn neurons(
    name: &str,
    neuron: &impl Neuron,
    spikes: bool,
    input: Signal,
    shape: &[usize],
    context: &mut Context,
) -> Signal {
    match (shape, spikes) {
        ([channels, height, width], true) => {
            let images = input.images([*channels, *height, *width]);
            Signal::Images(context.neurons(name, neuron, images))
        }
        ([channels, height, width], false) => {
            let images = input.images([*channels, *height, *width]);
            Signal::Images(context.potentials(name, neuron, images))
        }
        (_, true) => Signal::Rows(context.neurons(name, neuron, input.rows())),
        (_, false) => Signal::Rows(context.potentials(name, neuron, input.rows())),
    }
}

/// Channels, height and width of images, or of lines as images of height 1.
fn image(shape: &[usize]) -> Option<[usize; 3]> {
    match *shape {
        [channels, height, width] => Some([channels, height, width]),
        [channels, width] => Some([channels, 1, width]),
        _ => None,
    }
}

impl DelayLine {
    fn forward(&self, name: &str, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let longest = self.longest;
        if longest == 0 {
            return input;
        }
        let [steps, batch, elements] = input.dims();
        let device = input.device();
        let rest = || Tensor::<3>::zeros([longest, batch, elements], &device);
        context.feedback(name, rest, |before, _| {
            let line = Tensor::cat(vec![before, input], 0);
            let output = match &self.steps {
                None => line.clone().slice(0..steps),
                Some(delays) => {
                    // Row t of the output is row t + longest - delay of the line.
                    let start = (delays.clone().neg() + longest as i64).reshape([1, 1, -1]);
                    let rows = Tensor::<1, Int>::arange(0..steps as i64, &line.device());
                    // They may come from a device of other integers.
                    let rows = rows.cast(IntDType::from(start.dtype()));
                    let rows = rows.reshape([-1, 1, 1]) + start;
                    line.clone()
                        .gather(0, rows.expand([steps, batch, elements]))
                }
            };
            (output, line.slice(steps..steps + longest))
        })
    }
}
