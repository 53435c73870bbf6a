//! Who is let in, and how those who are not learn what is missing.

use super::answer::{Answered, refuse_at_door};
use crate::auth::Evidence;
use crate::engine::Engine;
use crate::observe::Watch;
use crate::sink::Growing;
use attache_core::auth::Authenticated;
use attache_core::http::{Door, Refusal, Unverified, challenge};
use http::{HeaderValue, Response};
use std::sync::Arc;

/// Somebody who was let in, as long as his request is served.
pub(super) enum Guest<'h> {
    /// Nothing was asked.
    Anybody(Authenticated<'h>),
    /// What he has shown is good, as this says.
    Known(Unverified<'h>, Evidence),
}

impl<'h> Guest<'h> {
    /// Does what the door asks for. `query` is that of the request.
    pub(super) async fn at(door: Door<'h>, query: Option<&str>, engine: &Engine) -> Result<Self, Refusal> {
        match door {
            // MCP basic/authorization: access tokens MUST NOT be in the query; RFC 6750 §3.1: invalid_request.
            Door::NeedKey(_) | Door::Out(Refusal::NoToken) if has_token(query) => Err(Refusal::Credentials),
            Door::In(who) => Ok(Self::Anybody(who)),
            Door::Out(refusal) => Err(refusal),
            Door::NeedKey(came) => engine.auth().check(came).await.map(|evidence| Self::Known(came, evidence)),
        }
    }

    pub(super) fn who(&self, engine: &Engine) -> Result<Authenticated<'_>, Refusal> {
        match self {
            Self::Anybody(who) => Ok(*who),
            Self::Known(came, evidence) => engine.auth().caller(evidence, came),
        }
    }
}

fn has_token(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|pair| pair.split('=').next() == Some("access_token")))
}

/// The answer to a request that is refused at the door, with what its client needs to do better.
pub(super) fn turn_away(engine: &Arc<Engine>, refusal: Refusal, watch: Watch) -> Response<Answered> {
    let mut response = refuse_at_door(engine, refusal, watch);
    demand(engine, refusal, engine.auth().scopes(), &mut response);
    response
}

/// Says which credentials would do (RFC 9110 §11.6.1: a 401 MUST; RFC 6750 §3.1: a 403 for a scope).
pub(super) fn demand<'s>(
    engine: &Engine,
    refusal: Refusal,
    scopes: impl Iterator<Item = &'s str>,
    response: &mut Response<Answered>,
) {
    let mut text = Growing::unlimited();
    // It grows as long as it has to.
    let _ = challenge(refusal, engine.auth().resource().as_ref(), scopes, &mut text);
    if !text.bytes.is_empty()
        && let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(text.bytes))
    {
        response.headers_mut().insert(http::header::WWW_AUTHENTICATE, value);
    }
}
