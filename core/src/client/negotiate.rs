//! Negotiates the revision with a server: first the modern probe, then the handshake of the older
//! revisions.
//!
//! The state machine does no I/O. The caller makes each [`Step`] and reports its result as
//! [`Heard`].

use super::{Failure, Message, elements, read};
use crate::era::Version;
use crate::json::{Item, Value};

/// The transport of the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Transport {
    /// A pipe, a serial line, or another pair of streams.
    Line,
    /// HTTP.
    Http,
}

/// The next step of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Step {
    /// Send `server/discover` of this revision, with a new id.
    Discover(Version),
    /// Send `initialize` with this version and a new id, without a session id. If the server
    /// process has ended, start it again first.
    Initialize(Version),
    /// Send a GET and wait for an event `endpoint`: the transport of revision 2024-11-05.
    OpenOldTransport,
    /// Get a credential, then repeat the last step. The server answered with this HTTP status.
    Authorize(u16),
    /// Wait a while, then repeat the last step. The server answered with this HTTP status.
    Wait(u16),
    /// The server speaks this modern revision; there is no handshake.
    Modern(Version),
    /// The handshake agreed on this revision. Send `notifications/initialized`.
    Legacy(Version),
    /// The negotiation failed, for this reason.
    Fail(NoRevision),
}

/// The reasons why the negotiation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NoRevision {
    /// The server speaks only revisions that this client does not speak.
    NotMutual,
    /// The server refused with this error code.
    Refused(i64),
    /// The server does not speak the modern revision that the caller requires.
    NotModern,
    /// The server answered with this HTTP status.
    Status(u16),
    /// The answer is not from an MCP server.
    NotMcp,
    /// The server did not answer before the deadline.
    Silent,
    /// The server ended its output or its process.
    Ended,
    /// The client could not connect.
    Unreachable,
}

/// The result of a step.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Heard<'a> {
    /// A JSON-RPC answer to the request. On a line the status is 200.
    Message {
        /// The HTTP status.
        status: u16,
        /// The answer.
        body: &'a [u8],
    },
    /// An HTTP response without a JSON-RPC answer.
    Status {
        /// The HTTP status.
        status: u16,
        /// The beginning of the body.
        body: &'a [u8],
    },
    /// The server sent the event `endpoint`.
    Opened,
    /// The deadline passed without an answer.
    Silence,
    /// The server ended its output, or its process ended.
    Ended,
    /// The client could not connect.
    Unreachable,
}

/// The state of a negotiation.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Negotiation {
    transport: Transport,
    stage: Stage,
    pinned: Option<Version>,
    has_credential: bool,
    /// The number of probes sent.
    probes: u8,
    /// One bit for each version that the client has sent in `initialize`.
    offered: u8,
    has_restarted: bool,
    old_transport: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Stage {
    Probe,
    Handshake,
    OldTransport,
}

/// The only modern revision.
const MODERN: Version = Version::V2026_07_28;

/// The revisions with a handshake, newest first.
const LEGACY: [Version; 4] = [Version::V2025_11_25, Version::V2025_06_18, Version::V2025_03_26, Version::V2024_11_05];

/// A version is probed once, and once more if the server says that it supports the version.
const PROBES: u8 = 2;

const HEADER_MISMATCH: i64 = -32020;
const MISSING_CAPABILITY: i64 = -32021;
const UNSUPPORTED_VERSION: i64 = -32022;
const INVALID_PARAMS: i64 = -32602;
const INVALID_REQUEST: i64 = -32600;

impl Negotiation {
    /// A negotiation that probes for the modern revision first.
    pub const fn new(transport: Transport) -> Self {
        Self {
            transport,
            stage: Stage::Probe,
            pinned: None,
            has_credential: false,
            probes: 0,
            offered: 0,
            has_restarted: false,
            old_transport: false,
        }
    }

    /// Begins with the handshake, for a server that is known to speak only older revisions.
    #[must_use]
    pub const fn legacy(self) -> Self {
        Self { stage: Stage::Handshake, ..self }
    }

    /// Accepts only this version.
    #[must_use]
    pub const fn pinned(self, version: Version) -> Self {
        let stage = if version.is_modern() { Stage::Probe } else { Stage::Handshake };
        Self { pinned: Some(version), stage, ..self }
    }

    /// Requests carry a credential, so a refusal does not mean that the credential is missing.
    #[must_use]
    pub const fn with_credential(self) -> Self {
        Self { has_credential: true, ..self }
    }

    /// Returns the first step.
    pub fn start(&mut self) -> Step {
        match self.stage {
            Stage::Probe => self.probe(),
            _ => self.offer(self.pinned.unwrap_or(Version::NEWEST_LEGACY)),
        }
    }

    /// Returns the step that follows this result.
    pub fn heard(&mut self, heard: Heard<'_>) -> Step {
        match heard {
            Heard::Message { status: status @ (401 | 403), .. }
            | Heard::Status { status: status @ (401 | 403), .. } => self.unauthorized(status),
            Heard::Message { status: status @ (408 | 425 | 429), .. }
            | Heard::Status { status: status @ (408 | 425 | 429), .. } => Step::Wait(status),
            Heard::Unreachable => Step::Fail(NoRevision::Unreachable),
            _ => match self.stage {
                Stage::Probe => self.probed(heard),
                Stage::Handshake => self.shaken(heard),
                Stage::OldTransport => self.opened(heard),
            },
        }
    }

    // A server may refuse the credential of a probe only because it does not know the method. The
    // handshake shows whether that is so.
    fn unauthorized(&mut self, status: u16) -> Step {
        if self.stage == Stage::Probe && self.has_credential && self.pinned.is_none() {
            return self.fall_back();
        }
        Step::Authorize(status)
    }

    fn probe(&mut self) -> Step {
        self.stage = Stage::Probe;
        self.probes = self.probes.saturating_add(1);
        Step::Discover(MODERN)
    }

    /// Probes once more, unless that was done already.
    fn probe_again(&mut self, otherwise: NoRevision) -> Step {
        if self.probes < PROBES { self.probe() } else { Step::Fail(otherwise) }
    }

    fn probed(&mut self, heard: Heard<'_>) -> Step {
        match heard {
            Heard::Message { body, .. } => match answer(body) {
                Some(Ok(result)) => self.discovered(result.of(body)),
                Some(Err(error)) => self.probe_refused(Failure::of(error.of(body))),
                None => self.fall_back(),
            },
            Heard::Ended => self.restart(),
            // MCP 2026-07-28 basic/versioning: a response that is not recognised as modern means an
            // older server. After silence or a 5xx status, the client sends `initialize` once; only
            // its success counts.
            _ => self.fall_back(),
        }
    }

    fn discovered(&mut self, result: Value<'_>) -> Step {
        match result.member("supportedVersions").is_some_and(|list| lists(list, |text| text == MODERN.as_str())) {
            true => Step::Modern(MODERN),
            false => self.fall_back(),
        }
    }

    fn probe_refused(&mut self, failure: Failure<'_>) -> Step {
        match failure.code {
            UNSUPPORTED_VERSION => {
                let list = failure.data.and_then(|data| data.member("supported"));
                let names = |wanted: fn(&str) -> bool| list.is_some_and(|list| lists(list, wanted));
                if names(|text| text == MODERN.as_str()) {
                    self.probe_again(NoRevision::Refused(failure.code))
                } else if names(|text| text > Version::NEWEST_LEGACY.as_str()) {
                    Step::Fail(NoRevision::NotMutual)
                } else {
                    self.fall_back()
                }
            }
            // MCP 2026-07-28 basic/versioning: after a recognised modern error the client stays
            // modern. It corrects the request once, then reports the error.
            HEADER_MISMATCH | MISSING_CAPABILITY => self.probe_again(NoRevision::Refused(failure.code)),
            _ => self.fall_back(),
        }
    }

    fn fall_back(&mut self) -> Step {
        match self.pinned {
            Some(version) if version.is_modern() => Step::Fail(NoRevision::NotModern),
            _ => self.offer(Version::NEWEST_LEGACY),
        }
    }

    /// The server process ended at the probe. Some servers exit on any request other than
    /// `initialize`.
    fn restart(&mut self) -> Step {
        if core::mem::replace(&mut self.has_restarted, true) {
            return Step::Fail(NoRevision::Ended);
        }
        self.fall_back()
    }

    fn offer(&mut self, version: Version) -> Step {
        self.stage = Stage::Handshake;
        self.offered |= bit(version);
        Step::Initialize(version)
    }

    fn shaken(&mut self, heard: Heard<'_>) -> Step {
        match heard {
            Heard::Message { status, body } => match answer(body) {
                Some(Ok(result)) => self.agreed(result.of(body)),
                Some(Err(error)) => self.handshake_refused(status, error.of(body)),
                None => Step::Fail(NoRevision::NotMcp),
            },
            Heard::Status { status, body } => self.other_version(body).unwrap_or_else(|| self.no_handshake(status)),
            Heard::Ended if self.probes > 0 && !self.has_restarted => self.restart(),
            Heard::Ended => Step::Fail(NoRevision::Ended),
            _ => Step::Fail(NoRevision::Silent),
        }
    }

    // MCP 2025-11-25 basic/lifecycle: the server may answer with another version; a client that
    // does not support it disconnects.
    fn agreed(&mut self, result: Value<'_>) -> Step {
        let Some(version) = result.member("protocolVersion").and_then(|version| version.text()) else {
            return Step::Fail(NoRevision::NotMcp);
        };
        match Version::named(version) {
            Some(version) if !version.is_modern() => Step::Legacy(version),
            _ => Step::Fail(NoRevision::NotMutual),
        }
    }

    fn handshake_refused(&mut self, status: u16, error: Value<'_>) -> Step {
        let code = Failure::of(error).code;
        if let Some(step) = self.other_version(error.raw()) {
            return step;
        }
        let about_version = matches!(code, INVALID_PARAMS | INVALID_REQUEST | UNSUPPORTED_VERSION);
        let fixed = [Version::V2025_06_18, Version::V2024_11_05];
        match fixed.into_iter().find(|version| self.offered & bit(*version) == 0) {
            Some(version) if about_version && self.pinned.is_none() => self.offer(version),
            _ if matches!(status, 400 | 404 | 405) && !self.old_transport => self.no_handshake(status),
            _ => Step::Fail(NoRevision::Refused(code)),
        }
    }

    /// A refusal that lists versions: the modern version is probed once more, an older one is
    /// offered once.
    fn other_version(&mut self, text: &[u8]) -> Option<Step> {
        if self.pinned.is_some() {
            return None;
        }
        if names(text, MODERN) && self.probes < PROBES {
            return Some(self.probe());
        }
        let named = LEGACY.into_iter().find(|version| self.offered & bit(*version) == 0 && names(text, *version))?;
        Some(self.offer(named))
    }

    // MCP 2025-11-25 basic/transports, "Backwards Compatibility": after a POST that fails with 400,
    // 404 or 405, the client sends a GET.
    fn no_handshake(&mut self, status: u16) -> Step {
        let old = matches!(status, 400 | 404 | 405) && self.transport == Transport::Http && !self.old_transport;
        if !old {
            return Step::Fail(NoRevision::Status(status));
        }
        self.old_transport = true;
        self.stage = Stage::OldTransport;
        Step::OpenOldTransport
    }

    fn opened(&mut self, heard: Heard<'_>) -> Step {
        match heard {
            Heard::Opened => {
                self.offered = 0;
                self.offer(self.pinned.unwrap_or(Version::NEWEST_LEGACY))
            }
            Heard::Status { status, .. } if status >= 300 => Step::Fail(NoRevision::Status(status)),
            _ => Step::Fail(NoRevision::NotMcp),
        }
    }
}

/// Returns the outcome if `body` is an answer.
fn answer(body: &[u8]) -> Option<Result<Item, Item>> {
    match read(body).ok()?.message {
        Message::Answer(answer) => Some(answer.outcome),
        _ => None,
    }
}

/// Returns whether an array contains a text for which `wanted` returns true.
fn lists(array: Value<'_>, wanted: impl Fn(&str) -> bool) -> bool {
    elements(array).any(|element| element.text().and_then(|text| text.plain()).is_some_and(&wanted))
}

/// Returns whether a text contains the date of a version.
fn names(text: &[u8], version: Version) -> bool {
    let date = version.as_str().as_bytes();
    text.windows(date.len()).any(|window| window == date)
}

const fn bit(version: Version) -> u8 {
    match version {
        Version::V2024_11_05 => 1,
        Version::V2025_03_26 => 2,
        Version::V2025_06_18 => 4,
        Version::V2025_11_25 => 8,
        Version::V2026_07_28 => 16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use NoRevision::{Ended, NotMcp, NotModern, NotMutual, Refused, Silent, Unreachable};
    use Step::{Authorize, Discover, Fail, Initialize, Legacy, Modern, OpenOldTransport, Wait};
    use Version::{V2024_11_05 as A, V2025_03_26 as B, V2025_06_18 as C, V2025_11_25 as D, V2026_07_28 as E};

    const fn ok(body: &'static str) -> Heard<'static> {
        Heard::Message { status: 200, body: body.as_bytes() }
    }

    const fn bad(status: u16, body: &'static str) -> Heard<'static> {
        Heard::Message { status, body: body.as_bytes() }
    }

    const fn plain(status: u16, body: &'static str) -> Heard<'static> {
        Heard::Status { status, body: body.as_bytes() }
    }

    fn check(mut negotiation: Negotiation, first: Step, course: &[(Heard<'_>, Step)]) {
        assert_eq!(negotiation.start(), first);
        for (heard, step) in course {
            assert_eq!(negotiation.heard(*heard), *step, "after {heard:?} of {course:?}");
        }
    }

    const DISCOVERED: &str =
        r#"{"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2025-11-25","2026-07-28"],"capabilities":{}}}"#;
    const LEGACY_ONLY: &str =
        r#"{"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2025-11-25"],"capabilities":{}}}"#;
    const SAME: &str =
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"m","data":{"supported":["2026-07-28"]}}}"#;
    const NEWER: &str =
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"m","data":{"supported":["2027-01-01"]}}}"#;
    const OLDER: &str =
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"m","data":{"supported":["2025-06-18"]}}}"#;
    const BARE: &str = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"m"}}"#;
    const HEADERS: &str = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32020,"message":"m"}}"#;
    const NEEDS: &str = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32021,"message":"m"}}"#;
    const UNKNOWN: &str = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"m"}}"#;
    const NO_ID: &str = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"m"}}"#;
    const SESSION: &str = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"Session not found"}}"#;
    const PARAMS: &str = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"m"}}"#;
    const NAMES_B: &str =
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"only 2025-03-26, not 2025-11-25"}}"#;
    const AGREED_D: &str = r#"{"jsonrpc":"2.0","id":2,"result":{"protocolVersion":"2025-11-25"}}"#;
    const AGREED_A: &str = r#"{"jsonrpc":"2.0","id":2,"result":{"protocolVersion":"2024-11-05"}}"#;
    const AGREED_X: &str = r#"{"jsonrpc":"2.0","id":2,"result":{"protocolVersion":"1999-01-01"}}"#;

    #[test]
    fn answers_to_the_probe_decide_as_the_table_says() {
        let probed =
            |heard: Heard<'static>, step| check(Negotiation::new(Transport::Http), Discover(E), &[(heard, step)]);
        for (heard, step) in [
            (ok(DISCOVERED), Modern(E)),
            (ok(LEGACY_ONLY), Initialize(D)),
            (ok(r#"{"jsonrpc":"2.0","id":1,"result":[]}"#), Initialize(D)),
            (bad(400, SAME), Discover(E)),
            (ok(SAME), Discover(E)),
            (bad(400, NEWER), Fail(NotMutual)),
            (bad(400, OLDER), Initialize(D)),
            (bad(400, BARE), Initialize(D)),
            (bad(400, HEADERS), Discover(E)),
            (bad(400, NEEDS), Discover(E)),
            (bad(404, UNKNOWN), Initialize(D)),
            (ok(UNKNOWN), Initialize(D)),
            (bad(400, NO_ID), Initialize(D)),
            (bad(404, SESSION), Initialize(D)),
            (bad(400, PARAMS), Initialize(D)),
            (plain(400, ""), Initialize(D)),
            (plain(404, "Invalid session ID"), Initialize(D)),
            (plain(405, ""), Initialize(D)),
            (plain(415, ""), Initialize(D)),
            (plain(401, ""), Authorize(401)),
            (bad(401, UNKNOWN), Authorize(401)),
            (plain(403, ""), Authorize(403)),
            (plain(429, ""), Wait(429)),
            (plain(503, ""), Initialize(D)),
            (plain(200, "<html>"), Initialize(D)),
            (plain(202, ""), Initialize(D)),
            (Heard::Silence, Initialize(D)),
            (Heard::Unreachable, Fail(Unreachable)),
        ] {
            probed(heard, step);
        }
    }

    #[test]
    fn modern_errors_are_corrected_once_and_never_lead_to_a_handshake() {
        for (body, code) in [(SAME, -32022), (HEADERS, -32020), (NEEDS, -32021)] {
            let course = [(bad(400, body), Discover(E)), (bad(400, body), Fail(Refused(code)))];
            check(Negotiation::new(Transport::Http), Discover(E), &course);
            let course = [(bad(400, body), Discover(E)), (ok(DISCOVERED), Modern(E))];
            check(Negotiation::new(Transport::Http), Discover(E), &course);
        }
    }

    #[test]
    fn server_that_ends_at_the_probe_is_started_again_once() {
        let new = Negotiation::new(Transport::Line);
        check(new, Discover(E), &[(Heard::Ended, Initialize(D)), (ok(AGREED_D), Legacy(D))]);
        check(new, Discover(E), &[(Heard::Ended, Initialize(D)), (Heard::Ended, Fail(Ended))]);
        check(new, Discover(E), &[(Heard::Silence, Initialize(D)), (ok(AGREED_A), Legacy(A))]);
        // The server needed a while to end after the probe.
        check(
            new,
            Discover(E),
            &[(Heard::Silence, Initialize(D)), (Heard::Ended, Initialize(D)), (ok(AGREED_A), Legacy(A))],
        );
        check(new, Discover(E), &[(Heard::Silence, Initialize(D)), (Heard::Silence, Fail(Silent))]);
    }

    #[test]
    fn handshake_offers_what_the_server_names_and_each_version_once() {
        let new = Negotiation::new(Transport::Line).legacy();
        check(new, Initialize(D), &[(ok(AGREED_A), Legacy(A))]);
        check(new, Initialize(D), &[(ok(AGREED_X), Fail(NotMutual))]);
        check(new, Initialize(D), &[(ok(r#"{"jsonrpc":"2.0","id":2,"result":{}}"#), Fail(NotMcp))]);
        check(
            new,
            Initialize(D),
            &[
                (ok(NAMES_B), Initialize(B)),
                (ok(PARAMS), Initialize(C)),
                (ok(PARAMS), Initialize(A)),
                (ok(PARAMS), Fail(Refused(-32602))),
            ],
        );
        check(new, Initialize(D), &[(ok(UNKNOWN), Fail(Refused(-32601)))]);
        let http = Negotiation::new(Transport::Http).legacy();
        check(http, Initialize(D), &[(plain(400, "supported: 2025-06-18, 2025-03-26"), Initialize(C))]);
    }

    #[test]
    fn handshake_that_names_the_modern_revision_is_probed_once_more() {
        let course = [(Heard::Silence, Initialize(D)), (bad(400, SAME), Discover(E)), (ok(DISCOVERED), Modern(E))];
        check(Negotiation::new(Transport::Http), Discover(E), &course);
        let course = [(Heard::Silence, Initialize(D)), (ok(SAME), Discover(E)), (Heard::Silence, Initialize(D))];
        check(Negotiation::new(Transport::Line), Discover(E), &course);
    }

    #[test]
    fn refused_post_leads_to_the_old_transport_over_http_alone() {
        for status in [400, 404, 405] {
            let course = [
                (plain(status, ""), Initialize(D)),
                (plain(status, ""), OpenOldTransport),
                (Heard::Opened, Initialize(D)),
                (ok(AGREED_A), Legacy(A)),
            ];
            check(Negotiation::new(Transport::Http), Discover(E), &course);
            let course = [
                (plain(status, ""), Initialize(D)),
                (plain(status, ""), OpenOldTransport),
                (plain(405, ""), Fail(NoRevision::Status(405))),
            ];
            check(Negotiation::new(Transport::Http), Discover(E), &course);
        }
        let course = [(plain(503, ""), Initialize(D)), (plain(503, ""), Fail(NoRevision::Status(503)))];
        check(Negotiation::new(Transport::Http), Discover(E), &course);
        check(
            Negotiation::new(Transport::Line).legacy(),
            Initialize(D),
            &[(plain(404, ""), Fail(NoRevision::Status(404)))],
        );
    }

    #[test]
    fn refusal_of_a_credential_is_arbitrated_by_one_handshake() {
        let new = Negotiation::new(Transport::Http).with_credential();
        check(new, Discover(E), &[(plain(401, ""), Initialize(D)), (plain(401, ""), Authorize(401))]);
        check(new, Discover(E), &[(plain(403, ""), Initialize(D)), (ok(AGREED_D), Legacy(D))]);
    }

    #[test]
    fn pinned_version_is_the_only_one_asked_for() {
        let new = Negotiation::new(Transport::Http);
        check(new.pinned(E), Discover(E), &[(ok(UNKNOWN), Fail(NotModern))]);
        check(new.pinned(B), Initialize(B), &[(ok(NAMES_B), Fail(Refused(-32602)))]);
        check(new.pinned(A), Initialize(A), &[(plain(405, ""), OpenOldTransport), (Heard::Opened, Initialize(A))]);
    }
}
