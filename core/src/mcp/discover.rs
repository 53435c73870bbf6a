//! A server's description of itself: the result of `server/discover` in the modern era, and of
//! `initialize` in the legacy era.

use super::Server;
use crate::era::Version;
use crate::limits;
use crate::rpc::{Section, section};

/// Makes the result of `server/discover` (MCP 2026-07-28 server/discover, "DiscoverResult").
pub fn discover<'a>(server: &Server<'a>) -> Section<'a> {
    let [i0, i1, i2] = server.instructions();
    let [s0, s1, s2, s3, s4] = server.info();
    let [c0, c1, c2, c3, c4, c5, c6] = server.capabilities(Version::V2026_07_28);
    section([
        br#"{"resultType":"complete","supportedVersions":["#,
        Version::MODERN_LIST.as_bytes(),
        b"]",
        i0,
        i1,
        i2,
        br#","capabilities":{"#,
        c0,
        c1,
        c2,
        c3,
        c4,
        c5,
        c6,
        br#"},"ttlMs":"#,
        limits::LIST_TTL_MS.as_bytes(),
        br#","cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":"#,
        s0,
        s1,
        s2,
        s3,
        s4,
        b"}}",
    ])
}

/// Makes the result of `initialize` (MCP 2025-11-25 basic/lifecycle, "InitializeResult").
pub fn initialize<'a>(server: &Server<'a>, version: Version) -> Section<'a> {
    let [i0, i1, i2] = server.instructions();
    let [s0, s1, s2, s3, s4] = server.info();
    let [c0, c1, c2, c3, c4, c5, c6] = server.capabilities(version);
    section([
        br#"{"protocolVersion":""#,
        version.as_str().as_bytes(),
        br#"","capabilities":{"#,
        c0,
        c1,
        c2,
        c3,
        c4,
        c5,
        c6,
        br#"},"serverInfo":"#,
        s0,
        s1,
        s2,
        s3,
        s4,
        i0,
        i1,
        i2,
        b"}",
    ])
}
