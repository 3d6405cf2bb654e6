//! Edits of annotations and the state they meet: the words in which [`merge`](crate::domain::merge) decides.
//!
//! An edit names what its author had seen (its base) and has a [`Dot`]: of its actor, the one after the base. So an edit
//! that is sent again has the same dot, and edits may be sent before the answer to those in front of them.

mod canonical;
mod content;

use std::collections::BTreeMap;

pub use canonical::{EditHash, canonical};
pub use content::{Change, Content, Field, Patch};

pub use crate::domain::version_vector::{Dot, VersionVector};
use crate::domain::{
    ids::ConflictId,
    version_vector::SERVER,
    words::{ConflictCause, EditOutcome, ErrorCode},
};

/// An edit on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit<G> {
    /// Its author's session.
    pub actor: String,
    /// What its author had seen of the annotation, joined with the author's own edits of it so far; as
    /// [`Stored::base_of`] gives it. A create has seen nothing.
    pub base: VersionVector,
    /// What it does.
    pub change: Change<G>,
    /// What tells it from another edit of the same dot.
    pub hash: EditHash,
}

impl<G> Edit<G> {
    /// Its place among the edits of its actor; with the epoch of its base for ever its name.
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
    /// The vector as it was when it was cut last.
    pub cut: Option<VersionVector>,
}

impl<G> Stored<G> {
    /// The base of an edit as it is to be understood here: one that has seen just the vector that was cut has seen the
    /// one it was cut to.
    #[must_use]
    pub fn base_of(&self, base: VersionVector, actor: &str) -> VersionVector {
        match &self.cut {
            Some(before) => base.carried_over(before, actor),
            None => base,
        }
    }

    /// Whether an edit of `actor` after `base` may have been accepted: only then somebody has to look. Counters of older
    /// epochs are gone.
    #[must_use]
    pub fn may_know(&self, base: &VersionVector, actor: &str) -> bool {
        base.epoch() < self.vector.epoch() || self.holds(base, &Dot::after(base, actor))
    }

    /// The revision that showed exactly what `base` has seen, if there was one: each adds one edit to the vector.
    #[must_use]
    pub fn revision_at(&self, base: &VersionVector) -> Option<i32> {
        let is_older = base.epoch() == self.vector.epoch() && *base < self.vector;
        let back = i32::try_from(self.vector.edits() - base.edits()).ok();
        back.filter(|_| is_older).map(|back| self.revision - back).filter(|revision| *revision >= 1)
    }

    /// Whether the dot of an edit with this base is in the vector.
    pub(crate) fn holds(&self, base: &VersionVector, dot: &Dot) -> bool {
        base.epoch() == self.vector.epoch() && self.vector.holds(dot)
    }

    /// The fields that were last written by an edit that `base`, of this epoch, has not seen.
    #[must_use]
    pub fn news(&self, base: &VersionVector) -> Vec<Field> {
        let beyond = self.vector.beyond(base);
        if beyond.is_empty() {
            return Vec::new();
        }
        let is_news = |dot: &Dot| beyond.iter().any(|(actor, seen)| dot.counter > *seen && dot.actor == *actor);
        self.last_dots.iter().filter(|(_, dot)| is_news(dot)).map(|(field, _)| field.clone()).collect()
    }

    /// Cuts the vector: what is here was seen by whoever has seen the one edit of the server's that is left. Every field
    /// was written by it.
    pub fn cut(&mut self) {
        let vector = self.vector.cut();
        let dot = Dot { actor: SERVER.to_owned(), counter: 1 };
        self.last_dots.values_mut().for_each(|last| last.clone_from(&dot));
        self.cut = Some(std::mem::replace(&mut self.vector, vector));
        self.revision += 1;
    }
}

/// An edit that could not be applied and waits beside the current state for a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Sibling<G> {
    /// Its author had seen this; of several edits joined, before the first.
    pub base: VersionVector,
    /// The epoch of the base of its last edit.
    pub epoch: i32,
    /// Its last edit.
    pub dot: Dot,
    /// What it writes. That of an edit to a live annotation says so too: it is what its author saw.
    pub patch: Patch<G>,
    /// Why it waits.
    pub cause: ConflictCause,
    /// What it is about.
    pub fields: Vec<Field>,
}

impl<G> Sibling<G> {
    /// Whether it is of `actor`, and who has seen `base` has seen it.
    #[must_use]
    pub fn is_behind(&self, base: &VersionVector, actor: &str) -> bool {
        let is_seen = self.epoch < base.epoch() || (self.epoch == base.epoch() && base.holds(&self.dot));
        self.dot.actor == actor && is_seen
    }
}

/// An edit that was accepted before: of the dot in question; for a create, the one that made the annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// What it said.
    pub hash: EditHash,
    /// What became of it.
    pub outcome: EditOutcome,
    /// The conflict it became or went into.
    pub conflict: Option<ConflictId>,
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_that_names_a_field_is_not_empty() {
        let plate = serde_json::Map::from_iter([("plate".to_owned(), json!(null))]);
        assert!(Patch::<i32>::default().is_empty());
        for patch in [
            Patch { label: Some("car".into()), ..Patch::default() },
            Patch { geometry: Some(1), ..Patch::default() },
            Patch { attributes: plate, ..Patch::default() },
            Patch::deleted(false),
        ] {
            assert!(!patch.is_empty(), "{patch:?}");
        }
    }

    #[test]
    fn a_sibling_is_behind_an_edit_of_its_author_who_has_seen_it() {
        let vector = |value| VersionVector::try_from(value).unwrap();
        let sibling = Sibling {
            base: VersionVector::first(),
            epoch: 2,
            dot: Dot { actor: "ana".into(), counter: 2 },
            patch: Patch::<i32>::deleted(true),
            cause: ConflictCause::Deleted,
            fields: Vec::new(),
        };
        for (case, base, actor, want) in [
            ("its own base", json!({ "#": 2, "ana": 1 }), "ana", false),
            ("itself", json!({ "#": 2, "ana": 2 }), "ana", true),
            ("a later epoch", json!({ "#": 3 }), "ana", true),
            ("an older epoch", json!({ "#": 1, "ana": 7 }), "ana", false),
            ("another who has seen it", json!({ "#": 2, "ana": 2 }), "ben", false),
        ] {
            assert_eq!(sibling.is_behind(&vector(base), actor), want, "{case}");
        }
    }

    #[test]
    fn nobody_looks_for_an_edit_that_cannot_have_been_here() {
        let vector = |value| VersionVector::try_from(value).unwrap();
        let content = Content { label: "car".into(), geometry: 1, attributes: serde_json::Map::new(), deleted: false };
        let at = vector(json!({ "#": 2, "server": 1, "ana": 2 }));
        let stored = Stored { content, vector: at, last_dots: BTreeMap::new(), revision: 9, cut: None };
        for (case, base, actor, want) in [
            ("the next of its actor", json!({ "#": 2, "server": 1, "ana": 2 }), "ana", false),
            ("the last of its actor", json!({ "#": 2, "server": 1, "ana": 1 }), "ana", true),
            ("an earlier one", json!({ "#": 2, "server": 1 }), "ana", true),
            ("the first of another", json!({ "#": 2, "server": 1 }), "ben", false),
            ("one ahead", json!({ "#": 2, "server": 1, "ana": 3 }), "ana", false),
            ("any of an older epoch", json!({ "#": 1, "ana": 7 }), "ana", true),
            ("any of a newer one", json!({ "#": 3 }), "ana", false),
        ] {
            assert_eq!(stored.may_know(&vector(base), actor), want, "{case}");
        }
    }

    #[test]
    fn a_field_reads_back_from_its_name() {
        for field in [Field::Geometry, Field::Label, Field::Alive, Field::Attribute("a.b".into())] {
            assert_eq!(Field::try_from(String::from(field.clone())), Ok(field));
        }
        assert!(Field::try_from("colour".to_owned()).is_err());
    }
}
