//! Recordings of event cameras, and frames of their events.

mod dataset;
mod frames;
mod recording;

pub use dataset::{EventDataset, EventItem};
pub use frames::{FrameBy, FrameValue, Frames};
pub use recording::{Event, read_events};
