//! One HTTP/1.1 connection, which is driven by the future that waits for its response.

use bytes::Bytes;
use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::{Context, Waker};
use http::Request;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// One connection.
pub(super) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: http1::Connection<MaybeHttpsStream<TokioIo<TcpStream>>, Full<Bytes>>,
    /// Whether the driver has ended and must not be polled again.
    has_ended: bool,
}

/// A request without a response.
pub(super) type Failure = hyper::client::conn::TrySendError<Request<Full<Bytes>>>;

impl Connection {
    /// Begins HTTP on a stream.
    pub(super) async fn begin(io: MaybeHttpsStream<TokioIo<TcpStream>>) -> Result<Self, hyper::Error> {
        let (sender, driver) = http1::handshake(io).await?;
        Ok(Self { sender, driver, has_ended: false })
    }

    /// Sends a request, and waits for the head of the response.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<http::Response<Incoming>, Failure> {
        let mut answered = pin!(self.sender.try_send_request(request));
        poll_fn(|context| {
            if !self.has_ended {
                self.has_ended = Pin::new(&mut self.driver).poll(context).is_ready();
            }
            answered.as_mut().poll(context)
        })
        .await
    }

    /// Reads and writes what the socket is ready for.
    pub(super) fn drive(&mut self, context: &mut Context<'_>) {
        // An error also arrives at the request or the body that is in progress.
        if !self.has_ended {
            self.has_ended = Pin::new(&mut self.driver).poll(context).is_ready();
        }
    }

    /// Whether the server has closed the connection, as far as it is known.
    pub(super) const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether an idle connection can take a request: the server has not closed it.
    pub(super) fn is_ready(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.has_ended && self.sender.is_ready()
    }
}
