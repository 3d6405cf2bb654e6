//! This installation: its epoch, its schema version and the key that signs URLs.

use entity::instance::{Column, Entity, Model};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryTrait,
    sea_query::{Expr, ExprTrait, Query},
};

use crate::repo::{Conn, News, RepoError, Txn};

/// What one row says about the whole installation.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Raised after a restore; event cursors of an older one are unknown.
    pub epoch: i64,
    /// The newest migration step applied.
    pub schema_version: i32,
    /// The oldest build that understands the schema.
    pub oldest_reader: i32,
    /// 32 random bytes, the same for all replicas; none before the first start.
    pub signing_key: Option<Vec<u8>>,
}

/// The installation's row.
///
/// # Errors
/// [`RepoError`] of the database; among them that there is no schema yet.
pub async fn get(conn: &impl Conn) -> Result<Instance, RepoError> {
    let row = conn.query_one(&Entity::find().into_query()).await?.ok_or(RepoError::NotFound)?;
    let Model { epoch, schema_version, oldest_reader, signing_key, .. } = Model::from_query_result(&row, "")?;
    Ok(Instance { epoch, schema_version, oldest_reader, signing_key })
}

/// Says to all replicas, with the commit, that somebody's way in has ended or their rights on the whole server changed.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn note_sign_ins(txn: &Txn) -> Result<(), RepoError> {
    let raise = Query::update()
        .table(Entity)
        .value(Column::SignIns, Expr::col(Column::SignIns).add(1))
        .and_where(Column::Id.eq(1))
        .to_owned();
    txn.execute(&raise).await?;
    txn.note(News::SignIns);
    Ok(())
}

/// Sets the signing key unless there is one, and gives the one that is there: replicas that start at once agree.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn signing_key(conn: &impl Conn, candidate: &[u8; 32]) -> Result<Vec<u8>, RepoError> {
    let update = Query::update()
        .table(Entity)
        .value(Column::SigningKey, Expr::col(Column::SigningKey).if_null(candidate.to_vec()))
        .and_where(Column::Id.eq(1))
        .returning_col(Column::SigningKey)
        .to_owned();
    let row = conn.query_one(&update).await?.ok_or(RepoError::NotFound)?;
    Ok(row.try_get("", "signing_key")?)
}
