use super::*;
use crate::auth::{Access, ApiKey, Authenticated, Shown, digest};
use crate::exchange::{Carrier, answer};
use crate::json::{Sink, Slice};
use crate::mcp::Server;
use crate::tool::{Entry, Tables};

static TOOLS: [Entry<'static>; 2] = [Entry::new("erase", &[]), Entry::new("format", &[])];
static OFFERS: Tables<'static> = Tables::of_tools(&TOOLS);
static SERVER: Server<'static> = Server::new("board", "1", &OFFERS);
const SURE: &str = r#"{"sure":{"method":"elicitation/create","params":{"mode":"form","message":"Sure?"}}}"#;
const CAPABLE: &str = r#"{"elicitation":{}}"#;
const YES: &str = r#"{"sure":{"action":"accept","content":{"yes":true}}}"#;

/// One try of a call.
#[derive(Clone, Copy)]
struct Try<'t> {
    tool: &'t str,
    arguments: &'t str,
    capabilities: &'t str,
    responses: &'t str,
    state: &'t str,
    who: Authenticated<'t>,
    now: u64,
}

const FIRST: Try<'static> = Try {
    tool: "erase",
    arguments: r#"{"sector":1}"#,
    capabilities: CAPABLE,
    responses: "{}",
    state: "null",
    who: Authenticated::anonymous(&Access::Anonymous),
    now: 1000,
};

/// Passes the answer to `check`: the handler asks, and says what was answered.
fn tried<T>(call: Try<'_>, check: impl FnOnce(Value<'_>) -> T) -> T {
    let (mut request, mut written, mut sent) = ([0; 1024], [0; 1024], [0; 1024]);
    let mut out = Slice::new(&mut request);
    for piece in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":""#,
        call.tool,
        r#"","arguments":"#,
        call.arguments,
        r#","inputResponses":"#,
        call.responses,
        r#","requestState":"#,
        call.state,
        r#","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":"#,
        call.capabilities,
        "}}}",
    ] {
        out.put(piece.as_bytes()).unwrap();
    }
    let key = Key::new([7; 32]);
    let questions = Questions::new(&OFFERS, &key, call.now);
    let mut result = Slice::new(&mut written);
    let body = out.written();
    let reply = answer(&SERVER, &call.who, Carrier::Line(None), body, &mut result, |call, out| {
        match questions.answered(&call) {
            None => questions.ask(&call, out, SURE, b"step 1"),
            Some(answered) => {
                assert_eq!(answered.state(), b"step 1");
                let yes = answered.accepted("sure").and_then(|form| form.member("yes")?.bool());
                out.text(if yes == Some(true) { "erased" } else { "kept" })
            }
        }
    });
    let reply = reply.expect("an answer");
    let len = reply.emit(&SERVER, body, result.written()).fill(&mut sent);
    check(Value::parse(&sent[..len]).expect("JSON"))
}

/// The state of a first try, with its quotes.
fn asked(call: Try<'_>, state: &mut [u8; 256]) -> usize {
    tried(call, |answer| {
        let result = answer.member("result").expect("a result");
        assert!(result.member("resultType").unwrap().text().unwrap().is("input_required"));
        assert_eq!(result.member("inputRequests").unwrap().raw(), SURE.as_bytes());
        let given = result.member("requestState").expect("a state").raw();
        state[..given.len()].copy_from_slice(given);
        given.len()
    })
}

/// Returns the answer of the tool, or `None` if it has asked again.
fn said(call: Try<'_>) -> Option<bool> {
    tried(call, |answer| {
        let content = answer.member("result").expect("a result").member("content")?;
        Some(content.raw().windows(6).any(|window| window == b"erased"))
    })
}

#[test]
fn answer_counts_for_the_call_that_has_asked_and_for_no_other() {
    let keys = [ApiKey::new("ada", digest(b"first")), ApiKey::new("bob", digest(b"second"))];
    let caller = |secret: &'static [u8]| Shown::new(secret).check(&keys).expect("a known key");
    let mut state = [0; 256];
    let first = Try { who: caller(b"first"), ..FIRST };
    let len = asked(first, &mut state);
    let state = core::str::from_utf8(&state[..len]).unwrap();
    let again = Try { state, responses: YES, ..first };
    assert_eq!(said(again), Some(true));
    for (other, why) in [
        (Try { tool: "format", ..again }, "another tool"),
        (Try { arguments: r#"{"sector":2}"#, ..again }, "other arguments"),
        (Try { who: caller(b"second"), ..again }, "another caller"),
        (Try { who: FIRST.who, ..again }, "an anonymous caller"),
        (Try { now: again.now + ASKED_SECONDS + 1, ..again }, "expired"),
        (Try { state: "null", ..again }, "no state"),
        (Try { state: "7", ..again }, "not a string"),
        (Try { state: "\"AAAA\"", ..again }, "another state"),
    ] {
        assert_eq!(said(other), None, "{why}");
    }
    assert_eq!(said(Try { now: again.now + ASKED_SECONDS, ..again }), Some(true), "the last second");
}

#[test]
fn only_a_form_that_the_user_has_accepted_is_an_answer() {
    let mut state = [0; 256];
    let len = asked(FIRST, &mut state);
    let state = core::str::from_utf8(&state[..len]).unwrap();
    for (responses, erased) in [
        (YES, true),
        (r#"{"sure":{"action":"accept","content":{"yes":false}}}"#, false),
        (r#"{"sure":{"action":"decline"}}"#, false),
        (r#"{"sure":{"action":"decline","content":{"yes":true}}}"#, false),
        (r#"{"sure":{"action":"accept","action":"decline","content":{"yes":true}}}"#, false),
        (r#"{"other":{"action":"accept","content":{"yes":true}}}"#, false),
        ("{}", false),
        ("[]", false),
    ] {
        assert_eq!(said(Try { state, responses, ..FIRST }), Some(erased), "{responses}");
    }
}

#[test]
fn client_without_the_capability_gets_an_error_that_names_it() {
    for capabilities in ["{}", r#"{"sampling":{}}"#] {
        tried(Try { capabilities, ..FIRST }, |answer| {
            let error = answer.member("error").expect("an error");
            assert_eq!(error.member("code").unwrap().raw(), b"-32021");
            let data = error.member("data").unwrap().raw();
            assert_eq!(data, br#"{"requiredCapabilities":{"elicitation":{}}}"#);
        });
    }
}
