//! Plots of network activity, as SVG or PNG (feature `plot`).
//!
//! | picture | shows |
//! | --- | --- |
//! | [`RasterPlot`] | the spikes of layers for one sample |
//! | [`MembranePlot`] | membrane potentials of some neurons, with threshold and spikes |
//! | [`RateHistogram`] | the distribution of firing rates in a layer |
//! | [`SurrogatePlot`] | surrogate derivatives and their primitives |
//! | [`SeriesPlot`] | results of several runs, with their spread |
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
mod lines;
mod membrane;
mod raster;
mod surrogate;

use std::io;
use std::path::PathBuf;

pub use canvas::{Picture, Titled};
pub use histogram::RateHistogram;
pub use lines::{Marks, Panel, Series, SeriesPlot};
pub use membrane::MembranePlot;
pub use raster::RasterPlot;
pub use surrogate::SurrogatePlot;

/// Rejects values that are too large for axes.
fn check_finite(value: f64, what: impl FnOnce() -> String) -> Result<(), PlotError> {
    match (-1e30..=1e30).contains(&value) {
        true => Ok(()),
        false => Err(PlotError::NotFinite {
            what: what(),
            value,
        }),
    }
}

/// Rejects an empty plot; `what` names the missing data.
fn check_shows(something: bool, what: impl FnOnce() -> String) -> Result<(), PlotError> {
    match something {
        true => Ok(()),
        false => Err(PlotError::Empty { what: what() }),
    }
}

/// Errors of plots.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// There is nothing to show.
    #[error("nothing to show: {what}")]
    Empty {
        /// The missing data.
        what: String,
    },
    /// A value is not finite or too large for an axis.
    #[error("{what} is {value}, expected a number from -1e30 to 1e30")]
    NotFinite {
        /// The name of the value.
        what: String,
        /// Its value.
        value: f64,
    },
    /// The file extension is neither `svg` nor `png`.
    #[error("{}: a picture's file must end in .svg or .png", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// The picture could not be drawn.
    #[error("the picture could not be drawn: {reason}")]
    Drawing {
        /// Error message of the plotting library.
        reason: String,
    },
    /// The file could not be written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{SampleParts, SampleRecord};
    use crate::surrogate::Surrogate;

    /// Two neurons, of which the second fires in steps 1 and 2.
    fn layer(u: Option<Vec<f32>>) -> SampleRecord {
        SampleRecord::try_from(SampleParts {
            name: "hidden".to_owned(),
            time_steps: 3,
            neurons: 2,
            spikes: Some(vec![0.0, 0.0, 0.0, 1.0, 0.0, 1.0]),
            u,
            v: None,
        })
        .unwrap()
    }

    fn potentials() -> Option<Vec<f32>> {
        Some(vec![0.0, 0.25, -0.5, 1.0, 0.125, 0.75])
    }

    /// The SVG holds each of `texts`, and `marks` elements of a kind; the PNG is one, and not all white.
    fn check(picture: &impl Picture, texts: &[&str], mark: &str, marks: usize) {
        let svg = picture.to_svg().unwrap();
        for text in texts {
            assert!(svg.contains(text), "{text} in {svg}");
        }
        assert_eq!(svg.matches(mark).count(), marks, "{mark} in {svg}");
        let png = image::load_from_memory(&picture.to_png().unwrap()).unwrap();
        assert!(png.to_rgb8().pixels().any(|pixel| pixel.0[0] < 128));
    }

    #[test]
    fn lines_of_one_colour_are_told_apart() {
        // Lines of the first colour: the eighth line has it again, dashed.
        let first = |lines: usize| {
            let membrane = MembranePlot::new(layer(potentials()), (0..lines).map(|i| i % 2));
            membrane.to_svg().unwrap().matches("#0072B2").count()
        };
        assert!(first(8) > first(7) + 10, "{} {}", first(7), first(8));
    }

    #[test]
    fn pictures_show_what_they_are_of() {
        // The first rectangle is the background.
        let raster = RasterPlot::new([layer(None)]);
        check(
            &raster,
            &["hidden: 2 neurons", "neuron", "time step"],
            "<rect",
            1 + 2,
        );
        let many = SampleRecord::try_from(SampleParts {
            name: "hidden".to_owned(),
            time_steps: 1,
            neurons: 300,
            spikes: Some(vec![1.0; 300]),
            u: None,
            v: None,
        });
        let shades = RasterPlot::new([many.unwrap()]);
        check(
            &shades,
            &["300 neurons, 4 per row", "4 spikes", "1 spike"],
            "<rect",
            1 + 75 + 20,
        );
        let membrane = MembranePlot::new(layer(potentials()), [0, 1]).with_threshold(0.5);
        check(
            &membrane,
            &["neuron 0", "neuron 1", "threshold"],
            "<circle",
            2,
        );
        let rates = RateHistogram::new([("hidden", vec![0.0, 0.5, 0.5, 0.9])]);
        check(
            &rates,
            &["hidden: 4 neurons, 25.0 % never fire"],
            "<rect",
            1 + 40,
        );
        let series = || Series::new("runs", [(1.0, vec![0.5, 0.7]), (2.0, vec![0.8, 0.8])]);
        let bands = Panel::new("epoch", "accuracy").with_series(series());
        check(
            &SeriesPlot::new([bands]),
            &["epoch", "accuracy", "runs", "lowest to highest of 2 runs"],
            "<polygon",
            1,
        );
        let log = Panel::new("T", "accuracy").with_log_x().with_title("panel");
        check(
            &SeriesPlot::new([log.with_series(series())]).titled("title"),
            &["title", "panel", "lowest to highest of 2 runs"],
            "<polygon",
            1,
        );
        let points = Panel::new("", "accuracy")
            .with_places(["none", "first", "second"])
            .with_marks(Marks::Points)
            .with_series(series())
            .with_series(Series::new("others", [(0.0, vec![0.6])]));
        check(
            &SeriesPlot::new([points]),
            &["none", "first", "second", "others", "one of 1 to 2 runs"],
            "<circle",
            5 + 1,
        );
        let curve = Surrogate::atan(2.0).unwrap();
        let curves = SurrogatePlot::new([("arc tangent", curve)]).with_reach(3.0);
        check(
            &curves,
            &["arc tangent", "the spike", "derivative"],
            "<rect",
            1 + 2,
        );
    }

    #[test]
    fn legends_cover_no_line() {
        // Position of the label of a line with these values.
        let legend = |values: [f64; 4]| {
            let points = [0.0, 0.001, 0.999, 1.0]
                .into_iter()
                .zip(values.map(|y| vec![y]));
            let panel = Panel::new("x", "y").with_series(Series::new("name", points));
            let svg = SeriesPlot::new([panel]).to_svg().unwrap();
            let before = svg.split("\nname").next().unwrap();
            let text = before.rsplit("<text x=\"").next().unwrap();
            let number = |text: &str| text.split('"').next().unwrap().parse::<f64>().unwrap();
            [number(text), number(text.split("y=\"").nth(1).unwrap())]
        };
        let corner = |[x, y]: [f64; 2]| (x > 240.0, y < 200.0);
        let at_the_right = legend([0.0; 4]);
        assert_eq!(corner(at_the_right), (true, true));
        assert_eq!(corner(legend([0.0, 0.0, 0.0, 1.0])), (false, true));
        assert_eq!(corner(legend([0.0, 1.0, 1.0, 1.0])), (true, false));
        // With lines in every corner, the legend is beside the panel.
        let beside = legend([0.0, 1.0, 1.0, 0.0]);
        assert!(beside[0] > at_the_right[0], "{beside:?}");
    }

    #[test]
    fn files_are_what_their_names_say_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let picture = RasterPlot::new([layer(None)]);
        picture.save(folder.path().join("a.svg")).unwrap();
        picture.save(folder.path().join("b.PNG")).unwrap();
        let read = |name| std::fs::read(folder.path().join(name)).unwrap();
        assert!(read("a.svg").starts_with(b"<svg"));
        assert!(read("b.PNG").starts_with(b"\x89PNG"));
        let error = picture.save(folder.path().join("c.gif")).unwrap_err();
        assert!(matches!(error, PlotError::Format { .. }), "{error}");
        let error = picture.save(folder.path().join("none/d.svg")).unwrap_err();
        assert!(error.to_string().contains("d.svg"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_cannot_be_drawn_is_named() {
        let error =
            |picture: &dyn Fn() -> Result<String, PlotError>| picture().unwrap_err().to_string();
        let none: [SampleRecord; 0] = [];
        assert!(error(&|| RasterPlot::new(none.clone()).to_svg()).contains("no layer that spikes"));
        let membrane = |u, neurons: &[usize]| MembranePlot::new(layer(u), neurons.to_vec());
        assert!(error(&|| membrane(None, &[0]).to_svg()).contains("were kept"));
        assert!(error(&|| membrane(potentials(), &[]).to_svg()).contains("no neurons"));
        assert!(error(&|| membrane(potentials(), &[2]).to_svg()).contains("no neuron 2"));
        let infinite = || Some(vec![0.0, f32::INFINITY, 0.0, 0.0, 0.0, 0.0]);
        assert!(error(&|| membrane(infinite(), &[1]).to_svg()).contains("is inf"));
        let threshold = || membrane(potentials(), &[0]).with_threshold(f64::NAN);
        assert!(error(&|| threshold().to_svg()).contains("is NaN"));
        let rates = || RateHistogram::new([("a", Vec::new())]);
        assert!(error(&|| rates().to_svg()).contains("no layer with firing rates"));
        let curve = Surrogate::atan(2.0).unwrap();
        for reach in [0.0, -1.0, f64::NAN, f64::MAX] {
            let curves = || SurrogatePlot::new([("a", curve)]).with_reach(reach);
            error(&|| curves().to_svg());
        }
        let panel = |points: Vec<(f64, Vec<f64>)>| {
            let panel = Panel::new("x", "y").with_series(Series::new("a", points));
            SeriesPlot::new([panel]).to_svg()
        };
        assert!(error(&|| panel(vec![])).contains("`y` has no values"));
        let log = |place: f64| {
            let series = Series::new("a", [(place, vec![0.5])]);
            SeriesPlot::new([Panel::new("T", "y").with_log_x().with_series(series)]).to_svg()
        };
        assert!(error(&|| log(0.0)).contains("`T` is 0 on a logarithmic axis"));
        assert!(log(4.0).is_ok());
        assert!(error(&|| panel(vec![(0.0, vec![f64::NAN])])).contains("y of `a` is NaN"));
        assert!(error(&|| SeriesPlot::new([]).to_svg()).contains("no panels"));
        assert!(panel(vec![(1.0, vec![0.5])]).is_ok());
        let empty: [(&str, Surrogate); 0] = [];
        error(&|| SurrogatePlot::new(empty).to_svg());
    }
}
