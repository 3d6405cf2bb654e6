//! A folder of a job's own, gone with it; and bytes on their way between it and the storage.

use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use tempfile::TempDir;
use tokio::{fs::File, io::AsyncWriteExt};
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::Stop;
use crate::{
    backend::storage::ByteStream,
    domain::limits,
    repo::job::Job,
    service::{App, ServiceError},
};

/// A folder that is removed when it is dropped.
pub(super) struct Scratch(TempDir);

impl Scratch {
    pub(super) fn new() -> Result<Self, Stop> {
        Ok(Self(tempfile::Builder::new().prefix("concord-job-").tempdir()?))
    }

    /// An empty folder in it for a codec.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf, Stop> {
        let folder = self.0.path().join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// A file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Writes a stream to a file.
pub(super) async fn write(mut stream: ByteStream, path: &Path) -> Result<(), Stop> {
    let mut file = File::create(path).await?;
    let mut bytes = 0_u64;
    while let Some(chunk) = stream.try_next().await? {
        bytes += chunk.len() as u64;
        if bytes > limits::IMPORT_BYTES {
            return Err(ServiceError::limit("source", limits::IMPORT_BYTES, "bytes").into());
        }
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    Ok(())
}

/// Puts a file of a job into the storage, under a key of its own: what another attempt has put there stays as it is. The
/// key ends as the name of the file should, by which its type is known when it is read. Gives the key.
pub(super) async fn keep(app: &App, job: &Job, path: &Path, extension: &str) -> Result<String, Stop> {
    let key = format!("{}/{}/{}.{extension}", job.project, job.id, Uuid::now_v7().simple());
    let file = File::open(path).await?;
    let size = file.metadata().await?.len();
    let stream: ByteStream = Box::pin(ReaderStream::new(file));
    app.storage.put(&key, stream, size).await.map_err(ServiceError::from)?;
    Ok(key)
}
