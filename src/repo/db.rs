//! The connection pool and the transaction, both counting their statements.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sea_orm::{
    AccessMode, ConnAcquireErr, ConnectOptions, ConnectionTrait, Database, DatabaseTransaction, DbBackend, DbErr,
    ExecResult, QueryResult, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};
use sqlx::{
    Connection,
    sqlite::{SqliteJournalMode, SqliteSynchronous},
};

use tokio::sync::OwnedMutexGuard;

use crate::{
    domain::{
        ids::{ProjectId, TaskId},
        limits,
    },
    repo::{RepoError, clock::Clock, error::is_unavailable, pool::Pool, queue::Position},
};

/// Prepared statements kept by each connection.
const STATEMENT_CACHE: usize = 512;

/// What a pool is made from.
#[derive(Clone, Debug)]
pub struct Connect {
    /// `sqlite://path` or `postgres://…`.
    pub url: String,
    /// Most connections of this process.
    pub max_connections: u32,
    /// Whether a pooler stands between, which lends a connection of the database for one transaction at a time (PgBouncer's
    /// transaction mode): nothing may be relied on that outlives a transaction.
    pub pooled: bool,
}

/// A pool of connections to the one database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    pool: Pool,
    clock: Arc<Clock>,
    statements: Arc<AtomicU64>,
    trouble: Trouble,
    listener: Listener,
    /// Who writes to SQLite.
    writer: Arc<tokio::sync::Mutex<()>>,
}

/// Who is told of what a commit made known: set once, by the composition of the use cases. Here, where every commit passes,
/// so that no use case can forget it.
#[derive(Clone, Default)]
struct Listener(Arc<OnceLock<OnCommit>>);

type OnCommit = Box<dyn Fn(News) + Send + Sync>;

/// What a commit made known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A project has events up to these positions, by the stream's number.
    Events(ProjectId, BTreeMap<i32, i64>),
    /// Slots of these tasks of a project may wait in its queue now, or wait at another place of it.
    Waiting(ProjectId, Vec<TaskId>),
    /// A slot of a project was leased, which waited at this place.
    Leased(ProjectId, Position),
    /// Somebody's way in ended, or their rights on the whole server changed.
    SignIns,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

/// When a statement last failed for want of a connection. A server that goes away takes all connections with it: those
/// that have been idle since before are tested before they are handed out, or each would fail a request of its own.
#[derive(Clone, Debug, Default)]
struct Trouble(Arc<Mutex<Option<Instant>>>);

impl Trouble {
    /// Remembers a failure, and gives it on.
    fn note<T>(&self, result: Result<T, DbErr>) -> Result<T, DbErr> {
        if let Err(error) = &result
            && is_unavailable(error)
        {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        result
    }

    /// Whether a connection that has been idle for so long may have died unnoticed.
    fn touches(&self, idle_for: Duration) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() <= idle_for)
    }
}

/// A transaction; dropped without [`Txn::commit`] it is rolled back.
#[derive(Debug)]
pub struct Txn {
    inner: DatabaseTransaction,
    clock: Arc<Clock>,
    statements: Arc<AtomicU64>,
    trouble: Trouble,
    listener: Listener,
    news: Mutex<Vec<News>>,
    /// Given back when the transaction has ended.
    _turn: Option<OwnedMutexGuard<()>>,
}

/// What repo functions run on: the pool or a transaction.
pub trait Conn: ConnectionTrait + Send + Sync {
    /// The one clock.
    fn clock(&self) -> &Clock;

    /// Whether this is SQLite, where it takes another SQL.
    fn is_sqlite(&self) -> bool {
        self.get_database_backend() == DbBackend::Sqlite
    }
}

impl Db {
    /// Opens the pool.
    ///
    /// # Errors
    /// [`RepoError`] when the URL is not understood or the database cannot be reached.
    pub async fn connect(connect: &Connect) -> Result<Self, RepoError> {
        let trouble = Trouble::default();
        let connections = Database::connect(options(connect, trouble.clone())).await?;
        let pool = Pool { connections, pooled: connect.pooled };
        Ok(Self {
            pool,
            clock: Arc::default(),
            statements: Arc::default(),
            trouble,
            listener: Listener::default(),
            writer: Arc::default(),
        })
    }

    /// From now on `listener` is called after each commit, with all that is news by it. Must not block. The first call
    /// counts; clones share it.
    pub fn on_commit(&self, listener: impl Fn(News) + Send + Sync + 'static) {
        let _ = self.listener.0.set(Box::new(listener));
    }

    /// Begins a transaction that may write. On SQLite it takes the write lock at once: a reader that becomes a writer
    /// half-way would fail when another wrote in between.
    ///
    /// # Errors
    /// [`RepoError`] when no connection is free in time.
    pub async fn begin(&self) -> Result<Txn, RepoError> {
        if self.is_sqlite() {
            // One after the other: those who wait for SQLite's own lock sleep between looks, each longer than the one
            // before, and who came last is often first.
            let turn = tokio::time::timeout(limits::DATABASE_WAIT, self.writer.clone().lock_owned()).await;
            let turn = turn.map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))?;
            return self.begin_here(Some(turn)).await;
        }
        // In a task of its own: when the client hangs up and the request is given up half-way, PostgreSQL begins all the
        // same and the driver does not know. The connection would go back to the pool with the transaction open, and
        // what is next written through it would be answered and never committed.
        let db = self.clone();
        whole(async move { db.begin_here(None).await }).await.ok_or(CLOSED)?
    }

    async fn begin_here(&self, turn: Option<OwnedMutexGuard<()>>) -> Result<Txn, RepoError> {
        let options = TransactionOptions {
            access_mode: Some(AccessMode::ReadWrite).filter(|_| !self.is_sqlite()),
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let inner = self.trouble.note(self.pool.connections.begin_with_options(options).await)?;
        let Self { clock, statements, trouble, listener, .. } = self.clone();
        Ok(Txn { inner, clock, statements, trouble, listener, news: Mutex::default(), _turn: turn })
    }

    /// Statements run so far by this pool and its transactions, without BEGIN and COMMIT.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Answers when the database does.
    ///
    /// # Errors
    /// [`RepoError`] when it does not.
    pub async fn ping(&self) -> Result<(), RepoError> {
        Ok(self.pool.connections.ping().await?)
    }

    /// Waits for running statements and closes every connection.
    ///
    /// # Errors
    /// [`RepoError`] when a connection does not close.
    pub async fn close(&self) -> Result<(), RepoError> {
        Ok(self.pool.connections.close_by_ref().await?)
    }
}

impl Txn {
    /// Makes everything since [`Db::begin`] durable and visible.
    ///
    /// # Errors
    /// [`RepoError`] when the database refuses; nothing has happened then. [`RepoError::Undecided`] when it went away
    /// before it answered.
    pub async fn commit(self) -> Result<(), RepoError> {
        // In a task of its own: when the request is given up half-way the commit is made all the same, and whoever waits
        // for the news of it has to be told.
        whole(self.commit_here()).await.ok_or(RepoError::Undecided(CLOSED))?
    }

    async fn commit_here(self) -> Result<(), RepoError> {
        let is_remote = !self.is_sqlite();
        let committed = self.trouble.note(self.inner.commit().await).map_err(RepoError::from);
        // Whatever came of it: one that is undecided may have been made, and a look in vain costs little.
        if let Some(listener) = self.listener.0.get() {
            let news = self.news.into_inner().unwrap_or_else(PoisonError::into_inner);
            news.into_iter().for_each(listener);
        }
        match committed {
            Err(RepoError::Unavailable(cause)) if is_remote => Err(RepoError::Undecided(cause)),
            other => other,
        }
    }

    /// Remembers what the commit will make known: [`Db::on_commit`].
    pub fn note(&self, news: News) {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).push(news);
    }
}

const CLOSED: DbErr = DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed);

/// Does work to its end, also when whoever waits for it gives up. None when the process ends meanwhile.
async fn whole<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    match tokio::spawn(work).await {
        Ok(done) => Some(done),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => None,
        },
    }
}

fn options(connect: &Connect, trouble: Trouble) -> ConnectOptions {
    let (mut options, pooled) = (ConnectOptions::new(&connect.url), connect.pooled);
    options
        .max_connections(connect.max_connections)
        .acquire_timeout(limits::DATABASE_WAIT)
        .connect_timeout(limits::DATABASE_WAIT)
        .test_before_acquire_if_idle_for(Duration::from_secs(10))
        .map_sqlx_postgres_before_acquire(move |connection, about| {
            let suspect = trouble.touches(about.idle_for);
            Box::pin(async move {
                if suspect {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(|sqlite| {
            sqlite
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(limits::DATABASE_WAIT)
                .foreign_keys(true)
                .statement_cache_capacity(STATEMENT_CACHE)
        })
        .map_sqlx_postgres_opts(move |postgres| {
            let postgres = postgres.application_name("concord");
            if pooled {
                return postgres.statement_cache_capacity(0);
            }
            let time_ms = limits::STATEMENT_TIME.as_millis().to_string();
            postgres.statement_cache_capacity(STATEMENT_CACHE).options([
                ("statement_timeout", time_ms.as_str()),
                ("idle_in_transaction_session_timeout", time_ms.as_str()),
            ])
        });
    options
}

impl Conn for Db {
    fn clock(&self) -> &Clock {
        &self.clock
    }
}

impl Conn for Txn {
    fn clock(&self) -> &Clock {
        &self.clock
    }
}

macro_rules! counting_connection {
    ($($name:ident through $inner:ident),+) => {$(
        #[async_trait::async_trait]
        impl ConnectionTrait for $name {
            fn get_database_backend(&self) -> DbBackend {
                self.$inner.get_database_backend()
            }

            async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
                self.statements.fetch_add(1, Ordering::Relaxed);
                self.trouble.note(self.$inner.execute_raw(statement).await)
            }

            async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
                self.statements.fetch_add(1, Ordering::Relaxed);
                self.trouble.note(self.$inner.execute_unprepared(sql).await)
            }

            async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
                self.statements.fetch_add(1, Ordering::Relaxed);
                self.trouble.note(self.$inner.query_one_raw(statement).await)
            }

            async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
                self.statements.fetch_add(1, Ordering::Relaxed);
                self.trouble.note(self.$inner.query_all_raw(statement).await)
            }
        }
    )+};
}

counting_connection!(Db through pool, Txn through inner);

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures::poll;

    use super::*;

    #[tokio::test]
    async fn a_commit_that_is_given_up_half_way_is_made_and_told_of() {
        let db = Db::connect(&Connect { url: "sqlite::memory:".to_owned(), max_connections: 1, pooled: false })
            .await
            .unwrap();
        let told = Arc::new(AtomicUsize::new(0));
        let tell = told.clone();
        db.on_commit(move |_| {
            tell.fetch_add(1, Ordering::SeqCst);
        });
        db.execute_unprepared("CREATE TABLE row (n integer)").await.unwrap();
        for n in 1..=20 {
            let txn = db.begin().await.unwrap();
            txn.execute_unprepared("INSERT INTO row VALUES (1)").await.unwrap();
            txn.note(News::SignIns);
            let mut commit = Box::pin(txn.commit());
            let _ = poll!(&mut commit);
            drop(commit);
            // There is one connection: it is free when the transaction has ended.
            let rows = Statement::from_string(DbBackend::Sqlite, "SELECT count(*) AS n FROM row");
            let rows: i64 = db.query_one_raw(rows).await.unwrap().unwrap().try_get("", "n").unwrap();
            let all_told = async {
                while told.load(Ordering::SeqCst) < n {
                    tokio::task::yield_now().await;
                }
            };
            let all_told = tokio::time::timeout(Duration::from_secs(5), all_told).await;
            assert!(
                rows == n as i64 && all_told.is_ok(),
                "{rows} of {n} made, {} told of",
                told.load(Ordering::SeqCst)
            );
        }
    }
}
