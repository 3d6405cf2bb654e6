//! An event as the JSON of a result, for everybody who asked the same. Only the reader's position is not the same for all:
//! in its place the execution leaves a mark, and each reader's own is put there.

use std::{collections::HashMap, sync::OnceLock};

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
    repo::{Scope, event::StoredEvent},
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
    /// How often events took too long, by stream and position.
    late: HashMap<(i32, i64), u32>,
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
        Self { plan, viewer, scope, running: None, late: HashMap::new() }
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

    /// Executes an event. One that took too long again and again, while the database was there, is shown as an error.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`] when something it needs is away; the event may be executed again.
    pub(super) async fn event(&mut self, api: &Api, event: &StoredEvent) -> Result<Rendered, ServiceError> {
        if let Some(rendered) = self.execute(api, Event::marked(event.clone())).await? {
            return Ok(rendered);
        }
        if !matches!(timeout(limits::DATABASE_WAIT, api.app.db.ping()).await, Ok(Ok(()))) {
            return Err(LATE);
        }
        let times = self.late.entry((event.stream, event.position)).or_default();
        *times += 1;
        if *times < limits::EVENT_ATTEMPTS {
            return Err(LATE);
        }
        let StoredEvent { project, stream, position, .. } = event;
        tracing::error!(%project, stream, position, "an event cannot be executed in time");
        let response = Response::from_errors(vec![error::of(LATE)]);
        api.count(&response.errors);
        Ok(Rendered { is_last: false, between: vec![to_json(&response)] })
    }

    /// Executes a notice.
    ///
    /// # Errors
    /// As [`Renderer::event`].
    pub(super) async fn notice(&mut self, api: &Api, notice: Event) -> Result<Rendered, ServiceError> {
        self.execute(api, notice).await?.ok_or(LATE)
    }

    /// None when it takes too long.
    async fn execute(&mut self, api: &Api, event: Event) -> Result<Option<Rendered>, ServiceError> {
        const ENDED: ServiceError = ServiceError::Unavailable("a subscription is not executed any more");
        // Not there while it runs: who gives up half-way leaves no answer behind that would be taken for the next one's.
        let mut running = self.running.take().unwrap_or_else(|| self.begin(api));
        running.events.try_send(event).map_err(|_| ENDED)?;
        let Ok(executed) = timeout(api.limits.time, running.responses.next()).await else { return Ok(None) };
        let mut response = executed.ok_or(ENDED)?;
        self.running = Some(running);
        error::complete(&mut response.errors);
        if response.errors.iter().any(error::is_unavailable) {
            return Err(ServiceError::Unavailable("the database is not available"));
        }
        api.count(&response.errors);
        Ok(Some(Rendered::of(&response)))
    }
}

const LATE: ServiceError = ServiceError::Unavailable("the event took too long and was given up");

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use async_graphql::Variables;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        backend::{
            bus::Alone, presence::EmbeddedPresence, queue::SqlQueue, session::EmbeddedSessions, storage::FileStorage,
        },
        config::EventRetention,
        domain::{
            ids::{ProjectId, UserId},
            words::EventType,
        },
        graphql::{Options, live::sharing::Question},
        repo::{
            Conn, Connect, Db, clock,
            schema::{self, Direction},
        },
        service::{App, Backends},
        telemetry::Metrics,
    };

    async fn api(folder: &std::path::Path) -> Api {
        let connect = Connect {
            url: format!("sqlite://{}", folder.join("concord.db").display()),
            max_connections: 1,
            pooled: false,
        };
        schema::migrate(&connect, Direction::Up).await.unwrap();
        let db = Db::connect(&connect).await.unwrap();
        let (time, presence_time) = (db.clone(), db.clone());
        let backends = Backends {
            bus: Arc::new(Alone),
            redis: None,
            storage: Arc::new(FileStorage::open(folder.to_owned()).await.unwrap()),
            queue: Arc::new(SqlQueue),
            sessions: Arc::new(EmbeddedSessions::new(move || time.clock().process_now())),
            presence: Arc::new(EmbeddedPresence::new(move || presence_time.clock().process_now())),
        };
        let retention = EventRetention { days: 1, count: 100 };
        let app = App::new(db, backends, String::new(), retention, Metrics::new().unwrap());
        Api::new(Arc::new(app), Options::default())
    }

    /// Executes while the one connection is somebody else's for longer than an event may take.
    async fn late(renderer: &mut Renderer, api: &Api, event: &StoredEvent) -> Result<Rendered, ServiceError> {
        let theirs = api.app.db.begin().await.unwrap();
        let give_back = async {
            tokio::time::sleep(10 * api.limits.time).await;
            drop(theirs);
        };
        tokio::join!(renderer.event(api, event), give_back).0
    }

    #[tokio::test]
    async fn an_event_that_takes_too_long_again_and_again_is_shown_as_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut api = api(folder.path()).await;
        let project = ProjectId::generate();
        let event = StoredEvent {
            project,
            stream: 0,
            position: 1,
            event_type: EventType::ProjectChanged,
            task: None,
            by: Some(UserId::generate()),
            at: clock::read(&api.app.db).await.unwrap(),
            payload: Value::Null,
        };
        let events =
            format!("taskEvents(projectId: \"{project}\") {{ id ... on ProjectEvent {{ project {{ id }} }} }}");
        let query = format!("subscription {{ {events} }}");
        let question = Question { query, operation: None, variables: String::new() };
        let plan = Plan { question, is_personal: false, variables: Variables::default() };
        let mut renderer = Renderer::new(plan, None, Scope::all_of(project));
        api.limits.time = Duration::from_millis(20);
        for attempt in 1..limits::EVENT_ATTEMPTS {
            let rendered = late(&mut renderer, &api, &event).await;
            assert!(matches!(rendered, Err(ServiceError::Unavailable(_))), "attempt {attempt}: {rendered:?}");
        }
        let rendered = late(&mut renderer, &api, &event).await.unwrap();
        let shown: Value = serde_json::from_slice(&rendered.between.concat()).unwrap();
        assert_eq!((&shown["data"], &shown["errors"][0]["extensions"]["code"]), (&Value::Null, &json!("UNAVAILABLE")));
        assert!(!rendered.is_last, "it goes on");
        // While the database itself does not answer the event is not given up.
        api.app.db.close().await.unwrap();
        let rendered = renderer.event(&api, &event).await;
        assert!(matches!(rendered, Err(ServiceError::Unavailable(_))), "{rendered:?}");
    }
}
