//! What a delivery costs in less: a bare `write` to each of many connections, and a bare WebSocket server.

use std::{
    io::{BufRead, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use futures::{SinkExt, StreamExt};
use tokio::sync::broadcast;
use tokio_tungstenite::{
    accept_async_with_config,
    tungstenite::{Message, Utf8Bytes, protocol::WebSocketConfig},
};

use super::{
    frame,
    part::{Part, lines_in, say},
};

/// A reference as a process: it says its address first, then sends each line it is told to every connection.
pub(super) struct Reference {
    pub(super) part: Part,
    pub(super) address: SocketAddr,
}

impl Reference {
    pub(super) async fn start(name: &str) -> Self {
        let mut part = Part::start(name);
        let address = part.hear(Duration::from_secs(30)).await.expect("the reference starts");
        Self { part, address: address.parse().unwrap() }
    }
}

/// One blocking `write` a connection and line, on one thread, and nothing else.
pub(super) fn play_send() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    say(&listener.local_addr().unwrap().to_string());
    let mut lines = std::io::stdin().lock().lines();
    let count: usize = lines.next().unwrap().unwrap().parse().unwrap();
    let mut connections: Vec<TcpStream> = (0..count)
        .map(|_| {
            let (connection, _) = listener.accept().unwrap();
            connection.set_nodelay(true).unwrap();
            connection
        })
        .collect();
    for line in lines.map_while(Result::ok) {
        let bytes = frame::text(&line);
        for connection in &mut connections {
            assert_eq!(connection.write(&bytes).unwrap(), bytes.len(), "the buffer has room");
        }
    }
}

/// A WebSocket library and a channel that all connections listen to: what the building blocks cost without a product.
pub(super) fn play_tungstenite() {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let (events, _) = broadcast::channel::<Utf8Bytes>(16);
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        say(&listener.local_addr().unwrap().to_string());
        let mut lines = lines_in();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (connection, _) = accepted.unwrap();
                    connection.set_nodelay(true).unwrap();
                    tokio::spawn(pass_on(connection, events.subscribe()));
                }
                line = lines.recv() => {
                    let Some(line) = line else { return };
                    // Nobody may be there yet.
                    let _ = events.send(line.into());
                }
            }
        }
    });
}

async fn pass_on(connection: tokio::net::TcpStream, mut events: broadcast::Receiver<Utf8Bytes>) {
    let config = WebSocketConfig::default().read_buffer_size(1_024).write_buffer_size(0);
    let Ok(mut socket) = accept_async_with_config(connection, Some(config)).await else { return };
    loop {
        tokio::select! {
            event = events.recv() => {
                let Ok(event) = event else { return };
                if socket.send(Message::Text(event)).await.is_err() {
                    return;
                }
            }
            heard = socket.next() => {
                if heard.is_none_or(|heard| heard.is_err()) {
                    return;
                }
            }
        }
    }
}
