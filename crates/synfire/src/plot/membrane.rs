//! Membrane traces.

use plotters::prelude::*;

use super::canvas::{Canvas, Draw, Frame, Legend, Stroke, Symbol, color, drawing};
use super::{PlotError, check_finite, check_shows};
use crate::record::SampleRecord;

const FRAME: Frame = Frame {
    margin: 10,
    below: 35,
    left: 55,
};

/// The membrane potentials `u` of some neurons of a layer for one sample, each with its spikes as dots.
#[derive(Clone, Debug)]
pub struct MembranePlot {
    layer: SampleRecord,
    neurons: Vec<usize>,
    threshold: Option<f64>,
}

impl MembranePlot {
    /// A picture of these neurons.
    pub fn new(layer: SampleRecord, neurons: impl IntoIterator<Item = usize>) -> Self {
        Self {
            neurons: neurons.into_iter().collect(),
            layer,
            threshold: None,
        }
    }

    /// Adds a line at the threshold.
    pub fn with_threshold(mut self, threshold: f64) -> Self {
        self.threshold = Some(threshold);
        self
    }
}

impl Draw for MembranePlot {
    fn size(&self) -> (u32, u32) {
        (640, 360)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: Canvas<DB>) -> Result<(), PlotError> {
        let name = self.layer.name();
        for neuron in &self.neurons {
            let what = || format!("layer `{name}` has no neuron {neuron}");
            check_shows(*neuron < self.layer.neurons(), what)?;
        }
        let what = || format!("no neurons of layer `{name}`");
        check_shows(!self.neurons.is_empty(), what)?;
        let what = || format!("no membrane potentials of layer `{name}` were kept");
        check_shows(self.layer.u().is_some(), what)?;
        let traces: Vec<(usize, Vec<f32>)> = self
            .neurons
            .iter()
            .map(|neuron| (*neuron, self.layer.potentials(*neuron)))
            .collect();
        let values = || {
            let values = traces.iter().flat_map(|(_, trace)| trace);
            values.map(|u| f64::from(*u)).chain(self.threshold)
        };
        for value in values() {
            check_finite(value, || format!("a membrane potential of layer `{name}`"))?;
        }
        let low = values().fold(0.0, f64::min);
        let high = values().fold(f64::MIN_POSITIVE, f64::max);
        let margin = 0.05 * (high - low);
        // As many digits as are needed to distinguish labels.
        let decimals = (1.0 - (high - low).log10().floor()).clamp(0.0, 9.0) as usize;
        let step = 0.1f64.powi(decimals as i32);
        let last = self.layer.time_steps().saturating_sub(1).max(1) as f64;
        let (x, y) = (0.0..last, low - margin..high + margin);
        let mut lines = Vec::new();
        if let Some(threshold) = self.threshold {
            let line = vec![(0.0, threshold), (last, threshold)];
            lines.push((Stroke::gray(Some(6)), "threshold".to_owned(), line));
        }
        lines.extend(traces.iter().enumerate().map(|(i, (neuron, trace))| {
            let steps = trace.iter().enumerate();
            let path = steps.map(|(t, u)| (t as f64, f64::from(*u))).collect();
            (Stroke::nth(i), format!("neuron {neuron}"), path)
        }));
        let mut legend = Legend::default();
        for (stroke, label, _) in &lines {
            legend.add(Symbol::Line(*stroke), label);
        }
        let paths: Vec<Vec<_>> = lines.iter().map(|(_, _, path)| path.clone()).collect();
        let (mut chart, legend) = legend.chart(&canvas, FRAME, x, y, &paths)?;
        chart
            .axes
            .configure_mesh()
            .disable_mesh()
            .x_labels(self.layer.time_steps().min(25))
            .x_label_formatter(&|t| format!("{t:.0}"))
            // No minus at 0.
            .y_label_formatter(&|u| format!("{:.decimals$}", (u / step).round() * step + 0.0))
            .x_desc("time step")
            .y_desc(format!("membrane potential u of {name}"))
            .label_style(canvas.font(13))
            .draw()
            .map_err(drawing)?;
        let scale = canvas.scale;
        for (stroke, _, path) in &lines {
            chart.line(*stroke, path)?;
        }
        for (i, (neuron, trace)) in traces.iter().enumerate() {
            let point = |t: usize| (t as f64, f64::from(trace[t]));
            let spikes = self.layer.spike_times(*neuron).into_iter();
            let dots = spikes.map(|t| Circle::new(point(t), 4 * scale, color(i).filled()));
            chart.draw(dots)?;
        }
        legend.draw()
    }
}
