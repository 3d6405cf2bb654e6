//! Presences in Redis, and in the memory of this process while Redis has no answer: without Redis people go on.
//!
//! Signs of life are noted in both, so that those who are heard here are still shown when Redis goes. Of those who are
//! heard by other replicas nothing is known then; they are shown again with their first sign of life once Redis is back.
//! Someone whom another replica forgot is shown for no longer than an entry is kept.

use super::{EmbeddedPresence, Noted, PresenceError, PresenceStore, Present, RedisPresence, Selection};
use crate::domain::ids::{SessionId, TaskId};

/// Redis, or this process alone. Never unavailable.
#[derive(Debug)]
pub struct DegradablePresence {
    redis: RedisPresence,
    alone: EmbeddedPresence,
}

impl DegradablePresence {
    /// In Redis, and `alone` while that is away.
    #[must_use]
    pub fn new(redis: RedisPresence, alone: EmbeddedPresence) -> Self {
        Self { redis, alone }
    }
}

#[async_trait::async_trait]
impl PresenceStore for DegradablePresence {
    async fn note(&self, task: TaskId, present: Present, selection: Selection) -> Result<Noted, PresenceError> {
        let alone = self.alone.note(task, present.clone(), selection).await?;
        // Who asks Redis says that it is away, once an outage.
        Ok(self.redis.note(task, present, selection).await.unwrap_or(alone))
    }

    async fn forget(&self, task: TaskId, session: SessionId) -> Result<bool, PresenceError> {
        let alone = self.alone.forget(task, session).await?;
        // What Redis cannot be told runs out there by itself.
        Ok(self.redis.forget(task, session).await.unwrap_or(alone))
    }

    async fn of(&self, task: TaskId) -> Result<Vec<Present>, PresenceError> {
        match self.redis.of(task).await {
            Ok(list) => Ok(list),
            Err(PresenceError::Unavailable(_)) => self.alone.of(task).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::Utc;

    use super::*;
    use crate::{
        backend::{
            presence::conformance::{self, present},
            redis::Redis,
            servers::redis::{self as servers, shared, shared_cluster},
            session::conformance::{Later, until},
        },
        domain::ids::AnnotationId,
    };

    fn store(url: &str, later: &Later) -> (Redis, DegradablePresence) {
        let (redis, offset, now) = (Redis::at(url), later.clone(), later.clone());
        let of_redis = RedisPresence::new(redis.clone(), move || offset.by());
        (redis, DegradablePresence::new(of_redis, EmbeddedPresence::new(move || Utc::now() + now.by())))
    }

    async fn keeps_the_contract(url: &str) {
        let later = Later::default();
        conformance::run([Arc::new(store(url, &later).1), Arc::new(store(url, &later).1)], &later).await;
    }

    #[tokio::test]
    async fn with_redis_it_keeps_the_contract() {
        keeps_the_contract(&shared().url()).await;
    }

    #[tokio::test]
    async fn with_a_cluster_it_keeps_the_contract() {
        keeps_the_contract(&shared_cluster().url()).await;
    }

    #[tokio::test]
    async fn without_redis_one_process_keeps_the_contract() {
        let server = servers::Redis::start(&[]);
        let later = Later::default();
        let store = Arc::new(store(&server.url(), &later).1);
        assert_eq!(store.of(TaskId::generate()).await.unwrap(), []);
        server.kill();
        conformance::run([store.clone(), store], &later).await;
    }

    #[tokio::test]
    async fn redis_goes_and_comes_back_and_those_heard_here_stay() {
        let server = servers::Redis::start(&[]);
        let later = Later::default();
        let ((redis, here), (_, there)) = (store(&server.url(), &later), store(&server.url(), &later));
        let (task, one, other) = (TaskId::generate(), present(), present());
        let selected = Some(AnnotationId::generate());
        here.note(task, one.clone(), Selection::Now(selected)).await.unwrap();
        there.note(task, other.clone(), Selection::Kept).await.unwrap();
        let one = Present { selected, ..one };
        assert_eq!(here.of(task).await.unwrap(), [one.clone(), other.clone()]);

        server.pause();
        assert_eq!(here.of(task).await.unwrap(), std::slice::from_ref(&one));
        assert_eq!(here.note(task, one.clone(), Selection::Kept).await.unwrap(), Noted::Same);
        assert_eq!(here.of(task).await.unwrap(), std::slice::from_ref(&one));

        server.resume();
        until("Redis is back", async || redis.check().await.is_ok()).await;
        assert_eq!(here.of(task).await.unwrap(), [one.clone(), other]);

        server.kill();
        assert!(here.forget(task, one.session).await.unwrap());
        assert_eq!(here.of(task).await.unwrap(), []);
        server.come_back();
        until("Redis is back", async || redis.check().await.is_ok()).await;
        assert_eq!(here.note(task, one.clone(), Selection::Kept).await.unwrap(), Noted::New);
        assert_eq!(there.of(task).await.unwrap(), [Present { selected: None, ..one }]);
    }
}
