//! `/files/{file}`: bytes in and out under signed URLs, past the API.

use std::{
    future, io,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    body::{Body, BodyDataStream},
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::{StreamExt, TryStreamExt, stream};
use http_range_header::parse_range_header;
use serde::Deserialize;

use crate::{
    domain::{ids::AnyId, limits},
    http::{Server, error::HttpError},
    service::{
        ServiceError,
        asset::{self, Download, FileId, Permit, SignedRequest},
    },
};

/// What a signed URL says.
#[derive(Debug, Deserialize)]
pub(super) struct Signature {
    permit: String,
    expires: i64,
    signature: String,
}

/// What stands in the URL, or why it cannot be read.
type SignedUrl = (Result<Path<String>, PathRejection>, Result<Query<Signature>, QueryRejection>);

/// Takes a URL apart; one without a whole signature allows nothing.
fn parse((file, signature): SignedUrl) -> Result<(FileId, Signature), HttpError> {
    let Query(signature) = signature.map_err(|_| {
        ServiceError::Forbidden("the URL is not signed; take it as the API gave it, or ask for a new one")
    })?;
    let Path(file) = file.map_err(|error| HttpError::bad_request(error.body_text()))?;
    let file = match file.parse() {
        Ok(AnyId::AssetId(id)) => FileId::Asset(id),
        Ok(AnyId::JobId(id)) => FileId::Job(id),
        Ok(_) => return Err(ServiceError::invalid("file", "must be the id of an asset or a job").into()),
        Err(error) => return Err(ServiceError::invalid("file", error).into()),
    };
    Ok((file, signature))
}

impl Signature {
    fn request(&self, file: FileId, permits: &[Permit]) -> Result<SignedRequest<'_>, HttpError> {
        let permit = permits.iter().copied().find(|permit| permit.as_str() == self.permit);
        let forbidden = || ServiceError::Forbidden("the URL does not allow this method; ask for a new URL");
        let permit = permit.ok_or_else(forbidden)?;
        Ok(SignedRequest { file, permit, expires: self.expires, signature: &self.signature })
    }
}

/// Takes the bytes of an upload.
pub(super) async fn put(
    State(server): State<Arc<Server>>,
    url: SignedUrl,
    body: Body,
) -> Result<StatusCode, HttpError> {
    let (file, signature) = parse(url)?;
    let request = signature.request(file, &[Permit::Write])?;
    // Shared, because what is left of a refused upload is still to be read here.
    let chunks = Arc::new(Mutex::new(body.into_data_stream()));
    let reading = chunks.clone();
    let bytes = stream::poll_fn(move |context| locked(&reading).poll_next_unpin(context)).map_err(io::Error::other);
    let received = asset::receive(&server.app, request, Box::pin(bytes)).await;
    if received.is_err() {
        forget(&chunks).await;
    }
    received?;
    Ok(StatusCode::NO_CONTENT)
}

/// Reads what is left of a refused upload, up to a bound: a connection closed with bytes unread is reset, and the client
/// would never see why.
async fn forget(chunks: &Mutex<BodyDataStream>) {
    let mut left = limits::FORGOTTEN_BYTES;
    while let Some(Ok(chunk)) = future::poll_fn(|context| locked(chunks).poll_next_unpin(context)).await {
        match left.checked_sub(chunk.len()) {
            Some(still) => left = still,
            None => return,
        }
    }
}

fn locked(chunks: &Mutex<BodyDataStream>) -> MutexGuard<'_, BodyDataStream> {
    chunks.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives the bytes of an asset, or of a file that a job made: all or one range of them.
pub(super) async fn get(
    State(server): State<Arc<Server>>,
    url: SignedUrl,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let (file, signature) = parse(url)?;
    let permits = if matches!(file, FileId::Job(_)) { &[Permit::Result, Permit::Errors][..] } else { &[Permit::Read] };
    let request = signature.request(file, permits)?;
    let download = asset::open(&server.app, request).await?;
    let etag = format!("\"{}\"", download.tag);
    if has_seen(&headers, &etag) {
        let headers = [(header::ETAG, etag.as_str()), (header::CACHE_CONTROL, CACHED)];
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let range = match wanted(&method, &headers, &etag, download.size_bytes) {
        Ok(range) => range,
        Err(Unsatisfiable) => {
            let whole = format!("bytes */{}", download.size_bytes);
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, whole)]).into_response());
        }
    };
    let length = range.as_ref().map_or(download.size_bytes, |range| range.end - range.start);
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        Body::from_stream(asset::read(&server.app, &download, range.clone()).await?)
    };
    let mut response = Response::new(body);
    let answer = response.headers_mut();
    answer.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    answer.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHED));
    insert(answer, header::ETAG, &etag);
    describe(answer, &download);
    if let Some(range) = range {
        insert(
            answer,
            header::CONTENT_RANGE,
            &format!("bytes {}-{}/{}", range.start, range.end - 1, download.size_bytes),
        );
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// The bytes behind a URL never change, and are for whoever was given it.
const CACHED: &str = "private, max-age=3600, immutable";

/// Whether the client has these bytes: `If-None-Match` lists tags, which a proxy may have made weak.
fn has_seen(headers: &HeaderMap, etag: &str) -> bool {
    let lines = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

struct Unsatisfiable;

/// The range a client wants, when it wants one (only a GET can); several at once are answered with the whole.
fn wanted(method: &Method, headers: &HeaderMap, etag: &str, size: u64) -> Result<Option<Range<u64>>, Unsatisfiable> {
    if method != Method::GET {
        return Ok(None);
    }
    let Some(range) = headers.get(header::RANGE).and_then(|value| value.to_str().ok()) else { return Ok(None) };
    if headers.get(header::IF_RANGE).is_some_and(|seen| seen.as_bytes() != etag.as_bytes()) {
        return Ok(None);
    }
    let Ok(parsed) = parse_range_header(range) else { return Ok(None) };
    let ranges = parsed.validate(size).map_err(|_| Unsatisfiable)?;
    match ranges.as_slice() {
        [one] => Ok(Some(*one.start()..*one.end() + 1)),
        _ => Ok(None),
    }
}

/// Type and disposition. What a browser would run as a page of ours (SVG, HTML, XML) is only ever a download.
fn describe(headers: &mut HeaderMap, download: &Download) {
    let content_type = download.content_type.as_deref().unwrap_or("application/octet-stream");
    let is_safe = content_type != "image/svg+xml"
        && (["image/", "audio/", "video/"].iter().any(|top| content_type.starts_with(top))
            || content_type == "text/plain");
    let name: String = percent_encoded(&download.file_name);
    let disposition = if is_safe { "inline" } else { "attachment" };
    let content_type = if content_type.starts_with("text/") {
        format!("{content_type}; charset=utf-8")
    } else {
        content_type.to_owned()
    };
    insert(headers, header::CONTENT_TYPE, &content_type);
    insert(headers, header::CONTENT_DISPOSITION, &format!("{disposition}; filename*=UTF-8''{name}"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
}

/// RFC 8187: everything but letters, digits and a few marks as %XX of its UTF-8 bytes.
fn percent_encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn insert(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
