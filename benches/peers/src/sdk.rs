//! The official Rust SDK, without sessions and with plain JSON answers, its cheapest mode.
//! `jsonwebtoken` checks the tokens in front of it, as the SDK's documentation shows.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{ServerCapabilities, ServerConfig};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ServerHandler, tool, tool_handler, tool_router};
use std::sync::Arc;

#[derive(Clone)]
struct Tools;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Echo {
    /// what to repeat
    text: String,
}

#[tool_router]
impl Tools {
    #[tool(description = "Repeat a text exactly")]
    async fn echo(&self, Parameters(echo): Parameters<Echo>) -> String {
        echo.text
    }
}

#[tool_handler]
impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }
}

#[derive(Clone, serde::Deserialize)]
#[allow(dead_code, reason = "a handler may ask for them")]
struct Claims {
    sub: String,
    azp: String,
    scp: String,
}

pub async fn serve(key: Option<&[u8]>) {
    let listener = crate::listen().await;
    let mut config = StreamableHttpServerConfig::default();
    config.legacy_session_mode = false;
    config.json_response = true;
    let service = StreamableHttpService::new(move || Ok(Tools), Arc::new(NeverSessionManager::default()), config);
    let mut router = axum::Router::new().nest_service("/mcp", service);
    if let Some(key) = key {
        let key = Arc::new(DecodingKey::from_rsa_pem(key).expect("a key"));
        let mut rules = Validation::new(Algorithm::RS256);
        rules.set_audience(&[crate::load::RESOURCE]);
        rules.set_issuer(&[crate::load::ISSUER]);
        let rules = Arc::new(rules);
        router = router.layer(axum::middleware::from_fn(move |request: Request, next: Next| {
            let (key, rules) = (Arc::clone(&key), Arc::clone(&rules));
            async move { checked(request, next, &key, &rules).await }
        }));
    }
    axum::serve(listener, router).await.expect("it serves");
}

async fn checked(mut request: Request, next: Next, key: &DecodingKey, rules: &Validation) -> Response {
    let bearer = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let token = bearer.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    match jsonwebtoken::decode::<Claims>(token, key, rules) {
        Ok(token) => {
            request.extensions_mut().insert(token.claims);
            next.run(request).await
        }
        Err(_) => StatusCode::UNAUTHORIZED.into_response(),
    }
}
