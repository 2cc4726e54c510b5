//! Surrogate curves.

use plotters::prelude::*;

use super::canvas::{Canvas, Draw, Frame, Legend, Stroke, Symbol, drawing};
use super::{PlotError, check_finite, check_shows};
use crate::surrogate::Surrogate;

const FRAME: Frame = Frame {
    margin: 10,
    below: 35,
    left: 50,
};

/// Surrogate derivatives, and below them their primitives, next to the step.
#[derive(Clone, Debug)]
pub struct SurrogatePlot {
    curves: Vec<(String, Surrogate)>,
    reach: f64,
}

impl SurrogatePlot {
    /// A picture of these curves, from -2 to 2.
    pub fn new<S: Into<String>>(curves: impl IntoIterator<Item = (S, Surrogate)>) -> Self {
        Self {
            curves: curves
                .into_iter()
                .map(|(name, curve)| (name.into(), curve))
                .collect(),
            reach: 2.0,
        }
    }

    /// Sets the range of the curves, `-reach` to `reach`.
    pub fn with_reach(mut self, reach: f64) -> Self {
        self.reach = reach;
        self
    }
}

impl Draw for SurrogatePlot {
    fn size(&self) -> (u32, u32) {
        (640, 640)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: Canvas<DB>) -> Result<(), PlotError> {
        check_finite(self.reach, || "the reach".to_owned())?;
        let what = || format!("{} curves from {} on", self.curves.len(), -self.reach);
        check_shows(!self.curves.is_empty() && self.reach > 0.0, what)?;
        let xs = || (-300..=300).map(|i| f64::from(i) / 300.0 * self.reach);
        type Curve = fn(&Surrogate, f64) -> f64;
        let panels: [(&str, Curve); 2] = [
            ("derivative", Surrogate::derivative),
            ("primitive", Surrogate::primitive),
        ];
        for (part, (name, value)) in canvas.split(2, 1).zip(panels) {
            let all = || {
                let values = |curve| xs().map(move |x| value(curve, x));
                self.curves.iter().flat_map(move |(_, curve)| values(curve))
            };
            let low = all().fold(0.0, f64::min);
            let high = all().fold(1.0, f64::max);
            let margin = 0.05 * (high - low);
            let (x, y) = (-self.reach..self.reach, low - margin..high + margin);
            let mut lines = Vec::new();
            if name == "primitive" {
                let step = [
                    (-self.reach, 0.0),
                    (0.0, 0.0),
                    (0.0, 1.0),
                    (self.reach, 1.0),
                ];
                lines.push((Stroke::gray(None), "the spike", step.to_vec()));
            }
            lines.extend(self.curves.iter().enumerate().map(|(i, (label, curve))| {
                let path = xs().map(|x| (x, value(curve, x))).collect();
                (Stroke::nth(i), label.as_str(), path)
            }));
            let mut legend = Legend::default();
            for (stroke, label, _) in &lines {
                legend.add(Symbol::Line(*stroke), *label);
            }
            let paths: Vec<Vec<_>> = lines.iter().map(|(_, _, path)| path.clone()).collect();
            let (mut chart, legend) = legend.chart(&part, FRAME, x, y, &paths)?;
            chart
                .axes
                .configure_mesh()
                .disable_mesh()
                .x_desc("u - threshold")
                .y_desc(name)
                .label_style(part.font(13))
                .draw()
                .map_err(drawing)?;
            for (stroke, _, path) in &lines {
                chart.line(*stroke, path)?;
            }
            legend.draw()?;
        }
        Ok(())
    }
}
