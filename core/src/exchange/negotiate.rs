//! Chooses the era of a request, in the order of checks that MCP 2026-07-28 basic/versioning
//! defines.

use super::carrier::Carrier;
use crate::era::{Meta, Version};
use crate::http::Field;
use crate::mcp::Method;
use crate::rpc::{Error, Header, HeaderFault};

/// The outcome of the negotiation for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Era {
    /// The request is served by this revision.
    Of(Version),
    /// The request is the handshake that opens the legacy era.
    Handshake,
}

/// Chooses the revision by which a request is served.
///
/// # Errors
/// If the request names no version, contradicts itself, or names a version that the server does not
/// support.
pub(super) fn negotiate(method: Option<Method>, meta: &Meta, carrier: &Carrier<'_>, body: &[u8]) -> Result<Era, Error> {
    let header = version_header(carrier)?;
    if meta.claim()?.is_some() {
        return modern(meta, header, body);
    }
    let handshake = method == Some(Method::Initialize);
    match (carrier, header) {
        // MCP 2025-11-25 basic/lifecycle: a session has one handshake.
        (Carrier::Session(..), _) if handshake => Err(Error::AlreadyInitialized),
        // MCP 2025-06-18 basic/transports: the header MUST name the negotiated version; earlier
        // revisions have no header.
        (Carrier::Session(_, session), Some(header)) => match Version::parse(header) {
            Some(named) if named == session.version => Ok(Era::Of(named)),
            Some(_) => Err(Error::Header(Header::ProtocolVersion, HeaderFault::Session)),
            None => Err(Error::Header(Header::ProtocolVersion, HeaderFault::Unsupported)),
        },
        (Carrier::Session(_, session), None) => Ok(Era::Of(session.version)),
        // A header alone never makes a request modern: the body is the source of truth.
        (_, Some(header)) if Version::parse(header).is_some_and(Version::is_modern) => match handshake {
            true => Err(Error::Header(Header::ProtocolVersion, HeaderFault::Differs)),
            false => meta.check().map(|_| Era::Of(Version::V2026_07_28)),
        },
        (Carrier::Line(Some(_)), _) if handshake => Err(Error::AlreadyInitialized),
        _ if handshake => Ok(Era::Handshake),
        // Only modern clients send such a request, so report the missing key.
        _ if meta.is_modern() || method == Some(Method::Discover) => {
            meta.check().map(|_| Era::Of(Version::V2026_07_28))
        }
        // MCP 2025-11-25 basic/transports: 400. Not -32022: its list would contain versions that a
        // header cannot select.
        (_, Some(header)) => {
            Version::parse(header).map(Era::Of).ok_or(Error::Header(Header::ProtocolVersion, HeaderFault::Unsupported))
        }
        // MCP 2025-06-18 basic/transports: without a header or other information, a request belongs
        // to 2025-03-26.
        (Carrier::Http(_) | Carrier::UnknownSession(_), None) => Ok(Era::Of(Version::V2025_03_26)),
        (Carrier::Line(Some(version)), None) => Ok(Era::Of(*version)),
        // MCP 2025-11-25 basic/lifecycle: before the handshake a client may send nothing but pings.
        (Carrier::Line(None), None) if method == Some(Method::Ping) => Ok(Era::Of(Version::NEWEST_LEGACY)),
        (Carrier::Line(None), None) => meta.check().map(|_| Era::Of(Version::V2026_07_28)),
    }
}

/// Returns the value of the `MCP-Protocol-Version` header, which only a POST has.
fn version_header<'h>(carrier: &Carrier<'h>) -> Result<Option<&'h [u8]>, Error> {
    let (Carrier::Http(facts) | Carrier::Session(facts, _) | Carrier::UnknownSession(facts)) = carrier else {
        return Ok(None);
    };
    match facts.protocol_version {
        Field::Absent => Ok(None),
        Field::Once(version) => Ok(Some(version)),
        Field::Repeated => Err(Error::Header(Header::ProtocolVersion, HeaderFault::Repeated)),
    }
}

/// The order matters: if the header differs from the version in `_meta`, that is the error,
/// whatever the version.
fn modern(meta: &Meta, header: Option<&[u8]>, body: &[u8]) -> Result<Era, Error> {
    let claim = meta.check()?;
    let claimed = claim.of(body).text();
    if let Some(header) = header {
        let header = core::str::from_utf8(header).ok();
        let same = claimed.is_some_and(|claimed| header.is_some_and(|header| claimed.is(header)));
        // MCP 2026-07-28 streamable-http, "Protocol Version Header": "MUST match".
        if !same {
            return Err(Error::Header(Header::ProtocolVersion, HeaderFault::Differs));
        }
    }
    // MCP 2026-07-28 basic/versioning: -32022 with the supported and the requested version. A
    // legacy version in `_meta` has no meaning and is refused in the same way.
    match claimed.and_then(Version::named) {
        Some(version) if version.is_modern() => Ok(Era::Of(version)),
        _ => Err(Error::UnsupportedVersion(claim.span())),
    }
}
