//! Coming in as people do: by a link, by a password.

use serde_json::{Value, json};

use crate::harness::{Answer, Person, TestApp};

impl TestApp {
    /// Signs in through the API; `input` holds one of its ways.
    pub(crate) async fn sign_in(&self, input: Value) -> Answer {
        let query = "mutation($input: SignInInput!) { signIn(input: $input) { token expiresAt user { id email } } }";
        self.anonymous(query, json!({ "input": input })).await
    }

    /// Signs in by a link, as it was printed or made.
    pub(crate) async fn sign_in_by_link(&self, link: &str) -> Answer {
        self.sign_in(json!({ "link": link_secret(link) })).await
    }

    /// Signs in by address and password.
    pub(crate) async fn sign_in_by_password(&self, email: &str, password: &str) -> Answer {
        self.sign_in(json!({ "password": { "email": email, "password": password } })).await
    }

    /// A person in a new login session, by a link that `boss` makes.
    pub(crate) async fn signed_in(&self, boss: &Person, who: &Person) -> Person {
        let link = boss.link_for(who).await.text("createSignInLink.url");
        who.with_token(&self.sign_in_by_link(&link).await.text("signIn.token"))
    }
}

impl Person {
    /// Makes a sign-in link for somebody.
    pub(crate) async fn link_for(&self, who: &Person) -> Answer {
        self.mutate("createSignInLink", json!({ "userId": who.id }), "url expiresAt").await
    }

    /// Asks who the token belongs to.
    pub(crate) async fn whoami(&self) -> Answer {
        self.send("{ viewer { id name admin disabled } }", json!({})).await
    }
}

/// The secret of a sign-in link.
pub(crate) fn link_secret(link: &str) -> &str {
    link.split_once("/sign-in?link=").unwrap_or_else(|| panic!("no sign-in link: {link}")).1
}
