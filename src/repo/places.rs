//! What a change of a locked task starts from: its slots, its project as the asker stands in it, and the time, read
//! together once the lock is held.

use chrono::{DateTime, Utc};
use entity::{project, project_member, task_slot};
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, IdenStatic, Iterable,
    sea_query::{Asterisk, Expr, ExprTrait, Order, Query},
};

use crate::{
    domain::{
        ids::{TaskId, UserId},
        permission::Standing,
        words::Role,
    },
    repo::{
        Conn, RepoError, Scope, clock,
        project::Project,
        slot::Slot,
        sql::{FilterBy, optional_word},
    },
};

/// What stands around a locked task.
#[derive(Clone, Debug)]
pub struct Places {
    /// Its project.
    pub project: Project,
    /// What the asker is in it; none: nothing.
    pub standing: Option<Standing>,
    /// Its slots, by number.
    pub slots: Vec<Slot>,
    /// The time of the change.
    pub now: DateTime<Utc>,
}

/// Reads what stands around a task that the transaction holds.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn read(conn: &impl Conn, scope: Scope, task: TaskId) -> Result<Places, RepoError> {
    let mut places = read_as(conn, Some(scope.user), task).await?;
    if scope.admin {
        places.standing = Some(Standing::Admin);
    }
    Ok(places)
}

/// As [`read`], for the server itself, which has no standing.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn read_all(conn: &impl Conn, task: TaskId) -> Result<Places, RepoError> {
    read_as(conn, None, task).await
}

async fn read_as(conn: &impl Conn, user: Option<UserId>, task: TaskId) -> Result<Places, RepoError> {
    let role = project_member::Entity::find()
        .filter_by(project_member::Column::UserId.eq(user.map(|user| user.0)))
        .clear_selects()
        .column(project_member::Column::Role)
        .and_where(
            Expr::col((project_member::Entity, project_member::Column::ProjectId))
                .equals((project::Entity, project::Column::Id)),
        )
        .to_owned();
    let mut select = Query::select();
    select.column((task_slot::Entity, Asterisk));
    for column in project::Column::iter() {
        select.expr_as(Expr::col((project::Entity, column)), format!("p_{}", column.as_str()));
    }
    select
        .expr_as(Expr::SubQuery(None, Box::new(role.into())), "viewer_role")
        .expr_as(clock::now(conn), "read_at")
        .from(task_slot::Entity)
        .inner_join(
            project::Entity,
            Expr::col((project::Entity, project::Column::Id)).equals((task_slot::Entity, task_slot::Column::ProjectId)),
        )
        .and_where(task_slot::Column::TaskId.eq(task.0))
        .order_by((task_slot::Entity, task_slot::Column::Number), Order::Asc);
    let rows = conn.query_all(&select).await?;
    let first = rows.first().ok_or(RepoError::NotFound)?;
    let role: Option<Role> = optional_word(first.try_get::<Option<String>>("", "viewer_role")?.as_deref())?;
    let slots = rows.iter().map(|row| task_slot::Model::from_query_result(row, "")?.try_into());
    Ok(Places {
        project: project::Model::from_query_result(first, "p_")?.try_into()?,
        standing: role.map(Standing::Member),
        slots: slots.collect::<Result<_, RepoError>>()?,
        now: first.try_get("", "read_at")?,
    })
}
