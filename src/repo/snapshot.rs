//! Snapshots: what the live annotations of a slot were at a version of its task.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use entity::annotation;
use entity::annotation_snapshots::{Column, Entity};
use sea_orm::{
    ColumnTrait, FromQueryResult,
    sea_query::{Expr, Query, SelectStatement},
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    domain::{
        ids::{AnnotationId, AssetId, ProjectId, SnapshotId, TaskId, UserId},
        page::{Page, Slice},
        version_vector::VersionVector,
        words::{AnnotationSource, Kind, SnapshotReason},
    },
    kind::Geometry,
    repo::{
        Conn, RepoError, Scope, keyset, scope,
        sql::{self, json as from_json, value, word},
    },
};

/// A snapshot without what it shows, which can be large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// The task.
    pub task: TaskId,
    /// The slot's number.
    pub slot: i32,
    /// Whose the task is.
    pub project: ProjectId,
    /// The task's version it shows.
    pub version: i32,
    /// Why it was taken.
    pub reason: SnapshotReason,
    /// Who caused it.
    pub by: Option<UserId>,
    /// When.
    pub at: DateTime<Utc>,
    /// The fence of the lease or review under which it was taken.
    pub fence: i32,
}

#[derive(FromQueryResult)]
struct Row {
    id: Uuid,
    task_id: Uuid,
    slot: i32,
    project_id: Uuid,
    version: i32,
    reason: String,
    by_user: Option<Uuid>,
    at: DateTime<Utc>,
    fence: i32,
}

impl TryFrom<Row> for Snapshot {
    type Error = RepoError;

    fn try_from(row: Row) -> Result<Self, RepoError> {
        Ok(Self {
            id: SnapshotId(row.id),
            task: TaskId(row.task_id),
            slot: row.slot,
            project: ProjectId(row.project_id),
            version: row.version,
            reason: word(&row.reason)?,
            by: row.by_user.map(UserId),
            at: row.at,
            fence: row.fence,
        })
    }
}

const WITHOUT_PAYLOAD: [Column; 9] = [
    Column::Id,
    Column::TaskId,
    Column::Slot,
    Column::ProjectId,
    Column::Version,
    Column::Reason,
    Column::ByUser,
    Column::At,
    Column::Fence,
];

/// One annotation as a snapshot shows it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    id: Uuid,
    asset_id: Option<Uuid>,
    /// What it is geometrically.
    pub kind: Kind,
    /// The tool it was made with.
    pub tool: String,
    /// What it is called.
    pub label: String,
    /// Where it is.
    pub geometry: Geometry,
    /// What else is said of it.
    pub attributes: serde_json::Map<String, Value>,
    /// The edits in it.
    pub version_vector: VersionVector,
    /// The revision.
    pub revision: i32,
    /// Where it comes from.
    pub source: AnnotationSource,
    /// How sure its source was.
    pub score: Option<f64>,
    author_id: Uuid,
}

impl Shown {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> AnnotationId {
        AnnotationId(self.id)
    }

    /// As the API shows it: `id`, `assetId`, `kind`, `tool`, `label`, `geometry`, `attributes`, `versionVector`,
    /// `revision`, `source`, `score`, `authorId`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id().to_string(),
            "assetId": self.asset_id.map(|id| AssetId(id).to_string()),
            "kind": self.kind,
            "tool": self.tool,
            "label": self.label,
            "geometry": self.geometry,
            "attributes": self.attributes,
            "versionVector": self.version_vector,
            "revision": self.revision,
            "source": self.source,
            "score": self.score,
            "authorId": UserId(self.author_id).to_string(),
        })
    }
}

/// SQL for the array of a slot's annotations, by id; ids as 32 hexadecimal digits.
fn payload(conn: &impl Conn) -> Expr {
    let rest = "'kind', kind, 'tool', tool, 'label', label, 'revision', revision, 'source', source, 'score', score";
    Expr::cust(if conn.is_sqlite() {
        format!(
            "json_group_array(json_object('id', lower(hex(id)), 'assetId', nullif(lower(hex(asset_id)), ''),
               'authorId', lower(hex(author_id)), 'geometry', json(geometry), 'attributes', json(attributes),
               'versionVector', json(version_vector), {rest}) ORDER BY id)"
        )
    } else {
        format!(
            "coalesce(jsonb_agg(jsonb_build_object('id', replace(id::text, '-', ''),
               'assetId', replace(asset_id::text, '-', ''), 'authorId', replace(author_id::text, '-', ''),
               'geometry', geometry, 'attributes', attributes, 'versionVector', version_vector, {rest}) ORDER BY id),
               '[]'::jsonb)"
        )
    })
}

/// Takes a snapshot of the live annotations of a slot of a locked task, in one statement.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn take(conn: &impl Conn, new: &Snapshot) -> Result<(), RepoError> {
    use annotation::Column as A;
    let annotations = Query::select()
        .expr(value(new.id.0))
        .expr(value(new.task.0))
        .expr(value(new.slot))
        .expr(value(new.project.0))
        .expr(value(new.version))
        .expr(value(new.reason.as_str()))
        .expr(value(new.by.map(|user| user.0)))
        .expr(value(new.at))
        .expr(value(new.fence))
        .expr(payload(conn))
        .from(annotation::Entity)
        .and_where(A::TaskId.eq(new.task.0))
        .and_where(A::Slot.eq(new.slot))
        .and_where(A::Deleted.eq(false))
        .to_owned();
    let mut insert = Query::insert();
    insert.into_table(Entity).columns(WITHOUT_PAYLOAD.into_iter().chain([Column::Payload]));
    insert.select_from(annotations).map_err(|error| RepoError::Corrupt(error.to_string()))?;
    conn.execute(&insert).await?;
    Ok(())
}

/// The last snapshot of a slot that was taken under a fence for a reason.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_of_fence(
    conn: &impl Conn,
    task: TaskId,
    slot: i32,
    fence: i32,
    reason: SnapshotReason,
) -> Result<Option<Snapshot>, RepoError> {
    let select = without_payload()
        .and_where(Column::TaskId.eq(task.0))
        .and_where(Column::Slot.eq(slot))
        .and_where(Column::Fence.eq(fence))
        .and_where(Column::Reason.eq(reason.as_str()))
        .order_by(Column::Id, sea_orm::sea_query::Order::Desc)
        .limit(1)
        .to_owned();
    sql::one::<Row, _>(conn, &select).await
}

/// Those of `ids` the asker may see.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_visible(conn: &impl Conn, scope: Scope, ids: &[SnapshotId]) -> Result<Vec<Snapshot>, RepoError> {
    let visible = scope::visible(scope, Column::ProjectId)
        .add(scope::shown_task(Column::TaskId))
        .add(scope::visible_slot(scope, Column::ProjectId, Column::TaskId, Column::Slot))
        .add(Column::Id.is_in(ids.iter().map(|id| id.0)));
    sql::all::<Row, _>(conn, &without_payload().cond_where(visible).to_owned()).await
}

/// What snapshots show that the asker may see.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn payloads(conn: &impl Conn, ids: &[SnapshotId]) -> Result<HashMap<SnapshotId, Vec<Shown>>, RepoError> {
    let select = Query::select()
        .columns([Column::Id, Column::Payload])
        .from(Entity)
        .and_where(Column::Id.is_in(ids.iter().map(|id| id.0)))
        .to_owned();
    let rows = conn.query_all(&select).await?;
    rows.iter().map(|row| Ok((SnapshotId(row.try_get("", "id")?), from_json(row.try_get("", "payload")?)?))).collect()
}

/// The same page of the snapshots of many tasks the asker may see, oldest first.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn pages(
    conn: &impl Conn,
    scope: Scope,
    tasks: &[TaskId],
    page: &Page<Uuid>,
) -> Result<HashMap<TaskId, Slice<Snapshot>>, RepoError> {
    let page = keyset::bind(page, |id| [id.into()]);
    let keys = [keyset::ascending(Column::Id)];
    let found = keyset::slices::<Row, _, 1>(conn, of_tasks(scope), parents(tasks), keys, page).await?;
    Ok(found.into_iter().map(|(id, slice)| (TaskId(id), slice)).collect())
}

/// How many snapshots each task has for the asker, up to the counting limit.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn counts(
    conn: &impl Conn,
    scope: Scope,
    tasks: &[TaskId],
) -> Result<HashMap<TaskId, Option<u64>>, RepoError> {
    let found = keyset::counts(conn, of_tasks(scope), parents(tasks)).await?;
    Ok(found.into_iter().map(|(id, count)| (TaskId(id), count)).collect())
}

fn parents(tasks: &[TaskId]) -> keyset::Parents {
    keyset::Parents::new(Column::TaskId, tasks.iter().map(|id| id.0))
}

fn of_tasks(scope: Scope) -> SelectStatement {
    let visible = scope::visible_slot(scope, Column::ProjectId, Column::TaskId, Column::Slot);
    without_payload().cond_where(visible).to_owned()
}

fn without_payload() -> SelectStatement {
    Query::select().columns(WITHOUT_PAYLOAD).from(Entity).to_owned()
}
