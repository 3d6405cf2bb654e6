//! Reading a project's events as the manager does.

use concord::service::retention;
use serde_json::{Value, json};

use crate::harness::{Answer, Project, TestApp};

const EVENTS: &str = "query($id: ID!, $after: EventCursor, $first: Int!) {
  events(projectId: $id, after: $after, first: $first) {
    cursor hasMore
    nodes {
      __typename id type cursor at projectId
      ... on TaskEvent { taskId from to task { id } by { id } }
      ... on ProjectEvent { project { id } by { id } }
      ... on ResyncRequired { reason }
    }
  }
}";

impl Project {
    /// Makes an event of the project itself.
    pub(crate) async fn rename(&self, name: &str) {
        let change = json!({ "projectId": self.id, "name": name });
        self.manager.mutate("updateProject", change, "project { id }").await.get("updateProject");
    }

    /// Where the streams are now.
    pub(crate) async fn cursor(&self) -> String {
        let query = "query($id: ID!) { eventCursor(projectId: $id) }";
        self.manager.send(query, json!({ "id": self.id })).await.text("eventCursor")
    }

    /// A page of events behind a cursor.
    pub(crate) async fn events(&self, after: Option<&str>, first: usize) -> Answer {
        self.manager.send(EVENTS, json!({ "id": self.id, "after": after, "first": first })).await
    }

    /// Everything behind a cursor, by pages of `first`.
    pub(crate) async fn all_events(&self, after: Option<&str>, first: usize) -> Vec<Value> {
        let mut after = after.map(str::to_owned);
        let mut all = Vec::new();
        loop {
            let page = self.events(after.as_deref(), first).await;
            let nodes = events_of(&page);
            assert!(nodes.len() <= first);
            assert_eq!(nodes.last().map_or(&json!(after), |last| &last["cursor"]), page.get("events.cursor"));
            all.extend(nodes);
            if page.get("events.hasMore") == false {
                return all;
            }
            after = Some(page.text("events.cursor"));
        }
    }
}

/// The events of a page.
pub(crate) fn events_of(page: &Answer) -> Vec<Value> {
    page.get("events.nodes").as_array().unwrap().clone()
}

/// What events tell.
pub(crate) fn event_types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// Every stream holds the positions from 1 to its top, each once.
pub(crate) async fn assert_positions_are_gap_free(app: &TestApp) {
    let gaps: Vec<(i32, i64, i64, i64)> = app
        .rows(
            "SELECT s.number, s.top, count(e.position), coalesce(max(e.position), 0) FROM event_stream s
             LEFT JOIN event e ON e.project_id = s.project_id AND e.stream = s.number
             GROUP BY s.project_id, s.number, s.top
             HAVING count(e.position) <> s.top OR coalesce(max(e.position), 0) <> s.top",
        )
        .await;
    assert_eq!(gaps, [], "stream, top, events, last position");
}

impl TestApp {
    /// One round of giving up old events.
    pub(crate) async fn give_up_events(&self) {
        retention::give_up(self.use_cases()).await.unwrap();
    }
}
