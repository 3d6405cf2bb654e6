//! What the bytes of an upload are: type, size, hash and dimensions, found out by reading them once in bounded memory.

use std::io::Cursor;

use bytes::Bytes;
use futures::StreamExt;
use sha2::{Digest, Sha256};

use crate::{
    backend::storage::{ByteStream, StorageError},
    domain::{limits, words::MediaType},
    repo::asset::Completion,
};

/// Bytes kept from the front of a file to tell its type and the picture's dimensions.
const HEAD_BYTES: usize = 8 * 1024 * 1024;

/// What was found out by reading the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) size_bytes: i64,
    pub(crate) sha256: String,
    pub(crate) content_type: String,
    pub(crate) media_type: Option<MediaType>,
    pub(crate) dimensions_px: Option<(i32, i32)>,
}

/// What the uploader said, which decides only between types that bytes alone do not tell apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hint<'a> {
    pub(crate) content_type: &'a str,
    pub(crate) project: MediaType,
}

/// Reads the whole stream.
///
/// # Errors
/// [`StorageError`] when it cannot be read.
pub(crate) async fn read(mut stream: ByteStream, hint: Hint<'_>) -> Result<Facts, StorageError> {
    let mut hash = Sha256::new();
    let mut head = Vec::new();
    let mut utf8 = Utf8Check::default();
    let mut size_bytes = 0_i64;
    while let Some(chunk) = stream.next().await {
        let chunk: Bytes = chunk.map_err(StorageError::Unavailable)?;
        hash.update(&chunk);
        utf8.push(&chunk);
        head.extend_from_slice(&chunk[..chunk.len().min(HEAD_BYTES - head.len())]);
        size_bytes += i64::try_from(chunk.len()).unwrap_or(i64::MAX);
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let is_text = utf8.holds() && size_bytes.unsigned_abs() <= limits::TEXT_ASSET_BYTES;
    let (content_type, media_type) = identify(&head, is_text, hint);
    let dimensions_px = if media_type == Some(MediaType::Image) { dimensions(&head) } else { None };
    Ok(Facts { size_bytes, sha256, content_type, media_type, dimensions_px })
}

fn identify(head: &[u8], is_text: bool, hint: Hint<'_>) -> (String, Option<MediaType>) {
    if let Some(found) = infer::get(head)
        && found.mime_type() != "text/html"
        && found.mime_type() != "text/xml"
    {
        let media_type = match found.matcher_type() {
            infer::MatcherType::Image => Some(MediaType::Image),
            infer::MatcherType::Audio => Some(MediaType::Audio),
            infer::MatcherType::Video => Some(MediaType::Video),
            _ => None,
        };
        return (normalized(found.mime_type()), media_type);
    }
    if head.starts_with(b"# .PCD") || head.starts_with(b"ply\n") || head.starts_with(b"ply\r\n") {
        return ("application/octet-stream".to_owned(), Some(MediaType::PointCloud));
    }
    if is_text {
        return identify_text(head, hint.content_type);
    }
    // Raw frames (KITTI's float triples) have no mark of their own.
    let media_type = (hint.project == MediaType::PointCloud).then_some(MediaType::PointCloud);
    ("application/octet-stream".to_owned(), media_type)
}

fn identify_text(head: &[u8], declared: &str) -> (String, Option<MediaType>) {
    let start = String::from_utf8_lossy(&head[..head.len().min(4_096)]).to_ascii_lowercase();
    let start = start.trim_start_matches('\u{feff}').trim_start();
    let declared = normalized(declared);
    if start.starts_with("<svg")
        || (start.starts_with("<?xml") && start.contains("<svg"))
        || declared == "image/svg+xml"
    {
        ("image/svg+xml".to_owned(), Some(MediaType::Image))
    } else if start.starts_with("<!doctype html") || start.starts_with("<html") || declared == "text/html" {
        ("text/html".to_owned(), Some(MediaType::Text))
    } else if declared.starts_with("text/")
        || ["application/json", "application/x-ndjson", "application/xml"].contains(&declared.as_str())
    {
        (declared, Some(MediaType::Text))
    } else {
        ("text/plain".to_owned(), Some(MediaType::Text))
    }
}

/// A MIME type in lower case, without parameters, under its registered name.
pub(crate) fn normalized(content_type: &str) -> String {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "image/jpg" | "image/pjpeg" => "image/jpeg".to_owned(),
        "image/x-png" => "image/png".to_owned(),
        "image/x-ms-bmp" => "image/bmp".to_owned(),
        "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "audio/wav".to_owned(),
        "audio/x-flac" => "audio/flac".to_owned(),
        "audio/mp3" => "audio/mpeg".to_owned(),
        "application/x-zip-compressed" => "application/zip".to_owned(),
        _ => essence,
    }
}

/// Pixels across and down as people see the picture: EXIF orientations 5 to 8 lie on their side.
fn dimensions(head: &[u8]) -> Option<(i32, i32)> {
    let size = imagesize::blob_size(head).ok()?;
    let (width, height) = (i32::try_from(size.width).ok()?, i32::try_from(size.height).ok()?);
    let on_its_side = orientation(head).is_some_and(|orientation| (5..=8).contains(&orientation));
    Some(if on_its_side { (height, width) } else { (width, height) })
}

fn orientation(head: &[u8]) -> Option<u32> {
    let exif = exif::Reader::new().read_from_container(&mut Cursor::new(head)).ok()?;
    exif.get_field(exif::Tag::Orientation, exif::In::PRIMARY)?.value.get_uint(0)
}

impl Facts {
    /// Holds what was found against what the uploader announced.
    pub(crate) fn check(self, declared: &crate::repo::asset::Declared) -> Completion {
        if self.size_bytes != declared.size_bytes {
            return Completion::Rejected(format!(
                "{} bytes were announced, {} arrived",
                declared.size_bytes, self.size_bytes
            ));
        }
        if let Some(sha256) = &declared.sha256
            && !sha256.eq_ignore_ascii_case(&self.sha256)
        {
            return Completion::Rejected(format!("the bytes have the SHA-256 {}, not the one announced", self.sha256));
        }
        let announced = normalized(&declared.content_type);
        if announced != self.content_type && announced != "application/octet-stream" {
            return Completion::Rejected(format!("{announced} was announced, but the bytes are {}", self.content_type));
        }
        if self.media_type == Some(MediaType::Image)
            && self.dimensions_px.is_none()
            && self.content_type != "image/svg+xml"
        {
            return Completion::Rejected(format!(
                "the bytes look like {}, but are no readable picture",
                self.content_type
            ));
        }
        let Self { size_bytes, sha256, content_type, media_type, dimensions_px } = self;
        Completion::Ready { media_type, content_type, size_bytes, sha256, dimensions_px }
    }
}

/// Whether all bytes so far are UTF-8 without a NUL, over the borders of chunks.
#[derive(Debug, Default)]
struct Utf8Check {
    broken: bool,
    tail: Vec<u8>,
}

impl Utf8Check {
    fn push(&mut self, chunk: &[u8]) {
        if self.broken {
            return;
        }
        let mut bytes = std::mem::take(&mut self.tail);
        bytes.extend_from_slice(chunk);
        match std::str::from_utf8(&bytes) {
            Ok(text) => self.broken = text.contains('\0'),
            Err(error) if error.error_len().is_none() => self.tail = bytes.split_off(error.valid_up_to()),
            Err(_) => self.broken = true,
        }
        self.broken |= bytes.contains(&0);
    }

    fn holds(&self) -> bool {
        !self.broken && self.tail.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HINT: Hint<'static> = Hint { content_type: "text/plain", project: MediaType::Image };

    async fn facts(chunks: &[&'static [u8]], hint: Hint<'_>) -> Facts {
        let chunks: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk))).collect();
        read(Box::pin(futures::stream::iter(chunks)), hint).await.unwrap()
    }

    #[tokio::test]
    async fn bytes_say_what_they_are() {
        const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x05\0\0\0\x03\x08\x06\0\0\0";
        for (case, bytes, declared, content_type, media_type, dimensions) in [
            ("a picture", PNG, "text/plain", "image/png", Some(MediaType::Image), Some((5, 3))),
            ("a text", b"hello", "text/plain; charset=utf-8", "text/plain", Some(MediaType::Text), None),
            ("JSON", b"{}", "application/json", "application/json", Some(MediaType::Text), None),
            (
                "HTML that says it is text",
                b"<!DOCTYPE html><p>",
                "text/plain",
                "text/html",
                Some(MediaType::Text),
                None,
            ),
            ("SVG", b"<?xml version='1.0'?><svg/>", "image/png", "image/svg+xml", Some(MediaType::Image), None),
            ("an archive", b"PK\x03\x04rest", "application/zip", "application/zip", None, None),
            ("not UTF-8", b"\xff\xfe\xfd", "text/plain", "application/octet-stream", None, None),
            ("a NUL in text", b"a\0b", "text/plain", "application/octet-stream", None, None),
            (
                "a point cloud",
                b"# .PCD v0.7",
                "application/octet-stream",
                "application/octet-stream",
                Some(MediaType::PointCloud),
                None,
            ),
        ] {
            let found = facts(&[bytes], Hint { content_type: declared, ..HINT }).await;
            assert_eq!(
                (found.content_type.as_str(), found.media_type, found.dimensions_px),
                (content_type, media_type, dimensions),
                "{case}"
            );
        }
    }

    #[tokio::test]
    async fn a_character_may_lie_across_two_chunks() {
        let found = facts(&[b"caf\xc3", b"\xa9"], HINT).await;
        assert_eq!((found.content_type.as_str(), found.size_bytes), ("text/plain", 5));
        assert_eq!(facts(&[b"caf\xc3"], HINT).await.content_type, "application/octet-stream");
    }
}
