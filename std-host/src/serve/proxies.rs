//! Trusted proxies in front of the program, and the client address that they report.

use crate::auth::Proxied;
use crate::budget::Account;
use crate::http::Peer;
use core::net::{IpAddr, SocketAddr};
use http::{HeaderMap, Request};

/// The trusted proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// An address, and the length of its network prefix in bits.
    networks: Vec<(IpAddr, u32)>,
    /// Whether every peer on the Unix socket is a proxy.
    unix: bool,
}

impl Proxies {
    /// Parses the entries of the setting.
    ///
    /// # Errors
    /// The entry that is not an address, a network or `unix`.
    pub fn parse(texts: &[String]) -> Result<Self, String> {
        let mut proxies = Self::default();
        for text in texts {
            match text.as_str() {
                "unix" => proxies.unix = true,
                text => proxies.networks.push(network(text).ok_or(text)?),
            }
        }
        Ok(proxies)
    }

    /// Records the address of the caller in a request from `peer`.
    pub(super) fn introduce<B>(&self, peer: Option<IpAddr>, request: &mut Request<B>) {
        let caller = if self.trust(peer) {
            request.extensions_mut().insert(Proxied);
            // If the proxy does not report a caller, the caller is unknown. The proxy is not the
            // caller: all of its callers would share one rate limit.
            self.caller(request.headers())
        } else {
            peer
        };
        if let Some(caller) = caller {
            request.extensions_mut().insert(Peer(caller));
        }
    }

    /// The account that is charged for a connection from `peer`. It is unknown if `peer` is a
    /// proxy.
    pub(super) fn account(&self, peer: Option<IpAddr>) -> Account {
        if self.trust(peer) { Account::UNKNOWN } else { Account::address(peer) }
    }

    fn trust(&self, peer: Option<IpAddr>) -> bool {
        match peer.map(|peer| peer.to_canonical()) {
            None => self.unix,
            Some(peer) => self.networks.iter().any(|(network, bits)| contains(*network, *bits, peer)),
        }
    }

    /// Returns the caller from `X-Forwarded-For`. Each proxy appends the address of its peer, so
    /// the last address that is not a proxy is the caller. A caller may have made up the addresses
    /// before that.
    fn caller(&self, head: &HeaderMap) -> Option<IpAddr> {
        let lines: Vec<&str> =
            head.get_all("x-forwarded-for").iter().map(|line| line.to_str().ok()).collect::<Option<_>>()?;
        let addresses = lines.iter().rev().flat_map(|line| line.rsplit(',')).map(address);
        let mut last = None;
        for address in addresses {
            last = Some(address?);
            if !self.trust(last) {
                break;
            }
        }
        last
    }
}

/// Parses an address. Some proxies append a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    text.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
}

fn network(text: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits: u32 = bits.unwrap_or(most);
    // IPv4-mapped IPv6 addresses of peers are compared as IPv4, so the network is converted as
    // well.
    match address.to_canonical() {
        _ if bits > most => None,
        canonical @ IpAddr::V4(_) if address.is_ipv6() => Some((canonical, bits.checked_sub(128 - 32)?)),
        canonical => Some((canonical, bits)),
    }
}

fn contains(network: IpAddr, bits: u32, address: IpAddr) -> bool {
    // Shifts out the bits that are not part of the prefix.
    let first = |value: u128, all: u32| value.checked_shr(all - bits).unwrap_or_default();
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            first(network.to_bits().into(), 32) == first(address.to_bits().into(), 32)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => first(network.to_bits(), 128) == first(address.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(texts: &[&str]) -> Proxies {
        Proxies::parse(&texts.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn caller_is_the_last_one_who_is_no_proxy_and_only_a_proxy_can_say_it() {
        let trusted = proxies(&["10.0.0.0/8", "::ffff:192.0.2.0/128", "[::ffff:192.0.2.1]", "fd00::/16"]);
        for (peer, lines, caller) in [
            ("10.1.2.3", &["198.51.100.7"][..], "198.51.100.7"),
            ("10.1.2.3", &["198.51.100.7:4711"], "198.51.100.7"),
            ("10.1.2.3", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.1.2.3", &["6.6.6.6, 198.51.100.7, 10.9.9.9"], "198.51.100.7"),
            ("10.1.2.3", &["6.6.6.6", "198.51.100.7", "fd00::1"], "198.51.100.7"),
            ("10.1.2.3", &["10.4.4.4"], "10.4.4.4"),
            ("10.1.2.3", &["198.51.100.7, nobody"], "unknown"),
            ("10.1.2.3", &[], "unknown"),
            ("::ffff:192.0.2.1", &["198.51.100.7"], "198.51.100.7"),
            ("192.0.2.2", &["198.51.100.7"], "192.0.2.2"),
        ] {
            let mut request = Request::new(());
            for line in lines {
                request.headers_mut().append("x-forwarded-for", line.parse().unwrap());
            }
            trusted.introduce(Some(peer.parse().unwrap()), &mut request);
            let found = request.extensions().get::<Peer>().map(|Peer(address)| address.to_string());
            assert_eq!(found.as_deref().unwrap_or("unknown"), caller, "{peer} {lines:?}");
        }
    }

    #[test]
    fn whoever_comes_by_the_unix_socket_is_a_proxy_where_that_was_said() {
        for (texts, expected) in [(&["unix"][..], true), (&["10.0.0.0/8"], false)] {
            let mut request = Request::new(());
            proxies(texts).introduce(None, &mut request);
            assert_eq!(request.extensions().get::<Proxied>().is_some(), expected);
        }
    }

    #[test]
    fn what_is_no_network_is_named() {
        for text in ["10.0.0.0/33", "10.0.0", "proxy.example", "/8", "10.0.0.0/"] {
            assert_eq!(Proxies::parse(&[text.to_owned()]), Err(text.to_owned()));
        }
    }
}
