//! The state that all steps share: the server, the credential, and the report.

use super::finding::Code;
use super::http::{Answer, Body, Http, NoAnswer};
use super::message::{Credential, Post};
use super::report::{Report, Step};
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

impl Walk<'_> {
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
