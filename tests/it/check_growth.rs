//! A CHECK that learns a word while its table is in use.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use migration::{SchemaManager, check};
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, TransactionTrait};

use crate::harness::{Database, eventually, on_both_databases, rows};

on_both_databases![
    a_check_learns_a_word_and_keeps_the_rest,
    a_check_that_rows_would_break_stays_as_it_was_and_can_be_grown_again;
    only postgres:
    a_check_grows_while_others_read_and_write,
    a_check_is_not_grown_inside_a_transaction,
];

/// A reserved word, which has to be quoted everywhere.
const TABLE: &str = r#""group""#;
const OLD: [&str; 2] = ["WAITING", "DONE"];
const GROWN: [&str; 3] = ["WAITING", "DONE", "LATE"];

async fn a_check_learns_a_word_and_keeps_the_rest(database: Database) {
    let conn = table_of(&database, 1_000).await;
    let other = database.connect().await;
    insert(&other, -1, "LATE").await.expect_err("the new word before");
    grow(&database, &conn, &GROWN).await.unwrap();
    for (case, id, word, taken) in
        [("the new word", -1, "LATE", true), ("an old word", -2, "DONE", true), ("no word of it", -3, "NEVER", false)]
    {
        // The other connection read the schema before it changed.
        assert_eq!(insert(&other, id, word).await.is_ok(), taken, "{case}");
    }
    assert_eq!(count(&conn).await, 1_002);
    assert_intact(&database, &conn, &GROWN).await;
}

async fn a_check_that_rows_would_break_stays_as_it_was_and_can_be_grown_again(database: Database) {
    let conn = table_of(&database, 10).await;
    grow(&database, &conn, &["DONE", "LATE"]).await.expect_err("every row is WAITING");
    insert(&conn, -1, "WAITING").await.expect("an old word");
    insert(&conn, -2, "LATE").await.expect_err("the new word");
    grow(&database, &conn, &GROWN).await.unwrap();
    insert(&conn, -2, "LATE").await.expect("the new word");
    assert_intact(&database, &conn, &GROWN).await;
}

async fn a_check_is_not_grown_inside_a_transaction(database: Database) {
    let conn = table_of(&database, 1).await;
    let txn = conn.begin().await.unwrap();
    let refused = check::grow(&SchemaManager::new(&txn), TABLE, "state", "group_state", &GROWN).await;
    assert!(refused.unwrap_err().to_string().contains("outside a transaction"));
}

/// A long transaction is in the way of every exclusive lock. It ends only after the growing has given way to the others
/// twice and they went on meanwhile: were it to wait for its lock, they would stand behind it and this would never end.
/// Then the validation is held up where it has all its locks, and again the others have to go on.
async fn a_check_grows_while_others_read_and_write(database: Database) {
    let conn = table_of(&database, 200_000).await;
    let load = Load::start(&database).await;
    let long = database.connect().await.begin().await.unwrap();
    long.execute_unprepared(&format!("UPDATE {TABLE} SET note = 'y' WHERE id = 1")).await.unwrap();
    let gate = hold_up_validation(&database).await;

    let migrator = database.connect().await;
    let growing = tokio::spawn(async move {
        check::grow(&SchemaManager::new(&migrator), TABLE, "state", "group_state", &GROWN).await
    });
    // The process that grows it, and since when.
    let waiting_for = async |what: &str| -> Vec<(i32, String)> {
        let waits = format!(
            "SELECT pid, query_start::text FROM pg_stat_activity WHERE datname = current_database()
               AND query LIKE '%CONSTRAINT group_state_grown%' AND wait_event_type = 'Lock' AND wait_event = '{what}'"
        );
        rows(&conn, &waits).await
    };
    let mut attempts = BTreeSet::new();
    eventually("three attempts to get the exclusive lock", async || {
        assert!(!growing.is_finished(), "the growing did not wait");
        attempts.extend(waiting_for("relation").await);
        (attempts.len() >= 3).then_some(())
    })
    .await;
    load.goes_on("beside the long transaction").await;
    insert(&conn, -1, "LATE").await.expect_err("the new word before");
    long.commit().await.unwrap();

    let (pid, _) = eventually("the validation", async || waiting_for("advisory").await.pop()).await;
    let locks = format!(
        "SELECT DISTINCT mode FROM pg_locks WHERE pid = {pid} AND granted AND relation = '{TABLE}'::regclass
           AND mode NOT IN ('AccessShareLock', 'ShareUpdateExclusiveLock')"
    );
    assert_eq!(rows::<(String,)>(&conn, &locks).await, [], "locks during the validation that keep others out");
    assert!(
        definitions(&conn)
            .await
            .iter()
            .any(|check| check.starts_with("group_state_grown") && check.ends_with("NOT VALID"))
    );
    load.goes_on("beside the validation").await;
    gate.commit().await.unwrap();
    growing.await.unwrap().unwrap();

    insert(&conn, -1, "LATE").await.expect("the new word after");
    load.goes_on("after").await;
    load.stop().await;
    assert_intact(&database, &conn, &GROWN).await;
}

/// Keeps a VALIDATE from ending, with its locks held, until the transaction given ends.
async fn hold_up_validation(database: &Database) -> DatabaseTransaction {
    let gate = database.connect().await.begin().await.unwrap();
    gate.execute_unprepared(
        "CREATE FUNCTION pass_gate() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
           IF current_query() LIKE '%VALIDATE CONSTRAINT%' THEN PERFORM pg_advisory_xact_lock(1); END IF;
         END $$;
         CREATE EVENT TRIGGER gate ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION pass_gate();
         COMMIT; BEGIN; SELECT pg_advisory_xact_lock(1)",
    )
    .await
    .unwrap();
    gate
}

/// Writers and readers that use the old words all the time.
struct Load {
    done: Arc<AtomicI64>,
    stop: Arc<AtomicBool>,
    workers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    async fn start(database: &Database) -> Self {
        let (done, stop) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
        let mut workers = Vec::new();
        for _ in 0..3 {
            let (conn, done, stop) = (database.connect().await, done.clone(), stop.clone());
            workers.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let n = done.fetch_add(1, Ordering::Relaxed);
                    insert(&conn, 1_000_000 + n, OLD[0]).await.expect("an old word is taken at any time");
                    let change = format!("UPDATE {TABLE} SET state = 'DONE' WHERE id = {}", 1_000_000 + n);
                    conn.execute_unprepared(&change).await.expect("an old word is taken at any time");
                    let read = format!("SELECT state FROM {TABLE} WHERE id = {}", 1_000_000 + n);
                    assert_eq!(rows::<(String,)>(&conn, &read).await, [("DONE".to_owned(),)]);
                }
            }));
        }
        Self { done, stop, workers }
    }

    /// Rounds begun so far.
    fn done(&self) -> i64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Waits until whole rounds have ended: each of them began after this did.
    async fn goes_on(&self, when: &str) {
        let done = self.done();
        eventually(&format!("the others to go on {when}"), async || (self.done() > done + 100).then_some(())).await;
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for worker in self.workers {
            worker.await.unwrap();
        }
    }
}

/// A table with a constraint to grow, and one before it whose name begins alike.
async fn table_of(database: &Database, count: u32) -> DatabaseConnection {
    let conn = database.connect().await;
    let create = format!(
        "CREATE TABLE {TABLE} (id bigint PRIMARY KEY, note text,
           state text NOT NULL CONSTRAINT group_state_length CHECK (length(state) < 10)
             CONSTRAINT group_state CHECK (state IN ('WAITING', 'DONE')))"
    );
    conn.execute_unprepared(&create).await.unwrap();
    let fill = format!(
        "INSERT INTO {TABLE} (id, note, state)
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
         SELECT i, 'x', 'WAITING' FROM n"
    );
    conn.execute_unprepared(&fill).await.unwrap();
    conn
}

/// As a migration does it: in one transaction on SQLite, without one on PostgreSQL.
async fn grow(database: &Database, conn: &DatabaseConnection, words: &[&str]) -> Result<(), DbErr> {
    if !database.is_sqlite() {
        return check::grow(&SchemaManager::new(conn), TABLE, "state", "group_state", words).await;
    }
    let txn = conn.begin().await?;
    check::grow(&SchemaManager::new(&txn), TABLE, "state", "group_state", words).await?;
    txn.commit().await
}

async fn insert(conn: &impl ConnectionTrait, id: i64, state: &str) -> Result<(), DbErr> {
    conn.execute_unprepared(&format!("INSERT INTO {TABLE} (id, state) VALUES ({id}, '{state}')")).await.map(|_| ())
}

async fn count(conn: &DatabaseConnection) -> i64 {
    rows::<(i64,)>(conn, &format!("SELECT count(*) FROM {TABLE}")).await[0].0
}

/// The constraint stands once, validated, with exactly these words; on SQLite the file is sound.
async fn assert_intact(database: &Database, conn: &DatabaseConnection, words: &[&str]) {
    let found = definitions(conn).await;
    let named: Vec<&String> = found.iter().filter(|definition| definition.contains("group_state ")).collect();
    assert_eq!(named.len(), 1, "{found:?}");
    for word in words {
        assert!(named[0].contains(&format!("'{word}'")), "{word}: {found:?}");
    }
    if database.is_sqlite() {
        assert_eq!(rows::<(String,)>(conn, "PRAGMA integrity_check").await, [("ok".to_owned(),)]);
    } else {
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(!named[0].contains("NOT VALID"), "{found:?}");
    }
}

/// What the catalogue says about the table's constraints; SQLite keeps them in one text.
async fn definitions(conn: &DatabaseConnection) -> Vec<String> {
    let sql = match conn.get_database_backend() {
        sea_orm::DbBackend::Sqlite => "SELECT sql FROM sqlite_schema WHERE name = 'group'",
        _ => {
            r#"SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
               WHERE conrelid = '"group"'::regclass AND contype = 'c'"#
        }
    };
    rows::<(String,)>(conn, sql).await.into_iter().map(|(definition,)| definition).collect()
}
