//! Reads one image from a PNG or JPEG file.

use std::io::Cursor;
use std::path::Path;

use image::imageops::{FilterType, resize};
use image::{
    DynamicImage, ImageBuffer, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Luma,
    LumaA, Pixel, Rgb, Rgba,
};

use crate::DataError;
use crate::file::read_at_most;

/// The longest side of an image, in pixels.
const MOST_PIXELS: u32 = 8192;
/// The longest image file, in bytes.
const MOST_FILE_BYTES: u64 = 1 << 28;
/// The brightest value of 16 bits.
const WHITE: u32 = u16::MAX as u32;

/// The background of an image, visible where the image is transparent. Colours are not inverted: a dark digit on bright paper
/// becomes a bright one on dark ground, as in MNIST, by `1.0 - intensity`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ground {
    /// Black.
    #[default]
    Dark,
    /// White.
    Bright,
}

impl Ground {
    /// Blends a 16-bit value with the background by its alpha.
    fn mix(self, value: u16, alpha: u16) -> u16 {
        let alpha = u32::from(alpha);
        let ground = match self {
            Self::Dark => 0,
            Self::Bright => WHITE,
        };
        let mixed = u32::from(value) * alpha / WHITE + ground * (WHITE - alpha) / WHITE;
        mixed.min(WHITE) as u16
    }
}

/// Reads a PNG or JPEG file as intensities from 0 to 1, `[channels, height, width]` row by row, with one channel (grey) or
/// three (red, green, blue). An image of another size is resized, one that is rotated by its EXIF data is turned.
///
/// ```no_run
/// use synfire_data::{Ground, read_image};
///
/// let digit = read_image("digit.png", [1, 28, 28], Ground::Dark)?;
/// let photograph = read_image("cat.jpg", [3, 32, 32], Ground::Dark)?;
/// # Ok::<(), synfire_data::DataError>(())
/// ```
///
/// # Errors
///
/// If the file cannot be read, is neither PNG nor JPEG, is damaged, is longer than 256 MiB or has a side of more than 8192
/// pixels, or the shape has another number of channels or a side that is 0 or more than 8192.
pub fn read_image(
    path: impl AsRef<Path>,
    shape: [usize; 3],
    ground: Ground,
) -> Result<Vec<f32>, DataError> {
    let path = path.as_ref();
    let [channels, height, width] = shape;
    if !matches!(channels, 1 | 3) {
        let field = "number of channels";
        return Err(DataError::format(path, field, channels, "1 or 3"));
    }
    check_size(path, [height, width])?;
    let values = Picture::read(path)?.planes(shape, ground);
    let most = f32::from(u16::MAX);
    Ok(values.into_iter().map(|x| f32::from(x) / most).collect())
}

/// Rejects an invalid target size.
pub(super) fn check_size(path: &Path, size: [usize; 2]) -> Result<(), DataError> {
    if size.iter().all(|x| (1..=MOST_PIXELS as usize).contains(x)) {
        return Ok(());
    }
    let value = format!("{}x{}", size[0], size[1]);
    let expected = format!("1 to {MOST_PIXELS} pixels each");
    Err(DataError::format(path, "image size", value, expected))
}

/// The first marker of a JPEG file.
const JPEG_START: [u8; 2] = [0xff, 0xd8];

/// True if the markers of a JPEG file (ITU-T T.81, annex B) lead to its end marker. Bytes may follow it.
fn reaches_end(bytes: &[u8]) -> bool {
    let mut at = JPEG_START.len();
    loop {
        // Skips the data of a scan, where 0xff is followed by 0 or by a restart, and filling bytes.
        match bytes.get(at..at + 2) {
            Some([0xff, 0xd9]) => return true,
            Some([0xff, 0xff] | [0..=0xfe, _]) => at += 1,
            Some([0xff, 0 | 1 | 0xd0..=0xd7]) => at += 2,
            // A segment that begins with its length.
            Some(_) => match bytes.get(at + 2..at + 4) {
                Some(&[high, low]) => at += 2 + usize::from(u16::from_be_bytes([high, low])),
                _ => return false,
            },
            None => return false,
        }
    }
}

/// An image file that was decoded.
pub(super) struct Picture {
    image: DynamicImage,
    pub format: ImageFormat,
}

impl Picture {
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let bytes = read_at_most(path, MOST_FILE_BYTES)?;
        let damaged = |reason: String| DataError::Damaged {
            path: path.to_path_buf(),
            reason,
        };
        // The decoder fills the rest of a truncated file with grey.
        if bytes.starts_with(&JPEG_START) && !reaches_end(&bytes) {
            return Err(damaged("the JPEG file is cut off".to_owned()));
        }
        Self::decode(bytes).map_err(|error| damaged(error.to_string()))
    }

    fn decode(bytes: Vec<u8>) -> Result<Self, ImageError> {
        let format = image::guess_format(&bytes)?;
        let mut limits = Limits::default();
        limits.max_image_width = Some(MOST_PIXELS);
        limits.max_image_height = Some(MOST_PIXELS);
        // Another crate of the program may enable other formats.
        if !matches!(format, ImageFormat::Png | ImageFormat::Jpeg) {
            let hint = image::error::ImageFormatHint::Exact(format);
            return Err(ImageError::Unsupported(hint.into()));
        }
        let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
        reader.limits(limits.clone());
        let mut decoder = reader.into_decoder()?;
        limits.reserve(decoder.total_bytes())?;
        let orientation = decoder.orientation()?;
        let mut image = DynamicImage::from_decoder(decoder)?;
        image.apply_orientation(orientation);
        Ok(Self { image, format })
    }

    /// Height and width.
    pub fn size(&self) -> [usize; 2] {
        [self.image.height() as usize, self.image.width() as usize]
    }

    /// The number of channels without transparency: 1 or 3.
    pub fn channels(&self) -> usize {
        if self.image.color().has_color() { 3 } else { 1 }
    }

    /// The image as `[channels, height, width]`, in values of 16 bits, with one channel or three.
    pub fn planes(self, [channels, height, width]: [usize; 3], ground: Ground) -> Vec<u16> {
        let size = (width as u32, height as u32);
        let own = (self.image.width(), self.image.height());
        if channels == 1 {
            let image = self.image.into_luma_alpha16();
            let pixels = image.pixels();
            let flat = pixels.map(|LumaA([luma, alpha])| ground.mix(*luma, *alpha));
            return resized::<Luma<u16>>(flat.collect(), own, size);
        }
        let image = self.image.into_rgba16();
        let flat = image.pixels().flat_map(|Rgba([red, green, blue, alpha])| {
            [*red, *green, *blue].map(|value| ground.mix(value, *alpha))
        });
        let pixels = resized::<Rgb<u16>>(flat.collect(), own, size);
        let plane = |channel| pixels.iter().skip(channel).step_by(3).copied();
        (0..3).flat_map(plane).collect()
    }
}

/// The values of an image of the size `own`, width and height, in another size.
fn resized<P: Pixel<Subpixel = u16> + 'static>(
    values: Vec<u16>,
    own: (u32, u32),
    size: (u32, u32),
) -> Vec<u16> {
    if own == size {
        return values;
    }
    let image = ImageBuffer::<P, _>::from_vec(own.0, own.1, values);
    let image = image.expect("as many pixels as before");
    resize(&image, size.0, size.1, FilterType::Triangle).into_raw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayAlphaImage, GrayImage, RgbImage};

    fn read(path: &Path, [height, width]: [usize; 2]) -> Result<Vec<f32>, DataError> {
        read_image(path, [1, height, width], Ground::Dark)
    }

    #[test]
    fn images_become_the_size_of_the_input() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dot.png");
        let mut dot = GrayImage::new(56, 56);
        for (x, y) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            dot.put_pixel(x, y, Luma([255]));
        }
        dot.save(&path).unwrap();
        let same = read(&path, [56, 56]).unwrap();
        assert_eq!(same[..3], [1.0, 1.0, 0.0]);
        assert_eq!(same.iter().sum::<f32>(), 4.0);
        let half = read(&path, [28, 28]).unwrap();
        assert_eq!(half.len(), 784);
        assert!(half[0] > 0.4 && half[27] == 0.0 && half[783] == 0.0);
        // A grey image has three equal channels.
        let colour = read_image(&path, [3, 28, 28], Ground::Dark).unwrap();
        assert!(colour.chunks(784).all(|plane| plane == half));
    }

    #[test]
    fn colours_are_planes() {
        let folder = tempfile::tempdir().unwrap();
        let mut image = RgbImage::new(2, 1);
        image.put_pixel(0, 0, Rgb([255, 0, 51]));
        image.put_pixel(1, 0, Rgb([0, 102, 255]));
        let path = folder.path().join("colours.png");
        image.save(&path).unwrap();
        let planes = read_image(&path, [3, 1, 2], Ground::Dark).unwrap();
        assert_eq!(planes, [1.0, 0.0, 0.0, 0.4, 0.2, 1.0]);
        // The content decides, not the name.
        let path = folder.path().join("photograph.png");
        let even = RgbImage::from_pixel(8, 8, Rgb([250, 20, 120]));
        even.save_with_format(&path, ImageFormat::Jpeg).unwrap();
        let planes = read_image(&path, [3, 4, 4], Ground::Dark).unwrap();
        for (plane, expected) in planes.chunks(16).zip([250.0, 20.0, 120.0]) {
            let near = |x: &f32| (x * 255.0 - expected).abs() < 4.0;
            assert!(plane.iter().all(near), "{plane:?}");
        }
    }

    #[test]
    fn transparent_pixels_show_the_ground() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alpha.png");
        // A digit that is in the alpha channel alone: white, and black.
        for (grey, ground, expected) in [
            (255, Ground::Dark, [1.0, 0.0, 0.4]),
            (255, Ground::Bright, [1.0, 1.0, 1.0]),
            (0, Ground::Dark, [0.0, 0.0, 0.0]),
            (0, Ground::Bright, [0.0, 1.0, 0.6]),
        ] {
            let mut image = GrayAlphaImage::new(3, 1);
            for (x, alpha) in [255, 0, 102].into_iter().enumerate() {
                image.put_pixel(x as u32, 0, LumaA([grey, alpha]));
            }
            image.save(&path).unwrap();
            for channels in [1, 3] {
                let pixels = read_image(&path, [channels, 1, 3], ground).unwrap();
                for (pixel, expected) in pixels.iter().zip(expected.repeat(channels)) {
                    assert!((pixel - expected).abs() < 1e-4, "{pixels:?}");
                }
            }
        }
    }

    #[test]
    fn errors_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dot.png");
        let text = |shape| {
            read_image(&path, shape, Ground::Dark)
                .unwrap_err()
                .to_string()
        };
        assert!(text([1, 28, 28]).contains("dot.png"));
        std::fs::write(&path, b"not a picture").unwrap();
        assert!(text([1, 28, 28]).contains("dot.png"));
        // A header that requests all memory, and other formats.
        for bytes in [
            &b"GIF89a"[..],
            &b"\x89PNG\r\n\x1a\n"[..],
            b"BM",
            b"\xff\xd8\xff",
        ] {
            std::fs::write(&path, bytes).unwrap();
            assert!(text([1, 28, 28]).contains("dot.png: "));
        }
        assert!(text([2, 1, 1]).ends_with("dot.png: `number of channels` is 2, expected 1 or 3"));
        assert!(text([1, 0, 5]).contains("`image size` is 0x5, expected 1 to 8192 pixels each"));
        assert!(text([1, 1, 9000]).contains("`image size` is 1x9000"));
        GrayImage::new(9000, 1).save(&path).unwrap();
        assert!(text([1, 28, 28]).contains("dot.png: "));
    }

    #[test]
    fn files_that_are_cut_off_or_changed_never_panic() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut");
        let image = RgbImage::from_fn(9, 7, |x, y| Rgb([x as u8 * 20, y as u8 * 30, 99]));
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            image.save_with_format(&path, format).unwrap();
            let whole = std::fs::read(&path).unwrap();
            let read = |bytes: &[u8]| {
                std::fs::write(&path, bytes).unwrap();
                read_image(&path, [3, 7, 9], Ground::Dark)
            };
            assert!(read(&whole).is_ok());
            // A PNG is whole without the sum of its last, empty chunk.
            let needed = whole.len() - if format == ImageFormat::Png { 4 } else { 0 };
            for length in 0..needed {
                let error = read(&whole[..length]).unwrap_err().to_string();
                assert!(error.contains("cut: "), "{format:?}, {length}: {error}");
            }
            let longer = [&whole[..], b"more"].concat();
            assert_eq!(read(&longer).unwrap(), read(&whole).unwrap());
            for at in 0..whole.len() {
                let mut changed = whole.clone();
                changed[at] ^= 0x55;
                if let Ok(values) = read(&changed) {
                    assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
                }
            }
        }
    }
}
