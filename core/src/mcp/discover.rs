//! A server's description of itself: the result of `server/discover` in the modern era, and of
//! `initialize` in the legacy era.

use super::Server;
use crate::era::Version;
use crate::limits;
use crate::rpc::Window;

/// Puts the result of `server/discover` (MCP 2026-07-28 server/discover, "DiscoverResult").
pub fn discover(server: &Server<'_>, out: &mut Window<'_>) {
    out.put(br#"{"resultType":"complete","supportedVersions":["#);
    out.put(Version::MODERN_LIST.as_bytes());
    out.put(b"]");
    out.put_all(server.instructions());
    out.put(br#","capabilities":{"#);
    server.put_capabilities(Version::V2026_07_28, out);
    out.put(br#"},"ttlMs":"#);
    out.put(limits::LIST_TTL_MS.as_bytes());
    out.put(br#","cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":"#);
    out.put_all(server.info());
    out.put(b"}}");
}

/// Puts the result of `initialize` (MCP 2025-11-25 basic/lifecycle, "InitializeResult").
pub fn initialize(server: &Server<'_>, version: Version, out: &mut Window<'_>) {
    out.put(br#"{"protocolVersion":""#);
    out.put(version.as_str().as_bytes());
    out.put(br#"","capabilities":{"#);
    server.put_capabilities(version, out);
    out.put(br#"},"serverInfo":"#);
    out.put_all(server.info());
    out.put_all(server.instructions());
    out.put(b"}");
}
