//! `WWW-Authenticate`: how a refused caller learns what is missing (RFC 6750 §3, RFC 9728 §5.1).

use super::metadata::OFFLINE;
use super::{Refusal, Resource};
use crate::json::{Full, Sink};

/// Writes the challenge that goes with a refusal; nothing for one that credentials do not mend.
///
/// `scopes` are all that the operation needs (MCP basic/authorization): of the door, what a client needs for the most
/// ordinary use. Parameters stand between commas and quotes, as RFC 9110 §11.2 wants it and clients read it.
///
/// # Errors
/// [`Full`] if it does not fit; a part of it may then be written.
pub fn challenge<'s>(
    refusal: Refusal,
    resource: Option<&Resource<'_>>,
    scopes: impl Iterator<Item = &'s str>,
    out: &mut dyn Sink,
) -> Result<(), Full> {
    let mut next = match refusal {
        // RFC 6750 §3.1: no error code where no token came.
        Refusal::NoToken => "Bearer ",
        Refusal::BadToken => r#"Bearer error="invalid_token", "#,
        Refusal::Credentials => r#"Bearer error="invalid_request", "#,
        Refusal::Scope => r#"Bearer error="insufficient_scope", "#,
        // A scheme of another name: at `Bearer` clients would begin to look for an authorization server.
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
        // A scheme with nothing behind it.
        (_, "Bearer ") => out.put(b"Bearer"),
        _ => Ok(()),
    }
}
