//! The benchmark requests. Each is written out, with the parts of the answer that identify it.

use crate::server::session_id;
use crate::{Bench, Buffers, ECHO, TWENTY};
use attache_core::era::Version;

/// The `_meta` of each modern request.
macro_rules! meta {
    () => {
        concat!(
            r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
            r#""io.modelcontextprotocol/clientCapabilities":{},"#,
            r#""io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1.0.0"}}"#,
        )
    };
}

/// One request and the known parts of its answer.
#[derive(Debug)]
pub struct Case {
    /// The name of the case.
    pub name: &'static str,
    /// The request without its head.
    pub body: &'static str,
    bench: &'static Bench,
    origin: Origin,
    starts: &'static str,
    contains: &'static str,
}

#[derive(Debug)]
enum Origin {
    /// A POST with this head: the request line, the fields, the blank line.
    Http(&'static str),
    /// A POST with this head in a session of this revision; the head does not contain the session
    /// id yet.
    Session(&'static str, Version),
    /// A line of a connection that has agreed on this revision.
    Line(Option<Version>),
}

/// A case prepared for many runs: the head is split into its fields, as an HTTP reader would do.
#[derive(Debug)]
pub struct Ready {
    case: &'static Case,
    head: Vec<(&'static str, String)>,
}

impl Case {
    /// Prepares the case.
    pub fn ready(&'static self) -> Ready {
        let (head, session) = match self.origin {
            Origin::Http(head) => (head, None),
            Origin::Session(head, version) => (head, Some(("mcp-session-id", session_id(version)))),
            Origin::Line(_) => ("", None),
        };
        let fields = head.lines().filter_map(|line| line.split_once(": "));
        Ready { case: self, head: fields.map(|(name, value)| (name, value.to_owned())).chain(session).collect() }
    }

    /// Returns the number of bytes of the request, its head included.
    pub fn request_len(&self) -> usize {
        self.body.len()
            + match self.origin {
                Origin::Http(head) => head.len(),
                Origin::Session(head, version) => head.len() + "mcp-session-id: \r\n".len() + session_id(version).len(),
                Origin::Line(_) => 0,
            }
    }

    /// Checks that `answer` is the answer to this request.
    ///
    /// # Panics
    /// If it is not.
    pub fn check(&self, answer: &[u8]) {
        let answer = str::from_utf8(answer).expect("an answer is UTF-8");
        let name = self.name;
        assert!(answer.starts_with(self.starts), "{name}: {answer} starts with {}", self.starts);
        assert!(answer.contains(self.contains), "{name}: {answer} has {} in it", self.contains);
        assert!(answer.ends_with("}}"), "{name}: {answer} is whole");
    }
}

impl Ready {
    /// Runs the case once, and passes the answer to `send` piece by piece.
    pub fn run(&self, buffers: &mut Buffers, send: impl FnMut(&[u8])) {
        let Case { bench, body, origin, .. } = self.case;
        match origin {
            Origin::Line(version) => bench.line(*version, body.as_bytes(), buffers, send),
            Origin::Http(_) | Origin::Session(..) => bench.post(&self.head, body.as_bytes(), buffers, send),
        }
    }
}

/// Returns the case with this name.
pub fn case(name: &str) -> Option<&'static Case> {
    CASES.iter().find(|case| case.name == name)
}

/// All cases.
pub static CASES: &[Case] = &[
    Case {
        name: "call",
        body: CALL,
        bench: &ECHO,
        origin: Origin::Line(None),
        starts: ECHOED,
        contains: r#""resultType":"complete""#,
    },
    Case {
        name: "call-http",
        body: CALL,
        bench: &ECHO,
        origin: Origin::Http(HEAD),
        starts: ECHOED,
        contains: r#""resultType":"complete""#,
    },
    Case {
        name: "legacy-call",
        body: LEGACY_CALL,
        bench: &ECHO,
        origin: Origin::Line(Some(Version::V2025_11_25)),
        starts: ECHOED,
        contains: r#""}]}}"#,
    },
    Case {
        name: "session-call",
        body: LEGACY_CALL,
        bench: &ECHO,
        origin: Origin::Session(LEGACY_HEAD, Version::V2025_11_25),
        starts: ECHOED,
        contains: r#""}]}}"#,
    },
    Case {
        name: "list",
        body: concat!(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"#, meta!(), "}}"),
        bench: &TWENTY,
        origin: Origin::Line(None),
        starts: r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"set_relay","description":""#,
        contains: r#"{"name":"restart","description":"#,
    },
    Case {
        name: "discover",
        body: concat!(r#"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"#, meta!(), "}}"),
        bench: &ECHO,
        origin: Origin::Line(None),
        starts: r#"{"jsonrpc":"2.0","id":1,"result":{"#,
        contains: r#""supportedVersions":["2026-07-28"]"#,
    },
    Case {
        name: "not-json",
        body: r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo",}}"#,
        bench: &ECHO,
        origin: Origin::Line(None),
        starts: r#"{"jsonrpc":"2.0","error":{"code":-32700,"#,
        contains: "unexpected byte",
    },
    Case {
        name: "unknown-tool",
        body: concat!(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ecco","#, meta!(), "}}"),
        bench: &ECHO,
        origin: Origin::Line(None),
        starts: r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"#,
        contains: "Unknown tool: ecco",
    },
    Case {
        name: "unknown-method",
        body: concat!(r#"{"jsonrpc":"2.0","id":1,"method":"tools/sing","params":{"#, meta!(), "}}"),
        bench: &ECHO,
        origin: Origin::Line(None),
        starts: r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"#,
        contains: "Method not found: tools/sing",
    },
    Case {
        name: "bad-version",
        body: r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2027-01-01","io.modelcontextprotocol/clientCapabilities":{}}}}"#,
        bench: &ECHO,
        origin: Origin::Line(None),
        starts: r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"#,
        contains: r#""requested":"2027-01-01""#,
    },
    Case {
        name: "bad-arguments",
        body: concat!(
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":7},"#,
            meta!(),
            "}}"
        ),
        bench: &ECHO,
        origin: Origin::Line(None),
        starts: r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"Argument 'text' must be a string"}]"#,
        contains: r#""isError":true"#,
    },
    Case {
        name: "header-mismatch",
        body: concat!(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"#, meta!(), "}}"),
        bench: &ECHO,
        origin: Origin::Http(HEAD),
        starts: r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32020,"#,
        contains: "Mcp-Method differs from the body",
    },
];

const ECHOED: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"hello from the far end"#;

const LEGACY_CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello from the far end"}}}"#;

/// The request by which servers are compared, so its size is part of the comparison.
const CALL: &str = concat!(
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"#,
    r#""name":"echo","arguments":{"text":"hello from the far end of it!"},"#,
    meta!(),
    "}}"
);
const _: () = assert!(CALL.len() == 309);

/// The head that a client sends with that request.
const HEAD: &str = concat!(
    "POST /mcp HTTP/1.1\r\n",
    "host: 127.0.0.1:8080\r\n",
    "user-agent: mcp-client/1.10.0 (linux; x86_64)\r\n",
    "accept: application/json, text/event-stream\r\n",
    "accept-encoding: identity\r\n",
    "content-type: application/json\r\n",
    "content-length: 309\r\n",
    "connection: keep-alive\r\n",
    "mcp-protocol-version: 2026-07-28\r\n",
    "mcp-method: tools/call\r\n",
    "mcp-name: echo\r\n",
    "\r\n",
);
const _: () = assert!(HEAD.len() == 314);

/// The head that a client of revision 2025-11-25 sends with its call, without the session id.
const LEGACY_HEAD: &str = concat!(
    "POST /mcp HTTP/1.1\r\n",
    "host: 127.0.0.1:8080\r\n",
    "user-agent: mcp-client/1.10.0 (linux; x86_64)\r\n",
    "accept: application/json, text/event-stream\r\n",
    "accept-encoding: identity\r\n",
    "content-type: application/json\r\n",
    "content-length: 119\r\n",
    "connection: keep-alive\r\n",
    "mcp-protocol-version: 2025-11-25\r\n",
    "\r\n",
);
