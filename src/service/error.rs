//! Why a use case did not happen: a stable code, the field at fault, a sentence that helps.

use std::time::Duration;

use crate::{
    backend::{presence::PresenceError, session::SessionError, storage::StorageError},
    domain::{
        edit::Rejection,
        life_cycle::TransitionError,
        page::PageError,
        permission::Action,
        template::{ContentError, TemplateError},
        words::{ErrorCode, ProjectState},
    },
    repo::{RepoError, annotation::Annotation},
};

/// The error of every use case. Nothing has happened when one is returned.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Nobody is signed in, or the credential has ended.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// The asker's role, or a signed URL, does not allow it; the text says what would.
    #[error("{0}")]
    Forbidden(&'static str),
    /// As [`ServiceError::Forbidden`], because of one thing in the input.
    #[error("{message}")]
    ForbiddenAt {
        /// Where in the input.
        field: &'static str,
        /// Why not.
        message: &'static str,
    },
    /// There is no such thing, or it is not visible: the two are not told apart.
    #[error("no such {what}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// Where its id stood in the input.
        field: String,
    },
    /// The input is wrong.
    #[error("{field}: {message}")]
    Invalid {
        /// Where in the input.
        field: String,
        /// What to do instead.
        message: String,
    },
    /// More than one request, list or user may have.
    #[error("{field}: {message}")]
    LimitExceeded {
        /// Where in the input.
        field: String,
        /// The limit.
        message: String,
    },
    /// Not in this state.
    #[error("{message}")]
    Transition {
        /// What names the thing in the input.
        field: String,
        /// Why not.
        message: String,
    },
    /// The fence of the session does not hold any more.
    #[error("{message}")]
    LeaseLost {
        /// What became of the lease.
        message: String,
    },
    /// A required tool is unused.
    #[error("{message}")]
    Incomplete {
        /// What names the thing in the input.
        field: String,
        /// Which tools.
        message: String,
    },
    /// Based on an older state.
    #[error("{message}")]
    Stale {
        /// Where in the input.
        field: String,
        /// What the state is now.
        message: String,
    },
    /// As [`ServiceError::Stale`], of an annotation, which comes along.
    #[error("the annotation was changed since; look at it again")]
    Outdated {
        /// Where in the input.
        field: &'static str,
        /// What it is now.
        current: Box<Annotation>,
    },
    /// What the rules of edits refuse, outside a save.
    #[error("{}", .0.message)]
    Rejected(Rejection),
    /// Conflicts wait for a decision.
    #[error("conflicts are open, {waiting} of them; resolve them first")]
    ConflictOpen {
        /// How many.
        waiting: i64,
    },
    /// The project hands out nothing now.
    #[error("the project is {0}; it hands out nothing now")]
    ProjectPaused(ProjectState),
    /// More bytes than announced or allowed.
    #[error("more than the {limit_bytes} bytes that were announced")]
    TooLarge {
        /// Bytes allowed.
        limit_bytes: u64,
    },
    /// Too many attempts.
    #[error("too many attempts; wait {} s", .retry_after.as_millis().div_ceil(1000))]
    RateLimited {
        /// How long to wait.
        retry_after: Duration,
    },
    /// Something needed is away; nothing happened, trying again may help.
    #[error("{0}")]
    Unavailable(&'static str),
    /// Something needed went away, or time ran out, at the end: the change may have been made or not.
    #[error("{0}")]
    Undecided(&'static str),
    /// A fault of the server; the cause is for the log alone.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ServiceError {
    /// The input is wrong at `field`.
    #[expect(clippy::needless_pass_by_value, reason = "errors and texts alike")]
    pub fn invalid(field: impl Into<String>, message: impl ToString) -> Self {
        Self::Invalid { field: field.into(), message: message.to_string() }
    }

    /// There is no `what` with the id at `field`, or it is not visible.
    pub fn not_found(what: &'static str, field: impl Into<String>) -> Self {
        Self::NotFound { what, field: field.into() }
    }

    /// The thing at `field` is in a state that does not allow it.
    pub fn transition(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Transition { field: field.into(), message: message.into() }
    }

    /// A list at `field` is longer than `limit`.
    pub fn limit(field: impl Into<String>, limit: impl std::fmt::Display, what: &str) -> Self {
        Self::LimitExceeded { field: field.into(), message: format!("at most {limit} {what}") }
    }

    /// The fence of the session does not hold: `why` says what became of the lease.
    pub fn lease_lost(why: impl Into<String>) -> Self {
        Self::LeaseLost { message: why.into() }
    }

    /// The asker may not do `action`.
    #[must_use]
    pub fn forbidden(action: Action) -> Self {
        Self::Forbidden(match action {
            Action::Read => "reading takes a member",
            Action::Label => "labeling takes an annotator",
            Action::Review => "reviewing takes a reviewer",
            Action::ChangeSettings => "changing settings takes a manager",
            Action::PublishTemplate => "publishing templates takes a manager",
            Action::ManageAssets => "managing assets takes a manager",
            Action::RunJobs => "importing and exporting takes a manager",
            Action::ManageTasks => "managing tasks takes a manager",
            Action::ManageMembers => "managing members takes a manager",
            Action::ManageManagers => "managing managers takes an admin",
        })
    }

    /// Stable code; clients branch on it, so renaming one is a breaking change.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Unauthenticated(_) => ErrorCode::Unauthenticated,
            Self::Forbidden(_) | Self::ForbiddenAt { .. } => ErrorCode::Forbidden,
            Self::NotFound { .. } => ErrorCode::NotFound,
            Self::Invalid { .. } => ErrorCode::BadUserInput,
            Self::LimitExceeded { .. } => ErrorCode::LimitExceeded,
            Self::Transition { .. } => ErrorCode::InvalidTransition,
            Self::LeaseLost { .. } => ErrorCode::LeaseLost,
            Self::Incomplete { .. } => ErrorCode::Incomplete,
            Self::Stale { .. } | Self::Outdated { .. } => ErrorCode::Stale,
            Self::Rejected(rejection) => rejection.code,
            Self::ConflictOpen { .. } => ErrorCode::ConflictOpen,
            Self::ProjectPaused(_) => ErrorCode::ProjectPaused,
            Self::TooLarge { .. } => ErrorCode::PayloadTooLarge,
            Self::RateLimited { .. } => ErrorCode::RateLimited,
            Self::Unavailable(_) | Self::Undecided(_) => ErrorCode::Unavailable,
            Self::Internal(_) => ErrorCode::Internal,
        }
    }

    /// Where in the input the error is, as a path in the API's spelling.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::NotFound { field, .. }
            | Self::Invalid { field, .. }
            | Self::LimitExceeded { field, .. }
            | Self::Transition { field, .. }
            | Self::Incomplete { field, .. }
            | Self::Stale { field, .. } => Some(field),
            Self::LeaseLost { .. } => Some("fence"),
            Self::ForbiddenAt { field, .. } | Self::Outdated { field, .. } => Some(field),
            Self::Rejected(rejection) => Some(&rejection.field),
            Self::ConflictOpen { .. } => Some("sessionId"),
            Self::Unauthenticated(_)
            | Self::Forbidden(_)
            | Self::ProjectPaused(_)
            | Self::TooLarge { .. }
            | Self::RateLimited { .. }
            | Self::Unavailable(_)
            | Self::Undecided(_)
            | Self::Internal(_) => None,
        }
    }

    /// The annotation as it is now, where that is why nothing happened.
    #[must_use]
    pub fn current(&self) -> Option<&Annotation> {
        match self {
            Self::Outdated { current, .. } => Some(current),
            _ => None,
        }
    }

    /// What others are told for whom it was tried together.
    #[must_use]
    pub fn shared(&self) -> Self {
        match self {
            Self::Unavailable(what) => Self::Unavailable(what),
            Self::Internal(cause) => Self::Internal(cause.to_string().into()),
            other => Self::Internal(other.to_string().into()),
        }
    }

    /// How long to wait before the same request makes sense again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } => Some(*retry_after),
            Self::Unavailable(_) => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}

impl From<RepoError> for ServiceError {
    fn from(error: RepoError) -> Self {
        match error {
            RepoError::Unavailable(cause) => {
                tracing::warn!(error = %cause, "database unavailable");
                Self::Unavailable("the database is not available")
            }
            RepoError::Undecided(cause) => {
                tracing::warn!(error = %cause, "database lost in a commit");
                Self::Undecided(
                    "the database went away while the change was made: look whether it was, before you repeat it",
                )
            }
            RepoError::Shared(cause) if matches!(*cause, RepoError::Unavailable(_)) => {
                Self::Unavailable("the database is not available")
            }
            other => Self::Internal(Box::new(other)),
        }
    }
}

impl From<StorageError> for ServiceError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::TooLarge { limit } => Self::TooLarge { limit_bytes: limit },
            StorageError::Interrupted(_) => Self::invalid("body", "the upload broke off"),
            StorageError::Unavailable(cause) => {
                tracing::warn!(error = %cause, "storage unavailable");
                Self::Unavailable("the file storage is not available")
            }
            missing @ StorageError::NotFound => Self::Internal(Box::new(missing)),
        }
    }
}

impl From<SessionError> for ServiceError {
    fn from(error: SessionError) -> Self {
        let SessionError::Unavailable(cause) = error;
        tracing::warn!(error = %cause, "session store unavailable");
        Self::Unavailable("the session store is not available")
    }
}

impl From<PresenceError> for ServiceError {
    fn from(error: PresenceError) -> Self {
        let PresenceError::Unavailable(cause) = error;
        tracing::warn!(error = %cause, "presence store unavailable");
        Self::Unavailable("the presence store is not available")
    }
}

impl From<TransitionError> for ServiceError {
    fn from(error: TransitionError) -> Self {
        let field = match error {
            TransitionError::Task(..) => "taskId",
            TransitionError::Slot(..) | TransitionError::NoSlot(_) => "slot",
        };
        Self::transition(field, error.to_string())
    }
}

impl From<PageError> for ServiceError {
    fn from(error: PageError) -> Self {
        Self::invalid(error.field, error.message)
    }
}

impl From<TemplateError> for ServiceError {
    fn from(error: TemplateError) -> Self {
        Self::invalid(error.field, error.message)
    }
}

impl From<ContentError> for ServiceError {
    fn from(error: ContentError) -> Self {
        Self::invalid(error.field, error.message)
    }
}
