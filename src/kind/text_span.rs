//! TEXT_SPAN: consecutive characters of a text.
//!
//! Positions count Unicode code points, not bytes and not UTF-16 units, so that every client language can agree on
//! them. The span quotes its characters, so that a client which counts in another unit is refused, not misread.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AnnotationKind, AssetFacts, Extent, GeometryError, jaccard};
use crate::domain::template::Tool;
use crate::domain::words::{Kind, MediaType};

/// Consecutive characters of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TextSpan {
    /// Unicode code points before the span.
    #[schemars(range(min = 0))]
    pub start: i32,
    /// Unicode code points up to the end of the span: the position of the first one behind it.
    #[schemars(range(min = 1))]
    pub end: i32,
    /// The characters from `start` to `end`.
    #[schemars(length(min = 1))]
    pub text: String,
}

impl TextSpan {
    fn length(&self) -> f64 {
        f64::from(self.end) - f64::from(self.start)
    }
}

impl AnnotationKind for TextSpan {
    const KIND: Kind = Kind::TextSpan;
    const DESCRIPTION: &'static str = "Consecutive characters of a text, counted in Unicode code points";
    const MEDIA_TYPES: &'static [MediaType] = &[MediaType::Text, MediaType::ImageText];

    fn validate(&self, _tool: &Tool, _label: &str, asset: &AssetFacts<'_>) -> Result<(), GeometryError> {
        let Some(text) = asset.text else {
            return Err(GeometryError::new("geometry.textSpan", "the asset has no text"));
        };
        let Ok(start) = usize::try_from(self.start) else {
            return Err(GeometryError::new("geometry.textSpan.start", "must be at least 0"));
        };
        let Some(length) = usize::try_from(self.end).ok().and_then(|end| end.checked_sub(start)).filter(|n| *n > 0)
        else {
            return Err(GeometryError::new("geometry.textSpan.end", "must be greater than start"));
        };
        let slice: String = text.chars().skip(start).take(length).collect();
        if slice.chars().count() < length {
            let message = format!("must be at most {}, the length of the text in code points", text.chars().count());
            return Err(GeometryError::new("geometry.textSpan.end", message));
        }
        if slice != self.text {
            let message = "must be the characters from start to end; positions count Unicode code points";
            return Err(GeometryError::new("geometry.textSpan.text", message));
        }
        // PostgreSQL's jsonb cannot hold it.
        if slice.contains('\0') {
            return Err(GeometryError::new("geometry.textSpan.text", "must not hold a NUL character"));
        }
        Ok(())
    }

    /// Code points in both spans over code points in either.
    fn similarity(&self, other: &Self) -> f64 {
        let overlap = f64::from(self.end.min(other.end)) - f64::from(self.start.max(other.start));
        let overlap = overlap.max(0.0);
        jaccard(overlap, self.length() + other.length() - overlap)
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

    fn span(start: i32, end: i32, text: &str) -> TextSpan {
        TextSpan { start, end, text: text.into() }
    }

    #[test]
    fn the_quoted_text_is_that_of_the_code_points() {
        let tool: Tool = serde_json::from_value(json!({ "name": "t", "kind": "TEXT_SPAN", "labels": [] })).unwrap();
        // A family of five code points, a letter, a combining accent, Latin and Han letters.
        let asset = AssetFacts {
            media_type: MediaType::Text,
            width_px: None,
            height_px: None,
            text: Some("👩\u{200d}👩\u{200d}👧e\u{301} Ana 東京\0"),
        };
        for (name, span, want) in [
            ("letters behind an emoji", span(8, 11, "Ana"), None),
            ("counted in UTF-16", span(11, 14, "Ana"), Some("geometry.textSpan.text")),
            ("counted in bytes", span(22, 25, "Ana"), Some("geometry.textSpan.end")),
            ("part of a cluster", span(6, 7, "\u{301}"), None),
            ("up to the end", span(12, 14, "東京"), None),
            ("behind the end", span(12, 17, "東京\0"), Some("geometry.textSpan.end")),
            ("starts behind the end", span(99, 100, "x"), Some("geometry.textSpan.end")),
            ("NUL", span(14, 15, "\0"), Some("geometry.textSpan.text")),
            ("another text", span(8, 11, "ana"), Some("geometry.textSpan.text")),
            ("less text", span(8, 11, "An"), Some("geometry.textSpan.text")),
            ("empty", span(8, 8, ""), Some("geometry.textSpan.end")),
            ("backwards", span(8, 7, ""), Some("geometry.textSpan.end")),
            ("negative", span(-1, 1, "x"), Some("geometry.textSpan.start")),
            ("the longest there can be", span(0, i32::MAX, "x"), Some("geometry.textSpan.end")),
        ] {
            let got = span.validate(&tool, "", &asset);
            assert_eq!(got.err().map(|error| error.field).as_deref(), want, "{name}");
        }
        let without_text = AssetFacts { text: None, ..asset };
        let got = span(0, 1, "x").validate(&tool, "", &without_text);
        assert_eq!(got.unwrap_err().field, "geometry.textSpan");
    }

    #[test]
    fn similarity_is_overlap_over_union() {
        for (name, a, b, want) in [
            ("same", (0, 4), (0, 4), 1.0),
            ("half over", (0, 4), (2, 6), 1.0 / 3.0),
            ("within", (0, 4), (1, 3), 0.5),
            ("end to end", (0, 4), (4, 8), 0.0),
            ("apart", (0, 4), (6, 8), 0.0),
        ] {
            assert_eq!(span(a.0, a.1, "").similarity(&span(b.0, b.1, "")), want, "{name}");
        }
    }

    prop_compose! {
        fn any_span()(start in 0..50i32, length in 1..50i32) -> TextSpan { span(start, start + length, "") }
    }

    proptest! {
        #[test]
        fn similarity_is_symmetric_bounded_and_one_for_itself(a in any_span(), b in any_span()) {
            prop_assert!((0.0..=1.0).contains(&a.similarity(&b)));
            prop_assert_eq!(a.similarity(&b), b.similarity(&a));
            prop_assert_eq!(a.similarity(&a), 1.0);
        }

        #[test]
        fn every_slice_quoted_right_is_accepted(text in "\\PC{1,20}", from in 0..20usize, length in 1..20usize) {
            let tool: Tool = serde_json::from_value(json!({ "name": "t", "kind": "TEXT_SPAN", "labels": [] })).unwrap();
            let asset = AssetFacts { media_type: MediaType::Text, width_px: None, height_px: None, text: Some(&text) };
            let slice: String = text.chars().skip(from).take(length).collect();
            let end = from + slice.chars().count();
            prop_assume!(!slice.is_empty());
            let quoted = span(from as i32, end as i32, &slice);
            prop_assert_eq!(quoted.validate(&tool, "", &asset), Ok(()));
        }
    }
}
