//! Who asks: from the secret a request carries to a viewer, in one statement.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    domain::{ids::UserId, limits},
    repo::{
        Db, Scope, access_token, sign_in,
        sign_in::SecretHash,
        user::{self, User},
    },
    service::{
        App, ServiceError,
        gather::Gather,
        secret::{self, Purpose},
    },
};

/// The one who asks, as this request found them.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// The person.
    pub user: User,
    /// The hash of the secret the request carried.
    pub(crate) credential: SecretHash,
    /// What that secret opens; none: there is no secret, the operator acts for this person.
    purpose: Option<Purpose>,
}

/// What the operator sees, who has the machine: everything, as nobody in particular.
pub(crate) const OPERATOR: Scope = Scope { user: UserId(Uuid::nil()), admin: true, only: None };

impl Viewer {
    /// Somebody for whom the operator acts, who has the machine: with that person's rights and under their name, without
    /// a credential.
    #[must_use]
    pub fn on_behalf_of(user: User) -> Self {
        Self { user, credential: [0; 32], purpose: None }
    }

    /// What the request carried; none: the operator acts for this person.
    pub(crate) fn credential(&self) -> Option<Credential> {
        self.purpose.map(|purpose| (purpose, self.credential))
    }

    /// What the viewer may see.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.user.scope()
    }

    /// Only a server-wide admin may go on.
    ///
    /// # Errors
    /// [`ServiceError::Forbidden`] for everybody else.
    pub fn must_be_admin(&self) -> Result<(), ServiceError> {
        if self.user.admin { Ok(()) } else { Err(ServiceError::Forbidden("this takes an admin")) }
    }
}

/// The viewer behind a bearer token or a session cookie.
///
/// # Errors
/// [`ServiceError::Unauthenticated`] when it is unknown, expired, revoked or its user disabled.
#[tracing::instrument(skip_all)]
pub async fn authenticate(app: &App, secret: &str) -> Result<Viewer, ServiceError> {
    let credential = credential(secret)?;
    let found = find_all(&app.db, &[credential]).await?.remove(&credential);
    viewer(credential, found.map(|(user, _)| user))
}

/// As [`authenticate`], for something that lasts. When a server or a network comes back all such come at once: they are
/// looked up together.
///
/// # Errors
/// As [`authenticate`].
#[tracing::instrument(skip_all)]
pub async fn let_in(app: &App, secret: &str) -> Result<Viewer, ServiceError> {
    let credential = credential(secret)?;
    viewer(credential, app.carriers.find(credential).await?)
}

/// The viewer of something that lasts as they are now, looked up together with others; this counts as a use of the
/// credential.
///
/// # Errors
/// As [`authenticate`]: the credential may have ended since.
pub async fn again(app: &App, viewer: &Viewer) -> Result<Viewer, ServiceError> {
    let Some(credential) = viewer.credential() else {
        let user = user::find(&app.db, viewer.user.id).await?.ok_or(ENDED)?;
        must_be_enabled(&user)?;
        return Ok(Viewer::on_behalf_of(user));
    };
    self::viewer(credential, app.carriers.find(credential).await?)
}

/// A secret's hash, and what the secret opens.
pub(crate) type Credential = (Purpose, SecretHash);

/// Whose credential it is that still opens something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bearer {
    /// Whether they see every project.
    pub(crate) admin: bool,
    /// When it ends by itself.
    pub(crate) ends_at: Option<DateTime<Utc>>,
}

/// Those of `credentials` that still open something, in two statements; this counts as a use of them.
pub(crate) async fn still(app: &App, credentials: &[Credential]) -> Result<HashMap<SecretHash, Bearer>, ServiceError> {
    let found = find_all(&app.db, credentials).await?;
    let open = found.into_iter().filter(|(_, (user, _))| !user.disabled);
    Ok(open.map(|((_, hash), (user, ends_at))| (hash, Bearer { admin: user.admin, ends_at })).collect())
}

/// Who carries a credential, disabled or not, looked up together; this counts as a use of it.
pub(super) fn carriers(db: Db) -> Gather<Credential, User> {
    Gather::new(move |credentials: Vec<Credential>| {
        let db = db.clone();
        async move {
            let found = find_all(&db, &credentials).await?;
            Ok(found.into_iter().map(|(credential, (user, _))| (credential, user)).collect())
        }
    })
}

/// Who carries each of `credentials`, disabled or not, and when it ends by itself: a statement for either purpose. For
/// those who are not disabled this counts as a use.
async fn find_all(
    db: &Db,
    credentials: &[Credential],
) -> Result<HashMap<Credential, (User, Option<DateTime<Utc>>)>, ServiceError> {
    let of = |purpose: Purpose| -> Vec<SecretHash> {
        credentials.iter().filter(|credential| credential.0 == purpose).map(|credential| credential.1).collect()
    };
    let logins = sign_in::find_all(db, &of(Purpose::Login)).await?;
    sign_in::touch(db, logins.values().filter(|login| !login.user.disabled)).await?;
    let tokens = access_token::find_by_secrets(db, &of(Purpose::AccessToken)).await?;
    let used = tokens.values().filter(|(_, user)| !user.disabled);
    access_token::touch(db, used.map(|(token, _)| token)).await?;
    let logins = logins.into_iter().map(|(hash, login)| ((Purpose::Login, hash), (login.user, None)));
    let tokens = tokens.into_iter();
    let tokens = tokens.map(|(hash, (token, user))| ((Purpose::AccessToken, hash), (user, token.expires_at)));
    Ok(logins.chain(tokens).collect())
}

const ENDED: ServiceError = ServiceError::Unauthenticated("the token is unknown, expired or revoked");

fn credential(secret: &str) -> Result<Credential, ServiceError> {
    let purpose = Purpose::of(secret).filter(|_| secret.len() <= limits::SECRET_BYTES).ok_or(ENDED)?;
    Ok((purpose, secret::hash(secret)))
}

/// The viewer with this credential, by what was found of it.
fn viewer((purpose, credential): Credential, found: Option<User>) -> Result<Viewer, ServiceError> {
    let user = found.ok_or(ENDED)?;
    must_be_enabled(&user)?;
    Ok(Viewer { user, credential, purpose: Some(purpose) })
}

/// A disabled user has no way in.
pub(crate) fn must_be_enabled(user: &User) -> Result<(), ServiceError> {
    if user.disabled { Err(ServiceError::Unauthenticated("the account is disabled")) } else { Ok(()) }
}
