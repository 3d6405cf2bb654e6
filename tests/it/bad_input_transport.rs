//! Requests that are wrong as HTTP: their bodies, methods and media types. Each answer has its status and a code.

use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::harness::{Answer, Database, Media, Project, TestApp, on_both_databases};

on_both_databases![
    a_body_that_is_no_request_is_refused,
    a_body_that_is_too_large_is_refused_and_the_client_learns_why,
    only_json_is_taken_because_forms_can_be_forged,
    a_get_never_changes_anything,
    other_methods_paths_and_media_types_are_refused,
];

/// A mutation that would be seen.
const RENAME: &str = "mutation { updateProject(input: { projectId: \"ID\", name: \"Forged\" }) { project { id } } }";

fn rename(project: &Project) -> String {
    RENAME.replace("ID", &project.id)
}

async fn post(project: &Project, body: impl Into<reqwest::Body>) -> Answer {
    let request = project.manager.request(Method::POST).header(header::CONTENT_TYPE, "application/json").body(body);
    Answer::read(request.send().await.unwrap()).await
}

async fn a_body_that_is_no_request_is_refused(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let watch = project.watch().await;
    let mutation = json!({ "query": rename(&project) });
    let create = "mutation($input: CreateTasksInput!) { createTasks(input: $input) { created } }";
    let deep = |levels: usize| {
        let data = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        format!(
            "{{\"query\": \"{create}\", \"variables\": {{\"input\": {{\"projectId\": \"{}\", \"tasks\": [{{\"data\": {{\"text\": \"x\", \"deep\": {data}}}}}]}}}}}}",
            project.id
        )
    };
    let mut broken_utf8 = br#"{"query": "mutation { createAccessToken(input: { name: \"caf"#.to_vec();
    broken_utf8.extend_from_slice(b"\xc3\x28");
    broken_utf8.extend_from_slice(br#"\" }) { secret } }"}"#);
    let half_a_pair = br#"{"query": "mutation { createAccessToken(input: { name: \"\ud800\" }) { secret } }"}"#;
    for (case, body) in [
        ("nothing", Vec::new()),
        ("not JSON", b"{ viewer { id } }".to_vec()),
        ("half of it", b"{\"query\": \"{ viewer".to_vec()),
        ("null", b"null".to_vec()),
        ("a text", b"\"{ viewer { id } }\"".to_vec()),
        ("a batch", json!([mutation, mutation]).to_string().into_bytes()),
        ("no query", json!({ "variables": {} }).to_string().into_bytes()),
        ("a query that is a list", json!({ "query": [] }).to_string().into_bytes()),
        ("variables that are a list", json!({ "query": rename(&project), "variables": [] }).to_string().into_bytes()),
        ("variables that are a text", json!({ "query": rename(&project), "variables": "{}" }).to_string().into_bytes()),
        ("a name that is a number", json!({ "query": rename(&project), "operationName": 1 }).to_string().into_bytes()),
        ("extensions that are a list", json!({ "query": rename(&project), "extensions": [] }).to_string().into_bytes()),
        ("broken UTF-8", broken_utf8),
        ("half of a surrogate pair", half_a_pair.to_vec()),
        ("a number past all numbers", br#"{"query": "{ __typename }", "variables": {"n": 1e999}}"#.to_vec()),
        ("200 levels of variables", deep(200).into_bytes()),
        ("1,000,000 levels of variables", deep(1_000_000).into_bytes()),
    ] {
        let answer = post(&project, body).await;
        assert_eq!(answer.status, 400, "{case}: {:#}", answer.body);
        watch.refused(case, &answer, "BAD_USER_INPUT", "").await;
    }
    assert_eq!(post(&project, deep(100)).await.get("createTasks.created"), 1, "what is not too deep is stored");
}

async fn a_body_that_is_too_large_is_refused_and_the_client_learns_why(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let watch = project.watch().await;
    let create = "mutation($input: CreateAccessTokenInput!) { createAccessToken(input: $input) { secret } }";
    let named = |bytes: usize| json!({ "query": create, "variables": { "input": { "name": "x".repeat(bytes) } } });
    for (case, body) in [
        ("20 MB of variables", named(20_000_000).to_string()),
        ("a name of 10 MB", named(10_000_000).to_string()),
        ("a document of 10 MB", json!({ "query": "#".repeat(10_000_000) }).to_string()),
    ] {
        let chunks: Vec<_> =
            body.as_bytes().chunks(100_000).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect();
        let unannounced = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
        for (sent, body) in [("with its length", body.into()), ("in chunks", unannounced)] {
            let answer = post(&project, body).await;
            assert_eq!(answer.status, 413, "{case} {sent}");
            watch.refused(case, &answer, "PAYLOAD_TOO_LARGE", "").await;
        }
    }
    let fits = post(&project, named(5_000_000).to_string()).await;
    watch.refused("a name of 5 MB", &fits, "BAD_USER_INPUT", "name").await;
    let nobody = app.anonymous(&format!("{{ __typename }} # {}", "x".repeat(70_000)), json!({})).await;
    watch.refused("70 KB from nobody", &nobody, "PAYLOAD_TOO_LARGE", "").await;
}

async fn only_json_is_taken_because_forms_can_be_forged(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let watch = project.watch().await;
    let body = json!({ "query": rename(&project) }).to_string();
    let form = format!("query={}", rename(&project).replace(' ', "+"));
    for (case, content_type, body) in [
        ("a form", Some("application/x-www-form-urlencoded"), form.clone()),
        ("JSON that says it is a form", Some("application/x-www-form-urlencoded"), body.clone()),
        ("a form with files", Some("multipart/form-data; boundary=x"), body.clone()),
        ("text", Some("text/plain"), body.clone()),
        ("text that speaks of JSON", Some("text/plain; application/json"), body.clone()),
        ("a document", Some("application/graphql"), rename(&project)),
        ("JSON in Latin-1", Some("application/json; charset=iso-8859-1"), body.clone()),
        ("nothing said", None, body.clone()),
    ] {
        let request = project.manager.request(Method::POST);
        let request = content_type.map_or(request.try_clone().unwrap(), |it| request.header(header::CONTENT_TYPE, it));
        let answer = Answer::read(request.body(body).send().await.unwrap()).await;
        assert_eq!(answer.status, 415, "{case}");
        assert_eq!(answer.headers[header::ACCEPT], "application/json", "{case}");
        watch.refused(case, &answer, "BAD_USER_INPUT", "").await;
    }
}

async fn a_get_never_changes_anything(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let watch = project.watch().await;
    let get = async |parameters: &[(&str, &str)]| {
        let query = serde_urlencoded::to_string(parameters).unwrap();
        let url = app.url(&format!("/graphql?{query}"));
        Answer::read(app.http.get(url).bearer_auth(&project.manager.token).send().await.unwrap()).await
    };
    let unnamed = rename(&project);
    let named = unnamed.replace("mutation", "mutation Rename");
    let beside = format!("{named} query Look {{ __typename }}");
    for (case, parameters) in [
        ("a mutation", vec![("query", unnamed.as_str())]),
        ("a mutation with a name", vec![("query", named.as_str())]),
        ("a mutation with a name that is given", vec![("query", named.as_str()), ("operationName", "Rename")]),
        ("a mutation beside a query", vec![("query", beside.as_str()), ("operationName", "Rename")]),
    ] {
        let answer = get(&parameters).await;
        assert_eq!(answer.status, 405, "{case}: {:#}", answer.body);
        assert_eq!(answer.headers[header::ALLOW], "POST", "{case}");
        watch.refused(case, &answer, "BAD_USER_INPUT", "").await;
    }
    let deep = |levels: usize| format!("{}{}", "{a".repeat(levels), "}".repeat(levels));
    let (deep, deepest) = (deep(3_000), deep(8_000));
    let lists = "[".repeat(9_000);
    for (case, parameters, status, code) in [
        ("no query", vec![("variables", "{}")], 400, "BAD_USER_INPUT"),
        ("variables that are not JSON", vec![("query", "{ __typename }"), ("variables", "{")], 400, "BAD_USER_INPUT"),
        ("variables too deep", vec![("query", "{ __typename }"), ("variables", &lists)], 400, "BAD_USER_INPUT"),
        ("a document too deep", vec![("query", &deepest)], 200, "LIMIT_EXCEEDED"),
        ("a document of few tokens, but too deep", vec![("query", &deep)], 200, "LIMIT_EXCEEDED"),
        ("one of two operations", vec![("query", &beside)], 200, "BAD_USER_INPUT"),
    ] {
        let answer = get(&parameters).await;
        assert_eq!(answer.status, status, "{case}: {:#}", answer.body);
        watch.refused(case, &answer, code, "").await;
    }
    let url = app.url("/graphql?query=%7B%20__typename%20%7D&variables=%7B%22a%22%3A%22%ff%22%7D");
    let answer = Answer::read(app.http.get(url).send().await.unwrap()).await;
    assert!(answer.status.is_success() || answer.status == 400, "broken UTF-8 in a query string: {}", answer.status);
    watch.unchanged("broken UTF-8 in a query string").await;
    assert_eq!(get(&[("query", "{ __typename }")]).await.get("__typename"), "Query");
}

async fn other_methods_paths_and_media_types_are_refused(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let watch = project.watch().await;
    let body = json!({ "query": rename(&project) });
    for method in [Method::DELETE, Method::PUT, Method::PATCH] {
        let answer = Answer::read(project.manager.request(method.clone()).json(&body).send().await.unwrap()).await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.headers[header::ALLOW], "POST, GET", "{method}");
        watch.refused(method.as_str(), &answer, "BAD_USER_INPUT", "").await;
    }
    for accept in ["text/html", "application/xml", "application/json;q=0", "image/*", "nonsense"] {
        let request = project.manager.request(Method::POST).header(header::ACCEPT, accept).json(&body);
        let answer = Answer::read(request.send().await.unwrap()).await;
        assert_eq!(answer.status, 406, "{accept}");
        watch.refused(accept, &answer, "BAD_USER_INPUT", "").await;
    }
    for path in ["/nowhere", "/graphql/nowhere", "/files", "/files/a/b", "/..%2fetc"] {
        let answer = Answer::read(app.http.get(app.url(path)).send().await.unwrap()).await;
        assert_eq!(answer.status, 404, "{path}");
        watch.refused(path, &answer, "NOT_FOUND", "").await;
    }
    let null = Value::Null;
    let answer = project.manager.send("{ __typename }", null).await;
    assert_eq!(answer.get("__typename"), "Query", "no variables is the same as none");
}
