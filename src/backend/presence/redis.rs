//! Presences in Redis, where all replicas see the same: a hash a task, `presence:{<task>}`, with a field a session, that
//! runs out by itself after the last sign of life. What cannot be read is nobody; a key that is no hash is written over.
//!
//! Each call is one script. The time is that of Redis: the clocks of replicas may differ. A call whose answer was lost is
//! made again; what it changed is then called the same, which costs readers of this process a few seconds.

use std::{fmt, str::from_utf8, sync::LazyLock, time::Duration};

use chrono::{DateTime, Utc};
use deadpool_redis::redis::{Script, ScriptInvocation};
use serde::{Deserialize, Serialize};

use super::{Noted, PresenceError, PresenceStore, Present, Selection};
use crate::{
    backend::redis::{Away, Redis, millis},
    domain::{
        ids::{SessionId, TaskId},
        limits,
        words::SessionRole,
    },
};

/// An entry is `<ends> <selected> <the rest>`: `<ends>` in milliseconds since 1970, `<selected>` an id or `-`, and the rest
/// as [`Rest`] writes it, which only replicas read.
static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local key, ask, ttl_ms, offset_ms, most, session = KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000) + offset_ms
if redis.call('TYPE', key).ok ~= 'hash' then
  redis.call('DEL', key)
end

-- When an entry ends, what is selected in it, and its rest; nothing of one that has ended.
local function read(entry)
  local ends_ms, selected, rest = string.match(entry or '', '^(%d+) (%S+) (.*)$')
  if ends_ms and tonumber(ends_ms) > now_ms then
    return tonumber(ends_ms), selected, rest
  end
end

-- Calls `see` with every entry that has not ended, and drops the others.
local function each(see)
  local all = redis.call('HGETALL', key)
  for at = 1, #all, 2 do
    local ends_ms, selected, rest = read(all[at + 1])
    if ends_ms then
      see(all[at], ends_ms, selected, rest)
    else
      redis.call('HDEL', key, all[at])
    end
  end
end

local function make_room()
  local count, first_ms, silent = 0, nil, nil
  each(function(other, ends_ms)
    count = count + 1
    if not first_ms or ends_ms < first_ms then
      first_ms, silent = ends_ms, other
    end
  end)
  if count >= most then
    redis.call('HDEL', key, silent)
  end
end

if ask == 'of' then
  local list = {}
  each(function(other, _, selected, rest)
    list[#list + 1] = {other, selected, rest}
  end)
  return list
end

local ends_ms, was = read(redis.call('HGET', key, session))
if ask == 'forget' then
  redis.call('HDEL', key, session)
  return ends_ms and 1 or 0
end
local selected, rest = ARGV[6], ARGV[7]
if selected == 'kept' then
  selected = was or '-'
end
if not ends_ms and redis.call('HLEN', key) >= most then
  make_room()
end
redis.call('HSET', key, session, string.format('%d %s %s', now_ms + ttl_ms, selected, rest))
redis.call('PEXPIRE', key, ttl_ms)
return ends_ms and (selected == was and 'same' or 'changed') or 'new'
",
    )
});

/// What of an entry no script reads, as JSON. A field more is one of a newer replica: it is ignored.
#[derive(Serialize, Deserialize)]
struct Rest {
    user: String,
    role: SessionRole,
    slot: Option<i32>,
    fence: i32,
    since: DateTime<Utc>,
}

/// The presences of all replicas of one Redis.
pub struct RedisPresence {
    redis: Redis,
    offset: Box<dyn Fn() -> Duration + Send + Sync>,
}

impl RedisPresence {
    /// In a Redis. `offset` is added to its time: zero outside tests.
    #[must_use]
    pub fn new(redis: Redis, offset: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { redis, offset: Box::new(offset) }
    }

    fn script(&self, ask: &str, task: TaskId) -> ScriptInvocation<'static> {
        let mut script = SCRIPT.key(format!("presence:{{{task}}}"));
        script.arg(ask).arg(millis(limits::PRESENCE_TTL)).arg(millis((self.offset)())).arg(limits::PRESENT);
        script
    }
}

impl fmt::Debug for RedisPresence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisPresence").field("redis", &self.redis).finish_non_exhaustive()
    }
}

impl From<Away> for PresenceError {
    fn from(away: Away) -> Self {
        Self::Unavailable(Box::new(away))
    }
}

const NOTHING: &str = "-";

#[async_trait::async_trait]
impl PresenceStore for RedisPresence {
    async fn note(&self, task: TaskId, present: Present, selection: Selection) -> Result<Noted, PresenceError> {
        let Present { session, user, role, slot, fence, since, selected: _ } = present;
        let rest = Rest { user: user.to_string(), role, slot, fence, since };
        let rest = serde_json::to_string(&rest).map_err(|error| PresenceError::Unavailable(Box::new(error)))?;
        let selected = match selection {
            Selection::Kept => "kept".to_owned(),
            Selection::Now(selected) => {
                selected.map_or_else(|| NOTHING.to_owned(), |annotation| annotation.to_string())
            }
        };
        let mut script = self.script("note", task);
        script.arg(session.to_string()).arg(selected).arg(rest);
        let noted: String = self.redis.run(&script).await?;
        Ok(match noted.as_str() {
            "new" => Noted::New,
            "changed" => Noted::Changed,
            _ => Noted::Same,
        })
    }

    async fn forget(&self, task: TaskId, session: SessionId) -> Result<bool, PresenceError> {
        let mut script = self.script("forget", task);
        script.arg(session.to_string());
        Ok(self.redis.run(&script).await?)
    }

    async fn of(&self, task: TaskId) -> Result<Vec<Present>, PresenceError> {
        let list: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> = self.redis.run(&self.script("of", task)).await?;
        let mut list: Vec<Present> =
            list.iter().filter_map(|(session, selected, rest)| present(session, selected, rest)).collect();
        list.sort_by_key(|present| present.session);
        Ok(list)
    }
}

/// An entry as it was read; none when it is not ours, or of a newer replica that knows more than this one.
fn present(session: &[u8], selected: &[u8], rest: &[u8]) -> Option<Present> {
    let Rest { user, role, slot, fence, since } = serde_json::from_slice(rest).ok()?;
    let selected = match from_utf8(selected).ok()? {
        NOTHING => None,
        annotation => Some(annotation.parse().ok()?),
    };
    let session = from_utf8(session).ok()?.parse().ok()?;
    Some(Present { session, user: user.parse().ok()?, role, slot, fence, since, selected })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{super::conformance::present as some, *};
    use crate::{
        backend::{
            presence::conformance,
            servers::redis::{self as servers, shared, shared_cluster},
            session::conformance::Later,
        },
        domain::ids::AnnotationId,
    };

    fn store(url: &str, later: &Later) -> RedisPresence {
        let later = later.clone();
        RedisPresence::new(Redis::at(url), move || later.by())
    }

    async fn keeps_the_contract(url: &str) {
        let later = Later::default();
        conformance::run([Arc::new(store(url, &later)), Arc::new(store(url, &later))], &later).await;
    }

    #[tokio::test]
    async fn redis_keeps_the_contract() {
        keeps_the_contract(&shared().url()).await;
    }

    #[tokio::test]
    async fn a_cluster_keeps_the_contract() {
        keeps_the_contract(&shared_cluster().url()).await;
    }

    fn key(task: TaskId) -> String {
        format!("presence:{{{task}}}")
    }

    #[tokio::test]
    async fn a_task_runs_out_by_itself_and_later_with_each_sign_of_life() {
        let (server, task, entry) = (shared(), TaskId::generate(), some());
        let store = store(&server.url(), &Later::default());
        let left = || server.cli(&["PTTL", &key(task)]).parse::<u64>().expect("it is kept, and not for ever");
        let ttl = millis(limits::PRESENCE_TTL);
        store.note(task, entry.clone(), Selection::Kept).await.unwrap();
        assert!((ttl / 2..=ttl).contains(&left()));
        server.cli(&["PEXPIRE", &key(task), "10000"]);
        store.of(task).await.unwrap();
        assert!(left() <= 10_000, "a look is no sign of life");
        store.note(task, entry.clone(), Selection::Kept).await.unwrap();
        assert!((ttl / 2..=ttl).contains(&left()));
        store.forget(task, entry.session).await.unwrap();
        assert_eq!(server.cli(&["EXISTS", &key(task)]), "0");
    }

    #[tokio::test]
    async fn a_redis_that_lost_everything_learns_it_anew() {
        let server = servers::Redis::start(&[]);
        let store = store(&server.url(), &Later::default());
        let (task, entry) = (TaskId::generate(), some());
        let selected = Selection::Now(Some(AnnotationId::generate()));
        store.note(task, entry.clone(), selected).await.unwrap();
        server.cli(&["FLUSHALL"]);
        assert_eq!(store.of(task).await.unwrap(), []);
        assert_eq!(store.note(task, entry.clone(), Selection::Kept).await.unwrap(), Noted::New);
        assert_eq!(store.of(task).await.unwrap(), [entry]);
    }

    #[tokio::test]
    async fn what_is_not_ours_is_written_over() {
        let server = shared();
        let store = store(&server.url(), &Later::default());
        for garbage in [&["SET", "key", "x"][..], &["LPUSH", "key", "x"], &["ZADD", "key", "1", "x"]] {
            let (task, entry) = (TaskId::generate(), some());
            let text = key(task);
            let put = || server.cli(&[&[garbage[0], &text], &garbage[2..]].concat());
            put();
            assert_eq!(store.of(task).await.unwrap(), [], "{garbage:?}");
            put();
            assert!(!store.forget(task, entry.session).await.unwrap(), "{garbage:?}");
            put();
            assert_eq!(store.note(task, entry.clone(), Selection::Kept).await.unwrap(), Noted::New, "{garbage:?}");
            assert_eq!(store.of(task).await.unwrap(), [entry], "{garbage:?}");
        }
    }

    const REST: &str = r#"{"user":"USER","role":"HOLDER","slot":2,"fence":3,"since":"2026-09-26T09:00:00.123456Z"}"#;

    #[tokio::test]
    async fn entries_that_cannot_be_read_are_nobody() {
        let (server, task, entry) = (shared(), TaskId::generate(), some());
        let store = store(&server.url(), &Later::default());
        store.note(task, entry.clone(), Selection::Kept).await.unwrap();
        let session = SessionId::generate().to_string();
        let rest = REST.replace("USER", &entry.user.to_string());
        for (case, session, value) in [
            ("empty", &*session, String::new()),
            ("ends never", &session, format!("never - {rest}")),
            ("ended", &session, format!("5 - {rest}")),
            ("a selection of what is none", &session, format!("9999999999999 {} {rest}", entry.user)),
            ("a role of a newer replica", &session, format!("9999999999999 - {}", rest.replace("HOLDER", "OWNER"))),
            ("no JSON", &session, "9999999999999 - {".to_owned()),
            ("no session", "key", format!("9999999999999 - {rest}")),
        ] {
            server.cli(&["HSET", &key(task), session, &value]);
            assert_eq!(store.of(task).await.unwrap(), std::slice::from_ref(&entry), "{case}");
        }
        let noted = store.note(task, Present { session: session.parse().unwrap(), ..some() }, Selection::Kept).await;
        noted.unwrap();
        assert_eq!(store.of(task).await.unwrap().len(), 2, "a sign of life writes over it");
    }

    #[tokio::test]
    async fn what_a_newer_replica_says_besides_is_no_garbage() {
        let (server, task, entry) = (shared(), TaskId::generate(), some());
        let store = store(&server.url(), &Later::default());
        let rest = REST.replace("USER", &entry.user.to_string()).replace(r#""slot""#, r#""mood":"good","slot""#);
        let value = format!("9999999999999 - {rest}");
        server.cli(&["HSET", &key(task), &entry.session.to_string(), &value]);
        assert_eq!(
            store.of(task).await.unwrap(),
            [Present { since: "2026-09-26T09:00:00.123456Z".parse().unwrap(), ..entry }]
        );
    }

    #[tokio::test]
    async fn who_ran_out_makes_room_before_who_is_alive() {
        let server = shared();
        let later = Later::default();
        let (store, task) = (store(&server.url(), &later), TaskId::generate());
        for _ in 0..limits::PRESENT - 1 {
            store.note(task, some(), Selection::Kept).await.unwrap();
        }
        later.move_by(limits::PRESENCE_TTL - Duration::from_secs(5));
        let first = some();
        store.note(task, first.clone(), Selection::Kept).await.unwrap();
        later.move_by(Duration::from_secs(10));
        let second = some();
        store.note(task, second.clone(), Selection::Kept).await.unwrap();
        assert_eq!(server.cli(&["HLEN", &key(task)]), "2");
        assert_eq!(store.of(task).await.unwrap(), [first, second]);
    }

    #[tokio::test]
    async fn a_redis_that_is_away_is_said_to_be() {
        let server = servers::Redis::start(&[]);
        let store = store(&server.url(), &Later::default());
        let (task, entry) = (TaskId::generate(), some());
        store.note(task, entry.clone(), Selection::Kept).await.unwrap();
        server.pause();
        assert!(store.of(task).await.is_err());
        assert!(store.note(task, entry.clone(), Selection::Kept).await.is_err());
        assert!(store.forget(task, entry.session).await.is_err());
        server.kill();
        assert!(store.of(task).await.is_err());
    }
}
