//! The resources that access tokens are for (RFC 8707).

use super::error::{ErrorCode, OAuthError};
use attache_core::http::LOOPBACK;
use reqwest::Url;

/// The resources for which the server issues tokens.
#[derive(Clone, Debug)]
pub(super) enum Resources {
    /// These URLs. The first one is meant if a client names none.
    Listed(Vec<String>),
    /// Every URL on this machine. This one is meant if a client names none.
    Loopback(String),
}

impl Resources {
    /// Returns the audience for a request with these values of `resource`.
    // RFC 8707 §2: `invalid_target` if the resource is unknown. A request for several resources would need a token with several
    // audiences, which each of them could use against the others.
    pub(super) fn audience<'r>(&self, requested: impl Iterator<Item = &'r str>) -> Result<String, OAuthError> {
        let mut audience = None;
        for resource in requested {
            let found = self.find(resource).ok_or(UNKNOWN)?;
            if *audience.get_or_insert_with(|| found.clone()) != found {
                return Err(OAuthError::new(ErrorCode::InvalidTarget, "a token is for one resource: name only one"));
            }
        }
        let default = || match self {
            Self::Listed(listed) => listed.first().cloned().unwrap_or_default(),
            Self::Loopback(default) => default.clone(),
        };
        Ok(audience.unwrap_or_else(default))
    }

    fn find(&self, resource: &str) -> Option<String> {
        match self {
            Self::Listed(listed) => listed.iter().find(|listed| is_same(listed, resource)).cloned(),
            Self::Loopback(default) if is_same(default, resource) => Some(default.clone()),
            Self::Loopback(_) => {
                let url = parse(resource)?;
                let is_here = url.host_str().is_some_and(|host| LOOPBACK.contains(&host));
                is_here.then(|| resource.to_owned())
            }
        }
    }
}

const UNKNOWN: OAuthError = OAuthError::new(ErrorCode::InvalidTarget, "this server issues no tokens for that resource");

/// Whether two URLs mean the same resource. Clients add a slash to a bare origin, because URL parsers do.
pub(super) fn is_same(own: &str, requested: &str) -> bool {
    own == requested || parse(own).zip(parse(requested)).is_some_and(|(own, requested)| own == requested)
}

/// Parses a resource, which normalizes scheme, host, default port and an empty path.
// RFC 8707 §2: an absolute URI without a fragment.
fn parse(resource: &str) -> Option<Url> {
    let url = Url::parse(resource).ok()?;
    let is_plain = url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    (is_plain && matches!(url.scheme(), "http" | "https") && url.query().is_none()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_is_compared_after_normalization_and_an_unknown_one_is_refused() {
        let of = |list: &[&str]| Resources::Listed(list.iter().map(ToString::to_string).collect());
        let (bare, path) = ("https://gw.example", "https://gw.example/mcp");
        for (resources, requested, expected) in [
            (of(&[bare]), &["https://gw.example"][..], Some(bare)),
            (of(&[bare]), &["https://gw.example/"], Some(bare)),
            (of(&[bare]), &["HTTPS://GW.example:443"], Some(bare)),
            (of(&[path]), &["https://gw.example/mcp"], Some(path)),
            (of(&[path]), &[], Some(path)),
            (of(&[path]), &[path, path], Some(path)),
            (of(&[path]), &["https://gw.example/mcp/"], None),
            (of(&[path]), &["https://gw.example/MCP"], None),
            (of(&[path]), &["https://gw.example/mcp#x"], None),
            (of(&[path]), &["https://gw.example/mcp?x"], None),
            (of(&[path]), &["https://user@gw.example/mcp"], None),
            (of(&[path]), &["https://evil.example/mcp"], None),
            (of(&[path]), &["mcp"], None),
            (of(&[path, bare]), &[path, bare], None),
            (Resources::Loopback("http://127.0.0.1:8080/mcp".to_owned()), &[], Some("http://127.0.0.1:8080/mcp")),
            (Resources::Loopback(String::new()), &["http://localhost:1/a"], Some("http://localhost:1/a")),
            (Resources::Loopback(String::new()), &["https://[::1]:1/a"], Some("https://[::1]:1/a")),
            (Resources::Loopback(String::new()), &["https://gw.example/mcp"], None),
        ] {
            let audience = resources.audience(requested.iter().copied());
            assert_eq!(audience.as_deref().ok(), expected, "{resources:?} {requested:?}");
            assert!(audience.is_ok() || audience.is_err_and(|error| error.code == ErrorCode::InvalidTarget));
        }
    }
}
