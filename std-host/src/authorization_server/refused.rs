//! Why a request of a browser is refused, and the answer to it.

use super::AuthorizationServer;
use super::answer::{page, see_other};
use super::error::OAuthError;
use super::redirect::with_parameters;
use axum::response::Response;
use http::StatusCode;

/// Why a request of a browser is refused.
#[derive(Debug)]
pub(super) enum Refused {
    /// The person is told, because it is not certain that the redirect URI is the client's.
    Page(Why),
    /// The client cannot be used. The person is told why.
    UnknownClient(String),
    /// The client is told at its redirect URI, with its `state`.
    Client(String, Option<String>, OAuthError),
}

impl Refused {
    // RFC 6749 §4.1.2.1: with an invalid client or redirect URI, the server informs the person and MUST NOT redirect.
    pub(super) fn answer(self, server: &AuthorizationServer) -> Response {
        match self {
            Self::Page((why, remedy)) => page(StatusCode::BAD_REQUEST, server.site().failure(why, remedy)),
            Self::UnknownClient(why) => page(StatusCode::BAD_REQUEST, server.site().failure(&why, REGISTER_ANEW)),
            Self::Client(redirect_uri, state, error) => {
                let mut parameters = vec![("error", error.code.as_str()), ("error_description", error.description)];
                parameters.extend(state.as_deref().map(|state| ("state", state)));
                // RFC 9207 §2: error answers name the issuer, too.
                parameters.push(("iss", &server.issuer));
                see_other(&with_parameters(&redirect_uri, &parameters))
            }
        }
    }
}

/// The advice for a person when the program has an id from another server, or one that has expired.
/// Programs cannot notice that by themselves.
const REGISTER_ANEW: &str = "Let the program register again. Visual Studio Code: run “Authentication: Remove Dynamic \
    Authentication Providers”. Claude Code: “/mcp”, choose the server, “Clear authentication”. Cursor: log out of the server in the \
    settings of MCP. mcp-remote: delete the folder ~/.mcp-auth.";

/// A page that says why the sign-in cannot go on, and what to do.
pub(super) type Why = (&'static str, &'static str);
