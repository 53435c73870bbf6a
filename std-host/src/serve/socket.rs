//! A socket with timers: it fails if its peer takes no bytes for the stall time, and it reads on for a while (lingering close) if it is
//! closed in the middle of a message.

use super::timers::ConnectionTimers;
use crate::Budget;
use crate::budget::{Account, Overdrawn, Permit};
use crate::limits::{ENCRYPTED_AHEAD, LINGER};
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{self, IoSlice};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// The byte stream of one connection, below TLS.
#[derive(Debug)]
pub(super) struct Socket<S> {
    inner: S,
    timers: Arc<ConnectionTimers>,
    /// The stall timer. It runs while the peer takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    /// The budget for the bytes that TLS buffers above a socket while its peer takes nothing.
    budget: Option<(Budget, Account)>,
    ahead: Option<Permit>,
    /// The linger timer. It runs while incoming bytes are read and discarded.
    lingering: Option<Pin<Box<Sleep>>>,
}

impl<S> Socket<S> {
    pub(super) fn new(inner: S, timers: Arc<ConnectionTimers>) -> Self {
        Self { inner, timers, stalled: None, budget: None, ahead: None, lingering: None }
    }

    /// Marks the socket as below TLS, which buffers copies of the bytes that the peer has not taken
    /// yet. These copies are charged to `budget` as `account`.
    pub(super) fn below_tls(self, budget: Budget, account: Account) -> Self {
        Self { budget: Some((budget, account)), ..self }
    }

    /// Handles the result of a write. A write that exceeds the stall deadline fails, and so does
    /// one for which the budget has no room.
    fn written(&mut self, context: &mut Context<'_>, write: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match write {
            Poll::Ready(written) => {
                self.stalled = None;
                self.ahead = None;
                if let Ok(bytes) = written {
                    self.timers.moved(bytes);
                }
                Poll::Ready(written)
            }
            Poll::Pending => {
                if let Some((budget, account)) = self.budget.as_ref().filter(|_| self.ahead.is_none()) {
                    let permit = budget.reserve(*account, ENCRYPTED_AHEAD);
                    let short = |short: Overdrawn| io::Error::new(io::ErrorKind::OutOfMemory, short.reason());
                    self.ahead = Some(permit.map_err(short)?);
                }
                let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(self.timers.stall_time())));
                stalled.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.written(context, write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.inner).poll_write_vectored(context, pieces);
        self.written(context, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.inner).poll_shutdown(context))?;
            if !this.timers.ends_unread() {
                return Poll::Ready(Ok(()));
            }
        }
        let lingering = this.lingering.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        // RFC 9112 §9.6: closing a socket with unread bytes resets the connection, and the peer
        // loses the answer.
        let mut scratch = [0; 4096];
        while lingering.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut this.inner).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
