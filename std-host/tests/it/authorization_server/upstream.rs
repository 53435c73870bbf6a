//! Sign-in at another issuer.

use super::*;
use attache_host::authorization_server::{InvalidServer, ServerKeys, Upstream, new_signing_key};
use attache_host::store::MemoryRows;
use axum::routing::{get, post};
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

const GATE: &str = "https://gw.example";
pub(super) const GATE_RESOURCE: &str = "https://gw.example/mcp";

/// An issuer at which people sign in. The code that comes back says what it answers: `KIND.NONCE`.
pub(super) struct Mock {
    issuer: String,
    key: EcdsaKeyPair,
    is_down: AtomicBool,
    /// Whether it does not know the person any more.
    is_gone: AtomicBool,
    /// The tenant of the person.
    tenant: Mutex<String>,
    /// The forms that its token endpoint has received, with their `Authorization`.
    received: Mutex<Vec<(String, String)>>,
}

impl Mock {
    pub(super) async fn start() -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let issuer = format!("http://{}", listener.local_addr().expect("an address"));
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &new_signing_key(), &SystemRandom::new());
        let (is_down, is_gone, received) = (AtomicBool::default(), AtomicBool::default(), Mutex::default());
        let tenant = Mutex::new("t".to_owned());
        let mock = Arc::new(Self { issuer, key: key.expect("a key"), is_down, is_gone, tenant, received });
        let metadata = json!({
            "issuer": mock.issuer, "authorization_endpoint": format!("{}/authorize?tenant=a&prompt=x", mock.issuer),
            "token_endpoint": format!("{}/token", mock.issuer), "jwks_uri": format!("{}/jwks", mock.issuer),
            "authorization_response_iss_parameter_supported": true,
        });
        let point = mock.key.public_key().as_ref().to_vec();
        let [x, y] = [&point[1..33], &point[33..]].map(|number| URL_SAFE_NO_PAD.encode(number));
        let jwks = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k", "x": x, "y": y}]});
        let shared = Arc::clone(&mock);
        let token = async move |headers: HeaderMap, body: String| shared.token(&headers, body);
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(async move || metadata.to_string()))
            .route("/jwks", get(async move || jwks.to_string()))
            .route("/token", post(token));
        tokio::spawn(async move { axum::serve(listener, router).await });
        mock
    }

    fn token(&self, headers: &HeaderMap, body: String) -> (StatusCode, String) {
        let code =
            form_urlencoded::parse(body.as_bytes()).find(|(name, _)| name == "code").map(|(_, code)| code.into_owned());
        let authorization = headers.get("authorization").map(|value| value.to_str().expect("text").to_owned());
        self.received.lock().expect("no panic").push((body, authorization.unwrap_or_default()));
        if self.is_down.load(Relaxed) {
            return (StatusCode::BAD_GATEWAY, "<html>".to_owned());
        }
        let Some(code) = code else {
            let number = self.received.lock().expect("no panic").len();
            let refreshed = json!({"access_token": "x", "token_type": "Bearer", "refresh_token": format!("r{number}")});
            return match self.is_gone.load(Relaxed) {
                true => (StatusCode::BAD_REQUEST, json!({"error": "invalid_grant"}).to_string()),
                false => (StatusCode::OK, refreshed.to_string()),
            };
        };
        let (kind, nonce) = code.split_once('.').expect("two parts");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let mut claims = json!({
            "iss": self.issuer, "aud": "gw", "sub": "0042", "iat": now, "exp": now + 60, "nonce": nonce,
            "name": "Ada\nLovelace", "groups": ["engineers"], "email": "ada@id.example", "aud2": 1,
            "tid": *self.tenant.lock().expect("no panic"),
        });
        match kind {
            "issuer" => claims["iss"] = json!("https://evil.example"),
            "audience" => claims["aud"] = json!("other"),
            "nonce" => claims["nonce"] = json!("other"),
            "expired" => claims["exp"] = json!(now - 100),
            "huge" => claims["groups"] = json!(vec!["0123456789"; 1000]),
            "used" => return (StatusCode::BAD_REQUEST, json!({"error": "invalid_grant"}).to_string()),
            "stranger" => return (StatusCode::UNAUTHORIZED, json!({"error": "invalid_client"}).to_string()),
            "empty" => return (StatusCode::OK, json!({"access_token": "x"}).to_string()),
            _ => {}
        }
        let mut token = self.signed(&claims);
        if kind == "forged" {
            token = super::tampered(&token);
        }
        (
            StatusCode::OK,
            json!({"id_token": token, "access_token": "x", "token_type": "Bearer", "refresh_token": "r0"}).to_string(),
        )
    }

    fn signed(&self, claims: &Value) -> String {
        let parts = [json!({"alg": "ES256", "kid": "k", "typ": "JWT"}), claims.clone()];
        let [header, claims] = parts.map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The state that survives a restart of the server.
pub(super) struct Durable {
    seal: Vec<[u8; 32]>,
    signing: Vec<Vec<u8>>,
    rows: Arc<MemoryRows>,
}

impl Durable {
    pub(super) fn new() -> Self {
        Self { seal: vec![[1; 32]], signing: vec![new_signing_key()], rows: Arc::default() }
    }

    fn world(&self, mock: &Mock) -> World {
        World::of(self.server(mock))
    }

    pub(super) fn server(&self, mock: &Mock) -> AuthorizationServer {
        let upstream =
            Upstream::new(&mock.issuer, "gw").expect("a local issuer").secret("s3 cret").claims(["groups", "sub"]);
        let keys = ServerKeys { seal: &self.seal, signing: &self.signing };
        let rows = Arc::clone(&self.rows);
        let server = AuthorizationServer::in_front_of(upstream, GATE, [GATE_RESOURCE], &keys, rows).expect("valid");
        server.scopes(["read", "write"])
    }
}

const AT_GATE: [(&str, &str); 2] = [("resource", GATE_RESOURCE), ("prompt", "consent")];

impl World {
    fn keep_cookies(&mut self, answer: &Answer) {
        for cookie in answer.headers.get_all(SET_COOKIE) {
            let cookie = cookie.to_str().expect("text");
            let pair = cookie.split(';').next().expect("a pair").to_owned();
            assert!(pair.starts_with("__Host-") && cookie.contains("Secure; HttpOnly; SameSite=Lax"), "{cookie}");
            assert!(pair.len() < 4000);
            self.cookies.push(pair);
        }
    }

    /// Opens the consent page, agrees, and returns the parameters with which the browser is sent to the issuer.
    pub(super) async fn leave(&mut self, client: &str, mock: &Mock, changes: &[(&str, &str)]) -> Vec<(String, String)> {
        let page = self.open_as(client, &[&AT_GATE, changes].concat()).await;
        assert!(page.body.contains(&mock.issuer) && !page.body.contains("name=\"person\""), "{page:?}");
        let away = self.allow(&page).await;
        self.keep_cookies(&away);
        away.redirected(&format!("{}/authorize", mock.issuer))
    }

    async fn callback(&self, query: &[(&str, &str)]) -> Answer {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let request = Request::get(format!("/oauth/callback?{query}")).header(HOST, "localhost");
        self.send(request.header(COOKIE, self.cookies.join("; ")), String::new()).await
    }

    /// Returns from the issuer with a code of this kind.
    pub(super) async fn back(&self, mock: &Mock, sent: &[(String, String)], kind: &str) -> Answer {
        let code = format!("{kind}.{}", value(sent, "nonce"));
        self.callback(&[("state", &value(sent, "state")), ("code", &code), ("iss", &mock.issuer)]).await
    }
}

fn value(parameters: &[(String, String)], name: &str) -> String {
    parameters.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone()).expect("the parameter is there")
}

#[tokio::test]
async fn person_signs_in_at_the_issuer_and_the_client_gets_tokens_of_this_server() {
    let (mock, durable) = (Mock::start().await, Durable::new());
    let mut world = durable.world(&mock);
    let client = world.registered().await;
    let sent = world.leave(&client, &mock, &[]).await;
    // The request is made from nothing that the client has sent, and no parameter occurs twice.
    let names: Vec<_> = sent.iter().map(|(name, _)| name.as_str()).collect();
    let own = ["response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge"];
    assert_eq!(names, [&["tenant", "prompt"][..], &own, &["code_challenge_method"]].concat());
    for (name, expected) in [
        ("tenant", "a"),
        ("prompt", "x"),
        ("client_id", "gw"),
        ("redirect_uri", "https://gw.example/oauth/callback"),
        ("scope", "openid profile email"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(value(&sent, name), expected);
    }
    let code = world.back(&mock, &sent, "good").await;
    assert_eq!((code.parameter("state").as_str(), code.parameter("iss").as_str()), ("x&y", GATE));
    let tokens = world.redeem(&client, &code.parameter("code"), &[]).await.json();
    let (_, claims) = parts(&tokens["access_token"]);
    let expected =
        json!({"iss": GATE, "aud": GATE_RESOURCE, "sub": "0042", "name": "Ada Lovelace", "groups": ["engineers"]});
    for (name, expected) in expected.as_object().expect("an object") {
        assert_eq!(claims[name], *expected, "{name}");
    }
    assert!(claims.get("email").is_none(), "it is not configured");
    // The issuer got a verifier for the challenge, and the secret of this server.
    let received = mock.received.lock().expect("no panic").clone();
    let [(form, authorization)] = received.as_slice() else { panic!("{received:?}") };
    let form: Vec<_> = form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    let verifier = value(&form, "code_verifier");
    let challenge = URL_SAFE_NO_PAD.encode(attache_core::auth::digest(verifier.as_bytes()));
    assert_eq!(challenge, value(&sent, "code_challenge"));
    let basic = base64::engine::general_purpose::STANDARD.encode("gw:s3+cret");
    assert_eq!(*authorization, format!("Basic {basic}"));
}

#[tokio::test]
async fn callback_needs_the_browser_that_left_its_state_and_the_issuer_at_which_it_was() {
    let (mock, durable) = (Mock::start().await, Durable::new());
    let mut world = durable.world(&mock);
    let client = world.registered().await;
    let first = world.leave(&client, &mock, &[("state", "1")]).await;
    let second = world.leave(&client, &mock, &[("state", "2")]).await;
    let (state, nonce) = (value(&first, "state"), value(&first, "nonce"));
    let code = format!("good.{nonce}");
    let issuer = mock.issuer.as_str();
    let other = World { router: world.router.clone(), cookies: vec!["a=b".to_owned()] };
    for (browser, query, words) in [
        (&other, &[("state", &*state), ("code", &*code), ("iss", issuer)][..], "did not keep the cookie"),
        (&world, &[("state", &super::tampered(&state)), ("code", &*code), ("iss", issuer)], "unknown here"),
        (&world, &[("code", &*code), ("iss", issuer)], "unknown here"),
        (&world, &[("state", &*nonce), ("code", &*code), ("iss", issuer)], "unknown here"),
        (&world, &[("state", &*state), ("iss", issuer)], "unknown here"),
        (&world, &[("state", &*state), ("code", &*code), ("iss", "https://evil.example")], "another issuer"),
        (&world, &[("state", &*state), ("code", &*code)], "another issuer"),
        (&world, &[("state", &*state), ("code", &*code), ("iss", issuer), ("iss", issuer)], "another issuer"),
        (&world, &[("state", &*state), ("error", "access_denied"), ("iss", "https://evil.example")], "another issuer"),
        // The code of another sign-in of the same browser has another nonce.
        (&world, &[("state", &*value(&second, "state")), ("code", &*code), ("iss", issuer)], "did not confirm"),
    ] {
        let answer = browser.callback(query).await;
        assert_eq!((answer.status, answer.headers.get(LOCATION)), (400, None), "{query:?}");
        assert!(answer.body.contains(words), "{query:?}: {}", answer.body);
    }
    // Both tabs go on, each with its own request.
    for (sent, state) in [(&second, "2"), (&first, "1")] {
        let answer = world.back(&mock, sent, "good").await;
        assert_eq!(answer.parameter("state"), state);
    }
}

#[tokio::test]
async fn callback_that_is_loaded_twice_gives_the_same_code_until_it_is_redeemed() {
    let (mock, durable) = (Mock::start().await, Durable::new());
    let mut world = durable.world(&mock);
    let client = world.registered().await;
    let sent = world.leave(&client, &mock, &[]).await;
    let code = world.back(&mock, &sent, "good").await.parameter("code");
    assert_eq!(world.back(&mock, &sent, "used").await.parameter("code"), code);
    assert_eq!(world.redeem(&client, &code, &[]).await.status, 200);
    let late = world.back(&mock, &sent, "used").await;
    assert_eq!((late.status, late.headers.get(LOCATION)), (400, None));
}

#[tokio::test]
async fn identity_that_is_not_proven_gives_no_code() {
    let (mock, durable) = (Mock::start().await, Durable::new());
    let mut world = durable.world(&mock);
    let client = world.registered().await;
    for kind in ["issuer", "audience", "nonce", "expired", "forged", "used", "huge"] {
        let sent = world.leave(&client, &mock, &[]).await;
        let answer = world.back(&mock, &sent, kind).await;
        assert_eq!((answer.status, answer.headers.get(LOCATION)), (400, None), "{kind}");
        let words = if kind == "huge" { "more groups" } else { "did not confirm" };
        assert!(answer.body.contains(words), "{kind}: {}", answer.body);
        world.cookies.clear();
    }
}

#[tokio::test]
async fn errors_of_the_issuer_reach_the_client_without_its_words() {
    let (mock, durable) = (Mock::start().await, Durable::new());
    let mut world = durable.world(&mock);
    let client = world.registered().await;
    for (error, expected) in [
        ("access_denied", "access_denied"),
        ("login_required", "access_denied"),
        ("temporarily_unavailable", "temporarily_unavailable"),
        ("AADSTS50011<script>", "server_error"),
    ] {
        let sent = world.leave(&client, &mock, &[]).await;
        let query = [
            ("state", &*value(&sent, "state")),
            ("error", error),
            ("error_description", "secret"),
            ("iss", &mock.issuer),
        ];
        let answer = world.callback(&query).await;
        assert_eq!((answer.parameter("error").as_str(), answer.parameter("iss").as_str()), (expected, GATE));
        assert!(!answer.field("location").contains("secret") && !answer.field("location").contains("AADSTS"));
        world.cookies.clear();
    }
    for (kind, expected) in [("stranger", "server_error"), ("empty", "server_error")] {
        let sent = world.leave(&client, &mock, &[]).await;
        assert_eq!(world.back(&mock, &sent, kind).await.parameter("error"), expected, "{kind}");
        world.cookies.clear();
    }
}

#[tokio::test]
async fn issuer_that_is_down_stops_new_sign_ins_and_no_refresh() {
    let (mock, durable) = (Mock::start().await, Durable::new());
    let mut world = durable.world(&mock);
    let client = world.registered().await;
    let sent = world.leave(&client, &mock, &[]).await;
    let code = world.back(&mock, &sent, "good").await.parameter("code");
    let tokens = world.redeem(&client, &code, &[]).await.json();
    mock.is_down.store(true, Relaxed);
    let sent = world.leave(&client, &mock, &[]).await;
    let failed = world.back(&mock, &sent, "good").await;
    assert_eq!(failed.parameter("error"), "temporarily_unavailable");
    assert_eq!(world.refresh(&client, tokens["refresh_token"].as_str().expect("a token"), &[]).await.status, 200);
    // The same page works again when the issuer is back.
    mock.is_down.store(false, Relaxed);
    assert!(!world.back(&mock, &sent, "good").await.parameter("code").is_empty());
    // An issuer that was never reached.
    let nowhere = Mock {
        issuer: "http://127.0.0.1:1".to_owned(),
        key: new_key(),
        is_down: false.into(),
        is_gone: false.into(),
        tenant: Mutex::default(),
        received: Mutex::default(),
    };
    let mut world = Durable::new().world(&nowhere);
    let page = world.open(&AT_GATE).await;
    assert_eq!(world.allow(&page).await.parameter("error"), "temporarily_unavailable");
}

fn new_key() -> EcdsaKeyPair {
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &new_signing_key(), &SystemRandom::new());
    key.expect("a key")
}

#[tokio::test]
async fn clients_and_refresh_tokens_survive_a_restart_and_new_keys() {
    let (mock, mut durable) = (Mock::start().await, Durable::new());
    let mut world = durable.world(&mock);
    let client = world.registered().await;
    let sent = world.leave(&client, &mock, &[]).await;
    let code = world.back(&mock, &sent, "good").await.parameter("code");
    let tokens = world.redeem(&client, &code, &[]).await.json();
    let old_kid = parts(&tokens["access_token"]).0["kid"].clone();
    // The new keys come first, and the old ones are kept.
    durable.seal.insert(0, [2; 32]);
    durable.signing.insert(0, new_signing_key());
    let mut world = durable.world(&mock);
    let fresh = world.refresh(&client, tokens["refresh_token"].as_str().expect("a token"), &[]).await.json();
    let new_kid = parts(&fresh["access_token"]).0["kid"].clone();
    assert_ne!(new_kid, old_kid);
    let keys = world.get("/oauth/jwks").await.json();
    let published: Vec<_> = keys["keys"].as_array().expect("a list").iter().map(|key| key["kid"].clone()).collect();
    assert_eq!(published, [new_kid, old_kid]);
    // The old client id still signs in, and an access token under the old key can be revoked.
    world.leave(&client, &mock, &[]).await;
    let form = [("client_id", &*client), ("token", tokens["access_token"].as_str().expect("a token"))];
    assert_eq!(world.post("/oauth/revoke", &form).await.status, 200);
    let refresh = fresh["refresh_token"].as_str().expect("a token");
    assert_eq!(world.refresh(&client, refresh, &[]).await.error(), (400, "invalid_grant".to_owned()));
}

/// Refreshes until the issuer was asked `times` times in all, and returns the last answer and the newest refresh token.
async fn refreshed(world: &World, mock: &Mock, client: &str, token: &str, times: usize) -> (Answer, String) {
    let mut token = token.to_owned();
    let ends = tokio::time::Instant::now() + core::time::Duration::from_secs(20);
    loop {
        let answer = world.refresh(client, &token, &[]).await;
        if answer.status == 200 {
            token = answer.json()["refresh_token"].as_str().expect("a token").to_owned();
        }
        let asked =
            mock.received.lock().expect("no panic").iter().filter(|(form, _)| form.contains("refresh_token")).count();
        if asked >= times {
            return (answer, token);
        }
        assert!(tokio::time::Instant::now() < ends, "the issuer is not asked: {answer:?}");
        tokio::time::sleep(core::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn issuer_is_asked_again_and_a_person_whom_it_refuses_is_signed_out() {
    let (mock, durable) = (Mock::start().await, Durable::new());
    let mut world = World::of(durable.server(&mock).recheck(core::time::Duration::from_secs(1)));
    let client = world.registered().await;
    let sent = world.leave(&client, &mock, &[]).await;
    let code = world.back(&mock, &sent, "good").await.parameter("code");
    let tokens = world.redeem(&client, &code, &[]).await.json();
    let token = tokens["refresh_token"].as_str().expect("a token");
    let (answer, token) = refreshed(&world, &mock, &client, token, 1).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    // An issuer that is down signs people out neither at once nor by the wrong error.
    mock.is_down.store(true, Relaxed);
    let (answer, token) = refreshed(&world, &mock, &client, &token, 2).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    mock.is_down.store(false, Relaxed);
    let asked = mock.received.lock().expect("no panic").len();
    let (answer, token) = refreshed(&world, &mock, &client, &token, 3).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    // Each request has the newest refresh token of the issuer.
    let forms = mock.received.lock().expect("no panic").clone();
    assert!(forms[1].0.contains("refresh_token=r0") && forms[asked].0.contains("refresh_token=r2"), "{forms:?}");
    mock.is_gone.store(true, Relaxed);
    let (answer, token) = refreshed(&world, &mock, &client, &token, 4).await;
    assert_eq!(answer.error(), (400, "invalid_grant".to_owned()));
    mock.is_gone.store(false, Relaxed);
    assert_eq!(world.refresh(&client, &token, &[]).await.error(), (400, "invalid_grant".to_owned()));
}

#[tokio::test]
async fn person_signs_in_at_github_which_has_no_id_tokens() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let web = format!("http://{}", listener.local_addr().expect("an address"));
    let token = async |body: String| match body.contains("code=good") {
        true => json!({"access_token": "gho_x", "token_type": "bearer", "scope": "read:user"}).to_string(),
        // GitHub answers mistakes with status 200.
        false => json!({"error": "bad_verification_code", "error_description": "x"}).to_string(),
    };
    let user = async |headers: HeaderMap| match headers["authorization"] == "Bearer gho_x" {
        true => Ok(json!({"id": 42, "login": "ada", "name": null}).to_string()),
        false => Err(StatusCode::UNAUTHORIZED),
    };
    let router = Router::new().route("/login/oauth/access_token", post(token)).route("/user", get(user));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let upstream = Upstream::github(&web, &web, "gw").expect("a local issuer").secret("s3 cret");
    let (seal, signing) = ([[1; 32]], [new_signing_key()]);
    let keys = ServerKeys { seal: &seal, signing: &signing };
    let rows = Arc::<MemoryRows>::default();
    let server = AuthorizationServer::in_front_of(upstream, GATE, [GATE_RESOURCE], &keys, rows).expect("valid");
    let mut world = World::of(server);
    let client = world.registered().await;
    for (code, status) in [("bad", 400), ("good", 303)] {
        let page = world.open_as(&client, &AT_GATE).await;
        let away = world.allow(&page).await;
        world.keep_cookies(&away);
        let sent = away.redirected(&format!("{web}/login/oauth/authorize"));
        assert_eq!((value(&sent, "client_id").as_str(), value(&sent, "scope").as_str()), ("gw", "read:user"));
        let back = world.callback(&[("state", &value(&sent, "state")), ("code", code)]).await;
        assert_eq!(back.status, status, "{back:?}");
        if status == 303 {
            let tokens = world.redeem(&client, &back.parameter("code"), &[]).await.json();
            let (_, claims) = parts(&tokens["access_token"]);
            assert_eq!((&claims["sub"], &claims["name"]), (&json!("42"), &json!("ada")));
        }
        world.cookies.clear();
    }
}

#[tokio::test]
async fn people_of_other_tenants_do_not_sign_in() {
    let (mock, durable) = (Mock::start().await, Durable::new());
    for (tenants, tenant, admitted) in [
        (&[][..], "t", true),
        (&["a", "t"], "t", true),
        (&["a"], "t", false),
        (&["*"], "any", true),
        (&["a"], "", false),
    ] {
        tenant.clone_into(&mut mock.tenant.lock().expect("no panic"));
        let mut world = World::of(durable.server(&mock).tenants(tenants.iter().copied()));
        let client = world.registered().await;
        let sent = world.leave(&client, &mock, &[]).await;
        let answer = world.back(&mock, &sent, "good").await;
        assert_eq!(answer.status, if admitted { 303 } else { 400 }, "{tenants:?} {tenant}: {answer:?}");
        assert!(admitted || answer.body.contains("may not sign in here"));
    }
}

#[tokio::test]
async fn sign_in_that_is_under_way_survives_a_restart_with_new_keys() {
    let (mock, mut durable) = (Mock::start().await, Durable::new());
    let mut world = durable.world(&mock);
    let client = world.registered().await;
    let page = world.open_as(&client, &AT_GATE).await;
    let sent = world.leave(&client, &mock, &[]).await;
    durable.seal.insert(0, [2; 32]);
    durable.signing.insert(0, new_signing_key());
    let mut world = World { cookies: world.cookies, ..durable.world(&mock) };
    let code = world.back(&mock, &sent, "good").await.parameter("code");
    assert_eq!(world.redeem(&client, &code, &[]).await.status, 200);
    let received = mock.received.lock().expect("no panic").clone();
    let form: Vec<_> = form_urlencoded::parse(received[0].0.as_bytes()).into_owned().collect();
    let challenge = URL_SAFE_NO_PAD.encode(attache_core::auth::digest(value(&form, "code_verifier").as_bytes()));
    assert_eq!(challenge, value(&sent, "code_challenge"), "the issuer gets the verifier for its challenge");
    // The page that was open before works as well.
    let away = world.allow(&page).await;
    world.keep_cookies(&away);
    let sent = away.redirected(&format!("{}/authorize", mock.issuer));
    assert_eq!(world.back(&mock, &sent, "good").await.parameter("state"), "x&y");
}

#[tokio::test]
async fn request_that_does_not_fit_a_cookie_is_refused() {
    let (mock, durable) = (Mock::start().await, Durable::new());
    let mut world = durable.world(&mock);
    let client = world.registered().await;
    let page = world.open_as(&client, &[&AT_GATE[..], &[("state", &*"s".repeat(4000))]].concat()).await;
    assert_eq!(world.allow(&page).await.parameter("error"), "invalid_request");
}

#[test]
fn server_in_front_of_an_issuer_needs_a_public_name_keys_and_a_resource() {
    let key = [new_signing_key()];
    let good = ServerKeys { seal: &[[1; 32]], signing: &key };
    for (issuer, resource, keys, expected) in [
        ("https://gw.example/", Some(GATE_RESOURCE), &good, InvalidServer::Issuer("https://gw.example/".to_owned())),
        ("http://gw.example", Some(GATE_RESOURCE), &good, InvalidServer::Issuer("http://gw.example".to_owned())),
        (GATE, None, &good, InvalidServer::Resource),
        (GATE, Some(GATE_RESOURCE), &ServerKeys { seal: &[], ..good }, InvalidServer::SealKey),
        (GATE, Some(GATE_RESOURCE), &ServerKeys { signing: &[], ..good }, InvalidServer::SigningKey),
        (GATE, Some(GATE_RESOURCE), &ServerKeys { signing: &[vec![1]], ..good }, InvalidServer::SigningKey),
    ] {
        let upstream = Upstream::new("https://id.example", "gw").expect("an issuer");
        let server = AuthorizationServer::in_front_of(upstream, issuer, resource, keys, Arc::<MemoryRows>::default());
        assert_eq!(server.err(), Some(expected));
    }
    // People of every tenant could sign in.
    let many = Upstream::new("https://login.microsoftonline.com/common/v2.0", "gw").expect("an issuer");
    let rows = Arc::<MemoryRows>::default();
    let server = AuthorizationServer::in_front_of(many, GATE, [GATE_RESOURCE], &good, rows);
    assert_eq!(server.err(), Some(InvalidServer::Tenants));
    assert!(Upstream::new("http://id.example", "gw").is_err());
}
