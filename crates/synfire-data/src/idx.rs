//! The idx format of the MNIST family: a magic number, the sizes of the axes, the bytes.
//!
//! Described on the site of the MNIST database (LeCun, Cortes, Burges). Files may be compressed with gzip.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;

use crate::DataError;

/// An idx file of unsigned bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Idx {
    /// The sizes of the axes, slowest first.
    pub sizes: Vec<usize>,
    /// The values, as many as the sizes say.
    pub bytes: Vec<u8>,
}

/// No dataset of bytes that fits such a model comes near this; a header that asks for more is damaged.
const MOST_BYTES: u64 = 1 << 32;

impl Idx {
    /// Reads `name` or `name.gz` in `folder`. Returns the path it found, too.
    pub fn find(folder: &Path, name: &str, axes: usize) -> Result<(Self, PathBuf), DataError> {
        for name in [name.to_owned(), format!("{name}.gz")] {
            let path = folder.join(name);
            if path.is_file() {
                return Ok((Self::open(&path, axes)?, path));
            }
        }
        Err(DataError::Missing {
            folder: folder.to_path_buf(),
            name: name.to_owned(),
        })
    }

    /// Reads a file, compressed or not, that must have `axes` axes.
    pub fn open(path: &Path, axes: usize) -> Result<Self, DataError> {
        let file = File::open(path).map_err(DataError::io(path))?;
        Self::read(BufReader::new(file), axes, path)
    }

    /// Reads a stream, compressed or not; `path` is for error messages.
    pub fn read(stream: impl io::BufRead, axes: usize, path: &Path) -> Result<Self, DataError> {
        let mut stream = plain(stream).map_err(DataError::io(path))?;
        let mut word = |field: &'static str| -> Result<u32, DataError> {
            let mut word = [0; 4];
            match stream.read_exact(&mut word) {
                Ok(()) => Ok(u32::from_be_bytes(word)),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(wrong(
                    path,
                    field,
                    "cut off".to_owned(),
                    "4 bytes".to_owned(),
                )),
                Err(error) => Err(DataError::io(path)(error)),
            }
        };

        // Two zero bytes, the type (8: unsigned bytes), the number of axes.
        let magic = word("magic number")?;
        let expected = 0x0800 | axes as u32;
        if magic != expected {
            return Err(wrong(
                path,
                "magic number",
                format!("{magic:#010x}"),
                format!("{expected:#010x} (unsigned bytes in {axes} axes)"),
            ));
        }
        let sizes = (0..axes)
            .map(|_| word("axis sizes"))
            .collect::<Result<Vec<_>, _>>()?;
        let length = sizes
            .iter()
            .try_fold(1u64, |product, size| product.checked_mul(u64::from(*size)))
            .filter(|length| *length <= MOST_BYTES)
            .ok_or_else(|| {
                wrong(
                    path,
                    "axis sizes",
                    format!("{sizes:?}"),
                    format!("at most {MOST_BYTES} values"),
                )
            })?;

        // One byte more than announced, to notice a longer file; and no allocation on the header's word alone.
        let mut bytes = Vec::new();
        let whole = match stream.by_ref().take(length + 1).read_to_end(&mut bytes) {
            Ok(_) => true,
            // What the decompressor says of a file that was cut off.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
            Err(error) => return Err(DataError::io(path)(error)),
        };
        if !whole || bytes.len() as u64 != length {
            let value = if bytes.len() as u64 > length {
                "longer".to_owned()
            } else {
                format!("cut off after {} bytes", bytes.len())
            };
            return Err(wrong(
                path,
                "data",
                value,
                format!("{length} bytes for sizes {sizes:?}"),
            ));
        }
        Ok(Self {
            sizes: sizes.into_iter().map(|size| size as usize).collect(),
            bytes,
        })
    }
}

/// The stream without its compression, if it has one.
pub(crate) fn plain<'a>(mut stream: impl io::BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    Ok(if stream.fill_buf()?.starts_with(&GZIP) {
        Box::new(GzDecoder::new(stream))
    } else {
        Box::new(stream)
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

fn wrong(path: &Path, field: &'static str, value: String, expected: String) -> DataError {
    DataError::Format {
        path: path.to_path_buf(),
        field,
        value,
        expected,
    }
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
