//! Events as clients read them.

use async_graphql::{Context, ID, Interface, Object, SimpleObject};
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{
    domain::{
        event_id::EventId,
        ids::{ConflictId, ProjectId, ReviewId, TaskId},
        words,
    },
    graphql::{
        context::{self, Ctx},
        error::ApiError,
        loader::AsOf,
        types::{
            annotation::Annotation,
            conflict::Conflict,
            project::Project,
            review::Review,
            scalars::EventCursor,
            task::Task,
            user::User,
            words::{EditOutcome, EventType, TaskState},
        },
    },
    live::{Position, Replay},
    repo::{RepoError, event::StoredEvent},
};

/// One committed change of a project.
#[derive(Interface)]
#[expect(clippy::duplicated_attributes, reason = "two fields of one type")]
#[graphql(
    field(name = "id", ty = "ID", desc = "The same for every reader and every replay: drop what you have seen."),
    field(name = "type", method = "event_type", ty = "EventType", desc = "What it tells."),
    field(name = "cursor", ty = "EventCursor", desc = "Your position after it."),
    field(name = "at", ty = "DateTime<Utc>", desc = "When it happened."),
    field(name = "project_id", ty = "ID", desc = "The project.")
)]
pub(in crate::graphql) enum Event {
    TaskEvent(TaskEvent),
    AnnotationEvent(AnnotationEvent),
    ConflictEvent(ConflictEvent),
    SessionEvent(SessionEvent),
    ReviewEvent(ReviewEvent),
    ProjectEvent(ProjectEvent),
    CursorMoved(CursorMoved),
    ResyncRequired(ResyncRequired),
}

/// An event, and a reader's position after it.
struct Placed {
    event: StoredEvent,
    cursor: EventCursor,
}

impl Event {
    /// An event for many readers, each of whom has a position of their own after it.
    pub(in crate::graphql) fn marked(event: StoredEvent) -> Self {
        Self::placed(event, EventCursor::marked())
    }

    /// A notice for many readers: only their position, or that it had to be given up. `now` is when it is given.
    pub(in crate::graphql) fn notice(project: ProjectId, now: DateTime<Utc>, resync: Option<&'static str>) -> Self {
        let notice = Notice { project, cursor: EventCursor::marked(), at: now };
        match resync {
            None => Self::CursorMoved(CursorMoved(notice)),
            Some(reason) => Self::ResyncRequired(ResyncRequired { notice, reason }),
        }
    }

    fn placed(event: StoredEvent, cursor: EventCursor) -> Self {
        let (task, event_type) = (event.task, event.event_type);
        let position = Placed { event, cursor };
        let Some(task) = task else { return Self::ProjectEvent(ProjectEvent(position)) };
        match event_type {
            words::EventType::SessionChanged => Self::SessionEvent(SessionEvent { position, task }),
            words::EventType::ReviewRecorded => Self::ReviewEvent(ReviewEvent { position, task }),
            words::EventType::ConflictRaised | words::EventType::ConflictResolved => {
                Self::ConflictEvent(ConflictEvent { position, task })
            }
            words::EventType::AnnotationSaved | words::EventType::AnnotationDeleted => {
                Self::AnnotationEvent(AnnotationEvent { position, task })
            }
            _ => Self::TaskEvent(TaskEvent { position, task }),
        }
    }
}

/// A page of events.
#[derive(SimpleObject)]
pub(in crate::graphql) struct EventPage {
    /// The events, in order per task.
    nodes: Vec<Event>,
    /// Your position after the page: read on from it.
    cursor: EventCursor,
    /// Whether more events stand behind the page already.
    has_more: bool,
}

impl EventPage {
    pub(in crate::graphql) fn new(project: ProjectId, now: DateTime<Utc>, replay: Replay) -> Self {
        let Replay { resync, events, cursor, has_more } = replay;
        let cursor = EventCursor::from(&cursor);
        let resync = resync.map(|reason| {
            let notice = Notice { project, cursor: cursor.clone(), at: now };
            Event::ResyncRequired(ResyncRequired { notice, reason })
        });
        let events = events.into_iter().map(|Position { event, cursor }| Event::placed(event, (&cursor).into()));
        Self { nodes: resync.into_iter().chain(events).collect(), cursor, has_more }
    }
}

fn event_id(position: &Placed) -> ID {
    let event = &position.event;
    EventId { project: event.project, stream: event.stream, position: event.position }.to_string().into()
}

fn state(payload: &Value, key: &str) -> Option<TaskState> {
    let state: words::TaskState = payload.get(key)?.as_str()?.parse().ok()?;
    Some(state.into())
}

fn why(position: &Placed) -> Option<&str> {
    position.event.payload.get("reason")?.as_str()
}

fn slot(position: &Placed) -> i32 {
    let number = position.event.payload.get("slot").and_then(Value::as_i64);
    number.and_then(|number| i32::try_from(number).ok()).unwrap_or_default()
}

/// Something happened to a task.
pub(in crate::graphql) struct TaskEvent {
    position: Placed,
    task: TaskId,
}

#[Object]
impl TaskEvent {
    /// The same for every reader and every replay.
    pub(in crate::graphql) async fn id(&self) -> ID {
        event_id(&self.position)
    }

    /// What it tells.
    #[graphql(name = "type")]
    pub(in crate::graphql) async fn event_type(&self) -> EventType {
        self.position.event.event_type.into()
    }

    /// Your position after it.
    pub(in crate::graphql) async fn cursor(&self) -> EventCursor {
        self.position.cursor.clone()
    }

    /// When it happened.
    pub(in crate::graphql) async fn at(&self) -> DateTime<Utc> {
        self.position.event.at
    }

    /// The project.
    pub(in crate::graphql) async fn project_id(&self) -> ID {
        self.position.event.project.to_string().into()
    }

    /// The task.
    async fn task_id(&self) -> ID {
        self.task.to_string().into()
    }

    /// The task as it is when the event is delivered.
    async fn task(&self, ctx: &Context<'_>) -> Result<Task, ApiError> {
        Ok(Task(ctx.loaders().get(self.task).await?))
    }

    /// The state it left, where the event is about states.
    async fn from(&self) -> Option<TaskState> {
        state(&self.position.event.payload, "from")
    }

    /// The state it came to, where the event is about states.
    async fn to(&self) -> Option<TaskState> {
        state(&self.position.event.payload, "to")
    }

    /// Why, as whoever caused it said.
    async fn why(&self) -> Option<&str> {
        why(&self.position)
    }

    /// Who caused it; null: the server itself.
    async fn by(&self, ctx: &Context<'_>) -> Result<Option<User>, ApiError> {
        User::load_opt(ctx, self.position.event.by).await
    }
}

/// Somebody began, or ended, their turn on a slot.
pub(in crate::graphql) struct SessionEvent {
    position: Placed,
    task: TaskId,
}

#[Object]
impl SessionEvent {
    /// The same for every reader and every replay.
    pub(in crate::graphql) async fn id(&self) -> ID {
        event_id(&self.position)
    }

    /// What it tells.
    #[graphql(name = "type")]
    pub(in crate::graphql) async fn event_type(&self) -> EventType {
        self.position.event.event_type.into()
    }

    /// Your position after it.
    pub(in crate::graphql) async fn cursor(&self) -> EventCursor {
        self.position.cursor.clone()
    }

    /// When it happened.
    pub(in crate::graphql) async fn at(&self) -> DateTime<Utc> {
        self.position.event.at
    }

    /// The project.
    pub(in crate::graphql) async fn project_id(&self) -> ID {
        self.position.event.project.to_string().into()
    }

    /// The task.
    async fn task_id(&self) -> ID {
        self.task.to_string().into()
    }

    /// The slot's number.
    async fn slot(&self) -> i32 {
        slot(&self.position)
    }

    /// Whether the turn began, or ended.
    async fn opened(&self) -> bool {
        self.position.event.payload.get("opened").and_then(Value::as_bool).unwrap_or_default()
    }

    /// Why it ended, as whoever ended it said.
    async fn why(&self) -> Option<&str> {
        why(&self.position)
    }

    /// Who caused it; null: the server itself.
    async fn by(&self, ctx: &Context<'_>) -> Result<Option<User>, ApiError> {
        User::load_opt(ctx, self.position.event.by).await
    }
}

/// A verdict was given.
pub(in crate::graphql) struct ReviewEvent {
    position: Placed,
    task: TaskId,
}

#[Object]
impl ReviewEvent {
    /// The same for every reader and every replay.
    pub(in crate::graphql) async fn id(&self) -> ID {
        event_id(&self.position)
    }

    /// What it tells.
    #[graphql(name = "type")]
    pub(in crate::graphql) async fn event_type(&self) -> EventType {
        self.position.event.event_type.into()
    }

    /// Your position after it.
    pub(in crate::graphql) async fn cursor(&self) -> EventCursor {
        self.position.cursor.clone()
    }

    /// When it happened.
    pub(in crate::graphql) async fn at(&self) -> DateTime<Utc> {
        self.position.event.at
    }

    /// The project.
    pub(in crate::graphql) async fn project_id(&self) -> ID {
        self.position.event.project.to_string().into()
    }

    /// The task.
    async fn task_id(&self) -> ID {
        self.task.to_string().into()
    }

    /// The verdict.
    async fn review(&self, ctx: &Context<'_>) -> Result<Review, ApiError> {
        let id = self.position.event.payload.get("review").and_then(Value::as_str).unwrap_or_default();
        Ok(Review(ctx.loaders().get(context::id::<ReviewId>("review", &id.into())?).await?))
    }

    /// Who caused it; null: the server itself.
    async fn by(&self, ctx: &Context<'_>) -> Result<Option<User>, ApiError> {
        User::load_opt(ctx, self.position.event.by).await
    }
}

/// An annotation has a new revision.
pub(in crate::graphql) struct AnnotationEvent {
    position: Placed,
    task: TaskId,
}

#[Object]
impl AnnotationEvent {
    /// The same for every reader and every replay.
    pub(in crate::graphql) async fn id(&self) -> ID {
        event_id(&self.position)
    }

    /// What it tells.
    #[graphql(name = "type")]
    pub(in crate::graphql) async fn event_type(&self) -> EventType {
        self.position.event.event_type.into()
    }

    /// Your position after it.
    pub(in crate::graphql) async fn cursor(&self) -> EventCursor {
        self.position.cursor.clone()
    }

    /// When it happened.
    pub(in crate::graphql) async fn at(&self) -> DateTime<Utc> {
        self.position.event.at
    }

    /// The project.
    pub(in crate::graphql) async fn project_id(&self) -> ID {
        self.position.event.project.to_string().into()
    }

    /// The task.
    async fn task_id(&self) -> ID {
        self.task.to_string().into()
    }

    /// The annotation as of the revision this event tells of, also in a replay.
    async fn annotation(&self, ctx: &Context<'_>) -> Result<Annotation, ApiError> {
        let payload = &self.position.event.payload;
        let id = payload.get("annotation").and_then(Value::as_str).and_then(|id| id.parse().ok());
        let revision = payload.get("revision").and_then(Value::as_i64).and_then(|n| i32::try_from(n).ok());
        let (Some(id), Some(revision)) = (id, revision) else { return Err(RepoError::NotFound.into()) };
        Ok(Annotation(ctx.loaders().get(AsOf(id, revision)).await?))
    }

    /// What became of the edit.
    async fn outcome(&self) -> EditOutcome {
        let outcome = self.position.event.payload.get("outcome").and_then(Value::as_str);
        outcome.and_then(|word| word.parse().ok()).unwrap_or(words::EditOutcome::Applied).into()
    }

    /// Who caused it; null: the server itself.
    async fn by(&self, ctx: &Context<'_>) -> Result<Option<User>, ApiError> {
        User::load_opt(ctx, self.position.event.by).await
    }
}

/// An edit was kept beside the current state, a later one of its author took its place, or a person decided.
pub(in crate::graphql) struct ConflictEvent {
    position: Placed,
    task: TaskId,
}

#[Object]
impl ConflictEvent {
    /// The same for every reader and every replay.
    pub(in crate::graphql) async fn id(&self) -> ID {
        event_id(&self.position)
    }

    /// What it tells.
    #[graphql(name = "type")]
    pub(in crate::graphql) async fn event_type(&self) -> EventType {
        self.position.event.event_type.into()
    }

    /// Your position after it.
    pub(in crate::graphql) async fn cursor(&self) -> EventCursor {
        self.position.cursor.clone()
    }

    /// When it happened.
    pub(in crate::graphql) async fn at(&self) -> DateTime<Utc> {
        self.position.event.at
    }

    /// The project.
    pub(in crate::graphql) async fn project_id(&self) -> ID {
        self.position.event.project.to_string().into()
    }

    /// The task.
    async fn task_id(&self) -> ID {
        self.task.to_string().into()
    }

    /// The conflict as it is when the event is delivered.
    async fn conflict(&self, ctx: &Context<'_>) -> Result<Conflict, ApiError> {
        let id = self.position.event.payload.get("conflict").and_then(Value::as_str).unwrap_or_default();
        Ok(Conflict(ctx.loaders().get(context::id::<ConflictId>("conflict", &id.into())?).await?))
    }

    /// Who caused it.
    async fn by(&self, ctx: &Context<'_>) -> Result<Option<User>, ApiError> {
        User::load_opt(ctx, self.position.event.by).await
    }
}

/// Something happened to the project itself: settings, members, template.
pub(in crate::graphql) struct ProjectEvent(Placed);

#[Object]
impl ProjectEvent {
    /// The same for every reader and every replay.
    pub(in crate::graphql) async fn id(&self) -> ID {
        event_id(&self.0)
    }

    /// What it tells.
    #[graphql(name = "type")]
    pub(in crate::graphql) async fn event_type(&self) -> EventType {
        self.0.event.event_type.into()
    }

    /// Your position after it.
    pub(in crate::graphql) async fn cursor(&self) -> EventCursor {
        self.0.cursor.clone()
    }

    /// When it happened.
    pub(in crate::graphql) async fn at(&self) -> DateTime<Utc> {
        self.0.event.at
    }

    /// The project.
    pub(in crate::graphql) async fn project_id(&self) -> ID {
        self.0.event.project.to_string().into()
    }

    /// The project as it is when the event is delivered.
    async fn project(&self, ctx: &Context<'_>) -> Result<Project, ApiError> {
        Ok(Project(ctx.loaders().get(self.0.event.project).await?))
    }

    /// Who caused it; null: the server itself.
    async fn by(&self, ctx: &Context<'_>) -> Result<Option<User>, ApiError> {
        User::load_opt(ctx, self.0.event.by).await
    }
}

/// What is not a stored event but says something about a reader's position; its id is made of the position.
struct Notice {
    project: ProjectId,
    cursor: EventCursor,
    at: DateTime<Utc>,
}

impl Notice {
    fn id(&self) -> ID {
        format!("cur_{}", self.cursor.as_str()).into()
    }
}

/// There was nothing for you, but your position has moved: keep this cursor instead of the last one.
pub(in crate::graphql) struct CursorMoved(Notice);

#[Object]
impl CursorMoved {
    /// `cur_` and the cursor.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.0.id()
    }

    /// CURSOR_MOVED
    #[graphql(name = "type")]
    pub(in crate::graphql) async fn event_type(&self) -> EventType {
        EventType::CursorMoved
    }

    /// Your position.
    pub(in crate::graphql) async fn cursor(&self) -> EventCursor {
        self.0.cursor.clone()
    }

    /// When.
    pub(in crate::graphql) async fn at(&self) -> DateTime<Utc> {
        self.0.at
    }

    /// The project.
    pub(in crate::graphql) async fn project_id(&self) -> ID {
        self.0.project.to_string().into()
    }
}

/// What happened after your cursor is no longer known: read the state anew, then go on from this cursor.
pub(in crate::graphql) struct ResyncRequired {
    notice: Notice,
    reason: &'static str,
}

#[Object]
impl ResyncRequired {
    /// `cur_` and the cursor.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.notice.id()
    }

    /// RESYNC_REQUIRED
    #[graphql(name = "type")]
    pub(in crate::graphql) async fn event_type(&self) -> EventType {
        EventType::ResyncRequired
    }

    /// The position to go on from.
    pub(in crate::graphql) async fn cursor(&self) -> EventCursor {
        self.notice.cursor.clone()
    }

    /// When.
    pub(in crate::graphql) async fn at(&self) -> DateTime<Utc> {
        self.notice.at
    }

    /// The project.
    pub(in crate::graphql) async fn project_id(&self) -> ID {
        self.notice.project.to_string().into()
    }

    /// Why.
    async fn reason(&self) -> &str {
        self.reason
    }
}
