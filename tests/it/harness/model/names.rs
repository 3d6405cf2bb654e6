//! Names in the place of ids, which differ from one run to the next.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Names of ids, which differ from one run to the next.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<String, String>);

impl Names {
    pub(super) fn give(&mut self, id: &str, name: String) {
        self.0.insert(id.to_owned(), name);
    }

    /// The same with names; a conflict is named when it is met for the first time.
    pub(super) fn in_place_of(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => json!(self.of(text)),
            Value::Array(values) => values.iter().map(|value| self.in_place_of(value)).collect(),
            Value::Object(entries) => {
                // In the order of the names: that of the ids is by chance.
                let entries = entries.iter().map(|(key, value)| (self.of(key), self.in_place_of(value)));
                Value::Object(entries.collect::<BTreeMap<_, _>>().into_iter().collect())
            }
            other => other.clone(),
        }
    }

    fn of(&mut self, text: &str) -> String {
        if text.starts_with("conf_") && !self.0.contains_key(text) {
            let count = self.0.values().filter(|name| name.starts_with("conflict ")).count();
            self.give(text, format!("conflict {count}"));
        }
        self.0.get(text).cloned().unwrap_or_else(|| text.to_owned())
    }
}
