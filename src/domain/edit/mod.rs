//! Edits of annotations: what becomes of one, given the state it meets.
//!
//! An edit names what its author had seen (its base) and has a [`Dot`]: of its actor, the one after the base. So an edit
//! that is sent again has the same dot, and edits may be sent before the answer to those in front of them. [`decide`]
//! tries the rows of DESIGN section 5 in their order; those of concurrent edits (5 to 7, 9 to 11) are not there yet,
//! what they are about is refused with `STALE`. Pure: the caller finds the state, and stores what it is told.

mod canonical;
mod content;

use std::collections::BTreeMap;

pub use canonical::{EditHash, canonical};
pub use content::{Change, Content, Field, Patch};

pub use crate::domain::version_vector::{Dot, VersionVector};
use crate::domain::{
    limits,
    words::{EditOutcome, ErrorCode},
};

/// An edit on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit<G> {
    /// Its author's session.
    pub actor: String,
    /// What its author had seen of the annotation, joined with the author's own edits of it so far. A create has seen
    /// nothing.
    pub base: VersionVector,
    /// What it does.
    pub change: Change<G>,
    /// What tells it from another edit of the same dot.
    pub hash: EditHash,
}

impl<G> Edit<G> {
    /// Its place among the edits of its actor; for ever its name.
    #[must_use]
    pub fn dot(&self) -> Dot {
        Dot::after(&self.base, &self.actor)
    }
}

/// The state an edit meets.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored<G> {
    /// What it says.
    pub content: Content<G>,
    /// The edits in it.
    pub vector: VersionVector,
    /// The last edit of each field that was ever written.
    pub last_dots: BTreeMap<Field, Dot>,
    /// From 1; raised by every accepted edit.
    pub revision: i32,
}

impl<G> Stored<G> {
    /// Whether an edit of `actor` after `base` may have been accepted: only then somebody has to look. Counters of older
    /// epochs are gone.
    #[must_use]
    pub fn may_know(&self, base: &VersionVector, actor: &str) -> bool {
        base.epoch() < self.vector.epoch() || self.holds(base, &Dot::after(base, actor))
    }

    fn has(&self, edit: &Edit<G>) -> bool {
        self.holds(&edit.base, &edit.dot())
    }

    fn holds(&self, base: &VersionVector, dot: &Dot) -> bool {
        base.epoch() == self.vector.epoch() && self.vector.holds(dot)
    }

    /// Whether `base` has seen the last edit of the field.
    fn was_seen(&self, field: &Field, base: &VersionVector) -> bool {
        base.epoch() == self.vector.epoch() && self.last_dots.get(field).is_none_or(|dot| base.holds(dot))
    }
}

/// An edit that was accepted before: of the dot in question; for a create, the one that made the annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// What it said.
    pub hash: EditHash,
    /// What became of it.
    pub outcome: EditOutcome,
}

/// Why an edit is refused; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Stable.
    pub code: ErrorCode,
    /// Where in the edit, in the API's spelling: `geometry.boundingBox.width`.
    pub field: String,
    /// What to do instead; lowercase, no full stop.
    pub message: String,
}

impl Rejection {
    /// Refuses an edit for what stands at `field`.
    pub fn new(code: ErrorCode, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, field: field.into(), message: message.into() }
    }
}

/// What becomes of an edit.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<G> {
    /// It was accepted before, with this outcome: nothing is written.
    Repeated(EditOutcome),
    /// Refused: nothing is written, and its dot is free.
    Rejected(Rejection),
    /// Taken as it is.
    Applied {
        /// The state after it.
        state: Stored<G>,
        /// The fields it wrote.
        fields: Vec<Field>,
    },
}

/// Says what becomes of `edit`. `known` is an accepted edit of its dot, looked for where [`Stored::may_know`]; `check`
/// holds a content that would come to be against the template and the asset.
pub fn decide<G: Clone>(
    stored: Option<&Stored<G>>,
    known: Option<&Known>,
    edit: &Edit<G>,
    check: impl Fn(&Content<G>) -> Result<(), Rejection>,
) -> Outcome<G> {
    let decided = match (stored, &edit.change) {
        (None, Change::Create(content)) => check(content).map(|()| first(edit, content)),
        (None, _) => Err(Rejection::new(ErrorCode::NotFound, "id", "no such annotation")),
        (Some(stored), Change::Create(_)) => of_an_id_in_use(stored, known, edit),
        (Some(stored), _) => of_a_known_id(stored, known, edit, check),
    };
    decided.unwrap_or_else(Outcome::Rejected)
}

fn first<G: Clone>(edit: &Edit<G>, content: &Content<G>) -> Outcome<G> {
    let (dot, fields) = (edit.dot(), edit.change.fields());
    let state = Stored {
        content: content.clone(),
        vector: VersionVector::first().with(&dot),
        last_dots: fields.iter().map(|field| (field.clone(), dot.clone())).collect(),
        revision: 1,
    };
    Outcome::Applied { state, fields }
}

/// Rows 1 and 2 for a create: also under another actor, as after a reload, the same creation is the same annotation.
fn of_an_id_in_use<G>(stored: &Stored<G>, known: Option<&Known>, edit: &Edit<G>) -> Result<Outcome<G>, Rejection> {
    match known {
        Some(known) if known.hash == edit.hash => Ok(Outcome::Repeated(known.outcome)),
        _ if stored.has(edit) => {
            let message = "this session made it with another content; send what is new as an update";
            Err(Rejection::new(ErrorCode::ActorReused, "id", message))
        }
        _ => Err(id_taken()),
    }
}

/// Refuses to make an annotation under an id that names another one, wherever that is.
#[must_use]
pub fn id_taken() -> Rejection {
    Rejection::new(ErrorCode::IdTaken, "id", "the id is in use; make a new one")
}

fn of_a_known_id<G: Clone>(
    stored: &Stored<G>,
    known: Option<&Known>,
    edit: &Edit<G>,
    check: impl Fn(&Content<G>) -> Result<(), Rejection>,
) -> Result<Outcome<G>, Rejection> {
    let refuse = |code, field: &str, message: &str| Err(Rejection::new(code, field, message));
    // Row 1.
    if let Some(known) = known.filter(|known| known.hash == edit.hash) {
        return Ok(Outcome::Repeated(known.outcome));
    }
    // Row 2.
    if known.is_some() || stored.has(edit) {
        let message = "another edit of this session had this number: add your own edits to the base, or claim again";
        return refuse(ErrorCode::ActorReused, "base", message);
    }
    // Row 3: also a base that is ahead in one entry and behind in another.
    let is_behind_or_equal = edit.base <= stored.vector;
    if !is_behind_or_equal {
        return refuse(ErrorCode::FutureVersion, "base", "the base has seen edits that are not here");
    }
    // Row 8.
    let is_gone = stored.content.deleted && stored.was_seen(&Field::Alive, &edit.base);
    if is_gone && !matches!(edit.change, Change::Restore) {
        return refuse(ErrorCode::Gone, "id", "the annotation was deleted; restore it first");
    }
    // Row 4.
    if edit.base == stored.vector {
        return apply(stored, edit, check);
    }
    refuse(ErrorCode::Stale, "base", "the annotation was changed since; look at it again")
}

fn apply<G: Clone>(
    stored: &Stored<G>,
    edit: &Edit<G>,
    check: impl Fn(&Content<G>) -> Result<(), Rejection>,
) -> Result<Outcome<G>, Rejection> {
    let dot = edit.dot();
    let vector = stored.vector.clone().with(&dot);
    if vector.actors() > limits::VECTOR_ACTORS {
        let message = format!("at most {} sessions edit an annotation within one lease", limits::VECTOR_ACTORS);
        return Err(Rejection::new(ErrorCode::LimitExceeded, "base", message));
    }
    let content = stored.content.after(&edit.change);
    // What was stored keeps to the template, which never changes: only new values have to be looked at.
    if matches!(edit.change, Change::Update(_)) {
        check(&content)?;
    }
    let fields = edit.change.fields();
    let mut last_dots = stored.last_dots.clone();
    last_dots.extend(fields.iter().map(|field| (field.clone(), dot.clone())));
    let state = Stored { content, vector, last_dots, revision: stored.revision + 1 };
    Ok(Outcome::Applied { state, fields })
}

#[cfg(test)]
mod tests;
