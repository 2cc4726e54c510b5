//! The network that a run starts with.

use burn::tensor::Device;
use synfire::InvalidConfig;
use synfire::neuron::{LifConfig, NeuronConfig, ScaledIfConfig};
use synfire_data::Data;
use synfire_models::{AnyNetwork, ConversionConfig, NetworkConfig, copy_weights};

use crate::RunError;
use crate::config::RunConfig;
use crate::conversion::Conversion;
use crate::saved::{RunFile, Saved};

/// The network that a run starts with.
#[derive(Clone, Debug)]
pub struct Start {
    /// The network.
    pub network: AnyNetwork,
    /// How many validation samples of the run its weights were trained with.
    pub seen: usize,
}

impl RunConfig {
    /// Creates the network with initial weights, or with the trained weights that the run starts from. Rectifiers are converted if
    /// the run has `scaled-if` neurons, which then are configured as the converted ones.
    ///
    /// # Errors
    ///
    /// If the network is invalid, or the weights are not available, belong to another network or cannot be converted.
    pub fn start(&mut self, data: &Data, device: &Device) -> Result<Start, RunError> {
        let Some(weights) = &self.weights else {
            let network = self.network.init(device)?;
            return Ok(Start { network, seen: 0 });
        };
        let mut start = Saved::of_weights(weights, device)?;
        let trained = start.run.config.clone();
        self.require_network(weights, &trained)?;
        let classes = self.network.classes();
        self.network.fit(self.sample, trained.network.classes());
        if let NeuronConfig::ScaledIf(neuron) = self.network.layers().neuron
            && Conversion::is_of_rectifiers(&trained.network)
        {
            start = self.converted(start, neuron, data, device)?;
        }
        let mut network = self.network.init(device)?;
        // Parameters that only these neurons have keep their initial values.
        copy_weights(&start.classifier.network, &mut network)?;
        self.network.fit(self.sample, classes);
        if trained.dataset != self.dataset || trained.network.classes() != classes {
            let initializer = self.network.layers().initializer;
            let network = network.with_classes(classes, initializer, self.seed, device)?;
            return Ok(Start { network, seen: 0 });
        }
        let groups = self.dataset.groups(&data.train)?;
        let [train, _] = trained.split(&groups);
        let [_, validation] = self.split(&groups);
        let mut trained_with = vec![false; data.train.len()];
        train
            .into_iter()
            .for_each(|sample| trained_with[sample] = true);
        let seen = validation
            .into_iter()
            .filter(|sample| trained_with[*sample]);
        let seen = seen.count();
        Ok(Start { network, seen })
    }

    /// Rejects the weights of another network or for other samples.
    fn require_network(&self, weights: &str, trained: &Self) -> Result<(), InvalidConfig> {
        // Everything but the last layer, the neurons and the seeds.
        let comparable = |network: &NetworkConfig| {
            let mut network = network.clone().with_neuron(LifConfig::new());
            network.fit(self.sample, 1);
            network.with_layers(|layers| layers.with_seed(0).with_dropout(0.0))
        };
        let same = comparable(&trained.network) == comparable(&self.network)
            && trained.sample == self.sample;
        let (structure, sample) = (trained.network.structure(), trained.sample);
        let found = format!("{weights}, of a network {structure} for samples {sample:?}");
        let expected = "weights of the network and the samples of the run";
        InvalidConfig::require("the run", "weights", found, same, expected).map(drop)
    }

    /// Converts rectifiers to the neurons of the run, with training samples of the run.
    fn converted(
        &mut self,
        start: Saved,
        neuron: ScaledIfConfig,
        data: &Data,
        device: &Device,
    ) -> Result<Saved, RunError> {
        let network = start.run.config.network.clone();
        let balance = Conversion::balance(&network, self.time_steps);
        let config = ConversionConfig::new()
            .with_balance(balance)
            .with_start(neuron.start)
            .with_signed(neuron.signed);
        let conversion = Conversion {
            config,
            time_steps: self.time_steps,
            samples: Conversion::SAMPLES,
        };
        let config = Self {
            network,
            ..self.clone()
        };
        let run = RunFile {
            config,
            ..start.run
        };
        let converted = conversion.convert(&Saved { run, ..start }, data, device)?;
        if let NeuronConfig::ScaledIf(of) = converted.run.config.network.layers().neuron {
            let neuron = neuron.with_threshold(of.threshold).with_unit(of.unit);
            self.network = self.network.clone().with_neuron(neuron);
        }
        Ok(converted)
    }
}
