//! `/graphql`, after the GraphQL-over-HTTP draft: <https://graphql.github.io/graphql-over-http/draft/>; beside it what
//! lasts: the socket, and streams of events.

mod event_stream;
mod request;
mod websocket;

use std::{net::SocketAddr, sync::Arc};

use async_graphql::{Response as GraphqlResponse, parser::types::OperationType};
use axum::{
    body::{Body, Bytes},
    extract::{ConnectInfo, State},
    http::{HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::BytesMut;
pub(super) use event_stream::open as stream;
use futures::StreamExt;
pub(super) use websocket::connect;

use crate::{
    domain::{limits, words::ErrorCode},
    graphql::{Caller, is_refused},
    http::{Server, auth, error::HttpError, negotiation::MediaType},
};

/// Answers `POST` (queries and mutations) and `GET` (queries only).
pub(super) async fn handle(
    State(server): State<Arc<Server>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    request: axum::extract::Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Some(media_type) = MediaType::negotiate(&parts.headers) else {
        let message = "Accept: take application/graphql-response+json or application/json";
        return HttpError::new(StatusCode::NOT_ACCEPTABLE, ErrorCode::BadUserInput, message).into_response();
    };
    match respond(&server, address, &parts, body, media_type).await {
        Ok(response) => response,
        Err(error) => {
            let mut response = error.into_response();
            response.headers_mut().insert(header::CONTENT_TYPE, media_type.header());
            response
        }
    }
}

async fn respond(
    server: &Server,
    address: SocketAddr,
    parts: &Parts,
    body: Body,
    media_type: MediaType,
) -> Result<Response, HttpError> {
    if !server.is_open() {
        return Err(HttpError::from(crate::service::ServiceError::Unavailable("the server is starting")));
    }
    // Before the body is read: nobody may have much of it parsed without saying who they are.
    let viewer = auth::viewer(server, &parts.headers).await?;
    let limit = if viewer.is_some() { limits::BODY_BYTES } else { limits::ANONYMOUS_BODY_BYTES };
    let request = match parts.method {
        Method::GET => request::from_query(parts.uri.query().unwrap_or_default(), &[OperationType::Query])?,
        Method::POST => request::from_body(&parts.headers, &read(body, limit).await?)?,
        _ => {
            let error = HttpError::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::BadUserInput, "use POST or GET");
            return Err(error.with_header(header::ALLOW, HeaderValue::from_static("POST, GET")));
        }
    };
    if let Some(viewer) = &viewer {
        tracing::Span::current().record("user", tracing::field::display(viewer.user.id));
    }
    let caller = Caller { viewer, address: address.ip().to_string() };
    let response = server.api.execute(caller, request).await;
    write(&response, media_type)
}

async fn read(body: Body, limit: usize) -> Result<Bytes, HttpError> {
    let mut chunks = body.into_data_stream();
    let (mut bytes, mut seen) = (BytesMut::new(), 0_usize);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| HttpError::bad_request("the body broke off"))?;
        seen = seen.saturating_add(chunk.len());
        if seen <= limit {
            bytes.extend_from_slice(&chunk);
        } else if seen > limits::FORGOTTEN_BYTES {
            break;
        }
    }
    if seen <= limit {
        return Ok(bytes.freeze());
    }
    let message = format!("the body has more than {limit} bytes");
    Err(HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::PayloadTooLarge, message))
}

/// A response without data whose errors have no path was refused before it was executed: it has no `data` entry, and in
/// the new media type the status says so.
fn write(response: &GraphqlResponse, media_type: MediaType) -> Result<Response, HttpError> {
    let refused = is_refused(response);
    let status = match media_type {
        MediaType::GraphqlResponse if refused => StatusCode::BAD_REQUEST,
        MediaType::GraphqlResponse | MediaType::Json => StatusCode::OK,
    };
    let body = if refused {
        serde_json::to_vec(&serde_json::json!({ "errors": response.errors }))
    } else {
        serde_json::to_vec(response)
    };
    let body = body.map_err(|error| HttpError::from(crate::service::ServiceError::Internal(Box::new(error))))?;
    let headers =
        [(header::CONTENT_TYPE, media_type.header()), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((status, headers, body).into_response())
}
