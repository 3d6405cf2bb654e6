//! The versioned ontology: which tools a project labels with, their labels and typed attributes.
//!
//! Pure data and pure rules. [`Template::check`] decides whether a template may be published, [`Tool::check_content`]
//! whether an annotation keeps to it. A published version never changes, so an annotation once valid under its task's
//! template stays valid. The JSON of these types is what the database stores and the API shows.

mod check;
mod content;

use serde::{Deserialize, Serialize};

pub use check::TemplateError;
pub use content::ContentError;

use super::words::{AttributeType, Kind, MediaType};

/// The ontology of a project in one version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// What the project's assets show.
    pub media_type: MediaType,
    /// The tools, in the order in which a labeling screen shows them; names are unique.
    pub tools: Vec<Tool>,
}

/// One way to label: a kind of geometry with the labels and attributes it may carry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tool {
    /// Unique in the template.
    pub name: String,
    /// What the tool draws.
    pub kind: Kind,
    /// What its annotations may be called; at least one, names are unique.
    pub labels: Vec<Label>,
    /// What its annotations may say beyond their label; names are unique.
    #[serde(default)]
    pub attributes: Vec<Attribute>,
    /// Whether a task can be submitted only with an annotation of this tool.
    #[serde(default)]
    pub required: bool,
}

/// A class of labeled objects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Label {
    /// Unique in the tool.
    pub name: String,
    /// How a labeling screen paints it: `#rrggbb`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// Guidance for the annotator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The points of the object; exactly the labels of KEYPOINTS tools have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skeleton: Option<Skeleton>,
}

/// Named points and the lines between them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Skeleton {
    /// Unique names, in the order in which exports list the points.
    pub points: Vec<String>,
    /// Lines to draw, each a pair of 0-based indexes into `points`.
    pub edges: Vec<Vec<i32>>,
}

/// A typed property of annotations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attribute {
    /// Unique in the tool.
    pub name: String,
    /// Type of its value.
    #[serde(rename = "type")]
    pub value_type: AttributeType,
    /// What there is to choose from: unique and not empty for SELECT and MULTI_SELECT, `None` for other types.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<String>>,
    /// Whether every annotation to which it applies must have it.
    #[serde(default)]
    pub required: bool,
    /// Names of the tool's labels to which it applies; `None` means all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applies_to: Option<Vec<String>>,
}

impl Tool {
    /// The label of that exact name.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&Label> {
        self.labels.iter().find(|label| label.name == name)
    }
}

impl Attribute {
    /// Whether an annotation with this label may have the attribute.
    #[must_use]
    pub fn applies_to(&self, label: &str) -> bool {
        self.applies_to.as_ref().is_none_or(|labels| labels.iter().any(|name| name == label))
    }
}
