//! Nothing of another project can be seen, changed or even told from what is not there: the answer and the work of the
//! database are those for a random id. The schema is enumerated, so a new place that takes an id needs a case here.

mod cases;
mod schema;
mod tenant;

use std::{collections::BTreeSet, time::Duration};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Database, Person, TestApp, id_of, on_both_databases, random_like},
    tenant_isolation::{
        cases::{ADMIN_LISTS, CASES, Case, LISTS, List, NODES, NOT_LOOKED_UP, WITHOUT_IDS},
        schema::Schema,
        tenant::Tenant,
    },
};

on_both_databases![
    every_place_of_the_schema_that_takes_an_id_or_a_cursor_has_a_case,
    an_id_of_another_project_is_like_a_random_one_to_an_annotator,
    an_id_of_another_project_is_like_a_random_one_to_a_manager,
    every_case_answers_otherwise_to_those_who_may,
    page_cursors_of_another_project_give_only_ones_own_rows,
    an_event_cursor_of_another_project_gives_only_ones_own_events,
    a_signed_url_works_for_its_own_asset_only,
    an_external_id_names_another_task_in_another_project,
    somebody_in_no_project_can_be_added_by_any_manager,
];

async fn every_place_of_the_schema_that_takes_an_id_or_a_cursor_has_a_case(_: Database) {
    let schema = Schema::read();
    let places: BTreeSet<String> = CASES.iter().map(|case| case.place.to_owned()).collect();
    assert_eq!(places, schema.ids, "places that take ids");
    let with_ids = |field: &str| schema.ids.iter().any(|place| place.starts_with(&format!("{field}(")));
    let without: BTreeSet<String> = schema.roots.iter().filter(|field| !with_ids(field)).cloned().collect();
    assert_eq!(owned(WITHOUT_IDS), without, "fields without ids");
    assert_eq!(owned(NODES.map(|(node, _)| node)), schema.nodes, "implementations of Node");
    let lists = LISTS.iter().map(|list| list.field).chain(ADMIN_LISTS.map(|(field, _)| field));
    assert_eq!(owned(lists), schema.pages, "fields with pages");
    let cursors = ["Query.events(after)", "Subscription.conflictEvents(after)", "Subscription.taskEvents(after)"];
    assert_eq!(owned(cursors), schema.event_cursors, "places that take event cursors");
}

fn owned<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

async fn an_id_of_another_project_is_like_a_random_one_to_an_annotator(database: Database) {
    nothing_tells_another_project_from_none(database, |a| &a.annotator).await;
}

async fn an_id_of_another_project_is_like_a_random_one_to_a_manager(database: Database) {
    nothing_tells_another_project_from_none(database, Tenant::manager).await;
}

async fn nothing_tells_another_project_from_none(database: Database, asker: fn(&Tenant) -> &Person) {
    let app = TestApp::new(database).await;
    let (a, b) = two_tenants(&app).await;
    let is_manager = asker(&a).id == a.manager().id;
    let a = if is_manager { a } else { a.with_annotator_asking() };
    let before = [a.state().await, b.state().await];
    let asker = asker(&a);
    let mut differing = Vec::new();
    for case in CASES {
        let right = |code: &str| code == case.manager_gets || (!is_manager && code == "FORBIDDEN");
        for foreign in (case.ids)(&b) {
            let of_nobody = heard(&app, asker, case, &a, &random_like(&foreign)).await;
            assert!(right(&of_nobody.code), "{}: {of_nobody:#?}", case.place);
            let of_other = heard(&app, asker, case, &a, &foreign).await;
            if of_other != of_nobody {
                differing.push(format!("{} of {foreign}: {of_other:#?}, not {of_nobody:#?}", case.place));
            }
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    assert_eq!([a.state().await, b.state().await], before, "a refused call changed something");
}

/// What an asker can tell an answer by.
#[derive(Debug, PartialEq)]
struct Heard {
    code: String,
    status: StatusCode,
    body: String,
    statements: u64,
}

async fn heard(app: &TestApp, asker: &Person, case: &Case, own: &Tenant, id: &str) -> Heard {
    // A token's use is written down once a minute: here, before the counting.
    app.advance(Duration::from_secs(61));
    asker.send("{ viewer { id } }", json!({})).await.get("viewer.id");
    let before = app.statements();
    let Answer { status, body, .. } = ask(asker, case, own, id).await;
    let statements = app.statements() - before;
    let code = body.pointer("/errors/0/extensions/code").and_then(Value::as_str).unwrap_or_default().to_owned();
    Heard { code, status, body: body.to_string().replace(id, "<id>"), statements }
}

async fn ask(asker: &Person, case: &Case, own: &Tenant, id: &str) -> Answer {
    asker.ask(case.document, (case.variables)(own, id)).await
}

async fn two_tenants(app: &TestApp) -> (Tenant, Tenant) {
    let admin = app.admin().await;
    (Tenant::new(app, &admin, "a").await, Tenant::new(app, &admin, "b").await)
}

/// The cases of this file would pass with ids that name nothing: whoever may use them gets something else than for a
/// random id.
async fn every_case_answers_otherwise_to_those_who_may(database: Database) {
    let app = TestApp::new(database).await;
    let admin = app.admin().await;
    let b = Tenant::new(&app, &admin, "b").await;
    let promote = json!({ "userId": b.manager().id, "admin": true });
    admin.mutate("updateUser", promote, "user { admin }").await.get("updateUser");
    for case in CASES.iter().filter(|case| case.place != NOT_LOOKED_UP) {
        for id in (case.ids)(&b) {
            let random = random_like(&id);
            let of_nobody = ask(b.manager(), case, &b, &random).await.body.to_string().replace(&random, "<id>");
            let of_own = ask(b.manager(), case, &b, &id).await.body.to_string().replace(&id, "<id>");
            assert_ne!(of_own, of_nobody, "{} of {id}", case.place);
        }
    }
}

async fn page_cursors_of_another_project_give_only_ones_own_rows(database: Database) {
    let app = TestApp::new(database).await;
    let (a, b) = two_tenants(&app).await;
    for list in LISTS {
        let (own, foreign) = (all_rows(&a, list).await, all_rows(&b, list).await);
        let texts = |rows: &[(String, String)]| rows.iter().map(|(_, row)| row.clone()).collect::<BTreeSet<_>>();
        assert!(texts(&own).is_disjoint(&texts(&foreign)), "{}: {own:?} and {foreign:?}", list.document);
        let mut seen = BTreeSet::new();
        for (cursor, _) in foreign {
            for page in [format!("first: 50, after: \"{cursor}\""), format!("last: 50, before: \"{cursor}\"")] {
                seen.extend(texts(&rows(a.manager(), list, &a, &page).await));
            }
        }
        // The position of a task's asset is its key, and a task here has one: nothing is before or after it.
        assert!(!seen.is_empty() || list.field == "Task.assets", "{}: nothing on either side", list.document);
        assert!(seen.is_subset(&texts(&own)), "{}: {seen:?} is more than {own:?}", list.document);
    }
    let cursor = &rows(b.manager(), &LISTS[0], &b, "first: 1").await[0].0;
    for (field, document) in ADMIN_LISTS {
        let document = document.replace("PAGE", &format!("first: 9, after: \"{cursor}\""));
        assert_eq!(a.manager().send(&document, json!({})).await.code(), "FORBIDDEN", "{field}");
    }
}

async fn all_rows(of: &Tenant, list: &List) -> Vec<(String, String)> {
    rows(of.manager(), list, of, "first: 50").await
}

/// Cursor and text of each row of a page.
async fn rows(asker: &Person, list: &List, of: &Tenant, page: &str) -> Vec<(String, String)> {
    let document = list.document.replace("ID", (list.id)(of)).replace("PAGE", page);
    let answer = asker.send(&document, json!({})).await;
    let edges = answer.get(&format!("{}.edges", list.path)).as_array().unwrap();
    edges.iter().map(|edge| (edge["cursor"].as_str().unwrap().to_owned(), edge["node"].to_string())).collect()
}

async fn an_event_cursor_of_another_project_gives_only_ones_own_events(database: Database) {
    let app = TestApp::new(database).await;
    let (a, b) = two_tenants(&app).await;
    let query = "query($id: ID!, $after: EventCursor) { events(projectId: $id, after: $after, first: 200) {
        nodes { id cursor projectId ... on TaskEvent { task { id project { id } } } ... on ProjectEvent { project { id } } } } }";
    let events = async |asker: &Person, project: &str, after: Option<&str>| {
        let answer = asker.send(query, json!({ "id": project, "after": after })).await;
        answer.get("events.nodes").as_array().unwrap().clone()
    };
    let own: BTreeSet<String> = events(&a.annotator, &a.project.id, None).await.iter().map(id_of).collect();
    let follow = |field: &str| {
        format!(
            "subscription($id: ID!, $after: EventCursor) {{ {field}(projectId: $id, after: $after) {{ id projectId }} }}"
        )
    };
    let mut seen = 0;
    for foreign in events(&b.annotator, &b.project.id, None).await {
        let cursor = foreign["cursor"].as_str().unwrap();
        let variables = json!({ "id": a.project.id, "after": cursor });
        let mut heard = events(&a.annotator, &a.project.id, Some(cursor)).await;
        for field in ["taskEvents", "conflictEvents"] {
            heard.push(a.annotator.ask(&follow(field), variables.clone()).await.get(field).clone());
        }
        for event in heard {
            assert_eq!(event["projectId"], a.project.id, "{event}");
            assert!(own.contains(&id_of(&event)) || id_of(&event).starts_with("cur_"), "{event}");
            seen += 1;
        }
    }
    assert!(seen > 0, "no cursor was followed by an event");
}

async fn a_signed_url_works_for_its_own_asset_only(database: Database) {
    let app = TestApp::new(database).await;
    let (a, b) = two_tenants(&app).await;
    let signature = |url: &str| url.rsplit_once("signature=").unwrap().1.to_owned();
    let with_signature = |url: &str, other: &str| url.replace(&signature(url), &signature(other));
    let later = |url: &str| {
        let (front, rest) = url.split_once("expires=").unwrap();
        let (expires, rest) = rest.split_once('&').unwrap();
        format!("{front}expires={}&{rest}", expires.parse::<i64>().unwrap() + 3_600)
    };
    for (case, method, url, id) in [
        ("one's own URL with the other asset", Method::GET, a.read_url.replace(&a.ready, &b.ready), &b.ready),
        ("the other URL with one's own signature", Method::GET, with_signature(&b.read_url, &a.read_url), &b.ready),
        (
            "one's own upload URL with the other upload",
            Method::PUT,
            a.write_url.replace(&a.pending, &b.pending),
            &b.pending,
        ),
        (
            "an upload URL turned into a reading one",
            Method::GET,
            b.write_url.replace("permit=write", "permit=read"),
            &b.pending,
        ),
        (
            "a reading URL turned into an upload one",
            Method::PUT,
            b.read_url.replace("permit=read", "permit=write"),
            &b.ready,
        ),
        ("a reading URL that ends later", Method::GET, later(&b.read_url), &b.ready),
        ("an upload URL that ends later", Method::PUT, later(&b.write_url), &b.pending),
        ("a reading URL used to upload", Method::PUT, b.read_url.clone(), &b.ready),
    ] {
        let random = random_like(id);
        let of_other = fetched(&app, method.clone(), &url, id).await;
        let of_nobody = fetched(&app, method, &url.replace(id, &random), &random).await;
        assert_eq!(of_other.status, StatusCode::FORBIDDEN, "{case}");
        assert_eq!(of_other, of_nobody, "{case}");
    }
    for (case, method, url, want) in [
        ("the reading URL", Method::GET, &b.read_url, StatusCode::OK),
        ("the upload URL", Method::PUT, &b.write_url, StatusCode::NO_CONTENT),
    ] {
        assert_eq!(fetched(&app, method, url, "-").await.status, want, "{case} as it was signed");
    }
}

async fn fetched(app: &TestApp, method: Method, url: &str, id: &str) -> Heard {
    let before = app.statements();
    let response = app.http.request(method, url).body("later").send().await.unwrap();
    let status = response.status();
    let body = response.text().await.unwrap().replace(id, "<id>");
    Heard { code: String::new(), status, body, statements: app.statements() - before }
}

async fn an_external_id_names_another_task_in_another_project(database: Database) {
    let app = TestApp::new(database).await;
    let (a, b) = two_tenants(&app).await;
    let task = json!([{ "externalId": "only-b", "data": { "text": "c" } }]);
    assert_eq!(b.project.create_tasks(task.clone()).await.get("createTasks.created"), 1);
    let query =
        "query($id: ID!) { tasks(projectId: $id, filter: { externalIds: [\"only-b\"] }, first: 9) { nodes { id } } }";
    let seen = a.manager().send(query, json!({ "id": a.project.id })).await;
    assert_eq!(seen.get("tasks.nodes"), &json!([]));
    let made = a.project.create_tasks(task).await;
    assert_eq!((made.get("createTasks.created"), made.get("createTasks.existing")), (&json!(1), &json!(0)));
}

/// A new user is of no project yet, so a manager who was told the id may add them; a member of other projects only is
/// added by an admin.
async fn somebody_in_no_project_can_be_added_by_any_manager(database: Database) {
    let app = TestApp::new(database).await;
    let admin = app.admin().await;
    let (a, b) = (Tenant::new(&app, &admin, "a").await, Tenant::new(&app, &admin, "b").await);
    let new = app.person("new").await;
    let joined = a.project.set_member(&new, json!("ANNOTATOR")).await;
    assert_eq!(joined.get("setMember.member.user.id"), &new.id);
    b.project.set_member(&new, json!("ANNOTATOR")).await.assert_error("NOT_FOUND", "userId");
    let across = json!({ "projectId": b.project.id, "userId": new.id, "role": "ANNOTATOR" });
    admin.mutate("setMember", across, "member { role }").await.get("setMember.member");
    assert_eq!(b.project.set_member(&new, json!("VIEWER")).await.get("setMember.member.role"), "VIEWER");
}
