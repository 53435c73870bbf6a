//! Messages of a running handler to its caller: progress, and entries for the caller's log.

use super::Level;
use super::block::TextBlock;
use crate::json::{Escaped, Full, Sink};
use core::fmt;
use core::future::poll_fn;

/// The progress of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Progress {
    /// In any unit.
    pub(crate) done: u32,
    pub(crate) total: Option<u32>,
    pub(crate) words: Option<Escaped<'static>>,
}

/// The driver of a handler, as the handler sees it.
pub(crate) trait Runner: Sync {
    /// Stores the progress. It replaces progress that was not sent yet.
    fn progress(&self, progress: Progress);

    /// Whether the caller wants to hear log messages of this level.
    fn wants(&self, level: Level) -> bool;

    /// Tells the driver that it must not drop the handler from now on.
    fn must_finish(&self);
}

/// A channel from a handler to its caller, apart from the result. Messages are dropped if the
/// caller did not request them, if the caller has begun to receive the result, for calls of a
/// batch, if the driver cannot send them, and without feature `progress`.
pub struct Caller<'r> {
    /// The sink of the result.
    pub(super) sink: &'r mut (dyn Sink + Send),
    pub(super) runner: Option<&'r dyn Runner>,
}

impl Caller<'_> {
    /// Reports progress: `done` of `total`, in any unit, and a few words for people. It does not
    /// wait: if the handler reports faster than the driver sends, the driver sends only the latest
    /// report. A report that does not exceed the last one is dropped (MCP basic/patterns/progress:
    /// the value "MUST increase").
    pub fn progress(&mut self, done: u32, total: Option<u32>, words: Option<Escaped<'static>>) {
        if let Some(runner) = self.runner.filter(|_| cfg!(feature = "progress")) {
            runner.progress(Progress { done, total, words });
        }
    }

    /// Writes to the caller's log, if the caller wants messages of this level, and waits until the
    /// message is sent. The message uses the free room behind the result. It leaves the device, so
    /// it must not contain secrets.
    ///
    /// # Errors
    /// [`Full`] if the message does not fit behind the result written so far, or if `write` returns
    /// it. The result is unchanged.
    pub async fn log(
        &mut self,
        level: Level,
        write: impl FnOnce(&mut TextBlock<'_>) -> Result<(), Full>,
    ) -> Result<(), Full> {
        if !cfg!(feature = "progress") || !self.runner.is_some_and(|runner| runner.wants(level)) {
            return Ok(());
        }
        let sink = &mut *self.sink;
        let from = sink.len();
        let mut cut = false;
        let written = message(level, sink, |sink| write(&mut TextBlock { sink, cut: &mut cut }));
        if cut || written.is_err() {
            sink.truncate(from);
            return Err(Full);
        }
        poll_fn(|context| sink.poll_aside(from, context)).await;
        Ok(())
    }
}

/// `notifications/message` with a text that `write` writes, escaped (MCP server/utilities/logging).
fn message(
    level: Level,
    out: &mut (dyn Sink + Send),
    write: impl FnOnce(&mut (dyn Sink + Send)) -> Result<(), Full>,
) -> Result<(), Full> {
    out.put(br#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":""#)?;
    out.put(level.name().as_bytes())?;
    out.put(br#"","data":""#)?;
    write(out)?;
    out.put(br#""}}"#)
}

impl fmt::Debug for Caller<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").finish_non_exhaustive()
    }
}
