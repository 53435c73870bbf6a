//! Why a request of the client has no result.

use super::limits::SHOWN;
use super::raw::RawJson;
use attache_core::client::{Failure, NoRevision};
use core::fmt;
use core::time::Duration;

/// Why a request has no result, or a server could not be reached.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The server answered with an error of JSON-RPC.
    Rpc(RpcError),
    /// No connection could be made, or it broke before the request was written.
    Unreachable(String),
    /// The server wants another credential: HTTP status 401, with the challenge of `WWW-Authenticate`.
    Unauthorized(Option<String>),
    /// The credential does not allow this: HTTP status 403, with the challenge of `WWW-Authenticate`.
    Forbidden(Option<String>),
    /// The server answered with an HTTP status and without a message.
    Status {
        /// The status.
        status: u16,
        /// The time of `Retry-After`, if it was given in seconds.
        retry_after: Option<Duration>,
        /// The front of the body.
        body: String,
    },
    /// A redirect that is not followed: to another origin, without a place, or one too many.
    Redirect(String),
    /// A credential would travel unencrypted to another machine.
    PlainHttp,
    /// The server speaks no revision that the client speaks, or is not an MCP server.
    NoRevision(NoRevision),
    /// The answer breaks the protocol.
    Invalid(String),
    /// The server sent a message larger than this many bytes.
    TooLarge(usize),
    /// The server did not answer in time.
    Timeout(Duration),
    /// The stream or the connection broke before the answer came. The server may have carried the request out.
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
    /// A list did not end within the pages and bytes that the client allows, or repeated a cursor.
    EndlessList(String),
    /// The connection was closed by this client.
    Closed,
}

/// An error of JSON-RPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcError {
    /// The code.
    pub code: i64,
    /// The message of the server.
    pub message: String,
    /// Further data.
    pub data: Option<RawJson>,
    /// The whole error, as the server wrote it.
    pub raw: RawJson,
}

/// How a server process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The exit status in words, such as `exit status: 1`.
    pub status: String,
    /// The last lines of its standard error.
    pub stderr: Vec<String>,
    /// Whether the request had been written to the process, so that it may have been carried out.
    pub written: bool,
}

impl Error {
    /// Whether the request certainly never reached the server, so that sending it again cannot do anything twice.
    pub fn is_unsent(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Spawn { .. } | Self::PlainHttp | Self::Redirect(_) => true,
            Self::Exited(exit) => !exit.written,
            _ => false,
        }
    }

    /// The code of the error, if it is one of JSON-RPC.
    pub fn code(&self) -> Option<i64> {
        match self {
            Self::Rpc(error) => Some(error.code),
            _ => None,
        }
    }
}

impl RpcError {
    pub(super) fn of(raw: RawJson) -> Self {
        let failure = raw.value().map(Failure::of);
        let read = failure.map(|failure| {
            let message = failure.message.chars().collect();
            (failure.code, message, failure.data.and_then(|data| RawJson::parse(data.raw().to_vec()).ok()))
        });
        let (code, message, data) = read.unwrap_or_default();
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
                // What a web server answers that is not an MCP server.
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

/// Foreign text, cut to a length that fits an error message, without control characters.
pub(super) fn shown(text: &str) -> String {
    let mut chars = text.chars();
    let mut shown: String = chars.by_ref().take(SHOWN).map(|char| if char.is_control() { ' ' } else { char }).collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}
