//! Lines that a worker writes: its console, and the log messages of its functions.

use super::limits::{LINE, LINES_PER_SECOND, START_LINES};
use super::messages::{Data, RpcLog};
use crate::children::each_line;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::io::AsyncRead;

/// The lines of one worker: passed on to the log of this program, and kept while the worker starts.
#[derive(Clone)]
pub(crate) struct Lines {
    app: Arc<str>,
    /// The least severe level by category or prefix of a category (`logging.logLevel` of
    /// host.json).
    levels: Arc<[(String, i32)]>,
    state: Arc<Mutex<State>>,
}

struct State {
    kept: VecDeque<String>,
    is_starting: bool,
    /// The start of the current second, and the number of lines in it.
    second: Instant,
    count: u32,
}

/// The value of `log_category` for messages of the app's own code.
const USER: i32 = 0;

impl Lines {
    pub(super) fn new(app: Arc<str>, levels: Arc<[(String, i32)]>) -> Self {
        let state = State { kept: VecDeque::new(), is_starting: true, second: Instant::now(), count: 0 };
        Self { app, levels, state: Arc::new(Mutex::new(state)) }
    }

    /// Reads an output of the process to its end.
    pub(super) async fn follow(self, output: impl AsyncRead + Unpin, is_error: bool) {
        each_line(output, LINE, |line| self.console(line, is_error)).await;
    }

    /// Passes a line of the console on.
    pub(super) fn console(&self, line: &str, is_error: bool) {
        // FunctionRpc: lines with this prefix come from the worker itself and not from the app.
        let own = line.strip_prefix("LanguageWorkerConsoleLog");
        let line = own.unwrap_or(line);
        if line.is_empty() || line.starts_with("azfuncjsonlog:") || !self.take(line) {
            return;
        }
        match (own, is_error) {
            (Some(_), _) => tracing::debug!(app = &*self.app, "{line}"),
            (None, false) => tracing::info!(app = &*self.app, "{line}"),
            (None, true) => tracing::warn!(app = &*self.app, "{line}"),
        }
    }

    /// Passes a log message on.
    pub(super) fn log(&self, log: &RpcLog) {
        let message = shortened(&log.message);
        if message.is_empty() || log.level < self.least(&log.category) || !self.take(message) {
            return;
        }
        let (app, category) = (&*self.app, log.category.as_str());
        match (log.level, log.log_category) {
            (4.., _) => tracing::error!(app, category, "{message}"),
            (3, _) => tracing::warn!(app, category, "{message}"),
            (2, USER) => tracing::info!(app, category, "{message}"),
            _ => tracing::debug!(app, category, "{message}"),
        }
    }

    /// Returns the least severe level of a category: the level that is set for the longest prefix
    /// of `Function.CATEGORY` or `CATEGORY`.
    fn least(&self, category: &str) -> i32 {
        let fits = |name: &str| {
            let begins =
                |text: &str| text.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            begins(&format!("Function.{category}.User")) || begins(category) || name.eq_ignore_ascii_case("default")
        };
        let of_length = |name: &str| if name.eq_ignore_ascii_case("default") { 0 } else { name.len() };
        let fitting = self.levels.iter().filter(|(name, _)| fits(name));
        fitting.max_by_key(|(name, _)| of_length(name)).map_or(0, |(_, level)| *level)
    }

    /// Counts a line, and keeps it while the worker starts. Returns whether it is passed on.
    fn take(&self, line: &str) -> bool {
        let mut state = self.state();
        if state.is_starting {
            if state.kept.len() == START_LINES {
                state.kept.pop_front();
            }
            state.kept.push_back(line.to_owned());
            // The program prints these lines itself if the start fails.
            return false;
        }
        if state.second.elapsed().as_secs() > 0 {
            let lost = state.count.saturating_sub(LINES_PER_SECOND);
            (state.second, state.count) = (Instant::now(), 0);
            if lost > 0 {
                tracing::warn!(
                    app = &*self.app,
                    "{lost} lines of the app were dropped: it writes more than {LINES_PER_SECOND} in a second"
                );
            }
        }
        state.count = state.count.saturating_add(1);
        state.count <= LINES_PER_SECOND
    }

    /// Ends the start: from here on lines go to the log. Returns those that were kept.
    pub(super) fn started(&self) -> Vec<String> {
        let mut state = self.state();
        state.is_starting = false;
        core::mem::take(&mut state.kept).into()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A log message of a call, with what its client gets of it.
pub(super) struct CallLog {
    pub(super) level: i32,
    pub(super) category: String,
    pub(super) message: String,
    pub(super) progress: Option<f64>,
    pub(super) total: Option<f64>,
}

impl CallLog {
    pub(super) fn of(log: &RpcLog) -> Self {
        let number = |name: &str| match log.properties.get(name)?.data {
            Some(Data::Double(number)) => Some(number),
            _ => None,
        };
        Self {
            level: log.level,
            category: shortened(&log.category).to_owned(),
            message: shortened(&log.message).to_owned(),
            progress: number("progress"),
            total: number("total"),
        }
    }
}

/// Returns the beginning of a text, without the end of the line.
pub(super) fn shortened(text: &str) -> &str {
    let text = text.trim_end();
    text.get(..text.floor_char_boundary(LINE)).unwrap_or(text)
}
