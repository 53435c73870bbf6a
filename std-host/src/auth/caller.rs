//! Who calls, for handlers.

use attache_core::auth::Authenticated;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

/// Who calls: [`Ctx::caller`](crate::Ctx::caller). The token itself is not in it, so that no handler passes it on.
#[derive(Clone, Debug, Default)]
pub struct Caller(Who);

#[derive(Clone, Debug, Default)]
enum Who {
    #[default]
    Anonymous,
    /// The name of the key.
    Key(Arc<str>),
    /// The claims of the token, as JSON.
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

    /// Whether the server does not know who calls.
    pub const fn is_anonymous(&self) -> bool {
        matches!(self.0, Who::Anonymous)
    }

    /// The name of the key that the caller has shown; `None` if it came with a token, or with nothing.
    pub fn key_name(&self) -> Option<&str> {
        match &self.0 {
            Who::Key(name) => Some(name),
            _ => None,
        }
    }

    /// The claims of the caller's token, all of which were made by an issuer that the server believes, read into a type; `None` if
    /// the caller came without a token, or they do not fit the type.
    pub fn claims<T: DeserializeOwned>(&self) -> Option<T> {
        match &self.0 {
            Who::Token(claims) => serde_json::from_slice(claims).ok(),
            _ => None,
        }
    }

    /// One claim of the caller's token.
    pub fn claim(&self, name: &str) -> Option<Value> {
        self.claims::<Value>()?.get_mut(name).map(Value::take)
    }

    /// The claim `sub`: the caller, by a name that the issuer gives to nobody else.
    pub fn subject(&self) -> Option<String> {
        Some(self.claim("sub")?.as_str()?.to_owned())
    }
}
