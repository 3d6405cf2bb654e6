//! People: admins make and change them; everybody may change their own name and password.

use crate::{
    domain::ids::UserId,
    repo::{
        RepoError, instance, sign_in, user as repo,
        user::{NewUser, User, UserChanges},
    },
    service::{App, ServiceError, Viewer, validate},
};

/// What a new user is made of, as it was sent.
#[derive(Clone, Debug)]
pub struct CreateUser {
    /// Address to sign in with.
    pub email: String,
    /// What others see.
    pub name: String,
    /// Server-wide admin.
    pub admin: bool,
    /// For signing in without a link.
    pub password: Option<String>,
}

/// Adds a user.
///
/// # Errors
/// [`ServiceError::Forbidden`] unless the viewer is an admin; as [`create_unchecked`].
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id))]
pub async fn create(app: &App, viewer: &Viewer, new: CreateUser) -> Result<User, ServiceError> {
    viewer.must_be_admin()?;
    create_unchecked(app, new).await
}

/// Adds a user on behalf of the operator, who has the machine.
///
/// # Errors
/// [`ServiceError::Invalid`] for a bad or taken address, a bad name or password.
pub async fn create_unchecked(app: &App, new: CreateUser) -> Result<User, ServiceError> {
    let email = validate::email("email", &new.email)?;
    let name = validate::name("name", &new.name)?;
    let password_hash = hashed(app, new.password).await?;
    let new = NewUser { email, name, admin: new.admin, password_hash };
    match repo::insert(&app.db, new).await {
        Err(RepoError::Duplicate) => Err(ServiceError::invalid("email", "is taken by another user")),
        other => Ok(other?),
    }
}

async fn hashed(app: &App, password: Option<String>) -> Result<Option<String>, ServiceError> {
    let Some(password) = password else { return Ok(None) };
    validate::password("password", &password)?;
    Ok(Some(app.passwords.hash(password).await?))
}

/// What changes about a user, as it was sent; `None` leaves a field as it is.
#[derive(Clone, Debug)]
pub struct UpdateUser {
    /// Who.
    pub user: UserId,
    /// What others see.
    pub name: Option<String>,
    /// Server-wide admin.
    pub admin: Option<bool>,
    /// Whether every way in is closed.
    pub disabled: Option<bool>,
    /// For signing in without a link.
    pub password: Option<String>,
}

/// Changes a user. A disabled user, or one whose password was changed, is signed out everywhere else.
///
/// # Errors
/// [`ServiceError::Forbidden`] for what is not the viewer's to change, [`ServiceError::NotFound`] for a user the viewer
/// does not see, [`ServiceError::Transition`] when an admin would lock themselves out, [`ServiceError::Invalid`].
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id))]
pub async fn update(app: &App, viewer: &Viewer, change: UpdateUser) -> Result<User, ServiceError> {
    let target = find(app, viewer, change.user).await?.ok_or_else(|| ServiceError::not_found("user", "userId"))?;
    let oneself = target.id == viewer.user.id;
    if !oneself || change.admin.is_some() || change.disabled.is_some() {
        viewer.must_be_admin()?;
    }
    if oneself && change.admin == Some(false) {
        return Err(ServiceError::transition("admin", "an admin cannot give up their own rights; another admin can"));
    }
    if oneself && change.disabled == Some(true) {
        return Err(ServiceError::transition("disabled", "nobody can disable their own account"));
    }
    let name = change.name.map(|name| validate::name("name", &name)).transpose()?;
    let sign_out = change.disabled == Some(true) || change.password.is_some();
    let password_hash = hashed(app, change.password).await?;
    let changes = UserChanges { name, admin: change.admin, disabled: change.disabled, password_hash };
    let txn = app.db.begin().await?;
    let user = repo::update(&txn, target.id, changes).await?;
    let user = user.ok_or_else(|| ServiceError::not_found("user", "userId"))?;
    if sign_out && oneself {
        sign_in::end_others(&txn, user.id, viewer.credential).await?;
    } else if sign_out {
        sign_in::end(&txn, user.id, None).await?;
    }
    if sign_out || change.admin == Some(false) {
        instance::note_sign_ins(&txn).await?;
    }
    txn.commit().await?;
    Ok(user)
}

/// A user the viewer sees: oneself and everybody in a project one is in; admins see all.
///
/// # Errors
/// [`ServiceError`] of the database.
pub async fn find(app: &App, viewer: &Viewer, id: UserId) -> Result<Option<User>, ServiceError> {
    Ok(repo::find_visible(&app.db, viewer.scope(), &[id]).await?.pop())
}

/// At the first start there is nobody: adds the first admin, once, also when several processes start together.
///
/// # Errors
/// [`ServiceError`] of the database.
pub async fn create_first_admin(app: &App) -> Result<Option<User>, ServiceError> {
    if repo::any(&app.db).await? {
        return Ok(None);
    }
    let first =
        NewUser { email: "admin@localhost".to_owned(), name: "Admin".to_owned(), admin: true, password_hash: None };
    match repo::insert(&app.db, first).await {
        Ok(user) => Ok(Some(user)),
        Err(RepoError::Duplicate) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
