//! Conversion of samples to input sequences.

use serde::{Deserialize, Serialize};
use synfire::encode::{AnyEncoder, Encoder, EncoderConfig, SampleKeys};
use synfire::random::{Philox, Purpose};
use synfire_data::{DataError, FrameBy, FrameValue, Frames, Samples};

use crate::augment::{Augmentation, Border};
use crate::contrast::Contrast;

/// A batch of samples on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Sequences `[T, B, elements]`, row by row.
    pub input: Vec<f32>,
    /// Labels: `[B]` or, where every step has one, `[T, B]`.
    pub labels: Vec<i64>,
    /// The part of each sample that is its own, if the batch is [mixed](Augmentation::mix).
    pub own: Option<f64>,
}

/// Samples as sequences.
///
/// # Errors
///
/// If there is no sample of such a number, or a file is damaged.
pub fn batch(samples: &Samples, draw: &SampleKeys, coding: &Coding) -> Result<Batch, DataError> {
    let indices = draw.samples.iter().map(|sample| *sample as usize);
    let time_steps = coding.encoder.time_steps();
    let shape = samples.shape();
    let augmentation = &coding.augmentation;
    match samples {
        Samples::Images(images) => {
            let (mut intensities, labels) = images.batch(indices)?;
            augmentation.apply(&mut intensities, 1, shape, Border::Nearest, draw);
            let own = augmentation.mix(&mut intensities, 1, shape, draw);
            let input = coding.encode(intensities, shape.iter().product(), draw);
            Ok(Batch { input, labels, own })
        }
        Samples::Events(events) => {
            let (mut input, labels) = events.batch(indices, &coding.frames)?;
            augmentation.apply(&mut input, time_steps, shape, Border::Zero, draw);
            let own = augmentation.mix(&mut input, time_steps, shape, draw);
            Ok(Batch { input, labels, own })
        }
        Samples::Sequences(sequences) => {
            let (input, labels) = sequences.batch(indices, time_steps)?;
            let own = None;
            Ok(Batch { input, labels, own })
        }
    }
}

/// Conversion of samples to sequences.
#[derive(Clone)]
pub struct Coding {
    /// Encoder of intensities.
    pub encoder: AnyEncoder,
    /// Conversion of events to frames.
    pub frames: Frames,
    /// Transformation of the intensities of images.
    pub contrast: Contrast,
    /// Augmentation before encoding, for training.
    pub augmentation: Augmentation,
    /// Minimum time steps of a training batch, which are drawn for each; `None`: all batches have those of the encoder.
    pub least_time_steps: Option<usize>,
}

impl Coding {
    /// Encodes images of `pixels` pixels as sequences `[T, B, pixels]`, without augmentation.
    pub fn encode(&self, mut intensities: Vec<f32>, pixels: usize, draw: &SampleKeys) -> Vec<f32> {
        for image in intensities.chunks_mut(pixels) {
            self.contrast.apply(image);
        }
        self.encoder.encode_host(&intensities, draw)
    }

    /// The same with direct encoding of a single step.
    pub fn one_step(&self) -> Self {
        let encoder = EncoderConfig::DIRECT.init(1, 0);
        Self {
            encoder: encoder.expect("one is a number of time steps"),
            ..self.clone()
        }
    }

    /// The same without augmentation, for validation and test.
    pub fn plain(&self) -> Self {
        Self {
            augmentation: Augmentation::default(),
            least_time_steps: None,
            ..self.clone()
        }
    }

    /// The time steps of a batch.
    pub fn time_steps(&self, draw: &SampleKeys) -> usize {
        let most = self.encoder.time_steps();
        let (Some(least), Some(first)) = (self.least_time_steps, draw.samples.first()) else {
            return most;
        };
        let philox = Philox::new(self.augmentation.seed).for_purpose(Purpose::Augment);
        let [word, ..] = philox.block([4, 0, *first, draw.epoch]);
        let choices = most.saturating_sub(least) as u64 + 1;
        least + ((u64::from(word) * choices) >> 32) as usize
    }
}

/// Division of events into frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FramesOption {
    /// T frames of the same duration
    Bins,
    /// Frames of --frame-size microseconds
    Window,
    /// Frames of --frame-size events
    Count,
}

/// Conversion of a recording to T frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FramesConfig {
    /// Division of events into frames.
    pub by: FramesOption,
    /// Microseconds or events per frame, for windows and counts.
    pub size: u32,
    /// Whether elements are numbers of events; else they are spikes.
    pub counts: bool,
}

impl Default for FramesConfig {
    fn default() -> Self {
        Self {
            by: FramesOption::Bins,
            size: 10_000,
            counts: false,
        }
    }
}

impl FramesConfig {
    /// The frames of a sequence of T steps.
    pub fn of(&self, time_steps: usize) -> Frames {
        let by = match self.by {
            FramesOption::Bins => FrameBy::Bins(time_steps),
            FramesOption::Window => FrameBy::Window(self.size),
            FramesOption::Count => FrameBy::Count(self.size as usize),
        };
        Frames::new(by)
            .with_time_steps(time_steps)
            .with_value(match self.counts {
                true => FrameValue::Counts,
                false => FrameValue::Binary,
            })
    }
}
