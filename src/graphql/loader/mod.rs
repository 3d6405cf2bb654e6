//! Edges, loaded in batches: however many rows a page has, an edge of all of them is one statement.
//!
//! One set of loaders lives as long as one request and sees what its viewer sees. Nothing is cached, so that what a
//! mutation answers is what it wrote.

mod children;
mod rows;
mod standstill;

use std::{collections::HashMap, hash::Hash, sync::Arc, time::Duration};

use async_graphql::dataloader::{DataLoader, Loader};
pub(super) use children::{
    AnnotationsOf, AssetsOfProject, AssetsOfTask, AssignmentsOfTask, Children, CountOf, JobsOfProject,
    MembersOfProject, OpenConflictsOfTask, RevisionsOf, SnapshotsOf, TemplatesOfProject,
};
pub(super) use rows::{
    AnnotationNow, AsOf, CountersOf, CurrentTemplate, EmailOf, OpenConflictsOf, PayloadOf, ReviewsOf, RoleIn, SlotsOf,
    StatsOf,
};
pub(super) use standstill::Waiting;

use crate::{
    graphql::error::ApiError,
    repo::Scope,
    service::{App, Viewer},
};

/// The loaders of one request.
pub(super) struct Loaders(DataLoader<Batches>);

/// Loads any number of keys at once.
pub(super) struct Batches {
    app: Arc<App>,
    /// Who asks; none in what is made for all who see the same.
    viewer: Option<Viewer>,
    /// What is seen.
    scope: Option<Scope>,
}

impl Loaders {
    /// Batches go to `waiting`, whose [`Waiting::run`] has to run the execution.
    pub(super) fn new(app: Arc<App>, viewer: Option<Viewer>, scope: Option<Scope>, waiting: Waiting) -> Self {
        let loader = DataLoader::new(Batches { app, viewer, scope }, move |batch| waiting.push(batch));
        Self(loader.delay(Duration::ZERO))
    }

    /// What belongs to `key`; none when there is nothing.
    pub(super) async fn find<K>(&self, key: K) -> Result<Option<<Batches as Loader<K>>::Value>, ApiError>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        Batches: Loader<K, Error = ApiError>,
    {
        self.0.load_one(key).await
    }

    /// What belongs to `key`, which a foreign key says is there.
    pub(super) async fn get<K>(&self, key: K) -> Result<<Batches as Loader<K>>::Value, ApiError>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        Batches: Loader<K, Error = ApiError>,
    {
        let missing = || crate::service::ServiceError::from(crate::repo::RepoError::NotFound);
        self.find(key).await?.ok_or_else(|| missing().into())
    }
}

/// Groups keys that differ only in their parent.
fn grouped<K, P, G: Hash + Eq>(keys: &[K], split: impl Fn(&K) -> (G, P)) -> HashMap<G, Vec<P>> {
    let mut groups: HashMap<G, Vec<P>> = HashMap::new();
    for key in keys {
        let (group, parent) = split(key);
        groups.entry(group).or_default().push(parent);
    }
    groups
}
