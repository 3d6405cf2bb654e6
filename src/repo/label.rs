//! How many live annotations of each label a task has.

use std::collections::{BTreeMap, HashMap};

use entity::task_label::{Column, Entity};
use sea_orm::{
    ColumnTrait,
    sea_query::{Expr, OnConflict, Query},
};

use crate::{
    domain::ids::{ProjectId, TaskId},
    repo::{
        Conn, RepoError,
        sql::{self, value},
    },
};

/// Moves the numbers of live annotations of a locked task, by label.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn move_of_task(
    conn: &impl Conn,
    project: ProjectId,
    task: TaskId,
    deltas: &BTreeMap<String, i32>,
) -> Result<(), RepoError> {
    let moving: Vec<_> =
        deltas.iter().filter(|(_, delta)| **delta != 0).map(|(label, delta)| (task, label, *delta)).collect();
    if moving.is_empty() { Ok(()) } else { move_all(conn, project, &moving).await }
}

/// Adds the numbers of live annotations, by task and label; to those that are counted for the task already.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn add(
    conn: &impl Conn,
    project: ProjectId,
    counts: &HashMap<TaskId, BTreeMap<String, i32>>,
) -> Result<(), RepoError> {
    let mut moving = Vec::new();
    for (task, labels) in counts {
        for (label, count) in labels {
            moving.push((*task, label, *count));
        }
    }
    for moving in moving.chunks(sql::BOUND_VALUES / 4) {
        move_all(conn, project, moving).await?;
    }
    Ok(())
}

async fn move_all(conn: &impl Conn, project: ProjectId, deltas: &[(TaskId, &String, i32)]) -> Result<(), RepoError> {
    let mut insert = Query::insert();
    insert.into_table(Entity).columns([Column::TaskId, Column::Label, Column::ProjectId, Column::Annotations]);
    for (task, label, delta) in deltas {
        insert.values_panic([value(task.0), value((*label).clone()), value(project.0), value(*delta)]);
    }
    let sum = Expr::cust("task_label.annotations + excluded.annotations");
    let known = OnConflict::columns([Column::TaskId, Column::Label]).value(Column::Annotations, sum).to_owned();
    conn.execute(insert.on_conflict(known)).await?;
    Ok(())
}

/// How many live annotations each task has, those of all its slots together.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn totals(conn: &impl Conn, tasks: &[TaskId]) -> Result<HashMap<TaskId, i64>, RepoError> {
    let select = Query::select()
        .column(Column::TaskId)
        .expr_as(Expr::cust("CAST(sum(annotations) AS bigint)"), "n")
        .from(Entity)
        .and_where(Column::TaskId.is_in(tasks.iter().map(|id| id.0)))
        .group_by_col(Column::TaskId)
        .to_owned();
    let rows = conn.query_all(&select).await?;
    rows.iter().map(|row| Ok((TaskId(row.try_get("", "task_id")?), row.try_get("", "n")?))).collect()
}
