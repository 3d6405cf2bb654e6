//! Keyset pages in SQL: of one list, or of the lists of many parents at once.

use std::collections::HashMap;

use sea_orm::{
    FromQueryResult, Value,
    sea_query::{
        Alias, Condition, DynIden, Expr, ExprTrait, IntoIden, Order, Query, SelectStatement, UnionType, WindowStatement,
    },
};
use uuid::Uuid;

use crate::{
    domain::{
        limits,
        page::{Page, Slice},
    },
    repo::{Conn, RepoError},
};

/// One column of a list's order.
#[derive(Clone)]
pub(super) struct Key {
    column: DynIden,
    descending: bool,
}

pub(super) fn ascending(column: impl IntoIden) -> Key {
    Key { column: column.into_iden(), descending: false }
}

pub(super) fn descending(column: impl IntoIden) -> Key {
    Key { column: column.into_iden(), descending: true }
}

impl Key {
    fn order(&self, backward: bool) -> Order {
        if self.descending == backward { Order::Asc } else { Order::Desc }
    }

    fn beyond(&self, value: Value, backward: bool) -> Expr {
        let column = Expr::col(self.column.clone());
        if self.descending == backward { column.gt(value) } else { column.lt(value) }
    }
}

/// A page whose keys are bound values, in the order of the list's columns.
pub(super) type ValuePage<const N: usize> = Page<[Value; N]>;

/// Turns the key of a page into bound values.
pub(super) fn bind<K: Clone, const N: usize>(page: &Page<K>, values: impl Fn(K) -> [Value; N]) -> ValuePage<N> {
    Page {
        size: page.size,
        backward: page.backward,
        after: page.after.clone().map(&values),
        before: page.before.clone().map(&values),
    }
}

/// The rows strictly behind (or in front of) a key: `a > x OR (a = x AND b > y)` and so on.
fn side<const N: usize>(keys: &[Key; N], at: &[Value; N], backward: bool) -> Condition {
    let mut any = Condition::any();
    for (depth, key) in keys.iter().enumerate() {
        let mut all = Condition::all();
        for (equal, value) in keys.iter().zip(at).take(depth) {
            all = all.add(Expr::col(equal.column.clone()).eq(value.clone()));
        }
        any = any.add(all.add(key.beyond(at[depth].clone(), backward)));
    }
    any
}

fn restrict<const N: usize>(select: &mut SelectStatement, keys: &[Key; N], page: &ValuePage<N>) {
    if let Some(after) = &page.after {
        select.cond_where(side(keys, after, false));
    }
    if let Some(before) = &page.before {
        select.cond_where(side(keys, before, true));
    }
}

/// One page of the list `select`.
pub(super) async fn slice<M, T, const N: usize>(
    conn: &impl Conn,
    mut select: SelectStatement,
    keys: [Key; N],
    page: ValuePage<N>,
) -> Result<Slice<T>, RepoError>
where
    M: FromQueryResult,
    T: TryFrom<M, Error = RepoError>,
{
    restrict(&mut select, &keys, &page);
    for key in &keys {
        select.order_by(key.column.clone(), key.order(page.backward));
    }
    select.limit(u64::from(page.size) + 1);
    let rows = super::sql::all::<M, T>(conn, &select).await?;
    Ok(Slice::cut(rows, &page))
}

/// The parents whose lists are wanted: the column that names them, and their ids.
pub(super) struct Parents {
    column: DynIden,
    ids: Vec<Uuid>,
}

impl Parents {
    pub(super) fn new(column: impl IntoIden, ids: impl IntoIterator<Item = Uuid>) -> Self {
        Self { column: column.into_iden(), ids: ids.into_iter().collect() }
    }
}

/// The same page of the lists of many parents, in one statement.
pub(super) async fn slices<M, T, const N: usize>(
    conn: &impl Conn,
    mut select: SelectStatement,
    Parents { column: parent, ids }: Parents,
    keys: [Key; N],
    page: ValuePage<N>,
) -> Result<HashMap<Uuid, Slice<T>>, RepoError>
where
    M: FromQueryResult,
    T: TryFrom<M, Error = RepoError>,
{
    restrict(&mut select, &keys, &page);
    select.and_where(Expr::col(parent.clone()).is_in(ids));
    let mut window = WindowStatement::partition_by(parent.clone());
    for key in &keys {
        window.order_by(key.column.clone(), key.order(page.backward));
    }
    select.expr_as(Expr::col(parent), "page_parent").expr_window_as(Expr::cust("row_number()"), window, "page_row");
    let outer = Query::select()
        .column(sea_orm::sea_query::Asterisk)
        .from_subquery(select, "numbered")
        .and_where(Expr::col("page_row").lte(i64::from(page.size) + 1))
        .order_by("page_row", Order::Asc)
        .to_owned();
    let mut lists: HashMap<Uuid, Vec<T>> = HashMap::new();
    for row in conn.query_all(&outer).await? {
        let record = M::from_query_result(&row, "")?.try_into()?;
        lists.entry(row.try_get("", "page_parent")?).or_default().push(record);
    }
    Ok(lists.into_iter().map(|(parent, rows)| (parent, Slice::cut(rows, &page))).collect())
}

/// The lengths of the lists of many parents, each counted up to the limit: `None` when it is longer.
pub(super) async fn counts(
    conn: &impl Conn,
    select: SelectStatement,
    Parents { column, ids }: Parents,
) -> Result<HashMap<Uuid, Option<u64>>, RepoError> {
    let mut union: Option<SelectStatement> = None;
    for (index, id) in ids.iter().enumerate() {
        let mut rows = select.clone();
        rows.clear_selects().expr(Expr::cust("1")).and_where(Expr::col(column.clone()).eq(*id));
        rows.limit(limits::TOTAL_COUNT + 1);
        let count = Query::select()
            .expr_as(Expr::value(*id), "parent")
            .expr_as(Expr::cust("count(*)"), "n")
            .from_subquery(rows, Alias::new(format!("counted_{index}")))
            .to_owned();
        match &mut union {
            None => union = Some(count),
            Some(all) => {
                all.union(UnionType::All, count);
            }
        }
    }
    let Some(union) = union else { return Ok(HashMap::new()) };
    let rows = conn.query_all(&union).await?;
    rows.iter()
        .map(|row| {
            let n: i64 = row.try_get("", "n")?;
            Ok((row.try_get("", "parent")?, u64::try_from(n).ok().filter(|n| *n <= limits::TOTAL_COUNT)))
        })
        .collect()
}
