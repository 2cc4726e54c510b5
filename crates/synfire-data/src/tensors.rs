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
        let [height, width] = self.sensor().map(usize::from);
        let of_step = batch.1.len() * 2 * height * width;
        let time_steps = batch.0.len().checked_div(of_step).unwrap_or_default();
        let shape = [time_steps, batch.1.len(), 2, height, width];
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
