//! Turns on slots, and what reviewers said of them.

use async_graphql::{Context, ID, Object};
use chrono::{DateTime, Utc};

use crate::{
    graphql::{
        error::ApiError,
        types::{
            user::User,
            words::{AssignmentState, ReviewVerdict},
        },
    },
    repo,
};

/// One person's turn on one slot: history, one for each lease.
pub(in crate::graphql) struct Assignment(pub(in crate::graphql) repo::assignment::Assignment);

#[Object]
impl Assignment {
    /// `asgn_…`
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// The slot's number.
    async fn slot(&self) -> i32 {
        self.0.slot
    }

    /// Whose turn it was.
    async fn annotator(&self, ctx: &Context<'_>) -> Result<User, ApiError> {
        User::load(ctx, self.0.annotator).await
    }

    /// How it stands.
    async fn state(&self) -> AssignmentState {
        self.0.state.into()
    }

    /// The slot's round then.
    async fn round(&self) -> i32 {
        self.0.round
    }

    /// When the slot was leased.
    async fn started_at(&self) -> DateTime<Utc> {
        self.0.started_at
    }

    /// When the turn ended; null while it runs.
    async fn ended_at(&self) -> Option<DateTime<Utc>> {
        self.0.ended_at
    }
}

/// What a reviewer said of a slot.
pub(in crate::graphql) struct Review(pub(in crate::graphql) repo::review::Review);

#[Object]
impl Review {
    /// `rev_…`
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// The slot's number.
    async fn slot(&self) -> i32 {
        self.0.slot
    }

    /// Right or wrong.
    async fn verdict(&self) -> ReviewVerdict {
        self.0.verdict.into()
    }

    /// What the annotator should know.
    async fn comment(&self) -> Option<&str> {
        self.0.comment.as_deref()
    }

    /// Who judged.
    async fn reviewer(&self, ctx: &Context<'_>) -> Result<User, ApiError> {
        User::load(ctx, self.0.reviewer).await
    }

    /// The round that was judged.
    async fn round(&self) -> i32 {
        self.0.round
    }

    /// When.
    async fn at(&self) -> DateTime<Utc> {
        self.0.at
    }
}
