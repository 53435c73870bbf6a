//! Writes the `WWW-Authenticate` challenge, which tells a refused caller which credentials are
//! missing (RFC 6750 §3, RFC 9728 §5.1).

use super::metadata::OFFLINE;
use super::{Refusal, Resource};
use crate::json::{Full, Sink};

/// Writes the challenge for a refusal; writes nothing if credentials would not help.
///
/// `scopes` are all scopes that the operation needs (MCP basic/authorization); if the request was
/// refused before its operation was known, the scopes for the most common use. Parameters are
/// quoted and separated by commas, as RFC 9110 §11.2 requires and clients expect.
///
/// # Errors
/// [`Full`] if the challenge does not fit; a part may have been written then.
pub fn challenge<'s>(
    refusal: Refusal,
    resource: Option<&Resource<'_>>,
    scopes: impl Iterator<Item = &'s str>,
    out: &mut dyn Sink,
) -> Result<(), Full> {
    let mut next = match refusal {
        // RFC 6750 §3.1: no error code if the request had no token.
        Refusal::NoToken => "Bearer ",
        Refusal::BadToken => r#"Bearer error="invalid_token", "#,
        Refusal::Credentials => r#"Bearer error="invalid_request", "#,
        Refusal::Scope => r#"Bearer error="insufficient_scope", "#,
        // A scheme with another name: on `Bearer`, clients would start to look for an authorization
        // server.
        Refusal::NoKey => return out.put(br#"Key realm="mcp", header="x-functions-key""#),
        _ => return Ok(()),
    };
    if let Some(resource) = resource {
        for piece in [next, r#"resource_metadata=""#].into_iter().chain(resource.metadata_url()).chain(["\""]) {
            out.put(piece.as_bytes())?;
        }
        next = ", ";
    } else {
        next = match next.strip_suffix(", ") {
            Some(front) => {
                out.put(front.as_bytes())?;
                ", "
            }
            None => next,
        };
    }
    let mut before = r#"scope=""#;
    for scope in scopes.filter(|scope| *scope != OFFLINE) {
        out.put(core::mem::take(&mut next).as_bytes())?;
        out.put(before.as_bytes())?;
        out.put(scope.as_bytes())?;
        before = " ";
    }
    match (before, next) {
        (" ", _) => out.put(b"\""),
        // A scheme without parameters.
        (_, "Bearer ") => out.put(b"Bearer"),
        _ => Ok(()),
    }
}
