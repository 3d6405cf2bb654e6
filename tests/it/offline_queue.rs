//! What becomes of edits that were made without a line: whoever comes back sends them as they are, as often as they like.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    Answer, Database, Media, Person, Project, Session, TestApp, assert_counters, assert_positions_are_gap_free, box_at,
    id_of, new_annotation, on_both_databases,
};

on_both_databases![
    a_queue_that_comes_after_the_lease_was_taken_is_kept_for_the_reviewer,
    a_queue_finds_a_lease_that_nobody_took,
    a_joiners_queue_finds_the_lease_that_went_on,
    a_queue_that_comes_when_the_work_is_final_is_refused_edit_by_edit,
    where_nobody_reviews_who_holds_the_slot_decides_what_came_late,
];

const HOUR: Duration = Duration::from_secs(3_600);

/// What is asked of each edit.
const RESULT: &str = "results { annotationId outcome repeated fields code field conflict { id cause state }
    annotation { id revision deleted } }";

/// A shared project of one picture: ana was offline, ben was not, rita reviews.
struct Team {
    app: TestApp,
    project: Project,
    task: String,
    ben: Person,
    rita: Person,
    anas: Session,
    /// What ana drew while she had a line.
    boxes: [String; 3],
}

impl Team {
    async fn new(database: Database, settings: Value) -> Self {
        let app = TestApp::new(database).await;
        let mut all = json!({ "collaboration": "SHARED" });
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let project = app.project_with(&app.admin().await, Media::Image, all).await;
        let picture = include_bytes!("../data/bccd/BloodImage_00012.jpg");
        let picture = app.upload(&project, "blood.jpg", "image/jpeg", picture).await;
        let task = id_of(project.create_tasks(json!([{ "assetIds": [picture] }])).await.get("createTasks.tasks.0"));
        let ana = project.member(&app, "ana", "ANNOTATOR").await;
        let (ben, rita) =
            (project.member(&app, "ben", "ANNOTATOR").await, project.member(&app, "rita", "REVIEWER").await);
        let anas = app.at_work(&project, &task, &ana).await;
        let boxes = [(); 3].map(|()| new_annotation());
        let drawn: Vec<Value> = boxes.iter().map(|id| box_at(id, 1.0)).collect();
        anas.save(json!(drawn)).await.get("saveAnnotations");
        Self { app, project, task, ben, rita, anas, boxes }
    }

    /// An hour later ana's lease is long over.
    async fn an_hour_later(&self) {
        self.app.advance(HOUR);
        self.app.reap().await;
    }

    /// Every annotation of the task: revision, x, label, whether it is deleted.
    async fn state(&self) -> Vec<Value> {
        let query = "query($id: ID!) { task(id: $id) { annotations(first: 50, includeDeleted: true) { nodes {
            id revision label deleted geometry { ... on BoundingBox { x } } } } } }";
        let seen = self.project.manager.send(query, json!({ "id": self.task })).await;
        seen.get("task.annotations.nodes").as_array().unwrap().clone()
    }

    /// As above, of one.
    async fn state_of(&self, id: &str) -> (i64, f64, String, bool) {
        let state = self.state().await.into_iter().find(|state| state["id"] == id);
        let state = state.unwrap_or_else(|| panic!("{id} is not there"));
        let (x, label) = (state["geometry"]["x"].as_f64().unwrap(), state["label"].as_str().unwrap().to_owned());
        (state["revision"].as_i64().unwrap(), x, label, state["deleted"] == true)
    }

    /// The conflict of an annotation that waits, as somebody sees it.
    async fn waiting(&self, person: &Person, annotation: &str) -> Value {
        let query = "query($id: ID!) { task(id: $id) { openConflicts(first: 50) { nodes {
            id cause fields incomingBy { id } annotation { id versionVector }
            incoming { label deleted geometry { ... on BoundingBox { x } } }
            current { label deleted geometry { ... on BoundingBox { x } } } } } } }";
        let seen = person.send(query, json!({ "id": self.task })).await;
        let nodes = seen.get("task.openConflicts.nodes").as_array().unwrap();
        let mut of_it = nodes.iter().filter(|conflict| conflict["annotation"]["id"] == annotation);
        let found = of_it.next().unwrap_or_else(|| panic!("nothing waits of {annotation}: {nodes:#?}"));
        assert_eq!(of_it.next(), None, "one conflict of an author");
        found.clone()
    }

    async fn stands(&self) -> String {
        self.project.stands(&self.task).await
    }
}

/// Decides a conflict as it was seen.
async fn decide(person: &Person, conflict: &Value, choice: &str, merged: Value) -> Answer {
    let base = &conflict["annotation"]["versionVector"];
    let mut input = json!({ "conflictId": conflict["id"], "base": base, "choice": choice });
    if !merged.is_null() {
        input["merged"] = merged;
    }
    person.mutate("resolveConflict", input, "conflict { state choice } annotation { revision label deleted }").await
}

fn moved(id: &str, base: &Value, x: f64) -> Value {
    let geometry = json!({ "boundingBox": { "x": x, "y": 1.0, "width": 5.0, "height": 4.0 } });
    json!({ "update": { "id": id, "base": base, "geometry": geometry } })
}

fn renamed(id: &str, base: &Value, label: &str) -> Value {
    json!({ "update": { "id": id, "base": base, "label": label } })
}

async fn send(session: &Session, queue: &[Value]) -> Vec<Value> {
    let input = session.screen.with(json!({ "edits": queue }));
    let saved = session.person.mutate("saveAnnotations", input, RESULT).await;
    saved.get("saveAnnotations.results").as_array().unwrap().clone()
}

/// Outcome and, where there is one, the reason: `CONFLICT LATE`, `REJECTED LEASE_LOST`, `APPLIED repeated`.
fn fates(results: &[Value]) -> Vec<String> {
    let fate = |result: &Value| {
        let repeated = if result["repeated"] == true { "repeated" } else { "" };
        let words = [&result["outcome"], &result["code"], &result["conflict"]["cause"], &json!(repeated)];
        let words = words.into_iter().filter_map(Value::as_str).filter(|word| !word.is_empty());
        words.collect::<Vec<_>>().join(" ")
    };
    results.iter().map(fate).collect()
}

fn conflicts(results: &[Value]) -> Vec<&Value> {
    results.iter().map(|result| &result["conflict"]["id"]).collect()
}

/// A queue sent again: every edit has the fate and the conflict it had, and nothing more comes of it.
async fn send_again(team: &Team, queue: &[Value], first: &[Value]) {
    let before = team.state().await;
    let repeated = send(&team.anas, queue).await;
    let want: Vec<String> =
        fates(first).iter().map(|fate| format!("{} repeated", fate.replace(" repeated", ""))).collect();
    assert_eq!(fates(&repeated), want);
    assert_eq!(conflicts(&repeated), conflicts(first));
    assert_eq!(team.state().await, before, "nothing is done twice");
}

async fn a_queue_that_comes_after_the_lease_was_taken_is_kept_for_the_reviewer(database: Database) {
    let team = Team::new(database, json!({})).await;
    let Team { app, project, task, ben, rita, anas, boxes: [a, b, c] } = &team;
    let (ana, d) = (&anas.person, new_annotation());
    // The answer to this was lost: it stays in the queue.
    let lost = moved(a, &anas.seen(1), 10.0);
    assert_eq!(fates(&send(anas, std::slice::from_ref(&lost)).await), ["APPLIED"]);
    let mut queue = vec![
        lost,
        renamed(a, &anas.seen(2), "dust"),
        moved(b, &anas.seen(1), 20.0),
        moved(b, &anas.seen(2), 21.0),
        json!({ "delete": { "id": c, "base": anas.seen(1) } }),
        box_at(&d, 40.0),
        renamed(&d, &anas.seen(1), "dust"),
    ];
    team.an_hour_later().await;
    let bens = app.at_work(project, task, ben).await;
    let mut seen_by_ben = anas.seen(1);
    assert_eq!(fates(&send(&bens, &[moved(b, &seen_by_ben, 50.0)]).await), ["APPLIED"]);
    seen_by_ben[&bens.actor] = json!(1);
    assert_eq!(fates(&send(&bens, &[renamed(b, &seen_by_ben, "dust")]).await), ["APPLIED"]);

    let first = send(anas, &queue).await;
    let late = ["CONFLICT LATE"; 6];
    assert_eq!(fates(&first), [&["APPLIED repeated"][..], &late].concat());
    assert_eq!(first[2]["conflict"], first[3]["conflict"], "two drags of one box are one thing to decide");
    assert_eq!(first[5]["conflict"], first[6]["conflict"], "so is what was made and changed");
    // She reloads the page. What the old session had not sent goes first, under it, then she goes on with the new one.
    let again = app.joined(task, ana).await;
    assert!(again.fence == bens.fence && bens.fence > anas.fence && again.actor != anas.actor);
    send_again(&team, &queue, &first).await;
    let e = new_annotation();
    assert_eq!(fates(&send(&again, &[box_at(&e, 60.0)]).await), ["APPLIED"]);
    send_again(&team, &queue, &first).await;

    // What ben sees is as he left it; each edit is one revision, and what was made late is a tombstone.
    for (id, wanted) in [
        (a, (3, 10.0, "cell", false)),
        (b, (5, 50.0, "dust", false)),
        (c, (2, 1.0, "cell", false)),
        (&d, (2, 40.0, "cell", true)),
        (&e, (1, 60.0, "cell", false)),
    ] {
        let (revision, x, label, deleted) = wanted;
        assert_eq!(team.state_of(id).await, (revision, x, label.to_owned(), deleted), "{id}");
    }
    ben.submit(&bens.screen).await.get("submitTask");

    let review = rita.claim_review(project).await;
    rita.judge(&review, "ACCEPT", json!({})).await.assert_error("CONFLICT_OPEN", "sessionId");
    for (id, choice, merged) in [
        (a, "INCOMING", Value::Null),
        (b, "CURRENT", Value::Null),
        (c, "MERGED", json!({ "label": "dust" })),
        (&d, "INCOMING", Value::Null),
    ] {
        rita.judge(&review, "ACCEPT", json!({})).await.assert_error("CONFLICT_OPEN", "sessionId");
        let conflict = team.waiting(rita, id).await;
        assert_eq!((&conflict["cause"], &conflict["incomingBy"]["id"]), (&json!("LATE"), &json!(ana.id)));
        let decided = decide(rita, &conflict, choice, merged).await;
        assert_eq!(decided.get("resolveConflict.conflict"), &json!({ "state": "RESOLVED", "choice": choice }));
    }
    for (id, wanted) in [
        (a, (4, 10.0, "dust", false)),
        (b, (6, 50.0, "dust", false)),
        (c, (3, 1.0, "dust", false)),
        (&d, (3, 40.0, "dust", false)),
    ] {
        let (revision, x, label, deleted) = wanted;
        assert_eq!(team.state_of(id).await, (revision, x, label.to_owned(), deleted), "{id}, decided");
    }
    rita.judge(&review, "ACCEPT", json!({})).await.get("reviewTask");
    assert_eq!(team.stands().await, "ACCEPTED [ACCEPTED]");

    // Even then a repeat has the fate it had; what is new comes too late.
    send_again(&team, &queue, &first).await;
    queue.push(moved(a, &anas.seen(3), 70.0));
    assert_eq!(fates(&send(anas, &queue).await).last().unwrap(), "REJECTED LEASE_LOST");
    assert_positions_are_gap_free(app).await;
    assert_counters(app, project).await;
}

async fn a_queue_finds_a_lease_that_nobody_took(database: Database) {
    let team = Team::new(database, json!({})).await;
    let [a, b, c] = &team.boxes;
    let (anas, d) = (&team.anas, new_annotation());
    let queue = [
        moved(a, &anas.seen(1), 10.0),
        renamed(a, &anas.seen(2), "dust"),
        json!({ "delete": { "id": b, "base": anas.seen(1) } }),
        box_at(&d, 40.0),
    ];
    team.an_hour_later().await;
    assert_eq!(team.stands().await, "QUEUED [FREE]");
    let first = send(anas, &queue).await;
    assert_eq!(fates(&first), ["APPLIED"; 4]);
    assert_eq!(team.stands().await, "IN_PROGRESS [LEASED]", "it is hers again");
    send_again(&team, &queue, &first).await;
    assert_eq!(team.state_of(a).await, (3, 10.0, "dust".to_owned(), false));
    assert_eq!(team.state_of(b).await, (2, 1.0, "cell".to_owned(), true));
    // The same where nobody has noticed yet that it ran out.
    team.app.advance(HOUR);
    assert_eq!(fates(&send(anas, &[moved(c, &anas.seen(1), 30.0)]).await), ["APPLIED"]);
    anas.person.submit(&anas.screen).await.get("submitTask");
    assert_counters(&team.app, &team.project).await;
}

async fn a_joiners_queue_finds_the_lease_that_went_on(database: Database) {
    let team = Team::new(database, json!({})).await;
    let Team { app, task, ben, anas, boxes: [a, b, c], .. } = &team;
    let bens = app.joined(task, ben).await;
    for _ in 0..6 {
        app.advance(HOUR / 6);
        app.reap().await;
        anas.person.heartbeat(&anas.screen).await.get("heartbeat");
    }
    let edits = [moved(a, &anas.seen(1), 10.0), moved(b, &anas.seen(1), 20.0)];
    assert_eq!(fates(&send(anas, &edits).await), ["APPLIED"; 2]);
    let with_own = |own: i64| {
        let mut base = anas.seen(1);
        base[&bens.actor] = json!(own);
        base
    };
    let queue = [
        renamed(a, &anas.seen(1), "dust"),
        moved(b, &anas.seen(1), 50.0),
        renamed(b, &with_own(1), "dust"),
        moved(c, &anas.seen(1), 30.0),
        renamed(c, &with_own(1), "dust"),
    ];
    let wanted = ["MERGED", "CONFLICT CONCURRENT", "MERGED", "APPLIED", "APPLIED"];
    assert_eq!(fates(&send(&bens, &queue).await), wanted, "nothing of it is late");
    assert_eq!(team.state_of(a).await, (3, 10.0, "dust".to_owned(), false));
    assert_eq!(team.state_of(b).await, (4, 20.0, "dust".to_owned(), false));
    assert_eq!(team.state_of(c).await, (3, 30.0, "dust".to_owned(), false));
    assert_eq!(team.waiting(&anas.person, b).await["incoming"]["geometry"]["x"], 50.0);

    // When it has run out nobody but its holder brings it back.
    team.an_hour_later().await;
    let (own, seen_by_ana) = (with_own(2), with_own(2));
    assert_eq!(fates(&send(&bens, &[renamed(c, &own, "cell")]).await), ["CONFLICT LATE"]);
    assert_eq!(team.stands().await, "QUEUED [FREE]");
    assert_eq!(fates(&send(anas, &[moved(c, &seen_by_ana, 35.0)]).await), ["MERGED"]);
    assert_eq!(team.stands().await, "IN_PROGRESS [LEASED]");
    assert_counters(app, &team.project).await;
}

async fn a_queue_that_comes_when_the_work_is_final_is_refused_edit_by_edit(database: Database) {
    let team = Team::new(database, json!({ "review": "NONE" })).await;
    let Team { app, project, task, ben, anas, boxes: [a, b, c], .. } = &team;
    let accepted = moved(a, &anas.seen(1), 10.0);
    assert_eq!(fates(&send(anas, std::slice::from_ref(&accepted)).await), ["APPLIED"]);
    let queue = [
        accepted,
        renamed(a, &anas.seen(2), "dust"),
        json!({ "delete": { "id": b, "base": anas.seen(1) } }),
        box_at(&new_annotation(), 40.0),
        renamed(c, &anas.seen(9), "dust"),
    ];
    let refused = async |case: &str| {
        let before = (team.state().await, project.version(task).await);
        let results = send(anas, &queue).await;
        let lost = "REJECTED LEASE_LOST";
        assert_eq!(fates(&results), ["APPLIED repeated", lost, lost, lost, "REJECTED FUTURE_VERSION"], "{case}");
        let fields: Vec<&Value> = results.iter().map(|result| &result["field"]).collect();
        let wanted = [
            Value::Null,
            json!("edits[1].update.id"),
            json!("edits[2].delete.id"),
            json!("edits[3].create.id"),
            json!("edits[4].update.base"),
        ];
        assert_eq!(fields, wanted.iter().collect::<Vec<_>>(), "{case}");
        assert_eq!((team.state().await, project.version(task).await), before, "{case} changed something");
    };
    team.an_hour_later().await;
    project.archive(vec![task.clone()], true).await.get("archiveTasks");
    refused("an archived task").await;
    project.archive(vec![task.clone()], false).await.get("archiveTasks");
    let bens = app.at_work(project, task, ben).await;
    ben.skip(&bens.screen, "too dark").await.get("skipTask");
    refused("a skipped slot").await;
    project.reopen(task).await.get("reopenTask");
    let cleo = project.member(app, "cleo", "ANNOTATOR").await;
    let cleos = app.at_work(project, task, &cleo).await;
    cleo.submit(&cleos.screen).await.get("submitTask");
    assert_eq!(team.stands().await, "ACCEPTED [ACCEPTED]");
    refused("an accepted slot").await;
    assert_counters(app, project).await;
}

async fn where_nobody_reviews_who_holds_the_slot_decides_what_came_late(database: Database) {
    let team = Team::new(database, json!({ "review": "NONE" })).await;
    let Team { app, project, task, ben, anas, boxes: [a, ..], .. } = &team;
    team.an_hour_later().await;
    let bens = app.at_work(project, task, ben).await;
    assert_eq!(fates(&send(anas, &[moved(a, &anas.seen(1), 10.0)]).await), ["CONFLICT LATE"]);
    ben.submit(&bens.screen).await.assert_error("CONFLICT_OPEN", "sessionId");
    let conflict = team.waiting(ben, a).await;
    decide(ben, &conflict, "INCOMING", Value::Null).await.get("resolveConflict");
    assert_eq!(team.state_of(a).await, (3, 10.0, "cell".to_owned(), false));
    ben.submit(&bens.screen).await.get("submitTask");
    assert_eq!(team.stands().await, "ACCEPTED [ACCEPTED]");
    assert_counters(app, project).await;
}
