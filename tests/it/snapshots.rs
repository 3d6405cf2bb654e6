//! What a slot's work was at a version of its task.

use serde_json::{Value, json};

use crate::harness::{
    Answer, Database, Media, Project, Session, TestApp, box_at, id_of, new_annotation, on_both_databases, span,
};

on_both_databases![
    a_snapshot_holds_the_live_annotations_of_its_slot,
    a_snapshot_of_nothing_is_empty,
    snapshots_are_read_page_by_page,
    work_is_handed_in_once_every_required_tool_is_used,
    verdicts_and_reopenings_keep_what_was_judged,
];

const SNAPSHOT: &str = "id slot version reason at by { id } task { id } payload";

impl Session {
    /// Hands the slot in; the answer has the snapshot.
    async fn hand_in(&self) -> Answer {
        let selection = format!("task {{ id state version }} snapshot {{ {SNAPSHOT} }}");
        let answer = self.person.mutate("submitTask", self.screen.input(), &selection).await;
        assert_eq!(answer.get("submitTask.snapshot.version"), answer.get("submitTask.task.version"));
        answer
    }

    /// Takes the submission back; the same person goes on in a new session.
    async fn take_back(&self, app: &TestApp, project: &Project) -> Self {
        self.person.withdraw(&self.screen.task).await.get("withdrawSubmission");
        app.at_work(project, &self.screen.task, &self.person).await
    }
}

impl Project {
    /// A task's snapshots, oldest first.
    async fn snapshots(&self, task: &str) -> Vec<Value> {
        let query =
            format!("query($id: ID!) {{ task(id: $id) {{ snapshots(first: 9) {{ nodes {{ {SNAPSHOT} }} }} }} }}");
        let seen = self.manager.send(&query, json!({ "id": task })).await;
        seen.get("task.snapshots.nodes").as_array().unwrap().clone()
    }
}

async fn a_snapshot_holds_the_live_annotations_of_its_slot(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Image, json!({ "overlap": 2 })).await;
    let tool = json!({ "name": "Boxes", "kind": "BOUNDING_BOX", "labels": [{ "name": "cell" }, { "name": "dust" }],
        "attributes": [{ "name": "note", "type": "TEXT" }] });
    project.publish_tools(json!([tool])).await;
    let assets = app.ready_images(&project, 1).await;
    let task = id_of(project.create_tasks(json!([{ "assetIds": assets }])).await.get("createTasks.tasks.0"));
    let (ana, ben) = (app.person("ana").await, app.person("ben").await);
    for person in [&ana, &ben] {
        project.set_member(person, json!("ANNOTATOR")).await.get("setMember.member");
    }
    let (ana, ben) = (app.at_work(&project, &task, &ana).await, app.at_work(&project, &task, &ben).await);
    let mut ids: Vec<String> = (0..3).map(|_| new_annotation()).collect();
    ids.sort();
    let x = 0.1 + 0.2;
    let update = json!({ "update": { "id": ids[1], "base": ana.seen(1), "label": "dust", "attributes": { "note": "\"ü\" 👩‍👧" } } });
    let deletion = json!({ "delete": { "id": ids[2], "base": ana.seen(1) } });
    let batch = json!([box_at(&ids[1], x), box_at(&ids[0], 1.0), box_at(&ids[2], 2.0), update, deletion]);
    ana.save(batch).await.get("saveAnnotations.task");
    ben.edit(box_at(&new_annotation(), 9.0)).await;
    let taken = ana.hand_in().await.get("submitTask.snapshot").clone();
    // What happens later is not in it.
    let later = ana.take_back(&app, &project).await;
    let deleted = later.edit(json!({ "delete": { "id": ids[0], "base": ana.seen(1) } })).await;
    assert_eq!(deleted["outcome"], "APPLIED", "{deleted:#}");
    let query = format!("query($id: ID!) {{ node(id: $id) {{ ... on Snapshot {{ {SNAPSHOT} }} }} }}");
    let seen = project.manager.send(&query, json!({ "id": taken["id"] })).await;
    assert_eq!(seen.get("node"), &taken);
    let shown = |id: &str, x: f64, label: &str, attributes: Value, edits: i64| {
        json!({
            "id": id, "assetId": assets[0], "kind": "BOUNDING_BOX", "tool": "Boxes", "label": label,
            "geometry": { "boundingBox": { "x": x, "y": 1.0, "width": 5.0, "height": 4.0, "rotation": 0.0 } },
            "attributes": attributes, "versionVector": ana.seen(edits), "revision": edits, "source": "HUMAN",
            "score": null, "authorId": ana.person.id,
        })
    };
    let want =
        json!([shown(&ids[0], 1.0, "cell", json!({}), 1), shown(&ids[1], x, "dust", json!({ "note": "\"ü\" 👩‍👧" }), 2)]);
    assert_eq!(seen.get("node.payload"), &want);
    assert_eq!((seen.get("node.slot"), seen.get("node.reason")), (&json!(1), &json!("SUBMIT")));
    assert_eq!((seen.get("node.task.id"), seen.get("node.by.id")), (&json!(task), &json!(ana.person.id)));
}

async fn a_snapshot_of_nothing_is_empty(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let task = project.text_tasks(1).await.remove(0);
    let session = app.at_work(&project, &task, &project.manager).await;
    let handed_in = session.hand_in().await;
    assert_eq!(handed_in.get("submitTask.snapshot.payload"), &json!([]));
    assert_eq!(project.snapshots(&task).await, [handed_in.get("submitTask.snapshot").clone()]);
    // Repeated, it is the same one.
    assert_eq!(session.hand_in().await.get("submitTask"), handed_in.get("submitTask"));
    assert_eq!(project.snapshots(&task).await.len(), 1);
}

async fn snapshots_are_read_page_by_page(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let task = project.text_tasks(1).await.remove(0);
    let ana = app.person("ana").await;
    project.set_member(&ana, json!("ANNOTATOR")).await.get("setMember.member");
    let mut ana = app.at_work(&project, &task, &ana).await;
    let mut taken = Vec::new();
    for _ in 0..3 {
        assert_eq!(ana.edit(span(&new_annotation(), 0, "cell")).await["outcome"], "APPLIED");
        taken.push(ana.hand_in().await.text("submitTask.snapshot.id"));
        ana = ana.take_back(&app, &project).await;
    }
    let page = async |page: &str| {
        let query = format!(
            "query($id: ID!) {{ task(id: $id) {{ snapshots({page}) {{ totalCount edges {{ cursor node {{ id payload }} }} pageInfo {{ hasNextPage }} }} }} }}"
        );
        project.manager.send(&query, json!({ "id": task })).await.get("task.snapshots").clone()
    };
    let first = page("first: 2").await;
    assert_eq!((&first["totalCount"], &first["pageInfo"]["hasNextPage"]), (&json!(3), &json!(true)));
    let rest = page(&format!("first: 2, after: {}", first["edges"][1]["cursor"])).await;
    let edges = first["edges"].as_array().unwrap().iter().chain(rest["edges"].as_array().unwrap());
    let seen: Vec<(String, usize)> =
        edges.map(|edge| (id_of(&edge["node"]), edge["node"]["payload"].as_array().unwrap().len())).collect();
    let want: Vec<(String, usize)> = taken.into_iter().zip(1..).collect();
    assert_eq!(seen, want, "oldest first, each with what was there");
}

async fn work_is_handed_in_once_every_required_tool_is_used(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Text, json!({ "overlap": 2 })).await;
    let tool = |name: &str, kind: &str, required: bool| json!({ "name": name, "kind": kind, "required": required, "labels": [{ "name": "cell" }] });
    let tools =
        [tool("Words", "TEXT_SPAN", true), tool("Whole", "CLASSIFICATION", true), tool("Parts", "TEXT_SPAN", false)];
    project.publish_tools(json!(tools)).await;
    let task = project.text_tasks(1).await.remove(0);
    let (ana, ben) = (project.member(&app, "ana", "ANNOTATOR").await, project.member(&app, "ben", "ANNOTATOR").await);
    let (ana, ben) = (app.at_work(&project, &task, &ana).await, app.at_work(&project, &task, &ben).await);
    let whole = || {
        let geometry = json!({ "classification": { "values": ["cell"] } });
        json!({ "create": { "id": new_annotation(), "tool": "Whole", "label": "cell", "geometry": geometry } })
    };
    // What ben made is in his own slot.
    ben.save(json!([span(&new_annotation(), 0, "cell"), whole()])).await.get("saveAnnotations");
    let refused = async |unused: &str| {
        let before = (project.happened().await, project.stands(&task).await, project.version(&task).await);
        let answer = ana.person.submit(&ana.screen).await;
        answer.assert_refused(unused, "INCOMPLETE", "sessionId");
        assert!(answer.message().ends_with(unused), "{}", answer.message());
        assert_eq!((project.happened().await, project.stands(&task).await, project.version(&task).await), before);
        assert_eq!(project.snapshots(&task).await, Vec::<Value>::new());
    };
    refused(r#""Words", "Whole""#).await;
    let first = new_annotation();
    let mut part = span(&new_annotation(), 0, "cell");
    part["create"]["tool"] = json!("Parts");
    ana.save(json!([span(&first, 0, "cell"), part])).await.get("saveAnnotations");
    refused(r#"required: "Whole""#).await;
    // What was deleted again is not used.
    ana.save(json!([{ "delete": { "id": first, "base": ana.seen(1) } }, whole()])).await.get("saveAnnotations");
    refused(r#"required: "Words""#).await;
    ana.edit(json!({ "restore": { "id": first, "base": ana.seen(2) } })).await;
    let answer = ana.hand_in().await;
    assert_eq!(project.stands(&task).await, "IN_PROGRESS [SUBMITTED, LEASED]");
    let shown = answer.get("submitTask.snapshot.payload").as_array().unwrap();
    let mut tools: Vec<&str> = shown.iter().map(|annotation| annotation["tool"].as_str().unwrap()).collect();
    tools.sort_unstable();
    assert_eq!(tools, ["Parts", "Whole", "Words"]);
    ben.person.submit(&ben.screen).await.get("submitTask");
}

async fn verdicts_and_reopenings_keep_what_was_judged(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Text, json!({ "overlap": 2 })).await;
    let task = project.text_tasks(1).await.remove(0);
    let (ana, ben) = (project.member(&app, "ana", "ANNOTATOR").await, project.member(&app, "ben", "ANNOTATOR").await);
    let rita = project.member(&app, "rita", "REVIEWER").await;
    let mut want: Vec<(i64, &str, i64, String, Vec<String>)> = Vec::new();
    let (mut works, mut sessions) = (Vec::new(), Vec::new());
    for (slot, person) in [(1, &ana), (2, &ben)] {
        let session = app.at_work(&project, &task, person).await;
        let id = new_annotation();
        assert_eq!(session.edit(span(&id, 0, "cell")).await["outcome"], "APPLIED");
        session.hand_in().await;
        want.push((slot, "SUBMIT", project.version(&task).await, person.id.clone(), vec![id.clone()]));
        works.push(vec![id]);
        sessions.push(session);
    }
    let judge = async |verdict: &str, more: Value| {
        let review = rita.try_claim_review(&project, json!({ "taskId": task })).await.unwrap();
        rita.judge(&review, verdict, more).await.get("reviewTask");
        project.version(&task).await
    };
    let version = judge("REJECT", json!({ "slot": 1 })).await;
    want.push((1, "VERDICT", version, rita.id.clone(), works[0].clone()));
    let version = judge("ACCEPT", json!({})).await;
    want.push((2, "VERDICT", version, rita.id.clone(), works[1].clone()));
    // Ana goes on from what was rejected.
    let again = app.at_work(&project, &task, &ana).await;
    let more = new_annotation();
    assert_eq!(again.edit(span(&more, 0, "ce")).await["outcome"], "APPLIED");
    again.hand_in().await;
    works[0].push(more);
    works[0].sort();
    want.push((1, "SUBMIT", project.version(&task).await, ana.id.clone(), works[0].clone()));
    let version = judge("ACCEPT", json!({})).await;
    want.push((1, "VERDICT", version, rita.id.clone(), works[0].clone()));
    assert_eq!(project.stands(&task).await, "ACCEPTED [ACCEPTED, ACCEPTED]");
    project.reopen(&task).await.get("reopenTask");
    let version = project.version(&task).await;
    for (slot, work) in [(1, &works[0]), (2, &works[1])] {
        want.push((slot, "REOPEN", version, project.manager.id.clone(), work.clone()));
    }
    let taken = project.snapshots(&task).await;
    let seen: Vec<_> = taken
        .iter()
        .map(|snapshot| {
            let work = snapshot["payload"].as_array().unwrap().iter().map(id_of).collect();
            let number = |key: &str| snapshot[key].as_i64().unwrap();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (number("slot"), snapshot["reason"].as_str().unwrap(), number("version"), text(&snapshot["by"]["id"]), work)
        })
        .collect();
    assert_eq!(seen, want);
}
