//! Single rows and small lists by key.

use std::{collections::HashMap, sync::Arc};

use async_graphql::dataloader::Loader;

use crate::{
    domain::{
        ids::{AnnotationId, AnyId, AssetId, ConflictId, ProjectId, ReviewId, SnapshotId, TaskId, TemplateId, UserId},
        words::Role,
    },
    graphql::{error::ApiError, loader::Batches},
    repo::{
        annotation::{self, Annotation},
        asset::{self, Asset},
        conflict::{self, Conflict},
        event::{self, Counts},
        member,
        project::{self, Project},
        review::{self, Review},
        revision,
        slot::{self, Slot},
        snapshot::{self, Shown},
        stats::Walked,
        task::{self, Task},
        template::{self, Template},
        user::{self, User},
    },
    service::{
        node::{self, Node},
        stats,
    },
};

impl Loader<AnyId> for Batches {
    type Value = Node;
    type Error = ApiError;

    async fn load(&self, keys: &[AnyId]) -> Result<HashMap<AnyId, Node>, ApiError> {
        let Some(viewer) = &self.viewer else { return Ok(HashMap::new()) };
        Ok(node::find_all(&self.app, viewer, keys).await?)
    }
}

impl Loader<UserId> for Batches {
    type Value = User;
    type Error = ApiError;

    async fn load(&self, keys: &[UserId]) -> Result<HashMap<UserId, User>, ApiError> {
        Ok(user::find_all(&self.app.db, keys).await?)
    }
}

impl Loader<ProjectId> for Batches {
    type Value = Project;
    type Error = ApiError;

    async fn load(&self, keys: &[ProjectId]) -> Result<HashMap<ProjectId, Project>, ApiError> {
        Ok(project::find_all(&self.app.db, keys).await?)
    }
}

// Shared: every task of a page has the same large template.
impl Loader<TemplateId> for Batches {
    type Value = Arc<Template>;
    type Error = ApiError;

    async fn load(&self, keys: &[TemplateId]) -> Result<HashMap<TemplateId, Arc<Template>>, ApiError> {
        let found = template::find_all(&self.app.db, keys).await?;
        Ok(found.into_iter().map(|(id, template)| (id, Arc::new(template))).collect())
    }
}

impl Loader<TaskId> for Batches {
    type Value = Task;
    type Error = ApiError;

    async fn load(&self, keys: &[TaskId]) -> Result<HashMap<TaskId, Task>, ApiError> {
        let Some(scope) = self.scope else { return Ok(HashMap::new()) };
        Ok(task::find_all(&self.app.db, scope, keys).await?)
    }
}

impl Loader<AssetId> for Batches {
    type Value = Asset;
    type Error = ApiError;

    async fn load(&self, keys: &[AssetId]) -> Result<HashMap<AssetId, Asset>, ApiError> {
        let Some(scope) = self.scope else { return Ok(HashMap::new()) };
        Ok(asset::find_all(&self.app.db, scope, keys).await?)
    }
}

/// The current template version of a project.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::graphql) struct CurrentTemplate(pub(in crate::graphql) ProjectId, pub(in crate::graphql) i32);

impl Loader<CurrentTemplate> for Batches {
    type Value = Arc<Template>;
    type Error = ApiError;

    async fn load(&self, keys: &[CurrentTemplate]) -> Result<HashMap<CurrentTemplate, Arc<Template>>, ApiError> {
        let pairs: Vec<_> = keys.iter().map(|CurrentTemplate(project, version)| (*project, *version)).collect();
        let found = template::current(&self.app.db, &pairs).await?;
        Ok(found.into_values().map(|row| (CurrentTemplate(row.project, row.version), Arc::new(row))).collect())
    }
}

/// The slots of a task.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::graphql) struct SlotsOf(pub(in crate::graphql) TaskId);

impl Loader<SlotsOf> for Batches {
    type Value = Vec<Slot>;
    type Error = ApiError;

    async fn load(&self, keys: &[SlotsOf]) -> Result<HashMap<SlotsOf, Vec<Slot>>, ApiError> {
        let tasks: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = slot::of_tasks(&self.app.db, &tasks).await?;
        Ok(found.into_iter().map(|(task, slots)| (SlotsOf(task), slots)).collect())
    }
}

/// The verdicts of a task.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::graphql) struct ReviewsOf(pub(in crate::graphql) TaskId);

impl Loader<ReviewsOf> for Batches {
    type Value = Vec<Review>;
    type Error = ApiError;

    async fn load(&self, keys: &[ReviewsOf]) -> Result<HashMap<ReviewsOf, Vec<Review>>, ApiError> {
        let Some(scope) = self.scope else { return Ok(HashMap::new()) };
        let tasks: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = review::of_tasks(&self.app.db, scope, &tasks).await?;
        Ok(found.into_iter().map(|(task, reviews)| (ReviewsOf(task), reviews)).collect())
    }
}

impl Loader<ReviewId> for Batches {
    type Value = Review;
    type Error = ApiError;

    async fn load(&self, keys: &[ReviewId]) -> Result<HashMap<ReviewId, Review>, ApiError> {
        let Some(scope) = self.scope else { return Ok(HashMap::new()) };
        let found = review::find_all(&self.app.db, scope, keys).await?;
        Ok(found.into_iter().map(|review| (review.id, review)).collect())
    }
}

/// An annotation as of a revision that an event, which the viewer sees, has made.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::graphql) struct AsOf(pub(in crate::graphql) AnnotationId, pub(in crate::graphql) i32);

impl Loader<AsOf> for Batches {
    type Value = Annotation;
    type Error = ApiError;

    async fn load(&self, keys: &[AsOf]) -> Result<HashMap<AsOf, Annotation>, ApiError> {
        let names: Vec<_> = keys.iter().map(|AsOf(id, revision)| (*id, *revision)).collect();
        let found = revision::find_as_of(&self.app.db, &names).await?;
        Ok(found.into_iter().map(|((id, revision), annotation)| (AsOf(id, revision), annotation)).collect())
    }
}

/// An annotation whose conflict the viewer sees.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::graphql) struct AnnotationNow(pub(in crate::graphql) AnnotationId);

impl Loader<AnnotationNow> for Batches {
    type Value = Annotation;
    type Error = ApiError;

    async fn load(&self, keys: &[AnnotationNow]) -> Result<HashMap<AnnotationNow, Annotation>, ApiError> {
        let Some(scope) = self.scope else { return Ok(HashMap::new()) };
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = annotation::find_visible(&self.app.db, scope, &ids).await?;
        Ok(found.into_iter().map(|annotation| (AnnotationNow(annotation.id), annotation)).collect())
    }
}

/// The open conflicts of an annotation that the viewer sees.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::graphql) struct OpenConflictsOf(pub(in crate::graphql) AnnotationId);

impl Loader<OpenConflictsOf> for Batches {
    type Value = Vec<Conflict>;
    type Error = ApiError;

    async fn load(&self, keys: &[OpenConflictsOf]) -> Result<HashMap<OpenConflictsOf, Vec<Conflict>>, ApiError> {
        let Some(scope) = self.scope else { return Ok(HashMap::new()) };
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = conflict::open_of_visible(&self.app.db, scope, &ids).await?;
        Ok(found.into_iter().map(|(id, conflicts)| (OpenConflictsOf(id), conflicts)).collect())
    }
}

impl Loader<ConflictId> for Batches {
    type Value = Conflict;
    type Error = ApiError;

    async fn load(&self, keys: &[ConflictId]) -> Result<HashMap<ConflictId, Conflict>, ApiError> {
        let Some(scope) = self.scope else { return Ok(HashMap::new()) };
        let found = conflict::find_visible(&self.app.db, scope, keys).await?;
        Ok(found.into_iter().map(|conflict| (conflict.id, conflict)).collect())
    }
}

/// What a snapshot, which the viewer sees, shows.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::graphql) struct PayloadOf(pub(in crate::graphql) SnapshotId);

impl Loader<PayloadOf> for Batches {
    type Value = Arc<Vec<Shown>>;
    type Error = ApiError;

    async fn load(&self, keys: &[PayloadOf]) -> Result<HashMap<PayloadOf, Arc<Vec<Shown>>>, ApiError> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = snapshot::payloads(&self.app.db, &ids).await?;
        Ok(found.into_iter().map(|(id, shown)| (PayloadOf(id), Arc::new(shown))).collect())
    }
}

/// The viewer's own role in a project.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::graphql) struct RoleIn(pub(in crate::graphql) ProjectId);

impl Loader<RoleIn> for Batches {
    type Value = Role;
    type Error = ApiError;

    async fn load(&self, keys: &[RoleIn]) -> Result<HashMap<RoleIn, Role>, ApiError> {
        let Some(viewer) = &self.viewer else { return Ok(HashMap::new()) };
        let projects: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = member::roles(&self.app.db, viewer.user.id, &projects).await?;
        Ok(found.into_iter().map(|(project, role)| (RoleIn(project), role)).collect())
    }
}

/// Whether the viewer, who manages projects, may see this person's address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::graphql) struct EmailOf(pub(in crate::graphql) UserId);

impl Loader<EmailOf> for Batches {
    type Value = ();
    type Error = ApiError;

    async fn load(&self, keys: &[EmailOf]) -> Result<HashMap<EmailOf, ()>, ApiError> {
        let Some(viewer) = &self.viewer else { return Ok(HashMap::new()) };
        let users: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = user::managed_by(&self.app.db, viewer.user.id, &users).await?;
        Ok(found.into_iter().map(|user| (EmailOf(user), ())).collect())
    }
}

/// The counters of a project.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::graphql) struct CountersOf(pub(in crate::graphql) ProjectId);

impl Loader<CountersOf> for Batches {
    type Value = Counts;
    type Error = ApiError;

    async fn load(&self, keys: &[CountersOf]) -> Result<HashMap<CountersOf, Counts>, ApiError> {
        let projects: Vec<_> = keys.iter().map(|key| key.0).collect();
        let mut found = event::counts(&self.app.db, &projects).await?;
        Ok(keys.iter().map(|key| (*key, found.remove(&key.0).unwrap_or_default())).collect())
    }
}

/// The figures of a project that are computed at most once a minute.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::graphql) struct StatsOf(pub(in crate::graphql) ProjectId);

impl Loader<StatsOf> for Batches {
    type Value = Walked;
    type Error = ApiError;

    async fn load(&self, keys: &[StatsOf]) -> Result<HashMap<StatsOf, Walked>, ApiError> {
        let mut found = HashMap::with_capacity(keys.len());
        for key in keys {
            found.insert(*key, stats::walked(&self.app, key.0).await?);
        }
        Ok(found)
    }
}
