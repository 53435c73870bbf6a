//! Header fields that do not pass the proxy: those of one connection, and those by which a client could pose as the platform or as a
//! proxy.

use http::HeaderMap;
use http::header::{CONNECTION, HeaderName, HeaderValue};

/// Fields of one connection (RFC 9110 §7.6.1), in addition to those that `Connection` names.
const OF_CONNECTION: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Fields that only a proxy, the platform or this program may set. A client that sets them is not believed.
const RESERVED: [&str; 14] = [
    "client-cert",
    "client-cert-chain",
    "client-ip",
    "disguised-host",
    "expect",
    "forwarded",
    // CGI makes it HTTP_PROXY, which HTTP libraries read (CVE-2016-5385).
    "proxy",
    "was-default-hostname",
    "x-functions-key",
    "x-original-host",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// The beginnings of further such fields.
const RESERVED_PREFIXES: [&str; 6] = ["x-ms-", "x-forwarded-", "x-arr-", "x-appservice-", "x-azure-", "x-waws-"];

/// Fields that pass in their own spelling alone: an application that reads others as the same would see a value that nothing has
/// checked.
const OWN_SPELLING: [&str; 9] = [
    "authorization",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "origin",
    "x-forwarded",
    "x-http-method-override",
];

/// The beginning of the names of MCP's fields, which mirror the body of a request.
const MIRRORS: &str = "mcp-";

/// Removes the fields of a request that the client must not set.
pub(super) fn clean_request(fields: &mut HeaderMap) {
    remove_of_connection(fields);
    remove_where(fields, is_reserved);
}

/// Removes the fields of one connection.
pub(super) fn remove_of_connection(fields: &mut HeaderMap) {
    // RFC 9110 §7.6.1: "Intermediaries MUST parse a received Connection header field before a message is forwarded and, for each
    // connection-option in this field, remove any header or trailer field(s) from the message with the same name".
    if fields.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = fields
            .get_all(CONNECTION)
            .iter()
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
            .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
            .collect();
        named.iter().for_each(|name| drop(fields.remove(name)));
    }
    OF_CONNECTION.iter().for_each(|name| drop(fields.remove(*name)));
}

/// Removes the fields with these names.
pub(super) fn remove_where(fields: &mut HeaderMap, is_removed: impl Fn(&str) -> bool) {
    // Most requests have none, and are not copied.
    let removed: Vec<HeaderName> = fields.keys().filter(|name| is_removed(name.as_str())).cloned().collect();
    removed.iter().for_each(|name| drop(fields.remove(name)));
}

fn is_reserved(name: &str) -> bool {
    let is_misspelt = || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    RESERVED.iter().any(|reserved| is_read_as(name, reserved))
        || RESERVED_PREFIXES.iter().any(|prefix| begins_as(name, prefix))
        || is_misspelt()
            && (OWN_SPELLING.iter().chain(&OF_CONNECTION).any(|own| is_read_as(name, own)) || begins_as(name, MIRRORS))
}

/// Whether an application may read both names as the same. CGI (RFC 3875 §4.1.18) and its descendants make `_` of `-`, and some
/// servers make `_` of every other character as well.
fn is_read_as(name: &str, other: &str) -> bool {
    name.len() == other.len() && begins_as(name, other)
}

fn begins_as(name: &str, prefix: &str) -> bool {
    let letter = |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    name.len() >= prefix.len() && name.bytes().zip(prefix.bytes()).all(|(one, other)| letter(one) == other)
}

/// The beginnings of the names of this program's own cookies.
const COOKIES: [&str; 3] = ["attache-", "__host-attache-", "__secure-attache-"];

/// Whether a cookie pair `name=value` or `Set-Cookie` value is for a cookie of this program.
// RFC 6265bis §5.4: a cookie without a name is sent as its value alone, so `=attache-x=1` is read as `attache-x=1`.
pub(super) fn is_own_cookie(pair: &[u8]) -> bool {
    let start = pair.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'=')).unwrap_or(pair.len());
    let name = pair.get(start..).unwrap_or_default();
    COOKIES.iter().any(|own| name.get(..own.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(own.as_bytes())))
}

/// Returns the one field for all cookies of a request, without those of this program. RFC 9113 §8.2.3: HTTP/2 may split the field.
pub(super) fn cookies(fields: &HeaderMap) -> Option<HeaderValue> {
    let pairs =
        fields.get_all(http::header::COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let kept: Vec<&[u8]> =
        pairs.map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty() && !is_own_cookie(pair)).collect();
    if kept.is_empty() { None } else { HeaderValue::from_bytes(&kept.join(&b"; "[..])).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_that_only_the_platform_or_a_proxy_may_set_is_removed_in_every_spelling() {
        for (name, removed) in [
            ("x-ms-client-principal", true),
            ("x_ms_client_principal", true),
            ("x-ms_client-principal-id", true),
            ("x.ms.client.principal", true),
            ("x-ms-token-aad-access-token", true),
            ("x_forwarded_for", true),
            ("forwarded", true),
            ("x-original-url", true),
            ("x_functions_key", true),
            ("proxy", true),
            ("content_length", true),
            ("transfer_encoding", true),
            ("mcp_method", true),
            ("connection", true),
            ("keep-alive", true),
            ("x-listed", true),
            ("content-length", false),
            ("mcp-method", false),
            ("authorization", false),
            ("x-msg", false),
            ("x_own_field", false),
            ("accept", false),
        ] {
            let mut fields = HeaderMap::new();
            fields.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
            if name != "connection" {
                fields.insert(CONNECTION, HeaderValue::from_static("close, X-Listed"));
            }
            clean_request(&mut fields);
            assert_eq!(!fields.contains_key(name), removed, "{name}");
        }
    }

    #[test]
    fn own_cookies_are_taken_out_and_the_others_stay_in_one_field() {
        for (lines, expected) in [
            (&["a=1; b=2"][..], Some("a=1; b=2")),
            (&["a=1", "b=2"], Some("a=1; b=2")),
            (&["attache-s-1=x; a=1;__Host-attache-c-2=y"], Some("a=1")),
            (&["__HOST-ATTACHE-c-2=y"], None),
            (&[], None),
        ] {
            let mut fields = HeaderMap::new();
            for line in lines {
                fields.append("cookie", HeaderValue::from_static(line));
            }
            let found = cookies(&fields);
            assert_eq!(found.as_ref().map(|value| value.to_str().unwrap()), expected, "{lines:?}");
        }
        for (set, own) in
            [("attache-s-1=x; Path=/", true), (" =__Host-attache-c=1", true), ("a=attache-1", false), ("", false)]
        {
            assert_eq!(is_own_cookie(set.as_bytes()), own, "{set}");
        }
    }
}
