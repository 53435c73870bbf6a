//! A server, its authorization server, and the proxy in front, each of which a case can break.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The answers of the server. Texts may hold `{origin}`.
pub(super) struct World {
    /// The path of the URL that the doctor gets.
    pub(super) path: &'static str,
    /// The answer to a caller without a credential.
    pub(super) first: Reply,
    pub(super) date: Option<&'static str>,
    /// The metadata at the path, and at the root.
    pub(super) metadata: [Reply; 2],
    /// The metadata of the issuer, at the first of the three places.
    pub(super) issuer: Reply,
    pub(super) issuer_path: &'static str,
    pub(super) keys: Reply,
    /// The claims of the token that the doctor gets, if it gets one.
    pub(super) claims: Option<Value>,
    /// Replaces the token.
    pub(super) token: Option<&'static str>,
    /// Whether the signature is that of another key.
    pub(super) is_forged: bool,
    /// The answer to a request with a credential, instead of that of a server.
    pub(super) refusal: Option<Reply>,
    pub(super) is_modern: bool,
    /// The answer of a server of older revisions to a request of the newest.
    pub(super) probe: Reply,
    pub(super) list: Value,
    pub(super) stream: Stream,
    pub(super) session: Session,
    pub(super) preflight: Reply,
    /// The time before each answer.
    pub(super) delay: Duration,
    /// Whether a body never ends.
    pub(super) is_endless: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Good,
    /// The head comes, the first event does not.
    Held,
    /// Nothing comes.
    Silent,
    Compressed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Session {
    Good,
    /// Every second request reaches a replica that does not know the session.
    TwoReplicas,
    /// An unknown session gets 401.
    Unauthorized,
}

#[derive(Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    pub(super) fn json(body: Value) -> Self {
        Self::new(200).with("content-type", "application/json").body(&body.to_string())
    }

    pub(super) fn html(status: u16) -> Self {
        Self::new(status).with("content-type", "text/html").body("<!doctype html><title>Sign in</title>")
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(super) fn without(mut self, name: &'static str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    pub(super) fn body(mut self, body: &str) -> Self {
        self.body = body.to_owned();
        self
    }

    /// Changes the members of a body that is JSON; null removes one.
    pub(super) fn set(mut self, name: &str, value: Value) -> Self {
        let mut json: Value = serde_json::from_str(&self.body).expect("JSON");
        match value {
            Value::Null => drop(json.as_object_mut().expect("an object").remove(name)),
            value => json[name] = value,
        }
        self.body = json.to_string();
        self
    }
}

impl World {
    /// A set-up that has no mistake.
    pub(super) fn healthy() -> Self {
        let metadata = json!({
            "resource": "{origin}/mcp", "authorization_servers": ["{origin}/issuer"], "scopes_supported": ["mcp:use"],
        });
        let metadata = Reply::json(metadata).with("access-control-allow-origin", "*");
        let issuer = json!({
            "issuer": "{origin}/issuer", "authorization_endpoint": "{origin}/authorize", "token_endpoint": "{origin}/token",
            "registration_endpoint": "{origin}/register", "code_challenge_methods_supported": ["S256"],
            "jwks_uri": "{origin}/keys",
        });
        let challenge =
            r#"Bearer resource_metadata="{origin}/.well-known/oauth-protected-resource/mcp", scope="mcp:use""#;
        Self {
            path: "/mcp",
            first: Reply::new(401)
                .with("www-authenticate", challenge)
                .with("access-control-allow-origin", "*")
                .with("access-control-expose-headers", "WWW-Authenticate, Mcp-Session-Id"),
            date: None,
            metadata: [metadata.clone(), metadata],
            issuer: Reply::json(issuer),
            issuer_path: "/.well-known/oauth-authorization-server/issuer",
            keys: Reply::json(json!({ "keys": [] })),
            claims: None,
            token: None,
            is_forged: false,
            refusal: None,
            is_modern: true,
            probe: Reply::new(400),
            list: json!({ "resultType": "complete", "tools": [], "ttlMs": 0, "cacheScope": "private" }),
            stream: Stream::Good,
            session: Session::Good,
            preflight: Reply::new(204)
                .with("access-control-allow-origin", "*")
                .with("access-control-allow-headers", "Authorization, Content-Type, MCP-Protocol-Version"),
            delay: Duration::ZERO,
            is_endless: false,
        }
    }

    /// The healthy set-up, and a token for it.
    pub(super) fn with_token() -> Self {
        let claims = json!({ "iss": "{origin}/issuer", "aud": "{origin}/mcp", "sub": "ada", "scope": "mcp:use" });
        Self { claims: Some(claims), ..Self::healthy() }
    }

    /// A set-up with Microsoft Entra ID, recognized by a member of its metadata.
    pub(super) fn with_entra() -> Self {
        let mut world = Self::healthy();
        let tenant = "{origin}/11111111-2222-4333-8444-555555555555/v2.0";
        let scope = json!(["{origin}/mcp/use"]);
        let metadata =
            world.metadata[0].clone().set("authorization_servers", json!([tenant])).set("scopes_supported", scope);
        world.metadata = [metadata.clone(), metadata];
        world.first = world.first.with(
            "www-authenticate",
            r#"Bearer resource_metadata="{origin}/.well-known/oauth-protected-resource/mcp""#,
        );
        world.issuer = world
            .issuer
            .set("issuer", json!(tenant))
            .set("tenant_region_scope", json!("EU"))
            .set("code_challenge_methods_supported", Value::Null);
        world.issuer_path = "/11111111-2222-4333-8444-555555555555/v2.0/.well-known/openid-configuration";
        world
    }

    /// A server without access control that speaks older revisions only.
    pub(super) fn older() -> Self {
        Self { is_modern: false, first: Reply::new(0), ..Self::healthy() }
    }

    /// Serves until the end of the process. Returns the origin, and the token.
    pub(super) fn serve(mut self) -> (String, Option<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let random = SystemRandom::new();
        let pair = |_| {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).expect("a key")
        };
        let [key, other] = [(); 2].map(pair);
        let point = key.public_key().as_ref();
        if self.keys.status == 200 && self.keys.body == r#"{"keys":[]}"# {
            let coordinate = |range| URL_SAFE_NO_PAD.encode(&point[range]);
            self.keys = Reply::json(json!({ "keys": [{
                "kty": "EC", "crv": "P-256", "kid": "k", "alg": "ES256", "use": "sig",
                "x": coordinate(1..33), "y": coordinate(33..65),
            }] }));
        }
        let token = self.claims.as_ref().map(|claims| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
            let mut claims: Value =
                serde_json::from_str(&claims.to_string().replace("{origin}", &origin)).expect("JSON");
            for (claim, offset) in [("exp", 3600), ("nbf", -10)] {
                let offset = claims.get(claim).map_or(offset, |offset| offset.as_i64().expect("an offset"));
                claims[claim] = json!(now.saturating_add_signed(offset));
            }
            let kid = claims.get("kid_of_header").cloned().unwrap_or(json!("k"));
            let parts = [json!({ "alg": "ES256", "kid": kid, "typ": "at+jwt" }), claims];
            let [header, claims] = parts.map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
            let signer = if self.is_forged { &other } else { &key };
            let signature = signer.sign(&random, format!("{header}.{claims}").as_bytes()).expect("signed");
            format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
        });
        let token = self.token.map(str::to_owned).or(token);
        let world = Arc::new((self, AtomicUsize::new(0)));
        let at = origin.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (world, origin) = (Arc::clone(&world), at.clone());
                std::thread::spawn(move || world.0.answer(stream, &origin, &world.1));
            }
        });
        (origin, token)
    }

    fn answer(&self, stream: TcpStream, origin: &str, counter: &AtomicUsize) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            (reader.read_line(&mut head).ok()? > 0).then_some(())?;
        }
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.and_then(|length| length.trim().parse().ok()).unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
        let body = serde_json::from_slice(&body).unwrap_or_default();
        std::thread::sleep(self.delay);
        let reply = self.reply(&head, &body, counter);
        let mut stream = reader.into_inner();
        let Some(reply) = reply else {
            std::thread::sleep(Duration::from_secs(10));
            return None;
        };
        let placed = |text: &str| text.replace("{origin}", origin);
        let body = placed(&reply.body);
        let is_stream = reply.headers.iter().any(|(_, value)| value == "text/event-stream");
        let mut head = format!("HTTP/1.1 {} Status\r\nconnection: close\r\n", reply.status);
        if !is_stream && !self.is_endless {
            head += &format!("content-length: {}\r\n", body.len());
        }
        if let Some(date) = self.date {
            head += &format!("date: {date}\r\n");
        }
        for (name, value) in &reply.headers {
            head += &format!("{name}: {}\r\n", placed(value));
        }
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).ok()?;
        if self.is_endless {
            loop {
                stream.write_all(&[b' '; 4096]).ok()?;
            }
        }
        if is_stream {
            std::thread::sleep(Duration::from_secs(4));
        }
        Some(())
    }

    /// The reply to a request; `None` for silence.
    fn reply(&self, head: &str, body: &Value, counter: &AtomicUsize) -> Option<Reply> {
        let mut words = head.split(' ');
        let (method, path) = (words.next()?, words.next()?);
        Some(match (method, path) {
            ("get", "/.well-known/oauth-protected-resource/mcp") => self.metadata[0].clone(),
            ("get", "/.well-known/oauth-protected-resource") => self.metadata[1].clone(),
            ("get", path) if path == self.issuer_path => self.issuer.clone(),
            ("get", "/keys") => self.keys.clone(),
            ("options", _) => self.preflight.clone(),
            ("post", path) if path == self.path => return self.message(head, body, counter),
            ("get", path) if path == self.path => Reply::new(405),
            ("delete", _) => Reply::new(204),
            _ => Reply::new(404),
        })
    }

    fn message(&self, head: &str, body: &Value, counter: &AtomicUsize) -> Option<Reply> {
        let is_anonymous = !head.contains("\r\nauthorization: ") && !head.contains("\r\nx-functions-key: ");
        if is_anonymous && self.first.status != 0 {
            return Some(self.first.clone());
        }
        if let Some(refusal) = &self.refusal {
            return Some(refusal.clone());
        }
        let result = |result: Value| Reply::json(json!({ "jsonrpc": "2.0", "id": body["id"], "result": result }));
        let session = head.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
        Some(match body["method"].as_str()? {
            "server/discover" | "tools/list" | "subscriptions/listen" if !self.is_modern => self.probe.clone(),
            "server/discover" => result(json!({
                "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": { "tools": { "listChanged": true } },
                "ttlMs": 0, "cacheScope": "private",
            })),
            "tools/list" => result(self.list.clone()),
            "subscriptions/listen" => {
                let event =
                    r#"data: {"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{}}"#;
                let stream = Reply::new(200).with("content-type", "text/event-stream");
                match self.stream {
                    Stream::Silent => return None,
                    Stream::Held => stream,
                    Stream::Good => stream.body(&format!("{event}\n\n")),
                    Stream::Compressed => stream.with("content-encoding", "gzip").body(&format!("{event}\n\n")),
                }
            }
            "initialize" => {
                let version = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {} });
                result(version).with("mcp-session-id", "abc")
            }
            "ping" if session != Some("abc") => {
                Reply::new(if self.session == Session::Unauthorized { 401 } else { 404 })
            }
            "ping" if self.session == Session::TwoReplicas && counter.fetch_add(1, Ordering::Relaxed) % 2 == 1 => {
                Reply::new(404)
            }
            "ping" => result(json!({})),
            _ => Reply::new(400),
        })
    }
}
