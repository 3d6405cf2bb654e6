//! What an asker may see. The private start of every query over a project's rows.

use sea_orm::{
    ColumnTrait,
    sea_query::{Condition, Expr, ExprTrait, Query},
};

use crate::domain::{ids::UserId, words::Role};

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

/// Only rows about slots that `scope` sees; the columns name project, task and slot number. In a project with overlap above
/// 1 an annotator sees their own slots alone: those they hold, handed in, or that wait for them.
pub(super) fn visible_slots<C: ColumnTrait>(scope: Scope, (project, task, slot): (C, C, C)) -> Condition {
    use entity::{project as projects, project_member as members, task_slot as slots};
    let visible = visible(scope, project);
    if scope.admin {
        return visible;
    }
    let blind = Query::select()
        .column((members::Entity, members::Column::ProjectId))
        .from(members::Entity)
        .inner_join(
            projects::Entity,
            Expr::col((projects::Entity, projects::Column::Id)).equals((members::Entity, members::Column::ProjectId)),
        )
        .and_where(Expr::col((members::Entity, members::Column::UserId)).eq(scope.user.0))
        .and_where(Expr::col((members::Entity, members::Column::Role)).eq(Role::Annotator.as_str()))
        .and_where(Expr::col((projects::Entity, projects::Column::Overlap)).gt(1))
        .to_owned();
    let is_mine = |column| Expr::col((slots::Entity, column)).eq(scope.user.0);
    let own = Query::select()
        .expr(Expr::cust("1"))
        .from(slots::Entity)
        .and_where(Expr::col((slots::Entity, slots::Column::TaskId)).equals(task.as_column_ref()))
        .and_where(Expr::col((slots::Entity, slots::Column::Number)).equals(slot.as_column_ref()))
        .cond_where(
            Condition::any()
                .add(is_mine(slots::Column::HolderId))
                .add(is_mine(slots::Column::SubmittedBy))
                .add(is_mine(slots::Column::ReservedFor)),
        )
        .to_owned();
    visible.add(Condition::any().add(project.not_in_subquery(blind)).add(Expr::exists(own)))
}
