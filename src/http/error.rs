//! Errors outside GraphQL, in the same shape: `{"errors": [{"message", "extensions": {"code", …}}]}`.

use std::any::Any;

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{domain::words::ErrorCode, service::ServiceError};

/// An error with its HTTP status. Boxed: it travels through many results and is rare.
#[derive(Debug)]
pub(super) struct HttpError(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    code: ErrorCode,
    message: String,
    field: Option<String>,
    retry_after_ms: Option<u64>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl HttpError {
    pub(super) fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Parts { status, code, message, field: None, retry_after_ms: None, headers: Vec::new() }))
    }

    /// A request that is not understood.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::BadUserInput, message)
    }

    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// The error as the body of a GraphQL response.
    fn body(&self) -> serde_json::Value {
        let Parts { code, message, field, retry_after_ms, .. } = &*self.0;
        let mut extensions = json!({ "code": code, "retryable": retry_after_ms.is_some() });
        if let Some(field) = field {
            extensions["field"] = json!(field);
        }
        if let Some(wait) = retry_after_ms {
            extensions["retryAfterMs"] = json!(wait);
        }
        json!({ "errors": [{ "message": message, "extensions": extensions }] })
    }
}

impl From<ServiceError> for HttpError {
    fn from(error: ServiceError) -> Self {
        if let ServiceError::Internal(cause) = &error {
            tracing::error!(error = %cause, "internal error");
        }
        let status = match error.code() {
            ErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
            ErrorCode::Forbidden => StatusCode::FORBIDDEN,
            ErrorCode::NotFound => StatusCode::NOT_FOUND,
            ErrorCode::InvalidTransition => StatusCode::CONFLICT,
            ErrorCode::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        let retry_after_ms = error.retry_after().map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        let field = error.field().map(str::to_owned);
        let (code, message) = (error.code(), error.to_string());
        Self(Box::new(Parts { status, code, message, field, retry_after_ms, headers: Vec::new() }))
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let mut response = (self.0.status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.0.retry_after_ms {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.div_ceil(1000)));
        }
        for (name, value) in self.0.headers {
            headers.insert(name, value);
        }
        response
    }
}

pub(super) async fn no_such_route() -> HttpError {
    HttpError::new(StatusCode::NOT_FOUND, ErrorCode::NotFound, "nothing is served here")
}

pub(super) async fn method_not_allowed() -> HttpError {
    HttpError::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::BadUserInput, "this method is not served here")
}

/// A panic ends its request only.
#[expect(clippy::needless_pass_by_value, reason = "the signature of a panic handler")]
pub(super) fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let cause = cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref::<&str>().copied());
    tracing::error!(cause, "a request panicked");
    HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Internal, "internal error").into_response()
}
