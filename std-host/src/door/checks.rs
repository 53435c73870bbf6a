//! The checks of one server or route, and what a caller without valid credentials is told.

use super::head::{HeadLimits, HeadRefusal, facts, is_relayed, peer};
use super::rates::Rates;
#[cfg(feature = "tokens")]
use crate::auth::sessions::Session;
use crate::auth::{Auth, Evidence};
use crate::budget::{Overdrawn, Part, Permit};
use crate::limits::Limits;
use crate::sink::Growing;
use attache_core::auth::Authenticated;
#[cfg(feature = "tokens")]
use attache_core::auth::Gate;
use attache_core::http::{
    Door as Decision, HeadFacts, LOOPBACK, Policy, Refusal, Resource, Unverified, challenge, gate_credentials, guest,
};
use bytes::Bytes;
use core::future::poll_fn;
use core::net::IpAddr;
use core::ops::DerefMut;
use core::pin::{Pin, pin};
use core::task::Poll;
use core::time::Duration;
use http::HeaderValue;
use http::request::Parts;
use std::sync::Arc;

/// The checks of one server or route.
#[derive(Clone, Debug)]
pub(crate) struct Checks {
    pub(crate) hosts: Vec<String>,
    pub(crate) origins: Vec<String>,
    auth: Arc<Auth>,
    rates: Arc<Rates>,
    limits: HeadLimits,
}

/// A caller that was admitted, for as long as its request is served.
pub(crate) enum Guest<'h> {
    /// The policy asks this caller for no credentials.
    Anonymous(Authenticated<'h>),
    /// The caller's credentials are valid, as this evidence shows.
    Proven(Evidence<'h>),
}

impl Guest<'_> {
    /// The caller.
    ///
    /// # Errors
    /// If the key that the caller has shown is not valid.
    pub(crate) fn who(&self) -> Result<Authenticated<'_>, Refusal> {
        match self {
            Self::Anonymous(who) => Ok(*who),
            Self::Proven(evidence) => evidence.caller(),
        }
    }
}

/// Why a caller is not admitted.
pub(crate) enum Out {
    /// The policy refuses the request.
    Refused(Refusal),
    /// The request would have to wait for an issuer, and too many requests wait already.
    Short(Overdrawn),
}

impl From<Refusal> for Out {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Overdrawn> for Out {
    fn from(short: Overdrawn) -> Self {
        Self::Short(short)
    }
}

impl Checks {
    /// The checks of a server that is called by the names of its own machine alone.
    pub(crate) fn new(auth: Auth, limits: &Limits) -> Self {
        Self {
            hosts: LOOPBACK.iter().map(ToString::to_string).collect(),
            origins: Vec::new(),
            auth: Arc::new(auth),
            rates: Arc::new(Rates::new(limits)),
            limits: HeadLimits::new(limits),
        }
    }

    pub(crate) fn limit(&mut self, limits: &Limits) {
        self.rates = Arc::new(Rates::new(limits));
        self.limits = HeadLimits::new(limits);
    }

    pub(crate) fn protect(&mut self, auth: Auth) {
        self.auth = Arc::new(auth);
    }

    /// The credentials that callers have to show.
    pub(crate) const fn auth(&self) -> &Arc<Auth> {
        &self.auth
    }

    pub(crate) fn policy(&self) -> Policy<'_, String> {
        Policy { hosts: &self.hosts, origins: &self.origins, access: self.auth.gate() }
    }

    /// The facts of the head, with the keys in the query where those count.
    pub(crate) fn facts<'h>(&self, head: &'h Parts) -> HeadFacts<'h> {
        let mut facts = facts(head);
        // A second key, in the query or in the header, makes the credentials malformed.
        for key in self.auth.keys_of(head.uri.query()) {
            facts.note(b"x-functions-key", key.as_bytes());
        }
        facts
    }

    /// Checks a head of so many bytes before its meaning is looked at, and counts the request of its caller.
    pub(crate) fn refused(&self, head: &Parts, size: usize) -> Option<HeadRefusal> {
        if let Some(refusal) = self.limits.refusal(head, size) {
            return Some((refusal, None));
        }
        if is_relayed(head) {
            return None;
        }
        let wait = self.count(peer(head)).err()?;
        Some((Refusal::Rate, Some(wait)))
    }

    /// Counts a request from an address.
    ///
    /// # Errors
    /// Returns the time to wait if there were too many.
    pub(crate) fn count(&self, address: Option<IpAddr>) -> Result<(), Duration> {
        self.rates.count(address)
    }

    /// Counts a request of a caller that has shown a key or a token.
    ///
    /// # Errors
    /// Returns the time to wait if there were too many.
    pub(crate) fn count_identity(&self, who: &Authenticated<'_>) -> Result<(), Duration> {
        self.rates.count_identity(who)
    }

    /// Does what the `decision` on the head asks for. `permit` is for the memory of the request.
    ///
    /// # Errors
    /// Why the caller is not admitted.
    pub(crate) async fn admit<'h>(
        &self,
        decision: Decision<'h>,
        head: &'h Parts,
        permit: &mut Permit,
    ) -> Result<Guest<'h>, Out> {
        match decision {
            // MCP basic/authorization: access tokens MUST NOT be in the query; RFC 6750 §3.1: invalid_request.
            ref decision if has_token(head.uri.query()) && self.asks_for_token(decision) => {
                Err(Refusal::Credentials.into())
            }
            #[cfg(feature = "tokens")]
            Decision::In(_) | Decision::Out(Refusal::NoToken) if self.auth.has_sessions() => {
                Box::pin(self.signed_in(decision, head, permit)).await
            }
            Decision::In(who) => Ok(Guest::Anonymous(who)),
            Decision::Out(refusal) => Err(refusal.into()),
            Decision::NeedKey(came) => match waited(pin!(self.auth.check(came, head)), permit).await? {
                Ok(evidence) => Ok(Guest::Proven(evidence)),
                Err(refusal) => Ok(guest(self.auth.gate(), refusal).map(Guest::Anonymous).ok_or(refusal)?),
            },
        }
    }

    /// Admits a caller without a token by the session of its browser. Without a session, `decision` applies.
    #[cfg(feature = "tokens")]
    async fn signed_in<'h>(
        &self,
        decision: Decision<'h>,
        head: &'h Parts,
        permit: &mut Permit,
    ) -> Result<Guest<'h>, Out> {
        let found = match self.auth.session(head) {
            None | Some(Session::None) => None,
            Some(Session::Known(seen)) => Some(Ok(seen)),
            Some(Session::Unknown(check)) => Some(waited(check, permit).await?),
        };
        match (found, decision) {
            (Some(Ok(seen)), _) => {
                self.check_key(head).await?;
                Ok(Guest::Proven(Evidence::Token(seen)))
            }
            (Some(Err(refusal @ (Refusal::Forbidden | Refusal::Undecided))), _) => Err(refusal.into()),
            (_, Decision::In(who)) => Ok(Guest::Anonymous(who)),
            (_, Decision::Out(refusal)) => Err(refusal.into()),
            (_, Decision::NeedKey(_)) => Err(Refusal::NoToken.into()),
        }
    }

    /// Checks the key that the endpoint requires in addition to a session.
    #[cfg(feature = "tokens")]
    async fn check_key(&self, head: &Parts) -> Result<(), Refusal> {
        if self.auth.gate() != Gate::Both {
            return Ok(());
        }
        match gate_credentials(&self.facts(head), Gate::Key) {
            Decision::NeedKey(key) => self.auth.check(key, head).await?.caller().map(|_| ()),
            Decision::In(_) => Ok(()),
            Decision::Out(refusal) => Err(refusal),
        }
    }

    /// Whether a token in the query is a mistake of the caller: it has to show credentials, or would be asked for a token.
    fn asks_for_token(&self, decision: &Decision<'_>) -> bool {
        match decision {
            Decision::NeedKey(Unverified::Platform) => false,
            Decision::NeedKey(_) => true,
            Decision::In(_) | Decision::Out(_) => self.auth.resource().is_some(),
        }
    }

    /// Whether a caller of a hidden endpoint has shown a key, or a token that is remembered: no signature is verified for the answer.
    pub(crate) fn is_remembered(&self, head: &Parts) -> bool {
        let facts = self.facts(head);
        let decision = gate_credentials(&facts, self.auth.gate());
        matches!(&decision, Decision::NeedKey(came) if self.auth.recognizes(came))
    }

    /// Whether a caller of a hidden endpoint has shown valid credentials, and so may learn that the endpoint exists.
    pub(crate) async fn is_known(&self, head: &Parts, permit: &mut Permit) -> bool {
        let facts = self.facts(head);
        let decision = gate_credentials(&facts, self.auth.gate());
        let refusal = match self.admit(decision, head, permit).await {
            Ok(guest) => guest.who().err(),
            Err(Out::Refused(refusal)) => Some(refusal),
            Err(Out::Short(_)) => return false,
        };
        // The holder of a valid token that may not call, or of a key for something else, is known too.
        matches!(refusal, None | Some(Refusal::Forbidden))
    }

    /// The value of `WWW-Authenticate` that says which credentials would do (RFC 9110 §11.6.1: a 401 MUST have one; RFC 6750 §3.1: a
    /// 403 for a scope). `None` if the refusal has nothing to do with credentials.
    pub(crate) fn challenge<'s>(
        &self,
        refusal: Refusal,
        head: &Parts,
        scopes: impl Iterator<Item = &'s str>,
    ) -> Option<HeaderValue> {
        let url = self.auth.url(head);
        let resource = url.as_deref().and_then(Resource::new);
        let mut text = Growing::unlimited();
        // Writing into a buffer without a limit does not fail.
        let _ = challenge(refusal, resource.as_ref(), scopes, &mut text);
        let text = Some(text.bytes).filter(|text| !text.is_empty())?;
        HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
    }
}

/// The result of a check. While the check waits for an issuer, the memory of its request counts to the part of requests that wait.
async fn waited<T, P>(mut check: Pin<P>, permit: &mut Permit) -> Result<T, Overdrawn>
where
    P: DerefMut,
    P::Target: Future<Output = T>,
{
    match poll_fn(|context| Poll::Ready(check.as_mut().poll(context))).await {
        Poll::Ready(checked) => Ok(checked),
        Poll::Pending => {
            permit.join(Part::Waiting)?;
            let checked = check.await;
            permit.leave();
            Ok(checked)
        }
    }
}

fn has_token(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|pair| pair.split('=').next() == Some("access_token")))
}
