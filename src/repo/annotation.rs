//! Annotations: the current state of each, and the revisions that led to it.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use entity::annotation::{Column, Entity, Model};
use entity::task_label;
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult,
    sea_query::{Expr, ExprTrait, OnConflict, Query, SelectStatement},
};
use uuid::Uuid;

use crate::{
    domain::{
        edit::{Content, Stored},
        ids::{AnnotationId, AssetId, ProjectId, TaskId, UserId},
        limits,
        page::{Page, Slice},
        words::{AnnotationSource, Kind},
    },
    kind::Geometry,
    repo::{
        Conn, RepoError, Scope, keyset, scope,
        sql::{self, FilterBy, json, value, word},
    },
};

/// One labeled object as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// Its id.
    pub id: AnnotationId,
    /// The task.
    pub task: TaskId,
    /// The number of the slot it belongs to.
    pub slot: i32,
    /// Whose the task is.
    pub project: ProjectId,
    /// What it is drawn on; none: the text in the task's data, or the task without assets.
    pub asset: Option<AssetId>,
    /// What it is geometrically.
    pub kind: Kind,
    /// The tool it was made with.
    pub tool: String,
    /// What it says, and which edits led there.
    pub state: Stored<Geometry>,
    /// Where it comes from.
    pub source: AnnotationSource,
    /// How sure its source was, where that says so.
    pub score: Option<f64>,
    /// Who made it.
    pub author: UserId,
    /// Who changed it last.
    pub last_edited_by: UserId,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl TryFrom<Model> for Annotation {
    type Error = RepoError;

    fn try_from(row: Model) -> Result<Self, RepoError> {
        let content = content(row.label, row.geometry, row.attributes, row.deleted)?;
        let state = Stored {
            content,
            vector: json(row.version_vector)?,
            last_dots: json(row.last_dots)?,
            revision: row.revision,
            cut: row.cut_vector.map(json).transpose()?,
        };
        Ok(Self {
            id: AnnotationId(row.id),
            task: TaskId(row.task_id),
            slot: row.slot,
            project: ProjectId(row.project_id),
            asset: row.asset_id.map(AssetId),
            kind: word(&row.kind)?,
            tool: row.tool,
            state,
            source: word(&row.source)?,
            score: row.score,
            author: UserId(row.author_id),
            last_edited_by: UserId(row.last_edited_by),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

pub(super) fn content(
    label: String,
    geometry: serde_json::Value,
    attributes: serde_json::Value,
    deleted: bool,
) -> Result<Content<Geometry>, RepoError> {
    Ok(Content { label, geometry: json(geometry)?, attributes: json(attributes)?, deleted })
}

/// The annotations with these ids, in whatever project and slot: for saving, which has to know that an id is taken. With
/// them the number of live annotations of the task.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_for_saving(
    conn: &impl Conn,
    task: TaskId,
    ids: &[AnnotationId],
) -> Result<(HashMap<AnnotationId, Annotation>, i64), RepoError> {
    let ids = ids.iter().map(|id| id.0);
    find_and_count(conn, task, Expr::col((Entity, Column::Id)).is_in(ids)).await
}

/// The live annotations of a slot, and the tombstones among `ids` in it. With them the number of live annotations of the
/// task.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_for_restoring(
    conn: &impl Conn,
    task: TaskId,
    slot: i32,
    ids: &[AnnotationId],
) -> Result<(HashMap<AnnotationId, Annotation>, i64), RepoError> {
    let col = |column: Column| Expr::col((Entity, column));
    let here = col(Column::TaskId).eq(task.0).and(col(Column::Slot).eq(slot));
    let wanted = col(Column::Deleted).eq(false).or(col(Column::Id).is_in(ids.iter().map(|id| id.0)));
    find_and_count(conn, task, here.and(wanted)).await
}

async fn find_and_count(
    conn: &impl Conn,
    task: TaskId,
    wanted: Expr,
) -> Result<(HashMap<AnnotationId, Annotation>, i64), RepoError> {
    // One row at least: the count comes along when no annotation is there yet.
    let live = Query::select()
        .expr_as(Expr::cust("CAST(coalesce(sum(annotations), 0) AS bigint)"), "live")
        .from(task_label::Entity)
        .and_where(task_label::Column::TaskId.eq(task.0))
        .to_owned();
    let select = Query::select()
        .column(("counted", "live"))
        .column((Entity, sea_orm::sea_query::Asterisk))
        .from_subquery(live, "counted")
        .left_join(Entity, wanted)
        .to_owned();
    let rows = conn.query_all(&select).await?;
    let live = rows.first().ok_or(RepoError::NotFound)?.try_get("", "live")?;
    let mut found = HashMap::new();
    for row in &rows {
        if let Some(row) = Model::from_query_result_optional(row, "")? {
            let annotation: Annotation = row.try_into()?;
            found.insert(annotation.id, annotation);
        }
    }
    Ok((found, live))
}

/// The annotations of a slot whose vector has more actors than are kept, see [`Stored::cut`].
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_to_cut(conn: &impl Conn, task: TaskId, slot: i32) -> Result<Vec<Annotation>, RepoError> {
    let here = Column::TaskId.eq(task.0).and(Column::Slot.eq(slot));
    // Written out, as the index has it.
    let long = Expr::cust(format!("actors > {}", limits::VECTOR_ACTORS_KEPT));
    sql::all::<Model, _>(conn, &Entity::find().filter_by(here.and(long))).await
}

/// Writes the new state of annotations of a locked task: adds those that are new, changes the others. Whether it could:
/// not, when an id was taken elsewhere in the meantime.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn write_all(conn: &impl Conn, annotations: &[&Annotation]) -> Result<bool, RepoError> {
    // Two saves that make the same ids in different tasks wait for one another: both must come to them in one order.
    let mut in_lock_order = annotations.to_vec();
    in_lock_order.sort_unstable_by_key(|annotation| annotation.id);
    let mut all_written = true;
    for some in in_lock_order.chunks(sql::BOUND_VALUES / COLUMNS.len()) {
        all_written &= write_some(conn, some).await? == some.len() as u64;
    }
    Ok(all_written)
}

/// Writes annotations in one statement; gives how many it could.
async fn write_some(conn: &impl Conn, annotations: &[&Annotation]) -> Result<u64, RepoError> {
    const CHANGING: [Column; 11] = [
        Column::Label,
        Column::Geometry,
        Column::Attributes,
        Column::VersionVector,
        Column::LastDots,
        Column::CutVector,
        Column::Actors,
        Column::Revision,
        Column::Deleted,
        Column::LastEditedBy,
        Column::UpdatedAt,
    ];
    let mut insert = Query::insert();
    insert.into_table(Entity).columns(COLUMNS);
    for annotation in annotations {
        insert.values_panic(row(annotation)?);
    }
    let same_place = "annotation.task_id = excluded.task_id AND annotation.slot = excluded.slot";
    let known =
        OnConflict::column(Column::Id).update_columns(CHANGING).action_and_where(Expr::cust(same_place)).to_owned();
    Ok(conn.execute(insert.on_conflict(known)).await?.rows_affected())
}

/// Adds annotations whose ids the server made just now.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn insert_all(conn: &impl Conn, annotations: &[Annotation]) -> Result<(), RepoError> {
    sql::insert_many(conn, Entity, COLUMNS, annotations.iter().map(row)).await
}

const COLUMNS: [Column; 22] = [
    Column::Id,
    Column::TaskId,
    Column::Slot,
    Column::ProjectId,
    Column::AssetId,
    Column::Kind,
    Column::Tool,
    Column::Label,
    Column::Geometry,
    Column::Attributes,
    Column::VersionVector,
    Column::LastDots,
    Column::CutVector,
    Column::Actors,
    Column::Revision,
    Column::Deleted,
    Column::Source,
    Column::Score,
    Column::AuthorId,
    Column::LastEditedBy,
    Column::CreatedAt,
    Column::UpdatedAt,
];

fn row(annotation: &Annotation) -> Result<[Expr; 22], RepoError> {
    let state = &annotation.state;
    Ok([
        value(annotation.id.0),
        value(annotation.task.0),
        value(annotation.slot),
        value(annotation.project.0),
        value(annotation.asset.map(|asset| asset.0)),
        value(annotation.kind.as_str()),
        value(annotation.tool.clone()),
        value(state.content.label.clone()),
        value(to_json(&state.content.geometry)?),
        value(to_json(&state.content.attributes)?),
        value(to_json(&state.vector)?),
        value(to_json(&state.last_dots)?),
        value(state.cut.as_ref().map(to_json).transpose()?),
        value(i32::try_from(state.vector.actors()).unwrap_or(i32::MAX)),
        value(state.revision),
        value(state.content.deleted),
        value(annotation.source.as_str()),
        value(annotation.score),
        value(annotation.author.0),
        value(annotation.last_edited_by.0),
        value(annotation.created_at),
        value(annotation.updated_at),
    ])
}

pub(super) fn to_json(value: &impl serde::Serialize) -> Result<serde_json::Value, RepoError> {
    serde_json::to_value(value).map_err(|error| RepoError::Corrupt(error.to_string()))
}

/// A live annotation as a data set takes it: without what only merging needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// Its id.
    pub id: AnnotationId,
    /// The task.
    pub task: TaskId,
    /// The number of the slot it belongs to.
    pub slot: i32,
    /// What it is drawn on.
    pub asset: Option<AssetId>,
    /// The tool it was made with.
    pub tool: String,
    /// What it is called.
    pub label: String,
    /// Where it is.
    pub geometry: Geometry,
    /// What else is said of it.
    pub attributes: serde_json::Map<String, serde_json::Value>,
    /// Where it comes from.
    pub source: AnnotationSource,
    /// How sure its source was.
    pub score: Option<f64>,
    /// Who made it.
    pub author: UserId,
}

/// The live annotations of tasks, in all their slots, by id.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn live_of_tasks(conn: &impl Conn, tasks: &[TaskId]) -> Result<Vec<Live>, RepoError> {
    let select = Query::select()
        .columns([
            Column::Id,
            Column::TaskId,
            Column::Slot,
            Column::AssetId,
            Column::Tool,
            Column::Label,
            Column::Geometry,
            Column::Attributes,
            Column::Source,
            Column::Score,
            Column::AuthorId,
        ])
        .from(Entity)
        .and_where(Column::TaskId.is_in(tasks.iter().map(|id| id.0)))
        .and_where(Column::Deleted.eq(false))
        .to_owned();
    let rows = conn.query_all(&select).await?;
    let live = rows.iter().map(|row| {
        Ok(Live {
            id: AnnotationId(row.try_get_by_index(0)?),
            task: TaskId(row.try_get_by_index(1)?),
            slot: row.try_get_by_index(2)?,
            asset: row.try_get_by_index::<Option<Uuid>>(3)?.map(AssetId),
            tool: row.try_get_by_index(4)?,
            label: row.try_get_by_index(5)?,
            geometry: json(row.try_get_by_index(6)?)?,
            attributes: json(row.try_get_by_index(7)?)?,
            source: word(&row.try_get_by_index::<String>(8)?)?,
            score: row.try_get_by_index(9)?,
            author: UserId(row.try_get_by_index(10)?),
        })
    });
    let mut live = live.collect::<Result<Vec<_>, RepoError>>()?;
    live.sort_unstable_by_key(|annotation| annotation.id);
    Ok(live)
}

/// The tools with a live annotation in a slot.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn tools_in_use(conn: &impl Conn, task: TaskId, slot: i32) -> Result<HashSet<String>, RepoError> {
    let select = Query::select()
        .distinct()
        .column(Column::Tool)
        .from(Entity)
        .and_where(Column::TaskId.eq(task.0))
        .and_where(Column::Slot.eq(slot))
        .and_where(Column::Deleted.eq(false))
        .to_owned();
    let rows = conn.query_all(&select).await?;
    rows.iter().map(|row| Ok(row.try_get("", "tool")?)).collect()
}

/// Annotations by id, whatever task they are of.
pub(super) async fn find_all(
    conn: &impl Conn,
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<Annotation>, RepoError> {
    sql::all::<Model, _>(conn, &Entity::find().filter_by(Column::Id.is_in(ids))).await
}

/// Those of `ids` the asker may see, tombstones too.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_visible(conn: &impl Conn, scope: Scope, ids: &[AnnotationId]) -> Result<Vec<Annotation>, RepoError> {
    let among = Column::Id.is_in(ids.iter().map(|id| id.0));
    let visible = scope::visible(scope, Column::ProjectId)
        .add(scope::shown_task(Column::TaskId))
        .add(scope::visible_slot(scope, Column::ProjectId, Column::TaskId, Column::Slot));
    sql::all::<Model, _>(conn, &Entity::find().filter_by(visible.add(among))).await
}

/// Which annotations of a task a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AnnotationFilter {
    /// Of this slot only.
    pub slot: Option<i32>,
    /// Tombstones too.
    pub include_deleted: bool,
}

/// The same page of the annotations of many tasks the asker may see, by id.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn pages(
    conn: &impl Conn,
    scope: Scope,
    tasks: &[TaskId],
    filter: AnnotationFilter,
    page: &Page<Uuid>,
) -> Result<HashMap<TaskId, Slice<Annotation>>, RepoError> {
    let page = keyset::bind(page, |id| [id.into()]);
    let parents = keyset::Parents::new(Column::TaskId, tasks.iter().map(|id| id.0));
    let keys = [keyset::ascending(Column::Id)];
    let found = keyset::slices::<Model, _, 1>(conn, of_tasks(scope, filter), parents, keys, page).await?;
    Ok(found.into_iter().map(|(id, slice)| (TaskId(id), slice)).collect())
}

/// How many annotations each task has for the asker, up to the counting limit.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn counts(
    conn: &impl Conn,
    scope: Scope,
    tasks: &[TaskId],
    filter: AnnotationFilter,
) -> Result<HashMap<TaskId, Option<u64>>, RepoError> {
    let parents = keyset::Parents::new(Column::TaskId, tasks.iter().map(|id| id.0));
    let found = keyset::counts(conn, of_tasks(scope, filter), parents).await?;
    Ok(found.into_iter().map(|(id, count)| (TaskId(id), count)).collect())
}

fn of_tasks(scope: Scope, filter: AnnotationFilter) -> SelectStatement {
    let mut visible = scope::visible_slot(scope, Column::ProjectId, Column::TaskId, Column::Slot);
    if let Some(slot) = filter.slot {
        visible = visible.add(Column::Slot.eq(slot));
    }
    if !filter.include_deleted {
        visible = visible.add(Column::Deleted.eq(false));
    }
    Entity::find().filter_by(visible)
}
