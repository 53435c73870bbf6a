//! The board's 16550 UART as the two halves that a line needs. The HAL of your board has a buffered
//! serial port that implements the same traits.

use core::convert::Infallible;
use core::future::poll_fn;
use core::task::Poll;
use embedded_io_async::{ErrorType, Read, Write};

const DATA: *mut u8 = 0x1000_0000 as *mut u8;
const FIFO_CONTROL: *mut u8 = 0x1000_0002 as *mut u8;
const LINE_STATUS: *const u8 = 0x1000_0005 as *const u8;
const ENABLE_FIFO: u8 = 1;
const HAS_BYTE: u8 = 1;
const HAS_ROOM: u8 = 1 << 5;

/// The receiving half.
pub struct Rx(());

/// The sending half.
pub struct Tx(());

/// Switches the port's FIFO on.
pub fn open() -> (Rx, Tx) {
    // SAFETY: the FIFO control register of the UART.
    unsafe { FIFO_CONTROL.write_volatile(ENABLE_FIFO) };
    (Rx(()), Tx(()))
}

impl ErrorType for Rx {
    type Error = Infallible;
}

impl Read for Rx {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        ready(HAS_BYTE).await;
        // SAFETY: the data register of the UART, which has a byte.
        let byte = unsafe { DATA.read_volatile() };
        buffer.iter_mut().take(1).for_each(|place| *place = byte);
        Ok(buffer.len().min(1))
    }
}

impl ErrorType for Tx {
    type Error = Infallible;
}

impl Write for Tx {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let Some(byte) = bytes.first() else { return Ok(0) };
        ready(HAS_ROOM).await;
        // SAFETY: the data register of the UART, which has room.
        unsafe { DATA.write_volatile(*byte) };
        Ok(1)
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Waits until a flag is set. It polls; a driver with an interrupt would not have to.
async fn ready(flag: u8) {
    poll_fn(|context| {
        // SAFETY: the line status register of the UART.
        if unsafe { LINE_STATUS.read_volatile() } & flag != 0 {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
