//! The authenticated caller, as handlers see it.

use crate::clock::now;
use attache_core::auth::{Authenticated, Denied, Verified, Voucher};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::sync::Arc;

/// The caller of a handler, from [`Ctx::caller`](crate::Ctx::caller). It does not contain the
/// token, so that no handler can forward the token.
///
/// An application that signs callers in itself creates callers for
/// [`Auth::custom`](crate::auth::Auth::custom), and tests for
/// [`testing::Client::caller`](crate::testing::Client::caller):
///
/// ```
/// use attache_host::auth::Caller;
///
/// let ada = Caller::new("ada").with_scope("notes.read").with_scope("notes.write").with_claim("plan", "pro");
/// assert_eq!(ada.subject().as_deref(), Some("ada"));
/// assert_eq!(ada.claim("scope"), Some("notes.read notes.write".into()));
/// ```
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
    /// Creates a caller with this identifier (`sub`), which no other caller may have: sessions and
    /// the answers to questions are bound to it.
    pub fn new(subject: &str) -> Self {
        Self(Who::Token(Arc::from(&b"{}"[..]))).with_claim("sub", subject)
    }

    /// Creates a caller that the application does not know. It may use everything that requires no
    /// scope or role.
    pub fn guest() -> Self {
        Self::default()
    }

    /// Grants a scope: see [`Tool::scope`](crate::Tool::scope). A guest cannot have scopes.
    #[must_use]
    pub fn with_scope(self, scope: &str) -> Self {
        let scopes = match self.claim("scope") {
            Some(Value::String(others)) => format!("{others} {scope}"),
            _ => scope.to_owned(),
        };
        self.with_claim("scope", scopes)
    }

    /// Grants a role: see [`Tool::role`](crate::Tool::role). A guest cannot have roles.
    #[must_use]
    pub fn with_role(self, role: &str) -> Self {
        let mut roles = match self.claim("roles") {
            Some(Value::Array(roles)) => roles,
            _ => Vec::new(),
        };
        roles.push(role.into());
        self.with_claim("roles", roles)
    }

    /// Sets a claim, which handlers read with [`claim`](Caller::claim). A guest has no claims.
    #[must_use]
    pub fn with_claim(self, name: &str, value: impl Into<Value>) -> Self {
        let Who::Token(claims) = &self.0 else { return self };
        let mut claims: Map<String, Value> = serde_json::from_slice(claims).unwrap_or_default();
        claims.insert(name.to_owned(), value.into());
        Self(Who::Token(Value::from(claims).to_string().into_bytes().into()))
    }

    /// Returns the proof that the application has authenticated this caller; `None` for a guest.
    ///
    /// # Errors
    /// If a claim that the protocol reads, such as `exp`, has the wrong type.
    pub(crate) fn vouched(&self) -> Result<Option<Verified<Vec<u8>>>, Denied<'static>> {
        let Who::Token(claims) = &self.0 else { return Ok(None) };
        let mut claims: Map<String, Value> = serde_json::from_slice(claims).unwrap_or_default();
        let mut unless_set = |name: &str, value: Value| {
            claims.entry(name).or_insert(value);
        };
        unless_set("iss", "application".into());
        unless_set("aud", "".into());
        // The application has just authenticated the caller, and the request is served now.
        unless_set("exp", (now() + 60).into());
        Verified::vouched(&Voucher::Application, Value::from(claims).to_string().into_bytes()).map(Some)
    }

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

    /// Returns a name for the caller that no other caller has. `None` for a guest.
    #[cfg(feature = "client")]
    pub(crate) fn identity(&self) -> Option<String> {
        if let Some(key) = self.key_name() {
            return Some(format!("key {key}"));
        }
        let claims: Value = self.claims()?;
        // RFC 9068 §2.2: issuer, subject and client. A token without them is a caller of its own.
        let parts = [&claims["iss"], &claims["sub"], &claims["client_id"], &claims["azp"]];
        Some(if claims["sub"].is_string() { serde_json::json!(parts).to_string() } else { claims.to_string() })
    }

    /// Returns the claim `sub`: the identifier of the caller, which its issuer assigns to no other
    /// caller.
    pub fn subject(&self) -> Option<String> {
        Some(self.claim("sub")?.as_str()?.to_owned())
    }
}
