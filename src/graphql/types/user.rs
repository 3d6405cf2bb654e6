//! People, their tokens, and their membership.

use async_graphql::{Context, ID, Object, SimpleObject};
use chrono::{DateTime, Utc};

use crate::{
    domain::ids::UserId,
    graphql::{
        context::Ctx,
        error::ApiError,
        live::of_viewer,
        loader::EmailOf,
        types::{session::LabelingSession, words::Role},
    },
    repo::{self, access_token, session},
};

/// A person.
pub(in crate::graphql) struct User(pub(in crate::graphql) repo::user::User);

impl User {
    /// The person with an id that a row refers to.
    pub(in crate::graphql) async fn load(ctx: &Context<'_>, id: UserId) -> Result<Self, ApiError> {
        Ok(Self(ctx.loaders().get(id).await?))
    }

    /// As [`User::load`], where the row may refer to nobody.
    pub(in crate::graphql) async fn load_opt(ctx: &Context<'_>, id: Option<UserId>) -> Result<Option<Self>, ApiError> {
        match id {
            Some(id) => Ok(ctx.loaders().find(id).await?.map(Self)),
            None => Ok(None),
        }
    }
}

#[Object]
impl User {
    /// `user_…`
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// What others see.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// The address: seen by oneself, by managers of a project the person is in, and by admins.
    #[graphql(directive = of_viewer::apply())]
    async fn email(&self, ctx: &Context<'_>) -> Result<Option<&str>, ApiError> {
        let visible = ctx.is_oneself(self.0.id)
            || ctx.viewer()?.user.admin
            || ctx.loaders().find(EmailOf(self.0.id)).await?.is_some();
        Ok(visible.then_some(self.0.email.as_str()))
    }

    /// Whether the person is an admin of the whole server.
    async fn admin(&self) -> bool {
        self.0.admin
    }

    /// Whether every way in is closed.
    async fn disabled(&self) -> bool {
        self.0.disabled
    }

    /// Your labeling sessions whose lease or review runs, oldest first: what a reloaded screen goes on with. Only oneself
    /// sees one's own; at most 200.
    #[graphql(directive = of_viewer::apply())]
    async fn sessions(&self, ctx: &Context<'_>) -> Result<Vec<LabelingSession>, ApiError> {
        if !ctx.is_oneself(self.0.id) {
            return Ok(Vec::new());
        }
        let sessions = session::open_of(&ctx.app().db, self.0.id).await?;
        Ok(sessions.into_iter().map(LabelingSession).collect())
    }

    /// Live access tokens, oldest first; only oneself sees one's own.
    #[graphql(directive = of_viewer::apply())]
    async fn access_tokens(&self, ctx: &Context<'_>) -> Result<Vec<AccessToken>, ApiError> {
        if !ctx.is_oneself(self.0.id) {
            return Ok(Vec::new());
        }
        let tokens = access_token::of_user(&ctx.app().db, self.0.id).await?;
        Ok(tokens.into_iter().map(AccessToken).collect())
    }
}

/// A token for programs. Its secret is shown once, when it is made.
pub(in crate::graphql) struct AccessToken(pub(in crate::graphql) access_token::AccessToken);

#[Object]
impl AccessToken {
    /// `tok_…`
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// What its owner calls it.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When it ends; null: never.
    async fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.0.expires_at
    }

    /// When it was last used, to a minute.
    async fn last_used_at(&self) -> Option<DateTime<Utc>> {
        self.0.last_used_at
    }
}

/// One person in one project.
pub(in crate::graphql) struct Member(pub(in crate::graphql) repo::member::Member);

#[Object]
impl Member {
    /// The person.
    async fn user(&self, ctx: &Context<'_>) -> Result<User, ApiError> {
        User::load(ctx, self.0.user).await
    }

    /// What the person may do.
    async fn role(&self) -> Role {
        self.0.role.into()
    }

    /// Since when the person is in the project.
    async fn since(&self) -> DateTime<Utc> {
        self.0.since
    }
}

/// A person who came in.
#[derive(SimpleObject)]
pub(in crate::graphql) struct SignInPayload {
    /// Who.
    pub(in crate::graphql) user: User,
    /// Bearer token for the `Authorization` header.
    pub(in crate::graphql) token: String,
    /// When it ends unless it is used.
    pub(in crate::graphql) expires_at: DateTime<Utc>,
}
