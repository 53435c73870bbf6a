//! Access checks on a request's head, before a byte of the body is read: Host, Origin, method,
//! media type, and the presence of credentials.

use super::{Field, HeadFacts, Method};
use crate::auth::{Access, Authenticated, Bearer, Denied, Gate, Kind, Shown};
use crate::rpc::Error;

/// The access policy of an endpoint: allow-lists for `Host` and `Origin`, and the required
/// credentials. `S` is a string, borrowed or owned.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Policy<'a, S = &'static str> {
    /// The allow-list for `Host`: names of this server, without port; empty to accept any name.
    ///
    /// MCP basic/transports, security: web pages of foreign sites can reach a server on loopback or
    /// in a local network if their name resolves to its address (DNS rebinding). Such requests have
    /// a foreign `Host`.
    pub hosts: &'a [S],
    /// The allow-list for `Origin`: origins of web pages that may call, written as browsers do
    /// (`https://app.example:8443`). Pages of the server itself may call, too: pages with a host
    /// from `hosts`, at the scheme and port at which the client called the server.
    pub origins: &'a [S],
    /// The credentials that callers need.
    pub access: Gate,
}

/// The `Host` names of a server that is reachable only from its own machine.
pub const LOOPBACK: &[&str] = &["localhost", "127.0.0.1", "[::1]"];

/// The outcome of the access checks.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Door<'h> {
    /// The request is admitted.
    In(Authenticated<'h>),
    /// The caller has presented credentials; the adapter, which has the keys, must verify them.
    NeedKey(Unverified<'h>),
    /// The request is refused.
    Out(Refusal),
}

/// The credentials of a request, in the form that the policy requires: well-formed, but not
/// verified yet.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Unverified<'h> {
    /// A token.
    Token(Bearer<'h>),
    /// A key.
    Key(Shown<'h>),
    /// A key and a token, both of which must be valid.
    Both(Shown<'h>, Bearer<'h>),
    /// Whatever a platform or the application recognizes the caller by, which the adapter reads.
    Platform,
}

/// The reasons for which a request is refused by its head alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Refusal {
    /// A method other than POST.
    Method,
    /// `Host` is missing, or names another server.
    Host,
    /// The request does not name its server exactly once: `Host` is missing where the version of
    /// HTTP requires it, is repeated, or differs from the authority of the request's target.
    Authority,
    /// `Origin` is repeated, or names a web origin that is not allowed.
    Origin,
    /// `Content-Type` is not `application/json`.
    MediaType,
    /// `Accept` excludes every form that the response could have.
    NotAcceptable,
    /// `Transfer-Encoding` is repeated or is not `chunked`: another recipient could find another
    /// end of the message.
    Framing,
    /// There are more header fields than the transport accepts.
    Fields,
    /// The caller has exceeded its rate limit.
    Rate,
    /// `Authorization` or `X-Functions-Key` is malformed or repeated.
    Credentials,
    /// The request has no token.
    NoToken,
    /// The token is not valid. Only the log has the reason.
    BadToken,
    /// The request has no key, or an unknown one.
    NoKey,
    /// The token lacks a scope that the operation requires.
    Scope,
    /// The caller is authenticated but not allowed to call.
    Forbidden,
    /// The issuer's keys, which are needed to verify the token, are not available now.
    Undecided,
}

impl From<Denied<'_>> for Refusal {
    /// Maps a denial to the reason that the peer sees. All invalid tokens look the same to the
    /// peer.
    fn from(denied: Denied<'_>) -> Self {
        match (denied.kind(), denied) {
            (_, Denied::NoKey | Denied::UnknownKey) => Self::NoKey,
            (_, Denied::Scope) => Self::Scope,
            (Kind::Malformed, _) => Self::Credentials,
            (Kind::Absent, _) => Self::NoToken,
            (Kind::Invalid, _) => Self::BadToken,
            (Kind::Forbidden, _) => Self::Forbidden,
            (Kind::Undecided, _) => Self::Undecided,
        }
    }
}

impl Refusal {
    /// Returns the status of the response.
    pub const fn status(self) -> u16 {
        match self {
            // MCP 2026-07-28 streamable-http: GET and DELETE SHOULD be answered with 405.
            Self::Method => 405,
            // MCP 2025-11-25 and later, basic/transports: an invalid Origin MUST be answered with
            // 403.
            Self::Host | Self::Origin => 403,
            // RFC 9112 §3.2: "A server MUST respond with a 400 (Bad Request) status code".
            Self::Authority => 400,
            Self::MediaType => 415,
            // RFC 9110 §15.5.7.
            Self::NotAcceptable => 406,
            // RFC 9112 §6.1: if the last transfer coding of a request is not `chunked`, the server
            // MUST answer with 400.
            Self::Framing => 400,
            // RFC 6585 §5 and §4.
            Self::Fields => 431,
            Self::Rate => 429,
            // RFC 6750 §3.1: 400 invalid_request, 401 invalid_token, 403 insufficient_scope.
            Self::Credentials => 400,
            Self::NoToken | Self::BadToken | Self::NoKey => 401,
            Self::Scope | Self::Forbidden => 403,
            Self::Undecided => 503,
        }
    }

    /// Returns a stable name for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Method => "verb",
            Self::Host => "host",
            Self::Authority => "authority",
            Self::Origin => "origin",
            Self::MediaType => "media_type",
            Self::NotAcceptable => "not_acceptable",
            Self::Framing => "framing",
            Self::Fields => "fields",
            Self::Rate => "rate",
            Self::Credentials => "credentials",
            Self::NoToken => "no_token",
            Self::BadToken => "token",
            Self::NoKey => "key",
            Self::Scope => "scope",
            Self::Forbidden => "forbidden",
            Self::Undecided => "undecided",
        }
    }

    /// Returns the error for the body of the response.
    pub const fn error(self) -> Error {
        Error::Refused(self.reason())
    }

    /// Returns a sentence for the peer.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Method => "Only POST is served here",
            Self::Host => "Host is not a name of this server",
            Self::Authority => "Host must be there once, and be the authority of the request's target",
            Self::Origin => "Origin may not call this server: its scheme, host and port have to be allowed",
            Self::MediaType => "Content-Type must be application/json",
            Self::NotAcceptable => "Accept must allow application/json and text/event-stream",
            Self::Framing => "Transfer-Encoding must be chunked, and be there once",
            Self::Fields => "The header fields are too many, or too large",
            Self::Rate => "There are too many requests: wait as long as Retry-After says",
            Self::Credentials => "Authorization must be Bearer and one token, once",
            Self::NoToken => "An access token is needed",
            Self::BadToken => "The access token is not valid",
            Self::NoKey => "A valid key is needed in X-Functions-Key",
            Self::Scope => "The access token lacks a scope",
            Self::Forbidden => "The caller may not do this",
            Self::Undecided => "The access token cannot be checked now: try again",
        }
    }
}

/// Decides from the head whether a request is admitted.
pub fn gate<'h, S: AsRef<str>>(facts: &HeadFacts<'h>, policy: &Policy<'_, S>) -> Door<'h> {
    if let Some(refusal) = refusal(facts, policy) {
        return Door::Out(refusal);
    }
    gate_credentials(facts, policy.access)
}

/// Decides from the credentials alone and ignores other faults of the head. For servers that answer
/// callers without valid credentials as if the endpoint did not exist.
pub fn gate_credentials<'h>(facts: &HeadFacts<'h>, gate: Gate) -> Door<'h> {
    match gate {
        Gate::Open(access) => Door::In(Authenticated::anonymous(&access)),
        Gate::Platform => Door::NeedKey(Unverified::Platform),
        gate => match credentials(facts, gate) {
            Ok(shown) => Door::NeedKey(shown),
            Err(denied) => guest(gate, denied.into()).map_or(Door::Out(denied.into()), Door::In),
        },
    }
}

/// With `Gate::Optional`, turns a caller with a missing or invalid token into a guest. Returns
/// `None` if the refusal remains.
pub fn guest(gate: Gate, refusal: Refusal) -> Option<Authenticated<'static>> {
    // The rule of `AllowAnonymous` in Azure App Service authentication
    // (docs/authorization.md#the-platforms-own-file): a missing or invalid token passes; a valid token of a
    // caller that may not call does not.
    let passes = gate == Gate::Optional && matches!(refusal, Refusal::NoToken | Refusal::BadToken);
    passes.then(|| Authenticated::anonymous(&Access::Guest))
}

/// Reads the credentials that `gate` requires.
fn credentials<'h>(facts: &HeadFacts<'h>, gate: Gate) -> Result<Unverified<'h>, Denied<'static>> {
    let token = match facts.authorization {
        Field::Absent => None,
        Field::Once(value) => Bearer::parse(value)?,
        // RFC 6750 §3.1: invalid_request.
        Field::Repeated => return Err(Denied::Malformed),
    };
    let key = match facts.key {
        Field::Absent | Field::Once(b"") => None,
        Field::Once(value) => Some(Shown::new(value)),
        Field::Repeated => return Err(Denied::Malformed),
    };
    match (gate, token, key) {
        (Gate::Both, Some(token), Some(key)) => Ok(Unverified::Both(key, token)),
        (Gate::Token | Gate::Either | Gate::Optional, Some(token), _) => Ok(Unverified::Token(token)),
        (Gate::Key | Gate::Either, _, Some(key)) => Ok(Unverified::Key(key)),
        (Gate::Key, _, None) | (Gate::Both, Some(_), None) => Err(Denied::NoKey),
        _ => Err(Denied::NoToken),
    }
}

/// Like [`gate`], for the requests of a legacy session without a body: GET opens a stream, DELETE
/// ends the session.
pub fn gate_session<'h, S: AsRef<str>>(facts: &HeadFacts<'h>, policy: &Policy<'_, S>) -> Door<'h> {
    match gate_route(facts, policy) {
        Door::Out(refusal @ (Refusal::Authority | Refusal::Host | Refusal::Origin)) => Door::Out(refusal),
        door if matches!(facts.verb, Method::Get | Method::Delete) => door,
        _ => Door::Out(Refusal::Method),
    }
}

/// Like [`gate`], for a route that takes any method and any content.
pub fn gate_route<'h, S: AsRef<str>>(facts: &HeadFacts<'h>, policy: &Policy<'_, S>) -> Door<'h> {
    match refusal(facts, policy) {
        Some(refusal @ (Refusal::Authority | Refusal::Host | Refusal::Origin)) => Door::Out(refusal),
        _ => gate_credentials(facts, policy.access),
    }
}

fn refusal<S: AsRef<str>>(facts: &HeadFacts<'_>, policy: &Policy<'_, S>) -> Option<Refusal> {
    let named = |host: &[u8]| policy.hosts.iter().any(|name| name.as_ref().as_bytes().eq_ignore_ascii_case(host));
    let host_fits = match facts.host {
        Field::Once(authority) => policy.hosts.is_empty() || named(without_port(authority)),
        Field::Absent => policy.hosts.is_empty(),
        Field::Repeated => false,
    };
    let origin_fits = match facts.origin {
        // Only browsers send it (MCP 2026-07-28 streamable-http, security: validate it if present).
        Field::Absent => true,
        Field::Once(origin) => {
            let parsed = Origin::parse(origin);
            // Pages of native applications have their own schemes, which have no host and port to
            // compare.
            let is_same = |allowed: &[u8]| match (&parsed, Origin::parse(allowed)) {
                (Some(origin), Some(allowed)) => origin.is(&allowed),
                _ => allowed.eq_ignore_ascii_case(origin),
            };
            policy.origins.iter().any(|allowed| is_same(allowed.as_ref().as_bytes()))
                || parsed.as_ref().is_some_and(|origin| named(origin.host) && is_own(origin, facts))
        }
        Field::Repeated => false,
    };
    let checks = [
        (facts.host != Field::Repeated, Refusal::Authority),
        (host_fits, Refusal::Host),
        (origin_fits, Refusal::Origin),
        (facts.verb == Method::Post, Refusal::Method),
        (is_json(facts.content_type), Refusal::MediaType),
        (facts.accept.json() || facts.accept.events(), Refusal::NotAcceptable),
    ];
    checks.into_iter().find(|(fits, _)| !fits).map(|(_, refusal)| refusal)
}

/// Returns the host of an authority. An IPv6 address keeps its brackets (RFC 3986 §3.2.2).
fn without_port(authority: &[u8]) -> &[u8] {
    split_port(authority).0
}

/// Returns the host and the port of an authority; the port is empty if absent. If the text after
/// the last colon is not a number, it belongs to the host, so that another recipient cannot read
/// another host.
fn split_port(authority: &[u8]) -> (&[u8], &[u8]) {
    match authority.iter().rposition(|&byte| byte == b':').and_then(|colon| authority.split_at_checked(colon)) {
        Some((host, [_, port @ ..])) if port.iter().all(u8::is_ascii_digit) => (host, port),
        _ => (authority, b""),
    }
}

/// The origin of a web page with scheme `http` or `https` (RFC 6454 §7). Other origins, such as
/// `null`, do not have these parts.
struct Origin<'o> {
    is_https: bool,
    host: &'o [u8],
    /// The port as written; empty for the default port of the scheme.
    port: &'o [u8],
}

impl<'o> Origin<'o> {
    #[inline(never)]
    fn parse(origin: &'o [u8]) -> Option<Self> {
        let after = |scheme: &[u8]| match origin.split_at_checked(scheme.len()) {
            Some((front, rest)) if front.eq_ignore_ascii_case(scheme) => Some(rest),
            _ => None,
        };
        let (is_https, authority) = match after(b"https://") {
            Some(authority) => (true, authority),
            None => (false, after(b"http://")?),
        };
        let (host, port) = split_port(authority);
        Some(Self { is_https, host, port })
    }

    /// RFC 6454 §5: two origins are equal if scheme, host and port are; the default port may be
    /// omitted (RFC 9110 §4.2). Browsers never write leading zeros, so a port with zeros in front
    /// differs.
    #[inline(never)]
    fn is(&self, other: &Origin<'_>) -> bool {
        let default: &[u8] = if self.is_https { b"443" } else { b"80" };
        let [port, other_port] = [self.port, other.port].map(|port| if port.is_empty() { default } else { port });
        self.is_https == other.is_https && port == other_port && self.host.eq_ignore_ascii_case(other.host)
    }
}

/// Whether `origin` is a page of the server itself, at the address by which the client called it.
fn is_own(origin: &Origin<'_>, facts: &HeadFacts<'_>) -> bool {
    let Field::Once(authority) = facts.host else {
        return false;
    };
    let (host, port) = split_port(authority);
    // All pages on loopback are treated as one origin: browser tools that call a local server use
    // ports of their own, and the MCP conformance suite expects that any of them may call.
    let is_loopback = |host: &[u8]| LOOPBACK.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(host));
    if [origin.host, host].into_iter().all(is_loopback) {
        return true;
    }
    // A page that was loaded without TLS may have been modified in transit. A server without TLS of
    // its own cannot know the scheme that the client used, because a proxy in front may use TLS.
    (origin.is_https || !facts.is_tls) && origin.is(&Origin { is_https: origin.is_https, host, port })
}

/// Whether the content type is JSON (RFC 9110 §8.3.1: type and subtype are case-insensitive,
/// parameters may follow).
fn is_json(content_type: Field<'_>) -> bool {
    let Field::Once(value) = content_type else {
        return false;
    };
    let media_type = value.split(|&byte| byte == b';').next().unwrap_or_default();
    media_type.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: Policy<'_> =
        Policy { hosts: LOOPBACK, origins: &["https://app.example"], access: Gate::Open(Access::Anonymous) };

    fn outcome(changes: &[(&'static str, &'static str)]) -> Option<Refusal> {
        let mut facts = HeadFacts::new(b"POST");
        for (name, value) in [("host", "localhost:8080"), ("content-type", "application/json")] {
            if !changes.iter().any(|(changed, _)| *changed == name) {
                facts.note(name.as_bytes(), value.as_bytes());
            }
        }
        for (name, value) in changes {
            facts.note(name.as_bytes(), value.as_bytes());
        }
        judged(&facts, &HOME)
    }

    fn judged(facts: &HeadFacts<'_>, policy: &Policy<'_>) -> Option<Refusal> {
        match gate(facts, policy) {
            Door::In(_) | Door::NeedKey(_) => None,
            Door::Out(refusal) => Some(refusal),
        }
    }

    #[test]
    fn page_of_the_server_itself_has_the_scheme_and_port_at_which_the_server_was_called() {
        let policy = Policy {
            hosts: &["api.example", "localhost"],
            origins: &["http://plain.example:8080", "vscode-webview://a"],
            access: Gate::Open(Access::Anonymous),
        };
        for (host, is_tls, origin, allowed) in [
            ("api.example", true, "https://api.example", true),
            ("api.example", true, "https://API.example:443", true),
            ("api.example:443", true, "https://api.example", true),
            // The page was loaded without TLS, so it may have been modified in transit.
            ("api.example", true, "http://api.example", false),
            ("api.example:443", true, "http://api.example:443", false),
            // A proxy in front may use TLS.
            ("api.example", false, "https://api.example", true),
            ("api.example", false, "http://api.example", true),
            ("api.example:80", false, "http://api.example", true),
            ("api.example:80", false, "https://api.example", false),
            ("api.example:8443", true, "https://api.example:8443", true),
            ("api.example:8443", true, "https://api.example", false),
            ("api.example", true, "https://api.example:8443", false),
            ("api.example", true, "https://localhost", false),
            ("localhost:8080", false, "http://api.example:8080", false),
            ("localhost:8080", false, "http://127.0.0.1:8080", false), // not one of the hosts
            ("localhost:8080", false, "http://localhost:3000", true),
            ("api.example", true, "http://plain.example:8080", true),
            ("api.example", true, "https://plain.example:8080", false),
            ("api.example", true, "vscode-webview://A", true),
            ("api.example", true, "vscode-webview://b", false),
        ] {
            let mut facts = HeadFacts::new(b"POST");
            for (name, value) in [("host", host), ("content-type", "application/json"), ("origin", origin)] {
                facts.note(name.as_bytes(), value.as_bytes());
            }
            facts.is_tls = is_tls;
            let expected = (!allowed).then_some(Refusal::Origin);
            assert_eq!(judged(&facts, &policy), expected, "{origin} calls {host}, TLS: {is_tls}");
        }
    }

    #[test]
    fn authority_of_the_target_counts_and_must_not_differ_from_host() {
        for (host, target, expected) in [
            (None, "localhost:1", None),
            (None, "evil.example", Some(Refusal::Host)),
            (Some("localhost:1"), "LOCALHOST:1", None),
            (Some("localhost"), "evil.example", Some(Refusal::Authority)),
            (Some("evil.example"), "localhost", Some(Refusal::Authority)),
            (Some("localhost"), "localhost:80", Some(Refusal::Authority)),
        ] {
            let mut facts = HeadFacts::new(b"POST");
            facts.note(b"content-type", b"application/json");
            if let Some(host) = host {
                facts.note(b"host", host.as_bytes());
            }
            facts.target(target.as_bytes());
            let refusal = match gate(&facts, &HOME) {
                Door::Out(refusal) => Some(refusal),
                _ => None,
            };
            assert_eq!(refusal, expected, "{host:?} {target}");
        }
    }

    #[test]
    fn head_that_differs_in_one_field_meets_the_rule_of_that_field() {
        for (changes, expected) in [
            (&[][..], None),
            (&[("host", "127.0.0.1")], None),
            (&[("HOST", "LOCALHOST:1")], Some(Refusal::Authority)), // repeated
            (&[("host", "LocalHost:1")], None),
            (&[("host", "[::1]:8080")], None),
            (&[("host", "evil.example")], Some(Refusal::Host)),
            (&[("host", "[::1]")], None),
            (&[("host", "[::1]evil.example")], Some(Refusal::Host)),
            (&[("host", "localhost:80@evil.example")], Some(Refusal::Host)),
            (&[("origin", "http://[::1].evil.example")], Some(Refusal::Origin)),
            (&[("host", "localhost.evil.example")], Some(Refusal::Host)),
            (&[("host", "")], Some(Refusal::Host)),
            (&[("origin", "http://localhost:3000")], None),
            (&[("origin", "https://app.example")], None),
            (&[("origin", "HTTPS://APP.example:443")], None),
            (&[("origin", "https://app.example:8443")], Some(Refusal::Origin)),
            (&[("origin", "http://app.example")], Some(Refusal::Origin)),
            (&[("origin", "http://app.example:443")], Some(Refusal::Origin)),
            (&[("origin", "https://app.example:65979")], Some(Refusal::Origin)), // 443 + 65536
            (&[("origin", "https://app.example/")], Some(Refusal::Origin)),
            (&[("origin", "https://app.example:443:443")], Some(Refusal::Origin)),
            (&[("origin", "https://localhost")], None),
            (&[("origin", "http://evil.example")], Some(Refusal::Origin)),
            (&[("origin", "null")], Some(Refusal::Origin)),
            (&[("origin", "http://localhost"), ("origin", "http://localhost")], Some(Refusal::Origin)),
            (&[("content-type", "Application/JSON ; charset=utf-8")], None),
            (&[("content-type", "text/plain")], Some(Refusal::MediaType)),
            (&[("content-type", "application/jsonx")], Some(Refusal::MediaType)),
            (&[("accept", "application/json")], None),
            (&[("Accept", "text/event-stream")], None),
            (&[("accept", "text/html")], Some(Refusal::NotAcceptable)),
        ] {
            assert_eq!(outcome(changes), expected, "{changes:?}");
        }
    }
}
