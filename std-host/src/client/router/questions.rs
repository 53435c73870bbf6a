//! Requests of servers of older revisions: pings, and questions to the client.

use super::{Router, Running};
use crate::client::limits::QUESTIONS;
use crate::client::mailbox::{Incoming, Mailbox};
use crate::client::question::{Answered, Question, QuestionMethod, Refusal, is_declared, unanswered};
use crate::client::raw::RawJson;
use crate::client::request::Asks;
use crate::sink::Growing;
use attache_core::client;
use attache_core::era::Version;
use attache_core::json::{Item, Value};
use bytes::Bytes;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

impl Router {
    pub(super) fn asked(&self, body: &Bytes, id: &[u8], method: Value<'_>, params: Option<Item>, stream: Option<u64>) {
        // MCP 2026-07-28 basic/transports: servers send no requests, and clients no responses.
        if self.version().is_some_and(Version::is_modern) {
            tracing::debug!("a request of the server was dropped: revision 2026-07-28 has none");
            return;
        }
        let id = Bytes::copy_from_slice(id);
        let name: String = method.text().map(|text| text.chars().collect()).unwrap_or_default();
        if name == "ping" {
            return self.respond(&id, Ok(RawJson::empty_object()));
        }
        let Some(method) = QuestionMethod::named(&name) else {
            return self.respond(&id, Err(Refusal { code: -32601, message: "Method not found".to_owned() }));
        };
        let params = params.map_or_else(RawJson::empty_object, |params| RawJson::part(body, params.of(body)));
        if let Err(refusal) = is_declared(method, &params, self.declared) {
            return self.respond(&id, Err(refusal));
        }
        if let Err(refusal) = self.question(&id, method, params, stream) {
            self.respond(&id, Err(refusal));
        }
    }

    /// Delivers a question to its call, or to the function that answers questions.
    fn question(
        &self,
        id: &Bytes,
        method: QuestionMethod,
        params: RawJson,
        stream: Option<u64>,
    ) -> Result<(), Refusal> {
        let busy = |message: &str| Refusal { code: -32603, message: message.to_owned() };
        let place = Place::take(&self.open_questions).ok_or_else(|| busy("Too many questions are open"))?;
        let len = params.as_bytes().len();
        let key = String::from_utf8_lossy(id).trim_matches('"').to_owned();
        let (question, answered) = Question::new(key, method, params);
        match self.asking(stream) {
            Some(mailbox) => {
                if mailbox.put(Incoming::Question(question), len).is_err() {
                    return Err(busy("The call's events are not taken fast enough"));
                }
            }
            None => match &self.answers {
                Some(answers) => {
                    tokio::spawn(answers(question));
                }
                // A guess could show the question to another caller.
                None => {
                    self.strays.store(true, Ordering::Relaxed);
                    return Err(busy("It is not known which call asks"));
                }
            },
        }
        let (responses, own) = (self.responses.clone(), id.clone());
        let waiting = tokio::spawn(async move {
            let answered = answered.await.unwrap_or_else(|_| unanswered(method));
            let _ = responses.send(response(&own, answered)).await;
            drop(place);
        });
        let mut calls = self.lock();
        calls.questions.retain(|_, waiting| !waiting.is_finished());
        calls.questions.insert(id.clone(), waiting.abort_handle());
        Ok(())
    }

    /// Finds the call for a question: that of the stream, the only one that accepts questions, or
    /// the newest one if all of them belong to the same session of a user.
    fn asking(&self, stream: Option<u64>) -> Option<Arc<Mailbox>> {
        let calls = self.lock();
        // The stream of a call that has ended is not that of another call.
        if let Some(stream) = stream {
            let running = calls.running.get(&stream).filter(|running| running.asks().is_some());
            return running.map(|running| Arc::clone(&running.mailbox));
        }
        let mut newest: Option<(u64, Asks, &Running)> = None;
        for (id, running) in &calls.running {
            let Some(asks) = running.asks() else { continue };
            newest = match newest {
                None => Some((*id, asks, running)),
                Some((_, other, _)) if other != asks || asks == Asks::Alone => return None,
                Some((other, ..)) if *id > other => Some((*id, asks, running)),
                older => older,
            };
        }
        newest.map(|(.., running)| Arc::clone(&running.mailbox))
    }

    fn respond(&self, id: &[u8], answered: Answered) {
        if self.responses.try_send(response(id, answered)).is_err() {
            tracing::debug!("the server asks faster than it takes answers; one was dropped");
        }
    }
}

fn response(id: &[u8], answered: Answered) -> Bytes {
    let mut out = Growing::unlimited();
    // The buffer grows, so writing cannot fail.
    let _ = match answered {
        Ok(result) => client::respond(&mut out, id, result.as_bytes()),
        Err(refusal) => client::respond_error(&mut out, id, refusal.code, &refusal.message),
    };
    out.bytes.into()
}

/// A slot for an open question.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(open: &Arc<AtomicUsize>) -> Option<Self> {
        if open.fetch_add(1, Ordering::Relaxed) >= QUESTIONS {
            open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Self(Arc::clone(open)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
