//! Making tasks, moving them in the queue, putting them away.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;

pub use crate::service::task_input::TaskInput;
use crate::{
    domain::{
        counter::Counter,
        ids::{ProjectId, TaskId, UserId},
        life_cycle::{self, SlotEvent},
        limits,
        permission::{Action, Standing},
        words::{EventType, ReviewPolicy, Role, SlotState, TaskState},
    },
    live::Changes,
    repo::{
        Txn, asset, assignment, member, project, slot, task as repo,
        task::{Batch, Task, TaskChanges},
    },
    service::{
        App, ServiceError, Viewer,
        locked::{self as places, life},
        project::no_project,
        task_input, template,
        validate::{self, must},
    },
};

/// What `createTasks` did.
#[derive(Clone, Debug)]
pub struct Created {
    /// One task for each of the request, in its order: made now, or known before.
    pub tasks: Vec<Task>,
    /// How many were made now.
    pub created: usize,
}

/// Makes tasks with the project's current template; one whose external id is known is left untouched. Takes a manager.
///
/// # Errors
/// [`ServiceError::NotFound`], [`ServiceError::Forbidden`], [`ServiceError::Invalid`], [`ServiceError::LimitExceeded`],
/// [`ServiceError::Transition`] while the project has no template or is archived.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id, project.id = %project))]
pub async fn create(
    app: &App,
    viewer: &Viewer,
    project: ProjectId,
    tasks: Vec<TaskInput>,
) -> Result<Created, ServiceError> {
    let txn = app.db.begin().await?;
    let found = project::share(&txn, viewer.scope(), project).await?;
    let (project, standing) = found.ok_or_else(|| no_project("projectId"))?;
    must(standing, Action::ManageTasks)?;
    validate::must_be_open(&project, "projectId")?;
    let assets = task_input::assets_of(&tasks)?;
    let template = template::current(&txn, &project).await?;
    let ready = asset::find_ready(&txn, project.id, &assets).await?;
    let new = task_input::check(&project, &ready, tasks)?;
    let order: Vec<(TaskId, Option<String>)> = new.iter().map(|task| (task.id, task.external_id.clone())).collect();
    let external_ids: Vec<String> = order.iter().filter_map(|(_, external_id)| external_id.clone()).collect();
    let streams: HashMap<TaskId, i32> = new.iter().map(|task| (task.id, task.stream)).collect();
    let batch = Batch {
        project: project.id,
        template: template.id,
        state: TaskState::Queued,
        slots: vec![SlotState::Free; project.overlap.unsigned_abs() as usize],
        hidden_by: None,
        by: viewer.user.id,
    };
    let added = repo::insert(&txn, &batch, new).await?;
    let known = if external_ids.is_empty() {
        HashMap::new()
    } else {
        repo::find_external(&txn, project.id, &external_ids).await?
    };
    let made = repo::find_all(&txn, viewer.scope(), &added).await?;
    let one = |(id, external_id): &(TaskId, Option<String>)| {
        made.get(id).or_else(|| known.get(external_id.as_ref()?)).cloned()
    };
    if let Some(index) = order.iter().position(|task| one(task).is_none()) {
        // Whether it will be there is not decided yet.
        let message = "a running import holds this id; wait for its end";
        return Err(ServiceError::transition(format!("tasks[{index}].externalId"), message));
    }
    let mut changes = Changes::new(project.id, Some(viewer.user.id));
    for task in added.iter().filter_map(|id| made.get(id)) {
        changes.task(EventType::TaskCreated, task, json!({ "to": TaskState::Queued }));
    }
    for id in &added {
        let stream = streams.get(id).copied().unwrap_or(0);
        changes.count(stream, Counter::Tasks(TaskState::Queued), 1);
        changes.count(stream, Counter::Claimable, i64::from(project.overlap));
        changes.waits(*id);
    }
    if !added.is_empty() {
        changes.append(&txn).await?;
    }
    txn.commit().await?;
    Ok(Created { tasks: order.iter().filter_map(one).collect(), created: added.len() })
}

/// What changes about tasks, as it was sent.
#[derive(Clone, Debug)]
pub struct UpdateTasks {
    /// Which.
    pub tasks: Vec<TaskId>,
    /// Higher is handed out first.
    pub priority: Option<i32>,
    /// Whom the first free slot of each waits for.
    pub reserved_for: Option<UserId>,
    /// Whether reservations end (before a new one begins).
    pub clear_reservation: bool,
}

/// Changes priority and reservations; takes a manager.
///
/// # Errors
/// [`ServiceError::NotFound`], [`ServiceError::Forbidden`], [`ServiceError::Invalid`], [`ServiceError::LimitExceeded`],
/// [`ServiceError::Transition`] when a task has no free slot to reserve.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id))]
pub async fn update(app: &App, viewer: &Viewer, change: UpdateTasks) -> Result<Vec<Task>, ServiceError> {
    let priority = change.priority.map(|priority| task_input::check_priority(priority, "priority")).transpose()?;
    let txn = app.db.begin().await?;
    let locked = lock_managed(&txn, viewer, &change.tasks).await?;
    if priority.is_none() && change.reserved_for.is_none() && !change.clear_reservation {
        return Ok(in_order(&change.tasks, locked.tasks.into_values().collect()));
    }
    if let Some(user) = change.reserved_for {
        must_be_able_to_label(&txn, user, &locked).await?;
    }
    if let Some(priority) = priority {
        slot::set_priority(&txn, &locked.ids, priority).await?;
    }
    if change.clear_reservation {
        slot::clear_reservations(&txn, &locked.ids).await?;
    }
    if let Some(user) = change.reserved_for {
        let free = free_slots(&txn, user, &change.tasks).await?;
        slot::reserve(&txn, &free, user).await?;
    }
    let tasks = repo::update_all(&txn, &locked.ids, TaskChanges { state: None, priority }).await?;
    let reserved_for = change.reserved_for.map(|user| user.to_string());
    let payload =
        json!({ "priority": priority, "reservedFor": reserved_for, "reservationCleared": change.clear_reservation });
    append(&txn, viewer, &tasks, |changes, task| {
        changes.task(EventType::TaskUpdated, task, payload.clone());
        if priority.is_some() || change.clear_reservation {
            changes.waits(task.id);
        }
    })
    .await?;
    txn.commit().await?;
    Ok(in_order(&change.tasks, tasks))
}

async fn must_be_able_to_label(txn: &Txn, user: UserId, locked: &Locked) -> Result<(), ServiceError> {
    let roles = member::roles(txn, user, &locked.projects).await?;
    let able = |project: &ProjectId| roles.get(project).is_some_and(|role| *role >= Role::Annotator);
    if locked.projects.iter().all(able) {
        return Ok(());
    }
    Err(ServiceError::not_found("annotator of the project", "reservedForUserId"))
}

/// The slot of each task to reserve: the one that waits for this person already, else the first free one that waits for
/// nobody.
async fn free_slots(txn: &Txn, user: UserId, tasks: &[TaskId]) -> Result<Vec<(TaskId, i32)>, ServiceError> {
    let slots = slot::of_tasks(txn, tasks).await?;
    let mut free = Vec::with_capacity(tasks.len());
    for (index, task) in tasks.iter().enumerate() {
        let open = || slots.get(task).into_iter().flatten().filter(|slot| slot.state == SlotState::Free);
        let own = open().find(|slot| slot.reserved_for == Some(user));
        let slot = own.or_else(|| open().find(|slot| slot.reserved_for.is_none()));
        let slot = slot.ok_or_else(|| {
            ServiceError::transition(format!("taskIds[{index}]"), "the task has no free slot to reserve")
        })?;
        free.push((*task, slot.number));
    }
    Ok(free)
}

/// Puts tasks away (which ends leases and reviews) or takes them out again; takes a manager. What is in the wanted state
/// already is left untouched.
///
/// # Errors
/// [`ServiceError::NotFound`], [`ServiceError::Forbidden`], [`ServiceError::LimitExceeded`].
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id))]
pub async fn archive(app: &App, viewer: &Viewer, ids: Vec<TaskId>, archived: bool) -> Result<Vec<Task>, ServiceError> {
    let txn = app.db.begin().await?;
    let mut locked = lock_managed(&txn, viewer, &ids).await?;
    let moving: Vec<TaskId> = locked
        .ids
        .iter()
        .copied()
        .filter(|id| locked.tasks.get(id).is_some_and(|task| (task.state == TaskState::Archived) != archived))
        .collect();
    if moving.is_empty() {
        return Ok(in_order(&ids, locked.tasks.into_values().collect()));
    }
    let slots = slot::of_tasks(&txn, &moving).await?;
    let mut targets: BTreeMap<TaskState, Vec<TaskId>> = BTreeMap::new();
    for id in &moving {
        let (task, slots) = (&locked.tasks[id], slots.get(id).map_or(&[][..], Vec::as_slice));
        let event = if archived { life_cycle::Event::Archived } else { life_cycle::Event::Unarchived };
        // Neither needs to know whether work is reviewed: nothing is finished by moving it.
        let next = life_cycle::next(&life(task, slots), event, ReviewPolicy::Required)?;
        targets.entry(next.state).or_default().push(*id);
    }
    if archived {
        assignment::revoke_all(&txn, &moving).await?;
        slot::archive(&txn, &moving, life_cycle::next_slot(SlotState::Leased, SlotEvent::Freed)?).await?;
    } else {
        let open = targets.iter().filter(|(state, _)| **state != TaskState::Quarantined).flat_map(|(_, ids)| ids);
        slot::unarchive(&txn, &open.copied().collect::<Vec<_>>()).await?;
    }
    let mut moved = Vec::with_capacity(moving.len());
    for (state, ids) in targets {
        moved.extend(repo::update_all(&txn, &ids, TaskChanges { state: Some(state), priority: None }).await?);
    }
    append(&txn, viewer, &moved, |changes, task| {
        let from = locked.tasks[&task.id].state;
        changes.task(EventType::TaskStateChanged, task, json!({ "from": from, "to": task.state }));
        changes.count(task.stream, Counter::Tasks(from), -1);
        changes.count(task.stream, Counter::Tasks(task.state), 1);
        let slots = slots.get(&task.id).map_or(&[][..], Vec::as_slice);
        // A lease that ended leaves a free slot, which an archived task does not hand out.
        let claimable = places::claimable(task.state, slots) - places::claimable(from, slots);
        changes.count(task.stream, Counter::Claimable, claimable);
        if claimable > 0 {
            changes.waits(task.id);
        }
        for slot in slots.iter().filter(|slot| archived && slot.state == SlotState::Leased) {
            let payload = places::turn_payload(slot.number, false, slot.holder, None);
            changes.task(EventType::SessionChanged, task, payload);
        }
    })
    .await?;
    txn.commit().await?;
    moved.iter().for_each(|task| app.presence.turned(task.id));
    locked.tasks.extend(moved.into_iter().map(|task| (task.id, task)));
    Ok(in_order(&ids, locked.tasks.into_values().collect()))
}

/// Tasks held by the transaction, which the viewer manages.
struct Locked {
    tasks: HashMap<TaskId, Task>,
    ids: Vec<TaskId>,
    projects: Vec<ProjectId>,
}

async fn lock_managed(txn: &Txn, viewer: &Viewer, ids: &[TaskId]) -> Result<Locked, ServiceError> {
    validate::count("taskIds", ids.len(), limits::TASKS, "tasks")?;
    let tasks = repo::lock_all(txn, viewer.scope(), ids).await?;
    for (index, id) in ids.iter().enumerate() {
        if !tasks.contains_key(id) {
            return Err(ServiceError::not_found("task", format!("taskIds[{index}]")));
        }
    }
    let mut projects: Vec<ProjectId> = tasks.values().map(|task| task.project).collect();
    projects.sort_unstable();
    projects.dedup();
    if !viewer.user.admin {
        let roles = member::roles(txn, viewer.user.id, &projects).await?;
        for project in &projects {
            let role = roles.get(project).ok_or_else(|| ServiceError::not_found("task", "taskIds"))?;
            must(Standing::Member(*role), Action::ManageTasks)?;
        }
    }
    for project in project::find_all(txn, &projects).await?.values() {
        validate::must_be_open(project, "taskIds")?;
    }
    let mut ids: Vec<TaskId> = tasks.keys().copied().collect();
    ids.sort_unstable();
    Ok(Locked { tasks, ids, projects })
}

/// Appends what `describe` says of each task, project by project in ascending order (the lock order).
async fn append(
    txn: &Txn,
    viewer: &Viewer,
    tasks: &[Task],
    describe: impl Fn(&mut Changes, &Task),
) -> Result<(), ServiceError> {
    let mut by_project: BTreeMap<ProjectId, Changes> = BTreeMap::new();
    for task in tasks {
        let changes = by_project.entry(task.project);
        describe(changes.or_insert_with(|| Changes::new(task.project, Some(viewer.user.id))), task);
    }
    for (_, changes) in by_project {
        changes.append(txn).await?;
    }
    Ok(())
}

fn in_order(ids: &[TaskId], tasks: Vec<Task>) -> Vec<Task> {
    let by_id: HashMap<TaskId, Task> = tasks.into_iter().map(|task| (task.id, task)).collect();
    ids.iter().filter_map(|id| by_id.get(id).cloned()).collect()
}
