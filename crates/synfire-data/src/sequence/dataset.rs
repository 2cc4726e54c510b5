//! Datasets of sequences with class labels.

use std::sync::Arc;

use burn::data::dataset::{Dataset, DatasetError};
use sha2::{Digest, Sha256};

use crate::DataError;
use crate::error::sample;
use crate::sha256::hexadecimal;

/// A sequence with its label.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    /// Values `[T, channels]`, step by step.
    pub values: Vec<f32>,
    /// The class of the sequence, or of each step.
    pub label: SequenceLabel,
}

/// A label for a whole sequence, or for each of its steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SequenceLabel {
    /// The class of the whole sequence.
    Whole(u8),
    /// The class of every step.
    Steps(Vec<u8>),
}

/// A sequence of a dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct SequenceItem {
    /// The number of the sequence in its dataset, which stays with it through any selection or shuffling.
    pub index: u32,
    /// Values and label.
    pub sequence: Sequence,
}

/// Sequences `[T, channels]` in memory, of one number of channels and any lengths, with up to 256 classes: a label for each
/// sequence, or one for each step.
///
/// ```
/// use synfire_data::{Sequence, SequenceDataset, SequenceLabel};
///
/// let sequence = |values: &[f32], class| Sequence {
///     values: values.to_vec(),
///     label: SequenceLabel::Whole(class),
/// };
/// // One channel; 3 steps and 1 step.
/// let data = SequenceDataset::new(1, vec![sequence(&[1.0, 2.0, 3.0], 0), sequence(&[4.0], 1)])?;
/// // [2 steps, 2 sequences, 1 channel]: the first is cut, the second padded.
/// let (values, labels) = data.batch([0, 1], 2)?;
/// assert_eq!(values, [1.0, 4.0, 2.0, 0.0]);
/// assert_eq!(labels, [0, 1]);
/// # Ok::<(), synfire_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SequenceDataset {
    channels: usize,
    values: Arc<Vec<Vec<f32>>>,
    labels: Arc<Vec<u8>>,
    /// Offset of each sequence's first label, if each step has one.
    starts: Option<Arc<Vec<usize>>>,
}

impl SequenceDataset {
    /// The label of steps after the end of a sequence, in a batch with a label for every step: not a class.
    pub const NO_LABEL: i64 = -1;

    /// Sequences with this number of channels.
    ///
    /// # Errors
    ///
    /// If there are no channels, a sequence is empty, its values are not those of whole steps or not finite, it has another
    /// number of labels than steps, or some have a label for the whole and others for every step.
    pub fn new(channels: usize, sequences: Vec<Sequence>) -> Result<Self, DataError> {
        let wrong = |index, field, value: &dyn ToString, expected: &str| {
            let (path, value) = (format!("sequence {index}"), value.to_string());
            Err(DataError::format(path, field, value, expected))
        };
        let each_step = |label: &SequenceLabel| matches!(label, SequenceLabel::Steps(_));
        let first = sequences.first();
        let steps = first.is_some_and(|first| each_step(&first.label));
        let mut all = Vec::with_capacity(sequences.len());
        let (mut labels, mut starts) = (Vec::new(), Vec::new());
        for (index, Sequence { values, label }) in sequences.into_iter().enumerate() {
            if values.is_empty() || channels == 0 || values.len() % channels != 0 {
                let expected =
                    format!("a multiple of {channels}, the number of channels, at least 1");
                return wrong(index, "number of values", &values.len(), &expected);
            }
            if let Some(value) = values.iter().find(|value| !value.is_finite()) {
                return wrong(index, "value", value, "a finite number");
            }
            if each_step(&label) != steps {
                let expected = "a label for every step of every sequence, or of none";
                return wrong(index, "label", &format!("{label:?}"), expected);
            }
            starts.push(labels.len());
            match label {
                SequenceLabel::Whole(label) => labels.push(label),
                SequenceLabel::Steps(own) => {
                    let expected = values.len() / channels;
                    if own.len() != expected {
                        let expected = format!("{expected}, the number of steps");
                        return wrong(index, "number of labels", &own.len(), &expected);
                    }
                    labels.extend(own);
                }
            }
            all.push(values);
        }
        Ok(Self {
            channels,
            values: Arc::new(all),
            labels: Arc::new(labels),
            starts: steps.then(|| Arc::new(starts)),
        })
    }

    /// The number of channels of a step.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The labels of all sequences, in order: one each or, if [each step](Self::labels_each_step) has one, those of all steps
    /// of the first sequence, then of the second.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// Whether every step has a label, not the sequence.
    pub fn labels_each_step(&self) -> bool {
        self.starts.is_some()
    }

    /// The number of steps of the longest sequence; 0 if there are no sequences.
    pub fn longest(&self) -> usize {
        let steps = |values: &Vec<f32>| values.len() / self.channels;
        self.values.iter().map(steps).max().unwrap_or(0)
    }

    /// The number of steps of a sequence.
    ///
    /// # Errors
    ///
    /// If there is no sequence of such a number.
    pub fn time_steps(&self, index: usize) -> Result<usize, DataError> {
        Ok(self.values(index)?.len() / self.channels)
    }

    /// Values `[T, channels]` of a sequence, step by step.
    ///
    /// # Errors
    ///
    /// If there is no sequence of such a number.
    pub fn values(&self, index: usize) -> Result<&[f32], DataError> {
        Ok(sample(&self.values, index, "sequence")?)
    }

    /// A batch for a training step: values `[T, B, channels]` row by row, and labels.
    ///
    /// Shorter sequences are padded with zeros at the end, longer ones are cut. Labels are `[B]` or, if
    /// [each step](Self::labels_each_step) has one, `[T, B]` row by row with [`NO_LABEL`](Self::NO_LABEL), which is -1, where a
    /// sequence is padded.
    ///
    /// # Errors
    ///
    /// If there is no sequence of such a number.
    pub fn batch(
        &self,
        indices: impl IntoIterator<Item = usize>,
        time_steps: usize,
    ) -> Result<(Vec<f32>, Vec<i64>), DataError> {
        let indices: Vec<_> = indices.into_iter().collect();
        let (count, channels) = (indices.len(), self.channels);
        let mut batch = vec![0.0; time_steps * count * channels];
        let rows_of_labels = match self.labels_each_step() {
            true => time_steps,
            false => 1,
        };
        let mut labels = vec![Self::NO_LABEL; rows_of_labels * count];
        for (place, index) in indices.into_iter().enumerate() {
            let steps = self.values(index)?.chunks_exact(channels);
            let rows = batch.chunks_exact_mut(channels).skip(place).step_by(count);
            rows.zip(steps)
                .for_each(|(row, step)| row.copy_from_slice(step));
            let rows = labels.iter_mut().skip(place).step_by(count);
            rows.zip(self.labels_of(index))
                .for_each(|(to, label)| *to = i64::from(*label));
        }
        Ok((batch, labels))
    }

    /// The label of a sequence that is there, or those of its steps.
    fn labels_of(&self, index: usize) -> &[u8] {
        match &self.starts {
            Some(starts) => {
                let steps = self.values[index].len() / self.channels;
                &self.labels[starts[index]..][..steps]
            }
            None => &self.labels[index..=index],
        }
    }

    /// A hash of everything in the dataset (SHA-256 of channels, lengths, values and labels, in hexadecimal).
    pub fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update((self.channels as u64).to_be_bytes());
        hasher.update([u8::from(self.labels_each_step())]);
        for values in self.values.iter() {
            hasher.update((values.len() as u64).to_be_bytes());
            let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_be_bytes()).collect();
            hasher.update(&bytes);
        }
        hasher.update(&*self.labels);
        hexadecimal(hasher)
    }
}

impl Dataset<SequenceItem> for SequenceDataset {
    fn get(&self, index: usize) -> Result<SequenceItem, DatasetError> {
        let values = self.values(index).map_err(DatasetError::new)?.to_vec();
        let label = match self.labels_each_step() {
            true => SequenceLabel::Steps(self.labels_of(index).to_vec()),
            false => SequenceLabel::Whole(self.labels[index]),
        };
        Ok(SequenceItem {
            index: index as u32,
            sequence: Sequence { values, label },
        })
    }

    fn len(&self) -> usize {
        self.values.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(values: &[f32], label: u8) -> Sequence {
        Sequence {
            values: values.to_vec(),
            label: SequenceLabel::Whole(label),
        }
    }

    fn steps(values: &[f32], labels: &[u8]) -> Sequence {
        Sequence {
            values: values.to_vec(),
            label: SequenceLabel::Steps(labels.to_vec()),
        }
    }

    #[test]
    fn batches_have_time_first() {
        let sequences = vec![
            whole(&[1.0, 2.0, 3.0, 4.0], 3),
            whole(&[5.0, 6.0], 1),
            whole(&[7.0, 8.0, 9.0, 10.0, 11.0, 12.0], 0),
        ];
        let data = SequenceDataset::new(2, sequences.clone()).unwrap();
        assert_eq!((data.len(), data.channels(), data.longest()), (3, 2, 3));
        assert_eq!(data.time_steps(1).unwrap(), 1);
        assert!(!data.labels_each_step());
        let (values, labels) = data.batch([2, 1], 2).unwrap();
        assert_eq!(values, [7.0, 8.0, 5.0, 6.0, 9.0, 10.0, 0.0, 0.0]);
        assert_eq!(labels, [0, 1]);
        assert_eq!(data.batch([], 2).unwrap(), (vec![], vec![]));
        assert_eq!(data.batch([1], 0).unwrap(), (vec![], vec![1]));
        let error = data.batch([3], 2).unwrap_err().to_string();
        assert_eq!(error, "there is no sequence 3: there are 3, counted from 0");
        let item = data.get(1).unwrap();
        assert_eq!((item.index, &item.sequence), (1, &sequences[1]));
        assert!(data.get(3).is_err());
    }

    #[test]
    fn every_step_may_have_a_label() {
        let data = vec![steps(&[1.0, 2.0, 3.0], &[0, 1, 2]), steps(&[4.0], &[5])];
        let data = SequenceDataset::new(1, data).unwrap();
        let (values, labels) = data.batch([0, 1], 2).unwrap();
        assert_eq!(values, [1.0, 4.0, 2.0, 0.0]);
        assert_eq!(labels, [0, 5, 1, SequenceDataset::NO_LABEL]);
        assert_eq!(data.labels(), [0, 1, 2, 5]);
        assert_eq!(data.get(1).unwrap().sequence, steps(&[4.0], &[5]));
    }

    #[test]
    fn the_fingerprint_is_of_everything() {
        let print = |channels, sequences| {
            let data = SequenceDataset::new(channels, sequences).unwrap();
            data.fingerprint()
        };
        let prints = [
            print(1, vec![whole(&[1.0, 2.0], 0)]),
            print(2, vec![whole(&[1.0, 2.0], 0)]),
            print(1, vec![whole(&[1.0, 2.5], 0)]),
            print(1, vec![whole(&[1.0, 2.0], 1)]),
            print(1, vec![whole(&[1.0], 0), whole(&[2.0], 0)]),
            print(2, vec![steps(&[1.0, 2.0], &[0])]),
        ];
        for (i, a) in prints.iter().enumerate() {
            assert!(prints[..i].iter().all(|b| a != b), "{i}");
        }
    }

    #[test]
    fn errors_name_the_sequence() {
        let text = |channels, sequences| {
            let result = SequenceDataset::new(channels, sequences);
            result.unwrap_err().to_string()
        };
        let good = || whole(&[1.0, 2.0], 0);
        assert_eq!(
            text(2, vec![good(), whole(&[1.0], 0)]),
            "sequence 1: `number of values` is 1, expected a multiple of 2, the number of channels, at least 1"
        );
        assert!(text(2, vec![whole(&[], 0)]).contains("`number of values` is 0"));
        assert!(text(0, vec![good()]).contains("a multiple of 0"));
        assert!(text(1, vec![whole(&[f32::NAN], 0)]).contains("`value` is NaN"));
        assert!(text(1, vec![good(), steps(&[1.0], &[0])]).contains("sequence 1: `label`"));
        assert!(text(1, vec![steps(&[1.0], &[0, 0])]).contains("expected 1, the number of steps"));
    }
}
