//! Bringing the schema up, and telling whether this build and the database's schema fit.

use migration::{Migrator, MigratorTrait};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DbBackend, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait,
};
use std::time::Duration;

use crate::repo::{Conn, Connect, Db, RepoError, instance};

/// The schema this build reads and writes.
pub const VERSION: i32 = migration::SCHEMA_VERSION;

/// Whether this build can work with the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It can.
    Ready,
    /// The schema is older: `concord migrate` has not run.
    TooOld,
    /// The schema is newer and says that this build does not understand it.
    TooNew,
}

/// Whether the schema is at least this build's own and still readable by it.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn fit(db: &Db) -> Result<Fit, RepoError> {
    let instance = match instance::get(db).await {
        Err(RepoError::Database(_)) if !has_schema(db).await? => return Ok(Fit::TooOld),
        // Another migrator may have committed between the two looks: then the table is there by now.
        Err(RepoError::Database(_)) => instance::get(db).await?,
        instance => instance?,
    };
    Ok(if instance.schema_version < VERSION {
        Fit::TooOld
    } else if instance.oldest_reader > VERSION {
        Fit::TooNew
    } else {
        Fit::Ready
    })
}

async fn has_schema(db: &Db) -> Result<bool, RepoError> {
    let sql = match db.is_sqlite() {
        true => "SELECT 1 FROM sqlite_schema WHERE name = 'instance'",
        false => "SELECT 1 FROM pg_tables WHERE tablename = 'instance' AND schemaname = current_schema()",
    };
    let statement = Statement::from_string(db.get_database_backend(), sql);
    Ok(db.query_one_raw(statement).await?.is_some())
}

/// Which way the schema goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Every step not yet taken.
    Up,
    /// The newest step back.
    Back,
    /// Every step back.
    Down,
}

/// Brings the schema up (or down). Processes that start at once wait for one another: on PostgreSQL under an advisory
/// lock, on SQLite inside one exclusive transaction. A schema newer than this build is left alone.
///
/// # Errors
/// [`RepoError`] of the database; what was done before stays on PostgreSQL, nothing on SQLite.
pub async fn migrate(connect: &Connect, direction: Direction) -> Result<(), RepoError> {
    const LOCK: i64 = 0x636f_6e63_6f72_6431; // "concord1"
    let mut options = ConnectOptions::new(&connect.url);
    options
        .max_connections(1)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(|sqlite| sqlite.create_if_missing(true).busy_timeout(Duration::from_secs(60)));
    let conn = Database::connect(options).await?;
    if conn.get_database_backend() == DbBackend::Sqlite {
        let immediate = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let txn = conn.begin_with_options(immediate).await?;
        run(&txn, direction).await?;
        txn.commit().await?;
    } else {
        conn.execute_unprepared(&format!("SELECT pg_advisory_lock({LOCK})")).await?;
        run(&conn, direction).await?;
    }
    // Closing the one connection also gives up the lock, whatever happened above.
    Ok(conn.close().await?)
}

async fn run<'c, C: migration::Connection<'c>>(conn: C, direction: Direction) -> Result<(), RepoError> {
    match direction {
        Direction::Up => Migrator::up(conn, None).await?,
        Direction::Back => Migrator::down(conn, Some(1)).await?,
        Direction::Down => Migrator::down(conn, None).await?,
    }
    Ok(())
}
