//! Probes. `/healthz`: the process answers. `/readyz`: it can work and wants work. `/health`: how each part is.

use std::{
    future::Future,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{
    domain::limits,
    http::Server,
    repo::schema::{self, Fit},
};

/// The process answers; nothing else is looked at, so that a slow database does not get it killed.
pub(super) async fn alive() -> &'static str {
    "ok"
}

/// 200 when requests can be served: the database answers, its schema fits this build, and the server is not draining.
pub(super) async fn ready(State(server): State<Arc<Server>>) -> Response {
    let reason = if server.draining.load(Ordering::Acquire) {
        Some("draining")
    } else {
        match tokio::time::timeout(limits::HEALTH_TIME, schema::fit(&server.app.db)).await {
            Ok(Ok(Fit::Ready)) if server.is_open() => None,
            Ok(Ok(Fit::Ready)) => Some("the server is starting"),
            Ok(Ok(Fit::TooOld)) => Some("the schema is older than this build: run 'concord migrate'"),
            Ok(Ok(Fit::TooNew)) => Some("the schema is newer than this build understands"),
            Ok(Err(_)) | Err(_) => Some("the database does not answer"),
        }
    };
    let status = if reason.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer(status, json!({ "ready": reason.is_none(), "reason": reason }))
}

/// How each part is, in JSON; 503 when one that nothing works without is down.
pub(super) async fn components(State(server): State<Arc<Server>>) -> Response {
    let app = &server.app;
    let redis = async {
        match &app.redis {
            Some(redis) => Some(check(redis.check()).await),
            None => None,
        }
    };
    let (database, storage, redis) = tokio::join!(check(app.db.ping()), check(app.storage.check()), redis);
    let down = |part: &Value| part["status"] == "down";
    let (status, word) = if down(&database) {
        (StatusCode::SERVICE_UNAVAILABLE, "down")
    } else if down(&storage) || redis.as_ref().is_some_and(down) {
        (StatusCode::OK, "degraded")
    } else {
        (StatusCode::OK, "ok")
    };
    let mut components = json!({ "database": database, "storage": storage });
    if let Some(redis) = redis {
        components["redis"] = redis;
    }
    answer(status, json!({ "status": word, "version": env!("CARGO_PKG_VERSION"), "components": components }))
}

async fn check<E: std::fmt::Display>(part: impl Future<Output = Result<(), E>>) -> Value {
    let begun = Instant::now();
    let result = tokio::time::timeout(limits::HEALTH_TIME, part).await;
    let latency_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let status = match result {
        Ok(Ok(())) => "ok",
        Ok(Err(error)) => {
            tracing::warn!(%error, "a part is down");
            "down"
        }
        Err(_) => "down",
    };
    json!({ "status": status, "latencyMs": latency_ms })
}

fn answer(status: StatusCode, body: Value) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
