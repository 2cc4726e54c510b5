//! Reads one sequence from a CSV file.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};

use crate::DataError;
use crate::file::read_at_most;

/// The longest CSV file, in bytes.
const MOST_FILE_BYTES: u64 = 1 << 28;
/// The name of the column that holds the class of every step.
const LABEL: &str = "label";

/// The labels that are expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Labels {
    /// None: every column is a channel.
    OfFolder,
    /// The last column, whose header is `label`.
    LastColumn,
}

/// The sequence of a file.
#[derive(Debug, PartialEq)]
pub(crate) struct CsvSequence {
    pub channels: usize,
    pub values: Vec<f32>,
    /// One a step, if they are expected.
    pub labels: Vec<u8>,
}

/// Reads a file with a row for each step and a column for each channel.
///
/// The first row is a header if none of its fields is a number, or the last is `label`.
pub(crate) fn read_csv(path: &Path, labels: Labels) -> Result<CsvSequence, DataError> {
    let bytes = read_at_most(path, MOST_FILE_BYTES)?;
    parse(&bytes, path, labels)
}

fn parse(bytes: &[u8], path: &Path, labels: Labels) -> Result<CsvSequence, DataError> {
    // Some spreadsheets begin a file with this mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(bytes);
    let wrong = |line, field: &str, value: &str, expected: &str| DataError::Line {
        path: path.to_path_buf(),
        line,
        field: field.to_owned(),
        value: value.to_owned(),
        expected: expected.to_owned(),
    };
    let mut row = StringRecord::new();
    let mut sequence = CsvSequence {
        channels: 0,
        values: Vec::new(),
        labels: Vec::new(),
    };
    let mut columns = 0;
    loop {
        let more = reader.read_record(&mut row).map_err(|error| {
            let line = error.position().map_or(0, |position| position.line());
            wrong(line, "text", "not UTF-8", "UTF-8")
        })?;
        if !more {
            break;
        }
        let line = line_of(&row, bytes);
        if columns == 0 {
            columns = row.len();
            let has_label = row.iter().next_back() == Some(LABEL);
            match (labels, has_label) {
                (Labels::OfFolder, true) => {
                    let expected = "none in class folders, which are the labels";
                    return Err(wrong(line, "column", &quoted(LABEL), expected));
                }
                (Labels::LastColumn, false) => {
                    let last = row.iter().next_back().unwrap_or_default();
                    let expected = "a header whose last column is `label`, or class folders";
                    return Err(wrong(line, "last column", &quoted(last), expected));
                }
                _ => {}
            }
            sequence.channels = columns - usize::from(has_label);
            if sequence.channels == 0 {
                let expected = "at least 1 beside the label";
                return Err(wrong(line, "number of channels", "0", expected));
            }
            if has_label || row.iter().all(|field| field.parse::<f32>().is_err()) {
                continue;
            }
        }
        if row.len() != columns {
            let expected = format!("{columns}, as in the first row");
            let value = row.len().to_string();
            return Err(wrong(line, "number of columns", &value, &expected));
        }
        for (column, field) in row.iter().enumerate() {
            if column < sequence.channels {
                let value = field.parse::<f32>().ok().filter(|value| value.is_finite());
                sequence.values.push(value.ok_or_else(|| {
                    let column = format!("column {}", column + 1);
                    wrong(line, &column, &quoted(field), "a finite number")
                })?);
            } else {
                sequence.labels.push(field.parse().map_err(|_| {
                    let expected = "a whole number from 0 to 255";
                    wrong(line, LABEL, &quoted(field), expected)
                })?);
            }
        }
    }
    if sequence.values.is_empty() {
        return Err(DataError::format(path, "number of steps", 0, "at least 1"));
    }
    Ok(sequence)
}

/// The line that a record begins in. Its position is before any empty lines, which are passed over.
fn line_of(row: &StringRecord, bytes: &[u8]) -> u64 {
    let Some(position) = row.position() else {
        return 0;
    };
    let before = bytes.iter().skip(position.byte() as usize);
    let empty = before.take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + empty.filter(|byte| **byte == b'\n').count() as u64
}

/// A field for an error message, shortened if it is long.
fn quoted(field: &str) -> String {
    match field.char_indices().nth(40) {
        Some((end, _)) => format!("`{}...`", &field[..end]),
        None => format!("`{field}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, labels: Labels) -> Result<CsvSequence, String> {
        parse(text.as_bytes(), Path::new("a.csv"), labels).map_err(|error| error.to_string())
    }

    #[test]
    fn a_row_is_a_step() {
        for text in [
            "1,2.5\n-3e1,0\n",
            "left,right\n1,2.5\n-3e1,0",
            "\u{feff}left,right\r\n 1 , 2.5\r\n\r\n-3e1,\"0\"\r\n",
        ] {
            let sequence = read(text, Labels::OfFolder).unwrap();
            assert_eq!(sequence.channels, 2);
            assert_eq!(sequence.values, [1.0, 2.5, -30.0, 0.0]);
            assert!(sequence.labels.is_empty());
        }
    }

    #[test]
    fn the_last_column_may_be_the_label() {
        // Numbers as names of columns are no step.
        for header in ["a,b,label", "0,1,label"] {
            let sequence = read(&format!("{header}\n1,2,0\n3,4,255\n"), Labels::LastColumn);
            let sequence = sequence.unwrap();
            assert_eq!(
                (sequence.channels, &sequence.labels[..]),
                (2, &[0, 255][..])
            );
            assert_eq!(sequence.values, [1.0, 2.0, 3.0, 4.0]);
        }
    }

    #[test]
    fn errors_name_line_and_value() {
        for (text, said) in [
            (
                "1,2\n1\n",
                "a.csv: line 2: `number of columns` is 1, expected 2, as in the first row",
            ),
            (
                "a,b\n1,2\n1,2,3\n",
                "a.csv: line 3: `number of columns` is 3, expected 2, as in the first row",
            ),
            (
                "1,2\n1,NaN\n",
                "a.csv: line 2: `column 2` is `NaN`, expected a finite number",
            ),
            (
                "inf,2\n",
                "a.csv: line 1: `column 1` is `inf`, expected a finite number",
            ),
            (
                "1,2\n\n1e99,2\n",
                "a.csv: line 3: `column 1` is `1e99`, expected a finite number",
            ),
            (
                "1,x2\n",
                "a.csv: line 1: `column 2` is `x2`, expected a finite number",
            ),
            (
                "1,\n",
                "a.csv: line 1: `column 2` is ``, expected a finite number",
            ),
            ("", "a.csv: `number of steps` is 0, expected at least 1"),
            (
                "a,b\n",
                "a.csv: `number of steps` is 0, expected at least 1",
            ),
            (
                "a,label\n1,0\n",
                "a.csv: line 1: `column` is `label`, expected none in class folders, which are the labels",
            ),
        ] {
            assert_eq!(read(text, Labels::OfFolder).unwrap_err(), said);
        }
        for (text, said) in [
            (
                "a,b\n1,0\n",
                "a.csv: line 1: `last column` is `b`, expected a header whose last column is `label`, or class folders",
            ),
            (
                "a,label\n1,256\n",
                "a.csv: line 2: `label` is `256`, expected a whole number from 0 to 255",
            ),
            (
                "a,label\n1,-1\n",
                "a.csv: line 2: `label` is `-1`, expected a whole number from 0 to 255",
            ),
            (
                "label\n1\n",
                "a.csv: line 1: `number of channels` is 0, expected at least 1 beside the label",
            ),
            (
                "a,label\n",
                "a.csv: `number of steps` is 0, expected at least 1",
            ),
        ] {
            assert_eq!(read(text, Labels::LastColumn).unwrap_err(), said);
        }
        let error = parse(b"1,2\n1,\xff\n", Path::new("a.csv"), Labels::OfFolder).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a.csv: line 2: `text` is not UTF-8, expected UTF-8"
        );
        let long = read(&format!("1\n{}\n", "x".repeat(1000)), Labels::OfFolder).unwrap_err();
        assert!(long.len() < 120, "{long}");
    }
}
