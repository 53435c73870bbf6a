//! An authenticated caller: the proof that the credentials of a request were checked.

use super::claims::Claims;
use super::denied::Denied;
use super::key::{ApiKey, Shown};
use super::rules::Rules;
use super::scope::{Rights, by_claims};
use super::token::Verified;

/// Access without credentials. The configuration must name one of these values to allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "provision", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Access {
    /// Every peer that reaches the server may use everything.
    Anonymous,
    /// Every peer may use what requires no scope or role; everything else requires a token.
    Guest,
}

/// The credentials that a server requires. A device reads the requirement from a page of its flash,
/// a host from its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "provision", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Gate {
    /// No credentials.
    Open(Access),
    /// An access token.
    Token,
    /// An API key.
    Key,
    /// A token or a key; if the request has both, the token is used.
    Either,
    /// A key and a token; the token identifies the caller.
    Both,
    /// A token if there is one; a caller without a valid token is a guest ([`Access::Guest`]).
    Optional,
    /// The identity that a platform in front of the server, or the application itself, has found for
    /// the caller ([`Voucher`](super::Voucher)). The adapter asks for the identity.
    Platform,
}

/// An authenticated caller. It borrows from the credentials. The functions of this type are the
/// only ways to create one.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Authenticated<'h> {
    who: Who<'h>,
}

#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Who<'h> {
    Anonymous,
    Guest,
    Key {
        name: &'h str,
        digest: &'h [u8; 32],
    },
    /// `rights` is a function pointer, so that an image that never accepts a token does not contain
    /// the function.
    Token {
        claims: Claims<'h>,
        identity: &'h [u8; 32],
        rights: Rights,
    },
}

impl<'h> Authenticated<'h> {
    /// Makes a caller without credentials, which `access` permits. This is also the caller on a
    /// pipe or a serial line, where the operating system or the cable decides which peer is
    /// connected (MCP basic/index: stdio uses no OAuth).
    pub const fn anonymous(access: &Access) -> Self {
        match access {
            Access::Anonymous => Self { who: Who::Anonymous },
            Access::Guest => Self { who: Who::Guest },
        }
    }

    /// Makes the holder of a token that was just verified.
    pub fn token<B: AsRef<[u8]>>(verified: &'h Verified<B>) -> Self {
        Self { who: Who::Token { claims: verified.claims(), identity: verified.identity(), rights: Rights(by_claims) } }
    }

    /// Makes the holder of a token that was verified earlier, if it satisfies the current `rules`
    /// of its issuer. `now` as in [`Claimed::check`](super::Claimed::check).
    ///
    /// # Errors
    /// The check that now fails: [`Denied::Outdated`], [`Denied::Expired`], [`Denied::NotYet`] or
    /// [`Denied::NoClock`].
    pub fn cached<B: AsRef<[u8]>, S: AsRef<str>>(
        verified: &'h Verified<B>,
        rules: &Rules<'_, S>,
        now: Option<u64>,
    ) -> Result<Self, Denied<'static>> {
        verified.holds(rules, now)?;
        Ok(Self::token(verified))
    }

    /// Makes the holder of a key.
    pub(super) fn key<S: AsRef<str>>(key: &'h ApiKey<S>) -> Self {
        Self { who: Who::Key { name: key.name().as_ref(), digest: key.digest() } }
    }

    /// Returns the claims of the caller's token; `None` without a token.
    pub const fn claims(&self) -> Option<Claims<'h>> {
        match self.who {
            Who::Token { claims, .. } => Some(claims),
            _ => None,
        }
    }

    /// Returns the name of the caller's key; `None` without a key, or if the caller has a token.
    pub const fn key_name(&self) -> Option<&'h str> {
        match self.who {
            Who::Key { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Returns the claims of the caller and the check of its permissions, if it has a token.
    pub(super) const fn rights(&self) -> Option<(Claims<'h>, Rights)> {
        match self.who {
            Who::Token { claims, rights, .. } => Some((claims, rights)),
            _ => None,
        }
    }

    /// Returns whether the caller may use only offers that require no scope or role.
    pub(super) const fn is_guest(&self) -> bool {
        matches!(self.who, Who::Guest)
    }

    /// Whether the server can recognise later requests of the same caller. It cannot for a token
    /// that names neither a person nor an application; an anonymous caller is always one and the
    /// same.
    pub fn is_distinct(&self) -> bool {
        self.claims().is_none_or(|claims| claims.names_caller())
    }

    /// Returns an identity that distinguishes the caller from all others, across requests; sessions
    /// and sealed state are bound to it. Empty for an anonymous caller; a digest of issuer, tenant,
    /// object, subject and application for the holder of a token.
    pub const fn identity(&self) -> &'h [u8] {
        match self.who {
            Who::Anonymous | Who::Guest => b"",
            Who::Key { digest, .. } => digest,
            Who::Token { identity, .. } => identity,
        }
    }
}

impl Shown<'_> {
    /// Returns the holder of the one of `keys` that has this value.
    ///
    /// # Errors
    /// [`Denied::UnknownKey`].
    pub fn check<'k, S: AsRef<str>>(self, keys: &'k [ApiKey<S>]) -> Result<Authenticated<'k>, Denied<'static>> {
        self.find(keys).map(Authenticated::key)
    }
}
