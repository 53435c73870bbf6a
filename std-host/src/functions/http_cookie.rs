//! Cookies that functions set.

use super::messages::RpcHttpCookie;
use core::time::Duration;
use http::HeaderValue;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use std::time::UNIX_EPOCH;

/// Bytes that a value of a cookie cannot have (RFC 6265 §4.1.1, `cookie-octet`). The percent sign is among them, so
/// that values can be decoded.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b',').add(b';').add(b'\\').add(b'%');

/// Returns the value of the field `Set-Cookie`, or `None` if the name or an attribute of the cookie is malformed.
pub(super) fn set_cookie(cookie: &RpcHttpCookie) -> Option<HeaderValue> {
    // RFC 6265 §4.1.1: the name is a token of RFC 9110 §5.6.2, as names of methods are.
    http::Method::from_bytes(cookie.name.as_bytes()).ok()?;
    let mut text = format!("{}={}", cookie.name, utf8_percent_encode(&cookie.value, ENCODED));
    let mut add = |name: &str, value: &str| text.push_str(&format!("; {name}={value}"));
    let expires = cookie.expires.as_ref().and_then(|expires| expires.value.as_ref());
    if let Some(expires) = expires {
        let since = Duration::from_secs(u64::try_from(expires.seconds).unwrap_or(0));
        // RFC 9110 §5.6.7: a date has four digits for the year.
        let latest = Duration::from_secs(253_402_300_799);
        add("Expires", &httpdate::fmt_http_date(UNIX_EPOCH + since.min(latest)));
    }
    if let Some(seconds) = cookie.max_age.as_ref().and_then(|age| age.value).filter(|age| age.is_finite()) {
        add("Max-Age", &format!("{:.0}", seconds.trunc()));
    }
    for (name, value) in [("Domain", &cookie.domain), ("Path", &cookie.path)] {
        match value.as_ref().and_then(|value| value.value.as_deref()) {
            // A semicolon would begin another attribute.
            Some(value) if value.contains(';') => return None,
            Some(value) if !value.is_empty() => add(name, value),
            _ => {}
        }
    }
    match cookie.same_site {
        1 => add("SameSite", "Lax"),
        2 => add("SameSite", "Strict"),
        3 => add("SameSite", "None"),
        _ => {}
    }
    for (name, switch) in [("Secure", &cookie.secure), ("HttpOnly", &cookie.http_only)] {
        if switch.as_ref().is_some_and(|switch| switch.value == Some(true)) {
            text.push_str("; ");
            text.push_str(name);
        }
    }
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::messages::{NullableBool, NullableDouble, NullableString, NullableTimestamp, Timestamp};

    fn text(value: &str) -> Option<NullableString> {
        Some(NullableString { value: Some(value.to_owned()) })
    }

    #[test]
    fn cookie_has_its_attributes_in_the_form_of_set_cookie() {
        let plain = RpcHttpCookie { name: "a".to_owned(), value: "b c;\"ä".to_owned(), ..RpcHttpCookie::default() };
        assert_eq!(set_cookie(&plain).expect("a value"), "a=b%20c%3B%22%C3%A4");
        let whole = RpcHttpCookie {
            name: "id".to_owned(),
            value: "7".to_owned(),
            domain: text("app.example"),
            path: text("/x"),
            expires: Some(NullableTimestamp { value: Some(Timestamp { seconds: 784_111_777 }) }),
            secure: Some(NullableBool { value: Some(true) }),
            http_only: Some(NullableBool { value: Some(true) }),
            same_site: 2,
            max_age: Some(NullableDouble { value: Some(60.9) }),
        };
        assert_eq!(
            set_cookie(&whole).expect("a value"),
            "id=7; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Max-Age=60; Domain=app.example; Path=/x; SameSite=Strict; Secure; HttpOnly"
        );
    }

    #[test]
    fn cookie_that_would_break_the_field_is_left_out() {
        let named = |name: &str| RpcHttpCookie { name: name.to_owned(), ..RpcHttpCookie::default() };
        for cookie in [
            named(""),
            named("a b"),
            named("a;b"),
            RpcHttpCookie { path: text("/; Domain=other.example"), ..named("a") },
            RpcHttpCookie { path: text("/\r\nx: y"), ..named("a") },
        ] {
            assert_eq!(set_cookie(&cookie), None, "{cookie:?}");
        }
    }
}
