//! Calls a tool of a host's service in this process, under a tool that counts instructions.
//!
//! `host TOOLS RUNS` calls the last of TOOLS tools RUNS times over HTTP without a socket, and
//! prints the bytes of the request's body and of the answer's. `host TOOLS RUNS token` sends an
//! access token of 700 bytes with each call, always the same one.

use attache_host::auth::{Auth, Issuer, Tokens};
use attache_host::http::McpService;
use attache_host::{Ctx, Server, ServerBuilder};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use schemars::JsonSchema;
use serde::Deserialize;
use std::process::ExitCode;
use tower_service::Service;

#[derive(Deserialize, JsonSchema)]
struct Say {
    text: String,
}

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let guarded = arguments.pop_if(|last| last == "token").is_some();
    let numbers: Option<Vec<usize>> = arguments.iter().map(|number| number.parse().ok()).collect();
    let (tools, runs) = match numbers.as_deref() {
        Some(&[tools, runs]) if tools > 0 => (tools, runs),
        _ => {
            eprintln!("usage: host TOOLS RUNS [token]");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let (server, authorization) = match guarded {
        false => (server(tools), None),
        true => {
            let (auth, token) = token();
            (server(tools).auth(auth), Some(format!("Bearer {token}")))
        }
    };
    let mut service = McpService::new(server.build());
    let name = name(tools - 1);
    let body = Bytes::from(format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}","arguments":{{"text":"hello"}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    ));
    let mut answered = 0;
    for _ in 0..runs {
        let mut request = Request::post("/mcp")
            .header("host", "localhost")
            .header("content-type", "application/json")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", name.as_str());
        if let Some(authorization) = &authorization {
            request = request.header("authorization", authorization.as_str());
        }
        let request = request.body(Full::new(body.clone())).expect("a request");
        let answer = runtime.block_on(async {
            let Ok(response) = service.call(request).await;
            response.into_body().collect().await.expect("an answer").to_bytes()
        });
        assert!(answer.starts_with(br#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"hello"}]"#));
        answered = answer.len();
    }
    println!("{} {answered}", body.len());
    ExitCode::SUCCESS
}

/// Returns an authorization policy and a token of 700 bytes that satisfies it.
fn token() -> (Auth, String) {
    let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
    let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).expect("a key");
    let point = key.public_key().as_ref();
    let [x, y] = [&point[1..33], &point[33..]].map(base64url);
    let keys = format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","kid":"k","x":"{x}","y":"{y}"}}]}}"#);
    let issuer = Issuer::with_keys("https://id.example", &keys).expect("keys").applications(["app"]);
    let fill = "x".repeat(313);
    let claims = format!(
        r#"{{"iss":"https://id.example","aud":"https://api.example/mcp","exp":4000000000,"sub":"ada","azp":"app","scp":"use","x":"{fill}"}}"#
    );
    let signed = format!("{}.{}", base64url(br#"{"alg":"ES256","kid":"k"}"#), base64url(claims.as_bytes()));
    let signature = key.sign(&random, signed.as_bytes()).expect("a signature");
    let token = format!("{signed}.{}", base64url(signature.as_ref()));
    assert!((690..=710).contains(&token.len()), "{}", token.len());
    (Auth::tokens(Tokens::of("https://api.example/mcp", issuer).expect("a resource")), token)
}

fn base64url(bytes: &[u8]) -> String {
    const CHARS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        (0..=chunk.len()).for_each(|at| text.push(CHARS[(bits >> (18 - 6 * at) & 63) as usize] as char));
    }
    text
}

/// Returns a tool's name. All names have the same length, so that only their number differs.
fn name(number: usize) -> String {
    format!("tool_{number:04}")
}

fn server(tools: usize) -> ServerBuilder {
    (0..tools).fold(Server::new("bench", "1.0.0"), |server, number| {
        server.tool(&name(number), "Say it again", |said: Say, _: Ctx| async move { said.text })
    })
}
