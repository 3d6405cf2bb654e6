//! One socket from its first message to its close. One task does it all: it reads, begins and ends operations, and writes
//! what they have to say. It reads nothing more while the other end does not read what it got.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll},
    time::Duration,
};

use async_graphql::Request;
use bytes::Bytes;
use serde_json::Value;
use tokio::time::{Instant, Sleep, sleep_until, timeout, timeout_at};
use tungstenite::Message;

use crate::{
    domain::limits,
    graphql::{Closed, Operation, Outbox, Parcel, Part},
    http::graphql::websocket::{
        message::{self, ClientMessage, Closing, ServerMessage},
        wire::Wire,
    },
    service::attendance::Leave,
};

/// What a conversation is about.
pub(super) trait Engine: Sync {
    /// Whoever introduced themselves.
    type Session: Send + Sync;

    /// Lets somebody in by what their first message holds. What is said to them comes by `outbox`.
    fn open(&self, payload: Value, outbox: &Arc<Outbox>)
    -> impl Future<Output = Result<Self::Session, Closing>> + Send;

    /// Begins an operation.
    fn begin(&self, session: &Self::Session, request: Request, outbox: &Arc<Outbox>, id: &str) -> Arc<Operation>;

    /// The conversation ends.
    fn ends(&self, closing: &Closing);

    /// Says that an operation is refused: too many run.
    fn refuse(&self, outbox: &Arc<Outbox>, id: &str) -> Arc<Operation>;
}

/// The limits of a conversation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    init_time: Duration,
    ping: Duration,
    silence: Duration,
    send_time: Duration,
    finish_time: Duration,
    close_time: Duration,
    message_bytes: usize,
    operations: usize,
    queue_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            init_time: limits::SOCKET_INIT_TIME,
            ping: limits::SOCKET_PING,
            silence: limits::SOCKET_SILENCE,
            send_time: limits::SOCKET_SEND_TIME,
            finish_time: limits::REQUEST_TIME,
            close_time: limits::SOCKET_CLOSE_TIME,
            message_bytes: limits::SOCKET_MESSAGE_BYTES,
            operations: limits::SOCKET_OPERATIONS,
            queue_bytes: limits::SOCKET_QUEUE_BYTES,
        }
    }
}

impl Bounds {
    /// When somebody is asked for a sign of life who gave one just now: together with others, in one waking of the process.
    fn ping_after(&self, now: Instant) -> Instant {
        static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
        let beat = self.ping / 25;
        let since_first = (now + self.ping).saturating_duration_since(*FIRST);
        let beats = since_first.as_nanos().div_ceil(beat.as_nanos().max(1));
        *FIRST + beat * u32::try_from(beats).unwrap_or(u32::MAX)
    }

    /// The largest message that is read, larger than we take, so that we can say why we do not.
    pub(super) fn read_bytes(&self) -> usize {
        2 * self.message_bytes
    }
}

/// Talks until one end closes the socket or `stop` comes to an end; then results that are on their way still arrive.
pub(super) async fn converse<E: Engine>(mut conversation: Box<Conversation<E>>, stop: impl Future<Output = ()>) {
    // What comes at the end is boxed: the task of an idle socket needs no room for it.
    let talked = tokio::select! {
        biased;
        closing = conversation.talk() => Some(closing),
        () = stop => None,
    };
    let closing = match talked {
        Some(closing) => closing,
        None => Box::pin(conversation.finish()).await,
    };
    tracing::debug!(?closing, "socket closed");
    conversation.engine.ends(&closing);
    Box::pin(conversation.close(&closing)).await;
}

/// One socket, and what runs on it. In a place of its own: the future of a task would have room for it several times.
pub(super) struct Conversation<E: Engine> {
    wire: Wire,
    engine: E,
    bounds: Bounds,
    init_by: Instant,
    /// When the other end last gave a sign of life.
    heard_at: Instant,
    ping_at: Instant,
    /// Since when the other end has read nothing of what waits for it.
    blocked_since: Option<Instant>,
    /// Bytes that had been written then.
    written: u64,
    /// Nothing more is heard, only results on their way still go out.
    is_last: bool,
    timer: Pin<Box<Sleep>>,
    session: Option<E::Session>,
    running: Vec<Arc<Operation>>,
    outbox: Arc<Outbox>,
}

impl<E: Engine> Conversation<E> {
    /// A conversation that begins now.
    pub(super) fn new(wire: Wire, engine: E, bounds: Bounds) -> Box<Self> {
        let now = Instant::now();
        let outbox = Outbox::with_line(bounds.queue_bytes, wire.line());
        Box::new(Self {
            wire,
            engine,
            bounds,
            init_by: now + bounds.init_time,
            heard_at: now,
            ping_at: bounds.ping_after(now),
            blocked_since: None,
            written: 0,
            is_last: false,
            timer: Box::pin(sleep_until(now + bounds.ping.min(bounds.init_time))),
            session: None,
            running: Vec::new(),
            outbox,
        })
    }

    async fn talk(&mut self) -> Closing {
        loop {
            let heard = match poll_fn(|context| self.poll_message(context)).await {
                // Boxed: letting somebody in takes much room, and only once.
                Ok(message) => Box::pin(self.hear(message)).await,
                Err(closing) => Err(closing),
            };
            if let Err(closing) = heard {
                return closing;
            }
        }
    }

    /// Hears nothing more, and waits for the results of queries and mutations.
    async fn finish(&mut self) -> Closing {
        self.is_last = true;
        timeout(self.bounds.finish_time, self.talk()).await.unwrap_or(Closing::GoingAway)
    }

    /// The next message of the other end. In between everything is done that time and operations ask for.
    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Result<Message, Closing>> {
        self.wire.go_on_with(self.outbox.take_line_back());
        loop {
            match self.wire.poll_flush(context) {
                Poll::Ready(Ok(())) => self.blocked_since = None,
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Closing::Gone)),
                Poll::Pending => {
                    self.note_blocked();
                    if let Some(closed) = self.outbox.closed() {
                        return Poll::Ready(Err(closed.into()));
                    }
                    match self.poll_timer(context) {
                        Poll::Ready(Ok(())) => continue,
                        Poll::Ready(Err(closing)) => return Poll::Ready(Err(closing)),
                        Poll::Pending => return self.poll_closed(context),
                    }
                }
            }
            match self.outbox.poll_take(context) {
                Poll::Ready(Ok(parcels)) => {
                    parcels.into_iter().for_each(|parcel| self.write(parcel));
                    continue;
                }
                Poll::Ready(Err(closed)) => return Poll::Ready(Err(closed.into())),
                Poll::Pending => {}
            }
            if self.is_last {
                if self.running.iter().all(|running| running.goes_on()) {
                    return Poll::Ready(Err(Closing::GoingAway));
                }
            } else {
                match self.wire.poll_read(context) {
                    Poll::Ready(Ok(message)) => {
                        self.heard_at = Instant::now();
                        return Poll::Ready(Ok(message));
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(self.broken(&error))),
                    // A pong may wait to be written.
                    Poll::Pending if !self.wire.is_flushed() => continue,
                    Poll::Pending => {}
                }
            }
            match self.poll_timer(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(closing)) => return Poll::Ready(Err(closing)),
                Poll::Pending => {
                    self.outbox.lend_line();
                    return Poll::Pending;
                }
            }
        }
    }

    /// While the other end does not read only the end of it all is waited for.
    fn poll_closed(&self, context: &mut Context<'_>) -> Poll<Result<Message, Closing>> {
        self.outbox.poll_closed(context).map(|closed| Err(closed.into()))
    }

    fn broken(&self, error: &tungstenite::Error) -> Closing {
        use tungstenite::Error;
        tracing::debug!(%error, "a socket broke");
        match error {
            Error::ConnectionClosed | Error::AlreadyClosed | Error::Io(_) => Closing::Gone,
            _ => Closing::Protocol,
        }
    }

    fn note_blocked(&mut self) {
        if self.blocked_since.is_none() || self.written != self.wire.written() {
            let now = Instant::now();
            self.blocked_since = Some(now);
            self.written = self.wire.written();
            let by = now + self.bounds.send_time;
            if by < self.timer.deadline() {
                self.timer.as_mut().reset(by);
            }
        }
    }

    /// Does what is due; ready when something was.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Closing>> {
        if self.timer.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        let now = Instant::now();
        if self.session.is_none() && now >= self.init_by {
            return Poll::Ready(Err(Closing::InitTimeout));
        }
        if self.blocked_since.is_some_and(|since| now >= since + self.bounds.send_time) {
            return Poll::Ready(Err(Closing::TooSlow));
        }
        let gone_at = self.heard_at + self.bounds.silence;
        if now >= gone_at {
            return Poll::Ready(Err(Closing::Gone));
        }
        if now >= self.ping_at {
            self.ping_at = self.bounds.ping_after(now);
            if self.blocked_since.is_none() {
                self.wire.ping();
            }
        }
        let mut next = self.ping_at.min(gone_at);
        if self.session.is_none() {
            next = next.min(self.init_by);
        }
        if let Some(since) = self.blocked_since {
            next = next.min(since + self.bounds.send_time);
        }
        self.timer.as_mut().reset(next);
        Poll::Ready(Ok(()))
    }

    async fn hear(&mut self, message: Message) -> Result<(), Closing> {
        match message {
            Message::Close(_) => Err(Closing::Gone),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(()),
            Message::Binary(_) => Err(Closing::BadRequest("messages are text".to_owned())),
            Message::Text(text) if text.len() > self.message_bytes() => Err(Closing::TooBig),
            Message::Text(text) => self.act(ClientMessage::parse(&text)?).await,
        }
    }

    /// Nobody may have much parsed without saying who they are.
    fn message_bytes(&self) -> usize {
        if self.session.is_some() { self.bounds.message_bytes } else { limits::ANONYMOUS_BODY_BYTES }
    }

    async fn act(&mut self, message: ClientMessage) -> Result<(), Closing> {
        match message {
            ClientMessage::ConnectionInit(_) if self.session.is_some() => return Err(Closing::TooManyInits),
            ClientMessage::ConnectionInit(payload) => {
                let opened = timeout_at(self.init_by, self.engine.open(payload, &self.outbox)).await;
                self.session = Some(opened.map_err(|_| Closing::InitTimeout)??);
                self.say(&ServerMessage::ConnectionAck);
            }
            ClientMessage::Ping(payload) => self.say(&ServerMessage::Pong { payload }),
            ClientMessage::Pong => {}
            ClientMessage::Subscribe { id, request } => {
                let Some(session) = &self.session else { return Err(Closing::Unauthorized) };
                if self.running.iter().any(|running| running.id() == id) {
                    return Err(Closing::Duplicate(id));
                }
                let operation = if self.running.len() >= self.bounds.operations {
                    self.engine.refuse(&self.outbox, &id)
                } else {
                    self.engine.begin(session, *request, &self.outbox, &id)
                };
                self.running.push(operation);
            }
            ClientMessage::Complete(id) => {
                if let Some(at) = self.running.iter().position(|running| running.id() == id) {
                    self.running.swap_remove(at).end();
                }
            }
        }
        Ok(())
    }

    /// Sends a part of an operation, unless that was told to end.
    fn write(&mut self, parcel: Parcel) {
        let Parcel { operation, part } = parcel;
        if operation.has_ended() {
            return;
        }
        let is_last = !matches!(part, Part::Next(_));
        match part {
            Part::Next(json) => self.tell(&operation, "next", json),
            Part::Failed(json) => self.tell(&operation, "error", json),
            Part::Complete => self.say(&ServerMessage::Complete { id: operation.id().to_owned() }),
        }
        if is_last {
            operation.end();
            self.running.retain(|running| !Arc::ptr_eq(running, &operation));
        }
    }

    fn tell(&mut self, operation: &Operation, kind: &str, json: Bytes) {
        self.wire.send(&message::head(operation, kind), json, message::TAIL);
    }

    fn say(&mut self, message: &ServerMessage) {
        self.wire.send(message.to_string().as_bytes(), Bytes::new(), b"");
    }

    /// Says why, and waits for the other end to have heard it: a socket dropped with bytes unread would be reset.
    async fn close(&mut self, closing: &Closing) {
        // Operations end with the conversation, not after the farewell.
        self.running.iter().for_each(|running| running.end());
        self.outbox.close(Closed::Gone);
        let wire = &mut self.wire;
        wire.go_on_with(self.outbox.take_line_back());
        // Without one the other end is gone, or has closed the socket itself and waits for an answer.
        if let Some(frame) = closing.frame() {
            wire.close(frame);
        }
        let is_readable = *closing != Closing::Protocol;
        let farewell = poll_fn(|context| {
            loop {
                if let Poll::Ready(Err(_)) = wire.poll_flush(context) {
                    return Poll::Ready(());
                }
                if !is_readable {
                    return wire.poll_discard(context);
                }
                match wire.poll_read(context) {
                    Poll::Ready(Ok(_)) => {}
                    // The answer to the other end's own close is written behind it.
                    Poll::Ready(Err(_)) => return wire.poll_flush(context).map(drop),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        // Whoever does not answer is left.
        let _ = timeout(self.bounds.close_time, farewell).await;
    }
}

impl<E: Engine> Drop for Conversation<E> {
    fn drop(&mut self) {
        self.running.iter().for_each(|running| running.end());
        // What waits there holds its operation, which holds the outbox.
        self.outbox.close(Closed::Gone);
    }
}

impl From<Closed> for Closing {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::TooSlow => Self::TooSlow,
            Closed::Leave(Leave::CredentialEnded) => Self::Forbidden,
            Closed::Leave(Leave::RightsChanged) => Self::RightsChanged,
            Closed::Gone => Self::Gone,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, net::SocketAddr};

    use futures::{SinkExt, StreamExt};
    use serde_json::json;
    use tokio::{
        io::AsyncReadExt,
        net::{TcpListener, TcpStream},
        sync::{mpsc, oneshot},
        time::sleep,
    };
    use tokio_tungstenite::{
        MaybeTlsStream, WebSocketStream, accept_async, connect_async,
        tungstenite::{Error, Message as Frame},
    };

    use super::*;

    /// Longer than anything takes, shorter than a test may.
    const PATIENT: Duration = Duration::from_secs(20);
    const SOON: Duration = Duration::from_millis(200);

    type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

    /// Lets everybody in, and answers.
    #[derive(Clone, Copy)]
    enum Chatter {
        /// Without an end, when there is room.
        Patient,
        /// With far more than there is room for.
        Hasty,
        /// Once, with so many bytes.
        Once(usize),
        /// Once, after a while.
        Slow,
    }

    impl Engine for Chatter {
        type Session = ();

        async fn open(&self, _: Value, _: &Arc<Outbox>) -> Result<(), Closing> {
            Ok(())
        }

        fn begin(&self, (): &(), _: Request, outbox: &Arc<Outbox>, id: &str) -> Arc<Operation> {
            let part = |bytes: usize| Part::Next(json!("x".repeat(bytes)).to_string().into());
            let operation = Operation::new(id, outbox.clone());
            let (chatting, chatter) = (operation.clone(), *self);
            tokio::spawn(async move {
                match chatter {
                    Self::Patient => {
                        chatting.goes_on_for_long();
                        while !chatting.has_ended() {
                            chatting.send(part(100_000)).await;
                        }
                    }
                    Self::Hasty => (0..100).for_each(|_| chatting.tell(part(100_000))),
                    Self::Once(bytes) => chatting.tell(part(bytes)),
                    Self::Slow => {
                        sleep(2 * SOON).await;
                        chatting.tell(part(1));
                        chatting.tell(Part::Complete);
                    }
                }
            });
            operation
        }

        fn ends(&self, _: &Closing) {}

        fn refuse(&self, outbox: &Arc<Outbox>, id: &str) -> Arc<Operation> {
            Operation::new(id, outbox.clone())
        }
    }

    fn bounds() -> Bounds {
        Bounds { init_time: PATIENT, ping: PATIENT, silence: PATIENT, send_time: PATIENT, ..Bounds::default() }
    }

    /// Opens a socket to a server with these bounds; the receiver hears when its conversation has ended.
    async fn socket(bounds: Bounds, engine: Chatter) -> (Client, mpsc::Receiver<()>) {
        socket_until(pending(), bounds, engine).await
    }

    async fn socket_until(
        stop: impl Future<Output = ()> + Send + 'static,
        bounds: Bounds,
        engine: Chatter,
    ) -> (Client, mpsc::Receiver<()>) {
        let (ended, ends) = mpsc::channel(1);
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let stream = accept_async(stream).await.unwrap().into_inner();
            let wire = Wire::new(stream, &[], bounds.read_bytes());
            converse(Conversation::new(wire, engine, bounds), stop).await;
            ended.send(()).await.unwrap();
        });
        (connect_async(url).await.unwrap().0, ends)
    }

    async fn chatting(bounds: Bounds, engine: Chatter) -> (Client, mpsc::Receiver<()>) {
        let (mut client, ended) = socket(bounds, engine).await;
        subscribe(&mut client).await;
        (client, ended)
    }

    async fn subscribe(client: &mut Client) {
        client.send(Frame::text(json!({ "type": "connection_init" }).to_string())).await.unwrap();
        let subscribe = json!({ "type": "subscribe", "id": "1", "payload": { "query": "{ a }" } });
        client.send(Frame::text(subscribe.to_string())).await.unwrap();
    }

    /// How the server closes it, and how many messages came before.
    async fn closed(client: &mut Client) -> (u16, String, usize) {
        let mut messages = 0;
        loop {
            match frame(client).await {
                Some(Ok(Frame::Text(text))) => {
                    serde_json::from_str::<Value>(&text).unwrap();
                    messages += 1;
                }
                Some(Ok(Frame::Close(Some(close)))) => {
                    return (close.code.into(), close.reason.to_string(), messages);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    async fn frame(client: &mut Client) -> Option<Result<Frame, Error>> {
        timeout(PATIENT, client.next()).await.expect("waited in vain for the server")
    }

    async fn ends(mut ended: mpsc::Receiver<()>) {
        timeout(PATIENT, ended.recv()).await.expect("the conversation goes on").unwrap();
    }

    #[tokio::test]
    async fn who_does_not_introduce_themselves_is_left() {
        let (mut client, ended) = socket(Bounds { init_time: SOON, ..bounds() }, Chatter::Patient).await;
        assert_eq!(closed(&mut client).await, (4408, "Connection initialisation timeout".to_owned(), 0));
        ends(ended).await;
    }

    #[tokio::test]
    async fn who_answers_no_ping_is_left() {
        let bounds = Bounds { ping: SOON / 2, silence: 8 * SOON, ..bounds() };
        let (mut client, mut ended) = socket(bounds, Chatter::Patient).await;
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
        let bounds = Bounds { send_time: SOON, ..bounds() };
        let (mut client, ended) = chatting(bounds, Chatter::Patient).await;
        for _ in 0..10 {
            assert!(matches!(frame(&mut client).await, Some(Ok(Frame::Text(_)))));
        }
        ends(ended).await;
    }

    #[tokio::test]
    async fn who_reads_too_slowly_is_told_to_come_again() {
        let (mut client, ended) = chatting(bounds(), Chatter::Hasty).await;
        let (code, reason, _) = closed(&mut client).await;
        assert_eq!(code, 1013, "{reason}");
        ends(ended).await;
    }

    #[tokio::test]
    async fn who_reads_slowly_but_reads_stays() {
        let (bytes, send_time) = (60_000_000, 8 * SOON);
        let (mut client, mut ended) = chatting(Bounds { send_time, ..bounds() }, Chatter::Once(bytes)).await;
        let MaybeTlsStream::Plain(stream) = client.get_mut() else { panic!("it is not encrypted") };
        let (mut buffer, mut read) = (vec![0; 400_000], 0);
        let since = Instant::now();
        while read < bytes {
            sleep(SOON / 10).await;
            read += timeout(PATIENT, stream.read(&mut buffer)).await.unwrap().unwrap();
        }
        assert!(since.elapsed() > send_time, "longer than nothing may be read");
        assert!(ended.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_server_that_stops_waits_for_results_not_for_subscriptions() {
        for (chatter, want) in [(Chatter::Slow, 3), (Chatter::Patient, 1)] {
            let (stop, stopped) = oneshot::channel();
            let stopped = async { stopped.await.unwrap() };
            let (mut client, ended) = socket_until(stopped, bounds(), chatter).await;
            subscribe(&mut client).await;
            // Until the acknowledgement it has not begun.
            frame(&mut client).await.unwrap().unwrap();
            sleep(SOON).await;
            stop.send(()).unwrap();
            let (code, _, messages) = closed(&mut client).await;
            assert_eq!(code, 1001);
            assert!(messages + 1 >= want, "{messages}");
            ends(ended).await;
        }
    }

    #[tokio::test]
    async fn a_message_that_is_not_even_read_is_answered_with_why() {
        let (mut client, ended) = socket(bounds(), Chatter::Patient).await;
        let too_big = "x".repeat(3 * limits::SOCKET_MESSAGE_BYTES);
        client.send(Frame::text(too_big)).await.unwrap();
        assert_eq!(closed(&mut client).await.0, 1002);
        drop(client);
        ends(ended).await;
    }
}
