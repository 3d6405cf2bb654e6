//! What every body must do; each body's tests run it.

use bytes::Bytes;
use futures::{StreamExt, stream};

use super::{ByteStream, Storage, StorageError};

pub(crate) async fn run(storage: &dyn Storage) {
    what_was_put_is_read(storage).await;
    a_range_is_exact(storage).await;
    a_second_put_replaces(storage).await;
    what_is_too_large_leaves_the_old_object(storage).await;
    what_breaks_off_leaves_nothing(storage).await;
    a_deleted_object_is_not_found(storage).await;
    storage.check().await.expect("a healthy storage says so");
}

fn bytes(parts: &[&'static str]) -> ByteStream {
    let parts: Vec<_> = parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes()))).collect();
    Box::pin(stream::iter(parts))
}

async fn read(storage: &dyn Storage, key: &str, range: Option<std::ops::Range<u64>>) -> String {
    let mut stream = storage.read(key, range).await.unwrap();
    let mut all = Vec::new();
    while let Some(chunk) = stream.next().await {
        all.extend_from_slice(&chunk.unwrap());
    }
    String::from_utf8(all).unwrap()
}

async fn what_was_put_is_read(storage: &dyn Storage) {
    assert_eq!(storage.put("p/one", bytes(&["hello ", "world"]), 11).await.unwrap(), 11);
    assert_eq!(storage.size("p/one").await.unwrap(), 11);
    assert_eq!(read(storage, "p/one", None).await, "hello world");
}

async fn a_range_is_exact(storage: &dyn Storage) {
    assert_eq!(read(storage, "p/one", Some(0..1)).await, "h");
    assert_eq!(read(storage, "p/one", Some(6..11)).await, "world");
}

async fn a_second_put_replaces(storage: &dyn Storage) {
    storage.put("p/two", bytes(&["first"]), 100).await.unwrap();
    storage.put("p/two", bytes(&["2"]), 100).await.unwrap();
    assert_eq!(read(storage, "p/two", None).await, "2");
}

async fn what_is_too_large_leaves_the_old_object(storage: &dyn Storage) {
    storage.put("p/three", bytes(&["old"]), 3).await.unwrap();
    let error = storage.put("p/three", bytes(&["much ", "longer"]), 6).await.unwrap_err();
    assert!(matches!(error, StorageError::TooLarge { limit: 6 }));
    assert_eq!(read(storage, "p/three", None).await, "old");
}

async fn what_breaks_off_leaves_nothing(storage: &dyn Storage) {
    let broken = stream::iter(vec![Ok(Bytes::from_static(b"half")), Err(std::io::Error::other("gone"))]);
    let error = storage.put("p/four", Box::pin(broken), 100).await.unwrap_err();
    assert!(matches!(error, StorageError::Interrupted(_)));
    assert!(matches!(storage.size("p/four").await, Err(StorageError::NotFound)));
}

async fn a_deleted_object_is_not_found(storage: &dyn Storage) {
    storage.put("p/five", bytes(&["x"]), 1).await.unwrap();
    storage.delete("p/five").await.unwrap();
    storage.delete("p/five").await.unwrap();
    assert!(matches!(storage.read("p/five", None).await.map(|_| ()), Err(StorageError::NotFound)));
}
