//! Operations on connections that stay open. A transport begins them, with an [`Outbox`] for everything they have to say,
//! and ends them; what is in between happens here, the same for every transport.
//!
//! Queries and mutations have one result. Subscriptions to a project's events are shared: whoever asked the same and sees
//! the same is in one [`group`], which executes an event once and gives the same bytes to all of them. The others go on by
//! themselves.

/// What comes of an attempt once nothing that it needs is away: a subscription does not end by that, and no event is skipped.
macro_rules! wait_out {
    ($attempt:expr) => {
        loop {
            match $attempt {
                Err(ServiceError::Unavailable(_)) => tokio::time::sleep(limits::EVENT_POLL).await,
                ended => break ended,
            }
        }
    };
}

mod catch_up;
mod group;
mod operation;
mod outbox;
mod render;
mod sharing;

use std::{collections::HashSet, sync::Arc};

use async_graphql::{Request, Response, ServerError, parser::types::OperationType};
use bytes::Bytes;
use futures::{Stream, StreamExt};

use crate::{
    domain::limits,
    graphql::{Api, Caller, error, is_failed, is_refused, subscription::Stage},
    service::{ServiceError, identity},
};

use group::Groups;
pub use operation::Operation;
pub use outbox::{Closed, Line, Outbox, Parcel, Part};
pub(super) use render::mark;
use sharing::Plan;
pub(super) use sharing::of_viewer;

/// What operations that stay share.
pub(super) struct Live {
    groups: Groups,
    /// Fields whose value depends on who asks.
    personal: HashSet<String>,
}

impl Live {
    /// Nothing runs yet; `sdl` is the schema.
    pub(super) fn new(sdl: &str) -> Self {
        let personal = sharing::personal_fields(sdl);
        Self { groups: Groups::default(), personal }
    }
}

impl Api {
    /// Begins an operation of any kind. Everything it has to say goes to `outbox`, under `id`; its last part is
    /// [`Part::Failed`] or [`Part::Complete`].
    pub fn begin(&self, caller: Caller, mut request: Request, outbox: &Arc<Outbox>, id: &str) -> Arc<Operation> {
        let operation = Operation::new(id, outbox.clone());
        // At once: a server that stops does not wait for a subscription.
        if self.subscribes(&mut request) {
            operation.goes_on_for_long();
        }
        let api = self.clone();
        operation.runs(|operation| async move {
            if let Err(error) = run(&api, caller, request, &operation).await {
                operation.fail(&api, vec![error]).await;
            }
        });
        operation
    }

    /// An operation that is refused before it begins.
    #[must_use]
    pub fn refuse(&self, error: ServiceError, outbox: &Arc<Outbox>, id: &str) -> Arc<Operation> {
        let operation = Operation::new(id, outbox.clone());
        operation.refuse(self, error::of(error));
        operation
    }
}

async fn run(api: &Api, mut caller: Caller, request: Request, operation: &Arc<Operation>) -> Result<(), ServerError> {
    if let Some(viewer) = caller.viewer.take() {
        // Since the connection was opened its credential may have ended, or its user become another.
        let found = match identity::again(&api.app, &viewer).await {
            Err(ServiceError::Unavailable(_)) if operation.goes_on() => {
                wait_out!(identity::again(&api.app, &viewer).await)
            }
            found => found,
        };
        let viewer = found.map_err(error::of)?;
        api.app.attendance.learn(&api.app, &viewer).await;
        caller.viewer = Some(viewer);
    }
    let (query, name, variables) = (request.query.clone(), request.operation_name.clone(), request.variables.clone());
    let prepared = api.prepare(caller.clone(), request)?;
    if prepared.operation != OperationType::Subscription {
        let response = Box::pin(api.run(prepared)).await;
        answer(api, operation, response).await;
        return Ok(());
    }
    let plan = Plan::of(&prepared.document, query, name, variables, &api.live.personal);
    let stage = Stage::default();
    let mut request = prepared.request.data(stage.clone());
    request.set_parsed_query(prepared.document);
    let mut responses = prepared.waiting.run_stream(api.schema.execute_stream(request));
    let first = responses.next().await;
    if let Some(wanted) = stage.wanted() {
        drop(responses);
        return Box::pin(catch_up::follow(api, caller, operation, wanted, plan)).await.map_err(error::of);
    }
    forward(api, operation, first, responses).await;
    Ok(())
}

/// The results of a subscription that nobody shares.
async fn forward(
    api: &Api,
    operation: &Arc<Operation>,
    first: Option<Response>,
    mut responses: impl Stream<Item = Response> + Unpin,
) {
    let mut next = first;
    while let Some(mut response) = next {
        error::complete(&mut response.errors);
        if is_failed(&response) {
            return operation.fail(api, response.errors).await;
        }
        operation.say(api, &response).await;
        next = responses.next().await;
    }
    operation.complete().await;
}

async fn answer(api: &Api, operation: &Arc<Operation>, response: Response) {
    if is_refused(&response) {
        operation.fail(api, response.errors).await;
    } else {
        operation.say(api, &response).await;
        operation.complete().await;
    }
}

/// JSON of what a client is told.
fn to_json(value: &impl serde::Serialize) -> Bytes {
    match serde_json::to_vec(value) {
        Ok(json) => json.into(),
        Err(error) => {
            tracing::error!(%error, "cannot write a result");
            let failed = error::of(ServiceError::Internal(Box::new(error)));
            serde_json::to_vec(&serde_json::json!({ "data": null, "errors": [failed] })).unwrap_or_default().into()
        }
    }
}
