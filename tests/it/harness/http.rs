//! Plain HTTP, for tests of what lies around the API.

use reqwest::RequestBuilder;
use serde_json::Value;

use crate::harness::{Answer, TestApp};

impl TestApp {
    /// A GET of a path.
    pub(crate) fn page(&self, path: &str) -> RequestBuilder {
        self.http.get(self.url(path))
    }

    /// A POST of a GraphQL request.
    pub(crate) fn post_graphql(&self, body: &Value) -> RequestBuilder {
        self.http.post(self.url("/graphql")).json(body)
    }
}

/// Sends a request and reads its JSON.
pub(crate) async fn read(request: RequestBuilder) -> Answer {
    Answer::read(request.send().await.unwrap()).await
}
