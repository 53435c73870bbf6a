//! Protected resource metadata (RFC 9728): tells callers where to get tokens. It is public and the
//! same for all callers.

use crate::json::{Full, Sink, escape};

/// The URL of an endpoint as callers write it. Clients compare it byte for byte with the URL that
/// they were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Resource<'a> {
    /// Scheme, host and port.
    origin: &'a str,
    /// Begins with a slash, or is empty.
    path: &'a str,
}

/// The well-known path segment (RFC 9728 §3).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

impl<'a> Resource<'a> {
    /// Parses the public URL of an endpoint: `https://` or `http://`, a host and a path. Returns
    /// `None` for any other URL, and if a character cannot be used in a quoted header parameter.
    // RFC 9728 §1.2: no fragment. A query would be allowed, but is not used here.
    pub fn new(url: &'a str) -> Option<Self> {
        // Searches bytes, because the linker cannot prove that the library's string search does not
        // panic.
        let scheme = url.bytes().position(|byte| byte == b':')?;
        let (known, rest) = (url.get(..scheme)?, url.get(scheme..)?.strip_prefix("://")?);
        let known = known.eq_ignore_ascii_case("https") || known.eq_ignore_ascii_case("http");
        let good = rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\?#".contains(&byte));
        let host = rest.bytes().position(|byte| byte == b'/').unwrap_or(rest.len());
        let (origin, path) = url.split_at_checked(scheme + 3 + host)?;
        (known && good && host > 0).then_some(Self { origin, path })
    }

    /// Makes a resource again from the pieces that [`url`](Self::url) has returned, for a driver
    /// that stores them.
    pub const fn of_url([origin, path]: [&'a str; 2]) -> Self {
        Self { origin, path }
    }

    /// Returns the endpoint's path; a slash if it is empty.
    pub const fn path(&self) -> &'a str {
        if self.path.is_empty() { "/" } else { self.path }
    }

    /// Returns the endpoint's URL in two pieces: scheme, host and port; and the path, which may be
    /// empty.
    pub const fn url(&self) -> [&'a str; 2] {
        [self.origin, self.path]
    }

    /// Returns the path of the metadata in two pieces: the well-known segment comes between host
    /// and path.
    pub fn metadata_path(&self) -> [&'a str; 2] {
        // RFC 9728 §3.1: a slash directly after the host is removed.
        [WELL_KNOWN, if self.path == "/" { "" } else { self.path }]
    }

    /// Returns the URL of the metadata, in pieces.
    pub fn metadata_url(&self) -> [&'a str; 3] {
        let [well_known, path] = self.metadata_path();
        [self.origin, well_known, path]
    }
}

/// Writes the metadata of the endpoint as JSON. `issuers` are the authorization servers, at least
/// one; `scopes` are those for the most common use, if known.
///
/// # Errors
/// [`Full`] if the metadata does not fit; a part may have been written then.
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
    // RFC 9728 §2: parameters without values are omitted.
    list(r#","scopes_supported":["#, scopes.filter(|scope| *scope != OFFLINE), out)?;
    // MCP basic/authorization: clients MUST NOT send tokens in the query.
    out.put(br#","bearer_methods_supported":["header"]}"#)
}

/// The scope for refresh tokens. MCP 2026-07-28 basic/authorization: servers SHOULD NOT name it in
/// challenges or metadata; refresh tokens are between client and issuer.
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
