//! TLS 1.2 and 1.3. The certificate is reloaded when its files change or on a signal; open
//! connections keep the certificate they began with.

use super::listener::Stream;
use crate::private_file::{self, InvalidFile};
use crate::watched_file::WatchedFiles;
use attache_core::auth::digest;
use attache_core::json::without_mark;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::{fs, io};
use tokio::task::spawn_blocking;
use tokio::time::Duration;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{self, CertificateError, Error, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

/// The files of a certificate and of the authorities for client certificates, in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate of the server, and those between it and its authority.
    pub certificate: PathBuf,
    /// The private key. Its file must not be readable for other users.
    pub key: PathBuf,
    /// The authorities of client certificates; if there are any, a client without such a certificate cannot connect.
    pub client_ca: Option<PathBuf>,
    /// Whether TLS 1.2 is refused.
    pub only_tls13: bool,
}

/// The certificate of new connections. Clones share it; connections that are open keep the one they began with.
#[derive(Clone, Debug)]
pub struct Certificate {
    files: TlsFiles,
    now: Arc<RwLock<Arc<ServerConfig>>>,
}

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    /// The file that cannot be used, the fault, and a remedy.
    pub fn read(files: &TlsFiles) -> Result<Self, InvalidFile> {
        let now = Arc::new(RwLock::new(Arc::new(config(files)?)));
        Ok(Self { files: files.clone(), now })
    }

    /// Performs the TLS handshake with a client.
    ///
    /// # Errors
    /// Why the handshake failed.
    pub(super) async fn accept<S: Stream>(&self, socket: S) -> io::Result<TlsStream<S>> {
        let now = Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner));
        TlsAcceptor::from(now).accept(socket).await
    }

    /// Reads the files again. If they cannot be used, the old certificate stays.
    ///
    /// # Errors
    /// The file that cannot be used, the fault, and a remedy.
    pub async fn reload(&self) -> Result<(), InvalidFile> {
        let files = self.files.clone();
        let fresh = spawn_blocking(move || config(&files)).await;
        let fresh = fresh.unwrap_or_else(|error| Err(InvalidFile::new(error.to_string())))?;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        tracing::info!("TLS certificate reloaded");
        Ok(())
    }

    /// Reloads the files whenever they change, for ever. If they cannot be used, the reason is logged and the old certificate stays.
    pub async fn follow(self) {
        let mut watched = WatchedFiles::new(all(&self.files).map(Path::to_owned).collect(), LOOK);
        let mut seen = content(&self.files);
        loop {
            watched.changed().await;
            let files = self.files.clone();
            let Ok(now) = spawn_blocking(move || content(&files)).await else { continue };
            if now == seen {
                continue;
            }
            seen = now;
            if let Err(fault) = self.reload().await {
                tracing::error!(%fault, "TLS certificate not reloaded, the old one stays in use");
            }
        }
    }
}

/// The interval between checks of the files.
const LOOK: Duration = Duration::from_secs(5);

fn all(files: &TlsFiles) -> impl Iterator<Item = &Path> {
    [&files.certificate, &files.key].into_iter().chain(&files.client_ca).map(PathBuf::as_path)
}

/// The digests of the files' contents. They distinguish a changed file from one that was rewritten
/// with the same content.
fn content(files: &TlsFiles) -> Vec<Option<[u8; 32]>> {
    all(files).map(|file| std::fs::read(file).ok().map(|bytes| digest(&bytes))).collect()
}

fn config(files: &TlsFiles) -> Result<ServerConfig, InvalidFile> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions: &[_] = if files.only_tls13 { &[&rustls::version::TLS13] } else { rustls::ALL_VERSIONS };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| InvalidFile::new(error.to_string()))?;
    // Reads all files first, so that the operator sees the faults of all of them.
    let verifier = files.client_ca.as_deref().map(|file| client_verifier(file, &provider)).transpose();
    let (certificate, key) = (valid_chain(&files.certificate, provider), private_key(&files.key));
    let (verifier, certificate, key) = match (verifier, certificate, key) {
        (Ok(verifier), Ok(certificate), Ok(key)) => (verifier, certificate, key),
        (verifier, certificate, key) => {
            let faults = [certificate.err(), key.err(), verifier.err()];
            return Err(faults.iter().flatten().flat_map(InvalidFile::causes).cloned().collect());
        }
    };
    let builder = match verifier {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(verifier),
    };
    let mut config = builder.with_single_cert(certificate, key).map_err(|error| fault(&files.certificate, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn client_verifier(file: &Path, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, InvalidFile> {
    let mut roots = RootCertStore::empty();
    for authority in chain(file)? {
        roots.add(authority).map_err(|error| fault(file, &error))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
    verifier.map_err(|error| fault(file, &error))
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, InvalidFile> {
    private_file::check("the private key", file)?;
    let key = fs::read(file).map_err(|error| fault(file, &error))?;
    PrivateKeyDer::from_pem_slice(without_mark(&key)).map_err(|error| match error {
        pem::Error::NoItemsFound => fault(file, &"there is no PEM private key in it"),
        error => fault(file, &error),
    })
}

fn valid_chain(file: &Path, provider: Arc<CryptoProvider>) -> Result<Vec<CertificateDer<'static>>, InvalidFile> {
    let certificate = chain(file)?;
    match certificate.first().and_then(|leaf| outside_validity(leaf, provider)) {
        Some(why) => Err(fault(file, &why)),
        None => Ok(certificate),
    }
}

/// Returns why clients would refuse a certificate today, if it has expired or is not valid yet.
fn outside_validity(leaf: &CertificateDer<'static>, provider: Arc<CryptoProvider>) -> Option<&'static str> {
    // The verifier checks validity first, so it does not matter that the certificate has not signed
    // itself.
    let mut roots = RootCertStore::empty();
    roots.add(leaf.clone()).ok()?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().ok()?;
    let anybody = ServerName::try_from("localhost").ok()?;
    match verifier.verify_server_cert(leaf, &[], &anybody, &[], UnixTime::now()) {
        Err(Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
            Some("it has expired: renew it")
        }
        Err(Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. })) => {
            Some("it is not valid yet: is the clock right?")
        }
        _ => None,
    }
}

fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, InvalidFile> {
    let text = fs::read(file).map_err(|error| fault(file, &error))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(without_mark(&text)).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(fault(file, &io::Error::other("there is no PEM certificate in it"))),
        Ok(chain) => Ok(chain),
        Err(error) => Err(fault(file, &error)),
    }
}

fn fault(file: &Path, error: &dyn core::fmt::Display) -> InvalidFile {
    InvalidFile::new(format!("TLS: {} cannot be used: {error}", file.display()))
}
