//! Frames over a connection (RFC 6455). Reading them, with masks, fragments and control frames, is tungstenite's; what it
//! answers by itself goes out with our own frames, which are written around bytes that many sockets share.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, IoSlice, Read, Write},
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::net::TcpStream;
use tungstenite::{
    Error, Message,
    protocol::{
        CloseFrame, Role, WebSocketConfig, WebSocketContext,
        frame::{
            FrameHeader,
            coding::{Data, OpCode},
        },
    },
};

use crate::{
    domain::limits,
    graphql::{Line, Operation},
    http::graphql::websocket::message,
};

/// One end of a WebSocket.
pub(super) struct Wire {
    connection: Arc<Connection>,
    context: WebSocketContext,
    inbound: Inbound,
    outbound: VecDeque<Frame>,
    /// Bytes of what has waited.
    written: u64,
    /// A large message that was read last. While it is here its buffer cannot be taken up again, so that reading goes on
    /// with a small one.
    large: Option<Bytes>,
}

/// The connection itself.
#[derive(Debug)]
struct Connection(TcpStream);

impl Connection {
    /// Sends bytes as far as it takes them at once; gives the rest. What fails here fails again when that is written.
    fn send(&self, bytes: Vec<u8>) -> Bytes {
        let written = self.0.try_write(&bytes).unwrap_or(0);
        if written == bytes.len() { Bytes::new() } else { Bytes::from(bytes).split_off(written) }
    }
}

impl Line for Connection {
    fn send(&self, operation: &Operation, json: &[u8]) -> Bytes {
        self.send(in_one_piece([&message::head(operation, "next"), json, message::TAIL]))
    }
}

/// A text message as one piece: copying a small one costs less than telling the system of its parts.
fn in_one_piece(parts: [&[u8]; 3]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len()).sum();
    let mut framed = Vec::with_capacity(MAX_HEADER + length);
    write_header(length, &mut framed);
    parts.iter().for_each(|part| framed.extend_from_slice(part));
    framed
}

fn write_header(length: usize, to: &mut Vec<u8>) {
    let header = FrameHeader { opcode: OpCode::Data(Data::Text), ..FrameHeader::default() };
    // Writing to memory does not fail.
    let _ = header.format(length as u64, to);
}

/// What came with the request that opened the socket.
struct Inbound(Bytes);

/// A frame, or a part of one, that waits to be written.
struct Frame {
    /// Header and what stands before the shared part.
    head: Bytes,
    body: Bytes,
    tail: &'static [u8],
}

impl Frame {
    fn len(&self) -> usize {
        self.head.len() + self.body.len() + self.tail.len()
    }

    fn advance(&mut self, mut written: usize) {
        for part in [&mut self.head, &mut self.body] {
            let here = written.min(part.len());
            part.advance(here);
            written -= here;
        }
        self.tail = self.tail.get(written..).unwrap_or_default();
    }
}

/// Frames of one system call.
const AT_ONCE: usize = 16;
/// Up to this a message is written in one piece.
const SMALL: usize = 16 * 1024;
/// The longest header of a frame that is not masked.
const MAX_HEADER: usize = 10;
/// Above this a message that was read is large.
const LARGE: usize = 64;

impl Wire {
    /// Over a connection that has become a socket; `first` was read from it already.
    pub(super) fn new(connection: TcpStream, first: &[u8], message_bytes: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(limits::SOCKET_READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(message_bytes))
            .max_frame_size(Some(message_bytes));
        let context = WebSocketContext::new(Role::Server, Some(config));
        // A copy: the bytes themselves would keep all that HTTP had read into.
        let inbound = Inbound(Bytes::copy_from_slice(first));
        let connection = Arc::new(Connection(connection));
        Self { connection, context, inbound, outbound: VecDeque::new(), written: 0, large: None }
    }

    /// The way by which others may send while this does not.
    pub(super) fn line(&self) -> Arc<dyn Line> {
        self.connection.clone()
    }

    /// Whether all frames have been written.
    pub(super) fn is_flushed(&self) -> bool {
        self.outbound.is_empty()
    }

    /// How many bytes of those that had to wait have been written.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Sends a text message of three parts, as far as the connection takes it at once; the rest waits.
    pub(super) fn send(&mut self, head: &[u8], body: Bytes, tail: &'static [u8]) {
        let length = head.len() + body.len() + tail.len();
        if length > SMALL {
            let mut framed = Vec::with_capacity(MAX_HEADER + head.len());
            write_header(length, &mut framed);
            framed.extend_from_slice(head);
            self.outbound.push_back(Frame { head: framed.into(), body, tail });
            return;
        }
        let framed = in_one_piece([head, &body, tail]);
        let rest = if self.outbound.is_empty() { self.connection.send(framed) } else { framed.into() };
        self.go_on_with(rest);
    }

    /// Puts what is left of a frame in the queue.
    pub(super) fn go_on_with(&mut self, rest: Bytes) {
        if !rest.is_empty() {
            self.outbound.push_back(Frame { head: rest, body: Bytes::new(), tail: &[] });
        }
    }

    /// Puts a ping in the queue.
    pub(super) fn ping(&mut self) {
        self.control(|context, ends| context.write(ends, Message::Ping(Bytes::new())));
    }

    /// Puts the frame that closes the socket in the queue.
    pub(super) fn close(&mut self, frame: CloseFrame) {
        self.control(|context, ends| context.close(ends, Some(frame)));
    }

    fn control(&mut self, write: impl FnOnce(&mut WebSocketContext, &mut Ends<'_>) -> Result<(), Error>) {
        let Self { connection, context, inbound, outbound, .. } = self;
        // Fails only when the socket is closed: then nobody is there to read it.
        let _ = write(context, &mut Ends { connection, inbound, outbound });
    }

    /// Writes what waits; ready once all of it is written.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outbound.is_empty() {
            ready!(self.connection.0.poll_write_ready(context))?;
            match self.write_some() {
                Ok(0) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        if self.outbound.capacity() > 0 {
            // Nothing of an idle socket's stays allocated.
            self.outbound = VecDeque::new();
        }
        Poll::Ready(Ok(()))
    }

    fn write_some(&mut self) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); 3 * AT_ONCE];
        let mut used = 0;
        for frame in self.outbound.iter().take(AT_ONCE) {
            for part in [&frame.head[..], &frame.body[..], frame.tail] {
                slices[used] = IoSlice::new(part);
                used += 1;
            }
        }
        let written = self.connection.0.try_write_vectored(&slices[..used])?;
        self.written += written as u64;
        let mut left = written;
        while let Some(frame) = self.outbound.front_mut() {
            let length = frame.len();
            if left < length {
                frame.advance(left);
                break;
            }
            left -= length;
            self.outbound.pop_front();
        }
        Ok(written)
    }

    /// Reads what cannot be understood any more, until the other end closes the connection.
    pub(super) fn poll_discard(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            match ready!(self.connection.0.poll_read_ready(context))
                .and_then(|()| self.connection.0.try_read(&mut [0; 4096]))
            {
                Ok(0) => return Poll::Ready(()),
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Poll::Ready(()),
                _ => {}
            }
        }
    }

    /// Reads the next message. What tungstenite answers by itself waits to be written afterwards.
    pub(super) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<Message, Error>> {
        loop {
            if self.inbound.0.is_empty() {
                ready!(self.connection.0.poll_read_ready(context))?;
            }
            let Self { connection, context, inbound, outbound, .. } = self;
            let read = context.read(&mut Ends { connection, inbound, outbound });
            self.large = None;
            match read {
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(Message::Text(text)) => {
                    if text.len() > LARGE {
                        self.large = Some(text.clone().into());
                    }
                    return Poll::Ready(Ok(Message::Text(text)));
                }
                read => return Poll::Ready(read),
            }
        }
    }
}

/// The connection as tungstenite sees it.
struct Ends<'w> {
    connection: &'w Connection,
    inbound: &'w mut Inbound,
    outbound: &'w mut VecDeque<Frame>,
}

impl Read for Ends<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.inbound.0.is_empty() {
            return self.connection.0.try_read(buffer);
        }
        let length = self.inbound.0.len().min(buffer.len());
        self.inbound.0.copy_to_slice(&mut buffer[..length]);
        if self.inbound.0.is_empty() {
            self.inbound.0 = Bytes::new();
        }
        Ok(length)
    }
}

impl Write for Ends<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let head = Bytes::copy_from_slice(bytes);
        self.outbound.push_back(Frame { head, body: Bytes::new(), tail: &[] });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
