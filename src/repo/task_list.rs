//! The list of a project's tasks: its filter, its three orders, its length.

use chrono::{DateTime, Utc};
use entity::{
    annotation, assignment,
    task::{Column, Entity, Model},
    task_label, task_slot,
};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait,
    sea_query::{Expr, ExprTrait, IntoColumnRef, Query, SelectStatement},
};
use uuid::Uuid;

use crate::{
    domain::{
        ids::{ProjectId, UserId},
        limits,
        page::{Page, Slice},
        words::{Kind, SlotState, TaskState},
    },
    repo::{
        Conn, RepoError, keyset, scope, sql,
        task::{Task, shown},
    },
};

/// Which tasks a list shows; `None` restricts nothing, an empty list lets nothing through.
#[derive(Clone, Debug, Default)]
pub struct TaskFilter {
    /// In one of these states.
    pub states: Option<Vec<TaskState>>,
    /// With a slot in one of these states.
    pub slot_states: Option<Vec<SlotState>>,
    /// With one of these external ids.
    pub external_ids: Option<Vec<String>>,
    /// With a slot this person holds or held.
    pub annotator: Option<UserId>,
    /// With a live annotation of this label.
    pub label: Option<String>,
    /// With a live annotation of one of these kinds.
    pub kinds: Option<Vec<Kind>>,
    /// With a live annotation of this source.
    pub source: Option<&'static str>,
    /// In one of these rounds.
    pub rounds: Option<Vec<i32>>,
    /// With or without an open conflict.
    pub has_open_conflict: Option<bool>,
    /// Made after this time.
    pub created_after: Option<DateTime<Utc>>,
    /// Changed after this time.
    pub updated_after: Option<DateTime<Utc>>,
    /// Look at annotations in this person's own slots only: who labels blind is not told of others' by a filter.
    pub own_slots_of: Option<UserId>,
}

/// The order of a task list with its page: the sort key ends in the id, so that it names one row.
#[derive(Clone, Debug)]
pub enum TaskPage {
    /// Highest priority first.
    Priority(Page<(i32, Uuid)>),
    /// Oldest first.
    Created(Page<Uuid>),
    /// Last changed first.
    Updated(Page<(DateTime<Utc>, Uuid)>),
}

/// One page of a project's tasks; the caller has checked that the asker sees the project.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn page(
    conn: &impl Conn,
    project: ProjectId,
    filter: &TaskFilter,
    page: &TaskPage,
) -> Result<Slice<Task>, RepoError> {
    let select = filtered(project, filter);
    let id = keyset::ascending(Column::Id);
    match page {
        TaskPage::Priority(page) => {
            let page = keyset::bind(page, |(priority, id)| [priority.into(), id.into()]);
            keyset::slice::<Model, _, 2>(conn, select, [keyset::descending(Column::Priority), id], page).await
        }
        TaskPage::Created(page) => {
            keyset::slice::<Model, _, 1>(conn, select, [id], keyset::bind(page, |id| [id.into()])).await
        }
        TaskPage::Updated(page) => {
            let page = keyset::bind(page, |(at, id)| [at.into(), id.into()]);
            keyset::slice::<Model, _, 2>(conn, select, [keyset::descending(Column::UpdatedAt), id], page).await
        }
    }
}

/// How many tasks the filter lets through, up to the counting limit.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn count(conn: &impl Conn, project: ProjectId, filter: &TaskFilter) -> Result<Option<u64>, RepoError> {
    sql::count_up_to(conn, filtered(project, filter), limits::TOTAL_COUNT).await
}

fn filtered(project: ProjectId, filter: &TaskFilter) -> SelectStatement {
    let mut select = shown();
    select.and_where(Column::ProjectId.eq(project.0));
    if let Some(states) = &filter.states {
        select.and_where(Column::State.is_in(states.iter().map(|state| state.as_str())));
    }
    if let Some(states) = &filter.slot_states {
        let states = task_slot::Column::State.is_in(states.iter().map(|state| state.as_str()));
        select.and_where(exists(task_slot::Entity, task_slot::Column::TaskId, states.into()));
    }
    if let Some(ids) = &filter.external_ids {
        select.and_where(Column::ExternalId.is_in(ids));
    }
    if let Some(annotator) = filter.annotator {
        let by = assignment::Column::AnnotatorId.eq(annotator.0);
        select.and_where(exists(assignment::Entity, assignment::Column::TaskId, by.into()));
    }
    match (&filter.label, filter.own_slots_of) {
        (Some(label), None) => {
            let labelled = task_label::Column::Label.eq(label).and(task_label::Column::Annotations.gt(0));
            select.and_where(exists(task_label::Entity, task_label::Column::TaskId, labelled.into()));
        }
        (Some(label), Some(_)) => {
            select.and_where(drawn(annotation::Column::Label.eq(label), filter));
        }
        (None, _) => {}
    }
    if let Some(kinds) = &filter.kinds {
        let kinds = annotation::Column::Kind.is_in(kinds.iter().map(|kind| kind.as_str()));
        select.and_where(drawn(kinds, filter));
    }
    if let Some(source) = filter.source {
        select.and_where(drawn(annotation::Column::Source.eq(source), filter));
    }
    if let Some(rounds) = &filter.rounds {
        select.and_where(Column::Round.is_in(rounds.iter().copied()));
    }
    match (filter.has_open_conflict, filter.own_slots_of) {
        (Some(open), None) => {
            select.and_where(Expr::cust(if open { "open_conflicts > 0" } else { "open_conflicts = 0" }));
        }
        (Some(open), Some(user)) => {
            let disputed = Expr::exists(disputed_in_own_slots(user));
            select.and_where(if open { disputed } else { disputed.not() });
        }
        (None, _) => {}
    }
    if let Some(at) = filter.created_after {
        select.and_where(Column::CreatedAt.gt(at));
    }
    if let Some(at) = filter.updated_after {
        select.and_where(Column::UpdatedAt.gt(at));
    }
    select
}

/// An open conflict in a slot of the person's own.
fn disputed_in_own_slots(user: UserId) -> SelectStatement {
    use entity::conflict::{Column as C, Entity as Conflict};
    let own = Query::select()
        .expr(Expr::cust("1"))
        .from(task_slot::Entity)
        .and_where(Expr::col((task_slot::Entity, task_slot::Column::TaskId)).equals((Conflict, C::TaskId)))
        .and_where(Expr::col((task_slot::Entity, task_slot::Column::Number)).equals((Conflict, C::Slot)))
        .cond_where(scope::own_slot(user))
        .to_owned();
    Query::select()
        .expr(Expr::cust("1"))
        .from(Conflict)
        .and_where(Expr::col((Conflict, C::TaskId)).equals((Entity, Column::Id)))
        .and_where(Expr::col((Conflict, C::State)).eq("OPEN"))
        .and_where(Expr::exists(own))
        .to_owned()
}

/// A live annotation that fulfils `condition`, among those the filter looks at.
fn drawn(condition: Expr, filter: &TaskFilter) -> Expr {
    let mut live = Condition::all().add(condition).add(annotation::Column::Deleted.eq(false));
    if let Some(user) = filter.own_slots_of {
        let own = Query::select()
            .expr(Expr::cust("1"))
            .from(task_slot::Entity)
            .and_where(
                Expr::col((task_slot::Entity, task_slot::Column::TaskId))
                    .equals((annotation::Entity, annotation::Column::TaskId)),
            )
            .and_where(
                Expr::col((task_slot::Entity, task_slot::Column::Number))
                    .equals((annotation::Entity, annotation::Column::Slot)),
            )
            .cond_where(scope::own_slot(user))
            .to_owned();
        live = live.add(Expr::exists(own));
    }
    exists(annotation::Entity, annotation::Column::TaskId, live)
}

fn exists(table: impl EntityTrait, task: impl IntoColumnRef, condition: Condition) -> Expr {
    let rows = Query::select()
        .expr(Expr::cust("1"))
        .from(table)
        .and_where(Expr::col(task).equals((Entity, Column::Id)))
        .cond_where(condition)
        .to_owned();
    Expr::exists(rows)
}
