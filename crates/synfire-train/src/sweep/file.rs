//! The file of a sweep.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use synfire::InvalidConfig;
use synfire::random::Philox;

use crate::config::paths::{leaves_but, toml};
use crate::{RunConfig, RunError};

/// Which combinations of values a [`Sweep`] trains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// All of them.
    #[default]
    Grid,
    /// Some, drawn by the seed.
    Random,
    /// Some, drawn by the seed, for few epochs; the best of them again for more, and so on (successive halving: Jamieson,
    /// Talwalkar, AISTATS 2016). Each round trains from the start, with the whole of its schedule.
    Halving,
}

/// Runs that differ in some values of their configuration.
///
/// ```toml
/// method = "halving"       # grid (the default), random or halving
/// candidates = 18          # combinations that are drawn; a grid has all
/// seed = 0                 # draws them
/// seeds = [0, 1]           # of the runs of each candidate
/// least_epochs = 1         # of the first round of halving
/// reduction_factor = 3     # one of so many candidates goes on to the next round, of so many times the epochs
///
/// [values]                 # lists, or ranges
/// network.neuron = ["lif", "klif"]
/// network.sizes = [[784, 100, 10], [784, 200, 100, 10]]
/// learning_rate = { from = 1e-4, to = 1e-2, log = true }
///
/// [run]                    # the values that all have, as in `synfire train --config`
/// preset = "stbp-mlp"
/// epochs = 9               # of the last round
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// Which combinations are trained.
    #[serde(default)]
    pub method: Method,
    /// The number of combinations that are drawn.
    #[serde(default = "sixteen")]
    pub candidates: usize,
    /// Seed of the draws of values.
    #[serde(default)]
    pub seed: u64,
    /// The seeds of the runs of each candidate.
    #[serde(default = "first_seed")]
    pub seeds: Vec<u64>,
    /// Epochs of the first round of successive halving.
    #[serde(default = "one")]
    pub least_epochs: usize,
    /// One of so many candidates goes on to the next round of successive halving, which has so many times the epochs.
    #[serde(default = "three")]
    pub reduction_factor: usize,
    /// The search space: lists or [ranges](Range) by the paths of values of a [`RunConfig`].
    pub values: Map<String, Value>,
    /// The values that all runs have.
    #[serde(default)]
    pub run: Map<String, Value>,
}

fn sixteen() -> usize {
    16
}

fn first_seed() -> Vec<u64> {
    vec![0]
}

fn one() -> usize {
    1
}

fn three() -> usize {
    3
}

/// The values of one path in the search space.
#[derive(Serialize)]
#[serde(untagged)]
enum Values {
    List(Vec<Value>),
    Range(Range),
}

/// Numbers from `from` to `to`, both included: whole ones, if both are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The least.
    pub from: Number,
    /// The largest.
    pub to: Number,
    /// True if their logarithms are uniformly distributed.
    #[serde(default)]
    pub log: bool,
    /// Number of points of a grid, at equal distances, or ratios if `log`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<usize>,
}

impl Range {
    /// The number at a fraction from 0 to 1.
    fn at(&self, fraction: f64) -> Value {
        let [from, to] = self.ends();
        let number = match self.log {
            true => from * (to / from).powf(fraction),
            false => from + (to - from) * fraction,
        };
        match self.is_whole() {
            true => Value::from(number.round() as i64),
            // Few digits tell as much, and are easier to read.
            false => {
                let short = format!("{number:.5e}").parse().unwrap_or(number);
                Value::from(short.clamp(from, to))
            }
        }
    }

    /// The number that a uniform draw from 0 to 1 selects. Each whole number is as likely as another if not `log`.
    fn draw(&self, uniform: f64) -> Value {
        let [from, to] = self.ends();
        match self.is_whole() && !self.log {
            true => Value::from((from + ((to - from + 1.0) * uniform).floor()).min(to) as i64),
            false => self.at(uniform),
        }
    }

    fn is_whole(&self) -> bool {
        !self.from.is_f64() && !self.to.is_f64()
    }

    fn ends(&self) -> [f64; 2] {
        [&self.from, &self.to].map(|number| number.as_f64().unwrap_or(f64::NAN))
    }
}

impl Values {
    /// The number of values in a grid, or what was expected.
    fn count(&self, grid: bool) -> Result<usize, &'static str> {
        let range = match self {
            Self::List(list) if list.is_empty() => return Err("one value or more"),
            Self::List(list) => return Ok(list.len()),
            Self::Range(range) => range,
        };
        let [from, to] = range.ends();
        match range.points {
            _ if from >= to || !(to - from).is_finite() => Err("`from` below `to`"),
            _ if range.log && from <= 0.0 => Err("a range above 0, as it is `log`"),
            None if grid => Err("`points`, as it is for a grid"),
            Some(0 | 1) => Err("`points` of 2 and more"),
            points => Ok(points.unwrap_or(2)),
        }
    }

    /// The values in a grid.
    fn list(&self) -> Vec<Value> {
        let range = match self {
            Self::List(list) => return list.clone(),
            Self::Range(range) => range,
        };
        let last = range.points.unwrap_or(2).max(2) - 1;
        let fractions = (0..=last).map(|i| i as f64 / last as f64);
        let mut list: Vec<_> = fractions.map(|fraction| range.at(fraction)).collect();
        // Whole numbers may be fewer.
        list.dedup();
        list
    }
}

/// An error of a path in the search space.
fn invalid(path: &str, value: &impl Serialize, reason: impl ToString) -> RunError {
    let value = serde_json::to_value(value).unwrap_or_default();
    RunError::Value {
        path: format!("values.{path}"),
        value: toml(&value),
        reason: reason.to_string(),
    }
}

/// The runs of a sweep, apart from their seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The values of each candidate, by path.
    pub candidates: Vec<Vec<(String, Value)>>,
    /// The epochs of each round.
    pub rounds: Vec<usize>,
}

const OWNER: &str = "the sweep";

const MAX_CANDIDATES: usize = 10_000;

impl Sweep {
    /// Reads the file of a sweep.
    ///
    /// # Errors
    ///
    /// If it cannot be read or is no TOML, or a value is invalid; the error names it.
    pub fn from_file(path: &Path) -> Result<Self, RunError> {
        let text = fs::read_to_string(path).map_err(RunError::io(path))?;
        let sweep: Self = ::toml::from_str(&text).map_err(RunError::damaged(path))?;
        sweep.validate().map_err(RunError::damaged(path))?;
        Ok(sweep)
    }

    /// Checks all values but those of the runs.
    ///
    /// # Errors
    ///
    /// If one is out of its range; the error names it.
    pub fn validate(&self) -> Result<(), RunError> {
        InvalidConfig::require_size(OWNER, "candidates", self.candidates)?;
        InvalidConfig::require_size(OWNER, "least_epochs", self.least_epochs)?;
        let (keep, seeds) = (self.reduction_factor, self.seeds.len());
        InvalidConfig::require(OWNER, "reduction_factor", keep, keep > 1, "above 1")?;
        InvalidConfig::require(OWNER, "seeds", seeds, seeds > 0, "one or more")?;
        let different = self.seeds.iter().collect::<HashSet<_>>().len();
        InvalidConfig::require(
            OWNER,
            "seeds",
            different,
            different == seeds,
            "different ones",
        )?;
        if let Some(seed) = self.run.get("seed") {
            return Err(RunError::Value {
                path: "run.seed".to_owned(),
                value: toml(seed),
                reason: "expected a list of `seeds` outside of [run]".to_owned(),
            });
        }
        let values = self.values()?;
        let found = values.len();
        InvalidConfig::require(OWNER, "values", found, found > 0, "one or more")?;
        let mut all = 1_usize;
        for (path, values) in &values {
            let count = values.count(self.method == Method::Grid);
            let count = count.and_then(|count| match path.as_str() {
                "epochs" => Err("a number in [run]"),
                "seed" => Err("a list of `seeds`"),
                "best_by" => Err("one criterion, in [run]"),
                _ => Ok(count),
            });
            let invalid = |expected: &str| invalid(path, values, format!("expected {expected}"));
            all = all.saturating_mul(count.map_err(invalid)?);
        }
        let asked = match self.method {
            Method::Grid => all,
            Method::Random | Method::Halving => self.candidates,
        };
        let expected = format!("at most {MAX_CANDIDATES}");
        InvalidConfig::require(
            OWNER,
            "candidates",
            asked,
            asked <= MAX_CANDIDATES,
            expected,
        )?;
        Ok(())
    }

    /// The search space, by path.
    fn values(&self) -> Result<Vec<(String, Values)>, RunError> {
        fn collect(
            prefix: &str,
            table: &Map<String, Value>,
            found: &mut Vec<(String, Values)>,
        ) -> Result<(), RunError> {
            for (key, value) in table {
                let path = format!("{prefix}{key}");
                match value {
                    Value::Object(table) if !table.contains_key("from") => {
                        collect(&format!("{path}."), table, found)?;
                    }
                    Value::Array(list) => found.push((path, Values::List(list.clone()))),
                    Value::Object(_) => {
                        let range = serde_json::from_value(value.clone());
                        let range = range.map_err(|error| invalid(&path, value, error))?;
                        found.push((path, Values::Range(range)));
                    }
                    _ => {
                        let expected = "expected a list, or a range `{ from = .., to = .. }`";
                        return Err(invalid(&path, value, expected));
                    }
                }
            }
            Ok(())
        }
        let mut found = Vec::new();
        collect("", &self.values, &mut found)?;
        Ok(found)
    }

    /// The values of all candidates, by path.
    ///
    /// # Errors
    ///
    /// If the sweep is not [valid](Self::validate).
    pub fn candidates(&self) -> Result<Vec<Vec<(String, Value)>>, RunError> {
        self.validate()?;
        let values = self.values()?;
        if self.method == Method::Grid {
            let mut all = vec![Vec::new()];
            for (path, values) in values {
                let list = values.list();
                let longer = |one: &Vec<_>, value: &Value| {
                    let mut one = one.clone();
                    one.push((path.clone(), value.clone()));
                    one
                };
                let each = |one| list.iter().map(move |value| longer(one, value));
                all = all.iter().flat_map(each).collect();
            }
            return Ok(all);
        }
        let random = Philox::new(self.seed);
        let mut all: Vec<Vec<_>> = Vec::new();
        let mut seen = HashSet::new();
        // Lists alone may have fewer combinations than were asked for.
        for draw in 0..16 * self.candidates as u64 {
            let uniform = random.uniform(draw, values.len(), 0.0, 1.0);
            let drawn = values.iter().zip(uniform).map(|((path, values), uniform)| {
                let value = match values {
                    Values::List(list) => list[(uniform * list.len() as f32) as usize].clone(),
                    Values::Range(range) => range.draw(uniform.into()),
                };
                (path.clone(), value)
            });
            let candidate: Vec<_> = drawn.collect();
            if seen.insert(format!("{candidate:?}")) {
                all.push(candidate);
            }
            if all.len() == self.candidates {
                break;
            }
        }
        Ok(all)
    }

    /// The configuration of a run: the values of all runs, then those that are tried.
    ///
    /// # Errors
    ///
    /// If it has no value at one of the paths, or a value is invalid.
    pub fn config(
        &self,
        values: &[(String, Value)],
        seed: u64,
        epochs: usize,
    ) -> Result<RunConfig, RunError> {
        // The values of all runs are those of the network and data that are tried.
        let is_base = |path: &str| matches!(path, "dataset" | "preset" | "network");
        let (base, mut tried): (Vec<_>, Vec<_>) =
            values.iter().cloned().partition(|(path, _)| is_base(path));
        let common = leaves_but(self.run.clone(), base);
        tried.push(("epochs".to_owned(), epochs.into()));
        tried.push(("seed".to_owned(), seed.into()));
        RunConfig::default().with_values([common, tried])
    }

    /// The values of all candidates and the epochs of each round, after a check of every configuration: invalid values are found
    /// before hours of training.
    ///
    /// # Errors
    ///
    /// As [`candidates`](Self::candidates), [`rounds`](Self::rounds) and [`config`](Self::config).
    pub fn plan(&self) -> Result<Plan, RunError> {
        let (candidates, rounds) = (self.candidates()?, self.rounds()?);
        for values in &candidates {
            for epochs in &rounds {
                self.config(values, self.seeds[0], *epochs)?;
            }
        }
        Ok(Plan { candidates, rounds })
    }

    /// The epochs of each round.
    ///
    /// # Errors
    ///
    /// If the epochs are not a number above 0, or there are none.
    pub fn rounds(&self) -> Result<Vec<usize>, RunError> {
        let last = self.run.get("epochs").and_then(Value::as_u64).unwrap_or(0) as usize;
        InvalidConfig::require_size("[run] of the sweep", "epochs", last)?;
        if self.method != Method::Halving {
            return Ok(vec![last]);
        }
        let longer = |epochs: &usize| epochs.checked_mul(self.reduction_factor);
        let rounds = std::iter::successors(Some(self.least_epochs), longer);
        let before = rounds.take_while(|epochs| *epochs < last);
        Ok(before.chain([last]).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(text: &str) -> Sweep {
        ::toml::from_str(text).unwrap()
    }

    fn error(text: &str) -> String {
        sweep(text).validate().unwrap_err().to_string()
    }

    #[test]
    fn a_grid_has_all_combinations() {
        let sweep = sweep(
            "[values]\nnetwork.neuron = [\"lif\", \"klif\"]\nlearning_rate = { from = 1e-4, to = 1e-2, log = true, points = 3 }",
        );
        sweep.validate().unwrap();
        let all = sweep.candidates().unwrap();
        let rates = all.iter().map(|values| values[0].1.as_f64().unwrap());
        assert_eq!(
            rates.collect::<Vec<_>>(),
            [1e-4, 1e-4, 1e-3, 1e-3, 1e-2, 1e-2]
        );
        let config = sweep.config(&all[1], 7, 2).unwrap();
        assert_eq!(
            (config.seed, config.epochs, config.learning_rate),
            (7, 2, 1e-4)
        );
        assert_eq!(config.network.layers().neuron.kind(), "klif");
    }

    #[test]
    fn draws_are_within_their_ranges_and_differ() {
        let text = "method = \"random\"\ncandidates = 40\n[values]\n\
                    batch_size = { from = 10, to = 40 }\nlearning_rate = { from = 1e-4, to = 1e-2, log = true }";
        let first = sweep(text);
        let all = first.candidates().unwrap();
        assert_eq!(all.len(), 40);
        for values in &all {
            let (size, rate) = (values[0].1.as_u64().unwrap(), values[1].1.as_f64().unwrap());
            assert!((10..=40).contains(&size) && (1e-4..=1e-2).contains(&rate));
            first.config(values, 0, 1).unwrap();
        }
        // Half of the factors are below the middle one.
        let low = all
            .iter()
            .filter(|values| values[1].1.as_f64() < Some(1e-3))
            .count();
        assert!((10..=30).contains(&low), "{low}");
        assert_eq!(all, first.candidates().unwrap());
        assert_ne!(
            all,
            sweep(&format!("seed = 1\n{text}")).candidates().unwrap()
        );
        // There are only two.
        let few = sweep("method = \"random\"\n[values]\noptimizer = [\"adam\", \"sgd\"]");
        assert_eq!(few.candidates().unwrap().len(), 2);
    }

    #[test]
    fn rounds_of_halving_end_with_the_epochs_of_the_run() {
        let text =
            "method = \"halving\"\nleast_epochs = 2\n[values]\nbatch_size = [10]\n[run]\nepochs = ";
        let rounds = |epochs: usize| sweep(&format!("{text}{epochs}")).rounds().unwrap();
        assert_eq!(rounds(20), [2, 6, 18, 20]);
        assert_eq!(rounds(18), [2, 6, 18]);
        assert_eq!(rounds(1), [1]);
    }

    #[test]
    fn what_is_tried_counts_more_than_what_all_runs_have() {
        let text = "[values]\nnetwork.neuron = [\"klif\"]\n[run]\nnetwork.neuron.kind = \"lif\"\nnetwork.neuron.threshold = 0.7\nnetwork.seed = 9";
        let tried = sweep(text);
        let config = tried.config(&tried.candidates().unwrap()[0], 4, 1).unwrap();
        let layers = config.network.layers();
        assert_eq!((&*layers.neuron.kind(), layers.seed), ("klif", 4));
        let text =
            "[values]\npreset = [\"stbp-cnn\"]\n[run]\npreset = \"stbp-mlp\"\noptimizer = \"sgd\"";
        let other = sweep(text);
        let config = other.config(&other.candidates().unwrap()[0], 4, 1).unwrap();
        assert_eq!(
            (&*config.preset, config.optimizer),
            ("stbp-cnn", crate::Optimizer::Sgd)
        );
    }

    #[test]
    fn errors_name_the_value() {
        for (text, expected) in [
            ("[values]", "`values`"),
            ("[values]\nbatch_size = []", "`values.batch_size`"),
            ("[values]\nbatch_size = 3", "`values.batch_size`"),
            ("[values]\nepochs = [3]", "`values.epochs`"),
            ("[values]\nlearning_rate = { from = 1, to = 2 }", "`points`"),
            (
                "[values]\nlearning_rate = { from = 2, to = 1, points = 2 }",
                "`from` below `to`",
            ),
            (
                "[values]\nlearning_rate = { from = 2, points = 2 }",
                "missing field `to`",
            ),
            ("seeds = [1, 1]\n[values]\nbatch_size = [3]", "different"),
            ("[values]\nbatch_size = [3]\n[run]\nseed = 3", "`seeds`"),
            ("[values]\nbest_by = [\"loss\"]", "[run]"),
            ("seeds = []\n[values]\nbatch_size = [3]", "`seeds`"),
            (
                "reduction_factor = 1\n[values]\nbatch_size = [3]",
                "`reduction_factor`",
            ),
        ] {
            let error = error(text);
            assert!(error.contains(expected), "{error}");
        }
        let log =
            "method = \"random\"\n[values]\nlearning_rate = { from = 0.0, to = 1.0, log = true }";
        assert!(error(log).contains("above 0"));
        let unknown = sweep("[values]\nnetwork.neuron.decai = [0.1]");
        let error = unknown
            .config(&unknown.candidates().unwrap()[0], 0, 1)
            .unwrap_err();
        assert!(
            error.to_string().contains("network.neuron.decay"),
            "{error}"
        );
    }
}
