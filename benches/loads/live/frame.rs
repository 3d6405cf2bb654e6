//! As much of WebSocket (RFC 6455) as those who follow need: what a server sends, read in place, and short frames to it.

/// Text and control frames.
pub(super) const TEXT: u8 = 1;
pub(super) const PING: u8 = 9;
pub(super) const PONG: u8 = 10;
pub(super) const CLOSE: u8 = 8;

/// The request that opens a socket.
pub(super) fn opening(address: &str, path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
    )
}

/// The first frame in these bytes, and how many bytes it takes; none: it is not whole.
pub(super) fn read(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)? & 127);
    let (len, head) = match second {
        126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?, 10),
        short => (usize::from(short), 2),
    };
    Some((first & 15, bytes.get(head..head + len)?, head + len))
}

/// A frame as a client sends it. Masked with zeros: a mask must be there, and only proxies need it to be random.
pub(super) fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    framed(opcode, payload, Some([0; 4]))
}

/// A frame as a server sends it.
pub(super) fn text(payload: &str) -> Vec<u8> {
    framed(TEXT, payload.as_bytes(), None)
}

fn framed(opcode: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let bit = if mask.is_some() { 128 } else { 0 };
    let mut frame = vec![128 | opcode];
    match u8::try_from(payload.len()) {
        Ok(short) if short < 126 => frame.push(bit | short),
        _ => {
            frame.push(bit | 126);
            frame.extend(u16::try_from(payload.len()).expect("frames are short").to_be_bytes());
        }
    }
    frame.extend(mask.into_iter().flatten());
    frame.extend(payload);
    frame
}
