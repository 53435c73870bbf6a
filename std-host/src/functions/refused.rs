//! Why a function is not offered.

/// Why a function is not offered.
pub(super) enum Refused {
    /// The app has a mistake, and is not started.
    Invalid(String),
    /// The function uses what this host does not have. The other functions run.
    Unsupported(String),
}
