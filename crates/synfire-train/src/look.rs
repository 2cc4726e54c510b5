//! Inference of a trained network on single samples.

use burn::tensor::{Device, Tensor, TensorData, TensorReadError};
use synfire::InvalidConfig;
use synfire::encode::{Encoder, SampleKeys};
use synfire::metric::answer;
use synfire::record::{LayerRecord, Recorder};
use synfire_data::{Data, DataSource, Samples};
use synfire_models::{Context, SpikingNetwork};

use crate::RunError;
use crate::samples::{Batch, batch};
use crate::saved::Saved;
use crate::train::loader_of;

/// Prediction of a network for one sample.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// The class, the first of several that share the best score.
    pub class: usize,
    /// True if several classes share the best score, as when the network is silent.
    pub undecided: bool,
    /// The score of each class; the highest is the answer.
    pub scores: Vec<f32>,
    /// Records of the layers for this sample.
    pub layers: Vec<LayerRecord>,
}

impl Prediction {
    /// The class, or `undecided`, as text.
    pub fn answer(&self) -> String {
        match self.undecided {
            true => "undecided".to_owned(),
            false => self.class.to_string(),
        }
    }
}

impl Saved {
    /// The dataset of the run, from its own source or from `data`.
    ///
    /// # Errors
    ///
    /// If it is not available.
    pub fn data(&self, data: Option<&str>) -> Result<Data, RunError> {
        let choice = match data {
            Some(data) => DataSource::parse(data),
            None if self.run.embedded => DataSource::Embedded,
            None => DataSource::parse(&self.run.config.data),
        };
        let config = &self.run.config;
        let loader = loader_of(config.sample);
        let data = config.dataset.load_with(&loader, &choice)?;
        let mut fitted = config.network.clone();
        fitted.fit(data.shape, data.classes);
        let same = data.shape == config.sample && fitted == config.network;
        let found = format!("{:?}, {} classes", data.shape, data.classes);
        let expected = "samples like those that the network was trained on";
        InvalidConfig::require("the data", "samples", found, same, expected)?;
        Ok(data)
    }

    /// Samples of a dataset as the network is fed with them, `[T, samples, elements]`, and their labels.
    ///
    /// # Errors
    ///
    /// If there is no such sample.
    pub fn sequences(
        &self,
        data: &Samples,
        samples: Vec<u32>,
        device: &Device,
    ) -> Result<(Tensor<3>, Vec<i64>), RunError> {
        let coding = self.run.config.coding()?.plain();
        let count = samples.len();
        let Batch { input, labels, .. } = batch(data, &SampleKeys::new(0, samples), &coding)?;
        let time_steps = coding.encoder.time_steps();
        let shape = [time_steps, count, input.len() / (time_steps * count)];
        let input = Tensor::from_data(TensorData::new(input, shape), device);
        Ok((input, labels))
    }

    /// The mean over time of a sequence `[T, 1, elements]` as text.
    ///
    /// # Errors
    ///
    /// If the device fails.
    pub fn mean_picture(&self, input: &Tensor<3>) -> Result<String, RunError> {
        let mean: Tensor<1> = input.clone().mean_dim(0).flatten(0, 2);
        let mean = mean.try_into_data().map_err(TensorReadError::from)?;
        let mut mean: Vec<f32> = mean.iter::<f32>().collect();
        // A few spikes in many steps must be visible, too.
        let high = mean.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        mean.iter_mut().for_each(|x| *x /= high);
        Ok(self.picture(&mean))
    }

    /// An image `[channels, height, width]` as text: its channels together.
    pub fn picture(&self, intensities: &[f32]) -> String {
        let [_, height, width] = self.run.config.sample;
        let mut sum = vec![0.0f32; height * width];
        for channel in intensities.chunks(height * width) {
            sum.iter_mut().zip(channel).for_each(|(sum, x)| *sum += x);
        }
        let high = sum.iter().copied().fold(1.0, f32::max);
        sum.iter_mut().for_each(|x| *x /= high);
        picture(&sum, width)
    }

    /// Runs the network on an image. `sample` decides the input spikes, `recorder` the recorded data.
    ///
    /// # Errors
    ///
    /// If the image is of another size, or the device fails.
    pub fn predict(
        &self,
        intensities: &[f32],
        sample: u32,
        recorder: Recorder,
        device: &Device,
    ) -> Result<Prediction, RunError> {
        let pixels = intensities.len();
        let fits = pixels == self.classifier.network.elements();
        let expected = "what the network was made for";
        InvalidConfig::require("the image", "number of pixels", pixels, fits, expected)?;
        let coding = self.run.config.coding()?;
        let draw = SampleKeys::new(0, vec![sample]);
        let input = coding.encode(intensities.to_vec(), pixels, &draw);
        let input = TensorData::new(input, [coding.encoder.time_steps(), 1, pixels]);
        self.answer(Tensor::from_data(input, device), recorder)
    }

    /// Runs the network on a sequence `[T, 1, elements]`.
    ///
    /// # Errors
    ///
    /// If the recorder names a layer that is not there, or the device fails.
    pub fn answer(&self, input: Tensor<3>, recorder: Recorder) -> Result<Prediction, RunError> {
        let mut context = Context::new().with_recorder(recorder);
        let outputs = self.classifier.network.forward(input, &mut context);
        let (recorder, _) = context.into_parts();
        recorder.check()?;
        let scores = self.classifier.loss.scores(outputs).try_to_data();
        let scores = scores.map_err(TensorReadError::from)?;
        let scores: Vec<f32> = scores.convert::<f32>().iter::<f32>().collect();
        let (class, undecided) = answer(&scores);
        Ok(Prediction {
            class,
            undecided,
            scores,
            layers: recorder.into_parts().0,
        })
    }
}

/// An image as text, two rows of pixels in a line.
pub fn picture(intensities: &[f32], width: usize) -> String {
    let shade = |intensity: f32| intensity > 0.375;
    let rows: Vec<&[f32]> = intensities.chunks(width).collect();
    let mut text = String::new();
    for pair in rows.chunks(2) {
        for x in 0..width {
            let lower = pair.get(1).is_some_and(|row| shade(row[x]));
            text.push(match (shade(pair[0][x]), lower) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_become_half_blocks() {
        let text = picture(&[1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0], 3);
        assert_eq!(text, "█▄\n▀▀\n");
    }
}
