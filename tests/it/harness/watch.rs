//! Watching that a refused request changed nothing.

use serde_json::{Value, json};

use crate::harness::{Answer, Project};

/// All that requests of the tests can change, as an admin sees it: counters, positions, lists.
const EVERYTHING: &str = "query($id: ID!) {
    project(id: $id) {
        name state review collaboration leaseSeconds
        taskCounts { state count } stats { claimable openConflicts }
        templates(first: 50) { totalCount nodes { id } }
        members(first: 50) { totalCount nodes { role user { id } } }
        assets(first: 200) { totalCount nodes { id state } }
        jobs(first: 50) { totalCount nodes { id state } }
    }
    eventCursor(projectId: $id)
    tasks(projectId: $id, first: 200) { totalCount nodes { id state version priority
        slots { state holder { id } reservedFor { id } } assignments(first: 9) { nodes { state } } reviews { id } } }
    projects(first: 50) { totalCount nodes { id name } }
    users(first: 50) { totalCount nodes { id name admin disabled } }
    viewer { accessTokens { id } sessions { id state } }
}";

/// What a project and the installation around it looked like.
pub(crate) struct Watch<'p> {
    project: &'p Project,
    before: Value,
}

impl Project {
    /// Looks at everything that a refused request could change.
    pub(crate) async fn watch(&self) -> Watch<'_> {
        Watch { project: self, before: self.everything().await }
    }

    async fn everything(&self) -> Value {
        let seen = self.manager.send(EVERYTHING, json!({ "id": self.id })).await;
        assert!(seen.body.get("errors").is_none(), "{:#}", seen.body);
        seen.body["data"].clone()
    }
}

impl Watch<'_> {
    /// The answer refuses with this code at this field, and nothing is changed.
    pub(crate) async fn refused(&self, case: &str, answer: &Answer, code: &str, field: &str) {
        answer.assert_refused(case, code, field);
        self.unchanged(case).await;
    }

    /// Nothing is changed.
    pub(crate) async fn unchanged(&self, case: &str) {
        assert_eq!(self.project.everything().await, self.before, "{case} changed something");
    }
}
