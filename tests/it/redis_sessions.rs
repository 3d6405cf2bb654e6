//! Who has paused and who is where, in a Redis that several servers share; and what people notice when it goes.

use std::time::Duration;

use concord::domain::limits;
use serde_json::json;

use crate::{
    harness::{
        Answer, Database, Media, Person, Project, Session, TestApp, new_annotation, on_both_databases,
        redis::{Redis, shared},
        span, wait_until,
    },
    presence_following::idle,
};

on_both_databases![
    without_redis_people_go_on,
    a_redis_that_lost_everything_is_no_outage,
    an_entry_ends_by_the_one_clock;
    only postgres:
    a_pause_is_one_for_all_servers,
    who_is_in_a_task_is_seen_through_every_server,
];

/// Longer than what a test does, so that a revision that begins at the time is behind none that was given out; shorter than
/// anybody may be silent.
const SOME_TIME: Duration = Duration::from_secs(10);

/// A server of this Redis, and somebody at work there.
async fn at_work(database: Database, redis: &Redis) -> (TestApp, Project, Session) {
    let app = TestApp::with(database, &[("REDIS_URL", &redis.url())]).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let [task] = project.text_tasks(1).await.try_into().unwrap();
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    let ana = app.at_work(&project, &task, &ana).await;
    (app, project, ana)
}

impl Session {
    /// The same screen, whose requests come to another server.
    fn through(&self, person: &Person) -> Self {
        Self { person: person.clone(), ..self.clone() }
    }

    /// ACTIVE or PAUSED, and the revision of that.
    async fn is(&self) -> (String, i64) {
        let query = "query($id: ID!) { node(id: $id) { ... on LabelingSession { state revision } } }";
        let seen = self.person.send(query, json!({ "id": self.id })).await;
        (seen.text("node.state"), seen.get("node.revision").as_i64().unwrap())
    }

    async fn swap(&self, state: &str, revision: i64) -> Answer {
        let input = self.screen.with(json!({ "state": state, "expectedRevision": revision }));
        self.person.mutate("setSessionState", input, "session { state revision }").await
    }

    /// Pauses or goes on, as a screen does that shows what is.
    async fn turns(&self, state: &str) {
        let changed = self.swap(state, self.is().await.1).await;
        assert_eq!(changed.text("setSessionState.session.state"), state);
    }

    async fn saves(&self) {
        assert_eq!(self.edit(span(&new_annotation(), 0, "cell")).await["outcome"], "APPLIED");
    }

    async fn may_not_save(&self) {
        let saved = self.save(json!([span(&new_annotation(), 0, "cell")])).await;
        saved.assert_error("INVALID_TRANSITION", "sessionId");
    }

    async fn beats(&self, selected: &str) {
        let input = self.screen.with(json!({ "selectedAnnotationId": selected }));
        self.person.mutate("heartbeat", input, "expiresAt").await.text("heartbeat.expiresAt");
    }

    fn key(&self) -> String {
        format!("session_id:{}:{}", self.person.id, self.id)
    }
}

async fn a_pause_is_one_for_all_servers(database: Database) {
    let url = database.url.clone();
    let (_here, _, ana) = at_work(database, shared()).await;
    let there = TestApp::with(Database::at(url), &[("REDIS_URL", &shared().url())]).await;
    let elsewhere = ana.through(&there.known("ana@example.com").await);
    elsewhere.saves().await;
    let (_, revision) = elsewhere.is().await;
    ana.swap("PAUSED", revision).await.get("setSessionState");
    assert_eq!(elsewhere.is().await, ("PAUSED".to_owned(), revision + 1));
    elsewhere.may_not_save().await;
    elsewhere.swap("ACTIVE", revision).await.assert_error("STALE", "expectedRevision");
    elsewhere.swap("ACTIVE", revision + 1).await.get("setSessionState");
    assert_eq!(ana.is().await, ("ACTIVE".to_owned(), revision + 2));
    ana.saves().await;
    assert_eq!(shared().cli(&["EXISTS", &ana.key()]), "1");
    elsewhere.person.submit(&ana.screen).await.get("submitTask");
    assert_eq!(shared().cli(&["EXISTS", &ana.key()]), "0", "a turn that has ended is not kept");
}

async fn who_is_in_a_task_is_seen_through_every_server(database: Database) {
    let url = database.url.clone();
    let (_here, project, ana) = at_work(database, shared()).await;
    let there = TestApp::with(Database::at(url), &[("REDIS_URL", &shared().url())]).await;
    let boss = there.known("boss@example.com").await;
    let mut socket = boss.follow_presence(&ana.screen.task).await;
    assert_eq!(socket.present().await, [idle("ana", "HOLDER")]);
    let selected = new_annotation();
    ana.beats(&selected).await;
    let (name, role, slot, _) = idle("ana", "HOLDER");
    socket.until_present(&[(name, role, slot, json!(selected))]).await;
    ana.person.release(&ana.screen).await.get("releaseTask");
    socket.until_present(&[]).await;
    assert_eq!(project.manager.sees_present(&ana.screen.task).await, []);
}

async fn without_redis_people_go_on(database: Database) {
    let redis = Redis::start(&[]);
    let (app, project, ana) = at_work(database, &redis).await;
    let selected = new_annotation();
    let (name, role, slot, _) = idle("ana", "HOLDER");
    let at_it = [(name, role, slot, json!(selected))];
    for outage in ["stopped", "killed"] {
        ana.turns("PAUSED").await;
        let (_, paused) = ana.is().await;
        app.advance(SOME_TIME);
        match outage {
            "stopped" => redis.pause(),
            _ => redis.kill(),
        }
        let (state, revision) = ana.is().await;
        assert_eq!(state, "ACTIVE", "{outage}: what was paused is lost");
        assert!(revision > paused, "{outage}: {revision} after {paused}");
        ana.saves().await;
        ana.beats(&selected).await;
        assert_eq!(project.manager.sees_present(&ana.screen.task).await, at_it, "{outage}");
        ana.turns("PAUSED").await;
        ana.may_not_save().await;
        ana.beats(&selected).await;
        ana.turns("ACTIVE").await;
        ana.saves().await;
        let alone = ana.is().await;
        app.advance(SOME_TIME);
        match outage {
            "stopped" => redis.resume(),
            _ => redis.come_back(),
        }
        wait_until("Redis is asked again", async || ana.is().await != alone).await;
        let was = if outage == "stopped" { "PAUSED" } else { "ACTIVE" };
        assert_eq!(ana.is().await.0, was, "{outage}: Redis knows nothing of what was without it");
        ana.turns("ACTIVE").await;
        ana.saves().await;
        ana.beats(&selected).await;
        assert_eq!(project.manager.sees_present(&ana.screen.task).await, at_it, "{outage}");
    }
    redis.kill();
    ana.person.submit(&ana.screen).await.get("submitTask");
    assert_eq!(project.manager.sees_present(&ana.screen.task).await, []);
}

async fn a_redis_that_lost_everything_is_no_outage(database: Database) {
    let redis = Redis::start(&[]);
    let (app, project, ana) = at_work(database, &redis).await;
    ana.turns("PAUSED").await;
    let (_, paused) = ana.is().await;
    redis.cli(&["FLUSHALL"]);
    app.advance(SOME_TIME);
    ana.swap("ACTIVE", paused).await.assert_error("STALE", "expectedRevision");
    let (state, revision) = ana.is().await;
    assert!(state == "ACTIVE" && revision > paused, "{state} {revision} after {paused}");
    assert_eq!(project.manager.sees_present(&ana.screen.task).await, []);
    ana.saves().await;
    assert_eq!(project.manager.sees_present(&ana.screen.task).await, [idle("ana", "HOLDER")]);
}

async fn an_entry_ends_by_the_one_clock(database: Database) {
    let (app, project, ana) = at_work(database, shared()).await;
    assert_eq!(project.manager.sees_present(&ana.screen.task).await.len(), 1);
    app.advance(limits::PRESENCE_TTL);
    assert_eq!(project.manager.sees_present(&ana.screen.task).await, []);
    ana.turns("PAUSED").await;
    app.advance(limits::SESSION_TTL);
    assert_eq!(ana.is().await.0, "ACTIVE");
}
