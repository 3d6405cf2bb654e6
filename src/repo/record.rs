//! A task as data sets carry it: what every format writes and reads, and what an export takes from the database.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    domain::{
        limits,
        words::{AnnotationSource, SlotState},
    },
    kind::Geometry,
};

/// One task with what was labeled in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// The id the task has elsewhere, unique in its project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::EXTERNAL_ID_CHARS))]
    pub external_id: Option<String>,
    /// Higher is handed out first.
    #[serde(default)]
    #[schemars(range(min = *limits::PRIORITY.start(), max = *limits::PRIORITY.end()))]
    pub priority: i32,
    /// What the labeling UI wants to know about the task.
    #[serde(default)]
    pub data: Map<String, Value>,
    /// What is labeled, in order.
    #[serde(default)]
    pub assets: Vec<RecordAsset>,
    /// The places of the task that have a result, by number.
    #[serde(default)]
    pub slots: Vec<RecordSlot>,
}

/// One file that a task shows. It is found again by its hash; without one by its name, which must then be unique.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordAsset {
    /// As its uploader called it.
    #[schemars(length(min = 1, max = limits::FILE_NAME_CHARS))]
    pub file_name: String,
    /// SHA-256 of its bytes, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = "^[0-9A-Fa-f]{64}$"))]
    pub sha256: Option<String>,
    /// MIME type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Pixels across, after EXIF orientation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub width: Option<u32>,
    /// Pixels down, after EXIF orientation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub height: Option<u32>,
}

/// One person's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordSlot {
    /// From 1.
    #[schemars(range(min = 1))]
    pub number: i32,
    /// From 1; how often the work was sent back, and one more.
    #[schemars(range(min = 1))]
    pub round: i32,
    /// ACCEPTED or SUBMITTED.
    #[schemars(extend("enum" = ["ACCEPTED", "SUBMITTED"]))]
    pub state: SlotState,
    /// Who handed it in; none when it was imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotator: Option<RecordPerson>,
    /// The live annotations, by id.
    #[serde(default)]
    pub annotations: Vec<RecordAnnotation>,
}

/// Somebody, as data sets name them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordPerson {
    /// The user's id.
    pub id: String,
    /// What others see.
    pub name: String,
}

/// One labeled object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordAnnotation {
    /// The id it had; an import gives it a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The place of the asset it is drawn on in `assets`, from 0; none: the only one, or the text in `data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset: Option<usize>,
    /// The tool; none: the template's only one that draws this kind with this label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// What it is called.
    pub label: String,
    /// Where it is: an object with one key, the kind's name.
    pub geometry: Geometry,
    /// What else is said of it, by attribute.
    #[serde(default)]
    pub attributes: Map<String, Value>,
    /// Where it comes from; none: the import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<AnnotationSource>,
    /// How sure its source was, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub score: Option<f64>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<RecordPerson>,
}

/// What could not be carried over: a sentence, and how often it happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses(BTreeMap<&'static str, u64>);

impl Losses {
    /// Counts one more of what `sentence` says: `rotations of boxes: the box around is given`.
    pub fn add(&mut self, sentence: &'static str) {
        *self.0.entry(sentence).or_default() += 1;
    }

    /// As people read them: `3 × rotations of boxes: the box around is given`.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        self.0.iter().map(|(sentence, times)| format!("{times} × {sentence}")).collect()
    }

    /// Takes over what `other` counts.
    pub fn join(&mut self, other: &Self) {
        for (sentence, times) in &other.0 {
            *self.0.entry(sentence).or_default() += times;
        }
    }
}
