//! Pages of the lists below many parents, and the lengths of those lists.

use std::collections::HashMap;

use async_graphql::dataloader::Loader;
use uuid::Uuid;

use crate::{
    domain::{
        ids::{ProjectId, TaskId},
        page::{Page, Slice},
    },
    graphql::{
        error::ApiError,
        loader::{Batches, grouped},
    },
    repo::{
        asset::{self, Asset, PlacedAsset},
        assignment::{self, Assignment},
        member::{self, Member},
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
    /// Assets of a task, in order.
    AssetsOfTask(TaskId, i32) -> PlacedAsset = asset::pages_of_tasks;
    /// Turns on the slots of a task.
    AssignmentsOfTask(TaskId, Uuid) -> Assignment = assignment::pages;
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
    /// Assets of a task.
    TaskAssets(TaskId),
    /// Turns on the slots of a task.
    Assignments(TaskId),
}

/// The length of a list, up to the counting limit.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::graphql) struct CountOf(pub(in crate::graphql) Children);

impl Loader<CountOf> for Batches {
    type Value = Option<u64>;
    type Error = ApiError;

    async fn load(&self, keys: &[CountOf]) -> Result<HashMap<CountOf, Option<u64>>, ApiError> {
        let (mut members, mut templates, mut assets, mut task_assets) = (vec![], vec![], vec![], vec![]);
        let mut assignments = vec![];
        for CountOf(children) in keys {
            match children {
                Children::Members(project) => members.push(*project),
                Children::Templates(project) => templates.push(*project),
                Children::ProjectAssets(project) => assets.push(*project),
                Children::TaskAssets(task) => task_assets.push(*task),
                Children::Assignments(task) => assignments.push(*task),
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
        let task_assets = asset::counts_of_tasks(db, &task_assets).await?;
        found.extend(task_assets.into_iter().map(|(id, count)| (CountOf(Children::TaskAssets(id)), count)));
        let assignments = assignment::counts(db, &assignments).await?;
        found.extend(assignments.into_iter().map(|(id, count)| (CountOf(Children::Assignments(id)), count)));
        Ok(found)
    }
}
