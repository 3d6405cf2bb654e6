//! Projects and their members.

use serde_json::json;

use crate::{
    domain::{
        counter::Counter,
        ids::{ProjectId, UserId},
        limits,
        permission::{Action, Standing},
        words::{CollaborationMode, EventType, MediaType, ProjectState, ReviewPolicy, Role, TaskState},
    },
    live::Changes,
    repo::{
        event::{self, Counts},
        member,
        member::Member,
        project as repo,
        project::{NewProject, Project, ProjectChanges},
        user,
    },
    service::{
        App, ServiceError, Viewer,
        validate::{self, must},
    },
};

/// What a new project is made of, as it was sent; `None` takes the default.
#[derive(Clone, Debug)]
pub struct CreateProject {
    /// What people call it.
    pub name: String,
    /// What its assets show.
    pub media_type: MediaType,
    /// Slots of each task; 1.
    pub overlap: Option<i32>,
    /// Whether submitted work is reviewed; REQUIRED.
    pub review: Option<ReviewPolicy>,
    /// Whether leased tasks may be joined; EXCLUSIVE.
    pub collaboration: Option<CollaborationMode>,
    /// How long a lease runs, in seconds; 900.
    pub lease_seconds: Option<i32>,
}

/// Makes a project; its maker is its first manager.
///
/// # Errors
/// [`ServiceError::Forbidden`] unless the viewer is an admin, [`ServiceError::Invalid`].
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id))]
pub async fn create(app: &App, viewer: &Viewer, new: CreateProject) -> Result<Project, ServiceError> {
    viewer.must_be_admin()?;
    let new = NewProject {
        name: validate::name("name", &new.name)?,
        media_type: new.media_type,
        overlap: new.overlap.unwrap_or(1),
        review: new.review.unwrap_or(ReviewPolicy::Required),
        collaboration: new.collaboration.unwrap_or(CollaborationMode::Exclusive),
        lease_seconds: new.lease_seconds.unwrap_or(900),
    };
    if !(1..=limits::OVERLAP).contains(&new.overlap) {
        return Err(ServiceError::invalid("overlap", format!("must be from 1 to {}", limits::OVERLAP)));
    }
    must_fit(new.collaboration, new.overlap, "collaboration")?;
    check_lease_seconds(new.lease_seconds)?;
    let txn = app.db.begin().await?;
    let project = repo::insert(&txn, viewer.user.id, new).await?;
    member::set(&txn, project.id, viewer.user.id, Role::Manager).await?;
    event::create_streams(&txn, project.id, project.streams).await?;
    let mut changes = Changes::new(project.id, Some(viewer.user.id));
    changes.project(EventType::ProjectChanged, json!({ "state": project.state }));
    changes.append(&txn).await?;
    txn.commit().await?;
    tracing::info!(project.id = %project.id, "project created");
    Ok(project)
}

fn must_fit(collaboration: CollaborationMode, overlap: i32, field: &str) -> Result<(), ServiceError> {
    if collaboration == CollaborationMode::Shared && overlap > 1 {
        return Err(ServiceError::invalid(field, "SHARED takes an overlap of 1: with more, annotators work blind"));
    }
    Ok(())
}

fn check_lease_seconds(seconds: i32) -> Result<(), ServiceError> {
    if limits::LEASE_SECONDS.contains(&seconds) {
        return Ok(());
    }
    let (min, max) = limits::LEASE_SECONDS.into_inner();
    Err(ServiceError::invalid("leaseSeconds", format!("must be from {min} to {max}")))
}

/// What changes about a project, as it was sent; `None` leaves a field as it is.
#[derive(Clone, Debug)]
pub struct UpdateProject {
    /// Which.
    pub project: ProjectId,
    /// What people call it.
    pub name: Option<String>,
    /// Whether it hands out work.
    pub state: Option<ProjectState>,
    /// Whether submitted work is reviewed.
    pub review: Option<ReviewPolicy>,
    /// Whether leased tasks may be joined.
    pub collaboration: Option<CollaborationMode>,
    /// How long new leases run, in seconds.
    pub lease_seconds: Option<i32>,
}

/// Changes a project's settings; takes a manager.
///
/// # Errors
/// [`ServiceError::NotFound`], [`ServiceError::Forbidden`], [`ServiceError::Invalid`].
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id, project.id = %change.project))]
pub async fn update(app: &App, viewer: &Viewer, change: UpdateProject) -> Result<Project, ServiceError> {
    let txn = app.db.begin().await?;
    let (project, standing) =
        repo::lock(&txn, viewer.scope(), change.project).await?.ok_or_else(|| no_project("projectId"))?;
    must(standing, Action::ChangeSettings)?;
    if let Some(collaboration) = change.collaboration {
        must_fit(collaboration, project.overlap, "collaboration")?;
    }
    change.lease_seconds.map_or(Ok(()), check_lease_seconds)?;
    let changes = ProjectChanges {
        name: change.name.map(|name| validate::name("name", &name)).transpose()?,
        state: change.state,
        review: change.review,
        collaboration: change.collaboration,
        lease_seconds: change.lease_seconds,
        template_version: None,
    };
    let project = repo::update(&txn, project.id, changes).await?;
    let mut events = Changes::new(project.id, Some(viewer.user.id));
    events.project(EventType::ProjectChanged, json!({ "state": project.state }));
    events.append(&txn).await?;
    txn.commit().await?;
    Ok(project)
}

/// Adds a member, changes a role, or (with no role) takes a member out. Repeating it changes nothing.
///
/// # Errors
/// [`ServiceError::NotFound`] for the project or the user, also for one who is in projects the viewer does not see and
/// in no other; [`ServiceError::Forbidden`] when the old or the new role is above what the viewer may give.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id, project.id = %project))]
pub async fn set_member(
    app: &App,
    viewer: &Viewer,
    project: ProjectId,
    user: UserId,
    role: Option<Role>,
) -> Result<(Project, Option<Member>), ServiceError> {
    let txn = app.db.begin().await?;
    let (project, standing) =
        repo::lock(&txn, viewer.scope(), project).await?.ok_or_else(|| no_project("projectId"))?;
    must(standing, Action::ManageMembers)?;
    let old = member::lock(&txn, project.id, user).await?;
    let old_role = old.as_ref().map(|member| member.role);
    if old_role == Some(Role::Manager) || role == Some(Role::Manager) {
        must(standing, Action::ManageManagers)?;
    }
    if old.is_none() {
        // Only an admin brings people over from projects the viewer does not see.
        let addable = user::find_addable(&txn, viewer.scope(), user).await?;
        addable.ok_or_else(|| ServiceError::not_found("user", "userId"))?;
        let count = member::counts(&txn, &[project.id]).await?.get(&project.id).copied().flatten();
        if count.is_none_or(|count| count >= limits::MEMBERS) {
            return Err(ServiceError::limit("userId", limits::MEMBERS, "members of a project"));
        }
    }
    if old_role == role {
        return Ok((project, old));
    }
    let member = match role {
        Some(role) => Some(member::set(&txn, project.id, user, role).await?),
        None => {
            member::remove(&txn, project.id, user).await?;
            None
        }
    };
    let mut changes = Changes::new(project.id, Some(viewer.user.id));
    changes.project(EventType::MemberChanged, json!({ "user": user.to_string(), "role": role }));
    changes.append(&txn).await?;
    txn.commit().await?;
    Ok((project, member))
}

/// A project the viewer sees.
///
/// # Errors
/// [`ServiceError`] of the database.
pub async fn find(app: &App, viewer: &Viewer, id: ProjectId) -> Result<Option<(Project, Standing)>, ServiceError> {
    Ok(repo::find(&app.db, viewer.scope(), id).await?)
}

/// As [`find`], for a query whose argument `projectId` names it.
///
/// # Errors
/// [`ServiceError::NotFound`] when the viewer does not see it.
pub async fn get(app: &App, viewer: &Viewer, id: ProjectId) -> Result<(Project, Standing), ServiceError> {
    find(app, viewer, id).await?.ok_or_else(|| no_project("projectId"))
}

/// How many tasks are in each state, all states in order.
#[must_use]
pub fn task_counts(counts: &Counts) -> Vec<(TaskState, i64)> {
    Counter::of_tasks().map(|(state, counter)| (state, counts.get(counter))).collect()
}

pub(crate) fn no_project(field: &str) -> ServiceError {
    ServiceError::not_found("project", field)
}
