//! Growing a CHECK that lists the words of a column, while old and new binaries run side by side.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

/// Replaces the constraint `name` of `table` by one that allows exactly `words` in `column`.
///
/// On PostgreSQL nobody waits for the table to be read: the new constraint is added NOT VALID (a short exclusive lock,
/// given up and tried again when a long transaction is in the way), validated under a lock that lets reads and writes
/// through, and only then takes the old one's place. The migration must say `use_transaction() -> Some(false)`, else the
/// exclusive lock is kept until its end. On SQLite the stored text of the table is edited, as its documentation of
/// ALTER TABLE allows for constraints that do not change how rows are stored.
///
/// # Errors
/// The database's; among them a row that breaks the new constraint.
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
    let add = format!("ALTER TABLE {table} ADD CONSTRAINT {name}_grown CHECK ({column} IN ({list})) NOT VALID");
    let validate = format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}_grown");
    let swap = format!(
        "ALTER TABLE {table} DROP CONSTRAINT {name}; ALTER TABLE {table} RENAME CONSTRAINT {name}_grown TO {name}"
    );
    let db = manager.get_connection();
    db.execute_unprepared(&format!("ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}_grown")).await?;
    with_short_lock(manager, &add).await?;
    db.execute_unprepared(&validate).await?;
    with_short_lock(manager, &swap).await
}

/// Runs `statements` as one transaction that waits at most 200 ms for its lock, so that the queries queued behind it
/// wait no longer either; tries again for a minute.
async fn with_short_lock(manager: &SchemaManager<'_>, statements: &str) -> Result<(), DbErr> {
    const TRIES: u32 = 300;
    let script = format!("BEGIN; SET LOCAL lock_timeout = '200ms'; {statements}; COMMIT");
    let mut tried = 0;
    loop {
        tried += 1;
        match manager.get_connection().execute_unprepared(&script).await {
            Err(_) if tried < TRIES => {
                manager.get_connection().execute_unprepared("ROLLBACK").await?;
                manager.get_connection().execute_unprepared("SELECT pg_sleep(0.05)").await?;
            }
            other => return other.map(|_| ()),
        }
    }
}

async fn grow_sqlite(
    manager: &SchemaManager<'_>,
    table: &str,
    column: &str,
    name: &str,
    list: &str,
) -> Result<(), DbErr> {
    let db = manager.get_connection();
    let read = format!("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = '{}'", table.trim_matches('"'));
    let row = db.query_one_raw(sea_orm_migration::sea_orm::Statement::from_string(DbBackend::Sqlite, read)).await?;
    let row = row.ok_or_else(|| DbErr::Custom(format!("no table {table}")))?;
    let old: String = row.try_get("", "sql")?;
    let new = replace_check(&old, column, name, list)
        .ok_or_else(|| DbErr::Custom(format!("no constraint {name} on {table}.{column}")))?;
    let quoted = new.replace('\'', "''");
    let edit = format!("UPDATE sqlite_schema SET sql = '{quoted}' WHERE type = 'table' AND name = '{table}'");
    db.execute_unprepared("PRAGMA writable_schema = ON").await?;
    db.execute_unprepared(&edit).await?;
    db.execute_unprepared("PRAGMA writable_schema = RESET").await?;
    db.execute_unprepared("PRAGMA integrity_check").await.map(|_| ())
}

fn replace_check(sql: &str, column: &str, name: &str, list: &str) -> Option<String> {
    let constraint = sql.find(&format!("CONSTRAINT {name}"))?;
    let words = constraint + sql[constraint..].find(&format!("{column} IN"))?;
    let open = words + sql[words..].find('(')?;
    let close = open + sql[open..].find(')')?;
    Some(format!("{}({list}{}", &sql[..open], &sql[close..]))
}
