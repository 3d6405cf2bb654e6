//! GraphQL over SSE as clients meet it: who gets a stream, what comes over it, and how it ends.

use axum::{body::Body, http::Request};
use futures::StreamExt;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{
    Answer, Database, EventStream, Media, Project, TestApp, on_both_databases, random_like, read, wait_until,
};

on_both_databases![
    what_happens_comes_as_events,
    queries_and_mutations_have_one_result,
    what_is_wrong_with_an_operation_is_told_over_the_stream,
    what_is_no_request_for_a_stream_is_refused,
    a_page_of_another_site_gets_no_stream_by_cookie,
    a_connection_has_a_hundred_streams,
    a_server_that_stops_ends_its_streams,
];

const FOLLOW: &str = "subscription($id: ID!, $after: EventCursor) {
    taskEvents(projectId: $id, after: $after) { id type cursor ... on TaskEvent { taskId } } }";
const RENAME: &str = "mutation($input: UpdateProjectInput!) { updateProject(input: $input) { project { name } } }";

async fn project(app: &TestApp) -> Project {
    app.project(&app.admin().await, Media::Text).await
}

async fn what_happens_comes_as_events(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app).await;
    let before = project.cursor().await;
    let [one] = project.named_tasks("one", 1).await.try_into().unwrap();
    let follow = json!({ "query": FOLLOW, "variables": { "id": project.id, "after": before } });
    let answer = app.post_stream(&follow).bearer_auth(&project.manager.token).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    for (name, want) in [("cache-control", "no-store"), ("x-accel-buffering", "no")] {
        assert_eq!(answer.headers()[name], want);
    }
    assert!(answer.headers().get("content-encoding").is_none());
    let mut posted = EventStream::of(answer);
    assert_eq!(posted.block().await.as_deref(), Some(":"), "the first sign of life");
    let variables = json!({ "id": project.id, "after": before }).to_string();
    let get = app.get_stream(FOLLOW, &variables).header("accept-encoding", "gzip");
    let mut got = EventStream::of(get.bearer_auth(&project.manager.token).send().await.unwrap());
    for stream in [&mut posted, &mut got] {
        let event = stream.data().await["taskEvents"].clone();
        assert_eq!((&event["type"], &event["taskId"]), (&json!("TASK_CREATED"), &json!(one)), "what was before");
    }
    let [two] = project.named_tasks("two", 1).await.try_into().unwrap();
    for stream in [&mut posted, &mut got] {
        assert_eq!(stream.data().await["taskEvents"]["taskId"], json!(two), "what happens now");
    }
}

async fn queries_and_mutations_have_one_result(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app).await;
    let boss = &project.manager;
    let mut asked = boss.stream(&app, "{ viewer { id } }", json!({})).await;
    let complete = ("complete".to_owned(), Value::Null);
    let result = ("next".to_owned(), json!({ "data": { "viewer": { "id": boss.id } } }));
    assert_eq!(asked.rest().await, [result, complete.clone()]);
    let input = |id: &str| json!({ "input": { "projectId": id, "name": "Blood" } });
    let mut changed = boss.stream(&app, RENAME, input(&project.id)).await;
    assert_eq!(changed.data().await["updateProject"]["project"]["name"], "Blood");
    assert_eq!(changed.rest().await, [complete]);
    // By GET a mutation would run for whoever follows a link.
    let variables = input(&project.id).to_string();
    let refused = app.get_stream(RENAME, &variables).bearer_auth(&boss.token).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(refused.headers()["allow"], "POST");
}

async fn what_is_wrong_with_an_operation_is_told_over_the_stream(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app).await;
    let boss = &project.manager;
    let unknown = random_like(&project.id);
    for (case, query, variables, code) in [
        ("no document", "{", json!({}), "BAD_USER_INPUT"),
        ("a field that is not there", "subscription { nobody }", json!({}), "BAD_USER_INPUT"),
        ("no such project", FOLLOW, json!({ "id": unknown }), "NOT_FOUND"),
        ("no cursor", FOLLOW, json!({ "id": project.id, "after": "garbage" }), "BAD_USER_INPUT"),
    ] {
        let told = boss.stream(&app, query, variables).await.rest().await;
        let [(next, result), (complete, _)] = &told[..] else { panic!("{case}: {told:?}") };
        assert_eq!((next.as_str(), complete.as_str()), ("next", "complete"), "{case}");
        assert_eq!(result["errors"][0]["extensions"]["code"], code, "{case}: {result}");
        assert_eq!(result.get("data"), None, "{case}");
    }
    let metrics = app.http.get(app.admin_url("/metrics")).send().await.unwrap().text().await.unwrap();
    let counted = metrics.lines().find(|line| line.starts_with("concord_graphql_errors_total{code=\"NOT_FOUND\"}"));
    assert_eq!(counted.and_then(|line| line.rsplit_once(' ')).map(|(_, count)| count), Some("1"));
    // In the middle of it.
    let ana = project.member(&app, "ana", "VIEWER").await;
    let mut stream = ana.stream(&app, FOLLOW, json!({ "id": project.id })).await;
    stream.block().await;
    project.set_member(&ana, Value::Null).await.get("setMember");
    let told = stream.rest().await;
    let ends: Vec<&str> = told.iter().rev().take(2).map(|(name, _)| name.as_str()).collect();
    assert_eq!(ends, ["complete", "next"], "{told:?}");
    assert_eq!(told[told.len() - 2].1["errors"][0]["extensions"]["code"], "NOT_FOUND", "{told:?}");
}

async fn what_is_no_request_for_a_stream_is_refused(database: Database) {
    let app = TestApp::new(database).await;
    let ana = app.person("ana").await;
    let url = app.url("/graphql/stream");
    let bare = |method: Method| app.http.request(method, &url).bearer_auth(&ana.token);
    let plain = |method: Method| bare(method).header("accept", "text/event-stream");
    let query = json!({ "query": "{ viewer { id } }" });
    let nobody = || app.post_stream(&query);
    for (case, request, status, code) in [
        ("a reservation (single connection mode)", plain(Method::PUT), 405, "BAD_USER_INPUT"),
        ("an operation's end (single connection mode)", plain(Method::DELETE), 405, "BAD_USER_INPUT"),
        ("JSON wanted", bare(Method::POST).header("accept", "application/json").json(&query), 406, "BAD_USER_INPUT"),
        ("anything wanted", bare(Method::POST).header("accept", "*/*").json(&query), 406, "BAD_USER_INPUT"),
        ("no credential", nobody(), 401, "UNAUTHENTICATED"),
        ("a token that nobody has", nobody().bearer_auth("cat_x"), 401, "UNAUTHENTICATED"),
        ("no bearer", nobody().header("authorization", "Basic x"), 400, "BAD_USER_INPUT"),
        (
            "a form",
            plain(Method::POST).header("content-type", "application/x-www-form-urlencoded").body("query=x"),
            415,
            "BAD_USER_INPUT",
        ),
        ("no JSON", plain(Method::POST).header("content-type", "application/json").body("{"), 400, "BAD_USER_INPUT"),
        ("a batch", plain(Method::POST).json(&json!([query])), 400, "BAD_USER_INPUT"),
        ("no query", plain(Method::GET), 400, "BAD_USER_INPUT"),
        ("too much", plain(Method::POST).json(&json!({ "query": "x".repeat(9_000_000) })), 413, "PAYLOAD_TOO_LARGE"),
    ] {
        let answer = read(request).await;
        assert_eq!(answer.status.as_u16(), status, "{case}: {}", answer.body);
        assert_eq!(answer.body["errors"][0]["extensions"]["code"], code, "{case}");
    }
}

async fn a_page_of_another_site_gets_no_stream_by_cookie(database: Database) {
    let app = TestApp::with(database, &[("ALLOWED_ORIGINS", "https://label.example")]).await;
    let (boss, ana) = (app.admin().await, app.person("ana").await);
    let session = app.signed_in(&boss, &ana).await;
    let cookie = format!("concord_session={}", session.token);
    let own = app.url("");
    let query = json!({ "query": "{ viewer { id } }" });
    for (origin, want) in [
        (Some("https://evil.example"), StatusCode::FORBIDDEN),
        (Some("null"), StatusCode::FORBIDDEN),
        (Some("https://label.example"), StatusCode::OK),
        (Some(own.as_str()), StatusCode::OK),
        // Browsers leave it out when a page of ours opens an `EventSource`.
        (None, StatusCode::OK),
    ] {
        let mut request = app.post_stream(&query).header("cookie", &cookie);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), want, "{origin:?}");
        if want == StatusCode::OK {
            assert_eq!(EventStream::of(answer).data().await["viewer"]["id"], ana.id, "{origin:?}");
        } else {
            assert_eq!(Answer::read(answer).await.body["errors"][0]["extensions"]["code"], "FORBIDDEN");
        }
    }
    // A token is no cookie: whoever has it may use it from anywhere.
    let token = app.post_stream(&query).header("origin", "https://evil.example").bearer_auth(&ana.token);
    assert_eq!(token.send().await.unwrap().status(), StatusCode::OK);
}

async fn a_connection_has_a_hundred_streams(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app).await;
    let (boss, start) = (&project.manager, project.cursor().await);
    // One connection for all of them.
    let http = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Body>();
    let follow = json!({ "query": FOLLOW, "variables": { "id": project.id, "after": start } }).to_string();
    let open = async || {
        let request = Request::post(app.url("/graphql/stream"))
            .header("accept", "text/event-stream")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", boss.token));
        let answer = http.request(request.body(Body::from(follow.clone())).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        (parts.status, Body::new(body).into_data_stream().map(|chunk| chunk.unwrap()))
    };
    let mut streams = Vec::new();
    for _ in 0..100 {
        streams.push(EventStream::over(open().await.1));
    }
    let (status, mut chunks) = open().await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let refused: Value = serde_json::from_slice(&chunks.next().await.unwrap()).unwrap();
    assert_eq!(refused["errors"][0]["extensions"]["code"], "LIMIT_EXCEEDED");
    project.text_tasks(1).await;
    for stream in &mut streams {
        assert_eq!(stream.data().await["taskEvents"]["type"], "TASK_CREATED");
    }
    drop(streams.pop());
    wait_until("a place to be free", async || open().await.0 == StatusCode::OK).await;
}

async fn a_server_that_stops_ends_its_streams(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app).await;
    let mut stream = project.manager.stream(&app, FOLLOW, json!({ "id": project.id })).await;
    stream.block().await;
    let stopping = tokio::spawn(app.running.stop());
    assert_eq!(stream.rest().await, [], "without a 'complete': the client opens it again");
    stopping.await.unwrap().expect("nothing is left running");
}
