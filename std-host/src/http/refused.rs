//! The answers of an MCP endpoint to requests that its access checks refuse.

use super::answer::{Answered, not_found, refuse_at_door, response, short_of_memory};
use crate::auth::Unauthenticated;
use crate::door::{Out, redirect};
use crate::engine::Server;
use crate::observe::Watch;
use attache_core::http::Refusal;
use bytes::Bytes;
use http::Response;
use http::header::WWW_AUTHENTICATE;
use http::request::Parts;
use http_body_util::{Either, Full};
use std::sync::Arc;

/// The answer to a request whose caller is not admitted.
pub(super) fn kept_out(server: &Arc<Server>, out: Out, head: &Parts, watch: Watch) -> Response<Answered> {
    match out {
        Out::Refused(refusal) => turn_away(server, refusal, head, watch),
        Out::Short(short) => short_of_memory(server, short, watch),
    }
}

/// The answer to a request that the access checks refuse, with what its client needs to do better.
pub(super) fn turn_away(server: &Arc<Server>, refusal: Refusal, head: &Parts, watch: Watch) -> Response<Answered> {
    if let Some(url) = server.auth().sign_in_url(refusal, head) {
        watch.turned_away(refusal.name(), http::StatusCode::FOUND.as_u16());
        return redirect::<Full<Bytes>>(&url).map(Either::Left);
    }
    let shown = server.auth().shown_to_callers(refusal);
    let mut response = refuse_at_door(server, refusal, watch);
    match shown {
        Unauthenticated::Challenge | Unauthenticated::SignIn => {
            demand(server, refusal, head, server.auth().scopes(), &mut response)
        }
        // The answer does not say why.
        Unauthenticated::Forbidden => response = self::response(Refusal::Forbidden.status(), Bytes::new()),
        Unauthenticated::NotFound => response = not_found(head.version),
    }
    response
}

/// Adds the challenge that says which credentials would do.
pub(super) fn demand<'s>(
    server: &Server,
    refusal: Refusal,
    head: &Parts,
    scopes: impl Iterator<Item = &'s str>,
    response: &mut Response<Answered>,
) {
    if let Some(challenge) = server.checks.challenge(refusal, head, scopes) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
}
