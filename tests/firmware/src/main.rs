//! Firmware for QEMU's `lm3s6965evb` board: an MCP server on UART0.
//!
//! `application.rs` is what a firmware engineer writes; the rest is the board's half: start-up,
//! vectors, an executor that sleeps, the serial port as two `embedded-io-async` halves.

#![no_std]
#![no_main]

mod application;
mod executor;
mod fault;
mod mark;
mod peripherals;
mod semihosting;
mod uart;
mod vectors;

use application::{Application, CHANGES, SERVER};
use attache_core::auth::{Access, Authenticated};
use attache_core::embassy::{Buffers, serve_lines};
use cortex_m_rt::entry;
use static_cell::ConstStaticCell;

#[entry]
fn main() -> ! {
    let (rx, tx) = uart::open();
    let Ok(task) = serve(rx, tx) else {
        semihosting::fail();
    };
    // From here on no input is lost: the port is set up and its interrupt fills the ring.
    semihosting::ready();
    executor::run(task)
}

#[embassy_executor::task]
async fn serve(rx: uart::Rx, tx: uart::Tx) {
    static BUFFERS: ConstStaticCell<Buffers<2048, 2048, 2>> = ConstStaticCell::new(Buffers::new());
    let board = Application::new();
    // Whoever holds the other end of the cable was let in by whoever plugged it.
    let who = Authenticated::anonymous(&Access::Anonymous);
    let (rx, tx) = mark::around(rx, tx);
    let served =
        serve_lines(rx, tx, BUFFERS.take(), &CHANGES, &SERVER, &who, async |call, out| board.answer(call, out).await);
    // A UART neither ends nor fails, so this goes on for ever.
    let _ = served.await;
}
