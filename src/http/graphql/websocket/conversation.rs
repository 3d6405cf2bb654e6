//! One socket from its first message to its close. One task does it all: it reads, runs the operations and writes, and
//! runs none of them further while the other end does not read what it got.

use std::{collections::HashMap, future::Future, time::Duration};

use async_graphql::Request;
use axum::{
    body::Bytes,
    extract::ws::{Message, WebSocket},
};
use futures::{
    StreamExt,
    future::ready,
    stream::{self, AbortHandle, BoxStream, SelectAll},
};
use serde_json::Value;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout, timeout_at},
};

use crate::{
    domain::limits,
    graphql::Answer,
    http::graphql::websocket::message::{ClientMessage, Closing, ServerMessage},
    service::ServiceError,
};

/// What a conversation is about.
pub(super) trait Engine: Sync {
    /// Whoever introduced themselves.
    type Session: Send + Sync;

    /// Lets somebody in by what their first message holds.
    fn open(&self, payload: Value) -> impl Future<Output = Result<Self::Session, Closing>> + Send;

    /// Runs an operation. After [`Answer::Failed`] nothing is asked of the stream.
    fn run(&self, session: &Self::Session, request: Request) -> BoxStream<'static, Answer>;
}

/// The limits of a conversation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    init_time: Duration,
    ping: Duration,
    silence: Duration,
    send_time: Duration,
    close_time: Duration,
    message_bytes: usize,
    operations: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            init_time: limits::SOCKET_INIT_TIME,
            ping: limits::SOCKET_PING,
            silence: limits::SOCKET_SILENCE,
            send_time: limits::SOCKET_SEND_TIME,
            close_time: limits::SOCKET_CLOSE_TIME,
            message_bytes: limits::SOCKET_MESSAGE_BYTES,
            operations: limits::SOCKET_OPERATIONS,
        }
    }
}

/// Talks until one end closes the socket or `stop` turns true.
pub(super) async fn converse<E: Engine>(socket: WebSocket, engine: &E, bounds: Bounds, stop: watch::Receiver<bool>) {
    let mut conversation = Conversation {
        socket,
        engine,
        bounds,
        stop,
        init_by: Instant::now() + bounds.init_time,
        session: None,
        running: HashMap::new(),
        answers: SelectAll::new(),
    };
    let closing = match conversation.talk().await {
        Err(closing) => closing,
        Ok(never) => match never {},
    };
    tracing::debug!(?closing, "socket closed");
    conversation.close(&closing).await;
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a reason to stop as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// What talking ends with: only ever a reason to close.
type Talked = Result<std::convert::Infallible, Closing>;

/// An operation's id with a part of its answer; none: it has ended.
type Part = (String, Option<Answer>);

struct Conversation<'e, E: Engine> {
    socket: WebSocket,
    engine: &'e E,
    bounds: Bounds,
    stop: watch::Receiver<bool>,
    init_by: Instant,
    session: Option<E::Session>,
    /// The operations that run, by id.
    running: HashMap<String, AbortHandle>,
    answers: SelectAll<BoxStream<'static, Part>>,
}

impl<E: Engine> Conversation<'_, E> {
    async fn talk(&mut self) -> Talked {
        let mut heard_at = Instant::now();
        let mut pings = interval_at(heard_at + self.bounds.ping, self.bounds.ping);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopped(&mut self.stop) => return Err(Closing::GoingAway),
                () = sleep_until(self.init_by), if self.session.is_none() => return Err(Closing::InitTimeout),
                message = self.socket.recv() => {
                    heard_at = Instant::now();
                    self.hear(message).await?;
                }
                Some((id, answer)) = self.answers.next(), if !self.answers.is_empty() => self.tell(&id, answer).await?,
                _ = pings.tick() => {
                    if heard_at.elapsed() >= self.bounds.silence {
                        return Err(Closing::Gone);
                    }
                    self.send(Message::Ping(Bytes::new())).await?;
                }
            }
        }
    }

    async fn hear(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), Closing> {
        match message {
            None | Some(Ok(Message::Close(_))) => Err(Closing::Gone),
            Some(Err(error)) => {
                tracing::debug!(%error, "a socket broke");
                Err(Closing::Protocol)
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
            Some(Ok(Message::Binary(_))) => Err(Closing::BadRequest("messages are text".to_owned())),
            Some(Ok(Message::Text(text))) if text.len() > self.message_bytes() => Err(Closing::TooBig),
            Some(Ok(Message::Text(text))) => self.act(ClientMessage::parse(&text)?).await,
        }
    }

    /// Nobody may have much parsed without saying who they are.
    fn message_bytes(&self) -> usize {
        if self.session.is_some() { self.bounds.message_bytes } else { limits::ANONYMOUS_BODY_BYTES }
    }

    async fn act(&mut self, message: ClientMessage) -> Result<(), Closing> {
        match message {
            ClientMessage::ConnectionInit(_) if self.session.is_some() => Err(Closing::TooManyInits),
            ClientMessage::ConnectionInit(payload) => {
                let opened = timeout_at(self.init_by, self.engine.open(payload)).await;
                self.session = Some(opened.map_err(|_| Closing::InitTimeout)??);
                self.say(&ServerMessage::ConnectionAck).await
            }
            ClientMessage::Ping(payload) => self.say(&ServerMessage::Pong { payload }).await,
            ClientMessage::Pong => Ok(()),
            ClientMessage::Subscribe { id, request } => {
                let Some(session) = &self.session else { return Err(Closing::Unauthorized) };
                if self.running.contains_key(&id) {
                    return Err(Closing::Duplicate(id));
                }
                if self.running.len() >= self.bounds.operations {
                    let error = ServiceError::limit("id", self.bounds.operations, "operations run on a socket at once");
                    return self.tell(&id, Some(Answer::failed(error))).await;
                }
                let answers = self.engine.run(session, *request);
                self.begin(id, answers);
                Ok(())
            }
            ClientMessage::Complete(id) => {
                self.end(&id);
                Ok(())
            }
        }
    }

    fn begin(&mut self, id: String, answers: BoxStream<'static, Answer>) {
        let name = id.clone();
        let parts = answers.map(Some).chain(stream::once(ready(None))).map(move |part| (name.clone(), part));
        let (parts, handle) = stream::abortable(parts);
        self.running.insert(id, handle);
        self.answers.push(parts.boxed());
    }

    /// Ends an operation: nothing more comes of it, and its id is free.
    fn end(&mut self, id: &str) {
        if let Some(handle) = self.running.remove(id) {
            handle.abort();
        }
    }

    async fn tell(&mut self, id: &str, answer: Option<Answer>) -> Result<(), Closing> {
        match answer {
            Some(Answer::Next(response)) => self.say(&ServerMessage::Next { id, payload: &response }).await,
            Some(Answer::Failed(errors)) => {
                self.end(id);
                self.say(&ServerMessage::Error { id, payload: &errors }).await
            }
            None => {
                self.end(id);
                self.say(&ServerMessage::Complete { id }).await
            }
        }
    }

    async fn say(&mut self, message: &ServerMessage<'_>) -> Result<(), Closing> {
        let text = serde_json::to_string(message).map_err(|error| {
            tracing::error!(%error, "cannot write a message");
            Closing::Fault
        })?;
        self.send(Message::Text(text.into())).await
    }

    /// Waits for the other end to take a message, which holds up everything else on this socket.
    async fn send(&mut self, message: Message) -> Result<(), Closing> {
        tokio::select! {
            sent = timeout(self.bounds.send_time, self.socket.send(message)) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) | Err(_) => Err(Closing::Gone),
            },
            () = stopped(&mut self.stop) => Err(Closing::GoingAway),
        }
    }

    /// Says why, and waits for the other end to have heard it: a socket dropped with bytes unread would be reset.
    async fn close(mut self, closing: &Closing) {
        // Operations end with the conversation, not after the farewell.
        self.answers.clear();
        let socket = &mut self.socket;
        let farewell = async {
            if let Some(frame) = closing.frame() {
                socket.send(Message::Close(Some(frame))).await?;
            }
            while let Some(message) = socket.recv().await {
                message?;
            }
            Ok::<(), axum::Error>(())
        };
        // Whoever does not answer is left.
        let _ = timeout(self.bounds.close_time, farewell).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, sync::Arc};

    use async_graphql::Response;
    use axum::{Router, extract::WebSocketUpgrade, routing::get};
    use futures::SinkExt;
    use serde_json::json;
    use tokio::{net::TcpStream, sync::mpsc};
    use tokio_tungstenite::{
        MaybeTlsStream, WebSocketStream, connect_async,
        tungstenite::{Error, Message as Frame},
    };

    use super::*;

    /// Longer than anything takes, shorter than a test may.
    const PATIENT: Duration = Duration::from_secs(20);
    const SOON: Duration = Duration::from_millis(200);

    type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

    /// Lets everybody in, and answers without an end.
    struct Chatter;

    impl Engine for Chatter {
        type Session = ();

        async fn open(&self, _: Value) -> Result<(), Closing> {
            Ok(())
        }

        fn run(&self, (): &(), _: Request) -> BoxStream<'static, Answer> {
            let text = "x".repeat(100_000);
            stream::repeat_with(move || Answer::Next(Response::new(text.clone()))).boxed()
        }
    }

    fn bounds() -> Bounds {
        Bounds { init_time: PATIENT, ping: PATIENT, silence: PATIENT, send_time: PATIENT, ..Bounds::default() }
    }

    /// Opens a socket to a server with these bounds; the receiver hears when its conversation has ended.
    async fn socket(bounds: Bounds) -> (Client, mpsc::Receiver<()>) {
        let (ended, ends) = mpsc::channel(1);
        // Never stopped.
        let (stop, stopped) = watch::channel(false);
        let stop = Arc::new(stop);
        let serve = get(async move |upgrade: WebSocketUpgrade| {
            upgrade.on_upgrade(async move |socket| {
                converse(socket, &Chatter, bounds, stopped).await;
                drop(stop);
                ended.send(()).await.unwrap();
            })
        });
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, Router::new().route("/", serve)).into_future());
        (connect_async(url).await.unwrap().0, ends)
    }

    async fn frame(client: &mut Client) -> Option<Result<Frame, Error>> {
        timeout(PATIENT, client.next()).await.expect("waited in vain for the server")
    }

    async fn ends(mut ended: mpsc::Receiver<()>) {
        timeout(PATIENT, ended.recv()).await.expect("the conversation goes on").unwrap();
    }

    #[tokio::test]
    async fn who_does_not_introduce_themselves_is_left() {
        let (mut client, ended) = socket(Bounds { init_time: SOON, ..bounds() }).await;
        let Some(Ok(Frame::Close(Some(close)))) = frame(&mut client).await else { panic!("the server closes") };
        assert_eq!((u16::from(close.code), close.reason.as_str()), (4408, "Connection initialisation timeout"));
        ends(ended).await;
    }

    #[tokio::test]
    async fn who_answers_no_ping_is_left() {
        let bounds = Bounds { ping: SOON / 2, silence: 8 * SOON, ..bounds() };
        let (mut client, mut ended) = socket(bounds).await;
        // Reading answers pings, for longer than one may be silent.
        for _ in 0..20 {
            assert!(matches!(frame(&mut client).await, Some(Ok(Frame::Ping(_)))));
        }
        assert!(ended.try_recv().is_err(), "whoever answers stays");
        ends(ended).await;
        drop(client);
    }

    #[tokio::test]
    async fn who_does_not_read_is_left() {
        let (mut client, ended) = socket(Bounds { send_time: SOON, ..bounds() }).await;
        client.send(Frame::text(json!({ "type": "connection_init" }).to_string())).await.unwrap();
        let subscribe = json!({ "type": "subscribe", "id": "1", "payload": { "query": "{ a }" } });
        client.send(Frame::text(subscribe.to_string())).await.unwrap();
        for _ in 0..10 {
            assert!(matches!(frame(&mut client).await, Some(Ok(Frame::Text(_)))));
        }
        ends(ended).await;
    }
}
