//! The last output of a child on its standard error.

use super::limits::{STDERR_BYTES, STDERR_LINE, STDERR_LINES};
use super::lines::each_line;
use super::redact::{is_secret, redacted};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::AsyncRead;

/// The last lines of a child's standard error. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail {
    ring: Arc<Mutex<Ring>>,
    /// Texts that error messages must not show.
    secrets: Arc<[String]>,
}

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Tail {
    /// Makes the tail of a child with these environment variables. Its error messages do not show
    /// the values of those whose name says that they are secret.
    pub(crate) fn of_child(environment: &[(OsString, OsString)]) -> Self {
        let secret = |(name, value): &(OsString, OsString)| {
            is_secret(name.to_str()?).then(|| value.to_str().map(str::to_owned)).flatten()
        };
        Self { secrets: environment.iter().filter_map(secret).collect(), ..Self::default() }
    }

    /// Reads standard error to its end.
    pub(crate) async fn collect(self, stderr: impl AsyncRead + Unpin) {
        each_line(stderr, STDERR_LINE, |line| self.push(line)).await;
    }

    fn push(&self, line: &str) {
        let line = line.to_owned();
        tracing::debug!(%line, "standard error of a child");
        let mut ring = self.ring();
        ring.bytes += line.len();
        ring.lines.push_back(line);
        while ring.bytes > STDERR_BYTES {
            let oldest = ring.lines.pop_front().map_or(0, |line| line.len());
            ring.bytes -= oldest;
        }
    }

    /// Returns all lines that are kept, for the operator.
    pub(crate) fn all(&self) -> Vec<String> {
        self.ring().lines.iter().cloned().collect()
    }

    /// Returns the lines that error messages show. Callers see these messages, so secrets are
    /// removed.
    pub(crate) fn last(&self) -> Vec<String> {
        let ring = self.ring();
        let last = ring.lines.iter().skip(ring.lines.len().saturating_sub(STDERR_LINES)).cloned().collect::<Vec<_>>();
        drop(ring);
        redacted(&last, &self.secrets)
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_kept_up_to_a_bound_in_bytes_and_errors_show_the_last_ones() {
        let text: String = (0..10_000).map(|number| format!("line {number} {}\n", "x".repeat(100))).collect();
        let tail = Tail::default();
        tail.clone().collect(text.as_bytes()).await;
        let (all, last) = (tail.all(), tail.last());
        let bytes: usize = all.iter().map(String::len).sum();
        assert!(bytes <= STDERR_BYTES && bytes > STDERR_BYTES - 200, "{bytes}");
        assert_eq!(last.len(), STDERR_LINES);
        assert!(last.last().is_some_and(|line| line.starts_with("line 9999 ")), "{last:?}");
        assert_eq!(last, all[all.len() - STDERR_LINES..]);
    }

    #[tokio::test]
    async fn line_without_an_end_is_split() {
        let tail = Tail::default();
        tail.clone().collect("y".repeat(3 * STDERR_LINE).as_bytes()).await;
        assert!(tail.all().iter().all(|line| line.len() <= STDERR_LINE));
    }
}
