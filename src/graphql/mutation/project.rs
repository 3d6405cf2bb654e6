//! Projects, members, templates.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, OneofObject, SimpleObject};

use crate::{
    domain::words::Role as RoleWord,
    graphql::{
        context::{Ctx, id},
        error::ApiError,
        types::{
            project::Project,
            template::{Template, TemplateInput},
            user::Member,
            words::{CollaborationMode, MediaType, ProjectState, ReviewPolicy, Role},
        },
    },
    service::{project, template},
};

#[derive(Default)]
pub(super) struct ProjectMutation;

/// A new project; null takes the default.
#[derive(InputObject)]
struct CreateProjectInput {
    /// What people call it.
    name: String,
    /// What its assets show.
    media_type: MediaType,
    /// How many people label each task, from 1 to 10; default 1. It never changes.
    overlap: Option<i32>,
    /// Whether submitted work is reviewed; default REQUIRED.
    review: Option<ReviewPolicy>,
    /// Whether leased tasks may be joined; default EXCLUSIVE. SHARED takes an overlap of 1.
    collaboration: Option<CollaborationMode>,
    /// How long a lease runs without a sign of life, from 10 to 86,400 s; default 900.
    lease_seconds: Option<i32>,
}

/// The project made.
#[derive(SimpleObject)]
struct CreateProjectPayload {
    /// The project.
    project: Project,
}

/// What to change about a project; null leaves a field as it is.
#[derive(InputObject)]
struct UpdateProjectInput {
    /// Which.
    project_id: ID,
    /// What people call it.
    name: Option<String>,
    /// Whether it hands out work.
    state: Option<ProjectState>,
    /// Whether submitted work is reviewed.
    review: Option<ReviewPolicy>,
    /// Whether leased tasks may be joined; SHARED takes an overlap of 1. Back to EXCLUSIVE: who has joined a task works on
    /// until its lease ends, and nobody joins any more.
    collaboration: Option<CollaborationMode>,
    /// How long new leases run without a sign of life, from 10 to 86,400 s.
    lease_seconds: Option<i32>,
}

/// The project changed.
#[derive(SimpleObject)]
struct UpdateProjectPayload {
    /// The project.
    project: Project,
}

/// Who is to be in a project with which role.
#[derive(InputObject)]
struct SetMemberInput {
    /// The project.
    project_id: ID,
    /// The person.
    user_id: ID,
    /// The role; null takes the person out.
    role: Option<Role>,
}

/// The membership now.
#[derive(SimpleObject)]
struct SetMemberPayload {
    /// The project.
    project: Project,
    /// The member; null when taken out.
    member: Option<Member>,
}

/// A template version to publish.
#[derive(OneofObject)]
enum PublishTemplateInput {
    /// In Concord's own words.
    Template(TemplateInput),
}

/// The version published.
#[derive(SimpleObject)]
struct PublishTemplatePayload {
    /// The version.
    template: Template,
    /// What of another tool's configuration has no counterpart here; empty for a template in Concord's own words.
    losses: Vec<String>,
}

#[Object]
impl ProjectMutation {
    /// Makes a project and you its manager; admins only. Codes: `FORBIDDEN`, `BAD_USER_INPUT`.
    async fn create_project(
        &self,
        ctx: &Context<'_>,
        input: CreateProjectInput,
    ) -> Result<CreateProjectPayload, ApiError> {
        let new = project::CreateProject {
            name: input.name,
            media_type: input.media_type.into(),
            overlap: input.overlap,
            review: input.review.map(Into::into),
            collaboration: input.collaboration.map(Into::into),
            lease_seconds: input.lease_seconds,
        };
        let project = project::create(ctx.app(), ctx.viewer()?, new).await?;
        Ok(CreateProjectPayload { project: Project(project) })
    }

    /// Changes a project's settings; managers. Codes: `NOT_FOUND`, `FORBIDDEN`, `BAD_USER_INPUT`.
    async fn update_project(
        &self,
        ctx: &Context<'_>,
        input: UpdateProjectInput,
    ) -> Result<UpdateProjectPayload, ApiError> {
        let viewer = ctx.viewer()?;
        let change = project::UpdateProject {
            project: id("projectId", &input.project_id)?,
            name: input.name,
            state: input.state.map(Into::into),
            review: input.review.map(Into::into),
            collaboration: input.collaboration.map(Into::into),
            lease_seconds: input.lease_seconds,
        };
        Ok(UpdateProjectPayload { project: Project(project::update(ctx.app(), viewer, change).await?) })
    }

    /// Adds a member, changes a role, or takes a member out; managers below manager, admins managers too. A manager adds
    /// people they see and people in no project yet; an admin brings over those of other projects. Codes: `NOT_FOUND`,
    /// `FORBIDDEN`.
    async fn set_member(&self, ctx: &Context<'_>, input: SetMemberInput) -> Result<SetMemberPayload, ApiError> {
        let viewer = ctx.viewer()?;
        let (project, user) = (id("projectId", &input.project_id)?, id("userId", &input.user_id)?);
        let role = input.role.map(RoleWord::from);
        let (project, member) = project::set_member(ctx.app(), viewer, project, user, role).await?;
        Ok(SetMemberPayload { project: Project(project), member: member.map(Member) })
    }

    /// Publishes the next version of a project's template; managers. Tasks that are there keep theirs. Codes:
    /// `NOT_FOUND`, `FORBIDDEN`, `BAD_USER_INPUT`, `INVALID_TRANSITION`.
    async fn publish_template(
        &self,
        ctx: &Context<'_>,
        input: PublishTemplateInput,
    ) -> Result<PublishTemplatePayload, ApiError> {
        let viewer = ctx.viewer()?;
        let PublishTemplateInput::Template(input) = input;
        let new = template::PublishTemplate {
            project: id("template.projectId", &input.project_id)?,
            name: input.name,
            tools: input.tools.into_iter().map(Into::into).collect(),
        };
        let template = template::publish(ctx.app(), viewer, new).await?;
        Ok(PublishTemplatePayload { template: Template(Arc::new(template)), losses: Vec::new() })
    }
}
