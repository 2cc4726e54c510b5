//! Conversion of samples to input sequences.

use serde::{Deserialize, Serialize};
use synfire::encode::{AnyEncoder, Encoder, EncoderConfig, SampleKeys};
use synfire_data::{DataError, FrameBy, FrameValue, Frames, Samples};

use crate::augment::{Augmentation, Border};
use crate::contrast::Contrast;

/// Samples as sequences `[T, B, elements]` row by row, and their labels: `[B]` or, where every step has one, `[T, B]`.
///
/// # Errors
///
/// If there is no sample of such a number, or a file is damaged.
pub fn batch(
    samples: &Samples,
    draw: &SampleKeys,
    coding: &Coding,
) -> Result<(Vec<f32>, Vec<i64>), DataError> {
    let indices = draw.samples.iter().map(|sample| *sample as usize);
    let time_steps = coding.encoder.time_steps();
    let shape = samples.shape();
    let augmentation = &coding.augmentation;
    match samples {
        Samples::Images(images) => {
            let (mut intensities, labels) = images.batch(indices)?;
            augmentation.apply(&mut intensities, 1, shape, Border::Nearest, draw);
            let elements = shape.iter().product();
            Ok((coding.encode(intensities, elements, draw), labels))
        }
        Samples::Events(events) => {
            let (mut frames, labels) = events.batch(indices, &coding.frames)?;
            augmentation.apply(&mut frames, time_steps, shape, Border::Zero, draw);
            Ok((frames, labels))
        }
        Samples::Sequences(sequences) => sequences.batch(indices, time_steps),
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
            ..self.clone()
        }
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
