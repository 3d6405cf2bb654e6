//! People who send requests.

use concord::{
    repo::user::User,
    service::{access_token, user},
};
use serde_json::{Value, json};

use crate::harness::{Answer, TestApp, process::Serving};

/// Somebody with an access token.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) token: String,
    url: String,
    http: reqwest::Client,
}

impl TestApp {
    /// A new admin of the whole server.
    pub(crate) async fn admin(&self) -> Person {
        self.someone("boss", true).await
    }

    /// A new user with this name, in no project yet.
    pub(crate) async fn person(&self, name: &str) -> Person {
        self.someone(name, false).await
    }

    async fn someone(&self, name: &str, admin: bool) -> Person {
        self.made(format!("{name}@example.com"), name, admin).await
    }

    /// A new user with this address, in no project yet.
    pub(crate) async fn person_at(&self, email: &str) -> Person {
        self.made(email.to_owned(), email, false).await
    }

    async fn made(&self, email: String, name: &str, admin: bool) -> Person {
        let new = user::CreateUser { email, name: name.to_owned(), admin, password: None };
        self.with_access(user::create_unchecked(self.use_cases(), new).await.unwrap()).await
    }

    /// Somebody whom the server made by itself.
    pub(crate) async fn known(&self, email: &str) -> Person {
        let found = concord::repo::user::find_by_email(&self.use_cases().db, email).await.unwrap();
        self.with_access(found.unwrap_or_else(|| panic!("there is no {email}"))).await
    }

    async fn with_access(&self, user: User) -> Person {
        let (_, token) = access_token::create_for(self.use_cases(), &user, "test", None).await.unwrap();
        let (url, http) = (self.url("/graphql"), self.http.clone());
        Person { id: user.id.to_string(), email: user.email, token, url, http }
    }

    /// A request without any credential.
    pub(crate) async fn anonymous(&self, query: &str, variables: Value) -> Answer {
        let body = json!({ "query": query, "variables": variables });
        Answer::read(self.http.post(self.url("/graphql")).json(&body).send().await.unwrap()).await
    }
}

impl Person {
    /// Sends a document.
    pub(crate) async fn send(&self, query: &str, variables: Value) -> Answer {
        let body = json!({ "query": query, "variables": variables });
        let request = self.http.post(&self.url).bearer_auth(&self.token).json(&body);
        Answer::read(request.send().await.unwrap()).await
    }

    /// As [`Person::send`] to a server at this address that may be gone: what went wrong when there is no answer.
    pub(crate) async fn try_send(&self, url: &str, query: &str, variables: &Value) -> Result<Answer, String> {
        let body = json!({ "query": query, "variables": variables });
        let request = self.http.post(format!("{url}/graphql")).bearer_auth(&self.token).json(&body);
        let response = request.send().await.map_err(|error| error.to_string())?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.map_err(|error| error.to_string())?;
        let body = serde_json::from_str(&text).map_err(|_| format!("{status}, not JSON: {text:.2000}"))?;
        Ok(Answer { status, headers, body })
    }

    /// The name that the person was made with.
    pub(crate) fn name(&self) -> &str {
        self.email.split('@').next().unwrap()
    }

    /// The address of the GraphQL endpoint.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A request to the GraphQL endpoint of which the test sets the rest.
    pub(crate) fn request(&self, method: reqwest::Method) -> reqwest::RequestBuilder {
        self.http.request(method, &self.url).bearer_auth(&self.token)
    }

    /// Sends a mutation of one field with its input, and the selection of its payload.
    pub(crate) async fn mutate(&self, field: &str, input: Value, selection: &str) -> Answer {
        let name = format!("{}{}Input", field[..1].to_uppercase(), &field[1..]);
        let query = format!("mutation($input: {name}!) {{ {field}(input: $input) {{ {selection} }} }}");
        self.send(&query, json!({ "input": input })).await
    }

    /// The same person with another bearer token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// The same person in front of another Concord of this process over the same database.
    pub(crate) fn using(&self, app: &TestApp) -> Self {
        Self { url: app.url("/graphql"), ..self.clone() }
    }

    /// The same person in front of another server over the same database.
    pub(crate) fn at(&self, server: &Serving) -> Self {
        Self { url: format!("{}/graphql", server.url), ..self.clone() }
    }
}
