//! MCP over HTTP on the sockets of `embassy-net`.

use super::endpoint::{End, Endpoint, HttpBuffers};
use super::http::serve_connection;
use crate::tool::{Call, Output, ToolResult};
use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embassy_time::{Duration, with_timeout};

/// The memory of one socket: put an array of them in a `static`.
///
/// For `HEAD`, `BODY` and `OUT` see [`HttpBuffers`]; `TCP` is the size of each of the socket's two windows. embassy-net has no
/// backlog: a client that connects while all sockets are taken is reset. So have one socket more than the clients need. Official
/// clients open several connections.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SocketBuffers<const HEAD: usize, const BODY: usize, const OUT: usize, const TCP: usize = 1024> {
    rx: [u8; TCP],
    tx: [u8; TCP],
    buffers: HttpBuffers<HEAD, BODY, OUT>,
}

impl<const HEAD: usize, const BODY: usize, const OUT: usize, const TCP: usize> SocketBuffers<HEAD, BODY, OUT, TCP> {
    /// Empty buffers.
    pub const fn new() -> Self {
        Self { rx: [0; TCP], tx: [0; TCP], buffers: HttpBuffers::new() }
    }
}

impl<const HEAD: usize, const BODY: usize, const OUT: usize, const TCP: usize> Default
    for SocketBuffers<HEAD, BODY, OUT, TCP>
{
    fn default() -> Self {
        Self::new()
    }
}

/// Serves `endpoint` on one socket, one client after the other, and never returns. Run one task for each socket: one future for all
/// sockets would be copied over the stack. The network's runner needs a task too.
pub async fn serve<const HEAD: usize, const BODY: usize, const OUT: usize, const TCP: usize, const URIS: usize>(
    (stack, port): (Stack<'_>, u16),
    socket: &mut SocketBuffers<HEAD, BODY, OUT, TCP>,
    endpoint: &Endpoint<'_, URIS>,
    handler: impl AsyncFn(Call<'_>, &mut Output<'_>) -> ToolResult,
) {
    let SocketBuffers { rx, tx, buffers } = socket;
    let deadlines = endpoint.site.deadlines;
    let mut tcp = TcpSocket::new(stack, rx, tx);
    // A client that vanishes without closing holds its socket no longer than this.
    tcp.set_timeout(Some(deadlines.idle));
    tcp.set_keep_alive(Some(deadlines.comment));
    loop {
        if tcp.accept(port).await.is_ok() {
            endpoint.room.enter();
            let from = tcp.remote_endpoint().map(|remote| remote.addr.into());
            let end = serve_connection(tcp.split(), from, buffers, endpoint, &handler).await;
            if end == End::Close {
                tcp.close();
                // Lost segments are sent again, which takes time.
                let _ = with_timeout(deadlines.write, tcp.flush()).await;
                let _ = with_timeout(CLOSING, closed(&mut tcp)).await;
            }
            endpoint.room.leave();
        }
        tcp.abort();
        let _ = with_timeout(CLOSING, tcp.flush()).await;
    }
}

/// Waits until the client closes too. A reset before that may cost the client its answer (RFC 9112 §9.6).
async fn closed(tcp: &mut TcpSocket<'_>) {
    let mut unread = [0; 64];
    while tcp.read(&mut unread).await.is_ok_and(|length| length > 0) {}
}

/// Timeout for a client to close its end, or to learn of a reset.
const CLOSING: Duration = Duration::from_secs(2);
