//! The permission table of DESIGN section 1: which role may do what. What a role may do is said here only.

use crate::domain::words::Role;

/// Something a member may want to do in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// See the project and all in it.
    Read,
    /// Claim, join, edit, submit, skip, release, withdraw one's own.
    Label,
    /// Review the work of others.
    Review,
    /// Change name, state and settings.
    ChangeSettings,
    /// Publish a template version.
    PublishTemplate,
    /// Upload and complete assets.
    ManageAssets,
    /// Create, prioritise, reserve, archive tasks.
    ManageTasks,
    /// Import and export data sets, and see how that goes.
    RunJobs,
    /// Add, change and remove members below manager.
    ManageMembers,
    /// Add, change and remove managers.
    ManageManagers,
}

/// What somebody is in a project: a member's role, or the server-wide admin who is in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A member.
    Member(Role),
    /// A server-wide admin.
    Admin,
}

impl Standing {
    /// Whether somebody of this standing labels blind in a project with `overlap` slots a task: sees only their own.
    #[must_use]
    pub fn is_blind(self, overlap: i32) -> bool {
        overlap > 1 && self == Self::Member(Role::Annotator)
    }

    /// Whether this standing allows `action`.
    #[must_use]
    pub fn may(self, action: Action) -> bool {
        match self {
            Self::Admin => true,
            Self::Member(role) => least_role(action).is_some_and(|least| role >= least),
        }
    }
}

/// The lowest role that may do `action`; none where only an admin may.
fn least_role(action: Action) -> Option<Role> {
    match action {
        Action::Read => Some(Role::Viewer),
        Action::Label => Some(Role::Annotator),
        Action::Review => Some(Role::Reviewer),
        Action::ChangeSettings
        | Action::PublishTemplate
        | Action::ManageAssets
        | Action::ManageTasks
        | Action::RunJobs
        | Action::ManageMembers => Some(Role::Manager),
        Action::ManageManagers => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_one_of_the_design() {
        use {Action as A, Role as R};
        for (action, allowed) in [
            (A::Read, &[R::Viewer, R::Annotator, R::Reviewer, R::Manager][..]),
            (A::Label, &[R::Annotator, R::Reviewer, R::Manager]),
            (A::Review, &[R::Reviewer, R::Manager]),
            (A::ChangeSettings, &[R::Manager]),
            (A::PublishTemplate, &[R::Manager]),
            (A::ManageAssets, &[R::Manager]),
            (A::ManageTasks, &[R::Manager]),
            (A::RunJobs, &[R::Manager]),
            (A::ManageMembers, &[R::Manager]),
            (A::ManageManagers, &[]),
        ] {
            for role in [R::Viewer, R::Annotator, R::Reviewer, R::Manager] {
                assert_eq!(Standing::Member(role).may(action), allowed.contains(&role), "{role} {action:?}");
            }
            assert!(Standing::Admin.may(action), "admin {action:?}");
        }
    }
}
