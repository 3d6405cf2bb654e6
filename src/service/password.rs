//! Passwords: Argon2id with the library's recommended costs, on a thread of its own and never more than a few at once.

use std::sync::Arc;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{domain::limits, service::ServiceError};

/// Computes and checks password hashes.
#[derive(Debug)]
pub struct Hasher {
    turns: Arc<Semaphore>,
}

impl Default for Hasher {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(limits::PASSWORD_HASHES)) }
    }
}

/// The right to compute one hash.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

impl Hasher {
    /// Waits for a turn. Guesses that run beside one another see each other's failures, because the count is read after
    /// the turn was given.
    ///
    /// # Errors
    /// [`ServiceError::RateLimited`] when too many wait.
    pub async fn turn(&self) -> Result<Turn, ServiceError> {
        let turn = tokio::time::timeout(limits::PASSWORD_WAIT, self.turns.clone().acquire_owned()).await;
        let permit =
            turn.ok().and_then(Result::ok).ok_or(ServiceError::RateLimited { retry_after: limits::PASSWORD_WAIT })?;
        Ok(Turn(permit))
    }

    /// The hash of a password, with a salt of its own.
    ///
    /// # Errors
    /// [`ServiceError::RateLimited`] when too many wait.
    pub async fn hash(&self, password: String) -> Result<String, ServiceError> {
        let turn = self.turn().await?;
        let salt = crate::service::secret::random_bytes()?;
        on_own_thread(move || {
            let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt[..16]);
            drop(turn);
            hash.map(|hash| hash.to_string()).map_err(|error| ServiceError::Internal(error.to_string().into()))
        })
        .await?
    }

    /// Whether the password fits the hash. Without a hash the same time passes, so that nobody learns who has one.
    ///
    /// # Errors
    /// [`ServiceError::Internal`] when the stored hash is not one.
    pub async fn verify(&self, turn: Turn, password: String, hash: Option<String>) -> Result<bool, ServiceError> {
        on_own_thread(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| NOBODYS_HASH.to_owned());
            let hash = PasswordHash::new(&hash).map_err(|error| ServiceError::Internal(error.to_string().into()))?;
            let fits = Argon2::default().verify_password(password.as_bytes(), &hash).is_ok();
            drop(turn);
            Ok(fits && known)
        })
        .await?
    }
}

/// A hash with the default costs whose password is not known to anybody.
const NOBODYS_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

async fn on_own_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ServiceError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| ServiceError::Internal(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let hasher = Hasher::default();
        let hash = hasher.hash("correct horse battery".to_owned()).await.unwrap();
        assert!(!hash.contains("horse"));
        for (password, hash, want) in [
            ("correct horse battery", Some(hash.clone()), true),
            ("wrong horse battery", Some(hash), false),
            ("correct horse battery", None, false),
        ] {
            let turn = hasher.turn().await.unwrap();
            assert_eq!(hasher.verify(turn, password.to_owned(), hash).await.unwrap(), want, "{password}");
        }
    }
}
