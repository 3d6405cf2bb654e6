//! POLYGON: an area of a picture, in several parts and with holes.
//!
//! A part is an area as OGC Simple Features defines it (OGC 06-103r4, 6.1.11): rings that neither cross nor touch
//! themselves, holes within the outer ring that meet it and each other in single points at most. Either winding will
//! do. Parts may overlap, as in COCO: together they cover what any of them covers.

mod rings;

use geo::bool_ops::FillRule;
use geo::orient::Direction;
use geo::{Area, BooleanOps, LineString, MultiPolygon, Orient};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AnnotationKind, AssetFacts, Extent, GeometryError, Point, jaccard, unsigned_zero};
use crate::domain::limits;
use crate::domain::template::Tool;
use crate::domain::words::{Kind, MediaType};
use rings::RingError;

/// An area of a picture: one or several parts, each with holes or without.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Polygon {
    /// The parts; they may overlap.
    #[schemars(length(min = 1))]
    pub parts: Vec<PolygonPart>,
}

/// A connected area.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolygonPart {
    /// Its outline: vertices `[x, y]` in pixels, the first one not repeated at the end.
    #[schemars(length(min = 3))]
    pub outer: Vec<Point>,
    /// Outlines of what is cut out, each like `outer`.
    #[serde(default)]
    #[schemars(inner(length(min = 3)))]
    pub holes: Vec<Vec<Point>>,
}

impl Polygon {
    fn vertices(&self) -> impl Iterator<Item = Point> {
        self.parts.iter().flat_map(PolygonPart::rings).flatten().copied()
    }

    /// Wound so that under the non-zero rule parts add up and holes take away from their own part only.
    fn area(&self) -> MultiPolygon {
        let line = |ring: &Vec<Point>| LineString::from(ring.clone());
        let part = |part: &PolygonPart| geo::Polygon::new(line(&part.outer), part.holes.iter().map(line).collect());
        self.parts.iter().map(part).collect::<MultiPolygon>().orient(Direction::Default)
    }
}

impl PolygonPart {
    /// The outer ring, then the holes.
    fn rings(&self) -> impl Iterator<Item = &Vec<Point>> {
        std::iter::once(&self.outer).chain(&self.holes)
    }

    fn check(&self, at: &str, asset: &AssetFacts<'_>) -> Result<(), GeometryError> {
        let name = |ring: usize| if ring == 0 { "outer".to_owned() } else { format!("holes[{}]", ring - 1) };
        for (i, ring) in self.rings().enumerate() {
            check_ring(&format!("{at}.{}", name(i)), ring, asset)?;
        }
        let rings: Vec<&[Point]> = self.rings().map(Vec::as_slice).collect();
        let (ring, message) = match rings::check(&rings) {
            Ok(()) => return Ok(()),
            Err(RingError::MeetsItself { ring }) => (ring, "must not cross or touch itself".to_owned()),
            Err(RingError::Crosses { ring, other }) => (ring, format!("must not cross or run along {}", name(other))),
            Err(RingError::OutsideOuter { ring }) => (ring, "must lie within outer".to_owned()),
            Err(RingError::Overlaps { ring, other }) => (ring, format!("must not overlap {}", name(other))),
        };
        Err(GeometryError::new(format!("{at}.{}", name(ring)), message))
    }
}

fn check_ring(at: &str, ring: &[Point], asset: &AssetFacts<'_>) -> Result<(), GeometryError> {
    if let Some(i) = ring.iter().position(|vertex| !asset.contains(*vertex)) {
        let (right_px, bottom_px) = (asset.right_px(), asset.bottom_px());
        let message = format!("must lie in the picture, x from 0 to {right_px} and y from 0 to {bottom_px}");
        return Err(GeometryError::new(format!("{at}[{i}]"), message));
    }
    if ring.len() > 1 && ring.first() == ring.last() {
        return Err(GeometryError::new(format!("{at}[{}]", ring.len() - 1), "must not repeat the first vertex"));
    }
    let mut distinct: Vec<Point> = Vec::new();
    for vertex in ring {
        if distinct.len() < 3 && !distinct.contains(vertex) {
            distinct.push(*vertex);
        }
    }
    if distinct.len() < 3 {
        return Err(GeometryError::new(at, "must have at least 3 distinct vertices"));
    }
    Ok(())
}

impl AnnotationKind for Polygon {
    const KIND: Kind = Kind::Polygon;
    const DESCRIPTION: &'static str = "An area outlined by vertices, in several parts and with holes";
    const MEDIA_TYPES: &'static [MediaType] = &[MediaType::Image, MediaType::ImageText];

    fn validate(&self, _tool: &Tool, _label: &str, asset: &AssetFacts<'_>) -> Result<(), GeometryError> {
        const FIELD: &str = "geometry.polygon.parts";
        if self.parts.is_empty() {
            return Err(GeometryError::new(FIELD, "must have at least 1 part"));
        }
        if self.vertices().count() > limits::POLYGON_VERTICES {
            let message = format!("must have at most {} vertices in all", limits::POLYGON_VERTICES);
            return Err(GeometryError::new(FIELD, message));
        }
        for (i, part) in self.parts.iter().enumerate() {
            part.check(&format!("{FIELD}[{i}]"), asset)?;
        }
        Ok(())
    }

    /// Intersection over union of the areas.
    fn similarity(&self, other: &Self) -> f64 {
        if self == other {
            return 1.0;
        }
        let apart = self.extent().zip(other.extent()).is_none_or(|(ours, theirs)| !ours.touches(&theirs));
        if apart {
            return 0.0;
        }
        let (ours, theirs) = (self.area(), other.area());
        let intersection = ours.intersection_with_fill_rule(&theirs, FillRule::NonZero).unsigned_area();
        let union = ours.union_with_fill_rule(&theirs, FillRule::NonZero).unsigned_area();
        jaccard(intersection, union)
    }

    fn extent(&self) -> Option<Extent> {
        Extent::around(self.vertices())
    }

    fn canonical(mut self) -> Self {
        for part in &mut self.parts {
            for ring in std::iter::once(&mut part.outer).chain(&mut part.holes) {
                ring.iter_mut().for_each(|vertex| *vertex = vertex.map(unsigned_zero));
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const PICTURE: AssetFacts<'_> =
        AssetFacts { media_type: MediaType::Image, width_px: Some(100), height_px: Some(80), text: None };

    fn square(x: f64, y: f64, size: f64) -> Vec<Point> {
        vec![[x, y], [x + size, y], [x + size, y + size], [x, y + size]]
    }

    fn part(outer: Vec<Point>, holes: Vec<Vec<Point>>) -> PolygonPart {
        PolygonPart { outer, holes }
    }

    fn polygon<const N: usize>(parts: [PolygonPart; N]) -> Polygon {
        Polygon { parts: parts.into() }
    }

    fn fault(polygon: &Polygon) -> Option<GeometryError> {
        let tool: Tool = serde_json::from_value(json!({ "name": "t", "kind": "POLYGON", "labels": [] })).unwrap();
        polygon.validate(&tool, "", &PICTURE).err()
    }

    #[test]
    fn parts_are_areas_of_the_picture() {
        let outer = || square(10.0, 10.0, 40.0);
        for (name, parts, want) in [
            ("a square", polygon([part(outer(), vec![])]), None),
            ("wound the other way", polygon([part(outer().into_iter().rev().collect(), vec![])]), None),
            ("with a hole", polygon([part(outer(), vec![square(20.0, 20.0, 5.0)])]), None),
            ("parts that overlap", polygon([part(outer(), vec![]), part(square(30.0, 30.0, 40.0), vec![])]), None),
            (
                "a part within the hole of another",
                polygon([part(outer(), vec![square(20.0, 20.0, 20.0)]), part(square(25.0, 25.0, 5.0), vec![])]),
                None,
            ),
            ("the border of the picture", polygon([part(vec![[0.0, 0.0], [100.0, 0.0], [100.0, 80.0]], vec![])]), None),
            ("no part", polygon([]), Some("parts")),
            ("two vertices", polygon([part(vec![[1.0, 1.0], [2.0, 2.0]], vec![])]), Some("parts[0].outer")),
            (
                "two distinct ones",
                polygon([part(vec![[1.0, 1.0], [2.0, 2.0], [1.0, 1.0], [2.0, 2.0]], vec![])]),
                Some("parts[0].outer"),
            ),
            ("no area", polygon([part(vec![[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]], vec![])]), Some("parts[0].outer")),
            (
                "closed ring",
                polygon([part(vec![[1.0, 1.0], [9.0, 1.0], [9.0, 9.0], [1.0, 1.0]], vec![])]),
                Some("parts[0].outer[3]"),
            ),
            ("outside the picture", polygon([part(square(90.0, 10.0, 10.1), vec![])]), Some("parts[0].outer[1]")),
            (
                "not a number",
                polygon([part(vec![[0.0, 0.0], [9.0, f64::NAN], [9.0, 9.0]], vec![])]),
                Some("parts[0].outer[1]"),
            ),
            ("second part broken", polygon([part(outer(), vec![]), part(vec![], vec![])]), Some("parts[1].outer")),
            (
                "bow tie",
                polygon([part(vec![[0.0, 0.0], [9.0, 9.0], [9.0, 0.0], [0.0, 9.0]], vec![])]),
                Some("parts[0].outer"),
            ),
            ("hole outside", polygon([part(outer(), vec![square(60.0, 20.0, 5.0)])]), Some("parts[0].holes[0]")),
            (
                "hole across the outline",
                polygon([part(outer(), vec![square(45.0, 20.0, 10.0)])]),
                Some("parts[0].holes[0]"),
            ),
            (
                "hole in a hole",
                polygon([part(outer(), vec![square(15.0, 15.0, 30.0), square(20.0, 20.0, 5.0)])]),
                Some("parts[0].holes[1]"),
            ),
            (
                "hole twice",
                polygon([part(outer(), vec![square(15.0, 15.0, 5.0), square(15.0, 15.0, 5.0)])]),
                Some("parts[0].holes[1]"),
            ),
            (
                "too many vertices",
                polygon([part(vec![[1.0, 1.0]; limits::POLYGON_VERTICES + 1], vec![])]),
                Some("parts"),
            ),
        ] {
            let want = want.map(|field| format!("geometry.polygon.{field}"));
            assert_eq!(fault(&parts).map(|error| error.field), want, "{name}");
        }
    }

    #[test]
    fn similarity_is_intersection_over_union() {
        let whole = polygon([part(square(0.0, 0.0, 20.0), vec![])]);
        let ring = polygon([part(square(0.0, 0.0, 20.0), vec![square(5.0, 5.0, 10.0)])]);
        for (name, a, b, want) in [
            (
                "same area, other first vertex",
                &whole,
                polygon([part(vec![[20.0, 0.0], [20.0, 20.0], [0.0, 20.0], [0.0, 0.0]], vec![])]),
                1.0,
            ),
            (
                "same area, other winding",
                &whole,
                polygon([part(square(0.0, 0.0, 20.0).into_iter().rev().collect(), vec![])]),
                1.0,
            ),
            ("half over", &whole, polygon([part(square(10.0, 0.0, 20.0), vec![])]), 200.0 / 600.0),
            ("with a hole and without", &whole, ring.clone(), 300.0 / 400.0),
            ("what lies in the hole", &ring, polygon([part(square(6.0, 6.0, 8.0), vec![])]), 0.0),
            (
                "parts that overlap count once",
                &whole,
                polygon([part(square(0.0, 0.0, 15.0), vec![]), part(square(5.0, 5.0, 15.0), vec![])]),
                350.0 / 400.0,
            ),
            (
                "a part fills the hole of another",
                &whole,
                polygon([
                    part(square(0.0, 0.0, 20.0), vec![square(5.0, 5.0, 10.0)]),
                    part(square(4.0, 4.0, 12.0), vec![]),
                ]),
                1.0,
            ),
            ("apart", &whole, polygon([part(square(50.0, 50.0, 5.0), vec![])]), 0.0),
            ("side by side", &whole, polygon([part(square(20.0, 0.0, 5.0), vec![])]), 0.0),
        ] {
            let got = a.similarity(&b);
            assert!((got - want).abs() < 1e-6, "{name}: got {got}, want {want}");
        }
    }

    prop_compose! {
        /// A star-shaped ring about a centre, with any number of dents: always sound.
        fn any_ring()(x in 30.0..70.0, y in 30.0..50.0, radii in prop::collection::vec(2.0..29.0, 3..20))
            -> Vec<Point>
        {
            let step = std::f64::consts::TAU / radii.len() as f64;
            let vertex = |(i, radius): (usize, &f64)| {
                let (sin, cos) = (i as f64 * step).sin_cos();
                [x + radius * cos, y + radius * sin]
            };
            radii.iter().enumerate().map(vertex).collect()
        }
    }

    prop_compose! {
        fn any_polygon()(rings in prop::collection::vec(any_ring(), 1..4)) -> Polygon {
            Polygon { parts: rings.into_iter().map(|outer| part(outer, vec![])).collect() }
        }
    }

    proptest! {
        #[test]
        fn star_shaped_polygons_are_sound(a in any_polygon()) {
            prop_assert_eq!(fault(&a), None);
        }

        #[test]
        fn similarity_is_symmetric_bounded_and_one_for_itself(a in any_polygon(), b in any_polygon()) {
            let similarity = a.similarity(&b);
            prop_assert!((0.0..=1.0).contains(&similarity));
            prop_assert!((similarity - b.similarity(&a)).abs() < 1e-6);
            prop_assert_eq!(a.similarity(&a), 1.0);
        }

        #[test]
        fn the_extent_contains_all_vertices(a in any_polygon()) {
            let extent = a.extent().unwrap();
            for [x, y] in a.vertices() {
                prop_assert!((extent.x_min..=extent.x_max).contains(&x) && (extent.y_min..=extent.y_max).contains(&y));
            }
        }

        #[test]
        fn json_keeps_every_bit(coordinates in prop::collection::vec(any::<(f64, f64)>(), 1..9)) {
            let outer: Vec<Point> = coordinates.into_iter().map(|(x, y)| [x, y]).collect();
            let json = serde_json::to_string(&polygon([part(outer.clone(), vec![])])).unwrap();
            let back: Polygon = serde_json::from_str(&json).unwrap();
            let bits = |ring: &[Point]| ring.iter().flatten().map(|c| c.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&back.parts[0].outer), bits(&outer), "serde_json needs its feature float_roundtrip");
        }
    }
}
