//! A client of `/graphql/stream`: events over HTTP, one operation each.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream::BoxStream};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::{Person, TestApp};

/// How long an event may take before a test gives up: far more than it does on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

impl TestApp {
    /// A POST of an operation, without a credential.
    pub(crate) fn post_stream(&self, body: &Value) -> RequestBuilder {
        self.http.post(self.url("/graphql/stream")).header("accept", "text/event-stream").json(body)
    }

    /// A GET of an operation, without a credential.
    pub(crate) fn get_stream(&self, query: &str, variables: &str) -> RequestBuilder {
        let parameters = serde_urlencoded::to_string([("query", query), ("variables", variables)]).unwrap();
        self.page(&format!("/graphql/stream?{parameters}")).header("accept", "text/event-stream")
    }
}

impl Person {
    /// Runs an operation as a stream of its own.
    pub(crate) async fn stream(&self, app: &TestApp, query: &str, variables: Value) -> EventStream {
        let body = json!({ "query": query, "variables": variables });
        EventStream::of(app.post_stream(&body).bearer_auth(&self.token).send().await.unwrap())
    }
}

/// What comes over one request.
pub(crate) struct EventStream {
    chunks: BoxStream<'static, String>,
    text: String,
}

/// An event: its name and its data.
pub(crate) type Event = (String, Value);

impl EventStream {
    /// Reads an answer that has to be a stream.
    pub(crate) fn of(response: Response) -> Self {
        let content_type = response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(content_type.as_deref(), Some("text/event-stream; charset=utf-8"), "{}", response.status());
        Self::over(response.bytes_stream().map(|chunk| chunk.unwrap()))
    }

    /// Reads bytes of a stream.
    pub(crate) fn over(bytes: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        let chunks = bytes.map(|chunk| String::from_utf8(chunk.to_vec()).unwrap());
        Self { chunks: chunks.boxed(), text: String::new() }
    }

    /// The next block, comments too; none at the end.
    pub(crate) async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            match timeout(DEADLINE, self.chunks.next()).await.expect("waited in vain for a sign of life") {
                Some(chunk) => self.text.push_str(&chunk),
                None => {
                    assert_eq!(self.text, "", "cut in the middle of an event");
                    return None;
                }
            }
        }
    }

    /// The next event; none at the end.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        // In all: signs of life come for ever.
        timeout(DEADLINE, self.until_event()).await.expect("waited in vain for an event")
    }

    async fn until_event(&mut self) -> Option<Event> {
        loop {
            let block = self.block().await?;
            if block == ":" {
                continue;
            }
            let (name, data) = block.split_once("\ndata:").unwrap_or_else(|| panic!("no event: {block}"));
            let name = name.strip_prefix("event: ").unwrap_or_else(|| panic!("no name: {block}"));
            let data = if data.is_empty() { Value::Null } else { serde_json::from_str(data).unwrap() };
            return Some((name.to_owned(), data));
        }
    }

    /// The next result, which has no errors: its data.
    pub(crate) async fn data(&mut self) -> Value {
        let (name, result) = self.next().await.expect("the stream goes on");
        assert!(name == "next" && result.get("errors").is_none(), "{name}: {result:#}");
        result["data"].clone()
    }

    /// What comes until the stream ends.
    pub(crate) async fn rest(&mut self) -> Vec<Event> {
        let mut rest = Vec::new();
        while let Some(event) = self.next().await {
            rest.push(event);
        }
        rest
    }
}
