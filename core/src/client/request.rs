//! Writes requests, notifications and responses in place.

use crate::era::Version;
use crate::json::{Decimal, Full, Sink, escape};
use crate::rpc::Missing;
use crate::tool::Level;

/// The client's description of itself.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Profile<'a> {
    /// The name in `clientInfo`.
    pub name: &'a str,
    /// The version in `clientInfo`.
    pub version: &'a str,
    /// The capabilities, as a JSON object.
    pub capabilities: &'a [u8],
}

/// A member of `params`.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Param<'a> {
    name: &'a str,
    value: ParamValue<'a>,
}

#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum ParamValue<'a> {
    Text(&'a str),
    Json(&'a [u8]),
}

impl<'a> Param<'a> {
    /// Makes a member with this text as its value; the text is escaped.
    pub const fn text(name: &'a str, value: &'a str) -> Self {
        Self { name, value: ParamValue::Text(value) }
    }

    /// Makes a member with this JSON text as its value; the text is sent unchanged.
    pub const fn json(name: &'a str, value: &'a [u8]) -> Self {
        Self { name, value: ParamValue::Json(value) }
    }

    fn put(&self, out: &mut dyn Sink) -> Result<(), Full> {
        out.put(b"\"")?;
        escape(self.name, out)?;
        out.put(b"\":")?;
        match self.value {
            ParamValue::Json(json) => out.put(json),
            ParamValue::Text(text) => quoted(text, out),
        }
    }
}

/// The content of `_meta` of a request.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Meta<'a> {
    version: Version,
    profile: Profile<'a>,
    progress: Option<u64>,
    level: Option<Level>,
    extra: &'a [Param<'a>],
}

impl<'a> Meta<'a> {
    /// Makes the members that revision `version` requires. Revisions before 2026-07-28 require
    /// none.
    pub const fn new(version: Version, profile: Profile<'a>) -> Self {
        Self { version, profile, progress: None, level: None, extra: &[] }
    }

    /// Requests progress notifications with this token.
    #[must_use]
    pub const fn progress(self, token: u64) -> Self {
        Self { progress: Some(token), ..self }
    }

    /// Requests log messages of at least this level. Only revision 2026-07-28 supports this.
    #[must_use]
    pub const fn level(self, level: Level) -> Self {
        Self { level: Some(level), ..self }
    }

    /// Adds members, such as a trace context.
    #[must_use]
    pub const fn extra(self, extra: &'a [Param<'a>]) -> Self {
        Self { extra, ..self }
    }

    fn is_empty(&self) -> bool {
        !self.version.is_modern() && self.progress.is_none() && self.extra.is_empty()
    }

    fn put(&self, out: &mut dyn Sink) -> Result<(), Full> {
        let mut list = Commas::new();
        if self.version.is_modern() {
            self.modern(&mut list, out)?;
        }
        if let Some(token) = self.progress {
            list.next(out)?;
            out.put(b"\"progressToken\":")?;
            number(token, out)?;
        }
        self.extra.iter().try_for_each(|member| {
            list.next(out)?;
            member.put(out)
        })
    }

    // MCP 2026-07-28 basic/index, "Request metadata": version and capabilities MUST be in each
    // request, the client's name SHOULD be.
    fn modern(&self, list: &mut Commas, out: &mut dyn Sink) -> Result<(), Full> {
        list.next(out)?;
        key(Missing::ProtocolVersion.name(), out)?;
        quoted(self.version.as_str(), out)?;
        list.next(out)?;
        key(Missing::ClientCapabilities.name(), out)?;
        out.put(self.profile.capabilities)?;
        list.next(out)?;
        key("io.modelcontextprotocol/clientInfo", out)?;
        info(&self.profile, out)?;
        if let Some(level) = self.level {
            list.next(out)?;
            key("io.modelcontextprotocol/logLevel", out)?;
            quoted(level.name(), out)?;
        }
        Ok(())
    }
}

/// Writes a request. The client numbers its requests and never reuses a number on a connection.
///
/// # Errors
/// [`Full`] if the request does not fit; a part of it may then be written.
pub fn request(out: &mut dyn Sink, id: u64, method: &str, params: &[Param<'_>], meta: &Meta<'_>) -> Result<(), Full> {
    open(id, method, out)?;
    if params.is_empty() && meta.is_empty() {
        return out.put(b"}");
    }
    out.put(b",\"params\":{")?;
    let mut list = Commas::new();
    for param in params {
        list.next(out)?;
        param.put(out)?;
    }
    if !meta.is_empty() {
        list.next(out)?;
        out.put(b"\"_meta\":{")?;
        meta.put(out)?;
        out.put(b"}")?;
    }
    out.put(b"}}")
}

/// Writes the `initialize` request of the revisions before 2026-07-28.
///
/// # Errors
/// [`Full`] if the request does not fit; a part of it may then be written.
pub fn initialize(out: &mut dyn Sink, id: u64, version: Version, profile: &Profile<'_>) -> Result<(), Full> {
    open(id, "initialize", out)?;
    out.put(b",\"params\":{\"protocolVersion\":")?;
    quoted(version.as_str(), out)?;
    out.put(b",\"capabilities\":")?;
    out.put(profile.capabilities)?;
    out.put(b",\"clientInfo\":")?;
    info(profile, out)?;
    out.put(b"}}")
}

/// Writes a notification.
///
/// # Errors
/// [`Full`] if the notification does not fit; a part of it may then be written.
pub fn notification(out: &mut dyn Sink, method: &str, params: &[Param<'_>]) -> Result<(), Full> {
    out.put(b"{\"jsonrpc\":\"2.0\",\"method\":")?;
    quoted(method, out)?;
    if !params.is_empty() {
        out.put(b",\"params\":{")?;
        let mut list = Commas::new();
        for param in params {
            list.next(out)?;
            param.put(out)?;
        }
        out.put(b"}")?;
    }
    out.put(b"}")
}

/// Writes the response to a request from the server. `id` is the id as the server wrote it.
///
/// # Errors
/// [`Full`] if the response does not fit; a part of it may then be written.
pub fn respond(out: &mut dyn Sink, id: &[u8], result: &[u8]) -> Result<(), Full> {
    out.put(b"{\"jsonrpc\":\"2.0\",\"id\":")?;
    out.put(id)?;
    out.put(b",\"result\":")?;
    out.put(result)?;
    out.put(b"}")
}

/// Writes an error response to a request from the server.
///
/// # Errors
/// [`Full`] if the response does not fit; a part of it may then be written.
pub fn respond_error(out: &mut dyn Sink, id: &[u8], code: i64, message: &str) -> Result<(), Full> {
    out.put(b"{\"jsonrpc\":\"2.0\",\"id\":")?;
    out.put(id)?;
    out.put(b",\"error\":{\"code\":")?;
    out.put(Decimal::new(code).as_bytes())?;
    out.put(b",\"message\":")?;
    quoted(message, out)?;
    out.put(b"}}")
}

fn open(id: u64, method: &str, out: &mut dyn Sink) -> Result<(), Full> {
    out.put(b"{\"jsonrpc\":\"2.0\",\"id\":")?;
    number(id, out)?;
    out.put(b",\"method\":")?;
    quoted(method, out)
}

fn info(profile: &Profile<'_>, out: &mut dyn Sink) -> Result<(), Full> {
    out.put(b"{\"name\":")?;
    quoted(profile.name, out)?;
    out.put(b",\"version\":")?;
    quoted(profile.version, out)?;
    out.put(b"}")
}

fn key(name: &str, out: &mut dyn Sink) -> Result<(), Full> {
    quoted(name, out)?;
    out.put(b":")
}

fn quoted(text: &str, out: &mut dyn Sink) -> Result<(), Full> {
    out.put(b"\"")?;
    escape(text, out)?;
    out.put(b"\"")
}

/// Numbers are below 2^53, so every JSON library reads them exactly.
fn number(value: u64, out: &mut dyn Sink) -> Result<(), Full> {
    out.put(Decimal::new(i64::try_from(value).unwrap_or(i64::MAX)).as_bytes())
}

/// Writes a comma before every member except the first.
struct Commas {
    first: bool,
}

impl Commas {
    const fn new() -> Self {
        Self { first: true }
    }

    fn next(&mut self, out: &mut dyn Sink) -> Result<(), Full> {
        if core::mem::replace(&mut self.first, false) { Ok(()) } else { out.put(b",") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Slice;

    const PROFILE: Profile<'static> = Profile { name: "a\"b", version: "1", capabilities: br#"{"roots":{}}"# };

    fn check(expected: &str, write: impl Fn(&mut dyn Sink) -> Result<(), Full>) {
        let mut buffer = [0; 512];
        let mut out = Slice::new(&mut buffer);
        write(&mut out).unwrap();
        assert_eq!(core::str::from_utf8(out.written()).unwrap(), expected);
        // Each shorter buffer leads to an error, never to an overrun.
        for len in 0..expected.len() {
            let mut buffer = [0; 512];
            assert_eq!(write(&mut Slice::new(&mut buffer[..len])), Err(Full), "{len} bytes");
        }
    }

    #[test]
    fn modern_request_carries_its_metadata() {
        let meta = Meta::new(Version::V2026_07_28, PROFILE).progress(7).level(Level::Warning);
        let extra = [Param::text("traceparent", "00-1")];
        check(
            concat!(
                r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"e\"","arguments":{"n":1E2},"_meta":{"#,
                r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"roots":{}},"#,
                r#""io.modelcontextprotocol/clientInfo":{"name":"a\"b","version":"1"},"io.modelcontextprotocol/logLevel":"warning","#,
                r#""progressToken":7,"traceparent":"00-1"}}}"#
            ),
            |out| {
                let params = [Param::text("name", "e\""), Param::json("arguments", br#"{"n":1E2}"#)];
                request(out, 7, "tools/call", &params, &meta.extra(&extra))
            },
        );
    }

    #[test]
    fn legacy_request_carries_only_what_it_is_asked_to() {
        let meta = Meta::new(Version::V2025_06_18, PROFILE);
        check(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#, |out| request(out, 1, "tools/list", &[], &meta));
        check(r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"progressToken":1}}}"#, |out| {
            request(out, 1, "m", &[], &meta.progress(1))
        });
        check(r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":"b"}}"#, |out| {
            request(out, 1, "m", &[Param::text("a", "b")], &meta)
        });
    }

    #[test]
    fn handshake_notifications_and_responses_are_written_whole() {
        check(
            concat!(
                r#"{"jsonrpc":"2.0","id":2,"method":"initialize","params":{"protocolVersion":"2025-11-25","#,
                r#""capabilities":{"roots":{}},"clientInfo":{"name":"a\"b","version":"1"}}}"#
            ),
            |out| initialize(out, 2, Version::NEWEST_LEGACY, &PROFILE),
        );
        check(r#"{"jsonrpc":"2.0","method":"n"}"#, |out| notification(out, "n", &[]));
        check(r#"{"jsonrpc":"2.0","method":"n","params":{"requestId":3}}"#, |out| {
            notification(out, "n", &[Param::json("requestId", b"3")])
        });
        check(r#"{"jsonrpc":"2.0","id":"x","result":{}}"#, |out| respond(out, b"\"x\"", b"{}"));
        check(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no \"m\""}}"#, |out| {
            respond_error(out, b"1", -32601, "no \"m\"")
        });
    }
}
