//! The HTTP client of `attache doctor`. Each request has a connection of its own, follows no
//! redirect, and is bounded in bytes and time.

use bytes::Bytes;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio_rustls::rustls::{self, CertificateError, ClientConfig};
use url::Url;

/// The timeout of a request, from the lookup of the name to the end of the answer.
const REQUEST_TIME: Duration = Duration::from_secs(3);
/// Most bytes of an answer that are read.
const MOST: usize = 256 * 1024;

/// Sends requests, and remembers where to.
#[derive(Debug)]
pub(super) struct Http {
    tls: Arc<ClientConfig>,
    /// Whether documents may name addresses of this machine: the server is on it, too.
    is_local: bool,
    contacted: Vec<String>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// A document of a server elsewhere names an address of this machine.
    Forbidden,
    NameNotFound(String),
    NotReachable(String),
    TooSlow,
    TooLarge,
    TlsNotSpoken(String),
    Untrusted(String),
    Expired(String),
    OtherName(String),
    NotHttp(String),
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forbidden => "is an address of this machine",
            Self::TooSlow => "no answer within three seconds",
            Self::TooLarge => "the answer is too large",
            Self::NameNotFound(why)
            | Self::NotReachable(why)
            | Self::TlsNotSpoken(why)
            | Self::Untrusted(why)
            | Self::Expired(why)
            | Self::OtherName(why)
            | Self::NotHttp(why) => why,
        })
    }
}

/// The part of a body that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Whole,
    /// Up to the first event of a stream; a body that is not a stream is read whole.
    FirstEvent,
    /// Nothing.
    Head,
}

impl Http {
    /// Trusts the authorities of the platform and those in `ca`.
    pub(super) fn new(ca: Option<&Path>, is_local: bool) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut authorities = Vec::new();
        if let Some(file) = ca {
            let failed = |error: &dyn fmt::Display| format!("--ca {}: {error}", file.display());
            for certificate in CertificateDer::pem_file_iter(file).map_err(|error| failed(&error))? {
                authorities.push(certificate.map_err(|error| failed(&error))?);
            }
            if authorities.is_empty() {
                return Err(failed(&"the file has no certificate in PEM"));
            }
        }
        let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(authorities, Arc::clone(&provider))
            .map_err(|error| error.to_string())?;
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self { tls: Arc::new(tls), is_local, contacted: Vec::new() })
    }

    /// The origins to which the doctor connected, in order.
    pub(super) fn contacted(&self) -> &[String] {
        &self.contacted
    }

    pub(super) async fn get(&mut self, url: &Url) -> Result<Answer, NoAnswer> {
        let headers = HeaderMap::from_iter([(header::ACCEPT, http::HeaderValue::from_static("application/json"))]);
        self.send(Method::GET, url, headers, String::new(), Body::Whole).await
    }

    pub(super) async fn send(
        &mut self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: String,
        read: Body,
    ) -> Result<Answer, NoAnswer> {
        timeout(REQUEST_TIME, self.exchanged(method, url, headers, body, read)).await.unwrap_or(Err(NoAnswer::TooSlow))
    }

    async fn exchanged(
        &mut self,
        method: Method,
        url: &Url,
        mut headers: HeaderMap,
        body: String,
        read: Body,
    ) -> Result<Answer, NoAnswer> {
        let until = Instant::now() + REQUEST_TIME - SPARE;
        let (host, authority) = (url.host_str().unwrap_or_default(), authority(url));
        let stream = self.connected(url, host).await?;
        let mut request =
            Request::builder().method(method).uri(&url[url::Position::BeforePath..url::Position::AfterQuery]);
        headers.insert(header::HOST, authority.parse().map_err(|_| NoAnswer::NameNotFound(authority.clone()))?);
        headers.insert(header::CONNECTION, http::HeaderValue::from_static("close"));
        if let Some(all) = request.headers_mut() {
            *all = headers;
        }
        let request =
            request.body(Full::new(Bytes::from(body))).map_err(|error| NoAnswer::NotHttp(error.to_string()))?;
        let io: Box<dyn Stream> = match url.scheme() {
            "https" => Box::new(self.encrypted(stream, host).await?),
            _ => Box::new(stream),
        };
        let not_http = |error: hyper::Error| NoAnswer::NotHttp(causes(&error));
        let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(not_http)?;
        let connection = tokio::spawn(connection);
        let answered = answered(sender.send_request(request).await.map_err(not_http), read, until).await;
        connection.abort();
        answered
    }

    async fn connected(&mut self, url: &Url, host: &str) -> Result<TcpStream, NoAnswer> {
        let port = url.port_or_known_default().unwrap_or(443);
        let unknown = |error: io::Error| NoAnswer::NameNotFound(format!("{host}: {error}"));
        let addresses: Vec<SocketAddr> =
            lookup_host((host.trim_matches(['[', ']']), port)).await.map_err(unknown)?.collect();
        if !self.is_local && addresses.iter().any(|address| is_of_this_machine(address.ip())) {
            return Err(NoAnswer::Forbidden);
        }
        let origin = url.origin().ascii_serialization();
        if !self.contacted.contains(&origin) {
            self.contacted.push(origin);
        }
        let failed = |error: io::Error| NoAnswer::NotReachable(format!("{}: {error}", authority(url)));
        TcpStream::connect(addresses.as_slice()).await.map_err(failed)
    }

    async fn encrypted(&self, stream: TcpStream, host: &str) -> Result<impl Stream + use<>, NoAnswer> {
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|error| NoAnswer::NameNotFound(error.to_string()))?;
        TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await.map_err(|error| tls_problem(&error))
    }
}

/// Time that is left to return what was read of a stream before the timeout of the request.
const SPARE: Duration = Duration::from_millis(500);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

async fn answered(
    response: Result<http::Response<hyper::body::Incoming>, NoAnswer>,
    read: Body,
    until: Instant,
) -> Result<Answer, NoAnswer> {
    let (parts, mut body) = response?.into_parts();
    let mut answer = Answer { status: parts.status, headers: parts.headers, body: Vec::new() };
    if read == Body::Head {
        return Ok(answer);
    }
    let is_stream = answer.is_stream();
    loop {
        let frame = match tokio::time::timeout_at(until, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => return Ok(answer),
            Ok(Some(Err(error))) => return Err(NoAnswer::NotHttp(causes(&error))),
            Err(_) if is_stream => return Ok(answer),
            Err(_) => return Err(NoAnswer::TooSlow),
        };
        if let Some(data) = frame.data_ref() {
            if answer.body.len() + data.len() > MOST {
                return Err(NoAnswer::TooLarge);
            }
            answer.body.extend_from_slice(data);
        }
        if is_stream && read == Body::FirstEvent && answer.messages().next().is_some() {
            return Ok(answer);
        }
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether a list in this header has the word.
    pub(super) fn lists(&self, name: &str, word: &str) -> bool {
        let values = self.headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|listed| listed.trim().eq_ignore_ascii_case(word))
    }

    pub(super) fn has_type(&self, media_type: &str) -> bool {
        let value = self.header("content-type").unwrap_or_default();
        value.split(';').next().is_some_and(|value| value.trim().eq_ignore_ascii_case(media_type))
    }

    pub(super) fn is_stream(&self) -> bool {
        self.has_type("text/event-stream")
    }

    pub(super) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The JSON-RPC messages of the body, which is JSON or a stream of events.
    pub(super) fn messages(&self) -> impl Iterator<Item = serde_json::Value> {
        let text = String::from_utf8_lossy(&self.body).replace("\r\n", "\n");
        let events: Vec<String> = match self.is_stream() {
            false => vec![text],
            true => {
                let (ended, _) = text.rsplit_once("\n\n").unwrap_or_default();
                let data = |event: &str| {
                    let lines = event.lines().filter_map(|line| line.strip_prefix("data:"));
                    lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
                };
                ended.split("\n\n").map(data).collect()
            }
        };
        events.into_iter().filter_map(|event| serde_json::from_str(&event).ok())
    }

    /// The status and the type of the body, for the report.
    pub(super) fn summary(&self) -> String {
        match self.header("content-type") {
            Some(of) => format!("{} with {of}", self.status),
            None => self.status.to_string(),
        }
    }
}

fn tls_problem(error: &io::Error) -> NoAnswer {
    let text = error.to_string();
    let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) else {
        return NoAnswer::TlsNotSpoken(text);
    };
    match error {
        rustls::Error::InvalidCertificate(why) => match why {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => NoAnswer::Expired(text),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                NoAnswer::OtherName(text)
            }
            _ => NoAnswer::Untrusted(text),
        },
        _ => NoAnswer::TlsNotSpoken(text),
    }
}

/// Whether an address means this machine or its network segment, or is the metadata service of a
/// cloud: a server elsewhere has no reason to name it.
fn is_of_this_machine(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            address.is_loopback() || address.is_link_local() || address.is_unspecified() || address.is_multicast()
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unicast_link_local()
                || address.is_unspecified()
                || address.is_multicast()
        }
    }
}

/// The host and the port of a URL, as in the header Host.
fn authority(url: &Url) -> String {
    url[url::Position::BeforeHost..url::Position::AfterPort].to_owned()
}

fn causes(error: &dyn core::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_elsewhere_cannot_name_addresses_of_this_machine() {
        for (address, expected) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("169.254.169.254", true),
            ("fe80::1", true),
            ("0.0.0.0", true),
            ("192.0.2.1", false),
            ("10.0.0.1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_of_this_machine(address.parse().expect("an address")), expected, "{address}");
        }
    }
}
