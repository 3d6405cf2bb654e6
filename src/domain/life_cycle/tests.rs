//! The life cycle held against its tables (DESIGN.md, section 4): every pair of state and event has its row. Walks and a
//! look at every life there is hold the invariants.

use std::collections::{HashMap, HashSet};

use proptest::{prelude::*, sample::Index};
use strum::VariantArray;

use super::*;
use ReviewPolicy::{None as NoReview, Required};
use ReviewVerdict::{Accept, Reject};
use {Event as E, SlotEvent as SE, SlotState as S, TaskState as T};

/// FREE, LEASED, SUBMITTED, skipped (K), ACCEPTED, REJECTED.
fn slot(letter: char) -> Option<SlotState> {
    Some(match letter {
        'F' => S::Free,
        'L' => S::Leased,
        'S' => S::Submitted,
        'K' => S::Skipped,
        'A' => S::Accepted,
        'R' => S::Rejected,
        _ => return None,
    })
}

/// A letter for each slot.
fn life(state: TaskState, round: i32, letters: &str) -> Life {
    let slots: Option<Vec<_>> = letters.chars().map(slot).collect();
    Life { state, round, quarantined: state == T::Quarantined, slots: slots.unwrap() }
}

/// An archived life that was quarantined before.
fn put_away(round: i32, letters: &str) -> Life {
    Life { quarantined: true, ..life(T::Archived, round, letters) }
}

/// Every event of a task with as many slots.
fn events(slots: usize) -> Vec<Event> {
    let mut events = vec![E::ReviewClaimed, E::ReviewEnded, E::Quarantined, E::Reopened, E::Archived, E::Unarchived];
    for slot in 0..slots {
        events.extend([E::Leased(slot), E::Freed(slot), E::Submitted(slot), E::Skipped(slot), E::Withdrawn(slot)]);
        events.extend([E::Judged(slot, Accept), E::Judged(slot, Reject)]);
    }
    events
}

#[test]
fn a_slot_goes_where_its_table_says() {
    let events =
        [SE::Leased, SE::Freed, SE::Submitted, SE::Skipped, SE::Withdrawn, SE::Accepted, SE::Rejected, SE::SentBack];
    let table = [
        (S::Free, "L......."),
        (S::Leased, ".FSK...."),
        (S::Submitted, "....LAR."),
        (S::Skipped, ".......F"),
        (S::Accepted, ".......F"),
        (S::Rejected, ".......F"),
    ];
    assert_eq!(table.map(|(state, _)| state), S::VARIANTS, "a row for every state");
    for (state, row) in table {
        for (event, letter) in events.into_iter().zip(row.chars()) {
            let want = slot(letter).ok_or(TransitionError::Slot(state, event));
            assert_eq!(next_slot(state, event), want, "{state}, {event:?}");
        }
    }
}

/// The number of an event's column in [`MAY_MEET`].
fn column(event: Event) -> usize {
    match event {
        E::Leased(_) => 0,
        E::Freed(_) => 1,
        E::Submitted(_) => 2,
        E::Skipped(_) => 3,
        E::Withdrawn(_) => 4,
        E::ReviewClaimed => 5,
        E::ReviewEnded => 6,
        E::Judged(..) => 7,
        E::Quarantined => 8,
        E::Reopened => 9,
        E::Archived => 10,
        E::Unarchived => 11,
    }
}

/// An x where a task in this state can meet the event: Leased Freed Submitted Skipped Withdrawn, ReviewClaimed
/// ReviewEnded Judged, Quarantined Reopened Archived Unarchived.
const MAY_MEET: [(TaskState, &str); 9] = [
    (T::Queued, "x.......x.x."),
    (T::InProgress, "xxxxx...x.x."),
    (T::Submitted, "....xx....x."),
    (T::InReview, "......xx..x."),
    (T::Rework, "x.......x.x."),
    (T::Accepted, ".........xx."),
    (T::Skipped, ".........xx."),
    (T::Quarantined, ".........xx."),
    (T::Archived, "...........x"),
];

fn may_meet(state: TaskState, event: Event) -> bool {
    let row = MAY_MEET.iter().find(|(of, _)| *of == state).unwrap().1;
    row.as_bytes()[column(event)] == b'x'
}

/// A life, what happens to it where work is reviewed, the life after it. Slots as they occur in that state.
fn reviewed() -> Vec<(Life, Event, Life)> {
    vec![
        // Where no slot was handed in or is held.
        (life(T::Queued, 1, "F"), E::Leased(0), life(T::InProgress, 1, "L")),
        (life(T::Queued, 1, "FF"), E::Leased(1), life(T::InProgress, 1, "FL")),
        (life(T::Queued, 1, "FARK"), E::Leased(0), life(T::InProgress, 1, "LARK")),
        (life(T::Queued, 1, "FF"), E::Quarantined, life(T::Quarantined, 1, "FF")),
        (life(T::Queued, 1, "FK"), E::Archived, life(T::Archived, 1, "FK")),
        (life(T::Rework, 2, "FA"), E::Leased(0), life(T::InProgress, 2, "LA")),
        (life(T::Rework, 2, "FA"), E::Quarantined, life(T::Quarantined, 2, "FA")),
        (life(T::Rework, 2, "FA"), E::Archived, life(T::Archived, 2, "FA")),
        // At work.
        (life(T::InProgress, 1, "LF"), E::Leased(1), life(T::InProgress, 1, "LL")),
        (life(T::InProgress, 1, "SF"), E::Leased(1), life(T::InProgress, 1, "SL")),
        (life(T::InProgress, 1, "L"), E::Freed(0), life(T::Queued, 1, "F")),
        (life(T::InProgress, 2, "L"), E::Freed(0), life(T::Rework, 2, "F")),
        (life(T::InProgress, 1, "LL"), E::Freed(0), life(T::InProgress, 1, "FL")),
        (life(T::InProgress, 1, "LS"), E::Freed(0), life(T::InProgress, 1, "FS")),
        (life(T::InProgress, 1, "LARK"), E::Freed(0), life(T::Queued, 1, "FARK")),
        (life(T::InProgress, 3, "LK"), E::Freed(0), life(T::Rework, 3, "FK")),
        (life(T::InProgress, 1, "L"), E::Submitted(0), life(T::Submitted, 1, "S")),
        (life(T::InProgress, 1, "LL"), E::Submitted(1), life(T::InProgress, 1, "LS")),
        (life(T::InProgress, 1, "LF"), E::Submitted(0), life(T::InProgress, 1, "SF")),
        (life(T::InProgress, 2, "LARK"), E::Submitted(0), life(T::Submitted, 2, "SARK")),
        (life(T::InProgress, 1, "L"), E::Skipped(0), life(T::Skipped, 1, "K")),
        (life(T::InProgress, 1, "LL"), E::Skipped(0), life(T::InProgress, 1, "KL")),
        (life(T::InProgress, 1, "LF"), E::Skipped(0), life(T::Queued, 1, "KF")),
        (life(T::InProgress, 2, "LF"), E::Skipped(0), life(T::Rework, 2, "KF")),
        (life(T::InProgress, 1, "LRF"), E::Skipped(0), life(T::Queued, 1, "KRF")),
        (life(T::InProgress, 1, "LS"), E::Skipped(0), life(T::Submitted, 1, "KS")),
        (life(T::InProgress, 1, "LRS"), E::Skipped(0), life(T::Submitted, 1, "KRS")),
        (life(T::InProgress, 1, "LA"), E::Skipped(0), life(T::Accepted, 1, "KA")),
        (life(T::InProgress, 1, "LRA"), E::Skipped(0), life(T::Rework, 2, "KFA")),
        (life(T::InProgress, 1, "SF"), E::Withdrawn(0), life(T::InProgress, 1, "LF")),
        (life(T::InProgress, 1, "SL"), E::Withdrawn(0), life(T::InProgress, 1, "LL")),
        (life(T::InProgress, 1, "LLSF"), E::Quarantined, life(T::Quarantined, 1, "FFSF")),
        (life(T::InProgress, 2, "LARK"), E::Quarantined, life(T::Quarantined, 2, "FARK")),
        (life(T::InProgress, 1, "LLSF"), E::Archived, life(T::Archived, 1, "FFSF")),
        // Handed in.
        (life(T::Submitted, 1, "S"), E::Withdrawn(0), life(T::InProgress, 1, "L")),
        (life(T::Submitted, 2, "SARK"), E::Withdrawn(0), life(T::InProgress, 2, "LARK")),
        (life(T::Submitted, 1, "SK"), E::ReviewClaimed, life(T::InReview, 1, "SK")),
        (life(T::Submitted, 1, "SARK"), E::ReviewClaimed, life(T::InReview, 1, "SARK")),
        (life(T::Submitted, 1, "SARK"), E::Archived, life(T::Archived, 1, "SARK")),
        // In review.
        (life(T::InReview, 1, "S"), E::ReviewEnded, life(T::Submitted, 1, "S")),
        (life(T::InReview, 1, "SARK"), E::ReviewEnded, life(T::Submitted, 1, "SARK")),
        (life(T::InReview, 1, "SS"), E::Judged(0, Accept), life(T::InReview, 1, "AS")),
        (life(T::InReview, 1, "SS"), E::Judged(0, Reject), life(T::InReview, 1, "RS")),
        (life(T::InReview, 1, "S"), E::Judged(0, Accept), life(T::Accepted, 1, "A")),
        (life(T::InReview, 1, "SAK"), E::Judged(0, Accept), life(T::Accepted, 1, "AAK")),
        (life(T::InReview, 1, "S"), E::Judged(0, Reject), life(T::Rework, 2, "F")),
        (life(T::InReview, 2, "SAK"), E::Judged(0, Reject), life(T::Rework, 3, "FAK")),
        (life(T::InReview, 1, "SARK"), E::Judged(0, Accept), life(T::Rework, 2, "AAFK")),
        (life(T::InReview, 1, "SARR"), E::Judged(0, Reject), life(T::Rework, 2, "FAFF")),
        (life(T::InReview, 1, "SARK"), E::Archived, life(T::Archived, 1, "SARK")),
        // Finished, or stopped.
        (life(T::Accepted, 1, "AAK"), E::Reopened, life(T::Rework, 2, "FFK")),
        (life(T::Accepted, 1, "AK"), E::Archived, life(T::Archived, 1, "AK")),
        (life(T::Skipped, 1, "KK"), E::Reopened, life(T::Queued, 1, "FF")),
        (life(T::Skipped, 2, "K"), E::Reopened, life(T::Rework, 2, "F")),
        (life(T::Skipped, 1, "K"), E::Archived, life(T::Archived, 1, "K")),
        (life(T::Quarantined, 1, "F"), E::Reopened, life(T::Queued, 1, "F")),
        (life(T::Quarantined, 1, "FSK"), E::Reopened, life(T::InProgress, 1, "FSF")),
        (life(T::Quarantined, 2, "FARK"), E::Reopened, life(T::Rework, 2, "FARF")),
        (life(T::Quarantined, 1, "FSK"), E::Archived, put_away(1, "FSK")),
        // Taken out again.
        (put_away(1, "FSK"), E::Unarchived, life(T::Quarantined, 1, "FSK")),
        (life(T::Archived, 1, "FARK"), E::Unarchived, life(T::Queued, 1, "FARK")),
        (life(T::Archived, 2, "FARK"), E::Unarchived, life(T::Rework, 2, "FARK")),
        (life(T::Archived, 1, "FS"), E::Unarchived, life(T::InProgress, 1, "FS")),
        (life(T::Archived, 1, "SARK"), E::Unarchived, life(T::Submitted, 1, "SARK")),
        (life(T::Archived, 1, "AK"), E::Unarchived, life(T::Accepted, 1, "AK")),
        (life(T::Archived, 1, "K"), E::Unarchived, life(T::Skipped, 1, "K")),
    ]
}

#[test]
fn a_task_goes_where_its_table_says() {
    let mut met = HashSet::new();
    for (before, event, after) in reviewed() {
        assert_eq!(next(&before, event, Required), Ok(after), "{event:?} of {before:?}");
        met.insert((before.state, column(event)));
    }
    for &state in T::VARIANTS {
        for event in events(1) {
            assert_eq!(met.contains(&(state, column(event))), may_meet(state, event), "a row: {state}, {event:?}");
        }
    }
}

#[test]
fn a_pair_outside_the_table_is_refused() {
    for (life, ..) in reviewed() {
        for event in events(life.slots.len()).into_iter().filter(|event| !may_meet(life.state, *event)) {
            for review in [NoReview, Required] {
                let want = Err(TransitionError::Task(life.state, event));
                assert_eq!(next(&life, event, review), want, "{event:?} of {life:?}");
            }
        }
    }
}

#[test]
fn a_slot_that_is_not_ready_for_it_refuses() {
    let at_work = life(T::InProgress, 1, "FLSK");
    let in_review = life(T::InReview, 1, "SARK");
    for (life, event, state, slot_event) in [
        (&at_work, E::Leased(1), S::Leased, SE::Leased),
        (&at_work, E::Leased(2), S::Submitted, SE::Leased),
        (&at_work, E::Freed(0), S::Free, SE::Freed),
        (&at_work, E::Submitted(0), S::Free, SE::Submitted),
        (&at_work, E::Submitted(2), S::Submitted, SE::Submitted),
        (&at_work, E::Skipped(3), S::Skipped, SE::Skipped),
        (&at_work, E::Withdrawn(1), S::Leased, SE::Withdrawn),
        (&in_review, E::Judged(1, Accept), S::Accepted, SE::Accepted),
        (&in_review, E::Judged(2, Reject), S::Rejected, SE::Rejected),
        (&in_review, E::Judged(3, Accept), S::Skipped, SE::Accepted),
    ] {
        let want = Err(TransitionError::Slot(state, slot_event));
        assert_eq!(next(life, event, Required), want, "{event:?} of {life:?}");
    }
    assert_eq!(next(&at_work, E::Leased(4), Required), Err(TransitionError::NoSlot(4)));
    assert_eq!(next(&in_review, E::Judged(4, Accept), Required), Err(TransitionError::NoSlot(4)));
}

#[test]
fn without_review_the_end_of_the_work_accepts_it() {
    for (before, event, after) in [
        // The last submission or skip.
        (life(T::InProgress, 1, "L"), E::Submitted(0), life(T::Accepted, 1, "A")),
        (life(T::InProgress, 2, "LSKA"), E::Submitted(0), life(T::Accepted, 2, "AAKA")),
        (life(T::InProgress, 1, "LS"), E::Skipped(0), life(T::Accepted, 1, "KA")),
        (life(T::InProgress, 1, "LK"), E::Skipped(0), life(T::Skipped, 1, "KK")),
        // Not the last one.
        (life(T::InProgress, 1, "LL"), E::Submitted(0), life(T::InProgress, 1, "SL")),
        (life(T::InProgress, 1, "LSF"), E::Submitted(0), life(T::InProgress, 1, "SSF")),
        (life(T::InProgress, 1, "LSF"), E::Skipped(0), life(T::InProgress, 1, "KSF")),
        // What was handed in for a review, before the project went without: still a reviewer's or its annotator's.
        (life(T::Submitted, 1, "S"), E::ReviewClaimed, life(T::InReview, 1, "S")),
        (life(T::Submitted, 1, "S"), E::Withdrawn(0), life(T::InProgress, 1, "L")),
        (life(T::InReview, 1, "S"), E::ReviewEnded, life(T::Submitted, 1, "S")),
        (life(T::InReview, 1, "SS"), E::Judged(0, Accept), life(T::InReview, 1, "AS")),
        (life(T::InReview, 1, "SS"), E::Judged(0, Reject), life(T::InReview, 1, "RS")),
        (life(T::InReview, 1, "S"), E::Judged(0, Reject), life(T::Rework, 2, "F")),
        (life(T::Archived, 1, "S"), E::Unarchived, life(T::Submitted, 1, "S")),
        // What that review rejected goes back all the same.
        (life(T::InProgress, 1, "RL"), E::Submitted(1), life(T::Rework, 2, "FA")),
        (life(T::InProgress, 1, "RSL"), E::Skipped(2), life(T::Rework, 2, "FAK")),
    ] {
        assert_eq!(next(&before, event, NoReview), Ok(after), "{event:?} of {before:?}");
    }
}

#[test]
fn rejected_work_left_behind_goes_back_when_nothing_else_is_open() {
    let mut task = life(T::Submitted, 1, "SS");
    for (event, after) in [
        (E::ReviewClaimed, life(T::InReview, 1, "SS")),
        (E::Judged(0, Reject), life(T::InReview, 1, "RS")),
        (E::ReviewEnded, life(T::Submitted, 1, "RS")),
        (E::Withdrawn(1), life(T::InProgress, 1, "RL")),
        (E::Freed(1), life(T::Queued, 1, "RF")),
        (E::Leased(1), life(T::InProgress, 1, "RL")),
        (E::Archived, life(T::Archived, 1, "RF")),
        (E::Unarchived, life(T::Queued, 1, "RF")),
        (E::Leased(1), life(T::InProgress, 1, "RL")),
        (E::Quarantined, life(T::Quarantined, 1, "RF")),
        (E::Reopened, life(T::Queued, 1, "RF")),
        (E::Leased(1), life(T::InProgress, 1, "RL")),
        (E::Skipped(1), life(T::Rework, 2, "FK")),
    ] {
        task = next(&task, event, Required).unwrap();
        assert_eq!(task, after, "after {event:?}");
    }
}

#[test]
fn a_tasks_state_follows_from_its_slots() {
    for (case, letters, round, want) in [
        ("waiting", "F", 1, T::Queued),
        ("waiting again", "F", 2, T::Rework),
        ("one at work", "FL", 1, T::InProgress),
        ("one at work, one done", "SL", 2, T::InProgress),
        ("one done, one open", "FS", 1, T::InProgress),
        ("one accepted, one open again", "AF", 2, T::Rework),
        ("one rejected, one open", "RF", 1, T::Queued),
        ("one skipped, one open", "KF", 1, T::Queued),
        ("all done", "SS", 1, T::Submitted),
        ("one done, one skipped", "SK", 1, T::Submitted),
        ("one accepted, one to be judged", "AS", 2, T::Submitted),
        ("one rejected, one to be judged", "RS", 1, T::Submitted),
        ("accepted", "AK", 1, T::Accepted),
        ("skipped", "K", 1, T::Skipped),
    ] {
        let slots: Vec<_> = letters.chars().filter_map(slot).collect();
        assert_eq!(by_slots(&slots, round), want, "{case}");
    }
}

/// What is true of every task at any time.
fn must_agree(life: &Life) {
    let has = |state| life.slots.contains(&state);
    let is_open = has(S::Free) || has(S::Leased);
    let agrees = match life.state {
        T::Queued => has(S::Free) && !has(S::Leased) && !has(S::Submitted) && life.round == 1,
        T::Rework => has(S::Free) && !has(S::Leased) && !has(S::Submitted) && life.round > 1,
        T::InProgress => has(S::Leased) || (has(S::Free) && has(S::Submitted)),
        T::Submitted | T::InReview => has(S::Submitted) && !is_open,
        T::Accepted => has(S::Accepted) && life.slots.iter().all(|slot| matches!(slot, S::Accepted | S::Skipped)),
        T::Skipped => life.slots.iter().all(|slot| *slot == S::Skipped),
        T::Quarantined => life.quarantined && has(S::Free) && !has(S::Leased),
        T::Archived => !has(S::Leased),
    };
    assert!(agrees, "the slots of {life:?}");
    assert!(!life.quarantined || matches!(life.state, T::Quarantined | T::Archived), "{life:?} forgot its quarantine");
    assert!(!has(S::Rejected) || is_open || has(S::Submitted), "rejected work of {life:?} waits for nothing");
}

/// What is true of every step.
fn must_follow(before: &Life, event: Event, after: &Life) {
    assert!(may_meet(before.state, event), "{event:?} of {before:?}");
    assert_eq!(after.slots.len(), before.slots.len(), "a slot more or less after {event:?} of {before:?}");
    let sent_back = after.round - before.round;
    assert!((0..=1).contains(&sent_back), "the round after {event:?} of {before:?}");
    let reopened = event == E::Reopened && before.state == T::Accepted;
    let left_rejected = after.slots.contains(&S::Rejected);
    assert!(sent_back == 0 || reopened || !left_rejected, "rejected work stayed after {event:?} of {before:?}");
    for (index, (was, is)) in before.slots.iter().zip(&after.slots).enumerate() {
        let mine = matches!(event, E::Leased(slot) | E::Withdrawn(slot) if slot == index);
        assert!(was == is || is != &S::Leased || mine, "{event:?} of {before:?} leased slot {index}");
        let freed = matches!(event, E::Freed(slot) if slot == index) || matches!(event, E::Quarantined | E::Archived);
        assert!(was != &S::Leased || is != &S::Free || freed, "{event:?} of {before:?} freed slot {index}");
        let undone = was == &S::Accepted && is != was;
        assert!(!undone || event == E::Reopened, "{event:?} of {before:?} undid slot {index}");
    }
    must_agree(after);
}

/// The steps that `life` may take next.
fn steps(life: &Life, review: ReviewPolicy) -> Vec<(Event, Life)> {
    let all = events(life.slots.len()).into_iter();
    all.filter_map(|event| Some((event, next(life, event, review).ok()?))).collect()
}

/// Kept or changed while tasks are under way.
fn policies() -> impl Strategy<Value = Vec<ReviewPolicy>> {
    let any = prop_oneof![Just(NoReview), Just(Required)];
    prop_oneof![Just(vec![NoReview]), Just(vec![Required]), prop::collection::vec(any, 2..6)]
}

proptest! {
    #[test]
    fn any_walk_keeps_the_invariants(slots in 1_usize..=4, policies in policies(), turns in prop::collection::vec(any::<Index>(), 1..80)) {
        let mut task = Life { state: T::Queued, round: 1, quarantined: false, slots: vec![S::Free; slots] };
        for (turn, review) in turns.into_iter().zip(policies.iter().copied().cycle()) {
            let steps = steps(&task, review);
            prop_assert!(!steps.is_empty(), "nothing can happen to {task:?}");
            let (event, after) = turn.get(&steps).clone();
            must_follow(&task, event, &after);
            let reviewed = matches!(after.state, T::Submitted | T::InReview) || after.slots.contains(&S::Rejected);
            prop_assert!(!reviewed || policies.contains(&Required), "{after:?} waits for a review nobody does");
            task = after;
        }
    }
}

type Key = (TaskState, i32, bool, Vec<SlotState>);

/// Rounds above the third are like the third.
fn key(life: &Life) -> Key {
    (life.state, life.round.min(3), life.quarantined, life.slots.clone())
}

/// Every life that a task with as many slots can come to, whenever its project's policy changes.
fn lives(slots: usize) -> HashMap<Key, Life> {
    let first = Life { state: T::Queued, round: 1, quarantined: false, slots: vec![S::Free; slots] };
    let mut lives = HashMap::from([(key(&first), first.clone())]);
    let mut open = vec![first];
    while let Some(life) = open.pop() {
        for (event, after) in [NoReview, Required].into_iter().flat_map(|review| steps(&life, review)) {
            must_follow(&life, event, &after);
            if lives.insert(key(&after), after.clone()).is_none() {
                open.push(after);
            }
        }
    }
    lives
}

#[test]
fn every_task_can_be_finished_without_putting_it_away() {
    for slots in 1..=4 {
        let lives = lives(slots);
        for review in [NoReview, Required] {
            let done = |life: &Life| matches!(life.state, T::Accepted | T::Skipped);
            let (mut ends, mut open): (HashSet<Key>, Vec<&Life>) = Default::default();
            for life in lives.values() {
                if done(life) {
                    ends.insert(key(life));
                } else {
                    open.push(life);
                }
            }
            loop {
                let before = open.len();
                open.retain(|life| {
                    let leads = steps(life, review)
                        .iter()
                        .any(|(event, after)| *event != E::Archived && ends.contains(&key(after)));
                    leads.then(|| ends.insert(key(life))).is_none()
                });
                if open.len() == before {
                    break;
                }
            }
            assert!(open.is_empty(), "no way out, review {review}: {open:?}");
        }
    }
}

#[test]
fn putting_a_task_away_and_taking_it_out_ends_only_leases_and_reviews() {
    for life in lives(3).into_values().filter(|life| life.state != T::Archived) {
        let archived = next(&life, E::Archived, Required).unwrap();
        assert_eq!((archived.state, archived.round), (T::Archived, life.round), "{life:?}");
        let again = next(&archived, E::Unarchived, Required).unwrap();
        let want = match life.state {
            T::InReview => Life { state: T::Submitted, ..life.clone() },
            T::InProgress => {
                let free = |slot: &SlotState| if *slot == S::Leased { S::Free } else { *slot };
                let slots: Vec<_> = life.slots.iter().map(free).collect();
                Life { state: by_slots(&slots, life.round), slots, ..life.clone() }
            }
            _ => life.clone(),
        };
        assert_eq!(again, want, "{life:?}");
    }
}
