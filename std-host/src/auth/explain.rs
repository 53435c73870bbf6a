//! What would become of a token, rule by rule: for people who wonder why one is refused.

use super::tokens::Tokens;
use crate::clock::now;
use attache_core::auth::{Bearer, Denied};
use core::fmt;

/// What each rule says of a token. Nothing is let in by it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Explained {
    /// The claims, as they were written; empty where the form of the token does not allow to read them.
    pub claims: String,
    /// The name of each rule, in the order in which they are asked, and what is wrong by it.
    pub verdicts: Vec<(&'static str, Result<(), String>)>,
}

impl Explained {
    /// Whether a caller with this token would be let in. What a tool asks for besides, scopes and roles, is asked when the tool is known.
    pub fn is_admitted(&self) -> bool {
        self.verdicts.iter().all(|(_, verdict)| verdict.is_ok())
    }

    fn rule(&mut self, name: &'static str, verdict: Result<(), Denied<'_>>) {
        self.verdicts.push((name, verdict.map_err(|denied| denied.to_string())));
    }
}

impl Tokens {
    /// What would become of a caller with this token now. The keys of its issuer are fetched if they are not known.
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
        // One that nobody believes is judged by the rules of the first.
        let number = bearer.read(None, &mut scratch).ok();
        let number = number.and_then(|claimed| self.issuers.iter().position(|issuer| claimed.is_of(&issuer.rules())));
        let number = number.unwrap_or_default();
        let Some(issuer) = self.issuers.get(number) else { return explained };
        let rules = issuer.rules();
        let claimed = match bearer.read(rules.scopes_in, &mut scratch) {
            Ok(claimed) => claimed,
            Err(denied) => {
                explained.rule("form", Err(denied));
                return explained;
            }
        };
        explained.claims = String::from_utf8_lossy(claimed.written()).into_owned();
        explained.rule("form", Ok(()));
        let [issued, addressed, time, tenant, application, principal] = claimed.verdicts(&rules, Some(now()));
        // A key is fetched for no token that its issuer has not made.
        let signature = match issued.1 {
            Ok(()) => match issuer.source.key(claimed.kid(), claimed.alg()).await {
                Ok(key) => claimed.signed_by(&*key),
                Err(denied) => Err(denied),
            },
            Err(denied) => Err(denied),
        };
        for (name, verdict) in [issued, addressed, time, ("signature", signature), tenant, application, principal] {
            explained.rule(name, verdict);
        }
        explained
    }
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
