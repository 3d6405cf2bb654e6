//! What an annotation says, field by field, and what a change makes of it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The unit in which edits are told apart: two edits touch each other only in a field that both write.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Field {
    /// The geometry as a whole.
    Geometry,
    /// The label.
    Label,
    /// One attribute, by its name.
    Attribute(String),
    /// Whether it is there, or deleted.
    Alive,
}

const ATTRIBUTE: &str = "attributes.";

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Geometry => f.write_str("geometry"),
            Self::Label => f.write_str("label"),
            Self::Attribute(name) => write!(f, "{ATTRIBUTE}{name}"),
            Self::Alive => f.write_str("alive"),
        }
    }
}

impl From<Field> for String {
    fn from(field: Field) -> Self {
        field.to_string()
    }
}

/// The text names no field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no field is called {0:?}")]
pub struct UnknownField(String);

impl TryFrom<String> for Field {
    type Error = UnknownField;

    fn try_from(text: String) -> Result<Self, UnknownField> {
        match text.as_str() {
            "geometry" => Ok(Self::Geometry),
            "label" => Ok(Self::Label),
            "alive" => Ok(Self::Alive),
            other => match other.strip_prefix(ATTRIBUTE) {
                Some(name) => Ok(Self::Attribute(name.to_owned())),
                None => Err(UnknownField(text)),
            },
        }
    }
}

/// All that edits change of an annotation; `G` is its geometry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Content<G> {
    /// What it is called.
    pub label: String,
    /// Where it is.
    pub geometry: G,
    /// What else is said of it, by the names of the tool's attributes.
    pub attributes: Map<String, Value>,
    /// Whether it is deleted: a tombstone, which keeps its content for a restore.
    pub deleted: bool,
}

/// New values of some fields; a field left out stays as it is. In JSON, which is how it is stored, too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Patch<G> {
    /// What it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Where it is.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub geometry: Option<G>,
    /// Attributes to set; null removes one.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
    /// Whether it is deleted: to delete it, or to make a tombstone live again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<bool>,
}

impl<G> Default for Patch<G> {
    /// Names no field.
    fn default() -> Self {
        Self { label: None, geometry: None, attributes: Map::new(), deleted: None }
    }
}

impl<G> Patch<G> {
    /// Makes the annotation a tombstone, or live again.
    #[must_use]
    pub fn deleted(deleted: bool) -> Self {
        Self { deleted: Some(deleted), ..Self::default() }
    }

    /// Whether it names no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.label.is_none() && self.geometry.is_none() && self.attributes.is_empty() && self.deleted.is_none()
    }

    /// The fields it writes, whether or not their values are new.
    pub fn fields(&self) -> impl Iterator<Item = Field> {
        let geometry = self.geometry.as_ref().map(|_| Field::Geometry);
        let label = self.label.as_ref().map(|_| Field::Label);
        let attributes = self.attributes.keys().cloned().map(Field::Attribute);
        geometry.into_iter().chain(label).chain(attributes).chain(self.deleted.map(|_| Field::Alive))
    }

    /// This patch and a later one as one: the later value of each field.
    #[must_use]
    pub fn joined(mut self, later: Self) -> Self {
        self.attributes.extend(later.attributes);
        Self {
            label: later.label.or(self.label),
            geometry: later.geometry.or(self.geometry),
            attributes: self.attributes,
            deleted: later.deleted.or(self.deleted),
        }
    }
}

/// What an edit does.
#[derive(Clone, Debug, PartialEq)]
pub enum Change<G> {
    /// Makes the annotation.
    Create(Content<G>),
    /// Writes some of its fields.
    Write(Patch<G>),
}

impl<G> Content<G> {
    /// The value of each of its fields.
    #[must_use]
    pub fn into_patch(self) -> Patch<G> {
        let Self { label, geometry, attributes, deleted } = self;
        Patch { label: Some(label), geometry: Some(geometry), attributes, deleted: Some(deleted) }
    }

    /// Puts the values of a patch here; gives those that were here, which is the patch that undoes it.
    pub fn exchange(&mut self, patch: Patch<G>) -> Patch<G> {
        let attributes = patch.attributes.into_iter().map(|(name, value)| {
            let before = match value {
                Value::Null => self.attributes.remove(&name),
                value => self.attributes.insert(name.clone(), value),
            };
            (name, before.unwrap_or(Value::Null))
        });
        Patch {
            attributes: attributes.collect(),
            label: patch.label.map(|label| std::mem::replace(&mut self.label, label)),
            geometry: patch.geometry.map(|geometry| std::mem::replace(&mut self.geometry, geometry)),
            deleted: patch.deleted.map(|deleted| std::mem::replace(&mut self.deleted, deleted)),
        }
    }

    /// This content with the values of a patch.
    #[must_use]
    pub fn with(mut self, patch: Patch<G>) -> Self {
        self.exchange(patch);
        self
    }
}

impl<G: PartialEq> Content<G> {
    /// Whether a patch writes to `field` what is here already.
    #[must_use]
    pub fn agrees(&self, patch: &Patch<G>, field: &Field) -> bool {
        match field {
            Field::Geometry => patch.geometry.as_ref().is_none_or(|geometry| *geometry == self.geometry),
            Field::Label => patch.label.as_ref().is_none_or(|label| *label == self.label),
            Field::Alive => patch.deleted.is_none_or(|deleted| deleted == self.deleted),
            Field::Attribute(name) => {
                let ours = self.attributes.get(name).unwrap_or(&Value::Null);
                patch.attributes.get(name).is_none_or(|value| value == ours)
            }
        }
    }
}
