//! Coming in and going out: one-time links, passwords, the slowing down of guessers.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::{
    domain::ids::UserId,
    repo::{instance, sign_in as repo, user, user::User},
    service::{
        App, ServiceError, Viewer,
        identity::must_be_enabled,
        secret::{self, Purpose},
        validate,
    },
};

/// A person who came in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Who.
    pub user: User,
    /// The bearer token, also the value of the session cookie.
    pub token: String,
    /// When it ends unless it is used.
    pub expires_at: DateTime<Utc>,
}

/// Signs in once by a link that was printed or made by an admin.
///
/// # Errors
/// [`ServiceError::Unauthenticated`] when the link is unknown, used or too old, or its user disabled.
#[tracing::instrument(skip_all)]
pub async fn by_link(app: &App, link: &str) -> Result<SignedIn, ServiceError> {
    const USED: ServiceError = ServiceError::Unauthenticated("the sign-in link is unknown, used or too old");
    let txn = app.db.begin().await?;
    let user = repo::use_link(&txn, secret::hash(link)).await?.ok_or(USED)?;
    let user = user::find(&txn, user).await?.ok_or(USED)?;
    must_be_enabled(&user)?;
    let (token, hash) = secret::generate(Purpose::Login)?;
    let expires_at = repo::open(&txn, user.id, hash).await?;
    txn.commit().await?;
    Ok(SignedIn { user, token, expires_at })
}

/// Signs in by address and password. Every failure makes the next attempt for this account, and from this network
/// address, wait longer.
///
/// # Errors
/// [`ServiceError::Unauthenticated`] when they do not fit (which of the two is not said), [`ServiceError::RateLimited`]
/// after several failures, [`ServiceError::Invalid`] for what no e-mail address looks like.
#[tracing::instrument(skip_all)]
pub async fn by_password(app: &App, email: &str, password: String, address: &str) -> Result<SignedIn, ServiceError> {
    const WRONG: ServiceError = ServiceError::Unauthenticated("e-mail address and password do not fit");
    let email = validate::email("password.email", email)?;
    let account = subject("account", &email);
    let address = subject("address", address);
    let turn = app.passwords.turn().await?;
    must_not_be_slowed(app, &account, ACCOUNT).await?;
    must_not_be_slowed(app, &address, ADDRESS).await?;
    let subjects = [account, address];
    // Counted before the slow check, so that guesses made beside one another count as well.
    repo::add_failure(&app.db, &[(&subjects[0], ACCOUNT.forget_ms), (&subjects[1], ADDRESS.forget_ms)]).await?;
    let user = user::find_by_email(&app.db, &email).await?;
    let hash = user.as_ref().and_then(|user| user.password_hash.clone());
    let fits = app.passwords.verify(turn, password, hash).await?;
    let user = user.filter(|_| fits).ok_or(WRONG)?;
    must_be_enabled(&user)?;
    let (token, hash) = secret::generate(Purpose::Login)?;
    let txn = app.db.begin().await?;
    repo::forget_failures(&txn, &subjects[0], &subjects[1]).await?;
    let expires_at = repo::open(&txn, user.id, hash).await?;
    txn.commit().await?;
    Ok(SignedIn { user, token, expires_at })
}

/// How a kind of subject is slowed.
#[derive(Clone, Copy, Debug)]
struct Brake {
    /// Failures before it is.
    free: i32,
    /// The time after which one failure is forgotten.
    forget_ms: i64,
    /// The longest wait.
    longest_ms: i64,
}

const ACCOUNT: Brake = Brake { free: 5, forget_ms: 15 * 60 * 1000, longest_ms: 15 * 60 * 1000 };
/// Many people may share a network address: it forgets soon and is never slowed for long.
const ADDRESS: Brake = Brake { free: 50, forget_ms: 60 * 1000, longest_ms: 30 * 1000 };

async fn must_not_be_slowed(app: &App, subject: &str, brake: Brake) -> Result<(), ServiceError> {
    let failures = repo::failures(&app.db, &[subject.to_owned()]).await?;
    let wait_ms = failures.iter().map(|failures| wait_ms(*failures, brake)).max().unwrap_or(0);
    if wait_ms > 0 {
        return Err(ServiceError::RateLimited { retry_after: Duration::from_millis(wait_ms.unsigned_abs()) });
    }
    Ok(())
}

/// The milliseconds still to wait: 1 s after the first failure too many, doubled by each further one.
fn wait_ms(failures: repo::Failures, brake: Brake) -> i64 {
    let forgotten = failures.since_last_ms / brake.forget_ms;
    let excess = i64::from(failures.count) - forgotten - i64::from(brake.free);
    if excess < 0 {
        return 0;
    }
    let full = (1_000_i64 << excess.min(20)).min(brake.longest_ms);
    (full - failures.since_last_ms).max(0)
}

/// The name under which failures are remembered: hashed, so that the table is no list of addresses.
fn subject(kind: &str, value: &str) -> String {
    let hash = Sha256::digest(value);
    let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{kind}:{hex}")
}

/// Ends the viewer's login session, or all of them; gives how many. An access token is ended by revoking it.
///
/// # Errors
/// [`ServiceError`] of the database.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id))]
pub async fn sign_out(app: &App, viewer: &Viewer, everywhere: bool) -> Result<u64, ServiceError> {
    let only = (!everywhere).then_some(viewer.credential);
    let txn = app.db.begin().await?;
    let ended = repo::end(&txn, viewer.user.id, only).await?;
    instance::note_sign_ins(&txn).await?;
    txn.commit().await?;
    Ok(ended)
}

/// A link that signs in once.
#[derive(Clone, Debug)]
pub struct Link {
    /// Where to open it.
    pub url: String,
    /// Until when it works.
    pub expires_at: DateTime<Utc>,
}

/// Makes a sign-in link for somebody.
///
/// # Errors
/// [`ServiceError::Forbidden`] unless the viewer is an admin, [`ServiceError::NotFound`] for an unknown user.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id))]
pub async fn create_link(app: &App, viewer: &Viewer, user: UserId) -> Result<Link, ServiceError> {
    viewer.must_be_admin()?;
    let user = user::find(&app.db, user).await?.ok_or_else(|| ServiceError::not_found("user", "userId"))?;
    if user.disabled {
        return Err(ServiceError::transition("userId", "the account is disabled; enable it first"));
    }
    link_for(app, &user).await
}

/// Makes a sign-in link on behalf of the operator, who has the machine: at the first start and by the command line.
///
/// # Errors
/// [`ServiceError`] of the database.
pub async fn link_for(app: &App, user: &User) -> Result<Link, ServiceError> {
    let (token, hash) = secret::generate(Purpose::Link)?;
    let expires_at = repo::make_link(&app.db, user.id, hash).await?;
    Ok(Link { url: format!("{}/sign-in?link={token}", app.public_url), expires_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_beyond_the_free_ones_doubles_the_wait() {
        let failed = |count, since_last_ms| repo::Failures { count, since_last_ms };
        for (case, failures, want) in [
            ("none", failed(0, 0), 0),
            ("the last free one", failed(4, 0), 0),
            ("the first that waits", failed(5, 0), 1_000),
            ("half of it has passed", failed(5, 500), 500),
            ("all of it has passed", failed(5, 1_000), 0),
            ("three more", failed(8, 0), 8_000),
            ("very many", failed(1_000_000, 0), ACCOUNT.longest_ms),
        ] {
            assert_eq!(wait_ms(failures, ACCOUNT), want, "{case}");
        }
    }
}
