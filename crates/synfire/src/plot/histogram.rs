//! Histograms of firing rates.

use plotters::prelude::*;

use super::canvas::{Canvas, Draw, Frame, color, drawing};
use super::{PlotError, check_shows};

/// Histograms of the firing rates of neurons, a panel for each layer. Neurons that never fire are counted separately.
#[derive(Clone, Debug)]
pub struct RateHistogram {
    layers: Vec<(String, Vec<f32>)>,
}

const FRAME: Frame = Frame {
    margin: 4,
    below: 32,
    left: 60,
};

/// Bars from rate 0 to 1.
const BINS: usize = 40;

impl RateHistogram {
    /// A picture of the rates of the neurons of these layers
    /// ([`LayerRecord::rates`](crate::record::LayerRecord::rates)). Layers without rates are left out.
    pub fn new<S: Into<String>>(layers: impl IntoIterator<Item = (S, Vec<f32>)>) -> Self {
        Self {
            layers: layers
                .into_iter()
                .filter(|(_, rates)| !rates.is_empty())
                .map(|(name, rates)| (name.into(), rates))
                .collect(),
        }
    }
}

/// The fraction of neurons in each bin, and the fraction that never fires.
fn bins(rates: &[f32]) -> ([f64; BINS], f64) {
    let mut bins = [0.0; BINS];
    let mut silent = 0.0;
    let one = 1.0 / rates.len() as f64;
    for rate in rates {
        // NaN counts as silent.
        if *rate > 0.0 {
            let bin = (*rate * BINS as f32) as usize;
            bins[bin.min(BINS - 1)] += one;
        } else {
            silent += one;
        }
    }
    (bins, silent)
}

impl Draw for RateHistogram {
    fn size(&self) -> (u32, u32) {
        (640, 150 * self.layers.len().max(1) as u32)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: Canvas<DB>) -> Result<(), PlotError> {
        let what = || "no layer with firing rates".to_owned();
        check_shows(!self.layers.is_empty(), what)?;
        let panels = canvas.split(self.layers.len(), 1);
        for (i, (panel, (name, rates))) in panels.zip(&self.layers).enumerate() {
            let (bins, silent) = bins(rates);
            let high = bins.iter().copied().fold(0.01, f64::max);
            let caption = format!(
                "{name}: {} neurons, {:.1} % never fire",
                rates.len(),
                100.0 * silent
            );
            let [panel, _] = panel.caption(&caption, 13, 20)?.split_off(10);
            let mut chart = panel.chart(FRAME, 0.0..1.0, 0.0..1.05 * high)?;
            chart
                .axes
                .configure_mesh()
                .disable_mesh()
                .y_labels(4)
                .x_desc("firing rate")
                .y_desc("part of neurons")
                .label_style(panel.font(12))
                .draw()
                .map_err(drawing)?;
            let width = 1.0 / BINS as f64;
            let bars = bins.iter().enumerate().map(|(bin, part)| {
                let left = bin as f64 * width;
                Rectangle::new(
                    [(left, 0.0), (left + 0.92 * width, *part)],
                    color(i).filled(),
                )
            });
            chart.draw(bars)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_neuron_is_counted_once() {
        let (bins, silent) = bins(&[0.0, 0.01, 0.5, 1.0, f32::NAN]);
        assert_eq!(silent, 0.4);
        assert_eq!([bins[0], bins[20], bins[39]], [0.2; 3]);
        assert!((bins.iter().sum::<f64>() - 0.6).abs() < 1e-12);
    }
}
