//! Objects as files of one folder. A file is written beside its place, synced and renamed into it.

use std::{
    io::{self, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::StreamExt;
use tokio::{
    fs::{self, File},
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
};
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::{ByteStream, Storage, StorageError};

/// Bytes read from a file at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Age at which a half-written file has no writer any more.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// The embedded default: a folder of this machine.
#[derive(Debug)]
pub struct FileStorage {
    root: PathBuf,
}

impl FileStorage {
    /// Opens (or makes) the folder and removes what a killed process left half written.
    ///
    /// # Errors
    /// The file system's.
    pub async fn open(root: PathBuf) -> io::Result<Self> {
        let incoming = root.join(INCOMING);
        fs::create_dir_all(&incoming).await?;
        let mut files = fs::read_dir(&incoming).await?;
        while let Some(file) = files.next_entry().await? {
            // Another process may be writing here right now: only what no upload can still be working on goes.
            let age = file.metadata().await?.modified()?.elapsed().unwrap_or_default();
            if age > ABANDONED {
                fs::remove_file(file.path()).await?;
            }
        }
        Ok(Self { root })
    }

    fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    async fn write(&self, path: &Path, mut body: ByteStream, limit: u64) -> Result<u64, StorageError> {
        let mut file = File::create(path).await.map_err(StorageError::Unavailable)?;
        let mut size = 0;
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(StorageError::Interrupted)?;
            size += chunk.len() as u64;
            if size > limit {
                return Err(StorageError::TooLarge { limit });
            }
            file.write_all(&chunk).await.map_err(StorageError::Unavailable)?;
        }
        file.flush().await.map_err(StorageError::Unavailable)?;
        file.sync_all().await.map_err(StorageError::Unavailable)?;
        Ok(size)
    }
}

/// The folder of files that are being written; on the same file system, so that renaming is atomic.
const INCOMING: &str = ".incoming";

#[async_trait::async_trait]
impl Storage for FileStorage {
    async fn put(&self, key: &str, body: ByteStream, limit: u64) -> Result<u64, StorageError> {
        let incoming = Incoming(self.root.join(INCOMING).join(Uuid::now_v7().to_string()));
        let size = self.write(&incoming.0, body, limit).await?;
        let path = self.path(key);
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).await.map_err(StorageError::Unavailable)?;
        fs::rename(&incoming.0, &path).await.map_err(StorageError::Unavailable)?;
        // The rename is durable only with its folder.
        let folder = File::open(folder).await.map_err(StorageError::Unavailable)?;
        folder.sync_all().await.map_err(StorageError::Unavailable)?;
        Ok(size)
    }

    async fn size(&self, key: &str) -> Result<u64, StorageError> {
        Ok(fs::metadata(self.path(key)).await.map_err(absent)?.len())
    }

    async fn read(&self, key: &str, range: Option<Range<u64>>) -> Result<ByteStream, StorageError> {
        let mut file = File::open(self.path(key)).await.map_err(absent)?;
        let Some(range) = range else { return Ok(Box::pin(ReaderStream::with_capacity(file, CHUNK_BYTES))) };
        file.seek(SeekFrom::Start(range.start)).await.map_err(StorageError::Unavailable)?;
        Ok(Box::pin(ReaderStream::with_capacity(file.take(range.end - range.start), CHUNK_BYTES)))
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        match fs::remove_file(self.path(key)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StorageError::Unavailable(error)),
            _ => Ok(()),
        }
    }

    async fn check(&self) -> Result<(), StorageError> {
        let probe = Incoming(self.root.join(INCOMING).join(Uuid::now_v7().to_string()));
        fs::write(&probe.0, b"concord").await.map_err(StorageError::Unavailable)
    }
}

fn absent(error: io::Error) -> StorageError {
    if error.kind() == io::ErrorKind::NotFound { StorageError::NotFound } else { StorageError::Unavailable(error) }
}

/// A half-written file; gone when dropped, unless it was renamed. Dropping also covers a request that was cancelled.
struct Incoming(PathBuf);

impl Drop for Incoming {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::conformance, *};

    #[tokio::test]
    async fn files_keep_the_contract() {
        let folder = tempfile::tempdir().unwrap();
        let storage = FileStorage::open(folder.path().to_owned()).await.unwrap();
        conformance::run(&storage).await;
        let left = std::fs::read_dir(folder.path().join(INCOMING)).unwrap().count();
        assert_eq!(left, 0, "nothing half written is left");
    }
}
