//! Export options.

use synfire::InvalidConfig;

/// The kind of model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// A sequence from rest.
    Sequence { time_steps: usize },
    /// An image that is shown in every step.
    Image { time_steps: usize },
    /// One step, with its states.
    Step,
}

impl Kind {
    /// The number of steps that the model runs.
    pub fn time_steps(self) -> usize {
        match self {
            Self::Sequence { time_steps } | Self::Image { time_steps } => time_steps,
            Self::Step => 1,
        }
    }
}

/// Export options: the kind of model, and the size of its input.
///
/// ```
/// use synfire_onnx::OnnxOptions;
///
/// // A sequence of eight steps of one sample.
/// let sequence = OnnxOptions::sequence(8);
/// // Static images, shown eight times.
/// let images = OnnxOptions::image(8).with_batch_size(16);
/// // One step, with the states as inputs and outputs.
/// let stream = OnnxOptions::step();
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxOptions {
    pub(crate) kind: Kind,
    pub(crate) batch_size: usize,
    pub(crate) layers: bool,
}

impl OnnxOptions {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            batch_size: 1,
            layers: false,
        }
    }

    /// A sequence from rest, unrolled over its time steps.
    pub fn sequence(time_steps: usize) -> Self {
        Self::new(Kind::Sequence { time_steps })
    }

    /// A sequence from rest of a static image, which is the same in every time step. The first layer with weights runs once.
    pub fn image(time_steps: usize) -> Self {
        Self::new(Kind::Image { time_steps })
    }

    /// One step, with the states of all layers as inputs and outputs: for streams of any length.
    pub fn step() -> Self {
        Self::new(Kind::Step)
    }

    /// Sets the number of samples of a batch, 1 by default. It is fixed in the file.
    pub fn with_batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// Sets whether the spikes of all layers are outputs, too.
    pub fn with_layers(mut self, layers: bool) -> Self {
        self.layers = layers;
        self
    }

    /// Checks the options for samples of so many elements.
    pub(crate) fn validate(&self, elements: usize) -> Result<(), InvalidConfig> {
        const OWNER: &str = "OnnxOptions";
        let time_steps = self.kind.time_steps();
        InvalidConfig::require_steps(OWNER, "time_steps", time_steps)?;
        InvalidConfig::require_size(OWNER, "batch_size", self.batch_size)?;
        // Recording takes an input of this size.
        let count = time_steps as u64 * self.batch_size as u64;
        let count = count.saturating_mul(elements as u64);
        let expected = "an input of at most 2^28 elements";
        InvalidConfig::require(
            OWNER,
            "batch_size",
            self.batch_size,
            count <= 1 << 28,
            expected,
        )?;
        Ok(())
    }
}
