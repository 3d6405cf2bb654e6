//! The way to Redis, one node or a Cluster. The bodies that use it hold nothing there that cannot be found again: whoever
//! gets no answer in time goes on without it.
//!
//! A call has a deadline and a bounded number of attempts. After some that failed nobody is made to wait any more: until a
//! look says that Redis is back, calls fail at once.

mod ear;
mod link;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use deadpool::{
    Runtime,
    managed::{Pool, PoolError, QueueMode, Timeouts},
};
use deadpool_redis::redis::{
    self, Cmd, ErrorKind, FromRedisValue, PushInfo, RedisError, ScriptInvocation, ServerErrorKind, Value,
    from_redis_value,
};
pub(crate) use ear::Ear;
use link::{Link, Maker};
use tokio::time::{Instant, sleep, timeout};

use crate::{config::RedisAddress, domain::limits};

/// Redis has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Away {
    /// It did not answer before, and nobody looks again yet.
    #[error("Redis did not answer a moment ago")]
    Resting,
    /// It did not answer in time.
    #[error("Redis does not answer in time")]
    Late,
    /// The last attempt failed.
    #[error(transparent)]
    Failed(Arc<RedisError>),
}

/// A Redis that calls go to. Cheap to clone.
#[derive(Clone)]
pub struct Redis {
    pool: Pool<Maker>,
    condition: Arc<Mutex<Condition>>,
    address: RedisAddress,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What is asked of it.
#[derive(Clone, Copy)]
enum Request<'r> {
    Command(&'r Cmd),
    Script(&'r ScriptInvocation<'r>),
}

impl Redis {
    /// At an address; nothing is connected to yet, so that a server starts without its Redis.
    ///
    /// # Errors
    /// When the address cannot be one.
    pub fn new(address: &RedisAddress) -> anyhow::Result<Self> {
        let timeouts = Timeouts {
            wait: Some(limits::REDIS_TIME),
            create: Some(limits::REDIS_TIME),
            recycle: Some(limits::REDIS_TIME),
        };
        let pool = Pool::builder(Maker::new(address)?)
            .max_size(limits::REDIS_CONNECTIONS)
            // One after the other: each is lent for no longer than it takes to copy it.
            .queue_mode(QueueMode::Fifo)
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .build()?;
        Ok(Self { pool, condition: Arc::default(), address: address.clone() })
    }

    /// For tests: of a URL.
    #[cfg(test)]
    pub(crate) fn at(url: &str) -> Self {
        Self::new(&RedisAddress::parse(url).unwrap()).unwrap()
    }

    /// The answer to a command that may be sent again when an answer is lost.
    ///
    /// # Errors
    /// [`Away`] when there is none in time.
    pub async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Away> {
        self.answer(Request::Command(command), true).await
    }

    /// The answer of a script that may run again when its answer is lost.
    ///
    /// # Errors
    /// [`Away`] when there is none in time.
    pub async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, Away> {
        self.answer(Request::Script(script), true).await
    }

    /// The answer of a script that runs at most once. Without an answer nobody knows whether it did.
    ///
    /// # Errors
    /// [`Away`] when there is none in time.
    pub async fn run_once<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, Away> {
        self.answer(Request::Script(script), false).await
    }

    /// Answers when Redis does, also while others do not look.
    ///
    /// # Errors
    /// [`Away`] when it does not.
    pub async fn check(&self) -> Result<(), Away> {
        let answer = self.try_often(Request::Command(&redis::cmd("PING")), false).await;
        self.note(answer.as_ref().err());
        answer.map(|_| ())
    }

    /// A connection that listens. It breaks some time; whoever listens then asks for another one.
    ///
    /// # Errors
    /// What keeps it from being made.
    pub(crate) async fn listen<E: 'static>(
        &self,
        on_push: impl Fn(PushInfo) -> Result<(), E> + Send + Sync + 'static,
    ) -> Result<Ear, RedisError> {
        Ear::open(&self.address, on_push).await
    }

    /// Whether it is a Cluster.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.address.cluster
    }

    /// Whether calls fail at once because Redis did not answer.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.condition().rests_until.is_some()
    }

    async fn answer<T: FromRedisValue>(&self, request: Request<'_>, again: bool) -> Result<T, Away> {
        if !self.condition().admits(Instant::now()) {
            return Err(Away::Resting);
        }
        let answer = self.try_often(request, again).await;
        self.note(answer.as_ref().err());
        from_redis_value(answer?).map_err(|error| Away::Failed(Arc::new(error.into())))
    }

    async fn try_often(&self, request: Request<'_>, again: bool) -> Result<Value, Away> {
        let mut last = None;
        let attempts = async {
            let mut pause = limits::REDIS_RETRY_PAUSE;
            for _ in 0..=limits::REDIS_ATTEMPTS {
                match self.attempt(request).await {
                    Ok(value) => return Some(value),
                    Err(error) => {
                        let ends = !is_passing(&error) || !(again || was_not_done(&error));
                        last = Some(error);
                        if ends {
                            return None;
                        }
                    }
                }
                sleep(pause).await;
                pause *= 2;
            }
            None
        };
        let answer = timeout(limits::REDIS_TIME, attempts).await;
        answer.ok().flatten().ok_or_else(|| last.map_or(Away::Late, |error| Away::Failed(Arc::new(error))))
    }

    async fn attempt(&self, request: Request<'_>) -> Result<Value, RedisError> {
        let mut link = self.link().await?;
        match request {
            Request::Command(command) => command.query_async(&mut link).await,
            Request::Script(script) => script.invoke_async(&mut link).await,
        }
    }

    async fn link(&self) -> Result<Link, RedisError> {
        match self.pool.get().await {
            Ok(link) => Ok((*link).clone()),
            Err(PoolError::Backend(error)) => Err(error),
            Err(error) => Err((ErrorKind::Io, "no connection", error.to_string()).into()),
        }
    }

    fn note(&self, failure: Option<&Away>) {
        let counts = match failure {
            Some(Away::Failed(error)) => is_passing(error),
            Some(Away::Late) => true,
            Some(Away::Resting) => return,
            None => false,
        };
        let turned = self.condition().note(counts, Instant::now());
        match (turned, failure) {
            (_, Some(error)) if !counts => {
                tracing::warn!(redis = %self.address, %error, "Redis refuses a call; going on without its answer");
            }
            (true, Some(error)) => {
                tracing::warn!(redis = %self.address, %error, "Redis does not answer; going on without it");
            }
            (true, None) => tracing::info!(redis = %self.address, "Redis answers again"),
            (false, _) => {}
        }
    }

    fn condition(&self) -> MutexGuard<'_, Condition> {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number of whole milliseconds, as Redis takes times.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Whether what failed may succeed a moment later: the connection, or the server as such.
fn is_passing(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, ReadOnly, TryAgain};
    let is_server =
        matches!(error.kind(), ErrorKind::Server(BusyLoading | ClusterDown | MasterDown | ReadOnly | TryAgain));
    is_server || error.is_io_error() || error.is_cluster_error() || error.is_timeout() || error.is_connection_dropped()
}

/// Whether an error says that nothing was done.
fn was_not_done(error: &RedisError) -> bool {
    error.is_connection_refusal() || matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::ClusterConnectionNotFound)
}

/// Whether Redis answers.
#[derive(Debug, Default)]
struct Condition {
    /// Calls that failed since the last that did not.
    failed: u32,
    /// Until when nobody looks; none: it answers.
    rests_until: Option<Instant>,
}

/// Calls that fail one after the other before Redis counts as away: of a Cluster a part may answer.
const FAILURES: u32 = 3;

impl Condition {
    /// Whether a call may go out now. While Redis is away one at a time may, to look whether it is back.
    fn admits(&mut self, now: Instant) -> bool {
        match self.rests_until {
            None => true,
            Some(until) if until > now => false,
            Some(_) => {
                self.rests_until = Some(now + limits::REDIS_REST);
                true
            }
        }
    }

    /// Remembers how a call went; whether that changes what is thought of Redis.
    fn note(&mut self, failed: bool, now: Instant) -> bool {
        let was_away = self.rests_until.is_some();
        if !failed {
            *self = Self::default();
            return was_away;
        }
        self.failed = self.failed.saturating_add(1);
        if self.failed >= FAILURES {
            self.rests_until = Some(now + limits::REDIS_REST);
        }
        !was_away && self.rests_until.is_some()
    }
}
