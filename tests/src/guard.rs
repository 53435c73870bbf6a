//! A device with authentication: keys and tokens checked against its flash, and a flood of forged
//! tokens that must not block it.

use crate::device::{Topics, on, topics};
use crate::endpoint::guarded;
use crate::implementations::{Answering, Http, headers};
use crate::journal::Memory;
use crate::modern::request;
use crate::tokens::{HEADER, NOW, RULES, key, token};
use attache_core::auth::{Access, ApiKey, Authenticated, Denied, Gate, Rules, digest};
use attache_core::embassy::{Deadlines, Guard, Line, SignatureBudget, TokenSlot, Tokens, WallClock, keep_time};
use attache_core::http::Resource;
use attache_core::journal::Journal;
use attache_core::mcp::Server;
use attache_core::tool::{Nothing, Output, Tables, ToolResult};
use serde_json::{Value, json};
use std::sync::Mutex;

struct Valve;

attache_core::tools! { pub mod tools for Valve {
    /// Look at it
    #[read_only] fn look(Nothing);
    /// Open it
    #[scope("read")] #[scope("valve.open")] fn open(Nothing);
} }

impl Valve {
    fn look(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.text("closed")
    }
    fn open(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.text("open")
    }
}

const OFFERS: &Tables<'static> = &Tables::of_tools(tools::TOOLS);
static SERVER: Server<'static> = Server::new("valve", "1", OFFERS);
static HIDING: Server<'static> = Server::new("valve", "1", OFFERS).hide_forbidden();

const SECRET: &str = "a key that nobody guesses";

/// The reasons of denials.
static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn log(denied: &Denied<'_>) {
    LOG.lock().expect("not poisoned").push(denied.to_string());
}

fn board(callers: impl FnOnce() -> (Gate, Guard<'static>) + Send + 'static) -> Http {
    board_of(&SERVER, callers)
}

fn board_of(
    server: &'static Server<'static>,
    callers: impl FnOnce() -> (Gate, Guard<'static>) + Send + 'static,
) -> Http {
    let topics: &'static Topics = Box::leak(Box::new(topics()));
    guarded(server, topics, 3, Deadlines::DEFAULT, callers, async |call, out| tools::dispatch(&Valve, call, out))
}

fn keys() -> &'static [ApiKey] {
    Box::leak(Box::new([ApiKey::new("spare", digest(b"another")), ApiKey::new("hand", digest(SECRET.as_bytes()))]))
}

/// Makes a clock that has just been set.
fn at(time: u64) -> &'static WallClock {
    let clock = Box::leak(Box::new(WallClock::new(0)));
    assert!(clock.set(time));
    clock
}

/// Accepts the tokens of the tests' issuer, at the time of `clock`.
fn tokens(clock: &'static WallClock) -> &'static Tokens<'static> {
    let issuer_keys = Box::leak(Box::new([("k1", key())]));
    Box::leak(Box::new(Tokens {
        resource: Resource::new("https://api.example/mcp").expect("a URL"),
        rules: Rules { scopes_in: None, ..RULES },
        issuer_keys,
        scopes: &["read"],
        clock,
        seen: Box::leak(Box::new([const { TokenSlot::new() }; 2])),
        ration: Box::leak(Box::new(SignatureBudget::new())),
    }))
}

fn call(board: &Http, tool: &str, credentials: &[(&str, &str)]) -> Answering {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool}});
    send(board, "2025-11-25", credentials, &body)
}

fn send(board: &Http, version: &str, credentials: &[(&str, &str)], body: &Value) -> Answering {
    let headers = [
        &[("host", "localhost"), ("content-type", "application/json"), ("mcp-protocol-version", version)],
        credentials,
    ]
    .concat();
    board.open(&headers, body.to_string().as_bytes())
}

fn post(board: &Http, version: &str, credentials: &[(&str, &str)], body: &Value) -> Value {
    serde_json::from_slice(&send(board, version, credentials, body).rest()).expect("JSON")
}

fn with(board: &Http, tool: &str, token: &str) -> Answering {
    call(board, tool, &[("authorization", &format!("Bearer {token}"))])
}

fn claims(changes: &[(&str, Value)]) -> String {
    let mut claims = json!({
        "iss": "https://id.example", "sub": "ada", "aud": "https://api.example/mcp", "exp": NOW + 600, "azp": "app", "scp": "read",
    });
    changes.iter().for_each(|(name, value)| claims[*name] = value.clone());
    claims.to_string()
}

fn good(changes: &[(&str, Value)]) -> String {
    token(HEADER, &claims(changes))
}

#[test]
fn key_opens_a_device_and_its_refusal_names_the_header() {
    let board = board(|| (Gate::Key, Guard { keys: keys(), tokens: None, denied: log }));
    assert_eq!(call(&board, "open", &[("x-functions-key", SECRET)]).status, 200, "a key has no scopes");
    for wrong in [&[][..], &[("x-functions-key", "wrong")]] {
        let refused = call(&board, "look", wrong);
        let challenge = refused.header("www-authenticate");
        assert_eq!((refused.status, challenge), (401, Some(r#"Key realm="mcp", header="x-functions-key""#)));
        let answer: Value = serde_json::from_slice(&refused.rest()).expect("JSON");
        assert!(answer["error"]["message"].as_str().is_some_and(|said| said.contains("X-Functions-Key")), "{answer}");
    }
}

#[test]
fn guest_of_a_device_may_use_tools_without_a_scope_and_gets_a_challenge_for_the_others() {
    let board = board(|| (Gate::Optional, Guard { keys: &[], tokens: Some(tokens(at(NOW))), denied: log }));
    for (client, (token, look, open)) in (1..).zip([
        (None, 200, 401),
        (Some(good(&[("exp", json!(1))])), 200, 401),
        (Some(good(&[])), 200, 403),
        (Some(good(&[("scp", json!("read valve.open"))])), 200, 200),
        (Some(good(&[("azp", json!("other"))])), 403, 403),
    ]) {
        // Each caller has its own address, because each address has its own rate limit for
        // signatures.
        let board = board.from([127, 0, 0, client].into());
        let bearer = token.as_ref().map(|token| format!("Bearer {token}"));
        let credentials: Vec<_> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
        let statuses = ["look", "open"].map(|tool| call(&board, tool, &credentials).status);
        assert_eq!(statuses, [look, open], "{token:?}");
    }
    let refused = call(&board, "open", &[]);
    let challenge = refused.header("www-authenticate").expect("a challenge");
    assert!(
        challenge.starts_with("Bearer resource_metadata=") && challenge.ends_with(r#", scope="read valve.open""#),
        "{challenge}"
    );
}

#[test]
fn token_opens_a_device_within_its_scopes_and_a_caller_without_one_gets_a_challenge() {
    let board = board(|| (Gate::Token, Guard { keys: &[], tokens: Some(tokens(at(NOW))), denied: log }));
    assert_eq!(with(&board, "look", &good(&[])).status, 200);
    let refused = with(&board, "open", &good(&[]));
    let resource = "https://api.example/.well-known/oauth-protected-resource/mcp";
    let challenge =
        format!(r#"Bearer error="insufficient_scope", resource_metadata="{resource}", scope="read valve.open""#);
    assert_eq!((refused.status, refused.header("www-authenticate")), (403, Some(challenge.as_str())));
    assert_eq!(with(&board, "open", &good(&[("scp", json!("read valve.open"))])).status, 200);
    let refused = call(&board, "look", &[]);
    let challenge = format!(r#"Bearer resource_metadata="{resource}", scope="read""#);
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some(challenge.as_str())));
    for path in ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"] {
        let metadata = board.open_at("GET", path, &[("host", "localhost")], b"");
        assert_eq!(metadata.status, 200);
        let metadata: Value = serde_json::from_slice(&metadata.rest()).expect("JSON");
        assert_eq!(metadata["authorization_servers"], json!(["https://id.example"]));
        assert_eq!(metadata["resource"], "https://api.example/mcp");
    }
    assert_eq!(board.open_at("GET", "/.well-known/other", &[("host", "localhost")], b"").status, 404);
}

#[test]
fn device_that_hides_forbidden_tools_lists_to_each_caller_what_it_may_use() {
    let callers = || (Gate::Optional, Guard { keys: &[], tokens: Some(tokens(at(NOW))), denied: log });
    let board = board_of(&HIDING, callers);
    let authorized = |scopes: &str| format!("Bearer {}", good(&[("scp", json!(scopes))]));
    for (credentials, expected) in [
        (None, &["look"][..]),
        (Some(authorized("read")), &["look"]),
        (Some(authorized("read valve.open")), &["look", "open"]),
    ] {
        let credentials: Vec<_> = credentials.iter().map(|value| ("authorization", value.as_str())).collect();
        let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
        let batched = post(&board, "2025-03-26", &credentials, &json!([list]));
        for result in [&post(&board, "2025-11-25", &credentials, &list)["result"], &batched[0]["result"]] {
            let tools = result["tools"].as_array().expect("tools");
            assert_eq!(tools.iter().map(|tool| tool["name"].as_str().expect("a name")).collect::<Vec<_>>(), expected);
        }
        let modern = request(1, "tools/list", json!({}));
        let headers = [headers("tools/list", None), credentials.clone()].concat();
        let answer = board.open(&headers, modern.to_string().as_bytes()).rest();
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        assert_eq!(answer["result"]["cacheScope"], "private", "{answer}");
        assert_eq!(answer["result"]["tools"].as_array().expect("tools").len(), expected.len());
    }
}

#[test]
fn line_whose_server_hides_forbidden_tools_lists_what_its_caller_may_use() {
    for (access, expected) in [(Access::Guest, 1), (Access::Anonymous, 2)] {
        let line = Line::new(&HIDING).caller(Authenticated::anonymous(&access));
        on::<512, 0, _>(
            64,
            line,
            async |call, out| tools::dispatch(&Valve, call, out),
            |mut line| async move {
                let answer = line.ask(&request(1, "tools/list", json!({}))).await;
                assert_eq!(answer["result"]["tools"].as_array().expect("tools").len(), expected, "{answer}");
            },
        );
    }
}

#[test]
fn invalid_token_is_refused_and_the_device_knows_the_reason() {
    let board = board(|| (Gate::Token, Guard { keys: &[], tokens: Some(tokens(at(NOW))), denied: log }));
    let other = r#"{"alg":"ES256","kid":"other"}"#;
    for (token, why) in [
        (good(&[("exp", json!(NOW - 61))]), "the token expired 1 s ago"),
        (good(&[("aud", json!("https://other.example"))]), "which is not this server"),
        (good(&[("iss", json!("https://evil.example"))]), "which is not believed"),
        (token(other, &claims(&[])), "the issuer has no key"),
        ("nonsense".to_owned(), "not a signed one"),
    ] {
        assert_eq!(with(&board, "look", &token).status, 401, "{why}");
        let log = LOG.lock().expect("not poisoned");
        assert!(log.iter().any(|line| line.contains(why)), "{why}: {log:?}");
    }
}

#[test]
fn flood_of_forged_tokens_hits_the_rate_limit_and_known_callers_continue() {
    let board = board(|| (Gate::Token, Guard { keys: &[], tokens: Some(tokens(at(NOW))), denied: log }));
    let seen = good(&[]);
    assert_eq!(with(&board, "look", &seen).status, 200);
    let mut statuses = Vec::new();
    for number in 0..30 {
        let forged = good(&[("sub", json!(number))]);
        let (front, _) = forged.rsplit_once('.').expect("three parts");
        let subject = good(&[("sub", json!(number.to_string()))]);
        let (other, _) = subject.rsplit_once('.').expect("three parts");
        let signature = seen.rsplit_once('.').expect("three parts").1;
        // A claim that is not a string costs no signature check; the other token does.
        assert_eq!(with(&board, "look", &format!("{front}.{signature}")).status, 401);
        statuses.push(with(&board, "look", &format!("{other}.{signature}")).status);
        assert_eq!(with(&board, "look", &seen).status, 200);
    }
    assert!(statuses.contains(&401) && statuses.contains(&429), "{statuses:?}");
    assert!(statuses.iter().filter(|status| **status == 401).count() < 15, "{statuses:?}");
}

#[test]
fn flood_from_one_address_leaves_signatures_for_another() {
    let board = board(|| (Gate::Token, Guard { keys: &[], tokens: Some(tokens(at(NOW))), denied: log }));
    let signature = good(&[]).rsplit_once('.').expect("three parts").1.to_owned();
    let mut cut_off = 0;
    for number in 0..20 {
        if number == 10 {
            std::thread::sleep(::core::time::Duration::from_millis(1000));
        }
        let claimed = good(&[("sub", json!(format!("forged {number}")))]);
        let forged = format!("{}.{signature}", claimed.rsplit_once('.').expect("three parts").0);
        cut_off += usize::from(with(&board, "look", &forged).status == 429);
        if number % 10 == 9 {
            let fresh = good(&[("sub", json!(format!("honest {number}")))]);
            let headers = [
                ("host", "localhost"),
                ("content-type", "application/json"),
                ("mcp-protocol-version", "2025-11-25"),
                ("authorization", &format!("Bearer {fresh}")),
            ];
            let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"look"}}"#;
            assert_eq!(
                board.from([127, 0, 0, 2].into()).open(&headers, body).status,
                200,
                "behind {number} forged tokens"
            );
        }
    }
    assert!(cut_off > 5, "{cut_off}");
}

#[test]
fn without_a_clock_no_token_is_taken_and_one_that_was_seen_ends_with_its_time() {
    static CLOCK: WallClock = WallClock::new(1_000);
    let board = board(|| (Gate::Token, Guard { keys: &[], tokens: Some(tokens(&CLOCK)), denied: log }));
    assert_eq!(with(&board, "look", &good(&[])).status, 401);
    assert!(LOG.lock().expect("not poisoned").iter().any(|line| line.contains("the time is not known")));
    assert!(CLOCK.set(NOW));
    for _ in 0..2 {
        assert_eq!(with(&board, "look", &good(&[])).status, 200);
    }
    assert!(CLOCK.set(NOW + 661));
    assert_eq!(with(&board, "look", &good(&[])).status, 401);
}

#[test]
fn clock_knows_the_time_when_it_was_set_and_none_before_its_image_was_built() {
    let clock = WallClock::new(1_000_000);
    assert_eq!(clock.now(), None);
    assert!(!clock.set(999_999) && !clock.set(1 << 40));
    assert_eq!(clock.now(), None, "a time that cannot be is none");
    assert!(clock.set(1_000_500));
    assert!(clock.now().is_some_and(|now| (1_000_500..1_000_560).contains(&now)));
    assert!(!clock.set(1_000) && clock.now().is_some(), "what is refused changes nothing");
}

#[tokio::test(start_paused = true)]
async fn newest_time_that_an_issuer_signed_outlives_a_restart() {
    let memory = Memory::new(u32::MAX);
    let clock = at(NOW);
    let (journal, _) = Journal::open(memory.clone(), 0).expect("it is written");
    assert_eq!(journal.time(), 0);
    let kept = keep_time(clock, journal);
    let kept = tokio::time::timeout(::core::time::Duration::from_millis(10), kept);
    let board = board(move || (Gate::Token, Guard { keys: &[], tokens: Some(tokens(clock)), denied: log }));
    assert_eq!(with(&board, "look", &good(&[("iat", json!(NOW - 7))])).status, 200);
    let _ = kept.await;
    let (journal, _) = Journal::open(memory, 0).expect("it is written");
    assert_eq!(u64::from(journal.time()), NOW - 7);
    assert!(!WallClock::new(journal.time()).set(NOW - 8), "before the newest time that is certain");
}

#[test]
fn time_goes_back_behind_no_token_that_was_taken() {
    static CLOCK: WallClock = WallClock::new(1_000);
    let board = board(|| (Gate::Token, Guard { keys: &[], tokens: Some(tokens(&CLOCK)), denied: log }));
    assert!(CLOCK.set(NOW));
    let forged = good(&[("iat", json!(NOW + 55)), ("sub", json!("eve"))]).replacen("eyJ", "eyK", 1);
    assert_eq!(with(&board, "look", &forged).status, 401);
    assert!(CLOCK.set(NOW - 500), "what nobody has signed says nothing of the time");
    assert!(CLOCK.set(NOW));
    assert_eq!(with(&board, "look", &good(&[("iat", json!(NOW + 50))])).status, 200);
    assert!(!CLOCK.set(NOW - 500));
    let old = good(&[("exp", json!(NOW - 120))]);
    assert_eq!(with(&board, "look", &old).status, 401);
}
