//! A panic or a processor fault ends the emulator with a failure.

use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, exception};

use crate::semihosting;

/// The message is ignored so that the linker can drop every message and all formatting code.
#[panic_handler]
fn panic(_info: &PanicInfo) -> ! {
    semihosting::fail()
}

// SAFETY: the handler neither returns nor touches anything the faulting code may have been holding.
#[exception]
unsafe fn HardFault(_frame: &ExceptionFrame) -> ! {
    semihosting::fail()
}
