//! Looking up together. A lookup begins at once when none runs; whoever comes while one runs waits for the next, which begins
//! when that one ends and is for all who wait by then. However many ask at once, the database is asked a few times.
//!
//! What somebody is told was always looked up after they had asked: nobody passes with a right that had ended by then.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{FutureExt, future::BoxFuture};
use tokio::{sync::oneshot, time::timeout};

use crate::{domain::limits, service::ServiceError};

/// One kind of lookup, from keys to what was found of them; who is not among it does not exist.
pub(crate) struct Gather<K, V>(Arc<Inner<K, V>>);

struct Inner<K, V> {
    look_up: Box<LookUp<K, V>>,
    queue: Mutex<Queue<K, V>>,
}

type LookUp<K, V> = dyn Fn(Vec<K>) -> BoxFuture<'static, Found<K, V>> + Send + Sync;
type Found<K, V> = Result<HashMap<K, V>, ServiceError>;

struct Queue<K, V> {
    waiting: VecDeque<(K, Asker<V>)>,
    /// A task looks up, and goes on until nobody waits.
    is_looking: bool,
}

/// Where an answer goes; closed when the one who asked has gone away.
type Asker<V> = oneshot::Sender<Result<Option<V>, ServiceError>>;

impl<K, V> Gather<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Looks up by `look_up`, which is given each key once, and at most [`limits::LOOKED_UP_TOGETHER`] of them.
    pub(crate) fn new<F>(look_up: impl Fn(Vec<K>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Found<K, V>> + Send + 'static,
    {
        let queue = Queue { waiting: VecDeque::new(), is_looking: false };
        Self(Arc::new(Inner { look_up: Box::new(move |keys| look_up(keys).boxed()), queue: Mutex::new(queue) }))
    }

    /// What there is of this key now.
    ///
    /// # Errors
    /// That of the lookup, for all it was for; [`ServiceError::Unavailable`] when it takes too long.
    pub(crate) async fn find(&self, key: K) -> Result<Option<V>, ServiceError> {
        let (asker, answer) = oneshot::channel();
        let begins = {
            let mut queue = self.0.lock();
            queue.waiting.push_back((key, asker));
            !std::mem::replace(&mut queue.is_looking, true)
        };
        if begins {
            // A task of its own: whoever came first may go away, and the others wait for it all the same.
            tokio::spawn(look(self.0.clone()));
        }
        answer.await.unwrap_or_else(|_| Err(ServiceError::Internal("a lookup broke off".into())))
    }
}

/// Looks up for all who wait, until nobody does.
async fn look<K, V>(gather: Arc<Inner<K, V>>)
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    const LATE: ServiceError = ServiceError::Unavailable("the database took too long to answer");
    while let Some(batch) = gather.next() {
        let keys = batch.keys().cloned().collect();
        let found = timeout(limits::STATEMENT_TIME, async { (gather.look_up)(keys).await });
        // One that panics answers nobody, and the next ones are looked up for all the same.
        let Ok(found) = AssertUnwindSafe(found).catch_unwind().await else { continue };
        let found = found.unwrap_or(Err(LATE));
        for (key, askers) in batch {
            for asker in askers {
                let answer = found.as_ref().map(|found| found.get(&key).cloned()).map_err(ServiceError::shared);
                // Who has gone away needs none.
                let _ = asker.send(answer);
            }
        }
    }
}

impl<K: Eq + Hash, V> Inner<K, V> {
    /// Whoever waits, as many as one lookup is for; none when there is nobody, and then nobody looks any more.
    fn next(&self) -> Option<HashMap<K, Vec<Asker<V>>>> {
        let mut queue = self.lock();
        let mut batch: HashMap<K, Vec<Asker<V>>> = HashMap::new();
        while batch.len() < limits::LOOKED_UP_TOGETHER
            && let Some((key, asker)) = queue.waiting.pop_front()
        {
            if !asker.is_closed() {
                batch.entry(key).or_default().push(asker);
            }
        }
        queue.is_looking = !batch.is_empty();
        queue.is_looking.then_some(batch)
    }

    fn lock(&self) -> MutexGuard<'_, Queue<K, V>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
