//! Events that are no longer on anybody's path, read from the database in pages that all who replay share.

use std::{sync::Arc, time::Duration};

use moka::future::Cache;

use crate::{
    domain::{ids::ProjectId, limits},
    repo::{
        Db, RepoError,
        event::{self, Between, StoredEvent},
    },
};

/// A page: the positions of one stream from a multiple of the page's length on, up to a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    project: ProjectId,
    stream: i32,
    number: i64,
    to: i64,
}

type Page = Arc<[Arc<StoredEvent>]>;

/// The pages that were read lately.
#[derive(Clone, Debug)]
pub(super) struct Pages(Cache<Key, Page>);

/// Positions of a page.
const LENGTH: i64 = 200;

impl Default for Pages {
    fn default() -> Self {
        let weight = |_: &Key, page: &Page| u32::try_from(page.len().max(1)).unwrap_or(u32::MAX);
        let cache = Cache::builder().max_capacity(limits::REPLAYED_EVENTS).weigher(weight);
        Self(cache.time_to_idle(Duration::from_secs(60)).build())
    }
}

impl Pages {
    /// Events of a stream behind a position, up to another one: as many as a page still has. Empty when the next one is
    /// no longer kept.
    pub(super) async fn load(
        &self,
        db: &Db,
        project: ProjectId,
        between: Between,
    ) -> Result<Vec<Arc<StoredEvent>>, RepoError> {
        let number = between.after / LENGTH;
        let to = between.to.min((number + 1) * LENGTH);
        let key = Key { project, stream: between.stream, number, to };
        let read = async {
            let whole = Between { stream: between.stream, after: number * LENGTH, to };
            let found = event::between(db, project, &[whole], LENGTH as u64).await?;
            Ok::<Page, RepoError>(found.into_iter().map(Arc::new).collect())
        };
        let page = self.0.try_get_with(key, read).await.map_err(RepoError::Shared)?;
        let wanted: Vec<_> = page.iter().filter(|event| event.position > between.after).cloned().collect();
        let continues = wanted.first().is_some_and(|event| event.position == between.after + 1);
        Ok(if continues { wanted } else { Vec::new() })
    }
}
