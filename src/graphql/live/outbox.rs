//! What a connection has to send, of all its operations, in order. Bounded in bytes: whoever shows events to many at once
//! does not wait for one who does not read; that one's connection is closed instead.
//!
//! Where nothing waits a result goes out by the connection's [`Line`] at once, from whoever says it: to wake a task for each
//! connection costs more than to write to it.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::{
    graphql::live::Operation,
    service::attendance::{Guest, Leave},
};

/// A part of what an operation has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A result: the JSON of a GraphQL response.
    Next(Bytes),
    /// It was refused, or cannot go on: the JSON of a list of errors. The last part.
    Failed(Bytes),
    /// It has ended. The last part.
    Complete,
}

impl Part {
    /// Bytes that it takes while it waits.
    fn len(&self) -> usize {
        match self {
            Self::Next(json) | Self::Failed(json) => AROUND + json.len(),
            Self::Complete => AROUND,
        }
    }
}

/// A part, and what it is of.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// Nothing more is to be sent of one that has ended.
    pub operation: Arc<Operation>,
    /// What to send.
    pub part: Part,
}

/// Bytes that a parcel takes beside its JSON: message and frame around it, and its place here.
const AROUND: usize = 128;

/// The way to the other end.
pub trait Line: fmt::Debug + Send + Sync {
    /// Sends a result as far as it goes at once. Gives the bytes that are left of it.
    fn send(&self, operation: &Operation, json: &[u8]) -> Bytes;
}

/// Above this a result is not copied for each connection.
const COPIED: usize = 16 * 1024;

/// Why nothing more can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// It was not read fast enough.
    TooSlow,
    /// Whoever it is for may not stay.
    Leave(Leave),
    /// Nobody is there any more.
    Gone,
}

/// What waits to be sent on one connection.
#[derive(Debug)]
pub struct Outbox {
    inner: Mutex<Inner>,
    line: Option<Arc<dyn Line>>,
    limit: usize,
    /// There is room again.
    room: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    parcels: VecDeque<Parcel>,
    bytes: usize,
    sender: Option<Waker>,
    closed: Option<Closed>,
    /// Nothing waits anywhere: whoever has something to say may use the line.
    is_lent: bool,
    /// What is left of a result that went out in part.
    rest: Bytes,
}

impl Inner {
    /// One alone may be larger than the limit. There is always room in what is closed: it is not kept.
    fn has_room(&self, part: &Part, limit: usize) -> bool {
        self.closed.is_some() || self.bytes == 0 || self.bytes + part.len() <= limit
    }
}

impl Outbox {
    /// An empty one that holds so many bytes.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { inner: Mutex::default(), line: None, limit, room: Notify::new() })
    }

    /// An empty one of a connection with a line.
    #[must_use]
    pub fn with_line(limit: usize, line: Arc<dyn Line>) -> Arc<Self> {
        Arc::new(Self { inner: Mutex::default(), line: Some(line), limit, room: Notify::new() })
    }

    /// Adds a part; when there is no room the connection is closed.
    pub(super) fn push(&self, operation: &Arc<Operation>, part: Part) {
        let inner = self.lock();
        if operation.has_ended() || inner.has_room(&part, self.limit) {
            self.put(inner, operation, part);
        } else {
            self.shut(inner, Closed::TooSlow);
        }
    }

    /// Adds a part once there is room for it.
    pub(super) async fn push_patiently(&self, operation: &Arc<Operation>, part: Part) {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            {
                let inner = self.lock();
                if inner.has_room(&part, self.limit) {
                    return self.put(inner, operation, part);
                }
            }
            room.await;
        }
    }

    fn put(&self, mut inner: MutexGuard<'_, Inner>, operation: &Arc<Operation>, part: Part) {
        // Looked at here: an operation is ended while its line is not lent.
        if inner.closed.is_some() || operation.has_ended() {
            return;
        }
        if let (true, Part::Next(json), Some(line)) = (inner.is_lent, &part, &self.line)
            && json.len() <= COPIED
        {
            inner.rest = line.send(operation, json);
            if !inner.rest.is_empty() {
                inner.is_lent = false;
                wake(inner);
            }
            return;
        }
        inner.is_lent = false;
        inner.bytes += part.len();
        inner.parcels.push_back(Parcel { operation: operation.clone(), part });
        wake(inner);
    }

    /// Nothing waits with whoever called [`Outbox::poll_take`] either: until they take it back, results go out by the line
    /// from where they are said.
    pub fn lend_line(&self) {
        let mut inner = self.lock();
        inner.is_lent = inner.parcels.is_empty() && inner.closed.is_none();
    }

    /// From now on only the caller uses the line. Gives what is left of a result that went out in part; it must be sent
    /// before anything else.
    #[must_use]
    pub fn take_line_back(&self) -> Bytes {
        let mut inner = self.lock();
        inner.is_lent = false;
        std::mem::take(&mut inner.rest)
    }

    /// Nothing more is taken; what waits is given up.
    pub fn close(&self, why: Closed) {
        let inner = self.lock();
        self.shut(inner, why);
    }

    fn shut(&self, mut inner: MutexGuard<'_, Inner>, why: Closed) {
        inner.closed.get_or_insert(why);
        inner.is_lent = false;
        let given_up = std::mem::take(&mut inner.parcels);
        inner.bytes = 0;
        wake(inner);
        drop(given_up);
        self.room.notify_waiters();
    }

    /// Why nothing more can be sent, if so.
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        self.lock().closed
    }

    /// Ready once nothing more can be sent; the waker is that of [`Outbox::poll_take`].
    pub fn poll_closed(&self, context: &mut Context<'_>) -> Poll<Closed> {
        let mut inner = self.lock();
        match inner.closed {
            Some(closed) => Poll::Ready(closed),
            None => {
                inner.sender = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Takes all that waits. Only one task may take: the waker of the last call is woken.
    ///
    /// # Errors
    /// Why nothing more can be sent.
    pub fn poll_take(&self, context: &mut Context<'_>) -> Poll<Result<VecDeque<Parcel>, Closed>> {
        let mut inner = self.lock();
        if let Some(closed) = inner.closed {
            return Poll::Ready(Err(closed));
        }
        if inner.parcels.is_empty() {
            if !inner.sender.as_ref().is_some_and(|sender| sender.will_wake(context.waker())) {
                inner.sender = Some(context.waker().clone());
            }
            return Poll::Pending;
        }
        // Whole, so that nothing of an idle connection's stays allocated.
        let parcels = std::mem::take(&mut inner.parcels);
        inner.bytes = 0;
        drop(inner);
        self.room.notify_waiters();
        Poll::Ready(Ok(parcels))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes whoever sends.
fn wake(mut inner: MutexGuard<'_, Inner>) {
    let sender = inner.sender.take();
    drop(inner);
    if let Some(sender) = sender {
        sender.wake();
    }
}

impl Guest for Outbox {
    fn leave(&self, why: Leave) {
        self.close(Closed::Leave(why));
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use futures::FutureExt;

    use super::*;

    fn take(outbox: &Outbox) -> Poll<Result<usize, Closed>> {
        let taken = outbox.poll_take(&mut Context::from_waker(Waker::noop()));
        taken.map(|parcels| parcels.map(|parcels| parcels.len()))
    }

    fn part(bytes: usize) -> Part {
        Part::Next(vec![b'x'; bytes].into())
    }

    #[test]
    fn who_is_told_more_than_there_is_room_for_is_closed_and_all_that_waits_is_given_up() {
        let outbox = Outbox::new(1_000);
        let operation = Operation::new("1", outbox.clone());
        for _ in 0..3 {
            operation.tell(part(200));
        }
        assert!(outbox.lock().bytes <= 1_000);
        assert_eq!(take(&outbox), Poll::Ready(Ok(3)));
        operation.tell(part(100_000));
        assert_eq!(take(&outbox), Poll::Ready(Ok(1)), "one alone may be larger");
        operation.tell(part(100_000));
        operation.tell(part(1));
        assert_eq!(take(&outbox), Poll::Ready(Err(Closed::TooSlow)));
        let inner = outbox.lock();
        assert_eq!((inner.parcels.len(), inner.bytes), (0, 0));
    }

    /// Takes a few bytes of each result at once.
    #[derive(Debug)]
    struct Narrow {
        takes: usize,
        taken: Mutex<Vec<u8>>,
    }

    impl Line for Narrow {
        fn send(&self, _: &Operation, json: &[u8]) -> Bytes {
            let (now, rest) = json.split_at(json.len().min(self.takes));
            self.taken.lock().unwrap().extend_from_slice(now);
            Bytes::copy_from_slice(rest)
        }
    }

    fn with_line(takes: usize) -> (Arc<Narrow>, Arc<Outbox>, Arc<Operation>) {
        let line = Arc::new(Narrow { takes, taken: Mutex::default() });
        let outbox = Outbox::with_line(100_000, line.clone());
        let operation = Operation::new("1", outbox.clone());
        (line, outbox, operation)
    }

    #[test]
    fn while_its_line_is_lent_results_go_out_where_they_are_said() {
        let (line, outbox, operation) = with_line(10);
        operation.tell(part(1));
        outbox.lend_line();
        assert_eq!(take(&outbox), Poll::Ready(Ok(1)), "what waits goes first");
        outbox.lend_line();
        operation.tell(part(2));
        operation.tell(part(3));
        assert_eq!((line.taken.lock().unwrap().len(), take(&outbox)), (5, Poll::Pending));
        assert_eq!(outbox.take_line_back(), "");
        operation.tell(part(4));
        assert_eq!((line.taken.lock().unwrap().len(), take(&outbox)), (5, Poll::Ready(Ok(1))));
        outbox.lend_line();
        operation.tell(part(COPIED + 1));
        assert_eq!((line.taken.lock().unwrap().len(), take(&outbox)), (5, Poll::Ready(Ok(1))), "too large to copy");
        outbox.lend_line();
        operation.end();
        operation.tell(part(1));
        assert_eq!(line.taken.lock().unwrap().len(), 5, "it has ended");
    }

    #[test]
    fn behind_what_a_line_did_not_take_everything_waits_even_when_it_is_closed() {
        let (line, outbox, operation) = with_line(10);
        outbox.lend_line();
        operation.tell(part(30));
        operation.tell(part(4));
        operation.tell(Part::Complete);
        outbox.close(Closed::TooSlow);
        assert_eq!(line.taken.lock().unwrap().len(), 10);
        assert_eq!(outbox.take_line_back().len(), 20);
    }

    #[test]
    fn of_one_who_has_ended_nothing_is_taken() {
        let outbox = Outbox::new(1_000);
        let operation = Operation::new("1", outbox.clone());
        operation.tell(part(900));
        assert_eq!(take(&outbox), Poll::Ready(Ok(1)));
        operation.tell(part(800));
        operation.end();
        operation.tell(part(800));
        assert_eq!(take(&outbox), Poll::Ready(Ok(1)), "and nobody is too slow for it");
    }

    #[tokio::test]
    async fn who_waits_for_room_goes_on_when_there_is_some() {
        let outbox = Outbox::new(1_000);
        let operation = Operation::new("1", outbox.clone());
        operation.send(part(800)).await;
        let mut waiting = Box::pin(operation.send(part(1)));
        assert_eq!(waiting.as_mut().now_or_never(), None);
        assert_eq!(take(&outbox), Poll::Ready(Ok(1)));
        waiting.await;
        assert_eq!(take(&outbox), Poll::Ready(Ok(1)));
        operation.tell(part(100));
        let mut waiting = Box::pin(operation.send(part(10_000)));
        assert_eq!(waiting.as_mut().now_or_never(), None, "one alone may be larger, beside others it waits");
        assert_eq!((take(&outbox), outbox.closed()), (Poll::Ready(Ok(1)), None));
        waiting.await;
        let waiting = operation.send(part(1));
        outbox.close(Closed::TooSlow);
        waiting.await;
    }
}
