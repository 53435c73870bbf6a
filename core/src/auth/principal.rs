//! Proof that the door has been passed.

use super::claims::Claims;
use super::denied::Denied;
use super::key::{ApiKey, Shown};
use super::rules::Rules;
use super::scope::{Rights, by_claims};
use super::token::Verified;

/// The word that opens a server to everybody. To let anybody in takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Access {
    /// The server does not tell its callers apart: anybody who reaches it may call.
    Anonymous,
    /// Anybody may call what asks for neither scope nor role, and is asked for a token for the rest.
    Guest,
}

/// What a caller has to show at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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
    /// A key, and a token besides, which says who calls.
    Both,
    /// A token if one comes; who comes without a good one is a guest ([`Access::Guest`]).
    Optional,
}

/// A caller who was let in. Borrows from what proved who he is. There are five ways to make one, and each is named here.
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
    /// The check of its rights is a pointer, so that an image in which no token is ever accepted does not have it.
    Token {
        claims: Claims<'h>,
        identity: &'h [u8; 32],
        rights: Rights,
    },
}

impl<'h> Authenticated<'h> {
    /// Lets anybody in, because `access` says so. The same door serves a pipe or a serial line, where whoever holds the
    /// other end was let in by the operating system or by the cable (MCP basic/index: stdio uses no OAuth).
    pub const fn anonymous(access: &Access) -> Self {
        match access {
            Access::Anonymous => Self { who: Who::Anonymous },
            Access::Guest => Self { who: Who::Guest },
        }
    }

    /// Lets the holder of a token in that has just been checked.
    pub fn token<B: AsRef<[u8]>>(verified: &'h Verified<B>) -> Self {
        Self { who: Who::Token { claims: verified.claims(), identity: verified.identity(), rights: Rights(by_claims) } }
    }

    /// Lets the holder of a token in that was checked before, with `rules` that are those of its issuer now. `now` as in
    /// [`Claimed::check`](super::Claimed::check).
    ///
    /// # Errors
    /// What does not hold any more: [`Denied::Outdated`], [`Denied::Expired`], [`Denied::NotYet`] or [`Denied::NoClock`].
    pub fn cached<B: AsRef<[u8]>, S: AsRef<str>>(
        verified: &'h Verified<B>,
        rules: &Rules<'_, S>,
        now: Option<u64>,
    ) -> Result<Self, Denied<'static>> {
        verified.holds(rules, now)?;
        Ok(Self::token(verified))
    }

    /// Lets the holder of a key in, who has shown it.
    pub(super) fn key<S: AsRef<str>>(key: &'h ApiKey<S>) -> Self {
        Self { who: Who::Key { name: key.name().as_ref(), digest: key.digest() } }
    }

    /// What the caller's token says; `None` if it came without one.
    pub const fn claims(&self) -> Option<Claims<'h>> {
        match self.who {
            Who::Token { claims, .. } => Some(claims),
            _ => None,
        }
    }

    /// What the caller's key is called; `None` if it came without one, or with a token.
    pub const fn key_name(&self) -> Option<&'h str> {
        match self.who {
            Who::Key { name, .. } => Some(name),
            _ => None,
        }
    }

    /// What says what the caller may do, if it came with a token.
    pub(super) const fn rights(&self) -> Option<(Claims<'h>, Rights)> {
        match self.who {
            Who::Token { claims, rights, .. } => Some((claims, rights)),
            _ => None,
        }
    }

    /// Whether the caller may use only what nobody has to show anything for.
    pub(super) const fn is_guest(&self) -> bool {
        matches!(self.who, Who::Guest)
    }

    /// Tells the caller from all others, across requests: what one of them was given is bound to it. Empty for an anonymous
    /// caller; for the holder of a token a digest of issuer, subject and application.
    pub const fn identity(&self) -> &'h [u8] {
        match self.who {
            Who::Anonymous | Who::Guest => b"",
            Who::Key { digest, .. } => digest,
            Who::Token { identity, .. } => identity,
        }
    }
}

impl Shown<'_> {
    /// Lets the holder of one of `keys` in.
    ///
    /// # Errors
    /// [`Denied::UnknownKey`].
    pub fn check<'k, S: AsRef<str>>(self, keys: &'k [ApiKey<S>]) -> Result<Authenticated<'k>, Denied<'static>> {
        self.find(keys).map(Authenticated::key)
    }
}
