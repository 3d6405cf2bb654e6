//! People.

use std::collections::HashMap;

use entity::user::{Column, Entity, Model};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryTrait,
    sea_query::{Expr, ExprTrait, Order, Query},
};
use uuid::Uuid;

use crate::{
    domain::{
        ids::UserId,
        limits,
        page::{Page, Slice},
    },
    repo::{
        Conn, RepoError, Scope, clock, keyset,
        sql::{self, FilterBy, value},
    },
};

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Address, in lower case, unique.
    pub email: String,
    /// What others see.
    pub name: String,
    /// Server-wide admin.
    pub admin: bool,
    /// Whether every way in is closed.
    pub disabled: bool,
    /// Argon2 hash, when a password is set.
    pub password_hash: Option<String>,
}

impl User {
    /// What this person may see.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope { user: self.id, admin: self.admin, only: None }
    }
}

impl TryFrom<Model> for User {
    type Error = RepoError;

    fn try_from(row: Model) -> Result<Self, RepoError> {
        let Model { id, email, name, admin, disabled, password_hash, .. } = row;
        Ok(Self { id: UserId(id), email, name, admin, disabled, password_hash })
    }
}

/// What a new user is made of.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Address, in lower case.
    pub email: String,
    /// What others see.
    pub name: String,
    /// Server-wide admin.
    pub admin: bool,
    /// Argon2 hash, when a password is set.
    pub password_hash: Option<String>,
}

/// What changes about a user; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct UserChanges {
    /// What others see.
    pub name: Option<String>,
    /// Server-wide admin.
    pub admin: Option<bool>,
    /// Whether every way in is closed.
    pub disabled: Option<bool>,
    /// Argon2 hash.
    pub password_hash: Option<String>,
}

/// Adds a user.
///
/// # Errors
/// [`RepoError::Duplicate`] when the address is taken.
pub async fn insert(conn: &impl Conn, new: NewUser) -> Result<User, RepoError> {
    let insert = sql::insert_one(
        Entity,
        [
            (Column::Id, value(UserId::generate().0)),
            (Column::Email, value(new.email)),
            (Column::Name, value(new.name)),
            (Column::Admin, value(new.admin)),
            (Column::Disabled, value(false)),
            (Column::PasswordHash, value(new.password_hash)),
            (Column::CreatedAt, clock::now(conn)),
            (Column::UpdatedAt, clock::now(conn)),
        ],
    )
    .returning_all()
    .to_owned();
    sql::one::<Model, User>(conn, &insert).await?.ok_or(RepoError::NotFound)
}

/// Changes a user; none when there is no such one.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn update(conn: &impl Conn, id: UserId, changes: UserChanges) -> Result<Option<User>, RepoError> {
    let mut update = Query::update();
    update.table(Entity).and_where(Column::Id.eq(id.0)).value(Column::UpdatedAt, clock::now(conn)).returning_all();
    if let Some(name) = changes.name {
        update.value(Column::Name, name);
    }
    if let Some(admin) = changes.admin {
        update.value(Column::Admin, admin);
    }
    if let Some(disabled) = changes.disabled {
        update.value(Column::Disabled, disabled);
    }
    if let Some(hash) = changes.password_hash {
        update.value(Column::PasswordHash, hash);
    }
    sql::one::<Model, User>(conn, &update).await
}

/// The admin who has been one for longest, of those that are not disabled.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn first_admin(conn: &impl Conn) -> Result<Option<User>, RepoError> {
    let select = Entity::find()
        .filter_by(Column::Admin.eq(true).and(Column::Disabled.eq(false)))
        .order_by(Column::Id, Order::Asc)
        .limit(1)
        .to_owned();
    sql::one::<Model, _>(conn, &select).await
}

/// The user with this address.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_by_email(conn: &impl Conn, email: &str) -> Result<Option<User>, RepoError> {
    sql::one::<Model, User>(conn, &Entity::find().filter_by(Column::Email.eq(email))).await
}

/// The user with this id.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find(conn: &impl Conn, id: UserId) -> Result<Option<User>, RepoError> {
    sql::one::<Model, User>(conn, &Entity::find().filter_by(Column::Id.eq(id.0))).await
}

/// Users by id, for edges from rows the asker may see.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_all(conn: &impl Conn, ids: &[UserId]) -> Result<HashMap<UserId, User>, RepoError> {
    let ids = ids.iter().map(|id| id.0);
    let users: Vec<User> = sql::all::<Model, _>(conn, &Entity::find().filter_by(Column::Id.is_in(ids))).await?;
    Ok(users.into_iter().map(|user| (user.id, user)).collect())
}

/// One page of all users by id.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn page(conn: &impl Conn, page: &Page<Uuid>) -> Result<Slice<User>, RepoError> {
    let page = keyset::bind(page, |id| [id.into()]);
    keyset::slice::<Model, User, 1>(conn, Entity::find().into_query(), [keyset::ascending(Column::Id)], page).await
}

/// How many users there are, up to the counting limit.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn count(conn: &impl Conn) -> Result<Option<u64>, RepoError> {
    sql::count_up_to(conn, Entity::find().into_query(), limits::TOTAL_COUNT).await
}

/// Whether there is any user.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn any(conn: &impl Conn) -> Result<bool, RepoError> {
    let select = Query::select().expr(Expr::cust("1")).from(Entity).limit(1).to_owned();
    Ok(conn.query_one(&select).await?.is_some())
}

/// Those of `ids` the asker may see: oneself, and everybody in a project one is in; admins see all.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_visible(conn: &impl Conn, scope: Scope, ids: &[UserId]) -> Result<Vec<User>, RepoError> {
    let among = Column::Id.is_in(ids.iter().map(|id| id.0));
    let select = Entity::find().filter_by(Condition::all().add(among).add(visible(scope)));
    sql::all::<Model, User>(conn, &select).await
}

/// A user the asker may bring into a project: a visible one, or one in no project yet. Whoever is in other projects
/// only is not there for the asker.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_addable(conn: &impl Conn, scope: Scope, id: UserId) -> Result<Option<User>, RepoError> {
    use entity::project_member::{Column as Member, Entity as Members};
    let placed = Query::select().column(Member::UserId).from(Members).and_where(Member::UserId.eq(id.0)).to_owned();
    let addable = Condition::any().add(visible(scope)).add(Column::Id.not_in_subquery(placed));
    let select = Entity::find().filter_by(Condition::all().add(Column::Id.eq(id.0)).add(addable));
    sql::one::<Model, User>(conn, &select).await
}

fn visible(scope: Scope) -> Condition {
    if scope.admin {
        return Condition::all();
    }
    let known = Query::select()
        .column(entity::project_member::Column::UserId)
        .from(entity::project_member::Entity)
        .cond_where(super::scope::visible(scope, entity::project_member::Column::ProjectId))
        .to_owned();
    Condition::any().add(Column::Id.eq(scope.user.0)).add(Column::Id.in_subquery(known))
}

/// Which of `ids` are members of a project that `manager` manages: those whose address a manager may see.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn managed_by(conn: &impl Conn, manager: UserId, ids: &[UserId]) -> Result<Vec<UserId>, RepoError> {
    use entity::project_member::{Column as Member, Entity as Members};
    let managed = Query::select()
        .column(Member::ProjectId)
        .from(Members)
        .and_where(Member::UserId.eq(manager.0))
        .and_where(Expr::col(Member::Role).eq(crate::domain::words::Role::Manager.as_str()))
        .to_owned();
    let select = Query::select()
        .distinct()
        .column(Member::UserId)
        .from(Members)
        .and_where(Member::UserId.is_in(ids.iter().map(|id| id.0)))
        .and_where(Member::ProjectId.in_subquery(managed))
        .to_owned();
    let rows = conn.query_all(&select).await?;
    rows.iter().map(|row| Ok(UserId(row.try_get("", "user_id")?))).collect()
}
