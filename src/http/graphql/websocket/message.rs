//! The messages of graphql-transport-ws, and the reasons to close a socket.

use std::fmt;

use async_graphql::Request;
use serde_json::{Map, Value};
use tungstenite::{Utf8Bytes, protocol::CloseFrame};

use crate::{domain::limits, graphql::Operation, http::graphql::request};

/// What a client says.
#[derive(Debug)]
pub(super) enum ClientMessage {
    /// Who it is.
    ConnectionInit(Value),
    /// A question for a sign of life.
    Ping(Option<Value>),
    /// A sign of life.
    Pong,
    /// Begins an operation.
    Subscribe {
        /// Names it in all that follows.
        id: String,
        /// The operation. Boxed: it is much larger than the others.
        request: Box<Request>,
    },
    /// Ends an operation.
    Complete(String),
}

impl ClientMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// [`Closing::BadRequest`] with what is malformed about it.
    pub(super) fn parse(text: &str) -> Result<Self, Closing> {
        Self::read(text).map_err(Closing::BadRequest)
    }

    fn read(text: &str) -> Result<Self, String> {
        let Value::Object(mut message) = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?
        else {
            return Err("a message must be an object".to_owned());
        };
        let Some(Value::String(kind)) = message.remove("type") else { return Err("type must be a string".to_owned()) };
        let payload = message.remove("payload").filter(|payload| !payload.is_null());
        match (kind.as_str(), payload) {
            ("connection_init", payload) => {
                Ok(Self::ConnectionInit(Value::Object(object(payload.unwrap_or_else(|| Map::new().into()))?)))
            }
            ("ping", None) => Ok(Self::Ping(None)),
            ("ping", Some(payload)) => Ok(Self::Ping(Some(Value::Object(object(payload)?)))),
            ("pong", payload) => payload.map_or(Ok(Self::Pong), |payload| object(payload).map(|_| Self::Pong)),
            ("complete", _) => Ok(Self::Complete(id(&mut message)?)),
            ("subscribe", payload) => {
                let request = request::from_parameters(object(payload.unwrap_or_default())?)?;
                Ok(Self::Subscribe { id: id(&mut message)?, request: Box::new(request) })
            }
            _ => Err("type is none of this protocol".to_owned()),
        }
    }
}

fn object(payload: Value) -> Result<Map<String, Value>, String> {
    match payload {
        Value::Object(payload) => Ok(payload),
        _ => Err("payload must be an object".to_owned()),
    }
}

fn id(message: &mut Map<String, Value>) -> Result<String, String> {
    match message.remove("id") {
        Some(Value::String(id)) if (1..=limits::OPERATION_ID_CHARS).contains(&id.chars().count()) => Ok(id),
        _ => Err(format!("id must be a string of 1 to {} characters", limits::OPERATION_ID_CHARS)),
    }
}

/// What the server says by itself, beside the parts of operations.
#[derive(Debug)]
pub(super) enum ServerMessage {
    /// You may go on.
    ConnectionAck,
    /// The answer to a ping, with what it held.
    Pong {
        /// The same.
        payload: Option<Value>,
    },
    /// An operation has ended.
    Complete {
        /// Its name.
        id: String,
    },
}

impl fmt::Display for ServerMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectionAck => f.write_str(r#"{"type":"connection_ack"}"#),
            Self::Pong { payload: None } => f.write_str(r#"{"type":"pong"}"#),
            Self::Complete { id } => write!(f, r#"{{"id":{},"type":"complete"}}"#, Value::from(id.as_str())),
            Self::Pong { payload: Some(payload) } => write!(f, r#"{{"type":"pong","payload":{payload}}}"#),
        }
    }
}

/// A message about an operation up to its payload; behind that stands [`TAIL`].
pub(super) fn head(operation: &Operation, kind: &str) -> Vec<u8> {
    let id = operation.id();
    let mut head = Vec::with_capacity(id.len() + 48);
    head.extend_from_slice(br#"{"id":"#);
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(&mut head, id);
    for part in [r#","type":""#, kind, r#"","payload":"#] {
        head.extend_from_slice(part.as_bytes());
    }
    head
}

/// What ends a message with a payload.
pub(super) const TAIL: &[u8] = b"}";

/// Why a socket is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// The other end is gone, or closes it itself: there is nobody to tell.
    Gone,
    /// The server stops.
    GoingAway,
    /// Not of the WebSocket protocol.
    Protocol,
    /// A message has too many bytes.
    TooBig,
    /// A fault of ours.
    Fault,
    /// Something the server needs is away.
    TryAgain,
    /// The other end does not read fast enough.
    TooSlow,
    /// What was begun with other rights ends.
    RightsChanged,
    /// A message is malformed; the text says how.
    BadRequest(String),
    /// An operation before it was said for whom.
    Unauthorized,
    /// No credential, or one that has ended.
    Forbidden,
    /// Nobody introduced themselves in time.
    InitTimeout,
    /// Two operations of this id at once.
    Duplicate(String),
    /// A second introduction.
    TooManyInits,
}

impl Closing {
    /// What is said; none when there is nobody to say it to.
    pub(super) fn frame(&self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::Gone => return None,
            Self::GoingAway => (1001, "the server is stopping; connect again"),
            Self::Protocol => (1002, "not understood, or far too big"),
            Self::TooBig => (1009, "the message is too big"),
            Self::Fault => (1011, "internal error"),
            Self::TryAgain => (1013, "try again later"),
            Self::TooSlow => (1013, "too slow; connect again, and go on from your last cursor"),
            Self::RightsChanged => (1013, "your rights have changed; connect again"),
            Self::BadRequest(what) => (4400, what.as_str()),
            Self::Unauthorized => (4401, "Unauthorized"),
            Self::Forbidden => (4403, "Forbidden"),
            Self::InitTimeout => (4408, "Connection initialisation timeout"),
            Self::Duplicate(id) => return Some(frame(4409, &format!("Subscriber for {id} already exists"))),
            Self::TooManyInits => (4429, "Too many initialisation requests"),
        };
        Some(frame(code, reason))
    }
}

/// The most bytes that a reason may have (RFC 6455, section 5.5).
const REASON_BYTES: usize = 123;

fn frame(code: u16, reason: &str) -> CloseFrame {
    CloseFrame { code: code.into(), reason: Utf8Bytes::from(&reason[..reason.floor_char_boundary(REASON_BYTES)]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_characters() {
        let closing = Closing::Duplicate("ä".repeat(limits::OPERATION_ID_CHARS));
        let reason = closing.frame().unwrap().reason;
        assert!(reason.len() <= REASON_BYTES && reason.len() > REASON_BYTES - 2, "{}", reason.len());
        assert!(reason.starts_with("Subscriber for ää"));
    }
}
