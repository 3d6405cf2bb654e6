//! When batches are sent: as soon as a request stands still, that is, when no field of it can go on without one.
//!
//! A window of time would do as well only while the machine is idle: a slow poll of a long list would cut one batch into
//! several, and every request would pay for the window.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures::{Stream, StreamExt, future::BoxFuture, stream};

/// Batches that wait for their request to stand still. Clones are the same.
#[derive(Clone, Default)]
pub(in crate::graphql) struct Waiting(Arc<Mutex<Vec<BoxFuture<'static, ()>>>>);

impl Waiting {
    pub(super) fn push(&self, batch: BoxFuture<'static, ()>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(batch);
    }

    fn send(&self) {
        let batches = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for batch in batches {
            tokio::spawn(batch);
        }
    }

    /// Runs an execution, sending the batches it waits for whenever it stands still.
    pub(in crate::graphql) async fn run<F: Future>(&self, execution: F) -> F::Output {
        let mut execution = pin!(execution);
        poll_fn(|context| self.poll(context, |context| execution.as_mut().poll(context))).await
    }

    /// As [`Waiting::run`] for an execution with many results: between two of them there is nothing to send.
    pub(in crate::graphql) fn run_stream<S: Stream + Unpin>(self, mut results: S) -> impl Stream<Item = S::Item> {
        stream::poll_fn(move |context| self.poll(context, |context| results.poll_next_unpin(context)))
    }

    fn poll<T>(&self, context: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        let noted = Arc::new(Noted { outer: context.waker().clone(), woken: AtomicBool::new(false) });
        let waker = Waker::from(noted.clone());
        let polled = poll(&mut Context::from_waker(&waker));
        // Woken while it was polled: it only made room for others and has fields it has not come to yet.
        if polled.is_pending() && !noted.woken.load(Ordering::Acquire) {
            self.send();
        }
        polled
    }
}

/// The waker of one poll, which remembers whether it was used.
struct Noted {
    outer: Waker,
    woken: AtomicBool,
}

impl Wake for Noted {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.outer.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures::{channel::oneshot, stream::FuturesUnordered};

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_batch_is_sent_when_everybody_who_can_ask_has_asked() {
        let (waiting, asked, seen) = (Waiting::default(), Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(vec![])));
        let fields = (0..500).map(|field| {
            let (waiting, asked, seen) = (waiting.clone(), asked.clone(), seen.clone());
            async move {
                // Fields that give way first, as a nested list does, and one that starts the batch at once.
                let mut turns = field % 4;
                poll_fn(|context| {
                    turns -= 1;
                    if turns < 0 {
                        return Poll::Ready(());
                    }
                    context.waker().wake_by_ref();
                    Poll::Pending
                })
                .await;
                let (done, wait) = oneshot::channel();
                if asked.fetch_add(1, Ordering::SeqCst) == 0 {
                    waiting.push(Box::pin(async move {
                        seen.lock().unwrap().push(asked.load(Ordering::SeqCst));
                        done.send(()).unwrap();
                    }));
                    wait.await.unwrap();
                }
            }
        });
        let fields: FuturesUnordered<_> = fields.collect();
        waiting.run(fields.collect::<Vec<()>>()).await;
        assert_eq!(*seen.lock().unwrap(), [500], "askers before each batch");
    }
}
