//! The schema: up and down, several processes at once, readiness, and what every table has to have.

use std::{collections::BTreeSet, process::Output};

use concord::{
    domain::words,
    repo::{
        Connect,
        schema::{self, Direction},
    },
};
use futures::future::join_all;
use reqwest::StatusCode;
use sea_orm::DatabaseConnection;
use serde_json::{Value, json};
use strum::VariantArray;

use crate::harness::{Database, TestApp, eventually, on_both_databases, rows};

on_both_databases![
    up_down_up_gives_the_same_schema_and_down_leaves_nothing,
    four_migrators_at_once_apply_the_schema_once,
    a_server_on_an_empty_database_becomes_ready_once_the_schema_is_there,
    migrate_makes_the_folder_of_the_database,
    an_older_build_leaves_a_newer_schema_alone,
    every_foreign_key_is_found_by_an_index,
    every_check_lists_the_words_of_its_enum,
];

const TOO_OLD: &str = "the schema is older than this build: run 'concord migrate'";
const TOO_NEW: &str = "the schema is newer than this build understands";

async fn up_down_up_gives_the_same_schema_and_down_leaves_nothing(database: Database) {
    let empty = database.empty_sibling();
    let connect = Connect { url: empty.url.clone(), max_connections: 1, pooled: false };
    let shape_after = async |direction| {
        schema::migrate(&connect, direction).await.unwrap();
        shape(&empty).await
    };
    let first = shape_after(Direction::Up).await;
    for table in ["project", "task_slot", "annotation_revision", "event_stream"] {
        assert!(first.iter().any(|line| line.contains(table)), "no {table} in {first:#?}");
    }
    let left: Vec<String> =
        shape_after(Direction::Down).await.into_iter().filter(|line| !line.contains("seaql_migrations")).collect();
    assert_eq!(left, Vec::<String>::new(), "left by down");
    assert_eq!(applied_steps(&empty).await, 0);
    assert_eq!(shape_after(Direction::Up).await, first);
}

async fn four_migrators_at_once_apply_the_schema_once(database: Database) {
    let (alone, contested) = (database.empty_sibling(), database.empty_sibling());
    assert_success(&alone.migrate().await);
    for output in join_all((0..4).map(|_| contested.migrate())).await {
        assert_success(&output);
    }
    assert_eq!(shape(&contested).await, shape(&alone).await);
    assert_eq!(applied_steps(&contested).await, i64::from(schema::VERSION));
    let installations: Vec<(i32,)> = rows(&contested.connect().await, "SELECT schema_version FROM instance").await;
    assert_eq!(installations, [(schema::VERSION,)]);
}

async fn a_server_on_an_empty_database_becomes_ready_once_the_schema_is_there(database: Database) {
    let empty = database.empty_sibling();
    let server = empty.serve();
    let alive = eventually("an answer", async || server.get("/healthz").await).await;
    assert_eq!(alive, (StatusCode::OK, "ok".to_owned()));
    if !empty.is_sqlite() {
        // SQLite is one machine's own and is brought up by the server itself.
        let waiting = server.readiness().await.unwrap();
        assert_eq!(waiting, (StatusCode::SERVICE_UNAVAILABLE, json!(TOO_OLD)));
        assert_success(&empty.migrate().await);
    }
    eventually("readiness", async || server.readiness().await.filter(|(status, _)| *status == StatusCode::OK)).await;
}

async fn migrate_makes_the_folder_of_the_database(mut database: Database) {
    if database.is_sqlite() {
        database.url = "sqlite://new/folder/concord.db".to_owned();
    }
    let output = database.migrate().await;
    assert_success(&output);
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("the schema is "));
}

async fn an_older_build_leaves_a_newer_schema_alone(database: Database) {
    let app = TestApp::new(database).await;
    let ready = async || {
        let answer = app.http.get(app.url("/readyz")).send().await.unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap()["reason"].clone())
    };
    let ok = (StatusCode::OK, Value::Null);
    let unavailable = |reason| (StatusCode::SERVICE_UNAVAILABLE, json!(reason));
    for (case, version, oldest_reader, want) in [
        ("its own", 0, 0, ok.clone()),
        ("newer, still understood", 1, 0, ok),
        ("older", -1, -1, unavailable(TOO_OLD)),
        ("newer, no longer understood", 1, 1, unavailable(TOO_NEW)),
    ] {
        let (version, oldest_reader) = (schema::VERSION + version, schema::VERSION + oldest_reader);
        app.sql(&format!("UPDATE instance SET schema_version = {version}, oldest_reader = {oldest_reader}")).await;
        assert_eq!(ready().await, want, "{case}");
    }
    let before = shape(&app.database).await;
    let migrated = app.database.migrate().await;
    let mut serve = app.database.concord(&["serve"]);
    serve.env("LISTEN_ADDR", "127.0.0.1:0").env("ADMIN_ADDR", "127.0.0.1:0");
    let served = tokio::task::spawn_blocking(move || serve.output().unwrap()).await.unwrap();
    for (case, output) in [("migrate", migrated), ("serve", served)] {
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{case}: {message}");
        assert!(message.contains("newer than this build understands"), "{case}: {message}");
    }
    assert_eq!(shape(&app.database).await, before);
    let instance: Vec<(i32, i32)> = app.rows("SELECT schema_version, oldest_reader FROM instance").await;
    assert_eq!(instance, [(schema::VERSION + 1, schema::VERSION + 1)]);
}

/// Foreign keys without an index of their own, and why they need none: nothing looks for their rows.
const UNINDEXED: [(&str, &str, &str); 6] = [
    ("task", "template_id", "a template version goes only with its project, one look a version"),
    ("assignment", "project_id", "one look a deleted project"),
    ("labeling_session", "project_id", "one look a deleted project"),
    ("review", "project_id", "one look a deleted project"),
    ("annotation_snapshots", "project_id", "one look a deleted project"),
    ("*", "user", "users are disabled, never deleted"),
];

async fn every_foreign_key_is_found_by_an_index(database: Database) {
    let app = TestApp::new(database).await;
    let (keys, indexes) = if app.database.is_sqlite() {
        (
            r#"SELECT m.name, f."from", f."table" FROM sqlite_schema m, pragma_foreign_key_list(m.name) f
               WHERE m.type = 'table' AND f.seq = 0"#,
            "SELECT m.name, c.name, coalesce(s.sql, '') FROM sqlite_schema m, pragma_index_list(m.name) i,
               pragma_index_info(i.name) c LEFT JOIN sqlite_schema s ON s.name = i.name
             WHERE m.type = 'table' AND c.seqno = 0",
        )
    } else {
        (
            "SELECT trim('\"' FROM k.conrelid::regclass::text), a.attname::text, trim('\"' FROM k.confrelid::regclass::text)
             FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
             WHERE k.contype = 'f'",
            "SELECT trim('\"' FROM i.indrelid::regclass::text), a.attname::text, pg_get_indexdef(i.indexrelid)
             FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]",
        )
    };
    let keys: Vec<(String, String, String)> = app.rows(keys).await;
    assert!(keys.len() > 40, "{keys:?}");
    let indexes: Vec<(String, String, String)> = app.rows(indexes).await;
    let has_index = |table: &str, column: &str| {
        indexes.iter().any(|(on, first, definition)| {
            // A partial index serves when it leaves out only rows that refer to nothing.
            let whole = definition
                .split_once(" WHERE ")
                .is_none_or(|(_, left_out)| left_out.trim_matches(['(', ')']) == format!("{column} IS NOT NULL"));
            on == table && first == column && whole
        })
    };
    let excused = |table: &str, column: &str, to: &str| {
        to == "user" || UNINDEXED.iter().any(|(on, excused, _)| (*on, *excused) == (table, column))
    };
    for (table, column, to) in &keys {
        let served = has_index(table, column);
        assert!(served || excused(table, column, to), "{table}.{column} refers to {to} and has no index");
        assert!(!served || to == "user" || !excused(table, column, to), "{table}.{column} needs no excuse any more");
    }
}

async fn every_check_lists_the_words_of_its_enum(database: Database) {
    let app = TestApp::new(database).await;
    let media_types = words_of::<words::MediaType>();
    let enums = [
        ("annotation_kind", words_of::<words::Kind>()),
        ("annotation_revision_outcome", accepted_outcomes()),
        ("annotation_snapshots_reason", words_of::<words::SnapshotReason>()),
        ("annotation_source", words_of::<words::AnnotationSource>()),
        ("asset_media_type", media_types.clone()),
        ("asset_state", words_of::<words::AssetState>()),
        ("assignment_state", words_of::<words::AssignmentState>()),
        ("conflict_cause", words_of::<words::ConflictCause>()),
        ("conflict_choice", words_of::<words::ConflictChoice>()),
        ("conflict_state", words_of::<words::ConflictState>()),
        ("event_type", stored_event_types()),
        ("job_kind", words_of::<words::JobKind>()),
        ("job_state", words_of::<words::JobState>()),
        ("job_step", words_of::<words::JobStep>()),
        ("labeling_session_role", words_of::<words::SessionRole>()),
        ("project_collaboration", words_of::<words::CollaborationMode>()),
        ("project_media_type", media_types.clone()),
        ("project_member_role", words_of::<words::Role>()),
        ("project_review", words_of::<words::ReviewPolicy>()),
        ("project_state", words_of::<words::ProjectState>()),
        ("review_verdict", words_of::<words::ReviewVerdict>()),
        ("task_slot_state", words_of::<words::SlotState>()),
        ("task_state", words_of::<words::TaskState>()),
        ("template_media_type", media_types),
    ];
    let checks = word_checks(&app).await;
    let names: BTreeSet<&str> = checks.iter().map(|(name, _)| name.as_str()).collect();
    let known: BTreeSet<&str> = enums.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, known, "constraints that list words");
    for (name, want) in enums {
        let (_, listed) = checks.iter().find(|(found, _)| found == name).unwrap();
        assert_eq!(listed, &want, "{name}");
    }
}

fn words_of<W: VariantArray + Copy + Into<&'static str>>() -> BTreeSet<String> {
    W::VARIANTS.iter().map(|word| (*word).into().to_owned()).collect()
}

/// An edit that was refused makes no revision.
fn accepted_outcomes() -> BTreeSet<String> {
    let mut outcomes = words_of::<words::EditOutcome>();
    outcomes.remove("REJECTED");
    outcomes
}

/// The others are made for one reader and have no position.
fn stored_event_types() -> BTreeSet<String> {
    let mut types = words_of::<words::EventType>();
    types.retain(|word| !["CURSOR_MOVED", "RESYNC_REQUIRED"].contains(&word.as_str()));
    types
}

/// Every CHECK that a column holds one of a list of words, by name.
async fn word_checks(app: &TestApp) -> Vec<(String, BTreeSet<String>)> {
    let definitions: Vec<(String, String)> = if app.database.is_sqlite() {
        let tables: Vec<(String,)> = app.rows("SELECT sql FROM sqlite_schema WHERE type = 'table'").await;
        let constraints = tables.iter().flat_map(|(sql,)| sql.split("CONSTRAINT ").skip(1));
        constraints
            .filter_map(|text| {
                let (name, check) = text.split_once(char::is_whitespace)?;
                let list = check.trim_start().strip_prefix("CHECK (")?.split_once(" IN")?.1.split_once(')')?.0;
                Some((name.to_owned(), list.to_owned()))
            })
            .collect()
    } else {
        let checks = "SELECT conname::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c'";
        let checks: Vec<(String, String)> = app.rows(checks).await;
        checks.into_iter().filter(|(_, definition)| definition.contains("ANY (ARRAY[")).collect()
    };
    let words = |list: &str| list.split('\'').skip(1).step_by(2).map(str::to_owned).collect();
    definitions.iter().map(|(name, list)| (name.clone(), words(list))).collect()
}

/// Everything the database's catalogue says about tables, columns, indexes and constraints, a line each.
async fn shape(database: &Database) -> Vec<String> {
    let conn = database.connect().await;
    let catalogue = if database.is_sqlite() {
        "SELECT type || ' ' || name || ' on ' || tbl_name || ': ' || coalesce(sql, '') FROM sqlite_schema ORDER BY 1"
    } else {
        "SELECT 'column ' || table_name || '.' || column_name || ' ' || ordinal_position || ' ' || data_type || ' '
                || is_nullable || ' ' || coalesce(column_default, '')
           FROM information_schema.columns WHERE table_schema = current_schema()
         UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = current_schema()
         UNION ALL SELECT 'constraint ' || conname || ' on ' || conrelid::regclass || ': ' || pg_get_constraintdef(oid)
           FROM pg_constraint WHERE connamespace = current_schema()::regnamespace
         UNION ALL SELECT 'relation ' || relkind::text || ' ' || relname FROM pg_class
           WHERE relnamespace = current_schema()::regnamespace
         UNION ALL SELECT 'routine ' || proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
         ORDER BY 1"
    };
    let lines: Vec<(String,)> = rows(&conn, catalogue).await;
    close(conn).await;
    lines.into_iter().map(|(line,)| line).collect()
}

async fn applied_steps(database: &Database) -> i64 {
    let conn = database.connect().await;
    let steps: Vec<(i64,)> = rows(&conn, "SELECT count(*) FROM seaql_migrations").await;
    close(conn).await;
    steps[0].0
}

async fn close(conn: DatabaseConnection) {
    conn.close().await.unwrap();
}

#[track_caller]
fn assert_success(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
