//! Event streams and the counters in their rows.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use entity::{
    event::{Column, Entity, Model},
    event_stream, instance,
};
use sea_orm::{
    ColumnTrait, EntityTrait,
    sea_query::{
        CommonTableExpression, Expr, ExprTrait, Order, Query, SelectStatement, UnionType, UpdateStatement, WithClause,
    },
};

use crate::{
    domain::{
        counter::Counter,
        ids::{ProjectId, TaskId, UserId},
        words::EventType,
    },
    repo::{
        Conn, RepoError, clock,
        sql::{self, FilterBy, value, word},
    },
};

/// A committed change at its position.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// Whose it is.
    pub project: ProjectId,
    /// The stream's number.
    pub stream: i32,
    /// From 1, without a gap.
    pub position: i64,
    /// What it tells.
    pub event_type: EventType,
    /// The task it is about.
    pub task: Option<TaskId>,
    /// Who caused it.
    pub by: Option<UserId>,
    /// When.
    pub at: DateTime<Utc>,
    /// What is particular to its type.
    pub payload: serde_json::Value,
}

impl TryFrom<Model> for StoredEvent {
    type Error = RepoError;

    fn try_from(row: Model) -> Result<Self, RepoError> {
        Ok(Self {
            project: ProjectId(row.project_id),
            stream: row.stream,
            position: row.position,
            event_type: word(&row.r#type)?,
            task: row.task_id.map(TaskId),
            by: row.by_user.map(UserId),
            at: row.at,
            payload: row.payload,
        })
    }
}

/// An event that has no position yet.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The stream's number.
    pub stream: i32,
    /// What it tells.
    pub event_type: EventType,
    /// The task it is about.
    pub task: Option<TaskId>,
    /// What is particular to its type.
    pub payload: serde_json::Value,
}

/// What is kept of one stream: positions `bottom + 1 ..= top`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The stream's number.
    pub stream: i32,
    /// The last position given up by retention.
    pub bottom: i64,
    /// The last position committed.
    pub top: i64,
}

/// Makes the streams of a new project.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn create_streams(conn: &impl Conn, project: ProjectId, streams: i32) -> Result<(), RepoError> {
    use event_stream::Column as C;
    let rows = (0..streams).map(|number| [value(project.0), value(number), value(0_i64), value(0_i64)]).collect();
    sql::insert_all(conn, event_stream::Entity, [C::ProjectId, C::Number, C::Top, C::Bottom], rows).await
}

/// Takes `count` positions at the end of a stream, moves its counters, and gives the last position; the stream's row stays
/// locked until the transaction ends, which makes positions free of gaps and equal to the order of commits.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn take_positions(
    conn: &impl Conn,
    project: ProjectId,
    stream: i32,
    count: i64,
    counts: &[(Counter, i64)],
) -> Result<i64, RepoError> {
    let update = take(project, stream, count, counts);
    let row = conn.query_one(&update).await?.ok_or(RepoError::NotFound)?;
    Ok(row.try_get("", "top")?)
}

fn take(project: ProjectId, stream: i32, count: i64, counts: &[(Counter, i64)]) -> UpdateStatement {
    use event_stream::Column as C;
    let mut update = Query::update();
    update.table(event_stream::Entity).value(C::Top, Expr::col(C::Top).add(count));
    for (counter, delta) in counts {
        update.value(counter.column(), Expr::col(counter.column()).add(*delta));
    }
    update.and_where(C::ProjectId.eq(project.0)).and_where(C::Number.eq(stream)).returning_col(C::Top).to_owned()
}

/// Events of one round trip: each is a SELECT of its own in the statement.
const ONE_STATEMENT: usize = 1_000;

/// As [`take_positions`] and [`insert`] for the events of one stream, in one round trip where the database can
/// (PostgreSQL: an UPDATE inside the INSERT). Gives the position of the last one; without events, of the last there was.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn append(
    conn: &impl Conn,
    project: ProjectId,
    by: Option<UserId>,
    stream: i32,
    events: Vec<NewEvent>,
    counts: &[(Counter, i64)],
) -> Result<i64, RepoError> {
    let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
    if conn.is_sqlite() || events.is_empty() || events.len() > ONE_STATEMENT {
        let top = take_positions(conn, project, stream, count, counts).await?;
        insert(conn, project, by, (top - count + 1..).zip(events).collect()).await?;
        return Ok(top);
    }
    // The places of the events in front of the new top, resolved inside the statement.
    let mut rows: Option<SelectStatement> = None;
    for (place, event) in (1 - count..=0).zip(events) {
        let row = Query::select()
            .expr(value(project.0))
            .expr(value(stream))
            .expr(Expr::col("top").add(place))
            .expr(value(event.event_type.as_str()))
            .expr(value(event.task.map(|id| id.0)))
            .expr(value(by.map(|id| id.0)))
            .expr(clock::now(conn))
            .expr(value(event.payload))
            .from("taken")
            .to_owned();
        match &mut rows {
            None => rows = Some(row),
            Some(rows) => {
                rows.union(UnionType::All, row);
            }
        }
    }
    let Some(rows) = rows else { return Err(RepoError::NotFound) };
    let mut insert = Query::insert();
    insert.into_table(Entity).columns(COLUMNS).returning_col(Column::Position);
    insert.select_from(rows).map_err(|error| RepoError::Corrupt(error.to_string()))?;
    let taken = CommonTableExpression::new().table_name("taken").query(take(project, stream, count, counts)).to_owned();
    let rows = conn.query_all(&insert.with(WithClause::new().cte(taken).to_owned())).await?;
    let positions = rows.iter().map(|row| row.try_get_by_index::<i64>(0)).collect::<Result<Vec<_>, _>>()?;
    positions.into_iter().max().ok_or(RepoError::NotFound)
}

const COLUMNS: [Column; 8] = [
    Column::ProjectId,
    Column::Stream,
    Column::Position,
    Column::Type,
    Column::TaskId,
    Column::ByUser,
    Column::At,
    Column::Payload,
];

/// Writes events at the positions taken for them.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn insert(
    conn: &impl Conn,
    project: ProjectId,
    by: Option<UserId>,
    events: Vec<(i64, NewEvent)>,
) -> Result<(), RepoError> {
    let rows = events.into_iter().map(|(position, event)| {
        [
            value(project.0),
            value(event.stream),
            value(position),
            value(event.event_type.as_str()),
            value(event.task.map(|id| id.0)),
            value(by.map(|id| id.0)),
            clock::now(conn),
            value(event.payload),
        ]
    });
    sql::insert_all(conn, Entity, COLUMNS, rows.collect()).await
}

/// The counters of projects the asker may see, summed over their streams.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn counts(conn: &impl Conn, projects: &[ProjectId]) -> Result<HashMap<ProjectId, Counts>, RepoError> {
    use event_stream::Column as C;
    let mut select = Query::select();
    select.column(C::ProjectId).from(event_stream::Entity);
    select.and_where(C::ProjectId.is_in(projects.iter().map(|id| id.0)));
    for counter in Counter::all() {
        select.column(counter.column());
    }
    let mut counts: HashMap<ProjectId, Counts> = HashMap::new();
    for row in conn.query_all(&select).await? {
        let project = counts.entry(ProjectId(row.try_get("", "project_id")?)).or_default();
        for counter in Counter::all() {
            let n: i64 = row.try_get("", counter.column())?;
            *project.0.entry(counter).or_default() += n;
        }
    }
    Ok(counts)
}

/// The counters of all projects together, for operators.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn totals(conn: &impl Conn) -> Result<Counts, RepoError> {
    let mut select = Query::select();
    select.from(event_stream::Entity);
    for counter in Counter::all() {
        let sum = Expr::col(counter.column()).sum().cast_as("bigint");
        select.expr_as(sum, counter.column());
    }
    let mut totals = Counts::default();
    if let Some(row) = conn.query_one(&select).await? {
        for counter in Counter::all() {
            let n: Option<i64> = row.try_get("", counter.column())?;
            totals.0.insert(counter, n.unwrap_or(0));
        }
    }
    Ok(totals)
}

/// The counters of one project, or of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(HashMap<Counter, i64>);

impl Counts {
    /// What a counter stands at.
    #[must_use]
    pub fn get(&self, counter: Counter) -> i64 {
        self.0.get(&counter).copied().unwrap_or(0)
    }
}

/// A project's streams at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streams {
    /// The installation's epoch.
    pub epoch: i64,
    /// Raised whenever somebody's way in may have ended.
    pub sign_ins: i64,
    /// What is kept, by number.
    pub ranges: Vec<Range>,
}

impl Streams {
    /// The last positions committed, by number.
    #[must_use]
    pub fn tops(&self) -> Vec<i64> {
        self.ranges.iter().map(|range| range.top).collect()
    }

    /// The last positions given up, by number.
    #[must_use]
    pub fn bottoms(&self) -> Vec<i64> {
        self.ranges.iter().map(|range| range.bottom).collect()
    }
}

/// A project's streams now.
///
/// # Errors
/// [`RepoError`] of the database; [`RepoError::NotFound`] when there is no such project.
pub async fn streams(conn: &impl Conn, project: ProjectId) -> Result<Streams, RepoError> {
    streams_of(conn, &[project]).await?.remove(&project).ok_or(RepoError::NotFound)
}

/// The streams of several projects now.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn streams_of(conn: &impl Conn, projects: &[ProjectId]) -> Result<HashMap<ProjectId, Streams>, RepoError> {
    use event_stream::Column as C;
    let select = Query::select()
        .column((instance::Entity, instance::Column::Epoch))
        .column((instance::Entity, instance::Column::SignIns))
        .columns([C::ProjectId, C::Number, C::Bottom, C::Top])
        .from(event_stream::Entity)
        .cross_join(instance::Entity)
        .and_where(C::ProjectId.is_in(projects.iter().map(|id| id.0)))
        .order_by(C::Number, Order::Asc)
        .to_owned();
    let mut found: HashMap<ProjectId, Streams> = HashMap::with_capacity(projects.len());
    for row in conn.query_all(&select).await? {
        let (epoch, sign_ins) = (row.try_get("", "epoch")?, row.try_get("", "sign_ins")?);
        let project = ProjectId(row.try_get("", "project_id")?);
        let streams = found.entry(project).or_insert_with(|| Streams { epoch, sign_ins, ranges: Vec::new() });
        streams.ranges.push(Range {
            stream: row.try_get("", "number")?,
            bottom: row.try_get("", "bottom")?,
            top: row.try_get("", "top")?,
        });
    }
    Ok(found)
}

/// Positions of a stream: `after + 1 ..= to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Between {
    /// The stream's number.
    pub stream: i32,
    /// The position in front of the first.
    pub after: i64,
    /// The last position.
    pub to: i64,
}

/// The first `limit` events of each of these parts of streams, in the order of stream and position.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn between(
    conn: &impl Conn,
    project: ProjectId,
    parts: &[Between],
    limit: u64,
) -> Result<Vec<StoredEvent>, RepoError> {
    let mut all: Option<SelectStatement> = None;
    for Between { stream, after, to } in parts {
        let of_stream = Column::ProjectId.eq(project.0).and(Column::Stream.eq(*stream));
        let mut part =
            Entity::find().filter_by(of_stream.and(Column::Position.gt(*after)).and(Column::Position.lte(*to)));
        part.order_by(Column::Position, Order::Asc).limit(limit);
        // Wrapped, because SQLite takes no ORDER BY and LIMIT directly inside a UNION.
        let part = Query::select().column(sea_orm::sea_query::Asterisk).from_subquery(part, "part").to_owned();
        match &mut all {
            None => all = Some(part),
            Some(all) => {
                all.union(UnionType::All, part);
            }
        }
    }
    let Some(all) = all else { return Ok(Vec::new()) };
    let mut events: Vec<StoredEvent> = sql::all::<Model, _>(conn, &all).await?;
    events.sort_by_key(|event| (event.stream, event.position));
    Ok(events)
}
