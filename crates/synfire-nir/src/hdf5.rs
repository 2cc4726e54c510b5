//! HDF5 files as [entries](Entries), and back.

use hdf5_pure::{DType, Dataset, FileBuilder, Group, VlenStringReadOptions};

use crate::array::{Numbers, elements};
use crate::{Array, Entries, Entry, Limits, NirError};

/// Reads a file.
pub(crate) fn read(bytes: Vec<u8>, limits: Limits) -> Result<Entries, NirError> {
    let file = hdf5_pure::File::from_bytes(bytes).map_err(damaged)?;
    let mut reader = Reader {
        left: limits,
        limits,
    };
    reader.group(&file.root(), "", limits.depth)
}

fn damaged(error: impl std::fmt::Display) -> NirError {
    NirError::Hdf5 {
        reason: error.to_string(),
    }
}

struct Reader {
    limits: Limits,
    /// The rest of the limits.
    left: Limits,
}

impl Reader {
    fn group(&mut self, group: &Group, path: &str, depth: usize) -> Result<Entries, NirError> {
        let Some(deeper) = depth.checked_sub(1) else {
            return Err(NirError::TooLarge {
                what: format!("groups inside of each other, down to `{path}`"),
                found: self.limits.depth as u64 + 1,
                limit: self.limits.depth as u64,
            });
        };
        let mut entries = Entries::new();
        let at = |name: &str| match path {
            "" => name.to_owned(),
            path => format!("{path}/{name}"),
        };
        for (name, dataset) in group.iter_datasets().map_err(damaged)? {
            let path = at(&name);
            self.count(&path)?;
            entries.insert(name, self.dataset(&dataset, &path)?);
        }
        for (name, inner) in group.iter_groups().map_err(damaged)? {
            let path = at(&name);
            self.count(&path)?;
            let inner = self.group(&inner, &path, deeper)?;
            entries.insert(name, Entry::Group(inner));
        }
        Ok(entries)
    }

    /// Counts an entry.
    fn count(&mut self, path: &str) -> Result<(), NirError> {
        self.take(path, path.len() as u64)?;
        let left = self.left.entries.checked_sub(1);
        self.left.entries = left.ok_or_else(|| NirError::TooLarge {
            what: "entries of the file".to_owned(),
            found: self.limits.entries as u64 + 1,
            limit: self.limits.entries as u64,
        })?;
        Ok(())
    }

    /// Counts bytes of an entry.
    fn take(&mut self, path: &str, bytes: u64) -> Result<(), NirError> {
        let left = self.left.bytes.checked_sub(bytes);
        self.left.bytes = left.ok_or_else(|| NirError::TooLarge {
            what: format!("bytes up to `{path}`"),
            found: bytes.saturating_add(self.limits.bytes - self.left.bytes),
            limit: self.limits.bytes,
        })?;
        Ok(())
    }

    fn dataset(&mut self, dataset: &Dataset, path: &str) -> Result<Entry, NirError> {
        let sizes = dataset.shape().map_err(damaged)?;
        let shape: Vec<usize> = sizes
            .iter()
            .map(|size| usize::try_from(*size).map_err(damaged))
            .collect::<Result<_, _>>()?;
        let dtype = dataset.dtype().map_err(damaged)?;
        let size = dataset.element_size().map_err(damaged)?;
        let count = elements(&shape).unwrap_or(usize::MAX) as u64;
        // Numbers are kept in up to 8 bytes, and an empty axis does not make the others small.
        let largest = shape.iter().max().map_or(1, |size| *size as u64);
        self.take(path, count.max(largest).saturating_mul(size.max(8)))?;
        // A chunk is unpacked as a whole.
        if let Some(chunk) = dataset.chunk_shape().map_err(damaged)? {
            let count = chunk
                .iter()
                .fold(1u64, |count, size| count.saturating_mul(*size));
            self.take(path, count.saturating_mul(size))?;
        }
        let numbers: Numbers = match dtype {
            DType::F32 => dataset.read_f32().map_err(damaged)?.into(),
            DType::F64 => dataset.read_f64().map_err(damaged)?.into(),
            DType::I8
            | DType::I16
            | DType::I32
            | DType::I64
            | DType::U8
            | DType::U16
            | DType::U32 => dataset.read_i64().map_err(damaged)?.into(),
            DType::U64 => {
                let values = dataset.read_u64().map_err(damaged)?.into_iter();
                let values: Result<Vec<i64>, _> = values.map(i64::try_from).collect();
                values.map_err(damaged)?.into()
            }
            DType::String | DType::VariableLengthString => {
                return self.texts(dataset, path, shape, dtype);
            }
            other => {
                return Err(damaged(format!(
                    "`{path}` is of type {other}, expected numbers or text"
                )));
            }
        };
        match elements(&shape) == Some(numbers.len()) {
            true => Ok(Entry::Array(Array::new(shape, numbers))),
            false => Err(damaged(format!("`{path}` is not as long as its shape"))),
        }
    }

    fn texts(
        &mut self,
        dataset: &Dataset,
        path: &str,
        shape: Vec<usize>,
        dtype: DType,
    ) -> Result<Entry, NirError> {
        let mut texts = match dtype {
            DType::VariableLengthString => {
                let bytes = dataset.vlen_string_payload_size().map_err(damaged)?;
                self.take(path, bytes)?;
                let options = VlenStringReadOptions::default();
                dataset.read_vlen_strings(options).map_err(damaged)?
            }
            _ => dataset.read_string().map_err(damaged)?,
        };
        if elements(&shape) != Some(texts.len()) {
            return Err(damaged(format!("`{path}` is not as long as its shape")));
        }
        Ok(match (shape.is_empty(), texts.pop()) {
            (true, Some(text)) => Entry::Text(text),
            (_, last) => {
                texts.extend(last);
                Entry::Texts { shape, texts }
            }
        })
    }
}

/// The bytes of a file with these entries.
pub(crate) fn write(entries: &Entries) -> Result<Vec<u8>, NirError> {
    let mut file = FileBuilder::new();
    for (name, entry) in entries {
        match entry {
            Entry::Group(inner) => {
                let mut group = file.create_group(name);
                write_group(&mut group, inner);
                file.add_group(group.finish());
            }
            entry => write_dataset(file.create_dataset(name), entry),
        }
    }
    file.finish().map_err(damaged)
}

fn write_group(group: &mut hdf5_pure::GroupBuilder, entries: &Entries) {
    for (name, entry) in entries {
        match entry {
            Entry::Group(inner) => {
                let mut group_in = group.create_group(name);
                write_group(&mut group_in, inner);
                group.add_group(group_in.finish());
            }
            entry => write_dataset(group.create_dataset(name), entry),
        }
    }
}

fn write_dataset(dataset: &mut hdf5_pure::DatasetBuilder, entry: &Entry) {
    let shape: Vec<u64> = match entry {
        Entry::Array(array) => array.shape().iter().map(|size| *size as u64).collect(),
        Entry::Texts { shape, .. } => shape.iter().map(|size| *size as u64).collect(),
        Entry::Text(_) | Entry::Group(_) => Vec::new(),
    };
    match entry {
        Entry::Array(array) => match array.numbers() {
            Numbers::F32(values) => dataset.with_f32_data(values),
            Numbers::F64(values) => dataset.with_f64_data(values),
            Numbers::I64(values) => dataset.with_i64_data(values),
        },
        Entry::Text(text) => dataset.with_vlen_strings(&[text]),
        Entry::Texts { texts, .. } => {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            dataset.with_vlen_strings(&texts)
        }
        Entry::Group(_) => unreachable!("groups are written by `write_group`"),
    };
    dataset.with_shape(&shape);
}
