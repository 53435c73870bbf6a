//! An MCP server on a UART, without network: the RISC-V machine that QEMU emulates as `virt`.

#![no_std]
#![no_main]

mod uart;

use attache_core::prelude::*;
use core::cell::Cell;
use embassy_executor::Spawner;
use panic_halt as _;
use portable_atomic as _; // its atomics by critical sections
use riscv as _; // its critical section
use static_cell::ConstStaticCell;

args! {
    /// Arguments of `set_led`.
    pub struct SetLed {
        /// brightness in per cent
        level: Within<u8, 0, 100>,
        /// whether it blinks
        blinks: bool = false,
    }
}

tools! { pub mod tools for Board {
    /// Set the brightness of the status LED
    #[idempotent] async fn set_led(SetLed);
    /// The brightness of the status LED in per cent
    #[read_only] async fn led(Nothing);
} }

static OFFERS: Tables<'static> = Tables::of_tools(tools::TOOLS);
static SERVER: Server<'static> = Server::new("qemu-virt-riscv", "1", &OFFERS);

/// The state that the tools change.
pub struct Board {
    level: Cell<u8>,
}

impl Board {
    async fn set_led(&self, wanted: SetLed, out: &mut Answer<'_>) -> ToolResult {
        // Here your board sets its pin.
        self.level.set(wanted.level.get());
        out.text(if wanted.blinks { "blinking" } else { "steady" })
    }

    async fn led(&self, _: Nothing, out: &mut Answer<'_>) -> ToolResult {
        out.text_with(|text| text.number(self.level.get().into()))
    }
}

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    static BUFFERS: ConstStaticCell<LineBuffers<1024, 1024>> = ConstStaticCell::new(LineBuffers::new());
    let board = Board { level: Cell::new(0) };
    let handler = async |call: Call<'_>, out: &mut Answer<'_>| tools::dispatch(&board, call, out).await;
    let _ = Line::new(&SERVER).serve(uart::open(), BUFFERS.take(), handler).await;
}
