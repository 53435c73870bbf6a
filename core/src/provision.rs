//! Configuration of a device in a page of its flash, written after its image was built (feature
//! `provision`): the callers and their keys, the secret of the device, and its time server. So one
//! image serves many boards, and keys change without a new image.
//!
//! The command `attache provision` writes the page on a computer. The device reads the page in
//! place, and copies only numbers from it.
//!
//! ```
//! use attache_core::auth::Gate;
//! use attache_core::provision::{Blank, List, Page};
//!
//! let page = Page { gate: Gate::Key, hosts: List::from_slice(&["gateway.local"]).unwrap(), ..Page::NOBODY };
//! let mut flash = [0xFF; 4096];
//! page.write(&mut flash).unwrap();
//! assert_eq!(Page::read(&flash).unwrap().hosts, ["gateway.local"]);
//! assert_eq!(Page::read(&[0xFF; 4096]).unwrap_err(), Blank::Erased);
//! ```

#[cfg(feature = "eddsa")]
use crate::auth::EdDsa;
use crate::auth::{Algorithm, ApiKey, Es256, Forged, Gate, IssuerKeys, IssuerPolicy, Public, Rs256, Rules, Verify};
use crate::http::Policy;
use crate::json::Text;
use core::fmt;
use core::net::{Ipv4Addr, SocketAddrV4};
use heapless::Vec;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A list of texts.
pub type List<'p> = Vec<&'p str, LISTED>;

/// Maximum number of entries of a list.
pub const LISTED: usize = 8;

/// Maximum number of keys of issuers: the current and the next key of two issuers.
pub const ISSUER_KEYS: usize = 4;

/// A public key of an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct IssuerKey<'p> {
    /// Its name (`kid`).
    pub name: &'p str,
    numbers: Numbers<'p>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Numbers<'p> {
    /// A modulus; its exponent is 65537.
    Rsa(&'p [u8]),
    /// `x` and `y`.
    P256(&'p [u8], &'p [u8]),
    Ed25519(&'p [u8]),
}

impl<'p> IssuerKey<'p> {
    /// Creates a key with this name; `None` if a page cannot hold the key: an RSA key with another
    /// exponent than 65537, or a key for another algorithm than RS256, ES256 and EdDSA.
    pub fn new(name: &'p str, public: Public<'p>) -> Option<Self> {
        let numbers = match public {
            Public::Rsa(modulus, &[1, 0, 1]) => Numbers::Rsa(modulus),
            Public::Rsa(..) | Public::OtherRsa(..) | Public::P384(..) => return None,
            Public::P256(x, y) => Numbers::P256(x, y),
            Public::Ed25519(point) => Numbers::Ed25519(point),
        };
        Some(Self { name, numbers })
    }

    /// Returns the verifier for signatures by this key; `None` if the numbers of the key are
    /// invalid, or if this build does not have its algorithm.
    pub fn verifier(&self) -> Option<Verifier<'p>> {
        match self.numbers {
            Numbers::Rsa(modulus) => Rs256::new(modulus, &[1, 0, 1]).map(Verifier::Rs256),
            Numbers::P256(x, y) => Es256::new(x.try_into().ok()?, y.try_into().ok()?).map(Verifier::Es256),
            #[cfg(feature = "eddsa")]
            Numbers::Ed25519(point) => EdDsa::new(point.try_into().ok()?).map(Verifier::EdDsa),
            #[cfg(not(feature = "eddsa"))]
            Numbers::Ed25519(_) => None,
        }
    }
}

/// A verifier for signatures by a key of a page.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Verifier<'p> {
    /// RS256; the modulus stays in the page.
    Rs256(Rs256<'p>),
    /// ES256.
    Es256(Es256),
    /// EdDSA.
    #[cfg(feature = "eddsa")]
    EdDsa(EdDsa),
}

impl Verifier<'_> {
    fn each(&self) -> &dyn Verify {
        match self {
            Self::Rs256(key) => key,
            Self::Es256(key) => key,
            #[cfg(feature = "eddsa")]
            Self::EdDsa(key) => key,
        }
    }
}

impl Verify for Verifier<'_> {
    fn algorithm(&self) -> Algorithm {
        self.each().algorithm()
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Forged> {
        self.each().verify(message, signature)
    }
}

/// The verifiers for signatures by the keys of a page. They take some hundred bytes, so have them
/// in a `static`.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Verifiers<'p>(Vec<(&'p str, Verifier<'p>), ISSUER_KEYS>);

impl IssuerKeys for Verifiers<'_> {
    fn key(&self, kid: Text<'_>) -> Option<&dyn Verify> {
        self.0.as_slice().key(kid)
    }
}

/// The configuration of a device.
#[derive(Clone, Serialize, Deserialize)]
pub struct Page<'p> {
    /// The time when the page was written, in seconds since 1970. The device takes it as the
    /// earliest possible time.
    pub written: u32,
    /// The credentials that callers must send.
    pub gate: Gate,
    /// The names of the device that `Host` may contain.
    #[serde(borrow)]
    pub hosts: List<'p>,
    /// Origins of web pages that may call.
    #[serde(borrow)]
    pub origins: List<'p>,
    /// The URL of the endpoint as clients write it; empty if the device accepts no tokens.
    pub resource: &'p str,
    /// The policy for the tokens of the issuer.
    #[serde(borrow)]
    pub tokens: IssuerPolicy<List<'p>>,
    /// Scopes that the device tells clients to request.
    #[serde(borrow)]
    pub scopes: List<'p>,
    /// The keys of the issuer.
    #[serde(borrow)]
    pub issuer_keys: Vec<IssuerKey<'p>, ISSUER_KEYS>,
    /// The API keys that the device accepts.
    #[serde(borrow)]
    pub keys: Vec<ApiKey<&'p str>, LISTED>,
    /// The time server, for SNTP.
    pub time_server: Option<(Ipv4Addr, u16)>,
    /// The secret of the device. Sealed values and unpredictable numbers are derived from it.
    pub secret: [u8; 32],
}

/// The reasons why a page cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Blank {
    /// The flash is erased: no page was written yet.
    Erased,
    /// The flash holds other data, or a page of a version that this image does not know.
    Foreign,
    /// The page was changed or is incomplete: its digest does not match.
    Damaged,
}

impl fmt::Display for Blank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Erased => "the page is erased: nothing was provisioned",
            Self::Foreign => "the page is none of this version",
            Self::Damaged => "the page is damaged: its digest is another one",
        })
    }
}

impl core::error::Error for Blank {}

/// A page does not fit into the flash reserved for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TooLarge;

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the page is larger than the place for it")
    }
}

impl core::error::Error for TooLarge {}

/// The beginning of a page: a name, and the version.
const MAGIC: [u8; 8] = *b"ATTACHE\x02";
/// Name, version, length.
const FRONT: usize = 12;
/// A SHA-256 of the bytes between the head and the digest.
const DIGEST: usize = 32;

impl<'p> Page<'p> {
    /// A page that lets no caller in: a base for pages of your own.
    pub const NOBODY: Self = Self {
        written: 0,
        gate: Gate::Key,
        hosts: Vec::new(),
        origins: Vec::new(),
        resource: "",
        tokens: IssuerPolicy {
            issuers: Vec::new(),
            audiences: Vec::new(),
            applications: Vec::new(),
            tenants: Vec::new(),
            identities: Vec::new(),
            groups: Vec::new(),
            leeway: crate::limits::LEEWAY,
            max_age: None,
        },
        scopes: Vec::new(),
        issuer_keys: Vec::new(),
        keys: Vec::new(),
        time_server: None,
        secret: [0; 32],
    };

    /// Reads the page at the beginning of `flash`.
    ///
    /// # Errors
    /// The reason why there is none. A device then refuses all callers: [`Page::NOBODY`].
    pub fn read(flash: &'p [u8]) -> Result<Self, Blank> {
        let front = flash.first_chunk::<FRONT>().ok_or(Blank::Foreign)?;
        if front.iter().all(|byte| *byte == 0xFF) {
            return Err(Blank::Erased);
        }
        let [magic @ .., a, b, c, d] = front;
        if *magic != MAGIC {
            return Err(Blank::Foreign);
        }
        let length = usize::try_from(u32::from_le_bytes([*a, *b, *c, *d])).map_err(|_| Blank::Damaged)?;
        let (content, rest) =
            flash.get(FRONT..).and_then(|rest| rest.split_at_checked(length)).ok_or(Blank::Damaged)?;
        let digest = rest.first_chunk::<DIGEST>().ok_or(Blank::Damaged)?;
        if Sha256::digest(content)[..] != digest[..] {
            return Err(Blank::Damaged);
        }
        postcard::from_bytes(content).map_err(|_| Blank::Foreign)
    }

    /// Writes the page to the beginning of `flash`, and returns its length in bytes.
    ///
    /// # Errors
    /// [`TooLarge`].
    pub fn write(&self, flash: &mut [u8]) -> Result<usize, TooLarge> {
        let (front, rest) = flash.split_first_chunk_mut::<FRONT>().ok_or(TooLarge)?;
        let room = rest.len().checked_sub(DIGEST).ok_or(TooLarge)?;
        let (room, _) = rest.split_at_mut_checked(room).ok_or(TooLarge)?;
        let length = postcard::to_slice(self, room).map_err(|_| TooLarge)?.len();
        let (content, behind) = rest.split_at_mut_checked(length).ok_or(TooLarge)?;
        let digest = behind.first_chunk_mut::<DIGEST>().ok_or(TooLarge)?;
        *digest = Sha256::digest(content).into();
        let len = u32::try_from(length).map_err(|_| TooLarge)?.to_le_bytes();
        let [magic @ .., a, b, c, d] = front;
        (*magic, [*a, *b, *c, *d]) = (MAGIC, len);
        Ok(FRONT + length + DIGEST)
    }

    /// Returns the rules for the tokens of the issuer.
    pub fn rules(&self) -> Rules<'_, &'p str> {
        self.tokens.rules()
    }

    /// Returns the access policy of the endpoint.
    pub fn policy(&self) -> Policy<'_, &'p str> {
        Policy { hosts: &self.hosts, origins: &self.origins, access: self.gate }
    }

    /// Returns the verifiers for signatures by the keys of the issuer. Keys with invalid numbers
    /// are left out, and so are keys for an algorithm that this build does not have.
    pub fn verifiers(&self) -> Verifiers<'p> {
        Verifiers(self.issuer_keys.iter().filter_map(|key| Some((key.name, key.verifier()?))).collect())
    }

    /// Returns the address of the time server.
    pub fn time_server(&self) -> Option<SocketAddrV4> {
        self.time_server.map(|(address, port)| SocketAddrV4::new(address, port))
    }
}

// Prints no fields, because one of them is the secret.
impl fmt::Debug for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").field("written", &self.written).field("gate", &self.gate).finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Page<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Page {{ written: {}, gate: {} }}", self.written, self.gate);
    }
}

/// The number of this start of the device. Only a [`Journal`](crate::journal::Journal) counts
/// starts, because only data in flash outlives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Boot(u32);

impl Boot {
    /// For a board that cannot write its flash. All of its starts have the same number, so
    /// [`random`] repeats the numbers of the last start, and an attacker who has seen those can
    /// predict them.
    pub const UNCOUNTED: Self = Self(0);

    #[cfg(feature = "journal")]
    pub(crate) const fn counted(boots: u32) -> Self {
        Self(boots)
    }
}

/// Random numbers made from `secret`, for boards without a random number generator: initial
/// sequence numbers of TCP, nonces of SNTP. An attacker who does not know `secret` cannot predict
/// them.
///
/// They are the same for the same `boot`, so only a journal in flash makes a new [`Boot`].
pub fn random(secret: &[u8; 32], Boot(boot): Boot) -> impl FnMut() -> u64 + use<> {
    let seed: [u8; 32] =
        Sha256::new().chain_update(secret).chain_update(u64::from(boot).to_be_bytes()).finalize().into();
    let mut number = 0u64;
    move || {
        number = number.wrapping_add(1);
        let block: [u8; 32] = Sha256::new().chain_update(seed).chain_update(number.to_be_bytes()).finalize().into();
        let [a, b, c, d, e, f, g, h, ..] = block;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}
