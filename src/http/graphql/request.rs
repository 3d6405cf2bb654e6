//! Reading a GraphQL request from a body or a query string. What is malformed is refused here, whatever media type the
//! client takes; what is wrong in the document is for the API to say.

use async_graphql::{Extensions, Request, Variables, parser::types::OperationType};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Map, Value};

use crate::{domain::words::ErrorCode, graphql::check_operation, http::error::HttpError};

/// Reads a `POST`.
pub(super) fn from_body(headers: &HeaderMap, body: &[u8]) -> Result<Request, HttpError> {
    must_be_json(headers)?;
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| HttpError::bad_request(format!("the body is not JSON: {error}")))?;
    match body {
        Value::Object(parameters) => from_parameters(parameters).map_err(HttpError::bad_request),
        Value::Array(_) => Err(HttpError::bad_request("batches are off: send one request at a time")),
        _ => Err(HttpError::bad_request("the body must be a JSON object with query")),
    }
}

/// A browser's form could send every other type from a stranger's page, with the viewer's cookie.
fn must_be_json(headers: &HeaderMap) -> Result<(), HttpError> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let charset = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("charset="));
    let is_utf8 = charset.is_none_or(|charset| charset.trim_matches('"').eq_ignore_ascii_case("utf-8"));
    if essence.trim().eq_ignore_ascii_case("application/json") && is_utf8 {
        return Ok(());
    }
    let message = "Content-Type: send application/json in UTF-8";
    let error = HttpError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorCode::BadUserInput, message);
    Err(error.with_header(header::ACCEPT, HeaderValue::from_static("application/json")))
}

/// Reads a `GET`, which may hold no mutation: it would run for whoever follows a link. `taken` are the operations that it
/// may hold.
pub(super) fn from_query(query: &str, taken: &[OperationType]) -> Result<Request, HttpError> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query)
        .map_err(|error| HttpError::bad_request(format!("the query string is malformed: {error}")))?;
    let mut parameters = Map::new();
    for (name, value) in pairs {
        let value = match name.as_str() {
            "variables" | "extensions" => serde_json::from_str(&value)
                .map_err(|error| HttpError::bad_request(format!("{name} is not JSON: {error}")))?,
            _ => Value::String(value),
        };
        parameters.insert(name, value);
    }
    let request = from_parameters(parameters).map_err(HttpError::bad_request)?;
    if check_operation(&request).is_some_and(|operation| !taken.contains(&operation)) {
        let error = HttpError::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::BadUserInput, "send mutations by POST");
        return Err(error.with_header(header::ALLOW, HeaderValue::from_static("POST")));
    }
    Ok(request)
}

/// Reads the parameters of a request as JSON, as every transport has them.
///
/// # Errors
/// A sentence on what is malformed.
pub(super) fn from_parameters(mut parameters: Map<String, Value>) -> Result<Request, String> {
    let Some(Value::String(query)) = parameters.remove("query") else {
        return Err("query must be a string".to_owned());
    };
    let mut request = Request::new(query);
    match parameters.remove("operationName") {
        None | Some(Value::Null) => {}
        Some(Value::String(name)) => request.operation_name = Some(name),
        Some(_) => return Err("operationName must be a string".to_owned()),
    }
    match parameters.remove("variables") {
        None | Some(Value::Null) => {}
        Some(variables @ Value::Object(_)) => request.variables = Variables::from_json(variables),
        Some(_) => return Err("variables must be an object".to_owned()),
    }
    match parameters.remove("extensions") {
        None | Some(Value::Null) => {}
        Some(extensions @ Value::Object(_)) => {
            request.extensions =
                serde_json::from_value::<Extensions>(extensions).map_err(|error| format!("extensions: {error}"))?;
        }
        Some(_) => return Err("extensions must be an object".to_owned()),
    }
    Ok(request)
}
