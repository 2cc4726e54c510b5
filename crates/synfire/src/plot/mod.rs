//! Pictures of what networks do, as SVG or PNG (feature `plot`).
//!
//! | picture | shows |
//! | --- | --- |
//! | [`RasterPlot`] | the spikes of layers for one sample |
//! | [`MembranePlot`] | membrane potentials of some neurons, with threshold and spikes |
//! | [`RateHistogram`] | how many neurons of a layer fire how often |
//! | [`SurrogatePlot`] | surrogate derivatives and their primitives |
//!
//! ```
//! use synfire::plot::{Picture, SurrogatePlot};
//! use synfire::surrogate::Surrogate;
//!
//! let curves = [
//!     ("rectangular", Surrogate::rectangular(1.0)?),
//!     ("atan", Surrogate::atan(2.0)?),
//! ];
//! let picture = SurrogatePlot::new(curves);
//! assert!(picture.to_svg()?.starts_with("<svg"));
//! let folder = tempfile::tempdir()?;
//! picture.save(folder.path().join("curves.png"))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod canvas;
mod histogram;
mod membrane;
mod raster;
mod surrogate;

use std::io;
use std::path::PathBuf;

pub use canvas::Picture;
pub use histogram::RateHistogram;
pub use membrane::MembranePlot;
pub use raster::RasterPlot;
pub use surrogate::SurrogatePlot;

/// Why a picture could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// There is nothing to show.
    #[error("nothing to show: {what}")]
    Empty {
        /// What is missing.
        what: String,
    },
    /// The file has neither of the two endings.
    #[error("{}: a picture's file must end in .svg or .png", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// It could not be drawn.
    #[error("the picture could not be drawn: {reason}")]
    Drawing {
        /// What the library said.
        reason: String,
    },
    /// The file could not be written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
