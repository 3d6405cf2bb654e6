//! What becomes of those who follow when something needed is away for a moment, and when something does not pass by itself.

use serde_json::json;

use crate::harness::{Database, Media, Project, TestApp, on_both_databases, wait_until};

on_both_databases![
    what_this_build_does_not_understand_ends_what_waits_for_it;
    only postgres: a_subscription_waits_for_what_is_away_while_it_begins,
];

const FOLLOW: &str =
    "subscription($id: ID!, $after: EventCursor) { taskEvents(projectId: $id, after: $after) { type cursor } }";

impl TestApp {
    /// Writes an event as a newer build would, of a type that this one does not know.
    async fn write_unknown_event(&self, project: &Project) {
        let id = self.literal(&project.id);
        let checks = |on: bool| match (self.database.is_sqlite(), on) {
            (true, on) => format!("PRAGMA ignore_check_constraints = {}", !on),
            (false, false) => "ALTER TABLE event DROP CONSTRAINT event_type".to_owned(),
            (false, true) => "SELECT 1".to_owned(),
        };
        let txn = self.use_cases().db.begin().await.unwrap();
        for sql in [
            checks(false),
            format!("UPDATE event_stream SET top = top + 1 WHERE number = 0 AND project_id = {id}"),
            format!(
                "INSERT INTO event (project_id, stream, position, type, at, payload)
                 SELECT project_id, stream, position + 1, 'SMELLED', at, payload FROM event
                 WHERE stream = 0 AND project_id = {id} ORDER BY position DESC LIMIT 1"
            ),
            checks(true),
        ] {
            sea_orm::ConnectionTrait::execute_unprepared(&txn, &sql).await.unwrap();
        }
        txn.commit().await.unwrap();
    }
}

async fn what_this_build_does_not_understand_ends_what_waits_for_it(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let other = app.project(&project.manager, Media::Text).await;
    let variables = json!({ "id": project.id, "after": project.cursor().await });
    let mut socket = project.manager.subscribe(FOLLOW, variables).await;
    project.rename("before").await;
    let event = socket.event().await;
    assert_eq!(event["type"], "PROJECT_CHANGED");
    app.write_unknown_event(&project).await;
    socket.ends_with("who follows", None, ["INTERNAL", ""]).await;
    let go_on = json!({ "id": project.id, "after": event["cursor"] });
    socket.subscribe("1", FOLLOW, go_on.clone()).await;
    socket.ends_with("who begins", None, ["INTERNAL", ""]).await;
    // Other projects are none of it.
    socket.subscribe("1", FOLLOW, json!({ "id": other.id, "after": other.cursor().await })).await;
    other.rename("other").await;
    assert_eq!(socket.event().await["type"], "PROJECT_CHANGED");
    // Nothing was lost: whoever can read it goes on from there.
    app.sql("UPDATE event SET type = 'PROJECT_CHANGED' WHERE type = 'SMELLED'").await;
    let mut again = project.manager.subscribe(FOLLOW, go_on).await;
    assert_eq!(again.event().await["type"], "PROJECT_CHANGED");
}

/// While a statement like `statement` reads it, a table is not there, as with a server that starts.
const AWAY: &str = "
    CREATE OR REPLACE FUNCTION is_there() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
      IF current_query() NOT LIKE '{statement}' THEN RETURN true; END IF;
      PERFORM nextval('looks_in_vain');
      RAISE EXCEPTION 'the database system is starting up' USING ERRCODE = '57P03';
    END $$;
    ALTER TABLE {table} RENAME TO away;
    CREATE VIEW {table} AS SELECT * FROM away WHERE is_there()";

async fn a_subscription_waits_for_what_is_away_while_it_begins(database: Database) {
    let app = TestApp::new(database).await;
    let boss = app.admin().await;
    app.sql("CREATE SEQUENCE looks_in_vain").await;
    for (case, table, statement) in
        [("who they are", "access_token", "%"), ("what they may", "project_member", "SELECT \"wanted\".%")]
    {
        let project = app.project(&boss, Media::Text).await;
        let ana = project.member(&app, &case.replace(' ', "-"), "VIEWER").await;
        let variables = json!({ "id": project.id, "after": project.cursor().await });
        project.text_tasks(1).await;
        let mut socket = ana.socket().await;
        app.sql(&AWAY.replace("{table}", table).replace("{statement}", statement)).await;
        socket.subscribe("1", FOLLOW, variables).await;
        if table == "access_token" {
            socket.subscribe("query", "{ viewer { id } }", json!({})).await;
            socket.ends_with("a query is answered", None, ["UNAVAILABLE", ""]).await;
        }
        wait_until(&format!("{case} to be looked up in vain"), async || {
            let looks = app.rows::<(i64,)>("SELECT last_value FROM looks_in_vain WHERE is_called").await;
            looks.first().is_some_and(|(looks,)| *looks > 1)
        })
        .await;
        app.sql(&format!("DROP VIEW {table}; ALTER TABLE away RENAME TO {table}")).await;
        app.sql("ALTER SEQUENCE looks_in_vain RESTART").await;
        assert_eq!(socket.event().await["type"], "TASK_CREATED", "{case}");
    }
}
