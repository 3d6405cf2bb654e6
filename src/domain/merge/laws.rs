//! What holds for whatever people do to an annotation: the laws of DESIGN section 5, over random histories.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::{
    history::{
        Deed, Look, Moment, Sent, any_fence, any_history, any_history_of, any_look, any_patch, any_write, rename,
    },
    ledger::{Ledger, Number, check, create, edit},
    *,
};
use crate::domain::{cases, edit::EditHash, version_vector::SERVER};

/// The value of a field; null is an attribute that is not there.
fn says(content: &Content<Number>, field: &Field) -> Value {
    match field {
        Field::Geometry => content.geometry.into(),
        Field::Label => content.label.clone().into(),
        Field::Alive => (!content.deleted).into(),
        Field::Attribute(name) => content.attributes.get(name).cloned().unwrap_or_default(),
    }
}

/// The values that a patch writes.
fn values(patch: &Patch<Number>) -> BTreeMap<Field, Value> {
    let attributes = patch.attributes.iter().map(|(name, value)| (Field::Attribute(name.clone()), value.clone()));
    let geometry = patch.geometry.map(|geometry| (Field::Geometry, geometry.into()));
    let label = patch.label.clone().map(|label| (Field::Label, label.into()));
    let alive = patch.deleted.map(|deleted| (Field::Alive, (!deleted).into()));
    attributes.chain(geometry).chain(label).chain(alive).collect()
}

fn patch_of(change: &Change<Number>) -> Patch<Number> {
    match change {
        Change::Create(content) => content.clone().into_patch(),
        Change::Write(patch) => patch.clone(),
    }
}

/// The values that an edit writes.
fn values_of(change: &Change<Number>) -> BTreeMap<Field, Value> {
    values(&patch_of(change))
}

/// The dot of the one edit that a step added to the vector.
fn added(before: &Moment, after: &Stored<Number>) -> Option<Dot> {
    let epoch = after.vector.epoch();
    let seen = before.stored.as_ref().map(|stored| &stored.vector).filter(|vector| vector.epoch() == epoch);
    let empty = VersionVector::first();
    let beyond = after.vector.beyond(seen.unwrap_or(&empty));
    let [(actor, seen)] = beyond[..] else { return None };
    Some(Dot { actor: actor.to_owned(), counter: seen + 1 }).filter(|dot| after.vector.counter(actor) == dot.counter)
}

/// Whether `base` has seen an edit, of any epoch.
fn has_seen(base: &VersionVector, (epoch, dot): &(i32, Dot)) -> bool {
    base.epoch() > *epoch || (base.epoch() == *epoch && base.holds(dot))
}

fn outcome_of(outcome: &Outcome<Number>) -> Result<EditOutcome, ErrorCode> {
    match outcome {
        Outcome::Repeated(known) => Ok(known.outcome),
        Outcome::Accepted(accepted) => Ok(accepted.outcome),
        Outcome::Rejected(rejection) => Err(rejection.code),
    }
}

/// Two edits of different people that do not know of each other.
type Pair = [(Look, Change<Number>, Fence); 2];

fn any_pair() -> impl Strategy<Value = Pair> {
    let one = || (any_look(), any_write(), any_fence());
    [one(), one()]
}

/// The ledgers after the edits in one order and in the other, with what became of each; none where one of the edits would
/// be refused by itself, or is wrong on what its author saw.
fn both_orders(ledger: &Ledger, edits: [(&Edit<Number>, Fence); 2]) -> Option<[(Ledger, [Outcome<Number>; 2]); 2]> {
    let is_sound = |(edit, fence): (&Edit<Number>, Fence)| {
        let seen = ledger.states().iter().find(|(vector, _)| *vector == edit.base).map(|(_, content)| content.clone());
        let meant = seen.map(|seen| seen.with(patch_of(&edit.change)));
        let is_meant_well = meant.is_none_or(|content| check(&content).is_ok());
        is_meant_well && matches!(ledger.clone().take_under(edit, fence), Outcome::Accepted(_))
    };
    if ledger.siblings.len() + 2 > limits::SIBLINGS || !edits.into_iter().all(is_sound) {
        return None;
    }
    let [one, other] = edits;
    let mut orders = [(one, other), (other, one)].map(|(first, second)| {
        let mut ledger = ledger.clone();
        let outcomes = [first, second].map(|(edit, fence)| ledger.take_under(edit, fence));
        (ledger, outcomes)
    });
    orders[1].1.reverse();
    Some(orders)
}

/// Whether all that an edit writes is there, or waits.
fn keeps(ledger: &Ledger, edit: &Edit<Number>) -> bool {
    let content = ledger.content().unwrap();
    values_of(&edit.change).iter().all(|(field, value)| {
        let waits = |sibling: &Sibling<Number>| values(&sibling.patch).get(field) == Some(value);
        says(&content, field) == *value || ledger.siblings.iter().any(waits)
    })
}

proptest! {
    #![proptest_config(cases::many())]

    #[test]
    fn an_accepted_edit_sent_again_at_any_time_gives_its_outcome_and_changes_nothing(mut history in any_history()) {
        let at_end = history.ledger.clone();
        for Sent { actor, base, change, edit, outcome } in history.sent {
            let Outcome::Accepted(Accepted { outcome, .. }) = outcome else { continue };
            let again = history.ledger.edit(actor, &base, change);
            let answer = history.ledger.take(&again);
            let is_known = matches!(answer, Outcome::Repeated(known) if (known.hash, known.outcome) == (edit.hash, outcome));
            prop_assert!(is_known, "{again:?}: {answer:?}");
        }
        prop_assert_eq!(history.ledger, at_end);
    }

    #[test]
    fn two_edits_of_one_state_commute_up_to_which_of_them_waits(history in any_history(), [a, b] in any_pair()) {
        let Some(stored) = history.stored() else { return Ok(()) };
        let [a, b] = [(0, a.1), (1, b.1)].map(|(actor, change)| history.edit(actor, Look::AtNow, &change));
        let Some([ab, ba]) = both_orders(&history.ledger, [(&a, Fence::Holds), (&b, Fence::Holds)]) else { return Ok(()) };
        prop_assert_eq!((outcome_of(&ab.1[0]), outcome_of(&ba.1[1])), (Ok(EditOutcome::Applied), Ok(EditOutcome::Applied)));
        prop_assert_eq!(outcome_of(&ab.1[1]), outcome_of(&ba.1[0]));
        prop_assert_eq!(ab.0.vector(), ba.0.vector());
        let patches = [&a, &b].map(|edit| patch_of(&edit.change));
        if outcome_of(&ab.1[1]) == Ok(EditOutcome::Merged) {
            let both = patches.into_iter().fold(stored.content, Content::with);
            prop_assert_eq!((ab.0.content(), ba.0.content()), (Some(both.clone()), Some(both)));
            prop_assert_eq!(&ab.0.siblings, &history.ledger.siblings);
            prop_assert_eq!(&ba.0.siblings, &history.ledger.siblings);
        } else {
            let contents = patches.map(|patch| Some(stored.content.clone().with(patch)));
            prop_assert_eq!([ab.0.content(), ba.0.content()], contents);
            for (ledger, waiting) in [(ab.0, b), (ba.0, a)] {
                let its_own = |sibling: &&Sibling<Number>| (sibling.epoch, &sibling.dot) == (waiting.base.epoch(), &waiting.dot());
                let sibling = ledger.siblings.iter().find(its_own).unwrap();
                let wants = values(&sibling.patch);
                prop_assert!(values_of(&waiting.change).iter().all(|(field, value)| wants.get(field) == Some(value)));
            }
        }
    }

    #[test]
    fn of_two_concurrent_edits_every_value_is_there_or_waits_in_either_order(history in any_history(), [a, b] in any_pair()) {
        if history.ledger.stored.is_none() {
            return Ok(());
        }
        let edits = [(0, &a), (1, &b)].map(|(actor, (look, change, _))| history.edit(actor, *look, change));
        let Some(orders) = both_orders(&history.ledger, [(&edits[0], a.2), (&edits[1], b.2)]) else { return Ok(()) };
        for (ledger, outcomes) in &orders {
            for (edit, outcome) in edits.iter().zip(outcomes) {
                prop_assert!(matches!(outcome, Outcome::Accepted(_)), "{edit:?}: {outcome:?}");
                prop_assert!(keeps(ledger, edit), "{edit:?}: {outcome:?}");
            }
        }
        prop_assert_eq!(orders[0].0.vector(), orders[1].0.vector());
    }

    /// A value goes when somebody overwrites it who saw an edit that wrote it, or when a person decides. A sibling goes when a
    /// person decides, or into a later one of its own author.
    #[test]
    fn no_accepted_value_is_lost(history in any_history()) {
        let mut writers: BTreeMap<Field, Vec<(i32, Dot)>> = BTreeMap::new();
        for (before, deed, after) in history.each() {
            let Some(now) = &after.stored else { continue };
            let mut waiting = before.siblings.clone();
            let mut content = before.stored.as_ref().map(|stored| stored.content.clone());
            match deed {
                Deed::Edit { edit, outcome: Outcome::Accepted(Accepted { outcome, raised, .. }), .. } => {
                    if let Some(Raised { sibling, replaces }) = raised {
                        prop_assert_eq!(*outcome, EditOutcome::Conflict);
                        let mut wants = replaces.map(|index| values(&waiting[index].patch)).unwrap_or_default();
                        wants.extend(values_of(&edit.change));
                        // Who changes something takes it for being there, unless they have seen that it was deleted.
                        if sibling.patch.deleted.is_some() {
                            wants.entry(Field::Alive).or_insert(true.into());
                        } else {
                            prop_assert!(history.ledger.states().iter().any(|(_, content)| content.deleted));
                        }
                        prop_assert_eq!(values(&sibling.patch), wants);
                        match replaces {
                            Some(index) => {
                                prop_assert_eq!(&waiting[*index].dot.actor, &edit.actor);
                                waiting[*index] = sibling.clone();
                            }
                            None => waiting.push(sibling.clone()),
                        }
                    }
                    let dot = (now.vector.epoch(), added(before, now).unwrap());
                    if let Change::Create(created) = &edit.change {
                        content = Some(Content { deleted: raised.is_some(), ..created.clone() });
                        writers = values_of(&edit.change).into_keys().map(|field| (field, vec![dot.clone()])).collect();
                    } else if raised.is_none() {
                        for (field, value) in values_of(&edit.change) {
                            let last = writers.entry(field.clone()).or_default();
                            if says(content.as_ref().unwrap(), &field) != value {
                                let has_seen = last.is_empty() || last.iter().any(|dot| has_seen(&edit.base, dot));
                                prop_assert!(has_seen, "{edit:?} overwrote {field} of {last:?}");
                                last.clear();
                            }
                            last.push(dot.clone());
                        }
                        content = content.map(|content| content.with(patch_of(&edit.change)));
                    }
                }
                Deed::Resolve { index, patch, answer: Ok((dot, fields)), .. } => {
                    waiting.remove(*index);
                    content = content.map(|content| content.with(patch.clone()));
                    writers.extend(fields.iter().map(|field| (field.clone(), vec![(now.vector.epoch(), dot.clone())])));
                }
                Deed::Edit { .. } | Deed::Resolve { .. } | Deed::Cut => {}
            }
            prop_assert_eq!(content.as_ref(), Some(&now.content));
            prop_assert_eq!(&waiting, &after.siblings);
        }
    }

    #[test]
    fn no_value_is_there_that_nobody_wrote(history in any_history()) {
        let mut written: Vec<(Field, Value)> = Vec::new();
        for (_, deed, after) in history.each() {
            match deed {
                Deed::Edit { edit, .. } => written.extend(values_of(&edit.change)),
                Deed::Resolve { patch, .. } => written.extend(values(patch)),
                Deed::Cut => {}
            }
            let Some(stored) = &after.stored else { continue };
            let patches = after.siblings.iter().map(|sibling| sibling.patch.clone());
            for (field, value) in patches.chain([stored.content.clone().into_patch()]).flat_map(|patch| values(&patch)) {
                // That a late creation is a tombstone is nobody's edit.
                let is_written = field == Field::Alive || written.contains(&(field.clone(), value.clone()));
                prop_assert!(is_written, "{field}: {value}");
            }
        }
    }

    #[test]
    fn the_geometry_is_whole_that_of_the_one_edit_named_as_its_last(history in any_history()) {
        let mut drawn: BTreeMap<(i32, String, i32), Number> = BTreeMap::new();
        for (before, deed, after) in history.each() {
            let Some(now) = &after.stored else { continue };
            let name = |dot: &Dot| (now.vector.epoch(), dot.actor.clone(), dot.counter);
            let geometry = match deed {
                Deed::Edit { edit, .. } => patch_of(&edit.change).geometry,
                Deed::Resolve { patch, .. } => patch.geometry,
                Deed::Cut => before.stored.as_ref().map(|stored| stored.content.geometry),
            };
            if let (Some(geometry), Some(dot)) = (geometry, added(before, now)) {
                drawn.insert(name(&dot), geometry);
            }
            prop_assert_eq!(drawn.get(&name(&now.last_dots[&Field::Geometry])), Some(&now.content.geometry));
        }
    }

    #[test]
    fn every_written_field_knows_its_last_edit(history in any_history()) {
        let mut last: BTreeMap<Field, Dot> = BTreeMap::new();
        for (before, deed, after) in history.each() {
            let Some(now) = &after.stored else { continue };
            let (content, dot) = (before.stored.as_ref().map(|stored| &stored.content), added(before, now));
            let fields: Vec<Field> = match deed {
                Deed::Edit { edit, outcome: Outcome::Accepted(accepted), .. } => {
                    let writes = accepted.outcome != EditOutcome::Conflict;
                    let fields: Vec<Field> = values_of(&edit.change).into_keys().collect();
                    let mut told = accepted.written.clone();
                    told.sort();
                    prop_assert_eq!(told, if writes { fields.clone() } else { Vec::new() });
                    if writes || content.is_none() { fields } else { Vec::new() }
                }
                Deed::Resolve { patch, answer: Ok((_, told)), .. } => {
                    let is_new = |(field, value): &(Field, Value)| says(content.unwrap(), field) != *value;
                    let fields: Vec<Field> = values(patch).into_iter().filter(is_new).map(|(field, _)| field).collect();
                    let mut told = told.clone();
                    told.sort();
                    prop_assert_eq!(&told, &fields);
                    fields
                }
                Deed::Edit { .. } | Deed::Resolve { .. } => Vec::new(),
                Deed::Cut => last.keys().cloned().collect(),
            };
            last.extend(fields.into_iter().map(|field| (field, dot.clone().unwrap())));
            prop_assert_eq!(&now.last_dots, &last);
        }
    }

    /// One follows what each deed did, one looks at the end.
    #[test]
    fn who_has_followed_and_who_looks_at_the_end_see_the_same(history in any_history()) {
        let mut followed: Option<(Content<Number>, VersionVector)> = None;
        let mut waiting: Vec<Sibling<Number>> = Vec::new();
        for (before, deed, after) in history.each() {
            match (deed, &mut followed) {
                (Deed::Edit { edit, outcome: Outcome::Accepted(accepted), .. }, followed) => {
                    if let Some(Raised { sibling, replaces }) = &accepted.raised {
                        waiting.splice(replaces.map_or(waiting.len()..waiting.len(), |at| at..at + 1), [sibling.clone()]);
                    }
                    match (&edit.change, followed) {
                        (Change::Create(content), followed) => {
                            let deleted = accepted.outcome == EditOutcome::Conflict;
                            let vector = VersionVector::first().with(&edit.dot());
                            *followed = Some((Content { deleted, ..content.clone() }, vector));
                        }
                        (Change::Write(patch), Some((content, vector))) => {
                            if accepted.outcome != EditOutcome::Conflict {
                                content.exchange(patch.clone());
                            }
                            vector.add(&added(before, after.stored.as_ref().unwrap()).unwrap());
                        }
                        (Change::Write(_), None) => prop_assert!(false, "an edit of nothing"),
                    }
                }
                (Deed::Resolve { index, patch, answer: Ok((dot, _)), .. }, Some((content, vector))) => {
                    content.exchange(patch.clone());
                    vector.add(dot);
                    waiting.remove(*index);
                }
                (Deed::Cut, Some((_, vector))) => *vector = vector.cut(),
                (Deed::Edit { .. } | Deed::Resolve { .. } | Deed::Cut, _) => {}
            }
        }
        let at_end = history.stored().map(|stored| (stored.content, stored.vector));
        prop_assert_eq!((followed, waiting), (at_end, history.ledger.siblings));
    }

    /// What its author saw with what the author wrote, and the fields the answer names as they are now, are all there is.
    #[test]
    fn the_answer_to_a_merge_names_all_that_its_author_does_not_know(history in any_history()) {
        for (_, edit, accepted, after) in history.accepted() {
            let states = history.ledger.states();
            let seen = states.iter().find(|(vector, _)| *vector == edit.base).map(|(_, content)| content);
            let (Some(seen), Change::Write(patch), Some(now)) = (seen, &edit.change, &after.stored) else { continue };
            if accepted.outcome != EditOutcome::Conflict && edit.base.epoch() == now.vector.epoch() {
                let known = seen.clone().with(patch.clone());
                let fields = values(&now.content.clone().into_patch()).into_keys().chain(now.last_dots.keys().cloned());
                for field in fields.filter(|field| !accepted.fields.contains(field)) {
                    prop_assert_eq!(says(&known, &field), says(&now.content, &field), "{}", field);
                }
            }
        }
    }

    #[test]
    fn a_rejected_edit_changes_nothing_and_leaves_its_dot_free(history in any_history()) {
        for (before, deed, after) in history.each() {
            let Deed::Edit { edit, outcome: Outcome::Rejected(rejection), .. } = deed else { continue };
            prop_assert_eq!(before, after);
            let is_taken = matches!(rejection.code, ErrorCode::ActorReused | ErrorCode::IdTaken);
            if let (Some(stored), false) = (&after.stored, is_taken) {
                prop_assert!(edit.base.epoch() != stored.vector.epoch() || !stored.vector.holds(&edit.dot()));
            }
        }
        let mut ledger = history.ledger;
        for Sent { actor, base, change, outcome, .. } in history.sent {
            let Outcome::Rejected(_) = outcome else { continue };
            let edit = ledger.edit(actor, &base, change);
            let before = ledger.clone();
            if let Outcome::Rejected(_) = ledger.take(&edit) {
                prop_assert_eq!(&ledger, &before);
            }
        }
    }

    #[test]
    fn edits_of_one_actor_sent_before_their_answers_all_apply(
        changes in proptest::collection::vec(any_write(), 1..12)
    ) {
        let mut ledger = Ledger::with(&[create("ana", 1)]);
        let mut base = ledger.vector();
        for change in changes {
            let Change::Write(patch) = &change else { continue };
            let content = ledger.content().unwrap();
            let can_be = !content.deleted || patch.deleted == Some(false);
            if can_be && check(&content.with(patch.clone())).is_ok() {
                let edit = edit("ana", &base, change);
                base = base.with(&edit.dot());
                prop_assert_eq!(outcome_of(&ledger.take(&edit)), Ok(EditOutcome::Applied));
            }
        }
        prop_assert_eq!(ledger.vector(), base);
    }

    #[test]
    fn an_edit_waits_for_what_others_wrote_unseen_and_never_for_its_own_authors_edits(history in any_history()) {
        for (before, edit, accepted, _) in history.accepted() {
            let (Some(stored), Some(raised)) = (&before.stored, &accepted.raised) else { continue };
            let is_foreign = |field: &Field| {
                let dot = &stored.last_dots[field];
                dot.actor != edit.actor && !edit.base.holds(dot)
            };
            let has_waited = raised.replaces.map(|index| before.siblings[index].cause);
            if has_waited == Some(raised.sibling.cause) {
                continue;
            }
            match raised.sibling.cause {
                ConflictCause::Concurrent => prop_assert!(accepted.fields.iter().all(is_foreign), "{accepted:?}"),
                ConflictCause::Deleted | ConflictCause::InvalidMerge => {
                    prop_assert!(stored.last_dots.keys().any(is_foreign), "{accepted:?}");
                }
                ConflictCause::OldEpoch => prop_assert!(edit.base.epoch() < stored.vector.epoch()),
                ConflictCause::Late => {}
            }
        }
    }

    #[test]
    fn every_revision_adds_one_edit_to_the_vector_or_cuts_it(history in any_history()) {
        for (before, deed, after) in history.each() {
            let (Some(was), Some(now)) = (&before.stored, &after.stored) else { continue };
            match (now.revision - was.revision, deed) {
                (1, Deed::Cut) => prop_assert_eq!(&now.vector, &was.vector.cut()),
                (1, _) => prop_assert!(added(before, now).is_some()),
                (0, _) => prop_assert_eq!(was, now),
                (more, _) => prop_assert!(false, "{more} revisions"),
            }
        }
        let Some(stored) = history.stored() else { return Ok(()) };
        for (at, (vector, _)) in history.ledger.states().iter().enumerate() {
            let is_older = vector.epoch() == stored.vector.epoch() && *vector != stored.vector;
            prop_assert_eq!(stored.revision_at(vector), is_older.then_some(i32::try_from(at).unwrap() + 1));
        }
    }

    #[test]
    fn a_tombstone_that_was_seen_takes_nothing_but_a_restore(history in any_history(), change in any_write()) {
        let Some(stored) = history.stored().filter(|stored| stored.content.deleted) else { return Ok(()) };
        let is_restore = change == Change::Write(Patch::deleted(false));
        let mut ledger = history.ledger;
        let outcome = ledger.take(&edit("new", &stored.vector, change));
        prop_assert_eq!(outcome_of(&outcome), if is_restore { Ok(EditOutcome::Applied) } else { Err(ErrorCode::Gone) });
        prop_assert_eq!(ledger.content(), Some(Content { deleted: !is_restore, ..stored.content }));
    }

    #[test]
    fn an_edit_that_comes_late_never_changes_what_is_there(history in any_history()) {
        for (before, deed, after) in history.each() {
            let Deed::Edit { edit, fence: fence @ (Fence::Ended | Fence::Closed), outcome } = deed else { continue };
            match (before.stored.as_ref(), &after.stored) {
                (Some(was), Some(now)) => prop_assert_eq!((&was.content, &was.last_dots), (&now.content, &now.last_dots)),
                (None, Some(now)) => prop_assert!(now.content.deleted),
                (_, None) => prop_assert!(before.stored.is_none()),
            }
            if let Outcome::Accepted(Accepted { raised, .. }) = outcome {
                prop_assert_eq!(*fence, Fence::Ended);
                let raised = raised.as_ref().unwrap();
                // What waited for another reason waits for that still.
                let cause = raised.replaces.map_or(ConflictCause::Late, |index| before.siblings[index].cause);
                prop_assert_eq!((raised.sibling.cause, &raised.sibling.dot), (cause, &edit.dot()));
            }
        }
    }

    #[test]
    fn never_more_siblings_wait_than_may(history in any_history_of(12, 30)) {
        for (before, deed, after) in history.each() {
            prop_assert!(after.siblings.len() <= limits::SIBLINGS);
            if let Deed::Edit { outcome: Outcome::Rejected(Rejection { code: ErrorCode::TooManySiblings, .. }), .. } = deed {
                prop_assert_eq!(before.siblings.len(), limits::SIBLINGS);
            }
        }
    }

    #[test]
    fn one_sibling_of_one_actor_waits_per_epoch(history in any_history()) {
        let mut waiting: Vec<_> =
            history.ledger.siblings.iter().map(|sibling| (&sibling.dot.actor, sibling.epoch)).collect();
        waiting.sort();
        let all = waiting.len();
        waiting.dedup();
        prop_assert_eq!(waiting.len(), all);
    }

    #[test]
    fn a_person_decides_about_what_is_there_and_about_nothing_else(history in any_history(), patch in any_patch(), back in 0..6_usize) {
        let Some(stored) = history.stored() else { return Ok(()) };
        let base = history.ledger.vector_back(back);
        let mut decided = stored.clone();
        let answer = resolve(&mut decided, &base, &patch, true, check);
        let result = stored.content.clone().with(patch.clone());
        if base != stored.vector {
            prop_assert_eq!(answer.map_err(|rejection| rejection.code), Err(ErrorCode::Stale));
            prop_assert_eq!(&decided, &stored);
        } else if check(&result).is_err() {
            prop_assert_eq!(answer.map_err(|rejection| rejection.code), Err(ErrorCode::BadUserInput));
            prop_assert_eq!(&decided, &stored);
        } else {
            prop_assert_eq!(answer.unwrap().0, Dot::after(&stored.vector, SERVER));
            prop_assert_eq!((&decided.content, decided.revision), (&result, stored.revision + 1));
            // It was about the state before it.
            let again = resolve(&mut decided, &base, &patch, true, check);
            prop_assert_eq!(again.map_err(|rejection| rejection.code), Err(ErrorCode::Stale));
            prop_assert_eq!(decided.content, result);
        }
        let ahead = stored.vector.clone().with(&Dot::after(&stored.vector, "zoe"));
        let answer = resolve(&mut stored.clone(), &ahead, &patch, true, check);
        prop_assert_eq!(answer.map_err(|rejection| rejection.code), Err(ErrorCode::FutureVersion));
    }

    #[test]
    fn a_base_that_has_seen_more_is_refused_wherever_it_is_ahead(
        history in any_history(), back in 0..4_usize, actor in "[a-z]{3}", more in 1..5_i32
    ) {
        let Some(stored) = history.stored() else { return Ok(()) };
        let seen = history.ledger.vector_back(back);
        let counter = stored.vector.counter(&actor) + more;
        let base = if seen.epoch() == stored.vector.epoch() { seen } else { stored.vector };
        let mut ledger = history.ledger;
        let before = ledger.clone();
        let outcome = ledger.take(&edit("new", &base.with(&Dot { counter, actor }), rename("van")));
        prop_assert_eq!(outcome_of(&outcome), Err(ErrorCode::FutureVersion));
        prop_assert_eq!(ledger, before);
    }

    #[test]
    fn a_used_dot_with_another_content_is_refused(history in any_history()) {
        let mut ledger = history.ledger.clone();
        for (_, used, _, _) in history.accepted() {
            let hash = EditHash::of(&"another");
            let outcome = outcome_of(&ledger.take(&Edit { hash, ..used.clone() }));
            // Who made it is forgotten when the vector is cut, but not that it is there.
            let is_taken = outcome == Err(ErrorCode::IdTaken) && matches!(used.change, Change::Create(_));
            prop_assert!(outcome == Err(ErrorCode::ActorReused) || is_taken, "{used:?}: {outcome:?}");
        }
        prop_assert_eq!(ledger, history.ledger);
    }
}
