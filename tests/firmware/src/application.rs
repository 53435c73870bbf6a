//! What the board offers over MCP: its LED and its temperature sensor.

use core::cell::Cell;
use core::fmt::Write;

use attache_core::json::{Escaped, Full};
use attache_core::mcp::Server;
use attache_core::tool::{Nothing, Output, ToolError, ToolResult};

use crate::peripherals;

attache_core::args! {
    /// Arguments of `set_led`.
    pub struct SetLed {
        /** true switches the LED on */ on: bool,
        /** brightness; the LED of this board is fully on at any level but 0 */ level: Option<u8>,
    }
}

attache_core::tools! { pub mod tools for Application {
    /// Switch the status LED
    #[idempotent] #[additive] #[closed_world] async fn set_led(SetLed);
    /// Core temperature in degrees Celsius
    #[read_only] #[closed_world] async fn temperature(Nothing);
} }

/// The server, in flash.
pub static SERVER: Server<'static> = Server::new(text("lm3s6965evb"), text(env!("CARGO_PKG_VERSION")), &tools::TOOLS);

const fn text(plain: &'static str) -> Escaped<'static> {
    Escaped::new(plain).expect("no quotes in it")
}

/// The board as its tools use it.
pub struct Application {
    /// What the tools have made of the LED.
    lit: Cell<bool>,
}

impl Application {
    /// A board whose LED is off.
    pub fn new() -> Self {
        peripherals::set_up();
        peripherals::light(false);
        Self { lit: Cell::new(false) }
    }

    async fn set_led(&self, wanted: SetLed, out: &mut Output<'_>) -> ToolResult {
        let lit = wanted.on && wanted.level != Some(0);
        if self.lit.replace(lit) != lit {
            peripherals::light(lit);
        }
        out.text("ok")
    }

    async fn temperature(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        let tenths = peripherals::temperature().ok_or(ToolError::Failed("the temperature sensor does not answer"))?;
        out.text_with(|block| write!(block, "{}.{}", tenths / 10, tenths % 10).map_err(|_| Full))
    }
}
