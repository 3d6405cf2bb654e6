//! What describes the formats of data sets to programs.

use std::sync::LazyLock;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;

use crate::format::jsonl;

/// As it is sent: it is the same for everybody until the server is another one.
static JSONL_SCHEMA: LazyLock<Bytes> = LazyLock::new(|| format!("{:#}\n", jsonl::schema()).into());

/// The JSON Schema of a line of JSONL; for everybody, to be kept for an hour.
pub(super) async fn jsonl_schema() -> Response {
    let headers = [(header::CONTENT_TYPE, "application/schema+json"), (header::CACHE_CONTROL, "public, max-age=3600")];
    (headers, JSONL_SCHEMA.clone()).into_response()
}
