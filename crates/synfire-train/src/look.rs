//! A trained network and one image.

use std::io::Cursor;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData, TensorReadError};
use image::imageops::{FilterType, resize};
use image::{ImageBuffer, ImageFormat, ImageReader, Limits, Luma, LumaA};
use synfire::InvalidConfig;
use synfire::encode::{Encoder, SampleKeys};
use synfire::metric::answer;
use synfire::record::{LayerRecord, Recorder};
use synfire_data::{DataSource, read_regular};
use synfire_models::{Context, SpikingNetwork};

use crate::RunError;
use crate::samples::{Data, Samples};
use crate::saved::Saved;

/// What a network makes of one image.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// The class, the first of several that share the best score.
    pub class: usize,
    /// Several classes share it, as when the network is silent: that is no answer.
    pub undecided: bool,
    /// The score of each class; the highest is the answer.
    pub scores: Vec<f32>,
    /// What the layers did, for the one sample.
    pub layers: Vec<LayerRecord>,
}

impl Saved {
    /// The dataset of the run, from where the run had it or from `data`.
    ///
    /// # Errors
    ///
    /// If it cannot be had.
    pub fn data(&self, data: Option<&str>) -> Result<Data, RunError> {
        let choice = match data {
            Some(data) => DataSource::parse(data),
            None if self.run.embedded => DataSource::Embedded,
            None => DataSource::parse(&self.run.config.data),
        };
        let config = &self.run.config;
        let data = config.dataset.load(&choice)?;
        let mut fitted = config.network.clone();
        fitted.fit(data.shape, data.classes);
        if data.shape != config.sample || fitted != config.network {
            let found = format!("{:?}, {} classes", data.shape, data.classes);
            let expected = "samples like those that the network was trained on";
            return Err(InvalidConfig::new("the data", "samples", found, expected).into());
        }
        Ok(data)
    }

    /// Images as the network is fed with them, `[T, images, pixels]`; `samples` are their numbers, which decide the draws.
    ///
    /// # Errors
    ///
    /// If the run has no time steps.
    pub fn input(
        &self,
        intensities: &[f32],
        samples: Vec<u32>,
        device: &Device,
    ) -> Result<Tensor<3>, RunError> {
        let coding = self.run.config.coding()?;
        let images = samples.len();
        let pixels = intensities.len() / images;
        let input = coding.encode(intensities.to_vec(), pixels, &SampleKeys::new(0, samples));
        let shape = [coding.encoder.time_steps(), images, pixels];
        Ok(Tensor::from_data(TensorData::new(input, shape), device))
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
        let (input, labels) = data.batch(&SampleKeys::new(0, samples), &coding)?;
        let time_steps = coding.encoder.time_steps();
        let shape = [time_steps, count, input.len() / (time_steps * count)];
        Ok((
            Tensor::from_data(TensorData::new(input, shape), device),
            labels,
        ))
    }

    /// Height and width of the images that the network is for.
    ///
    /// # Errors
    ///
    /// If it is not for images.
    pub fn image_size(&self) -> Result<[usize; 2], RunError> {
        let [channels, height, width] = self.run.config.sample;
        match channels {
            1 => Ok([height, width]),
            _ => Err(InvalidConfig::new(
                "the image",
                "channels",
                format!("1 of {channels}"),
                "as many as the network was made for",
            )
            .into()),
        }
    }

    /// A sequence `[T, 1, elements]` as text: where anything comes in.
    ///
    /// # Errors
    ///
    /// If the device fails.
    pub fn mean_picture(&self, input: &Tensor<3>) -> Result<String, RunError> {
        let [channels, height, width] = self.run.config.sample;
        let mean: Tensor<1> = input.clone().mean_dim(0).flatten(0, 2);
        let mean = mean.reshape([channels, height * width]).sum_dim(0);
        let mean = mean.try_into_data().map_err(TensorReadError::from)?;
        let mean: Vec<f32> = mean.iter::<f32>().collect();
        // A few spikes in many steps are to be seen, too.
        let high = mean.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        let mean: Vec<f32> = mean.into_iter().map(|x| x / high).collect();
        Ok(picture(&mean, width))
    }

    /// Runs the network on an image. `sample` decides the input spikes, `recorder` what is kept.
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
        let network = &self.classifier.network;
        if intensities.len() != network.elements() {
            return Err(InvalidConfig::new(
                "the image",
                "number of pixels",
                intensities.len(),
                "what the network was made for",
            )
            .into());
        }
        self.answer(self.input(intensities, vec![sample], device)?, recorder)
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

/// The longest side of a picture.
const MOST_PIXELS: u32 = 8192;

/// The ground of a picture, which shows where the picture is transparent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// Black.
    Dark,
    /// White.
    Bright,
}

/// Reads a PNG as grey intensities from 0 to 1 of the size that is wanted, row by row. A picture of another size is
/// resized.
///
/// # Errors
///
/// If the file cannot be read, is not a PNG, or has a side of more than 8192 pixels.
pub fn read_image(
    path: &Path,
    [height, width]: [usize; 2],
    ground: Ground,
) -> Result<Vec<f32>, RunError> {
    let bytes = read_regular(path).map_err(RunError::io(path))?;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), ImageFormat::Png);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MOST_PIXELS);
    limits.max_image_height = Some(MOST_PIXELS);
    reader.limits(limits);
    let picture = reader.decode().map_err(RunError::damaged(path))?;
    let picture = picture.into_luma_alpha16();
    let ground = match ground {
        Ground::Dark => 0,
        Ground::Bright => u32::from(u16::MAX),
    };
    let grey = |LumaA([luma, alpha]): &LumaA<u16>| {
        let (alpha, all) = (u32::from(*alpha), u32::from(u16::MAX));
        let mixed = (u32::from(*luma) * alpha / all) + ground * (all - alpha) / all;
        Luma([mixed.min(all) as u16])
    };
    let mut flat = ImageBuffer::<Luma<u16>, Vec<u16>>::new(picture.width(), picture.height());
    for (to, from) in flat.pixels_mut().zip(picture.pixels()) {
        *to = grey(from);
    }
    let size = (width as u32, height as u32);
    let flat = match flat.dimensions() == size {
        true => flat,
        false => resize(&flat, size.0, size.1, FilterType::Triangle),
    };
    let pixels = flat.into_raw().into_iter();
    Ok(pixels
        .map(|pixel| f32::from(pixel) / f32::from(u16::MAX))
        .collect())
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
    use image::{GrayAlphaImage, GrayImage};

    fn read(path: &Path, size: [usize; 2]) -> Result<Vec<f32>, RunError> {
        read_image(path, size, Ground::Dark)
    }

    #[test]
    fn pngs_become_the_size_of_the_input() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dot.png");
        let mut dot = GrayImage::new(56, 56);
        for (x, y) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            dot.put_pixel(x, y, Luma([255]));
        }
        dot.save(&path).unwrap();
        let same = read(&path, [56, 56]).unwrap();
        assert_eq!(same[..3], [1.0, 1.0, 0.0]);
        assert_eq!(same.iter().sum::<f32>(), 4.0);
        let half = read(&path, [28, 28]).unwrap();
        assert_eq!(half.len(), 784);
        assert!(half[0] > 0.4 && half[27] == 0.0 && half[783] == 0.0);

        std::fs::write(&path, b"not a picture").unwrap();
        let error = read(&path, [28, 28]).unwrap_err().to_string();
        assert!(error.contains("dot.png"), "{error}");
        let error = read(&folder.path().join("none.png"), [28, 28]).unwrap_err();
        assert!(error.to_string().contains("none.png"), "{error}");
    }

    #[test]
    fn what_is_transparent_shows_the_ground() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alpha.png");
        // A digit that is in the alpha channel alone: white, and black.
        for (grey, ground, expected) in [
            (255, Ground::Dark, [1.0, 0.0, 0.4]),
            (255, Ground::Bright, [1.0, 1.0, 1.0]),
            (0, Ground::Dark, [0.0, 0.0, 0.0]),
            (0, Ground::Bright, [0.0, 1.0, 0.6]),
        ] {
            let mut picture = GrayAlphaImage::new(3, 1);
            for (x, alpha) in [255, 0, 102].into_iter().enumerate() {
                picture.put_pixel(x as u32, 0, LumaA([grey, alpha]));
            }
            picture.save(&path).unwrap();
            let pixels = read_image(&path, [1, 3], ground).unwrap();
            for (pixel, expected) in pixels.iter().zip(expected) {
                assert!((pixel - expected).abs() < 1e-4, "{pixels:?}");
            }
        }
    }

    #[test]
    fn pixels_become_half_blocks() {
        let text = picture(&[1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0], 3);
        assert_eq!(text, "█▄\n▀▀\n");
    }
}
