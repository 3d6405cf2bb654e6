//! Pages of the lists below many parents, and the lengths of those lists.

use std::collections::HashMap;

use async_graphql::dataloader::Loader;
use uuid::Uuid;

use crate::{
    domain::{
        ids::{AnnotationId, ProjectId, TaskId},
        page::{Page, Slice},
    },
    graphql::{
        error::ApiError,
        loader::{Batches, grouped},
    },
    repo::{
        annotation::{self, Annotation, AnnotationFilter},
        asset::{self, Asset, PlacedAsset},
        assignment::{self, Assignment},
        conflict::{self, Conflict},
        job::{self, Job},
        member::{self, Member},
        revision::{self, Revision},
        snapshot::{self, Snapshot},
        template::{self, Template},
    },
};

/// A page of the list below one parent: the key type, its parent and sort key, its rows, the repo's function.
macro_rules! lists {
    ($($(#[$meta:meta])* $name:ident($parent:ty, $key:ty) -> $row:ty = $pages:path;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub(in crate::graphql) struct $name(pub(in crate::graphql) $parent, pub(in crate::graphql) Page<$key>);

        impl Loader<$name> for Batches {
            type Value = Slice<$row>;
            type Error = ApiError;

            async fn load(&self, keys: &[$name]) -> Result<HashMap<$name, Slice<$row>>, ApiError> {
                let mut found = HashMap::with_capacity(keys.len());
                for (page, parents) in grouped(keys, |key| (key.1.clone(), key.0)) {
                    let mut slices = $pages(&self.app.db, &parents, &page).await?;
                    for parent in parents {
                        let slice = slices.remove(&parent).unwrap_or_else(|| Slice::cut(Vec::new(), &page));
                        found.insert($name(parent, page.clone()), slice);
                    }
                }
                Ok(found)
            }
        }
    )+};
}

lists! {
    /// Members of a project.
    MembersOfProject(ProjectId, Uuid) -> Member = member::pages;
    /// Template versions of a project.
    TemplatesOfProject(ProjectId, i32) -> Template = template::pages;
    /// Assets of a project.
    AssetsOfProject(ProjectId, Uuid) -> Asset = asset::pages_of_projects;
    /// Jobs of a project.
    JobsOfProject(ProjectId, Uuid) -> Job = job::pages;
    /// Assets of a task, in order.
    AssetsOfTask(TaskId, i32) -> PlacedAsset = asset::pages_of_tasks;
    /// Turns on the slots of a task.
    AssignmentsOfTask(TaskId, Uuid) -> Assignment = assignment::pages;
    /// Revisions of an annotation.
    RevisionsOf(AnnotationId, i32) -> Revision = revision::pages;
}

/// A page of the annotations of a task that the viewer sees.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(in crate::graphql) struct AnnotationsOf(
    pub(in crate::graphql) TaskId,
    pub(in crate::graphql) AnnotationFilter,
    pub(in crate::graphql) Page<Uuid>,
);

impl Loader<AnnotationsOf> for Batches {
    type Value = Slice<Annotation>;
    type Error = ApiError;

    async fn load(&self, keys: &[AnnotationsOf]) -> Result<HashMap<AnnotationsOf, Slice<Annotation>>, ApiError> {
        let Some(scope) = self.scope else { return Ok(HashMap::new()) };
        let mut found = HashMap::with_capacity(keys.len());
        for ((filter, page), tasks) in grouped(keys, |key| ((key.1, key.2.clone()), key.0)) {
            let mut slices = annotation::pages(&self.app.db, scope, &tasks, filter, &page).await?;
            for task in tasks {
                let slice = slices.remove(&task).unwrap_or_else(|| Slice::cut(Vec::new(), &page));
                found.insert(AnnotationsOf(task, filter, page.clone()), slice);
            }
        }
        Ok(found)
    }
}

/// A page of the snapshots of a task that the viewer sees.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(in crate::graphql) struct SnapshotsOf(pub(in crate::graphql) TaskId, pub(in crate::graphql) Page<Uuid>);

impl Loader<SnapshotsOf> for Batches {
    type Value = Slice<Snapshot>;
    type Error = ApiError;

    async fn load(&self, keys: &[SnapshotsOf]) -> Result<HashMap<SnapshotsOf, Slice<Snapshot>>, ApiError> {
        let Some(scope) = self.scope else { return Ok(HashMap::new()) };
        let mut found = HashMap::with_capacity(keys.len());
        for (page, tasks) in grouped(keys, |key| (key.1.clone(), key.0)) {
            let mut slices = snapshot::pages(&self.app.db, scope, &tasks, &page).await?;
            for task in tasks {
                let slice = slices.remove(&task).unwrap_or_else(|| Slice::cut(Vec::new(), &page));
                found.insert(SnapshotsOf(task, page.clone()), slice);
            }
        }
        Ok(found)
    }
}

/// A page of the open conflicts of a task that the viewer sees.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(in crate::graphql) struct OpenConflictsOfTask(pub(in crate::graphql) TaskId, pub(in crate::graphql) Page<Uuid>);

impl Loader<OpenConflictsOfTask> for Batches {
    type Value = Slice<Conflict>;
    type Error = ApiError;

    async fn load(
        &self,
        keys: &[OpenConflictsOfTask],
    ) -> Result<HashMap<OpenConflictsOfTask, Slice<Conflict>>, ApiError> {
        let Some(scope) = self.scope else { return Ok(HashMap::new()) };
        let mut found = HashMap::with_capacity(keys.len());
        for (page, tasks) in grouped(keys, |key| (key.1.clone(), key.0)) {
            let mut slices = conflict::pages(&self.app.db, scope, &tasks, &page).await?;
            for task in tasks {
                let slice = slices.remove(&task).unwrap_or_else(|| Slice::cut(Vec::new(), &page));
                found.insert(OpenConflictsOfTask(task, page.clone()), slice);
            }
        }
        Ok(found)
    }
}

/// A list below a parent.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::graphql) enum Children {
    /// Members of a project.
    Members(ProjectId),
    /// Template versions of a project.
    Templates(ProjectId),
    /// Assets of a project.
    ProjectAssets(ProjectId),
    /// Jobs of a project.
    Jobs(ProjectId),
    /// Assets of a task.
    TaskAssets(TaskId),
    /// Turns on the slots of a task.
    Assignments(TaskId),
    /// Annotations of a task.
    Annotations(TaskId, AnnotationFilter),
    /// Revisions of an annotation.
    Revisions(AnnotationId),
    /// Snapshots of a task.
    Snapshots(TaskId),
    /// Open conflicts of a task.
    OpenConflicts(TaskId),
}

/// The length of a list, up to the counting limit.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::graphql) struct CountOf(pub(in crate::graphql) Children);

impl Loader<CountOf> for Batches {
    type Value = Option<u64>;
    type Error = ApiError;

    async fn load(&self, keys: &[CountOf]) -> Result<HashMap<CountOf, Option<u64>>, ApiError> {
        let (mut members, mut templates, mut assets, mut task_assets) = (vec![], vec![], vec![], vec![]);
        let (mut assignments, mut jobs) = (vec![], vec![]);
        let (mut annotations, mut revisions, mut snapshots, mut conflicts) = (vec![], vec![], vec![], vec![]);
        for CountOf(children) in keys {
            match children {
                Children::Members(project) => members.push(*project),
                Children::Templates(project) => templates.push(*project),
                Children::ProjectAssets(project) => assets.push(*project),
                Children::Jobs(project) => jobs.push(*project),
                Children::TaskAssets(task) => task_assets.push(*task),
                Children::Assignments(task) => assignments.push(*task),
                Children::Annotations(task, filter) => annotations.push((*filter, *task)),
                Children::Revisions(annotation) => revisions.push(*annotation),
                Children::Snapshots(task) => snapshots.push(*task),
                Children::OpenConflicts(task) => conflicts.push(*task),
            }
        }
        let db = &self.app.db;
        let mut found = HashMap::with_capacity(keys.len());
        let members = member::counts(db, &members).await?;
        found.extend(members.into_iter().map(|(id, count)| (CountOf(Children::Members(id)), count)));
        let templates = template::counts(db, &templates).await?;
        found.extend(templates.into_iter().map(|(id, count)| (CountOf(Children::Templates(id)), count)));
        let assets = asset::counts_of_projects(db, &assets).await?;
        found.extend(assets.into_iter().map(|(id, count)| (CountOf(Children::ProjectAssets(id)), count)));
        let jobs = job::counts(db, &jobs).await?;
        found.extend(jobs.into_iter().map(|(id, count)| (CountOf(Children::Jobs(id)), count)));
        let task_assets = asset::counts_of_tasks(db, &task_assets).await?;
        found.extend(task_assets.into_iter().map(|(id, count)| (CountOf(Children::TaskAssets(id)), count)));
        let assignments = assignment::counts(db, &assignments).await?;
        found.extend(assignments.into_iter().map(|(id, count)| (CountOf(Children::Assignments(id)), count)));
        let revisions = revision::counts(db, &revisions).await?;
        found.extend(revisions.into_iter().map(|(id, count)| (CountOf(Children::Revisions(id)), count)));
        let Some(scope) = self.scope else { return Ok(found) };
        for (filter, tasks) in grouped(&annotations, |key| *key) {
            let counts = annotation::counts(db, scope, &tasks, filter).await?;
            found.extend(counts.into_iter().map(|(id, count)| (CountOf(Children::Annotations(id, filter)), count)));
        }
        let snapshots = snapshot::counts(db, scope, &snapshots).await?;
        found.extend(snapshots.into_iter().map(|(id, count)| (CountOf(Children::Snapshots(id)), count)));
        let conflicts = conflict::counts(db, scope, &conflicts).await?;
        found.extend(conflicts.into_iter().map(|(id, count)| (CountOf(Children::OpenConflicts(id)), count)));
        Ok(found)
    }
}
