//! One operation of a connection, from its beginning to its end.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use async_graphql::{Response, ServerError};
use tokio::task::AbortHandle;

use crate::{
    graphql::{
        Api,
        live::{Closed, Outbox, Part, group::Seat, to_json},
    },
    service::attendance::Leave,
};

/// An operation that a client has begun.
#[derive(Debug)]
pub struct Operation {
    id: Box<str>,
    outbox: Arc<Outbox>,
    ended: AtomicBool,
    /// It is a subscription: it has no end of its own.
    goes_on: AtomicBool,
    holds: Mutex<Holds>,
}

/// What goes with the operation.
#[derive(Debug, Default)]
struct Holds {
    task: Option<AbortHandle>,
    seat: Option<Seat>,
}

impl Operation {
    /// One that has just begun; what it says goes to `outbox`.
    #[must_use]
    pub fn new(id: &str, outbox: Arc<Outbox>) -> Arc<Self> {
        Arc::new(Self {
            id: id.into(),
            outbox,
            ended: AtomicBool::new(false),
            goes_on: AtomicBool::new(false),
            holds: Mutex::default(),
        })
    }

    /// What the client calls it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether nothing more is to be sent of it.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Whether it is known to be a subscription: others have one result, which is worth waiting for.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.goes_on.load(Ordering::Acquire)
    }

    /// It is a subscription.
    pub fn goes_on_for_long(&self) {
        self.goes_on.store(true, Ordering::Release);
    }

    /// Ends it: nothing more comes of it.
    pub fn end(&self) {
        let mut holds = self.lock();
        self.ended.store(true, Ordering::Release);
        let Holds { task, seat } = std::mem::take(&mut *holds);
        // A seat looks at its group when it is given up.
        drop(holds);
        if let Some(task) = task {
            task.abort();
        }
        drop(seat);
    }

    /// Runs what there is to do until it has a seat, or to its end.
    pub(super) fn runs<F: Future<Output = ()> + Send + 'static>(self: &Arc<Self>, work: impl FnOnce(Arc<Self>) -> F) {
        let task = tokio::spawn(work(self.clone()));
        let mut holds = self.lock();
        if self.has_ended() {
            task.abort();
        } else if !task.is_finished() {
            holds.task = Some(task.abort_handle());
        }
    }

    /// From now on its group tells it what happens: what it did for itself is done.
    pub(super) fn sits(&self, seat: Seat) {
        let mut holds = self.lock();
        if !self.has_ended() {
            *holds = Holds { task: None, seat: Some(seat) };
        }
    }

    /// Says a part at once.
    pub fn tell(self: &Arc<Self>, part: Part) {
        self.outbox.push(self, part);
    }

    /// Says a part once there is room for it.
    pub async fn send(self: &Arc<Self>, part: Part) {
        self.outbox.push_patiently(self, part).await;
    }

    /// Says a result.
    pub(super) async fn say(self: &Arc<Self>, api: &Api, response: &Response) {
        api.count(&response.errors);
        self.send(Part::Next(to_json(response))).await;
    }

    /// Says that it cannot go on.
    pub(super) async fn fail(self: &Arc<Self>, api: &Api, errors: Vec<ServerError>) {
        api.count(&errors);
        self.send(Part::Failed(to_json(&errors))).await;
    }

    /// Says at once that it cannot go on.
    pub(super) fn refuse(self: &Arc<Self>, api: &Api, error: ServerError) {
        let errors = vec![error];
        api.count(&errors);
        self.tell(Part::Failed(to_json(&errors)));
    }

    /// Whoever began it sees other things now: its connection is closed, to begin again.
    pub(super) fn begin_anew(&self) {
        self.outbox.close(Closed::Leave(Leave::RightsChanged));
    }

    /// It would have to be told more than there is room for.
    pub(super) fn give_up(&self) {
        self.outbox.close(Closed::TooSlow);
    }

    /// Says that it has ended.
    pub(super) async fn complete(self: &Arc<Self>) {
        self.send(Part::Complete).await;
    }

    fn lock(&self) -> MutexGuard<'_, Holds> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
