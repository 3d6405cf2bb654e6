//! Coming in and going out: links, passwords, login sessions.

use std::time::Duration;

use reqwest::{Response, header};
use serde_json::json;

use crate::harness::{Answer, Database, Person, TestApp, link_secret, on_both_databases};

on_both_databases![
    the_first_start_prints_a_link_that_signs_a_browser_in_once,
    a_link_signs_in_once_by_the_api,
    opening_a_link_does_not_use_it_up,
    a_link_ends_after_a_day,
    only_admins_make_links_for_others,
    behind_https_the_cookie_is_secure,
    the_form_refuses_what_other_sites_send,
    the_form_says_what_is_wrong,
    a_wrong_password_and_an_unknown_account_answer_the_same,
    failures_slow_an_account_down_until_time_passes,
    a_success_forgets_the_failures,
    a_success_of_ones_own_does_not_make_an_address_innocent,
    a_session_that_is_used_lives_on,
    a_session_unused_for_half_an_hour_ends,
    using_a_session_writes_at_most_once_a_minute,
    signing_out_ends_this_session_or_all,
    an_ended_cookie_is_taken_back,
];

const PASSWORD: &str = "correct horse battery";
const MINUTE: Duration = Duration::from_secs(60);

impl TestApp {
    /// Sends the form of the sign-in page as a browser does.
    async fn send_form(&self, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Response {
        let url = format!("http://{}/sign-in", self.running.address);
        let body = serde_urlencoded::to_string(fields).unwrap();
        let mut request =
            self.http.post(url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// Somebody with a password.
    async fn with_password(&self, name: &str) -> Person {
        let person = self.person(name).await;
        let change = json!({ "userId": person.id, "password": PASSWORD });
        person.mutate("updateUser", change, "user { id }").await.get("updateUser.user");
        person
    }
}

impl Person {
    async fn sign_out(&self, everywhere: bool) -> Answer {
        self.mutate("signOut", json!({ "everywhere": everywhere }), "ended").await
    }
}

async fn the_first_start_prints_a_link_that_signs_a_browser_in_once(database: Database) {
    let app = TestApp::new(database).await;
    let link = app.first_link.clone().expect("the first start makes a link");
    let page = app.http.get(&link).send().await.unwrap().text().await.unwrap();
    assert!(page.contains(&format!("name=\"link\" value=\"{}\"", link_secret(&link))), "{page}");
    let form = [("link", link_secret(&link))];
    let entered = app.send_form(&form, &[("sec-fetch-site", "same-origin")]).await;
    assert_eq!(entered.status(), 303);
    assert_eq!(entered.headers()[header::LOCATION], "/graphiql");
    let cookie = entered.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax", "gone with the browser, out of reach of scripts");
    let body = json!({ "query": "{ viewer { name email admin } }" });
    let seen = app.http.post(app.url("/graphql")).header(header::COOKIE, pair).json(&body).send().await.unwrap();
    let want = json!({ "name": "Admin", "email": "admin@localhost", "admin": true });
    assert_eq!(Answer::read(seen).await.get("viewer"), &want);
    let front = app.http.get(app.url("/")).header(header::COOKIE, pair).send().await.unwrap().text().await.unwrap();
    assert!(front.contains("signed in as <strong>Admin</strong>"), "{front}");
    let again = app.send_form(&form, &[]).await;
    assert_eq!(again.status(), 401);
    assert!(!again.headers().contains_key(header::SET_COOKIE));
}

async fn a_link_signs_in_once_by_the_api(database: Database) {
    let app = TestApp::new(database).await;
    let link = app.first_link.clone().expect("the first start makes a link");
    let input = json!({ "link": link_secret(&link) });
    let entered = app.sign_in(input.clone()).await;
    assert_eq!(entered.get("signIn.user.email"), "admin@localhost", "signed in, one sees oneself");
    let admin = app.person("ana").await.with_token(&entered.text("signIn.token"));
    assert_eq!(admin.whoami().await.get("viewer.id"), entered.get("signIn.user.id"));
    app.sign_in(input).await.assert_error("UNAUTHENTICATED", "");
    for (case, link) in
        [("nothing", ""), ("invented", "csl_invented"), ("a session", entered.get("signIn.token").as_str().unwrap())]
    {
        let refused = app.sign_in(json!({ "link": link })).await;
        assert_eq!(refused.code(), "UNAUTHENTICATED", "{case}");
    }
}

async fn opening_a_link_does_not_use_it_up(database: Database) {
    let app = TestApp::new(database).await;
    let link = app.first_link.clone().expect("the first start makes a link");
    for _ in 0..2 {
        let page = app.http.get(&link).send().await.unwrap();
        assert_eq!(page.status(), 200);
        assert!(!page.headers().contains_key(header::SET_COOKIE));
        assert_eq!(page.headers()[header::CACHE_CONTROL], "no-store");
    }
    app.sign_in_by_link(&link).await.get("signIn.token");
}

async fn a_link_ends_after_a_day(database: Database) {
    let app = TestApp::new(database).await;
    let (boss, ana) = (app.admin().await, app.person("ana").await);
    let [first, second] = [boss.link_for(&ana).await, boss.link_for(&ana).await];
    app.advance(24 * 60 * MINUTE - MINUTE);
    let link = first.text("createSignInLink.url");
    app.sign_in_by_link(&link).await.get("signIn.token");
    app.advance(2 * MINUTE);
    let link = second.text("createSignInLink.url");
    app.sign_in_by_link(&link).await.assert_error("UNAUTHENTICATED", "");
}

async fn only_admins_make_links_for_others(database: Database) {
    let app = TestApp::new(database).await;
    let (boss, ana, ben) = (app.admin().await, app.person("ana").await, app.person("ben").await);
    ana.link_for(&ben).await.assert_error("FORBIDDEN", "");
    ana.link_for(&ana).await.assert_error("FORBIDDEN", "");
    let made = boss.link_for(&ben).await;
    assert!(made.text("createSignInLink.url").starts_with(&app.url("/sign-in?link=")), "{:#}", made.body);
    let link = made.text("createSignInLink.url");
    assert_eq!(app.sign_in_by_link(&link).await.get("signIn.user.id"), &json!(ben.id));
}

async fn behind_https_the_cookie_is_secure(database: Database) {
    let app = TestApp::with(database, &[("PUBLIC_URL", "https://label.example/")]).await;
    let link = app.first_link.clone().expect("the first start makes a link");
    assert!(link.starts_with("https://label.example/sign-in?link="), "{link}");
    // The proxy sends its own name for this server as Host; the browser's Origin is the public one.
    let entered = app.send_form(&[("link", link_secret(&link))], &[("origin", "https://label.example")]).await;
    let cookie = entered.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.ends_with("; Secure"), "{cookie}");
}

async fn the_form_refuses_what_other_sites_send(database: Database) {
    let app = TestApp::new(database).await;
    let link = app.first_link.clone().expect("the first start makes a link");
    let here = app.url("");
    let port = format!("http://127.0.0.1:{}", app.running.address.port() ^ 1);
    let form = [("link", link_secret(&link))];
    for (case, headers) in [
        ("another site", vec![("sec-fetch-site", "cross-site")]),
        ("a sibling domain", vec![("sec-fetch-site", "same-site")]),
        ("an old browser, another site", vec![("origin", "https://evil.example")]),
        ("an old browser, another port", vec![("origin", port.as_str())]),
        ("a hidden origin", vec![("origin", "null")]),
        ("the public name as a beginning", vec![("origin", "http:")]),
        ("another site with our origin", vec![("sec-fetch-site", "cross-site"), ("origin", here.as_str())]),
    ] {
        let refused = Answer::read(app.send_form(&form, &headers).await).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (403, "FORBIDDEN"), "{case}");
        assert!(!refused.headers.contains_key(header::SET_COOKIE), "{case}");
    }
    let page = app.http.get(app.url("/sign-in")).send().await.unwrap();
    // Under `no-referrer` browsers send `Origin: null` with the page's own form.
    assert_eq!(page.headers()[header::REFERRER_POLICY], "same-origin");
    assert_eq!(app.send_form(&form, &[("origin", &here)]).await.status(), 303, "the link is still unused");
}

async fn the_form_says_what_is_wrong(database: Database) {
    let app = TestApp::new(database).await;
    let ana = app.with_password("ana").await;
    for (case, fields, status) in [
        ("a wrong password", vec![("email", ana.email.as_str()), ("password", "wrong")], 401),
        ("no password", vec![("email", ana.email.as_str())], 400),
        ("nothing", vec![], 400),
        ("a link and its markup", vec![("link", "\"><script>")], 401),
    ] {
        let page = app.send_form(&fields, &[]).await;
        assert_eq!(page.status(), status, "{case}");
        assert!(!page.headers().contains_key(header::SET_COOKIE), "{case}");
        let page = page.text().await.unwrap();
        assert!(page.contains("<p role=\"alert\">") && page.contains("name=\"password\""), "{case}: {page}");
        assert!(!page.contains("<script>"), "{case}");
    }
    let entered = app.send_form(&[("email", &ana.email), ("password", PASSWORD)], &[]).await;
    assert_eq!(entered.status(), 303);
    let json = app.http.post(app.url("/sign-in")).json(&json!({ "link": "x" })).send().await.unwrap();
    let refused = Answer::read(json).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (415, "BAD_USER_INPUT"));
    let open = format!("{}?link=%22%3E%3Cscript%3E", app.url("/sign-in"));
    let page = app.http.get(open).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("value=\"&quot;&gt;&lt;script&gt;\""), "{page}");
}

async fn a_wrong_password_and_an_unknown_account_answer_the_same(database: Database) {
    let app = TestApp::new(database).await;
    let ana = app.with_password("ana").await;
    let entered = app.sign_in_by_password(" ANA@Example.com ", PASSWORD).await;
    assert_eq!(entered.get("signIn.user.id"), &json!(ana.id), "case and spaces of the address do not matter");
    let ben = app.person("ben").await;
    let wrong = app.sign_in_by_password(&ana.email, "wrong horse battery").await;
    wrong.assert_error("UNAUTHENTICATED", "");
    for (case, email, password) in [
        ("an unknown account", "nobody@example.com", PASSWORD),
        ("an account without a password", ben.email.as_str(), PASSWORD),
        ("an empty password", ana.email.as_str(), ""),
    ] {
        let refused = app.sign_in_by_password(email, password).await;
        assert_eq!((refused.status, &refused.body), (wrong.status, &wrong.body), "{case}");
    }
}

/// Fails until the account is slowed; gives the failures it took and the milliseconds to wait.
async fn fail_until_slowed(app: &TestApp, email: &str) -> (usize, u64) {
    // A slow machine may sit out the first, short waits while it checks a password.
    for failures in 0..15 {
        let refused = app.sign_in_by_password(email, "wrong horse battery").await;
        if refused.code() == "RATE_LIMITED" {
            let extensions = &refused.body["errors"][0]["extensions"];
            assert_eq!(extensions["retryable"], true);
            return (failures, extensions["retryAfterMs"].as_u64().unwrap());
        }
        refused.assert_error("UNAUTHENTICATED", "");
    }
    panic!("{email} is never slowed");
}

async fn failures_slow_an_account_down_until_time_passes(database: Database) {
    let app = TestApp::new(database).await;
    let (ana, ben) = (app.with_password("ana").await, app.with_password("ben").await);
    let (failures, mut wait_ms) = fail_until_slowed(&app, &ana.email).await;
    assert!(failures >= 5, "only {failures} are free");
    for round in 0..3 {
        app.advance(Duration::from_millis(wait_ms));
        let (failures, longer_ms) = fail_until_slowed(&app, &ana.email).await;
        assert!(failures >= 1, "round {round}: the wait is over");
        assert!(longer_ms > wait_ms, "round {round}: {longer_ms} after {wait_ms}");
        wait_ms = longer_ms;
    }
    let right = app.sign_in_by_password(&ana.email, PASSWORD).await;
    assert_eq!(right.code(), "RATE_LIMITED", "the right password has to wait as well");
    fail_until_slowed(&app, "nobody@example.com").await;
    app.sign_in_by_password(&ben.email, PASSWORD).await.get("signIn.token");
    app.advance(Duration::from_millis(wait_ms));
    app.sign_in_by_password(&ana.email, PASSWORD).await.get("signIn.token");
}

async fn a_success_forgets_the_failures(database: Database) {
    let app = TestApp::new(database).await;
    let ana = app.with_password("ana").await;
    for round in 0..3 {
        for _ in 0..4 {
            let refused = app.sign_in_by_password(&ana.email, "wrong horse battery").await;
            assert_eq!(refused.code(), "UNAUTHENTICATED", "round {round}");
        }
        app.sign_in_by_password(&ana.email, PASSWORD).await.get("signIn.token");
    }
}

async fn a_success_of_ones_own_does_not_make_an_address_innocent(database: Database) {
    let app = TestApp::new(database).await;
    let eve = app.with_password("eve").await;
    let guess = async |n: i32| app.sign_in_by_password(&format!("somebody{n}@example.com"), "a mere guess").await;
    for n in 0..49 {
        assert_eq!(guess(n).await.code(), "UNAUTHENTICATED", "guess {n}");
    }
    app.sign_in_by_password(&eve.email, PASSWORD).await.get("signIn.token");
    assert_eq!(guess(49).await.code(), "UNAUTHENTICATED", "the last free guess");
    // Each wait is twice the one before: a machine that is slow at hashing meets a later one.
    let mut limited = false;
    for n in 50..58 {
        limited = limited || guess(n).await.code() == "RATE_LIMITED";
    }
    assert!(limited, "the address is slowed");
}

async fn a_session_that_is_used_lives_on(database: Database) {
    let app = TestApp::new(database).await;
    let ana = app.signed_in(&app.admin().await, &app.person("ana").await).await;
    for hour in 0..3 {
        for _ in 0..3 {
            app.advance(20 * MINUTE);
            assert_eq!(ana.whoami().await.get("viewer.id"), &json!(ana.id), "hour {hour}");
        }
    }
}

async fn a_session_unused_for_half_an_hour_ends(database: Database) {
    let app = TestApp::new(database).await;
    let ana = app.signed_in(&app.admin().await, &app.person("ana").await).await;
    app.advance(29 * MINUTE);
    ana.whoami().await.get("viewer.id");
    app.advance(31 * MINUTE);
    let ended = ana.whoami().await;
    ended.assert_error("UNAUTHENTICATED", "");
    assert_eq!(ended.status, 401);
    assert_eq!(ended.headers[header::WWW_AUTHENTICATE], "Bearer error=\"invalid_token\"");
}

async fn using_a_session_writes_at_most_once_a_minute(database: Database) {
    let app = TestApp::new(database).await;
    let ana = app.signed_in(&app.admin().await, &app.person("ana").await).await;
    for (case, later, want) in [
        ("right after signing in", Duration::ZERO, 1),
        ("within the minute", MINUTE / 4, 1),
        ("a minute later", MINUTE, 2),
        ("again at once", Duration::ZERO, 1),
        ("the next minute", MINUTE + MINUTE / 60, 2),
    ] {
        app.advance(later);
        let before = app.statements();
        ana.whoami().await.get("viewer.id");
        assert_eq!(app.statements() - before, want, "{case}");
    }
}

async fn an_ended_cookie_is_taken_back(database: Database) {
    let app = TestApp::new(database).await;
    let (boss, ana) = (app.admin().await, app.person("ana").await);
    let session = app.signed_in(&boss, &ana).await;
    let ask = async || {
        let request = app.http.post(app.url("/graphql")).json(&json!({ "query": "{ viewer { id } }" }));
        request.header(header::COOKIE, format!("concord_session={}", session.token)).send().await.unwrap()
    };
    assert_eq!(ask().await.status(), 200);
    session.sign_out(false).await.get("signOut.ended");
    let refused = ask().await;
    assert_eq!(refused.status(), 401);
    let cookie = refused.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("concord_session=;") && cookie.contains("Max-Age=0"), "{cookie}");
}

async fn signing_out_ends_this_session_or_all(database: Database) {
    let app = TestApp::new(database).await;
    let (boss, ana) = (app.admin().await, app.person("ana").await);
    let ben = app.signed_in(&boss, &app.person("ben").await).await;
    let [desk, phone, train] =
        [app.signed_in(&boss, &ana).await, app.signed_in(&boss, &ana).await, app.signed_in(&boss, &ana).await];
    assert_eq!(desk.sign_out(false).await.get("signOut.ended"), 1);
    desk.whoami().await.assert_error("UNAUTHENTICATED", "");
    phone.whoami().await.get("viewer.id");
    assert_eq!(ana.sign_out(false).await.get("signOut.ended"), 0, "an access token is revoked, not signed out");
    assert_eq!(phone.sign_out(true).await.get("signOut.ended"), 2);
    for (case, session) in [("the phone", &phone), ("the train", &train)] {
        assert_eq!(session.whoami().await.code(), "UNAUTHENTICATED", "{case}");
    }
    ana.whoami().await.get("viewer.id");
    ben.whoami().await.get("viewer.id");
}
