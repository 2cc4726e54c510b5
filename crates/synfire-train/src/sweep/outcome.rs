//! Results of a sweep: ranking, table and picture.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use synfire::plot::{Marks, Panel, Series, SeriesPlot};

use super::{Sweep, Trained};
use crate::RunError;
use crate::config::BestBy;
use crate::config::paths::toml;
use crate::report::{Spread, percent, table_head};

/// The candidates of a sweep with their results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The sweep.
    pub sweep: Sweep,
    /// The candidates, by number.
    pub candidates: Vec<Candidate>,
}

/// A combination of values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// The values, by path.
    pub values: Vec<(String, Value)>,
    /// The rounds that it was in.
    pub rounds: Vec<Round>,
}

/// The runs of a candidate for a number of epochs, a seed each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// The epochs.
    pub epochs: usize,
    /// Accuracies on the validation samples, of the runs that ended.
    pub accuracies: Vec<f64>,
    /// Losses on the validation samples.
    pub losses: Vec<f64>,
    /// The time that training took.
    pub seconds: f64,
    /// Why the other runs failed.
    pub failed: Vec<String>,
}

/// The columns of [`Candidate::figures`].
const FIGURES: &str =
    "epochs | seeds | validation accuracy, mean | worst | loss, mean | seconds of all";

impl Candidate {
    /// The figures of the last round as text. `None` if there was none.
    fn figures(&self) -> Option<[String; 6]> {
        let last = self.rounds.last()?;
        let ended = last.accuracies.len();
        let seeds = match last.failed.len() {
            0 => ended.to_string(),
            failed => format!("{ended}, {failed} failed"),
        };
        let [mean, worst, loss] = match last.has_ended() {
            true => {
                let [accuracy, loss] = last.means();
                let worst = Spread::new(&last.accuracies).least;
                [percent(accuracy), percent(worst), format!("{loss:.4}")]
            }
            false => Default::default(),
        };
        let seconds: f64 = self.rounds.iter().map(|round| round.seconds).sum();
        let seconds = format!("{seconds:.0}");
        Some([last.epochs.to_string(), seeds, mean, worst, loss, seconds])
    }
}

impl Round {
    pub(super) fn new<'a>(epochs: usize, runs: impl Iterator<Item = &'a Trained>) -> Self {
        let mut round = Self {
            epochs,
            ..Self::default()
        };
        for run in runs {
            match run {
                Ok(report) => {
                    round.accuracies.push(report.validation_accuracy);
                    round.losses.extend(report.validation_loss());
                    round.seconds += report.seconds_training;
                }
                Err(reason) => round.failed.push(reason.clone()),
            }
        }
        round
    }

    /// True if a run ended.
    pub(super) fn has_ended(&self) -> bool {
        !self.accuracies.is_empty()
    }

    /// The mean accuracy and loss on the validation samples.
    fn means(&self) -> [f64; 2] {
        [&self.accuracies, &self.losses].map(|values| Spread::new(values).mean)
    }
}

/// A value without quotes.
fn name(value: &Value) -> String {
    toml(value).replace('"', "")
}

/// `1 epoch`, `2 epochs`.
pub(super) fn plural(number: usize, what: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{number} {what}{end}")
}

impl Outcome {
    pub(super) fn new(sweep: Sweep, candidates: Vec<Vec<(String, Value)>>) -> Self {
        let candidate = |values| Candidate {
            values,
            rounds: Vec::new(),
        };
        Self {
            sweep,
            candidates: candidates.into_iter().map(candidate).collect(),
        }
    }

    /// Reads an outcome.
    ///
    /// # Errors
    ///
    /// If it is not there, or damaged.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let text = fs::read_to_string(path).map_err(RunError::io(path))?;
        serde_json::from_str(&text).map_err(RunError::damaged(path))
    }

    /// True if it is of the same sweep and candidates.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        let [mine, others] = [self, other].map(|outcome| {
            let candidates = outcome.candidates.iter();
            candidates.map(|candidate| &candidate.values)
        });
        self.sweep == other.sweep && mine.eq(others)
    }

    /// The numbers of the candidates, the best first: those that were in most rounds, then those whose runs failed least often in
    /// the last one, then by the mean accuracy or, with `best_by` in \[run], the mean loss.
    pub fn ranking(&self) -> Vec<usize> {
        let by = self.best_by();
        let keys = self.candidates.iter().map(|candidate| {
            let last = candidate.rounds.last();
            let failed = last.map_or(0, |round| round.failed.len());
            let [accuracy, loss] = last.map_or([f64::NAN; 2], Round::means);
            let [first, second] = match by {
                BestBy::Accuracy => [accuracy, -loss],
                BestBy::Loss => [-loss, accuracy],
            };
            let key = [
                candidate.rounds.len() as f64,
                -(failed as f64),
                first,
                second,
            ];
            // A figure that is none ranks last.
            key.map(|x| if x.is_nan() { f64::NEG_INFINITY } else { x })
        });
        let keys: Vec<_> = keys.collect();
        let mut order: Vec<_> = (0..keys.len()).collect();
        order.sort_by(|a, b| {
            let pairs = keys[*b].iter().zip(&keys[*a]);
            pairs.fold(Ordering::Equal, |order, (b, a)| order.then(b.total_cmp(a)))
        });
        order
    }

    fn best_by(&self) -> BestBy {
        let value = self.sweep.run.get("best_by").cloned();
        let by = value.and_then(|value| serde_json::from_value(value).ok());
        by.unwrap_or_default()
    }

    /// The paths that are tried.
    fn paths(&self) -> Vec<&str> {
        let first = self.candidates.first();
        let values = first.into_iter().flat_map(|candidate| &candidate.values);
        values.map(|(path, _)| path.as_str()).collect()
    }

    /// A table in Markdown, the best first.
    pub fn table(&self) -> String {
        let mut columns = vec!["candidate".to_owned()];
        columns.extend(self.paths().iter().map(|path| format!("`{path}`")));
        columns.push(FIGURES.to_owned());
        let mut table = table_head(&columns.join(" | "));
        for number in self.ranking() {
            let candidate = &self.candidates[number];
            let mut row = vec![number.to_string()];
            row.extend(candidate.values.iter().map(|(_, value)| name(value)));
            row.extend(candidate.figures().into_iter().flatten());
            table += &format!("| {} |\n", row.join(" | "));
        }
        table
    }

    /// A picture with a panel for each path: the validation accuracies in percent, with a series for each number of epochs.
    /// `None` if no run ended.
    pub fn picture(&self) -> Option<SeriesPlot> {
        let panels = self.paths().into_iter().enumerate();
        let panels: Vec<_> = panels.filter_map(|(i, path)| self.panel(i, path)).collect();
        (!panels.is_empty()).then(|| SeriesPlot::new(panels))
    }

    fn panel(&self, index: usize, path: &str) -> Option<Panel> {
        let mut panel = Panel::new(path, "validation accuracy, %").with_marks(Marks::Points);
        let candidates = self.candidates.iter();
        let values: Vec<_> = candidates.map(|one| &one.values[index].1).collect();
        let numbers: Option<Vec<_>> = values.iter().map(|value| value.as_f64()).collect();
        // The place of each candidate.
        let places = match numbers {
            Some(numbers) => {
                let Spread { least, most, .. } = Spread::new(&numbers);
                // Numbers far apart, such as learning rates.
                if least > 0.0 && most > 10.0 * least {
                    panel = panel.with_log_x();
                }
                numbers
            }
            None => {
                let mut names = Vec::new();
                let place = |value: &&Value| {
                    let name = name(value);
                    let place = names.iter().position(|other| *other == name);
                    place.unwrap_or_else(|| {
                        names.push(name);
                        names.len() - 1
                    }) as f64
                };
                let places = values.iter().map(place).collect();
                panel = panel.with_places(names);
                places
            }
        };
        let lengths = self.rounds().map(|round| round.epochs);
        let mut any = false;
        for epochs in lengths.collect::<BTreeSet<_>>() {
            let mut points = Vec::<(f64, Vec<f64>)>::new();
            for (candidate, place) in self.candidates.iter().zip(&places) {
                let mut rounds = candidate.rounds.iter();
                let round = rounds.find(|round| round.epochs == epochs && round.has_ended());
                let Some(round) = round else { continue };
                let values = round.accuracies.iter().map(|accuracy| 100.0 * accuracy);
                match points.iter_mut().find(|(other, _)| other == place) {
                    Some((_, all)) => all.extend(values),
                    None => points.push((*place, values.collect())),
                }
            }
            any |= !points.is_empty();
            points.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            panel = panel.with_series(Series::new(plural(epochs, "epoch"), points));
        }
        any.then_some(panel)
    }

    fn rounds(&self) -> impl Iterator<Item = &Round> {
        self.candidates
            .iter()
            .flat_map(|candidate| &candidate.rounds)
    }

    /// The numbers of runs that ended and of those that failed.
    pub fn counts(&self) -> [usize; 2] {
        let sum = |count: fn(&Round) -> usize| self.rounds().map(count).sum();
        [
            sum(|round| round.accuracies.len()),
            sum(|round| round.failed.len()),
        ]
    }
}
