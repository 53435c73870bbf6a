//! Credentials that the client sends to its server.

use crate::client::error::Error;
use core::fmt;
use core::pin::Pin;
use http::{HeaderName, HeaderValue, header};
use std::path::PathBuf;
use std::sync::Arc;

/// A future of a [`TokenSource`].
pub type TokenFuture<'f, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'f>>;

/// A source of access tokens for one server, which may replace them while the client runs.
///
/// While [`refused`](Self::refused) runs, the timeouts of requests do not end them, because a person
/// may have to sign in.
pub trait TokenSource: fmt::Debug + Send + Sync {
    /// Returns the token for the next request, or `None` to send it without one.
    fn token(&self) -> TokenFuture<'_, Option<String>>;

    /// Handles a refusal of the server. Returns whether there is another token, with which the
    /// client sends the request again: at most three times.
    fn refused<'f>(&'f self, refusal: &'f TokenRefusal) -> TokenFuture<'f, bool>;
}

/// A refusal of a server, for [`TokenSource::refused`].
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenRefusal {
    /// The HTTP status: 401 or 403.
    pub status: u16,
    /// The fields `WWW-Authenticate`, joined by commas.
    pub challenge: String,
    /// The token that the request had.
    pub token: Option<String>,
}

impl TokenRefusal {
    /// A refusal with this status and challenge of a request without a token.
    pub fn new(status: u16, challenge: impl Into<String>) -> Self {
        Self { status, challenge: challenge.into(), token: None }
    }

    /// Sets the token that the request had.
    #[must_use]
    pub fn of_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }
}

// The token must not be logged.
impl fmt::Debug for TokenRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("TokenRefusal");
        debug.field("status", &self.status).field("challenge", &self.challenge).finish_non_exhaustive()
    }
}

/// A credential for one server. The client sends it only to the origin of the server's URL.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Credential {
    /// None.
    #[default]
    None,
    /// `Authorization: Bearer …`
    Bearer(String),
    /// A bearer token in a file. The file is read for each request, so the token can be replaced
    /// while the client runs.
    BearerFile(PathBuf),
    /// An API key in a header field, such as `x-functions-key`.
    Key(HeaderName, String),
    /// The bearer tokens of a source, such as `SignIn`.
    Source(Arc<dyn TokenSource>),
}

impl Credential {
    pub(super) const fn is_some(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Returns the token of a source. `None` for the other credentials.
    pub(super) async fn token(&self) -> Result<Option<String>, Error> {
        match self {
            Self::Source(source) => source.token().await,
            _ => Ok(None),
        }
    }

    /// Whether the source has another token after a refusal.
    pub(super) async fn renewed(&self, refusal: &TokenRefusal) -> Result<bool, Error> {
        match self {
            Self::Source(source) => source.refused(refusal).await,
            _ => Ok(false),
        }
    }

    /// Returns the header field of the credential. `token` is the token of a source.
    pub(super) fn header(&self, token: Option<&str>) -> Result<Option<(HeaderName, HeaderValue)>, Error> {
        match self {
            Self::None => Ok(None),
            Self::Source(_) => token.map(bearer).transpose(),
            Self::Bearer(token) => bearer(token).map(Some),
            Self::BearerFile(file) => {
                let token = std::fs::read_to_string(file).map_err(|error| {
                    Error::Unreachable(format!("cannot read the token in {}: {error}", file.display()))
                })?;
                bearer(token.trim()).map(Some)
            }
            Self::Key(name, key) => Ok(Some((name.clone(), secret(key)?))),
        }
    }
}

fn bearer(token: &str) -> Result<(HeaderName, HeaderValue), Error> {
    Ok((header::AUTHORIZATION, secret(&format!("Bearer {token}"))?))
}

fn secret(value: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| Error::Unreachable("the credential has characters that a header field cannot carry".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Bearer(_) => "Bearer(…)",
            Self::BearerFile(_) => "BearerFile(…)",
            Self::Key(..) => "Key(…)",
            Self::Source(source) => return f.debug_tuple("Source").field(source).finish(),
        })
    }
}
