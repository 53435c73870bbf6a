//! Explains, rule by rule, why a token is accepted or refused.

use super::issuer::Issuer;
use super::key_set::{KeySet, could_be_verified};
use super::source::Fetch;
use super::tokens::Tokens;
use crate::clock::now;
use attache_core::auth::{Bearer, Claimed, Denied, Rules};
use core::fmt;

/// The verdict of each rule about a token. It admits no caller.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Explained {
    /// The claims as written in the token. Empty if the token is malformed, so that its claims
    /// cannot be read.
    pub claims: String,
    /// The name of each rule, in the order of the checks, and the reason if the token fails it.
    pub verdicts: Vec<(&'static str, Result<(), String>)>,
}

impl Explained {
    /// Whether a caller with this token would be admitted. The scopes and roles that a tool
    /// requires are not included: they are checked at the call of that tool.
    pub fn is_admitted(&self) -> bool {
        self.verdicts.iter().all(|(_, verdict)| verdict.is_ok())
    }

    fn rule(&mut self, name: &'static str, verdict: Result<(), Denied<'_>>) {
        self.verdicts.push((name, verdict.map_err(|denied| denied.to_string())));
    }
}

impl Tokens {
    /// Judges a token by all rules, as of now. Fetches the keys of its issuer if they are not
    /// known.
    pub async fn explain(&self, token: &str) -> Explained {
        let mut explained = Explained::default();
        let header = format!("Bearer {token}");
        let bearer = match Bearer::parse(header.as_bytes()) {
            Ok(Some(bearer)) => bearer,
            Ok(None) | Err(_) => {
                explained.rule("form", Err(Denied::Malformed));
                return explained;
            }
        };
        let mut scratch = vec![0; token.len()];
        // A token of an unknown issuer is judged by the rules of the first issuer.
        let number = bearer.read(None, &mut scratch).ok();
        let number = number.and_then(|claimed| self.issuers.iter().position(|issuer| claimed.is_of(&issuer.rules(0))));
        let number = number.unwrap_or_default();
        let Some(issuer) = self.issuers.get(number) else { return explained };
        let rules = issuer.rules(0);
        let claimed = match bearer.read(rules.scopes_in, &mut scratch) {
            Ok(claimed) => claimed,
            Err(denied) => {
                explained.rule("form", Err(denied));
                return explained;
            }
        };
        explained.claims = String::from_utf8_lossy(claimed.written()).into_owned();
        explained.rule("form", if token.len() > self.longest { Err(Denied::TooLong) } else { Ok(()) });
        let [kind, issued, addressed, time, tenant, application, principal] = claimed.verdicts(&rules, Some(now()));
        // No key is fetched for a token of another issuer.
        let signature = match issued.1 {
            Ok(()) => signature(issuer, &rules, &claimed).await,
            Err(denied) => Err(denied),
        };
        let signature = ("signature", signature);
        for (name, verdict) in [kind, issued, addressed, time, signature, tenant, application, principal] {
            explained.rule(name, verdict);
        }
        explained
    }
}

/// Checks the signature with the keys of the issuer. The keys are fetched even if the algorithm is
/// not served, because the user wants to know whether the issuer has the key.
async fn signature<'t>(issuer: &Issuer, rules: &Rules<'_, String>, claimed: &Claimed<'t>) -> Result<(), Denied<'t>> {
    let (kid, alg) = (claimed.kid(), claimed.alg());
    let find = |keys: &KeySet| keys.find(kid, alg, |key| claimed.fits_key(rules, key));
    let found = issuer.source.key(kid, Fetch::Wait, find).await?;
    could_be_verified(alg, claimed.signature_len())?;
    claimed.signed_by(rules, &*found.key)
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Ok(claims) = serde_json::from_str::<serde_json::Value>(&self.claims) {
            writeln!(f, "{claims:#}\n")?;
        }
        for (name, verdict) in &self.verdicts {
            match verdict {
                Ok(()) => writeln!(f, "{name:12} good")?,
                Err(why) => writeln!(f, "{name:12} REFUSED: {why}")?,
            }
        }
        f.write_str(if self.is_admitted() { "\nIts holder is let in." } else { "\nIts holder is kept out." })
    }
}
