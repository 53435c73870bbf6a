//! Who may call the board when it is built with feature `guarded`: whom the page of its flash names that was written apart from the image
//! (`attache provision`). While there is none, nobody.

use attache_core::embassy::{Guard, SignatureBudget, TokenSlot, Tokens, WallClock, sntp};
use attache_core::http::Policy;
use attache_core::provision::{self, Boot, Page, Verifiers};
use embassy_executor::Spawner;
use embassy_net::{IpEndpoint, Stack};
use static_cell::StaticCell;

/// Sockets besides those of HTTP: one that asks what time it is.
pub const SOCKETS: usize = 1;

/// Bytes of a head, in which a token of 2,200 bytes finds room.
pub const HEAD: usize = 2688;

/// What the board is told.
pub struct Callers {
    page: &'static Page<'static>,
    clock: &'static WallClock,
}

impl Callers {
    /// Reads the page.
    pub fn read() -> Self {
        static PAGE: StaticCell<Page<'static>> = StaticCell::new();
        static CLOCK: StaticCell<WallClock> = StaticCell::new();
        let page: &Page<'_> = PAGE.init(Page::read(flash()).unwrap_or(Page::NOBODY));
        Self { page, clock: CLOCK.init(WallClock::new(page.written.max(BUILT))) }
    }

    /// Random numbers for the network. The emulated board has neither a random number generator nor flash that it can write, so it
    /// cannot count its starts, and each start has the same numbers.
    pub fn random(&self) -> impl FnMut() -> u64 + use<> {
        provision::random(&self.page.secret, Boot::UNCOUNTED)
    }

    /// What callers over Ethernet have to show, and what proves it.
    pub fn site(&self) -> (Policy<'static>, Guard<'static>) {
        static TOKENS: StaticCell<Tokens<'static>> = StaticCell::new();
        static SEEN: StaticCell<[TokenSlot; 2]> = StaticCell::new();
        static RATION: StaticCell<SignatureBudget> = StaticCell::new();
        static VERIFIERS: StaticCell<Verifiers<'static>> = StaticCell::new();
        let Self { page, clock } = *self;
        let verifiers = VERIFIERS.init(page.verifiers());
        let seen = SEEN.init([const { TokenSlot::new() }; 2]);
        let tokens = Tokens::provisioned(page, verifiers, clock, seen, RATION.init(SignatureBudget::new()));
        let tokens = tokens.map(|tokens| &*TOKENS.init(tokens));
        (page.policy(), Guard { keys: &page.keys, tokens, denied: |_| {} })
    }

    /// Asks the server that the page names what time it is.
    pub fn start(self, spawner: Spawner, stack: Stack<'static>) {
        if let Some(server) = self.page.time_server() {
            spawner.spawn(crate::task(time(stack, server.into(), self)));
        }
    }
}

/// Keeps the clock by the time server.
#[embassy_executor::task]
async fn time(stack: Stack<'static>, server: IpEndpoint, callers: Callers) {
    sntp(stack, server, callers.clock, callers.random()).await;
}

/// The page: what the linker script has kept free for it.
fn flash() -> &'static [u8] {
    unsafe extern "C" {
        static __provisioned: [u8; 4096];
    }
    // SAFETY: the linker script keeps this part of flash for the page alone, and nothing writes there while the board runs.
    unsafe { &*(&raw const __provisioned) }
}

const BUILT: u32 = match u32::from_str_radix(env!("BUILT"), 10) {
    Ok(seconds) => seconds,
    Err(_) => panic!("build.rs says when it is"),
};
