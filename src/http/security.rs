//! Headers that keep browsers from doing what nobody asked for, and the list of sites that may call.

use std::time::Duration;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::http::Server;

/// Sets what a handler has not set itself.
pub(super) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // A sign-in link or a signed URL must not travel on in a Referer to others. Not `no-referrer`: under that a
        // browser sends our own form with `Origin: null`, which the sign-in has to refuse.
        (header::REFERRER_POLICY, "same-origin"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Pages of the listed origins may call the API and files, with the viewer's cookie; others may not.
pub(super) fn cors(allowed_origins: &[String]) -> CorsLayer {
    let origins = allowed_origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::HEAD])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::RANGE])
        .expose_headers([HeaderName::from_static("x-request-id"), header::CONTENT_RANGE, header::RETRY_AFTER])
        .max_age(Duration::from_secs(600))
}

/// The site whose page sent a request; none when no browser says so.
pub(super) fn origin(headers: &HeaderMap) -> Option<&str> {
    // What is no text is no site of ours, but is not nothing either.
    headers.get(header::ORIGIN).map(|value| value.to_str().unwrap_or("null"))
}

/// Whether an origin is that of this server's own pages.
pub(super) fn is_own(server: &Server, headers: &HeaderMap, origin: &str) -> bool {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // A proxy may have put its own name for this server into Host.
    origin == origin_of(&server.public_url) || origin.split_once("://").is_some_and(|(_, from)| from == host)
}

/// Whether an origin is on the list of sites that may call.
pub(super) fn is_allowed(server: &Server, origin: &str) -> bool {
    server.allowed_origins.iter().any(|allowed| allowed == origin)
}

/// Whether a page of a site that is neither ours nor allowed sent a request.
pub(super) fn is_foreign(server: &Server, headers: &HeaderMap) -> bool {
    origin(headers).is_some_and(|origin| !is_own(server, headers, origin) && !is_allowed(server, origin))
}

/// Scheme, host and port of a URL.
fn origin_of(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find('/').map_or(url.len(), |at| host + at);
    &url[..end]
}
