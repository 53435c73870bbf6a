//! Values that clients and browsers keep for the server: client ids, consents, codes and refresh tokens.

use crate::sink::Growing;
use attache_core::seal::Key;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt;

/// The kind of a sealed value. A value of one kind is never accepted as one of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Client,
    Consent,
    /// A consent that was given, while the person signs in at another issuer.
    Approved,
    State,
    Nonce,
    Verifier,
    Code,
    Refresh,
    /// A sign-in that is under way on the pages of `sign_in`.
    Attempt,
    /// The session of a person who has signed in on these pages.
    Session,
    /// The URL to which the browser goes after a sign-out.
    SignedOut,
}

impl Purpose {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Client => b"client",
            Self::Consent => b"consent",
            Self::Approved => b"approved",
            Self::State => b"state",
            Self::Nonce => b"nonce",
            Self::Verifier => b"verifier",
            Self::Code => b"code",
            Self::Refresh => b"refresh",
            Self::Attempt => b"attempt",
            Self::Session => b"session",
            Self::SignedOut => b"signed out",
        }
    }
}

/// The seal keys. The first one seals, and all of them open.
pub(crate) struct Seals(Vec<Key>);

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seals").finish_non_exhaustive()
    }
}

/// Bytes of a sealed value in addition to the value: format, time and MAC.
const MARGIN: usize = 64;

impl Seals {
    pub(crate) fn new(keys: impl IntoIterator<Item = [u8; 32]>) -> Self {
        Self(keys.into_iter().map(Key::new).collect())
    }

    /// Seals a value until `expires`, in seconds since 1970. The result can be a part of a URL as it is.
    pub(crate) fn seal(&self, purpose: Purpose, expires: u64, value: &[u8]) -> String {
        self.seal_by(0, purpose, expires, value)
    }

    /// Seals a value with the key of this index. The same values give the same text.
    pub(crate) fn seal_by(&self, index: usize, purpose: Purpose, expires: u64, value: &[u8]) -> String {
        let (mut scratch, mut out) = (vec![0; value.len() + MARGIN], Growing::unlimited());
        if let Some(key) = self.0.get(index) {
            // The buffers have room, so this cannot fail.
            let _ = key.seal(&[b"authorization server", purpose.name()], expires, value, &mut scratch, &mut out);
        }
        let to_url = |byte| match byte {
            b'+' => '-',
            b'/' => '_',
            other => char::from(other),
        };
        out.bytes.into_iter().filter(|byte| *byte != b'=').map(to_url).collect()
    }

    /// Opens a value that was sealed for the same purpose and has not expired. Also returns when it expires.
    pub(crate) fn open(&self, purpose: Purpose, now: u64, sealed: &str) -> Option<(u64, Vec<u8>)> {
        self.open_by(purpose, now, sealed).map(|(_, expires, value)| (expires, value))
    }

    /// As [`open`](Self::open). Also returns the index of the key.
    pub(crate) fn open_by(&self, purpose: Purpose, now: u64, sealed: &str) -> Option<(usize, u64, Vec<u8>)> {
        let from_url = |byte| match byte {
            b'-' => Some(b'+'),
            b'_' => Some(b'/'),
            // One text for one value: the other alphabet is refused.
            other => other.is_ascii_alphanumeric().then_some(other),
        };
        let mut text: Vec<u8> = sealed.bytes().map(from_url).collect::<Option<_>>()?;
        text.resize(text.len().next_multiple_of(4), b'=');
        let mut scratch = vec![0; text.len()];
        self.0.iter().enumerate().find_map(|(index, key)| {
            let binding: [&[u8]; 2] = [b"authorization server", purpose.name()];
            let (expires, value) = key.open_until(&binding, now, &text, &mut scratch)?;
            Some((index, expires, value.to_vec()))
        })
    }
}

/// Reads when a sealed value expires, without checking who has sealed it.
pub(crate) fn claimed_expiry(sealed: &str) -> Option<u64> {
    // The time is behind one byte of format.
    let mut front = [0; 9];
    let read = URL_SAFE_NO_PAD.decode_slice(sealed.get(..12)?, &mut front).ok()?;
    let (_, time) = front.split_first_chunk::<1>()?;
    (read == front.len()).then(|| u64::from_be_bytes(*time.first_chunk().unwrap_or(&[0; 8])))
}

/// Returns random bytes of the operating system.
///
/// # Panics
/// If the operating system has no random numbers: nothing secret can be made then.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has random numbers");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_too_short_has_no_expiry() {
        for text in ["", "AQAAAAAAAAA", "!!!!!!!!!!!!", "äääääää"] {
            assert_eq!(claimed_expiry(text), None, "{text}");
        }
    }

    #[test]
    fn sealed_value_opens_for_its_purpose_in_time_and_under_an_older_key() {
        let old = Seals::new([[1; 32]]);
        for len in 0..8 {
            let value = vec![0xFB; len];
            let sealed = old.seal(Purpose::Code, 100, &value);
            assert!(sealed.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{sealed}");
            assert_eq!(claimed_expiry(&sealed), Some(100));
            let both = Seals::new([[2; 32], [1; 32]]);
            assert_eq!(both.open(Purpose::Code, 100, &sealed), Some((100, value.clone())));
            assert_eq!(both.open(Purpose::Code, 101, &sealed), None, "expired");
            assert_eq!(both.open(Purpose::Refresh, 0, &sealed), None, "another purpose");
            assert_eq!(Seals::new([[2; 32]]).open(Purpose::Code, 0, &sealed), None, "another key");
            assert_eq!(both.open(Purpose::Code, 0, &format!("{sealed}=")), None, "another spelling");
            assert_eq!(both.open(Purpose::Code, 0, &sealed[1..]), None, "a part is missing");
        }
    }
}
