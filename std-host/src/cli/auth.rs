//! Who may call, as the configuration says it.

use super::config::{Fault, Protection, Required};
use super::keys;
use attache_host::auth::{Auth, Issuer, Keys, Tokens};
use core::fmt;
use std::fs;

/// What callers of an endpoint have to show; nothing if everybody may call. `url` is the endpoint as its callers write it, unless the
/// configuration says otherwise.
pub(super) fn of(protection: &Protection, url: &str) -> Result<Option<Auth>, Fault> {
    let keys = match &protection.keys_file {
        None => None,
        Some(file) => {
            let digests = keys::read(file)?;
            let keys = Keys::of_digests(digests.clone());
            tokio::spawn(keys::follow(file.clone(), digests, keys.clone()));
            Some(keys)
        }
    };
    let tokens = tokens(protection, url)?;
    let auth = match (protection.required, tokens, keys) {
        (Required::Nothing, ..) | (_, None, None) => return Ok(None),
        (Required::Either, Some(tokens), Some(keys)) => Auth::either(tokens, keys),
        (_, Some(tokens), Some(keys)) => Auth::both(tokens, keys),
        (_, Some(tokens), None) => Auth::tokens(tokens),
        (_, None, Some(keys)) => Auth::keys(keys),
    };
    Ok(Some(if protection.key_in_query { auth.key_in_query() } else { auth }))
}

pub(super) fn tokens(protection: &Protection, url: &str) -> Result<Option<Tokens>, Fault> {
    let Some(policy) = &protection.policy else { return Ok(None) };
    let issuer = match &protection.jwks_file {
        None => Issuer::discovered(&policy.issuer),
        Some(file) => {
            let path = file.display();
            let text = fs::read_to_string(file)
                .map_err(|error| Fault::of(format!("auth.jwks_file {path} cannot be read: {error}")))?;
            Issuer::with_keys(&policy.issuer, &text)
                .map_err(|error| Fault::of(format!("auth.jwks_file {path}: {error}")))?
        }
    };
    let issuer = issuer
        .issuers(&policy.issuers)
        .audiences(&policy.audiences)
        .applications(&policy.applications)
        .tenants(&policy.tenants)
        .identities(&policy.identities)
        .groups(&policy.groups);
    let resource = protection.resource.as_deref().unwrap_or(url);
    Ok(Some(Tokens::of(resource, issuer).scopes(&policy.scopes)))
}

/// The policy in words, for whoever starts the server.
pub(super) struct Words<'a>(pub(super) &'a Protection, pub(super) &'a str);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(protection, url) = self;
        let key = protection.keys_file.as_ref().map(|file| format!("a key of {}", file.display()));
        let token = protection.policy.as_ref().map(|policy| format!("an access token of {}", policy.issuer));
        let and = if protection.required == Required::Either { "or" } else { "and" };
        match (protection.required, token, key) {
            (Required::Nothing, ..) | (_, None, None) => return f.write_str("Anybody who reaches it may call."),
            (_, Some(token), Some(key)) => write!(f, "Callers need {token} {and} {key}.")?,
            (_, Some(one), None) | (_, None, Some(one)) => write!(f, "Callers need {one}.")?,
        }
        let Some(policy) = &protection.policy else { return Ok(()) };
        let all = |list: &[String]| list.join(", ");
        let mut audiences = policy.audiences.clone();
        audiences.push(protection.resource.as_deref().unwrap_or(url).to_owned());
        write!(f, "\n  audiences: {}", all(&audiences))?;
        match policy.applications.as_slice() {
            [] => f.write_str("\n  applications: only one whose id is an audience (set auth.applications)")?,
            [any] if any == "*" => f.write_str("\n  applications: any that has a token for this server")?,
            listed => write!(f, "\n  applications: {}", all(listed))?,
        }
        for (name, list) in
            [("tenants", &policy.tenants), ("identities", &policy.identities), ("groups", &policy.groups)]
        {
            if !list.is_empty() {
                write!(f, "\n  {name}: {}", all(list))?;
            }
        }
        match policy.scopes.as_slice() {
            [] => f.write_str("\n  scopes that clients are told to ask for: none (set auth.scopes)"),
            scopes => write!(f, "\n  scopes that clients are told to ask for: {}", all(scopes)),
        }
    }
}
