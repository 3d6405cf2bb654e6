//! Following.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_graphql::{Context, ID, Subscription};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::sync::mpsc;

use crate::{
    domain::words,
    graphql::{
        context::{Ctx, id},
        error::ApiError,
        types::{event::Event, job::Job, presence::Presence, scalars::EventCursor, words::EventType},
    },
    service::{event::Follow, job, presence},
};

/// Following, over the socket at `/graphql/ws` (graphql-transport-ws). A subscription has one field.
pub(super) struct Subscription;

#[Subscription]
impl Subscription {
    /// What happens in a project, as it happens: only events about the task, or of the types, when they are given. Read
    /// `eventCursor`, then the data, and follow from that cursor; after a break, from the cursor of the last event you got:
    /// nothing is missed and nothing comes twice. Without `after` it begins now. Events of one task come in order.
    ///
    /// Every 30 seconds and after 1,000 events that you filtered out there is a `CursorMoved`, so that your cursor stays
    /// fresh. When a cursor cannot be continued there is a `ResyncRequired`, and it goes on from now. Both pass every
    /// filter.
    ///
    /// Ends with an error when you may not see the project any more. Codes: `UNAUTHENTICATED`, `NOT_FOUND`, `FORBIDDEN`,
    /// `BAD_USER_INPUT`, `LIMIT_EXCEEDED`.
    async fn task_events(
        &self,
        ctx: &Context<'_>,
        project_id: ID,
        task_id: Option<ID>,
        types: Option<Vec<EventType>>,
        after: Option<EventCursor>,
    ) -> Result<BoxStream<'static, Result<Event, ApiError>>, ApiError> {
        let wanted = Follow {
            project: id("projectId", &project_id)?,
            task: task_id.map(|task| id("taskId", &task)).transpose()?,
            types: types.map(|types| types.into_iter().map(Into::into).collect()),
            after: after.map(|cursor| cursor.parse_at("after")).transpose()?,
        };
        follow(ctx, wanted)
    }

    /// Conflicts of a project as they are raised and decided; `after` and the rest as with `taskEvents`. Codes: as of
    /// `taskEvents`.
    async fn conflict_events(
        &self,
        ctx: &Context<'_>,
        project_id: ID,
        after: Option<EventCursor>,
    ) -> Result<BoxStream<'static, Result<Event, ApiError>>, ApiError> {
        let types = vec![words::EventType::ConflictRaised, words::EventType::ConflictResolved];
        let after = after.map(|cursor| cursor.parse_at("after")).transpose()?;
        follow(ctx, Follow { project: id("projectId", &project_id)?, task: None, types: Some(types), after })
    }

    /// How a job stands, now and whenever that changes; completes once it has ended. Managers. Codes: `UNAUTHENTICATED`,
    /// `NOT_FOUND`, `FORBIDDEN`, `BAD_USER_INPUT`.
    async fn job_progress(
        &self,
        ctx: &Context<'_>,
        job_id: ID,
    ) -> Result<BoxStream<'static, Result<Job, ApiError>>, ApiError> {
        let (app, viewer) = (ctx.shared_app(), ctx.viewer()?.clone());
        let jobs = job::follow(app, viewer, id("jobId", &job_id)?).await?;
        Ok(jobs.map(|job| Ok(Job(job?))).boxed())
    }

    /// Who has a task open, now and whenever that changes: the whole list each time, oldest screen first. In it is every session
    /// whose fence holds, with a sign of life (claim, join, heartbeat, save) within the last 30 seconds; send heartbeats every
    /// 10 while you show it. It is in no event. Who labels blind sees their own slot only.
    ///
    /// Ends with an error when you may not see the task any more. Codes: `UNAUTHENTICATED`, `NOT_FOUND`, `FORBIDDEN`,
    /// `BAD_USER_INPUT`.
    async fn presence(
        &self,
        ctx: &Context<'_>,
        task_id: ID,
    ) -> Result<BoxStream<'static, Result<Vec<Presence>, ApiError>>, ApiError> {
        let (app, viewer) = (ctx.shared_app(), ctx.viewer()?.clone());
        let present = presence::follow(app, viewer, id("taskId", &task_id)?).await?;
        Ok(present.map(|present| Ok(present?.into_iter().map(Presence).collect())).boxed())
    }
}

/// What a subscription to events is executed for. First it is only asked what it wants; then, for all who want the same, it
/// is told the events one by one.
#[derive(Clone)]
pub(super) struct Stage(Arc<Mutex<Part>>);

enum Part {
    Asked(Option<Follow>),
    Told(Option<mpsc::Receiver<Event>>),
}

impl Default for Stage {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Part::Asked(None))))
    }
}

impl Stage {
    /// It will be told these.
    pub(super) fn told(events: mpsc::Receiver<Event>) -> Self {
        Self(Arc::new(Mutex::new(Part::Told(Some(events)))))
    }

    /// What it wants, if it was one to events and was asked.
    pub(super) fn wanted(&self) -> Option<Follow> {
        match &mut *self.lock() {
            Part::Asked(wanted) => wanted.take(),
            Part::Told(_) => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Part> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn follow(ctx: &Context<'_>, wanted: Follow) -> Result<BoxStream<'static, Result<Event, ApiError>>, ApiError> {
    match &mut *ctx.data_unchecked::<Stage>().lock() {
        Part::Asked(asked) => {
            *asked = Some(wanted);
            Ok(stream::empty().boxed())
        }
        Part::Told(events) => {
            let told = events.take().into_iter();
            Ok(stream::iter(told)
                .flat_map(|mut events| stream::poll_fn(move |cx| events.poll_recv(cx)))
                .map(Ok)
                .boxed())
        }
    }
}
