//! Suggestions: annotations that an import found for a task, for whoever first claims a slot of it.

use entity::task_suggestion::{Column, Entity};
use sea_orm::{ColumnTrait, sea_query::Query};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    domain::{
        ids::{AssetId, TaskId, UserId},
        words::AnnotationSource,
    },
    kind::Geometry,
    repo::{
        Conn, RepoError,
        sql::{self, json, value},
    },
};

/// An annotation that is to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suggestion {
    asset_id: Option<Uuid>,
    /// The tool.
    pub tool: String,
    /// What it is called.
    pub label: String,
    /// Where it is.
    pub geometry: Geometry,
    /// What else is said of it.
    pub attributes: Map<String, Value>,
    /// Where it comes from.
    pub source: AnnotationSource,
    /// How sure its source was.
    pub score: Option<f64>,
}

impl Suggestion {
    /// One of the import itself, without attributes.
    #[must_use]
    pub fn new(asset: Option<AssetId>, tool: String, label: String, geometry: Geometry) -> Self {
        let (attributes, source) = (Map::new(), AnnotationSource::Import);
        Self { asset_id: asset.map(|asset| asset.0), tool, label, geometry, attributes, source, score: None }
    }

    /// What it is drawn on; none: the text in the task's data.
    #[must_use]
    pub fn asset(&self) -> Option<AssetId> {
        self.asset_id.map(AssetId)
    }
}

/// Keeps the suggestions of tasks, found by `by`.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn insert(conn: &impl Conn, by: UserId, found: &[(TaskId, &[Suggestion])]) -> Result<(), RepoError> {
    let rows = found.iter().map(|(task, suggestions)| {
        let suggestions = serde_json::to_value(suggestions).map_err(|error| RepoError::Corrupt(error.to_string()))?;
        Ok([value(task.0), value(by.0), value(suggestions)])
    });
    let rows = rows.collect::<Result<_, RepoError>>()?;
    sql::insert_all(conn, Entity, [Column::TaskId, Column::ByUser, Column::Annotations], rows).await
}

/// The suggestions for a task, and who found them.
///
/// # Errors
/// [`RepoError`] of the database; [`RepoError::NotFound`] when it has none.
pub async fn of_task(conn: &impl Conn, task: TaskId) -> Result<(UserId, Vec<Suggestion>), RepoError> {
    let select = Query::select()
        .columns([Column::ByUser, Column::Annotations])
        .from(Entity)
        .and_where(Column::TaskId.eq(task.0))
        .to_owned();
    let row = conn.query_one(&select).await?.ok_or(RepoError::NotFound)?;
    Ok((UserId(row.try_get("", "by_user")?), json(row.try_get("", "annotations")?)?))
}
