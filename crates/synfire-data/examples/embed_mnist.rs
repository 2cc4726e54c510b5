//! Makes the digits that `synfire-data` embeds from the full MNIST:
//! `cargo run --release -p synfire-data --no-default-features --example embed_mnist -- MNIST_FOLDER OUTPUT_FOLDER`.

use std::error::Error;
use std::io::Write;
use std::path::Path;

use burn::data::dataset::Dataset;
use flate2::{Compression, GzBuilder};
use synfire_data::{ImageDataset, encode_idx, write_atomically};

fn main() -> Result<(), Box<dyn Error>> {
    let folders: Vec<_> = std::env::args().skip(1).collect();
    let [from, to] = folders.as_slice() else {
        return Err("expected two folders: MNIST's idx files, and where to write".into());
    };
    for (part, of_each_class) in [("train", 400), ("t10k", 100)] {
        let data = ImageDataset::from_idx_folder(from, part)?;
        let chosen = choose(data.labels(), of_each_class);
        let count = chosen.len() as u32;
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        for index in chosen {
            let item = data.get(index)?;
            images.extend(item.pixels);
            labels.push(item.label);
        }
        let path = |name| Path::new(to).join(format!("{part}-{name}-ubyte.gz"));
        let images = encode_idx(&[count, 28, 28], &images);
        write(&path("images-idx3"), &images)?;
        write(&path("labels-idx1"), &encode_idx(&[count], &labels))?;
    }
    Ok(())
}

/// `of_each_class` images of every class, evenly spaced over those of the class.
fn choose(labels: &[u8], of_each_class: usize) -> Vec<usize> {
    let mut chosen: Vec<usize> = (0..10)
        .flat_map(|class| {
            let of_class: Vec<usize> = (0..labels.len()).filter(|i| labels[*i] == class).collect();
            (0..of_each_class).map(move |i| of_class[i * of_class.len() / of_each_class])
        })
        .collect();
    chosen.sort();
    chosen
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    write_atomically(path, |file| {
        // Without a timestamp, so that the same digits give the same file.
        let mut encoder = GzBuilder::new().mtime(0).write(file, Compression::best());
        encoder.write_all(bytes)?;
        encoder.finish()?;
        Ok(())
    })
}
