//! Tasks.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use serde_json::Value;

use crate::{
    graphql::{
        context::{Ctx, id, ids},
        error::ApiError,
        types::task::Task,
    },
    service::task,
};

#[derive(Default)]
pub(super) struct TaskMutation;

/// Tasks to make.
#[derive(InputObject)]
struct CreateTasksInput {
    /// The project.
    project_id: ID,
    /// The tasks; at most 1,000.
    tasks: Vec<NewTaskInput>,
}

/// One task to make.
#[derive(InputObject)]
struct NewTaskInput {
    /// The id it has elsewhere, unique in the project.
    external_id: Option<String>,
    /// What it shows, in order; READY assets of the project.
    asset_ids: Option<Vec<ID>>,
    /// A JSON object for the labeling UI; `text` is what a TEXT task shows when it has no asset.
    data: Option<Value>,
    /// Higher is handed out first; default 0.
    priority: Option<i32>,
}

/// The tasks made or known.
#[derive(SimpleObject)]
struct CreateTasksPayload {
    /// One for each of the input, in order.
    tasks: Vec<Task>,
    /// How many were made now.
    created: i32,
    /// How many were known by their external id and left untouched.
    existing: i32,
}

/// What to change about tasks; null leaves a field as it is.
#[derive(InputObject)]
struct UpdateTasksInput {
    /// Which; at most 1,000.
    task_ids: Vec<ID>,
    /// Higher is handed out first.
    priority: Option<i32>,
    /// Reserves the first free slot of each for this annotator.
    reserved_for_user_id: Option<ID>,
    /// Ends the reservations that are there.
    clear_reservation: Option<bool>,
}

/// The tasks changed.
#[derive(SimpleObject)]
struct UpdateTasksPayload {
    /// The tasks, in the order of the input.
    tasks: Vec<Task>,
}

/// Puts tasks away or takes them out again.
#[derive(InputObject)]
struct ArchiveTasksInput {
    /// Which; at most 1,000.
    task_ids: Vec<ID>,
    /// Away (true) or out again (false).
    archived: bool,
}

/// The tasks moved.
#[derive(SimpleObject)]
struct ArchiveTasksPayload {
    /// The tasks, in the order of the input.
    tasks: Vec<Task>,
}

#[Object]
impl TaskMutation {
    /// Makes tasks with the project's current template; managers. All or none. Codes: `NOT_FOUND`, `FORBIDDEN`,
    /// `BAD_USER_INPUT`, `LIMIT_EXCEEDED`, `INVALID_TRANSITION`.
    async fn create_tasks(&self, ctx: &Context<'_>, input: CreateTasksInput) -> Result<CreateTasksPayload, ApiError> {
        let viewer = ctx.viewer()?;
        let project = id("projectId", &input.project_id)?;
        let mut tasks = Vec::with_capacity(input.tasks.len());
        for (index, new) in input.tasks.into_iter().enumerate() {
            let assets = ids(&format!("tasks[{index}].assetIds"), &new.asset_ids.unwrap_or_default())?;
            let NewTaskInput { external_id, data, priority, .. } = new;
            tasks.push(task::TaskInput { external_id, assets, data, priority });
        }
        let asked = tasks.len();
        let task::Created { tasks, created } = task::create(ctx.app(), viewer, project, tasks).await?;
        let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        Ok(CreateTasksPayload {
            tasks: tasks.into_iter().map(Task).collect(),
            created: count(created),
            existing: count(asked - created),
        })
    }

    /// Changes priority and reservations; managers. All or none. Codes: `NOT_FOUND`, `FORBIDDEN`, `BAD_USER_INPUT`,
    /// `LIMIT_EXCEEDED`, `INVALID_TRANSITION` (no free slot).
    async fn update_tasks(&self, ctx: &Context<'_>, input: UpdateTasksInput) -> Result<UpdateTasksPayload, ApiError> {
        let viewer = ctx.viewer()?;
        let change = task::UpdateTasks {
            tasks: ids("taskIds", &input.task_ids)?,
            priority: input.priority,
            reserved_for: input.reserved_for_user_id.map(|user| id("reservedForUserId", &user)).transpose()?,
            clear_reservation: input.clear_reservation.unwrap_or(false),
        };
        let tasks = task::update(ctx.app(), viewer, change).await?;
        Ok(UpdateTasksPayload { tasks: tasks.into_iter().map(Task).collect() })
    }

    /// Puts tasks away, which ends their leases and reviews, or takes them out again; managers. Finished work stays. Codes:
    /// `NOT_FOUND`, `FORBIDDEN`, `LIMIT_EXCEEDED`.
    async fn archive_tasks(
        &self,
        ctx: &Context<'_>,
        input: ArchiveTasksInput,
    ) -> Result<ArchiveTasksPayload, ApiError> {
        let viewer = ctx.viewer()?;
        let tasks = task::archive(ctx.app(), viewer, ids("taskIds", &input.task_ids)?, input.archived).await?;
        Ok(ArchiveTasksPayload { tasks: tasks.into_iter().map(Task).collect() })
    }
}
