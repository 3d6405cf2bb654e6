//! Signing in and out, people, access tokens.

use async_graphql::{Context, ID, InputObject, Object, OneofObject, SimpleObject};
use chrono::{DateTime, Utc};

use crate::{
    graphql::{
        context::{CameIn, Ctx, id},
        error::ApiError,
        types::user::{AccessToken, SignInPayload, User},
    },
    service::{access_token, sign_in, user},
};

#[derive(Default)]
pub(super) struct IdentityMutation;

/// One way to sign in.
#[derive(OneofObject)]
enum SignInInput {
    /// The secret of a sign-in link: what stands behind `link=`.
    Link(String),
    /// Address and password.
    Password(PasswordSignInInput),
}

/// Address and password.
#[derive(InputObject)]
struct PasswordSignInInput {
    /// The address.
    email: String,
    /// The password.
    password: String,
}

/// Ends the session this request came with, or all.
#[derive(InputObject)]
struct SignOutInput {
    /// End every session of yours, on all devices; default false.
    everywhere: Option<bool>,
}

/// How many sessions ended.
#[derive(SimpleObject)]
struct SignOutPayload {
    /// Their number.
    ended: i32,
}

/// Makes a link for somebody who cannot come in.
#[derive(InputObject)]
struct CreateSignInLinkInput {
    /// For whom.
    user_id: ID,
}

/// A link that signs in once.
#[derive(SimpleObject)]
struct CreateSignInLinkPayload {
    /// Where to open it.
    url: String,
    /// Until when it works.
    expires_at: DateTime<Utc>,
}

/// A new user.
#[derive(InputObject)]
struct CreateUserInput {
    /// The address, unique.
    email: String,
    /// What others see.
    name: String,
    /// Admin of the whole server; default false.
    admin: Option<bool>,
    /// For signing in without a link; from 10 to 200 characters.
    password: Option<String>,
}

/// The user made.
#[derive(SimpleObject)]
struct CreateUserPayload {
    /// The user.
    user: User,
}

/// What to change about a user; null leaves a field as it is.
#[derive(InputObject)]
struct UpdateUserInput {
    /// Which.
    user_id: ID,
    /// What others see.
    name: Option<String>,
    /// Admin of the whole server.
    admin: Option<bool>,
    /// Close every way in, and sign out everywhere.
    disabled: Option<bool>,
    /// For signing in without a link; from 10 to 200 characters.
    password: Option<String>,
}

/// The user changed.
#[derive(SimpleObject)]
struct UpdateUserPayload {
    /// The user.
    user: User,
}

/// A token for a program.
#[derive(InputObject)]
struct CreateAccessTokenInput {
    /// What you call it.
    name: String,
    /// When it ends; null: never.
    expires_in_days: Option<i32>,
}

/// The token made.
#[derive(SimpleObject)]
struct CreateAccessTokenPayload {
    /// The token.
    token: AccessToken,
    /// The secret to send as bearer token: shown this once.
    secret: String,
}

/// Ends a token.
#[derive(InputObject)]
struct RevokeAccessTokenInput {
    /// Which.
    token_id: ID,
}

/// The token ended.
#[derive(SimpleObject)]
struct RevokeAccessTokenPayload {
    /// The token.
    token: AccessToken,
}

#[Object]
impl IdentityMutation {
    /// Signs in. The token is for the `Authorization` header; a browser gets a cookie from the sign-in page instead.
    /// Codes: `UNAUTHENTICATED`, `BAD_USER_INPUT`, `RATE_LIMITED`.
    async fn sign_in(&self, ctx: &Context<'_>, input: SignInInput) -> Result<SignInPayload, ApiError> {
        let signed_in = match input {
            SignInInput::Link(link) => sign_in::by_link(ctx.app(), &link).await?,
            SignInInput::Password(PasswordSignInInput { email, password }) => {
                sign_in::by_password(ctx.app(), &email, password, ctx.address()).await?
            }
        };
        let sign_in::SignedIn { user, token, expires_at } = signed_in;
        ctx.data_unchecked::<CameIn>().get_or_init(|| user.id);
        Ok(SignInPayload { user: User(user), token, expires_at })
    }

    /// Signs out. An access token is not ended by this: revoke it.
    async fn sign_out(&self, ctx: &Context<'_>, input: SignOutInput) -> Result<SignOutPayload, ApiError> {
        let ended = sign_in::sign_out(ctx.app(), ctx.viewer()?, input.everywhere.unwrap_or(false)).await?;
        Ok(SignOutPayload { ended: i32::try_from(ended).unwrap_or(i32::MAX) })
    }

    /// Makes a one-time link for somebody; admins only. Codes: `FORBIDDEN`, `NOT_FOUND`, `INVALID_TRANSITION`.
    async fn create_sign_in_link(
        &self,
        ctx: &Context<'_>,
        input: CreateSignInLinkInput,
    ) -> Result<CreateSignInLinkPayload, ApiError> {
        let link = sign_in::create_link(ctx.app(), ctx.viewer()?, id("userId", &input.user_id)?).await?;
        Ok(CreateSignInLinkPayload { url: link.url, expires_at: link.expires_at })
    }

    /// Adds a user; admins only. Codes: `FORBIDDEN`, `BAD_USER_INPUT`.
    async fn create_user(&self, ctx: &Context<'_>, input: CreateUserInput) -> Result<CreateUserPayload, ApiError> {
        let CreateUserInput { email, name, admin, password } = input;
        let new = user::CreateUser { email, name, admin: admin.unwrap_or(false), password };
        Ok(CreateUserPayload { user: User(user::create(ctx.app(), ctx.viewer()?, new).await?) })
    }

    /// Changes a user: everybody their own name and password, admins everything of everybody. Codes: `FORBIDDEN`,
    /// `NOT_FOUND`, `BAD_USER_INPUT`, `INVALID_TRANSITION`.
    async fn update_user(&self, ctx: &Context<'_>, input: UpdateUserInput) -> Result<UpdateUserPayload, ApiError> {
        let UpdateUserInput { user_id, name, admin, disabled, password } = input;
        let change = user::UpdateUser { user: id("userId", &user_id)?, name, admin, disabled, password };
        Ok(UpdateUserPayload { user: User(user::update(ctx.app(), ctx.viewer()?, change).await?) })
    }

    /// Makes an access token of your own. Codes: `BAD_USER_INPUT`, `LIMIT_EXCEEDED`.
    async fn create_access_token(
        &self,
        ctx: &Context<'_>,
        input: CreateAccessTokenInput,
    ) -> Result<CreateAccessTokenPayload, ApiError> {
        let (token, secret) =
            access_token::create(ctx.app(), ctx.viewer()?, &input.name, input.expires_in_days).await?;
        Ok(CreateAccessTokenPayload { token: AccessToken(token), secret })
    }

    /// Ends an access token of your own. Codes: `NOT_FOUND`.
    async fn revoke_access_token(
        &self,
        ctx: &Context<'_>,
        input: RevokeAccessTokenInput,
    ) -> Result<RevokeAccessTokenPayload, ApiError> {
        let token = access_token::revoke(ctx.app(), ctx.viewer()?, id("tokenId", &input.token_id)?).await?;
        Ok(RevokeAccessTokenPayload { token: AccessToken(token) })
    }
}
