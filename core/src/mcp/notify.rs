//! Notifications and requests from the server: progress and log messages of a call, events of a
//! subscription, questions to a legacy client. Each function writes one whole message to a sink.

use crate::json::{Decimal, Full, Sink, escape};
use crate::tool::{Kind, Level};

/// Writes `notifications/progress` for the request with this progress token, which is passed as the
/// client wrote it. `progress` and `total` are JSON numbers; `progress` must grow from one message
/// to the next (MCP basic/patterns/progress).
///
/// # Errors
/// [`Full`] if the message does not fit; a part may have been written then. This holds for all
/// functions of this module.
pub fn progress(
    token: &[u8],
    progress: &str,
    total: Option<&str>,
    message: Option<&str>,
    out: &mut dyn Sink,
) -> Result<(), Full> {
    let [front @ .., _, _, _, end] = progress_pieces(token, progress.as_bytes(), total.map(str::as_bytes), None);
    front.into_iter().try_for_each(|piece| out.put(piece))?;
    if let Some(message) = message {
        out.put(WORDS)?;
        escape(message, out)?;
        out.put(b"\"")?;
    }
    out.put(end)
}

/// Returns the same message in pieces, for a caller without a buffer. `words` must be escaped
/// already.
pub(crate) const fn progress_pieces<'a>(
    token: &'a [u8],
    progress: &'a [u8],
    total: Option<&'a [u8]>,
    words: Option<&'a [u8]>,
) -> [&'a [u8]; 10] {
    let front = br#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"#;
    let [before_total, total]: [&[u8]; 2] = match total {
        Some(total) => [br#","total":"#, total],
        None => [b""; 2],
    };
    let [before_words, words, quote]: [&[u8]; 3] = match words {
        Some(words) => [WORDS, words, b"\""],
        None => [b""; 3],
    };
    [front, token, br#","progress":"#, progress, before_total, total, before_words, words, quote, b"}}"]
}

const WORDS: &[u8] = br#","message":""#;

/// Writes `notifications/message`. `data` is JSON on one line.
///
/// # Errors
/// [`Full`] if the message does not fit.
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

/// Writes the notification that a list has changed. `subscription` is the id of the request that
/// opened the subscription, as the client wrote it; legacy clients have none.
///
/// # Errors
/// [`Full`] if the message does not fit.
pub fn list_changed(kind: Kind, subscription: Option<&[u8]>, out: &mut dyn Sink) -> Result<(), Full> {
    out.put(match kind {
        Kind::Tool => br#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed""#.as_slice(),
        Kind::Prompt => br#"{"jsonrpc":"2.0","method":"notifications/prompts/list_changed""#,
        Kind::Resource | Kind::Template => br#"{"jsonrpc":"2.0","method":"notifications/resources/list_changed""#,
    })?;
    let Some(subscription) = subscription else {
        return out.put(b"}");
    };
    out.put(br#","params":{"#)?;
    tag(subscription, out)?;
    out.put(b"}}")
}

/// Writes the notification that a resource has changed. `subscription` is the id of the request
/// that opened the subscription; legacy clients have none.
///
/// # Errors
/// [`Full`] if the message does not fit.
pub fn updated(uri: &str, subscription: Option<&[u8]>, out: &mut dyn Sink) -> Result<(), Full> {
    out.put(br#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":""#)?;
    escape(uri, out)?;
    out.put(b"\"")?;
    if let Some(subscription) = subscription {
        out.put(b",")?;
        tag(subscription, out)?;
    }
    out.put(b"}}")
}

/// Writes `notifications/elicitation/complete`, for clients of revision 2025-11-25: the user has
/// finished on the web page to which the client was sent.
///
/// # Errors
/// [`Full`] if the message does not fit.
pub fn page_done(id: &str, out: &mut dyn Sink) -> Result<(), Full> {
    out.put(br#"{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":""#)?;
    escape(id, out)?;
    out.put(br#""}}"#)
}

/// Writes a request to a legacy client. `number` is its id, which the response repeats; `method`
/// must need no escaping; `params` is a JSON object on one line.
///
/// # Errors
/// [`Full`] if the message does not fit.
pub fn question(number: u64, method: &str, params: Option<&str>, out: &mut dyn Sink) -> Result<(), Full> {
    out.put(br#"{"jsonrpc":"2.0","id":"#)?;
    out.put(Decimal::new(i64::try_from(number).unwrap_or(i64::MAX)).as_bytes())?;
    out.put(br#","method":""#)?;
    out.put(method.as_bytes())?;
    out.put(b"\"")?;
    if let Some(params) = params {
        out.put(br#","params":"#)?;
        out.put(params.as_bytes())?;
    }
    out.put(b"}")
}

// MCP 2026-07-28 basic/patterns/subscriptions: each message that belongs to a subscription carries
// its id.
pub(crate) fn tag(subscription: &[u8], out: &mut dyn Sink) -> Result<(), Full> {
    out.put(br#""_meta":{"io.modelcontextprotocol/subscriptionId":"#)?;
    out.put(subscription)?;
    out.put(b"}")
}
