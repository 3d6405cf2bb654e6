//! Somebody who follows a project through whatever happens to the servers, and knows what they were told.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::json;
use tokio::task::JoinHandle;

use crate::harness::{Person, Project, load::Door, wait_until};

const FOLLOW: &str = "subscription($id: ID!, $after: EventCursor) {
  taskEvents(projectId: $id, after: $after) { __typename id cursor }
}";
/// The pause before a server that does not let one in is tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// What somebody was told, and from where they would go on.
#[derive(Debug)]
struct Told {
    cursor: String,
    /// How often each event came.
    events: BTreeMap<String, usize>,
    /// What should not have come.
    broken: Vec<String>,
}

/// Follows until it is dropped.
pub(crate) struct Witness {
    told: Arc<Mutex<Told>>,
    follows: JoinHandle<()>,
}

impl Witness {
    /// Follows a project from a cursor on, at whatever servers the door leads to.
    pub(crate) fn of(project: &Project, door: &Door, after: &str) -> Self {
        let told = Told { cursor: after.to_owned(), events: BTreeMap::new(), broken: Vec::new() };
        let told = Arc::new(Mutex::new(told));
        let (id, person) = (project.id.clone(), project.manager.clone());
        let follows = tokio::spawn(follow(person, id, door.clone(), told.clone()));
        Self { told, follows }
    }

    /// Waits until every one of these events was told, and says what else there is to say: events told more than once and
    /// such as never were. Ids are those of the API.
    pub(crate) async fn must_have_heard(&self, name: &str, events: &[String]) {
        let missing = || {
            let told = self.told.lock().unwrap();
            events.iter().filter(|event| !told.events.contains_key(*event)).count()
        };
        wait_until(&format!("{name} to be told of everything"), async || missing() == 0).await;
        let told = self.told.lock().unwrap();
        assert_eq!(told.broken, [] as [String; 0], "{name}");
        let again: Vec<_> = told.events.iter().filter(|(_, count)| **count > 1).collect();
        assert!(again.is_empty(), "{name} was told again: {again:?}");
        assert_eq!(told.events.len(), events.len(), "{name} was told of what is not there");
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.follows.abort();
    }
}

async fn follow(person: Person, project: String, door: Door, told: Arc<Mutex<Told>>) {
    loop {
        let Some(mut socket) = person.socket_at(&door.url()).await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let after = told.lock().unwrap().cursor.clone();
        socket.subscribe("1", FOLLOW, json!({ "id": project, "after": after })).await;
        while let Some(message) = socket.next_or_gone().await {
            let event = &message["payload"]["data"]["taskEvents"];
            let mut told = told.lock().unwrap();
            match event["__typename"].as_str() {
                Some("CursorMoved") => {}
                Some("ResyncRequired") | None => {
                    told.broken.push(message.to_string());
                    break;
                }
                Some(_) => *told.events.entry(event["id"].as_str().unwrap().to_owned()).or_default() += 1,
            }
            event["cursor"].as_str().unwrap().clone_into(&mut told.cursor);
        }
    }
}
