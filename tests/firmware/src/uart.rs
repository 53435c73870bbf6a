//! UART0 as two `embedded-io-async` halves, neither of which loses a byte.
//!
//! Receiving: the interrupt moves bytes from the FIFO of the port (a PL011) into a ring. When the
//! ring is full it masks itself; the FIFO then fills, and the emulator keeps the rest until the
//! reader has made room and unmasks the interrupt. So a slow reader slows the sender down.
//!
//! Sending: a byte at a time whenever the FIFO has room.
//!
//! Clock gates, pins and the baud rate are not set up: the emulated port has none.

use core::convert::Infallible;
use core::future::poll_fn;
use core::task::Poll;

use cortex_m::peripheral::NVIC;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::pipe::Pipe;
use embedded_io_async::{ErrorType, Read, Write};

use crate::vectors::Interrupt;

/// Receiving half of UART0.
pub struct Rx(());

/// Sending half of UART0.
pub struct Tx(());

/// Sixteen FIFOs: large enough that sender and reader seldom have to take turns.
const RING: usize = 256;

static RING_BUFFER: Pipe<CriticalSectionRawMutex, RING> = Pipe::new();

/// Sets the port up and enables its interrupt. Meant to be called once: two readers would each get
/// part of the input.
pub fn open() -> (Rx, Tx) {
    // Switching the FIFO on discards what has arrived: the sender has to wait for
    // `semihosting::ready`.
    Register::LineControl.write(EIGHT_BITS | FIFO_ENABLE);
    Register::Control.write(UART_ENABLE | TX_ENABLE | RX_ENABLE);
    unmask();
    // SAFETY: the handler is in the vector table, and no critical section relies on this mask.
    unsafe { NVIC::unmask(Interrupt::Uart0) };
    (Rx(()), Tx(()))
}

impl ErrorType for Rx {
    type Error = Infallible;
}

impl Read for Rx {
    /// Waits for at least one byte. A UART has no end of input, so 0 means an empty buffer.
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = RING_BUFFER.read(buffer).await;
        unmask();
        Ok(count)
    }
}

impl ErrorType for Tx {
    type Error = Infallible;
}

impl Write for Tx {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        if bytes.is_empty() {
            return Ok(0);
        }
        until_clear(TX_FULL).await;
        let mut count = 0;
        for byte in bytes {
            if Register::Flags.read() & TX_FULL != 0 {
                break;
            }
            Register::Data.write(u32::from(*byte));
            count += 1;
        }
        Ok(count)
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        until_clear(BUSY).await;
        Ok(())
    }
}

/// Gives the other tasks a turn between two polls. The transmit interrupt would save the polls, but
/// the emulated port sends at once, so that the first poll succeeds.
async fn until_clear(flag: u32) {
    poll_fn(|context| {
        if Register::Flags.read() & flag == 0 {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Handler of [`Interrupt::Uart0`]. The port withdraws the request when the FIFO is empty; clearing
/// it by hand could clear the request of a byte that has just arrived.
pub extern "C" fn interrupt() {
    while Register::Flags.read() & RX_EMPTY == 0 {
        if RING_BUFFER.is_full() {
            mask();
            return;
        }
        // The upper bits report line errors, which an emulated line does not have.
        let [byte, ..] = Register::Data.read().to_le_bytes();
        // There is room, and only this handler writes.
        let _ = RING_BUFFER.try_write(&[byte]);
    }
}

/// The mask is written whole, never read and changed, so the reader needs no critical section: if
/// the interrupt masks itself right after this, the ring is full again and a read will follow.
fn unmask() {
    Register::InterruptMask.write(RX_INTERRUPT | RX_TIMEOUT_INTERRUPT);
}

fn mask() {
    Register::InterruptMask.write(0);
}

/// Offsets of the PL011's registers.
#[derive(Clone, Copy)]
enum Register {
    Data = 0x00,
    Flags = 0x18,
    LineControl = 0x2C,
    Control = 0x30,
    InterruptMask = 0x38,
}

impl Register {
    fn address(self) -> *mut u32 {
        const UART0: usize = 0x4000_C000;
        (UART0 + self as usize) as *mut u32
    }

    fn read(self) -> u32 {
        // SAFETY: an aligned register of the board's UART0, which no Rust object occupies.
        unsafe { self.address().read_volatile() }
    }

    fn write(self, value: u32) {
        // SAFETY: as in `read`; the port does not access memory by itself.
        unsafe { self.address().write_volatile(value) }
    }
}

// Flags.
const BUSY: u32 = 1 << 3;
const RX_EMPTY: u32 = 1 << 4;
const TX_FULL: u32 = 1 << 5;

// LineControl.
const FIFO_ENABLE: u32 = 1 << 4;
const EIGHT_BITS: u32 = 3 << 5;

// Control.
const UART_ENABLE: u32 = 1 << 0;
const TX_ENABLE: u32 = 1 << 8;
const RX_ENABLE: u32 = 1 << 9;

// InterruptMask. The time-out covers the last bytes of a burst that end below the FIFO's trigger
// level.
const RX_INTERRUPT: u32 = 1 << 4;
const RX_TIMEOUT_INTERRUPT: u32 = 1 << 6;
