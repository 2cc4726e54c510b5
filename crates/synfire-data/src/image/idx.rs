//! The idx format of the MNIST family: a magic number, the sizes of the axes, the bytes.
//!
//! Described on the site of the MNIST database (LeCun, Cortes, Burges). Files may be compressed with gzip.

use std::cmp::Ordering;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::file::MOST_BYTES;
use crate::{DataError, open_regular};

/// An idx file of unsigned bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Idx {
    /// The file, for error messages.
    pub path: PathBuf,
    /// The sizes of the axes, slowest first.
    pub sizes: Vec<usize>,
    /// The values, as many as the sizes say.
    pub bytes: Vec<u8>,
}

impl Idx {
    /// Reads `name` or `name.gz` in `folder`, compressed or not, that must have `axes` axes.
    pub fn find(folder: &Path, name: &str, axes: usize) -> Result<Self, DataError> {
        let mut in_the_way = None;
        for name in [name.to_owned(), format!("{name}.gz")] {
            let path = folder.join(name);
            let error = match open_regular(&path) {
                Ok(file) => return Self::read(BufReader::new(file), axes, &path),
                Err(error) => error,
            };
            match error.kind() {
                io::ErrorKind::NotFound => {}
                // Some programs unpack `name.gz` into a folder `name` beside it: then the compressed file will do.
                io::ErrorKind::IsADirectory | io::ErrorKind::InvalidInput => {
                    in_the_way = in_the_way.or(Some(DataError::io(&path)(error)));
                }
                _ => return Err(DataError::io(&path)(error)),
            }
        }
        Err(in_the_way.unwrap_or_else(|| DataError::Missing {
            folder: folder.to_path_buf(),
            name: name.to_owned(),
        }))
    }

    /// Reads a stream, compressed or not, that must have `axes` axes; `path` is for error messages.
    pub fn read(stream: impl io::BufRead, axes: usize, path: &Path) -> Result<Self, DataError> {
        let mut stream = plain(stream).map_err(DataError::io(path))?;
        let mut word = |field: &'static str| -> Result<u32, DataError> {
            let mut word = [0; 4];
            match stream.read_exact(&mut word) {
                Ok(()) => Ok(u32::from_be_bytes(word)),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    Err(DataError::format(path, field, "cut off", "4 bytes"))
                }
                Err(error) => Err(DataError::io(path)(error)),
            }
        };

        // Two zero bytes, the type (8: unsigned bytes), the number of axes.
        let magic = word("magic number")?;
        let expected = 0x0800 | axes as u32;
        if magic != expected {
            let magic = format!("{magic:#010x}");
            let expected = format!("{expected:#010x} (unsigned bytes in {axes} axes)");
            return Err(DataError::format(path, "magic number", magic, expected));
        }
        let sizes = (0..axes).map(|_| word("axis sizes"));
        let sizes = sizes.collect::<Result<Vec<_>, _>>()?;
        let wrong_sizes = |expected: String| {
            DataError::format(path, "axis sizes", format!("{sizes:?}"), expected)
        };
        // A dataset without images or without pixels is useless.
        if sizes.contains(&0) {
            return Err(wrong_sizes("at least 1 each".to_owned()));
        }
        let mut factors = sizes.iter().map(|size| u64::from(*size));
        let length = factors.try_fold(1u64, u64::checked_mul);
        let length = length.filter(|length| *length <= MOST_BYTES);
        let length = length.ok_or_else(|| wrong_sizes(format!("at most {MOST_BYTES} values")))?;

        // Reads one byte more than the header announces, to detect a longer file or trailing data, and never allocates by the
        // header alone.
        let mut bytes = Vec::new();
        let whole = match stream.by_ref().take(length + 1).read_to_end(&mut bytes) {
            Ok(_) => true,
            // The decompressor's error for a truncated file.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
            Err(error) => return Err(DataError::io(path)(error)),
        };
        if !whole || bytes.len() as u64 != length {
            let trailing =
                "followed by a part of the compression that is cut off, or by other bytes";
            let value = match (bytes.len() as u64).cmp(&length) {
                Ordering::Greater => "longer".to_owned(),
                Ordering::Equal => trailing.to_owned(),
                Ordering::Less => format!("cut off after {} bytes", bytes.len()),
            };
            let expected = format!("{length} bytes for sizes {sizes:?}");
            return Err(DataError::format(path, "data", value, expected));
        }
        Ok(Self {
            path: path.to_path_buf(),
            sizes: sizes.into_iter().map(|size| size as usize).collect(),
            bytes,
        })
    }
}

/// Decompresses the stream if it is compressed. A compressed stream may have several members, as from `cat` or programs
/// that compress in parallel. Reading to its end returns an error if other data follow them.
pub(crate) fn plain<'a>(mut stream: impl io::BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    Ok(match stream.fill_buf()?.starts_with(&GZIP) {
        true => Box::new(MultiGzDecoder::new(stream)),
        false => Box::new(stream),
    })
}

/// The bytes of an idx file with these sizes of its axes.
///
/// ```
/// let labels = synfire_data::encode_idx(&[3], &[7, 1, 0]);
/// assert_eq!(labels, [0, 0, 8, 1, 0, 0, 0, 3, 7, 1, 0]);
/// ```
pub fn encode_idx(sizes: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, sizes.len() as u8];
    file.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    file.extend(bytes);
    file
}

#[cfg(test)]
mod tests {
    use super::encode_idx as file;
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn read(file: &[u8], axes: usize) -> Result<Idx, String> {
        Idx::read(file, axes, Path::new("some.idx")).map_err(|error| error.to_string())
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn plain_and_compressed_files_are_read() {
        let file = file(&[2, 1, 3], &[1, 2, 3, 4, 5, 6]);
        let idx = read(&file, 3).unwrap();
        assert_eq!(idx.sizes, [2, 1, 3]);
        assert_eq!(idx.bytes, [1, 2, 3, 4, 5, 6]);
        assert_eq!(read(&gzip(&file), 3).unwrap(), idx);
    }

    #[test]
    fn labels_in_place_of_images_are_noticed() {
        assert_eq!(
            read(&file(&[2], &[1, 2]), 3).unwrap_err(),
            "some.idx: `magic number` is 0x00000801, expected 0x00000803 (unsigned bytes in 3 axes)"
        );
    }

    #[test]
    fn every_truncation_is_an_error() {
        let whole = file(&[3, 2, 2], &[7; 12]);
        for length in 0..whole.len() {
            assert!(read(&whole[..length], 3).is_err(), "{length} bytes");
        }
        assert_eq!(
            read(&whole[..20], 3).unwrap_err(),
            "some.idx: `data` is cut off after 4 bytes, expected 12 bytes for sizes [3, 2, 2]"
        );
        let compressed = gzip(&file(
            &[4, 16, 16],
            &(0..=255).collect::<Vec<u8>>().repeat(4),
        ));
        for length in 0..compressed.len() {
            assert!(
                read(&compressed[..length], 3).is_err(),
                "{length} compressed bytes"
            );
        }
    }

    #[test]
    fn trailing_bytes_and_absurd_sizes_are_errors() {
        assert!(
            read(&file(&[2], &[1, 2, 3]), 1)
                .unwrap_err()
                .contains("`data` is longer")
        );
        let error = read(&file(&[u32::MAX, u32::MAX, u32::MAX], &[]), 3).unwrap_err();
        assert!(error.contains("`axis sizes` is [4294967295"), "{error}");
        assert!(
            read(&[], 1)
                .unwrap_err()
                .contains("`magic number` is cut off")
        );
    }

    #[test]
    fn members_of_a_compressed_file_belong_together() {
        let file = file(&[4, 2, 2], &(0..16).collect::<Vec<u8>>());
        let whole = read(&file, 3).unwrap();
        for at in [0, 2, 7, 20, file.len()] {
            let (first, second) = file.split_at(at);
            let members = [gzip(first), gzip(second)].concat();
            assert_eq!(read(&members, 3).unwrap(), whole, "divided at {at}");
        }
        let members = [gzip(&file[..20]), gzip(&file[20..])].concat();
        for length in 0..members.len() {
            assert!(read(&members[..length], 3).is_err(), "{length} bytes");
        }
        let cut = gzip(&file[..20]);
        assert_eq!(
            read(&cut, 3).unwrap_err(),
            "some.idx: `data` is cut off after 4 bytes, expected 16 bytes for sizes [4, 2, 2]"
        );
    }

    #[test]
    fn nothing_follows_the_compression() {
        let compressed = gzip(&file(&[2], &[1, 2]));
        let error = |tail: &[u8]| read(&[&compressed[..], tail].concat(), 1).unwrap_err();
        for tail in [
            &b"x"[..],
            &b"more than the header of a member has"[..],
            &[0_u8; 600][..],
            &compressed[..5],
            &compressed[..compressed.len() - 1],
        ] {
            let error = error(tail);
            assert!(error.starts_with("some.idx: "), "{error}");
        }
        assert_eq!(
            error(b"x"),
            "some.idx: `data` is followed by a part of the compression that is cut off, or by other bytes, \
             expected 2 bytes for sizes [2]"
        );
        assert!(error(&gzip(b"x")).contains("`data` is longer"));
        assert!(error(b"more than a header").contains("invalid gzip header"));
    }

    #[test]
    fn an_axis_without_anything_is_an_error() {
        for sizes in [&[0_u32, 28, 28][..], &[3_u32, 28, 0][..], &[0_u32][..]] {
            assert_eq!(
                read(&file(sizes, &[]), sizes.len()).unwrap_err(),
                format!("some.idx: `axis sizes` is {sizes:?}, expected at least 1 each")
            );
        }
    }

    #[test]
    fn a_directory_in_place_of_a_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let name = "train-labels-idx1-ubyte";
        std::fs::create_dir(folder.path().join(name)).unwrap();
        let error = Idx::find(folder.path(), name, 1).unwrap_err().to_string();
        assert!(
            error.ends_with("train-labels-idx1-ubyte: is a directory, expected a regular file"),
            "{error}"
        );
        // A folder of the file's name beside the compressed file is ignored.
        let beside = folder.path().join(format!("{name}.gz"));
        std::fs::write(&beside, gzip(&file(&[1], &[7]))).unwrap();
        let found = Idx::find(folder.path(), name, 1).unwrap();
        assert_eq!((found.path, found.bytes), (beside, vec![7]));
    }

    #[test]
    fn a_missing_file_is_named_with_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let error = Idx::find(folder.path(), "train-labels-idx1-ubyte", 1).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("neither `train-labels-idx1-ubyte` nor")
        );
    }
}
