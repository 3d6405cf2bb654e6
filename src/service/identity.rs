//! Who asks: from the secret a request carries to a viewer, in one statement.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    domain::{ids::UserId, limits},
    repo::{
        Scope, access_token, sign_in,
        sign_in::SecretHash,
        user::{self, User},
    },
    service::{
        App, ServiceError,
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
    match Purpose::of(secret) {
        Some(purpose) if secret.len() <= limits::SECRET_BYTES => {
            by_credential(app, purpose, secret::hash(secret)).await
        }
        _ => Err(ENDED),
    }
}

/// The viewer of something that lasts as they are now; this counts as a use of the credential.
///
/// # Errors
/// As [`authenticate`]: the credential may have ended since.
pub async fn again(app: &App, viewer: &Viewer) -> Result<Viewer, ServiceError> {
    let Some(purpose) = viewer.purpose else {
        let user = user::find(&app.db, viewer.user.id).await?.ok_or(ENDED)?;
        must_be_enabled(&user)?;
        return Ok(Viewer::on_behalf_of(user));
    };
    by_credential(app, purpose, viewer.credential).await
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
    let of = |purpose: Purpose| -> Vec<SecretHash> {
        credentials.iter().filter(|credential| credential.0 == purpose).map(|credential| credential.1).collect()
    };
    let logins = sign_in::find_all(&app.db, &of(Purpose::Login)).await?;
    sign_in::touch(&app.db, logins.values()).await?;
    let tokens = access_token::find_by_secrets(&app.db, &of(Purpose::AccessToken)).await?;
    access_token::touch(&app.db, tokens.values().map(|(token, _)| token)).await?;
    let logins = logins.into_iter().map(|(hash, login)| (hash, login.user, None));
    let tokens = tokens.into_iter().map(|(hash, (token, user))| (hash, user, token.expires_at));
    let open = logins.chain(tokens).filter(|(_, user, _)| !user.disabled);
    Ok(open.map(|(hash, user, ends_at)| (hash, Bearer { admin: user.admin, ends_at })).collect())
}

const ENDED: ServiceError = ServiceError::Unauthenticated("the token is unknown, expired or revoked");

async fn by_credential(app: &App, purpose: Purpose, credential: SecretHash) -> Result<Viewer, ServiceError> {
    let user = match purpose {
        Purpose::AccessToken => {
            let (token, user) = access_token::find_by_secret(&app.db, credential).await?.ok_or(ENDED)?;
            must_be_enabled(&user)?;
            access_token::touch(&app.db, [&token]).await?;
            user
        }
        Purpose::Login => {
            let login = sign_in::find(&app.db, credential).await?.ok_or(ENDED)?;
            must_be_enabled(&login.user)?;
            sign_in::touch(&app.db, [&login]).await?;
            login.user
        }
        Purpose::Link => return Err(ENDED),
    };
    Ok(Viewer { user, credential, purpose: Some(purpose) })
}

/// A disabled user has no way in.
pub(crate) fn must_be_enabled(user: &User) -> Result<(), ServiceError> {
    if user.disabled { Err(ServiceError::Unauthenticated("the account is disabled")) } else { Ok(()) }
}
