//! Whether an annotation's label and attributes keep to its tool.
//!
//! The geometry is checked elsewhere, by its kind. What is checked here is the whole content after an edit, never a
//! patch: a patch's `null`, which removes an attribute, has been applied before.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{Attribute, Tool};
use crate::domain::limits;
use crate::domain::words::AttributeType;

/// Why an annotation's label or attributes do not keep to its tool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ContentError {
    /// Where in the annotation, in the API's spelling: `label` or `attributes.occluded`.
    pub field: String,
    /// What is wrong and what would be right; lowercase, no full stop.
    pub message: String,
}

impl ContentError {
    fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl Tool {
    /// Checks an annotation's label and all its attributes.
    ///
    /// An empty text or an empty choice is a value, but not one that satisfies a required attribute.
    ///
    /// # Errors
    /// [`ContentError`] names the first field at fault: a label the tool does not have, an attribute it does not have
    /// or has for other labels only, a value of another type or not listed, a required one that is missing.
    pub fn check_content(&self, label: &str, attributes: &Map<String, Value>) -> Result<(), ContentError> {
        if self.label(label).is_none() {
            return Err(ContentError::new("label", format!("the tool \"{}\" has no such label", self.name)));
        }
        for (name, value) in attributes {
            let at = format!("attributes.{name}");
            let Some(attribute) = self.attributes.iter().find(|attribute| attribute.name == *name) else {
                return Err(ContentError::new(at, format!("the tool \"{}\" has no such attribute", self.name)));
            };
            if !attribute.applies_to(label) {
                return Err(ContentError::new(at, format!("does not apply to the label \"{label}\"")));
            }
            attribute.check_value(value).map_err(|message| ContentError::new(at, message))?;
        }
        let missing = self.attributes.iter().find(|attribute| {
            attribute.required && attribute.applies_to(label) && attributes.get(&attribute.name).is_none_or(is_blank)
        });
        missing.map_or(Ok(()), |attribute| {
            let at = format!("attributes.{}", attribute.name);
            Err(ContentError::new(at, format!("is required for the label \"{label}\"")))
        })
    }
}

impl Attribute {
    fn check_value(&self, value: &Value) -> Result<(), String> {
        match (self.value_type, value) {
            (AttributeType::Text, Value::String(text)) => check_text(text),
            (AttributeType::Number, Value::Number(number)) if number.as_f64().is_some_and(f64::is_finite) => Ok(()),
            (AttributeType::Boolean, Value::Bool(_)) => Ok(()),
            (AttributeType::Select, Value::String(choice)) => self.check_choice(choice),
            (AttributeType::MultiSelect, Value::Array(choices)) => self.check_choices(choices),
            (AttributeType::Text, _) => Err("must be a text".into()),
            (AttributeType::Number, _) => Err("must be a finite number".into()),
            (AttributeType::Boolean, _) => Err("must be true or false".into()),
            (AttributeType::Select, _) => Err("must be one of the listed values".into()),
            (AttributeType::MultiSelect, _) => Err("must be a list of the listed values".into()),
        }
    }

    fn check_choice(&self, choice: &str) -> Result<(), String> {
        if self.values.iter().flatten().any(|value| value == choice) {
            return Ok(());
        }
        Err("must be one of the listed values".into())
    }

    fn check_choices(&self, choices: &[Value]) -> Result<(), String> {
        let mut seen = HashSet::new();
        for choice in choices {
            let choice = choice.as_str().ok_or("must be a list of texts")?;
            self.check_choice(choice)?;
            if !seen.insert(choice) {
                return Err(format!("\"{choice}\" is chosen twice"));
            }
        }
        Ok(())
    }
}

fn check_text(text: &str) -> Result<(), String> {
    if text.chars().count() > limits::TEXT_VALUE_CHARS {
        return Err(format!("must have at most {} characters", limits::TEXT_VALUE_CHARS));
    }
    // PostgreSQL's jsonb cannot hold it.
    if text.contains('\0') {
        return Err("must not hold a NUL character".into());
    }
    Ok(())
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::String(text) => text.trim().is_empty(),
        Value::Array(choices) => choices.is_empty(),
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tool() -> Tool {
        serde_json::from_value(json!({
            "name": "vehicle", "kind": "BOUNDING_BOX", "labels": [{ "name": "car" }, { "name": "van" }],
            "attributes": [
                { "name": "occluded", "type": "BOOLEAN", "required": true },
                { "name": "plate", "type": "TEXT", "required": true, "appliesTo": ["van"] },
                { "name": "speed", "type": "NUMBER" },
                { "name": "maker", "type": "SELECT", "values": ["a", "b"] },
                { "name": "damage", "type": "MULTI_SELECT", "values": ["door", "roof"] },
            ],
        }))
        .unwrap()
    }

    #[test]
    fn content_keeps_to_the_tool() {
        for (name, label, attributes, want) in [
            ("only what is required", "car", json!({ "occluded": false }), None),
            ("unknown label", "bus", json!({ "occluded": false }), Some("label")),
            ("unknown attribute", "car", json!({ "occluded": false, "wings": 2 }), Some("attributes.wings")),
            ("required one missing", "car", json!({}), Some("attributes.occluded")),
            ("required for this label", "van", json!({ "occluded": true }), Some("attributes.plate")),
            ("required, but blank", "van", json!({ "occluded": true, "plate": " " }), Some("attributes.plate")),
            ("given for this label", "van", json!({ "occluded": true, "plate": "B-X 1" }), None),
            ("for other labels only", "car", json!({ "occluded": true, "plate": "B-X 1" }), Some("attributes.plate")),
            ("null is no value", "car", json!({ "occluded": null }), Some("attributes.occluded")),
        ] {
            let got = tool().check_content(label, attributes.as_object().unwrap());
            assert_eq!(got.err().map(|error| error.field).as_deref(), want, "{name}");
        }
    }

    #[test]
    fn values_have_the_type_of_their_attribute() {
        for (name, attribute, value, sound) in [
            ("text", "plate", json!("x"), true),
            ("longest text", "plate", json!("ü".repeat(10_000)), true),
            ("text too long", "plate", json!("x".repeat(10_001)), false),
            ("text with NUL", "plate", json!("a\0"), false),
            ("number as text", "plate", json!(1), false),
            ("integer", "speed", json!(50), true),
            ("fraction", "speed", json!(-0.5), true),
            ("text as number", "speed", json!("50"), false),
            ("boolean as number", "speed", json!(true), false),
            ("number as boolean", "occluded", json!(1), false),
            ("listed", "maker", json!("a"), true),
            ("not listed", "maker", json!("c"), false),
            ("list for one choice", "maker", json!(["a"]), false),
            ("no choice", "damage", json!([]), true),
            ("both", "damage", json!(["roof", "door"]), true),
            ("one twice", "damage", json!(["roof", "roof"]), false),
            ("one of them not listed", "damage", json!(["roof", "sill"]), false),
            ("choice that is no text", "damage", json!([1]), false),
            ("one choice without a list", "damage", json!("roof"), false),
        ] {
            let mut attributes = json!({ "occluded": true, "plate": "x" });
            attributes[attribute] = value;
            let got = tool().check_content("van", attributes.as_object().unwrap());
            let want = if sound { None } else { Some(format!("attributes.{attribute}")) };
            assert_eq!(got.err().map(|error| error.field), want, "{name}");
        }
    }
}
