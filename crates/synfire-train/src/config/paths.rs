//! The values of a configuration by their paths.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};
use synfire::neuron::NeuronConfig;
use synfire_models::NetworkConfig;

use super::RunConfig;
use crate::RunError;

/// Keys of the tags of enums. A value for one of them replaces the table.
const TAGS: [&str; 3] = ["kind", "curve", "architecture"];

/// The keys that others depend on, in the order in which they are set.
const FIRST: [&str; 5] = ["dataset", "preset", "network", "seed", "loss"];

impl RunConfig {
    /// Sets the value at a path, such as `network.neuron.decay`, from text in TOML syntax; quotes may be omitted.
    ///
    /// - A name in place of a table chooses its variant with the default options: `encoder` to `direct`,
    ///   `network.neuron.surrogate` to `atan`, `network.norm` to `td-batch`. Neurons keep threshold, reset, gradient through
    ///   time, surrogate and execution where both kinds have them.
    /// - `none` clears an optional value.
    /// - `preset` selects another published network, `dataset` fits the network to its samples, `seed` also sets the seed of
    ///   the initial weights, `loss` selects a compatible readout.
    ///
    /// # Errors
    ///
    /// If the path or the value is invalid; the error lists the possible ones.
    pub fn set(&mut self, path: &str, text: &str) -> Result<(), RunError> {
        self.set_value(path, parse(text))
    }

    /// The same configuration with other values at some paths.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set), and if the result is not [valid](Self::validate).
    pub fn with<P: AsRef<str>, V: AsRef<str>>(
        &self,
        changes: impl IntoIterator<Item = (P, V)>,
    ) -> Result<Self, RunError> {
        let changes = changes.into_iter();
        let changes = changes.map(|(path, text)| (path.as_ref().to_owned(), parse(text.as_ref())));
        self.clone().with_values([changes.collect()])
    }

    /// The same configuration with other values at some paths, then more of them. In each group those that others depend on are
    /// set first.
    pub(crate) fn with_values<const N: usize>(
        mut self,
        groups: [Vec<(String, Value)>; N],
    ) -> Result<Self, RunError> {
        for mut changes in groups {
            changes.sort_by_key(|(path, value)| {
                let first = FIRST.iter().position(|first| path == first);
                let name = path.rsplit('.').next().unwrap_or_default();
                let depth = path.matches('.').count();
                let variant = TAGS.contains(&name) || value.is_string();
                (first.unwrap_or(FIRST.len()), !variant, depth)
            });
            for (path, value) in changes {
                self.set_value(&path, value)?;
            }
        }
        self.network.set_time_steps(self.time_steps);
        self.validate()?;
        Ok(self)
    }

    /// The same configuration with the values of a TOML file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is no TOML, and as [`with`](Self::with); the error names the file.
    pub fn with_file(&self, path: &Path) -> Result<Self, RunError> {
        self.with_file_but(path, std::iter::empty::<(&str, &str)>())
    }

    /// The same with others in place of some of the file's values: another preset takes the values of its network from the
    /// file.
    ///
    /// # Errors
    ///
    /// As [`with_file`](Self::with_file).
    pub fn with_file_but<P: AsRef<str>, V: AsRef<str>>(
        &self,
        path: &Path,
        others: impl IntoIterator<Item = (P, V)>,
    ) -> Result<Self, RunError> {
        let text = fs::read_to_string(path).map_err(RunError::io(path))?;
        let table: Map<String, Value> = toml::from_str(&text).map_err(RunError::damaged(path))?;
        let others = others.into_iter();
        let others = others.map(|(path, text)| (path.as_ref().to_owned(), parse(text.as_ref())));
        let changes = leaves_but(table, others);
        let config = self.clone().with_values([changes]);
        config.map_err(RunError::damaged(path))
    }

    /// All values with their paths, a line each, as TOML that [`with_file`](Self::with_file) reads.
    pub fn show(&self) -> String {
        let mut all = Vec::new();
        leaves("", self.to_value(), &mut all);
        let lines = all.into_iter().map(|(path, value)| match value {
            Value::Null => format!("{path} = \"none\"\n"),
            value => format!("{path} = {}\n", toml(&value)),
        });
        lines.collect()
    }

    /// Differences to another run: path, value of this run, value of the other.
    pub fn differences(&self, other: &Self) -> Vec<(String, String, String)> {
        let mut found = Vec::new();
        compare("", &self.to_value(), &other.to_value(), &mut found);
        found
    }

    /// The command that trains such a run, without options that do not affect the result: folder and device. A data folder is
    /// shown as `DIR`.
    ///
    /// ```
    /// use synfire_train::RunConfig;
    ///
    /// let config = RunConfig::default().with([("network.neuron", "klif"), ("seed", "3")])?;
    /// assert_eq!(config.command(), "synfire train --dataset mnist --model stbp-mlp --neuron klif --seed 3");
    /// # Ok::<(), synfire_train::RunError>(())
    /// ```
    pub fn command(&self) -> String {
        let (dataset, preset) = (self.dataset, &self.preset);
        let mut command = format!("synfire train --dataset {dataset} --model {preset}");
        let Ok(preset) = NetworkConfig::preset(preset) else {
            return command;
        };
        match self.data_anywhere() {
            "auto" => {}
            data => command += &format!(" --data {data}"),
        }
        let mut config = Self::of(self.dataset, preset);
        config.data.clone_from(&self.data);
        config.sample = self.sample;
        config.network.fit(self.sample, self.network.classes());
        // Values that others depend on come first; the loop below adds the remaining differences.
        let mine = self.to_value();
        for (path, option) in [
            ("network.neuron.kind", "--neuron "),
            ("loss", "--set loss="),
            ("seed", "--seed "),
            ("epochs", "--epochs "),
            ("time_steps", "--time-steps "),
        ] {
            let value = value_at(&mine, path);
            if value != value_at(&config.to_value(), path)
                && config.set_value(path, value.clone()).is_ok()
            {
                command += &format!(" {option}{}", argument(&value));
            }
        }
        // Setting a variant resets its options to the defaults, which may need another round.
        for _round in 0..4 {
            let differences = self.changes_from(&config);
            if differences.is_empty() {
                break;
            }
            for (path, value) in &differences {
                command += &format!(" --set {path}={}", argument(value));
            }
            let Ok(changed) = config.clone().with_values([differences]) else {
                break;
            };
            config = changed;
        }
        command
    }

    /// The values to set in another configuration to get this one.
    fn changes_from(&self, other: &Self) -> Vec<(String, Value)> {
        let mut variants = Vec::new();
        let mut changes = Vec::new();
        let mine = self.to_value();
        for (path, ..) in self.differences(other) {
            let value = value_at(&mine, &path);
            let (table, key) = path.rsplit_once('.').unwrap_or(("", &path));
            match TAGS.contains(&key) {
                true => variants.push((table.to_owned(), value)),
                // A table that does not exist yet starts as the default of its variant.
                false => match value.get(tag_of(Some(&value))) {
                    Some(variant) => variants.push((path.clone(), variant.clone())),
                    None => changes.push((path, value)),
                },
            }
        }
        for (table, _) in &variants {
            changes.retain(|(path, _)| !path.starts_with(&format!("{table}.")));
        }
        variants.extend(changes);
        variants
    }

    fn to_value(&self) -> Value {
        serde_json::to_value(self).expect("a configuration is plain data")
    }

    fn set_value(&mut self, path: &str, value: Value) -> Result<(), RunError> {
        match (path, &value) {
            ("preset" | "network", Value::String(id)) => {
                let preset = NetworkConfig::preset(id)?;
                let data = std::mem::take(&mut self.data);
                *self = Self::of(self.dataset, preset);
                self.data = data;
                return Ok(());
            }
            ("network.neuron" | "network.neuron.kind", Value::String(kind)) => {
                let neuron = NeuronConfig::of_kind(kind)?;
                let neuron = neuron.with_options_of(&self.network.layers().neuron);
                self.network = self.network.clone().with_neuron(neuron);
                return Ok(());
            }
            _ => {}
        }
        let before = self.to_value();
        let changed = self.with_value(&before, path, &value)?;
        let old = std::mem::replace(self, changed);
        let layers = self.network.layers();
        match path {
            "dataset" if old.dataset != self.dataset => {
                let (sample, classes) = self.dataset.shape();
                if self.weights.is_none() {
                    self.sample = sample;
                }
                self.network.fit(self.sample, classes);
            }
            "seed" => self.network.set_layers(layers.with_seed(self.seed)),
            "loss" => {
                let readout = self.loss.readout_for(&layers.readout);
                self.network.set_layers(layers.with_readout(readout));
            }
            _ => {}
        }
        Ok(())
    }

    /// The configuration with a value put at a path.
    fn with_value(&self, before: &Value, path: &str, value: &Value) -> Result<Self, RunError> {
        let read = |value: &Value| {
            let mut whole = before.clone();
            put(&mut whole, path, value.clone());
            serde_json::from_value::<Self>(whole)
        };
        let mut result = match value.as_str() {
            Some("none") => read(&Value::Null).or_else(|_| read(value)),
            _ => read(value),
        };
        if let (Err(_), Value::String(name)) = (&result, value) {
            // The name of a variant.
            let tag = tag_of(before.pointer(&pointer(path)));
            let mut variant = Map::new();
            variant.insert(tag.to_owned(), name.clone().into());
            result = read(&Value::Object(variant)).or(result);
        }
        let is_there = |value: &Value| value.pointer(&pointer(path)).is_some();
        let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
        let table = before.pointer(&pointer(parent));
        let in_table = table.is_some_and(Value::is_object);
        match result {
            // The value is present: serde did not ignore it.
            Ok(config) if is_there(before) || is_there(&config.to_value()) => Ok(config),
            Err(error) if is_there(before) || (!in_table && !parent.is_empty()) => {
                Err(RunError::Value {
                    path: path.to_owned(),
                    value: toml(value),
                    reason: error.to_string(),
                })
            }
            _ => Err(RunError::Path {
                path: path.to_owned(),
                known: neighbours(before, path),
            }),
        }
    }
}

/// Parses text as a TOML value; anything else is a string.
fn parse(text: &str) -> Value {
    let table: Result<Map<String, Value>, _> = toml::from_str(&format!("value = {text}"));
    let value = table.ok().and_then(|mut table| table.remove("value"));
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// A value in TOML syntax.
pub(crate) fn toml(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(toml).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(key, value)| format!("{key} = {}", toml(value)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        // Strings, numbers and booleans are written alike.
        other => other.to_string(),
    }
}

/// A value as an argument of a command.
fn argument(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // Quoted, as a shell would split it.
        value if value.is_object() => format!("'{}'", toml(value)),
        value => toml(value).replace(' ', ""),
    }
}

/// The value at a path; `null` where there is nothing.
fn value_at(whole: &Value, path: &str) -> Value {
    whole.pointer(&pointer(path)).cloned().unwrap_or_default()
}

/// A path as serde_json has it.
fn pointer(path: &str) -> String {
    let keys = path.split('.').filter(|key| !key.is_empty());
    keys.map(|key| format!("/{key}")).collect()
}

/// The tag key of a table.
fn tag_of(table: Option<&Value>) -> &'static str {
    let has = |tag: &&&str| table.is_some_and(|table| table.get(**tag).is_some());
    TAGS.iter().find(has).unwrap_or(&TAGS[0])
}

/// Puts a value at a path and creates missing tables on the way. A table whose variant changes loses its options.
fn put(whole: &mut Value, path: &str, value: Value) {
    let mut keys = path.split('.').peekable();
    let mut here = whole;
    while let Some(key) = keys.next() {
        if !here.is_object() {
            *here = Value::Object(Map::new());
        }
        let Value::Object(table) = here else { return };
        let last = keys.peek().is_none();
        if last && TAGS.contains(&key) && table.get(key) != Some(&value) {
            table.clear();
        }
        here = table.entry(key).or_insert(Value::Null);
    }
    *here = value;
}

/// The valid paths next to an invalid one.
fn neighbours(whole: &Value, path: &str) -> Vec<String> {
    let mut here = whole;
    let mut before = String::new();
    for key in path.split('.') {
        let Some(next) = here.get(key).filter(|next| next.is_object()) else {
            break;
        };
        here = next;
        before += &format!("{key}.");
    }
    let keys = here.as_object().into_iter().flat_map(Map::keys);
    keys.map(|key| format!("{before}{key}")).collect()
}

/// The path of a key in the table at a path.
fn below(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

/// The values of a table with their paths; lists are values.
fn leaves(path: &str, value: Value, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                leaves(&below(path, &key), value, found);
            }
        }
        value => found.push((path.to_owned(), value)),
    }
}

/// The values of a table with their paths, but others in place of some.
pub(crate) fn leaves_but(
    table: Map<String, Value>,
    others: impl IntoIterator<Item = (String, Value)>,
) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    leaves("", Value::Object(table), &mut found);
    for (path, value) in others {
        found.retain(|(other, _)| *other != path);
        found.push((path, value));
    }
    found
}

fn compare(path: &str, here: &Value, there: &Value, found: &mut Vec<(String, String, String)>) {
    match (here, there) {
        (Value::Object(here), Value::Object(there)) => {
            for (key, value) in here {
                let there = there.get(key).unwrap_or(&Value::Null);
                compare(&below(path, key), value, there, found);
            }
        }
        _ if here != there => found.push((path.to_owned(), toml(here), toml(there))),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::LossKind;
    use synfire::neuron::{Reset, Threshold};
    use synfire::surrogate::Surrogate;
    use synfire_models::block::ReadoutConfig;

    fn with(changes: &[(&str, &str)]) -> RunConfig {
        RunConfig::default().with(changes.iter().copied()).unwrap()
    }

    fn error(changes: &[(&str, &str)]) -> String {
        let result = RunConfig::default().with(changes.iter().copied());
        result.unwrap_err().to_string()
    }

    #[test]
    fn a_value_is_set_by_its_path_and_nothing_else_changes() {
        let config = with(&[
            ("network.sizes", "[784, 30, 20, 10]"),
            ("seed", "7"),
            ("network.neuron.surrogate", "gaussian"),
        ]);
        assert_eq!(config.network.structure(), "784-30-20-10");
        assert_eq!(config.network.layers().seed, 7);
        let neuron = config.network.layers().neuron;
        let gaussian = Surrogate::gaussian(1.0).unwrap();
        let curve = neuron.get::<Surrogate>("surrogate").unwrap();
        assert_eq!(curve.curve().id(), gaussian.curve().id());
        let differences = config.differences(&RunConfig::default()).into_iter();
        let names: Vec<_> = differences.map(|(name, ..)| name).collect();
        let paths = [
            "network.neuron.surrogate.curve",
            "network.seed",
            "network.sizes",
            "seed",
        ];
        assert!(
            paths.iter().all(|path| names.contains(&path.to_string())),
            "{names:?}"
        );
        assert!(names.len() <= 5, "{names:?}");
        let nothing: [(&str, &str); 0] = [];
        assert_eq!(config.with(nothing).unwrap(), config);
    }

    #[test]
    fn the_name_of_a_variant_sets_a_table() {
        let config = with(&[
            ("network.norm", "td-batch"),
            ("network.neuron.reset", "soft"),
            ("encoder", "latency"),
            ("encoder.threshold", "0.1"),
            ("samples", "100"),
        ]);
        assert_eq!(config.network.structure(), "784-800-10 (tdBN)");
        let neuron = config.network.layers().neuron;
        assert_eq!(neuron.get("reset"), Some(Reset::Soft));
        assert_eq!(config.samples, Some(100));
        let back = config.with([("network.norm", "none"), ("samples", "none")]);
        let back = back.unwrap();
        assert_eq!((back.network.layers().norm, back.samples), (None, None));
        // A normalisation with per-step parameters takes the time steps of the run.
        let config = with(&[("network.norm.kind", "te-batch"), ("time_steps", "6")]);
        let mut norm = config.network.layers().norm.unwrap();
        assert_eq!(norm.time_steps_mut(), Some(&mut 6));
    }

    #[test]
    fn another_neuron_keeps_what_both_have() {
        let config = with(&[
            ("network.neuron.threshold", "0.3"),
            ("network.neuron", "klif"),
            ("network.neuron.decay", "0.9"),
        ]);
        let neuron = config.network.layers().neuron;
        assert_eq!(neuron.kind(), "klif");
        // The kind is set first, whatever the order.
        assert_eq!(neuron.get("threshold"), Some(Threshold::from(0.3)));
    }

    #[test]
    fn what_follows_from_a_value_follows() {
        let config = with(&[("loss", "membrane")]);
        assert!(matches!(
            config.network.layers().readout,
            ReadoutConfig::Membrane(_)
        ));
        let config = with(&[("preset", "sew-resnet18"), ("loss", "tet")]);
        assert_eq!(config.network.layers().readout, ReadoutConfig::Currents);
        assert_eq!(config.network.image(), [1, 28, 28]);
        assert_eq!(config.time_steps, 4);
        let config = with(&[("dataset", "nmnist")]);
        assert_eq!(config.network.structure(), "2312-800-10");
        assert_eq!(LossKind::of(&ReadoutConfig::Spikes), config.loss);
    }

    #[test]
    fn what_there_is_not_is_named_with_what_there_is() {
        let text = error(&[("network.neuron.decai", "0.9")]);
        assert!(text.contains("no `network.neuron.decai`"), "{text}");
        assert!(text.contains("network.neuron.decay"), "{text}");
        let text = error(&[("epoch", "9")]);
        assert!(text.contains("epochs"), "{text}");
        let text = error(&[("network.neuron", "perceptron")]);
        assert!(
            text.contains("perceptron") && text.contains("klif"),
            "{text}"
        );
        let text = error(&[("preset", "resnet")]);
        assert!(text.contains("sew-resnet18"), "{text}");
        let text = error(&[("network.norm.kind", "layer")]);
        assert!(
            text.contains("layer") && text.contains("td-batch"),
            "{text}"
        );
        let text = error(&[("optimizer", "lion")]);
        assert!(text.contains("lion") && text.contains("adamw"), "{text}");
        let text = error(&[("epochs", "many")]);
        assert!(text.contains("`epochs` = \"many\""), "{text}");
    }

    #[test]
    fn values_out_of_range_are_named() {
        for (path, value, expected) in [
            ("time_steps", "0", "`time_steps`"),
            ("epochs", "0", "`epochs`"),
            ("batch_size", "0", "`batch_size`"),
            ("devices", "0", "`devices`"),
            ("samples", "0", "`samples`"),
            ("validation_samples", "0", "`validation_samples`"),
            ("learning_rate", "0.0", "`learning_rate`"),
            ("learning_rate", "nan", "`learning_rate`"),
            ("weight_decay", "-0.1", "`weight_decay`"),
            ("augmentation.shift", "256", "`augmentation.shift`"),
            ("augmentation.mixup", "1.5", "`augmentation.mixup`"),
            ("augmentation.cutmix", "nan", "`augmentation.cutmix`"),
            (
                "augmentation.policy",
                "{kind = \"random\", operations = 17}",
                "`augmentation.policy.operations`",
            ),
            ("accumulation", "0", "`accumulation`"),
            ("warmup", "9", "`warmup` of the run: 9"),
            ("average_decay", "1.0", "`average_decay`"),
            ("max_gradient_norm", "0", "`max_gradient_norm`"),
            ("label_smoothing", "-0.1", "`label_smoothing`"),
            (
                "least_time_steps",
                "11",
                "`least_time_steps` of the run: 11",
            ),
            ("network.sizes", "[784, 0, 10]", "`sizes` of StbpMlp: 0"),
            ("network.neuron.decay", "1.5", "`decay` of Lif: 1.5"),
            ("network.neuron.decay", "-0.1", "`decay` of Lif: -0.1"),
            ("network.initializer.gain", "-1.0", "`gain` of StbpMlp: -1"),
            ("network.dropout", "1.0", "`prob` of Dropout: 1"),
            (
                "network.sizes",
                "[784, 4000000, 10]",
                "3180000010 of 784-4000000-10",
            ),
        ] {
            let text = error(&[(path, value)]);
            assert!(text.contains(expected), "{text}");
        }
        let text = error(&[("network.norm", "te-batch"), ("least_time_steps", "5")]);
        assert!(
            text.contains("a part of the network is for a number"),
            "{text}"
        );
        let text = error(&[("network.neuron.surrogate.a", "0.0")]);
        assert!(text.contains("`a` of rectangular surrogate: 0"), "{text}");
    }

    #[test]
    fn what_is_shown_can_be_read_and_the_command_gives_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        for changes in [
            &[][..],
            &[
                ("preset", "stbp-cnn"),
                ("seed", "3"),
                ("network.pool_neuron.threshold", "0.25"),
            ],
            &[
                ("dataset", "nmnist"),
                ("frames.by", "window"),
                ("data", "some/where"),
            ],
            &[
                ("preset", "stbp-cnn-norm"),
                ("loss", "membrane"),
                ("network.readout.decay", "0.5"),
            ],
            &[
                ("network.neuron", "psn"),
                ("network.norm", "batch"),
                ("optimizer", "sgd"),
            ],
            &[
                ("augmentation.policy", "random"),
                ("augmentation.policy.magnitude", "14"),
                ("augmentation.cutmix", "1.0"),
                ("average_decay", "0.99"),
                ("least_time_steps", "4"),
            ],
            &[
                ("preset", "stbp-cnn"),
                ("network.pool_neuron", "none"),
                ("network.neuron.surrogate", "sigmoid"),
                ("network.neuron.surrogate.a", "1.0"),
                ("network.neuron.reset", "soft"),
            ],
        ] {
            let config = with(changes);
            fs::write(&path, config.show()).unwrap();
            let read = RunConfig::default().with_file(&path).unwrap();
            assert_eq!(read.differences(&config), [], "{changes:?}");

            let command = config.command();
            let mut words = command.split(' ').skip(2);
            let mut again = Vec::new();
            while let Some(option) = words.next() {
                let value = words.next().unwrap();
                again.push(match option {
                    "--set" => value.split_once('=').unwrap(),
                    "--model" => ("preset", value),
                    "--neuron" => ("network.neuron", value),
                    "--time-steps" => ("time_steps", value),
                    option => (option.trim_start_matches("--"), value),
                });
            }
            let again = RunConfig {
                data: config.data.clone(),
                ..RunConfig::default().with(again).unwrap()
            };
            assert_eq!(again.differences(&config), [], "{command}");
        }
        fs::write(&path, "epochs = 3\n[network]\n").unwrap();
        let read = RunConfig::default().with_file(&path).unwrap();
        assert_eq!(read, with(&[("epochs", "3")]));
        fs::write(&path, "preset = \"stbp-mlp\"\n[network]\nhidden = [128]\n").unwrap();
        let read = RunConfig::default().with_file_but(&path, [("preset", "vgg9")]);
        let expected = with(&[("preset", "vgg9"), ("network.hidden", "[128]")]);
        assert_eq!(read.unwrap(), expected);
        fs::write(&path, "epochs = 3\nepoch = 4\n").unwrap();
        let text = RunConfig::default()
            .with_file(&path)
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("run.toml") && text.contains("`epoch`"),
            "{text}"
        );
    }
}
