//! GraphQL documents made to be costly, endless or wrong. Each is refused before it is executed, in bounded time.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Answer, Database, Media, TestApp, on_both_databases};

on_both_databases![
    a_document_over_a_limit_is_refused_with_its_name,
    a_document_that_means_nothing_is_bad_input,
    lists_of_errors_and_their_messages_are_bounded,
];

/// No document keeps the server busy for longer; measured with room for slow machines.
const AT_MOST: Duration = Duration::from_secs(5);

fn nested(levels: usize) -> String {
    format!("{}{}", "{ a ".repeat(levels), "}".repeat(levels))
}

/// Fragments each of which spreads the next one twice: 2^30 spreads of `last`.
fn bomb(last: &str) -> String {
    let one = |level: usize| format!("fragment f{level} on Query {{ ...f{0} ...f{0} }} ", level + 1);
    (0..30).map(one).collect::<String>() + last
}

async fn a_document_over_a_limit_is_refused_with_its_name(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let watch = project.watch().await;
    let (bad, limit) = ("BAD_USER_INPUT", "LIMIT_EXCEEDED");
    let repeated = |count: usize, one: &dyn Fn(usize) -> String| (0..count).map(one).collect::<Vec<_>>().join(" ");
    let leaf = bomb("fragment f30 on Query { __typename }");
    let costly = "projects(first: 200) { nodes { members(first: 200) { nodes { role } } } }";
    let pages = "query Pages($n: Int!) { projects(first: $n) { nodes { members(first: $n) { nodes { role } } } } }";
    let cycle = "fragment f on Query { ...g } fragment g on Query { ...f }";
    let describing = "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }";
    for (case, code, says, document) in [
        ("17 levels of fields", limit, "levels of fields", nested(17)),
        ("200 levels of brackets", limit, "levels of brackets", nested(200)),
        ("20,000 levels of brackets", limit, "tokens", nested(20_000)),
        (
            "2,000 lists in one another",
            limit,
            "levels of brackets",
            format!("{{ node(id: {}{}) {{ id }} }}", "[".repeat(2_000), "]".repeat(2_000)),
        ),
        ("101 aliases", limit, "aliases", format!("{{ viewer {{ {} }} }}", repeated(101, &|n| format!("a{n}: id")))),
        ("10,000 aliases", limit, "tokens", format!("{{ {} }}", repeated(10_000, &|n| format!("a{n}: __typename")))),
        ("21 root fields", limit, "root fields", format!("{{ {} }}", repeated(21, &|n| format!("a{n}: __typename")))),
        ("over 10,000 tokens", limit, "tokens", format!("{{ viewer {{ {} }} }}", "id ".repeat(10_000))),
        ("5,001 fields", limit, "fields", format!("{{ viewer {{ {} }} }}", "id ".repeat(5_001))),
        ("a page in a page", limit, "cost", format!("{{ {costly} }}")),
        ("a page in a page, with a name", limit, "cost", format!("query Costly {{ {costly} }}")),
        ("a page in a page, in a fragment", limit, "cost", format!("{{ ...f }} fragment f on Query {{ {costly} }}")),
        ("a page in a page, in variables", limit, "cost", pages.to_owned()),
        ("the schema of the schema of the schema", limit, "introspection", describing.to_owned()),
        ("a fragment that spreads itself", bad, "spreads itself", "{ ...f } fragment f on Query { ...f }".to_owned()),
        ("fragments in a circle", bad, "spreads itself", format!("{{ ...f }} {cycle}")),
        ("a circle with a name", bad, "spreads itself", format!("query Q {{ ...f }} {cycle}")),
        (
            "a circle in another operation",
            bad,
            "spreads itself",
            format!("query Pages {{ __typename }} query Q {{ ...f }} {cycle}"),
        ),
        ("a fragment bomb", limit, "fragments", format!("{{ ...f0 }} {leaf}")),
        ("a fragment bomb with a name", limit, "fragments", format!("query Q {{ ...f0 }} {leaf}")),
        ("a fragment bomb around nothing", limit, "fragments", format!("{{ ...f0 }} {}", bomb(""))),
        (
            "a fragment bomb in another operation",
            limit,
            "fragments",
            format!("query Pages {{ __typename }} query Q {{ ...f0 }} {leaf}"),
        ),
        (
            "a fragment bomb in one of two unnamed choices",
            limit,
            "fragments",
            format!("query P {{ __typename }} query Q {{ ...f0 }} {leaf}"),
        ),
    ] {
        let begun = Instant::now();
        let name = document.contains("query Pages").then_some("Pages");
        let body = json!({ "query": document, "operationName": name, "variables": { "n": 200 } });
        let sent = project.manager.request(reqwest::Method::POST).json(&body).send().await.unwrap();
        let answer = Answer::read(sent).await;
        assert!(begun.elapsed() < AT_MOST, "{case} took {:?}", begun.elapsed());
        watch.refused(case, &answer, code, "").await;
        assert!(answer.message().contains(says), "{case}: {}", answer.message());
    }
    let answer = project.manager.send(&nested(16), json!({})).await;
    watch.refused("16 levels of fields that are not there", &answer, bad, "").await;
    for (case, document) in [
        ("100 aliases", format!("{{ viewer {{ {} }} }}", repeated(100, &|n| format!("a{n}: id")))),
        ("20 root fields", format!("{{ {} }}", repeated(20, &|n| format!("a{n}: __typename")))),
        (
            "what tools ask the schema",
            "{ __schema { types { fields { args { name } type { ofType { ofType { name } } } } } } }".to_owned(),
        ),
    ] {
        let answer = project.manager.send(&document, json!({})).await;
        assert!(answer.body.get("errors").is_none(), "{case}: {:#}", answer.body);
    }
}

async fn a_document_that_means_nothing_is_bad_input(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let watch = project.watch().await;
    let rename = "mutation R($id: ID!, $name: String) { updateProject(input: { projectId: $id, name: $name }) { project { id } } }";
    let renames = format!("{rename} query Q {{ __typename }}");
    let id = || json!(project.id);
    for (case, document, name, variables) in [
        ("nothing", "", None, json!({})),
        ("a bracket", "{", None, json!({})),
        ("a NUL", "{ viewer { id \0 } }", None, json!({})),
        ("no field", "{ }", None, json!({})),
        ("only a fragment", "fragment f on Query { __typename }", None, json!({})),
        ("a fragment that is not there", "{ ...f }", None, json!({})),
        ("a field that is not there", "{ nobody }", None, json!({})),
        ("an object without fields", "{ viewer }", None, json!({})),
        ("fields of a name", "{ viewer { name { first } } }", None, json!({})),
        ("a subscription", "subscription { taskEvents { id } }", None, json!({})),
        ("an operation that is not there", renames.as_str(), Some("Z"), json!({ "id": id(), "name": "Z" })),
        ("one of two operations", renames.as_str(), None, json!({ "id": id(), "name": "Z" })),
        ("a variable that is missing", rename, None, json!({ "name": "Z" })),
        ("a variable of another type", rename, None, json!({ "id": [1], "name": "Z" })),
        ("an argument that is not there", "{ viewer(id: 1) { id } }", None, json!({})),
        ("a variable nobody declared", "{ node(id: $id) { id } }", None, json!({ "id": "x" })),
        (
            "a word that is none",
            "mutation { createProject(input: { name: \"x\", mediaType: SMELL }) { project { id } } }",
            None,
            json!({}),
        ),
    ] {
        let body = json!({ "query": document, "operationName": name, "variables": variables });
        for (accept, status) in [("application/json", 200), ("application/graphql-response+json", 400)] {
            let request = project.manager.request(reqwest::Method::POST).header("accept", accept).json(&body);
            let answer = Answer::read(request.send().await.unwrap()).await;
            assert_eq!(answer.status, status, "{case} as {accept}: {:#}", answer.body);
            watch.refused(case, &answer, "BAD_USER_INPUT", "").await;
            assert_eq!(answer.body.get("data"), None, "{case}");
        }
    }
}

async fn lists_of_errors_and_their_messages_are_bounded(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let watch = project.watch().await;
    let unknown: String = (0..500).map(|n| format!("unknown{n} ")).collect();
    let answer = project.manager.send(&format!("{{ viewer {{ {unknown} }} }}"), json!({})).await;
    watch.refused("500 unknown fields", &answer, "BAD_USER_INPUT", "").await;
    let errors = answer.body["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 20);
    assert!(errors.iter().all(|error| error["extensions"]["code"] == "BAD_USER_INPUT"), "each has its code");
    let answer = project.manager.send(&format!("{{ {} }}", "x".repeat(100_000)), json!({})).await;
    watch.refused("a field of 100,000 characters", &answer, "BAD_USER_INPUT", "").await;
    let variables = json!({ "name": ["ä".repeat(100_000)] });
    let create = "mutation($name: String!) { createAccessToken(input: { name: $name }) { secret } }";
    let answer = project.manager.send(create, variables).await;
    watch.refused("a list of a long text as name", &answer, "BAD_USER_INPUT", "").await;
    let fields: String = (0..20).map(|n| format!("a{n}: task(id: \"x\") {{ id }} ")).collect();
    let answer = project.manager.send(&format!("{{ {fields} }}"), json!({})).await;
    watch.refused("20 fields that fail", &answer, "BAD_USER_INPUT", "id").await;
    assert_eq!(answer.body["errors"].as_array().unwrap().len(), 20);
    assert_eq!(answer.body["data"]["a19"], Value::Null);
}
