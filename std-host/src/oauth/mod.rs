//! The client side of OAuth 2.1: discovery, registration, authorization codes with PKCE, and token
//! requests. The MCP client uses it to sign a person in, and a server to get tokens for other servers.

mod authorization;
mod challenge;
mod discovery;
mod error;
mod fetch;
pub(crate) mod limits;
mod loopback;
mod registration;
mod token;

pub(crate) use authorization::{Attempt, Request};
pub(crate) use challenge::Challenge;
pub(crate) use discovery::{Issuer, Protected, is_entra, issuer, protected};
pub use error::{Demand, OAuthError};
pub(crate) use fetch::Fetch;
pub(crate) use loopback::Loopback;
pub(crate) use registration::{Application, register};
pub(crate) use token::{ClientAuth, Granted, Method, revoke, token};
