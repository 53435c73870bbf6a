//! An MCP server over HTTP: the board that QEMU emulates as `lm3s6965evb`, with its Ethernet.

#![no_std]
#![no_main]

// The HAL of your board has these: a clock, an executor, and the driver of the network. For this
// board they are those of the firmware that is tested.
#[path = "../../../../tests/firmware/src/backlog.rs"]
mod backlog;
#[path = "../../../../tests/firmware/src/clock.rs"]
mod clock;
#[path = "../../../../tests/firmware/src/ethernet.rs"]
mod ethernet;
#[path = "../../../../tests/firmware/src/executor.rs"]
mod executor;
#[path = "../../../../tests/firmware/src/fault.rs"]
mod fault;
#[path = "../../../../tests/firmware/src/semihosting.rs"]
mod semihosting;
mod vectors;

use attache_core::auth::{Access, Gate};
use attache_core::embassy::{Endpoint, Guard, SocketBuffers, serve};
use attache_core::http::Policy;
use attache_core::prelude::*;
use core::cell::Cell;
use embassy_executor::Spawner;
use embassy_net::{Config, Ipv4Address, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
use ethernet::Ethernet;
use static_cell::{ConstStaticCell, StaticCell};

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
static SERVER: Server<'static> = Server::new("lm3s6965evb-http", "1", &OFFERS);

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

/// The names by which clients reach the board. A request for another host is refused.
const HOSTS: &[&str] = &["localhost", "127.0.0.1", "10.0.2.15"];
/// Every caller may call. See "Access control" for keys and tokens.
const POLICY: Policy<'static> = Policy { hosts: HOSTS, origins: &[], access: Gate::Open(Access::Anonymous) };
const SOCKETS: usize = 2;
/// The longest head, body and result of a request.
type Memory = SocketBuffers<1024, 1024, 1024>;

#[embassy_executor::task(pool_size = SOCKETS)]
async fn socket(
    stack: Stack<'static>,
    memory: &'static mut Memory,
    endpoint: &'static Endpoint<'static, 0>,
    board: &'static Board,
) {
    let handler = async |call: Call<'_>, out: &mut Answer<'_>| tools::dispatch(board, call, out).await;
    serve((stack, 80), memory, endpoint, handler).await;
}

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, &'static mut Ethernet>) {
    runner.run().await
}

fn start(spawner: Spawner, ethernet: &'static mut Ethernet) {
    static RESOURCES: ConstStaticCell<StackResources<SOCKETS>> = ConstStaticCell::new(StackResources::new());
    static MEMORY: ConstStaticCell<[Memory; SOCKETS]> = ConstStaticCell::new([const { Memory::new() }; SOCKETS]);
    static ENDPOINT: StaticCell<Endpoint<'_, 0>> = StaticCell::new();
    static BOARD: StaticCell<Board> = StaticCell::new();
    let address = Ipv4Cidr::new(Ipv4Address::new(10, 0, 2, 15), 24);
    let config = Config::ipv4_static(StaticConfigV4 { address, gateway: None, dns_servers: Default::default() });
    // The seed is for the sequence numbers of TCP: take it from your board's random number generator.
    let (stack, runner) = embassy_net::new(ethernet, config, RESOURCES.take(), 0x4174_7461_6368_e921);
    let board: &Board = BOARD.init(Board { level: Cell::new(0) });
    let endpoint: &Endpoint<'_, 0> = ENDPOINT.init(Endpoint::new(&SERVER, POLICY, Guard::NONE, SOCKETS));
    spawner.spawn(network(runner).expect("the task is spawned once"));
    for memory in MEMORY.take() {
        spawner.spawn(socket(stack, memory, endpoint, board).expect("there is a task for each socket"));
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    static ETHERNET: ConstStaticCell<Ethernet> = ConstStaticCell::new(Ethernet::new());
    let peripherals = cortex_m::Peripherals::take().expect("they are taken once");
    clock::start(peripherals.SYST);
    let ethernet = ETHERNET.take();
    ethernet.open();
    executor::run(|spawner| {
        start(spawner, ethernet);
        semihosting::ready();
    })
}
