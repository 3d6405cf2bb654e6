//! Serving the routes on bound sockets until told to stop.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, sync::watch};

use crate::http::{Server, admin_router, router};

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
    let routes = router(server.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let public = axum::serve(public, routes).with_graceful_shutdown(stopped(stop.clone()));
    let admin = axum::serve(admin, admin_router(server)).with_graceful_shutdown(stopped(stop));
    tokio::try_join!(public.into_future(), admin.into_future())?;
    Ok(())
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a reason to stop as well.
    let _ = stop.wait_for(|stop| *stop).await;
}
