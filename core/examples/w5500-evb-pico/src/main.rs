//! An MCP server on WIZnet's W5500-EVB-Pico: an RP2040 with Ethernet. It needs no other hardware.
//!
//! The last sector of the flash names the callers that may call. Until it is written, the board
//! refuses all callers:
//!
//! ```console
//! $ attache key add me --keys-file keys
//! $ attache provision write --out page.bin --auth-keys-file keys --allow-host 192.168.1.50
//! $ probe-rs download --chip RP2040 --binary-format bin --base-address 0x101FF000 page.bin
//! $ cargo run --release --target thumbv6m-none-eabi     # with `runner = "probe-rs run --chip RP2040"`
//! ```
//!
//! The log shows the address of the board. With the key in `X-Functions-Key`, the board answers at
//! `http://ADDRESS/mcp`.

#![no_std]
#![no_main]

use attache_core::embassy::{
    Endpoint, Guard, SignatureBudget, SocketBuffers, TokenSlot, Tokens, WallClock, keep_time, serve, sntp,
};
use attache_core::journal::Journal;
use attache_core::prelude::*;
use attache_core::provision::{Page, Verifiers};
use core::cell::RefCell;
use defmt_rtt as _;
use embassy_executor::Spawner;
use embassy_net::{IpEndpoint, Stack, StackResources};
use embassy_net_wiznet::chip::W5500;
use embassy_net_wiznet::{Device, Runner, State};
use embassy_rp::clocks::RoscRng;
use embassy_rp::flash::{Blocking, Flash};
use embassy_rp::gpio::{Input, Level, Output, Pull};
use embassy_rp::peripherals::{DMA_CH0, DMA_CH1, FLASH, SPI0};
use embassy_rp::spi::{Async, Config, Spi};
use embassy_rp::{bind_interrupts, dma};
use embassy_time::{Delay, Instant};
use embedded_hal_bus::spi::ExclusiveDevice;
use panic_probe as _;
use static_cell::{ConstStaticCell, StaticCell};

args! {
    /// Arguments of `set_led`.
    pub struct SetLed { /** true switches it on */ on: bool }
}

tools! { pub mod tools for Board {
    /// Switch the LED beside the USB socket
    #[idempotent] #[closed_world] async fn set_led(SetLed);
    /// Seconds since the board has started
    #[read_only] #[closed_world] async fn uptime(Nothing);
} }

static OFFERS: Tables<'static> = Tables::of_tools(tools::TOOLS);
static SERVER: Server<'static> = Server::new("w5500-evb-pico", "1", &OFFERS);

/// The state that the tools change.
pub struct Board {
    led: RefCell<Output<'static>>,
}

impl Board {
    async fn set_led(&self, wanted: SetLed, out: &mut Answer<'_>) -> ToolResult {
        self.led.borrow_mut().set_level(if wanted.on { Level::High } else { Level::Low });
        out.text("done")
    }

    async fn uptime(&self, _: Nothing, out: &mut Answer<'_>) -> ToolResult {
        let seconds = i64::try_from(Instant::now().as_secs()).unwrap_or(i64::MAX);
        out.text_with(|text| text.number(seconds))
    }
}

/// Official clients open several connections; one more socket listens for new ones.
const SOCKETS: usize = 4;

/// The buffers of a socket: head, body and result.
type Memory = SocketBuffers<2048, 4096, 4096, 2048>;

bind_interrupts!(struct Interrupts {
    DMA_IRQ_0 => dma::InterruptHandler<DMA_CH0>, dma::InterruptHandler<DMA_CH1>;
});

#[embassy_executor::main(executor = "embassy_rp::executor::Executor", entry = "cortex_m_rt::entry")]
async fn main(spawner: Spawner) {
    static BOARD: StaticCell<Board> = StaticCell::new();
    static MEMORY: ConstStaticCell<[Memory; SOCKETS]> = ConstStaticCell::new([const { Memory::new() }; SOCKETS]);
    static ENDPOINT: StaticCell<Endpoint<'_, 0>> = StaticCell::new();
    static PAGE: StaticCell<Page<'_>> = StaticCell::new();
    static CLOCK: StaticCell<WallClock> = StaticCell::new();
    let p = embassy_rp::init(Default::default());
    let board: &Board = BOARD.init(Board { led: RefCell::new(Output::new(p.PIN_25, Level::Low)) });
    let page: &Page<'_> = PAGE.init(Page::read(flash()).unwrap_or_else(|blank| {
        defmt::warn!("nobody is let in: {}", blank);
        Page::NOBODY
    }));
    // This chip has a random number generator, so the number of the start is not needed; boards
    // without one use `provision::random`.
    let journal = Journal::open(Flash::new_blocking(p.FLASH), JOURNAL);
    let newest = journal.as_ref().map_or(0, |(journal, _)| journal.time());
    let clock: &WallClock = CLOCK.init(WallClock::new(page.written.max(BUILT).max(newest)));
    match journal {
        Ok((journal, _)) => spawner.spawn(defmt::unwrap!(newest_time(clock, journal))),
        Err(error) => defmt::warn!("the journal cannot be read or written: {}", error),
    }

    // WIZnet's wiring: SPI0 on 16, 18 and 19, select 17, reset 20, interrupt 21.
    let mut config = Config::default();
    config.frequency = 50_000_000;
    let spi = Spi::new(p.SPI0, p.PIN_18, p.PIN_19, p.PIN_16, p.DMA_CH0, p.DMA_CH1, Interrupts, config);
    let Ok(spi) = ExclusiveDevice::new(spi, Output::new(p.PIN_17, Level::High), Delay);
    let (interrupt, reset) = (Input::new(p.PIN_21, Pull::Up), Output::new(p.PIN_20, Level::High));
    static STATE: StaticCell<State<8, 8>> = StaticCell::new();
    let started = embassy_net_wiznet::new(ADDRESS, STATE.init(State::new()), spi, interrupt, reset).await;
    let Ok((device, chip)) = started else { defmt::panic!("the W5500 does not answer") };
    spawner.spawn(defmt::unwrap!(ethernet(chip)));

    static RESOURCES: StaticCell<StackResources<{ SOCKETS + 2 }>> = StaticCell::new();
    let resources = RESOURCES.init(StackResources::new());
    let dhcp = embassy_net::Config::dhcpv4(Default::default());
    let (stack, network) = embassy_net::new(device, dhcp, resources, RoscRng.next_u64());
    spawner.spawn(defmt::unwrap!(run(network)));
    if let Some(server) = page.time_server() {
        spawner.spawn(defmt::unwrap!(time(stack, server.into(), clock)));
    }

    let endpoint = ENDPOINT.init(Endpoint::new(&SERVER, page.policy(), guard(page, clock), SOCKETS));
    for memory in MEMORY.take() {
        spawner.spawn(defmt::unwrap!(socket(board, stack, memory, endpoint)));
    }
    stack.wait_config_up().await;
    if let Some(config) = stack.config_v4() {
        defmt::info!("MCP at http://{}/mcp", config.address.address());
    }
}

/// The credentials that the page accepts: keys and tokens.
fn guard(page: &'static Page<'static>, clock: &'static WallClock) -> Guard<'static> {
    static TOKENS: StaticCell<Tokens<'static>> = StaticCell::new();
    static SEEN: StaticCell<[TokenSlot; SOCKETS]> = StaticCell::new();
    static RATION: StaticCell<SignatureBudget> = StaticCell::new();
    static VERIFIERS: StaticCell<Verifiers<'static>> = StaticCell::new();
    let verifiers = VERIFIERS.init(page.verifiers());
    let seen = SEEN.init([const { TokenSlot::new() }; SOCKETS]);
    let tokens = Tokens::provisioned(page, verifiers, clock, seen, RATION.init(SignatureBudget::new()));
    let tokens = tokens.map(|tokens| &*TOKENS.init(tokens));
    // With feature `defmt` the driver logs the reason for each refused caller.
    Guard { keys: &page.keys, tokens, denied: |_| {} }
}

/// The MAC address, locally administered. Give each board another one.
const ADDRESS: [u8; 6] = [0x02, 0x00, 0x00, 0x00, 0x00, 0x01];

#[embassy_executor::task(pool_size = SOCKETS)]
async fn socket(
    board: &'static Board,
    stack: Stack<'static>,
    memory: &'static mut Memory,
    endpoint: &'static Endpoint<'static, 0>,
) {
    let handler = async |call: Call<'_>, out: &mut Answer<'_>| tools::dispatch(board, call, out).await;
    serve((stack, 80), memory, endpoint, handler).await;
}

/// The offset of the journal in flash, and the size of the whole flash.
const JOURNAL: u32 = SIZE as u32 - 3 * 4096;
const SIZE: usize = 2048 * 1024;

#[embassy_executor::task]
async fn newest_time(clock: &'static WallClock, journal: Journal<Flash<'static, FLASH, Blocking, SIZE>>) -> ! {
    keep_time(clock, journal).await
}

#[embassy_executor::task]
async fn time(stack: Stack<'static>, server: IpEndpoint, clock: &'static WallClock) {
    sntp(stack, server, clock, || RoscRng.next_u64()).await;
}

#[embassy_executor::task]
async fn run(mut network: embassy_net::Runner<'static, Device<'static>>) -> ! {
    network.run().await
}

type Bus = ExclusiveDevice<Spi<'static, SPI0, Async>, Output<'static>, Delay>;

#[embassy_executor::task]
async fn ethernet(chip: Runner<'static, W5500, Bus, Input<'static>, Output<'static>>) -> ! {
    chip.run().await
}

/// Returns the part of the flash that the linker script keeps free.
fn flash() -> &'static [u8] {
    unsafe extern "C" {
        static __provisioned: [u8; 4096];
    }
    // SAFETY: nothing writes to this sector while the board runs.
    unsafe { &*(&raw const __provisioned) }
}

const BUILT: u32 = match u32::from_str_radix(env!("BUILT"), 10) {
    Ok(seconds) => seconds,
    Err(_) => panic!("build.rs says when it is"),
};
