//! CLASSIFICATION: what a whole asset is, without a place in it.
//!
//! The tool is the question, its labels are the answers there are, `values` are the answers chosen. As every annotation
//! has one label, that is the main answer and one of the values: a question with one answer has `values: [label]`.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AnnotationKind, AssetFacts, Extent, GeometryError, jaccard};
use crate::domain::limits;
use crate::domain::template::Tool;
use crate::domain::words::{Kind, MediaType};

/// The answers chosen for a whole asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Classification {
    /// Names of labels of the tool, each at most once, the annotation's own label among them.
    #[schemars(length(min = 1, max = limits::LABELS), extend("uniqueItems" = true))]
    pub values: Vec<String>,
}

impl AnnotationKind for Classification {
    const KIND: Kind = Kind::Classification;
    const DESCRIPTION: &'static str = "One or several answers about a whole asset";
    const MEDIA_TYPES: &'static [MediaType] = &[
        MediaType::Image,
        MediaType::Text,
        MediaType::ImageText,
        MediaType::PointCloud,
        MediaType::Video,
        MediaType::Audio,
    ];

    fn validate(&self, tool: &Tool, label: &str, _asset: &AssetFacts<'_>) -> Result<(), GeometryError> {
        const FIELD: &str = "geometry.classification.values";
        if !self.values.iter().any(|value| value == label) {
            return Err(GeometryError::new(FIELD, "must hold the annotation's label"));
        }
        let labels: HashSet<&str> = tool.labels.iter().map(|label| label.name.as_str()).collect();
        let mut seen = HashSet::new();
        for (i, value) in self.values.iter().enumerate() {
            let at = format!("{FIELD}[{i}]");
            if !labels.contains(value.as_str()) {
                return Err(GeometryError::new(at, format!("the tool \"{}\" has no such label", tool.name)));
            }
            if !seen.insert(value) {
                return Err(GeometryError::new(at, format!("\"{value}\" is chosen twice")));
            }
        }
        Ok(())
    }

    /// Shared values over all values; their order means nothing.
    fn similarity(&self, other: &Self) -> f64 {
        let ours: HashSet<_> = self.values.iter().collect();
        let theirs: HashSet<_> = other.values.iter().collect();
        jaccard(ours.intersection(&theirs).count() as f64, ours.union(&theirs).count() as f64)
    }

    fn extent(&self) -> Option<Extent> {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn chosen(values: &[&str]) -> Classification {
        Classification { values: values.iter().copied().map(String::from).collect() }
    }

    #[test]
    fn values_are_labels_of_the_tool_with_the_own_label_among_them() {
        let labels = json!([{ "name": "sun" }, { "name": "rain" }, { "name": "snow" }]);
        let tool: Tool =
            serde_json::from_value(json!({ "name": "weather", "kind": "CLASSIFICATION", "labels": labels })).unwrap();
        let asset = AssetFacts { media_type: MediaType::Audio, width_px: None, height_px: None, text: None };
        for (name, values, want) in [
            ("the label alone", &["sun"][..], None),
            ("the label and more", &["rain", "sun"], None),
            ("nothing", &[], Some("geometry.classification.values")),
            ("without the label", &["rain"], Some("geometry.classification.values")),
            ("not a label", &["sun", "hail"], Some("geometry.classification.values[1]")),
            ("one twice", &["sun", "rain", "rain"], Some("geometry.classification.values[2]")),
        ] {
            let got = chosen(values).validate(&tool, "sun", &asset);
            assert_eq!(got.err().map(|error| error.field).as_deref(), want, "{name}");
        }
    }

    #[test]
    fn similarity_is_the_share_of_common_values() {
        for (name, a, b, want) in [
            ("same, other order", &["a", "b"][..], &["b", "a"][..], 1.0),
            ("one of three", &["a", "b"], &["b", "c"], 1.0 / 3.0),
            ("none", &["a"], &["b"], 0.0),
        ] {
            assert_eq!(chosen(a).similarity(&chosen(b)), want, "{name}");
        }
    }

    fn any_values() -> impl Strategy<Value = Classification> {
        proptest::sample::subsequence(vec!["a", "b", "c", "d", "e"], 1..=5).prop_map(|values| chosen(&values))
    }

    proptest! {
        #[test]
        fn similarity_is_symmetric_bounded_and_one_for_itself(a in any_values(), b in any_values()) {
            prop_assert!((0.0..=1.0).contains(&a.similarity(&b)));
            prop_assert_eq!(a.similarity(&b), b.similarity(&a));
            prop_assert_eq!(a.similarity(&a), 1.0);
        }
    }
}
