//! The authorization endpoint (OAuth 2.1 §4.1.1).

use super::AuthorizationServer;
use super::client::{Client, UnknownClient};
use super::consent::Asked;
use super::consent_page::ask;
use super::error::{ErrorCode, OAuthError};
use super::grant::is_challenge;
use super::limits::STATE;
use super::parameters::Parameters;
use super::refused::{Refused, Why};
use crate::clock::now;
use axum::extract::{Request, State};
use axum::response::Response;
use std::sync::Arc;

const NO_REDIRECT_URI: Why = (
    "The program did not say where the answer goes, or it has not registered that address.",
    "Start again in your program. If that does not help, its maker has to register the redirect URI that it uses.",
);

/// Shows the consent page, or says why not.
pub(super) async fn authorize(State(server): State<Arc<AuthorizationServer>>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    let parameters = Parameters::parse(head.uri.query().unwrap_or_default().as_bytes());
    let checked = async {
        let client = client(&server, &parameters).await?;
        let asked = asked(&server, &client, &parameters)?;
        Ok::<_, Refused>((client, asked))
    };
    match checked.await {
        Ok((client, asked)) => ask(&server, &client, asked, &head.headers),
        Err(refused) => {
            tracing::info!(reason = ?refused, "authorization request refused");
            refused.answer(&server)
        }
    }
}

async fn client(server: &AuthorizationServer, parameters: &Parameters) -> Result<Client, Refused> {
    let id = parameters.get("client_id").ok_or(Refused::Page(NO_CLIENT))?;
    server.clients.find(id, now()).await.map_err(|unknown| match unknown {
        UnknownClient::Id => Refused::UnknownClient("This server does not know the program.".to_owned()),
        UnknownClient::Document(why) => {
            Refused::UnknownClient(format!("The program's description at {id} cannot be used: {why}."))
        }
    })
}

const NO_CLIENT: Why = (
    "The link does not name the program that wants to sign you in.",
    "Start again in your program, and do not change the link.",
);

/// Checks the request of a client that is known.
fn asked(server: &AuthorizationServer, client: &Client, parameters: &Parameters) -> Result<Asked, Refused> {
    let redirect_uri = parameters.get("redirect_uri").filter(|requested| client.allows(requested));
    let redirect_uri = redirect_uri.ok_or(Refused::Page(NO_REDIRECT_URI))?.to_owned();
    let state = parameters.get("state").filter(|state| state.len() <= STATE).map(str::to_owned);
    let terms = check(server, parameters);
    let (challenge, resource, scopes) =
        terms.map_err(|error| Refused::Client(redirect_uri.clone(), state.clone(), error))?;
    let (client_id, is_confidential) = (client.id.clone(), client.is_confidential);
    Ok(Asked { client_id, is_confidential, redirect_uri, challenge, resource, scopes, state })
}

type Checked = (String, String, Vec<String>);

fn check(server: &AuthorizationServer, parameters: &Parameters) -> Result<Checked, OAuthError> {
    let invalid = |what| Err(OAuthError::new(ErrorCode::InvalidRequest, what));
    parameters.check_repetition()?;
    if parameters.get("state").is_some_and(|state| state.len() > STATE) {
        return invalid("state is too long");
    }
    if parameters.get("request").or(parameters.get("request_uri")).is_some() {
        return invalid("request objects are not supported");
    }
    if parameters.get("response_type") != Some("code") {
        return Err(OAuthError::new(ErrorCode::UnsupportedResponseType, "response_type must be code"));
    }
    if parameters.get("response_mode").is_some_and(|mode| mode != "query") {
        return invalid("response_mode must be query");
    }
    // OAuth 2.1 §4.1.1: a server MUST require a challenge. RFC 7636 §4.2: without a method, it would be `plain`.
    if parameters.get("code_challenge_method") != Some("S256") {
        return invalid("code_challenge_method must be S256");
    }
    let challenge = parameters.get("code_challenge").filter(|challenge| is_challenge(challenge));
    let Some(challenge) = challenge else { return invalid("code_challenge must be the Base64url of a SHA-256") };
    let resource = server.resources.audience(parameters.all("resource"))?;
    let scopes = server.scopes.requested(&resource, parameters.get("scope"))?;
    // OpenID Connect Core 1.0 §3.1.2.1: `none` asks for an answer without a page. Consent is asked each time.
    if parameters.get("prompt").is_some_and(|prompt| prompt.split(' ').any(|word| word == "none")) {
        return Err(OAuthError::new(ErrorCode::InteractionRequired, "a person has to agree on a page"));
    }
    Ok((challenge.to_owned(), resource, scopes))
}
