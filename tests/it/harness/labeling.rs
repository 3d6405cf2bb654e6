//! What annotators and reviewers do all day.

use concord::service::upkeep;
use serde_json::{Value, json};

use crate::harness::{Answer, Person, Project, TestApp};

/// An open screen: a session with its fence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Screen {
    pub(crate) session: String,
    pub(crate) fence: i64,
    pub(crate) actor: String,
    pub(crate) task: String,
    /// None in a review of several slots.
    pub(crate) slot: Option<i64>,
    /// The slot's, as above.
    pub(crate) round: Option<i64>,
}

/// What a claim asks for.
pub(crate) const SCREEN: &str = "session { id fence actor task { id } slot { number round } } reason";

/// As above, of those who join.
const JOINED: &str = "session { id role fence actor state task { id } slot { number round } }";

impl Screen {
    pub(crate) fn read(session: &Value) -> Self {
        Self {
            session: session["id"].as_str().unwrap().to_owned(),
            fence: session["fence"].as_i64().unwrap(),
            actor: session["actor"].as_str().unwrap().to_owned(),
            task: session["task"]["id"].as_str().unwrap().to_owned(),
            slot: session["slot"]["number"].as_i64(),
            round: session["slot"]["round"].as_i64(),
        }
    }

    /// The part of an input that names it.
    pub(crate) fn input(&self) -> Value {
        json!({ "sessionId": self.session, "fence": self.fence })
    }

    /// An input that names it, with more in it.
    pub(crate) fn with(&self, mut more: Value) -> Value {
        more["sessionId"] = json!(self.session);
        more["fence"] = json!(self.fence);
        more
    }
}

/// A screen, or the reason why there is none.
pub(crate) fn claimed(answer: &Answer, field: &str) -> Result<Screen, String> {
    match answer.get(&format!("{field}.session")) {
        Value::Null => Err(answer.text(&format!("{field}.reason"))),
        session => Ok(Screen::read(session)),
    }
}

impl Person {
    /// Claims with this input beside the project.
    pub(crate) async fn claim_with(&self, project: &Project, more: Value) -> Answer {
        let mut input = json!({ "projectId": project.id });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.mutate("claimTask", input, SCREEN).await
    }

    /// The next slot, or why there is none.
    pub(crate) async fn try_claim(&self, project: &Project) -> Result<Screen, String> {
        claimed(&self.claim_with(project, json!({})).await, "claimTask")
    }

    /// The next slot.
    pub(crate) async fn claim(&self, project: &Project) -> Screen {
        self.try_claim(project).await.expect("there is work")
    }

    /// A slot of that very task, or why there is none.
    pub(crate) async fn try_claim_task(&self, project: &Project, task: &str) -> Result<Screen, String> {
        claimed(&self.claim_with(project, json!({ "taskId": task })).await, "claimTask")
    }

    /// Asks to work in a task beside whoever holds it; `more` may name a slot.
    pub(crate) async fn join_with(&self, task: &str, more: Value) -> Answer {
        let mut input = json!({ "taskId": task });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.mutate("joinTask", input, JOINED).await
    }

    pub(crate) async fn heartbeat(&self, screen: &Screen) -> Answer {
        self.mutate("heartbeat", screen.input(), "expiresAt").await
    }

    pub(crate) async fn submit(&self, screen: &Screen) -> Answer {
        self.mutate("submitTask", screen.input(), "task { id state version round }").await
    }

    pub(crate) async fn skip(&self, screen: &Screen, reason: &str) -> Answer {
        self.mutate("skipTask", screen.with(json!({ "reason": reason })), "task { id state version }").await
    }

    pub(crate) async fn release(&self, screen: &Screen) -> Answer {
        self.mutate("releaseTask", screen.input(), "task { id state version }").await
    }

    pub(crate) async fn withdraw(&self, task: &str) -> Answer {
        let selection = "session { id fence actor task { id } slot { number } }";
        self.mutate("withdrawSubmission", json!({ "taskId": task }), selection).await
    }

    /// A task to review, or why there is none.
    pub(crate) async fn try_claim_review(&self, project: &Project, more: Value) -> Result<Screen, String> {
        let mut input = json!({ "projectId": project.id });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        claimed(&self.mutate("claimReview", input, SCREEN).await, "claimReview")
    }

    /// A task to review.
    pub(crate) async fn claim_review(&self, project: &Project) -> Screen {
        self.try_claim_review(project, json!({})).await.expect("there is something to review")
    }

    /// Judges all slots that wait for it, or with `more` one of them.
    pub(crate) async fn judge(&self, screen: &Screen, verdict: &str, more: Value) -> Answer {
        let mut input = screen.with(json!({ "verdict": verdict }));
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let selection = "task { id state round version } reviews { id slot verdict comment round reviewer { id } at }";
        self.mutate("reviewTask", input, selection).await
    }
}

impl Project {
    /// A member with this role.
    pub(crate) async fn member(&self, app: &TestApp, name: &str, role: &str) -> Person {
        let person = app.person(name).await;
        self.set_member(&person, json!(role)).await.get("setMember.member");
        person
    }

    /// Where a task and its slots stand: `IN_PROGRESS [LEASED, FREE]`.
    pub(crate) async fn stands(&self, task: &str) -> String {
        let query = "query($id: ID!) { task(id: $id) { state slots { state } } }";
        let seen = self.manager.send(query, json!({ "id": task })).await;
        let slots = seen.get("task.slots").as_array().unwrap().iter();
        let slots: Vec<&str> = slots.map(|slot| slot["state"].as_str().unwrap()).collect();
        format!("{} [{}]", seen.text("task.state"), slots.join(", "))
    }

    /// What happened so far, up to 200 events: type, task, slot and what is particular to it.
    pub(crate) async fn happened(&self) -> Vec<Value> {
        let query = "query($id: ID!) { events(projectId: $id, first: 200) { hasMore nodes { type
            ... on TaskEvent { taskId from to why }
            ... on SessionEvent { taskId slot opened why by { id } }
            ... on ReviewEvent { taskId review { id slot verdict } by { id } } } } }";
        let seen = self.manager.send(query, json!({ "id": self.id })).await;
        assert_eq!(seen.get("events.hasMore"), false);
        seen.get("events.nodes").as_array().unwrap().clone()
    }

    /// A task's version.
    pub(crate) async fn version(&self, task: &str) -> i64 {
        let seen = self.manager.send("query($id: ID!) { task(id: $id) { version } }", json!({ "id": task })).await;
        seen.get("task.version").as_i64().unwrap()
    }

    /// Changes settings.
    pub(crate) async fn set(&self, changes: Value) {
        let mut input = json!({ "projectId": self.id });
        input.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        self.manager.mutate("updateProject", input, "project { id }").await.get("updateProject");
    }

    /// Reserves the first free slot of tasks for somebody.
    pub(crate) async fn reserve(&self, tasks: &[String], person: &Person) {
        let input = json!({ "taskIds": tasks, "reservedForUserId": person.id });
        self.manager.mutate("updateTasks", input, "tasks { id }").await.get("updateTasks");
    }

    /// Ends a lease, or with no slot the review.
    pub(crate) async fn revoke(&self, task: &str, slot: Option<i64>) -> Answer {
        let input = json!({ "taskId": task, "slot": slot, "reason": "needed elsewhere" });
        self.manager.mutate("revokeLease", input, "task { id state }").await
    }

    /// Opens a finished task again.
    pub(crate) async fn reopen(&self, task: &str) -> Answer {
        let input = json!({ "taskId": task, "reason": "another look" });
        self.manager.mutate("reopenTask", input, "task { id state round }").await
    }
}

impl TestApp {
    /// Ends what has run out, now.
    pub(crate) async fn reap(&self) {
        upkeep::reap(self.use_cases()).await.unwrap();
    }

    /// Mends what time and others left behind, now.
    pub(crate) async fn reconcile(&self) {
        upkeep::reconcile(self.use_cases()).await.unwrap();
    }
}
