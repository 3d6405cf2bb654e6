//! Portable schema statements: SQL files are written with PostgreSQL's type names and translated for SQLite.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

/// PostgreSQL's name, SQLite's name. What SQLite stores: 16 bytes, JSON text, RFC 3339 text, bytes.
const SQLITE_TYPES: [(&str, &str); 5] = [
    (" uuid", " blob"),
    (" jsonb", " text"),
    (" timestamptz", " text"),
    (" bytea", " blob"),
    (" double precision", " real"),
];

/// Runs the statements of `sql`, separated by semicolons; `{now}` is the current time.
pub(crate) async fn run(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    let sqlite = manager.get_database_backend() == DbBackend::Sqlite;
    let now = if sqlite { "strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now')" } else { "clock_timestamp()" };
    for statement in statements(sql) {
        let mut statement = statement.replace("{now}", now);
        if sqlite {
            for (postgres, name) in SQLITE_TYPES {
                statement = statement.replace(postgres, name);
            }
        }
        manager.get_connection().execute_unprepared(&statement).await?;
    }
    Ok(())
}

/// The tables a file creates, in its order.
pub(crate) fn created_tables(sql: &str) -> Vec<&str> {
    sql.split("CREATE TABLE ").skip(1).filter_map(|rest| rest.split_whitespace().next()).collect()
}

fn statements(sql: &str) -> impl Iterator<Item = String> {
    let code: Vec<&str> = sql.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    let parts: Vec<String> = code.join("\n").split(';').map(|part| part.trim().to_owned()).collect();
    parts.into_iter().filter(|part| !part.is_empty())
}
