//! Serving the routes on bound sockets until told to stop: with a limit on open connections, and on how long a client
//! may take to say what it wants.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{ConnectInfo, Request},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tower::Service;

use crate::{
    domain::limits,
    http::{
        Server, admin_router,
        patience::{Impatient, Patience},
        router,
    },
};

/// Serves both addresses; when `stop` turns true, takes no more connections and ends once running requests have.
///
/// # Errors
/// When a socket breaks.
pub async fn serve(
    server: Arc<Server>,
    public: TcpListener,
    admin: TcpListener,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let bounds = Bounds {
        connections: limits::CONNECTIONS,
        header_time: limits::HEADER_TIME,
        send_time: limits::STREAM_SEND_TIME,
    };
    let public = listen(public, router(server.clone()), bounds, stop.clone());
    let admin = listen(admin, admin_router(server), bounds, stop);
    tokio::try_join!(public, admin)?;
    Ok(())
}

/// What a request may keep of its connection when it turns it into something that lasts: its place among the connections,
/// which the server waits for when it stops, and word of that.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    /// Held for as long as the connection is used.
    pub(super) place: Arc<OwnedSemaphorePermit>,
    /// Turns true when the server stops.
    pub(super) stop: watch::Receiver<bool>,
}

/// What the event streams of a connection share: over HTTP/2 it may have many.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    /// One for each.
    pub(super) places: Arc<Semaphore>,
    /// Limits how long the client may take nothing.
    pub(super) patience: Patience,
}

/// What one address takes.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    connections: usize,
    header_time: Duration,
    send_time: Duration,
}

async fn listen(
    listener: TcpListener,
    routes: Router,
    bounds: Bounds,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(bounds.header_time);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(bounds.header_time);
    let running = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(bounds.connections));
    loop {
        // An error means that the sender is gone, which is a reason to stop as well.
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted?,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Some((stream, address, place)) = accepted else { continue };
        let mut routes = routes.clone();
        let patience = Patience::new(bounds.send_time);
        let kept = Connection { place: Arc::new(place), stop: stop.clone() };
        let places = Arc::new(Semaphore::new(limits::CONNECTION_STREAMS));
        let streams = Streams { places, patience: patience.clone() };
        let service = tower::service_fn(move |mut request: Request<_>| {
            request.extensions_mut().insert(ConnectInfo(address));
            request.extensions_mut().insert(kept.clone());
            request.extensions_mut().insert(streams.clone());
            routes.call(request)
        });
        let stream = TokioIo::new(Impatient::new(stream, patience));
        let connection = builder.serve_connection_with_upgrades(stream, TowerToHyperService::new(service));
        let connection = running.watch(connection.into_owned());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke");
            }
        });
    }
    drop(listener);
    running.shutdown().await;
    // Sockets have left their connections behind, but kept the places.
    let all = u32::try_from(bounds.connections).map_err(io::Error::other)?;
    drop(places.acquire_many(all).await.map_err(io::Error::other)?);
    Ok(())
}

/// The next connection, once there is a place for it; none when it was gone before it was looked at.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)>> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    match listener.accept().await {
        Ok((stream, address)) => {
            // Answers are written whole: waiting for more to send along only delays them.
            Ok(stream.set_nodelay(true).is_ok().then_some((stream, address, place)))
        }
        Err(error) if is_of_the_connection(&error) => Ok(None),
        Err(error) => {
            // Out of file descriptors, as a rule: give requests time to end.
            tracing::warn!(%error, "cannot accept connections");
            tokio::time::sleep(limits::ACCEPT_PAUSE).await;
            Ok(None)
        }
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::{body::Body, routing::get};
    use bytes::Bytes;
    use futures::stream;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        sync::{mpsc, oneshot},
    };

    use super::*;

    const PATIENT: Duration = Duration::from_secs(30);
    const BOUNDS: Bounds = Bounds { connections: 10, header_time: PATIENT, send_time: PATIENT };

    type Serving = (SocketAddr, watch::Sender<bool>, tokio::task::JoinHandle<io::Result<()>>);

    async fn serving(bounds: Bounds) -> Serving {
        let handler = get(|ConnectInfo(from): ConnectInfo<SocketAddr>| async move { from.to_string() });
        serving_routes(Router::new().route("/", handler), bounds).await
    }

    async fn serving_routes(routes: Router, bounds: Bounds) -> Serving {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        (address, stop, tokio::spawn(listen(listener, routes, bounds, stopped)))
    }

    /// What comes until the server closes the connection.
    async fn rest(stream: &mut TcpStream) -> String {
        let mut text = String::new();
        tokio::time::timeout(PATIENT, stream.read_to_string(&mut text)).await.expect("the server closes").unwrap();
        text
    }

    #[tokio::test]
    async fn who_does_not_say_what_they_want_is_left() {
        let (address, _stop, _) = serving(Bounds { header_time: Duration::from_millis(100), ..BOUNDS }).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        silent.write_all(b"GET / HT").await.unwrap();
        assert_eq!(rest(&mut silent).await, "");
    }

    #[tokio::test]
    async fn a_connection_too_many_waits_for_its_place() {
        let (address, _stop, _) = serving(Bounds { connections: 1, ..BOUNDS }).await;
        let first = TcpStream::connect(address).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(200), second.readable()).await;
        assert!(early.is_err(), "there is no place yet");
        drop(first);
        let answer = rest(&mut second).await;
        assert!(answer.ends_with(&second.local_addr().unwrap().to_string()), "{answer}");
    }

    #[tokio::test]
    async fn stopping_waits_for_what_a_request_made_of_its_connection() {
        let (given, mut taken) = tokio::sync::mpsc::channel(1);
        let handler = get(async move |axum::Extension(connection): axum::Extension<Connection>| {
            given.send(connection).await.unwrap();
        });
        let (address, stop, served) = serving_routes(Router::new().route("/", handler), BOUNDS).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut kept = taken.recv().await.unwrap();
        rest(&mut client).await;
        stop.send(true).unwrap();
        kept.stop.wait_for(|stop| *stop).await.unwrap();
        tokio::pin!(served);
        let early = tokio::time::timeout(Duration::from_millis(200), &mut served).await;
        assert!(early.is_err(), "its place is taken");
        drop(kept);
        tokio::time::timeout(PATIENT, served).await.expect("the listener ends").unwrap().unwrap();
    }

    #[tokio::test]
    async fn stopping_waits_for_a_request_that_runs() {
        let (address, stop, served) = serving(BOUNDS).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        client.readable().await.unwrap();
        stop.send(true).unwrap();
        assert!(rest(&mut client).await.starts_with("HTTP/1.1 200"));
        tokio::time::timeout(PATIENT, served).await.expect("the listener ends").unwrap().unwrap();
    }

    #[tokio::test]
    async fn who_takes_nothing_of_a_stream_is_left() {
        let (given, mut taken) = mpsc::channel(1);
        let handler = get(async move |axum::Extension(streams): axum::Extension<Streams>| {
            streams.patience.begin();
            let (alive, gone) = oneshot::channel::<Infallible>();
            given.send(gone).await.unwrap();
            let chunks = stream::repeat_with(move || {
                assert!(!alive.is_closed());
                Ok::<_, Infallible>(Bytes::from_static(&[0; 10_000]))
            });
            Body::from_stream(chunks)
        });
        let bounds = Bounds { send_time: Duration::from_millis(200), ..BOUNDS };
        let (address, _stop, _) = serving_routes(Router::new().route("/", handler), bounds).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        client.read_exact(&mut [0; 100_000]).await.unwrap();
        let gone = taken.recv().await.unwrap();
        tokio::time::timeout(PATIENT, gone).await.expect("the stream goes on").unwrap_err();
    }
}
