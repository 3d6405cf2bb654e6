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
#[derive(Clone, Debug, PartialEq)]
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

/// New values of some fields; a field left out stays as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch<G> {
    /// What it is called.
    pub label: Option<String>,
    /// Where it is.
    pub geometry: Option<G>,
    /// Attributes to set; null removes one.
    pub attributes: Map<String, Value>,
}

impl<G> Patch<G> {
    /// Whether it names no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.label.is_none() && self.geometry.is_none() && self.attributes.is_empty()
    }
}

/// What an edit does.
#[derive(Clone, Debug, PartialEq)]
pub enum Change<G> {
    /// Makes the annotation.
    Create(Content<G>),
    /// Writes some of its fields.
    Update(Patch<G>),
    /// Makes it a tombstone.
    Delete,
    /// Makes a tombstone live again; of a live annotation, nothing.
    Restore,
}

impl<G> Change<G> {
    /// The fields it writes, whether or not their values are new.
    #[must_use]
    pub fn fields(&self) -> Vec<Field> {
        let attributes = |of: &Map<String, Value>| of.keys().cloned().map(Field::Attribute).collect::<Vec<_>>();
        match self {
            Self::Create(content) => {
                let mut fields = vec![Field::Geometry, Field::Label, Field::Alive];
                fields.extend(attributes(&content.attributes));
                fields
            }
            Self::Update(patch) => {
                let mut fields = Vec::new();
                fields.extend(patch.geometry.as_ref().map(|_| Field::Geometry));
                fields.extend(patch.label.as_ref().map(|_| Field::Label));
                fields.extend(attributes(&patch.attributes));
                fields
            }
            Self::Delete | Self::Restore => vec![Field::Alive],
        }
    }
}

impl<G: Clone> Content<G> {
    /// This content after a change.
    #[must_use]
    pub fn after(&self, change: &Change<G>) -> Self {
        match change {
            Change::Create(content) => content.clone(),
            Change::Update(patch) => self.patched(patch),
            Change::Delete => Self { deleted: true, ..self.clone() },
            Change::Restore => Self { deleted: false, ..self.clone() },
        }
    }

    fn patched(&self, patch: &Patch<G>) -> Self {
        let mut attributes = self.attributes.clone();
        for (name, value) in &patch.attributes {
            if value.is_null() {
                attributes.remove(name);
            } else {
                attributes.insert(name.clone(), value.clone());
            }
        }
        Self {
            label: patch.label.as_ref().unwrap_or(&self.label).clone(),
            geometry: patch.geometry.as_ref().unwrap_or(&self.geometry).clone(),
            attributes,
            deleted: self.deleted,
        }
    }
}
