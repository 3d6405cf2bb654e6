//! Tasks. Their states are written only with what `domain::life_cycle` says.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use entity::{
    task::{Column, Entity, Model},
    task_asset, task_slot,
};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryResult,
    sea_query::{Expr, ExprTrait, LockBehavior, LockType, OnConflict, Order, Query, SelectStatement},
};
use uuid::Uuid;

use crate::{
    domain::{
        ids::{AssetId, JobId, ProjectId, TaskId, TemplateId, UserId},
        words::{SlotState, TaskState},
    },
    repo::{
        Conn, RepoError, Scope, clock, scope,
        sql::{self, FilterBy, value, word},
    },
};

/// One unit of labeling work.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Whose it is.
    pub project: ProjectId,
    /// The template version it was made with and keeps.
    pub template: TemplateId,
    /// The id it has elsewhere, unique in its project.
    pub external_id: Option<String>,
    /// Where it stands.
    pub state: TaskState,
    /// Higher is handed out first.
    pub priority: i32,
    /// Raised by every accepted change.
    pub version: i32,
    /// From 1; raised when it is sent back.
    pub round: i32,
    /// What the labeling UI wants to know about it.
    pub data: serde_json::Value,
    /// The event stream its events go to.
    pub stream: i32,
    /// Whether there are suggestions for whoever first claims a slot of it.
    pub suggested: bool,
    /// The fence of its last review.
    pub review_epoch: i32,
    /// Who reviews it.
    pub reviewer: Option<UserId>,
    /// When the review runs out.
    pub review_expires_at: Option<DateTime<Utc>>,
    /// How often its leases ran out since it was made or opened again.
    pub expiries: i32,
    /// Open conflicts in it.
    pub open_conflicts: i32,
    /// Agreement of its slots, 0 to 1, once it can be said.
    pub agreement: Option<f64>,
    /// Why it is quarantined.
    pub quarantine_reason: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl TryFrom<Model> for Task {
    type Error = RepoError;

    fn try_from(row: Model) -> Result<Self, RepoError> {
        Ok(Self {
            id: TaskId(row.id),
            project: ProjectId(row.project_id),
            template: TemplateId(row.template_id),
            external_id: row.external_id,
            state: word(&row.state)?,
            priority: row.priority,
            version: row.version,
            round: row.round,
            data: row.data,
            stream: row.stream,
            suggested: row.suggested,
            review_epoch: row.review_epoch,
            reviewer: row.reviewer_id.map(UserId),
            review_expires_at: row.review_expires_at,
            expiries: row.expiries,
            open_conflicts: row.open_conflicts,
            agreement: row.agreement,
            quarantine_reason: row.quarantine_reason,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// What a new task is made of.
#[derive(Clone, Debug)]
pub struct NewTask {
    /// Its id.
    pub id: TaskId,
    /// The id it has elsewhere.
    pub external_id: Option<String>,
    /// Its assets in order.
    pub assets: Vec<AssetId>,
    /// What the labeling UI wants to know about it.
    pub data: serde_json::Value,
    /// Higher is handed out first.
    pub priority: i32,
    /// The event stream its events go to.
    pub stream: i32,
    /// Whether there are suggestions for whoever first claims a slot of it.
    pub suggested: bool,
}

/// What all tasks of one batch share.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Whose they are.
    pub project: ProjectId,
    /// The template version they keep.
    pub template: TemplateId,
    /// Where they stand.
    pub state: TaskState,
    /// Where the slots of each stand, by number.
    pub slots: Vec<SlotState>,
    /// The import that hides them until it is done.
    pub hidden_by: Option<JobId>,
    /// Who makes them.
    pub by: UserId,
}

/// Adds the tasks whose external id is not known yet, with their assets and slots; gives those added.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn insert(conn: &impl Conn, batch: &Batch, new: Vec<NewTask>) -> Result<Vec<TaskId>, RepoError> {
    let mut insert = Query::insert();
    insert.into_table(Entity).columns([
        Column::Id,
        Column::ProjectId,
        Column::TemplateId,
        Column::ExternalId,
        Column::State,
        Column::Priority,
        Column::Version,
        Column::Round,
        Column::Data,
        Column::Stream,
        Column::ReviewEpoch,
        Column::Expiries,
        Column::OpenConflicts,
        Column::ImportJob,
        Column::Suggested,
        Column::CreatedBy,
        Column::CreatedAt,
        Column::UpdatedAt,
    ]);
    // Two batches that hold the same external ids wait for one another at the first one they share: both must come to
    // them in one order. The order of the queue is that of the batch all the same: the slots say it.
    let mut in_lock_order: Vec<&NewTask> = new.iter().collect();
    in_lock_order.sort_by(|a, b| a.external_id.cmp(&b.external_id));
    for task in in_lock_order {
        insert.values_panic([
            value(task.id.0),
            value(batch.project.0),
            value(batch.template.0),
            value(task.external_id.clone()),
            value(batch.state.as_str()),
            value(task.priority),
            value(1),
            value(1),
            value(task.data.clone()),
            value(task.stream),
            value(0),
            value(0),
            value(0),
            value(batch.hidden_by.map(|job| job.0)),
            value(task.suggested),
            value(batch.by.0),
            clock::now(conn),
            clock::now(conn),
        ]);
    }
    // A batch that runs beside this one may hold the same external ids: whoever comes second leaves them untouched.
    let known = OnConflict::columns([Column::ProjectId, Column::ExternalId]).do_nothing().to_owned();
    insert.on_conflict(known).returning_col(Column::Id);
    let rows = conn.query_all(&insert).await?;
    let id = |row: &QueryResult| Ok(TaskId(row.try_get("", "id")?));
    let is_added = rows.iter().map(id).collect::<Result<HashSet<TaskId>, RepoError>>()?;
    let kept: Vec<NewTask> = new.into_iter().filter(|task| is_added.contains(&task.id)).collect();
    insert_assets(conn, &kept).await?;
    insert_slots(conn, batch, &kept).await?;
    Ok(kept.into_iter().map(|task| task.id).collect())
}

async fn insert_assets(conn: &impl Conn, tasks: &[NewTask]) -> Result<(), RepoError> {
    use task_asset::Column as C;
    let mut rows = Vec::new();
    for task in tasks {
        for (position, asset) in (0_i32..).zip(&task.assets) {
            rows.push([value(task.id.0), value(position), value(asset.0)]);
        }
    }
    sql::insert_all(conn, task_asset::Entity, [C::TaskId, C::Position, C::AssetId], rows).await
}

async fn insert_slots(conn: &impl Conn, batch: &Batch, tasks: &[NewTask]) -> Result<(), RepoError> {
    use task_slot::Column as C;
    let columns = [
        C::TaskId,
        C::Number,
        C::ProjectId,
        C::State,
        C::Round,
        C::Claimable,
        C::Priority,
        C::QueueNumber,
        C::LeaseEpoch,
    ];
    let mut rows = Vec::new();
    for (place, task) in (0_i64..).zip(tasks) {
        for (number, state) in (1_i32..).zip(&batch.slots) {
            rows.push([
                value(task.id.0),
                value(number),
                value(batch.project.0),
                value(state.as_str()),
                value(1),
                value(batch.hidden_by.is_none()),
                value(task.priority),
                // Microseconds plus the place in the batch: the order of creation, also within one statement.
                clock::now_us_plus(conn, place),
                value(0),
            ]);
        }
    }
    sql::insert_all(conn, task_slot::Entity, columns, rows).await
}

/// A visible task.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find(conn: &impl Conn, scope: Scope, id: TaskId) -> Result<Option<Task>, RepoError> {
    sql::one::<Model, _>(conn, &of_scope(scope).and_where(Column::Id.eq(id.0)).to_owned()).await
}

/// Visible tasks by id.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_all(conn: &impl Conn, scope: Scope, ids: &[TaskId]) -> Result<HashMap<TaskId, Task>, RepoError> {
    let select = of_scope(scope).and_where(Column::Id.is_in(ids.iter().map(|id| id.0))).to_owned();
    let tasks: Vec<Task> = sql::all::<Model, _>(conn, &select).await?;
    Ok(tasks.into_iter().map(|task| (task.id, task)).collect())
}

/// Tasks of a project by id, but those a running import hides: for what the server does by itself.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_shown(
    conn: &impl Conn,
    project: ProjectId,
    ids: &[TaskId],
) -> Result<HashMap<TaskId, Task>, RepoError> {
    let select = shown()
        .and_where(Column::ProjectId.eq(project.0))
        .and_where(Column::Id.is_in(ids.iter().map(|id| id.0)))
        .to_owned();
    let tasks: Vec<Task> = sql::all::<Model, _>(conn, &select).await?;
    Ok(tasks.into_iter().map(|task| (task.id, task)).collect())
}

/// Visible tasks by id, held until the transaction ends, locked in the order of their ids.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn lock_all(conn: &impl Conn, scope: Scope, ids: &[TaskId]) -> Result<HashMap<TaskId, Task>, RepoError> {
    let select = of_scope(scope)
        .and_where(Column::Id.is_in(ids.iter().map(|id| id.0)))
        .order_by(Column::Id, Order::Asc)
        .lock(LockType::Update)
        .to_owned();
    let tasks: Vec<Task> = sql::all::<Model, _>(conn, &select).await?;
    Ok(tasks.into_iter().map(|task| (task.id, task)).collect())
}

/// The project's tasks with these external ids, but those that a running import hides.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_external(
    conn: &impl Conn,
    project: ProjectId,
    external_ids: &[String],
) -> Result<HashMap<String, Task>, RepoError> {
    let known = Column::ProjectId.eq(project.0).and(Column::ExternalId.is_in(external_ids));
    let tasks: Vec<Task> = sql::all::<Model, _>(conn, shown().and_where(known)).await?;
    Ok(tasks.into_iter().filter_map(|task| Some((task.external_id.clone()?, task))).collect())
}

/// What changes about locked tasks.
#[derive(Clone, Copy, Debug)]
pub struct TaskChanges {
    /// Where they stand; unchanged when none.
    pub state: Option<TaskState>,
    /// Higher is handed out first; unchanged when none.
    pub priority: Option<i32>,
}

/// Changes locked tasks and raises their version.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn update_all(conn: &impl Conn, ids: &[TaskId], changes: TaskChanges) -> Result<Vec<Task>, RepoError> {
    let mut update = Query::update();
    update
        .table(Entity)
        .value(Column::Version, Expr::col(Column::Version).add(1))
        .value(Column::UpdatedAt, clock::now(conn))
        .and_where(Column::Id.is_in(ids.iter().map(|id| id.0)))
        .returning_all();
    if let Some(state) = changes.state {
        update.value(Column::State, state.as_str());
        if state == TaskState::Archived {
            // Ends a review; its fence is raised, so what the reviewer sends later is recognised.
            let in_review = Expr::col(Column::ReviewerId).is_not_null();
            let epoch =
                Expr::case(in_review, Expr::col(Column::ReviewEpoch).add(1)).finally(Expr::col(Column::ReviewEpoch));
            update.value(Column::ReviewEpoch, epoch);
            update.value(Column::ReviewerId, None::<Uuid>).value(Column::ReviewExpiresAt, None::<DateTime<Utc>>);
        }
    }
    if let Some(priority) = changes.priority {
        update.value(Column::Priority, priority);
    }
    let rows = conn.query_all(&update).await?;
    rows.iter().map(|row| <Model as sea_orm::FromQueryResult>::from_query_result(row, "")?.try_into()).collect()
}

/// A visible task, held until the transaction ends.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn lock(conn: &impl Conn, scope: Scope, id: TaskId) -> Result<Option<Task>, RepoError> {
    Ok(lock_all(conn, scope, &[id]).await?.remove(&id))
}

/// A task, held until the transaction ends; none when another transaction holds it. For what the server does by itself.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn lock_free(conn: &impl Conn, id: TaskId) -> Result<Option<Task>, RepoError> {
    let mut select = shown();
    select.and_where(Column::Id.eq(id.0));
    if !conn.is_sqlite() {
        select.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    }
    sql::one::<Model, _>(conn, &select).await
}

/// Writes what a change made of a locked task: where it stands, its round, its review, its version and time.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn write(conn: &impl Conn, task: &Task) -> Result<(), RepoError> {
    let update = Query::update()
        .table(Entity)
        .value(Column::State, task.state.as_str())
        .value(Column::Version, task.version)
        .value(Column::Round, task.round)
        .value(Column::ReviewEpoch, task.review_epoch)
        .value(Column::ReviewerId, task.reviewer.map(|user| user.0))
        .value(Column::ReviewExpiresAt, task.review_expires_at)
        .value(Column::Expiries, task.expiries)
        .value(Column::QuarantineReason, task.quarantine_reason.clone())
        .value(Column::UpdatedAt, task.updated_at)
        .and_where(Column::Id.eq(task.id.0))
        .to_owned();
    conn.execute(&update).await?;
    Ok(())
}

/// Writes that something in a locked task changed: its version, its time, how many conflicts are open.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn write_version(conn: &impl Conn, task: &Task) -> Result<(), RepoError> {
    let update = Query::update()
        .table(Entity)
        .value(Column::Version, task.version)
        .value(Column::OpenConflicts, task.open_conflicts)
        .value(Column::UpdatedAt, task.updated_at)
        .and_where(Column::Id.eq(task.id.0))
        .to_owned();
    conn.execute(&update).await?;
    Ok(())
}

/// What an import shows at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The task.
    pub task: TaskId,
    /// Its stream.
    pub stream: i32,
    /// Where it stands.
    pub state: TaskState,
}

/// Shows hidden tasks of an import, oldest first, at most `limit`; their free slots are handed out from now on.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn show_hidden(conn: &impl Conn, job: JobId, limit: u64) -> Result<Vec<Shown>, RepoError> {
    let hidden = Query::select()
        .column(Column::Id)
        .from(Entity)
        .and_where(Column::ImportJob.eq(job.0))
        .order_by(Column::Id, Order::Asc)
        .limit(limit)
        .to_owned();
    let update = Query::update()
        .table(Entity)
        .value(Column::ImportJob, None::<Uuid>)
        .value(Column::UpdatedAt, clock::now(conn))
        .and_where(Column::Id.in_subquery(hidden))
        .returning(Query::returning().columns([Column::Id, Column::Stream, Column::State]))
        .to_owned();
    let rows = conn.query_all(&update).await?;
    let shown = rows.iter().map(|row| {
        let state = word(&row.try_get::<String>("", "state")?)?;
        Ok(Shown { task: TaskId(row.try_get("", "id")?), stream: row.try_get("", "stream")?, state })
    });
    let shown: Vec<Shown> = shown.collect::<Result<_, RepoError>>()?;
    let slots = Query::update()
        .table(task_slot::Entity)
        .value(task_slot::Column::Claimable, true)
        .and_where(task_slot::Column::TaskId.is_in(shown.iter().map(|shown| shown.task.0)))
        .to_owned();
    conn.execute(&slots).await?;
    Ok(shown)
}

/// The projects of these tasks: of which one has to know that the asker sees it.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn projects(conn: &impl Conn, ids: &[TaskId]) -> Result<HashMap<TaskId, ProjectId>, RepoError> {
    let mut select = shown();
    select.clear_selects().columns([Column::Id, Column::ProjectId]);
    select.and_where(Column::Id.is_in(ids.iter().map(|id| id.0)));
    let rows = conn.query_all(&select).await?;
    rows.iter().map(|row| Ok((TaskId(row.try_get("", "id")?), ProjectId(row.try_get("", "project_id")?)))).collect()
}

/// All tasks but those a running import still hides.
pub(super) fn shown() -> SelectStatement {
    Entity::find().filter_by(Column::ImportJob.is_null())
}

fn of_scope(scope: Scope) -> SelectStatement {
    shown().cond_where(scope::visible(scope, Column::ProjectId)).to_owned()
}
