//! Spike rasters.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::canvas::{Canvas, Draw, Frame, color, drawing};
use super::{PlotError, check_shows};
use crate::record::SampleRecord;

/// The spikes of layers for one sample: time to the right, a panel for each layer, a row for each neuron. If a layer has too
/// many neurons, a row holds several: the more of them fire, the stronger the colour, as shown by the scale beside it.
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
    (40 + 12 * layer.neurons().min(100) as u32).clamp(110, 220) + CAPTION
}

/// The height of the name of a layer, above its panel.
const CAPTION: u32 = 20;

/// The width of the scale of shades beside a panel.
const SHADES: u32 = 76;

/// Rows in a panel, at most.
const ROWS: usize = 90;

/// For each step and row with spikes: the step, the row, and its number of spikes relative to the maximum of all rows; and
/// this maximum.
fn cells(layer: &SampleRecord, together: usize) -> (Vec<(usize, usize, f64)>, usize) {
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
    (cells, (most * together as f64).round() as usize)
}

/// Draws the scale of shades, from one spike in a row to the maximum.
fn draw_shades<DB: DrawingBackend>(
    canvas: &Canvas<DB>,
    frame: Frame,
    most: usize,
    shade: impl Fn(f64) -> ShapeStyle,
) -> Result<(), PlotError> {
    let scale = canvas.scale as i32;
    let (_, height) = canvas.area.dim_in_pixel();
    let top = frame.margin as i32 * scale;
    let bottom = height as i32 - (frame.margin + frame.below) as i32 * scale;
    let edge = |part: i32| bottom + (top - bottom) * part / 20;
    for part in 0..20 {
        let corners = [(2 * scale, edge(part + 1)), (12 * scale, edge(part))];
        let least = 1.0 / most as f64;
        let style = shade(least + (1.0 - least) * f64::from(part) / 19.0);
        let block = Rectangle::new(corners, style);
        canvas.area.draw(&block).map_err(drawing)?;
    }
    let most = match most {
        1 => String::new(),
        most => format!("{most} spikes"),
    };
    for (text, y) in [
        (most.as_str(), top + 6 * scale),
        ("1 spike", bottom - 6 * scale),
    ] {
        canvas.text(text, 12, HPos::Left, (17 * scale, y))?;
    }
    Ok(())
}

impl Draw for RasterPlot {
    fn size(&self) -> (u32, u32) {
        let height: u32 = self.layers.iter().map(height).sum();
        (640, height.max(110) + 25)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: Canvas<DB>) -> Result<(), PlotError> {
        let what = || "no layer that spikes".to_owned();
        check_shows(!self.layers.is_empty(), what)?;
        let shaded = self.layers.iter().any(|layer| layer.neurons() > ROWS);
        let mut rest = canvas;
        for (i, layer) in self.layers.iter().enumerate() {
            let last = i + 1 == self.layers.len();
            let axis = if last { 25 } else { 0 };
            let [panel, below] = rest.split_at(height(layer) + axis);
            rest = below;
            let (time_steps, neurons) = (layer.time_steps() as f64, layer.neurons() as f64);
            // The first neuron is at the top.
            let (x, y) = (-0.5..time_steps - 0.5, neurons - 0.5..-0.5);
            let together = layer.neurons().div_ceil(ROWS).max(1);
            let (cells, most) = cells(layer, together);
            let caption = match together {
                1 => format!("{}: {neurons} neurons", layer.name()),
                _ => format!("{}: {neurons} neurons, {together} per row", layer.name()),
            };
            let mut panel = panel.caption(&caption, 13, CAPTION)?;
            let shade = |part: f64| color(i).mix(0.15 + 0.85 * part).filled();
            let frame = Frame {
                margin: 6,
                below: 10 + axis,
                left: 60,
            };
            // Keeps the panels aligned if one of them has a scale.
            if shaded {
                let [rest, right] = panel.split_off(SHADES);
                panel = rest;
                if together > 1 && most > 0 {
                    draw_shades(&right, frame, most, shade)?;
                }
            }
            let mut chart = panel.chart(frame, x, y)?;
            chart
                .axes
                .configure_mesh()
                .disable_mesh()
                .x_labels(if last { layer.time_steps().min(20) } else { 0 })
                .y_labels(layer.neurons().min(5))
                .x_label_formatter(&|t| format!("{t:.0}"))
                .y_label_formatter(&|n| format!("{n:.0}"))
                .x_desc(if last { "time step" } else { "" })
                .y_desc("neuron")
                .label_style(panel.font(12))
                .draw()
                .map_err(drawing)?;
            let gap = if together == 1 { 0.1 } else { 0.0 };
            let ticks = cells.into_iter().map(|(t, row, part)| {
                let top = (row * together) as f64 - 0.5;
                let bottom = (top + together as f64).min(neurons - 0.5);
                let t = t as f64;
                Rectangle::new([(t - 0.4, top + gap), (t + 0.4, bottom - gap)], shade(part))
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
        let alone = vec![(0, 0, 1.0), (1, 0, 1.0), (1, 1, 1.0)];
        assert_eq!(cells(&layer, 1), (alone, 1));
        let in_pairs = vec![(0, 0, 0.5), (1, 0, 1.0)];
        assert_eq!(cells(&layer, 2), (in_pairs, 2));
    }
}
