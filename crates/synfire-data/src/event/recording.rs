//! Recordings of event cameras in the 40-bit format of N-MNIST and N-Caltech101.
//!
//! Orchard, Jayawant, Cohen, Thakor: *Converting Static Image Datasets to Spiking Neuromorphic Datasets Using Saccades*,
//! Frontiers in Neuroscience 9:437, 2015.

use std::path::Path;

use crate::DataError;
use crate::file::read_at_most;

/// A change of brightness at a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The time since the recording began, in microseconds.
    pub time: u32,
    /// The column, from the left.
    pub x: u8,
    /// The row, from the top.
    pub y: u8,
    /// Brighter, not darker.
    pub on: bool,
}

/// The bytes of an event: x, y, then the polarity as the highest bit and 23 bits of time, big endian.
pub(crate) const EVENT_BYTES: usize = 5;
/// The longest recording, in bytes: some 200 million events.
pub(crate) const MOST_RECORDING_BYTES: u64 = 1 << 30;
/// An event with this y marks an overflow of the camera's 13-bit clock.
const OVERFLOW_Y: u8 = 240;
/// The time between two overflows, in microseconds.
const OVERFLOW_TIME: u32 = 1 << 13;

/// Reads a recording of a sensor of this height and width.
///
/// Events at y = 240, where the sensor has no such row, mark an overflow of the clock: they are left out, and 8,192
/// microseconds are added to the times of the following events.
///
/// ```no_run
/// let events = synfire_data::read_events("Train/5/00001.bin", [34, 34])?;
/// println!("{} events in {} us", events.len(), events.last().map_or(0, |event| event.time));
/// # Ok::<(), synfire_data::DataError>(())
/// ```
///
/// # Errors
///
/// If the file cannot be read or is longer than 1 GiB, its length is not a multiple of 5, an event is outside of the sensor,
/// or earlier than the previous one. The error names the file and the offset.
pub fn read_events(path: impl AsRef<Path>, sensor: [u8; 2]) -> Result<Vec<Event>, DataError> {
    let path = path.as_ref();
    let bytes = read_at_most(path, MOST_RECORDING_BYTES)?;
    parse_events(&bytes, sensor, path)
}

/// Parses the bytes of a recording; `path` is for error messages.
pub(crate) fn parse_events(
    bytes: &[u8],
    [height, width]: [u8; 2],
    path: &Path,
) -> Result<Vec<Event>, DataError> {
    let wrong = |offset: usize, field, value: String, expected: String| DataError::Event {
        path: path.to_path_buf(),
        offset,
        field,
        value,
        expected,
    };
    let mut events = Vec::with_capacity(bytes.len() / EVENT_BYTES);
    let (chunks, rest) = bytes.as_chunks::<EVENT_BYTES>();
    let mut last = 0;
    let mut base = 0;
    for (i, &[x, y, high, middle, low]) in chunks.iter().enumerate() {
        let offset = i * EVENT_BYTES;
        if y == OVERFLOW_Y && height <= OVERFLOW_Y {
            // The largest base that leaves room for the 23 bits of an event's time.
            if base > u32::MAX - (1 << 24) {
                let expected = "fewer marks of a clock that began anew".to_owned();
                return Err(wrong(offset, "time", format!("{base} and more"), expected));
            }
            base += OVERFLOW_TIME;
            continue;
        }
        for (offset, field, value, size) in [(offset, "x", x, width), (offset + 1, "y", y, height)]
        {
            if value >= size {
                let expected = format!("below {size}");
                return Err(wrong(offset, field, value.to_string(), expected));
            }
        }
        let time = base + u32::from_be_bytes([0, high & 0x7f, middle, low]);
        if time < last {
            let expected = format!("at least {last}, the time of the event before");
            return Err(wrong(offset + 2, "time", time.to_string(), expected));
        }
        last = time;
        events.push(Event {
            time,
            x,
            y,
            on: high & 0x80 != 0,
        });
    }
    if !rest.is_empty() {
        let offset = bytes.len() - rest.len();
        let value = format!("cut off after {} bytes", rest.len());
        return Err(wrong(
            offset,
            "event",
            value,
            format!("{EVENT_BYTES} bytes"),
        ));
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENSOR: [u8; 2] = [34, 34];

    fn event(x: u8, y: u8, on: bool, time: u32) -> [u8; 5] {
        let [_, high, middle, low] = time.to_be_bytes();
        [x, y, high | if on { 0x80 } else { 0 }, middle, low]
    }

    fn parse(bytes: &[u8]) -> Result<Vec<Event>, String> {
        parse_events(bytes, SENSOR, Path::new("some.bin")).map_err(|error| error.to_string())
    }

    #[test]
    fn every_bit_of_an_event_has_its_meaning() {
        let events = parse(&[0x0a, 0x15, 0x81, 0x02, 0x03, 33, 0, 0x7f, 0xff, 0xff]).unwrap();
        assert_eq!(
            events,
            [
                Event {
                    time: 0x01_02_03,
                    x: 10,
                    y: 21,
                    on: true
                },
                Event {
                    time: 0x7f_ff_ff,
                    x: 33,
                    y: 0,
                    on: false
                }
            ]
        );
        assert_eq!(parse(&[]).unwrap(), []);
    }

    #[test]
    fn a_clock_that_began_anew_goes_on() {
        let bytes = [
            event(1, 1, true, 8000),
            event(0, 240, false, 0),
            event(2, 2, true, 5),
            event(0, 240, false, 0),
            event(3, 3, true, 6),
        ]
        .concat();
        let times: Vec<_> = parse(&bytes).unwrap().iter().map(|e| e.time).collect();
        assert_eq!(times, [8000, 8192 + 5, 2 * 8192 + 6]);

        let marks = event(0, 240, false, 0).repeat(1 << 19);
        let error = parse(&marks).unwrap_err();
        assert!(error.contains("fewer marks"), "{error}");
        // In a taller sensor it is an ordinary row.
        let path = Path::new("some.bin");
        let events = parse_events(&event(0, 240, false, 1), [255, 1], path);
        assert_eq!(events.unwrap()[0].y, 240);
        assert!(parse_events(&event(0, 0, false, 1), [0, 0], path).is_err());
    }

    #[test]
    fn what_cannot_be_is_named_with_its_offset() {
        let good = event(1, 2, true, 7);
        let error = |bytes: &[[u8; 5]]| parse(&bytes.concat()).unwrap_err();
        assert_eq!(
            error(&[good, event(34, 2, true, 8)]),
            "some.bin: at byte 5: `x` is 34, expected below 34"
        );
        assert_eq!(
            error(&[good, good, event(2, 34, true, 8)]),
            "some.bin: at byte 11: `y` is 34, expected below 34"
        );
        assert_eq!(
            error(&[good, event(3, 3, false, 6)]),
            "some.bin: at byte 7: `time` is 6, expected at least 7, the time of the event before"
        );
        for length in 6..10 {
            let bytes = [good, good].concat();
            assert_eq!(
                parse(&bytes[..length]).unwrap_err(),
                format!(
                    "some.bin: at byte 5: `event` is cut off after {} bytes, expected 5 bytes",
                    length - 5
                )
            );
        }
        // Equal times are in order.
        assert_eq!(parse(&[good, good].concat()).unwrap().len(), 2);
    }

    #[test]
    fn a_missing_recording_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("00001.bin");
        let error = read_events(&path, SENSOR).unwrap_err().to_string();
        assert!(error.contains("00001.bin"), "{error}");
        std::fs::create_dir(&path).unwrap();
        let error = read_events(&path, SENSOR).unwrap_err().to_string();
        assert!(
            error.ends_with("00001.bin: is a directory, expected a regular file"),
            "{error}"
        );
    }
}
