//! Tokens for programs: made, listed, used, ended.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Answer, Database, Person, TestApp, on_both_databases};

on_both_databases![
    a_token_is_shown_once_and_works_as_bearer,
    tokens_are_listed_to_their_owner_with_their_last_use,
    using_a_token_writes_at_most_once_a_minute,
    a_token_ends_in_its_time,
    a_revoked_token_is_out_at_once,
    a_token_takes_a_name_and_a_sensible_end,
    what_is_no_token_opens_nothing,
];

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Person {
    async fn make_token(&self, name: &str, days: Option<i32>) -> Answer {
        let input = json!({ "name": name, "expiresInDays": days });
        self.mutate("createAccessToken", input, "secret token { id name createdAt expiresAt lastUsedAt }").await
    }

    async fn tokens(&self) -> Vec<Value> {
        let query = "{ viewer { accessTokens { id name createdAt expiresAt lastUsedAt } } }";
        self.send(query, json!({})).await.get("viewer.accessTokens").as_array().unwrap().clone()
    }
}

async fn a_token_is_shown_once_and_works_as_bearer(database: Database) {
    let app = TestApp::new(database).await;
    let ana = app.person("ana").await;
    let made = ana.make_token(" nightly export ", Some(7)).await;
    assert_eq!(made.get("createAccessToken.token.name"), "nightly export");
    let secret = made.text("createAccessToken.secret");
    assert_eq!(ana.with_token(&secret).whoami().await.get("viewer.id"), &json!(ana.id));
    let lowercase = app.http.post(app.url("/graphql")).header("authorization", format!("bearer {secret}"));
    let answer = lowercase.json(&json!({ "query": "{ viewer { id } }" })).send().await.unwrap();
    assert_eq!(Answer::read(answer).await.get("viewer.id"), &json!(ana.id), "the scheme's case does not matter");
    let listed = serde_json::to_string(&ana.tokens().await).unwrap();
    assert!(listed.contains("nightly export") && !listed.contains(&secret), "{listed}");
}

async fn tokens_are_listed_to_their_owner_with_their_last_use(database: Database) {
    let app = TestApp::new(database).await;
    let (boss, ana) = (app.admin().await, app.person("ana").await);
    let made = ana.make_token("export", Some(30)).await;
    let token = made.get("createAccessToken.token").clone();
    assert_eq!(token["lastUsedAt"], Value::Null);
    let [first, second] = ana.tokens().await.try_into().expect("the one of the test's start, and this one");
    assert_eq!((&first["name"], &first["expiresAt"]), (&json!("test"), &Value::Null));
    assert_eq!(second, token, "oldest first");
    let days = [&token["createdAt"], &token["expiresAt"]].map(|time| time.as_str().unwrap().parse().unwrap());
    let [created, expires]: [chrono::DateTime<chrono::Utc>; 2] = days;
    let off = (expires - created - chrono::TimeDelta::days(30)).abs();
    assert!(off < chrono::TimeDelta::seconds(1), "{off}");
    ana.with_token(&made.text("createAccessToken.secret")).whoami().await.get("viewer.id");
    let used = ana.tokens().await[1]["lastUsedAt"].clone();
    assert!(used.as_str() >= token["createdAt"].as_str(), "{used}");
    let query = "query($id: ID!) { node(id: $id) { ... on User { name accessTokens { id } } } }";
    let seen = boss.send(query, json!({ "id": ana.id })).await;
    assert_eq!(seen.get("node"), &json!({ "name": "ana", "accessTokens": [] }), "not even admins see others'");
}

async fn using_a_token_writes_at_most_once_a_minute(database: Database) {
    let app = TestApp::new(database).await;
    let ana = app.person("ana").await;
    for (case, later, want) in [
        ("the first use", Duration::ZERO, 2),
        ("again at once", Duration::ZERO, 1),
        ("half a minute later", Duration::from_secs(30), 1),
        ("a minute later", Duration::from_secs(61), 2),
    ] {
        app.advance(later);
        let before = app.statements();
        ana.whoami().await.get("viewer.id");
        assert_eq!(app.statements() - before, want, "{case}");
    }
}

async fn a_token_ends_in_its_time(database: Database) {
    let app = TestApp::new(database).await;
    let ana = app.person("ana").await;
    let token = ana.with_token(&ana.make_token("export", Some(2)).await.text("createAccessToken.secret"));
    app.advance(2 * DAY - Duration::from_secs(60));
    token.whoami().await.get("viewer.id");
    app.advance(Duration::from_secs(61));
    let ended = token.whoami().await;
    ended.assert_error("UNAUTHENTICATED", "");
    assert_eq!(ended.status, 401);
    assert_eq!(ana.tokens().await.len(), 1, "an ended token is listed no more");
    app.advance(5_000 * DAY);
    ana.whoami().await.get("viewer.id");
}

async fn a_revoked_token_is_out_at_once(database: Database) {
    let app = TestApp::new(database).await;
    let (ana, ben) = (app.person("ana").await, app.person("ben").await);
    let made = ana.make_token("export", None).await;
    let token = ana.with_token(&made.text("createAccessToken.secret"));
    let revoke = json!({ "tokenId": made.get("createAccessToken.token.id") });
    ben.mutate("revokeAccessToken", revoke.clone(), "token { id }").await.assert_error("NOT_FOUND", "tokenId");
    token.whoami().await.get("viewer.id");
    for case in ["revoked", "revoked again"] {
        let answer = ana.mutate("revokeAccessToken", revoke.clone(), "token { id name }").await;
        assert_eq!(answer.get("revokeAccessToken.token.name"), "export", "{case}");
        assert_eq!(token.whoami().await.code(), "UNAUTHENTICATED", "{case}");
    }
    assert_eq!(ana.tokens().await.len(), 1);
}

async fn a_token_takes_a_name_and_a_sensible_end(database: Database) {
    let app = TestApp::new(database).await;
    let ana = app.person("ana").await;
    let long = "x".repeat(201);
    for (case, name, days, field) in [
        ("no name", " ", None, "name"),
        ("a long name", long.as_str(), None, "name"),
        ("a name over two lines", "a\nb", None, "name"),
        ("no day", "export", Some(0), "expiresInDays"),
        ("a day too many", "export", Some(3_651), "expiresInDays"),
    ] {
        let refused = ana.make_token(name, days).await;
        assert_eq!((refused.code(), refused.field()), ("BAD_USER_INPUT", field), "{case}");
    }
    for _ in 1..100 {
        ana.make_token("export", None).await.get("createAccessToken.token.id");
    }
    ana.make_token("export", None).await.assert_error("LIMIT_EXCEEDED", "name");
}

async fn what_is_no_token_opens_nothing(database: Database) {
    let app = TestApp::new(database).await;
    let ana = app.person("ana").await;
    let long = format!("cat_{}", "x".repeat(300));
    let cut = &ana.token[..ana.token.len() - 1];
    for (case, header, status) in [
        ("invented", "Bearer cat_invented".to_owned(), 401),
        ("long", format!("Bearer {long}"), 401),
        ("cut short", format!("Bearer {cut}"), 401),
        ("empty", "Bearer ".to_owned(), 400),
        ("of no kind", "Bearer x".to_owned(), 401),
        ("another scheme", format!("Basic {}", ana.token), 400),
        ("no scheme", ana.token.clone(), 400),
    ] {
        let request = app.http.post(app.url("/graphql")).header("authorization", header);
        let answer = request.json(&json!({ "query": "{ viewer { id } }" })).send().await.unwrap();
        assert_eq!(answer.status(), status, "{case}");
    }
    let nobody = app.anonymous("{ viewer { id } }", json!({})).await;
    nobody.assert_error("UNAUTHENTICATED", "");
    assert_eq!(nobody.status, 200, "without a credential a request is understood");
}
