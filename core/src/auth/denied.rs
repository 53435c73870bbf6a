//! Why a caller is not let in. The cause is for the log of the server: to the peer all refusals of a kind look alike.

use super::Algorithm;
use core::fmt;

/// A rule that a request's credentials have broken. Where it says `&[u8]`, that is the value that came, as it was written in
/// JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Denied<'t> {
    /// There is an `Authorization` header, and it is not `Bearer` and one token (RFC 6750 §2.1).
    Malformed,
    /// No credentials came.
    NoToken,
    /// No key came.
    NoKey,
    /// The key is none of those that are known.
    UnknownKey,
    /// The token is not three parts with dots between (RFC 7515 §7.1). Five would be an encrypted one.
    NotCompact,
    /// The token is longer than the buffer for what is in it.
    TooLong,
    /// A part of the token is not canonical Base64url without padding (RFC 7515 §2).
    NotBase64url,
    /// The header or the claims are not a JSON object.
    NotAnObject,
    /// A member of the header that is read is missing, of another type, or there twice.
    Header(&'static str, Fault),
    /// The header asks for something that no reader of tokens here knows: `crit`, `b64`, `zip`, or Entra's `nonce`, with which a
    /// token can be checked by nobody but the one it is meant for.
    Extension(&'static str),
    /// `typ` declares something other than an access token (RFC 8725 §3.11).
    Type(&'t [u8]),
    /// This claim occurs only in tokens that are not access tokens, such as ID tokens (RFC 8725 §2.8).
    NotAccessToken(&'static str),
    /// The token is bound to a key (`cnf`, RFC 7800): it is not a bearer token, and the proof of that key is
    /// not checked here.
    BoundToKey,
    /// `alg` is an algorithm that is not served here.
    AlgorithmNotServed(&'t [u8]),
    /// `alg` is not what the key is for.
    Algorithm {
        /// The algorithm of the key.
        key: Algorithm,
        /// What the token says.
        came: &'t [u8],
    },
    /// The issuer has no key by the name `kid` that comes here; empty if the token names none.
    Kid(&'t [u8]),
    /// The issuer has the key named here, but the key is for an algorithm, a size or a use that is not
    /// served here.
    KeyNotServed(&'t [u8]),
    /// The key counts for another issuer, or another tenant, than the one that the token names.
    KeyOfOtherIssuer,
    /// The key could not be fetched just now.
    KeyUnavailable,
    /// The signature is not that of the key.
    Signature,
    /// A claim that is read is missing, of another type, or there twice.
    Claim(&'static str, Fault),
    /// `iss` is none of the issuers that are believed.
    Issuer(&'t [u8]),
    /// `aud` names other servers, not this one.
    Audience(&'t [u8]),
    /// The token expired so many seconds ago.
    Expired(u64),
    /// The token was issued so many seconds ago, which is longer than the policy allows, whatever `exp` says.
    TooOld(u64),
    /// The token will be good in so many seconds.
    NotYet(u64),
    /// The server does not know what time it is, and so cannot tell that the token has not expired.
    NoClock,
    /// What was checked before was checked by other keys or another policy.
    Outdated,
    /// `tid` is none of the tenants that may call.
    Tenant(&'t [u8]),
    /// The application is none of those that may call.
    Application(&'t [u8]),
    /// An application that acts for itself, with neither an entry of its own nor a role.
    AppWithoutRole,
    /// Neither the identity nor one of the groups may call.
    Principal(&'t [u8]),
    /// The caller is in more groups than the token holds, so it cannot be told whether one of them may call.
    GroupsOverage,
    /// The caller lacks a scope of what was asked for.
    Scope,
    /// The caller lacks a role of what was asked for.
    Role,
}

/// What can be wrong with a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Fault {
    /// It is not there.
    Missing,
    /// It is of another type, or beyond what such a value may be.
    Type,
    /// It is there more than once.
    Repeated,
}

/// How much of a refusal the peer may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Kind {
    /// The request is malformed: 400.
    Malformed,
    /// Nothing came: 401.
    Absent,
    /// What came is not good: 401.
    Invalid,
    /// The caller is known and may not call: 403.
    Forbidden,
    /// It cannot be decided now: 503.
    Undecided,
}

impl Denied<'_> {
    /// What the peer is told of it.
    pub const fn kind(&self) -> Kind {
        match self {
            // RFC 6750 §3.1: invalid_request.
            Self::Malformed => Kind::Malformed,
            // RFC 6750 §3.1: no error code where no credentials came.
            Self::NoToken | Self::NoKey => Kind::Absent,
            // A valid token whose holder may not call: docs/authorization.md, "401 or 403".
            Self::Tenant(_)
            | Self::Application(_)
            | Self::AppWithoutRole
            | Self::Principal(_)
            | Self::GroupsOverage
            | Self::Scope
            | Self::Role => Kind::Forbidden,
            Self::KeyUnavailable => Kind::Undecided,
            _ => Kind::Invalid,
        }
    }
}

impl fmt::Display for Denied<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |raw| core::str::from_utf8(raw).unwrap_or("?");
        match self {
            Self::Malformed => f.write_str("Authorization is not Bearer and one token"),
            Self::NoToken => f.write_str("no token came"),
            Self::NoKey => f.write_str("no key came"),
            Self::UnknownKey => f.write_str("the key is not known"),
            Self::NotCompact => f.write_str("the token is not a signed one of three parts"),
            Self::TooLong => f.write_str("the token is too long"),
            Self::NotBase64url => f.write_str("a part of the token is not Base64url"),
            Self::NotAnObject => f.write_str("a part of the token is not a JSON object"),
            Self::Header(name, fault) => write!(f, "member {name} of the token's header {fault}"),
            Self::Extension(name) => write!(f, "the token's header has {name}, which is not understood here"),
            Self::Type(came) => write!(f, "typ is {}, and not that of an access token", text(came)),
            Self::NotAccessToken(claim) => write!(f, "claim {claim} says that it is not an access token"),
            Self::BoundToKey => f.write_str("the token is bound to a key (cnf), and so not a bearer token"),
            Self::AlgorithmNotServed(came) => write!(f, "alg is {}, which is not served here", text(came)),
            Self::KeyNotServed(kid) => {
                write!(f, "the issuer's key {} is for an algorithm, size or use not served here", text(kid))
            }
            Self::KeyOfOtherIssuer => f.write_str("the key counts for another issuer alone"),
            Self::TooOld(age) => write!(f, "the token was issued {age} s ago, which is too long"),
            Self::Algorithm { key, came } => write!(f, "alg is {}, and the key is for {}", text(came), key.name()),
            Self::Kid([]) => f.write_str("the token names no key, and the issuer has more than one"),
            Self::Kid(came) => write!(f, "the issuer has no key {}", text(came)),
            Self::KeyUnavailable => f.write_str("the issuer's keys cannot be fetched now"),
            Self::Signature => f.write_str("the signature is not that of the issuer's key"),
            Self::Claim(name, fault) => write!(f, "claim {name} {fault}"),
            Self::Issuer(came) => write!(f, "iss is {}, which is not believed", text(came)),
            Self::Audience(came) => write!(f, "aud is {}, which is not this server", text(came)),
            Self::Expired(ago) => write!(f, "the token expired {ago} s ago"),
            Self::NotYet(left) => write!(f, "the token is not good for another {left} s"),
            Self::NoClock => f.write_str("the time is not known, so the token may have expired"),
            Self::Outdated => f.write_str("keys or policy have changed since the token was checked"),
            Self::Tenant(came) => write!(f, "tid is {}, which may not call", text(came)),
            Self::Application([]) => f.write_str("the token names no application"),
            Self::Application(came) => write!(f, "the application is {}, which may not call", text(came)),
            Self::AppWithoutRole => f.write_str("the application acts for itself and has neither an entry nor a role"),
            Self::Principal(came) => write!(f, "neither {} nor a group of it may call", text(came)),
            Self::GroupsOverage => f.write_str("the caller is in more groups than the token holds"),
            Self::Scope => f.write_str("a scope is missing"),
            Self::Role => f.write_str("a role is missing"),
        }
    }
}

impl core::error::Error for Denied<'_> {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is missing",
            Self::Type => "is of another type",
            Self::Repeated => "is there more than once",
        })
    }
}
