//! The promises that the rows of any moment must keep, whatever happened before, and that they must keep to clients.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use concord::domain::version_vector::SERVER;
use serde_json::Value;
use uuid::Uuid;

use crate::harness::load::{
    called,
    facts::{Content, Facts, STATES, Slot, Task},
    ledger::{Book, End, Place, Turn},
    saves,
};

/// Slots one person may hold in a project.
const MAX_LEASES: usize = 5;

impl Facts {
    /// Every promise that is broken, in a project in which so many tasks were made. `book` is what clients had been told
    /// before the rows were read; at rest nobody waits for an answer.
    pub(crate) fn broken_promises(&self, made: usize, book: &Book, at_rest: bool) -> Vec<String> {
        let mut broken = self.against(book, at_rest);
        if self.tasks.len() != made {
            broken.push(format!("{} tasks are there of {made}", self.tasks.len()));
        }
        self.check_slots(&mut broken);
        self.check_turns(&mut broken);
        self.check_people(&mut broken);
        self.check_tasks(&mut broken);
        self.check_counters(&mut broken);
        self.check_events(&mut broken);
        self.check_annotations(&mut broken);
        broken
    }

    /// What clients were told, in itself and against the rows.
    fn against(&self, book: &Book, at_rest: bool) -> Vec<String> {
        let mut broken = book.broken_promises(&self.names);
        for turn in &book.turns {
            broken.extend(self.told(turn, at_rest).map(|wrong| format!("{}: {wrong}", turn.called(&self.names))));
        }
        if at_rest {
            let told: BTreeSet<(Place, i32)> = book.turns.iter().map(|turn| (turn.place, turn.fence)).collect();
            for (place, fence) in self.turns.keys().filter(|turn| !told.contains(turn)) {
                let place = place.called(&self.names);
                broken.push(format!("a lease of which nobody was told: {place} under fence {fence}"));
            }
        }
        broken.extend(saves::broken_promises(&book.saves, self, at_rest, &self.names));
        broken
    }

    /// What is wrong with a turn that a client was told of.
    fn told(&self, turn: &Turn, at_rest: bool) -> Option<String> {
        let Some(row) = self.turns.get(&(turn.place, turn.fence)) else {
            return Some("no row of it is there".into());
        };
        if row.person != turn.person || row.round != turn.round {
            return Some(format!("it is {row:?}"));
        }
        let is_right = match (turn.ended, turn.ending) {
            (Some(End::Submitted), _) => is_handed_in(&row.state),
            (Some(End::Skipped), _) => row.state == "SKIPPED",
            (Some(End::Released), _) => row.state == "RELEASED",
            (Some(End::Lost), _) => matches!(row.state.as_str(), "EXPIRED" | "REVOKED"),
            (None, None) if at_rest => matches!(row.state.as_str(), "LEASED" | "EXPIRED" | "REVOKED"),
            (None, _) => true,
        };
        let client = || format!("the client was told {:?}, the row says {}", turn.ended, row.state);
        (!is_right).then(client)
    }

    fn check_slots(&self, broken: &mut Vec<String>) {
        for (place, slot) in &self.slots {
            let turn = self.turns.get(&(*place, slot.fence));
            let by = |person: Option<Uuid>, states: &[&str]| {
                turn.is_some_and(|turn| Some(turn.person) == person && states.contains(&turn.state.as_str()))
            };
            let nobody = slot.holder.is_none() && !slot.expires;
            let is_right = match slot.state.as_str() {
                "LEASED" => slot.holder.is_some() && slot.expires && by(slot.holder, &["LEASED"]),
                "FREE" => nobody && slot.submitted_by.is_none() && turn.is_none_or(|turn| turn.has_ended),
                "SUBMITTED" => nobody && by(slot.submitted_by, &["SUBMITTED"]),
                "ACCEPTED" => nobody && by(slot.submitted_by, &["ACCEPTED"]),
                "REJECTED" => nobody && by(slot.submitted_by, &["REJECTED"]),
                "SKIPPED" => nobody && turn.is_some_and(|turn| turn.state == "SKIPPED"),
                _ => false,
            };
            if !is_right {
                broken.push(format!("{}: {slot:?}, the turn under its fence: {turn:?}", place.called(&self.names)));
            }
        }
    }

    /// A turn lasts as long as its lease, ends once, and what was handed in is kept.
    fn check_turns(&self, broken: &mut Vec<String>) {
        for ((place, fence), turn) in &self.turns {
            let called = || format!("the turn on {} under fence {fence}", place.called(&self.names));
            if (turn.state == "LEASED") == turn.has_ended {
                broken.push(format!("{}: {turn:?}", called()));
            }
            let slot = self.slots.get(place);
            if turn.state == "LEASED" && !slot.is_some_and(|slot| slot.state == "LEASED" && slot.fence == *fence) {
                broken.push(format!("{} goes on without a lease: {turn:?}, {slot:?}", called()));
            }
            if is_handed_in(&turn.state) && !self.submissions.contains_key(&(*place, *fence)) {
                broken.push(format!("{} is {} without a snapshot of SUBMIT", called(), turn.state));
            }
        }
    }

    /// Nobody has two slots of a task, and nobody holds too many.
    fn check_people(&self, broken: &mut Vec<String>) {
        let mut by_task: BTreeMap<(Uuid, Uuid), Vec<i32>> = BTreeMap::new();
        let mut held: BTreeMap<Uuid, usize> = BTreeMap::new();
        for (place, slot) in &self.slots {
            let person = match slot.state.as_str() {
                "LEASED" => slot.holder,
                "SUBMITTED" | "ACCEPTED" => slot.submitted_by,
                _ => None,
            };
            let Some(person) = person else { continue };
            by_task.entry((place.task, person)).or_default().push(place.slot);
            *held.entry(person).or_default() += usize::from(slot.state == "LEASED");
        }
        for ((task, person), slots) in by_task.into_iter().filter(|(_, slots)| slots.len() > 1) {
            let (person, task) = (called(&self.names, person), called(&self.names, task));
            broken.push(format!("{person} has the slots {slots:?} of {task} at once"));
        }
        for (person, held) in held.into_iter().filter(|(_, held)| *held > MAX_LEASES) {
            broken.push(format!("{} holds {held} slots", called(&self.names, person)));
        }
    }

    /// Every task stands where its slots say.
    fn check_tasks(&self, broken: &mut Vec<String>) {
        for (id, task) in &self.tasks {
            let from = Place { task: *id, slot: i32::MIN };
            let slots: Vec<&Slot> =
                self.slots.range(from..).take_while(|(place, _)| place.task == *id).map(|(_, slot)| slot).collect();
            let states: Vec<&str> = slots.iter().map(|slot| slot.state.as_str()).collect();
            let hands_out = !matches!(task.state.as_str(), "QUARANTINED" | "ARCHIVED");
            let is_right = stands(&states, task) && slots.iter().all(|slot| slot.claimable == hands_out);
            if !is_right {
                broken.push(format!("{}: {task:?} with the slots {slots:?}", called(&self.names, *id)));
            }
        }
    }

    /// The counters of each stream are those of its tasks.
    fn check_counters(&self, broken: &mut Vec<String>) {
        for stream in &self.streams {
            let mine = |task: &&Task| task.stream == stream.number;
            let counted =
                STATES.map(|state| self.tasks.values().filter(mine).filter(|task| task.state == state).count());
            let counted = counted.map(|count| i64::try_from(count).unwrap());
            if stream.tasks != counted {
                let said = &stream.tasks;
                broken.push(format!(
                    "stream {} counts tasks {said:?}, there are {counted:?} ({STATES:?})",
                    stream.number
                ));
            }
            let free = self.slots.iter().filter(|(place, slot)| {
                let is_mine = self.tasks.get(&place.task).as_ref().is_some_and(mine);
                is_mine && slot.state == "FREE" && slot.claimable
            });
            let free = i64::try_from(free.count()).unwrap();
            if stream.claimable != free {
                broken.push(format!("stream {} counts {} free slots of {free}", stream.number, stream.claimable));
            }
        }
    }

    /// Positions without a gap; the states of each task are a chain that ends where it stands, and the sessions of each
    /// slot open and close in turn.
    fn check_events(&self, broken: &mut Vec<String>) {
        for stream in &self.streams {
            let positions = self.events.iter().filter(|event| event.stream == stream.number);
            let positions: Vec<i64> = positions.map(|event| event.position).collect();
            let wanted: Vec<i64> = (stream.bottom + 1..=stream.top).collect();
            if positions != wanted {
                let odd = wanted.iter().zip(&positions).find(|(wanted, is)| wanted != is).map(|(wanted, _)| wanted);
                let (count, top) = (positions.len(), stream.top);
                broken.push(format!("stream {}: {count} events up to {top}, first gap at {odd:?}", stream.number));
            }
        }
        let mut states: HashMap<Uuid, &str> = HashMap::new();
        let mut open: HashMap<Place, bool> = HashMap::new();
        for event in &self.events {
            let Some(task) = event.task else { continue };
            let payload = &event.payload;
            let called = || format!("event {}/{} of {}", event.stream, event.position, called(&self.names, task));
            if self.tasks.get(&task).is_none_or(|task| task.stream != event.stream) {
                broken.push(format!("{} is not in its task's stream", called()));
            }
            match event.event_type.as_str() {
                "TASK_CREATED" => {
                    let known = states.insert(task, "QUEUED");
                    broken.extend(known.map(|_| format!("{} makes it again", called())));
                }
                "TASK_STATE_CHANGED" => {
                    let (from, to) = (payload["from"].as_str(), payload["to"].as_str().unwrap());
                    let before = states.insert(task, to);
                    if before != from || before == Some(to) {
                        broken.push(format!("{} says {from:?} to {to}, but it was {before:?}", called()));
                    }
                }
                "SESSION_CHANGED" => {
                    let slot = i32::try_from(payload["slot"].as_i64().unwrap()).unwrap();
                    let opened = payload["opened"].as_bool().unwrap();
                    if open.insert(Place { task, slot }, opened).unwrap_or(false) == opened {
                        broken.push(format!("{}: slot {slot} was opened or closed twice: {payload}", called()));
                    }
                }
                _ => {}
            }
        }
        for (id, task) in &self.tasks {
            let last = states.get(id).copied();
            if last != Some(task.state.as_str()) {
                let (called, state) = (called(&self.names, *id), &task.state);
                broken.push(format!("the events of {called} end at {last:?}, it is {state}"));
            }
        }
        for (place, slot) in &self.slots {
            if open.get(place).copied().unwrap_or(false) != (slot.state == "LEASED") {
                let last = open.get(place);
                broken.push(format!(
                    "{} is {}, its last session event: {last:?}",
                    place.called(&self.names),
                    slot.state
                ));
            }
        }
    }

    /// Each annotation is its last revision, revisions are counted without a gap and told once; a submission that stands
    /// is what the slot shows.
    fn check_annotations(&self, broken: &mut Vec<String>) {
        let mut revisions: HashMap<Uuid, BTreeMap<i32, &Content>> = HashMap::new();
        for revision in &self.revisions {
            revisions.entry(revision.annotation).or_default().insert(revision.number, &revision.content);
        }
        let mut told: HashMap<(Uuid, i64), usize> = HashMap::new();
        for event in self.events.iter().filter(|event| event.event_type.starts_with("ANNOTATION_")) {
            let annotation = super::uuid(event.payload["annotation"].as_str().unwrap());
            *told.entry((annotation, event.payload["revision"].as_i64().unwrap())).or_default() += 1;
        }
        for (id, annotation) in &self.annotations {
            let called = || format!("annotation {id} in {}", annotation.place.called(&self.names));
            let kept = revisions.remove(id).unwrap_or_default();
            if !kept.keys().copied().eq(1..=annotation.revision) {
                broken.push(format!("{}: revisions {:?} of {}", called(), kept.keys(), annotation.revision));
            }
            if kept.get(&annotation.revision) != Some(&&annotation.content) {
                broken.push(format!("{}: {annotation:?} is not its last revision {kept:?}", called()));
            }
            for number in kept.keys() {
                let times = told.remove(&(*id, i64::from(*number))).unwrap_or(0);
                if times != 1 {
                    broken.push(format!("{}: revision {number} was told {times} times", called()));
                }
            }
        }
        broken.extend(revisions.keys().map(|id| format!("revisions of an annotation that is not there: {id}")));
        broken.extend(told.keys().map(|name| format!("an event of a revision that is not there: {name:?}")));
        // What waits beside the work, and what is decided about it in favour of the work, changes nothing of what it says.
        let mut work: HashMap<Uuid, BTreeSet<i64>> = HashMap::new();
        for revision in self.revisions.iter().filter(|revision| !revision.waits && revision.actor != SERVER) {
            work.entry(revision.annotation).or_default().insert(i64::from(revision.number));
        }
        let said = |(id, number): (Uuid, i64)| {
            let last = work.get(&id).and_then(|work| work.range(..=number).next_back());
            (id, last.copied().unwrap_or(number))
        };
        let mut live: HashMap<Place, BTreeSet<(Uuid, i64)>> = HashMap::new();
        for (id, annotation) in self.annotations.iter().filter(|(_, annotation)| !annotation.content.deleted) {
            live.entry(annotation.place).or_default().insert(said((*id, i64::from(annotation.revision))));
        }
        for (place, slot) in &self.slots {
            if !matches!(slot.state.as_str(), "SUBMITTED" | "ACCEPTED") {
                continue;
            }
            let Some(snapshot) = self.submissions.get(&(*place, slot.fence)) else { continue };
            let shown: BTreeSet<(Uuid, i64)> = snapshot.iter().map(|shown| said(name(shown))).collect();
            let live = live.remove(place).unwrap_or_default();
            if shown != live {
                broken
                    .push(format!("{}: its submission keeps {shown:?}, it shows {live:?}", place.called(&self.names)));
            }
        }
        self.check_submissions(broken);
    }

    /// What a submission keeps is what the revisions were.
    fn check_submissions(&self, broken: &mut Vec<String>) {
        let contents: HashMap<(Uuid, i64), &Content> =
            self.revisions.iter().map(|row| ((row.annotation, i64::from(row.number)), &row.content)).collect();
        for ((place, fence), shown) in &self.submissions {
            for entry in shown {
                let kept = contents.get(&name(entry));
                let is_same = kept.is_some_and(|content| {
                    content.label == entry["label"].as_str().unwrap_or_default()
                        && content.geometry == entry["geometry"]
                        && !content.deleted
                });
                if !is_same {
                    let called = place.called(&self.names);
                    broken
                        .push(format!("the submission of {called} under fence {fence} keeps {entry}, it was {kept:?}"));
                }
            }
        }
    }
}

/// Id and revision of an annotation in a snapshot.
fn name(entry: &Value) -> (Uuid, i64) {
    (entry["id"].as_str().unwrap().parse().unwrap(), entry["revision"].as_i64().unwrap())
}

fn is_handed_in(state: &str) -> bool {
    matches!(state, "SUBMITTED" | "ACCEPTED" | "REJECTED")
}

/// Whether a task with these slots stands where it should.
fn stands(slots: &[&str], task: &Task) -> bool {
    let has = |state| slots.contains(&state);
    let (free, leased, submitted) = (has("FREE"), has("LEASED"), has("SUBMITTED"));
    let wanted = match task.state.as_str() {
        "ARCHIVED" | "QUARANTINED" => return !leased && task.reviewer.is_none(),
        "IN_REVIEW" => return !leased && !free && submitted && task.reviewer.is_some(),
        _ if leased || (free && submitted) => "IN_PROGRESS",
        _ if free && task.round == 1 => "QUEUED",
        _ if free => "REWORK",
        _ if submitted => "SUBMITTED",
        _ if has("ACCEPTED") => "ACCEPTED",
        _ => "SKIPPED",
    };
    task.state == wanted && !has("REJECTED") && task.reviewer.is_none()
}
