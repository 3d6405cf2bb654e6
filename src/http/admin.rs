//! The admin address: what operators read, never open to the world.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};

use crate::{
    http::{Server, error, error::HttpError},
    service::ServiceError,
};

/// Everything on the admin address.
pub(super) fn router(server: Arc<Server>) -> Router {
    Router::new().route("/metrics", get(metrics)).fallback(error::no_such_route).with_state(server)
}

async fn metrics(State(server): State<Arc<Server>>) -> Result<Response, HttpError> {
    let text = server.metrics().text().map_err(|error| ServiceError::Internal(Box::new(error)))?;
    let statements = format!(
        "# HELP concord_sql_statements_total Statements sent to the database.\n# TYPE concord_sql_statements_total counter\nconcord_sql_statements_total {}\n",
        server.app.db.statements()
    );
    let redis = server.app.redis.as_ref().map_or_else(String::new, |redis| {
        let up = u8::from(!redis.is_away());
        format!(
            "# HELP concord_redis_up Whether Redis answers.\n# TYPE concord_redis_up gauge\nconcord_redis_up {up}\n"
        )
    });
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text + &statements + &redis).into_response())
}
