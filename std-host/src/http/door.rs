//! Who is let in, and how those who are not learn what is missing.

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

/// Somebody who was let in, as long as his request is served.
pub(super) enum Guest<'h> {
    /// Nothing was asked.
    Anybody(Authenticated<'h>),
    /// What he has shown is good, as this says; nothing, where somebody else vouches for him.
    Known(Option<Unverified<'h>>, Evidence),
}

impl<'h> Guest<'h> {
    /// Does what the door asks for. `head` is that of the request.
    ///
    /// # Errors
    /// Why the caller is not let in.
    pub(super) async fn at(door: Door<'h>, head: &Parts, engine: &Engine, permit: &mut Permit) -> Result<Self, Out> {
        let vouched = || engine.auth().vouched_for(&head.headers);
        match door {
            Door::NeedKey(_) | Door::Out(Refusal::NoToken) if let Some(vouched) = vouched() => {
                Ok(Self::Known(None, vouched?))
            }
            // MCP basic/authorization: access tokens MUST NOT be in the query; RFC 6750 §3.1: invalid_request.
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

/// Why a request does not get past the door.
pub(super) enum Out {
    /// Its caller is not let in.
    Refused(Refusal),
    /// It would have to wait for an issuer, and too many wait already.
    Short(Overdrawn),
}

impl From<Refusal> for Out {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What comes of a check. While it waits for an issuer, the memory of its request counts to those that wait.
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

/// The answer to a request that does not get past the door.
pub(super) fn kept_out(engine: &Arc<Engine>, out: Out, head: &Parts, watch: Watch) -> Response<Answered> {
    match out {
        Out::Refused(refusal) => turn_away(engine, refusal, head, watch),
        Out::Short(short) => short_of_memory(engine, short, watch),
    }
}

/// Whether a caller has to show anything, or would be asked to for what needs a token.
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
    // The holder of a valid token, or of a key for something else, has shown who they are, and may not call.
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
        // Nothing of why.
        Unauthenticated::Forbidden => response = self::response(Refusal::Forbidden.status(), Bytes::new()),
        Unauthenticated::NotFound => response = not_found(head.version),
    }
    response
}

/// Says which credentials would do (RFC 9110 §11.6.1: a 401 MUST; RFC 6750 §3.1: a 403 for a scope).
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
    // It grows as long as it has to.
    let _ = challenge(refusal, resource.as_ref(), scopes, &mut text);
    if !text.bytes.is_empty()
        && let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(text.bytes))
    {
        response.headers_mut().insert(http::header::WWW_AUTHENTICATE, value);
    }
}
