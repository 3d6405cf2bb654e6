//! Where the bytes of assets are. The database says which objects exist; a storage only keeps bytes under keys.
//!
//! Contract: [`Storage::put`] is all or nothing: an object appears complete or not at all, replacing the one before.
//! What was put is what is read, also after the process was killed. Keys are ours (`<project>/<asset>/<sending>`), never a user's
//! text. A body that runs out of room or is away says [`StorageError::Unavailable`] and leaves nothing behind.

use std::{io, ops::Range, pin::Pin};

use bytes::Bytes;
use futures::Stream;

#[cfg(test)]
mod conformance;
mod file;

pub use file::FileStorage;

/// Bytes as they come.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// Why bytes could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// No object under this key.
    #[error("no such object")]
    NotFound,
    /// The stream held more bytes than were allowed.
    #[error("more than {limit} bytes")]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// The sender stopped half-way.
    #[error("the upload broke off: {0}")]
    Interrupted(#[source] io::Error),
    /// The storage is away or full.
    #[error("the storage is not available: {0}")]
    Unavailable(#[source] io::Error),
}

/// A place for bytes.
#[async_trait::async_trait]
pub trait Storage: Send + Sync {
    /// Stores a stream of at most `limit` bytes under `key`; gives the number of bytes.
    async fn put(&self, key: &str, body: ByteStream, limit: u64) -> Result<u64, StorageError>;

    /// The number of bytes under `key`.
    async fn size(&self, key: &str) -> Result<u64, StorageError>;

    /// The bytes under `key`, all or those of `range` (end exclusive, within the object).
    async fn read(&self, key: &str, range: Option<Range<u64>>) -> Result<ByteStream, StorageError>;

    /// Forgets the object; that there is none is no error.
    async fn delete(&self, key: &str) -> Result<(), StorageError>;

    /// Whether objects can be written now, for the health page.
    async fn check(&self) -> Result<(), StorageError>;
}
