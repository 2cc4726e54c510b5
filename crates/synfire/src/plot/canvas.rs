//! Drawing of plots, and their files.

use std::fmt::Display;
use std::io::{Cursor, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Once;

use image::{ImageFormat, RgbImage};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::element::{DashedPathElement, Drawable, PointCollection};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};

use super::PlotError;

/// The font of all text.
const FONT: &str = "Ubuntu";

/// Colours that stay apart for colour-blind eyes (Okabe and Ito 2008, *Color Universal Design*).
const COLORS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

/// The `i`th colour.
pub(super) fn color(i: usize) -> RGBColor {
    COLORS[i % COLORS.len()]
}

/// A picture, or a part of it, to draw on.
pub(super) struct Canvas<DB: DrawingBackend> {
    pub area: DrawingArea<DB, Shift>,
    /// Factor of all lengths.
    pub scale: u32,
}

/// The room around a plot: margin, labels below and labels on the left.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub margin: u32,
    pub below: u32,
    pub left: u32,
}

impl<DB: DrawingBackend> Clone for Canvas<DB> {
    fn clone(&self) -> Self {
        Self {
            area: self.area.clone(),
            scale: self.scale,
        }
    }
}

impl<DB: DrawingBackend> Canvas<DB> {
    /// Equal parts, row by row.
    pub fn split(&self, rows: usize, columns: usize) -> impl Iterator<Item = Self> {
        let scale = self.scale;
        let parts = self.area.split_evenly((rows, columns)).into_iter();
        parts.map(move |area| Self { area, scale })
    }

    /// The upper part, of this height, and the rest.
    pub fn split_at(&self, height: u32) -> [Self; 2] {
        let scale = self.scale;
        let (upper, lower) = self.area.split_vertically(height * scale);
        [upper, lower].map(|area| Self { area, scale })
    }

    /// The rest, and the right part, of this width.
    pub fn split_off(&self, width: u32) -> [Self; 2] {
        let scale = self.scale;
        let (all, _) = self.area.dim_in_pixel();
        let rest = all.saturating_sub(width * scale);
        let (rest, right) = self.area.split_horizontally(rest);
        [rest, right].map(|area| Self { area, scale })
    }

    /// Writes in the middle of a strip at the top, of this height, and returns the rest.
    pub fn caption(&self, text: &str, size: u32, height: u32) -> Result<Self, PlotError> {
        let [strip, rest] = self.split_at(height);
        let (width, height) = strip.area.dim_in_pixel();
        let at = ((width / 2) as i32, (height / 2) as i32);
        strip.text(text, size, HPos::Center, at)?;
        Ok(rest)
    }

    /// Writes text beside or around a position.
    pub fn text(&self, text: &str, size: u32, h: HPos, at: (i32, i32)) -> Result<(), PlotError> {
        let style = self.font(size).into_text_style(&self.area);
        let style = style.pos(Pos::new(h, VPos::Center));
        self.area.draw_text(text, &style, at).map_err(drawing)
    }

    /// A chart with axes over these ranges.
    pub fn chart<'a>(
        &self,
        frame: Frame,
        x: impl Into<Axis>,
        y: Range<f64>,
    ) -> Result<Chart<'a, DB>, PlotError> {
        let axes = ChartBuilder::on(&self.area)
            .margin(frame.margin * self.scale)
            .x_label_area_size(frame.below * self.scale)
            .y_label_area_size(frame.left * self.scale)
            .build_cartesian_2d(x.into(), y)
            .map_err(drawing)?;
        let scale = self.scale;
        Ok(Chart { axes, scale })
    }

    /// The font in this size.
    pub fn font(&self, size: u32) -> (&'static str, u32) {
        (FONT, size * self.scale)
    }
}

/// A horizontal axis.
#[derive(Clone)]
pub(super) struct Axis {
    ends: [f64; 2],
    is_log: bool,
    /// Positions of the labels, if they are not at round numbers.
    places: Vec<f64>,
}

impl From<Range<f64>> for Axis {
    fn from(range: Range<f64>) -> Self {
        Self {
            ends: [range.start, range.end],
            is_log: false,
            places: Vec::new(),
        }
    }
}

impl Axis {
    /// A logarithmic axis between two positive numbers. Labels are at `places`, in order, if there is room for all.
    pub fn log(ends: [f64; 2], places: Vec<f64>) -> Self {
        let axis = Self {
            is_log: true,
            ..Self::from(ends[0]..ends[1])
        };
        let mut gaps = places.windows(2);
        match gaps.all(|gap| axis.part(gap[1]) - axis.part(gap[0]) > 0.07) {
            true => Self { places, ..axis },
            false => axis,
        }
    }

    /// An axis with `count` labels at 0, 1, 2 and so on.
    pub fn places(count: usize) -> Self {
        Self {
            places: (0..count).map(|place| place as f64).collect(),
            ..Self::from(-0.5..count as f64 - 0.5)
        }
    }

    /// Relative position of a number, from 0 at the left end to 1 at the right one.
    fn part(&self, x: f64) -> f64 {
        let [low, high] = self.ends;
        match self.is_log {
            true => (x / low).ln() / (high / low).ln(),
            false => (x - low) / (high - low),
        }
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(x: &f64) -> String {
        // Without rounding errors, as in 0.30000000000000004, and without a minus at 0.
        ((x * 1e9).round() / 1e9 + 0.0).to_string()
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, x: &f64, (left, right): (i32, i32)) -> i32 {
        left + (self.part(*x) * f64::from(right - left)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        let [low, high] = self.ends;
        if !self.places.is_empty() {
            return self.places.clone();
        }
        if !self.is_log {
            return RangedCoordf64::from(low..high).key_points(hint);
        }
        // 1, 2, 5, 10, 20 and so on; only powers of ten, if there are many.
        let decades = (low.log10().floor() as i32)..=(high.log10().ceil() as i32);
        let of = |parts: &'static [f64]| {
            let all = decades
                .clone()
                .flat_map(move |decade| parts.iter().map(move |part| part * 10f64.powi(decade)));
            all.filter(|x| (low..=high).contains(x)).collect::<Vec<_>>()
        };
        let most = hint.max_num_points().min(10);
        let ticks = of(&[1.0, 2.0, 5.0]);
        match ticks.len() {
            ..2 => of(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]),
            count if count <= most => ticks,
            _ => of(&[1.0]),
        }
    }

    fn range(&self) -> Range<f64> {
        self.ends[0]..self.ends[1]
    }
}

/// Axes and the plot area between them.
pub(super) struct Chart<'a, DB: DrawingBackend> {
    pub axes: ChartContext<'a, DB, Cartesian2d<Axis, RangedCoordf64>>,
    scale: u32,
}

impl<'a, DB: DrawingBackend + 'a> Chart<'a, DB> {
    /// Draws elements.
    pub fn draw<E>(&mut self, elements: impl IntoIterator<Item = E>) -> Result<(), PlotError>
    where
        E: Drawable<DB>,
        for<'b> &'b E: PointCollection<'b, (f64, f64)>,
    {
        self.axes.draw_series(elements).map_err(drawing)?;
        Ok(())
    }

    /// Draws a line.
    pub fn line(&mut self, stroke: Stroke, path: &[(f64, f64)]) -> Result<(), PlotError> {
        let path = path.iter().copied();
        let style = stroke.style(self.scale);
        match stroke.dash(self.scale) {
            None => self.draw(LineSeries::new(path, style)),
            Some((dash, gap)) => self.draw(DashedLineSeries::new(path, dash, gap, style)),
        }
    }
}

/// Style of a line.
#[derive(Clone, Copy)]
pub(super) struct Stroke {
    color: RGBColor,
    width: u32,
    dash: Option<u32>,
}

impl Stroke {
    /// The style of the `i`th line: when colours repeat, it is dashed, with shorter dashes each time.
    pub fn nth(i: usize) -> Self {
        let round = (i / COLORS.len()) as u32;
        Self {
            color: color(i),
            width: 2,
            dash: (round > 0).then(|| (10 / round.max(1)).max(2)),
        }
    }

    /// A thin gray line, behind the others.
    pub fn gray(dash: Option<u32>) -> Self {
        Self {
            color: GRAY,
            width: 1,
            dash,
        }
    }

    fn style(&self, scale: u32) -> ShapeStyle {
        self.color.stroke_width(self.width * scale)
    }

    /// The lengths of dashes and gaps.
    fn dash(&self, scale: u32) -> Option<(u32, u32)> {
        self.dash.map(|dash| (dash * scale, 4 * scale))
    }
}

/// The colour of annotations.
const GRAY: RGBColor = RGBColor(120, 120, 120);

/// Symbol before a label of a legend.
#[derive(Clone, Copy)]
pub(super) enum Symbol {
    Line(Stroke),
    Band,
    Dot,
}

/// The legend of a chart, in an empty corner or, if there is none, on the right of the chart.
#[derive(Clone, Default)]
pub(super) struct Legend {
    entries: Vec<(Symbol, String)>,
}

/// Height of an entry, length of a line in front of its label, room on all sides, distance from the axes.
const ROW: i32 = 18;
const LENGTH: i32 = 18;
const PAD: i32 = 6;
const AWAY: i32 = 5;

impl Legend {
    /// Adds an entry.
    pub fn add(&mut self, symbol: Symbol, label: impl Into<String>) {
        self.entries.push((symbol, label.into()));
    }

    /// Width and height, in pixels.
    fn size<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Result<[i32; 2], PlotError> {
        let style = canvas.font(13).into_text_style(&canvas.area);
        let mut width = 0;
        for (_, label) in &self.entries {
            let (label, _) = canvas
                .area
                .estimate_text_size(label, &style)
                .map_err(drawing)?;
            width = width.max(label as i32);
        }
        let scale = canvas.scale as i32;
        let height = self.entries.len() as i32 * ROW + PAD;
        // A viewer's font may be a little wider.
        Ok([width * 21 / 20 + (LENGTH + 3 * PAD) * scale, height * scale])
    }

    /// A chart, and its placed legend, which must be drawn last. The legend must not cover the lines in `paths`.
    pub fn chart<'a, DB: DrawingBackend + 'a>(
        self,
        canvas: &Canvas<DB>,
        frame: Frame,
        x: impl Into<Axis>,
        y: Range<f64>,
        paths: &[Vec<(f64, f64)>],
    ) -> Result<(Chart<'a, DB>, Placed<DB>), PlotError> {
        let x = x.into();
        let scale = canvas.scale;
        let size = self.size(canvas)?;
        let (width, height) = canvas.area.dim_in_pixel();
        let left = ((frame.margin + frame.left) * scale) as i32;
        let right = width as i32 - (frame.margin * scale) as i32;
        let top = (frame.margin * scale) as i32;
        let bottom = height as i32 - ((frame.margin + frame.below) * scale) as i32;
        let pixel = |(at_x, at_y): (f64, f64)| {
            let part = (at_y - y.start) / (y.end - y.start);
            let across = f64::from(left) + x.part(at_x) * f64::from(right - left);
            [across, f64::from(bottom) - part * f64::from(bottom - top)]
        };
        let away = AWAY * scale as i32;
        let [at_left, at_top] = [left + away, top + away];
        let [at_right, at_bottom] = [right - away - size[0], bottom - away - size[1]];
        let corners = [
            [at_right, at_top],
            [at_left, at_top],
            [at_right, at_bottom],
            [at_left, at_bottom],
        ];
        let covers = |at: &[i32; 2]| {
            let inside = |point: [f64; 2]| {
                (0..2).all(|i| {
                    let (low, high) = (at[i] - away, at[i] + size[i] + away);
                    (f64::from(low)..=f64::from(high)).contains(&point[i])
                })
            };
            paths.iter().any(|path| {
                let ends = path.iter().zip(path.iter().skip(1).chain(path.last()));
                ends.into_iter().any(|(from, to)| {
                    let (from, to) = (pixel(*from), pixel(*to));
                    let far = (to[0] - from[0]).abs().max((to[1] - from[1]).abs());
                    let parts = (far / 3.0).ceil().clamp(1.0, 1e4);
                    let at = |part: f64| [0, 1].map(|i| from[i] + part * (to[i] - from[i]));
                    (0..=parts as usize).any(|part| inside(at(part as f64 / parts)))
                })
            })
        };
        let fits = size[0] < (right - left) / 2 && size[1] < (bottom - top) / 2;
        let empty = corners.iter().find(|at| fits && !covers(at));
        let (rest, beside, at) = match empty {
            Some(at) => (canvas.clone(), canvas.clone(), *at),
            None => {
                let [rest, beside] = canvas.split_off(size[0] as u32 / scale);
                (rest, beside, [0, top])
            }
        };
        let chart = rest.chart(frame, x, y)?;
        let placed = Placed {
            legend: self,
            canvas: beside,
            at,
            size,
        };
        Ok((chart, placed))
    }
}

/// A placed legend.
pub(super) struct Placed<DB: DrawingBackend> {
    legend: Legend,
    canvas: Canvas<DB>,
    at: [i32; 2],
    size: [i32; 2],
}

impl<DB: DrawingBackend> Placed<DB> {
    /// Draws the legend, if it has entries.
    pub fn draw(self) -> Result<(), PlotError> {
        let Canvas { area, scale } = &self.canvas;
        let ([left, top], size, scale) = (self.at, self.size, *scale);
        if self.legend.entries.is_empty() {
            return Ok(());
        }
        let ground = [(left, top), (left + size[0], top + size[1])];
        let ground = Rectangle::new(ground, WHITE.mix(0.8).filled());
        area.draw(&ground).map_err(drawing)?;
        let unit = scale as i32;
        let (from, to) = (left + PAD * unit, left + (PAD + LENGTH) * unit);
        for (i, (symbol, label)) in self.legend.entries.iter().enumerate() {
            let y = top + (PAD + ROW * (2 * i as i32 + 1)) * unit / 2;
            match symbol {
                Symbol::Line(stroke) => {
                    let (line, style) = ([(from, y), (to, y)], stroke.style(scale));
                    match stroke.dash(scale) {
                        None => area.draw(&PathElement::new(line, style)),
                        Some((dash, gap)) => {
                            area.draw(&DashedPathElement::new(line, dash, gap, style))
                        }
                    }
                }
                Symbol::Band => {
                    let corners = [(from, y - 5 * unit), (to, y + 5 * unit)];
                    area.draw(&Rectangle::new(corners, GRAY.mix(0.3).filled()))
                }
                Symbol::Dot => {
                    let middle = ((from + to) / 2, y);
                    area.draw(&Circle::new(middle, 3 * scale, GRAY.filled()))
                }
            }
            .map_err(drawing)?;
            let at = (to + PAD * unit, y);
            self.canvas.text(label, 13, HPos::Left, at)?;
        }
        Ok(())
    }
}

/// Pixels of a PNG for each unit of length.
const SCALE: u32 = 2;

pub(super) trait Draw {
    /// Width and height.
    fn size(&self) -> (u32, u32);

    /// Draws on a canvas.
    fn draw<DB: DrawingBackend>(&self, canvas: Canvas<DB>) -> Result<(), PlotError>;

    /// Draws on a white background, with all lengths multiplied by `scale`.
    fn draw_on<DB: DrawingBackend>(&self, backend: DB, scale: u32) -> Result<(), PlotError> {
        font();
        let area = backend.into_drawing_area();
        area.fill(&WHITE).map_err(drawing)?;
        let canvas = Canvas { area, scale };
        self.draw(canvas.clone())?;
        canvas.area.present().map_err(drawing)
    }
}

/// A picture with a title, see [`Picture::titled`].
#[derive(Clone, Debug, PartialEq)]
pub struct Titled<P> {
    picture: P,
    title: String,
}

/// The height of a title.
const TITLE: u32 = 34;

impl<P: Draw> Draw for Titled<P> {
    fn size(&self) -> (u32, u32) {
        let (width, height) = self.picture.size();
        (width, height + TITLE)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: Canvas<DB>) -> Result<(), PlotError> {
        self.picture.draw(canvas.caption(&self.title, 18, TITLE)?)
    }
}

/// Something that can be drawn.
#[allow(private_bounds)]
pub trait Picture: Draw {
    /// Adds a title above the picture.
    fn titled(self, title: impl Into<String>) -> Titled<Self>
    where
        Self: Sized,
    {
        Titled {
            picture: self,
            title: title.into(),
        }
    }

    /// The picture as the text of an SVG file.
    ///
    /// # Errors
    ///
    /// If it cannot be drawn.
    fn to_svg(&self) -> Result<String, PlotError> {
        let mut text = String::new();
        self.draw_on(SVGBackend::with_string(&mut text, self.size()), 1)?;
        // A fallback for viewers without the font.
        let family = format!("font-family=\"{FONT}\"");
        Ok(text.replace(&family, &format!("font-family=\"{FONT}, sans-serif\"")))
    }

    /// The picture as the bytes of a PNG file, with two pixels for each unit of the SVG's.
    ///
    /// # Errors
    ///
    /// If it cannot be drawn.
    fn to_png(&self) -> Result<Vec<u8>, PlotError> {
        let (width, height) = self.size();
        let (width, height) = (SCALE * width, SCALE * height);
        let mut pixels = vec![0; 3 * width as usize * height as usize];
        let backend = BitMapBackend::with_buffer(&mut pixels, (width, height));
        self.draw_on(backend, SCALE)?;
        let picture = RgbImage::from_raw(width, height, pixels)
            .expect("the buffer has three bytes for each pixel");
        let mut bytes = Cursor::new(Vec::new());
        picture
            .write_to(&mut bytes, ImageFormat::Png)
            .map_err(drawing)?;
        Ok(bytes.into_inner())
    }

    /// Writes the picture atomically, as SVG or PNG by the extension of the file name.
    ///
    /// # Errors
    ///
    /// If the extension is another one, the picture cannot be drawn or the file cannot be written.
    fn save(&self, path: impl AsRef<Path>) -> Result<(), PlotError> {
        let path = path.as_ref();
        let owned = || path.to_path_buf();
        let ending = path.extension().and_then(|ending| ending.to_str());
        let bytes = match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("svg") => self.to_svg()?.into_bytes(),
            Some("png") => self.to_png()?,
            _ => return Err(PlotError::Format { path: owned() }),
        };
        let path = owned();
        write(&path, &bytes).map_err(|source| PlotError::Io { path, source })
    }
}

impl<D: Draw> Picture for D {}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".synfire-").suffix(".part");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    // Removed when dropped, unless it was renamed.
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// Registers a built-in font, for machines without fonts.
fn font() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // It only fails for invalid fonts.
        let _ = register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
    });
}

pub(super) fn drawing(error: impl Display) -> PlotError {
    PlotError::Drawing {
        reason: error.to_string(),
    }
}
