//! `/graphql/ws`: any operation over a socket, in the protocol graphql-transport-ws:
//! <https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverWebSocket.md>

mod conversation;
mod message;
mod wire;

use std::{error::Error, net::SocketAddr, sync::Arc};

use async_graphql::Request;
use axum::{
    Extension,
    body::Body,
    extract::{ConnectInfo, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use conversation::{Bounds, Conversation, Engine, converse};
use hyper::upgrade::OnUpgrade;
use hyper_util::{rt::TokioIo, server::conn::auto::upgrade::downcast};
use message::Closing;
use serde_json::Value;
use tokio::{net::TcpStream, sync::watch, time::sleep};
use tungstenite::handshake::server as handshake;
use wire::Wire;

use crate::{
    domain::{limits, words::ErrorCode},
    graphql::{Caller, Operation, Outbox},
    http::{Server, auth, error::HttpError, patience::Impatient, security, serve::Connection},
    service::{ServiceError, Viewer, identity},
};

/// The one protocol that is spoken.
const PROTOCOL: &str = "graphql-transport-ws";

/// Takes a socket. Who it is for is said in the first message, or by the session cookie that came with the request.
pub(in crate::http) async fn connect(
    State(server): State<Arc<Server>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Extension(connection): Extension<Connection>,
    mut request: axum::extract::Request,
) -> Result<Response, HttpError> {
    let mut response = handshake::create_response_with_body(&request, Body::empty).map_err(|_| {
        let message = "open a WebSocket here; send requests to /graphql";
        HttpError::new(StatusCode::UPGRADE_REQUIRED, ErrorCode::BadUserInput, message)
            .with_header(header::UPGRADE, HeaderValue::from_static("websocket"))
    })?;
    if !server.is_open() {
        return Err(ServiceError::Unavailable("the server is starting").into());
    }
    if server.is_draining() {
        return Err(ServiceError::Unavailable("the server is stopping").into());
    }
    let cookie = auth::cookie(request.headers()).map(str::to_owned);
    if cookie.is_some() {
        must_come_from_a_known_site(&server, request.headers())?;
    }
    if !speaks(request.headers()) {
        return Err(HttpError::bad_request(format!("Sec-WebSocket-Protocol: the protocol spoken here is {PROTOCOL}")));
    }
    response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    let upgrade = hyper::upgrade::on(&mut request);
    let door = Door { server, address: address.ip().to_string(), cookie };
    tokio::spawn(async move {
        let Connection { place, stop } = connection;
        match take_over(upgrade).await {
            Ok(wire) => {
                // Boxed: a future that is passed on takes its room twice.
                let stop = Box::pin(turn_to_close(stop, door.server.clone()));
                converse(Conversation::new(wire, door, Bounds::default()), stop).await;
            }
            Err(error) => tracing::debug!(%error, "a connection did not become a socket"),
        }
        drop(place);
    });
    Ok(response)
}

/// Comes to an end when the server stops and it is this socket's turn: those who are closed connect elsewhere, not all at
/// once.
async fn turn_to_close(mut stop: watch::Receiver<bool>, server: Arc<Server>) {
    // An error means that the sender is gone, which is a reason to stop as well.
    let _ = stop.wait_for(|stop| *stop).await;
    let others = u32::try_from(server.metrics().subscriptions.get()).unwrap_or_default();
    let all = (limits::SOCKET_STOP_PAUSE * others).min(limits::SOCKET_STOP_TIME);
    let mut chance = [0; 2];
    // Without chance it is the first.
    let _ = getrandom::fill(&mut chance);
    // Boxed: each socket's task has room for the rest all its life.
    Box::pin(sleep(all * u32::from(u16::from_ne_bytes(chance)) / u32::from(u16::MAX))).await;
}

/// Whether the client speaks our protocol.
fn speaks(headers: &HeaderMap) -> bool {
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    offered.flat_map(|line| line.split(',')).any(|protocol| protocol.trim() == PROTOCOL)
}

/// The connection itself: what HTTP kept of it is not needed any more.
async fn take_over(upgrade: OnUpgrade) -> Result<Wire, Box<dyn Error + Send + Sync>> {
    let upgraded = upgrade.await?;
    let parts = downcast::<TokioIo<Impatient<TcpStream>>>(upgraded).map_err(|_| "not a connection of this server")?;
    Ok(Wire::new(parts.io.into_inner().into_inner(), &parts.read_buf, Bounds::default().read_bytes()))
}

/// A browser sends its cookie along with a socket that a stranger's page opens, and lets that page read what comes back.
fn must_come_from_a_known_site(server: &Server, headers: &HeaderMap) -> Result<(), HttpError> {
    let is_known = security::origin(headers)
        .is_some_and(|origin| security::is_own(server, headers, origin) || security::is_allowed(server, origin));
    if is_known {
        return Ok(());
    }
    let message = "Origin: with a session cookie the socket must be opened from this site or an allowed one";
    Err(HttpError::new(StatusCode::FORBIDDEN, ErrorCode::Forbidden, message))
}

/// What the other end of one socket can reach.
struct Door {
    server: Arc<Server>,
    address: String,
    cookie: Option<String>,
}

impl Engine for Door {
    type Session = Viewer;

    /// `payload` may hold the credential as `{"Authorization": "Bearer …"}`; it goes before the cookie.
    async fn open(&self, payload: Value, outbox: &Arc<Outbox>) -> Result<Viewer, Closing> {
        let given = ["Authorization", "authorization"].into_iter().find_map(|name| payload.get(name));
        let secret = match given {
            Some(value) => auth::bearer(value.as_str().unwrap_or_default()).map_err(|_| Closing::Forbidden)?,
            None => self.cookie.as_deref().ok_or(Closing::Forbidden)?,
        };
        let app = self.server.app();
        let viewer = identity::let_in(app, secret).await.map_err(|error| match error {
            ServiceError::Unauthenticated(_) => Closing::Forbidden,
            ServiceError::Unavailable(_) => Closing::TryAgain,
            error => {
                tracing::error!(%error, "cannot look up who opens a socket");
                Closing::Fault
            }
        })?;
        let guest = Arc::downgrade(outbox);
        app.attendance.enter(app, &viewer, guest);
        Ok(viewer)
    }

    fn begin(&self, viewer: &Viewer, request: Request, outbox: &Arc<Outbox>, id: &str) -> Arc<Operation> {
        let caller = Caller { viewer: Some(viewer.clone()), address: self.address.clone() };
        self.server.api.begin(caller, request, outbox, id)
    }

    fn ends(&self, closing: &Closing) {
        let code = closing.frame().map_or("gone".to_owned(), |frame| u16::from(frame.code).to_string());
        self.server.metrics().sockets_closed.with_label_values(&[code.as_str()]).inc();
    }

    fn refuse(&self, outbox: &Arc<Outbox>, id: &str) -> Arc<Operation> {
        let error = ServiceError::limit("id", limits::SOCKET_OPERATIONS, "operations run on a socket at once");
        self.server.api.refuse(error, outbox, id)
    }
}
