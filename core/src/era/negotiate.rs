//! The decision between the eras, in the order of MCP 2026-07-28 basic/versioning.

use super::{Meta, Version};
use crate::json::Text;
use crate::rpc::{Error, Header, HeaderFault};

/// How a request is to be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Era {
    /// By this revision.
    Of(Version),
    /// It is the handshake that opens the legacy era.
    Handshake,
}

/// What carried the request, and what that says about its version.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Carrier<'a> {
    /// One HTTP POST, with the value of its `MCP-Protocol-Version` header.
    Http(Option<&'a [u8]>),
    /// One HTTP POST of a session that has agreed on this revision, with the value of the same header.
    Session(Version, Option<&'a [u8]>),
    /// A line of a connection, with the revision of its handshake if there was one.
    Line(Option<Version>),
}

/// Decides by what revision a request is served.
///
/// # Errors
/// Where the request claims no version, contradicts itself, or claims one that is not served here.
pub fn negotiate(method: Text<'_>, meta: &Meta, carrier: Carrier<'_>, body: &[u8]) -> Result<Era, Error> {
    if meta.claim()?.is_some() {
        return modern(meta, carrier, body);
    }
    let handshake = method.is(INITIALIZE);
    match carrier {
        // MCP 2025-11-25 basic/lifecycle: a session has one handshake.
        Carrier::Session(..) if handshake => Err(Error::AlreadyInitialized),
        // MCP 2025-06-18 basic/transports: the header MUST name what was agreed on; before, there is none.
        Carrier::Session(version, Some(header)) => match Version::parse(header) {
            Some(named) if named == version => Ok(Era::Of(version)),
            Some(_) => Err(Error::Header(Header::ProtocolVersion, HeaderFault::Session)),
            None => Err(Error::Header(Header::ProtocolVersion, HeaderFault::Unsupported)),
        },
        Carrier::Session(version, None) => Ok(Era::Of(version)),
        // A header alone never makes a request modern: the body is the source of truth.
        Carrier::Http(Some(header)) if Version::parse(header).is_some_and(Version::is_modern) => match handshake {
            true => Err(Error::Header(Header::ProtocolVersion, HeaderFault::Differs)),
            false => meta.check().map(|_| Era::Of(Version::V2026_07_28)),
        },
        Carrier::Line(Some(_)) if handshake => Err(Error::AlreadyInitialized),
        _ if handshake => Ok(Era::Handshake),
        // Of a request that only a modern client sends, say what it lacks.
        _ if meta.is_modern() || method.is(DISCOVER) => meta.check().map(|_| Era::Of(Version::V2026_07_28)),
        // MCP 2025-11-25 basic/transports: 400. Not -32022, whose list would name versions that no header can select.
        Carrier::Http(Some(header)) => {
            Version::parse(header).map(Era::Of).ok_or(Error::Header(Header::ProtocolVersion, HeaderFault::Unsupported))
        }
        // MCP 2025-06-18 basic/transports: a request with no header, of which nothing else is known, is of 2025-03-26.
        Carrier::Http(None) => Ok(Era::Of(Version::V2025_03_26)),
        Carrier::Line(Some(version)) => Ok(Era::Of(version)),
        // MCP 2025-11-25 basic/lifecycle: before the handshake a client may send nothing but pings.
        Carrier::Line(None) if method.is(PING) => Ok(Era::Of(Version::NEWEST_LEGACY)),
        Carrier::Line(None) => meta.check().map(|_| Era::Of(Version::V2026_07_28)),
    }
}

/// The order matters: a header that contradicts the claim is reported as that, whatever version is claimed.
fn modern(meta: &Meta, carrier: Carrier<'_>, body: &[u8]) -> Result<Era, Error> {
    let claim = meta.check()?;
    let claimed = claim.of(body).text();
    if let Carrier::Http(Some(header)) | Carrier::Session(_, Some(header)) = carrier {
        let header = core::str::from_utf8(header).ok();
        let same = claimed.is_some_and(|claimed| header.is_some_and(|header| claimed.is(header)));
        // MCP 2026-07-28 streamable-http, "Protocol Version Header": "MUST match".
        if !same {
            return Err(Error::Header(Header::ProtocolVersion, HeaderFault::Differs));
        }
    }
    // MCP 2026-07-28 basic/versioning: -32022 with the supported and the requested version. A legacy version claimed
    // through `_meta` has no meaning and is refused alike.
    match claimed.and_then(Version::named) {
        Some(version) if version.is_modern() => Ok(Era::Of(version)),
        _ => Err(Error::UnsupportedVersion(claim.span())),
    }
}

/// The method of the handshake.
pub const INITIALIZE: &str = "initialize";
const DISCOVER: &str = "server/discover";
const PING: &str = "ping";
