//! Claiming: who gets which slot, in which order, and what nobody gets.

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;
use sea_orm::ConnectionTrait;
use serde_json::json;

use crate::harness::{
    Database, Media, Project, TestApp, assert_counters,
    labeling::{Screen, claimed},
    on_every_queue, wait_until,
};

on_every_queue![
    the_highest_priority_comes_first_and_then_what_waits_longest,
    a_reserved_slot_waits_for_its_person_and_is_theirs_first,
    a_reservation_ends_with_its_time_or_its_person,
    nobody_holds_two_slots_of_a_task,
    what_was_skipped_is_not_offered_again_in_its_round,
    what_was_given_back_goes_to_others_first,
    nobody_holds_more_than_five_even_when_claiming_at_once,
    a_claim_repeated_by_its_request_id_gives_the_same_session,
    a_request_id_is_forgotten_after_a_day,
    a_claim_that_finds_nothing_says_why,
    a_task_can_be_claimed_by_name,
    a_holder_opens_a_second_screen_under_the_same_fence,
    a_reloaded_screen_finds_its_sessions,
    who_may_not_label_claims_nothing;
    only postgres:
    nobody_is_sent_away_while_somebody_else_looks_at_the_last_task,
    a_claim_is_planned_once,
];

async fn project(app: &TestApp, overlap: i32) -> Project {
    app.project_with(&app.admin().await, Media::Text, json!({ "overlap": overlap })).await
}

/// PostgreSQL goes over to one plan for all after five runs, unless a plan for the values at hand looks cheaper: then it
/// plans at every run, which costs more than the claim.
async fn a_claim_is_planned_once(database: Database) {
    let app = TestApp::with(database, &[("DATABASE_CONNECTIONS", "1")]).await;
    let project = project(&app, 1).await;
    // Enough for a tenth of them to look dear.
    for name in ["first", "second", "third"] {
        project.named_tasks(name, 1_000).await;
    }
    app.sql("ANALYZE").await;
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    for _ in 0..12 {
        let screen = ana.claim(&project).await;
        ana.submit(&screen).await.get("submitTask");
    }
    let sql = "SELECT custom_plans, generic_plans FROM pg_prepared_statements WHERE statement LIKE 'WITH \"pick\"%'";
    let plans: Vec<(i64, i64)> = app.rows(sql).await;
    assert_eq!(plans, [(5, 7)], "made for the values, and the one for all");
}

async fn the_highest_priority_comes_first_and_then_what_waits_longest(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app, 1).await;
    let tasks = project.text_tasks(4).await;
    let input = json!({ "taskIds": [tasks[2]], "priority": 7 });
    project.manager.mutate("updateTasks", input, "tasks { id }").await.get("updateTasks");
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    let mut order = Vec::new();
    for _ in 0..4 {
        order.push(ana.claim(&project).await.task);
    }
    assert_eq!(order, [&tasks[2], &tasks[0], &tasks[1], &tasks[3]].map(Clone::clone));
    assert_counters(&app, &project).await;
}

async fn a_reserved_slot_waits_for_its_person_and_is_theirs_first(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app, 1).await;
    let tasks = project.text_tasks(2).await;
    let (ana, ben) = (project.member(&app, "ana", "ANNOTATOR").await, project.member(&app, "ben", "ANNOTATOR").await);
    project.reserve(&tasks[1..], &ben).await;
    assert_eq!(ana.claim(&project).await.task, tasks[0]);
    assert_eq!(ana.try_claim(&project).await, Err("QUEUE_EMPTY".into()));
    assert_eq!(ana.try_claim_task(&project, &tasks[1]).await, Err("NOT_AVAILABLE".into()));
    let newer = project.named_tasks("newer", 1).await;
    let urgent = json!({ "taskIds": newer, "priority": 9 });
    project.manager.mutate("updateTasks", urgent, "tasks { id }").await.get("updateTasks");
    assert_eq!(ben.claim(&project).await.task, tasks[1], "before anything else");
    assert_eq!(ben.claim(&project).await.task, newer[0]);
}

async fn a_reservation_ends_with_its_time_or_its_person(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app, 1).await;
    let tasks = project.text_tasks(2).await;
    let (ana, ben) = (project.member(&app, "ana", "ANNOTATOR").await, project.member(&app, "ben", "ANNOTATOR").await);
    let rita = project.member(&app, "rita", "REVIEWER").await;
    let screen = ben.claim(&project).await;
    ben.submit(&screen).await.get("submitTask");
    let review = rita.claim_review(&project).await;
    rita.judge(&review, "REJECT", json!({})).await.get("reviewTask");
    ana.claim(&project).await;
    assert_eq!(ana.try_claim(&project).await, Err("QUEUE_EMPTY".into()), "it waits for who did it");
    app.advance(Duration::from_secs(24 * 3_600 + 1));
    app.reconcile().await;
    assert_eq!(ana.claim(&project).await.task, tasks[0]);

    let left = project.named_tasks("left", 1).await;
    project.reserve(&left, &ben).await;
    app.reconcile().await;
    assert_eq!(ana.try_claim_task(&project, &left[0]).await, Err("NOT_AVAILABLE".into()));
    project.set_member(&ben, json!(null)).await.get("setMember");
    app.reconcile().await;
    assert_eq!(ana.claim(&project).await.task, left[0]);
}

async fn nobody_holds_two_slots_of_a_task(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app, 3).await;
    let [task] = project.text_tasks(1).await.try_into().unwrap();
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    let first = ana.claim(&project).await;
    assert_eq!(ana.try_claim(&project).await, Err("ALL_DONE_BY_YOU".into()), "held");
    ana.submit(&first).await.get("submitTask");
    assert_eq!(ana.try_claim(&project).await, Err("ALL_DONE_BY_YOU".into()), "handed in");
    // Reserving a second slot for the same person does not make it theirs either.
    project.reserve(std::slice::from_ref(&task), &ana).await;
    assert_eq!(ana.try_claim(&project).await, Err("ALL_DONE_BY_YOU".into()), "reserved");
    let others: BTreeSet<Option<i64>> =
        [project.member(&app, "ben", "ANNOTATOR").await.claim(&project).await.slot, first.slot].into();
    assert_eq!(others.len(), 2, "different slots");
}

async fn what_was_skipped_is_not_offered_again_in_its_round(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app, 2).await;
    let [task] = project.text_tasks(1).await.try_into().unwrap();
    let (ana, ben) = (project.member(&app, "ana", "ANNOTATOR").await, project.member(&app, "ben", "ANNOTATOR").await);
    let screen = ana.claim(&project).await;
    ana.skip(&screen, " ").await.assert_error("BAD_USER_INPUT", "reason");
    ana.skip(&screen, "too dark").await.get("skipTask");
    assert_eq!(ana.try_claim(&project).await, Err("ALL_DONE_BY_YOU".into()));
    assert_eq!(ana.try_claim_task(&project, &task).await, Err("NOT_AVAILABLE".into()));
    let screen = ben.claim(&project).await;
    ben.skip(&screen, "too dark").await.get("skipTask");
    assert_eq!(project.stands(&task).await, "SKIPPED [SKIPPED, SKIPPED]");
    let seen =
        project.manager.send("query($id: ID!) { task(id: $id) { slots { skipReason } } }", json!({ "id": task })).await;
    assert_eq!(seen.text("task.slots.0.skipReason"), "too dark");
    project.reopen(&task).await.get("reopenTask");
    assert_eq!(project.stands(&task).await, "QUEUED [FREE, FREE]");
    assert_counters(&app, &project).await;
    // A manager may still ask for that very person.
    project.reserve(std::slice::from_ref(&task), &ana).await;
    assert_eq!(ana.claim(&project).await.task, task);
}

async fn what_was_given_back_goes_to_others_first(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app, 1).await;
    let tasks = project.text_tasks(2).await;
    let (ana, ben) = (project.member(&app, "ana", "ANNOTATOR").await, project.member(&app, "ben", "ANNOTATOR").await);
    let screen = ana.claim(&project).await;
    ana.release(&screen).await.get("releaseTask");
    assert_eq!(ana.claim(&project).await.task, tasks[1], "the other one");
    assert_eq!(ben.claim(&project).await.task, tasks[0], "for ben it is the next one");
    project.revoke(&tasks[0], Some(1)).await.get("revokeLease");
    assert_eq!(ana.claim(&project).await.task, tasks[0], "nothing else is left");
    assert_counters(&app, &project).await;
}

async fn nobody_holds_more_than_five_even_when_claiming_at_once(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app, 1).await;
    project.text_tasks(12).await;
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    let answers = join_all((0..12).map(|_| ana.try_claim(&project))).await;
    let (held, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    let tasks: BTreeSet<String> = held.into_iter().map(|screen| screen.unwrap().task).collect();
    assert_eq!(tasks.len(), 5);
    assert!(refused.iter().all(|answer| *answer == Err("LEASE_LIMIT".into())), "{refused:?}");
    assert_counters(&app, &project).await;
}

async fn a_claim_repeated_by_its_request_id_gives_the_same_session(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app, 1).await;
    let other = app.project(&project.manager, Media::Text).await;
    project.text_tasks(3).await;
    other.text_tasks(1).await;
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    other.set_member(&ana, json!("ANNOTATOR")).await.get("setMember");
    let request = || json!({ "requestId": "first click" });
    let answers = join_all((0..6).map(|_| ana.claim_with(&project, request()))).await;
    let screens: BTreeSet<String> =
        answers.iter().map(|answer| claimed(answer, "claimTask").unwrap().session).collect();
    assert_eq!(screens.len(), 1, "one lease for six clicks");
    ana.claim_with(&other, request()).await.assert_error("BAD_USER_INPUT", "requestId");
    let next = claimed(&ana.claim_with(&project, json!({ "requestId": "second click" })).await, "claimTask").unwrap();
    assert!(!screens.contains(&next.session));
    let ben = project.member(&app, "ben", "ANNOTATOR").await;
    let bens = claimed(&ben.claim_with(&project, request()).await, "claimTask").unwrap();
    assert!(!screens.contains(&bens.session), "a request id is one person's own");
    for id in ["", &"x".repeat(201), "a\0b"] {
        ana.claim_with(&project, json!({ "requestId": id })).await.assert_error("BAD_USER_INPUT", "requestId");
    }
}

async fn a_request_id_is_forgotten_after_a_day(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app, 1).await;
    project.text_tasks(3).await;
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    let claim =
        async || claimed(&ana.claim_with(&project, json!({ "requestId": "click" })).await, "claimTask").unwrap();
    let first = claim().await;
    app.advance(Duration::from_secs(23 * 3_600));
    assert_eq!(claim().await, first);
    app.advance(Duration::from_secs(2 * 3_600));
    assert_ne!(claim().await.session, first.session);
}

async fn a_claim_that_finds_nothing_says_why(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app, 1).await;
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    assert_eq!(ana.try_claim(&project).await, Err("QUEUE_EMPTY".into()));
    project.text_tasks(1).await;
    project.set(json!({ "state": "PAUSED" })).await;
    assert_eq!(ana.try_claim(&project).await, Err("PROJECT_PAUSED".into()));
    project.set(json!({ "state": "ARCHIVED" })).await;
    ana.claim_with(&project, json!({})).await.assert_error("INVALID_TRANSITION", "projectId");
    project.set(json!({ "state": "ACTIVE" })).await;
    ana.claim(&project).await;
}

async fn a_task_can_be_claimed_by_name(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app, 1).await;
    let other = app.project(&project.manager, Media::Text).await;
    let tasks = project.text_tasks(2).await;
    let [elsewhere] = other.text_tasks(1).await.try_into().unwrap();
    let (ana, ben) = (project.member(&app, "ana", "ANNOTATOR").await, project.member(&app, "ben", "ANNOTATOR").await);
    let screen = ana.try_claim_task(&project, &tasks[1]).await.unwrap();
    assert_eq!(screen.task, tasks[1]);
    assert_eq!(ben.try_claim_task(&project, &tasks[1]).await, Err("NOT_AVAILABLE".into()));
    ana.submit(&screen).await.get("submitTask");
    assert_eq!(ben.try_claim_task(&project, &tasks[1]).await, Err("NOT_AVAILABLE".into()));
    project.archive(vec![tasks[0].clone()], true).await.get("archiveTasks");
    assert_eq!(ben.try_claim_task(&project, &tasks[0]).await, Err("NOT_AVAILABLE".into()));
    for task in [&elsewhere, "task_01h455vb4pex5vsknk084sn02q"] {
        ben.claim_with(&project, json!({ "taskId": task })).await.assert_error("NOT_FOUND", "taskId");
    }
    assert_counters(&app, &project).await;
}

async fn a_holder_opens_a_second_screen_under_the_same_fence(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app, 1).await;
    let [task] = project.text_tasks(1).await.try_into().unwrap();
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    let first = ana.claim(&project).await;
    project.set(json!({ "state": "PAUSED" })).await;
    let second = ana.try_claim_task(&project, &task).await.unwrap();
    assert_eq!((second.fence, second.slot), (first.fence, first.slot));
    assert!(second.session != first.session && second.actor != first.actor);
    ana.heartbeat(&second).await.get("heartbeat");
    ana.submit(&second).await.get("submitTask");
    ana.heartbeat(&first).await.assert_error("LEASE_LOST", "fence");
    assert_eq!(ana.submit(&first).await.text("submitTask.task.state"), "SUBMITTED", "the same turn, the same answer");
}

async fn a_reloaded_screen_finds_its_sessions(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app, 1).await;
    project.text_tasks(2).await;
    let (ana, ben) = (project.member(&app, "ana", "ANNOTATOR").await, project.member(&app, "ben", "ANNOTATOR").await);
    let open = async |person: &crate::harness::Person| -> Vec<String> {
        let query = "{ viewer { sessions { id state role expiresAt slot { leaseExpiresAt } } } }";
        let seen = person.send(query, json!({})).await;
        let sessions = seen.get("viewer.sessions").as_array().unwrap().clone();
        assert!(sessions.iter().all(|session| session["state"] == "ACTIVE" && session["role"] == "HOLDER"));
        assert!(sessions.iter().all(|session| session["expiresAt"] == session["slot"]["leaseExpiresAt"]));
        sessions.iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect()
    };
    let screens: Vec<Screen> = vec![ana.claim(&project).await, ana.claim(&project).await];
    assert_eq!(open(&ana).await, screens.iter().map(|screen| screen.session.clone()).collect::<Vec<_>>());
    assert!(open(&ben).await.is_empty());
    ana.submit(&screens[0]).await.get("submitTask");
    assert_eq!(open(&ana).await, [screens[1].session.clone()]);
    let query = "query($id: ID!) { node(id: $id) { ... on LabelingSession { state revision } } }";
    let ended = ana.send(query, json!({ "id": screens[0].session })).await;
    assert_eq!(ended.text("node.state"), "COMPLETED");
    assert!(ben.send(query, json!({ "id": screens[1].session })).await.get("node").is_null(), "one's own alone");
    let others = "query($id: ID!) { node(id: $id) { ... on User { sessions { id } } } }";
    let seen = ben.send(others, json!({ "id": ana.id })).await;
    assert_eq!(seen.get("node.sessions"), &json!([]));
}

async fn who_may_not_label_claims_nothing(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app, 1).await;
    project.text_tasks(1).await;
    let (vera, eve) = (project.member(&app, "vera", "VIEWER").await, app.person("eve").await);
    vera.claim_with(&project, json!({})).await.assert_error("FORBIDDEN", "");
    eve.claim_with(&project, json!({})).await.assert_error("NOT_FOUND", "projectId");
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    let screen = ana.claim(&project).await;
    project.set_member(&ana, json!("VIEWER")).await.get("setMember");
    ana.heartbeat(&screen).await.assert_error("FORBIDDEN", "");
    project.set_member(&ana, json!(null)).await.get("setMember");
    ana.heartbeat(&screen).await.assert_error("NOT_FOUND", "sessionId");
    ana.submit(&screen).await.assert_error("NOT_FOUND", "sessionId");
}

async fn nobody_is_sent_away_while_somebody_else_looks_at_the_last_task(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app, 1).await;
    let [task] = project.text_tasks(1).await.try_into().unwrap();
    let (ana, rita) = (project.member(&app, "ana", "ANNOTATOR").await, project.member(&app, "rita", "REVIEWER").await);
    let hold = async || {
        let txn = app.use_cases().db.begin().await.unwrap();
        let touched = format!("UPDATE task SET version = version WHERE id = {}", app.literal(&task));
        txn.execute_unprepared(&touched).await.unwrap();
        txn
    };
    let waits = async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
          AND wait_event_type = 'Lock'";
        wait_until("the claim to wait", async || app.rows::<(i64,)>(waiting).await == [(1,)]).await;
    };
    let txn = hold().await;
    let (screen, ()) = futures::join!(ana.try_claim(&project), async {
        waits().await;
        txn.commit().await.unwrap();
    });
    let screen = screen.expect("it was only looked at");
    ana.submit(&screen).await.get("submitTask");
    let txn = hold().await;
    let (review, ()) = futures::join!(rita.try_claim_review(&project, json!({})), async {
        waits().await;
        txn.commit().await.unwrap();
    });
    review.expect("it was only looked at");
}
