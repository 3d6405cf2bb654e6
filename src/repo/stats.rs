//! Figures of a project that take a walk over its rows.

use entity::{annotation, assignment, task, task_label};
use sea_orm::{
    ColumnTrait,
    sea_query::{Expr, ExprTrait, Order, Query},
};

use crate::{
    domain::{ids::ProjectId, words::TaskState},
    repo::{Conn, RepoError, clock},
};

/// Assignments the median looks at.
const MEDIAN_OF: u64 = 1_000;

/// What one walk found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Walked {
    /// Annotations made in the last hour.
    pub annotations_last_hour: i64,
    /// Median seconds from claim to submission of the last 1,000 submitted assignments.
    pub median_label_seconds: Option<f64>,
    /// Share of unarchived tasks with a live annotation, 0 to 1; 0 when there is no task.
    pub label_coverage_ratio: f64,
}

/// Walks a project's rows.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn walk(conn: &impl Conn, project: ProjectId) -> Result<Walked, RepoError> {
    Ok(Walked {
        annotations_last_hour: annotations_last_hour(conn, project).await?,
        median_label_seconds: median_label_seconds(conn, project).await?,
        label_coverage_ratio: label_coverage_ratio(conn, Some(project)).await?,
    })
}

async fn annotations_last_hour(conn: &impl Conn, project: ProjectId) -> Result<i64, RepoError> {
    use annotation::{Column, Entity};
    let select = Query::select()
        .expr_as(Expr::cust("count(*)"), "n")
        .from(Entity)
        .and_where(Column::ProjectId.eq(project.0))
        .and_where(Expr::col(Column::CreatedAt).gt(clock::now_plus(conn, -3_600)))
        .to_owned();
    Ok(conn.query_one(&select).await?.ok_or(RepoError::NotFound)?.try_get("", "n")?)
}

async fn median_label_seconds(conn: &impl Conn, project: ProjectId) -> Result<Option<f64>, RepoError> {
    use assignment::{Column, Entity};
    let select = Query::select()
        .columns([Column::StartedAt, Column::EndedAt])
        .from(Entity)
        .and_where(Column::ProjectId.eq(project.0))
        .and_where(Expr::cust("state IN ('SUBMITTED', 'ACCEPTED', 'REJECTED')"))
        .and_where(Column::EndedAt.is_not_null())
        .order_by(Column::EndedAt, Order::Desc)
        .limit(MEDIAN_OF)
        .to_owned();
    let mut seconds = Vec::new();
    for row in conn.query_all(&select).await? {
        let (from, to): (chrono::DateTime<chrono::Utc>, chrono::DateTime<chrono::Utc>) =
            (row.try_get("", "started_at")?, row.try_get("", "ended_at")?);
        seconds.push((to - from).as_seconds_f64());
    }
    Ok(median(seconds))
}

/// The middle value, or the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get(values.len().saturating_sub(1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// Share of unarchived tasks with a live annotation, 0 to 1: of one project, or of all.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn label_coverage_ratio(conn: &impl Conn, project: Option<ProjectId>) -> Result<f64, RepoError> {
    let labelled = Query::select()
        .expr(Expr::cust("1"))
        .from(task_label::Entity)
        .and_where(Expr::col((task_label::Entity, task_label::Column::TaskId)).equals((task::Entity, task::Column::Id)))
        .and_where(task_label::Column::Annotations.gt(0))
        .to_owned();
    let covered = Expr::case(Expr::exists(labelled), 1).finally(0);
    let mut select = Query::select();
    select
        .expr_as(Expr::cust("count(*)"), "tasks")
        .expr_as(Expr::expr(covered).sum(), "covered")
        .from(task::Entity)
        .and_where(task::Column::ImportJob.is_null())
        .and_where(task::Column::State.ne(TaskState::Archived.as_str()));
    if let Some(project) = project {
        select.and_where(task::Column::ProjectId.eq(project.0));
    }
    let row = conn.query_one(&select).await?.ok_or(RepoError::NotFound)?;
    let tasks: i64 = row.try_get("", "tasks")?;
    let covered: Option<i64> = row.try_get("", "covered")?;
    #[expect(clippy::cast_precision_loss, reason = "a ratio of counts far below 2^52")]
    let ratio = covered.unwrap_or(0) as f64 / Ord::max(tasks, 1) as f64;
    Ok(ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        for (values, want) in
            [(vec![], None), (vec![3.0], Some(3.0)), (vec![9.0, 1.0, 2.0], Some(2.0)), (vec![4.0, 1.0], Some(2.5))]
        {
            assert_eq!(median(values.clone()), want, "{values:?}");
        }
    }
}
