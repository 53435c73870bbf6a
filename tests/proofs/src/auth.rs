//! Proofs for `auth`: headers, tokens and claims. Libraries compute signatures and digests, outside
//! the proof.

use crate::{keep, proofs};
use attache_core::auth::{Bearer, Jwk, Rules, decode_base64url};
use attache_core::http::{Refusal, Resource, challenge, metadata};
use attache_core::json::{Slice, Value};

proofs! {
    /// Any `Authorization` header.
    fn proof_auth_bearer(foreign, _out) {
        keep(Bearer::parse(foreign.piece()).map_err(|denied| denied.kind()));
    }

    /// Any text as Base64url.
    fn proof_auth_base64url(foreign, out) {
        keep(decode_base64url(foreign.rest(), out));
    }

    /// Any token, checked against any rules at any time, up to the signature.
    fn proof_auth_token(foreign, out) {
        let [issuers, audiences] = [[foreign.string(), foreign.string()], [foreign.string(), foreign.string()]];
        let now = (foreign.byte() != 0).then(|| foreign.number() as u64);
        let scopes_in = foreign.string();
        let rules = Rules {
            issuers: &issuers,
            audiences: &audiences,
            scopes_in: (!scopes_in.is_empty()).then_some(scopes_in),
            leeway: foreign.number() as u64,
            ..Rules::NONE
        };
        let Ok(Some(bearer)) = Bearer::parse(foreign.rest()) else { return };
        match bearer.read(rules.scopes_in, out) {
            Ok(claimed) => {
                keep(claimed.issuer());
                match claimed.check(&rules, now) {
                    Ok(candidate) => keep((candidate.kid(), candidate.alg(), candidate.tenant())),
                    Err(denied) => keep(Refusal::from(denied)),
                }
            }
            Err(denied) => keep(Refusal::from(denied)),
        }
    }

    /// Any public key.
    fn proof_auth_jwk(foreign, out) {
        if let Ok(value) = Value::parse(foreign.rest()) {
            keep(Jwk::read(&value, out));
        }
    }

    /// The challenge and the metadata of any endpoint.
    fn proof_auth_metadata(foreign, out) {
        let Some(resource) = Resource::new(foreign.string()) else { return };
        let scopes = [foreign.string(), foreign.string()];
        let refusal = match foreign.byte() {
            0 => Refusal::NoToken,
            1 => Refusal::BadToken,
            2 => Refusal::Scope,
            3 => Refusal::NoKey,
            _ => Refusal::Credentials,
        };
        let mut out = Slice::new(out);
        keep(challenge(refusal, Some(&resource), scopes.iter().copied(), &mut out));
        keep(metadata(&resource, scopes.iter().copied(), scopes.iter().copied(), &mut out));
        keep(out.written());
    }
}
