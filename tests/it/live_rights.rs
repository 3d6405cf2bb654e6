//! What becomes of sockets and streams when the right to them ends: with the credential all of it, with a role what it showed.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::{Database, EventStream, Media, Person, Project, Socket, TestApp, eventually, on_both_databases};

on_both_databases![
    with_its_token_a_socket_ends,
    with_a_revoked_token_its_sockets_end,
    with_its_login_session_a_socket_ends,
    with_a_disabled_user_their_sockets_end,
    who_leaves_a_project_keeps_the_rest_of_the_socket,
    who_is_no_admin_any_more_has_to_connect_again,
    who_was_an_admin_for_a_while_has_to_connect_again,
    a_credential_that_ended_is_noticed_though_the_count_of_such_went_down,
];

const FOLLOW: &str =
    "subscription($id: ID!, $after: EventCursor) { taskEvents(projectId: $id, after: $after) { type } }";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// All that lasts of one credential: a socket with a subscription, one on which nothing runs, and a stream. Beside it
/// somebody else's, whom nothing of it concerns.
struct Scene {
    app: TestApp,
    project: Project,
    busy: Socket,
    idle: Socket,
    stream: EventStream,
    other: Socket,
}

impl Scene {
    async fn of(app: TestApp, project: Project, who: &Person) -> Self {
        let follow = json!({ "id": project.id, "after": project.cursor().await });
        let busy = who.subscribe(FOLLOW, follow.clone()).await;
        let stream = who.stream(&app, FOLLOW, follow.clone()).await;
        let (idle, other) = (who.socket().await, project.manager.subscribe(FOLLOW, follow).await);
        let mut scene = Self { app, project, busy, idle, stream, other };
        scene.rename("before").await;
        for socket in [&mut scene.busy, &mut scene.other] {
            assert_eq!(socket.event().await["type"], "PROJECT_CHANGED");
        }
        assert_eq!(scene.stream.data().await["taskEvents"]["type"], "PROJECT_CHANGED");
        scene
    }

    async fn rename(&self, name: &str) {
        let change = json!({ "projectId": self.project.id, "name": name });
        self.project.manager.mutate("updateProject", change, "project { id }").await.get("updateProject");
    }

    /// The credential has ended: so do its sockets and streams.
    async fn all_end(&mut self) {
        self.end("Forbidden", 4403).await;
    }

    /// Sockets and streams end, without an event that would wake them, and no others.
    async fn end(&mut self, why: &str, code: u16) {
        for socket in [&mut self.busy, &mut self.idle] {
            let (before, closed, reason) = socket.rest().await;
            assert_eq!((closed, reason.as_str()), (code, why));
            assert!(before.iter().all(is_notice), "{before:?}");
        }
        let rest = self.stream.rest().await;
        let all_notices = rest.iter().all(|(name, result)| name == "next" && is_notice(&json!({ "payload": result })));
        assert!(all_notices, "no 'complete': it is left open to be tried again: {rest:?}");
        self.rename("after").await;
        while is_notice(&self.other.next().await) {}
    }
}

async fn one_more(project: &Project) {
    project.create_tasks(json!([{ "data": { "text": "one more" } }])).await.get("createTasks");
}

/// Whether a message only tells the position.
fn is_notice(message: &Value) -> bool {
    message["payload"]["data"]["taskEvents"]["type"] == "CURSOR_MOVED"
}

async fn project(app: &TestApp) -> Project {
    app.project(&app.admin().await, Media::Text).await
}

async fn with_its_token_a_socket_ends(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app).await;
    let ana = project.member(&app, "ana", "VIEWER").await;
    let input = json!({ "name": "short", "expiresInDays": 2 });
    let short =
        ana.with_token(&ana.mutate("createAccessToken", input, "secret").await.text("createAccessToken.secret"));
    let mut scene = Scene::of(app, project, &short).await;
    scene.app.advance(2 * DAY + Duration::from_secs(1));
    scene.all_end().await;
}

async fn with_a_revoked_token_its_sockets_end(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app).await;
    let ana = project.member(&app, "ana", "VIEWER").await;
    let tokens = ana.send("{ viewer { accessTokens { id } } }", json!({})).await;
    let token = json!({ "tokenId": tokens.text("viewer.accessTokens.0.id") });
    let mut scene = Scene::of(app, project, &ana).await;
    ana.mutate("revokeAccessToken", token, "__typename").await.get("revokeAccessToken");
    scene.all_end().await;
}

async fn with_its_login_session_a_socket_ends(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app).await;
    let ana = project.member(&app, "ana", "VIEWER").await;
    let signed_in = app.signed_in(&project.manager, &ana).await;
    let mut by_token = ana.socket().await;
    let mut scene = Scene::of(app, project, &signed_in).await;
    signed_in.mutate("signOut", json!({}), "__typename").await.get("signOut");
    scene.all_end().await;
    by_token.send(json!({ "type": "ping" })).await;
    assert_eq!(by_token.next().await, json!({ "type": "pong" }), "another credential of the same person");
}

async fn with_a_disabled_user_their_sockets_end(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app).await;
    let ana = project.member(&app, "ana", "VIEWER").await;
    let mut scene = Scene::of(app, project, &ana).await;
    let input = json!({ "userId": ana.id, "disabled": true });
    scene.project.manager.mutate("updateUser", input, "user { id }").await.get("updateUser");
    scene.all_end().await;
}

impl Scene {
    /// The next message of an operation ends it with this code.
    async fn ends(&mut self, id: &str, code: &str) {
        let ended = self.busy.next().await;
        assert_eq!((&ended["type"], &ended["id"]), (&json!("error"), &json!(id)), "{ended}");
        assert_eq!(ended["payload"][0]["extensions"]["code"], code, "{ended}");
    }

    /// The stream says why, and ends for good.
    async fn stream_ends(&mut self, code: &str) {
        let rest = self.stream.rest().await;
        let names: Vec<&str> = rest.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["next", "complete"], "{rest:?}");
        assert_eq!(rest[0].1["errors"][0]["extensions"]["code"], code);
    }

    /// Both sockets go on: on the one a subscription to another project is told of events.
    async fn goes_on(&mut self, id: &str, other: &Project) {
        for socket in [&mut self.busy, &mut self.idle] {
            socket.send(json!({ "type": "ping" })).await;
            assert_eq!(socket.next().await, json!({ "type": "pong" }));
        }
        // How soon the server has begun to follow is not known: the change may have to be made more than once.
        let told = eventually("an event of the other project", async || {
            one_more(other).await;
            timeout(Duration::from_secs(2), self.busy.next()).await.ok().filter(|told| !is_notice(told))
        })
        .await;
        assert_eq!((&told["type"], &told["id"]), (&json!("next"), &json!(id)), "{told}");
    }
}

async fn who_leaves_a_project_keeps_the_rest_of_the_socket(database: Database) {
    let app = TestApp::new(database).await;
    let first = project(&app).await;
    let other = app.project(&first.manager, Media::Text).await;
    let ana = first.member(&app, "ana", "VIEWER").await;
    other.set_member(&ana, json!("VIEWER")).await.get("setMember");
    let mut scene = Scene::of(app, first, &ana).await;
    scene.busy.subscribe("other", FOLLOW, json!({ "id": other.id })).await;
    scene.project.set_member(&ana, Value::Null).await.get("setMember");
    scene.ends("1", "NOT_FOUND").await;
    scene.stream_ends("NOT_FOUND").await;
    scene.goes_on("other", &other).await;
}

async fn who_is_no_admin_any_more_has_to_connect_again(database: Database) {
    let app = TestApp::new(database).await;
    let first = project(&app).await;
    let other = app.project(&first.manager, Media::Text).await;
    let ana = first.member(&app, "ana", "VIEWER").await;
    other.set_member(&ana, json!("VIEWER")).await.get("setMember");
    let admin = async |is: bool| {
        let input = json!({ "userId": ana.id, "admin": is });
        first.manager.mutate("updateUser", input, "user { id }").await.get("updateUser");
    };
    admin(true).await;
    let mut scene = Scene::of(app, first.clone(), &ana).await;
    admin(false).await;
    // What was begun as an admin ends, also where one may look as a member.
    scene.end("your rights have changed; connect again", 1013).await;
    let mut again = ana.subscribe(FOLLOW, json!({ "id": other.id, "after": other.cursor().await })).await;
    other.text_tasks(1).await;
    assert_eq!(again.event().await["type"], "TASK_CREATED");
}

/// Sockets that were open before their owner became an admin, and one that came then.
async fn who_was_an_admin_for_a_while_has_to_connect_again(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app).await;
    let (ana, ben) = (app.person("ana").await, app.person("ben").await);
    let admins = async |are: bool| {
        for who in [&ana, &ben] {
            let input = json!({ "userId": who.id, "admin": are });
            project.manager.mutate("updateUser", input, "user { id }").await.get("updateUser");
        }
    };
    let (mut busy, mut first) = (ana.socket().await, ben.socket().await);
    admins(true).await;
    let mut second = ben.socket().await;
    busy.subscribe("1", FOLLOW, json!({ "id": project.id, "after": project.cursor().await })).await;
    project.text_tasks(1).await;
    assert_eq!(busy.event().await["type"], "TASK_CREATED");
    admins(false).await;
    one_more(&project).await;
    for socket in [&mut busy, &mut first, &mut second] {
        let (before, closed, reason) = socket.rest().await;
        assert_eq!((closed, reason.as_str()), (1013, "your rights have changed; connect again"));
        assert!(before.iter().all(is_notice), "{before:?}");
    }
}

/// As after a restore: what counts those whose way in has ended stands lower than it did.
async fn a_credential_that_ended_is_noticed_though_the_count_of_such_went_down(database: Database) {
    let app = TestApp::new(database).await;
    let project = project(&app).await;
    let ana = project.member(&app, "ana", "VIEWER").await;
    let mut socket = ana.subscribe(FOLLOW, json!({ "id": project.id, "after": project.cursor().await })).await;
    app.sql("UPDATE instance SET sign_ins = 10").await;
    project.text_tasks(1).await;
    assert_eq!(socket.event().await["type"], "TASK_CREATED");
    app.sql("UPDATE \"user\" SET disabled = true WHERE name = 'ana'").await;
    app.sql("UPDATE instance SET sign_ins = 5").await;
    one_more(&project).await;
    assert_eq!(socket.closed().await, (4403, "Forbidden".to_owned()));
}
