//! Soft states in Redis, and in the memory of this process while Redis has no answer: without Redis people go on.
//!
//! What they notice of that: their sessions are ACTIVE again, at a revision that begins at the time, and whoever expects one
//! that Redis gave out is told STALE with what is now. So it is once more when Redis is back: it knows nothing of what was
//! changed without it, a session is what Redis kept of it, and one paused meanwhile has to be paused again. While
//! Redis is away two replicas know different things of one session.
//!
//! A change whose answer is lost may have been made in Redis. It is asked of the memory all the same, and made once at most: it
//! expects a revision that was given out either by Redis or by this memory, and in the other place it is STALE. Whoever is
//! told so although Redis made it sees it when Redis is back.
//!
//! What Redis says is not copied into the memory: a replica would go on from what it heard last, and of two that each
//! make a change from one revision both would be told that theirs was made.

use super::{Change, EmbeddedSessions, RedisSessions, SessionError, SessionKey, SessionStore, Soft, SoftState};

/// Redis, or this process alone. Never unavailable.
#[derive(Debug)]
pub struct DegradableSessions {
    redis: RedisSessions,
    alone: EmbeddedSessions,
}

impl DegradableSessions {
    /// In Redis, and `alone` while that is away.
    #[must_use]
    pub fn new(redis: RedisSessions, alone: EmbeddedSessions) -> Self {
        Self { redis, alone }
    }

    /// What Redis says of a session; none: it has no answer. One that it knows is not kept beside it, or the next outage
    /// would bring back what was said in the last.
    async fn of_redis<T>(&self, key: SessionKey, answer: Result<T, SessionError>) -> Result<Option<T>, SessionError> {
        match answer {
            Ok(answer) => {
                self.alone.forget(key).await?;
                Ok(Some(answer))
            }
            // Who asks Redis says so, once an outage.
            Err(SessionError::Unavailable(_)) => Ok(None),
        }
    }
}

#[async_trait::async_trait]
impl SessionStore for DegradableSessions {
    async fn read(&self, key: SessionKey) -> Result<Soft, SessionError> {
        match self.of_redis(key, self.redis.read(key).await).await? {
            Some(soft) => Ok(soft),
            None => self.alone.read(key).await,
        }
    }

    async fn touch(&self, key: SessionKey) -> Result<Soft, SessionError> {
        match self.of_redis(key, self.redis.touch(key).await).await? {
            Some(soft) => Ok(soft),
            None => self.alone.touch(key).await,
        }
    }

    async fn change(&self, key: SessionKey, to: SoftState, expected_revision: i32) -> Result<Change, SessionError> {
        match self.of_redis(key, self.redis.change(key, to, expected_revision).await).await? {
            Some(change) => Ok(change),
            None => self.alone.change(key, to, expected_revision).await,
        }
    }

    async fn forget(&self, key: SessionKey) -> Result<(), SessionError> {
        // What Redis cannot be told runs out there by itself.
        match self.of_redis(key, self.redis.forget(key).await).await? {
            Some(()) => Ok(()),
            None => self.alone.forget(key).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use chrono::Utc;

    use super::{
        super::conformance::{self, Later, key, paused_session, until},
        *,
    };
    use crate::backend::{
        redis::Redis,
        servers::redis::{self as servers, shared, shared_cluster},
    };

    fn sessions(url: &str, later: &Later) -> (Redis, DegradableSessions) {
        let (redis, offset, now) = (Redis::at(url), later.clone(), later.clone());
        let of_redis = RedisSessions::new(redis.clone(), move || offset.by());
        (redis, DegradableSessions::new(of_redis, EmbeddedSessions::new(move || Utc::now() + now.by())))
    }

    async fn keeps_the_contract(url: &str) {
        let later = Later::default();
        conformance::run([Arc::new(sessions(url, &later).1), Arc::new(sessions(url, &later).1)], &later).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn with_redis_it_keeps_the_contract() {
        keeps_the_contract(&shared().url()).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn with_a_cluster_it_keeps_the_contract() {
        keeps_the_contract(&shared_cluster().url()).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn without_redis_one_process_keeps_the_contract() {
        let server = servers::Redis::start(&[]);
        let later = Later::default();
        let sessions = Arc::new(sessions(&server.url(), &later).1);
        let (key, _) = paused_session(&*sessions).await;
        server.kill();
        assert_eq!(sessions.read(key).await.unwrap().state, SoftState::Active, "it is lost");
        conformance::run([sessions.clone(), sessions], &later).await;
    }

    #[tokio::test]
    async fn redis_goes_and_comes_back_and_nobody_gets_an_error() {
        let server = servers::Redis::start(&[]);
        let later = Later::default();
        let (redis, sessions) = sessions(&server.url(), &later);
        let (key, of_redis) = paused_session(&sessions).await;
        server.pause();
        later.move_by(Duration::from_secs(10));
        let change = sessions.change(key, SoftState::Active, of_redis.revision + 1).await.unwrap();
        let Change::Stale(begun) = change else { panic!("an expectation of Redis is met without it: {change:?}") };
        assert_eq!(begun.state, SoftState::Active);
        assert!(begun.revision > of_redis.revision, "{begun:?} after {of_redis:?}");
        assert_eq!(sessions.touch(key).await.unwrap(), begun);
        let want = begun.changed(SoftState::Paused);
        assert_eq!(sessions.change(key, SoftState::Paused, begun.revision).await.unwrap(), Change::Changed(want));
        assert_eq!(sessions.read(key).await.unwrap(), want);

        server.resume();
        until("Redis is back", async || redis.check().await.is_ok()).await;
        let change = sessions.change(key, SoftState::Active, want.revision).await.unwrap();
        assert_eq!(change, Change::Stale(of_redis), "Redis knows nothing of what was without it");
        let active = of_redis.changed(SoftState::Active);
        assert_eq!(sessions.change(key, SoftState::Active, of_redis.revision).await.unwrap(), Change::Changed(active));

        server.kill();
        let again = sessions.read(key).await.unwrap();
        assert_eq!(again.state, SoftState::Active, "what was said in the last outage is not said in the next");
        sessions.forget(key).await.unwrap();
        later.move_by(Duration::from_secs(10));
        assert!(sessions.read(key).await.unwrap().revision > again.revision, "it was forgotten");
    }

    #[tokio::test]
    async fn a_change_without_an_answer_is_not_made_in_two_places() {
        let server = servers::Redis::start(&[]);
        let later = Later::default();
        let (redis, sessions) = sessions(&server.url(), &later);
        let key = key();
        let begun = sessions.read(key).await.unwrap();
        later.move_by(Duration::from_secs(10));
        server.pause();
        let change = sessions.change(key, SoftState::Paused, begun.revision).await.unwrap();
        assert!(matches!(change, Change::Stale(_)), "{change:?}");
        server.resume();
        until("Redis is back", async || redis.check().await.is_ok()).await;
        let now = sessions.read(key).await.unwrap();
        assert!([begun, begun.changed(SoftState::Paused)].contains(&now), "{now:?}");
    }

    #[tokio::test]
    async fn a_session_goes_on_while_its_part_of_a_cluster_is_away() {
        let cluster = servers::Cluster::start();
        let (_, sessions) = sessions(&cluster.url(), &Later::default());
        let (key, is) = paused_session(&sessions).await;
        let holders = || cluster.nodes.iter().filter(|node| node.cli(&["DBSIZE"]) == "1").count();
        until("its replica knows it", async || holders() == 2).await;
        cluster.master_of(&key.to_string()).kill();
        assert_eq!(sessions.touch(key).await.unwrap().state, SoftState::Active);
        until("the replica has taken over", async || sessions.read(key).await.unwrap() == is).await;
        let change = sessions.change(key, SoftState::Active, is.revision).await.unwrap();
        assert_eq!(change, Change::Changed(is.changed(SoftState::Active)));
    }
}
