//! The Ethernet controller of the lm3s6965, as a driver for `embassy-net`.
//!
//! An interrupt reports that a frame has arrived. The network's task then takes frames out of the
//! FIFO until it is empty, because a frame that waits there does not raise a second interrupt. The
//! driver reports no link state, and does not filter addresses.

use core::task::{Context, Waker};

use cortex_m::peripheral::NVIC;
use embassy_net::driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::waitqueue::GenericAtomicWaker;
use embassy_time::Instant;

use crate::backlog::Backlog;
use crate::vectors::Interrupt;

/// Length of the longest frame, without checksum: 1500 bytes of content and the header.
const FRAME: usize = 1514;

/// Length in words of the longest frame in the FIFO: two bytes of length, the frame, and for
/// received frames four bytes of checksum.
const WORDS: usize = (2 + FRAME + 4).div_ceil(4);

static WAKER: GenericAtomicWaker<CriticalSectionRawMutex> = GenericAtomicWaker::new(CriticalSectionRawMutex::new());

/// The controller. The stack builds a reply while it still holds the request, hence two buffers.
pub struct Ethernet {
    rx: [u8; 4 * WORDS],
    tx: [u8; 4 * WORDS],
    backlog: Backlog,
}

impl Ethernet {
    /// Empty buffers.
    pub const fn new() -> Self {
        Self { rx: [0; 4 * WORDS], tx: [0; 4 * WORDS], backlog: Backlog::new() }
    }

    /// Sets the controller up and enables its interrupt.
    pub fn open(&mut self) {
        Register::InterruptMask.write(0);
        Register::ReceiveControl.write(RX_RESET);
        Register::ReceiveControl.write(0);
        Register::Interrupts.write(ALL_INTERRUPTS);
        Register::TransmitControl.write(TX_ENABLE | TX_PAD | TX_CHECKSUM);
        Register::ReceiveControl.write(RX_ENABLE | RX_MULTICAST);
        Register::InterruptMask.write(RX_INTERRUPT);
        // SAFETY: the handler is in the vector table, and no critical section relies on this mask.
        unsafe { NVIC::unmask(Interrupt::Ethernet) };
    }

    /// Puts the next frame for the stack into `rx` and returns its length. If no frame has arrived,
    /// that is the next SYN to repeat; if none is due, `waker` is called when one is.
    fn next(&mut self, waker: &Waker) -> Option<usize> {
        let now = Instant::now();
        if let Some(len) = self.take() {
            self.backlog.note(&self.rx[2..2 + len], now);
            return Some(len);
        }
        if let Some(frame) = self.backlog.next(now) {
            self.rx[2..2 + frame.len()].copy_from_slice(frame);
            return Some(frame.len());
        }
        if let Some(due) = self.backlog.due() {
            embassy_time_driver::schedule_wake(due.as_ticks(), waker);
        }
        None
    }

    /// Takes the next frame out of the FIFO and returns its length; `None` if there is none. A
    /// frame that is too long is dropped.
    fn take(&mut self) -> Option<usize> {
        while Register::Packets.read() & PACKETS != 0 {
            let mut word = Register::Data.read();
            let whole = (word & 0xFFFF) as usize;
            let words = whole.div_ceil(4);
            // All words of a frame must be read, even those that are dropped.
            for at in 0..words {
                if at > 0 {
                    word = Register::Data.read();
                }
                if let Some(slot) = self.rx.get_mut(4 * at..4 * at + 4) {
                    slot.copy_from_slice(&word.to_le_bytes());
                }
            }
            if let Some(len) = whole.checked_sub(2 + 4).filter(|len| *len <= FRAME) {
                return Some(len);
            }
        }
        None
    }
}

impl Driver for &'static mut Ethernet {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Received<'_>, Sending<'_>)> {
        // Registered before the check: a frame that comes after the check wakes the task.
        WAKER.register(context.waker());
        let len = self.next(context.waker())?;
        let Ethernet { rx, tx, backlog } = &mut **self;
        Some((Received(&mut rx[2..2 + len]), Sending { tx, answers: Some(backlog) }))
    }

    fn transmit(&mut self, _: &mut Context<'_>) -> Option<Sending<'_>> {
        Some(Sending { tx: &mut self.tx, answers: None })
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = FRAME;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        let [a, b, c, d] = Register::Address0.read().to_le_bytes();
        let [e, f, ..] = Register::Address1.read().to_le_bytes();
        HardwareAddress::Ethernet([a, b, c, d, e, f])
    }
}

/// A received frame.
pub struct Received<'a>(&'a mut [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

/// Room for a frame to send.
pub struct Sending<'a> {
    tx: &'a mut [u8; 4 * WORDS],
    /// The backlog, for a frame that answers a received one: the client may have to wait for that
    /// answer.
    answers: Option<&'a mut Backlog>,
}

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let Self { tx, answers } = self;
        let written = write(&mut tx[2..2 + len]);
        if answers.is_some_and(|backlog| !backlog.lets_through(&tx[2..2 + len], Instant::now())) {
            return written;
        }
        // The length is that of the content, without the fourteen bytes of addresses and type.
        tx[..2].copy_from_slice(&(len.saturating_sub(14) as u16).to_le_bytes());
        for word in tx.chunks_exact(4).take((2 + len).div_ceil(4)) {
            Register::Data.write(u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
        }
        Register::Transmit.write(1);
        // The emulated controller has sent it by now.
        while Register::Transmit.read() & 1 != 0 {}
        written
    }
}

/// Handler of [`Interrupt::Ethernet`].
pub extern "C" fn interrupt() {
    Register::Interrupts.write(RX_INTERRUPT);
    WAKER.wake();
}

/// Offsets of the controller's registers.
#[derive(Clone, Copy)]
enum Register {
    Interrupts = 0x00,
    InterruptMask = 0x04,
    ReceiveControl = 0x08,
    TransmitControl = 0x0C,
    Data = 0x10,
    Address0 = 0x14,
    Address1 = 0x18,
    Packets = 0x34,
    Transmit = 0x38,
}

impl Register {
    fn address(self) -> *mut u32 {
        const ETHERNET: usize = 0x4004_8000;
        (ETHERNET + self as usize) as *mut u32
    }

    fn read(self) -> u32 {
        // SAFETY: an aligned register of the board's Ethernet controller, which no Rust object occupies.
        unsafe { self.address().read_volatile() }
    }

    fn write(self, value: u32) {
        // SAFETY: as in `read`; the controller does not access memory by itself.
        unsafe { self.address().write_volatile(value) }
    }
}

// Interrupts, InterruptMask.
const RX_INTERRUPT: u32 = 1 << 0;
const ALL_INTERRUPTS: u32 = 0x7F;

// ReceiveControl.
const RX_ENABLE: u32 = 1 << 0;
const RX_MULTICAST: u32 = 1 << 1;
const RX_RESET: u32 = 1 << 4;

// TransmitControl.
const TX_ENABLE: u32 = 1 << 0;
const TX_PAD: u32 = 1 << 1;
const TX_CHECKSUM: u32 = 1 << 2;

// Packets.
const PACKETS: u32 = 0x3F;
