//! The session of a person: what it contains, and how it is checked.

use super::limits::{CLAIMS, TOKENS};
use super::own_page::{is_navigation, may_use_cookie};
use super::stored::{Stored, row};
use super::{Provider, SignIn};
use crate::auth::seen::Seen;
use crate::auth::sessions::{Session, Sessions};
use crate::authorization_server::seals::{Purpose, random};
use crate::budget::Budget;
use crate::clock::now;
use crate::provider::{Identity, Tokens};
use crate::store::{RowKey, Unavailable};
use crate::why;
use attache_core::auth::{Denied, Verified, Voucher};
use attache_core::http::Refusal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::sync::Arc;

/// The header in which programs send a session that they have got for a token. It has the name that the function platform uses.
pub(super) const HEADER: &str = "x-zumo-auth";

/// A session, as its cookie contains it. These are the claims that the server and its handlers see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SignedIn {
    /// The name of the provider.
    pub(super) idp: String,
    /// The id of the session, which is new at each sign-in.
    pub(super) sid: String,
    /// When the person has signed in.
    pub(super) auth_time: u64,
    /// When this cookie was made.
    pub(super) iat: u64,
    pub(super) exp: u64,
    /// The claims about the person.
    #[serde(flatten)]
    pub(super) person: Map<String, Value>,
}

/// Why a person cannot be signed in, although the provider has confirmed who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotSignedIn {
    /// The rule that the person does not satisfy.
    NotAllowed(&'static str),
    TooLarge,
    StoreUnavailable,
}

/// Claims of ID tokens that say nothing about the person, or that only this server may set.
const DROPPED: [&str; 24] = [
    "acr",
    "aio",
    "amr",
    "appid",
    "at_hash",
    "auth_time",
    "c_hash",
    "cid",
    "client_id",
    "cnf",
    "idp",
    "idtyp",
    "jti",
    "nbf",
    "nonce",
    "rh",
    "s_hash",
    "scope",
    "scp",
    "sid",
    "typ",
    "uti",
    "ver",
    "xms_st",
];

impl SignedIn {
    /// Begins the session of a person.
    pub(super) fn begin(sign_in: &SignIn, provider: &Provider, identity: Identity, now: u64) -> Self {
        let Identity { issuer, subject, name, claims } = identity;
        let mut person: Map<String, Value> =
            claims.into_iter().filter(|(name, _)| !DROPPED.contains(&name.as_str())).collect();
        for (name, value) in [("iss", issuer.as_str()), ("sub", &subject)] {
            person.insert(name.to_owned(), value.into());
        }
        for name in ["aud", "azp"] {
            person.insert(name.to_owned(), provider.upstream.client_id().into());
        }
        if let Some(name) = name {
            person.insert("name".to_owned(), crate::authorization_server::pages::shown(&name).into());
        }
        if !sign_in.scopes.is_empty() {
            person.insert("scope".to_owned(), sign_in.scopes.join(" ").into());
        }
        let sid = URL_SAFE_NO_PAD.encode(random::<16>());
        Self { idp: provider.name.clone(), sid, auth_time: now, iat: now, exp: sign_in.end_of(now, now), person }
    }

    /// The key of the row with the tokens of the person.
    pub(super) fn key(&self) -> RowKey {
        let mut key = RowKey::default();
        // The id was made by this server, so it has the right length.
        let _ = URL_SAFE_NO_PAD.decode_slice(&self.sid, &mut key);
        key
    }

    /// The name for people; the subject if there is none.
    pub(super) fn shown(&self) -> &str {
        let text = |name: &str| self.person.get(name).and_then(Value::as_str);
        text("name").or_else(|| text("sub")).unwrap_or_default()
    }

    /// The same session from now on.
    pub(super) fn renewed(self, sign_in: &SignIn, now: u64) -> Self {
        Self { iat: now, exp: sign_in.end_of(self.auth_time, now), ..self }
    }
}

impl SignIn {
    /// When a cookie expires that is made now, in a session that has begun at `auth_time`.
    fn end_of(&self, auth_time: u64, now: u64) -> u64 {
        (now + self.life.as_secs()).min(auth_time + self.most.as_secs())
    }

    /// Seals a session. `None` if its claims are too large.
    pub(super) fn seal(&self, session: &SignedIn) -> Option<String> {
        let bytes = serde_json::to_vec(session).ok().filter(|bytes| bytes.len() <= CLAIMS)?;
        Some(self.seals.seal(Purpose::Session, session.exp, &bytes))
    }

    /// Checks whether the person may sign in, stores the tokens if there is a store, and returns the sealed session.
    pub(super) async fn start(
        &self,
        provider: &Provider,
        session: &SignedIn,
        tokens: Tokens,
    ) -> Result<String, NotSignedIn> {
        provider.people.check(&session.person).map_err(NotSignedIn::NotAllowed)?;
        let sealed = self.seal(session).ok_or(NotSignedIn::TooLarge)?;
        if let Some(rows) = &self.rows {
            let stored = Stored { tokens, refreshed: None };
            let value = stored.to_bytes().filter(|bytes| bytes.len() <= TOKENS).ok_or(NotSignedIn::TooLarge)?;
            let until = session.auth_time + self.most.as_secs();
            let put = row::put(rows, session.key(), value, until, session.iat).await;
            put.map_err(|Unavailable| NotSignedIn::StoreUnavailable)?;
        }
        tracing::info!(provider = provider.name, person = session.shown(), "signed in");
        Ok(sealed)
    }

    /// The sealed session of a request: that of its cookie, if the cookie may count, or that of the header.
    pub(super) fn sealed<'h>(&self, head: &'h Parts) -> Option<Cow<'h, str>> {
        let mut headers = head.headers.get_all(HEADER).iter();
        if let Some(first) = headers.next() {
            return first.to_str().ok().filter(|_| headers.next().is_none()).map(Cow::Borrowed);
        }
        let value = self.cookie().value(&head.headers)?;
        if !may_use_cookie(&head.method, &head.headers, &self.origin) {
            why::note(&"the session cookie does not count: a page of another website has sent the request");
            return None;
        }
        Some(value)
    }

    /// Opens a sealed session that has not expired.
    pub(super) fn open(&self, sealed: &str, now: u64) -> Option<SignedIn> {
        let (_, bytes) = self.seals.open(Purpose::Session, now, sealed)?;
        serde_json::from_slice(&bytes).ok()
    }

    /// The session of a request, checked.
    pub(super) async fn session(&self, head: &Parts) -> Result<Option<SignedIn>, Refusal> {
        let Some(sealed) = self.sealed(head) else { return Ok(None) };
        match self.check(&sealed).await {
            Ok(_) => Ok(self.open(&sealed, now())),
            Err(Refusal::NoToken) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// The session of the cookie, whether the cookie counts or not: for a sign-out, and for the end of an old session.
    pub(super) fn session_of_cookie(&self, headers: &HeaderMap) -> Option<SignedIn> {
        self.open(&self.cookie().value(headers)?, now())
    }

    /// Checks a sealed session, and remembers it.
    async fn check(&self, sealed: &str) -> Result<Arc<Seen>, Refusal> {
        let now = now();
        let refused = |why: &str, refusal| {
            why::note(&why);
            Err(refusal)
        };
        let Some((_, bytes)) = self.seals.open(Purpose::Session, now, sealed) else {
            return refused("the session has expired, or was sealed with another key", Refusal::NoToken);
        };
        let Ok(session) = serde_json::from_slice::<SignedIn>(&bytes) else {
            return refused("the session cannot be read", Refusal::NoToken);
        };
        // The configuration may have changed since the person has signed in.
        let Some(provider) = self.provider(&session.idp) else {
            return refused("the provider of the session is not configured any more", Refusal::NoToken);
        };
        if let Err(rule) = provider.people.check(&session.person) {
            return refused(rule, Refusal::Forbidden);
        }
        if let Some(rows) = &self.rows {
            match row::get(rows, session.key(), now).await {
                Ok(Some(_)) => {}
                Ok(None) => return refused("the person has signed out", Refusal::NoToken),
                Err(Unavailable) => return refused("the store cannot be read", Refusal::Undecided),
            }
        }
        let verified = Verified::vouched(&Voucher::Application, bytes).map_err(|denied: Denied<'_>| {
            why::note(&denied);
            Refusal::NoToken
        })?;
        let seen = Seen::new(sealed.as_bytes(), verified, 0, Some(session.sid.into()));
        self.cache.put(&seen, now);
        Ok(seen)
    }

    /// Ends a session: its tokens are removed, and this process remembers it no more.
    pub(super) async fn end(&self, session: &SignedIn) -> Result<(), Unavailable> {
        if let Some(rows) = &self.rows {
            row::remove(rows, session.key(), now()).await?;
        }
        self.cache.forget_session(&session.sid);
        Ok(())
    }
}

impl Sessions for SignIn {
    fn find<'s>(&'s self, head: &'s Parts) -> Session<'s> {
        let Some(sealed) = self.sealed(head) else { return Session::None };
        match self.cache.get(sealed.as_bytes()) {
            Some(seen) if seen.verified().expires() > now() => Session::Known(seen),
            Some(_) => {
                self.cache.forget(sealed.as_bytes());
                Session::None
            }
            None => Session::Unknown(Box::pin(async move { self.check(&sealed).await })),
        }
    }

    fn sign_in_url(&self, head: &Parts) -> Option<String> {
        is_navigation(head).then(|| {
            let asked = head.uri.path_and_query().map_or("/", |path| path.as_str());
            let query =
                form_urlencoded::Serializer::new(String::new()).append_pair("post_login_redirect_uri", asked).finish();
            let provider = self.redirect_to.as_deref().or(match self.providers.as_slice() {
                [only] => Some(only.name.as_str()),
                _ => None,
            });
            match provider {
                Some(provider) => format!("/.auth/login/{provider}?{query}"),
                None => format!("/.auth/login?{query}"),
            }
        })
    }

    fn draw_from(&self, budget: &Budget) {
        self.cache.draw_from(budget);
    }
}
