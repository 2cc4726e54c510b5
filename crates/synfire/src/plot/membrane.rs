//! Membrane traces.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::canvas::{Draw, FONT, color, drawing, key};
use super::{PlotError, check_finite};
use crate::record::SampleRecord;

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

    /// With a line at the threshold.
    pub fn with_threshold(mut self, threshold: f64) -> Self {
        self.threshold = Some(threshold);
        self
    }
}

impl Draw for MembranePlot {
    fn size(&self) -> (u32, u32) {
        (640, 360)
    }

    fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        scale: u32,
    ) -> Result<(), PlotError> {
        let name = self.layer.name();
        let unknown = self
            .neurons
            .iter()
            .find(|neuron| **neuron >= self.layer.neurons());
        let missing = match unknown {
            Some(neuron) => Some(format!("layer `{name}` has no neuron {neuron}")),
            None if self.neurons.is_empty() => Some(format!("no neurons of layer `{name}`")),
            None if self.layer.u().is_none() => Some(format!(
                "no membrane potentials of layer `{name}` were kept"
            )),
            None => None,
        };
        if let Some(what) = missing {
            return Err(PlotError::Empty { what });
        }
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
            check_finite(&format!("a membrane potential of layer `{name}`"), value)?;
        }
        let low = values().fold(0.0, f64::min);
        let high = values().fold(f64::MIN_POSITIVE, f64::max);
        let margin = 0.05 * (high - low);
        // As many digits as tell two labels apart.
        let decimals = (1.0 - (high - low).log10().floor()).clamp(0.0, 9.0) as usize;
        let step = 0.1f64.powi(decimals as i32);
        let last = self.layer.time_steps().saturating_sub(1).max(1) as f64;
        let mut chart = ChartBuilder::on(area)
            .margin(10 * scale)
            .x_label_area_size(35 * scale)
            .y_label_area_size(55 * scale)
            // The legend stands to the right of the traces.
            .build_cartesian_2d(0.0..1.22 * last, low - margin..high + margin)
            .map_err(drawing)?;
        chart
            .configure_mesh()
            .disable_mesh()
            .x_labels(self.layer.time_steps().min(25))
            .x_label_formatter(&|t| match *t <= last {
                true => format!("{t:.0}"),
                false => String::new(),
            })
            // No minus at 0.
            .y_label_formatter(&|u| format!("{:.decimals$}", (u / step).round() * step + 0.0))
            .x_desc("time step")
            .y_desc(format!("membrane potential u, {name}"))
            .label_style((FONT, 13 * scale))
            .draw()
            .map_err(drawing)?;
        if let Some(threshold) = self.threshold {
            let gray = RGBColor(120, 120, 120).stroke_width(scale);
            let line = [(0.0, threshold), (last, threshold)];
            let dashes = DashedLineSeries::new(line, 6 * scale, 4 * scale, gray);
            chart
                .draw_series(dashes)
                .map_err(drawing)?
                .label("threshold")
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18 * scale as i32, y)], gray));
        }
        for (i, (neuron, trace)) in traces.iter().enumerate() {
            let style = color(i).stroke_width(2 * scale);
            let point = |t: usize| (t as f64, f64::from(trace[t]));
            chart
                .draw_series(LineSeries::new((0..trace.len()).map(point), style))
                .map_err(drawing)?
                .label(format!("neuron {neuron}"))
                .legend(key(style, scale));
            let spikes = self.layer.spike_times(*neuron).into_iter();
            let dots = spikes.map(|t| Circle::new(point(t), 4 * scale, color(i).filled()));
            chart.draw_series(dots).map_err(drawing)?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .label_font((FONT, 13 * scale))
            .legend_area_size(22 * scale)
            .background_style(WHITE.mix(0.8))
            .draw()
            .map_err(drawing)
    }
}
