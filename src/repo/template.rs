//! Published template versions; a row never changes.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use entity::template::{Column, Entity, Model};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryTrait,
    sea_query::{ExprTrait, Order},
};

use crate::{
    domain::{
        ids::{ProjectId, TemplateId, UserId},
        page::{Page, Slice},
        template::Tool,
        words::MediaType,
    },
    repo::{
        Conn, RepoError, Scope, clock, keyset, scope,
        sql::{self, FilterBy, json, value, word},
    },
};

/// One version of a project's ontology.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// Its id.
    pub id: TemplateId,
    /// Whose it is.
    pub project: ProjectId,
    /// From 1, in the order of publishing.
    pub version: i32,
    /// What people call it.
    pub name: String,
    /// What its assets show.
    pub media_type: MediaType,
    /// What may be drawn.
    pub tools: Vec<Tool>,
    /// When it was published.
    pub published_at: DateTime<Utc>,
    /// By whom.
    pub published_by: Option<UserId>,
}

impl TryFrom<Model> for Template {
    type Error = RepoError;

    fn try_from(row: Model) -> Result<Self, RepoError> {
        Ok(Self {
            id: TemplateId(row.id),
            project: ProjectId(row.project_id),
            version: row.version,
            name: row.name,
            media_type: word(&row.media_type)?,
            tools: json(row.tools)?,
            published_at: row.published_at,
            published_by: row.published_by.map(UserId),
        })
    }
}

/// What a new version is made of.
#[derive(Clone, Debug)]
pub struct NewTemplate {
    /// Whose it is.
    pub project: ProjectId,
    /// One more than the current one of the locked project.
    pub version: i32,
    /// What people call it.
    pub name: String,
    /// What its assets show.
    pub media_type: MediaType,
    /// What may be drawn, as JSON.
    pub tools: serde_json::Value,
}

/// Adds a version.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn insert(conn: &impl Conn, by: UserId, new: NewTemplate) -> Result<Template, RepoError> {
    let insert = sql::insert_one(
        Entity,
        [
            (Column::Id, value(TemplateId::generate().0)),
            (Column::ProjectId, value(new.project.0)),
            (Column::Version, value(new.version)),
            (Column::Name, value(new.name)),
            (Column::MediaType, value(new.media_type.as_str())),
            (Column::Tools, value(new.tools)),
            (Column::PublishedBy, value(by.0)),
            (Column::PublishedAt, clock::now(conn)),
        ],
    )
    .returning_all()
    .to_owned();
    sql::one::<Model, _>(conn, &insert).await?.ok_or(RepoError::NotFound)
}

/// The tools of all versions of a project's template, those of the newest first.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn all_tools(conn: &impl Conn, project: ProjectId) -> Result<Vec<Tool>, RepoError> {
    let select =
        Entity::find().filter_by(Column::ProjectId.eq(project.0)).order_by(Column::Version, Order::Desc).to_owned();
    let templates = sql::all::<Model, Template>(conn, &select).await?;
    Ok(templates.into_iter().flat_map(|template| template.tools).collect())
}

/// Those of `ids` the asker may see.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_visible(conn: &impl Conn, scope: Scope, ids: &[TemplateId]) -> Result<Vec<Template>, RepoError> {
    let among = Column::Id.is_in(ids.iter().map(|id| id.0));
    let select = Entity::find().filter_by(scope::visible(scope, Column::ProjectId).add(among));
    sql::all::<Model, _>(conn, &select).await
}

/// The version of this number of a project the asker may see.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_version(conn: &impl Conn, project: ProjectId, version: i32) -> Result<Option<Template>, RepoError> {
    let one = Column::ProjectId.eq(project.0).and(Column::Version.eq(version));
    sql::one::<Model, _>(conn, &Entity::find().filter_by(one)).await
}

/// Template versions by id, for edges from rows the asker may see.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_all(conn: &impl Conn, ids: &[TemplateId]) -> Result<HashMap<TemplateId, Template>, RepoError> {
    let ids = ids.iter().map(|id| id.0);
    let templates: Vec<Template> = sql::all::<Model, _>(conn, &Entity::find().filter_by(Column::Id.is_in(ids))).await?;
    Ok(templates.into_iter().map(|template| (template.id, template)).collect())
}

/// The current versions of projects the asker may see.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn current(
    conn: &impl Conn,
    projects: &[(ProjectId, i32)],
) -> Result<HashMap<ProjectId, Template>, RepoError> {
    let any = projects.iter().fold(Condition::any(), |any, (project, version)| {
        any.add(Column::ProjectId.eq(project.0).and(Column::Version.eq(*version)))
    });
    let templates: Vec<Template> = sql::all::<Model, _>(conn, &Entity::find().filter_by(any)).await?;
    Ok(templates.into_iter().map(|template| (template.project, template)).collect())
}

/// The same page of the versions of many projects, newest first.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn pages(
    conn: &impl Conn,
    projects: &[ProjectId],
    page: &Page<i32>,
) -> Result<HashMap<ProjectId, Slice<Template>>, RepoError> {
    let page = keyset::bind(page, |version| [version.into()]);
    let parents = keyset::Parents::new(Column::ProjectId, projects.iter().map(|id| id.0));
    let keys = [keyset::descending(Column::Version)];
    let found = keyset::slices::<Model, _, 1>(conn, Entity::find().into_query(), parents, keys, page).await?;
    Ok(found.into_iter().map(|(id, slice)| (ProjectId(id), slice)).collect())
}

/// How many versions each project has, up to the counting limit.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn counts(conn: &impl Conn, projects: &[ProjectId]) -> Result<HashMap<ProjectId, Option<u64>>, RepoError> {
    let parents = keyset::Parents::new(Column::ProjectId, projects.iter().map(|id| id.0));
    let found = keyset::counts(conn, Entity::find().into_query(), parents).await?;
    Ok(found.into_iter().map(|(id, count)| (ProjectId(id), count)).collect())
}
