//! The URL of an endpoint, in the forms that requests need.

use super::connections::Connections;
use crate::client::error::Error;
use crate::sink::Growing;
use attache_core::json::encode_base64;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderValue, Method, Uri};
use percent_encoding::percent_decode_str;
use reqwest::Url;
use std::sync::Arc;

/// An endpoint of a server.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    url: Url,
    /// The URL without user name, password and fragment.
    uri: Uri,
    /// Path and query.
    target: Uri,
    host: HeaderValue,
    /// The credential in the URL.
    user: Option<HeaderValue>,
    pub(super) connections: Arc<Connections>,
}

impl Endpoint {
    /// # Errors
    /// If `url` is not a URL of a web server.
    pub(super) fn new(url: Url) -> Result<Self, Error> {
        let connections = Connections::new(url.scheme() == "https")?;
        Self::on(connections, url)
    }

    /// The endpoint at another URL, with the same connections if the origin is the same.
    ///
    /// # Errors
    /// If `url` is not a URL of a web server.
    pub(super) fn at(&self, url: Url) -> Result<Self, Error> {
        match url.origin() == self.url.origin() {
            true => Self::on(Arc::clone(&self.connections), url),
            false => Self::new(url),
        }
    }

    fn on(connections: Arc<Connections>, url: Url) -> Result<Self, Error> {
        let invalid = || Error::Unreachable(format!("{url}: the URL must begin with http:// or https://"));
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(invalid());
        }
        let mut bare = url.clone();
        bare.set_fragment(None);
        let user = has_user(&url).then(|| basic(&url)).flatten();
        // Both succeed for a URL with a host.
        let _ = (bare.set_username(""), bare.set_password(None));
        let uri: Uri = bare.as_str().parse().map_err(|_| invalid())?;
        let target = uri.path_and_query().map_or_else(Uri::default, |target| Uri::from(target.clone()));
        let host = uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
        Ok(Self { uri, target, host: host.ok_or_else(invalid)?, user, url, connections })
    }

    /// Whether the URL has a credential.
    pub(super) const fn has_user(&self) -> bool {
        self.user.is_some()
    }

    pub(super) const fn url(&self) -> &Url {
        &self.url
    }

    /// The URL to connect to.
    pub(super) const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Makes a request to this endpoint. A credential in `headers` comes before that in the URL.
    pub(super) fn request<B>(&self, method: Method, mut headers: HeaderMap, body: B) -> http::Request<B> {
        headers.insert(HOST, self.host.clone());
        if let Some(user) = &self.user {
            headers.entry(AUTHORIZATION).or_insert_with(|| user.clone());
        }
        let mut request = http::Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = self.target.clone();
        *request.headers_mut() = headers;
        request
    }
}

fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

// RFC 7617 §2: user name and password, separated by a colon.
fn basic(url: &Url) -> Option<HeaderValue> {
    let mut pair = percent_decode_str(url.username()).collect::<Vec<u8>>();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    let mut out = Growing::unlimited();
    out.bytes.extend_from_slice(b"Basic ");
    encode_base64(&pair, &mut out).ok()?;
    let mut value = HeaderValue::from_bytes(&out.bytes).ok()?;
    value.set_sensitive(true);
    Some(value)
}
