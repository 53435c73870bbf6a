//! The limits of OAuth requests, each with its reason.

use core::time::Duration;

/// The timeout of one request to an authorization server. Slow identity providers need several
/// seconds for the first token of a day.
pub(crate) const REQUEST_TIME: Duration = Duration::from_secs(10);

/// Most bytes of an answer: metadata documents have a few KiB, tokens at most 16 KiB each.
pub(crate) const ANSWER: usize = 128 * 1024;

/// Longest text of an authorization server in an error message, in characters.
pub(crate) const SHOWN: usize = 300;

/// The time that a person has for signing in: to find a second factor, and not to leave a port open
/// for the day.
pub(crate) const SIGN_IN_TIME: Duration = Duration::from_secs(300);

/// Most bytes of a request to the redirect URI. Authorization codes and states have a few hundred.
pub(crate) const CALLBACK: usize = 16 * 1024;

/// The timeout for reading a request to the redirect URI. Browsers open connections ahead without
/// sending a request, and these must not block the one that has it.
pub(crate) const CALLBACK_TIME: Duration = Duration::from_secs(5);

/// Most connections to the redirect URI at once. A browser opens up to six.
pub(crate) const CALLBACKS: usize = 16;

/// Most authorization servers of one protected resource that are considered.
pub(crate) const ISSUERS: usize = 8;

/// A token is renewed when less than this is left of its lifetime: enough for a request that takes
/// a while to reach the server, and for clocks that differ.
pub(crate) const RENEW_BEFORE: u64 = 60;
