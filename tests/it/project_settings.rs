//! Projects, their settings and members.

use serde_json::{Value, json};

use crate::harness::{Database, Media, TestApp, on_both_databases};

on_both_databases![
    a_new_project_takes_the_defaults_and_its_maker_manages_it,
    only_managers_change_settings,
    a_shared_project_has_an_overlap_of_one,
    members_come_go_and_change_roles,
    only_admins_make_and_unmake_managers,
    projects_are_listed_to_their_members_only,
    an_archived_project_takes_no_more_work,
    statistics_of_a_project_count_its_tasks,
];

async fn a_new_project_takes_the_defaults_and_its_maker_manages_it(database: Database) {
    let app = TestApp::new(database).await;
    let boss = app.admin().await;
    let selection = "project { id name state mediaType overlap review collaboration leaseSeconds viewerRole template { id } createdAt }";
    let made = boss.mutate("createProject", json!({ "name": " Cells ", "mediaType": "IMAGE" }), selection).await;
    let project = made.get("createProject.project");
    for (field, want) in [
        ("name", json!("Cells")),
        ("state", json!("ACTIVE")),
        ("mediaType", json!("IMAGE")),
        ("overlap", json!(1)),
        ("review", json!("REQUIRED")),
        ("collaboration", json!("EXCLUSIVE")),
        ("leaseSeconds", json!(900)),
        ("viewerRole", json!("MANAGER")),
        ("template", Value::Null),
    ] {
        assert_eq!(project[field], want, "{field}");
    }
    let ana = app.person("ana").await;
    let refused = ana.mutate("createProject", json!({ "name": "Mine", "mediaType": "TEXT" }), "project { id }").await;
    refused.assert_error("FORBIDDEN", "");
}

async fn only_managers_change_settings(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let (ana, max) = (app.person("ana").await, app.person("max").await);
    project.set_member(&ana, json!("REVIEWER")).await;
    project.set_member(&max, json!("MANAGER")).await;
    let change = json!({
        "projectId": project.id, "name": "Blood", "state": "PAUSED", "review": "NONE", "collaboration": "SHARED",
        "leaseSeconds": 60,
    });
    let selection = "project { name state review collaboration leaseSeconds viewerRole }";
    ana.mutate("updateProject", change.clone(), selection).await.assert_error("FORBIDDEN", "");
    let changed = max.mutate("updateProject", change, selection).await;
    let want = json!({
        "name": "Blood", "state": "PAUSED", "review": "NONE", "collaboration": "SHARED", "leaseSeconds": 60,
        "viewerRole": "MANAGER",
    });
    assert_eq!(changed.get("updateProject.project"), &want);
}

async fn a_shared_project_has_an_overlap_of_one(database: Database) {
    let app = TestApp::new(database).await;
    let boss = app.admin().await;
    let blind = json!({ "name": "Blind", "mediaType": "TEXT", "overlap": 3 });
    let mut shared = blind.clone();
    shared["collaboration"] = json!("SHARED");
    boss.mutate("createProject", shared, "project { id }").await.assert_error("BAD_USER_INPUT", "collaboration");
    let project = boss.mutate("createProject", blind, "project { id }").await.text("createProject.project.id");
    let change = json!({ "projectId": project, "collaboration": "SHARED" });
    boss.mutate("updateProject", change, "project { id }").await.assert_error("BAD_USER_INPUT", "collaboration");
}

async fn members_come_go_and_change_roles(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let ana = app.person("ana").await;
    let joined = project.set_member(&ana, json!("ANNOTATOR")).await;
    assert_eq!(joined.get("setMember.member"), &json!({ "role": "ANNOTATOR", "user": { "id": ana.id } }));
    assert_eq!(project.set_member(&ana, json!("REVIEWER")).await.get("setMember.member.role"), "REVIEWER");
    let query = "query($id: ID!) { project(id: $id) { viewerRole members(first: 10) { totalCount nodes { role since user { name email } } } } }";
    let seen = ana.send(query, json!({ "id": project.id })).await;
    assert_eq!(seen.get("project.viewerRole"), "REVIEWER");
    assert_eq!(seen.get("project.members.totalCount"), 2);
    let addresses: Vec<_> =
        seen.get("project.members.nodes").as_array().unwrap().iter().map(|member| &member["user"]["email"]).collect();
    assert!(
        addresses.contains(&&json!(ana.email)) && addresses.contains(&&Value::Null),
        "only one's own address: {addresses:?}"
    );
    assert_eq!(project.set_member(&ana, Value::Null).await.get("setMember.member"), &Value::Null);
    assert_eq!(ana.send(query, json!({ "id": project.id })).await.get("project"), &Value::Null);
    let events = "query($id: ID!) { events(projectId: $id, first: 50) { nodes { type } } }";
    let events = project.manager.send(events, json!({ "id": project.id })).await;
    let changes =
        events.get("events.nodes").as_array().unwrap().iter().filter(|event| event["type"] == "MEMBER_CHANGED").count();
    assert_eq!(changes, 3);
}

async fn only_admins_make_and_unmake_managers(database: Database) {
    let app = TestApp::new(database).await;
    let boss = app.admin().await;
    let project = app.project(&boss, Media::Text).await;
    let (max, ana) = (app.person("max").await, app.person("ana").await);
    project.set_member(&max, json!("MANAGER")).await.get("setMember");
    let run_by_max = crate::harness::Project { manager: max.clone(), ..project.clone() };
    run_by_max.set_member(&ana, json!("REVIEWER")).await.get("setMember");
    run_by_max.set_member(&ana, json!("MANAGER")).await.assert_error("FORBIDDEN", "");
    run_by_max.set_member(&boss, Value::Null).await.assert_error("FORBIDDEN", "");
    run_by_max.set_member(&max, json!("VIEWER")).await.assert_error("FORBIDDEN", "");
    project.set_member(&max, json!("VIEWER")).await.get("setMember");
}

async fn projects_are_listed_to_their_members_only(database: Database) {
    let app = TestApp::new(database).await;
    let boss = app.admin().await;
    let ana = app.person("ana").await;
    let mut own = Vec::new();
    for _ in 0..3 {
        let project = app.project(&boss, Media::Text).await;
        project.set_member(&ana, json!("VIEWER")).await;
        own.push(project.id);
        app.project(&boss, Media::Text).await;
    }
    let query = "query($after: String) { projects(first: 2, after: $after) { totalCount nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } edges { cursor node { id } } } }";
    let first = ana.send(query, json!({})).await;
    assert_eq!(first.get("projects.totalCount"), 3);
    assert_eq!(first.get("projects.pageInfo.hasNextPage"), true);
    let second = ana.send(query, json!({ "after": first.get("projects.pageInfo.endCursor") })).await;
    assert_eq!(second.get("projects.pageInfo.hasNextPage"), false);
    assert_eq!(second.get("projects.pageInfo.hasPreviousPage"), true);
    let nodes = [first.get("projects.nodes"), second.get("projects.nodes")];
    let seen: Vec<String> =
        nodes.iter().flat_map(|nodes| nodes.as_array().unwrap()).map(crate::harness::id_of).collect();
    assert_eq!(seen, own);
    assert_eq!(boss.send(query, json!({})).await.get("projects.totalCount"), 6);
}

async fn an_archived_project_takes_no_more_work(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let kept = project.text_tasks(1).await;
    let change = |state: &str| json!({ "projectId": project.id, "state": state });
    project.manager.mutate("updateProject", change("ARCHIVED"), "project { state }").await.get("updateProject");
    let task = json!([{ "data": { "text": "x" } }]);
    let urgent = json!({ "taskIds": kept, "priority": 1 });
    project.manager.mutate("updateTasks", urgent, "tasks { id }").await.assert_error("INVALID_TRANSITION", "taskIds");
    project.archive(kept, true).await.assert_error("INVALID_TRANSITION", "taskIds");
    project.create_tasks(task.clone()).await.assert_error("INVALID_TRANSITION", "projectId");
    project.request_upload("a.txt", "text/plain", 1).await.assert_error("INVALID_TRANSITION", "projectId");
    project.manager.mutate("updateProject", change("ACTIVE"), "project { state }").await.get("updateProject");
    assert_eq!(project.create_tasks(task).await.get("createTasks.created"), 1);
}

async fn statistics_of_a_project_count_its_tasks(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Text, json!({ "overlap": 2 })).await;
    project.text_tasks(5).await;
    let query = "query($id: ID!) { project(id: $id) { taskCounts { state count } stats { claimable openConflicts annotationsLastHour medianLabelSeconds labelCoverageRatio } } }";
    let seen = project.manager.send(query, json!({ "id": project.id })).await;
    assert_eq!(seen.get("project.taskCounts.0"), &json!({ "state": "QUEUED", "count": 5 }));
    let want = json!({ "claimable": 10, "openConflicts": 0, "annotationsLastHour": 0, "medianLabelSeconds": null, "labelCoverageRatio": 0.0 });
    assert_eq!(seen.get("project.stats"), &want);
}
