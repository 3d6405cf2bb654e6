//! Who is in a project, with which role.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use entity::{
    project_member::{Column, Entity, Model},
    user,
};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryTrait,
    sea_query::{Expr, ExprTrait, LockType, OnConflict, Query},
};
use uuid::Uuid;

use crate::{
    domain::{
        ids::{ProjectId, UserId},
        page::{Page, Slice},
        permission::Standing,
        words::Role,
    },
    repo::{
        Conn, RepoError, clock, keyset,
        sql::{self, FilterBy, optional_word, value, word},
    },
};

/// One person in one project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The project.
    pub project: ProjectId,
    /// The person.
    pub user: UserId,
    /// What the person may do.
    pub role: Role,
    /// Since when the person is in the project.
    pub since: DateTime<Utc>,
}

impl TryFrom<Model> for Member {
    type Error = RepoError;

    fn try_from(row: Model) -> Result<Self, RepoError> {
        let Model { project_id, user_id, role, since } = row;
        Ok(Self { project: ProjectId(project_id), user: UserId(user_id), role: word(&role)?, since })
    }
}

/// Adds a member or changes the role of one.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn set(conn: &impl Conn, project: ProjectId, user: UserId, role: Role) -> Result<Member, RepoError> {
    let again = OnConflict::columns([Column::ProjectId, Column::UserId]).update_column(Column::Role).to_owned();
    let upsert = sql::insert_one(
        Entity,
        [
            (Column::ProjectId, value(project.0)),
            (Column::UserId, value(user.0)),
            (Column::Role, value(role.as_str())),
            (Column::Since, clock::now(conn)),
        ],
    )
    .on_conflict(again)
    .returning_all()
    .to_owned();
    sql::one::<Model, _>(conn, &upsert).await?.ok_or(RepoError::NotFound)
}

/// What each of these people is in the project named with them, whether disabled or not; who is neither a member nor an
/// admin is left out.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn standings(
    conn: &impl Conn,
    wanted: &[(ProjectId, UserId)],
) -> Result<HashMap<(ProjectId, UserId), Standing>, RepoError> {
    let (project_id, user_id) = (Expr::col(("wanted", "column1")), Expr::col(("wanted", "column2")));
    let membership = Expr::col((Entity, Column::ProjectId))
        .eq(project_id.clone())
        .and(Expr::col((Entity, Column::UserId)).eq(user_id.clone()));
    let select = Query::select()
        .expr_as(project_id, "project_id")
        .columns([(user::Entity, user::Column::Id), (user::Entity, user::Column::Admin)])
        .column((Entity, Column::Role))
        .from_values(wanted.iter().map(|(project, user)| (project.0, user.0)), "wanted")
        .inner_join(user::Entity, Expr::col((user::Entity, user::Column::Id)).eq(user_id))
        .left_join(Entity, membership)
        .to_owned();
    let mut standings = HashMap::with_capacity(wanted.len());
    for row in conn.query_all(&select).await? {
        let role: Option<String> = row.try_get("", "role")?;
        let role = optional_word::<Role>(role.as_deref())?;
        let standing = if row.try_get("", "admin")? { Some(Standing::Admin) } else { role.map(Standing::Member) };
        let key = (ProjectId(row.try_get("", "project_id")?), UserId(row.try_get("", "id")?));
        standings.extend(standing.map(|standing| (key, standing)));
    }
    Ok(standings)
}

/// Takes a member out.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn remove(conn: &impl Conn, project: ProjectId, user: UserId) -> Result<(), RepoError> {
    let delete = Query::delete()
        .from_table(Entity)
        .and_where(Column::ProjectId.eq(project.0))
        .and_where(Column::UserId.eq(user.0))
        .to_owned();
    conn.execute(&delete).await?;
    Ok(())
}

/// The membership of `user`, held until the transaction ends.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn lock(conn: &impl Conn, project: ProjectId, user: UserId) -> Result<Option<Member>, RepoError> {
    let select = Entity::find()
        .filter_by(Column::ProjectId.eq(project.0).and(Column::UserId.eq(user.0)))
        .lock(LockType::Update)
        .to_owned();
    sql::one::<Model, _>(conn, &select).await
}

/// The roles of `user` in those of `projects` where the user is a member.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn roles(
    conn: &impl Conn,
    user: UserId,
    projects: &[ProjectId],
) -> Result<HashMap<ProjectId, Role>, RepoError> {
    let projects = projects.iter().map(|id| id.0);
    let select = Entity::find().filter_by(Column::UserId.eq(user.0).and(Column::ProjectId.is_in(projects)));
    let members: Vec<Member> = sql::all::<Model, _>(conn, &select).await?;
    Ok(members.into_iter().map(|member| (member.project, member.role)).collect())
}

/// The same page of the members of many projects, by user id.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn pages(
    conn: &impl Conn,
    projects: &[ProjectId],
    page: &Page<Uuid>,
) -> Result<HashMap<ProjectId, Slice<Member>>, RepoError> {
    let page = keyset::bind(page, |id| [id.into()]);
    let parents = keyset::Parents::new(Column::ProjectId, projects.iter().map(|id| id.0));
    let found = keyset::slices::<Model, _, 1>(
        conn,
        Entity::find().into_query(),
        parents,
        [keyset::ascending(Column::UserId)],
        page,
    );
    Ok(found.await?.into_iter().map(|(id, slice)| (ProjectId(id), slice)).collect())
}

/// How many members each project has, up to the counting limit.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn counts(conn: &impl Conn, projects: &[ProjectId]) -> Result<HashMap<ProjectId, Option<u64>>, RepoError> {
    let parents = keyset::Parents::new(Column::ProjectId, projects.iter().map(|id| id.0));
    let found = keyset::counts(conn, Entity::find().into_query(), parents).await?;
    Ok(found.into_iter().map(|(id, count)| (ProjectId(id), count)).collect())
}
