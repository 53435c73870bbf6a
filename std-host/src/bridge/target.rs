//! Where an upstream is, and how to connect to it.

use super::domain::Profile;
use super::limits::Times;
use crate::client::{Client, ClientLimits, Credential, Error, ServerCommand, Verdicts, Version};
use core::fmt;
use http::{HeaderName, HeaderValue};

#[derive(Clone, Debug)]
pub(super) enum Place {
    Http { url: String, old_transport: bool },
    Command(ServerCommand),
}

#[derive(Clone)]
pub(super) struct Target {
    place: Place,
    pub(super) credential: Credential,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) allow_plain: bool,
    pub(super) version: Option<Version>,
    pub(super) limits: ClientLimits,
    pub(super) times: Times,
    /// For the sessions of callers, which need not probe again.
    verdicts: Verdicts,
}

impl Target {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            credential: Credential::None,
            headers: Vec::new(),
            allow_plain: false,
            version: None,
            limits: ClientLimits::default(),
            times: Times::default(),
            verdicts: Verdicts::default(),
        }
    }

    /// Whether the upstream is a child process, which is one connection.
    pub(super) const fn is_process(&self) -> bool {
        matches!(self.place, Place::Command(_))
    }

    /// Connects with these capabilities.
    pub(super) async fn connect(&self, profile: &Profile) -> Result<Client, Error> {
        // What callers call themselves stays with the gate: the upstream knows the gate alone.
        let mut builder = Client::builder("attache", env!("CARGO_PKG_VERSION"))
            .capabilities(profile.json())
            .limits(self.limits.clone())
            .verdicts(self.verdicts.clone())
            .credential(self.credential.clone());
        for (name, value) in &self.headers {
            builder = builder.header(name.clone(), value.clone());
        }
        if self.allow_plain {
            builder = builder.allow_plain_http();
        }
        if let Some(version) = self.version {
            builder = builder.version(version);
        }
        match &self.place {
            Place::Http { url, old_transport: true } => builder.old_transport().http(url).await,
            Place::Http { url, old_transport: false } => builder.http(url).await,
            Place::Command(command) => builder.command(command.clone()).await,
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}
