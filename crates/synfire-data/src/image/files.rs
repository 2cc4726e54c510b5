//! Datasets of image files in class folders.

use std::path::Path;

use image::ImageFormat;
use rayon::prelude::*;

use super::ImageDataset;
use super::read::{Ground, Picture, check_size};
use crate::class_folders::{ClassFolders, Labelled};
use crate::file::MOST_BYTES;
use crate::{DataError, Source};

/// Height and width of the images after resizing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sides {
    /// The size of the first training image.
    OfFirst,
    /// This size: images are resized.
    Resized([usize; 2]),
    /// This size: an image of another size is an error.
    Exactly([usize; 2]),
}

/// Reads all images of class folders, those to train on and those to test on, with the given number of channels. `None`:
/// three if any training image has colours, else one.
pub(crate) fn read_parts(
    folder: &Path,
    folders: &ClassFolders,
    sides: Sides,
    channels: Option<usize>,
) -> Result<([ImageDataset; 2], Source), DataError> {
    let first = &folders.train[0].path;
    let (size, exactly) = match sides {
        Sides::OfFirst => (Picture::read(first)?.size(), false),
        Sides::Resized(size) => (size, false),
        Sides::Exactly(size) => (size, true),
    };
    check_size(first, size)?;
    let read = |files, channels| read_files(files, size, exactly, channels, folder);
    let (train, train_formats) = read(&folders.train, channels)?;
    let channels = train.shape()[0];
    let (test, test_formats) = read(&folders.test, Some(channels))?;
    let formats = [0, 1].map(|i| train_formats[i] || test_formats[i]);
    let source = Source::ImageFiles {
        folder: folder.to_path_buf(),
        format: match formats {
            [true, false] => "PNG",
            [false, _] => "JPEG",
            [true, true] => "PNG and JPEG",
        },
    };
    Ok(([train, test], source))
}

/// The files as images of one shape, and whether any are PNG or JPEG.
fn read_files(
    files: &[Labelled],
    [height, width]: [usize; 2],
    exactly: bool,
    channels: Option<usize>,
    folder: &Path,
) -> Result<(ImageDataset, [bool; 2]), DataError> {
    let plane = height * width;
    let check_count = |channels: usize| {
        let count = files.len() as u64 * plane as u64 * channels as u64;
        if count <= MOST_BYTES {
            return Ok(());
        }
        let value = format!("{} of {height}x{width}", files.len());
        let expected =
            format!("at most {MOST_BYTES} pixel values; images of a smaller size have fewer");
        Err(DataError::format(folder, "images", value, expected))
    };
    check_count(channels.unwrap_or(1))?;
    let images = files.par_iter().map(|file| {
        let picture = Picture::read(&file.path)?;
        if exactly && picture.size() != [height, width] {
            let [own_height, own_width] = picture.size();
            let own = format!("{own_height}x{own_width}");
            let expected = format!("{height}x{width}");
            return Err(DataError::format(&file.path, "image size", own, expected));
        }
        let format = picture.format;
        let own = channels.unwrap_or(picture.channels());
        let values = picture.planes([own, height, width], Ground::Dark);
        // From 16 to 8 bits: 65,535 becomes 255.
        let values = values.into_iter().map(u32::from);
        let bytes = values.map(|x| ((x + 128) / 257) as u8);
        Ok((bytes.collect::<Vec<u8>>(), format))
    });
    let images = images.collect::<Result<Vec<_>, DataError>>()?;
    let widest = images.iter().map(|(bytes, _)| bytes.len() / plane).max();
    let channels = channels.or(widest).unwrap_or(1);
    check_count(channels)?;
    let mut formats = [false; 2];
    let mut pixels = Vec::with_capacity(files.len() * channels * plane);
    for (bytes, format) in images {
        formats[usize::from(format == ImageFormat::Jpeg)] = true;
        // A grey image among colours has three equal channels.
        for _ in 0..channels * plane / bytes.len() {
            pixels.extend_from_slice(&bytes);
        }
    }
    let labels = files.iter().map(|file| file.label).collect();
    let shape = [channels, height, width];
    let images = ImageDataset::from_parts(folder, shape, pixels, labels)?;
    Ok((images, formats))
}
