//! Figures of several runs, with their spread.

use plotters::prelude::*;

use super::canvas::{Canvas, Draw, color, drawing};
use super::{PlotError, check_finite, check_shows};

/// What several runs (of different seeds, say) reached at some places of an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    label: String,
    points: Vec<(f64, Vec<f64>)>,
}

impl Series {
    /// A series of values at places, one value for each run.
    pub fn new(
        label: impl Into<String>,
        points: impl IntoIterator<Item = (f64, Vec<f64>)>,
    ) -> Self {
        Self {
            label: label.into(),
            points: points.into_iter().collect(),
        }
    }

    /// The places that have values.
    fn filled(&self) -> impl DoubleEndedIterator<Item = &(f64, Vec<f64>)> {
        self.points.iter().filter(|(_, values)| !values.is_empty())
    }
}

/// How a panel shows its series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Marks {
    /// A line through the means, in a band from the lowest to the highest value.
    #[default]
    Bands,
    /// A point for each value, and a bar at the mean.
    Points,
}

/// One of the panels of a [`SeriesPlot`].
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    x: String,
    y: String,
    places: Vec<String>,
    marks: Marks,
    series: Vec<Series>,
}

impl Panel {
    /// A panel with these names of its axes.
    pub fn new(x: impl Into<String>, y: impl Into<String>) -> Self {
        Self {
            x: x.into(),
            y: y.into(),
            places: Vec::new(),
            marks: Marks::Bands,
            series: Vec::new(),
        }
    }

    /// With places that have names, at 0, 1, 2 and so on, in place of numbers.
    pub fn with_places<S: Into<String>>(mut self, places: impl IntoIterator<Item = S>) -> Self {
        self.places = places.into_iter().map(Into::into).collect();
        self
    }

    /// With series shown that way.
    pub fn with_marks(mut self, marks: Marks) -> Self {
        self.marks = marks;
        self
    }

    /// With one more series.
    pub fn with_series(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// The ends of the axes.
    fn ranges(&self) -> Result<[[f64; 2]; 2], PlotError> {
        let mut x = [f64::INFINITY, f64::NEG_INFINITY];
        let mut y = x;
        let widen = |range: &mut [f64; 2], value: f64| {
            *range = [range[0].min(value), range[1].max(value)];
        };
        for series in &self.series {
            for (place, values) in &series.points {
                check_finite(*place, || format!("{} of `{}`", self.x, series.label))?;
                widen(&mut x, *place);
                for value in values {
                    check_finite(*value, || format!("{} of `{}`", self.y, series.label))?;
                    widen(&mut y, *value);
                }
            }
        }
        check_shows(y[0] <= y[1], || format!("`{}` has no values", self.y))?;
        // Also where all values are the same.
        let margin = |[low, high]: [f64; 2], part: f64| {
            let margin = (part * (high - low)).max(1e-6 * high.abs()).max(1e-9);
            [low - margin, high + margin]
        };
        if self.marks == Marks::Points && self.series.len() > 1 {
            // Room for the legend, which would hide a point.
            y[0] -= 0.3 * (y[1] - y[0]);
        }
        let x = match self.places.len() {
            0 => margin(x, 0.02),
            places => [-0.5, places as f64 - 0.5],
        };
        Ok([x, margin(y, 0.06)])
    }
}

/// Panels, two in a row, of what several runs reached.
///
/// ```
/// use synfire::plot::{Panel, Picture, Series, SeriesPlot};
///
/// let epochs = [(1.0, vec![0.90, 0.91, 0.88]), (2.0, vec![0.95, 0.94, 0.95])];
/// let panel = Panel::new("epoch", "accuracy").with_series(Series::new("STBP", epochs));
/// let picture = SeriesPlot::new([panel]).to_svg()?;
/// assert!(picture.contains("STBP"));
/// # Ok::<(), synfire::plot::PlotError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesPlot {
    panels: Vec<Panel>,
}

impl SeriesPlot {
    /// A picture of these panels.
    pub fn new(panels: impl IntoIterator<Item = Panel>) -> Self {
        Self {
            panels: panels.into_iter().collect(),
        }
    }

    /// Rows and columns of the panels: two beside each other, if there are several.
    fn grid(&self) -> [usize; 2] {
        let columns = self.panels.len().clamp(1, 2);
        [self.panels.len().div_ceil(columns).max(1), columns]
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

impl Draw for SeriesPlot {
    fn size(&self) -> (u32, u32) {
        let [rows, columns] = self.grid();
        (480 * columns as u32, 400 * rows as u32)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: Canvas<DB>) -> Result<(), PlotError> {
        check_shows(!self.panels.is_empty(), || "no panels".to_owned())?;
        let [rows, columns] = self.grid();
        let mut panels = canvas.split(rows, columns).zip(&self.panels);
        panels.try_for_each(|(part, panel)| panel.draw(part))
    }
}

impl Panel {
    /// Whether the right ends of the series lie in the lower half, so that there is room above them.
    fn ends_low(&self, low: f64, high: f64) -> bool {
        let last = self
            .series
            .iter()
            .filter_map(|series| series.filled().next_back());
        let ends: Vec<_> = last.map(|(_, values)| mean(values)).collect();
        mean(&ends) < (low + high) / 2.0
    }

    fn draw<DB: DrawingBackend>(&self, canvas: Canvas<DB>) -> Result<(), PlotError> {
        let [[left, right], [low, high]] = self.ranges()?;
        let mut chart = canvas.chart(canvas.builder(10, [40, 62]), left..right, low..high)?;
        let scale = canvas.scale;
        let digits = match high - low {
            ..0.02 => 4,
            ..0.5 => 3,
            _ => 2,
        };
        let place = |x: &f64| {
            if self.places.is_empty() {
                return x.to_string();
            }
            let nearest = x.round();
            let exact = (x - nearest).abs() < 1e-6 && nearest >= 0.0;
            let name = exact.then(|| self.places.get(nearest as usize)).flatten();
            name.cloned().unwrap_or_default()
        };
        let value = |y: &f64| match high.abs().max(low.abs()) >= 100.0 {
            true => format!("{y:.0}"),
            false => format!("{y:.digits$}"),
        };
        let mut mesh = chart.axes.configure_mesh();
        mesh.light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.1))
            .x_desc(&self.x)
            .y_desc(&self.y)
            .x_label_formatter(&place)
            .y_label_formatter(&value)
            .label_style(canvas.font(13));
        if !self.places.is_empty() {
            // One label in the middle of every place.
            mesh.x_labels(2 * self.places.len() + 1);
        }
        mesh.draw().map_err(drawing)?;

        for (i, series) in self.series.iter().enumerate() {
            let points: Vec<_> = series.filled().collect();
            let style = color(i).stroke_width(2 * scale);
            let label = series.label.as_str();
            match self.marks {
                Marks::Bands => {
                    let end = |pick: fn(f64, f64) -> f64| {
                        let pick = move |values: &Vec<f64>| values.iter().copied().reduce(pick);
                        points
                            .iter()
                            .filter_map(move |(x, values)| Some((*x, pick(values)?)))
                    };
                    let mut band: Vec<_> = end(f64::max).collect();
                    let mut lower: Vec<_> = end(f64::min).collect();
                    lower.reverse();
                    band.extend(lower);
                    let shade = color(i).mix(0.18);
                    chart.draw([Polygon::new(band, shade)])?;
                    let means = points.iter().map(|(x, values)| (*x, mean(values)));
                    chart.line(i, label, means.clone())?;
                    if points.len() <= 16 {
                        let dots = means.map(|at| Circle::new(at, 2 * scale, style.filled()));
                        chart.draw(dots)?;
                    }
                }
                Marks::Points => {
                    // Side by side where places have names.
                    let count = self.series.len() as f64;
                    let (aside, half) = match self.places.is_empty() {
                        true => (0.0, 0.01 * (right - left)),
                        false => (0.6 * ((i as f64 + 0.5) / count - 0.5), 0.25 / count),
                    };
                    let bars = points.iter().map(|(x, values)| {
                        let (x, y) = (x + aside, mean(values));
                        PathElement::new([(x - half, y), (x + half, y)], style)
                    });
                    chart.draw_named(label, style, bars)?;
                    let dots = points.iter().flat_map(|(x, values)| {
                        let dot = move |y: &f64| {
                            Circle::new((x + aside, *y), 3 * scale, color(i).mix(0.6).filled())
                        };
                        values.iter().map(dot)
                    });
                    chart.draw(dots)?;
                }
            }
        }
        if self.series.len() > 1 || self.series.iter().any(|series| !series.label.is_empty()) {
            let high_up = self.marks == Marks::Bands && self.ends_low(low, high);
            chart.legend(match high_up {
                true => SeriesLabelPosition::UpperRight,
                false => SeriesLabelPosition::LowerRight,
            })?;
        }
        Ok(())
    }
}
