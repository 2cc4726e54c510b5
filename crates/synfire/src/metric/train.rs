//! Metrics for burn-train.

use std::sync::{Arc, Mutex};

use burn::backend::ExecutionError;
use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData, TensorReadError};
use burn_train::ItemLazy;
use burn_train::metric::state::{FormatOptions, NumericMetricState};
use burn_train::metric::{
    AccuracyInput, Adaptor, LossInput, Metric, MetricAttributes, MetricMetadata, MetricName,
    Numeric, NumericAttributes, NumericEntry, SerializedEntry,
};

use super::{Answers, LayerOperations, SynapticOperations, stuck_layers};

/// Output of a step of a spiking classifier, as input of the metrics.
#[derive(Debug)]
pub struct SpikingOutput {
    /// The loss, `[1]`.
    pub loss: Tensor<1>,
    /// The score of each class, `[B, classes]`, a firing rate for example: the highest is the answer.
    pub scores: Tensor<2>,
    /// The true classes, `[B]`.
    pub targets: Tensor<1, Int>,
    /// The firing rate of each layer, `[1]` each.
    pub firing_rates: Vec<Tensor<1>>,
    /// The operations of each layer, where they were counted.
    pub operations: Vec<LayerOperations>,
}

impl ItemLazy for SpikingOutput {
    fn sync(self) -> Result<Self, ExecutionError> {
        // Nothing is read back here, only flushed; metrics read single numbers, on a separate thread.
        self.loss.device().flush()?;
        let (rates, operations) = (self.firing_rates.into_iter(), self.operations.into_iter());
        let operations = operations.map(LayerOperations::without_autodiff);
        Ok(Self {
            loss: self.loss.without_autodiff(),
            scores: self.scores.without_autodiff(),
            targets: self.targets.without_autodiff(),
            firing_rates: rates.map(Tensor::without_autodiff).collect(),
            operations: operations.collect(),
        })
    }
}

impl Adaptor<LossInput> for SpikingOutput {
    fn adapt(&self) -> LossInput {
        LossInput::new(self.loss.clone())
    }
}

impl Adaptor<AccuracyInput> for SpikingOutput {
    fn adapt(&self) -> AccuracyInput {
        AccuracyInput::new(self.scores.clone(), self.targets.clone())
    }
}

impl Adaptor<FiringRates> for SpikingOutput {
    fn adapt(&self) -> FiringRates {
        FiringRates {
            rates: self.firing_rates.clone(),
            samples: self.targets.dims()[0],
        }
    }
}

impl Adaptor<Scores> for SpikingOutput {
    fn adapt(&self) -> Scores {
        Scores {
            scores: self.scores.clone(),
            targets: self.targets.clone(),
        }
    }
}

impl Adaptor<SynapticOperationsInput> for SpikingOutput {
    fn adapt(&self) -> SynapticOperationsInput {
        SynapticOperationsInput {
            layers: self.operations.clone(),
            samples: self.targets.dims()[0],
        }
    }
}

/// Gathers the outputs of training steps and reads them back together, every `every` steps and at the end of the epoch,
/// without waiting for the device in between. The very first step is read at once.
///
/// Use metrics wrapped in [`Gathered`]. Outputs not yet read when an epoch is interrupted count for the next one.
#[derive(Clone, Debug)]
pub struct Gather {
    every: usize,
    pending: Arc<Mutex<Pending>>,
}

#[derive(Debug, Default)]
struct Pending {
    steps: Vec<SpikingOutput>,
    begun: bool,
}

impl Gather {
    /// Reads back every `every` steps; 0 and 1 mean every step.
    pub fn new(every: usize) -> Self {
        Self {
            every: every.max(1),
            pending: Arc::default(),
        }
    }

    /// Output of a step; `last` says whether it is the last of its epoch.
    pub fn step(&self, output: SpikingOutput, last: bool) -> GatheredOutput {
        GatheredOutput {
            gather: self.clone(),
            output,
            last,
        }
    }

    /// Adds an output, and returns all pending ones if they are due.
    fn add(&self, output: SpikingOutput, last: bool) -> Result<SpikingOutput, ExecutionError> {
        if self.every == 1 {
            // Metrics read it directly.
            return Ok(output);
        }
        let (classes, layers) = (output.scores.dims()[1], output.firing_rates.len());
        let steps = {
            let mut pending = self.pending.lock().expect("no holder of the lock panics");
            pending.steps.push(output);
            let first = !std::mem::replace(&mut pending.begun, true);
            match first || last || pending.steps.len() >= self.every {
                true => std::mem::take(&mut pending.steps),
                false => Vec::new(),
            }
        };
        SpikingOutput::read(steps, classes, layers)
    }
}

/// Output of one training step or of several gathered ones, see [`Gather`].
#[derive(Debug)]
pub struct GatheredOutput {
    gather: Gather,
    output: SpikingOutput,
    last: bool,
}

impl ItemLazy for GatheredOutput {
    fn sync(self) -> Result<Self, ExecutionError> {
        let output = self.gather.add(self.output.sync()?, self.last)?;
        Ok(Self { output, ..self })
    }
}

/// The input of a metric from gathered steps: empty, or the input of all of them.
pub struct GatheredInput<T> {
    input: T,
    samples: usize,
}

impl<T> Adaptor<GatheredInput<T>> for GatheredOutput
where
    SpikingOutput: Adaptor<T>,
{
    fn adapt(&self) -> GatheredInput<T> {
        GatheredInput {
            input: self.output.adapt(),
            samples: self.output.targets.dims()[0],
        }
    }
}

/// A metric of gathered steps, see [`Gather`]: it stays unchanged between reads.
#[derive(Clone)]
pub struct Gathered<M> {
    metric: M,
    entry: Option<SerializedEntry>,
    /// True if the last step was read.
    read: bool,
}

impl<M> Gathered<M> {
    /// Wraps a metric.
    pub fn new(metric: M) -> Self {
        Self {
            metric,
            entry: None,
            read: false,
        }
    }
}

impl<M: Metric> Metric for Gathered<M> {
    type Input = GatheredInput<M::Input>;

    fn name(&self) -> MetricName {
        self.metric.name()
    }

    fn description(&self) -> Option<String> {
        self.metric.description()
    }

    fn attributes(&self) -> MetricAttributes {
        self.metric.attributes()
    }

    fn update(
        &mut self,
        item: &Self::Input,
        metadata: &MetricMetadata,
    ) -> Result<SerializedEntry, TensorReadError> {
        self.read = item.samples > 0;
        if let (false, Some(entry)) = (self.read, &self.entry) {
            return Ok(entry.clone());
        }
        let entry = self.metric.update(&item.input, metadata)?;
        self.entry = Some(entry.clone());
        Ok(entry)
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        self.metric.compute()
    }

    fn clear(&mut self) {
        self.metric.clear();
    }
}

impl<M: Metric + Numeric> Numeric for Gathered<M> {
    fn value(&self) -> Option<NumericEntry> {
        match self.metric.value()? {
            // No new steps.
            NumericEntry::Aggregated {
                aggregated_value, ..
            } if !self.read => Some(NumericEntry::Aggregated {
                aggregated_value,
                count: 0,
            }),
            value => Some(value),
        }
    }

    fn running_value(&self) -> Option<NumericEntry> {
        self.metric.running_value()
    }

    fn final_value(&self) -> NumericEntry {
        self.metric.final_value()
    }
}

impl SpikingOutput {
    /// Joins steps on the host, with one transfer from the device: all samples, all losses, and firing rates as means over the
    /// samples. Operations are left out.
    fn read(steps: Vec<Self>, classes: usize, layers: usize) -> Result<Self, ExecutionError> {
        let samples: Vec<usize> = steps.iter().map(|step| step.targets.dims()[0]).collect();
        let total: usize = samples.iter().sum();
        let (mut losses, mut targets, mut scores) = (Vec::new(), Vec::new(), Vec::new());
        let mut rates = vec![0.0; layers];
        if let Some(device) = steps.first().map(|step| step.loss.device()) {
            // Steps may come from several devices.
            let part = |part: Tensor<1>| part.cast(FloatDType::F32).to_device(&device);
            let parts = steps.into_iter().flat_map(|step| {
                let scores = step.scores.flatten(0, 1);
                let of_step = [step.loss, step.targets.cast(FloatDType::F32), scores];
                of_step.into_iter().chain(step.firing_rates).map(part)
            });
            let read = Tensor::cat(parts.collect(), 0).try_into_data()?;
            let mut rest = read.as_slice::<f32>().expect("they were cast");
            let mut next = |count| {
                let (now, later) = rest.split_at(count);
                rest = later;
                now
            };
            for samples in &samples {
                losses.extend_from_slice(next(1));
                targets.extend(next(*samples).iter().map(|class| *class as i32));
                scores.extend_from_slice(next(samples * classes));
                for rate in &mut rates {
                    *rate += next(1)[0] * *samples as f32 / total as f32;
                }
            }
        }
        let host = Device::flex();
        let loss = TensorData::new(losses, [samples.len()]);
        let rates = rates.into_iter();
        Ok(Self {
            loss: Tensor::from_data(loss, &host),
            scores: Tensor::from_data(TensorData::new(scores, [total, classes]), &host),
            targets: Tensor::from_data(TensorData::new(targets, [total]), &host),
            firing_rates: rates
                .map(|rate| Tensor::from_floats([rate], &host))
                .collect(),
            operations: Vec::new(),
        })
    }
}

/// The mean of a number over the samples of an epoch: lower is better.
#[derive(Clone)]
pub struct MeanMetric<I> {
    name: MetricName,
    precision: usize,
    number: Arc<Number<I>>,
    state: NumericMetricState,
}

/// The number of an input, and the samples it is the mean of.
type Number<I> = dyn Fn(&I) -> Result<(f64, usize), TensorReadError> + Send + Sync;

impl<I> MeanMetric<I> {
    fn of(
        name: MetricName,
        precision: usize,
        number: impl Fn(&I) -> Result<(f64, usize), TensorReadError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            precision,
            number: Arc::new(number),
            state: NumericMetricState::default(),
        }
    }

    fn format(&self) -> FormatOptions {
        FormatOptions::new(self.name.clone()).precision(self.precision)
    }
}

impl<I: Clone + 'static> Metric for MeanMetric<I> {
    type Input = I;

    fn name(&self) -> MetricName {
        self.name.clone()
    }

    fn attributes(&self) -> MetricAttributes {
        lower_is_better()
    }

    fn update(
        &mut self,
        item: &I,
        _metadata: &MetricMetadata,
    ) -> Result<SerializedEntry, TensorReadError> {
        let (number, samples) = (self.number)(item)?;
        self.state.update(number, samples);
        Ok(self.state.compute_update(self.format()))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(self.state.compute_final(self.format()))
    }

    fn clear(&mut self) {
        self.state.reset();
    }
}

impl<I> Numeric for MeanMetric<I> {
    fn value(&self) -> Option<NumericEntry> {
        Some(self.state.current_value())
    }

    fn running_value(&self) -> Option<NumericEntry> {
        Some(self.state.running_value())
    }

    fn final_value(&self) -> NumericEntry {
        self.state.final_value()
    }
}

/// The input of [`FiringRateMetric`].
#[derive(Clone)]
pub struct FiringRates {
    /// The rate of each layer, `[1]` each.
    pub rates: Vec<Tensor<1>>,
    /// The number of samples they are means over.
    pub samples: usize,
}

/// The firing rate of one layer, as a fraction from 0 to 1.
pub type FiringRateMetric = MeanMetric<FiringRates>;

impl FiringRateMetric {
    /// The metric of the layer `layer`, at `index` in [`FiringRates`]. Updating it panics if the index is out of range.
    pub fn new(layer: &str, index: usize) -> Self {
        Self::of(Self::name_of(layer), 4, move |item| {
            let rate = item.rates[index].clone().try_into_scalar()?;
            Ok((rate, item.samples))
        })
    }

    /// The name of the metric of a layer.
    pub fn name_of(layer: &str) -> MetricName {
        Arc::new(format!("Firing rate {layer}"))
    }
}

/// The layers that have never or always fired since the epoch began, as text: the most common reason why a spiking network
/// does not learn, see [`stuck_layers`].
#[derive(Clone)]
pub struct StuckLayersMetric {
    layers: Vec<String>,
    /// For each layer the sum of its rates over all samples so far.
    sums: Vec<f64>,
    samples: usize,
}

impl StuckLayersMetric {
    /// The metric of a network with these layers, in the order of [`FiringRates`].
    pub fn new(layers: Vec<String>) -> Self {
        Self {
            sums: vec![0.0; layers.len()],
            layers,
            samples: 0,
        }
    }

    fn entry(&self) -> SerializedEntry {
        let names = self.layers.iter().map(String::as_str);
        let rates = self.sums.iter().map(|sum| sum / self.samples as f64);
        let stuck = stuck_layers(names.zip(rates)).into_iter();
        let stuck = stuck.map(|stuck| format!("{} {}", stuck.layer, stuck.fault));
        let stuck: Vec<_> = stuck.collect();
        let text = match stuck.is_empty() {
            true => "none".to_owned(),
            false => stuck.join(", "),
        };
        SerializedEntry::new(text.clone(), text)
    }
}

/// The input of [`UndecidedMetric`] and [`MissingClassesMetric`].
pub struct Scores {
    /// The score of each class, `[B, classes]`.
    pub scores: Tensor<2>,
    /// The true classes, `[B]`.
    pub targets: Tensor<1, Int>,
}

/// A metric of the network's answers since the epoch began.
macro_rules! metric_of_answers {
    ($(#[$doc:meta])* $metric:ident, $name:literal, $precision:literal, $number:expr) => {
        $(#[$doc])*
        #[derive(Clone, Default)]
        pub struct $metric {
            answers: Answers,
        }

        impl $metric {
            /// The name of the metric.
            pub const NAME: &str = $name;

            /// The metric.
            pub fn new() -> Self {
                Self::default()
            }

            fn number(&self) -> f64 {
                let number: fn(&Answers) -> f64 = $number;
                number(&self.answers)
            }

            fn entry(&self) -> SerializedEntry {
                let number = self.number();
                SerializedEntry::new(format!("{number:.*}", $precision), number.to_string())
            }
        }

        impl Metric for $metric {
            type Input = Scores;

            fn name(&self) -> MetricName {
                Arc::new(Self::NAME.to_owned())
            }

            fn attributes(&self) -> MetricAttributes {
                lower_is_better()
            }

            fn update(
                &mut self,
                item: &Scores,
                _metadata: &MetricMetadata,
            ) -> Result<SerializedEntry, TensorReadError> {
                self.answers.add(&item.scores, &item.targets)?;
                Ok(self.entry())
            }

            fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
                Ok(self.entry())
            }

            fn clear(&mut self) {
                self.answers = Answers::default();
            }
        }

        impl Numeric for $metric {
            fn value(&self) -> Option<NumericEntry> {
                Some(NumericEntry::Final(self.number()))
            }

            fn running_value(&self) -> Option<NumericEntry> {
                self.value()
            }

            fn final_value(&self) -> NumericEntry {
                NumericEntry::Final(self.number())
            }
        }
    };
}

metric_of_answers!(
    /// The fraction of answers with a tie for the best score since the epoch began, see [`Answers`].
    UndecidedMetric, "Undecided", 3, Answers::undecided
);

metric_of_answers!(
    /// The number of classes that were never the answer since the epoch began, where there were samples enough to expect
    /// each, see [`Answers::missing`].
    MissingClassesMetric, "Missing classes", 0, |answers| answers.missing().len() as f64
);

/// The input of [`SynapticOperationsMetric`].
#[derive(Clone)]
pub struct SynapticOperationsInput {
    /// The operations of each layer for a batch.
    pub layers: Vec<LayerOperations>,
    /// The number of samples in the batch.
    pub samples: usize,
}

/// Effective synaptic operations per sample, over all layers and time steps, see [`SynapticOperations`].
pub type SynapticOperationsMetric = MeanMetric<SynapticOperationsInput>;

impl SynapticOperationsMetric {
    /// Counts accumulates.
    pub fn accumulates() -> Self {
        Self::counting("Accumulates per sample", |total| total.accumulates)
    }

    /// Counts multiply-accumulates.
    pub fn multiply_accumulates() -> Self {
        Self::counting("Multiply-accumulates per sample", |total| {
            total.multiply_accumulates
        })
    }

    fn counting(name: &str, count: fn(SynapticOperations) -> f64) -> Self {
        Self::of(Arc::new(name.to_owned()), 0, move |item| {
            let mut total = SynapticOperations::default();
            for layer in &item.layers {
                total += layer.count()?;
            }
            Ok((count(total.per_sample(item.samples)), item.samples))
        })
    }
}

impl Metric for StuckLayersMetric {
    type Input = FiringRates;

    fn name(&self) -> MetricName {
        Arc::new("Stuck layers".to_owned())
    }

    fn update(
        &mut self,
        item: &FiringRates,
        _metadata: &MetricMetadata,
    ) -> Result<SerializedEntry, TensorReadError> {
        for (sum, rate) in self.sums.iter_mut().zip(&item.rates) {
            *sum += rate.clone().try_into_scalar::<f64>()? * item.samples as f64;
        }
        self.samples += item.samples;
        Ok(self.entry())
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(self.entry())
    }

    fn clear(&mut self) {
        self.sums.fill(0.0);
        self.samples = 0;
    }
}

/// Fewer spikes and fewer operations cost less energy.
fn lower_is_better() -> MetricAttributes {
    NumericAttributes {
        unit: None,
        higher_is_better: false,
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn_train::metric::{AccuracyMetric, LossMetric};

    fn metadata() -> MetricMetadata {
        MetricMetadata {
            progress: burn::data::dataloader::Progress::new(1, 1, None),
            iteration: None,
            lr: None,
        }
    }

    fn rates(rates: &[f32], samples: usize) -> FiringRates {
        let device = Device::default();
        FiringRates {
            rates: rates
                .iter()
                .map(|rate| Tensor::from_floats([*rate], &device))
                .collect(),
            samples,
        }
    }

    #[test]
    fn rates_are_means_over_samples() {
        let mut metric = FiringRateMetric::new("b", 1);
        metric
            .update(&rates(&[0.9, 0.25], 30), &metadata())
            .unwrap();
        metric.update(&rates(&[0.9, 0.5], 10), &metadata()).unwrap();
        metric.compute().unwrap();
        assert_eq!(metric.final_value().current(), 0.3125);
        assert_eq!(*metric.name(), "Firing rate b");
    }

    #[test]
    fn answers_are_counted_over_an_epoch() {
        let device = Device::default();
        let scores = |rows: usize| Scores {
            scores: Tensor::zeros([rows, 2], &device),
            targets: Tensor::ones([rows], &device),
        };
        let (mut undecided, mut missing) = (UndecidedMetric::new(), MissingClassesMetric::new());
        for rows in [30, 10] {
            undecided.update(&scores(rows), &metadata()).unwrap();
            missing.update(&scores(rows), &metadata()).unwrap();
        }
        assert_eq!(undecided.final_value().current(), 1.0);
        assert_eq!(missing.final_value().current(), 1.0);
        undecided.clear();
        assert_eq!(undecided.final_value().current(), 0.0);
    }

    #[test]
    fn a_layer_is_stuck_if_it_was_all_the_time() {
        let mut metric = StuckLayersMetric::new(["a", "b", "c"].map(str::to_owned).to_vec());
        let mut text = |r: &[f32]| metric.update(&rates(r, 10), &metadata()).unwrap().formatted;
        assert_eq!(
            text(&[0.0, 0.0, 1.0]),
            "a never fires, b never fires, c fires in every step"
        );
        assert_eq!(text(&[0.0, 0.1, 0.5]), "a never fires");
        assert_eq!(text(&[0.2, 0.1, 0.5]), "none");
        metric.clear();
        let text = metric
            .update(&rates(&[0.0, 0.1, 0.5], 10), &metadata())
            .unwrap()
            .formatted;
        assert_eq!(text, "a never fires");
    }

    #[test]
    fn steps_that_are_gathered_have_the_means_of_all() {
        let device = Device::default();
        // Batches of different sizes, all of one epoch.
        let step = |i: usize| {
            let samples = if i == 6 { 2 } else { 4 };
            let scores: Vec<f32> = (0..3 * samples).map(|k| ((k * 7 + i) % 5) as f32).collect();
            let targets: Vec<i32> = (0..samples).map(|k| ((k + i) % 3) as i32).collect();
            SpikingOutput {
                loss: Tensor::from_floats([i as f32], &device),
                scores: Tensor::from_data(TensorData::new(scores, [samples, 3]), &device),
                targets: Tensor::from_ints(targets.as_slice(), &device),
                firing_rates: vec![Tensor::from_floats([0.125 * i as f32], &device)],
                operations: Vec::new(),
            }
        };
        let run = |every| {
            let gather = Gather::new(every);
            let mut loss = Gathered::new(LossMetric::new());
            let mut accuracy = Gathered::new(AccuracyMetric::new());
            let mut rate = Gathered::new(FiringRateMetric::new("a", 0));
            let (mut sizes, mut losses) = (Vec::new(), Vec::new());
            for i in 0..7 {
                let item = gather.step(step(i), i == 6).sync().unwrap();
                loss.update(&item.adapt(), &metadata()).unwrap();
                accuracy.update(&item.adapt(), &metadata()).unwrap();
                rate.update(&item.adapt(), &metadata()).unwrap();
                sizes.push(item.output.targets.dims()[0]);
                let Some(NumericEntry::Aggregated {
                    aggregated_value,
                    count,
                }) = loss.value()
                else {
                    panic!("it is a mean");
                };
                losses.push((aggregated_value, count));
            }
            let means = [
                loss.final_value(),
                accuracy.final_value(),
                rate.final_value(),
            ];
            (means.map(|value| value.current()), sizes, losses)
        };
        let (every_step, sizes, _) = run(1);
        assert_eq!(sizes, [4, 4, 4, 4, 4, 4, 2]);
        let (gathered, sizes, losses) = run(3);
        assert_eq!(sizes, [4, 0, 0, 12, 0, 0, 10]);
        // Between reads it stays unchanged, with a count of 0.
        let held = [(0.0, 1), (0.0, 0), (0.0, 0), (2.0, 3), (2.0, 0), (2.0, 0)];
        assert_eq!(losses[..6], held);
        assert!(every_step[1] > 0.0 && every_step[1] < 100.0);
        for (gathered, every_step) in gathered.iter().zip(every_step) {
            assert!((gathered - every_step).abs() < 1e-6 * every_step);
        }
    }

    #[test]
    fn operations_are_summed_over_layers_and_divided_by_samples() {
        let device = Device::default();
        let layer = |input: f32| {
            LayerOperations::linear(
                Tensor::<3>::full([2, 4, 3], input, &device),
                Tensor::<2>::ones([3, 5], &device),
            )
        };
        let item = SynapticOperationsInput {
            layers: vec![layer(1.0), layer(0.5)],
            samples: 4,
        };
        let mut accumulates = SynapticOperationsMetric::accumulates();
        accumulates.update(&item, &metadata()).unwrap();
        assert_eq!(accumulates.final_value().current(), 30.0);
        let mut multiply = SynapticOperationsMetric::multiply_accumulates();
        multiply.update(&item, &metadata()).unwrap();
        assert_eq!(multiply.final_value().current(), 30.0);
    }
}
