//! Growing a CHECK that lists the words of a column, while old and new binaries run side by side.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, RuntimeErr, Statement, TransactionTrait, TryGetable};

/// Replaces the constraint `name` of `table` by one that allows exactly `words` in `column`.
///
/// On PostgreSQL nobody waits for the table to be read: the new constraint is added NOT VALID (a short exclusive lock,
/// given up and tried again when a long transaction is in the way), validated under a lock that lets reads and writes
/// through, and only then takes the old one's place. The migration must say `use_transaction() -> Some(false)`, else the
/// exclusive lock would be kept until its end. On SQLite the stored text of the table is edited, as its documentation of
/// ALTER TABLE allows for constraints that do not change how rows are stored.
///
/// # Errors
/// The database's; among them a row that breaks the new constraint. On PostgreSQL also that a transaction runs already.
pub async fn grow(
    manager: &SchemaManager<'_>,
    table: &str,
    column: &str,
    name: &str,
    words: &[&str],
) -> Result<(), DbErr> {
    let list = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ");
    match manager.get_database_backend() {
        DbBackend::Sqlite => grow_sqlite(manager, table, column, name, &list).await,
        _ => grow_postgres(manager, table, column, name, &list).await,
    }
}

async fn grow_postgres(
    manager: &SchemaManager<'_>,
    table: &str,
    column: &str,
    name: &str,
    list: &str,
) -> Result<(), DbErr> {
    let db = manager.get_connection();
    if !matches!(db, SchemaManagerConnection::Connection(_)) {
        let message = format!("{name} must be grown outside a transaction, else its exclusive lock is kept");
        return Err(DbErr::Migration(message));
    }
    // Of an attempt that was cut off. This takes the exclusive lock even when there is nothing to drop.
    let drop = format!("ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}_grown");
    let add = format!("{drop}; ALTER TABLE {table} ADD CONSTRAINT {name}_grown CHECK ({column} IN ({list})) NOT VALID");
    let validate = format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}_grown");
    let swap = format!(
        "ALTER TABLE {table} DROP CONSTRAINT {name}; ALTER TABLE {table} RENAME CONSTRAINT {name}_grown TO {name}"
    );
    with_short_lock(db, &add).await?;
    if let Err(error) = db.execute_unprepared(&validate).await {
        // Left behind, it would refuse new rows too.
        with_short_lock(db, &drop).await?;
        return Err(error);
    }
    with_short_lock(db, &swap).await
}

/// Runs `statements` as one transaction that waits at most 200 ms for its lock, so that the queries queued behind it
/// wait no longer either; when the lock is not to be had, lets them pass and tries again, for a minute or more.
async fn with_short_lock(db: &SchemaManagerConnection<'_>, statements: &str) -> Result<(), DbErr> {
    const TRIES: u32 = 300;
    let mut tried = 0;
    loop {
        tried += 1;
        match in_transaction(db, statements).await {
            Err(error) if tried < TRIES && is_lock_timeout(&error) => {
                db.execute_unprepared("SELECT pg_sleep(0.05)").await?;
            }
            other => return other,
        }
    }
}

async fn in_transaction(db: &SchemaManagerConnection<'_>, statements: &str) -> Result<(), DbErr> {
    let txn = db.begin().await?;
    txn.execute_unprepared(&format!("SET LOCAL lock_timeout = '200ms'; {statements}")).await?;
    txn.commit().await
}

/// PostgreSQL's `lock_not_available`.
fn is_lock_timeout(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) = error else {
        return false;
    };
    error.as_database_error().is_some_and(|error| error.code().is_some_and(|code| code == "55P03"))
}

async fn grow_sqlite(
    manager: &SchemaManager<'_>,
    table: &str,
    column: &str,
    name: &str,
    list: &str,
) -> Result<(), DbErr> {
    let db = manager.get_connection();
    let table = table.trim_matches('"');
    let read = format!("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = '{table}'");
    let old: String = first(db, &read).await?.ok_or_else(|| DbErr::Custom(format!("no table {table}")))?;
    let new = replace_check(&old, column, name, list)
        .ok_or_else(|| DbErr::Custom(format!("no constraint {name} on {table}.{column}")))?;
    let quoted = new.replace('\'', "''");
    let edit = format!("UPDATE sqlite_schema SET sql = '{quoted}' WHERE type = 'table' AND name = '{table}'");
    // Raised, so that every other connection reads the schema anew.
    let version: i32 = first(db, "PRAGMA schema_version").await?.unwrap_or_default();
    db.execute_unprepared("PRAGMA writable_schema = ON").await?;
    db.execute_unprepared(&edit).await?;
    db.execute_unprepared(&format!("PRAGMA schema_version = {}", version.wrapping_add(1))).await?;
    db.execute_unprepared("PRAGMA writable_schema = RESET").await?;
    let verdict: String = first(db, "PRAGMA integrity_check").await?.unwrap_or_default();
    if verdict == "ok" { Ok(()) } else { Err(DbErr::Custom(format!("{table} with the grown {name}: {verdict}"))) }
}

/// The first value of the first row.
async fn first<T: TryGetable>(db: &SchemaManagerConnection<'_>, sql: &str) -> Result<Option<T>, DbErr> {
    let row = db.query_one_raw(Statement::from_string(DbBackend::Sqlite, sql)).await?;
    row.map(|row| row.try_get_by_index(0)).transpose()
}

fn replace_check(sql: &str, column: &str, name: &str, list: &str) -> Option<String> {
    let named = format!("CONSTRAINT {name}");
    // Not one whose name only begins alike.
    let is_whole = |at: &usize| sql[at + named.len()..].starts_with(|next: char| next.is_whitespace());
    let constraint = sql.match_indices(&named).map(|(at, _)| at).find(is_whole)?;
    let words = constraint + sql[constraint..].find(&format!("{column} IN"))?;
    let open = words + sql[words..].find('(')?;
    let close = open + sql[open..].find(')')?;
    Some(format!("{}({list}{}", &sql[..open], &sql[close..]))
}
