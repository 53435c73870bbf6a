//! Requests to the URLs that a server or an authorization server has named.

use super::error::OAuthError;
use super::limits::{ANSWER, REQUEST_TIME};
use crate::auth::fetch::Reach;
use crate::https::{self, causes};
use attache_core::json::without_mark;
use core::time::Duration;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use reqwest::RequestBuilder;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use tokio::time::timeout;

/// An HTTP client that requests only the URLs that [`Reach`] allows, follows no redirects, and reads
/// a bounded number of bytes.
pub(crate) struct Fetch {
    http: reqwest::Client,
    reach: Reach,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

/// The body of a POST.
pub(crate) enum Body {
    Form(String),
    Json(String),
}

impl Fetch {
    /// A client for the URLs to which this one may lead: a server's URL, or that of an issuer.
    pub(crate) fn new(url: &str) -> Result<Self, OAuthError> {
        let reach = Reach::of(url).filter(|reach| reach.allows(url));
        let reach = reach.ok_or_else(|| OAuthError::ForbiddenUrl(url.to_owned()))?;
        let failed = |reason| OAuthError::Unavailable { url: url.to_owned(), reason, retry_after: None };
        let builder = https::builder(true).map_err(failed)?;
        let http = builder.dns_resolver(Arc::new(reach.clone())).build().map_err(|error| failed(causes(&error)))?;
        Ok(Self { http, reach })
    }

    /// Whether this URL may be requested, or opened in a browser.
    pub(crate) fn allows(&self, url: &str) -> bool {
        self.reach.allows(url)
    }

    /// Returns the JSON document at a URL.
    pub(crate) async fn document<T: DeserializeOwned>(&self, url: &str) -> Result<T, OAuthError> {
        let answer = self.send(url, self.http.get(url)).await?;
        match answer.status {
            200 => answer.read(url),
            status => Err(OAuthError::Unavailable {
                url: url.to_owned(),
                reason: format!("it answers with HTTP status {status}"),
                retry_after: answer.retry_after,
            }),
        }
    }

    /// Posts a body, and returns the answer with any status.
    pub(crate) async fn post(&self, url: &str, body: Body, authorization: Option<&str>) -> Result<Answer, OAuthError> {
        let (media_type, body) = match body {
            Body::Form(body) => ("application/x-www-form-urlencoded", body),
            Body::Json(body) => ("application/json", body),
        };
        let mut request = self.http.post(url).header(CONTENT_TYPE, media_type).body(body);
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        self.send(url, request).await
    }

    async fn send(&self, url: &str, request: RequestBuilder) -> Result<Answer, OAuthError> {
        if !self.allows(url) {
            return Err(OAuthError::ForbiddenUrl(url.to_owned()));
        }
        let unavailable = |reason| OAuthError::Unavailable { url: url.to_owned(), reason, retry_after: None };
        let answered = async {
            // RFC 8414 §3.2 and RFC 6749 §5.1: JSON. Some token endpoints send a form unless they are asked.
            let mut response =
                request.header(ACCEPT, "application/json").send().await.map_err(|e| unavailable(causes(&e)))?;
            let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            let mut body = Vec::new();
            while let Some(piece) = response.chunk().await.map_err(|error| unavailable(causes(&error)))? {
                if piece.len() > ANSWER - body.len() {
                    return Err(OAuthError::TooLarge(url.to_owned()));
                }
                body.extend_from_slice(&piece);
            }
            let retry_after = retry_after.map(Duration::from_secs);
            Ok(Answer { status: response.status().as_u16(), retry_after, body })
        };
        let late = || unavailable(format!("it does not answer within {} s", REQUEST_TIME.as_secs()));
        timeout(REQUEST_TIME, answered).await.unwrap_or_else(|_| Err(late()))
    }
}

impl Answer {
    /// Reads the body as JSON.
    pub(crate) fn read<T: DeserializeOwned>(&self, url: &str) -> Result<T, OAuthError> {
        serde_json::from_slice(without_mark(&self.body)).map_err(|_| OAuthError::Unreadable(url.to_owned()))
    }
}
