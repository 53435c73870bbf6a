//! Errors of the client.

use super::limits::SHOWN;
use super::raw::RawJson;
#[cfg(feature = "oauth-client")]
use crate::oauth::OAuthError;
use attache_core::client::{Failure, NoRevision};
use core::fmt;
use core::time::Duration;

/// Why a request has no result, or a server could not be reached.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The server answered with a JSON-RPC error.
    Rpc(RpcError),
    /// The connection could not be made, or it was lost before the request was written.
    Unreachable(String),
    /// The server requires another credential: HTTP status 401, with the challenge of
    /// `WWW-Authenticate`.
    Unauthorized(Option<String>),
    /// The credential does not allow the request: HTTP status 403, with the challenge of
    /// `WWW-Authenticate`.
    Forbidden(Option<String>),
    /// The server answered with an HTTP status but without a message.
    Status {
        /// The status.
        status: u16,
        /// The time in `Retry-After`, if it was in seconds.
        retry_after: Option<Duration>,
        /// The beginning of the body.
        body: String,
    },
    /// A redirect was not followed: it leads to another origin, has no target, or exceeds the
    /// limit.
    Redirect(String),
    /// The credential would be sent unencrypted to another machine.
    PlainHttp,
    /// The client and the server have no revision in common, or the URL is not an MCP server.
    NoRevision(NoRevision),
    /// The answer violates the protocol.
    Invalid(String),
    /// The server sent a message larger than this many bytes.
    TooLarge(usize),
    /// The server did not answer in time.
    Timeout(Duration),
    /// The stream or the connection was lost before the answer arrived. The server may have
    /// executed the request.
    Lost(String),
    /// The session with the server has ended.
    SessionLost,
    /// The server process ended.
    Exited(Exit),
    /// A server process could not be started.
    Spawn {
        /// The command.
        command: String,
        /// Why it could not be started.
        reason: String,
    },
    /// The server asked a question that this client cannot answer.
    Unanswered(String),
    /// The server asked for input more often than the client allows.
    TooManyRounds(u32),
    /// The list did not end within the limits for pages and bytes, or the server repeated a cursor.
    EndlessList(String),
    /// There is no access token for the server.
    #[cfg(feature = "oauth-client")]
    OAuth(OAuthError),
    /// This client has closed the connection.
    Closed,
}

/// A JSON-RPC error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcError {
    /// The code.
    pub code: i64,
    /// The message of the server.
    pub message: String,
    /// Further data.
    pub data: Option<RawJson>,
    /// The whole error in the server's own text.
    pub raw: RawJson,
}

/// The end of a server process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The exit status as text, such as `exit status: 1`.
    pub status: String,
    /// The last lines of its standard error.
    pub stderr: Vec<String>,
    /// Whether the request was written to the process, which may have executed it.
    pub written: bool,
}

impl Error {
    /// The error of a request that is made after the connection has ended for this reason. Such a request is not written.
    pub(super) fn for_later_request(&self) -> Self {
        match self {
            Self::Lost(_) | Self::TooLarge(_) | Self::Invalid(_) => Self::Unreachable(self.to_string()),
            other => other.clone(),
        }
    }

    /// Whether the request certainly did not reach the server, so that sending it again cannot
    /// execute it twice.
    pub fn is_unsent(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Spawn { .. } | Self::PlainHttp | Self::Redirect(_) => true,
            #[cfg(feature = "oauth-client")]
            Self::OAuth(_) => true,
            Self::Exited(exit) => !exit.written,
            _ => false,
        }
    }

    /// The code, if this is a JSON-RPC error.
    pub fn code(&self) -> Option<i64> {
        match self {
            Self::Rpc(error) => Some(error.code),
            _ => None,
        }
    }
}

impl RpcError {
    pub(super) fn of(raw: RawJson) -> Self {
        let failure = Failure::of(raw.value());
        let (code, message) = (failure.code, failure.message.chars().collect());
        let data = failure.data.map(|data| RawJson::part(raw.as_bytes(), data));
        Self { code, message, data, raw }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rpc(error) => write!(f, "the server answered with error {}: {}", error.code, shown(&error.message)),
            Self::Unreachable(why) => write!(f, "the server cannot be reached: {why}"),
            Self::Unauthorized(challenge) => {
                f.write_str("the server wants a valid credential (HTTP 401)")?;
                challenge.iter().try_for_each(|challenge| write!(f, "; its challenge: {}", shown(challenge)))
            }
            Self::Forbidden(challenge) => {
                f.write_str("the credential does not allow this (HTTP 403)")?;
                challenge.iter().try_for_each(|challenge| write!(f, "; the server's challenge: {}", shown(challenge)))
            }
            Self::Status { status, body, .. } => {
                write!(f, "the server answered with HTTP status {status}")?;
                if !body.trim().is_empty() {
                    write!(f, ": {}", shown(body.trim()))?;
                }
                // Typical of a web server that is not an MCP server.
                if matches!(status, 200..=299 | 404 | 405) {
                    f.write_str(" (is this the URL of an MCP endpoint?)")?;
                }
                Ok(())
            }
            Self::Redirect(why) => write!(f, "the redirect is not followed: {why}"),
            Self::PlainHttp => f.write_str(
                "the credential would travel unencrypted to another machine: use https, or allow plain HTTP explicitly",
            ),
            Self::NoRevision(reason) => f.write_str(&no_revision(*reason)),
            Self::Invalid(what) => write!(f, "the server's answer breaks the protocol: {}", shown(what)),
            Self::TooLarge(limit) => write!(f, "the server sent a message of more than {limit} bytes"),
            Self::Timeout(time) => write!(f, "the server did not answer within {} s", time.as_secs_f32()),
            Self::Lost(why) => write!(f, "the connection broke before the answer came: {why}"),
            Self::SessionLost => f.write_str("the session with the server has ended"),
            Self::Exited(exit) => exit.fmt(f),
            Self::Spawn { command, reason } => write!(f, "cannot start {command}: {reason}"),
            Self::Unanswered(what) => write!(f, "the server asks for input that this client cannot give: {what}"),
            Self::TooManyRounds(rounds) => write!(f, "the server asked for input more than {rounds} times"),
            Self::EndlessList(why) => write!(f, "the list does not end: {why}"),
            #[cfg(feature = "oauth-client")]
            Self::OAuth(error) => error.fmt(f),
            Self::Closed => f.write_str("the connection was closed"),
        }
    }
}

impl core::error::Error for Error {}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server process ended ({})", self.status)?;
        if !self.stderr.is_empty() {
            f.write_str("; the last lines of its standard error:")?;
        }
        self.stderr.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

fn no_revision(reason: NoRevision) -> String {
    match reason {
        NoRevision::NotMutual => "the server speaks no revision of MCP that this client speaks".to_owned(),
        NoRevision::Refused(code) => format!("the server refused the handshake with error {code}"),
        NoRevision::NotModern => "the server does not speak revision 2026-07-28".to_owned(),
        NoRevision::Status(status) => {
            format!("the server refused the handshake with HTTP status {status}: is this the URL of an MCP endpoint?")
        }
        NoRevision::NotMcp => "the server's answer is not one of MCP: is this an MCP server?".to_owned(),
        NoRevision::Silent => "the server did not answer the handshake in time".to_owned(),
        NoRevision::Ended => "the server ended during the handshake".to_owned(),
        NoRevision::Unreachable => "the server cannot be reached".to_owned(),
    }
}

/// Returns foreign text without control characters, truncated to fit an error message.
pub(super) fn shown(text: &str) -> String {
    let mut chars = text.chars();
    let mut shown: String = chars.by_ref().take(SHOWN).map(|char| if char.is_control() { ' ' } else { char }).collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}
