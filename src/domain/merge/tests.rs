//! The rows one by one.

use serde_json::{Value, json};

use super::{
    ledger::{Ledger, Number, check, content, create, edit, patch},
    *,
};
use crate::domain::{edit::EditHash, version_vector::SERVER};

fn vector(value: Value) -> VersionVector {
    VersionVector::try_from(value).unwrap()
}

fn code(outcome: &Outcome<Number>) -> Result<EditOutcome, (ErrorCode, &str)> {
    match outcome {
        Outcome::Repeated(known) => Ok(known.outcome),
        Outcome::Accepted(accepted) => Ok(accepted.outcome),
        Outcome::Rejected(rejection) => Err((rejection.code, &rejection.field)),
    }
}

fn rename(label: &str) -> Change<Number> {
    patch(Some(label), None, &json!({}))
}

fn shift(geometry: Number) -> Change<Number> {
    patch(None, Some(geometry), &json!({}))
}

const DELETE: fn() -> Change<Number> = || Change::Write(Patch::deleted(true));
const RESTORE: fn() -> Change<Number> = || Change::Write(Patch::deleted(false));

/// What each row of the table says. `Known` outcomes say themselves again.
#[test]
fn each_row_has_its_outcome() {
    use EditOutcome::{Applied, Conflict, Merged};
    use ErrorCode as E;
    let (a1, a2) = (vector(json!({ "#": 1, "ana": 1 })), vector(json!({ "#": 1, "ana": 2 })));
    let a1b1 = vector(json!({ "#": 1, "ana": 1, "ben": 1 }));
    let made = [create("ana", 1)];
    let moved = [create("ana", 1), edit("ana", &a1, shift(2))];
    let deleted = [create("ana", 1), edit("ben", &a1, DELETE())];
    for (case, before, edit, want) in [
        ("a creation", &[][..], create("ana", 1), Ok(Applied)),
        ("a creation that is wrong", &[], create("ana", 100), Err((E::BadUserInput, "geometry"))),
        ("an edit of nothing", &[], edit("ana", &a1, rename("van")), Err((E::NotFound, "id"))),
        ("1: the same creation", &made, create("ana", 1), Ok(Applied)),
        ("1: the same creation after a reload", &made, create("ben", 1), Ok(Applied)),
        ("1: the same creation of what was moved", &moved, create("ana", 1), Ok(Applied)),
        ("1: the same creation of what was deleted", &deleted, create("ana", 1), Ok(Applied)),
        ("2: another creation", &made, create("ana", 3), Err((E::ActorReused, "id"))),
        ("a creation by somebody else", &made, create("ben", 3), Err((E::IdTaken, "id"))),
        ("1: the same edit", &moved, edit("ana", &a1, shift(2)), Ok(Applied)),
        ("2: another edit of its number", &moved, edit("ana", &a1, rename("van")), Err((E::ActorReused, "base"))),
        ("3: a base ahead", &made, edit("ana", &a2, rename("van")), Err((E::FutureVersion, "base"))),
        ("3: ahead of another", &moved, edit("ben", &a1b1, rename("van")), Err((E::FutureVersion, "base"))),
        ("3: a newer epoch", &made, edit("ana", &vector(json!({ "#": 2 })), rename("van")), {
            Err((E::FutureVersion, "base"))
        }),
        ("4: the base as stored", &made, edit("ben", &a1, rename("van")), Ok(Applied)),
        ("4: an edit that is wrong", &made, edit("ben", &a1, shift(100)), Err((E::BadUserInput, "geometry"))),
        ("4: a deletion", &made, edit("ben", &a1, DELETE()), Ok(Applied)),
        ("4: a restore", &deleted, edit("ana", &a1b1, RESTORE()), Ok(Applied)),
        ("4: a restore of what is there", &made, edit("ben", &a1, RESTORE()), Ok(Applied)),
        ("5: another field", &moved, edit("ben", &a1, rename("van")), Ok(Merged)),
        ("5: the same value", &moved, edit("ben", &a1, shift(2)), Ok(Merged)),
        ("5: another attribute", &moved, edit("ben", &a1, patch(None, None, &json!({ "parked": true }))), Ok(Merged)),
        ("6: the same field", &moved, edit("ben", &a1, shift(3)), Ok(Conflict)),
        ("6: but wrong by itself", &moved, edit("ben", &a1, shift(100)), Err((E::BadUserInput, "geometry"))),
        ("7: an edit of what was deleted meanwhile", &deleted, edit("ana", &a1, rename("van")), Ok(Conflict)),
        ("7: a deletion of what was changed", &moved, edit("ben", &a1, DELETE()), Ok(Conflict)),
        ("7: two deletions", &deleted, edit("ana", &a1, DELETE()), Ok(Merged)),
        ("7: a restore of what was deleted unseen", &deleted, edit("ana", &a1, RESTORE()), Ok(Conflict)),
        ("8: an edit of a tombstone", &deleted, edit("ana", &a1b1, rename("van")), Err((E::Gone, "id"))),
        ("8: a deletion of a tombstone", &deleted, edit("ana", &a1b1, DELETE()), Err((E::Gone, "id"))),
    ] {
        let mut ledger = Ledger::with(before);
        let at_first = ledger.clone();
        let outcome = ledger.take(&edit);
        assert_eq!(code(&outcome), want, "{case}: {outcome:?}");
        if want.is_err() {
            assert_eq!(ledger, at_first, "{case}");
        }
    }
}

/// Row 10, in front of all but 1 to 3.
#[test]
fn an_edit_that_comes_late_waits_for_a_person_or_is_too_late() {
    use EditOutcome::{Applied, Conflict};
    let a1 = vector(json!({ "#": 1, "ana": 1 }));
    let made = [create("ana", 1)];
    let deleted = [create("ana", 1), edit("ben", &a1, DELETE())];
    let dotted = [create("ana", 1), edit("ana", &a1, rename("dot"))];
    let seen = vector(json!({ "#": 1, "ana": 1, "ben": 1 }));
    let lost = Err((ErrorCode::LeaseLost, "id"));
    for (case, before, edit, late, closed) in [
        ("a creation", &[][..], create("ana", 1), Ok(Conflict), lost),
        ("the same creation", &made, create("ana", 1), Ok(Applied), Ok(Applied)),
        ("a creation that is wrong", &[], create("ana", 100), Err((ErrorCode::BadUserInput, "geometry")), lost),
        ("an edit on what is stored", &made, edit("ana", &a1, shift(2)), Ok(Conflict), lost),
        ("an edit that changes nothing", &made, edit("ana", &a1, shift(1)), Ok(Conflict), lost),
        (
            "an edit that is wrong",
            &made,
            edit("ana", &a1, shift(100)),
            { Err((ErrorCode::BadUserInput, "geometry")) },
            lost,
        ),
        ("an edit that was right on what its author saw", &dotted, edit("ben", &a1, shift(50)), Ok(Conflict), lost),
        ("an edit of a tombstone", &deleted, edit("ana", &seen, rename("van")), Ok(Conflict), lost),
        ("a deletion", &made, edit("ana", &a1, DELETE()), Ok(Conflict), lost),
        ("a base ahead", &made, edit("ana", &seen, DELETE()), Err((ErrorCode::FutureVersion, "base")), {
            Err((ErrorCode::FutureVersion, "base"))
        }),
    ] {
        for (fence, want) in [(Fence::Ended, late), (Fence::Closed, closed)] {
            let mut ledger = Ledger::with(before);
            let said = ledger.content();
            let outcome = ledger.take_under(&edit, fence);
            assert_eq!(code(&outcome), want, "{case}, {fence:?}: {outcome:?}");
            if !before.is_empty() {
                assert_eq!(ledger.content(), said, "{case}, {fence:?}");
            }
            if let Outcome::Accepted(Accepted { raised: Some(raised), .. }) = outcome {
                assert_eq!(raised.sibling.cause, ConflictCause::Late, "{case}");
            }
        }
    }
}

#[test]
fn a_late_creation_is_a_tombstone_that_its_own_sibling_brings_to_life() {
    let mut ledger = Ledger::default();
    ledger.take_under(&create("ana", 7), Fence::Ended);
    assert_eq!(ledger.content(), Some(Content { deleted: true, ..content("car", 7) }));
    let a1 = vector(json!({ "#": 1, "ana": 1 }));
    ledger.take_under(&edit("ana", &a1, shift(8)), Fence::Ended);
    let [sibling] = &ledger.siblings[..] else { panic!("{:?}", ledger.siblings) };
    assert_eq!(sibling.patch, content("car", 8).into_patch());
    let (base, patch) = (ledger.vector(), sibling.patch.clone());
    ledger.resolve(0, &base, &patch).unwrap();
    assert_eq!(ledger.content(), Some(content("car", 8)));
}

/// Row 9, and what a cut does.
#[test]
fn an_edit_of_an_older_epoch_waits_unless_it_changes_nothing() {
    let a1 = vector(json!({ "#": 1, "ana": 1 }));
    let moved = [create("ana", 1), edit("ben", &a1, shift(2))];
    let cut_once = || {
        let mut ledger = Ledger::with(&moved);
        ledger.cut();
        ledger
    };
    assert_eq!(cut_once().vector(), vector(json!({ "#": 2, SERVER: 1 })));
    for (case, base, change, want, vector_then) in [
        ("another value", &a1, shift(3), Ok(EditOutcome::Conflict), json!({ "#": 2, SERVER: 1, "eva": 1 })),
        ("the same value", &a1, shift(2), Ok(EditOutcome::Merged), json!({ "#": 2, SERVER: 1, "eva": 1 })),
        (
            "the vector that was cut",
            &vector(json!({ "#": 1, "ana": 1, "ben": 1 })),
            shift(3),
            { Ok(EditOutcome::Applied) },
            json!({ "#": 2, SERVER: 1, "eva": 1 }),
        ),
        (
            "and an edit on that, ahead",
            &vector(json!({ "#": 1, "ana": 1, "ben": 1, "eva": 1 })),
            shift(3),
            { Err((ErrorCode::FutureVersion, "base")) },
            json!({ "#": 2, SERVER: 1 }),
        ),
        ("the new vector", &vector(json!({ "#": 2, SERVER: 1 })), shift(3), Ok(EditOutcome::Applied), {
            json!({ "#": 2, SERVER: 1, "eva": 1 })
        }),
        ("nothing of the new epoch", &vector(json!({ "#": 2 })), shift(3), Ok(EditOutcome::Conflict), {
            json!({ "#": 2, SERVER: 1, "eva": 1 })
        }),
    ] {
        let mut ledger = cut_once();
        let edit = ledger.edit("eva", base, change);
        let outcome = ledger.take(&edit);
        assert_eq!(code(&outcome), want, "{case}: {outcome:?}");
        assert_eq!(ledger.vector(), vector(vector_then), "{case}");
        if want.is_ok() {
            assert_eq!(code(&ledger.take(&edit)), want, "{case}, again");
        }
    }
    let before_the_cut = edit("ben", &a1, shift(2));
    assert_eq!(code(&cut_once().take(&before_the_cut)), Ok(EditOutcome::Applied), "known from before");
}

/// Row 11.
#[test]
fn a_person_decides_on_what_they_saw() {
    let a1 = vector(json!({ "#": 1, "ana": 1 }));
    let disputed = || Ledger::with(&[create("ana", 1), edit("ana", &a1, shift(2)), edit("ben", &a1, shift(3))]);
    let seen = disputed().vector();
    let decide = |base: &VersionVector, decision: Decision<Number>| {
        let mut ledger = disputed();
        let patch = decision.patch(&ledger.siblings[0].patch);
        let decided = ledger.resolve(0, base, &patch).map_err(|rejection| rejection.code);
        (decided.map(|(dot, fields)| (dot.actor, dot.counter, fields)), ledger)
    };
    let by_server = |fields: Vec<Field>| Ok((SERVER.to_owned(), 1, fields));
    for (case, base, decision, want, says) in [
        ("what is there", &seen, Decision::Current, by_server(vec![]), content("car", 2)),
        ("what came", &seen, Decision::Incoming, by_server(vec![Field::Geometry]), content("car", 3)),
        (
            "both",
            &seen,
            Decision::Merged(Patch { label: Some("van".into()), geometry: Some(4), ..Patch::default() }),
            { by_server(vec![Field::Geometry, Field::Label]) },
            content("van", 4),
        ),
        (
            "wrong",
            &seen,
            Decision::Merged(Patch { geometry: Some(100), ..Patch::default() }),
            { Err(ErrorCode::BadUserInput) },
            content("car", 2),
        ),
        ("unseen", &a1, Decision::Incoming, Err(ErrorCode::Stale), content("car", 2)),
        (
            "ahead",
            &seen.clone().with(&Dot { actor: "zoe".into(), counter: 1 }),
            Decision::Incoming,
            { Err(ErrorCode::FutureVersion) },
            content("car", 2),
        ),
    ] {
        let (decided, ledger) = decide(base, decision);
        assert_eq!(decided, want, "{case}");
        assert_eq!(ledger.content(), Some(says), "{case}");
        assert_eq!(ledger.vector() == seen, want.is_err(), "{case}");
    }
}

#[test]
fn an_update_writes_the_named_fields_and_remembers_by_whom() {
    let mut ledger = Ledger::with(&[create("ana", 1)]);
    ledger.take(&edit("ana", &ledger.vector(), patch(None, None, &json!({ "plate": "A", "parked": true }))));
    let change = patch(Some("van"), None, &json!({ "parked": null, "plate": "B-X 1" }));
    let outcome = ledger.take(&edit("ben", &ledger.vector(), change));
    let Outcome::Accepted(Accepted { written, .. }) = outcome else { panic!("{outcome:?}") };
    let mut names: Vec<String> = written.iter().map(ToString::to_string).collect();
    names.sort();
    assert_eq!(names, ["attributes.parked", "attributes.plate", "label"]);
    let state = ledger.stored.unwrap();
    let want = Content {
        label: "van".into(),
        attributes: json!({ "plate": "B-X 1" }).as_object().unwrap().clone(),
        ..content("", 1)
    };
    assert_eq!((state.content, state.revision), (want, 3));
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
fn a_merge_tells_what_others_changed_and_a_conflict_what_it_is_about() {
    let a1 = vector(json!({ "#": 1, "ana": 1 }));
    let before = [create("ana", 1), edit("ana", &a1, patch(Some("van"), Some(2), &json!({ "parked": true })))];
    for (case, change, want) in [
        ("a merge", patch(None, None, &json!({ "plate": "A" })), {
            vec![Field::Geometry, Field::Label, Field::Attribute("parked".into())]
        }),
        ("a conflict", patch(Some("bus"), None, &json!({ "plate": "A" })), vec![Field::Label]),
        ("a deletion", DELETE(), vec![Field::Alive]),
    ] {
        let outcome = Ledger::with(&before).take(&edit("ben", &a1, change));
        let Outcome::Accepted(accepted) = outcome else { panic!("{case}: {outcome:?}") };
        assert_eq!(accepted.fields, want, "{case}");
    }
}

#[test]
fn a_merge_that_would_break_the_template_waits() {
    // A geometry above 9 does not go with the label "dot".
    let a1 = vector(json!({ "#": 1, "ana": 1 }));
    let mut ledger = Ledger::with(&[create("ana", 1), edit("ana", &a1, rename("dot"))]);
    let outcome = ledger.take(&edit("ben", &a1, shift(50)));
    let Outcome::Accepted(Accepted { raised: Some(raised), .. }) = outcome else { panic!("{outcome:?}") };
    assert_eq!((raised.sibling.cause, raised.sibling.fields), (ConflictCause::InvalidMerge, vec![Field::Geometry]));
    assert_eq!(ledger.content(), Some(content("dot", 1)));
    // On what is there it is just wrong.
    let outcome = ledger.take(&edit("eva", &ledger.vector(), shift(50)));
    assert_eq!(code(&outcome), Err((ErrorCode::BadUserInput, "geometry")));
}

/// Only an edit that waits has come since: what its author saw is what is there, whether or not it was looked up.
#[test]
fn what_is_wrong_is_refused_where_nothing_else_was_written() {
    let (a1, a2) = (vector(json!({ "#": 1, "ana": 1 })), vector(json!({ "#": 1, "ana": 2 })));
    let mut ledger = Ledger::with(&[create("ana", 1), edit("ana", &a1, shift(2)), edit("ben", &a1, shift(3))]);
    let before = ledger.stored.clone();
    let meeting =
        Meeting { fence: Fence::Holds, known: None, seen: None, siblings: &[], has_room: true, may_wait: true };
    let outcome = decide(&mut ledger.stored, &edit("eva", &a2, shift(100)), meeting, check);
    assert_eq!(code(&outcome), Err((ErrorCode::BadUserInput, "geometry")));
    assert_eq!(ledger.stored, before);
}

#[test]
fn a_tombstone_keeps_its_content_and_a_restore_gives_it_back() {
    let mut ledger = Ledger::with(&[create("ana", 7)]);
    ledger.take(&edit("ana", &ledger.vector(), DELETE()));
    assert_eq!(ledger.content(), Some(Content { deleted: true, ..content("car", 7) }));
    ledger.take(&edit("ben", &ledger.vector(), RESTORE()));
    assert_eq!(ledger.content(), Some(content("car", 7)));
}

#[test]
fn drags_of_one_author_are_one_sibling_and_those_of_another_are_another() {
    let a1 = vector(json!({ "#": 1, "ana": 1 }));
    let mut ledger = Ledger::with(&[create("ana", 1), edit("ana", &a1, shift(2))]);
    let mut base = a1.clone();
    for geometry in 3..12 {
        let edit = edit("ben", &base, if geometry == 5 { rename("van") } else { shift(geometry) });
        assert_eq!(code(&ledger.take(&edit)).unwrap() == EditOutcome::Merged, geometry == 5);
        base = base.with(&edit.dot());
    }
    ledger.take(&edit("eva", &a1, shift(30)));
    let waiting: Vec<_> = ledger.siblings.iter().map(|sibling| (&*sibling.dot.actor, sibling.patch.geometry)).collect();
    assert_eq!(waiting, [("ben", Some(11)), ("eva", Some(30))]);
    assert_eq!(ledger.siblings[0].base, a1);
    assert_eq!(ledger.content(), Some(content("van", 2)));
}

#[test]
fn a_sibling_of_several_edits_is_about_the_fields_of_all_of_them() {
    let a1 = vector(json!({ "#": 1, "ana": 1 }));
    let both = patch(Some("bus"), Some(2), &json!({}));
    let mut ledger = Ledger::with(&[create("ana", 1), edit("ana", &a1, both)]);
    for change in [shift(3), rename("van"), shift(4)] {
        ledger.take(&edit("ben", &ledger.known_to("ben", &a1), change));
    }
    let about: Vec<_> = ledger.siblings.iter().map(|sibling| sibling.fields.clone()).collect();
    assert_eq!(about, [[Field::Geometry, Field::Label]]);
}

#[test]
fn a_deletion_is_not_held_against_the_template() {
    let a1 = vector(json!({ "#": 1, "ana": 1 }));
    let mut stored = Ledger::with(&[create("ana", 1)]).stored;
    let meeting =
        Meeting { fence: Fence::Holds, known: None, seen: None, siblings: &[], has_room: true, may_wait: true };
    let refuse_all = |_: &Content<Number>| Err(Rejection::new(ErrorCode::BadUserInput, "geometry", "is wrong"));
    let outcome = decide(&mut stored, &edit("ana", &a1, DELETE()), meeting, refuse_all);
    assert_eq!(code(&outcome), Ok(EditOutcome::Applied));
}

#[test]
fn who_goes_on_after_a_cut_goes_on_with_the_same_sibling() {
    let a1 = vector(json!({ "#": 1, "ana": 1 }));
    let mut ledger = Ledger::with(&[create("ana", 1), edit("ana", &a1, shift(2)), edit("ben", &a1, shift(3))]);
    ledger.cut();
    let seen = ledger.vector();
    ledger.take(&edit("ana", &seen, shift(4)));
    ledger.take(&edit("ben", &seen, shift(5)));
    let [sibling] = &ledger.siblings[..] else { panic!("{:?}", ledger.siblings) };
    assert_eq!((&sibling.base, sibling.epoch, sibling.patch.geometry), (&a1, 2, Some(5)));
}

#[test]
fn who_comes_back_from_an_older_epoch_goes_on_with_the_sibling_of_the_newer() {
    let a1 = vector(json!({ "#": 1, "ana": 1 }));
    let mut ledger = Ledger::with(&[create("ana", 1)]);
    ledger.cut();
    let second = ledger.vector();
    ledger.take(&edit("ben", &second, shift(2)));
    // That base is understood as the second epoch; ana's screen does not know, and goes on with its own numbers.
    ledger.take(&ledger.edit("ana", &a1, shift(3)));
    ledger.cut();
    ledger.take(&edit("ana", &vector(json!({ "#": 1, "ana": 2 })), shift(4)));
    ledger.take(&edit("ana", &ledger.known_to("ana", &second), shift(5)));
    let waiting: Vec<_> = ledger.siblings.iter().map(|sibling| (sibling.epoch, sibling.patch.geometry)).collect();
    assert_eq!(waiting, [(2, Some(5)), (1, Some(4))]);
}

#[test]
fn a_deletion_that_waits_stays_one_when_its_author_goes_on_elsewhere() {
    let a1 = vector(json!({ "#": 1, "ana": 1 }));
    let mut ledger = Ledger::with(&[create("ana", 1), edit("ana", &a1, shift(2)), edit("ben", &a1, DELETE())]);
    ledger.take(&edit("ben", &ledger.known_to("ben", &a1), shift(3)));
    let waiting: Vec<_> = ledger.siblings.iter().map(|sibling| sibling.patch.clone()).collect();
    assert_eq!(waiting, [Patch { geometry: Some(3), ..Patch::deleted(true) }]);
}

#[test]
fn limits_are_kept() {
    let a1 = vector(json!({ "#": 1, "ana": 1 }));
    let mut ledger = Ledger::with(&[create("ana", 1), edit("ana", &a1, shift(2))]);
    for n in 0..limits::SIBLINGS {
        assert_eq!(code(&ledger.take(&edit(&format!("p{n}"), &a1, shift(3)))), Ok(EditOutcome::Conflict));
    }
    let before = ledger.clone();
    assert_eq!(code(&ledger.take(&edit("more", &a1, shift(3)))), Err((ErrorCode::TooManySiblings, "id")));
    assert_eq!(ledger, before);
    assert_eq!(code(&ledger.take(&edit("p0", &ledger.known_to("p0", &a1), shift(4)))), Ok(EditOutcome::Conflict));

    let mut ledger = Ledger::with(&[create("ana", 1)]);
    for n in 1..limits::VECTOR_ACTORS {
        assert_eq!(code(&ledger.take(&edit(&format!("p{n}"), &ledger.vector(), shift(3)))), Ok(EditOutcome::Applied));
    }
    let full = ledger.vector();
    assert_eq!(code(&ledger.take(&edit("more", &full, shift(4)))), Err((ErrorCode::LimitExceeded, "base")));
    assert_eq!(code(&ledger.take(&edit("more", &a1, shift(4)))), Err((ErrorCode::LimitExceeded, "base")));
    assert_eq!(code(&ledger.take(&edit("p1", &full, shift(4)))), Ok(EditOutcome::Applied));
    // A decision of the server's finds room, and what is stored can be read.
    let (full, stored) = (ledger.vector(), ledger.stored.as_mut().unwrap());
    resolve(stored, &full, &Patch { geometry: Some(5), ..Patch::default() }, true, check).unwrap();
    assert_eq!(vector(serde_json::to_value(&stored.vector).unwrap()), stored.vector);

    let no_room = |stored: &mut Option<Stored<Number>>, edit: &Edit<Number>| {
        let meeting =
            Meeting { fence: Fence::Holds, known: None, seen: None, siblings: &[], has_room: false, may_wait: true };
        decide(stored, edit, meeting, check)
    };
    assert_eq!(code(&no_room(&mut None, &create("ana", 1))), Err((ErrorCode::LimitExceeded, "id")));
    let mut tombstone = Ledger::with(&[create("ana", 1), edit("ana", &a1, DELETE())]).stored;
    let restore = edit("ben", &tombstone.clone().unwrap().vector, RESTORE());
    assert_eq!(code(&no_room(&mut tombstone, &restore)), Err((ErrorCode::LimitExceeded, "id")));
    let rename_unseen = edit("eva", &a1, rename("van"));
    let mut waits = Ledger::with(&[create("ana", 1), edit("ana", &a1, DELETE()), rename_unseen]).stored;
    let restore = edit("ben", &a1.clone().with(&Dot::after(&a1, "ana")), RESTORE());
    assert_eq!(code(&no_room(&mut waits, &restore)), Err((ErrorCode::LimitExceeded, "id")));
    let tombstone = tombstone.as_mut().unwrap();
    let resolved = resolve(tombstone, &tombstone.vector.clone(), &Patch::deleted(false), false, check);
    assert_eq!(resolved.map_err(|rejection| rejection.code), Err(ErrorCode::LimitExceeded));
    assert!(tombstone.content.deleted);
}

#[test]
fn a_hash_is_what_tells_edits_apart() {
    let mut ledger = Ledger::with(&[create("ana", 1)]);
    let first = edit("ben", &ledger.vector(), shift(2));
    ledger.take(&first);
    let other = Edit { hash: EditHash::of(&"another"), ..first };
    assert_eq!(code(&ledger.take(&other)), Err((ErrorCode::ActorReused, "base")));
}
