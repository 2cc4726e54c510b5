//! Batches as tensors, for a training loop of your own.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::{DataError, EventDataset, Frames, ImageDataset, SequenceDataset};

fn to_tensors<const D: usize>(
    (values, labels): (Vec<f32>, Vec<i64>),
    shape: [usize; D],
    device: &Device,
) -> (Tensor<D>, Tensor<1, Int>) {
    let count = labels.len();
    (
        Tensor::from_data(TensorData::new(values, shape), device),
        Tensor::from_data(TensorData::new(labels, [count]), device),
    )
}

impl ImageDataset {
    /// Intensities from 0 to 1, `[B, channels, height, width]`, and labels `[B]`. An encoder of Synfire, such as
    /// `encode::repeat`, makes them a sequence `[T, B, channels, height, width]`.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use synfire_data::{DataSource, ImageSet, Loader};
    ///
    /// let digits = Loader::new().load(ImageSet::Mnist, &DataSource::Embedded)?;
    /// let (images, labels) = digits.train.tensors(0..32, &Device::default())?;
    /// assert_eq!((images.dims(), labels.dims()), ([32, 1, 28, 28], [32]));
    /// # Ok::<(), synfire_data::DataError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If there is no image of such a number.
    pub fn tensors(
        &self,
        indices: impl IntoIterator<Item = usize>,
        device: &Device,
    ) -> Result<(Tensor<4>, Tensor<1, Int>), DataError> {
        let batch = self.batch(indices)?;
        let [channels, height, width] = self.shape();
        let shape = [batch.1.len(), channels, height, width];
        Ok(to_tensors(batch, shape, device))
    }
}

impl EventDataset {
    /// Frames `[T, B, 2, height, width]` and labels `[B]`.
    ///
    /// # Errors
    ///
    /// Those of [`batch`](Self::batch).
    pub fn tensors(
        &self,
        indices: impl IntoIterator<Item = usize>,
        frames: &Frames,
        device: &Device,
    ) -> Result<(Tensor<5>, Tensor<1, Int>), DataError> {
        let batch = self.batch(indices, frames)?;
        let [polarities, height, width] = self.shape();
        let of_step = batch.1.len() * polarities * height * width;
        let time_steps = batch.0.len().checked_div(of_step).unwrap_or_default();
        let shape = [time_steps, batch.1.len(), polarities, height, width];
        Ok(to_tensors(batch, shape, device))
    }
}

impl SequenceDataset {
    /// Values `[T, B, channels]` and labels: `[B]` or, if [each step](Self::labels_each_step) has one, `[T * B]`, all samples
    /// of the first step, then those of the next.
    ///
    /// # Errors
    ///
    /// Those of [`batch`](Self::batch).
    pub fn tensors(
        &self,
        indices: impl IntoIterator<Item = usize>,
        time_steps: usize,
        device: &Device,
    ) -> Result<(Tensor<3>, Tensor<1, Int>), DataError> {
        let indices: Vec<_> = indices.into_iter().collect();
        let shape = [time_steps, indices.len(), self.channels()];
        Ok(to_tensors(self.batch(indices, time_steps)?, shape, device))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{FrameBy, Sequence, SequenceLabel};

    #[test]
    fn recordings_are_frames_with_time_first() {
        let folder = tempfile::tempdir().unwrap();
        // Column, row, polarity and time of an event.
        let recording = |name: &str, events: &[[u8; 5]]| {
            let path = folder.path().join(name);
            fs::write(&path, events.concat()).unwrap();
            path
        };
        let one = recording("one.bin", &[[1, 0, 0, 0, 0], [2, 1, 128, 0, 9]]);
        let two = recording("two.bin", &[[0, 0, 0, 0, 0], [0, 0, 0, 0, 9]]);
        let data = EventDataset::new([2, 3], [(one, 7), (two, 4)]).unwrap();
        let frames = Frames::new(FrameBy::Bins(2));
        let (frames, labels) = data.tensors([1, 0], &frames, &Device::default()).unwrap();
        assert_eq!(frames.dims(), [2, 2, 2, 2, 3]);
        assert_eq!(labels.into_data().iter::<i64>().collect::<Vec<_>>(), [4, 7]);
        // Both events of `two` are at the same place, those of `one` in different channels.
        let sums = frames.sum_dim(4).sum_dim(3).into_data();
        assert_eq!(
            sums.iter::<f32>().collect::<Vec<_>>(),
            [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0]
        );
    }

    #[test]
    fn each_step_of_a_sequence_has_its_label() {
        let sequence = |values: &[f32], labels: &[u8]| Sequence {
            values: values.to_vec(),
            label: SequenceLabel::Steps(labels.to_vec()),
        };
        let sequences = vec![sequence(&[1.0, 2.0], &[5, 6]), sequence(&[3.0], &[7])];
        let data = SequenceDataset::new(1, sequences).unwrap();
        let (values, labels) = data.tensors(0..2, 2, &Device::default()).unwrap();
        assert_eq!(values.dims(), [2, 2, 1]);
        let values = values.into_data();
        assert_eq!(
            values.iter::<f32>().collect::<Vec<_>>(),
            [1.0, 3.0, 2.0, 0.0]
        );
        let padding = SequenceDataset::NO_LABEL;
        assert_eq!(
            labels.into_data().iter::<i64>().collect::<Vec<_>>(),
            [5, 7, 6, padding]
        );
    }
}
