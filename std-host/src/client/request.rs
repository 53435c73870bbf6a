//! A request: its method, its parameters as JSON text, and its options.

use super::credential::Credential;
use super::raw::RawJson;
use crate::sink::Growing;
use attache_core::client::{self, Meta, Param, Profile, mirrored_name};
use attache_core::era::Version;
use attache_core::tool::Level;
use bytes::Bytes;
use core::time::Duration;
use std::borrow::Cow;

/// A request to a server.
///
/// ```
/// use attache_host::client::{RawJson, Request};
///
/// let arguments = RawJson::parse(r#"{"text":"hello"}"#).expect("JSON");
/// let request = Request::call("echo", arguments).progress();
/// # let _ = request;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Request {
    pub(super) method: Cow<'static, str>,
    pub(super) params: Vec<(Cow<'static, str>, RawJson)>,
    pub(super) meta: Vec<(String, RawJson)>,
    pub(super) progress: bool,
    pub(super) level: Option<Level>,
    pub(super) capabilities: Option<RawJson>,
    pub(super) time: Option<Duration>,
    pub(super) total: Option<Duration>,
    pub(super) asks: Option<Asks>,
    pub(super) keeps_questions: bool,
    pub(super) credential: Option<Credential>,
}

/// The user that accepts the questions of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// A user with this call alone.
    Alone,
    /// A user with other calls in the same session.
    Session([u8; 16]),
}

impl Request {
    /// A request without parameters.
    pub fn new(method: impl Into<Cow<'static, str>>) -> Self {
        Self {
            method: method.into(),
            params: Vec::new(),
            meta: Vec::new(),
            progress: false,
            level: None,
            capabilities: None,
            time: None,
            total: None,
            asks: None,
            keeps_questions: false,
            credential: None,
        }
    }

    /// A `tools/call` request for this tool. The arguments are sent in their original text.
    pub fn call(tool: &str, arguments: RawJson) -> Self {
        Self::new("tools/call").text("name", tool).param("arguments", arguments)
    }

    /// Adds a parameter.
    pub fn param(mut self, name: impl Into<Cow<'static, str>>, value: RawJson) -> Self {
        self.params.push((name.into(), value));
        self
    }

    /// Adds a text parameter.
    pub fn text(self, name: impl Into<Cow<'static, str>>, value: &str) -> Self {
        self.param(name, RawJson::text(value))
    }

    /// Adds all members of an object as parameters, except `_meta`.
    pub fn params(mut self, object: &RawJson) -> Self {
        let members = object.members().filter(|(name, _)| name != "_meta");
        self.params.extend(members.map(|(name, value)| (Cow::Owned(name), value)));
        self
    }

    /// Adds a member to `_meta`, such as `traceparent`. The client writes the protocol's own
    /// members.
    pub fn meta(mut self, name: impl Into<String>, value: RawJson) -> Self {
        self.meta.push((name.into(), value));
        self
    }

    /// Asks the server for progress notifications.
    pub const fn progress(mut self) -> Self {
        self.progress = true;
        self
    }

    /// Requests log messages of at least this level from a server of revision 2026-07-28. For older
    /// servers, see [`Client::set_level`](super::Client::set_level).
    pub const fn level(mut self, level: Level) -> Self {
        self.level = Some(level);
        self
    }

    /// Declares these capabilities for this request, instead of those of the client, to a server of revision 2026-07-28. A session of
    /// an older revision has declared its capabilities in its handshake.
    pub fn capabilities(mut self, capabilities: RawJson) -> Self {
        self.capabilities = Some(capabilities);
        self
    }

    /// Sets the timeout of the request: the time that may pass without an answer or progress.
    pub const fn timeout(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }

    /// The timeout of the request as a whole, even with progress.
    pub const fn total_timeout(mut self, time: Duration) -> Self {
        self.total = Some(time);
        self
    }

    /// Delivers the server's questions to the caller, as events of the [`Call`](super::Call).
    /// Without this, the function of [`ClientBuilder::answers`](super::ClientBuilder::answers) gets
    /// them.
    pub fn questions(mut self) -> Self {
        self.asks = Some(Asks::Alone);
        self
    }

    /// Like [`questions`](Self::questions), for a call of this session of a user. A question of an
    /// older server may not say which call asks. If all calls that it can be for belong to one
    /// session, the newest of them gets it: the question reaches the right user in any case.
    pub fn questions_of(mut self, session: [u8; 16]) -> Self {
        self.asks = Some(Asks::Session(session));
        self
    }

    /// Returns an `input_required` result of revision 2026-07-28 unchanged, without asking its
    /// questions. The caller then repeats the request with `inputResponses` and `requestState`.
    pub const fn keep_questions(mut self) -> Self {
        self.keeps_questions = true;
        self
    }

    /// Sends this credential over HTTP, instead of that of the client: for a program that makes requests for several users. A session
    /// of an older revision belongs to one user, so its requests should have the credential of the client.
    pub fn credential(mut self, credential: Credential) -> Self {
        self.credential = Some(credential);
        self
    }

    pub(super) fn param_named(&self, name: &str) -> Option<&RawJson> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The value of `Mcp-Name`.
    pub(super) fn mirrored_name(&self) -> Option<String> {
        self.param_named(mirrored_name(&self.method)?)?.string()
    }

    /// The body of the request, with `further` parameters after its own.
    pub(super) fn body(&self, id: u64, version: Version, profile: Profile<'_>, further: &[(&str, RawJson)]) -> Bytes {
        let capabilities = self.capabilities.as_ref().map_or(profile.capabilities, |own| own.as_bytes());
        let profile = Profile { capabilities, ..profile };
        let own = self.params.iter().map(|(name, value)| Param::json(name, value.as_bytes()));
        let further = further.iter().map(|(name, value)| Param::json(name, value.as_bytes()));
        let members: Vec<Param<'_>> = own.chain(further).collect();
        let members_of_meta: Vec<Param<'_>> =
            self.meta.iter().map(|(name, value)| Param::json(name, value.as_bytes())).collect();
        let mut meta = Meta::new(version, profile).extra(&members_of_meta);
        if self.progress {
            meta = meta.progress(id);
        }
        if let Some(level) = self.level {
            meta = meta.level(level);
        }
        let length = |name: &str, value: &RawJson| name.len() + value.as_bytes().len() + PUNCTUATION;
        let params: usize = self.params.iter().map(|(name, value)| length(name, value)).sum();
        let extra: usize = self.meta.iter().map(|(name, value)| length(name, value)).sum();
        let mut out = Growing::unlimited().expect(ENVELOPE + capabilities.len() + params + extra);
        // The buffer grows, so writing cannot fail.
        let _ = client::request(&mut out, id, &self.method, &members, &meta);
        out.bytes.into()
    }
}

/// About the bytes of a request without parameters.
const ENVELOPE: usize = 384;

/// The quotes, colon and comma of a member.
const PUNCTUATION: usize = 4;
