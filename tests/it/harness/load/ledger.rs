//! What clients asked and were told, and the promises that can be checked by this alone.
//!
//! Times are the clients' own. A turn surely lasts from the moment its claim was answered to the moment when the last
//! request was sent that was answered well under its fence: the server looked at that request later.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard},
    time::Instant,
};

use uuid::Uuid;

use crate::harness::{
    Person,
    labeling::Screen,
    load::{Names, called, saves::Save, uuid},
};

/// A slot of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) task: Uuid,
    pub(crate) slot: i32,
}

impl Place {
    pub(crate) fn called(self, names: &Names) -> String {
        format!("slot {} of {}", self.slot, called(names, self.task))
    }
}

/// How a turn ends for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Submitted,
    Skipped,
    Released,
    /// The fence does not hold any more.
    Lost,
}

/// One person's turn on a slot, as its client knows it.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    pub(crate) who: String,
    pub(crate) person: Uuid,
    pub(crate) place: Place,
    pub(crate) round: i32,
    pub(crate) fence: i32,
    pub(crate) session: String,
    /// When the claim was answered.
    claimed: Instant,
    /// When the last request was sent that was answered well.
    held: Instant,
    /// What was asked for, answered or not.
    pub(crate) ending: Option<End>,
    /// What was answered.
    pub(crate) ended: Option<End>,
}

impl Turn {
    pub(crate) fn called(&self, names: &Names) -> String {
        format!("{}'s turn on {} under fence {}", self.who, self.place.called(names), self.fence)
    }
}

/// What a reviewer asked for.
#[derive(Clone, Debug)]
struct Verdict {
    task: Uuid,
    reject: bool,
    asked: Instant,
    /// The slots (number, round) it was about, once it was answered.
    slots: Option<Vec<(i32, i32)>>,
}

/// Everything that clients know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    pub(crate) turns: Vec<Turn>,
    verdicts: Vec<Verdict>,
    pub(crate) saves: Vec<Save>,
    /// Requests that were sent without getting an answer.
    pub(crate) silences: usize,
}

/// The book of all clients together.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Book>);

impl Ledger {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap()
    }

    /// A copy: what has been told by now.
    pub(crate) fn copy(&self) -> Book {
        self.book().clone()
    }

    /// Turns that ended in an answer so far.
    pub(crate) fn ended(&self) -> usize {
        self.book().turns.iter().filter(|turn| turn.ended.is_some()).count()
    }

    /// A request was sent and nobody answered.
    pub(super) fn unanswered(&self) {
        self.book().silences += 1;
    }

    /// A claim was answered with a screen.
    pub(super) fn claimed(&self, person: &Person, screen: &Screen, asked: Instant) -> usize {
        let narrow = |number: Option<i64>| i32::try_from(number.expect("a holder has a slot")).unwrap();
        let turn = Turn {
            who: person.name().to_owned(),
            person: uuid(&person.id),
            place: Place { task: uuid(&screen.task), slot: narrow(screen.slot) },
            round: narrow(screen.round),
            fence: narrow(Some(screen.fence)),
            session: screen.session.clone(),
            claimed: Instant::now(),
            // A claim that was sent again is answered also after its lease has ended.
            held: asked,
            ending: None,
            ended: None,
        };
        let mut book = self.book();
        book.turns.push(turn);
        book.turns.len() - 1
    }

    /// A request that was sent then was answered well under the turn's fence.
    pub(super) fn held(&self, turn: usize, asked: Instant) {
        let turn = &mut self.book().turns[turn];
        turn.held = turn.held.max(asked);
    }

    /// The turn is about to be ended.
    pub(super) fn ending(&self, turn: usize, how: End) {
        self.book().turns[turn].ending = Some(how);
    }

    /// The turn ended by a request that was sent then.
    pub(super) fn end(&self, turn: usize, how: End, asked: Instant) {
        let turn = &mut self.book().turns[turn];
        turn.ended = Some(how);
        if how != End::Lost {
            turn.held = turn.held.max(asked);
        }
    }

    /// A verdict is about to be given.
    pub(super) fn judging(&self, task: &str, reject: bool) -> usize {
        let mut book = self.book();
        book.verdicts.push(Verdict { task: uuid(task), reject, asked: Instant::now(), slots: None });
        book.verdicts.len() - 1
    }

    /// The verdict was given for these slots (number, round): for none when the review was lost.
    pub(super) fn judged(&self, verdict: usize, slots: Vec<(i32, i32)>) {
        self.book().verdicts[verdict].slots = Some(slots);
    }

    /// A save is about to be sent.
    pub(super) fn saving(&self, save: Save) -> usize {
        let mut book = self.book();
        book.saves.push(save);
        book.saves.len() - 1
    }

    /// What became of a save.
    pub(super) fn saved(&self, save: usize, told: super::saves::Told) {
        self.book().saves[save].told = told;
    }
}

impl Book {
    /// Promises that what clients were told shows to be broken.
    pub(crate) fn broken_promises(&self, names: &Names) -> Vec<String> {
        let mut broken = Vec::new();
        let mut by_place: BTreeMap<Place, Vec<&Turn>> = BTreeMap::new();
        let mut by_person: HashMap<(Uuid, Uuid), Vec<&Turn>> = HashMap::new();
        for turn in &self.turns {
            by_place.entry(turn.place).or_default().push(turn);
            by_person.entry((turn.person, turn.place.task)).or_default().push(turn);
        }
        for turns in by_place.values_mut() {
            turns.sort_by_key(|turn| turn.fence);
            for (i, one) in turns.iter().enumerate() {
                broken.extend(turns[i + 1..].iter().filter_map(|other| one_at_a_time(one, other, names)));
            }
            broken.extend(turns.windows(2).filter_map(|pair| self.rework_first(pair[0], pair[1], names)));
        }
        for turns in by_person.values() {
            for (i, one) in turns.iter().enumerate() {
                for other in &turns[i + 1..] {
                    broken.extend(self.different_people(one, other, names));
                    broken.extend(not_again(one, other, names).or_else(|| not_again(other, one, names)));
                }
            }
        }
        broken
    }

    /// Until when a slot was surely the person's: held, or handed in and not yet rejected. None: it still is.
    fn kept(&self, turn: &Turn) -> Option<Instant> {
        if turn.ended != Some(End::Submitted) {
            return Some(turn.held);
        }
        self.rejections(turn).map(|verdict| verdict.asked).min()
    }

    /// The verdicts that rejected what the turn handed in, or may have: not all are answered.
    fn rejections(&self, turn: &Turn) -> impl Iterator<Item = &Verdict> {
        let (place, round, since) = (turn.place, turn.round, turn.held);
        self.verdicts.iter().filter(move |verdict| {
            let is_about = |slots: &Vec<(i32, i32)>| slots.contains(&(place.slot, round));
            verdict.reject
                && verdict.task == place.task
                && verdict.asked >= since
                && verdict.slots.as_ref().is_none_or(is_about)
        })
    }

    /// Two turns of one person on two slots of a task.
    fn different_people(&self, one: &Turn, other: &Turn, names: &Names) -> Option<String> {
        if one.place.slot == other.place.slot {
            return None;
        }
        let before_end = |begin: Instant, end: Option<Instant>| end.is_none_or(|end| begin < end);
        let meet = before_end(one.claimed, self.kept(other)) && before_end(other.claimed, self.kept(one));
        meet.then(|| {
            let (one, other) = (one.called(names), other.called(names));
            format!("one person had two slots of a task at once: {one}, {other}")
        })
    }

    /// Rejected work waits for who did it.
    fn rework_first(&self, one: &Turn, next: &Turn, names: &Names) -> Option<String> {
        let is_next = next.fence == one.fence + 1 && one.ended == Some(End::Submitted) && one.person != next.person;
        let rejected = is_next && self.rejections(one).any(|verdict| verdict.slots.is_some());
        rejected.then(|| format!("what was rejected of {} went to {} first", one.called(names), next.who))
    }
}

/// Two turns on one slot, by ascending fence.
fn one_at_a_time(one: &Turn, other: &Turn, names: &Names) -> Option<String> {
    if one.fence == other.fence {
        let sessions = format!("sessions {} and {}", one.session, other.session);
        return Some(format!("a fence was given twice: {}, {} ({sessions})", one.called(names), other.called(names)));
    }
    let after = one.held.checked_duration_since(other.claimed).filter(|after| !after.is_zero())?;
    let (one, other) = (one.called(names), other.called(names));
    Some(format!("a slot had two holders: {one} was answered well {after:?} after {other} had begun"))
}

/// What was skipped is not offered to the same person again in its round.
fn not_again(skipped: &Turn, later: &Turn, names: &Names) -> Option<String> {
    let is_again = skipped.ended == Some(End::Skipped) && skipped.round == later.round && later.claimed > skipped.held;
    is_again.then(|| format!("it was skipped and came again: {}, {}", skipped.called(names), later.called(names)))
}
