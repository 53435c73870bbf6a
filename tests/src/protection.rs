//! A host with authentication: tokens of an issuer that publishes its keys over HTTP, API keys, and
//! the form of refusals.

use crate::implementations::{Answering, Http, Response};
use crate::tokens::{base64url, signed_by};
use ::core::sync::atomic::{AtomicUsize, Ordering};
use ::core::time::Duration;
use attache_host::auth::{Auth, Issuer, Keys, Tokens};
use attache_host::{Ctx, NoArgs, Server, ServerBuilder, Tool, ToolError};
use axum::http::Uri;
use p256::ecdsa::SigningKey;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

pub(crate) const RESOURCE: &str = "https://api.example/base/mcp";
/// The paths of an issuer's metadata and of its keys in these tests.
const PLACE: &str = "/.well-known/openid-configuration";
pub(crate) const KEYS: &str = "/keys";
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

pub(crate) fn signing(number: u8) -> SigningKey {
    SigningKey::from_slice(&[number; 32]).expect("a key")
}

/// Returns a key set with the public halves of these keys, each named by its number.
pub(crate) fn jwks(numbers: &[u8]) -> String {
    let keys: Vec<Value> = numbers
        .iter()
        .map(|number| {
            let point = signing(*number).verifying_key().to_encoded_point(false);
            let [x, y] = [point.x(), point.y()].map(|half| base64url(half.expect("a point").as_slice()));
            json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": number.to_string(), "x": x, "y": y})
        })
        .collect();
    json!({"keys": keys}).to_string()
}

/// The claims of a good token of `issuer`, with these members instead of its own; `null` removes a
/// member.
pub(crate) fn claims(issuer: &str, changes: Value) -> String {
    let mut claims = json!({
        "iss": issuer, "sub": "ada", "aud": RESOURCE, "exp": now() + 600, "azp": "app", "scp": "use",
    });
    let all = claims.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        if value.is_null() {
            all.remove(name)
        } else {
            all.insert(name.clone(), value.clone())
        };
    }
    claims.to_string()
}

/// Makes a token signed by key `number`.
pub(crate) fn token(number: u8, issuer: &str, changes: Value) -> String {
    let header = json!({"alg": "ES256", "kid": number.to_string(), "typ": "at+jwt"}).to_string();
    signed_by(&signing(number), &header, &claims(issuer, changes))
}

/// A web site that an issuer runs.
#[derive(Clone)]
pub(crate) struct Site {
    pages: Arc<Mutex<HashMap<String, Page>>>,
    asked: Arc<AtomicUsize>,
    pub(crate) delay: Arc<Mutex<Duration>>,
}

/// The answer at a path.
#[derive(Clone, Default)]
struct Page {
    status: u16,
    location: Option<String>,
    body: String,
}

/// Starts a site on a free loopback port, and returns it with its URL.
pub(crate) fn site() -> (Site, String) {
    let site = Site { pages: Arc::default(), asked: Arc::default(), delay: Arc::default() };
    let (sender, receiver) = std::sync::mpsc::channel();
    let state = site.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            sender.send(listener.local_addr().expect("an address")).expect("the test waits");
            let answer = move |uri: Uri| {
                let state = state.clone();
                async move {
                    state.asked.fetch_add(1, Ordering::SeqCst);
                    let delay = *state.delay.lock().expect("not poisoned");
                    tokio::time::sleep(delay).await;
                    let pages = state.pages.lock().expect("not poisoned");
                    let nothing = Page { status: 404, ..Page::default() };
                    let Page { status, location, body } = pages.get(uri.path()).cloned().unwrap_or(nothing);
                    let mut response = axum::http::Response::builder().status(status);
                    if let Some(location) = location {
                        response = response.header("location", location);
                    }
                    response.body(body).expect("a response")
                }
            };
            axum::serve(listener, axum::Router::new().fallback(answer)).await.expect("serves for ever");
        });
    });
    let address = receiver.recv().expect("the site starts");
    (site, format!("http://{address}"))
}

impl Site {
    pub(crate) fn put(&self, path: &str, body: impl ToString) {
        self.answer(path, 200, None, body);
    }

    pub(crate) fn answer(&self, path: &str, status: u16, location: Option<String>, body: impl ToString) {
        let page = Page { status, location, body: body.to_string() };
        self.pages.lock().expect("not poisoned").insert(path.to_owned(), page);
    }

    /// Publishes metadata of `issuer` at `path`, and its keys.
    pub(crate) fn publish(&self, path: &str, issuer: &str, origin: &str, numbers: &[u8]) {
        self.put(path, json!({"issuer": issuer, "jwks_uri": format!("{origin}/keys")}));
        self.put("/keys", jwks(numbers));
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

pub(crate) fn tools(server: ServerBuilder) -> ServerBuilder {
    let who = |_: NoArgs, ctx: Ctx| async move {
        let caller = ctx.caller();
        Ok::<_, ToolError>(format!("{:?} {:?} {:?}", caller.subject(), caller.key_name(), caller.claim("scp")))
    };
    let write = Tool::new("write", "Needs more", |_: NoArgs, _: Ctx| async { "written" }).scope("use").scope("write");
    let run = Tool::new("run", "For operators", |_: NoArgs, _: Ctx| async { "ran" }).role("operator");
    server.tool("who", "Who calls", who).with_tool(write).with_tool(run).scope_implies("admin", "write")
}

/// Starts a server that accepts tokens of this issuer.
pub(crate) fn protected(issuer: Issuer) -> Http {
    let tokens = Tokens::of(RESOURCE, issuer.applications(["app"])).expect("a resource").scopes(["use"]);
    Http::start(tools(Server::new("protected", "1")).auth(Auth::tokens(tokens)))
}

pub(crate) fn fixed() -> Issuer {
    Issuer::with_keys("https://id.example", &jwks(&[1])).expect("keys")
}

pub(crate) fn call(http: &Http, name: &str, credentials: &[(&str, &str)]) -> Answering {
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}});
    let params = json!({"name": name, "_meta": meta});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
    let mut headers = vec![
        ("host", "localhost"),
        ("content-type", "application/json"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", name),
    ];
    headers.extend(credentials);
    http.open(&headers, body.as_bytes())
}

/// Returns the status of a call with this token.
pub(crate) fn status(http: &Http, token: &str) -> u16 {
    call(http, "who", &[("authorization", &format!("Bearer {token}"))]).status
}

pub(crate) fn text(answer: Answering) -> String {
    let answer: Value = serde_json::from_slice(&answer.rest()).expect("JSON");
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[test]
fn caller_with_a_good_token_is_known_to_the_handler_and_one_without_learns_where_to_get_one() {
    let http = protected(fixed());
    let token = token(1, "https://id.example", json!({}));
    for _ in 0..2 {
        let answer = call(&http, "who", &[("authorization", &format!("Bearer {token}"))]);
        assert_eq!(text(answer), r#"Some("ada") None Some(String("use"))"#);
    }
    let refused = call(&http, "who", &[]);
    let metadata = "https://api.example/.well-known/oauth-protected-resource/base/mcp";
    let challenge = format!(r#"Bearer resource_metadata="{metadata}", scope="use""#);
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some(challenge.as_str())));
    // The path of that URL, at this server.
    let metadata = get(&http, "/.well-known/oauth-protected-resource/base/mcp", &[]);
    assert_eq!((metadata.status, metadata.header("access-control-allow-origin")), (200, Some("*")));
    let metadata: Value = serde_json::from_slice(&metadata.rest()).expect("JSON");
    assert_eq!(metadata["resource"], RESOURCE);
    assert_eq!(metadata["authorization_servers"], json!(["https://id.example"]));
    assert_eq!(metadata["scopes_supported"], json!(["use"]));
}

fn get(http: &Http, path: &str, headers: &[(&str, &str)]) -> Answering {
    let headers = [&[("host", "localhost")], headers].concat();
    http.open_at("GET", path, &headers, b"")
}

#[test]
fn token_that_breaks_a_rule_is_refused_like_every_other_one() {
    let http = protected(fixed());
    let issuer = "https://id.example";
    let good = token(1, issuer, json!({}));
    let (front, signature) = good.rsplit_once('.').expect("three parts");
    let none = format!("{}.{}.", base64url(br#"{"alg":"none"}"#), base64url(claims(issuer, json!({})).as_bytes()));
    let alike = call(&http, "who", &[("authorization", "Bearer x")]);
    let alike = (alike.status, alike.header("www-authenticate").map(str::to_owned), alike.rest());
    assert_eq!(alike.0, 401);
    for (what, token) in [
        ("unsigned", none),
        ("signed by another key", token(2, issuer, json!({}))),
        ("signed by another key of the same name", {
            let header = json!({"alg": "ES256", "kid": "1"}).to_string();
            signed_by(&signing(2), &header, &claims(issuer, json!({})))
        }),
        ("signature cut", format!("{front}.{}", &signature[..signature.len() - 4])),
        ("of another issuer", token(1, "https://evil.example", json!({}))),
        ("for another server", token(1, issuer, json!({"aud": "https://other.example"}))),
        ("for nobody", token(1, issuer, json!({"aud": null}))),
        ("expired", token(1, issuer, json!({"exp": now() - 61}))),
        ("of the future", token(1, issuer, json!({"nbf": now() + 120}))),
        ("without an end", token(1, issuer, json!({"exp": null}))),
        ("with a key of its own", {
            let header = json!({"alg": "ES256", "jwk": {"kty": "EC"}, "kid": "2"}).to_string();
            signed_by(&signing(2), &header, &claims(issuer, json!({})))
        }),
        ("large", "a".repeat(100_000)),
    ] {
        let came = call(&http, "who", &[("authorization", &format!("Bearer {token}"))]);
        let came = (came.status, came.header("www-authenticate").map(str::to_owned), came.rest());
        // The transport itself refuses headers larger than its limit.
        assert!(came == alike || what == "large" && came.0 == 431, "{what}: {came:?}");
    }
    for (what, changes, expected) in [
        ("a minute late", json!({"exp": now() - 50}), 200),
        ("another application", json!({"azp": "other"}), 403),
        ("no application", json!({"azp": null}), 403),
    ] {
        assert_eq!(status(&http, &token(1, issuer, changes)), expected, "{what}");
    }
    let twice = call(&http, "who", &[("authorization", &format!("Bearer {good}")), ("authorization", "Bearer x")]);
    assert_eq!(twice.status, 400);
    let headers = [("host", "localhost"), ("content-type", "application/json")];
    let bearer = format!("Bearer {good}");
    for more in [&[][..], &[("authorization", bearer.as_str())]] {
        let answer = http.open_at("POST", &format!("/mcp?access_token={good}"), &[&headers[..], more].concat(), b"{}");
        assert_eq!(answer.status, 400, "a token in the query");
    }
}

#[test]
fn call_that_is_denied_is_answered_with_its_id_in_every_revision() {
    let http = protected(fixed());
    let bearer = format!("Bearer {}", token(1, "https://id.example", json!({})));
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"] {
        for (tool, id) in [("write", json!(7)), ("write", json!("a \"b\"")), ("run", json!(-9_007_199_254_740_991_i64))]
        {
            let meta = match version {
                "2026-07-28" => json!({
                    "io.modelcontextprotocol/protocolVersion": version,
                    "io.modelcontextprotocol/clientCapabilities": {},
                }),
                _ => json!({}),
            };
            let params = json!({"name": tool, "_meta": meta});
            let body = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string();
            let headers = [
                ("host", "localhost"),
                ("content-type", "application/json"),
                ("authorization", bearer.as_str()),
                ("mcp-protocol-version", version),
                ("mcp-method", "tools/call"),
                ("mcp-name", tool),
            ];
            let refused = http.post(&headers, body.as_bytes());
            let answer: Value = serde_json::from_slice(&refused.body).expect("JSON");
            assert_eq!(
                (refused.status, &answer["id"], &answer["error"]["code"]),
                (403, &id, &json!(-32600)),
                "{version}"
            );
        }
    }
}

#[test]
fn tool_that_needs_more_says_which_scopes_would_do() {
    let http = protected(fixed());
    let bearer = |changes| format!("Bearer {}", token(1, "https://id.example", changes));
    let call = |name: &str, changes| call(&http, name, &[("authorization", &bearer(changes))]);
    let refused = call("write", json!({}));
    let challenge = refused.header("www-authenticate").expect("a challenge");
    assert_eq!(refused.status, 403);
    assert!(challenge.starts_with(r#"Bearer error="insufficient_scope", "#), "{challenge}");
    assert!(challenge.ends_with(r#", scope="use write""#), "{challenge}");
    assert_eq!(call("write", json!({"scp": "use write"})).status, 200);
    assert_eq!(call("write", json!({"scp": "use admin"})).status, 200, "it includes the other");
    let refused = call("run", json!({}));
    assert_eq!((refused.status, refused.header("www-authenticate")), (403, None), "no token mends this");
    assert_eq!(call("run", json!({"roles": ["operator"]})).status, 200);
}

#[test]
fn keys_are_found_by_the_metadata_of_each_standard_and_by_no_other() {
    for (path, place) in [
        ("", "/.well-known/oauth-authorization-server"),
        ("", "/.well-known/openid-configuration"),
        ("/tenant/v2.0", "/.well-known/oauth-authorization-server/tenant/v2.0"),
        ("/tenant/v2.0", "/.well-known/openid-configuration/tenant/v2.0"),
        ("/tenant/v2.0", "/tenant/v2.0/.well-known/openid-configuration"),
    ] {
        let (site, origin) = site();
        let issuer = format!("{origin}{path}");
        site.publish(place, &issuer, &origin, &[1]);
        let http = protected(Issuer::discovered(&issuer).expect("an issuer"));
        assert_eq!(status(&http, &token(1, &issuer, json!({}))), 200, "{place}");
    }
    for (what, spoil) in [
        (
            "of another issuer",
            (|site, origin| site.publish(PLACE, "https://other.example", origin, &[1])) as fn(&Site, &str),
        ),
        ("that leads elsewhere", |site, origin| site.answer(PLACE, 302, Some(format!("{origin}/elsewhere")), "")),
        ("that is none", |site, _| site.put(PLACE, "<html>")),
        ("with keys that are none", |site, _| site.put(KEYS, "{}")),
        ("with keys at a place that is not asked", |site, origin| {
            site.put(PLACE, json!({"issuer": origin, "jwks_uri": "http://169.254.169.254/keys"}));
        }),
        ("with keys at such a place in another form", |site, origin| {
            site.put(PLACE, json!({"issuer": origin, "jwks_uri": "https://2852039166/keys"}));
        }),
        ("with keys without end", |site, _| site.put(KEYS, " ".repeat(600 * 1024))),
        ("with keys for something else", |site, _| site.put(KEYS, jwks(&[1]).replace("sig", "enc"))),
    ] {
        let (site, origin) = site_of(&[1]);
        site.publish("/elsewhere", &origin, &origin, &[1]);
        site.put(KEYS, jwks(&[1]));
        spoil(&site, &origin);
        let http = protected(Issuer::discovered(&origin).expect("an issuer"));
        // The server cannot check the token.
        assert_eq!(status(&http, &token(1, &origin, json!({}))), 503, "metadata {what}");
    }
}

/// Starts a site that is an issuer with these keys, and returns it with its URL.
fn site_of(numbers: &[u8]) -> (Site, String) {
    let (site, origin) = site();
    site.publish("/.well-known/openid-configuration", &origin, &origin, numbers);
    (site, origin)
}

#[test]
fn issuer_is_fetched_once_for_many_callers_and_never_for_tokens_that_are_invalid_anyway() {
    let (site, origin) = site_of(&[1]);
    *site.delay.lock().expect("not poisoned") = Duration::from_millis(100);
    let http = protected(Issuer::discovered(&origin).expect("an issuer"));
    for changes in [json!({"aud": "other"}), json!({"exp": 1}), json!({"sub": 7})] {
        assert_eq!(status(&http, &token(1, &origin, changes)), 401);
    }
    assert_eq!(site.asked(), 0);
    std::thread::scope(|scope| {
        for number in 0..20 {
            let (http, origin) = (&http, &origin);
            scope.spawn(move || assert_eq!(status(http, &token(1, origin, json!({"sub": number.to_string()}))), 200));
        }
    });
    // The metadata at its second location, and the keys.
    assert_eq!(site.asked(), 3);
    for unknown in 2..40 {
        assert_eq!(status(&http, &token(unknown, &origin, json!({}))), 401);
    }
    assert_eq!(site.asked(), 3, "it was asked just now");
}

#[test]
fn issuer_that_is_down_at_the_start_or_slow_stops_nothing_else() {
    let (site, origin) = site_of(&[1]);
    *site.delay.lock().expect("not poisoned") = Duration::from_secs(60);
    let issuer = Issuer::discovered(&origin).expect("an issuer");
    let tokens =
        Tokens::of(RESOURCE, issuer.applications(["app"])).expect("a resource").issuer(fixed().applications(["app"]));
    let http = Http::start(tools(Server::new("two", "1")).auth(Auth::tokens(tokens)));
    let started = Instant::now();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| status(&http, &token(1, &origin, json!({}))));
        assert_eq!(status(&http, &token(1, "https://id.example", json!({}))), 200);
        assert!(started.elapsed() < Duration::from_secs(3));
        assert_eq!(waiting.join().expect("an answer"), 503);
    });
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    // No call waits for a fetch that has just failed.
    let started = Instant::now();
    assert_eq!(status(&http, &token(1, &origin, json!({}))), 503);
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[test]
fn new_key_of_an_issuer_is_accepted_and_a_removed_key_no_longer() {
    let (site, origin) = site_of(&[1]);
    let http = protected(Issuer::discovered(&origin).expect("an issuer"));
    assert_eq!(status(&http, &token(1, &origin, json!({}))), 200);
    site.put("/keys", jwks(&[2]));
    std::thread::sleep(attache_host::limits::FETCH_AGAIN);
    assert_eq!(status(&http, &token(2, &origin, json!({}))), 200);
    assert_eq!(status(&http, &token(1, &origin, json!({}))), 401, "though it was seen before");
    // Known keys stay valid when the issuer is unreachable.
    site.answer("/keys", 500, None, "");
    assert_eq!(status(&http, &token(2, &origin, json!({"sub": "bob"}))), 200);
}

#[test]
fn api_key_is_accepted_until_it_is_removed_and_its_refusal_names_no_authorization_server() {
    let keys = Keys::new([("ci", SECRET), ("ops", "fedcba9876543210fedcba9876543210")]).expect("long keys");
    let http = Http::start(tools(Server::new("keyed", "1")).auth(Auth::keys(keys.clone())));
    let key = |value: &str| call(&http, "who", &[("x-functions-key", value)]);
    assert_eq!(text(key(SECRET)), r#"None Some("ci") None"#);
    for wrong in [None, Some("wrong"), Some("")] {
        let refused = match wrong {
            Some(value) => key(value),
            None => call(&http, "who", &[]),
        };
        let challenge = refused.header("www-authenticate").expect("a challenge");
        assert_eq!((refused.status, challenge), (401, r#"Key realm="mcp", header="x-functions-key""#));
    }
    assert_eq!(call(&http, "write", &[("x-functions-key", SECRET)]).status, 200, "a key has no scopes");
    keys.replace([]);
    assert_eq!(key(SECRET).status, 401);
}

#[test]
fn token_in_the_query_is_refused_wherever_something_is_asked_for() {
    let tokens = || Tokens::of(RESOURCE, fixed().applications(["app"])).expect("a resource");
    let keys = || Keys::new([("ci", SECRET)]).expect("long keys");
    for (auth, shown) in [
        (Auth::keys(keys()), Some(SECRET)),
        (Auth::tokens(tokens()), None),
        (Auth::either(tokens(), keys()), Some(SECRET)),
        (Auth::optional(tokens()), None),
    ] {
        let http = Http::start(tools(Server::new("q", "1")).auth(auth));
        let mut headers =
            vec![("host", "localhost"), ("content-type", "application/json"), ("mcp-protocol-version", "2025-11-25")];
        headers.extend(shown.map(|key| ("x-functions-key", key)));
        let ping = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        let status = |path: &str| http.open_at("POST", path, &headers, ping).status;
        assert_eq!(status("/mcp?access_token=a.b.c"), 400, "{shown:?}");
        assert_ne!(status("/mcp"), 400, "{shown:?}: it is the query");
    }
}

#[test]
fn both_gates_ask_for_both_and_either_for_one() {
    let issuer = || fixed().applications(["app"]);
    let token = format!("Bearer {}", token(1, "https://id.example", json!({})));
    let (token, key) = (("authorization", token.as_str()), ("x-functions-key", SECRET));
    let keys = || Keys::new([("ci", SECRET)]).expect("long keys");
    let both = Http::start(
        tools(Server::new("b", "1")).auth(Auth::both(Tokens::of(RESOURCE, issuer()).expect("a resource"), keys())),
    );
    let either = Http::start(
        tools(Server::new("e", "1")).auth(Auth::either(Tokens::of(RESOURCE, issuer()).expect("a resource"), keys())),
    );
    for (shown, of_both, of_either) in [
        (&[token, key][..], 200, 200),
        (&[token], 401, 200),
        (&[key], 401, 200),
        (&[], 401, 401),
        (&[token, ("x-functions-key", "wrong")], 401, 200),
        (&[("authorization", "Bearer x"), key], 401, 401),
    ] {
        let came = [&both, &either].map(|http| call(http, "who", shown).status);
        assert_eq!(came, [of_both, of_either], "{shown:?}");
    }
}

#[test]
fn guest_needs_a_token_only_for_tools_with_a_scope_or_role() {
    let tokens = Tokens::of(RESOURCE, fixed().applications(["app"])).expect("a resource").scopes(["use"]);
    let http = Http::start(tools(Server::new("o", "1")).auth(Auth::optional(tokens)));
    assert_eq!(text(call(&http, "who", &[])), "None None None");
    let bearer = |number, changes| format!("Bearer {}", token(number, "https://id.example", changes));
    for (shown, who, write) in [
        (None, 200, 401),
        (Some(bearer(1, json!({}))), 200, 403),
        (Some(bearer(1, json!({"scp": "use write"}))), 200, 200),
        (Some(bearer(1, json!({"exp": 1}))), 200, 401),
        (Some(bearer(2, json!({}))), 200, 401),
        // The token's holder is authenticated but may not call.
        (Some(bearer(1, json!({"azp": "other"}))), 403, 403),
    ] {
        let credentials: Vec<_> = shown.iter().map(|shown| ("authorization", shown.as_str())).collect();
        let statuses = ["who", "write"].map(|tool| call(&http, tool, &credentials).status);
        assert_eq!(statuses, [who, write], "{shown:?}");
    }
    let refused = call(&http, "write", &[]);
    let challenge = refused.header("www-authenticate").expect("a challenge");
    assert!(
        challenge.starts_with("Bearer resource_metadata=") && challenge.ends_with(r#", scope="use write""#),
        "{challenge}"
    );
    let in_query = http.open_at(
        "POST",
        "/mcp?access_token=a.b.c",
        &[("host", "localhost"), ("content-type", "application/json"), ("mcp-protocol-version", "2025-11-25")],
        br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
    );
    assert_eq!(in_query.status, 400, "never in the query");
}

/// Lists the tools from this cursor on, and returns the answer.
fn list(http: &Http, changes: Value, cursor: Option<&str>) -> Value {
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}});
    let mut params = json!({"_meta": meta});
    if let Some(cursor) = cursor {
        params["cursor"] = json!(cursor);
    }
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": params}).to_string();
    let bearer = format!("Bearer {}", token(1, "https://id.example", changes));
    let headers = [
        ("host", "localhost"),
        ("content-type", "application/json"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/list"),
        ("authorization", &bearer),
    ];
    serde_json::from_slice(&http.open(&headers, body.as_bytes()).rest()).expect("JSON")
}

#[test]
fn lists_that_hide_forbidden_entries_are_different_for_each_caller_and_private() {
    let tokens = || Tokens::of(RESOURCE, fixed().applications(["app"])).expect("a resource").scopes(["use"]);
    let server = || tools(Server::new("hiding", "1")).auth(Auth::tokens(tokens())).hide_forbidden();
    let http = Http::start(server());
    for (changes, expected) in [
        (json!({}), &["who"][..]),
        (json!({"scp": "use write"}), &["who", "write"]),
        (json!({"scp": "use admin"}), &["who", "write"]),
        (json!({"scp": "use write", "roles": ["operator"]}), &["who", "write", "run"]),
    ] {
        let result = &list(&http, changes, None)["result"];
        let names: Vec<_> = result["tools"].as_array().expect("tools").iter().map(|tool| &tool["name"]).collect();
        assert_eq!(names, expected);
        // A caller with access to everything also sees entries that are hidden from others, so the
        // list is private, too.
        assert_eq!(result["cacheScope"], "private");
    }
    // A hidden tool is still refused with a challenge that names the missing scope.
    let bearer = format!("Bearer {}", token(1, "https://id.example", json!({})));
    let refused = call(&http, "write", &[("authorization", &bearer)]);
    assert!(
        refused.status == 403
            && refused.header("www-authenticate").is_some_and(|challenge| challenge.contains("write"))
    );

    // Each caller sees only the entries that it may use, with any cursor.
    let http = Http::start(server().page_size(1));
    let operator = json!({"scp": "use write", "roles": ["operator"]});
    let first = list(&http, operator.clone(), None);
    let cursor = first["result"]["nextCursor"].as_str().expect("a cursor");
    assert_eq!(list(&http, operator, Some(cursor))["result"]["tools"][0]["name"], "write");
    let of_another = list(&http, json!({}), Some(cursor));
    assert_eq!(of_another["result"]["tools"], json!([]), "{of_another}");

    let open = protected(fixed());
    assert_eq!(list(&open, json!({}), None)["result"]["tools"].as_array().map(Vec::len), Some(3));
    assert_eq!(list(&open, json!({}), None)["result"]["cacheScope"], "public");
}

#[test]
fn session_belongs_to_the_caller_who_has_opened_it() {
    let http = protected(fixed());
    let bearer = |subject: &str| format!("Bearer {}", token(1, "https://id.example", json!({"sub": subject})));
    let (ada, bob) = (bearer("ada"), bearer("bob"));
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"},
    }});
    let plain = [("host", "localhost"), ("content-type", "application/json")];
    let opened = http.open(&[&plain[..], &[("authorization", &ada)]].concat(), hello.to_string().as_bytes());
    let session = opened.header("mcp-session-id").expect("a session").to_owned();
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}).to_string();
    let in_session =
        [&plain[..], &[("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")]].concat();
    let with = |verb: &str, token: Option<&str>, body: &[u8]| {
        let headers =
            [&in_session[..], &token.map(|token| ("authorization", token)).into_iter().collect::<Vec<_>>()].concat();
        let Response { status, .. } = http.send(verb, &headers, body);
        status
    };
    assert_eq!(with("POST", Some(&ada), list.as_bytes()), 200);
    assert_eq!(with("POST", Some(&bob), list.as_bytes()), 404);
    for verb in ["DELETE", "GET"] {
        assert_eq!(with(verb, None, b""), 401, "{verb}");
        assert_eq!(with(verb, Some(&bob), b""), 404, "{verb}");
    }
    assert_eq!(with("DELETE", Some(&ada), b""), 204);
}

// Fetch standard, CORS protocol: a preflight request carries no credentials, so it is never
// challenged.
#[test]
fn allowed_origin_passes_the_preflight_and_can_read_a_refusal() {
    let tokens = Tokens::of(RESOURCE, fixed()).expect("a resource");
    let server = tools(Server::new("web", "1")).auth(Auth::tokens(tokens)).origins(["https://app.example".to_owned()]);
    let http = Http::start(server);
    let ask = |origin: &str| {
        let headers = [
            ("host", "localhost"),
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,mcp-method"),
        ];
        http.open_as("OPTIONS", &headers, b"")
    };
    let preflight = ask("https://app.example");
    assert_eq!(preflight.status, 204);
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example"),
        ("access-control-allow-headers", "authorization,mcp-method"),
        ("access-control-allow-methods", "POST, GET, DELETE"),
    ] {
        assert_eq!(preflight.header(name), Some(value));
    }
    let foreign = ask("https://evil.example");
    assert_eq!(foreign.header("access-control-allow-origin"), None);
    assert_ne!(foreign.status, 204);
    // Pages of any origin may read the metadata: a client that runs in a page needs it before
    // anything else.
    let well_known = "/.well-known/oauth-protected-resource/base/mcp";
    for origin in ["https://app.example", "https://other.example"] {
        let headers = [
            ("host", "localhost"),
            ("origin", origin),
            ("access-control-request-method", "GET"),
            ("access-control-request-headers", "mcp-protocol-version"),
        ];
        let preflight = http.open_at("OPTIONS", well_known, &headers, b"");
        assert_eq!(preflight.status, 204);
        assert_eq!(preflight.header("access-control-allow-origin"), Some("*"));
        assert!(preflight.header("access-control-allow-methods").is_some_and(|methods| methods.contains("GET")));
        assert!(preflight.header("access-control-allow-headers").is_some_and(|fields| fields.starts_with('*')));
        assert_eq!(preflight.header("content-type"), None);
        preflight.rest();
        let metadata = get(&http, well_known, &[("origin", origin), ("mcp-protocol-version", "2026-07-28")]);
        assert_eq!((metadata.status, metadata.header("access-control-allow-origin")), (200, Some("*")));
        assert_eq!((metadata.header("cache-control"), metadata.header("vary")), (Some("public, max-age=300"), None));
        metadata.rest();
    }
    let refused = call(&http, "who", &[("origin", "https://app.example")]);
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (401, Some("https://app.example")));
    assert!(refused.header("access-control-expose-headers").is_some_and(|all| all.contains("WWW-Authenticate")));
}

#[test]
fn metadata_that_depends_on_what_a_proxy_forwards_is_cached_for_nobody_else() {
    let auth = Auth::tokens(Tokens::of(RESOURCE, fixed()).expect("a resource"));
    let auth =
        auth.forwarded("x-forwarded-host".parse().expect("a name"), "x-forwarded-proto".parse().expect("a name"));
    let http = Http::start(tools(Server::new("forwarded", "1")).auth(auth));
    let metadata = get(&http, "/.well-known/oauth-protected-resource/base/mcp", &[]);
    assert_eq!(metadata.header("cache-control"), Some("private, max-age=300"));
    assert_eq!(metadata.header("vary"), Some("x-forwarded-host, x-forwarded-proto"));
    metadata.rest();
}

// MCP 2025-11-25 basic/authorization, "Authorization Flow": the steps that an editor takes to sign
// in to a server on a function platform, numbered, with the issuer's paths as Entra ID has them.
#[test]
fn editor_that_knows_only_the_url_finds_the_issuer_gets_a_token_and_works_until_it_closes() {
    const PUBLIC: &str = "https://func.example/runtime/webhooks/mcp";
    const TENANT: &str = "66666666-7777-8888-9999-000000000000";
    const EDITOR: &str = "aebc6443-996d-45c2-90f0-388ff96faa56";
    let (site, origin) = site();
    let issuer = format!("{origin}/{TENANT}/v2.0");
    site.publish(&format!("/{TENANT}/v2.0/.well-known/openid-configuration"), &issuer, &origin, &[1]);
    let rules =
        Issuer::discovered(&issuer).expect("an issuer").audiences(["api-app"]).applications([EDITOR]).tenants([TENANT]);
    let tokens = Tokens::of(PUBLIC, rules).expect("a resource").scopes(["user_impersonation"]);
    let server =
        Server::new("functions", "1").path("/runtime/webhooks/mcp").expect("a path").hosts(["func.example".to_owned()]);
    let http = Http::start(tools(server).auth(Auth::tokens(tokens)));
    let send = |verb: &str, more: &[(&str, &str)], body: &Value| {
        let own = [
            ("host", "func.example"),
            ("content-type", "application/json"),
            ("accept", "text/event-stream, application/json"),
            ("user-agent", "Visual Studio Code/1.130.0"),
        ];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        http.open_at(verb, "/runtime/webhooks/mcp", &[&own[..], more].concat(), body.as_bytes())
    };
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "Visual Studio Code", "version": "1.130.0"},
    }});

    // 1, 2: the request has no token yet.
    let refused = send("POST", &[], &hello);
    let challenge = refused.header("www-authenticate").expect("a challenge").to_owned();
    assert_eq!(refused.status, 401);
    let parameter = |name: &str| {
        let value = challenge.split(&format!(r#"{name}=""#)).nth(1).and_then(|rest| rest.split('"').next());
        value.unwrap_or_else(|| panic!("{name}: {challenge}")).to_owned()
    };
    assert_eq!(parameter("scope"), "user_impersonation");

    // 3, 4: the editor ignores the metadata unless it names exactly the URL that the user has
    // configured.
    let place = parameter("resource_metadata");
    let path = place.strip_prefix("https://func.example").expect("on the public host");
    let headers = [("host", "func.example"), ("accept", "application/json"), ("mcp-protocol-version", "2025-11-25")];
    let answer = http.open_at("GET", path, &headers, b"");
    assert_eq!(answer.status, 200);
    let metadata: Value = serde_json::from_slice(&answer.rest()).expect("JSON");
    assert_eq!(metadata["resource"], PUBLIC);
    assert_eq!(metadata["authorization_servers"][0], issuer.as_str());
    assert_eq!(metadata["scopes_supported"], json!(["user_impersonation"]));

    // 5 to 10: the first two locations have no metadata, the third has. 11: the user consents.
    let asked = site.asked();
    let changes = json!({"aud": "api-app", "azp": EDITOR, "tid": TENANT, "oid": "ada", "scp": "user_impersonation", "ver": "2.0"});
    let bearer = format!("Bearer {}", token(1, &issuer, changes));

    // 12, 13: the server looks for the issuer's keys at the same three locations.
    let opened = send("POST", &[("authorization", &bearer)], &hello);
    assert_eq!((opened.status, site.asked() - asked), (200, 4));
    let session = opened.header("mcp-session-id").expect("a session").to_owned();
    let open =
        [("authorization", bearer.as_str()), ("mcp-session-id", &session), ("mcp-protocol-version", "2025-11-25")];

    // 14 to 17: the session.
    assert_eq!(send("POST", &open, &json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).status, 202);
    let stream = send("GET", &open, &Value::Null);
    assert_eq!((stream.status, stream.header("content-type")), (200, Some("text/event-stream")));
    let listed = send("POST", &open, &json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}));
    assert_eq!(listed.status, 200);
    let listed: Value = serde_json::from_slice(&listed.rest()).expect("JSON");
    assert_eq!(listed["result"]["tools"].as_array().map(Vec::len), Some(3));
    assert_eq!(send("DELETE", &open, &Value::Null).status, 204);
    assert_eq!(send("POST", &open, &json!({"jsonrpc": "2.0", "id": 3, "method": "tools/list"})).status, 404);
    assert_eq!(site.asked() - asked, 4, "its keys are kept");
}
