//! PNG and JPEG files in class folders.

use super::NamedDataset;
use crate::{Data, DataError, DataSource, Loader};

/// The endings of image files.
#[cfg(feature = "images")]
pub(super) const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];

pub(super) struct Definition;

impl NamedDataset for Definition {
    fn name(&self) -> &'static str {
        "images"
    }

    fn about(&self) -> &'static str {
        "PNG or JPEG files in class folders: the folder decides image size and classes"
    }

    fn hint(&self) -> &'static str {
        "a folder with train/<class>/*.png and test/<class>/*.png, or .jpg, or with <class>/*.png, of which a sixth is to \
         test on"
    }

    fn shape(&self) -> ([usize; 3], usize) {
        ([3, 32, 32], 2)
    }

    #[cfg(feature = "images")]
    fn load(&self, loader: &Loader, choice: &DataSource) -> Result<Data, DataError> {
        use crate::class_folders::ClassFolders;
        use crate::image::{Sides, read_parts};

        let folder = self.folder(choice)?;
        let folders = ClassFolders::find(folder, &ENDINGS, self.hint())?;
        let sides = loader.image_size().map_or(Sides::OfFirst, Sides::Resized);
        let (parts, source) = read_parts(folder, &folders, sides, loader.image_channels())?;
        Ok(Data::new(parts, folders.classes, source))
    }

    #[cfg(not(feature = "images"))]
    fn load(&self, _loader: &Loader, choice: &DataSource) -> Result<Data, DataError> {
        self.folder(choice)?;
        Err(DataError::Unavailable {
            dataset: self.name(),
            tried: vec!["image files: not built with the feature `images`".to_owned()],
        })
    }
}
