//! BOUNDING_BOX: a rectangle in a picture, upright or rotated about its centre.
//!
//! An upright box lies in the picture. Of a rotated one only the centre must: the box around a tilted object at the
//! border sticks out with its corners, and cutting it there would change what was labeled.

use geo::{Area, BooleanOps};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AnnotationKind, AssetFacts, Extent, GeometryError, Point, jaccard, unsigned_zero};
use crate::domain::template::Tool;
use crate::domain::words::{Kind, MediaType};

/// A rectangle in a picture, upright or rotated about its centre.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BoundingBox {
    /// Left border before the rotation, in pixels from the left of the picture.
    pub x: f64,
    /// Top border before the rotation, in pixels from the top of the picture.
    pub y: f64,
    /// Width before the rotation, in pixels.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub width: f64,
    /// Height before the rotation, in pixels.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub height: f64,
    /// Degrees clockwise about the centre.
    #[serde(default)]
    #[schemars(extend("exclusiveMinimum" = -360, "exclusiveMaximum" = 360))]
    pub rotation: f64,
}

impl BoundingBox {
    /// The centre, which a rotation leaves in place.
    #[must_use]
    pub fn center(&self) -> Point {
        [self.x + self.width / 2.0, self.y + self.height / 2.0]
    }

    /// The corners after the rotation, in pixels: those that were top left, top right, bottom right and bottom left.
    #[must_use]
    pub fn corners(&self) -> [Point; 4] {
        let (left, top, right, bottom) = (self.x, self.y, self.x + self.width, self.y + self.height);
        let upright = [[left, top], [right, top], [right, bottom], [left, bottom]];
        if self.rotation == 0.0 {
            return upright;
        }
        let [center_x, center_y] = self.center();
        let (sin, cos) = self.rotation.to_radians().sin_cos();
        upright.map(|[x, y]| {
            let (dx, dy) = (x - center_x, y - center_y);
            [center_x + dx * cos - dy * sin, center_y + dx * sin + dy * cos]
        })
    }

    fn area(&self) -> f64 {
        self.width * self.height
    }

    fn outline(&self) -> geo::Polygon {
        geo::Polygon::new(self.corners().to_vec().into(), vec![])
    }

    fn intersection_area(&self, other: &Self) -> f64 {
        if self.rotation != 0.0 || other.rotation != 0.0 {
            return self.outline().intersection(&other.outline()).unsigned_area();
        }
        let width = (self.x + self.width).min(other.x + other.width) - self.x.max(other.x);
        let height = (self.y + self.height).min(other.y + other.height) - self.y.max(other.y);
        width.max(0.0) * height.max(0.0)
    }

    fn check_upright(&self, asset: &AssetFacts<'_>) -> Result<(), GeometryError> {
        for (axis, size_name, start, size, end_px) in [
            ("x", "width", self.x, self.width, asset.right_px()),
            ("y", "height", self.y, self.height, asset.bottom_px()),
        ] {
            if !(0.0..=end_px).contains(&start) {
                return Err(error(axis, format!("must lie in the picture, from 0 to {end_px}")));
            }
            if start + size > end_px {
                return Err(error(
                    size_name,
                    format!("must end in the picture: {axis} + {size_name} is at most {end_px}"),
                ));
            }
        }
        Ok(())
    }
}

impl AnnotationKind for BoundingBox {
    const KIND: Kind = Kind::BoundingBox;
    const DESCRIPTION: &'static str = "A rectangle around an object, upright or rotated about its centre";
    const MEDIA_TYPES: &'static [MediaType] = &[MediaType::Image, MediaType::ImageText];

    fn validate(&self, _tool: &Tool, _label: &str, asset: &AssetFacts<'_>) -> Result<(), GeometryError> {
        for (name, size) in [("width", self.width), ("height", self.height)] {
            if !(size > 0.0 && size <= f64::from(u32::MAX)) {
                return Err(error(name, "must be a number of pixels greater than 0"));
            }
        }
        if !(self.rotation > -360.0 && self.rotation < 360.0) {
            return Err(error("rotation", "must lie between -360 and 360 degrees"));
        }
        if self.rotation == 0.0 {
            return self.check_upright(asset);
        }
        if !asset.contains(self.center()) {
            let message = "must have its centre in the picture";
            return Err(GeometryError::new("geometry.boundingBox", message));
        }
        Ok(())
    }

    /// Intersection over union of the areas, of the rotated rectangles where there is a rotation.
    fn similarity(&self, other: &Self) -> f64 {
        if self == other {
            return 1.0;
        }
        let intersection = self.intersection_area(other);
        jaccard(intersection, self.area() + other.area() - intersection)
    }

    fn extent(&self) -> Option<Extent> {
        Extent::around(self.corners())
    }

    fn canonical(self) -> Self {
        let [x, y, width, height, rotation] =
            [self.x, self.y, self.width, self.height, self.rotation].map(unsigned_zero);
        Self { x, y, width, height, rotation }
    }
}

fn error(field: &str, message: impl Into<String>) -> GeometryError {
    GeometryError::new(format!("geometry.boundingBox.{field}"), message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const PICTURE: AssetFacts<'_> =
        AssetFacts { media_type: MediaType::Image, width_px: Some(100), height_px: Some(80), text: None };
    const UNKNOWN_SIZE: AssetFacts<'_> = AssetFacts { width_px: None, height_px: None, ..PICTURE };

    fn upright(x: f64, y: f64, width: f64, height: f64) -> BoundingBox {
        BoundingBox { x, y, width, height, rotation: 0.0 }
    }

    fn rotated(x: f64, y: f64, width: f64, height: f64, rotation: f64) -> BoundingBox {
        BoundingBox { rotation, ..upright(x, y, width, height) }
    }

    fn assert_near(got: f64, want: f64, name: &str) {
        assert!((got - want).abs() < 1e-6, "{name}: got {got}, want {want}");
    }

    #[test]
    fn boxes_lie_in_the_picture() {
        let tool: Tool = serde_json::from_value(json!({ "name": "t", "kind": "BOUNDING_BOX", "labels": [] })).unwrap();
        for (name, bounding_box, asset, want) in [
            ("the whole picture", upright(0.0, 0.0, 100.0, 80.0), PICTURE, None),
            ("a sliver too wide", upright(0.0, 0.0, 100.000001, 80.0), PICTURE, Some("geometry.boundingBox.width")),
            ("a sliver too high", upright(0.0, 0.5, 100.0, 80.0), PICTURE, Some("geometry.boundingBox.height")),
            ("left of the picture", upright(-0.1, 0.0, 5.0, 5.0), PICTURE, Some("geometry.boundingBox.x")),
            ("below the picture", upright(0.0, 81.0, 5.0, 5.0), PICTURE, Some("geometry.boundingBox.y")),
            ("no width", upright(1.0, 1.0, 0.0, 5.0), PICTURE, Some("geometry.boundingBox.width")),
            ("negative height", upright(1.0, 1.0, 5.0, -5.0), PICTURE, Some("geometry.boundingBox.height")),
            ("x is no number", upright(f64::NAN, 1.0, 5.0, 5.0), PICTURE, Some("geometry.boundingBox.x")),
            ("width is no number", upright(1.0, 1.0, f64::NAN, 5.0), PICTURE, Some("geometry.boundingBox.width")),
            ("endless", upright(1.0, 1.0, f64::INFINITY, 5.0), UNKNOWN_SIZE, Some("geometry.boundingBox.width")),
            ("unknown size of the picture", upright(5_000.0, 1.0, 5.0, 5.0), UNKNOWN_SIZE, None),
            ("unknown size, negative y", upright(1.0, -1.0, 5.0, 5.0), UNKNOWN_SIZE, Some("geometry.boundingBox.y")),
            ("rotated, a corner sticks out", rotated(-2.0, 0.0, 10.0, 10.0, 45.0), PICTURE, None),
            ("rotated, centre outside", rotated(95.0, 0.0, 12.0, 10.0, 45.0), PICTURE, Some("geometry.boundingBox")),
            ("a full turn", rotated(0.0, 0.0, 9.0, 9.0, 360.0), PICTURE, Some("geometry.boundingBox.rotation")),
            (
                "rotation is no number",
                rotated(0.0, 0.0, 9.0, 9.0, f64::NAN),
                PICTURE,
                Some("geometry.boundingBox.rotation"),
            ),
        ] {
            let got = bounding_box.validate(&tool, "", &asset);
            assert_eq!(got.err().map(|error| error.field).as_deref(), want, "{name}");
        }
    }

    #[test]
    fn similarity_is_intersection_over_union() {
        let square = upright(10.0, 10.0, 10.0, 10.0);
        for (name, other, want) in [
            ("itself", square, 1.0),
            ("half over", upright(15.0, 10.0, 10.0, 10.0), 1.0 / 3.0),
            ("a quarter within", upright(10.0, 10.0, 5.0, 5.0), 0.25),
            ("side by side", upright(20.0, 10.0, 10.0, 10.0), 0.0),
            ("apart both ways", upright(30.0, 30.0, 10.0, 10.0), 0.0),
            ("a quarter turn of a square", rotated(10.0, 10.0, 10.0, 10.0, 90.0), 1.0),
            // They share an octagon of 2 * (sqrt 2 - 1) of the area of one.
            ("an eighth turn of a square", rotated(10.0, 10.0, 10.0, 10.0, 45.0), std::f64::consts::FRAC_1_SQRT_2),
            ("a rotated one apart", rotated(40.0, 40.0, 10.0, 10.0, 30.0), 0.0),
        ] {
            assert_near(square.similarity(&other), want, name);
        }
    }

    #[test]
    fn positive_rotation_is_clockwise_as_seen_on_the_picture() {
        let [top_left, top_right, ..] = rotated(0.0, 0.0, 20.0, 10.0, 90.0).corners();
        assert_near(top_left[0], 15.0, "what was top left is at the right");
        assert_near(top_left[1], -5.0, "and at the top");
        assert_near(top_right[1], 15.0, "what was top right is at the bottom");
    }

    #[test]
    fn rotation_is_zero_when_left_out() {
        let input = json!({ "x": 1, "y": 2, "width": 3, "height": 4 });
        assert_eq!(serde_json::from_value::<BoundingBox>(input).unwrap(), upright(1.0, 2.0, 3.0, 4.0));
    }

    prop_compose! {
        fn any_box()(x in 0.0..90.0, y in 0.0..70.0, width in 0.01..60.0, height in 0.01..60.0,
            rotation in prop_oneof![Just(0.0), -359.0..359.0]) -> BoundingBox
        {
            BoundingBox { x, y, width, height, rotation }
        }
    }

    proptest! {
        #[test]
        fn similarity_is_symmetric_bounded_and_one_for_itself(a in any_box(), b in any_box()) {
            let similarity = a.similarity(&b);
            prop_assert!((0.0..=1.0).contains(&similarity));
            prop_assert!((similarity - b.similarity(&a)).abs() < 1e-6);
            prop_assert_eq!(a.similarity(&a), 1.0);
        }

        #[test]
        fn a_full_turn_less_changes_nothing(a in any_box(), b in any_box()) {
            let turned = BoundingBox { rotation: a.rotation - 360.0 * a.rotation.signum(), ..a };
            prop_assert!((a.similarity(&b) - turned.similarity(&b)).abs() < 1e-6);
        }

        #[test]
        fn the_extent_contains_all_corners(a in any_box()) {
            let extent = a.extent().unwrap();
            for [x, y] in a.corners() {
                prop_assert!((extent.x_min..=extent.x_max).contains(&x) && (extent.y_min..=extent.y_max).contains(&y));
            }
        }
    }
}
