//! `/graphql/ws`: any operation over a socket, in the protocol graphql-transport-ws:
//! <https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverWebSocket.md>

mod conversation;
mod message;

use std::{net::SocketAddr, sync::Arc};

use async_graphql::Request;
use axum::{
    Extension,
    extract::{ConnectInfo, State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use conversation::{Bounds, Engine, converse};
use futures::{
    StreamExt,
    future::ready,
    stream::{self, BoxStream},
};
use message::Closing;
use serde_json::Value;

use crate::{
    domain::{limits, words::ErrorCode},
    graphql::{Answer, Caller},
    http::{Server, auth, error::HttpError, graphql::count, security, serve::Connection},
    service::{ServiceError, Viewer, identity},
};

/// The one protocol that is spoken.
const PROTOCOL: &str = "graphql-transport-ws";

/// Takes a socket. Who it is for is said in the first message, or by the session cookie that came with the request.
pub(in crate::http) async fn connect(
    State(server): State<Arc<Server>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, HttpError> {
    let upgrade = upgrade.map_err(|error| {
        HttpError::new(error.status(), ErrorCode::BadUserInput, "open a WebSocket here; send requests to /graphql")
    })?;
    if !server.is_open() {
        return Err(ServiceError::Unavailable("the server is starting").into());
    }
    if server.is_draining() {
        return Err(ServiceError::Unavailable("the server is stopping").into());
    }
    let cookie = auth::cookie(&headers).map(str::to_owned);
    if cookie.is_some() {
        must_come_from_a_known_site(&server, &headers)?;
    }
    let upgrade = upgrade
        .protocols([PROTOCOL])
        // Larger ones than we take, so that we can say why we do not.
        .max_message_size(2 * limits::SOCKET_MESSAGE_BYTES)
        .max_frame_size(2 * limits::SOCKET_MESSAGE_BYTES);
    if upgrade.selected_protocol().is_none() {
        return Err(HttpError::bad_request(format!("Sec-WebSocket-Protocol: the protocol spoken here is {PROTOCOL}")));
    }
    let door = Door { server, address: address.ip().to_string(), cookie };
    Ok(upgrade.on_upgrade(async move |socket| {
        let Connection { place, stop } = connection;
        converse(socket, &door, Bounds::default(), stop).await;
        drop(place);
    }))
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
    async fn open(&self, payload: Value) -> Result<Viewer, Closing> {
        let given = ["Authorization", "authorization"].into_iter().find_map(|name| payload.get(name));
        let secret = match given {
            Some(value) => auth::bearer(value.as_str().unwrap_or_default()).map_err(|_| Closing::Forbidden)?,
            None => self.cookie.as_deref().ok_or(Closing::Forbidden)?,
        };
        identity::authenticate(&self.server.app, secret).await.map_err(|error| match error {
            ServiceError::Unauthenticated(_) => Closing::Forbidden,
            ServiceError::Unavailable(_) => Closing::TryAgain,
            error => {
                tracing::error!(%error, "cannot look up who opens a socket");
                Closing::Fault
            }
        })
    }

    /// Looks at the credential again: since the socket was opened it may have ended, or its user become another.
    fn run(&self, viewer: &Viewer, request: Request) -> BoxStream<'static, Answer> {
        let (server, viewer, address) = (self.server.clone(), viewer.clone(), self.address.clone());
        let metered = server.clone();
        let answers = async move {
            match identity::again(&server.app, &viewer).await {
                Ok(viewer) => server.api.execute_stream(Caller { viewer: Some(viewer), address }, request),
                Err(error) => stream::once(ready(Answer::failed(error))).boxed(),
            }
        };
        stream::once(answers).flatten().inspect(move |answer| count(&metered, answer.errors())).boxed()
    }
}
