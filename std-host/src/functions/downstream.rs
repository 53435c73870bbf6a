//! The token of a caller for another server, in the header field in which the platform has it.

use super::headers::OfRequest;
use crate::backend::Call;
use crate::downstream::Downstream;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;

/// The source of the tokens for an app.
#[derive(Clone, Debug)]
pub(super) struct AppTokens {
    /// `X-MS-TOKEN-<PROVIDER>-ACCESS-TOKEN`.
    name: HeaderName,
    tokens: Arc<Downstream>,
}

impl AppTokens {
    /// `None` if the name of the provider cannot be a part of a header field.
    pub(super) fn new(provider: &str, tokens: Downstream) -> Option<Self> {
        let name = format!("{PREFIX}{}-access-token", provider.to_ascii_lowercase());
        Some(Self { name: name.parse().ok()?, tokens: Arc::new(tokens) })
    }

    /// Puts the token of the caller into the header fields that functions see, in place of those that the client has sent. A caller
    /// without a token has none there, as on the platform.
    pub(super) async fn put(&self, call: &Call, request: &mut OfRequest) {
        let token = self.tokens.token_for(call.caller(), call.inbound()).await;
        let token = token.inspect_err(|error| tracing::warn!(%error, "a function has no token for its caller"));
        replace(&mut request.headers, &self.name, token.ok().as_deref());
    }
}

const PREFIX: &str = "x-ms-token-";

fn replace(headers: &mut HeaderMap, name: &HeaderName, token: Option<&str>) {
    // Some frameworks read an underscore as a hyphen.
    let is_token = |name: &HeaderName| name.as_str().replace('_', "-").starts_with(PREFIX);
    let sent: Vec<_> = headers.keys().filter(|name| is_token(name)).cloned().collect();
    for name in sent {
        headers.remove(name);
    }
    if let Some(mut value) = token.and_then(|token| HeaderValue::from_str(token).ok()) {
        value.set_sensitive(true);
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_replaces_what_the_client_has_sent_in_every_spelling() {
        let name = HeaderName::from_static("x-ms-token-aad-access-token");
        for (token, expected) in [(Some("downstream"), Some("downstream")), (Some("a\nb"), None), (None, None)] {
            let mut headers = HeaderMap::new();
            for sent in ["x-ms-token-aad-access-token", "X-MS-TOKEN-AAD-ID-TOKEN", "x_ms_token_aad_access_token"] {
                headers.append(
                    HeaderName::from_bytes(sent.as_bytes()).expect("a name"),
                    HeaderValue::from_static("forged"),
                );
            }
            replace(&mut headers, &name, token);
            assert_eq!(headers.get(&name).map(|value| value.to_str().expect("text")), expected);
            assert_eq!(headers.len(), usize::from(expected.is_some()), "{headers:?}");
        }
    }
}
