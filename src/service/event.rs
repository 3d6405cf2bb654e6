//! Reading what happened in a project, and following what happens.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures::{Stream, StreamExt, stream};

use crate::{
    domain::{
        cursor::EventCursor,
        ids::{ProjectId, TaskId, UserId},
        limits,
        permission::Standing,
        words::EventType,
    },
    live::{self, Feed, Filter, Next, Notices, Position, Reader, Replay, Sight, Told},
    repo::{
        Conn, Db, RepoError,
        event::StoredEvent,
        member,
        project::{self as project_repo, Project},
        slot::{self, Slot},
        task,
    },
    service::{App, ServiceError, Viewer, gather::Gather, identity, project},
};

/// Where a project's streams are now.
///
/// # Errors
/// [`ServiceError::NotFound`] when the viewer does not see the project.
pub async fn cursor(app: &App, viewer: &Viewer, project: ProjectId) -> Result<EventCursor, ServiceError> {
    let (project, _) = project::get(app, viewer, project).await?;
    Ok(live::cursor(&app.db, project.id).await?)
}

/// Up to `first` events behind `after`, from the oldest kept one when there is no cursor.
///
/// # Errors
/// [`ServiceError::NotFound`] when the viewer does not see the project, [`ServiceError::Invalid`] for a bad `first`.
pub async fn page(
    app: &App,
    viewer: &Viewer,
    project: ProjectId,
    after: Option<EventCursor>,
    first: i32,
) -> Result<Replay, ServiceError> {
    let (project, standing) = project::get(app, viewer, project).await?;
    let limit = usize::try_from(first).ok().filter(|first| (1..=limits::PAGE_ROWS as usize).contains(first));
    let limit =
        limit.ok_or_else(|| ServiceError::invalid("first", format!("must be from 1 to {}", limits::PAGE_ROWS)))?;
    let mut replay = live::replay(&app.db, project.id, after, limit).await?;
    // What is left out is behind the page's cursor all the same.
    let seen: Vec<&StoredEvent> = replay.events.iter().map(|position| &position.event).collect();
    let sight = sight(app, viewer, &project, standing, &seen).await?;
    replay.events.retain(|position| sight.shows(&position.event));
    Ok(replay)
}

/// What of these events of a project its viewer sees.
///
/// # Errors
/// [`ServiceError`] of the database.
async fn sight(
    app: &App,
    viewer: &Viewer,
    project: &Project,
    standing: Standing,
    events: &[&StoredEvent],
) -> Result<Sight, ServiceError> {
    match Sees::of(project, standing) {
        Sees::All => Ok(Sight::All),
        Sees::Own => {
            let tasks = live::places_of(events);
            let user = viewer.user.id;
            let slots = if tasks.is_empty() { HashSet::new() } else { slot::own(&app.db, user, &tasks).await? };
            Ok(Sight::Own { user, slots })
        }
    }
}

/// What somebody wants to follow.
#[derive(Clone, Debug)]
pub struct Follow {
    /// The project.
    pub project: ProjectId,
    /// Only events about this task.
    pub task: Option<TaskId>,
    /// Only events of these types.
    pub types: Option<Vec<EventType>>,
    /// Where to go on; now when there is none.
    pub after: Option<EventCursor>,
}

/// Holds a wish to follow against what the viewer may: the project, and what of it they see. Looked up together with
/// others.
///
/// # Errors
/// [`ServiceError::NotFound`] when the viewer does not see the project or the task, [`ServiceError::LimitExceeded`] for
/// too many types.
pub async fn admit(app: &App, viewer: &Viewer, follow: &Follow) -> Result<Sees, ServiceError> {
    if follow.types.as_ref().is_some_and(|types| types.len() > limits::FILTER_VALUES) {
        return Err(ServiceError::limit("types", limits::FILTER_VALUES, "types"));
    }
    let rights = rights(app, viewer.user.id, follow.project).await?;
    let rights = rights.ok_or_else(|| project::no_project("projectId"))?;
    if let Some(task) = follow.task {
        must_be(app.projects.find(task).await?, follow.project)?;
    }
    Ok(rights.sees)
}

fn must_be(project_of_task: Option<ProjectId>, project: ProjectId) -> Result<(), ServiceError> {
    let is_of = project_of_task.is_some_and(|of| of == project);
    if is_of { Ok(()) } else { Err(ServiceError::not_found("task", "taskId")) }
}

/// What of a project's events somebody sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sees {
    /// Everything.
    All,
    /// Not the work in slots of others: blind labeling.
    Own,
}

impl Sees {
    fn of(project: &Project, standing: Standing) -> Self {
        if standing.is_blind(project.overlap) { Self::Own } else { Self::All }
    }
}

/// As what somebody follows a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// What of its events they see.
    pub sees: Sees,
    /// Whether as an admin, of whom nothing is kept back.
    pub admin: bool,
}

/// As what somebody may follow a project now, looked up together with others; none when they may not.
///
/// # Errors
/// [`ServiceError`] of the database.
pub async fn rights(app: &App, user: UserId, project: ProjectId) -> Result<Option<Rights>, ServiceError> {
    app.rights.find((project, user)).await
}

/// As what people may follow projects, looked up together.
pub(super) fn all_rights(db: Db) -> Gather<(ProjectId, UserId), Rights> {
    Gather::new(move |wanted: Vec<(ProjectId, UserId)>| {
        let db = db.clone();
        async move { Ok(rights_of(&db, &wanted).await?) }
    })
}

/// Which projects tasks are of, looked up together.
pub(super) fn projects(db: Db) -> Gather<TaskId, ProjectId> {
    Gather::new(move |tasks: Vec<TaskId>| {
        let db = db.clone();
        async move { Ok(task::projects(&db, &tasks).await?) }
    })
}

async fn rights_of(db: &Db, wanted: &[(ProjectId, UserId)]) -> Result<HashMap<(ProjectId, UserId), Rights>, RepoError> {
    let ids: HashSet<ProjectId> = wanted.iter().map(|(project, _)| *project).collect();
    let projects = project_repo::find_all(db, &ids.into_iter().collect::<Vec<_>>()).await?;
    let standings = member::standings(db, wanted).await?.into_iter();
    let rights = standings.filter_map(|(key, standing)| {
        let sees = Sees::of(projects.get(&key.0)?, standing);
        Some((key, Rights { sees, admin: standing == Standing::Admin }))
    });
    Ok(rights.collect())
}

/// As what people may follow a project now; who is not among the answer sees nothing.
///
/// # Errors
/// [`ServiceError`] of the database.
pub async fn who_sees(
    app: &App,
    project: ProjectId,
    users: &[UserId],
) -> Result<HashMap<UserId, Rights>, ServiceError> {
    let mut found = HashMap::with_capacity(users.len());
    for users in users.chunks(limits::PEOPLE_AT_ONCE) {
        let wanted: Vec<_> = users.iter().map(|user| (project, *user)).collect();
        let rights = rights_of(&app.db, &wanted).await?;
        found.extend(rights.into_iter().map(|((_, user), rights)| (user, rights)));
    }
    Ok(found)
}

/// The slots, among those that events are about, that are a person's own, looked up together with those of others who are
/// about to be told of the same.
///
/// # Errors
/// [`ServiceError`] of the database.
pub async fn own_sight(app: &App, user: UserId, events: &[&StoredEvent]) -> Result<Sight, ServiceError> {
    let mut slots = HashSet::new();
    for task in live::places_of(events) {
        let found = app.slots.find(task).await?.unwrap_or_default();
        slots.extend(found.iter().filter(|slot| slot.is_own(user)).map(|slot| (task, slot.number)));
    }
    Ok(Sight::Own { user, slots })
}

/// The slots of tasks, looked up together.
pub(super) fn slots(db: Db) -> Gather<TaskId, Arc<[Slot]>> {
    Gather::new(move |tasks: Vec<TaskId>| {
        let db = db.clone();
        async move {
            let found = slot::of_tasks(&db, &tasks).await?;
            Ok(found.into_iter().map(|(task, slots)| (task, slots.into())).collect())
        }
    })
}

/// What happens in a project, on behalf of the operator, who has the machine and sees everything; without an end. What
/// other processes commit is seen within `poll`. Without `after` the first thing told is the position that it begins at, so
/// that there is one to go on from before anything has happened. While the database is away nothing is told; it goes on
/// when it is back.
///
/// # Errors
/// [`ServiceError::NotFound`] when there is no such project or task.
#[tracing::instrument(skip_all, fields(project.id = %follow.project))]
pub async fn follow_unchecked(
    app: Arc<App>,
    follow: Follow,
    poll: Duration,
) -> Result<impl Stream<Item = Result<Told, ServiceError>> + Send + use<>, ServiceError> {
    let Follow { project, task, types, after } = follow;
    let found = project_repo::find(&app.db, identity::OPERATOR, project).await?;
    let (project, _) = found.ok_or_else(|| project::no_project("projectId"))?;
    if let Some(task) = task {
        must_be(task::projects(&app.db, &[task]).await?.remove(&task), project.id)?;
    }
    let feed = app.hub.feed(project.id);
    let begins_now = after.is_none();
    let (reader, resync) = Reader::begin(feed.clone(), after).await?;
    let cursor = reader.cursor().clone();
    let first = match resync {
        Some(reason) => Some(Told::Resync { reason, cursor }),
        None => begins_now.then_some(Told::Moved(cursor)),
    };
    let notices = Notices::new(app.db.clock().uptime());
    let watching = Watching { app, feed, reader, filter: Filter { task, types }, notices, poll };
    let told = stream::try_unfold(watching, async |mut watching| {
        let told = watching.next().await?;
        Ok(Some((told, watching)))
    });
    Ok(stream::iter(first.map(Ok)).chain(told))
}

/// The operator's following of one project.
struct Watching {
    app: Arc<App>,
    feed: Arc<Feed>,
    reader: Reader,
    filter: Filter,
    notices: Notices,
    poll: Duration,
}

impl Watching {
    async fn next(&mut self) -> Result<Told, ServiceError> {
        loop {
            let now = self.app.db.clock().uptime();
            if self.notices.is_due(now) {
                self.notices.given(now);
                return Ok(Told::Moved(self.reader.cursor().clone()));
            }
            match available(self.reader.next().await)? {
                Some(Next::Event(event)) if self.filter.passes(&event) => {
                    self.notices.told();
                    let cursor = self.reader.cursor().clone();
                    return Ok(Told::Event(Position { event: Arc::unwrap_or_clone(event), cursor }));
                }
                Some(Next::Event(_)) => self.notices.filtered(),
                Some(Next::Resync(reason)) => {
                    self.notices.told();
                    return Ok(Told::Resync { reason, cursor: self.reader.cursor().clone() });
                }
                Some(Next::Nothing) | None => {
                    // What wakes a feed is in the processes that write.
                    let _ = tokio::time::timeout(self.poll, self.reader.wait()).await;
                    available(self.feed.look().await)?;
                }
            }
        }
    }
}

/// What was read; none while the database is away.
fn available<T>(read: Result<T, RepoError>) -> Result<Option<T>, ServiceError> {
    match read.map_err(ServiceError::from) {
        Ok(read) => Ok(Some(read)),
        Err(ServiceError::Unavailable(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
