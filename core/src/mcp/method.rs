//! The methods, and which revision has which.

use super::Server;
use crate::era::Version;
use crate::json::Text;

/// A method that the engine serves, besides the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `server/discover`
    Discover,
    /// `ping`
    Ping,
    /// `tools/list`
    ListTools,
    /// `tools/call`
    CallTool,
}

impl Method {
    /// The method with this name, if `version` has it and `server` has declared the capability it belongs to.
    // MCP 2026-07-28 basic/index: a method behind a capability that is not advertised is answered as unknown.
    pub fn find(name: Text<'_>, version: Version, server: &Server<'_>) -> Option<Self> {
        let method = ALL.into_iter().find(|method| name.is(method.name()))?;
        let served = match method {
            Self::Discover => version.is_modern(),
            // MCP 2026-07-28 changelog: removed.
            Self::Ping => !version.is_modern(),
            Self::ListTools | Self::CallTool => !server.tools().is_empty(),
        };
        served.then_some(method)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Discover => "server/discover",
            Self::Ping => "ping",
            Self::ListTools => "tools/list",
            Self::CallTool => "tools/call",
        }
    }
}

const ALL: [Method; 4] = [Method::CallTool, Method::ListTools, Method::Discover, Method::Ping];
