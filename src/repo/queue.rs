//! The claim queue in SQL: a slot is found by walking the partial index of free slots in their order, and leased in the
//! same statement. The row is the truth: two holders of one slot cannot exist.
//!
//! The walk locks the task (`SKIP LOCKED`, so that claimers do not wait for one another) and the UPDATE repeats that the
//! slot is FREE, because the task's lock says nothing about rows the walk had read before.

use chrono::{DateTime, Utc};
use entity::{assignment, labeling_session, project, project_member, task, task_slot, user};
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult,
    sea_query::{
        CommonTableExpression, Condition, Expr, ExprTrait, LockBehavior, LockType, Order, Query, SelectStatement,
        WithClause,
    },
};
use uuid::Uuid;

use crate::{
    domain::{
        ids::{ProjectId, SessionId, TaskId, UserId},
        limits,
        permission::Standing,
        words::{AssignmentState, Role, SlotState, TaskState},
    },
    repo::{
        Conn, RepoError, Scope, clock,
        project::Project,
        slot::Slot,
        sql::{FilterBy, word},
    },
};

/// Holds what makes the claims of one person in one project follow one another: the membership's row, an admin's own row
/// where there is none. Gives the project as it is then; none when the asker does not see it.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn lock_claimer(
    conn: &impl Conn,
    scope: Scope,
    project: ProjectId,
) -> Result<Option<(Project, Standing)>, RepoError> {
    let mut select = project::Entity::find().filter_by(project::Column::Id.eq(project.0));
    if scope.admin {
        select
            .cross_join(user::Entity)
            .and_where(Expr::col((user::Entity, user::Column::Id)).eq(scope.user.0))
            .lock_with_tables(LockType::NoKeyUpdate, [user::Entity]);
    } else {
        let own = Expr::col((project_member::Entity, project_member::Column::ProjectId))
            .equals((project::Entity, project::Column::Id));
        select
            .inner_join(project_member::Entity, own)
            .and_where(project_member::Column::UserId.eq(scope.user.0))
            .expr_as(Expr::col((project_member::Entity, project_member::Column::Role)), "viewer_role")
            .lock_with_tables(LockType::NoKeyUpdate, [project_member::Entity]);
    }
    let Some(row) = conn.query_one(&select).await? else { return Ok(None) };
    let standing = if scope.admin {
        Standing::Admin
    } else {
        Standing::Member(word::<Role>(&row.try_get::<String>("", "viewer_role")?)?)
    };
    Ok(Some((project::Model::from_query_result(&row, "")?.try_into()?, standing)))
}

/// What a person has in a project's queue.
#[derive(Clone, Copy, Debug)]
pub struct Standings {
    /// Slots the person holds.
    pub leases: i64,
    /// The session that the claim's request opened within the last day.
    pub repeated: Option<SessionId>,
}

/// Reads what a person, whose claims are held, has.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn standings(
    conn: &impl Conn,
    project: ProjectId,
    user: UserId,
    request_id: Option<&str>,
) -> Result<Standings, RepoError> {
    let mut select = Query::select();
    select.expr_as(Expr::SubQuery(None, Box::new(leases(project, user).into())), "leases");
    if let Some(request_id) = request_id {
        use labeling_session::Column as C;
        let opened = Query::select()
            .column(C::Id)
            .from(labeling_session::Entity)
            .and_where(C::UserId.eq(user.0))
            .and_where(C::RequestId.eq(request_id))
            .to_owned();
        select.expr_as(Expr::SubQuery(None, Box::new(opened.into())), "repeated");
    }
    let row = conn.query_one(&select).await?.ok_or(RepoError::NotFound)?;
    let repeated: Option<Uuid> = if request_id.is_some() { row.try_get("", "repeated")? } else { None };
    Ok(Standings { leases: row.try_get("", "leases")?, repeated: repeated.map(SessionId) })
}

fn leases(project: ProjectId, user: UserId) -> SelectStatement {
    Query::select()
        .expr(Expr::cust("count(*)"))
        .from(task_slot::Entity)
        .and_where(task_slot::Column::HolderId.eq(user.0))
        .and_where(task_slot::Column::ProjectId.eq(project.0))
        .and_where(task_slot::Column::State.eq(SlotState::Leased.as_str()))
        .to_owned()
}

/// Whose claim it is.
#[derive(Clone, Copy, Debug)]
pub struct Claimer {
    /// In which project.
    pub project: ProjectId,
    /// Whether its tasks have several slots.
    pub overlaps: bool,
    /// Who.
    pub user: UserId,
    /// How long the lease runs, in seconds.
    pub lease_seconds: i32,
}

/// Where a claim looks for a slot, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Among the slots that wait for the person.
    Reserved,
    /// In the queue, among tasks of which the person had no slot in their round.
    Queue,
    /// In the queue, among those the person gave back or lost: what is left when nothing else is.
    Again,
    /// One task's slots, by name.
    Task(TaskId),
}

/// A slot that was leased, and the state its task had before.
#[derive(Clone, Debug)]
pub struct Leased {
    /// As it is now.
    pub slot: Slot,
    /// Where its task stood.
    pub task_state: TaskState,
}

/// Leases the first slot of `place` that the person may hold.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn lease(conn: &impl Conn, claimer: Claimer, place: Place) -> Result<Option<Leased>, RepoError> {
    use task_slot::Column as C;
    let pick = CommonTableExpression::new().table_name("pick").query(walk(conn, claimer, place)).to_owned();
    let picked = Query::select().columns(["task_id", "number"]).from("pick").to_owned();
    // The task's state before this change: nothing but a change of this very task, which is locked, could move it.
    let state = Query::select()
        .column(task::Column::State)
        .from(task::Entity)
        .and_where(Expr::col((task::Entity, task::Column::Id)).equals((task_slot::Entity, C::TaskId)))
        .to_owned();
    let update = Query::update()
        .table(task_slot::Entity)
        .value(C::State, SlotState::Leased.as_str())
        .value(C::LeaseEpoch, Expr::col(C::LeaseEpoch).add(1))
        .value(C::HolderId, claimer.user.0)
        .value(C::LeaseExpiresAt, clock::now_plus(conn, i64::from(claimer.lease_seconds)))
        .value(C::ReservedFor, None::<Uuid>)
        .value(C::ReservedUntil, None::<DateTime<Utc>>)
        .and_where(Expr::tuple([Expr::col(C::TaskId), Expr::col(C::Number)]).in_subquery(picked))
        .and_where(C::State.eq(SlotState::Free.as_str()))
        .returning(
            Query::returning()
                .exprs([Expr::col(sea_orm::sea_query::Asterisk), Expr::SubQuery(None, Box::new(state.into()))]),
        )
        .to_owned();
    let row = conn.query_one(&update.with(WithClause::new().cte(pick).to_owned())).await?;
    let Some(row) = row else { return Ok(None) };
    let slot = task_slot::Model::from_query_result(&row, "")?.try_into()?;
    Ok(Some(Leased { slot, task_state: word(&row.try_get_by_index::<String>(16)?)? }))
}

/// The first free slot of `place` that the person may hold, its task locked.
fn walk(conn: &impl Conn, claimer: Claimer, place: Place) -> SelectStatement {
    use task_slot::Column as C;
    let Claimer { project, user, .. } = claimer;
    let mut select = Query::select();
    select
        .columns([(task_slot::Entity, C::TaskId), (task_slot::Entity, C::Number)])
        .from(task_slot::Entity)
        .inner_join(task::Entity, Expr::col((task::Entity, task::Column::Id)).equals((task_slot::Entity, C::TaskId)))
        .and_where(Expr::col((task_slot::Entity, C::ProjectId)).eq(project.0))
        .and_where(Expr::col((task_slot::Entity, C::State)).eq(SlotState::Free.as_str()))
        .and_where(Expr::col((task_slot::Entity, C::Claimable)).eq(true))
        .order_by((task_slot::Entity, C::Priority), Order::Desc)
        .order_by((task_slot::Entity, C::QueueNumber), Order::Asc)
        .limit(1);
    let reserved = || Expr::col((task_slot::Entity, C::ReservedFor));
    match place {
        Place::Reserved => {
            select.and_where(reserved().eq(user.0));
        }
        Place::Queue => {
            select.and_where(reserved().is_null()).and_where(Expr::exists(turns(user, None)).not());
        }
        Place::Again => {
            select.and_where(reserved().is_null()).and_where(Expr::exists(turns(user, Some(&FINAL))).not());
        }
        Place::Task(task) => {
            let closed = Expr::exists(turns(user, Some(&FINAL))).not();
            let own = Condition::any().add(reserved().eq(user.0)).add(reserved().is_null().and(closed));
            select.and_where(Expr::col((task_slot::Entity, C::TaskId)).eq(task.0)).cond_where(own);
        }
    }
    if claimer.overlaps {
        select.and_where(Expr::exists(own_slots(user)).not());
    }
    let behavior = if matches!(place, Place::Task(_)) { None } else { Some(LockBehavior::SkipLocked) };
    match behavior {
        Some(behavior) if !conn.is_sqlite() => {
            select.lock_with_tables_behavior(LockType::Update, [task::Entity], behavior);
        }
        _ => {
            select.lock_with_tables(LockType::Update, [task::Entity]);
        }
    }
    select
}

/// Turns after which a task is not offered to the same person again in its round: it was skipped; what was handed in is
/// kept away by [`own_slots`] while it stands.
const FINAL: [AssignmentState; 1] = [AssignmentState::Skipped];

/// The person's turns on the walked slot's task in its round.
fn turns(user: UserId, states: Option<&[AssignmentState]>) -> SelectStatement {
    use assignment::{Column as C, Entity};
    let mut select = Query::select();
    select
        .expr(Expr::cust("1"))
        .from(Entity)
        .and_where(Expr::col((Entity, C::AnnotatorId)).eq(user.0))
        .and_where(Expr::col((Entity, C::TaskId)).equals((task_slot::Entity, task_slot::Column::TaskId)))
        .and_where(Expr::col((Entity, C::Round)).equals((task_slot::Entity, task_slot::Column::Round)));
    if let Some(states) = states {
        select.and_where(Expr::col((Entity, C::State)).is_in(states.iter().map(|state| state.as_str())));
    }
    select
}

/// Slots of the walked slot's task that are the person's: held, handed in or accepted, whatever their round.
fn own_slots(user: UserId) -> SelectStatement {
    use task_slot::{Column as C, Entity};
    let held = Expr::col(("own", C::HolderId)).eq(user.0);
    let done = [SlotState::Submitted, SlotState::Accepted].map(SlotState::as_str);
    let done = Expr::col(("own", C::SubmittedBy)).eq(user.0).and(Expr::col(("own", C::State)).is_in(done));
    Query::select()
        .expr(Expr::cust("1"))
        .from_as(Entity, "own")
        .and_where(Expr::col(("own", C::TaskId)).equals((Entity, C::TaskId)))
        .cond_where(Condition::any().add(held).add(done))
        .to_owned()
}

/// Whether anything in the queue of a project waits for somebody, whoever it is.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn is_empty(conn: &impl Conn, project: ProjectId) -> Result<bool, RepoError> {
    use task_slot::Column as C;
    let any = task_slot::Entity::find()
        .filter_by(C::ProjectId.eq(project.0).and(C::State.eq(SlotState::Free.as_str())))
        .and_where(C::Claimable.eq(true))
        .and_where(C::ReservedFor.is_null())
        .limit(1)
        .to_owned();
    Ok(conn.query_one(&any).await?.is_none())
}

/// Tasks with a lease or a review that has run out, those that wait longest first.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn expired(conn: &impl Conn) -> Result<Vec<(TaskId, DateTime<Utc>)>, RepoError> {
    let slots = Query::select()
        .column(task_slot::Column::TaskId)
        .expr_as(Expr::col(task_slot::Column::LeaseExpiresAt), "ran_out_at")
        .from(task_slot::Entity)
        .and_where(task_slot::Column::State.eq(SlotState::Leased.as_str()))
        .and_where(Expr::col(task_slot::Column::LeaseExpiresAt).lte(clock::now(conn)))
        .order_by(task_slot::Column::LeaseExpiresAt, Order::Asc)
        .limit(limits::REAPED)
        .to_owned();
    let reviews = Query::select()
        .column(task::Column::Id)
        .expr_as(Expr::col(task::Column::ReviewExpiresAt), "ran_out_at")
        .from(task::Entity)
        .and_where(task::Column::State.eq(TaskState::InReview.as_str()))
        .and_where(Expr::col(task::Column::ReviewExpiresAt).lte(clock::now(conn)))
        .order_by(task::Column::ReviewExpiresAt, Order::Asc)
        .limit(limits::REAPED)
        .to_owned();
    let mut found = Vec::new();
    for select in [slots, reviews] {
        for row in conn.query_all(&select).await? {
            found.push((TaskId(row.try_get_by_index(0)?), row.try_get_by_index(1)?));
        }
    }
    Ok(found)
}
