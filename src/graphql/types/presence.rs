//! Who has a task open.

use async_graphql::{Context, ID, Object};
use chrono::{DateTime, Utc};

use crate::{
    backend::presence::Present,
    graphql::{
        error::ApiError,
        types::{user::User, words::SessionRole},
    },
};

/// Somebody's open screen: one entry for each, so that who has two has two.
pub(in crate::graphql) struct Presence(pub(in crate::graphql) Present);

#[Object]
impl Presence {
    /// Whose it is.
    async fn user(&self, ctx: &Context<'_>) -> Result<User, ApiError> {
        User::load(ctx, self.0.user).await
    }

    /// Tells the screens of one person apart.
    async fn session_id(&self) -> ID {
        self.0.session.to_string().into()
    }

    /// In which part they have the task open.
    async fn role(&self) -> SessionRole {
        self.0.role.into()
    }

    /// The number of the slot they are in; 0 in a review of several slots.
    async fn slot(&self) -> i32 {
        self.0.slot.unwrap_or(0)
    }

    /// What they have selected, as their last heartbeat that said so did. It may not have been saved yet.
    async fn selected_annotation_id(&self) -> Option<ID> {
        self.0.selected.map(|id| id.to_string().into())
    }

    /// When the screen was opened.
    async fn since(&self) -> DateTime<Utc> {
        self.0.since
    }
}
