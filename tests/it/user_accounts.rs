//! People's accounts: who makes and changes them, who sees what of whom.

use serde_json::{Value, json};

use crate::harness::{Answer, Database, Media, Person, TestApp, on_both_databases};

on_both_databases![
    admins_make_users_with_an_address_of_their_own,
    people_change_their_own_name_and_password_only,
    admins_change_everybody_but_do_not_lock_themselves_out,
    a_disabled_user_is_out_at_once_with_every_credential,
    a_new_password_ends_the_other_sessions,
    users_are_listed_to_admins_only,
    an_address_is_seen_by_oneself_by_managers_and_by_admins,
];

const PASSWORD: &str = "correct horse battery";
impl Person {
    async fn update_user(&self, who: &Person, change: Value) -> Answer {
        let mut input = json!({ "userId": who.id });
        input.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        self.mutate("updateUser", input, "user { id name admin disabled }").await
    }

    async fn sees_address_of(&self, who: &Person) -> Value {
        let query = "query($id: ID!) { node(id: $id) { ... on User { email } } }";
        self.send(query, json!({ "id": who.id })).await.get("node").clone()
    }
}

async fn admins_make_users_with_an_address_of_their_own(database: Database) {
    let app = TestApp::new(database).await;
    let (boss, ana) = (app.admin().await, app.person("ana").await);
    let selection = "user { id name email admin disabled }";
    let new = json!({ "email": " Eva@Example.com ", "name": " Eva ", "password": PASSWORD });
    ana.mutate("createUser", new.clone(), selection).await.assert_error("FORBIDDEN", "");
    let made = boss.mutate("createUser", new.clone(), selection).await;
    for (field, want) in [
        ("email", json!("eva@example.com")),
        ("name", json!("Eva")),
        ("admin", json!(false)),
        ("disabled", json!(false)),
    ] {
        assert_eq!(made.get("createUser.user")[field], want, "{field}");
    }
    app.sign_in_by_password("eva@example.com", PASSWORD).await.get("signIn.token");
    boss.mutate("createUser", new, selection).await.assert_error("BAD_USER_INPUT", "email");
    for (case, change, field) in [
        ("no address", json!({ "email": "eva" }), "email"),
        ("two addresses", json!({ "email": "a@b@c" }), "email"),
        ("no name", json!({ "name": "" }), "name"),
        ("a short password", json!({ "password": "short" }), "password"),
        ("an endless password", json!({ "password": "x".repeat(201) }), "password"),
    ] {
        let mut new = json!({ "email": "max@example.com", "name": "Max" });
        new.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let refused = boss.mutate("createUser", new, selection).await;
        assert_eq!((refused.code(), refused.field()), ("BAD_USER_INPUT", field), "{case}");
    }
    let new = json!({ "email": "max@example.com", "name": "Max", "admin": true });
    let made = boss.mutate("createUser", new, selection).await;
    assert_eq!(made.get("createUser.user.admin"), true);
}

async fn people_change_their_own_name_and_password_only(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let (ana, ben, eva) = (app.person("ana").await, app.person("ben").await, app.person("eva").await);
    project.set_member(&ana, json!("MANAGER")).await.get("setMember");
    project.set_member(&ben, json!("VIEWER")).await.get("setMember");
    assert_eq!(ana.update_user(&ana, json!({ "name": " Ana B. " })).await.get("updateUser.user.name"), "Ana B.");
    ana.update_user(&ana, json!({ "password": PASSWORD })).await.get("updateUser.user");
    app.sign_in_by_password(&ana.email, PASSWORD).await.get("signIn.token");
    for (case, who, change, code, field) in [
        ("own rights", &ana, json!({ "admin": true }), "FORBIDDEN", ""),
        ("rights one does not have", &ana, json!({ "admin": false }), "FORBIDDEN", ""),
        ("own account", &ana, json!({ "disabled": true }), "FORBIDDEN", ""),
        ("a member's name", &ben, json!({ "name": "Benjamin" }), "FORBIDDEN", ""),
        ("a member's password", &ben, json!({ "password": PASSWORD }), "FORBIDDEN", ""),
        ("a stranger", &eva, json!({ "name": "Eve" }), "NOT_FOUND", "userId"),
        ("no name", &ana, json!({ "name": " " }), "BAD_USER_INPUT", "name"),
        ("a short password", &ana, json!({ "password": "short" }), "BAD_USER_INPUT", "password"),
    ] {
        let refused = ana.update_user(who, change).await;
        assert_eq!((refused.code(), refused.field()), (code, field), "{case}");
    }
    for (case, who, name) in [("ana", &ana, "Ana B."), ("ben", &ben, "ben"), ("eva", &eva, "eva")] {
        let want = json!({ "id": who.id, "name": name, "admin": false, "disabled": false });
        assert_eq!(who.whoami().await.get("viewer"), &want, "{case} is as before");
    }
}

async fn admins_change_everybody_but_do_not_lock_themselves_out(database: Database) {
    let app = TestApp::new(database).await;
    let (boss, ana) = (app.admin().await, app.person("ana").await);
    let changed = boss.update_user(&ana, json!({ "name": "Ana", "admin": true })).await;
    let want = json!({ "id": ana.id, "name": "Ana", "admin": true, "disabled": false });
    assert_eq!(changed.get("updateUser.user"), &want);
    boss.update_user(&boss, json!({ "admin": false })).await.assert_error("INVALID_TRANSITION", "admin");
    boss.update_user(&boss, json!({ "disabled": true })).await.assert_error("INVALID_TRANSITION", "disabled");
    boss.update_user(&boss, json!({ "admin": true, "disabled": false, "name": "Boss" })).await.get("updateUser.user");
    assert_eq!(ana.update_user(&boss, json!({ "admin": false })).await.get("updateUser.user.admin"), false);
    boss.update_user(&ana, json!({ "name": "Anna" })).await.assert_error("NOT_FOUND", "userId");
}

async fn a_disabled_user_is_out_at_once_with_every_credential(database: Database) {
    let app = TestApp::new(database).await;
    let (boss, ana) = (app.admin().await, app.person("ana").await);
    ana.update_user(&ana, json!({ "password": PASSWORD })).await.get("updateUser.user");
    let links = [
        boss.link_for(&ana).await.text("createSignInLink.url"),
        boss.link_for(&ana).await.text("createSignInLink.url"),
    ];
    let token = app.sign_in_by_link(&links[0]).await.text("signIn.token");
    let session = ana.with_token(&token);
    let cookie = || async {
        let request = app.http.post(app.url("/graphql")).header("cookie", format!("concord_session={token}"));
        Answer::read(request.json(&json!({ "query": "{ viewer { id } }" })).send().await.unwrap()).await
    };
    cookie().await.get("viewer.id");
    assert_eq!(boss.update_user(&ana, json!({ "disabled": true })).await.get("updateUser.user.disabled"), true);
    for (case, answer) in [
        ("access token", ana.whoami().await),
        ("session", session.whoami().await),
        ("cookie", cookie().await),
        ("password", app.sign_in_by_password(&ana.email, PASSWORD).await),
        ("link", app.sign_in_by_link(&links[1]).await),
    ] {
        assert_eq!(answer.code(), "UNAUTHENTICATED", "{case}: {:#}", answer.body);
    }
    boss.link_for(&ana).await.assert_error("INVALID_TRANSITION", "userId");
    boss.update_user(&ana, json!({ "disabled": false })).await.get("updateUser.user");
    ana.whoami().await.get("viewer.id");
    session.whoami().await.assert_error("UNAUTHENTICATED", "");
    app.sign_in_by_link(&links[1]).await.get("signIn.token");
}

async fn a_new_password_ends_the_other_sessions(database: Database) {
    let app = TestApp::new(database).await;
    let (boss, ana) = (app.admin().await, app.person("ana").await);
    let session = app.signed_in(&boss, &ana).await;
    let elsewhere = app.signed_in(&boss, &ana).await;
    session.update_user(&ana, json!({ "password": "my own new password" })).await.get("updateUser.user");
    session.whoami().await.get("viewer.id");
    elsewhere.whoami().await.assert_error("UNAUTHENTICATED", "");
    boss.update_user(&ana, json!({ "password": PASSWORD })).await.get("updateUser.user");
    session.whoami().await.assert_error("UNAUTHENTICATED", "");
    ana.whoami().await.get("viewer.id");
    app.sign_in_by_password(&ana.email, "my own new password").await.assert_error("UNAUTHENTICATED", "");
    app.sign_in_by_password(&ana.email, PASSWORD).await.get("signIn.token");
}

async fn users_are_listed_to_admins_only(database: Database) {
    let app = TestApp::new(database).await;
    let (boss, ana) = (app.admin().await, app.person("ana").await);
    let query = "query($after: String) { users(first: 2, after: $after) { totalCount nodes { name email admin } pageInfo { hasNextPage endCursor } } }";
    ana.send(query, json!({})).await.assert_error("FORBIDDEN", "");
    app.anonymous(query, json!({})).await.assert_error("UNAUTHENTICATED", "");
    let first = boss.send(query, json!({})).await;
    assert_eq!(first.get("users.totalCount"), 3);
    assert_eq!(first.get("users.pageInfo.hasNextPage"), true);
    let second = boss.send(query, json!({ "after": first.get("users.pageInfo.endCursor") })).await;
    let pages = [first.get("users.nodes"), second.get("users.nodes")];
    let names: Vec<&str> =
        pages.iter().flat_map(|nodes| nodes.as_array().unwrap()).map(|user| user["email"].as_str().unwrap()).collect();
    assert_eq!(names, ["admin@localhost", "boss@example.com", "ana@example.com"], "in the order they were made");
}

async fn an_address_is_seen_by_oneself_by_managers_and_by_admins(database: Database) {
    let app = TestApp::new(database).await;
    let boss = app.admin().await;
    let (here, there) = (app.project(&boss, Media::Text).await, app.project(&boss, Media::Text).await);
    let (ana, ben) = (app.person("ana").await, app.person("ben").await);
    let (max, mia, rob) = (app.person("max").await, app.person("mia").await, app.person("rob").await);
    for (project, person, role) in [
        (&here, &ana, "ANNOTATOR"),
        (&here, &ben, "ANNOTATOR"),
        (&here, &max, "MANAGER"),
        (&here, &rob, "REVIEWER"),
        (&there, &rob, "MANAGER"),
        (&there, &mia, "MANAGER"),
    ] {
        project.set_member(person, json!(role)).await.get("setMember");
    }
    let seen = json!({ "email": ana.email });
    let hidden = json!({ "email": null });
    for (case, asker, want) in [
        ("oneself", &ana, &seen),
        ("a manager of a shared project", &max, &seen),
        ("an admin", &boss, &seen),
        ("a colleague", &ben, &hidden),
        ("a reviewer, manager elsewhere", &rob, &hidden),
        ("a stranger", &mia, &Value::Null),
    ] {
        assert_eq!(&asker.sees_address_of(&ana).await, want, "{case}");
    }
    assert_eq!(ana.sees_address_of(&max).await, hidden, "a manager's address is not seen by those he manages");
}
