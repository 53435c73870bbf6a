//! Where an upstream is, and how to connect to it.

use super::domain::{Per, Profile};
use super::limits::{SESSIONS, Times};
use crate::backend::Call;
#[cfg(unix)]
use crate::client::SerialPort;
use crate::client::{Client, ClientBuilder, ClientLimits, Credential, Error, ServerCommand, Verdicts, Version};
#[cfg(feature = "oauth-client")]
use crate::downstream::Downstream;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use http::{HeaderName, HeaderValue};
use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Clone, Debug)]
pub(super) enum Place {
    Http {
        url: String,
        old_transport: bool,
    },
    Command(ServerCommand),
    /// A board on a serial line, which is one connection.
    #[cfg(unix)]
    Serial(SerialPort),
    /// A child process that serves HTTP. `current` is the URL of the child that runs.
    Served {
        command: ServerCommand,
        url: String,
        current: Arc<Mutex<Option<String>>>,
    },
}

/// A function that is called when the first connection has ended.
pub(super) type OnEnd = Arc<dyn Fn(&Error) + Send + Sync>;

#[derive(Clone)]
pub(super) struct Target {
    place: Place,
    pub(super) credential: Credential,
    /// The tokens of callers for their calls.
    #[cfg(feature = "oauth-client")]
    pub(super) downstream: Option<Arc<Downstream>>,
    /// Whether the lists are fetched without a token of `downstream`.
    #[cfg(feature = "oauth-client")]
    pub(super) anonymous_lists: bool,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) allow_plain: bool,
    pub(super) version: Option<Version>,
    pub(super) limits: ClientLimits,
    pub(super) times: Times,
    pub(super) per: Per,
    /// Environment variables of the child of a caller, by the name of the caller.
    pub(super) callers: HashMap<String, Vec<(OsString, OsString)>>,
    pub(super) on_end: Option<OnEnd>,
    /// Most connections in addition to the first one.
    pub(super) most_sessions: usize,
    /// For the sessions of callers, which need not probe again.
    verdicts: Verdicts,
    /// Whether the first child speaks an older revision. The children of callers run the same command, so
    /// they need not be probed. Each first child is.
    is_legacy: Arc<AtomicBool>,
}

impl Target {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            credential: Credential::None,
            #[cfg(feature = "oauth-client")]
            downstream: None,
            #[cfg(feature = "oauth-client")]
            anonymous_lists: false,
            headers: Vec::new(),
            allow_plain: false,
            version: None,
            limits: ClientLimits::default(),
            times: Times::default(),
            per: Per::default(),
            callers: HashMap::new(),
            on_end: None,
            most_sessions: SESSIONS,
            verdicts: Verdicts::default(),
            is_legacy: Arc::default(),
        }
    }

    /// Whether the upstream is one connection: a child process on standard input and output, or a
    /// board on a serial line.
    pub(super) const fn is_process(&self) -> bool {
        #[cfg(unix)]
        if matches!(self.place, Place::Serial(_)) {
            return true;
        }
        matches!(self.place, Place::Command(_))
    }

    /// The first and the longest wait after the child of a caller could not be started. A session over
    /// HTTP is tried again at once.
    pub(super) const fn session_back_off(&self) -> (Duration, Duration) {
        match self.is_process() {
            true => (self.times.back_off_first, self.times.back_off_most),
            false => (Duration::ZERO, Duration::ZERO),
        }
    }

    /// The credential of a call, if it differs from that of the connection.
    ///
    /// # Errors
    /// If the caller has no token that could be exchanged.
    #[cfg(feature = "oauth-client")]
    pub(super) fn credential_of(&self, call: &Call) -> Result<Option<Credential>, Error> {
        let tokens = self.downstream.as_ref();
        tokens.map(|tokens| tokens.of(call.caller(), call.inbound())).transpose()
    }

    #[cfg(not(feature = "oauth-client"))]
    pub(super) const fn credential_of(&self, _: &Call) -> Result<Option<Credential>, Error> {
        Ok(None)
    }

    /// The credential for requests that belong to no call.
    fn own_credential(&self) -> Credential {
        #[cfg(feature = "oauth-client")]
        if let (Some(tokens), Credential::None, false) = (&self.downstream, &self.credential, self.anonymous_lists) {
            return tokens.own();
        }
        self.credential.clone()
    }

    /// Makes the first connection, with these capabilities. Starts the child process if there is one.
    pub(super) async fn connect(&self, profile: &Profile) -> Result<Client, Error> {
        self.connect_as(profile, self.own_credential()).await
    }

    async fn connect_as(&self, profile: &Profile, credential: Credential) -> Result<Client, Error> {
        let builder = self.builder(profile, credential);
        match &self.place {
            Place::Http { url, old_transport: true } => builder.old_transport().http(url).await,
            Place::Http { url, old_transport: false } => builder.http(url).await,
            Place::Command(command) => {
                let client = builder.command(command.clone()).await?;
                self.is_legacy.store(!client.version().is_modern(), Ordering::Relaxed);
                Ok(client)
            }
            #[cfg(unix)]
            Place::Serial(port) => builder.serial(port).await,
            Place::Served { command, url, current } => {
                let (client, url) = builder.served(command.clone(), url).await?;
                *current.lock().unwrap_or_else(PoisonError::into_inner) = Some(url);
                Ok(client)
            }
        }
    }

    /// Makes a further connection, for the caller of this name, with its credential if it has one of its own.
    pub(super) async fn connect_for(
        &self,
        profile: &Profile,
        caller: Option<&str>,
        credential: Option<Credential>,
    ) -> Result<Client, Error> {
        let credential = credential.unwrap_or_else(|| self.own_credential());
        let own = caller.and_then(|caller| self.callers.get(caller)).into_iter().flatten();
        match &self.place {
            Place::Command(command) => {
                let command = own.fold(command.clone(), |command, (name, value)| command.env(name, value));
                let builder = self.builder(profile, credential);
                let is_legacy = self.is_legacy.load(Ordering::Relaxed);
                if is_legacy { builder.known_legacy() } else { builder }.command(command).await
            }
            Place::Served { current, .. } => {
                let url = current.lock().unwrap_or_else(PoisonError::into_inner).clone();
                self.builder(profile, credential).http(&url.ok_or(Error::Closed)?).await
            }
            #[cfg(unix)]
            Place::Serial(_) => Err(Error::Unreachable("a serial line is one connection".to_owned())),
            Place::Http { .. } => self.connect_as(profile, credential).await,
        }
    }

    fn builder(&self, profile: &Profile, credential: Credential) -> ClientBuilder {
        // The upstream gets the name of the gate. The names of callers stay with the gate.
        let mut builder = Client::builder("attache", env!("CARGO_PKG_VERSION"))
            .capabilities(profile.json())
            .limits(self.limits.clone())
            .verdicts(self.verdicts.clone())
            .credential(credential);
        for (name, value) in &self.headers {
            builder = builder.header(name.clone(), value.clone());
        }
        if self.allow_plain {
            builder = builder.allow_plain_http();
        }
        if let Some(version) = self.version {
            builder = builder.version(version);
        }
        builder
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}
