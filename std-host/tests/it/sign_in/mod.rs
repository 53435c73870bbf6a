//! The sign-in pages, as browsers and attackers use them.

mod double;
#[cfg(target_os = "linux")]
mod memory;

use attache_host::auth::{Auth, Caller, Keys, Unauthenticated};
use attache_host::authorization_server::Upstream;
use attache_host::http::Door;
use attache_host::sign_in::{InvalidSignIn, Provider, SignIn};
use attache_host::store::{MemoryRows, RowChange, RowKey, RowStore, Unavailable};
use attache_host::{Ctx, NoArgs, Server};
use axum::body::{Body, to_bytes};
use axum::routing::get;
use axum::{Extension, Router};
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use core::time::Duration;
use double::{Double, now};
use http::header::{COOKIE, HOST, LOCATION, SET_COOKIE};
use http::{HeaderMap, Request};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tower_service::Service as _;

const GATE: &str = "https://gw.example";
const NAVIGATE: [(&str, &str); 3] =
    [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("accept", "text/html,*/*")];
/// A script of a page of the server.
const SCRIPT: [(&str, &str); 2] = [("sec-fetch-site", "same-origin"), ("sec-fetch-dest", "empty")];

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn location(&self) -> &str {
        self.headers.get(LOCATION).map_or("", |value| value.to_str().expect("text"))
    }

    /// The value of a parameter in the query of the redirection.
    fn parameter(&self, name: &str) -> String {
        let query = self.location().split_once('?').expect("a query").1;
        let values: Vec<_> = form_urlencoded::parse(query.as_bytes()).filter(|(own, _)| own == name).collect();
        assert_eq!(values.len(), 1, "{name} in {query}");
        values[0].1.to_string()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("JSON: {self:?}"))
    }

    /// The page says this, and cannot be framed, cached or scripted.
    fn says(&self, status: u16, words: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.body.contains(words), "{words}: {}", self.body);
        assert!(self.body.starts_with("<!doctype html>") && !self.body.contains("<script"), "{}", self.body);
        let field = |name: &str| self.headers[name].to_str().expect("text");
        assert!(field("content-security-policy").contains("default-src 'none'"));
        assert_eq!((field("x-frame-options"), field("cache-control")), ("DENY", "no-store"));
        assert_eq!(field("x-content-type-options"), "nosniff");
    }
}

/// A browser at one server.
#[derive(Clone)]
struct Browser {
    router: Router,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    async fn send(&mut self, method: &str, path: &str, fields: &[(&str, &str)], body: &str) -> Answer {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = Request::builder().method(method).uri(path).header(HOST, "gw.example");
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().call(request.body(Body::from(body.to_owned())).expect("a request")).await;
        let (head, body) = response.expect("an answer").into_parts();
        let body = to_bytes(body, 1 << 20).await.expect("a whole body").to_vec();
        for cookie in head.headers.get_all(SET_COOKIE) {
            let cookie = cookie.to_str().expect("text");
            assert!(
                cookie.starts_with("__Host-") && cookie.ends_with("Path=/; Secure; HttpOnly; SameSite=Lax"),
                "{cookie}"
            );
            let (name, value) = cookie.split(';').next().and_then(|pair| pair.split_once('=')).expect("a pair");
            if cookie.contains("Max-Age=0;") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Answer { status: head.status.as_u16(), headers: head.headers, body: String::from_utf8(body).expect("text") }
    }

    async fn open(&mut self, path: &str) -> Answer {
        self.send("GET", path, &NAVIGATE, "").await
    }

    async fn script(&mut self, path: &str) -> Answer {
        self.send("GET", path, &SCRIPT, "").await
    }

    /// Goes to the provider, and comes back with a code of this kind.
    async fn sign_in(&mut self, double: &Double, kind: &str, query: &str) -> Answer {
        let away = self.open(&format!("/.auth/login/company{query}")).await;
        assert!(away.location().starts_with(&format!("{}/authorize?tenant=t&", double.issuer)), "{away:?}");
        self.open(&back(&away, double, kind)).await
    }

    fn is_signed_in(&self) -> bool {
        self.cookies.contains_key("__Host-attache-session")
    }

    /// The status of a page that only people who have signed in may see.
    async fn page(&mut self) -> u16 {
        self.script("/app").await.status
    }

    /// Calls a tool, as a script of a page of the server does.
    async fn call(&mut self, fields: &[(&str, &str)]) -> Answer {
        let types = [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
        let message =
            json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "who", "arguments": {}}});
        self.send("POST", "/mcp", &[&types, fields].concat(), &message.to_string()).await
    }
}

/// The URL of the callback for a person who has signed in.
fn back(away: &Answer, double: &Double, kind: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("code", &format!("{kind}.{}", away.parameter("nonce")))
        .append_pair("state", &away.parameter("state"))
        .append_pair("iss", &double.issuer)
        .finish();
    format!("/.auth/login/company/callback?{query}")
}

fn company(double: &Double) -> Provider {
    Provider::new("company", Upstream::new(&double.issuer, "gw").expect("a local issuer").secret("s3cret"))
}

fn settings(double: &Double) -> SignIn {
    SignIn::new(GATE, &[[1; 32]], [company(double)]).expect("valid").hosts(["gw.example".to_owned()])
}

/// A browser at a server with these pages, a page of its own and an MCP endpoint.
fn browser(sign_in: SignIn) -> Browser {
    let sign_in = Arc::new(sign_in);
    browser_with(&sign_in, || Auth::signed_in(&sign_in).unauthenticated(Unauthenticated::SignIn))
}

fn browser_with(sign_in: &Arc<SignIn>, auth: impl Fn() -> Auth) -> Browser {
    let hosts = || ["gw.example".to_owned()];
    let app = async |Extension(caller): Extension<Caller>| caller.claims::<Value>().unwrap_or_default().to_string();
    let app = Router::new().route("/app", get(app).post(app)).layer(Door::new(auth()).hosts(hosts()));
    let who = async |NoArgs {}, ctx: Ctx| ctx.caller().subject().unwrap_or_default();
    let server = Server::new("notes", "1.0").auth(auth()).hosts(hosts()).tool("who", "Who calls", who);
    Browser { router: sign_in.around(app.merge(server.routes())), cookies: BTreeMap::new() }
}

#[tokio::test]
async fn person_signs_in_and_is_the_caller_of_pages_and_tools() {
    let double = Double::start().await;
    let mut browser = browser(settings(&double));
    let first = browser.open("/app?x=1").await;
    assert_eq!((first.status, first.location()), (302, "/.auth/login/company?post_login_redirect_uri=%2Fapp%3Fx%3D1"));
    let away = browser.open(first.location()).await;
    assert_eq!(away.status, 303);
    assert_eq!(away.parameter("redirect_uri"), "https://gw.example/.auth/login/company/callback");
    assert_eq!(
        (away.parameter("client_id"), away.parameter("code_challenge_method")),
        ("gw".to_owned(), "S256".to_owned())
    );
    let home = browser.open(&back(&away, &double, "good")).await;
    assert_eq!((home.status, home.location()), (303, "https://gw.example/app?x=1"));
    let form = double.received.lock().expect("no panic").pop().expect("a form");
    let verifier = &form.iter().find(|(name, _)| name == "code_verifier").expect("PKCE").1;
    let challenge = ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes());
    let challenge = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, challenge);
    assert_eq!(away.parameter("code_challenge"), challenge);

    let claims = browser.script("/app").await.json();
    for (name, value) in
        [("sub", json!("0042")), ("iss", json!(double.issuer)), ("azp", json!("gw")), ("roles", json!(["admin"]))]
    {
        assert_eq!(claims[name], value, "{claims}");
    }
    assert!(claims["at_hash"].is_null() && claims["nonce"].is_null(), "{claims}");
    let called = browser.call(&SCRIPT).await;
    assert!(called.status == 200 && called.body.contains("0042"), "{called:?}");
    let done = browser.open("/.auth/login/done").await;
    done.says(200, "You have signed in as Ada Lovelace.");
}

#[tokio::test]
async fn answer_that_does_not_prove_the_person_starts_no_session() {
    let double = Double::start().await;
    let server = browser(settings(&double));
    for (kind, status, words) in [
        ("audience", 400, "did not confirm"),
        ("nonce", 400, "did not confirm"),
        ("expired", 400, "did not confirm"),
        ("forged", 400, "did not confirm"),
        ("used", 400, "did not confirm"),
        ("stranger", 500, "refuses this server"),
        ("empty", 500, "refuses this server"),
        ("huge", 400, "more groups, roles or tokens"),
    ] {
        let mut browser = server.clone();
        let answer = browser.sign_in(&double, kind, "").await;
        answer.says(status, words);
        assert!(answer.body.contains("/.auth/login"), "{kind}: a way to start again");
        assert!(!browser.is_signed_in(), "{kind}");
        assert!(browser.cookies.is_empty(), "{kind}: {:?}", browser.cookies);
    }
}

#[tokio::test]
async fn callback_counts_once_in_the_browser_that_left_and_for_the_provider_at_which_it_was() {
    let double = Double::start().await;
    let other = Provider::new("other", Upstream::new(&double.issuer, "gw").expect("a local issuer"));
    let sign_in =
        SignIn::new(GATE, &[[1; 32]], [company(&double), other]).expect("valid").hosts(["gw.example".to_owned()]);
    let mut browser = browser(sign_in);
    let away = browser.open("/.auth/login/company").await;
    let good = back(&away, &double, "good");
    let iss = form_urlencoded::byte_serialize(double.issuer.as_bytes()).collect::<String>();
    let state = away.parameter("state");
    let mut stranger = Browser { cookies: BTreeMap::new(), ..browser.clone() };
    // Login CSRF: an attacker sends the link with the answer for the attacker's own account.
    stranger.open(&good).await.says(400, "another browser");
    assert!(!stranger.is_signed_in());
    let mut tampered = state.clone();
    tampered.replace_range(20..21, if &state[20..21] == "A" { "B" } else { "A" });
    for (url, status, words) in [
        (good.replace("/company/", "/other/"), 400, "another browser"),
        (good.replace("/company/", "/none/"), 400, "unknown here"),
        (good.replace(&state, &tampered), 400, "unknown here"),
        (good.replace("state=", "st="), 400, "unknown here"),
        (format!("{good}&state={state}"), 400, "unknown here"),
    ] {
        let mut copy = browser.clone();
        copy.open(&url).await.says(status, words);
        assert!(!copy.is_signed_in(), "{url}");
    }
    for (url, status, words) in [
        (good.replace(&iss, "https%3A%2F%2Fevil.example"), 400, "another sign-in service"),
        (good.replace("iss=", "is="), 400, "another sign-in service"),
        (format!("{good}&iss={iss}"), 400, "another sign-in service"),
        (good.replace("code=", "co="), 400, "unknown here"),
        (good.replace("code=", "error=access_denied&co="), 403, "did not sign you in"),
        (good.replace("code=", "error=%3Cscript%3E&co="), 403, "did not sign you in"),
        (good.replace("code=", "error=temporarily_unavailable&co="), 503, "right now"),
    ] {
        let mut copy = browser.clone();
        copy.open(&url).await.says(status, words);
        assert!(!copy.is_signed_in(), "{url}");
        // The sign-in is over.
        copy.open(&good).await.says(400, "complete already");
    }
    // Two tabs at once: each sign-in has its own cookie.
    let second = browser.open("/.auth/login/company?post_login_redirect_uri=/app").await;
    assert_eq!(browser.open(&good).await.status, 303);
    assert_eq!(browser.open(&back(&second, &double, "good")).await.location(), "https://gw.example/app");
    browser.open(&good).await.says(400, "complete already");
    assert_eq!(browser.page().await, 200);
}

#[tokio::test]
async fn browser_is_sent_to_no_foreign_website() {
    let double = Double::start().await;
    let sign_in = settings(&double).external_redirects(["https://app.example/home".to_owned()]);
    let mut browser = browser(sign_in);
    for (asked, expected) in [
        ("", Some("/.auth/login/done")),
        ("?post_login_redirect_uri=%2Fa%3Fb%3Dc%23d", Some("https://gw.example/a?b=c#d")),
        ("?post_login_redirect_uri=https%3A%2F%2Fapp.example%2Fhome%3Fx", Some("https://app.example/home?x")),
        ("?post_login_redirect_uri=https%3A%2F%2Fevil.example%2F", None),
        ("?post_login_redirect_uri=%2F%2Fevil.example%2F", None),
        ("?post_login_redirect_uri=%2F%5Cevil.example%2F", None),
        ("?post_login_redirect_uri=javascript%3Aalert(1)", None),
        ("?post_login_redirect_uri=/a&post_login_redirect_uri=/b", None),
    ] {
        match expected {
            Some(expected) => assert_eq!(browser.sign_in(&double, "good", asked).await.location(), expected, "{asked}"),
            None => browser.open(&format!("/.auth/login/company{asked}")).await.says(400, "does not send people"),
        }
    }
    let out = browser.open("/.auth/logout?post_logout_redirect_uri=https%3A%2F%2Fevil.example").await;
    out.says(400, "does not send people");
    assert!(browser.is_signed_in());
}

#[tokio::test]
async fn cookie_that_was_changed_cut_swapped_or_sealed_with_an_unknown_key_is_no_session() {
    let double = Double::start().await;
    let server = |keys: &[[u8; 32]]| {
        browser(SignIn::new(GATE, keys, [company(&double)]).expect("valid").hosts(["gw.example".to_owned()]))
    };
    let mut ada = server(&[[1; 32]]);
    ada.sign_in(&double, "large", "").await;
    let mut bob = Browser { cookies: BTreeMap::new(), ..ada.clone() };
    bob.sign_in(&double, "bob", "").await;
    assert!(ada.cookies.len() >= 3, "the claims fill several cookies: {:?}", ada.cookies.keys());
    assert_eq!((ada.page().await, bob.page().await), (200, 200));
    let names: Vec<_> = ada.cookies.keys().cloned().collect();
    for name in &names {
        let value = ada.cookies[name].clone();
        let mut changed = value.clone();
        changed.replace_range(100..101, if &value[100..101] == "A" { "B" } else { "A" });
        let other = bob.cookies.get(name).cloned().unwrap_or_default();
        for (what, value) in [("changed", changed), ("cut", value[..value.len() - 1].to_owned()), ("swapped", other)] {
            let mut thief = ada.clone();
            thief.cookies.insert(name.clone(), value);
            let expected = if what == "swapped" && *name == "__Host-attache-session" { 200 } else { 401 };
            assert_eq!(thief.page().await, expected, "{name} {what}");
        }
        let mut partial = ada.clone();
        partial.cookies.remove(name);
        assert_eq!(partial.page().await, 401, "without {name}");
    }
    // Keys are rotated: the old one still opens, and a key that was removed does not.
    for (keys, expected) in [(&[[2; 32], [1; 32]][..], 200), (&[[2; 32]], 401)] {
        let mut after = Browser { cookies: ada.cookies.clone(), ..server(keys) };
        assert_eq!(after.page().await, expected, "{keys:?}");
    }
    // The shorter cookie of another person leaves no parts of the longer one behind.
    ada.sign_in(&double, "bob", "").await;
    assert_eq!((ada.cookies.len(), ada.page().await), (1, 200));
}

#[tokio::test]
async fn other_websites_cannot_act_for_the_person() {
    let double = Double::start().await;
    let mut browser = browser(settings(&double));
    browser.sign_in(&double, "good", "").await;
    let own = ("origin", GATE);
    for (fields, expected) in [
        (&SCRIPT[..], 200),
        (&[own], 200),
        (&[], 401),
        (&[("sec-fetch-site", "cross-site"), own], 401),
        (&[("sec-fetch-site", "same-site")], 401),
        (&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], 401),
        // The endpoint refuses the pages of other origins anyway.
        (&[("origin", "https://evil.example")], 403),
        (&[("origin", "null")], 403),
    ] {
        assert_eq!(browser.call(fields).await.status, expected, "{fields:?}");
        assert_eq!(browser.send("POST", "/app", fields, "").await.status, expected, "{fields:?}");
    }
    // A link of another website opens a page, and a part of another website does not.
    let from = |site| ("sec-fetch-site", site);
    let link = browser.send("GET", "/app", &[&NAVIGATE[..], &[from("cross-site")]].concat(), "").await;
    let image = browser.send("GET", "/app", &[from("cross-site"), ("sec-fetch-mode", "no-cors")], "").await;
    assert_eq!((link.status, image.status), (200, 401));
    // Nor can another website sign the person out by a link.
    let link = browser.send("GET", "/.auth/logout", &[&NAVIGATE[..], &[from("cross-site")]].concat(), "").await;
    link.says(200, "Another website has sent you");
    assert_eq!(link.headers["referrer-policy"], "same-origin");
    assert_eq!(browser.page().await, 200);
    let form = [("content-type", "application/x-www-form-urlencoded"), own, from("same-origin")];
    assert_eq!(browser.send("POST", "/.auth/logout", &form, "").await.status, 303);
    assert!(!browser.is_signed_in());
}

#[tokio::test]
async fn programs_get_401_and_people_with_a_browser_get_the_sign_in_page() {
    let double = Double::start().await;
    let mut browser = browser(settings(&double));
    for (fields, expected) in [
        (&NAVIGATE[..], 302),
        (&[("accept", "text/html")], 302),
        (&[("accept", "application/json")], 401),
        (&[("accept", "text/html"), ("x-requested-with", "XMLHttpRequest")], 401),
        (&[("accept", "text/html"), ("sec-fetch-mode", "cors")], 401),
        (&[("accept", "text/html"), ("authorization", "Bearer a.b.c")], 401),
        (&[], 401),
    ] {
        for path in ["/mcp", "/app"] {
            let answer = browser.send("GET", path, fields, "").await;
            assert_eq!(answer.status, expected, "{path} {fields:?} {answer:?}");
            match expected {
                302 => assert_eq!(answer.headers["cache-control"], "no-store"),
                _ => {
                    assert!(answer.headers.contains_key("www-authenticate"), "{answer:?}")
                }
            }
        }
    }
    assert!(browser.script("/app").await.json()["error"].is_string());
    assert_eq!(browser.call(&NAVIGATE).await.status, 401, "a POST is not a navigation");
}

#[tokio::test]
async fn tokens_are_shown_to_scripts_of_the_server_alone_and_only_if_they_are_to_be_shown() {
    let double = Double::start().await;
    let rows = || Arc::new(MemoryRows::default());
    for (sign_in, fields, expected) in [
        (settings(&double).store(rows()).expose_tokens(), &SCRIPT[..], true),
        (settings(&double).store(rows()).expose_tokens(), &NAVIGATE, false),
        (
            settings(&double).store(rows()).expose_tokens(),
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-dest", "document")],
            false,
        ),
        (settings(&double).store(rows()).expose_tokens(), &[], false),
        (settings(&double).store(rows()), &SCRIPT, false),
        (settings(&double).expose_tokens(), &SCRIPT, false),
    ] {
        let mut browser = browser(sign_in);
        let unknown = browser.send("GET", "/.auth/me", fields, "").await;
        assert_eq!(unknown.status, 401, "{unknown:?}");
        browser.sign_in(&double, "good", "").await;
        let answer = browser.send("GET", "/.auth/me", fields, "").await;
        assert_eq!(
            (answer.status, &answer.headers["cache-control"]),
            (200, &http::HeaderValue::from_static("no-store"))
        );
        let me = &answer.json()[0];
        assert_eq!((&me["provider_name"], &me["user_id"]), (&json!("company"), &json!("ada@id.example")));
        let id = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier";
        let claims = me["user_claims"].as_array().expect("claims");
        for claim in [
            json!({"typ": id, "val": "0042"}),
            json!({"typ": "groups", "val": "engineers"}),
            json!({"typ": "name", "val": "Ada Lovelace"}),
        ] {
            assert!(claims.contains(&claim), "{claim}: {claims:?}");
        }
        assert!(!claims.iter().any(|claim| claim["typ"] == "sid"), "{claims:?}");
        assert_eq!(me["access_token"] == "access-0" && me["id_token"].is_string(), expected, "{fields:?} {me}");
        assert_eq!(me.get("access_token").is_some(), expected, "{fields:?} {me}");
    }
}

#[tokio::test]
async fn refresh_gets_new_tokens_once_and_says_why_it_cannot() {
    let double = Double::start().await;
    let mut browser = browser(settings(&double).store(Arc::new(MemoryRows::default())).expose_tokens());
    assert_eq!(browser.script("/.auth/refresh").await.status, 401);
    browser.sign_in(&double, "good", "").await;
    double.is_down.store(true, Relaxed);
    assert_eq!(browser.script("/.auth/refresh").await.status, 503);
    double.is_down.store(false, Relaxed);
    // Two tabs at once: the provider would take a second use of the refresh token for a theft.
    let (mut one, mut two) = (browser.clone(), browser.clone());
    let (one, two) = tokio::join!(one.script("/.auth/refresh"), two.script("/.auth/refresh"));
    assert_eq!((one.status, two.status, double.refreshes.load(Relaxed)), (200, 200, 1));
    assert_eq!(browser.script("/.auth/me").await.json()[0]["access_token"], "access-1");
    // Another website cannot have the tokens refreshed.
    assert_eq!(browser.send("GET", "/.auth/refresh", &[("sec-fetch-site", "cross-site")], "").await.status, 401);
    browser.open("/.auth/logout").await;
    assert_eq!(browser.script("/.auth/refresh").await.status, 401);
    let mut without_store = self::browser(settings(&double));
    without_store.sign_in(&double, "good", "").await;
    let refused = without_store.script("/.auth/refresh").await;
    assert!(
        refused.status == 403 && refused.json()["error"].as_str().is_some_and(|error| error.contains("store")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn sign_out_ends_the_session_here_and_at_the_provider_and_a_copy_of_the_cookie_with_it() {
    let double = Double::start().await;
    let mut browser = browser(settings(&double).store(Arc::new(MemoryRows::default())));
    browser.sign_in(&double, "good", "").await;
    let mut copy = browser.clone();
    assert_eq!((copy.page().await, copy.script("/.auth/refresh").await.status), (200, 200));
    let out = browser.open("/.auth/logout?post_logout_redirect_uri=/app").await;
    assert!(out.location().starts_with(&format!("{}/end?", double.issuer)), "{out:?}");
    assert_eq!(out.parameter("post_logout_redirect_uri"), "https://gw.example/.auth/logout/done");
    assert!(out.parameter("id_token_hint").split('.').count() == 3 && out.parameter("client_id") == "gw");
    let done = browser.open(&format!("/.auth/logout/done?state={}", out.parameter("state"))).await;
    assert_eq!(done.location(), "https://gw.example/app");
    browser.open("/.auth/logout/done?state=evil").await.says(200, "You are signed out");
    assert!(!browser.is_signed_in());
    assert_eq!((browser.page().await, copy.page().await), (401, 401));
    // A session without stored tokens ends at the provider without a hint.
    let mut browser = self::browser(settings(&double));
    browser.sign_in(&double, "good", "").await;
    assert!(browser.open("/.auth/logout").await.location().starts_with(&double.issuer));
    assert!(!browser.is_signed_in());
    assert_eq!(browser.open("/.auth/logout").await.location(), "/.auth/logout/done");
}

/// A store that fails while it is broken.
#[derive(Default)]
struct Fragile {
    rows: MemoryRows,
    is_broken: AtomicBool,
}

impl RowStore for Fragile {
    fn update(
        &self,
        key: &RowKey,
        now: u64,
        change: &mut dyn FnMut(Option<&[u8]>) -> RowChange,
    ) -> Result<(), Unavailable> {
        if self.is_broken.load(Relaxed) { Err(Unavailable) } else { self.rows.update(key, now, change) }
    }
}

#[tokio::test]
async fn broken_store_admits_no_new_person_and_loses_nothing_but_the_attempt() {
    let double = Double::start().await;
    let rows = Arc::new(Fragile::default());
    let server = browser(settings(&double).store(Arc::clone(&rows) as _));
    let mut browser = server.clone();
    browser.sign_in(&double, "good", "").await;
    assert_eq!(browser.page().await, 200);
    rows.is_broken.store(true, Relaxed);
    assert_eq!(browser.page().await, 200, "a session that this process knows needs no store");
    let mut restarted =
        Browser { cookies: browser.cookies.clone(), ..self::browser(settings(&double).store(Arc::clone(&rows) as _)) };
    assert_eq!(restarted.page().await, 503);
    assert_eq!(browser.script("/.auth/refresh").await.status, 503);
    browser.open("/.auth/logout").await.says(503, "still signed in");
    assert!(browser.is_signed_in());
    let mut second = server.clone();
    second.sign_in(&double, "good", "").await.says(503, "cannot store");
    assert!(!second.is_signed_in());
    rows.is_broken.store(false, Relaxed);
    assert_eq!((restarted.page().await, browser.page().await), (200, 200));
    // A store that was lost or restored from an old copy: the sessions in it have ended.
    let mut lost = Browser {
        cookies: browser.cookies.clone(),
        ..self::browser(settings(&double).store(Arc::new(MemoryRows::default())))
    };
    assert_eq!(lost.page().await, 401);
}

#[tokio::test]
async fn provider_that_is_down_gives_a_page_that_says_so_in_each_step() {
    let double = Double::start().await;
    let mut browser = browser(settings(&double));
    double.is_down.store(true, Relaxed);
    browser.open("/.auth/login/company").await.says(503, "does not answer");
    double.is_down.store(false, Relaxed);
    let away = browser.open("/.auth/login/company").await;
    double.is_down.store(true, Relaxed);
    browser.open(&back(&away, &double, "good")).await.says(503, "does not answer");
    assert!(!browser.is_signed_in());
}

#[tokio::test]
async fn tokens_of_any_size_are_stored_or_refused_with_a_page() {
    let double = Double::start().await;
    let mut browser = browser(settings(&double).store(Arc::new(MemoryRows::default())).expose_tokens());
    browser.sign_in(&double, "long", "").await;
    let me = browser.script("/.auth/me").await.json();
    assert_eq!(me[0]["access_token"].as_str().map(str::len), Some(60_000));
    let mut other = Browser { cookies: BTreeMap::new(), ..browser };
    other.sign_in(&double, "endless", "").await.says(400, "more groups, roles or tokens");
    assert!(!other.is_signed_in());
}

#[tokio::test]
async fn claims_of_the_provider_cannot_pretend_to_be_those_of_the_session() {
    let double = Double::start().await;
    let mut browser = browser(settings(&double).scopes(["notes.read"]));
    browser.sign_in(&double, "injected", "").await;
    let claims = browser.script("/app").await.json();
    assert_eq!(
        (&claims["scope"], &claims["idp"], &claims["azp"]),
        (&json!("notes.read"), &json!("company"), &json!("gw"))
    );
    assert!(!claims.to_string().contains("evil"), "{claims}");
}

#[tokio::test]
async fn only_the_people_of_the_lists_may_sign_in_and_a_new_list_counts_for_old_sessions() {
    let double = Double::start().await;
    let server =
        |provider| browser(SignIn::new(GATE, &[[1; 32]], [provider]).expect("valid").hosts(["gw.example".to_owned()]));
    let mut ada = server(company(&double).groups(["engineers"]).domains(["id.example"]));
    ada.sign_in(&double, "good", "").await;
    assert_eq!(ada.page().await, 200);
    let mut elsewhere = server(company(&double).groups(["others"]));
    elsewhere.sign_in(&double, "good", "").await.says(403, "you may not use this server");
    assert!(!elsewhere.is_signed_in());
    let mut changed = Browser { cookies: ada.cookies, ..elsewhere };
    assert_eq!(changed.page().await, 403);
}

#[tokio::test]
async fn program_signs_in_with_a_token_for_this_server_and_not_with_one_for_another() {
    let double = Double::start().await;
    let upstream = Upstream::github(&double.issuer, &double.issuer, "gw").expect("local").secret("s3cret");
    let sign_in = SignIn::new(GATE, &[[1; 32]], [company(&double), Provider::new("github", upstream)]).expect("valid");
    let mut program = browser(sign_in.hosts(["gw.example".to_owned()]));
    let types = [("content-type", "application/json")];
    let own = double.signed(&double.claims());
    let changed = |name: &str, value: Value| {
        let mut claims = double.claims();
        claims[name] = value;
        double.signed(&claims)
    };
    for (provider, body, expected) in [
        ("company", json!({"id_token": own}).to_string(), 200),
        ("company", json!({"access_token": own}).to_string(), 200),
        ("company", json!({"id_token": changed("aud", json!("other"))}).to_string(), 401),
        ("company", json!({"id_token": changed("exp", json!(now() - 100))}).to_string(), 401),
        ("company", json!({"id_token": format!("{own}A")}).to_string(), 401),
        ("company", json!({"id_token": "x".repeat(60_000)}).to_string(), 401),
        ("company", json!({"id_token": "x".repeat(100_000)}).to_string(), 413),
        ("company", json!({"id_token": 7}).to_string(), 400),
        ("company", "{".to_owned(), 400),
        ("company", "[]".to_owned(), 400),
        ("github", json!({"access_token": "gho_ada"}).to_string(), 200),
        ("github", json!({"access_token": "gho_of_another_application"}).to_string(), 401),
        ("none", json!({"access_token": "x"}).to_string(), 404),
    ] {
        let answer = program.send("POST", &format!("/.auth/login/{provider}"), &types, &body).await;
        assert_eq!(answer.status, expected, "{provider} {body:.80} {answer:?}");
        assert!(!program.is_signed_in(), "no cookie is set");
        if expected != 200 {
            assert!(answer.json()["error"].is_string(), "{answer:?}");
            continue;
        }
        let answer = answer.json();
        let sub = if provider == "github" { "7" } else { "0042" };
        assert_eq!(answer["user"]["userId"], format!("sid:{sub}"));
        let token = answer["authenticationToken"].as_str().expect("a token");
        // The header is not sent by browsers on their own, so it needs no Origin.
        let called = program.call(&[("x-zumo-auth", token)]).await;
        assert!(called.status == 200 && called.body.contains(sub), "{called:?}");
        assert_eq!(program.call(&[("x-zumo-auth", &token[1..])]).await.status, 401);
        assert_eq!(program.call(&[("x-zumo-auth", token), ("x-zumo-auth", token)]).await.status, 401);
    }
    let form = [("content-type", "text/plain")];
    let plain = program.send("POST", "/.auth/login/company", &form, &json!({"id_token": own}).to_string()).await;
    assert_eq!(plain.status, 415);
}

#[tokio::test]
async fn person_chooses_among_providers_and_signs_in_at_github_without_an_id_token() {
    let double = Double::start().await;
    let upstream = Upstream::github(&double.issuer, &double.issuer, "gw").expect("local").secret("s3cret");
    let github = Provider::new("github", upstream).label("Git<Hub>");
    let sign_in = SignIn::new(GATE, &[[1; 32]], [company(&double), github]).expect("valid");
    let mut browser = browser(sign_in.hosts(["gw.example".to_owned()]));
    let first = browser.open("/app").await;
    assert_eq!(first.location(), "/.auth/login?post_login_redirect_uri=%2Fapp");
    let choice = browser.open(first.location()).await;
    choice.says(200, "href=\"/.auth/login/github?post_login_redirect_uri=%2Fapp\">Git&lt;Hub&gt;</a>");
    for (code, expected) in [("bad", 400), ("good", 303)] {
        let away = browser.open("/.auth/login/github?post_login_redirect_uri=%2Fapp").await;
        assert!(away.location().starts_with(&format!("{}/login/oauth/authorize?", double.issuer)), "{away:?}");
        let state = away.parameter("state");
        let home = browser.open(&format!("/.auth/login/github/callback?code={code}&state={state}")).await;
        assert_eq!(home.status, expected, "{home:?}");
    }
    let claims = browser.script("/app").await.json();
    assert_eq!(
        (&claims["sub"], &claims["name"], &claims["preferred_username"]),
        (&json!("7"), &json!("ada"), &json!("ada"))
    );
    browser.open("/.auth/login/none").await.says(404, "no sign-in of this name");
}

#[tokio::test]
async fn session_goes_with_keys_and_with_guests_as_a_token_does() {
    let double = Double::start().await;
    let sign_in = Arc::new(settings(&double));
    let tokens = || {
        let issuer = attache_host::auth::Issuer::discovered("https://id.example").expect("an issuer");
        attache_host::auth::Tokens::of("https://gw.example/mcp", issuer).expect("a resource")
    };
    const KEY: &str = "0123456789abcdef0123456789abcdef";
    let keys = || Keys::new([("ops", KEY)]).expect("a long key");
    let mut both = browser_with(&sign_in, || Auth::both(tokens(), keys()).or_signed_in(&sign_in));
    both.sign_in(&double, "good", "").await;
    let key = ("x-functions-key", KEY);
    for (fields, expected) in [(vec![key], 200), (vec![], 401), (vec![("x-functions-key", "wrong")], 401)] {
        assert_eq!(both.call(&[&SCRIPT[..], &fields].concat()).await.status, expected, "{fields:?}");
    }
    let mut optional = browser_with(&sign_in, || Auth::optional(tokens()).or_signed_in(&sign_in));
    let who = async |browser: &mut Browser| browser.call(&SCRIPT).await.body.contains("0042");
    assert!(!who(&mut optional).await);
    optional.sign_in(&double, "good", "").await;
    assert!(who(&mut optional).await);
    // A session of a page of another website is no session, and so the caller is a guest.
    let foreign = optional.call(&[("sec-fetch-site", "cross-site")]).await;
    assert!(foreign.status == 200 && !foreign.body.contains("0042"), "{foreign:?}");
}

#[tokio::test]
async fn fragment_of_the_url_is_kept_by_the_one_script() {
    let double = Double::start().await;
    let mut browser = browser(settings(&double).keep_fragments());
    let page = browser.open("/.auth/login/company?post_login_redirect_uri=%2Fapp").await;
    assert_eq!(page.status, 200);
    assert!(page.headers["content-security-policy"].to_str().expect("text").contains("script-src 'self'"));
    assert!(
        page.body.contains("href=\"/.auth/login/company?post_login_redirect_uri=%2Fapp&amp;fragment=%23\""),
        "{}",
        page.body
    );
    let script = browser.open("/.auth/fragment.js").await;
    assert_eq!(script.headers["content-type"], "text/javascript; charset=utf-8");
    for (fragment, expected) in [("%23", "/app"), ("%23%2Fpart", "/app#/part"), ("x", "/app"), ("%23%0Ax", "")] {
        let query = format!("?post_login_redirect_uri=%2Fapp&fragment={fragment}");
        if expected.is_empty() {
            browser.open(&format!("/.auth/login/company{query}")).await.says(400, "does not send people");
            continue;
        }
        assert_eq!(
            browser.sign_in(&double, "good", &query).await.location(),
            format!("{GATE}{expected}"),
            "{fragment}"
        );
    }
}

#[tokio::test]
async fn pages_are_for_the_names_of_the_server() {
    let double = Double::start().await;
    let mut browser = browser(settings(&double));
    for path in ["/.auth/login/company", "/.auth/me", "/.auth/logout"] {
        let request = Request::get(path).header(HOST, "evil.example").body(Body::empty()).expect("a request");
        assert_eq!(browser.router.clone().call(request).await.expect("an answer").status(), 403, "{path}");
    }
    let foreign = browser.send("POST", "/.auth/logout", &[("origin", "https://evil.example")], "").await;
    assert_eq!(foreign.status, 403);
}

#[tokio::test]
async fn session_ends_with_its_longest_life() {
    let double = Double::start().await;
    let mut browser = browser(settings(&double).lifetime(Duration::ZERO, Duration::ZERO));
    browser.sign_in(&double, "good", "").await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(browser.page().await, 401);
}

#[test]
fn settings_that_would_be_unsafe_are_refused() {
    let upstream = |issuer: &str| Upstream::new(issuer, "gw").expect("an issuer");
    let company = |name: &str| Provider::new(name, upstream("https://id.example"));
    let many = || Provider::new("aad", upstream("https://login.microsoftonline.com/common/v2.0"));
    let key = &[[1; 32]][..];
    let origin = |text: &str| InvalidSignIn::Origin(text.to_owned());
    for (at, keys, providers, expected) in [
        (GATE, key, vec![company("a")], None),
        ("http://127.0.0.1:8080", key, vec![company("a")], None),
        ("http://gw.example", key, vec![company("a")], Some(origin("http://gw.example"))),
        ("https://gw.example/", key, vec![company("a")], Some(origin("https://gw.example/"))),
        ("https://gw.example:443", key, vec![company("a")], Some(origin("https://gw.example:443"))),
        ("gw.example", key, vec![company("a")], Some(origin("gw.example"))),
        (GATE, &[], vec![company("a")], Some(InvalidSignIn::SealKey)),
        (GATE, key, vec![], Some(InvalidSignIn::NoProvider)),
        (GATE, key, vec![company("a"), company("a")], Some(InvalidSignIn::SameName("a".to_owned()))),
        (GATE, key, vec![company("a/b")], Some(InvalidSignIn::Name("a/b".to_owned()))),
        (GATE, key, vec![company("done")], Some(InvalidSignIn::Name("done".to_owned()))),
        (GATE, key, vec![many()], Some(InvalidSignIn::Tenants("aad".to_owned()))),
        (GATE, key, vec![many().tenants(["*"])], None),
    ] {
        assert_eq!(SignIn::new(at, keys, providers).err(), expected, "{at}");
        if let Some(expected) = expected {
            assert!(!expected.to_string().is_empty());
        }
    }
    assert!(SignIn::new(GATE, key, [company("a")]).expect("valid").redirect_to("b").is_err());
}
