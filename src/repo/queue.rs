//! The claim queue in SQL: a slot is found by walking the partial index of free slots in their order, and leased in the
//! same statement. The row is the truth: two holders of one slot cannot exist.
//!
//! The walk locks task and slot (`SKIP LOCKED`, so that claimers do not wait for one another), whose rows are thereby read
//! anew, and the UPDATE repeats that the slot is FREE.

mod front;

use chrono::{DateTime, Utc};
use entity::{assignment, labeling_session, project, project_member, task, task_slot, user};
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, Iterable,
    sea_query::{
        CommonTableExpression, Condition, Expr, ExprTrait, IntoTableRef, LockBehavior, LockType, Order, Query,
        SelectStatement, TableRef, WithClause,
    },
};
use uuid::Uuid;

pub use front::{Position, Waiting, head, lease_of, waiting, waiting_slots};

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
        sql::{self, FilterBy, is, optional_word, word},
        task::Task,
    },
};

/// A project as somebody who claims in it finds it.
#[derive(Clone, Debug)]
pub struct Desk {
    /// The project.
    pub project: Project,
    /// What the person is in it.
    pub standing: Standing,
    /// Slots the person holds.
    pub leases: i64,
    /// Tasks the person reviews.
    pub reviews: i64,
    /// Whether a slot waits for the person.
    pub reserved: bool,
    /// The session that the claim's request opened within the last day.
    pub repeated: Option<SessionId>,
}

/// The asker's desk in a project. It holds what makes the claims of one person in one project follow one another: the
/// membership's row, an admin's own row. None when the asker does not see the project.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn desk(
    conn: &impl Conn,
    scope: Scope,
    project: ProjectId,
    request_id: Option<&str>,
) -> Result<Option<Desk>, RepoError> {
    // First the lock, then the look: a statement that waits for a lock reads its sub-selects as they were before. A
    // transaction of SQLite is alone from its beginning.
    if !conn.is_sqlite() {
        conn.query_one(&claimer(scope, project)).await?;
    }
    let mut select = project::Entity::find().filter_by(project::Column::Id.eq(project.0));
    let role = project_member::Entity::find()
        .filter_by(project_member::Column::ProjectId.eq(project.0).and(project_member::Column::UserId.eq(scope.user.0)))
        .clear_selects()
        .column(project_member::Column::Role)
        .to_owned();
    let mut sub = |name: &'static str, query: SelectStatement| {
        select.expr_as(Expr::SubQuery(None, Box::new(query.into())), name);
    };
    sub("viewer_role", role);
    sub("leases", leases(project, scope.user));
    sub("reviews", reviews(project, scope.user));
    if let Some(request_id) = request_id {
        sub("repeated", opened_by(conn, scope.user, request_id));
    }
    select.expr_as(Expr::exists(reserved(project, scope.user)), "reserved");
    let Some(row) = conn.query_one(&select).await? else { return Ok(None) };
    let role: Option<Role> = optional_word(row.try_get::<Option<String>>("", "viewer_role")?.as_deref())?;
    let standing = if scope.admin { Some(Standing::Admin) } else { role.map(Standing::Member) };
    let Some(standing) = standing else { return Ok(None) };
    let repeated: Option<Uuid> = if request_id.is_some() { row.try_get("", "repeated")? } else { None };
    Ok(Some(Desk {
        project: project::Model::from_query_result(&row, "")?.try_into()?,
        standing,
        leases: row.try_get("", "leases")?,
        reviews: row.try_get("", "reviews")?,
        reserved: row.try_get("", "reserved")?,
        repeated: repeated.map(SessionId),
    }))
}

fn claimer(scope: Scope, project: ProjectId) -> SelectStatement {
    if scope.admin {
        let mut own = user::Entity::find().filter_by(user::Column::Id.eq(scope.user.0));
        return own.clear_selects().column(user::Column::Id).lock(LockType::NoKeyUpdate).to_owned();
    }
    let membership =
        project_member::Column::ProjectId.eq(project.0).and(project_member::Column::UserId.eq(scope.user.0));
    let mut own = project_member::Entity::find().filter_by(membership);
    own.clear_selects().column(project_member::Column::UserId).lock(LockType::NoKeyUpdate).to_owned()
}

fn leases(project: ProjectId, user: UserId) -> SelectStatement {
    use task_slot::Column as C;
    Query::select()
        .expr(Expr::cust("count(*)"))
        .from(task_slot::Entity)
        .and_where(C::HolderId.eq(user.0))
        .and_where(C::ProjectId.eq(project.0))
        .and_where(is(C::State, SlotState::Leased.as_str()))
        .to_owned()
}

fn reviews(project: ProjectId, user: UserId) -> SelectStatement {
    use task::Column as C;
    Query::select()
        .expr(Expr::cust("count(*)"))
        .from(task::Entity)
        .and_where(C::ReviewerId.eq(user.0))
        .and_where(C::ProjectId.eq(project.0))
        .and_where(is(C::State, TaskState::InReview.as_str()))
        .to_owned()
}

fn opened_by(conn: &impl Conn, user: UserId, request_id: &str) -> SelectStatement {
    use labeling_session::Column as C;
    Query::select()
        .column(C::Id)
        .from(labeling_session::Entity)
        .and_where(C::UserId.eq(user.0))
        .and_where(C::RequestId.eq(request_id))
        .and_where(Expr::col(C::CreatedAt).gt(clock::start_plus(conn, -limits::REQUEST_ID_SECONDS)))
        .to_owned()
}

fn reserved(project: ProjectId, user: UserId) -> SelectStatement {
    use task_slot::Column as C;
    Query::select()
        .expr(Expr::cust("1"))
        .from(task_slot::Entity)
        .and_where(C::ProjectId.eq(project.0))
        .and_where(C::ReservedFor.eq(user.0))
        .and_where(is(C::State, SlotState::Free.as_str()))
        .and_where(Expr::col(C::Claimable))
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

/// Leases the first slot of `place` that the person may hold, of those that no other transaction holds right now.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn lease(conn: &impl Conn, claimer: Claimer, place: Place) -> Result<Option<Leased>, RepoError> {
    lease_first(conn, claimer, walk(claimer, place)).await
}

/// Leases the first slot that `pick` finds, as [`walk`] made it.
async fn lease_first(
    conn: &impl Conn,
    claimer: Claimer,
    mut pick: SelectStatement,
) -> Result<Option<Leased>, RepoError> {
    use task_slot::Column as C;
    lock(conn, &mut pick);
    let pick = CommonTableExpression::new().table_name("pick").query(pick).to_owned();
    let mut update = Query::update();
    update
        .table(task_slot::Entity)
        .value(C::State, SlotState::Leased.as_str())
        .value(C::LeaseEpoch, Expr::col((task_slot::Entity, C::LeaseEpoch)).add(1))
        .value(C::HolderId, claimer.user.0)
        .value(C::LeaseExpiresAt, clock::now_plus(conn, i64::from(claimer.lease_seconds)))
        .value(C::ReservedFor, None::<Uuid>)
        .value(C::ReservedUntil, None::<DateTime<Utc>>)
        .and_where(is((task_slot::Entity, C::State), SlotState::Free.as_str()));
    let slot = || Expr::tuple([Expr::col((task_slot::Entity, C::TaskId)), Expr::col((task_slot::Entity, C::Number))]);
    // The task as it was locked: PostgreSQL shows it beside the slot, SQLite, which is alone, in a look of its own.
    let state = if conn.is_sqlite() {
        let picked = Query::select().columns(["task_id", "number"]).from("pick").to_owned();
        update.and_where(slot().in_subquery(picked));
        let state = Query::select()
            .column(task::Column::State)
            .from(task::Entity)
            .and_where(Expr::col((task::Entity, task::Column::Id)).equals((task_slot::Entity, C::TaskId)))
            .to_owned();
        Expr::SubQuery(None, Box::new(state.into()))
    } else {
        update.from("pick");
        update.and_where(slot().eq(Expr::tuple([Expr::col(("pick", "task_id")), Expr::col(("pick", "number"))])));
        Expr::col(("pick", "task_state"))
    };
    // By name: a column that a newer schema adds must not stand in the way of an older build.
    let columns = C::iter().map(|column| Expr::col((task_slot::Entity, column)));
    update.returning(Query::returning().exprs(columns.chain([state])));
    let update = sql::limit_one_written_out(conn, &update.with(WithClause::new().cte(pick).to_owned()));
    let Some(row) = conn.query_one_raw(update).await? else { return Ok(None) };
    let slot = task_slot::Model::from_query_result(&row, "")?.try_into()?;
    Ok(Some(Leased { slot, task_state: word(&row.try_get_by_index::<String>(C::iter().count())?)? }))
}

/// A task that the person could claim a slot of, were it not held by another transaction right now.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn held_by_others(conn: &impl Conn, claimer: Claimer) -> Result<Option<TaskId>, RepoError> {
    for place in [Place::Reserved, Place::Again] {
        if let Some(row) = conn.query_one(&walk(claimer, place)).await? {
            return Ok(Some(TaskId(row.try_get("", "task_id")?)));
        }
    }
    Ok(None)
}

/// The first free slot of `place` that the person may hold, and its task's state.
fn walk(claimer: Claimer, place: Place) -> SelectStatement {
    use task_slot::Column as C;
    let Claimer { project, user, .. } = claimer;
    let mut select = Query::select();
    select
        .columns([(task_slot::Entity, C::TaskId), (task_slot::Entity, C::Number)])
        .expr_as(Expr::col((task::Entity, task::Column::State)), "task_state")
        .from(task_slot::Entity)
        .inner_join(task::Entity, Expr::col((task::Entity, task::Column::Id)).equals((task_slot::Entity, C::TaskId)))
        .and_where(Expr::col((task_slot::Entity, C::ProjectId)).eq(project.0))
        .and_where(is((task_slot::Entity, C::State), SlotState::Free.as_str()))
        .and_where(Expr::col((task_slot::Entity, C::Claimable)))
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
    select
}

/// Holds the walked task and then its slot, whose row is thereby looked at again: what another transaction changed since
/// the walk began is passed over, like what one holds.
fn lock(conn: &impl Conn, select: &mut SelectStatement) {
    if !conn.is_sqlite() {
        let tables: [TableRef; 2] = [task::Entity.into_table_ref(), task_slot::Entity.into_table_ref()];
        select.lock_with_tables_behavior(LockType::Update, tables, LockBehavior::SkipLocked);
    }
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
        .filter_by(C::ProjectId.eq(project.0).and(is(C::State, SlotState::Free.as_str())))
        .and_where(Expr::col(C::Claimable))
        .and_where(C::ReservedFor.is_null())
        .limit(1)
        .to_owned();
    Ok(conn.query_one(&any).await?.is_none())
}

/// Locks the first task that waits for a review the person may give, the highest priority first, of those that no other
/// transaction holds right now.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn reviewable(conn: &impl Conn, project: ProjectId, user: UserId) -> Result<Option<Task>, RepoError> {
    let mut select = reviews_for(project, user);
    if !conn.is_sqlite() {
        select.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    }
    sql::one::<task::Model, _>(conn, &select).await
}

/// A task that the person could review, were it not held by another transaction right now.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn review_held_by_others(
    conn: &impl Conn,
    project: ProjectId,
    user: UserId,
) -> Result<Option<TaskId>, RepoError> {
    Ok(sql::one::<task::Model, Task>(conn, &reviews_for(project, user)).await?.map(|task| task.id))
}

fn reviews_for(project: ProjectId, user: UserId) -> SelectStatement {
    waiting_for_review(project)
        .and_where(Expr::exists(worked(user)).not())
        .and_where(Expr::exists(joined(user)).not())
        .order_by(task::Column::Priority, Order::Desc)
        .order_by(task::Column::Id, Order::Asc)
        .limit(1)
        .to_owned()
}

/// Whether no task of the project waits for a review, whoever gives it.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn has_no_review(conn: &impl Conn, project: ProjectId) -> Result<bool, RepoError> {
    Ok(conn.query_one(waiting_for_review(project).limit(1)).await?.is_none())
}

/// Whether the person had a slot of the task in its round, or saved into it as a joiner: nobody judges their own work.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn has_worked(conn: &impl Conn, task: TaskId, user: UserId) -> Result<bool, RepoError> {
    let own = Query::select()
        .expr(Expr::cust("1"))
        .from(task::Entity)
        .and_where(task::Column::Id.eq(task.0))
        .and_where(Expr::exists(worked(user)).or(Expr::exists(joined(user))))
        .to_owned();
    Ok(conn.query_one(&own).await?.is_some())
}

fn waiting_for_review(project: ProjectId) -> SelectStatement {
    let waiting = task::Column::ProjectId.eq(project.0).and(is(task::Column::State, TaskState::Submitted.as_str()));
    task::Entity::find().filter_by(waiting.and(task::Column::ImportJob.is_null()))
}

/// The person's turns on the task in its round.
fn worked(user: UserId) -> SelectStatement {
    use assignment::{Column as C, Entity};
    Query::select()
        .expr(Expr::cust("1"))
        .from(Entity)
        .and_where(Expr::col((Entity, C::AnnotatorId)).eq(user.0))
        .and_where(Expr::col((Entity, C::TaskId)).equals((task::Entity, task::Column::Id)))
        .and_where(Expr::col((Entity, C::Round)).equals((task::Entity, task::Column::Round)))
        .to_owned()
}

/// The person's sessions beside a holder in which they saved into the task in its round.
fn joined(user: UserId) -> SelectStatement {
    use labeling_session::{Column as C, Entity};
    Query::select()
        .expr(Expr::cust("1"))
        .from(Entity)
        .and_where(Expr::col((Entity, C::UserId)).eq(user.0))
        .and_where(Expr::col((Entity, C::TaskId)).equals((task::Entity, task::Column::Id)))
        .and_where(Expr::col((Entity, C::SavedRound)).equals((task::Entity, task::Column::Round)))
        .to_owned()
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
        .and_where(is(task_slot::Column::State, SlotState::Leased.as_str()))
        .and_where(Expr::col(task_slot::Column::LeaseExpiresAt).lte(clock::start(conn)))
        .order_by(task_slot::Column::LeaseExpiresAt, Order::Asc)
        .limit(limits::REAPED)
        .to_owned();
    let reviews = Query::select()
        .column(task::Column::Id)
        .expr_as(Expr::col(task::Column::ReviewExpiresAt), "ran_out_at")
        .from(task::Entity)
        .and_where(is(task::Column::State, TaskState::InReview.as_str()))
        .and_where(Expr::col(task::Column::ReviewExpiresAt).lte(clock::start(conn)))
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

/// Ends reservations that ran out, or whose person cannot label in the project any more; at most `limit`. Gives the
/// project and task of each.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn end_reservations(conn: &impl Conn, limit: u64) -> Result<Vec<(ProjectId, TaskId)>, RepoError> {
    use task_slot::Column as C;
    let gone = || {
        let able = Query::select()
            .expr(Expr::cust("1"))
            .from(project_member::Entity)
            .and_where(
                Expr::col((project_member::Entity, project_member::Column::ProjectId))
                    .equals((task_slot::Entity, C::ProjectId)),
            )
            .and_where(
                Expr::col((project_member::Entity, project_member::Column::UserId))
                    .equals((task_slot::Entity, C::ReservedFor)),
            )
            .and_where(project_member::Column::Role.ne(Role::Viewer.as_str()))
            .to_owned();
        let admin = Query::select()
            .expr(Expr::cust("1"))
            .from(user::Entity)
            .and_where(Expr::col((user::Entity, user::Column::Id)).equals((task_slot::Entity, C::ReservedFor)))
            .and_where(Expr::col((user::Entity, user::Column::Admin)).eq(true))
            .to_owned();
        Condition::all().add(Expr::exists(able).not()).add(Expr::exists(admin).not())
    };
    let over = || Expr::col((task_slot::Entity, C::ReservedUntil)).lte(clock::start(conn));
    let mut walk = Query::select();
    walk.columns([(task_slot::Entity, C::TaskId), (task_slot::Entity, C::Number)])
        .from(task_slot::Entity)
        .inner_join(task::Entity, Expr::col((task::Entity, task::Column::Id)).equals((task_slot::Entity, C::TaskId)))
        .and_where(is((task_slot::Entity, C::State), SlotState::Free.as_str()))
        .and_where(Expr::col((task_slot::Entity, C::ReservedFor)).is_not_null())
        .cond_where(Condition::any().add(over()).add(gone()))
        .limit(limit);
    lock(conn, &mut walk);
    let over = CommonTableExpression::new().table_name("pick").query(walk).to_owned();
    let picked = Query::select().columns(["task_id", "number"]).from("pick").to_owned();
    let update = Query::update()
        .table(task_slot::Entity)
        .value(C::ReservedFor, None::<Uuid>)
        .value(C::ReservedUntil, None::<DateTime<Utc>>)
        .and_where(Expr::tuple([Expr::col(C::TaskId), Expr::col(C::Number)]).in_subquery(picked))
        .and_where(is(C::State, SlotState::Free.as_str()))
        .returning(Query::returning().columns([C::ProjectId, C::TaskId]))
        .to_owned();
    let rows = conn.query_all(&update.with(WithClause::new().cte(over).to_owned())).await?;
    rows.iter()
        .map(|row| Ok((ProjectId(row.try_get("", "project_id")?), TaskId(row.try_get("", "task_id")?))))
        .collect()
}

/// Moves the end of the lease under `fence` to `seconds` from now; gives it, none when the fence does not hold. The one
/// statement that writes a slot without its task's lock: it changes nothing a rule looks at.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn renew_lease(
    conn: &impl Conn,
    (task, slot): (TaskId, i32),
    fence: i32,
    seconds: i64,
) -> Result<Option<DateTime<Utc>>, RepoError> {
    use task_slot::Column as C;
    let update = Query::update()
        .table(task_slot::Entity)
        .value(C::LeaseExpiresAt, clock::now_plus(conn, seconds))
        .and_where(C::TaskId.eq(task.0).and(C::Number.eq(slot)).and(C::LeaseEpoch.eq(fence)))
        .and_where(is(C::State, SlotState::Leased.as_str()))
        .returning_col(C::LeaseExpiresAt)
        .to_owned();
    let row = conn.query_one(&update).await?;
    Ok(row.map(|row| row.try_get("", "lease_expires_at")).transpose()?)
}

/// As [`renew_lease`], of a review.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn renew_review(
    conn: &impl Conn,
    task: TaskId,
    fence: i32,
    seconds: i64,
) -> Result<Option<DateTime<Utc>>, RepoError> {
    use task::Column as C;
    let update = Query::update()
        .table(task::Entity)
        .value(C::ReviewExpiresAt, clock::now_plus(conn, seconds))
        .and_where(C::Id.eq(task.0).and(C::ReviewEpoch.eq(fence)))
        .and_where(is(C::State, TaskState::InReview.as_str()))
        .returning_col(C::ReviewExpiresAt)
        .to_owned();
    let row = conn.query_one(&update).await?;
    Ok(row.map(|row| row.try_get("", "review_expires_at")).transpose()?)
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait, StatementBuilder};

    use super::*;
    use crate::repo::{
        Connect, Db,
        schema::{self, Direction},
        session,
    };

    async fn plan(db: &Db, statement: &impl StatementBuilder) -> String {
        let mut statement = statement.build(&db.get_database_backend());
        statement.sql = format!("EXPLAIN QUERY PLAN {}", statement.sql);
        let rows = db.query_all_raw(statement).await.unwrap();
        rows.iter().map(|row| row.try_get::<String>("", "detail").unwrap()).collect::<Vec<_>>().join("\n")
    }

    #[tokio::test]
    async fn a_claim_walks_an_index_in_its_order_and_sorts_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("concord.db").display());
        let connect = Connect { url, max_connections: 1, pooled: false };
        schema::migrate(&connect, Direction::Up).await.unwrap();
        let db = Db::connect(&connect).await.unwrap();
        let (project, user) = (ProjectId::generate(), UserId::generate());
        let claimer = Claimer { project, overlaps: true, user, lease_seconds: 900 };
        let slots = "task_slot USING INDEX";
        for (case, statement, index) in [
            ("the queue", walk(claimer, Place::Queue), "task_slot_claim "),
            ("what was given back", walk(claimer, Place::Again), "task_slot_claim "),
            ("what is reserved", walk(claimer, Place::Reserved), "task_slot_reserved "),
            ("held slots", leases(project, user), "task_slot_holder "),
        ] {
            let plan = plan(&db, &statement).await;
            let covering = plan.replace("COVERING ", "");
            assert!(covering.contains(&format!("{slots} {index}")), "{case}: {plan}");
            assert!(!plan.contains("TEMP B-TREE") && !plan.contains("SCAN task_slot"), "{case}: {plan}");
        }
        let named = Position { priority: 0, queue_number: 1, task: TaskId::generate(), number: 1 };
        let named = plan(&db, &front::walk_of(claimer, &[named; 8])).await;
        let slots = named.lines().find(|line| line.contains("SEARCH task_slot ")).unwrap_or_default();
        assert!(slots.contains("task_id=?") && !named.contains("SCAN task_slot"), "{named}");
        let head = plan(&db, &front::walk_from_head(project, 10)).await;
        assert!(head.contains("task_slot_claim ") && !head.contains("SCAN task_slot"), "{head}");
        let reviews = plan(&db, waiting_for_review(project).limit(1)).await;
        assert!(reviews.contains("task_reviewable") || reviews.contains("task_by_state"), "{reviews}");
        let reviewed = plan(&db, &super::reviews(project, user)).await;
        assert!(reviewed.contains("task_reviewer"), "{reviewed}");
        let to_review = plan(&db, &reviews_for(project, user)).await;
        assert!(to_review.contains("labeling_session_saved") && to_review.contains("assignment_"), "{to_review}");
        assert!(!to_review.contains("TEMP B-TREE") && !to_review.contains("SCAN"), "{to_review}");
        let open = plan(&db, &session::open(&db, user)).await;
        assert_eq!(open.matches("labeling_session_joined").count(), 2, "{open}");
        assert!(!open.contains("SCAN"), "{open}");
    }
}
