//! A response, and the connection that its body arrives on.

use super::connection::Connection;
use super::idle::Idle;
use crate::client::error::Error;
use crate::https;
use bytes::Bytes;
use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll};
use http::{HeaderMap, StatusCode, response::Parts};
use http_body::Body;
use hyper::body::Incoming;
use std::sync::Arc;

/// A response. Dropping it before the end of its body closes the connection.
pub(super) struct Response {
    head: Parts,
    body: Incoming,
    /// The connection of the body, until the body has ended.
    connection: Option<Box<Connection>>,
    idle: Arc<Idle>,
}

impl Response {
    pub(super) const fn new(head: Parts, body: Incoming, connection: Box<Connection>, idle: Arc<Idle>) -> Self {
        Self { head, body, connection: Some(connection), idle }
    }

    pub(super) const fn status(&self) -> StatusCode {
        self.head.status
    }

    pub(super) const fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// Reads the next part of the body. Returns `None` at the end of the body.
    ///
    /// # Errors
    /// If the connection is lost.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let part = poll_fn(|context| self.poll_part(context)).await;
        if let Ok(None) = part
            && let Some(connection) = self.connection.take()
        {
            self.idle.keep(connection);
        }
        part.map_err(|error| Error::Lost(https::causes(&error)))
    }

    fn poll_part(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, hyper::Error>> {
        if let Poll::Ready(part) = poll_body(&mut self.body, context) {
            return Poll::Ready(part);
        }
        // The body has asked for its next part, so the connection reads it now.
        if let Some(connection) = &mut self.connection {
            connection.drive(context);
        }
        poll_body(&mut self.body, context)
    }
}

fn poll_body(body: &mut Incoming, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, hyper::Error>> {
    loop {
        return match Pin::new(&mut *body).poll_frame(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(Ok(None)),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Err(error)),
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => Poll::Ready(Ok(Some(data))),
                // No trailer field has a meaning here.
                Err(_) => continue,
            },
        };
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("status", &self.head.status).finish_non_exhaustive()
    }
}
