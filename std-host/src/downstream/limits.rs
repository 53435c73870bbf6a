//! The limits of downstream tokens, each with its reason.

use core::time::Duration;

/// Callers of one resource whose tokens are kept, a few kilobytes each. Beyond it, the tokens of the
/// caller that has not called for the longest time are dropped.
pub(super) const CALLERS: usize = 4096;

/// The time for which a refusal is repeated without asking the issuer: a client that retries at once
/// must not become load for the issuer.
pub(super) const REFUSED: Duration = Duration::from_secs(5);

/// The time in which a new token is not replaced because the resource refuses it: another one would be
/// refused as well.
pub(super) const FRESH: Duration = Duration::from_secs(10);

/// The lifetime that is assumed for a token whose issuer names none: short enough for a person whose
/// access has ended.
pub(super) const UNNAMED_LIFE: Duration = Duration::from_secs(300);
