//! What a running call tells its caller before its result: progress and log messages.

use crate::budget::Permit;
use crate::limits;
use crate::sink::Growing;
use attache_core::era::Version;
use attache_core::json::{Full, Sink};
use attache_core::mcp;
use attache_core::tool::{Asides, Level};
use bytes::Bytes;
use serde::Serialize;
use std::sync::{Mutex, PoisonError};
use tokio::sync::mpsc;

/// The way of one call to its caller.
#[derive(Debug)]
pub(crate) struct Events {
    /// As it was written.
    token: Option<Vec<u8>>,
    level: Option<Level>,
    version: Version,
    /// The progress told last.
    last: Mutex<f64>,
    sender: mpsc::Sender<Bytes>,
    /// What waits to be sent is charged to the request of the call.
    permit: Permit,
}

impl Events {
    /// `logging`: whether the server has declared that it may write to the client's log.
    /// `level` is that of a legacy session: in the modern era each call brings its own.
    pub(crate) fn new(
        version: Version,
        asides: &Asides<'_>,
        logging: bool,
        level: Option<Level>,
        permit: &Permit,
    ) -> (Self, mpsc::Receiver<Bytes>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let asked = if version.is_modern() { asides.log_level } else { level };
        let token = asides.progress_token.map(<[u8]>::to_vec);
        // MCP server/utilities/logging: a server that sends log messages MUST declare it.
        (
            Self {
                token,
                level: asked.filter(|_| logging),
                version,
                last: Mutex::new(f64::NEG_INFINITY),
                sender,
                permit: permit.another(),
            },
            receiver,
        )
    }

    pub(crate) async fn progress(&self, progress: f64, total: Option<f64>, message: Option<&str>) {
        let Some(token) = &self.token else {
            return;
        };
        // MCP basic/patterns/progress: "MUST increase with each notification"; what cannot be written is no progress either.
        let grows = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let grows = progress.is_finite() && progress > *last;
            if grows {
                *last = progress;
            }
            grows
        };
        if grows {
            // MCP 2025-03-26 changelog: progress has words since.
            let message = message.filter(|_| self.version >= Version::V2025_03_26);
            let total = total.filter(|total| total.is_finite()).map(|total| total.to_string());
            self.send(|out| mcp::progress(token, &progress.to_string(), total.as_deref(), message, out)).await;
        }
    }

    pub(crate) async fn log(&self, level: Level, logger: Option<&str>, data: &impl Serialize) {
        // MCP 2026-07-28 server/utilities/logging: nothing unless the request asked, and nothing below what it asked for.
        if self.level.is_none_or(|asked| level < asked) {
            return;
        }
        if let Ok(data) = serde_json::to_string(data) {
            self.send(|out| mcp::message(level, logger, &data, out)).await;
        }
    }

    async fn send(&self, write: impl FnOnce(&mut dyn Sink) -> Result<(), Full>) {
        let mut message = Growing::charged(&self.permit, limits::RESULT);
        match write(&mut message) {
            // A caller who is gone need not be told.
            Ok(()) => drop(self.sender.send(message.into_bytes()).await),
            Err(Full) => tracing::debug!("a message of a call was left out: the memory budget has no room for it"),
        }
    }
}

/// Messages that wait for a caller who does not read; the handler waits behind them.
const WAITING: usize = 16;
