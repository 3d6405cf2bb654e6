//! An event as the JSON of a result, for everybody who asked the same. Only the reader's position is not the same for all:
//! in its place the execution leaves a mark, and each reader's own is put there.

use std::sync::OnceLock;

use async_graphql::{Request, Response};
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream::BoxStream};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    domain::{cursor::EventCursor, limits},
    graphql::{
        Api, error, is_failed,
        live::{Part, sharing::Plan, to_json},
        subscription::Stage,
        types::event::Event,
    },
    repo::Scope,
    service::{ServiceError, Viewer},
};

/// A result of which only the positions of a reader are missing.
#[derive(Debug)]
pub(super) struct Rendered {
    /// The last part of the subscription.
    is_last: bool,
    /// What stands around the positions.
    between: Vec<Bytes>,
}

impl Rendered {
    fn of(response: &Response) -> Self {
        let is_last = is_failed(response);
        let json = if is_last { to_json(&response.errors) } else { to_json(response) };
        let mark = mark().as_bytes();
        let mut between = Vec::new();
        let mut rest = json;
        while let Some(at) = rest.windows(mark.len()).position(|window| window == mark) {
            between.push(rest.split_to(at));
            drop(rest.split_to(mark.len()));
        }
        between.push(rest);
        Self { is_last, between }
    }

    /// Bytes it takes.
    pub(super) fn len(&self) -> usize {
        self.between.iter().map(Bytes::len).sum()
    }

    /// For a reader who is at this position.
    pub(super) fn at(&self, cursor: &EventCursor) -> Part {
        let json = match self.between.as_slice() {
            [whole] => whole.clone(),
            parts => {
                let cursor = cursor.to_string();
                let mut json = BytesMut::with_capacity(self.len() + (parts.len() - 1) * cursor.len());
                for (index, part) in parts.iter().enumerate() {
                    if index > 0 {
                        json.extend_from_slice(cursor.as_bytes());
                    }
                    json.extend_from_slice(part);
                }
                json.freeze()
            }
        };
        if self.is_last { Part::Failed(json) } else { Part::Next(json) }
    }
}

/// Stands where a reader's position goes. Nobody outside can know it, so that no text in any answer looks like it.
pub(in crate::graphql) fn mark() -> &'static str {
    static MARK: OnceLock<String> = OnceLock::new();
    MARK.get_or_init(|| {
        let mut bytes = [0; 16];
        // Without chance it would still be a text that nobody writes.
        let _ = getrandom::fill(&mut bytes);
        format!("position-{}", uuid::Uuid::from_bytes(bytes).simple())
    })
}

/// What executes the events of one subscription: validated once, for as long as it goes on.
pub(super) struct Renderer {
    plan: Plan,
    viewer: Option<Viewer>,
    scope: Scope,
    running: Option<Running>,
}

struct Running {
    events: mpsc::Sender<Event>,
    responses: BoxStream<'static, Response>,
}

impl std::fmt::Debug for Renderer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Renderer").finish_non_exhaustive()
    }
}

impl Renderer {
    /// As whoever sees that; for nobody in particular when there is no viewer.
    pub(super) fn new(plan: Plan, viewer: Option<Viewer>, scope: Scope) -> Self {
        Self { plan, viewer, scope, running: None }
    }

    fn begin(&self, api: &Api) -> Running {
        let (events, source) = mpsc::channel(1);
        let mut request = Request::new(&self.plan.question.query).variables(self.plan.variables.clone());
        if let Some(name) = &self.plan.question.operation {
            request = request.operation_name(name);
        }
        let (request, waiting) = api.equip(request, self.viewer.clone(), Some(self.scope), String::new());
        let responses = api.schema.execute_stream(request.data(Stage::told(source)));
        Running { events, responses: waiting.run_stream(responses).boxed() }
    }

    /// Executes one event.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`] when something it needs is away; the event may be executed again.
    pub(super) async fn render(&mut self, api: &Api, event: Event) -> Result<Rendered, ServiceError> {
        const ENDED: ServiceError = ServiceError::Unavailable("a subscription is not executed any more");
        const LATE: ServiceError = ServiceError::Unavailable("an event took too long and was given up");
        // Not there while it runs: who gives up half-way leaves no answer behind that would be taken for the next one's.
        let mut running = self.running.take().unwrap_or_else(|| self.begin(api));
        running.events.try_send(event).map_err(|_| ENDED)?;
        let executed = timeout(limits::REQUEST_TIME, running.responses.next()).await;
        let mut response = executed.map_err(|_| LATE)?.ok_or(ENDED)?;
        self.running = Some(running);
        error::complete(&mut response.errors);
        if response.errors.iter().any(error::is_unavailable) {
            return Err(ServiceError::Unavailable("the database is not available"));
        }
        api.count(&response.errors);
        Ok(Rendered::of(&response))
    }
}
