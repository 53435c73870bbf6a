//! Notifications that a server sends: progress and log messages of a call, and what a subscription hears. Each is one whole
//! message, put into a sink.

use crate::json::{Full, Sink, escape};
use crate::tool::{Kind, Level};

/// `notifications/progress` for the request whose token is `token`, as it was written. `progress` and `total` are JSON numbers;
/// `progress` must grow from one to the next (MCP basic/patterns/progress).
///
/// # Errors
/// [`Full`] if it does not fit, as of all the others; a part of it may then be written.
pub fn progress(
    token: &[u8],
    progress: &str,
    total: Option<&str>,
    message: Option<&str>,
    out: &mut dyn Sink,
) -> Result<(), Full> {
    out.put(br#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"#)?;
    out.put(token)?;
    out.put(br#","progress":"#)?;
    out.put(progress.as_bytes())?;
    if let Some(total) = total {
        out.put(br#","total":"#)?;
        out.put(total.as_bytes())?;
    }
    if let Some(message) = message {
        out.put(br#","message":""#)?;
        escape(message, out)?;
        out.put(b"\"")?;
    }
    out.put(b"}}")
}

/// `notifications/message`: `data` is JSON on one line.
///
/// # Errors
/// [`Full`] if it does not fit.
pub fn message(level: Level, logger: Option<&str>, data: &str, out: &mut dyn Sink) -> Result<(), Full> {
    out.put(br#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":""#)?;
    out.put(level.name().as_bytes())?;
    out.put(b"\"")?;
    if let Some(logger) = logger {
        out.put(br#","logger":""#)?;
        escape(logger, out)?;
        out.put(b"\"")?;
    }
    out.put(br#","data":"#)?;
    out.put(data.as_bytes())?;
    out.put(b"}}")
}

/// What a subscription hears of a list that has changed; `subscription` is the id of the request that opened it, as it was
/// written.
///
/// # Errors
/// [`Full`] if it does not fit.
pub fn list_changed(kind: Kind, subscription: &[u8], out: &mut dyn Sink) -> Result<(), Full> {
    out.put(match kind {
        Kind::Tool => br#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"#.as_slice(),
        Kind::Prompt => br#"{"jsonrpc":"2.0","method":"notifications/prompts/list_changed","params":{"#,
        Kind::Resource | Kind::Template => {
            br#"{"jsonrpc":"2.0","method":"notifications/resources/list_changed","params":{"#
        }
    })?;
    tag(subscription, out)?;
    out.put(b"}}")
}

/// What a subscription hears of a resource that has changed.
///
/// # Errors
/// [`Full`] if it does not fit.
pub fn updated(uri: &str, subscription: &[u8], out: &mut dyn Sink) -> Result<(), Full> {
    out.put(br#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":""#)?;
    escape(uri, out)?;
    out.put(b"\",")?;
    tag(subscription, out)?;
    out.put(b"}}")
}

// MCP 2026-07-28 basic/patterns/subscriptions: the id stands on everything that is sent for a subscription.
pub(crate) fn tag(subscription: &[u8], out: &mut dyn Sink) -> Result<(), Full> {
    out.put(br#""_meta":{"io.modelcontextprotocol/subscriptionId":"#)?;
    out.put(subscription)?;
    out.put(b"}")
}
