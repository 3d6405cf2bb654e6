//! A client of the socket, in the protocol graphql-transport-ws.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use reqwest::{StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{self, Message, client::IntoClientRequest, handshake::client::Request},
};

use crate::harness::{Answer, Person, TestApp};

/// How long a message may take before a test gives up: far more than it does on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// The request that opens a socket at the address of the GraphQL endpoint.
fn opening(graphql: &str) -> Request {
    let mut request = format!("{}/ws", graphql.replacen("http", "ws", 1)).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
    request
}

impl TestApp {
    /// The request that opens a socket, to be changed.
    pub(crate) fn opening(&self) -> Request {
        opening(&self.url("/graphql"))
    }

    /// A socket on which nobody has said anything yet.
    pub(crate) async fn socket(&self) -> Socket {
        Socket::open(self.opening()).await.expect("the socket opens")
    }
}

impl Person {
    /// A socket at a server that may be gone, on which this person has introduced themselves.
    pub(crate) async fn socket_at(&self, url: &str) -> Option<Socket> {
        let (stream, _) = tokio_tungstenite::connect_async(opening(&format!("{url}/graphql"))).await.ok()?;
        let mut socket = Socket(stream);
        let payload = json!({ "Authorization": format!("Bearer {}", self.token) });
        let hello = json!({ "type": "connection_init", "payload": payload });
        socket.0.send(Message::text(hello.to_string())).await.ok()?;
        let answer = socket.next_or_gone().await?;
        (answer["type"] == "connection_ack").then_some(socket)
    }

    /// A socket on which this person has introduced themselves.
    pub(crate) async fn socket(&self) -> Socket {
        let mut socket = Socket::open(opening(self.url())).await.expect("the socket opens");
        socket.introduce(&self.token).await;
        socket
    }

    /// Begins a subscription on a socket of its own, under the id `1`.
    pub(crate) async fn subscribe(&self, query: &str, variables: Value) -> Socket {
        let mut socket = self.socket().await;
        socket.subscribe("1", query, variables).await;
        socket
    }

    /// What a document gives: the first message when it is a subscription.
    pub(crate) async fn ask(&self, document: &str, variables: Value) -> Answer {
        if !document.starts_with("subscription") {
            return self.send(document, variables).await;
        }
        let message = self.subscribe(document, variables).await.next().await;
        let body = match message["type"].as_str() {
            Some("next") => message["payload"].clone(),
            Some("error") => json!({ "errors": message["payload"] }),
            _ => panic!("neither a result nor an error: {message}"),
        };
        Answer { status: StatusCode::OK, headers: HeaderMap::new(), body }
    }
}

/// A socket to Concord.
pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Opens a socket.
    ///
    /// # Errors
    /// The answer, when it is another than the opening of a socket.
    pub(crate) async fn open(request: Request) -> Result<Self, tungstenite::http::Response<Option<Vec<u8>>>> {
        match tokio_tungstenite::connect_async(request).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(tungstenite::Error::Http(response)) => Err(*response),
            Err(error) => panic!("no socket: {error}"),
        }
    }

    /// Says who one is, and waits to be let in.
    pub(crate) async fn introduce(&mut self, token: &str) {
        let payload = json!({ "Authorization": format!("Bearer {token}") });
        self.send(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(self.next().await, json!({ "type": "connection_ack" }));
    }

    /// Begins an operation.
    pub(crate) async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({ "query": query, "variables": variables });
        self.send(json!({ "type": "subscribe", "id": id, "payload": payload })).await;
    }

    /// Sends a message.
    pub(crate) async fn send(&mut self, message: Value) {
        self.send_frame(Message::text(message.to_string())).await;
    }

    /// Sends a frame, whatever is in it.
    pub(crate) async fn send_frame(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    async fn frame(&mut self) -> Option<Message> {
        let frame = timeout(DEADLINE, self.0.next()).await.expect("waited in vain for a message");
        frame.map(|frame| frame.unwrap())
    }

    /// The next message.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            match self.frame().await {
                Some(Message::Text(text)) => return serde_json::from_str(&text).unwrap(),
                Some(Message::Ping(_)) => {}
                other => panic!("a message was to come, not {other:?}"),
            }
        }
    }

    /// The next message; none when the server is gone, or says so.
    pub(crate) async fn next_or_gone(&mut self) -> Option<Value> {
        loop {
            match timeout(DEADLINE, self.0.next()).await.expect("waited in vain for a message") {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Ping(_))) => {}
                Some(Ok(_) | Err(_)) | None => return None,
            }
        }
    }

    /// The next event of a subscription to events.
    pub(crate) async fn event(&mut self) -> Value {
        let message = self.next().await;
        let data = &message["payload"]["data"];
        let event = if data["conflictEvents"].is_null() { &data["taskEvents"] } else { &data["conflictEvents"] };
        assert!(message["type"] == "next" && event.is_object(), "no event: {message}");
        assert_eq!(message["payload"].get("errors"), None, "{message}");
        event.clone()
    }

    /// The next events.
    pub(crate) async fn events(&mut self, count: usize) -> Vec<Value> {
        let mut events = Vec::with_capacity(count);
        while events.len() < count {
            events.push(self.event().await);
        }
        events
    }

    /// Code and reason the server closes with; it must say nothing before.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        let (before, code, reason) = self.rest().await;
        assert_eq!(before, [] as [Value; 0], "before {code} {reason}");
        (code, reason)
    }

    /// What the server says until it closes, and code and reason of that.
    pub(crate) async fn rest(&mut self) -> (Vec<Value>, u16, String) {
        // In all: the server's own pings go on for ever.
        timeout(DEADLINE, self.until_closed()).await.expect("waited in vain for the server to close")
    }

    async fn until_closed(&mut self) -> (Vec<Value>, u16, String) {
        let mut before = Vec::new();
        loop {
            match self.frame().await {
                Some(Message::Text(text)) => before.push(serde_json::from_str(&text).unwrap()),
                Some(Message::Ping(_)) => {}
                Some(Message::Close(Some(frame))) => return (before, frame.code.into(), frame.reason.to_string()),
                other => panic!("the server was to close with a reason, not {other:?}"),
            }
        }
    }

    /// What runs on the socket ends with this code and field of its error; where `closed` is given, the server closes the
    /// socket with that, before which what runs may have looked by itself.
    pub(crate) async fn ends_with(&mut self, case: &str, closed: Option<u16>, error: [&str; 2]) {
        let messages = match closed {
            None => vec![self.next().await],
            Some(closed) => {
                let (before, code, reason) = self.rest().await;
                assert_eq!(code, closed, "{case}: {reason}");
                before
            }
        };
        for message in messages {
            assert_eq!(message["type"], "error", "{case}: {message}");
            let extensions = &message["payload"][0]["extensions"];
            let told = ["code", "field"].map(|key| extensions[key].as_str().unwrap_or_default());
            assert_eq!(told, error, "{case}: {message}");
        }
    }
}
