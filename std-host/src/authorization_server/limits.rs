//! The limits of the authorization server, each with its reason.

use core::time::Duration;

/// Most bytes of a form. Real ones have less than 4 kB; a sealed client id and a request's `state` fit many times.
pub(super) const FORM: usize = 60_000;

/// Most bytes of a registration. The largest known one has 2 kB.
pub(super) const REGISTRATION: usize = 16 * 1024;

/// Most redirect URIs of a client. Cursor registers three, VS Code eight.
pub(super) const REDIRECT_URIS: usize = 10;

/// Most bytes of a redirect URI, so that a sealed client id with several of them fits a URL.
pub(super) const REDIRECT_URI: usize = 512;

/// Most bytes of all redirect URIs of a registration: its sealed client id goes into every URL and token of the client.
pub(super) const ALL_REDIRECT_URIS: usize = 1536;

/// Most characters of a client's name that are shown.
pub(super) const NAME: usize = 128;

/// Most bytes of `state`. Clients send up to 1 kB.
pub(super) const STATE: usize = 4096;

/// Most bytes of `scope`, which becomes part of every token.
pub(super) const SCOPE: usize = 1024;

/// The time that a person has to answer the consent page.
pub(super) const CONSENT: Duration = Duration::from_secs(10 * 60);

/// Consent pages that one browser may have open at once. Each has a cookie, and browsers and proxies limit the size of all
/// cookies together.
pub(super) const OPEN_CONSENTS: usize = 10;

/// Sign-ins at another issuer that one browser may have open at once. Their cookies hold whole requests.
pub(super) const OPEN_SIGN_INS: usize = 3;

/// Most bytes of the cookie of such a sign-in. Browsers drop larger cookies without a word.
pub(super) const COOKIE: usize = 3500;

/// Most bytes of the claims that are copied from an ID token, so that access tokens fit the heads of requests.
pub(super) const CLAIMS: usize = 4096;

/// The lifetime of an authorization code (RFC 6749 §4.1.2 recommends ten minutes at most; clients
/// redeem it at once).
pub(super) const CODE: Duration = Duration::from_secs(60);

/// The lifetime of a registration. Clients keep their id for ever, and few notice that it has
/// expired.
pub(super) const CLIENT: Duration = Duration::from_secs(400 * 24 * 3600);

/// The time for which the previous refresh token still gets the same answer: clients lose answers,
/// and several processes of a client refresh the same token.
pub(super) const REPLAY: Duration = Duration::from_secs(60);

/// The lifetime of a refresh token that is not used.
pub(super) const IDLE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The lifetime of a sign-in, however often it is refreshed.
pub(super) const SIGN_IN: Duration = Duration::from_secs(90 * 24 * 3600);

/// The default lifetime of an access token.
pub(super) const ACCESS: Duration = Duration::from_secs(3600);

/// The range of lifetimes of access tokens that can be set. A shorter one makes clients refresh all the time, and a longer one
/// outlives a revocation for too long.
pub(super) const ACCESS_RANGE: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(24 * 3600)];

/// The default age of the last sign-in at the issuer from which on the issuer is asked again at a refresh.
pub(super) const RECHECK: Duration = Duration::from_secs(24 * 3600);

/// The time for which people stay signed in while the issuer should be asked again and does not answer.
pub(super) const RECHECK_OUTAGE: Duration = Duration::from_secs(24 * 3600);

/// Most bytes of a refresh token of the issuer that is stored. Real ones have up to 2 kB.
pub(super) const PROOF: usize = 8 * 1024;

/// Most bytes of a client id metadata document. The draft recommends 5 kB; known documents have less than 1 kB.
pub(super) const DOCUMENT: usize = 8 * 1024;

/// The deadline for fetching a client id metadata document: a person waits for the page.
pub(super) const DOCUMENT_TIME: Duration = Duration::from_secs(5);

/// Client id metadata documents that are cached.
pub(super) const DOCUMENTS: usize = 256;

/// The shortest and the longest time for which a document is cached, and the time if its answer has
/// none.
pub(super) const DOCUMENT_AGE: [Duration; 3] =
    [Duration::from_secs(60), Duration::from_secs(24 * 3600), Duration::from_secs(3600)];

/// Most bytes of the keys that a client publishes, as for the keys of issuers.
pub(super) const KEYS_DOCUMENT: usize = 64 * 1024;

/// Most bytes of a client assertion. Real ones have less than 2 kB.
pub(super) const ASSERTION: usize = 8 * 1024;

/// The longest time for which a client assertion is valid. Its use is stored for that time.
pub(super) const ASSERTION_LIFE: Duration = Duration::from_secs(10 * 60);

/// Most characters of a client id that the operator chooses.
pub(super) const CLIENT_ID: usize = 200;

/// Fewest bytes of a client secret: a value of this length cannot be guessed, in any encoding.
pub(super) const CLIENT_SECRET: usize = 32;

/// The time for which the last good copy of a document is used while it cannot be fetched again.
pub(super) const DOCUMENT_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The pause after a failed fetch of a document, so that each request here does not cause a request
/// to its host.
pub(super) const DOCUMENT_RETRY: Duration = Duration::from_secs(30);
