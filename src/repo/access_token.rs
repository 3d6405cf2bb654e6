//! Tokens for programs. Only the SHA-256 of the secret is kept.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use entity::{
    access_token::{Column, Entity, Model},
    user,
};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, FromQueryResult, QueryResult, QueryTrait,
    sea_query::{Expr, ExprTrait, Order, Query},
};

use crate::{
    domain::ids::{AccessTokenId, UserId},
    repo::{
        Conn, RepoError, clock,
        sign_in::SecretHash,
        sql::{self, FilterBy, value},
        user::User,
    },
};

/// An access token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// Its id.
    pub id: AccessTokenId,
    /// What its owner calls it.
    pub name: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends; never when none.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to a minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

impl TryFrom<Model> for AccessToken {
    type Error = RepoError;

    fn try_from(row: Model) -> Result<Self, RepoError> {
        let Model { id, name, created_at, expires_at, last_used_at, .. } = row;
        Ok(Self { id: AccessTokenId(id), name, created_at, expires_at, last_used_at })
    }
}

/// Adds a token.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn insert(
    conn: &impl Conn,
    user: UserId,
    name: String,
    secret: SecretHash,
    expires_in_days: Option<i32>,
) -> Result<AccessToken, RepoError> {
    let expires_at = match expires_in_days {
        Some(days) => clock::now_plus(conn, i64::from(days) * 24 * 60 * 60),
        None => value(None::<DateTime<Utc>>),
    };
    let insert = sql::insert_one(
        Entity,
        [
            (Column::Id, value(AccessTokenId::generate().0)),
            (Column::UserId, value(user.0)),
            (Column::Name, value(name)),
            (Column::TokenHash, value(secret.to_vec())),
            (Column::CreatedAt, clock::now(conn)),
            (Column::ExpiresAt, expires_at),
        ],
    )
    .returning_all()
    .to_owned();
    sql::one::<Model, _>(conn, &insert).await?.ok_or(RepoError::NotFound)
}

/// The live token with this secret, and its user, whether disabled or not.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_by_secret(conn: &impl Conn, secret: SecretHash) -> Result<Option<(AccessToken, User)>, RepoError> {
    Ok(find_by_secrets(conn, &[secret]).await?.remove(&secret))
}

/// The live tokens with these secrets, as [`find_by_secret`].
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_by_secrets(
    conn: &impl Conn,
    secrets: &[SecretHash],
) -> Result<HashMap<SecretHash, (AccessToken, User)>, RepoError> {
    if secrets.is_empty() {
        return Ok(HashMap::new());
    }
    let select = user::Entity::find()
        .into_query()
        .expr_as(Expr::col((Entity, Column::Id)), "token_id")
        .expr_as(Expr::col((Entity, Column::Name)), "token_name")
        .expr_as(Expr::col((Entity, Column::TokenHash)), "token_hash")
        .expr_as(Expr::col((Entity, Column::CreatedAt)), "token_created_at")
        .expr_as(Expr::col((Entity, Column::ExpiresAt)), "token_expires_at")
        .expr_as(Expr::col((Entity, Column::LastUsedAt)), "token_last_used_at")
        .inner_join(Entity, Expr::col((Entity, Column::UserId)).equals((user::Entity, user::Column::Id)))
        .and_where(Column::TokenHash.is_in(secrets.iter().map(|secret| secret.to_vec())))
        .cond_where(live(conn))
        .to_owned();
    let rows = conn.query_all(&select).await?;
    let token = |row: &QueryResult| {
        let user = user::Model::from_query_result(row, "")?.try_into()?;
        let token = AccessToken {
            id: AccessTokenId(row.try_get("", "token_id")?),
            name: row.try_get("", "token_name")?,
            created_at: row.try_get("", "token_created_at")?,
            expires_at: row.try_get("", "token_expires_at")?,
            last_used_at: row.try_get("", "token_last_used_at")?,
        };
        Ok((sql::hash(row, "token_hash")?, (token, user)))
    };
    rows.iter().map(token).collect()
}

/// Remembers that tokens are used, each at most once a minute; one that somebody else moves is left to them.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn touch(conn: &impl Conn, tokens: impl IntoIterator<Item = &AccessToken>) -> Result<(), RepoError> {
    let fresh = conn.clock().process_now() - TimeDelta::minutes(1);
    let is_due = |token: &&AccessToken| token.last_used_at.is_none_or(|last| last <= fresh);
    let due: Vec<_> = tokens.into_iter().filter(is_due).map(|token| token.id.0).collect();
    if due.is_empty() {
        return Ok(());
    }
    let update = Query::update()
        .table(Entity)
        .value(Column::LastUsedAt, clock::now(conn))
        .and_where(sql::undisputed(conn, Entity, Column::Id, due))
        .to_owned();
    conn.execute(&update).await?;
    Ok(())
}

/// The live tokens of a user, oldest first; their number is bounded when they are made.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn of_user(conn: &impl Conn, user: UserId) -> Result<Vec<AccessToken>, RepoError> {
    let select = Entity::find()
        .filter_by(Condition::all().add(Column::UserId.eq(user.0)).add(live(conn)))
        .order_by(Column::Id, Order::Asc)
        .to_owned();
    sql::all::<Model, _>(conn, &select).await
}

/// Those of `ids` that are the user's own tokens, ended or not.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_own(conn: &impl Conn, user: UserId, ids: &[AccessTokenId]) -> Result<Vec<AccessToken>, RepoError> {
    let among = Column::Id.is_in(ids.iter().map(|id| id.0));
    let own = Condition::all().add(among).add(Column::UserId.eq(user.0));
    sql::all::<Model, _>(conn, &Entity::find().filter_by(own)).await
}

/// Ends the user's own token; none when there is no such one. Repeating it changes nothing.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn revoke(conn: &impl Conn, user: UserId, id: AccessTokenId) -> Result<Option<AccessToken>, RepoError> {
    let update = Query::update()
        .table(Entity)
        .value(Column::RevokedAt, Expr::col(Column::RevokedAt).if_null(clock::now(conn)))
        .and_where(Column::Id.eq(id.0))
        .and_where(Column::UserId.eq(user.0))
        .returning_all()
        .to_owned();
    sql::one::<Model, _>(conn, &update).await
}

fn live(conn: &impl Conn) -> Condition {
    let in_time = Condition::any()
        .add(Expr::col((Entity, Column::ExpiresAt)).is_null())
        .add(Expr::col((Entity, Column::ExpiresAt)).gt(clock::now(conn)));
    Condition::all().add(Expr::col((Entity, Column::RevokedAt)).is_null()).add(in_time)
}
