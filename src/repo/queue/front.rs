//! The first part of a queue, for whoever keeps an index of it: what waits where, and a lease of what the index names. What
//! it names is held against the row, its place in the queue too.

use std::cmp::Reverse;

use entity::{project, task_slot};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryResult,
    sea_query::{
        Condition, Expr, ExprTrait, IntoIden, IntoValueTuple, JoinType, Order, Query, SelectStatement, TableRef,
    },
};

use super::{Claimer, Leased, Place, lease_first, walk};
use crate::{
    domain::{
        ids::{ProjectId, TaskId},
        words::SlotState,
    },
    repo::{
        Conn, RepoError,
        sql::{FilterBy, is},
    },
};

/// Where a slot waits in the queue of its project. Positions compare as the queue is ordered: the first is the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// Higher comes first.
    pub priority: i32,
    /// The microsecond at which it began to wait.
    pub queue_number: i64,
    /// Its task.
    pub task: TaskId,
    /// Its number in the task, from 1.
    pub number: i32,
}

impl Position {
    fn key(&self) -> (Reverse<i32>, i64, TaskId, i32) {
        (Reverse(self.priority), self.queue_number, self.task, self.number)
    }

    fn of(row: &QueryResult) -> Result<Self, RepoError> {
        Ok(Self {
            priority: row.try_get("", "priority")?,
            queue_number: row.try_get("", "queue_number")?,
            task: TaskId(row.try_get("", "task_id")?),
            number: row.try_get("", "number")?,
        })
    }
}

impl Ord for Position {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Leases the first of these slots that the person may hold, of those that still wait exactly there and that no other
/// transaction holds right now. What the person gave back or lost is passed over, as in [`Place::Queue`].
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn lease_of(conn: &impl Conn, claimer: Claimer, positions: &[Position]) -> Result<Option<Leased>, RepoError> {
    if positions.is_empty() {
        return Ok(None);
    }
    lease_first(conn, claimer, walk_of(claimer, positions)).await
}

/// The first of these slots that still wait there and that the person may hold.
pub(super) fn walk_of(claimer: Claimer, positions: &[Position]) -> SelectStatement {
    use task_slot::{Column as C, Entity};
    let named = positions.iter().map(|slot| (slot.task.0, slot.number, slot.queue_number, slot.priority));
    let named = TableRef::ValuesList(named.map(IntoValueTuple::into_value_tuple).collect(), "named".into_iden());
    let columns = [C::TaskId, C::Number, C::QueueNumber, C::Priority].into_iter().zip(1..);
    let is_named = columns.fold(Condition::all(), |all, (column, place)| {
        all.add(Expr::col((Entity, column)).equals(("named", format!("column{place}"))))
    });
    let mut pick = walk(claimer, Place::Queue);
    pick.join(JoinType::InnerJoin, named, is_named);
    // Said twice, and ordered by what was named: SQLite would walk the whole queue otherwise, looking for them.
    pick.and_where(Expr::col((Entity, C::TaskId)).is_in(positions.iter().map(|slot| slot.task.0)));
    pick.clear_order_by()
        .order_by(("named", "column4"), Order::Desc)
        .order_by(("named", "column3"), Order::Asc)
        .order_by(("named", "column1"), Order::Asc)
        .order_by(("named", "column2"), Order::Asc);
    pick
}

/// The first slots of a project's queue that wait for nobody in particular, in its order; at most `limit`.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn head(conn: &impl Conn, project: ProjectId, limit: u64) -> Result<Vec<Position>, RepoError> {
    conn.query_all(&walk_from_head(project, limit)).await?.iter().map(Position::of).collect()
}

pub(super) fn walk_from_head(project: ProjectId, limit: u64) -> SelectStatement {
    use task_slot::Column as C;
    open(project)
        .order_by(C::Priority, Order::Desc)
        .order_by(C::QueueNumber, Order::Asc)
        .order_by(C::TaskId, Order::Asc)
        .order_by(C::Number, Order::Asc)
        .limit(limit)
        .to_owned()
}

/// The slots of these tasks that wait in the project's queue for nobody in particular.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn waiting(conn: &impl Conn, project: ProjectId, tasks: &[TaskId]) -> Result<Vec<Position>, RepoError> {
    let tasks = task_slot::Column::TaskId.is_in(tasks.iter().map(|task| task.0));
    let select = open(project).and_where(tasks).to_owned();
    conn.query_all(&select).await?.iter().map(Position::of).collect()
}

fn open(project: ProjectId) -> SelectStatement {
    use task_slot::{Column as C, Entity};
    Entity::find()
        .filter_by(C::ProjectId.eq(project.0))
        .clear_selects()
        .columns([C::Priority, C::QueueNumber, C::TaskId, C::Number])
        .and_where(is(C::State, SlotState::Free.as_str()))
        .and_where(Expr::col(C::Claimable))
        .and_where(C::ReservedFor.is_null())
        .to_owned()
}

/// A project, and how many slots wait in its queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Which.
    pub project: ProjectId,
    /// As people call it.
    pub name: String,
    /// Slots that wait for nobody in particular.
    pub slots: i64,
}

/// What waits in one project, or in each, by id. Walks everything that waits: for operators.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn waiting_slots(conn: &impl Conn, only: Option<ProjectId>) -> Result<Vec<Waiting>, RepoError> {
    use task_slot::{Column as C, Entity};
    let count = Query::select()
        .expr(Expr::cust("count(*)"))
        .from(Entity)
        .and_where(Expr::col((Entity, C::ProjectId)).equals((project::Entity, project::Column::Id)))
        .and_where(is((Entity, C::State), SlotState::Free.as_str()))
        .and_where(Expr::col((Entity, C::Claimable)))
        .and_where(Expr::col((Entity, C::ReservedFor)).is_null())
        .to_owned();
    let mut select = Query::select();
    select
        .columns([(project::Entity, project::Column::Id), (project::Entity, project::Column::Name)])
        .expr_as(Expr::SubQuery(None, Box::new(count.into())), "slots")
        .from(project::Entity)
        .order_by((project::Entity, project::Column::Id), Order::Asc);
    if let Some(only) = only {
        select.and_where(project::Column::Id.eq(only.0));
    }
    let rows = conn.query_all(&select).await?;
    let waiting = rows.iter().map(|row| {
        Ok(Waiting {
            project: ProjectId(row.try_get("", "id")?),
            name: row.try_get("", "name")?,
            slots: row.try_get("", "slots")?,
        })
    });
    waiting.collect()
}
