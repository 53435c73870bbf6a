//! The errors of OAuth that clients see (RFC 6749 §4.1.2.1 and §5.2, RFC 7591 §3.2.2, RFC 8707 §2).

use core::time::Duration;
use http::StatusCode;

/// The value of `error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorCode {
    AccessDenied,
    InteractionRequired,
    InvalidClient,
    InvalidClientMetadata,
    InvalidGrant,
    InvalidRedirectUri,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    ServerError,
    TemporarilyUnavailable,
    UnsupportedGrantType,
    UnsupportedResponseType,
}

impl ErrorCode {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "access_denied",
            Self::InteractionRequired => "interaction_required",
            Self::InvalidClient => "invalid_client",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
        }
    }
}

/// An error for a client, with a sentence for its developer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OAuthError {
    pub(super) code: ErrorCode,
    /// Fixed texts only: RFC 6749 §5.2 allows neither quotes nor characters beyond ASCII, and a peer's own words could mislead.
    pub(super) description: &'static str,
    /// The status of an answer to a direct request.
    pub(super) status: StatusCode,
    /// The time that the client has to wait before it tries again.
    pub(super) retry_after: Option<Duration>,
    /// Whether the client has tried to authenticate by HTTP Basic.
    pub(super) is_basic: bool,
}

impl OAuthError {
    pub(super) const fn new(code: ErrorCode, description: &'static str) -> Self {
        let status = match code {
            // RFC 6749 §5.2: 401 if client authentication failed.
            ErrorCode::InvalidClient => StatusCode::UNAUTHORIZED,
            ErrorCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self { code, description, status, retry_after: None, is_basic: false }
    }

    pub(super) const fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(super) const fn with_basic(self) -> Self {
        Self { is_basic: true, ..self }
    }

    /// The store is full or broken. Never `invalid_grant`, for which clients delete their tokens.
    pub(super) const fn unavailable() -> Self {
        let error = Self::new(ErrorCode::TemporarilyUnavailable, "grants cannot be stored right now: try again");
        Self { retry_after: Some(Duration::from_secs(5)), ..error }
    }
}
