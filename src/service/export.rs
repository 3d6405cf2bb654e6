//! Exporting a data set, page by page. What drives this, and writes the file, is `worker::jobs`.

use std::collections::{HashMap, HashSet};

use crate::{
    domain::{
        ids::{AnnotationId, TaskId, UserId},
        limits,
        words::{ConflictExport, Kind, OverlapExport, ReviewPolicy, SlotState, TaskState},
    },
    repo::{
        RepoError, annotation,
        annotation::Live,
        asset::{self, Named},
        conflict,
        job::Job,
        label,
        project::{self, Project},
        record::{Record, RecordAnnotation, RecordAsset, RecordPerson, RecordSlot},
        slot::{self, Slot},
        task::{self, Task},
        template, user,
    },
    service::{App, ServiceError, job::ExportParameters},
};

/// What an export goes by.
#[derive(Clone, Debug)]
pub struct Export {
    /// Its project.
    pub project: Project,
    /// The tools of the project's templates, the newest first, each name once: kind and labels.
    pub tools: Vec<(String, Kind, Vec<String>)>,
    /// The states of slots whose work is taken.
    slots: Vec<SlotState>,
    parameters: ExportParameters,
}

/// Begins an export.
///
/// # Errors
/// [`ServiceError`] of the database.
pub async fn begin(app: &App, job: &Job, parameters: ExportParameters) -> Result<Export, ServiceError> {
    let project = project::find_all(&app.db, &[job.project]).await?.remove(&job.project).ok_or(RepoError::NotFound)?;
    let mut tools: Vec<(String, Kind, Vec<String>)> = Vec::new();
    for tool in template::all_tools(&app.db, project.id).await? {
        let labels = tool.labels.into_iter().map(|label| label.name);
        match tools.iter_mut().find(|(name, ..)| *name == tool.name) {
            Some((_, _, known)) => {
                let new: Vec<String> = labels.filter(|label| !known.contains(label)).collect();
                known.extend(new);
            }
            None => tools.push((tool.name, tool.kind, labels.collect())),
        }
    }
    let slots = match (parameters.overlap, project.review) {
        (OverlapExport::All, _) | (_, ReviewPolicy::None) => vec![SlotState::Accepted, SlotState::Submitted],
        (OverlapExport::Accepted | OverlapExport::First, ReviewPolicy::Required) => vec![SlotState::Accepted],
    };
    Ok(Export { project, tools, slots, parameters })
}

impl Export {
    /// How many tasks there are to look at.
    ///
    /// # Errors
    /// [`ServiceError`] of the database.
    pub async fn total(&self, app: &App) -> Result<u64, ServiceError> {
        Ok(slot::count_tasks(&app.db, self.project.id, &self.slots).await?)
    }

    /// The next tasks behind `after` that have work to export.
    ///
    /// # Errors
    /// [`ServiceError`] of the database.
    pub async fn next(&self, app: &App, after: Option<TaskId>) -> Result<Vec<TaskId>, ServiceError> {
        let limit = limits::JOB_RECORDS as u64;
        Ok(slot::tasks_with(&app.db, self.project.id, &self.slots, after, limit).await?)
    }

    /// Cuts a page into runs of tasks whose annotations are held in memory together.
    ///
    /// # Errors
    /// [`ServiceError`] of the database.
    pub async fn runs(&self, app: &App, tasks: &[TaskId]) -> Result<Vec<Vec<TaskId>>, ServiceError> {
        let counts = label::totals(&app.db, tasks).await?;
        let mut runs: Vec<Vec<TaskId>> = Vec::new();
        let mut held = 0;
        for task in tasks {
            let count = counts.get(task).copied().unwrap_or(0);
            match runs.last_mut() {
                Some(run) if held + count <= limits::JOB_ANNOTATIONS => {
                    run.push(*task);
                    held += count;
                }
                _ => {
                    runs.push(vec![*task]);
                    held = count;
                }
            }
        }
        Ok(runs)
    }

    /// What becomes of annotations with an open conflict.
    #[must_use]
    pub fn conflicts(&self) -> ConflictExport {
        self.parameters.conflicts
    }

    /// The records of tasks, in order; what has nothing to export is left out. With them the number of annotations in what
    /// is exported that have an open conflict.
    ///
    /// # Errors
    /// [`ServiceError`] of the database.
    pub async fn records(&self, app: &App, ids: &[TaskId]) -> Result<(Vec<Record>, u64), ServiceError> {
        let mut tasks = task::find_shown(&app.db, self.project.id, ids).await?;
        tasks.retain(|_, task| match &self.parameters.states {
            Some(states) => states.contains(&task.state),
            None => task.state != TaskState::Archived,
        });
        let wanted: Vec<TaskId> = ids.iter().copied().filter(|id| tasks.contains_key(id)).collect();
        let mut slots = slot::of_tasks(&app.db, &wanted).await?;
        for slots in slots.values_mut() {
            slots.retain(|slot| self.slots.contains(&slot.state));
            if self.parameters.overlap == OverlapExport::First {
                slots.truncate(1);
            }
        }
        let mut assets = asset::named_of_tasks(&app.db, &wanted).await?;
        let mut annotations: HashMap<(TaskId, i32), Vec<Live>> = HashMap::new();
        for annotation in annotation::live_of_tasks(&app.db, &wanted).await? {
            annotations.entry((annotation.task, annotation.slot)).or_default().push(annotation);
        }
        let disputed = self.disputed(app, &tasks, &slots).await?;
        if self.parameters.conflicts == ConflictExport::Exclude {
            annotations.values_mut().for_each(|drawn| drawn.retain(|annotation| !disputed.contains(&annotation.id)));
        }
        let people = self.people(app, &slots, &annotations).await?;
        let mut records = Vec::with_capacity(wanted.len());
        for id in wanted {
            let Some(task) = tasks.remove(&id) else { continue };
            let slots = slots.remove(&id).unwrap_or_default();
            if slots.is_empty() {
                continue;
            }
            let assets = assets.remove(&id).unwrap_or_default();
            let results = slots.into_iter().map(|slot| {
                let drawn = annotations.remove(&(id, slot.number)).unwrap_or_default();
                record_slot(&slot, drawn, &assets, &people)
            });
            let results = results.collect();
            records.push(record(task, &assets, results));
        }
        Ok((records, disputed.len() as u64))
    }

    /// The annotations with an open conflict in these slots.
    async fn disputed(
        &self,
        app: &App,
        tasks: &HashMap<TaskId, Task>,
        slots: &HashMap<TaskId, Vec<Slot>>,
    ) -> Result<HashSet<AnnotationId>, ServiceError> {
        let conflicted: Vec<TaskId> =
            tasks.values().filter(|task| task.open_conflicts > 0).map(|task| task.id).collect();
        if conflicted.is_empty() {
            return Ok(HashSet::new());
        }
        let mut disputed = HashSet::new();
        for (task, found) in conflict::disputed(&app.db, &conflicted).await? {
            let taken =
                |number: i32| slots.get(&task).is_some_and(|slots| slots.iter().any(|slot| slot.number == number));
            disputed.extend(found.into_iter().filter(|(number, _)| taken(*number)).map(|(_, id)| id));
        }
        Ok(disputed)
    }

    async fn people(
        &self,
        app: &App,
        slots: &HashMap<TaskId, Vec<Slot>>,
        annotations: &HashMap<(TaskId, i32), Vec<Live>>,
    ) -> Result<HashMap<UserId, RecordPerson>, ServiceError> {
        let submitters = slots.values().flatten().filter_map(|slot| slot.submitted_by);
        let authors = annotations.values().flatten().map(|annotation| annotation.author);
        let ids: HashSet<UserId> = submitters.chain(authors).collect();
        let found = user::find_all(&app.db, &ids.into_iter().collect::<Vec<_>>()).await?;
        let person = |(id, user): (UserId, user::User)| (id, RecordPerson { id: id.to_string(), name: user.name });
        Ok(found.into_iter().map(person).collect())
    }
}

fn record(task: Task, assets: &[Named], slots: Vec<RecordSlot>) -> Record {
    let data = match task.data {
        serde_json::Value::Object(data) => data,
        _ => serde_json::Map::new(),
    };
    let px = |px: Option<i32>| px.and_then(|px| u32::try_from(px).ok());
    let assets = assets.iter().map(|named| RecordAsset {
        file_name: named.file_name.clone(),
        sha256: Some(named.sha256.clone()).filter(|hash| !hash.is_empty()),
        content_type: Some(named.content_type.clone()).filter(|content_type| !content_type.is_empty()),
        width: px(named.asset.width_px),
        height: px(named.asset.height_px),
    });
    Record { external_id: task.external_id, priority: task.priority, data, assets: assets.collect(), slots }
}

fn record_slot(
    slot: &Slot,
    annotations: Vec<Live>,
    assets: &[Named],
    people: &HashMap<UserId, RecordPerson>,
) -> RecordSlot {
    let annotations = annotations.into_iter().map(|annotation| RecordAnnotation {
        id: Some(annotation.id.to_string()),
        asset: annotation.asset.and_then(|id| assets.iter().position(|named| named.asset.id == id)),
        tool: Some(annotation.tool),
        label: annotation.label,
        geometry: annotation.geometry,
        attributes: annotation.attributes,
        source: Some(annotation.source),
        score: annotation.score,
        author: people.get(&annotation.author).cloned(),
    });
    RecordSlot {
        number: slot.number,
        round: slot.round,
        state: slot.state,
        annotator: slot.submitted_by.and_then(|user| people.get(&user).cloned()),
        annotations: annotations.collect(),
    }
}
