//! The session cookie, in as many parts as its size needs.

use super::limits::{PART, PARTS};
use crate::authorization_server::cookie::cookies;
use http::{HeaderMap, HeaderValue};
use std::borrow::Cow;

/// The session cookie of this server.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionCookie {
    pub(super) is_https: bool,
}

impl SessionCookie {
    /// The name of a part. RFC 6265bis §4.1.3.2: browsers accept `__Host-` only with `Secure`, without a domain, and for the whole
    /// host, so that no neighbour can set such a cookie. `Secure` needs https, which a server on loopback may lack.
    const fn name(self, part: usize) -> &'static str {
        const NAMES: [[&str; PARTS]; 2] = [
            ["attache-session", "attache-session-1", "attache-session-2", "attache-session-3"],
            [
                "__Host-attache-session",
                "__Host-attache-session-1",
                "__Host-attache-session-2",
                "__Host-attache-session-3",
            ],
        ];
        NAMES[self.is_https as usize][part]
    }

    /// Returns the value. `None` if a part is missing or repeated.
    pub(super) fn value(self, headers: &HeaderMap) -> Option<Cow<'_, str>> {
        let first = self.part(headers, 0)?;
        let (parts, first) = first.split_once('.')?;
        let parts: usize = parts.parse().ok().filter(|parts| (1..=PARTS).contains(parts))?;
        if parts == 1 {
            return Some(Cow::Borrowed(first));
        }
        let rest: String = (1..parts).map(|part| self.part(headers, part)).collect::<Option<_>>()?;
        Some(Cow::Owned(format!("{first}{rest}")))
    }

    fn part(self, headers: &HeaderMap, part: usize) -> Option<&str> {
        let name = self.name(part);
        let mut values = cookies(headers).filter(|(own, _)| *own == name).map(|(_, value)| value);
        values.next().filter(|_| values.next().is_none())
    }

    /// Returns the fields that set the cookie, and that remove the parts of an older, longer one. `None` if the value is too long.
    pub(super) fn set(self, value: &str, life: u64, headers: &HeaderMap) -> Option<Vec<HeaderValue>> {
        let parts = value.len().div_ceil(PART).max(1);
        if parts > PARTS {
            return None;
        }
        let part = |number: usize| value.get(number * PART..((number + 1) * PART).min(value.len())).unwrap_or_default();
        let set = (0..parts).map(|number| {
            let count = if number == 0 { format!("{parts}.") } else { String::new() };
            format!("{}={count}{}; Max-Age={life}; {}", self.name(number), part(number), self.attributes())
        });
        let fields = set.filter_map(|cookie| HeaderValue::from_str(&cookie).ok());
        Some(fields.chain(self.removed(headers, parts)).collect())
    }

    /// Returns the fields that remove the cookie.
    pub(super) fn ended(self, headers: &HeaderMap) -> Vec<HeaderValue> {
        self.removed(headers, 0).collect()
    }

    /// Removes the parts from this one on that the browser has sent.
    fn removed(self, headers: &HeaderMap, from: usize) -> impl Iterator<Item = HeaderValue> {
        let is_there = move |part: &usize| cookies(headers).any(|(name, _)| name == self.name(*part));
        let removed = move |part| format!("{}=; Max-Age=0; {}", self.name(part), self.attributes());
        (from..PARTS).filter(is_there).map(removed).filter_map(|cookie| HeaderValue::from_str(&cookie).ok())
    }

    const fn attributes(self) -> &'static str {
        match self.is_https {
            true => "Path=/; Secure; HttpOnly; SameSite=Lax",
            false => "Path=/; HttpOnly; SameSite=Lax",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::COOKIE;

    const COOKIES: SessionCookie = SessionCookie { is_https: true };

    fn sent(pairs: &[String]) -> HeaderMap {
        HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(&pairs.join("; ")).expect("a cookie"))])
    }

    /// The pairs that a browser keeps of these fields.
    fn kept(fields: &[HeaderValue]) -> Vec<String> {
        let fields = fields.iter().map(|field| field.to_str().expect("text"));
        fields
            .filter(|field| !field.contains("Max-Age=0"))
            .map(|field| field.split(';').next().expect("a pair").to_owned())
            .collect()
    }

    #[test]
    fn value_of_any_length_comes_back_and_one_that_is_too_long_is_not_set() {
        for len in [0, 1, PART, PART + 1, PART * PARTS] {
            let value: String = (0..len).map(|at| char::from(b'a' + u8::try_from(at % 26).expect("small"))).collect();
            let fields = COOKIES.set(&value, 60, &HeaderMap::new()).expect("it fits");
            for field in &fields {
                let text = field.to_str().expect("text");
                assert!(text.starts_with("__Host-attache-session") && text.len() < 4096, "{text}");
                assert!(text.ends_with("; Max-Age=60; Path=/; Secure; HttpOnly; SameSite=Lax"), "{text}");
            }
            assert_eq!(COOKIES.value(&sent(&kept(&fields))).as_deref(), Some(value.as_str()));
        }
        assert_eq!(COOKIES.set(&"x".repeat(PART * PARTS + 1), 60, &HeaderMap::new()), None);
    }

    #[test]
    fn part_that_is_missing_or_repeated_makes_no_value_and_old_parts_are_removed() {
        let long = kept(&COOKIES.set(&"x".repeat(PART * 2 + 1), 60, &HeaderMap::new()).expect("it fits"));
        assert_eq!(long.len(), 3);
        for missing in 0..3 {
            let mut pairs = long.clone();
            let removed = pairs.remove(missing);
            assert_eq!(COOKIES.value(&sent(&pairs)), None, "without {removed:.30}");
        }
        assert_eq!(COOKIES.value(&sent(&[long.clone(), vec![long[1].clone()]].concat())), None);
        for bad in ["", "x", "0.x", "5.x", "-1.x", "99999999999999999999.x"] {
            assert_eq!(COOKIES.value(&sent(&[format!("__Host-attache-session={bad}")])), None, "{bad}");
        }
        let shorter = COOKIES.set("x", 60, &sent(&long)).expect("it fits");
        let removed = shorter.iter().filter(|field| field.to_str().expect("text").contains("=; Max-Age=0")).count();
        assert_eq!((shorter.len(), removed), (3, 2));
        assert_eq!(COOKIES.ended(&sent(&long)).len(), 3);
    }
}
