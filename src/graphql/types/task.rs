//! Tasks, their slots, and the filter of the task list.

use async_graphql::{Context, ID, InputObject, Object};
use chrono::{DateTime, Datelike, Utc};

use crate::{
    domain::{self, limits},
    graphql::{
        context::{self, Ctx},
        error::ApiError,
        loader::{
            AnnotationsOf, AssetsOfTask, AssignmentsOfTask, Children, CountOf, OpenConflictsOfTask, ReviewsOf, SlotsOf,
            SnapshotsOf,
        },
        types::{
            annotation::Annotation,
            asset::Asset,
            conflict::Conflict,
            connection::{Page, Total, arguments, connection, list},
            project::Project,
            review::{Assignment, Review},
            snapshot::Snapshot,
            template::Template,
            user::User,
            words::{AnnotationKind, AnnotationSource, SlotState, TaskState},
        },
    },
    repo::{self, annotation::AnnotationFilter, task_list::TaskFilter as Filter},
    service::ServiceError,
};

/// One unit of labeling work over one or more assets.
pub(in crate::graphql) struct Task(pub(in crate::graphql) repo::task::Task);

#[Object]
impl Task {
    /// `task_…`
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Whose it is.
    async fn project(&self, ctx: &Context<'_>) -> Result<Project, ApiError> {
        Ok(Project(ctx.loaders().get(self.0.project).await?))
    }

    /// The template version it was made with and keeps.
    async fn template(&self, ctx: &Context<'_>) -> Result<Template, ApiError> {
        Ok(Template(ctx.loaders().get(self.0.template).await?))
    }

    /// The id it has elsewhere, unique in its project.
    async fn external_id(&self) -> Option<&str> {
        self.0.external_id.as_deref()
    }

    /// Where it stands.
    async fn state(&self) -> TaskState {
        self.0.state.into()
    }

    /// Higher is handed out first.
    async fn priority(&self) -> i32 {
        self.0.priority
    }

    /// Raised by every accepted change.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// From 1; raised when it is sent back.
    async fn round(&self) -> i32 {
        self.0.round
    }

    /// What whoever made it wants the labeling UI to know; `text` is what a TEXT task shows when it has no asset.
    async fn data(&self) -> &serde_json::Value {
        &self.0.data
    }

    /// What it shows, in order: the frames of a sequence.
    async fn assets(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page<Asset>, ApiError> {
        let page = arguments(first, after, last, before).parse(list::TASK_ASSETS)?;
        let slice = ctx.loaders().get(AssetsOfTask(self.0.id, page)).await?;
        let total = Total::Of(Children::TaskAssets(self.0.id));
        Ok(connection(list::TASK_ASSETS, slice, total, |placed| placed.position, |placed| Asset(placed.asset)))
    }

    /// Its places, by number.
    async fn slots(&self, ctx: &Context<'_>) -> Result<Vec<Slot>, ApiError> {
        let slots = ctx.loaders().find(SlotsOf(self.0.id)).await?.unwrap_or_default();
        Ok(slots.into_iter().map(Slot).collect())
    }

    /// What was labeled in it, by id; at most 1,000 at once. In a project with an overlap, annotators see only their own
    /// slot's.
    #[expect(clippy::too_many_arguments, reason = "the arguments of the field")]
    async fn annotations(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of this slot only.")] slot: Option<i32>,
        #[graphql(desc = "Tombstones too; default false.")] include_deleted: Option<bool>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page<Annotation>, ApiError> {
        let arguments = arguments(first, after, last, before);
        let page = arguments.parse_up_to(limits::ANNOTATION_ROWS, list::ANNOTATIONS)?;
        let filter = AnnotationFilter { slot, include_deleted: include_deleted.unwrap_or(false) };
        let slice = ctx.loaders().get(AnnotationsOf(self.0.id, filter, page)).await?;
        let total = Total::Of(Children::Annotations(self.0.id, filter));
        Ok(connection(list::ANNOTATIONS, slice, total, |annotation| annotation.id.0, Annotation))
    }

    /// What its slots' work was when it was handed in, judged, or about to be replaced; oldest first.
    async fn snapshots(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page<Snapshot>, ApiError> {
        let page = arguments(first, after, last, before).parse(list::SNAPSHOTS)?;
        let slice = ctx.loaders().get(SnapshotsOf(self.0.id, page)).await?;
        let total = Total::Of(Children::Snapshots(self.0.id));
        Ok(connection(list::SNAPSHOTS, slice, total, |snapshot| snapshot.id.0, Snapshot))
    }

    /// Who worked on it: every turn on every slot, oldest first.
    async fn assignments(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page<Assignment>, ApiError> {
        let page = arguments(first, after, last, before).parse(list::ASSIGNMENTS)?;
        let slice = ctx.loaders().get(AssignmentsOfTask(self.0.id, page)).await?;
        let total = Total::Of(Children::Assignments(self.0.id));
        Ok(connection(list::ASSIGNMENTS, slice, total, |turn| turn.id.0, Assignment))
    }

    /// What reviewers said of its slots, oldest first. With overlap above 1 annotators see those of their own slots.
    async fn reviews(&self, ctx: &Context<'_>) -> Result<Vec<Review>, ApiError> {
        let reviews = ctx.loaders().find(ReviewsOf(self.0.id)).await?.unwrap_or_default();
        Ok(reviews.into_iter().map(Review).collect())
    }

    /// Edits of its annotations that wait for a person, oldest first. With overlap above 1 annotators see those of their
    /// own slots.
    async fn open_conflicts(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page<Conflict>, ApiError> {
        let page = arguments(first, after, last, before).parse(list::OPEN_CONFLICTS)?;
        let slice = ctx.loaders().get(OpenConflictsOfTask(self.0.id, page)).await?;
        let total = Total::Of(Children::OpenConflicts(self.0.id));
        Ok(connection(list::OPEN_CONFLICTS, slice, total, |conflict| conflict.id.0, Conflict))
    }

    /// How many conflicts in it you see that wait for a person.
    async fn open_conflict_count(&self, ctx: &Context<'_>) -> Result<i32, ApiError> {
        if self.0.open_conflicts == 0 {
            return Ok(0);
        }
        let count = ctx.loaders().get(CountOf(Children::OpenConflicts(self.0.id))).await?;
        Ok(count.and_then(|count| i32::try_from(count).ok()).unwrap_or(self.0.open_conflicts))
    }

    /// How much its annotators agree, 0 to 1; null while there is nothing to compare.
    async fn agreement(&self) -> Option<f64> {
        self.0.agreement
    }

    /// Why it is QUARANTINED.
    async fn quarantine_reason(&self) -> Option<&str> {
        self.0.quarantine_reason.as_deref()
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When it last changed.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }
}

/// One of the places of a task: one person's share of it.
pub(in crate::graphql) struct Slot(pub(in crate::graphql) repo::slot::Slot);

#[Object]
impl Slot {
    /// From 1.
    async fn number(&self) -> i32 {
        self.0.number
    }

    /// Where it stands.
    async fn state(&self) -> SlotState {
        self.0.state.into()
    }

    /// From 1; raised when its work is sent back.
    async fn round(&self) -> i32 {
        self.0.round
    }

    /// Who holds it.
    async fn holder(&self, ctx: &Context<'_>) -> Result<Option<User>, ApiError> {
        User::load_opt(ctx, self.0.holder).await
    }

    /// When the lease runs out unless its holder gives a sign of life.
    async fn lease_expires_at(&self) -> Option<DateTime<Utc>> {
        self.0.lease_expires_at
    }

    /// Whom it waits for.
    async fn reserved_for(&self, ctx: &Context<'_>) -> Result<Option<User>, ApiError> {
        User::load_opt(ctx, self.0.reserved_for).await
    }

    /// Who handed it in.
    async fn submitted_by(&self, ctx: &Context<'_>) -> Result<Option<User>, ApiError> {
        User::load_opt(ctx, self.0.submitted_by).await
    }

    /// When it was handed in.
    async fn submitted_at(&self) -> Option<DateTime<Utc>> {
        self.0.submitted_at
    }

    /// Why it was skipped.
    async fn skip_reason(&self) -> Option<&str> {
        self.0.skip_reason.as_deref()
    }
}

/// Which tasks a list shows; every field given must hold.
#[derive(InputObject, Default)]
pub(in crate::graphql) struct TaskFilter {
    /// In one of these states.
    states: Option<Vec<TaskState>>,
    /// With a slot in one of these states.
    slot_states: Option<Vec<SlotState>>,
    /// With one of these external ids; at most 200.
    external_ids: Option<Vec<String>>,
    /// With a slot this person holds or held.
    annotator_id: Option<ID>,
    /// With a live annotation of this label.
    label: Option<String>,
    /// With a live annotation of one of these kinds.
    kinds: Option<Vec<AnnotationKind>>,
    /// With a live annotation from this source.
    source: Option<AnnotationSource>,
    /// In one of these rounds.
    rounds: Option<Vec<i32>>,
    /// With or without an open conflict.
    has_open_conflict: Option<bool>,
    /// Made after this time.
    created_after: Option<DateTime<Utc>>,
    /// Changed after this time.
    updated_after: Option<DateTime<Utc>>,
}

impl TaskFilter {
    pub(in crate::graphql) fn parse(self) -> Result<Filter, ApiError> {
        bounded("filter.states", self.states.as_deref())?;
        bounded("filter.slotStates", self.slot_states.as_deref())?;
        bounded("filter.externalIds", self.external_ids.as_deref())?;
        bounded("filter.kinds", self.kinds.as_deref())?;
        bounded("filter.rounds", self.rounds.as_deref())?;
        // PostgreSQL cannot even be asked for a text with a NUL.
        let texts = self.external_ids.iter().flatten().chain(&self.label);
        if texts.into_iter().any(|text| text.contains('\0')) {
            return Err(ServiceError::invalid("filter", "must not hold NUL characters").into());
        }
        Ok(Filter {
            states: self.states.map(|states| states.into_iter().map(Into::into).collect()),
            slot_states: self.slot_states.map(|states| states.into_iter().map(Into::into).collect()),
            external_ids: self.external_ids,
            annotator: self.annotator_id.map(|id| context::id("filter.annotatorId", &id)).transpose()?,
            label: self.label,
            kinds: self.kinds.map(|kinds| kinds.into_iter().map(Into::into).collect()),
            source: self.source.map(|source| domain::words::AnnotationSource::from(source).as_str()),
            rounds: self.rounds,
            has_open_conflict: self.has_open_conflict,
            created_after: storable("filter.createdAfter", self.created_after)?,
            updated_after: storable("filter.updatedAfter", self.updated_after)?,
            own_slots_of: None,
        })
    }
}

/// A time that the databases can hold.
pub(in crate::graphql) fn storable(field: &str, at: Option<DateTime<Utc>>) -> Result<Option<DateTime<Utc>>, ApiError> {
    if at.is_some_and(|at| !limits::YEARS.contains(&at.year())) {
        let (first, last) = limits::YEARS.into_inner();
        return Err(ServiceError::invalid(field, format!("must be of a year from {first} to {last}")).into());
    }
    Ok(at)
}

fn bounded<T>(field: &str, values: Option<&[T]>) -> Result<(), ApiError> {
    if values.is_some_and(|values| values.len() > limits::FILTER_VALUES) {
        return Err(ServiceError::limit(field, limits::FILTER_VALUES, "values").into());
    }
    Ok(())
}
