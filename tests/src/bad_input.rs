//! Bad input, and input that only looks bad: one table, sent to every implementation of the engine.

/// A message and the expected answer.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) body: Vec<u8>,
    pub(crate) answer: Answer,
    /// The status over HTTP, with the headers of a modern client.
    pub(crate) status: u16,
    /// `Mcp-Method`
    pub(crate) method: &'static str,
    /// `Mcp-Name`
    pub(crate) tool: Option<&'static str>,
}

/// The expected answer; ids are compared as written.
pub(crate) enum Answer {
    Error(i64, Option<&'static str>),
    Result(&'static str),
    Silence,
}

use Answer::{Error, Result, Silence};

/// The two keys that each modern request must have.
const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

/// Makes a message in which `«M»` is replaced by the required `_meta`.
pub(crate) fn modern(template: &str) -> Vec<u8> {
    template.replace("«M»", META).into_bytes()
}

/// All cases. None of them needs a tool with a certain name, so that they fit every server.
#[rustfmt::skip]
pub(crate) fn all() -> Vec<Case> {
    let plain = |name, body: Vec<u8>, answer, status| Case { name, body, answer, status, method: "tools/list", tool: None };
    let with = |name, body: &str, answer, status| plain(name, modern(body), answer, status);
    let calls = |name, body: &str, answer, status| Case { method: "tools/call", ..with(name, body, answer, status) };
    vec![
        // Not JSON.
        with("truncated object", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list""#, Error(-32700, None), 400),
        with("nothing but a word", "hello", Error(-32700, None), 400),
        with("single quotes", "{'jsonrpc':'2.0','id':1,'method':'tools/list'}", Error(-32700, None), 400),
        with("comment", r#"{"jsonrpc":"2.0",/**/"id":1,"method":"tools/list"}"#, Error(-32700, None), 400),
        with("trailing comma", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list",}"#, Error(-32700, None), 400),
        with("trailing bytes", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{«M»}} x"#, Error(-32700, None), 400),
        with("two objects", r#"{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"ping"}"#, Error(-32700, None), 400),
        with("lone surrogate", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"x":"\ud800",«M»}}"#, Error(-32700, None), 400),
        with("unknown escape", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"x":"\x41",«M»}}"#, Error(-32700, None), 400),
        with("raw control byte", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{\"x\":\"\u{1}\",«M»}}", Error(-32700, None), 400),
        with("leading zero", r#"{"jsonrpc":"2.0","id":01,"method":"tools/list","params":{«M»}}"#, Error(-32700, None), 400),
        plain("invalid UTF-8", b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}".to_vec(), Error(-32700, None), 400),
        plain("overlong UTF-8", b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xc0\xaf\"}".to_vec(), Error(-32700, None), 400),
        plain("byte order mark within", b"{\"jsonrpc\":\"2.0\",\xef\xbb\xbf\"id\":1,\"method\":\"ping\"}".to_vec(), Error(-32700, None), 400),
        plain("two byte order marks", b"\xef\xbb\xbf\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}".to_vec(), Error(-32700, None), 400),
        plain("deep nesting", deep(65), Error(-32700, None), 400),
        // JSON, but not a request.
        with("empty object", "{}", Error(-32600, None), 400),
        with("null", "null", Error(-32600, None), 400),
        with("number", "42", Error(-32600, None), 400),
        with("string", r#""tools/list""#, Error(-32600, None), 400),
        with("empty array", "[]", Error(-32600, None), 400),
        with("batch", r#"[{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{«M»}}]"#, Error(-32600, None), 400),
        with("other protocol", r#"{"jsonrpc":"1.0","id":1,"method":"tools/list","params":{«M»}}"#, Error(-32600, Some("1")), 400),
        with("protocol as number", r#"{"jsonrpc":2.0,"id":1,"method":"tools/list","params":{«M»}}"#, Error(-32600, Some("1")), 400),
        with("no protocol", r#"{"id":"a","method":"tools/list","params":{«M»}}"#, Error(-32600, Some("\"a\"")), 400),
        with("keys in other case", r#"{"JSONRPC":"2.0","ID":1,"METHOD":"tools/list","params":{«M»}}"#, Error(-32600, None), 400),
        with("id null", r#"{"jsonrpc":"2.0","id":null,"method":"tools/list","params":{«M»}}"#, Error(-32600, None), 400),
        with("id fraction", r#"{"jsonrpc":"2.0","id":1.5,"method":"tools/list","params":{«M»}}"#, Error(-32600, None), 400),
        with("id beyond all numbers", r#"{"jsonrpc":"2.0","id":1e400,"method":"tools/list","params":{«M»}}"#, Error(-32600, None), 400),
        with("id object", r#"{"jsonrpc":"2.0","id":{},"method":"tools/list","params":{«M»}}"#, Error(-32600, None), 400),
        with("id boolean", r#"{"jsonrpc":"2.0","id":true,"method":"tools/list","params":{«M»}}"#, Error(-32600, None), 400),
        with("method number", r#"{"jsonrpc":"2.0","id":1,"method":7,"params":{«M»}}"#, Error(-32600, Some("1")), 400),
        with("no method", r#"{"jsonrpc":"2.0","id":1,"params":{«M»}}"#, Error(-32600, Some("1")), 400),
        with("method twice", r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list","params":{«M»}}"#, Error(-32600, Some("1")), 400),
        with("id twice", r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/list","params":{«M»}}"#, Error(-32600, None), 400),
        with("params twice", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{«M»},"params":{«M»}}"#, Error(-32600, Some("1")), 400),
        with("request and answer", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","result":{},"params":{«M»}}"#, Error(-32600, Some("1")), 400),
        // A request with wrong parameters.
        with("params array", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":[]}"#, Error(-32602, Some("1")), 400),
        with("params string", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":"x"}"#, Error(-32602, Some("1")), 400),
        with("no _meta", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#, Error(-32602, Some("1")), 400),
        with("_meta string", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":"x"}}"#, Error(-32602, Some("1")), 400),
        with("_meta twice", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{«M»,«M»}}"#, Error(-32602, Some("1")), 400),
        with("version claimed as number", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":7,"io.modelcontextprotocol/clientCapabilities":{}}}}"#, Error(-32602, Some("1")), 400),
        with("no client capabilities", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#, Error(-32602, Some("1")), 400),
        with("cursor number", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":5,«M»}}"#, Error(-32602, Some("1")), 200),
        with("cursor never issued", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"x",«M»}}"#, Error(-32602, Some("1")), 200),
        with("cursor empty", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"",«M»}}"#, Error(-32602, Some("1")), 200),
        calls("call without name", r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{«M»}}"#, Error(-32602, Some("1")), 200),
        calls("call with name number", r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7,«M»}}"#, Error(-32602, Some("1")), 200),
        calls("call with name twice", r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b",«M»}}"#, Error(-32602, Some("1")), 200),
        Case { tool: Some("nobody"), ..calls("unknown tool", r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"nobody",«M»}}"#, Error(-32602, Some("1")), 200) },
        Case { tool: Some("nobody"), ..calls("call with arguments array", r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"nobody","arguments":[],«M»}}"#, Error(-32602, Some("1")), 200) },
        // A version or method that this server does not have.
        Case { method: "no/such", ..with("unknown method", r#"{"jsonrpc":"2.0","id":1,"method":"no/such","params":{«M»}}"#, Error(-32601, Some("1")), 404) },
        Case { method: "initialize", ..with("handshake with a modern claim", r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{«M»}}"#, Error(-32601, Some("1")), 404) },
        Case { method: "ping", ..with("method of another era", r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{«M»}}"#, Error(-32601, Some("1")), 404) },
        // Messages that get no answer.
        with("notification", r#"{"jsonrpc":"2.0","method":"notifications/unheard_of","params":{«M»}}"#, Silence, 202),
        calls("call as a notification", r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"nobody",«M»}}"#, Silence, 202),
        // Messages that look bad but are valid.
        with("id beyond double precision", r#"{"jsonrpc":"2.0","id":9007199254740993,"method":"tools/list","params":{«M»}}"#, Result("9007199254740993"), 200),
        with("id negative", r#"{"jsonrpc":"2.0","id":-7,"method":"tools/list","params":{«M»}}"#, Result("-7"), 200),
        with("id with escapes", r#"{"jsonrpc":"2.0","id":"\u0041\n\"","method":"tools/list","params":{«M»}}"#, Result(r#""\u0041\n\"""#), 200),
        with("escaped keys and method", r#"{"jsonrp\u0063":"2.0","id":1,"m\u0065thod":"tools\/list","params":{«M»}}"#, Result("1"), 200),
        with("members in another order", r#"{"params":{«M»},"method":"tools/list","id":1,"jsonrpc":"2.0"}"#, Result("1"), 200),
        with("byte order mark", "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{«M»}}", Result("1"), 200),
        with("byte order mark and a line end of Windows", "\u{feff}\t {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{«M»}}\r", Result("1"), 200),
        with("null for optional members", r#"{"jsonrpc":"2.0","id":1,"result":null,"error":null,"method":"tools/list","params":{"cursor":null,«M»}}"#, Result("1"), 200),
        with("unknown members, repeated", r#"{"jsonrpc":"2.0","id":1,"x":1,"x":[{}],"method":"tools/list","params":{"y":null,"y":0,«M»}}"#, Result("1"), 200),
        with("white space everywhere", "\t{ \"jsonrpc\" : \"2.0\" , \"id\" : 1 , \"method\" : \"tools/list\" , \"params\" : { «M» } } \r", Result("1"), 200),
        with("unknown numbers of any size", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"x":1e400,"y":-0.0E-99999,«M»}}"#, Result("1"), 200),
    ]
}

/// A request whose parameters contain `depth` nested arrays; the envelope adds two levels.
fn deep(depth: usize) -> Vec<u8> {
    let nest = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    modern(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"x":{nest},«M»}}}}"#))
}
