//! Cards of older formats.

use serde_json::{Map, Value, json};

use crate::load::FORMAT;

/// Converts a card of format 1 to the current format.
pub(super) fn card(mut card: Value) -> Value {
    let fields = card.as_object_mut();
    if let Some(fields) = fields.filter(|fields| !fields.contains_key("format")) {
        fields.insert("format".to_owned(), FORMAT.into());
        upgrade_run(fields.get_mut("config"));
    }
    card
}

/// Converts the configuration of a run of format 1 to the current format: enums were externally tagged, a LIF neuron had no
/// kind, `execution` was `path`, and `network` was `model`. Returns whether it was of format 1.
pub fn upgrade_run(config: Option<&mut Value>) -> bool {
    let Some(config) = config.and_then(Value::as_object_mut) else {
        return false;
    };
    let Some(mut network) = config.remove("model") else {
        return false;
    };
    tag("architecture", &mut network);
    if let Some(fields) = network.as_object_mut() {
        self::network(fields);
    }
    config.insert("network".to_owned(), network);
    if let Some(encoder) = config.get_mut("encoder") {
        tag("kind", encoder);
    }
    if let Some(preset) = config.get_mut("preset") {
        rename(preset, &PRESETS);
    }
    if let Some(stretch) = config.remove("stretch") {
        let contrast = if stretch == true { "stretch" } else { "as-is" };
        config.insert("contrast".to_owned(), contrast.into());
    }
    for (name, default) in [
        ("devices", json!(1)),
        ("best_by", json!("accuracy")),
        ("weight_decay", Value::Null),
        ("weights", Value::Null),
    ] {
        config.entry(name).or_insert(default);
    }
    true
}

/// Presets that had the name of their architecture.
const PRESETS: [(&str, &str); 5] = [
    ("plif-net", "plif-mnist"),
    ("spiking-vgg", "vgg5"),
    ("td-res-net", "td-resnet19"),
    ("sew-res-net", "sew-resnet18"),
    ("ms-res-net", "ms-resnet18"),
];

/// Architectures that had another name.
const ARCHITECTURES: [(&str, &str); 3] = [
    ("td-res-net", "td-resnet"),
    ("sew-res-net", "sew-resnet"),
    ("ms-res-net", "ms-resnet"),
];

fn rename(name: &mut Value, names: &[(&str, &str)]) {
    if let Some((_, new)) = names.iter().find(|(old, _)| name == old) {
        *name = (*new).into();
    }
}

fn network(fields: &mut Map<String, Value>) {
    if let Some(architecture) = fields.get_mut("architecture") {
        rename(architecture, &ARCHITECTURES);
    }
    if let Some(Value::Object(layers)) = fields.remove("layers") {
        fields.extend(layers);
    }
    for name in ["norm", "readout", "initializer"] {
        if let Some(value) = fields.get_mut(name) {
            tag("kind", value);
        }
    }
    for name in ["neuron", "pool_neuron"] {
        if let Some(neuron) = fields.get_mut(name).and_then(Value::as_object_mut) {
            self::neuron(neuron);
        }
    }
}

fn neuron(neuron: &mut Map<String, Value>) {
    neuron.entry("kind").or_insert_with(|| json!("lif"));
    if let Some(path) = neuron.remove("path") {
        neuron.insert("execution".to_owned(), path);
    }
    if let Some(reset) = neuron.get_mut("reset") {
        tag("kind", reset);
    }
    if let Some(gradient) = neuron.get_mut("temporal_gradient")
        && let Some(full) = gradient.get_mut("full")
    {
        *gradient = full.take();
    }
}

/// `"a"` and `{"a": {..}}` as `{"kind": "a", ..}`.
fn tag(kind: &str, value: &mut Value) {
    let (name, mut fields) = match value {
        Value::String(name) => (name.clone(), Map::new()),
        Value::Object(outer) if outer.len() == 1 && !outer.contains_key(kind) => {
            match outer.iter().next() {
                Some((name, Value::Object(fields))) => (name.clone(), fields.clone()),
                _ => return,
            }
        }
        _ => return,
    };
    fields.insert(kind.to_owned(), name.into());
    *value = Value::Object(fields);
}
