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
        let code = match why {
            NoAnswer::Forbidden => Code::IssuerForbidden,
            NoAnswer::NameNotFound(_) => Code::NameNotFound,
            NoAnswer::NotReachable(_) => Code::NotReachable,
            NoAnswer::TooSlow => Code::NoAnswer,
            NoAnswer::TooLarge => Code::AnswerTooLarge,
            NoAnswer::TlsNotSpoken(_) => Code::TlsNotSpoken,
            NoAnswer::Untrusted(_) => Code::CertificateUntrusted,
            NoAnswer::Expired(_) => Code::CertificateExpired,
            NoAnswer::OtherName(_) => Code::CertificateOtherName,
            NoAnswer::NotHttp(_) => Code::NotHttp,
        };
        self.report.found(step, code, format!("{}: {why}", without_query(url)));
    }
}

/// A URL without its query, which may have secrets.
pub(super) fn without_query(url: &Url) -> &str {
    &url[..url::Position::AfterPath]
}
