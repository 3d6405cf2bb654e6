//! What every client of HTTP meets: media types, statuses, headers.

use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::harness::{Database, Media, TestApp, on_both_databases, read};

on_both_databases![
    the_status_tells_whether_a_request_was_understood,
    a_client_that_takes_neither_type_is_refused,
    queries_come_by_get_with_a_name_and_variables,
    what_a_form_could_send_is_refused,
    a_request_has_one_id,
    every_route_has_the_security_headers,
    only_listed_origins_may_call,
    without_a_list_no_other_origin_may_call,
    long_answers_are_compressed,
    what_is_not_served_has_the_shape_of_every_error,
];

const NEW: &str = "application/graphql-response+json";
const OLD: &str = "application/json";

async fn the_status_tells_whether_a_request_was_understood(database: Database) {
    let app = TestApp::new(database).await;
    let ana = app.person("ana").await;
    let viewer = "{ viewer { id } }";
    let two = "query a { viewer { id } } query b { viewer { name } }";
    let typed = "query($id: ID!) { node(id: $id) { id } }";
    for (case, body, status, code) in [
        ("understood", json!({ "query": viewer }), 200, ""),
        ("a name", json!({ "query": two, "operationName": "b" }), 200, ""),
        ("a field's own error", json!({ "query": "{ project(id: \"x\") { id } }" }), 200, "BAD_USER_INPUT"),
        ("no document", json!({ "query": "{ viewer {" }), 400, "BAD_USER_INPUT"),
        ("an unknown field", json!({ "query": "{ viewer { shoeSize } }" }), 400, "BAD_USER_INPUT"),
        ("an unknown name", json!({ "query": two, "operationName": "c" }), 400, "BAD_USER_INPUT"),
        ("no name for two", json!({ "query": two }), 400, "BAD_USER_INPUT"),
        ("a missing variable", json!({ "query": typed }), 400, "BAD_USER_INPUT"),
        ("a wrong variable", json!({ "query": typed, "variables": { "id": { "a": 1 } } }), 400, "BAD_USER_INPUT"),
    ] {
        for (media_type, status) in [(NEW, status), (OLD, 200)] {
            let request = app.post_graphql(&body).bearer_auth(&ana.token).header(header::ACCEPT, media_type);
            let answer = read(request).await;
            assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{case}: {:#}", answer.body);
            assert_eq!(answer.headers[header::CONTENT_TYPE], format!("{media_type}; charset=utf-8"), "{case}");
            assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store", "{case}");
            let executed = code.is_empty() || case == "a field's own error";
            assert_eq!(answer.body.get("data").is_some(), executed, "{case}: {:#}", answer.body);
        }
    }
    for (case, body) in [
        ("no JSON", "{ viewer".to_owned()),
        ("no query", json!({}).to_string()),
        ("a query that is no text", json!({ "query": 1 }).to_string()),
        ("variables that are no object", json!({ "query": viewer, "variables": [1] }).to_string()),
        ("a name that is no text", json!({ "query": viewer, "operationName": {} }).to_string()),
        ("extensions that are no object", json!({ "query": viewer, "extensions": "x" }).to_string()),
        ("a batch", json!([{ "query": viewer }]).to_string()),
    ] {
        for media_type in [NEW, OLD] {
            let request = app.http.post(app.url("/graphql")).header(header::CONTENT_TYPE, OLD).body(body.clone());
            let answer = read(request.header(header::ACCEPT, media_type)).await;
            assert_eq!((answer.status.as_u16(), answer.code()), (400, "BAD_USER_INPUT"), "{case}: {:#}", answer.body);
            assert_eq!(answer.headers[header::CONTENT_TYPE], format!("{media_type}; charset=utf-8"), "{case}");
        }
    }
    let ended =
        read(app.post_graphql(&json!({ "query": viewer })).bearer_auth("cat_x").header(header::ACCEPT, NEW)).await;
    assert_eq!((ended.status.as_u16(), ended.code()), (401, "UNAUTHENTICATED"));
}

async fn a_client_that_takes_neither_type_is_refused(database: Database) {
    let app = TestApp::new(database).await;
    let body = json!({ "query": "{ __typename }" });
    for (case, accept, want) in [
        ("a page", "text/html", None),
        ("anything", "*/*", Some(OLD)),
        ("a browser", "text/html,*/*;q=0.8", Some(OLD)),
        ("both, the new one rather", "application/json;q=0.9, application/graphql-response+json", Some(NEW)),
    ] {
        let answer = read(app.post_graphql(&body).header(header::ACCEPT, accept)).await;
        match want {
            Some(media_type) => {
                assert_eq!(answer.headers[header::CONTENT_TYPE], format!("{media_type}; charset=utf-8"), "{case}");
            }
            None => assert_eq!((answer.status.as_u16(), answer.code()), (406, "BAD_USER_INPUT"), "{case}"),
        }
    }
}

async fn queries_come_by_get_with_a_name_and_variables(database: Database) {
    let app = TestApp::new(database).await;
    let (ana, ben) = (app.person("ana").await, app.person("ben").await);
    let two = "query a { viewer { id } } query b($id: ID!) { node(id: $id) { id } }";
    let get = |pairs: &[(&str, &str)]| {
        let path = format!("/graphql?{}", serde_urlencoded::to_string(pairs).unwrap());
        app.page(&path).bearer_auth(&ana.token).header(header::ACCEPT, NEW)
    };
    let variables = json!({ "id": ana.id }).to_string();
    let answer = read(get(&[("query", two), ("operationName", "b"), ("variables", &variables)])).await;
    assert_eq!(answer.get("node.id"), &json!(ana.id));
    assert_eq!(read(get(&[("query", two), ("operationName", "a")])).await.get("viewer.id"), &json!(ana.id));
    let variables = json!({ "id": ben.id }).to_string();
    let answer = read(get(&[("query", two), ("operationName", "b"), ("variables", &variables)])).await;
    assert_eq!(answer.get("node"), &Value::Null);
    let change = "mutation { signOut(input: { everywhere: true }) { ended } }";
    let hidden = format!("query a {{ viewer {{ id }} }} {change}").replace("mutation", "mutation b");
    for (case, pairs, status) in [
        ("a mutation", vec![("query", change)], 405),
        ("a mutation behind a query", vec![("query", hidden.as_str()), ("operationName", "b")], 405),
        ("no query", vec![("operationName", "a")], 400),
        ("variables that are no JSON", vec![("query", two), ("variables", "{")], 400),
        ("no document", vec![("query", "{")], 400),
    ] {
        let refused = read(get(&pairs)).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (status, "BAD_USER_INPUT"), "{case}");
        assert_eq!(refused.headers.get(header::ALLOW).is_some_and(|allow| allow == "POST"), status == 405, "{case}");
    }
}

async fn what_a_form_could_send_is_refused(database: Database) {
    let app = TestApp::new(database).await;
    let body = json!({ "query": "{ __typename }" }).to_string();
    for (content_type, status) in [
        ("application/json", 200),
        ("Application/JSON; Charset=UTF-8", 200),
        ("text/plain", 415),
        ("text/plain; application/json", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/json; charset=utf-16", 415),
    ] {
        let request = app.http.post(app.url("/graphql")).header(header::CONTENT_TYPE, content_type);
        let answer = read(request.body(body.clone())).await;
        assert_eq!(answer.status, status, "{content_type}: {:#}", answer.body);
    }
    let untyped = read(app.http.post(app.url("/graphql")).body(body)).await;
    assert_eq!((untyped.status.as_u16(), untyped.code()), (415, "BAD_USER_INPUT"));
}

async fn a_request_has_one_id(database: Database) {
    let app = TestApp::new(database).await;
    let long = "x".repeat(65);
    for (case, given, taken) in [
        ("a proxy's id", "req-1_2.3", true),
        ("as long as may be", &long[1..], true),
        ("too long", &long, false),
        ("what would break a log line", "a b", false),
        ("empty", "", false),
    ] {
        let answer = app.page("/healthz").header("x-request-id", given).send().await.unwrap();
        let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(id == given, taken, "{case}: {id}");
        assert!(!id.is_empty(), "{case}");
    }
    let [one, two] = [app.page("/healthz").send().await.unwrap(), app.page("/nothing").send().await.unwrap()];
    assert_ne!(one.headers()["x-request-id"], two.headers()["x-request-id"]);
}

async fn every_route_has_the_security_headers(database: Database) {
    let app = TestApp::new(database).await;
    for path in [
        "/",
        "/sign-in",
        "/style.css",
        "/graphiql",
        "/graphiql/nothing",
        "/schema.graphql",
        "/formats/jsonl.schema.json",
        "/graphql",
        "/healthz",
        "/readyz",
        "/health",
        "/files/asset_x",
        "/files/%ff?permit=read&expires=1&signature=x",
        "/sign-in?link=a&link=b",
        "/nothing",
    ] {
        let answer = app.page(path).send().await.unwrap();
        for (name, want) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(answer.headers().get(name).expect(path), want, "{path}: {name}");
        }
        let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
    }
}

async fn only_listed_origins_may_call(database: Database) {
    const LISTED: &str = "https://label.example";
    let app = TestApp::with(database, &[("ALLOWED_ORIGINS", "https://label.example, http://localhost:5173")]).await;
    let file = app.url("/files/asset_x");
    for (case, origin, want) in [
        ("listed", LISTED, Some(LISTED)),
        ("listed, with a port", "http://localhost:5173", Some("http://localhost:5173")),
        ("another", "https://evil.example", None),
        ("another port", "https://label.example:444", None),
        ("listed as a beginning", "https://label.example.evil.example", None),
        ("hidden", "null", None),
    ] {
        for (url, method) in [(app.url("/graphql"), "POST"), (file.clone(), "PUT")] {
            let preflight = app.http.request(Method::OPTIONS, url).header(header::ORIGIN, origin);
            let preflight = preflight
                .header(header::ACCESS_CONTROL_REQUEST_METHOD, method)
                .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization,content-type");
            let answer = preflight.send().await.unwrap();
            let header = |name: header::HeaderName| {
                answer.headers().get(name).map(|value| value.to_str().unwrap().to_lowercase())
            };
            assert_eq!(header(header::ACCESS_CONTROL_ALLOW_ORIGIN).as_deref(), want, "{case}: {method}");
            if want.is_some() {
                assert_eq!(header(header::ACCESS_CONTROL_ALLOW_CREDENTIALS).as_deref(), Some("true"), "{case}");
                let methods = header(header::ACCESS_CONTROL_ALLOW_METHODS).unwrap();
                assert!(methods.contains(&method.to_lowercase()), "{case}: {methods}");
                let headers = header(header::ACCESS_CONTROL_ALLOW_HEADERS).unwrap();
                assert!(headers.contains("authorization") && headers.contains("content-type"), "{case}: {headers}");
            }
        }
        let called = app.post_graphql(&json!({ "query": "{ __typename }" })).header(header::ORIGIN, origin);
        let called = called.send().await.unwrap();
        let allowed = called.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN).map(|value| value.to_str().unwrap());
        assert_eq!(allowed, want, "{case}");
        let vary: Vec<_> = called.headers().get_all(header::VARY).iter().map(|value| value.to_str().unwrap()).collect();
        assert!(vary.join(",").to_lowercase().contains("origin"), "{case}: {vary:?}");
    }
}

async fn without_a_list_no_other_origin_may_call(database: Database) {
    let app = TestApp::new(database).await;
    for origin in ["https://evil.example", "null", ""] {
        let called = app.post_graphql(&json!({ "query": "{ __typename }" })).header(header::ORIGIN, origin);
        let called = called.send().await.unwrap();
        assert!(!called.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), "{origin}");
    }
}

async fn long_answers_are_compressed(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let asset = app.upload(&project, "a.txt", "text/plain", &b"cells ".repeat(1_000)).await;
    let query = "query($id: ID!) { node(id: $id) { ... on Asset { url } } }";
    let file = project.manager.send(query, json!({ "id": asset })).await.text("node.url");
    let kinds = app.post_graphql(&json!({ "query": "{ annotationKinds { name schema } }" }));
    let file = app.http.get(file);
    for (case, request, accept, compressed) in [
        ("an answer of the API", kinds.try_clone().unwrap(), Some("gzip, deflate"), true),
        ("a page", app.page("/sign-in"), Some("gzip"), true),
        ("for a client that takes none", kinds, None, false),
        ("a file, whose ranges count its own bytes", file, Some("gzip"), false),
    ] {
        let request = match accept {
            Some(accept) => request.header(header::ACCEPT_ENCODING, accept),
            None => request,
        };
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{case}");
        let encoding = answer.headers().get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(encoding.as_deref(), compressed.then_some("gzip"), "{case}");
        assert_eq!(answer.bytes().await.unwrap().starts_with(b"\x1f\x8b"), compressed, "{case}");
    }
}

async fn what_is_not_served_has_the_shape_of_every_error(database: Database) {
    let app = TestApp::new(database).await;
    for (case, method, path, status, code, allow) in [
        ("no such page", Method::GET, "/nothing", 404, "NOT_FOUND", None),
        ("no such page to post to", Method::POST, "/graphql/x", 404, "NOT_FOUND", None),
        ("above the root", Method::GET, "/files/..%2f..%2fetc%2fpasswd", 403, "FORBIDDEN", None),
        ("a probe does not take bytes", Method::POST, "/healthz", 405, "BAD_USER_INPUT", Some("GET,HEAD")),
        ("a file is not deleted", Method::DELETE, "/files/asset_x", 405, "BAD_USER_INPUT", Some("GET,HEAD,PUT")),
        ("the API is not put", Method::PUT, "/graphql", 405, "BAD_USER_INPUT", Some("POST, GET")),
        ("two links", Method::GET, "/sign-in?link=a&link=b", 400, "BAD_USER_INPUT", None),
        (
            "a name that is no text",
            Method::GET,
            "/files/%ff?permit=read&expires=1&signature=x",
            400,
            "BAD_USER_INPUT",
            None,
        ),
    ] {
        let answer = read(app.http.request(method, app.url(path))).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{case}");
        assert!(!answer.message().is_empty(), "{case}");
        let allowed = answer.headers.get(header::ALLOW).map(|value| value.to_str().unwrap());
        assert_eq!(allowed, allow, "{case}");
    }
}
