//! Reports to the emulator: that the board is ready, or that it has failed.
//!
//! It uses semihosting, so that the UART carries nothing but the protocol. QEMU has to be started
//! with `-semihosting-config enable=on`; without it the first call is a fault.

use core::arch::asm;
use core::ffi::CStr;

const SYS_WRITE0: usize = 0x04;
const SYS_EXIT: usize = 0x18;

/// `ADP_Stopped_RunTimeErrorUnknown`: QEMU ends with exit status 1.
const RUN_TIME_ERROR: usize = 0x20023;

/// Writes the line `ready` to the semihosting console: bytes sent before it may be lost.
pub fn ready() {
    const LINE: &CStr = c"ready\n";
    call(SYS_WRITE0, LINE.as_ptr() as usize);
}

/// Ends the emulator with a failure.
pub fn fail() -> ! {
    loop {
        call(SYS_EXIT, RUN_TIME_ERROR);
    }
}

fn call(operation: usize, parameter: usize) {
    // SAFETY: both operations above only read their parameter, SYS_WRITE0 a NUL-terminated string
    // from memory; the host may change r0 and nothing else.
    unsafe {
        asm!("bkpt #0xab", inout("r0") operation => _, in("r1") parameter, options(nostack));
    }
}
