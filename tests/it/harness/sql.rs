//! Looking at a test's database behind Concord's back.

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, TryGetableMany};

use crate::harness::{Database, TestApp};

impl Database {
    /// A pool of connections of the test's own.
    pub(crate) async fn connect(&self) -> DatabaseConnection {
        let mut options = sea_orm::ConnectOptions::new(&self.url);
        options.sqlx_logging(false).map_sqlx_sqlite_opts(|sqlite| sqlite.create_if_missing(true));
        sea_orm::Database::connect(options).await.unwrap()
    }
}

impl TestApp {
    /// What a SELECT gives, by column.
    pub(crate) async fn rows<T: TryGetableMany>(&self, sql: &str) -> Vec<T> {
        rows(&self.use_cases().db, sql).await
    }

    /// Typed ids as a list of literals, for IN.
    pub(crate) fn literals(&self, ids: &[String]) -> String {
        ids.iter().map(|id| self.literal(id)).collect::<Vec<_>>().join(", ")
    }
}

/// What a SELECT gives, by column.
pub(crate) async fn rows<T: TryGetableMany>(conn: &impl ConnectionTrait, sql: &str) -> Vec<T> {
    let statement = Statement::from_string(conn.get_database_backend(), sql);
    let rows = conn.query_all_raw(statement).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.iter().map(|row| T::try_get_many_by_index(row).unwrap_or_else(|error| panic!("{sql}: {error:?}"))).collect()
}
