//! Errors of the client side of OAuth.

use super::limits::SHOWN;
use core::fmt;
use core::time::Duration;

/// Why there is no access token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OAuthError {
    /// This URL is not allowed: a server or an issuer on another machine has named a local or
    /// unencrypted one.
    ForbiddenUrl(String),
    /// The authorization server cannot be reached, or answers that it is unavailable. Another
    /// attempt may work.
    Unavailable {
        /// The URL that was requested.
        url: String,
        /// The reason.
        reason: String,
        /// The time in `Retry-After`, if it was in seconds.
        retry_after: Option<Duration>,
    },
    /// The answer at this URL is too large.
    TooLarge(String),
    /// The document or answer at this URL cannot be read.
    Unreadable(String),
    /// The server at this URL has no metadata that names its authorization server.
    NoResourceMetadata(String),
    /// The metadata is that of another resource.
    OtherResource {
        /// The resource in the metadata.
        named: String,
        /// The URL of the server.
        url: String,
    },
    /// The authorization server has no usable metadata. Holds the issuer and the reason.
    NoIssuerMetadata(String, String),
    /// The authorization server does not declare PKCE with S256.
    NoPkce(String),
    /// The authorization server registers no clients by itself, and no client id was given.
    NoRegistration(String),
    /// The authorization server refuses the request.
    Refused {
        /// The error code, such as `invalid_grant`.
        error: String,
        /// Its description.
        description: Option<String>,
        /// The step that the person has to take: `claims`, or a `suberror` of Entra ID.
        demand: Option<Demand>,
    },
    /// The person, or the authorization server, has not allowed the access. Holds the error code.
    Denied(String),
    /// The response to the sign-in is of another authorization server (RFC 9207).
    OtherIssuer(String),
    /// The person has not finished signing in within the time.
    NotFinished,
    /// No port of this machine can be used for the redirect URI.
    NoPort(String),
    /// The token is not a bearer token, or has characters that a header field cannot carry.
    UnusableToken,
    /// The caller has no access token that could be exchanged.
    NoCallerToken,
    /// The authorization server has issued another token than the one that was requested.
    OtherToken(String),
    /// The tokens cannot be stored or read.
    Store(String),
}

/// The demand of an authorization server on the person before it issues a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Demand {
    /// The claims that the next sign-in has to request, as JSON.
    pub claims: Option<String>,
    /// The kind of the error, such as `basic_action` or `consent_required`.
    pub suberror: Option<String>,
}

impl OAuthError {
    /// Whether the person has to sign in again, or to consent.
    // Entra ID: the members `claims` and `suberror` decide. The numbers in the description may change.
    pub fn needs_person(&self) -> bool {
        match self {
            Self::NoCallerToken => true,
            Self::Refused { error, demand, .. } => {
                demand.is_some()
                    || matches!(
                        error.as_str(),
                        "invalid_grant" | "interaction_required" | "login_required" | "consent_required"
                    )
            }
            _ => false,
        }
    }

    /// Whether the refresh token or the client is of no further use.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

impl fmt::Display for OAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForbiddenUrl(url) => write!(
                f,
                "{} is not allowed: it must use https (or http, if the server is on this machine, too), and must not be \
                 a local address that another machine names",
                shown(url)
            ),
            Self::Unavailable { url, reason, .. } => write!(f, "{} is unavailable: {}", shown(url), shown(reason)),
            Self::TooLarge(url) => write!(f, "the answer of {} is too large", shown(url)),
            Self::Unreadable(url) => write!(f, "the answer of {} cannot be read", shown(url)),
            Self::NoResourceMetadata(url) => write!(
                f,
                "{} asks for a token and does not say where to get one (RFC 9728): give one with a token file",
                shown(url)
            ),
            Self::OtherResource { named, url } => {
                write!(f, "the metadata is that of {}, not that of {}", shown(named), shown(url))
            }
            Self::NoIssuerMetadata(issuer, reason) => {
                write!(f, "the authorization server {} has no usable metadata: {}", shown(issuer), shown(reason))
            }
            Self::NoPkce(issuer) => {
                write!(f, "the authorization server {} does not declare PKCE with S256", shown(issuer))
            }
            Self::NoRegistration(issuer) => write!(
                f,
                "the authorization server {} does not register clients by itself: register one there, and give its \
                 client id",
                shown(issuer)
            ),
            Self::NoCallerToken => f.write_str("the caller has no access token: sign in first"),
            Self::OtherToken(what) => write!(f, "the authorization server has issued {}", shown(what)),
            Self::Refused { error, description, demand } => {
                write!(f, "the authorization server refuses: {}", shown(error))?;
                let suberror = demand.iter().filter_map(|demand| demand.suberror.as_ref());
                suberror.into_iter().try_for_each(|suberror| write!(f, "/{}", shown(suberror)))?;
                description.iter().try_for_each(|text| write!(f, " ({})", shown(text)))
            }
            Self::Denied(error) => write!(f, "the sign-in was not completed: {}", shown(error)),
            Self::OtherIssuer(issuer) => {
                write!(f, "the response to the sign-in does not come from {}", shown(issuer))
            }
            Self::NotFinished => f.write_str("the sign-in was not finished in time"),
            Self::NoPort(reason) => write!(f, "no port for the redirect URI: {reason}"),
            Self::UnusableToken => f.write_str("the authorization server has not issued a usable bearer token"),
            Self::Store(reason) => write!(f, "tokens cannot be kept: {reason}"),
        }
    }
}

impl core::error::Error for OAuthError {}

/// Returns foreign text without control characters, truncated to fit an error message.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN).map(|char| if char.is_control() { ' ' } else { char }).collect()
}
