//! The smallest image: MCP on the UART alone, without network. `measure --parts` builds it with one
//! feature after another, and prints the size of each; docs/device.md has the table.

#![no_std]
#![no_main]

#[path = "../executor.rs"]
mod executor;
#[path = "../fault.rs"]
mod fault;
#[path = "../semihosting.rs"]
mod semihosting;
#[path = "../uart.rs"]
mod uart;

use attache_core::prelude::*;
use core::cell::Cell;
use cortex_m_rt::entry;
use static_cell::{ConstStaticCell, StaticCell};

args! {
    /// Arguments of `set_led`.
    pub struct SetLed {
        /// true switches the LED on
        on: bool,
    }
}

tools! { pub mod tools for Board {
    /// Switch the status LED
    #[idempotent] async fn set_led(SetLed);

    /// Set a channel
    #[cfg(feature = "ten")] async fn channel_0(Channel);
    /// Set a channel
    #[cfg(feature = "ten")] async fn channel_1(Channel1);
    /// Set a channel
    #[cfg(feature = "ten")] async fn channel_2(Channel2);
    /// Set a channel
    #[cfg(feature = "ten")] async fn channel_3(Channel3);
    /// Set a channel
    #[cfg(feature = "ten")] async fn channel_4(Channel4);
    /// Set a channel
    #[cfg(feature = "ten")] async fn channel_5(Channel5);
    /// Set a channel
    #[cfg(feature = "ten")] async fn channel_6(Channel6);
    /// Set a channel
    #[cfg(feature = "ten")] async fn channel_7(Channel7);
    /// Set a channel
    #[cfg(feature = "ten")] async fn channel_8(Channel8);
    /// Set a channel
    #[cfg(feature = "ten")] async fn channel_9(Channel9);

    /// Takes three arguments by serde
    #[cfg(feature = "by-serde")] async fn by_serde(BySerde<Settings>);
    /// Takes a decimal
    #[cfg(feature = "fixed")] async fn fixed(Decimal);
    /// Takes a floating-point number
    #[cfg(feature = "floats")] async fn float(Float);
    /// Takes one of a set
    #[cfg(feature = "choice")] async fn choice(Chosen);
    /// Takes an array of structs
    #[cfg(feature = "nested")] async fn nested(Nested<'_>);
    /// Has a structured result
    #[cfg(feature = "structured")] async fn structured(Nothing) -> Reading;
    /// Writes formatted text
    #[cfg(feature = "formatting")] async fn formatting(Nothing);
    /// Asks its user a question
    #[cfg(feature = "asking")] async fn asking(Nothing, Call);
} }

static OFFERS: Tables<'static> = Tables::of_tools(tools::TOOLS);
static SERVER: Server<'static> = Server::new("serial", "1", &OFFERS);

/// The state that the tools change.
pub struct Board {
    led: Cell<bool>,
    #[allow(dead_code, reason = "the tools that are measured need it, the first one does not")]
    level: Cell<u32>,
}

impl Board {
    async fn set_led(&self, wanted: SetLed, out: &mut Answer<'_>) -> ToolResult {
        self.led.set(wanted.on);
        out.text(if self.led.get() { "on" } else { "off" })
    }
}

/// Ten more tools, each with a type of arguments of its own.
#[cfg(feature = "ten")]
mod ten {
    use super::*;

    macro_rules! channels {
        ($($type:ident $method:ident $first:ident $second:ident $third:ident)*) => { $(
            args! {
                /// Arguments of a channel.
                pub struct $type {
                    /// brightness in per cent
                    $first: u8,
                    /// whether it blinks
                    $second: bool,
                    /// milliseconds until it has the brightness
                    $third: Option<u16>,
                }
            }
            impl Board {
                pub(super) async fn $method(&self, wanted: $type, out: &mut Answer<'_>) -> ToolResult {
                    let time = wanted.$third.map_or(0, u32::from);
                    self.level.set(u32::from(wanted.$first) + u32::from(wanted.$second) * 256 + time);
                    out.text("ok")
                }
            }
        )* };
    }

    channels! {
        Channel channel_0 level_0 blinks_0 time_0
        Channel1 channel_1 level_1 blinks_1 time_1
        Channel2 channel_2 level_2 blinks_2 time_2
        Channel3 channel_3 level_3 blinks_3 time_3
        Channel4 channel_4 level_4 blinks_4 time_4
        Channel5 channel_5 level_5 blinks_5 time_5
        Channel6 channel_6 level_6 blinks_6 time_6
        Channel7 channel_7 level_7 blinks_7 time_7
        Channel8 channel_8 level_8 blinks_8 time_8
        Channel9 channel_9 level_9 blinks_9 time_9
    }
}
#[cfg(feature = "ten")]
pub use ten::*;

#[cfg(feature = "by-serde")]
use attache_core::tool::{BySerde, Described};
/// A type of serde.
#[cfg(feature = "by-serde")]
#[derive(serde::Deserialize, serde::Serialize)]
pub struct Settings {
    level: u8,
    blinks: bool,
    time: Option<u16>,
}
#[cfg(feature = "by-serde")]
impl Described for Settings {
    const SCHEMA: &'static str = concat!(
        r#"{"type":"object","properties":{"level":{"description":"brightness in per cent","type":"integer"},"#,
        r#""blinks":{"description":"whether it blinks","type":"boolean"},"#,
        r#""time":{"description":"milliseconds until it has the brightness","type":["integer","null"]}},"#,
        r#""required":["level","blinks"]}"#,
    );
}
#[cfg(feature = "by-serde")]
impl Board {
    async fn by_serde(&self, BySerde(wanted): BySerde<Settings>, out: &mut Answer<'_>) -> ToolResult {
        self.level.set(u32::from(wanted.level) + u32::from(wanted.blinks) * 256 + wanted.time.map_or(0, u32::from));
        out.serialize(&wanted, &mut [0; 128])
    }
}

#[cfg(feature = "fixed")]
args! { pub struct Decimal { /** degrees Celsius */ target: Fixed<1, 50, 300> } }
#[cfg(feature = "fixed")]
impl Board {
    async fn fixed(&self, wanted: Decimal, out: &mut Answer<'_>) -> ToolResult {
        out.text_with(|text| text.fixed(wanted.target.units().into(), 1))
    }
}

#[cfg(feature = "floats")]
args! { pub struct Float { /** degrees Celsius */ target: f32 } }
#[cfg(feature = "floats")]
impl Board {
    async fn float(&self, wanted: Float, out: &mut Answer<'_>) -> ToolResult {
        self.level.set(wanted.target.to_bits());
        out.text("ok")
    }
}

#[cfg(feature = "choice")]
args! { pub enum Mode { Heat, Cool, Off } }
#[cfg(feature = "choice")]
args! { pub struct Chosen { /** what to do */ mode: Mode } }
#[cfg(feature = "choice")]
impl Board {
    async fn choice(&self, wanted: Chosen, out: &mut Answer<'_>) -> ToolResult {
        out.text(wanted.mode.name())
    }
}

#[cfg(feature = "nested")]
args! { pub struct Point { /** to the right */ x: u8, /** up */ y: u8 } }
#[cfg(feature = "nested")]
args! { pub struct Nested<'a> { /** the corners */ corners: List<'a, Point> } }
#[cfg(feature = "nested")]
impl Board {
    async fn nested(&self, wanted: Nested<'_>, out: &mut Answer<'_>) -> ToolResult {
        self.level.set(wanted.corners.iter().map(|corner| u32::from(corner.x) * u32::from(corner.y)).sum());
        out.text("ok")
    }
}

#[cfg(feature = "structured")]
results! { pub struct Reading { /** per cent */ level: u32, /** whether it is on */ on: bool } }
#[cfg(feature = "structured")]
impl Board {
    async fn structured(&self, _: Nothing, _: &mut Answer<'_>) -> Result<Reading, ToolError> {
        Ok(Reading { level: self.level.get(), on: self.led.get() })
    }
}

#[cfg(feature = "asking")]
impl Board {
    async fn asking(&self, _: Nothing, call: Call<'_>, out: &mut Answer<'_>) -> ToolResult {
        const SURE: &str = concat!(
            r#"{"sure":{"method":"elicitation/create","params":{"mode":"form","message":"Erase the whole log?","#,
            r#""requestedSchema":{"type":"object","properties":{"yes":{"type":"boolean"}},"required":["yes"]}}}}"#,
        );
        let key = attache_core::seal::Key::new([self.level.get().to_le_bytes()[0]; 32]);
        let questions = attache_core::tool::Questions::new(&OFFERS, &key, self.level.get().into());
        let Some(answered) = questions.answered(&call) else {
            return questions.ask(&call, out, SURE, b"");
        };
        let yes = answered.accepted("sure").and_then(|form| form.member("yes")?.bool());
        out.text(if yes == Some(true) { "erased" } else { "kept" })
    }
}

#[cfg(feature = "formatting")]
impl Board {
    async fn formatting(&self, _: Nothing, out: &mut Answer<'_>) -> ToolResult {
        write!(out, "level {}", self.level.get())
    }
}

#[entry]
fn main() -> ! {
    let (rx, tx) = uart::open();
    executor::run(|spawner| {
        static BOARD: StaticCell<Board> = StaticCell::new();
        let board = BOARD.init(Board { led: Cell::new(false), level: Cell::new(0) });
        spawner.spawn(line(board, rx, tx).unwrap_or_else(|_| semihosting::fail()));
        semihosting::ready();
    })
}

#[embassy_executor::task]
async fn line(board: &'static Board, rx: uart::Rx, tx: uart::Tx) {
    static BUFFERS: ConstStaticCell<LineBuffers<1024, 1024>> = ConstStaticCell::new(LineBuffers::new());
    let handler = async |call: Call<'_>, out: &mut Answer<'_>| tools::dispatch(board, call, out).await;
    // A UART neither ends nor fails, so this never returns.
    let _ = Line::new(&SERVER).serve((rx, tx), BUFFERS.take(), handler).await;
}

/// The board's interrupt vectors.
mod vectors {
    use crate::uart;

    /// The interrupts in use.
    #[derive(Clone, Copy)]
    pub enum Interrupt {
        Uart0 = 5,
    }

    // SAFETY: the discriminant is the board's fixed interrupt number.
    unsafe impl cortex_m::interrupt::InterruptNumber for Interrupt {
        fn number(self) -> u16 {
            self as u16
        }
    }

    // SAFETY: cortex-m-rt takes the table of interrupts from this symbol and section.
    #[unsafe(link_section = ".vector_table.interrupts")]
    #[unsafe(no_mangle)]
    static __INTERRUPTS: [Option<extern "C" fn()>; 6] = [None, None, None, None, None, Some(uart::interrupt)];
}
