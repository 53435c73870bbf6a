//! The metadata of a protected resource (RFC 9728): where its callers get their tokens. Public, and the same for all.

use crate::json::{Full, Sink, escape};

/// The endpoint as its callers write it: what they compare with the URL that they were given, byte for byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Resource<'a> {
    /// Scheme, host and port.
    origin: &'a str,
    /// Begins with a slash, or is empty.
    path: &'a str,
}

/// Where the well-known segment stands (RFC 9728 §3).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

impl<'a> Resource<'a> {
    /// An endpoint by its public URL; `None` if that is not `https://` or `http://`, a host, and a path, of characters that
    /// may stand in a header between quotes.
    // RFC 9728 §1.2: no fragment; and the query, which is allowed, has no use here.
    pub fn new(url: &'a str) -> Option<Self> {
        // Bytes are searched, because the search in strings of the library can panic for all that a linker knows.
        let scheme = url.bytes().position(|byte| byte == b':')?;
        let (known, rest) = (url.get(..scheme)?, url.get(scheme..)?.strip_prefix("://")?);
        let known = known.eq_ignore_ascii_case("https") || known.eq_ignore_ascii_case("http");
        let good = rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\?#".contains(&byte));
        let host = rest.bytes().position(|byte| byte == b'/').unwrap_or(rest.len());
        let (origin, path) = url.split_at_checked(scheme + 3 + host)?;
        (known && good && host > 0).then_some(Self { origin, path })
    }

    /// The endpoint's path; a slash if it has none.
    pub const fn path(&self) -> &'a str {
        if self.path.is_empty() { "/" } else { self.path }
    }

    /// The endpoint's URL, in two pieces: scheme, host and port; and its path, which may be empty.
    pub const fn url(&self) -> [&'a str; 2] {
        [self.origin, self.path]
    }

    /// The path of the metadata, in two pieces: the well-known segment goes between host and path.
    pub fn metadata_path(&self) -> [&'a str; 2] {
        // RFC 9728 §3.1: a slash that ends the host alone is taken away.
        [WELL_KNOWN, if self.path == "/" { "" } else { self.path }]
    }

    /// The URL of the metadata, in pieces.
    pub fn metadata_url(&self) -> [&'a str; 3] {
        let [well_known, path] = self.metadata_path();
        [self.origin, well_known, path]
    }
}

/// Writes the metadata of the endpoint as JSON. `issuers` are the authorization servers, at least one; `scopes` what a client needs
/// for the most ordinary use, where that is known.
///
/// # Errors
/// [`Full`] if it does not fit; a part of it may then be written.
pub fn metadata<'s>(
    resource: &Resource<'_>,
    issuers: impl Iterator<Item = &'s str>,
    scopes: impl Iterator<Item = &'s str>,
    out: &mut dyn Sink,
) -> Result<(), Full> {
    out.put(br#"{"resource":""#)?;
    escape(resource.origin, out)?;
    escape(resource.path, out)?;
    // MCP basic/authorization: `authorization_servers` MUST have an entry.
    list(r#"","authorization_servers":["#, issuers, out)?;
    // RFC 9728 §2: parameters with nothing in them are left out.
    list(r#","scopes_supported":["#, scopes.filter(|scope| *scope != OFFLINE), out)?;
    // MCP basic/authorization: tokens MUST NOT stand in the query.
    out.put(br#","bearer_methods_supported":["header"]}"#)
}

/// MCP 2026-07-28 basic/authorization: what a client does with a refresh token is no business of the server.
pub(super) const OFFLINE: &str = "offline_access";

fn list<'s>(front: &str, entries: impl Iterator<Item = &'s str>, out: &mut dyn Sink) -> Result<(), Full> {
    let mut next = front;
    for entry in entries {
        out.put(next.as_bytes())?;
        out.put(b"\"")?;
        escape(entry, out)?;
        out.put(b"\"")?;
        next = ",";
    }
    if next == "," { out.put(b"]") } else { Ok(()) }
}
