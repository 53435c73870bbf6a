//! The authenticated caller, as handlers see it.

use attache_core::auth::Authenticated;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

/// The caller of a handler, from [`Ctx::caller`](crate::Ctx::caller). It does not contain the
/// token, so that no handler can forward the token.
#[derive(Clone, Debug, Default)]
pub struct Caller(Who);

#[derive(Clone, Debug, Default)]
enum Who {
    #[default]
    Anonymous,
    /// The caller has shown the key of this name.
    Key(Arc<str>),
    /// The caller has shown a token with these claims, as JSON.
    Token(Arc<[u8]>),
}

impl Caller {
    pub(crate) fn of(who: &Authenticated<'_>) -> Self {
        Self(match (who.claims(), who.key_name()) {
            (Some(claims), _) => Who::Token(claims.json().into()),
            (None, Some(name)) => Who::Key(name.into()),
            (None, None) => Who::Anonymous,
        })
    }

    /// Whether the caller is unknown to the server.
    pub const fn is_anonymous(&self) -> bool {
        matches!(self.0, Who::Anonymous)
    }

    /// Returns the name of the key that the caller has shown, or `None` if the caller has shown a
    /// token or nothing.
    pub fn key_name(&self) -> Option<&str> {
        match &self.0 {
            Who::Key(name) => Some(name),
            _ => None,
        }
    }

    /// Reads the claims of the caller's token into a type. A trusted issuer made all of them.
    /// Returns `None` if the caller has no token, or if the claims do not fit the type.
    pub fn claims<T: DeserializeOwned>(&self) -> Option<T> {
        match &self.0 {
            Who::Token(claims) => serde_json::from_slice(claims).ok(),
            _ => None,
        }
    }

    /// Returns one claim of the caller's token.
    pub fn claim(&self, name: &str) -> Option<Value> {
        self.claims::<Value>()?.get_mut(name).map(Value::take)
    }

    /// Returns the claim `sub`: the identifier of the caller, which its issuer assigns to no other
    /// caller.
    pub fn subject(&self) -> Option<String> {
        Some(self.claim("sub")?.as_str()?.to_owned())
    }
}
