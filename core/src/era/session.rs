//! Legacy sessions: the result of a handshake. Over HTTP it is stored in the session id itself,
//! sealed with the server's key (feature `seal`). Every process with that key can open it, so the
//! server stores nothing for a session that only makes calls.

use super::{Client, Version};
#[cfg(feature = "seal")]
use crate::{
    json::{Full, Sink, Slice},
    limits,
    seal::Key,
};

/// A legacy session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Session {
    /// The negotiated revision, a legacy one.
    pub version: Version,
    /// The capabilities of the client.
    pub client: Client,
    /// A name that distinguishes the session from all others.
    pub name: [u8; 16],
    /// The process that opened the session. Only that process has the state stored for it.
    pub home: [u8; 4],
    /// The expiry time: the session is valid until this second since 1970, inclusive.
    pub ends: u64,
}

#[cfg(feature = "seal")]
impl Session {
    /// Writes the value of `Mcp-Session-Id`, which only the caller with the identity `who` can use.
    ///
    /// MCP 2025-11-25 basic/transports, "Session Management": visible ASCII. MCP security best
    /// practices: it cannot be guessed and is bound to the user.
    ///
    /// # Errors
    /// [`Full`] if `out` is too small: the id has [`SESSION_ID`](limits::SESSION_ID) characters.
    pub fn seal(&self, key: &Key, who: &[u8], out: &mut dyn Sink) -> Result<(), Full> {
        let mut value = [0; VALUE];
        let mut parts = Slice::new(&mut value);
        parts.put(&[number(self.version), self.client.bits()])?;
        parts.put(&self.home)?;
        parts.put(&self.name)?;
        key.seal(&[USE, who], self.ends, parts.written(), &mut [0; VALUE + 41], out)
    }

    /// Opens a session id that one of `keys` has sealed for this caller and that has not expired at
    /// `now`.
    ///
    /// Returns `None` for every fault, so that unknown, forged, foreign and expired ids cannot be
    /// told apart.
    pub fn open(keys: &[Key], who: &[u8], now: u64, id: &[u8]) -> Option<Self> {
        if id.len() != limits::SESSION_ID {
            return None;
        }
        keys.iter().find_map(|key| {
            let mut scratch = [0; VALUE + 41];
            let (ends, value) = key.open_until(&[USE, who], now, id, &mut scratch)?;
            let (&[version, client, h0, h1, h2, h3], name) = value.split_first_chunk()?;
            Some(Self {
                version: named(version)?,
                client: Client::of_bits(client),
                name: *name.first_chunk()?,
                home: [h0, h1, h2, h3],
                ends,
            })
        })
    }
}

/// Bytes of a session in its id: revision, capabilities, process, name.
#[cfg(feature = "seal")]
const VALUE: usize = 22;

/// The purpose of the sealed value, so that a value sealed for another purpose is not accepted.
#[cfg(feature = "seal")]
const USE: &[u8] = b"session";

/// Returns the number that encodes a legacy revision in a session id.
#[cfg(feature = "seal")]
const fn number(version: Version) -> u8 {
    match version {
        Version::V2024_11_05 => 1,
        Version::V2025_03_26 => 2,
        Version::V2025_06_18 => 3,
        Version::V2025_11_25 => 4,
        Version::V2026_07_28 => 0,
    }
}

#[cfg(feature = "seal")]
const fn named(number: u8) -> Option<Version> {
    match number {
        1 => Some(Version::V2024_11_05),
        2 => Some(Version::V2025_03_26),
        3 => Some(Version::V2025_06_18),
        4 => Some(Version::V2025_11_25),
        _ => None,
    }
}

#[cfg(all(test, feature = "seal"))]
mod tests {
    use super::*;

    const SESSION: Session = Session {
        version: Version::V2025_06_18,
        client: Client::ROOTS.and(Client::FORMS),
        name: [7; 16],
        home: [1, 2, 3, 4],
        ends: 1000,
    };

    fn sealed(key: &Key, who: &[u8]) -> [u8; limits::SESSION_ID] {
        let mut buffer = [0; limits::SESSION_ID];
        SESSION.seal(key, who, &mut Slice::new(&mut buffer)).unwrap();
        buffer
    }

    #[test]
    fn session_opens_for_its_caller_with_a_live_key_before_its_end_and_unchanged() {
        let [old, new, other] = [1, 2, 3].map(|byte| Key::new([byte; 32]));
        let id = sealed(&old, b"alice");
        let both = [new, old];
        assert!(id.iter().all(|byte| matches!(byte, 0x21..=0x7e)));
        assert_eq!(Session::open(&both, b"alice", 1000, &id), Some(SESSION));
        assert_eq!(Session::open(&both, b"alice", 1001, &id), None, "ended");
        assert_eq!(Session::open(&both, b"bob", 1000, &id), None, "another caller");
        assert_eq!(Session::open(&both, b"", 1000, &id), None, "an anonymous one");
        assert_eq!(Session::open(&[other], b"alice", 1000, &id), None, "another key");
        assert_eq!(Session::open(&both, b"alice", 1000, &id[1..]), None);
        for at in 0..id.len() {
            let mut changed = id;
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(Session::open(&both, b"alice", 1000, &changed), None, "byte {at} changed");
        }
    }

    #[test]
    fn capabilities_are_those_that_the_handshake_declares() {
        use crate::json::Value;
        for (json, client) in [
            ("{}", Client::NONE),
            (r#"{"roots":{"listChanged":true}}"#, Client::ROOTS),
            (r#"{"sampling":{}}"#, Client::SAMPLING),
            (r#"{"sampling":true}"#, Client::NONE),
            (r#"{"elicitation":{}}"#, Client::FORMS),
            (r#"{"elicitation":{"form":{}}}"#, Client::FORMS),
            (r#"{"elicitation":{"url":{}}}"#, Client::PAGES),
            (r#"{"elicitation":{"url":{},"form":{}}}"#, Client::PAGES.and(Client::FORMS)),
        ] {
            assert_eq!(Client::declared(Value::parse(json.as_bytes()).unwrap()), client, "{json}");
        }
    }
}
