//! Checking new tasks as they were sent, before anything is written.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::{
    domain::{
        ids::{AssetId, TaskId},
        limits, text,
        words::MediaType,
    },
    repo::{project::Project, task::NewTask},
    service::{ServiceError, validate},
};

/// A new task, as it was sent.
#[derive(Clone, Debug)]
pub struct TaskInput {
    /// The id it has elsewhere.
    pub external_id: Option<String>,
    /// Its assets in order.
    pub assets: Vec<AssetId>,
    /// What the labeling UI wants to know about it.
    pub data: Option<Value>,
    /// Higher is handed out first.
    pub priority: Option<i32>,
}

/// Every asset a batch names, once; with the limits on their number.
pub(super) fn assets_of(tasks: &[TaskInput]) -> Result<Vec<AssetId>, ServiceError> {
    validate::count("tasks", tasks.len(), limits::TASKS, "tasks")?;
    let mut assets = Vec::new();
    for (index, task) in tasks.iter().enumerate() {
        let field = || format!("tasks[{index}].assetIds");
        if task.assets.len() > limits::TASK_ASSETS {
            return Err(ServiceError::limit(field(), limits::TASK_ASSETS, "assets of one task"));
        }
        assets.extend(&task.assets);
        if assets.len() > limits::BATCH_ASSETS {
            return Err(ServiceError::limit(field(), limits::BATCH_ASSETS, "assets of one request"));
        }
    }
    assets.sort_unstable();
    assets.dedup();
    Ok(assets)
}

/// Checks the batch against the project and its READY assets.
pub(super) fn check(
    project: &Project,
    ready: &HashMap<AssetId, Option<MediaType>>,
    tasks: Vec<TaskInput>,
) -> Result<Vec<NewTask>, ServiceError> {
    let mut external_ids = HashSet::new();
    let mut new = Vec::with_capacity(tasks.len());
    for (index, task) in tasks.into_iter().enumerate() {
        let at = |name: &str| format!("tasks[{index}].{name}");
        check_assets(project, ready, &task, &at("assetIds"))?;
        let task = check_one(project, task, at)?;
        if let Some(id) = &task.external_id
            && !external_ids.insert(id.clone())
        {
            return Err(ServiceError::invalid(at("externalId"), format!("{id:?} stands in this request twice")));
        }
        new.push(task);
    }
    Ok(new)
}

/// Checks one task, whose assets are known to suit; `at` says where a member of it stands in the input.
pub(super) fn check_one(
    project: &Project,
    task: TaskInput,
    at: impl Fn(&str) -> String,
) -> Result<NewTask, ServiceError> {
    let data = check_data(task.data, &at("data"))?;
    let external_id = task.external_id.map(|id| text::name(&id, limits::EXTERNAL_ID_CHARS)).transpose();
    let external_id = external_id.map_err(|error| ServiceError::invalid(at("externalId"), error))?;
    if task.assets.is_empty() && !has_own_text(project.media_type, &data) {
        return Err(ServiceError::invalid(at("assetIds"), "a task needs an asset, or data.text in a TEXT project"));
    }
    let priority = check_priority(task.priority.unwrap_or(0), &at("priority"))?;
    let id = TaskId::generate();
    let stream = stream_of(id, project.streams);
    Ok(NewTask { id, external_id, assets: task.assets, data, priority, stream, suggested: false })
}

fn check_assets(
    project: &Project,
    ready: &HashMap<AssetId, Option<MediaType>>,
    task: &TaskInput,
    field: &str,
) -> Result<(), ServiceError> {
    let mut seen = HashSet::new();
    for (place, id) in task.assets.iter().enumerate() {
        let at = || format!("{field}[{place}]");
        let shows = ready.get(id).ok_or_else(|| ServiceError::not_found("READY asset of this project", at()))?;
        if !shows.is_some_and(|shows| suits(project.media_type, shows)) {
            let message = format!("is no asset for a project of {} tasks", project.media_type);
            return Err(ServiceError::invalid(at(), message));
        }
        if !seen.insert(id) {
            return Err(ServiceError::invalid(at(), "stands in this task twice"));
        }
    }
    Ok(())
}

/// Whether an asset that shows `asset` can be labeled in a project of `project` tasks; frames of a video are pictures.
pub(super) fn suits(project: MediaType, asset: MediaType) -> bool {
    match project {
        MediaType::ImageText => matches!(asset, MediaType::Image | MediaType::Text),
        MediaType::Video => matches!(asset, MediaType::Video | MediaType::Image),
        MediaType::PointCloud => matches!(asset, MediaType::PointCloud | MediaType::Image),
        MediaType::Image | MediaType::Text | MediaType::Audio => asset == project,
    }
}

fn has_own_text(media_type: MediaType, data: &Value) -> bool {
    media_type == MediaType::Text && data.get("text").and_then(Value::as_str).is_some_and(|text| !text.is_empty())
}

fn check_data(data: Option<Value>, field: &str) -> Result<Value, ServiceError> {
    let data = data.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    if !data.is_object() {
        return Err(ServiceError::invalid(field, "must be a JSON object"));
    }
    if text::json_has_nul(&data) {
        return Err(ServiceError::invalid(field, "must not hold NUL characters"));
    }
    if data.to_string().len() > limits::TASK_DATA_BYTES {
        return Err(ServiceError::limit(field, limits::TASK_DATA_BYTES, "bytes of JSON"));
    }
    Ok(data)
}

/// A priority within its range.
pub(super) fn check_priority(priority: i32, field: &str) -> Result<i32, ServiceError> {
    if limits::PRIORITY.contains(&priority) {
        return Ok(priority);
    }
    let (min, max) = limits::PRIORITY.into_inner();
    Err(ServiceError::invalid(field, format!("must be from {min} to {max}")))
}

/// Spreads tasks over the streams by the random end of their ids.
fn stream_of(id: TaskId, streams: i32) -> i32 {
    let random = u32::from_be_bytes([0, 0, id.0.as_bytes()[14], id.0.as_bytes()[15]]);
    i32::try_from(random % streams.max(1).unsigned_abs()).unwrap_or(0)
}
