//! Whether a template may be published.
//!
//! Reports the first fault, with its place in the input, so that a person can go and mend it. Knows nothing about
//! kinds of geometry: which media a kind suits comes in as a function.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use super::{Attribute, Label, Skeleton, Template, Tool};
use crate::domain::limits;
use crate::domain::words::{AttributeType, Kind, MediaType};

/// Why a template cannot be published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// Where in the template, in the API's spelling: `tools[1].labels[3].name`.
    pub field: String,
    /// What is wrong and what would be right; lowercase, no full stop.
    pub message: String,
}

type Checked = Result<(), TemplateError>;

impl Template {
    /// Checks every rule a published template keeps.
    ///
    /// `media_types` gives the media a kind of annotation can be drawn on, `None` for a kind this server does not have.
    ///
    /// # Errors
    /// [`TemplateError`] names the first field that breaks a rule: a limit of [`limits`], a name that is empty, padded,
    /// not printable or taken, a kind that is not available or does not suit the media type, a label whose skeleton is
    /// missing, misplaced or broken, an attribute whose values do not fit its type or which applies to unknown labels.
    pub fn check(&self, media_types: impl Fn(Kind) -> Option<&'static [MediaType]>) -> Checked {
        count("tools", self.tools.len(), 1..=limits::TOOLS)?;
        names(self.tools.iter().map(|tool| &tool.name), |i| format!("tools[{i}].name"))?;
        for (i, tool) in self.tools.iter().enumerate() {
            let at = format!("tools[{i}]");
            suits(&format!("{at}.kind"), tool.kind, self.media_type, media_types(tool.kind))?;
            check_tool(&at, tool)?;
        }
        Ok(())
    }
}

fn suits(at: &str, kind: Kind, media_type: MediaType, suitable: Option<&[MediaType]>) -> Checked {
    match suitable {
        None => fault(at, format!("the kind {kind} is not available yet")),
        Some(suitable) if !suitable.contains(&media_type) => {
            fault(at, format!("{kind} does not suit {media_type} assets"))
        }
        Some(_) => Ok(()),
    }
}

fn check_tool(at: &str, tool: &Tool) -> Checked {
    count(&format!("{at}.labels"), tool.labels.len(), 1..=limits::LABELS)?;
    names(tool.labels.iter().map(|label| &label.name), |i| format!("{at}.labels[{i}].name"))?;
    for (i, label) in tool.labels.iter().enumerate() {
        check_label(&format!("{at}.labels[{i}]"), label, tool.kind)?;
    }
    count(&format!("{at}.attributes"), tool.attributes.len(), 0..=limits::ATTRIBUTES)?;
    names(tool.attributes.iter().map(|attribute| &attribute.name), |i| format!("{at}.attributes[{i}].name"))?;
    for (i, attribute) in tool.attributes.iter().enumerate() {
        check_attribute(&format!("{at}.attributes[{i}]"), attribute, tool)?;
    }
    Ok(())
}

fn check_label(at: &str, label: &Label, kind: Kind) -> Checked {
    if label.color.as_deref().is_some_and(|color| !is_color(color)) {
        return fault(format!("{at}.color"), "must be written as #rrggbb, six hexadecimal digits");
    }
    if let Some(description) = &label.description {
        check_description(&format!("{at}.description"), description)?;
    }
    let at = format!("{at}.skeleton");
    match (&label.skeleton, kind) {
        (Some(skeleton), Kind::Keypoints) => check_skeleton(&at, skeleton),
        (None, Kind::Keypoints) => fault(at, "a label of a KEYPOINTS tool needs a skeleton"),
        (Some(_), kind) => fault(at, format!("a label of a {kind} tool has no skeleton")),
        (None, _) => Ok(()),
    }
}

fn is_color(text: &str) -> bool {
    text.strip_prefix('#').is_some_and(|digits| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn check_description(at: &str, text: &str) -> Checked {
    if text.chars().count() > limits::DESCRIPTION_CHARS {
        return fault(at, format!("must have at most {} characters", limits::DESCRIPTION_CHARS));
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return fault(at, "must not hold control characters other than line breaks and tabs");
    }
    Ok(())
}

fn check_skeleton(at: &str, skeleton: &Skeleton) -> Checked {
    count(&format!("{at}.points"), skeleton.points.len(), 1..=limits::SKELETON_POINTS)?;
    names(&skeleton.points, |i| format!("{at}.points[{i}]"))?;
    count(&format!("{at}.edges"), skeleton.edges.len(), 0..=limits::SKELETON_EDGES)?;
    let is_point = |index: i32| usize::try_from(index).is_ok_and(|index| index < skeleton.points.len());
    for (i, edge) in skeleton.edges.iter().enumerate() {
        let at = format!("{at}.edges[{i}]");
        let [from, to] = edge[..] else {
            return fault(at, format!("must be a pair of points, has {}", edge.len()));
        };
        if !is_point(from) || !is_point(to) {
            return fault(at, format!("must be indexes from 0 to {}", skeleton.points.len() - 1));
        }
        if from == to {
            return fault(at, "must join two different points");
        }
    }
    Ok(())
}

fn check_attribute(at: &str, attribute: &Attribute, tool: &Tool) -> Checked {
    let value_type = attribute.value_type;
    match (&attribute.values, value_type) {
        (Some(values), AttributeType::Select | AttributeType::MultiSelect) => {
            count(&format!("{at}.values"), values.len(), 1..=limits::VALUES)?;
            names(values, |i| format!("{at}.values[{i}]"))?;
        }
        (None, AttributeType::Select | AttributeType::MultiSelect) => {
            return fault(format!("{at}.values"), format!("a {value_type} attribute needs values to choose from"));
        }
        (Some(_), AttributeType::Text | AttributeType::Number | AttributeType::Boolean) => {
            return fault(format!("{at}.values"), format!("a {value_type} attribute lists no values"));
        }
        (None, AttributeType::Text | AttributeType::Number | AttributeType::Boolean) => {}
    }
    let Some(labels) = &attribute.applies_to else { return Ok(()) };
    count(&format!("{at}.appliesTo"), labels.len(), 1..=tool.labels.len())?;
    names(labels, |i| format!("{at}.appliesTo[{i}]"))?;
    let known: HashSet<&str> = tool.labels.iter().map(|label| label.name.as_str()).collect();
    match labels.iter().position(|name| !known.contains(name.as_str())) {
        Some(i) => fault(format!("{at}.appliesTo[{i}]"), "must be the name of a label of this tool"),
        None => Ok(()),
    }
}

/// Names are compared exactly: `car` and `Car` are two.
fn names<'a>(names: impl IntoIterator<Item = &'a String>, at: impl Fn(usize) -> String) -> Checked {
    let mut seen = HashSet::new();
    for (i, name) in names.into_iter().enumerate() {
        if name.is_empty() {
            return fault(at(i), "must not be empty");
        }
        if name.trim() != name {
            return fault(at(i), "must not begin or end with a space");
        }
        if name.chars().any(char::is_control) {
            return fault(at(i), "must not hold control characters");
        }
        if name.chars().count() > limits::NAME_CHARS {
            return fault(at(i), format!("must have at most {} characters", limits::NAME_CHARS));
        }
        if !seen.insert(name) {
            return fault(at(i), format!("\"{name}\" is there twice"));
        }
    }
    Ok(())
}

fn count(at: &str, found: usize, allowed: RangeInclusive<usize>) -> Checked {
    if allowed.contains(&found) {
        return Ok(());
    }
    fault(at, format!("must have {} to {} entries, has {found}", allowed.start(), allowed.end()))
}

fn fault(field: impl Into<String>, message: impl Into<String>) -> Checked {
    Err(TemplateError { field: field.into(), message: message.into() })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn media_types(kind: Kind) -> Option<&'static [MediaType]> {
        match kind {
            Kind::BoundingBox | Kind::Keypoints => Some(&[MediaType::Image]),
            Kind::TextSpan => Some(&[MediaType::Text]),
            _ => None,
        }
    }

    fn template() -> Value {
        json!({ "mediaType": "IMAGE", "tools": [
            { "name": "vehicle", "kind": "BOUNDING_BOX", "required": true,
              "labels": [{ "name": "car", "color": "#1F77b4", "description": "four wheels,\nroof" }, { "name": "van" }],
              "attributes": [
                { "name": "occluded", "type": "BOOLEAN", "required": true },
                { "name": "maker", "type": "SELECT", "values": ["a", "b"], "appliesTo": ["van"] },
              ] },
            { "name": "pose", "kind": "KEYPOINTS",
              "labels": [{ "name": "person", "skeleton": { "points": ["head", "hip"], "edges": [[0, 1]] } }] },
        ] })
    }

    /// The field at fault after one change to a sound template; `None` when it is still sound.
    fn fault_after(pointer: &str, value: Value) -> Option<String> {
        let mut input = template();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match input.pointer_mut(parent).unwrap() {
            Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
            parent => parent[key] = value,
        }
        let template: Template = serde_json::from_value(input).unwrap();
        template.check(media_types).err().map(|error| error.field)
    }

    #[test]
    fn a_sound_template_passes() {
        let template: Template = serde_json::from_value(template()).unwrap();
        assert_eq!(template.check(media_types), Ok(()));
    }

    #[test]
    fn json_leaves_out_what_is_not_set_and_comes_back_the_same() {
        let template: Template = serde_json::from_value(template()).unwrap();
        let json = serde_json::to_value(&template).unwrap();
        assert_eq!(json["tools"][0]["labels"][1], json!({ "name": "van" }));
        assert_eq!(
            json["tools"][0]["attributes"][0],
            json!({ "name": "occluded", "type": "BOOLEAN", "required": true })
        );
        assert_eq!(serde_json::from_value::<Template>(json).unwrap(), template);
    }

    #[test]
    fn names_are_printable_bounded_and_unique() {
        for (name, pointer, value, want) in [
            ("empty tool name", "/tools/1/name", json!(""), Some("tools[1].name")),
            ("padded label name", "/tools/0/labels/1/name", json!("van "), Some("tools[0].labels[1].name")),
            ("NUL in a name", "/tools/0/labels/1/name", json!("v\0n"), Some("tools[0].labels[1].name")),
            ("line break in a name", "/tools/0/attributes/0/name", json!("a\nb"), Some("tools[0].attributes[0].name")),
            ("200 characters", "/tools/0/name", json!("ü".repeat(200)), None),
            ("201 characters", "/tools/0/name", json!("ü".repeat(201)), Some("tools[0].name")),
            ("tool name taken", "/tools/1/name", json!("vehicle"), Some("tools[1].name")),
            ("label name taken", "/tools/0/labels/1/name", json!("car"), Some("tools[0].labels[1].name")),
            ("other capitals are another name", "/tools/0/labels/0/name", json!("Van"), None),
            (
                "attribute name taken",
                "/tools/0/attributes/1/name",
                json!("occluded"),
                Some("tools[0].attributes[1].name"),
            ),
        ] {
            assert_eq!(fault_after(pointer, value).as_deref(), want, "{name}");
        }
    }

    #[test]
    fn kinds_suit_the_media_type_and_skeletons_the_kind() {
        let skeleton = "tools[1].labels[0].skeleton";
        let edge = "tools[1].labels[0].skeleton.edges[0]";
        for (name, pointer, value, want) in [
            ("kind of a later part", "/tools/0/kind", json!("MASK"), Some("tools[0].kind")),
            ("kind for another medium", "/tools/0/kind", json!("TEXT_SPAN"), Some("tools[0].kind")),
            ("keypoints without a skeleton", "/tools/1/labels/0/skeleton", Value::Null, Some(skeleton)),
            ("skeleton of a box", "/tools/1/kind", json!("BOUNDING_BOX"), Some(skeleton)),
            ("no points", "/tools/1/labels/0/skeleton/points", json!([]), Some("tools[1].labels[0].skeleton.points")),
            (
                "point twice",
                "/tools/1/labels/0/skeleton/points/1",
                json!("head"),
                Some("tools[1].labels[0].skeleton.points[1]"),
            ),
            ("edge to a point that is not there", "/tools/1/labels/0/skeleton/edges/0", json!([0, 2]), Some(edge)),
            ("negative edge", "/tools/1/labels/0/skeleton/edges/0", json!([-1, 0]), Some(edge)),
            ("edge of three", "/tools/1/labels/0/skeleton/edges/0", json!([0, 1, 0]), Some(edge)),
            ("edge to itself", "/tools/1/labels/0/skeleton/edges/0", json!([1, 1]), Some(edge)),
            ("no edges", "/tools/1/labels/0/skeleton/edges", json!([]), None),
        ] {
            assert_eq!(fault_after(pointer, value).as_deref(), want, "{name}");
        }
    }

    #[test]
    fn attributes_list_values_exactly_when_they_are_chosen_from() {
        let values = "tools[0].attributes[1].values";
        for (name, pointer, value, want) in [
            ("nothing to choose", "/tools/0/attributes/1/values", json!([]), Some(values)),
            ("no values", "/tools/0/attributes/1/values", Value::Null, Some(values)),
            (
                "value twice",
                "/tools/0/attributes/1/values",
                json!(["a", "a"]),
                Some("tools[0].attributes[1].values[1]"),
            ),
            (
                "values of a boolean",
                "/tools/0/attributes/0/values",
                json!(["a"]),
                Some("tools[0].attributes[0].values"),
            ),
            ("several to choose", "/tools/0/attributes/1/type", json!("MULTI_SELECT"), None),
            (
                "unknown label",
                "/tools/0/attributes/1/appliesTo",
                json!(["bus"]),
                Some("tools[0].attributes[1].appliesTo[0]"),
            ),
            (
                "label twice",
                "/tools/0/attributes/1/appliesTo",
                json!(["van", "van"]),
                Some("tools[0].attributes[1].appliesTo[1]"),
            ),
            (
                "applies to nothing",
                "/tools/0/attributes/1/appliesTo",
                json!([]),
                Some("tools[0].attributes[1].appliesTo"),
            ),
        ] {
            assert_eq!(fault_after(pointer, value).as_deref(), want, "{name}");
        }
    }

    #[test]
    fn colors_descriptions_and_counts_are_bounded() {
        let labels: Vec<_> = (0..=limits::LABELS).map(|i| json!({ "name": i.to_string() })).collect();
        let color = "tools[0].labels[0].color";
        let description = "tools[0].labels[0].description";
        for (name, pointer, value, want) in [
            ("color by name", "/tools/0/labels/0/color", json!("red"), Some(color)),
            ("short color", "/tools/0/labels/0/color", json!("#fff"), Some(color)),
            ("color of six bytes, not digits", "/tools/0/labels/0/color", json!("#ÄÖÜ"), Some(color)),
            ("description with NUL", "/tools/0/labels/0/description", json!("\0"), Some(description)),
            ("long description", "/tools/0/labels/0/description", json!("x".repeat(2_001)), Some(description)),
            ("no tools", "/tools", json!([]), Some("tools")),
            ("no labels", "/tools/0/labels", json!([]), Some("tools[0].labels")),
            ("1,001 labels", "/tools/0/labels", json!(labels), Some("tools[0].labels")),
        ] {
            assert_eq!(fault_after(pointer, value).as_deref(), want, "{name}");
        }
    }

    #[test]
    fn the_message_tells_what_would_be_right() {
        for (name, kind, want) in [
            ("later part", Kind::Mask, "the kind MASK is not available yet"),
            ("other medium", Kind::TextSpan, "TEXT_SPAN does not suit IMAGE assets"),
        ] {
            let mut template: Template = serde_json::from_value(template()).unwrap();
            template.tools[0].kind = kind;
            assert_eq!(template.check(media_types).unwrap_err().to_string(), want, "{name}");
        }
    }
}
