//! What edits and annotations say, field by field, by the names that conflicts use: `geometry`, `label`,
//! `attributes.<name>`, `alive`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The values of fields. An attribute that is not there is null.
pub(crate) type Values = BTreeMap<String, Value>;

/// How many edits of each actor were seen, all in the first epoch.
pub(crate) type Vector = BTreeMap<String, i64>;

/// What a client asks of a content.
pub(crate) const CONTENT: &str = "label attributes deleted geometry { ... on BoundingBox { x y width height } }";

/// The sides of a box, in the order in which a client keeps them.
const SIDES: [&str; 4] = ["x", "y", "width", "height"];

const ATTRIBUTE: &str = "attributes.";

/// What a client asks of an annotation.
pub(crate) fn annotation() -> String {
    format!("id taskId revision versionVector {CONTENT}")
}

/// The how manieth edit of which actor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Dot {
    pub(crate) actor: String,
    pub(crate) counter: i64,
}

impl Dot {
    pub(crate) fn after(base: &Vector, actor: &str) -> Self {
        Self { actor: actor.to_owned(), counter: counter(base, actor) + 1 }
    }

    pub(crate) fn is_in(&self, vector: &Vector) -> bool {
        counter(vector, &self.actor) >= self.counter
    }
}

pub(crate) fn counter(vector: &Vector, actor: &str) -> i64 {
    vector.get(actor).copied().unwrap_or(0)
}

/// A vector as the API writes it.
pub(crate) fn vector_in_json(vector: &Vector) -> Value {
    let counters = vector.iter().map(|(actor, counter)| (actor.clone(), json!(counter)));
    Value::Object(counters.chain([("#".to_owned(), json!(1))]).collect())
}

/// An annotation at one revision.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    pub(crate) task: String,
    pub(crate) revision: i64,
    pub(crate) vector: Vector,
    pub(crate) values: Values,
}

impl State {
    pub(crate) fn read(annotation: &Value) -> Self {
        let mut vector = annotation["versionVector"].as_object().unwrap_or_else(|| panic!("{annotation}")).clone();
        assert_eq!(vector.remove("#"), Some(json!(1)), "nothing was cut: {annotation}");
        Self {
            task: annotation["taskId"].as_str().unwrap().to_owned(),
            revision: annotation["revision"].as_i64().unwrap(),
            vector: vector.into_iter().map(|(actor, counter)| (actor, counter.as_i64().unwrap())).collect(),
            values: read_content(annotation),
        }
    }
}

/// The values of a content as the API shows it.
pub(crate) fn read_content(content: &Value) -> Values {
    let sides = SIDES.map(|side| json!(content["geometry"][side].as_f64().unwrap()));
    let attributes = content["attributes"].as_object().unwrap();
    let attributes = attributes.iter().map(|(name, value)| (format!("{ATTRIBUTE}{name}"), value.clone()));
    let own = [
        ("geometry".to_owned(), json!(sides)),
        ("label".to_owned(), content["label"].clone()),
        ("alive".to_owned(), json!(content["deleted"] == false)),
    ];
    attributes.chain(own).collect()
}

/// The same values as the API takes them; whether it is alive, where they say so.
pub(crate) fn content_input(values: &Values) -> Map<String, Value> {
    let mut input = Map::new();
    let mut attributes = Map::new();
    for (field, value) in values {
        match field.as_str() {
            "geometry" => {
                let sides = SIDES.iter().zip(value.as_array().unwrap());
                let sides: Map<String, Value> =
                    sides.map(|(side, value)| ((*side).to_owned(), value.clone())).collect();
                input.insert("geometry".to_owned(), json!({ "boundingBox": sides }));
            }
            "label" => {
                input.insert("label".to_owned(), value.clone());
            }
            "alive" => {
                input.insert("deleted".to_owned(), json!(value == false));
            }
            attribute => {
                attributes.insert(attribute[ATTRIBUTE.len()..].to_owned(), value.clone());
            }
        }
    }
    if !attributes.is_empty() {
        input.insert("attributes".to_owned(), json!(attributes));
    }
    input
}

/// The value of a field.
pub(crate) fn value<'v>(values: &'v Values, field: &str) -> &'v Value {
    values.get(field).unwrap_or(&Value::Null)
}
