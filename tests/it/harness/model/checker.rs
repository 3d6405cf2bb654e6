//! Whether anything that somebody was told is not so: by the clients' notes and what they see in the end, nothing else.
//!
//! What an accepted edit or a decision wrote is there in the end, was overwritten by somebody who had seen it, waits in an
//! open conflict, or was decided by a person. Nothing is there that nobody wrote.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::harness::model::{
    book::{Book, Decided, Decision, Edit, End},
    words::{Dot, State, Values, Vector, counter, value},
};

/// The actor of decisions.
const SERVER: &str = "server";
const ALIVE: &str = "alive";

/// What the notes say that is not so.
pub(crate) fn broken_promises(book: &Book, end: &End) -> Vec<String> {
    let mut broken = book.faults.clone();
    broken.extend(book.edits.iter().flat_map(broken_answers));
    broken.extend(book.decisions.iter().flat_map(broken_decision));
    for annotation in all_annotations(book, end) {
        let history = History::of(annotation, book, end);
        match &history {
            Some(history) => broken.extend(history.broken()),
            None => broken.push(format!("{annotation} was made, and is not there")),
        }
    }
    let raised: BTreeSet<&String> = book.edits.iter().filter_map(|edit| edit.accepted()?.conflict.as_ref()).collect();
    let unknown = end.open.keys().filter(|open| !raised.contains(open));
    broken.extend(unknown.map(|open| format!("{open} is open, and no edit went into it")));
    broken
}

fn all_annotations<'b>(book: &'b Book, end: &'b End) -> BTreeSet<&'b String> {
    let accepted = book.edits.iter().filter(|edit| edit.accepted().is_some()).map(|edit| &edit.annotation);
    accepted.chain(end.annotations.keys()).chain(book.seen.iter().map(|(id, _)| id)).collect()
}

/// An edit that is sent again has the outcome it had, and it is in the vector that its author is shown.
fn broken_answers(edit: &Edit) -> Vec<String> {
    let mut broken = Vec::new();
    let name = named(edit);
    let accepted: Vec<_> = edit.told.iter().filter(|told| told.outcome != "REJECTED").collect();
    let outcomes: BTreeSet<_> = accepted.iter().map(|told| (&told.outcome, &told.conflict)).collect();
    if outcomes.len() > 1 {
        broken.push(format!("{name} was told one thing, and another when it was sent again: {outcomes:?}"));
    }
    let firsts = accepted.iter().filter(|told| !told.repeated).count();
    if !accepted.is_empty() && firsts != 1 {
        broken.push(format!("{name} was accepted for the first time {firsts} times"));
    }
    for told in accepted {
        if told.outcome == "CONFLICT" && told.conflict.is_none() {
            broken.push(format!("{name} is in no conflict"));
        }
        if !told.shown.as_ref().is_some_and(|shown| edit.dot.is_in(&shown.vector)) {
            broken.push(format!("{name} was accepted, and is not in the vector: {:?}", told.shown));
        }
    }
    broken
}

fn broken_decision(decision: &Decision) -> Vec<String> {
    let mut broken = Vec::new();
    let name = format!("{}'s decision {} of {}", decision.who, decision.choice, decision.conflict);
    let made: BTreeSet<_> = decision.told.iter().flatten().map(|decided| (&decided.by, &decided.choice)).collect();
    if made.len() > 1 {
        broken.push(format!("{name} was told one thing, and another when it was sent again: {made:?}"));
    }
    for decided in decision.told.iter().flatten() {
        if decided.choice != decision.choice {
            broken.push(format!("{name} was taken for {}", decided.choice));
        }
        if decision.is_made() && !decision.dot().is_in(&decided.shown.vector) {
            broken.push(format!("{name} was made, and is not in the vector: {:?}", decided.shown));
        }
    }
    let refused: BTreeSet<_> = decision.told.iter().filter_map(|told| told.as_ref().err()).collect();
    if decision.is_made() && !refused.is_empty() {
        broken.push(format!("{name} was made, and refused when it was sent again: {refused:?}"));
    }
    broken
}

fn named(edit: &Edit) -> String {
    let (Edit { who, annotation, action, dot, .. }, writes) = (edit, json!(edit.writes));
    let outcome = edit.accepted().map_or("REJECTED", |told| &told.outcome);
    format!("{who}'s {action:?} {} of {annotation} ({outcome}, {writes})", dot.counter)
}

/// Who wrote what to the current state.
struct Writer {
    name: String,
    base: Vector,
    dot: Dot,
    writes: Values,
}

/// All that happened to one annotation.
struct History<'b> {
    id: &'b str,
    accepted: Vec<&'b Edit>,
    decisions: Vec<&'b Decision>,
    /// All that was ever sent, of which a value may come.
    sent: Vec<&'b Values>,
    shown: Vec<&'b State>,
    state: &'b State,
    open: &'b BTreeMap<String, Values>,
}

impl<'b> History<'b> {
    fn of(id: &'b str, book: &'b Book, end: &'b End) -> Option<Self> {
        let edits = || book.edits.iter().filter(|edit| edit.annotation == id);
        let decisions = || book.decisions.iter().filter(|decision| decision.annotation == id);
        let state = end.annotations.get(id)?;
        let told = edits().flat_map(|edit| &edit.told).filter_map(|told| told.shown.as_ref());
        let decided = decisions().flat_map(|decision| decision.told.iter().flatten()).map(|decided| &decided.shown);
        let seen = book.seen.iter().filter(|(seen, _)| seen == id).map(|(_, state)| state);
        Some(Self {
            id,
            accepted: edits().filter(|edit| edit.accepted().is_some()).collect(),
            decisions: decisions().filter(|decision| decision.is_made()).collect(),
            sent: edits().map(|edit| &edit.writes).chain(decisions().map(|decision| &decision.merged)).collect(),
            shown: told.chain(decided).chain(seen).chain([state]).collect(),
            state,
            open: &end.open,
        })
    }

    fn broken(&self) -> Vec<String> {
        let mut broken = self.broken_count();
        broken.extend(self.unwritten());
        broken.extend(self.broken_conflicts());
        let writers = self.writers();
        for writer in &writers {
            broken.extend(writer.writes.iter().filter_map(|(field, value)| self.lost(&writers, writer, field, value)));
        }
        broken
    }

    /// Each accepted edit and each decision is one revision, and one in the vector.
    fn broken_count(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let mut vector = Vector::new();
        for edit in &self.accepted {
            *vector.entry(edit.dot.actor.clone()).or_default() += 1;
        }
        if !self.decisions.is_empty() {
            vector.insert(SERVER.to_owned(), i64::try_from(self.decisions.len()).unwrap());
        }
        if self.state.vector != vector {
            broken.push(format!("{} has seen {:?}, and accepted {vector:?}", self.id, self.state.vector));
        }
        let revisions: i64 = vector.values().sum();
        if self.state.revision != revisions {
            broken.push(format!("{} has {} revisions of {revisions} edits", self.id, self.state.revision));
        }
        for (n, edit) in self.accepted.iter().enumerate() {
            let same = self.accepted[..n].iter().find(|other| other.dot == edit.dot);
            broken.extend(same.map(|other| format!("{} has the number of {}", named(edit), named(other))));
        }
        broken
    }

    /// Values that were shown to somebody, and that nobody sent: a geometry is one person's, whole.
    fn unwritten(&self) -> Vec<String> {
        let mut broken = BTreeSet::new();
        for (field, value) in self.shown.iter().flat_map(|state| &state.values) {
            if !self.sent.iter().any(|sent| sent.get(field) == Some(value)) {
                broken.insert(format!("{}: nobody wrote {field} = {value}", self.id));
            }
        }
        broken.into_iter().collect()
    }

    fn broken_conflicts(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let mut edits_of: BTreeMap<&String, Vec<&Edit>> = BTreeMap::new();
        for edit in self.accepted.iter().filter(|edit| waits(edit)) {
            if let Some(conflict) = conflict_of(edit) {
                edits_of.entry(conflict).or_default().push(edit);
            }
        }
        for (conflict, edits) in edits_of {
            let authors: BTreeSet<&str> = edits.iter().map(|edit| edit.who.as_str()).collect();
            if authors.len() > 1 {
                broken.push(format!("{conflict} holds edits of several people: {authors:?}"));
            }
            let decisions: Vec<_> = self.decisions.iter().filter(|decision| decision.conflict == *conflict).collect();
            if decisions.len() + usize::from(self.open.contains_key(conflict)) != 1 {
                let who: Vec<&str> = decisions.iter().map(|decision| decision.who.as_str()).collect();
                broken.push(format!("{conflict} is neither open nor decided once, but by {who:?}"));
            }
            if let Some(incoming) = self.open.get(conflict) {
                let lost = joined(edits.iter().copied()).into_iter().filter(|(field, v)| value(incoming, field) != v);
                broken.extend(lost.map(|(field, written)| {
                    let (who, waiting) = (&edits[0].who, value(incoming, &field));
                    format!("{who}'s {field} = {written} is lost; {conflict} of {} says {waiting}", self.id)
                }));
            }
            let unseen = |decision: &&Decision| edits.iter().find(|edit| !edit.dot.is_in(&decision.base));
            let unseen = decisions.into_iter().find_map(unseen);
            broken.extend(unseen.map(|edit| format!("{} went into a conflict that was decided", named(edit))));
        }
        broken
    }

    /// Whose values went into the current state.
    fn writers(&self) -> Vec<Writer> {
        let edits = self.accepted.iter().filter(|edit| !waits(edit)).map(|edit| Writer {
            name: format!("{}'s {:?} {}", edit.who, edit.action, edit.dot.counter),
            base: edit.base.clone(),
            dot: edit.dot.clone(),
            writes: edit.writes.clone(),
        });
        let decisions = self.decisions.iter().map(|decision| Writer {
            name: format!("{}'s decision {} of {}", decision.who, decision.choice, decision.conflict),
            base: decision.base.clone(),
            dot: decision.dot(),
            writes: self.decided(decision),
        });
        edits.chain(decisions).collect()
    }

    /// What a decision put over the current state.
    fn decided(&self, decision: &Decision) -> Values {
        match decision.choice {
            "CURRENT" => Values::new(),
            "MERGED" => decision.merged.clone(),
            _ => {
                let waiting = self.accepted.iter().filter(|edit| waits(edit));
                let mut decided = joined(waiting.filter(|edit| conflict_of(edit) == Some(&decision.conflict)).copied());
                for Decided { shown, .. } in decision.told.iter().flatten() {
                    decided.entry(ALIVE.to_owned()).or_insert_with(|| value(&shown.values, ALIVE).clone());
                }
                decided
            }
        }
    }

    /// Why a value that went into the current state is neither there nor overwritten by somebody who had seen it. Who
    /// wrote the same value is as good as the first.
    fn lost(&self, writers: &[Writer], writer: &Writer, field: &str, written: &Value) -> Option<String> {
        if value(&self.state.values, field) == written {
            return None;
        }
        let same = writers.iter().filter(|other| other.writes.get(field) == Some(written));
        let dots: Vec<&Dot> = same.map(|other| &other.dot).collect();
        let others = || writers.iter().filter(|other| other.writes.get(field).is_some_and(|value| value != written));
        if others().any(|other| dots.iter().any(|dot| dot.is_in(&other.base))) {
            return None;
        }
        let names: Vec<&str> = others().map(|other| other.name.as_str()).collect();
        let (name, id, now) = (&writer.name, self.id, value(&self.state.values, field));
        Some(format!("{name} of {id}: {field} = {written} is lost; it is {now}, and none of {names:?} had seen it"))
    }
}

impl Decision {
    fn dot(&self) -> Dot {
        Dot { actor: SERVER.to_owned(), counter: counter(&self.base, SERVER) + 1 }
    }
}

/// Whether an edit was kept beside the current state.
fn waits(edit: &Edit) -> bool {
    edit.accepted().is_some_and(|told| told.outcome == "CONFLICT")
}

fn conflict_of(edit: &Edit) -> Option<&String> {
    edit.accepted().and_then(|told| told.conflict.as_ref())
}

/// What the edits of one author say together that wait in one conflict, in order: the later value of each field. Where
/// none of them says whether the annotation is there, it is, unless their author saw that it was deleted.
fn joined<'e>(edits: impl IntoIterator<Item = &'e Edit>) -> Values {
    let mut edits: Vec<_> = edits.into_iter().collect();
    edits.sort_by_key(|edit| edit.dot.counter);
    let mut joined: Values = edits.iter().flat_map(|edit| edit.writes.clone()).collect();
    if !edits.iter().any(|edit| edit.on_tombstone) {
        joined.entry(ALIVE.to_owned()).or_insert(json!(true));
    }
    joined
}
