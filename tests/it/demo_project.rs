//! What `concord serve --demo` makes, looked at through the API.

use concord::service::demo::{self, Demo};
use serde_json::{Value, json};

use crate::harness::{Database, Person, Project, TestApp, on_both_databases};

on_both_databases![
    there_is_a_project_with_pictures_people_and_work,
    made_again_it_stays_as_it_is,
    what_was_not_finished_is_completed,
    a_project_of_another_name_is_left_alone,
];

impl TestApp {
    /// Makes the demo; gives it as its manager sees it.
    async fn demo(&self) -> (Demo, Project) {
        let demo = demo::make(self.use_cases()).await.unwrap();
        let manager = self.known("admin@localhost").await;
        let id = demo.project.id.to_string();
        (demo, Project { id, manager })
    }
}

const LOOK: &str = "query($id: ID!) {
  project(id: $id) {
    name state review overlap
    template { tools { name kind required labels { name color } attributes { name type values } } }
    members(first: 9) { nodes { role user { email } } }
    assets(first: 50) { nodes { state contentType width height } }
  }
  tasks(projectId: $id, first: 50) { nodes {
    externalId state round reviews { verdict comment reviewer { email } }
    slots { reservedFor { email } }
    annotations(first: 100) { totalCount nodes { tool label author { email } } }
  } }
}";

async fn there_is_a_project_with_pictures_people_and_work(database: Database) {
    let app = TestApp::new(database).await;
    let (_, project) = app.demo().await;
    let seen = project.manager.send(LOOK, json!({ "id": project.id })).await;
    let of = |path: &str| seen.get(&format!("project.{path}")).clone();
    assert_eq!((of("review"), of("overlap")), (json!("REQUIRED"), json!(1)));
    let kinds: Vec<Value> = of("template.tools").as_array().unwrap().iter().map(|tool| tool["kind"].clone()).collect();
    assert_eq!(kinds, ["BOUNDING_BOX", "POLYGON", "CLASSIFICATION"]);
    let members = of("members.nodes");
    let members: Vec<(&str, &str)> = members
        .as_array()
        .unwrap()
        .iter()
        .map(|member| (member["role"].as_str().unwrap(), member["user"]["email"].as_str().unwrap()))
        .collect();
    assert_eq!(members.len(), 4, "{members:?}");
    for member in [
        ("MANAGER", "admin@localhost"),
        ("ANNOTATOR", "ana@demo.localhost"),
        ("ANNOTATOR", "ben@demo.localhost"),
        ("REVIEWER", "rita@demo.localhost"),
    ] {
        assert!(members.contains(&member), "{member:?} in {members:?}");
    }
    let picture = json!({ "state": "READY", "contentType": "image/jpeg", "width": 640, "height": 480 });
    assert_eq!(of("assets.nodes"), json!(vec![picture; 12]));

    let tasks = seen.get("tasks.nodes").as_array().unwrap();
    let states: Vec<&str> = tasks.iter().map(|task| task["state"].as_str().unwrap()).collect();
    let done = ["ACCEPTED", "ACCEPTED", "REWORK", "SUBMITTED", "SUBMITTED"];
    assert_eq!(states, [&done[..], &["QUEUED"; 7]].concat());
    let boxes: Vec<&Value> = tasks.iter().map(|task| &task["annotations"]["totalCount"]).collect();
    assert_eq!(boxes[..5], [14, 18, 10, 19, 11], "all that the data set has of these pictures");
    assert_eq!(boxes[5..], [0; 7]);
    assert_eq!(tasks[0]["annotations"]["nodes"][0]["author"]["email"], "ana@demo.localhost");
    let rejected = &tasks[2];
    assert_eq!((&rejected["round"], &rejected["reviews"][0]["verdict"]), (&json!(2), &json!("REJECT")));
    assert_eq!(rejected["reviews"][0]["reviewer"]["email"], "rita@demo.localhost");
    assert_eq!(rejected["slots"][0]["reservedFor"]["email"], "ben@demo.localhost");
}

async fn made_again_it_stays_as_it_is(database: Database) {
    let app = TestApp::new(database).await;
    let (_, project) = app.demo().await;
    let before = project.watch().await;
    let again = demo::make(app.use_cases()).await.unwrap();
    assert_eq!(again.project.id.to_string(), project.id);
    before.unchanged("making it again").await;
    // Also when people went on with it.
    let ana = app.known("ana@demo.localhost").await;
    ana.claim(&project).await;
    project.set(json!({ "name": "Ours now", "state": "PAUSED" })).await;
    let before = project.watch().await;
    let again = demo::make(app.use_cases()).await.unwrap();
    assert_eq!((again.project.id.to_string(), again.project.name.as_str()), (project.id.clone(), "Ours now"));
    before.unchanged("making it once more").await;
}

async fn what_was_not_finished_is_completed(database: Database) {
    let app = TestApp::new(database).await;
    let admin = app.known("admin@localhost").await;
    let ana = app.person_at("ana@demo.localhost").await;
    let begun = begun_project(&admin, "Demo: blood cells").await;
    begun.set_member(&ana, json!("ANNOTATOR")).await.get("setMember");
    let (demo, project) = app.demo().await;
    assert_eq!(project.id, begun.id, "the one that was begun");
    assert_eq!(demo.people.len(), 3);
    let seen = project.manager.send(LOOK, json!({ "id": project.id })).await;
    assert_eq!(seen.get("tasks.nodes").as_array().unwrap().len(), 12);
}

async fn a_project_of_another_name_is_left_alone(database: Database) {
    let app = TestApp::new(database).await;
    let admin = app.known("admin@localhost").await;
    let ana = app.person_at("ana@demo.localhost").await;
    let theirs = begun_project(&admin, "Cats").await;
    theirs.set_member(&ana, json!("ANNOTATOR")).await.get("setMember");
    let (demo, _) = app.demo().await;
    assert_eq!(demo.project.id.to_string(), theirs.id);
    let seen = admin.send(LOOK, json!({ "id": theirs.id })).await;
    assert_eq!(seen.get("project.template"), &Value::Null);
    assert_eq!(seen.get("tasks.nodes"), &json!([]));
}

async fn begun_project(admin: &Person, name: &str) -> Project {
    let made = admin.mutate("createProject", json!({ "name": name, "mediaType": "IMAGE" }), "project { id }").await;
    Project { id: made.text("createProject.project.id"), manager: admin.clone() }
}
