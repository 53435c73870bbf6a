//! The program without TLS (feature `tls`): a certificate cannot be had, so nothing is ever asked of one.

use super::config::Tls;
use super::fault::Fault;
use super::system::Reload;
use std::io;

/// There is none.
#[derive(Clone, Debug)]
pub(super) enum Certificate {}

impl Certificate {
    /// # Errors
    /// Always.
    pub(super) fn read(files: &Tls) -> Result<Self, Fault> {
        let [certificate, key] = [&files.certificate, &files.key].map(|file| file.display());
        Err(Fault::of(format!(
            "tls.certificate {certificate} and tls.key {key} are of no use: this program was built without TLS (feature tls)"
        )))
    }

    pub(super) async fn accept<S>(&self, _: S) -> io::Result<S> {
        match *self {}
    }

    pub(super) async fn follow(self, mut reload: Reload) {
        reload.next().await;
        match self {}
    }
}
