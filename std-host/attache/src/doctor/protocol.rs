//! The protocol: revisions, lists, sessions and streams, as a caller with the credential.

use super::finding::Code;
use super::http::{Answer, Body, NoAnswer};
use super::message::{Credential, ID, MODERN, Post, of_session};
use super::report::Step;
use super::token::Suspicion;
use super::walk::Walk;
use http::{Method, StatusCode};
use serde_json::{Value, json};

/// Requests within one session, each on a connection of its own. With two replicas and no affinity,
/// all of them reach the right one in 1 of 256 cases.
const REQUESTS_OF_A_SESSION: usize = 8;

impl Walk<'_> {
    /// Talks to the server as a client with the credential.
    pub(super) async fn protocol(&mut self, suspicion: Option<Suspicion>) {
        let credential = self.credential.clone();
        let probed = self.post(Post::modern("server/discover", json!({}), &credential), Body::FirstEvent).await;
        let discovered = match probed {
            Ok(answer) if self.is_refused(&answer, suspicion) => return,
            Ok(answer) => result(&answer),
            // The first request has told why.
            Err(_) => None,
        };
        let is_modern = match &discovered {
            Some(discovered) => {
                let versions = discovered.get("supportedVersions").and_then(Value::as_array);
                versions.is_some_and(|versions| versions.iter().any(|version| version == MODERN))
            }
            None => false,
        };
        if is_modern {
            self.report.saw(Step::Protocol, format!("the server speaks revision {MODERN}"));
            self.lists(discovered.as_ref(), &credential).await;
            self.listen(&credential).await;
        }
        self.older_revisions(is_modern, &credential).await;
    }

    /// Whether the server refuses the credential; adds the finding.
    fn is_refused(&mut self, answer: &Answer, suspicion: Option<Suspicion>) -> bool {
        let seen = format!("with the credential: {}", answer.summary());
        match (answer.status, suspicion) {
            (StatusCode::UNAUTHORIZED, Some(Suspicion { code, seen })) => self.report.found(Step::Token, code, seen),
            (StatusCode::UNAUTHORIZED, None) if self.credential.token.is_some() => {
                self.report.found(Step::Token, Code::TokenRefused, seen);
            }
            (StatusCode::UNAUTHORIZED, None) => self.report.found(Step::Token, Code::KeyRefused, seen),
            (StatusCode::FORBIDDEN, _) => {
                let challenge = answer.header("www-authenticate").unwrap_or_default();
                let code = if challenge.contains("insufficient_scope") {
                    Code::TokenScopeMissing
                } else {
                    Code::CallerForbidden
                };
                self.report.found(Step::Token, code, format!("{seen} {challenge}"));
            }
            (_, Some(Suspicion { seen, .. })) => {
                self.report.saw(Step::Token, format!("{seen}, and it accepts the token"));
                return false;
            }
            _ => return false,
        }
        true
    }

    /// MCP 2026-07-28 server/utilities/caching: results of lists have `ttlMs` and `cacheScope`.
    async fn lists(&mut self, discovered: Option<&Value>, credential: &Credential) {
        let capabilities = discovered.and_then(|discovered| discovered.get("capabilities"));
        for (capability, method) in
            [("tools", "tools/list"), ("prompts", "prompts/list"), ("resources", "resources/list")]
        {
            if capabilities.is_none_or(|capabilities| capabilities.get(capability).is_none()) {
                continue;
            }
            let answer = match self.post(Post::modern(method, json!({}), credential), Body::FirstEvent).await {
                Ok(answer) => answer,
                Err(why) => {
                    let url = self.url.clone();
                    return self.unanswered(Step::Protocol, &url, &why);
                }
            };
            let Some(list) = result(&answer) else {
                self.report.found(Step::Protocol, Code::ProtocolMalformed, format!("{method}: {}", answer.summary()));
                continue;
            };
            let missing: Vec<_> =
                ["ttlMs", "cacheScope"].into_iter().filter(|name| list.get(*name).is_none()).collect();
            let count = list.get(capability).and_then(Value::as_array).map_or(0, Vec::len);
            match missing.as_slice() {
                [] => self.report.saw(Step::Protocol, format!("{method} has {count} {capability}")),
                missing => {
                    let seen = format!("{method} has no {}", missing.join(" and no "));
                    self.report.found(Step::Protocol, Code::TtlMissing, seen);
                }
            }
        }
    }

    /// A listen stream begins with its acknowledgement: if it does not come, something holds it back.
    async fn listen(&mut self, credential: &Credential) {
        let filter = json!({ "notifications": { "toolsListChanged": true } });
        let answer = self.post(Post::modern("subscriptions/listen", filter, credential), Body::FirstEvent).await;
        match answer {
            Ok(answer) if answer.is_stream() => {
                self.compression(&answer);
                match answer.messages().next() {
                    Some(_) => self.report.saw(Step::Protocol, "a stream begins at once"),
                    None => {
                        self.report.found(Step::Protocol, Code::StreamBuffered, "subscriptions/listen: no event came")
                    }
                }
            }
            Err(NoAnswer::TooSlow) => {
                self.report.found(Step::Protocol, Code::StreamBuffered, "subscriptions/listen: no head came");
            }
            // A server without changes may refuse.
            _ => {}
        }
    }

    fn compression(&mut self, answer: &Answer) {
        if let Some(encoding) = answer.header("content-encoding").filter(|encoding| *encoding != "identity") {
            self.report.found(Step::Protocol, Code::StreamCompressed, format!("content-encoding is {encoding}"));
        }
    }

    async fn older_revisions(&mut self, is_modern: bool, credential: &Credential) {
        let answer = match self.post(Post::initialize(credential), Body::FirstEvent).await {
            Ok(answer) => answer,
            Err(_) if is_modern => return,
            Err(why) => {
                let url = self.url.clone();
                return self.unanswered(Step::Protocol, &url, &why);
            }
        };
        let version = result(&answer).and_then(|result| Some(result.get("protocolVersion")?.as_str()?.to_owned()));
        let Some(version) = version else {
            if !is_modern {
                let code = if answer.has_type("text/html") { Code::NotMcp } else { Code::ProtocolMalformed };
                self.report.found(Step::Protocol, code, format!("initialize: {}", answer.summary()));
            }
            return;
        };
        match is_modern {
            true => self.report.saw(Step::Protocol, format!("the server speaks older revisions, such as {version}")),
            false => {
                self.report.found(Step::Protocol, Code::RevisionOld, format!("the server speaks revision {version}"))
            }
        }
        if answer.is_stream() {
            self.compression(&answer);
        }
        if let Some(session) = answer.header("mcp-session-id").map(str::to_owned) {
            self.session(&session, credential).await;
        }
    }

    async fn session(&mut self, session: &str, credential: &Credential) {
        let mut statuses = Vec::new();
        for _ in 0..REQUESTS_OF_A_SESSION {
            match self.post(Post::ping(session, credential), Body::FirstEvent).await {
                Ok(answer) => statuses.push(answer.status),
                Err(_) => return,
            }
        }
        let lost = statuses.iter().filter(|status| status.is_client_error()).count();
        match lost {
            0 => self.report.saw(Step::Protocol, "requests of one session on several connections are answered"),
            lost => {
                let seen = format!("{lost} of {REQUESTS_OF_A_SESSION} requests of one session were answered with 4xx");
                self.report.found(Step::Protocol, Code::SessionAffinity, seen);
            }
        }
        let unknown = self.post(Post::ping("00000000-0000-4000-8000-000000000000", credential), Body::FirstEvent).await;
        if unknown.is_ok_and(|answer| answer.status == StatusCode::UNAUTHORIZED) {
            self.report.found(Step::Protocol, Code::SessionUnauthorized, "an unknown session is answered with 401");
        }
        let url = self.url.clone();
        let stream =
            self.http.send(Method::GET, &url, of_session(session, credential), String::new(), Body::Head).await;
        match stream {
            Ok(answer) if answer.is_stream() => self.compression(&answer),
            Err(NoAnswer::TooSlow) => {
                self.report.found(Step::Protocol, Code::StreamBuffered, "GET: no head of the stream came");
            }
            _ => {}
        }
        // The session was made by the doctor.
        let _ = self.http.send(Method::DELETE, &url, of_session(session, credential), String::new(), Body::Head).await;
    }
}

/// The result of the request, if the answer has one.
fn result(answer: &Answer) -> Option<Value> {
    answer
        .messages()
        .find(|message| message.get("id").and_then(Value::as_u64) == Some(ID))
        .filter(|message| message.get("jsonrpc").is_some_and(|version| version == "2.0"))
        .and_then(|mut message| message.get_mut("result").map(Value::take))
        .filter(Value::is_object)
}
