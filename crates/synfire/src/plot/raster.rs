//! Spike rasters.

use plotters::prelude::*;

use super::canvas::{Canvas, Draw, color, drawing};
use super::{PlotError, check_shows};
use crate::record::SampleRecord;

/// The spikes of layers for one sample: time to the right, a panel for each layer, a row for each neuron. Where a layer
/// has more neurons than there is room for, a row stands for several: the more of them fire, the stronger the colour.
#[derive(Clone, Debug)]
pub struct RasterPlot {
    layers: Vec<SampleRecord>,
}

impl RasterPlot {
    /// A picture of these layers, from top to bottom. Those that do not spike are left out.
    pub fn new(layers: impl IntoIterator<Item = SampleRecord>) -> Self {
        let spiking = layers.into_iter().filter(|layer| layer.spikes().is_some());
        Self {
            layers: spiking.collect(),
        }
    }
}

/// The height of the panel of a layer.
fn height(layer: &SampleRecord) -> u32 {
    (40 + 12 * layer.neurons().min(100) as u32).clamp(110, 220)
}

/// Rows in a panel, at most.
const ROWS: usize = 90;

/// For each step and row in which something fires: the step, the row and how much of it fires, as a part of the most
/// that does anywhere.
fn cells(layer: &SampleRecord, together: usize) -> Vec<(usize, usize, f64)> {
    let steps = layer
        .spikes()
        .into_iter()
        .flat_map(|spikes| spikes.chunks(layer.neurons()));
    let mut cells: Vec<_> = steps
        .enumerate()
        .flat_map(|(t, step)| {
            let rows = step.chunks(together).enumerate();
            rows.map(move |(row, group)| {
                let firing = group.iter().filter(|spike| **spike != 0.0).count();
                (t, row, firing as f64 / group.len() as f64)
            })
        })
        .filter(|(_, _, part)| *part > 0.0)
        .collect();
    let most = cells.iter().fold(0.0, |most, (_, _, part)| part.max(most));
    cells.iter_mut().for_each(|(_, _, part)| *part /= most);
    cells
}

impl Draw for RasterPlot {
    fn size(&self) -> (u32, u32) {
        (
            640,
            self.layers.iter().map(height).sum::<u32>().max(110) + 25,
        )
    }

    fn draw<DB: DrawingBackend>(&self, canvas: Canvas<DB>) -> Result<(), PlotError> {
        check_shows(!self.layers.is_empty(), || {
            "no layer that spikes".to_owned()
        })?;
        let mut rest = canvas;
        for (i, layer) in self.layers.iter().enumerate() {
            let last = i + 1 == self.layers.len();
            let axis = if last { 25 } else { 0 };
            let [panel, below] = rest.split_at(height(layer) + axis);
            rest = below;
            let (time_steps, neurons) = (layer.time_steps() as f64, layer.neurons() as f64);
            // The first neuron is at the top.
            let (x, y) = (-0.5..time_steps - 0.5, neurons - 0.5..-0.5);
            let mut chart = panel.chart(panel.builder(6, [10 + axis, 70]), x, y)?;
            chart
                .axes
                .configure_mesh()
                .disable_mesh()
                .x_labels(if last { layer.time_steps().min(20) } else { 0 })
                .y_labels(layer.neurons().min(5))
                .x_label_formatter(&|t| format!("{t:.0}"))
                .y_label_formatter(&|n| format!("{n:.0}"))
                .x_desc(if last { "time step" } else { "" })
                .y_desc(layer.name())
                .label_style(panel.font(12))
                .draw()
                .map_err(drawing)?;
            let together = layer.neurons().div_ceil(ROWS).max(1);
            let gap = if together == 1 { 0.1 } else { 0.0 };
            let ticks = cells(layer, together).into_iter().map(|(t, row, part)| {
                let top = (row * together) as f64 - 0.5;
                let bottom = (top + together as f64).min(neurons - 0.5);
                let fill = color(i).mix(0.15 + 0.85 * part).filled();
                let t = t as f64;
                Rectangle::new([(t - 0.4, top + gap), (t + 0.4, bottom - gap)], fill)
            });
            chart.draw(ticks)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::SampleParts;

    #[test]
    fn cells_are_parts_of_the_fullest() {
        let layer = SampleRecord::try_from(SampleParts {
            name: "a".to_owned(),
            time_steps: 2,
            neurons: 3,
            spikes: Some(vec![1.0, 0.0, 0.0, 1.0, 1.0, 0.0]),
            u: None,
            v: None,
        })
        .unwrap();
        assert_eq!(cells(&layer, 1), [(0, 0, 1.0), (1, 0, 1.0), (1, 1, 1.0)]);
        assert_eq!(cells(&layer, 2), [(0, 0, 0.5), (1, 0, 1.0)]);
    }
}
