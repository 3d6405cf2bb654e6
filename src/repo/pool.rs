//! The connections of this process to the database, and single statements on them.

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, Statement, TransactionTrait,
};

/// All connections.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(super) connections: DatabaseConnection,
    /// Through a pooler a statement could be prepared on one connection of the database and run on another: each is a
    /// transaction of its own.
    pub(super) pooled: bool,
}

macro_rules! single_statements {
    ($($name:ident($argument:ident: $type:ty) -> $answer:ty),+ $(,)?) => {$(
        pub(super) async fn $name(&self, $argument: $type) -> Result<$answer, DbErr> {
            if !self.pooled {
                return self.connections.$name($argument).await;
            }
            let txn = self.connections.begin().await?;
            let answer = txn.$name($argument).await?;
            txn.commit().await?;
            Ok(answer)
        }
    )+};
}

impl Pool {
    pub(super) fn get_database_backend(&self) -> DbBackend {
        self.connections.get_database_backend()
    }

    single_statements![
        execute_raw(statement: Statement) -> ExecResult,
        execute_unprepared(sql: &str) -> ExecResult,
        query_one_raw(statement: Statement) -> Option<QueryResult>,
        query_all_raw(statement: Statement) -> Vec<QueryResult>,
    ];
}
