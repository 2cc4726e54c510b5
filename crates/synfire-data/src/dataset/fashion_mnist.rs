//! Fashion-MNIST (Xiao, Rasul, Vollgraf 2017).

use super::NamedDataset;
use crate::source::{Published, PublishedFile};
use crate::{Data, DataError, DataSource, ImageSet, Loader};

pub(crate) static PUBLISHED: Published = Published {
    name: "fashion-mnist",
    files: &PublishedFile::mnist_family([
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ]),
    mirrors: &["https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion"],
    npm: None,
    debian: true,
};

/// The classes, in the order of their labels.
const CLASSES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

pub(super) struct Definition;

impl NamedDataset for Definition {
    fn name(&self) -> &'static str {
        PUBLISHED.name
    }

    fn about(&self) -> &'static str {
        "Articles of clothing: 60,000 + 10,000 grey images, 28x28, 10 classes"
    }

    fn hint(&self) -> &'static str {
        super::mnist::Definition.hint()
    }

    fn shape(&self) -> ([usize; 3], usize) {
        ([1, 28, 28], 10)
    }

    fn load(&self, loader: &Loader, choice: &DataSource) -> Result<Data, DataError> {
        let loaded = loader.load(ImageSet::FashionMnist, choice)?;
        Ok(Data::of_images(loaded, super::named(CLASSES)))
    }
}
