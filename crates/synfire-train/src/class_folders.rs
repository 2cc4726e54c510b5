//! Images in folders that are named by their classes.

use std::path::Path;

use crate::RunError;
use crate::document::entries;
use crate::look::{Ground, read_image};

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

impl ClassFolders {
    /// Reads `folder/<class>/<image>.png`, as grey images of this height and width, on black where they are
    /// transparent. Files with other endings are passed over.
    ///
    /// # Errors
    ///
    /// If a folder cannot be read or has no PNG file, there are fewer than two, or a file is damaged.
    pub fn read(folder: &Path, size: [usize; 2]) -> Result<Self, RunError> {
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
                let ending = path.extension().unwrap_or_default();
                if !ending.eq_ignore_ascii_case("png") {
                    continue;
                }
                all.images.push(read_image(&path, size, Ground::Dark)?);
                all.labels.push(all.classes.len());
            }
            if all.images.len() == before {
                return Err(damaged(&class, "there is no PNG file in it".to_owned()));
            }
            let name = class.file_name().unwrap_or_default();
            all.classes.push(name.to_string_lossy().into_owned());
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use image::{GrayImage, Luma};

    fn save(folder: &Path, name: &str, grey: u8) {
        fs::create_dir_all(folder).unwrap();
        let image = GrayImage::from_pixel(5, 4, Luma([grey]));
        image.save(folder.join(name)).unwrap();
    }

    #[test]
    fn folders_are_classes() {
        let folder = tempfile::tempdir().unwrap();
        save(&folder.path().join("night"), "b.png", 0);
        save(&folder.path().join("day"), "a.png", 255);
        save(&folder.path().join("day"), "c.PNG", 51);
        fs::write(folder.path().join("day/notes.txt"), "no image").unwrap();
        let found = ClassFolders::read(folder.path(), [2, 3]).unwrap();
        assert_eq!(found.classes, ["day", "night"]);
        assert_eq!(found.labels, [0, 0, 1]);
        assert_eq!(found.images, [vec![1.0; 6], vec![0.2; 6], vec![0.0; 6]]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let read = || {
            ClassFolders::read(folder.path(), [2, 2])
                .unwrap_err()
                .to_string()
        };
        assert!(read().contains("images of 0 classes"), "{}", read());
        save(&folder.path().join("one"), "a.png", 9);
        assert!(read().contains("images of 1 classes"), "{}", read());
        fs::create_dir(folder.path().join("two")).unwrap();
        assert!(
            read().contains("two: there is no PNG file in it"),
            "{}",
            read()
        );
        fs::write(folder.path().join("two/broken.png"), "no image").unwrap();
        assert!(read().contains("broken.png"), "{}", read());
        let missing = ClassFolders::read(&folder.path().join("missing"), [2, 2]);
        assert!(missing.unwrap_err().to_string().contains("missing"));
    }
}
