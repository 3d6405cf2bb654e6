//! Working in one task together: colleagues beside its holder, reviewers beside its reviewer.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, Utc};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{
    Answer, Database, Media, Person, Project, Session, TestApp, assert_counters, assert_positions_are_gap_free, box_at,
    id_of, labeling::Screen, new_annotation, on_both_databases, span,
};

on_both_databases![
    two_people_label_one_task_together,
    a_joiner_keeps_the_lease_running,
    a_lease_that_ran_out_waits_for_its_holder,
    only_the_holder_ends_the_turn,
    a_joiners_pause_is_their_own,
    who_saved_as_a_joiner_does_not_review_the_round,
    who_only_looked_may_review,
    reviewers_join_one_review,
    a_review_is_not_joined_by_who_worked_in_it,
    what_cannot_be_joined_says_why,
    where_people_label_blind_nobody_joins,
    a_paused_project_lets_work_go_on,
    back_to_exclusive_joiners_work_on,
    a_reloaded_page_finds_what_was_joined,
    a_person_joins_fifty_times_and_no_more,
    many_who_join_at_once_are_all_let_in,
    a_join_while_the_holder_gives_the_task_back_is_refused_or_lost,
];

/// A SHARED project of texts, "cell 0" and so on: ana and ben label, rita and rolf review.
struct Team {
    project: Project,
    task: String,
    ana: Person,
    ben: Person,
    rita: Person,
    rolf: Person,
}

impl Team {
    async fn new(app: &TestApp) -> Self {
        Self::with(app, json!({})).await
    }

    async fn with(app: &TestApp, settings: Value) -> Self {
        let mut all = json!({ "collaboration": "SHARED" });
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let project = app.project_with(&app.admin().await, Media::Text, all).await;
        let [task] = project.text_tasks(1).await.try_into().unwrap();
        let member = async |name: &str, role: &str| project.member(app, name, role).await;
        let (ana, ben) = (member("ana", "ANNOTATOR").await, member("ben", "ANNOTATOR").await);
        let (rita, rolf) = (member("rita", "REVIEWER").await, member("rolf", "REVIEWER").await);
        Self { project, task, ana, ben, rita, rolf }
    }

    /// Ana holds the task.
    async fn held(&self, app: &TestApp) -> Session {
        app.at_work(&self.project, &self.task, &self.ana).await
    }

    async fn join(&self, person: &Person) -> Answer {
        person.join_with(&self.task, json!({})).await
    }

    /// Ana hands the task in, and somebody claims its review.
    async fn in_review(&self, holder: &Session, reviewer: &Person) -> Screen {
        self.ana.submit(&holder.screen).await.get("submitTask");
        let by_name = json!({ "taskId": self.task });
        reviewer.try_claim_review(&self.project, by_name).await.expect("it waits for a review")
    }

    async fn stands(&self) -> String {
        self.project.stands(&self.task).await
    }
}

/// The creation of a span over the word "cell".
fn word() -> Value {
    span(&new_annotation(), 0, "cell")
}

fn moved(id: &str, base: &Value, x: f64) -> Value {
    let geometry = json!({ "boundingBox": { "x": x, "y": 1.0, "width": 5.0, "height": 4.0 } });
    json!({ "update": { "id": id, "base": base, "geometry": geometry } })
}

fn renamed(id: &str, base: &Value, label: &str) -> Value {
    json!({ "update": { "id": id, "base": base, "label": label } })
}

/// The annotation as anybody sees it.
async fn seen(person: &Person, id: &str) -> Value {
    let query = "query($id: ID!) { node(id: $id) { ... on Annotation { label versionVector revision deleted slot
        author { id } lastEditedBy { id } geometry { ... on BoundingBox { x } } } } }";
    person.send(query, json!({ "id": id })).await.get("node").clone()
}

/// When the lease of the task's slot runs out.
async fn lease_end(team: &Team) -> DateTime<Utc> {
    let query = "query($id: ID!) { task(id: $id) { slots { leaseExpiresAt } } }";
    let seen = team.project.manager.send(query, json!({ "id": team.task })).await;
    seen.text("task.slots.0.leaseExpiresAt").parse().unwrap()
}

/// The person's open sessions, with their role.
async fn open(person: &Person) -> Vec<(String, String)> {
    let seen = person.send("{ viewer { sessions { id role state } } }", json!({})).await;
    let sessions = seen.get("viewer.sessions").as_array().unwrap().iter();
    let text = |session: &Value, key: &str| session[key].as_str().unwrap().to_owned();
    sessions.map(|session| (text(session, "id"), text(session, "role"))).collect()
}

async fn set_state(session: &Session, state: &str) -> Answer {
    let query = "query($id: ID!) { node(id: $id) { ... on LabelingSession { revision } } }";
    let known = session.person.send(query, json!({ "id": session.id })).await;
    let input = session.screen.with(json!({ "state": state, "expectedRevision": known.get("node.revision") }));
    session.person.mutate("setSessionState", input, "session { state expiresAt }").await
}

async fn two_people_label_one_task_together(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Image, json!({ "collaboration": "SHARED" })).await;
    let picture =
        app.upload(&project, "blood.jpg", "image/jpeg", include_bytes!("../data/bccd/BloodImage_00012.jpg")).await;
    let task = id_of(project.create_tasks(json!([{ "assetIds": [picture] }])).await.get("createTasks.tasks.0"));
    let (ana, ben) = (project.member(&app, "ana", "ANNOTATOR").await, project.member(&app, "ben", "ANNOTATOR").await);
    let anas = app.at_work(&project, &task, &ana).await;
    let (first, second) = (new_annotation(), new_annotation());
    anas.save(json!([box_at(&first, 0.0), box_at(&second, 0.0)])).await.get("saveAnnotations");
    let before = (project.version(&task).await, project.happened().await.len());

    let joined = ben.join_with(&task, json!({})).await;
    let session = joined.get("joinTask.session");
    assert_eq!((&session["role"], &session["state"]), (&json!("COLLABORATOR"), &json!("ACTIVE")));
    let bens = Session::of(&ben, Screen::read(session));
    assert!(bens.fence == anas.fence && bens.screen.slot == Some(1) && bens.actor != anas.actor);
    assert_eq!((project.version(&task).await, project.happened().await.len()), before, "joining changes nothing");
    assert_eq!(ana.submit(&bens.screen).await.code(), "NOT_FOUND", "a session is its user's own");

    // Each sends the next save without having seen the other's: one moves a box, one renames the other box.
    let mut base = anas.seen(1);
    for round in 1..=10 {
        let number = u32::try_from(round).unwrap();
        let (moves, names) = (
            moved(&first, &anas.seen(round), f64::from(number)),
            renamed(&second, &base, ["dust", "cell"][number as usize % 2]),
        );
        let (a, b) = futures::join!(anas.edit(moves), bens.edit(names));
        assert_eq!((&a["outcome"], &b["outcome"]), (&json!("APPLIED"), &json!("APPLIED")), "{a:#} {b:#}");
        base[&bens.actor] = json!(round);
    }
    let (moved_box, renamed_box) = (seen(&ben, &first).await, seen(&ana, &second).await);
    assert_eq!((&moved_box["geometry"]["x"], &moved_box["label"]), (&json!(10.0), &json!("cell")));
    assert_eq!((&renamed_box["geometry"]["x"], &renamed_box["label"]), (&json!(0.0), &json!("dust")));
    assert_eq!(renamed_box["versionVector"], base, "each author counts for themselves");
    assert_eq!((&renamed_box["author"]["id"], &renamed_box["lastEditedBy"]["id"]), (&json!(ana.id), &json!(ben.id)));
    // Who has seen the other's work edits it further, and both make new boxes.
    let base = moved_box["versionVector"].clone();
    assert_eq!(bens.edit(renamed(&first, &base, "dust")).await["outcome"], "APPLIED");
    let third = new_annotation();
    assert_eq!(bens.edit(box_at(&third, 7.0)).await["annotation"]["slot"], 1);
    assert_eq!(seen(&ana, &third).await["author"]["id"], json!(ben.id));
    assert_positions_are_gap_free(&app).await;
    let happened = project.happened().await;
    let turns = happened.iter().filter(|event| event["type"] == "SESSION_CHANGED").count();
    assert_eq!(turns, 1, "the claim's: {happened:#?}");
    ana.submit(&anas.screen).await.get("submitTask");
    assert_counters(&app, &project).await;
}

async fn a_joiner_keeps_the_lease_running(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::new(&app).await;
    team.held(&app).await;
    let ben = app.joined(&team.task, &team.ben).await;
    app.advance(Duration::from_secs(800));
    team.ben.heartbeat(&ben.screen).await.text("heartbeat.expiresAt");
    app.advance(Duration::from_secs(800));
    app.reap().await;
    assert_eq!(team.stands().await, "IN_PROGRESS [LEASED]", "a heartbeat kept it");
    assert_eq!(ben.edit(word()).await["outcome"], "APPLIED");
    app.advance(Duration::from_secs(800));
    app.reap().await;
    assert_eq!(team.stands().await, "IN_PROGRESS [LEASED]", "a save kept it");
    app.advance(Duration::from_secs(101));
    app.reap().await;
    assert_eq!(team.stands().await, "QUEUED [FREE]");
}

async fn a_lease_that_ran_out_waits_for_its_holder(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::new(&app).await;
    let ana = team.held(&app).await;
    let ben = app.joined(&team.task, &team.ben).await;
    app.advance(Duration::from_secs(901));
    app.reap().await;
    team.ben.heartbeat(&ben.screen).await.assert_error("LEASE_LOST", "fence");
    set_state(&ben, "ACTIVE").await.assert_error("LEASE_LOST", "fence");
    assert_eq!(team.stands().await, "QUEUED [FREE]", "a joiner does not bring it back");
    team.ana.heartbeat(&ana.screen).await.text("heartbeat.expiresAt");
    assert_eq!(team.stands().await, "IN_PROGRESS [LEASED]");
    // The same lease goes on, and with it whoever had joined it.
    team.ben.heartbeat(&ben.screen).await.text("heartbeat.expiresAt");
    assert_eq!(ben.edit(word()).await["outcome"], "APPLIED");
    assert_counters(&app, &team.project).await;
}

async fn only_the_holder_ends_the_turn(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::new(&app).await;
    let ana = team.held(&app).await;
    let ben = app.joined(&team.task, &team.ben).await;
    let id = new_annotation();
    assert_eq!(ben.edit(span(&id, 0, "cell")).await["outcome"], "APPLIED");
    let watch = team.project.watch().await;
    for (case, answer) in [
        ("submitting", team.ben.submit(&ben.screen).await),
        ("skipping", team.ben.skip(&ben.screen, "too dark").await),
        ("releasing", team.ben.release(&ben.screen).await),
    ] {
        watch.refused(case, &answer, "FORBIDDEN", "").await;
    }
    team.ana.submit(&ana.screen).await.get("submitTask");
    let after = seen(&team.ana, &id).await;
    team.ben.heartbeat(&ben.screen).await.assert_error("LEASE_LOST", "fence");
    ben.save(json!([renamed(&id, &ben.seen(1), "dust")])).await;
    assert_eq!(seen(&team.ana, &id).await["label"], after["label"], "what was handed in stays as it is");
    let query = "query($id: ID!) { node(id: $id) { ... on LabelingSession { state role } } }";
    let ended = team.ben.send(query, json!({ "id": ben.id })).await;
    assert_eq!(ended.get("node"), &json!({ "state": "COMPLETED", "role": "COLLABORATOR" }));
    for (case, answer) in [
        ("submitting late", team.ben.submit(&ben.screen).await),
        ("releasing late", team.ben.release(&ben.screen).await),
    ] {
        answer.assert_refused(case, "FORBIDDEN", "");
    }
    team.join(&team.ben).await.assert_error("INVALID_TRANSITION", "taskId");
    // The next lease is another one, and joined anew.
    let back = team.ana.withdraw(&team.task).await;
    team.ben.heartbeat(&ben.screen).await.assert_error("LEASE_LOST", "fence");
    let again = app.joined(&team.task, &team.ben).await;
    assert_eq!(back.get("withdrawSubmission.session.fence"), &json!(again.fence));
    assert!(again.fence > ben.fence);
    assert_counters(&app, &team.project).await;
}

async fn a_joiners_pause_is_their_own(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::with(&app, json!({ "leaseSeconds": 7_200 })).await;
    let ana = team.held(&app).await;
    let ben = app.joined(&team.task, &team.ben).await;
    let ends_at = lease_end(&team).await;
    assert_eq!(set_state(&ben, "PAUSED").await.text("setSessionState.session.state"), "PAUSED");
    assert_eq!(lease_end(&team).await, ends_at, "15 minutes would take an hour and more from ana");
    ben.save(json!([word()])).await.assert_error("INVALID_TRANSITION", "sessionId");
    assert_eq!(ana.edit(word()).await["outcome"], "APPLIED");
    assert_eq!(set_state(&ben, "ACTIVE").await.text("setSessionState.session.state"), "ACTIVE");
    assert_eq!(ben.edit(word()).await["outcome"], "APPLIED");
    // The holder's own is what it always was.
    assert_eq!(set_state(&ana, "PAUSED").await.text("setSessionState.session.state"), "PAUSED");
    assert!(lease_end(&team).await < ends_at);
}

async fn who_saved_as_a_joiner_does_not_review_the_round(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::new(&app).await;
    let Team { project, task, rita, rolf, .. } = &team;
    let ana = team.held(&app).await;
    let ritas = app.joined(task, rita).await;
    for _ in 0..2 {
        assert_eq!(ritas.edit(word()).await["outcome"], "APPLIED");
    }
    team.ana.submit(&ana.screen).await.get("submitTask");
    assert_eq!(rita.try_claim_review(project, json!({})).await, Err("ALL_DONE_BY_YOU".into()));
    let claim = json!({ "projectId": project.id, "taskId": task });
    rita.mutate("claimReview", claim, "reason").await.assert_refused("her own work", "FORBIDDEN", "taskId");
    let review = rolf.claim_review(project).await;
    team.join(rita).await.assert_refused("a review of her own work", "FORBIDDEN", "taskId");
    rolf.judge(&review, "REJECT", json!({})).await.get("reviewTask");
    // The next round is done without her.
    let ana = team.held(&app).await;
    team.ana.submit(&ana.screen).await.get("submitTask");
    rita.claim_review(project).await;
    assert_eq!(team.stands().await, "IN_REVIEW [SUBMITTED]");
    assert_counters(&app, project).await;
}

async fn who_only_looked_may_review(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::new(&app).await;
    let ana = team.held(&app).await;
    let rolf = app.joined(&team.task, &team.rolf).await;
    team.rolf.heartbeat(&rolf.screen).await.get("heartbeat");
    assert_eq!(rolf.edit(span(&new_annotation(), 0, "dust")).await["outcome"], "REJECTED", "the text says cell");
    team.ana.submit(&ana.screen).await.get("submitTask");
    team.rolf.claim_review(&team.project).await;
    assert_eq!(team.stands().await, "IN_REVIEW [SUBMITTED]");
}

async fn reviewers_join_one_review(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Text, json!({ "overlap": 3 })).await;
    let [task] = project.text_tasks(1).await.try_into().unwrap();
    for name in ["ana", "ben", "cleo"] {
        let person = project.member(&app, name, "ANNOTATOR").await;
        person.submit(&person.claim(&project).await).await.get("submitTask");
    }
    let (rita, rolf) = (project.member(&app, "rita", "REVIEWER").await, project.member(&app, "rolf", "REVIEWER").await);
    let review = rita.claim_review(&project).await;

    let joined = rolf.join_with(&task, json!({})).await;
    assert_eq!(
        (joined.text("joinTask.session.role"), joined.get("joinTask.session.slot")),
        ("REVIEWER".into(), &Value::Null)
    );
    let rolfs = Session::of(&rolf, Screen::read(joined.get("joinTask.session")));
    assert!(rolfs.fence == review.fence && rolfs.actor != review.actor);
    let on_second = rolf.join_with(&task, json!({ "slot": 2 })).await;
    assert_eq!(on_second.get("joinTask.session.slot.number"), 2);
    let mut edit = word();
    edit["create"]["slot"] = json!(3);
    assert_eq!(rolfs.edit(edit).await["annotation"]["slot"], 3);
    let on_second = Session::of(&rolf, Screen::read(on_second.get("joinTask.session")));
    assert_eq!(on_second.edit(word()).await["annotation"]["slot"], 2);

    app.advance(Duration::from_secs(800));
    rolf.heartbeat(&rolfs.screen).await.get("heartbeat");
    app.advance(Duration::from_secs(800));
    app.reap().await;
    assert_eq!(project.stands(&task).await, "IN_REVIEW [SUBMITTED, SUBMITTED, SUBMITTED]", "rolf kept it");
    let watch = project.watch().await;
    for (case, answer) in [
        ("judging", rolf.judge(&rolfs.screen, "ACCEPT", json!({})).await),
        ("judging one", rolf.judge(&on_second.screen, "ACCEPT", json!({ "slot": 2 })).await),
        ("giving back", rolf.release(&rolfs.screen).await),
    ] {
        watch.refused(case, &answer, "FORBIDDEN", "").await;
    }
    // Who claimed it has one more screen, on which she judges.
    let second = rita.join_with(&task, json!({})).await;
    let second = Screen::read(second.get("joinTask.session"));
    rita.judge(&second, "REJECT", json!({ "slot": 1 })).await.get("reviewTask");
    rolf.join_with(&task, json!({ "slot": 1 })).await.assert_refused("what was judged", "INVALID_TRANSITION", "slot");
    rita.judge(&review, "ACCEPT", json!({})).await.get("reviewTask");
    rolf.heartbeat(&rolfs.screen).await.assert_error("LEASE_LOST", "fence");
    rolf.judge(&rolfs.screen, "ACCEPT", json!({})).await.assert_error("LEASE_LOST", "fence");
    assert_counters(&app, &project).await;
}

async fn a_review_is_not_joined_by_who_worked_in_it(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::with(&app, json!({ "collaboration": "EXCLUSIVE" })).await;
    team.project.set_member(&team.ana, json!("REVIEWER")).await.get("setMember");
    let ana = team.held(&app).await;
    team.in_review(&ana, &team.rita).await;
    let eve = app.person("eve").await;
    let watch = team.project.watch().await;
    for (case, person, code, field) in [
        ("an annotator", &team.ben, "FORBIDDEN", ""),
        ("who handed it in", &team.ana, "FORBIDDEN", "taskId"),
        ("somebody else", &eve, "NOT_FOUND", "taskId"),
    ] {
        let joined = team.join(person).await;
        watch.refused(case, &joined, code, field).await;
    }
    team.join(&team.rolf).await.get("joinTask.session");
}

async fn what_cannot_be_joined_says_why(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::new(&app).await;
    let Team { project, task, .. } = &team;
    let (vera, eve) = (project.member(&app, "vera", "VIEWER").await, app.person("eve").await);
    team.join(&team.ben).await.assert_refused("QUEUED", "INVALID_TRANSITION", "taskId");
    let ana = team.held(&app).await;
    let watch = project.watch().await;
    for (case, person, more, code, field) in [
        ("a viewer", &vera, json!({}), "FORBIDDEN", ""),
        ("an outsider", &eve, json!({}), "NOT_FOUND", "taskId"),
        ("an outsider, a slot", &eve, json!({ "slot": 7 }), "NOT_FOUND", "taskId"),
        ("slot 0", &team.ben, json!({ "slot": 0 }), "BAD_USER_INPUT", "slot"),
        ("slot -1", &team.ben, json!({ "slot": -1 }), "BAD_USER_INPUT", "slot"),
        ("slot 2 of 1", &team.ben, json!({ "slot": 2 }), "BAD_USER_INPUT", "slot"),
        ("slot 2 of the holder's", &team.ana, json!({ "slot": 2 }), "BAD_USER_INPUT", "slot"),
    ] {
        let joined = person.join_with(task, more).await;
        watch.refused(case, &joined, code, field).await;
    }
    // The holder has one more screen of their own, and the one slot may be named.
    let own = team.ana.join_with(task, json!({ "slot": 1 })).await;
    assert_eq!(
        (own.text("joinTask.session.role"), own.get("joinTask.session.fence")),
        ("HOLDER".into(), &json!(ana.fence))
    );
    assert_eq!(team.ben.join_with(task, json!({ "slot": 1 })).await.text("joinTask.session.role"), "COLLABORATOR");
    team.ana.submit(&Screen::read(own.get("joinTask.session"))).await.get("submitTask");
    team.join(&team.ben).await.assert_refused("SUBMITTED", "INVALID_TRANSITION", "taskId");
    project.archive(vec![task.clone()], true).await.get("archiveTasks");
    team.join(&team.ben).await.assert_refused("ARCHIVED", "INVALID_TRANSITION", "taskId");
    project.archive(vec![task.clone()], false).await.get("archiveTasks");
    team.ana.withdraw(task).await.get("withdrawSubmission");
    project.set(json!({ "state": "ARCHIVED" })).await;
    for person in [&team.ana, &team.ben] {
        team.join(person).await.assert_refused("an archived project", "INVALID_TRANSITION", "taskId");
    }
}

async fn where_people_label_blind_nobody_joins(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::with(&app, json!({ "collaboration": "EXCLUSIVE", "overlap": 2 })).await;
    team.held(&app).await;
    let bens = app.at_work(&team.project, &team.task, &team.ben).await;
    for (case, person, more) in [
        ("a slot of another", &team.ben, json!({ "slot": 1 })),
        ("by who has none", &team.rita, json!({})),
        ("a manager", &team.project.manager, json!({ "slot": 2 })),
    ] {
        person.join_with(&team.task, more).await.assert_refused(case, "FORBIDDEN", "taskId");
    }
    let own = team.join(&team.ben).await;
    assert_eq!(
        (own.text("joinTask.session.role"), own.get("joinTask.session.slot.number")),
        ("HOLDER".into(), &json!(2))
    );
    assert_eq!(own.get("joinTask.session.fence"), &json!(bens.fence));
}

async fn a_paused_project_lets_work_go_on(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::new(&app).await;
    let ana = team.held(&app).await;
    team.project.set(json!({ "state": "PAUSED" })).await;
    let ben = app.joined(&team.task, &team.ben).await;
    assert_eq!(ben.edit(word()).await["outcome"], "APPLIED");
    team.project.set(json!({ "state": "ACTIVE" })).await;
    team.in_review(&ana, &team.rita).await;
    team.project.set(json!({ "state": "PAUSED" })).await;
    app.joined(&team.task, &team.rolf).await;
}

async fn back_to_exclusive_joiners_work_on(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::new(&app).await;
    team.held(&app).await;
    let ben = app.joined(&team.task, &team.ben).await;
    team.project.set(json!({ "collaboration": "EXCLUSIVE" })).await;
    assert_eq!(ben.edit(word()).await["outcome"], "APPLIED");
    team.ben.heartbeat(&ben.screen).await.text("heartbeat.expiresAt");
    for person in [&team.ben, &team.rita] {
        team.join(person).await.assert_refused("a join of what is EXCLUSIVE now", "FORBIDDEN", "taskId");
    }
}

async fn a_reloaded_page_finds_what_was_joined(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::with(&app, json!({ "leaseSeconds": 86_400 })).await;
    let ana = team.held(&app).await;
    let (ben, _left) = (app.joined(&team.task, &team.ben).await, app.joined(&team.task, &team.ben).await);
    assert_eq!(open(&team.ben).await.len(), 2);
    assert_eq!(open(&team.ana).await, [(ana.id.clone(), "HOLDER".into())]);
    app.advance(Duration::from_secs(20 * 60));
    team.ben.heartbeat(&ben.screen).await.get("heartbeat");
    app.advance(Duration::from_secs(20 * 60));
    assert_eq!(open(&team.ben).await, [(ben.id.clone(), "COLLABORATOR".into())], "the other screen was left");
    let review = team.in_review(&ana, &team.rita).await;
    assert_eq!(open(&team.ben).await, [], "the lease has ended");
    let rolf = app.joined(&team.task, &team.rolf).await;
    assert_eq!(open(&team.rolf).await, [(rolf.id.clone(), "REVIEWER".into())]);
    assert_eq!(open(&team.rita).await, [(review.session.clone(), "REVIEWER".into())]);
    app.advance(Duration::from_secs(31 * 60));
    assert_eq!((open(&team.rolf).await, open(&team.rita).await.len()), (vec![], 1));
    team.rolf.heartbeat(&rolf.screen).await.get("heartbeat");
    assert_eq!(open(&team.rolf).await.len(), 1, "back again");
    team.rita.judge(&review, "ACCEPT", json!({})).await.get("reviewTask");
    assert_eq!(open(&team.rolf).await, []);
}

async fn a_person_joins_fifty_times_and_no_more(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::new(&app).await;
    team.held(&app).await;
    for _ in 0..49 {
        app.joined(&team.task, &team.ben).await;
    }
    // The last place is one of many at once.
    let answers = join_all((0..6).map(|_| team.join(&team.ben))).await;
    assert_eq!(answers.iter().filter(|answer| answer.code().is_empty()).count(), 1);
    for refused in answers.iter().filter(|answer| !answer.code().is_empty()) {
        refused.assert_refused("one screen too many", "LIMIT_EXCEEDED", "taskId");
    }
    team.join(&team.rita).await.get("joinTask.session");
    team.join(&team.ana).await.get("joinTask.session");
}

async fn many_who_join_at_once_are_all_let_in(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::new(&app).await;
    let ana = team.held(&app).await;
    let people = [&team.ben, &team.rita, &team.rolf, &team.ben, &team.rita];
    let joins = people.map(|person| app.joined(&team.task, person));
    let sessions = join_all(joins).await;
    let actors: BTreeSet<&str> = sessions.iter().map(|session| session.actor.as_str()).collect();
    assert_eq!(actors.len(), people.len(), "one actor a screen");
    assert!(sessions.iter().all(|session| session.fence == ana.fence));
    let saved = join_all(sessions.iter().map(|session| session.edit(word()))).await;
    assert!(saved.iter().all(|result| result["outcome"] == "APPLIED"), "{saved:#?}");
}

async fn a_join_while_the_holder_gives_the_task_back_is_refused_or_lost(database: Database) {
    let app = TestApp::new(database).await;
    let team = Team::new(&app).await;
    for _ in 0..10 {
        let ana = team.held(&app).await;
        let (joined, released) = futures::join!(team.join(&team.ben), team.ana.release(&ana.screen));
        released.get("releaseTask");
        if joined.code().is_empty() {
            let screen = Screen::read(joined.get("joinTask.session"));
            assert_eq!(screen.fence, ana.fence);
            team.ben.heartbeat(&screen).await.assert_error("LEASE_LOST", "fence");
        } else {
            joined.assert_refused("it came second", "INVALID_TRANSITION", "taskId");
        }
        assert_eq!(team.stands().await, "QUEUED [FREE]");
        assert_eq!(open(&team.ben).await, []);
    }
    assert_counters(&app, &team.project).await;
}
