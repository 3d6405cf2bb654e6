//! Relay connections over keyset pages.

use async_graphql::{
    Context, Object, OutputType,
    connection::{Connection, Edge, EmptyFields},
};
use serde::Serialize;

use crate::{
    domain::{
        ids::ProjectId,
        page::{self, List, PageArguments, Slice},
        words::ConflictState,
    },
    graphql::{
        context::Ctx,
        error::ApiError,
        loader::{Children, CountOf},
    },
    repo::{conflict, project, task_list, task_list::TaskFilter, user},
};

/// A connection of `T`.
pub(in crate::graphql) type Page<T> = Connection<String, T, Total, EmptyFields>;

/// The lists and their orders, as cursors name them.
pub(in crate::graphql) mod list {
    use crate::domain::page::List;

    pub(in crate::graphql) const USERS: List = List("users");
    pub(in crate::graphql) const PROJECTS: List = List("projects");
    pub(in crate::graphql) const TEMPLATES: List = List("templates");
    pub(in crate::graphql) const MEMBERS: List = List("members");
    pub(in crate::graphql) const ASSETS: List = List("assets");
    pub(in crate::graphql) const JOBS: List = List("jobs");
    pub(in crate::graphql) const TASK_ASSETS: List = List("task-assets");
    pub(in crate::graphql) const ASSIGNMENTS: List = List("assignments");
    pub(in crate::graphql) const ANNOTATIONS: List = List("annotations");
    pub(in crate::graphql) const REVISIONS: List = List("revisions");
    pub(in crate::graphql) const SNAPSHOTS: List = List("snapshots");
    pub(in crate::graphql) const CONFLICTS: List = List("conflicts");
    pub(in crate::graphql) const OPEN_CONFLICTS: List = List("open-conflicts");
    pub(in crate::graphql) const TASKS_BY_PRIORITY: List = List("tasks-priority");
    pub(in crate::graphql) const TASKS_BY_CREATION: List = List("tasks-created");
    pub(in crate::graphql) const TASKS_BY_UPDATE: List = List("tasks-updated");
}

/// The paging arguments of a field.
pub(in crate::graphql) fn arguments(
    first: Option<i32>,
    after: Option<String>,
    last: Option<i32>,
    before: Option<String>,
) -> PageArguments {
    PageArguments { first, after, last, before }
}

/// A slice of the rows of `list` as a connection: `key` is the sort key of a row, `node` its type in the API.
pub(in crate::graphql) fn connection<R, K: Serialize, T: OutputType>(
    list: List,
    slice: Slice<R>,
    total: Total,
    key: impl Fn(&R) -> K,
    node: impl Fn(R) -> T,
) -> Page<T> {
    let mut connection = Connection::with_additional_fields(slice.has_previous, slice.has_next, total);
    let edges = slice.rows.into_iter().map(|row| Edge::new(page::encode(list, &key(&row)), node(row)));
    connection.edges.extend(edges);
    connection
}

/// The whole list behind a page.
pub(in crate::graphql) enum Total {
    /// All users.
    Users,
    /// The projects the viewer sees.
    Projects,
    /// The tasks of a project that a filter lets through.
    Tasks(ProjectId, Box<TaskFilter>),
    /// The conflicts of a project, in a state if one is given.
    Conflicts(ProjectId, Option<ConflictState>),
    /// A list below a parent.
    Of(Children),
}

#[Object(name = "Total")]
impl Total {
    /// How many rows the whole list has: counted only when asked for, null above 10,000.
    async fn total_count(&self, ctx: &Context<'_>) -> Result<Option<i32>, ApiError> {
        let db = &ctx.app().db;
        let count = match self {
            Self::Users => user::count(db).await?,
            Self::Projects => project::count(db, ctx.viewer()?.scope()).await?,
            Self::Tasks(project, filter) => task_list::count(db, *project, filter).await?,
            Self::Conflicts(project, state) => conflict::count(db, ctx.viewer()?.scope(), *project, *state).await?,
            Self::Of(children) => ctx.loaders().get(CountOf(*children)).await?,
        };
        Ok(count.and_then(|count| i32::try_from(count).ok()))
    }
}
