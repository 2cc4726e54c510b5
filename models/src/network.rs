//! What all networks of the zoo have in common.

use burn::module::Module;
use burn::nn::Identity;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use synfire::InvalidConfig;
use synfire::encode::SampleKeys;
use synfire::init::LayerInit;
use synfire::layer::{
    Dropout, DropoutConfig, SeqBatchNorm, SeqBatchNormConfig, SpikeLinear, TdBatchNormConfig,
};
use synfire::neuron::{AnyNeuron, LeakyIntegrator, LeakyIntegratorConfig, NeuronConfig};
use synfire::ops::Product;
use synfire::record::Recorder;

use crate::context::Context;
use crate::state::NetworkState;

/// A network that turns sequences into sequences of its classes' outputs.
pub trait SpikingNetwork: Module {
    /// The number of input elements of a sample.
    fn inputs(&self) -> usize;

    /// The names of the layers that spike, in the order in which they run.
    fn layer_names(&self) -> Vec<String>;

    /// Runs a sequence, layer by layer, by the methods of the [`Context`]. The other methods of this trait call it.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, inputs]`, whatever the shape of a sample, in one row
    /// - outputs: `[T, B, classes]`, spikes or, of a readout that does not spike, membrane potentials
    ///
    /// # Panics
    ///
    /// If the input is not of that shape, or the state is of a network or a batch of another shape.
    fn forward_pass(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3>;

    /// Runs a sequence, or a part of one: the state goes in and comes out, and `None` is rest. The recorder keeps what it
    /// was asked to. Shapes and panics are those of [`forward_pass`](Self::forward_pass).
    ///
    /// A stream is fed step by step, in memory that does not grow (without autodiff; with it, by
    /// [detached](synfire::neuron::NeuronState::detach) states):
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::record::Recorder;
    /// use synfire_models::{SpikingNetwork, StbpMlpConfig};
    ///
    /// let device = Device::default();
    /// let model = StbpMlpConfig::new().init(&device)?;
    /// let mut state = None;
    /// let mut spikes = Tensor::<3>::zeros([1, 1, 10], &device);
    /// for _step in 0..20 {
    ///     let input = Tensor::<3>::ones([1, 1, 784], &device);
    ///     let (output, next) = model.run_from(input, state, &mut Recorder::off());
    ///     spikes = spikes + output;
    ///     state = Some(next);
    /// }
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    fn run_from(
        &self,
        input: Tensor<3>,
        state: Option<NetworkState>,
        recorder: &mut Recorder,
    ) -> (Tensor<3>, NetworkState) {
        let mut context = Context::new(state, recorder);
        let outputs = self.forward_pass(input, &mut context);
        (outputs, context.finish())
    }

    /// [`run_from`](Self::run_from) rest, for whole sequences.
    fn run(&self, input: Tensor<3>, recorder: &mut Recorder) -> Tensor<3> {
        self.run_from(input, None, recorder).0
    }

    /// [`run`](Self::run) for training: `draw` names the samples of the batch and the epoch, which decide what dropout
    /// leaves out.
    fn run_training(
        &self,
        input: Tensor<3>,
        draw: &SampleKeys,
        recorder: &mut Recorder,
    ) -> Tensor<3> {
        let mut context = Context::new(None, recorder).with_draw(draw);
        self.forward_pass(input, &mut context)
    }
}

/// What stands between the weights of a layer and its neurons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Norm {
    /// Threshold-dependent batch normalisation, see
    /// [`TdBatchNorm`](synfire::layer::TdBatchNorm): what comes out has the scale of the threshold at first.
    TdBatch,
    /// Batch normalisation, see [`SeqBatchNorm`]: what comes out has a variance of 1 at first.
    Batch,
}

impl Norm {
    /// Checks that these neurons can follow.
    pub(crate) fn validate(self, neuron: &NeuronConfig) -> Result<(), InvalidConfig> {
        match self {
            // One channel is as good as any other.
            Self::TdBatch => threshold_dependent(1, neuron).validate(),
            Self::Batch => Ok(()),
        }
    }

    /// Creates the normalisation of so many channels for these neurons.
    pub(crate) fn init(
        self,
        channels: usize,
        neuron: &NeuronConfig,
        device: &Device,
    ) -> Result<SeqBatchNorm, InvalidConfig> {
        self.init_branch(channels, neuron, 1, device)
    }

    /// The same where so many branches are added up before the neurons.
    pub(crate) fn init_branch(
        self,
        channels: usize,
        neuron: &NeuronConfig,
        branches: usize,
        device: &Device,
    ) -> Result<SeqBatchNorm, InvalidConfig> {
        match self {
            Self::TdBatch => threshold_dependent(channels, neuron)
                .with_alpha(1.0 / (branches as f64).sqrt())
                .init(device)
                .map(SeqBatchNorm::from),
            Self::Batch => SeqBatchNormConfig::new(channels).init(device),
        }
    }
}

fn threshold_dependent(channels: usize, neuron: &NeuronConfig) -> TdBatchNormConfig {
    TdBatchNormConfig::new(channels, neuron.threshold())
}

/// What stands at the end of a network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadoutConfig {
    /// Spiking neurons, as in the STBP paper.
    #[default]
    Spikes,
    /// Membranes without spikes.
    Membrane(LeakyIntegratorConfig),
    /// What the last weights put out, with nothing after it.
    Currents,
}

impl ReadoutConfig {
    /// Checks the configuration.
    ///
    /// # Errors
    ///
    /// If it is invalid.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        match self {
            Self::Spikes | Self::Currents => Ok(()),
            Self::Membrane(config) => config.validate(),
        }
    }

    /// Checks that it can stand after so many outputs.
    pub(crate) fn validate_channels(
        &self,
        owner: &'static str,
        neuron: &NeuronConfig,
        outputs: usize,
    ) -> Result<(), InvalidConfig> {
        match self {
            Self::Spikes => neuron.validate_channels(owner, &[outputs]),
            Self::Membrane(config) => validate_decay(owner, config, outputs),
            Self::Currents => Ok(()),
        }
    }

    /// Creates the last layer, of these neurons where it spikes.
    pub(crate) fn init(
        &self,
        neuron: &NeuronConfig,
        device: &Device,
    ) -> Result<Readout, InvalidConfig> {
        Ok(match self {
            Self::Spikes => Readout::Spikes(neuron.init(device)?),
            Self::Membrane(config) => Readout::Membrane(config.init(device)?),
            Self::Currents => Readout::Currents(Identity::new()),
        })
    }
}

/// The last layer of a network.
// There is one in a network, or a few.
#[allow(clippy::large_enum_variant)]
#[derive(Module, Debug)]
pub enum Readout {
    /// Spiking neurons.
    Spikes(AnyNeuron),
    /// Membranes without spikes.
    Membrane(LeakyIntegrator),
    /// Nothing.
    Currents(Identity),
}

/// Checks that membranes have decays for so many outputs.
fn validate_decay(
    owner: &'static str,
    config: &LeakyIntegratorConfig,
    outputs: usize,
) -> Result<(), InvalidConfig> {
    let decay = config.decay.named("readout.decay");
    decay.validate_channels(owner, &[outputs])
}

/// The name of the last layer.
const OUTPUT: &str = "output";

impl Readout {
    fn run(&self, current: Tensor<3>, context: &mut Context) -> Tensor<3> {
        match self {
            Self::Spikes(neuron) => context.neurons(OUTPUT, neuron, current),
            Self::Membrane(integrator) => context.membranes(OUTPUT, integrator, current),
            Self::Currents(_) => current,
        }
    }

    /// Checks that it can stand after so many outputs.
    pub(crate) fn validate_channels(
        &self,
        owner: &'static str,
        outputs: usize,
    ) -> Result<(), InvalidConfig> {
        match self {
            Self::Spikes(neuron) => neuron.config().validate_channels(owner, &[outputs]),
            Self::Membrane(integrator) => validate_decay(owner, integrator.config(), outputs),
            Self::Currents(_) => Ok(()),
        }
    }

    /// Its name, if it spikes.
    pub(crate) fn spiking_name(&self) -> Option<String> {
        match self {
            Self::Spikes(_) => Some(OUTPUT.to_owned()),
            Self::Membrane(_) | Self::Currents(_) => None,
        }
    }
}

/// Checks a probability of dropout.
pub(crate) fn validate_dropout(prob: f64) -> Result<(), InvalidConfig> {
    DropoutConfig::new(prob).init().map(drop)
}

/// What leaves out neurons in training, for so many layers; none where the probability is 0.
pub(crate) fn dropouts(prob: f64, seed: u64, layers: usize) -> Result<Vec<Dropout>, InvalidConfig> {
    let config = DropoutConfig::new(prob).with_seed(seed);
    let layers = if prob == 0.0 { 0 } else { layers };
    (0..layers as u32)
        .map(|layer| config.clone().with_layer(layer).init())
        .collect()
}

/// Linear layers of these sizes, input first, and what stands between each but the last and its neurons.
pub(crate) fn linears(
    sizes: &[usize],
    norm: Option<Norm>,
    neuron: &NeuronConfig,
    product: Product,
    init: &mut LayerInit,
    device: &Device,
) -> Result<(Vec<SpikeLinear>, Vec<SeqBatchNorm>), InvalidConfig> {
    let (mut layers, mut norms) = (Vec::new(), Vec::new());
    for size in sizes.windows(2) {
        let mut linear = init.linear(size[0], size[1]);
        if let Some(norm) = norm.filter(|_| layers.len() + 2 < sizes.len()) {
            // Which would be taken away again.
            linear.bias = None;
            norms.push(norm.init(size[1], neuron, device)?);
        }
        layers.push(SpikeLinear::from(linear).with_product(product));
    }
    Ok((layers, norms))
}

/// Fully connected layers at the end of a network.
pub(crate) struct FullyConnected<'a> {
    pub layers: &'a [SpikeLinear],
    /// What is between them and their neurons: for all but the last layer, or none.
    pub norms: &'a [SeqBatchNorm],
    /// Of all layers but the last.
    pub neurons: &'a [AnyNeuron],
    /// Before the last of the layers.
    pub dropouts: &'a [Dropout],
    /// After the last layer.
    pub output: &'a Readout,
}

impl FullyConnected<'_> {
    /// Runs the layers, each but the last followed by the neurons `hidden` (`hidden1`, ...), the last by the output.
    pub(crate) fn run(self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let Self {
            layers,
            norms,
            neurons,
            dropouts,
            output,
        } = self;
        let names = numbered("hidden", neurons.len());
        let mut hidden = names.iter().zip(neurons);
        let mut x = input;
        for (i, linear) in layers.iter().enumerate() {
            if let Some(dropout) = (i + dropouts.len())
                .checked_sub(layers.len())
                .and_then(|i| dropouts.get(i))
            {
                x = context.dropout(dropout, x);
            }
            let mut current = context.linear(linear, x);
            if let Some(norm) = norms.get(i) {
                current = norm.forward(current);
            }
            x = match hidden.next() {
                Some((name, neuron)) => context.neurons(name, neuron, current),
                None => output.run(current, context),
            };
        }
        x
    }
}

/// The names of `count` layers of one kind: `name` if it is the only one, else `name1`, `name2`, ...
pub(crate) fn numbered(name: &str, count: usize) -> Vec<String> {
    // As many digits for all, so that names sort in the order of the layers.
    let digits = count.to_string().len();
    (1..=count)
        .map(|i| match count {
            1 => name.to_owned(),
            _ => format!("{name}{i:0digits$}"),
        })
        .collect()
}
