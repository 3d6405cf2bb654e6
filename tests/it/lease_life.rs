//! What keeps a lease, what ends it, and what its holder finds afterwards.

use std::time::Duration;

use chrono::{DateTime, Utc};
use concord::repo::Conn;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{
    Answer, Database, Media, Person, Project, TestApp, assert_counters, labeling::Screen, on_both_databases, wait_until,
};

on_both_databases![
    a_heartbeat_keeps_the_lease_and_changes_nothing_else,
    a_lease_without_a_sign_of_life_ends,
    a_lease_that_ran_out_goes_on_for_its_holder,
    a_lease_that_ran_out_is_gone_when_it_could_not_be_claimed,
    the_end_of_a_turn_repeated_gives_the_same_answer,
    a_lease_taken_away_is_lost_to_everything,
    a_wrong_fence_or_session_is_refused,
    a_pause_is_swapped_by_its_revision,
    a_paused_lease_runs_its_time_without_heartbeats,
    a_task_that_expires_too_often_is_quarantined,
    one_person_finishes_everything_though_every_lease_ran_out_once,
    a_submission_can_be_taken_back_before_its_review,
    archiving_ends_leases_for_good,
    every_turn_is_kept,
    the_end_of_one_turn_leaves_the_others_alone,
    a_task_that_cannot_be_ended_does_not_keep_others_from_it,
    a_lease_is_not_revived_by_who_skipped_the_task_since,
    the_server_ends_by_itself_what_ran_out,
];

async fn one_task(app: &TestApp, settings: Value) -> (Project, String, Person) {
    let project = app.project_with(&app.admin().await, Media::Text, settings).await;
    let [task] = project.text_tasks(1).await.try_into().unwrap();
    let ana = project.member(app, "ana", "ANNOTATOR").await;
    (project, task, ana)
}

fn time(answer: &Answer, path: &str) -> DateTime<Utc> {
    answer.text(path).parse().unwrap()
}

async fn set_state(person: &Person, screen: &Screen, state: &str, revision: i64) -> Answer {
    let input = json!({
        "sessionId": screen.session, "fence": screen.fence, "state": state, "expectedRevision": revision
    });
    person.mutate("setSessionState", input, "session { state revision expiresAt }").await
}

async fn revision(person: &Person, screen: &Screen) -> i64 {
    let query = "query($id: ID!) { node(id: $id) { ... on LabelingSession { revision } } }";
    person.send(query, json!({ "id": screen.session })).await.get("node.revision").as_i64().unwrap()
}

async fn a_heartbeat_keeps_the_lease_and_changes_nothing_else(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana) = one_task(&app, json!({ "leaseSeconds": 60 })).await;
    let screen = ana.claim(&project).await;
    let before = (project.happened().await, project.version(&task).await);
    let mut last = time(&ana.heartbeat(&screen).await, "heartbeat.expiresAt");
    for _ in 0..5 {
        app.advance(Duration::from_secs(40));
        let next = time(&ana.heartbeat(&screen).await, "heartbeat.expiresAt");
        assert!(next - last >= chrono::TimeDelta::seconds(40));
        last = next;
        app.reap().await;
    }
    assert_eq!(project.stands(&task).await, "IN_PROGRESS [LEASED]");
    assert_eq!((project.happened().await, project.version(&task).await), before, "no event, no version");
}

async fn a_lease_without_a_sign_of_life_ends(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana) = one_task(&app, json!({ "leaseSeconds": 60 })).await;
    let screen = ana.claim(&project).await;
    app.advance(Duration::from_secs(61));
    app.reap().await;
    assert_eq!(project.stands(&task).await, "QUEUED [FREE]");
    ana.submit(&screen).await.assert_error("LEASE_LOST", "fence");
    let ben = project.member(&app, "ben", "ANNOTATOR").await;
    let taken = ben.claim(&project).await;
    assert!(taken.fence > screen.fence);
    ana.heartbeat(&screen).await.assert_error("LEASE_LOST", "fence");
    ana.release(&screen).await.assert_error("LEASE_LOST", "fence");
    assert_eq!(project.stands(&task).await, "IN_PROGRESS [LEASED]", "ben's lease is untouched");
    assert_counters(&app, &project).await;
}

async fn a_lease_that_ran_out_goes_on_for_its_holder(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana) = one_task(&app, json!({})).await;
    let screen = ana.claim(&project).await;
    app.advance(Duration::from_secs(901));
    app.reap().await;
    assert_eq!(project.stands(&task).await, "QUEUED [FREE]");
    join_all((0..4).map(|_| ana.heartbeat(&screen))).await.iter().for_each(|answer| {
        answer.text("heartbeat.expiresAt");
    });
    assert_eq!(project.stands(&task).await, "IN_PROGRESS [LEASED]");
    ana.submit(&screen).await.get("submitTask");
    assert_eq!(turns(&project, &task).await, ["SUBMITTED"], "one turn, not two");
    assert_counters(&app, &project).await;
}

async fn a_lease_that_ran_out_is_gone_when_it_could_not_be_claimed(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana) = one_task(&app, json!({})).await;
    let others = project.named_tasks("other", 5).await;
    let screen = ana.try_claim_task(&project, &task).await.unwrap();
    let run_out = async || {
        app.advance(Duration::from_secs(901));
        app.reap().await;
    };
    let lost = async |case: &str| {
        let answer = ana.heartbeat(&screen).await;
        assert_eq!((answer.code(), answer.field()), ("LEASE_LOST", "fence"), "{case}: {:#}", answer.body);
        assert_eq!(project.stands(&task).await, "QUEUED [FREE]", "{case}");
    };
    run_out().await;
    project.set(json!({ "state": "PAUSED" })).await;
    lost("the project is paused").await;
    project.set(json!({ "state": "ACTIVE" })).await;
    let ben = project.member(&app, "ben", "ANNOTATOR").await;
    project.reserve(std::slice::from_ref(&task), &ben).await;
    lost("it waits for somebody else").await;
    let input = json!({ "taskIds": [task], "clearReservation": true });
    project.manager.mutate("updateTasks", input, "tasks { id }").await.get("updateTasks");
    for other in &others {
        ana.try_claim_task(&project, other).await.unwrap();
    }
    lost("five others are held").await;
    run_out().await;
    ana.heartbeat(&screen).await.text("heartbeat.expiresAt");
    ana.release(&screen).await.get("releaseTask");
    lost("it was given back").await;
    assert_counters(&app, &project).await;
}

async fn the_end_of_a_turn_repeated_gives_the_same_answer(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana) = one_task(&app, json!({})).await;
    let screen = ana.claim(&project).await;
    for _ in 0..3 {
        assert_eq!(ana.release(&screen).await.text("releaseTask.task.state"), "QUEUED");
    }
    ana.submit(&screen).await.assert_error("LEASE_LOST", "fence");
    let screen = ana.claim(&project).await;
    let answers = join_all((0..4).map(|_| ana.submit(&screen))).await;
    let first = answers[0].get("submitTask");
    assert!(answers.iter().all(|answer| answer.get("submitTask") == first), "one submission, one answer");
    ana.skip(&screen, "no").await.assert_error("LEASE_LOST", "fence");
    assert_eq!(turns(&project, &task).await, ["RELEASED", "SUBMITTED"]);
    let [other] = project.named_tasks("other", 1).await.try_into().unwrap();
    let screen = ana.try_claim_task(&project, &other).await.unwrap();
    for _ in 0..2 {
        assert_eq!(ana.skip(&screen, "too dark").await.text("skipTask.task.state"), "SKIPPED");
    }
    assert_counters(&app, &project).await;
}

async fn a_lease_taken_away_is_lost_to_everything(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana) = one_task(&app, json!({})).await;
    let screen = ana.claim(&project).await;
    project.revoke(&task, None).await.assert_error("INVALID_TRANSITION", "taskId");
    project.revoke(&task, Some(2)).await.assert_error("BAD_USER_INPUT", "slot");
    ana.mutate("revokeLease", json!({ "taskId": task, "slot": 1 }), "task { id }").await.assert_error("FORBIDDEN", "");
    project.revoke(&task, Some(1)).await.get("revokeLease");
    project.revoke(&task, Some(1)).await.assert_error("INVALID_TRANSITION", "slot");
    let revision = revision(&ana, &screen).await;
    for answer in [
        ana.heartbeat(&screen).await,
        ana.submit(&screen).await,
        ana.skip(&screen, "no").await,
        ana.release(&screen).await,
        set_state(&ana, &screen, "PAUSED", revision).await,
    ] {
        answer.assert_error("LEASE_LOST", "fence");
    }
    assert_eq!(project.stands(&task).await, "QUEUED [FREE]");
    let events = project.happened().await;
    let reasons = events.iter().filter(|event| event["why"] == "needed elsewhere").count();
    assert_eq!(reasons, 2, "both say why: {events:#?}");
}

async fn a_wrong_fence_or_session_is_refused(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana) = one_task(&app, json!({})).await;
    let ben = project.member(&app, "ben", "ANNOTATOR").await;
    let screen = ana.claim(&project).await;
    for fence in [0, screen.fence - 1, screen.fence + 1, i64::from(i32::MAX)] {
        let wrong = Screen { fence, ..screen.clone() };
        ana.heartbeat(&wrong).await.assert_error("LEASE_LOST", "fence");
        ana.submit(&wrong).await.assert_error("LEASE_LOST", "fence");
        ana.release(&wrong).await.assert_error("LEASE_LOST", "fence");
    }
    ben.submit(&screen).await.assert_error("NOT_FOUND", "sessionId");
    ben.heartbeat(&screen).await.assert_error("NOT_FOUND", "sessionId");
    let judged = ana.mutate("reviewTask", screen.with(json!({ "verdict": "ACCEPT" })), "task { id }").await;
    judged.assert_error("BAD_USER_INPUT", "sessionId");
    assert_eq!(project.stands(&task).await, "IN_PROGRESS [LEASED]");
}

async fn a_pause_is_swapped_by_its_revision(database: Database) {
    let app = TestApp::new(database).await;
    let (project, _, ana) = one_task(&app, json!({})).await;
    let screen = ana.claim(&project).await;
    let known = revision(&ana, &screen).await;
    let answers = join_all((0..6).map(|_| set_state(&ana, &screen, "PAUSED", known))).await;
    let won = answers.iter().filter(|answer| answer.code().is_empty()).count();
    assert_eq!(won, 1, "of many at once one succeeds");
    for lost in answers.iter().filter(|answer| !answer.code().is_empty()) {
        lost.assert_refused("a swap that came late", "STALE", "expectedRevision");
    }
    set_state(&ana, &screen, "ACTIVE", known).await.assert_error("STALE", "expectedRevision");
    let active = set_state(&ana, &screen, "ACTIVE", revision(&ana, &screen).await).await;
    assert_eq!(active.text("setSessionState.session.state"), "ACTIVE");
    set_state(&ana, &screen, "COMPLETED", 1).await.assert_error("BAD_USER_INPUT", "state");
}

async fn a_paused_lease_runs_its_time_without_heartbeats(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana) = one_task(&app, json!({ "leaseSeconds": 60 })).await;
    let screen = ana.claim(&project).await;
    let paused = set_state(&ana, &screen, "PAUSED", revision(&ana, &screen).await).await;
    let ends = time(&paused, "setSessionState.session.expiresAt");
    app.advance(Duration::from_secs(600));
    app.reap().await;
    assert_eq!(project.stands(&task).await, "IN_PROGRESS [LEASED]", "longer than a lease");
    assert_eq!(time(&ana.heartbeat(&screen).await, "heartbeat.expiresAt"), ends, "a pause is not stretched");
    app.advance(Duration::from_secs(301));
    app.reap().await;
    assert_eq!(project.stands(&task).await, "QUEUED [FREE]");
    ana.heartbeat(&screen).await.text("heartbeat.expiresAt");
    let active = set_state(&ana, &screen, "ACTIVE", revision(&ana, &screen).await).await;
    let ends = time(&active, "setSessionState.session.expiresAt");
    let now = app.use_cases().db.clock().process_now();
    assert!(ends - now <= chrono::TimeDelta::seconds(61), "an ACTIVE lease runs its own time again");
}

async fn a_task_that_expires_too_often_is_quarantined(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana) = one_task(&app, json!({ "overlap": 3 })).await;
    let (ben, cleo) = (project.member(&app, "ben", "ANNOTATOR").await, project.member(&app, "cleo", "ANNOTATOR").await);
    let done = ben.claim(&project).await;
    ben.submit(&done).await.get("submitTask");
    for _ in 0..4 {
        ana.claim(&project).await;
        app.advance(Duration::from_secs(901));
        app.reap().await;
    }
    assert_eq!(project.stands(&task).await, "IN_PROGRESS [SUBMITTED, FREE, FREE]");
    ana.claim(&project).await;
    app.advance(Duration::from_secs(600));
    let running = cleo.claim(&project).await;
    app.advance(Duration::from_secs(301));
    app.reap().await;
    assert_eq!(project.stands(&task).await, "QUARANTINED [SUBMITTED, FREE, FREE]");
    let query = "query($id: ID!) { task(id: $id) { quarantineReason } }";
    let seen = project.manager.send(query, json!({ "id": task })).await;
    assert_eq!(seen.text("task.quarantineReason"), "its leases ran out 5 times");
    cleo.heartbeat(&running).await.assert_error("LEASE_LOST", "fence");
    assert_eq!(cleo.try_claim(&project).await, Err("QUEUE_EMPTY".into()));
    assert_counters(&app, &project).await;
    app.reconcile().await;
    let metrics = app.http.get(app.admin_url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("concord_tasks{state=\"quarantined\"} 1"), "{metrics}");
    assert_eq!(project.reopen(&task).await.text("reopenTask.task.state"), "IN_PROGRESS");
    cleo.claim(&project).await;
    assert_counters(&app, &project).await;
}

async fn one_person_finishes_everything_though_every_lease_ran_out_once(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Text, json!({ "review": "NONE" })).await;
    let tasks = project.text_tasks(7).await;
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    let mut expired = Vec::new();
    while let Ok(screen) = ana.try_claim(&project).await {
        if expired.contains(&screen.task) {
            ana.submit(&screen).await.get("submitTask");
        } else {
            expired.push(screen.task);
            app.advance(Duration::from_secs(901));
            app.reap().await;
        }
    }
    assert_eq!(expired.len(), tasks.len());
    for task in tasks {
        assert_eq!(project.stands(&task).await, "ACCEPTED [ACCEPTED]");
    }
    assert_counters(&app, &project).await;
}

async fn a_submission_can_be_taken_back_before_its_review(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana) = one_task(&app, json!({})).await;
    let (ben, rita) = (project.member(&app, "ben", "ANNOTATOR").await, project.member(&app, "rita", "REVIEWER").await);
    ana.withdraw(&task).await.assert_error("INVALID_TRANSITION", "taskId");
    let screen = ana.claim(&project).await;
    ana.submit(&screen).await.get("submitTask");
    ben.withdraw(&task).await.assert_error("INVALID_TRANSITION", "taskId");
    project.set(json!({ "state": "PAUSED" })).await;
    ana.withdraw(&task).await.assert_refused("paused", "PROJECT_PAUSED", "");
    project.set(json!({ "state": "ACTIVE" })).await;
    for other in project.named_tasks("other", 5).await {
        ana.try_claim_task(&project, &other).await.unwrap();
    }
    ana.withdraw(&task).await.assert_error("LIMIT_EXCEEDED", "taskId");
    app.advance(Duration::from_secs(901));
    app.reap().await;
    let back = ana.withdraw(&task).await;
    let fence = back.get("withdrawSubmission.session.fence").as_i64().unwrap();
    assert!(fence > screen.fence, "a new fence");
    assert_eq!(project.stands(&task).await, "IN_PROGRESS [LEASED]");
    let again = Screen { session: back.text("withdrawSubmission.session.id"), fence, ..screen };
    ana.submit(&again).await.get("submitTask");
    assert_eq!(turns(&project, &task).await, ["SUBMITTED", "SUBMITTED"]);
    rita.claim_review(&project).await;
    ana.withdraw(&task).await.assert_error("INVALID_TRANSITION", "taskId");
    assert_eq!(project.stands(&task).await, "IN_REVIEW [SUBMITTED]");
    assert_counters(&app, &project).await;
}

async fn archiving_ends_leases_for_good(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana) = one_task(&app, json!({})).await;
    let screen = ana.claim(&project).await;
    project.archive(vec![task.clone()], true).await.get("archiveTasks");
    assert_eq!(project.stands(&task).await, "ARCHIVED [FREE]");
    ana.heartbeat(&screen).await.assert_error("LEASE_LOST", "fence");
    project.archive(vec![task.clone()], false).await.get("archiveTasks");
    ana.heartbeat(&screen).await.assert_error("LEASE_LOST", "fence");
    ana.submit(&screen).await.assert_error("LEASE_LOST", "fence");
    assert_eq!(project.stands(&task).await, "QUEUED [FREE]");
    assert_eq!(turns(&project, &task).await, ["REVOKED"]);
    let sessions: Vec<Value> = project
        .happened()
        .await
        .into_iter()
        .filter(|event| event["type"] == "SESSION_CHANGED")
        .map(|event| event["opened"].clone())
        .collect();
    assert_eq!(sessions, [json!(true), json!(false)]);
    assert_counters(&app, &project).await;
}

async fn every_turn_is_kept(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana) = one_task(&app, json!({})).await;
    let ben = project.member(&app, "ben", "ANNOTATOR").await;
    let screen = ana.claim(&project).await;
    ana.release(&screen).await.get("releaseTask");
    ben.claim(&project).await;
    let query = "query($id: ID!, $first: Int!) { task(id: $id) { assignments(first: $first) {
        totalCount pageInfo { hasNextPage } edges { cursor }
        nodes { id slot state round startedAt endedAt annotator { id } } } } }";
    let seen = project.manager.send(query, json!({ "id": task, "first": 10 })).await;
    let turns = seen.get("task.assignments.nodes").as_array().unwrap();
    assert_eq!(seen.get("task.assignments.totalCount"), 2);
    assert_eq!((&turns[0]["annotator"]["id"], &turns[0]["state"]), (&json!(ana.id), &json!("RELEASED")));
    assert_eq!((&turns[1]["annotator"]["id"], &turns[1]["endedAt"]), (&json!(ben.id), &Value::Null));
    assert!(turns[0]["endedAt"].as_str() >= turns[0]["startedAt"].as_str());
    let page = project.manager.send(query, json!({ "id": task, "first": 1 })).await;
    assert_eq!(page.get("task.assignments.pageInfo.hasNextPage"), true);
    let query = "query($id: ID!) { node(id: $id) { ... on Assignment { slot round } } }";
    let node = project.manager.send(query, json!({ "id": turns[0]["id"] })).await;
    assert_eq!((node.get("node.slot"), node.get("node.round")), (&json!(1), &json!(1)));
}

async fn the_end_of_one_turn_leaves_the_others_alone(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana) = one_task(&app, json!({ "overlap": 4 })).await;
    let mut others = Vec::new();
    for name in ["ben", "cleo", "dora"] {
        let person = project.member(&app, name, "ANNOTATOR").await;
        let screen = person.claim(&project).await;
        others.push((person, screen));
    }
    let screen = ana.claim(&project).await;
    ana.submit(&screen).await.get("submitTask");
    others[0].0.skip(&others[0].1, "too dark").await.get("skipTask");
    others[1].0.release(&others[1].1).await.get("releaseTask");
    assert_eq!(project.stands(&task).await, "IN_PROGRESS [SKIPPED, FREE, LEASED, SUBMITTED]");
    others[2].0.heartbeat(&others[2].1).await.text("heartbeat.expiresAt");
    ana.withdraw(&task).await.get("withdrawSubmission");
    others[2].0.submit(&others[2].1).await.get("submitTask");
    assert_eq!(project.stands(&task).await, "IN_PROGRESS [SKIPPED, FREE, SUBMITTED, LEASED]");
    assert_counters(&app, &project).await;
}

async fn a_task_that_cannot_be_ended_does_not_keep_others_from_it(database: Database) {
    let app = TestApp::new(database).await;
    let (project, broken, ana) = one_task(&app, json!({})).await;
    ana.claim(&project).await;
    // What no change of the server's own leads to.
    app.sql(&format!("UPDATE task SET state = 'QUEUED' WHERE id = {}", app.literal(&broken))).await;
    app.advance(Duration::from_secs(1));
    let [sound] = project.named_tasks("sound", 1).await.try_into().unwrap();
    ana.try_claim_task(&project, &sound).await.unwrap();
    app.advance(Duration::from_secs(901));
    app.reap().await;
    assert_eq!(project.stands(&sound).await, "QUEUED [FREE]");
}

async fn a_lease_is_not_revived_by_who_skipped_the_task_since(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana) = one_task(&app, json!({ "overlap": 2 })).await;
    let first = ana.claim(&project).await;
    let ben = project.member(&app, "ben", "ANNOTATOR").await;
    app.advance(Duration::from_secs(901));
    app.reap().await;
    // The first slot waits for ben for a while, so that ana's next one is the other.
    project.reserve(std::slice::from_ref(&task), &ben).await;
    let second = ana.try_claim_task(&project, &task).await.unwrap();
    assert_ne!(second.slot, first.slot);
    ana.skip(&second, "too dark").await.get("skipTask");
    let input = json!({ "taskIds": [task], "clearReservation": true });
    project.manager.mutate("updateTasks", input, "tasks { id }").await.get("updateTasks");
    ana.heartbeat(&first).await.assert_error("LEASE_LOST", "fence");
    assert_eq!(project.stands(&task).await, "QUEUED [FREE, SKIPPED]");
}

async fn the_server_ends_by_itself_what_ran_out(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana) = one_task(&app, json!({})).await;
    app.running.work();
    ana.claim(&project).await;
    app.advance(Duration::from_secs(901));
    wait_until("the lease to be ended", async || project.stands(&task).await == "QUEUED [FREE]").await;
    project.reserve(std::slice::from_ref(&task), &ana).await;
    project.set_member(&ana, Value::Null).await.get("setMember");
    let ben = project.member(&app, "ben", "ANNOTATOR").await;
    wait_until("the reservation to be opened", async || ben.try_claim(&project).await.is_ok()).await;
    let metrics = async || app.http.get(app.admin_url("/metrics")).send().await.unwrap().text().await.unwrap();
    wait_until("the tasks to be counted", async || {
        let metrics = metrics().await;
        metrics.contains("concord_tasks{state=\"in_progress\"} 1") && metrics.contains("concord_queue_slots 0")
    })
    .await;
    let metrics = metrics().await;
    for line in [
        "concord_leases_ended_total{how=\"expired\"} 1",
        "concord_claims_total{of=\"task\",outcome=\"claimed\"} 2",
        "concord_reaper_lag_seconds_count 1",
        "task_latency_seconds_count{phase=\"queued\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
}

/// The states of a task's turns, oldest first.
async fn turns(project: &Project, task: &str) -> Vec<String> {
    let query = "query($id: ID!) { task(id: $id) { assignments(first: 50) { nodes { state } } } }";
    let seen = project.manager.send(query, json!({ "id": task })).await;
    let turns = seen.get("task.assignments.nodes").as_array().unwrap();
    turns.iter().map(|turn| turn["state"].as_str().unwrap().to_owned()).collect()
}
