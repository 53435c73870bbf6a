//! The client signs a person in at an authorization server, and keeps and renews the tokens.

use attache_host::client::{Client, Credential, Error, OAuthError, RawJson, SignIn, SignedOut};
use attache_host::{Ctx, NoArgs, Server};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use http::header::{AUTHORIZATION, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tower_service::Service as _;

/// What the token endpoint answers.
#[derive(Clone, Copy, Debug)]
enum Tokens {
    /// A token that is valid for so many seconds.
    Good(i64),
    /// A status and a body.
    Other(u16, &'static str),
    Huge,
    Redirect,
    Hang,
}

/// How the server and its authorization server behave.
#[derive(Clone, Debug)]
struct Rules {
    /// The parameter `iss` of the response; empty: none, `own`: the issuer.
    iss: &'static str,
    /// Whether the metadata has this member.
    advertises_iss: bool,
    /// Members of the metadata of the resource that differ.
    resource: Value,
    /// Members of the metadata of the issuer that differ. `null` removes a member.
    issuer: Value,
    /// Whether the challenge names the metadata.
    names_metadata: bool,
    denies: bool,
    tokens: Tokens,
    refresh: Tokens,
    /// Whether the server refuses every token.
    refuses_all: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            iss: "own",
            advertises_iss: true,
            resource: json!({}),
            issuer: json!({}),
            names_metadata: true,
            denies: false,
            tokens: Tokens::Good(3600),
            refresh: Tokens::Good(3600),
            refuses_all: false,
        }
    }
}

/// A protected server and its authorization server, on one port.
#[derive(Clone)]
struct World {
    origin: String,
    rules: Arc<Mutex<Rules>>,
    /// The scopes of the valid tokens.
    valid: Arc<Mutex<HashMap<String, String>>>,
    /// The paths and the bodies of the requests.
    seen: Arc<Mutex<Vec<(String, String)>>>,
    scope: Arc<Mutex<String>>,
    issued: Arc<AtomicUsize>,
    mcp: Router,
}

impl World {
    async fn start(rules: Rules) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let server = Server::new("behind", "1")
            .path("/team/mcp")
            .expect("a path")
            .tool("read", "Reads", |_: NoArgs, _: Ctx| async { "read" })
            .tool("write", "Writes", |_: NoArgs, _: Ctx| async { "written" });
        let world = Self {
            origin,
            rules: Arc::new(Mutex::new(rules)),
            valid: Arc::default(),
            seen: Arc::default(),
            scope: Arc::default(),
            issued: Arc::default(),
            mcp: server.routes(),
        };
        let router = Router::new().fallback(answer).with_state(world.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        world
    }

    fn url(&self) -> String {
        format!("{}/team/mcp", self.origin)
    }

    fn rules(&self) -> Rules {
        self.rules.lock().expect("no panic").clone()
    }

    fn change(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.rules.lock().expect("no panic"));
    }

    /// The bodies of the requests to a path.
    fn seen(&self, path: &str) -> Vec<HashMap<String, String>> {
        let seen = self.seen.lock().expect("no panic");
        let bodies = seen.iter().filter(|(own, _)| own == path).map(|(_, body)| body);
        bodies.map(|body| form_urlencoded::parse(body.as_bytes()).into_owned().collect()).collect()
    }

    /// A sign-in whose person opens every page at once.
    fn sign_in(&self) -> SignIn {
        SignIn::new("test", &self.url()).expect("a URL").on_page(|_, page| {
            let page = page.to_owned();
            std::thread::spawn(move || visit(&page));
        })
    }

    async fn connect(&self, sign_in: SignIn) -> Result<Client, Error> {
        Client::builder("test", "1").credential(Credential::Source(Arc::new(sign_in))).http(&self.url()).await
    }

    /// Issues a token with the scopes of the last authorization request.
    fn issue(&self, life: i64) -> Response {
        let token = format!("token-{}", self.issued.fetch_add(1, Ordering::Relaxed));
        let scope = self.scope.lock().expect("no panic").clone();
        self.valid.lock().expect("no panic").insert(token.clone(), scope);
        let refresh = format!("refresh-{token}");
        let body = json!({"access_token": token, "token_type": "Bearer", "expires_in": life, "refresh_token": refresh});
        body.to_string().into_response()
    }

    async fn tokens(&self, tokens: Tokens) -> Response {
        match tokens {
            Tokens::Good(life) => self.issue(life),
            Tokens::Other(status, body) => {
                (StatusCode::from_u16(status).expect("a status"), [(RETRY_AFTER, "7")], body).into_response()
            }
            Tokens::Huge => "x".repeat(1 << 20).into_response(),
            Tokens::Redirect => (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, "/other")]).into_response(),
            Tokens::Hang => core::future::pending().await,
        }
    }

    fn refusal(&self, status: StatusCode, parameters: &str) -> Response {
        let metadata = format!("{}/.well-known/oauth-protected-resource/team/mcp", self.origin);
        let named = format!(r#", resource_metadata="{metadata}""#);
        let challenge =
            format!("Basic realm=\"x\", Bearer {parameters}{}", if self.rules().names_metadata { &named } else { "" });
        (status, [(WWW_AUTHENTICATE, challenge)]).into_response()
    }

    /// The protected endpoint: `write` needs the scope `write`.
    async fn endpoint(&self, headers: &HeaderMap, request: Request) -> Response {
        let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let scope = token.and_then(|token| self.valid.lock().expect("no panic").get(token).cloned());
        let Some(scope) = scope.filter(|_| !self.rules().refuses_all) else {
            return self.refusal(StatusCode::UNAUTHORIZED, "scope=\"read\"");
        };
        let (head, body) = request.into_parts();
        let body = to_bytes(body, 1 << 20).await.expect("a body");
        let is_write = String::from_utf8_lossy(&body).contains(r#""name":"write""#);
        if is_write && !scope.contains("write") {
            return self.refusal(StatusCode::FORBIDDEN, "error=\"insufficient_scope\", scope=\"write\"");
        }
        self.mcp.clone().call(Request::from_parts(head, Body::from(body))).await.expect("an answer")
    }
}

async fn answer(State(world): State<World>, request: Request) -> Response {
    let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
    let headers = request.headers().clone();
    if path == "/team/mcp" {
        return world.endpoint(&headers, request).await;
    }
    let body = to_bytes(request.into_body(), 1 << 20).await.expect("a body");
    let body = if body.is_empty() { query } else { String::from_utf8(body.to_vec()).expect("text") };
    world.seen.lock().expect("no panic").push((path.clone(), body.clone()));
    let form: HashMap<String, String> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let (rules, origin) = (world.rules(), &world.origin);
    match path.as_str() {
        "/.well-known/oauth-protected-resource/team/mcp" => {
            let own = json!({"resource": world.url(), "authorization_servers": [origin]});
            changed(own, &rules.resource).to_string().into_response()
        }
        "/.well-known/openid-configuration" => {
            let own = json!({
                "issuer": origin,
                "authorization_endpoint": format!("{origin}/authorize"),
                "token_endpoint": format!("{origin}/token"),
                "registration_endpoint": format!("{origin}/register"),
                "revocation_endpoint": format!("{origin}/revoke"),
                "code_challenge_methods_supported": ["S256"],
                "scopes_supported": ["offline_access"],
                "token_endpoint_auth_methods_supported": ["none"],
                "authorization_response_iss_parameter_supported": rules.advertises_iss,
            });
            changed(own, &rules.issuer).to_string().into_response()
        }
        "/register" => {
            let asked: Value = serde_json::from_str(&body).expect("JSON");
            assert_eq!(asked["application_type"], "native");
            let secret = (asked["token_endpoint_auth_method"] != "none").then_some("s3cret");
            (StatusCode::CREATED, json!({"client_id": "registered", "client_secret": secret}).to_string())
                .into_response()
        }
        "/authorize" => {
            world.scope.lock().expect("no panic").clone_from(form.get("scope").unwrap_or(&String::new()));
            let mut response = vec![("state", form["state"].as_str())];
            response.push(if rules.denies { ("error", "access_denied") } else { ("code", "the-code") });
            let iss = if rules.iss == "own" { origin } else { rules.iss };
            response.extend((!iss.is_empty()).then_some(("iss", iss)));
            let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(response).finish();
            (StatusCode::SEE_OTHER, [(LOCATION, format!("{}?{query}", form["redirect_uri"]))]).into_response()
        }
        "/token" if form["grant_type"] == "refresh_token" => world.tokens(rules.refresh).await,
        "/token" => world.tokens(rules.tokens).await,
        "/revoke" => StatusCode::OK.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn changed(mut own: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().expect("an object") {
        own[name] = value.clone();
    }
    own
}

/// Opens a page and follows its redirects. Returns the last head.
fn visit(page: &str) -> String {
    let mut url = page.to_owned();
    loop {
        let rest = url.strip_prefix("http://").expect("a local page");
        let (authority, path) = rest.split_at(rest.find('/').expect("a path"));
        let mut stream = TcpStream::connect(authority).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n").expect("taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let location = answer.lines().find_map(|line| line.strip_prefix("location: "));
        match location {
            Some(next) => url = next.to_owned(),
            None => return answer,
        }
    }
}

async fn call(client: &Client, tool: &str) -> Result<String, Error> {
    client.call(tool, RawJson::empty_object()).await.map(|result| result.to_string())
}

/// A directory of this test.
fn directory(name: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("attache-client-sign-in-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    directory
}

#[tokio::test]
async fn client_finds_the_issuer_registers_and_gets_a_token_for_the_resource() {
    // The challenge of the first names the metadata; for the second, the client looks at the well-known place.
    for names_metadata in [true, false] {
        let world = World::start(Rules { names_metadata, ..Rules::default() }).await;
        let client = world.connect(world.sign_in()).await.expect("connected");
        assert!(call(&client, "read").await.expect("a result").contains("read"));
        let authorize = &world.seen("/authorize")[0];
        assert_eq!(authorize["resource"], world.url());
        assert_eq!(authorize["scope"], "read offline_access");
        assert_eq!((authorize["prompt"].as_str(), authorize["client_id"].as_str()), ("consent", "registered"));
        let token = &world.seen("/token")[0];
        assert_eq!((token["code"].as_str(), token["resource"].clone()), ("the-code", world.url()));
        let digest = attache_core::auth::digest(token["code_verifier"].as_bytes());
        let challenge = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, digest);
        assert_eq!(authorize["code_challenge"], challenge);
        assert_eq!(token["redirect_uri"], authorize["redirect_uri"]);
        assert!(authorize["redirect_uri"].starts_with("http://127.0.0.1:"));
    }
}

#[tokio::test]
async fn server_without_resource_metadata_is_its_own_authorization_server() {
    let world = World::start(Rules { names_metadata: false, ..Rules::default() }).await;
    world.change(|rules| rules.resource = json!({"resource": null}));
    let client = world.connect(world.sign_in()).await.expect("connected");
    assert!(call(&client, "read").await.is_ok());
}

#[tokio::test]
async fn registered_client_sends_its_secret_by_the_method_of_the_server() {
    for (methods, secret, expected) in [
        (json!(["none"]), None, (Some("app"), None)),
        (json!(["client_secret_post"]), Some("s3cret"), (Some("app"), Some("s3cret"))),
        (json!(["client_secret_basic"]), Some("s3cret"), (None, None)),
    ] {
        let issuer = json!({"token_endpoint_auth_methods_supported": methods, "registration_endpoint": null});
        let world = World::start(Rules { issuer, ..Rules::default() }).await;
        let sign_in = world.sign_in().client("app", secret.map(str::to_owned));
        world.connect(sign_in).await.expect("connected");
        let token = &world.seen("/token")[0];
        let sent = |name: &str| token.get(name).map(String::as_str);
        assert_eq!((sent("client_id"), sent("client_secret")), expected, "{methods}");
    }
}

#[tokio::test]
async fn published_document_is_the_client_id_where_the_server_supports_it() {
    let issuer = json!({"client_id_metadata_document_supported": true});
    let world = World::start(Rules { issuer, ..Rules::default() }).await;
    world.connect(world.sign_in().client_document("https://app.example/client.json")).await.expect("connected");
    assert_eq!(world.seen("/authorize")[0]["client_id"], "https://app.example/client.json");
    assert!(world.seen("/register").is_empty());
}

#[tokio::test]
async fn sign_in_that_goes_wrong_ends_with_its_cause_and_stores_nothing() {
    let rules = Rules::default;
    let cases: Vec<(Rules, &str)> = vec![
        (Rules { denies: true, ..rules() }, "access_denied"),
        (Rules { iss: "https://evil.example", ..rules() }, "does not come from"),
        (Rules { iss: "", ..rules() }, "does not come from"),
        (Rules { iss: "https://evil.example", denies: true, ..rules() }, "does not come from"),
        (Rules { resource: json!({"resource": "https://other.example/mcp"}), ..rules() }, "https://other.example/mcp"),
        (Rules { resource: json!({"authorization_servers": []}), ..rules() }, "does not say where"),
        // A server must not send the client to a service of another kind or place.
        (Rules { resource: json!({"authorization_servers": ["http://id.example"]}), ..rules() }, "not allowed"),
        (Rules { resource: json!({"authorization_servers": ["https://169.254.169.254"]}), ..rules() }, "not allowed"),
        (Rules { issuer: json!({"issuer": "https://other.example"}), ..rules() }, "metadata of https://other.example"),
        (Rules { issuer: json!({"authorization_endpoint": "file:///etc/passwd"}), ..rules() }, "not allowed"),
        (Rules { issuer: json!({"authorization_endpoint": "javascript:alert(1)"}), ..rules() }, "not allowed"),
        (Rules { issuer: json!({"token_endpoint": "http://id.example/token"}), ..rules() }, "not allowed"),
        (Rules { issuer: json!({"code_challenge_methods_supported": ["plain"]}), ..rules() }, "PKCE"),
        (Rules { issuer: json!({"code_challenge_methods_supported": null}), ..rules() }, "PKCE"),
        (Rules { issuer: json!({"registration_endpoint": null}), ..rules() }, "client id"),
        (Rules { tokens: Tokens::Other(400, r#"{"error":"invalid_grant"}"#), ..rules() }, "invalid_grant"),
        (Rules { tokens: Tokens::Other(200, "<html>"), ..rules() }, "cannot be read"),
        (Rules { tokens: Tokens::Other(503, ""), ..rules() }, "HTTP status 503"),
        (Rules { tokens: Tokens::Huge, ..rules() }, "too large"),
        (Rules { tokens: Tokens::Redirect, ..rules() }, "HTTP status 307"),
        (Rules { tokens: Tokens::Hang, ..rules() }, "does not answer"),
    ];
    let directory = directory("wrong");
    let cases = cases.into_iter().map(|(rules, words)| {
        let directory = directory.clone();
        tokio::spawn(async move {
            let world = World::start(rules.clone()).await;
            let error = world.connect(world.sign_in().keep_in(&directory)).await.expect_err("refused");
            assert!(matches!(error, Error::OAuth(_)), "{rules:?}: {error}");
            assert!(error.to_string().contains(words), "{rules:?}: {error}");
        })
    });
    for case in cases.collect::<Vec<_>>() {
        case.await.expect("no panic");
    }
    let files = std::fs::read_dir(&directory).into_iter().flatten().flatten();
    let kept: Vec<_> = files.filter(|file| file.path().extension().is_some_and(|name| name != "lock")).collect();
    assert!(kept.is_empty(), "{kept:?}");
}

#[tokio::test]
async fn request_to_the_redirect_uri_that_does_not_belong_to_the_sign_in_is_refused_and_changes_nothing() {
    let world = World::start(Rules::default()).await;
    let sign_in = SignIn::new("test", &world.url()).expect("a URL").on_page(|_, page| {
        let page = page.to_owned();
        std::thread::spawn(move || {
            let query = page.split_once('?').expect("a query").1;
            let redirect = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "redirect_uri");
            let redirect = redirect.expect("a redirect URI").1.into_owned();
            for path in ["?code=stolen&state=guessed", "?code=stolen", "", "/other?code=stolen"] {
                let answer = visit(&format!("{redirect}{path}"));
                assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
            }
            // A connection without a request does not block the browser.
            let authority = redirect.trim_start_matches("http://").trim_end_matches("/callback").to_owned();
            let _silent = TcpStream::connect(authority).expect("it listens");
            let answer = visit(&page);
            assert!(answer.contains("referrer-policy: no-referrer") && answer.contains("Signed in"), "{answer}");
        });
    });
    world.connect(sign_in).await.expect("connected");
    assert_eq!(world.seen("/token").len(), 1);
}

#[tokio::test]
async fn kept_tokens_are_private_used_by_the_next_program_and_revoked_at_sign_out() {
    let world = World::start(Rules::default()).await;
    let directory = directory("kept");
    world.connect(world.sign_in().keep_in(&directory)).await.expect("connected");
    let next = || SignIn::new("test", &world.url()).expect("a URL").keep_in(&directory);
    assert!(next().is_kept());
    #[cfg(unix)]
    for file in std::fs::read_dir(&directory).expect("there").flatten() {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = file.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file:?}");
    }
    let client = world.connect(next()).await.expect("connected");
    assert!(call(&client, "read").await.is_ok());
    assert_eq!(world.seen("/authorize").len(), 1, "the person is asked once");
    // The tokens of one server are not those of another.
    let other = SignIn::new("test", &format!("{}/other", world.origin)).expect("a URL").keep_in(&directory);
    assert!(!other.is_kept());
    assert_eq!(next().sign_out().await.expect("done"), SignedOut::Revoked);
    assert_eq!(world.seen("/revoke")[0]["token"], "refresh-token-0");
    assert_eq!(next().sign_out().await.expect("done"), SignedOut::NotSignedIn);
    assert!(matches!(world.connect(next()).await, Err(Error::Unauthorized(Some(_)))));
}

#[tokio::test]
async fn token_that_ends_is_renewed_once_for_many_requests() {
    let rules = Rules { tokens: Tokens::Good(0), refresh: Tokens::Good(1), ..Rules::default() };
    let world = World::start(rules).await;
    let client = world.connect(world.sign_in()).await.expect("connected");
    world.change(|rules| rules.refresh = Tokens::Good(3600));
    // Until the token has ended.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let before = world.seen("/token").len();
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { call(&client, "read").await })
        })
        .collect();
    for done in calls {
        done.await.expect("no panic").expect("a result");
    }
    let tokens = world.seen("/token");
    assert_eq!(tokens.len(), before + 1);
    assert_eq!((tokens[1]["grant_type"].as_str(), tokens[1]["resource"].clone()), ("refresh_token", world.url()));
    assert_eq!(tokens[1]["refresh_token"], "refresh-token-0");
}

#[tokio::test]
async fn token_that_ends_at_once_is_used_for_its_request_and_causes_no_loop() {
    let rules = Rules { tokens: Tokens::Good(-5), refresh: Tokens::Good(0), ..Rules::default() };
    let world = World::start(rules).await;
    let client = world.connect(world.sign_in()).await.expect("connected");
    let before = world.seen("/token").len();
    assert!(call(&client, "read").await.is_ok());
    assert_eq!(world.seen("/token").len(), before + 1);
}

#[tokio::test]
async fn outage_of_the_token_endpoint_matters_only_when_the_token_has_ended() {
    let failed = |error: Error| matches!(error, Error::OAuth(OAuthError::Unavailable { .. }));
    let rules = Rules { tokens: Tokens::Good(0), refresh: Tokens::Other(503, ""), ..Rules::default() };
    let world = World::start(rules).await;
    let directory = directory("outage");
    let refused = world.connect(world.sign_in().keep_in(&directory)).await;
    assert!(refused.is_err_and(failed), "the token has ended");
    // The refresh token is still there, and works when the server is back.
    world.change(|rules| rules.refresh = Tokens::Good(3600));
    let next = SignIn::new("test", &world.url()).expect("a URL").keep_in(&directory);
    assert!(call(&world.connect(next).await.expect("connected"), "read").await.is_ok());
}

#[tokio::test]
async fn refresh_token_that_has_ended_leads_to_a_new_sign_in() {
    let refresh = Tokens::Other(400, r#"{"error":"invalid_grant"}"#);
    let world = World::start(Rules { tokens: Tokens::Good(0), refresh, ..Rules::default() }).await;
    let directory = directory("ended");
    let _ = world.connect(world.sign_in().keep_in(&directory)).await;
    world.change(|rules| rules.tokens = Tokens::Good(3600));
    world.valid.lock().expect("no panic").clear();
    let client = world.connect(world.sign_in().keep_in(&directory)).await.expect("connected");
    assert!(call(&client, "read").await.is_ok());
    assert_eq!(world.seen("/authorize").len(), 2);
}

#[tokio::test]
async fn server_that_asks_for_further_scopes_gets_a_token_with_all_of_them_once() {
    let world = World::start(Rules::default()).await;
    let client = world.connect(world.sign_in()).await.expect("connected");
    assert!(call(&client, "write").await.expect("a result").contains("written"));
    assert_eq!(world.seen("/authorize")[1]["scope"], "read offline_access write");
    // The issuer grants fewer scopes than the server asks for. The person is not asked for ever.
    let world = World::start(Rules::default()).await;
    let client = world.connect(world.sign_in().scopes(["write"])).await.expect("connected");
    world.valid.lock().expect("no panic").values_mut().for_each(|scope| scope.clear());
    assert!(matches!(call(&client, "write").await, Err(Error::Forbidden(Some(_)))));
    assert_eq!(world.seen("/authorize").len(), 1);
}

#[tokio::test]
async fn server_that_refuses_every_token_is_reported_and_not_tried_for_ever() {
    let world = World::start(Rules { refuses_all: true, ..Rules::default() }).await;
    let refused = world.connect(world.sign_in()).await;
    assert!(matches!(refused, Err(Error::Unauthorized(Some(_)))), "{refused:?}");
    assert_eq!(world.seen("/authorize").len(), 1);
}

#[tokio::test]
async fn server_at_another_machine_needs_https() {
    for url in ["http://192.0.2.1/mcp", "ftp://a.example/mcp", "mcp", "https://user:word@a.example/mcp"] {
        assert!(matches!(SignIn::new("test", url), Err(Error::OAuth(OAuthError::ForbiddenUrl(_)))), "{url}");
    }
    assert!(SignIn::new("test", "https://a.example/mcp").is_ok());
}
