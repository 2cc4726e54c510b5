//! Surrogate curves.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::canvas::{Draw, FONT, color, drawing, key};
use super::{PlotError, check_finite};
use crate::surrogate::Surrogate;

/// Surrogate derivatives, and below them what they are the derivatives of, next to the step.
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

    /// From `-reach` to `reach`.
    pub fn with_reach(mut self, reach: f64) -> Self {
        self.reach = reach;
        self
    }
}

impl Draw for SurrogatePlot {
    fn size(&self) -> (u32, u32) {
        (640, 640)
    }

    fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        scale: u32,
    ) -> Result<(), PlotError> {
        check_finite("the reach", self.reach)?;
        if self.curves.is_empty() || self.reach <= 0.0 {
            return Err(PlotError::Empty {
                what: format!("{} curves from {} on", self.curves.len(), -self.reach),
            });
        }
        let xs = || (-300..=300).map(|i| f64::from(i) / 300.0 * self.reach);
        type Curve = fn(&Surrogate, f64) -> f64;
        let panels: [(&str, Curve); 2] = [
            ("derivative", Surrogate::derivative),
            ("primitive", Surrogate::primitive),
        ];
        for (part, (name, value)) in area.split_evenly((2, 1)).iter().zip(panels) {
            let all = || {
                let values = |curve| xs().map(move |x| value(curve, x));
                self.curves.iter().flat_map(move |(_, curve)| values(curve))
            };
            let low = all().fold(0.0, f64::min);
            let high = all().fold(1.0, f64::max);
            let margin = 0.05 * (high - low);
            let mut chart = ChartBuilder::on(part)
                .margin(10 * scale)
                .x_label_area_size(35 * scale)
                .y_label_area_size(50 * scale)
                .build_cartesian_2d(-self.reach..self.reach, low - margin..high + margin)
                .map_err(drawing)?;
            chart
                .configure_mesh()
                .disable_mesh()
                .x_desc("u - threshold")
                .y_desc(name)
                .label_style((FONT, 13 * scale))
                .draw()
                .map_err(drawing)?;
            if name == "primitive" {
                let step = [
                    (-self.reach, 0.0),
                    (0.0, 0.0),
                    (0.0, 1.0),
                    (self.reach, 1.0),
                ];
                let gray = RGBColor(150, 150, 150).stroke_width(scale);
                chart
                    .draw_series(LineSeries::new(step, gray))
                    .map_err(drawing)?
                    .label("the spike")
                    .legend(key(gray, scale));
            }
            for (i, (label, curve)) in self.curves.iter().enumerate() {
                let style = color(i).stroke_width(2 * scale);
                chart
                    .draw_series(LineSeries::new(xs().map(|x| (x, value(curve, x))), style))
                    .map_err(drawing)?
                    .label(label)
                    .legend(key(style, scale));
            }
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .label_font((FONT, 13 * scale))
                .legend_area_size(22 * scale)
                .background_style(WHITE.mix(0.8))
                .draw()
                .map_err(drawing)?;
        }
        Ok(())
    }
}
