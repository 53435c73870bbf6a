//! The scopes that clients request and get.

use super::error::{ErrorCode, OAuthError};
use super::limits;
use std::collections::{BTreeSet, HashMap};

/// The scopes that the server grants.
#[derive(Clone, Debug, Default)]
pub(super) struct Scopes {
    /// The known scopes. A client that requests none gets all of them. If there are none, every scope is granted.
    pub(super) known: Vec<String>,
    /// The known scopes of some resources, which replace the list above: a token for one resource has no scopes of another one.
    pub(super) of: HashMap<String, Vec<String>>,
}

/// Scopes that ask for an ID token or a refresh token, which do not depend on them here.
const OF_OPENID: [&str; 6] = ["openid", "profile", "email", "address", "phone", "offline_access"];

impl Scopes {
    /// Returns the scopes of all resources, each once.
    pub(super) fn all(&self) -> Vec<String> {
        let mut all = self.known.clone();
        let others: BTreeSet<_> = self.of.values().flatten().filter(|scope| !self.known.contains(scope)).collect();
        all.extend(others.into_iter().cloned());
        all
    }

    /// Returns the scopes that a client may get for this value of `scope`. Unknown scopes are dropped: RFC 6749 §3.3 allows that,
    /// and clients request those of other servers.
    pub(super) fn requested(&self, resource: &str, scope: Option<&str>) -> Result<Vec<String>, OAuthError> {
        let known = self.of.get(resource).unwrap_or(&self.known);
        let Some(scope) = scope else { return Ok(known.clone()) };
        let mut granted = Vec::new();
        for one in words(scope)? {
            let is_known = known.is_empty() || known.iter().any(|known| known == one);
            if is_known && !OF_OPENID.contains(&one) && !granted.iter().any(|other| other == one) {
                granted.push(one.to_owned());
            }
        }
        Ok(granted)
    }
}

/// Returns the scopes for a refresh with this value of `scope`: those of the grant, or fewer.
// RFC 6749 §6: the scope MUST NOT include any scope that was not granted; if omitted, it is that of the grant.
pub(super) fn narrowed(granted: &[String], scope: Option<&str>) -> Result<Vec<String>, OAuthError> {
    let Some(scope) = scope else { return Ok(granted.to_vec()) };
    let mut narrowed = Vec::new();
    for one in words(scope)?.filter(|one| !OF_OPENID.contains(one)) {
        if !granted.iter().any(|own| own == one) {
            return Err(OAuthError::new(
                ErrorCode::InvalidScope,
                "the sign-in did not grant this scope: authorize again",
            ));
        }
        narrowed.push(one.to_owned());
    }
    // A client that names nothing but scopes of OpenID Connect does not give up the others.
    Ok(if narrowed.is_empty() { granted.to_vec() } else { narrowed })
}

// RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ), separated by spaces.
fn words(scope: &str) -> Result<impl Iterator<Item = &str>, OAuthError> {
    let is_good = scope.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic() && !b"\"\\".contains(&byte));
    match is_good && scope.len() <= limits::SCOPE {
        true => Ok(scope.split(' ').filter(|word| !word.is_empty())),
        false => Err(OAuthError::new(
            ErrorCode::InvalidScope,
            "the scope is too long, or has other characters than RFC 6749 allows",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(scopes: &str) -> Vec<String> {
        scopes.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn unknown_scopes_and_those_of_openid_are_dropped_and_none_means_all_known() {
        for (known, requested, granted) in [
            ("a b", None, "a b"),
            ("a b", Some("b"), "b"),
            ("a b", Some("b x openid offline_access b"), "b"),
            ("a b", Some("openid profile"), ""),
            ("", Some("x y email"), "x y"),
            ("", None, ""),
        ] {
            let scopes = Scopes { known: list(known), ..Scopes::default() };
            assert_eq!(scopes.requested("r", requested), Ok(list(granted)), "{known:?} {requested:?}");
        }
        let scopes = Scopes::default();
        for bad in ["a\tb", "a\"b", "ä", &"a".repeat(limits::SCOPE + 1)] {
            assert_eq!(
                scopes.requested("r", Some(bad)).map_err(|error| error.code),
                Err(ErrorCode::InvalidScope),
                "{bad}"
            );
        }
    }

    #[test]
    fn resource_has_scopes_of_its_own() {
        let of = [("one", "a b"), ("two", "b c")].map(|(resource, scopes)| (resource.to_owned(), list(scopes)));
        let scopes = Scopes { known: Vec::new(), of: of.into() };
        assert_eq!(scopes.requested("one", None), Ok(list("a b")));
        assert_eq!(scopes.requested("two", Some("a b c")), Ok(list("b c")));
        assert_eq!(scopes.all(), list("a b c"));
    }

    #[test]
    fn refresh_may_narrow_the_scopes_but_not_widen_them() {
        for (requested, expected) in [
            (None, Ok("a b")),
            (Some("a"), Ok("a")),
            (Some("a offline_access"), Ok("a")),
            (Some("openid"), Ok("a b")),
            (Some("a c"), Err(ErrorCode::InvalidScope)),
        ] {
            let narrowed = narrowed(&list("a b"), requested).map_err(|error| error.code);
            assert_eq!(narrowed, expected.map(list), "{requested:?}");
        }
    }
}
