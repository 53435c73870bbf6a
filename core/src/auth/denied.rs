//! The reasons why the server refuses a caller. The exact reason is for the server's log: the peer
//! sees the same response for all refusals of one [`Kind`].

use super::Algorithm;
use core::fmt;

/// The rule that the credentials of a request violate. A `&[u8]` is the value from the token, as
/// the issuer wrote it in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Denied<'t> {
    /// The request has an `Authorization` header that is not `Bearer` and one token (RFC 6750
    /// §2.1).
    Malformed,
    /// The request has no credentials.
    NoToken,
    /// The request has no API key.
    NoKey,
    /// The server does not know this API key.
    UnknownKey,
    /// The token does not have three parts separated by dots (RFC 7515 §7.1). Five parts would be
    /// an encrypted token.
    NotCompact,
    /// The token is longer than the buffer for its decoded parts.
    TooLong,
    /// A part of the token is not canonical Base64url without padding (RFC 7515 §2).
    NotBase64url,
    /// The header or the claims are not a JSON object.
    NotAnObject,
    /// A member of the header that the server reads is missing, has the wrong type, or occurs
    /// twice.
    Header(&'static str, Fault),
    /// The header has an extension that this server does not support: `crit`, `b64`, `zip`, or
    /// Entra ID's `nonce`. Only the API that a token with a `nonce` was issued for can verify it.
    Extension(&'static str),
    /// `typ` declares something other than an access token (RFC 8725 §3.11).
    Type(&'t [u8]),
    /// This claim occurs only in tokens that are not access tokens, such as ID tokens (RFC 8725 §2.8).
    NotAccessToken(&'static str),
    /// The token is bound to a key (`cnf`, RFC 7800). It is not a bearer token, and this server
    /// does not verify the proof of possession.
    BoundToKey,
    /// The server does not support the algorithm in `alg`.
    AlgorithmNotServed(&'t [u8]),
    /// `alg` differs from the algorithm of the key.
    Algorithm {
        /// The algorithm of the key.
        key: Algorithm,
        /// The value of `alg` in the token.
        came: &'t [u8],
    },
    /// The issuer has no key with this `kid`; empty if the token has no `kid`.
    Kid(&'t [u8]),
    /// The issuer has the key with this `kid`, but the server does not support the key's algorithm,
    /// size or use.
    KeyNotServed(&'t [u8]),
    /// The key belongs to another issuer or tenant than the one in the token.
    KeyOfOtherIssuer,
    /// The key could not be fetched at this time.
    KeyUnavailable,
    /// The signature does not match the key.
    Signature,
    /// A claim that the server reads is missing, has the wrong type, or occurs twice.
    Claim(&'static str, Fault),
    /// `iss` is not one of the trusted issuers.
    Issuer(&'t [u8]),
    /// `aud` does not contain this server.
    Audience(&'t [u8]),
    /// The token expired this many seconds ago.
    Expired(u64),
    /// The token was issued this many seconds ago, which is longer than the policy allows; `exp`
    /// may be later.
    TooOld(u64),
    /// The token becomes valid in this many seconds.
    NotYet(u64),
    /// The server does not know the time, so it cannot check that the token has not expired.
    NoClock,
    /// The token was verified earlier with other keys or another policy.
    Outdated,
    /// `tid` is not one of the allowed tenants.
    Tenant(&'t [u8]),
    /// The client application is not on the allow-list.
    Application(&'t [u8]),
    /// The caller is an application that calls for itself; it is not on the allow-list and has no
    /// role.
    AppWithoutRole,
    /// Neither the caller's identity nor one of its groups is on an allow-list.
    Principal(&'t [u8]),
    /// The caller is in more groups than the token can list, so the server cannot tell whether one
    /// of them is allowed.
    GroupsOverage,
    /// The caller's token lacks a scope that the operation requires.
    Scope,
    /// The caller's token lacks a role that the operation requires.
    Role,
}

/// The possible faults of a member of a JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Fault {
    /// The member is absent.
    Missing,
    /// The member has the wrong type, or its value is out of range.
    Type,
    /// The member occurs more than once.
    Repeated,
}

/// The part of a refusal that the peer may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Kind {
    /// The request is malformed: 400.
    Malformed,
    /// The request has no credentials: 401.
    Absent,
    /// The credentials are invalid: 401.
    Invalid,
    /// The caller is authenticated and not allowed: 403.
    Forbidden,
    /// The server cannot decide now: 503.
    Undecided,
}

impl Denied<'_> {
    /// Returns the part of the refusal that the peer may see.
    pub const fn kind(&self) -> Kind {
        match self {
            // RFC 6750 §3.1: invalid_request.
            Self::Malformed => Kind::Malformed,
            // RFC 6750 §3.1: no error code if the request has no credentials.
            Self::NoToken | Self::NoKey => Kind::Absent,
            // The token is valid, but the caller is not allowed: docs/authorization.md, "401 or
            // 403".
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
