//! What an asker may see. The private start of every query over a project's rows.

use sea_orm::{
    ColumnTrait,
    sea_query::{Condition, Expr, ExprTrait, Query},
};

use crate::domain::ids::UserId;

/// Whose eyes a query looks through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The asker.
    pub user: UserId,
    /// Whether the asker sees every project.
    pub admin: bool,
}

/// Only rows of projects that `scope` sees; `project` is the column that names the project.
pub(super) fn visible(scope: Scope, project: impl ColumnTrait) -> Condition {
    if scope.admin {
        return Condition::all();
    }
    let memberships = Query::select()
        .column(entity::project_member::Column::ProjectId)
        .from(entity::project_member::Entity)
        .and_where(Expr::col(entity::project_member::Column::UserId).eq(scope.user.0))
        .to_owned();
    Condition::all().add(project.in_subquery(memberships))
}
