//! What is written.

use synfire::InvalidConfig;

/// What is written of a network, and for which inputs.
///
/// ```
/// use synfire_onnx::OnnxOptions;
///
/// // A sequence of eight steps of one sample.
/// let sequence = OnnxOptions::sequence(8);
/// // Static images, shown eight times.
/// let images = OnnxOptions::sequence(8).with_repeats(true).with_batch_size(16);
/// // One step, with the states as inputs and outputs.
/// let stream = OnnxOptions::step();
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxOptions {
    /// The number of steps of a sequence, or `None` for one step with its states.
    pub(crate) time_steps: Option<usize>,
    pub(crate) batch_size: usize,
    pub(crate) repeats: bool,
    pub(crate) layers: bool,
}

impl OnnxOptions {
    fn new(time_steps: Option<usize>) -> Self {
        Self {
            time_steps,
            batch_size: 1,
            repeats: false,
            layers: false,
        }
    }

    /// A sequence from rest, unrolled over its time steps.
    pub fn sequence(time_steps: usize) -> Self {
        Self::new(Some(time_steps))
    }

    /// One step, with the states of all layers as inputs and outputs: for streams of any length.
    pub fn step() -> Self {
        Self::new(None)
    }

    /// Sets the number of samples of a batch, 1 by default. It is fixed in the file.
    pub fn with_batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// Sets whether the input of a sequence is one step, which is repeated: a static image. The first layer with weights runs once.
    pub fn with_repeats(mut self, repeats: bool) -> Self {
        self.repeats = repeats;
        self
    }

    /// Sets whether the spikes of all layers are outputs, too.
    pub fn with_layers(mut self, layers: bool) -> Self {
        self.layers = layers;
        self
    }

    pub(crate) fn validate(&self) -> Result<(), InvalidConfig> {
        const OWNER: &str = "OnnxOptions";
        InvalidConfig::require_size(OWNER, "batch_size", self.batch_size)?;
        if let Some(time_steps) = self.time_steps {
            let fits = (1..=65_536).contains(&time_steps);
            InvalidConfig::require(OWNER, "time_steps", time_steps, fits, "from 1 to 65536")?;
        }
        let sequence = self.time_steps.is_some() || !self.repeats;
        InvalidConfig::require(OWNER, "repeats", self.repeats, sequence, "a sequence")?;
        Ok(())
    }
}
