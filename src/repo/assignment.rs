//! Assignments: one person's turn on one slot, a row per lease. History; where a slot stands is said by the slot.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use entity::assignment::{Column, Entity, Model};
use sea_orm::{
    ColumnTrait, EntityTrait,
    sea_query::{Asterisk, Expr, ExprTrait, Query},
};
use uuid::Uuid;

use crate::{
    domain::{
        ids::{AssignmentId, ProjectId, TaskId, UserId},
        page::{Page, Slice},
        words::AssignmentState,
    },
    repo::{
        Conn, RepoError, Scope, clock,
        keyset::{self, Parents},
        scope,
        sql::{self, FilterBy, value, word},
    },
};

/// One person's turn on one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Its id.
    pub id: AssignmentId,
    /// The task.
    pub task: TaskId,
    /// The slot's number.
    pub slot: i32,
    /// Whose turn it was.
    pub annotator: UserId,
    /// How it stands.
    pub state: AssignmentState,
    /// The slot's round then.
    pub round: i32,
    /// The fence of the lease.
    pub fence: i32,
    /// When the lease began.
    pub started_at: DateTime<Utc>,
    /// When the turn ended.
    pub ended_at: Option<DateTime<Utc>>,
}

impl TryFrom<Model> for Assignment {
    type Error = RepoError;

    fn try_from(row: Model) -> Result<Self, RepoError> {
        Ok(Self {
            id: AssignmentId(row.id),
            task: TaskId(row.task_id),
            slot: row.slot,
            annotator: UserId(row.annotator_id),
            state: word(&row.state)?,
            round: row.round,
            fence: row.lease_epoch,
            started_at: row.started_at,
            ended_at: row.ended_at,
        })
    }
}

/// A lease that begins now.
#[derive(Clone, Copy, Debug)]
pub struct NewAssignment {
    /// Whose it is.
    pub project: ProjectId,
    /// The task.
    pub task: TaskId,
    /// The slot's number.
    pub slot: i32,
    /// Who takes it.
    pub annotator: UserId,
    /// The slot's round.
    pub round: i32,
    /// The fence of the lease.
    pub fence: i32,
}

/// Begins a turn.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn insert(conn: &impl Conn, new: NewAssignment) -> Result<(), RepoError> {
    let insert = sql::insert_one(
        Entity,
        [
            (Column::Id, value(AssignmentId::generate().0)),
            (Column::TaskId, value(new.task.0)),
            (Column::Slot, value(new.slot)),
            (Column::ProjectId, value(new.project.0)),
            (Column::AnnotatorId, value(new.annotator.0)),
            (Column::State, value(AssignmentState::Leased.as_str())),
            (Column::Round, value(new.round)),
            (Column::LeaseEpoch, value(new.fence)),
            (Column::StartedAt, clock::now(conn)),
        ],
    );
    conn.execute(&insert).await?;
    Ok(())
}

/// The turn under a fence.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find(conn: &impl Conn, task: TaskId, slot: i32, fence: i32) -> Result<Option<Assignment>, RepoError> {
    let turn = Column::TaskId.eq(task.0).and(Column::Slot.eq(slot)).and(Column::LeaseEpoch.eq(fence));
    sql::one::<Model, _>(conn, &Entity::find().filter_by(turn)).await
}

/// Whether the person skipped the task in this round.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn has_skipped(conn: &impl Conn, task: TaskId, user: UserId, round: i32) -> Result<bool, RepoError> {
    let skipped = Entity::find()
        .filter_by(Column::TaskId.eq(task.0).and(Column::AnnotatorId.eq(user.0)))
        .and_where(Column::Round.eq(round))
        .and_where(Column::State.eq(AssignmentState::Skipped.as_str()))
        .limit(1)
        .to_owned();
    Ok(conn.query_one(&skipped).await?.is_some())
}

/// The same page of the turns of many tasks, oldest first.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn pages(
    conn: &impl Conn,
    tasks: &[TaskId],
    page: &Page<Uuid>,
) -> Result<HashMap<TaskId, Slice<Assignment>>, RepoError> {
    let parents = Parents::new(Column::TaskId, tasks.iter().map(|id| id.0));
    let page = keyset::bind(page, |id| [id.into()]);
    let select = Query::select().column(Asterisk).from(Entity).to_owned();
    let found = keyset::slices::<Model, _, 1>(conn, select, parents, [keyset::ascending(Column::Id)], page).await?;
    Ok(found.into_iter().map(|(task, slice)| (TaskId(task), slice)).collect())
}

/// How many turns tasks had, up to the counting limit.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn counts(conn: &impl Conn, tasks: &[TaskId]) -> Result<HashMap<TaskId, Option<u64>>, RepoError> {
    let parents = Parents::new(Column::TaskId, tasks.iter().map(|id| id.0));
    let select = Query::select().column(Asterisk).from(Entity).to_owned();
    let found = keyset::counts(conn, select, parents).await?;
    Ok(found.into_iter().map(|(task, count)| (TaskId(task), count)).collect())
}

/// Visible turns by id.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_all(conn: &impl Conn, scope: Scope, ids: &[AssignmentId]) -> Result<Vec<Assignment>, RepoError> {
    let among = scope::visible(scope, Column::ProjectId).add(Column::Id.is_in(ids.iter().map(|id| id.0)));
    sql::all::<Model, _>(conn, &Entity::find().filter_by(among)).await
}

/// Moves turns of a locked task, given by slot and fence, to `state`; those that still ran end at `now`. Gives them back.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn write(
    conn: &impl Conn,
    task: TaskId,
    turns: &[(i32, i32)],
    state: AssignmentState,
    now: DateTime<Utc>,
) -> Result<Vec<Assignment>, RepoError> {
    let ended = Expr::col(Column::EndedAt).if_null(now);
    let update = Query::update()
        .table(Entity)
        .value(Column::State, state.as_str())
        .value(Column::EndedAt, ended)
        .and_where(Column::TaskId.eq(task.0))
        .and_where(Expr::tuple([Expr::col(Column::Slot), Expr::col(Column::LeaseEpoch)]).in_tuples(turns.to_vec()))
        .returning_all()
        .to_owned();
    let rows = conn.query_all(&update).await?;
    rows.iter().map(|row| <Model as sea_orm::FromQueryResult>::from_query_result(row, "")?.try_into()).collect()
}

/// A lease that ran out goes on.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn revive(conn: &impl Conn, id: AssignmentId) -> Result<(), RepoError> {
    let update = Query::update()
        .table(Entity)
        .value(Column::State, AssignmentState::Leased.as_str())
        .value(Column::EndedAt, None::<DateTime<Utc>>)
        .and_where(Column::Id.eq(id.0))
        .to_owned();
    conn.execute(&update).await?;
    Ok(())
}

/// Ends the turns of locked tasks that still run, as when the tasks are archived.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn revoke_all(conn: &impl Conn, tasks: &[TaskId]) -> Result<(), RepoError> {
    let update = Query::update()
        .table(Entity)
        .value(Column::State, AssignmentState::Revoked.as_str())
        .value(Column::EndedAt, clock::now(conn))
        .and_where(Column::TaskId.is_in(tasks.iter().map(|id| id.0)))
        .and_where(Column::State.eq(AssignmentState::Leased.as_str()))
        .to_owned();
    conn.execute(&update).await?;
    Ok(())
}
