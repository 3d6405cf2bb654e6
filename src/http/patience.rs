//! How long a client may take nothing of what is sent to it: once something that lasts is told over a connection, whoever
//! stops reading is left. Until then one may: a paused film takes nothing for minutes.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// What a connection's handlers have to say on that.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    bound: Duration,
    has_begun: Arc<AtomicBool>,
}

impl Patience {
    pub(super) fn new(bound: Duration) -> Self {
        Self { bound, has_begun: Arc::default() }
    }

    /// From now on the connection is left when its client takes nothing for longer than the bound.
    pub(super) fn begin(&self) {
        self.has_begun.store(true, Ordering::Relaxed);
    }
}

/// A connection whose writes fail when the other end takes nothing for too long.
#[derive(Debug)]
pub(super) struct Impatient<S> {
    io: S,
    patience: Patience,
    /// Runs while something waits to be taken.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Impatient<S> {
    pub(super) fn new(io: S, patience: Patience) -> Self {
        Self { io, patience, waiting: None }
    }

    /// The connection, for what has a patience of its own.
    pub(super) fn into_inner(self) -> S {
        self.io
    }

    fn wrote<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() || !self.patience.has_begun.load(Ordering::Relaxed) {
            self.waiting = None;
            return written;
        }
        let bound = self.patience.bound;
        ready!(self.waiting.get_or_insert_with(|| Box::pin(sleep(bound))).as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.wrote(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, parts);
        self.wrote(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        time::timeout,
    };

    use super::*;

    const BOUND: Duration = Duration::from_millis(100);
    const PATIENT: Duration = Duration::from_secs(20);

    /// A connection that holds ten bytes, and its other end.
    fn connection() -> (Impatient<DuplexStream>, DuplexStream, Patience) {
        let (ours, theirs) = duplex(10);
        let patience = Patience::new(BOUND);
        (Impatient::new(ours, patience.clone()), theirs, patience)
    }

    async fn soon<T>(what: impl Future<Output = T>) -> T {
        timeout(PATIENT, what).await.expect("waited in vain")
    }

    #[tokio::test]
    async fn who_takes_nothing_is_left_once_that_was_said() {
        let (mut ours, _theirs, patience) = connection();
        let early = timeout(3 * BOUND, ours.write_all(&[0; 20])).await;
        assert!(early.is_err(), "one may take one's time");
        patience.begin();
        assert_eq!(soon(ours.write_all(&[0; 20])).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn who_takes_little_stays() {
        let (mut ours, mut theirs, patience) = connection();
        patience.begin();
        let reading = async {
            for _ in 0..6 {
                tokio::time::sleep(BOUND / 2).await;
                theirs.read_exact(&mut [0; 2]).await.unwrap();
            }
        };
        let (written, ()) = soon(async { tokio::join!(ours.write_all(&[0; 22]), reading) }).await;
        written.unwrap();
    }
}
