//! Tokens for what lies behind: a gate calls a protected server on behalf of its callers, and the
//! token of a caller never reaches that server.

use crate::protection::{RESOURCE, SECRET, fixed, token};
use ::core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use ::core::time::Duration;
use attache_host::auth::{Auth, Keys, Tokens};
use attache_host::bridge::Bridge;
use attache_host::client::{Client, Credential, Error, RawJson, Version};
use attache_host::downstream::{Downstream, Grant};
use attache_host::{Ctx, NoArgs, Server, ServerBuilder};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, LOCATION};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tower_service::Service as _;

/// The answer of the token endpoint to a request for a person.
#[derive(Clone, Debug, Default)]
enum Reply {
    /// A token that is valid for an hour.
    #[default]
    Good,
    /// These members instead of the usual ones.
    With(Value),
    Status(u16, Value),
    Text(&'static str),
    Huge,
    Redirect,
    Hang,
}

/// A protected server and its issuer, on one port. Both record what they get.
#[derive(Clone)]
struct Behind {
    origin: String,
    /// The replies for persons that do not get the usual one.
    replies: Arc<Mutex<HashMap<String, Reply>>>,
    /// The forms that the token endpoint got.
    asked: Arc<Mutex<Vec<HashMap<String, String>>>>,
    /// The heads and bodies that the server got.
    got: Arc<Mutex<Vec<(String, String)>>>,
    issued: Arc<AtomicUsize>,
    mcp: Router,
}

impl Behind {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let server = Server::new("behind", "1").tool("hello", "Says hello", |_: NoArgs, _: Ctx| async { "hello" });
        let behind = Self {
            origin,
            replies: Arc::default(),
            asked: Arc::default(),
            got: Arc::default(),
            issued: Arc::default(),
            mcp: server.routes(),
        };
        let router = Router::new().fallback(answer).with_state(behind.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        behind
    }

    fn reply(&self, person: &str, reply: Reply) {
        self.replies.lock().expect("no panic").insert(person.to_owned(), reply);
    }

    fn tokens(&self, grant: Grant) -> Downstream {
        let url = format!("{}/mcp", self.origin);
        let tokens = Downstream::new(grant, &self.origin, &url).expect("an issuer");
        tokens.client("gate", Some("s3cret".to_owned())).scopes(["crm.read"])
    }

    fn bridge(&self, grant: Grant) -> Bridge {
        Bridge::http("crm", format!("{}/mcp", self.origin)).downstream(self.tokens(grant))
    }

    /// The number of requests for this person.
    fn asked_for(&self, person: &str) -> usize {
        let asked = self.asked.lock().expect("no panic");
        asked.iter().filter(|form| self::person(form) == person).count()
    }

    /// The tokens with which tools were called.
    fn called_with(&self) -> Vec<String> {
        let got = self.got.lock().expect("no panic");
        let calls = got.iter().filter(|(_, body)| body.contains("tools/call"));
        let token =
            |head: &str| head.lines().find_map(|line| line.strip_prefix("authorization: Bearer ")).map(str::to_owned);
        calls.map(|(head, _)| token(head).unwrap_or_default()).collect()
    }

    fn issue(&self, person: &str, form: &HashMap<String, String>) -> Value {
        let token = format!("down-{person}-{}", self.issued.fetch_add(1, SeqCst));
        let mut answer = json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600});
        if form["grant_type"].ends_with("token-exchange") {
            answer["issued_token_type"] = "urn:ietf:params:oauth:token-type:access_token".into();
        }
        answer
    }
}

/// The person of a token request: the subject of the token, or the gate itself.
fn person(form: &HashMap<String, String>) -> String {
    let Some(token) = form.get("subject_token").or_else(|| form.get("assertion")) else { return "gate".to_owned() };
    let claims = token.split('.').nth(1).expect("a JWT");
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("Base64url")).expect("JSON");
    claims["sub"].as_str().expect("a subject").to_owned()
}

async fn answer(State(behind): State<Behind>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("a body");
    let text = String::from_utf8(body.to_vec()).expect("text");
    let origin = &behind.origin;
    match head.uri.path() {
        "/.well-known/oauth-authorization-server" => {
            json!({"issuer": origin, "token_endpoint": format!("{origin}/token")}).to_string().into_response()
        }
        "/token" => {
            assert_eq!(head.headers[AUTHORIZATION], "Basic Z2F0ZTpzM2NyZXQ=", "the gate authenticates");
            let form: HashMap<String, String> = form_urlencoded::parse(text.as_bytes()).into_owned().collect();
            behind.asked.lock().expect("no panic").push(form.clone());
            let person = person(&form);
            let reply = behind.replies.lock().expect("no panic").get(&person).cloned().unwrap_or_default();
            let usual = behind.issue(&person, &form);
            match reply {
                Reply::Good => {
                    // Calls that come together find the request running.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    usual.to_string().into_response()
                }
                Reply::With(changes) => {
                    let mut changed = usual;
                    for (name, value) in changes.as_object().expect("an object") {
                        let value = if value == "INBOUND" { json!(form["subject_token"]) } else { value.clone() };
                        changed[name] = value;
                    }
                    changed.to_string().into_response()
                }
                Reply::Status(status, body) => {
                    (StatusCode::from_u16(status).expect("a status"), body.to_string()).into_response()
                }
                Reply::Text(text) => text.into_response(),
                Reply::Huge => "x".repeat(1 << 20).into_response(),
                Reply::Redirect => (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, "/elsewhere")]).into_response(),
                Reply::Hang => ::core::future::pending().await,
            }
        }
        "/mcp" => {
            let fields =
                head.headers.iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().expect("text")));
            let fields = format!("{} {}\n{}", head.method, head.uri, fields.collect::<String>());
            let is_known = fields.contains("authorization: Bearer down-");
            behind.got.lock().expect("no panic").push((fields, text));
            match is_known {
                true => behind.mcp.clone().call(Request::from_parts(head, Body::from(body))).await.expect("an answer"),
                false => StatusCode::UNAUTHORIZED.into_response(),
            }
        }
        path => panic!("nothing may be sent to {path}"),
    }
}

/// A gate that admits callers with a token or a key.
async fn gate(bridge: impl FnOnce(ServerBuilder) -> ServerBuilder) -> String {
    let tokens = Tokens::of(RESOURCE, fixed().applications(["app"])).expect("a resource").scopes(["use"]);
    let auth = Auth::either(tokens, Keys::new([("robot", SECRET)]).expect("a key"));
    crate::gate::served(bridge(Server::new("gate", "1").auth(auth))).await
}

/// The access token of a person for the gate.
fn inbound(person: &str) -> String {
    token(1, "https://id.example", json!({"sub": person}))
}

async fn client(gate: &str, credential: Credential) -> Client {
    let connected = Client::builder("test", "1").credential(credential).http(gate).await;
    connected.expect("the gate admits the caller")
}

async fn person_at(gate: &str, name: &str) -> Client {
    client(gate, Credential::Bearer(inbound(name))).await
}

async fn hello(client: &Client) -> Result<String, Error> {
    // The bridge may still be connecting.
    for _ in 0..200 {
        match client.call("hello", RawJson::empty_object()).await {
            Err(Error::Rpc(error)) if error.code == -32602 => tokio::time::sleep(Duration::from_millis(50)).await,
            done => return done.map(|result| result.to_string()),
        }
    }
    panic!("the backend is not there");
}

/// The member `kind` of a failed call.
async fn kind(client: &Client) -> String {
    match hello(client).await {
        Err(Error::Rpc(error)) => {
            let kind = error.data.as_ref().and_then(|data| data.member("kind")?.string());
            kind.unwrap_or_else(|| panic!("{error:?}"))
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_caller_reaches_the_server_with_a_token_of_its_own_and_the_lists_with_that_of_the_gate() {
    for (grant, version) in [
        (Grant::Exchange, Version::V2026_07_28),
        (Grant::Exchange, Version::V2025_06_18),
        (Grant::OnBehalfOf, Version::V2026_07_28),
        (Grant::OnBehalfOf, Version::V2025_06_18),
    ] {
        let behind = Behind::start().await;
        let gate = gate(|server| server.keep_caller_tokens().backend("", behind.bridge(grant).version(version))).await;
        let (ada, bob) = (person_at(&gate, "ada").await, person_at(&gate, "bob").await);
        for client in [&ada, &bob, &ada] {
            assert!(hello(client).await.expect("a result").contains("hello"), "{grant:?} {version:?}");
        }
        let called: Vec<String> =
            behind.called_with().iter().map(|token| token.rsplit_once('-').expect("a token").0.to_owned()).collect();
        assert_eq!(called, ["down-ada", "down-bob", "down-ada"], "{grant:?} {version:?}");
        assert_eq!((behind.asked_for("ada"), behind.asked_for("bob")), (1, 1), "cached by caller");
        let asked = behind.asked.lock().expect("no panic").clone();
        assert!(asked.iter().all(|form| form["scope"] == "crm.read"), "{asked:?}");
        // MCP basic/authorization: the token of the caller goes to the issuer alone.
        for (head, body) in &*behind.got.lock().expect("no panic") {
            for token in [inbound("ada"), inbound("bob")] {
                let signed = token.rsplit_once('.').expect("a JWT").0;
                assert!(!head.contains(signed) && !body.contains(signed), "{head}{body}");
            }
            if body.contains("tools/list") {
                assert!(head.contains("authorization: Bearer down-gate-"), "{head}");
            }
        }
    }
}

#[tokio::test]
async fn client_credentials_are_one_token_for_all_callers() {
    let behind = Behind::start().await;
    let gate = gate(|server| server.backend("", behind.bridge(Grant::ClientCredentials))).await;
    let robot = client(&gate, Credential::Key(HeaderName::from_static("x-functions-key"), SECRET.to_owned())).await;
    for client in [&person_at(&gate, "ada").await, &robot] {
        assert!(hello(client).await.is_ok());
    }
    assert_eq!(behind.asked_for("gate"), 1);
    assert_eq!(behind.called_with(), ["down-gate-0", "down-gate-0"]);
}

#[tokio::test]
async fn hundred_calls_of_one_caller_at_once_cause_one_request_to_the_issuer() {
    let behind = Behind::start().await;
    let gate = gate(|server| server.keep_caller_tokens().backend("", behind.bridge(Grant::Exchange))).await;
    // The backend is connected after this.
    hello(&person_at(&gate, "bob").await).await.expect("a result");
    let ada = person_at(&gate, "ada").await;
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let ada = ada.clone();
            tokio::spawn(async move { hello(&ada).await })
        })
        .collect();
    for call in calls {
        call.await.expect("no panic").expect("a result");
    }
    assert_eq!(behind.asked_for("ada"), 1);
}

#[tokio::test]
async fn caller_without_a_token_is_told_to_sign_in() {
    let behind = Behind::start().await;
    let gate = gate(|server| server.keep_caller_tokens().backend("", behind.bridge(Grant::Exchange))).await;
    let robot = client(&gate, Credential::Key(HeaderName::from_static("x-functions-key"), SECRET.to_owned())).await;
    assert_eq!(kind(&robot).await, "sign_in");
    assert!(behind.called_with().is_empty());
}

#[tokio::test]
async fn token_endpoint_that_fails_or_lies_ends_the_call_of_this_caller_alone() {
    let other = |aud: &str| format!("e30.{}.x", URL_SAFE_NO_PAD.encode(json!({"aud": aud}).to_string()));
    let demands = |error: &str, more: Value| {
        let mut body = json!({"error": error, "error_description": "AADSTS50076: secret details"});
        more.as_object().expect("an object").iter().for_each(|(name, value)| body[name] = value.clone());
        Reply::Status(400, body)
    };
    let claims = json!({"claims": r#"{"access_token":{}}"#});
    let cases = [
        (Reply::Hang, "unavailable"),
        (Reply::Status(503, json!({})), "unavailable"),
        (Reply::Status(429, json!({})), "unavailable"),
        (demands("temporarily_unavailable", json!({})), "unavailable"),
        (Reply::Redirect, "unavailable"),
        (Reply::Huge, "no_token"),
        (Reply::Text("access_token=a&token_type=bearer"), "no_token"),
        (Reply::With(json!({"token_type": "DPoP"})), "no_token"),
        (Reply::With(json!({"access_token": "a b"})), "no_token"),
        (Reply::With(json!({"access_token": "INBOUND"})), "no_token"),
        (Reply::With(json!({"access_token": other(RESOURCE)})), "no_token"),
        (Reply::With(json!({"scope": "other"})), "no_token"),
        (Reply::With(json!({"issued_token_type": "urn:ietf:params:oauth:token-type:id_token"})), "no_token"),
        (demands("invalid_client", json!({})), "no_token"),
        (demands("invalid_target", json!({})), "no_token"),
        // Entra ID: Conditional Access, consent, and an assertion that has ended.
        (demands("interaction_required", claims.clone()), "sign_in"),
        (demands("invalid_grant", json!({"suberror": "basic_action", "claims": claims["claims"]})), "sign_in"),
        (demands("invalid_grant", json!({"suberror": "consent_required"})), "sign_in"),
        (demands("invalid_grant", json!({})), "sign_in"),
        (demands("unauthorized_client", claims), "sign_in"),
    ];
    let behind = Behind::start().await;
    let gate = gate(|server| server.keep_caller_tokens().backend("", behind.bridge(Grant::Exchange))).await;
    hello(&person_at(&gate, "bob").await).await.expect("a result");
    let calls = cases.into_iter().enumerate().map(|(number, (reply, expected))| {
        let (behind, gate) = (behind.clone(), gate.clone());
        tokio::spawn(async move {
            let person = format!("person{number}");
            behind.reply(&person, reply.clone());
            let client = person_at(&gate, &person).await;
            assert_eq!(kind(&client).await, expected, "{reply:?}");
            // A client that tries again at once is no load for the issuer.
            let asked = behind.asked_for(&person);
            let error = hello(&client).await.expect_err("still refused").to_string();
            assert_eq!(behind.asked_for(&person), asked, "{reply:?}");
            assert!(!error.contains("AADSTS") && !error.contains(&behind.origin), "{error}");
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.expect("no panic");
    }
    assert_eq!(behind.called_with().len(), 1, "nothing was called without a token");
    hello(&person_at(&gate, "bob").await).await.expect("others are served");
}

#[tokio::test]
async fn token_that_ends_at_once_is_requested_for_each_call() {
    let behind = Behind::start().await;
    behind.reply("ada", Reply::With(json!({"expires_in": 0})));
    let gate = gate(|server| server.keep_caller_tokens().backend("", behind.bridge(Grant::Exchange))).await;
    let ada = person_at(&gate, "ada").await;
    for _ in 0..3 {
        hello(&ada).await.expect("a result");
    }
    let called = behind.called_with();
    assert_eq!(called.len(), 3);
    assert!(called.iter().all(|token| token.starts_with("down-ada-")), "{called:?}");
}

#[tokio::test]
async fn handler_gets_tokens_for_declared_servers_alone() {
    let behind = Behind::start().await;
    let url = format!("{}/mcp", behind.origin);
    let gate = gate(|server| {
        let (declared, other) = (url.clone(), "https://other.example/mcp");
        server
            .downstream(behind.tokens(Grant::Exchange))
            .tool("declared", "Gets a token", move |_: NoArgs, ctx: Ctx| {
                let url = declared.clone();
                async move { ctx.token_for(&url).await }
            })
            .tool("other", "Gets a token", move |_: NoArgs, ctx: Ctx| async move { ctx.token_for(other).await })
    })
    .await;
    let ada = person_at(&gate, "ada").await;
    let call = async |client: &Client, tool: &str| {
        client.call(tool, RawJson::empty_object()).await.expect("a result").to_string()
    };
    assert!(call(&ada, "declared").await.contains("down-ada-"));
    let refused = call(&ada, "other").await;
    assert!(refused.contains(r#""isError":true"#) && !refused.contains("down-"), "{refused}");
    let robot = client(&gate, Credential::Key(HeaderName::from_static("x-functions-key"), SECRET.to_owned())).await;
    let refused = call(&robot, "declared").await;
    assert!(refused.contains(r#""isError":true"#) && refused.contains("sign in"), "{refused}");
}
