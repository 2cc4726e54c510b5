//! From a drawing to a file.

use std::fmt::Display;
use std::fs::Permissions;
use std::io::{Cursor, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Once;

use image::{ImageFormat, RgbImage};
use plotters::chart::SeriesAnno;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::element::{DashedPathElement, Drawable, PointCollection};
use plotters::prelude::*;
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
    area: DrawingArea<DB, Shift>,
    /// All lengths are multiplied by it.
    pub scale: u32,
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

    /// A builder of a chart with this margin and this room for the labels below and on the left.
    pub fn builder<'a>(&self, margin: u32, [below, left]: [u32; 2]) -> ChartBuilder<'_, 'a, DB> {
        let mut builder = ChartBuilder::on(&self.area);
        builder
            .margin(margin * self.scale)
            .x_label_area_size(below * self.scale)
            .y_label_area_size(left * self.scale);
        builder
    }

    /// The chart of a builder, with axes over these ranges.
    pub fn chart<'a>(
        &self,
        mut builder: ChartBuilder<'a, '_, DB>,
        x: Range<f64>,
        y: Range<f64>,
    ) -> Result<Chart<'a, DB>, PlotError> {
        Ok(Chart {
            axes: builder.build_cartesian_2d(x, y).map_err(drawing)?,
            scale: self.scale,
        })
    }

    /// The font in this size.
    pub fn font(&self, size: u32) -> (&'static str, u32) {
        (FONT, size * self.scale)
    }
}

/// Axes, and what is drawn between them.
pub(super) struct Chart<'a, DB: DrawingBackend> {
    pub axes: ChartContext<'a, DB, Cartesian2d<RangedCoordf64, RangedCoordf64>>,
    scale: u32,
}

impl<'a, DB: DrawingBackend + 'a> Chart<'a, DB> {
    /// Draws elements.
    pub fn draw<E>(
        &mut self,
        elements: impl IntoIterator<Item = E>,
    ) -> Result<&mut SeriesAnno<'a, DB>, PlotError>
    where
        E: Drawable<DB>,
        for<'b> &'b E: PointCollection<'b, (f64, f64)>,
    {
        self.axes.draw_series(elements).map_err(drawing)
    }

    /// Draws elements that the legend names, behind a short line in their style.
    pub fn draw_named<E>(
        &mut self,
        label: impl Into<String>,
        style: ShapeStyle,
        elements: impl IntoIterator<Item = E>,
    ) -> Result<(), PlotError>
    where
        E: Drawable<DB>,
        for<'b> &'b E: PointCollection<'b, (f64, f64)>,
    {
        let length = 18 * self.scale as i32;
        self.draw(elements)?
            .label(label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + length, y)], style));
        Ok(())
    }

    /// Draws the `i`th line, which the legend names: where the colours begin again, in dashes, shorter each time.
    pub fn line(
        &mut self,
        i: usize,
        label: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> Result<(), PlotError> {
        let (scale, round) = (self.scale, (i / COLORS.len()) as u32);
        let style = color(i).stroke_width(2 * scale);
        if round == 0 {
            return self.draw_named(label, style, LineSeries::new(points, style));
        }
        let (dash, gap) = ((10 / round).max(2) * scale, 4 * scale);
        let length = 18 * scale as i32;
        let points: Vec<_> = points.into_iter().collect();
        self.draw(DashedLineSeries::new(points, dash, gap, style))?
            .label(label)
            .legend(move |(x, y)| {
                DashedPathElement::new([(x, y), (x + length, y)], dash, gap, style)
            });
        Ok(())
    }

    /// Draws the legend.
    pub fn legend(&mut self, position: SeriesLabelPosition) -> Result<(), PlotError> {
        self.axes
            .configure_series_labels()
            .position(position)
            .label_font((FONT, 13 * self.scale))
            .legend_area_size(22 * self.scale)
            .background_style(WHITE.mix(0.8))
            .draw()
            .map_err(drawing)
    }
}

/// Pixels of a PNG for each unit of length.
const SCALE: u32 = 2;

pub(super) trait Draw {
    /// Width and height.
    fn size(&self) -> (u32, u32);

    /// Draws on a canvas.
    fn draw<DB: DrawingBackend>(&self, canvas: Canvas<DB>) -> Result<(), PlotError>;

    /// Draws on white ground, with all lengths multiplied by `scale`.
    fn draw_on<DB: DrawingBackend>(&self, backend: DB, scale: u32) -> Result<(), PlotError> {
        font();
        let area = backend.into_drawing_area();
        area.fill(&WHITE).map_err(drawing)?;
        self.draw(Canvas {
            area: area.clone(),
            scale,
        })?;
        area.present().map_err(drawing)
    }
}

/// Something that can be drawn.
#[allow(private_bounds)]
pub trait Picture: Draw {
    /// The picture as the text of an SVG file.
    ///
    /// # Errors
    ///
    /// If it cannot be drawn.
    fn to_svg(&self) -> Result<String, PlotError> {
        let mut text = String::new();
        self.draw_on(SVGBackend::with_string(&mut text, self.size()), 1)?;
        // Where a viewer does not have the font.
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

    /// Writes the picture as SVG or PNG, as the file's name ends in, whole or not at all.
    ///
    /// # Errors
    ///
    /// If the name ends in anything else, the picture cannot be drawn or the file cannot be written.
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
    builder.permissions(<Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666));
    // Removed when dropped, unless it was renamed.
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// Text needs a font on every machine, also on those that have none.
fn font() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // It fails only for what is not a font.
        let _ = register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
    });
}

pub(super) fn drawing(error: impl Display) -> PlotError {
    PlotError::Drawing {
        reason: error.to_string(),
    }
}
