//! Authentication of HTTP requests, and challenges for refused callers.

use super::answer::{Answered, not_found, refuse_at_door, response, short_of_memory};
use super::service::facts_of;
use crate::auth::{Evidence, Unauthenticated};
use crate::budget::{Overdrawn, Part, Permit};
use crate::engine::Engine;
use crate::observe::Watch;
use crate::sink::Growing;
use attache_core::auth::Authenticated;
use attache_core::http::{Door, Refusal, Resource, Unverified, challenge, gate_credentials, guest};
use bytes::Bytes;
use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use http::request::Parts;
use http::{HeaderValue, Response};
use std::sync::Arc;

/// An authenticated caller, borrowed for one request.
pub(super) enum Guest<'h> {
    /// The endpoint requires no credentials.
    Anybody(Authenticated<'h>),
    /// The caller's credentials, and the evidence that they are valid. Without credentials, a
    /// platform in front of the server has authenticated the caller.
    Known(Option<Unverified<'h>>, Evidence),
}

impl<'h> Guest<'h> {
    /// Checks the credentials that the gate requires. `head` is the head of the request.
    ///
    /// # Errors
    /// Why the caller is refused.
    pub(super) async fn at(door: Door<'h>, head: &Parts, engine: &Engine, permit: &mut Permit) -> Result<Self, Out> {
        let vouched = || engine.auth().vouched_for(&head.headers);
        match door {
            Door::NeedKey(_) | Door::Out(Refusal::NoToken) if let Some(vouched) = vouched() => {
                Ok(Self::Known(None, vouched?))
            }
            // MCP basic/authorization: access tokens MUST NOT be in the query. RFC 6750 §3.1:
            // invalid_request.
            ref door if has_token(head.uri.query()) && asks_for_something(door, engine) => {
                Err(Refusal::Credentials.into())
            }
            Door::In(who) => Ok(Self::Anybody(who)),
            Door::Out(refusal) => Err(refusal.into()),
            Door::NeedKey(came) => match waited(engine.auth().check(came), permit).await? {
                Ok(evidence) => Ok(Self::Known(Some(came), evidence)),
                Err(refusal) => Ok(guest(engine.auth().gate(), refusal).map(Self::Anybody).ok_or(refusal)?),
            },
        }
    }

    pub(super) fn who(&self, engine: &Engine) -> Result<Authenticated<'_>, Refusal> {
        match self {
            Self::Anybody(who) => Ok(*who),
            Self::Known(came, evidence) => engine.auth().caller(evidence, came.as_ref()),
        }
    }
}

/// Why a request is not admitted.
pub(super) enum Out {
    /// The caller is refused.
    Refused(Refusal),
    /// The request would have to wait for an issuer, and too many requests wait already.
    Short(Overdrawn),
}

impl From<Refusal> for Out {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Waits for a check. While the check waits for an issuer, the memory of the request is charged to
/// the waiting requests.
async fn waited<T>(check: impl Future<Output = T>, permit: &mut Permit) -> Result<T, Overdrawn> {
    let mut check = pin!(check);
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

impl From<Overdrawn> for Out {
    fn from(short: Overdrawn) -> Self {
        Self::Short(short)
    }
}

/// The answer to a request that is not admitted.
pub(super) fn kept_out(engine: &Arc<Engine>, out: Out, head: &Parts, watch: Watch) -> Response<Answered> {
    match out {
        Out::Refused(refusal) => turn_away(engine, refusal, head, watch),
        Out::Short(short) => short_of_memory(engine, short, watch),
    }
}

/// Whether the endpoint requires credentials, or requires a token for some of its tools.
fn asks_for_something(door: &Door<'_>, engine: &Engine) -> bool {
    matches!(door, Door::NeedKey(_)) || engine.auth().resource().is_some()
}

fn has_token(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|pair| pair.split('=').next() == Some("access_token")))
}

/// Whether a caller of a hidden endpoint has shown valid credentials, and so may learn that the endpoint exists.
pub(super) async fn is_known(engine: &Engine, head: &Parts, permit: &mut Permit) -> bool {
    let facts = facts_of(engine, head);
    let door = gate_credentials(&facts, engine.auth().gate());
    let refusal = match Guest::at(door, head, engine, permit).await {
        Ok(guest) => guest.who(engine).err(),
        Err(Out::Refused(refusal)) => Some(refusal),
        Err(Out::Short(_)) => return false,
    };
    // A caller with a valid token, or a key for another endpoint, is authenticated but not
    // authorized.
    matches!(refusal, None | Some(Refusal::Forbidden))
}

/// Whether a caller of a hidden endpoint has shown a key, or a token that is remembered: no signature is verified for the answer.
pub(super) fn is_remembered(engine: &Engine, head: &Parts) -> bool {
    let facts = facts_of(engine, head);
    let door = gate_credentials(&facts, engine.auth().gate());
    matches!(&door, Door::NeedKey(came) if engine.auth().recognizes(came))
}

/// The answer to a request that is refused at the door, with what its client needs to do better.
pub(super) fn turn_away(engine: &Arc<Engine>, refusal: Refusal, head: &Parts, watch: Watch) -> Response<Answered> {
    let told = engine.auth().told(refusal);
    let mut response = refuse_at_door(engine, refusal, watch);
    match told {
        Unauthenticated::Challenge => demand(engine, refusal, head, engine.auth().scopes(), &mut response),
        // Does not say why.
        Unauthenticated::Forbidden => response = self::response(Refusal::Forbidden.status(), Bytes::new()),
        Unauthenticated::NotFound => response = not_found(head.version),
    }
    response
}

/// Adds the challenge with the required credentials (RFC 9110 §11.6.1: a 401 MUST have one; RFC
/// 6750 §3.1: a 403 for a missing scope).
pub(super) fn demand<'s>(
    engine: &Engine,
    refusal: Refusal,
    head: &Parts,
    scopes: impl Iterator<Item = &'s str>,
    response: &mut Response<Answered>,
) {
    let url = engine.auth().url(head);
    let resource = url.as_deref().and_then(Resource::new);
    let mut text = Growing::unlimited();
    // The sink has no limit, so writing cannot fail.
    let _ = challenge(refusal, resource.as_ref(), scopes, &mut text);
    if !text.bytes.is_empty()
        && let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(text.bytes))
    {
        response.headers_mut().insert(http::header::WWW_AUTHENTICATE, value);
    }
}
