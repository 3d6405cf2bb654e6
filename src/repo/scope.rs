//! What an asker may see. The private start of every query over a project's rows.

use entity::{project, project_member as member, task, task_slot};
use sea_orm::{
    ColumnTrait,
    sea_query::{Condition, Expr, ExprTrait, Query},
};
use uuid::Uuid;

use crate::domain::{
    ids::{ProjectId, UserId},
    words::Role,
};

/// Whose eyes a query looks through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The asker.
    pub user: UserId,
    /// Whether the asker sees every project.
    pub admin: bool,
    /// Only this one, whoever asks.
    pub only: Option<ProjectId>,
}

impl Scope {
    /// Everything in one project, as whoever sees all of it does; nothing in others.
    #[must_use]
    pub fn all_of(project: ProjectId) -> Self {
        Self { user: UserId(Uuid::nil()), admin: true, only: Some(project) }
    }
}

/// Only rows of projects that `scope` sees; `project` is the column that names the project.
pub(super) fn visible(scope: Scope, project: impl ColumnTrait) -> Condition {
    in_memberships(scope, project, Condition::all())
}

/// Only rows of projects that `scope` manages.
pub(super) fn managed(scope: Scope, project: impl ColumnTrait) -> Condition {
    let manager = Expr::col(member::Column::Role).eq(Role::Manager.as_str());
    in_memberships(scope, project, Condition::all().add(manager))
}

/// Only rows of projects in which `scope` has such a membership; an admin has any.
fn in_memberships(scope: Scope, project: impl ColumnTrait, such: Condition) -> Condition {
    if let Some(only) = scope.only {
        return Condition::all().add(project.eq(only.0));
    }
    if scope.admin {
        return Condition::all();
    }
    let memberships = Query::select()
        .column(member::Column::ProjectId)
        .from(member::Entity)
        .and_where(Expr::col(member::Column::UserId).eq(scope.user.0))
        .cond_where(such)
        .to_owned();
    Condition::all().add(project.in_subquery(memberships))
}

/// Blind labeling: where several people label each task, somebody who is exactly an annotator sees of a slot's work only
/// what is in a slot they hold, handed in, or have reserved for them. The columns name the row's project, task and slot.
/// [`crate::live::Sight`] says the same of events.
pub(super) fn visible_slot<C: ColumnTrait>(scope: Scope, project: C, task: C, slot: C) -> Condition {
    if scope.admin {
        return Condition::all();
    }
    let blind = Query::select()
        .column((member::Entity, member::Column::ProjectId))
        .from(member::Entity)
        .inner_join(
            project::Entity,
            Expr::col((project::Entity, project::Column::Id)).equals((member::Entity, member::Column::ProjectId)),
        )
        .and_where(Expr::col((member::Entity, member::Column::UserId)).eq(scope.user.0))
        .and_where(Expr::col((member::Entity, member::Column::Role)).eq(Role::Annotator.as_str()))
        .and_where(Expr::col((project::Entity, project::Column::Overlap)).gt(1))
        .to_owned();
    let own = Query::select()
        .expr(Expr::cust("1"))
        .from(task_slot::Entity)
        .and_where(Expr::col((task_slot::Entity, task_slot::Column::TaskId)).equals(task.as_column_ref()))
        .and_where(Expr::col((task_slot::Entity, task_slot::Column::Number)).equals(slot.as_column_ref()))
        .cond_where(own_slot(scope.user))
        .to_owned();
    Condition::all().add(Condition::any().add(project.not_in_subquery(blind)).add(Expr::exists(own)))
}

/// The slots a person holds, handed in, or has reserved for them.
pub(super) fn own_slot(user: UserId) -> Condition {
    use task_slot::Column as C;
    [C::HolderId, C::SubmittedBy, C::ReservedFor]
        .into_iter()
        .fold(Condition::any(), |any, column| any.add(column.eq(user.0)))
}

/// Only rows of tasks that no running import hides; `task` is the column that names the task.
pub(super) fn shown_task(task: impl ColumnTrait) -> Expr {
    let shown = Query::select()
        .expr(Expr::cust("1"))
        .from(task::Entity)
        .and_where(Expr::col((task::Entity, task::Column::Id)).equals(task.as_column_ref()))
        .and_where(Expr::col((task::Entity, task::Column::ImportJob)).is_null())
        .to_owned();
    Expr::exists(shown)
}
