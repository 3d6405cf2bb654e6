//! The use cases, by aggregate. Each is one function: it looks at the asker's rights, opens the one transaction, asks the
//! pure rules, writes, appends the events and commits. Resolvers, handlers and commands only parse, call and wrap.

pub mod access_token;
pub mod asset;
mod asset_facts;
mod error;
pub mod event;
pub mod identity;
pub mod node;
pub mod password;
pub mod project;
mod secret;
pub mod sign_in;
mod signed_url;
pub mod stats;
pub mod task;
mod task_input;
pub mod template;
pub mod user;
mod validate;

use std::sync::Arc;

pub use error::ServiceError;
pub use identity::Viewer;

use crate::{backend::storage::Storage, repo::Db};

/// What the use cases work with. Made once, by the composition root.
pub struct App {
    /// The database: the only truth.
    pub db: Db,
    /// Where the bytes of assets are.
    pub storage: Arc<dyn Storage>,
    /// The address people reach this server at, without a slash at its end.
    pub public_url: String,
    /// Signs URLs of files.
    pub(crate) urls: signed_url::Signer,
    /// Bounds password hashing, which is made to be slow.
    pub(crate) passwords: password::Hasher,
    /// Statistics that are costly to compute.
    pub(crate) stats: stats::Cache,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("public_url", &self.public_url).finish_non_exhaustive()
    }
}

impl App {
    /// Puts the use cases together over their backends; makes the installation's signing key at the first start.
    ///
    /// # Errors
    /// [`ServiceError`] when the database does not answer.
    pub async fn new(db: Db, storage: Arc<dyn Storage>, public_url: String) -> Result<Self, ServiceError> {
        let key = crate::repo::instance::signing_key(&db, &secret::random_bytes()?).await?;
        Ok(Self {
            urls: signed_url::Signer::new(&key, &public_url),
            passwords: password::Hasher::default(),
            stats: stats::Cache::default(),
            db,
            storage,
            public_url,
        })
    }
}
