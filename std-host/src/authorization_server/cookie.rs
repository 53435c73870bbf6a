//! Cookies of sign-ins that are under way. Each sign-in has its own, so that several tabs do not disturb each other.

use super::limits::CONSENT;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// The cookie of one sign-in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cookie {
    /// A letter for the purpose.
    pub(crate) kind: &'static str,
    /// When the sign-in has begun.
    pub(crate) begun: u64,
    pub(crate) id: [u8; 16],
    pub(crate) is_https: bool,
}

impl Cookie {
    /// The name begins with the time, so that the oldest cookie can be found.
    pub(crate) fn name(&self) -> String {
        let id = URL_SAFE_NO_PAD.encode(&self.id[..6]);
        format!("{}{:010x}-{id}", self.prefix(), self.begun)
    }

    /// The common beginning of the names. RFC 6265bis §4.1.3.2: browsers accept `__Host-` only with `Secure`, without a domain,
    /// and for the whole host, so that no neighbour can set such a cookie. Over plain http on loopback, `Secure` is not possible
    /// in every browser.
    fn prefix(&self) -> String {
        let host = if self.is_https { "__Host-" } else { "" };
        format!("{host}attache-{}-", self.kind)
    }

    /// Returns the fields that set the cookie in a browser with these `headers`. The oldest cookies of this kind beyond `most` are
    /// removed, because browsers and proxies limit the size of all cookies together.
    pub(crate) fn set(&self, value: &str, headers: &HeaderMap, most: usize) -> Vec<HeaderValue> {
        let secure = if self.is_https { " Secure;" } else { "" };
        let attributes = format!("Path=/;{secure} HttpOnly; SameSite=Lax");
        let (name, prefix) = (self.name(), self.prefix());
        let mut open: Vec<_> = cookies(headers).map(|(name, _)| name).collect();
        open.retain(|other| other.starts_with(&prefix) && *other != name);
        open.sort_unstable();
        let too_many = (open.len() + 1).saturating_sub(most);
        let set = format!("{name}={value}; Max-Age={}; {attributes}", CONSENT.as_secs());
        let ended = open.iter().take(too_many).map(|name| format!("{name}=; Max-Age=0; {attributes}"));
        ended.chain([set]).filter_map(|cookie| HeaderValue::from_str(&cookie).ok()).collect()
    }

    /// Returns the field that removes the cookie from the browser.
    pub(crate) fn ended(&self) -> Option<HeaderValue> {
        let secure = if self.is_https { " Secure;" } else { "" };
        HeaderValue::from_str(&format!("{}=; Max-Age=0; Path=/;{secure} HttpOnly; SameSite=Lax", self.name())).ok()
    }

    /// Returns the value, unless the browser has sent two cookies of this name.
    pub(crate) fn value<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let name = self.name();
        let mut values = cookies(headers).filter(|(own, _)| *own == name).map(|(_, value)| value);
        values.next().filter(|_| values.next().is_none())
    }
}

pub(crate) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let fields = headers.get_all(COOKIE).iter().filter_map(|field| field.to_str().ok());
    fields.flat_map(|field| field.split(';')).filter_map(|pair| pair.trim().split_once('='))
}
