//! For tests: one annotation with all that is known of it, as the service and the database keep it.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::*;
use crate::domain::edit::EditHash;

/// A geometry here is a number; those above 99 break the rules, and those above 9 with the label "dot".
pub(super) type Number = i32;

pub(super) fn content(label: &str, geometry: Number) -> Content<Number> {
    Content { label: label.into(), geometry, attributes: Map::new(), deleted: false }
}

pub(super) fn check(content: &Content<Number>) -> Result<(), Rejection> {
    let most = if content.label == "dot" { 9 } else { 99 };
    if content.geometry > most {
        return Err(Rejection::new(ErrorCode::BadUserInput, "geometry", format!("must be at most {most}")));
    }
    Ok(())
}

pub(super) fn patch(label: Option<&str>, geometry: Option<Number>, attributes: &Value) -> Change<Number> {
    let attributes = attributes.as_object().cloned().unwrap_or_default();
    Change::Write(Patch { label: label.map(str::to_owned), geometry, attributes, deleted: None })
}

pub(super) fn edit(actor: &str, base: &VersionVector, change: Change<Number>) -> Edit<Number> {
    let hash = EditHash::of(&format!("{change:?}"));
    Edit { actor: actor.into(), base: base.clone(), change, hash }
}

pub(super) fn create(actor: &str, geometry: Number) -> Edit<Number> {
    edit(actor, &VersionVector::first(), Change::Create(content("car", geometry)))
}

/// One annotation with its open siblings, all edits of it that were accepted and all states it was ever in.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ledger {
    pub(super) stored: Option<Stored<Number>>,
    pub(super) siblings: Vec<Sibling<Number>>,
    accepted: HashMap<(i32, Dot), Known>,
    first: Option<Known>,
    states: Vec<(VersionVector, Content<Number>)>,
}

impl Ledger {
    /// The ledger after these edits, none of which may be refused.
    pub(super) fn with(edits: &[Edit<Number>]) -> Self {
        let mut ledger = Self::default();
        for edit in edits {
            let outcome = ledger.take(edit);
            assert!(!matches!(outcome, Outcome::Rejected(_)), "{edit:?}: {outcome:?}");
        }
        ledger
    }

    pub(super) fn vector(&self) -> VersionVector {
        self.stored.as_ref().map_or_else(VersionVector::first, |stored| stored.vector.clone())
    }

    /// The vector so many revisions ago; that of the first one, where that is too many.
    pub(super) fn vector_back(&self, back: usize) -> VersionVector {
        let at = self.states.len().saturating_sub(back.saturating_add(1));
        self.states.get(at).map_or_else(VersionVector::first, |(vector, _)| vector.clone())
    }

    /// Each state it was ever in.
    pub(super) fn states(&self) -> &[(VersionVector, Content<Number>)] {
        &self.states
    }

    pub(super) fn content(&self) -> Option<Content<Number>> {
        self.stored.as_ref().map(|stored| stored.content.clone())
    }

    /// What somebody who saw `base` knows with their own edits since.
    pub(super) fn known_to(&self, actor: &str, base: &VersionVector) -> VersionVector {
        let newest = self.states.iter().rev().map(|(vector, _)| vector).find(|vector| vector.epoch() == base.epoch());
        match newest.map_or(0, |vector| vector.counter(actor)) {
            0 => base.clone(),
            own => base.clone().with(&Dot { actor: actor.into(), counter: own }),
        }
    }

    /// An edit whose base is understood as the service understands it.
    pub(super) fn edit(&self, actor: &str, base: &VersionVector, change: Change<Number>) -> Edit<Number> {
        let base = self.stored.as_ref().map_or_else(|| base.clone(), |stored| stored.base_of(base.clone(), actor));
        edit(actor, &base, change)
    }

    pub(super) fn take(&mut self, edit: &Edit<Number>) -> Outcome<Number> {
        self.take_under(edit, Fence::Holds)
    }

    pub(super) fn take_under(&mut self, edit: &Edit<Number>, fence: Fence) -> Outcome<Number> {
        let is_create = matches!(edit.change, Change::Create(_));
        let known = if is_create { self.first } else { self.accepted.get(&(edit.base.epoch(), edit.dot())).copied() };
        let may_be_known =
            is_create || self.stored.as_ref().is_some_and(|stored| stored.may_know(&edit.base, &edit.actor));
        assert!(known.is_none() || may_be_known, "nobody would have looked for {edit:?}");
        let then = self.stored.as_ref().and_then(|stored| stored.revision_at(&edit.base));
        let then = then.and_then(|revision| self.states.get(usize::try_from(revision - 1).ok()?));
        let seen = then.filter(|(vector, _)| *vector == edit.base).map(|(_, content)| content);
        let meeting =
            Meeting { fence, known: known.as_ref(), seen, siblings: &self.siblings, has_room: true, may_wait: true };
        let outcome = decide(&mut self.stored, edit, &meeting, check);
        if let Outcome::Accepted(accepted) = &outcome {
            if let Some(Raised { sibling, replaces }) = accepted.raised.clone() {
                match replaces {
                    Some(index) => self.siblings[index] = sibling,
                    None => self.siblings.push(sibling),
                }
            }
            let known = Known { hash: edit.hash, outcome: accepted.outcome, conflict: None };
            self.accepted.insert((edit.base.epoch(), edit.dot()), known);
            self.first.get_or_insert(known);
            self.remember();
        }
        outcome
    }

    /// Decides about the sibling at `index`.
    pub(super) fn resolve(
        &mut self,
        index: usize,
        base: &VersionVector,
        patch: &Patch<Number>,
    ) -> Result<(Dot, Vec<Field>), Rejection> {
        let stored = self.stored.as_mut().unwrap();
        let decided = resolve(stored, base, patch, true, check)?;
        self.siblings.remove(index);
        self.remember();
        Ok(decided)
    }

    /// Cuts the vector.
    pub(super) fn cut(&mut self) {
        self.stored.as_mut().unwrap().cut();
        self.remember();
    }

    fn remember(&mut self) {
        let stored = self.stored.as_ref().unwrap();
        self.states.push((stored.vector.clone(), stored.content.clone()));
        assert_eq!(usize::try_from(stored.revision).unwrap(), self.states.len(), "each revision is a state");
    }
}
