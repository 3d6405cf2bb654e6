//! Keyset pages in SQL: of one list, or of the lists of many parents at once. Each is a walk along an index that begins
//! at the cursor, so a page costs the same anywhere in a list of any length.

use std::collections::HashMap;

use sea_orm::{
    FromQueryResult, JoinType, Value,
    sea_query::{Asterisk, Condition, DynIden, Expr, ExprTrait, IntoIden, Order, Query, SelectStatement, UnionType},
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

/// The rows behind (or in front of) a key that share its first `depth` columns: `a = x AND b > y`.
fn beyond<const N: usize>(keys: &[Key; N], at: &[Value; N], backward: bool, depth: usize) -> Condition {
    let mut all = Condition::all();
    for (equal, value) in keys.iter().zip(at).take(depth) {
        all = all.add(Expr::col(equal.column.clone()).eq(value.clone()));
    }
    all.add(keys[depth].beyond(at[depth].clone(), backward))
}

/// All rows behind (or in front of) a key.
fn beyond_any<const N: usize>(keys: &[Key; N], at: &[Value; N], backward: bool) -> Condition {
    (0..N).fold(Condition::any(), |any, depth| any.add(beyond(keys, at, backward, depth)))
}

/// One page of the list `select`.
pub(super) async fn slice<M, T, const N: usize>(
    conn: &impl Conn,
    select: SelectStatement,
    keys: [Key; N],
    page: ValuePage<N>,
) -> Result<Slice<T>, RepoError>
where
    M: FromQueryResult,
    T: TryFrom<M, Error = RepoError>,
{
    let rows = super::sql::all::<M, T>(conn, &walk(select, &keys, &page)).await?;
    Ok(Slice::cut(rows, &page))
}

/// The rows of a page and one more, in the direction of the walk.
///
/// Behind a cursor over several columns (`a > x OR (a = x AND b > y)`) no database starts in the middle of an index, and
/// a list whose rows share their first column would be walked from its front. Each alternative by itself is a range.
fn walk<const N: usize>(select: SelectStatement, keys: &[Key; N], page: &ValuePage<N>) -> SelectStatement {
    let (start, end) = if page.backward { (&page.before, &page.after) } else { (&page.after, &page.before) };
    let mut select = select;
    if let Some(end) = end {
        select.cond_where(beyond_any(keys, end, !page.backward));
    }
    let Some(start) = start else { return in_order(select, keys, page) };
    let mut alternatives = (0..N).rev().map(|depth| {
        let mut range = select.clone();
        range.cond_where(beyond(keys, start, page.backward, depth));
        Query::select().column(Asterisk).from_subquery(in_order(range, keys, page), "range").to_owned()
    });
    let Some(mut all) = alternatives.next() else { return select };
    for alternative in alternatives {
        all.union(UnionType::All, alternative);
    }
    in_order(Query::select().column(Asterisk).from_subquery(all, "ranges").to_owned(), keys, page)
}

fn in_order<const N: usize>(mut select: SelectStatement, keys: &[Key; N], page: &ValuePage<N>) -> SelectStatement {
    for key in keys {
        select.order_by(key.column.clone(), key.order(page.backward));
    }
    select.limit(u64::from(page.size) + 1).to_owned()
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

    /// `each(parent)` for every parent, in one statement that walks each parent's rows by themselves.
    fn each(&self, conn: &impl Conn, each: impl Fn(Expr) -> SelectStatement) -> SelectStatement {
        let mut all = Query::select();
        all.column(Asterisk);
        if !conn.is_sqlite() {
            let parent = Expr::col(("parents", "column1"));
            all.expr_as(parent.clone(), "page_parent").from_values(self.ids.clone(), "parents").join_lateral(
                JoinType::InnerJoin,
                each(parent),
                "page",
                Expr::cust("TRUE"),
            );
            return all;
        }
        let mut arms = self.ids.iter().map(|id| {
            let rows = each(Expr::value(*id));
            Query::select()
                .column(Asterisk)
                .expr_as(Expr::value(*id), "page_parent")
                .from_subquery(rows, "page")
                .to_owned()
        });
        let Some(mut union) = arms.next() else { return all };
        for arm in arms {
            union.union(UnionType::All, arm);
        }
        all.from_subquery(union, "pages").to_owned()
    }

    /// The parents in groups that one statement can hold: SQLite takes 500 arms of a UNION.
    fn groups(self) -> impl Iterator<Item = Self> {
        let Self { column, ids } = self;
        let groups: Vec<Vec<Uuid>> = ids.chunks(400).map(<[Uuid]>::to_vec).collect();
        groups.into_iter().map(move |ids| Self { column: column.clone(), ids })
    }
}

/// The same page of the lists of many parents. The key columns have to be among the selected ones.
pub(super) async fn slices<M, T, const N: usize>(
    conn: &impl Conn,
    select: SelectStatement,
    parents: Parents,
    keys: [Key; N],
    page: ValuePage<N>,
) -> Result<HashMap<Uuid, Slice<T>>, RepoError>
where
    M: FromQueryResult,
    T: TryFrom<M, Error = RepoError>,
{
    let mut lists: HashMap<Uuid, Vec<T>> = HashMap::new();
    for parents in parents.groups() {
        let mut all = parents.each(conn, |parent| {
            let own = select.clone().and_where(Expr::col(parents.column.clone()).eq(parent)).to_owned();
            walk(own, &keys, &page)
        });
        for key in &keys {
            all.order_by(key.column.clone(), key.order(page.backward));
        }
        for row in conn.query_all(&all).await? {
            let record = M::from_query_result(&row, "")?.try_into()?;
            lists.entry(row.try_get("", "page_parent")?).or_default().push(record);
        }
    }
    Ok(lists.into_iter().map(|(parent, rows)| (parent, Slice::cut(rows, &page))).collect())
}

/// The lengths of the lists of many parents, each counted up to the limit: `None` when it is longer.
pub(super) async fn counts(
    conn: &impl Conn,
    select: SelectStatement,
    parents: Parents,
) -> Result<HashMap<Uuid, Option<u64>>, RepoError> {
    let mut counts = HashMap::new();
    for parents in parents.groups() {
        let all = parents.each(conn, |parent| {
            let mut rows = select.clone();
            rows.clear_selects().expr(Expr::cust("1")).and_where(Expr::col(parents.column.clone()).eq(parent));
            rows.limit(limits::TOTAL_COUNT + 1);
            Query::select().expr_as(Expr::cust("count(*)"), "n").from_subquery(rows, "counted").to_owned()
        });
        for row in conn.query_all(&all).await? {
            let n: i64 = row.try_get("", "n")?;
            let count = u64::try_from(n).ok().filter(|n| *n <= limits::TOTAL_COUNT);
            counts.insert(row.try_get("", "page_parent")?, count);
        }
    }
    Ok(counts)
}
