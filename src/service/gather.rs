//! Looking up together. A lookup begins at once when none runs; whoever comes while one runs waits for the next, which begins
//! when that one ends and is for all who wait by then. However many ask at once, the database is asked a few times.
//!
//! What somebody is told was always looked up after they had asked: nobody passes with a right that had ended by then.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use tokio::{sync::oneshot, time::timeout};

use crate::{domain::limits, service::ServiceError};

/// One kind of lookup, from keys to what was found of them; who is not among it does not exist.
pub(crate) struct Gather<K, V>(Arc<Inner<K, V>>);

struct Inner<K, V> {
    look_up: Box<LookUp<K, V>>,
    /// How long a lookup may take.
    time: Duration,
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
        Self::within(limits::STATEMENT_TIME, look_up)
    }

    fn within<F>(time: Duration, look_up: impl Fn(Vec<K>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Found<K, V>> + Send + 'static,
    {
        let look_up = Box::new(move |keys| look_up(keys).boxed());
        let queue = Mutex::new(Queue { waiting: VecDeque::new(), is_looking: false });
        Self(Arc::new(Inner { look_up, time, queue }))
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
        let found = timeout(gather.time, async { (gather.look_up)(keys).await });
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

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use tokio::{sync::Semaphore, task::JoinHandle};

    use super::*;

    /// A lookup of numbers, each of which is found with the number of the lookup that found it. It ends when it is let.
    struct Scene {
        gather: Arc<Gather<usize, usize>>,
        /// The keys of each lookup that began.
        begun: Arc<Mutex<Vec<Vec<usize>>>>,
        gate: Arc<Semaphore>,
    }

    /// There is no such number.
    const UNKNOWN: usize = 404;
    /// The lookup of this one fails,
    const AWAY: usize = 503;
    /// or panics.
    const FAULT: usize = 500;

    impl Scene {
        fn new() -> Self {
            Self::within(limits::STATEMENT_TIME)
        }

        fn within(time: Duration) -> Self {
            let (begun, gate) = (Arc::<Mutex<Vec<Vec<usize>>>>::default(), Arc::new(Semaphore::new(0)));
            let (noted, ends) = (begun.clone(), gate.clone());
            let gather = Gather::within(time, move |mut keys: Vec<usize>| {
                keys.sort_unstable();
                let number = {
                    let mut noted = noted.lock().unwrap();
                    noted.push(keys.clone());
                    noted.len()
                };
                let ends = ends.clone();
                async move {
                    ends.acquire().await.unwrap().forget();
                    assert!(!keys.contains(&FAULT), "a fault, for the test");
                    if keys.contains(&AWAY) {
                        return Err(ServiceError::Unavailable("away"));
                    }
                    Ok(keys.into_iter().filter(|key| *key != UNKNOWN).map(|key| (key, number)).collect())
                }
            });
            Self { gather: Arc::new(gather), begun, gate }
        }

        /// Asks, and waits until the question is in the queue.
        async fn ask(&self, key: usize) -> JoinHandle<Result<Option<usize>, ServiceError>> {
            let gather = self.gather.clone();
            let asked = tokio::spawn(async move { gather.find(key).await });
            settle().await;
            asked
        }

        fn let_end(&self, lookups: usize) {
            self.gate.add_permits(lookups);
        }

        fn begun(&self) -> Vec<Vec<usize>> {
            self.begun.lock().unwrap().clone()
        }
    }

    /// On one thread: until every task has done what it can.
    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    async fn found(asked: JoinHandle<Result<Option<usize>, ServiceError>>) -> Result<Option<usize>, String> {
        asked.await.unwrap().map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn who_asks_while_a_lookup_runs_is_answered_by_the_next_one() {
        let scene = Scene::new();
        let first = scene.ask(1).await;
        assert_eq!(scene.begun(), [[1]], "at once");
        let (same, other, unknown) = (scene.ask(1).await, scene.ask(2).await, scene.ask(UNKNOWN).await);
        assert_eq!(scene.begun().len(), 1, "one at a time");
        scene.let_end(1);
        assert_eq!(found(first).await, Ok(Some(1)));
        settle().await;
        assert_eq!(scene.begun()[1..], [[1, 2, UNKNOWN]], "each key once, also one that was being looked up");
        scene.let_end(1);
        assert_eq!((found(same).await, found(other).await), (Ok(Some(2)), Ok(Some(2))));
        assert_eq!(found(unknown).await, Ok(None));
        assert_eq!(Arc::strong_count(&scene.gather.0), 1, "no task is left");
        let later = scene.ask(1).await;
        scene.let_end(1);
        assert_eq!(found(later).await, Ok(Some(3)), "nothing is remembered");
    }

    #[tokio::test]
    async fn who_goes_away_takes_nobody_along_and_is_not_looked_up() {
        let scene = Scene::new();
        let first = scene.ask(1).await;
        let (second, third) = (scene.ask(2).await, scene.ask(3).await);
        first.abort();
        second.abort();
        settle().await;
        scene.let_end(2);
        assert_eq!(found(third).await, Ok(Some(2)));
        assert_eq!(scene.begun(), [[1], [3]]);
        let last = scene.ask(4).await;
        let gone = scene.ask(5).await;
        gone.abort();
        scene.let_end(1);
        assert_eq!(found(last).await, Ok(Some(3)));
        settle().await;
        assert_eq!(scene.begun().len(), 3, "nothing is looked up for nobody");
        assert_eq!(Arc::strong_count(&scene.gather.0), 1);
    }

    #[tokio::test]
    async fn an_error_is_that_of_all_it_was_looked_up_for_and_of_no_others() {
        let scene = Scene::new();
        let first = scene.ask(1).await;
        let together = [scene.ask(2).await, scene.ask(AWAY).await, scene.ask(2).await];
        scene.let_end(2);
        assert_eq!(found(first).await, Ok(Some(1)));
        for asked in together {
            assert_eq!(found(asked).await, Err("away".to_owned()));
        }
        let next = scene.ask(2).await;
        scene.let_end(1);
        assert_eq!(found(next).await, Ok(Some(3)));
    }

    #[tokio::test]
    async fn a_lookup_that_panics_leaves_nobody_waiting() {
        let scene = Scene::new();
        let first = scene.ask(FAULT).await;
        let next = scene.ask(1).await;
        scene.let_end(2);
        assert_eq!(found(first).await, Err("internal error".to_owned()));
        assert_eq!(found(next).await, Ok(Some(2)));
    }

    #[tokio::test]
    async fn a_lookup_without_an_end_is_given_up() {
        let scene = Scene::within(Duration::from_millis(20));
        let (first, next) = (scene.ask(1).await, scene.ask(2).await);
        assert_eq!(found(first).await, Err("the database took too long to answer".to_owned()));
        scene.let_end(1);
        assert_eq!(found(next).await, Ok(Some(2)));
    }

    #[tokio::test]
    async fn one_lookup_is_of_so_many_keys_at_most() {
        const MANY: usize = 2 * limits::LOOKED_UP_TOGETHER + 1;
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let noted = sizes.clone();
        let gather = Gather::new(move |keys: Vec<usize>| {
            noted.lock().unwrap().push(keys.len());
            async move { Ok(keys.into_iter().map(|key| (key, ())).collect()) }
        });
        let all = join_all((0..MANY).map(|key| gather.find(key))).await;
        assert!(all.iter().all(|found| matches!(found, Ok(Some(())))));
        assert_eq!(*sizes.lock().unwrap(), [limits::LOOKED_UP_TOGETHER, limits::LOOKED_UP_TOGETHER, 1]);
    }
}
