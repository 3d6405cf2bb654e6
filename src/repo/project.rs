//! Projects: the tenant every other row belongs to.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use entity::{
    project::{Column, Entity, Model},
    project_member,
};
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult,
    sea_query::{Expr, ExprTrait, LockType, Query, SelectStatement},
};
use uuid::Uuid;

use crate::{
    domain::{
        ids::{ProjectId, UserId},
        limits,
        page::{Page, Slice},
        permission::Standing,
        words::{CollaborationMode, MediaType, ProjectState, ReviewPolicy, Role},
    },
    repo::{
        Conn, RepoError, Scope, clock, keyset, scope,
        sql::{self, FilterBy, optional_word, value, word},
    },
};

/// A project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// What people call it.
    pub name: String,
    /// Whether it hands out work.
    pub state: ProjectState,
    /// What its assets show.
    pub media_type: MediaType,
    /// Slots of each task.
    pub overlap: i32,
    /// Whether submitted work is reviewed.
    pub review: ReviewPolicy,
    /// Whether leased tasks may be joined.
    pub collaboration: CollaborationMode,
    /// How long a lease runs, in seconds.
    pub lease_seconds: i32,
    /// At most this many slots of it one person holds at once.
    pub max_leases: i32,
    /// How long work that was sent back waits for its annotator, in seconds.
    pub rework_hold_seconds: i32,
    /// How many expiries of its leases quarantine a task.
    pub max_expiries: i32,
    /// How many event streams it has.
    pub streams: i32,
    /// The current template version; 0 before the first.
    pub template_version: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl TryFrom<Model> for Project {
    type Error = RepoError;

    fn try_from(row: Model) -> Result<Self, RepoError> {
        Ok(Self {
            id: ProjectId(row.id),
            state: word(&row.state)?,
            media_type: word(&row.media_type)?,
            review: word(&row.review)?,
            collaboration: word(&row.collaboration)?,
            name: row.name,
            overlap: row.overlap,
            lease_seconds: row.lease_seconds,
            max_leases: row.max_leases,
            rework_hold_seconds: row.rework_hold_seconds,
            max_expiries: row.max_expiries,
            streams: row.streams,
            template_version: row.template_version,
            created_at: row.created_at,
        })
    }
}

/// What a new project is made of.
#[derive(Clone, Debug)]
pub struct NewProject {
    /// What people call it.
    pub name: String,
    /// What its assets show.
    pub media_type: MediaType,
    /// Slots of each task.
    pub overlap: i32,
    /// Whether submitted work is reviewed.
    pub review: ReviewPolicy,
    /// Whether leased tasks may be joined.
    pub collaboration: CollaborationMode,
    /// How long a lease runs, in seconds.
    pub lease_seconds: i32,
}

/// What changes about a project; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct ProjectChanges {
    /// What people call it.
    pub name: Option<String>,
    /// Whether it hands out work.
    pub state: Option<ProjectState>,
    /// Whether submitted work is reviewed.
    pub review: Option<ReviewPolicy>,
    /// Whether leased tasks may be joined.
    pub collaboration: Option<CollaborationMode>,
    /// How long new leases run, in seconds.
    pub lease_seconds: Option<i32>,
    /// The current template version.
    pub template_version: Option<i32>,
}

/// At most this many leases of one person at once in a project.
const MAX_LEASES: i32 = 5;
/// How long a rejected slot waits for its annotator.
const REWORK_HOLD_SECONDS: i32 = 24 * 60 * 60;
/// How many expiries of a task's leases quarantine it.
const MAX_EXPIRIES: i32 = 5;

/// Adds a project, without members and streams.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn insert(conn: &impl Conn, by: UserId, new: NewProject) -> Result<Project, RepoError> {
    let insert = sql::insert_one(
        Entity,
        [
            (Column::Id, value(ProjectId::generate().0)),
            (Column::Name, value(new.name)),
            (Column::State, value(ProjectState::Active.as_str())),
            (Column::MediaType, value(new.media_type.as_str())),
            (Column::Overlap, value(new.overlap)),
            (Column::Review, value(new.review.as_str())),
            (Column::Collaboration, value(new.collaboration.as_str())),
            (Column::LeaseSeconds, value(new.lease_seconds)),
            (Column::MaxLeases, value(MAX_LEASES)),
            (Column::ReworkHoldSeconds, value(REWORK_HOLD_SECONDS)),
            (Column::MaxExpiries, value(MAX_EXPIRIES)),
            (Column::Streams, value(limits::STREAMS)),
            (Column::TemplateVersion, value(0)),
            (Column::CreatedBy, value(by.0)),
            (Column::CreatedAt, clock::now(conn)),
            (Column::UpdatedAt, clock::now(conn)),
        ],
    )
    .returning_all()
    .to_owned();
    sql::one::<Model, _>(conn, &insert).await?.ok_or(RepoError::NotFound)
}

/// Changes a project that the caller has locked.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn update(conn: &impl Conn, id: ProjectId, changes: ProjectChanges) -> Result<Project, RepoError> {
    let mut update = Query::update();
    update.table(Entity).and_where(Column::Id.eq(id.0)).value(Column::UpdatedAt, clock::now(conn)).returning_all();
    if let Some(name) = changes.name {
        update.value(Column::Name, name);
    }
    if let Some(state) = changes.state {
        update.value(Column::State, state.as_str());
    }
    if let Some(review) = changes.review {
        update.value(Column::Review, review.as_str());
    }
    if let Some(collaboration) = changes.collaboration {
        update.value(Column::Collaboration, collaboration.as_str());
    }
    if let Some(lease_seconds) = changes.lease_seconds {
        update.value(Column::LeaseSeconds, lease_seconds);
    }
    if let Some(version) = changes.template_version {
        update.value(Column::TemplateVersion, version);
    }
    sql::one::<Model, _>(conn, &update).await?.ok_or(RepoError::NotFound)
}

/// A visible project and what the asker is in it.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find(conn: &impl Conn, scope: Scope, id: ProjectId) -> Result<Option<(Project, Standing)>, RepoError> {
    one_with_standing(conn, scope, with_role(scope, id)).await
}

/// As [`find`], holding the project's row until the transaction ends: settings and templates change one after another.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn lock(conn: &impl Conn, scope: Scope, id: ProjectId) -> Result<Option<(Project, Standing)>, RepoError> {
    hold(conn, id, LockType::NoKeyUpdate).await?;
    find(conn, scope, id).await
}

/// As [`find`], keeping settings and template as they are until the transaction ends, beside others who do the same.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn share(conn: &impl Conn, scope: Scope, id: ProjectId) -> Result<Option<(Project, Standing)>, RepoError> {
    hold(conn, id, LockType::Share).await?;
    find(conn, scope, id).await
}

/// Locks the project's row before anything is read: a statement that waits for a lock reads the locked row anew, but its
/// sub-selects, such as the asker's role, as they were before it waited.
async fn hold(conn: &impl Conn, id: ProjectId, lock: LockType) -> Result<(), RepoError> {
    let select = Query::select().column(Column::Id).from(Entity).and_where(Column::Id.eq(id.0)).lock(lock).to_owned();
    conn.query_one(&select).await?;
    Ok(())
}

fn with_role(scope: Scope, id: ProjectId) -> SelectStatement {
    let role = Query::select()
        .column(project_member::Column::Role)
        .from(project_member::Entity)
        .and_where(Expr::col((project_member::Entity, project_member::Column::ProjectId)).equals((Entity, Column::Id)))
        .and_where(project_member::Column::UserId.eq(scope.user.0))
        .to_owned();
    Entity::find()
        .filter_by(scope::visible(scope, Column::Id).add(Column::Id.eq(id.0)))
        .expr_as(Expr::SubQuery(None, Box::new(role.into())), "viewer_role")
        .to_owned()
}

async fn one_with_standing(
    conn: &impl Conn,
    scope: Scope,
    select: SelectStatement,
) -> Result<Option<(Project, Standing)>, RepoError> {
    let Some(row) = conn.query_one(&select).await? else { return Ok(None) };
    let role: Option<String> = row.try_get("", "viewer_role")?;
    let role = optional_word::<Role>(role.as_deref())?;
    let standing = if scope.admin { Some(Standing::Admin) } else { role.map(Standing::Member) };
    let project = Model::from_query_result(&row, "")?.try_into()?;
    Ok(standing.map(|standing| (project, standing)))
}

/// Those of `ids` the asker may see.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_visible(conn: &impl Conn, scope: Scope, ids: &[ProjectId]) -> Result<Vec<Project>, RepoError> {
    let among = Column::Id.is_in(ids.iter().map(|id| id.0));
    sql::all::<Model, _>(conn, &Entity::find().filter_by(scope::visible(scope, Column::Id).add(among))).await
}

/// Projects by id, for edges from rows the asker may see.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_all(conn: &impl Conn, ids: &[ProjectId]) -> Result<HashMap<ProjectId, Project>, RepoError> {
    let ids = ids.iter().map(|id| id.0);
    let projects: Vec<Project> = sql::all::<Model, _>(conn, &Entity::find().filter_by(Column::Id.is_in(ids))).await?;
    Ok(projects.into_iter().map(|project| (project.id, project)).collect())
}

/// One page of the visible projects by id.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn page(conn: &impl Conn, scope: Scope, page: &Page<Uuid>) -> Result<Slice<Project>, RepoError> {
    let select = Entity::find().filter_by(scope::visible(scope, Column::Id));
    let page = keyset::bind(page, |id| [id.into()]);
    keyset::slice::<Model, _, 1>(conn, select, [keyset::ascending(Column::Id)], page).await
}

/// How many projects are visible, up to the counting limit.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn count(conn: &impl Conn, scope: Scope) -> Result<Option<u64>, RepoError> {
    let select = Entity::find().filter_by(scope::visible(scope, Column::Id));
    sql::count_up_to(conn, select, limits::TOTAL_COUNT).await
}
