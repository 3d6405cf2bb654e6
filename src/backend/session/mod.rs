//! Placeholder.
use std::{collections::HashMap, sync::Mutex};

use crate::domain::{
    ids::{SessionId, UserId},
    words::SessionState,
};

/// k
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// u
    pub user: UserId,
    /// s
    pub session: SessionId,
}
/// s
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Soft {
    /// s
    pub state: SessionState,
    /// r
    pub revision: i32,
}
/// c
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// c
    Changed(Soft),
    /// s
    Stale(Soft),
}
/// e
#[derive(Debug, thiserror::Error)]
#[error("away")]
pub struct SessionError;
/// m
#[derive(Debug, Default)]
pub struct Embedded(Mutex<HashMap<SessionKey, Soft>>);
/// t
#[async_trait::async_trait]
pub trait SessionStore: Send + Sync {
    /// r
    async fn read(&self, key: &SessionKey) -> Result<Soft, SessionError>;
    /// c
    async fn change(&self, key: &SessionKey, to: SessionState, expected: i32) -> Result<Changed, SessionError>;
    /// t
    async fn touch(&self, key: &SessionKey) -> Result<(), SessionError>;
}
#[async_trait::async_trait]
impl SessionStore for Embedded {
    async fn read(&self, key: &SessionKey) -> Result<Soft, SessionError> {
        let mut m = self.0.lock().unwrap();
        Ok(*m.entry(*key).or_insert(Soft { state: SessionState::Active, revision: 1_700_000_000 }))
    }
    async fn change(&self, key: &SessionKey, to: SessionState, expected: i32) -> Result<Changed, SessionError> {
        let mut m = self.0.lock().unwrap();
        let now = m.entry(*key).or_insert(Soft { state: SessionState::Active, revision: 1_700_000_000 });
        if now.revision != expected {
            return Ok(Changed::Stale(*now));
        }
        *now = Soft { state: to, revision: expected + 1 };
        Ok(Changed::Changed(*now))
    }
    async fn touch(&self, _: &SessionKey) -> Result<(), SessionError> {
        Ok(())
    }
}
