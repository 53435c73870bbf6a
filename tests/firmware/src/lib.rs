//! The board's application, and how it is served: what a firmware engineer writes. It builds for other processors, too.

#![no_std]

pub mod application;
mod peripherals;

use application::Application;
use attache_core::embassy::{Endpoint, Socket, serve};
use attache_core::tool::{Call, Output};
use embassy_net::Stack;

/// Head, body and result.
pub type Memory = Socket<1024, 2048, 2048>;

/// Serves one socket, for ever.
pub async fn serve_socket(
    board: &Application,
    stack: Stack<'static>,
    memory: &mut Memory,
    endpoint: &Endpoint<'static, 2>,
) {
    let handler = async |call: Call<'_>, out: &mut Output<'_>| board.answer(call, out).await;
    serve((stack, 80), memory, endpoint, handler).await;
}
