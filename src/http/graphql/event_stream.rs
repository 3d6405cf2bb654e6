//! `/graphql/stream`: an operation whose results come as events, one connection each (the distinct connections mode of
//! GraphQL over SSE): <https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>
//!
//! What waits to be read is bounded as on a socket. Whoever does not read is left, by the connection or at the bound.

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
use serde_json::Value;
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};

use crate::{
    domain::{limits, words::ErrorCode},
    graphql::{Caller, Closed, Operation, Outbox, Parcel, Part},
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
    auth::viewer_who_stays(server, &parts.headers).await?.ok_or_else(|| nobody.into())
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
    /// Taken out of the outbox, not told yet.
    parcels: VecDeque<Parcel>,
    silence: Interval,
    stop: watch::Receiver<bool>,
    /// The server stops, once this has its result.
    is_last: bool,
}

impl Telling {
    fn new(operation: Arc<Operation>, outbox: Arc<Outbox>, keep_alive: Duration, stop: watch::Receiver<bool>) -> Self {
        let mut silence = interval_at(Instant::now() + keep_alive, keep_alive);
        silence.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { operation, outbox, parcels: VecDeque::new(), silence, stop, is_last: false }
    }

    fn events(self, place: OwnedSemaphorePermit) -> impl Stream<Item = Bytes> + Send {
        let rest = stream::unfold((self, place), async |(mut telling, place)| {
            let bytes = telling.next().await?;
            Some((bytes, (telling, place)))
        });
        // The client, and what is between, see at once that it got through.
        stream::iter([COMMENT]).chain(rest)
    }

    /// The next bytes. Without a `complete` before its end clients open the stream again: so a subscription ends when the
    /// server stops, and anything when its client reads too slowly, and with its credential, instead of which they may have another by then.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            // Something more may stand behind its last part.
            if self.operation.has_ended() {
                return None;
            }
            if let Some(parcel) = self.parcels.pop_front() {
                return self.tell(&parcel.part);
            }
            tokio::select! {
                biased;
                taken = poll_fn(|context| self.outbox.poll_take(context)) => self.parcels = taken.ok()?,
                // An error means that the sender is gone, which is a reason to stop as well.
                _ = self.stop.wait_for(|stop| *stop), if !self.is_last => {
                    self.is_last = true;
                    if self.operation.goes_on() {
                        return None;
                    }
                }
                _ = self.silence.tick() => return Some(COMMENT),
            }
        }
    }

    fn tell(&mut self, part: &Part) -> Option<Bytes> {
        self.silence.reset();
        let mut bytes = match part {
            Part::Next(json) => return Some(next_event(&[json]).into()),
            Part::Failed(errors) if is_unauthenticated(errors) => Vec::new(),
            Part::Failed(errors) => next_event(&[br#"{"errors":"#, errors, b"}"]),
            Part::Complete => COMPLETE.to_vec(),
        };
        self.operation.end();
        if bytes.is_empty() {
            return None;
        }
        if matches!(part, Part::Failed(_)) {
            bytes.extend_from_slice(COMPLETE);
        }
        Some(bytes.into())
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.operation.end();
        // What waits there holds the operation, which holds the outbox.
        self.outbox.close(Closed::Gone);
    }
}

/// Whether a list of errors in JSON says that the credential has ended.
fn is_unauthenticated(errors: &[u8]) -> bool {
    let errors: Vec<Value> = serde_json::from_slice(errors).unwrap_or_default();
    errors.iter().any(|error| error["extensions"]["code"] == ErrorCode::Unauthenticated.as_str())
}

/// JSON has no line breaks, so that it is one line of `data`.
fn next_event(json: &[&[u8]]) -> Vec<u8> {
    [b"event: next\ndata: ".as_slice(), &json.concat(), b"\n\n"].concat()
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::service::attendance::Leave;

    const LONG: Duration = Duration::from_secs(600);

    /// An operation that has said this.
    fn telling(parts: Vec<Part>) -> (Telling, watch::Sender<bool>) {
        let (stop, stopped) = watch::channel(false);
        let outbox = Outbox::new(1_000);
        let operation = Operation::new("", outbox.clone());
        parts.into_iter().for_each(|part| operation.tell(part));
        (Telling::new(operation, outbox, LONG, stopped), stop)
    }

    async fn text(mut telling: Telling) -> String {
        let mut all = Vec::new();
        while let Some(bytes) = telling.next().await {
            all.extend_from_slice(&bytes);
        }
        String::from_utf8(all).unwrap()
    }

    fn result(json: &'static str) -> Part {
        Part::Next(json.into())
    }

    fn failed(code: &str) -> Part {
        Part::Failed(format!(r#"[{{"message":"no","extensions":{{"code":"{code}"}}}}]"#).into())
    }

    #[tokio::test]
    async fn results_are_one_line_each_and_the_end_is_told() {
        let (telling, _stop) = telling(vec![result(r#"{"data":"a\nb"}"#), result(r#"{"data":"c"}"#), Part::Complete]);
        let want = "event: next\ndata: {\"data\":\"a\\nb\"}\n\nevent: next\ndata: {\"data\":\"c\"}\n\nevent: complete\ndata:\n\n";
        assert_eq!(text(telling).await, want);
    }

    #[tokio::test]
    async fn a_failure_is_told_as_errors_and_ends() {
        let (telling, _stop) = telling(vec![failed("FORBIDDEN"), result("never told")]);
        let errors = r#"{"errors":[{"message":"no","extensions":{"code":"FORBIDDEN"}}]}"#;
        assert_eq!(text(telling).await, format!("event: next\ndata: {errors}\n\nevent: complete\ndata:\n\n"));
    }

    #[tokio::test]
    async fn with_the_credential_it_ends_open_to_be_tried_again() {
        let (refused, _stop) = telling(vec![result("1"), failed("UNAUTHENTICATED")]);
        assert_eq!(text(refused).await, "event: next\ndata: 1\n\n");
        let (left, _stop) = telling(Vec::new());
        left.outbox.close(Closed::Leave(Leave::CredentialEnded));
        assert_eq!(text(left).await, "");
    }

    #[tokio::test]
    async fn whoever_reads_too_slowly_has_to_open_it_again() {
        let (telling, _stop) = telling(vec![Part::Next(vec![b'1'; 800].into()), Part::Next(vec![b'2'; 800].into())]);
        assert_eq!(text(telling).await, "");
    }

    #[tokio::test]
    async fn silence_is_broken_by_comments() {
        let (mut telling, _stop) = telling(Vec::new());
        telling.silence = interval_at(Instant::now(), Duration::from_millis(20));
        for _ in 0..3 {
            assert_eq!(telling.next().await, Some(COMMENT));
        }
    }

    #[tokio::test]
    async fn it_ends_when_the_server_stops_and_its_operation_with_it() {
        let (mut telling, stop) = telling(Vec::new());
        assert_eq!(telling.next().now_or_never(), None, "nothing to say");
        stop.send(true).unwrap();
        assert_eq!(telling.next().now_or_never(), None, "a result is waited for");
        telling.operation.goes_on_for_long();
        telling.is_last = false;
        assert_eq!(telling.next().await, None);
        let (operation, outbox) = (telling.operation.clone(), telling.outbox.clone());
        drop(telling);
        assert!(operation.has_ended());
        assert_eq!(outbox.closed(), Some(Closed::Gone));
    }
}
