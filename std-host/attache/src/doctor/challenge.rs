//! The answer to a caller without a credential.

use super::finding::Code;
use super::http::{Answer, Body, NoAnswer};
use super::message::{Credential, Post};
use super::report::Step;
use super::walk::Walk;
use super::www_authenticate::{Challenge, parse};
use core::time::Duration;
use http::StatusCode;
use serde_json::json;
use std::time::SystemTime;
use url::Url;

/// The answer of the server to the first request.
#[derive(Debug)]
pub(super) struct First {
    /// The answer; with an `origin`, so that the headers for browsers are there.
    pub(super) answer: Answer,
    /// The Bearer challenge, if there is one.
    challenge: Option<Challenge>,
}

impl First {
    /// Whether a caller without a credential may call.
    pub(super) fn is_open(&self) -> bool {
        self.answer.status != StatusCode::UNAUTHORIZED
    }

    /// Whether the server wants a token.
    pub(super) const fn asks_for_sign_in(&self) -> bool {
        self.challenge.is_some()
    }

    /// Where the challenge says the metadata is.
    pub(super) fn metadata_url(&self) -> Option<&str> {
        self.challenge.as_ref()?.parameter("resource_metadata")
    }

    /// The scopes of the challenge.
    pub(super) fn scopes(&self) -> Option<&str> {
        self.challenge.as_ref()?.parameter("scope")
    }
}

/// The origin of a client in a browser: that of the MCP Inspector.
pub(super) const BROWSER: &str = "http://localhost:6274";

impl Walk<'_> {
    /// Sends the first request without a credential. Returns `None` if the walk ends here.
    pub(super) async fn challenged(&mut self) -> Option<First> {
        let (answer, post) = self.first_answer().await?;
        let reached = format!("{} answers", self.url.origin().ascii_serialization());
        self.report.saw(Step::Connection, reached);
        self.clock(&answer);
        if !self.is_answer_of_a_server(&answer) {
            return None;
        }
        if answer.status != StatusCode::UNAUTHORIZED {
            self.open(&answer);
            return Some(First { answer, challenge: None });
        }
        let challenge = self.challenge(&answer);
        // The headers for browsers come only with an origin. A server may refuse this one.
        let mut post = post;
        post.headers.insert("origin", http::HeaderValue::from_static(BROWSER));
        let answer = match self.post(post, Body::FirstEvent).await {
            Ok(again) if again.status == StatusCode::UNAUTHORIZED => again,
            _ => answer,
        };
        Some(First { answer, challenge })
    }

    /// Sends the first request of the newest revision, and that of the older ones if the server fails
    /// at it. Returns the answer, and the request.
    async fn first_answer(&mut self) -> Option<(Answer, Post)> {
        let nobody = Credential::default();
        let modern = || Post::modern("server/discover", json!({}), &nobody);
        let failed = match self.post(modern(), Body::FirstEvent).await {
            Ok(answer) if !answer.status.is_server_error() => return Some((answer, modern())),
            Ok(answer) => Ok(answer),
            Err(why @ (NoAnswer::TooSlow | NoAnswer::NotHttp(_))) => Err(why),
            Err(why) => {
                let url = self.url.clone();
                self.unanswered(Step::Connection, &url, &why);
                return None;
            }
        };
        let seen = failed.as_ref().map_or_else(|_| "there is no answer".to_owned(), Answer::summary);
        let older = self.post(Post::initialize(&nobody), Body::FirstEvent).await;
        match (older, failed) {
            (Ok(answer), _) if !answer.status.is_server_error() => {
                self.report.found(Step::Protocol, Code::ProbeFails, format!("server/discover: {seen}"));
                Some((answer, Post::initialize(&nobody)))
            }
            (_, Ok(_)) => {
                self.report.found(Step::Challenge, Code::ServerError, seen);
                None
            }
            (_, Err(why)) => {
                let url = self.url.clone();
                self.unanswered(Step::Connection, &url, &why);
                None
            }
        }
    }

    fn clock(&mut self, answer: &Answer) {
        let Some(date) = answer.header("date").and_then(|date| httpdate::parse_http_date(date).ok()) else { return };
        let now = SystemTime::now();
        let difference = now.duration_since(date).or_else(|_| date.duration_since(now)).unwrap_or_default();
        if difference > TOLERATED {
            let seen = format!("the clocks differ by {} s", difference.as_secs());
            self.report.found(Step::Connection, Code::ClockDiffers, seen);
        }
    }

    /// Whether the answer can be that of an MCP server; adds the finding if not.
    fn is_answer_of_a_server(&mut self, answer: &Answer) -> bool {
        let (status, summary) = (answer.status, answer.summary());
        let (code, seen) = match status.as_u16() {
            300..=399 => {
                let target = answer.header("location").unwrap_or("nowhere");
                let target =
                    self.url.join(target).map_or(target.to_owned(), |url| super::walk::without_query(&url).to_owned());
                let is_sign_in = ["login", "signin", "sign-in", "authorize", "oauth"];
                let is_sign_in = is_sign_in.iter().any(|word| target.to_ascii_lowercase().contains(word));
                let code = if is_sign_in { Code::SignInPage } else { Code::Redirected };
                (code, format!("{summary}, to {target}"))
            }
            403 => (Code::ForbiddenNotUnauthorized, summary),
            404 if answer.messages().next().is_none_or(|message| message.get("jsonrpc").is_none()) => {
                (Code::NotFound, summary)
            }
            200..=299 if answer.has_type("text/html") => (Code::NotMcp, summary),
            _ => return true,
        };
        self.report.found(Step::Challenge, code, seen);
        false
    }

    fn open(&mut self, answer: &Answer) {
        let seen = format!("a caller without a credential gets {}", answer.summary());
        match super::is_local(&self.url) {
            true => self.report.saw(Step::Challenge, seen),
            false => self.report.found(Step::Challenge, Code::Unprotected, seen),
        }
    }

    /// Reads the challenge of a 401, and returns the one for tokens.
    fn challenge(&mut self, answer: &Answer) -> Option<Challenge> {
        let headers: Vec<_> = answer.headers.get_all("www-authenticate").into_iter().collect();
        let header = headers.iter().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(", ");
        if headers.is_empty() {
            if self.credential.key.is_none() {
                self.report.found(Step::Challenge, Code::ChallengeMissing, "401 without WWW-Authenticate");
            }
            // The metadata may be there nevertheless.
            return Some(Challenge::default()).filter(|_| self.credential.key.is_none());
        }
        let Some(challenges) = parse(&header) else {
            self.report.found(Step::Challenge, Code::ChallengeMalformed, format!("WWW-Authenticate: {header}"));
            return Some(Challenge::default());
        };
        let schemes: Vec<_> = challenges.iter().map(|challenge| challenge.scheme.clone()).collect();
        let Some(bearer) = challenges.into_iter().find(Challenge::is_bearer) else {
            if self.credential.key.is_none() {
                let seen = format!("the schemes are {}", schemes.join(", "));
                self.report.found(Step::Challenge, Code::ChallengeNotBearer, seen);
            }
            return None;
        };
        match bearer.parameter("resource_metadata").map(Url::parse) {
            None => self.report.found(
                Step::Challenge,
                Code::ChallengeWithoutMetadata,
                format!("WWW-Authenticate: {header}"),
            ),
            Some(Err(_)) => {
                self.report.found(
                    Step::Challenge,
                    Code::ChallengeMetadataRelative,
                    format!("WWW-Authenticate: {header}"),
                );
            }
            Some(Ok(url)) => self.report.saw(Step::Challenge, format!("401, and the metadata is at {url}")),
        }
        Some(bearer)
    }
}

/// The difference of clocks that is tolerated. Checks of tokens tolerate a minute, too.
const TOLERATED: Duration = Duration::from_secs(60);
