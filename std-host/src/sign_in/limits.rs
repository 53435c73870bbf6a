//! The limits of the sign-in pages, each with its reason.

use core::time::Duration;

/// Most bytes of the claims of a session. With 200 groups, which Entra ID sends at most, they have 8 kB.
pub(super) const CLAIMS: usize = 9 * 1024;

/// Most bytes of one part of the session cookie. Browsers drop cookies with more than 4096 bytes, with name and attributes.
pub(super) const PART: usize = 3800;

/// Most parts of the session cookie: those of the largest claims.
pub(super) const PARTS: usize = 4;

/// Most bytes of the tokens that are stored for a person. The largest known tokens have 60 kB.
pub(super) const TOKENS: usize = 200 * 1024;

/// Most bytes of a token that a program presents to sign in.
pub(super) const PRESENTED: usize = 16 * 1024;

/// Most bytes of the body of a request: a form, or the token that a program presents.
pub(super) const BODY: usize = 64 * 1024;

/// Most bytes of a URL to which the browser goes after the sign-in. It is a part of a cookie.
pub(super) const REDIRECT: usize = 1800;

/// Sign-ins that one browser may have under way at once. Each has a cookie, and browsers and proxies limit the size of all cookies
/// together.
pub(super) const OPEN: usize = 5;

/// The longest time that a person may take to sign in.
pub(super) const ATTEMPT: Duration = Duration::from_secs(600);

/// The default lifetime of a session that is not used. It is that of the function platform.
pub(super) const LIFE: Duration = Duration::from_secs(8 * 3600);

/// The default lifetime of a session, however often it is renewed. It is that of the function platform.
pub(super) const MOST: Duration = Duration::from_secs(72 * 3600);

/// The time in which a second refresh of a session gets the result of the first one.
pub(super) const REFRESHED: u64 = 30;
