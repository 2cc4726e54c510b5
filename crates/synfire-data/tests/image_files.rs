//! Datasets of PNG and JPEG files in class folders.

#![cfg(feature = "images")]

use std::fs;
use std::path::Path;

use image::{GrayImage, Luma, Rgb, RgbImage};
use synfire_data::{Data, DataError, DataSource, DatasetName, Loader, Samples, Source};
use tempfile::tempdir;

/// An even image of this colour.
fn save(path: &Path, [height, width]: [u32; 2], colour: [u8; 3]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    RgbImage::from_pixel(width, height, Rgb(colour))
        .save(path)
        .unwrap();
}

fn save_grey(path: &Path, [height, width]: [u32; 2], grey: u8) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    GrayImage::from_pixel(width, height, Luma([grey]))
        .save(path)
        .unwrap();
}

fn load(folder: &Path) -> Result<Data, DataError> {
    DatasetName::Images.load(&DataSource::Folder(folder.into()))
}

fn pixels(samples: &Samples, index: usize) -> Vec<f32> {
    let Samples::Images(images) = samples else {
        panic!("no images")
    };
    images
        .batch([index])
        .unwrap()
        .0
        .iter()
        .map(|x| x * 255.0)
        .collect()
}

#[test]
fn folders_are_classes() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    save(&path("train/day/1.png"), [2, 3], [200, 100, 0]);
    // Another size, and grey among colours.
    save_grey(&path("train/day/2.PNG"), [20, 30], 7);
    save(&path("train/night/1.png"), [2, 3], [0, 0, 50]);
    save(&path("test/night/1.png"), [5, 4], [1, 2, 3]);
    let data = load(folder.path()).unwrap();
    assert_eq!((data.shape, data.classes), ([3, 2, 3], 2));
    assert_eq!(data.class_names, ["day", "night"]);
    assert_eq!(
        (data.train.labels(), data.test.labels()),
        (&[0, 0, 1][..], &[1][..])
    );
    let planes = |values: [f32; 3]| values.map(|x| [x; 6]).concat();
    assert_eq!(pixels(&data.train, 0), planes([200.0, 100.0, 0.0]));
    assert_eq!(pixels(&data.train, 1), planes([7.0; 3]));
    assert_eq!(pixels(&data.test, 0), planes([1.0, 2.0, 3.0]));
    let source = Source::ImageFiles {
        folder: folder.path().into(),
        format: "PNG",
    };
    assert_eq!(data.source, source);
    assert_eq!(
        source.to_string(),
        "from PNG files in the folder that was named"
    );

    let loader = Loader::new().with_image_size([4, 8]);
    let choice = DataSource::Folder(folder.path().into());
    let data = DatasetName::Images.load_with(&loader, &choice).unwrap();
    assert_eq!(data.shape, [3, 4, 8]);
    let error = DatasetName::Images
        .load_with(&loader.with_image_size([0, 8]), &choice)
        .unwrap_err();
    assert!(error.to_string().contains("`image size` is 0x8"), "{error}");
}

#[test]
fn grey_images_without_a_split_are_divided() {
    let folder = tempdir().unwrap();
    for class in ["a", "b"] {
        for i in 0..6 {
            save_grey(
                &folder.path().join(format!("{class}/{i}.png")),
                [1, 1],
                i * 10,
            );
        }
    }
    let data = load(folder.path()).unwrap();
    assert_eq!(data.shape, [1, 1, 1]);
    assert_eq!((data.train.len(), data.test.labels()), (10, &[0, 1][..]));
    let again = load(folder.path()).unwrap();
    assert_eq!(data.fingerprints().unwrap(), again.fingerprints().unwrap());
}

#[test]
fn errors_name_the_file() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let error = || load(folder.path()).unwrap_err().to_string();
    save(&path("train/a/1.png"), [2, 2], [0; 3]);
    save(&path("train/b/1.png"), [2, 2], [0; 3]);
    assert!(error().contains("there is no folder `test`"), "{}", error());
    save(&path("test/a/1.png"), [2, 2], [0; 3]);
    assert_eq!(load(folder.path()).unwrap().train.len(), 2);
    fs::write(path("train/b/1.png"), b"not an image").unwrap();
    assert!(error().contains("1.png: "), "{}", error());
    let whole = fs::read(path("train/a/1.png")).unwrap();
    fs::write(path("train/b/1.png"), &whole[..whole.len() / 2]).unwrap();
    assert!(error().contains("1.png: "), "{}", error());
    // Not read: it would take all memory.
    fs::File::create(path("train/b/1.png"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    assert!(
        error().contains("1.png: `file size` is 1099511627776 bytes"),
        "{}",
        error()
    );
    fs::remove_file(path("train/b/1.png")).unwrap();
    fs::create_dir(path("train/b/1.png")).unwrap();
    assert!(error().contains("1.png: is a directory"), "{}", error());

    // One image of a class to train on.
    let folder = tempdir().unwrap();
    save(&folder.path().join("a/1.png"), [1, 1], [0; 3]);
    save(&folder.path().join("b/1.png"), [1, 1], [0; 3]);
    let error = load(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("there is no file with the ending png, jpg, jpeg to test on"),
        "{error}"
    );
}

#[test]
fn cifar10_is_read_from_image_files() {
    let folder = tempdir().unwrap();
    let classes = "airplane automobile bird cat deer dog frog horse ship truck";
    for class in classes.split(' ') {
        for part in ["train", "test"] {
            let path = folder.path().join(format!("{part}/{class}/0000.jpg"));
            save(&path, [32, 32], [90, 80, 70]);
        }
    }
    let load = || DatasetName::Cifar10.load(&DataSource::Folder(folder.path().into()));
    let error = || load().unwrap_err().to_string();
    let data = load().unwrap();
    assert_eq!((data.shape, data.classes), ([3, 32, 32], 10));
    assert_eq!(data.train.labels(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(data.class_names.join(" "), classes);
    assert_eq!(
        data.source.to_string(),
        "from JPEG files in the folder that was named"
    );
    // The same folder is the same data as `images`.
    let images = self::load(folder.path()).unwrap();
    assert_eq!(data.fingerprints().unwrap(), images.fingerprints().unwrap());

    save(&folder.path().join("train/frog/1.jpg"), [32, 31], [0; 3]);
    let said = "1.jpg: `image size` is 32x31, expected 32x32";
    assert!(error().ends_with(said), "{}", error());
    fs::rename(
        folder.path().join("train/frog"),
        folder.path().join("train/toad"),
    )
    .unwrap();
    assert!(error().contains("class"), "{}", error());
    fs::rename(
        folder.path().join("test/frog"),
        folder.path().join("test/toad"),
    )
    .unwrap();
    assert!(error().contains("`classes` is airplane, "), "{}", error());
}
