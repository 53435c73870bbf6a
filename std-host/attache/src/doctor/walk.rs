//! The order of the steps, and what they share.

use super::configuration::Configured;
use super::finding::Code;
use super::http::{Answer, Body, Http, NoAnswer};
use super::message::{Credential, Post};
use super::report::{Report, Step};
use core::time::Duration;
use http::Method;
use url::Url;

/// A walk to a server.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    pub(super) http: &'a mut Http,
    pub(super) report: &'a mut Report,
    /// The URL of the server.
    pub(super) url: Url,
    /// The URL as clients are told to write it.
    pub(super) written: String,
    pub(super) credential: Credential,
}

/// The time for all steps: a server that delays each answer cannot hold the doctor.
const WALK_TIME: Duration = Duration::from_secs(25);

impl Walk<'_> {
    /// Walks all steps. What was seen until the timeout is in the report.
    pub(super) async fn run(mut self, configured: Option<&Result<Configured, String>>) {
        if tokio::time::timeout(WALK_TIME, self.steps(configured)).await.is_err() {
            self.report.found(Step::Connection, Code::GaveUp, "the examination took too long");
        }
    }

    async fn steps(&mut self, configured: Option<&Result<Configured, String>>) {
        let configured = match configured {
            None => None,
            Some(Ok(configured)) => Some(configured),
            Some(Err(why)) => {
                self.report.found(Step::Configuration, Code::ConfigurationInvalid, why);
                None
            }
        };
        if self.url.scheme() == "http" && !super::is_local(&self.url) {
            self.report.found(Step::Connection, Code::PlainHttp, format!("{} is not encrypted", self.written));
        }
        let Some(first) = self.challenged().await else { return };
        self.preflight(&first).await;
        let mut signed = None;
        if first.asks_for_sign_in() {
            let metadata = self.metadata(&first).await;
            let issuers = self.issuers(metadata.as_ref()).await;
            if let Some(configured) = configured {
                self.compare(configured, metadata.as_ref(), &issuers);
            }
            signed = Some((metadata, issuers));
        }
        let mut suspicion = None;
        if let Some(token) = self.credential.token.clone() {
            let (metadata, issuers) = signed.unwrap_or_default();
            suspicion = self.token(&token, metadata.as_ref(), &issuers, configured).await;
        }
        if first.is_open() || !self.credential.is_none() {
            self.protocol(suspicion).await;
        }
    }

    /// Posts a message to the server.
    pub(super) async fn post(&mut self, post: Post, read: Body) -> Result<Answer, NoAnswer> {
        let url = self.url.clone();
        self.http.send(Method::POST, &url, post.headers, post.body, read).await
    }

    /// Adds the finding for a request that was not answered.
    pub(super) fn unanswered(&mut self, step: Step, url: &Url, why: &NoAnswer) {
        let (code, detail) = match why {
            NoAnswer::Forbidden => (Code::IssuerForbidden, "is an address of this machine"),
            NoAnswer::NameNotFound(why) => (Code::NameNotFound, why.as_str()),
            NoAnswer::NotReachable(why) => (Code::NotReachable, why.as_str()),
            NoAnswer::TooSlow => (Code::NoAnswer, "no answer within three seconds"),
            NoAnswer::TooLarge => (Code::AnswerTooLarge, "the answer is too large"),
            NoAnswer::TlsNotSpoken(why) => (Code::TlsNotSpoken, why.as_str()),
            NoAnswer::Untrusted(why) => (Code::CertificateUntrusted, why.as_str()),
            NoAnswer::Expired(why) => (Code::CertificateExpired, why.as_str()),
            NoAnswer::OtherName(why) => (Code::CertificateOtherName, why.as_str()),
            NoAnswer::NotHttp(why) => (Code::NotHttp, why.as_str()),
        };
        self.report.found(step, code, format!("{}: {detail}", without_query(url)));
    }
}

/// A URL without its query, which may have secrets.
pub(super) fn without_query(url: &Url) -> &str {
    &url[..url::Position::AfterPath]
}
