//! The interrupt vector of the Ethernet controller.

use crate::ethernet;
use cortex_m::interrupt::InterruptNumber;

/// The interrupt in use.
#[derive(Clone, Copy)]
pub enum Interrupt {
    Ethernet = 42,
}

// SAFETY: the discriminant is the board's fixed interrupt number.
unsafe impl InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self as u16
    }
}

const LINES: usize = 43;

// SAFETY: cortex-m-rt's linker script puts this section behind the exception vectors and expects this
// name; a vector is a function pointer or zero.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [Option<extern "C" fn()>; LINES] = {
    let mut table = [None; LINES];
    table[Interrupt::Ethernet as usize] = Some(ethernet::interrupt as extern "C" fn());
    table
};
