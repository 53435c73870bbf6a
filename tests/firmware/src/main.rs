//! Firmware for QEMU's `lm3s6965evb` board: an MCP server on UART0 and on its Ethernet.
//!
//! The library (`lib.rs`, `application.rs`) is what a firmware engineer writes; the rest is the board's half: start-up, vectors, an executor that
//! sleeps, a clock, the serial port as two `embedded-io-async` halves, the Ethernet controller as a driver of `embassy-net`.

#![no_std]
#![no_main]

mod backlog;
#[cfg_attr(not(feature = "guarded"), path = "open.rs")]
mod callers;
mod clock;
mod ethernet;
mod executor;
mod fault;
mod mark;
mod semihosting;
mod uart;
mod vectors;

use attache_core::embassy::{Endpoint, SocketBuffers, serve};
use attache_core::prelude::*;
use attache_firmware::application::{Application, CHANGES, SERVER};
use callers::Callers;
use cortex_m::Peripherals;
use cortex_m_rt::entry;
use embassy_net::{Config, Ipv4Address, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
use ethernet::Ethernet;
use static_cell::{ConstStaticCell, StaticCell};

/// The board's address in the emulator's network, which forwards a port of its machine to it.
const ADDRESS: Ipv4Address = Ipv4Address::new(10, 0, 2, 15);
const GATEWAY: Ipv4Address = Ipv4Address::new(10, 0, 2, 2);

/// Who comes when both serve others waits in front of them (backlog.rs).
const SOCKETS: usize = 2;

/// Head, body and result.
type Memory = SocketBuffers<{ callers::HEAD }, 2048, 2048>;

#[entry]
fn main() -> ! {
    let Some(peripherals) = Peripherals::take() else {
        semihosting::fail();
    };
    clock::start(peripherals.SYST);
    let (rx, tx) = uart::open();
    let callers = Callers::read();
    let (policy, guard) = callers.site();
    let (stack, network) = network(callers.random()());
    executor::run(|spawner| {
        static BOARD: StaticCell<Application> = StaticCell::new();
        static ENDPOINT: StaticCell<Endpoint<'_, 2>> = StaticCell::new();
        static MEMORY: ConstStaticCell<[Memory; SOCKETS]> = ConstStaticCell::new([const { Memory::new() }; SOCKETS]);
        let board: &Application = BOARD.init(Application::new());
        let endpoint: &Endpoint<'_, 2> =
            ENDPOINT.init(Endpoint::new(&SERVER, policy, guard, SOCKETS).changes(&CHANGES));
        spawner.spawn(task(line(board, rx, tx)));
        spawner.spawn(task(run(network)));
        callers.start(spawner, stack);
        for memory in MEMORY.take() {
            spawner.spawn(task(socket(board, stack, memory, endpoint)));
        }
        // From here on no input is lost: the interrupts of both ports are on, and what comes waits for the tasks.
        semihosting::ready();
    })
}

/// A task whose place in its pool is free, as all are at the start.
fn task<S, E>(task: Result<S, E>) -> S {
    task.unwrap_or_else(|_| semihosting::fail())
}

/// `seed` is for the numbers of TCP, which should be hard to guess.
fn network(seed: u64) -> (Stack<'static>, Runner<'static, &'static mut Ethernet>) {
    static ETHERNET: ConstStaticCell<Ethernet> = ConstStaticCell::new(Ethernet::new());
    static RESOURCES: ConstStaticCell<StackResources<{ SOCKETS + callers::SOCKETS }>> =
        ConstStaticCell::new(StackResources::new());
    let ethernet = ETHERNET.take();
    ethernet.open();
    let address =
        StaticConfigV4 { address: Ipv4Cidr::new(ADDRESS, 24), gateway: Some(GATEWAY), dns_servers: Default::default() };
    embassy_net::new(ethernet, Config::ipv4_static(address), RESOURCES.take(), seed)
}

#[embassy_executor::task]
async fn run(mut network: Runner<'static, &'static mut Ethernet>) {
    network.run().await
}

#[embassy_executor::task(pool_size = SOCKETS)]
async fn socket(
    board: &'static Application,
    stack: Stack<'static>,
    socket: &'static mut Memory,
    endpoint: &'static Endpoint<'static, 2>,
) {
    let handler = async |call: Call<'_>, out: &mut Answer<'_>| board.answer(call, out).await;
    serve((stack, 80), socket, endpoint, handler).await;
}

#[embassy_executor::task]
async fn line(board: &'static Application, rx: uart::Rx, tx: uart::Tx) {
    static BUFFERS: ConstStaticCell<LineBuffers<2048, 2048, 2>> = ConstStaticCell::new(LineBuffers::new());
    let handler = async |call: Call<'_>, out: &mut Answer<'_>| board.answer(call, out).await;
    // A UART neither ends nor fails, so this never returns.
    let _ = Line::new(&SERVER).changes(&CHANGES).serve(mark::around(rx, tx), BUFFERS.take(), handler).await;
}
