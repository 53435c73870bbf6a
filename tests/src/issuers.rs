//! Issuers over time: key rotation, several tenants, and tokens for which nothing is fetched.

use crate::implementations::Http;
use crate::protection::{RESOURCE, Site, call, fixed, jwks, now, protected, signing, site, status, token, tools};
use crate::tokens::{base64url, signed_by};
use ::core::time::Duration;
use attache_host::auth::{Auth, Issuer, Tokens, Unauthenticated};
use attache_host::http::McpService;
use attache_host::{Limits, Rate, Server, limits};
use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Value, json};
use std::time::Instant;
use tower_service::Service;

/// The paths of an issuer's metadata and of its keys.
const PLACE: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/keys";

/// A server in the runtime of the test, so that the test can move its clock.
struct Moved(McpService);

impl Moved {
    fn of(issuer: Issuer) -> Self {
        let tokens = Tokens::of(RESOURCE, issuer.applications(["app"])).expect("a resource");
        Self(McpService::new(tools(Server::new("moved", "1")).auth(Auth::tokens(tokens)).build()))
    }

    /// Returns the status of a call with this token.
    async fn status(&mut self, token: &str) -> u16 {
        let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
        let request = axum::http::Request::post("/mcp")
            .header("host", "localhost")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {token}"))
            .body(Full::new(Bytes::from_static(body)))
            .expect("a request");
        self.0.call(request).await.expect("an answer").status().as_u16()
    }
}

/// Advances the clock of the runtime by `time` at once. The clock runs during requests, because
/// those have real connections.
async fn later(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Waits until the issuer was asked once more than `before`.
async fn asked_after(site: &Site, before: usize) {
    for _ in 0..500 {
        if site.asked() > before {
            // The answer has to arrive, too.
            return tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the issuer is not asked");
}

fn published(numbers: &[u8]) -> (Site, String) {
    let (site, origin) = site();
    site.publish(PLACE, &origin, &origin, numbers);
    (site, origin)
}

#[tokio::test]
async fn token_by_a_withdrawn_key_is_refused_within_the_hour_though_it_is_remembered() {
    let (site, origin) = published(&[1]);
    let mut server = Moved::of(Issuer::discovered(&origin).expect("an issuer"));
    let remembered = token(1, &origin, json!({}));
    assert_eq!(server.status(&remembered).await, 200);
    site.put(KEYS, jwks(&[2]));
    let asked = site.asked();
    later(limits::KEYS_REFRESH - Duration::from_secs(1)).await;
    assert_eq!((server.status(&remembered).await, site.asked()), (200, asked));
    // No request arrives until the hour is over; then one with the remembered token.
    later(limits::KEYS_STALE).await;
    assert_eq!(server.status(&remembered).await, 401);
    assert_eq!(server.status(&token(2, &origin, json!({}))).await, 200);
}

#[tokio::test]
async fn keys_are_fetched_beside_the_requests_before_their_hour_is_over() {
    let (site, origin) = published(&[1]);
    let mut server = Moved::of(Issuer::discovered(&origin).expect("an issuer"));
    let remembered = token(1, &origin, json!({}));
    assert_eq!(server.status(&remembered).await, 200);
    site.put(KEYS, jwks(&[2]));
    let asked = site.asked();
    later(limits::KEYS_REFRESH + Duration::from_secs(1)).await;
    assert_eq!(server.status(&remembered).await, 200, "it does not wait");
    asked_after(&site, asked).await;
    assert_eq!(server.status(&remembered).await, 401);
}

#[tokio::test]
async fn last_good_keys_stay_while_the_issuer_is_down_and_it_is_asked_again_soon() {
    let (site, origin) = published(&[1]);
    let mut server = Moved::of(Issuer::discovered(&origin).expect("an issuer"));
    let remembered = token(1, &origin, json!({}));
    assert_eq!(server.status(&remembered).await, 200);
    site.answer(KEYS, 500, None, "");
    later(limits::KEYS_STALE + Duration::from_secs(1)).await;
    assert_eq!(server.status(&remembered).await, 200);
    assert_eq!(server.status(&token(1, &origin, json!({"sub": "bob"}))).await, 200);
    // The issuer is reachable again, and has withdrawn the key in the meantime.
    site.put(KEYS, jwks(&[2]));
    let asked = site.asked();
    later(limits::KEYS_RETRY + Duration::from_secs(1)).await;
    assert_eq!(server.status(&remembered).await, 200);
    asked_after(&site, asked).await;
    assert_eq!(server.status(&remembered).await, 401);
}

#[tokio::test]
async fn new_key_under_an_old_name_counts_and_the_old_one_does_not_any_more() {
    let (site, origin) = published(&[1]);
    let mut server = Moved::of(Issuer::discovered(&origin).expect("an issuer"));
    let old = token(1, &origin, json!({}));
    assert_eq!(server.status(&old).await, 200);
    site.put(KEYS, jwks(&[2]).replace(r#""kid":"2""#, r#""kid":"1""#));
    let header = json!({"alg": "ES256", "kid": "1"}).to_string();
    let claims = json!({"iss": origin, "sub": "ada", "aud": RESOURCE, "exp": now() + 600, "azp": "app"}).to_string();
    let new = signed_by(&signing(2), &header, &claims);
    let asked = site.asked();
    assert_eq!((server.status(&new).await, site.asked()), (401, asked), "the issuer was asked just now");
    later(limits::FETCH_AGAIN).await;
    assert_eq!(server.status(&new).await, 200);
    assert_eq!(server.status(&old).await, 401);
}

#[tokio::test]
async fn nothing_is_fetched_for_a_token_that_no_key_could_make_good() {
    let (site, origin) = published(&[1]);
    let mut server = Moved::of(Issuer::discovered(&origin).expect("an issuer"));
    let claims = json!({"iss": origin, "sub": "ada", "aud": RESOURCE, "exp": now() + 600, "azp": "app"}).to_string();
    let with = |alg: &str, signature: usize| {
        let header = json!({"alg": alg, "kid": "unknown"}).to_string();
        let [header, claims] = [header, claims.clone()].map(|part| base64url(part.as_bytes()));
        format!("{header}.{claims}.{}", base64url(&vec![7; signature]))
    };
    for (alg, signature) in [
        ("HS256", 32),
        ("none", 0),
        ("ES512", 132),
        ("PS384", 256),
        ("rs256", 256),
        ("RS256", 0),
        ("RS256", 128),
        ("PS256", 1024),
        ("ES256", 63),
        ("ES256", 96),
        ("ES384", 64),
        ("EdDSA", 65),
    ] {
        assert_eq!(server.status(&with(alg, signature)).await, 401, "{alg} {signature}");
    }
    let long = token(1, &origin, json!({"pad": "x".repeat(limits::TOKEN)}));
    assert_eq!(server.status(&long).await, 401);
    assert_eq!(server.status(&token(1, &origin, json!({"at_hash": "x"}))).await, 401);
    assert_eq!(site.asked(), 0);
    assert_eq!(server.status(&with("ES256", 64)).await, 401);
    assert_ne!(site.asked(), 0, "by its form it could be good");
}

#[test]
fn caller_of_a_hidden_endpoint_does_not_wait_for_the_keys_of_an_issuer() {
    let (site, origin) = published(&[1]);
    let tokens = Tokens::of(RESOURCE, Issuer::discovered(&origin).expect("an issuer").applications(["app"]))
        .expect("a resource");
    let auth = Auth::tokens(tokens).unauthenticated(Unauthenticated::NotFound);
    let http = Http::start(tools(Server::new("hidden", "1")).auth(auth));
    // The keys are fetched before the first request.
    let good = token(1, &origin, json!({}));
    let started = Instant::now();
    while status(&http, &good) != 200 {
        assert!(started.elapsed() < Duration::from_secs(10), "the keys do not come");
        std::thread::sleep(Duration::from_millis(20));
    }
    *site.delay.lock().expect("not poisoned") = Duration::from_secs(60);
    std::thread::sleep(limits::FETCH_AGAIN);
    let asked = site.asked();
    for _ in 0..2 {
        let started = Instant::now();
        assert_eq!(status(&http, &token(2, &origin, json!({}))), 404);
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    }
    let started = Instant::now();
    while site.asked() == asked {
        assert!(started.elapsed() < Duration::from_secs(10), "nobody looks for the key");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(status(&http, &good), 200);
}

const ONE: &str = "11111111-7777-8888-9999-000000000000";
const OTHER: &str = "22222222-7777-8888-9999-000000000000";
const STRANGER: &str = "33333333-7777-8888-9999-000000000000";

/// A mock of Entra ID for all tenants: one key for all of them, and one for `OTHER` only.
fn entra(all: &str) -> (Site, String) {
    let (site, origin) = site();
    let template = format!("{origin}/{{tenantid}}/v2.0");
    let mut keys: Value = serde_json::from_str(&jwks(&[1, 2])).expect("JSON");
    keys["keys"][0]["issuer"] = json!(template);
    keys["keys"][1]["issuer"] = json!(format!("{origin}/{OTHER}/v2.0"));
    let metadata = json!({"issuer": template, "jwks_uri": format!("{origin}/keys")});
    site.put(&format!("/{all}/v2.0{PLACE}"), metadata);
    site.put(KEYS, keys);
    (site, origin)
}

#[test]
fn tokens_of_several_tenants_are_told_apart_by_the_keys_that_are_common_to_all() {
    for (all, configured) in [("common", "common"), ("organizations", "organizations"), ("common", "{tenantid}")] {
        let (_site, origin) = entra(all);
        let issuer =
            Issuer::discovered(&format!("{origin}/{configured}/v2.0")).expect("an issuer").tenants([ONE, OTHER]);
        let http = protected(issuer);
        let of = |key, issuer: &str, tenant: &str| {
            token(key, &format!("{origin}/{issuer}/v2.0"), json!({"tid": tenant, "oid": "o"}))
        };
        for (key, issuer, tenant, expected) in [
            (1, ONE, ONE, 200),
            (1, OTHER, OTHER, 200),
            (2, OTHER, OTHER, 200),
            // This key is valid only for the other tenant.
            (2, ONE, ONE, 401),
            (1, STRANGER, STRANGER, 403),
            (1, ONE, OTHER, 401),
            (1, "common", ONE, 401),
            (1, "{tenantid}", ONE, 401),
            (1, "a/../b", "a/../b", 401),
        ] {
            let status = status(&http, &of(key, issuer, tenant));
            assert_eq!(status, expected, "{configured}: key {key}, issuer {issuer}, tenant {tenant}");
        }
        // Clients look for the authorization server at this path.
        let headers = [("host", "localhost")];
        let metadata = http.open_at("GET", "/.well-known/oauth-protected-resource/base/mcp", &headers, b"").rest();
        let metadata: Value = serde_json::from_slice(&metadata).expect("JSON");
        assert_eq!(metadata["authorization_servers"], json!([format!("{origin}/{all}/v2.0")]));
    }
}

#[test]
fn template_in_the_metadata_of_one_tenant_is_that_of_another_issuer() {
    let (site, origin) = entra("common");
    let issuer = format!("{origin}/{ONE}/v2.0");
    let template = json!({"issuer": format!("{origin}/{{tenantid}}/v2.0"), "jwks_uri": format!("{origin}/keys")});
    site.put(&format!("/{ONE}/v2.0{PLACE}"), template);
    let http = protected(Issuer::discovered(&issuer).expect("an issuer").tenants([ONE]));
    assert_eq!(status(&http, &token(1, &issuer, json!({"tid": ONE}))), 503);
}

#[tokio::test]
async fn explanation_tells_a_key_that_is_not_served_from_one_that_is_not_there() {
    let mut keys: Value = serde_json::from_str(&jwks(&[1])).expect("JSON");
    let other = json!({"kty": "RSA", "kid": "ps", "alg": "PS512", "n": base64url(&[0xC1; 256]), "e": "AQAB"});
    keys["keys"].as_array_mut().expect("keys").push(other);
    let issuer = Issuer::with_keys("https://id.example", &keys.to_string()).expect("keys");
    let tokens = Tokens::of(RESOURCE, issuer.applications(["app"])).expect("a resource");
    let claims = json!({"iss": "https://id.example", "aud": RESOURCE, "exp": now() + 600, "azp": "app", "sub": "a"});
    for (alg, kid, expected) in [
        ("ES256", "1", Ok(())),
        ("PS512", "ps", Err("the issuer's key ps is for an algorithm, size or use not served here")),
        ("ES256", "ps", Err("the issuer's key ps is for an algorithm, size or use not served here")),
        ("PS512", "unknown", Err("the issuer has no key unknown")),
        ("ES256", "unknown", Err("the issuer has no key unknown")),
        ("HS256", "1", Err("alg is HS256, which is not served here")),
    ] {
        let header = json!({"alg": alg, "kid": kid}).to_string();
        let explained = tokens.explain(&signed_by(&signing(1), &header, &claims.to_string())).await;
        let verdict = explained.verdicts.iter().find(|(name, _)| *name == "signature");
        let (_, verdict) = verdict.expect("a verdict on the signature");
        assert_eq!(verdict.clone(), expected.map_err(str::to_owned), "{alg} {kid}");
        assert_eq!(explained.is_admitted(), expected.is_ok());
    }
    let bound = claims.to_string().replacen('{', r#"{"cnf":{"jkt":"x"},"#, 1);
    let explained = tokens.explain(&signed_by(&signing(1), r#"{"alg":"ES256","kid":"1"}"#, &bound)).await;
    let refused: Vec<_> =
        explained.verdicts.iter().filter(|(_, verdict)| verdict.is_err()).map(|(name, _)| *name).collect();
    assert_eq!(refused, ["kind"]);
}

#[test]
fn leeway_age_and_length_of_tokens_are_for_the_operator_to_set() {
    let with = |issuer: Issuer, longest: Option<usize>| {
        let tokens = Tokens::of(RESOURCE, issuer.applications(["app"])).expect("a resource");
        let tokens = longest.map_or(tokens, |bytes| {
            Tokens::longest(Tokens::of(RESOURCE, fixed().applications(["app"])).expect("a resource"), bytes)
        });
        Http::start(tools(Server::new("set", "1")).auth(Auth::tokens(tokens)))
    };
    let of = |changes| token(1, "https://id.example", changes);
    let patient = with(fixed().leeway(Duration::from_secs(300)), None);
    assert_eq!(status(&patient, &of(json!({"exp": now() - 200}))), 200);
    let exact = with(fixed().leeway(Duration::ZERO), None);
    assert_eq!(status(&exact, &of(json!({"exp": now() - 2}))), 401);
    let young = with(fixed().oldest(Duration::from_secs(600)), None);
    for (changes, expected) in
        [(json!({"iat": now() - 500}), 200), (json!({"iat": now() - 700}), 401), (json!({}), 401)]
    {
        assert_eq!(status(&young, &of(changes.clone())), expected, "{changes}");
    }
    let token = of(json!({}));
    for (longest, expected) in [(token.len(), 200), (token.len() - 1, 401)] {
        assert_eq!(status(&with(fixed(), Some(longest)), &token), expected);
    }
}

#[test]
fn caller_that_comes_too_often_is_known_by_its_token_from_whatever_address() {
    let tokens = Tokens::of(RESOURCE, fixed().applications(["app"])).expect("a resource");
    let limits = Limits::default().identity_rate(Some(Rate { per_second: 1, burst: 3 }));
    let http = Http::start(tools(Server::new("rated", "1")).auth(Auth::tokens(tokens)).limits(limits));
    let of = |sub: &str| token(1, "https://id.example", json!({"sub": sub}));
    let (ada, bob) = (of("ada"), of("bob"));
    let statuses: Vec<u16> = (0..4).map(|_| status(&http, &ada)).collect();
    assert_eq!(statuses, [200, 200, 200, 429]);
    let refused = call(&http, "who", &[("authorization", &format!("Bearer {ada}"))]);
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    // Another token of the same person is the same caller; another person is another one.
    assert_eq!(status(&http, &token(1, "https://id.example", json!({"sub": "ada", "jti": "2"}))), 429);
    assert_eq!(status(&http, &bob), 200);
}

/// Returns the answer to a handshake with this token: status, session id and `Cache-Control`.
fn opened(http: &Http, token: &str) -> (u16, Option<String>, Option<String>) {
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"},
    }});
    let bearer = format!("Bearer {token}");
    let headers = [("host", "localhost"), ("content-type", "application/json"), ("authorization", bearer.as_str())];
    let opened = http.open(&headers, hello.to_string().as_bytes());
    let field = |name| opened.header(name).map(str::to_owned);
    (opened.status, field("mcp-session-id"), field("cache-control"))
}

#[test]
fn session_belongs_to_one_person_of_one_tenant_and_is_kept_by_no_cache() {
    let http = protected(fixed());
    let of = |changes| token(1, "https://id.example", changes);
    let (_, session, cache) = opened(&http, &of(json!({"oid": "o1", "tid": "t1"})));
    let session = session.expect("a session");
    assert_eq!(cache.as_deref(), Some("no-store"));
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}).to_string();
    let in_session = |token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [
            ("host", "localhost"),
            ("content-type", "application/json"),
            ("mcp-session-id", session.as_str()),
            ("authorization", bearer.as_str()),
        ];
        http.open(&headers, list.as_bytes()).status
    };
    for (changes, expected) in [
        (json!({"oid": "o1", "tid": "t1", "exp": now() + 700}), 200),
        (json!({"oid": "o2", "tid": "t1"}), 404),
        (json!({"oid": "o1", "tid": "t2"}), 404),
        (json!({"oid": "o1"}), 404),
        (json!({}), 404),
    ] {
        assert_eq!(in_session(&of(changes.clone())), expected, "{changes}");
    }
}

#[test]
fn token_that_names_nobody_gets_no_session_and_that_of_an_application_does() {
    let issuer = fixed().any_application();
    let http =
        Http::start(tools(Server::new("n", "1")).auth(Auth::tokens(Tokens::of(RESOURCE, issuer).expect("a resource"))));
    for (changes, expected) in [
        (json!({"sub": null, "azp": null}), false),
        (json!({"sub": "", "azp": ""}), false),
        (json!({"sub": null, "azp": null, "cid": "app"}), true),
        (json!({"sub": null, "azp": null, "oid": "o"}), true),
    ] {
        let token = token(1, "https://id.example", changes.clone());
        let (status, session, cache) = opened(&http, &token);
        assert_eq!((status, session.is_some(), cache.is_some()), (200, expected, expected), "{changes}");
        // The caller may still call.
        assert_eq!(crate::protection::status(&http, &token), 200);
    }
}

#[test]
fn bearer_without_a_token_is_asked_for_one() {
    let http = protected(fixed());
    for value in ["Bearer", "bearer", "Bearer  "] {
        let refused = call(&http, "who", &[("authorization", value)]);
        let challenge = refused.header("www-authenticate").expect("a challenge").to_owned();
        assert_eq!(refused.status, 401);
        // RFC 6750 §3.1: no error code, because the request had no credentials.
        assert!(challenge.starts_with("Bearer resource_metadata="), "{challenge}");
    }
}
