//! Batches of input sequences, reproducible from seed, epoch and sample.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::{Device, Int, Tensor, TensorData};
use synfire::encode::{AnyEncoder, BernoulliEncoder, Encoder, SampleKeys};
use synfire::ops::is_cubecl;
use synfire::random::{Philox, Purpose};
use synfire_data::{Samples, SequenceDataset};

use crate::samples::{self, Coding};

/// A batch of samples as sequences.
#[derive(Clone, Debug)]
pub struct SpikeBatch {
    /// Input, `[T, B, elements]`, or `[1, B, elements]` if it is repeated.
    pub input: Tensor<3>,
    /// Number of repetitions, if it is repeated.
    pub repeats: Option<usize>,
    /// Classes, `[B]` or, where every step has a label, those of all steps that have one, one step after the other.
    pub targets: Tensor<1, Int>,
    /// Rows of the outputs `[T * B, classes]` that have a label, where every step can have one.
    pub rows: Option<Tensor<1, Int>>,
    /// The part of each sample that is its own, if it is mixed with that at the same distance from the batch's other end.
    pub own: Option<f64>,
    /// Numbers and epoch of the samples.
    pub draw: SampleKeys,
    /// Whether it is the last of a pass.
    pub last: bool,
}

/// One in this many training samples is set aside for validation, by default.
const VALIDATION_SHARE: usize = 12;

/// Splits samples by the seed into training (at most `most`) and validation samples (`validation`, or a twelfth of all).
///
/// `groups` has a number for each sample; those with the same number stay together. A group that is larger than the whole
/// part for validation is trained on. Either part may come out empty where there are few samples or groups.
pub(crate) fn split(
    groups: &[usize],
    seed: u64,
    validation: Option<usize>,
    most: Option<usize>,
) -> [Vec<usize>; 2] {
    let len = groups.len();
    let order = Philox::new(seed).for_purpose(Purpose::Split);
    let order = order.permutation(0, len);
    let mut sizes = HashMap::new();
    for group in groups {
        *sizes.entry(group).or_insert(0) += 1;
    }
    let wanted = validation.unwrap_or(len / VALIDATION_SHARE);
    let wanted = wanted.clamp(1.min(len), len);
    let mut count = 0;
    let mut chosen = HashSet::new();
    for sample in &order {
        let size = sizes[&groups[*sample]];
        if count < wanted && size <= wanted && chosen.insert(groups[*sample]) {
            count += size;
        }
    }
    let is_chosen = |sample: &usize| chosen.contains(&groups[*sample]);
    let (mut validation, mut train): (Vec<_>, Vec<_>) = order.into_iter().partition(is_chosen);
    train.truncate(most.unwrap_or(len));
    train.sort();
    validation.sort();
    [train, validation]
}

/// The training samples for several devices, each of which takes an equal, contiguous share: shuffled, so that each share
/// has all classes, and without the remainder.
pub fn share(mut samples: Vec<usize>, devices: usize, seed: u64) -> Vec<usize> {
    if devices > 1 {
        let philox = Philox::new(seed).for_purpose(Purpose::Split);
        let order = philox.permutation(1, samples.len());
        samples = order.into_iter().map(|i| samples[i]).collect();
        samples.truncate(samples.len() / devices * devices);
    }
    samples
}

/// The order of the samples.
#[derive(Clone, Debug)]
enum Order {
    /// Always the same samples in the same order, with the same spikes.
    Fixed,
    /// A new order and new spikes each epoch, decided by the seed. The number is the next epoch's.
    Shuffled { seed: u64, epoch: Arc<AtomicU32> },
}

/// The epoch of validation and test. Training epochs count from 1, so their spikes differ.
const FIXED_EPOCH: u32 = 0;

/// A data loader that encodes on a thread of its own, ahead of the training.
///
/// Unlike Burn's loader, whose random sequence restarts with the process, it derives the batches from the epoch's number,
/// so a resumed run gets the same batches as an uninterrupted one.
#[derive(Clone)]
pub struct EpochLoader {
    data: Samples,
    indices: Arc<Vec<usize>>,
    coding: Coding,
    batch_size: usize,
    order: Order,
    device: Device,
}

impl EpochLoader {
    /// The samples `indices` in that order, with the same spikes each time and no augmentation: for validation and test.
    pub fn new(
        data: Samples,
        indices: Vec<usize>,
        coding: &Coding,
        batch_size: usize,
        device: &Device,
    ) -> Self {
        Self {
            data,
            indices: Arc::new(indices),
            coding: coding.clone(),
            batch_size,
            order: Order::Fixed,
            device: device.clone(),
        }
    }

    /// The same samples in a new order each epoch, with augmentation, for training. Each pass is one epoch, the first of
    /// them number `first_epoch`.
    pub fn shuffled(self, seed: u64, first_epoch: usize) -> Self {
        let epoch = Arc::new(AtomicU32::new(first_epoch as u32));
        let order = Order::Shuffled { seed, epoch };
        Self { order, ..self }
    }

    /// The samples of the next epoch in order, and its number.
    fn next_epoch(&self) -> (Vec<usize>, u32) {
        match &self.order {
            Order::Fixed => (self.indices.to_vec(), FIXED_EPOCH),
            Order::Shuffled { seed, epoch } => {
                let epoch = epoch.fetch_add(1, Ordering::Relaxed);
                let order = Philox::new(*seed).for_purpose(Purpose::Shuffle);
                let order = order.permutation(u64::from(epoch), self.indices.len());
                let samples = order.into_iter().map(|i| self.indices[i]).collect();
                (samples, epoch)
            }
        }
    }
}

/// Remaining encoding of a batch on its device.
enum Later {
    Nothing,
    /// Repeats the single step this many times. Its product with weights is computed only once.
    Repeat(usize),
    /// Draws spikes on the device, which receives one step instead of all, and takes this many steps.
    Draw(BernoulliEncoder, usize),
}

/// A batch on the host.
struct HostBatch {
    input: TensorData,
    later: Later,
    labels: TensorData,
    rows: Option<TensorData>,
    own: Option<f64>,
    draw: SampleKeys,
}

fn encode(
    data: &Samples,
    draw: SampleKeys,
    coding: &Coding,
    on_cubecl: bool,
) -> Result<HostBatch, DatasetError> {
    let batch = draw.samples.len();
    let taken = coding.time_steps(&draw);
    let later = match (data, &coding.encoder) {
        (Samples::Images(_), AnyEncoder::Direct(_)) => Later::Repeat(taken),
        // On the host, silent pixels cost nothing.
        (Samples::Images(_), AnyEncoder::Bernoulli(encoder)) if on_cubecl => {
            Later::Draw(encoder.clone(), taken)
        }
        _ => Later::Nothing,
    };
    let coding = match later {
        Later::Nothing => coding.clone(),
        Later::Repeat(_) | Later::Draw(..) => coding.one_step(),
    };
    let encoded = samples::batch(data, &draw, &coding).map_err(DatasetError::new)?;
    let (mut input, labels, own) = (encoded.input, encoded.labels, encoded.own);
    let time_steps = coding.encoder.time_steps();
    let elements = input.len() / (time_steps * batch);
    // Later steps than those that are taken come last.
    let time_steps = time_steps.min(taken);
    input.truncate(time_steps * batch * elements);
    let (rows, labels) = match data.labels_each_step() {
        true => {
            let labelled = labels.into_iter().enumerate();
            let labelled = labelled.filter(|(_, label)| *label != SequenceDataset::NO_LABEL);
            let (rows, labels) = labelled.map(|(row, label)| (row as i64, label)).unzip();
            (Some::<Vec<i64>>(rows), labels)
        }
        false => (None, labels),
    };
    Ok(HostBatch {
        later,
        input: TensorData::new(input, [time_steps, batch, elements]),
        rows: rows.map(|rows| TensorData::from(rows.as_slice())),
        labels: TensorData::from(labels.as_slice()),
        own,
        draw,
    })
}

impl HostBatch {
    fn onto(self, device: &Device, last: bool) -> SpikeBatch {
        let input = Tensor::<3>::from_data(self.input, device);
        let (input, repeats) = match self.later {
            Later::Nothing => (input, None),
            Later::Repeat(time_steps) => (input, Some(time_steps)),
            Later::Draw(encoder, taken) => {
                let intensities = input.squeeze_dim::<2>(0);
                let spikes = encoder.encode(intensities, &self.draw);
                (spikes.slice(0..taken), None)
            }
        };
        SpikeBatch {
            input,
            repeats,
            targets: Tensor::from_data(self.labels, device),
            rows: self.rows.map(|rows| Tensor::from_data(rows, device)),
            own: self.own,
            draw: self.draw,
            last,
        }
    }
}

/// Batches that are encoded ahead of time.
pub const AHEAD: usize = 2;

impl DataLoader<SpikeBatch> for EpochLoader {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<SpikeBatch> + 'a> {
        let (samples, epoch) = self.next_epoch();
        let total = samples.len();
        let (data, batch_size) = (self.data.clone(), self.batch_size);
        let coding = match self.order {
            Order::Fixed => self.coding.plain(),
            Order::Shuffled { .. } => self.coding.clone(),
        };
        let on_cubecl = is_cubecl(&self.device);
        let (sender, batches) = sync_channel(AHEAD);
        thread::spawn(move || {
            for batch in samples.chunks(batch_size) {
                let samples = batch.iter().map(|sample| *sample as u32).collect();
                let draw = SampleKeys::new(epoch, samples);
                let encoded = encode(&data, draw, &coding, on_cubecl);
                // The receiver is dropped when the run is stopped.
                if sender.send(encoded).is_err() {
                    return;
                }
            }
        });
        Box::new(EpochIterator {
            batches,
            batch_size,
            processed: 0,
            total,
            device: self.device.clone(),
        })
    }

    fn num_items(&self) -> usize {
        self.indices.len()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<SpikeBatch>> {
        Arc::new(Self {
            device: device.clone(),
            ..self.clone()
        })
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<SpikeBatch>> {
        let mut slice = self.clone();
        slice.indices = Arc::new(self.indices[start..end].to_vec());
        // Slices go through their epochs independently.
        if let Order::Shuffled { epoch, .. } = &mut slice.order {
            *epoch = Arc::new(AtomicU32::new(epoch.load(Ordering::Relaxed)));
        }
        Arc::new(slice)
    }
}

struct EpochIterator {
    batches: Receiver<Result<HostBatch, DatasetError>>,
    batch_size: usize,
    processed: usize,
    total: usize,
    device: Device,
}

impl Iterator for EpochIterator {
    type Item = Result<SpikeBatch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.processed == self.total {
            return None;
        }
        self.processed = (self.processed + self.batch_size).min(self.total);
        let last = self.processed == self.total;
        // The thread sends all batches, unless it panics.
        let batch = self.batches.recv().map_err(DatasetError::new).flatten();
        Some(batch.map(|batch| batch.onto(&self.device, last)))
    }
}

impl DataLoaderIterator<SpikeBatch> for EpochIterator {
    fn progress(&self) -> Progress {
        Progress::new(self.processed, self.total, Some("items".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;
    use synfire_data::DataSource;
    use synfire_data::DatasetName;

    fn parts() -> (Samples, Vec<usize>, Coding) {
        let data = DatasetName::Mnist.load(&DataSource::Embedded).unwrap();
        let settings = [("time_steps", "3"), ("augmentation.shift", "2")];
        let config = RunConfig::default().with(settings).unwrap();
        let indices = (0..50).map(|i| i * 7).collect();
        (data.train, indices, config.coding().unwrap())
    }

    fn loader(batch_size: usize) -> EpochLoader {
        let (data, indices, coding) = parts();
        EpochLoader::new(data, indices, &coding, batch_size, &Device::flex())
    }

    fn shuffled(seed: u64, first_epoch: usize) -> EpochLoader {
        loader(20).shuffled(seed, first_epoch)
    }

    /// All spikes and labels of a pass, sample by sample.
    fn pass(loader: &dyn DataLoader<SpikeBatch>) -> Vec<(Vec<f32>, i64)> {
        let mut samples = Vec::new();
        for batch in loader.iter() {
            let batch = batch.unwrap();
            let labels = batch
                .targets
                .into_data()
                .convert::<i64>()
                .try_to_vec::<i64>()
                .unwrap();
            for (i, label) in labels.into_iter().enumerate() {
                let spikes = batch.input.clone().slice([0..3, i..i + 1]).into_data();
                samples.push((spikes.try_to_vec::<f32>().unwrap(), label));
            }
        }
        samples
    }

    #[test]
    fn parts_of_a_split_cover_everything_once() {
        let apart = |len: usize| (0..len).collect::<Vec<_>>();
        let [train, validation] = split(&apart(4000), 5, None, None);
        assert_eq!((train.len(), validation.len()), (3667, 333));
        let mut all = [train.clone(), validation].concat();
        all.sort();
        assert_eq!(all, apart(4000));
        assert_ne!(train, split(&apart(4000), 6, None, None)[0]);
        assert_eq!(split(&apart(1), 0, None, None), [vec![], vec![0]]);
        let [some, validation] = split(&apart(4000), 5, None, Some(100));
        assert_eq!((some.len(), validation.len()), (100, 333));
        assert!(some.iter().all(|sample| train.contains(sample)));
        let [_, validation] = split(&apart(4000), 5, Some(400), None);
        assert_eq!(validation.len(), 400);
        assert!(split(&apart(5), 5, Some(9), None)[0].is_empty());
        // Not only the first samples, which may all be of one class.
        assert!(some.last() > Some(&3000));
    }

    #[test]
    fn groups_stay_together() {
        let groups: Vec<usize> = (0..1200).map(|sample| sample % 500).collect();
        let [train, validation] = split(&groups, 1, None, None);
        assert!(
            (100..=102).contains(&validation.len()),
            "{}",
            validation.len()
        );
        assert_eq!(train.len() + validation.len(), 1200);
        let of = |samples: &[usize]| samples.iter().map(|i| groups[*i]).collect::<HashSet<_>>();
        assert!(of(&train).is_disjoint(&of(&validation)));
        // A large group is for training.
        let large: Vec<usize> = (0..120)
            .map(|sample: usize| sample.saturating_sub(80))
            .collect();
        for seed in 0..20 {
            let [train, validation] = split(&large, seed, None, None);
            assert_eq!(validation.len(), 10);
            assert!((0..=80).all(|sample| train.contains(&sample)));
        }
        // A single group cannot be split.
        assert_eq!(split(&[7; 5], 0, None, None), [vec![0, 1, 2, 3, 4], vec![]]);
    }

    #[test]
    fn fixed_passes_repeat() {
        let loader = loader(20);
        let first = pass(&loader);
        assert_eq!(first.len(), 50);
        assert_eq!(first, pass(&loader));
        assert_eq!(first, pass(&self::loader(7)));
        assert_eq!(loader.num_items(), 50);
        assert_eq!(pass(&*loader.slice(10, 20)), first[10..20]);
    }

    #[test]
    fn an_epoch_is_decided_by_its_number() {
        let run = shuffled(1, 1);
        let [first, second, third] = [pass(&run), pass(&run), pass(&run)];
        assert!(first != second && second != third);
        // A run that resumes at epoch 2, on a loader moved to a device as burn-train does.
        let resumed = shuffled(1, 2).to_device(&Device::flex());
        assert_eq!(pass(&*resumed), second);
        assert_eq!(pass(&*resumed), third);
        assert_ne!(pass(&shuffled(2, 1)), first);
    }

    #[test]
    fn progress_counts_samples() {
        let loader = loader(20);
        let mut batches = loader.iter();
        let mut seen = Vec::new();
        while batches.next().is_some() {
            seen.push(batches.progress().items_processed);
        }
        assert_eq!(seen, [20, 40, 50]);
        assert!(batches.progress().is_completed());
    }
}
