//! A provider at which people sign in, for tests: OpenID Connect, and the endpoints of GitHub.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use http::{HeaderMap, StatusCode};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// A provider. The code that comes back says what it answers: `KIND.NONCE`.
pub(super) struct Double {
    pub(super) issuer: String,
    key: EcdsaKeyPair,
    pub(super) is_down: AtomicBool,
    pub(super) refreshes: AtomicUsize,
    /// The forms that the token endpoint has received.
    pub(super) received: Mutex<Vec<Vec<(String, String)>>>,
}

impl Double {
    pub(super) async fn start() -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let issuer = format!("http://{}", listener.local_addr().expect("an address"));
        let pkcs8 = attache_host::authorization_server::new_signing_key();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &SystemRandom::new());
        let double = Arc::new(Self {
            issuer,
            key: key.expect("a key"),
            is_down: AtomicBool::default(),
            refreshes: AtomicUsize::default(),
            received: Mutex::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(async |State(double): State<Arc<Self>>| double.metadata()))
            .route("/jwks", get(async |State(double): State<Arc<Self>>| double.key_set()))
            .route("/token", post(async |State(double): State<Arc<Self>>, body: String| double.token(&body)))
            .route("/login/oauth/access_token", post(async |body: String| github_token(&body)))
            .route("/user", get(async |headers: HeaderMap| github_user(&headers)))
            .route(
                "/applications/gw/token",
                post(async |headers: HeaderMap, body: String| github_check(&headers, &body)),
            )
            .with_state(Arc::clone(&double));
        tokio::spawn(async move { axum::serve(listener, router).await });
        double
    }

    fn metadata(&self) -> (StatusCode, String) {
        if self.is_down.load(Relaxed) {
            return (StatusCode::BAD_GATEWAY, String::new());
        }
        let issuer = &self.issuer;
        let metadata = json!({
            "issuer": issuer, "jwks_uri": format!("{issuer}/jwks"),
            "authorization_endpoint": format!("{issuer}/authorize?tenant=t"), "token_endpoint": format!("{issuer}/token"),
            "end_session_endpoint": format!("{issuer}/end"), "authorization_response_iss_parameter_supported": true,
        });
        (StatusCode::OK, metadata.to_string())
    }

    fn key_set(&self) -> String {
        let point = self.key.public_key().as_ref();
        let [x, y] = [&point[1..33], &point[33..]].map(|part| URL_SAFE_NO_PAD.encode(part));
        json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k", "x": x, "y": y}]}).to_string()
    }

    fn token(&self, body: &str) -> (StatusCode, String) {
        let form: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let field = |name: &str| form.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone());
        self.received.lock().expect("no panic").push(form.clone());
        if self.is_down.load(Relaxed) {
            return (StatusCode::BAD_GATEWAY, "<html>".to_owned());
        }
        if let Some(refresh) = field("refresh_token") {
            let number = self.refreshes.fetch_add(1, Relaxed);
            // A refresh token works once.
            if refresh != format!("refresh-{number}") {
                return (StatusCode::BAD_REQUEST, json!({"error": "invalid_grant"}).to_string());
            }
            let next = number + 1;
            let tokens = json!({"access_token": format!("access-{next}"), "refresh_token": format!("refresh-{next}"), "expires_in": 3600});
            return (StatusCode::OK, tokens.to_string());
        }
        let code = field("code").expect("a code");
        let (kind, nonce) = code.split_once('.').expect("two parts");
        let mut claims = self.claims();
        claims["nonce"] = json!(nonce);
        let mut access_token = "access-0".to_owned();
        match kind {
            "audience" => claims["aud"] = json!("other"),
            "nonce" => claims["nonce"] = json!("other"),
            "expired" => claims["exp"] = json!(now() - 100),
            "bob" => claims["sub"] = json!("bob"),
            // Two hundred groups, as Entra ID sends them at most.
            "large" => claims["groups"] = json!(vec!["66666666-7777-8888-9999-000000000000"; 200]),
            "huge" => claims["groups"] = json!(vec!["66666666-7777-8888-9999-000000000000"; 2000]),
            "long" => access_token = "x".repeat(60_000),
            "endless" => access_token = "x".repeat(300_000),
            "injected" => {
                for name in ["scope", "scp", "sid", "idp", "client_id"] {
                    claims[name] = json!("evil");
                }
            }
            "used" => return (StatusCode::BAD_REQUEST, json!({"error": "invalid_grant"}).to_string()),
            "stranger" => return (StatusCode::UNAUTHORIZED, json!({"error": "invalid_client"}).to_string()),
            "empty" => return (StatusCode::OK, json!({"access_token": "x"}).to_string()),
            _ => {}
        }
        let mut token = self.signed(&claims);
        if kind == "forged" {
            let last = if token.pop() == Some('A') { 'Q' } else { 'A' };
            token.push(last);
        }
        let tokens =
            json!({"id_token": token, "access_token": access_token, "refresh_token": "refresh-0", "expires_in": 3600});
        (StatusCode::OK, tokens.to_string())
    }

    pub(super) fn claims(&self) -> Value {
        json!({
            "iss": self.issuer, "aud": "gw", "sub": "0042", "iat": now(), "exp": now() + 60, "name": "Ada Lovelace",
            "email": "ada@id.example", "email_verified": true, "groups": ["engineers"], "roles": ["admin"], "at_hash": "x",
        })
    }

    pub(super) fn signed(&self, claims: &Value) -> String {
        let parts = [json!({"alg": "ES256", "kid": "k", "typ": "JWT"}), claims.clone()];
        let [header, claims] = parts.map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// GitHub answers with 200 and an error of its own if a code is wrong.
fn github_token(body: &str) -> String {
    let form: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let field = |name: &str| form.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value.as_str());
    assert_eq!((field("client_id"), field("client_secret")), ("gw", "s3cret"));
    assert!(field("code_verifier").len() >= 43, "{body}");
    match field("code") {
        "good" => json!({"access_token": "gho_ada", "token_type": "bearer", "scope": "read:user"}).to_string(),
        _ => json!({"error": "bad_verification_code", "error_description": "x"}).to_string(),
    }
}

fn ada() -> Value {
    json!({"id": 7, "login": "ada", "name": null, "type": "User"})
}

fn github_user(headers: &HeaderMap) -> (StatusCode, String) {
    // GitHub refuses requests without a user agent.
    if headers.get("user-agent").is_none() {
        return (StatusCode::FORBIDDEN, String::new());
    }
    match headers.get("authorization").map(http::HeaderValue::as_bytes) {
        Some(b"Bearer gho_ada") => (StatusCode::OK, ada().to_string()),
        _ => (StatusCode::UNAUTHORIZED, String::new()),
    }
}

/// Only tokens of the application itself are found.
fn github_check(headers: &HeaderMap, body: &str) -> (StatusCode, String) {
    let own = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode("gw:s3cret"));
    assert_eq!(headers.get("authorization").map(http::HeaderValue::as_bytes), Some(own.as_bytes()));
    let body: Value = serde_json::from_str(body).expect("JSON");
    match body["access_token"].as_str() {
        Some("gho_ada") => (StatusCode::OK, json!({"user": ada(), "token": ""}).to_string()),
        _ => (StatusCode::NOT_FOUND, String::new()),
    }
}
