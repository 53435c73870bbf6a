//! An MCP server on a UART, without network: Nordic's nRF52840-DK, whose debugger forwards the UART to
//! a serial port over USB.

#![no_std]
#![no_main]

use attache_core::prelude::*;
use core::cell::RefCell;
use cortex_m as _; // its critical section
use embassy_executor::Spawner;
use embassy_nrf::buffered_uarte::{self, BufferedUarte};
use embassy_nrf::gpio::{Level, Output, OutputDrive};
use embassy_nrf::{bind_interrupts, peripherals, uarte};
use panic_halt as _;
use static_cell::ConstStaticCell;

bind_interrupts!(struct Interrupts {
    UARTE0 => buffered_uarte::InterruptHandler<peripherals::UARTE0>;
});

args! {
    /// Arguments of `set_led`.
    pub struct SetLed {
        /// true switches the LED on
        on: bool,
    }
}

tools! { pub mod tools for Board {
    /// Switch LED 1
    #[idempotent] async fn set_led(SetLed);
} }

static OFFERS: Tables<'static> = Tables::of_tools(tools::TOOLS);
static SERVER: Server<'static> = Server::new("nrf52840-dk-uart", "1", &OFFERS);

/// The pins that the tools change.
pub struct Board {
    /// LED 1, which is on when its pin is low.
    led: RefCell<Output<'static>>,
}

impl Board {
    async fn set_led(&self, wanted: SetLed, out: &mut Answer<'_>) -> ToolResult {
        self.led.borrow_mut().set_level(if wanted.on { Level::Low } else { Level::High });
        out.text(if wanted.on { "on" } else { "off" })
    }
}

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    static BUFFERS: ConstStaticCell<LineBuffers<1024, 1024>> = ConstStaticCell::new(LineBuffers::new());
    static RX: ConstStaticCell<[u8; 256]> = ConstStaticCell::new([0; 256]);
    static TX: ConstStaticCell<[u8; 256]> = ConstStaticCell::new([0; 256]);
    let pins = embassy_nrf::init(Default::default());
    let board = Board { led: RefCell::new(Output::new(pins.P0_13, Level::High, OutputDrive::Standard)) };
    let port = BufferedUarte::new(
        pins.UARTE0,
        pins.TIMER0,
        pins.PPI_CH0,
        pins.PPI_CH1,
        pins.PPI_GROUP0,
        pins.P0_08,
        pins.P0_06,
        Interrupts,
        uarte::Config::default(),
        RX.take(),
        TX.take(),
    );
    let handler = async |call: Call<'_>, out: &mut Answer<'_>| tools::dispatch(&board, call, out).await;
    let _ = Line::new(&SERVER).serve(port.split(), BUFFERS.take(), handler).await;
}
