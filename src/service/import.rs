//! Importing a data set, batch by batch: what records mean in a project is checked for the whole file first; then its tasks
//! are written, hidden, each batch in one transaction with its checkpoint; at last they are shown. What drives this, and
//! reads the file, is `worker::jobs`.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    domain::{
        counter::Counter,
        edit::{Content, Rejection, canonical},
        ids::{ProjectId, UserId},
        limits,
        template::Tool,
        words::{
            AnnotationSource, EventType, JobStep, Kind, MediaType, PreAnnotationUse, ProjectState, SlotState, TaskState,
        },
    },
    kind::{BoundingBox, Geometry},
    live::Changes,
    repo::{
        Conn, RepoError, Scope, Txn,
        asset::{self, Named},
        clock,
        job::{self, Job, Progress},
        project::{self, Project},
        record::{Losses, Record, RecordAnnotation, RecordAsset},
        suggestion::{self, Suggestion},
        task::{self, Batch, NewTask},
        template::Template,
    },
    service::{
        App, ServiceError,
        canvas::{self, Canvas, Texts},
        job::{ImportParameters, Lost},
        suggested::{Made, Place},
        task_input::{self, TaskInput},
        validate,
    },
};

/// What an import goes by, from its beginning to its end.
#[derive(Clone, Debug)]
pub struct Import {
    /// The job.
    pub job: Job,
    project: Project,
    template: Arc<Template>,
    annotations: PreAnnotationUse,
    by: UserId,
}

/// A record that can become a task.
#[derive(Clone, Debug)]
pub struct Checked {
    task: NewTask,
    annotations: Vec<Suggestion>,
}

impl Checked {
    /// The id the task has elsewhere.
    #[must_use]
    pub fn external_id(&self) -> Option<&str> {
        self.task.external_id.as_deref()
    }
}

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Where in the record; empty: the record as a whole.
    pub field: String,
    /// What; lowercase, no full stop.
    pub message: String,
}

impl Wrong {
    fn at(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    fn of(error: ServiceError) -> Result<Self, ServiceError> {
        match error {
            ServiceError::Invalid { field, message } | ServiceError::LimitExceeded { field, message } => {
                Ok(Self { field, message })
            }
            other => Err(other),
        }
    }
}

/// How far the writing of an import has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Batches written.
    pub batches: i32,
    /// Records of the file that are done.
    pub records: u64,
    /// Tasks made of them.
    pub made: u64,
}

/// Begins, or goes on with, an import.
///
/// # Errors
/// [`ServiceError::Transition`] when the project or its template is not as it was; [`ServiceError`] of the database.
pub async fn begin(app: &App, job: Job, parameters: &ImportParameters) -> Result<Import, ServiceError> {
    let project = project::find_all(&app.db, &[job.project]).await?.remove(&job.project).ok_or(RepoError::NotFound)?;
    let template = canvas::template(app, &app.db, parameters.template()?).await?;
    let project = Project { overlap: parameters.overlap, ..project };
    let by = job.by;
    Ok(Import { job, project, template, annotations: parameters.annotations, by })
}

impl Import {
    /// Whether the annotations of the file are left out.
    #[must_use]
    pub fn ignores_annotations(&self) -> bool {
        self.annotations == PreAnnotationUse::Ignore
    }

    /// Checks records against the project: each can become a task, or something is wrong with it.
    ///
    /// # Errors
    /// [`ServiceError`] of the database or the storage.
    pub async fn check(
        &self,
        app: &App,
        records: Vec<Record>,
        losses: &mut Losses,
    ) -> Result<Vec<Result<Checked, Wrong>>, ServiceError> {
        let assets = Assets::of(app, self.project.id, &records).await?;
        let mut checked = Vec::with_capacity(records.len());
        for record in records {
            checked.push(self.check_one(app, record, &assets, losses).await?);
        }
        Ok(checked)
    }

    async fn check_one(
        &self,
        app: &App,
        mut record: Record,
        assets: &Assets,
        losses: &mut Losses,
    ) -> Result<Result<Checked, Wrong>, ServiceError> {
        let slots = std::mem::take(&mut record.slots);
        let shown = match assets.shown(&self.project, &record.assets) {
            Ok(shown) => shown,
            Err(wrong) => return Ok(Err(wrong)),
        };
        let data = Value::Object(record.data);
        let own_text = data.get("text").and_then(Value::as_str).map(str::to_owned);
        let input = TaskInput {
            external_id: record.external_id,
            assets: shown.iter().map(|asset| asset.asset.id).collect(),
            data: Some(data),
            priority: Some(record.priority),
        };
        let at = |name: &str| if name == "assetIds" { "assets".to_owned() } else { name.to_owned() };
        let task = match task_input::check_one(&self.project, input, at) {
            Ok(task) => task,
            Err(error) => return Ok(Err(Wrong::of(error)?)),
        };
        if self.ignores_annotations() {
            return Ok(Ok(Checked { task, annotations: Vec::new() }));
        }
        if slots.len() > 1 {
            losses.add("further results of a task: only the first one is taken");
        }
        let Some(slot) = slots.into_iter().next() else { return Ok(Ok(Checked { task, annotations: Vec::new() })) };
        // Suggestions are copied into every slot.
        let copies =
            if self.annotations == PreAnnotationUse::Preannotate { self.project.overlap.unsigned_abs() } else { 1 };
        let copies = copies.max(1) as usize;
        if i64::try_from(slot.annotations.len() * copies).is_ok_and(|count| count > limits::TASK_ANNOTATIONS) {
            let message = format!("at most {} annotations of one task, in all its slots", limits::TASK_ANNOTATIONS);
            return Ok(Err(Wrong::at("slots[0].annotations", message)));
        }
        let canvas = self.canvas(app, &shown, own_text.as_deref(), &slot.annotations).await?;
        let mut annotations = Vec::with_capacity(slot.annotations.len());
        for (index, annotation) in slot.annotations.into_iter().enumerate() {
            match self.suggestion(&canvas, &shown, annotation, losses) {
                Ok(suggestion) => annotations.push(suggestion),
                Err(Wrong { field, message }) => {
                    return Ok(Err(Wrong::at(format!("slots[0].annotations[{index}].{field}"), message)));
                }
            }
        }
        Ok(Ok(Checked { task, annotations }))
    }

    /// What the annotations of a record are held against.
    async fn canvas<'t>(
        &self,
        app: &App,
        shown: &[&Named],
        own_text: Option<&'t str>,
        annotations: &[RecordAnnotation],
    ) -> Result<Canvas<'t>, ServiceError> {
        let mut texts = Texts::new();
        if annotations.iter().any(|annotation| annotation.geometry.kind() == Kind::TextSpan) {
            for Named { asset, .. } in shown.iter().filter(|named| named.asset.media_type == Some(MediaType::Text)) {
                texts.insert(asset.id, canvas::text(app, asset).await?);
            }
        }
        let assets = shown.iter().map(|named| named.asset.clone()).collect();
        Ok(Canvas::made_of(self.template.clone(), assets, own_text, texts))
    }

    fn suggestion(
        &self,
        canvas: &Canvas<'_>,
        shown: &[&Named],
        annotation: RecordAnnotation,
        losses: &mut Losses,
    ) -> Result<Suggestion, Wrong> {
        let RecordAnnotation { asset, tool, label, geometry, mut attributes, source, score, .. } = annotation;
        let is_ours = tool.is_some();
        let (tool, geometry) = match tool {
            Some(name) => {
                let no_tool = || Wrong::at("tool", format!("the template has no tool \"{name}\""));
                (canvas.tool(&name).ok_or_else(no_tool)?, geometry)
            }
            None => self.tool_for(&label, geometry, losses)?,
        };
        let outside = || Wrong::at("asset", format!("the record has {} assets, counted from 0", shown.len()));
        let asked = asset.map(|place| shown.get(place).map(|named| named.asset.id).ok_or_else(outside)).transpose()?;
        let wrong = |Rejection { field, message, .. }: Rejection| Wrong {
            field: if field == "assetId" { "asset".to_owned() } else { field },
            message,
        };
        let place = canvas.place(tool.kind, asked).map_err(wrong)?;
        if !is_ours {
            // Other programs write attributes of their own.
            attributes.retain(|name, _| {
                let known = tool.attributes.iter().any(|attribute| attribute.name == *name);
                if !known {
                    losses.add("attributes that the tool does not have: left out");
                }
                known
            });
        }
        let Value::Object(attributes) = canonical(Value::Object(attributes)) else {
            return Err(Wrong::at("attributes", "must be a JSON object"));
        };
        if score.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
            return Err(Wrong::at("score", "must be from 0 to 1"));
        }
        let content = Content { label, geometry: geometry.canonical(), attributes, deleted: false };
        canvas.check(tool, place, &content, true).map_err(wrong)?;
        let Content { label, geometry, attributes, .. } = content;
        // What a person drew elsewhere was not drawn here.
        let source = match source {
            Some(AnnotationSource::Model) => AnnotationSource::Model,
            Some(AnnotationSource::Human | AnnotationSource::Import) | None => AnnotationSource::Import,
        };
        let mut suggestion = Suggestion::new(place, tool.name.clone(), label, geometry);
        (suggestion.attributes, suggestion.source, suggestion.score) = (attributes, source, score);
        Ok(suggestion)
    }

    /// The only tool that draws this; for an outline that no tool draws, the only one that draws boxes.
    fn tool_for(&self, label: &str, geometry: Geometry, losses: &mut Losses) -> Result<(&Tool, Geometry), Wrong> {
        let only = |kind: Kind| {
            let mut fitting =
                self.template.tools.iter().filter(|tool| tool.kind == kind && tool.label(label).is_some());
            (fitting.next(), fitting.next().is_some())
        };
        let kind = geometry.kind();
        match only(kind) {
            (Some(tool), false) => return Ok((tool, geometry)),
            (Some(_), true) => {
                return Err(Wrong::at(
                    "tool",
                    format!("several tools draw {kind} with the label \"{label}\": say which"),
                ));
            }
            (None, _) => {}
        }
        if let (Kind::Polygon, Some(extent), (Some(tool), false)) = (kind, geometry.extent(), only(Kind::BoundingBox)) {
            losses.add("outlines: no tool draws them, the boxes around them are taken");
            let (width, height) = (extent.x_max - extent.x_min, extent.y_max - extent.y_min);
            let around = BoundingBox { x: extent.x_min, y: extent.y_min, width, height, rotation: 0.0 };
            return Ok((tool, around.into()));
        }
        Err(Wrong::at("label", format!("no tool of the template draws {kind} with the label \"{label}\"")))
    }

    /// Writes a batch of tasks, hidden, with the checkpoint behind it.
    ///
    /// # Errors
    /// [`Lost`] when the job is not this runner's any more; [`ServiceError`].
    pub async fn write(
        &self,
        app: &App,
        runner: &str,
        batch: Vec<Checked>,
        before: Written,
        total: u64,
    ) -> Result<Result<Written, Lost>, ServiceError> {
        let records = before.records + batch.len() as u64;
        let txn = app.db.begin().await?;
        if !self.go_on(&txn, runner, JobStep::Write, records, total).await? {
            return Ok(Err(Lost));
        }
        let accepted = self.annotations == PreAnnotationUse::Accept;
        let overlap = self.project.overlap.unsigned_abs() as usize;
        let (state, first, others) = match accepted {
            true => (TaskState::Accepted, SlotState::Accepted, SlotState::Skipped),
            false => (TaskState::Queued, SlotState::Free, SlotState::Free),
        };
        let slots = (0..overlap).map(|place| if place == 0 { first } else { others }).collect();
        let made_of = Batch {
            project: self.project.id,
            template: self.template.id,
            state,
            slots,
            hidden_by: Some(self.job.id),
            by: self.by,
        };
        let mut found = HashMap::with_capacity(batch.len());
        let mut new = Vec::with_capacity(batch.len());
        for Checked { mut task, annotations } in batch {
            task.suggested = !accepted && !annotations.is_empty();
            found.insert(task.id, annotations);
            new.push(task);
        }
        let added = task::insert(&txn, &made_of, new).await?;
        if accepted {
            let now = clock::read(&txn).await?;
            let mut made = Made::default();
            for task in &added {
                let place = Place { project: self.project.id, task: *task, slot: 1 };
                for suggestion in found.remove(task).unwrap_or_default() {
                    made.add(place, suggestion, self.by, now)?;
                }
            }
            made.write(&txn, self.project.id).await?;
        } else {
            let suggested: Vec<_> = added
                .iter()
                .filter_map(|task| Some((*task, found.get(task)?.as_slice())))
                .filter(|(_, suggestions)| !suggestions.is_empty())
                .collect();
            suggestion::insert(&txn, self.by, &suggested).await?;
        }
        let written = Written { batches: before.batches + 1, records, made: before.made + added.len() as u64 };
        let state = serde_json::to_value(written).map_err(|error| ServiceError::Internal(Box::new(error)))?;
        job::insert_checkpoint(&txn, self.job.id, written.batches, state).await?;
        txn.commit().await?;
        Ok(Ok(written))
    }

    /// Shows up to [`limits::JOB_RECORDS`] of the tasks; gives how many: none when all are shown.
    ///
    /// # Errors
    /// [`Lost`] when the job is not this runner's any more; [`ServiceError`].
    pub async fn show(
        &self,
        app: &App,
        runner: &str,
        shown: u64,
        total: u64,
    ) -> Result<Result<u64, Lost>, ServiceError> {
        let txn = app.db.begin().await?;
        if !self.go_on(&txn, runner, JobStep::Show, shown, total).await? {
            return Ok(Err(Lost));
        }
        let tasks = task::show_hidden(&txn, self.job.id, limits::JOB_RECORDS as u64).await?;
        if !tasks.is_empty() {
            let mut changes = Changes::new(self.project.id, Some(self.by));
            for task in &tasks {
                changes.count(task.stream, Counter::Tasks(task.state), 1);
                if task.state == TaskState::Queued {
                    changes.count(task.stream, Counter::Claimable, i64::from(self.project.overlap));
                    changes.waits(task.task);
                }
            }
            let payload = json!({ "job": self.job.id.to_string(), "tasks": tasks.len() });
            changes.project(EventType::TasksImported, payload);
            changes.append(&txn).await?;
        }
        txn.commit().await?;
        Ok(Ok(tasks.len() as u64))
    }

    /// Whether the runner still holds the job, and the project still takes tasks.
    async fn go_on(&self, txn: &Txn, runner: &str, step: JobStep, done: u64, total: u64) -> Result<bool, ServiceError> {
        let scope = Scope { user: self.by, admin: true, only: None };
        let (project, _) = project::share(txn, scope, self.project.id).await?.ok_or(RepoError::NotFound)?;
        // What is written is shown to its end.
        if step == JobStep::Write {
            must_be_open(&project)?;
        }
        let count = |count| i64::try_from(count).unwrap_or(i64::MAX);
        let progress = Progress { step: Some(step), done: count(done), total: Some(count(total)) };
        Ok(job::advance(txn, self.job.id, runner, progress).await?)
    }
}

fn must_be_open(project: &Project) -> Result<(), ServiceError> {
    if project.state == ProjectState::Archived {
        return Err(ServiceError::transition("projectId", validate::ARCHIVED));
    }
    Ok(())
}

/// The READY assets that a batch of records names.
struct Assets {
    by_hash: HashMap<String, Named>,
    /// None: several files of that name differ.
    by_name: HashMap<String, Option<Named>>,
}

impl Assets {
    async fn of(app: &App, project: ProjectId, records: &[Record]) -> Result<Self, ServiceError> {
        let assets = || records.iter().flat_map(|record| &record.assets);
        let hashes: HashSet<String> =
            assets().filter_map(|asset| Some(asset.sha256.as_ref()?.to_lowercase())).collect();
        let names: HashSet<&str> =
            assets().filter(|asset| asset.sha256.is_none()).map(|asset| asset.file_name.as_str()).collect();
        let (mut by_hash, mut by_name) = (HashMap::new(), HashMap::<String, Option<Named>>::new());
        for named in asset::find_named(&app.db, project, &hashes, &names).await? {
            if names.contains(named.file_name.as_str()) {
                let known = by_name.entry(named.file_name.clone()).or_insert_with(|| Some(named.clone()));
                if known.as_ref().is_some_and(|known| known.sha256 != named.sha256) {
                    *known = None;
                }
            }
            if hashes.contains(&named.sha256) {
                by_hash.entry(named.sha256.clone()).or_insert(named);
            }
        }
        Ok(Self { by_hash, by_name })
    }

    /// The assets of one record, in order.
    fn shown(&self, project: &Project, assets: &[RecordAsset]) -> Result<Vec<&Named>, Wrong> {
        if assets.len() > limits::TASK_ASSETS {
            return Err(Wrong::at("assets", format!("at most {} assets of one task", limits::TASK_ASSETS)));
        }
        let mut shown: Vec<&Named> = Vec::with_capacity(assets.len());
        for (place, asset) in assets.iter().enumerate() {
            let name = &asset.file_name;
            let at = |name: &str| format!("assets[{place}].{name}");
            let named = match &asset.sha256 {
                Some(sha256) => self.by_hash.get(&sha256.to_lowercase()).ok_or_else(|| {
                    Wrong::at(at("sha256"), format!("the project has no READY asset with these bytes (\"{name}\")"))
                })?,
                None => match self.by_name.get(name) {
                    Some(Some(named)) => named,
                    Some(None) => {
                        let message = format!("the project has several READY assets called \"{name}\": give sha256");
                        return Err(Wrong::at(at("fileName"), message));
                    }
                    None => {
                        let message = format!("the project has no READY asset called \"{name}\"");
                        return Err(Wrong::at(at("fileName"), message));
                    }
                },
            };
            if !named.asset.media_type.is_some_and(|shows| task_input::suits(project.media_type, shows)) {
                let message = format!("\"{name}\" is no asset for a project of {} tasks", project.media_type);
                return Err(Wrong::at(at("fileName"), message));
            }
            if shown.iter().any(|other| other.asset.id == named.asset.id) {
                return Err(Wrong::at(at("fileName"), format!("\"{name}\" stands in this task twice")));
            }
            let px = |px: Option<i32>| px.and_then(|px| u32::try_from(px).ok());
            let differs = |said: Option<u32>, is: Option<i32>| said.zip(px(is)).is_some_and(|(said, is)| said != is);
            if differs(asset.width, named.asset.width_px) || differs(asset.height, named.asset.height_px) {
                let (width, height) = (named.asset.width_px.unwrap_or(0), named.asset.height_px.unwrap_or(0));
                return Err(Wrong::at(at("width"), format!("\"{name}\" is {width} by {height} pixels here")));
            }
            shown.push(named);
        }
        Ok(shown)
    }
}

/// Where the writing of an import that was interrupted has come to.
///
/// # Errors
/// [`ServiceError`] of the database.
pub async fn resume(conn: &impl Conn, job: &Job) -> Result<Written, ServiceError> {
    let Some((_, state)) = job::last_checkpoint(conn, job.id).await? else { return Ok(Written::default()) };
    serde_json::from_value(state).map_err(|error| ServiceError::Internal(Box::new(error)))
}
