//! The merge: what becomes of an edit, given the state it meets and what is known about it.
//!
//! [`decide`] tries the rows of DESIGN section 5 (docs/merging.md has the table) in their order. An edit on the very state
//! its author saw is applied. One on an older state is merged field by field, unless somebody else wrote one of its fields
//! meanwhile: then it is kept whole beside the current state, as a sibling, until a person decides. Nothing a person drew
//! is dropped, no value comes to be that nobody wrote. Pure: the caller finds the state, and stores what it is told.

use crate::domain::{
    edit::{Change, Content, Dot, Edit, Field, Known, Patch, Rejection, Sibling, Stored, VersionVector},
    limits,
    words::{ConflictCause, EditOutcome, ErrorCode},
};

/// Whether an edit comes in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// The fence holds.
    Holds,
    /// It does not, and the slot's work still goes on.
    Ended,
    /// It does not, and the slot's work is final.
    Closed,
}

/// What is known when an edit meets the state.
#[derive(Debug)]
pub struct Meeting<'m, G> {
    /// Whether it comes in time.
    pub fence: Fence,
    /// An accepted edit of its dot, looked for where [`Stored::may_know`]; for a create, the one that made the annotation.
    pub known: Option<&'m Known>,
    /// What its author saw, where that is known: the state at the edit's base. It stays as it is, but may be tried on.
    pub seen: Option<&'m mut Content<G>>,
    /// The open siblings, oldest first.
    pub siblings: &'m [Sibling<G>],
    /// Whether one more annotation may be live.
    pub has_room: bool,
    /// Whether one more conflict of the task may wait.
    pub may_wait: bool,
}

/// What becomes of an edit.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<G> {
    /// It was accepted before: nothing is written.
    Repeated(Known),
    /// Refused: nothing is written, and its dot is free.
    Rejected(Rejection),
    /// Accepted: the state holds it.
    Accepted(Accepted<G>),
}

/// How an edit was accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted<G> {
    /// APPLIED, MERGED or CONFLICT.
    pub outcome: EditOutcome,
    /// The fields it wrote.
    pub written: Vec<Field>,
    /// What its author has to look at: of a merge, the fields others changed since the base; of a conflict, those it is
    /// about.
    pub fields: Vec<Field>,
    /// What waits for a person now.
    pub raised: Option<Raised<G>>,
}

/// A sibling that came to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Raised<G> {
    /// The sibling.
    pub sibling: Sibling<G>,
    /// The index of the open sibling whose place it takes.
    pub replaces: Option<usize>,
}

/// Says what becomes of `edit`, and brings `stored` to the state after it; a refused edit leaves it as it is. `check`
/// holds a content that would come to be against the template and the asset.
pub fn decide<G: Clone + PartialEq>(
    stored: &mut Option<Stored<G>>,
    edit: &Edit<G>,
    meeting: Meeting<'_, G>,
    check: impl Fn(&Content<G>) -> Result<(), Rejection>,
) -> Outcome<G> {
    let decided = match (stored.as_mut(), &edit.change) {
        (None, Change::Create(content)) => make(edit, content, &meeting, check).map(|(made, accepted)| {
            *stored = Some(made);
            Outcome::Accepted(accepted)
        }),
        (None, Change::Write(_)) => refuse(ErrorCode::NotFound, "id", "no such annotation"),
        (Some(stored), Change::Create(_)) => meet_again(stored, edit, meeting.known),
        (Some(stored), Change::Write(patch)) => Encounter { stored, edit, patch, meeting, check }.decide(),
    };
    decided.unwrap_or_else(Outcome::Rejected)
}

fn refuse<T>(code: ErrorCode, field: &str, message: &str) -> Result<T, Rejection> {
    Err(Rejection::new(code, field, message))
}

/// Refuses to make an annotation under an id that names another one, wherever that is.
#[must_use]
pub fn id_taken() -> Rejection {
    Rejection::new(ErrorCode::IdTaken, "id", "the id is in use; make a new one")
}

fn too_late<T>() -> Result<T, Rejection> {
    refuse(
        ErrorCode::LeaseLost,
        "id",
        "the lease has ended, and the slot's work is final: nothing is saved in it any more",
    )
}

fn no_room<T>() -> Result<T, Rejection> {
    let message = format!("at most {} live annotations of one task", limits::TASK_ANNOTATIONS);
    refuse(ErrorCode::LimitExceeded, "id", &message)
}

fn no_more_waits<T>() -> Result<T, Rejection> {
    let message = format!("at most {} conflicts of one task wait at a time", limits::TASK_CONFLICTS);
    refuse(ErrorCode::LimitExceeded, "id", &message)
}

/// A creation of an id that is free. One that comes late is a tombstone, with itself beside it.
fn make<G: Clone>(
    edit: &Edit<G>,
    content: &Content<G>,
    meeting: &Meeting<'_, G>,
    check: impl Fn(&Content<G>) -> Result<(), Rejection>,
) -> Result<(Stored<G>, Accepted<G>), Rejection> {
    let is_late = match meeting.fence {
        Fence::Holds => false,
        Fence::Ended => true,
        Fence::Closed => return too_late(),
    };
    check(content)?;
    if !is_late && !meeting.has_room {
        return no_room();
    }
    if is_late && !meeting.may_wait {
        return no_more_waits();
    }
    let (dot, patch) = (edit.dot(), content.clone().into_patch());
    let written: Vec<Field> = patch.fields().collect();
    let sibling = || Sibling {
        base: edit.base.clone(),
        epoch: edit.base.epoch(),
        dot: dot.clone(),
        patch,
        cause: ConflictCause::Late,
        fields: written.clone(),
    };
    let accepted = if is_late {
        let raised = Some(Raised { sibling: sibling(), replaces: None });
        Accepted { outcome: EditOutcome::Conflict, written: Vec::new(), fields: written.clone(), raised }
    } else {
        Accepted { outcome: EditOutcome::Applied, written: written.clone(), fields: Vec::new(), raised: None }
    };
    let made = Stored {
        content: Content { deleted: is_late, ..content.clone() },
        vector: VersionVector::first().with(&dot),
        last_dots: written.into_iter().map(|field| (field, dot.clone())).collect(),
        revision: 1,
        cut: None,
    };
    Ok((made, accepted))
}

/// Rows 1 and 2 for a create: also under another actor, as after a reload, the same creation is the same annotation.
fn meet_again<G>(stored: &Stored<G>, edit: &Edit<G>, known: Option<&Known>) -> Result<Outcome<G>, Rejection> {
    match known {
        Some(known) if known.hash == edit.hash => Ok(Outcome::Repeated(*known)),
        _ if stored.holds(&edit.base, &edit.dot()) => {
            let message = "this session made it with another content; send what is new as an update";
            refuse(ErrorCode::ActorReused, "id", message)
        }
        _ => Err(id_taken()),
    }
}

/// An edit and the annotation it is of.
struct Encounter<'e, G, C> {
    stored: &'e mut Stored<G>,
    edit: &'e Edit<G>,
    patch: &'e Patch<G>,
    meeting: Meeting<'e, G>,
    check: C,
}

impl<G: Clone + PartialEq, C: Fn(&Content<G>) -> Result<(), Rejection>> Encounter<'_, G, C> {
    fn decide(mut self) -> Result<Outcome<G>, Rejection> {
        let (base, known) = (&self.edit.base, self.meeting.known);
        // Row 1.
        if let Some(known) = known.filter(|known| known.hash == self.edit.hash) {
            return Ok(Outcome::Repeated(*known));
        }
        // Row 2.
        if known.is_some() || self.stored.holds(base, &self.edit.dot()) {
            let message =
                "another edit of this session had this number: add your own edits to the base, or claim again";
            return refuse(ErrorCode::ActorReused, "base", message);
        }
        // Row 3: also a base that is ahead in one entry and behind in another.
        let is_behind_or_equal = *base <= self.stored.vector;
        if !is_behind_or_equal {
            return refuse(ErrorCode::FutureVersion, "base", "the base has seen edits that are not here");
        }
        self.accept().map(Outcome::Accepted)
    }

    /// What becomes of an edit that was never here and whose base could have been seen.
    fn accept(&mut self) -> Result<Accepted<G>, Rejection> {
        let base = &self.edit.base;
        let is_old = base.epoch() < self.stored.vector.epoch();
        // What others wrote that the author has not seen.
        let news = if is_old { Vec::new() } else { self.stored.news(base) };
        let has_seen_all = !is_old && news.is_empty();
        // Row 10.
        match self.meeting.fence {
            Fence::Holds => {}
            Fence::Ended => return self.raise(ConflictCause::Late, self.patch.fields().collect(), has_seen_all),
            Fence::Closed => return too_late(),
        }
        // Row 9.
        if is_old && self.patch.fields().all(|field| self.stored.content.agrees(self.patch, &field)) {
            return self.merge(Vec::new());
        }
        if is_old {
            return self.raise(ConflictCause::OldEpoch, self.patch.fields().collect(), false);
        }
        let (is_tombstone, is_unseen) = (self.stored.content.deleted, news.contains(&Field::Alive));
        // Row 8.
        if is_tombstone && !is_unseen && self.patch.deleted != Some(false) {
            return refuse(ErrorCode::Gone, "id", "the annotation was deleted; restore it first");
        }
        // Row 7.
        let is_delete = self.patch.deleted == Some(true);
        let meets_delete = is_tombstone && is_unseen && !is_delete;
        let deletes_news = is_delete && !is_tombstone && !news.is_empty();
        if meets_delete || deletes_news {
            return self.raise(ConflictCause::Deleted, vec![Field::Alive], false);
        }
        // Row 4.
        if *base == self.stored.vector {
            self.write()?;
            let written = self.patch.fields().collect();
            return Ok(Accepted { outcome: EditOutcome::Applied, written, fields: Vec::new(), raised: None });
        }
        // Rows 5 and 6.
        let is_disputed = |field: &Field| news.contains(field) && !self.stored.content.agrees(self.patch, field);
        let disputed: Vec<Field> = self.patch.fields().filter(is_disputed).collect();
        if disputed.is_empty() { self.merge(news) } else { self.raise(ConflictCause::Concurrent, disputed, false) }
    }

    /// Row 5; where the merged state would break the template, row 6.
    fn merge(&mut self, news: Vec<Field>) -> Result<Accepted<G>, Rejection> {
        let has_seen_all = news.is_empty();
        match self.write() {
            Ok(()) => {
                let written = self.patch.fields().collect();
                Ok(Accepted { outcome: EditOutcome::Merged, written, fields: news, raised: None })
            }
            Err(rejection) if has_seen_all || rejection.code != ErrorCode::BadUserInput => Err(rejection),
            Err(_) => self.raise(ConflictCause::InvalidMerge, self.patch.fields().collect(), false),
        }
    }

    /// Lets the patch be the last to write its fields.
    fn write(&mut self) -> Result<(), Rejection> {
        let dot = self.next_dot()?;
        if self.stored.content.deleted && self.patch.deleted == Some(false) && !self.meeting.has_room {
            return no_room();
        }
        let undo = self.stored.content.exchange(self.patch.clone());
        // What was stored keeps to the template, which never changes: only new values have to be looked at.
        if self.says_something()
            && let Err(rejection) = (self.check)(&self.stored.content)
        {
            self.stored.content.exchange(undo);
            return Err(rejection);
        }
        self.stored.last_dots.extend(self.patch.fields().map(|field| (field, dot.clone())));
        self.count(&dot);
        Ok(())
    }

    /// Whether it writes more than whether the annotation is there.
    fn says_something(&self) -> bool {
        self.patch.fields().any(|field| field != Field::Alive)
    }

    /// Row 6 and all others that keep the edit beside the state. What would break the template by itself is refused, as
    /// far as is known what its author saw.
    fn raise(
        &mut self,
        cause: ConflictCause,
        fields: Vec<Field>,
        has_seen_all: bool,
    ) -> Result<Accepted<G>, Rejection> {
        let Edit { base, actor, .. } = self.edit;
        let says_something = self.says_something();
        let seen = if has_seen_all { Some(&mut self.stored.content) } else { self.meeting.seen.as_deref_mut() };
        let saw_tombstone = seen.as_ref().is_some_and(|seen| seen.deleted);
        if let Some(seen) = seen.filter(|_| says_something) {
            let undo = seen.exchange(self.patch.clone());
            let checked = (self.check)(seen);
            seen.exchange(undo);
            checked?;
        }
        let dot = self.next_dot()?;
        let siblings = self.meeting.siblings;
        // Of several the one of the newest epoch: so one of an actor waits in each.
        let behind = siblings.iter().enumerate().filter(|(_, sibling)| sibling.is_behind(base, actor));
        let replaces = behind.max_by_key(|(_, sibling)| sibling.epoch).map(|(index, _)| index);
        if replaces.is_none() && siblings.len() >= limits::SIBLINGS {
            let message =
                format!("at most {} conflicts of one annotation wait at a time; resolve one first", limits::SIBLINGS);
            return refuse(ErrorCode::TooManySiblings, "id", &message);
        }
        if replaces.is_none() && !self.meeting.may_wait {
            return no_more_waits();
        }
        let new = Sibling {
            base: base.clone(),
            epoch: base.epoch(),
            dot: self.edit.dot(),
            patch: self.patch.clone(),
            cause,
            fields: fields.clone(),
        };
        let mut sibling = match replaces.map(|index| siblings[index].clone()) {
            Some(before) => in_place_of(before, new),
            None => new,
        };
        // Who changes something knows it is there; who has seen that it was deleted does not.
        if !saw_tombstone {
            sibling.patch.deleted.get_or_insert(false);
        }
        self.count(&dot);
        let raised = Some(Raised { sibling, replaces });
        Ok(Accepted { outcome: EditOutcome::Conflict, written: Vec::new(), fields, raised })
    }

    /// The dot that joins the vector: the edit's own, or, when that is of an older epoch, the actor's next one here.
    fn next_dot(&self) -> Result<Dot, Rejection> {
        let vector = &self.stored.vector;
        let dot = if self.edit.base.epoch() == vector.epoch() {
            self.edit.dot()
        } else {
            Dot::after(vector, &self.edit.actor)
        };
        if vector.counter(&dot.actor) == 0 && vector.actors() >= limits::VECTOR_ACTORS {
            let message = format!("at most {} sessions edit an annotation within one lease", limits::VECTOR_ACTORS);
            return refuse(ErrorCode::LimitExceeded, "base", &message);
        }
        Ok(dot)
    }

    fn count(&mut self, dot: &Dot) {
        self.stored.vector.add(dot);
        self.stored.revision += 1;
    }
}

/// Several edits of one author, one after the other, are one thing for a person to decide.
fn in_place_of<G>(before: Sibling<G>, new: Sibling<G>) -> Sibling<G> {
    let mut fields = before.fields;
    fields.extend(new.fields.into_iter().filter(|field| !fields.contains(field)).collect::<Vec<_>>());
    // What somebody disputes is disputed still when the lease has ended.
    let cause = if new.cause == ConflictCause::Late { before.cause } else { new.cause };
    Sibling { base: before.base, patch: before.patch.joined(new.patch), fields, cause, ..new }
}

/// What a person decides about a sibling.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision<G> {
    /// What is there stays.
    Current,
    /// What the sibling wrote is put over it.
    Incoming,
    /// This is put over it.
    Merged(Patch<G>),
}

impl<G: Clone + PartialEq> Decision<G> {
    /// The patch it is, of the current state.
    #[must_use]
    pub fn patch(&self, sibling: &Patch<G>) -> Patch<G> {
        match self {
            Self::Current => Patch::default(),
            Self::Incoming => sibling.clone(),
            Self::Merged(patch) => patch.clone(),
        }
    }
}

/// Row 11: brings `stored` to what a person decided about one of its siblings, as one edit of the server's, whose dot is
/// given with the fields that have another value now. On an error nothing has changed.
///
/// # Errors
/// STALE when `base` has not seen all, FUTURE_VERSION when it has seen more, LIMIT_EXCEEDED when one more live annotation
/// is too many, and what `check` says of the result.
pub fn resolve<G: Clone + PartialEq>(
    stored: &mut Stored<G>,
    base: &VersionVector,
    patch: &Patch<G>,
    has_room: bool,
    check: impl Fn(&Content<G>) -> Result<(), Rejection>,
) -> Result<(Dot, Vec<Field>), Rejection> {
    if *base != stored.vector {
        let is_older = *base < stored.vector;
        return if is_older {
            refuse(ErrorCode::Stale, "base", "the annotation was changed since; look at it again")
        } else {
            refuse(ErrorCode::FutureVersion, "base", "the base has seen edits that are not here")
        };
    }
    let changed: Vec<Field> = patch.fields().filter(|field| !stored.content.agrees(patch, field)).collect();
    if changed.contains(&Field::Alive) && stored.content.deleted && !has_room {
        return no_room();
    }
    let undo = stored.content.exchange(patch.clone());
    if let Err(rejection) = check(&stored.content) {
        stored.content.exchange(undo);
        return Err(rejection);
    }
    let dot = Dot::after(&stored.vector, crate::domain::version_vector::SERVER);
    stored.last_dots.extend(changed.iter().map(|field| (field.clone(), dot.clone())));
    stored.vector.add(&dot);
    stored.revision += 1;
    Ok((dot, changed))
}

#[cfg(test)]
mod history;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod tests;
