//! What is counted per project, beside its event streams, so that no list is ever counted by reading it.
//!
//! A stream's row holds the counters of the tasks whose events go to it; a project's count is the sum over its streams.

use strum::VariantArray;

use crate::domain::words::TaskState;

/// One counted thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counter {
    /// Tasks in a state.
    Tasks(TaskState),
    /// FREE slots of tasks that are neither archived nor quarantined.
    Claimable,
    /// Open conflicts.
    OpenConflicts,
}

impl Counter {
    /// The counter's column in a stream's row.
    #[must_use]
    pub fn column(self) -> &'static str {
        match self {
            Self::Tasks(TaskState::Queued) => "tasks_queued",
            Self::Tasks(TaskState::InProgress) => "tasks_in_progress",
            Self::Tasks(TaskState::Submitted) => "tasks_submitted",
            Self::Tasks(TaskState::InReview) => "tasks_in_review",
            Self::Tasks(TaskState::Rework) => "tasks_rework",
            Self::Tasks(TaskState::Accepted) => "tasks_accepted",
            Self::Tasks(TaskState::Skipped) => "tasks_skipped",
            Self::Tasks(TaskState::Quarantined) => "tasks_quarantined",
            Self::Tasks(TaskState::Archived) => "tasks_archived",
            Self::Claimable => "claimable",
            Self::OpenConflicts => "open_conflicts",
        }
    }

    /// The counters of tasks, one per state.
    pub fn of_tasks() -> impl Iterator<Item = (TaskState, Self)> {
        TaskState::VARIANTS.iter().map(|state| (*state, Self::Tasks(*state)))
    }

    /// Every counter.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::of_tasks().map(|(_, counter)| counter).chain([Self::Claimable, Self::OpenConflicts])
    }
}
