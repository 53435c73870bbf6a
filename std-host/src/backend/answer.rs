//! Answers of backends, and the form in which clients get them.

use super::members::{Member, Members, distinct, members, one_line, print};
use crate::call::{Forwarded, Outcome, ToolOutput, crashed};
use attache_core::era::Version;
use attache_core::json::Value as Json;
use attache_core::rpc::Code;
use attache_core::tool::Kind;
use bytes::Bytes;
use core::fmt;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The answer of a backend to a call. It is forwarded to the client as written, except for members
/// that belong to one revision or one connection: `resultType`, reserved keys of `_meta`, and cache
/// hints.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Answer {
    /// The result object of the method, as JSON.
    Result(Box<RawValue>),
    /// The result object of the method, as JSON in bytes that are checked when they are forwarded:
    /// for backends that receive their results as bytes.
    Bytes(Bytes),
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
            Self::Result(result) => of_result(result.get(), kind, version),
            Self::Bytes(result) => match core::str::from_utf8(&result) {
                Ok(result) => of_result(result.trim_ascii(), kind, version),
                Err(error) => crashed(&format!("a backend answered with a result that is not UTF-8: {error}")),
            },
            Self::Error { code, message, data } => {
                Outcome::Failed { code: code.to_string(), message, data: data.map(|data| one_line(&data)) }
            }
            Self::Failed(reason) if kind == Kind::Tool => Outcome::Tool(ToolOutput::failed(reason)),
            Self::Failed(reason) => Outcome::Rejected(Code::InternalError, reason),
        }
    }
}

fn of_result(result: &str, kind: Kind, version: Version) -> Outcome {
    let (mut of_result, mut of_meta) = (Vec::new(), Vec::new());
    let members = match members_of(result, &mut of_result) {
        Ok(members) => members,
        Err(error) => return crashed(&format!("a backend answered with a result that is not an object: {error}")),
    };
    let member = |name: &str| members.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
    let is_left_out = |name: &str, value: &str| match name {
        "resultType" | "_meta" => true,
        "ttlMs" | "cacheScope" => !version.is_modern(),
        // MCP 2025-11-25 server/tools, "Structured Content": it must be an object; since 2026-07-28
        // it may be any value.
        "structuredContent" => !version.is_modern() && !value.starts_with('{'),
        _ => false,
    };
    let mut printed = String::with_capacity(result.len());
    print(members.iter().filter(|(name, value)| !is_left_out(name, value)), &mut printed);
    // MCP 2026-07-28 server/utilities/caching: the result of reading a resource has cache hints.
    // Older servers send none.
    if version.is_modern() && matches!(kind, Kind::Resource | Kind::Template) {
        let hints = [(Cow::Borrowed("ttlMs"), "0"), (Cow::Borrowed("cacheScope"), r#""private""#)];
        print(hints.iter().filter(|(name, _)| member(name).is_none()), &mut printed);
    }
    let meta = member("_meta").and_then(|meta| members_of(meta, &mut of_meta).ok()).unwrap_or_default();
    let mut printed_meta = String::new();
    print(meta.iter().filter(|(name, _)| !crate::call::is_reserved(name)), &mut printed_meta);
    let is_error = member("isError") == Some("true");
    Outcome::Forwarded(Forwarded { members: printed, meta: printed_meta, is_error })
}

/// Reads the members of an object. `deep` holds those of an object that is nested deeper than a
/// message from a peer may be.
fn members_of<'t>(
    text: &'t str,
    deep: &'t mut Vec<(String, Box<RawValue>)>,
) -> Result<Vec<Member<'t>>, serde_json::Error> {
    if let Some(members) = members(Json::of_checked(text.as_bytes())) {
        return Ok(distinct(members));
    }
    *deep = Members::read_all(text)?;
    Ok(distinct(deep.iter().map(|(name, value)| (Cow::Borrowed(&**name), value.get())).collect()))
}
