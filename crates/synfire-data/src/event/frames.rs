//! Conversion of events to sequences of frames.

use serde::{Deserialize, Serialize};

use super::Event;

/// Division of events into frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FrameBy {
    /// Windows of this many microseconds, from the recording's first event on.
    Window(u32),
    /// This many consecutive events; the last frame has the remaining ones.
    Count(usize),
    /// This many frames of the same duration for the whole recording.
    Bins(usize),
}

/// Values of the elements of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FrameValue {
    /// 1 where there was any event: a spike.
    #[default]
    Binary,
    /// The number of events.
    Counts,
}

/// Converts a recording to a sequence of frames `[T, 2, height, width]`. Channel 0 has the events of pixels that became
/// darker, channel 1 those that became brighter.
///
/// ```
/// use synfire_data::{Event, FrameBy, Frames};
///
/// let event = |time, x| Event { time, x, y: 0, on: true };
/// let frames = Frames::new(FrameBy::Window(1000)).with_time_steps(3);
/// // Two columns, one row: [3, 2, 1, 2].
/// let sequence = frames.of(&[event(500, 0), event(1499, 1), event(1500, 1)], [1, 2]);
/// assert_eq!(
///     sequence,
///     [
///         0.0, 0.0, 1.0, 1.0, // both within 1 ms of the first
///         0.0, 0.0, 0.0, 1.0, //
///         0.0, 0.0, 0.0, 0.0, // nothing more
///     ]
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frames {
    /// Division of events into frames.
    pub by: FrameBy,
    /// Values of the elements of a frame.
    pub value: FrameValue,
    /// Fixed number of frames: later events are dropped, missing frames are empty. If `None`, a recording has as many
    /// frames as it fills.
    pub time_steps: Option<usize>,
}

impl Frames {
    /// Binary frames, as many as a recording fills.
    pub fn new(by: FrameBy) -> Self {
        Self {
            by,
            value: FrameValue::Binary,
            time_steps: None,
        }
    }

    /// Sets the values of the elements.
    pub fn with_value(mut self, value: FrameValue) -> Self {
        self.value = value;
        self
    }

    /// Sets a fixed number of frames for every recording.
    pub fn with_time_steps(mut self, time_steps: usize) -> Self {
        self.time_steps = Some(time_steps);
        self
    }

    /// The number of frames of a recording.
    pub fn time_steps_of(&self, events: &[Event]) -> usize {
        match (self.time_steps, self.by) {
            (Some(time_steps), _) | (None, FrameBy::Bins(time_steps)) => time_steps,
            _ if events.is_empty() => 0,
            _ => 1 + self.frame_of(events, events.len() - 1),
        }
    }

    /// The frame that an event is in.
    fn frame_of(&self, events: &[Event], index: usize) -> usize {
        let first = events[0].time;
        let time = u64::from(events[index].time - first);
        match self.by {
            FrameBy::Window(microseconds) => (time / u64::from(microseconds.max(1))) as usize,
            FrameBy::Count(count) => index / count.max(1),
            FrameBy::Bins(bins) => {
                let last = events.last().map_or(first, |event| event.time);
                let duration = u64::from(last - first) + 1;
                (time * bins as u64 / duration) as usize
            }
        }
    }

    /// The frames of a recording, `[T, 2, height, width]` row by row. A window or a count of 0 is taken as 1.
    ///
    /// # Panics
    ///
    /// If an event is outside of the sensor, or earlier than the one before it.
    pub fn of(&self, events: &[Event], sensor: [u8; 2]) -> Vec<f32> {
        let elements = frame_elements(sensor);
        check_order(events);
        let mut frames = vec![0.0; self.time_steps_of(events) * elements];
        self.add(events, sensor, &mut frames, elements);
        frames
    }

    /// Puts the events into frames that are all zero, one every `stride` elements.
    pub(crate) fn add(
        &self,
        events: &[Event],
        [height, width]: [u8; 2],
        frames: &mut [f32],
        stride: usize,
    ) {
        let time_steps = self.time_steps_of(events);
        for (i, event) in events.iter().enumerate() {
            assert!(
                event.x < width && event.y < height,
                "Frames: event {event:?} is outside of a sensor of {height}x{width}"
            );
            let frame = self.frame_of(events, i);
            if frame >= time_steps {
                // Later events are in later frames.
                break;
            }
            let [height, width] = [height, width].map(usize::from);
            let row = usize::from(event.on) * height + usize::from(event.y);
            let element = &mut frames[frame * stride + row * width + usize::from(event.x)];
            match self.value {
                FrameValue::Binary => *element = 1.0,
                FrameValue::Counts => *element += 1.0,
            }
        }
    }
}

/// Asserts that the events are ordered by time.
fn check_order(events: &[Event]) {
    for pair in events.windows(2) {
        assert!(
            pair[0].time <= pair[1].time,
            "Frames: {:?} comes after {:?}",
            pair[1],
            pair[0]
        );
    }
}

/// The number of elements of a frame.
pub(crate) fn frame_elements([height, width]: [u8; 2]) -> usize {
    2 * usize::from(height) * usize::from(width)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events of a sensor of one pixel, brighter ones.
    fn at(times: &[u32]) -> Vec<Event> {
        let event = |time: &u32| Event {
            time: *time,
            x: 0,
            y: 0,
            on: true,
        };
        times.iter().map(event).collect()
    }

    /// The numbers of brighter events in each frame.
    fn counts(frames: Frames, times: &[u32]) -> Vec<f32> {
        let sequence = frames.with_value(FrameValue::Counts).of(&at(times), [1, 1]);
        sequence.chunks(2).map(|frame| frame[1]).collect()
    }

    #[test]
    fn windows_begin_with_the_first_event() {
        let frames = Frames::new(FrameBy::Window(10));
        assert_eq!(counts(frames, &[5, 14, 15, 34, 35]), [2.0, 1.0, 1.0, 1.0]);
        assert_eq!(
            counts(frames.with_time_steps(2), &[5, 14, 15, 34, 35]),
            [2.0, 1.0]
        );
        assert_eq!(counts(frames.with_time_steps(3), &[5]), [1.0, 0.0, 0.0]);
        assert!(counts(frames, &[]).is_empty());
        assert_eq!(counts(frames.with_time_steps(1), &[]), [0.0]);
    }

    #[test]
    fn counts_leave_the_rest_to_the_last_frame() {
        let frames = Frames::new(FrameBy::Count(2));
        assert_eq!(counts(frames, &[1, 1, 1, 9, 9]), [2.0, 2.0, 1.0]);
        assert_eq!(
            counts(frames.with_time_steps(4), &[1, 2, 3]),
            [2.0, 1.0, 0.0, 0.0]
        );
    }

    #[test]
    fn bins_have_the_same_duration() {
        let frames = Frames::new(FrameBy::Bins(4));
        // Times 0 to 7: two microseconds per frame.
        assert_eq!(counts(frames, &[100, 101, 102, 107]), [2.0, 1.0, 0.0, 1.0]);
        assert_eq!(counts(frames, &[100]), [1.0, 0.0, 0.0, 0.0]);
        assert_eq!(counts(frames, &[]), [0.0; 4]);
        let long = [0, u32::MAX - 1];
        assert_eq!(counts(frames, &long), [1.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn elements_have_their_places() {
        let event = |x, y, on| Event { time: 0, x, y, on };
        let events = [event(2, 1, true), event(0, 0, false), event(2, 1, true)];
        let frames = Frames::new(FrameBy::Bins(1));
        let binary = frames.of(&events, [2, 3]);
        let mut expected = [0.0; 12];
        expected[0] = 1.0;
        expected[6 + 3 + 2] = 1.0;
        assert_eq!(binary, expected);
        let counted = frames.with_value(FrameValue::Counts).of(&events, [2, 3]);
        expected[11] = 2.0;
        assert_eq!(counted, expected);
    }

    #[test]
    #[should_panic(expected = "is outside of a sensor of 1x1")]
    fn an_event_outside_is_named() {
        let event = Event {
            time: 0,
            x: 1,
            y: 0,
            on: true,
        };
        Frames::new(FrameBy::Bins(1)).of(&[event], [1, 1]);
    }

    #[test]
    #[should_panic(expected = "comes after")]
    fn events_go_forward() {
        Frames::new(FrameBy::Window(1)).of(&at(&[5, 9, 7]), [1, 1]);
    }
}
