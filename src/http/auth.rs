//! From a request's headers to a viewer: `Authorization: Bearer …`, or the session cookie of a browser.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::{
    http::{Server, error::HttpError},
    service::{App, ServiceError, Viewer, identity},
};

/// The cookie of a browser's login session.
const COOKIE: &str = "concord_session";

/// The viewer of a request; none when it carries no credential.
///
/// # Errors
/// 401 when it carries one that has ended: a client must notice instead of going on as nobody.
pub(super) async fn viewer(server: &Server, headers: &HeaderMap) -> Result<Option<Viewer>, HttpError> {
    found(server, headers, identity::authenticate).await
}

/// As [`viewer`], of a request whose answer lasts.
///
/// # Errors
/// As [`viewer`].
pub(super) async fn viewer_who_stays(server: &Server, headers: &HeaderMap) -> Result<Option<Viewer>, HttpError> {
    found(server, headers, identity::let_in).await
}

async fn found<'a, F: Future<Output = Result<Viewer, ServiceError>>>(
    server: &'a Server,
    headers: &'a HeaderMap,
    find: impl FnOnce(&'a App, &'a str) -> F,
) -> Result<Option<Viewer>, HttpError> {
    let bearer =
        headers.get(header::AUTHORIZATION).map(|value| bearer(value.to_str().unwrap_or_default())).transpose()?;
    let Some(secret) = bearer.or_else(|| cookie(headers)) else { return Ok(None) };
    match find(&server.app, secret).await {
        Ok(viewer) => Ok(Some(viewer)),
        Err(error @ ServiceError::Unauthenticated(_)) => {
            let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            let error = HttpError::from(error).with_header(header::WWW_AUTHENTICATE, challenge);
            // A page cannot drop the cookie itself, and with it could not even sign in again.
            let ended = session_cookie(server, "", "; Max-Age=0")?;
            Err(if bearer.is_none() { error.with_header(header::SET_COOKIE, ended) } else { error })
        }
        Err(error) => Err(error.into()),
    }
}

/// The token in the value of an `Authorization`.
pub(super) fn bearer(value: &str) -> Result<&str, HttpError> {
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(HttpError::bad_request("Authorization: must be 'Bearer' and a token")),
    }
}

/// The token in the session cookie.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// The cookie that keeps a browser signed in. Lax: other sites' forms and scripts do not send it.
pub(super) fn session_cookie(server: &Server, token: &str, more: &str) -> Result<HeaderValue, HttpError> {
    let secure = if server.public_url.starts_with("https://") { "; Secure" } else { "" };
    let text = format!("{COOKIE}={token}; Path={}; HttpOnly; SameSite=Lax{secure}{more}", server.base_path);
    HeaderValue::from_str(&text).map_err(|_| HttpError::bad_request("the token cannot be a cookie"))
}
