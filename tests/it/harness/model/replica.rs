//! What a client's screen holds: it follows the project's events and knows nothing else.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use crate::harness::{
    Person,
    model::words::{State, annotation},
};

/// A copy of all annotations of a project, kept by its events.
#[derive(Debug, Default)]
pub(crate) struct Replica {
    pub(crate) annotations: BTreeMap<String, State>,
    /// The annotations of open conflicts.
    pub(crate) open: BTreeMap<String, String>,
    /// Every state that an event showed.
    pub(crate) seen: Vec<(String, State)>,
    /// What should not have come.
    pub(crate) broken: Vec<String>,
    cursor: Option<String>,
}

/// A screen whose client and whose socket both work on it.
pub(crate) type Shared = Arc<Mutex<Replica>>;

impl Replica {
    /// One that begins at a cursor.
    pub(crate) fn at(cursor: &str) -> Shared {
        Arc::new(Mutex::new(Self { cursor: Some(cursor.to_owned()), ..Self::default() }))
    }

    fn apply(&mut self, event: &Value) {
        match event["type"].as_str().unwrap() {
            "ANNOTATION_SAVED" | "ANNOTATION_DELETED" => self.show(&event["annotation"]),
            "CONFLICT_RAISED" => {
                let (conflict, annotation) = names(&event["conflict"]);
                self.open.insert(conflict, annotation);
            }
            "CONFLICT_RESOLVED" => {
                self.open.remove(&names(&event["conflict"]).0);
            }
            "RESYNC_REQUIRED" => self.broken.push(format!("nothing was missed: {event}")),
            _ => {}
        }
        self.cursor = Some(event["cursor"].as_str().unwrap().to_owned());
    }

    /// Each revision comes once, in order, and is one edit more than the one in front of it.
    fn show(&mut self, annotation: &Value) {
        let id = annotation["id"].as_str().unwrap().to_owned();
        let state = State::read(annotation);
        let before = self.annotations.get(&id);
        let wanted = before.map_or(0, |before| before.revision) + 1;
        let has_all =
            before.is_none_or(|before| before.vector.iter().all(|(actor, n)| state.vector.get(actor) >= Some(n)));
        if state.revision != wanted || state.vector.values().sum::<i64>() != wanted || !has_all {
            self.broken.push(format!("revision {wanted} of {id} was to come, not {state:?} on {before:?}"));
        }
        self.seen.push((id.clone(), state.clone()));
        self.annotations.insert(id, state);
    }
}

fn names(conflict: &Value) -> (String, String) {
    (conflict["id"].as_str().unwrap().to_owned(), conflict["annotation"]["id"].as_str().unwrap().to_owned())
}

/// Keeps a screen up to date from where it stands, as long as it is polled.
pub(crate) async fn follow(person: Person, project: String, screen: Shared) {
    let query = format!(
        "subscription($project: ID!, $after: EventCursor) {{ taskEvents(projectId: $project, after: $after) {{
            type cursor
            ... on AnnotationEvent {{ annotation {{ {} }} }}
            ... on ConflictEvent {{ conflict {{ id annotation {{ id }} }} }} }} }}",
        annotation()
    );
    let after = screen.lock().unwrap().cursor.clone();
    let mut socket = person.subscribe(&query, json!({ "project": project, "after": after })).await;
    loop {
        let event = socket.event().await;
        screen.lock().unwrap().apply(&event);
    }
}
