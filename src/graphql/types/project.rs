//! Projects.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, SimpleObject};
use chrono::{DateTime, Utc};

use crate::{
    domain::counter::Counter,
    graphql::{
        context::Ctx,
        error::ApiError,
        live::of_viewer,
        loader::{
            AssetsOfProject, Children, CountersOf, CurrentTemplate, JobsOfProject, MembersOfProject, RoleIn, StatsOf,
            TemplatesOfProject,
        },
        types::{
            asset::Asset,
            connection::{Page, Total, arguments, connection, list},
            job::Job,
            scalars::SafeInt,
            template::Template,
            user::Member,
            words::{CollaborationMode, MediaType, ProjectState, ReviewPolicy, Role, TaskState},
        },
    },
    repo,
    service::{job, project},
};

/// One labeling effort: its members, its template, its settings, its tasks.
pub(in crate::graphql) struct Project(pub(in crate::graphql) repo::project::Project);

#[Object]
impl Project {
    /// `proj_…`
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// What people call it.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether it hands out work.
    async fn state(&self) -> ProjectState {
        self.0.state.into()
    }

    /// What its assets show.
    async fn media_type(&self) -> MediaType {
        self.0.media_type.into()
    }

    /// Slots of each task: how many people label it.
    async fn overlap(&self) -> i32 {
        self.0.overlap
    }

    /// Whether submitted work is reviewed.
    async fn review(&self) -> ReviewPolicy {
        self.0.review.into()
    }

    /// Whether leased tasks may be joined.
    async fn collaboration(&self) -> CollaborationMode {
        self.0.collaboration.into()
    }

    /// How long a lease runs without a sign of life, in seconds.
    async fn lease_seconds(&self) -> i32 {
        self.0.lease_seconds
    }

    /// Your own role; null for an admin who is no member.
    #[graphql(directive = of_viewer::apply())]
    async fn viewer_role(&self, ctx: &Context<'_>) -> Result<Option<Role>, ApiError> {
        Ok(ctx.loaders().find(RoleIn(self.0.id)).await?.map(Role::from))
    }

    /// The current template version; null before the first is published.
    async fn template(&self, ctx: &Context<'_>) -> Result<Option<Template>, ApiError> {
        let current = CurrentTemplate(self.0.id, self.0.template_version);
        Ok(ctx.loaders().find(current).await?.map(Template))
    }

    /// All template versions, newest first.
    async fn templates(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page<Template>, ApiError> {
        let page = arguments(first, after, last, before).parse(list::TEMPLATES)?;
        let slice = ctx.loaders().get(TemplatesOfProject(self.0.id, page)).await?;
        let total = Total::Of(Children::Templates(self.0.id));
        Ok(connection(
            list::TEMPLATES,
            slice,
            total,
            |template| template.version,
            |template| Template(Arc::new(template)),
        ))
    }

    /// Who is in it.
    async fn members(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page<Member>, ApiError> {
        let page = arguments(first, after, last, before).parse(list::MEMBERS)?;
        let slice = ctx.loaders().get(MembersOfProject(self.0.id, page)).await?;
        let total = Total::Of(Children::Members(self.0.id));
        Ok(connection(list::MEMBERS, slice, total, |member| member.user.0, Member))
    }

    /// Its assets, oldest first.
    async fn assets(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page<Asset>, ApiError> {
        let page = arguments(first, after, last, before).parse(list::ASSETS)?;
        let slice = ctx.loaders().get(AssetsOfProject(self.0.id, page)).await?;
        let total = Total::Of(Children::ProjectAssets(self.0.id));
        Ok(connection(list::ASSETS, slice, total, |asset| asset.id.0, Asset))
    }

    /// Its imports and exports, oldest first; managers.
    #[graphql(directive = of_viewer::apply())]
    async fn jobs(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page<Job>, ApiError> {
        let page = arguments(first, after, last, before).parse(list::JOBS)?;
        let role = if ctx.viewer()?.user.admin { None } else { ctx.loaders().find(RoleIn(self.0.id)).await? };
        job::must_see_jobs(ctx.viewer()?, role)?;
        let slice = ctx.loaders().get(JobsOfProject(self.0.id, page)).await?;
        let total = Total::Of(Children::Jobs(self.0.id));
        Ok(connection(list::JOBS, slice, total, |job| job.id.0, Job))
    }

    /// How many tasks are in each state; all states are listed.
    async fn task_counts(&self, ctx: &Context<'_>) -> Result<Vec<TaskCount>, ApiError> {
        let counters = ctx.loaders().get(CountersOf(self.0.id)).await?;
        let counts = project::task_counts(&counters).into_iter();
        Ok(counts.map(|(state, count)| TaskCount { state: state.into(), count: SafeInt(count) }).collect())
    }

    /// How it is doing.
    async fn stats(&self) -> ProjectStats {
        ProjectStats(self.0.clone())
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

/// How many tasks are in a state.
#[derive(SimpleObject)]
pub(in crate::graphql) struct TaskCount {
    /// The state.
    state: TaskState,
    /// The number of tasks.
    count: SafeInt,
}

/// How a project is doing. Counts are exact; the other figures are at most a minute old.
pub(in crate::graphql) struct ProjectStats(repo::project::Project);

#[Object]
impl ProjectStats {
    /// Annotations made in the last hour.
    async fn annotations_last_hour(&self, ctx: &Context<'_>) -> Result<SafeInt, ApiError> {
        Ok(SafeInt(ctx.loaders().get(StatsOf(self.0.id)).await?.annotations_last_hour))
    }

    /// Median seconds from claim to submission, of the last 1,000 submissions; null before the first.
    async fn median_label_seconds(&self, ctx: &Context<'_>) -> Result<Option<f64>, ApiError> {
        Ok(ctx.loaders().get(StatsOf(self.0.id)).await?.median_label_seconds)
    }

    /// Share of unarchived tasks with a live annotation, 0 to 1.
    async fn label_coverage_ratio(&self, ctx: &Context<'_>) -> Result<f64, ApiError> {
        Ok(ctx.loaders().get(StatsOf(self.0.id)).await?.label_coverage_ratio)
    }

    /// Conflicts that wait for a person.
    async fn open_conflicts(&self, ctx: &Context<'_>) -> Result<SafeInt, ApiError> {
        self.counter(ctx, Counter::OpenConflicts).await
    }

    /// Free slots of tasks that are neither archived nor quarantined.
    async fn claimable(&self, ctx: &Context<'_>) -> Result<SafeInt, ApiError> {
        self.counter(ctx, Counter::Claimable).await
    }
}

impl ProjectStats {
    async fn counter(&self, ctx: &Context<'_>, counter: Counter) -> Result<SafeInt, ApiError> {
        let counters = ctx.loaders().get(CountersOf(self.0.id)).await?;
        Ok(SafeInt(counters.get(counter)))
    }
}
