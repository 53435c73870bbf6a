//! Fetches what clients publish within strict rules, and caches it.

use super::limits::{DOCUMENT_AGE, DOCUMENT_KEPT, DOCUMENT_RETRY, DOCUMENT_TIME, DOCUMENTS};
use super::parameters::has_type;
use super::unusable::Unusable;
use crate::auth::reach::Reach;
use crate::https::{self, causes};
use core::time::Duration;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, StatusCode};
use reqwest::Url;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::{Instant, timeout};

/// A kind of document that clients publish.
pub(super) trait Published: Sized + Send + Sync + 'static {
    /// Most bytes of a document.
    const SIZE: usize;

    /// Reads the document at `url`.
    fn read(url: &str, body: &[u8]) -> Result<Self, Unusable>;

    /// Returns a copy that came with the program. It is used if the document was never fetched and cannot be fetched now.
    fn built_in(_url: &str) -> Option<Self> {
        None
    }
}

/// Fetches and caches documents of one kind.
#[derive(Debug)]
pub(super) struct Remote<T> {
    /// Whether documents on this machine are fetched as well, also by plain `http`.
    with_loopback: bool,
    cache: Mutex<HashMap<String, Arc<Entry<T>>>>,
}

#[derive(Debug)]
struct Entry<T> {
    last_used: Mutex<Instant>,
    /// Locked during a fetch, so that requests at once share one fetch.
    slot: tokio::sync::Mutex<Slot<T>>,
}

#[derive(Debug)]
struct Slot<T> {
    good: Option<Good<T>>,
    failed: Option<(Instant, Unusable)>,
}

#[derive(Debug)]
struct Good<T> {
    document: Arc<T>,
    fetched: Instant,
    fresh: Duration,
}

impl<T: Published> Remote<T> {
    pub(super) fn new(with_loopback: bool) -> Self {
        Self { with_loopback, cache: Mutex::default() }
    }

    /// Returns the document at this URL, from the cache or from its host.
    pub(super) async fn get(&self, url: &Url) -> Result<Arc<T>, Unusable> {
        self.younger(url, |good| good.fresh).await
    }

    /// Returns the document at this URL, which is fetched again unless that was done a moment ago.
    pub(super) async fn renewed(&self, url: &Url) -> Result<Arc<T>, Unusable> {
        self.younger(url, |_| DOCUMENT_RETRY).await
    }

    /// Returns the document at this URL. A copy in the cache counts if it is younger than `age`.
    async fn younger(&self, url: &Url, age: impl Fn(&Good<T>) -> Duration) -> Result<Arc<T>, Unusable> {
        let entry = self.entry(url.as_str());
        let mut slot = entry.slot.lock().await;
        if let Some(good) = slot.good.as_ref().filter(|good| good.fetched.elapsed() < age(good)) {
            return Ok(Arc::clone(&good.document));
        }
        if let Some((at, why)) = &slot.failed
            && at.elapsed() < DOCUMENT_RETRY
        {
            return slot.last_good(url).ok_or_else(|| why.clone());
        }
        match timeout(DOCUMENT_TIME, self.fetch(url)).await.unwrap_or(Err(Unusable::TooSlow)) {
            Ok((document, fresh)) => {
                let document = Arc::new(document);
                let good = Good { document: Arc::clone(&document), fetched: Instant::now(), fresh };
                *slot = Slot { good: Some(good), failed: None };
                Ok(document)
            }
            Err(why) => {
                tracing::warn!(url = url.as_str(), reason = %why, "the document of a client was not fetched");
                slot.failed = Some((Instant::now(), why.clone()));
                slot.last_good(url).ok_or(why)
            }
        }
    }

    /// Returns the entry of a document. A full cache drops the one that was used least recently.
    fn entry(&self, url: &str) -> Arc<Entry<T>> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(entry) = cache.get(url) {
            *entry.last_used.lock().unwrap_or_else(PoisonError::into_inner) = now;
            return Arc::clone(entry);
        }
        if cache.len() >= DOCUMENTS {
            let last_used = |entry: &Entry<T>| *entry.last_used.lock().unwrap_or_else(PoisonError::into_inner);
            let oldest = cache.iter().min_by_key(|(_, entry)| last_used(entry)).map(|(url, _)| url.clone());
            oldest.and_then(|oldest| cache.remove(&oldest));
        }
        let slot = tokio::sync::Mutex::new(Slot { good: None, failed: None });
        let entry = Arc::new(Entry { last_used: Mutex::new(now), slot });
        cache.insert(url.to_owned(), Arc::clone(&entry));
        entry
    }

    async fn fetch(&self, url: &Url) -> Result<(T, Duration), Unusable> {
        let failed = |error: reqwest::Error| Unusable::Unreachable(causes(&error));
        // The host is on a list of the operator, but its name could lead to a machine inside.
        let reach = Reach::public(self.with_loopback);
        if !reach.allows(url.as_str()) {
            return Err(Unusable::Id);
        }
        let client = https::builder(url.scheme() == "https").map_err(Unusable::Unreachable)?;
        let client = client.dns_resolver(Arc::new(reach)).build().map_err(failed)?;
        let mut response = client.get(url.clone()).header("accept", "application/json").send().await.map_err(failed)?;
        if response.status() != StatusCode::OK {
            return Err(Unusable::Status(response.status().as_u16()));
        }
        if !is_json(response.headers()) {
            return Err(Unusable::NotJson);
        }
        let fresh = fresh(response.headers());
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            if piece.len() > T::SIZE - body.len() {
                return Err(Unusable::TooLarge(T::SIZE));
            }
            body.extend_from_slice(&piece);
        }
        T::read(url.as_str(), &body).map(|document| (document, fresh))
    }
}

impl<T: Published> Slot<T> {
    /// The last good copy, as long as it may replace a newer one that cannot be fetched.
    fn last_good(&self, url: &Url) -> Option<Arc<T>> {
        match &self.good {
            Some(good) => (good.fetched.elapsed() < DOCUMENT_KEPT).then(|| Arc::clone(&good.document)),
            // A document that was fetched and breaks a rule is not replaced by an older copy.
            None if self.failed.as_ref().is_some_and(|(_, why)| why.is_temporary()) => {
                T::built_in(url.as_str()).map(Arc::new)
            }
            None => None,
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let essence = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = essence.split(';').next().unwrap_or_default().trim();
    let has_suffix = essence.starts_with("application/") && essence.ends_with("+json");
    has_type(headers, "application/json") || has_suffix
}

/// The time for which a document is fresh (RFC 9111 §5.2.2.1), within bounds.
fn fresh(headers: &HeaderMap) -> Duration {
    let [least, most, default] = DOCUMENT_AGE;
    let directives = headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut directives = directives.split(',').map(|directive| directive.trim().to_ascii_lowercase());
    let age = directives.find_map(|directive| match directive.as_str() {
        "no-store" | "no-cache" => Some(0),
        other => other.strip_prefix("max-age=").and_then(|seconds| seconds.parse().ok()),
    });
    age.map_or(default, Duration::from_secs).clamp(least, most)
}

#[cfg(test)]
mod tests {
    use super::super::documents::Document;
    use super::*;
    use http::HeaderValue;

    #[test]
    fn age_of_a_document_is_kept_within_bounds() {
        for (value, seconds) in [
            ("max-age=600", 600),
            ("public, Max-Age=600", 600),
            ("max-age=1", 60),
            ("max-age=99999999", 24 * 3600),
            ("no-store", 60),
            ("private", 3600),
        ] {
            let headers = HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static(value))]);
            assert_eq!(fresh(&headers), Duration::from_secs(seconds), "{value}");
        }
    }

    #[test]
    fn built_in_copy_replaces_a_document_that_cannot_be_fetched() {
        const KNOWN: &str = "https://vscode.dev/oauth/client-metadata.json";
        let last_good = |url: &str, why| {
            let slot: Slot<Document> = Slot { good: None, failed: Some((Instant::now(), why)) };
            slot.last_good(&Url::parse(url).expect("a URL")).is_some()
        };
        assert!(last_good(KNOWN, Unusable::Status(403)));
        assert!(!last_good(KNOWN, Unusable::OtherId), "it was fetched, and breaks a rule");
        assert!(!last_good("https://vscode.dev/other.json", Unusable::TooSlow), "there is no copy");
    }
}
