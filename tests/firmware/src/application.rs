//! The board's offers over MCP: its LED and its temperature sensor, as tools, resources and a
//! prompt.

use core::cell::Cell;

use attache_core::json::Full;
use attache_core::prelude::*;

use crate::peripherals;

args! {
    /// Arguments of `set_led`.
    pub struct SetLed {
        /** true switches the LED on */ on: bool,
        /** brightness; the LED of this board is fully on at any level but 0 */ level: Option<u8>,
    }
}

tools! { pub mod tools for Application {
    /// Switch the status LED
    #[idempotent] #[additive] #[closed_world] #[scope("board.switch")] async fn set_led(SetLed);
    /// Core temperature in degrees Celsius
    #[read_only] #[closed_world] async fn temperature(Nothing);
} }

#[cfg(feature = "full")]
args! {
    /// Arguments of `explain`.
    pub struct Explain<'a> {
        /** `led` or `temperature` */ part: Text<'a>,
    }
}

#[cfg(feature = "full")]
prompts! { pub mod prompts for Application {
    /// Explain a part of the board to a newcomer
    async fn explain(Explain<'_>);
} }

resources! { pub mod resources for Application {
    /// Statistics of the tools since the start
    "board://statistics" as "application/json" => async fn statistics;
    /// Content of the flash, one line a page: longer than any buffer of the board
    "board://flash" as "text/plain" => async fn flash;
} templates {
    /// The state of one part of the board
    "board://state/{part}" as "text/plain" => async fn state;
} }

const LED: &str = "board://state/led";
#[cfg(feature = "full")]
const PARTS: [&str; 2] = ["led", "temperature"];

const TABLES: Tables<'static> =
    Tables::of_tools(tools::TOOLS).with_resources(resources::RESOURCES, resources::TEMPLATES);

#[cfg(feature = "full")]
static OFFERS: Tables<'static> = TABLES.with_prompts(prompts::PROMPTS).with_completions().with_subscriptions();
#[cfg(not(feature = "full"))]
static OFFERS: Tables<'static> = TABLES;

/// The resources that the tools change. The temperature changes by itself, and no code reports
/// that.
pub static CHANGES: Changes<2> = Changes::new([resources::uri::statistics, LED]);

/// The server, in flash.
pub static SERVER: Server<'static> = Server::new("lm3s6965evb", env!("CARGO_PKG_VERSION"), &OFFERS);

/// The state of the board that its tools use.
pub struct Application {
    /// The state of the LED, as the tools have set it.
    lit: Cell<bool>,
    switched: Cell<u32>,
}

impl Application {
    /// A board with its LED off.
    pub fn new() -> Self {
        peripherals::set_up();
        peripherals::light(false);
        Self { lit: Cell::new(false), switched: Cell::new(0) }
    }

    /// Answers a call of any operation.
    #[cfg(feature = "full")]
    pub async fn answer(&self, call: Call<'_>, out: &mut Answer<'_>) -> ToolResult {
        dispatch!(self, call, out, async [tools, prompts, resources], complete = Self::complete)
    }

    /// Answers a call of any operation.
    #[cfg(not(feature = "full"))]
    pub async fn answer(&self, call: Call<'_>, out: &mut Answer<'_>) -> ToolResult {
        dispatch!(self, call, out, async [tools, resources])
    }

    async fn set_led(&self, wanted: SetLed, out: &mut Answer<'_>) -> ToolResult {
        let lit = wanted.on && wanted.level != Some(0);
        if self.lit.replace(lit) != lit {
            peripherals::light(lit);
            self.switched.set(self.switched.get().wrapping_add(1));
            CHANGES.updated(LED);
            CHANGES.updated(resources::uri::statistics);
        }
        out.text("ok")
    }

    async fn temperature(&self, _: Nothing, out: &mut Answer<'_>) -> ToolResult {
        let tenths = measured()?;
        out.text_with(|block| degrees(block, tenths))
    }

    #[cfg(feature = "full")]
    async fn explain(&self, about: Explain<'_>, out: &mut Messages<'_, '_>) -> ToolResult {
        if !PARTS.iter().any(|part| about.part.is(part)) {
            return Err(ToolError::Argument("part"));
        }
        out.message(Role::User, |block| {
            block.text_with(|text| {
                text.push("Explain to a newcomer what this part of the lm3s6965evb board does: ")?;
                text.echo(about.part)
            })
        })
    }

    async fn statistics(&self, _: Read<'_>, out: &mut Contents<'_, '_>) -> ToolResult {
        out.text_with("application/json", |text| {
            text.push("{\"switched\":")?;
            text.number(self.switched.get().into())?;
            text.push("}")
        })
    }

    async fn flash(&self, _: Read<'_>, out: &mut Contents<'_, '_>) -> ToolResult {
        let mut text = out.stream("text/plain")?;
        for page in peripherals::flash() {
            text.piece(|line| {
                line.push("at ")?;
                hex(line, page.address)?;
                line.push(" stand ")?;
                line.number(page.used.into())?;
                line.push(" words that are not erased, and the sum of all of them is ")?;
                hex(line, page.sum)?;
                line.push("\n")
            })
            .await?;
        }
        text.end().await
    }

    async fn state(&self, read: Read<'_>, out: &mut Contents<'_, '_>) -> ToolResult {
        let part = read.variable(resources::uri::state, "part").ok_or(ToolError::NotFound)?;
        if part.is("led") {
            out.text("text/plain", if self.lit.get() { "on" } else { "off" })
        } else if part.is("temperature") {
            let tenths = measured()?;
            out.text_with("text/plain", |text| degrees(text, tenths))
        } else {
            Err(ToolError::NotFound)
        }
    }

    /// Completes the name of a part from its beginning: a part is the only argument that can be
    /// completed.
    #[cfg(feature = "full")]
    fn complete(typed: Completing<'_>, out: &mut Values<'_, '_>) -> ToolResult {
        let begins = |part: &str| {
            let mut rest = part.chars();
            typed.value().chars().all(|char| rest.next() == Some(char))
        };
        PARTS.into_iter().filter(|part| begins(part)).try_for_each(|part| out.value(part))
    }
}

fn measured() -> Result<u32, ToolError> {
    peripherals::temperature().or_fail("the temperature sensor does not answer")
}

fn degrees(text: &mut TextBlock<'_>, tenths: u32) -> Result<(), Full> {
    text.fixed(tenths.into(), 1)
}

fn hex(text: &mut TextBlock<'_>, number: u32) -> Result<(), Full> {
    const DIGITS: [&str; 16] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"];
    text.push("0x")?;
    let digits = (0..8).rev().filter_map(|place| DIGITS.get((number >> (4 * place) & 0xF) as usize));
    digits.copied().try_for_each(|digit| text.push(digit))
}
