//! Credentials that have ended and ways in that are closed. A request that carries an ended credential is answered 401,
//! whatever it asks.

use std::time::Duration;

use concord::service::{access_token, user};
use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::harness::{Answer, Database, Media, Person, Project, TestApp, on_both_databases};

on_both_databases![
    a_credential_that_has_ended_is_answered_401,
    a_header_that_is_no_bearer_token_is_bad_input,
    a_closed_way_in_stays_closed,
    somebody_who_guesses_has_to_wait,
];

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A project whose manager watches, and somebody with an account.
struct Scene {
    app: TestApp,
    project: Project,
    eve: Person,
}

impl Scene {
    async fn new(database: Database) -> Self {
        let app = TestApp::new(database).await;
        let project = app.project(&app.admin().await, Media::Text).await;
        let eve = app.person("eve").await;
        Self { app, project, eve }
    }

    /// The secret of a link for Eve that has not been used.
    async fn link(&self) -> String {
        let boss = &self.project.manager;
        let made = boss.mutate("createSignInLink", json!({ "userId": self.eve.id }), "url").await;
        made.text("createSignInLink.url").split_once("link=").unwrap().1.to_owned()
    }

    async fn sign_in(&self, input: Value) -> Answer {
        let document = "mutation($input: SignInInput!) { signIn(input: $input) { token user { id } } }";
        self.app.anonymous(document, json!({ "input": input })).await
    }

    async fn signed_in(&self) -> Person {
        let link = self.link().await;
        let token = self.sign_in(json!({ "link": link })).await.text("signIn.token");
        self.eve.with_token(&token)
    }

    async fn set_disabled(&self, disabled: bool) {
        let change = json!({ "userId": self.eve.id, "disabled": disabled });
        self.project.manager.mutate("updateUser", change, "user { id }").await.get("updateUser");
    }
}

async fn a_credential_that_has_ended_is_answered_401(database: Database) {
    let scene = Scene::new(database).await;
    let (expiring, revoked) = (scene.token(Some(1)).await, scene.token(None).await);
    let revoke = json!({ "tokenId": revoked.1 });
    scene.eve.mutate("revokeAccessToken", revoke, "token { id }").await.get("revokeAccessToken");
    let (idle, gone) = (scene.signed_in().await, scene.signed_in().await);
    assert_eq!(gone.mutate("signOut", json!({}), "ended").await.get("signOut.ended"), 1);
    let link = scene.link().await;
    scene.app.advance(2 * DAY);
    let watch = scene.project.watch().await;
    let refused = async |case: &str, person: &Person| {
        for query in ["{ viewer { id } }", "{ __typename }", "mutation { signOut(input: {}) { ended } }"] {
            let answer = person.send(query, json!({})).await;
            assert_eq!(answer.status, 401, "{case}: {query}");
            assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer error=\"invalid_token\"", "{case}");
            watch.refused(case, &answer, "UNAUTHENTICATED", "").await;
        }
    };
    let eve = &scene.eve;
    refused("an expired token", &eve.with_token(&expiring.0)).await;
    refused("a revoked token", &eve.with_token(&revoked.0)).await;
    refused("a login session nobody used", &idle).await;
    refused("a login session that was ended", &gone).await;
    refused("a sign-in link as token", &eve.with_token(&link)).await;
    refused("a token nobody made", &eve.with_token(&format!("cat_{}", "A".repeat(43)))).await;
    refused("a word as token", &eve.with_token("garbage")).await;
    refused("a token of 7,000 characters", &eve.with_token(&"x".repeat(7_000))).await;
    let session = scene.signed_in().await;
    assert_eq!(session.send("{ viewer { id } }", json!({})).await.text("viewer.id"), eve.id);
    scene.set_disabled(true).await;
    let watch = scene.project.watch().await;
    for (case, person) in [("a disabled user's token", eve), ("a disabled user's login session", &session)] {
        let answer = person.send("{ viewer { id } }", json!({})).await;
        assert_eq!(answer.status, 401, "{case}");
        watch.refused(case, &answer, "UNAUTHENTICATED", "").await;
    }
    scene.set_disabled(false).await;
    assert_eq!(eve.send("{ viewer { id } }", json!({})).await.text("viewer.id"), eve.id);
}

impl Scene {
    /// Another token of Eve's: its secret and its id.
    async fn token(&self, expires_in_days: Option<i32>) -> (String, String) {
        let input = json!({ "name": "other", "expiresInDays": expires_in_days });
        let made = self.eve.mutate("createAccessToken", input, "secret token { id }").await;
        (made.text("createAccessToken.secret"), made.text("createAccessToken.token.id"))
    }
}

async fn a_header_that_is_no_bearer_token_is_bad_input(database: Database) {
    let scene = Scene::new(database).await;
    let watch = scene.project.watch().await;
    let body = json!({ "query": "{ viewer { id } }" });
    for authorization in ["Basic ZXZlOnNlY3JldA==", "Bearer", "cat_something", ""] {
        let request = scene.app.http.request(Method::POST, scene.app.url("/graphql"));
        let request = request.header(header::AUTHORIZATION, authorization).json(&body);
        let answer = Answer::read(request.send().await.unwrap()).await;
        assert_eq!(answer.status, 400, "{authorization:?}");
        watch.refused(authorization, &answer, "BAD_USER_INPUT", "").await;
    }
}

async fn a_closed_way_in_stays_closed(database: Database) {
    let scene = Scene::new(database).await;
    let password = json!({ "userId": scene.eve.id, "password": "correct horse battery" });
    scene.eve.mutate("updateUser", password, "user { id }").await.get("updateUser");
    let (used, old) = (scene.link().await, scene.link().await);
    scene.sign_in(json!({ "link": used })).await.get("signIn");
    scene.app.advance(2 * DAY);
    let fresh = scene.link().await;
    scene.set_disabled(true).await;
    let watch = scene.project.watch().await;
    let with_password = |email: &str, password: &str| json!({ "password": { "email": email, "password": password } });
    for (case, input, code, field) in [
        ("a link used before", json!({ "link": used }), "UNAUTHENTICATED", ""),
        ("a link of the day before yesterday", json!({ "link": old }), "UNAUTHENTICATED", ""),
        ("a link nobody made", json!({ "link": "csl_garbage" }), "UNAUTHENTICATED", ""),
        ("a link with a NUL", json!({ "link": "\0" }), "UNAUTHENTICATED", ""),
        ("an access token as link", json!({ "link": scene.eve.token }), "UNAUTHENTICATED", ""),
        ("a disabled user's link", json!({ "link": fresh }), "UNAUTHENTICATED", ""),
        ("a disabled user's password", with_password(&scene.eve.email, "correct horse battery"), "UNAUTHENTICATED", ""),
        ("another password", with_password(&scene.eve.email, "wrong horse battery"), "UNAUTHENTICATED", ""),
        ("nobody's address", with_password("nobody@example.com", "correct horse battery"), "UNAUTHENTICATED", ""),
        ("a user without a password", with_password("boss@example.com", ""), "UNAUTHENTICATED", ""),
        ("no address", with_password("eve", "correct horse battery"), "BAD_USER_INPUT", "password.email"),
        (
            "an address with a NUL",
            with_password("e\0@example.com", "correct horse"),
            "BAD_USER_INPUT",
            "password.email",
        ),
        (
            "two ways at once",
            json!({ "link": fresh, "password": { "email": "a@b", "password": "x" } }),
            "BAD_USER_INPUT",
            "",
        ),
        ("no way", json!({}), "BAD_USER_INPUT", ""),
    ] {
        watch.refused(case, &scene.sign_in(input).await, code, field).await;
    }
    let link = scene.project.manager.mutate("createSignInLink", json!({ "userId": scene.eve.id }), "url").await;
    watch.refused("a link for a disabled user", &link, "INVALID_TRANSITION", "userId").await;
    scene.set_disabled(false).await;
    let back = scene.sign_in(json!({ "link": fresh })).await;
    assert_eq!(back.text("signIn.user.id"), scene.eve.id, "a refused attempt has not used the link up");
}

async fn somebody_who_guesses_has_to_wait(database: Database) {
    let scene = Scene::new(database).await;
    let app = scene.app.use_cases();
    let new = user::CreateUser {
        email: "kim@example.com".to_owned(),
        name: "Kim".to_owned(),
        admin: false,
        password: Some("correct horse battery".to_owned()),
    };
    let kim = user::create_unchecked(app, new).await.unwrap();
    let watch = scene.project.watch().await;
    let attempt = |password: &str| json!({ "password": { "email": kim.email, "password": password } });
    for guess in 1..=20 {
        let answer = scene.sign_in(attempt("wrong horse battery")).await;
        if guess > 5 && answer.code() == "RATE_LIMITED" {
            let wait_ms = answer.body["errors"][0]["extensions"]["retryAfterMs"].as_u64().unwrap();
            if wait_ms > 10_000 {
                break;
            }
            // What has to be waited for doubles, until no slow machine lets it pass unnoticed.
            scene.app.advance(Duration::from_millis(wait_ms));
            continue;
        }
        watch.refused(&format!("guess {guess}"), &answer, "UNAUTHENTICATED", "").await;
    }
    let answer = scene.sign_in(attempt("correct horse battery")).await;
    watch.refused("right, but too soon", &answer, "RATE_LIMITED", "").await;
    scene.app.advance(Duration::from_secs(60 * 60));
    scene.sign_in(attempt("correct horse battery")).await.get("signIn.token");
    // So many tokens, and no more.
    for n in 0..100 {
        access_token::create_for(app, &kim, &n.to_string(), None).await.unwrap();
    }
    let token = scene.sign_in(attempt("correct horse battery")).await.text("signIn.token");
    let answer = scene.eve.with_token(&token).mutate("createAccessToken", json!({ "name": "101" }), "secret").await;
    watch.refused("the 101st access token", &answer, "LIMIT_EXCEEDED", "name").await;
}
