//! What a connection has to send, of all its operations, in order. Bounded in bytes: whoever shows events to many at once
//! does not wait for one who does not read; that one's connection is closed instead.

use std::{
    collections::VecDeque,
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
    fn len(&self) -> usize {
        match self {
            Self::Next(json) | Self::Failed(json) => json.len(),
            Self::Complete => 0,
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

impl Parcel {
    fn len(&self) -> usize {
        self.part.len() + AROUND
    }
}

/// Why nothing more can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// It was not read fast enough.
    TooSlow,
    /// Whoever it is for may not stay.
    Leave(Leave),
}

/// What waits to be sent on one connection.
#[derive(Debug)]
pub struct Outbox {
    inner: Mutex<Inner>,
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
}

impl Outbox {
    /// An empty one that holds so many bytes.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { inner: Mutex::default(), limit, room: Notify::new() })
    }

    /// Adds a part; when there is no room the connection is closed.
    pub(super) fn push(&self, operation: &Arc<Operation>, part: Part) {
        let parcel = Parcel { operation: operation.clone(), part };
        let mut inner = self.lock();
        if inner.closed.is_some() {
            return;
        }
        // One alone may be larger than the limit.
        if inner.bytes > 0 && inner.bytes + parcel.len() > self.limit {
            self.shut(inner, Closed::TooSlow);
            return;
        }
        inner.bytes += parcel.len();
        inner.parcels.push_back(parcel);
        let sender = inner.sender.take();
        drop(inner);
        if let Some(sender) = sender {
            sender.wake();
        }
    }

    /// Waits until half of it is free.
    pub(super) async fn has_room(&self) {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if self.lock().bytes <= self.limit / 2 {
                return;
            }
            room.await;
        }
    }

    /// Nothing more is taken; what waits is given up.
    pub fn close(&self, why: Closed) {
        let inner = self.lock();
        self.shut(inner, why);
    }

    fn shut(&self, mut inner: MutexGuard<'_, Inner>, why: Closed) {
        inner.closed.get_or_insert(why);
        let given_up = std::mem::take(&mut inner.parcels);
        inner.bytes = 0;
        let sender = inner.sender.take();
        drop(inner);
        drop(given_up);
        if let Some(sender) = sender {
            sender.wake();
        }
        self.room.notify_waiters();
    }

    /// Why nothing more can be sent, if so.
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        self.lock().closed
    }

    /// Waits until nothing more can be sent; the waker is that of [`Outbox::poll_take`].
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

impl Guest for Outbox {
    fn leave(&self, why: Leave) {
        self.close(Closed::Leave(why));
    }
}
