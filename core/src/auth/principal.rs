//! An authenticated caller: proof that the credentials of a request were checked.

use super::claims::Claims;
use super::denied::Denied;
use super::key::{ApiKey, Shown};
use super::rules::Rules;
use super::scope::{Rights, by_claims};
use super::token::Verified;

/// Access without credentials. A value of it has to be named to let such a caller in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "provision", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Access {
    /// Every peer that reaches the server may call everything.
    Anonymous,
    /// Every peer may use what requires no scope or role; everything else requires a token.
    Guest,
}

/// The credentials that callers have to show. A device reads them from its page of flash, a host
/// from its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "provision", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Gate {
    /// Nothing.
    Open(Access),
    /// An access token.
    Token,
    /// An API key.
    Key,
    /// A token or a key; where both come, the token counts.
    Either,
    /// A key and a token; the token says who calls.
    Both,
    /// A token if there is one; a caller without a valid token is a guest ([`Access::Guest`]).
    Optional,
    /// The identity header of a platform in front of the server, which authenticates every caller
    /// ([`Voucher::Platform`](super::Voucher)). The adapter reads the header.
    Platform,
}

/// An authenticated caller. Borrows from the credentials. There are five ways to make one, and each is named here.
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
    /// `rights` is a function pointer, so that an image that never accepts a token does not contain the function.
    Token {
        claims: Claims<'h>,
        identity: &'h [u8; 32],
        rights: Rights,
    },
}

impl<'h> Authenticated<'h> {
    /// A caller without credentials, because `access` says so. Also the caller on a pipe or a serial line, where the
    /// operating system or the cable decides who has the other end (MCP basic/index: stdio uses no OAuth).
    pub const fn anonymous(access: &Access) -> Self {
        match access {
            Access::Anonymous => Self { who: Who::Anonymous },
            Access::Guest => Self { who: Who::Guest },
        }
    }

    /// The holder of a token that was just verified.
    pub fn token<B: AsRef<[u8]>>(verified: &'h Verified<B>) -> Self {
        Self { who: Who::Token { claims: verified.claims(), identity: verified.identity(), rights: Rights(by_claims) } }
    }

    /// The holder of a token that was verified before, with the current `rules` of its issuer. `now` as in
    /// [`Claimed::check`](super::Claimed::check).
    ///
    /// # Errors
    /// What is not true any more: [`Denied::Outdated`], [`Denied::Expired`], [`Denied::NotYet`] or [`Denied::NoClock`].
    pub fn cached<B: AsRef<[u8]>, S: AsRef<str>>(
        verified: &'h Verified<B>,
        rules: &Rules<'_, S>,
        now: Option<u64>,
    ) -> Result<Self, Denied<'static>> {
        verified.holds(rules, now)?;
        Ok(Self::token(verified))
    }

    /// The holder of a key.
    pub(super) fn key<S: AsRef<str>>(key: &'h ApiKey<S>) -> Self {
        Self { who: Who::Key { name: key.name().as_ref(), digest: key.digest() } }
    }

    /// The claims of the caller's token; `None` without a token.
    pub const fn claims(&self) -> Option<Claims<'h>> {
        match self.who {
            Who::Token { claims, .. } => Some(claims),
            _ => None,
        }
    }

    /// The name of the caller's key; `None` without a key, or with a token.
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

    /// Whether the caller may use only what requires no scope or role.
    pub(super) const fn is_guest(&self) -> bool {
        matches!(self.who, Who::Guest)
    }

    /// Whether a later request can be told to be of the same caller. Not so for a token that names neither a person nor an
    /// application; for an anonymous caller there is nothing to tell.
    pub fn is_distinct(&self) -> bool {
        self.claims().is_none_or(|claims| claims.names_caller())
    }

    /// Tells the caller from all others, across requests: sessions and sealed state are bound to it. Empty for an
    /// anonymous caller; for the holder of a token a digest of issuer, tenant, object, subject and application.
    pub const fn identity(&self) -> &'h [u8] {
        match self.who {
            Who::Anonymous | Who::Guest => b"",
            Who::Key { digest, .. } => digest,
            Who::Token { identity, .. } => identity,
        }
    }
}

impl Shown<'_> {
    /// The holder of one of `keys`.
    ///
    /// # Errors
    /// [`Denied::UnknownKey`].
    pub fn check<'k, S: AsRef<str>>(self, keys: &'k [ApiKey<S>]) -> Result<Authenticated<'k>, Denied<'static>> {
        self.find(keys).map(Authenticated::key)
    }
}
