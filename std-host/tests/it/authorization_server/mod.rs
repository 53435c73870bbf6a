//! The authorization server, as clients and browsers use it.

mod clients;
mod known_clients;
mod upstream;

use attache_host::authorization_server::{AuthorizationServer, Person};
use axum::Router;
use axum::body::{Body, to_bytes};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CONTENT_TYPE, COOKIE, HOST, LOCATION, SET_COOKIE};
use http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use tower_service::Service as _;

const ISSUER: &str = "http://127.0.0.1:8089";
const RESOURCE: &str = "http://127.0.0.1:8080/mcp";
const REDIRECT: &str = "http://127.0.0.1:33418/";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// An answer, read to its end.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn field(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    fn json(&self) -> Value {
        assert_eq!(self.field("content-type"), "application/json", "{self:?}");
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// The error of an answer in JSON.
    fn error(&self) -> (u16, String) {
        let body = self.json();
        assert!(!body["error_description"].as_str().expect("a description").is_empty());
        assert!(!self.field("cache-control").is_empty());
        (self.status, body["error"].as_str().expect("an error").to_owned())
    }

    /// The value of a hidden field of a page.
    fn hidden(&self, name: &str) -> String {
        let rest = self.body.split(&format!("name=\"{name}\" value=\"")).nth(1).expect("the page has the field");
        rest.split('"').next().expect("a value").to_owned()
    }

    /// The parameters of a redirection to this URI.
    fn redirected(&self, to: &str) -> Vec<(String, String)> {
        assert_eq!(self.status, 303, "{self:?}");
        let location = self.headers[LOCATION].to_str().expect("text");
        let query = location.strip_prefix(to).and_then(|rest| rest.strip_prefix('?')).expect("the redirect URI");
        form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    fn parameter(&self, name: &str) -> String {
        let parameters = self.redirected(REDIRECT);
        let values: Vec<_> = parameters.iter().filter(|(own, _)| own == name).collect();
        assert!(values.len() <= 1, "{parameters:?}");
        values.first().map(|(_, value)| value.clone()).unwrap_or_default()
    }
}

/// Clients and browsers of one server.
struct World {
    router: Router,
    /// The cookies of the browser.
    cookies: Vec<String>,
}

impl World {
    fn new() -> Self {
        Self::of(server())
    }

    fn of(server: AuthorizationServer) -> Self {
        Self { router: server.routes(), cookies: Vec::new() }
    }

    async fn send(&self, request: http::request::Builder, body: String) -> Answer {
        let request = request.body(Body::from(body)).expect("a request");
        let response = self.router.clone().call(request).await.expect("an answer");
        let (head, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.expect("a whole body").to_vec();
        Answer { status: head.status.as_u16(), headers: head.headers, body: String::from_utf8(body).expect("text") }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).header(HOST, "127.0.0.1:8089"), String::new()).await
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request::post(path).header(HOST, "127.0.0.1:8089");
        self.send(request.header(CONTENT_TYPE, "application/x-www-form-urlencoded"), body).await
    }

    async fn register(&self, metadata: Value) -> Answer {
        let request = Request::post("/oauth/register").header(HOST, "127.0.0.1:8089");
        self.send(request.header(CONTENT_TYPE, "application/json"), metadata.to_string()).await
    }

    async fn registered(&self) -> String {
        let answer = self.register(json!({"client_name": "Test", "redirect_uris": [REDIRECT]})).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["client_id"].as_str().expect("an id").to_owned()
    }

    /// Opens the consent page in the browser.
    async fn open(&mut self, changes: &[(&str, &str)]) -> Answer {
        let client = self.registered().await;
        self.open_as(&client, changes).await
    }

    async fn open_as(&mut self, client: &str, changes: &[(&str, &str)]) -> Answer {
        let answer = self.get(&format!("/oauth/authorize?{}", query(client, changes))).await;
        for cookie in answer.headers.get_all(SET_COOKIE) {
            let pair = cookie.to_str().expect("text").split(';').next().expect("a pair");
            self.cookies.push(pair.to_owned());
        }
        answer
    }

    /// Sends the form of a page as the browser does.
    async fn decide(&self, page: &Answer, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
        let consent = page.hidden("consent");
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("consent", &consent).extend_pairs(fields);
        let mut request = Request::post("/oauth/consent").header(HOST, "127.0.0.1:8089");
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if !self.cookies.is_empty() {
            request = request.header(COOKIE, self.cookies.join("; "));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request, form.finish()).await
    }

    async fn allow(&self, page: &Answer) -> Answer {
        self.decide(page, &ALLOW, &[]).await
    }

    async fn redeem(&self, client: &str, code: &str, changes: &[(&str, &str)]) -> Answer {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        self.post("/oauth/token", &changed(&form, changes)).await
    }

    async fn refresh(&self, client: &str, token: &str, changes: &[(&str, &str)]) -> Answer {
        let form = [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)];
        self.post("/oauth/token", &changed(&form, changes)).await
    }

    /// Signs in, and returns the client's id and its tokens.
    async fn signed_in(&mut self, changes: &[(&str, &str)]) -> (String, Value) {
        let client = self.registered().await;
        let page = self.open_as(&client, changes).await;
        let code = self.allow(&page).await.parameter("code");
        let tokens = self.redeem(&client, &code, &[]).await;
        assert_eq!(tokens.status, 200, "{tokens:?}");
        (client, tokens.json())
    }
}

const ALLOW: [(&str, &str); 4] = [("decision", "allow"), ("person", "0"), ("scope-0", "yes"), ("scope-1", "yes")];

fn server() -> AuthorizationServer {
    let people = [Person::new(ISSUER, "ada").name("Ada").roles(["admin"]), Person::new(ISSUER, "bob")];
    AuthorizationServer::for_development(ISSUER, people).expect("a local issuer")
}

/// Replaces parameters, removes those with an empty value, and adds others.
fn changed<'a>(form: &[(&'a str, &'a str)], changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = form.iter().filter(|(name, _)| !changes.iter().any(|(other, _)| other == name));
    kept.chain(changes).filter(|(_, value)| !value.is_empty()).copied().collect()
}

fn query(client: &str, changes: &[(&str, &str)]) -> String {
    let form = [
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", REDIRECT),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("resource", RESOURCE),
        ("scope", "read write"),
        ("state", "x&y"),
    ];
    form_urlencoded::Serializer::new(String::new()).extend_pairs(changed(&form, changes)).finish()
}

/// Changes one character in the middle.
fn tampered(text: &str) -> String {
    let (front, rest) = text.split_at(text.len() / 2);
    let other = if rest.starts_with('A') { 'B' } else { 'A' };
    format!("{front}{other}{}", &rest[1..])
}

/// The header and the claims of a token.
fn parts(token: &Value) -> (Value, Value) {
    let token = token.as_str().expect("text");
    let part = |number: usize| {
        let text = token.split('.').nth(number).expect("three parts");
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).expect("Base64url")).expect("JSON")
    };
    (part(0), part(1))
}

#[tokio::test]
async fn metadata_names_the_configured_issuer_whatever_host_is_asked() {
    let world = World::new();
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        for host in ["127.0.0.1:8089", "localhost:1", "[::1]"] {
            let request = Request::get(path).header(HOST, host).header("x-forwarded-host", "evil.example");
            let answer = world.send(request, String::new()).await;
            assert_eq!((answer.status, answer.field("access-control-allow-origin")), (200, "*"));
            assert_eq!(answer.field("cache-control"), "max-age=300");
            let metadata = answer.json();
            assert_eq!(metadata["issuer"], ISSUER);
            for endpoint in ["authorization", "token", "registration", "revocation"] {
                let url = metadata[format!("{endpoint}_endpoint")].as_str().expect("a URL");
                assert!(url.starts_with(&format!("{ISSUER}/oauth/")), "{url}");
            }
            assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
            assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
            assert_eq!(metadata["client_id_metadata_document_supported"], true);
        }
        let foreign = world.send(Request::get(path).header(HOST, "evil.example"), String::new()).await;
        assert_ne!(foreign.status, 200, "DNS rebinding");
    }
}

#[tokio::test]
async fn issuer_with_a_path_has_its_documents_at_the_places_of_all_standards() {
    let issuer = "http://localhost:8089/team";
    let server = AuthorizationServer::for_development(issuer, [Person::new(issuer, "ada")]).expect("local");
    let world = World::of(server.scopes(["read"]));
    for path in [
        "/.well-known/oauth-authorization-server/team",
        "/.well-known/openid-configuration/team",
        "/team/.well-known/openid-configuration",
    ] {
        let metadata = world.get(path).await.json();
        assert_eq!(metadata["issuer"], issuer, "{path}");
        assert_eq!(metadata["scopes_supported"], json!(["read", "offline_access"]));
        assert_eq!(metadata["id_token_signing_alg_values_supported"].is_array(), path.contains("openid"), "{path}");
        let keys = metadata["jwks_uri"].as_str().and_then(|url| url.strip_prefix("http://localhost:8089"));
        assert_eq!(world.get(keys.expect("of the issuer")).await.json()["keys"][0]["kty"], "EC");
    }
}

#[tokio::test]
async fn every_path_that_is_named_is_served() {
    let issuer = "http://localhost:8089/team";
    let world = World::of(AuthorizationServer::for_development(issuer, []).expect("local"));
    let paths = attache_host::authorization_server::paths(issuer);
    for path in &paths {
        let answer = world.send(Request::patch(path).header(HOST, "localhost"), String::new()).await;
        assert_eq!(answer.status, 405, "{path}");
    }
    assert_eq!(paths.len(), 11);
    let paths = attache_host::authorization_server::paths(ISSUER);
    assert!(paths.contains(&"/authorize".to_owned()) && paths.contains(&"/token".to_owned()), "{paths:?}");
    assert_eq!(world.get("/team/oauth/other").await.status, 404);
}

#[test]
fn development_issuer_is_on_this_machine() {
    for issuer in ["https://id.example", "http://10.0.0.1", "http://localhost/", "http://0.0.0.0:1", "localhost"] {
        assert!(AuthorizationServer::for_development(issuer, []).is_err(), "{issuer}");
    }
}

#[tokio::test]
async fn client_registers_signs_a_person_in_and_gets_tokens_for_the_resource() {
    let mut world = World::new();
    let (client, tokens) = world.signed_in(&[]).await;
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["scope"], "read write");
    assert!(tokens["expires_in"].as_u64().is_some_and(|seconds| seconds > 0));
    // RFC 9068 §2.
    let (header, claims) = parts(&tokens["access_token"]);
    let keys = world.get("/oauth/jwks").await.json();
    assert_eq!(header, json!({"typ": "at+jwt", "alg": "ES256", "kid": keys["keys"][0]["kid"]}));
    for (name, expected) in [
        ("iss", json!(ISSUER)),
        ("aud", json!(RESOURCE)),
        ("sub", json!("ada")),
        ("client_id", json!(client)),
        ("scope", json!("read write")),
        ("name", json!("Ada")),
        ("roles", json!(["admin"])),
    ] {
        assert_eq!(claims[name], expected, "{name}");
    }
    assert!(claims["jti"].is_string() && claims["exp"].as_u64() > claims["iat"].as_u64());
}

#[tokio::test]
async fn registration_keeps_good_redirect_uris_and_says_which_it_refused() {
    let world = World::new();
    let cursor = ["cursor://anysphere.cursor-mcp/oauth/callback", "https://www.cursor.com/cb", "http://10.0.0.1/cb"];
    let metadata = json!({
        "client_name": "Cursor\u{202E}", "redirect_uris": cursor, "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["authorization_code", "urn:x"], "application_type": "native", "scope": "a b", "unknown": [1],
    });
    let answer = world.register(metadata).await;
    assert_eq!((answer.status, answer.field("cache-control")), (201, "no-store"));
    let answer = answer.json();
    assert_eq!(answer["redirect_uris"], json!(cursor[..2]));
    assert_eq!(answer["refused_redirect_uris"][0]["redirect_uri"], cursor[2]);
    assert_eq!(answer["token_endpoint_auth_method"], "none");
    assert_eq!(answer["client_name"], "Cursor");
    assert_eq!(answer["application_type"], "native");
    assert!(answer.get("client_secret").is_none() && answer.get("registration_client_uri").is_none());
}

#[tokio::test]
async fn hostile_registrations_are_refused() {
    let world = World::new();
    let many: Vec<_> = (0..30).map(|number| format!("https://a.example/{number}")).collect();
    let long = format!("https://a.example/{}", "a".repeat(3000));
    for (metadata, expected) in [
        (json!({}), (400, "invalid_redirect_uri")),
        (json!({"redirect_uris": []}), (400, "invalid_redirect_uri")),
        (json!({"redirect_uris": ["javascript:alert(1)"]}), (400, "invalid_redirect_uri")),
        (json!({"redirect_uris": [long]}), (400, "invalid_redirect_uri")),
        (json!({"redirect_uris": "https://a.example/"}), (400, "invalid_client_metadata")),
        (json!({"redirect_uris": [REDIRECT], "software_statement": "x"}), (400, "invalid_client_metadata")),
        (json!([]), (400, "invalid_client_metadata")),
        (json!({"redirect_uris": [REDIRECT], "x": "y".repeat(20_000)}), (413, "invalid_request")),
    ] {
        let (status, error) = world.register(metadata.clone()).await.error();
        assert_eq!((status, error.as_str()), expected, "{metadata}");
    }
    let kept = world.register(json!({"redirect_uris": many})).await.json();
    assert_eq!(kept["redirect_uris"].as_array().map(Vec::len), Some(10));
    let request = Request::post("/oauth/register").header(HOST, "localhost").header(CONTENT_TYPE, "text/plain");
    assert_eq!(world.send(request, "{}".to_owned()).await.status, 415);
}

#[tokio::test]
async fn client_or_redirect_uri_that_is_not_certain_gets_a_page_and_no_redirection() {
    let mut world = World::new();
    let client = world.registered().await;
    let tampered = tampered(&client);
    for (changes, words) in [
        (&[("client_id", "")][..], "does not name the program"),
        (&[("client_id", "unknown")], "does not know the program"),
        (&[("client_id", &tampered)], "does not know the program"),
        (&[("client_id", &client), ("client_id", &client)], "does not name the program"),
        (&[("client_id", "https://evil.example/client.json")], "evil.example is not on the list"),
        (&[("client_id", "https://vscode.dev/")], "not a plain https URL"),
        (&[("redirect_uri", "")], "where the answer goes"),
        (&[("redirect_uri", "https://evil.example/")], "where the answer goes"),
        (&[("redirect_uri", "http://127.0.0.1:33418/other")], "where the answer goes"),
        (&[("redirect_uri", REDIRECT), ("redirect_uri", REDIRECT)], "where the answer goes"),
    ] {
        let answer = world.open_as(&client, changes).await;
        assert_eq!(answer.status, 400, "{changes:?}: {answer:?}");
        assert!(answer.body.contains(words) && answer.headers.get(LOCATION).is_none(), "{changes:?}: {answer:?}");
        assert!(answer.field("content-type").starts_with("text/html"));
    }
}

#[tokio::test]
async fn other_mistakes_of_a_client_go_to_its_redirect_uri_with_state_and_issuer() {
    let mut world = World::new();
    let long = "s".repeat(5000);
    for (changes, error) in [
        (&[("response_type", "token")][..], "unsupported_response_type"),
        (&[("response_type", "")], "unsupported_response_type"),
        (&[("response_mode", "form_post")], "invalid_request"),
        (&[("code_challenge", "")], "invalid_request"),
        (&[("code_challenge", &CHALLENGE[1..])], "invalid_request"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("code_challenge_method", "")], "invalid_request"),
        (&[("resource", "https://evil.example/mcp")], "invalid_target"),
        (&[("resource", RESOURCE), ("resource", "http://localhost:1/")], "invalid_target"),
        (&[("scope", "a\"b")], "invalid_scope"),
        (&[("scope", "a"), ("scope", "b")], "invalid_request"),
        (&[("request_uri", "https://evil.example/")], "invalid_request"),
        (&[("prompt", "none")], "interaction_required"),
        (&[("state", &long)], "invalid_request"),
    ] {
        let answer = world.open(changes).await;
        assert_eq!(answer.parameter("error"), error, "{changes:?}");
        assert_eq!(answer.parameter("iss"), ISSUER);
        let state = if changes[0].0 == "state" { "" } else { "x&y" };
        assert_eq!(answer.parameter("state"), state, "{changes:?}");
        assert_eq!(answer.parameter("code"), "");
    }
}

#[tokio::test]
async fn consent_page_says_who_asks_for_what_and_cannot_be_framed_or_cached() {
    let mut world = World::new();
    let metadata = json!({"client_name": "<b>Evil</b>", "redirect_uris": [REDIRECT, "https://app.example/cb"]});
    let client = world.register(metadata).await.json()["client_id"].as_str().expect("an id").to_owned();
    let page = world.open_as(&client, &[]).await;
    assert_eq!(page.status, 200);
    for words in ["&lt;b&gt;Evil&lt;/b&gt;", REDIRECT, RESOURCE, "read", "write", "made up", "on this computer", "Ada"]
    {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    assert!(!page.body.contains("<script") && !page.body.contains("<b>"));
    let policy = page.field("content-security-policy");
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"), "{policy}");
    // Browsers apply it to every hop after the form, which would block clients with schemes of their own.
    assert!(!policy.contains("form-action"), "{policy}");
    assert_eq!(page.field("x-frame-options"), "DENY");
    assert_eq!(page.field("referrer-policy"), "no-referrer");
    assert_eq!(page.field("cache-control"), "no-store");
    assert!(page.headers.get("access-control-allow-origin").is_none());
    let web = world.open_as(&client, &[("redirect_uri", "https://app.example/cb")]).await;
    assert!(web.body.contains("another website"), "{}", web.body);
}

#[tokio::test]
async fn decision_needs_the_browser_that_was_asked_and_a_page_of_the_server() {
    let mut world = World::new();
    let page = world.open(&[]).await;
    let other = World { router: world.router.clone(), cookies: vec!["attache-c-0=a".to_owned()] };
    for (browser, headers, expected) in [
        (&world, &[("sec-fetch-site", "cross-site")][..], 400),
        (&world, &[("sec-fetch-site", "same-site")], 400),
        (&world, &[("origin", "https://evil.example")], 400),
        (&world, &[("origin", "http://127.0.0.1:80")], 400),
        (&other, &[], 400),
        (&world, &[("sec-fetch-site", "same-origin"), ("origin", "null")], 303),
        (&world, &[("sec-fetch-site", "same-origin"), ("origin", ISSUER)], 303),
    ] {
        let answer = browser.decide(&page, &ALLOW, headers).await;
        assert_eq!(answer.status, expected, "{headers:?}: {answer:?}");
    }
}

#[tokio::test]
async fn second_page_of_a_browser_does_not_break_the_first_and_a_double_click_gives_one_code() {
    let mut world = World::new();
    let client = world.registered().await;
    let first = world.open_as(&client, &[("state", "1")]).await;
    let second = world.open_as(&client, &[("state", "2")]).await;
    for (page, state) in [(&first, "1"), (&second, "2")] {
        let [one, again] = [world.allow(page).await, world.allow(page).await];
        assert_eq!((one.parameter("state").as_str(), one.parameter("iss").as_str()), (state, ISSUER));
        assert_eq!(one.parameter("code"), again.parameter("code"));
        assert_eq!(world.redeem(&client, &one.parameter("code"), &[]).await.status, 200);
        // The page of a sign-in that is complete gives no further code.
        assert_eq!(world.allow(page).await.status, 400);
    }
}

#[tokio::test]
async fn person_may_deny_or_allow_less() {
    let mut world = World::new();
    let client = world.registered().await;
    let page = world.open_as(&client, &[]).await;
    for fields in [&[("decision", "deny"), ("person", "0")][..], &[("person", "0")], &[]] {
        let denied = world.decide(&page, fields, &[]).await;
        assert_eq!((denied.parameter("error"), denied.parameter("code")), ("access_denied".into(), String::new()));
        assert_eq!((denied.parameter("state").as_str(), denied.parameter("iss").as_str()), ("x&y", ISSUER));
    }
    let unknown = world.decide(&page, &[("decision", "allow"), ("person", "2")], &[]).await;
    assert_eq!(unknown.status, 400, "there are two people");
    let fields = [("decision", "allow"), ("person", "1"), ("scope-1", "yes"), ("scope-7", "yes")];
    let allowed = world.decide(&page, &fields, &[]).await;
    let tokens = world.redeem(&client, &allowed.parameter("code"), &[]).await.json();
    assert_eq!(tokens["scope"], "write");
    let (_, claims) = parts(&tokens["access_token"]);
    assert_eq!((&claims["sub"], claims.get("roles")), (&json!("bob"), None));
}

#[tokio::test]
async fn form_that_was_changed_is_refused() {
    let mut world = World::new();
    let page = world.open(&[]).await;
    let sealed = page.hidden("consent");
    let body = page.body.replace(&sealed, &tampered(&sealed));
    let changed = Answer { status: 200, headers: HeaderMap::new(), body };
    assert_eq!(world.allow(&changed).await.status, 400);
    assert_eq!(world.allow(&page).await.status, 303);
}

#[tokio::test]
async fn mistakes_at_the_token_endpoint_have_the_errors_by_which_clients_recover() {
    let mut world = World::new();
    let client = world.registered().await;
    let other = world.registered().await;
    let page = world.open_as(&client, &[]).await;
    let code = world.allow(&page).await.parameter("code");
    let tampered = tampered(&code);
    for (changes, status, error) in [
        (&[("client_id", "unknown")][..], 401, "invalid_client"),
        (&[("client_id", "")], 401, "invalid_client"),
        (&[("client_id", &*other)], 400, "invalid_grant"),
        (&[("client_id", "https://vscode.dev/oauth/client-metadata.json")], 400, "invalid_grant"),
        (&[("code", &*tampered)], 400, "invalid_grant"),
        (&[("code", "")], 400, "invalid_request"),
        (&[("code_verifier", "")], 400, "invalid_request"),
        (&[("code_verifier", CHALLENGE)], 400, "invalid_grant"),
        (&[("redirect_uri", "")], 400, "invalid_grant"),
        (&[("redirect_uri", "http://127.0.0.1:33419/")], 400, "invalid_grant"),
        (&[("resource", "http://127.0.0.1:8080/other")], 400, "invalid_target"),
        (&[("grant_type", "password")], 400, "unsupported_grant_type"),
        (&[("grant_type", "")], 400, "invalid_request"),
        (&[("code", &*code), ("code", &*code)], 400, "invalid_request"),
    ] {
        let answer = world.redeem(&client, &code, changes).await;
        assert_eq!(answer.error(), (status, error.to_owned()), "{changes:?}");
    }
    let request = Request::post("/oauth/token").header(HOST, "localhost").header("authorization", "Basic YTpi");
    let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let basic = world.send(request, format!("client_id={client}")).await;
    assert_eq!(basic.error(), (401, "invalid_client".to_owned()));
    assert!(basic.field("www-authenticate").starts_with("Basic "));
    let request = Request::post("/oauth/token").header(HOST, "localhost").header(CONTENT_TYPE, "application/json");
    assert_eq!(world.send(request, "{}".to_owned()).await.error(), (415, "invalid_request".to_owned()));
    let large = world.redeem(&client, &code, &[("x", &"y".repeat(70_000))]).await;
    assert_eq!(large.error(), (413, "invalid_request".to_owned()));
    // None of these attempts has used the code up.
    let good = world.redeem(&client, &code, &[("resource", RESOURCE)]).await;
    assert_eq!((good.status, good.field("cache-control")), (200, "no-store"));
}

#[tokio::test]
async fn reused_code_revokes_what_it_gave() {
    let mut world = World::new();
    let client = world.registered().await;
    let page = world.open_as(&client, &[]).await;
    let code = world.allow(&page).await.parameter("code");
    let tokens = world.redeem(&client, &code, &[]).await.json();
    assert_eq!(world.redeem(&client, &code, &[]).await.error(), (400, "invalid_grant".to_owned()));
    let token = tokens["refresh_token"].as_str().expect("a token");
    assert_eq!(world.refresh(&client, token, &[]).await.error(), (400, "invalid_grant".to_owned()));
}

#[tokio::test]
async fn refresh_token_rotates_and_its_replay_gets_the_same_successor() {
    let mut world = World::new();
    let (client, tokens) = world.signed_in(&[]).await;
    let first = tokens["refresh_token"].as_str().expect("a token").to_owned();
    assert!(first.starts_with("atr_"));
    let wide = world.refresh(&client, &first, &[("scope", "read admin")]).await;
    assert_eq!(wide.error(), (400, "invalid_scope".to_owned()));
    let target = world.refresh(&client, &first, &[("resource", "http://127.0.0.1:8080/other")]).await;
    assert_eq!(target.error(), (400, "invalid_target".to_owned()));
    let second = world.refresh(&client, &first, &[("scope", "read"), ("resource", RESOURCE)]).await.json();
    assert_eq!(second["scope"], "read");
    let again = world.refresh(&client, &first, &[]).await.json();
    assert_eq!(second["refresh_token"], again["refresh_token"], "a lost answer");
    assert_ne!(second["access_token"], again["access_token"]);
    assert_eq!(again["scope"], "read write", "the grant has not become smaller");
    let third = world.refresh(&client, second["refresh_token"].as_str().expect("a token"), &[]).await.json();
    // The first token is two generations old, so one of its holders is a thief.
    assert_eq!(world.refresh(&client, &first, &[]).await.error(), (400, "invalid_grant".to_owned()));
    let third = third["refresh_token"].as_str().expect("a token");
    assert_eq!(world.refresh(&client, third, &[]).await.error(), (400, "invalid_grant".to_owned()));
}

#[tokio::test]
async fn grant_is_revoked_by_either_of_its_tokens_but_not_by_another_client() {
    let mut world = World::new();
    for name in ["refresh_token", "access_token"] {
        let (client, tokens) = world.signed_in(&[]).await;
        let other = world.registered().await;
        let token = tokens[name].as_str().expect("a token");
        let refresh = tokens["refresh_token"].as_str().expect("a token");
        for (client, token) in [(&*other, token), (&*client, "unknown"), (&*client, "a.b.c")] {
            let answer = world.post("/oauth/revoke", &[("client_id", client), ("token", token)]).await;
            assert_eq!(answer.status, 200, "RFC 7009 §2.2: {answer:?}");
        }
        assert_eq!(world.refresh(&client, refresh, &[]).await.status, 200, "{name}");
        let form = [("client_id", &*client), ("token", token), ("token_type_hint", "wrong")];
        assert_eq!(world.post("/oauth/revoke", &form).await.status, 200);
        assert_eq!(world.refresh(&client, refresh, &[]).await.status, 400, "{name}");
        let unknown = world.post("/oauth/revoke", &[("client_id", "unknown"), ("token", token)]).await;
        assert_eq!(unknown.error(), (401, "invalid_client".to_owned()));
        let missing = world.post("/oauth/revoke", &[("client_id", &*client)]).await;
        assert_eq!(missing.error(), (400, "invalid_request".to_owned()));
    }
}

#[tokio::test]
async fn pages_of_other_origins_may_call_the_public_endpoints_alone() {
    let world = World::new();
    for (path, shared) in [
        ("/oauth/token", true),
        ("/oauth/register", true),
        ("/oauth/revoke", true),
        ("/oauth/jwks", true),
        ("/.well-known/oauth-authorization-server", true),
        ("/oauth/authorize", false),
        ("/oauth/consent", false),
    ] {
        let request = Request::options(path).header(HOST, "localhost").header("origin", "https://app.example");
        let request = request.header("access-control-request-method", "POST");
        let answer = world.send(request.header("access-control-request-headers", "x-y"), String::new()).await;
        let allows = (answer.field("access-control-allow-origin"), answer.field("access-control-allow-headers"));
        assert_eq!(allows, if shared { ("*", "x-y") } else { ("", "") }, "{path}");
        assert!(answer.headers.get("access-control-allow-credentials").is_none());
    }
}

#[tokio::test]
async fn callers_beyond_the_rate_limit_wait() {
    use attache_host::{Limits, Rate};
    let limits = Limits::default().rate(Some(Rate { per_second: 1, burst: 2 }));
    let world = World::of(server().limits(&limits));
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(world.register(json!({"redirect_uris": [REDIRECT]})).await.status);
    }
    assert_eq!(statuses, [201, 201, 429, 429]);
}

/// Serves a document about a client, and counts the requests for it.
async fn document_host(
    answer: impl Fn(&str) -> String + Send + 'static,
) -> (String, std::sync::Arc<core::sync::atomic::AtomicUsize>) {
    use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let id = format!("http://{}/client.json", listener.local_addr().expect("an address"));
    let asked = std::sync::Arc::<AtomicUsize>::default();
    let (own, count) = (id.clone(), std::sync::Arc::clone(&asked));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Relaxed);
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer(&own).as_bytes()).await;
        }
    });
    (id, asked)
}

fn http(status: &str, fields: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{fields}connection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

const JSON: &str = "content-type: application/json\r\n";

#[tokio::test]
async fn client_that_publishes_a_document_signs_in_without_registration() {
    let (id, asked) = document_host(|id| {
        let document = json!({"client_id": id, "client_name": "Doc", "redirect_uris": ["http://127.0.0.1/"]});
        http("200 OK", JSON, &document.to_string())
    })
    .await;
    let mut world = World::new();
    for _ in 0..3 {
        let page = world.open_as(&id, &[]).await;
        assert!(page.body.contains("Doc, described by 127.0.0.1"), "{page:?}");
        let code = world.allow(&page).await.parameter("code");
        assert_eq!(world.redeem(&id, &code, &[]).await.status, 200);
    }
    assert_eq!(asked.load(core::sync::atomic::Ordering::Relaxed), 1, "the document is cached");
}

#[tokio::test]
async fn document_that_breaks_a_rule_gets_a_page_with_the_reason() {
    let large = format!("{{\"client_id\":\"{}\"}}", "a".repeat(9000));
    let rows: [(String, &str); 8] = [
        (http("302 Found", "location: http://127.0.0.1:1/\r\n", ""), "status 302"),
        (http("403 Forbidden", JSON, "{}"), "status 403"),
        (http("200 OK", "content-type: text/html\r\n", "{}"), "not a JSON object"),
        (http("200 OK", JSON, "<html>"), "not a JSON object"),
        (http("200 OK", JSON, &large), "more than 8192 bytes"),
        (http("200 OK", JSON, r#"{"client_id":"http://127.0.0.1/other.json"}"#), "about another client"),
        // A compressed body is not decompressed, so it cannot grow.
        (
            http("200 OK", "content-type: application/json\r\ncontent-encoding: gzip\r\n", "\u{1f}\u{8b}"),
            "not a JSON object",
        ),
        ("garbage".to_owned(), "cannot be fetched"),
    ];
    for (answer, words) in rows {
        let (id, asked) = document_host(move |_| answer.clone()).await;
        let mut world = World::new();
        for _ in 0..2 {
            let page = world.open_as(&id, &[]).await;
            assert_eq!(page.status, 400);
            assert!(page.body.contains(words), "{words}: {}", page.body);
        }
        assert_eq!(asked.load(core::sync::atomic::Ordering::Relaxed), 1, "a failure is not repeated at once");
    }
    let (id, _) = document_host(|id| {
        http("200 OK", JSON, &json!({"client_id": id, "redirect_uris": ["http://10.0.0.1/"]}).to_string())
    })
    .await;
    assert!(World::new().open_as(&id, &[]).await.body.contains("no redirect URI"));
}

#[tokio::test]
async fn document_that_changes_counts_from_its_next_fetch_on() {
    use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
    let has_changed = std::sync::Arc::<AtomicBool>::default();
    let own = std::sync::Arc::clone(&has_changed);
    let (id, _) = document_host(move |id| {
        let uri = if own.load(Relaxed) { "https://other.example/" } else { REDIRECT };
        // A byte order mark is ignored (RFC 8259 §8.1).
        let document = format!("\u{feff}{}", json!({"client_id": id, "redirect_uris": [uri]}));
        http("200 OK", &format!("{JSON}cache-control: max-age=60\r\n"), &document)
    })
    .await;
    let mut world = World::new();
    let page = world.open_as(&id, &[]).await;
    has_changed.store(true, Relaxed);
    tokio::time::pause();
    tokio::time::advance(core::time::Duration::from_secs(61)).await;
    tokio::time::resume();
    // The person has agreed to the address that was on the page.
    let code = world.allow(&page).await.parameter("code");
    assert_eq!(world.redeem(&id, &code, &[]).await.status, 200);
    let withdrawn = world.open_as(&id, &[]).await;
    assert_eq!((withdrawn.status, withdrawn.headers.get(LOCATION)), (400, None));
    assert_eq!(world.open_as(&id, &[("redirect_uri", "https://other.example/")]).await.status, 200);
}

#[tokio::test]
async fn home_page_and_style_are_served() {
    let world = World::new();
    assert!(world.get("/").await.body.contains("authorization server"));
    let style = world.get("/oauth/style.css").await;
    assert_eq!(style.status, StatusCode::OK.as_u16());
    assert!(style.body.contains("color-scheme: light dark"));
}
