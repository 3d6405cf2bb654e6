//! The geometries of annotations, one object and one input a kind.

use async_graphql::{InputObject, OneofObject, SimpleObject, Union};

use crate::{graphql::error::ApiError, kind, service::ServiceError};

/// Where an annotation is and what shape it has. Keep a default branch: kinds come.
#[derive(Union)]
pub(in crate::graphql) enum Geometry {
    /// A rectangle in a picture.
    BoundingBox(BoundingBox),
    /// An area of a picture.
    Polygon(Polygon),
    /// Characters of a text.
    TextSpan(TextSpan),
    /// What a whole asset is.
    Classification(Classification),
}

/// A rectangle in a picture, upright or rotated about its centre; pixels from the top left of the picture after EXIF
/// orientation.
#[derive(SimpleObject)]
pub(in crate::graphql) struct BoundingBox {
    /// Left border before the rotation.
    x: f64,
    /// Top border before the rotation.
    y: f64,
    /// Width before the rotation.
    width: f64,
    /// Height before the rotation.
    height: f64,
    /// Degrees clockwise about the centre.
    rotation: f64,
}

/// An area of a picture: one or several parts, which may overlap.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Polygon {
    /// The parts.
    parts: Vec<PolygonPart>,
}

/// A connected area; a ring is its vertices `[x, y]` in pixels, the first one not repeated.
#[derive(SimpleObject)]
pub(in crate::graphql) struct PolygonPart {
    /// Its outline.
    outer: Vec<kind::Point>,
    /// Outlines of what is cut out.
    holes: Vec<Vec<kind::Point>>,
}

/// Consecutive characters of a text, counted in Unicode code points.
#[derive(SimpleObject)]
pub(in crate::graphql) struct TextSpan {
    /// Code points before it.
    start: i32,
    /// Code points up to its end.
    end: i32,
    /// The characters from `start` to `end`.
    text: String,
}

/// The answers chosen for a whole asset.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Classification {
    /// Labels of the tool, the annotation's own among them.
    values: Vec<String>,
}

impl From<kind::Geometry> for Geometry {
    fn from(geometry: kind::Geometry) -> Self {
        match geometry {
            kind::Geometry::BoundingBox(kind::BoundingBox { x, y, width, height, rotation }) => {
                Self::BoundingBox(BoundingBox { x, y, width, height, rotation })
            }
            kind::Geometry::Polygon(polygon) => {
                let part = |part: kind::polygon::PolygonPart| PolygonPart { outer: part.outer, holes: part.holes };
                Self::Polygon(Polygon { parts: polygon.parts.into_iter().map(part).collect() })
            }
            kind::Geometry::TextSpan(kind::TextSpan { start, end, text }) => {
                Self::TextSpan(TextSpan { start, end, text })
            }
            kind::Geometry::Classification(kind::Classification { values }) => {
                Self::Classification(Classification { values })
            }
        }
    }
}

/// A geometry of one kind: that of the tool.
#[derive(OneofObject)]
pub(in crate::graphql) enum GeometryInput {
    /// A rectangle in a picture.
    BoundingBox(BoundingBoxInput),
    /// An area of a picture.
    Polygon(PolygonInput),
    /// Characters of a text.
    TextSpan(TextSpanInput),
    /// What a whole asset is.
    Classification(ClassificationInput),
}

/// A rectangle in a picture, in pixels; it lies in the picture, a rotated one with its centre.
#[derive(InputObject)]
pub(in crate::graphql) struct BoundingBoxInput {
    /// Left border before the rotation.
    x: f64,
    /// Top border before the rotation.
    y: f64,
    /// Width before the rotation; greater than 0.
    width: f64,
    /// Height before the rotation; greater than 0.
    height: f64,
    /// Degrees clockwise about the centre, between -360 and 360; default 0.
    rotation: Option<f64>,
}

/// An area of a picture.
#[derive(InputObject)]
pub(in crate::graphql) struct PolygonInput {
    /// The parts; at least one, at most 100,000 vertices in all.
    parts: Vec<PolygonPartInput>,
}

/// A connected area. Rings neither cross nor touch themselves; either winding will do.
#[derive(InputObject)]
pub(in crate::graphql) struct PolygonPartInput {
    /// Its outline: vertices `[x, y]` in pixels, the first one not repeated; at least 3.
    outer: Vec<Vec<f64>>,
    /// Outlines of what is cut out, within the outer one.
    holes: Option<Vec<Vec<Vec<f64>>>>,
}

/// Consecutive characters of a text, counted in Unicode code points.
#[derive(InputObject)]
pub(in crate::graphql) struct TextSpanInput {
    /// Code points before it.
    start: i32,
    /// Code points up to its end.
    end: i32,
    /// The characters from `start` to `end`: quoted, so that counting in another unit is noticed.
    text: String,
}

/// The answers chosen for a whole asset.
#[derive(InputObject)]
pub(in crate::graphql) struct ClassificationInput {
    /// Labels of the tool, the annotation's own among them.
    values: Vec<String>,
}

impl GeometryInput {
    /// Reads the geometry that stands at `field`.
    pub(in crate::graphql) fn parse(self, field: &str) -> Result<kind::Geometry, ApiError> {
        Ok(match self {
            Self::BoundingBox(BoundingBoxInput { x, y, width, height, rotation }) => {
                kind::BoundingBox { x, y, width, height, rotation: rotation.unwrap_or(0.0) }.into()
            }
            Self::Polygon(polygon) => {
                let parts = polygon.parts.into_iter().enumerate();
                let parts = parts.map(|(i, part)| part.parse(&format!("{field}.polygon.parts[{i}]")));
                kind::Polygon { parts: parts.collect::<Result<_, _>>()? }.into()
            }
            Self::TextSpan(TextSpanInput { start, end, text }) => kind::TextSpan { start, end, text }.into(),
            Self::Classification(ClassificationInput { values }) => kind::Classification { values }.into(),
        })
    }
}

impl PolygonPartInput {
    fn parse(self, field: &str) -> Result<kind::polygon::PolygonPart, ApiError> {
        let holes = self.holes.unwrap_or_default().into_iter().enumerate();
        let holes = holes.map(|(i, hole)| ring(hole, &format!("{field}.holes[{i}]")));
        Ok(kind::polygon::PolygonPart {
            outer: ring(self.outer, &format!("{field}.outer"))?,
            holes: holes.collect::<Result<_, _>>()?,
        })
    }
}

fn ring(vertices: Vec<Vec<f64>>, field: &str) -> Result<Vec<kind::Point>, ApiError> {
    let vertices = vertices.into_iter().enumerate().map(|(i, vertex)| {
        let vertex = kind::Point::try_from(vertex);
        vertex.map_err(|_| ServiceError::invalid(format!("{field}[{i}]"), "must be two numbers, x and y").into())
    });
    vertices.collect()
}
