//! The head of a request as the application gets it.

use super::fields::{clean_request, cookies};
use super::principal::describe;
use super::upstream::Origin;
use crate::auth::{Caller, Proxied};
use crate::functions::fresh_id;
use crate::http::{OverTls, Peer};
use http::header::{AUTHORIZATION, CONNECTION, COOKIE, HOST, HeaderName, HeaderValue, TE, UPGRADE, VIA};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Extensions, HeaderMap, Request, Version};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const INVOCATION_ID: HeaderName = HeaderName::from_static("x-ms-invocation-id");

/// The parts of a request that pass to the application only if the operator says so.
#[derive(Clone, Debug, Default)]
pub(super) struct Passing {
    pub(super) authorization: bool,
    pub(super) host: bool,
    /// Whether `?code=` is a key of this program.
    pub(super) key_in_query: bool,
}

/// Makes the request to the application from the head of the client's request. `upgrade` is the protocol to which the client wants to
/// switch. `None` if the target cannot be sent.
pub(super) fn outgoing(
    mut head: Parts,
    upgrade: Option<HeaderValue>,
    to: &Origin,
    passing: &Passing,
) -> Option<Request<()>> {
    let path = head.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    let path = if passing.key_in_query { without_key(path)? } else { path };
    let mut request = Request::new(());
    *request.method_mut() = head.method;
    *request.uri_mut() = to.uri(path)?;
    *request.version_mut() = Version::HTTP_11;
    // HTTP/2 has the host in the target.
    let host = head.headers.get(HOST).cloned();
    let host = host.or_else(|| HeaderValue::from_str(head.uri.authority()?.as_str()).ok());
    let origin = OriginOfClient::of(&head.headers, &head.extensions, host.clone());
    let takes_trailers = head.headers.get_all(TE).iter().any(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    let fields = &mut head.headers;
    clean_request(fields);
    if !passing.authorization {
        fields.remove(AUTHORIZATION);
    }
    if fields.contains_key(COOKIE) {
        match cookies(fields) {
            Some(cookies) => drop(fields.insert(COOKIE, cookies)),
            None => drop(fields.remove(COOKIE)),
        }
    }
    fields.insert(HOST, host.filter(|_| passing.host).unwrap_or_else(|| to.host.clone()));
    origin.set(fields);
    // RFC 9110 §7.6.3: a gateway adds itself to each request.
    fields.append(VIA, HeaderValue::from_static(via(head.version)));
    if let Some(protocol) = upgrade {
        fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        fields.insert(UPGRADE, protocol);
    }
    if takes_trailers {
        fields.insert(TE, HeaderValue::from_static("trailers"));
    }
    if let Ok(id) = HeaderValue::from_str(&fresh_id()) {
        fields.insert(INVOCATION_ID, id);
    }
    if let Some(caller) = head.extensions.get::<Caller>() {
        describe(caller, fields);
    }
    *request.headers_mut() = head.headers;
    Some(request)
}

const fn via(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2 attache",
        Version::HTTP_10 => "1.0 attache",
        _ => "1.1 attache",
    }
}

/// The way by which the client has reached this program, for the fields `X-Forwarded-*`.
struct OriginOfClient {
    address: Option<HeaderValue>,
    host: Option<HeaderValue>,
    proto: HeaderValue,
}

impl OriginOfClient {
    /// Reads the head before it is cleaned. The statements of a trusted proxy are believed.
    fn of(fields: &HeaderMap, extensions: &Extensions, host: Option<HeaderValue>) -> Self {
        let by_proxy = |name: &HeaderName| {
            let mut values = fields.get_all(name).iter().filter(|_| extensions.get::<Proxied>().is_some());
            values.next().filter(|_| values.next().is_none()).cloned()
        };
        let scheme = if extensions.get::<OverTls>().is_some() { "https" } else { "http" };
        let address =
            extensions.get::<Peer>().and_then(|Peer(address)| HeaderValue::from_str(&address.to_string()).ok());
        Self {
            address,
            host: by_proxy(&FORWARDED_HOST).or(host),
            proto: by_proxy(&FORWARDED_PROTO).unwrap_or(HeaderValue::from_static(scheme)),
        }
    }

    fn set(self, fields: &mut HeaderMap) {
        fields.insert(FORWARDED_PROTO, self.proto);
        if let Some(host) = self.host {
            fields.insert(FORWARDED_HOST, host);
        }
        if let Some(address) = self.address {
            fields.insert(FORWARDED_FOR, address);
        }
    }
}

/// Returns the target without the parameter that holds a key.
fn without_key(target: PathAndQuery) -> Option<PathAndQuery> {
    let Some(query) = target.query() else { return Some(target) };
    let kept: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("code=")).collect();
    let text = if kept.is_empty() { target.path().to_owned() } else { format!("{}?{}", target.path(), kept.join("&")) };
    text.parse().ok()
}

/// The protocol to which the client wants to switch: RFC 9110 §7.8, a client sends `Upgrade` together with `Connection: upgrade`, in
/// HTTP/1.1 alone.
pub(super) fn upgrade(head: &Parts) -> Option<HeaderValue> {
    let mut protocols = head.headers.get_all(UPGRADE).iter();
    let protocol = protocols.next().filter(|_| protocols.next().is_none())?;
    let options = head.headers.get_all(CONNECTION).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let is_asked = options.map(<[u8]>::trim_ascii).any(|option| option.eq_ignore_ascii_case(b"upgrade"));
    // RFC 9113 §8.6 and RFC 7540 §3.2: h2c would hide further requests from the checks.
    let is_http = protocol.as_bytes().iter().all(|byte| *byte == b',') || is_http(protocol.as_bytes());
    (is_asked && !is_http && head.version == Version::HTTP_11).then(|| protocol.clone())
}

/// Whether one of the protocols is a version of HTTP.
fn is_http(protocols: &[u8]) -> bool {
    protocols.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).any(|protocol| {
        let begins = |name: &[u8]| protocol.get(..name.len()).is_some_and(|own| own.eq_ignore_ascii_case(name));
        begins(b"h2") || begins(b"h3") || begins(b"http") || begins(b"tls")
    })
}
