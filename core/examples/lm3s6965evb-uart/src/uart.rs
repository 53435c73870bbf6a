//! UART0 as the two halves that a line needs. The HAL of your board has a buffered serial port that
//! implements the same traits.

use core::convert::Infallible;
use core::future::poll_fn;
use core::task::Poll;
use embedded_io_async::{ErrorType, Read, Write};

const DATA: *mut u32 = 0x4000_C000 as *mut u32;
const FLAGS: *const u32 = 0x4000_C018 as *const u32;
const CONTROL: *mut u32 = 0x4000_C030 as *mut u32;
const RECEIVE_EMPTY: u32 = 1 << 4;
const SEND_FULL: u32 = 1 << 5;
const ENABLE: u32 = 0x301;

/// The receiving half.
pub struct Rx(());

/// The sending half.
pub struct Tx(());

/// Switches the port on.
pub fn open() -> (Rx, Tx) {
    // SAFETY: the control register of UART0.
    unsafe { CONTROL.write_volatile(ENABLE) };
    (Rx(()), Tx(()))
}

impl ErrorType for Rx {
    type Error = Infallible;
}

impl Read for Rx {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        ready(RECEIVE_EMPTY).await;
        // SAFETY: the data register of UART0, which has a byte.
        let byte = unsafe { DATA.read_volatile() };
        buffer.iter_mut().take(1).for_each(|place| *place = byte as u8);
        Ok(buffer.len().min(1))
    }
}

impl ErrorType for Tx {
    type Error = Infallible;
}

impl Write for Tx {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let Some(byte) = bytes.first() else { return Ok(0) };
        ready(SEND_FULL).await;
        // SAFETY: the data register of UART0, which has room.
        unsafe { DATA.write_volatile((*byte).into()) };
        Ok(1)
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Waits until a flag is clear. It polls; a driver with an interrupt would not have to.
async fn ready(flag: u32) {
    poll_fn(|context| {
        // SAFETY: the flag register of UART0.
        if unsafe { FLAGS.read_volatile() } & flag == 0 {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
