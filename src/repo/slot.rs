//! The places of tasks. Written only under the task's lock.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use entity::task_slot::{Column, Entity, Model};
use sea_orm::{
    ColumnTrait, EntityTrait,
    sea_query::{Expr, ExprTrait, LockType, Order, Query},
};
use uuid::Uuid;

use crate::{
    domain::{
        ids::{ProjectId, TaskId, UserId},
        words::SlotState,
    },
    repo::{
        Conn, RepoError, clock,
        queue::Position,
        scope,
        sql::{self, FilterBy, word},
    },
};

/// One of the k places of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Whose it is.
    pub task: TaskId,
    /// From 1.
    pub number: i32,
    /// Where it stands.
    pub state: SlotState,
    /// From 1; raised when its work is sent back.
    pub round: i32,
    /// Whether its task is one whose free slots are handed out.
    pub claimable: bool,
    /// Its place in the queue among those of its priority: the microsecond at which it began to wait.
    pub queue_number: i64,
    /// The fence of its last lease; 0 before the first.
    pub lease_epoch: i32,
    /// Who holds it.
    pub holder: Option<UserId>,
    /// When the lease runs out.
    pub lease_expires_at: Option<DateTime<Utc>>,
    /// Whom it waits for.
    pub reserved_for: Option<UserId>,
    /// Until when it waits for that person; none: until a manager ends it.
    pub reserved_until: Option<DateTime<Utc>>,
    /// Who handed it in.
    pub submitted_by: Option<UserId>,
    /// When it was handed in.
    pub submitted_at: Option<DateTime<Utc>>,
    /// Why it was skipped.
    pub skip_reason: Option<String>,
}

impl Slot {
    /// Since when it waits, or waited, in the queue.
    #[must_use]
    pub fn waits_since(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_micros(self.queue_number)
    }

    /// Where it waits, or waited, in the queue, its task having this priority.
    #[must_use]
    pub fn position(&self, priority: i32) -> Position {
        Position { priority, queue_number: self.queue_number, task: self.task, number: self.number }
    }

    /// Whether a person holds it, handed it in, or has it reserved for them; as [`own`].
    #[must_use]
    pub fn is_own(&self, user: UserId) -> bool {
        [self.holder, self.submitted_by, self.reserved_for].contains(&Some(user))
    }
}

impl TryFrom<Model> for Slot {
    type Error = RepoError;

    fn try_from(row: Model) -> Result<Self, RepoError> {
        Ok(Self {
            task: TaskId(row.task_id),
            number: row.number,
            state: word(&row.state)?,
            round: row.round,
            claimable: row.claimable,
            queue_number: row.queue_number,
            lease_epoch: row.lease_epoch,
            holder: row.holder_id.map(UserId),
            lease_expires_at: row.lease_expires_at,
            reserved_for: row.reserved_for.map(UserId),
            reserved_until: row.reserved_until,
            submitted_by: row.submitted_by.map(UserId),
            submitted_at: row.submitted_at,
            skip_reason: row.skip_reason,
        })
    }
}

/// The slots of tasks the asker may see, by number. A task has at most ten.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn of_tasks(conn: &impl Conn, tasks: &[TaskId]) -> Result<HashMap<TaskId, Vec<Slot>>, RepoError> {
    let select = Entity::find()
        .filter_by(Column::TaskId.is_in(tasks.iter().map(|id| id.0)))
        .order_by(Column::TaskId, Order::Asc)
        .order_by(Column::Number, Order::Asc)
        .to_owned();
    let mut slots: HashMap<TaskId, Vec<Slot>> = HashMap::new();
    for slot in sql::all::<Model, Slot>(conn, &select).await? {
        slots.entry(slot.task).or_default().push(slot);
    }
    Ok(slots)
}

/// The next tasks of a project behind `after` with a slot in one of these states, by id.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn tasks_with(
    conn: &impl Conn,
    project: ProjectId,
    states: &[SlotState],
    after: Option<TaskId>,
    limit: u64,
) -> Result<Vec<TaskId>, RepoError> {
    let mut tasks = BTreeSet::new();
    // A walk along the index for each: of several states together none is in the order of ids.
    for state in states {
        let mut select = Query::select();
        select
            .distinct()
            .column(Column::TaskId)
            .from(Entity)
            .and_where(Column::ProjectId.eq(project.0))
            .and_where(Column::State.eq(state.as_str()))
            .order_by(Column::TaskId, Order::Asc)
            .limit(limit);
        if let Some(after) = after {
            select.and_where(Column::TaskId.gt(after.0));
        }
        for row in conn.query_all(&select).await? {
            tasks.insert(TaskId(row.try_get("", "task_id")?));
        }
    }
    Ok(tasks.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)).collect())
}

/// How many tasks of a project have a slot in one of these states.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn count_tasks(conn: &impl Conn, project: ProjectId, states: &[SlotState]) -> Result<u64, RepoError> {
    let select = Query::select()
        .expr_as(Expr::cust("count(DISTINCT task_id)"), "n")
        .from(Entity)
        .and_where(Column::ProjectId.eq(project.0))
        .and_where(Column::State.is_in(states.iter().map(|state| state.as_str())))
        .to_owned();
    let n: i64 = conn.query_one(&select).await?.ok_or(RepoError::NotFound)?.try_get("", "n")?;
    Ok(n.unsigned_abs())
}

/// The slots of a locked task, each held against heartbeats too until the transaction ends.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn lock_of_task(conn: &impl Conn, task: TaskId) -> Result<Vec<Slot>, RepoError> {
    let select = Entity::find()
        .filter_by(Column::TaskId.eq(task.0))
        .order_by(Column::Number, Order::Asc)
        .lock(LockType::Update)
        .to_owned();
    sql::all::<Model, _>(conn, &select).await
}

/// Those slots of tasks that a person holds, handed in, or has reserved for them, as task and number.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn own(conn: &impl Conn, user: UserId, tasks: &[TaskId]) -> Result<HashSet<(TaskId, i32)>, RepoError> {
    let select = Query::select()
        .columns([Column::TaskId, Column::Number])
        .from(Entity)
        .and_where(Column::TaskId.is_in(tasks.iter().map(|id| id.0)))
        .cond_where(scope::own_slot(user))
        .to_owned();
    let rows = conn.query_all(&select).await?;
    rows.iter().map(|row| Ok((TaskId(row.try_get("", "task_id")?), row.try_get("", "number")?))).collect()
}

/// Writes what a change made of a slot of a locked task.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn write(conn: &impl Conn, slot: &Slot) -> Result<(), RepoError> {
    let update = Query::update()
        .table(Entity)
        .value(Column::State, slot.state.as_str())
        .value(Column::Round, slot.round)
        .value(Column::Claimable, slot.claimable)
        .value(Column::QueueNumber, slot.queue_number)
        .value(Column::LeaseEpoch, slot.lease_epoch)
        .value(Column::HolderId, slot.holder.map(|user| user.0))
        .value(Column::LeaseExpiresAt, slot.lease_expires_at)
        .value(Column::ReservedFor, slot.reserved_for.map(|user| user.0))
        .value(Column::ReservedUntil, slot.reserved_until)
        .value(Column::SubmittedBy, slot.submitted_by.map(|user| user.0))
        .value(Column::SubmittedAt, slot.submitted_at)
        .value(Column::SkipReason, slot.skip_reason.clone())
        .and_where(Column::TaskId.eq(slot.task.0))
        .and_where(Column::Number.eq(slot.number))
        .to_owned();
    conn.execute(&update).await?;
    Ok(())
}

/// Moves the slots of locked tasks in the queue.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn set_priority(conn: &impl Conn, tasks: &[TaskId], priority: i32) -> Result<(), RepoError> {
    let update = Query::update()
        .table(Entity)
        .value(Column::Priority, priority)
        .and_where(Column::TaskId.is_in(tasks.iter().map(|id| id.0)))
        .to_owned();
    conn.execute(&update).await?;
    Ok(())
}

/// Reserves one slot of each locked task for a person, until it is cleared.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn reserve(conn: &impl Conn, slots: &[(TaskId, i32)], user: UserId) -> Result<(), RepoError> {
    let wanted = slots.iter().map(|(task, number)| (task.0, *number));
    let update = Query::update()
        .table(Entity)
        .value(Column::ReservedFor, user.0)
        .value(Column::ReservedUntil, None::<DateTime<Utc>>)
        .and_where(Expr::tuple([Expr::col(Column::TaskId), Expr::col(Column::Number)]).in_tuples(wanted))
        .and_where(Column::State.eq(SlotState::Free.as_str()))
        .to_owned();
    conn.execute(&update).await?;
    Ok(())
}

/// Clears every reservation of locked tasks.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn clear_reservations(conn: &impl Conn, tasks: &[TaskId]) -> Result<(), RepoError> {
    let update = Query::update()
        .table(Entity)
        .value(Column::ReservedFor, None::<Uuid>)
        .value(Column::ReservedUntil, None::<DateTime<Utc>>)
        .and_where(Column::TaskId.is_in(tasks.iter().map(|id| id.0)))
        .to_owned();
    conn.execute(&update).await?;
    Ok(())
}

/// Takes the slots of locked tasks out of the queue and ends their leases: LEASED ones become `freed`.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn archive(conn: &impl Conn, tasks: &[TaskId], freed: SlotState) -> Result<(), RepoError> {
    let leased = || Column::State.eq(SlotState::Leased.as_str());
    let state = Expr::case(leased(), freed.as_str()).finally(Expr::col(Column::State));
    let epoch = Expr::case(leased(), Expr::col(Column::LeaseEpoch).add(1)).finally(Expr::col(Column::LeaseEpoch));
    let update = Query::update()
        .table(Entity)
        .value(Column::State, state)
        .value(Column::LeaseEpoch, epoch)
        .value(Column::HolderId, None::<Uuid>)
        .value(Column::LeaseExpiresAt, None::<DateTime<Utc>>)
        .value(Column::Claimable, false)
        .and_where(Column::TaskId.is_in(tasks.iter().map(|id| id.0)))
        .to_owned();
    conn.execute(&update).await?;
    Ok(())
}

/// Puts the slots of locked tasks back into the queue.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn unarchive(conn: &impl Conn, tasks: &[TaskId]) -> Result<(), RepoError> {
    let update = Query::update()
        .table(Entity)
        .value(Column::Claimable, true)
        .value(Column::QueueNumber, clock::now_us(conn))
        .and_where(Column::TaskId.is_in(tasks.iter().map(|id| id.0)))
        .to_owned();
    conn.execute(&update).await?;
    Ok(())
}
