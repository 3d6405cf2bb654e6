//! The only door from use-case errors to GraphQL, and what every error gets before it leaves.

use std::sync::Arc;

use async_graphql::{Error, ErrorExtensionValues, ServerError, Value};
use serde_json::json;

use crate::{
    domain::{limits, words::ErrorCode},
    repo::annotation::Annotation,
    service::ServiceError,
};

/// Resolver error. Must not implement `Display`: async-graphql turns any `Display` type into its own error on `?` and
/// would lose the code. `Clone`, because loaders give one error to many fields.
#[derive(Clone, Debug)]
pub struct ApiError(Arc<ServiceError>);

impl<E: Into<ServiceError>> From<E> for ApiError {
    fn from(error: E) -> Self {
        let error = error.into();
        if let ServiceError::Internal(cause) = &error {
            tracing::error!(error = %cause, "internal error");
        }
        Self(Arc::new(error))
    }
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        let mut extensions = ErrorExtensionValues::default();
        extensions.set("code", error.0.code().as_str());
        if let Some(field) = error.0.field() {
            extensions.set("field", field);
        }
        let retry_after = error.0.retry_after();
        extensions.set("retryable", retry_after.is_some());
        if let Some(wait) = retry_after {
            extensions.set("retryAfterMs", u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        }
        if let Some(current) = error.0.current() {
            extensions.set("annotation", state_of(current));
        }
        Error { message: error.0.to_string(), source: None, extensions: Some(extensions) }
    }
}

/// What an edit is based on next: `id`, `versionVector`, `revision`, `label`, `geometry`, `attributes`, `deleted`.
fn state_of(annotation: &Annotation) -> Value {
    let state = &annotation.state;
    let json = json!({
        "id": annotation.id.to_string(), "versionVector": state.vector, "revision": state.revision,
        "label": state.content.label, "geometry": state.content.geometry, "attributes": state.content.attributes,
        "deleted": state.content.deleted,
    });
    Value::from_json(json).unwrap_or_default()
}

impl ApiError {
    /// The error of a whole request.
    pub(super) fn into_server_error(self) -> ServerError {
        let error = Error::from(self);
        ServerError {
            message: error.message,
            source: None,
            locations: Vec::new(),
            path: Vec::new(),
            extensions: error.extensions,
        }
    }
}

/// The error of a whole operation that a use case's error ends.
pub(super) fn of(error: impl Into<ServiceError>) -> ServerError {
    ApiError::from(error.into()).into_server_error()
}

/// The code of an error.
pub(super) fn code(error: &ServerError) -> Option<&str> {
    match error.extensions.as_ref()?.get("code")? {
        Value::String(code) => Some(code),
        _ => None,
    }
}

/// Whether something needed was away.
pub(super) fn is_unavailable(error: &ServerError) -> bool {
    code(error) == Some(ErrorCode::Unavailable.as_str())
}

/// What another who asked the same was told.
pub(super) fn shared(error: &ServiceError) -> ServiceError {
    error.shared()
}

/// A request refused before it was executed.
pub(super) fn refused(code: ErrorCode, message: impl Into<String>) -> ServerError {
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", code.as_str());
    extensions.set("retryable", false);
    let mut error = ServerError::new(message, None);
    error.extensions = Some(extensions);
    error
}

/// Gives a code to what has none (the document and its variables are the client's), bounds the list and the messages.
pub(super) fn complete(errors: &mut Vec<ServerError>) {
    errors.truncate(limits::ERRORS);
    for error in errors {
        let extensions = error.extensions.get_or_insert_default();
        if extensions.get("code").is_none() {
            extensions.set("code", ErrorCode::BadUserInput.as_str());
            extensions.set("retryable", Value::Boolean(false));
        }
        if let Some((end, _)) = error.message.char_indices().nth(limits::MESSAGE_CHARS) {
            error.message.truncate(end);
            error.message.push('…');
        }
    }
}
