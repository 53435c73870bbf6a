//! `tools/list` (MCP server/tools), one section for each tool, so that a list of any size passes through a small buffer.

use super::Server;
use crate::era::Version;
use crate::limits;
use crate::rpc::{Section, section};

/// Section `at` of the list: the front, one for each tool, the back; `None` behind that.
pub fn list<'a>(server: &Server<'a>, version: Version, at: usize) -> Option<Section<'a>> {
    let tools = server.tools();
    let Some(before) = at.checked_sub(1) else {
        return Some(section([br#"{"tools":["#]));
    };
    match tools.tool(before) {
        Some(tool) => {
            let [h0, h1, h2, h3] = tool.hints().members().map(str::as_bytes);
            let has_hints = [h0, h1, h2, h3].iter().any(|hint| !hint.is_empty());
            Some(section([
                if before == 0 { br#"{"name":""# } else { br#",{"name":""# },
                tool.name().as_bytes(),
                br#"","description":""#,
                tool.description().as_bytes(),
                br#"","inputSchema":"#,
                tool.input_schema().as_bytes(),
                if has_hints { br#","annotations":{"# } else { b"" },
                h0,
                h1,
                h2,
                h3,
                if has_hints { b"}}" } else { b"}" },
            ]))
        }
        None if before == tools.len() => Some(back(server, version)),
        None => None,
    }
}

fn back<'a>(server: &Server<'a>, version: Version) -> Section<'a> {
    if !version.is_modern() {
        return section([b"]}"]);
    }
    let [s0, s1, s2, s3, s4] = server.info();
    section([
        br#"],"resultType":"complete","ttlMs":"#,
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
