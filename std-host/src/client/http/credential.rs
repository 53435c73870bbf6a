//! Credentials that the client sends to its server.

use crate::client::error::Error;
use core::fmt;
use http::{HeaderName, HeaderValue, header};
use std::path::PathBuf;

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
}

impl Credential {
    pub(super) const fn is_some(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Returns the header field of the credential.
    pub(super) fn header(&self) -> Result<Option<(HeaderName, HeaderValue)>, Error> {
        match self {
            Self::None => Ok(None),
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
        })
    }
}
