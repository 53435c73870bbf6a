//! Answers of backends, and the form in which clients get them.

use super::members::{Members, one_line};
use crate::call::{Forwarded, Outcome, ToolOutput, crashed};
use attache_core::era::Version;
use attache_core::rpc::Code;
use attache_core::tool::Kind;
use core::fmt;
use serde_json::value::RawValue;

/// The answer of a backend to a call. It is forwarded to the client as written, except for members
/// that belong to one revision or one connection: `resultType`, reserved keys of `_meta`, and cache
/// hints.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Answer {
    /// The result object of the method, as JSON.
    Result(Box<RawValue>),
    /// A protocol error.
    Error {
        /// The error code, an integer.
        code: i64,
        /// A sentence for the client.
        message: String,
        /// Further details, as JSON.
        data: Option<Box<RawValue>>,
    },
    /// A failed tool, with a text for the model. As the answer to another kind of call, a protocol
    /// error with this text.
    Failed(String),
}

impl Answer {
    /// Creates an error. Its cause is only written to the log. The client gets a sentence with an
    /// identifier to find it there.
    pub fn error(cause: &dyn fmt::Display) -> Self {
        Self::Failed(match crashed(cause) {
            Outcome::Rejected(_, message) => message,
            _ => String::new(),
        })
    }

    pub(super) fn into_outcome(self, kind: Kind, version: Version) -> Outcome {
        match self {
            Self::Result(result) => match Members::read(result.get()) {
                Ok(members) => Outcome::Forwarded(forwarded(members, kind, version)),
                Err(error) => crashed(&format!("a backend answered with a result that is not an object: {error}")),
            },
            Self::Error { code, message, data } => {
                Outcome::Failed { code: code.to_string(), message, data: data.map(|data| one_line(&data)) }
            }
            Self::Failed(reason) if kind == Kind::Tool => Outcome::Tool(ToolOutput::failed(reason)),
            Self::Failed(reason) => Outcome::Rejected(Code::InternalError, reason),
        }
    }
}

fn forwarded(mut members: Members, kind: Kind, version: Version) -> Forwarded {
    members.take("resultType");
    let hints = [("ttlMs", "0"), ("cacheScope", r#""private""#)];
    if !version.is_modern() {
        hints.iter().for_each(|(name, _)| drop(members.take(name)));
        // MCP 2025-11-25 server/tools, "Structured Content": it must be an object; since 2026-07-28
        // it may be any value.
        if members.get("structuredContent").is_some_and(|value| !value.get().starts_with('{')) {
            members.take("structuredContent");
        }
    }
    let is_error = members.get("isError").is_some_and(|value| value.get() == "true");
    let meta = members.take("_meta").and_then(|meta| Members::read(meta.get()).ok()).unwrap_or_default();
    let mut printed = Members::print(&members.0);
    // MCP 2026-07-28 server/utilities/caching: the result of reading a resource has cache hints.
    // Older servers send none.
    if version.is_modern() && matches!(kind, Kind::Resource | Kind::Template) {
        for (name, value) in hints.iter().filter(|(name, _)| members.get(name).is_none()) {
            let comma = if printed.is_empty() { "" } else { "," };
            printed.push_str(&format!("{comma}\"{name}\":{value}"));
        }
    }
    let meta = Members::print(meta.0.iter().filter(|(name, _)| !crate::call::is_reserved(name)));
    Forwarded { members: printed, meta, is_error }
}
