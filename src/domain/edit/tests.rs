//! The rows one by one, and what holds for any sequence of edits.

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

/// A geometry here is a number; those above 99 break the rules.
type Number = i32;

fn content(label: &str, geometry: Number) -> Content<Number> {
    Content { label: label.into(), geometry, attributes: Map::new(), deleted: false }
}

fn check(content: &Content<Number>) -> Result<(), Rejection> {
    if content.geometry > 99 {
        return Err(Rejection::new(ErrorCode::BadUserInput, "geometry", "must be at most 99"));
    }
    Ok(())
}

fn patch(label: Option<&str>, geometry: Option<Number>, attributes: &Value) -> Change<Number> {
    let attributes = attributes.as_object().cloned().unwrap_or_default();
    Change::Update(Patch { label: label.map(str::to_owned), geometry, attributes })
}

fn edit(actor: &str, base: &VersionVector, change: Change<Number>) -> Edit<Number> {
    let hash = EditHash::of(&format!("{change:?}"));
    Edit { actor: actor.into(), base: base.clone(), change, hash }
}

fn create(actor: &str, geometry: Number) -> Edit<Number> {
    edit(actor, &VersionVector::first(), Change::Create(content("car", geometry)))
}

/// One annotation with all edits of it that were accepted.
#[derive(Clone, Debug, Default, PartialEq)]
struct Ledger {
    stored: Option<Stored<Number>>,
    accepted: HashMap<(i32, Dot), Known>,
    first: Option<Known>,
}

impl Ledger {
    fn with(edits: &[Edit<Number>]) -> Self {
        let mut ledger = Self::default();
        for edit in edits {
            let outcome = ledger.take(edit);
            assert!(matches!(outcome, Outcome::Applied { .. }), "{edit:?}: {outcome:?}");
        }
        ledger
    }

    fn vector(&self) -> VersionVector {
        self.stored.as_ref().map_or_else(VersionVector::first, |stored| stored.vector.clone())
    }

    fn take(&mut self, edit: &Edit<Number>) -> Outcome<Number> {
        let is_create = matches!(edit.change, Change::Create(_));
        let known = if is_create { self.first } else { self.accepted.get(&(edit.base.epoch(), edit.dot())).copied() };
        let may_be_known =
            is_create || self.stored.as_ref().is_some_and(|stored| stored.may_know(&edit.base, &edit.actor));
        assert!(known.is_none() || may_be_known, "nobody would have looked for {edit:?}");
        let outcome = decide(self.stored.as_ref(), known.as_ref(), edit, check);
        if let Outcome::Applied { state, .. } = &outcome {
            let known = Known { hash: edit.hash, outcome: EditOutcome::Applied };
            self.accepted.insert((edit.base.epoch(), edit.dot()), known);
            self.first.get_or_insert(known);
            self.stored = Some(state.clone());
        }
        outcome
    }
}

fn code(outcome: &Outcome<Number>) -> Result<EditOutcome, (ErrorCode, &str)> {
    match outcome {
        Outcome::Repeated(outcome) => Ok(*outcome),
        Outcome::Applied { .. } => Ok(EditOutcome::Applied),
        Outcome::Rejected(rejection) => Err((rejection.code, &rejection.field)),
    }
}

#[test]
fn each_row_has_its_outcome() {
    let vector = |value: Value| VersionVector::try_from(value).unwrap();
    let made = [create("ana", 1)];
    let moved = [create("ana", 1), edit("ana", &vector(json!({ "#": 1, "ana": 1 })), patch(None, Some(2), &json!({})))];
    let deleted = [create("ana", 1), edit("ben", &vector(json!({ "#": 1, "ana": 1 })), Change::Delete)];
    let a1 = vector(json!({ "#": 1, "ana": 1 }));
    let a2 = vector(json!({ "#": 1, "ana": 2 }));
    let a1b1 = vector(json!({ "#": 1, "ana": 1, "ben": 1 }));
    let rename = || patch(Some("van"), None, &json!({}));
    let applied = Ok(EditOutcome::Applied);
    for (case, before, edit, want) in [
        ("a creation", &[][..], create("ana", 1), applied),
        ("a creation that is wrong", &[], create("ana", 100), Err((ErrorCode::BadUserInput, "geometry"))),
        ("an edit of nothing", &[], edit("ana", &a1, rename()), Err((ErrorCode::NotFound, "id"))),
        ("the same creation", &made, create("ana", 1), applied),
        ("the same creation after a reload", &made, create("ben", 1), applied),
        ("the same creation of what was moved", &moved, create("ana", 1), applied),
        ("the same creation of what was deleted", &deleted, create("ana", 1), applied),
        ("another creation", &made, create("ana", 3), Err((ErrorCode::ActorReused, "id"))),
        ("a creation by somebody else", &made, create("ben", 3), Err((ErrorCode::IdTaken, "id"))),
        ("the same edit", &moved, edit("ana", &a1, patch(None, Some(2), &json!({}))), applied),
        ("another edit of its number", &moved, edit("ana", &a1, rename()), Err((ErrorCode::ActorReused, "base"))),
        ("a base ahead", &made, edit("ana", &a2, rename()), Err((ErrorCode::FutureVersion, "base"))),
        ("a base ahead of another", &moved, edit("ben", &a1b1, rename()), Err((ErrorCode::FutureVersion, "base"))),
        (
            "a base of a newer epoch",
            &made,
            edit("ana", &vector(json!({ "#": 2 })), rename()),
            Err((ErrorCode::FutureVersion, "base")),
        ),
        ("the base as stored", &made, edit("ben", &a1, rename()), applied),
        ("an edit that is wrong", &made, edit("ben", &a1, patch(None, Some(100), &json!({}))), {
            Err((ErrorCode::BadUserInput, "geometry"))
        }),
        ("an older base", &moved, edit("ben", &a1, rename()), Err((ErrorCode::Stale, "base"))),
        ("a deletion", &made, edit("ben", &a1, Change::Delete), applied),
        ("an edit of a tombstone", &deleted, edit("ana", &a1b1, rename()), Err((ErrorCode::Gone, "id"))),
        ("a deletion of a tombstone", &deleted, edit("ana", &a1b1, Change::Delete), Err((ErrorCode::Gone, "id"))),
        ("a deletion nobody saw", &deleted, edit("ana", &a1, rename()), Err((ErrorCode::Stale, "base"))),
        ("a restore", &deleted, edit("ana", &a1b1, Change::Restore), applied),
        ("a restore of what is there", &made, edit("ben", &a1, Change::Restore), applied),
    ] {
        let mut ledger = Ledger::with(before);
        let outcome = ledger.take(&edit);
        assert_eq!(code(&outcome), want, "{case}: {outcome:?}");
    }
}

#[test]
fn an_update_writes_the_fields_it_names_and_no_others() {
    let mut ledger = Ledger::with(&[create("ana", 1)]);
    let attributes = json!({ "plate": "B-X 1", "parked": null });
    let outcome = ledger.take(&edit("ben", &ledger.vector(), patch(Some("van"), None, &attributes)));
    let Outcome::Applied { state, fields } = outcome else { panic!("{outcome:?}") };
    let names: Vec<String> = fields.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["label", "attributes.parked", "attributes.plate"]);
    let want = Content {
        label: "van".into(),
        attributes: json!({ "plate": "B-X 1" }).as_object().unwrap().clone(),
        ..content("", 1)
    };
    assert_eq!((state.content, state.revision), (want, 2));
    let last: Vec<(String, &str)> =
        state.last_dots.iter().map(|(field, dot)| (field.to_string(), dot.actor.as_str())).collect();
    let want = [
        ("geometry", "ana"),
        ("label", "ben"),
        ("attributes.parked", "ben"),
        ("attributes.plate", "ben"),
        ("alive", "ana"),
    ];
    assert_eq!(last, want.map(|(field, actor)| (field.to_owned(), actor)));
}

#[test]
fn a_tombstone_keeps_its_content_and_a_restore_gives_it_back() {
    let mut ledger = Ledger::with(&[create("ana", 7)]);
    ledger.take(&edit("ana", &ledger.vector(), Change::Delete));
    assert_eq!(ledger.stored.clone().unwrap().content, Content { deleted: true, ..content("car", 7) });
    ledger.take(&edit("ben", &ledger.vector(), Change::Restore));
    assert_eq!(ledger.stored.unwrap().content, content("car", 7));
}

#[test]
fn a_field_reads_back_from_its_name() {
    for field in [Field::Geometry, Field::Label, Field::Alive, Field::Attribute("a.b".into())] {
        assert_eq!(Field::try_from(field.to_string()), Ok(field));
    }
    assert!(Field::try_from("colour".to_owned()).is_err());
}

fn any_change() -> impl Strategy<Value = Change<Number>> {
    prop_oneof![
        (0..120, "[a-c]").prop_map(|(geometry, label)| Change::Create(content(&label, geometry))),
        (proptest::option::of("[a-c]"), proptest::option::of(0..120), proptest::option::of(0..3)).prop_map(
            |(label, geometry, plate)| {
                let attributes = plate.map_or(json!({}), |plate| json!({ "plate": plate }));
                patch(label.as_deref(), geometry, &attributes)
            }
        ),
        Just(Change::Delete),
        Just(Change::Restore),
    ]
}

/// How far back an author's view lies: 0 is the state now, larger numbers are ahead by a made-up edit.
fn any_edits() -> impl Strategy<Value = Vec<(usize, usize, Change<Number>)>> {
    proptest::collection::vec((0..3_usize, 0..4_usize, any_change()), 1..25)
}

/// What an edit met, the edit, and what became of it.
type Step = (Ledger, Edit<Number>, Outcome<Number>);

fn run(steps: Vec<(usize, usize, Change<Number>)>) -> (Ledger, Vec<Step>) {
    const ACTORS: [&str; 3] = ["ana", "ben", "eva"];
    let (mut ledger, mut trace, mut vectors) = (Ledger::default(), Vec::new(), vec![VersionVector::first()]);
    for (actor, view, change) in steps {
        let base = match view {
            3 => ledger.vector().with(&Dot { actor: "zoe".into(), counter: 9 }),
            back => vectors[vectors.len().saturating_sub(1 + back)].clone(),
        };
        let base = if matches!(change, Change::Create(_)) { VersionVector::first() } else { base };
        let edit = edit(ACTORS[actor], &base, change);
        let before = ledger.clone();
        let outcome = ledger.take(&edit);
        vectors.push(ledger.vector());
        trace.push((before, edit, outcome));
    }
    (ledger, trace)
}

proptest! {
    #[test]
    fn an_accepted_edit_sent_again_at_any_time_gives_its_outcome_and_changes_nothing(steps in any_edits()) {
        let (mut ledger, trace) = run(steps);
        for (_, edit, outcome) in trace {
            if !matches!(outcome, Outcome::Rejected(_)) {
                let before = ledger.clone();
                prop_assert_eq!(ledger.take(&edit), Outcome::Repeated(EditOutcome::Applied));
                prop_assert_eq!(&ledger, &before);
            }
        }
    }

    #[test]
    fn a_rejected_edit_changes_nothing_and_leaves_its_dot_free(steps in any_edits()) {
        let (_, trace) = run(steps);
        for (before, edit, outcome) in trace {
            if let Outcome::Rejected(rejection) = outcome {
                let mut after = before.clone();
                after.take(&edit);
                prop_assert_eq!(&after, &before);
                // A dot is free unless it was taken before.
                if rejection.code == ErrorCode::Stale {
                    let better = Edit { base: before.vector(), ..edit };
                    prop_assert!(!matches!(code(&after.take(&better)), Err((ErrorCode::ActorReused, _))));
                }
            }
        }
    }

    #[test]
    fn edits_of_one_actor_sent_before_their_answers_all_apply(changes in proptest::collection::vec(any_change(), 1..15)) {
        let mut ledger = Ledger::with(&[create("ana", 1)]);
        let mut base = ledger.vector();
        for change in changes {
            let deleted = ledger.stored.as_ref().is_some_and(|stored| stored.content.deleted);
            let is_sound = match &change {
                Change::Create(_) => false,
                Change::Update(patch) => !deleted && patch.geometry.is_none_or(|geometry| geometry <= 99),
                Change::Delete => !deleted,
                Change::Restore => true,
            };
            if is_sound {
                let edit = edit("ana", &base, change);
                // What the author knows without an answer: its own edits.
                base = base.with(&edit.dot());
                let outcome = ledger.take(&edit);
                let is_applied = matches!(outcome, Outcome::Applied { .. });
                prop_assert!(is_applied, "{:?}", outcome);
            }
        }
        prop_assert_eq!(ledger.vector(), base);
    }

    #[test]
    fn a_base_that_has_seen_more_is_refused_wherever_it_is_ahead(steps in any_edits(), actor in "[a-z]{3}", more in 1..5_i32) {
        let (mut ledger, _) = run(steps);
        let Some(stored) = ledger.stored.clone() else { return Ok(()) };
        let ahead = Dot { counter: stored.vector.counter(&actor) + more, actor };
        let outcome = ledger.take(&edit("new", &stored.vector.with(&ahead), Change::Restore));
        prop_assert_eq!(code(&outcome), Err((ErrorCode::FutureVersion, "base")));
    }

    #[test]
    fn a_used_dot_with_another_content_is_refused(steps in any_edits(), geometry in 200..300) {
        let (mut ledger, trace) = run(steps);
        for (_, edit, outcome) in trace {
            if matches!(outcome, Outcome::Applied { .. }) && !matches!(edit.change, Change::Create(_)) {
                let change = patch(None, Some(geometry), &json!({}));
                let hash = EditHash::of(&"another");
                let outcome = ledger.take(&Edit { change, hash, ..edit });
                prop_assert_eq!(code(&outcome), Err((ErrorCode::ActorReused, "base")));
            }
        }
    }

    #[test]
    fn a_tombstone_that_was_seen_takes_nothing_but_a_restore(steps in any_edits(), change in any_change()) {
        let (mut ledger, _) = run(steps);
        let Some(stored) = ledger.stored.clone().filter(|stored| stored.content.deleted) else { return Ok(()) };
        let edit = edit("new", &stored.vector, change);
        let want = match edit.change {
            Change::Create(_) => return Ok(()),
            Change::Restore => Ok(EditOutcome::Applied),
            _ => Err((ErrorCode::Gone, "id")),
        };
        let outcome = ledger.take(&edit);
        prop_assert_eq!(code(&outcome), want);
    }

    #[test]
    fn revisions_count_accepted_edits_and_every_written_field_knows_its_last(steps in any_edits()) {
        let (ledger, trace) = run(steps);
        let applied: Vec<_> = trace.iter().filter(|(_, _, outcome)| matches!(outcome, Outcome::Applied { .. })).collect();
        let Some(stored) = ledger.stored else { return Ok(()) };
        prop_assert_eq!(stored.revision as usize, applied.len());
        let mut last = BTreeMap::new();
        for (_, edit, _) in applied {
            last.extend(edit.change.fields().into_iter().map(|field| (field, edit.dot())));
        }
        prop_assert_eq!(stored.last_dots, last);
    }
}
