//! From a drawing to a file.

use std::fmt::Display;
use std::fs::Permissions;
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::Once;

use image::{ImageFormat, RgbImage};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

use super::PlotError;

/// The font of all text.
pub(super) const FONT: &str = "Ubuntu";

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

/// The short line that stands for a series in a legend.
pub(super) fn key(style: ShapeStyle, scale: u32) -> impl Fn((i32, i32)) -> PathElement<(i32, i32)> {
    move |(x, y)| PathElement::new([(x, y), (x + 18 * scale as i32, y)], style)
}

/// Pixels of a PNG for each unit of length.
const SCALE: u32 = 2;

pub(super) trait Draw {
    /// Width and height.
    fn size(&self) -> (u32, u32);

    /// Draws with all lengths multiplied by `scale`.
    fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        scale: u32,
    ) -> Result<(), PlotError>;
}

/// Something that can be drawn.
#[allow(private_bounds)]
pub trait Picture: Draw {
    /// The picture as the text of an SVG file.
    ///
    /// # Errors
    ///
    /// If it cannot be drawn.
    fn to_svg(&self) -> Result<String, PlotError>
    where
        Self: Sized,
    {
        font();
        let mut text = String::new();
        {
            let area = SVGBackend::with_string(&mut text, self.size()).into_drawing_area();
            area.fill(&WHITE).map_err(drawing)?;
            self.draw(&area, 1)?;
            area.present().map_err(drawing)?;
        }
        // Where a viewer does not have the font.
        let family = format!("font-family=\"{FONT}\"");
        Ok(text.replace(&family, &format!("font-family=\"{FONT}, sans-serif\"")))
    }

    /// The picture as the bytes of a PNG file, with two pixels for each unit of the SVG's.
    ///
    /// # Errors
    ///
    /// If it cannot be drawn.
    fn to_png(&self) -> Result<Vec<u8>, PlotError>
    where
        Self: Sized,
    {
        font();
        let (width, height) = self.size();
        let (width, height) = (SCALE * width, SCALE * height);
        let mut pixels = vec![0; 3 * width as usize * height as usize];
        {
            let backend = BitMapBackend::with_buffer(&mut pixels, (width, height));
            let area = backend.into_drawing_area();
            area.fill(&WHITE).map_err(drawing)?;
            self.draw(&area, SCALE)?;
            area.present().map_err(drawing)?;
        }
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
    fn save(&self, path: impl AsRef<Path>) -> Result<(), PlotError>
    where
        Self: Sized,
    {
        let path = path.as_ref();
        let ending = path.extension().and_then(|ending| ending.to_str());
        let bytes = match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("svg") => self.to_svg()?.into_bytes(),
            Some("png") => self.to_png()?,
            _ => {
                return Err(PlotError::Format {
                    path: path.to_path_buf(),
                });
            }
        };
        write(path, &bytes).map_err(|source| PlotError::Io {
            path: path.to_path_buf(),
            source,
        })
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
