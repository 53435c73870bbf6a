//! Answers of the application on their way to the client.

use super::BoxError;
use super::activity::Activity;
use super::fields::{is_own_cookie, remove_of_connection};
use axum::body::Body;
use bytes::Bytes;
use core::pin::Pin;
use core::task::{Context, Poll};
use http::header::{ALT_SVC, CONTENT_LENGTH, HeaderName, SET_COOKIE, TRANSFER_ENCODING, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use std::sync::Arc;
use tokio::time::{Sleep, sleep_until};

/// Why an answer is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// Two parsers could see its end in two places.
    Length,
}

/// Checks the head of an answer, and removes what an application must not say.
pub(super) fn cleaned(answer: Response<Incoming>, activity: Arc<Activity>) -> Result<Response<Body>, Malformed> {
    let (mut head, body) = answer.into_parts();
    check_length(&head.headers)?;
    clean(&mut head.headers);
    let body = AnswerBody { body, activity, timer: None, waits: false };
    Ok(Response::from_parts(head, Body::new(body)))
}

// RFC 9112 §6.3: "If a message is received with both a Transfer-Encoding and a Content-Length header field, the Transfer-Encoding
// overrides the Content-Length. Such a message might indicate an attempt to perform request smuggling [...] or response splitting
// [...] and ought to be handled as an error".
fn check_length(fields: &HeaderMap) -> Result<(), Malformed> {
    let mut lengths = fields.get_all(CONTENT_LENGTH).iter();
    let is_number = |value: &HeaderValue| value.as_bytes().iter().all(u8::is_ascii_digit);
    match (lengths.next(), lengths.next(), fields.contains_key(TRANSFER_ENCODING)) {
        (None, ..) => Ok(()),
        (Some(length), None, false) if is_number(length) => Ok(()),
        _ => Err(Malformed::Length),
    }
}

/// Removes the fields that an application must not set for its clients.
fn clean(fields: &mut HeaderMap) {
    remove_of_connection(fields);
    // MCP basic/authorization: the challenge names the authorization server of the endpoint, which is this program's matter.
    // RFC 7838: Alt-Svc would lead clients past the proxy.
    [WWW_AUTHENTICATE, ALT_SVC].iter().for_each(|name| drop(fields.remove(name)));
    if fields.get_all(SET_COOKIE).iter().any(|cookie| is_own_cookie(cookie.as_bytes())) {
        let kept: Vec<HeaderValue> =
            fields.get_all(SET_COOKIE).iter().filter(|cookie| !is_own_cookie(cookie.as_bytes())).cloned().collect();
        fields.remove(SET_COOKIE);
        for cookie in kept {
            fields.append(SET_COOKIE, cookie);
        }
    }
}

/// Removes the trailers that have a meaning only in a head, or that an application must not set (RFC 9110 §6.5.1).
fn clean_trailers(fields: &mut HeaderMap) {
    const IN_HEAD: [HeaderName; 3] = [CONTENT_LENGTH, SET_COOKIE, http::header::TRAILER];
    clean(fields);
    IN_HEAD.iter().for_each(|name| drop(fields.remove(name)));
}

/// The body of an answer. It fails if nothing comes for the time limit.
struct AnswerBody {
    body: Incoming,
    activity: Arc<Activity>,
    /// The time limit, set at the first wait.
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether the application has been asked for more and has sent nothing since then.
    waits: bool,
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(Some(Ok(mut frame))) => {
                this.activity.note();
                this.waits = false;
                frame.trailers_mut().into_iter().for_each(clean_trailers);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(other) => Poll::Ready(other.map(|frame| frame.map_err(BoxError::from))),
            Poll::Pending => {
                if !this.waits {
                    // A client that has read slowly does not count against the application.
                    this.activity.note();
                    this.waits = true;
                }
                let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(this.activity.end())));
                while timer.as_mut().poll(context).is_ready() {
                    if timer.deadline() >= this.activity.end() {
                        tracing::warn!("an application has sent nothing for the time limit, and its answer is cut");
                        return Poll::Ready(Some(Err("the application has sent nothing for too long".into())));
                    }
                    timer.as_mut().reset(this.activity.end());
                }
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for (name, value) in lines {
            fields.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        fields
    }

    #[test]
    fn answer_whose_end_is_in_two_places_is_malformed() {
        for (lines, ok) in [
            (&[][..], true),
            (&[("content-length", "5")], true),
            (&[("transfer-encoding", "chunked")], true),
            (&[("content-length", "5"), ("content-length", "5")], false),
            (&[("content-length", "5"), ("content-length", "6")], false),
            (&[("content-length", "5, 5")], false),
            (&[("content-length", "5"), ("transfer-encoding", "chunked")], false),
        ] {
            assert_eq!(check_length(&fields(lines)).is_ok(), ok, "{lines:?}");
        }
    }

    #[test]
    fn application_cannot_set_challenges_own_cookies_or_fields_of_the_connection() {
        let mut head = fields(&[
            ("www-authenticate", "Bearer resource_metadata=\"https://evil.example\""),
            ("set-cookie", "attache-s-1=x"),
            ("set-cookie", "theme=dark"),
            ("alt-svc", "h3=\":8443\""),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("content-type", "text/plain"),
        ]);
        clean(&mut head);
        let left: Vec<_> = head.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        assert_eq!(left, ["content-type: text/plain", "set-cookie: theme=dark"]);
    }
}
