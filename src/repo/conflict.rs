//! Conflicts: edits that could not be applied, and what people decided about them.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use entity::conflict::{Column, Entity, Model};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryTrait,
    sea_query::{Expr, OnConflict, Order, Query, SelectStatement},
};
use uuid::Uuid;

use crate::{
    domain::{
        edit::{Content, Dot, Sibling},
        ids::{AnnotationId, ConflictId, ProjectId, TaskId, UserId},
        page::{Page, Slice},
        words::{ConflictChoice, ConflictState},
    },
    kind::Geometry,
    repo::{
        Conn, RepoError, Scope,
        annotation::to_json,
        keyset, scope,
        sql::{self, FilterBy, is, json, optional_word, value, word},
    },
};

/// An edit kept beside the current state of its annotation.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// Its id.
    pub id: ConflictId,
    /// Whose the task is.
    pub project: ProjectId,
    /// The task.
    pub task: TaskId,
    /// The number of the annotation's slot.
    pub slot: i32,
    /// The annotation.
    pub annotation: AnnotationId,
    /// The edit.
    pub sibling: Sibling<Geometry>,
    /// What its author saw, where that is known.
    pub base: Option<Content<Geometry>>,
    /// Whose edit it is.
    pub incoming_by: UserId,
    /// Whose work it met.
    pub current_by: UserId,
    /// When it came to be.
    pub raised_at: DateTime<Utc>,
    /// What a person decided; none: it is open.
    pub resolution: Option<Box<Resolution>>,
}

/// What a person decided about a conflict.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolution {
    /// Who.
    pub by: UserId,
    /// When.
    pub at: DateTime<Utc>,
    /// How.
    pub choice: ConflictChoice,
    /// What the annotation said in front of it.
    pub current: Content<Geometry>,
    /// What it would have said with the edit.
    pub incoming: Content<Geometry>,
    /// The revision of the annotation that it made.
    pub revision: i32,
}

impl Conflict {
    /// OPEN or RESOLVED.
    #[must_use]
    pub fn state(&self) -> ConflictState {
        if self.resolution.is_some() { ConflictState::Resolved } else { ConflictState::Open }
    }

    /// What the annotation would say with the edit, given what it says.
    #[must_use]
    pub fn incoming(&self, current: &Content<Geometry>) -> Content<Geometry> {
        match &self.resolution {
            Some(resolution) => resolution.incoming.clone(),
            None => current.clone().with(self.sibling.patch.clone()),
        }
    }
}

impl TryFrom<Model> for Conflict {
    type Error = RepoError;

    fn try_from(row: Model) -> Result<Self, RepoError> {
        let choice: Option<ConflictChoice> = optional_word(row.choice.as_deref())?;
        let resolution =
            match (choice, row.resolved_by, row.resolved_at, row.current, row.incoming, row.resolved_revision) {
                (Some(choice), Some(by), Some(at), Some(current), Some(incoming), Some(revision)) => {
                    let (current, incoming) = (json(current)?, json(incoming)?);
                    Some(Box::new(Resolution { by: UserId(by), at, choice, current, incoming, revision }))
                }
                _ => None,
            };
        let sibling = Sibling {
            base: json(row.base_vector)?,
            epoch: row.vector_epoch,
            dot: Dot { actor: row.actor, counter: row.counter },
            patch: json(row.patch)?,
            cause: word(&row.cause)?,
            fields: json(row.fields)?,
        };
        Ok(Self {
            id: ConflictId(row.id),
            project: ProjectId(row.project_id),
            task: TaskId(row.task_id),
            slot: row.slot,
            annotation: AnnotationId(row.annotation_id),
            sibling,
            base: row.base.map(json).transpose()?,
            incoming_by: UserId(row.incoming_by),
            current_by: UserId(row.current_by),
            raised_at: row.raised_at,
            resolution,
        })
    }
}

const COLUMNS: [Column; 23] = {
    use Column as C;
    [
        C::Id,
        C::ProjectId,
        C::TaskId,
        C::Slot,
        C::AnnotationId,
        C::State,
        C::Cause,
        C::Fields,
        C::Base,
        C::BaseVector,
        C::Patch,
        C::VectorEpoch,
        C::Actor,
        C::Counter,
        C::IncomingBy,
        C::CurrentBy,
        C::RaisedAt,
        C::ResolvedBy,
        C::ResolvedAt,
        C::Choice,
        C::Current,
        C::Incoming,
        C::ResolvedRevision,
    ]
};

/// What changes when another edit of its author takes a conflict's place, or a person decides.
const CHANGING: [Column; 14] = {
    use Column as C;
    [
        C::State,
        C::Cause,
        C::Fields,
        C::Patch,
        C::VectorEpoch,
        C::Actor,
        C::Counter,
        C::CurrentBy,
        C::ResolvedBy,
        C::ResolvedAt,
        C::Choice,
        C::Current,
        C::Incoming,
        C::ResolvedRevision,
    ]
};

fn row(conflict: &Conflict) -> Result<[Expr; 23], RepoError> {
    let (sibling, resolution) = (&conflict.sibling, conflict.resolution.as_deref());
    let content = |content: Option<&Content<Geometry>>| content.map(to_json).transpose();
    Ok([
        value(conflict.id.0),
        value(conflict.project.0),
        value(conflict.task.0),
        value(conflict.slot),
        value(conflict.annotation.0),
        value(conflict.state().as_str()),
        value(sibling.cause.as_str()),
        value(to_json(&sibling.fields)?),
        value(content(conflict.base.as_ref())?),
        value(to_json(&sibling.base)?),
        value(to_json(&sibling.patch)?),
        value(sibling.epoch),
        value(sibling.dot.actor.clone()),
        value(sibling.dot.counter),
        value(conflict.incoming_by.0),
        value(conflict.current_by.0),
        value(conflict.raised_at),
        value(resolution.map(|resolution| resolution.by.0)),
        value(resolution.map(|resolution| resolution.at)),
        value(resolution.map(|resolution| resolution.choice.as_str())),
        value(content(resolution.map(|resolution| &resolution.current))?),
        value(content(resolution.map(|resolution| &resolution.incoming))?),
        value(resolution.map(|resolution| resolution.revision)),
    ])
}

/// Writes conflicts of a locked task: adds those that are new, changes the others.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn write_all(conn: &impl Conn, conflicts: &[&Conflict]) -> Result<(), RepoError> {
    if conflicts.is_empty() {
        return Ok(());
    }
    let mut insert = Query::insert();
    insert.into_table(Entity).columns(COLUMNS);
    for conflict in conflicts {
        insert.values_panic(row(conflict)?);
    }
    conn.execute(insert.on_conflict(OnConflict::column(Column::Id).update_columns(CHANGING).to_owned())).await?;
    Ok(())
}

/// The open conflicts of annotations, oldest first, whoever asks.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn open_of(
    conn: &impl Conn,
    annotations: impl IntoIterator<Item = AnnotationId>,
) -> Result<HashMap<AnnotationId, Vec<Conflict>>, RepoError> {
    open_among(conn, Entity::find().into_query(), annotations).await
}

/// How many conflicts are open in the slots of a task: those of edits that came late, and the others.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn count_open(conn: &impl Conn, task: TaskId) -> Result<BTreeMap<i32, OpenIn>, RepoError> {
    let select = Query::select()
        .column(Column::Slot)
        .expr_as(Expr::cust("count(*) FILTER (WHERE cause = 'LATE')"), "late")
        .expr_as(Expr::cust("count(*) FILTER (WHERE cause <> 'LATE')"), "others")
        .from(Entity)
        .and_where(Column::TaskId.eq(task.0))
        .and_where(is(Column::State, ConflictState::Open.as_str()))
        .group_by_col(Column::Slot)
        .to_owned();
    let rows = conn.query_all(&select).await?;
    let open = rows.iter().map(|row| {
        let open = OpenIn { late: row.try_get("", "late")?, others: row.try_get("", "others")? };
        Ok((row.try_get("", "slot")?, open))
    });
    open.collect()
}

/// Open conflicts of a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenIn {
    /// Of edits whose lease had ended.
    pub late: i64,
    /// All others.
    pub others: i64,
}

/// The annotations of tasks that have an open conflict, with the number of their slot.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn disputed(
    conn: &impl Conn,
    tasks: &[TaskId],
) -> Result<HashMap<TaskId, Vec<(i32, AnnotationId)>>, RepoError> {
    let select = Query::select()
        .distinct()
        .columns([Column::TaskId, Column::Slot, Column::AnnotationId])
        .from(Entity)
        .and_where(Column::TaskId.is_in(tasks.iter().map(|id| id.0)))
        .and_where(is(Column::State, ConflictState::Open.as_str()))
        .to_owned();
    let mut found: HashMap<TaskId, Vec<(i32, AnnotationId)>> = HashMap::new();
    for row in conn.query_all(&select).await? {
        let annotation = (row.try_get_by_index(1)?, AnnotationId(row.try_get_by_index(2)?));
        found.entry(TaskId(row.try_get_by_index(0)?)).or_default().push(annotation);
    }
    Ok(found)
}

/// The task of a conflict that the asker may see.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn task_of(conn: &impl Conn, scope: Scope, id: ConflictId) -> Result<Option<TaskId>, RepoError> {
    let select = visible(scope).clear_selects().column(Column::TaskId).and_where(Column::Id.eq(id.0)).to_owned();
    conn.query_one(&select).await?.map(|row| Ok(TaskId(row.try_get("", "task_id")?))).transpose()
}

/// Those of `ids` the asker may see.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_visible(conn: &impl Conn, scope: Scope, ids: &[ConflictId]) -> Result<Vec<Conflict>, RepoError> {
    let select = visible(scope).and_where(Column::Id.is_in(ids.iter().map(|id| id.0))).to_owned();
    sql::all::<Model, _>(conn, &select).await
}

/// The open conflicts of annotations that the asker may see, oldest first.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn open_of_visible(
    conn: &impl Conn,
    scope: Scope,
    annotations: &[AnnotationId],
) -> Result<HashMap<AnnotationId, Vec<Conflict>>, RepoError> {
    open_among(conn, visible(scope), annotations.iter().copied()).await
}

async fn open_among(
    conn: &impl Conn,
    mut select: SelectStatement,
    annotations: impl IntoIterator<Item = AnnotationId>,
) -> Result<HashMap<AnnotationId, Vec<Conflict>>, RepoError> {
    select
        .and_where(Column::AnnotationId.is_in(annotations.into_iter().map(|id| id.0)))
        .and_where(is(Column::State, ConflictState::Open.as_str()))
        .order_by(Column::Id, Order::Asc);
    let mut found: HashMap<AnnotationId, Vec<Conflict>> = HashMap::new();
    for conflict in sql::all::<Model, Conflict>(conn, &select).await? {
        found.entry(conflict.annotation).or_default().push(conflict);
    }
    Ok(found)
}

/// A page of the conflicts of a project that the asker may see, oldest first.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn page(
    conn: &impl Conn,
    scope: Scope,
    project: ProjectId,
    state: Option<ConflictState>,
    page: &Page<Uuid>,
) -> Result<Slice<Conflict>, RepoError> {
    let keys = [keyset::ascending(Column::Id)];
    keyset::slice::<Model, _, 1>(conn, of_project(scope, project, state), keys, keyset::bind(page, |id| [id.into()]))
        .await
}

/// How many conflicts of a project the asker may see, up to the counting limit.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn count(
    conn: &impl Conn,
    scope: Scope,
    project: ProjectId,
    state: Option<ConflictState>,
) -> Result<Option<u64>, RepoError> {
    sql::count_up_to(conn, of_project(scope, project, state), crate::domain::limits::TOTAL_COUNT).await
}

/// The same page of the open conflicts of many tasks that the asker may see, oldest first.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn pages(
    conn: &impl Conn,
    scope: Scope,
    tasks: &[TaskId],
    page: &Page<Uuid>,
) -> Result<HashMap<TaskId, Slice<Conflict>>, RepoError> {
    let page = keyset::bind(page, |id| [id.into()]);
    let keys = [keyset::ascending(Column::Id)];
    let found = keyset::slices::<Model, _, 1>(conn, open_of_tasks(scope), parents(tasks), keys, page).await?;
    Ok(found.into_iter().map(|(id, slice)| (TaskId(id), slice)).collect())
}

/// How many open conflicts each task has for the asker, up to the counting limit.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn counts(
    conn: &impl Conn,
    scope: Scope,
    tasks: &[TaskId],
) -> Result<HashMap<TaskId, Option<u64>>, RepoError> {
    let found = keyset::counts(conn, open_of_tasks(scope), parents(tasks)).await?;
    Ok(found.into_iter().map(|(id, count)| (TaskId(id), count)).collect())
}

fn parents(tasks: &[TaskId]) -> keyset::Parents {
    keyset::Parents::new(Column::TaskId, tasks.iter().map(|id| id.0))
}

fn visible(scope: Scope) -> SelectStatement {
    let visible = scope::visible(scope, Column::ProjectId).add(scope::visible_slot(
        scope,
        Column::ProjectId,
        Column::TaskId,
        Column::Slot,
    ));
    Entity::find().filter_by(visible)
}

fn of_project(scope: Scope, project: ProjectId, state: Option<ConflictState>) -> SelectStatement {
    let mut select = visible(scope);
    select.and_where(Column::ProjectId.eq(project.0));
    if let Some(state) = state {
        select.and_where(is(Column::State, state.as_str()));
    }
    select
}

fn open_of_tasks(scope: Scope) -> SelectStatement {
    let own = scope::visible_slot(scope, Column::ProjectId, Column::TaskId, Column::Slot);
    Entity::find().filter_by(own.add(is(Column::State, ConflictState::Open.as_str())))
}
