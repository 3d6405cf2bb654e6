//! Access tokens of the viewer's own: for programs, with a name and an end.

use crate::{
    domain::{ids::AccessTokenId, limits},
    repo::{access_token as repo, access_token::AccessToken, instance, user::User},
    service::{
        App, ServiceError, Viewer,
        secret::{self, Purpose},
        validate,
    },
};

/// Makes a token; the secret is given this once.
///
/// # Errors
/// [`ServiceError::Invalid`] for a bad name or life time, [`ServiceError::LimitExceeded`] when the user has too many.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id))]
pub async fn create(
    app: &App,
    viewer: &Viewer,
    name: &str,
    expires_in_days: Option<i32>,
) -> Result<(AccessToken, String), ServiceError> {
    create_for(app, &viewer.user, name, expires_in_days).await
}

/// As [`create`], on behalf of the operator, who has the machine.
///
/// # Errors
/// As [`create`].
pub async fn create_for(
    app: &App,
    user: &User,
    name: &str,
    expires_in_days: Option<i32>,
) -> Result<(AccessToken, String), ServiceError> {
    let name = validate::name("name", name)?;
    if let Some(days) = expires_in_days
        && !(1..=limits::ACCESS_TOKEN_DAYS).contains(&days)
    {
        let message = format!("must be from 1 to {}", limits::ACCESS_TOKEN_DAYS);
        return Err(ServiceError::invalid("expiresInDays", message));
    }
    let (secret, hash) = secret::generate(Purpose::AccessToken)?;
    let txn = app.db.begin().await?;
    if repo::of_user(&txn, user.id).await?.len() as u64 >= limits::ACCESS_TOKENS {
        return Err(ServiceError::limit("name", limits::ACCESS_TOKENS, "access tokens; revoke one first"));
    }
    let token = repo::insert(&txn, user.id, name, hash, expires_in_days).await?;
    txn.commit().await?;
    Ok((token, secret))
}

/// Ends a token of the viewer's own.
///
/// # Errors
/// [`ServiceError::NotFound`] when the viewer has no such token.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id))]
pub async fn revoke(app: &App, viewer: &Viewer, id: AccessTokenId) -> Result<AccessToken, ServiceError> {
    let txn = app.db.begin().await?;
    let revoked = repo::revoke(&txn, viewer.user.id, id).await?;
    let revoked = revoked.ok_or_else(|| ServiceError::not_found("access token", "tokenId"))?;
    instance::note_sign_ins(&txn).await?;
    txn.commit().await?;
    Ok(revoked)
}
