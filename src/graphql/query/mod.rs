//! Reading.

use async_graphql::{Context, ID, Object};
use chrono::{DateTime, Utc};
use futures::future::try_join_all;

use crate::{
    domain::{
        ids::{AnyId, ProjectId, TaskId},
        limits,
        page::Slice,
    },
    graphql::{
        context::{Ctx, id},
        error::ApiError,
        types::{
            conflict::Conflict,
            connection::{Page, Total, arguments, connection, list},
            event::EventPage,
            kind::AnnotationKindInfo,
            node::Node,
            project::Project,
            scalars::EventCursor,
            task::{Task, TaskFilter, storable},
            user::User,
            words::{ConflictState, TaskOrder},
        },
    },
    kind,
    repo::{
        Conn, project as project_repo, task as task_repo,
        task_list::{self, TaskPage},
        user as user_repo,
    },
    service::{ServiceError, conflict, event, project},
};

/// Reading.
pub(super) struct Query;

#[Object]
impl Query {
    /// Anything with an id; null when there is none or you do not see it.
    async fn node(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Node>, ApiError> {
        find_node(ctx, "id", &id).await
    }

    /// Several things by id, in the order asked; at most 200.
    async fn nodes(&self, ctx: &Context<'_>, ids: Vec<ID>) -> Result<Vec<Option<Node>>, ApiError> {
        if ids.len() > limits::NODES {
            return Err(ServiceError::limit("ids", limits::NODES, "ids").into());
        }
        let found = ids.iter().enumerate().map(async |(index, id)| find_node(ctx, &format!("ids[{index}]"), id).await);
        try_join_all(found).await
    }

    /// Yourself.
    async fn viewer(&self, ctx: &Context<'_>) -> Result<User, ApiError> {
        Ok(User(ctx.viewer()?.user.clone()))
    }

    /// Everybody; admins only.
    async fn users(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page<User>, ApiError> {
        ctx.viewer()?.must_be_admin()?;
        let page = arguments(first, after, last, before).parse(list::USERS)?;
        let slice = user_repo::page(&ctx.app().db, &page).await?;
        Ok(connection(list::USERS, slice, Total::Users, |user| user.id.0, User))
    }

    /// The projects you are in; for admins all.
    async fn projects(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page<Project>, ApiError> {
        let scope = ctx.viewer()?.scope();
        let page = arguments(first, after, last, before).parse(list::PROJECTS)?;
        let slice = project_repo::page(&ctx.app().db, scope, &page).await?;
        Ok(connection(list::PROJECTS, slice, Total::Projects, |project| project.id.0, Project))
    }

    /// One project; null when there is none or you are not in it.
    async fn project(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Project>, ApiError> {
        let viewer = ctx.viewer()?;
        let id: ProjectId = self::id("id", &id)?;
        Ok(project::find(ctx.app(), viewer, id).await?.map(|(project, _)| Project(project)))
    }

    /// One task; null when there is none or you are not in its project.
    async fn task(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Task>, ApiError> {
        let viewer = ctx.viewer()?;
        let id: TaskId = self::id("id", &id)?;
        Ok(task_repo::find(&ctx.app().db, viewer.scope(), id).await?.map(Task))
    }

    /// The tasks of a project, highest priority first unless ordered otherwise.
    #[expect(clippy::too_many_arguments, reason = "the arguments of the field")]
    async fn tasks(
        &self,
        ctx: &Context<'_>,
        project_id: ID,
        filter: Option<TaskFilter>,
        order_by: Option<TaskOrder>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page<Task>, ApiError> {
        let viewer = ctx.viewer()?;
        let arguments = arguments(first, after, last, before);
        let page = match order_by.unwrap_or(TaskOrder::Priority) {
            TaskOrder::Priority => TaskPage::Priority(arguments.parse(list::TASKS_BY_PRIORITY)?),
            TaskOrder::Created => TaskPage::Created(arguments.parse(list::TASKS_BY_CREATION)?),
            TaskOrder::Updated => {
                let page = arguments.parse::<(DateTime<Utc>, _)>(list::TASKS_BY_UPDATE)?;
                storable("after", page.after.map(|(at, _)| at))?;
                storable("before", page.before.map(|(at, _)| at))?;
                TaskPage::Updated(page)
            }
        };
        let mut filter = filter.unwrap_or_default().parse()?;
        let (project, standing) = project::get(ctx.app(), viewer, id("projectId", &project_id)?).await?;
        filter.own_slots_of = standing.is_blind(project.overlap).then_some(viewer.user.id);
        let slice = task_list::page(&ctx.app().db, project.id, &filter, &page).await?;
        Ok(task_connection(slice, &page, Total::Tasks(project.id, Box::new(filter))))
    }

    /// The conflicts of a project that you see, oldest first: those in a state, or all. With overlap above 1 annotators see
    /// those of their own slots.
    #[expect(clippy::too_many_arguments, reason = "the arguments of the field")]
    async fn conflicts(
        &self,
        ctx: &Context<'_>,
        project_id: ID,
        #[graphql(desc = "OPEN: those that wait for a person.")] state: Option<ConflictState>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page<Conflict>, ApiError> {
        let page = arguments(first, after, last, before).parse(list::CONFLICTS)?;
        let (project, state) = (id("projectId", &project_id)?, state.map(Into::into));
        let slice = conflict::page(ctx.app(), ctx.viewer()?, project, state, &page).await?;
        let total = Total::Conflicts(project, state);
        Ok(connection(list::CONFLICTS, slice, total, |conflict| conflict.id.0, Conflict))
    }

    /// The kinds of annotation this server knows, with the JSON Schema of their geometry.
    async fn annotation_kinds(&self) -> Vec<AnnotationKindInfo> {
        kind::registry().iter().map(AnnotationKindInfo::from).collect()
    }

    /// The position of a project's events now: read it before the data, read on from it after.
    async fn event_cursor(&self, ctx: &Context<'_>, project_id: ID) -> Result<EventCursor, ApiError> {
        let viewer = ctx.viewer()?;
        let cursor = event::cursor(ctx.app(), viewer, id("projectId", &project_id)?).await?;
        Ok(EventCursor::from(&cursor))
    }

    /// What happened in a project behind a cursor, from the oldest kept event when there is none; at most 200 at once.
    async fn events(
        &self,
        ctx: &Context<'_>,
        project_id: ID,
        after: Option<EventCursor>,
        first: i32,
    ) -> Result<EventPage, ApiError> {
        let viewer = ctx.viewer()?;
        let project = id("projectId", &project_id)?;
        let after = after.map(|cursor| cursor.parse_at("after")).transpose()?;
        let replay = event::page(ctx.app(), viewer, project, after, first).await?;
        Ok(EventPage::new(project, ctx.app().db.clock().process_now(), replay))
    }
}

async fn find_node(ctx: &Context<'_>, field: &str, id: &ID) -> Result<Option<Node>, ApiError> {
    ctx.viewer()?;
    Ok(ctx.loaders().find(self::id::<AnyId>(field, id)?).await?.map(Node::from))
}

fn task_connection(slice: Slice<task_repo::Task>, page: &TaskPage, total: Total) -> Page<Task> {
    match page {
        TaskPage::Priority(_) => {
            connection(list::TASKS_BY_PRIORITY, slice, total, |task| (task.priority, task.id.0), Task)
        }
        TaskPage::Created(_) => connection(list::TASKS_BY_CREATION, slice, total, |task| task.id.0, Task),
        TaskPage::Updated(_) => {
            connection(list::TASKS_BY_UPDATE, slice, total, |task| (task.updated_at, task.id.0), Task)
        }
    }
}
