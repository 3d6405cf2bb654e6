//! The annotation kinds: what an annotation can be geometrically.
//!
//! A kind is one type, its payload, in one file: the payload's JSON is what the API takes, what the database stores and
//! what its JSON Schema describes. Everything the server asks about a geometry is asked of the payload through
//! [`AnnotationKind`]; everything it asks about a kind without a geometry stands in the [`registry`].
//!
//! A new kind is one file here and one line in the list at the end, which makes its variant of [`Geometry`] and its
//! entry of the registry. Pure: no I/O, no async. Coordinates are pixels as `f64`, origin top left, y down, on the
//! picture after EXIF orientation, and are kept bit for bit as they came, but for -0.0, which is kept as 0.0.

pub mod bounding_box;
pub mod classification;
pub mod polygon;
pub mod text_span;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use bounding_box::BoundingBox;
pub use classification::Classification;
pub use polygon::{Polygon, PolygonPart};
pub use text_span::TextSpan;

use crate::domain::template::Tool;
use crate::domain::words::{Kind, MediaType};

/// `[x, y]` in pixels.
pub type Point = [f64; 2];

/// What a payload must answer to be a kind.
pub trait AnnotationKind: JsonSchema {
    /// Its word.
    const KIND: Kind;

    /// One sentence for people who choose a kind.
    const DESCRIPTION: &'static str;

    /// The media it can be drawn on.
    const MEDIA_TYPES: &'static [MediaType];

    /// The units in which concurrent edits of its geometry are merged: an edit conflicts with another one of the same
    /// unit and with no other. One for the whole geometry, unless the kind has parts that mean something alone.
    const FIELDS: &'static [&'static str] = &["geometry"];

    /// Checks the geometry against the asset and, where it depends on the ontology, against the tool and the
    /// annotation's label. The label itself has been checked before, see [`Tool::check_content`].
    ///
    /// # Errors
    /// [`GeometryError`] names the first field that breaks a rule of the kind.
    fn validate(&self, tool: &Tool, label: &str, asset: &AssetFacts<'_>) -> Result<(), GeometryError>;

    /// How much two geometries agree by the kind's own measure: 0.0 for nothing in common, 1.0 for the same.
    /// Symmetric up to rounding. Both have passed [`AnnotationKind::validate`].
    fn similarity(&self, other: &Self) -> f64;

    /// The upright rectangle it takes up in the picture, `None` for what has no place in one.
    fn extent(&self) -> Option<Extent>;

    /// The same geometry in the one spelling that is stored: with 0.0 for every -0.0, whose sign PostgreSQL's jsonb
    /// forgets. For [`unsigned_zero`]; a kind without coordinates is as it should be.
    #[must_use]
    fn canonical(self) -> Self
    where
        Self: Sized,
    {
        self
    }
}

/// The number, 0.0 for -0.0.
#[must_use]
pub fn unsigned_zero(number: f64) -> f64 {
    number + 0.0
}

/// An upright rectangle in pixels, its borders included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    /// Left border.
    pub x_min: f64,
    /// Top border.
    pub y_min: f64,
    /// Right border.
    pub x_max: f64,
    /// Bottom border.
    pub y_max: f64,
}

impl Extent {
    /// The smallest one around all points; `None` without a point.
    pub fn around(points: impl IntoIterator<Item = Point>) -> Option<Self> {
        let at = |[x, y]: Point| Self { x_min: x, y_min: y, x_max: x, y_max: y };
        points.into_iter().map(at).reduce(|a, b| Self {
            x_min: a.x_min.min(b.x_min),
            y_min: a.y_min.min(b.y_min),
            x_max: a.x_max.max(b.x_max),
            y_max: a.y_max.max(b.y_max),
        })
    }

    /// Whether the two have a point in common.
    #[must_use]
    pub fn touches(&self, other: &Self) -> bool {
        self.x_min <= other.x_max && other.x_min <= self.x_max && self.y_min <= other.y_max && other.y_min <= self.y_max
    }
}

/// What a geometry is checked against: the asset it is drawn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssetFacts<'a> {
    /// What the asset shows.
    pub media_type: MediaType,
    /// Width of the picture after EXIF orientation; `None` when there is none or it is unknown.
    pub width_px: Option<u32>,
    /// Height of the picture after EXIF orientation; `None` when there is none or it is unknown.
    pub height_px: Option<u32>,
    /// The whole text; `None` when the asset has none.
    pub text: Option<&'a str>,
}

impl AssetFacts<'_> {
    /// Whether the point lies in the picture, its border included. Never true of a number that is not finite.
    #[must_use]
    pub fn contains(&self, [x, y]: Point) -> bool {
        (0.0..=self.right_px()).contains(&x) && (0.0..=self.bottom_px()).contains(&y)
    }

    /// The largest x of the picture; of one whose width is unknown, the largest width there could be.
    #[must_use]
    pub fn right_px(&self) -> f64 {
        f64::from(self.width_px.unwrap_or(u32::MAX))
    }

    /// The largest y of the picture; of one whose height is unknown, the largest height there could be.
    #[must_use]
    pub fn bottom_px(&self) -> f64 {
        f64::from(self.height_px.unwrap_or(u32::MAX))
    }
}

/// Why a geometry is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct GeometryError {
    /// Where in the annotation, in the API's spelling: `geometry.boundingBox.width`.
    pub field: String,
    /// What is wrong and what would be right; lowercase, no full stop.
    pub message: String,
}

impl GeometryError {
    fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// What is known of a kind without a geometry.
#[derive(Clone, Copy, Debug)]
pub struct KindInfo {
    /// Its word.
    pub kind: Kind,
    /// One sentence for people who choose a kind.
    pub description: &'static str,
    /// The media it can be drawn on.
    pub media_types: &'static [MediaType],
    /// Its units of merging, see [`AnnotationKind::FIELDS`].
    pub fields: &'static [&'static str],
    payload_schema: fn() -> Value,
}

impl KindInfo {
    const fn of<P: AnnotationKind>() -> Self {
        Self {
            kind: P::KIND,
            description: P::DESCRIPTION,
            media_types: P::MEDIA_TYPES,
            fields: P::FIELDS,
            payload_schema: || schemars::schema_for!(P).to_value(),
        }
    }

    /// JSON Schema (draft 2020-12) of the payload.
    #[must_use]
    pub fn payload_schema(&self) -> Value {
        (self.payload_schema)()
    }
}

/// The kinds this server has.
#[must_use]
pub fn registry() -> &'static [KindInfo] {
    REGISTRY
}

/// What is known of a kind; `None` when this server does not have it.
#[must_use]
pub fn of(kind: Kind) -> Option<&'static KindInfo> {
    registry().iter().find(|info| info.kind == kind)
}

/// The media a kind can be drawn on; `None` when this server does not have it. For
/// [`Template::check`](crate::domain::template::Template::check).
#[must_use]
pub fn media_types(kind: Kind) -> Option<&'static [MediaType]> {
    of(kind).map(|info| info.media_types)
}

impl Geometry {
    /// Checks that the geometry is drawn with a tool of its kind, on an asset that suits it, by the kind's rules.
    ///
    /// # Errors
    /// [`GeometryError`] names the first field at fault, `geometry` when the kind itself is out of place.
    pub fn validate(&self, tool: &Tool, label: &str, asset: &AssetFacts<'_>) -> Result<(), GeometryError> {
        let info = self.info();
        if tool.kind != info.kind {
            let message = format!("the tool \"{}\" draws {}, not {}", tool.name, tool.kind, info.kind);
            return Err(GeometryError::new("geometry", message));
        }
        if !info.media_types.contains(&asset.media_type) {
            let message = format!("{} does not suit {} assets", info.kind, asset.media_type);
            return Err(GeometryError::new("geometry", message));
        }
        self.validate_payload(tool, label, asset)
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.info().kind
    }

    /// Its units of merging, see [`AnnotationKind::FIELDS`].
    #[must_use]
    pub fn fields(&self) -> &'static [&'static str] {
        self.info().fields
    }
}

/// Makes [`Geometry`] and the registry from the list of payloads.
macro_rules! kinds {
    ($($(#[$doc:meta])* $payload:ident),+ $(,)?) => {
        /// The geometry of an annotation. In JSON an object with one key, the payload's name: `{"boundingBox": {..}}`.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase")]
        pub enum Geometry { $($(#[$doc])* $payload($payload)),+ }

        static REGISTRY: &[KindInfo] = &[$(KindInfo::of::<$payload>()),+];

        impl Geometry {
            fn info(&self) -> KindInfo {
                match self { $(Self::$payload(_) => KindInfo::of::<$payload>()),+ }
            }

            fn validate_payload(&self, tool: &Tool, label: &str, asset: &AssetFacts<'_>) -> Result<(), GeometryError> {
                match self { $(Self::$payload(payload) => payload.validate(tool, label, asset)),+ }
            }

            /// How much two geometries agree, see [`AnnotationKind::similarity`]; 0.0 when they are of different kinds.
            #[must_use]
            pub fn similarity(&self, other: &Self) -> f64 {
                match (self, other) {
                    $((Self::$payload(payload), Self::$payload(other)) => payload.similarity(other),)+
                    _ => 0.0,
                }
            }

            /// The same geometry as it is stored, see [`AnnotationKind::canonical`].
            #[must_use]
            pub fn canonical(self) -> Self {
                match self { $(Self::$payload(payload) => Self::$payload(payload.canonical())),+ }
            }

            /// The upright rectangle it takes up in the picture, `None` for what has no place in one.
            #[must_use]
            pub fn extent(&self) -> Option<Extent> {
                match self { $(Self::$payload(payload) => payload.extent()),+ }
            }
        }

        $(impl From<$payload> for Geometry {
            fn from(payload: $payload) -> Self { Self::$payload(payload) }
        })+
    };
}

kinds! {
    /// A rectangle in a picture.
    BoundingBox,
    /// An area of a picture.
    Polygon,
    /// Characters of a text.
    TextSpan,
    /// What a whole asset is.
    Classification,
}

/// Size of the intersection over size of the union, in 0.0..=1.0; two things without a size have nothing in common.
///
/// Source: P. Jaccard, *The distribution of the flora in the alpine zone*, New Phytologist 11, 1912.
fn jaccard(intersection: f64, union: f64) -> f64 {
    if union > 0.0 { (intersection / union).clamp(0.0, 1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use strum::VariantArray;

    use super::*;

    const PICTURE: AssetFacts<'_> =
        AssetFacts { media_type: MediaType::Image, width_px: Some(100), height_px: Some(80), text: None };

    fn tool(kind: Kind) -> Tool {
        serde_json::from_value(json!({ "name": "thing", "kind": kind, "labels": [{ "name": "car" }] })).unwrap()
    }

    #[test]
    fn every_kind_of_the_registry_is_found_described_and_has_a_strict_schema() {
        for info in registry() {
            let kind = info.kind;
            assert_eq!(of(kind).map(|found| found.kind), Some(kind), "{kind}");
            assert!(!info.media_types.is_empty() && !info.description.is_empty(), "{kind}");
            assert_eq!(info.fields, ["geometry"], "{kind}");
            assert_eq!(info.payload_schema()["type"], "object", "{kind}");
            assert_eq!(info.payload_schema()["additionalProperties"], false, "{kind}");
        }
    }

    #[test]
    fn kinds_of_later_parts_are_not_there() {
        let found: Vec<_> = Kind::VARIANTS.iter().filter(|kind| of(**kind).is_some()).collect();
        assert_eq!(found, [&Kind::BoundingBox, &Kind::Polygon, &Kind::TextSpan, &Kind::Classification]);
        assert_eq!(media_types(Kind::Mask), None);
    }

    #[test]
    fn json_is_one_object_under_the_name_of_the_kind() {
        for (kind, input) in [
            (
                Kind::BoundingBox,
                json!({ "boundingBox": { "x": 1.5, "y": 2.0, "width": 3.0, "height": 4.0, "rotation": 0.0 } }),
            ),
            (
                Kind::Polygon,
                json!({ "polygon": { "parts": [{ "outer": [[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]], "holes": [] }] } }),
            ),
            (Kind::TextSpan, json!({ "textSpan": { "start": 0, "end": 2, "text": "ab" } })),
            (Kind::Classification, json!({ "classification": { "values": ["car"] } })),
        ] {
            let geometry: Geometry = serde_json::from_value(input.clone()).unwrap();
            assert_eq!(geometry.kind(), kind);
            assert_eq!(serde_json::to_value(&geometry).unwrap(), input, "{kind}");
        }
    }

    #[test]
    fn json_of_no_kind_of_two_kinds_or_with_more_fields_is_refused() {
        for (name, input) in [
            ("none", json!({})),
            ("unknown", json!({ "circle": {} })),
            ("two", json!({ "classification": { "values": [] }, "textSpan": { "start": 0, "end": 1, "text": "a" } })),
            ("one field more", json!({ "classification": { "values": [], "score": 1 } })),
            ("one field less", json!({ "boundingBox": { "x": 1.0, "y": 2.0, "width": 3.0 } })),
            ("three coordinates", json!({ "polygon": { "parts": [{ "outer": [[0.0, 0.0, 0.0]] }] } })),
        ] {
            assert!(serde_json::from_value::<Geometry>(input).is_err(), "{name}");
        }
    }

    #[test]
    fn a_geometry_needs_a_tool_of_its_kind_and_an_asset_that_suits_it() {
        let geometry = Geometry::from(BoundingBox { x: 0.0, y: 0.0, width: 5.0, height: 5.0, rotation: 0.0 });
        let text = AssetFacts { media_type: MediaType::Text, text: Some("abc"), ..PICTURE };
        for (name, kind, asset, want) in [
            ("both", Kind::BoundingBox, PICTURE, None),
            (
                "tool of another kind",
                Kind::Polygon,
                PICTURE,
                Some("the tool \"thing\" draws POLYGON, not BOUNDING_BOX"),
            ),
            ("text", Kind::BoundingBox, text, Some("BOUNDING_BOX does not suit TEXT assets")),
        ] {
            let got = geometry.validate(&tool(kind), "car", &asset).map_err(|error| error.message);
            assert_eq!(got.err().as_deref(), want, "{name}");
        }
    }

    #[test]
    fn a_zero_is_stored_without_its_sign() {
        for (geometry, zeros) in [
            (json!({ "boundingBox": { "x": -0.0, "y": -0.0, "width": 3.0, "height": 4.0, "rotation": -0.0 } }), 3),
            (json!({ "polygon": { "parts": [{ "outer": [[-0.0, 1.0], [9.0, -0.0]], "holes": [[[-0.0, 2.0]]] }] } }), 3),
        ] {
            assert_eq!(geometry.to_string().matches("-0.0").count(), zeros, "{geometry}");
            let stored: Geometry = serde_json::from_value(geometry).unwrap();
            let stored = serde_json::to_string(&stored.canonical()).unwrap();
            assert_eq!(stored.matches("-0.0").count(), 0, "{stored}");
        }
    }

    #[test]
    fn different_kinds_have_nothing_in_common() {
        let values = Geometry::from(Classification { values: vec!["car".into()] });
        let span = Geometry::from(TextSpan { start: 0, end: 1, text: "a".into() });
        assert_eq!(values.similarity(&span), 0.0);
        assert_eq!(values.extent().or(span.extent()), None);
    }
}
