//! Where callers of an endpoint get their tokens (RFC 9728).

use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};

/// The answer to a request for the metadata of an endpoint. It is public, and pages of any origin may read it.
pub(crate) fn answer(metadata: &str) -> ([(http::HeaderName, &'static str); 3], String) {
    let fields = [
        (CONTENT_TYPE, "application/json"),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (CACHE_CONTROL, "public, max-age=300"),
    ];
    (fields, metadata.to_owned())
}
