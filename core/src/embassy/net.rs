//! MCP over HTTP on the sockets of `embassy-net`.

use super::Changes;
use super::http::{End, HttpBuffers, Site, serve_connection};
use super::room::Room;
use crate::mcp::Server;
use crate::tool::{Call, Output, ToolResult};
use embassy_futures::join::join_array;
use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embassy_time::{Duration, with_timeout};

/// The memory of an endpoint: put it in a `static`.
///
/// `SOCKETS` connections are served at once. embassy-net keeps nobody waiting: who comes when all are taken is reset, so leave one
/// more than the clients need. For the others see [`HttpBuffers`]; `TCP` is the size of each socket's two windows.
#[derive(Debug)]
pub struct Resources<
    const SOCKETS: usize,
    const HEAD: usize,
    const BODY: usize,
    const OUT: usize,
    const TCP: usize = 1024,
> {
    places: [Place<HEAD, BODY, OUT, TCP>; SOCKETS],
}

#[derive(Debug)]
struct Place<const HEAD: usize, const BODY: usize, const OUT: usize, const TCP: usize> {
    rx: [u8; TCP],
    tx: [u8; TCP],
    buffers: HttpBuffers<HEAD, BODY, OUT>,
}

impl<const SOCKETS: usize, const HEAD: usize, const BODY: usize, const OUT: usize, const TCP: usize>
    Resources<SOCKETS, HEAD, BODY, OUT, TCP>
{
    /// Empty buffers.
    pub const fn new() -> Self {
        Self { places: [const { Place { rx: [0; TCP], tx: [0; TCP], buffers: HttpBuffers::new() } }; SOCKETS] }
    }
}

impl<const SOCKETS: usize, const HEAD: usize, const BODY: usize, const OUT: usize, const TCP: usize> Default
    for Resources<SOCKETS, HEAD, BODY, OUT, TCP>
{
    fn default() -> Self {
        Self::new()
    }
}

/// Serves `site` on `port` of `stack`, for ever. The network's own task must run beside it, and `stack` must have `SOCKETS`
/// sockets to give.
pub async fn serve<
    const SOCKETS: usize,
    const HEAD: usize,
    const BODY: usize,
    const OUT: usize,
    const TCP: usize,
    const URIS: usize,
>(
    (stack, port): (Stack<'_>, u16),
    resources: &mut Resources<SOCKETS, HEAD, BODY, OUT, TCP>,
    changes: &Changes<URIS>,
    server: &Server<'_>,
    site: &Site<'_>,
    handler: impl AsyncFn(Call<'_>, &mut Output<'_>) -> ToolResult,
) {
    let room = Room::new(SOCKETS);
    let (room, handler) = (&room, &handler);
    let sockets = resources.places.each_mut().map(async |Place { rx, tx, buffers }| {
        let mut socket = TcpSocket::new(stack, rx, tx);
        // A client that vanishes without a word holds its socket no longer than this.
        socket.set_timeout(Some(site.deadlines.idle));
        socket.set_keep_alive(Some(site.deadlines.comment));
        loop {
            if socket.accept(port).await.is_ok() {
                room.enter();
                let end = serve_connection(socket.split(), buffers, room, changes, server, site, handler).await;
                if end == End::Close {
                    socket.close();
                    let _ = with_timeout(CLOSING, socket.flush()).await;
                }
                room.leave();
            }
            socket.abort();
            let _ = with_timeout(CLOSING, socket.flush()).await;
        }
    });
    join_array(sockets).await;
}

/// For a client to acknowledge the end of its connection, while its socket serves nobody else.
const CLOSING: Duration = Duration::from_secs(2);
