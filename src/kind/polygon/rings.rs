//! Whether the rings of one polygon part bound an area: one sweep over their edges, exact and in O(n log n).
//!
//! `geo` has the same rules (`Validation for Polygon`), but compares every edge with every other and every hole with
//! every other, which a polygon of 100,000 vertices turns into minutes of one core; in the tests it is the oracle.
//!
//! A line sweeps from left to right over the vertices. It keeps the edges it cuts, ordered from bottom to top (y grows
//! upwards here), each with the region above it. Two edges can first cross only as neighbours (M. Shamos, D. Hoey,
//! *Geometric Intersection Problems*, 1976); what happens at a vertex is judged there, with all edges through it.
//! Orientation is decided by exact arithmetic (J. Shewchuk, *Adaptive Precision Floating-Point Arithmetic*, 1997), so
//! nothing depends on an epsilon.

use std::cmp::Ordering;

use geo::Coord;
use geo::kernels::{Kernel, Orientation, RobustKernel};

use super::Point;

/// Why rings bound no area. Rings are numbered as they were given: 0 is the outer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RingError {
    /// Two edges of the ring meet elsewhere than where one follows the other.
    MeetsItself { ring: usize },
    /// The ring crosses an earlier one or shares a line with it.
    Crosses { ring: usize, other: usize },
    /// The hole lies outside the outer ring.
    OutsideOuter { ring: usize },
    /// The hole lies within another hole.
    Overlaps { ring: usize, other: usize },
}

/// Checks an outer ring, `rings[0]`, and its holes. Vertices are finite, each ring has three distinct ones; a vertex
/// may follow itself.
///
/// # Errors
/// [`RingError`], one of perhaps several.
pub(super) fn check(rings: &[&[Point]]) -> Result<(), RingError> {
    let mut edges: Vec<Edge> = rings.iter().enumerate().flat_map(|(ring, vertices)| edges(ring, vertices)).collect();
    edges.sort_by(|a, b| sweep_order(a.left, b.left));
    let mut vertices: Vec<Coord> = edges.iter().flat_map(|edge| [edge.left, edge.right]).collect();
    vertices.sort_by(|a, b| sweep_order(*a, *b));
    vertices.dedup();

    let mut sweep = SweepLine::default();
    let mut waiting = edges.as_slice();
    for vertex in vertices {
        let (starting, rest) = waiting.split_at(waiting.partition_point(|edge| edge.left == vertex));
        waiting = rest;
        sweep.pass(vertex, starting)?;
    }
    Ok(())
}

fn edges(ring: usize, vertices: &[Point]) -> impl Iterator<Item = Edge> {
    let next = vertices.iter().cycle().skip(1);
    let coords = |(from, to): (&Point, &Point)| (Coord::from(*from), Coord::from(*to));
    vertices.iter().zip(next).map(coords).filter(|(from, to)| from != to).map(move |(from, to)| {
        let (left, right) = if sweep_order(from, to).is_lt() { (from, to) } else { (to, from) };
        Edge { left, right, ring }
    })
}

/// By x, then by y, as if the plane were sheared a little: so no edge is vertical.
fn sweep_order(a: Coord, b: Coord) -> Ordering {
    let by_x = a.x.partial_cmp(&b.x);
    by_x.unwrap_or(Ordering::Equal).then(a.y.partial_cmp(&b.y).unwrap_or(Ordering::Equal))
}

fn orientation(a: Coord, b: Coord, c: Coord) -> Orientation {
    RobustKernel::orient2d(a, b, c)
}

#[derive(Clone, Copy)]
struct Edge {
    left: Coord,
    right: Coord,
    ring: usize,
}

impl Edge {
    /// Counter-clockwise is above.
    fn side_of(&self, point: Coord) -> Orientation {
        orientation(self.left, self.right, point)
    }

    /// Whether the two meet in one point that is an end of neither.
    fn crosses(&self, other: &Self) -> bool {
        self.separates(other) && other.separates(self)
    }

    fn separates(&self, other: &Self) -> bool {
        use Orientation::{Clockwise, CounterClockwise};
        let sides = (self.side_of(other.left), self.side_of(other.right));
        matches!(sides, (Clockwise, CounterClockwise) | (CounterClockwise, Clockwise))
    }
}

#[derive(Clone, Copy)]
enum Region {
    Outside,
    Inside,
    Hole(usize),
}

impl Region {
    /// The region on the other side of an edge of `ring`.
    fn across(self, ring: usize) -> Result<Self, RingError> {
        match (self, ring) {
            (Self::Outside, 0) => Ok(Self::Inside),
            (Self::Inside, 0) => Ok(Self::Outside),
            (Self::Inside, hole) => Ok(Self::Hole(hole)),
            (Self::Hole(hole), ring) if hole == ring => Ok(Self::Inside),
            (Self::Outside, ring) | (Self::Hole(ring), 0) => Err(RingError::OutsideOuter { ring }),
            (Self::Hole(hole), other) => Err(RingError::Overlaps { ring: hole.max(other), other: hole.min(other) }),
        }
    }
}

/// The edges that the line cuts, from bottom to top, each with the region above it.
#[derive(Default)]
struct SweepLine {
    edges: Vec<(Edge, Region)>,
}

impl SweepLine {
    /// Moves the line over a vertex, at which the `starting` edges begin.
    fn pass(&mut self, vertex: Coord, starting: &[Edge]) -> Result<(), RingError> {
        let first = self.edges.partition_point(|(edge, _)| edge.side_of(vertex) == Orientation::CounterClockwise);
        let above = &self.edges[first..];
        let through = &above[..above.partition_point(|(edge, _)| edge.side_of(vertex) == Orientation::Collinear)];
        let through: Vec<Edge> = through.iter().map(|(edge, _)| *edge).collect();
        let (ending, passing): (Vec<Edge>, Vec<Edge>) = through.iter().partition(|edge| edge.right == vertex);
        check_visits(&ending, &passing, starting)?;

        let leaving = fan(vertex, passing.into_iter().chain(starting.iter().copied()))?;
        let below = first.checked_sub(1).map_or(Region::Outside, |i| self.edges[i].1);
        let leaving = regions(below, leaving)?;
        let last = first + leaving.len();
        self.edges.splice(first..first + through.len(), leaving);
        self.check_neighbours(first)?;
        self.check_neighbours(last)
    }

    /// Checks the edge at `upper` against the one below it.
    fn check_neighbours(&self, upper: usize) -> Result<(), RingError> {
        let Some([(a, _), (b, _)]) = upper.checked_sub(1).and_then(|lower| self.edges.get(lower..=upper)) else {
            return Ok(());
        };
        if a.crosses(b) { Err(meeting(a, b)) } else { Ok(()) }
    }
}

/// Checks that each ring comes by a vertex once at most, and that no two edges cross there.
fn check_visits(ending: &[Edge], passing: &[Edge], starting: &[Edge]) -> Result<(), RingError> {
    if let [a, b, ..] = passing {
        return Err(meeting(a, b));
    }
    // A passing edge comes and goes.
    let ends = ending.iter().chain(passing).chain(passing).chain(starting);
    let mut rings: Vec<usize> = ends.map(|edge| edge.ring).collect();
    rings.sort_unstable();
    match rings.windows(3).find(|rings| rings[0] == rings[2]) {
        Some(rings) => Err(RingError::MeetsItself { ring: rings[0] }),
        None => Ok(()),
    }
}

/// Orders edges that leave a vertex to the right from bottom to top.
fn fan(vertex: Coord, edges: impl Iterator<Item = Edge>) -> Result<Vec<Edge>, RingError> {
    let mut edges: Vec<Edge> = edges.collect();
    edges.sort_by(|a, b| match orientation(vertex, a.right, b.right) {
        Orientation::CounterClockwise => Ordering::Less,
        Orientation::Collinear => Ordering::Equal,
        Orientation::Clockwise => Ordering::Greater,
    });
    let runs_along = |pair: &&[Edge]| orientation(vertex, pair[0].right, pair[1].right) == Orientation::Collinear;
    match edges.windows(2).find(runs_along) {
        Some(pair) => Err(meeting(&pair[0], &pair[1])),
        None => Ok(edges),
    }
}

fn regions(below: Region, edges: Vec<Edge>) -> Result<Vec<(Edge, Region)>, RingError> {
    let mut region = below;
    let with_region = |edge: Edge| {
        region = region.across(edge.ring)?;
        Ok((edge, region))
    };
    edges.into_iter().map(with_region).collect()
}

fn meeting(a: &Edge, b: &Edge) -> RingError {
    if a.ring == b.ring {
        return RingError::MeetsItself { ring: a.ring };
    }
    RingError::Crosses { ring: a.ring.max(b.ring), other: a.ring.min(b.ring) }
}

#[cfg(test)]
mod tests {
    use geo::{Area, LineString, Validation};
    use proptest::prelude::*;

    use super::*;

    const OUTER: &[Point] = &[[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]];

    #[test]
    fn holes_lie_within_the_outer_ring_and_apart() {
        for (name, holes, want) in [
            ("none", &[][..], Ok(())),
            ("touches the outline with a vertex", &[&[[0.0, 5.0], [3.0, 4.0], [3.0, 6.0]][..]], Ok(())),
            ("touches a corner", &[&[[0.0, 0.0], [3.0, 1.0], [1.0, 3.0]]], Ok(())),
            (
                "two touch with a vertex",
                &[&[[2.0, 2.0], [5.0, 5.0], [2.0, 5.0]], &[[5.0, 5.0], [8.0, 5.0], [8.0, 8.0]]],
                Ok(()),
            ),
            (
                "runs along the outline",
                &[&[[0.0, 3.0], [3.0, 5.0], [0.0, 6.0]]],
                Err(RingError::Crosses { ring: 1, other: 0 }),
            ),
            ("is the outer ring", &[OUTER], Err(RingError::Crosses { ring: 1, other: 0 })),
            (
                "crosses the outline",
                &[&[[5.0, 5.0], [15.0, 5.0], [5.0, 6.0]]],
                Err(RingError::Crosses { ring: 1, other: 0 }),
            ),
            (
                "leaves through a vertex on the outline",
                &[&[[10.0, 5.0], [12.0, 4.0], [12.0, 6.0]]],
                Err(RingError::OutsideOuter { ring: 1 }),
            ),
            (
                "beside the outer ring",
                &[&[[20.0, 5.0], [22.0, 4.0], [22.0, 6.0]]],
                Err(RingError::OutsideOuter { ring: 1 }),
            ),
            (
                "around the outer ring",
                &[&[[-50.0, -50.0], [50.0, -50.0], [0.0, 90.0]]],
                Err(RingError::OutsideOuter { ring: 1 }),
            ),
            (
                "in a hole",
                &[&[[1.0, 1.0], [9.0, 1.0], [1.0, 9.0]], &[[2.0, 2.0], [4.0, 2.0], [2.0, 4.0]]],
                Err(RingError::Overlaps { ring: 2, other: 1 }),
            ),
        ] {
            let rings: Vec<&[Point]> = std::iter::once(OUTER).chain(holes.iter().copied()).collect();
            assert_eq!(check(&rings), want, "{name}");
        }
    }

    #[test]
    fn a_ring_does_not_meet_itself() {
        for (name, ring, sound) in [
            ("bow tie", &[[0.0, 0.0], [9.0, 9.0], [9.0, 0.0], [0.0, 9.0]][..], false),
            ("spike", &[[0.0, 0.0], [9.0, 0.0], [9.0, 9.0], [5.0, 9.0], [5.0, 15.0], [5.0, 9.0], [0.0, 9.0]], false),
            (
                "spike that folds back beyond its foot",
                &[[0.0, 0.0], [9.0, 0.0], [9.0, 9.0], [5.0, 9.0], [5.0, 15.0], [5.0, 3.0]],
                false,
            ),
            ("vertex twice", &[[0.0, 0.0], [5.0, 5.0], [9.0, 0.0], [9.0, 9.0], [5.0, 5.0], [0.0, 9.0]], false),
            ("vertex on an edge", &[[0.0, 0.0], [9.0, 0.0], [9.0, 9.0], [5.0, 0.0], [0.0, 9.0]], false),
            ("flat", &[[0.0, 0.0], [4.0, 4.0], [2.0, 2.0]], false),
            ("vertex that follows itself", &[[0.0, 0.0], [9.0, 0.0], [9.0, 0.0], [9.0, 9.0]], true),
            ("vertex on a straight line", &[[0.0, 0.0], [4.0, 0.0], [9.0, 0.0], [9.0, 9.0]], true),
            ("thinner than any epsilon", &[[0.0, 0.0], [1e3, 1e3], [1e3, 1_000.000_000_000_000_1]], true),
        ] {
            assert_eq!(check(&[ring]).is_ok(), sound, "{name}");
        }
    }

    /// A comb of long teeth: every pair of their edges lies in the same columns, none cross.
    #[test]
    fn a_hundred_thousand_vertices_take_no_longer_than_a_sort() {
        let tooth = |i: u32| {
            let y = f64::from(i);
            [[0.0, y], [1e4, y + 0.4], [0.0, y + 0.5]]
        };
        let spine = [[-1.0, 33_333.0], [-1.0, 0.0]];
        let comb: Vec<Point> = (0..33_332).flat_map(tooth).chain(spine).collect();
        let start = std::time::Instant::now();
        assert_eq!(check(&[&comb]), Ok(()));
        assert!(start.elapsed() < std::time::Duration::from_secs(20), "took {:?}", start.elapsed());
    }

    /// On a small grid most rings are degenerate one way or another.
    fn grid_ring() -> impl Strategy<Value = Vec<Point>> {
        prop::collection::vec((0..7i32, 0..7i32).prop_map(|(x, y)| [f64::from(x), f64::from(y)]), 3..7)
    }

    /// With one rule more: `geo` takes three vertices in a line for a ring.
    fn is_sound_by_geo(rings: &[Vec<Point>]) -> bool {
        let mut lines = rings.iter().map(|ring| LineString::from(ring.clone()));
        let polygon = geo::Polygon::new(lines.next().unwrap(), lines.collect());
        polygon.is_valid() && geo::Polygon::new(polygon.exterior().clone(), vec![]).unsigned_area() > 0.0
    }

    fn has_distinct_vertices(ring: &[Point]) -> bool {
        ring.iter().enumerate().all(|(i, vertex)| !ring[..i].contains(vertex))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, max_global_rejects: 1_000_000, ..ProptestConfig::default() })]

        #[test]
        fn one_ring_is_judged_as_geo_does(ring in grid_ring()) {
            prop_assume!(has_distinct_vertices(&ring));
            prop_assert_eq!(check(&[&ring]).is_ok(), is_sound_by_geo(&[ring]));
        }

        #[test]
        fn holes_are_judged_as_geo_does(holes in prop::collection::vec(grid_ring(), 1..4)) {
            let outer = vec![[0.0, 0.0], [6.0, 0.0], [6.0, 6.0], [3.0, 4.0], [0.0, 6.0]];
            let rings: Vec<Vec<Point>> = std::iter::once(outer).chain(holes).collect();
            prop_assume!(rings.iter().all(|ring| has_distinct_vertices(ring) && check(&[ring]).is_ok()));
            let slices: Vec<&[Point]> = rings.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(check(&slices).is_ok(), is_sound_by_geo(&rings));
        }
    }
}
