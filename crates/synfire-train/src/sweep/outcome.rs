//! What came of a sweep: ranking, table and picture.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use synfire::plot::{Marks, Panel, Series, SeriesPlot};

use super::{Sweep, Trained};
use crate::RunError;
use crate::config::BestBy;
use crate::config::paths::toml;
use crate::report::percent;

/// The candidates of a sweep, and how they did.
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

    /// The higher, the better.
    fn rank(&self, by: BestBy) -> [f64; 3] {
        let (accuracy, loss) = (mean(&self.accuracies), mean(&self.losses));
        let [first, second] = match by {
            BestBy::Accuracy => [accuracy, -loss],
            BestBy::Loss => [-loss, accuracy],
        };
        [-(self.failed.len() as f64), first, second]
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

fn mean(values: &[f64]) -> f64 {
    match values {
        [] => f64::NEG_INFINITY,
        _ => values.iter().sum::<f64>() / values.len() as f64,
    }
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
        let values = |outcome: &Self| {
            let all = outcome.candidates.iter();
            all.map(|candidate| candidate.values.clone())
                .collect::<Vec<_>>()
        };
        self.sweep == other.sweep && values(self) == values(other)
    }

    /// The numbers of the candidates, the best first: those that were in most rounds, then those whose runs failed least often in
    /// the last one, then by the mean accuracy or, with `best_by` in \[run], the mean loss.
    pub fn ranking(&self) -> Vec<usize> {
        let by = self.best_by();
        let mut order: Vec<_> = (0..self.candidates.len()).collect();
        let rank = |candidate: usize| {
            let rounds = &self.candidates[candidate].rounds;
            let last = rounds
                .last()
                .map_or([f64::NEG_INFINITY; 3], |last| last.rank(by));
            (rounds.len(), last)
        };
        // A number that is none ranks last.
        let number = |x: f64| if x.is_nan() { f64::NEG_INFINITY } else { x };
        order.sort_by(|a, b| {
            let ((a, ranks_a), (b, ranks_b)) = (rank(*a), rank(*b));
            let ranks = ranks_b.map(number).into_iter().zip(ranks_a.map(number));
            let ranks = ranks.map(|(b, a)| b.total_cmp(&a));
            ranks.fold(b.cmp(&a), std::cmp::Ordering::then)
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
        let paths = self.paths().into_iter().map(|path| format!("`{path}`"));
        let head = ["candidate".to_owned()].into_iter().chain(paths);
        let figures = [
            "epochs",
            "seeds",
            "validation accuracy, mean",
            "worst",
            "loss, mean",
            "seconds of all",
        ];
        let head: Vec<_> = head.chain(figures.map(str::to_owned)).collect();
        let mut table = format!(
            "| {} |\n|{}\n",
            head.join(" | "),
            " --- |".repeat(head.len())
        );
        for number in self.ranking() {
            let candidate = &self.candidates[number];
            let values = candidate.values.iter().map(|(_, value)| name(value));
            let figures = candidate.rounds.last().map(|round| {
                let worst = round
                    .accuracies
                    .iter()
                    .copied()
                    .fold(f64::INFINITY, f64::min);
                let [mean_of, worst, loss] = match round.accuracies.is_empty() {
                    true => ["", "", ""].map(str::to_owned),
                    false => [
                        percent(mean(&round.accuracies)),
                        percent(worst),
                        format!("{:.4}", mean(&round.losses)),
                    ],
                };
                let seeds = match round.failed.len() {
                    0 => round.accuracies.len().to_string(),
                    failed => format!("{}, {failed} failed", round.accuracies.len()),
                };
                let seconds = format!(
                    "{:.0}",
                    candidate
                        .rounds
                        .iter()
                        .map(|round| round.seconds)
                        .sum::<f64>()
                );
                [
                    round.epochs.to_string(),
                    seeds,
                    mean_of,
                    worst,
                    loss,
                    seconds,
                ]
            });
            let row = [number.to_string()].into_iter().chain(values);
            let row: Vec<_> = row.chain(figures.into_iter().flatten()).collect();
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
        let value = |candidate: &Candidate| candidate.values[index].1.clone();
        let numbers: Option<Vec<_>> = self
            .candidates
            .iter()
            .map(|one| value(one).as_f64())
            .collect();
        let mut panel = Panel::new(path, "validation accuracy, %").with_marks(Marks::Points);
        let mut names = Vec::new();
        match &numbers {
            // Numbers far apart, such as learning rates.
            Some(numbers) => {
                let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
                let high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                if low > 0.0 && high > 10.0 * low {
                    panel = panel.with_log_x();
                }
            }
            None => {
                for candidate in &self.candidates {
                    let name = name(&value(candidate));
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
                panel = panel.with_places(names.clone());
            }
        }
        let mut lengths: Vec<_> = self.rounds().map(|round| round.epochs).collect();
        lengths.sort();
        lengths.dedup();
        let mut any = false;
        for epochs in lengths {
            let mut points = Vec::<(f64, Vec<f64>)>::new();
            for candidate in &self.candidates {
                let round = candidate.rounds.iter().find(|round| round.epochs == epochs);
                let Some(round) = round.filter(|round| !round.accuracies.is_empty()) else {
                    continue;
                };
                let name = name(&value(candidate));
                let place = value(candidate).as_f64().filter(|_| numbers.is_some());
                let place =
                    place.or_else(|| Some(names.iter().position(|n| *n == name)? as f64))?;
                let values = round.accuracies.iter().map(|accuracy| 100.0 * accuracy);
                match points.iter_mut().find(|(other, _)| *other == place) {
                    Some((_, all)) => all.extend(values),
                    None => points.push((place, values.collect())),
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
