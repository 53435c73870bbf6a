//! A cache of the revisions of servers.

use super::limits::{VERDICT_AGE, VERDICTS};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// Caches for each URL whether its server speaks an older revision, so that the client does not
/// probe the server at each connection. Entries expire after 24 hours, because an upgraded server
/// still answers the old handshake.
///
/// Only a successful negotiation is cached, never a refusal or a timeout.
#[derive(Clone, Debug, Default)]
pub struct Verdicts(Arc<Mutex<HashMap<String, Instant>>>);

impl Verdicts {
    /// Whether the server at `url` is known to speak an older revision.
    pub(super) fn is_legacy(&self, url: &str) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(url) {
            Some(since) if since.elapsed() < VERDICT_AGE => true,
            Some(_) => {
                known.remove(url);
                false
            }
            None => false,
        }
    }

    /// Records the result of a successful negotiation.
    pub(super) fn note(&self, url: &str, is_legacy: bool) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_legacy {
            known.remove(url);
            return;
        }
        if known.len() >= VERDICTS && !known.contains_key(url) {
            let oldest = known.iter().min_by_key(|(_, since)| **since).map(|(url, _)| url.clone());
            oldest.map(|url| known.remove(&url));
        }
        // The age counts from the probe, not from the last use.
        known.entry(url.to_owned()).or_insert_with(Instant::now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn verdict_is_believed_until_it_is_a_day_old_and_using_it_does_not_renew_it() {
        let verdicts = Verdicts::default();
        verdicts.note("http://a/mcp", true);
        verdicts.note("http://b/mcp", false);
        tokio::time::advance(VERDICT_AGE - Duration::from_secs(1)).await;
        verdicts.note("http://a/mcp", true);
        assert_eq!((verdicts.is_legacy("http://a/mcp"), verdicts.is_legacy("http://b/mcp")), (true, false));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!verdicts.is_legacy("http://a/mcp"));
    }

    #[tokio::test(start_paused = true)]
    async fn oldest_verdict_makes_room() {
        let verdicts = Verdicts::default();
        for number in 0..=VERDICTS {
            verdicts.note(&number.to_string(), true);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!((verdicts.is_legacy("0"), verdicts.is_legacy("1")), (false, true));
    }
}
