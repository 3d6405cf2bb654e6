//! Labeling sessions: one row per open screen. Whether a session's work goes on is not stored: it does while its fence
//! holds.

use chrono::{DateTime, TimeDelta, Utc};
use entity::labeling_session::{Column, Entity, Model};
use entity::{project, project_member, task, task_slot};
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult,
    sea_query::{Expr, ExprTrait, LockType, Order, Query, SelectStatement, UnionType},
};

use crate::{
    domain::{
        ids::{ProjectId, SessionId, TaskId, UserId},
        limits,
        permission::Standing,
        words::{ProjectState, Role, SessionRole, SlotState, TaskState},
    },
    repo::{
        Conn, RepoError, Scope, clock, scope,
        sql::{self, FilterBy, is, optional_word, value, word},
        task::Task,
    },
};

/// One open screen on a slot, or on a task in review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose the task is.
    pub project: ProjectId,
    /// The task.
    pub task: TaskId,
    /// The slot's number; none in a review of several slots.
    pub slot: Option<i32>,
    /// Whose screen it is.
    pub user: UserId,
    /// Names the author of edits in version vectors.
    pub actor: String,
    /// In which part the user has the task open.
    pub role: SessionRole,
    /// The lease's fence; in a review the review's.
    pub fence: i32,
    /// The round into which a joiner saved under it.
    pub saved_round: Option<i32>,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When it is taken for left, unless there is a sign of life.
    pub expires_at: DateTime<Utc>,
}

impl TryFrom<Model> for Session {
    type Error = RepoError;

    fn try_from(row: Model) -> Result<Self, RepoError> {
        Ok(Self {
            id: SessionId(row.id),
            project: ProjectId(row.project_id),
            task: TaskId(row.task_id),
            slot: row.slot,
            user: UserId(row.user_id),
            actor: row.actor,
            role: word(&row.role)?,
            fence: row.fence,
            saved_round: row.saved_round,
            created_at: row.created_at,
            expires_at: row.expires_at,
        })
    }
}

/// What a session is opened with.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Whose the task is.
    pub project: ProjectId,
    /// The task.
    pub task: TaskId,
    /// The slot's number; none in a review of several slots.
    pub slot: Option<i32>,
    /// Whose screen it is.
    pub user: UserId,
    /// Names the author of edits.
    pub actor: String,
    /// In which part the user has the task open.
    pub role: SessionRole,
    /// The lease's fence; in a review the review's.
    pub fence: i32,
    /// What makes the claim that opens it repeatable.
    pub request_id: Option<String>,
}

/// Opens a session.
///
/// # Errors
/// [`RepoError::Duplicate`] when the user's request id is in use already.
pub async fn insert(conn: &impl Conn, new: NewSession) -> Result<Session, RepoError> {
    let ttl = i64::try_from(limits::SESSION_TTL.as_secs()).unwrap_or(i64::MAX);
    let insert = sql::insert_one(
        Entity,
        [
            (Column::Id, value(SessionId::generate().0)),
            (Column::TaskId, value(new.task.0)),
            (Column::Slot, value(new.slot)),
            (Column::ProjectId, value(new.project.0)),
            (Column::UserId, value(new.user.0)),
            (Column::Actor, value(new.actor)),
            (Column::Role, value(new.role.as_str())),
            (Column::Fence, value(new.fence)),
            (Column::RequestId, value(new.request_id)),
            (Column::CreatedAt, clock::now(conn)),
            (Column::ExpiresAt, clock::now_plus(conn, ttl)),
        ],
    )
    .returning_all()
    .to_owned();
    sql::one::<Model, _>(conn, &insert).await?.ok_or(RepoError::NotFound)
}

/// A user's own session with its task, which is held until the transaction ends.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn lock_task(conn: &impl Conn, user: UserId, id: SessionId) -> Result<Option<(Session, Task)>, RepoError> {
    let mut select = Query::select();
    for column in <Column as sea_orm::Iterable>::iter() {
        let name = format!("s_{}", sea_orm::IdenStatic::as_str(&column));
        select.expr_as(Expr::col((Entity, column)), name);
    }
    select
        .column((task::Entity, sea_orm::sea_query::Asterisk))
        .from(Entity)
        .inner_join(task::Entity, Expr::col((task::Entity, task::Column::Id)).equals((Entity, Column::TaskId)))
        .and_where(Expr::col((Entity, Column::Id)).eq(id.0))
        .and_where(Expr::col((Entity, Column::UserId)).eq(user.0))
        .lock_with_tables(LockType::Update, [task::Entity]);
    let Some(row) = conn.query_one(&select).await? else { return Ok(None) };
    let session = Model::from_query_result(&row, "s_")?.try_into()?;
    let task = task::Model::from_query_result(&row, "")?.try_into()?;
    Ok(Some((session, task)))
}

/// A user's own sessions by id.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_own(conn: &impl Conn, user: UserId, ids: &[SessionId]) -> Result<Vec<Session>, RepoError> {
    let own = Column::UserId.eq(user.0).and(Column::Id.is_in(ids.iter().map(|id| id.0)));
    sql::all::<Model, _>(conn, &Entity::find().filter_by(own)).await
}

/// A user's own sessions by id, in projects they still see.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_visible(conn: &impl Conn, scope: Scope, ids: &[SessionId]) -> Result<Vec<Session>, RepoError> {
    let own = scope::visible(scope, Column::ProjectId)
        .add(Column::UserId.eq(scope.user.0))
        .add(Column::Id.is_in(ids.iter().map(|id| id.0)));
    sql::all::<Model, _>(conn, &Entity::find().filter_by(own)).await
}

/// A session with what a sign of life needs, read without any lock.
#[derive(Clone, Debug)]
pub struct AtWork {
    /// The session.
    pub session: Session,
    /// What its user is in the project.
    pub standing: Standing,
    /// Whether the project takes work.
    pub project_state: ProjectState,
    /// How long a lease of the project runs, in seconds.
    pub lease_seconds: i32,
    /// When the lease or review runs out; none when its fence does not hold.
    pub ends_at: Option<DateTime<Utc>>,
    /// The time of the look.
    pub now: DateTime<Utc>,
}

/// The asker's own session with what a sign of life needs; none when it is not theirs or they have left the project.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_at_work(conn: &impl Conn, scope: Scope, id: SessionId) -> Result<Option<AtWork>, RepoError> {
    let of_session = |column: Expr, other: Column| column.equals((Entity, other));
    let role = project_member::Entity::find()
        .filter_by(project_member::Column::UserId.eq(scope.user.0))
        .clear_selects()
        .column(project_member::Column::Role)
        .and_where(of_session(
            Expr::col((project_member::Entity, project_member::Column::ProjectId)),
            Column::ProjectId,
        ))
        .to_owned();
    let lease = Query::select()
        .column(task_slot::Column::LeaseExpiresAt)
        .from(task_slot::Entity)
        .and_where(of_session(Expr::col((task_slot::Entity, task_slot::Column::TaskId)), Column::TaskId))
        .and_where(of_session(Expr::col((task_slot::Entity, task_slot::Column::Number)), Column::Slot))
        .and_where(of_session(Expr::col((task_slot::Entity, task_slot::Column::LeaseEpoch)), Column::Fence))
        .and_where(Expr::col((Entity, Column::Role)).ne(SessionRole::Reviewer.as_str()))
        .to_owned();
    let review = Query::select()
        .column(task::Column::ReviewExpiresAt)
        .from(task::Entity)
        .and_where(of_session(Expr::col((task::Entity, task::Column::Id)), Column::TaskId))
        .and_where(of_session(Expr::col((task::Entity, task::Column::ReviewEpoch)), Column::Fence))
        .and_where(is((Entity, Column::Role), SessionRole::Reviewer.as_str()))
        .to_owned();
    let sub = |query: SelectStatement| Expr::SubQuery(None, Box::new(query.into()));
    let mut select = Entity::find().filter_by(Column::Id.eq(id.0).and(Column::UserId.eq(scope.user.0)));
    select
        .inner_join(project::Entity, of_session(Expr::col((project::Entity, project::Column::Id)), Column::ProjectId))
        .column((project::Entity, project::Column::LeaseSeconds))
        .expr_as(Expr::col((project::Entity, project::Column::State)), "project_state")
        .expr_as(sub(role), "viewer_role")
        .expr_as(sub(lease), "lease_ends_at")
        .expr_as(sub(review), "review_ends_at")
        .expr_as(clock::now(conn), "read_at");
    let Some(row) = conn.query_one(&select).await? else { return Ok(None) };
    let role: Option<Role> = optional_word(row.try_get::<Option<String>>("", "viewer_role")?.as_deref())?;
    let standing = if scope.admin { Some(Standing::Admin) } else { role.map(Standing::Member) };
    let Some(standing) = standing else { return Ok(None) };
    let (lease, review): (Option<DateTime<Utc>>, Option<DateTime<Utc>>) =
        (row.try_get("", "lease_ends_at")?, row.try_get("", "review_ends_at")?);
    Ok(Some(AtWork {
        session: Model::from_query_result(&row, "")?.try_into()?,
        standing,
        project_state: word(&row.try_get::<String>("", "project_state")?)?,
        lease_seconds: row.try_get("", "lease_seconds")?,
        ends_at: lease.or(review),
        now: row.try_get("", "read_at")?,
    }))
}

/// The user's sessions whose fence holds, oldest first: of slots held, of reviews, and joined ones with a sign of life.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn open_of(conn: &impl Conn, user: UserId) -> Result<Vec<Session>, RepoError> {
    let select = Entity::find()
        .filter_by(Column::Id.in_subquery(open(conn, user)))
        .order_by(Column::Id, Order::Asc)
        .limit(limits::OPEN_SESSIONS)
        .to_owned();
    sql::all::<Model, _>(conn, &select).await
}

/// What a person has open, by id. One walk along an index for each part: together they would be a walk over all that the
/// person ever opened.
pub(super) fn open(conn: &impl Conn, user: UserId) -> SelectStatement {
    let mut open = held_by(user);
    for others in [reviewed_by(user), joined_by(conn, user), reviews_joined_by(conn, user)] {
        open.union(UnionType::All, others);
    }
    open
}

/// A person's sessions of one role, by id.
fn of_role(user: UserId, role: SessionRole) -> SelectStatement {
    Query::select()
        .column((Entity, Column::Id))
        .from(Entity)
        .and_where(Expr::col((Entity, Column::UserId)).eq(user.0))
        .and_where(is((Entity, Column::Role), role.as_str()))
        .to_owned()
}

/// With the slot that is leased under the session's fence.
fn at_leased_slot(mut select: SelectStatement) -> SelectStatement {
    use task_slot::{Column as C, Entity as E};
    let slot = [(C::TaskId, Column::TaskId), (C::Number, Column::Slot), (C::LeaseEpoch, Column::Fence)]
        .into_iter()
        .fold(is((E, C::State), SlotState::Leased.as_str()), |on, (theirs, ours)| {
            on.and(Expr::col((E, theirs)).equals((Entity, ours)))
        });
    select.inner_join(E, slot).to_owned()
}

/// With the task that is in review under the session's fence.
fn at_review(mut select: SelectStatement) -> SelectStatement {
    use task::{Column as C, Entity as E};
    let task = [(C::Id, Column::TaskId), (C::ReviewEpoch, Column::Fence)]
        .into_iter()
        .fold(is((E, C::State), TaskState::InReview.as_str()), |on, (theirs, ours)| {
            on.and(Expr::col((E, theirs)).equals((Entity, ours)))
        });
    select.inner_join(E, task).to_owned()
}

fn held_by(user: UserId) -> SelectStatement {
    let holder = Expr::col((task_slot::Entity, task_slot::Column::HolderId)).eq(user.0);
    at_leased_slot(of_role(user, SessionRole::Holder)).and_where(holder).to_owned()
}

fn reviewed_by(user: UserId) -> SelectStatement {
    let reviewer = Expr::col((task::Entity, task::Column::ReviewerId)).eq(user.0);
    at_review(of_role(user, SessionRole::Reviewer)).and_where(reviewer).to_owned()
}

/// Beside the holder of a slot.
fn joined_by(conn: &impl Conn, user: UserId) -> SelectStatement {
    at_leased_slot(alive(conn, of_role(user, SessionRole::Collaborator)))
}

fn reviews_joined_by(conn: &impl Conn, user: UserId) -> SelectStatement {
    let of_another = Expr::col((task::Entity, task::Column::ReviewerId)).ne(user.0);
    at_review(alive(conn, of_role(user, SessionRole::Reviewer))).and_where(of_another).to_owned()
}

/// With a sign of life within the time of a session. It repeats, word by word, what the index of joined sessions says.
fn alive(conn: &impl Conn, mut select: SelectStatement) -> SelectStatement {
    select
        .and_where(Expr::col((Entity, Column::Role)).ne(Expr::cust("'HOLDER'")))
        .and_where(Expr::col((Entity, Column::ExpiresAt)).gt(clock::start(conn)))
        .to_owned()
}

/// A sign of life, written at most once a minute.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn touch(conn: &impl Conn, session: &Session, now: DateTime<Utc>) -> Result<(), RepoError> {
    let ttl = TimeDelta::from_std(limits::SESSION_TTL).unwrap_or(TimeDelta::MAX);
    if session.expires_at - now > ttl - TimeDelta::minutes(1) {
        return Ok(());
    }
    let update = Query::update()
        .table(Entity)
        .value(Column::ExpiresAt, now + ttl)
        .and_where(Column::Id.eq(session.id.0))
        .to_owned();
    conn.execute(&update).await?;
    Ok(())
}

/// Writes down that somebody saved into the task in this round of whom no turn says it: a joiner, or who came late. Once a
/// session.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn note_save(conn: &impl Conn, session: &Session, round: i32, is_late: bool) -> Result<(), RepoError> {
    let has_turn = match session.role {
        SessionRole::Collaborator => false,
        SessionRole::Holder => !is_late,
        SessionRole::Reviewer => true,
    };
    if has_turn || session.saved_round == Some(round) {
        return Ok(());
    }
    let update = Query::update()
        .table(Entity)
        .value(Column::SavedRound, round)
        .and_where(Column::Id.eq(session.id.0))
        .to_owned();
    conn.execute(&update).await?;
    Ok(())
}

/// Notes that somebody who joined under a fence has changed something in the task's round.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn note_decision(conn: &impl Conn, task: &Task, user: UserId, fence: i32) -> Result<(), RepoError> {
    let update = Query::update()
        .table(Entity)
        .value(Column::SavedRound, task.round)
        .and_where(Column::TaskId.eq(task.id.0))
        .and_where(Column::UserId.eq(user.0))
        .and_where(Column::Fence.eq(fence))
        .and_where(is(Column::Role, SessionRole::Collaborator.as_str()))
        .to_owned();
    conn.execute(&update).await?;
    Ok(())
}

/// Forgets one request id of a person when it is older than a day: it may be used again.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn forget_request(conn: &impl Conn, user: UserId, request_id: &str) -> Result<(), RepoError> {
    let update = Query::update()
        .table(Entity)
        .value(Column::RequestId, None::<String>)
        .and_where(Column::UserId.eq(user.0))
        .and_where(Column::RequestId.eq(request_id))
        .and_where(Expr::col(Column::CreatedAt).lt(clock::start_plus(conn, -limits::REQUEST_ID_SECONDS)))
        .to_owned();
    conn.execute(&update).await?;
    Ok(())
}

/// How many screens somebody has opened under a fence.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn count_of_fence(
    conn: &impl Conn,
    task: TaskId,
    user: UserId,
    role: SessionRole,
    fence: i32,
) -> Result<i64, RepoError> {
    let select = Query::select()
        .expr_as(Expr::cust("count(*)"), "n")
        .from(Entity)
        .and_where(Column::TaskId.eq(task.0))
        .and_where(Column::UserId.eq(user.0))
        .and_where(Column::Fence.eq(fence))
        .and_where(Column::Role.eq(role.as_str()))
        .to_owned();
    Ok(conn.query_one(&select).await?.ok_or(RepoError::NotFound)?.try_get("", "n")?)
}

/// Forgets request ids older than a day, some at a time: they may be used again.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn forget_requests(conn: &impl Conn, limit: u64) -> Result<u64, RepoError> {
    let old = Query::select()
        .column(Column::Id)
        .from(Entity)
        .and_where(Column::RequestId.is_not_null())
        .and_where(Expr::col(Column::CreatedAt).lt(clock::start_plus(conn, -limits::REQUEST_ID_SECONDS)))
        .limit(limit)
        .to_owned();
    let update = Query::update()
        .table(Entity)
        .value(Column::RequestId, None::<String>)
        .and_where(Column::Id.in_subquery(old))
        .to_owned();
    Ok(conn.execute(&update).await?.rows_affected())
}
