//! Batches of edits as clients sent them, against the revisions that the database keeps.

use std::collections::{HashMap, HashSet};

use concord::domain::version_vector::SERVER;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{
    labeling::Screen,
    load::{Facts, Names, dice::Dice, facts::Content, ledger::Place, uuid},
    random_like,
};

/// The word that spans are drawn on: every text begins with it.
const WORD: &str = "cell";

/// An annotation as its client knows it.
#[derive(Clone, Debug)]
pub(crate) struct Drawing {
    pub(crate) id: String,
    /// What the client has seen of it.
    vector: Value,
}

impl Drawing {
    pub(crate) fn read(annotation: &Value) -> Self {
        let id = annotation["id"].as_str().unwrap_or_else(|| panic!("no annotation: {annotation}")).to_owned();
        Self { id, vector: annotation["versionVector"].clone() }
    }

    /// Another label and another place.
    pub(crate) fn change(&self, dice: &mut Dice) -> Value {
        let label = if dice.percent(50) { "dust" } else { "cell" };
        json!({ "update": { "id": self.id, "base": self.vector, "label": label, "geometry": span(dice) } })
    }

    pub(crate) fn delete(&self) -> Value {
        json!({ "delete": { "id": self.id, "base": self.vector } })
    }

    /// A new one.
    pub(crate) fn create(dice: &mut Dice) -> Value {
        let id = random_like("ann_01h455vb4pex5vsknk084sn02q");
        json!({ "create": { "id": id, "tool": "Words", "label": "cell", "geometry": span(dice) } })
    }
}

fn span(dice: &mut Dice) -> Value {
    let start = usize::try_from(dice.roll(WORD.len() as u64)).unwrap();
    json!({ "textSpan": { "start": start, "end": WORD.len(), "text": WORD[start..] } })
}

/// What became of a save, as its client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// No answer yet, or a refusal after a silence: all of it is there or nothing.
    Unknown,
    Saved,
    Refused,
}

/// One batch.
#[derive(Clone, Debug)]
pub(crate) struct Save {
    who: String,
    place: Place,
    actor: String,
    edits: Vec<Edit>,
    pub(crate) told: Told,
}

/// One edit: its name, and what it wrote.
#[derive(Clone, Debug)]
struct Edit {
    annotation: Uuid,
    counter: i32,
    label: Option<String>,
    geometry: Option<Value>,
    deleted: bool,
}

impl Save {
    /// Edits that are about to be sent.
    pub(crate) fn of(who: &str, screen: &Screen, edits: &[Value]) -> Self {
        let edit = |edit: &Value| {
            let (action, said) = edit.as_object().unwrap().iter().next().unwrap();
            let seen = said["base"][&screen.actor].as_i64().unwrap_or(0);
            Edit {
                annotation: uuid(said["id"].as_str().unwrap()),
                counter: i32::try_from(seen + 1).unwrap(),
                label: said["label"].as_str().map(str::to_owned),
                geometry: said.get("geometry").cloned(),
                deleted: action == "delete",
            }
        };
        let slot = i32::try_from(screen.slot.unwrap()).unwrap();
        Self {
            who: who.to_owned(),
            place: Place { task: uuid(&screen.task), slot },
            actor: screen.actor.clone(),
            edits: edits.iter().map(edit).collect(),
            told: Told::Unknown,
        }
    }
}

impl Edit {
    fn is_in(&self, content: &Content) -> bool {
        self.label.as_ref().is_none_or(|label| *label == content.label)
            && self.geometry.as_ref().is_none_or(|geometry| *geometry == content.geometry)
            && self.deleted == content.deleted
    }
}

/// Promises about `saves` that the rows show to be broken: what was answered is there and once, a batch is there as a whole
/// or not at all. At rest nothing is there that nobody sent.
pub(crate) fn broken_promises(saves: &[Save], facts: &Facts, at_rest: bool, names: &Names) -> Vec<String> {
    let mut broken = Vec::new();
    // What came late waits beside the work, and is no part of it; decisions about that change nothing of it.
    let revisions = facts.revisions.iter().filter(|row| !row.waits && row.actor != SERVER);
    let rows: HashMap<(Uuid, &str, i32), &Content> =
        revisions.map(|row| ((row.annotation, row.actor.as_str(), row.counter), &row.content)).collect();
    let mut sent = HashSet::new();
    for save in saves {
        let found: Vec<Option<&Content>> = save
            .edits
            .iter()
            .map(|edit| rows.get(&(edit.annotation, save.actor.as_str(), edit.counter)).copied())
            .collect();
        let there = found.iter().flatten().count();
        let want = match save.told {
            Told::Saved => there == save.edits.len(),
            Told::Refused => there == 0,
            Told::Unknown => there == 0 || there == save.edits.len(),
        };
        let called = || format!("{}'s save on {}", save.who, save.place.called(names));
        if !want {
            broken.push(format!("{} ({:?}): {there} of {} edits are there", called(), save.told, save.edits.len()));
        }
        for (edit, content) in save.edits.iter().zip(&found) {
            sent.insert((edit.annotation, save.actor.as_str(), edit.counter));
            if let Some(content) = content.filter(|content| !edit.is_in(content)) {
                broken.push(format!("{}: sent {edit:?}, kept {content:?}", called()));
            }
        }
    }
    if at_rest {
        let unknown = rows.keys().filter(|name| !sent.contains(*name));
        broken.extend(unknown.map(|name| format!("a revision that nobody sent: {name:?}")));
    }
    broken
}
