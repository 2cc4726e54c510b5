//! Lists of networks, weights, neurons, surrogate curves and datasets.

use burn::tensor::Device;
use clap::Args;
use serde_json::{Value, json};
use synfire::neuron::NeuronConfig;
use synfire::surrogate::AnyCurve;
use synfire_data::DatasetName;
use synfire_models::{Card, NetworkConfig, learned_parameters};
use synfire_train::report::percent;
use synfire_train::{RunError, say};

/// Output options of a list.
#[derive(Args, Clone, Debug)]
pub struct List {
    /// One line of JSON for each
    #[arg(long)]
    json: bool,
}

/// Shows items as JSON, or some of their fields in columns. `columns` holds the names, separated by spaces.
fn show(list: &List, columns: &str, items: Vec<Value>) {
    if list.json {
        for item in items {
            say!("{item}");
        }
        return;
    }
    let columns: Vec<_> = columns.split(' ').collect();
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| item.to_string()).collect();
            items.join("x").replace('"', "")
        }
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let heading = columns.iter().map(|name| name.replace('_', " ")).collect();
    let cells = |item: &Value| columns.iter().map(|name| text(&item[*name])).collect();
    let mut rows: Vec<Vec<String>> = vec![heading];
    rows.extend(items.iter().map(cells));
    let width_of = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<_> = (0..columns.len()).filter_map(width_of).collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line += &format!("{cell:width$}  ");
        }
        say!("{}", line.trim_end());
    }
}

/// `synfire zoo`.
pub fn zoo(list: &List) -> Result<(), RunError> {
    let cards = Card::all()?;
    let mut items = Vec::new();
    for preset in NetworkConfig::presets() {
        // Counts parameters without allocating them.
        let network = preset.config.init(&Device::flex())?;
        let is_of = |card: &&Card| card.config.run.get("preset") == Some(&preset.id.into());
        let of_preset = cards.iter().filter(is_of);
        let weights: Vec<_> = of_preset.map(|card| card.id.clone()).collect();
        items.push(json!({
            "name": preset.id,
            "architecture": preset.config.name(),
            "structure": preset.config.structure(),
            "parameters": learned_parameters(&network),
            "time_steps": preset.time_steps,
            "image": preset.config.image(),
            "weights": weights,
        }));
    }
    show(list, "name parameters time_steps image structure", items);
    Ok(())
}

/// `synfire weights`.
pub fn weights(list: &List) -> Result<(), RunError> {
    let cards = Card::all()?;
    let items = cards.iter().map(|card| {
        let mut item = json!({
            "weights": card.id,
            "dataset": card.dataset,
            "test_accuracy": card.test_accuracy,
            "test_interval": card.test_interval,
            "validation_accuracy": card.validation_accuracy,
            "samples": card.samples[2],
            "structure": card.structure,
            "parameters": card.parameters,
            "time_steps": card.time_steps,
        });
        if !list.json {
            let [low, high] = card.test_interval;
            item["test_accuracy"] = percent(card.test_accuracy).into();
            item["95_%_interval"] = format!("{:.2} to {}", 100.0 * low, percent(high)).into();
            item["T"] = card.time_steps.into();
        }
        item
    });
    let columns = "weights dataset test_accuracy 95_%_interval parameters T structure";
    show(list, columns, items.collect());
    Ok(())
}

/// `synfire neurons`.
pub fn neurons(list: &List) -> Result<(), RunError> {
    let items = NeuronConfig::all().into_iter().map(|config| {
        json!({
            "name": config.kind(),
            "neuron": config.name(),
            "options": serde_json::to_value(&config).unwrap_or_default(),
        })
    });
    show(list, "name neuron", items.collect());
    Ok(())
}

/// `synfire surrogates`.
pub fn surrogates(list: &List) -> Result<(), RunError> {
    let items = AnyCurve::all().into_iter().map(|curve| {
        let parameters = curve.parameters().into_iter();
        let parameters: Value = match list.json {
            true => parameters.collect(),
            false => {
                let texts = parameters.map(|(name, value)| format!("{name} = {value}"));
                texts.collect::<Vec<_>>().join(", ").into()
            }
        };
        json!({"name": curve.id(), "parameters": parameters})
    });
    show(list, "name parameters", items.collect());
    Ok(())
}

/// `synfire datasets`.
pub fn datasets(list: &List) -> Result<(), RunError> {
    let items = DatasetName::all().iter().map(|dataset| {
        let (shape, classes) = dataset.shape();
        json!({
            "name": dataset.name(),
            "about": dataset.about(),
            "sample": shape,
            "classes": classes,
            "from": dataset.hint(),
        })
    });
    show(list, "name sample classes about", items.collect());
    Ok(())
}
