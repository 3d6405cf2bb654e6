//! What is given up of the event streams: their oldest events, which are the positions above a stream's bottom.
//!
//! The bottom is raised, and committed, before anything below it is deleted: a reader that saw its position above the bottom
//! and finds the next event gone knows that it was given up in between. What a crash leaves below the bottom is found again.

use chrono::{DateTime, Utc};
use entity::{event, event_stream};
use sea_orm::{
    ColumnTrait,
    sea_query::{Expr, ExprTrait, Order, Query, SelectStatement},
};

use crate::{
    domain::ids::ProjectId,
    repo::{Conn, RepoError, sql::value},
};

/// A stream of a project, by number.
pub type StreamId = (ProjectId, i32);

/// What is kept of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Which.
    pub stream: StreamId,
    /// The last position given up.
    pub bottom: i64,
    /// The last position committed.
    pub top: i64,
    /// The first position there is a row of; below the bottom when one was left there.
    pub first: Option<i64>,
    /// When the event right above the bottom happened.
    pub since: Option<DateTime<Utc>>,
}

/// Up to `limit` streams behind one, in the order of their ids. Each is a look into its own rows by their key, so that the
/// cost is that of `limit` streams whatever is in them and however many there are.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn look(conn: &impl Conn, behind: Option<StreamId>, limit: u64) -> Result<Vec<Kept>, RepoError> {
    let rows = conn.query_all(&streams(behind, limit)).await?;
    let kept = rows.iter().map(|row| {
        Ok(Kept {
            stream: (ProjectId(row.try_get("", "project_id")?), row.try_get("", "number")?),
            bottom: row.try_get("", "bottom")?,
            top: row.try_get("", "top")?,
            first: row.try_get("", "first_position")?,
            since: row.try_get("", "since")?,
        })
    });
    kept.collect()
}

fn streams(behind: Option<StreamId>, limit: u64) -> SelectStatement {
    use event_stream::{Column as C, Entity as E};
    let of_stream = || {
        let project = Expr::col((event::Entity, event::Column::ProjectId)).equals((E, C::ProjectId));
        let stream = Expr::col((event::Entity, event::Column::Stream)).equals((E, C::Number));
        Query::select().from(event::Entity).and_where(project).and_where(stream).to_owned()
    };
    let first = of_stream().expr(Expr::col((event::Entity, event::Column::Position)).min()).to_owned();
    let above_bottom = Expr::col((event::Entity, event::Column::Position)).eq(Expr::col((E, C::Bottom)).add(1));
    let since = of_stream().column((event::Entity, event::Column::At)).and_where(above_bottom).to_owned();
    let sub = |query: SelectStatement| Expr::SubQuery(None, Box::new(query.into()));
    let mut select = Query::select();
    select
        .columns([C::ProjectId, C::Number, C::Bottom, C::Top])
        .expr_as(sub(first), "first_position")
        .expr_as(sub(since), "since")
        .from(E)
        .order_by(C::ProjectId, Order::Asc)
        .order_by(C::Number, Order::Asc)
        .limit(limit);
    if let Some((project, number)) = behind {
        let key = Expr::tuple([Expr::col((E, C::ProjectId)), Expr::col((E, C::Number))]);
        select.and_where(key.gt(Expr::tuple([value(project.0), value(number)])));
    }
    select
}

/// The first event of a stream behind `after`, up to `upto`, that happened at `cutoff` or later.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn first_since(
    conn: &impl Conn,
    stream: StreamId,
    (after, upto): (i64, i64),
    cutoff: DateTime<Utc>,
) -> Result<Option<i64>, RepoError> {
    use event::Column as C;
    let select = Query::select()
        .expr_as(Expr::col(C::Position).min(), "position")
        .from(event::Entity)
        .and_where(C::ProjectId.eq(stream.0.0).and(C::Stream.eq(stream.1)))
        .and_where(C::Position.gt(after).and(C::Position.lte(upto)).and(C::At.gte(cutoff)))
        .to_owned();
    Ok(conn.query_one(&select).await?.ok_or(RepoError::NotFound)?.try_get("", "position")?)
}

/// Gives up everything up to a position; what is up to it may be deleted once that is committed. The stream's row is held
/// until then, as by everybody who appends.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn raise_bottom(conn: &impl Conn, stream: StreamId, bottom: i64) -> Result<(), RepoError> {
    use event_stream::Column as C;
    let update = Query::update()
        .table(event_stream::Entity)
        .value(C::Bottom, bottom)
        .and_where(C::ProjectId.eq(stream.0.0).and(C::Number.eq(stream.1)))
        // Never lowered: another server may have come further.
        .and_where(C::Bottom.lt(bottom))
        .to_owned();
    conn.execute(&update).await?;
    Ok(())
}

/// Deletes the events of a stream behind `after` up to `upto`, which must not be above its bottom; gives how many. Takes no
/// lock that anybody who appends would wait for.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn delete(conn: &impl Conn, stream: StreamId, after: i64, upto: i64) -> Result<u64, RepoError> {
    use event::Column as C;
    let delete = Query::delete()
        .from_table(event::Entity)
        .and_where(C::ProjectId.eq(stream.0.0).and(C::Stream.eq(stream.1)))
        .and_where(C::Position.gt(after).and(C::Position.lte(upto)))
        .to_owned();
    Ok(conn.execute(&delete).await?.rows_affected())
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait, StatementBuilder};

    use super::*;
    use crate::repo::{
        Connect, Db,
        schema::{self, Direction},
    };

    #[tokio::test]
    async fn a_look_walks_keys_and_scans_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("concord.db").display());
        let connect = Connect { url, max_connections: 1, pooled: false };
        schema::migrate(&connect, Direction::Up).await.unwrap();
        let db = Db::connect(&connect).await.unwrap();
        let select = streams(Some((ProjectId::generate(), 3)), 10);
        let mut statement = StatementBuilder::build(&select, &db.get_database_backend());
        statement.sql = format!("EXPLAIN QUERY PLAN {}", statement.sql);
        let rows = db.query_all_raw(statement).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.try_get("", "detail").unwrap()).collect();
        let plan = plan.join("\n");
        assert!(plan.contains("SEARCH event_stream USING INDEX"), "{plan}");
        assert_eq!(plan.matches("SEARCH event USING").count(), 2, "{plan}");
        assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}
