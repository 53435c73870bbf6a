//! Parsers for the written form of settings.

use super::settings::Kind;
use attache_host::Rate;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::path::PathBuf;

/// The address or Unix socket where the program listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Listen {
    /// Whether only this machine can connect.
    pub(crate) fn is_local(&self) -> bool {
        self.address().is_none_or(|address| address.ip().is_loopback())
    }

    /// The authority of URLs. `None` for a Unix socket.
    pub(crate) const fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The value of `limits.rate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rates {
    Auto,
    Off,
    Of(Rate),
}

pub(super) fn listen(text: &str) -> Option<Listen> {
    match text.strip_prefix("unix:") {
        Some("") => None,
        Some(path) => Some(Listen::Unix(path.into())),
        None => text.parse().ok().map(Listen::Tcp),
    }
}

/// Parses a path in the form of a request target (RFC 3986 §3.3). No request can match a path with
/// other characters or with dot segments.
pub(super) fn path(text: &str) -> Option<&str> {
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        rest = match (first, others) {
            (b'%', [high, low, others @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => others,
            (byte, others) if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(byte) => others,
            _ => return None,
        };
    }
    let has_dots = text.split('/').any(|segment| matches!(segment, "." | ".."));
    (text.starts_with('/') && !has_dots).then_some(text)
}

/// Parses file permissions in octal digits.
pub(super) fn mode(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o777 && !digits.starts_with('+'))
}

pub(super) fn size(text: &str) -> Option<usize> {
    let (number, unit) = split(text);
    let unit = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(unit)
}

pub(super) fn time(text: &str) -> Option<Duration> {
    let (number, unit) = split(text);
    let number: u32 = number.parse().ok()?;
    let unit = match unit {
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "min" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        _ => return None,
    };
    Some(unit * number)
}

/// Reads the value of a flag that is a duration.
///
/// # Errors
/// A text that is not a duration.
pub(crate) fn life(text: &str) -> Result<Duration, String> {
    time(text).ok_or_else(|| format!("{text:?} is not a duration such as 90s, 10min or 1h"))
}

pub(super) fn rate(text: &str) -> Option<Rates> {
    match text {
        "auto" => Some(Rates::Auto),
        "off" => Some(Rates::Off),
        _ => {
            let (per_second, burst) = text.split_once('/')?;
            let [per_second, burst] = [per_second.parse().ok()?, burst.parse().ok()?];
            (per_second > 0 && burst > 0).then_some(Rates::Of(Rate { per_second, burst }))
        }
    }
}

fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len()))
}

impl Kind {
    /// Whether `text` has the form of values of this kind.
    pub(super) fn takes(self, text: &str) -> bool {
        match self {
            Self::Listen => listen(text).is_some(),
            Self::Address => text.parse::<SocketAddr>().is_ok(),
            Self::Path => path(text).is_some(),
            Self::Size => size(text).is_some(),
            // A limit of 0 would refuse every request.
            Self::Count => text.parse::<usize>().is_ok_and(|number| number > 0),
            Self::Time => time(text).is_some_and(|time| !time.is_zero()),
            Self::Span => time(text).is_some(),
            Self::File => !text.is_empty(),
            Self::Mode => mode(text).is_some(),
            Self::Text => !text.trim().is_empty(),
            Self::List(_) | Self::Secret => true,
            Self::Rate => rate(text).is_some(),
            Self::Switch => matches!(text, "true" | "false"),
            Self::Choice(choices) => choices.contains(&text),
        }
    }

    /// Says what a value must be, for the error about an invalid one.
    pub(super) fn wanted(self) -> String {
        let words = match self {
            Self::Listen => "an address and port, such as 127.0.0.1:8080, or unix:/run/attache.sock",
            Self::Address => "an address and port, such as 127.0.0.1:9090",
            Self::Path => {
                "a path such as /mcp: it begins with /, other characters than A-Z a-z 0-9 - . _ ~ ! $ & ' ( ) * + , ; = : @ are \
                 percent-encoded, and no segment is . or .."
            }
            Self::Size => "a number of bytes, such as 4MiB, 64KiB or 100",
            Self::Count => "a whole number above 0",
            Self::Time => "a time, such as 500ms, 30s or 5min",
            Self::Span => "a time, such as 0s, 30s or 5min",
            Self::File => "the path of a file",
            Self::Mode => "permissions in octal digits, such as 660 or 600",
            Self::Text | Self::Secret => "a text that is not empty",
            Self::List(_) => "a list of texts",
            Self::Rate => "SECOND/BURST, such as 50/200, or off, or auto",
            Self::Switch => "true or false",
            Self::Choice(choices) => return format!("one of {}", choices.join(", ")),
        };
        words.to_owned()
    }

    /// The placeholder for a value in the help.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Listen | Self::Address => "ADDR",
            Self::Path => "PATH",
            Self::Size => "BYTES",
            Self::Count => "N",
            Self::Time | Self::Span => "TIME",
            Self::File => "FILE",
            Self::Mode => "MODE",
            Self::Text | Self::Secret => "TEXT",
            Self::List(_) => "LIST",
            Self::Rate => "RATE",
            Self::Switch => "BOOL",
            Self::Choice(_) => "WORD",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_is_taken_as_it_is_documented_and_nothing_else_is() {
        for (kind, good, bad) in [
            (Kind::Listen, &["127.0.0.1:0", "[::1]:80", "unix:/a"][..], &["nowhere", "unix:", "80"][..]),
            (
                Kind::Path,
                &["/", "/a/b", "/:a", "/*", "/a%20b"],
                &["a", "", "/{x}", "/a b", "/ä", "/%2", "/%zz", "/a/../b", "/.", "/a?b", "/a#b"],
            ),
            (Kind::Mode, &["660", "0600", "0o600"], &["", "888", "1777", "rw", "+60", "-1"]),
            (Kind::Text, &["a b"], &["", " "]),
            (Kind::Size, &["0", "10", "4MiB", "1GiB"], &["", "4MB", "-1", "MiB", "99999999999GiB"]),
            (Kind::Count, &["1"], &["0", "-1", "x", "1.5"]),
            (Kind::Time, &["1ms", "5min", "1h"], &["5", "0s", "s", "1.5s"]),
            (Kind::Span, &["0s", "1ms", "5min"], &["0", "-1s", "s"]),
            (Kind::Rate, &["off", "auto", "1/1"], &["1", "0/1", "1/0", "/"]),
            (Kind::Switch, &["true", "false"], &["yes"]),
            (Kind::Choice(&["a", "b"]), &["a"], &["c", ""]),
        ] {
            assert!(good.iter().all(|text| kind.takes(text)), "{kind:?}");
            assert!(!bad.iter().any(|text| kind.takes(text)), "{kind:?}");
        }
    }
}
