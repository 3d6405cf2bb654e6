//! What is counted per project, beside its event streams, so that no list is ever counted by reading it.

use strum::VariantArray;

use crate::domain::words::TaskState;

/// One counted thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Tasks in a state.
    Tasks(TaskState),
    /// FREE slots of tasks that are neither archived nor quarantined.
    Claimable,
    /// Open conflicts.
    OpenConflicts,
}

impl Counter {
    /// The counter's name in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tasks(state) => state.as_str(),
            Self::Claimable => "claimable",
            Self::OpenConflicts => "open_conflicts",
        }
    }

    /// The counters of tasks, one per state.
    pub fn of_tasks() -> impl Iterator<Item = (TaskState, Self)> {
        TaskState::VARIANTS.iter().map(|state| (*state, Self::Tasks(*state)))
    }
}
