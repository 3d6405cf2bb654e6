//! Jobs: slow work that outlives its request. A runner holds a job under a lease of its own; every step it writes says that
//! it still holds it, so that a job taken over, or cancelled, is not written by two.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use entity::job::{Column, Entity, Model};
use entity::{job_checkpoint, task};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryTrait,
    sea_query::{CommonTableExpression, Expr, ExprTrait, LockBehavior, LockType, Order, Query, WithClause},
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    domain::{
        ids::{JobId, ProjectId, UserId},
        limits,
        page::{Page, Slice},
        words::{JobKind, JobState, JobStep},
    },
    repo::{
        Conn, RepoError, Scope, clock, keyset, scope,
        sql::{self, FilterBy, is, json, optional_word, value, word},
    },
};

/// Slow work: an import or an export.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// In which project.
    pub project: ProjectId,
    /// What it does.
    pub kind: JobKind,
    /// How it stands.
    pub state: JobState,
    /// What an import does now, or did last.
    pub step: Option<JobStep>,
    /// What it was asked to do.
    pub parameters: Value,
    /// Records done in this step.
    pub done: i64,
    /// Records in all, where that is known.
    pub total: Option<i64>,
    /// How it ended, for people.
    pub message: Option<String>,
    /// Where its result is in the storage.
    pub result_key: Option<String>,
    /// Where the list of its errors is in the storage.
    pub errors_key: Option<String>,
    /// What the format could not carry.
    pub losses: Vec<String>,
    /// How often it was taken up.
    pub attempts: i32,
    /// Who asked for it.
    pub by: UserId,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

impl TryFrom<Model> for Job {
    type Error = RepoError;

    fn try_from(row: Model) -> Result<Self, RepoError> {
        Ok(Self {
            id: JobId(row.id),
            project: ProjectId(row.project_id),
            kind: word(&row.kind)?,
            state: word(&row.state)?,
            step: optional_word(row.step.as_deref())?,
            parameters: row.parameters,
            done: row.done,
            total: row.total,
            message: row.message,
            result_key: row.result_key,
            errors_key: row.errors_key,
            losses: json(row.losses)?,
            attempts: row.attempts,
            by: UserId(row.created_by),
            created_at: row.created_at,
            ended_at: row.ended_at,
        })
    }
}

/// What a job is asked to do.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// In which project.
    pub project: ProjectId,
    /// What it does.
    pub kind: JobKind,
    /// Its parameters.
    pub parameters: Value,
    /// Who asks.
    pub by: UserId,
}

/// Adds a job that waits.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn insert(conn: &impl Conn, new: NewJob) -> Result<Job, RepoError> {
    let insert = sql::insert_one(
        Entity,
        [
            (Column::Id, value(JobId::generate().0)),
            (Column::ProjectId, value(new.project.0)),
            (Column::Kind, value(new.kind.as_str())),
            (Column::State, value(JobState::Queued.as_str())),
            (Column::Parameters, value(new.parameters)),
            (Column::Done, value(0_i64)),
            (Column::Losses, value(Value::Array(Vec::new()))),
            (Column::CreatedBy, value(new.by.0)),
            (Column::CreatedAt, clock::now(conn)),
        ],
    )
    .returning_all()
    .to_owned();
    sql::one::<Model, _>(conn, &insert).await?.ok_or(RepoError::NotFound)
}

/// How many jobs of a project wait or run.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn count_open(conn: &impl Conn, project: ProjectId) -> Result<u64, RepoError> {
    let open = Entity::find().filter_by(Column::ProjectId.eq(project.0)).and_where(is_open()).to_owned();
    Ok(sql::count_up_to(conn, open, limits::OPEN_JOBS).await?.unwrap_or(limits::OPEN_JOBS + 1))
}

fn is_open() -> Expr {
    is(Column::State, JobState::Queued.as_str()).or(is(Column::State, JobState::Running.as_str()))
}

/// Those of `ids` in projects that the asker manages.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_managed(conn: &impl Conn, scope: Scope, ids: &[JobId]) -> Result<Vec<Job>, RepoError> {
    let managed = scope::managed(scope, Column::ProjectId).add(Column::Id.is_in(ids.iter().map(|id| id.0)));
    sql::all::<Model, _>(conn, &Entity::find().filter_by(managed)).await
}

/// A visible job.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_visible(conn: &impl Conn, scope: Scope, id: JobId) -> Result<Option<Job>, RepoError> {
    let visible = scope::visible(scope, Column::ProjectId).add(Column::Id.eq(id.0));
    sql::one::<Model, _>(conn, &Entity::find().filter_by(visible)).await
}

/// A visible job, held until the transaction ends.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn lock(conn: &impl Conn, scope: Scope, id: JobId) -> Result<Option<Job>, RepoError> {
    let visible = scope::visible(scope, Column::ProjectId).add(Column::Id.eq(id.0));
    sql::one::<Model, _>(conn, Entity::find().filter_by(visible).lock(LockType::NoKeyUpdate)).await
}

/// A job whatever project it is of: for its runner, and for a URL whose signature already says that it may be used.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find(conn: &impl Conn, id: JobId) -> Result<Option<Job>, RepoError> {
    sql::one::<Model, _>(conn, &Entity::find().filter_by(Column::Id.eq(id.0))).await
}

/// The same page of the jobs of many projects, oldest first.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn pages(
    conn: &impl Conn,
    projects: &[ProjectId],
    page: &Page<Uuid>,
) -> Result<HashMap<ProjectId, Slice<Job>>, RepoError> {
    let page = keyset::bind(page, |id| [id.into()]);
    let keys = [keyset::ascending(Column::Id)];
    let found = keyset::slices::<Model, _, 1>(conn, Entity::find().into_query(), parents(projects), keys, page);
    Ok(found.await?.into_iter().map(|(id, slice)| (ProjectId(id), slice)).collect())
}

/// How many jobs each project has, up to the counting limit.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn counts(conn: &impl Conn, projects: &[ProjectId]) -> Result<HashMap<ProjectId, Option<u64>>, RepoError> {
    let found = keyset::counts(conn, Entity::find().into_query(), parents(projects)).await?;
    Ok(found.into_iter().map(|(id, count)| (ProjectId(id), count)).collect())
}

fn parents(projects: &[ProjectId]) -> keyset::Parents {
    keyset::Parents::new(Column::ProjectId, projects.iter().map(|id| id.0))
}

/// Takes the job that waits longest, or that its runner left; of one id only, when that is given. An import waits for
/// another one of its project, and lets what is behind it pass.
///
/// # Errors
/// [`RepoError`] of the database; [`RepoError::Duplicate`] when another import of the project was taken meanwhile.
pub async fn take(conn: &impl Conn, runner: &str, only: Option<JobId>) -> Result<Option<Job>, RepoError> {
    let left =
        is(Column::State, JobState::Running.as_str()).and(Expr::col(Column::RunnerExpiresAt).lte(clock::start(conn)));
    let other = Query::select()
        .expr(Expr::cust("1"))
        .from_as(Entity, "other")
        .and_where(Expr::col(("other", Column::ProjectId)).equals((Entity, Column::ProjectId)))
        .and_where(is(("other", Column::Kind), JobKind::Import.as_str()))
        .and_where(is(("other", Column::State), JobState::Running.as_str()))
        .to_owned();
    let free = is(Column::Kind, JobKind::Export.as_str()).or(Expr::exists(other).not());
    let mut pick = Query::select();
    pick.column(Column::Id)
        .from(Entity)
        .and_where(is(Column::State, JobState::Queued.as_str()).and(free).or(left))
        .order_by(Column::CreatedAt, Order::Asc)
        .limit(1);
    if let Some(id) = only {
        pick.and_where(Column::Id.eq(id.0));
    }
    // There is nothing nearly always: that is found out without a write.
    if conn.query_one(&pick).await?.is_none() {
        return Ok(None);
    }
    if !conn.is_sqlite() {
        pick.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    }
    let update = Query::update()
        .table(Entity)
        .value(Column::State, JobState::Running.as_str())
        .value(Column::Attempts, Expr::col(Column::Attempts).add(1))
        .value(Column::Runner, runner)
        .value(Column::RunnerExpiresAt, lease_end(conn))
        .value(Column::StartedAt, Expr::col(Column::StartedAt).if_null(clock::now(conn)))
        // Picked once: joined, the pick could be made again for each row, and pass over what it has just taken.
        .and_where(Expr::col(Column::Id).eq(Expr::SubQuery(None, Box::new(pick.into()))))
        .returning_all()
        .to_owned();
    sql::one::<Model, _>(conn, &update).await
}

fn lease_end(conn: &impl Conn) -> Expr {
    clock::now_plus(conn, i64::try_from(limits::JOB_LEASE.as_secs()).unwrap_or(i64::MAX))
}

/// How far a running job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What an import does now.
    pub step: Option<JobStep>,
    /// Records done in this step.
    pub done: i64,
    /// Records in all, where that is known.
    pub total: Option<i64>,
}

/// Writes how far the runner has come and renews its lease; whether it still holds the job, whose row stays locked until
/// the transaction ends.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn advance(conn: &impl Conn, id: JobId, runner: &str, progress: Progress) -> Result<bool, RepoError> {
    let update = Query::update()
        .table(Entity)
        .value(Column::Step, progress.step.map(JobStep::as_str))
        .value(Column::Done, progress.done)
        .value(Column::Total, progress.total)
        .value(Column::RunnerExpiresAt, lease_end(conn))
        .and_where(held_by(id, runner))
        .to_owned();
    Ok(conn.execute(&update).await?.rows_affected() == 1)
}

/// Renews the runner's lease: whether it still holds the job.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn renew(conn: &impl Conn, id: JobId, runner: &str) -> Result<bool, RepoError> {
    let update = Query::update()
        .table(Entity)
        .value(Column::RunnerExpiresAt, lease_end(conn))
        .and_where(held_by(id, runner))
        .to_owned();
    Ok(conn.execute(&update).await?.rows_affected() == 1)
}

fn held_by(id: JobId, runner: &str) -> Expr {
    let held = Column::Id.eq(id.0).and(Column::Runner.eq(runner));
    held.and(is(Column::State, JobState::Running.as_str()))
}

/// Writes what the format could not carry, if the runner still holds the job: whether it does.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn note_losses(conn: &impl Conn, id: JobId, runner: &str, losses: Vec<String>) -> Result<bool, RepoError> {
    let update = Query::update()
        .table(Entity)
        .value(Column::Losses, Value::from(losses))
        .and_where(held_by(id, runner))
        .to_owned();
    Ok(conn.execute(&update).await?.rows_affected() == 1)
}

/// How a job ended.
#[derive(Clone, Debug)]
pub struct End {
    /// SUCCEEDED or FAILED.
    pub state: JobState,
    /// How, for people.
    pub message: String,
    /// Where its result is in the storage.
    pub result_key: Option<String>,
    /// Where the list of its errors is in the storage.
    pub errors_key: Option<String>,
}

/// Ends a job, if the runner still holds it: whether it did.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn end(conn: &impl Conn, id: JobId, runner: &str, end: End) -> Result<bool, RepoError> {
    let update = Query::update()
        .table(Entity)
        .value(Column::State, end.state.as_str())
        .value(Column::Message, end.message)
        .value(Column::ResultKey, end.result_key)
        .value(Column::ErrorsKey, end.errors_key)
        .value(Column::EndedAt, clock::now(conn))
        .value(Column::Runner, None::<String>)
        .value(Column::RunnerExpiresAt, None::<DateTime<Utc>>)
        .and_where(held_by(id, runner))
        .to_owned();
    Ok(conn.execute(&update).await?.rows_affected() == 1)
}

/// Gives a running job back, so that the next runner takes it up at once.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn give_back(conn: &impl Conn, id: JobId, runner: &str) -> Result<(), RepoError> {
    let update = Query::update()
        .table(Entity)
        .value(Column::RunnerExpiresAt, clock::start(conn))
        .and_where(held_by(id, runner))
        .to_owned();
    conn.execute(&update).await?;
    Ok(())
}

/// Ends a locked job because somebody asked for it.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn cancel(conn: &impl Conn, id: JobId) -> Result<Job, RepoError> {
    let update = Query::update()
        .table(Entity)
        .value(Column::State, JobState::Cancelled.as_str())
        .value(Column::Message, "cancelled")
        .value(Column::EndedAt, clock::now(conn))
        .value(Column::Runner, None::<String>)
        .value(Column::RunnerExpiresAt, None::<DateTime<Utc>>)
        .and_where(Column::Id.eq(id.0))
        .returning_all()
        .to_owned();
    sql::one::<Model, _>(conn, &update).await?.ok_or(RepoError::NotFound)
}

/// Keeps where a running job has come to, so that whoever takes it up goes on from there.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn insert_checkpoint(conn: &impl Conn, job: JobId, number: i32, state: Value) -> Result<(), RepoError> {
    use job_checkpoint::Column as C;
    let row =
        [(C::JobId, value(job.0)), (C::Number, value(number)), (C::State, value(state)), (C::At, clock::now(conn))];
    conn.execute(&sql::insert_one(job_checkpoint::Entity, row)).await?;
    Ok(())
}

/// The last checkpoint of a job: its number and what it keeps.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn last_checkpoint(conn: &impl Conn, job: JobId) -> Result<Option<(i32, Value)>, RepoError> {
    use job_checkpoint::Column as C;
    let select = Query::select()
        .columns([C::Number, C::State])
        .from(job_checkpoint::Entity)
        .and_where(C::JobId.eq(job.0))
        .order_by(C::Number, Order::Desc)
        .limit(1)
        .to_owned();
    let row = conn.query_one(&select).await?;
    row.map(|row| Ok((row.try_get("", "number")?, row.try_get("", "state")?))).transpose()
}

/// Deletes hidden tasks of imports that ended before they showed any, at most `limit`; gives how many.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn delete_hidden(conn: &impl Conn, limit: u64) -> Result<u64, RepoError> {
    let ended = [JobState::Failed, JobState::Cancelled].map(JobState::as_str);
    // Of one that failed while it showed its tasks some are seen: the others are kept.
    let shows = is(Column::Step, JobStep::Show.as_str());
    let ended = Query::select()
        .column(Column::Id)
        .from(Entity)
        .and_where(Column::State.is_in(ended))
        .and_where(Column::Step.is_null().or(shows.not()))
        .to_owned();
    let mut hidden = Query::select();
    hidden
        .column(task::Column::Id)
        .from(task::Entity)
        .and_where(task::Column::ImportJob.is_not_null())
        .and_where(task::Column::ImportJob.in_subquery(ended))
        .limit(limit);
    if !conn.is_sqlite() {
        hidden.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    }
    // Picked once: joined, the pick could be made again for each row, and pass over what it has just taken.
    let pick = CommonTableExpression::new().table_name("pick").query(hidden).to_owned();
    let picked = Query::select().column("id").from("pick").to_owned();
    let delete = Query::delete().from_table(task::Entity).and_where(task::Column::Id.in_subquery(picked)).to_owned();
    Ok(conn.execute(&delete.with(WithClause::new().cte(pick).to_owned())).await?.rows_affected())
}
