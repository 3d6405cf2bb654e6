//! What stands between a client and the server, and breaks.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::harness::wait_until;

/// Less than a message has, so that a cut leaves half of one.
const PIECE_BYTES: usize = 700;

/// Passes bytes on between its clients and a server, until it is told to cut them off.
pub(crate) struct Proxy {
    pub(crate) url: String,
    cuts: watch::Sender<()>,
    open: Arc<AtomicUsize>,
}

impl Proxy {
    /// In front of the server at this address.
    pub(crate) async fn of(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (cuts, open) = (watch::Sender::new(()), Arc::new(AtomicUsize::new(0)));
        let (told, count) = (cuts.clone(), open.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (mut cut, count) = (told.subscribe(), count.clone());
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(server).await else { return };
                    count.fetch_add(1, Ordering::SeqCst);
                    pass(client, server, &mut cut).await;
                    count.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { url, cuts, open }
    }

    /// Cuts every connection, once there is one.
    pub(crate) async fn cut(&self) {
        wait_until("a connection to cut", async || self.open.load(Ordering::SeqCst) > 0).await;
        self.cuts.send_replace(());
    }
}

/// Ends both connections when one of them ends, or at a cut: with half of a message delivered and the rest lost, if one is
/// on its way.
async fn pass(client: TcpStream, server: TcpStream, cut: &mut watch::Receiver<()>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let down = async {
        let mut piece = [0; PIECE_BYTES];
        while let Ok(count @ 1..) = from_server.read(&mut piece).await {
            if to_client.write_all(&piece[..count]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        _ = copy(&mut from_client, &mut to_server) => {}
        () = down => {}
        _ = cut.changed() => {}
    }
}
