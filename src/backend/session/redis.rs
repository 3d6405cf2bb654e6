//! Soft states in Redis, where all replicas see the same: a key a session, `session_id:<user>:<session>`, that runs out by
//! itself. A key that holds anything else counts as not kept and is written over.
//!
//! Each call is one script, so that a change is one step. The time is that of Redis: the clocks of replicas may differ. It
//! is kept in the entry as well, so that tests can move it.

use std::{fmt, sync::LazyLock, time::Duration};

use deadpool_redis::redis::{Script, ScriptInvocation, cmd};

use super::{Change, SessionError, SessionKey, SessionStore, Soft, SoftState};
use crate::{
    backend::redis::{Away, Redis, millis},
    domain::{limits, words::SessionState},
};

/// The entry is `<state> <revision> <ends>`, `<ends>` in milliseconds since 1970; of what may come behind it later nothing
/// is read. A revision is as [`Soft::begun`] and [`Soft::changed`] have it.
static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local key, ask, ttl_ms, offset_ms, to, expected = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000) + offset_ms

local entry = redis.pcall('GET', key)
if type(entry) ~= 'string' then entry = '' end
local state, revision, ends_ms = string.match(entry, '^(%u+) (%d+) (%d+)')
revision, ends_ms = tonumber(revision), tonumber(ends_ms)
local is_word = state == 'ACTIVE' or state == 'PAUSED'
local is_kept = is_word and revision < 2147483648 and ends_ms > now_ms

local keep = ask ~= 'read'
if not is_kept then
  state, revision, keep = 'ACTIVE', math.floor(now_ms / 1000) % 2147483648, true
elseif ask == 'change' then
  keep = revision == expected
end
local made = ask == 'change' and revision == expected
if made then
  state, revision = to, (revision + 1) % 2147483648
end
if keep then
  redis.call('SET', key, string.format('%s %d %d', state, revision, now_ms + ttl_ms), 'PX', ttl_ms)
end
return {made and 1 or 0, state == 'PAUSED' and 1 or 0, revision}
",
    )
});

/// The sessions of all replicas of one Redis.
pub struct RedisSessions {
    redis: Redis,
    offset: Box<dyn Fn() -> Duration + Send + Sync>,
}

impl RedisSessions {
    /// In a Redis. `offset` is added to its time: zero outside tests.
    #[must_use]
    pub fn new(redis: Redis, offset: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { redis, offset: Box::new(offset) }
    }

    fn script(&self, ask: &str, key: SessionKey) -> ScriptInvocation<'static> {
        let mut script = SCRIPT.key(key.to_string());
        script.arg(ask).arg(millis(limits::SESSION_TTL)).arg(millis((self.offset)()));
        script
    }

    async fn see(&self, ask: &str, key: SessionKey) -> Result<Soft, SessionError> {
        let (_, is_paused, revision): (bool, bool, i32) = self.redis.run(&self.script(ask, key)).await?;
        Ok(soft(is_paused, revision))
    }
}

fn soft(is_paused: bool, revision: i32) -> Soft {
    let state = if is_paused { SoftState::Paused } else { SoftState::Active };
    Soft { state, revision }
}

impl fmt::Debug for RedisSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSessions").field("redis", &self.redis).finish_non_exhaustive()
    }
}

impl From<Away> for SessionError {
    fn from(away: Away) -> Self {
        Self::Unavailable(Box::new(away))
    }
}

#[async_trait::async_trait]
impl SessionStore for RedisSessions {
    async fn read(&self, key: SessionKey) -> Result<Soft, SessionError> {
        self.see("read", key).await
    }

    async fn touch(&self, key: SessionKey) -> Result<Soft, SessionError> {
        self.see("touch", key).await
    }

    async fn change(&self, key: SessionKey, to: SoftState, expected_revision: i32) -> Result<Change, SessionError> {
        let mut script = self.script("change", key);
        script.arg(SessionState::from(to).as_str()).arg(expected_revision);
        // Once: sent again it would find its own change and call itself stale.
        let (made, is_paused, revision): (bool, bool, i32) = self.redis.run_once(&script).await?;
        let soft = soft(is_paused, revision);
        Ok(if made { Change::Changed(soft) } else { Change::Stale(soft) })
    }

    async fn forget(&self, key: SessionKey) -> Result<(), SessionError> {
        Ok(self.redis.ask(cmd("DEL").arg(key.to_string())).await?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{
        super::conformance::{self, Later, key, paused_session, until},
        *,
    };
    use crate::backend::servers::redis::{self as servers, shared, shared_cluster};

    fn sessions(url: &str, later: &Later) -> RedisSessions {
        let later = later.clone();
        RedisSessions::new(Redis::at(url), move || later.by())
    }

    async fn keeps_the_contract(url: &str) {
        let later = Later::default();
        conformance::run([Arc::new(sessions(url, &later)), Arc::new(sessions(url, &later))], &later).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn redis_keeps_the_contract() {
        keeps_the_contract(&shared().url()).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_cluster_keeps_the_contract() {
        keeps_the_contract(&shared_cluster().url()).await;
    }

    /// Milliseconds that Redis still keeps a session.
    fn left(server: &servers::Redis, key: SessionKey) -> u64 {
        server
            .cli(&["PTTL", &key.to_string()])
            .parse()
            .unwrap_or_else(|_| panic!("{key} is kept for ever, or not at all"))
    }

    #[tokio::test]
    async fn a_key_runs_out_by_itself_and_later_with_each_sign_of_life() {
        let (server, key) = (shared(), key());
        let sessions = sessions(&server.url(), &Later::default());
        let ttl = millis(limits::SESSION_TTL);
        let nearly_new = ttl - 60_000..=ttl;
        let begun = sessions.read(key).await.unwrap();
        assert!(nearly_new.contains(&left(server, key)), "from its beginning");
        let grow_old = || server.cli(&["PEXPIRE", &key.to_string(), "600000"]);
        grow_old();
        sessions.read(key).await.unwrap();
        sessions.change(key, SoftState::Paused, 0).await.unwrap();
        assert!(left(server, key) <= 600_000, "neither a look nor a refused change is one");
        sessions.touch(key).await.unwrap();
        assert!(nearly_new.contains(&left(server, key)));
        grow_old();
        sessions.change(key, SoftState::Paused, begun.revision).await.unwrap();
        assert!(nearly_new.contains(&left(server, key)));
        sessions.forget(key).await.unwrap();
        assert_eq!(server.cli(&["EXISTS", &key.to_string()]), "0");
    }

    #[tokio::test]
    async fn a_redis_that_lost_everything_begins_anew() {
        let server = servers::Redis::start(&[]);
        let later = Later::default();
        let sessions = sessions(&server.url(), &later);
        let (key, is) = paused_session(&sessions).await;
        server.cli(&["FLUSHALL"]);
        later.move_by(Duration::from_secs(10));
        let Change::Stale(begun) = sessions.change(key, SoftState::Active, is.revision).await.unwrap() else {
            panic!("changed although it was lost");
        };
        assert_eq!(begun.state, SoftState::Active);
        assert!(begun.revision > is.revision, "{begun:?} after {is:?}");
    }

    #[tokio::test]
    async fn what_is_not_ours_is_written_over() {
        let server = shared();
        let sessions = sessions(&server.url(), &Later::default());
        for garbage in [
            &["SET", "key", ""][..],
            &["SET", "key", "PAUSED"],
            &["SET", "key", "ASLEEP 5 9999999999999"],
            &["SET", "key", "PAUSED -5 9999999999999"],
            &["SET", "key", "PAUSED 2147483648 9999999999999"],
            &["SET", "key", "PAUSED 5 5"],
            &["SET", "key", "\u{1}\n\u{7f}"],
            &["HSET", "key", "state", "PAUSED"],
            &["LPUSH", "key", "PAUSED 5 9999999999999"],
        ] {
            let key = key();
            let text = key.to_string();
            let put = || server.cli(&[&[garbage[0], &text], &garbage[2..]].concat());
            put();
            let begun = sessions.read(key).await.unwrap();
            assert!(begun.state == SoftState::Active && begun.revision > 1_700_000_000, "{garbage:?}: {begun:?}");
            assert_eq!(sessions.touch(key).await.unwrap(), begun, "{garbage:?}");
            server.cli(&["DEL", &text]);
            put();
            let Change::Stale(begun) = sessions.change(key, SoftState::Paused, 5).await.unwrap() else {
                panic!("{garbage:?} was taken for a session");
            };
            let changed = sessions.change(key, SoftState::Paused, begun.revision).await.unwrap();
            assert_eq!(changed, Change::Changed(begun.changed(SoftState::Paused)), "{garbage:?}");
        }
    }

    #[tokio::test]
    async fn what_a_newer_replica_says_besides_is_no_garbage() {
        let (server, key) = (shared(), key());
        server.cli(&["SET", &key.to_string(), "PAUSED 5 9999999999999 and more"]);
        let sessions = sessions(&server.url(), &Later::default());
        assert_eq!(sessions.read(key).await.unwrap(), Soft { state: SoftState::Paused, revision: 5 });
    }

    #[tokio::test]
    async fn the_highest_revision_is_followed_by_the_lowest() {
        let (server, key) = (shared(), key());
        server.cli(&["SET", &key.to_string(), "ACTIVE 2147483647 9999999999999"]);
        let sessions = sessions(&server.url(), &Later::default());
        let changed = sessions.change(key, SoftState::Paused, i32::MAX).await.unwrap();
        assert_eq!(changed, Change::Changed(Soft { state: SoftState::Paused, revision: 0 }));
    }

    /// Redis answers later than anybody waits for one answer, and earlier than a call would give up.
    #[tokio::test]
    async fn a_change_without_an_answer_is_not_sent_again() {
        let server = servers::Redis::start(&[]);
        let sessions = sessions(&server.url(), &Later::default());
        let key = key();
        let begun = sessions.read(key).await.unwrap();
        let late = limits::REDIS_ANSWER + (limits::REDIS_TIME - limits::REDIS_ANSWER) / 2;
        server.cli(&["CLIENT", "PAUSE", &millis(late).to_string(), "ALL"]);
        let answer = sessions.change(key, SoftState::Paused, begun.revision).await;
        assert!(!matches!(answer, Ok(Change::Stale(_))), "it met itself: {answer:?}");
        let made = begun.changed(SoftState::Paused);
        until("Redis has made it", async || sessions.read(key).await.is_ok_and(|is| is == made)).await;
    }

    #[tokio::test]
    async fn a_redis_that_is_away_is_said_to_be() {
        let server = servers::Redis::start(&[]);
        let sessions = sessions(&server.url(), &Later::default());
        let (key, is) = paused_session(&sessions).await;
        server.pause();
        assert!(sessions.read(key).await.is_err());
        assert!(sessions.touch(key).await.is_err());
        assert!(sessions.change(key, SoftState::Active, is.revision + 1).await.is_err());
        assert!(sessions.forget(key).await.is_err());
        server.kill();
        assert!(sessions.read(key).await.is_err());
    }
}
