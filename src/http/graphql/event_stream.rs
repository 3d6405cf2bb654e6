//! `/graphql/stream`: an operation whose results come as events, one connection each (the distinct connections mode of
//! GraphQL over SSE): <https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>
//!
//! Nothing is run further than the client reads: what waits is one event and what the connection buffers.

use std::{collections::VecDeque, convert::Infallible, future::poll_fn, net::SocketAddr, sync::Arc, time::Duration};

use async_graphql::parser::types::OperationType;
use axum::{
    Extension,
    body::Body,
    extract::{ConnectInfo, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};

use crate::{
    domain::{limits, words::ErrorCode},
    graphql::{Caller, Operation, Outbox, Parcel, Part},
    http::{
        Server, auth,
        error::HttpError,
        graphql::{read, request},
        negotiation::takes_event_stream,
        security,
        serve::{Connection, Streams},
    },
    service::{ServiceError, Viewer},
};

/// Runs an operation, by `POST`, or by `GET` one that changes nothing.
pub(in crate::http) async fn open(
    State(server): State<Arc<Server>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Extension(connection): Extension<Connection>,
    Extension(streams): Extension<Streams>,
    request: axum::extract::Request,
) -> Result<Response, HttpError> {
    let (parts, body) = request.into_parts();
    must_be_distinct(&parts)?;
    if !server.is_open() {
        return Err(ServiceError::Unavailable("the server is starting").into());
    }
    if server.is_draining() {
        return Err(ServiceError::Unavailable("the server is stopping").into());
    }
    let viewer = viewer(&server, &parts).await?;
    let request = if parts.method == Method::GET {
        let taken = [OperationType::Query, OperationType::Subscription];
        request::from_query(parts.uri.query().unwrap_or_default(), &taken)?
    } else {
        request::from_body(&parts.headers, &read(body, limits::BODY_BYTES).await?)?
    };
    let too_many = |_| ServiceError::limit("connection", limits::CONNECTION_STREAMS, "streams of a connection");
    let place = streams.places.try_acquire_owned().map_err(too_many)?;
    streams.patience.begin();
    tracing::Span::current().record("user", tracing::field::display(viewer.user.id));
    let outbox = Outbox::new(limits::SOCKET_QUEUE_BYTES);
    let guest = Arc::downgrade(&outbox);
    server.app.attendance.enter(&server.app, &viewer, guest);
    let caller = Caller { viewer: Some(viewer), address: address.ip().to_string() };
    let operation = server.api.begin(caller, request, &outbox, "");
    Ok(respond(Telling::new(operation, outbox, limits::STREAM_KEEP_ALIVE, connection.stop).events(place)))
}

/// Each operation has a request of its own; nothing is reserved, and nothing sent to another request's stream.
fn must_be_distinct(parts: &Parts) -> Result<(), HttpError> {
    if parts.method != Method::POST && parts.method != Method::GET {
        let message = "use POST or GET, one request for each operation: this is the distinct connections mode";
        let error = HttpError::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::BadUserInput, message);
        return Err(error.with_header(header::ALLOW, HeaderValue::from_static("POST, GET")));
    }
    if !takes_event_stream(&parts.headers) {
        let message = "Accept: take text/event-stream, or send the request to /graphql";
        return Err(HttpError::new(StatusCode::NOT_ACCEPTABLE, ErrorCode::BadUserInput, message));
    }
    Ok(())
}

/// A browser names the page that asks, unless it is one of ours.
async fn viewer(server: &Server, parts: &Parts) -> Result<Viewer, HttpError> {
    let has_token = parts.headers.contains_key(header::AUTHORIZATION);
    if !has_token && auth::cookie(&parts.headers).is_some() && security::is_foreign(server, &parts.headers) {
        let message = "Origin: with a session cookie the stream must be opened from this site or an allowed one";
        return Err(HttpError::new(StatusCode::FORBIDDEN, ErrorCode::Forbidden, message));
    }
    let nobody = ServiceError::Unauthenticated("sign in first: send a bearer token or the session cookie");
    auth::viewer(server, &parts.headers).await?.ok_or_else(|| nobody.into())
}

fn respond(events: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Proxies that gather an answer before they pass it on would keep the events.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, Body::from_stream(events.map(Ok::<_, Infallible>))).into_response()
}

/// A line that readers skip.
const COMMENT: Bytes = Bytes::from_static(b":\n\n");
/// Its `data` is empty, not missing: else a browser's `EventSource` would not tell of it.
const COMPLETE: &[u8] = b"event: complete\ndata:\n\n";

/// The telling of one operation's results.
struct Telling {
    operation: Arc<Operation>,
    outbox: Arc<Outbox>,
    /// Taken and not told.
    parcels: VecDeque<Parcel>,
    silence: Interval,
    stop: watch::Receiver<bool>,
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.operation.end();
    }
}

impl Telling {
    fn new(operation: Arc<Operation>, outbox: Arc<Outbox>, keep_alive: Duration, stop: watch::Receiver<bool>) -> Self {
        let mut silence = interval_at(Instant::now() + keep_alive, keep_alive);
        silence.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { operation, outbox, parcels: VecDeque::new(), silence, stop }
    }

    fn events(self, place: OwnedSemaphorePermit) -> impl Stream<Item = Bytes> + Send {
        let rest = stream::unfold((self, place), async |(mut telling, place)| {
            let bytes = telling.next().await?;
            Some((bytes, (telling, place)))
        });
        // The client, and what is between, see at once that it got through.
        stream::iter([COMMENT]).chain(rest)
    }

    /// The next bytes. Without a `complete` before its end clients open the stream again: so it ends when the server
    /// stops, and with its credential, instead of which they may have another by then.
    async fn next(&mut self) -> Option<Bytes> {
        if self.operation.has_ended() {
            return None;
        }
        while self.parcels.is_empty() {
            let taken = tokio::select! {
                // An error means that the sender is gone, which is a reason to stop as well.
                _ = self.stop.wait_for(|stop| *stop) => return None,
                taken = poll_fn(|context| self.outbox.poll_take(context)) => taken,
                _ = self.silence.tick() => return Some(COMMENT),
            };
            self.parcels = taken.ok()?;
        }
        self.silence.reset();
        let mut text = Vec::new();
        match self.parcels.pop_front()?.part {
            Part::Next(result) => write_next(&mut text, &[&result]),
            Part::Failed(errors) => {
                write_next(&mut text, &[b"{\"errors\":", &errors, b"}"]);
                self.complete(&mut text);
            }
            Part::Complete => self.complete(&mut text),
        }
        Some(text.into())
    }

    fn complete(&self, text: &mut Vec<u8>) {
        self.operation.end();
        text.extend_from_slice(COMPLETE);
    }
}

/// A result as an event. JSON has no line breaks, so that it is one line of `data`.
fn write_next(text: &mut Vec<u8>, result: &[&[u8]]) {
    text.extend_from_slice(b"event: next\ndata: ");
    result.iter().for_each(|part| text.extend_from_slice(part));
    text.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::service::attendance::{Guest, Leave};

    const LONG: Duration = Duration::from_secs(600);

    fn telling(parts: impl IntoIterator<Item = Part>) -> (Telling, watch::Sender<bool>) {
        let (stop, stopped) = watch::channel(false);
        let outbox = Outbox::new(1_000_000);
        let operation = Operation::new("", outbox.clone());
        parts.into_iter().for_each(|part| operation.tell(part));
        (Telling::new(operation, outbox, LONG, stopped), stop)
    }

    async fn texts(mut telling: Telling) -> String {
        let mut all = Vec::new();
        while let Some(bytes) = telling.next().await {
            all.extend_from_slice(&bytes);
        }
        String::from_utf8(all).unwrap()
    }

    fn result(text: &'static str) -> Part {
        Part::Next(Bytes::from_static(text.as_bytes()))
    }

    #[tokio::test]
    async fn results_are_one_line_each_and_the_end_is_told() {
        let (telling, _stop) = telling([result(r#"{"data":"a\r\nb"}"#), result(r#"{"data":"c"}"#), Part::Complete]);
        let want = "event: next\ndata: {\"data\":\"a\\r\\nb\"}\n\nevent: next\ndata: {\"data\":\"c\"}\n\nevent: complete\ndata:\n\n";
        assert_eq!(texts(telling).await, want);
    }

    #[tokio::test]
    async fn a_failure_is_told_as_errors_and_ends() {
        let failed = Part::Failed(Bytes::from_static(br#"[{"message":"no"}]"#));
        let (telling, _stop) = telling([failed, result("never told")]);
        let told = texts(telling).await;
        assert_eq!(told, "event: next\ndata: {\"errors\":[{\"message\":\"no\"}]}\n\nevent: complete\ndata:\n\n");
    }

    #[tokio::test]
    async fn with_the_credential_it_ends_open_to_be_tried_again() {
        let (mut telling, _stop) = telling([result("1")]);
        assert_eq!(telling.next().await.unwrap(), "event: next\ndata: 1\n\n");
        telling.outbox.leave(Leave::CredentialEnded);
        assert_eq!(texts(telling).await, "");
    }

    #[tokio::test]
    async fn silence_is_broken_by_comments() {
        let (mut telling, _stop) = telling([]);
        let pause = Duration::from_millis(20);
        telling.silence = interval_at(Instant::now() + pause, pause);
        for _ in 0..3 {
            assert_eq!(telling.next().await, Some(COMMENT));
        }
    }

    #[tokio::test]
    async fn it_ends_when_the_server_stops() {
        let (mut telling, stop) = telling([]);
        assert_eq!(telling.next().now_or_never(), None, "nothing to say");
        stop.send(true).unwrap();
        assert_eq!(telling.next().await, None);
    }
}
