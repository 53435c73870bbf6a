//! The access token: its claims, and its signature.

use super::configuration::Configured;
use super::finding::Code;
use super::issuer::Issuer;
use super::metadata::Metadata;
use super::report::Step;
use super::walk::Walk;
use attache_host::auth::{Issuer as Rules, Tokens};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use std::time::{SystemTime, UNIX_EPOCH};

/// The header and the claims of a token.
#[derive(Debug)]
struct Read {
    header: Value,
    claims: Value,
}

impl Read {
    fn of(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
        let json = |part: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
            serde_json::from_slice(&bytes).ok().filter(Value::is_object)
        };
        parts.next().is_none().then_some(())?;
        Some(Self { header: json(header)?, claims: json(claims)? })
    }

    fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim).and_then(Value::as_str)
    }

    fn number(&self, claim: &str) -> Option<u64> {
        self.claims
            .get(claim)
            .and_then(|number| number.as_u64().or_else(|| number.as_f64().map(|number| number as u64)))
    }

    fn audiences(&self) -> Vec<&str> {
        match self.claims.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    fn has_scope(&self, scope: &str) -> bool {
        let scopes = ["scp", "scope"].into_iter().filter_map(|claim| self.text(claim)).flat_map(|text| text.split(' '));
        // The tokens of Entra ID have scopes without the prefix.
        let short = scope.rsplit('/').next().unwrap_or(scope);
        scopes.into_iter().any(|held| held == scope || held == short)
    }

    /// Tokens of an application have roles instead of scopes.
    fn is_application(&self) -> bool {
        self.text("scp").is_none() && (self.text("idtyp") == Some("app") || self.claims.get("roles").is_some())
    }
}

impl Walk<'_> {
    /// Checks the claims of the token against what the server publishes. Returns a suspicion about its
    /// audience: a server may accept audiences that it does not publish, so its answer decides.
    pub(super) async fn token(
        &mut self,
        token: &str,
        metadata: Option<&Metadata>,
        issuers: &[Issuer],
        configured: Option<&Configured>,
    ) -> Option<Suspicion> {
        let Some(read) = Read::of(token) else {
            self.report.found(Step::Token, Code::TokenMalformed, "the token is not three parts of Base64url with JSON");
            return None;
        };
        self.time(&read);
        if let Some(mark) = ["nonce", "at_hash", "c_hash"].into_iter().find(|claim| read.claims.get(*claim).is_some()) {
            self.report.found(
                Step::Token,
                Code::TokenIsIdToken,
                format!("the token has the claim {mark}, as ID tokens do"),
            );
        }
        let issuer = self.issued_by(&read, issuers);
        if let Some(metadata) = metadata {
            self.scopes(&read, metadata);
        }
        if let Some(configured) = configured {
            self.allow_list(configured, ["azp", "appid", "client_id"].into_iter().find_map(|claim| read.text(claim)));
        }
        if let Some(issuer) = issuer {
            self.signature(token, &read, issuer).await;
        }
        self.addressed(&read, metadata?)
    }

    fn time(&mut self, read: &Read) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        match read.number("exp") {
            None => self.report.found(Step::Token, Code::TokenExpired, "the token has no exp"),
            Some(expires) if expires + LEEWAY < now => {
                let seen = format!("the token expired {} s ago", now - expires);
                self.report.found(Step::Token, Code::TokenExpired, seen);
            }
            Some(expires) => {
                self.report.saw(Step::Token, format!("the token is valid for {} s", expires.saturating_sub(now)))
            }
        }
        if let Some(from) = read.number("nbf").filter(|from| *from > now + LEEWAY) {
            let seen = format!("the token is valid in {} s", from - now);
            self.report.found(Step::Token, Code::TokenNotYetValid, seen);
        }
    }

    fn issued_by<'i>(&mut self, read: &Read, issuers: &'i [Issuer]) -> Option<&'i Issuer> {
        let named = read.text("iss").unwrap_or_default();
        let tenant = read.text("tid").unwrap_or_default();
        let is_of = |issuer: &&Issuer| issuer.url == named || issuer.url.replace("{tenantid}", tenant) == named;
        if let Some(issuer) = issuers.iter().find(is_of) {
            self.report.saw(Step::Token, format!("the token was issued by {named}"));
            return Some(issuer);
        }
        if issuers.is_empty() {
            return None;
        }
        let known = issuers.iter().map(|issuer| issuer.url.as_str()).collect::<Vec<_>>().join(", ");
        let seen = format!("the token was issued by {named}; the server trusts {known}");
        let is_of_entra = issuers.iter().any(|issuer| issuer.is_entra);
        let is_v1 = read.text("ver") == Some("1.0") || named.starts_with("https://sts.windows.net/");
        let has_tenant = !tenant.is_empty() && issuers.iter().any(|issuer| issuer.url.contains(tenant));
        let code = match is_of_entra {
            true if is_v1 => Code::TokenV1,
            true if !has_tenant && !tenant.is_empty() => Code::TokenOtherTenant,
            _ => Code::TokenOtherIssuer,
        };
        self.report.found(Step::Token, code, seen);
        None
    }

    fn addressed(&mut self, read: &Read, metadata: &Metadata) -> Option<Suspicion> {
        let audiences = read.audiences();
        let resource = metadata.resource.as_deref().unwrap_or_default();
        let is_same = |audience: &&str| audience.trim_end_matches('/') == resource.trim_end_matches('/');
        let seen = format!("the audience is {}; the server is {resource}", audiences.join(", "));
        if audiences.iter().any(is_same) {
            self.report.saw(Step::Token, seen);
            return None;
        }
        let code = match audiences.as_slice() {
            [one] if is_guid(one) => Code::TokenAudienceGuid,
            [one] if one.starts_with("api://") => Code::TokenAudienceUri,
            _ => Code::TokenOtherAudience,
        };
        Some(Suspicion { code, seen })
    }

    fn scopes(&mut self, read: &Read, metadata: &Metadata) {
        if read.is_application() {
            return;
        }
        let wanted = metadata
            .scopes
            .iter()
            .filter(|scope| !["openid", "profile", "email", "offline_access"].contains(&scope.as_str()));
        let missing: Vec<_> = wanted.clone().filter(|scope| !read.has_scope(scope)).cloned().collect();
        // Published scopes are those of all tools: a token with none of them can do nothing.
        if !missing.is_empty() && missing.len() == wanted.count() {
            let seen = format!("the token has none of {}", missing.join(" "));
            self.report.found(Step::Token, Code::TokenScopeMissing, seen);
        }
    }

    /// Checks the signature with the code of the server program.
    async fn signature(&mut self, token: &str, read: &Read, issuer: &Issuer) {
        let Some(keys) = &issuer.keys else { return };
        let kid = read.header.get("kid").and_then(Value::as_str);
        let published = serde_json::from_str::<Value>(keys).ok();
        let published = published.as_ref().and_then(|keys| keys.get("keys")).and_then(Value::as_array);
        let is_published = |kid: &str| {
            published.is_some_and(|keys| keys.iter().any(|key| key.get("kid").and_then(Value::as_str) == Some(kid)))
        };
        if let Some(kid) = kid.filter(|kid| !is_published(kid)) {
            let seen = format!("{} does not publish the key {kid}", issuer.url);
            return self.report.found(Step::Token, Code::TokenKeyUnknown, seen);
        }
        let named = read.text("iss").unwrap_or(&issuer.url);
        let rules = Rules::with_keys(named, keys).ok();
        let Some(tokens) = rules.and_then(|rules| Tokens::of(&self.written, rules).ok()) else { return };
        let explained = tokens.explain(token).await;
        match explained.verdicts.into_iter().find(|(rule, _)| *rule == "signature") {
            Some((_, Err(why))) => self.report.found(Step::Token, Code::TokenSignatureWrong, why),
            Some((_, Ok(()))) => self.report.saw(Step::Token, "the signature is right"),
            None => {}
        }
    }
}

/// The probable mistake of a token, if the server refuses it.
#[derive(Debug)]
pub(super) struct Suspicion {
    pub(super) code: Code,
    pub(super) seen: String,
}

fn is_guid(text: &str) -> bool {
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.chars().all(|char| char == '-' || char.is_ascii_hexdigit())
}

/// The difference of clocks that servers tolerate.
const LEEWAY: u64 = 60;
