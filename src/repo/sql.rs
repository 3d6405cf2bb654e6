//! Small things every aggregate needs to speak SQL.

use std::str::FromStr;

use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QueryResult, QueryTrait, Select, Statement,
    StatementBuilder,
    sea_query::{
        Expr, ExprTrait, InsertStatement, IntoColumnRef, IntoCondition, IntoIden, IntoTableRef, LockBehavior, LockType,
        Query, SelectStatement,
    },
};
use uuid::Uuid;

use crate::repo::{Conn, RepoError};

/// Values bound by one statement: below the least limit of the two databases (SQLite's 32,766).
pub(super) const BOUND_VALUES: usize = 30_000;

/// Reads a word (state, role, kind) from its text.
pub(super) fn word<T: FromStr>(text: &str) -> Result<T, RepoError> {
    text.parse().map_err(|_| RepoError::Corrupt(format!("unknown word {text:?}")))
}

/// Reads an optional word.
pub(super) fn optional_word<T: FromStr>(text: Option<&str>) -> Result<Option<T>, RepoError> {
    text.map(word).transpose()
}

/// Reads typed JSON.
pub(super) fn json<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> Result<T, RepoError> {
    serde_json::from_value(value).map_err(|error| RepoError::Corrupt(error.to_string()))
}

/// All rows of `select` as records.
pub(super) async fn all<M, T>(conn: &impl Conn, select: &SelectStatement) -> Result<Vec<T>, RepoError>
where
    M: FromQueryResult,
    T: TryFrom<M, Error = RepoError>,
{
    let rows = conn.query_all(select).await?;
    rows.iter().map(|row| M::from_query_result(row, "")?.try_into()).collect()
}

/// The first row that a SELECT, or an INSERT or UPDATE with RETURNING, gives, as a record.
pub(super) async fn one<M, T>(conn: &impl Conn, statement: &impl StatementBuilder) -> Result<Option<T>, RepoError>
where
    M: FromQueryResult,
    T: TryFrom<M, Error = RepoError>,
{
    let row = conn.query_one(statement).await?;
    row.map(|row| M::from_query_result(&row, "")?.try_into()).transpose()
}

/// The statement with a bound `LIMIT` of 1 written out. PostgreSQL plans a prepared statement once, for a tenth of the rows
/// where it does not know the limit; when that looks dearer than the plan for 1 it plans anew at every run.
pub(super) fn limit_one_written_out(conn: &impl Conn, statement: &impl StatementBuilder) -> Statement {
    let mut statement = statement.build(&conn.get_database_backend());
    if let Some((before, after)) = statement.sql.split_once(" LIMIT $") {
        // The value stays bound, and unused: the numbers of the others go on to hold.
        let after = after.trim_start_matches(|digit: char| digit.is_ascii_digit());
        statement.sql = format!("{before} LIMIT 1{after}");
    }
    statement
}

/// `Entity::find().filter(..)` as the statement that the functions here take.
pub(super) trait FilterBy {
    /// All columns of the rows that fulfil `condition`.
    fn filter_by(self, condition: impl IntoCondition) -> SelectStatement;
}

impl<E: EntityTrait> FilterBy for Select<E> {
    fn filter_by(self, condition: impl IntoCondition) -> SelectStatement {
        self.filter(condition).into_query()
    }
}

/// An INSERT of one row.
pub(super) fn insert_one<C: IntoIden + Copy, const N: usize>(
    table: impl IntoTableRef,
    row: [(C, Expr); N],
) -> InsertStatement {
    let mut insert = Query::insert();
    insert.into_table(table).columns(row.iter().map(|(column, _)| *column));
    insert.values_panic(row.map(|(_, value)| value));
    insert
}

/// Inserts any number of rows, in as few statements as the bound values allow: at most one of each column.
pub(super) async fn insert_all<C: IntoIden + Copy, const N: usize>(
    conn: &impl Conn,
    table: impl IntoTableRef + Clone,
    columns: [C; N],
    rows: Vec<[Expr; N]>,
) -> Result<(), RepoError> {
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let mut insert = Query::insert();
        insert.into_table(table.clone()).columns(columns);
        for row in rows.by_ref().take(BOUND_VALUES / N) {
            insert.values_panic(row);
        }
        conn.execute(&insert).await?;
    }
    Ok(())
}

/// As [`insert_all`], in statements of [`SAME_ROWS`] rows: where there are many rows over and over again, the database
/// meets the same statement each time, and neither side ever holds a large one.
pub(super) async fn insert_many<C: IntoIden + Copy, const N: usize>(
    conn: &impl Conn,
    table: impl IntoTableRef + Clone,
    columns: [C; N],
    rows: impl IntoIterator<Item = Result<[Expr; N], RepoError>>,
) -> Result<(), RepoError> {
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let some = rows.by_ref().take(SAME_ROWS).collect::<Result<_, RepoError>>()?;
        insert_all(conn, table.clone(), columns, some).await?;
    }
    Ok(())
}

/// Rows of one statement of [`insert_many`].
const SAME_ROWS: usize = 100;

/// A bound value.
pub(super) fn value(value: impl Into<sea_orm::Value>) -> Expr {
    Expr::value(value)
}

/// That a column holds a word which stands in the statement instead of being bound: an index over some words only is used
/// where the database knows before it runs the statement that one of them is meant.
pub(super) fn is(column: impl IntoColumnRef, word: &'static str) -> Expr {
    Expr::col(column).eq(Expr::cust(format!("'{word}'")))
}

/// Rows of a sub-select, counted up to `limit`: `None` when there are more.
pub(super) async fn count_up_to(
    conn: &impl Conn,
    mut rows: SelectStatement,
    limit: u64,
) -> Result<Option<u64>, RepoError> {
    rows.clear_selects().expr(Expr::cust("1")).limit(limit + 1);
    let count = Query::select().expr_as(Expr::cust("count(*)"), "n").from_subquery(rows, "counted").to_owned();
    let row = conn.query_one(&count).await?.ok_or(RepoError::NotFound)?;
    let n: i64 = row.try_get("", "n")?;
    Ok(u64::try_from(n).ok().filter(|n| *n <= limit))
}

/// Those of `ids` whose rows nobody else is writing: two statements that write many of the same rows never wait for one
/// another, each with rows that the other wants.
pub(super) fn undisputed(conn: &impl Conn, entity: impl EntityTrait, id: impl ColumnTrait, ids: Vec<Uuid>) -> Expr {
    let mut select = Query::select();
    select.column(id).from(entity).and_where(id.is_in(ids));
    if !conn.is_sqlite() {
        select.lock_with_behavior(LockType::NoKeyUpdate, LockBehavior::SkipLocked);
    }
    id.in_subquery(select)
}

/// The hash of a secret in a row.
pub(super) fn hash(row: &QueryResult, column: &str) -> Result<[u8; 32], RepoError> {
    let bytes: Vec<u8> = row.try_get("", column)?;
    bytes.try_into().map_err(|_| RepoError::Corrupt(format!("{column} is no SHA-256")))
}
