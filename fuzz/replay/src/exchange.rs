//! A whole exchange with a small application: whatever comes in, what goes out is a good answer to it, or nothing.

use crate::document::Document;
use crate::envelope::{Model, Verdict};
use attache_core::auth::{Access, Authenticated};
use attache_core::era::Version;
use attache_core::exchange::{Origin, Reply, answer};
use attache_core::http::Facts;
use attache_core::json::{Escaped, Sink, Slice, Text, Value};
use attache_core::mcp::Server;
use attache_core::tool::{Operation, Output, Tables, ToolError, ToolResult};

/// Any message over any carrier is answered as the protocol says, the same each time, through buffers of any size.
///
/// The first byte of the input chooses the carrier, so that seeds can begin with a digit: `0` is a line without a
/// handshake, `1` a line that has agreed on 2025-11-25, `2` an HTTP request whose header lines come first, up to a
/// blank one. What follows is the body.
///
/// # Panics
/// Where it is not.
pub fn exchange(input: &[u8]) {
    let Some((carrier, rest)) = input.split_first() else { return };
    match carrier % 3 {
        0 => check(&Request { origin: Origin::Line(None), headers: &[], body: rest }),
        1 => check(&Request { origin: Origin::Line(Some(Version::V2025_11_25)), headers: &[], body: rest }),
        _ => {
            let (headers, body) = head(rest);
            let mut facts = Facts::new(b"POST");
            headers.iter().for_each(|(name, value)| facts.note(name, value));
            check(&Request { origin: Origin::Http(&facts), headers: &headers, body });
        }
    }
}

type Header<'a> = (&'a [u8], &'a [u8]);

/// Cuts the lines `name: value` off the front, up to a blank line.
fn head(mut rest: &[u8]) -> (Vec<Header<'_>>, &[u8]) {
    let mut headers = Vec::new();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, behind) = (rest[..end].trim_ascii_end(), &rest[end + 1..]);
        rest = behind;
        if line.is_empty() {
            break;
        }
        if let Some(colon) = line.iter().position(|byte| *byte == b':') {
            headers.push((&line[..colon], &line[colon + 1..]));
        }
    }
    (headers, rest)
}

struct Request<'a> {
    origin: Origin<'a>,
    headers: &'a [Header<'a>],
    body: &'a [u8],
}

/// What was sent, and how it came about.
#[derive(Clone, Debug, PartialEq)]
struct Sent {
    status: u16,
    bytes: Vec<u8>,
    agreed: Option<Version>,
    /// The tool that ran.
    tool: Option<usize>,
    /// How much of the buffer was used.
    written: usize,
}

fn check(request: &Request<'_>) {
    // An echoed text is never longer than the body it stood in.
    let reference = run(request, request.body.len() + 4096, &[4096, 1, 7]);
    assert_eq!(run(request, request.body.len() + 4096, &[4096]), reference, "asked twice");
    let sizes = reference.as_ref().map_or(0, |sent| sent.written);
    for size in [0, 40, 200, 4096, sizes, sizes.saturating_sub(1)] {
        let sent = run(request, size, &[4096]);
        match (&reference, &sent) {
            (Some(whole), Some(sent)) if size < whole.written => {
                let reply = good_reply(sent);
                assert_eq!(reply.at(&["error", "code"]).and_then(Document::whole), Some(-32603), "cut: {reply:?}");
                assert_eq!(reply.get("id"), good_reply(whole).get("id"));
                assert_eq!(sent.written, 0, "a piece of the result is left");
            }
            _ => assert_eq!(
                sent.as_ref().map(|sent| (sent.status, &sent.bytes)),
                reference.as_ref().map(|sent| (sent.status, &sent.bytes)),
                "a buffer of {size}"
            ),
        }
    }
    fits(request, reference.as_ref());
}

/// Asks once, with room for `size` bytes of a tool's result, and sends the answer through buffers of each size in
/// `pieces`.
fn run(request: &Request<'_>, size: usize, pieces: &[usize]) -> Option<Sent> {
    let mut buffer = vec![0xAA; size];
    let mut out = Slice::new(&mut buffer);
    let mut tool = None;
    let who = Authenticated::anonymous(&Access::Anonymous);
    let reply = answer(&SERVER, &who, request.origin, request.body, &mut out, |call, output| {
        tool = match call.operation() {
            Operation::Tool(tool) => Some(tool),
            _ => None,
        };
        demo::dispatch(&Demo, call, output)
    })?;
    let mut sent = pieces.iter().map(|size| emitted(&reply, request.body, out.written(), *size));
    let bytes = sent.next().expect("one size");
    sent.for_each(|again| assert_eq!(again, bytes, "sent in other pieces"));
    Some(Sent { status: reply.status(), bytes, agreed: reply.agreed(), tool, written: out.len() })
}

fn emitted(reply: &Reply, body: &[u8], written: &[u8], size: usize) -> Vec<u8> {
    let mut emission = reply.emit(&SERVER, body, written);
    let promised = emission.len();
    let mut bytes = Vec::with_capacity(promised);
    let mut piece = vec![0; size];
    loop {
        let filled = emission.fill(&mut piece);
        if filled == 0 {
            break;
        }
        bytes.extend_from_slice(&piece[..filled]);
        if size > 1 {
            assert_eq!(emission.len() + bytes.len(), promised);
        }
    }
    assert!(emission.is_empty());
    assert_eq!(bytes.len(), promised);
    bytes
}

/// Checks the form of an answer, whatever it answers.
fn good_reply(sent: &Sent) -> Document {
    let reply = Document::ours(&sent.bytes, |_| {}).unwrap_or_else(|error| panic!("{error}: {sent:?}"));
    match Document::theirs(&sent.bytes) {
        Ok(theirs) => assert_eq!(reply, theirs),
        // An integer id of any length is echoed.
        Err(error) => assert!(error.to_string().starts_with("number out of range"), "{error}: {sent:?}"),
    }
    let Document::Object(members) = &reply else { panic!("{reply:?}") };
    let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    assert!(
        matches!(names[..], ["jsonrpc", "id", "result"] | ["jsonrpc", "id", "error"] | ["jsonrpc", "error"]),
        "{names:?}"
    );
    assert_eq!(reply.get("jsonrpc").and_then(Document::string), Some("2.0"));
    match reply.get("error") {
        Some(error) => {
            let code = error.get("code").and_then(Document::whole);
            let codes = [-32700, -32600, -32601, -32602, -32603, -32020, -32022];
            assert!(code.is_some_and(|code| codes.contains(&code)), "{reply:?}");
            assert!(error.get("message").and_then(Document::string).is_some_and(|text| !text.is_empty()), "{reply:?}");
            assert!(matches!(sent.status, 200 | 400 | 404 | 413), "{sent:?}");
            assert!(sent.status != 404 || code == Some(-32601), "{sent:?}");
        }
        None => {
            assert_eq!(sent.status, 200);
            assert!(matches!(reply.get("result"), Some(Document::Object(_))), "{reply:?}");
        }
    }
    reply
}

/// Checks that an answer, or silence, is what the message deserves.
fn fits(request: &Request<'_>, sent: Option<&Sent>) {
    let reply = sent.map(good_reply);
    let code = reply.as_ref().and_then(|reply| reply.at(&["error", "code"])).and_then(Document::whole);
    let id = reply.as_ref().and_then(|reply| reply.get("id"));
    if Value::parse(request.body).is_err() {
        assert_eq!((code, id), (Some(-32700), None));
        return;
    }
    assert_ne!(code, Some(-32700));
    match Model::read(request.body) {
        Model::Known(Verdict::Notification, _) => assert_eq!(reply, None, "a notification is never answered"),
        Model::Known(Verdict::Answer, _) => {
            assert!(
                reply.is_none() || (matches!(request.origin, Origin::Http(_)) && code == Some(-32600)),
                "{reply:?}"
            );
        }
        Model::Known(Verdict::Refused(_, expected), _) => assert_eq!((code, id), (Some(-32600), expected.as_ref())),
        Model::Known(Verdict::Request(expected, method), params) => {
            assert_eq!(id, Some(&expected));
            if params.is_err() {
                assert_eq!(code, Some(-32602));
            }
            if let (Some(sent), Some(result)) = (sent, reply.as_ref().and_then(|reply| reply.get("result"))) {
                good_result(request, &method, sent, result);
            }
        }
        Model::Ambiguous => assert_eq!(code, Some(-32600)),
        Model::RepeatedElsewhere => assert_ne!(reply.as_ref().map(|reply| reply.get("result").is_some()), Some(true)),
    }
}

/// Checks a result against the request, read again by the slow reader.
fn good_result(request: &Request<'_>, method: &str, sent: &Sent, result: &Document) {
    let document = Document::ours(request.body, |_| {}).expect("read before");
    let param = |path: &[&str]| document.get("params").and_then(|params| params.at(path));
    let claim = param(&["_meta", "io.modelcontextprotocol/protocolVersion"]);
    assert!(claim.is_none() || claim.and_then(Document::string) == Some("2026-07-28"), "{claim:?}");
    let modern = claim.is_some();
    assert_eq!(result.get("resultType").and_then(Document::string), modern.then_some("complete"));
    assert_eq!(sent.tool.is_some(), method == "tools/call");
    assert_eq!(sent.agreed.is_some(), method == "initialize");
    let served = match method {
        "initialize" => !modern,
        "ping" => !modern,
        "server/discover" => modern,
        "tools/list" | "tools/call" => modern || !matches!(request.origin, Origin::Line(None)),
        _ => false,
    };
    assert!(served, "{method}");

    let name = param(&["name"]).and_then(Document::string);
    if let Origin::Http(_) = request.origin {
        if modern {
            // MCP 2026-07-28 streamable-http: a proxy has decided by these headers, so they hold for the body.
            assert_eq!(header(request, "MCP-Protocol-Version").as_deref(), Some(&b"2026-07-28"[..]));
            assert_eq!(header(request, "Mcp-Method").as_deref(), Some(method.as_bytes()));
            if method == "tools/call" {
                let mirrored = header(request, "Mcp-Name").map(unwrapped);
                assert_eq!(mirrored.as_deref(), name.map(str::as_bytes));
            }
        } else if method != "initialize" {
            assert_eq!(header(request, "MCP-Protocol-Version").as_deref(), Some(&b"2025-11-25"[..]));
        }
    }
    match method {
        "initialize" => {
            assert_eq!(result.get("protocolVersion").and_then(Document::string), Some("2025-11-25"));
        }
        "tools/list" => {
            let first = result.get("tools").and_then(Document::first).and_then(|tool| tool.get("name"));
            assert_eq!(first.and_then(Document::string), Some("echo"));
        }
        "tools/call" => {
            let tool = sent.tool.and_then(|tool| demo::TOOLS.get(tool)).expect("a tool of the table");
            assert_eq!(name, Some(tool.key()));
            good_call(tool.key(), param(&["arguments"]), result);
        }
        _ => {}
    }
}

/// Checks what a tool says, given its arguments.
fn good_call(tool: &str, arguments: Option<&Document>, result: &Document) {
    let said = result.get("content").and_then(Document::first).and_then(|block| block.get("text"));
    let said = said.and_then(Document::string).expect("one block of text");
    let failed = result.get("isError") == Some(&Document::Bool(true));
    let members = match arguments {
        Some(Document::Object(members)) => members.as_slice(),
        _ => &[],
    };
    match (tool, members) {
        ("echo", [(name, Document::String(text))]) if name == "text" => {
            assert_eq!((failed, said), (false, text.as_str()))
        }
        ("echo", _) => assert!(failed, "{said}"),
        ("add", [(one, first), (other, second)]) if (one == "a" && other == "b") || (one == "b" && other == "a") => {
            let small = |number: &Document| number.whole().and_then(|whole| i64::try_from(whole).ok());
            match (first, second) {
                (Document::Number(_), Document::Number(_)) => {}
                _ => assert!(failed, "{said}"),
            }
            if let (Some(first), Some(second)) = (small(first), small(second)) {
                match first.checked_add(second) {
                    Some(sum) => assert_eq!((failed, said), (false, sum.to_string().as_str())),
                    None => assert_eq!((failed, said), (true, OVERFLOW)),
                }
            }
        }
        ("add", _) => assert!(failed, "{said}"),
        _ => panic!("{tool}"),
    }
}

/// The value of a header that is there once.
fn header(request: &Request<'_>, name: &str) -> Option<Vec<u8>> {
    let mut values = request.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()));
    match (values.next(), values.next()) {
        (Some((_, value)), None) => Some(value.trim_ascii().to_vec()),
        _ => None,
    }
}

/// The name that a header stands for: the inside of `=?base64?…?=` decoded, anything else as it is.
fn unwrapped(value: Vec<u8>) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let Some(encoded) = value.strip_prefix(b"=?base64?").and_then(|rest| rest.strip_suffix(b"?=")) else {
        return value;
    };
    let digits = encoded.iter().filter(|char| **char != b'=');
    let bits: String = digits
        .map(|char| format!("{:06b}", ALPHABET.iter().position(|known| known == char).expect("Base64")))
        .collect();
    let bytes = bits.as_bytes().chunks_exact(8);
    bytes.map(|byte| u8::from_str_radix(core::str::from_utf8(byte).expect("bits"), 2).expect("bits")).collect()
}

attache_core::args! { struct Echo<'a> { /** what to say */ text: Text<'a> } }
attache_core::args! { struct Add { /** one summand */ a: i64, /** the other */ b: i64 } }
attache_core::tools! { mod demo for Demo {
    /// Say it again
    #[read_only] fn echo(Echo<'_>);
    /// The sum of two integers
    #[read_only] #[idempotent] fn add(Add);
} }

struct Demo;

impl Demo {
    fn echo(&self, said: Echo<'_>, out: &mut Output<'_>) -> ToolResult {
        out.text_with(|block| block.echo(said.text))
    }

    fn add(&self, summands: Add, out: &mut Output<'_>) -> ToolResult {
        match summands.a.checked_add(summands.b) {
            Some(sum) => {
                out.text(&sum.to_string())?;
                out.text("that is all")
            }
            None => {
                out.text("not sent")?;
                Err(ToolError::Failed(OVERFLOW))
            }
        }
    }
}

const OVERFLOW: &str = "the sum is beyond 64 bits";

static SERVER: Server<'static> = Server::new(
    Escaped::new("demo").expect("plain"),
    Escaped::new("1.0").expect("plain"),
    &const { Tables::of_tools(demo::TOOLS) },
);
