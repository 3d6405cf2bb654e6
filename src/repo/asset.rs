//! Stored objects: what was declared when the upload was asked for, and what the bytes turned out to be.

use std::collections::{HashMap, HashSet};

use entity::{
    asset::{Column, Entity, Model},
    task_asset,
};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryTrait,
    sea_query::{Expr, ExprTrait, LockType, Order, Query, SelectStatement},
};
use uuid::Uuid;

use crate::{
    domain::{
        ids::{AssetId, ProjectId, TaskId, UserId},
        page::{Page, Slice},
        words::{AssetState, MediaType},
    },
    repo::{
        Conn, RepoError, Scope, clock, keyset, scope,
        sql::{self, FilterBy, optional_word, value, word},
    },
};

/// A stored object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Its id.
    pub id: AssetId,
    /// Whose it is.
    pub project: ProjectId,
    /// Where its upload stands.
    pub state: AssetState,
    /// As the uploader called it.
    pub file_name: String,
    /// Where the bytes are in the storage.
    pub storage_key: String,
    /// Type, size and hash the uploader announced.
    pub declared: Declared,
    /// What it shows, by its bytes.
    pub media_type: Option<MediaType>,
    /// MIME type, by its bytes.
    pub content_type: Option<String>,
    /// Bytes stored.
    pub size_bytes: Option<i64>,
    /// SHA-256 of the bytes, hexadecimal.
    pub sha256: Option<String>,
    /// Pixels across, after EXIF orientation.
    pub width_px: Option<i32>,
    /// Pixels down, after EXIF orientation.
    pub height_px: Option<i32>,
    /// Why it was rejected.
    pub reason: Option<String>,
}

/// What an uploader announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// MIME type.
    pub content_type: String,
    /// Bytes.
    pub size_bytes: i64,
    /// SHA-256, hexadecimal.
    pub sha256: Option<String>,
}

impl TryFrom<Model> for Asset {
    type Error = RepoError;

    fn try_from(row: Model) -> Result<Self, RepoError> {
        Ok(Self {
            id: AssetId(row.id),
            project: ProjectId(row.project_id),
            state: word(&row.state)?,
            file_name: row.file_name,
            storage_key: row.storage_key,
            declared: Declared {
                content_type: row.declared_content_type,
                size_bytes: row.declared_size_bytes,
                sha256: row.declared_sha256,
            },
            media_type: optional_word(row.media_type.as_deref())?,
            content_type: row.content_type,
            size_bytes: row.size_bytes,
            sha256: row.sha256,
            width_px: row.width,
            height_px: row.height,
            reason: row.reason,
        })
    }
}

/// A file about to be uploaded.
#[derive(Clone, Debug)]
pub struct NewAsset {
    /// Its id.
    pub id: AssetId,
    /// As the uploader calls it.
    pub file_name: String,
    /// Where the bytes will be in the storage.
    pub storage_key: String,
    /// What the uploader announces.
    pub declared: Declared,
}

/// What the bytes turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// Usable.
    Ready {
        /// What it shows; none for an archive.
        media_type: Option<MediaType>,
        /// MIME type.
        content_type: String,
        /// Bytes.
        size_bytes: i64,
        /// SHA-256, hexadecimal.
        sha256: String,
        /// Pixels across and down, after EXIF orientation.
        dimensions_px: Option<(i32, i32)>,
    },
    /// Refused, with a sentence that helps.
    Rejected(String),
}

/// Adds pending assets.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn insert(conn: &impl Conn, project: ProjectId, by: UserId, new: Vec<NewAsset>) -> Result<(), RepoError> {
    let columns = [
        Column::Id,
        Column::ProjectId,
        Column::State,
        Column::FileName,
        Column::StorageKey,
        Column::DeclaredContentType,
        Column::DeclaredSizeBytes,
        Column::DeclaredSha256,
        Column::CreatedBy,
        Column::CreatedAt,
    ];
    let rows = new.into_iter().map(|asset| {
        [
            value(asset.id.0),
            value(project.0),
            value(AssetState::Pending.as_str()),
            value(asset.file_name),
            value(asset.storage_key),
            value(asset.declared.content_type),
            value(asset.declared.size_bytes),
            value(asset.declared.sha256),
            value(by.0),
            clock::now(conn),
        ]
    });
    sql::insert_all(conn, Entity, columns, rows.collect()).await
}

/// An asset whatever project it is of: for a URL whose signature already says that it may be used.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_signed(conn: &impl Conn, id: AssetId) -> Result<Option<Asset>, RepoError> {
    sql::one::<Model, _>(conn, &Entity::find().filter_by(Column::Id.eq(id.0))).await
}

/// Visible assets by id.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_all(conn: &impl Conn, scope: Scope, ids: &[AssetId]) -> Result<HashMap<AssetId, Asset>, RepoError> {
    let assets: Vec<Asset> = sql::all::<Model, _>(conn, &of_scope(scope, ids)).await?;
    Ok(assets.into_iter().map(|asset| (asset.id, asset)).collect())
}

/// Visible assets by id, held until the transaction ends, in the order of their ids.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn lock_all(conn: &impl Conn, scope: Scope, ids: &[AssetId]) -> Result<HashMap<AssetId, Asset>, RepoError> {
    let select = of_scope(scope, ids).order_by(Column::Id, Order::Asc).lock(LockType::NoKeyUpdate).to_owned();
    let assets: Vec<Asset> = sql::all::<Model, _>(conn, &select).await?;
    Ok(assets.into_iter().map(|asset| (asset.id, asset)).collect())
}

/// What those of `ids` show that are READY assets of the project.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_ready(
    conn: &impl Conn,
    project: ProjectId,
    ids: &[AssetId],
) -> Result<HashMap<AssetId, Option<MediaType>>, RepoError> {
    let mut ready = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(sql::BOUND_VALUES - 2) {
        let select = Query::select()
            .columns([Column::Id, Column::MediaType])
            .from(Entity)
            .and_where(Column::ProjectId.eq(project.0))
            .and_where(Column::State.eq(AssetState::Ready.as_str()))
            .and_where(Column::Id.is_in(ids.iter().map(|id| id.0)))
            .to_owned();
        for row in conn.query_all(&select).await? {
            let media_type: Option<String> = row.try_get("", "media_type")?;
            ready.insert(AssetId(row.try_get("", "id")?), optional_word(media_type.as_deref())?);
        }
    }
    Ok(ready)
}

/// A READY asset as data sets find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// As its uploader called it.
    pub file_name: String,
    /// SHA-256 of its bytes, hexadecimal, in lower case.
    pub sha256: String,
    /// MIME type.
    pub content_type: String,
    /// What annotations of it are held against.
    pub asset: TaskAsset,
}

/// The READY assets of a project with one of these hashes or names, oldest first.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_named(
    conn: &impl Conn,
    project: ProjectId,
    hashes: &HashSet<String>,
    names: &HashSet<&str>,
) -> Result<Vec<Named>, RepoError> {
    let mut found = Vec::new();
    let hashes: Vec<&str> = hashes.iter().map(String::as_str).collect();
    let names: Vec<&str> = names.iter().copied().collect();
    for (column, texts) in [(Column::Sha256, hashes), (Column::FileName, names)] {
        for texts in texts.chunks(sql::BOUND_VALUES - 2) {
            let select = Entity::find()
                .filter_by(Column::ProjectId.eq(project.0).and(column.is_in(texts.iter().copied())))
                .and_where(sql::is(Column::State, AssetState::Ready.as_str()))
                .order_by(Column::Id, Order::Asc)
                .to_owned();
            for asset in sql::all::<Model, Asset>(conn, &select).await? {
                found.push(named(asset));
            }
        }
    }
    Ok(found)
}

fn named(asset: Asset) -> Named {
    Named {
        file_name: asset.file_name,
        sha256: asset.sha256.unwrap_or_default(),
        content_type: asset.content_type.unwrap_or_default(),
        asset: TaskAsset {
            id: asset.id,
            media_type: asset.media_type,
            width_px: asset.width_px,
            height_px: asset.height_px,
            storage_key: asset.storage_key,
        },
    }
}

/// The assets of tasks, in the order of each.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn named_of_tasks(conn: &impl Conn, tasks: &[TaskId]) -> Result<HashMap<TaskId, Vec<Named>>, RepoError> {
    let select = Entity::find()
        .into_query()
        .column((task_asset::Entity, task_asset::Column::TaskId))
        .inner_join(
            task_asset::Entity,
            Expr::col((task_asset::Entity, task_asset::Column::AssetId)).equals((Entity, Column::Id)),
        )
        .and_where(task_asset::Column::TaskId.is_in(tasks.iter().map(|id| id.0)))
        .order_by((task_asset::Entity, task_asset::Column::TaskId), Order::Asc)
        .order_by((task_asset::Entity, task_asset::Column::Position), Order::Asc)
        .to_owned();
    let mut found: HashMap<TaskId, Vec<Named>> = HashMap::new();
    for row in conn.query_all(&select).await? {
        let task = TaskId(row.try_get("", "task_id")?);
        let asset: Asset = <Model as sea_orm::FromQueryResult>::from_query_result(&row, "")?.try_into()?;
        found.entry(task).or_default().push(named(asset));
    }
    Ok(found)
}

/// Points a pending asset to the bytes that arrived for it, unless it moved on since it was read: whether it was.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn move_bytes(conn: &impl Conn, seen: &Asset, key: &str) -> Result<bool, RepoError> {
    let update = Query::update()
        .table(Entity)
        .value(Column::StorageKey, key)
        .and_where(Column::Id.eq(seen.id.0))
        .and_where(Column::State.eq(AssetState::Pending.as_str()))
        .and_where(Column::StorageKey.eq(&seen.storage_key))
        .to_owned();
    Ok(conn.execute(&update).await?.rows_affected() == 1)
}

/// Writes what the bytes of a pending asset turned out to be.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn complete(conn: &impl Conn, id: AssetId, completion: Completion) -> Result<Asset, RepoError> {
    let mut update = Query::update();
    update.table(Entity).and_where(Column::Id.eq(id.0)).value(Column::CompletedAt, clock::now(conn)).returning_all();
    match completion {
        Completion::Ready { media_type, content_type, size_bytes, sha256, dimensions_px } => {
            update
                .value(Column::State, AssetState::Ready.as_str())
                .value(Column::MediaType, media_type.map(MediaType::as_str))
                .value(Column::ContentType, content_type)
                .value(Column::SizeBytes, size_bytes)
                .value(Column::Sha256, sha256)
                .value(Column::Width, dimensions_px.map(|(width, _)| width))
                .value(Column::Height, dimensions_px.map(|(_, height)| height));
        }
        Completion::Rejected(reason) => {
            update.value(Column::State, AssetState::Rejected.as_str()).value(Column::Reason, reason);
        }
    }
    sql::one::<Model, _>(conn, &update).await?.ok_or(RepoError::NotFound)
}

/// What an annotation of a task is held against: one of its assets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskAsset {
    /// Its id.
    pub id: AssetId,
    /// What it shows, by its bytes.
    pub media_type: Option<MediaType>,
    /// Pixels across, after EXIF orientation.
    pub width_px: Option<i32>,
    /// Pixels down, after EXIF orientation.
    pub height_px: Option<i32>,
    /// Where the bytes are in the storage.
    pub storage_key: String,
}

/// The assets of one task the asker may see, in its order. They never change.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn of_task(conn: &impl Conn, task: TaskId) -> Result<Vec<TaskAsset>, RepoError> {
    let select = Query::select()
        .columns(
            [Column::Id, Column::MediaType, Column::Width, Column::Height, Column::StorageKey].map(|c| (Entity, c)),
        )
        .from(Entity)
        .inner_join(
            task_asset::Entity,
            Expr::col((task_asset::Entity, task_asset::Column::AssetId)).equals((Entity, Column::Id)),
        )
        .and_where(task_asset::Column::TaskId.eq(task.0))
        .order_by((task_asset::Entity, task_asset::Column::Position), Order::Asc)
        .to_owned();
    let rows = conn.query_all(&select).await?;
    let assets = rows.iter().map(|row| {
        let media_type: Option<String> = row.try_get("", "media_type")?;
        Ok(TaskAsset {
            id: AssetId(row.try_get("", "id")?),
            media_type: optional_word(media_type.as_deref())?,
            width_px: row.try_get("", "width")?,
            height_px: row.try_get("", "height")?,
            storage_key: row.try_get("", "storage_key")?,
        })
    });
    assets.collect()
}

/// The same page of the assets of many projects, by id.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn pages_of_projects(
    conn: &impl Conn,
    projects: &[ProjectId],
    page: &Page<Uuid>,
) -> Result<HashMap<ProjectId, Slice<Asset>>, RepoError> {
    let page = keyset::bind(page, |id| [id.into()]);
    let keys = [keyset::ascending(Column::Id)];
    let found = keyset::slices::<Model, _, 1>(conn, Entity::find().into_query(), in_projects(projects), keys, page);
    Ok(found.await?.into_iter().map(|(id, slice)| (ProjectId(id), slice)).collect())
}

/// How many assets each project has, up to the counting limit.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn counts_of_projects(
    conn: &impl Conn,
    projects: &[ProjectId],
) -> Result<HashMap<ProjectId, Option<u64>>, RepoError> {
    let found = keyset::counts(conn, Entity::find().into_query(), in_projects(projects)).await?;
    Ok(found.into_iter().map(|(id, count)| (ProjectId(id), count)).collect())
}

fn in_projects(projects: &[ProjectId]) -> keyset::Parents {
    keyset::Parents::new(Column::ProjectId, projects.iter().map(|id| id.0))
}

/// An asset at its place in a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedAsset {
    /// From 0.
    pub position: i32,
    /// The asset.
    pub asset: Asset,
}

#[derive(sea_orm::FromQueryResult)]
struct PlacedRow {
    position: i32,
    #[sea_orm(nested)]
    asset: Model,
}

impl TryFrom<PlacedRow> for PlacedAsset {
    type Error = RepoError;

    fn try_from(row: PlacedRow) -> Result<Self, RepoError> {
        Ok(Self { position: row.position, asset: row.asset.try_into()? })
    }
}

/// The same page of the assets of many tasks the asker may see, in the order of the task.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn pages_of_tasks(
    conn: &impl Conn,
    tasks: &[TaskId],
    page: &Page<i32>,
) -> Result<HashMap<TaskId, Slice<PlacedAsset>>, RepoError> {
    let page = keyset::bind(page, |position| [position.into()]);
    let select = Entity::find()
        .into_query()
        .column((task_asset::Entity, task_asset::Column::Position))
        .inner_join(
            task_asset::Entity,
            Expr::col((task_asset::Entity, task_asset::Column::AssetId)).equals((Entity, Column::Id)),
        )
        .to_owned();
    let keys = [keyset::ascending(task_asset::Column::Position)];
    let found = keyset::slices::<PlacedRow, _, 1>(conn, select, in_tasks(tasks), keys, page).await?;
    Ok(found.into_iter().map(|(id, slice)| (TaskId(id), slice)).collect())
}

/// How many assets each task has.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn counts_of_tasks(conn: &impl Conn, tasks: &[TaskId]) -> Result<HashMap<TaskId, Option<u64>>, RepoError> {
    let found = keyset::counts(conn, task_asset::Entity::find().into_query(), in_tasks(tasks)).await?;
    Ok(found.into_iter().map(|(id, count)| (TaskId(id), count)).collect())
}

fn in_tasks(tasks: &[TaskId]) -> keyset::Parents {
    keyset::Parents::new(task_asset::Column::TaskId, tasks.iter().map(|id| id.0))
}

fn of_scope(scope: Scope, ids: &[AssetId]) -> SelectStatement {
    let ids = Column::Id.is_in(ids.iter().map(|id| id.0));
    Entity::find().filter_by(scope::visible(scope, Column::ProjectId).add(ids))
}
