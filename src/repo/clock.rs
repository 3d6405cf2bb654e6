//! The one clock. Leases, expiries, row and event times use only it, so that replicas with wrong clocks agree.
//!
//! On PostgreSQL it is the database's `clock_timestamp()`, written into the statement; on SQLite it is this process's,
//! the only machine there is. Its offset is zero outside tests.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant},
};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use sea_orm::sea_query::{Expr, Query};
use tokio::sync::watch;

use crate::repo::{Conn, RepoError};

/// The offset tests move; everything else about the clock is in the database.
#[derive(Debug)]
pub struct Clock {
    offset_us: AtomicI64,
    started: Instant,
    /// Wakes who sleeps when the clock is moved.
    moved: watch::Sender<()>,
}

impl Default for Clock {
    fn default() -> Self {
        Self { offset_us: AtomicI64::new(0), started: Instant::now(), moved: watch::Sender::new(()) }
    }
}

impl Clock {
    /// Moves the clock forward, for tests of what time does.
    pub fn advance(&self, by: Duration) {
        self.offset_us.fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::Relaxed);
        self.moved.send_replace(());
    }

    /// By how much the clock was moved: zero outside tests.
    #[must_use]
    pub fn offset(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.offset_us.load(Ordering::Relaxed)).unwrap_or(0))
    }

    /// Sleeps until the process has been running that long, see [`Clock::uptime`].
    pub async fn sleep_until(&self, uptime: Duration) {
        let mut moves = self.moved.subscribe();
        loop {
            let left = uptime.saturating_sub(self.uptime());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                _ = moves.changed() => {}
            }
        }
    }

    /// How long this process has been running, whatever is done to its clock: for waits within it.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed() + self.offset()
    }

    /// This process's view of the time, in whole microseconds: for what never meets the database's time, such as the
    /// expiry of a signed URL.
    #[must_use]
    pub fn process_now(&self) -> DateTime<Utc> {
        (Utc::now() + TimeDelta::microseconds(self.offset_us.load(Ordering::Relaxed))).trunc_subsecs(6)
    }
}

/// The time now, for rows that a batch makes at once.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn read(conn: &impl Conn) -> Result<DateTime<Utc>, RepoError> {
    let select = Query::select().expr_as(now(conn), "at").to_owned();
    Ok(conn.query_one(&select).await?.ok_or(RepoError::NotFound)?.try_get("", "at")?)
}

/// SQL for the time now.
pub(super) fn now(conn: &impl Conn) -> Expr {
    now_plus(conn, 0)
}

/// SQL for the time `seconds` from now (before now when negative).
pub(super) fn now_plus(conn: &impl Conn, seconds: i64) -> Expr {
    if conn.is_sqlite() {
        return Expr::value(conn.clock().process_now() + TimeDelta::seconds(seconds));
    }
    let offset_us = conn.clock().offset_us.load(Ordering::Relaxed) + seconds * 1_000_000;
    match offset_us {
        0 => Expr::cust("clock_timestamp()"),
        _ => Expr::cust_with_values("(clock_timestamp() + $1 * interval '1 microsecond')", [offset_us]),
    }
}

/// [`now`] for a condition: read once when its statement starts. A time that may be another for each row lets no index
/// be used.
pub(super) fn start(conn: &impl Conn) -> Expr {
    start_plus(conn, 0)
}

/// [`now_plus`], as of [`start`].
pub(super) fn start_plus(conn: &impl Conn, seconds: i64) -> Expr {
    let at = now_plus(conn, seconds);
    if conn.is_sqlite() { at } else { Expr::SubQuery(None, Box::new(Query::select().expr(at).to_owned().into())) }
}

/// SQL for the microseconds since 1970, which order the claim queue.
pub(super) fn now_us(conn: &impl Conn) -> Expr {
    now_us_plus(conn, 0)
}

/// SQL for [`now_us`] plus some: one bound value, like every other column of a row.
pub(super) fn now_us_plus(conn: &impl Conn, us: i64) -> Expr {
    if conn.is_sqlite() {
        return Expr::value(conn.clock().process_now().timestamp_micros() + us);
    }
    let offset_us = conn.clock().offset_us.load(Ordering::Relaxed) + us;
    Expr::cust_with_values("((extract(epoch FROM clock_timestamp()) * 1000000)::bigint + $1)", [offset_us])
}
