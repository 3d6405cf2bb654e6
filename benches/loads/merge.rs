//! One edit that meets an annotation of a thousand fields, of which others wrote some meanwhile: how long it takes to decide
//! what becomes of it. Without a database, and without the template's rules.

use std::{collections::BTreeMap, hint::black_box, time::Instant};

use concord::domain::{
    edit::{Change, Content, Dot, Edit, EditHash, Field, Patch, Stored, VersionVector},
    merge::{Fence, Meeting, Outcome, decide},
    words::EditOutcome,
};
use serde_json::{Map, Value, json};

use crate::{measure::median, print};

/// A box.
type Geometry = [f64; 4];

/// Attributes that were written, as much as sessions that wrote them.
const FIELDS: usize = 1_000;
const ACTORS: usize = 32;
/// Edits that the author of the one in question has not seen; each writes one attribute.
const UNSEEN: usize = 16;
/// How often it is decided; an odd number.
const TIMES: usize = 5_001;

pub(crate) fn run() {
    let (stored, base) = state();
    let mut seen = content();
    let edit = |patch: Patch<Geometry>| Edit {
        actor: "author".to_owned(),
        sent: base.clone(),
        base: base.clone(),
        hash: EditHash::of(&json!("an edit")),
        change: Change::Write(patch),
    };
    let moved = Patch { geometry: Some([1.0, 2.0, 3.0, 4.0]), ..attribute(FIELDS - 1) };
    let clone = micros(|| (), |()| black_box(stored.clone()));
    let json = micros(|| (), |()| serde_json::to_vec(&black_box(&stored.content)).is_ok());
    for (name, edit, want) in
        [("merged", edit(moved), EditOutcome::Merged), ("kept beside it", edit(attribute(0)), EditOutcome::Conflict)]
    {
        let met = || Some(stored.clone());
        let took = micros(met, |mut met| {
            let meeting = Meeting {
                fence: Fence::Holds,
                known: None,
                seen: Some(&mut seen),
                siblings: &[],
                has_room: true,
                may_wait: true,
            };
            let outcome = decide(&mut met, black_box(&edit), meeting, |_| Ok(()));
            assert!(matches!(&outcome, Outcome::Accepted(accepted) if accepted.outcome == want), "{outcome:?}");
            (met, outcome)
        });
        let title = format!("an edit that {UNSEEN} others came before, of {FIELDS} fields: {name}");
        print(&title, took, "us", &format!("aim 20; cloning the state {clone:.0}, writing it as JSON {json:.0}"));
    }
}

/// The median time of what is done with what was made ready.
fn micros<R, D>(ready: impl Fn() -> R, mut done: impl FnMut(R) -> D) -> f64 {
    let times = (0..TIMES).map(|_| {
        let ready = ready();
        let begun = Instant::now();
        let done = done(ready);
        let took = begun.elapsed();
        drop(done);
        took.as_secs_f64() * 1e6
    });
    median(times.collect())
}

fn name(field: usize) -> String {
    format!("attribute-{field:04}")
}

fn attribute(field: usize) -> Patch<Geometry> {
    Patch { attributes: Map::from_iter([(name(field), json!("something new"))]), ..Patch::default() }
}

fn content() -> Content<Geometry> {
    let attributes = (0..FIELDS).map(|field| (name(field), Value::from(format!("what is said of {field}"))));
    Content {
        label: "car".into(),
        geometry: [10.0, 20.0, 40.0, 30.0],
        attributes: attributes.collect(),
        deleted: false,
    }
}

/// What is stored, and what the author of the edit saw of it: all but the last edits, which wrote the first attributes.
fn state() -> (Stored<Geometry>, VersionVector) {
    let attributes = (0..FIELDS).rev().map(|field| Field::Attribute(name(field)));
    let fields = [Field::Geometry, Field::Label, Field::Alive].into_iter().chain(attributes);
    let (mut vector, mut last_dots, mut base) = (VersionVector::first(), BTreeMap::new(), VersionVector::first());
    for (n, field) in fields.enumerate() {
        if n + UNSEEN == FIELDS + 3 {
            base = vector.clone();
        }
        let dot = Dot::after(&vector, &format!("session{:02}", n % ACTORS));
        vector.add(&dot);
        last_dots.insert(field, dot);
    }
    (Stored { content: content(), vector, last_dots, revision: 1_003, cut: None }, base)
}
