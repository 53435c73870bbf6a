//! Restricts where an issuer may send the server (SSRF protection): the URLs in its metadata, and
//! the addresses that their names resolve to.

use attache_core::http::LOOPBACK;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The places to which one issuer may send the server. The issuer's own host, which the operator
/// has named, is trusted more than hosts named by the issuer: an issuer elsewhere must not reach
/// services on this machine or the metadata service of a cloud.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    /// The issuer's host as the operator wrote it, without brackets.
    host: String,
    /// Whether the issuer uses plain http, which is only allowed on this machine.
    is_plain: bool,
    /// Whether the issuer's host is a loopback name or address.
    is_local: bool,
    /// Whether addresses of private networks are refused.
    is_public: bool,
}

impl Reach {
    /// Returns the allowed places for the issuer at this URL, or `None` if the URL is neither
    /// `https` nor `http` on this machine.
    pub(crate) fn of(issuer: &str) -> Option<Self> {
        let url = Url::parse(issuer).ok()?;
        let host = bare(url.host_str()?).to_owned();
        let is_local =
            LOOPBACK.iter().any(|name| bare(name) == host) || address(&host).is_some_and(|host| host.is_loopback());
        let is_plain = match url.scheme() {
            "https" => false,
            "http" if is_local => true,
            _ => return None,
        };
        Some(Self { host, is_plain, is_local, is_public: false })
    }

    /// The places to which a URL that a client has chosen may lead: the public Internet, and this machine if `with_loopback` is set.
    #[cfg(feature = "authorization-server")]
    pub(crate) const fn public(with_loopback: bool) -> Self {
        Self { host: String::new(), is_plain: with_loopback, is_local: with_loopback, is_public: true }
    }

    /// Whether the issuer's host is a loopback name or address.
    pub(crate) const fn is_local(&self) -> bool {
        self.is_local
    }

    /// Whether the server may request this URL. It is parsed by the same parser as in the HTTP
    /// client, which knows all forms of an address, such as `2130706433` and `0x7f.1`.
    pub(crate) fn allows(&self, url: &str) -> bool {
        let Ok(url) = Url::parse(url) else { return false };
        let Some(host) = url.host_str().map(bare) else { return false };
        let by_scheme = match url.scheme() {
            "https" => true,
            // Names are judged by the addresses that they resolve to; the hosts file comes first.
            "http" => self.is_plain && Self::of(url.as_str()).is_some(),
            _ => false,
        };
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        by_scheme && !has_credentials && address(host).is_none_or(|address| self.allows_address(host, address))
    }

    /// Whether the server may connect to this address of `host`.
    fn allows_address(&self, host: &str, address: IpAddr) -> bool {
        match meant(address) {
            address if address.is_loopback() => self.is_local || host == self.host,
            _ if LOOPBACK.iter().any(|name| bare(name) == host) => false,
            address if self.is_public && is_private(address) => false,
            IpAddr::V4(address) => !is_special(address),
            IpAddr::V6(address) => {
                let is_metadata = METADATA_V6.contains(&address);
                let is_special = address.is_unicast_link_local() || address.is_unspecified() || address.is_multicast();
                !is_special && !is_metadata
            }
        }
    }
}

/// Whether an address is of a private network.
const fn is_private(address: IpAddr) -> bool {
    match address {
        // RFC 6598 §7: 100.64/10 is between a provider and its customers.
        IpAddr::V4(address) => address.is_private() || matches!(address.octets(), [100, 64..=127, ..]),
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

/// Whether an address is reserved, or means a different machine depending on where it is used.
fn is_special(address: Ipv4Addr) -> bool {
    // RFC 791 §3.2 and RFC 1122 §3.2.1.3: network 0 is this network; RFC 1112 §4: 240/4 is reserved.
    let is_reserved = matches!(address.octets(), [0 | 240.., ..]);
    let is_metadata = METADATA_V4.contains(&address);
    is_reserved || is_metadata || address.is_link_local() || address.is_multicast() || address.is_broadcast()
}

/// The metadata services of clouds other than 169.254.169.254: Azure's host and Alibaba Cloud.
const METADATA_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(100, 100, 100, 200)];
/// The metadata service of Amazon EC2.
const METADATA_V6: [Ipv6Addr; 1] = [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)];

/// Returns the IPv4 address embedded in an IPv6 address, or the address itself. There are several
/// ways to embed one.
fn meant(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let inner = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        // The loopback and the unspecified address do not embed an IPv4 address.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => address,
        // RFC 4291 §2.5.5: compatible and mapped addresses. RFC 6052 §2.1 and RFC 8215: translated
        // ones.
        [0, 0, 0, 0, 0, 0 | 0xFFFF, high, low]
        | [0x64, 0xFF9B, 0, 0, 0, 0, high, low]
        | [0x64, 0xFF9B, 1, _, _, _, high, low] => inner(high, low),
        // RFC 3056 §2: 6to4.
        [0x2002, high, low, ..] => inner(high, low),
        _ => address,
    }
}

/// Parses the host of a URL as an address. The URL parser has already normalized it.
fn address(host: &str) -> Option<IpAddr> {
    host.parse().ok()
}

/// Removes the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.trim_matches(['[', ']'])
}

/// The error for a name that resolves to forbidden addresses only.
#[derive(Debug)]
struct Forbidden(String);

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has only addresses to which an issuer must not send this server", self.0)
    }
}

impl core::error::Error for Forbidden {}

/// The DNS resolver of the HTTP client. It connects only to the addresses that were checked, so a
/// second lookup cannot return different ones (DNS rebinding).
impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.clone();
        Box::pin(async move {
            let host = name.as_str().trim_end_matches('.').to_ascii_lowercase();
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|found| reach.allows_address(&host, found.ip())).collect();
            if allowed.is_empty() {
                return Err(Forbidden(host).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuer_must_use_https_or_http_on_this_machine() {
        for (issuer, allowed) in [
            ("https://id.example/tenant", true),
            ("https://10.0.0.1", true),
            ("https://localhost:8443", true),
            ("https://127.0.0.1", true),
            ("http://localhost:8080", true),
            ("http://127.0.0.1/realms/a", true),
            ("http://[::1]:8080", true),
            ("http://2130706433", true), // 127.0.0.1
            ("http://id.example", false),
            ("http://localhost.evil.example", false),
            ("http://10.0.0.1", false),
            ("https://169.254.169.254", false),
            ("ftp://id.example", false),
            ("id.example", false),
            ("https://user:word@id.example", false),
        ] {
            assert_eq!(Reach::of(issuer).is_some_and(|reach| reach.allows(issuer)), allowed, "{issuer}");
        }
    }

    #[test]
    fn remote_issuer_cannot_send_the_server_to_loopback_link_local_or_metadata_addresses() {
        let reach = Reach::of("https://id.example").expect("an issuer");
        for url in [
            "https://id.example/keys",
            "https://keys.other.example/keys",
            "https://10.0.0.1/keys",
            "https://[2001:db8::1]/keys",
        ] {
            assert!(reach.allows(url), "{url}");
        }
        for host in [
            "127.0.0.1",
            "127.9.9.9",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "127.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b:1::7f00:1]",
            "[2002:7f00:1::]",
            "169.254.169.254",
            "2852039166", // 169.254.169.254
            "0xa9fea9fe",
            "[::ffff:169.254.169.254]",
            "[64:ff9b::a9fe:a9fe]",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "168.63.129.16",
            "100.100.100.200",
            "0.0.0.0",
            "0",
            "0.1.2.3",
            "[::]",
            "224.0.0.1",
            "[ff02::1]",
            "255.255.255.255",
            "240.0.0.1",
            "user@id.example",
        ] {
            assert!(!reach.allows(&format!("https://{host}/keys")), "{host}");
            assert!(!reach.allows(&format!("http://{host}/keys")), "{host}");
        }
        for url in ["http://id.example/keys", "http://localhost/keys", "file:///etc/passwd", "/keys", ""] {
            assert!(!reach.allows(url), "{url}");
        }
    }

    #[test]
    fn issuer_on_this_machine_may_send_the_server_to_this_machine() {
        let plain = Reach::of("http://localhost:8080").expect("an issuer");
        for (url, allowed) in [
            ("http://localhost:8080/keys", true),
            ("http://127.0.0.1:9090/keys", true),
            ("https://localhost/keys", true),
            ("https://id.example/keys", true),
            ("http://id.example/keys", false),
            ("http://169.254.169.254/keys", false),
        ] {
            assert_eq!(plain.allows(url), allowed, "{url}");
        }
        let secure = Reach::of("https://localhost").expect("an issuer");
        assert!(secure.allows("https://127.0.0.1/keys") && !secure.allows("http://127.0.0.1/keys"));
    }

    #[cfg(feature = "authorization-server")]
    #[test]
    fn url_of_a_client_leads_to_the_public_internet_alone_or_to_this_machine_if_that_is_allowed() {
        for (url, public, with_loopback) in [
            ("https://client.example/a", true, true),
            ("https://192.0.2.1/a", true, true),
            ("https://10.0.0.1/a", false, false),
            ("https://172.16.0.1/a", false, false),
            ("https://192.168.0.1/a", false, false),
            ("https://100.64.0.1/a", false, false),
            ("https://[fd00::1]/a", false, false),
            ("https://[::ffff:10.0.0.1]/a", false, false),
            ("https://169.254.169.254/a", false, false),
            ("https://127.0.0.1/a", false, true),
            ("http://127.0.0.1/a", false, true),
            ("http://client.example/a", false, false),
        ] {
            assert_eq!(Reach::public(false).allows(url), public, "{url}");
            assert_eq!(Reach::public(true).allows(url), with_loopback, "{url}");
        }
    }

    #[test]
    fn address_of_a_resolved_name_is_judged_like_one_in_the_url() {
        let at = |issuer: &str, host: &str, address: &str| {
            let reach = Reach::of(issuer).expect("an issuer");
            reach.allows_address(host, address.parse().expect("an address"))
        };
        for (issuer, host, address, allowed) in [
            ("https://id.example", "keys.example", "192.0.2.1", true),
            ("https://id.example", "keys.example", "10.0.0.1", true),
            ("https://id.example", "keys.example", "127.0.0.1", false),
            ("https://id.example", "keys.example", "::ffff:127.0.0.1", false),
            ("https://id.example", "keys.example", "169.254.169.254", false),
            // The operator has named this host, which may be on this machine under its own name.
            ("https://id.example", "id.example", "127.0.0.1", true),
            ("https://id.example", "id.example", "169.254.169.254", false),
            ("http://localhost", "localhost", "127.0.0.1", true),
            ("http://localhost", "localhost", "::1", true),
            ("http://localhost", "localhost", "192.0.2.1", false),
        ] {
            assert_eq!(at(issuer, host, address), allowed, "{issuer}: {host} is {address}");
        }
    }

    #[tokio::test]
    async fn name_whose_addresses_are_all_forbidden_is_not_connected_to() {
        let name = || "localhost".parse::<Name>().expect("a name");
        let reach = Reach::of("https://id.example").expect("an issuer");
        let refused = reach.resolve(name()).await.err().expect("it is of this machine");
        assert!(refused.to_string().contains("must not send"), "{refused}");
        let reach = Reach::of("http://localhost").expect("an issuer");
        assert!(reach.resolve(name()).await.expect("addresses").all(|found| found.ip().is_loopback()));
    }
}
