//! Activity of a layer for one sample, on the host.

use burn::backend::ExecutionError;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::LayerRecord;
use crate::InvalidConfig;

/// Errors of records.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The record has no such sample, or lacks the requested data.
    #[error(transparent)]
    Invalid(#[from] InvalidConfig),
    /// The device failed to deliver it.
    #[error("layer `{layer}` could not be read from its device: {source}")]
    Device {
        /// The layer.
        layer: String,
        /// Error of the device.
        source: ExecutionError,
    },
}

/// Activity of a layer for one sample: plain numbers, `[T, neurons]` row by row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "SampleParts", into = "SampleParts")]
pub struct SampleRecord {
    parts: SampleParts,
}

/// The parts of a [`SampleRecord`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleParts {
    /// The name of the layer.
    pub name: String,
    /// The number of time steps, at least 1.
    pub time_steps: usize,
    /// The number of neurons, at least 1.
    pub neurons: usize,
    /// Its spikes, if it has any.
    pub spikes: Option<Vec<f32>>,
    /// Its membrane potentials before reset, if they were kept.
    pub u: Option<Vec<f32>>,
    /// Its membrane potentials after reset, if they were kept.
    pub v: Option<Vec<f32>>,
}

impl TryFrom<SampleParts> for SampleRecord {
    type Error = InvalidConfig;

    fn try_from(parts: SampleParts) -> Result<Self, InvalidConfig> {
        const OWNER: &str = "SampleRecord";
        let steps = InvalidConfig::require_size(OWNER, "time_steps", parts.time_steps)?;
        let neurons = InvalidConfig::require_nonzero(OWNER, "neurons", parts.neurons)?;
        for (field, values) in [("spikes", &parts.spikes), ("u", &parts.u), ("v", &parts.v)] {
            let Some(values) = values else { continue };
            let fits = steps.checked_mul(neurons) == Some(values.len());
            let found = format!("{} numbers", values.len());
            let expected = "a number for each neuron and step";
            InvalidConfig::require(OWNER, field, found, fits, expected)?;
        }
        Ok(Self { parts })
    }
}

impl From<SampleRecord> for SampleParts {
    fn from(record: SampleRecord) -> Self {
        record.parts
    }
}

impl SampleRecord {
    /// The name of the layer.
    pub fn name(&self) -> &str {
        &self.parts.name
    }

    /// The number of time steps.
    pub fn time_steps(&self) -> usize {
        self.parts.time_steps
    }

    /// The number of neurons.
    pub fn neurons(&self) -> usize {
        self.parts.neurons
    }

    /// Its spikes, `[T, neurons]` row by row, if it has any.
    pub fn spikes(&self) -> Option<&[f32]> {
        self.parts.spikes.as_deref()
    }

    /// Its membrane potentials before reset, `[T, neurons]` row by row, if they were kept.
    pub fn u(&self) -> Option<&[f32]> {
        self.parts.u.as_deref()
    }

    /// Its membrane potentials after reset, `[T, neurons]` row by row, if they were kept.
    pub fn v(&self) -> Option<&[f32]> {
        self.parts.v.as_deref()
    }

    /// The steps in which a neuron fired. Empty if the layer does not spike or has no such neuron.
    pub fn spike_times(&self, neuron: usize) -> Vec<usize> {
        self.of_neuron(self.spikes(), neuron)
            .enumerate()
            .filter(|(_, spike)| *spike != 0.0)
            .map(|(t, _)| t)
            .collect()
    }

    /// The membrane potential `u` of a neuron in each step. Empty if it was not kept or there is no such neuron.
    pub fn potentials(&self, neuron: usize) -> Vec<f32> {
        self.of_neuron(self.u(), neuron).collect()
    }

    fn of_neuron<'a>(
        &self,
        values: Option<&'a [f32]>,
        neuron: usize,
    ) -> impl Iterator<Item = f32> + 'a {
        let (values, step) = match values {
            Some(values) if neuron < self.neurons() => (values, self.neurons()),
            _ => (&[][..], 1),
        };
        values.iter().skip(neuron).step_by(step).copied()
    }

    /// The spikes as text: time to the right, neurons downwards, in at most `rows` rows.
    ///
    /// With a row for each neuron, `|` is a spike. With more neurons than rows, a row holds several: the more of them fire
    /// in a step, the taller the bar, relative to the maximum.
    ///
    /// ```
    /// use synfire::record::{SampleParts, SampleRecord};
    ///
    /// let record = SampleRecord::try_from(SampleParts {
    ///     name: "output".to_owned(),
    ///     time_steps: 4,
    ///     neurons: 2,
    ///     spikes: Some(vec![0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0]),
    ///     u: None,
    ///     v: None,
    /// })?;
    /// assert_eq!(record.raster(10), "0 ·|·|\n1 ···|\n");
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub fn raster(&self, rows: usize) -> String {
        const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let Some(spikes) = self.spikes() else {
            return String::new();
        };
        let neurons = self.neurons();
        let together = neurons.div_ceil(rows.max(1)).max(1);
        let label = |row: usize| {
            let first = row * together;
            match together {
                1 => first.to_string(),
                _ => format!("{first}-{}", (first + together).min(neurons) - 1),
            }
        };
        let rows = neurons.div_ceil(together);
        let width = (0..rows).map(|row| label(row).len()).max().unwrap_or(0);
        let firing = |step: &[f32], row: usize| {
            let group = &step[row * together..((row + 1) * together).min(neurons)];
            group.iter().filter(|spike| **spike != 0.0).count()
        };
        let steps = || spikes.chunks(neurons);
        let all = steps().flat_map(|step| (0..rows).map(move |row| firing(step, row)));
        let most = all.max().unwrap_or(0);
        let mut text = String::new();
        for row in 0..rows {
            text.push_str(&format!("{:>width$} ", label(row)));
            for step in steps() {
                text.push(match firing(step, row) {
                    0 => '·',
                    _ if together == 1 => '|',
                    count => BARS[(count * BARS.len()).div_ceil(most) - 1],
                });
            }
            text.push('\n');
        }
        text
    }
}

impl LayerRecord {
    /// Activity of the layer for row `sample` of the batch.
    ///
    /// # Errors
    ///
    /// If the batch has no such row, or the device fails.
    pub fn sample(&self, sample: usize) -> Result<SampleRecord, RecordError> {
        let kept = self.spikes.as_ref().or(self.u.as_ref());
        let [time_steps, batch, neurons] = kept.map_or([0; 3], Tensor::dims);
        let found = format!("{sample} of {batch}");
        let expected = "a row of the batch, counted from 0";
        InvalidConfig::require("LayerRecord", "sample", found, sample < batch, expected)?;
        let row = [0..time_steps, sample..sample + 1];
        let read = |tensor: &Option<Tensor<3>>| {
            let row = tensor.clone().map(|tensor| tensor.slice(row.clone()));
            row.map(|row| self.read(row)).transpose()
        };
        let parts = SampleParts {
            name: self.name.clone(),
            time_steps,
            neurons,
            spikes: read(&self.spikes)?,
            u: read(&self.u)?,
            v: read(&self.v)?,
        };
        Ok(SampleRecord::try_from(parts)?)
    }

    /// The firing rate of each neuron over time and batch. Empty if the layer does not spike.
    ///
    /// # Errors
    ///
    /// If the device fails.
    pub fn rates(&self) -> Result<Vec<f32>, RecordError> {
        match &self.spikes {
            None => Ok(Vec::new()),
            Some(spikes) => self.read(spikes.clone().mean_dim(0).mean_dim(1)),
        }
    }

    fn read(&self, tensor: Tensor<3>) -> Result<Vec<f32>, RecordError> {
        let failed = |source| RecordError::Device {
            layer: self.name.clone(),
            source,
        };
        let data = tensor.detach().try_to_data().map_err(failed)?;
        Ok(data.convert::<f32>().iter::<f32>().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// Two steps of two samples of three neurons.
    fn layer() -> LayerRecord {
        let device = Device::default();
        let spikes = [
            [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]],
            [[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]],
        ];
        let spikes = Tensor::<3>::from_floats(spikes, &device);
        LayerRecord {
            name: "hidden".to_owned(),
            shape: vec![3],
            u: Some(spikes.clone().mul_scalar(2.0)),
            v: None,
            spikes: Some(spikes),
        }
    }

    #[test]
    fn one_sample_is_taken_out() {
        let sample = layer().sample(1).unwrap();
        assert_eq!((sample.time_steps(), sample.neurons()), (2, 3));
        assert_eq!(sample.spikes().unwrap(), [0.0, 0.0, 1.0, 0.0, 1.0, 1.0]);
        assert_eq!(sample.spike_times(2), [0, 1]);
        assert_eq!(sample.spike_times(0), [0; 0]);
        assert_eq!(sample.potentials(1), [0.0, 2.0]);
        assert!(sample.v().is_none() && sample.spike_times(3).is_empty());
        assert_eq!(layer().rates().unwrap(), [0.5, 0.5, 0.5]);
        let error = layer().sample(2).unwrap_err().to_string();
        assert!(error.contains("`sample` of LayerRecord: 2 of 2"), "{error}");
    }

    #[test]
    fn parts_that_do_not_fit_are_named() {
        let parts = SampleParts::from(layer().sample(0).unwrap());
        let text = serde_json::to_string(&parts).unwrap();
        assert!(serde_json::from_str::<SampleRecord>(&text).is_ok());
        let error = |change: fn(&mut SampleParts)| {
            let mut parts = parts.clone();
            change(&mut parts);
            SampleRecord::try_from(parts).unwrap_err().to_string()
        };
        assert!(error(|parts| parts.neurons = 0).contains("`neurons` of SampleRecord: 0"));
        assert!(error(|parts| parts.time_steps = 0).contains("`time_steps`"));
        assert!(
            error(|parts| parts.time_steps = 1).contains("`spikes` of SampleRecord: 6 numbers")
        );
        assert!(error(|parts| parts.u = Some(vec![])).contains("`u` of SampleRecord: 0 numbers"));
        assert!(error(|parts| parts.neurons = usize::MAX).contains("`spikes`"));
    }

    #[test]
    fn rows_stand_for_several_neurons_where_they_must() {
        let sample = layer().sample(1).unwrap();
        assert_eq!(sample.raster(3), "0 ··\n1 ·|\n2 ||\n");
        assert_eq!(sample.raster(2), "0-1 ·█\n2-2 ██\n");
        assert_eq!(sample.raster(0), "0-2 ▄█\n");
    }
}
