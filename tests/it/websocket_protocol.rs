//! graphql-transport-ws as clients meet it: who gets in, what is answered, and with which code a socket is closed.

use reqwest::StatusCode;
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{
    Message,
    handshake::client::Request,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use crate::harness::{Database, Media, Person, Socket, TestApp, on_both_databases, tests_named_in, wait_until};

on_both_databases![
    one_who_does_not_keep_to_the_protocol_is_told_by_the_code,
    a_message_that_is_too_big_closes_the_socket,
    a_credential_comes_in_the_first_message_or_by_cookie,
    a_page_of_another_site_cannot_use_the_cookie,
    what_is_no_socket_of_this_protocol_is_refused,
    queries_and_mutations_run_with_the_checks_they_always_have,
    operations_run_beside_one_another_and_end_when_they_are_told_to,
    a_credential_that_has_ended_runs_nothing_more,
    a_server_that_stops_says_so_and_does_not_wait,
    a_server_that_stops_waits_for_the_result_of_a_mutation,
    what_is_unknown_is_ignored_and_null_is_nothing,
    an_id_is_free_once_its_operation_has_ended,
    an_operation_that_was_ended_tells_nothing_once_it_is_done,
    a_client_that_closes_is_answered,
    every_promise_and_every_sentence_of_the_protocol_has_its_test,
];

/// What docs/live.md promises.
const PROMISES: usize = 12;
/// What the protocol document says of a server.
const SENTENCES: usize = 24;

const FOLLOW: &str = "subscription($id: ID!) { taskEvents(projectId: $id) { id type } }";

async fn one_who_does_not_keep_to_the_protocol_is_told_by_the_code(database: Database) {
    let app = TestApp::new(database).await;
    let ana = app.person("ana").await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let boss = &project.manager;
    let init =
        |token: &str| json!({ "type": "connection_init", "payload": { "Authorization": format!("Bearer {token}") } });
    let query = json!({ "query": "{ viewer { id } }" });
    let subscribe = json!({ "type": "subscribe", "id": "1", "payload": query });
    let id = |id: Value| json!({ "type": "subscribe", "id": id, "payload": query });
    let payload = |payload: Value| json!({ "type": "subscribe", "id": "1", "payload": payload });
    for (case, message, code) in [
        ("an operation before the introduction", subscribe.clone(), 4401),
        ("no credential", json!({ "type": "connection_init" }), 4403),
        ("an empty introduction", json!({ "type": "connection_init", "payload": {} }), 4403),
        ("a token that is none", init("garbage"), 4403),
        ("a token that nobody has", init("cat_x"), 4403),
        ("a token of 100,000 characters", init(&"x".repeat(60_000)), 4403),
        ("no bearer", json!({ "type": "connection_init", "payload": { "Authorization": boss.token } }), 4403),
        ("a token that is no text", json!({ "type": "connection_init", "payload": { "Authorization": 1 } }), 4403),
        ("an introduction that is no object", json!({ "type": "connection_init", "payload": [] }), 4400),
    ] {
        let mut socket = app.socket().await;
        socket.send(message).await;
        assert_eq!(socket.closed().await.0, code, "{case}");
    }
    for (case, message, code) in [
        ("a second introduction", init(&ana.token), 4429),
        ("no type", json!({ "id": "1" }), 4400),
        ("a type that is no text", json!({ "type": 1 }), 4400),
        ("a message of a server", json!({ "type": "connection_ack" }), 4400),
        ("a ping whose payload is a list", json!({ "type": "ping", "payload": [] }), 4400),
        ("a pong whose payload is a number", json!({ "type": "pong", "payload": 1 }), 4400),
        ("a type that is none", json!({ "type": "start", "id": "1", "payload": query }), 4400),
        ("a list", json!([subscribe]), 4400),
        ("an operation without an id", json!({ "type": "subscribe", "payload": query }), 4400),
        ("an id that is no text", id(json!(1)), 4400),
        ("an empty id", id(json!("")), 4400),
        ("an id that is too long", id(json!("x".repeat(129))), 4400),
        ("an operation without a payload", json!({ "type": "subscribe", "id": "1" }), 4400),
        ("no query", payload(json!({})), 4400),
        ("variables that are no object", payload(json!({ "query": "{ a }", "variables": [] })), 4400),
        ("a name of an operation that is no text", payload(json!({ "query": "{ a }", "operationName": 1 })), 4400),
        ("extensions that are no object", payload(json!({ "query": "{ a }", "extensions": "" })), 4400),
        ("an end without an id", json!({ "type": "complete" }), 4400),
    ] {
        let mut socket = ana.socket().await;
        socket.send(message).await;
        let (found, reason) = socket.closed().await;
        assert_eq!(found, code, "{case}: {reason}");
        assert!(!reason.is_empty(), "{case}");
    }
    for (case, frame) in [
        ("no JSON", Message::text("{")),
        ("bytes", Message::binary(json!({ "type": "ping" }).to_string().into_bytes())),
    ] {
        let mut socket = ana.socket().await;
        socket.send_frame(frame).await;
        assert_eq!(socket.closed().await.0, 4400, "{case}");
    }
    let mut twice = boss.subscribe(FOLLOW, json!({ "id": project.id })).await;
    twice.subscribe("1", "{ viewer { id } }", json!({})).await;
    assert_eq!(twice.closed().await, (4409, "Subscriber for 1 already exists".to_owned()));
}

async fn a_message_that_is_too_big_closes_the_socket(database: Database) {
    let app = TestApp::new(database).await;
    let ana = app.person("ana").await;
    let ping = |bytes: usize| json!({ "type": "ping", "payload": { "x": "x".repeat(bytes) } });
    let mut socket = ana.socket().await;
    socket.send(ping(1_000_000)).await;
    assert_eq!(socket.next().await["type"], "pong");
    socket.send(ping(1_100_000)).await;
    assert_eq!(socket.closed().await.0, 1009);
    let mut nobody = app.socket().await;
    nobody.send(ping(70_000)).await;
    assert_eq!(nobody.closed().await.0, 1009, "before the introduction less is taken");
}

impl TestApp {
    fn opening_with(&self, headers: &[(&'static str, &str)]) -> Request {
        let mut request = self.opening();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        request
    }
}

/// Who a socket is for.
async fn who(socket: &mut Socket) -> Value {
    socket.subscribe("who", "{ viewer { id } }", json!({})).await;
    let id = socket.next().await["payload"]["data"]["viewer"]["id"].clone();
    assert_eq!(socket.next().await, json!({ "type": "complete", "id": "who" }));
    id
}

async fn a_credential_comes_in_the_first_message_or_by_cookie(database: Database) {
    let app = TestApp::new(database).await;
    let (boss, ana) = (app.admin().await, app.person("ana").await);
    let signed_in = app.signed_in(&boss, &ana).await;
    let cookie = format!("other=1; concord_session={}", signed_in.token);
    let own = app.url("");
    let with_cookie = || app.opening_with(&[("cookie", &cookie), ("origin", &own)]);
    let bearer = json!(format!("bearer {}", boss.token));
    for (case, request, payload, want) in [
        ("capital letters or not", app.opening(), json!({ "authorization": bearer }), &boss),
        (
            "a login session's token",
            app.opening(),
            json!({ "Authorization": format!("Bearer {}", signed_in.token) }),
            &ana,
        ),
        ("the cookie", with_cookie(), Value::Null, &ana),
        ("the cookie and an empty introduction", with_cookie(), json!({}), &ana),
        ("the message before the cookie", with_cookie(), json!({ "Authorization": bearer }), &boss),
    ] {
        let mut socket = Socket::open(request).await.unwrap();
        socket.send(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(socket.next().await, json!({ "type": "connection_ack" }), "{case}");
        assert_eq!(who(&mut socket).await, want.id, "{case}");
    }
    signed_in.mutate("signOut", json!({}), "__typename").await.get("signOut");
    let mut ended = Socket::open(with_cookie()).await.unwrap();
    ended.send(json!({ "type": "connection_init" })).await;
    assert_eq!(ended.closed().await.0, 4403);
}

async fn a_page_of_another_site_cannot_use_the_cookie(database: Database) {
    let app = TestApp::with(database, &[("ALLOWED_ORIGINS", "https://label.example")]).await;
    let (boss, ana) = (app.admin().await, app.person("ana").await);
    let cookie = format!("concord_session={}", app.signed_in(&boss, &ana).await.token);
    for (origin, want) in [
        (Some("https://evil.example"), Some(StatusCode::FORBIDDEN)),
        (Some("https://label.example.evil.example"), Some(StatusCode::FORBIDDEN)),
        (Some("null"), Some(StatusCode::FORBIDDEN)),
        (None, Some(StatusCode::FORBIDDEN)),
        (Some("https://label.example"), None),
        (Some(app.url("").as_str()), None),
    ] {
        let mut headers = vec![("cookie", cookie.as_str())];
        headers.extend(origin.map(|origin| ("origin", origin)));
        let refused = Socket::open(app.opening_with(&headers)).await.err();
        assert_eq!(refused.map(|answer| answer.status().as_u16()), want.map(|status| status.as_u16()), "{origin:?}");
    }
    // Without the cookie there is nothing to take: such a page has to bring a token of its own.
    let mut socket = Socket::open(app.opening_with(&[("origin", "https://evil.example")])).await.unwrap();
    socket.send(json!({ "type": "connection_init" })).await;
    assert_eq!(socket.closed().await.0, 4403);
}

async fn what_is_no_socket_of_this_protocol_is_refused(database: Database) {
    let app = TestApp::new(database).await;
    let old = app.opening_with(&[("sec-websocket-protocol", "graphql-ws")]);
    let both = app.opening_with(&[("sec-websocket-protocol", "graphql-ws, graphql-transport-ws")]);
    let mut none = app.opening();
    none.headers_mut().remove("sec-websocket-protocol");
    for (case, request) in [("the old protocol", old), ("no protocol", none)] {
        let answer = Socket::open(request).await.err().expect(case);
        assert_eq!(answer.status().as_u16(), 400, "{case}");
        let body: Value = serde_json::from_slice(answer.body().as_ref().unwrap()).unwrap();
        assert_eq!(body["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{case}");
    }
    assert!(Socket::open(both).await.is_ok(), "one of them is right");
    let plain = app.page("/graphql/ws").send().await.unwrap();
    assert!(plain.status().is_client_error(), "{}", plain.status());
    let posted = app.http.post(app.url("/graphql/ws")).body("{}").send().await.unwrap();
    assert!(posted.status().is_client_error(), "{}", posted.status());
}

async fn queries_and_mutations_run_with_the_checks_they_always_have(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let ana = app.person("ana").await;
    project.set_member(&ana, json!("VIEWER")).await.get("setMember");
    let mut socket = project.manager.socket().await;
    let rename = "mutation($input: UpdateProjectInput!) { updateProject(input: $input) { project { name } } }";
    let input = json!({ "input": { "projectId": project.id, "name": "Blood" } });
    socket.subscribe("rename", rename, input.clone()).await;
    let next = json!({ "type": "next", "id": "rename", "payload": { "data": { "updateProject": { "project": { "name": "Blood" } } } } });
    assert_eq!(socket.next().await, next);
    assert_eq!(socket.next().await, json!({ "type": "complete", "id": "rename" }));

    let mut socket = ana.socket().await;
    socket.subscribe("1", rename, input).await;
    let refused = socket.next().await;
    assert_eq!(refused["type"], "next", "a field's own error is a result");
    assert_eq!(refused["payload"]["errors"][0]["extensions"]["code"], "FORBIDDEN");
    assert_eq!(socket.next().await["type"], "complete");
    let deep = format!("{}{}", "{ a ".repeat(17), "}".repeat(17));
    let two = "subscription($id: ID!) { a: taskEvents(projectId: $id) { id } b: taskEvents(projectId: $id) { id } }";
    let fragment = "subscription($id: ID!) { ...f } fragment f on Subscription { taskEvents(projectId: $id) { id } }";
    for (case, query, code) in [
        ("no document", "{", "BAD_USER_INPUT"),
        ("a field that is not there", "{ nobody }", "BAD_USER_INPUT"),
        ("fields nested too deep", deep.as_str(), "LIMIT_EXCEEDED"),
        ("a subscription of a field that is not there", "subscription { nobody }", "BAD_USER_INPUT"),
        ("a subscription of two fields", two, "BAD_USER_INPUT"),
        ("a subscription in a fragment", fragment, "BAD_USER_INPUT"),
        ("a subscription of nothing", "subscription { __typename }", "BAD_USER_INPUT"),
    ] {
        socket.subscribe("1", query, json!({ "id": project.id })).await;
        let message = socket.next().await;
        assert_eq!(message["type"], "error", "{case}: {message}");
        assert_eq!(message["payload"][0]["extensions"]["code"], code, "{case}: {message}");
    }
    assert_eq!(who(&mut socket).await, ana.id, "the socket goes on");
    let metrics = app.http.get(app.admin_url("/metrics")).send().await.unwrap().text().await.unwrap();
    let counted = metrics.lines().find(|line| line.starts_with("concord_graphql_errors_total{code=\"FORBIDDEN\"}"));
    assert_eq!(counted.and_then(|line| line.rsplit_once(' ')).map(|(_, count)| count), Some("1"));
}

async fn operations_run_beside_one_another_and_end_when_they_are_told_to(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let mut socket = project.manager.socket().await;
    let begin = async |socket: &mut Socket, id: &str, after: &str| {
        let follow =
            "subscription($id: ID!, $after: EventCursor) { taskEvents(projectId: $id, after: $after) { type } }";
        socket.subscribe(id, follow, json!({ "id": project.id, "after": after })).await;
    };
    let start = project.cursor().await;
    for id in ["a", "b"] {
        begin(&mut socket, id, &start).await;
    }
    let [task] = project.text_tasks(1).await.try_into().unwrap();
    let mut told = [socket.next().await, socket.next().await].map(|message| message["id"].to_string());
    told.sort();
    assert_eq!(told, ["\"a\"", "\"b\""]);
    socket.send(json!({ "type": "complete", "id": "a" })).await;
    socket.send(json!({ "type": "complete", "id": "nobody" })).await;
    socket.send(json!({ "type": "ping", "payload": { "n": 1 } })).await;
    assert_eq!(socket.next().await, json!({ "type": "pong", "payload": { "n": 1 } }));
    project.archive(vec![task.clone()], true).await.get("archiveTasks");
    assert_eq!(socket.next().await["id"], "b");
    socket.send(json!({ "type": "pong" })).await;
    socket.send(json!({ "type": "ping" })).await;
    assert_eq!(socket.next().await, json!({ "type": "pong" }), "nothing of the one that was ended");

    begin(&mut socket, "a", &start).await;
    for _ in 0..2 {
        assert_eq!(socket.next().await["id"], "a", "its id is free again, and it begins anew");
    }
    // Only so many at once.
    for n in 2..100 {
        begin(&mut socket, &format!("n{n}"), &project.cursor().await).await;
    }
    begin(&mut socket, "one too many", &start).await;
    let refused = socket.next().await;
    assert_eq!((&refused["type"], &refused["id"]), (&json!("error"), &json!("one too many")));
    assert_eq!(refused["payload"][0]["extensions"]["code"], "LIMIT_EXCEEDED");
    socket.send(json!({ "type": "complete", "id": "n2" })).await;
    begin(&mut socket, "another", &start).await;
    assert_eq!(socket.next().await["id"], "another");
}

async fn a_credential_that_has_ended_runs_nothing_more(database: Database) {
    let app = TestApp::new(database).await;
    let (boss, ana) = (app.admin().await, app.person("ana").await);
    let mut socket = ana.socket().await;
    assert_eq!(who(&mut socket).await, ana.id);
    boss.mutate("updateUser", json!({ "userId": ana.id, "disabled": true }), "user { id }").await.get("updateUser");
    socket.subscribe("1", "{ viewer { id } }", json!({})).await;
    let (before, code, reason) = socket.rest().await;
    assert_eq!((code, reason.as_str()), (4403, "Forbidden"));
    // What was asked before the server had closed is refused.
    for message in before {
        assert_eq!(message["payload"][0]["extensions"]["code"], "UNAUTHENTICATED", "{message}");
    }
}

async fn a_server_that_stops_says_so_and_does_not_wait(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let idle: Person = project.manager.clone();
    let mut sockets =
        [app.socket().await, idle.socket().await, project.manager.subscribe(FOLLOW, json!({ "id": project.id })).await];
    // One that answers nothing and does not close either.
    let silent = project.manager.socket().await;
    let TestApp { running, http, .. } = app;
    let address = running.address;
    let stopping = tokio::spawn(running.stop());
    for socket in &mut sockets {
        assert_eq!(socket.closed().await.0, 1001);
    }
    stopping.await.unwrap().expect("nothing is left running");
    wait_until("nobody listens", async || http.get(format!("http://{address}/healthz")).send().await.is_err()).await;
    drop(silent);
}

async fn a_server_that_stops_waits_for_the_result_of_a_mutation(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let mut following = project.manager.subscribe(FOLLOW, json!({ "id": project.id })).await;
    let mut saving = project.manager.socket().await;
    // Somebody else writes there, and takes their time.
    let other = app.use_cases().db.begin().await.unwrap();
    let touch = format!("UPDATE project SET name = name WHERE id = {}", app.literal(&project.id));
    other.execute_unprepared(&touch).await.unwrap();
    let rename = "mutation($input: UpdateProjectInput!) { updateProject(input: $input) { project { name } } }";
    let input = json!({ "input": { "projectId": project.id, "name": "in the end" } });
    saving.subscribe("1", rename, input).await;
    // Messages are heard in order: once this is answered the mutation has begun.
    saving.send(json!({ "type": "ping" })).await;
    assert_eq!(saving.next().await, json!({ "type": "pong" }));
    let stopping = tokio::spawn(app.running.stop());
    assert_eq!(following.closed().await.0, 1001);
    other.commit().await.unwrap();
    let (said, code, _) = saving.rest().await;
    assert_eq!(code, 1001);
    assert_eq!(said[0]["payload"]["data"]["updateProject"]["project"]["name"], "in the end", "{said:?}");
    assert_eq!(said[1]["type"], "complete");
    stopping.await.unwrap().expect("nothing is left running");
}

async fn what_is_unknown_is_ignored_and_null_is_nothing(database: Database) {
    let app = TestApp::new(database).await;
    let ana = app.person("ana").await;
    let mut socket = app.socket().await;
    let payload = json!({ "Authorization": format!("Bearer {}", ana.token), "more": [1] });
    socket.send(json!({ "type": "connection_init", "payload": payload, "more": 1 })).await;
    assert_eq!(socket.next().await, json!({ "type": "connection_ack" }));
    socket.send(json!({ "type": "pong", "payload": { "n": 1 } })).await;
    for (payload, want) in [
        (json!(null), json!({ "type": "pong" })),
        (json!({}), json!({ "type": "pong", "payload": {} })),
        (json!({ "n": [1, null] }), json!({ "type": "pong", "payload": { "n": [1, null] } })),
    ] {
        socket.send(json!({ "type": "ping", "payload": payload, "more": 1 })).await;
        assert_eq!(socket.next().await, want);
    }
    let query = "query One { viewer { id } } query Two { viewer { name } }";
    for (name, want) in [("One", json!({ "id": ana.id })), ("Two", json!({ "name": "ana" }))] {
        let payload =
            json!({ "query": query, "operationName": name, "variables": null, "extensions": null, "more": 1 });
        socket.send(json!({ "type": "subscribe", "id": name, "payload": payload, "more": 1 })).await;
        let next = json!({ "type": "next", "id": name, "payload": { "data": { "viewer": want } } });
        assert_eq!(socket.next().await, next);
        assert_eq!(socket.next().await, json!({ "type": "complete", "id": name }));
    }
}

async fn an_id_is_free_once_its_operation_has_ended(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let mut socket = project.manager.socket().await;
    let late = json!({ "type": "complete", "id": "1" });
    for round in 0..2 {
        socket.subscribe("1", "{ viewer { id } }", json!({})).await;
        for want in ["next", "complete"] {
            assert_eq!(socket.next().await["type"], want, "round {round}");
        }
        socket.send(late.clone()).await;
        socket.subscribe("1", "{ nobody }", json!({})).await;
        assert_eq!(socket.next().await["type"], "error", "round {round}: and nothing behind it");
        socket.send(late.clone()).await;
        socket.subscribe("1", FOLLOW, json!({ "id": project.id })).await;
        socket.send(late.clone()).await;
    }
    assert_eq!(who(&mut socket).await, project.manager.id, "nothing else was told");
}

/// Both databases make a change of the project wait for whoever is changing it.
async fn an_operation_that_was_ended_tells_nothing_once_it_is_done(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let mut socket = project.manager.socket().await;
    let other = app.database.connect().await;
    let held = other.begin().await.unwrap();
    held.execute_unprepared("UPDATE project SET name = name").await.unwrap();
    let rename = "mutation($input: UpdateProjectInput!) { updateProject(input: $input) { project { name } } }";
    let input = json!({ "input": { "projectId": project.id, "name": "Blood" } });
    socket.subscribe("1", rename, input).await;
    socket.send(json!({ "type": "complete", "id": "1" })).await;
    socket.send(json!({ "type": "ping" })).await;
    assert_eq!(socket.next().await, json!({ "type": "pong" }), "it has not been done yet");
    held.rollback().await.unwrap();
    for _ in 0..20 {
        assert_eq!(who(&mut socket).await, project.manager.id);
    }
}

async fn a_client_that_closes_is_answered(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let mut socket = project.manager.subscribe(FOLLOW, json!({ "id": project.id })).await;
    let frame = CloseFrame { code: CloseCode::Normal, reason: "bye".into() };
    socket.send_frame(Message::Close(Some(frame))).await;
    assert_eq!(socket.closed().await.0, 1000);
}

/// docs/live.md has them in a table.
async fn every_promise_and_every_sentence_of_the_protocol_has_its_test(_: Database) {
    let docs = include_str!("../../docs/live.md");
    let rows = |of: &str| -> Vec<&str> {
        let (_, table) = docs.split_once(&format!("| {of} | tests |\n|---|---|\n")).unwrap();
        table.lines().take_while(|line| line.starts_with('|')).collect()
    };
    let (sentences, promises) = (rows("the protocol"), rows("promise"));
    assert!(sentences.len() >= SENTENCES && promises.len() >= PROMISES, "{sentences:?} {promises:?}");
    for row in sentences.into_iter().chain(promises) {
        assert!(tests_named_in(row) > 0, "{row}");
    }
}
