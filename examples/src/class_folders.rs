//! Images in folders that are named by their classes.

use std::fs;
use std::path::{Path, PathBuf};

use image::imageops::{FilterType, resize};

use crate::RunError;

/// Grey images of one size, with their classes.
#[derive(Clone, Debug)]
pub struct ClassFolders {
    /// The names of the classes, in alphabetical order.
    pub classes: Vec<String>,
    /// Intensities, 0 to 1, row by row.
    pub images: Vec<Vec<f32>>,
    /// The class of each image.
    pub labels: Vec<usize>,
}

/// The entries of a folder, in alphabetical order.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, RunError> {
    let found = fs::read_dir(folder).map_err(RunError::io(folder))?;
    let found = found.map(|entry| entry.map(|entry| entry.path()));
    let mut found = found
        .collect::<Result<Vec<_>, _>>()
        .map_err(RunError::io(folder))?;
    found.sort();
    Ok(found)
}

impl ClassFolders {
    /// Reads `folder/<class>/<image>.png`, as grey images of this height and width.
    ///
    /// # Errors
    ///
    /// If a folder cannot be read, there are fewer than two classes, or a file is no PNG.
    pub fn read(folder: &Path, [height, width]: [usize; 2]) -> Result<Self, RunError> {
        let damaged = |path: &Path, reason: String| RunError::Damaged {
            path: path.to_owned(),
            reason,
        };
        let mut all = Self {
            classes: Vec::new(),
            images: Vec::new(),
            labels: Vec::new(),
        };
        for class in entries(folder)? {
            if !class.is_dir() {
                continue;
            }
            let before = all.images.len();
            for path in entries(&class)? {
                if path.extension().is_none_or(|ending| ending != "png") {
                    continue;
                }
                let image = image::open(&path);
                let image = image.map_err(|error| damaged(&path, error.to_string()))?;
                let size = (width as u32, height as u32);
                let grey = resize(&image.to_luma8(), size.0, size.1, FilterType::Triangle);
                let pixels = grey.into_raw();
                all.images.push(
                    pixels
                        .iter()
                        .map(|pixel| f32::from(*pixel) / 255.0)
                        .collect(),
                );
                all.labels.push(all.classes.len());
            }
            if all.images.len() > before {
                let name = class.file_name().unwrap_or_default();
                all.classes.push(name.to_string_lossy().into_owned());
            }
        }
        match all.classes.len() {
            0 | 1 => Err(damaged(
                folder,
                format!(
                    "there are images of {} classes, expected two folders of PNG files or more",
                    all.classes.len()
                ),
            )),
            _ => Ok(all),
        }
    }
}
