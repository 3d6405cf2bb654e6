//! Secrets given to people and programs: 256 random bits behind a prefix that says what they open. Only their SHA-256 is
//! kept; a hash without salt is enough, because nothing about them can be guessed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::{repo::sign_in::SecretHash, service::ServiceError};

/// What a secret opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// The API, for a program.
    AccessToken,
    /// The API, for a person who signed in.
    Login,
    /// One sign-in.
    Link,
}

impl Purpose {
    const ALL: [Self; 3] = [Self::AccessToken, Self::Login, Self::Link];

    fn prefix(self) -> &'static str {
        match self {
            Self::AccessToken => "cat_",
            Self::Login => "cls_",
            Self::Link => "csl_",
        }
    }

    /// What a secret that a client sent claims to be.
    pub(crate) fn of(secret: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| secret.starts_with(purpose.prefix()))
    }
}

/// 32 bytes nobody can guess.
pub(crate) fn random_bytes() -> Result<[u8; 32], ServiceError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| ServiceError::Internal(Box::new(error)))?;
    Ok(bytes)
}

/// The name of an author of edits, unique in its task: 8 letters and digits, no secret.
pub(crate) fn actor() -> Result<String, ServiceError> {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
    let letter = |byte: &u8| char::from(LETTERS[usize::from(byte % 32)]);
    Ok(random_bytes()?.iter().take(8).map(letter).collect())
}

/// A new secret and its hash.
pub(crate) fn generate(purpose: Purpose) -> Result<(String, SecretHash), ServiceError> {
    let secret = format!("{}{}", purpose.prefix(), URL_SAFE_NO_PAD.encode(random_bytes()?));
    let hash = hash(&secret);
    Ok((secret, hash))
}

/// What is kept of a secret.
pub(crate) fn hash(secret: &str) -> SecretHash {
    Sha256::digest(secret).into()
}
