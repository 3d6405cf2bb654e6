//! How many SQL statements a use case takes, and that they do not grow with its rows. The tables are printed.

use serde_json::{Value, json};

use crate::harness::{
    Answer, Database, Media, Person, Project, Session, TestApp, box_at, id_of, new_annotation, on_both_databases, span,
};

on_both_databases![
    statements_of_a_task_page_do_not_grow_with_its_rows,
    statements_of_a_project_page_do_not_grow_with_its_rows,
    statements_of_nodes_do_not_grow_with_their_number,
    statements_of_a_change_do_not_grow_with_its_tasks,
    statements_of_uploads_grow_by_no_more_than_one_an_asset,
    statements_of_a_save_do_not_grow_with_its_edits,
    statements_of_a_save_that_meets_others_do_not_grow_with_its_edits,
    statements_of_annotations_and_their_events_do_not_grow_with_their_number,
    statements_of_conflicts_do_not_grow_with_their_number,
    statements_of_decisions_are_few,
    statements_of_claiming_and_handing_in_are_few,
    statements_of_reviewing_are_few,
    statements_of_a_page_of_tasks_at_work_do_not_grow_with_its_rows,
    statements_of_a_page_of_jobs_do_not_grow_with_its_rows,
    statements_of_jobs_are_few,
];

impl TestApp {
    /// The statements that `work` takes, and its answer, which must be a good one.
    async fn counted(&self, work: impl Future<Output = Answer>) -> (u64, Answer) {
        let before = self.statements();
        let answer = work.await;
        let taken = self.statements() - before;
        assert!(answer.body.get("errors").is_none(), "{:#}", answer.body);
        (taken, answer)
    }
}

/// Prints what was counted: one line a case, one column a size.
#[expect(clippy::print_stderr, reason = "the figures are part of the result")]
fn print(database: &Database, case: &str, counts: &[(usize, u64)]) {
    let database = if database.is_sqlite() { "sqlite" } else { "postgres" };
    let columns: Vec<String> = counts.iter().map(|(rows, statements)| format!("{rows} rows: {statements}")).collect();
    eprintln!("statements, {database}, {case}: {}", columns.join(", "));
}

/// The field `last_used_at` of a token is written at most once a minute: get it over with.
async fn settle(person: &Person) {
    person.send("{ viewer { id } }", json!({})).await.get("viewer");
}

async fn statements_of_a_task_page_do_not_grow_with_its_rows(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Image, json!({ "overlap": 3 })).await;
    let ana = app.person("ana").await;
    project.set_member(&ana, json!("ANNOTATOR")).await;
    // More assets a task than fields are polled in one go.
    let assets = app.ready_images(&project, 40).await;
    let tasks: Vec<Value> = (0..200).map(|_| json!({ "assetIds": assets })).collect();
    for tasks in tasks.chunks(100) {
        project.create_tasks(json!(tasks)).await.get("createTasks");
    }
    app.sql(&format!("UPDATE task_slot SET reserved_for = {} WHERE number = 2", app.literal(&ana.id))).await;
    settle(&project.manager).await;
    let all_of_it = "assets(first: 2) { totalCount nodes { id url } } template { version publishedBy { name } }
      slots { number state reservedFor { name email } } project { name viewerRole template { id } taskCounts { count } }";
    for (case, first_assets, node, most) in [
        (
            "a page of tasks with assets, slots, template and project",
            2,
            "id assets(first: $assets) { nodes { id url } } slots { state } template { id } project { name }",
            7,
        ),
        (
            "a page of tasks with 40 assets each",
            40,
            "id assets(first: $assets) { nodes { id } } slots { state } template { id } project { name }",
            7,
        ),
        ("a page of tasks with all there is", 0, all_of_it, 14),
    ] {
        let variable = if first_assets == 0 { "" } else { ", $assets: Int!" };
        let query = format!(
            "query($id: ID!, $first: Int!{variable}) {{ tasks(projectId: $id, first: $first) {{ nodes {{ {node} }} }} }}"
        );
        let mut counts = Vec::new();
        for rows in [5, 50, 200] {
            let page = project.manager.send(&query, json!({ "id": project.id, "first": rows, "assets": first_assets }));
            let (statements, answer) = app.counted(page).await;
            assert_eq!(answer.get("tasks.nodes").as_array().unwrap().len(), rows, "{case}");
            counts.push((rows, statements));
        }
        print(&app.database, case, &counts);
        assert!(counts.iter().all(|(_, statements)| *statements <= most), "{case}: more than {most}: {counts:?}");
    }
}

async fn statements_of_a_project_page_do_not_grow_with_its_rows(database: Database) {
    let app = TestApp::new(database).await;
    let boss = app.admin().await;
    for _ in 0..25 {
        let project = app.project(&boss, Media::Image).await;
        app.ready_images(&project, 2).await;
        project.publish(Media::Image).await;
        project.export().await;
    }
    settle(&boss).await;
    let query = "query($first: Int!) { projects(first: $first) { totalCount nodes {
        viewerRole template { version } taskCounts { count } stats { claimable openConflicts }
        templates(first: 2) { totalCount nodes { version } } members(first: 2) { totalCount nodes { role user { name } } }
        assets(first: 2) { totalCount nodes { id } } jobs(first: 2) { totalCount nodes { state } } } } }";
    let mut counts = Vec::new();
    for rows in [1, 5, 25] {
        let (statements, answer) = app.counted(boss.send(query, json!({ "first": rows }))).await;
        assert_eq!(answer.get("projects.nodes").as_array().unwrap().len(), rows);
        counts.push((rows, statements));
    }
    print(&app.database, "a page of projects with all but the walked figures", &counts);
    assert!(counts.iter().all(|(_, statements)| *statements == counts[0].1 && *statements <= 15), "{counts:?}");
}

async fn statements_of_nodes_do_not_grow_with_their_number(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let ids = project.text_tasks(150).await;
    settle(&project.manager).await;
    let mut counts = Vec::new();
    for rows in [5, 150] {
        let mut ids = ids[..rows].to_vec();
        ids.extend([project.id.clone(), project.manager.id.clone()]);
        let query = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }";
        let (statements, answer) = app.counted(project.manager.send(query, json!({ "ids": ids }))).await;
        let seen: Vec<_> = answer.get("nodes").as_array().unwrap().iter().map(crate::harness::id_of).collect();
        assert_eq!(seen, ids, "in the order asked");
        counts.push((rows, statements));
    }
    print(&app.database, "nodes by id, of three kinds", &counts);
    assert!(counts.iter().all(|(_, statements)| *statements == counts[0].1 && *statements <= 4), "{counts:?}");
}

async fn statements_of_a_change_do_not_grow_with_its_tasks(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Text, json!({ "overlap": 10 })).await;
    settle(&project.manager).await;
    let tasks = |count: usize| -> Value {
        let new = (0..count).map(|n| json!({ "externalId": format!("{count}-{n}"), "data": { "text": "x" } }));
        json!(new.collect::<Vec<_>>())
    };
    let mut made = Vec::new();
    let mut counts = Vec::new();
    for rows in [1, 1_000] {
        let (statements, answer) = app.counted(project.create_tasks(tasks(rows))).await;
        made.push(answer.get("createTasks.tasks").as_array().unwrap().iter().map(crate::harness::id_of).collect());
        counts.push((rows, statements));
    }
    bounded(&app, "createTasks", &counts);
    let made: [Vec<String>; 2] = made.try_into().unwrap();
    for (case, change) in [
        ("createTasks, all known", None),
        ("updateTasks", Some(("updateTasks", json!({ "priority": 1 })))),
        ("archiveTasks", Some(("archiveTasks", json!({ "archived": true })))),
        ("archiveTasks, taken out", Some(("archiveTasks", json!({ "archived": false })))),
    ] {
        let mut counts = Vec::new();
        for ids in &made {
            let (statements, _) = match &change {
                None => app.counted(project.create_tasks(tasks(ids.len()))).await,
                Some((field, input)) => {
                    let mut input = input.clone();
                    input["taskIds"] = json!(ids);
                    app.counted(project.manager.mutate(field, input, "tasks { id }")).await
                }
            };
            counts.push((ids.len(), statements));
        }
        bounded(&app, case, &counts);
    }
}

/// A thousand tasks touch every stream of the project, and their rows take more than one statement to write.
fn bounded(app: &TestApp, case: &str, counts: &[(usize, u64)]) {
    print(&app.database, case, counts);
    let [(_, one), (_, many)] = counts else { panic!("{counts:?}") };
    assert!(*one <= 14 && *many <= one + 7 + 4, "{case}: {counts:?}");
}

async fn statements_of_uploads_grow_by_no_more_than_one_an_asset(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    settle(&project.manager).await;
    // The key that signs URLs is read once.
    project.request_upload("a.txt", "text/plain", 1).await.get("requestUploads");
    let (mut asked, mut completed, mut again) = (Vec::new(), Vec::new(), Vec::new());
    for rows in [1, 20] {
        let file = json!({ "fileName": "a.txt", "contentType": "text/plain", "sizeBytes": 1 });
        let input = json!({ "projectId": project.id, "files": vec![file; rows] });
        let request = project.manager.mutate("requestUploads", input, "uploads { assetId url }");
        let (statements, answer) = app.counted(request).await;
        asked.push((rows, statements));
        let uploads = answer.get("requestUploads.uploads").as_array().unwrap().clone();
        for upload in &uploads {
            assert_eq!(app.put(upload["url"].as_str().unwrap(), "a").await.status(), 204);
        }
        let ids: Vec<&str> = uploads.iter().map(|upload| upload["assetId"].as_str().unwrap()).collect();
        let (statements, answer) = app.counted(complete(&project, &ids)).await;
        assert_eq!(answer.get("completeUploads.assets").as_array().unwrap().len(), rows);
        completed.push((rows, statements));
        again.push((rows, app.counted(complete(&project, &ids)).await.0));
    }
    for (case, counts) in [("requestUploads", &asked), ("completeUploads, again", &again)] {
        print(&app.database, case, counts);
        assert_eq!(counts[0].1, counts[1].1, "{case}");
    }
    print(&app.database, "completeUploads", &completed);
    let [(1, one), (20, twenty)] = completed[..] else { panic!("{completed:?}") };
    assert!(one <= 7 && twenty <= one + 19, "{completed:?}");
}

async fn complete(project: &Project, ids: &[&str]) -> Answer {
    project.manager.mutate("completeUploads", json!({ "assetIds": ids }), "assets { id state }").await
}

/// Ana at work on a task with one picture, its template and assets read once before.
async fn at_work(app: &TestApp) -> (Project, String, Session) {
    let project = app.project(&app.admin().await, Media::Image).await;
    let assets = app.ready_images(&project, 1).await;
    let task = id_of(project.create_tasks(json!([{ "assetIds": assets }])).await.get("createTasks.tasks.0"));
    let ana = app.person("ana").await;
    project.set_member(&ana, json!("ANNOTATOR")).await.get("setMember.member");
    let ana = app.at_work(&project, &task, &ana).await;
    ana.edit(box_at(&new_annotation(), 1.0)).await;
    settle(&project.manager).await;
    (project, task, ana)
}

async fn statements_of_a_save_do_not_grow_with_its_edits(database: Database) {
    let app = TestApp::new(database).await;
    let (_, _, ana) = at_work(&app).await;
    let mut cases = ["creations", "updates", "updates sent again", "refused"].map(|case| (case, Vec::new()));
    for rows in [1, 50, 500] {
        let ids: Vec<String> = (0..rows).map(|_| new_annotation()).collect();
        let creations = json!(ids.iter().map(|id| box_at(id, 1.0)).collect::<Vec<_>>());
        let update = |id: &String| json!({ "update": { "id": id, "base": ana.seen(1), "label": "dust" } });
        let updates = json!(ids.iter().map(update).collect::<Vec<_>>());
        let refused = json!(ids.iter().map(|_| box_at(&new_annotation(), -1.0)).collect::<Vec<_>>());
        for ((case, counts), edits) in cases.iter_mut().zip([creations, updates.clone(), updates, refused]) {
            let (statements, saved) = app.counted(ana.save(edits)).await;
            let results = saved.get("saveAnnotations.results").as_array().unwrap();
            let want = if *case == "refused" { "REJECTED" } else { "APPLIED" };
            assert!(results.len() == rows && results.iter().all(|result| result["outcome"] == want), "{case}");
            counts.push((rows, statements));
        }
    }
    for (case, counts) in &cases {
        print(&app.database, &format!("saveAnnotations, {case}"), counts);
        assert!(
            counts.iter().all(|(_, statements)| *statements == counts[0].1 && *statements <= 12),
            "{case}: {counts:?}"
        );
    }
    // With all that comes only now and then: the lease renewed, the text of an asset not read yet.
    app.advance(std::time::Duration::from_secs(100));
    settle(&ana.person).await;
    let (statements, _) = app.counted(ana.save(json!([box_at(&new_annotation(), 1.0)]))).await;
    print(&app.database, "saveAnnotations that renews the lease", &[(1, statements)]);
    assert!(statements <= 12, "{statements}");
}

async fn statements_of_a_save_that_meets_others_do_not_grow_with_its_edits(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana) = at_work(&app).await;
    let second = app.second_screen(&project, &task, &ana).await;
    // Without an open conflict in the task, none is looked for.
    ana.dispute(&second, box_at(&new_annotation(), 1.0)).await;
    let moved = |id: &str, x: f64| json!({ "update": { "id": id, "base": ana.seen(1), "geometry": box_at(id, x)["create"]["geometry"] } });
    let named = |id: &str, label: &str| json!({ "update": { "id": id, "base": ana.seen(1), "label": label } });
    let all = |ids: &[String], edit: &dyn Fn(&str) -> Value| -> Value { ids.iter().map(|id| edit(id)).collect() };
    let mut cases = ["merged", "conflicting", "conflicting again"].map(|case| (case, Vec::new()));
    for rows in [1, 500] {
        let ids: Vec<String> = (0..rows).map(|_| new_annotation()).collect();
        ana.all_become("APPLIED", all(&ids, &|id| box_at(id, 1.0))).await;
        ana.all_become("APPLIED", all(&ids, &|id| moved(id, 2.0))).await;
        // Of a conflict, what its author says next goes into it.
        let edits = [
            ("MERGED", all(&ids, &|id| named(id, "dust"))),
            ("CONFLICT", all(&ids, &|id| with_base(moved(id, 3.0), &ana.seen(1), &second, 1))),
            ("CONFLICT", all(&ids, &|id| with_base(moved(id, 4.0), &ana.seen(1), &second, 2))),
        ];
        for ((_, counts), (outcome, edits)) in cases.iter_mut().zip(edits) {
            counts.push((rows, app.counted_becoming(&second, outcome, edits).await));
        }
    }
    for (case, counts) in &cases {
        few_at_any_size(&app, &format!("saveAnnotations, {case}"), counts);
    }
    let asset = "query($id: ID!) { task(id: $id) { assets(first: 1) { nodes { id } } } }";
    let asset = ana.person.send(asset, json!({ "id": task })).await.text("task.assets.nodes.0.id");
    // Each in a task of its own, as only so many conflicts of one are open at once.
    for case in ["late", "late creations"] {
        let made = project.create_tasks(json!([{ "assetIds": [asset] }])).await;
        let task = id_of(made.get("createTasks.tasks.0"));
        let ana = app.at_work(&project, &task, &ana.person).await;
        let named = |id: &String| json!({ "update": { "id": id, "base": ana.seen(1), "label": "dust" } });
        let ids: Vec<String> = (0..500).map(|_| new_annotation()).collect();
        let creations: Vec<Value> = ids.iter().map(|id| box_at(id, 1.0)).collect();
        let edits: Vec<Value> = if case == "late" {
            ana.all_become("APPLIED", json!(creations)).await;
            ids.iter().map(named).collect()
        } else {
            creations
        };
        // One waits already: without any, none is looked for.
        project.revoke(&task, Some(1)).await.get("revokeLease");
        ana.all_become("CONFLICT", json!([box_at(&new_annotation(), 1.0)])).await;
        let mut counts = Vec::new();
        for edits in [&edits[..1], &edits[1..]] {
            counts.push((edits.len(), app.counted_becoming(&ana, "CONFLICT", json!(edits)).await));
        }
        few_at_any_size(&app, &format!("saveAnnotations, {case}"), &counts);
    }
}

/// The edit, of somebody who has seen so many of their own edits, too.
fn with_base(mut edit: Value, seen: &Value, session: &Session, own: i64) -> Value {
    edit["update"]["base"] = seen.clone();
    edit["update"]["base"][&session.actor] = json!(own);
    edit
}

impl TestApp {
    /// The statements of a save, all edits of which have this outcome.
    async fn counted_becoming(&self, session: &Session, outcome: &str, edits: Value) -> u64 {
        let before = self.statements();
        session.all_become(outcome, edits).await;
        self.statements() - before
    }
}

/// Prints what was counted: at most 14, whatever the size.
fn few_at_any_size(app: &TestApp, case: &str, counts: &[(usize, u64)]) {
    print(&app.database, case, counts);
    assert!(counts.iter().all(|(_, statements)| *statements == counts[0].1 && *statements <= 14), "{case}: {counts:?}");
}

async fn statements_of_conflicts_do_not_grow_with_their_number(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let tasks = project.text_tasks(20).await;
    let (ana, ben) = (project.member(&app, "ana", "ANNOTATOR").await, project.member(&app, "ben", "ANNOTATOR").await);
    project.set(json!({ "collaboration": "SHARED" })).await;
    let mut raised = Value::Null;
    for (index, task) in tasks.iter().enumerate() {
        let (holder, joiner) = if index % 2 == 0 { (&ana, &ben) } else { (&ben, &ana) };
        let session = app.at_work(&project, task, holder).await;
        let joined = app.joined(task, joiner).await;
        let many = if index == 0 { 200 } else { 2 };
        session.dispute_all(&joined, (0..many).map(|_| span(&new_annotation(), 0, "cell")).collect()).await;
        if index == 0 {
            let told = project.all_events(None, 200).await;
            let first = told.iter().position(|event| event["type"] == "CONFLICT_RAISED").unwrap();
            raised = told[first - 1]["cursor"].clone();
        }
        holder.release(&session.screen).await.get("releaseTask");
    }
    settle(&project.manager).await;
    let conflict =
        "id state cause fields baseVector base { label } current { label } incoming { label } raisedAt choice
      annotation { id label versionVector } incomingBy { name } currentBy { name } resolvedBy { name } task { id }";
    let of_tasks = format!(
        "query($id: ID!, $task: ID!, $first: Int!) {{ task(id: $task) {{ id }} tasks(projectId: $id, first: $first) {{ nodes {{
           openConflictCount openConflicts(first: 2) {{ totalCount nodes {{ {conflict} }} }} }} }} }}"
    );
    let of_annotations = format!(
        "query($id: ID!, $task: ID!, $first: Int!) {{ eventCursor(projectId: $id) task(id: $task) {{
           annotations(first: $first) {{ nodes {{ openConflicts {{ {conflict} }} }} }} }} }}"
    );
    let of_project = format!(
        "query($id: ID!, $task: ID!, $first: Int!) {{ task(id: $task) {{ id }}
           conflicts(projectId: $id, state: OPEN, first: $first) {{ totalCount nodes {{ {conflict} }} }} }}"
    );
    for (case, query, path, sizes, most) in [
        ("a page of tasks with their open conflicts", &of_tasks, "tasks.nodes", [2, 20], 10),
        ("a page of annotations with their open conflicts", &of_annotations, "task.annotations.nodes", [5, 200], 10),
        ("a page of the conflicts of a project", &of_project, "conflicts.nodes", [5, 200], 9),
    ] {
        let mut counts = Vec::new();
        for rows in sizes {
            let variables = json!({ "id": project.id, "task": tasks[0], "first": rows });
            let (statements, answer) = app.counted(project.manager.send(query, variables)).await;
            assert_eq!(answer.get(path).as_array().unwrap().len(), rows, "{case}");
            counts.push((rows, statements));
        }
        print(&app.database, case, &counts);
        // Two batches of people may be one, depending on who asks first.
        assert!(counts.iter().all(|(_, statements)| *statements <= most), "{case}: more than {most}: {counts:?}");
    }
    let events = format!(
        "query($id: ID!, $after: EventCursor, $first: Int!) {{ events(projectId: $id, after: $after, first: $first) {{
           cursor nodes {{ ... on ConflictEvent {{ by {{ name }} conflict {{ {conflict} }} }} }} }} }}"
    );
    // Behind the last save of the first task: its conflicts one after the other.
    let mut counts = Vec::new();
    for rows in [5, 200] {
        let variables = json!({ "id": project.id, "after": raised, "first": rows });
        let (statements, answer) = app.counted(project.manager.send(&events, variables)).await;
        let told = answer.get("events.nodes").as_array().unwrap();
        assert!(told.len() == rows && told.iter().all(|event| event["conflict"].is_object()), "{rows}");
        counts.push((rows, statements));
    }
    print(&app.database, "a page of events of conflicts", &counts);
    assert!(counts.iter().all(|(_, statements)| *statements <= 10), "{counts:?}");
}

async fn statements_of_decisions_are_few(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana) = at_work(&app).await;
    let second = app.second_screen(&project, &task, &ana).await;
    let creations = (0..4).map(|_| box_at(&new_annotation(), 1.0)).collect();
    let disputed = ana.dispute_all(&second, creations).await;
    let decided = "conflict { id } annotation { id }";
    let resolve = |which: usize, more: Value| {
        let mut input = json!({ "conflictId": disputed[which].conflict, "base": disputed[which].now });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ana.person.mutate("resolveConflict", input, decided)
    };
    for (case, which, more) in [
        ("CURRENT", 0, json!({ "choice": "CURRENT" })),
        ("INCOMING", 1, json!({ "choice": "INCOMING" })),
        ("MERGED", 2, json!({ "choice": "MERGED", "merged": { "label": "dust" } })),
        ("MERGED, again", 2, json!({ "choice": "MERGED", "merged": { "label": "dust" } })),
    ] {
        few(&app, &format!("resolveConflict, {case}"), 14, resolve(which, more)).await;
    }
    let before = app.statements();
    resolve(1, json!({ "choice": "CURRENT" })).await.assert_error("STALE", "base");
    print(&app.database, "resolveConflict, STALE", &[(1, app.statements() - before)]);

    let mut counts = Vec::new();
    for rows in [1, 50, 500] {
        let snapshot = app.snapshot(&task, 1).await;
        ana.all_become("APPLIED", (0..rows).map(|_| box_at(&new_annotation(), 1.0)).collect()).await;
        let input = ana.screen.with(json!({ "snapshotId": snapshot }));
        let restore = || ana.person.mutate("restoreSnapshot", input.clone(), "results { outcome }");
        let (statements, restored) = app.counted(restore()).await;
        assert_eq!(restored.get("restoreSnapshot.results").as_array().unwrap().len(), rows);
        counts.push((rows, statements));
        few(&app, "restoreSnapshot, nothing to do", 14, restore()).await;
    }
    few_at_any_size(&app, "restoreSnapshot", &counts);
}

async fn statements_of_annotations_and_their_events_do_not_grow_with_their_number(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana) = at_work(&app).await;
    for _ in 0..3 {
        let many: Vec<Value> = (0..70).map(|_| box_at(&new_annotation(), 1.0)).collect();
        ana.save(json!(many)).await.get("saveAnnotations");
        app.snapshot(&task, 1).await;
    }
    let list = "query($id: ID!, $project: ID!, $first: Int!) { eventCursor(projectId: $project) task(id: $id) {
        annotations(first: $first) { totalCount nodes { author { id } lastEditedBy { name } geometry { __typename }
          revisions(first: 2) { totalCount nodes { by { id } content { label } } } } } } }";
    let events = "query($id: ID!, $project: ID!, $first: Int!) { task(id: $id) { id } events(projectId: $project, first: $first) {
        nodes { ... on AnnotationEvent { by { id } annotation { label author { id } lastEditedBy { id } geometry { __typename } } } } } }";
    let snapshots = "query($id: ID!, $project: ID!, $first: Int!) { eventCursor(projectId: $project) task(id: $id) {
        snapshots(first: $first) { totalCount nodes { payload task { id } by { id } } } } }";
    for (case, query, sizes, most) in [
        ("a page of annotations with their revisions", list, [5, 200], 11),
        ("a page of events of annotations", events, [20, 200], 9),
        ("a page of snapshots with what they show", snapshots, [1, 3], 8),
    ] {
        let mut counts = Vec::new();
        for rows in sizes {
            let variables = json!({ "id": task, "project": project.id, "first": rows });
            counts.push((rows, app.counted(project.manager.send(query, variables)).await.0));
        }
        print(&app.database, case, &counts);
        // Two batches of people may be one, depending on who asks first.
        assert!(counts.iter().all(|(_, statements)| *statements <= most), "{case}: more than {most}: {counts:?}");
    }
}

/// Prints what one request took, which is at most so many.
async fn few(app: &TestApp, case: &str, most: u64, request: impl Future<Output = Answer>) -> Answer {
    let (statements, answer) = app.counted(request).await;
    print(&app.database, case, &[(1, statements)]);
    assert!(statements <= most, "{case}: {statements} of {most}");
    answer
}

/// A claim's answer without another look at the task.
const CLAIMED: &str = "session { id fence actor } reason";

async fn statements_of_claiming_and_handing_in_are_few(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Text, json!({ "overlap": 2 })).await;
    let words = json!({ "name": "Words", "kind": "TEXT_SPAN", "required": true, "labels": [{ "name": "cell" }] });
    project.publish_tools(json!([words])).await;
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    settle(&ana).await;
    settle(&project.manager).await;
    let claim = |more: Value| {
        let mut input = json!({ "projectId": project.id });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ana.mutate("claimTask", input, CLAIMED)
    };
    assert_eq!(
        few(&app, "claimTask, nothing there", 8, claim(json!({}))).await.text("claimTask.reason"),
        "QUEUE_EMPTY"
    );
    let tasks = project.text_tasks(4).await;
    for (case, most, more) in [
        ("claimTask", 8, json!({})),
        ("claimTask with a request id", 8, json!({ "requestId": "click" })),
        ("claimTask with a request id, again", 8, json!({ "requestId": "click" })),
        // The task is looked at first: whoever holds it already gets another screen.
        ("claimTask by id", 10, json!({ "taskId": tasks[3] })),
        ("claimTask by id, a second screen", 8, json!({ "taskId": tasks[3] })),
    ] {
        few(&app, case, most, claim(more)).await.text("claimTask.session.id");
    }
    project.reserve(&tasks[2..3], &ana).await;
    few(&app, "claimTask of what is reserved", 8, claim(json!({}))).await.text("claimTask.session.id");
    // The required tool is used; the template has been read since.
    app.at_work(&project, &tasks[0], &ana).await.edit(span(&new_annotation(), 0, "cell")).await;
    let mut screens = Vec::new();
    for task in [0, 1, 3] {
        screens.push(ana.try_claim_task(&project, &tasks[task]).await.unwrap());
    }
    let [submitted, skipped, released] = screens.try_into().unwrap();
    let revision = "query($id: ID!) { node(id: $id) { ... on LabelingSession { revision } } }";
    let revision = ana.send(revision, json!({ "id": submitted.session })).await.get("node.revision").clone();
    let active = submitted.with(json!({ "state": "ACTIVE", "expectedRevision": revision }));
    let skip = skipped.with(json!({ "reason": "too dark" }));
    let handed_in = "task { id state } snapshot { id version reason }";
    for (case, most, field, input, selection) in [
        ("heartbeat", 4, "heartbeat", submitted.input(), "expiresAt"),
        (
            "joinTask",
            8,
            "joinTask",
            json!({ "taskId": tasks[0] }),
            "session { id fence actor slot { number } task { id } }",
        ),
        ("setSessionState", 8, "setSessionState", active, "session { id }"),
        ("submitTask", 10, "submitTask", submitted.input(), handed_in),
        ("submitTask, again", 10, "submitTask", submitted.input(), handed_in),
        ("withdrawSubmission", 13, "withdrawSubmission", json!({ "taskId": tasks[0] }), "session { id fence }"),
        ("skipTask", 10, "skipTask", skip, "task { id state }"),
        ("releaseTask", 10, "releaseTask", released.input(), "task { id state }"),
    ] {
        few(&app, case, most, ana.mutate(field, input, selection)).await.get(field);
    }
    let revoke = json!({ "taskId": tasks[2], "slot": 1 });
    few(&app, "revokeLease", 10, project.manager.mutate("revokeLease", revoke, "task { id }")).await;
    // With all that comes only now and then: the row of the session, a lease that ran out and goes on.
    let again = ana.try_claim_task(&project, &tasks[0]).await.unwrap();
    app.advance(std::time::Duration::from_secs(100));
    settle(&ana).await;
    let heartbeat = || ana.mutate("heartbeat", again.input(), "expiresAt");
    few(&app, "heartbeat that renews the session", 5, heartbeat()).await;
    app.advance(std::time::Duration::from_secs(901));
    app.reap().await;
    settle(&ana).await;
    few(&app, "heartbeat that revives the lease", 20, heartbeat()).await;
}

async fn statements_of_reviewing_are_few(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Text, json!({ "overlap": 3 })).await;
    let tasks = project.text_tasks(4).await;
    let rita = project.member(&app, "rita", "REVIEWER").await;
    for name in ["ana", "ben", "cleo"] {
        let person = project.member(&app, name, "ANNOTATOR").await;
        for task in &tasks[..3] {
            let screen = person.try_claim_task(&project, task).await.unwrap();
            person.submit(&screen).await.get("submitTask");
        }
    }
    settle(&rita).await;
    settle(&project.manager).await;
    let claim = |more: Value| {
        let mut input = json!({ "projectId": project.id });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rita.mutate("claimReview", input, CLAIMED)
    };
    for (case, more) in [
        ("claimReview", json!({})),
        ("claimReview with a request id", json!({ "requestId": "click" })),
        ("claimReview with a request id, again", json!({ "requestId": "click" })),
        ("claimReview by id", json!({ "taskId": tasks[2] })),
    ] {
        few(&app, case, 10, claim(more)).await.text("claimReview.session.id");
    }
    few(&app, "claimReview, nothing there", 8, claim(json!({}))).await.text("claimReview.reason");
    let mut screens = Vec::new();
    for task in &tasks[..3] {
        screens.push(rita.try_claim_review(&project, json!({ "taskId": task })).await.unwrap());
    }
    few(&app, "heartbeat of a review", 4, rita.mutate("heartbeat", screens[0].input(), "expiresAt")).await;
    let judge = |review: usize, more: Value| {
        let mut input = screens[review].with(more);
        input["verdict"] = json!("ACCEPT");
        rita.mutate("reviewTask", input, "task { id } reviews { id }")
    };
    let one = few(&app, "reviewTask, one slot", 12, judge(0, json!({ "slot": 1 }))).await;
    assert_eq!(one.get("reviewTask.reviews").as_array().unwrap().len(), 1);
    let three = few(&app, "reviewTask, three slots", 18, judge(1, json!({}))).await;
    assert_eq!(three.get("reviewTask.reviews").as_array().unwrap().len(), 3);
    few(&app, "reviewTask, three slots again", 8, judge(1, json!({}))).await;
    let release = rita.mutate("releaseTask", screens[2].input(), "task { id }");
    few(&app, "releaseTask of a review", 8, release).await;
    let reopen = project.manager.mutate("reopenTask", json!({ "taskId": tasks[1] }), "task { id }");
    few(&app, "reopenTask, three slots", 16, reopen).await;
}

async fn statements_of_a_page_of_tasks_at_work_do_not_grow_with_its_rows(database: Database) {
    let app = TestApp::new(database).await;
    let settings = json!({ "overlap": 2, "review": "REQUIRED" });
    let project = app.project_with(&app.admin().await, Media::Text, settings).await;
    let rita = project.member(&app, "rita", "REVIEWER").await;
    let tasks = project.text_tasks(20).await;
    for name in ["ana", "ben"] {
        let person = project.member(&app, name, "ANNOTATOR").await;
        for task in &tasks {
            let screen = person.try_claim_task(&project, task).await.unwrap();
            person.submit(&screen).await.get("submitTask");
        }
    }
    for _ in &tasks {
        let review = rita.claim_review(&project).await;
        rita.judge(&review, "REJECT", json!({ "comment": "too wide" })).await.get("reviewTask");
    }
    settle(&project.manager).await;
    let query = "query($id: ID!, $first: Int!) { tasks(projectId: $id, first: $first) { nodes {
        assignments(first: 5) { totalCount nodes { annotator { name } state } } reviews { verdict comment reviewer { name } }
        slots { state holder { name } reservedFor { name } submittedBy { name } } } } }";
    let mut counts = Vec::new();
    for rows in [2, 20] {
        let page = project.manager.send(query, json!({ "id": project.id, "first": rows }));
        let (statements, answer) = app.counted(page).await;
        let nodes = answer.get("tasks.nodes").as_array().unwrap();
        let lengths = |node: &Value| {
            [&node["assignments"]["nodes"], &node["reviews"], &node["slots"]].map(|list| list.as_array().unwrap().len())
        };
        assert!(nodes.len() == rows && nodes.iter().all(|node| lengths(node) == [2, 2, 2]), "{:#}", answer.body);
        counts.push((rows, statements));
    }
    print(&app.database, "a page of tasks with their turns, reviews and slots", &counts);
    assert!(counts.iter().all(|(_, statements)| *statements <= 10), "{counts:?}");
}

async fn statements_of_a_page_of_jobs_do_not_grow_with_its_rows(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let [mia, max] = [project.member(&app, "mia", "MANAGER").await, project.member(&app, "max", "MANAGER").await];
    for n in 0..40 {
        let by = if n % 2 == 0 { &mia } else { &max };
        let job = by.start_export(&project, json!({})).await.text("startExport.job.id");
        app.succeed(&project, &job, "result.jsonl", b"").await;
    }
    settle(&mia).await;
    let query = "query($id: ID!, $first: Int!) { project(id: $id) { jobs(first: $first) { totalCount nodes {
        state losses resultUrl errorsUrl project { name } createdBy { name } } } } }";
    // The key that signs URLs is read once.
    mia.send(query, json!({ "id": project.id, "first": 1 })).await.get("project.jobs");
    let mut counts = Vec::new();
    for rows in [2, 40] {
        let page = mia.send(query, json!({ "id": project.id, "first": rows }));
        let (statements, answer) = app.counted(page).await;
        let nodes = answer.get("project.jobs.nodes").as_array().unwrap();
        assert!(nodes.len() == rows && nodes.iter().all(|job| job["resultUrl"].is_string()), "{:#}", answer.body);
        counts.push((rows, statements));
    }
    print(&app.database, "a page of jobs with all there is", &counts);
    assert!(counts.iter().all(|(_, statements)| *statements == counts[0].1 && *statements <= 7), "{counts:?}");
}

async fn statements_of_jobs_are_few(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let source = app.source(&project).await;
    let manager = &project.manager;
    settle(manager).await;
    few(&app, "startImport", 8, manager.start_import(&project, &source)).await;
    let job = few(&app, "startExport", 6, manager.start_export(&project, json!({}))).await.text("startExport.job.id");
    few(&app, "cancelJob", 6, manager.cancel(&job)).await;
    few(&app, "cancelJob, again", 4, manager.cancel(&job)).await;
}
