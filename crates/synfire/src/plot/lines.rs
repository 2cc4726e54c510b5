//! Plots of results of several runs, with their spread.

use plotters::coord::ranged1d::ValueFormatter;
use plotters::prelude::*;

use super::canvas::{Axis, Canvas, Draw, Frame, Legend, Stroke, Symbol, color, drawing};
use super::{PlotError, check_finite, check_shows};

/// Results of several runs (such as different seeds) at positions of the horizontal axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    label: String,
    points: Vec<(f64, Vec<f64>)>,
}

impl Series {
    /// A series of values at positions, one value for each run.
    pub fn new(
        label: impl Into<String>,
        points: impl IntoIterator<Item = (f64, Vec<f64>)>,
    ) -> Self {
        Self {
            label: label.into(),
            points: points.into_iter().collect(),
        }
    }

    /// The positions that have values.
    fn filled(&self) -> impl Iterator<Item = &(f64, Vec<f64>)> + Clone {
        self.points.iter().filter(|(_, values)| !values.is_empty())
    }
}

/// Kind of positions on the horizontal axis of a panel.
#[derive(Clone, Debug, PartialEq)]
enum Places {
    Numbers,
    /// Positive numbers on a logarithmic scale.
    Log,
    /// Names at 0, 1, 2 and so on.
    Named(Vec<String>),
}

const FRAME: Frame = Frame {
    margin: 10,
    below: 40,
    left: 62,
};

/// Style of the series in a panel.
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
    title: Option<String>,
    places: Places,
    marks: Marks,
    series: Vec<Series>,
}

impl Panel {
    /// A panel with these axis labels.
    pub fn new(x: impl Into<String>, y: impl Into<String>) -> Self {
        Self {
            x: x.into(),
            y: y.into(),
            title: None,
            places: Places::Numbers,
            marks: Marks::Bands,
            series: Vec::new(),
        }
    }

    /// Labels the positions 0, 1, 2 and so on with names instead of numbers.
    pub fn with_places<S: Into<String>>(mut self, places: impl IntoIterator<Item = S>) -> Self {
        self.places = Places::Named(places.into_iter().map(Into::into).collect());
        self
    }

    /// Sets a logarithmic horizontal axis, for example for numbers of time steps. Positions must be above 0.
    pub fn with_log_x(mut self) -> Self {
        self.places = Places::Log;
        self
    }

    /// Sets the title.
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Sets the style of the series.
    pub fn with_marks(mut self, marks: Marks) -> Self {
        self.marks = marks;
        self
    }

    /// Adds a series.
    pub fn with_series(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// The places of all series.
    fn all_places(&self) -> impl Iterator<Item = f64> {
        let points = self.series.iter().flat_map(|series| &series.points);
        points.map(|(x, _)| *x)
    }

    /// The ends of the axes.
    fn ranges(&self) -> Result<(Axis, [f64; 2]), PlotError> {
        let mut ys = Vec::new();
        for series in &self.series {
            for (place, values) in &series.points {
                check_finite(*place, || format!("{} of `{}`", self.x, series.label))?;
                for value in values {
                    check_finite(*value, || format!("{} of `{}`", self.y, series.label))?;
                }
                ys.extend(values);
            }
        }
        let (x, y) = (ends(self.all_places()), ends(ys));
        check_shows(y[0] <= y[1], || format!("`{}` has no values", self.y))?;
        // Also if all values are equal.
        let margin = |[low, high]: [f64; 2], part: f64| {
            let margin = match high > low {
                true => (part * (high - low)).max(1e-6 * high.abs()),
                false if high == 0.0 => 1.0,
                false => 0.1 * high.abs(),
            };
            [low - margin, high + margin]
        };
        let axis = match &self.places {
            Places::Numbers => {
                let [left, right] = margin(x, 0.02);
                Axis::from(left..right)
            }
            Places::Log => {
                let what = || format!("`{}` is {} on a logarithmic axis", self.x, x[0]);
                check_shows(x[0] > 0.0, what)?;
                let margin = (x[1] / x[0]).powf(0.02).max(1.01);
                let mut places: Vec<_> = self.all_places().collect();
                places.sort_by(f64::total_cmp);
                places.dedup();
                Axis::log([x[0] / margin, x[1] * margin], places)
            }
            Places::Named(names) => Axis::places(names.len()),
        };
        Ok((axis, margin(y, 0.06)))
    }
}

/// Panels, two in a row, with results of several runs.
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

/// The lowest and the highest of some numbers.
fn ends(values: impl IntoIterator<Item = f64>) -> [f64; 2] {
    let none = [f64::INFINITY, f64::NEG_INFINITY];
    let wider = |[low, high]: [f64; 2], x: f64| [low.min(x), high.max(x)];
    values.into_iter().fold(none, wider)
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
    /// Number of values at a position, if there are several: `5 runs`, or `3 to 5 runs`.
    fn runs(&self) -> Option<String> {
        let filled = self.series.iter().flat_map(Series::filled);
        let counts = || filled.clone().map(|(_, values)| values.len());
        let (least, most) = (counts().min()?, counts().max()?);
        match least == most {
            _ if most < 2 => None,
            true => Some(format!("{most} runs")),
            false => Some(format!("{least} to {most} runs")),
        }
    }

    /// The names of the series, and the meaning of the marks.
    fn legend(&self) -> Legend {
        let mut legend = Legend::default();
        for (i, series) in self.series.iter().enumerate() {
            if self.series.len() > 1 || !series.label.is_empty() {
                legend.add(Symbol::Line(Stroke::nth(i)), series.label.as_str());
            }
        }
        if let Some(runs) = self.runs() {
            match self.marks {
                Marks::Bands => legend.add(Symbol::Band, format!("lowest to highest of {runs}")),
                Marks::Points => legend.add(Symbol::Dot, format!("one of {runs}; bar: mean")),
            }
        }
        legend
    }

    fn draw<DB: DrawingBackend>(&self, mut canvas: Canvas<DB>) -> Result<(), PlotError> {
        if let Some(title) = &self.title {
            canvas = canvas.caption(title, 15, 26)?;
        }
        let (x, [low, high]) = self.ranges()?;
        let shapes: Vec<Shapes> = (0..self.series.len()).map(|i| self.shapes(i)).collect();
        let paths = shapes.iter().flat_map(Shapes::paths).collect::<Vec<_>>();
        let (mut chart, legend) = self.legend().chart(&canvas, FRAME, x, low..high, &paths)?;
        let scale = canvas.scale;
        let digits = match high - low {
            ..0.02 => 4,
            ..0.5 => 3,
            _ => 2,
        };
        let place = |x: &f64| match &self.places {
            Places::Named(names) => names.get(*x as usize).cloned().unwrap_or_default(),
            _ => Axis::format(x),
        };
        let value = |y: &f64| match high.abs().max(low.abs()) >= 100.0 {
            true => format!("{y:.0}"),
            false => format!("{y:.digits$}"),
        };
        chart
            .axes
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.1))
            .x_desc(&self.x)
            .y_desc(&self.y)
            .x_label_formatter(&place)
            .y_label_formatter(&value)
            .label_style(canvas.font(13))
            .draw()
            .map_err(drawing)?;
        let (radius, opacity) = match self.marks {
            Marks::Bands => (2, 1.0),
            Marks::Points => (3, 0.6),
        };
        for (i, Shapes { band, lines, dots }) in shapes.into_iter().enumerate() {
            if let Some([upper, mut lower]) = band {
                lower.reverse();
                let band = [upper, lower].concat();
                chart.draw([Polygon::new(band, color(i).mix(0.18))])?;
            }
            for line in lines {
                chart.line(Stroke::nth(i), &line)?;
            }
            let style = color(i).mix(opacity).filled();
            let dot = |at| Circle::new(at, radius * scale, style);
            chart.draw(dots.into_iter().map(dot))?;
        }
        legend.draw()
    }

    /// The shapes of the `i`th series.
    fn shapes(&self, i: usize) -> Shapes {
        let points: Vec<_> = self.series[i].filled().collect();
        match self.marks {
            Marks::Bands => {
                let line = |value: fn(&[f64]) -> f64| -> Path {
                    let points = points.iter();
                    points.map(|(x, values)| (*x, value(values))).collect()
                };
                let upper = line(|values| ends(values.iter().copied())[1]);
                let lower = line(|values| ends(values.iter().copied())[0]);
                let means = line(mean);
                let has_dots = means.len() <= 16;
                Shapes {
                    band: Some([upper, lower]),
                    dots: if has_dots { means.clone() } else { vec![] },
                    lines: vec![means],
                }
            }
            Marks::Points => {
                // Side by side at named positions.
                let count = self.series.len() as f64;
                let aside = 0.6 * ((i as f64 + 0.5) / count - 0.5);
                let around = |x: f64| match &self.places {
                    Places::Named(_) => [-0.25, 0.0, 0.25].map(|part| x + aside + part / count),
                    Places::Numbers => {
                        let [low, high] = ends(self.all_places());
                        let half = 0.01 * (high - low);
                        [x - half, x, x + half]
                    }
                    Places::Log => [x / 1.03, x, x * 1.03],
                };
                let bar = |(x, values): &&(f64, Vec<f64>)| {
                    let ([left, _, right], y) = (around(*x), mean(values));
                    vec![(left, y), (right, y)]
                };
                let dots = |(x, values): &&(f64, Vec<f64>)| {
                    let [_, x, _] = around(*x);
                    values.iter().map(|y| (x, *y)).collect::<Vec<_>>()
                };
                Shapes {
                    band: None,
                    lines: points.iter().map(bar).collect(),
                    dots: points.iter().flat_map(dots).collect(),
                }
            }
        }
    }
}

type Path = Vec<(f64, f64)>;

/// The shapes of a series.
struct Shapes {
    /// Upper and lower edge of a band.
    band: Option<[Path; 2]>,
    lines: Vec<Path>,
    dots: Path,
}

impl Shapes {
    /// Lines that a legend must not cover.
    fn paths(&self) -> Vec<Path> {
        let dots = self.dots.iter().map(|dot| vec![*dot]);
        let lines = self.band.iter().flatten().chain(&self.lines);
        lines.cloned().chain(dots).collect()
    }
}
