//! An answer of the GraphQL endpoint.

use reqwest::{StatusCode, header::HeaderMap};
use serde_json::Value;

/// Status, headers and JSON body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn read(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}, not JSON: {text:.2000}"));
        Self { status, headers, body }
    }

    /// The value at a dotted path below `data` (`tasks.nodes.0.id`); the answer must hold no error.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> &Value {
        assert!(self.body.get("errors").is_none(), "{:#}", self.body);
        let pointer = format!("/data/{}", path.replace('.', "/"));
        self.body.pointer(&pointer).unwrap_or_else(|| panic!("no {path} in {:#}", self.body))
    }

    /// The text at a dotted path below `data`.
    #[track_caller]
    pub(crate) fn text(&self, path: &str) -> String {
        let value = self.get(path);
        value.as_str().unwrap_or_else(|| panic!("{path} is {value}")).to_owned()
    }

    /// The code of the first error, `""` when there is none.
    pub(crate) fn code(&self) -> &str {
        self.error("code").and_then(Value::as_str).unwrap_or_default()
    }

    /// The field of the first error, `""` when there is none.
    pub(crate) fn field(&self) -> &str {
        self.error("field").and_then(Value::as_str).unwrap_or_default()
    }

    /// The message of the first error.
    pub(crate) fn message(&self) -> &str {
        self.body.pointer("/errors/0/message").and_then(Value::as_str).unwrap_or_default()
    }

    fn error(&self, key: &str) -> Option<&Value> {
        self.body.pointer("/errors/0/extensions")?.get(key)
    }

    /// Whether the same request may be answered better later.
    pub(crate) fn asks_to_wait(&self) -> bool {
        self.code() == "UNAVAILABLE"
    }

    /// The answer is this error.
    #[track_caller]
    pub(crate) fn assert_error(&self, code: &str, field: &str) {
        assert_eq!((self.code(), self.field()), (code, field), "{:#}", self.body);
    }

    /// The answer refuses with this code at this field (`""`: none), in a sentence a person can use.
    #[track_caller]
    pub(crate) fn assert_refused(&self, case: &str, code: &str, field: &str) {
        let body = || format!("{case}: {} {:.3000}", self.status, self.body.to_string());
        assert_eq!((self.code(), self.field()), (code, field), "{}", body());
        let message = self.message();
        assert!(message.split_whitespace().count() >= 2, "no sentence: {}", body());
        assert!(message.chars().count() <= 501, "the message is not bounded: {}", body());
        for internal in
            ["SQL", "sqlx", "Sqlx", "DbErr", "SELECT \"", "INSERT INTO", "constraint", "panicked", ".rs:", "Rust"]
        {
            assert!(!message.contains(internal), "{internal:?} is for the log: {}", body());
        }
        let retryable = ["UNAVAILABLE", "RATE_LIMITED"].contains(&code);
        assert_eq!(self.error("retryable"), Some(&Value::Bool(retryable)), "{}", body());
        assert_eq!(self.error("retryAfterMs").is_some(), retryable, "{}", body());
        assert!(self.body["errors"].as_array().unwrap().len() <= 20, "{}", body());
    }
}
