//! Ways in: sign-in links, login sessions, and the memory of failed attempts. Of every secret only the SHA-256 is kept.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use entity::{login_session, sign_in_attempt, sign_in_link, user};
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, QueryResult, QueryTrait,
    sea_query::{Expr, ExprTrait, OnConflict, Query},
};
use uuid::Uuid;

use crate::{
    domain::ids::UserId,
    repo::{
        Conn, RepoError, clock,
        sql::{self, FilterBy, value},
        user::User,
    },
};

/// SHA-256 of a secret.
pub type SecretHash = [u8; 32];

/// How long a login session lives after it was last used.
pub const LOGIN_SECONDS: i64 = 30 * 60;
/// How long a sign-in link works.
pub const LINK_SECONDS: i64 = 24 * 60 * 60;

/// A signed-in user and how long it stays so.
#[derive(Clone, Debug)]
pub struct Login {
    /// The session's row.
    pub id: Uuid,
    /// Who is signed in.
    pub user: User,
    /// When it ends unless used before.
    pub expires_at: DateTime<Utc>,
}

/// Opens a login session.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn open(conn: &impl Conn, user: UserId, token: SecretHash) -> Result<DateTime<Utc>, RepoError> {
    use login_session::{Column, Entity};
    // The user's ended ones go, so that the table does not only grow.
    let ended = Expr::col(Column::ExpiresAt).lt(clock::now(conn));
    let delete = Query::delete().from_table(Entity).and_where(Column::UserId.eq(user.0)).and_where(ended).to_owned();
    conn.execute(&delete).await?;
    let insert = sql::insert_one(
        Entity,
        [
            (Column::Id, value(Uuid::now_v7())),
            (Column::UserId, value(user.0)),
            (Column::TokenHash, value(token.to_vec())),
            (Column::CreatedAt, clock::now(conn)),
            (Column::ExpiresAt, clock::now_plus(conn, LOGIN_SECONDS)),
        ],
    )
    .returning_col(Column::ExpiresAt)
    .to_owned();
    let row = conn.query_one(&insert).await?.ok_or(RepoError::NotFound)?;
    Ok(row.try_get("", "expires_at")?)
}

/// The running session of this token with its user, whether disabled or not.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find(conn: &impl Conn, token: SecretHash) -> Result<Option<Login>, RepoError> {
    Ok(find_all(conn, &[token]).await?.remove(&token))
}

/// The running sessions of these tokens, as [`find`].
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_all(conn: &impl Conn, tokens: &[SecretHash]) -> Result<HashMap<SecretHash, Login>, RepoError> {
    use login_session::{Column, Entity};
    if tokens.is_empty() {
        return Ok(HashMap::new());
    }
    let select = user::Entity::find()
        .into_query()
        .expr_as(Expr::col((Entity, Column::Id)), "login_id")
        .expr_as(Expr::col((Entity, Column::TokenHash)), "login_token_hash")
        .expr_as(Expr::col((Entity, Column::ExpiresAt)), "login_expires_at")
        .inner_join(Entity, Expr::col((Entity, Column::UserId)).equals((user::Entity, user::Column::Id)))
        .and_where(Column::TokenHash.is_in(tokens.iter().map(|token| token.to_vec())))
        .and_where(Expr::col((Entity, Column::ExpiresAt)).gt(clock::now(conn)))
        .to_owned();
    let rows = conn.query_all(&select).await?;
    let login = |row: &QueryResult| {
        let login = Login {
            user: user::Model::from_query_result(row, "")?.try_into()?,
            id: row.try_get("", "login_id")?,
            expires_at: row.try_get("", "login_expires_at")?,
        };
        Ok((sql::hash(row, "login_token_hash")?, login))
    };
    rows.iter().map(login).collect()
}

/// Moves the expiry of sessions that are used, each at most once a minute; one that somebody else moves is left to them.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn touch(conn: &impl Conn, logins: impl IntoIterator<Item = &Login>) -> Result<(), RepoError> {
    use login_session::{Column, Entity};
    let full = TimeDelta::seconds(LOGIN_SECONDS);
    let fresh = conn.clock().process_now() + full - TimeDelta::minutes(1);
    let due: Vec<Uuid> = logins.into_iter().filter(|login| login.expires_at <= fresh).map(|login| login.id).collect();
    if due.is_empty() {
        return Ok(());
    }
    let update = Query::update()
        .table(Entity)
        .value(Column::ExpiresAt, clock::now_plus(conn, LOGIN_SECONDS))
        .and_where(sql::undisputed(conn, Entity, Column::Id, due))
        .to_owned();
    conn.execute(&update).await?;
    Ok(())
}

/// Ends all sessions of the user but the one with this token.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn end_others(conn: &impl Conn, user: UserId, kept: SecretHash) -> Result<(), RepoError> {
    use login_session::{Column, Entity};
    let delete = Query::delete()
        .from_table(Entity)
        .and_where(Column::UserId.eq(user.0))
        .and_where(Column::TokenHash.ne(kept.to_vec()))
        .to_owned();
    conn.execute(&delete).await?;
    Ok(())
}

/// Ends one session by its token, or all of the user; gives how many.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn end(conn: &impl Conn, user: UserId, only: Option<SecretHash>) -> Result<u64, RepoError> {
    use login_session::{Column, Entity};
    let mut delete = Query::delete();
    delete.from_table(Entity).and_where(Column::UserId.eq(user.0));
    if let Some(token) = only {
        delete.and_where(Column::TokenHash.eq(token.to_vec()));
    }
    Ok(conn.execute(&delete).await?.rows_affected())
}

/// Makes a sign-in link.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn make_link(conn: &impl Conn, user: UserId, token: SecretHash) -> Result<DateTime<Utc>, RepoError> {
    use sign_in_link::{Column, Entity};
    let insert = sql::insert_one(
        Entity,
        [
            (Column::Id, value(Uuid::now_v7())),
            (Column::UserId, value(user.0)),
            (Column::TokenHash, value(token.to_vec())),
            (Column::CreatedAt, clock::now(conn)),
            (Column::ExpiresAt, clock::now_plus(conn, LINK_SECONDS)),
        ],
    )
    .returning_col(Column::ExpiresAt)
    .to_owned();
    let row = conn.query_one(&insert).await?.ok_or(RepoError::NotFound)?;
    Ok(row.try_get("", "expires_at")?)
}

/// Uses a link up: its user, when it was unused and in time.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn use_link(conn: &impl Conn, token: SecretHash) -> Result<Option<UserId>, RepoError> {
    use sign_in_link::{Column, Entity};
    let update = Query::update()
        .table(Entity)
        .value(Column::UsedAt, clock::now(conn))
        .and_where(Column::TokenHash.eq(token.to_vec()))
        .and_where(Column::UsedAt.is_null())
        .and_where(Expr::col((Entity, Column::ExpiresAt)).gt(clock::now(conn)))
        .returning_col(Column::UserId)
        .to_owned();
    let row = conn.query_one(&update).await?;
    row.map(|row| Ok(UserId(row.try_get("", "user_id")?))).transpose()
}

/// Failures in a row of a subject (an account or an address), and how long ago the last was, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// Failures since the last success.
    pub count: i32,
    /// Milliseconds since the last of them.
    pub since_last_ms: i64,
}

/// What is remembered of the given subjects; the worst of them counts.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn failures(conn: &impl Conn, subjects: &[String]) -> Result<Vec<Failures>, RepoError> {
    use sign_in_attempt::{Column, Entity, Model};
    let select = Entity::find().filter_by(Column::Subject.is_in(subjects)).expr_as(clock::now(conn), "now").to_owned();
    let rows = conn.query_all(&select).await?;
    rows.iter()
        .map(|row| {
            let Model { failures, last_at, .. } = Model::from_query_result(row, "")?;
            let now: DateTime<Utc> = row.try_get("", "now")?;
            Ok(Failures { count: failures, since_last_ms: (now - last_at).num_milliseconds() })
        })
        .collect()
}

/// Counts one more failure of each subject, after forgetting one for each `forget_ms` since the last.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn add_failure(conn: &impl Conn, subjects: &[(&String, i64)]) -> Result<(), RepoError> {
    use sign_in_attempt::{Column, Entity};
    for (subject, forget_ms) in subjects {
        let known = failures(conn, &[(*subject).clone()]).await?;
        let forgotten = known.first().map_or(0, |known| Ord::min(known.since_last_ms / forget_ms, known.count.into()));
        let insert = sql::insert_one(
            Entity,
            [(Column::Subject, value(*subject)), (Column::Failures, value(1)), (Column::LastAt, clock::now(conn))],
        );
        // Relative, so that failures beside one another all count.
        let more = Expr::col((Entity, Column::Failures)).add(1 - forgotten);
        let again =
            OnConflict::column(Column::Subject).update_column(Column::LastAt).value(Column::Failures, more).to_owned();
        conn.execute(insert.clone().on_conflict(again)).await?;
    }
    Ok(())
}

/// Forgets the failures of an account that succeeded, takes this attempt back from its address, and forgets everybody
/// a day after the last failure. The others' failures from that address still count: whoever has an account of their
/// own could else guess at others' for ever.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn forget_failures(conn: &impl Conn, account: &str, address: &str) -> Result<(), RepoError> {
    use sign_in_attempt::{Column, Entity};
    let old = Expr::col(Column::LastAt).lt(clock::now_plus(conn, -24 * 60 * 60));
    let delete = Query::delete().from_table(Entity).cond_where(Column::Subject.eq(account).or(old)).to_owned();
    conn.execute(&delete).await?;
    let take_back = Query::update()
        .table(Entity)
        .value(Column::Failures, Expr::col(Column::Failures).sub(1))
        .and_where(Column::Subject.eq(address))
        .to_owned();
    conn.execute(&take_back).await?;
    Ok(())
}
