//! The doors: GraphQL, files, pages, health; on the admin address, metrics. A handler parses, calls and wraps.

mod admin;
mod auth;
mod error;
mod files;
mod formats;
mod graphql;
mod health;
mod log;
mod negotiation;
mod pages;
mod patience;
mod security;
mod serve;
mod what_to_try;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Router,
    routing::{any, get},
};
use tower_http::{catch_panic::CatchPanicLayer, compression::CompressionLayer, timeout::RequestBodyTimeoutLayer};

use admin::router as admin_router;
pub use serve::serve;

use crate::{
    config::{Config, Mode},
    domain::limits,
    graphql::Api,
    service::App,
    telemetry::Metrics,
};

/// What every handler works with.
pub struct Server {
    app: Arc<App>,
    api: Api,
    mode: Mode,
    base_path: String,
    public_url: String,
    allowed_origins: Vec<String>,
    /// Set once the schema fits; until then requests that need the database are turned away.
    ready: AtomicBool,
    draining: AtomicBool,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("public_url", &self.public_url).finish_non_exhaustive()
    }
}

impl Server {
    /// The doors over an API and its use cases.
    #[must_use]
    pub fn new(config: &Config, app: Arc<App>, api: Api) -> Arc<Self> {
        Arc::new(Self {
            app,
            api,
            mode: config.mode,
            base_path: config.http_base_path.clone(),
            public_url: config.public_url.clone(),
            allowed_origins: config.allowed_origins.clone(),
            ready: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        })
    }

    /// The use cases behind the doors.
    #[must_use]
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// From now on requests are taken: the schema fits.
    pub fn open(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// From now on this server asks to be left out of the rotation.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    fn metrics(&self) -> &Metrics {
        &self.app.metrics
    }

    fn is_open(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Path of the base with a slash at its end.
    fn base(&self) -> String {
        format!("{}/", self.base_path.trim_end_matches('/'))
    }
}

/// Everything on the public address.
fn router(server: Arc<Server>) -> Router {
    let compressed = Router::new()
        .route("/graphql", any(graphql::handle))
        .route("/formats/jsonl.schema.json", get(formats::jsonl_schema))
        .merge(pages::router(&server))
        .layer(CompressionLayer::new());
    let routes = Router::new()
        .merge(compressed)
        .route("/graphql/ws", any(graphql::connect))
        .route("/graphql/stream", any(graphql::stream))
        .route("/files/{file}", get(files::get).put(files::put))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/health", get(health::components))
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(RequestBodyTimeoutLayer::new(limits::BODY_SILENCE))
        .layer(security::cors(&server.allowed_origins));
    let routes = if server.base_path == "/" {
        routes
    } else {
        let base = server.base_path.clone();
        // Nested, the front page is at the base without a slash at its end; our links have the slash.
        Router::new().nest(&base, routes).route(&server.base(), get(pages::front)).fallback(error::no_such_route)
    };
    routes
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(axum::middleware::from_fn(security::headers))
        .layer(axum::middleware::from_fn_with_state(server.clone(), log::request))
        .with_state(server)
}
