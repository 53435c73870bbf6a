//! The client's description of itself, and the session state that a new session must get again.

use super::raw::RawJson;
use super::request::Request;
use crate::sink::Growing;
use attache_core::client::{self, Profile};
use attache_core::era::Version;
use attache_core::tool::Level;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub(super) struct OwnProfile {
    name: String,
    version: String,
    capabilities: RawJson,
    told: Mutex<Told>,
}

/// The state to restore in a new session.
#[derive(Debug, Default)]
struct Told {
    level: Option<Level>,
    subscriptions: BTreeSet<String>,
}

impl OwnProfile {
    pub(super) fn new(name: String, version: String, capabilities: RawJson) -> Self {
        Self { name, version, capabilities, told: Mutex::default() }
    }

    pub(super) fn borrowed(&self) -> Profile<'_> {
        Profile { name: &self.name, version: &self.version, capabilities: self.capabilities.as_bytes() }
    }

    /// The body of `initialize`.
    pub(super) fn initialize(&self, id: u64, version: Version) -> Bytes {
        let mut out = Growing::unlimited();
        // The buffer grows, so writing cannot fail.
        let _ = client::initialize(&mut out, id, version, &self.borrowed());
        out.bytes.into()
    }

    /// The notification that ends the handshake.
    pub(super) fn initialized(&self) -> Bytes {
        let mut out = Growing::unlimited();
        // The buffer grows, so writing cannot fail.
        let _ = client::notification(&mut out, "notifications/initialized", &[]);
        out.bytes.into()
    }

    pub(super) fn note_level(&self, level: Level) {
        self.told().level = Some(level);
    }

    pub(super) fn note_subscription(&self, uri: &str, is_on: bool) {
        match is_on {
            true => self.told().subscriptions.insert(uri.to_owned()),
            false => self.told().subscriptions.remove(uri),
        };
    }

    /// The requests that restore the state of the last session in a new one.
    pub(super) fn standing(&self) -> Vec<Request> {
        let told = self.told();
        let level = told.level.map(|level| Request::new("logging/setLevel").text("level", level.name()));
        let uris = told.subscriptions.iter().map(|uri| Request::new("resources/subscribe").text("uri", uri));
        level.into_iter().chain(uris).collect()
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
