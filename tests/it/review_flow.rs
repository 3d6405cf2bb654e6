//! Reviewing: who judges what, what a verdict does, and what comes back.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    Answer, Database, Media, Person, Project, TestApp, assert_counters, labeling::Screen, on_both_databases,
};

on_both_databases![
    accepted_work_is_done,
    rejected_work_goes_back_to_who_did_it,
    every_slot_gets_its_own_verdict,
    a_review_that_ends_early_leaves_the_task_to_others,
    nobody_reviews_their_own_work,
    a_reviewer_opens_a_second_screen_and_finds_it_again,
    a_review_that_cannot_be_had_says_why,
    a_judgement_repeated_gives_the_same_answer,
    a_judgement_of_what_waits_for_none_is_refused,
    without_review_the_last_submission_accepts,
    a_finished_task_can_be_opened_again,
    a_review_is_paused_and_kept_like_a_lease,
    work_of_a_round_after_a_reopening_is_ones_own_too,
    annotators_of_one_task_do_not_see_each_others_verdicts,
];

/// A project with an annotator for each slot, a reviewer, and one task.
struct Team {
    project: Project,
    task: String,
    annotators: Vec<Person>,
    rita: Person,
}

impl Team {
    async fn new(app: &TestApp, overlap: usize, settings: Value) -> Self {
        let mut all = json!({ "overlap": overlap });
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let project = app.project_with(&app.admin().await, Media::Text, all).await;
        let [task] = project.text_tasks(1).await.try_into().unwrap();
        let mut annotators = Vec::new();
        for name in ["ana", "ben", "cleo"].iter().take(overlap) {
            annotators.push(project.member(app, name, "ANNOTATOR").await);
        }
        let rita = project.member(app, "rita", "REVIEWER").await;
        Self { project, task, annotators, rita }
    }

    /// Everybody labels a slot and hands it in.
    async fn submit_all(&self) -> Vec<Screen> {
        let mut screens = Vec::new();
        for person in &self.annotators {
            let screen = person.claim(&self.project).await;
            person.submit(&screen).await.get("submitTask");
            screens.push(screen);
        }
        screens
    }

    async fn stands(&self) -> String {
        self.project.stands(&self.task).await
    }
}

fn verdicts(answer: &Answer) -> Vec<(i64, String)> {
    let reviews = answer.get("reviewTask.reviews").as_array().unwrap().iter();
    reviews.map(|review| (review["slot"].as_i64().unwrap(), review["verdict"].as_str().unwrap().to_owned())).collect()
}

async fn accepted_work_is_done(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::new(&app, 1, json!({})).await;
    team.submit_all().await;
    let review = team.rita.claim_review(&team.project).await;
    assert_eq!((review.task.as_str(), review.slot), (team.task.as_str(), Some(1)));
    assert_eq!(team.stands().await, "IN_REVIEW [SUBMITTED]");
    let judged = team.rita.judge(&review, "ACCEPT", json!({ "comment": " well\ndone " })).await;
    assert_eq!(judged.text("reviewTask.task.state"), "ACCEPTED");
    assert_eq!(judged.text("reviewTask.reviews.0.comment"), "well\ndone");
    assert_eq!(judged.text("reviewTask.reviews.0.reviewer.id"), team.rita.id);
    let query = "query($id: ID!) { task(id: $id) { reviews { id slot verdict comment round at reviewer { id } }
        slots { submittedBy { id } submittedAt } } }";
    let seen = team.annotators[0].send(query, json!({ "id": team.task })).await;
    assert_eq!(seen.get("task.reviews"), judged.get("reviewTask.reviews"), "the annotator reads it");
    assert_eq!(seen.text("task.slots.0.submittedBy.id"), team.annotators[0].id);
    let node = "query($id: ID!) { node(id: $id) { ... on Review { comment } } }";
    let node = team.rita.send(node, json!({ "id": judged.get("reviewTask.reviews.0.id") })).await;
    assert_eq!(node.text("node.comment"), "well\ndone");
    let happened = team.project.happened().await;
    let recorded: Vec<&Value> = happened.iter().filter(|event| event["type"] == "REVIEW_RECORDED").collect();
    assert_eq!(recorded.len(), 1);
    assert_eq!(recorded[0]["review"]["verdict"], "ACCEPT");
    assert_counters(&app, &team.project).await;
}

async fn rejected_work_goes_back_to_who_did_it(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::new(&app, 1, json!({})).await;
    let (project, ana) = (&team.project, &team.annotators[0]);
    let dora = project.member(&app, "dora", "ANNOTATOR").await;
    let first = team.submit_all().await.remove(0);
    let review = team.rita.claim_review(project).await;
    let judged = team.rita.judge(&review, "REJECT", json!({ "comment": "too wide" })).await;
    assert_eq!(
        (judged.text("reviewTask.task.state"), judged.get("reviewTask.task.round")),
        ("REWORK".into(), &json!(2))
    );
    assert_eq!(team.stands().await, "REWORK [FREE]");
    let query = "query($id: ID!) { task(id: $id) { slots { round reservedFor { id } submittedBy { id } } } }";
    let seen = project.manager.send(query, json!({ "id": team.task })).await;
    assert_eq!(seen.text("task.slots.0.reservedFor.id"), ana.id);
    assert_eq!((seen.get("task.slots.0.round"), seen.get("task.slots.0.submittedBy")), (&json!(2), &Value::Null));
    assert_eq!(dora.try_claim(project).await, Err("QUEUE_EMPTY".into()));
    let again = ana.claim(project).await;
    assert!(again.task == first.task && again.fence > first.fence);
    ana.submit(&again).await.get("submitTask");
    assert_eq!(team.stands().await, "SUBMITTED [SUBMITTED]");
    let review = team.rita.claim_review(project).await;
    team.rita.judge(&review, "ACCEPT", json!({})).await.get("reviewTask");
    let query = "query($id: ID!) { task(id: $id) { reviews { round verdict } assignments(first: 9) { nodes { round state } } } }";
    let seen = ana.send(query, json!({ "id": team.task })).await;
    let (first, second) = (json!({ "round": 1, "verdict": "REJECT" }), json!({ "round": 2, "verdict": "ACCEPT" }));
    assert_eq!(seen.get("task.reviews"), &json!([first, second]));
    let (first, second) = (json!({ "round": 1, "state": "REJECTED" }), json!({ "round": 2, "state": "ACCEPTED" }));
    assert_eq!(seen.get("task.assignments.nodes"), &json!([first, second]));
    assert_counters(&app, project).await;
}

async fn every_slot_gets_its_own_verdict(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::new(&app, 3, json!({})).await;
    team.submit_all().await;
    let review = team.rita.claim_review(&team.project).await;
    assert_eq!(review.slot, None, "a review of several slots");
    let judged = team.rita.judge(&review, "REJECT", json!({ "slot": 2 })).await;
    assert_eq!(verdicts(&judged), [(2, "REJECT".into())]);
    assert_eq!(team.stands().await, "IN_REVIEW [SUBMITTED, REJECTED, SUBMITTED]");
    team.rita.judge(&review, "ACCEPT", json!({ "slot": 2 })).await.assert_error("INVALID_TRANSITION", "slot");
    let judged = team.rita.judge(&review, "ACCEPT", json!({})).await;
    assert_eq!(verdicts(&judged), [(1, "ACCEPT".into()), (3, "ACCEPT".into())], "all that waited");
    assert_eq!(team.stands().await, "REWORK [ACCEPTED, FREE, ACCEPTED]");
    for index in [0, 2] {
        assert_eq!(team.annotators[index].try_claim(&team.project).await, Err("QUEUE_EMPTY".into()));
    }
    let again = team.annotators[1].claim(&team.project).await;
    assert_eq!(again.slot, Some(2));
    team.annotators[1].submit(&again).await.get("submitTask");
    assert_eq!(team.stands().await, "SUBMITTED [ACCEPTED, SUBMITTED, ACCEPTED]");
    let review = team.rita.claim_review(&team.project).await;
    assert_eq!(review.slot, Some(2), "one slot waits");
    team.rita.judge(&review, "ACCEPT", json!({})).await.get("reviewTask");
    assert_eq!(team.stands().await, "ACCEPTED [ACCEPTED, ACCEPTED, ACCEPTED]");
    assert_counters(&app, &team.project).await;
}

async fn a_review_that_ends_early_leaves_the_task_to_others(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::new(&app, 1, json!({})).await;
    let rolf = team.project.member(&app, "rolf", "REVIEWER").await;
    team.submit_all().await;
    let first = team.rita.claim_review(&team.project).await;
    assert_eq!(rolf.try_claim_review(&team.project, json!({})).await, Err("QUEUE_EMPTY".into()));
    for _ in 0..2 {
        assert_eq!(team.rita.release(&first).await.text("releaseTask.task.state"), "SUBMITTED");
    }
    team.rita.judge(&first, "ACCEPT", json!({})).await.assert_error("LEASE_LOST", "fence");
    let second = rolf.claim_review(&team.project).await;
    assert!(second.fence > first.fence);
    app.advance(Duration::from_secs(901));
    app.reap().await;
    assert_eq!(team.stands().await, "SUBMITTED [SUBMITTED]");
    rolf.heartbeat(&second).await.assert_error("LEASE_LOST", "fence");
    let third = team.rita.claim_review(&team.project).await;
    team.project.revoke(&team.task, Some(1)).await.assert_error("INVALID_TRANSITION", "slot");
    team.project.revoke(&team.task, None).await.get("revokeLease");
    team.rita.release(&third).await.assert_error("LEASE_LOST", "fence");
    let fourth = rolf.claim_review(&team.project).await;
    team.project.archive(vec![team.task.clone()], true).await.get("archiveTasks");
    team.project.archive(vec![team.task.clone()], false).await.get("archiveTasks");
    assert_eq!(team.stands().await, "SUBMITTED [SUBMITTED]");
    rolf.judge(&fourth, "ACCEPT", json!({})).await.assert_error("LEASE_LOST", "fence");
    let fifth = rolf.claim_review(&team.project).await;
    rolf.judge(&fifth, "ACCEPT", json!({})).await.get("reviewTask");
    assert_counters(&app, &team.project).await;
}

async fn nobody_reviews_their_own_work(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::new(&app, 1, json!({})).await;
    let (rita, project) = (&team.rita, &team.project);
    let rolf = project.member(&app, "rolf", "REVIEWER").await;
    let screen = rita.claim(project).await;
    rita.submit(&screen).await.get("submitTask");
    assert_eq!(rita.try_claim_review(project, json!({})).await, Err("ALL_DONE_BY_YOU".into()));
    let input = json!({ "projectId": project.id, "taskId": team.task });
    rita.mutate("claimReview", input, "reason").await.assert_refused("own work", "FORBIDDEN", "taskId");
    let review = rolf.claim_review(project).await;
    rolf.judge(&review, "REJECT", json!({})).await.get("reviewTask");
    // In the next round somebody else does it, and rita may judge that.
    app.advance(Duration::from_secs(24 * 3_600 + 1));
    app.reconcile().await;
    let again = team.annotators[0].claim(project).await;
    team.annotators[0].submit(&again).await.get("submitTask");
    rita.claim_review(project).await;
    assert_eq!(team.stands().await, "IN_REVIEW [SUBMITTED]");
    team.annotators[0]
        .mutate("claimReview", json!({ "projectId": project.id }), "reason")
        .await
        .assert_error("FORBIDDEN", "");
    assert_counters(&app, project).await;
}

async fn a_reviewer_opens_a_second_screen_and_finds_it_again(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::new(&app, 1, json!({})).await;
    team.submit_all().await;
    let first = team.rita.claim_review(&team.project).await;
    let second = team.rita.try_claim_review(&team.project, json!({ "taskId": team.task })).await.unwrap();
    assert!(second.session != first.session && second.fence == first.fence);
    let query = "{ viewer { sessions { id role state } } }";
    let seen = team.rita.send(query, json!({})).await;
    let sessions = seen.get("viewer.sessions").as_array().unwrap();
    assert_eq!(
        sessions.iter().map(|session| session["id"].as_str().unwrap()).collect::<Vec<_>>(),
        [first.session.as_str(), second.session.as_str()]
    );
    assert!(sessions.iter().all(|session| session["role"] == "REVIEWER" && session["state"] == "ACTIVE"));
    team.rita.judge(&second, "ACCEPT", json!({})).await.get("reviewTask");
    team.rita.heartbeat(&first).await.assert_error("LEASE_LOST", "fence");
    assert_eq!(team.rita.send(query, json!({})).await.get("viewer.sessions"), &json!([]));
}

async fn a_review_that_cannot_be_had_says_why(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::new(&app, 1, json!({})).await;
    let (rita, project) = (&team.rita, &team.project);
    let by_name = json!({ "taskId": team.task });
    assert_eq!(rita.try_claim_review(project, json!({})).await, Err("QUEUE_EMPTY".into()));
    assert_eq!(rita.try_claim_review(project, by_name.clone()).await, Err("NOT_AVAILABLE".into()));
    team.submit_all().await;
    project.set(json!({ "state": "PAUSED" })).await;
    assert_eq!(rita.try_claim_review(project, by_name.clone()).await, Err("PROJECT_PAUSED".into()));
    project.set(json!({ "state": "ARCHIVED" })).await;
    let input = json!({ "projectId": project.id });
    rita.mutate("claimReview", input.clone(), "reason").await.assert_error("INVALID_TRANSITION", "projectId");
    project.set(json!({ "state": "ACTIVE" })).await;
    let other = app.project(&project.manager, Media::Text).await;
    other.set_member(rita, json!("REVIEWER")).await.get("setMember");
    let wrong = json!({ "projectId": other.id, "taskId": team.task });
    rita.mutate("claimReview", wrong, "reason").await.assert_error("NOT_FOUND", "taskId");
    let request = json!({ "requestId": "click" });
    let first = rita.try_claim_review(project, request.clone()).await.unwrap();
    assert_eq!(rita.try_claim_review(project, request.clone()).await.unwrap(), first);
    let as_annotator = json!({ "projectId": project.id, "requestId": "click" });
    rita.mutate("claimTask", as_annotator, "reason").await.assert_error("BAD_USER_INPUT", "requestId");
}

async fn a_judgement_repeated_gives_the_same_answer(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::new(&app, 2, json!({})).await;
    team.submit_all().await;
    let review = team.rita.claim_review(&team.project).await;
    let one = json!({ "slot": 1 });
    let first = team.rita.judge(&review, "ACCEPT", one.clone()).await;
    let again = team.rita.judge(&review, "ACCEPT", one).await;
    assert_eq!(again.get("reviewTask.reviews"), first.get("reviewTask.reviews"));
    let last = team.rita.judge(&review, "REJECT", json!({ "slot": 2 })).await;
    let again = team.rita.judge(&review, "REJECT", json!({ "slot": 2 })).await;
    assert_eq!(again.get("reviewTask"), last.get("reviewTask"));
    team.rita.judge(&review, "ACCEPT", json!({ "slot": 2 })).await.assert_error("LEASE_LOST", "fence");
    let happened = team.project.happened().await;
    assert_eq!(happened.iter().filter(|event| event["type"] == "REVIEW_RECORDED").count(), 2);
    assert_counters(&app, &team.project).await;
}

async fn a_judgement_of_what_waits_for_none_is_refused(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::new(&app, 2, json!({})).await;
    let screens = team.submit_all().await;
    let review = team.rita.claim_review(&team.project).await;
    team.rita.judge(&review, "ACCEPT", json!({ "slot": 3 })).await.assert_error("BAD_USER_INPUT", "slot");
    team.rita
        .judge(&review, "ACCEPT", json!({ "comment": "x".repeat(2_001) }))
        .await
        .assert_error("BAD_USER_INPUT", "comment");
    let wrong = Screen { fence: review.fence + 1, ..review.clone() };
    team.rita.judge(&wrong, "ACCEPT", json!({})).await.assert_error("LEASE_LOST", "fence");
    team.annotators[0].judge(&screens[0], "ACCEPT", json!({})).await.assert_error("BAD_USER_INPUT", "sessionId");
    team.rita.submit(&review).await.assert_error("FORBIDDEN", "");
    team.rita.skip(&review, "no").await.assert_error("FORBIDDEN", "");
    assert_eq!(team.stands().await, "IN_REVIEW [SUBMITTED, SUBMITTED]");
    assert_counters(&app, &team.project).await;
}

async fn without_review_the_last_submission_accepts(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::new(&app, 3, json!({ "review": "NONE" })).await;
    let project = &team.project;
    for (person, want) in team.annotators.iter().take(2).zip(["IN_PROGRESS", "IN_PROGRESS"]) {
        let screen = person.claim(project).await;
        assert_eq!(person.submit(&screen).await.text("submitTask.task.state"), want);
    }
    let screen = team.annotators[2].claim(project).await;
    assert_eq!(team.annotators[2].skip(&screen, "too dark").await.text("skipTask.task.state"), "ACCEPTED");
    assert_eq!(team.stands().await, "ACCEPTED [ACCEPTED, ACCEPTED, SKIPPED]");
    let query = "query($id: ID!) { task(id: $id) { assignments(first: 9) { nodes { state } } } }";
    let seen = project.manager.send(query, json!({ "id": team.task })).await;
    let states = ["ACCEPTED", "ACCEPTED", "SKIPPED"].map(|state| json!({ "state": state }));
    assert_eq!(seen.get("task.assignments.nodes"), &json!(states));
    assert_counters(&app, project).await;
}

async fn a_finished_task_can_be_opened_again(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::new(&app, 2, json!({ "review": "NONE" })).await;
    let (project, ana) = (&team.project, &team.annotators[0]);
    project.reopen(&team.task).await.assert_error("INVALID_TRANSITION", "taskId");
    team.submit_all().await;
    assert_eq!(team.stands().await, "ACCEPTED [ACCEPTED, ACCEPTED]");
    ana.mutate("reopenTask", json!({ "taskId": team.task }), "task { id }").await.assert_error("FORBIDDEN", "");
    let opened = project.reopen(&team.task).await;
    assert_eq!(
        (opened.text("reopenTask.task.state"), opened.get("reopenTask.task.round")),
        ("REWORK".into(), &json!(2))
    );
    let dora = project.member(&app, "dora", "ANNOTATOR").await;
    assert_eq!(dora.try_claim(project).await, Err("QUEUE_EMPTY".into()), "both wait for who did them");
    let again = ana.claim(project).await;
    assert_eq!((again.task.as_str(), again.slot), (team.task.as_str(), Some(1)));
    let happened = project.happened().await;
    assert!(happened.iter().any(|event| event["why"] == "another look" && event["to"] == "REWORK"));
    assert_counters(&app, project).await;
}

async fn work_of_a_round_after_a_reopening_is_ones_own_too(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::new(&app, 2, json!({})).await;
    let (project, ana, ben) = (&team.project, &team.annotators[0], &team.annotators[1]);
    let rolf = project.member(&app, "rolf", "REVIEWER").await;
    let screen = ana.claim(project).await;
    ana.submit(&screen).await.get("submitTask");
    let screen = ben.claim(project).await;
    ben.skip(&screen, "too dark").await.get("skipTask");
    let review = rolf.claim_review(project).await;
    rolf.judge(&review, "REJECT", json!({})).await.get("reviewTask");
    for _ in 0..5 {
        ana.claim(project).await;
        app.advance(Duration::from_secs(901));
        app.reap().await;
    }
    assert_eq!(team.stands().await, "QUARANTINED [FREE, SKIPPED]");
    project.reopen(&team.task).await.get("reopenTask");
    for person in [ana, &team.rita] {
        let screen = person.claim(project).await;
        person.submit(&screen).await.get("submitTask");
    }
    assert_eq!(team.stands().await, "SUBMITTED [SUBMITTED, SUBMITTED]");
    let input = json!({ "projectId": project.id, "taskId": team.task });
    team.rita.mutate("claimReview", input, "reason").await.assert_error("FORBIDDEN", "taskId");
    rolf.claim_review(project).await;
    assert_counters(&app, project).await;
}

async fn a_review_is_paused_and_kept_like_a_lease(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::new(&app, 1, json!({ "leaseSeconds": 60 })).await;
    team.submit_all().await;
    let review = team.rita.claim_review(&team.project).await;
    for _ in 0..4 {
        app.advance(Duration::from_secs(40));
        team.rita.heartbeat(&review).await.text("heartbeat.expiresAt");
        app.reap().await;
    }
    assert_eq!(team.stands().await, "IN_REVIEW [SUBMITTED]");
    let query = "query($id: ID!) { node(id: $id) { ... on LabelingSession { revision } } }";
    let revision = team.rita.send(query, json!({ "id": review.session })).await.get("node.revision").clone();
    let mut input = review.input();
    input["state"] = json!("PAUSED");
    input["expectedRevision"] = revision;
    team.rita.mutate("setSessionState", input, "session { state }").await.get("setSessionState");
    app.advance(Duration::from_secs(600));
    app.reap().await;
    assert_eq!(team.stands().await, "IN_REVIEW [SUBMITTED]", "longer than a review without heartbeats");
}

async fn annotators_of_one_task_do_not_see_each_others_verdicts(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::new(&app, 2, json!({})).await;
    team.submit_all().await;
    let review = team.rita.claim_review(&team.project).await;
    let judged = team.rita.judge(&review, "ACCEPT", json!({ "comment": "fine" })).await;
    let ids: Vec<&Value> =
        judged.get("reviewTask.reviews").as_array().unwrap().iter().map(|review| &review["id"]).collect();
    let query = "query($id: ID!) { task(id: $id) { reviews { slot } } }";
    for (person, want) in [
        (&team.annotators[0], json!([{ "slot": 1 }])),
        (&team.annotators[1], json!([{ "slot": 2 }])),
        (&team.rita, json!([{ "slot": 1 }, { "slot": 2 }])),
    ] {
        assert_eq!(person.send(query, json!({ "id": team.task })).await.get("task.reviews"), &want);
    }
    let node = "query($id: ID!) { node(id: $id) { id } }";
    assert!(team.annotators[0].send(node, json!({ "id": ids[1] })).await.get("node").is_null());
    assert!(!team.annotators[1].send(node, json!({ "id": ids[1] })).await.get("node").is_null());
}
