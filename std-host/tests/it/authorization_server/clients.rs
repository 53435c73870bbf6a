//! Clients that authenticate, clients that the operator has registered, and the paths that old clients use.

use super::upstream::{Durable, GATE_RESOURCE, Mock};
use super::*;
use attache_host::authorization_server::{PreRegistered, new_signing_key};
use axum::routing::get;
use base64::engine::general_purpose::STANDARD;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

/// A client that publishes a document and its keys.
struct Publisher {
    id: String,
    keys: Mutex<Vec<EcdsaKeyPair>>,
    is_down: AtomicBool,
    asked_for_keys: AtomicUsize,
}

impl Publisher {
    /// `methods` are the members of the document about authentication. `JWKS` in them becomes the URL of the keys.
    async fn start(methods: &str) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let id = format!("{origin}/client.json");
        let methods = methods.replace("JWKS", &format!("{origin}/jwks.json"));
        let document =
            format!(r#"{{"client_id":"{id}","client_name":"Doc","redirect_uris":["{REDIRECT}"],{methods}}}"#);
        let (is_down, asked_for_keys) = (AtomicBool::default(), AtomicUsize::default());
        let publisher = Arc::new(Self { id, keys: Mutex::new(vec![key()]), is_down, asked_for_keys });
        let json = |body: String| ([(CONTENT_TYPE, "application/json")], body);
        let shared = Arc::clone(&publisher);
        let keys = async move || {
            shared.asked_for_keys.fetch_add(1, Relaxed);
            if shared.is_down.load(Relaxed) { Err(StatusCode::BAD_GATEWAY) } else { Ok(json(shared.jwks())) }
        };
        let router = Router::new()
            .route("/client.json", get(async move || json(document.clone())))
            .route("/jwks.json", get(keys));
        tokio::spawn(async move { axum::serve(listener, router).await });
        publisher
    }

    fn jwks(&self) -> String {
        let keys = self.keys.lock().expect("no panic");
        let keys = keys.iter().enumerate().map(|(number, key)| {
            let point = key.public_key().as_ref();
            let [x, y] = [&point[1..33], &point[33..]].map(|number| URL_SAFE_NO_PAD.encode(number));
            json!({"kty": "EC", "crv": "P-256", "kid": number.to_string(), "x": x, "y": y})
        });
        json!({"keys": keys.collect::<Vec<_>>()}).to_string()
    }

    /// An assertion with these changes, signed with the newest key.
    fn assertion(&self, header: &Value, changes: &Value) -> String {
        let keys = self.keys.lock().expect("no panic");
        let kid = keys.len() - 1;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let jti = URL_SAFE_NO_PAD.encode(new_signing_key());
        let mut parts = [
            json!({"alg": "ES256", "kid": kid.to_string(), "typ": "JWT"}),
            json!({"iss": self.id, "sub": self.id, "aud": ISSUER, "exp": now + 60, "iat": now, "jti": jti}),
        ];
        for (part, changes) in parts.iter_mut().zip([header, changes]) {
            for (name, value) in changes.as_object().into_iter().flatten() {
                part[name] = value.clone();
            }
        }
        let [header, claims] = parts.map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = keys[kid].sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn good(&self) -> String {
        self.assertion(&json!({}), &json!({}))
    }
}

fn key() -> EcdsaKeyPair {
    let pkcs8 = new_signing_key();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &SystemRandom::new()).expect("a key")
}

const BY_KEY: &str = r#""token_endpoint_auth_method":"private_key_jwt","jwks_uri":"JWKS""#;
const BY_CHOICE: &str = r#""token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_methods_supported":["private_key_jwt","none"],"jwks_uri":"JWKS""#;
const TYPE: (&str, &str) = ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");

impl World {
    async fn code_for(&mut self, client: &str) -> String {
        let page = self.open_as(client, &[]).await;
        assert_eq!(page.status, 200, "{page:?}");
        self.allow(&page).await.parameter("code")
    }
}

#[tokio::test]
async fn client_with_a_key_signs_in_and_refreshes_by_assertions_alone() {
    let publisher = Publisher::start(BY_KEY).await;
    let mut world = World::new();
    let code = world.code_for(&publisher.id).await;
    let bare = world.redeem(&publisher.id, &code, &[]).await;
    assert_eq!(bare.error(), (401, "invalid_client".to_owned()), "it has not authenticated");
    // RFC 7521 §4.2: the assertion names the client, so `client_id` is unnecessary.
    let assertion = publisher.good();
    let tokens = world.redeem(&publisher.id, &code, &[TYPE, ("client_assertion", &assertion), ("client_id", "")]).await;
    let tokens = tokens.json();
    let refresh = tokens["refresh_token"].as_str().expect("a token");
    assert_eq!(world.refresh(&publisher.id, refresh, &[]).await.error(), (401, "invalid_client".to_owned()));
    let replayed = world.refresh(&publisher.id, refresh, &[TYPE, ("client_assertion", &assertion)]).await;
    assert_eq!(replayed.error(), (401, "invalid_client".to_owned()), "the assertion was used before");
    let assertion = publisher.assertion(&json!({}), &json!({"aud": [format!("{ISSUER}/oauth/token")]}));
    let refreshed = world.refresh(&publisher.id, refresh, &[TYPE, ("client_assertion", &assertion)]).await;
    assert_eq!(refreshed.status, 200, "{refreshed:?}");
    assert_eq!(publisher.asked_for_keys.load(Relaxed), 1, "its keys are cached");
    let refreshed = refreshed.json();
    let newest = refreshed["refresh_token"].as_str().expect("a token");
    let form = [("client_id", &*publisher.id), ("token", newest)];
    let stranger = world.post("/oauth/revoke", &form).await;
    assert_eq!(stranger.error(), (401, "invalid_client".to_owned()), "RFC 7009 §2.1");
    let assertion = publisher.good();
    let revoked = world.post("/oauth/revoke", &[&form[..], &[TYPE, ("client_assertion", &assertion)]].concat()).await;
    assert_eq!(revoked.status, 200, "{revoked:?}");
}

#[tokio::test]
async fn assertion_that_breaks_a_rule_is_refused_and_uses_no_code_up() {
    let publisher = Publisher::start(BY_CHOICE).await;
    let other = Publisher::start(BY_KEY).await;
    let mut world = World::new();
    let code = world.code_for(&publisher.id).await;
    let with = |header: Value, claims: Value| publisher.assertion(&header, &claims);
    let symmetric = with(json!({"alg": "HS256"}), json!({}));
    let unsigned = format!("{}.", symmetric.rsplit_once('.').expect("three parts").0);
    for (assertion, fields) in [
        (with(json!({}), json!({"aud": "https://other.example"})), &[][..]),
        (with(json!({}), json!({"iss": other.id, "sub": other.id})), &[("client_id", "")]),
        (with(json!({}), json!({"exp": 1})), &[]),
        (with(json!({}), json!({"exp": 9_999_999_999_u64})), &[]),
        (with(json!({}), json!({"jti": null})), &[]),
        (with(json!({"kid": "9"}), json!({})), &[]),
        (with(json!({"crit": ["x"], "x": 1}), json!({})), &[]),
        (symmetric.clone(), &[]),
        (with(json!({"alg": "none"}), json!({})), &[]),
        (unsigned, &[]),
        (tampered(&publisher.good()), &[]),
        (other.good(), &[]),
        (other.good(), &[("client_id", &*publisher.id)]),
        ("garbage".to_owned(), &[]),
        (format!("{}.{}", publisher.good(), "A".repeat(9000)), &[]),
    ] {
        let fields = [fields, &[TYPE, ("client_assertion", &assertion)]].concat();
        let refused = world.redeem(&publisher.id, &code, &fields).await;
        assert_eq!(refused.error(), (401, "invalid_client".to_owned()), "{fields:?}");
    }
    for (fields, error) in [
        (&[("client_assertion_type", "x")][..], "invalid_request"),
        (&[TYPE, ("client_secret", "x")], "invalid_request"),
    ] {
        let assertion = publisher.good();
        let refused =
            world.redeem(&publisher.id, &code, &[fields, &[("client_assertion", &*assertion)]].concat()).await;
        assert_eq!(refused.error(), (400, error.to_owned()), "{fields:?}");
    }
    assert_eq!(world.redeem(&publisher.id, &code, &[]).await.status, 200, "this client need not authenticate");
}

#[tokio::test]
async fn outage_of_the_host_of_the_keys_is_not_a_refusal() {
    let publisher = Publisher::start(BY_CHOICE).await;
    let mut world = World::new();
    publisher.is_down.store(true, Relaxed);
    let code = world.code_for(&publisher.id).await;
    let answer = world.redeem(&publisher.id, &code, &[TYPE, ("client_assertion", &publisher.good())]).await;
    assert_eq!(answer.error(), (503, "temporarily_unavailable".to_owned()));
    publisher.is_down.store(false, Relaxed);
    later().await;
    let answer = world.redeem(&publisher.id, &code, &[TYPE, ("client_assertion", &publisher.good())]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn client_may_replace_its_key_and_one_that_has_authenticated_does_so_each_time() {
    let publisher = Publisher::start(BY_CHOICE).await;
    let mut world = World::new();
    let code = world.code_for(&publisher.id).await;
    let tokens = world.redeem(&publisher.id, &code, &[TYPE, ("client_assertion", &publisher.good())]).await.json();
    let refresh = tokens["refresh_token"].as_str().expect("a token");
    assert_eq!(world.refresh(&publisher.id, refresh, &[]).await.error(), (401, "invalid_client".to_owned()));
    publisher.keys.lock().expect("no panic").push(key());
    later().await;
    let refreshed = world.refresh(&publisher.id, refresh, &[TYPE, ("client_assertion", &publisher.good())]).await;
    assert_eq!((refreshed.status, publisher.asked_for_keys.load(Relaxed)), (200, 2), "{refreshed:?}");
}

/// Moves the clock beyond the pause after a fetch.
async fn later() {
    tokio::time::pause();
    tokio::time::advance(core::time::Duration::from_secs(31)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn metadata_names_the_ways_in_which_clients_authenticate() {
    let secret = PreRegistered::new("agents", [REDIRECT]).secret(&"s".repeat(32)).expect("long enough");
    for (clients, expected) in [
        (vec![], json!(["none", "private_key_jwt"])),
        (vec![PreRegistered::new("agents", [REDIRECT])], json!(["none", "private_key_jwt"])),
        (vec![secret], json!(["none", "private_key_jwt", "client_secret_basic", "client_secret_post"])),
    ] {
        let world = World::of(server().clients(clients).expect("valid"));
        let metadata = world.get("/.well-known/oauth-authorization-server").await.json();
        assert_eq!(metadata["token_endpoint_auth_methods_supported"], expected);
        let algorithms = metadata["token_endpoint_auth_signing_alg_values_supported"].as_array().expect("a list");
        assert!(algorithms.contains(&json!("RS256")) && !algorithms.contains(&json!("HS256")), "{algorithms:?}");
    }
}

#[tokio::test]
async fn client_that_the_operator_has_registered_signs_in_by_its_secret() {
    let secret = "0123456789abcdef0123456789abcdef+&%";
    let uri = "https://global.consent.azure-apim.net/redirect/mcp";
    let agents = PreRegistered::new("agents", [uri, REDIRECT]).name("Agents").secret(secret).expect("long enough");
    let mut world = World::of(server().clients([agents, PreRegistered::new("cli", [REDIRECT])]).expect("valid"));
    let page = world.open_as("agents", &[("redirect_uri", uri)]).await;
    assert!(page.body.contains("Agents, registered by the operator") && !page.body.contains("another website"));
    let other = world.open_as("agents", &[("redirect_uri", "https://evil.example/")]).await;
    assert_eq!((other.status, other.headers.get(LOCATION)), (400, None));
    let basic = |id: &str, secret: &str| {
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret))))
    };
    let redeem = async |world: &World, code: &str, authorization: &str, more: &[(&str, &str)]| {
        let form = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT)];
        let form = [&form[..], &[("code_verifier", VERIFIER)], more].concat();
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request::post("/oauth/token").header(HOST, "localhost").header("authorization", authorization);
        world.send(request.header(CONTENT_TYPE, "application/x-www-form-urlencoded"), body).await
    };
    let code = world.code_for("agents").await;
    for (authorization, more, status) in [
        (basic("agents", "wrong"), &[][..], 401),
        (basic("cli", secret), &[], 401),
        (basic("cli", ""), &[], 401),
        (basic("agents", secret), &[("client_id", "cli")], 401),
        (basic("agents", secret), &[("client_secret", secret)], 400),
        ("Basic x".to_owned(), &[("client_id", "agents")], 401),
        (basic("agents", secret), &[("client_id", "agents")], 200),
    ] {
        let answer = redeem(&world, &code, &authorization, more).await;
        assert_eq!(answer.status, status, "{authorization} {more:?}: {answer:?}");
        let is_challenged = answer.field("www-authenticate").starts_with("Basic ");
        assert_eq!(is_challenged, status == 401, "RFC 6749 §5.2: {answer:?}");
    }
    let code = world.code_for("agents").await;
    for (secret, status) in [("", 401), ("wrong", 401), (secret, 200)] {
        assert_eq!(world.redeem("agents", &code, &[("client_secret", secret)]).await.status, status, "{secret}");
    }
    // A client without a secret may send one, which some of them do.
    let code = world.code_for("cli").await;
    assert_eq!(world.redeem("cli", &code, &[("client_secret", "any")]).await.status, 200);
}

#[tokio::test]
async fn clients_without_metadata_find_the_endpoints_at_the_root_of_the_host() {
    let mut world = World::new();
    let request = Request::post("/register").header(HOST, "localhost").header(CONTENT_TYPE, "application/json");
    let registered = world.send(request, json!({"redirect_uris": [REDIRECT]}).to_string()).await;
    assert_eq!((registered.status, registered.field("access-control-allow-origin")), (201, "*"));
    let client = registered.json()["client_id"].as_str().expect("an id").to_owned();
    let page = world.get(&format!("/authorize?{}", query(&client, &[("resource", "")]))).await;
    assert!(page.status == 200 && page.headers.get("access-control-allow-origin").is_none(), "{page:?}");
    for cookie in page.headers.get_all(SET_COOKIE) {
        world.cookies.push(cookie.to_str().expect("text").split(';').next().expect("a pair").to_owned());
    }
    let code = world.allow(&page).await.parameter("code");
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", &*client),
        ("code", &*code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    assert_eq!(world.post("/token", &form).await.status, 200);
    // An issuer with a path shares the root with others.
    let issuer = "http://localhost:8089/team";
    let world = World::of(AuthorizationServer::for_development(issuer, []).expect("local"));
    assert_eq!(world.get("/authorize").await.status, 404);
}

#[tokio::test]
async fn access_token_of_a_grant_that_has_ended_is_refused_before_and_after_a_restart() {
    use attache_host::Server;
    use attache_host::auth::{Auth, Issuer, Tokens};
    let (mock, durable) = (Mock::start().await, Durable::new());
    let protected = |server: &AuthorizationServer| {
        let issuer = Issuer::with_keys("https://gw.example", &server.key_set()).expect("keys").any_application();
        let issuer = issuer.revocations(server.revocations());
        let auth = Auth::tokens(Tokens::of(GATE_RESOURCE, issuer).expect("a URL"));
        Server::new("gate", "1").auth(auth).hosts(Vec::<String>::new()).path("/mcp").expect("a path").routes()
    };
    let call = async |router: &Router, token: &str| {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
        let request =
            Request::post("/mcp").header(HOST, "gw.example").header("authorization", format!("Bearer {token}"));
        let request =
            request.header(CONTENT_TYPE, "application/json").header("accept", "application/json, text/event-stream");
        let request = request.body(Body::from(body)).expect("a request");
        router.clone().call(request).await.expect("an answer").status().as_u16()
    };
    let signing = durable.server(&mock);
    let gate = protected(&signing);
    let mut world = World::of(signing);
    let client = world.registered().await;
    let mut tokens = Vec::new();
    for state in ["1", "2"] {
        let sent = world.leave(&client, &mock, &[("state", state)]).await;
        let code = world.back(&mock, &sent, "good").await.parameter("code");
        tokens.push(world.redeem(&client, &code, &[]).await.json()["access_token"].as_str().expect("text").to_owned());
    }
    for token in &tokens {
        assert_eq!(call(&gate, token).await, 200);
    }
    assert_eq!(world.post("/oauth/revoke", &[("client_id", &*client), ("token", &*tokens[0])]).await.status, 200);
    let restarted = protected(&durable.server(&mock));
    for router in [&gate, &restarted] {
        assert_eq!((call(router, &tokens[0]).await, call(router, &tokens[1]).await), (401, 200));
        assert_eq!(call(router, &tokens[0]).await, 401, "also when it is shown again");
    }
}
