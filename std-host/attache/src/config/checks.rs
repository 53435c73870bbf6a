//! Checks of program-wide settings against each other.

use super::{Layers, Secret, secret, value};
use crate::fault::Fault;
use attache_host::serve::{Proxies, TlsFiles};
use core::net::SocketAddr;
use std::path::PathBuf;

/// The advice for `traces.endpoint` in a build without feature `traces`.
pub(crate) const NO_TRACES: &str = "needs the exporter of spans, which this build does not have: build with --features traces, or use a released package";

const SEAL_KEYS: &str =
    "a key that signs sessions must be 64 hexadecimal digits, and at most two are taken: openssl rand -hex 32";

impl Layers {
    /// The address of the status page. Only browsers on this machine may reach it.
    pub(super) fn status(&self) -> Result<Option<SocketAddr>, Fault> {
        match self.address("status.listen") {
            Some(address) if !address.ip().is_loopback() => Err(self.fault(
                "status.listen",
                "must be a loopback address, because the page has no authentication: from elsewhere, reach it through ssh -L",
            )),
            address => Ok(address),
        }
    }

    /// The URL of the collector that receives spans.
    pub(super) fn traces(&self) -> Result<Option<String>, Fault> {
        let url = self.given("traces.endpoint", None).texts.into_iter().next();
        if url.is_some() && cfg!(not(feature = "traces")) {
            return Err(self.fault("traces.endpoint", NO_TRACES));
        }
        match url.as_deref().map(str::parse::<http::Uri>) {
            Some(Ok(url)) if matches!(url.scheme_str(), Some("http" | "https")) => {}
            None => {}
            Some(_) => {
                return Err(self.fault("traces.endpoint", "must be a URL such as http://127.0.0.1:4318/v1/traces"));
            }
        }
        Ok(url)
    }

    /// The trusted proxies.
    pub(super) fn proxies(&self) -> Result<Proxies, Fault> {
        let given = self.given("proxy.trusted", None);
        Proxies::parse(&given.texts).map_err(|wrong| {
            let what = format!("proxy.trusted has {wrong:?}: name addresses, networks such as 10.0.0.0/8, or unix");
            Fault::at(given.origin, what)
        })
    }

    /// The key file that is administered over HTTP.
    pub(super) fn administered(&self) -> Result<Option<PathBuf>, Fault> {
        if self.text("auth.key_administration") != "true" {
            return Ok(None);
        }
        let fault = |what: &str| Err(self.fault("auth.key_administration", what));
        let file = |server| self.given("auth.keys_file", server).texts.into_iter().next();
        let Some(own) = file(None) else { return fault("means nothing without auth.keys_file") };
        if (0..self.servers()).any(|server| file(Some(server)).is_some_and(|other| other != own)) {
            return fault("works on one file, and a [[server]] has another one: give all the same auth.keys_file");
        }
        let local = value::listen(&self.text("listen")).is_some_and(|listen| listen.is_local());
        if !local && self.tls()?.is_none() {
            return fault("would send keys without encryption: set tls.certificate, or listen on a loopback address");
        }
        Ok(Some(own.into()))
    }

    pub(super) fn tls(&self) -> Result<Option<TlsFiles>, Fault> {
        let file = |key: &str| self.given(key, None).texts.into_iter().next().map(PathBuf::from);
        let only_tls13 = self.text("tls.min_version") == "1.3";
        match (file("tls.certificate"), file("tls.key"), file("tls.client_ca")) {
            (Some(certificate), Some(key), client_ca) => Ok(Some(TlsFiles { certificate, key, client_ca, only_tls13 })),
            (None, None, None) if only_tls13 => {
                Err(self.fault("tls.min_version", "means nothing without tls.certificate and tls.key"))
            }
            (None, None, None) => Ok(None),
            (Some(_), None, _) => Err(self.fault("tls.certificate", "needs tls.key as well")),
            (None, Some(_), _) => Err(self.fault("tls.key", "needs tls.certificate as well")),
            (None, None, Some(_)) => Err(self.fault("tls.client_ca", "needs tls.certificate and tls.key as well")),
        }
    }

    pub(super) fn seal(&self) -> Result<Option<Secret<Vec<[u8; 32]>>>, Fault> {
        let [file, keys] = ["seal.key_file", "seal.keys"].map(|key| self.given(key, None));
        let (text, origin) = match (file.texts.is_empty(), keys.texts.into_iter().next()) {
            (true, None) => return Ok(None),
            (true, Some(text)) => (Secret(text), keys.origin),
            (false, None) => (secret::read_file("seal.key_file", &file)?, file.origin),
            (false, Some(_)) => {
                return Err(Fault::at(keys.origin, "excludes seal.key_file: set one of them".to_owned()));
            }
        };
        match secret::keys(&text) {
            Some(keys) => Ok(Some(keys)),
            None => Err(Fault::at(origin, SEAL_KEYS.to_owned())),
        }
    }
}
