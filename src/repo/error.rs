//! What can go wrong below the use cases.

use std::sync::Arc;

use sea_orm::{DbErr, RuntimeErr, SqlErr};

/// An error of the database or of what it holds.
#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    /// The row is not there, or not for the asker.
    #[error("no such row")]
    NotFound,
    /// A row with the same unique value is there already.
    #[error("a row with the same unique value exists")]
    Duplicate,
    /// The database cannot be reached, has no free connection, was stopped, or has no room; trying again may help.
    #[error("the database is not available: {0}")]
    Unavailable(#[source] DbErr),
    /// The database went away during COMMIT: the transaction was made or not.
    #[error("the database went away in a commit: {0}")]
    Undecided(#[source] DbErr),
    /// A stored value that this build does not understand.
    #[error("stored value not understood: {0}")]
    Corrupt(String),
    /// What another who asked the same was told.
    #[error("{0}")]
    Shared(#[source] Arc<RepoError>),
    /// Anything else the database says: a fault of ours.
    #[error("database: {0}")]
    Database(#[source] DbErr),
}

impl From<DbErr> for RepoError {
    fn from(error: DbErr) -> Self {
        if let Some(SqlErr::UniqueConstraintViolation(_)) = error.sql_err() {
            return Self::Duplicate;
        }
        if is_unavailable(&error) { Self::Unavailable(error) } else { Self::Database(error) }
    }
}

/// Whether the database cannot be reached or has no room, as far as the error tells.
pub(super) fn is_unavailable(error: &DbErr) -> bool {
    let runtime = match error {
        DbErr::ConnectionAcquire(_) => return true,
        DbErr::Conn(runtime) | DbErr::Exec(runtime) | DbErr::Query(runtime) => runtime,
        _ => return false,
    };
    let RuntimeErr::SqlxError(error) = runtime else { return matches!(error, DbErr::Conn(_)) };
    match &**error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(database) => database.code().is_some_and(|code| is_unavailable_code(&code)),
        _ => false,
    }
}

/// SQLSTATE classes 08 (connection), 53 (resources, disk full), 57 (operator intervention, starting up), and
/// 25P03/40001/40P01/55P03 (idle in transaction, serialization, deadlock, lock); SQLite's BUSY, LOCKED, IOERR, FULL
/// with their extended codes (low byte).
fn is_unavailable_code(code: &str) -> bool {
    if code.len() == 5 {
        return ["08", "53", "57"].iter().any(|class| code.starts_with(class))
            || ["25P03", "40001", "40P01", "55P03"].contains(&code);
    }
    code.parse::<u32>().is_ok_and(|code| [5, 6, 10, 13].contains(&(code & 0xff)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_told_from_faults() {
        for (case, code, want) in [
            ("PostgreSQL shuts down", "57P01", true),
            ("PostgreSQL disk full", "53100", true),
            ("deadlock", "40P01", true),
            ("PostgreSQL check", "23514", false),
            ("PostgreSQL syntax", "42601", false),
            ("SQLite busy", "5", true),
            ("SQLite busy snapshot", "517", true),
            ("SQLite full", "13", true),
            ("SQLite check", "275", false),
        ] {
            assert_eq!(is_unavailable_code(code), want, "{case}");
        }
    }
}
